//! What can go wrong in storage, and the SQLSTATE that each case has for a client.

use aegis_types::{SqlError, SqlState};

use crate::TreeId;

/// The result of everything in storage.
pub type Result<T> = std::result::Result<T, StorageError>;

/// What can go wrong in storage.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// 58030: the disk answered with an error.
    #[error("input/output error: {0}")]
    Io(#[source] std::io::Error),
    /// F0001: another server has the data directory open.
    #[error("{}", in_use(directory, *process_id))]
    InUse {
        /// The directory.
        directory: std::path::PathBuf,
        /// The process that has it open, if it has told.
        process_id: Option<u32>,
    },
    /// 53100: no space is left for writes; reads go on.
    #[error("could not write to file \"{file}\": No space left on device")]
    DiskFull {
        /// What was written to.
        file: String,
    },
    /// 53200: the memory for changes not yet on disk is used up, and waiting did not help.
    #[error("out of memory")]
    OutOfMemory {
        /// Which part of the budget.
        detail: String,
    },
    /// XX001: what lies on disk or came from a peer is not what was written.
    #[error("{0}")]
    Corrupted(String),
    /// 40P01.
    #[error("deadlock detected")]
    Deadlock {
        /// Who waits for whom, a line each, in PostgreSQL's words.
        detail: String,
    },
    /// 55P03: `lock_timeout` has passed.
    #[error("canceling statement due to lock timeout")]
    LockTimeout,
    /// 55P03: `NOWAIT` on a table. Whoever knows its name says it.
    #[error("could not obtain lock on relation")]
    TableLockNotAvailable {
        /// As it was given to `lock_table`.
        object_id: u64,
    },
    /// 55P03: `NOWAIT` on a row. Whoever knows its table's name says it.
    #[error("could not obtain lock on row")]
    RowLockNotAvailable {
        /// The tree of the row.
        tree: TreeId,
    },
    /// 53200: more locks than the lock table may hold.
    #[error("out of shared memory")]
    TooManyLocks,
    /// 40001.
    #[error("{message}")]
    SerializationFailure {
        /// In PostgreSQL's words.
        message: &'static str,
    },
    /// 72000: the snapshot held back too much space and was given up.
    #[error("snapshot too old")]
    SnapshotTooOld,
    /// 53400: more snapshots are open than can be registered.
    #[error("too many open snapshots")]
    TooManySnapshots,
    /// 25006: a write in a read-only transaction. Whoever knows the statement says its tag.
    #[error("cannot execute statement in a read-only transaction")]
    ReadOnly,
    /// 40000: the commit was refused, and nothing of it happened.
    #[error("could not commit: {0}")]
    CommitRefused(String),
    /// 08007: the commit may or may not have happened.
    #[error("the outcome of the commit is unknown: {0}")]
    CommitUnknown(String),
    /// 57P01.
    #[error("terminating connection due to administrator command")]
    ShuttingDown,
    /// 57P03: the log is still being replayed.
    #[error("the database system is starting up")]
    Starting,
    /// 58030: the node has stopped after an error that it cannot survive (a failed fsync).
    #[error("the storage of this node has failed: {0}")]
    Failed(String),
    /// 54000: a key, a value or a transaction beyond what the formats hold.
    #[error("{0}")]
    LimitExceeded(String),
    /// XX000: a belief of ours that turned out false.
    #[error("{0}")]
    Internal(String),
}

fn in_use(directory: &std::path::Path, process_id: Option<u32>) -> String {
    let process = process_id.map(|id| format!(" (PID {id})")).unwrap_or_default();
    format!("another server{process} is using \"{}\"", directory.display())
}

impl From<std::io::Error> for StorageError {
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::StorageFull {
            Self::DiskFull { file: "data directory".into() }
        } else {
            Self::Io(error)
        }
    }
}

impl StorageError {
    /// The SQLSTATE.
    #[must_use]
    pub fn code(&self) -> SqlState {
        match self {
            Self::Io(_) | Self::Failed(_) => SqlState::IoError,
            Self::InUse { .. } => SqlState::LockFileExists,
            Self::DiskFull { .. } => SqlState::DiskFull,
            Self::OutOfMemory { .. } | Self::TooManyLocks => SqlState::OutOfMemory,
            Self::Corrupted(_) => SqlState::DataCorrupted,
            Self::Deadlock { .. } => SqlState::TRDeadlockDetected,
            Self::LockTimeout
            | Self::TableLockNotAvailable { .. }
            | Self::RowLockNotAvailable { .. } => SqlState::LockNotAvailable,
            Self::SerializationFailure { .. } => SqlState::TRSerializationFailure,
            Self::SnapshotTooOld => SqlState::SnapshotTooOld,
            Self::TooManySnapshots => SqlState::ConfigurationLimitExceeded,
            Self::ReadOnly => SqlState::ReadOnlySqlTransaction,
            Self::CommitRefused(_) => SqlState::TransactionRollback,
            Self::CommitUnknown(_) => SqlState::TransactionResolutionUnknown,
            Self::ShuttingDown => SqlState::AdminShutdown,
            Self::Starting => SqlState::CannotConnectNow,
            Self::LimitExceeded(_) => SqlState::ProgramLimitExceeded,
            Self::Internal(_) => SqlState::InternalError,
        }
    }
}

impl From<StorageError> for SqlError {
    fn from(error: StorageError) -> Self {
        let sql = SqlError::new(error.code(), error.to_string());
        match error {
            StorageError::Deadlock { detail } => {
                sql.detail(detail).hint("See server log for query details.")
            }
            StorageError::DiskFull { .. } => sql.hint("Check free disk space."),
            StorageError::OutOfMemory { detail } => sql.detail(detail),
            StorageError::TooManyLocks => {
                sql.hint("You might need to increase max_locks_per_transaction.")
            }
            _ => sql,
        }
    }
}
