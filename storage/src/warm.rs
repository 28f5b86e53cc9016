//! The warm tier: redb on our own disk, one redb table a tree, written by the flusher alone.
//!
//! ```text
//! table t0000000000000400    key → sequence (8 bytes, little-endian) value
//! table meta                 format, applied (index, seq, time, log state), flush_target
//! table drops                tree id → (): dropped, still to be reclaimed
//! ```
//!
//! Between the first and the last batch of a flush the tables hold a mixture of `applied` and
//! `flush_target`; the mixture is never served (see `flush`). redb refuses everything after one
//! failed write, reads included. So a full disk must not reach it: our backend waits for space in
//! the flusher's thread, tells the store that the disk is full, and reads go on.

use std::fmt;
use std::io;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex, RwLock};
use redb::{
    Database, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable,
    ReadableTableMetadata, StorageBackend, TableDefinition,
};

use crate::codec::Reader;
use crate::commit_log::LogIndex;
use crate::disk::{Disk, File, OpenMode};
use crate::hot::{FillLimits, TreeMap};
use crate::{Block, CommitSeq, Direction, Key, KeyRange, Result, Row, StorageError, TreeId, Value};

const META: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("meta");
const DROPS: TableDefinition<'static, u64, ()> = TableDefinition::new("drops");
const FORMAT: u32 = 1;
const FILE: &str = "warm.redb";
/// Its name until it is whole for the first time.
const UNFINISHED_FILE: &str = "warm.redb.new";
/// How often a write that found the disk full is tried again.
const FULL_DISK_RETRY: Duration = Duration::from_millis(100);

type TreeTable = ReadOnlyTable<&'static [u8], &'static [u8]>;
type TreeRange = redb::Range<'static, &'static [u8], &'static [u8]>;

/// Up to where the warm tier is complete.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AppliedPoint {
    pub(crate) index: LogIndex,
    pub(crate) seq: CommitSeq,
    pub(crate) timestamp_us: i64,
    pub(crate) log_state: Arc<[u8]>,
}

impl AppliedPoint {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(28 + self.log_state.len());
        bytes.extend_from_slice(&self.index.0.to_le_bytes());
        bytes.extend_from_slice(&self.seq.0.to_le_bytes());
        bytes.extend_from_slice(&self.timestamp_us.to_le_bytes());
        bytes.extend_from_slice(&self.log_state);
        let checksum = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes, "the applied point of the warm tier");
        let body_len = bytes.len().saturating_sub(4);
        let (index, seq) = (LogIndex(reader.u64()?), CommitSeq(reader.u64()?));
        let timestamp_us = i64::from_le_bytes(reader.array()?);
        let state_len = reader.remaining().checked_sub(4).ok_or_else(|| reader.corrupted())?;
        let log_state = reader.bytes(state_len)?.into();
        if reader.u32()? != crc32c::crc32c(&bytes[..body_len]) {
            return Err(reader.corrupted());
        }
        Ok(Self { index, seq, timestamp_us, log_state })
    }
}

fn table_name(tree: TreeId) -> String {
    format!("t{:016x}", tree.0)
}

fn redb_error(error: impl Into<redb::Error>) -> StorageError {
    match error.into() {
        redb::Error::Io(error) => StorageError::Io(error),
        redb::Error::Corrupted(what) => StorageError::Corrupted(what),
        other => StorageError::Io(io::Error::other(other.to_string())),
    }
}

/// Whether the disk is full, and who waits for space.
#[derive(Debug, Default)]
pub(crate) struct FullDisk {
    full: AtomicBool,
    stopping: AtomicBool,
    wake: Condvar,
    waiting: Mutex<()>,
}

impl FullDisk {
    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// Lets whoever waits for space give up.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        let _waiting = self.waiting.lock();
        self.wake.notify_all();
    }

    /// Does it again until it does not fail for want of space.
    fn insist(&self, mut act: impl FnMut() -> io::Result<()>) -> io::Result<()> {
        loop {
            let result = act();
            let is_full =
                matches!(&result, Err(error) if error.kind() == io::ErrorKind::StorageFull);
            if !is_full {
                self.full.store(false, Ordering::Relaxed);
                return result;
            }
            if !self.full.swap(true, Ordering::Relaxed) {
                tracing::error!("the disk is full: writes fail until there is space");
            }
            let mut waiting = self.waiting.lock();
            if self.stopping.load(Ordering::SeqCst) {
                return result;
            }
            self.wake.wait_for(&mut waiting, FULL_DISK_RETRY);
        }
    }
}

#[derive(Debug)]
struct Backend {
    file: Arc<dyn File>,
    full: Arc<FullDisk>,
    /// Held for what its drop gives back. redb closes its file, with writes, when the last snapshot
    /// has gone: until then nobody else may open the directory.
    _disk: Arc<dyn Disk>,
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_at(out, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.full.insist(|| self.file.set_len(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.full.insist(|| self.file.write_at(data, offset))
    }
}

/// The warm tier.
pub(crate) struct Warm {
    db: Database,
    file: Arc<dyn File>,
    full: Arc<FullDisk>,
}

impl fmt::Debug for Warm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Warm").finish_non_exhaustive()
    }
}

/// What the warm tier says of itself when it is opened.
#[derive(Debug)]
pub(crate) struct WarmState {
    pub(crate) applied: AppliedPoint,
    /// No snapshot is served before this entry is applied.
    pub(crate) flush_target: LogIndex,
    /// Trees that are dropped and not reclaimed.
    pub(crate) drops: Vec<TreeId>,
}

impl Warm {
    /// Opens the file, or makes it under another name first: redb does not open a file whose making
    /// was cut short, so the right name is given to a whole one only.
    pub(crate) fn open(
        disk: &Arc<dyn Disk>,
        dir: &Path,
        cache_bytes: u64,
    ) -> Result<(Self, WarmState)> {
        let (path, unfinished) = (dir.join(FILE), dir.join(UNFINISHED_FILE));
        let (file, is_new) = match disk.open(&path, OpenMode::Existing) {
            Ok(file) => (file, false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let file = disk.open(&unfinished, OpenMode::OpenOrCreate)?;
                file.set_len(0)?;
                (file, true)
            }
            Err(error) => return Err(error.into()),
        };
        let full = Arc::new(FullDisk::default());
        let backend = Backend { file: file.clone(), full: full.clone(), _disk: disk.clone() };
        let db = Database::builder()
            .set_cache_size(usize::try_from(cache_bytes).unwrap_or(usize::MAX))
            .create_with_backend(backend)
            .map_err(redb_error)?;
        let warm = Self { db, file, full };
        let mut txn = warm.begin_write()?;
        let state = txn.read_state()?;
        txn.commit()?;
        if is_new {
            warm.file.sync_data()?;
            disk.rename(&unfinished, &path)?;
            disk.sync_dir(dir)?;
        }
        Ok((warm, state))
    }

    pub(crate) fn full_disk(&self) -> &Arc<FullDisk> {
        &self.full
    }

    pub(crate) fn file_bytes(&self) -> u64 {
        self.file.len().unwrap_or(0)
    }

    /// The state now, shared by every snapshot until the next flush ends.
    pub(crate) fn snapshot(&self, flushed_bytes: u64) -> Result<WarmSnapshot> {
        Ok(WarmSnapshot {
            txn: self.db.begin_read().map_err(redb_error)?,
            tables: RwLock::default(),
            flushed_bytes,
        })
    }

    /// A batch of a flush.
    pub(crate) fn begin_write(&self) -> Result<WarmBatch> {
        let mut txn = self.db.begin_write().map_err(redb_error)?;
        txn.set_quick_repair(true);
        Ok(WarmBatch { txn })
    }
}

/// One durable batch.
pub(crate) struct WarmBatch {
    txn: redb::WriteTransaction,
}

impl WarmBatch {
    /// Writes rows of one tree, ascending by key; without a value a row is removed.
    pub(crate) fn write_tree<'a>(
        &mut self,
        tree: TreeId,
        rows: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>, CommitSeq)>,
    ) -> Result<()> {
        let name = table_name(tree);
        let definition = TableDefinition::<&[u8], &[u8]>::new(&name);
        let mut table = self.txn.open_table(definition).map_err(redb_error)?;
        let mut stored = Vec::new();
        for (key, value, seq) in rows {
            match value {
                Some(value) => {
                    stored.clear();
                    stored.extend_from_slice(&seq.0.to_le_bytes());
                    stored.extend_from_slice(value);
                    table.insert(key, stored.as_slice()).map_err(redb_error)?;
                }
                None => {
                    table.remove(key).map_err(redb_error)?;
                }
            }
        }
        Ok(())
    }

    pub(crate) fn note_flush_target(&mut self, target: LogIndex) -> Result<()> {
        let mut meta = self.txn.open_table(META).map_err(redb_error)?;
        meta.insert("flush_target", target.0.to_le_bytes().as_slice()).map_err(redb_error)?;
        Ok(())
    }

    pub(crate) fn note_applied(&mut self, applied: &AppliedPoint) -> Result<()> {
        let mut meta = self.txn.open_table(META).map_err(redb_error)?;
        meta.insert("applied", applied.encode().as_slice()).map_err(redb_error)?;
        Ok(())
    }

    /// Notes trees to be reclaimed.
    pub(crate) fn note_drops(&mut self, trees: &[TreeId]) -> Result<()> {
        let mut drops = self.txn.open_table(DROPS).map_err(redb_error)?;
        for tree in trees {
            drops.insert(tree.0, ()).map_err(redb_error)?;
        }
        Ok(())
    }

    /// Frees the pages of a dropped tree.
    pub(crate) fn reclaim(&mut self, tree: TreeId) -> Result<()> {
        let name = table_name(tree);
        self.txn.delete_table(TableDefinition::<&[u8], &[u8]>::new(&name)).map_err(redb_error)?;
        let mut drops = self.txn.open_table(DROPS).map_err(redb_error)?;
        drops.remove(tree.0).map_err(redb_error)?;
        Ok(())
    }

    /// Reads the state, and writes the one of a new store where there is none.
    fn read_state(&mut self) -> Result<WarmState> {
        let mut meta = self.txn.open_table(META).map_err(redb_error)?;
        let format = match meta.get("format").map_err(redb_error)? {
            Some(format) => Some(Reader::new(format.value(), "the format of the warm tier").u32()?),
            None => None,
        };
        match format {
            Some(FORMAT) => {}
            None => {
                meta.insert("format", FORMAT.to_le_bytes().as_slice()).map_err(redb_error)?;
            }
            Some(other) => {
                return Err(StorageError::Corrupted(format!(
                    "the warm tier has format {other}; this server knows format {FORMAT}"
                )));
            }
        }
        let applied = match meta.get("applied").map_err(redb_error)? {
            Some(applied) => AppliedPoint::decode(applied.value())?,
            None => AppliedPoint::default(),
        };
        let flush_target = match meta.get("flush_target").map_err(redb_error)? {
            Some(target) => LogIndex(Reader::new(target.value(), "the flush target").u64()?),
            None => LogIndex(0),
        };
        let drops = self.txn.open_table(DROPS).map_err(redb_error)?;
        let mut trees = Vec::new();
        for entry in drops.iter().map_err(redb_error)? {
            trees.push(TreeId(entry.map_err(redb_error)?.0.value()));
        }
        Ok(WarmState { applied, flush_target, drops: trees })
    }

    pub(crate) fn commit(self) -> Result<()> {
        self.txn.commit().map_err(redb_error)
    }
}

/// The warm tier as of one flush: one shared read transaction with its opened tables.
pub(crate) struct WarmSnapshot {
    txn: ReadTransaction,
    tables: RwLock<TreeMap<Option<Arc<TreeTable>>>>,
    /// How much had been flushed in all when it was taken: what it pins grows from here.
    pub(crate) flushed_bytes: u64,
}

impl fmt::Debug for WarmSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WarmSnapshot").finish_non_exhaustive()
    }
}

fn split_stored(stored: &[u8]) -> Result<(CommitSeq, &[u8])> {
    let mut reader = Reader::new(stored, "a row of the warm tier");
    let seq = CommitSeq(reader.u64()?);
    let len = reader.remaining();
    Ok((seq, reader.bytes(len)?))
}

impl WarmSnapshot {
    fn table(&self, tree: TreeId) -> Result<Option<Arc<TreeTable>>> {
        if let Some(table) = self.tables.read().get(&tree) {
            return Ok(table.clone());
        }
        let name = table_name(tree);
        let definition = TableDefinition::<&[u8], &[u8]>::new(&name);
        let table = match self.txn.open_table(definition) {
            Ok(table) => Some(Arc::new(table)),
            Err(redb::TableError::TableDoesNotExist(_)) => None,
            Err(error) => return Err(redb_error(error)),
        };
        self.tables.write().insert(tree, table.clone());
        Ok(table)
    }

    /// How many rows of a tree are here.
    pub(crate) fn row_count(&self, tree: TreeId) -> Result<u64> {
        match self.table(tree)? {
            Some(table) => table.len().map_err(redb_error),
            None => Ok(0),
        }
    }

    pub(crate) fn get(&self, tree: TreeId, key: &[u8]) -> Result<Option<Row>> {
        let Some(table) = self.table(tree)? else {
            return Ok(None);
        };
        let Some(stored) = ReadOnlyTable::get(&table, key).map_err(redb_error)? else {
            return Ok(None);
        };
        let (seq, value) = split_stored(stored.value())?;
        Ok(Some(Row { seq, value: Value::new(value) }))
    }

    /// A cursor over a range; `None` where the tree has no rows here.
    pub(crate) fn cursor(&self, tree: TreeId, range: &KeyRange) -> Result<Option<WarmCursor>> {
        if range.is_empty() {
            return Ok(None);
        }
        let Some(table) = self.table(tree)? else {
            return Ok(None);
        };
        let range = table_range(&table, range.as_bounds())?;
        Ok(Some(WarmCursor { range }))
    }

    /// Keys that cut a range into about `n` parts if keys are spread evenly between its first
    /// and its last, and how many rows a part then has.
    pub(crate) fn split_points(
        &self,
        tree: TreeId,
        range: &KeyRange,
        n: usize,
    ) -> Result<Vec<(Key, usize)>> {
        let Some(table) = self.table(tree)? else {
            return Ok(Vec::new());
        };
        if range.is_empty() || n < 2 {
            return Ok(Vec::new());
        }
        let mut ends = table_range(&table, range.as_bounds())?;
        let (Some(first), Some(last)) = (ends.next(), ends.next_back()) else {
            return Ok(Vec::new());
        };
        let (first, last) = (first.map_err(redb_error)?.0, last.map_err(redb_error)?.0);
        let (first, last) = (first.value(), last.value());
        let shared = first.iter().zip(last).take_while(|(a, b)| a == b).count();
        let number = |key: &[u8]| {
            let mut bytes = [0; 8];
            for (to, from) in bytes.iter_mut().zip(&key[shared.min(key.len())..]) {
                *to = *from;
            }
            u128::from(u64::from_be_bytes(bytes))
        };
        let (low, high) = (number(first), number(last));
        let rows = table.len().map_err(redb_error)? as usize / n;
        let mut points: Vec<(Key, usize)> = Vec::new();
        for part in 1..n as u128 {
            let at = low + high.saturating_sub(low) * part / n as u128;
            let mut probe = first[..shared].to_vec();
            probe.extend_from_slice(&(at as u64).to_be_bytes());
            let bounds = (Bound::Included(probe.as_slice()), Bound::Included(last));
            if let Some(found) = table_range(&table, bounds)?.next() {
                let key = Key::new(found.map_err(redb_error)?.0.value());
                if key.as_bytes() > first && points.last().is_none_or(|(last, _)| *last < key) {
                    points.push((key, rows));
                }
            }
        }
        Ok(points)
    }
}

fn table_range(table: &TreeTable, bounds: (Bound<&[u8]>, Bound<&[u8]>)) -> Result<TreeRange> {
    TreeTable::range::<&[u8]>(table, bounds).map_err(redb_error)
}

/// A range of one tree being read. It holds pages, and no lock.
pub(crate) struct WarmCursor {
    range: TreeRange,
}

impl fmt::Debug for WarmCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WarmCursor").finish_non_exhaustive()
    }
}

impl WarmCursor {
    /// Adds rows to the block until a limit is reached; false at the end.
    pub(crate) fn fill(
        &mut self,
        block: &mut Block,
        direction: Direction,
        limits: FillLimits,
    ) -> Result<bool> {
        while !limits.reached(block) {
            let next = match direction {
                Direction::Forward => self.range.next(),
                Direction::Backward => self.range.next_back(),
            };
            let Some(entry) = next else {
                return Ok(false);
            };
            let (key, stored) = entry.map_err(redb_error)?;
            let (seq, value) = split_stored(stored.value())?;
            block.push(key.value(), Some(value), seq);
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_applied_point_comes_back_and_any_damage_is_an_error(
            index in any::<u64>(),
            seq in any::<u64>(),
            timestamp_us in any::<i64>(),
            log_state in prop::collection::vec(any::<u8>(), 0..100),
            at in any::<prop::sample::Index>(),
            bit in 0..8_u8,
        ) {
            let point = AppliedPoint {
                index: LogIndex(index),
                seq: CommitSeq(seq),
                timestamp_us,
                log_state: log_state.into(),
            };
            let mut bytes = point.encode();
            prop_assert_eq!(AppliedPoint::decode(&bytes).unwrap(), point);
            let cut = at.index(bytes.len());
            prop_assert!(AppliedPoint::decode(&bytes[..cut]).is_err());
            bytes[cut] ^= 1 << bit;
            prop_assert!(AppliedPoint::decode(&bytes).is_err());
        }

        #[test]
        fn any_bytes_are_refused_or_read_without_a_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..80),
        ) {
            let _ = AppliedPoint::decode(&bytes);
            let _ = split_stored(&bytes);
            let _ = crate::apply::decode_counter(&bytes);
        }
    }
}
