//! What publishers are promised: once each by their ids, in time, as long as they live, at the version
//! that they expect.

use super::{lines, number, refused, run, value};
use crate::server::Server;

/// Waits in the server until a query tells `true`: each turn is a statement, woken by what it waits for.
fn until(client: &mut super::Client, sql: &str) {
    while value(client, sql) != "t" {
        std::thread::yield_now();
    }
}

/// A name publishes once, whoever uses it, also while another's transaction is under way and after a
/// restart.
#[test]
fn a_message_id_publishes_once() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let (mut one, mut two) = (server.connect(), server.connect());
    run(&mut one, "CREATE STREAM s PARTITIONS 3");
    run(&mut one, "BEGIN");
    let publish = "SELECT stream_publish('s', '{\"n\": 1}', key => 'a', message_id => 'order-1')";
    let id = value(&mut one, publish);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| value(&mut two, publish));
        until(&mut server.connect(), "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted");
        run(&mut one, "COMMIT");
        assert_eq!(other.join().unwrap(), id, "the id is the same");
    });
    assert_eq!(number(&mut one, "SELECT count(*) FROM s"), 1);
    // What is rolled back was not published.
    run(&mut one, "BEGIN");
    let other = "SELECT stream_publish('s', '{\"n\": 2}', message_id => 'order-2')";
    run(&mut one, other);
    run(&mut one, "ROLLBACK");
    run(&mut two, other);
    assert_eq!(number(&mut one, "SELECT count(*) FROM s"), 2);
    server.kill();
    let server = Server::start(data.path());
    let mut client = server.connect();
    run(&mut client, publish);
    let batch = "SELECT stream_publish_batch('s', '[{\"payload\": 1, \"message_id\": \"order-2\"}, \
                 {\"payload\": 3, \"message_id\": \"order-3\"}, \
                 {\"payload\": 3, \"message_id\": \"order-3\"}]')";
    assert_eq!(value(&mut client, batch), "1");
    assert_eq!(number(&mut client, "SELECT count(*) FROM s"), 3);
    // Outside the window a name is new again.
    run(&mut client, "ALTER STREAM s SET (window = '1 millisecond')");
    run(&mut client, "SELECT stream_publish('s', '4', message_id => 'order-4')");
    let again = "SELECT stream_publish('s', '4', message_id => 'order-4')";
    while number(&mut client, "SELECT count(*) FROM s") < 5 {
        run(&mut client, again);
    }
}

/// Delayed messages are published when their time has come, also after a restart; those past their
/// time to live are not there.
#[test]
fn messages_come_and_go_in_time() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let mut client = server.connect();
    run(&mut client, "CREATE STREAM s WITH (payload = 'text')");
    run(&mut client, "SELECT stream_create_group('s', 'g')");
    run(
        &mut client,
        "SELECT stream_publish('s', 'late', key => 'k', message_id => 'l', \
         deliver_at => now() + interval '1 second')",
    );
    run(&mut client, "SELECT stream_publish('s', 'past', deliver_at => now() - interval '1 day')");
    run(&mut client, "SELECT stream_publish('s', 'never', deliver_at => 'infinity')");
    assert_eq!(lines(&mut client, "SELECT payload FROM s"), ["past"]);
    // Its id is taken already.
    run(&mut client, "SELECT stream_publish('s', 'late', message_id => 'l')");
    server.kill();
    let server = Server::start(data.path());
    let mut client = server.connect();
    let poll = "SELECT text, clock_timestamp() >= published_at FROM \
                stream_poll('s', 'g', 'c', block_ms => 20000, max_messages => 1)";
    assert_eq!(lines(&mut client, poll), ["past t"]);
    assert_eq!(lines(&mut client, poll), ["late t"]);
    run(&mut client, "SELECT stream_ack('s', 'g', 0, '{0,1}'::bigint[])");
    assert_eq!(lines(&mut client, "SELECT payload FROM s ORDER BY \"offset\""), ["past", "late"]);
    let early = "SELECT count(*) FROM s WHERE payload = 'late' AND expires_at IS NOT NULL";
    assert_eq!(number(&mut client, early), 0);

    run(&mut client, "SELECT stream_publish('s', 'short', key => 'k', ttl => '1 second')");
    run(&mut client, "SELECT stream_publish('s', 'long', key => 'k', ttl => '1 day')");
    let shown = "SELECT coalesce(string_agg(payload, ' ' ORDER BY \"offset\"), '') FROM s";
    assert_eq!(value(&mut client, shown), "past late short long");
    // Whoever has a snapshot has its time.
    let mut reader = server.connect();
    run(&mut reader, "BEGIN ISOLATION LEVEL REPEATABLE READ");
    assert_eq!(value(&mut reader, shown), "past late short long");
    until(&mut client, "SELECT count(*) = 3 FROM s");
    assert_eq!(value(&mut client, shown), "past late long");
    assert_eq!(value(&mut reader, shown), "past late short long");
    run(&mut reader, "COMMIT");
    assert_eq!(value(&mut reader, shown), "past late long");
    let polled = "SELECT string_agg(text, ' ') FROM stream_poll('s', 'g', 'c')";
    assert_eq!(value(&mut client, polled), "long");
    assert_eq!(value(&mut client, "SELECT text FROM stream_last('s', 'k')"), "long");
}

/// Two publishers who expect the same version: one of them is told that it is not so.
#[test]
fn an_expected_version_is_kept_by_one_of_two() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let mut client = server.connect();
    run(&mut client, "CREATE STREAM s PARTITIONS 4");
    let (rounds, writers) = (15, 4);
    for expected in ["expected_version", "expected_offset"] {
        let won: usize = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..writers)
                .map(|writer| {
                    let server = &server;
                    scope.spawn(move || {
                        let mut client = server.connect();
                        let mut won = 0;
                        while won < rounds {
                            let asked = match expected {
                                "expected_version" => "SELECT stream_version('s', 'cart')",
                                _ => "SELECT coalesce(max(\"offset\"), -1) FROM s WHERE key = 'cart'",
                            };
                            let found = value(&mut client, asked);
                            let publish = format!(
                                "SELECT stream_publish('s', '{{\"by\": {writer}, \"after\": {found}}}', \
                                 key => 'cart', {expected} => {found})"
                            );
                            match client.run(&publish) {
                                Ok(_) => won += 1,
                                Err(error) => assert_eq!(error.sql_state(), Some("40001"), "{error}"),
                            }
                        }
                        won
                    })
                })
                .collect();
            writers.into_iter().map(|writer| writer.join().unwrap()).sum()
        });
        assert_eq!(won, rounds * writers);
    }
    let all = 2 * rounds * writers;
    assert_eq!(value(&mut client, "SELECT stream_version('s', 'cart')"), all.to_string());
    let after = "SELECT count(DISTINCT payload->>'after') FROM s WHERE key = 'cart'";
    // Version 30 of the first half may be an offset of the second.
    assert!(number(&mut client, after) >= u64::try_from(all / 2).unwrap());
    let wrong = "SELECT stream_publish('s', '1', key => 'cart', expected_version => 7)";
    assert_eq!(refused(&mut client, wrong), "40001");
    // Own messages count.
    run(&mut client, "BEGIN");
    for version in 0..3 {
        let sql = "SELECT stream_publish('s', '1', key => 'new', expected_version => ";
        run(&mut client, &format!("{sql}{version})"));
    }
    run(&mut client, "COMMIT");
    assert_eq!(value(&mut client, "SELECT stream_version('s', 'new')"), "3");
}

/// Messages go when they are too old; the offsets of those that stay are theirs.
#[test]
fn retention_removes_the_oldest() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let mut client = server.connect();
    run(&mut client, "CREATE STREAM aged PARTITIONS 2 WITH (retention = '1 second')");
    run(&mut client, "CREATE STREAM kept");
    for stream in ["aged", "kept"] {
        let rows = "SELECT 'k' || n, '{}' FROM generate_series(1, 50) n";
        run(&mut client, &format!("INSERT INTO {stream} (key, payload) {rows}"));
    }
    until(&mut client, "SELECT count(*) = 0 FROM aged");
    assert_eq!(number(&mut client, "SELECT count(*) FROM kept"), 50);
    let next = "SELECT sum(next_offset) FROM stream_info('aged')";
    assert_eq!(value(&mut client, next), "50", "offsets go on");
    run(&mut client, "INSERT INTO aged (key, payload) VALUES ('k1', '{}')");
    let first = "SELECT \"offset\" > 0 FROM stream_last('aged', 'k1')";
    assert_eq!(value(&mut client, first), "t");
}

/// While messages come without an end, trees are closed and dropped beneath them: whoever reads finds
/// what is kept without a gap, and no more than a limit of bytes lets be.
#[test]
fn retention_keeps_up_with_publishers() {
    const PUBLISHERS: u64 = 3;
    const BATCHES: u64 = 40;
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let mut client = server.connect();
    run(&mut client, "CREATE STREAM bounded PARTITIONS 2 WITH (retention_bytes = 262144)");
    let gaps = "SELECT count(*) FROM (SELECT partition FROM bounded GROUP BY partition \
                HAVING count(*) <> max(\"offset\") - min(\"offset\") + 1) AS gap";
    std::thread::scope(|scope| {
        let publish = |publisher: u64, mut client: super::Client| {
            let publish = format!(
                "INSERT INTO bounded (key, payload) \
                 SELECT 'k{publisher}', to_jsonb(repeat('x', 1000)) FROM generate_series(1, 20)"
            );
            for batch in 0..BATCHES {
                run(&mut client, &publish);
                if batch % 10 == 9 {
                    run(&mut client, "ALTER STREAM bounded ROTATE");
                }
            }
        };
        let publishers: Vec<_> = (0..PUBLISHERS)
            .map(|publisher| (publisher, server.connect()))
            .map(|(publisher, client)| scope.spawn(move || publish(publisher, client)))
            .collect();
        while !publishers.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            assert_eq!(number(&mut client, gaps), 0, "between the first and the last kept");
        }
    });
    let next = "SELECT sum(next_offset) FROM stream_info('bounded')";
    assert_eq!(number(&mut client, next), PUBLISHERS * BATCHES * 20, "each has its offset");
    // What is closed goes whole, and the trees of a burst are large: as long as messages come, they go.
    let size = "SELECT sum(length(payload::text)) FROM bounded";
    for _ in 0..8 {
        run(
            &mut client,
            "INSERT INTO bounded (payload) \
                          SELECT to_jsonb(repeat('x', 1000)) FROM generate_series(1, 100)",
        );
        until(&mut client, "SELECT pg_catalog.stream_due() IS NULL");
    }
    let kept = number(&mut client, size);
    assert!((200_000..2 * 262_144).contains(&kept), "{kept} bytes are kept");
}

/// Streams whose publishers never rest do not keep the others from being kept within their bounds.
#[test]
fn retention_reaches_every_stream() {
    const BUSY: usize = 3;
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let mut client = server.connect();
    let names: Vec<String> = (0..=BUSY).map(|nth| format!("s{nth}")).collect();
    for name in &names {
        run(&mut client, &format!("CREATE STREAM {name} WITH (retention_bytes = 262144)"));
    }
    let is_quiet = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let publish = |name: &str, client: &mut super::Client| {
            run(
                client,
                &format!(
                    "INSERT INTO {name} (payload) \
                 SELECT to_jsonb(repeat('x', 1000)) FROM generate_series(1, 100)"
                ),
            );
        };
        for name in &names[..BUSY] {
            let (mut client, is_quiet) = (server.connect(), &is_quiet);
            scope.spawn(move || {
                while !is_quiet.load(std::sync::atomic::Ordering::SeqCst) {
                    publish(name, &mut client);
                }
            });
        }
        // Twice moved on to another tree, it drops one.
        let (other, begun) = (&names[BUSY], std::time::Instant::now());
        let kept_whole = format!("SELECT first_offset = 0 FROM stream_info('{other}')");
        let mut is_reached = false;
        while !is_reached && begun.elapsed().as_secs() < 60 {
            publish(other, &mut client);
            is_reached = value(&mut client, &kept_whole) != "t";
        }
        is_quiet.store(true, std::sync::atomic::Ordering::SeqCst);
        assert!(is_reached, "nothing of {other} went in a minute");
    });
}

/// Filters on the time of publishing are bounds of the key, and find what reading everything finds,
/// also across trees and where messages were trimmed.
#[test]
fn a_time_is_found_without_reading_what_lies_outside() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let mut client = server.connect();
    run(&mut client, "CREATE STREAM s PARTITIONS 3");
    let filtered = "SELECT count(*) FROM s WHERE published_at > now() - interval '1 hour'";
    let plan = lines(&mut client, &format!("EXPLAIN (COSTS OFF) {filtered}"));
    assert!(plan.iter().any(|line| line.contains("Index Cond: (published_at >")), "{plan:?}");
    assert_eq!(number(&mut client, filtered), 0);
    for round in 0..12 {
        let publish = format!(
            "INSERT INTO s (key, payload) SELECT 'k' || n % 7, to_jsonb(n) \
             FROM generate_series(1, {}) n",
            1 + round * 5
        );
        run(&mut client, &publish);
        // Whoever asks for the offset is given the time before the commit.
        run(&mut client, "INSERT INTO s (payload) VALUES ('0') RETURNING \"offset\"");
        if round % 5 == 2 {
            run(&mut client, "ALTER STREAM s ROTATE");
        }
    }
    run(&mut client, "SELECT stream_trim('s', 20, 1)");
    let mut times = lines(&mut client, "SELECT DISTINCT published_at FROM s ORDER BY 1");
    times.extend(["infinity", "-infinity", "2001-01-01"].map(str::to_owned));
    assert!(times.len() > 15, "{times:?}");
    for time in &times {
        for comparison in [">", ">=", "<", "<=", "="] {
            let count = |client: &mut _, column: &str| {
                number(
                    client,
                    &format!("SELECT count(*) FROM s WHERE {column} {comparison} '{time}'"),
                )
            };
            let (by_key, by_all) =
                (count(&mut client, "published_at"), count(&mut client, "(published_at + '0')"));
            assert_eq!(by_key, by_all, "{comparison} {time}");
        }
        let between = format!(
            "SELECT count(*), sum(\"offset\") FROM s WHERE partition = 1 AND {{}} > '{}' AND {{}} <= '{time}'",
            times[3]
        );
        assert_eq!(
            lines(&mut client, &between.replace("{}", "published_at")),
            lines(&mut client, &between.replace("{}", "(published_at + '0')")),
            "{time}"
        );
    }
    assert_eq!(number(&mut client, "SELECT count(*) FROM s WHERE published_at > NULL"), 0);
}

/// A transaction may publish far more than memory takes: its messages get their offsets early, and are
/// there with its commit, dense and in order, also after a kill; what is rolled back leaves no gap.
#[test]
fn a_transaction_publishes_more_than_memory_takes() {
    let megabytes = crate::server::setting("AEGIS_BULK_MEGABYTES", 160);
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let mut client = server.connect();
    run(&mut client, "CREATE STREAM s PARTITIONS 2 WITH (payload = 'text')");
    run(&mut client, "INSERT INTO s (key, payload) VALUES ('k1', 'before'), ('k2', 'before')");
    let publish = |client: &mut _, megabytes: u64| {
        let rows = format!(
            "SELECT 'k' || n % 10, n || repeat('x', 4000) FROM generate_series(1, {}) n",
            megabytes * 250
        );
        run(client, &format!("INSERT INTO s (key, payload) {rows}"));
    };
    run(&mut client, "BEGIN");
    publish(&mut client, megabytes);
    run(&mut client, "ROLLBACK");
    assert_eq!(number(&mut client, "SELECT count(*) FROM s"), 2);
    let mut other = server.connect();
    run(&mut client, "BEGIN");
    publish(&mut client, megabytes);
    // Who sees a partition wait gives up; nobody else sees a message.
    run(&mut other, "SET lock_timeout = '100ms'");
    assert_eq!(
        refused(&mut other, "INSERT INTO s (key, payload) VALUES ('k1', 'between')"),
        "55P03"
    );
    assert_eq!(number(&mut other, "SELECT count(*) FROM s"), 2);
    let version = "SELECT stream_publish('s', 'mine', key => 'k1', expected_version => ";
    run(&mut client, &format!("{version}{})", 1 + megabytes * 25));
    run(&mut client, "COMMIT");
    run(&mut other, "INSERT INTO s (key, payload) VALUES ('k1', 'after'), ('k2', 'after')");
    let server = {
        server.kill();
        Server::start(data.path())
    };
    let mut client = server.connect();
    run(&mut client, "INSERT INTO s (key, payload) VALUES ('k1', 'last')");
    let all = megabytes * 250 + 6;
    assert_eq!(number(&mut client, "SELECT count(*) FROM s"), all);
    let dense = "SELECT count(*) FROM (SELECT partition, count(*) AS all, max(\"offset\") AS last FROM s \
                 GROUP BY partition) p WHERE p.all <> p.last + 1";
    assert_eq!(value(&mut client, dense), "0");
    let of_key = lines(
        &mut client,
        "SELECT left(text, 6) FROM stream_read('s', key => 'k1', max_messages => NULL)",
    );
    assert_eq!(of_key.len() as u64, megabytes * 25 + 4);
    assert_eq!(of_key[..2], ["before", "1xxxxx"]);
    assert_eq!(of_key[of_key.len() - 3..], ["mine", "after", "last"]);
    assert_eq!(number(&mut client, "SELECT stream_version('s', 'k1')"), megabytes * 25 + 4);
    // Times never fall along the offsets.
    let falls = "SELECT count(*) FROM s a JOIN s b ON b.partition = a.partition \
                 AND b.\"offset\" = a.\"offset\" + 1 WHERE b.published_at < a.published_at";
    assert_eq!(value(&mut client, falls), "0");
}
