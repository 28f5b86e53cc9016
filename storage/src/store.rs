//! The store: opening, composition and shutdown.

use std::any::Any;
use std::collections::HashSet;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use crate::apply::{ApplyState, decode_counter};
use crate::commit_log::{Applied, Applier, CommitLog, LogEntry, LogIndex};
use crate::flush::{self, Flusher};
use crate::hot::HotMap;
use crate::locks::{LockReport, LockTable};
use crate::proposals::Proposals;
use crate::run::{RUNS_DIR, Run, RunHash};
use crate::serializable::Window;
use crate::snapshot::{Registry, Snapshot};
use crate::tiers::{FrozenSource, Published, Tiers};
use crate::warm::{AppliedPoint, Warm};
use crate::write_set::{Loading, WriteSet};
use crate::{
    CommandId, CommitSeq, Disk, Key, ReadView, Result, StorageError, Transaction, TransactionId,
    TreeId, TxnOptions,
};

/// In storage's own tree: the first tree id that was not taken. (Counters of append trees have
/// keys of eight bytes there.)
const NEXT_TREE_ID: &[u8] = b"next tree id";
const TREE_ID_BLOCK: u64 = 64;
/// How often somebody who waits for a flush looks whether the disk is full.
const LOOK_AROUND: Duration = Duration::from_millis(200);

/// The wall clock: microseconds since 1970. Storage asks nothing else for the time of a commit.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// How the memory of the server is split: the one place where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryBudget {
    /// redb's cache of the warm tier.
    pub warm_cache_bytes: u64,
    /// Hot and frozen maps, retained ones too.
    pub hot_bytes: u64,
    /// Write sets of open transactions; beyond it they spill early.
    pub write_set_bytes: u64,
    /// For queries (sorts, hashes, aggregates); storage does not use it.
    pub query_bytes: u64,
    /// For connections; storage does not use it.
    pub connection_bytes: u64,
}

impl MemoryBudget {
    /// Splits a total.
    #[must_use]
    pub fn split(total_bytes: u64) -> Self {
        let percent = |n: u64| total_bytes / 100 * n;
        Self {
            warm_cache_bytes: percent(25),
            hot_bytes: percent(30),
            write_set_bytes: percent(10),
            query_bytes: percent(25),
            connection_bytes: percent(10),
        }
    }
}

/// How a store is opened.
#[derive(Clone)]
pub struct StoreOptions {
    /// The folder of the data, relative to the disk's root.
    pub dir: PathBuf,
    /// The split of memory.
    pub memory: MemoryBudget,
    /// What snapshots may hold back before the oldest one fails with 72000.
    pub max_pinned_bytes: u64,
    /// A hot map of this size is frozen and flushed.
    pub freeze_bytes: u64,
    /// A log of this size makes the hot map be flushed, whatever its own size.
    pub replay_bytes_max: u64,
    /// Rows of one flush batch.
    pub flush_batch_rows: usize,
    /// The pause between flush batches.
    pub flush_pause: Duration,
    /// A write set of this size spills into a run file.
    pub spill_bytes: u64,
    /// How long a write waits for memory before 53200.
    pub memory_wait: Duration,
    /// Row locks in one tree beyond which a transaction locks the tree.
    pub row_locks_per_tree_max: usize,
    /// The clock.
    pub clock: Clock,
}

impl fmt::Debug for StoreOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreOptions").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl StoreOptions {
    /// The usual options for a data folder, an amount of memory and a clock.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>, memory_bytes: u64, clock: Clock) -> Self {
        let memory = MemoryBudget::split(memory_bytes);
        Self {
            dir: dir.into(),
            memory,
            max_pinned_bytes: memory.hot_bytes,
            freeze_bytes: (memory.hot_bytes / 4).min(256 << 20),
            replay_bytes_max: 256 << 20,
            flush_batch_rows: 10_000,
            flush_pause: Duration::from_millis(2),
            spill_bytes: 64 << 20,
            memory_wait: Duration::from_secs(30),
            row_locks_per_tree_max: 50_000,
            clock,
        }
    }
}

/// What the catalog builder is told.
#[derive(Debug)]
pub struct CatalogChange<'a> {
    /// The state to be published.
    pub view: &'a ReadView,
    /// What the builder made last; `None` at first.
    pub previous: Option<&'a Arc<dyn Any + Send + Sync>>,
    /// The keys of system trees that changed since; `None` when that is not known (at start,
    /// after a very large transaction): then everything is to be read.
    pub changed: Option<&'a [(TreeId, Key)]>,
}

/// Builds the catalog that readers see together with the data. It runs in apply: it must be
/// quick, and what it makes of a given state must be the same on every node.
pub type CatalogBuilder =
    Box<dyn Fn(&CatalogChange<'_>) -> Arc<dyn Any + Send + Sync> + Send + Sync>;

/// What storage tells of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// The newest published commit.
    pub seq: CommitSeq,
    /// Bytes of the active hot map.
    pub hot_bytes: u64,
    /// How many frozen sources wait to be flushed.
    pub frozen_sources: usize,
    /// Bytes of them in memory.
    pub frozen_bytes: u64,
    /// Bytes of them in run files.
    pub frozen_run_bytes: u64,
    /// Bytes that old snapshots alone hold back.
    pub pinned_bytes: u64,
    /// Bytes of write sets of open transactions, in memory.
    pub write_set_bytes: u64,
    /// Bytes of the hot tier set aside for proposals on their way.
    pub reserved_bytes: u64,
    /// The size of the warm tier's file.
    pub warm_file_bytes: u64,
    /// Bytes of log that a restart would replay.
    pub replay_bytes: u64,
    /// The oldest commit that an open snapshot stands at.
    pub oldest_snapshot: Option<CommitSeq>,
    /// Open snapshots.
    pub snapshots: usize,
    /// The last entry that is durable in the warm tier.
    pub durable_applied: u64,
    /// Whether writes fail because the disk is full.
    pub disk_full: bool,
}

/// How the catalog is built, and from what.
pub(crate) struct CatalogHook {
    pub(crate) is_system_tree: Box<dyn Fn(TreeId) -> bool + Send + Sync>,
    pub(crate) builder: CatalogBuilder,
}

/// What every part of the store works on.
pub(crate) struct Shared {
    pub(crate) options: StoreOptions,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) runs_dir: PathBuf,
    pub(crate) current: ArcSwap<Published>,
    pub(crate) registry: Arc<Registry>,
    /// Bytes of every hot and frozen map that is alive.
    pub(crate) hot_account: Arc<AtomicU64>,
    write_account: Arc<AtomicU64>,
    pub(crate) warm: Warm,
    pub(crate) flushed_bytes: AtomicU64,
    pub(crate) locks: Arc<LockTable>,
    pub(crate) proposals: Proposals,
    pub(crate) window: Window,
    pub(crate) apply: Mutex<ApplyState>,
    pub(crate) log: Mutex<Option<Arc<dyn CommitLog>>>,
    pub(crate) durable: watch::Sender<AppliedPoint>,
    /// Nothing is served before this entry is applied.
    pub(crate) flush_target: LogIndex,
    pub(crate) ready: AtomicBool,
    ready_for_all: watch::Sender<bool>,
    pub(crate) flusher: Arc<Flusher>,
    /// Runs that are flushed, and whose entry is not yet behind `applied`.
    pub(crate) retired_runs: Mutex<Vec<(LogIndex, Arc<Run>)>>,
    /// Dropped trees whose drop is durable.
    pub(crate) reclaimable: Mutex<Vec<TreeId>>,
    pub(crate) catalog: RwLock<Option<CatalogHook>>,
    on_fatal: Mutex<Option<Box<dyn Fn(&str) + Send + Sync>>>,
    failed: OnceLock<String>,
    /// Names this process in the entries that it proposes.
    pub(crate) origin: u64,
    next_transaction: AtomicU64,
    /// Later than whenever a transaction of an earlier process began, in microseconds.
    epoch_us: OnceLock<i64>,
    /// Tree ids taken from the log and not yet given.
    tree_ids: tokio::sync::Mutex<Range<u64>>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.warm.full_disk().stop();
        self.flusher.stop();
    }
}

impl Shared {
    pub(crate) fn next_transaction_id(&self) -> TransactionId {
        TransactionId(self.next_transaction.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Of a transaction, what no other has had or will have.
    pub(crate) fn number_of(&self, id: TransactionId) -> i64 {
        // There are fewer than a million a second, and no clock goes back behind a commit.
        let epoch_us = self.epoch_us.get_or_init(|| {
            let committed_us = self.current.load().timestamp_us;
            (self.options.clock)().max(committed_us)
        });
        epoch_us.saturating_add_unsigned(id.0)
    }

    pub(crate) fn new_write_set(&self) -> WriteSet {
        let account = self.write_account.clone();
        let spill_bytes = self.options.spill_bytes as usize;
        let loading = Loading { from_row: spill_bytes >> 16, bytes_min: spill_bytes / 8 };
        WriteSet::new(account, self.disk.clone(), self.runs_dir.clone(), loading)
    }

    pub(crate) fn write_set_bytes(&self) -> u64 {
        self.write_account.load(Ordering::Relaxed)
    }

    pub(crate) fn hot_bytes(&self) -> u64 {
        self.hot_account.load(Ordering::Relaxed)
    }

    pub(crate) fn take_snapshot(&self) -> Result<Snapshot> {
        Snapshot::take(&self.current, &self.registry, (self.options.clock)())
    }

    /// Errors: 57P01 while stopping, 58030 after a failure.
    pub(crate) fn check_running(&self) -> Result<()> {
        if let Some(reason) = self.failed.get() {
            return Err(StorageError::Failed(reason.clone()));
        }
        if self.flusher.is_stopping() {
            return Err(StorageError::ShuttingDown);
        }
        Ok(())
    }

    /// Errors: those of [`Shared::check_running`], and 53100 while the disk is full.
    pub(crate) fn check_can_write(&self) -> Result<()> {
        self.check_running()?;
        if self.warm.full_disk().is_full() {
            return Err(StorageError::DiskFull { file: "warm.redb".into() });
        }
        Ok(())
    }

    pub(crate) fn is_system_tree(&self, tree: TreeId) -> bool {
        let hook = self.catalog.read();
        hook.as_ref().is_some_and(|hook| (hook.is_system_tree)(tree))
    }

    /// The node must stop: says so once, and refuses writes from here on.
    pub(crate) fn fail(&self, reason: &str) {
        if self.failed.set(reason.to_owned()).is_ok() {
            tracing::error!(reason, "storage has failed");
            if let Some(callback) = &*self.on_fatal.lock() {
                callback(reason);
            }
        }
        self.flusher.freed.notify_waiters();
    }

    /// Recovery has gone far enough.
    pub(crate) fn become_ready(&self) -> Result<()> {
        if !self.ready.swap(true, Ordering::SeqCst) {
            self.rebuild_catalog()?;
            self.ready_for_all.send_replace(true);
        }
        Ok(())
    }

    fn check_ready(&self) -> Result<()> {
        self.check_running()?;
        if *self.ready_for_all.borrow() { Ok(()) } else { Err(StorageError::Starting) }
    }
}

/// The store. A cheap handle; the store closes when the last handle, transaction and log let go.
#[derive(Clone, Debug)]
pub struct Store {
    shared: Arc<Shared>,
}

const RUN_LEFTOVER: &str = ".tmp";

impl Store {
    /// Opens the data in `options.dir`, or makes it. Nothing is served before the log has been
    /// attached and replayed far enough. Errors: 58030, XX001.
    pub fn open(options: StoreOptions, disk: Arc<dyn Disk>) -> Result<Self> {
        let runs_dir = options.dir.join(RUNS_DIR);
        disk.create_dir_all(&runs_dir)?;
        disk.sync_dir(&options.dir)?;
        if let Some(parent) = options.dir.parent() {
            disk.sync_dir(parent)?;
        }
        for name in disk.list(&runs_dir)? {
            if name.ends_with(RUN_LEFTOVER) {
                disk.remove(&runs_dir.join(name))?;
            }
        }
        let (warm, state) = Warm::open(&disk, &options.dir, options.memory.warm_cache_bytes)?;
        let hot_account = Arc::new(AtomicU64::new(0));
        let published = Published {
            seq: state.applied.seq,
            timestamp_us: state.applied.timestamp_us,
            tiers: Tiers {
                active: Arc::new(HotMap::new(hot_account.clone())),
                frozen: Arc::new([]),
                warm: Arc::new(warm.snapshot(0)?),
            },
            dropped: Arc::new(state.drops.iter().copied().collect()),
            catalog: Arc::new(()),
        };
        let is_ready = state.applied.index >= state.flush_target;
        let shared = Arc::new(Shared {
            runs_dir,
            disk,
            current: ArcSwap::from_pointee(published),
            registry: Arc::default(),
            hot_account,
            write_account: Arc::default(),
            warm,
            flushed_bytes: AtomicU64::new(0),
            locks: Arc::new(LockTable::new()),
            proposals: Proposals::default(),
            window: Window::default(),
            apply: Mutex::new(ApplyState::new(state.applied.clone())),
            log: Mutex::new(None),
            durable: watch::Sender::new(state.applied),
            flush_target: state.flush_target,
            ready: AtomicBool::new(is_ready),
            ready_for_all: watch::Sender::new(is_ready),
            flusher: Arc::default(),
            retired_runs: Mutex::default(),
            reclaimable: Mutex::new(state.drops),
            catalog: RwLock::new(None),
            on_fatal: Mutex::new(None),
            failed: OnceLock::new(),
            origin: new_origin(&options.clock),
            next_transaction: AtomicU64::new(0),
            epoch_us: OnceLock::new(),
            tree_ids: tokio::sync::Mutex::new(0..0),
            options,
        });
        let (flusher, weak) = (shared.flusher.clone(), Arc::downgrade(&shared));
        std::thread::Builder::new()
            .name("aegis-flush".into())
            .spawn(move || flush::run(&flusher, &weak))?;
        Ok(Self { shared })
    }

    /// Gives the store the log to propose to. The log then replays what lies behind
    /// [`Applier::durable_applied`].
    pub fn attach_log(&self, log: Arc<dyn CommitLog>) {
        *self.shared.log.lock() = Some(log);
        self.shared.flusher.wake();
    }

    /// Registers who is told, once, when the node must stop (a failed fsync, a failed apply).
    pub fn on_fatal(&self, callback: Box<dyn Fn(&str) + Send + Sync>) {
        *self.shared.on_fatal.lock() = Some(callback);
        if let Some(reason) = self.shared.failed.get()
            && let Some(callback) = &*self.shared.on_fatal.lock()
        {
            callback(reason);
        }
    }

    /// Resolves once recovery has gone far enough for snapshots to be served. (Whether everything
    /// that was ever acknowledged is replayed, the log knows.)
    pub async fn wait_ready(&self) -> Result<()> {
        let mut ready = self.shared.ready_for_all.subscribe();
        ready.wait_for(|ready| *ready).await.map_err(|_| StorageError::ShuttingDown)?;
        self.shared.check_running()
    }

    /// Registers the trees whose change makes the catalog be built anew, and the builder, which
    /// is called once right away if the store is ready and when it becomes ready otherwise.
    pub fn set_catalog_builder(
        &self,
        is_system_tree: Box<dyn Fn(TreeId) -> bool + Send + Sync>,
        builder: CatalogBuilder,
    ) -> Result<()> {
        *self.shared.catalog.write() = Some(CatalogHook { is_system_tree, builder });
        if self.shared.ready.load(Ordering::SeqCst) {
            self.shared.rebuild_catalog()?;
        }
        Ok(())
    }

    /// The newest published catalog; `()` without a builder. No snapshot is taken.
    #[must_use]
    pub fn newest_catalog(&self) -> Arc<dyn Any + Send + Sync> {
        self.shared.current.load().catalog.clone()
    }

    /// The newest published commit.
    #[must_use]
    pub fn newest_seq(&self) -> CommitSeq {
        self.shared.current.load().seq
    }

    /// Begins a transaction. Errors: 57P03 before the store is ready.
    pub fn begin(&self, options: TxnOptions) -> Result<Transaction> {
        self.shared.check_ready()?;
        Ok(Transaction::begin(self.shared.clone(), options))
    }

    /// The advisory locks of a session that begins: none yet.
    #[must_use]
    pub fn advisory_locks(&self, process_id: i32) -> crate::AdvisoryLocks {
        let owner = crate::locks::Owner {
            id: self.shared.next_transaction_id(),
            process_id,
            deadlock_timeout: std::time::Duration::from_secs(1),
        };
        crate::AdvisoryLocks::new(self.shared.locks.clone(), owner)
    }

    /// The locks that transactions hold and wait for: see [`LockReport`].
    #[must_use]
    pub fn locks(&self) -> Vec<LockReport> {
        self.shared.locks.report()
    }

    /// A view of the newest published state without a transaction. Errors: 57P03.
    pub fn newest_view(&self) -> Result<ReadView> {
        self.shared.check_ready()?;
        let snapshot = Arc::new(self.shared.take_snapshot()?);
        Ok(ReadView::new(snapshot, CommandId(0), None, None))
    }

    /// A view that holds nothing back and cannot be read: for who keeps what a statement runs with
    /// while nothing is read. Errors: 53000.
    pub fn detached_view(&self) -> Result<ReadView> {
        let shared = &self.shared;
        let snapshot = Snapshot::detached(&shared.current.load(), &shared.registry)?;
        Ok(ReadView::new(Arc::new(snapshot), CommandId(0), None, None))
    }

    /// A tree id that was never given before, durably: ids are taken from the log in blocks of
    /// 64, so that most calls do not wait. An id given and not used is lost.
    pub async fn allocate_tree_id(&self) -> Result<TreeId> {
        let mut ids = self.shared.tree_ids.lock().await;
        if ids.is_empty() {
            let mut txn = self.begin(TxnOptions::default())?;
            let first = match txn.get_newest(TreeId::STORAGE, NEXT_TREE_ID)? {
                Some(row) => decode_counter(&row.value)?,
                None => TreeId::FIRST_ALLOCATED.0,
            };
            let end = first + TREE_ID_BLOCK;
            txn.put(TreeId::STORAGE, NEXT_TREE_ID, &end.to_le_bytes())?;
            txn.commit().await?;
            *ids = first..end;
        }
        let id = ids.start;
        ids.start += 1;
        Ok(TreeId(id))
    }

    /// This node leads anew, with everything before decided and applied: proposals whose outcome
    /// was unknown are not in the log, their locks go, and tree ids are taken from the log again.
    pub async fn forget_unknown_proposals(&self) {
        self.shared.forget_proposals();
        *self.shared.tree_ids.lock().await = 0..0;
    }

    /// Removes run files that nothing refers to: called once the log is replayed, with the runs
    /// that its unapplied entries name ([`crate::runs_of_entry`]). Returns how many went.
    pub fn remove_orphaned_runs(&self, referenced: &HashSet<RunHash>) -> Result<usize> {
        let shared = &self.shared;
        // While the applier's mutex is held no run comes into use.
        let _state = shared.apply.lock();
        let current = shared.current.load_full();
        let mut used: HashSet<RunHash> =
            shared.retired_runs.lock().iter().filter_map(|(_, run)| run.hash()).collect();
        for frozen in current.tiers.frozen.iter() {
            if let FrozenSource::Run(run, _) = &frozen.source {
                used.extend(run.hash());
            }
        }
        let mut removed = 0;
        for name in shared.disk.list(&shared.runs_dir)? {
            if let Some(hash) = RunHash::from_file_name(&name)
                && !used.contains(&hash)
                && !referenced.contains(&hash)
            {
                shared.disk.remove(&shared.runs_dir.join(name))?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// What storage tells of itself.
    #[must_use]
    pub fn stats(&self) -> StoreStats {
        let shared = &self.shared;
        let current = shared.current.load();
        let (snapshots, oldest_snapshot) = shared.registry.oldest();
        let frozen = current.tiers.frozen.iter();
        StoreStats {
            seq: current.seq,
            hot_bytes: current.tiers.active.bytes(),
            frozen_sources: current.tiers.frozen.len(),
            frozen_bytes: frozen.map(|frozen| frozen.source.memory_bytes()).sum(),
            frozen_run_bytes: current
                .tiers
                .frozen
                .iter()
                .map(|frozen| match &frozen.source {
                    FrozenSource::Run(run, _) => run.bytes(),
                    FrozenSource::Memory(_) => 0,
                })
                .sum(),
            pinned_bytes: shared.pinned_bytes(),
            write_set_bytes: shared.write_set_bytes(),
            reserved_bytes: shared.proposals.reserved_bytes(),
            warm_file_bytes: shared.warm.file_bytes(),
            replay_bytes: shared.log.lock().as_ref().map_or(0, |log| log.replay_bytes()),
            oldest_snapshot,
            snapshots,
            durable_applied: shared.durable.borrow().index.0,
            disk_full: shared.warm.full_disk().is_full(),
        }
    }

    /// Flushes everything that is committed now into the warm tier (VACUUM, a checkpoint).
    /// Errors: 53100, 57P01, 58030.
    pub async fn flush_now(&self) -> Result<()> {
        let shared = &self.shared;
        shared.check_running()?;
        let target = {
            let mut state = shared.apply.lock();
            shared.freeze(&mut state);
            state.applied.index
        };
        let _insisting = Insisting::new(shared.flusher.clone());
        let mut durable = shared.durable.subscribe();
        loop {
            let reached = durable.wait_for(|durable| durable.index >= target);
            match tokio::time::timeout(LOOK_AROUND, reached).await {
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(_)) => return Err(StorageError::ShuttingDown),
                Err(_) => shared.check_can_write()?,
            }
        }
    }

    /// Stops background work and lets the log go; what is not flushed, the log replays. Writes and
    /// new transactions fail with 57P01 from here on.
    pub async fn shutdown(&self) -> Result<()> {
        let shared = &self.shared;
        shared.warm.full_disk().stop();
        shared.flusher.stop();
        loop {
            let ended = shared.flusher.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            if shared.flusher.has_ended.load(Ordering::SeqCst) {
                break;
            }
            ended.await;
        }
        tracing::debug!("the flusher has stopped");
        *shared.log.lock() = None;
        Ok(())
    }
}

/// Makes the flusher flush whatever is pinned, for as long as somebody waits for it.
struct Insisting(Arc<Flusher>);

impl Insisting {
    fn new(flusher: Arc<Flusher>) -> Self {
        flusher.insist(true);
        Self(flusher)
    }
}

impl Drop for Insisting {
    fn drop(&mut self) {
        self.0.insist(false);
    }
}

/// A number that no other process has: of the clock, the process and the address of a value.
fn new_origin(clock: &Clock) -> u64 {
    static OPENED: AtomicU64 = AtomicU64::new(0);
    let nth = OPENED.fetch_add(1, Ordering::Relaxed);
    let mut hasher = std::hash::RandomState::new().build_hasher();
    hasher.write_i64(clock());
    hasher.write_u64(nth);
    hasher.write_u32(std::process::id());
    hasher.finish()
}

impl Applier for Store {
    fn apply_batch(&self, entries: &[LogEntry]) -> Result<Vec<Applied>> {
        let answers = self.shared.apply_entries(entries);
        if let Err(error) = &answers {
            self.shared.fail(&format!("apply: {error}"));
        }
        answers
    }

    fn durable_applied(&self) -> (LogIndex, Arc<[u8]>) {
        let durable = self.shared.durable.borrow();
        (durable.index, durable.log_state.clone())
    }
}
