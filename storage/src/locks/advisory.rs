//! Advisory locks: numbers that sessions lock for reasons of their own, in the same table as all
//! other locks, so that a deadlock over both is found.
//!
//! A session owns each of its advisory locks once, however often and at whichever level it took it:
//! levels are counted here, and the last count that goes gives the lock back. Locks of the
//! transaction level go with the transaction, or with the savepoint behind which they were taken.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::{Asked, LockTable, LockWait, Mode, Owner, TableLockMode, Tag};
use crate::{Result, StorageError};

/// How many advisory locks a session may hold.
const ADVISORY_LOCKS_MAX: usize = 100_000;

/// What an advisory lock locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AdvisoryKey {
    /// The OID of the database.
    pub database: u32,
    /// One number of 64 bits, or two of 32, the first above.
    pub key: u64,
    /// 1 for one number, 2 for two.
    pub class: u16,
}

/// How an advisory lock is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AdvisoryMode {
    /// Together with others who share it.
    Share,
    /// Alone.
    Exclusive,
}

impl AdvisoryMode {
    /// The mode of a table lock that excludes as much.
    #[must_use]
    pub const fn as_table_mode(self) -> TableLockMode {
        match self {
            Self::Share => TableLockMode::Share,
            Self::Exclusive => TableLockMode::Exclusive,
        }
    }
}

/// How long an advisory lock is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdvisoryLevel {
    /// Until it is unlocked, or the session ends.
    Session,
    /// Until the transaction ends.
    Transaction,
}

/// How many locks of the transaction level a session had taken.
#[derive(Clone, Copy, Debug, Default)]
pub struct AdvisoryMark(usize);

/// The advisory locks of a session. Dropping it releases them.
#[derive(Debug)]
pub struct AdvisoryLocks {
    table: Arc<LockTable>,
    owner: Owner,
    held: Mutex<Held>,
}

type Lock = (AdvisoryKey, AdvisoryMode);

#[derive(Debug, Default)]
struct Held {
    counts: HashMap<Lock, Counts>,
    /// Those of the transaction level, in the order in which they were taken.
    of_transaction: Vec<Lock>,
}

#[derive(Debug, Default)]
struct Counts {
    session: u64,
    transaction: u64,
}

impl AdvisoryLocks {
    pub(crate) fn new(table: Arc<LockTable>, owner: Owner) -> Self {
        Self { table, owner, held: Mutex::default() }
    }

    /// Takes a lock, waiting if need be: whether it was taken, which only [`LockWait::NoWait`] leaves
    /// open. Dropping the future gives up waiting. Errors: 40P01, 53200, 55P03.
    pub async fn lock(
        &self,
        key: AdvisoryKey,
        mode: AdvisoryMode,
        level: AdvisoryLevel,
        wait: LockWait,
        deadlock_timeout: Duration,
    ) -> Result<bool> {
        let (tag, bit) = (Tag::Advisory(key), mode.as_table_mode() as Mode);
        let queue = matches!(wait, LockWait::Wait { .. });
        self.check_room()?;
        match self.table.ask(self.owner, &tag, bit, queue) {
            Asked::Held | Asked::Granted => {}
            Asked::Busy => return Ok(false),
            Asked::Queued(receiver) => {
                let LockWait::Wait { timeout } = wait else { return Ok(false) };
                let owner = Owner { deadlock_timeout, ..self.owner };
                self.table.wait(owner, &tag, bit, receiver, timeout).await?;
            }
        }
        self.note((key, mode), level);
        Ok(true)
    }

    /// Takes a lock if it is free. Errors: 53200.
    pub fn try_lock(
        &self,
        key: AdvisoryKey,
        mode: AdvisoryMode,
        level: AdvisoryLevel,
    ) -> Result<bool> {
        self.check_room()?;
        let (tag, bit) = (Tag::Advisory(key), mode.as_table_mode() as Mode);
        match self.table.ask(self.owner, &tag, bit, false) {
            Asked::Held | Asked::Granted => {
                self.note((key, mode), level);
                Ok(true)
            }
            Asked::Busy | Asked::Queued(_) => Ok(false),
        }
    }

    fn check_room(&self) -> Result<()> {
        if self.held.lock().counts.len() >= ADVISORY_LOCKS_MAX {
            return Err(StorageError::TooManyLocks);
        }
        Ok(())
    }

    fn note(&self, lock: Lock, level: AdvisoryLevel) {
        let mut held = self.held.lock();
        let counts = held.counts.entry(lock).or_default();
        match level {
            AdvisoryLevel::Session => counts.session += 1,
            AdvisoryLevel::Transaction => {
                counts.transaction += 1;
                // Once is enough: what is taken again goes no sooner.
                if counts.transaction == 1 {
                    held.of_transaction.push(lock);
                }
            }
        }
    }

    /// Gives a lock of the session level back once; whether the session held it.
    pub fn unlock(&self, key: AdvisoryKey, mode: AdvisoryMode) -> bool {
        let mut held = self.held.lock();
        match held.counts.get_mut(&(key, mode)) {
            Some(counts) if counts.session > 0 => counts.session -= 1,
            _ => return false,
        }
        self.release_if_free(&mut held, (key, mode));
        true
    }

    /// Gives all locks of the session level back.
    pub fn unlock_all(&self) {
        let mut held = self.held.lock();
        let locks: Vec<Lock> = held.counts.keys().copied().collect();
        for lock in locks {
            if let Some(counts) = held.counts.get_mut(&lock) {
                counts.session = 0;
            }
            self.release_if_free(&mut held, lock);
        }
    }

    /// What of the transaction level was taken up to now.
    #[must_use]
    pub fn mark(&self) -> AdvisoryMark {
        AdvisoryMark(self.held.lock().of_transaction.len())
    }

    /// Gives back what of the transaction level was taken since.
    pub fn roll_back_to(&self, mark: AdvisoryMark) {
        let mut held = self.held.lock();
        while held.of_transaction.len() > mark.0 {
            let Some(lock) = held.of_transaction.pop() else { return };
            if let Some(counts) = held.counts.get_mut(&lock) {
                counts.transaction = 0;
            }
            self.release_if_free(&mut held, lock);
        }
    }

    /// The transaction is over.
    pub fn end_transaction(&self) {
        self.roll_back_to(AdvisoryMark(0));
    }

    fn release_if_free(&self, held: &mut Held, lock: Lock) {
        let free = held.counts.get(&lock).is_some_and(|it| it.session == 0 && it.transaction == 0);
        if free {
            held.counts.remove(&lock);
            let (key, mode) = lock;
            self.table.release(self.owner.id, &Tag::Advisory(key), mode.as_table_mode() as Mode);
        }
    }
}

impl Drop for AdvisoryLocks {
    fn drop(&mut self) {
        self.end_transaction();
        self.unlock_all();
    }
}
