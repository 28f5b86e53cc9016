//! Results larger than the server may hold: it streams, sorts on disk, and waits for slow readers.

use futures::{StreamExt, TryStreamExt, pin_mut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Target;

const MEBIBYTE: u64 = 1 << 20;

/// A server with little to use: what it answers below is many times that.
fn small() -> Target {
    Target::with_arguments(&["--memory", "128MB"])
}

/// By how many MiB the server has grown; 0 where that cannot be seen.
fn grown(target: &Target, before: Option<u64>) -> u64 {
    match (before, target.resident_bytes()) {
        (Some(before), Some(now)) => now.saturating_sub(before) / MEBIBYTE,
        _ => 0,
    }
}

#[tokio::test]
async fn a_result_streams_in_bounded_memory() {
    let target = small();
    let session = target.in_schema("rust_large").await;
    let before = target.resident_bytes();
    // 800 MB: 800 000 rows of 1 000 bytes.
    let query = "SELECT a, repeat('x', 1000) FROM generate_series(1, $1::int4) a, generate_series(1, 1000) b";
    let rows = session.query_raw(query, [800_i32]).await.unwrap();
    pin_mut!(rows);
    let (mut count, mut most) = (0_u64, 0);
    while let Some(row) = rows.try_next().await.unwrap() {
        count += 1;
        if count % 50_000 == 0 {
            assert_eq!(row.get::<_, &str>(1).len(), 1000);
            most = most.max(grown(&target, before));
        }
    }
    assert_eq!(count, 800_000);
    assert!(most < 300, "grew by {most} MiB");
}

#[tokio::test]
async fn a_sort_larger_than_memory_goes_through_disk() {
    let target = small();
    let session = target.in_schema("rust_large_sort").await;
    let before = target.resident_bytes();
    // 120 MB of keys, of which one query may hold 32.
    let query =
        "SELECT a, repeat('x', 400) || a FROM generate_series(1, $1::int4) a ORDER BY a % 1000, a";
    let rows = session.query_raw(query, [300_000_i32]).await.unwrap();
    pin_mut!(rows);
    let (mut count, mut last, mut most) = (0, (-1, -1), 0);
    while let Some(row) = rows.try_next().await.unwrap() {
        let a: i32 = row.get(0);
        assert!(last < (a % 1000, a), "{last:?} before {a}");
        last = (a % 1000, a);
        count += 1;
        if count % 20_000 == 0 {
            most = most.max(grown(&target, before));
        }
    }
    assert_eq!(count, 300_000);
    assert!(most < 300, "grew by {most} MiB");
}

#[tokio::test]
async fn portals_read_a_large_result_in_portions() {
    let target = small();
    let mut session = target.in_schema("rust_large_portal").await;
    let before = target.resident_bytes();
    let transaction = session.transaction().await.unwrap();
    let query =
        "SELECT a, repeat('x', 1000) FROM generate_series(1, 300) a, generate_series(1, 1000) b";
    let portal = transaction.bind(query, &[]).await.unwrap();
    let (mut count, mut most) = (0, 0);
    loop {
        let rows = transaction.query_portal(&portal, 5000).await.unwrap();
        count += rows.len();
        most = most.max(grown(&target, before));
        if rows.is_empty() {
            break;
        }
    }
    transaction.commit().await.unwrap();
    assert_eq!(count, 300_000);
    assert!(most < 300, "grew by {most} MiB");
}

/// A connection of bytes, so that nobody reads on behind the test's back.
async fn raw_connection(dsn: &str) -> TcpStream {
    let field = |name: &str| {
        let mut fields = dsn.split_whitespace().filter_map(|field| field.split_once('='));
        fields.find(|(key, _)| *key == name).map_or("postgres", |(_, value)| value)
    };
    let address = format!("{}:{}", field("host"), field("port"));
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut startup = vec![0, 3, 0, 0];
    for text in ["user", field("user"), "database", field("dbname"), ""] {
        startup.extend_from_slice(text.as_bytes());
        startup.push(0);
    }
    let length = u32::try_from(startup.len() + 4).unwrap();
    stream.write_all(&length.to_be_bytes()).await.unwrap();
    stream.write_all(&startup).await.unwrap();
    while read_message(&mut stream).await.0 != b'Z' {}
    stream
}

async fn read_message(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    let kind = stream.read_u8().await.unwrap();
    let length = stream.read_u32().await.unwrap();
    let mut body = vec![0; usize::try_from(length).unwrap() - 4];
    stream.read_exact(&mut body).await.unwrap();
    (kind, body)
}

async fn send_query(stream: &mut TcpStream, query: &str) {
    let length = u32::try_from(query.len() + 5).unwrap();
    stream.write_all(b"Q").await.unwrap();
    stream.write_all(&length.to_be_bytes()).await.unwrap();
    stream.write_all(query.as_bytes()).await.unwrap();
    stream.write_all(b"\0").await.unwrap();
}

#[tokio::test]
async fn a_reader_that_stops_holds_up_itself_alone() {
    let target = small();
    let session = target.in_schema("rust_large_slow").await;
    session.run("CREATE TABLE t (i int)").await;
    let before = target.resident_bytes();
    let mut slow = raw_connection(&target.dsn).await;
    let query =
        "SELECT repeat('x', 1000) FROM generate_series(1, 100) a, generate_series(1, 1000) b";
    send_query(&mut slow, query).await;
    assert_eq!(read_message(&mut slow).await.0, b'T');
    // It reads no more, while others work.
    for i in 0..300_i32 {
        session.execute("INSERT INTO t VALUES ($1)", &[&i]).await.unwrap();
    }
    assert_eq!(session.value::<i64>("SELECT sum(i) FROM t").await, 44_850);
    assert!(grown(&target, before) < 100, "grew by {} MiB", grown(&target, before));
    let mut rows = 0;
    loop {
        match read_message(&mut slow).await {
            (b'D', body) => {
                assert_eq!(body.len(), 2 + 4 + 1000);
                rows += 1;
            }
            (b'C', tag) => assert_eq!(tag, b"SELECT 100000\0"),
            (kind, _) => {
                assert_eq!(kind, b'Z');
                break;
            }
        }
    }
    assert_eq!(rows, 100_000);
    // One that goes away in the middle lets go of what it held.
    send_query(
        &mut slow,
        "BEGIN; LOCK TABLE rust_large_slow.t; SELECT repeat('x', 1000) FROM generate_series(1, 1000000)",
    )
    .await;
    loop {
        match read_message(&mut slow).await {
            (b'D', _) => break,
            (kind, body) => assert_ne!(kind, b'E', "{}", String::from_utf8_lossy(&body)),
        }
    }
    drop(slow);
    session.run("LOCK TABLE t; INSERT INTO t VALUES (1)").await;
    let rows = futures::stream::iter(session.printed("SELECT count(*) FROM t").await);
    assert_eq!(rows.collect::<Vec<_>>().await, ["301"]);
}
