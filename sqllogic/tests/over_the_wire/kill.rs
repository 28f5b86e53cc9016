//! SIGKILL under a ledger load: every acknowledged transfer is there afterwards, none half.
//!
//! Four clients move money between ten accounts and write each transfer into a journal table in the
//! same transaction, with a number of their own. After the kill the sum must be what it was, and the
//! journal must hold every number whose COMMIT was answered. A fifth client writes wide rows, a few
//! hundred in a transaction, so that flushes go on all the time: of its transactions every
//! acknowledged one must be there whole too.
//!
//! `AEGIS_KILLS` sets how many kills, `AEGIS_FILL_MB` how much lies in the directory before the
//! first, `AEGIS_MEMORY_MB` the server's memory; the moments come from `AEGIS_SEED`, which is printed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aegis_sqllogic::random::Random;
use aegis_sqllogic::wire::{Client, Protocol};

use crate::server::{Server, setting};

const ACCOUNTS: u64 = 10;
const CLIENTS: u64 = 4;
const START_BALANCE: u64 = 1000;

/// Rows of one transaction of the fifth client, and of one transaction that fills the directory.
const BALLAST_ROWS: u64 = 200;
const FILL_ROWS: u64 = 100_000;

#[test]
fn acknowledged_transfers_survive_a_kill() {
    let kills = setting("AEGIS_KILLS", 5);
    let seed = setting("AEGIS_SEED", 42);
    let fill_mb = setting("AEGIS_FILL_MB", 0);
    let memory = format!("{}MB", setting("AEGIS_MEMORY_MB", 64));
    println!("AEGIS_SEED={seed} AEGIS_KILLS={kills} AEGIS_FILL_MB={fill_mb} {memory}");
    let flags = ["--memory", memory.as_str()];
    let mut random = Random::new(seed);
    let data = tempfile::tempdir().unwrap();
    let mut server = Server::start_with(data.path(), &flags);
    let mut client = server.connect();
    client.run("CREATE TABLE account (id int PRIMARY KEY, balance int NOT NULL)").unwrap();
    client
        .run("CREATE TABLE journal (client int, number int, PRIMARY KEY (client, number))")
        .unwrap();
    for id in 0..ACCOUNTS {
        client.run(&format!("INSERT INTO account VALUES ({id}, {START_BALANCE})")).unwrap();
    }
    client.run("CREATE TABLE ballast (id bigint PRIMARY KEY, other text, wide text)").unwrap();
    client.run("CREATE INDEX ON ballast (other)").unwrap();
    let mut ballast = fill(&mut client, fill_mb);
    let mut slowest = Duration::ZERO;
    let mut acknowledged = vec![0_u64; usize::try_from(CLIENTS).unwrap()];
    for kill in 0..kills {
        let life = Duration::from_millis(20 + random.below(400));
        let stop = AtomicBool::new(false);
        let address = server.address.clone();
        let seeds: Vec<u64> = (0..CLIENTS).map(|_| random.below(u64::MAX) | 1).collect();
        std::thread::scope(|scope| {
            let workers: Vec<_> = acknowledged
                .iter_mut()
                .zip(&seeds)
                .enumerate()
                .map(|(worker, (last, seed))| {
                    let (address, stop) = (&address, &stop);
                    scope.spawn(move || transfer_until(address, (worker, kill), last, *seed, stop))
                })
                .collect();
            let (heavy, ballast_stop) = (&mut ballast, &stop);
            let heavy_address = &address;
            let heavy = scope.spawn(move || write_ballast(heavy_address, heavy, ballast_stop));
            // The moment of the kill is the point of the test: nothing is awaited here.
            std::thread::sleep(life);
            server.kill();
            stop.store(true, Ordering::Relaxed);
            for worker in workers {
                worker.join().unwrap();
            }
            heavy.join().unwrap();
        });
        let killed = Instant::now();
        server = Server::start_with(data.path(), &flags);
        let restart = killed.elapsed();
        slowest = slowest.max(restart);
        println!(
            "kill {kill} after {} ms: ready again in {} ms",
            life.as_millis(),
            restart.as_millis()
        );
        check(&server, &acknowledged, kill);
        check_ballast(&server, &mut ballast, kill);
    }
    println!("slowest restart: {} ms", slowest.as_millis());
}

/// One transaction of wide rows behind the first `from`.
fn ballast_rows(from: u64, rows: u64) -> String {
    format!(
        "INSERT INTO ballast SELECT i, md5(i::text), repeat(md5((i + 1)::text), 30) \
         FROM generate_series({}, {}) AS i",
        from + 1,
        from + rows
    )
}

/// Fills the directory with about `megabytes` of wide rows and says how many there are.
fn fill(client: &mut Client, megabytes: u64) -> u64 {
    let mut rows = 0;
    while rows * 1024 < megabytes << 20 {
        client.run(&ballast_rows(rows, FILL_ROWS)).unwrap();
        rows += FILL_ROWS;
    }
    rows
}

/// Writes wide rows until the server is gone; `rows` counts those that were acknowledged.
fn write_ballast(address: &str, rows: &mut u64, stop: &AtomicBool) {
    let Ok(mut client) = Client::connect(address, "postgres", "postgres", Protocol::Simple) else {
        return;
    };
    while !stop.load(Ordering::Relaxed) {
        match client.run(&ballast_rows(*rows, BALLAST_ROWS)) {
            Ok(_) => *rows += BALLAST_ROWS,
            Err(error) => {
                assert!(error.sql_state().is_none(), "the server is alive and refuses: {error}");
                return;
            }
        }
    }
}

/// The wide rows are those that were acknowledged, or those and the transaction under way.
fn check_ballast(server: &Server, acknowledged: &mut u64, kill: u64) {
    let mut client = server.connect();
    let answer = client
        .run(&format!(
            "SELECT count(*) FROM ballast WHERE id > {}",
            acknowledged.saturating_sub(50 * BALLAST_ROWS)
        ))
        .unwrap();
    let found: u64 = answer.rows[0][0].as_deref().unwrap().parse().unwrap();
    let expected = (*acknowledged).min(50 * BALLAST_ROWS);
    assert!(
        found == expected || found == expected + BALLAST_ROWS,
        "{found} wide rows instead of {expected}, kill {kill}"
    );
    *acknowledged += found - expected;
}

/// Transfers until the server is gone; `last` is the number of the last acknowledged one.
fn transfer_until(
    address: &str,
    (worker, life): (usize, u64),
    last: &mut u64,
    seed: u64,
    stop: &AtomicBool,
) {
    let Ok(mut client) = Client::connect(address, "postgres", "postgres", Protocol::Simple) else {
        return;
    };
    let mut random = Random::new(seed);
    // A transfer that was sent but not answered may be there or not: its number is not used again.
    // Each life has a million of its own.
    let mut number = (life + 1) * 1_000_000;
    while !stop.load(Ordering::Relaxed) {
        number += 1;
        let (from, to) = (random.below(ACCOUNTS), random.below(ACCOUNTS));
        let (low, high) = (from.min(to), from.max(to));
        let script = format!(
            "BEGIN; UPDATE account SET balance = balance - 1 WHERE id = {low}; \
             UPDATE account SET balance = balance + 1 WHERE id = {high}; \
             INSERT INTO journal VALUES ({worker}, {number}); COMMIT"
        );
        match client.run(&script) {
            Ok(_) => *last = number,
            Err(error) if error.sql_state() == Some("40P01") => {
                if client.run("ROLLBACK").is_err() {
                    return;
                }
            }
            Err(error) => {
                assert!(error.sql_state().is_none(), "the server is alive and refuses: {error}");
                return;
            }
        }
    }
}

fn check(server: &Server, acknowledged: &[u64], kill: u64) {
    let mut client = server.connect();
    let sum = client.run("SELECT sum(balance) FROM account").unwrap();
    let expected = (ACCOUNTS * START_BALANCE).to_string();
    assert_eq!(sum.rows[0][0].as_deref(), Some(expected.as_str()), "half a transfer, kill {kill}");
    for (worker, last) in acknowledged.iter().enumerate().filter(|(_, last)| **last > 0) {
        let found = client
            .run(&format!(
                "SELECT count(*) FROM journal WHERE client = {worker} AND number = {last}"
            ))
            .unwrap();
        assert_eq!(
            found.rows[0][0].as_deref(),
            Some("1"),
            "transfer {last} of client {worker} was acknowledged and is gone, kill {kill}"
        );
        let dense = client
            .run(&format!(
                "SELECT count(*) FROM journal WHERE client = {worker} AND number <= {last} \
                 AND number > {last} - {last} % 1000000"
            ))
            .unwrap();
        let expected = (last % 1_000_000).to_string();
        assert_eq!(
            dense.rows[0][0].as_deref(),
            Some(expected.as_str()),
            "an acknowledged transfer of client {worker} is gone, kill {kill}"
        );
    }
}
