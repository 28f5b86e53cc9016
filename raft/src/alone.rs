//! Leading alone: where this node is the only voter, an entry that its own disk has is committed.
//! Nothing is left to agree on, so entries go from whoever proposes to the writer, and from there to
//! the store, past openraft's core:
//!
//! ```text
//! propose ──► writer: number, stage, sync ──► apply ──► answers
//! ```
//!
//! The log is the same: the numbers go on where the core stopped, under the vote that it won. The
//! core reads it at the next start, or when there is somebody to agree with.

use std::sync::Arc;

use aegis_storage::StorageError;
use aegis_storage::commit_log::{Applied, Applier, LogEntry};

use crate::codec;
use crate::state_machine::{apply, seam_index};
use crate::types::{LogId, StoredMembership};

/// What the one voter needs to order entries and to apply them.
pub(crate) struct Alone {
    applier: Arc<dyn Applier>,
    /// The last entry that was numbered.
    last: LogId,
    /// The membership, encoded: every entry repeats it in its log state.
    membership: Vec<u8>,
}

/// The entries of one sync.
#[derive(Default)]
pub(crate) struct Batch {
    entries: Vec<LogEntry>,
    bytes: u64,
}

impl Alone {
    /// Goes on behind `last`, the newest entry of the log, which is applied.
    pub(crate) fn new(
        applier: Arc<dyn Applier>,
        last: LogId,
        membership: &StoredMembership,
    ) -> Self {
        Self { applier, last, membership: codec::encode_stored_membership(membership) }
    }

    /// Numbers an entry.
    pub(crate) fn number(&mut self) -> LogId {
        self.last.index += 1;
        self.last
    }

    /// Adds an entry to a batch.
    pub(crate) fn push(&self, batch: &mut Batch, log_id: LogId, payload: Arc<[u8]>) {
        batch.bytes += payload.len() as u64;
        batch.entries.push(LogEntry {
            index: seam_index(log_id.index),
            payload,
            log_state: codec::encode_log_state(&log_id, &self.membership),
        });
    }

    /// Applies a batch that is durable; the answers stand in the order of its entries.
    pub(crate) fn apply(&self, batch: &Batch) -> Result<Vec<Applied>, StorageError> {
        apply(self.applier.as_ref(), &batch.entries, batch.bytes)
    }
}

impl Batch {
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}
