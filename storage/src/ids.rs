//! The numbers that storage counts with, each with a type of its own.

use std::sync::Arc;

/// A tree, and those before it whose keys are read together with its own. No key is in two of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trees {
    /// Where new keys go.
    pub newest: TreeId,
    /// The others, oldest first.
    pub older: Arc<[TreeId]>,
}

impl From<TreeId> for Trees {
    fn from(newest: TreeId) -> Self {
        Self { newest, older: Arc::default() }
    }
}

impl Trees {
    /// All of them, the newest first.
    pub fn iter(&self) -> impl Iterator<Item = TreeId> {
        [self.newest].into_iter().chain(self.older.iter().rev().copied())
    }
}

/// Names a tree: an ordered map of bytes to bytes. Never reused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreeId(pub u64);

impl TreeId {
    /// Storage's own tree: how far tree ids are handed out, and the next key of each append tree.
    pub const STORAGE: Self = Self(0);
    /// The first tree id that [`crate::Store::allocate_tree_id`] gives. What lies between
    /// [`TreeId::STORAGE`] and this is for trees whose id is fixed in code (system relations).
    pub const FIRST_ALLOCATED: Self = Self(1024);
}

/// The order of commits as readers see it: assigned at apply, from the position in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommitSeq(pub u64);

impl CommitSeq {
    /// What a row carries that its own transaction wrote and has not committed.
    pub const UNCOMMITTED: Self = Self(u64::MAX);
}

/// Counts the commands of one transaction, from 0. A command sees what commands *below* it wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(pub u32);

impl CommandId {
    /// Sees everything that the transaction wrote.
    pub const ALL: Self = Self(u32::MAX);
}

/// Numbers the transactions of one process, from 1; shown in deadlock reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionId(pub u64);
