//! Prepared statements used again, pipelines, portals, transactions, savepoints, notices.

use futures::future::try_join_all;
use futures::{TryStreamExt, pin_mut};
use tokio_postgres::{IsolationLevel, SimpleQueryMessage};

use super::{Target, spawn, sql_state, told};

#[tokio::test]
async fn a_prepared_statement_is_used_again() {
    let target = Target::new();
    let session = target.in_schema("rust_prepared").await;
    session.run("CREATE TABLE t (i int PRIMARY KEY, x text)").await;
    let insert = session.prepare("INSERT INTO t VALUES ($1, $2)").await.unwrap();
    for i in 0..100_i32 {
        let text = (i % 3 > 0).then(|| format!("x{i}"));
        assert_eq!(session.execute(&insert, &[&i, &text]).await.unwrap(), 1);
    }
    assert_eq!(sql_state(session.execute(&insert, &[&1_i32, &"again"]).await), "23505");
    assert_eq!(session.execute(&insert, &[&100_i32, &"after"]).await.unwrap(), 1);
    let select = session.prepare("SELECT x FROM t WHERE i = $1").await.unwrap();
    for i in (0..100_i32).rev() {
        let rows = session.query(&select, &[&i]).await.unwrap();
        let expected = (i % 3 > 0).then(|| format!("x{i}"));
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].get::<_, Option<String>>(0), expected);
    }
    assert!(session.query_opt(&select, &[&-1_i32]).await.unwrap().is_none());
    let prepared = "SELECT count(*) FROM pg_prepared_statements WHERE statement ~ ' t '";
    assert_eq!(session.value::<i64>(prepared).await, 3, "these two and itself");
    let shown = "SELECT statement, parameter_types::text, from_sql::text FROM pg_prepared_statements \
                 WHERE statement LIKE 'SELECT x%'";
    assert_eq!(
        session.printed(shown).await,
        ["SELECT x FROM t WHERE i = $1|{integer}|f".replace("|f", "|false")]
    );

    // Another session changes the table under it.
    let other = target.join("rust_prepared").await;
    other
        .run("ALTER TABLE t ADD COLUMN y int; CREATE INDEX ON t (x); UPDATE t SET x = 'new'")
        .await;
    assert_eq!(session.query_one(&select, &[&5_i32]).await.unwrap().get::<_, &str>(0), "new");
    let all = session.prepare("SELECT * FROM t WHERE i = $1").await.unwrap();
    assert_eq!(session.query_one(&all, &[&5_i32]).await.unwrap().len(), 3);
    other.run("ALTER TABLE t DROP COLUMN y").await;
    let error = told(session.query(&all, &[&5_i32]).await);
    assert_eq!(error.code().code(), "0A000");
    assert_eq!(error.message(), "cached plan must not change result type");
    other.run("DROP TABLE t").await;
    assert_eq!(sql_state(session.query(&select, &[&5_i32]).await), "42P01");
    other.run("CREATE TABLE t (x text, i int)").await;
    assert!(session.query(&select, &[&5_i32]).await.unwrap().is_empty());

    // Dropping the handles closes them before the next statement.
    drop((insert, select, all));
    session.run("SELECT 1").await;
    assert_eq!(session.value::<i64>(prepared).await, 1, "itself alone");
}

#[tokio::test]
async fn statements_in_a_pipeline_answer_in_order() {
    let target = Target::new();
    let session = target.in_schema("rust_pipeline").await;
    session.run("CREATE TABLE t (i int PRIMARY KEY)").await;
    let insert = session.prepare("INSERT INTO t VALUES ($1) RETURNING i").await.unwrap();
    let numbers: Vec<i32> = (0..500).collect();
    let inserted = numbers.iter().map(|i| {
        let (session, insert) = (&session, &insert);
        async move { session.query_one(insert, &[i]).await }
    });
    let rows = try_join_all(inserted).await.unwrap();
    assert!(rows.iter().zip(&numbers).all(|(row, i)| row.get::<_, i32>(0) == *i));
    // An error in the middle is the answer to its own statement alone.
    let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 1] = [&7_i32];
    let (before, failed, after) = futures::join!(
        session.query("SELECT 1", &[]),
        session.query(&insert, &parameters),
        session.query("SELECT count(*) FROM t", &[]),
    );
    assert_eq!(before.unwrap().len(), 1);
    assert_eq!(sql_state(failed), "23505");
    assert_eq!(after.unwrap()[0].get::<_, i64>(0), 500);
}

#[tokio::test]
async fn portals_give_rows_in_portions() {
    let target = Target::new();
    let mut session = target.in_schema("rust_portals").await;
    session.run("CREATE TABLE t (i int); INSERT INTO t SELECT generate_series(1, 1000)").await;
    let transaction = session.transaction().await.unwrap();
    let query = "SELECT i FROM t WHERE i > $1 ORDER BY i";
    let first = transaction.bind(query, &[&0_i32]).await.unwrap();
    let second = transaction.bind(query, &[&990_i32]).await.unwrap();
    let numbers = |rows: Vec<tokio_postgres::Row>| -> Vec<i32> {
        rows.iter().map(|row| row.get(0)).collect()
    };
    assert_eq!(numbers(transaction.query_portal(&first, 3).await.unwrap()), [1, 2, 3]);
    assert_eq!(
        numbers(transaction.query_portal(&second, 6).await.unwrap()),
        [991, 992, 993, 994, 995, 996]
    );
    // Another statement between does not disturb them, nor do they see what it does.
    transaction.execute("UPDATE t SET i = -i WHERE i < 10", &[]).await.unwrap();
    assert_eq!(numbers(transaction.query_portal(&first, 3).await.unwrap()), [4, 5, 6]);
    assert_eq!(numbers(transaction.query_portal(&second, 6).await.unwrap()), [997, 998, 999, 1000]);
    assert_eq!(transaction.query_portal(&second, 6).await.unwrap().len(), 0);
    let rest = numbers(transaction.query_portal(&first, 0).await.unwrap());
    assert_eq!(rest, (7..=1000).collect::<Vec<i32>>());
    let returning = "INSERT INTO t SELECT generate_series(2001, 2010) RETURNING i";
    let returning = transaction.bind(returning, &[]).await.unwrap();
    assert_eq!(numbers(transaction.query_portal(&returning, 2).await.unwrap()), [2001, 2002]);
    // All rows were inserted, however few were fetched.
    let count: i64 =
        transaction.query_one("SELECT count(*) FROM t WHERE i > 2000", &[]).await.unwrap().get(0);
    assert_eq!(count, 10);
    let endless = "SELECT 1 / (3 - a) FROM generate_series(1, 5) a";
    let failing = transaction.bind(endless, &[]).await.unwrap();
    let failed = told(transaction.query_portal(&failing, 10).await);
    assert_eq!(failed.code().code(), "22012");
    assert_eq!(sql_state(transaction.query_portal(&first, 1).await), "25P02");
    transaction.rollback().await.unwrap();
    assert_eq!(session.value::<i64>("SELECT count(*) FROM t WHERE i < 0").await, 0);
}

#[tokio::test]
async fn transactions_and_savepoints() {
    let target = Target::new();
    let mut session = target.in_schema("rust_transactions").await;
    let other = target.join("rust_transactions").await;
    session.run("CREATE TABLE t (i int PRIMARY KEY)").await;
    let numbers = "SELECT coalesce(string_agg(i::text, ' ' ORDER BY i), '') FROM t";

    let mut transaction = session.transaction().await.unwrap();
    transaction.execute("INSERT INTO t VALUES (1)", &[]).await.unwrap();
    assert_eq!(other.value::<String>(numbers).await, "");
    {
        let mut inner = transaction.transaction().await.unwrap();
        inner.execute("INSERT INTO t VALUES (2)", &[]).await.unwrap();
        assert_eq!(sql_state(inner.execute("INSERT INTO t VALUES (1)", &[]).await), "23505");
        assert_eq!(sql_state(inner.query("SELECT 1", &[]).await), "25P02");
        assert_eq!(sql_state(inner.savepoint("s").await), "25P02");
        // Dropped: rolled back to its savepoint.
    }
    let inner = transaction.savepoint("kept").await.unwrap();
    inner.execute("INSERT INTO t VALUES (3)", &[]).await.unwrap();
    inner.commit().await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(other.value::<String>(numbers).await, "1 3");

    // A dropped transaction is rolled back before the next statement.
    let transaction = session.transaction().await.unwrap();
    transaction.execute("DELETE FROM t", &[]).await.unwrap();
    drop(transaction);
    assert_eq!(session.value::<String>(numbers).await, "1 3");

    let read_only = session
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .await
        .unwrap();
    let seen: String = read_only.query_one(numbers, &[]).await.unwrap().get(0);
    other.run("INSERT INTO t VALUES (4)").await;
    let again: String = read_only.query_one(numbers, &[]).await.unwrap().get(0);
    assert_eq!((&*seen, &*again), ("1 3", "1 3"));
    assert_eq!(sql_state(read_only.execute("INSERT INTO t VALUES (5)", &[]).await), "25006");
    drop(read_only);

    let lost = session
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .start()
        .await
        .unwrap();
    lost.query(numbers, &[]).await.unwrap();
    other.run("DELETE FROM t WHERE i = 4").await;
    let error = told(lost.execute("UPDATE t SET i = 41 WHERE i = 4", &[]).await);
    assert_eq!(error.code().code(), "40001");
    assert_eq!(error.message(), "could not serialize access due to concurrent delete");
    drop(lost);
    assert_eq!(session.value::<String>(numbers).await, "1 3");
}

#[tokio::test]
async fn a_string_of_statements_is_one_transaction() {
    let target = Target::new();
    let session = target.in_schema("rust_simple").await;
    session.run("CREATE TABLE t (i int)").await;
    let failed = session.simple_query(
        "INSERT INTO t VALUES (1); INSERT INTO t VALUES (1/0); INSERT INTO t VALUES (3)",
    );
    assert_eq!(sql_state(failed.await), "22012");
    assert_eq!(session.value::<i64>("SELECT count(*) FROM t").await, 0);
    let messages = session
        .simple_query(
            "INSERT INTO t VALUES (1), (2); ; SELECT i, NULL FROM t; DELETE FROM t WHERE i = 1",
        )
        .await
        .unwrap();
    let mut told = Vec::new();
    for message in messages {
        told.push(match message {
            SimpleQueryMessage::Row(row) => format!("{:?} {:?}", row.get(0), row.get(1)),
            SimpleQueryMessage::CommandComplete(rows) => rows.to_string(),
            SimpleQueryMessage::RowDescription(columns) => format!("{} columns", columns.len()),
            _ => "other".to_owned(),
        });
    }
    assert_eq!(told, ["2", "2 columns", "Some(\"1\") None", "Some(\"2\") None", "2", "1"]);
    let committed = session.simple_query(
        "BEGIN; INSERT INTO t VALUES (5); COMMIT; INSERT INTO t VALUES (6); SELECT 1/0",
    );
    assert_eq!(sql_state(committed.await), "22012");
    assert_eq!(session.printed("SELECT i FROM t ORDER BY i").await, ["2", "5"]);
    // What needs a block finds one in a string of several, but no savepoints.
    let local = "LOCK TABLE t; SET LOCAL work_mem = '8MB'; SHOW work_mem";
    assert_eq!(session.printed(local).await, ["8MB"]);
    assert_eq!(session.printed("SHOW work_mem").await, ["4MB"]);
    assert_eq!(sql_state(session.simple_query("LOCK TABLE t").await), "25P01");
    assert_eq!(sql_state(session.simple_query("SELECT 1; SAVEPOINT s").await), "25P01");
    assert_eq!(sql_state(session.simple_query("SELECT 1; CREATE DATABASE nope").await), "25001");
}

#[tokio::test]
async fn a_lost_client_rolls_back() {
    let target = Target::new();
    let session = target.in_schema("rust_lost").await;
    session.run("CREATE TABLE t (i int PRIMARY KEY, who text)").await;
    let lost = target.join("rust_lost").await;
    lost.run("BEGIN; INSERT INTO t VALUES (1, 'lost')").await;
    // The handle goes first, then the connection says goodbye; the insert waits for it.
    drop(lost);
    session.run("INSERT INTO t VALUES (1, 'second')").await;

    let idle = target.join("rust_lost").await;
    idle.run("SET idle_in_transaction_session_timeout = '50ms'").await;
    idle.run("BEGIN; INSERT INTO t VALUES (2, 'idle')").await;
    session.run("INSERT INTO t VALUES (2, 'second')").await;
    assert!(idle.query("SELECT 1", &[]).await.unwrap_err().is_closed());

    let killed = target.join("rust_lost").await;
    let process: i32 = killed.value("SELECT pg_backend_pid()").await;
    killed.run("BEGIN; INSERT INTO t VALUES (3, 'killed')").await;
    let killing = session.query_one("SELECT pg_terminate_backend($1)", &[&process]).await.unwrap();
    assert!(killing.get::<_, bool>(0));
    session.run("INSERT INTO t VALUES (3, 'second')").await;
    assert!(killed.query("SELECT 1", &[]).await.is_err());

    let busy = target.join("rust_lost").await;
    let process: i32 = busy.value("SELECT pg_backend_pid()").await;
    session.run("CREATE TABLE marker ()").await;
    let sleeping = spawn(async move {
        busy.simple_query("LOCK TABLE marker; SELECT pg_sleep(600)").await.map(|_| ())
    });
    let probe = "LOCK TABLE marker NOWAIT; SELECT 1";
    while session.simple_query(probe).await.is_ok() {
        tokio::task::yield_now().await;
    }
    session.query("SELECT pg_terminate_backend($1)", &[&process]).await.unwrap();
    let error = told(sleeping.await.unwrap());
    assert_eq!((error.code().code(), error.severity()), ("57P01", "FATAL"));
    assert_eq!(session.value::<i64>("SELECT count(*) FROM t WHERE who = 'second'").await, 3);
}

#[tokio::test]
async fn notices_come_before_the_answer() {
    let target = Target::new();
    let mut session = target.in_schema("rust_notices").await;
    session.take_notices();
    session.run("DROP TABLE IF EXISTS nothing").await;
    session.run("CREATE TABLE a (i int PRIMARY KEY); CREATE TABLE b (i int REFERENCES a)").await;
    session.run("DROP TABLE a CASCADE").await;
    let notices: Vec<String> = session
        .take_notices()
        .iter()
        .map(|notice| {
            format!("{} {}: {}", notice.severity(), notice.code().code(), notice.message())
        })
        .collect();
    assert_eq!(
        notices,
        [
            "NOTICE 00000: table \"nothing\" does not exist, skipping",
            "NOTICE 00000: drop cascades to constraint b_i_fkey on table b",
        ]
    );
}

#[tokio::test]
async fn rows_stream() {
    let target = Target::new();
    let session = target.in_schema("rust_stream").await;
    let query =
        "SELECT g, CASE WHEN g % 3 > 0 THEN g::text END FROM generate_series(1, $1::int4) g";
    let none: [i32; 0] = [];
    let rows = session.query_raw(query, [50_000_i32]).await.unwrap();
    pin_mut!(rows);
    let mut expected = 0;
    while let Some(row) = rows.try_next().await.unwrap() {
        expected += 1;
        assert_eq!(row.get::<_, i32>(0), expected);
        let text = (expected % 3 > 0).then(|| expected.to_string());
        assert_eq!(row.get::<_, Option<String>>(1), text);
    }
    assert_eq!((expected, rows.rows_affected()), (50_000, Some(50_000)));
    let rows = session.query_raw("SELECT 1 / (40000 - g) FROM generate_series(1, 50000) g", none);
    let rows = rows.await.unwrap();
    pin_mut!(rows);
    let mut count = 0;
    let failed = loop {
        match rows.try_next().await {
            Ok(row) => {
                assert!(row.is_some(), "there must be an error");
                count += 1;
            }
            Err(error) => break error,
        }
    };
    assert_eq!(failed.code().unwrap().code(), "22012");
    assert!(count > 0, "rows before the error have come");
    assert_eq!(session.value::<i32>("SELECT 1").await, 1);
}
