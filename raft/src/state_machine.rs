//! The state machine that openraft drives: it turns committed entries into batches for the store,
//! and answers a batch's clients only after the whole batch is published.
//!
//! openraft counts entries from 0, the seam to storage from 1: [`seam_index`] is the only place
//! that knows.
//!
//! A snapshot *is* the store's durable checkpoint. Building one writes nothing: it says how far
//! the store is durable, which is how far the log may be purged. None is ever sent, because there
//! is nobody to send it to; installing one is refused.

use std::io;
use std::sync::Arc;

use aegis_storage::commit_log::{Applied, Applier, LogEntry, LogIndex};
use aegis_storage::{StorageError, at_length_over};
use futures::{Stream, StreamExt};
use openraft::storage::{ApplyResponder, EntryResponder, RaftStateMachine};
use openraft::{EntryPayload, OptionalSend, RaftSnapshotBuilder};

use crate::codec;
use crate::error::LogError;
use crate::types::{Answer, LogId, SnapshotMeta, StoredMembership, TypeConfig};
use crate::writer::OnFatal;

/// The most entries applied as one batch.
const BATCH_ENTRIES_MAX: usize = 4096;
/// A batch is applied when its entries reach this many bytes.
const BATCH_BYTES_MAX: usize = 16 << 20;

/// The seam's number for an entry of openraft's.
pub(crate) fn seam_index(raft_index: u64) -> LogIndex {
    LogIndex(raft_index + 1)
}

/// openraft's number for an entry of the seam's; `None` for "before the first".
pub(crate) fn raft_index(index: LogIndex) -> Option<u64> {
    index.0.checked_sub(1)
}

/// Drives an [`Applier`].
pub(crate) struct StateMachine {
    applier: Arc<dyn Applier>,
    on_fatal: OnFatal,
    applied: Option<LogId>,
    membership: StoredMembership,
    /// `membership`, encoded: most entries repeat it in their log state.
    membership_bytes: Vec<u8>,
}

impl StateMachine {
    /// A state machine that goes on where the store is durable.
    pub(crate) fn new(applier: Arc<dyn Applier>, on_fatal: OnFatal) -> Result<Self, LogError> {
        let (applied, membership) = durable_state(applier.as_ref())?;
        Ok(Self {
            applier,
            on_fatal,
            applied,
            membership_bytes: codec::encode_stored_membership(&membership),
            membership,
        })
    }

    /// Applies a batch, then answers its clients.
    fn apply_batch(&mut self, batch: &mut Batch) -> io::Result<()> {
        if batch.entries.is_empty() {
            return Ok(());
        }
        let answers = apply(self.applier.as_ref(), &batch.entries, batch.bytes as u64);
        let answers = answers.map_err(|error| {
            let error = Arc::new(LogError::Apply(error));
            (self.on_fatal)(Arc::clone(&error));
            io::Error::other(error)
        })?;
        for (responder, applied) in batch.responders.drain(..).zip(answers) {
            if let Some(responder) = responder {
                responder.send(Answer { index: applied.index.0, commit_seq: applied.commit_seq.0 });
            }
        }
        batch.entries.clear();
        batch.bytes = 0;
        Ok(())
    }

    /// Moves on to an entry, and makes of it what the store sees.
    fn take(&mut self, entry: crate::types::Entry) -> LogEntry {
        let log_id = entry.log_id;
        let payload: Arc<[u8]> = match entry.payload {
            EntryPayload::Normal(write_set) => write_set.0,
            EntryPayload::Blank => Arc::default(),
            EntryPayload::Membership(membership) => {
                self.membership = StoredMembership::new(Some(log_id), membership);
                self.membership_bytes = codec::encode_stored_membership(&self.membership);
                Arc::default()
            }
        };
        self.applied = Some(log_id);
        LogEntry {
            index: seam_index(log_id.index),
            payload,
            log_state: codec::encode_log_state(&log_id, &self.membership_bytes),
        }
    }
}

/// Applies entries of so many bytes; the answers stand in their order.
pub(crate) fn apply(
    applier: &dyn Applier,
    entries: &[LogEntry],
    bytes: u64,
) -> Result<Vec<Applied>, StorageError> {
    let answers = at_length_over(bytes, || applier.apply_batch(entries))?;
    assert_eq!(answers.len(), entries.len(), "the store answers every entry that it applies");
    Ok(answers)
}

/// How far the store is durable, checked against itself.
pub(crate) fn durable_state(
    applier: &dyn Applier,
) -> Result<(Option<LogId>, StoredMembership), LogError> {
    let (index, log_state) = applier.durable_applied();
    let (applied, membership) = codec::decode_log_state(&log_state)
        .map_err(|error| LogError::Mismatch(format!("its log state is unreadable: {error}")))?;
    if applied.map(|log_id| log_id.index) != raft_index(index) {
        let found = applied.map_or(0, |log_id| seam_index(log_id.index).0);
        return Err(LogError::Mismatch(format!(
            "it is durable up to entry {}, its log state says {found}",
            index.0
        )));
    }
    Ok((applied, membership))
}

fn checkpoint_meta(applier: &dyn Applier) -> io::Result<SnapshotMeta> {
    let (last_log_id, last_membership) = durable_state(applier)?;
    Ok(SnapshotMeta { last_log_id, last_membership })
}

/// Entries on their way to the store.
#[derive(Default)]
struct Batch {
    entries: Vec<LogEntry>,
    responders: Vec<Option<ApplyResponder<TypeConfig>>>,
    bytes: usize,
}

/// What a snapshot holds: nothing, the store itself is the state.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Checkpoint;

/// Says how far the store is durable.
pub(crate) struct CheckpointBuilder {
    applier: Arc<dyn Applier>,
}

type Snapshot = openraft::type_config::alias::SnapshotOf<TypeConfig, Checkpoint>;

impl RaftSnapshotBuilder<TypeConfig> for CheckpointBuilder {
    type SnapshotData = Checkpoint;

    async fn build_snapshot(&mut self) -> Result<Snapshot, io::Error> {
        Ok(Snapshot { meta: checkpoint_meta(self.applier.as_ref())?, snapshot: Checkpoint })
    }
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotData = Checkpoint;
    type SnapshotBuilder = CheckpointBuilder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), io::Error> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> Result<(), io::Error>
    where
        Strm: Stream<Item = Result<EntryResponder<TypeConfig>, io::Error>> + Unpin + OptionalSend,
    {
        let mut batch = Batch::default();
        while let Some(next) = entries.next().await {
            let (entry, responder) = next?;
            batch.bytes += codec::entry_bytes(&entry);
            batch.entries.push(self.take(entry));
            batch.responders.push(responder);
            if batch.entries.len() >= BATCH_ENTRIES_MAX || batch.bytes >= BATCH_BYTES_MAX {
                self.apply_batch(&mut batch)?;
            }
        }
        self.apply_batch(&mut batch)
    }

    async fn get_snapshot_builder(&mut self) -> CheckpointBuilder {
        CheckpointBuilder { applier: Arc::clone(&self.applier) }
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        _snapshot: Checkpoint,
    ) -> Result<(), io::Error> {
        let upto = meta.last_log_id.map_or(0, |log_id| seam_index(log_id.index).0);
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            format!("installing a snapshot is not supported (offered: entries up to {upto})"),
        ))
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, io::Error> {
        let meta = checkpoint_meta(self.applier.as_ref())?;
        Ok(meta.last_log_id.is_some().then_some(Snapshot { meta, snapshot: Checkpoint }))
    }
}
