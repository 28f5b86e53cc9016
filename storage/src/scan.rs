//! Scans: several sorted sources merged by blocks.
//!
//! ```text
//! own writes   ·······k·······                 each source holds a block that it filled itself;
//! active         c·····k····x                  the merge looks at first keys and, where one
//! frozen           ·······                     source has a stretch to itself, moves that stretch
//! warm         a b c d e f g …                 with one copy, or the whole block with a swap
//! ```
//!
//! Sources stand in the order of the tiers: of equal keys the first source's row counts and the
//! others' are skipped. A tombstone hides the rows below it and is itself left out. Between blocks
//! a scan holds no lock; it holds its snapshot and, per source, one block.

use std::sync::Arc;

use crate::hot::{FillLimits, HotTree, Rest};
use crate::run::RunCursor;
use crate::snapshot::Snapshot;
use crate::warm::WarmCursor;
use crate::write_set::{OwnWrites, WriteSet};
use crate::{Block, CommitSeq, Direction, KeyRange, Result};

const FIRST_ROWS: usize = 32;
const ROWS_MAX: usize = 1024;
const BYTES_MAX: usize = 256 << 10;

/// Where rows come from.
#[derive(Debug)]
pub(crate) enum Cursor {
    Own(OwnWrites),
    Hot(Arc<HotTree>, CommitSeq),
    Run(RunCursor),
    Warm(Box<WarmCursor>),
}

#[derive(Debug)]
struct Source {
    cursor: Cursor,
    /// What the cursor has not delivered yet; `None` at its end.
    rest: Option<KeyRange>,
    block: Block,
    at: usize,
}

impl Source {
    fn new(cursor: Cursor, range: KeyRange) -> Self {
        Self {
            cursor,
            rest: Some(range),
            block: Block::default(),
            at: 0,
        }
    }

    fn key(&self) -> Option<&[u8]> {
        (self.at < self.block.len()).then(|| self.block.key(self.at))
    }
}

/// A scan in progress.
#[derive(Debug)]
pub struct Scan {
    sources: Vec<Source>,
    direction: Direction,
    rows_max: usize,
    keep_tombstones: bool,
    /// What keeps the rows from being trimmed; a scan of a write set alone has none.
    snapshot: Option<Arc<Snapshot>>,
}

impl Scan {
    pub(crate) fn new(
        snapshot: Option<Arc<Snapshot>>,
        cursors: Vec<Cursor>,
        range: &KeyRange,
        direction: Direction,
    ) -> Self {
        let sources = cursors
            .into_iter()
            .map(|cursor| Source::new(cursor, range.clone()))
            .collect();
        Self {
            sources,
            direction,
            rows_max: FIRST_ROWS,
            keep_tombstones: false,
            snapshot,
        }
    }

    /// Yields tombstones too.
    pub(crate) fn keep_tombstones(mut self) -> Self {
        self.keep_tombstones = true;
        self
    }

    /// Fills `block` with the next rows, in place of what it held; false at the end. The first
    /// blocks are small and they grow to a thousand rows or 256 KiB, so that a short scan reads
    /// little. Errors: 72000, 58030, XX001.
    pub fn next_block(&mut self, block: &mut Block) -> Result<bool> {
        block.clear();
        if let Some(snapshot) = &self.snapshot {
            snapshot.check()?;
        }
        let limits = FillLimits {
            rows_max: self.rows_max,
            bytes_max: BYTES_MAX,
        };
        self.rows_max = (self.rows_max * 4).min(ROWS_MAX);
        while !limits.reached(block) {
            self.refill(limits)?;
            let Some(first) = self.least() else {
                break;
            };
            if self.take_stretch(first, block) {
                return Ok(true);
            }
        }
        Ok(!block.is_empty())
    }

    /// Gives every source that has something left a row to compare.
    fn refill(&mut self, limits: FillLimits) -> Result<()> {
        let mut at = 0;
        while at < self.sources.len() {
            while self.sources[at].key().is_none() && self.sources[at].rest.is_some() {
                self.fill_source(at, limits)?;
            }
            at += 1;
        }
        Ok(())
    }

    fn fill_source(&mut self, at: usize, limits: FillLimits) -> Result<()> {
        let source = &mut self.sources[at];
        let Some(range) = source.rest.take() else {
            return Ok(());
        };
        source.block.clear();
        source.at = 0;
        let block = &mut source.block;
        let mut moved = Vec::new();
        let rest = match &mut source.cursor {
            Cursor::Own(own) => {
                let (rest, spilled) = own.fill(block, &range, self.direction, limits);
                let spilled = spilled.into_iter();
                moved.extend(spilled.map(|run| Source::new(Cursor::Run(run), range.clone())));
                rest
            }
            Cursor::Hot(tree, seq) => tree.fill(block, range, self.direction, *seq, limits),
            Cursor::Run(cursor) => cursor.fill(block, &range, self.direction, limits)?,
            Cursor::Warm(cursor) => match cursor.fill(block, self.direction, limits)? {
                true => Rest::Range(range),
                false => Rest::End,
            },
        };
        source.rest = match rest {
            Rest::Range(range) => Some(range),
            Rest::End => None,
        };
        self.sources.splice(at + 1..at + 1, moved);
        Ok(())
    }

    fn precedes(&self, a: &[u8], b: &[u8]) -> bool {
        match self.direction {
            Direction::Forward => a < b,
            Direction::Backward => a > b,
        }
    }

    /// The source whose row comes next: the first of those with the least key.
    fn least(&self) -> Option<usize> {
        let mut least: Option<(usize, &[u8])> = None;
        for (at, source) in self.sources.iter().enumerate() {
            if let Some(key) = source.key()
                && least.is_none_or(|(_, least)| self.precedes(key, least))
            {
                least = Some((at, key));
            }
        }
        least.map(|(at, _)| at)
    }

    /// Moves the rows of a source that come before every other source's next one. True if the
    /// block was passed whole and is complete.
    fn take_stretch(&mut self, first: usize, out: &mut Block) -> bool {
        let mut other_least: Option<usize> = None;
        for at in 0..self.sources.len() {
            if at == first {
                continue;
            }
            let Some(key) = self.sources[at].key() else {
                continue;
            };
            let first_key = self.sources[first]
                .key()
                .expect("the least source has a row");
            if key == first_key {
                // Overridden. The stretch is this row alone: what follows here is not known yet.
                self.take_one(first, out);
                return false;
            }
            if other_least.is_none_or(|least| {
                let least_key = self.sources[least].key();
                self.precedes(key, least_key.expect("it was chosen for its row"))
            }) {
                other_least = Some(at);
            }
        }
        let source = &self.sources[first];
        let end = match other_least.and_then(|at| self.sources[at].key()) {
            None => source.block.len(),
            Some(bound) => self.stretch_end(source, bound),
        };
        let (from, whole) = (source.at, source.at == 0 && end == source.block.len());
        let source = &mut self.sources[first];
        source.at = end;
        let clean = self.keep_tombstones || !source.block.has_tombstones();
        if whole && clean && out.is_empty() {
            std::mem::swap(out, &mut source.block);
            source.block.clear();
            source.at = 0;
            return true;
        }
        if clean {
            out.push_range(&source.block, from, end);
        } else {
            let mut start = from;
            for at in from..end {
                if source.block.is_tombstone(at) {
                    out.push_range(&source.block, start, at);
                    start = at + 1;
                }
            }
            out.push_range(&source.block, start, end);
        }
        false
    }

    /// Takes the row of the first source and skips it in every other.
    fn take_one(&mut self, first: usize, out: &mut Block) {
        let (head, tail) = self.sources.split_at_mut(first + 1);
        let source = &mut head[first];
        let key = source.block.key(source.at);
        for other in tail {
            if other.key() == Some(key) {
                other.at += 1;
            }
        }
        if self.keep_tombstones || !source.block.is_tombstone(source.at) {
            out.push_range(&source.block, source.at, source.at + 1);
        }
        source.at += 1;
    }

    /// Behind the last row of a source that precedes a key, found by galloping: stretches are
    /// either short or as long as the block.
    fn stretch_end(&self, source: &Source, bound: &[u8]) -> usize {
        let len = source.block.len();
        if self.precedes(source.block.key(len - 1), bound) {
            return len;
        }
        let mut known = source.at;
        let mut step = 1;
        while known + step < len && self.precedes(source.block.key(known + step), bound) {
            known += step;
            step *= 2;
        }
        let (mut low, mut high) = (known + 1, (known + step).min(len - 1));
        while low < high {
            let middle = low + (high - low) / 2;
            if self.precedes(source.block.key(middle), bound) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
}

/// The cursors over a write set: what is in memory, then spills, newest first.
pub(crate) fn own_cursors(
    writes: &Arc<WriteSet>,
    tree: crate::TreeId,
    command: u32,
) -> Vec<Cursor> {
    let (own, spilled) = writes.cursors(tree, command);
    let mut cursors = vec![Cursor::Own(own)];
    cursors.extend(spilled.into_iter().map(Cursor::Run));
    cursors
}
