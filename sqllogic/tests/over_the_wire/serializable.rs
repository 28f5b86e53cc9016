//! Random histories of concurrent SERIALIZABLE transactions: those that committed must have an order
//! in which each could have run alone.
//!
//! ```text
//! T1 reads version a of k      T2 writes b over a      T3 reads b
//!      T1 ──rw──► T2 (it overwrote what T1 read)   T2 ──wr──► T3 (it read what T2 wrote)
//! ```
//!
//! Every write gives its row a number of its own, and is preceded by a read of the row, so that from
//! what the transactions saw follows who read whose version, and which version replaced which (Adya's
//! direct serialization graph). A cycle is an anomaly. The same histories at REPEATABLE READ must
//! show some, or the histories would prove nothing.
//!
//! `AEGIS_HISTORIES` sets how many, `AEGIS_SEED` what they do (in which order the server takes the
//! statements is chance), `AEGIS_ISOLATION_ADDRESS` another server, whose failures (40001) are then
//! to be compared with ours: the count is printed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Barrier;

use aegis_sqllogic::random::Random;
use aegis_sqllogic::wire::{Client, ClientError, Protocol};

use crate::server::{Server, setting};

/// Rows that are there at first have even keys; the others may be inserted.
const KEYS: u64 = 8;
const SESSIONS: u64 = 4;
const STEPS_MAX: u64 = 4;

/// A version of a row: the number that it holds. Below [`KEYS`]: as it was at first.
type Version = u64;

/// The number of a row that is deleted: of each key only one deletion can commit.
const fn gone(key: u64) -> Version {
    u64::MAX - key
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Read(u64),
    ReadRange(u64, u64),
    Write(u64, Version),
    Insert(u64, Version),
    Delete(u64),
}

/// What a transaction that committed has seen and done.
#[derive(Debug, Default)]
struct Seen {
    /// The version of a key that it read, itself written by another.
    reads: BTreeSet<(u64, Version)>,
    /// For each version that it wrote, the one that it replaced.
    writes: BTreeMap<(u64, Version), Version>,
}

enum Outcome {
    Committed(Seen),
    /// 40001
    Failed,
    /// 40P01, 23505
    Refused,
}

fn steps(random: &mut Random, transaction: u64) -> Vec<Step> {
    let read_only = random.below(4) == 0;
    let count = 1 + random.below(STEPS_MAX);
    let step = |at: u64, random: &mut Random| {
        let key = random.below(KEYS);
        let number = 1000 * (transaction + 1) + at;
        match random.below(if read_only { 3 } else { 7 }) {
            0 | 1 => Step::Read(key),
            2 => Step::ReadRange(key, key + 1 + random.below(KEYS)),
            3 if !key.is_multiple_of(2) => Step::Insert(key, number),
            4 if key.is_multiple_of(2) => Step::Delete(key),
            _ => Step::Write(key, number),
        }
    };
    (0..count).map(|at| step(at, random)).collect()
}

/// Runs the steps of one transaction.
fn run(client: &mut Client, level: &str, steps: &[Step]) -> Result<Seen, ClientError> {
    let mut seen = Seen::default();
    let mut own: BTreeMap<u64, Version> = BTreeMap::new();
    client.run(&format!("BEGIN ISOLATION LEVEL {level}"))?;
    let read = |client: &mut Client,
                seen: &mut Seen,
                own: &BTreeMap<u64, Version>,
                keys: std::ops::Range<u64>| {
        let (from, to) = (keys.start, keys.end);
        let query = if to == from + 1 {
            format!("SELECT k, v FROM h WHERE k = {from}")
        } else {
            format!("SELECT k, v FROM h WHERE k >= {from} AND k < {to}")
        };
        let number = |text: &Option<String>| text.as_deref().unwrap().parse::<u64>().unwrap();
        let rows = client.run(&query)?.rows;
        let found: BTreeMap<u64, Version> =
            rows.iter().map(|row| (number(&row[0]), number(&row[1]))).collect();
        for key in keys.clone().filter(|key| *key < KEYS) {
            // A key that is not there is not yet, or no more.
            let absent = if key.is_multiple_of(2) { gone(key) } else { key };
            let version = found.get(&key).copied().unwrap_or(absent);
            if own.get(&key) != Some(&version) {
                assert!(!own.contains_key(&key), "own write of {key} is not seen: {version}");
                seen.reads.insert((key, version));
            }
        }
        Ok::<_, ClientError>(found)
    };
    for step in steps {
        let (key, new, sql) = match *step {
            Step::Read(key) => {
                read(client, &mut seen, &own, key..key + 1)?;
                continue;
            }
            Step::ReadRange(from, to) => {
                read(client, &mut seen, &own, from..to)?;
                continue;
            }
            Step::Write(key, new) => (key, new, format!("UPDATE h SET v = {new} WHERE k = {key}")),
            Step::Insert(key, new) => (key, new, format!("INSERT INTO h VALUES ({key}, {new})")),
            Step::Delete(key) => (key, gone(key), format!("DELETE FROM h WHERE k = {key}")),
        };
        let found = read(client, &mut seen, &own, key..key + 1)?;
        let is_there = found.contains_key(&key);
        let fits = matches!(step, Step::Insert(..)) != is_there;
        if !fits {
            continue;
        }
        let before = found.get(&key).copied().unwrap_or(key);
        assert_eq!(client.run(&sql)?.tag.split(' ').next_back(), Some("1"), "{sql}");
        seen.writes.insert((key, new), before);
        own.insert(key, new);
    }
    client.run("COMMIT")?;
    Ok(seen)
}

/// Whether the committed transactions have no order: the numbers of those on a cycle.
fn cycle(committed: &[Seen]) -> Option<Vec<usize>> {
    let mut writer: BTreeMap<(u64, Version), usize> = BTreeMap::new();
    let mut replaced_by: BTreeMap<(u64, Version), usize> = BTreeMap::new();
    for (at, seen) in committed.iter().enumerate() {
        for ((key, version), before) in &seen.writes {
            writer.insert((*key, *version), at);
            let other = replaced_by.insert((*key, *before), at);
            assert!(other.is_none_or(|other| other == at), "a lost update: {at} and {other:?}");
        }
    }
    let mut after: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); committed.len()];
    for (at, seen) in committed.iter().enumerate() {
        for read in &seen.reads {
            after[at].extend(replaced_by.get(read).filter(|next| **next != at));
            if let Some(from) = writer.get(read).filter(|from| **from != at) {
                after[*from].insert(at);
            }
        }
        for ((key, _), before) in &seen.writes {
            if let Some(from) = writer.get(&(*key, *before)).filter(|from| **from != at) {
                after[*from].insert(at);
            }
        }
    }
    // Whoever comes after nobody that is left comes first; who is left at the end is on a cycle, or
    // behind one.
    let mut left: BTreeSet<usize> = (0..committed.len()).collect();
    while let Some(first) =
        left.iter().copied().find(|at| !left.iter().any(|other| after[*other].contains(at)))
    {
        left.remove(&first);
    }
    (!left.is_empty()).then(|| left.into_iter().collect())
}

/// What histories have come to.
#[derive(Debug, Default)]
struct Count {
    committed: u64,
    failed: u64,
    refused: u64,
    anomalies: u64,
}

fn histories(address: &str, database: &str, level: &str, random: &mut Random, many: u64) -> Count {
    let connect = || Client::connect(address, "postgres", database, Protocol::Simple).unwrap();
    let mut admin = connect();
    let mut clients: Vec<Client> = (0..SESSIONS).map(|_| connect()).collect();
    let mut count = Count::default();
    for history in 0..many {
        admin.run("TRUNCATE h").unwrap();
        admin
            .run(&format!("INSERT INTO h SELECT k, k FROM generate_series(0, {KEYS} - 1, 2) k"))
            .unwrap();
        let programs: Vec<Vec<Step>> = (0..SESSIONS).map(|at| steps(random, at)).collect();
        let start = Barrier::new(clients.len());
        let outcomes: Vec<Outcome> = std::thread::scope(|scope| {
            let sessions: Vec<_> = clients
                .iter_mut()
                .zip(&programs)
                .map(|(client, steps)| {
                    let start = &start;
                    scope.spawn(move || {
                        start.wait();
                        match run(client, level, steps) {
                            Ok(seen) => Outcome::Committed(seen),
                            Err(error) => {
                                client.run("ROLLBACK").unwrap();
                                match error.sql_state() {
                                    Some("40001") => Outcome::Failed,
                                    Some("40P01" | "23505") => Outcome::Refused,
                                    _ => panic!("{error}"),
                                }
                            }
                        }
                    })
                })
                .collect();
            sessions.into_iter().map(|session| session.join().unwrap()).collect()
        });
        let mut committed = Vec::new();
        for outcome in outcomes {
            match outcome {
                Outcome::Committed(seen) => committed.push(seen),
                Outcome::Failed => count.failed += 1,
                Outcome::Refused => count.refused += 1,
            }
        }
        count.committed += committed.len() as u64;
        if let Some(on_cycle) = cycle(&committed) {
            count.anomalies += 1;
            if level == "SERIALIZABLE" {
                println!("history {history}: {programs:?}\n{committed:?}\nno order: {on_cycle:?}");
            }
        }
    }
    count
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the same histories run against PostgreSQL too")]
fn serializable_transactions_have_an_order() {
    let many = setting("AEGIS_HISTORIES", 150);
    let seed = setting("AEGIS_SEED", 7);
    println!("AEGIS_SEED={seed} AEGIS_HISTORIES={many}");
    let data = tempfile::tempdir().unwrap();
    let elsewhere = std::env::var("AEGIS_ISOLATION_ADDRESS").ok();
    let server = elsewhere.is_none().then(|| Server::start(data.path()));
    let address = elsewhere.unwrap_or_else(|| server.as_ref().unwrap().address.clone());
    let database = format!("histories_{}", std::process::id());
    let admin = || Client::connect(&address, "postgres", "postgres", Protocol::Simple).unwrap();
    admin().run(&format!("CREATE DATABASE {database}")).unwrap();
    Client::connect(&address, "postgres", &database, Protocol::Simple)
        .unwrap()
        .run("CREATE TABLE h (k int PRIMARY KEY, v bigint NOT NULL)")
        .unwrap();
    let count = |level, seed| histories(&address, &database, level, &mut Random::new(seed), many);
    let serializable = count("SERIALIZABLE", seed);
    println!("SERIALIZABLE: {serializable:?}");
    // Which history shows an anomaly is chance, that some do is not.
    let shown = (0..20).any(|round| {
        let weaker = count("REPEATABLE READ", seed + round);
        println!("REPEATABLE READ: {weaker:?}");
        weaker.anomalies > 0
    });
    while admin().run(&format!("DROP DATABASE {database}")).is_err() {
        std::thread::yield_now();
    }
    assert_eq!(serializable.anomalies, 0);
    assert!(shown, "such histories show nothing");
    assert!(serializable.committed > serializable.failed, "too little commits to show anything");
}
