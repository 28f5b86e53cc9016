//! What can go wrong in the commit log, as data.

use std::io;

/// An error of the log on disk or of the consensus above it.
///
/// None of them may be retried by a client: they stop the node or keep it from starting.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The disk answered with an error.
    #[error("could not {action} log file \"{file}\": {source}")]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file's name inside the log's directory.
        file: String,
        /// What the disk said.
        #[source]
        source: io::Error,
    },
    /// Bytes that were once durable are no longer what was written.
    #[error("log file \"{file}\" is corrupt at offset {offset}: {reason}")]
    Corrupt {
        /// The file's name inside the log's directory.
        file: String,
        /// Where in the file, in bytes.
        offset: u64,
        /// What is wrong there.
        reason: String,
    },
    /// The file was written by a version that this one cannot read.
    #[error(
        "log file \"{file}\" has format version {version}, this server reads version {supported}"
    )]
    UnsupportedVersion {
        /// The file's name inside the log's directory.
        file: String,
        /// The version found.
        version: u32,
        /// The version this code writes and reads.
        supported: u32,
    },
    /// A record is longer than the format allows.
    #[error("a log record of {length} bytes exceeds the limit of {limit} bytes")]
    TooLarge {
        /// The length asked for, in bytes.
        length: u64,
        /// The limit, in bytes.
        limit: u64,
    },
    /// An entry does not follow its predecessor.
    #[error("log entry {index} does not follow: entry {expected} is due")]
    OutOfOrder {
        /// The index given.
        index: u64,
        /// The index that is due.
        expected: u64,
    },
    /// The log stopped after an earlier error, which was reported then.
    #[error("the log has stopped after an earlier error")]
    Stopped,
    /// The log and the store that it drives do not belong together.
    #[error("the log does not fit the store: {0}")]
    Mismatch(String),
    /// Another process has this directory open.
    #[error("log directory \"{0}\" is in use by another process")]
    InUse(String),
    /// The consensus engine gave up.
    #[error("raft: {0}")]
    Raft(String),
    /// The store failed to apply a committed entry.
    #[error("could not apply committed entries: {0}")]
    Apply(#[source] aegis_storage::StorageError),
}

impl LogError {
    /// Whether the disk had no room left (`ENOSPC`).
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull)
    }
}

impl From<LogError> for io::Error {
    fn from(error: LogError) -> Self {
        io::Error::other(error)
    }
}
