//! What the lock table shows of itself: who holds what, who waits, and for whom. It backs
//! `pg_locks` and `pg_blocking_pids`, and decides nothing.

use std::time::Duration;

use super::{AdvisoryKey, LockState, LockTable, Mode, RowLockMode, TableLockMode, Tag, conflicts};
use crate::{Key, TransactionId, TreeId};

/// What somebody holds or waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LockedObject {
    /// A table.
    Table {
        /// The database's OID above, the relation's below.
        object_id: u64,
        /// How.
        mode: TableLockMode,
    },
    /// A row, or a key of a unique index.
    Row {
        /// Its tree.
        tree: TreeId,
        /// Its key.
        key: Key,
        /// How.
        mode: RowLockMode,
    },
    /// A number that a session locks for reasons of its own.
    Advisory {
        /// What.
        key: AdvisoryKey,
        /// How.
        mode: TableLockMode,
    },
    /// All rows of a tree together, or the intent to lock some of them.
    Tree {
        /// The tree.
        tree: TreeId,
        /// How its rows are or will be locked.
        mode: RowLockMode,
    },
}

/// One lock that somebody holds or waits for.
#[derive(Clone, Debug)]
pub struct LockReport {
    /// What and how.
    pub object: LockedObject,
    /// Whose.
    pub transaction: TransactionId,
    /// The backend that runs it.
    pub process_id: i32,
    /// How long it has been waited for; `None` if it is held.
    pub waited: Option<Duration>,
    /// How many who exclude it are ahead of it in the queue.
    pub behind: usize,
    /// For whom a waiter waits, holders before those ahead in the queue.
    pub blockers: Vec<(TransactionId, i32)>,
}

impl LockTable {
    /// Every table lock that is held, a row for each transaction that holds row locks' first one in
    /// each tree, and everything that is waited for.
    ///
    /// Rows held are as many as a statement wrote: of those only the intents on their trees are
    /// told. Shards are looked at one after another, so that nothing is held up for long.
    pub(crate) fn report(&self) -> Vec<LockReport> {
        let now = tokio::time::Instant::now();
        let mut reports = Vec::new();
        for shard in &self.shards {
            for (tag, state) in shard.lock().iter() {
                if !matches!(tag, Tag::Row(..)) {
                    for holder in &state.holders {
                        for mode in (0..8).filter(|mode| holder.modes & 1 << mode != 0) {
                            reports.push(LockReport {
                                object: object(tag, mode),
                                transaction: holder.id,
                                process_id: holder.process_id,
                                waited: None,
                                behind: 0,
                                blockers: Vec::new(),
                            });
                        }
                    }
                }
                for (at, waiter) in state.waiters.iter().enumerate() {
                    let excluding = conflicts(tag, waiter.mode);
                    let ahead = state.waiters.iter().take(at);
                    let behind = ahead.filter(|other| 1 << other.mode & excluding != 0).count();
                    reports.push(LockReport {
                        object: object(tag, waiter.mode),
                        transaction: waiter.id,
                        process_id: waiter.process_id,
                        waited: Some(now.saturating_duration_since(waiter.since)),
                        behind,
                        blockers: state.blockers(tag, at),
                    });
                }
            }
        }
        reports
    }
}

impl LockState {
    /// For whom the waiter at a place of the queue waits.
    pub(super) fn blockers(&self, tag: &Tag, at: usize) -> Vec<(TransactionId, i32)> {
        let waiter = &self.waiters[at];
        let excluding = conflicts(tag, waiter.mode);
        let mut blockers: Vec<(TransactionId, i32)> = self
            .holders
            .iter()
            .filter(|holder| holder.id != waiter.id && holder.modes & excluding != 0)
            .map(|holder| (holder.id, holder.process_id))
            .collect();
        if self.held_by(waiter.id) == 0 {
            let ahead = self.waiters.iter().take(at);
            let ahead = ahead.filter(|other| 1 << other.mode & excluding != 0);
            blockers.extend(ahead.map(|other| (other.id, other.process_id)));
        }
        blockers
    }
}

fn object(tag: &Tag, mode: Mode) -> LockedObject {
    let of_row = RowLockMode::ALL[usize::from(mode % 4)];
    match tag {
        Tag::Table(object_id) => LockedObject::Table {
            object_id: *object_id,
            mode: TableLockMode::ALL[usize::from(mode)],
        },
        Tag::Advisory(key) => {
            LockedObject::Advisory { key: *key, mode: TableLockMode::ALL[usize::from(mode)] }
        }
        Tag::Row(tree, key) => LockedObject::Row { tree: *tree, key: key.clone(), mode: of_row },
        Tag::Tree(tree) => LockedObject::Tree { tree: *tree, mode: of_row },
    }
}
