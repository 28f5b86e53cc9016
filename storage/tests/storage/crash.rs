//! Crashes at random points: what was acknowledged is there, and nothing is half there.
//!
//! Log and data lie on one faulty disk. The power goes at some operation of the disk, in the log,
//! in a flush, in a spill; the disk then keeps what was synced and what chance keeps of the rest.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aegis_storage::commit_log::{Applied, Applier, CommitLog, LogEntry, LogIndex, ProposeError};
use aegis_storage::{
    Counter, Direction, Disk, Fault, FaultDisk, File, KeyRange, NumberedRow, OpenMode,
    StorageError, Store, StoreOptions, Transaction, TreeId, TxnOptions, runs_of_entry,
};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::support::{Random, options, try_scan};

/// A log of records `length, CRC-32C, payload` in one file, synced one by one.
struct DurableLog {
    state: Mutex<LogState>,
    purged: AtomicU64,
}

struct LogState {
    file: Arc<dyn File>,
    end: u64,
    last: u64,
    applier: Arc<dyn Applier>,
    broken: bool,
}

impl DurableLog {
    /// Cuts the torn tail and replays the rest.
    fn open(disk: &dyn Disk, store: &Store) -> aegis_storage::Result<Arc<Self>> {
        let file = disk.open(Path::new("data/log"), OpenMode::OpenOrCreate)?;
        disk.sync_dir(Path::new("data"))?;
        let mut bytes = vec![0; file.len()? as usize];
        file.read_at(&mut bytes, 0)?;
        let (mut end, mut last) = (0_usize, 0);
        let mut entries = Vec::new();
        while let Some(head) = bytes.get(end..end + 8) {
            let len = u32::from_le_bytes(head[..4].try_into().unwrap()) as usize;
            let sum = u32::from_le_bytes(head[4..].try_into().unwrap());
            let Some(payload) = bytes.get(end + 8..end + 8 + len) else {
                break;
            };
            if len == 0 || crc32c::crc32c(payload) != sum {
                break;
            }
            end += 8 + len;
            last += 1;
            entries.push(LogEntry {
                index: LogIndex(last),
                payload: payload.into(),
                log_state: Arc::from(last.to_le_bytes().as_slice()),
            });
        }
        file.set_len(end as u64)?;
        file.sync_data()?;
        let (durable, state) = store.durable_applied();
        assert!(durable.0 <= last, "the warm tier is ahead of the log");
        assert!(durable.0 == 0 || *state == durable.0.to_le_bytes());
        let log = Arc::new(Self {
            state: Mutex::new(LogState {
                file,
                end: end as u64,
                last,
                applier: Arc::new(store.clone()),
                broken: false,
            }),
            purged: AtomicU64::new(0),
        });
        store.attach_log(log.clone());
        for batch in entries[durable.0 as usize..].chunks(5) {
            store.apply_batch(batch)?;
        }
        let mut referenced = std::collections::HashSet::new();
        for entry in &entries {
            referenced.extend(runs_of_entry(&entry.payload)?);
        }
        store.remove_orphaned_runs(&referenced)?;
        Ok(log)
    }
}

impl CommitLog for DurableLog {
    fn propose(&self, payload: Vec<u8>) -> oneshot::Receiver<Result<Applied, ProposeError>> {
        let (answer, receiver) = oneshot::channel();
        let mut state = self.state.lock();
        let mut record = (payload.len() as u32).to_le_bytes().to_vec();
        record.extend_from_slice(&crc32c::crc32c(&payload).to_le_bytes());
        record.extend_from_slice(&payload);
        let written = state.file.write_at(&record, state.end);
        let synced = written.and_then(|()| state.file.sync_data());
        let outcome = if state.broken || synced.is_err() {
            state.broken = true;
            Err(ProposeError::Unknown("the disk failed".into()))
        } else {
            state.end += record.len() as u64;
            state.last += 1;
            let entry = LogEntry {
                index: LogIndex(state.last),
                payload: payload.into(),
                log_state: Arc::from(state.last.to_le_bytes().as_slice()),
            };
            let applied = state.applier.apply_batch(std::slice::from_ref(&entry));
            applied
                .map(|applied| applied[0])
                .map_err(|error| ProposeError::Unknown(error.to_string()))
        };
        let _ = answer.send(outcome);
        receiver
    }

    fn purge_to(&self, index: LogIndex) {
        self.purged.fetch_max(index.0, Ordering::SeqCst);
    }

    fn replay_bytes(&self) -> u64 {
        0
    }
}

const LEFT: TreeId = TreeId(3000);
const RIGHT: TreeId = TreeId(3001);
const STREAM: TreeId = TreeId(3002);

/// What the committed transactions left.
#[derive(Clone, Debug, Default, PartialEq)]
struct Expected {
    rows: BTreeMap<String, String>,
    appended: u64,
}

/// Applies the n-th transaction to the model, and does it.
fn transaction(
    n: u64,
    seed: u64,
    model: &mut Expected,
    txn: &mut Transaction,
) -> aegis_storage::Result<()> {
    let mut random = Random(seed ^ n.wrapping_mul(0x1234_5678_9ABC));
    let count = match random.below(12) {
        0 => 200,
        _ => 1 + random.below(5),
    };
    for _ in 0..count {
        let key = format!("k{}", random.below(400));
        if random.below(4) > 0 {
            let value = format!("{n}-{}", "v".repeat(30));
            for tree in [LEFT, RIGHT] {
                if txn.get_newest(tree, key.as_bytes())?.is_none() {
                    txn.put_new(tree, key.as_bytes(), value.as_bytes())?;
                } else {
                    txn.put(tree, key.as_bytes(), value.as_bytes())?;
                }
            }
            model.rows.insert(key, value);
        } else {
            txn.delete(LEFT, key.as_bytes())?;
            txn.delete(RIGHT, key.as_bytes())?;
            model.rows.remove(&key);
        }
    }
    for _ in 0..random.below(3) {
        let counter = Counter { tree: STREAM, part: 0 };
        let value = [[0; 8], n.to_le_bytes()].concat();
        txn.append(NumberedRow::new(STREAM, counter, 1, Vec::new(), value, 0))?;
        model.appended += 1;
    }
    Ok(())
}

/// Works until the power is gone or the round is over. Returns what a commit of unknown outcome
/// would have left.
async fn work(
    store: &Store,
    disk: &FaultDisk,
    random: &mut Random,
    seed: u64,
    acknowledged: &mut Expected,
    next: &mut u64,
) -> Option<Expected> {
    for _ in 0..150 {
        let Ok(mut txn) = store.begin(TxnOptions::default()) else {
            return None;
        };
        let mut model = acknowledged.clone();
        *next += 1;
        if let Err(error) = transaction(*next, seed, &mut model, &mut txn) {
            assert!(disk.is_off(), "seed {seed}: {error}");
            return None;
        }
        if random.below(9) == 0 {
            txn.rollback();
            continue;
        }
        match txn.commit().await {
            Ok(_) => *acknowledged = model,
            Err(StorageError::CommitUnknown(_)) => return Some(model),
            Err(error) => {
                assert!(disk.is_off(), "seed {seed}: {error}");
                return None;
            }
        }
        if random.below(20) == 0 && store.flush_now().await.is_err() {
            return None;
        }
    }
    None
}

fn observed(store: &Store) -> aegis_storage::Result<Expected> {
    let view = store.newest_view()?;
    let all = |tree| try_scan(&view, tree, KeyRange::all(), Direction::Forward);
    let left = all(LEFT)?;
    assert_eq!(left, all(RIGHT)?, "a transaction is half there");
    let stream = all(STREAM)?;
    for (nth, (key, _)) in stream.iter().enumerate() {
        let number = nth as u64 + 1;
        assert_eq!(key, &(number ^ (1 << 63)).to_be_bytes(), "appended keys are dense");
    }
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ok(Expected {
        rows: left.into_iter().map(|(key, value)| (text(key), text(value))).collect(),
        appended: stream.len() as u64,
    })
}

fn small(random: &mut Random) -> StoreOptions {
    let mut options = options();
    options.freeze_bytes = [8_000, 40_000][random.below(2) as usize];
    options.flush_batch_rows = 1 + random.below(30) as usize;
    options.spill_bytes = [1 << 20, 6_000][random.below(2) as usize];
    options
}

async fn run(seed: u64) -> u64 {
    let mut random = Random(seed);
    let disk = Arc::new(FaultDisk::new(seed));
    let mut acknowledged = Expected::default();
    let mut next = 0;
    let mut crashes = 0;
    // What the one transaction would have left whose outcome the last round did not learn.
    let mut unknown: Option<Expected> = None;
    for _round in 0..6 {
        disk.inject(Fault::PowerLossAfter(1 + random.below(900)));
        if let Ok(store) = Store::open(small(&mut random), disk.clone()) {
            if DurableLog::open(&*disk, &store).is_ok()
                && let Ok(found) = observed(&store)
            {
                if Some(&found) == unknown.as_ref() {
                    acknowledged = found;
                } else {
                    assert_eq!(found, acknowledged, "seed {seed}: a commit is lost");
                }
                let known = &mut acknowledged;
                unknown = work(&store, &disk, &mut random, seed, known, &mut next).await;
            }
            store.shutdown().await.unwrap();
        }
        crashes += u64::from(disk.is_off());
        disk.crash();
    }
    let store = Store::open(small(&mut random), disk.clone()).unwrap();
    DurableLog::open(&*disk, &store).unwrap();
    let found = observed(&store).unwrap();
    assert!(found == acknowledged || Some(found) == unknown, "seed {seed}: a commit is lost");
    store.shutdown().await.unwrap();
    crashes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_commits_survive_crashes_whole() {
    let mut crashes = 0;
    for seed in 0..40 {
        crashes += run(seed).await;
    }
    assert!(crashes > 40, "only {crashes} crashes in all: the test tests nothing");
}
