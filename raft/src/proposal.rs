//! A proposal on its way through the log: what it takes of the log's room, and its one answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use aegis_storage::CommitSeq;
use aegis_storage::commit_log::{Applied, LogIndex, ProposeError};
use openraft::errors::ClientWriteError;
use openraft::raft::ClientWriteResult;
use tokio::sync::{Notify, oneshot};

use crate::types::TypeConfig;
use crate::writer::Room;

/// What an entry costs in the log beyond its payload, rounded up.
const ENTRY_OVERHEAD_BYTES: u64 = 128;

/// How much is under way.
#[derive(Default)]
pub(crate) struct Load {
    pub(crate) count: AtomicUsize,
    /// Bytes of the proposals that have entered the log's room.
    entered_bytes: AtomicU64,
    idle: Notify,
    /// Something under way has ended.
    pub(crate) lighter: Notify,
}

impl Load {
    pub(crate) async fn wait_until_idle(&self) {
        loop {
            let idle = self.idle.notified();
            if self.count.load(Ordering::SeqCst) == 0 {
                return;
            }
            idle.await;
        }
    }
}

/// A proposal under way. It is answered once, whatever happens: dropped unanswered, its outcome
/// is unknown.
pub(crate) struct Proposal {
    answer: Option<oneshot::Sender<Result<Applied, ProposeError>>>,
    load: Arc<Load>,
    bytes: u64,
    has_entered: bool,
}

impl Proposal {
    pub(crate) fn begin(
        answer: oneshot::Sender<Result<Applied, ProposeError>>,
        load: &Arc<Load>,
        payload_bytes: usize,
    ) -> Self {
        let bytes = payload_bytes as u64 + ENTRY_OVERHEAD_BYTES;
        load.count.fetch_add(1, Ordering::SeqCst);
        Self { answer: Some(answer), load: Arc::clone(load), bytes, has_entered: false }
    }

    /// Takes its part of the log's room, if there is enough of it.
    pub(crate) fn enter(&mut self, room: &Room, reserved: u64) -> bool {
        let free = room.bytes.saturating_sub(reserved);
        let entered =
            self.load.entered_bytes.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |entered| {
                let with_this = entered + self.bytes;
                // An entry that does not fit the rest of a segment leaves that rest unused.
                let fits = with_this + self.bytes <= free || (entered == 0 && room.has_spare);
                fits.then_some(with_this)
            });
        self.has_entered = entered.is_ok();
        self.has_entered
    }

    pub(crate) fn complete(self, result: ClientWriteResult<TypeConfig>) {
        self.answer(match result {
            Ok(response) => Ok(Applied {
                index: LogIndex(response.data.index),
                commit_seq: CommitSeq(response.data.commit_seq),
            }),
            Err(ClientWriteError::LogEntryDiscarded(_)) => Err(ProposeError::Unknown(
                "leadership was lost while the entry was being replicated".to_owned(),
            )),
            Err(refused) => Err(ProposeError::Refused(refused.to_string())),
        });
    }

    pub(crate) fn answer(mut self, outcome: Result<Applied, ProposeError>) {
        if let Some(answer) = self.answer.take() {
            // A session that went away does not want to know.
            let _ = answer.send(outcome);
        }
    }
}

impl Drop for Proposal {
    fn drop(&mut self) {
        if let Some(answer) = self.answer.take() {
            let reason = "the commit log stopped while the entry was under way";
            let _ = answer.send(Err(ProposeError::Unknown(reason.to_owned())));
        }
        if self.has_entered {
            self.load.entered_bytes.fetch_sub(self.bytes, Ordering::SeqCst);
        }
        if self.load.count.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.load.idle.notify_waiters();
        }
        self.load.lighter.notify_waiters();
    }
}
