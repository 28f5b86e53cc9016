//! Which entries are live and where they stand: the same rules for staging, writing and replay.

use std::collections::VecDeque;

use super::format::RecordKind;
use crate::error::LogError;

/// The range of live entries, and the purge mark below it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// The last index purged.
    pub(crate) purged: Option<u64>,
    /// The first live index; equal to `next` if there is none.
    pub(crate) first: u64,
    /// One beyond the last live index.
    pub(crate) next: u64,
}

impl Bounds {
    /// What a record does to the range. An entry must follow its predecessor; the first one of an
    /// empty log may have any index beyond the purge mark.
    pub(crate) fn apply(&mut self, kind: RecordKind, index: u64) -> Result<(), LogError> {
        match kind {
            RecordKind::Entry => {
                if self.first == self.next {
                    let expected = self.purged.map_or(0, |purged| purged.saturating_add(1));
                    if index < expected || index == u64::MAX {
                        return Err(LogError::OutOfOrder { index, expected });
                    }
                    self.first = index;
                } else if index != self.next || index == u64::MAX {
                    return Err(LogError::OutOfOrder { index, expected: self.next });
                }
                self.next = index + 1;
            }
            RecordKind::Truncate => self.next = self.next.min(index).max(self.first),
            RecordKind::Purge => {
                self.purged = self.purged.max(Some(index));
                let first = self.first.max(index.saturating_add(1));
                self.first = first;
                self.next = self.next.max(first);
            }
            RecordKind::Vote | RecordKind::Committed | RecordKind::Seal => {}
        }
        Ok(())
    }
}

/// What one written record does to the index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IndexChange {
    pub(crate) kind: RecordKind,
    pub(crate) index: u64,
    /// The record's own position.
    pub(crate) position: u64,
}

/// The position of every live entry, eight bytes each.
#[derive(Debug, Default)]
pub(crate) struct Indexes {
    bounds: Bounds,
    /// The position of entry `bounds.first + i`. Ascending.
    positions: VecDeque<u64>,
}

impl Indexes {
    /// The live range.
    pub(crate) fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// Where the entry at `index` stands.
    pub(crate) fn position(&self, index: u64) -> Option<u64> {
        let offset = index.checked_sub(self.bounds.first)?;
        self.positions.get(usize::try_from(offset).ok()?).copied()
    }

    /// Where the first live entry stands.
    pub(crate) fn first_position(&self) -> Option<u64> {
        self.positions.front().copied()
    }

    /// Takes a record whose order was checked when it was staged.
    pub(crate) fn apply(&mut self, change: IndexChange) {
        self.try_apply(change).expect("the record's order was checked when it was staged");
    }

    /// Takes a record, or says why it does not follow.
    pub(crate) fn try_apply(&mut self, change: IndexChange) -> Result<(), LogError> {
        let before = self.bounds;
        self.bounds.apply(change.kind, change.index)?;
        let after = self.bounds;
        match change.kind {
            RecordKind::Entry => self.positions.push_back(change.position),
            RecordKind::Truncate => self.positions.truncate((after.next - after.first) as usize),
            RecordKind::Purge => {
                let gone = (after.first - before.first).min(self.positions.len() as u64);
                self.positions.drain(..gone as usize);
            }
            RecordKind::Vote | RecordKind::Committed | RecordKind::Seal => {}
        }
        assert_eq!(
            self.positions.len() as u64,
            after.next - after.first,
            "every live entry has a position"
        );
        Ok(())
    }
}
