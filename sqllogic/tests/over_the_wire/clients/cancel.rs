//! CancelRequests: what runs ends with 57014, and the session lives on.

use std::time::Duration;

use bytes::Bytes;
use futures::{SinkExt, TryStreamExt, pin_mut};
use tokio_postgres::{CancelToken, NoTls};

use super::{Boxed, Session, Target, spawn, sql_state, told};

/// Cancels until the work has ended, so that no request comes too early for good.
async fn cancelled<T: Send + 'static>(
    token: CancelToken,
    work: Boxed<Result<T, tokio_postgres::Error>>,
) {
    let work = spawn(work);
    while !work.is_finished() {
        token.cancel_query(NoTls).await.unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let error = told(work.await.unwrap());
    assert_eq!(error.code().code(), "57014");
    assert_eq!(error.message(), "canceling statement due to user request");
}

async fn cancel_query(session: &std::sync::Arc<Session>, query: &str) {
    let (running, text) = (session.clone(), query.to_owned());
    let work = async move { running.query(&text, &[]).await };
    cancelled(session.cancel_token(), Box::pin(work)).await;
    assert_eq!(session.value::<i32>("SELECT 1").await, 1, "after {query}");
}

#[tokio::test]
async fn whatever_runs_can_be_cancelled() {
    let target = Target::new();
    let session = std::sync::Arc::new(target.in_schema("rust_cancel").await);
    session
        .run("CREATE TABLE t AS SELECT g AS i, g % 5 AS x FROM generate_series(1, 2000) g")
        .await;
    let endless = "generate_series(1, 100000) a, generate_series(1, 100000) b";
    for query in [
        format!("SELECT count(*) FROM {endless}"),
        "SELECT count(*) FROM t a, t b, t c WHERE a.x + b.x + c.x < 0".to_owned(),
        format!("SELECT a, b FROM {endless} ORDER BY (a * 31 + b) % 1000, a, b"),
        format!("SELECT a % 1000, sum(b) FROM {endless} GROUP BY 1"),
        format!("SELECT DISTINCT a + b FROM {endless}"),
        "SELECT pg_sleep(600)".to_owned(),
        format!("INSERT INTO t SELECT a, b FROM {endless}"),
        format!("DELETE FROM t WHERE i < (SELECT count(*) FROM {endless})"),
    ] {
        cancel_query(&session, &query).await;
    }
    assert_eq!(session.value::<i64>("SELECT count(*) FROM t").await, 2000);

    let stream = session.clone();
    let work = async move {
        let query = format!("SELECT a, repeat('x', 100) FROM {endless}");
        let none: [i32; 0] = [];
        let rows = stream.query_raw(&query, none).await?;
        rows.try_for_each(|_| std::future::ready(Ok(()))).await
    };
    cancelled(session.cancel_token(), Box::pin(work)).await;

    let out = session.clone();
    let work = async move {
        let copy = format!("COPY (SELECT a, repeat('x', 100) FROM {endless}) TO STDOUT");
        let parts = out.copy_out(&copy).await?;
        parts.try_for_each(|_| std::future::ready(Ok(()))).await
    };
    cancelled(session.cancel_token(), Box::pin(work)).await;

    let input = session.clone();
    let work = async move {
        let sink = input.copy_in::<_, Bytes>("COPY t FROM STDIN").await?;
        pin_mut!(sink);
        // The error comes with the end: until then the server lets everything pass.
        let token = input.cancel_token();
        for at in 0..200 {
            sink.send(Bytes::from("1\t1\n".repeat(1000))).await?;
            if at == 10 {
                token.cancel_query(NoTls).await?;
            }
        }
        sink.finish().await
    };
    assert_eq!(sql_state(work.await), "57014");
    assert_eq!(session.value::<i64>("SELECT count(*) FROM t").await, 2000);
}

#[tokio::test]
async fn waits_can_be_cancelled_and_time_out() {
    let target = Target::new();
    let session = std::sync::Arc::new(target.in_schema("rust_cancel_waits").await);
    session.run("CREATE TABLE t (i int PRIMARY KEY); INSERT INTO t VALUES (1)").await;
    let holder = target.join("rust_cancel_waits").await;
    holder.run("BEGIN; UPDATE t SET i = 2").await;
    cancel_query(&session, "UPDATE t SET i = 3").await;
    cancel_query(&session, "INSERT INTO t VALUES (2)").await;
    holder.run("LOCK TABLE t").await;
    cancel_query(&session, "SELECT * FROM t").await;
    session.run("SET statement_timeout = '30ms'").await;
    let error = told(session.query("SELECT * FROM t", &[]).await);
    assert_eq!(error.code().code(), "57014");
    assert_eq!(error.message(), "canceling statement due to statement timeout");
    session.run("SET statement_timeout = 0; SET lock_timeout = '30ms'").await;
    assert_eq!(sql_state(session.query("SELECT * FROM t", &[]).await), "55P03");
    holder.run("COMMIT").await;
    assert_eq!(session.value::<i32>("SELECT i FROM t").await, 2);
}

#[tokio::test]
async fn a_cancel_in_a_transaction_fails_its_block() {
    let target = Target::new();
    let mut session = target.in_schema("rust_cancel_block").await;
    session.run("CREATE TABLE t (i int)").await;
    let token = session.cancel_token();
    // Nothing runs: nothing happens.
    token.cancel_query(NoTls).await.unwrap();
    let mut transaction = session.transaction().await.unwrap();
    transaction.execute("INSERT INTO t VALUES (1)", &[]).await.unwrap();
    let savepoint = transaction.transaction().await.unwrap();
    let done = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (until, other) = (done.clone(), token.clone());
    let canceller = spawn(async move {
        while !until.load(std::sync::atomic::Ordering::Relaxed) {
            other.cancel_query(NoTls).await.unwrap();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    let error = told(savepoint.query("SELECT pg_sleep(600)", &[]).await);
    done.store(true, std::sync::atomic::Ordering::Relaxed);
    canceller.await.unwrap();
    assert_eq!(error.code().code(), "57014");
    assert_eq!(sql_state(savepoint.query("SELECT 1", &[]).await), "25P02");
    savepoint.rollback().await.unwrap();
    transaction.execute("INSERT INTO t VALUES (2)", &[]).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(session.printed("SELECT i FROM t ORDER BY i").await, ["1", "2"]);
}
