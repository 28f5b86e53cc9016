//! Snapshots, and the registry that says which of them live.
//!
//! A snapshot is one load of [`Published`]. Apply trims versions that no live snapshot sees, so a
//! reader must be registered *before* it relies on what it loaded:
//!
//! ```text
//!   reader                                   apply
//!   load Published (seq 10)
//!   slot := 10                               reads the slots: {10} or {} …
//!   load again: still 10 → done              … and what is published, which it always keeps
//!   load again: 11 → slot := 11, load again
//! ```
//!
//! If the second load still finds 10, then apply published 11 after the slot was set, and whoever
//! trims below 11 reads the slots later than that: it finds the 10. Both sides put a sequentially
//! consistent fence between their store and their load, so not both can miss the other's.
//!
//! Nothing here takes a lock that two readers share. A snapshot that holds back too much is
//! [given up](Registry::give_up_oldest): its tiers are let go, and its reader gets 72000.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};
use std::sync::{Arc, OnceLock, Weak};

use arc_swap::{ArcSwap, ArcSwapOption};
use parking_lot::Mutex;

use crate::tiers::Published;
use crate::{CommitSeq, Result, StorageError};

const CHUNK_SLOTS: usize = 256;
const CHUNKS_MAX: usize = 256;
/// The value of a slot that nobody has.
const FREE: u64 = 0;
/// The value of a slot whose snapshot was given up: it pins nothing.
const GIVEN_UP: u64 = u64::MAX;

#[derive(Debug, Default)]
struct Slot {
    /// [`FREE`], [`GIVEN_UP`], or the pinned sequence plus one.
    pinned: AtomicU64,
    holder: Mutex<Weak<SnapshotState>>,
}

/// Every live snapshot.
#[derive(Debug)]
pub(crate) struct Registry {
    chunks: [OnceLock<Box<[Slot]>>; CHUNKS_MAX],
    /// Chunks that exist, from the first.
    used: AtomicUsize,
}

impl Default for Registry {
    fn default() -> Self {
        Self { chunks: [const { OnceLock::new() }; CHUNKS_MAX], used: AtomicUsize::new(0) }
    }
}

thread_local! {
    /// Where this thread found a free slot last.
    static HINT: Cell<usize> = const { Cell::new(0) };
}

impl Registry {
    fn slot(&self, at: usize) -> &Slot {
        let chunk = self.chunks[at / CHUNK_SLOTS].get_or_init(|| {
            self.used.fetch_max(at / CHUNK_SLOTS + 1, Ordering::SeqCst);
            (0..CHUNK_SLOTS).map(|_| Slot::default()).collect()
        });
        &chunk[at % CHUNK_SLOTS]
    }

    fn claim(&self, pinned: u64) -> Result<usize> {
        let hint = HINT.get();
        let total = CHUNK_SLOTS * CHUNKS_MAX;
        for step in 0..total {
            // The hint first, then every slot from the first on: few chunks come to be.
            let at = if step == 0 { hint } else { step - 1 };
            let slot = self.slot(at);
            if slot.pinned.load(Ordering::Relaxed) == FREE
                && slot
                    .pinned
                    .compare_exchange(FREE, pinned, Ordering::SeqCst, Ordering::Relaxed)
                    .is_ok()
            {
                HINT.set(at);
                return Ok(at);
            }
        }
        Err(StorageError::TooManySnapshots)
    }

    fn each(&self, mut visit: impl FnMut(&Slot, CommitSeq)) {
        for chunk in &self.chunks[..self.used.load(Ordering::SeqCst)] {
            for slot in chunk.get().into_iter().flatten() {
                match slot.pinned.load(Ordering::SeqCst) {
                    FREE | GIVEN_UP => {}
                    pinned => visit(slot, CommitSeq(pinned - 1)),
                }
            }
        }
    }

    /// The sequences that live snapshots stand at, and `published`; ascending.
    pub(crate) fn live(&self, published: CommitSeq, live: &mut Vec<CommitSeq>) {
        live.clear();
        live.push(published);
        fence(Ordering::SeqCst);
        self.each(|_, seq| live.push(seq));
        live.sort_unstable();
        live.dedup();
    }

    /// How many snapshots live, and the oldest.
    pub(crate) fn oldest(&self) -> (usize, Option<CommitSeq>) {
        let mut count = 0;
        let mut oldest = None;
        self.each(|_, seq| {
            count += 1;
            oldest = Some(oldest.map_or(seq, |oldest: CommitSeq| oldest.min(seq)));
        });
        (count, oldest)
    }

    /// The state that the oldest live snapshot holds.
    pub(crate) fn oldest_state(&self) -> Option<Arc<Published>> {
        self.oldest_holder()?.published.load_full()
    }

    /// The states that live snapshots hold, one for each.
    pub(crate) fn states(&self) -> Vec<Arc<Published>> {
        let mut states = Vec::new();
        self.each(|slot, _| {
            let holder = slot.holder.lock().upgrade();
            states.extend(holder.and_then(|holder| holder.published.load_full()));
        });
        states
    }

    fn oldest_holder(&self) -> Option<Arc<SnapshotState>> {
        let mut oldest: Option<(CommitSeq, Arc<SnapshotState>)> = None;
        self.each(|slot, seq| {
            if oldest.as_ref().is_none_or(|(oldest, _)| seq < *oldest)
                && let Some(holder) = slot.holder.lock().upgrade()
            {
                oldest = Some((seq, holder));
            }
        });
        oldest.map(|(_, holder)| holder)
    }

    /// Lets the tiers of the oldest snapshot go, if it stands below `published`.
    pub(crate) fn give_up_oldest(&self, published: CommitSeq) -> Option<CommitSeq> {
        let holder = self.oldest_holder()?;
        if holder.seq >= published {
            return None;
        }
        holder.published.store(None);
        // The holder is alive here, so the slot is still its own.
        let slot = self.slot(holder.claim.slot);
        slot.pinned.store(GIVEN_UP, Ordering::SeqCst);
        Some(holder.seq)
    }
}

/// A slot of the registry, free again when this is dropped.
#[derive(Debug)]
struct Claim {
    registry: Arc<Registry>,
    slot: usize,
}

impl Drop for Claim {
    fn drop(&mut self) {
        let slot = self.registry.slot(self.slot);
        slot.pinned.store(FREE, Ordering::SeqCst);
    }
}

/// The newest published state, held so that it can be read once: a point read, a check.
#[derive(Debug)]
pub(crate) struct Pinned {
    pub(crate) published: Arc<Published>,
    claim: Claim,
}

impl Pinned {
    pub(crate) fn take(current: &ArcSwap<Published>, registry: &Arc<Registry>) -> Result<Self> {
        let mut published = current.load_full();
        let claim =
            Claim { registry: registry.clone(), slot: registry.claim(published.seq.0 + 1)? };
        loop {
            fence(Ordering::SeqCst);
            let again = current.load_full();
            let unchanged = again.seq == published.seq;
            published = again;
            if unchanged {
                return Ok(Self { published, claim });
            }
            let slot = registry.slot(claim.slot);
            slot.pinned.store(published.seq.0 + 1, Ordering::SeqCst);
        }
    }
}

/// A snapshot: the state that was published when it was taken, for as long as it is held.
#[derive(Debug)]
pub(crate) struct Snapshot {
    state: Arc<SnapshotState>,
    seq: CommitSeq,
    timestamp_us: i64,
    /// When it was taken, never before the last commit that it sees.
    taken_at_us: i64,
}

#[derive(Debug)]
struct SnapshotState {
    published: ArcSwapOption<Published>,
    claim: Claim,
    seq: CommitSeq,
}

impl Snapshot {
    pub(crate) fn take(
        current: &ArcSwap<Published>,
        registry: &Arc<Registry>,
        now_us: i64,
    ) -> Result<Self> {
        let Pinned { published, claim } = Pinned::take(current, registry)?;
        Ok(Self::holding(published, claim, now_us))
    }

    /// A snapshot of a state that nobody can trim now, because the caller is apply.
    pub(crate) fn of_apply(published: Arc<Published>, registry: &Arc<Registry>) -> Result<Self> {
        let claim =
            Claim { registry: registry.clone(), slot: registry.claim(published.seq.0 + 1)? };
        let now_us = published.timestamp_us;
        Ok(Self::holding(published, claim, now_us))
    }

    /// A snapshot that was given up from the first: it holds nothing back, and reading it is 72000.
    pub(crate) fn detached(published: &Published, registry: &Arc<Registry>) -> Result<Self> {
        let claim = Claim { registry: registry.clone(), slot: registry.claim(GIVEN_UP)? };
        let (seq, timestamp_us) = (published.seq, published.timestamp_us);
        let state = SnapshotState { published: ArcSwapOption::empty(), claim, seq };
        Ok(Self { state: Arc::new(state), seq, timestamp_us, taken_at_us: timestamp_us })
    }

    fn holding(published: Arc<Published>, claim: Claim, now_us: i64) -> Self {
        let (seq, timestamp_us) = (published.seq, published.timestamp_us);
        let taken_at_us = now_us.max(timestamp_us);
        let registry = claim.registry.clone();
        let slot = claim.slot;
        let state =
            Arc::new(SnapshotState { published: ArcSwapOption::new(Some(published)), claim, seq });
        *registry.slot(slot).holder.lock() = Arc::downgrade(&state);
        Self { state, seq, timestamp_us, taken_at_us }
    }

    pub(crate) fn seq(&self) -> CommitSeq {
        self.seq
    }

    pub(crate) fn timestamp_us(&self) -> i64 {
        self.timestamp_us
    }

    pub(crate) fn taken_at_us(&self) -> i64 {
        self.taken_at_us
    }

    /// Whether it can still be read. Errors: 72000.
    pub(crate) fn check(&self) -> Result<()> {
        match &*self.state.published.load() {
            Some(_) => Ok(()),
            None => Err(StorageError::SnapshotTooOld),
        }
    }

    /// What it sees. Errors: 72000.
    pub(crate) fn published(&self) -> Result<Arc<Published>> {
        self.state.published.load_full().ok_or(StorageError::SnapshotTooOld)
    }

    /// Reads a key without touching the state's reference count.
    pub(crate) fn get(&self, tree: crate::TreeId, key: &[u8]) -> Result<Option<crate::Row>> {
        match &*self.state.published.load() {
            Some(published) => published.get(tree, key),
            None => Err(StorageError::SnapshotTooOld),
        }
    }
}
