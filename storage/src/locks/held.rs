//! The locks of one transaction, in the order in which it took them.

use std::sync::Arc;
use std::time::Duration;

use super::{Asked, LockTable, Mode, Owner, RowLockMode, RowLockWait, TableLockMode, Tag};
use crate::hot::TreeMap;
use crate::locks::LockWait;
use crate::{Key, Result, StorageError, TreeId};

/// Locks of one transaction over all trees, as a multiple of those in one tree.
const LOCKS_PER_TRANSACTION: usize = 10;

/// How many locks a transaction had taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LockMark(u64);

#[derive(Debug)]
struct Held {
    tag: Tag,
    mode: Mode,
    nth: u64,
}

/// What a transaction holds in one tree.
#[derive(Debug, Default)]
struct TreeLocks {
    intents: u8,
    /// The modes in which the whole tree is held.
    whole: u8,
    rows: usize,
    strongest: Mode,
    escalate_at: usize,
}

/// The locks of one transaction. Dropping it releases them.
#[derive(Debug)]
pub(crate) struct HeldLocks {
    table: Arc<LockTable>,
    pub(crate) owner: Owner,
    /// Ascending by `nth`.
    locks: Vec<Held>,
    taken: u64,
    trees: TreeMap<TreeLocks>,
    rows_per_tree_max: usize,
}

impl Drop for HeldLocks {
    fn drop(&mut self) {
        self.release_from(0);
    }
}

impl HeldLocks {
    pub(crate) fn new(table: Arc<LockTable>, owner: Owner, rows_per_tree_max: usize) -> Self {
        Self {
            table,
            owner,
            locks: Vec::new(),
            taken: 0,
            trees: TreeMap::default(),
            rows_per_tree_max,
        }
    }

    pub(crate) fn mark(&self) -> LockMark {
        LockMark(self.taken)
    }

    /// Releases what was taken since a mark.
    pub(crate) fn rollback_to(&mut self, mark: LockMark) {
        self.release_from(self.locks.partition_point(|held| held.nth < mark.0));
        // What is held in each tree follows from what is left.
        let mut trees: TreeMap<TreeLocks> = TreeMap::default();
        for held in &self.locks {
            match &held.tag {
                Tag::Table(_) | Tag::Advisory(_) => {}
                Tag::Tree(tree) => {
                    let locks = trees.entry(*tree).or_default();
                    if held.mode < 4 {
                        locks.intents |= 1 << held.mode;
                    } else {
                        locks.whole |= 1 << (held.mode - 4);
                    }
                }
                Tag::Row(tree, _) => {
                    let locks = trees.entry(*tree).or_default();
                    locks.rows += 1;
                    locks.strongest = locks.strongest.max(held.mode);
                }
            }
        }
        self.trees = trees;
    }

    fn release_from(&mut self, at: usize) {
        for held in self.locks.drain(at..).rev() {
            self.table.release(self.owner.id, &held.tag, held.mode);
        }
    }

    fn note(&mut self, tag: Tag, mode: Mode) {
        self.locks.push(Held { tag, mode, nth: self.taken });
        self.taken += 1;
    }

    /// Takes a lock, waiting if need be. False if it is busy and nobody is to wait.
    async fn take(&mut self, tag: Tag, mode: Mode, wait: Option<Option<Duration>>) -> Result<bool> {
        match self.table.ask(self.owner, &tag, mode, wait.is_some()) {
            Asked::Held => return Ok(true),
            Asked::Granted => {}
            Asked::Busy => return Ok(false),
            Asked::Queued(receiver) => {
                let timeout = wait.flatten();
                self.table.wait(self.owner, &tag, mode, receiver, timeout).await?;
            }
        }
        self.note(tag, mode);
        Ok(true)
    }

    /// Locks a table. Errors: 40P01, 55P03.
    pub(crate) async fn lock_table(
        &mut self,
        object_id: u64,
        mode: TableLockMode,
        wait: LockWait,
    ) -> Result<()> {
        let patience = match wait {
            LockWait::Wait { timeout } => Some(timeout),
            LockWait::NoWait => None,
        };
        match self.take(Tag::Table(object_id), mode as Mode, patience).await? {
            true => Ok(()),
            false => Err(StorageError::TableLockNotAvailable { object_id }),
        }
    }

    /// Locks a row. False: it is busy and was to be skipped. Errors: 40P01, 55P03, 53200.
    pub(crate) async fn lock_row(
        &mut self,
        tree: TreeId,
        key: &[u8],
        mode: RowLockMode,
        wait: RowLockWait,
    ) -> Result<bool> {
        let mode = mode as Mode;
        let patience = match wait {
            RowLockWait::Wait { timeout } => Some(timeout),
            RowLockWait::NoWait | RowLockWait::SkipLocked => None,
        };
        let locks = self.trees.entry(tree).or_default();
        if locks.whole >> mode != 0 {
            return Ok(true);
        }
        let needs_intent = locks.intents >> mode == 0;
        if self.locks.len() >= self.rows_per_tree_max.saturating_mul(LOCKS_PER_TRANSACTION) {
            return Err(StorageError::TooManyLocks);
        }
        if needs_intent && !self.take(Tag::Tree(tree), mode, patience).await? {
            return busy(tree, wait);
        }
        self.trees.entry(tree).or_default().intents |= 1 << mode;
        let taken = self.taken;
        if !self.take(Tag::Row(tree, Key::new(key)), mode, patience).await? {
            return busy(tree, wait);
        }
        if self.taken > taken {
            let locks = self.trees.entry(tree).or_default();
            locks.rows += 1;
            locks.strongest = locks.strongest.max(mode);
            if locks.rows > self.rows_per_tree_max.max(locks.escalate_at) {
                self.escalate(tree);
            }
        }
        Ok(true)
    }

    /// Takes the whole tree in place of its rows, if nobody else holds rows that forbid it; else
    /// tries again after as many rows more as a fifth of the limit.
    fn escalate(&mut self, tree: TreeId) {
        let locks = self.trees.entry(tree).or_default();
        let mode = locks.strongest;
        match self.table.ask(self.owner, &Tag::Tree(tree), mode + 4, false) {
            Asked::Granted | Asked::Held => {}
            Asked::Busy | Asked::Queued(_) => {
                locks.escalate_at = locks.rows + self.rows_per_tree_max / 5 + 1;
                return;
            }
        }
        locks.whole |= 1 << mode;
        locks.rows = 0;
        locks.escalate_at = 0;
        let is_row = |held: &Held| matches!(&held.tag, Tag::Row(of, _) if *of == tree);
        let first = self.locks.iter().position(is_row).unwrap_or(self.locks.len());
        let mut kept = Vec::with_capacity(self.locks.len() - first);
        let mut nth = self.taken;
        for held in self.locks.drain(first..) {
            if is_row(&held) {
                nth = nth.min(held.nth);
                self.table.release(self.owner.id, &held.tag, held.mode);
            } else {
                kept.push(held);
            }
        }
        // In the place of the first row: a rollback to a savepoint behind it keeps the tree.
        self.locks.push(Held { tag: Tag::Tree(tree), mode: mode + 4, nth });
        self.locks.append(&mut kept);
    }
}

fn busy(tree: TreeId, wait: RowLockWait) -> Result<bool> {
    match wait {
        RowLockWait::SkipLocked => Ok(false),
        RowLockWait::NoWait | RowLockWait::Wait { .. } => {
            Err(StorageError::RowLockNotAvailable { tree })
        }
    }
}
