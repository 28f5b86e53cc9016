//! The whole log: openraft's own conformance suite, crashes, purges and full disks, on a
//! simulated disk with a store in memory.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use aegis_storage::commit_log::LogEntry;
use aegis_storage::{CommitSeq, StorageError};
use openraft::storage::RaftStateMachine;
use openraft::testing::log::{StoreBuilder, Suite};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::*;
use crate::disk::simulated::{Chance, SimulatedDisk};
use crate::state_machine::Checkpoint;

/// A store in memory that remembers every entry it was given, and is durable when told.
#[derive(Default)]
struct MemoryApplier {
    state: Mutex<MemoryState>,
}

#[derive(Default)]
struct MemoryState {
    applied: Vec<LogEntry>,
    durable: (LogIndex, Arc<[u8]>),
    batches: usize,
    /// Whether every entry is durable as soon as it is applied.
    durable_at_once: bool,
    fail: bool,
}

impl MemoryApplier {
    /// A store that comes back with what was durable, and nothing else.
    fn restarted(&self) -> Arc<Self> {
        let durable = self.state.lock().durable.clone();
        Arc::new(Self { state: Mutex::new(MemoryState { durable, ..MemoryState::default() }) })
    }

    /// Makes everything applied so far durable.
    fn flush(&self) -> LogIndex {
        let mut state = self.state.lock();
        if let Some(last) = state.applied.last() {
            state.durable = (last.index, Arc::clone(&last.log_state));
        }
        state.durable.0
    }

    /// The payloads applied, without the log's own entries.
    fn payloads(&self) -> Vec<Vec<u8>> {
        let state = self.state.lock();
        let payloads = state.applied.iter().map(|entry| entry.payload.to_vec());
        payloads.filter(|payload| !payload.is_empty()).collect()
    }

    fn indexes(&self) -> Vec<u64> {
        let state = self.state.lock();
        state.applied.iter().map(|entry| entry.index.0).collect()
    }

    fn numbers(&self) -> Vec<u64> {
        self.payloads().iter().map(|payload| number(payload)).collect()
    }
}

fn number(payload: &[u8]) -> u64 {
    u64::from_le_bytes(payload[..8].try_into().unwrap())
}

impl Applier for MemoryApplier {
    fn apply_batch(&self, entries: &[LogEntry]) -> Result<Vec<Applied>, StorageError> {
        let mut state = self.state.lock();
        if state.fail {
            return Err(StorageError::Io(std::io::Error::other("told to fail")));
        }
        state.batches += 1;
        for entry in entries {
            state.applied.push(entry.clone());
        }
        if state.durable_at_once
            && let Some(last) = entries.last()
        {
            state.durable = (last.index, Arc::clone(&last.log_state));
        }
        let applied =
            |entry: &LogEntry| Applied { index: entry.index, commit_seq: CommitSeq(entry.index.0) };
        Ok(entries.iter().map(applied).collect())
    }

    fn durable_applied(&self) -> (LogIndex, Arc<[u8]>) {
        self.state.lock().durable.clone()
    }
}

/// Those of a log that leads alone and of one that openraft leads, in turn.
fn options() -> RaftLogOptions {
    static OPENED: AtomicU64 = AtomicU64::new(0);
    let leads_alone = OPENED.fetch_add(1, Ordering::Relaxed).is_multiple_of(2);
    RaftLogOptions { leads_alone, ..by_openraft() }
}

fn by_openraft() -> RaftLogOptions {
    RaftLogOptions {
        segment_bytes: 64 << 10,
        tail_bytes_max: 32 << 10,
        in_place: now_and_then,
        leads_alone: false,
        ..RaftLogOptions::default()
    }
}

/// Both ways of leading, for tests that open one log.
fn both_ways() -> [RaftLogOptions; 2] {
    [by_openraft(), RaftLogOptions { leads_alone: true, ..by_openraft() }]
}

/// Both ways of writing, in turn.
fn now_and_then() -> bool {
    static ASKED: AtomicU64 = AtomicU64::new(0);
    ASKED.fetch_add(1, Ordering::Relaxed).is_multiple_of(2)
}

async fn open(disk: &SimulatedDisk, applier: &Arc<MemoryApplier>) -> Arc<RaftLog> {
    open_with(options(), disk, applier).await
}

async fn open_with(
    options: RaftLogOptions,
    disk: &SimulatedDisk,
    applier: &Arc<MemoryApplier>,
) -> Arc<RaftLog> {
    let applier: Arc<dyn Applier> = Arc::clone(applier) as _;
    RaftLog::open_on(Arc::new(disk.clone()), options, applier, |_| {}).await.unwrap()
}

fn payload(number: u64, length: usize) -> Vec<u8> {
    let mut payload = number.to_le_bytes().to_vec();
    payload.resize(length.max(8), 7);
    payload
}

#[tokio::test]
async fn a_proposal_is_applied_before_it_is_answered() {
    for options in both_ways() {
        let disk = SimulatedDisk::default();
        let applier = Arc::new(MemoryApplier::default());
        let log = open_with(options.clone(), &disk, &applier).await;
        let mut last = LogIndex(0);
        for number in 0..20 {
            let applied = log.propose(payload(number, 30)).await.unwrap().unwrap();
            assert_eq!(applier.numbers(), (0..=number).collect::<Vec<_>>());
            assert!(applied.index > last);
            last = applied.index;
        }
        let state = applier.state.lock();
        let indexes: Vec<u64> = state.applied.iter().map(|entry| entry.index.0).collect();
        assert_eq!(indexes, (1..=last.0).collect::<Vec<_>>(), "from 1 without a gap");
    }
}

#[tokio::test]
async fn a_proposal_needs_no_runtime_of_its_own() {
    for options in both_ways() {
        let disk = SimulatedDisk::default();
        let applier = Arc::new(MemoryApplier::default());
        let log = open_with(options.clone(), &disk, &applier).await;
        let receiver = std::thread::spawn({
            let log = Arc::clone(&log);
            move || log.propose(payload(1, 8))
        })
        .join()
        .unwrap();
        receiver.await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_restart_everything_acknowledged_is_replayed_from_the_durable_entry() {
    let disk = SimulatedDisk::default();
    let applier = Arc::new(MemoryApplier::default());
    let log = open(&disk, &applier).await;
    for number in 0..100 {
        log.propose(payload(number, 50)).await.unwrap().unwrap();
    }
    applier.flush();
    for number in 100..200 {
        log.propose(payload(number, 50)).await.unwrap().unwrap();
    }
    assert!(log.replay_bytes() >= 100 * 50);
    log.shutdown().await.unwrap();
    let refused = log.propose(payload(9, 9)).await.unwrap();
    assert!(matches!(refused, Err(ProposeError::ShuttingDown)));

    let applier = applier.restarted();
    let log = open(&disk.copy(), &applier).await;
    assert_eq!(applier.numbers(), (100..200).collect::<Vec<_>>());
    log.propose(payload(200, 50)).await.unwrap().unwrap();
    assert_eq!(applier.numbers(), (100..=200).collect::<Vec<_>>());
}

/// Proposes numbers from many tasks until the power is cut; answers what was acknowledged.
async fn commit_until_power_cut(
    log: &Arc<RaftLog>,
    disk: &SimulatedDisk,
    entries: u64,
    cut_after: usize,
    chance: &mut Chance,
) -> (SimulatedDisk, BTreeSet<u64>) {
    const TASKS: u64 = 16;
    let acknowledged = Arc::new(Mutex::new(BTreeSet::new()));
    let enough = Arc::new(Notify::new());
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let (log, acknowledged, enough) =
                (Arc::clone(log), Arc::clone(&acknowledged), Arc::clone(&enough));
            Handle::current().spawn(async move {
                for number in (task..entries).step_by(TASKS as usize) {
                    if !matches!(log.propose(payload(number, 40)).await, Ok(Ok(_))) {
                        return;
                    }
                    let mut acknowledged = acknowledged.lock();
                    acknowledged.insert(number);
                    if acknowledged.len() >= cut_after {
                        enough.notify_one();
                    }
                }
            })
        })
        .collect();
    enough.notified().await;
    // What is acknowledged before the cut must survive; what comes after may.
    let promised = acknowledged.lock().clone();
    let left = disk.crash(chance);
    for task in tasks {
        task.await.unwrap();
    }
    (left, promised)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_power_cut_every_acknowledged_entry_is_there_once_and_in_order() {
    for seed in 0..6 {
        let mut chance = Chance(seed);
        let disk = SimulatedDisk::default();
        let applier = Arc::new(MemoryApplier::default());
        let log = open(&disk, &applier).await;
        let cut_after = 9_000 + chance.below(900) as usize;
        let (left, promised) =
            commit_until_power_cut(&log, &disk, 10_000, cut_after, &mut chance).await;
        drop(log);
        let before = applier.numbers();

        let again = applier.restarted();
        let log = open(&left, &again).await;
        let after = again.numbers();
        let once: BTreeSet<u64> = after.iter().copied().collect();
        assert_eq!(once.len(), after.len(), "seed {seed}: applied twice");
        assert!(promised.is_subset(&once), "seed {seed}: an acknowledged entry is lost");
        assert_eq!(
            after[..before.len().min(after.len())],
            before[..before.len().min(after.len())],
            "seed {seed}: another order"
        );
        let indexes = again.indexes();
        assert_eq!(indexes, (1..=indexes.len() as u64).collect::<Vec<_>>());
        log.propose(payload(77_777, 8)).await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_is_purged_behind_the_durable_entry_only() {
    for options in both_ways() {
        let disk = SimulatedDisk::default();
        let applier = Arc::new(MemoryApplier::default());
        let log = open_with(options.clone(), &disk, &applier).await;
        for round in 0..20_u64 {
            for number in 0..50 {
                log.propose(payload(round * 50 + number, 1000)).await.unwrap().unwrap();
            }
            if round == 10 {
                // Asked to purge what is not durable: it must not.
                log.purge_to(LogIndex(500));
            }
        }
        assert!(log.replay_bytes() >= 1_000_000);
        let durable = applier.flush();
        log.purge_to(durable);
        assert_eq!(log.replay_bytes(), 0);
        let mut purged = log.store.clone();
        let purged_to = |store: &mut LogStore| store.extent().0.unwrap_or(0);
        while purged_to(&mut purged) + 1 < durable.0 {
            // Purging goes through openraft's queue: another commit passes behind it.
            log.propose(payload(5000, 8)).await.unwrap().unwrap();
        }
        log.shutdown().await.unwrap();
        assert!(disk.used_bytes() <= 7 * (64 << 10), "{} bytes", disk.used_bytes());

        let applier = applier.restarted();
        let log = open(&disk.copy(), &applier).await;
        assert!(applier.numbers().iter().all(|number| *number == 5000));
        log.propose(payload(1, 8)).await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_fails_to_sync_stops_the_node_and_answers_unknown() {
    for options in both_ways() {
        let disk = SimulatedDisk::default();
        let applier: Arc<dyn Applier> = Arc::new(MemoryApplier::default());
        let fatal = Arc::new(Mutex::new(Vec::new()));
        let on_fatal = {
            let fatal = Arc::clone(&fatal);
            move |error: Arc<LogError>| fatal.lock().push(error.to_string())
        };
        let log = RaftLog::open_on(Arc::new(disk.clone()), options.clone(), applier, on_fatal)
            .await
            .unwrap();
        log.propose(payload(1, 8)).await.unwrap().unwrap();
        disk.fail_after(0);
        let outcome = log.propose(payload(2, 8)).await.unwrap();
        assert!(matches!(outcome, Err(ProposeError::Unknown(_))), "{outcome:?}");
        assert_eq!(fatal.lock().len(), 1);
        let outcome = log.propose(payload(3, 8)).await.unwrap();
        assert!(matches!(outcome, Err(ProposeError::Refused(_))), "{outcome:?}");
        log.shutdown().await.unwrap();
        assert_eq!(fatal.lock().len(), 1);
    }
}

#[tokio::test]
async fn a_store_that_fails_to_apply_stops_the_node() {
    for options in both_ways() {
        let disk = SimulatedDisk::default();
        let applier = Arc::new(MemoryApplier::default());
        let fatal = Arc::new(AtomicBool::new(false));
        let on_fatal = {
            let fatal = Arc::clone(&fatal);
            move |_: Arc<LogError>| assert!(!fatal.swap(true, Ordering::SeqCst))
        };
        let store: Arc<dyn Applier> = Arc::clone(&applier) as _;
        let log = RaftLog::open_on(Arc::new(disk), options.clone(), store, on_fatal).await.unwrap();
        applier.state.lock().fail = true;
        let outcome = log.propose(payload(2, 8)).await.unwrap();
        assert!(matches!(outcome, Err(ProposeError::Unknown(_))), "{outcome:?}");
        assert!(fatal.load(Ordering::SeqCst));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_writes_and_takes_them_again_after_a_purge() {
    for options in both_ways() {
        let disk = SimulatedDisk::default();
        let applier = Arc::new(MemoryApplier::default());
        let fatal = Arc::new(AtomicBool::new(false));
        let on_fatal = {
            let fatal = Arc::clone(&fatal);
            move |_: Arc<LogError>| fatal.store(true, Ordering::SeqCst)
        };
        let wide = RaftLogOptions { segment_bytes: 512 << 10, ..options.clone() };
        let store: Arc<dyn Applier> = Arc::clone(&applier) as _;
        let log = RaftLog::open_on(Arc::new(disk.clone()), wide, store, on_fatal).await.unwrap();
        disk.limit_space(Some(4 * (512 << 10)));
        let refused = loop {
            if let Err(error) = log.propose(payload(1, 4000)).await.unwrap() {
                break error;
            }
        };
        assert!(refused.to_string().contains("no space left on device"), "{refused}");
        let durable = applier.flush();
        log.purge_to(durable);
        while log.propose(payload(2, 4000)).await.unwrap().is_err() {
            tokio::task::yield_now().await;
        }
        assert!(!fatal.load(Ordering::SeqCst));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_on_a_disk_that_fills_is_refused_and_stops_nothing() {
    for options in both_ways() {
        for segments in 2..6 {
            let disk = SimulatedDisk::default();
            let fatal = Arc::new(AtomicBool::new(false));
            let on_fatal = {
                let fatal = Arc::clone(&fatal);
                move |_: Arc<LogError>| fatal.store(true, Ordering::SeqCst)
            };
            let wide = RaftLogOptions { segment_bytes: 256 << 10, ..options.clone() };
            let store: Arc<dyn Applier> = Arc::new(MemoryApplier::default());
            let log =
                RaftLog::open_on(Arc::new(disk.clone()), wide, store, on_fatal).await.unwrap();
            disk.limit_space(Some(segments * (256 << 10)));
            // More at once than the disk holds: some must be refused, and none may be in doubt.
            let proposals: Vec<_> = (0..600).map(|_| log.propose(payload(1, 4000))).collect();
            let mut refused = 0;
            for proposal in proposals {
                match proposal.await.unwrap() {
                    Ok(_) => {}
                    Err(ProposeError::DiskFull) => refused += 1,
                    Err(error) => panic!("{error}"),
                }
            }
            assert!(refused > 0, "{segments}");
            assert!(!fatal.load(Ordering::SeqCst), "{segments}");
            log.shutdown().await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wherever_the_disk_fails_every_proposal_is_answered() {
    for options in both_ways() {
        for fails_after in 0..80 {
            let disk = SimulatedDisk::default();
            let small = RaftLogOptions { segment_bytes: 16 << 10, ..options.clone() };
            let applier: Arc<dyn Applier> = Arc::new(MemoryApplier::default());
            let log =
                RaftLog::open_on(Arc::new(disk.clone()), small, applier, |_| {}).await.unwrap();
            disk.fail_after(fails_after);
            for _ in 0..30 {
                let outcome = log.propose(payload(1, 4000));
                // Its limit is what tells a hang from a slow machine.
                let answered = tokio::time::timeout(Duration::from_secs(60), outcome).await;
                let _ =
                    answered.unwrap_or_else(|_| panic!("no answer, failing after {fails_after}"));
            }
            log.shutdown().await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_log_that_lost_entries_of_its_store_is_refused() {
    let disk = SimulatedDisk::default();
    let applier = Arc::new(MemoryApplier::default());
    let log = open(&disk, &applier).await;
    log.propose(payload(1, 8)).await.unwrap().unwrap();
    applier.flush();
    log.shutdown().await.unwrap();
    let store: Arc<dyn Applier> = applier.restarted();
    let opened =
        RaftLog::open_on(Arc::new(SimulatedDisk::default()), options(), store, |_| {}).await;
    assert!(matches!(opened.err(), Some(LogError::Mismatch(_))));
}

#[tokio::test]
async fn a_directory_is_opened_once() {
    let directory = tempfile::tempdir().unwrap();
    let first = DirectoryDisk::open(directory.path()).unwrap();
    let second = DirectoryDisk::open(directory.path());
    assert_eq!(second.err().unwrap().kind(), std::io::ErrorKind::ResourceBusy);
    drop(first);
    let applier = Arc::new(MemoryApplier::default());
    let log = RaftLog::open(directory.path(), options(), Arc::clone(&applier) as _, |_| {})
        .await
        .unwrap();
    log.propose(payload(1, 8)).await.unwrap().unwrap();
    assert!(DirectoryDisk::open(directory.path()).is_err());
    log.shutdown().await.unwrap();
    DirectoryDisk::open(directory.path()).unwrap();
}

/// Builds stores for openraft's suite.
struct Builder;

impl StoreBuilder<TypeConfig, LogStore, StateMachine> for Builder {
    async fn build(
        &self,
    ) -> Result<((), LogStore, StateMachine), openraft::StorageError<TypeConfig>> {
        let on_fatal: OnFatal = Arc::new(|_| {});
        let disk = Arc::new(SimulatedDisk::default());
        let store = LogStore::open(disk, 4096, 256, now_and_then, Arc::clone(&on_fatal)).unwrap();
        let applier = MemoryApplier::default();
        applier.state.lock().durable_at_once = true;
        let state_machine = StateMachine::new(Arc::new(applier), on_fatal).unwrap();
        Ok(((), store, state_machine))
    }
}

type OpenraftSuite = Suite<TypeConfig, LogStore, StateMachine, Builder, ()>;

/// Every test of openraft's suite, each on stores of its own, but `transfer_snapshot`, which
/// installs a snapshot: see the test after this one.
macro_rules! openraft_suite {
    ($($name:ident)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                let ((), store, state_machine) = Builder.build().await.unwrap();
                OpenraftSuite::$name(store, state_machine).await.unwrap();
            }
        )*
    };
}

mod openraft_suite {
    use super::*;

    openraft_suite! {
        last_membership_in_log_initial last_membership_in_log last_membership_in_log_multi_step
        get_membership_initial get_membership_from_log_and_empty_sm
        get_membership_from_empty_log_and_sm get_membership_from_log_le_sm_last_applied
        get_membership_from_log_gt_sm_last_applied_1 get_membership_from_log_gt_sm_last_applied_2
        get_initial_state_without_init get_initial_state_membership_from_empty_log_and_sm
        get_initial_state_membership_from_sm_inlog_is_smaller
        get_initial_state_membership_from_log_insm_is_smaller get_initial_state_with_state
        get_initial_state_last_log_gt_sm get_initial_state_last_log_lt_sm
        get_initial_state_inverted_log_order get_initial_state_conflict_at_same_index
        get_initial_state_log_ids get_initial_state_re_apply_committed save_vote get_log_entries
        limited_get_log_entries leader_bounded_stream entries_stream try_get_log_entry
        log_reader_reads_new_entries initial_logs get_log_state get_log_id last_id_in_log
        last_applied_state purge_logs_upto_0 purge_logs_upto_5 purge_logs_upto_20
        delete_logs_after_11 delete_logs_after_5 delete_logs_after_0 delete_logs_after_none
        append_to_log snapshot_meta snapshot_meta_optional apply_single apply_multiple
    }
}

#[tokio::test]
async fn a_snapshot_is_the_durable_checkpoint_and_installing_one_is_unsupported() {
    let disk = SimulatedDisk::default();
    let applier = Arc::new(MemoryApplier::default());
    let log = open_with(by_openraft(), &disk, &applier).await;
    let core = log.core.as_ref().unwrap();
    log.propose(payload(1, 8)).await.unwrap().unwrap();
    assert!(core.get_snapshot().await.unwrap().is_none(), "nothing is durable yet");
    let durable = applier.flush();
    log.propose(payload(2, 8)).await.unwrap().unwrap();
    let snapshot = core.get_snapshot().await.unwrap().unwrap();
    let last = snapshot.meta.last_log_id.unwrap();
    assert_eq!(state_machine::seam_index(last.index), durable);
    let voters: Vec<u64> = snapshot.meta.last_membership.voter_ids().collect();
    assert_eq!(voters, [1]);

    let ((), _store, mut state_machine) = Builder.build().await.unwrap();
    let installed = state_machine.install_snapshot(&snapshot.meta, Checkpoint).await;
    assert_eq!(installed.unwrap_err().kind(), std::io::ErrorKind::Unsupported);
}

#[tokio::test]
async fn proposals_that_come_together_share_a_sync_and_a_batch() {
    for options in both_ways() {
        let disk = SimulatedDisk::default();
        let applier = Arc::new(MemoryApplier::default());
        let options = RaftLogOptions { in_place: || false, ..options };
        let log = open_with(options, &disk, &applier).await;
        // The store is busy until all of them are queued.
        let receivers: Vec<_> = {
            let mut state = applier.state.lock();
            state.batches = 0;
            (0..500).map(|number| log.propose(payload(number, 20))).collect()
        };
        let syncs = disk.sync_count();
        for receiver in receivers {
            receiver.await.unwrap().unwrap();
        }
        assert_eq!(applier.numbers(), (0..500).collect::<Vec<_>>());
        // A segment of 64 KiB takes them all; a few batches are openraft's choice.
        assert!(disk.sync_count() - syncs <= 10, "{} syncs", disk.sync_count() - syncs);
        assert!(applier.state.lock().batches <= 10);
    }
}

/// One voter goes on where the other way of leading stopped, on the same log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_led_alone_is_openrafts_log_and_the_other_way_round() {
    let disk = SimulatedDisk::default();
    let applier = Arc::new(MemoryApplier::default());
    for (life, options) in (0_u64..).zip([both_ways(), both_ways()].concat()) {
        let log = open_with(options.clone(), &disk, &applier.restarted()).await;
        assert_eq!(log.core.is_none(), options.leads_alone);
        for number in life * 100..(life + 1) * 100 {
            log.propose(payload(number, 900)).await.unwrap().unwrap();
        }
        log.shutdown().await.unwrap();
        drop(log);
        let again = Arc::new(MemoryApplier::default());
        let log = open_with(by_openraft(), &disk.copy(), &again).await;
        assert_eq!(again.numbers(), (0..(life + 1) * 100).collect::<Vec<_>>());
        let indexes = again.indexes();
        assert_eq!(indexes, (1..=indexes.len() as u64).collect::<Vec<_>>());
        log.shutdown().await.unwrap();
    }
}

/// What is queued behind a batch that the store fails to apply must not be applied after it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_applied_behind_a_batch_that_failed() {
    for in_place in [(|| false) as fn() -> bool, || true] {
        for options in both_ways() {
            let disk = SimulatedDisk::default();
            let applier = Arc::new(MemoryApplier::default());
            let options = RaftLogOptions { in_place, ..options };
            let log = open_with(options, &disk, &applier).await;
            log.propose(payload(1, 8)).await.unwrap().unwrap();
            applier.state.lock().fail = true;
            let proposals: Vec<_> = (2..40).map(|number| log.propose(payload(number, 8))).collect();
            let mut outcomes = Vec::new();
            for proposal in proposals {
                outcomes.push(proposal.await.unwrap());
                applier.state.lock().fail = false;
            }
            assert!(outcomes.iter().all(Result::is_err), "{outcomes:?}");
            assert_eq!(applier.numbers(), [1]);
            log.shutdown().await.unwrap();
        }
    }
}

#[test]
fn a_log_dropped_with_its_runtime_opens_again_from_its_directory() {
    let directory = tempfile::tempdir().unwrap();
    let runtime = || {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
    };
    let applier = Arc::new(MemoryApplier::default());
    let first = runtime();
    let log = first.block_on(async {
        let store: Arc<dyn Applier> = Arc::clone(&applier) as _;
        let log = RaftLog::open(directory.path(), options(), store, |_| {}).await.unwrap();
        for number in 0..300 {
            log.propose(payload(number, 700)).await.unwrap().unwrap();
        }
        log
    });
    drop(log);
    drop(first);
    let applier = applier.restarted();
    let store: Arc<dyn Applier> = Arc::clone(&applier) as _;
    runtime().block_on(async {
        // The writer thread of the first life lets go of the directory as soon as it notices.
        let log = loop {
            let store = Arc::clone(&store);
            match RaftLog::open(directory.path(), options(), store, |_| {}).await {
                Ok(log) => break log,
                Err(LogError::InUse(_)) => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        };
        assert_eq!(applier.numbers(), (0..300).collect::<Vec<_>>());
        log.shutdown().await.unwrap();
    });
}
