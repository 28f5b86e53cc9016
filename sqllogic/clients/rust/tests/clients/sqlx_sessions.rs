//! What sqlx does besides values: migrations, transactions, pools, notifications, COPY, description.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use sqlx::error::ErrorKind;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgAdvisoryLock, PgListener, PgPoolOptions};
use sqlx::{Acquire, Connection, Either, Executor, PgConnection, Row};

use crate::support::{options, pool};

/// Nothing here takes as long, unless it never ends.
const LONG: Duration = Duration::from_secs(60);

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlx");

#[tokio::test(flavor = "multi_thread")]
async fn migrations_run_once_whoever_comes_first() {
    let pool = pool("sqlx_migrations").await;
    // All wait for the same advisory lock.
    let runs = (0..3).map(|_| MIGRATIONS.run(&pool));
    for done in futures::future::join_all(runs).await {
        done.unwrap();
    }
    let versions: Vec<i64> =
        sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success ORDER BY version")
            .fetch_all(&pool)
            .await
            .unwrap();
    assert_eq!(versions, [1, 2, 3, 4]);
    sqlx::query("INSERT INTO people (name) VALUES ('Ann')").execute(&pool).await.unwrap();
    let again = sqlx::query("INSERT INTO people (name) VALUES ('Ann')").execute(&pool).await;
    assert_eq!(again.unwrap_err().into_database_error().unwrap().constraint(), Some("people_name"));
    let loners: Vec<(i64, String)> =
        sqlx::query_as("SELECT id, name FROM loners").fetch_all(&pool).await.unwrap();
    assert_eq!(loners, [(1, "Ann".to_owned())]);
    MIGRATIONS.undo(&pool, 1).await.unwrap();
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM _sqlx_migrations")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(left, 1);
    MIGRATIONS.run(&pool).await.unwrap();
    sqlx::query("UPDATE _sqlx_migrations SET checksum = '\\x00' WHERE version = 2")
        .execute(&pool)
        .await
        .unwrap();
    let changed = MIGRATIONS.run(&pool).await.unwrap_err();
    assert!(matches!(changed, MigrateError::VersionMismatch(2)), "{changed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_nest_and_roll_back_when_dropped() {
    let pool = pool("sqlx_transactions").await;
    pool.execute("CREATE TABLE t (id int PRIMARY KEY)").await.unwrap();
    let mut outer = pool.begin().await.unwrap();
    outer.execute("INSERT INTO t VALUES (1)").await.unwrap();
    let mut inner = outer.begin().await.unwrap();
    inner.execute("INSERT INTO t VALUES (2)").await.unwrap();
    assert!(inner.execute("INSERT INTO t VALUES (2)").await.is_err());
    inner.rollback().await.unwrap();
    let mut inner = outer.begin().await.unwrap();
    inner.execute("INSERT INTO t VALUES (3)").await.unwrap();
    inner.commit().await.unwrap();
    outer.commit().await.unwrap();
    {
        let mut dropped = pool.begin().await.unwrap();
        dropped.execute("INSERT INTO t VALUES (4)").await.unwrap();
    }
    let mut strict =
        pool.begin_with("BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY").await.unwrap();
    let level: String =
        sqlx::query_scalar("SHOW transaction_isolation").fetch_one(&mut *strict).await.unwrap();
    assert_eq!(level, "serializable");
    let refused = strict.execute("INSERT INTO t VALUES (5)").await.unwrap_err();
    assert_eq!(refused.as_database_error().unwrap().code().unwrap(), "25006");
    strict.rollback().await.unwrap();
    let ids: Vec<i32> =
        sqlx::query_scalar("SELECT id FROM t ORDER BY id").fetch_all(&pool).await.unwrap();
    assert_eq!(ids, [1, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_have_their_parts() {
    let pool = pool("sqlx_errors").await;
    pool.execute(
        "CREATE TABLE parent (id int PRIMARY KEY); \
         CREATE TABLE child (id int NOT NULL, parent int REFERENCES parent, \
             CONSTRAINT small CHECK (id < 10))",
    )
    .await
    .unwrap();
    let cases = [
        ("INSERT INTO parent VALUES (1), (1)", "23505", ErrorKind::UniqueViolation, "parent_pkey"),
        ("INSERT INTO child VALUES (1, 9)", "23503", ErrorKind::ForeignKeyViolation, {
            "child_parent_fkey"
        }),
        ("INSERT INTO child VALUES (11)", "23514", ErrorKind::CheckViolation, "small"),
    ];
    for (sql, code, kind, constraint) in cases {
        let error = pool.execute(sql).await.unwrap_err().into_database_error().unwrap();
        assert_eq!(error.code().unwrap(), code, "{sql}");
        assert_eq!(error.constraint(), Some(constraint), "{sql}");
        assert_eq!(std::mem::discriminant(&error.kind()), std::mem::discriminant(&kind), "{sql}");
        let error = error.downcast::<sqlx::postgres::PgDatabaseError>();
        assert_eq!(error.schema(), Some("sqlx_errors"), "{sql}");
        assert!(error.detail().is_some(), "{sql}");
    }
    let error = pool.execute("INSERT INTO child VALUES (NULL)").await.unwrap_err();
    let error = error.into_database_error().unwrap();
    assert!(matches!(error.kind(), ErrorKind::NotNullViolation));
    assert_eq!(error.table(), Some("child"));
    let error = pool.execute("SELECT 1 +").await.unwrap_err().into_database_error().unwrap();
    let error = error.downcast::<sqlx::postgres::PgDatabaseError>();
    assert_eq!(error.message(), "syntax error at end of input");
    assert_eq!(error.position(), Some(sqlx::postgres::PgErrorPosition::Original(11)));
    // The session goes on.
    let one: i32 = sqlx::query_scalar("SELECT 1").fetch_one(&pool).await.unwrap();
    assert_eq!(one, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn listeners_hear_and_come_back() {
    let pool = pool("sqlx_listen").await;
    let mut listener = PgListener::connect_with(&pool).await.unwrap();
    listener.listen_all(["sqlx_one", "Sqlx \"two\""]).await.unwrap();
    sqlx::query("SELECT pg_notify('sqlx_one', $1)").bind("a").execute(&pool).await.unwrap();
    pool.execute("NOTIFY \"Sqlx \"\"two\"\"\", 'b'").await.unwrap();
    for (channel, payload) in [("sqlx_one", "a"), ("Sqlx \"two\"", "b")] {
        let heard = tokio::time::timeout(LONG, listener.recv()).await.unwrap().unwrap();
        assert_eq!((heard.channel(), heard.payload()), (channel, payload));
    }
    listener.unlisten("sqlx_one").await.unwrap();
    // A notification belongs to its transaction.
    let mut transaction = pool.begin().await.unwrap();
    transaction.execute("NOTIFY \"Sqlx \"\"two\"\"\", 'never'").await.unwrap();
    transaction.rollback().await.unwrap();
    pool.execute("NOTIFY sqlx_one, 'not heard'").await.unwrap();
    pool.execute("NOTIFY \"Sqlx \"\"two\"\"\", 'c'").await.unwrap();
    let heard = tokio::time::timeout(LONG, listener.recv()).await.unwrap().unwrap();
    assert_eq!(heard.payload(), "c");
    // The session is ended; the listener connects again and listens to the same channels.
    let ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                 WHERE query LIKE '%LISTEN%' AND application_name = 'sqlx suite' \
                     AND pid <> pg_backend_pid()";
    sqlx::query(ended).fetch_all(&pool).await.unwrap();
    let lost = tokio::time::timeout(LONG, listener.try_recv()).await.unwrap().unwrap();
    assert!(lost.is_none());
    let hears = async {
        // It is heard as soon as the new session listens.
        let told = async {
            loop {
                pool.execute("NOTIFY \"Sqlx \"\"two\"\"\", 'd'").await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            heard = listener.recv() => heard.unwrap(),
            () = told => unreachable!("it never ends"),
        }
    };
    let heard = tokio::time::timeout(LONG, hears).await.unwrap();
    assert_eq!(heard.payload(), "d");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_copied_in_and_out() {
    let pool = pool("sqlx_copy").await;
    pool.execute("CREATE TABLE t (id int, name text)").await.unwrap();
    let mut connection = pool.acquire().await.unwrap();
    let mut copy = connection.copy_in_raw("COPY t FROM STDIN WITH (FORMAT csv)").await.unwrap();
    copy.send("1,Ann\n2,\"B, \"\"C\"\"\"\n".as_bytes()).await.unwrap();
    copy.send("3,\n".as_bytes()).await.unwrap();
    assert_eq!(copy.finish().await.unwrap(), 3);
    let mut copy = connection.copy_in_raw("COPY t FROM STDIN").await.unwrap();
    copy.send("4\tnever\n".as_bytes()).await.unwrap();
    copy.abort("changed my mind").await.unwrap();
    let copy = connection.copy_in_raw("COPY t FROM STDIN").await;
    let mut copy = copy.unwrap();
    copy.send("x\ty\n".as_bytes()).await.unwrap();
    let wrong = copy.finish().await.unwrap_err().into_database_error().unwrap();
    assert_eq!(wrong.code().unwrap(), "22P02");
    let out = connection.copy_out_raw("COPY (SELECT * FROM t ORDER BY id) TO STDOUT").await;
    let chunks: Vec<_> = out.unwrap().try_collect().await.unwrap();
    let text: Vec<u8> = chunks.into_iter().flatten().collect();
    assert_eq!(String::from_utf8(text).unwrap(), "1\tAnn\n2\tB, \"C\"\n3\t\\N\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_stream_and_strings_hold_several_statements() {
    let pool = pool("sqlx_streams").await;
    let mut rows = sqlx::query("SELECT g FROM generate_series(1, $1) g").bind(100_000).fetch(&pool);
    let mut sum = 0_i64;
    while let Some(row) = rows.try_next().await.unwrap() {
        sum += i64::from(row.get::<i32, _>(0));
    }
    assert_eq!(sum, 5_000_050_000);
    drop(rows);
    // A stream that nobody reads to its end.
    let mut rows = sqlx::query("SELECT g FROM generate_series(1, 100000) g").fetch(&pool);
    assert!(rows.try_next().await.unwrap().is_some());
    drop(rows);
    let several = "CREATE TABLE t (id int); INSERT INTO t VALUES (1), (2); SELECT * FROM t";
    let mut results = sqlx::raw_sql(several).fetch_many(&pool);
    let (mut rows, mut affected) = (0, Vec::new());
    while let Some(result) = results.next().await {
        match result.unwrap() {
            Either::Left(done) => affected.push(done.rows_affected()),
            Either::Right(_) => rows += 1,
        }
    }
    assert_eq!((rows, affected), (2, vec![0, 2, 2]));
}

#[tokio::test(flavor = "multi_thread")]
async fn pools_hand_out_sessions_that_work() {
    drop(pool("sqlx_pools").await);
    let pool = PgPoolOptions::new()
        .max_connections(2)
        .acquire_timeout(Duration::from_millis(200))
        .after_connect(|connection, _| {
            Box::pin(async move {
                connection.execute("SET lock_timeout = '5s'").await?;
                Ok(())
            })
        })
        .connect_with(options("sqlx_pools").statement_cache_capacity(2))
        .await
        .unwrap();
    let (first, second) = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    assert!(matches!(pool.acquire().await.unwrap_err(), sqlx::Error::PoolTimedOut));
    drop((first, second));
    let timeout: String = sqlx::query_scalar("SHOW lock_timeout").fetch_one(&pool).await.unwrap();
    assert_eq!(timeout, "5s");
    // More statements than the cache holds: the oldest are closed.
    for number in 0..20 {
        let sql = format!("SELECT {number} + $1::int");
        let sum: i32 = sqlx::query_scalar(&sql).bind(1).fetch_one(&pool).await.unwrap();
        assert_eq!(sum, number + 1);
    }
    // A session that was ended in the pool is found out and replaced.
    let mut connection = pool.acquire().await.unwrap();
    let pid: i32 =
        sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut *connection).await.unwrap();
    drop(connection);
    let mut other = PgConnection::connect_with(&options("sqlx_pools")).await.unwrap();
    let ended: bool = sqlx::query_scalar("SELECT pg_terminate_backend($1)")
        .bind(pid)
        .fetch_one(&mut other)
        .await
        .unwrap();
    assert!(ended);
    for _ in 0..3 {
        let one: i32 = sqlx::query_scalar("SELECT 1").fetch_one(&pool).await.unwrap();
        assert_eq!(one, 1);
    }
    other.close().await.unwrap();
    pool.close().await;
    assert!(pool.is_closed());
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_are_described_as_macros_do() {
    let pool = pool("sqlx_describe").await;
    pool.execute(
        "CREATE TABLE a (id int PRIMARY KEY, name text); \
         CREATE TABLE b (id int PRIMARY KEY, a int NOT NULL REFERENCES a)",
    )
    .await
    .unwrap();
    // To find out which columns an outer join makes NULL it explains the statement in JSON.
    let described = pool
        .describe("SELECT b.id, a.id AS aid, a.name, 1 + $1::int AS sum FROM b LEFT JOIN a ON a.id = b.a")
        .await
        .unwrap();
    let nullable: Vec<Option<bool>> = (0..4).map(|at| described.nullable(at)).collect();
    assert_eq!(nullable, [Some(false), Some(true), Some(true), None]);
    let parameters = described.parameters().unwrap();
    assert_eq!(parameters.map_left(|types| types.len()), Either::Left(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn advisory_locks_exclude() {
    let pool = pool("sqlx_locks").await;
    let lock = PgAdvisoryLock::new("sqlx suite");
    let held = lock.acquire(pool.acquire().await.unwrap()).await.unwrap();
    let other = lock.try_acquire(pool.acquire().await.unwrap()).await.unwrap();
    let Either::Right(other) = other else { panic!("two hold the lock") };
    drop(held.release_now().await.unwrap());
    assert!(lock.try_acquire(other).await.unwrap().is_left());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_is_given_up_leaves_the_session_usable() {
    let pool = pool("sqlx_cancel").await;
    let mut connection = pool.acquire().await.unwrap();
    connection.execute("SET statement_timeout = '100ms'").await.unwrap();
    let slow = sqlx::query("SELECT pg_sleep(60)").execute(&mut *connection).await.unwrap_err();
    assert_eq!(slow.as_database_error().unwrap().code().unwrap(), "57014");
    connection.execute("RESET statement_timeout").await.unwrap();
    let one: i32 = sqlx::query_scalar("SELECT 1").fetch_one(&mut *connection).await.unwrap();
    assert_eq!(one, 1);
}
