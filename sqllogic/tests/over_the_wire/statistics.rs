//! What statements cost, over a server's stop and start and from many sessions at a time.

use crate::server::Server;

/// Runs and rows of the statements whose text begins so.
fn counted(server: &Server, text: &str) -> (i64, i64) {
    let sql = format!(
        "SELECT coalesce(sum(calls), 0), coalesce(sum(rows), 0) FROM pg_stat_statements \
         WHERE query LIKE '{text}%'"
    );
    let answer = server.connect().run(&sql).unwrap();
    let number = |column: usize| answer.rows[0][column].as_deref().unwrap().parse().unwrap();
    (number(0), number(1))
}

#[test]
fn figures_outlive_a_stop_and_not_a_crash() {
    let parent = tempfile::tempdir().unwrap();
    let data = parent.path().join("data");
    let server = Server::start(&data);
    let mut client = server.connect();
    client.run("CREATE EXTENSION pg_stat_statements").unwrap();
    client.run("CREATE TABLE t (a int)").unwrap();
    for _ in 0..3 {
        client.run("INSERT INTO t VALUES (1), (2)").unwrap();
    }
    drop(client);
    server.stop();

    let server = Server::start(&data);
    assert_eq!(counted(&server, "INSERT INTO t"), (3, 6));
    let mut client = server.connect();
    // The same statement is the same entry.
    client.run("INSERT INTO t VALUES (7), (8)").unwrap();
    assert_eq!(counted(&server, "INSERT INTO t"), (4, 8));
    drop(client);
    server.kill();

    let server = Server::start(&data);
    assert_eq!(counted(&server, "INSERT INTO t"), (0, 0));
    server.connect().run("SELECT a FROM t").unwrap();
    server.stop();
    let server = Server::start_with(&data, &["--pg-stat-statements-save", "false"]);
    assert_eq!(counted(&server, "SELECT a FROM t"), (0, 0));
    let answer = server.connect().run("SHOW pg_stat_statements.save").unwrap();
    assert_eq!(answer.rows[0][0].as_deref(), Some("off"));
}

#[test]
fn no_run_of_many_sessions_is_lost() {
    const SESSIONS: i64 = 8;
    const RUNS: i64 = 100;
    let data = tempfile::tempdir().unwrap();
    let server = Server::start_with(data.path(), &["--pg-stat-statements-max", "100"]);
    let mut client = server.connect();
    client.run("CREATE EXTENSION pg_stat_statements").unwrap();
    client.run("CREATE TABLE t (a int PRIMARY KEY, b int)").unwrap();
    client.run("INSERT INTO t SELECT g, g FROM generate_series(1, 10) g").unwrap();
    std::thread::scope(|scope| {
        for session in 0..SESSIONS {
            let server = &server;
            scope.spawn(move || {
                let mut client = server.connect();
                for run in 0..RUNS {
                    let key = (session + run) % 10 + 1;
                    client.run(&format!("SELECT b FROM t WHERE a = {key}")).unwrap();
                    client.run(&format!("UPDATE t SET b = b + 1 WHERE a > {}", run % 5)).unwrap();
                    // Others come and go: the two that are used most stay.
                    client
                        .run(&format!("SELECT b AS c{session}_{run}, {run} + b{}", {
                            format!(" FROM t WHERE a < 0{}", " AND b > 0".repeat(run as usize % 40))
                        }))
                        .unwrap();
                }
            });
        }
    });
    let runs = SESSIONS * RUNS;
    assert_eq!(counted(&server, "SELECT b FROM t WHERE a ="), (runs, runs));
    let updated: i64 = (0..RUNS).map(|run| 10 - run % 5).sum::<i64>() * SESSIONS;
    assert_eq!(counted(&server, "UPDATE t SET b = b"), (runs, updated));
    let mut client = server.connect();
    for at in 0..200 {
        client.run(&format!("SELECT {}", vec!["1"; at + 1].join(", "))).unwrap();
    }
    let answer = client.run("SELECT count(*) <= 100 FROM pg_stat_statements").unwrap();
    assert_eq!(answer.rows[0][0].as_deref(), Some("t"));
    let answer = client.run("SELECT dealloc > 0 FROM pg_stat_statements_info").unwrap();
    assert_eq!(answer.rows[0][0].as_deref(), Some("t"));
    assert_eq!(counted(&server, "SELECT b FROM t WHERE a ="), (runs, runs));
}
