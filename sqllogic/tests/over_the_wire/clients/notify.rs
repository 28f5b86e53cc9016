//! LISTEN and NOTIFY as clients hear them: after commits, in order, idle or between statements.

use futures::channel::mpsc;
use futures::{FutureExt, StreamExt, stream};
use tokio_postgres::{AsyncMessage, Client, NoTls, Notification};

use super::{Target, spawn};

/// A session and what it is notified of.
async fn listening(target: &Target) -> (Client, mpsc::UnboundedReceiver<Notification>) {
    let (client, mut connection) = tokio_postgres::connect(&target.dsn, NoTls).await.unwrap();
    let (heard, hears) = mpsc::unbounded();
    let drive = async move {
        let mut messages = stream::poll_fn(move |context| connection.poll_message(context));
        while let Some(Ok(message)) = messages.next().await {
            if let AsyncMessage::Notification(notification) = message {
                let _nobody_hears = heard.unbounded_send(notification);
            }
        }
    };
    drop(spawn(drive));
    (client, hears)
}

fn told(notification: &Notification) -> (&str, &str) {
    (notification.channel(), notification.payload())
}

#[tokio::test]
async fn notifications_come_after_commits_and_in_their_order() {
    let target = Target::new();
    let (listener, mut hears) = listening(&target).await;
    let (notifier, mut own) = listening(&target).await;
    listener.batch_execute("LISTEN rust_notify; LISTEN \"Rust Notify\"").await.unwrap();
    notifier.batch_execute("LISTEN rust_notify").await.unwrap();

    // An idle session hears at once; equal ones of a transaction once.
    notifier
        .batch_execute(
            "BEGIN; NOTIFY rust_notify, 'b'; NOTIFY rust_notify; NOTIFY rust_notify, 'b';
             SAVEPOINT s; NOTIFY rust_notify, 'lost'; ROLLBACK TO s;
             SELECT pg_notify('Rust Notify', 'c'); COMMIT;
             BEGIN; NOTIFY rust_notify, 'lost too'; ROLLBACK",
        )
        .await
        .unwrap();
    let process_id: i32 = notifier.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    for expected in [("rust_notify", "b"), ("rust_notify", ""), ("Rust Notify", "c")] {
        let notification = hears.next().await.unwrap();
        assert_eq!(told(&notification), expected);
        assert_eq!(notification.process_id(), process_id);
    }
    for expected in ["b", ""] {
        assert_eq!(told(&own.next().await.unwrap()), ("rust_notify", expected));
    }

    // In a transaction block nothing is heard before its end.
    listener.batch_execute("BEGIN; SELECT 1").await.unwrap();
    notifier.batch_execute("NOTIFY rust_notify, 'late'").await.unwrap();
    assert_eq!(told(&own.next().await.unwrap()), ("rust_notify", "late"));
    listener.batch_execute("SELECT 2").await.unwrap();
    assert!(hears.next().now_or_never().is_none(), "heard within a transaction block");
    listener.batch_execute("COMMIT").await.unwrap();
    assert_eq!(told(&hears.next().await.unwrap()), ("rust_notify", "late"));

    // Many notifiers: each one's own order is kept.
    for round in 0..50 {
        notifier
            .execute("SELECT pg_notify('rust_notify', $1)", &[&format!("{round}")])
            .await
            .unwrap();
    }
    for round in 0..50 {
        assert_eq!(told(&hears.next().await.unwrap()).1, format!("{round}"));
    }

    listener.batch_execute("UNLISTEN *").await.unwrap();
    notifier.batch_execute("NOTIFY rust_notify, 'unheard'").await.unwrap();
    listener.batch_execute("LISTEN rust_notify; NOTIFY rust_notify, 'last'").await.unwrap();
    assert_eq!(told(&hears.next().await.unwrap()).1, "last");
}
