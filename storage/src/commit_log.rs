//! The seam between storage and whatever orders its commits.
//!
//! ```text
//! Transaction::commit ── propose(entry) ──► CommitLog ── appended, synced, (quorum) ──┐
//!        ▲                                                                            ▼
//!        └──────────── the receiver resolves ◄── published ◄── Applier::apply_batch(entries in log order)
//! ```
//!
//! Storage knows this trait alone: not raft, not nodes, not elections. The log knows nothing of
//! what is in an entry. One task calls [`Applier::apply_batch`]; it never waits and never refuses.

use std::sync::Arc;

use tokio::sync::oneshot;

/// The position of an entry in the log, from 1 upward without a gap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogIndex(pub u64);

/// One committed entry as the applier sees it.
#[derive(Clone, Debug)]
pub struct LogEntry {
    /// Where it stands in the log.
    pub index: LogIndex,
    /// The entry in storage's own format; empty for entries that the log makes for itself
    /// (a new leader's blank, a change of membership).
    pub payload: Arc<[u8]>,
    /// The log's own state as of this entry (openraft's last applied log id and membership, in the
    /// log's own encoding). Storage keeps it opaquely and makes it durable together with `applied`.
    pub log_state: Arc<[u8]>,
}

/// What apply answers for one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Where the entry stood in the log.
    pub index: LogIndex,
    /// The commit sequence published with it; the previous one for an entry without a payload.
    pub commit_seq: crate::CommitSeq,
}

/// Why a proposal was not applied.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ProposeError {
    /// Certainly not in the log: nothing happened.
    #[error("the commit log refused the entry: {0}")]
    Refused(String),
    /// Certainly not in the log, which finds no space on its disk (53100).
    #[error("no space left on device for the commit log")]
    DiskFull,
    /// It may or may not be applied later (08007): its locks stay held until that is known.
    #[error("the outcome of the commit is unknown: {0}")]
    Unknown(String),
    /// The log is shutting down, and the entry is not in it.
    #[error("the commit log is shutting down")]
    ShuttingDown,
}

/// An ordered, durable log of opaque entries.
pub trait CommitLog: Send + Sync + 'static {
    /// Appends an entry. The receiver resolves once the entry is durable *and* applied and
    /// published. Dropping the receiver cancels nothing.
    fn propose(&self, payload: Vec<u8>) -> oneshot::Receiver<Result<Applied, ProposeError>>;

    /// Everything up to and including `index` is durable in the warm tier: the log may drop it.
    fn purge_to(&self, index: LogIndex);

    /// Bytes of log that a restart would replay now, for back-pressure and for SQL.
    fn replay_bytes(&self) -> u64;
}

/// The state machine that the log drives. Implemented by the store.
pub trait Applier: Send + Sync + 'static {
    /// Applies committed entries in log order and publishes once, after the last. The answers
    /// stand in the order of the entries. An error means that this node must stop.
    fn apply_batch(&self, entries: &[LogEntry]) -> Result<Vec<Applied>, crate::StorageError>;

    /// The last entry whose effects are durable in the warm tier, with the `log_state` of that
    /// entry: where replay begins after a restart. Index 0 and an empty state on a new store.
    fn durable_applied(&self) -> (LogIndex, Arc<[u8]>);
}
