//! Random operations against a model: maps, one for every view that is open.
//!
//! Commits, savepoints, spills, freezes and flushes interleave with views that stay open; the
//! flusher runs beside as it likes. What a view sees is written down when it is taken and must be
//! found again for as long as it lives.

use std::collections::BTreeMap;
use std::sync::Arc;

use aegis_storage::{
    CommandId, Direction, IsolationLevel, Key, KeyRange, MemoryDisk, ReadView, Savepoint,
    Transaction, TreeId, TxnOptions,
};

use super::support::{Fixture, Random, options, scan};

type Rows = BTreeMap<(u64, Vec<u8>), Vec<u8>>;

const TREES: [u64; 3] = [2000, 2001, 2002];

struct Txn {
    txn: Transaction,
    /// What its snapshot sees, once it has one.
    base: Option<Rows>,
    /// Command, tree and key, value.
    writes: Vec<(u32, (u64, Vec<u8>), Option<Vec<u8>>)>,
    savepoints: Vec<(Savepoint, u32)>,
    views: Vec<(ReadView, Rows)>,
}

impl Txn {
    fn expected(&self, base: &Rows, below: CommandId) -> Rows {
        let mut rows = base.clone();
        for (command, key, value) in &self.writes {
            if *command < below.0 {
                match value {
                    Some(value) => rows.insert(key.clone(), value.clone()),
                    None => rows.remove(key),
                };
            }
        }
        rows
    }
}

fn key(random: &mut Random) -> Vec<u8> {
    let n = random.below(300);
    // Some keys lie on the heap, and some are prefixes of others.
    match n % 7 {
        0 => vec![n as u8; 40],
        1 => vec![n as u8],
        _ => n.to_be_bytes()[6..].to_vec(),
    }
}

fn check(view: &ReadView, expected: &Rows, random: &mut Random, seed: u64) {
    let tree = TREES[random.below(3) as usize];
    let (a, b) = (key(random), key(random));
    let range = match random.below(4) {
        0 => KeyRange::half_open(&a, &b),
        1 => KeyRange {
            lower: std::ops::Bound::Excluded(Key::new(&a)),
            upper: std::ops::Bound::Included(Key::new(&b)),
        },
        _ => KeyRange::all(),
    };
    let direction = if random.below(2) == 0 { Direction::Forward } else { Direction::Backward };
    let mut rows: Vec<(Vec<u8>, Vec<u8>)> = expected
        .iter()
        .filter(|((of, key), _)| *of == tree && range.contains(key))
        .map(|((_, key), value)| (key.clone(), value.clone()))
        .collect();
    if direction == Direction::Backward {
        rows.reverse();
    }
    let found = scan(view, TreeId(tree), range.clone(), direction);
    assert_eq!(found, rows, "seed {seed}, tree {tree}, {range:?} {direction:?}");
    let row = view.get(TreeId(tree), &a).unwrap();
    let row = row.map(|row| row.value.to_vec());
    assert_eq!(row, expected.get(&(tree, a)).cloned(), "seed {seed}, a get");
}

async fn run(seed: u64) {
    let mut random = Random(seed);
    let mut options = options();
    options.freeze_bytes = [1 << 20, 20_000][random.below(2) as usize];
    options.flush_batch_rows = 1 + random.below(40) as usize;
    options.spill_bytes = [1 << 20, 3_000][random.below(2) as usize];
    let mut fixture = Fixture::with(options.clone(), Arc::new(MemoryDisk::new()));
    let mut committed = Rows::new();
    let mut open: Vec<Txn> = Vec::new();
    let mut free_views: Vec<(ReadView, Rows)> = Vec::new();
    for step in 0..1500 {
        if open.len() < 3 && random.below(4) == 0 {
            let txn = fixture
                .store
                .begin(TxnOptions {
                    isolation: IsolationLevel::RepeatableRead,
                    ..TxnOptions::default()
                })
                .unwrap();
            open.push(Txn {
                txn,
                base: None,
                writes: Vec::new(),
                savepoints: Vec::new(),
                views: Vec::new(),
            });
        }
        match random.below(60) {
            0 => fixture.store.flush_now().await.unwrap(),
            1 => {
                free_views.push((fixture.store.newest_view().unwrap(), committed.clone()));
                if free_views.len() > 4 {
                    free_views.remove(random.below(4) as usize);
                }
            }
            2 if open.is_empty() || step % 97 == 0 => {
                open.clear();
                free_views.clear();
                fixture = fixture.reopen(options.clone()).await;
            }
            _ => {}
        }
        for (view, rows) in &free_views {
            if random.below(20) == 0 {
                check(view, rows, &mut random, seed);
            }
        }
        if !open.is_empty() {
            let at = random.below(open.len() as u64) as usize;
            let action = random.below(40);
            if action == 0 || open[at].writes.len() > 400 {
                let done = open.swap_remove(at);
                let rows = done.expected(&committed, CommandId::ALL);
                done.txn.commit().await.unwrap();
                committed = rows;
            } else if action == 1 {
                open.swap_remove(at).txn.rollback();
            } else {
                step_in(&mut open[at], action, &committed, &mut random, seed);
            }
        }
    }
    drop((open, free_views));
    fixture = fixture.reopen(options).await;
    let view = fixture.store.newest_view().unwrap();
    for _ in 0..20 {
        check(&view, &committed, &mut random, seed);
    }
    let (_, runs) = (fixture.store.flush_now().await.unwrap(), fixture.runs());
    assert!(runs.iter().all(|name| !name.ends_with(".tmp")), "seed {seed}: {runs:?}");
}

fn step_in(open: &mut Txn, action: u64, committed: &Rows, random: &mut Random, seed: u64) {
    match action {
        2..=4 => {
            let savepoint = open.txn.savepoint().unwrap();
            open.savepoints.push((savepoint, open.txn.command_id().0));
        }
        5 if !open.savepoints.is_empty() => {
            let at = random.below(open.savepoints.len() as u64) as usize;
            let (savepoint, command) = open.savepoints[at];
            open.txn.rollback_to(savepoint).unwrap();
            open.savepoints.truncate(at + 1);
            open.writes.retain(|write| write.0 < command);
            // What they saw may have been undone.
            open.views.clear();
        }
        6 if !open.savepoints.is_empty() => {
            let at = random.below(open.savepoints.len() as u64) as usize;
            open.txn.release(open.savepoints[at].0).unwrap();
            open.savepoints.truncate(at);
        }
        7..=9 => {
            let base = open.base.get_or_insert_with(|| committed.clone()).clone();
            let view = open.txn.read_view().unwrap();
            let rows = open.expected(&base, view.command_id());
            open.views.push((view, rows));
            if open.views.len() > 3 {
                open.views.remove(0);
            }
        }
        10..=15 => {
            open.txn.next_command().unwrap();
        }
        16..=18 => {
            for (view, rows) in &open.views {
                check(view, rows, random, seed);
            }
        }
        19 => {
            let view = open.txn.newest_view().unwrap();
            let rows = open.expected(committed, CommandId::ALL);
            check(&view, &rows, random, seed);
        }
        _ => {
            for _ in 0..=random.below(6) {
                let (tree, key) = (TREES[random.below(3) as usize], key(random));
                let value = (random.below(3) > 0).then(|| {
                    let len = random.below(60) as usize;
                    vec![random.below(256) as u8; len]
                });
                let place = (tree, key);
                let own = open.writes.iter().rfind(|(_, written, _)| *written == place);
                let is_new = own.is_none_or(|(_, _, value)| value.is_none());
                let key = &place.1;
                match &value {
                    Some(value) if is_new => open.txn.put_new(TreeId(tree), key, value).unwrap(),
                    Some(value) => open.txn.put(TreeId(tree), key, value).unwrap(),
                    None => open.txn.delete(TreeId(tree), key).unwrap(),
                }
                open.writes.push((open.txn.command_id().0, place, value));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_view_sees_what_it_saw() {
    for seed in 0..40 {
        run(seed).await;
    }
}
