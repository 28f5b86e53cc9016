//! A row, a key and an event in one transaction: both or neither, for each ordered pair of two.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aegis_sqllogic::random::Random;
use aegis_sqllogic::wire::Client;

use super::{Place, number, refused, rows, run};
use crate::server::{Server, setting};

/// Where something can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Table,
    Key,
    Event,
}

impl What {
    /// Writes number `n` of a place.
    fn write(self, place: &str, n: u64) -> String {
        match self {
            Self::Table => format!("INSERT INTO item VALUES ('{place}', {n})"),
            Self::Key => format!("SELECT kv_put('{place}/{n}', '{n}')"),
            Self::Event => format!("SELECT stream_publish('s', '{n}', key => '{place}')"),
        }
    }

    /// What fails, and how.
    fn failure(self) -> (&'static str, &'static str) {
        match self {
            Self::Table => ("INSERT INTO item VALUES ('there', 0)", "23505"),
            Self::Key => ("SELECT kv_incr('word')", "22P02"),
            Self::Event => {
                ("SELECT stream_publish('s', '0', key => 'there', expected_version => 7)", "40001")
            }
        }
    }

    /// How many of a place there are.
    fn count(self, place: &str) -> String {
        match self {
            Self::Table => format!("(SELECT count(*) FROM item WHERE place = '{place}')"),
            Self::Key => format!("(SELECT kv_count('{place}/'))"),
            Self::Event => format!("(SELECT count(*) FROM s WHERE key = '{place}')"),
        }
    }
}

/// Each ordered pair, with a name.
fn pairs() -> Vec<(What, What, String)> {
    let all = [What::Table, What::Key, What::Event];
    let mut pairs = Vec::new();
    for first in all {
        for second in all {
            if first != second {
                pairs.push((first, second, format!("{first:?}{second:?}")));
            }
        }
    }
    pairs
}

fn prepare(client: &mut Client) {
    run(client, "CREATE TABLE item (place text, n int, PRIMARY KEY (place, n))");
    run(client, "CREATE STREAM s PARTITIONS 3");
    run(client, "INSERT INTO item VALUES ('there', 0)");
    run(client, "SELECT kv_put('word', 'no number')");
}

fn counts(client: &mut Client, first: What, second: What, place: &str) -> (u64, u64) {
    let sql = format!("SELECT {}, {}", first.count(place), second.count(place));
    let row = rows(client, &sql).remove(0);
    (row[0].parse().unwrap(), row[1].parse().unwrap())
}

#[test]
fn what_undoes_the_second_undoes_the_first() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let mut client = server.connect();
    prepare(&mut client);
    for (first, second, place) in pairs() {
        let write = |n| (first.write(&place, n), second.write(&place, n));
        let (one, two) = write(1);
        let (failure, code) = second.failure();
        // In a block, as one message of several statements, and in what a function does.
        run(&mut client, "BEGIN");
        run(&mut client, &one);
        assert_eq!(refused(&mut client, failure), code, "{place}");
        assert_eq!(run(&mut client, "COMMIT"), "ROLLBACK");
        assert_eq!(refused(&mut client, &format!("{one}; {failure}")), code, "{place}");
        assert_eq!(counts(&mut client, first, second, &place), (0, 0), "{place}");
        // Back to before both: neither.
        for sql in ["BEGIN", "SAVEPOINT a", &one, &two, "ROLLBACK TO a", "COMMIT"] {
            run(&mut client, sql);
        }
        assert_eq!(counts(&mut client, first, second, &place), (0, 0), "{place}");
        // Back to in between: the first alone, and only once.
        let (three, four) = write(2);
        for sql in ["BEGIN", &one, "SAVEPOINT a", &two] {
            run(&mut client, sql);
        }
        assert_eq!(refused(&mut client, failure), code, "{place}");
        for sql in ["ROLLBACK TO a", &three, &four, "ROLLBACK TO a", "RELEASE a", "COMMIT"] {
            run(&mut client, sql);
        }
        assert_eq!(counts(&mut client, first, second, &place), (1, 0), "{place}");
        for sql in ["BEGIN", &three, "SAVEPOINT a", &two, "RELEASE a", &four, "COMMIT"] {
            run(&mut client, sql);
        }
        assert_eq!(counts(&mut client, first, second, &place), (2, 2), "{place}");
    }
}

#[test]
fn a_snapshot_shows_both_or_neither() {
    let pairs_written = setting("AEGIS_PAIRS", 60);
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    prepare(&mut server.connect());
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (server, is_done) = (&server, &is_done);
        let writers: Vec<_> = pairs()
            .into_iter()
            .map(|(first, second, place)| {
                scope.spawn(move || {
                    let mut client = server.connect();
                    for n in 0..pairs_written {
                        let (one, two) = (first.write(&place, n), second.write(&place, n));
                        run(&mut client, &format!("BEGIN; {one}; {two}; COMMIT"));
                    }
                })
            })
            .collect();
        let reader = scope.spawn(move || {
            let mut client = server.connect();
            let mut looks = 0;
            while !is_done.load(Ordering::Relaxed) {
                run(&mut client, "BEGIN ISOLATION LEVEL REPEATABLE READ");
                for (first, second, place) in pairs() {
                    // In two statements: the snapshot is the transaction's.
                    let one = number(&mut client, &format!("SELECT {}", first.count(&place)));
                    let two = number(&mut client, &format!("SELECT {}", second.count(&place)));
                    assert_eq!(one, two, "{place}");
                }
                run(&mut client, "COMMIT");
                looks += 1;
            }
            looks
        });
        for writer in writers {
            writer.join().unwrap();
        }
        is_done.store(true, Ordering::Relaxed);
        println!("looked {} times", reader.join().unwrap());
    });
}

/// `AEGIS_KILLS` and `AEGIS_SEED` say how often and when.
#[test]
fn kills_leave_both_or_neither() {
    let kills = setting("AEGIS_KILLS", 3);
    let seed = setting("AEGIS_SEED", 42);
    println!("AEGIS_SEED={seed} AEGIS_KILLS={kills}");
    let mut random = Random::new(seed);
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    prepare(&mut server.connect());
    let place = Place::new(&server);
    let (server, total) = std::thread::scope(|scope| {
        let mut server = server;
        let server_place = &place;
        let writers: Vec<_> = pairs()
            .into_iter()
            .map(|(first, second, place)| {
                scope.spawn(move || write_until(server_place, first, second, &place))
            })
            .collect();
        for _ in 0..kills {
            // The moment of the kill is the point of the test: nothing is awaited here.
            std::thread::sleep(Duration::from_millis(20 + random.below(300)));
            server.kill();
            server = Server::start(data.path());
            place.move_to(Some(&server));
        }
        std::thread::sleep(Duration::from_millis(20 + random.below(300)));
        server.kill();
        server = Server::start(data.path());
        place.move_to(None);
        let total: u64 = writers.into_iter().map(|writer| writer.join().unwrap()).sum();
        (server, total)
    });
    let mut client = server.connect();
    let mut found = 0;
    for (first, second, place) in pairs() {
        let (one, two) = counts(&mut client, first, second, &place);
        assert_eq!(one, two, "{place}");
        found += one;
    }
    println!("{total} pairs were acknowledged, {found} are there");
    // Each writer may not know of one pair for each kill.
    assert!(found >= total && found <= total + 6 * (kills + 1), "{found} instead of {total}");
}

/// Writes pairs until there is no server any more; how many were acknowledged.
fn write_until(at: &Place, first: What, second: What, place: &str) -> u64 {
    let (mut life, mut acknowledged, mut n) = (0, 0, 0);
    while let Some(mut client) = at.connect(&mut life) {
        loop {
            n += 1;
            let (one, two) = (first.write(place, n), second.write(place, n));
            match client.run(&format!("BEGIN; {one}; {two}; COMMIT")) {
                Ok(_) => acknowledged += 1,
                Err(error) => {
                    assert!(
                        error.sql_state().is_none(),
                        "the server is alive and refuses: {error}"
                    );
                    break;
                }
            }
        }
    }
    acknowledged
}

/// Defaults and checks under COPY write in its transaction, and are undone with it.
#[test]
fn copy_calls_functions_that_write() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let mut client = server.connect();
    run(
        &mut client,
        "CREATE TABLE counted (id int PRIMARY KEY, n int DEFAULT kv_incr('n'), \
         CHECK (kv_incr('checks') > 0))",
    );
    let copy = "COPY counted (id) FROM STDIN";
    let answer = client.copy_in(copy, b"1\n2\n3\n").unwrap();
    assert_eq!(answer.tag, "COPY 3");
    assert_eq!(number(&mut client, "SELECT sum(n) FROM counted"), 6);
    assert_eq!(number(&mut client, "SELECT kv_get('checks')"), 3);
    let refused = client.copy_in(copy, b"4\n1\n").unwrap_err();
    assert_eq!(refused.sql_state(), Some("23505"));
    assert_eq!(number(&mut client, "SELECT kv_get('n')"), 3);
}
