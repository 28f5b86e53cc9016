//! Tables that are analyzed because they have changed, and what the planner makes of statistics.

use std::time::{Duration, Instant};

use aegis_sqllogic::wire::Client;

use crate::server::Server;

/// How long a turn of the server may take to be seen.
const TURN_MAX: Duration = Duration::from_secs(60);

fn number(client: &mut Client, sql: &str) -> i64 {
    let answer = client.run(sql).unwrap();
    answer.rows[0][0].as_deref().unwrap().parse().unwrap()
}

/// Asks until a table has been analyzed so often; how many rows it then has.
fn analyzed(client: &mut Client, table: &str, times: i64) -> i64 {
    let count =
        format!("SELECT autoanalyze_count FROM pg_stat_user_tables WHERE relname = '{table}'");
    let deadline = Instant::now() + TURN_MAX;
    while number(client, &count) < times {
        assert!(Instant::now() < deadline, "{table} is not analyzed");
    }
    number(client, &format!("SELECT reltuples FROM pg_class WHERE relname = '{table}'"))
}

fn changed(client: &mut Client, table: &str) -> i64 {
    let sql = "SELECT n_mod_since_analyze FROM pg_stat_user_tables WHERE relname = ";
    number(client, &format!("{sql}'{table}'"))
}

#[test]
fn a_table_that_has_changed_much_is_analyzed_and_another_is_not() {
    let data = tempfile::tempdir().unwrap();
    let flags = ["--autovacuum-naptime", "1", "--autovacuum-analyze-threshold", "20"];
    let server = Server::start_with(data.path(), &flags);
    let mut client = server.connect();
    let answer = client.run("SHOW autovacuum_naptime").unwrap();
    assert_eq!(answer.rows[0][0].as_deref(), Some("1s"));
    client.run("CREATE TABLE off (a int) WITH (autovacuum_enabled = off)").unwrap();
    client.run("CREATE TABLE few (a int)").unwrap();
    client.run("CREATE TABLE t (a int, b text)").unwrap();
    client.run("CREATE INDEX t_b ON t (lower(b))").unwrap();
    client.run("INSERT INTO off SELECT g FROM generate_series(1, 1000) g").unwrap();
    client.run("INSERT INTO few SELECT g FROM generate_series(1, 15) g").unwrap();
    client.run("BEGIN").unwrap();
    client.run("INSERT INTO few SELECT g FROM generate_series(1, 15) g").unwrap();
    client.run("ROLLBACK").unwrap();
    client.run("INSERT INTO t SELECT g % 3, 'x' FROM generate_series(1, 500) g").unwrap();
    assert_eq!(analyzed(&mut client, "t", 1), 500);
    let known = "SELECT count(*) FROM pg_stats WHERE tablename IN ('t', 't_b')";
    assert_eq!(number(&mut client, known), 3);
    assert_eq!((changed(&mut client, "t"), changed(&mut client, "few")), (0, 15));
    // A tenth of its rows and twenty more.
    client.run("UPDATE t SET a = 9 WHERE a = 1").unwrap();
    analyzed(&mut client, "t", 2);
    let none = "SELECT count(*) FROM pg_stat_user_tables WHERE relname IN ('off', 'few') \
                AND (autoanalyze_count > 0 OR last_autoanalyze IS NOT NULL)";
    assert_eq!(number(&mut client, none), 0);
    assert_eq!(changed(&mut client, "off"), 1000);
    client.run("ANALYZE off").unwrap();
    let once = "SELECT analyze_count FROM pg_stat_user_tables WHERE relname = 'off' \
                AND last_analyze > now() - interval '1 hour' AND n_mod_since_analyze = 0";
    assert_eq!(number(&mut client, once), 1);
}

#[test]
fn nobody_waits_for_it_and_what_is_locked_waits_for_its_turn() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start_with(data.path(), &["--autovacuum-naptime", "1"]);
    let mut client = server.connect();
    client.run("CREATE TABLE held (a int)").unwrap();
    client.run("CREATE TABLE free (a int)").unwrap();
    let mut holder = server.connect();
    client.run("INSERT INTO held SELECT g FROM generate_series(1, 300) g").unwrap();
    holder.run("BEGIN").unwrap();
    holder.run("LOCK held").unwrap();
    client.run("INSERT INTO free SELECT g FROM generate_series(1, 300) g").unwrap();
    assert_eq!(analyzed(&mut client, "free", 1), 300);
    let held = "SELECT autoanalyze_count FROM pg_stat_user_tables WHERE relname = 'held'";
    let before = number(&mut client, held);
    holder.run("COMMIT").unwrap();
    assert_eq!(analyzed(&mut client, "held", 1), 300);
    assert!(before <= 1);
    // A database goes whatever is analyzed in it.
    client.run("CREATE DATABASE other").unwrap();
    client.run("DROP DATABASE other").unwrap();
}

#[test]
fn a_server_that_is_told_so_analyzes_nothing() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start_with(data.path(), &["--autovacuum", "false"]);
    let answer = server.connect().run("SHOW autovacuum").unwrap();
    assert_eq!(answer.rows[0][0].as_deref(), Some("off"));
}

/// Tables with values of very different frequency.
const SKEWED: &[&str] = &[
    "CREATE TABLE customer (id int PRIMARY KEY, country text NOT NULL, segment int, name \
     text, active bool, signup date)",
    "INSERT INTO customer SELECT i, CASE WHEN i % 100 < 60 THEN 'DE' WHEN i % 100 < 85 \
     THEN 'FR' WHEN i % 100 < 97 THEN 'IT' ELSE 'X' || i % 29 END, CASE WHEN i % 20 = 0 \
     THEN NULL ELSE i % 7 END, 'name ' || i, i % 10 <> 0, date '2015-01-01' + (i * 7) % \
     3000 FROM generate_series(1, 5000) i",
    "CREATE INDEX customer_lower ON customer (lower(country))",
    "CREATE TABLE orders (id int PRIMARY KEY, customer_id int NOT NULL, status text, \
     total numeric(10,2))",
    "INSERT INTO orders SELECT i, CASE WHEN i % 3 = 0 THEN 1 + i % 50 ELSE 1 + (i * 7919) \
     % 5000 END, CASE WHEN i % 1000 = 0 THEN 'failed' WHEN i % 50 = 0 THEN 'open' WHEN i \
     % 10 = 0 THEN 'paid' ELSE 'done' END, ((i * 37) % 100000) / 100.0 FROM \
     generate_series(1, 8000) i",
    "CREATE INDEX orders_customer ON orders (customer_id)",
    "ANALYZE customer",
    "ANALYZE orders",
];

/// What PostgreSQL 15.18 estimates over the same tables.
const ESTIMATES: &[(f64, &str)] = &[
    (3000.0, "SELECT * FROM customer WHERE country = 'DE'"),
    (5.0, "SELECT * FROM customer WHERE country = 'X5'"),
    (2000.0, "SELECT * FROM customer WHERE country <> 'DE'"),
    (1850.0, "SELECT * FROM customer WHERE country IN ('FR', 'IT')"),
    (3150.0, "SELECT * FROM customer WHERE country NOT IN ('FR', 'IT')"),
    (2000.0, "SELECT * FROM customer WHERE country > 'E'"),
    (150.0, "SELECT * FROM customer WHERE country LIKE 'X%'"),
    (2000.0, "SELECT * FROM customer WHERE country NOT LIKE 'D%'"),
    (101.0, "SELECT * FROM customer WHERE name LIKE 'name 12%'"),
    (202.0, "SELECT * FROM customer WHERE name LIKE '%99%'"),
    (250.0, "SELECT * FROM customer WHERE segment IS NULL"),
    (170.0, "SELECT * FROM customer WHERE segment = 3 AND country = 'FR'"),
    (1759.0, "SELECT * FROM customer WHERE segment = 3 OR country = 'FR'"),
    (4072.0, "SELECT * FROM customer WHERE NOT segment = 3"),
    (4500.0, "SELECT * FROM customer WHERE active"),
    (500.0, "SELECT * FROM customer WHERE active IS NOT TRUE"),
    (312.0, "SELECT * FROM customer WHERE signup BETWEEN '2016-01-01' AND '2016-06-30'"),
    (500.0, "SELECT * FROM customer WHERE id <= 3000 AND id > 2500"),
    (7.0, "SELECT * FROM customer WHERE id IN (1, 2, 3, 4, 5, 6, 7)"),
    (1.0, "SELECT * FROM customer WHERE id = 77"),
    (3000.0, "SELECT * FROM customer WHERE lower(country) = 'de'"),
    (8.0, "SELECT * FROM orders WHERE status = 'failed'"),
    (55.0, "SELECT * FROM orders WHERE customer_id = 7"),
    (1.0, "SELECT * FROM orders WHERE customer_id = 3000"),
    (86.0, "SELECT * FROM orders WHERE total BETWEEN 100 AND 110.5"),
    (
        960.0,
        "SELECT * FROM orders o JOIN customer c ON o.customer_id = c.id WHERE c.country = 'IT'",
    ),
    (154523.0, "SELECT * FROM orders a JOIN orders b ON a.customer_id = b.customer_id"),
    (52272764.0, "SELECT * FROM orders a JOIN orders b ON a.status = b.status"),
    (
        4341.0,
        "SELECT * FROM customer c WHERE EXISTS (SELECT FROM orders o WHERE o.customer_id = c.id)",
    ),
    (
        659.0,
        "SELECT * FROM customer c WHERE NOT EXISTS (SELECT FROM orders o WHERE o.customer_id = c.id)",
    ),
    (224.0, "SELECT country, segment, count(*) FROM customer GROUP BY country, segment"),
    (
        151.0,
        "SELECT customer_id, sum(total) FROM orders WHERE status = 'open' GROUP BY customer_id",
    ),
    (
        32.0,
        "SELECT c.country, count(*) FROM orders o JOIN customer c ON o.customer_id = c.id GROUP BY c.country",
    ),
    (4.0, "SELECT DISTINCT status FROM orders"),
];

#[test]
fn estimates_are_near_those_of_postgresql() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let mut client = server.connect();
    for statement in SKEWED {
        client.run(statement).unwrap();
    }
    for (expected, query) in ESTIMATES {
        let plan = client.run(&format!("EXPLAIN {query}")).unwrap();
        let first = plan.rows[0][0].clone().unwrap();
        let (_, rest) = first.split_once("rows=").unwrap();
        let rows: f64 = rest.split(' ').next().unwrap().parse().unwrap();
        let near = rows <= expected * 2.0 && *expected <= rows * 2.0;
        assert!(near, "{query}: {rows} rows, PostgreSQL {expected}");
    }
}

#[test]
fn a_kept_plan_is_made_again_for_what_analyze_has_learnt_and_for_quite_other_values() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start_with(data.path(), &["--autovacuum", "false"]);
    let mut client = server.connect();
    client.run("CREATE TABLE t (id int PRIMARY KEY, kind text)").unwrap();
    client
        .run(
            "INSERT INTO t SELECT g, CASE WHEN g % 1000 = 0 THEN 'rare' ELSE 'often' END \
             FROM generate_series(1, 20000) g",
        )
        .unwrap();
    client.run("CREATE INDEX t_kind ON t (kind)").unwrap();
    client.run("PREPARE p (text) AS SELECT count(*) FROM t WHERE kind = $1").unwrap();
    let shown = |client: &mut Client, kind: &str| {
        let plan = client.run(&format!("EXPLAIN (COSTS OFF) EXECUTE p ('{kind}')")).unwrap();
        plan.rows.iter().map(|row| row[0].clone().unwrap()).collect::<Vec<_>>().join("\n")
    };
    let count = |client: &mut Client, kind: &str| number(client, &format!("EXECUTE p ('{kind}')"));
    assert!(shown(&mut client, "often").contains("Index Scan"), "nothing is known yet");
    assert_eq!((count(&mut client, "often"), count(&mut client, "rare")), (19980, 20));
    client.run("ANALYZE t").unwrap();
    assert!(shown(&mut client, "often").contains("Seq Scan"));
    assert!(shown(&mut client, "rare").contains("Index Scan"));
    for _ in 0..4 {
        assert_eq!((count(&mut client, "often"), count(&mut client, "rare")), (19980, 20));
    }
}
