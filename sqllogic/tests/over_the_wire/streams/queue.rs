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
