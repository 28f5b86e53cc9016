//! What transactions promise each other.

use std::sync::Arc;

use aegis_storage::{
    Counter, Direction, IsolationLevel, KeyRange, LockWait, MemoryDisk, NumberedRow, RowLockMode,
    RowLockOutcome, RowLockWait, StorageError, TableLockMode, TreeId, TxnOptions,
};
use aegis_types::SqlState;

use super::support::{Fixture, TREE, options, rows, scan};

const WAIT: RowLockWait = RowLockWait::Wait { timeout: None };

fn text(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |pair: &(&str, &str)| (pair.0.to_owned(), pair.1.to_owned());
    pairs.iter().map(owned).collect()
}

fn repeatable() -> TxnOptions {
    TxnOptions { isolation: IsolationLevel::RepeatableRead, ..TxnOptions::default() }
}

#[tokio::test]
async fn a_command_does_not_see_its_own_writes() {
    let fixture = Fixture::new();
    fixture.put(TREE, "a", "1").await;
    let mut txn = fixture.begin();
    let view = txn.statement_snapshot().unwrap();
    txn.put(TREE, b"b", b"2").unwrap();
    txn.delete(TREE, b"a").unwrap();
    assert_eq!(rows(&view, TREE), text(&[("a", "1")]));
    assert_eq!(rows(&txn.read_view().unwrap(), TREE), text(&[("a", "1")]));
    assert!(txn.get_newest(TREE, b"b").unwrap().is_some());
    txn.next_command().unwrap();
    assert_eq!(rows(&txn.read_view().unwrap(), TREE), text(&[("b", "2")]));
    assert_eq!(rows(&view, TREE), text(&[("a", "1")]));
    txn.commit().await.unwrap();
    assert_eq!(fixture.rows(TREE), text(&[("b", "2")]));
}

#[tokio::test]
async fn a_row_lock_tells_what_was_committed_meanwhile() {
    let fixture = Fixture::new();
    fixture.put(TREE, "a", "1").await;
    fixture.put(TREE, "b", "1").await;
    let mut txn = fixture.begin();
    txn.statement_snapshot().unwrap();
    let same = txn.lock_row(TREE, b"a", RowLockMode::ForUpdate, WAIT).await.unwrap();
    assert_eq!(same, RowLockOutcome::Unchanged);
    fixture.put(TREE, "b", "2").await;
    let changed = txn.lock_row(TREE, b"b", RowLockMode::ForUpdate, WAIT).await.unwrap();
    let RowLockOutcome::Changed(Some(row)) = changed else {
        panic!("{changed:?}");
    };
    assert_eq!(row.value.as_bytes(), b"2");
    let mut other = fixture.begin();
    other.delete(TREE, b"c").unwrap();
    other.delete(TREE, b"a").unwrap();
    other.commit().await.unwrap();
    let gone = txn.lock_row(TREE, b"a", RowLockMode::ForUpdate, WAIT).await.unwrap();
    assert_eq!(gone, RowLockOutcome::Changed(None));
    let never = txn.lock_row(TREE, b"c", RowLockMode::ForUpdate, WAIT).await.unwrap();
    assert_eq!(never, RowLockOutcome::Unchanged);
    txn.statement_snapshot().unwrap();
    let again = txn.lock_row(TREE, b"a", RowLockMode::ForUpdate, WAIT).await.unwrap();
    assert_eq!(again, RowLockOutcome::Unchanged);
}

#[tokio::test]
async fn whoever_waits_for_a_row_sees_what_its_holder_committed() {
    let fixture = Arc::new(Fixture::new());
    fixture.put(TREE, "n", "").await;
    let mut tasks = Vec::new();
    for _ in 0..8 {
        let fixture = fixture.clone();
        tasks.push(tokio::task::spawn(async move {
            for _ in 0..50 {
                let mut txn = fixture.begin();
                let view = txn.statement_snapshot().unwrap();
                let seen = view.get(TREE, b"n").unwrap().unwrap();
                let locked = txn.lock_row(TREE, b"n", RowLockMode::ForNoKeyUpdate, WAIT);
                let row = match locked.await.unwrap() {
                    RowLockOutcome::Unchanged => seen,
                    RowLockOutcome::Changed(row) => row.unwrap(),
                    RowLockOutcome::Skipped => panic!("nothing is skipped"),
                };
                let longer = [row.value.as_bytes(), b"x"].concat();
                txn.put(TREE, b"n", &longer).unwrap();
                txn.commit().await.unwrap();
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(fixture.rows(TREE)[0].1.len(), 400);
}

#[tokio::test]
async fn a_dropped_commit_keeps_its_locks_until_it_is_published() {
    let fixture = Fixture::new();
    fixture.log.pause();
    let mut txn = fixture.begin();
    txn.lock_row(TREE, b"a", RowLockMode::ForUpdate, WAIT).await.unwrap();
    txn.put(TREE, b"a", b"1").unwrap();
    {
        let mut commit = Box::pin(txn.commit());
        tokio::select! {
            biased;
            _ = &mut commit => panic!("the log is paused"),
            () = std::future::ready(()) => {}
        }
        assert_eq!(fixture.log.waiting(), 1);
    }
    let mut other = fixture.begin();
    other.statement_snapshot().unwrap();
    let busy = other.lock_row(TREE, b"a", RowLockMode::ForKeyShare, RowLockWait::NoWait).await;
    assert_eq!(busy.unwrap_err().code(), SqlState::LockNotAvailable);
    fixture.log.resume();
    let locked = other.lock_row(TREE, b"a", RowLockMode::ForKeyShare, RowLockWait::NoWait).await;
    assert!(matches!(locked.unwrap(), RowLockOutcome::Changed(Some(_))));
}

#[tokio::test]
async fn a_refused_commit_leaves_nothing_behind() {
    let fixture = Fixture::new();
    fixture.log.refuse(Some("not the leader"));
    let mut txn = fixture.begin();
    txn.lock_row(TREE, b"a", RowLockMode::ForUpdate, WAIT).await.unwrap();
    txn.put(TREE, b"a", b"1").unwrap();
    let refused = txn.commit().await.unwrap_err();
    assert_eq!(refused.code(), SqlState::TransactionRollback);
    fixture.log.refuse(None);
    let mut other = fixture.begin();
    let free = other.lock_row(TREE, b"a", RowLockMode::ForUpdate, RowLockWait::NoWait).await;
    assert_eq!(free.unwrap(), RowLockOutcome::Unchanged);
    assert_eq!(fixture.store.stats().reserved_bytes, 0);
    assert_eq!(fixture.store.stats().write_set_bytes, 0);
}

#[tokio::test]
async fn a_read_only_transaction_writes_nothing_and_logs_nothing() {
    let fixture = Fixture::new();
    let mut txn =
        fixture.store.begin(TxnOptions { read_only: true, ..TxnOptions::default() }).unwrap();
    assert_eq!(txn.put(TREE, b"a", b"1").unwrap_err().code(), SqlState::ReadOnlySqlTransaction);
    txn.lock_table(1, TableLockMode::AccessShare, LockWait::NoWait).await.unwrap();
    txn.commit().await.unwrap();
    assert_eq!(fixture.log.last_index().0, 0);
}

#[tokio::test]
async fn appended_rows_get_dense_keys_in_commit_order() {
    let mut fixture = Fixture::new();
    for round in 0..3 {
        let (mut first, mut second) = (fixture.begin(), fixture.begin());
        for _ in 0..5 {
            second.append(numbered(b"second")).unwrap();
            first.append(numbered(b"first")).unwrap();
        }
        assert_eq!(first.next_number(NUMBERS, 1).unwrap(), round * 10 + 6);
        first.commit().await.unwrap();
        second.commit().await.unwrap();
        match round {
            0 => fixture.store.flush_now().await.unwrap(),
            _ => fixture = fixture.reopen(options()).await,
        }
    }
    let view = fixture.store.newest_view().unwrap();
    let found = scan(&view, TREE, KeyRange::all(), Direction::Forward);
    assert_eq!(found.len(), 30);
    let entries = scan(&view, ENTRIES, KeyRange::all(), Direction::Forward);
    assert_eq!(entries.len(), 30);
    let mut last_time = 0;
    for (nth, (key, value)) in found.iter().enumerate() {
        let number = nth as u64 + 1;
        assert_eq!(key[..1], *b"p");
        assert_eq!(key[1..], (number ^ (1 << 63)).to_be_bytes());
        assert_eq!(value[..8], number.to_le_bytes());
        let time = i64::from_le_bytes(value[8..16].try_into().unwrap());
        assert!(time >= last_time);
        last_time = time;
        let expected: &[u8] = if nth / 5 % 2 == 0 { b"first" } else { b"second" };
        assert_eq!(value[16..], *expected);
        let entry = [expected, key].concat();
        assert!(entries.contains(&(entry, Vec::new())));
    }
}

const ENTRIES: TreeId = TreeId(3100);
const NUMBERS: Counter = Counter { tree: TREE, part: 7 };

fn numbered(text: &[u8]) -> NumberedRow {
    let value = [&[0; 16], text].concat();
    let mut row = NumberedRow::new(TREE, NUMBERS, 1, b"p".to_vec(), value, 0);
    row.time = Some((8, 1_000));
    row.index(ENTRIES, text);
    row
}

#[tokio::test]
async fn a_dropped_tree_stays_for_older_snapshots_and_is_reclaimed() {
    let mut fixture = Fixture::new();
    fixture.put(TREE, "a", "1").await;
    fixture.store.flush_now().await.unwrap();
    fixture.put(TREE, "b", "2").await;
    let old = fixture.store.newest_view().unwrap();
    let mut txn = fixture.begin();
    txn.put(TREE, b"c", b"3").unwrap();
    let savepoint = txn.savepoint().unwrap();
    txn.drop_tree(TREE).unwrap();
    txn.next_command().unwrap();
    assert_eq!(rows(&txn.read_view().unwrap(), TREE), []);
    txn.rollback_to(savepoint).unwrap();
    assert_eq!(rows(&txn.read_view().unwrap(), TREE).len(), 3);
    txn.drop_tree(TREE).unwrap();
    txn.commit().await.unwrap();
    assert_eq!(fixture.rows(TREE), []);
    fixture.store.flush_now().await.unwrap();
    assert_eq!(rows(&old, TREE), text(&[("a", "1"), ("b", "2")]));
    assert_eq!(fixture.rows(TREE), []);
    drop(old);
    fixture = fixture.reopen(options()).await;
    assert_eq!(fixture.rows(TREE), []);
}

const INDEX: TreeId = TreeId(2002);

/// Rows in an order that no key has, each with an entry in another tree.
fn load(txn: &mut aegis_storage::Transaction, rows: u32) {
    for n in 0..rows {
        let n = n.wrapping_mul(7919) % rows;
        let key = format!("k{n:06}");
        assert!(txn.get_newest(TREE, key.as_bytes()).unwrap().is_none());
        txn.put_new(TREE, key.as_bytes(), &[b'v'; 50]).unwrap();
        txn.put_new(INDEX, format!("i{:06}", rows - n).as_bytes(), b"").unwrap();
    }
}

#[tokio::test]
async fn new_rows_are_loaded_into_runs_that_the_commit_names() {
    let mut options = options();
    options.spill_bytes = 200_000;
    let mut fixture = Fixture::with(options.clone(), Arc::new(MemoryDisk::new()));
    let mut txn = fixture.begin();
    load(&mut txn, 20_000);
    assert!(fixture.store.stats().write_set_bytes < 300_000);
    // The newest rows are in no run yet, and are found all the same: by key and in order.
    let newest = txn.newest_view().unwrap();
    assert!(newest.get(TREE, b"k019999").unwrap().is_some());
    assert_eq!(rows(&newest, INDEX).len(), 20_000);
    assert_eq!(rows(&txn.read_view().unwrap(), TREE), []);
    drop(newest);
    txn.next_command().unwrap();
    assert_eq!(rows(&txn.read_view().unwrap(), TREE).len(), 20_000);
    txn.put(TREE, b"k000007", b"changed").unwrap();
    txn.delete(TREE, b"k000008").unwrap();
    let loaded = fixture.runs();
    assert!(loaded.len() > 5, "{loaded:?}");
    let before = fixture.store.newest_view().unwrap();
    txn.commit().await.unwrap();
    assert_eq!(rows(&before, TREE), []);
    drop(before);
    assert!(loaded.iter().all(|name| fixture.runs().contains(name)), "a load was written again");
    for _ in 0..2 {
        let found = fixture.rows(TREE);
        assert_eq!(found.len(), 19_999);
        assert_eq!(found[7], ("k000007".to_owned(), "changed".to_owned()));
        assert_eq!(fixture.rows(INDEX).len(), 20_000);
        fixture = fixture.reopen(options.clone()).await;
    }
    fixture.store.flush_now().await.unwrap();
    assert_eq!(fixture.runs(), Vec::<String>::new());
    assert_eq!(fixture.rows(TREE).len(), 19_999);
}

#[tokio::test]
async fn a_load_is_undone_whole() {
    let mut options = options();
    options.spill_bytes = 200_000;
    let fixture = Fixture::with(options, Arc::new(MemoryDisk::new()));
    let mut txn = fixture.begin();
    txn.put(TREE, b"k000003", b"before").unwrap();
    txn.delete(TREE, b"k000003").unwrap();
    let savepoint = txn.savepoint().unwrap();
    load(&mut txn, 5_000);
    txn.rollback_to(savepoint).unwrap();
    assert_eq!(rows(&txn.newest_view().unwrap(), TREE), []);
    // The same rows again, over what is dead.
    load(&mut txn, 5_000);
    txn.next_command().unwrap();
    txn.delete(TREE, b"k000000").unwrap();
    txn.commit().await.unwrap();
    assert_eq!(fixture.rows(TREE).len(), 4_999);
    assert_eq!(fixture.rows(INDEX).len(), 5_000);

    let mut txn = fixture.begin();
    let view = txn.read_view().unwrap();
    for n in 0..20_000_u32 {
        txn.put_new(TREE, format!("n{n}").as_bytes(), &[b'n'; 20]).unwrap();
    }
    assert!(!fixture.runs().is_empty());
    txn.rollback();
    assert_eq!(rows(&view, TREE).len(), 4_999);
    drop(view);
    fixture.store.flush_now().await.unwrap();
    assert_eq!(fixture.runs(), Vec::<String>::new());
    assert_eq!(fixture.store.stats().write_set_bytes, 0);
}

#[tokio::test]
async fn a_large_transaction_spills_and_leaves_nothing_when_rolled_back() {
    let mut options = options();
    options.spill_bytes = 100_000;
    let mut fixture = Fixture::with(options.clone(), Arc::new(MemoryDisk::new()));
    fixture.put(TREE, "before", "1").await;
    let write = |txn: &mut aegis_storage::Transaction| {
        for n in 0..20_000_u32 {
            txn.put(TREE, format!("k{n:06}").as_bytes(), &[b'v'; 50]).unwrap();
        }
    };
    let mut txn = fixture.begin();
    write(&mut txn);
    assert!(fixture.runs().len() > 5);
    assert!(fixture.store.stats().write_set_bytes < 200_000);
    txn.next_command().unwrap();
    assert_eq!(rows(&txn.read_view().unwrap(), TREE).len(), 20_001);
    txn.rollback();
    assert_eq!(fixture.runs(), Vec::<String>::new());
    assert_eq!(fixture.store.stats().write_set_bytes, 0);
    assert_eq!(fixture.log.last_index().0, 1);

    let mut txn = fixture.begin();
    write(&mut txn);
    txn.delete(TREE, b"before").unwrap();
    let counter = Counter { tree: TreeId(2001), part: 0 };
    let (prefix, value) = (Vec::new(), vec![0; 8]);
    txn.append(NumberedRow::new(TreeId(2001), counter, 1, prefix, value, 0)).unwrap();
    txn.commit().await.unwrap();
    fixture.put(TREE, "k000000", "after").await;
    assert_eq!(fixture.rows(TREE).len(), 20_000);
    fixture = fixture.reopen(options.clone()).await;
    let found = fixture.rows(TREE);
    assert_eq!(found.len(), 20_000);
    assert_eq!(found[0].1, "after");
    fixture.store.flush_now().await.unwrap();
    assert_eq!(fixture.runs(), Vec::<String>::new());
    fixture = fixture.reopen(options).await;
    assert_eq!(fixture.rows(TREE).len(), 20_000);
    let view = fixture.store.newest_view().unwrap();
    assert_eq!(scan(&view, TreeId(2001), KeyRange::all(), Direction::Forward).len(), 1);
}

#[tokio::test]
async fn tree_ids_are_never_given_twice() {
    let mut fixture = Fixture::new();
    let mut given = std::collections::BTreeSet::new();
    for round in 0..4 {
        for _ in 0..70 {
            let id = fixture.store.allocate_tree_id().await.unwrap();
            assert!(id >= TreeId::FIRST_ALLOCATED && given.insert(id), "{id:?} again");
        }
        if round % 2 == 0 {
            fixture.store.flush_now().await.unwrap();
        }
        fixture = fixture.reopen(options()).await;
    }
}

#[tokio::test]
async fn write_skew_fails_in_serializable_alone() {
    for isolation in [IsolationLevel::RepeatableRead, IsolationLevel::Serializable] {
        let fixture = Fixture::new();
        fixture.put(TREE, "a", "1").await;
        fixture.put(TREE, "b", "1").await;
        let options = TxnOptions { isolation, ..TxnOptions::default() };
        let mut first = fixture.store.begin(options.clone()).unwrap();
        let mut second = fixture.store.begin(options).unwrap();
        assert_eq!(rows(&first.statement_snapshot().unwrap(), TREE).len(), 2);
        assert_eq!(rows(&second.statement_snapshot().unwrap(), TREE).len(), 2);
        first.put(TREE, b"a", b"0").unwrap();
        second.put(TREE, b"b", b"0").unwrap();
        first.commit().await.unwrap();
        let outcome = second.commit().await;
        match isolation {
            IsolationLevel::Serializable => {
                let error = outcome.unwrap_err();
                assert_eq!(error.code(), SqlState::TRSerializationFailure);
            }
            _ => drop(outcome.unwrap()),
        }
    }
}

#[tokio::test]
async fn the_catalog_is_published_with_the_data_it_was_made_of() {
    let mut fixture = Fixture::new();
    let system = TreeId(5);
    let build = |fixture: &Fixture| {
        fixture
            .store
            .set_catalog_builder(
                Box::new(move |tree| tree == system),
                Box::new(move |change| {
                    let incremental = change.changed.map(<[_]>::len);
                    assert_eq!(incremental.is_some(), change.previous.is_some());
                    Arc::new(rows(change.view, system))
                }),
            )
            .unwrap();
    };
    build(&fixture);
    let catalog = |fixture: &Fixture| {
        let catalog = fixture.store.newest_catalog();
        catalog.downcast::<Vec<(String, String)>>().unwrap()
    };
    assert!(catalog(&fixture).is_empty());
    fixture.put(system, "t", "a table").await;
    fixture.put(TREE, "x", "a row").await;
    assert_eq!(*catalog(&fixture), text(&[("t", "a table")]));
    let view = fixture.store.newest_view().unwrap();
    fixture.put(system, "u", "another").await;
    let seen = view.catalog().unwrap().downcast::<Vec<(String, String)>>().unwrap();
    assert_eq!(*seen, text(&[("t", "a table")]));
    assert_eq!(catalog(&fixture).len(), 2);
    drop(view);
    fixture = fixture.reopen(options()).await;
    build(&fixture);
    assert_eq!(catalog(&fixture).len(), 2);
}

#[tokio::test]
async fn several_commits_of_one_batch_are_published_together() {
    let fixture = Arc::new(Fixture::new());
    fixture.log.pause();
    let mut tasks = Vec::new();
    for n in 0..10 {
        let fixture = fixture.clone();
        tasks.push(tokio::task::spawn(async move {
            fixture.put(TREE, &format!("k{n}"), "v").await;
        }));
    }
    while fixture.log.waiting() < 10 {
        tokio::task::yield_now().await;
    }
    assert!(fixture.rows(TREE).is_empty());
    fixture.log.resume();
    assert_eq!(fixture.rows(TREE).len(), 10);
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn split_points_cut_a_tree_into_even_parts() {
    let fixture = Fixture::new();
    for tier in 0..2 {
        let mut txn = fixture.begin();
        for n in 0..40_000_u64 {
            txn.put(TREE, &(n * 2 + tier).to_be_bytes(), b"v").unwrap();
        }
        txn.commit().await.unwrap();
        let view = fixture.store.newest_view().unwrap();
        let points = view.split_points(TREE, &KeyRange::all(), 4).unwrap();
        assert_eq!(points.len(), 3, "tier {tier}");
        for (nth, point) in points.iter().enumerate() {
            let at = u64::from_be_bytes(point.as_slice().try_into().unwrap());
            let ideal = 20_000 * (nth as u64 + 1);
            assert!(at.abs_diff(ideal) < 6_000, "tier {tier}: {at} for {ideal}");
        }
        fixture.store.flush_now().await.unwrap();
    }
}

#[tokio::test]
async fn a_store_that_stops_says_so() {
    let fixture = Fixture::new();
    let mut txn = fixture.begin();
    txn.put(TREE, b"a", b"1").unwrap();
    fixture.store.shutdown().await.unwrap();
    assert!(matches!(txn.commit().await, Err(StorageError::ShuttingDown)));
    assert!(fixture.store.begin(repeatable()).is_err());
}
