//! What consumers of a group are promised: redelivery with a limit, order in a key, and the share of
//! those who are gone.

use super::{Client, lines, number, refused, run, value};
use crate::server::Server;

fn started() -> (tempfile::TempDir, Server, Client) {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let client = server.connect();
    (data, server, client)
}

/// What a poll gives: payloads, in order.
fn polled(client: &mut Client, stream: &str, consumer: &str, more: &str) -> Vec<String> {
    lines(
        client,
        &format!(
            "SELECT coalesce(payload #>> '{{}}', text) FROM \
             stream_poll('{stream}', 'g', '{consumer}'{more})"
        ),
    )
}

/// What nobody can process goes elsewhere, with the reason, and later messages of its key wait.
#[test]
fn what_fails_too_often_becomes_a_dead_letter() {
    let (_data, _server, mut client) = started();
    run(&mut client, "CREATE STREAM s WITH (payload = 'text')");
    run(&mut client, "CREATE STREAM dead WITH (payload = 'text')");
    run(
        &mut client,
        "SELECT stream_create_group('s', 'g', max_deliveries => 3, backoff => '20 milliseconds', \
         dead_letter => 'dead')",
    );
    run(
        &mut client,
        "INSERT INTO s (key, payload) VALUES ('a', 'poison'), ('b', 'fine'), ('a', 'after')",
    );
    let mut deliveries = Vec::new();
    for round in 1..=3 {
        let poll = "SELECT text, \"offset\", deliveries FROM stream_poll('s', 'g', 'c', \
                    max_messages => 1, block_ms => 20000)";
        // The other key goes its way meanwhile.
        let mut found = lines(&mut client, poll);
        while found == ["fine 1 1"] {
            run(&mut client, "SELECT stream_ack('s', 'g', 0, 1)");
            found = lines(&mut client, poll);
        }
        deliveries.extend(found.clone());
        assert_eq!(found, [format!("poison 0 {round}")], "{deliveries:?}");
        let refuse =
            format!("SELECT stream_nack('s', 'g', 0, 0, reason => 'attempt {round} failed')");
        assert_eq!(value(&mut client, &refuse), "t");
        assert_eq!(value(&mut client, &refuse), "t", "refusing what waits postpones it");
    }
    let mut found = Vec::new();
    while found != ["after"] {
        found = polled(&mut client, "s", "c", ", max_messages => 1, block_ms => 20000");
        let offset = if found == ["fine"] { 1 } else { 2 };
        assert_eq!(value(&mut client, &format!("SELECT stream_ack('s', 'g', 0, {offset})")), "1");
    }
    let buried = lines(
        &mut client,
        "SELECT key, payload, headers->>'stream', headers->>'group', headers->>'offset', \
         headers->>'deliveries', headers->>'reason' FROM dead",
    );
    assert_eq!(buried, ["a poison s g 0 3 attempt 3 failed"]);
    assert_eq!(value(&mut client, "SELECT sum(lag) FROM stream_lag('s', 'g')"), "0");
    // It can be replayed from there.
    run(&mut client, "INSERT INTO s (key, payload) SELECT key, payload FROM dead");
    assert_eq!(polled(&mut client, "s", "c", ""), ["poison"]);
}

/// What cannot be buried as it is does not stop the group: neither a form that the dead-letter stream
/// does not have, nor its length, nor a stream that has gone.
#[test]
fn dead_letters_find_a_form() {
    let (_data, _server, mut client) = started();
    run(&mut client, "CREATE STREAM s WITH (payload = 'text')");
    run(&mut client, "CREATE STREAM dead WITH (max_message_bytes = 10)");
    run(
        &mut client,
        "SELECT stream_create_group('s', 'g', max_deliveries => 1, dead_letter => 'dead')",
    );
    run(&mut client, "INSERT INTO s (payload) VALUES ('not a document at all'), ('[1]')");
    assert_eq!(polled(&mut client, "s", "c", "").len(), 2);
    for offset in [0, 1] {
        let refuse = format!("SELECT stream_nack('s', 'g', 0, {offset}, delay => '0'");
        assert_eq!(value(&mut client, &format!("{refuse}, consumer => 'other')")), "f");
        assert_eq!(value(&mut client, &format!("{refuse}, consumer => 'c')")), "t");
    }
    assert!(polled(&mut client, "s", "c", "").is_empty());
    let buried = lines(&mut client, "SELECT payload FROM dead ORDER BY \"offset\"");
    assert_eq!(buried, ["\"not a document at all\"", "[1]"]);
    run(&mut client, "DROP STREAM dead");
    run(&mut client, "INSERT INTO s (payload) VALUES ('once more')");
    for _ in 0..3 {
        assert_eq!(polled(&mut client, "s", "c", ""), ["once more"]);
        run(&mut client, "SELECT stream_nack('s', 'g', 0, 2, delay => '0')");
    }
}

/// The wait doubles from one refusal to the next; a given delay is taken as it is.
#[test]
fn refusals_wait_longer_each_time() {
    let (_data, _server, mut client) = started();
    run(&mut client, "CREATE STREAM s");
    run(
        &mut client,
        "SELECT stream_create_group('s', 'g', max_deliveries => 100, backoff => '10 seconds')",
    );
    run(&mut client, "INSERT INTO s (payload) VALUES ('1')");
    for wait in [10, 20, 40, 80] {
        assert_eq!(polled(&mut client, "s", "c", ""), ["1"]);
        run(&mut client, "SELECT stream_nack('s', 'g', 0, 0)");
        assert!(polled(&mut client, "s", "c", "").is_empty());
        let waits = "SELECT extract(epoch FROM visible_at - clock_timestamp()) \
                     FROM aegis.stream_pending";
        let seconds: f64 = value(&mut client, waits).parse().unwrap();
        assert!(
            seconds > f64::from(wait) - 5.0 && seconds <= f64::from(wait),
            "{seconds} of {wait}"
        );
        run(&mut client, "SELECT stream_nack('s', 'g', 0, 0, delay => '0')");
    }
}

/// After a refusal the later messages of the key that the same poll gave wait behind it.
#[test]
fn a_refused_message_comes_before_what_follows_it() {
    let (_data, server, mut client) = started();
    run(&mut client, "CREATE STREAM s");
    run(&mut client, "SELECT stream_create_group('s', 'g', visibility => '1 minute')");
    run(
        &mut client,
        "INSERT INTO s (key, payload) SELECT 'k' || n % 2, to_jsonb(n) FROM generate_series(1, 6) n",
    );
    assert_eq!(polled(&mut client, "s", "c", ""), ["1", "2", "3", "4", "5", "6"]);
    // 1, 3 and 5 are of one key: 3 fails.
    assert_eq!(value(&mut client, "SELECT stream_ack('s', 'g', 0, 0)"), "1");
    run(&mut client, "SELECT stream_nack('s', 'g', 0, 2, delay => '0')");
    // What comes after it cannot be acknowledged by who was given it.
    assert_eq!(value(&mut client, "SELECT stream_ack('s', 'g', 0, '{1,3,5}'::bigint[])"), "3");
    run(&mut client, "INSERT INTO s (key, payload) VALUES ('k1', '7'), ('k0', '8')");
    let mut other = server.connect();
    assert_eq!(refused(&mut other, "SELECT stream_ack('s', 'g', 0, 4)"), "55000");
    // One at a time, and each holds back what follows until it is acknowledged.
    for (message, offset) in [("3", 2), ("5", 4), ("7", 6)] {
        let found = polled(&mut other, "s", "c", ", max_messages => 1");
        assert_eq!(found, [message]);
        run(&mut other, &format!("SELECT stream_ack('s', 'g', 0, {offset})"));
    }
    assert_eq!(polled(&mut other, "s", "c", ""), ["8"]);
}

/// A poll does not bring back what another session acknowledges at the same time.
#[test]
fn an_acknowledgement_under_way_is_not_overtaken() {
    let (_data, server, mut client) = started();
    run(&mut client, "CREATE STREAM s");
    run(&mut client, "SELECT stream_create_group('s', 'g', visibility => '1 millisecond')");
    run(&mut client, "INSERT INTO s (key, payload) VALUES ('a', '1'), ('a', '2'), ('b', '3')");
    assert_eq!(
        polled(&mut client, "s", "c", ", max_messages => 1, visibility => '1 millisecond'"),
        ["1"]
    );
    run(&mut client, "BEGIN");
    assert_eq!(value(&mut client, "SELECT stream_ack('s', 'g', 0, 0)"), "1");
    let mut other = server.connect();
    // Its time is over, but it is being acknowledged: it and its key wait, other keys do not.
    assert_eq!(polled(&mut other, "s", "c", ", visibility => '1 minute'"), ["3"]);
    run(&mut client, "COMMIT");
    assert_eq!(polled(&mut other, "s", "c", ", visibility => '1 minute'"), ["2"]);
    assert_eq!(number(&mut client, "SELECT count(*) FROM aegis.stream_pending"), 2);
}

/// A group goes to where it is sent.
#[test]
fn seeking_goes_anywhere() {
    let (_data, _server, mut client) = started();
    run(&mut client, "CREATE STREAM s");
    for from in ["1", "5"] {
        let rows = format!("SELECT to_jsonb(n) FROM generate_series({from}, {from} + 3) n");
        run(&mut client, &format!("INSERT INTO s (payload) {rows}"));
        run(&mut client, "CREATE TABLE IF NOT EXISTS between_ AS SELECT clock_timestamp() AS at");
    }
    run(&mut client, "SELECT stream_create_group('s', 'g', start => 'latest')");
    assert!(polled(&mut client, "s", "c", "").is_empty());
    let time = value(&mut client, "SELECT at FROM between_");
    let all: Vec<String> = (1..=8).map(|n| n.to_string()).collect();
    for (to, first) in
        [("earliest", 0), ("6", 6), (time.as_str(), 4), ("earliest", 0), ("latest", 8)]
    {
        assert_eq!(value(&mut client, &format!("SELECT stream_seek('s', 'g', '{to}')")), "1");
        assert_eq!(polled(&mut client, "s", "c", ""), all[first..], "from {to}");
    }
    assert_eq!(refused(&mut client, "SELECT stream_seek('s', 'g', 'yesterday evening')"), "22007");
    assert_eq!(refused(&mut client, "SELECT stream_seek('s', 'nobody', 'latest')"), "42704");
    run(&mut client, "SELECT stream_trim('s', 3)");
    run(&mut client, "SELECT stream_seek('s', 'g', 'earliest')");
    assert_eq!(polled(&mut client, "s", "c", ", max_messages => 1"), ["4"]);
    // A group that begins at a time.
    run(&mut client, &format!("SELECT stream_create_group('s', 'h', start => '{time}')"));
    let first = "SELECT next_offset FROM stream_lag('s', 'h')";
    assert_eq!(value(&mut client, first), "4");
}

/// Partitions are shared by those who poll, and those of one who is gone go to the others.
#[test]
fn partitions_of_a_dead_consumer_go_to_the_living() {
    let (_data, server, mut one) = started();
    run(&mut one, "CREATE STREAM s PARTITIONS 4");
    run(&mut one, "SELECT stream_create_group('s', 'g', visibility => '5 seconds')");
    let publish = "INSERT INTO s (partition, payload) SELECT p, to_jsonb(p) \
                   FROM generate_series(0, 3) p";
    run(&mut one, publish);
    let mut two = server.connect();
    assert!(!polled(&mut one, "s", "one", "").is_empty());
    polled(&mut two, "s", "two", "");
    run(&mut one, "SELECT stream_seek('s', 'g', 'latest')");
    run(&mut one, publish);
    assert_eq!(polled(&mut one, "s", "one", ""), ["0", "2"]);
    assert_eq!(polled(&mut two, "s", "two", ""), ["1", "3"]);
    let shares = "SELECT consumer, partitions FROM stream_consumers('s', 'g') ORDER BY 1";
    assert_eq!(lines(&mut one, shares), ["one {0,2}", "two {1,3}"]);
    run(&mut one, "SELECT stream_seek('s', 'g', 'latest')");
    // What is published now is for both, and one of them comes no more.
    run(&mut one, publish);
    drop(one);
    let mut found = polled(&mut two, "s", "two", ", visibility => '1 hour'");
    while found.len() < 4 {
        let more = polled(&mut two, "s", "two", ", block_ms => 60000, visibility => '1 hour'");
        assert!(!more.is_empty(), "who waits is woken when it has more partitions");
        found.extend(more);
    }
    found.sort();
    assert_eq!(found, ["0", "1", "2", "3"]);
    assert_eq!(lines(&mut two, shares), ["two {0,1,2,3}"]);
}

/// Of a group with a single active consumer the others wait until it is gone.
#[test]
fn a_single_active_consumer_has_a_successor() {
    let (_data, server, mut one) = started();
    run(&mut one, "CREATE STREAM s PARTITIONS 3");
    run(
        &mut one,
        "SELECT stream_create_group('s', 'g', visibility => '5 seconds', single_active => true)",
    );
    let publish = "INSERT INTO s (partition, payload) SELECT p, to_jsonb(p) \
                   FROM generate_series(0, 2) p";
    run(&mut one, publish);
    assert_eq!(polled(&mut one, "s", "one", ""), ["0", "1", "2"]);
    let mut two = server.connect();
    run(&mut one, publish);
    assert!(polled(&mut two, "s", "two", "").is_empty());
    assert_eq!(
        number(&mut two, "SELECT sum(stream_ack('s', 'g', p, 0)) FROM generate_series(0, 2) p"),
        3
    );
    drop(one);
    let found = polled(&mut two, "s", "two", ", block_ms => 60000");
    assert_eq!(found, ["0", "1", "2"]);
}
