//! What a reader holds: a snapshot with its transaction's own writes on top.

use std::any::Any;
use std::sync::Arc;

use crate::entry::Counter;
use crate::hot::HotMap;
use crate::run::RunCursor;
use crate::scan::{Cursor, own_cursors};
use crate::serializable::ReadSet;
use crate::snapshot::Snapshot;
use crate::tiers::FrozenSource;
use crate::write_set::WriteSet;
use crate::{CommandId, CommitSeq, Direction, Key, KeyRange, Result, Row, Scan, TreeId, Trees};

/// A consistent view: cheap to clone, usable from any thread, alive as long as it is held (it
/// holds back reclamation: give it back soon).
#[derive(Clone, Debug)]
pub struct ReadView {
    snapshot: Arc<Snapshot>,
    command: CommandId,
    /// `None` while the transaction has written nothing: what it writes later has a command id
    /// that this view does not see.
    own: Option<OwnView>,
    /// What a serializable transaction read.
    reads: Option<Arc<ReadSet>>,
}

/// A write set as of a command, registered there so that what it sees is kept.
#[derive(Debug)]
struct OwnView {
    writes: Arc<WriteSet>,
    command: u32,
}

impl OwnView {
    fn new(writes: Arc<WriteSet>, command: u32) -> Self {
        writes.enter_view(command);
        Self { writes, command }
    }
}

impl Clone for OwnView {
    fn clone(&self) -> Self {
        Self::new(self.writes.clone(), self.command)
    }
}

impl Drop for OwnView {
    fn drop(&mut self) {
        self.writes.leave_view(self.command);
    }
}

impl ReadView {
    pub(crate) fn new(
        snapshot: Arc<Snapshot>,
        command: CommandId,
        writes: Option<Arc<WriteSet>>,
        reads: Option<Arc<ReadSet>>,
    ) -> Self {
        Self { snapshot, command, own: writes.map(|writes| OwnView::new(writes, command.0)), reads }
    }

    /// The last commit that it sees.
    #[must_use]
    pub fn seq(&self) -> CommitSeq {
        self.snapshot.seq()
    }

    /// Own writes of commands below this one are seen.
    #[must_use]
    pub fn command_id(&self) -> CommandId {
        self.command
    }

    /// Whether the transaction has written to a tree.
    #[must_use]
    pub fn has_written(&self, tree: TreeId) -> bool {
        self.own.as_ref().is_some_and(|own| own.writes.touches(tree))
    }

    /// The time of the last commit that it sees, in microseconds since 1970: monotone with `seq`.
    #[must_use]
    pub fn timestamp_us(&self) -> i64 {
        self.snapshot.timestamp_us()
    }

    /// When its snapshot was taken, in microseconds since 1970: what expires by the clock has expired
    /// in this view, or has not, by this time. Never before the last commit that it sees.
    #[must_use]
    pub fn time_us(&self) -> i64 {
        self.snapshot.taken_at_us()
    }

    /// The number that the next row of a counter would have had. Errors: 72000, 58030.
    pub fn next_number(&self, counter: Counter, first: u64) -> Result<u64> {
        let stored = self.snapshot.get(TreeId::STORAGE, &counter.key())?;
        stored.map_or(Ok(first), |row| crate::apply::decode_counter(&row.value))
    }

    /// What the catalog builder made for this snapshot; `()` without a builder. Errors: 72000.
    pub fn catalog(&self) -> Result<Arc<dyn Any + Send + Sync>> {
        Ok(self.snapshot.published()?.catalog.clone())
    }

    /// Reads a key. Errors: 72000, 58030.
    pub fn get(&self, tree: TreeId, key: &[u8]) -> Result<Option<Row>> {
        if let Some(reads) = &self.reads {
            reads.note_key(tree, key);
        }
        if let Some(own) = &self.own
            && let Some(found) = own.writes.get(tree, key, self.command)?
        {
            return Ok(found);
        }
        self.snapshot.get(tree, key)
    }

    /// Reads a key of trees that are read together. Errors: 72000, 58030.
    pub fn get_in(&self, trees: &Trees, key: &[u8]) -> Result<Option<Row>> {
        for tree in trees.iter() {
            if let Some(row) = self.get(tree, key)? {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }

    /// Scans a range. Holds no lock between blocks. Errors: 72000, 58030.
    pub fn scan(&self, tree: TreeId, range: KeyRange, direction: Direction) -> Result<Scan> {
        let mut cursors = Vec::new();
        let is_there = self.open(tree, &range, &mut cursors)?;
        let snapshot = is_there.then(|| self.snapshot.clone());
        Ok(Scan::new(snapshot, cursors, &range, direction))
    }

    /// Scans a range of trees that are read together, in the order of keys. Errors: 72000, 58030.
    pub fn scan_in(&self, trees: &Trees, range: KeyRange, direction: Direction) -> Result<Scan> {
        if trees.older.is_empty() {
            return self.scan(trees.newest, range, direction);
        }
        let (mut cursors, mut is_there) = (Vec::new(), false);
        for tree in trees.iter() {
            is_there |= self.open(tree, &range, &mut cursors)?;
        }
        let snapshot = is_there.then(|| self.snapshot.clone());
        Ok(Scan::new(snapshot, cursors, &range, direction))
    }

    /// Opens what a tree consists of; false if there is no such tree in this view.
    fn open(&self, tree: TreeId, range: &KeyRange, cursors: &mut Vec<Cursor>) -> Result<bool> {
        if let Some(reads) = &self.reads {
            reads.note_range(tree, range);
        }
        let published = self.snapshot.published()?;
        let mut hidden = published.dropped.contains(&tree);
        if let Some(own) = &self.own {
            hidden |= own.writes.drops(tree, self.command);
            own.writes.settle_for(tree, own.command)?;
            if !hidden && own.writes.touches(tree) {
                cursors.extend(own_cursors(&own.writes, tree, own.command));
            }
        }
        if hidden {
            return Ok(false);
        }
        let hot = |map: &Arc<HotMap>| {
            let tree = map.tree(tree)?;
            Some(Cursor::Hot(tree, published.seq))
        };
        cursors.extend(hot(&published.tiers.active));
        for frozen in published.tiers.frozen.iter() {
            match &frozen.source {
                FrozenSource::Memory(map) => cursors.extend(hot(map)),
                FrozenSource::Run(run, stamps) => {
                    if run.trees().contains(&tree) {
                        let cursor = RunCursor::new(run.clone(), tree, stamps.clone());
                        cursors.push(Cursor::Run(cursor));
                    }
                }
            }
        }
        let warm = published.tiers.warm.cursor(tree, range)?;
        cursors.extend(warm.map(|cursor| Cursor::Warm(Box::new(cursor))));
        Ok(true)
    }

    /// About how many rows a tree has, without reading it: versions in several tiers count more than
    /// once, this transaction's own writes not at all. Errors: 72000, 58030.
    pub fn row_estimate(&self, tree: TreeId) -> Result<u64> {
        let published = self.snapshot.published()?;
        if published.dropped.contains(&tree) {
            return Ok(0);
        }
        let hot = |map: &HotMap| map.tree(tree).map_or(0, |tree| tree.row_estimate());
        let mut rows = hot(&published.tiers.active);
        for frozen in published.tiers.frozen.iter() {
            rows += match &frozen.source {
                FrozenSource::Memory(map) => hot(map),
                FrozenSource::Run(run, _) => run.row_estimate(tree),
            };
        }
        Ok(rows + published.tiers.warm.row_count(tree)?)
    }

    /// Up to `n - 1` keys, ascending, that cut the range into parts of about the same size:
    /// `[.., k1)`, `[k1, k2)`, … A small range has none. Errors: 72000, 58030.
    pub fn split_points(&self, tree: TreeId, range: &KeyRange, n: usize) -> Result<Vec<Vec<u8>>> {
        let published = self.snapshot.published()?;
        if n < 2 || published.dropped.contains(&tree) {
            return Ok(Vec::new());
        }
        let mut points: Vec<(Key, usize)> = Vec::new();
        let hot = |map: &HotMap| map.tree(tree).map(|tree| tree.split_points(range));
        points.extend(hot(&published.tiers.active).into_iter().flatten());
        for frozen in published.tiers.frozen.iter() {
            match &frozen.source {
                FrozenSource::Memory(map) => points.extend(hot(map).into_iter().flatten()),
                FrozenSource::Run(run, _) => points.extend(run.split_points(tree, range)),
            }
        }
        points.extend(published.tiers.warm.split_points(tree, range, n * 4)?);
        points.sort_unstable();
        let total: usize = points.iter().map(|(_, weight)| weight).sum();
        let mut chosen: Vec<Vec<u8>> = Vec::new();
        let mut seen = 0;
        for (key, weight) in points {
            seen += weight;
            let is_due = seen * n >= total * (chosen.len() + 1);
            let is_new = chosen.last().is_none_or(|last| **last < *key.as_bytes());
            if is_due && is_new && chosen.len() + 1 < n {
                chosen.push(key.to_vec());
            }
        }
        Ok(chosen)
    }
}
