//! Keys and values between sessions and across kills: linearizable, watched without a gap, expired to
//! the moment, whole together with rows of tables.
//!
//! `AEGIS_KILLS` sets how many kills, `AEGIS_SEED` what happens; both are printed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aegis_sqllogic::random::Random;
use aegis_sqllogic::wire::{Answer, Client, ClientError, Protocol, cancel};

use crate::server::{Server, setting};

#[path = "key_value/linearizable.rs"]
mod linearizable;
#[path = "key_value/pairs.rs"]
mod pairs;

use linearizable::{Asked, Operation, Told, is_linearizable};

fn connect(address: &str) -> Result<Client, ClientError> {
    Client::connect(address, "postgres", "postgres", Protocol::Simple)
}

fn server() -> (Server, tempfile::TempDir) {
    let data = tempfile::tempdir().unwrap();
    (Server::start(data.path()), data)
}

/// The first value of an answer.
fn first(answer: &Answer) -> Option<&str> {
    answer.rows.first()?.first()?.as_deref()
}

fn number(answer: &Answer) -> i64 {
    first(answer).and_then(|text| text.parse().ok()).unwrap()
}

const CLIENTS: u64 = 16;
const KEYS: u64 = 4;
const OPERATIONS: u64 = 60;

#[test]
fn histories_of_concurrent_clients_are_linearizable() {
    let seed = setting("AEGIS_SEED", 42);
    println!("AEGIS_SEED={seed}");
    let (server, _data) = server();
    let begun = Instant::now();
    let mut histories: Vec<Vec<Operation>> = vec![Vec::new(); usize::try_from(KEYS).unwrap()];
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let address = &server.address;
                scope.spawn(move || some_operations(address, seed ^ (client << 32), begun))
            })
            .collect();
        for client in clients {
            for (key, operation) in client.join().unwrap() {
                histories[key].push(operation);
            }
        }
    });
    for (key, history) in histories.iter().enumerate() {
        let overlaps = history
            .iter()
            .filter(|one| history.iter().any(|other| other.from > one.from && other.from < one.to));
        println!("key {key}: {} operations, {} overlap", history.len(), overlaps.count());
        assert!(is_linearizable(history), "the history of key {key} has no order");
        assert!(!is_linearizable(&violated(history)), "a planted violation is found");
    }
}

/// The history with one read of a value that its key never had.
fn violated(history: &[Operation]) -> Vec<Operation> {
    let mut changed = history.to_vec();
    let read = changed.iter_mut().find(|it| it.asked == Asked::Get).unwrap();
    read.told = Told::Value(Some(-1));
    changed
}

/// What one client does, and what it is told.
fn some_operations(address: &str, seed: u64, begun: Instant) -> Vec<(usize, Operation)> {
    let mut random = Random::new(seed);
    let mut client = connect(address).unwrap();
    let mut done = Vec::new();
    let now = || u64::try_from(begun.elapsed().as_nanos()).unwrap();
    // Few values, so that comparing finds equal ones.
    let value = |random: &mut Random| i64::try_from(random.below(4)).unwrap();
    for _ in 0..OPERATIONS {
        let key = random.below(KEYS);
        let maybe = |random: &mut Random| (random.below(3) > 0).then(|| value(random));
        let asked = match random.below(10) {
            0..=3 => Asked::Get,
            4..=5 => Asked::Put(value(&mut random)),
            6 => Asked::Delete,
            7..=8 => Asked::Cas(maybe(&mut random), maybe(&mut random)),
            _ => Asked::Incr(value(&mut random) + 1),
        };
        let text = |value: Option<i64>| value.map_or("NULL".into(), |it| format!("'{it}'"));
        let sql = match asked {
            Asked::Get => format!("SELECT kv_get('k{key}')"),
            Asked::Put(value) => format!("SELECT kv_put('k{key}', '{value}')"),
            Asked::Delete => format!("SELECT kv_delete('k{key}')"),
            Asked::Cas(old, new) => {
                format!("SELECT kv_cas('k{key}', {}::text, {})", text(old), text(new))
            }
            Asked::Incr(by) => format!("SELECT kv_incr('k{key}', {by})"),
        };
        let from = now();
        let answer = client.run(&sql).unwrap();
        let to = now();
        let told = match asked {
            Asked::Get | Asked::Incr(_) => {
                Told::Value(first(&answer).map(|text| text.parse().unwrap()))
            }
            Asked::Put(_) => Told::Version(number(&answer)),
            Asked::Delete | Asked::Cas(..) => Told::Done(first(&answer) == Some("t")),
        };
        done.push((usize::try_from(key).unwrap(), Operation { from, to, asked, told }));
    }
    done
}

/// A change as a watcher sees it.
#[derive(Clone, Debug)]
struct Change {
    revision: i64,
    key: String,
    operation: String,
    value: Option<String>,
    version: i64,
}

/// The changes behind a revision, waited for if there are none.
fn watched(client: &mut Client, behind: i64) -> Result<Vec<Change>, ClientError> {
    let answer = client.run(&format!(
        "SELECT revision, key, operation, value, version \
         FROM kv_watch(from_revision => {behind}, max_changes => 37, block_ms => 200)"
    ))?;
    let changes = answer.rows.into_iter().map(|row| {
        let mut row = row.into_iter();
        let mut next = || row.next().flatten();
        Change {
            revision: next().unwrap().parse().unwrap(),
            key: next().unwrap(),
            operation: next().unwrap(),
            value: next(),
            version: next().unwrap().parse().unwrap(),
        }
    });
    Ok(changes.collect())
}

#[test]
fn a_watch_has_no_gap_and_no_repeat_across_kills() {
    let kills = setting("AEGIS_KILLS", 3);
    let seed = setting("AEGIS_SEED", 42);
    println!("AEGIS_SEED={seed} AEGIS_KILLS={kills}");
    let mut random = Random::new(seed);
    let data = tempfile::tempdir().unwrap();
    let mut server = Server::start(data.path());
    server.connect().run("SELECT kv_put('k0', 'first')").unwrap();
    let mut seen: Vec<Change> = Vec::new();
    let mut acknowledged: BTreeSet<(String, i64)> = BTreeSet::new();
    for life in 0..kills {
        let stop = AtomicBool::new(false);
        let seeds: Vec<u64> = (0..4).map(|_| random.number()).collect();
        let time = Duration::from_millis(100 + random.below(400));
        let address = server.address.clone();
        std::thread::scope(|scope| {
            let writers: Vec<_> = seeds
                .iter()
                .map(|seed| {
                    let (address, stop) = (&address, &stop);
                    scope.spawn(move || write_until(address, *seed, stop))
                })
                .collect();
            let (watcher_address, watcher_stop, seen) = (&address, &stop, &mut seen);
            let watcher = scope.spawn(move || watch_until(watcher_address, seen, watcher_stop));
            // The moment of the kill is the point of the test: nothing is awaited here.
            std::thread::sleep(time);
            server.kill();
            stop.store(true, Ordering::Relaxed);
            for writer in writers {
                acknowledged.extend(writer.join().unwrap());
            }
            watcher.join().unwrap();
        });
        server = Server::start(data.path());
        println!("kill {life} after {} ms: {} changes seen", time.as_millis(), seen.len());
    }
    let mut client = server.connect();
    // Keys that expire do so within milliseconds, and are seen to.
    while number(&client.run("SELECT count(*) FROM aegis.kv WHERE expires_at > now()").unwrap()) > 0
    {
    }
    while first(&client.run("SELECT kv_sweep()").unwrap()) == Some("t") {}
    let last = number(&client.run("SELECT kv_revision()").unwrap());
    while seen.last().is_none_or(|change| change.revision < last) {
        let behind = seen.last().map_or(0, |change| change.revision);
        seen.extend(watched(&mut client, behind).unwrap());
    }
    let revisions: Vec<i64> = seen.iter().map(|change| change.revision).collect();
    assert_eq!(revisions, (1..=last).collect::<Vec<i64>>(), "each change once, in order");
    let told: BTreeSet<(String, i64)> =
        seen.iter().map(|change| (change.key.clone(), change.version)).collect();
    let missed: Vec<_> = acknowledged.difference(&told).collect();
    assert!(missed.is_empty(), "{missed:?} were acknowledged and not seen");
    let table = client.run("SELECT key, value FROM aegis.kv ORDER BY key").unwrap();
    let table: BTreeMap<String, String> = table
        .rows
        .into_iter()
        .map(|row| (row[0].clone().unwrap(), row[1].clone().unwrap()))
        .collect();
    assert_eq!(replayed(&seen), table, "what was watched gives what is there");
    assert!(acknowledged.len() > 10, "the writers wrote");
}

/// What is there after some changes.
fn replayed(changes: &[Change]) -> BTreeMap<String, String> {
    let mut state = BTreeMap::new();
    let mut versions: BTreeMap<&str, i64> = BTreeMap::new();
    for change in changes {
        let before = versions.insert(&change.key, change.version);
        assert!(before.is_none_or(|it| it < change.version), "versions grow: {change:?}");
        match (change.operation.as_str(), &change.value) {
            ("put", Some(value)) => drop(state.insert(change.key.clone(), value.clone())),
            ("delete" | "expire", None) => drop(state.remove(&change.key)),
            other => panic!("{other:?}"),
        }
    }
    state
}

/// Writes until the server is gone; the keys and versions that were acknowledged.
fn write_until(address: &str, seed: u64, stop: &AtomicBool) -> Vec<(String, i64)> {
    let Ok(mut client) = connect(address) else { return Vec::new() };
    let mut random = Random::new(seed);
    let mut acknowledged = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let key = format!("k{}", random.below(20));
        let value = random.below(1000);
        let sql = match random.below(8) {
            0..=2 => format!("SELECT kv_put('{key}', '{value}')"),
            3 => format!("SELECT kv_put('{key}', '{value}', ttl => '{} ms')", 1 + value % 20),
            4 => {
                format!("BEGIN; SELECT kv_delete('{key}'); SELECT kv_put('{key}', 'again'); COMMIT")
            }
            5 => format!("BEGIN; SELECT kv_put('{key}', 'never'); ROLLBACK"),
            6 => format!("DELETE FROM aegis.kv WHERE key = '{key}' RETURNING false"),
            _ => format!(
                "INSERT INTO aegis.kv (key, value) VALUES ('{key}', 'row {value}') \
                 ON CONFLICT (namespace, key) DO UPDATE SET value = excluded.value \
                 RETURNING version"
            ),
        };
        match client.run(&sql) {
            Ok(answer) => {
                let version = first(&answer).and_then(|text| text.parse().ok());
                if let Some(version) = version.filter(|_| !sql.contains("ROLLBACK")) {
                    acknowledged.push((key, version));
                }
            }
            Err(error) => {
                assert!(error.sql_state().is_none(), "the server is alive and refuses: {error}");
                break;
            }
        }
    }
    acknowledged
}

fn watch_until(address: &str, seen: &mut Vec<Change>, stop: &AtomicBool) {
    let Ok(mut client) = connect(address) else { return };
    while !stop.load(Ordering::Relaxed) {
        let behind = seen.last().map_or(0, |change| change.revision);
        match watched(&mut client, behind) {
            Ok(changes) => seen.extend(changes),
            Err(error) => {
                assert!(error.sql_state().is_none(), "the server is alive and refuses: {error}");
                return;
            }
        }
    }
}

/// Runs a statement on a thread of its own, and returns once the server is seen to run it.
fn in_background(server: &Server, sql: &str) -> Background {
    let mut client = server.connect();
    let backend = client.backend;
    let statement = sql.to_owned();
    let outcome = std::thread::spawn(move || client.run(&statement));
    let mut observer = server.connect();
    let asks = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE pid = {} AND state = 'active'",
        backend.0
    );
    while number(&observer.run(&asks).unwrap()) == 0 && !outcome.is_finished() {}
    Background { outcome, backend }
}

struct Background {
    outcome: std::thread::JoinHandle<Result<Answer, ClientError>>,
    backend: (i32, i32),
}

/// Far less than the statements would wait.
const SOON: Duration = Duration::from_secs(30);

#[test]
fn a_watch_that_waits_ends_with_the_next_commit() {
    let (server, _data) = server();
    let mut client = server.connect();
    client.run("SELECT kv_create_namespace('other')").unwrap();
    let begun = Instant::now();
    let watch = "SELECT key, value FROM kv_watch(prefix => 'x/', block_ms => 600000)";

    // Other keys and other namespaces do not end it.
    let waits = in_background(&server, watch);
    client.run("SELECT kv_put('y/1', 'a'), kv_put('x/1', 'b', namespace => 'other')").unwrap();
    client.run("SELECT kv_put('x/1', 'c')").unwrap();
    let answer = waits.outcome.join().unwrap().unwrap();
    assert_eq!(answer.rows, [[Some("x/1".to_owned()), Some("c".to_owned())]]);

    // Nor does what was written before it began, until that is committed.
    client.run("BEGIN; SELECT kv_put('x/2', 'early')").unwrap();
    let waits = in_background(&server, watch);
    assert!(!waits.outcome.is_finished());
    client.run("COMMIT").unwrap();
    let answer = waits.outcome.join().unwrap().unwrap();
    assert_eq!(answer.rows, [[Some("x/2".to_owned()), Some("early".to_owned())]]);

    // Rows of the relation are keys.
    let waits = in_background(&server, watch);
    client.run("INSERT INTO aegis.kv (key, value) VALUES ('x/3', 'row')").unwrap();
    assert_eq!(first(&waits.outcome.join().unwrap().unwrap()), Some("x/3"));

    let waits = in_background(&server, watch);
    cancel(&server.address, waits.backend).unwrap();
    let error = waits.outcome.join().unwrap().unwrap_err();
    assert_eq!(error.sql_state(), Some("57014"), "{error}");

    let answer = client.run("SELECT * FROM kv_watch(prefix => 'x/', block_ms => 5)").unwrap();
    assert!(answer.rows.is_empty());
    assert!(begun.elapsed() < SOON, "nobody waited for the time to pass");
}

#[tokio::test]
async fn idle_connections_that_listen_are_woken() {
    use futures::{StreamExt, stream};
    use tokio_postgres::{AsyncMessage, NoTls};
    let (server, _data) = server();
    let (host, port) = server.address.rsplit_once(':').unwrap();
    let dsn = format!("host={host} port={port} user=postgres dbname=postgres");
    let (listener, mut connection) = tokio_postgres::connect(&dsn, NoTls).await.unwrap();
    let (heard, mut hears) = futures::channel::mpsc::unbounded();
    let drive = async move {
        let mut messages = stream::poll_fn(move |context| connection.poll_message(context));
        while let Some(Ok(message)) = messages.next().await {
            if let AsyncMessage::Notification(told) = message {
                let _nobody_hears =
                    heard.unbounded_send((told.channel().to_owned(), told.payload().to_owned()));
            }
        }
    };
    drop(crate::clients::spawn(drive));
    listener.batch_execute("LISTEN \"kv/default\"; LISTEN \"kv/orders\"").await.unwrap();
    let mut client = server.connect();
    client.run("SELECT kv_create_namespace('orders')").unwrap();
    client.run("BEGIN; SELECT kv_put('lost', '1'); ROLLBACK").unwrap();
    client.run("BEGIN; SAVEPOINT s; SELECT kv_put('too', '1'); ROLLBACK TO s; COMMIT").unwrap();
    client.run("SELECT kv_put('a', '1')").unwrap();
    client.run("SELECT kv_put('b', '1', namespace => 'orders')").unwrap();
    client.run("DELETE FROM aegis.kv WHERE key = 'a'").unwrap();
    for (channel, payload) in [("kv/default", "a"), ("kv/orders", "b"), ("kv/default", "a")] {
        let heard = tokio::time::timeout(SOON, hears.next()).await.unwrap().unwrap();
        assert_eq!(heard, (channel.to_owned(), payload.to_owned()));
    }
}

#[test]
fn keys_expire_with_the_time_of_the_snapshot() {
    let (server, _data) = server();
    let mut old = server.connect();
    let mut new = server.connect();
    new.run("SELECT kv_put('stays', 'x')").unwrap();
    let from = number(&new.run("SELECT kv_revision()").unwrap());
    let looks = "SELECT kv_get('t'), kv_exists('t'), kv_ttl('t') > '0', kv_count('t'), \
                 (SELECT count(*) FROM aegis.kv WHERE key = 't'), \
                 (SELECT count(*) FROM kv_scan('t'))";
    // The transaction must begin before the end of the key, however slow the machine is.
    let (seen, begun) = loop {
        let begun = Instant::now();
        new.run("SELECT kv_put('t', 'x', ttl => '300 ms')").unwrap();
        old.run("BEGIN ISOLATION LEVEL REPEATABLE READ").unwrap();
        let seen = old.run(looks).unwrap().rows;
        if seen[0][0].is_some() {
            break (seen, begun);
        }
        old.run("ROLLBACK").unwrap();
    };
    let texts = |row: &[Option<String>]| -> Vec<String> {
        row.iter().map(|value| value.clone().unwrap_or_else(|| "NULL".into())).collect()
    };
    assert_eq!(texts(&seen[0]), ["x", "t", "t", "1", "1", "1"]);
    // Others see it as long as it lives, and not a moment longer.
    loop {
        let row = texts(&new.run(looks).unwrap().rows[0]);
        match row[0].as_str() {
            "x" => assert_eq!(row, ["x", "t", "t", "1", "1", "1"]),
            _ => {
                assert_eq!(row, ["NULL", "f", "NULL", "0", "0", "0"]);
                assert!(begun.elapsed() >= Duration::from_millis(300), "it lived its time");
                break;
            }
        }
    }
    assert_eq!(old.run(looks).unwrap().rows, seen, "the snapshot goes on seeing it");
    // The chore removes it through the log, and tells.
    let changes = format!(
        "SELECT operation FROM kv_watch('t', from_revision => {from}, block_ms => 60000) \
         WHERE operation = 'expire'"
    );
    while new.run(&changes).unwrap().rows.is_empty() {}
    assert_eq!(old.run(looks).unwrap().rows, seen, "removed, it is still in the snapshot");
    old.run("COMMIT").unwrap();
    assert_eq!(texts(&old.run(looks).unwrap().rows[0]), ["NULL", "f", "NULL", "0", "0", "0"]);
}
