//! Run files: sorted, checksummed, written once, named by the hash of their content.
//!
//! ```text
//! "AEGRUN" version ─ block ─ block ─ … ─ index ─ trailer
//!                    rows + CRC-32C       │        where the index is, rows, CRC-32C, magic
//!                                         a nonce; first key, place and filter of each block;
//!                                         the trees; the last key
//! row: tree, stamp, key length, value length + 1 (0: tombstone), key, value
//! ```
//!
//! Four things are runs. A *spill* holds a part of an open transaction's write set: its stamps are
//! command ids and a key may come several times, newest command first (never across two blocks).
//! A *load* holds new rows of one command of an open transaction, a row a key, and is durable before
//! the transaction commits. A *large commit* holds a whole write set, a row a key. The commit record
//! names large commits and loads, and their rows have that commit's sequence. A *frozen run* holds what a frozen map held: its stamps are
//! sequences. Blocks are about 32 KiB; integers are little-endian, lengths are varints. A block's
//! filter tells most keys that the block does not hold, without reading it: a transaction that has
//! spilled many times looks into each of its spills for every unique key that it writes.

use std::collections::BTreeSet;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use parking_lot::Mutex;

use crate::codec::{Reader, put_varint};
use crate::disk::{Disk, File, OpenMode};
use crate::hot::{FillLimits, Rest};
use crate::range::{above_lower, below_upper};
use crate::{Block, CommitSeq, Direction, KeyRange, Result, Row, StorageError, TreeId, Value};

mod filter;

pub(crate) use filter::hash;

const HEAD: &[u8; 8] = b"AEGRUN\x03\x00";
/// No two runs have the same bytes, not even with the same rows: whoever lets one go removes its
/// file, whose name follows from its bytes.
const NONCE_BYTES: usize = 16;
const TRAILER_MAGIC: u32 = 0x4E55_5247;
const TRAILER_BYTES: u64 = 32;
const BLOCK_BYTES: usize = 32 << 10;

/// The folder of run files inside the data folder.
pub(crate) const RUNS_DIR: &str = "runs";

/// The name of a run: the BLAKE3 hash of its bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunHash(pub [u8; 32]);

impl fmt::Display for RunHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for RunHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RunHash({self})")
    }
}

impl RunHash {
    /// The file of a run, inside the folder of runs.
    pub(crate) fn file_name(&self) -> String {
        format!("{self}.run")
    }

    /// Reads a file name back.
    pub(crate) fn from_file_name(name: &str) -> Option<Self> {
        let hex = name.strip_suffix(".run")?;
        if hex.len() != 64 || !hex.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        let mut hash = [0; 32];
        for (at, byte) in hash.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).ok()?;
        }
        Some(Self(hash))
    }
}

/// What a stamp means to whoever reads the run.
#[derive(Clone, Debug)]
pub(crate) enum Stamps {
    /// It is the sequence of the row, visible to whoever holds the run.
    Sequences,
    /// Every row has this sequence.
    Commit(CommitSeq),
    /// It is a command id: rows below `below` and outside of the dead ranges are seen.
    Commands { below: u32, dead: Arc<Vec<(u32, u32)>> },
}

impl Stamps {
    fn visible(&self, stamp: u64) -> Option<CommitSeq> {
        match self {
            Self::Sequences => Some(CommitSeq(stamp)),
            Self::Commit(seq) => Some(*seq),
            Self::Commands { below, dead } => {
                let is_seen = stamp < u64::from(*below)
                    && !dead
                        .iter()
                        .any(|(from, to)| (u64::from(*from)..u64::from(*to)).contains(&stamp));
                is_seen.then_some(CommitSeq::UNCOMMITTED)
            }
        }
    }
}

#[derive(Debug)]
struct IndexEntry {
    offset: u64,
    len: u32,
    tree: TreeId,
    key: Box<[u8]>,
    filter: filter::Filter,
}

/// Writes a run. Rows come sorted by tree and key; the file has a temporary name until
/// [`RunWriter::publish`].
#[derive(Debug)]
pub(crate) struct RunWriter {
    disk: Arc<dyn Disk>,
    file: Arc<dyn File>,
    path: PathBuf,
    dir: PathBuf,
    offset: u64,
    hasher: blake3::Hasher,
    block: Vec<u8>,
    index: Vec<IndexEntry>,
    trees: BTreeSet<TreeId>,
    last: (TreeId, Vec<u8>),
    /// Of the keys of the block at hand.
    hashes: Vec<u32>,
    rows: u64,
    finished: bool,
}

static NEXT_TEMPORARY: AtomicU64 = AtomicU64::new(0);
static NEXT_NONCE: AtomicU64 = AtomicU64::new(0);
static PROCESS: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(std::process::id()));

impl RunWriter {
    /// Begins a run in `dir`.
    pub(crate) fn create(disk: Arc<dyn Disk>, dir: &Path) -> Result<Self> {
        let number = NEXT_TEMPORARY.fetch_add(1, Ordering::Relaxed);
        let path = dir.join(format!("{number:016x}.tmp"));
        let file = disk.open(&path, OpenMode::OpenOrCreate)?;
        file.set_len(0)?;
        file.write_at(HEAD, 0)?;
        let mut hasher = blake3::Hasher::new();
        hasher.update(HEAD);
        Ok(Self {
            disk,
            file,
            path,
            dir: dir.to_path_buf(),
            offset: HEAD.len() as u64,
            hasher,
            block: Vec::with_capacity(BLOCK_BYTES * 2),
            index: Vec::new(),
            trees: BTreeSet::new(),
            last: (TreeId(0), Vec::new()),
            hashes: Vec::new(),
            rows: 0,
            finished: false,
        })
    }

    /// Adds a row.
    pub(crate) fn push(
        &mut self,
        tree: TreeId,
        key: &[u8],
        value: Option<&[u8]>,
        stamp: u64,
    ) -> Result<()> {
        let same_key = self.rows > 0 && self.last.0 == tree && self.last.1 == key;
        debug_assert!(
            self.rows == 0 || (self.last.0, self.last.1.as_slice()) <= (tree, key),
            "rows of a run come in order"
        );
        if !same_key {
            if self.block.len() >= BLOCK_BYTES {
                self.close_block()?;
            }
            self.trees.insert(tree);
            self.last.0 = tree;
            self.last.1.clear();
            self.last.1.extend_from_slice(key);
            self.hashes.push(filter::hash(tree, key));
        }
        if self.block.is_empty() {
            let filter = filter::Filter::default();
            self.index.push(IndexEntry {
                offset: self.offset,
                len: 0,
                tree,
                key: key.into(),
                filter,
            });
        }
        put_varint(&mut self.block, tree.0);
        put_varint(&mut self.block, stamp);
        put_varint(&mut self.block, key.len() as u64);
        put_varint(&mut self.block, value.map_or(0, |value| value.len() as u64 + 1));
        self.block.extend_from_slice(key);
        self.block.extend_from_slice(value.unwrap_or_default());
        self.rows += 1;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_at(bytes, self.offset)?;
        self.hasher.update(bytes);
        self.offset += bytes.len() as u64;
        Ok(())
    }

    fn close_block(&mut self) -> Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let mut block = std::mem::take(&mut self.block);
        let checksum = crc32c::crc32c(&block);
        block.extend_from_slice(&checksum.to_le_bytes());
        let len = u32::try_from(block.len())
            .map_err(|_| StorageError::LimitExceeded("a row of a run is too large".into()))?;
        self.write(&block)?;
        let entry = self.index.last_mut().expect("the first row of a block made its index entry");
        entry.len = len;
        entry.filter = filter::Filter::new(&self.hashes);
        self.hashes.clear();
        block.clear();
        self.block = block;
        Ok(())
    }

    /// Writes index and trailer. The run can be read, and is neither durable nor named.
    fn close(&mut self) -> Result<()> {
        self.close_block()?;
        let mut index = Vec::new();
        index.extend_from_slice(&PROCESS.to_le_bytes());
        index.extend_from_slice(&NEXT_NONCE.fetch_add(1, Ordering::Relaxed).to_le_bytes());
        put_varint(&mut index, self.index.len() as u64);
        for entry in &self.index {
            put_varint(&mut index, entry.offset);
            put_varint(&mut index, u64::from(entry.len));
            put_varint(&mut index, entry.tree.0);
            put_varint(&mut index, entry.key.len() as u64);
            index.extend_from_slice(&entry.key);
            put_varint(&mut index, entry.filter.as_bytes().len() as u64);
            index.extend_from_slice(entry.filter.as_bytes());
        }
        put_varint(&mut index, self.trees.len() as u64);
        for tree in &self.trees {
            put_varint(&mut index, tree.0);
        }
        put_varint(&mut index, self.last.0.0);
        put_varint(&mut index, self.last.1.len() as u64);
        index.extend_from_slice(&self.last.1);
        let index_offset = self.offset;
        let mut trailer = Vec::with_capacity(TRAILER_BYTES as usize);
        trailer.extend_from_slice(&index_offset.to_le_bytes());
        trailer.extend_from_slice(&(index.len() as u64).to_le_bytes());
        trailer.extend_from_slice(&self.rows.to_le_bytes());
        trailer.extend_from_slice(&crc32c::crc32c(&index).to_le_bytes());
        trailer.extend_from_slice(&TRAILER_MAGIC.to_le_bytes());
        self.write(&index)?;
        self.write(&trailer)
    }

    fn into_run(mut self, path: PathBuf, hash: Option<RunHash>) -> Run {
        self.finished = true;
        Run {
            disk: self.disk.clone(),
            file: self.file.clone(),
            path,
            hash,
            index: std::mem::take(&mut self.index),
            trees: std::mem::take(&mut self.trees),
            last: (self.last.0, std::mem::take(&mut self.last.1).into()),
            rows: self.rows,
            bytes: self.offset,
            cached: Mutex::new(None),
            remove_on_drop: AtomicBool::new(hash.is_none()),
        }
    }

    /// Ends a spill: readable here, removed when the last reader lets it go.
    pub(crate) fn into_spill(mut self) -> Result<Run> {
        self.close()?;
        let path = self.path.clone();
        Ok(self.into_run(path, None))
    }

    /// Makes the run durable under the name that its hash gives.
    pub(crate) fn publish(mut self) -> Result<Run> {
        self.close()?;
        self.file.sync_data()?;
        let hash = RunHash(*self.hasher.finalize().as_bytes());
        let path = self.dir.join(hash.file_name());
        self.disk.rename(&self.path, &path)?;
        self.disk.sync_dir(&self.dir)?;
        Ok(self.into_run(path, Some(hash)))
    }
}

impl Drop for RunWriter {
    fn drop(&mut self) {
        if !self.finished {
            // A leftover is removed at the next start.
            let _ = self.disk.remove(&self.path);
        }
    }
}

/// A run that can be read.
#[derive(Debug)]
pub(crate) struct Run {
    disk: Arc<dyn Disk>,
    file: Arc<dyn File>,
    path: PathBuf,
    hash: Option<RunHash>,
    index: Vec<IndexEntry>,
    trees: BTreeSet<TreeId>,
    last: (TreeId, Box<[u8]>),
    rows: u64,
    bytes: u64,
    /// The block that a point read touched last.
    cached: Mutex<Option<(usize, Arc<RunBlock>)>>,
    remove_on_drop: AtomicBool,
}

impl Drop for Run {
    fn drop(&mut self) {
        if *self.remove_on_drop.get_mut() {
            // A leftover is removed at the next start.
            let _ = self.disk.remove(&self.path);
        }
    }
}

/// A decoded block.
#[derive(Debug)]
pub(crate) struct RunBlock {
    bytes: Vec<u8>,
    rows: Vec<RunRow>,
}

#[derive(Debug)]
struct RunRow {
    tree: TreeId,
    stamp: u64,
    start: usize,
    key_len: usize,
    value_len: Option<usize>,
}

impl RunBlock {
    fn key(&self, at: usize) -> &[u8] {
        let row = &self.rows[at];
        &self.bytes[row.start..row.start + row.key_len]
    }

    fn value(&self, at: usize) -> Option<&[u8]> {
        let row = &self.rows[at];
        let start = row.start + row.key_len;
        row.value_len.map(|len| &self.bytes[start..start + len])
    }

    /// Every row: tree, key, value, stamp.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (TreeId, &[u8], Option<&[u8]>, u64)> {
        (0..self.rows.len()).map(|at| {
            let row = &self.rows[at];
            (row.tree, self.key(at), self.value(at), row.stamp)
        })
    }

    fn decode(bytes: Vec<u8>) -> Result<Self> {
        let mut rows = Vec::new();
        let mut reader = Reader::new(&bytes, "a block of a run file");
        while !reader.is_empty() {
            let tree = TreeId(reader.varint()?);
            let stamp = reader.varint()?;
            let key_len = reader.length()?;
            let value_len = reader.varint()?.checked_sub(1);
            let start = bytes.len() - reader.remaining();
            reader.bytes(key_len)?;
            let value_len = match value_len {
                Some(len) => {
                    let len = usize::try_from(len).map_err(|_| reader.corrupted())?;
                    reader.bytes(len)?;
                    Some(len)
                }
                None => None,
            };
            rows.push(RunRow { tree, stamp, start, key_len, value_len });
        }
        Ok(Self { bytes, rows })
    }
}

impl Run {
    /// Opens a published run, and checks its index.
    pub(crate) fn open(disk: Arc<dyn Disk>, dir: &Path, hash: RunHash) -> Result<Self> {
        let path = dir.join(hash.file_name());
        let file = disk.open(&path, OpenMode::Existing)?;
        let malformed = || StorageError::Corrupted(format!("run file {hash} is malformed"));
        let bytes = file.len()?;
        let mut head = [0; 8];
        let mut trailer = [0; TRAILER_BYTES as usize];
        if bytes < HEAD.len() as u64 + TRAILER_BYTES {
            return Err(malformed());
        }
        file.read_at(&mut head, 0)?;
        file.read_at(&mut trailer, bytes - TRAILER_BYTES)?;
        let mut reader = Reader::new(&trailer, "the trailer of a run file");
        let (offset, len, rows) = (reader.u64()?, reader.u64()?, reader.u64()?);
        let (checksum, magic) = (reader.u32()?, reader.u32()?);
        let index_end = offset.checked_add(len).ok_or_else(malformed)?;
        if head != *HEAD || magic != TRAILER_MAGIC || index_end != bytes - TRAILER_BYTES {
            return Err(malformed());
        }
        let mut index_bytes = vec![0; len as usize];
        file.read_at(&mut index_bytes, offset)?;
        if crc32c::crc32c(&index_bytes) != checksum {
            return Err(malformed());
        }
        let RunIndex { index, trees, last } = decode_index(&index_bytes, offset)?;
        Ok(Self {
            disk,
            file,
            path,
            hash: Some(hash),
            index,
            trees,
            last,
            rows,
            bytes,
            cached: Mutex::new(None),
            remove_on_drop: AtomicBool::new(false),
        })
    }

    /// Its name; a spill has none.
    pub(crate) fn hash(&self) -> Option<RunHash> {
        self.hash
    }

    /// How many rows it has.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// How large its file is.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The trees that it has rows of.
    pub(crate) fn trees(&self) -> &BTreeSet<TreeId> {
        &self.trees
    }

    /// The file goes when the last reader lets it go.
    pub(crate) fn remove_when_unused(&self) {
        self.remove_on_drop.store(true, Ordering::Relaxed);
    }

    /// The file stays whatever happens to readers.
    pub(crate) fn keep(&self) {
        self.remove_on_drop.store(false, Ordering::Relaxed);
    }

    /// How many blocks it has.
    pub(crate) fn blocks(&self) -> usize {
        self.index.len()
    }

    /// Reads a block and checks it.
    pub(crate) fn block(&self, at: usize) -> Result<Arc<RunBlock>> {
        let entry = &self.index[at];
        let mut bytes = vec![0; entry.len as usize];
        self.file.read_at(&mut bytes, entry.offset)?;
        let checksum = bytes.split_off(bytes.len().saturating_sub(4));
        if checksum != crc32c::crc32c(&bytes).to_le_bytes() {
            return Err(StorageError::Corrupted(format!(
                "checksum mismatch in run file {} at offset {}",
                self.path.display(),
                entry.offset
            )));
        }
        Ok(Arc::new(RunBlock::decode(bytes)?))
    }

    /// The last block that begins at or before a key; 0 if all begin behind it.
    fn block_holding(&self, tree: TreeId, key: &[u8]) -> usize {
        self.index
            .partition_point(|entry| (entry.tree, &*entry.key) <= (tree, key))
            .saturating_sub(1)
    }

    /// What a reader sees of a key: `None` if this run does not know; else the row or a tombstone.
    pub(crate) fn get(
        &self,
        tree: TreeId,
        key: &[u8],
        stamps: &Stamps,
    ) -> Result<Option<Option<Row>>> {
        if (tree, key) > (self.last.0, &*self.last.1) || !self.trees.contains(&tree) {
            return Ok(None);
        }
        let at = self.block_holding(tree, key);
        if !self.index[at].filter.may_hold(filter::hash(tree, key)) {
            return Ok(None);
        }
        let cached = self.cached.lock().clone();
        let block = match cached {
            Some((cached_at, block)) if cached_at == at => block,
            _ => {
                let block = self.block(at)?;
                *self.cached.lock() = Some((at, block.clone()));
                block
            }
        };
        let mut row_at = block.rows.partition_point_by(&block, tree, key);
        while row_at < block.rows.len()
            && block.rows[row_at].tree == tree
            && block.key(row_at) == key
        {
            if let Some(seq) = stamps.visible(block.rows[row_at].stamp) {
                return Ok(Some(
                    block.value(row_at).map(|value| Row { seq, value: Value::new(value) }),
                ));
            }
            row_at += 1;
        }
        Ok(None)
    }

    /// About how many of its rows are of a tree.
    pub(crate) fn row_estimate(&self, tree: TreeId) -> u64 {
        let per_block = (self.rows as usize / self.index.len().max(1)).max(1);
        let blocks = self.index.iter().filter(|entry| entry.tree == tree).count();
        (blocks * per_block) as u64
    }

    /// Keys at which blocks of the tree begin, and how many rows a block has on average.
    pub(crate) fn split_points(&self, tree: TreeId, range: &KeyRange) -> Vec<(crate::Key, usize)> {
        let per_block = (self.rows as usize / self.index.len().max(1)).max(1);
        self.index
            .iter()
            .filter(|entry| entry.tree == tree && range.contains(&entry.key))
            .map(|entry| (crate::Key::new(&entry.key), per_block))
            .collect()
    }
}

/// Binary search over rows whose keys lie in a block's buffer.
trait RowSearch {
    fn partition_point_by(&self, block: &RunBlock, tree: TreeId, key: &[u8]) -> usize;
}

impl RowSearch for Vec<RunRow> {
    /// The first row at or behind a key.
    fn partition_point_by(&self, block: &RunBlock, tree: TreeId, key: &[u8]) -> usize {
        self.partition_point(|row| {
            let row_key = &block.bytes[row.start..row.start + row.key_len];
            (row.tree, row_key) < (tree, key)
        })
    }
}

/// What the end of a run file tells of the rest.
struct RunIndex {
    index: Vec<IndexEntry>,
    trees: BTreeSet<TreeId>,
    last: (TreeId, Box<[u8]>),
}

fn decode_index(bytes: &[u8], end: u64) -> Result<RunIndex> {
    let mut reader = Reader::new(bytes, "the index of a run file");
    reader.bytes(NONCE_BYTES)?;
    let mut index = Vec::new();
    for _ in 0..reader.length()? {
        let offset = reader.varint()?;
        let len = u32::try_from(reader.varint()?).map_err(|_| reader.corrupted())?;
        let tree = TreeId(reader.varint()?);
        let key_len = reader.length()?;
        let key = reader.bytes(key_len)?.into();
        let filter_len = reader.length()?;
        let filter = filter::Filter::from_bytes(reader.bytes(filter_len)?);
        let in_file = offset.checked_add(u64::from(len)).is_some_and(|block_end| block_end <= end);
        if len < 4 || !in_file {
            return Err(reader.corrupted());
        }
        index.push(IndexEntry { offset, len, tree, key, filter });
    }
    let mut trees = BTreeSet::new();
    for _ in 0..reader.length()? {
        trees.insert(TreeId(reader.varint()?));
    }
    let last_tree = TreeId(reader.varint()?);
    let last_len = reader.length()?;
    let last = (last_tree, reader.bytes(last_len)?.into());
    Ok(RunIndex { index, trees, last })
}

/// Reads a range of one tree of a run.
#[derive(Debug)]
pub(crate) struct RunCursor {
    run: Arc<Run>,
    tree: TreeId,
    stamps: Stamps,
    current: Option<(usize, Arc<RunBlock>)>,
}

impl RunCursor {
    pub(crate) fn new(run: Arc<Run>, tree: TreeId, stamps: Stamps) -> Self {
        Self { run, tree, stamps, current: None }
    }

    fn load(&mut self, at: usize) -> Result<Arc<RunBlock>> {
        if let Some((current, block)) = &self.current
            && *current == at
        {
            return Ok(block.clone());
        }
        let block = self.run.block(at)?;
        self.current = Some((at, block.clone()));
        Ok(block)
    }

    /// Adds rows of `range` to `out`, as a hot tree does.
    pub(crate) fn fill(
        &mut self,
        out: &mut Block,
        range: &KeyRange,
        direction: Direction,
        limits: FillLimits,
    ) -> Result<Rest> {
        if range.is_empty() || !self.run.trees.contains(&self.tree) {
            return Ok(Rest::End);
        }
        match direction {
            Direction::Forward => self.fill_forward(out, range, limits),
            Direction::Backward => self.fill_backward(out, range, limits),
        }
    }

    fn fill_forward(
        &mut self,
        out: &mut Block,
        range: &KeyRange,
        limits: FillLimits,
    ) -> Result<Rest> {
        let (lower, upper) = range.as_bounds();
        let from = match lower {
            Bound::Unbounded => &[],
            Bound::Included(key) | Bound::Excluded(key) => key,
        };
        for at in self.run.block_holding(self.tree, from)..self.run.blocks() {
            let block = self.load(at)?;
            let mut row_at = block.rows.partition_point_by(&block, self.tree, from);
            while row_at < block.rows.len() {
                let key = block.key(row_at);
                if block.rows[row_at].tree != self.tree || !below_upper(key, upper) {
                    return Ok(Rest::End);
                }
                let group_end = self.group_end(&block, row_at);
                if above_lower(key, lower) {
                    self.push_visible(&block, row_at, group_end, out);
                    if limits.reached(out) {
                        return Ok(Rest::Range(range.after(key, Direction::Forward)));
                    }
                }
                row_at = group_end;
            }
        }
        Ok(Rest::End)
    }

    fn fill_backward(
        &mut self,
        out: &mut Block,
        range: &KeyRange,
        limits: FillLimits,
    ) -> Result<Rest> {
        let (lower, upper) = range.as_bounds();
        let last_block = match upper {
            Bound::Unbounded => {
                self.run.index.partition_point(|entry| entry.tree <= self.tree).saturating_sub(1)
            }
            Bound::Included(key) | Bound::Excluded(key) => self.run.block_holding(self.tree, key),
        };
        for at in (0..=last_block).rev() {
            let block = self.load(at)?;
            let mut end = match upper {
                Bound::Unbounded => block.rows.partition_point(|row| row.tree <= self.tree),
                Bound::Included(key) | Bound::Excluded(key) => {
                    let first = block.rows.partition_point_by(&block, self.tree, key);
                    if first < block.rows.len()
                        && block.rows[first].tree == self.tree
                        && block.key(first) == key
                    {
                        self.group_end(&block, first)
                    } else {
                        first
                    }
                }
            };
            while end > 0 {
                let key = block.key(end - 1);
                if block.rows[end - 1].tree != self.tree || !above_lower(key, lower) {
                    return Ok(Rest::End);
                }
                let start = block.rows.partition_point_by(&block, self.tree, key);
                if below_upper(key, upper) {
                    self.push_visible(&block, start, end, out);
                    if limits.reached(out) {
                        return Ok(Rest::Range(range.after(key, Direction::Backward)));
                    }
                }
                end = start;
            }
        }
        Ok(Rest::End)
    }

    /// Behind the last row with the key of the row at `at`.
    fn group_end(&self, block: &RunBlock, at: usize) -> usize {
        let key = block.key(at);
        let mut end = at + 1;
        while end < block.rows.len() && block.rows[end].tree == self.tree && block.key(end) == key {
            end += 1;
        }
        end
    }

    /// Adds the newest visible row of a group.
    fn push_visible(&self, block: &RunBlock, start: usize, end: usize, out: &mut Block) {
        for at in start..end {
            if let Some(seq) = self.stamps.visible(block.rows[at].stamp) {
                out.push(block.key(at), block.value(at), seq);
                return;
            }
        }
    }
}

#[cfg(test)]
mod damage;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryDisk;

    const LIMITS: FillLimits = FillLimits { rows_max: 7, bytes_max: 1 << 20 };

    fn read(run: &Arc<Run>, tree: u64, range: &KeyRange, direction: Direction) -> Vec<u32> {
        let stamps = Stamps::Commands { below: 10, dead: Arc::new(vec![(5, 6)]) };
        let mut cursor = RunCursor::new(run.clone(), TreeId(tree), stamps);
        let mut found = Vec::new();
        let mut rest = Rest::Range(range.clone());
        while let Rest::Range(range) = rest {
            let mut block = Block::default();
            rest = cursor.fill(&mut block, &range, direction, LIMITS).unwrap();
            found.extend(block.iter().map(|row| u32::from_be_bytes(row.key.try_into().unwrap())));
        }
        found
    }

    #[test]
    fn a_run_is_read_in_both_directions_and_versions_are_chosen_by_command() {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
        let mut writer = RunWriter::create(disk.clone(), Path::new("runs")).unwrap();
        for tree in [1, 3] {
            for n in 0..5000_u32 {
                writer.push(TreeId(tree), &n.to_be_bytes(), Some(b"unseen"), 12).unwrap();
                writer.push(TreeId(tree), &n.to_be_bytes(), Some(&[b'v'; 20]), 4).unwrap();
            }
            writer.push(TreeId(tree), &5000_u32.to_be_bytes(), Some(b"dead"), 5).unwrap();
        }
        let run = writer.publish().unwrap();
        assert!(run.blocks() > 10);
        let run = Run::open(disk, Path::new("runs"), run.hash().unwrap()).unwrap();
        let run = Arc::new(run);
        let mut expected: Vec<u32> = (0..5000).collect();
        assert_eq!(read(&run, 1, &KeyRange::all(), Direction::Forward), expected);
        assert_eq!(read(&run, 3, &KeyRange::all(), Direction::Forward), expected);
        assert!(read(&run, 2, &KeyRange::all(), Direction::Forward).is_empty());
        assert!(read(&run, 2, &KeyRange::all(), Direction::Backward).is_empty());
        let part = KeyRange::half_open(&100_u32.to_be_bytes(), &4000_u32.to_be_bytes());
        assert_eq!(read(&run, 3, &part, Direction::Forward), expected[100..4000]);
        expected.reverse();
        assert_eq!(read(&run, 1, &KeyRange::all(), Direction::Backward), expected);
        assert_eq!(read(&run, 1, &part, Direction::Backward), expected[1000..4900]);
        let row = run.get(TreeId(3), &7_u32.to_be_bytes(), &Stamps::Commit(CommitSeq(9))).unwrap();
        assert_eq!(row.unwrap().unwrap().seq, CommitSeq(9));
    }

    #[test]
    fn a_damaged_run_is_an_error() {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
        let mut writer = RunWriter::create(disk.clone(), Path::new("runs")).unwrap();
        for n in 0..100_u32 {
            writer.push(TreeId(1), &n.to_be_bytes(), Some(b"value"), 1).unwrap();
        }
        let run = writer.publish().unwrap();
        let hash = run.hash().unwrap();
        let file =
            disk.open(&Path::new("runs").join(hash.file_name()), OpenMode::Existing).unwrap();
        let len = file.len().unwrap();
        for at in 0..len {
            let mut byte = [0];
            file.read_at(&mut byte, at).unwrap();
            file.write_at(&[byte[0] ^ 0x40], at).unwrap();
            let result = Run::open(disk.clone(), Path::new("runs"), hash)
                .and_then(|run| (0..run.blocks()).try_for_each(|at| run.block(at).map(drop)));
            let in_row_count = (len - 16..len - 8).contains(&at);
            assert!(in_row_count || result.is_err(), "flipped byte {at} of {len}");
            file.write_at(&byte, at).unwrap();
        }
    }
}
