//! Sessions beside each other, and one session beside the clock.

use std::thread;

use crate::server::Server;

const SESSIONS: usize = 24;
const ROWS: usize = 40;

/// Whoever grabs values of a sequence commits them, and all the others wait for that commit: on no
/// thread that it needs.
#[test]
fn a_sequence_is_shared_by_all_who_insert() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path());
    let mut client = server.connect();
    client.run("CREATE TABLE counted (id bigserial PRIMARY KEY, session int, note text)").unwrap();
    thread::scope(|scope| {
        for session in 0..SESSIONS {
            let server = &server;
            scope.spawn(move || {
                let mut client = server.connect();
                for row in 0..ROWS {
                    let values = format!("VALUES ({session}, 'row {row}')");
                    client.run(&format!("INSERT INTO counted (session, note) {values}")).unwrap();
                }
            });
        }
    });
    let rows = client.run("SELECT count(*), count(DISTINCT session) FROM counted").unwrap().rows;
    assert_eq!(rows, [[Some((SESSIONS * ROWS).to_string()), Some(SESSIONS.to_string())]]);
}

/// A table is written anew where it gets a primary key: what an older snapshot would find there is
/// not what it saw before, and it says so.
#[test]
fn a_snapshot_does_not_read_under_a_younger_key() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path());
    let (mut reader, mut owner) = (server.connect(), server.connect());
    owner.run("CREATE TABLE item (id int, name text); CREATE TABLE other ()").unwrap();
    owner.run("INSERT INTO item SELECT g, 'n' || g FROM generate_series(1, 100) g").unwrap();
    reader.run("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM other").unwrap();
    owner.run("ALTER TABLE item ADD PRIMARY KEY (id)").unwrap();
    let refused = reader.run("SELECT count(*) FROM item").unwrap_err();
    assert_eq!(refused.sql_state(), Some("40001"));
    reader.run("ROLLBACK").unwrap();
    // Who makes the key sees the rows under any snapshot.
    owner.run("ALTER TABLE item DROP CONSTRAINT item_pkey").unwrap();
    owner.run("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM other").unwrap();
    reader.run("INSERT INTO other DEFAULT VALUES").unwrap();
    owner.run("ALTER TABLE item ADD PRIMARY KEY (id)").unwrap();
    let found = owner.run("SELECT name FROM item WHERE id = 7").unwrap().rows;
    assert_eq!(found, [[Some("n7".to_owned())]]);
    owner.run("COMMIT").unwrap();
}

/// What is prepared once tells the time of each run.
#[test]
fn a_prepared_statement_looks_at_the_clock_each_time() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let config = format!("postgresql://postgres@{}/postgres", server.address);
        let (client, connection) =
            tokio_postgres::connect(&config, tokio_postgres::NoTls).await.unwrap();
        drop(crate::clients::spawn(connection));
        let sql = "SELECT now()::text, statement_timestamp()::text, pg_sleep(0.001)::text";
        let statement = client.prepare(sql).await.unwrap();
        let mut last = (String::new(), String::new());
        for _ in 0..3 {
            let row = client.query_one(&statement, &[]).await.unwrap();
            let times: (String, String) = (row.get(0), row.get(1));
            assert!(times.0 > last.0 && times.1 > last.1, "{times:?} after {last:?}");
            last = times;
        }
    });
}

/// An index is no way to rows for a snapshot that is older than it.
#[test]
fn a_snapshot_does_not_use_a_younger_index() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path());
    let (mut reader, mut owner) = (server.connect(), server.connect());
    owner.run("CREATE TABLE item (id int, name text)").unwrap();
    owner.run("INSERT INTO item SELECT g, 'n' || g FROM generate_series(1, 5000) g").unwrap();
    reader.run("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM item").unwrap();
    owner.run("CREATE INDEX ON item (id)").unwrap();
    let found = reader.run("SELECT name FROM item WHERE id = 7").unwrap().rows;
    assert_eq!(found, [[Some("n7".to_owned())]]);
    reader.run("ROLLBACK").unwrap();
    let plan = reader.run("EXPLAIN SELECT name FROM item WHERE id = 7").unwrap().rows;
    assert!(plan.iter().flatten().flatten().any(|line| line.contains("item_id_idx")), "{plan:?}");
}

/// A query within a function takes for ever on the thread of its session; other sessions go on, and
/// one of them ends it.
#[test]
fn long_work_leaves_its_thread_to_others() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path());
    let (mut busy, mut other) = (server.connect(), server.connect());
    let body = "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b";
    busy.run(&format!("CREATE FUNCTION endless() RETURNS bigint LANGUAGE sql AS '{body}'"))
        .unwrap();
    thread::scope(|scope| {
        let endless = scope.spawn(move || busy.run("SELECT endless()").unwrap_err());
        let cancel = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity \
                      WHERE query = 'SELECT endless()' AND state = 'active'";
        while other.run(cancel).unwrap().rows == [[Some("0".to_owned())]] {
            thread::yield_now();
        }
        assert_eq!(endless.join().unwrap().sql_state(), Some("57014"));
    });
}

/// A server that stops in order leaves no gap in a sequence; a killed one does, and repeats nothing.
#[test]
fn a_sequence_goes_on_after_a_stop() {
    let directory = tempfile::tempdir().unwrap();
    let next = |server: &Server| -> i64 {
        let rows = server.connect().run("SELECT nextval('counted')").unwrap().rows;
        rows[0][0].as_deref().unwrap().parse().unwrap()
    };
    let server = Server::start(directory.path());
    server.connect().run("CREATE SEQUENCE counted").unwrap();
    let asked = "SELECT max(nextval('counted')) FROM generate_series(1, 500)";
    server.connect().run(asked).unwrap();
    server.stop();
    let server = Server::start(directory.path());
    assert_eq!(next(&server), 501);
    server.kill();
    let server = Server::start(directory.path());
    assert!(next(&server) > 501);
}
