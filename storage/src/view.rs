//! What a reader holds: a snapshot with its transaction's own writes on top.

use std::any::Any;
use std::sync::Arc;

use crate::{Block, CommandId, CommitSeq, Direction, KeyRange, Result, Row, StorageError, TreeId};

/// A consistent view: cheap to clone, usable from any thread, alive as long as it is held (it
/// holds back reclamation: give it back soon).
#[derive(Clone, Debug)]
pub struct ReadView {}

fn not_built<T>() -> Result<T> {
    Err(StorageError::Internal("not built yet".into()))
}

impl ReadView {
    /// The last commit that it sees.
    #[must_use]
    pub fn seq(&self) -> CommitSeq {
        CommitSeq(0)
    }

    /// Own writes of commands below this one are seen.
    #[must_use]
    pub fn command_id(&self) -> CommandId {
        CommandId(0)
    }

    /// The same snapshot as another command of the same transaction sees it.
    #[must_use]
    pub fn at_command(&self, _command: CommandId) -> Self {
        self.clone()
    }

    /// The time of the last commit that it sees, in microseconds since 1970: monotone with `seq`.
    #[must_use]
    pub fn timestamp_us(&self) -> i64 {
        0
    }

    /// What the catalog builder made for this snapshot; `()` without a builder.
    pub fn catalog(&self) -> Result<Arc<dyn Any + Send + Sync>> {
        not_built()
    }

    /// Reads a key. Errors: 72000.
    pub fn get(&self, _tree: TreeId, _key: &[u8]) -> Result<Option<Row>> {
        not_built()
    }

    /// Scans a range. Holds no lock between blocks.
    pub fn scan(&self, _tree: TreeId, _range: KeyRange, _direction: Direction) -> Result<Scan> {
        not_built()
    }

    /// Up to `n - 1` keys, ascending, that cut the range into parts of about the same size.
    pub fn split_points(
        &self,
        _tree: TreeId,
        _range: &KeyRange,
        _n: usize,
    ) -> Result<Vec<Vec<u8>>> {
        not_built()
    }
}

/// A scan in progress.
#[derive(Debug)]
pub struct Scan {}

impl Scan {
    /// Fills `block` with the next rows, in place of what it held; false at the end. The first
    /// blocks are small and they grow, so that a short scan reads little. Errors: 72000.
    pub fn next_block(&mut self, _block: &mut Block) -> Result<bool> {
        not_built()
    }
}
