//! A table as a job queue: SELECT … FOR UPDATE SKIP LOCKED under 32 workers.

use std::sync::atomic::{AtomicU64, Ordering};

use aegis_sqllogic::random::Random;

use super::{may_try_again, number, run};
use crate::server::{Server, setting};

const WORKERS: u64 = 32;

/// No job is lost, none done twice, although workers give up in the middle and connections break.
#[test]
fn jobs_are_done_once_by_32_workers() {
    let jobs = setting("AEGIS_JOBS", 1_500);
    let seed = setting("AEGIS_SEED", 42);
    println!("AEGIS_SEED={seed} AEGIS_JOBS={jobs}");
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let mut client = server.connect();
    run(
        &mut client,
        "CREATE TABLE job (id int PRIMARY KEY, state text NOT NULL, tries int NOT NULL)",
    );
    run(&mut client, "CREATE INDEX ON job (state, id)");
    run(&mut client, "CREATE TABLE result (job int PRIMARY KEY, worker int NOT NULL)");
    run(
        &mut client,
        &format!("INSERT INTO job SELECT g, 'ready', 0 FROM generate_series(1, {jobs}) g"),
    );
    let gave_up = AtomicU64::new(0);
    let mut seeds = Random::new(seed);
    std::thread::scope(|scope| {
        for worker in 0..WORKERS {
            let (server, gave_up, mut random) = (&server, &gave_up, Random::new(seeds.number()));
            scope.spawn(move || {
                let mut client = server.connect();
                loop {
                    run(&mut client, "BEGIN");
                    let most = 1 + random.below(4);
                    let take = format!(
                        "SELECT id FROM job WHERE state = 'ready' ORDER BY id LIMIT {most} \
                         FOR UPDATE SKIP LOCKED"
                    );
                    let found = client.run(&take).unwrap().rows;
                    if found.is_empty() {
                        run(&mut client, "COMMIT");
                        // What others hold may come back.
                        let left = "SELECT count(*) FROM job WHERE state = 'ready'";
                        if number(&mut client, left) == 0 {
                            return;
                        }
                        continue;
                    }
                    for row in found {
                        let id = row[0].clone().unwrap();
                        let work = format!(
                            "INSERT INTO result VALUES ({id}, {worker}); \
                             UPDATE job SET state = 'done', tries = tries + 1 WHERE id = {id}"
                        );
                        let done = client.run(&work);
                        assert!(
                            done.is_ok() || done.as_ref().is_err_and(may_try_again),
                            "a job twice: {done:?}"
                        );
                    }
                    match random.below(12) {
                        0 => {
                            gave_up.fetch_add(1, Ordering::Relaxed);
                            run(&mut client, "ROLLBACK");
                        }
                        // Whoever is gone gives its jobs back.
                        1 => {
                            gave_up.fetch_add(1, Ordering::Relaxed);
                            client = server.connect();
                        }
                        _ => {
                            run(&mut client, "COMMIT");
                        }
                    }
                }
            });
        }
    });
    println!("{} transactions were given up", gave_up.load(Ordering::Relaxed));
    assert_eq!(number(&mut client, "SELECT count(*) FROM result"), jobs);
    assert_eq!(
        number(&mut client, "SELECT count(*) FROM job WHERE state = 'done' AND tries = 1"),
        jobs
    );
}

/// The forms in which libraries of queues take jobs: the rows are locked by a subquery.
const TAKES: [(&str, &str); 6] = [
    (
        "DELETE, one value",
        "DELETE FROM job WHERE id = (SELECT id FROM job ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED) \
         RETURNING id",
    ),
    (
        "DELETE, USING",
        "DELETE FROM job USING (SELECT id FROM job ORDER BY id LIMIT 5 FOR UPDATE SKIP LOCKED) q \
         WHERE job.id = q.id RETURNING job.id",
    ),
    (
        "UPDATE, IN",
        "UPDATE job SET state = 'done', tries = tries + 1 WHERE id IN (SELECT id FROM job \
         WHERE state = 'ready' ORDER BY id LIMIT 10 FOR UPDATE SKIP LOCKED) RETURNING id",
    ),
    (
        "UPDATE, WITH",
        "WITH next AS (SELECT id FROM job WHERE state = 'ready' ORDER BY id LIMIT 3 \
         FOR NO KEY UPDATE SKIP LOCKED) UPDATE job SET state = 'done', tries = tries + 1 FROM next \
         WHERE job.id = next.id RETURNING job.id",
    ),
    (
        "UPDATE, ANY of an array",
        "UPDATE job SET state = 'done', tries = tries + 1 WHERE id = ANY(ARRAY(SELECT id FROM job \
         WHERE state = 'ready' ORDER BY id LIMIT 4 FOR UPDATE SKIP LOCKED)) RETURNING id",
    ),
    (
        "UPDATE, waiting",
        "UPDATE job SET state = 'done', tries = tries + 1 WHERE id = (SELECT id FROM job \
         WHERE state = 'ready' ORDER BY id LIMIT 1 FOR UPDATE) RETURNING id",
    ),
];

/// In each of these forms, 8 workers take every job, and none twice.
#[test]
fn jobs_are_taken_once_by_subqueries_that_lock() {
    let jobs = setting("AEGIS_SUBQUERY_JOBS", 1_000);
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let mut client = server.connect();
    run(
        &mut client,
        "CREATE TABLE job (id int PRIMARY KEY, state text NOT NULL, tries int NOT NULL)",
    );
    run(&mut client, "CREATE INDEX ON job (state, id)");
    for (form, take) in TAKES {
        run(&mut client, "TRUNCATE job");
        run(
            &mut client,
            &format!("INSERT INTO job SELECT g, 'ready', 0 FROM generate_series(1, {jobs}) g"),
        );
        let mut taken: Vec<u64> = std::thread::scope(|scope| {
            let workers: Vec<_> =
                (0..8).map(|_| scope.spawn(|| taken_by_one(&server, take))).collect();
            workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
        });
        taken.sort_unstable();
        assert_eq!(taken, (1..=jobs).collect::<Vec<u64>>(), "{form}");
        if take.starts_with("DELETE") {
            assert_eq!(number(&mut client, "SELECT count(*) FROM job"), 0, "{form}");
        } else {
            let once = "SELECT count(*) FROM job WHERE state = 'done' AND tries = 1";
            assert_eq!(number(&mut client, once), jobs, "{form}");
        }
    }
}

/// Takes jobs until there are none left.
fn taken_by_one(server: &Server, take: &str) -> Vec<u64> {
    let mut client = server.connect();
    let mut taken = Vec::new();
    loop {
        let found = client.run(take).unwrap_or_else(|error| panic!("{take}: {error}")).rows;
        if found.is_empty() {
            // What another holds, or took while this one waited for it, is no reason to end.
            let left = "SELECT count(*) FROM job WHERE state = 'ready'";
            if number(&mut client, left) == 0 {
                return taken;
            }
        }
        taken.extend(found.into_iter().map(|row| row[0].clone().unwrap().parse::<u64>().unwrap()));
    }
}
