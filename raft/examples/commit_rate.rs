//! Prints commits a second at 1, 8, 32 and 64 committers, every batch synced to the disk.
//!
//! `cargo run -p aegis-raft --release --example commit_rate [DIRECTORY]`; without a directory, one
//! under the system's temporary directory, which may be memory and then proves nothing.

#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aegis_raft::{RaftLog, RaftLogOptions};
use aegis_storage::commit_log::{Applied, Applier, CommitLog, LogEntry, LogIndex};
use aegis_storage::{CommitSeq, StorageError};
use parking_lot::Mutex;

const PAYLOAD_BYTES: usize = 200;
const MEASURED: Duration = Duration::from_secs(3);

/// A store that keeps nothing but its position, and calls that durable.
#[derive(Default)]
struct Sink(Mutex<(LogIndex, Arc<[u8]>)>);

impl Applier for Sink {
    fn apply_batch(&self, entries: &[LogEntry]) -> Result<Vec<Applied>, StorageError> {
        if let Some(last) = entries.last() {
            *self.0.lock() = (last.index, Arc::clone(&last.log_state));
        }
        let applied =
            |entry: &LogEntry| Applied { index: entry.index, commit_seq: CommitSeq(entry.index.0) };
        Ok(entries.iter().map(applied).collect())
    }

    fn durable_applied(&self) -> (LogIndex, Arc<[u8]>) {
        self.0.lock().clone()
    }
}

#[tokio::main(flavor = "multi_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let given = std::env::args_os().nth(1).map(PathBuf::from);
    let temporary = tempfile::tempdir()?;
    let directory = given.unwrap_or_else(|| temporary.path().to_owned()).join("log");
    let sink = Arc::new(Sink::default());
    let log = open(&directory, &sink).await?;
    for committers in [1, 8, 32, 64] {
        let (rate, mean) = measure(&log, committers).await?;
        println!("{committers:3} committers: {rate:8.0} commits/s, {mean:?} each");
        log.purge_to(sink.durable_applied().0);
    }
    log.shutdown().await?;
    drop(log);
    open(&directory, &sink).await?.shutdown().await?;
    Ok(())
}

async fn open(directory: &Path, sink: &Arc<Sink>) -> Result<Arc<RaftLog>, Box<dyn Error>> {
    let started = Instant::now();
    let store: Arc<dyn Applier> = Arc::clone(sink) as _;
    let log = RaftLog::open(directory, RaftLogOptions::default(), store, |error| {
        println!("the log stopped: {error}");
    })
    .await?;
    println!("ready after {:?}", started.elapsed());
    Ok(log)
}

/// Commits a second, and the mean time of a commit.
async fn measure(log: &Arc<RaftLog>, committers: u32) -> Result<(f64, Duration), Box<dyn Error>> {
    let stop = Arc::new(AtomicBool::new(false));
    let commits = Arc::new(AtomicU64::new(0));
    let runtime = tokio::runtime::Handle::current();
    let started = Instant::now();
    let tasks: Vec<_> = (0..committers)
        .map(|_| {
            let (log, stop, commits) = (Arc::clone(log), Arc::clone(&stop), Arc::clone(&commits));
            runtime.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    if !matches!(log.propose(vec![7; PAYLOAD_BYTES]).await, Ok(Ok(_))) {
                        return;
                    }
                    commits.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    tokio::time::sleep(MEASURED).await;
    stop.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await?;
    }
    let elapsed = started.elapsed();
    let commits = commits.load(Ordering::Relaxed).max(1);
    let mean = elapsed.mul_f64(f64::from(committers) / commits as f64);
    Ok((commits as f64 / elapsed.as_secs_f64(), mean))
}
