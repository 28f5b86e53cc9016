//! New rows of one command on their way into a run file: bytes one behind the other, no node a row.
//!
//! ```text
//! put_new ─► chunks  key value │ key value │ …        64 MiB: sort what points into the chunks,
//!            rows    (prefix, place) of each tree     write a run file, begin again
//!            table   over the keys of a tree that was asked for a key
//! ```
//!
//! Rows of a load are new: whoever adds one knows that its key is nowhere in the write set, so that
//! nothing here is ever replaced, and a load is undone only as a whole. A tree's hash table is made
//! when the first key of it is looked up: entries of an index that is not unique never are.

use hashbrown::HashTable;

use crate::run::{self, RunWriter};
use crate::write_set::Mark;
use crate::{Result, TreeId, Value};

const CHUNK_BYTES: usize = 1 << 20;

/// Where a row lies, and how its key begins: most comparisons need no more than that.
#[derive(Clone, Copy, Debug)]
struct LoadedRow {
    prefix: u64,
    chunk: u32,
    offset: u32,
    key_len: u32,
    value_len: u32,
}

#[derive(Debug)]
struct LoadedTree {
    tree: TreeId,
    rows: Vec<LoadedRow>,
    /// Places in `rows`, by key.
    table: Option<HashTable<u32>>,
}

/// The rows.
#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) command: u32,
    /// Those that lived when it began: none is set while it lasts.
    pub(crate) savepoints: Vec<Mark>,
    chunks: Vec<Vec<u8>>,
    /// A handful: the table's and its indexes'.
    trees: Vec<LoadedTree>,
    bytes: usize,
}

impl Load {
    /// A load without rows.
    pub(crate) fn new(command: u32, savepoints: &[Mark]) -> Self {
        let savepoints = savepoints.to_vec();
        Self { command, savepoints, chunks: Vec::new(), trees: Vec::new(), bytes: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// What it takes of memory, but for hash tables (five bytes a row).
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn holds_tree(&self, tree: TreeId) -> bool {
        self.trees.iter().any(|loaded| loaded.tree == tree && !loaded.rows.is_empty())
    }

    /// Adds a row whose key is nowhere in the write set. Gives the bytes that it takes.
    pub(crate) fn push(&mut self, tree: TreeId, key: &[u8], value: &[u8]) -> usize {
        let len = key.len() + value.len();
        if self.chunks.last().is_none_or(|chunk| chunk.capacity() - chunk.len() < len) {
            self.chunks.push(Vec::with_capacity(len.max(CHUNK_BYTES)));
        }
        let at = self.chunks.len() - 1;
        let chunk = &mut self.chunks[at];
        let row = LoadedRow {
            prefix: prefix(key),
            chunk: narrow(at),
            offset: narrow(chunk.len()),
            key_len: narrow(key.len()),
            value_len: narrow(value.len()),
        };
        chunk.extend_from_slice(key);
        chunk.extend_from_slice(value);
        let place = match self.trees.iter().position(|loaded| loaded.tree == tree) {
            Some(place) => place,
            None => {
                self.trees.push(LoadedTree { tree, rows: Vec::new(), table: None });
                self.trees.len() - 1
            }
        };
        let LoadedTree { rows, table, .. } = &mut self.trees[place];
        rows.push(row);
        if let Some(table) = table {
            add(table, tree, &self.chunks, rows, rows.len() - 1);
        }
        let taken = len + size_of::<LoadedRow>();
        self.bytes += taken;
        taken
    }

    /// The value of a key.
    pub(crate) fn get(&mut self, tree: TreeId, key: &[u8]) -> Option<Value> {
        let Self { chunks, trees, .. } = self;
        let loaded = trees.iter_mut().find(|loaded| loaded.tree == tree)?;
        let rows = &loaded.rows;
        let table = loaded.table.get_or_insert_with(|| {
            let mut table = HashTable::with_capacity(rows.len());
            for at in 0..rows.len() {
                add(&mut table, tree, chunks, rows, at);
            }
            table
        });
        let found = table.find(hash(tree, key), |at| rows[*at as usize].key(chunks) == key)?;
        Some(Value::new(rows[*found as usize].value(chunks)))
    }

    /// Writes every row, in order.
    pub(crate) fn write_into(&mut self, writer: &mut RunWriter) -> Result<()> {
        let stamp = u64::from(self.command);
        self.sort();
        for LoadedTree { tree, rows, .. } in &self.trees {
            for row in rows {
                let (key, value) = (row.key(&self.chunks), row.value(&self.chunks));
                writer.push(*tree, key, Some(value), stamp)?;
            }
        }
        Ok(())
    }

    /// Visits every row, tree by tree.
    pub(crate) fn each(&self, mut visit: impl FnMut(TreeId, &[u8], &[u8])) {
        for LoadedTree { tree, rows, .. } in &self.trees {
            for row in rows {
                visit(*tree, row.key(&self.chunks), row.value(&self.chunks));
            }
        }
    }

    fn sort(&mut self) {
        let chunks = &self.chunks;
        self.trees.sort_unstable_by_key(|loaded| loaded.tree);
        for loaded in &mut self.trees {
            // It holds places.
            loaded.table = None;
            loaded.rows.sort_unstable_by(|one, other| {
                let by_prefix = one.prefix.cmp(&other.prefix);
                by_prefix.then_with(|| one.key(chunks).cmp(other.key(chunks)))
            });
        }
    }

    pub(crate) fn clear(&mut self) {
        self.chunks.clear();
        self.trees.clear();
        self.bytes = 0;
    }
}

impl LoadedRow {
    fn key<'a>(&self, chunks: &'a [Vec<u8>]) -> &'a [u8] {
        let start = self.offset as usize;
        &chunks[self.chunk as usize][start..start + self.key_len as usize]
    }

    fn value<'a>(&self, chunks: &'a [Vec<u8>]) -> &'a [u8] {
        let start = self.offset as usize + self.key_len as usize;
        &chunks[self.chunk as usize][start..start + self.value_len as usize]
    }
}

/// The first eight bytes of a key: shorter ones are followed by zeros, which no key of these eight
/// bytes can lie below.
fn prefix(key: &[u8]) -> u64 {
    let mut first = [0; 8];
    let len = key.len().min(8);
    first[..len].copy_from_slice(&key[..len]);
    u64::from_be_bytes(first)
}

/// Chunks, keys and values are all far below 4 GiB: a value has at most 1 GiB.
fn narrow(n: usize) -> u32 {
    u32::try_from(n).expect("sizes of keys and values are checked before a row is loaded")
}

fn hash(tree: TreeId, key: &[u8]) -> u64 {
    // The table takes its bucket from the low bits and its tag from the high ones.
    u64::from(run::hash(tree, key)).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

fn add(
    table: &mut HashTable<u32>,
    tree: TreeId,
    chunks: &[Vec<u8>],
    rows: &[LoadedRow],
    at: usize,
) {
    let key = rows[at].key(chunks);
    let rehash = |other: &u32| hash(tree, rows[*other as usize].key(chunks));
    table.insert_unique(hash(tree, key), narrow(at), rehash);
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::MemoryDisk;
    use crate::run::Stamps;

    proptest! {
        #[test]
        fn a_load_is_found_by_key_and_written_in_order(
            rows in prop::collection::btree_map(
                (0..3_u64, prop::collection::vec(prop_oneof![Just(0_u8), any::<u8>()], 0..12)),
                prop::collection::vec(any::<u8>(), 0..40),
                0..200,
            ),
            shuffle in any::<u64>(),
        ) {
            let mut order: Vec<_> = rows.iter().collect();
            order.sort_by_key(|((tree, key), _)| {
                run::hash(TreeId(tree ^ shuffle), key)
            });
            let mut load = Load::new(7, &[]);
            for (at, ((tree, key), value)) in order.iter().enumerate() {
                if at % 2 == 0 {
                    prop_assert!(load.get(TreeId(*tree), key).is_none());
                }
                load.push(TreeId(*tree), key, value);
            }
            for ((tree, key), value) in &rows {
                let found = load.get(TreeId(*tree), key);
                prop_assert_eq!(found.as_deref(), Some(value.as_slice()));
            }
            let disk: Arc<dyn crate::Disk> = Arc::new(MemoryDisk::new());
            let mut writer = RunWriter::create(disk, Path::new("runs")).unwrap();
            load.write_into(&mut writer).unwrap();
            let run = writer.into_spill().unwrap();
            let mut read = Vec::new();
            for at in 0..run.blocks() {
                for (tree, key, value, stamp) in run.block(at).unwrap().iter() {
                    prop_assert_eq!(stamp, 7);
                    read.push(((tree.0, key.to_vec()), value.unwrap().to_vec()));
                }
            }
            prop_assert_eq!(&read, &rows.clone().into_iter().collect::<Vec<_>>());
            let stamps = Stamps::Commands { below: 8, dead: Arc::default() };
            for (tree, key) in rows.keys() {
                prop_assert!(run.get(TreeId(*tree), key, &stamps).unwrap().is_some());
            }
        }
    }
}
