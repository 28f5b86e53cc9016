//! Whoever follows a stream: COPY (SUBSCRIBE …), LISTEN, and polls that wait.

use std::pin::Pin;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::channel::mpsc;
use futures::{StreamExt, stream};
use tokio_postgres::{AsyncMessage, CancelToken, Client, CopyOutStream, NoTls};

use super::{lines, refused, run, value};
use crate::clients::spawn;
use crate::server::Server;

/// A client, what it is notified of, and what serves its connection.
async fn connect_by(
    server: &Server,
) -> (Client, mpsc::UnboundedReceiver<(String, String)>, tokio::task::JoinHandle<()>) {
    let config = format!("postgresql://postgres@{}/postgres", server.address);
    let (client, mut connection) = tokio_postgres::connect(&config, NoTls).await.unwrap();
    let (heard, hears) = mpsc::unbounded();
    let drive = async move {
        let mut messages = stream::poll_fn(move |context| connection.poll_message(context));
        while let Some(Ok(message)) = messages.next().await {
            if let AsyncMessage::Notification(it) = message {
                let told = (it.channel().to_owned(), it.payload().to_owned());
                let _nobody_hears = heard.unbounded_send(told);
            }
        }
    };
    let served = spawn(drive);
    (client, hears, served)
}

async fn connect(server: &Server) -> (Client, mpsc::UnboundedReceiver<(String, String)>) {
    let (client, hears, _served) = connect_by(server).await;
    (client, hears)
}

/// The lines that a subscription sends.
struct Tail {
    stream: Pin<Box<CopyOutStream>>,
    cancel: CancelToken,
    rest: Vec<u8>,
}

impl Tail {
    async fn begin(client: &Client, subscription: &str) -> Self {
        let stream = client.copy_out(&format!("COPY (SUBSCRIBE {subscription}) TO STDOUT")).await;
        let stream = stream.unwrap_or_else(|error| panic!("{subscription}: {error:?}"));
        Self { stream: Box::pin(stream), cancel: client.cancel_token(), rest: Vec::new() }
    }

    /// The fields of the next line.
    async fn next(&mut self) -> Vec<String> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                let line = String::from_utf8(line).unwrap();
                return line.trim_end_matches('\n').split('\t').map(str::to_owned).collect();
            }
            let more: Bytes = self.stream.next().await.expect("it never ends").unwrap();
            self.rest.extend_from_slice(&more);
        }
    }

    /// Offset and payload of the next line.
    async fn message(&mut self) -> (u64, String) {
        let fields = self.next().await;
        (fields[1].parse().unwrap(), fields[3].clone())
    }

    /// Ends it; the SQLSTATE with which it ended.
    async fn end(self) -> String {
        self.cancel.cancel_query(NoTls).await.unwrap();
        self.ending().await
    }

    /// The SQLSTATE with which it ends by itself.
    async fn ending(mut self) -> String {
        loop {
            match self.stream.next().await {
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    return error.as_db_error().expect("the server's").code().code().to_owned();
                }
                None => return "00000".to_owned(),
            }
        }
    }
}

/// It sends what is there from a place on, then what comes, in the order of offsets, and ends when it is
/// cancelled.
#[tokio::test]
async fn a_subscription_tails_until_it_is_cancelled() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let mut publisher = server.connect();
    run(&mut publisher, "CREATE STREAM s WITH (payload = 'text')");
    let publish = |client: &mut _, from: u64, to: u64| {
        let rows =
            format!("SELECT 'k' || n % 3, 'm' || n FROM generate_series({from}, {to} - 1) n");
        run(client, &format!("INSERT INTO s (key, payload) {rows}"));
    };
    publish(&mut publisher, 0, 2_500);
    let (client, _) = connect(&server).await;
    let mut tail = Tail::begin(&client, "TO s FROM EARLIEST").await;
    for n in 0..2_500 {
        assert_eq!(tail.message().await, (n, format!("m{n}")));
    }
    for n in 2_500..2_510 {
        publish(&mut publisher, n, n + 1);
        assert_eq!(tail.message().await, (n, format!("m{n}")));
    }
    // What is rolled back is never sent.
    run(&mut publisher, "BEGIN; INSERT INTO s (payload) VALUES ('lost'); ROLLBACK");
    publish(&mut publisher, 2_510, 2_511);
    assert_eq!(tail.message().await.1, "m2510");
    assert_eq!(tail.end().await, "57014");
    // The session goes on, and follows again.
    assert_eq!(
        client.query_one("SELECT count(*) FROM s", &[]).await.unwrap().get::<_, i64>(0),
        2_511
    );
    let mut tail =
        Tail::begin(&client, "TO s FROM 2509 WHERE key <> 'k1' AND payload LIKE 'm%'").await;
    assert_eq!(tail.message().await.0, 2_510);
    publish(&mut publisher, 2_511, 2_514);
    assert_eq!(tail.message().await.0, 2_511);
    assert_eq!(tail.message().await.0, 2_513);
    assert_eq!(tail.end().await, "57014");
    // From now on, and from a time on.
    let mut tail = Tail::begin(&client, "TO s").await;
    publish(&mut publisher, 2_514, 2_515);
    assert_eq!(tail.message().await.0, 2_514);
    assert_eq!(tail.end().await, "57014");
    let time = value(&mut publisher, "SELECT published_at FROM s WHERE \"offset\" = 2511");
    let mut tail = Tail::begin(&client, &format!("TO s FROM '{time}'")).await;
    assert_eq!(tail.message().await.0, 2_511);
    assert_eq!(tail.end().await, "57014");
    run(&mut publisher, "CREATE TABLE t (partition int, \"offset\" bigint)");
    for (wrong, code) in [
        ("COPY (SUBSCRIBE TO nowhere) TO STDOUT", "42P01"),
        ("COPY (SUBSCRIBE TO s FROM 'soon') TO STDOUT", "22007"),
        ("COPY (SUBSCRIBE TO s WHERE nothing > 1) TO STDOUT", "42703"),
        ("COPY (SUBSCRIBE TO s WHERE key) TO STDOUT", "42804"),
        ("COPY (SUBSCRIBE TO t) TO STDOUT", "42809"),
        ("COPY (SUBSCRIBE s) TO STDOUT", "42601"),
    ] {
        assert_eq!(refused(&mut publisher, wrong), code, "{wrong}");
    }
}

/// A transaction is told whole, of several partitions each in its order; whoever leaves leaves nothing.
#[tokio::test]
async fn subscribers_of_partitions_get_each_in_order() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let mut publisher = server.connect();
    run(&mut publisher, "CREATE STREAM s PARTITIONS 4");
    let mut tails = Vec::new();
    for _ in 0..3 {
        let (client, _, served) = connect_by(&server).await;
        tails.push((Tail::begin(&client, "TO s FROM EARLIEST").await, client, served));
    }
    let publish = "INSERT INTO s (key, payload) SELECT 'k' || n % 16, to_jsonb(n) \
                   FROM generate_series(1, 400) n";
    run(&mut publisher, publish);
    run(&mut publisher, publish);
    for (tail, ..) in &mut tails {
        let mut next = [0_u64; 4];
        for _ in 0..800 {
            let fields = tail.next().await;
            let partition: usize = fields[0].parse().unwrap();
            assert_eq!(fields[1], next[partition].to_string());
            next[partition] += 1;
        }
    }
    // Connections that break end theirs.
    for (.., served) in &tails {
        served.abort();
    }
    let active = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'COPY (SUBSCRIBE%'";
    while value(&mut publisher, active) != "0" {
        run(&mut publisher, "INSERT INTO s (payload) VALUES ('1')");
        // What served them is dropped meanwhile.
        tokio::task::yield_now().await;
    }
}

/// A subscription holds no lock: the stream can be altered meanwhile, and dropped, which ends it.
#[tokio::test]
async fn a_subscription_locks_nothing() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let mut publisher = server.connect();
    run(&mut publisher, "CREATE STREAM s WITH (payload = 'text')");
    let (client, _) = connect(&server).await;
    let mut tail = Tail::begin(&client, "TO s FROM EARLIEST").await;
    run(&mut publisher, "SET lock_timeout = '10s'");
    for n in 0..4 {
        let alter = ["SET (retention = '1 day')", "ROTATE", "RESET (retention)", "ROTATE"][n];
        run(&mut publisher, &format!("ALTER STREAM s {alter}"));
        run(&mut publisher, &format!("INSERT INTO s (payload) VALUES ('m{n}')"));
        assert_eq!(tail.message().await, (n as u64, format!("m{n}")));
    }
    run(&mut publisher, "DROP STREAM s");
    assert_eq!(tail.ending().await, "42P01");
}

/// Whoever may no longer read a stream is told nothing more.
#[tokio::test]
async fn a_subscription_ends_with_its_privilege() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let mut publisher = server.connect();
    run(&mut publisher, "CREATE STREAM s WITH (payload = 'text'); CREATE ROLE reader");
    run(&mut publisher, "GRANT SELECT ON s TO reader");
    let (client, _) = connect(&server).await;
    client.batch_execute("SET ROLE reader").await.unwrap();
    let mut tail = Tail::begin(&client, "TO s FROM EARLIEST").await;
    run(&mut publisher, "INSERT INTO s (payload) VALUES ('open')");
    assert_eq!(tail.message().await, (0, "open".to_owned()));
    run(&mut publisher, "REVOKE SELECT ON s FROM reader");
    run(&mut publisher, "INSERT INTO s (payload) VALUES ('closed')");
    assert_eq!(tail.ending().await, "42501");
}

/// While a reader takes nothing, publishing goes on, and the server holds no more for it than a batch.
#[tokio::test]
async fn a_slow_reader_costs_bounded_memory() {
    let megabytes = crate::server::setting("AEGIS_MEGABYTES", 200);
    let data = tempfile::tempdir().unwrap();
    let server = Server::start_with(data.path(), &["--memory", "64MB"]);
    let status = format!("/proc/{}/status", server.process_id());
    if !std::path::Path::new(&status).exists() {
        println!("this machine does not show the memory of processes");
        return;
    }
    let resident = || -> u64 {
        let text = std::fs::read_to_string(&status).unwrap();
        let line = text.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    };
    let mut publisher = server.connect();
    run(&mut publisher, "CREATE STREAM s WITH (payload = 'text')");
    let publish = "INSERT INTO s (payload) SELECT repeat(md5(n::text), 32) \
                   FROM generate_series(1, 4096) n";
    // What publishing takes itself: half of it before anybody reads.
    for _ in 0..megabytes / 8 {
        run(&mut publisher, publish);
    }
    let before = resident();
    let (client, _) = connect(&server).await;
    let mut tail = Tail::begin(&client, "TO s FROM EARLIEST").await;
    assert_eq!(tail.message().await.0, 0);
    let mut most = 0;
    for _ in 0..megabytes / 8 {
        run(&mut publisher, publish);
        most = most.max(resident());
    }
    println!("{before} MB resident before, {most} MB at most with a reader that does not read");
    assert!(most < before + 96, "{before} MB became {most} MB");
    // It is all there for it.
    let messages = megabytes / 8 * 2 * 4096;
    for n in 1..messages.min(10_000) {
        assert_eq!(tail.message().await.0, n);
    }
    assert_eq!(tail.end().await, "57014");
}

/// A session that listens to a stream hears of each commit while it is idle.
#[tokio::test]
async fn an_idle_listener_is_woken() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let mut publisher = server.connect();
    run(&mut publisher, "CREATE STREAM s; CREATE STREAM other");
    let (listener, mut hears) = connect(&server).await;
    listener.batch_execute("LISTEN \"stream/s\"").await.unwrap();
    run(&mut publisher, "BEGIN; INSERT INTO s (payload) VALUES ('1'); ROLLBACK");
    run(&mut publisher, "INSERT INTO other (payload) VALUES ('1')");
    for _ in 0..3 {
        run(&mut publisher, "INSERT INTO s (payload) VALUES ('1'), ('2')");
        let (channel, _) = hears.next().await.unwrap();
        assert_eq!(channel, "stream/s");
    }
    run(&mut publisher, "SELECT stream_publish('s', '3')");
    assert_eq!(hears.next().await.unwrap().0, "stream/s");
}

const WAITING: &str = "SELECT count(*) FROM pg_stat_activity \
                       WHERE query LIKE '%block_ms => 60000%' AND state = 'active' \
                       AND pid <> pg_backend_pid()";

/// A poll that waits returns when something is published, and holds up nobody meanwhile.
#[tokio::test]
async fn a_waiting_poll_returns_as_soon_as_there_is_something() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let mut publisher = server.connect();
    run(&mut publisher, "CREATE STREAM s PARTITIONS 2");
    run(&mut publisher, "SELECT stream_create_group('s', 'g')");
    let (client, _) = connect(&server).await;
    let poll = "SELECT partition, \"offset\" FROM stream_poll('s', 'g', 'c0', block_ms => 60000)";
    let waiter = spawn(async move { client.query(poll, &[]).await.unwrap().len() });
    while value(&mut publisher, WAITING) != "1" {
        tokio::task::yield_now().await;
    }
    let began = Instant::now();
    run(&mut publisher, "INSERT INTO s (partition, payload) VALUES (0, '1'), (1, '1')");
    assert_eq!(waiter.await.unwrap(), 2);
    println!("it came after {} ms", began.elapsed().as_millis());
    assert!(began.elapsed() < Duration::from_secs(20), "it did not wait for its time to end");
    // One that finds nothing comes back in time, and can be cancelled.
    run(&mut publisher, "SELECT stream_seek('s', 'g', 'latest')");
    let none = "SELECT * FROM stream_poll('s', 'g', 'c0', block_ms => 100)";
    assert!(lines(&mut publisher, none).is_empty());
    let (client, _) = connect(&server).await;
    let cancel = client.cancel_token();
    let poll = "SELECT * FROM stream_poll('s', 'g', 'c0', block_ms => 61000)";
    let waits = spawn(async move { client.query(poll, &[]).await.unwrap_err() });
    let waiting = WAITING.replace("60000", "61000");
    while value(&mut publisher, &waiting) != "1" {
        tokio::task::yield_now().await;
    }
    cancel.cancel_query(NoTls).await.unwrap();
    assert_eq!(waits.await.unwrap().as_db_error().unwrap().code().code(), "57014");
    assert_eq!(
        refused(&mut publisher, "SELECT * FROM stream_poll('s', 'g', 'c', block_ms => -1)"),
        "22023"
    );
}

/// Two consumers that wait know of each other: each gets its own partition.
#[tokio::test]
async fn waiting_consumers_get_each_its_own() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let mut publisher = server.connect();
    run(&mut publisher, "CREATE STREAM s PARTITIONS 2");
    run(&mut publisher, "SELECT stream_create_group('s', 'g')");
    let known = "SELECT consumer, partitions FROM stream_consumers('s', 'g') ORDER BY consumer";
    let known_then: [&[&str]; 2] = [&["c0 {0,1}"], &["c0 {0}", "c1 {1}"]];
    let mut waiters = Vec::new();
    for (at, consumer) in ["c0", "c1"].into_iter().enumerate() {
        let (client, _) = connect(&server).await;
        let poll = format!(
            "SELECT partition, \"offset\" FROM stream_poll('s', 'g', '{consumer}', block_ms => 60000)"
        );
        waiters.push(spawn(async move { client.query(&poll, &[]).await.unwrap() }));
        while lines(&mut publisher, known) != known_then[at] {
            tokio::task::yield_now().await;
        }
    }
    run(&mut publisher, "INSERT INTO s (partition, payload) VALUES (0, '1'), (1, '1')");
    let mut partitions = Vec::new();
    for waiter in waiters {
        let rows = waiter.await.unwrap();
        assert_eq!(rows.len(), 1, "one partition is each consumer's");
        partitions.push(rows[0].get::<_, i32>(0));
    }
    partitions.sort_unstable();
    assert_eq!(partitions, [0, 1]);
}

/// Who waits for messages or for changes of keys costs no thread, finds what lies in a new tree, and
/// hears that its stream is gone.
#[tokio::test]
async fn many_wait_without_a_thread() {
    let waiters_count = crate::server::setting("AEGIS_WAITERS", 150);
    let data = tempfile::tempdir().unwrap();
    let server = Server::start_with(data.path(), &["--max-connections", "6000"]);
    let mut publisher = server.connect();
    run(&mut publisher, "CREATE STREAM s WITH (payload = 'text'); CREATE STREAM gone");
    run(&mut publisher, "SELECT stream_create_group('s', 'g'), stream_create_group('gone', 'g')");
    run(&mut publisher, "SELECT kv_put('there', '1')");
    let mut waiters = Vec::new();
    for at in 0..waiters_count {
        let (client, _) = connect(&server).await;
        let wait = match at % 2 {
            0 => "SELECT text FROM stream_poll('s', 'g', 'c', 1, block_ms => 60000)",
            _ => "SELECT key FROM kv_watch(prefix => 'k', block_ms => 60000)",
        };
        waiters.push(spawn(async move {
            let rows = client.query(wait, &[]).await.unwrap();
            rows[0].get::<_, String>(0)
        }));
    }
    let (client, _) = connect(&server).await;
    let poll = "SELECT FROM stream_poll('gone', 'g', 'c', block_ms => 60000)";
    let hears = spawn(async move { client.query(poll, &[]).await.unwrap_err() });
    while value(&mut publisher, WAITING) != (waiters_count + 1).to_string() {
        tokio::task::yield_now().await;
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.process_id()));
    if let Ok(status) = status {
        let threads = status.lines().find_map(|line| line.strip_prefix("Threads:")).unwrap();
        println!("{waiters_count} wait, and the server has {} threads", threads.trim());
        assert!(threads.trim().parse::<u64>().unwrap() < 75, "{threads} threads");
    }
    run(&mut publisher, "ALTER STREAM s ROTATE");
    let polls = waiters_count.div_ceil(2);
    let messages = format!("SELECT 'm' || n FROM generate_series(1, {polls}) n");
    run(&mut publisher, &format!("INSERT INTO s (payload) {messages}"));
    run(&mut publisher, "SELECT kv_put('key', '1')");
    let mut heard = Vec::new();
    for waiter in waiters {
        heard.push(waiter.await.unwrap());
    }
    heard.sort();
    heard.dedup();
    // Each message once, and the key.
    assert_eq!(heard.len() as u64, polls + 1);
    run(&mut publisher, "DROP STREAM gone");
    assert_eq!(hears.await.unwrap().as_db_error().unwrap().code().code(), "42P01");
}
