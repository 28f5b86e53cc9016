//! Table and row locks: modes, queues, deadlocks. All in memory, on the leader alone.
//!
//! ```text
//! row k of tree 7      holders             queue, in the order of asking
//!                      T1 ForNoKeyUpdate   T2 ForUpdate   T3 ForShare
//! T1 ends ────────────►                    T2 is granted; T3 waits for T2
//! ```
//!
//! Whoever asks waits if its mode conflicts with a holder's, or with that of somebody who waits
//! already: else writers would starve. Only who holds a mode of the same object passes the queue,
//! as in PostgreSQL, because the queue may wait for him; and who asks for a row that its holders let
//! him have, as there too: foreign keys are not to wait for whoever wants to delete. The table is cut into shards by hash;
//! a transaction holds one shard's mutex at a time, and the deadlock detector all of them.
//!
//! **Rows and trees.** Before its first row lock in a tree a transaction takes an *intent* on the
//! tree; beyond a number of rows it tries to take the tree itself and gives the rows back.
//! Intents exclude no intent; a tree lock excludes the intents whose row modes it excludes.
//!
//! **Deadlocks** are looked for by whoever has waited `deadlock_timeout`: with every shard locked,
//! it follows "waits for" from itself. If that leads back, it gives up (40P01); the others go on.

mod advisory;
mod held;
mod modes;
mod report;

use std::collections::hash_map::{DefaultHasher, Entry};
use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt::Write as _;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::oneshot;

pub use advisory::{AdvisoryKey, AdvisoryLevel, AdvisoryLocks, AdvisoryMark, AdvisoryMode};
pub(crate) use held::{HeldLocks, LockMark};
pub use modes::{LockWait, RowLockMode, RowLockOutcome, RowLockWait, TableLockMode};
pub use report::{LockReport, LockedObject};

use crate::{Key, Result, StorageError, TransactionId, TreeId};

const SHARDS: usize = 64;

/// What can be locked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Tag {
    Table(u64),
    Tree(TreeId),
    Row(TreeId, Key),
    Advisory(AdvisoryKey),
}

/// A mode of any tag, as a bit number: of tables the eight modes; of rows the four; of trees the
/// four intents and then the four modes of the whole tree.
pub(crate) type Mode = u8;

/// The modes of this tag that exclude this one, a bit each.
fn conflicts(tag: &Tag, mode: Mode) -> u8 {
    match tag {
        Tag::Table(_) | Tag::Advisory(_) => TableLockMode::ALL[usize::from(mode)].conflicts(),
        Tag::Row(..) => RowLockMode::ALL[usize::from(mode)].conflicts(),
        Tag::Tree(_) => {
            let rows = RowLockMode::ALL[usize::from(mode % 4)].conflicts();
            if mode < 4 { rows << 4 } else { rows << 4 | rows }
        }
    }
}

/// Who asks for a lock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner {
    pub(crate) id: TransactionId,
    pub(crate) process_id: i32,
    pub(crate) deadlock_timeout: Duration,
}

#[derive(Debug)]
struct Holder {
    id: TransactionId,
    process_id: i32,
    modes: u8,
}

#[derive(Debug)]
struct Waiter {
    id: TransactionId,
    process_id: i32,
    mode: Mode,
    since: tokio::time::Instant,
    granted: oneshot::Sender<()>,
}

#[derive(Debug, Default)]
struct LockState {
    holders: Vec<Holder>,
    waiters: VecDeque<Waiter>,
}

impl LockState {
    fn held_by(&self, id: TransactionId) -> u8 {
        self.holders.iter().find(|holder| holder.id == id).map_or(0, |holder| holder.modes)
    }

    fn held_by_others(&self, id: TransactionId) -> u8 {
        self.holders
            .iter()
            .filter(|holder| holder.id != id)
            .fold(0, |modes, holder| modes | holder.modes)
    }

    fn hold(&mut self, id: TransactionId, process_id: i32, mode: Mode) {
        match self.holders.iter_mut().find(|holder| holder.id == id) {
            Some(holder) => holder.modes |= 1 << mode,
            None => self.holders.push(Holder { id, process_id, modes: 1 << mode }),
        }
    }

    /// Grants whatever of the queue can be granted now.
    fn grant(&mut self, tag: &Tag) {
        let mut ahead = 0;
        let mut at = 0;
        while let Some(waiter) = self.waiters.get(at) {
            let excluding = conflicts(tag, waiter.mode);
            let passes_queue = self.held_by(waiter.id) != 0;
            let is_free = self.held_by_others(waiter.id) & excluding == 0
                && (passes_queue || ahead & excluding == 0);
            if !is_free {
                ahead |= 1 << waiter.mode;
                at += 1;
                continue;
            }
            let Some(waiter) = self.waiters.remove(at) else {
                return;
            };
            let (id, process_id, mode) = (waiter.id, waiter.process_id, waiter.mode);
            // Who gave up waiting is about to take itself out of the queue: no grant.
            if waiter.granted.send(()).is_ok() {
                self.hold(id, process_id, mode);
            }
        }
    }
}

type Shard = HashMap<Tag, LockState>;

/// Every lock of this node.
#[derive(Debug)]
pub(crate) struct LockTable {
    shards: Vec<Mutex<Shard>>,
}

/// What came of asking.
pub(crate) enum Asked {
    /// The transaction holds a mode that excludes as much already.
    Held,
    Granted,
    Busy,
    Queued(oneshot::Receiver<()>),
}

impl LockTable {
    pub(crate) fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }

    fn shard_of(tag: &Tag) -> usize {
        let mut hasher = DefaultHasher::new();
        tag.hash(&mut hasher);
        hasher.finish() as usize % SHARDS
    }

    fn shard(&self, tag: &Tag) -> MutexGuard<'_, Shard> {
        self.shards[Self::shard_of(tag)].lock()
    }

    /// Asks for a lock; queues for it if `queue` and it is not free.
    pub(crate) fn ask(&self, owner: Owner, tag: &Tag, mode: Mode, queue: bool) -> Asked {
        let mut shard = self.shard(tag);
        let state = match shard.entry(tag.clone()) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let state = entry.insert(LockState::default());
                state.hold(owner.id, owner.process_id, mode);
                return Asked::Granted;
            }
        };
        let excluding = conflicts(tag, mode);
        let held = state.held_by(owner.id);
        let held_excludes = (0..8)
            .filter(|held_mode| held & 1 << held_mode != 0)
            .fold(0, |modes, held_mode| modes | conflicts(tag, held_mode));
        // Of advisory locks each mode is counted by itself.
        let is_held = match tag {
            Tag::Advisory(_) => held & 1 << mode != 0,
            Tag::Table(_) | Tag::Tree(_) | Tag::Row(..) => excluding & !held_excludes == 0,
        };
        if held != 0 && is_held {
            return Asked::Held;
        }
        let waiting = state.waiters.iter().fold(0, |modes, waiter| modes | 1 << waiter.mode);
        let passes_queue = held != 0 || matches!(tag, Tag::Row(..));
        if state.held_by_others(owner.id) & excluding == 0
            && (passes_queue || waiting & excluding == 0)
        {
            state.hold(owner.id, owner.process_id, mode);
            return Asked::Granted;
        }
        if !queue {
            return Asked::Busy;
        }
        let (granted, receiver) = oneshot::channel();
        state.waiters.push_back(Waiter {
            id: owner.id,
            process_id: owner.process_id,
            mode,
            since: tokio::time::Instant::now(),
            granted,
        });
        Asked::Queued(receiver)
    }

    /// Gives one mode back.
    pub(crate) fn release(&self, id: TransactionId, tag: &Tag, mode: Mode) {
        let mut shard = self.shard(tag);
        let Some(state) = shard.get_mut(tag) else {
            return;
        };
        if let Some(at) = state.holders.iter().position(|holder| holder.id == id) {
            state.holders[at].modes &= !(1 << mode);
            if state.holders[at].modes == 0 {
                state.holders.swap_remove(at);
            }
        }
        state.grant(tag);
        if state.holders.is_empty() && state.waiters.is_empty() {
            shard.remove(tag);
        }
    }

    /// Takes a waiter out of the queue.
    fn leave_queue(&self, id: TransactionId, tag: &Tag) {
        let mut shard = self.shard(tag);
        if let Some(state) = shard.get_mut(tag) {
            state.waiters.retain(|waiter| waiter.id != id);
            state.grant(tag);
            if state.holders.is_empty() && state.waiters.is_empty() {
                shard.remove(tag);
            }
        }
    }

    /// Waits for a lock that was queued for. Errors: 40P01, 55P03.
    pub(crate) async fn wait(
        self: &Arc<Self>,
        owner: Owner,
        tag: &Tag,
        mode: Mode,
        receiver: oneshot::Receiver<()>,
        timeout: Option<Duration>,
    ) -> Result<()> {
        let mut queued = Queued {
            table: self.clone(),
            id: owner.id,
            tag: tag.clone(),
            mode,
            receiver,
            granted: false,
        };
        let asked = tokio::time::Instant::now();
        let deadline = timeout.and_then(|timeout| asked.checked_add(timeout));
        let mut detect_at = asked.checked_add(owner.deadlock_timeout);
        loop {
            let wake = match (deadline, detect_at) {
                (Some(deadline), Some(detect_at)) => Some(deadline.min(detect_at)),
                (deadline, detect_at) => deadline.or(detect_at),
            };
            let granted = match wake {
                Some(wake) => tokio::time::timeout_at(wake, &mut queued.receiver).await.ok(),
                None => Some((&mut queued.receiver).await),
            };
            if granted.is_some() {
                queued.granted = true;
                return Ok(());
            }
            let now = tokio::time::Instant::now();
            if deadline.is_some_and(|deadline| now >= deadline) {
                return Err(StorageError::LockTimeout);
            }
            if let Some(detail) = self.break_deadlock(owner, tag) {
                return Err(StorageError::Deadlock { detail });
            }
            detect_at = now.checked_add(owner.deadlock_timeout);
        }
    }

    /// Whether who asked for `tag` waits, over whatever many others, for itself; told line by line.
    /// It leaves the queue before anybody else can look: one victim breaks a cycle.
    fn break_deadlock(&self, owner: Owner, tag: &Tag) -> Option<String> {
        let mut shards: Vec<MutexGuard<'_, Shard>> =
            self.shards.iter().map(|shard| shard.lock()).collect();
        let detail = find_cycle(&shards, Party::of((owner.id, owner.process_id)))?;
        if let Some(state) = shards[Self::shard_of(tag)].get_mut(tag) {
            state.waiters.retain(|waiter| waiter.id != owner.id);
            state.grant(tag);
        }
        Some(detail)
    }
}

/// Whether a party waits for itself, told line by line.
fn find_cycle(shards: &[MutexGuard<'_, Shard>], start: Party) -> Option<String> {
    let mut waits: Waits<'_> = HashMap::new();
    for shard in shards {
        for (tag, state) in shard.iter() {
            for (at, waiter) in state.waiters.iter().enumerate() {
                let party = Party::of((waiter.id, waiter.process_id));
                waits.insert(party, (tag, state, at));
            }
        }
    }
    // Depth first, without recursion: the path, and what is left to try at each step.
    let mut seen = HashSet::from([start]);
    let mut path = vec![(start, blockers(&waits, start))];
    while let Some((_, untried)) = path.last_mut() {
        match untried.pop() {
            None => {
                path.pop();
            }
            Some(next) if next == start => {
                let cycle: Vec<Party> = path.iter().map(|(party, _)| *party).collect();
                return Some(describe(&waits, &cycle));
            }
            Some(next) => {
                if seen.insert(next) {
                    path.push((next, blockers(&waits, next)));
                }
            }
        }
    }
    None
}

/// Who waits and is waited for: a session with its transaction and its advisory locks, or a
/// transaction that no session runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Party {
    Session(i32),
    Transaction(TransactionId),
}

impl Party {
    const fn of((id, process_id): (TransactionId, i32)) -> Self {
        if process_id == 0 { Self::Transaction(id) } else { Self::Session(process_id) }
    }
}

/// What each party waits for, and at which place in its queue.
type Waits<'a> = HashMap<Party, (&'a Tag, &'a LockState, usize)>;

/// For whom a party waits.
fn blockers(waits: &Waits<'_>, party: Party) -> Vec<Party> {
    let Some((tag, state, at)) = waits.get(&party) else {
        return Vec::new();
    };
    state.blockers(tag, *at).into_iter().map(Party::of).collect()
}

/// The cycle in the words of PostgreSQL's detail. Rows are told as PostgreSQL tells them: one
/// waits for the end of the transaction that holds the row.
fn describe(waits: &Waits<'_>, cycle: &[Party]) -> String {
    let mut detail = String::new();
    for (nth, party) in cycle.iter().enumerate() {
        let next = cycle[(nth + 1) % cycle.len()];
        let (tag, state, at) = waits[party];
        let waiter = &state.waiters[at];
        let blocking = state.blockers(tag, at);
        let (next_id, blocker) = blocking
            .into_iter()
            .find(|blocker| Party::of(*blocker) == next)
            .expect("the cycle was found along the blockers of each of its parties");
        let (mode, object) = match tag {
            Tag::Table(object_id) => (
                TableLockMode::ALL[usize::from(waiter.mode)].name(),
                format!("relation {} of database {}", *object_id as u32, object_id >> 32),
            ),
            Tag::Row(..) | Tag::Tree(_) => ("ShareLock", format!("transaction {}", next_id.0)),
            Tag::Advisory(AdvisoryKey { database, key, class }) => (
                TableLockMode::ALL[usize::from(waiter.mode)].name(),
                format!("advisory lock [{database},{},{},{class}]", key >> 32, *key as u32),
            ),
        };
        if nth > 0 {
            detail.push('\n');
        }
        write!(
            detail,
            "Process {} waits for {mode} on {object}; blocked by process {blocker}.",
            waiter.process_id
        )
        .expect("writing to a string does not fail");
    }
    detail
}

/// A place in a queue. Dropping it gives the place up, and the lock too if it was granted in the
/// meantime.
#[derive(Debug)]
struct Queued {
    table: Arc<LockTable>,
    id: TransactionId,
    tag: Tag,
    mode: Mode,
    receiver: oneshot::Receiver<()>,
    granted: bool,
}

impl Drop for Queued {
    fn drop(&mut self) {
        if self.granted {
            return;
        }
        self.receiver.close();
        if self.receiver.try_recv().is_ok() {
            self.table.release(self.id, &self.tag, self.mode);
        } else {
            self.table.leave_queue(self.id, &self.tag);
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "server::task is above storage")]
mod tests;
