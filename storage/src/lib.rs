//! Trees, versions, locks, transactions, tiers and durability. Storage knows no SQL.

pub mod commit_log;

/// The order of commits as readers see it: assigned at apply, from the position in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommitSeq(pub u64);

/// What can go wrong in storage.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The disk answered with an error.
    #[error("input/output error: {0}")]
    Io(#[from] std::io::Error),
}
