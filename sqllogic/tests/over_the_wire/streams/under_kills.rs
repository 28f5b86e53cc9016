//! SIGKILL under producers and consumers of one group: nothing that was acknowledged to a producer is
//! lost, each key's events are processed in order, and each exactly once, since a consumer acknowledges
//! in the transaction of its work.
//!
//! Producers name their messages, and publish a batch again when they do not know what became of it.
//! Consumers poll in the transaction of their work or before it, give up, refuse, and forget what they
//! were given. `AEGIS_KILLS`, `AEGIS_EVENTS` and `AEGIS_SEED` set how long and which.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use aegis_sqllogic::random::Random;
use aegis_sqllogic::wire::{Client, ClientError};

use super::{Place, may_try_again, number, rows, run};
use crate::server::{Server, setting};

const PRODUCERS: u64 = 4;
const CONSUMERS: u64 = 4;
/// Keys of each producer.
const KEYS: u64 = 8;
const BATCH_MAX: u64 = 100;

/// How many events were acknowledged.
#[derive(Default)]
struct Progress {
    published: Mutex<u64>,
    grew: Condvar,
    /// How often messages were published or polled in vain.
    again: AtomicU64,
    all_published: AtomicBool,
}

impl Progress {
    fn add(&self, count: u64) {
        *self.published.lock().unwrap() += count;
        self.grew.notify_all();
    }

    fn wait_for(&self, count: u64) {
        let mut published = self.published.lock().unwrap();
        while *published < count {
            published = self.grew.wait(published).unwrap();
        }
    }
}

#[test]
fn groups_process_each_event_once_and_in_order_across_kills() {
    let kills = setting("AEGIS_KILLS", 3);
    let events = setting("AEGIS_EVENTS", 20_000);
    let seed = setting("AEGIS_SEED", 42);
    println!("AEGIS_SEED={seed} AEGIS_KILLS={kills} AEGIS_EVENTS={events}");
    let mut random = Random::new(seed);
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    prepare(&mut server.connect());
    let place = Place::new(&server);
    let progress = Progress::default();
    let each = events / PRODUCERS;
    let seeds: Vec<u64> = (0..PRODUCERS + CONSUMERS).map(|_| random.number()).collect();
    let began = Instant::now();
    let server = std::thread::scope(|scope| {
        let mut server = server;
        let (place, progress) = (&place, &progress);
        let (of_producers, of_consumers) = seeds.split_at(usize::try_from(PRODUCERS).unwrap());
        let producers: Vec<_> = (0..PRODUCERS)
            .zip(of_producers)
            .map(|(who, seed)| scope.spawn(move || produce(place, who, each, *seed, progress)))
            .collect();
        let consumers: Vec<_> = (0..CONSUMERS)
            .zip(of_consumers)
            .map(|(who, seed)| scope.spawn(move || consume(place, who, *seed, progress)))
            .collect();
        for kill in 0..kills {
            progress.wait_for(each * PRODUCERS * (kill + 1) / (kills + 1));
            // The moment of the kill is the point of the test: nothing is awaited here.
            std::thread::sleep(Duration::from_millis(random.below(50)));
            server.kill();
            let killed = Instant::now();
            server = Server::start(data.path());
            println!("kill {kill}: ready again in {} ms", killed.elapsed().as_millis());
            place.move_to(Some(&server));
        }
        for producer in producers {
            producer.join().unwrap();
        }
        println!("published after {} ms", began.elapsed().as_millis());
        progress.all_published.store(true, Ordering::Relaxed);
        for consumer in consumers {
            consumer.join().unwrap();
        }
        server
    });
    println!(
        "processed after {} ms; {} attempts were repeated",
        began.elapsed().as_millis(),
        progress.again.load(Ordering::Relaxed)
    );
    check(&mut server.connect(), each * PRODUCERS);
}

fn prepare(client: &mut Client) {
    run(client, "CREATE STREAM orders PARTITIONS 6 WITH (window = '1 hour')");
    run(
        client,
        "SELECT stream_create_group('orders', 'workers', visibility => '300 milliseconds', \
         max_deliveries => 1000000, backoff => '1 millisecond')",
    );
    run(client, "CREATE TABLE done (key text, n bigint, PRIMARY KEY (key, n))");
    run(client, "CREATE TABLE progress (key text PRIMARY KEY, n bigint NOT NULL)");
    run(
        client,
        &format!(
            "INSERT INTO progress SELECT 'p' || p || 'k' || k, 0 \
             FROM generate_series(0, {PRODUCERS} - 1) p, generate_series(0, {KEYS} - 1) k"
        ),
    );
}

/// Publishes `count` events in batches. A batch whose fate is unknown is published again.
fn produce(place: &Place, who: u64, count: u64, seed: u64, progress: &Progress) {
    let mut random = Random::new(seed);
    let mut next = vec![0_u64; usize::try_from(KEYS).unwrap()];
    let (mut life, mut client) = (0, None);
    let mut published = 0;
    while published < count {
        let size = (1 + random.below(BATCH_MAX)).min(count - published);
        let mut batch = String::from("[");
        for at in 0..size {
            let key = random.place(next.len());
            let n = next[key];
            next[key] += 1;
            let comma = if at == 0 { "" } else { "," };
            write!(
                batch,
                r#"{comma}{{"key": "p{who}k{key}", "payload": {{"n": {n}}}, "message_id": "{who}/{key}/{n}"}}"#
            )
            .unwrap();
        }
        let sql = format!("SELECT stream_publish_batch('orders', '{batch}]'::jsonb)");
        loop {
            if client.is_none() {
                client = place.connect(&mut life);
            }
            match client.as_mut().unwrap().run(&sql) {
                Ok(answer) => {
                    // All of it, or all of it was there already.
                    let found = answer.rows[0][0].clone().unwrap();
                    assert!(found == size.to_string() || found == "0", "{found} of {size}");
                    break;
                }
                Err(error) => {
                    assert!(error.sql_state().is_none() || may_try_again(&error), "{error}");
                    if error.sql_state().is_none() {
                        client = None;
                    }
                    progress.again.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        published += size;
        progress.add(size);
    }
}

/// Processes events until there are no more.
fn consume(place: &Place, who: u64, seed: u64, progress: &Progress) {
    let mut random = Random::new(seed);
    let (mut life, mut client) = (0, None);
    loop {
        if client.is_none() {
            client = place.connect(&mut life);
        }
        let connection = client.as_mut().unwrap();
        match consume_once(connection, who, &mut random, progress) {
            Ok(true) => return,
            Ok(false) => {}
            Err(error) if may_try_again(&error) => {
                progress.again.fetch_add(1, Ordering::Relaxed);
                if connection.run("ROLLBACK").is_err() {
                    client = None;
                }
            }
            Err(error) => {
                assert!(error.sql_state().is_none(), "the server is alive and refuses: {error}");
                client = None;
            }
        }
    }
}

/// One poll and what is done with what it gives; true where nothing is left.
fn consume_once(
    client: &mut Client,
    who: u64,
    random: &mut Random,
    progress: &Progress,
) -> Result<bool, ClientError> {
    let most = 1 + random.below(2 * BATCH_MAX);
    let poll = format!(
        "SELECT partition, \"offset\", key, payload->>'n' FROM stream_poll('orders', 'workers', \
         'c{who}', max_messages => {most}, block_ms => 50)"
    );
    let manner = random.below(30);
    // Some poll first, and begin their transaction when they have something.
    let is_apart = manner < 8;
    let found = if is_apart {
        client.run(&poll)?
    } else {
        client.run("BEGIN")?;
        client.run(&poll)?
    };
    if found.rows.is_empty() {
        if !is_apart {
            client.run("COMMIT")?;
        }
        let left = "SELECT sum(lag) FROM stream_lag('orders', 'workers')";
        return Ok(progress.all_published.load(Ordering::Relaxed)
            && client.run(left)?.rows == [[Some("0".to_owned())]]);
    }
    let messages: Vec<(u64, u64, String, u64)> = found
        .rows
        .into_iter()
        .map(|row| {
            let [partition, offset, key, n] = row.try_into().unwrap();
            let int = |text: Option<String>| text.unwrap().parse().unwrap();
            (int(partition), int(offset), key.unwrap(), int(n))
        })
        .collect();
    match manner {
        // Whoever forgets has them redelivered.
        0 => return Ok(false),
        1 => {
            let (partition, offset, ..) = &messages[random.place(messages.len())];
            client.run(&format!(
                "SELECT stream_nack('orders', 'workers', {partition}, {offset}, \
                 delay => '5 milliseconds', reason => 'a mood')"
            ))?;
            return Ok(false);
        }
        2..8 => {
            client.run("BEGIN")?;
        }
        _ => {}
    }
    work(client, who, &messages, is_apart, manner == 9, progress)?;
    Ok(false)
}

/// The work for some messages, and their acknowledgement.
fn work(
    client: &mut Client,
    who: u64,
    messages: &[(u64, u64, String, u64)],
    may_be_late: bool,
    gives_up: bool,
    progress: &Progress,
) -> Result<(), ClientError> {
    let mut offsets: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    let mut of_keys: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    let mut values = Vec::new();
    for (partition, offset, key, n) in messages {
        offsets.entry(*partition).or_default().push(offset.to_string());
        let (first, count) = of_keys.entry(key).or_insert((*n, 0));
        assert_eq!(*first + *count, *n, "the events of {key} come out of order: {messages:?}");
        *count += 1;
        values.push(format!("('{key}', {n})"));
    }
    let mut acknowledged = 0_usize;
    for (partition, offsets) in offsets {
        let answer = client.run(&format!(
            "SELECT stream_ack('orders', 'workers', {partition}, '{{{}}}'::bigint[], 'c{who}')",
            offsets.join(",")
        ))?;
        acknowledged += answer.rows[0][0].as_deref().unwrap().parse::<usize>().unwrap();
    }
    if acknowledged < messages.len() {
        // They have become another's.
        assert!(may_be_late, "{acknowledged} of {} are mine in my transaction", messages.len());
        progress.again.fetch_add(1, Ordering::Relaxed);
        return client.run("ROLLBACK").map(drop);
    }
    client.run(&format!("INSERT INTO done VALUES {}", values.join(", ")))?;
    let steps: Vec<String> = of_keys
        .iter()
        .map(|(key, (first, count))| format!("('{key}', {first}, {count})"))
        .collect();
    let stepped = client.run(&format!(
        "UPDATE progress SET n = n + v.count FROM (VALUES {}) AS v(key, first, count) \
         WHERE progress.key = v.key AND progress.n = v.first",
        steps.join(", ")
    ))?;
    assert_eq!(
        stepped.tag,
        format!("UPDATE {}", of_keys.len()),
        "what came before was not processed yet: {of_keys:?}, of c{who}"
    );
    client.run(if gives_up { "ROLLBACK" } else { "COMMIT" }).map(drop)
}

fn check(client: &mut Client, events: u64) {
    assert_eq!(number(client, "SELECT count(*) FROM orders"), events, "published once each");
    assert_eq!(number(client, "SELECT count(*) FROM done"), events, "processed once each");
    let holes = rows(
        client,
        "SELECT p.key, p.n, count(d.n), max(d.n) FROM progress p LEFT JOIN done d USING (key) \
         GROUP BY p.key, p.n HAVING count(d.n) <> p.n OR max(d.n) <> p.n - 1",
    );
    assert_eq!(holes, Vec::<Vec<String>>::new());
    let gaps = rows(
        client,
        "SELECT partition, count(*), min(\"offset\"), max(\"offset\") FROM orders \
         GROUP BY partition HAVING min(\"offset\") <> 0 OR max(\"offset\") <> count(*) - 1",
    );
    assert_eq!(gaps, Vec::<Vec<String>>::new(), "offsets are dense");
    let partitions = number(client, "SELECT count(*) FROM stream_info('orders')");
    let mut next: BTreeMap<String, u64> = BTreeMap::new();
    for partition in 0..partitions {
        let of_partition = format!(
            "SELECT key, payload->>'n' FROM orders WHERE partition = {partition} ORDER BY \"offset\""
        );
        for mut row in rows(client, &of_partition) {
            let n: u64 = row[1].parse().unwrap();
            let next = next.entry(row.swap_remove(0)).or_default();
            assert_eq!(n, *next, "keys are in order");
            *next += 1;
        }
    }
}
