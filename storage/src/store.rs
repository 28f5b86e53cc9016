//! The store: opening, composition and shutdown.

use std::any::Any;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::commit_log::{Applied, Applier, CommitLog, LogEntry, LogIndex};
use crate::{
    CommitSeq, Disk, Key, ReadView, Result, StorageError, Transaction, TreeId, TxnOptions,
};

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
        f.debug_struct("StoreOptions")
            .field("dir", &self.dir)
            .finish_non_exhaustive()
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
    /// Bytes that old snapshots alone hold back.
    pub pinned_bytes: u64,
    /// Bytes of write sets of open transactions, in memory.
    pub write_set_bytes: u64,
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

/// The store. A cheap handle.
#[derive(Clone, Debug)]
pub struct Store {}

fn not_built<T>() -> Result<T> {
    Err(StorageError::Internal("not built yet".into()))
}

impl Store {
    /// Opens the data in `options.dir`, or makes it. Nothing is served before the log has been
    /// attached and replayed far enough.
    pub fn open(_options: StoreOptions, _disk: Arc<dyn Disk>) -> Result<Self> {
        not_built()
    }

    /// Gives the store the log to propose to.
    pub fn attach_log(&self, _log: Arc<dyn CommitLog>) {}

    /// Registers who is told, once, when the node must stop (a failed fsync, a failed apply).
    pub fn on_fatal(&self, _callback: Box<dyn Fn(&str) + Send + Sync>) {}

    /// Resolves once recovery has gone far enough for snapshots to be served.
    pub async fn wait_ready(&self) -> Result<()> {
        not_built()
    }

    /// Registers the trees whose change makes the catalog be built anew, and the builder, which
    /// is called once right away if the store is ready and when it becomes ready otherwise.
    pub fn set_catalog_builder(
        &self,
        _is_system_tree: Box<dyn Fn(TreeId) -> bool + Send + Sync>,
        _builder: CatalogBuilder,
    ) -> Result<()> {
        not_built()
    }

    /// The newest published catalog; `()` without a builder. No snapshot is taken.
    #[must_use]
    pub fn newest_catalog(&self) -> Arc<dyn Any + Send + Sync> {
        Arc::new(())
    }

    /// Begins a transaction. Errors: 57P03 before the store is ready.
    pub fn begin(&self, _options: TxnOptions) -> Result<Transaction> {
        not_built()
    }

    /// A view of the newest published state without a transaction.
    pub fn newest_view(&self) -> Result<ReadView> {
        not_built()
    }

    /// A tree id that was never given before, durably: ids are taken from the log in blocks, so
    /// that most calls do not wait.
    pub async fn allocate_tree_id(&self) -> Result<TreeId> {
        not_built()
    }

    /// What storage tells of itself.
    #[must_use]
    pub fn stats(&self) -> StoreStats {
        StoreStats::default()
    }

    /// Flushes everything that is committed now into the warm tier (VACUUM, a checkpoint).
    pub async fn flush_now(&self) -> Result<()> {
        not_built()
    }

    /// Stops background work and lets the log go. Open transactions fail with 57P01.
    pub async fn shutdown(&self) -> Result<()> {
        not_built()
    }
}

impl Applier for Store {
    fn apply_batch(&self, _entries: &[LogEntry]) -> Result<Vec<Applied>> {
        not_built()
    }

    fn durable_applied(&self) -> (LogIndex, Arc<[u8]>) {
        (LogIndex(0), Arc::new([]))
    }
}
