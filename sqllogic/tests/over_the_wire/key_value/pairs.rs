//! A row of a table and a key in one transaction, in both orders: both or neither, whatever ends it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aegis_sqllogic::random::Random;
use aegis_sqllogic::wire::Client;

use super::connect;
use crate::server::{Server, setting};

/// What writes the one and the other under a name.
const WRITES: [fn(&str) -> String; 2] = [
    |name| format!("INSERT INTO item VALUES ('{name}')"),
    |name| format!("SELECT kv_put('item/{name}', '{name}')"),
];
/// What does and fails.
const FAILURES: [fn(&str) -> String; 2] = [
    |name| format!("INSERT INTO item VALUES ('{name}'), (NULL)"),
    |name| format!("SELECT kv_mput('{{\"item/{name}\": 1}}'), kv_incr('item/text')"),
];

/// The names that are in the table, and those that are among the keys, of one snapshot.
fn both(client: &mut Client) -> (Option<String>, Option<String>) {
    let answer = client
        .run(
            "SELECT (SELECT string_agg(name, ',' ORDER BY name) FROM item), \
             (SELECT string_agg(value, ',' ORDER BY key) FROM kv_scan('item/', max_keys => NULL) \
              WHERE key <> 'item/text')",
        )
        .unwrap();
    (answer.rows[0][0].clone(), answer.rows[0][1].clone())
}

fn prepare(client: &mut Client) {
    client.run("CREATE TABLE item (name text PRIMARY KEY)").unwrap();
    client.run("SELECT kv_put('item/text', 'no number')").unwrap();
}

#[test]
fn what_the_second_fails_undoes_the_first() {
    let (server, _data) = super::server();
    let mut client = server.connect();
    prepare(&mut client);
    let nothing = (None, None);
    for (one, other) in [(0, 1), (1, 0)] {
        // A failure ends the transaction.
        client.run("BEGIN").unwrap();
        client.run(&WRITES[one]("a")).unwrap();
        client.run(&FAILURES[other]("a")).unwrap_err();
        client.run("COMMIT").unwrap();
        assert_eq!(both(&mut client), nothing, "a failure, {one} then {other}");

        // A script is one transaction.
        client.run(&format!("{}; {}", WRITES[one]("a"), FAILURES[other]("a"))).unwrap_err();
        assert_eq!(both(&mut client), nothing, "a script, {one} then {other}");

        client.run("BEGIN; SAVEPOINT s").unwrap();
        client.run(&WRITES[one]("a")).unwrap();
        client.run(&FAILURES[other]("a")).unwrap_err();
        client.run("ROLLBACK TO s").unwrap();
        assert_eq!(both(&mut client), nothing, "rolled back, {one} then {other}");
        // What comes then is kept.
        client.run(&WRITES[one]("b")).unwrap();
        client.run("SAVEPOINT t").unwrap();
        client.run(&WRITES[other]("c")).unwrap();
        client.run("ROLLBACK TO t").unwrap();
        client.run(&WRITES[other]("b")).unwrap();
        client.run("COMMIT").unwrap();
        let kept = Some("b".to_owned());
        assert_eq!(both(&mut client), (kept.clone(), kept));
        client.run("BEGIN; DELETE FROM item; SELECT kv_delete('item/b'); COMMIT").unwrap();

        // A constraint that is looked at with the commit.
        client
            .run("CREATE TABLE late (name text REFERENCES item DEFERRABLE INITIALLY DEFERRED)")
            .unwrap();
        client.run("BEGIN").unwrap();
        client.run(&WRITES[one]("d")).unwrap();
        client.run(&WRITES[other]("d")).unwrap();
        client.run("INSERT INTO late VALUES ('nobody')").unwrap();
        client.run("COMMIT").unwrap_err();
        assert_eq!(both(&mut client), nothing, "a failed commit, {one} then {other}");
        client.run("DROP TABLE late").unwrap();
    }
    // Nor is a change told of that did not come to be.
    let told = client.run("SELECT DISTINCT key FROM kv_watch(from_revision => 0) ORDER BY 1");
    let keys: Vec<_> = told.unwrap().rows.concat();
    assert_eq!(keys, [Some("item/b".to_owned()), Some("item/text".to_owned())]);
}

const WRITERS: u64 = 4;

#[test]
fn both_or_neither_survive_a_kill() {
    let kills = setting("AEGIS_KILLS", 3);
    let seed = setting("AEGIS_SEED", 42);
    println!("AEGIS_SEED={seed} AEGIS_KILLS={kills}");
    let mut random = Random::new(seed);
    let data = tempfile::tempdir().unwrap();
    let mut server = Server::start(data.path());
    prepare(&mut server.connect());
    let mut acknowledged: Vec<String> = Vec::new();
    for life in 0..kills {
        let stop = AtomicBool::new(false);
        let time = Duration::from_millis(50 + random.below(400));
        let address = server.address.clone();
        let seeds: Vec<u64> = (0..WRITERS).map(|_| random.number()).collect();
        std::thread::scope(|scope| {
            let writers: Vec<_> = seeds
                .iter()
                .enumerate()
                .map(|(writer, seed)| {
                    let (address, stop) = (&address, &stop);
                    let names = format!("{life}-{writer}");
                    scope.spawn(move || write_until(address, &names, *seed, stop))
                })
                .collect();
            let (reader_address, reader_stop) = (&address, &stop);
            let reader = scope.spawn(move || read_until(reader_address, reader_stop));
            // The moment of the kill is the point of the test: nothing is awaited here.
            std::thread::sleep(time);
            server.kill();
            stop.store(true, Ordering::Relaxed);
            for writer in writers {
                acknowledged.extend(writer.join().unwrap());
            }
            reader.join().unwrap();
        });
        server = Server::start(data.path());
        let (rows, keys) = both(&mut server.connect());
        assert_eq!(rows, keys, "half a transaction, kill {life}");
        let rows = rows.unwrap_or_default();
        let there: std::collections::BTreeSet<&str> = rows.split(',').collect();
        for name in &acknowledged {
            assert!(there.contains(name.as_str()), "{name} was acknowledged, kill {life}");
        }
        assert!(there.iter().all(|name| !name.ends_with('x')), "rolled back, kill {life}");
        println!("kill {life} after {} ms: {} there", time.as_millis(), there.len());
    }
    assert!(acknowledged.len() > 10, "the writers wrote");
}

/// Writes pairs until the server is gone; the names that were acknowledged.
fn write_until(address: &str, names: &str, seed: u64, stop: &AtomicBool) -> Vec<String> {
    let Ok(mut client) = connect(address) else { return Vec::new() };
    let mut random = Random::new(seed);
    let mut acknowledged = Vec::new();
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let name = format!("{names}-{number}");
        let (one, other) = if random.below(2) == 0 { (0, 1) } else { (1, 0) };
        let lost = format!("{name}x");
        let script = format!(
            "BEGIN; {}; SAVEPOINT s; {}; {}; ROLLBACK TO s; {}; COMMIT",
            WRITES[one](&name),
            WRITES[other](&lost),
            WRITES[one](&lost),
            WRITES[other](&name)
        );
        match client.run(&script) {
            Ok(_) => acknowledged.push(name),
            Err(error) => {
                assert!(error.sql_state().is_none(), "the server is alive and refuses: {error}");
                break;
            }
        }
    }
    acknowledged
}

/// Looks at both until the server is gone.
fn read_until(address: &str, stop: &AtomicBool) {
    let Ok(mut client) = connect(address) else { return };
    while !stop.load(Ordering::Relaxed) {
        let looks = client.run(
            "SELECT (SELECT count(*) FROM item) - (SELECT count(*) FROM aegis.kv) + 1 \
             UNION ALL SELECT (SELECT count(*) FROM item) - kv_count('item/') + 1",
        );
        match looks {
            Ok(answer) => {
                assert_eq!(answer.rows.concat(), [Some("0".to_owned()), Some("0".to_owned())]);
            }
            Err(error) => {
                assert!(error.sql_state().is_none(), "the server is alive and refuses: {error}");
                return;
            }
        }
    }
}
