//! What SERIALIZABLE adds: what a transaction read is compared with what others committed since.
//!
//! ```text
//! T1: snapshot 5, reads a..m         T2 commits a write of c as 6
//! T1: commit ─► the window holds (6: c) and 6 > 5 and c lies in a..m ─► 40001
//! ```
//!
//! The window holds the write keys of recent commits *and of proposals on their way*. Under one
//! short mutex a committing transaction is checked against it and then enters its own keys, so of
//! two that read what the other writes the second fails. Beyond the window's bound its oldest
//! part is forgotten, and a snapshot older than that fails. No anomaly among serializable
//! transactions (PostgreSQL promises no more), possibly more 40001 than there. A transaction that
//! wrote nothing needs no check: others are serial in the order of their commits, and a snapshot
//! stands between two commits.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use parking_lot::Mutex;

use crate::{CommitSeq, Key, KeyRange, Result, StorageError, TreeId};

/// Ranges noted beyond this become the whole tree.
const RANGES_PER_TREE_MAX: usize = 4096;
/// Keys in the window.
const WINDOW_KEYS_MAX: usize = 1 << 18;

/// What one transaction read.
#[derive(Debug, Default)]
pub(crate) struct ReadSet(Mutex<BTreeMap<TreeId, TreeReads>>);

#[derive(Debug, Default)]
struct TreeReads {
    keys: BTreeSet<Key>,
    ranges: Vec<KeyRange>,
    whole: bool,
}

impl ReadSet {
    pub(crate) fn note_key(&self, tree: TreeId, key: &[u8]) {
        let mut trees = self.0.lock();
        let reads = trees.entry(tree).or_default();
        if !reads.whole {
            reads.keys.insert(Key::new(key));
            reads.bound();
        }
    }

    pub(crate) fn note_range(&self, tree: TreeId, range: &KeyRange) {
        let mut trees = self.0.lock();
        let reads = trees.entry(tree).or_default();
        if !reads.whole && !reads.ranges.contains(range) {
            reads.ranges.push(range.clone());
            reads.bound();
        }
    }

    pub(crate) fn covers(&self, tree: TreeId, key: &Key) -> bool {
        let trees = self.0.lock();
        trees.get(&tree).is_some_and(|reads| {
            reads.whole
                || reads.keys.contains(key)
                || reads.ranges.iter().any(|range| range.contains(key))
        })
    }

    fn covers_some_of(&self, tree: TreeId) -> bool {
        self.0.lock().contains_key(&tree)
    }

    fn overlaps(&self, what: &WrittenKeys) -> bool {
        what.keys.iter().any(|(tree, key)| self.covers(*tree, key))
            || what.trees.iter().any(|tree| self.covers_some_of(*tree))
    }
}

impl TreeReads {
    fn bound(&mut self) {
        if self.keys.len() > RANGES_PER_TREE_MAX * 16 || self.ranges.len() > RANGES_PER_TREE_MAX {
            self.whole = true;
            self.keys.clear();
            self.ranges.clear();
        }
    }
}

/// What a transaction wrote, as the window keeps it.
#[derive(Debug, Default)]
pub(crate) struct WrittenKeys {
    pub(crate) keys: Vec<(TreeId, Key)>,
    /// Trees of which everything counts as written.
    pub(crate) trees: Vec<TreeId>,
}

#[derive(Debug)]
struct Written {
    token: u64,
    /// `None` while it is proposed.
    seq: Option<CommitSeq>,
    what: WrittenKeys,
}

#[derive(Debug, Default)]
struct WindowState {
    written: VecDeque<Written>,
    keys: usize,
    /// Commits up to this one may have been forgotten.
    forgotten: CommitSeq,
    /// Below which commit no open serializable transaction looks, and how many look from there.
    open: BTreeMap<CommitSeq, usize>,
}

/// The window of recent writes of serializable transactions.
#[derive(Debug, Default)]
pub(crate) struct Window(Mutex<WindowState>);

const FAILURE: StorageError = StorageError::SerializationFailure {
    message: "could not serialize access due to read/write dependencies among transactions",
};

impl Window {
    /// A serializable transaction has begun, whose snapshot will be `published` or a later one.
    pub(crate) fn open(&self, published: CommitSeq) {
        let mut state = self.0.lock();
        *state.open.entry(published).or_default() += 1;
    }

    /// It has ended; `published` is what was given to [`Window::open`].
    pub(crate) fn close(&self, published: CommitSeq) {
        let mut state = self.0.lock();
        if let Some(count) = state.open.get_mut(&published) {
            *count -= 1;
            if *count == 0 {
                state.open.remove(&published);
            }
        }
        state.forget();
    }

    /// Checks what was read, and notes what is about to be proposed. Errors: 40001.
    pub(crate) fn check_and_enter(
        &self,
        reads: Option<(&ReadSet, CommitSeq)>,
        token: u64,
        writes: impl FnOnce() -> WrittenKeys,
    ) -> Result<()> {
        let mut state = self.0.lock();
        if let Some((reads, snapshot)) = reads {
            if snapshot < state.forgotten {
                return Err(FAILURE);
            }
            for written in &state.written {
                let is_later = written.seq.is_none_or(|seq| seq > snapshot);
                if is_later && reads.overlaps(&written.what) {
                    return Err(FAILURE);
                }
            }
        }
        let written = Written { token, seq: None, what: writes() };
        state.keys += written.len();
        state.written.push_back(written);
        Ok(())
    }

    /// Checks what was read against what is published. What is only proposed may yet come to
    /// nothing. Errors: 40001.
    pub(crate) fn check(&self, reads: &ReadSet, snapshot: CommitSeq) -> Result<()> {
        let state = self.0.lock();
        let conflicts = |written: &Written| {
            written.seq.is_some_and(|seq| seq > snapshot) && reads.overlaps(&written.what)
        };
        if snapshot < state.forgotten || state.written.iter().any(conflicts) {
            return Err(FAILURE);
        }
        Ok(())
    }

    /// A proposal was published, or nothing came of it.
    pub(crate) fn resolve(&self, token: u64, seq: Option<CommitSeq>) {
        let mut state = self.0.lock();
        let Some(at) = state.written.iter().position(|written| written.token == token) else {
            return;
        };
        match seq {
            Some(_) => state.written[at].seq = seq,
            None => {
                if let Some(gone) = state.written.remove(at) {
                    state.keys -= gone.len();
                }
            }
        }
        state.forget();
    }
}

impl WindowState {
    /// Lets go what no open transaction can be in conflict with, and what exceeds the bound.
    fn forget(&mut self) {
        let oldest = self.open.keys().next().copied();
        while let Some(Written { seq: Some(seq), .. }) = self.written.front() {
            let is_needed = oldest.is_some_and(|oldest| *seq > oldest);
            if is_needed && self.keys <= WINDOW_KEYS_MAX {
                break;
            }
            self.forgotten = self.forgotten.max(*seq);
            if let Some(gone) = self.written.pop_front() {
                self.keys -= gone.len();
            }
        }
    }
}

impl Written {
    fn len(&self) -> usize {
        self.what.keys.len() + self.what.trees.len() + 1
    }
}
