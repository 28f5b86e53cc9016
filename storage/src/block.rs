//! Rows by the block: one buffer of bytes and where each row lies in it.
//!
//! Scans move blocks, not rows: a block passes from a tier to its reader by a swap of buffers
//! wherever no upper tier overlaps it, and a reader hands its emptied block back to be filled.

use crate::CommitSeq;

/// Rows of a scan in the order of the scan.
#[derive(Clone, Debug, Default)]
pub struct Block {
    bytes: Vec<u8>,
    rows: Vec<RowPlace>,
    tombstones: usize,
}

/// Where a row lies: its key, then its value.
#[derive(Clone, Copy, Debug)]
struct RowPlace {
    seq: CommitSeq,
    start: u32,
    key_len: u32,
    /// [`TOMBSTONE`] for a deletion, which no reader outside of storage sees.
    value_len: u32,
}

const TOMBSTONE: u32 = u32::MAX;

/// One row of a [`Block`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowRef<'a> {
    /// Its key.
    pub key: &'a [u8],
    /// What it holds.
    pub value: &'a [u8],
    /// The commit that wrote it; [`CommitSeq::UNCOMMITTED`] for the reader's own write.
    pub seq: CommitSeq,
}

impl Block {
    /// How many rows it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The row at a position below [`Block::len`].
    #[must_use]
    pub fn row(&self, at: usize) -> RowRef<'_> {
        RowRef {
            key: self.key(at),
            value: self.value(at).unwrap_or_default(),
            seq: self.rows[at].seq,
        }
    }

    /// Every row in the order of the scan.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = RowRef<'_>> {
        (0..self.len()).map(|at| self.row(at))
    }

    /// Forgets its rows and keeps its memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.rows.clear();
        self.tombstones = 0;
    }

    /// Bytes of keys and values.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn key(&self, at: usize) -> &[u8] {
        let row = &self.rows[at];
        let start = row.start as usize;
        &self.bytes[start..start + row.key_len as usize]
    }

    /// `None` for a tombstone.
    pub(crate) fn value(&self, at: usize) -> Option<&[u8]> {
        let row = &self.rows[at];
        if row.value_len == TOMBSTONE {
            return None;
        }
        let start = (row.start + row.key_len) as usize;
        Some(&self.bytes[start..start + row.value_len as usize])
    }

    pub(crate) fn is_tombstone(&self, at: usize) -> bool {
        self.rows[at].value_len == TOMBSTONE
    }

    pub(crate) fn has_tombstones(&self) -> bool {
        self.tombstones > 0
    }

    /// Adds a row. Formats bound a key and a value to less than 1 GiB each and a block is closed
    /// when it grows beyond a few hundred kilobytes, so that positions fit 32 bits.
    pub(crate) fn push(&mut self, key: &[u8], value: Option<&[u8]>, seq: CommitSeq) {
        let start = self.bytes.len();
        assert!(
            start + key.len() + value.map_or(0, <[u8]>::len) < TOMBSTONE as usize,
            "a block is closed long before its positions exceed 32 bits"
        );
        self.bytes.extend_from_slice(key);
        match value {
            Some(value) => self.bytes.extend_from_slice(value),
            None => self.tombstones += 1,
        }
        self.rows.push(RowPlace {
            seq,
            start: start as u32,
            key_len: key.len() as u32,
            value_len: value.map_or(TOMBSTONE, |value| value.len() as u32),
        });
    }

    /// Adds the rows `from..to` of another block, which lie together in it, with one copy.
    pub(crate) fn push_range(&mut self, other: &Self, from: usize, to: usize) {
        if from >= to {
            return;
        }
        if other.has_tombstones() {
            let dead = (from..to).filter(|at| other.is_tombstone(*at)).count();
            self.tombstones += dead;
        }
        let first = other.rows[from].start;
        let last = &other.rows[to - 1];
        let value_len = if last.value_len == TOMBSTONE { 0 } else { last.value_len };
        let end = last.start + last.key_len + value_len;
        let base = self.bytes.len();
        assert!(
            base + ((end - first) as usize) < TOMBSTONE as usize,
            "a block is closed long before its positions exceed 32 bits"
        );
        self.bytes.extend_from_slice(&other.bytes[first as usize..end as usize]);
        let base = base as u32;
        self.rows.extend(
            other.rows[from..to]
                .iter()
                .map(|row| RowPlace { start: row.start - first + base, ..*row }),
        );
    }
}
