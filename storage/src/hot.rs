//! The hot tier: one multi-version ordered map a tree, written by apply alone.
//!
//! ```text
//! directory (ArcSwap)     shards, a lock each              versions of one key, newest first
//! ┌───────┬───────┐       ┌──────────────┐
//! │ from  │ from  │ ────► │ a  b  c … l  │  c ──► (seq 9, "x")─(seq 4, deleted)
//! │  ""   │  "m"  │       └──────────────┘
//! └───────┴───────┘       ┌──────────────┐
//!                    ───► │ m  n  …      │
//!                         └──────────────┘
//! ```
//!
//! A tree is cut into ranges of about two thousand keys. A reader finds the shard in the
//! directory, locks it for reading and looks whether the key still lies below the shard's upper
//! bound: a split moves the upper part away and publishes the new directory *before* it unlocks,
//! so whoever finds the bound moved finds the new shard by looking again. Lower bounds never move;
//! an upper bound moves up again only when the next shard, empty, is joined to this one.
//!
//! **Versions** hang under their key. A version is needed while some live snapshot lies between
//! it and its successor; [`HotTree::insert`] is told which snapshots live and drops the others:
//!
//! ```text
//! published 7, a reader at 3 and one at 7; apply writes k at 8, then (next batch) at 9
//!   before          8─5─2          reader 7 sees 5, reader 3 sees 2
//!   reader 3 ends
//!   insert at 9     9─8─5          8 is what the published state shows, 5 what reader 7 sees
//! ```
//!
//! **Tombstones** over a version of the same map may hide nothing below it: a queue's rows come and go
//! between two freezes. Apply takes such a key out again once no live snapshot sees more of it than its
//! end ([`HotMap::forget`]), and shards that become empty go to their left neighbour, so that who looks
//! for the first row of a queue does not walk over all that ever were in it.
//!
//! This module knows nothing of files, locks of transactions, or what a value means.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use parking_lot::RwLock;

use crate::{Block, CommitSeq, Direction, Key, KeyRange, TreeId, Value};

/// A shard of more keys is split.
const SHARD_KEYS_MAX: usize = 2048;
/// What an entry costs beyond its bytes: key handle, chain, its share of B-tree nodes, allocator.
const ENTRY_OVERHEAD_BYTES: u64 = 110;
const TREE_MAPS: usize = 16;

/// Hashes a tree id with one multiplication.
#[derive(Default)]
pub(crate) struct TreeHasher(u64);

impl Hasher for TreeHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, n: u64) {
        self.0 = (self.0 ^ n).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
    }
}

/// A hash map by tree.
pub(crate) type TreeMap<T> = HashMap<TreeId, T, BuildHasherDefault<TreeHasher>>;

/// One state of a key.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    pub(crate) seq: CommitSeq,
    /// `None` is a tombstone.
    pub(crate) value: Option<Value>,
}

/// The states of a key, newest first.
#[derive(Debug)]
struct Chain {
    newest: Version,
    older: Option<Box<Older>>,
}

#[derive(Debug)]
struct Older(Vec<Version>);

impl Chain {
    fn visible(&self, seq: CommitSeq) -> Option<&Version> {
        if self.newest.seq <= seq {
            return Some(&self.newest);
        }
        let older = self.older.as_ref()?;
        older.0.iter().find(|version| version.seq <= seq)
    }

    /// What its versions take.
    fn bytes(&self) -> i64 {
        let older = self.older.iter().flat_map(|older| &older.0).map(version_bytes).sum::<i64>();
        version_bytes(&self.newest) + older
    }

    /// Puts a version on top and drops what no live snapshot sees any more. `live` ascends.
    /// Returns by how many bytes the chain grew.
    fn push(&mut self, version: Version, live: &[CommitSeq]) -> i64 {
        let mut grown = version_bytes(&version);
        let old = std::mem::replace(&mut self.newest, version);
        if old.seq == self.newest.seq {
            return grown - version_bytes(&old);
        }
        let mut newer = self.newest.seq;
        let mut needed = |version: &Version| {
            let from = live.partition_point(|seq| *seq < version.seq);
            let is_seen = live.get(from).is_some_and(|seq| *seq < newer);
            newer = version.seq;
            if !is_seen {
                grown -= version_bytes(version);
            }
            is_seen
        };
        let keep_old = needed(&old);
        if let Some(older) = &mut self.older {
            older.0.retain(&mut needed);
            if keep_old {
                older.0.insert(0, old);
            } else if older.0.is_empty() {
                self.older = None;
            }
        } else if keep_old {
            self.older = Some(Box::new(Older(vec![old])));
        }
        grown
    }
}

fn key_bytes(key: &Key) -> i64 {
    (key.heap_bytes() as u64 + ENTRY_OVERHEAD_BYTES) as i64
}

fn version_bytes(version: &Version) -> i64 {
    let value = version.value.as_ref().map_or(0, Value::heap_bytes);
    (value + size_of::<Version>()) as i64
}

/// Every tree that was written since the last freeze.
#[derive(Debug)]
pub(crate) struct HotMap {
    trees: [RwLock<TreeMap<Arc<HotTree>>>; TREE_MAPS],
    bytes: AtomicU64,
    /// The sum over every map that is alive, retained ones too.
    account: Arc<AtomicU64>,
}

impl HotMap {
    pub(crate) fn new(account: Arc<AtomicU64>) -> Self {
        Self { trees: Default::default(), bytes: AtomicU64::new(0), account }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn tree(&self, tree: TreeId) -> Option<Arc<HotTree>> {
        self.trees[tree.0 as usize % TREE_MAPS].read().get(&tree).cloned()
    }

    /// What a snapshot sees of a key: `None` if this map does not know, else the version, which
    /// may be a tombstone.
    pub(crate) fn get(&self, tree: TreeId, key: &[u8], seq: CommitSeq) -> Option<Version> {
        self.trees[tree.0 as usize % TREE_MAPS].read().get(&tree)?.get(key, seq)
    }

    /// Its trees, ascending.
    pub(crate) fn tree_ids(&self) -> Vec<TreeId> {
        let mut ids: Vec<TreeId> = Vec::new();
        for trees in &self.trees {
            ids.extend(trees.read().keys());
        }
        ids.sort_unstable();
        ids
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.trees.iter().all(|trees| trees.read().is_empty())
    }

    /// Writes a version. Apply alone calls this, in the order of `seq`. Whether it is a tombstone over
    /// an earlier version of this map.
    pub(crate) fn insert(
        &self,
        tree: TreeId,
        key: &[u8],
        version: Version,
        live: &[CommitSeq],
    ) -> bool {
        let trees = &self.trees[tree.0 as usize % TREE_MAPS];
        let known = trees.read().get(&tree).cloned();
        let hot = known.unwrap_or_else(|| trees.write().entry(tree).or_default().clone());
        let is_tombstone = version.value.is_none();
        let inserted = hot.insert(key, version, live);
        self.grow(inserted.grown);
        is_tombstone && !inserted.is_new
    }

    /// Takes a key out whose newest version is the tombstone of `seq`. Apply alone calls this, where no
    /// live snapshot stands before `seq` and no lower tier has the key.
    pub(crate) fn forget(&self, tree: TreeId, key: &[u8], seq: CommitSeq) {
        if let Some(hot) = self.tree(tree) {
            self.grow(-hot.forget(key, seq));
        }
    }

    fn grow(&self, bytes: i64) {
        // Two's complement: adding a negative difference subtracts.
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.account.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

impl Drop for HotMap {
    fn drop(&mut self) {
        self.account.fetch_sub(*self.bytes.get_mut(), Ordering::Relaxed);
    }
}

/// One tree's map.
#[derive(Debug)]
pub(crate) struct HotTree {
    directory: ArcSwap<Directory>,
}

#[derive(Debug)]
struct Directory {
    /// Where each shard begins; the first at the empty key, which is the least.
    lowers: Vec<Key>,
    shards: Vec<Arc<RwLock<Shard>>>,
}

#[derive(Debug)]
struct Shard {
    lower: Key,
    /// Every key lies below it; `None` for the last shard.
    upper: Option<Key>,
    map: BTreeMap<Key, Chain>,
}

impl Default for HotTree {
    fn default() -> Self {
        let shard = Shard { lower: Key::default(), upper: None, map: BTreeMap::new() };
        Self {
            directory: ArcSwap::from_pointee(Directory {
                lowers: vec![Key::default()],
                shards: vec![Arc::new(RwLock::new(shard))],
            }),
        }
    }
}

impl Directory {
    /// The shard in which a key lies: the last that begins at or below it.
    fn holding(&self, key: &[u8]) -> usize {
        self.lowers.partition_point(|lower| lower.as_bytes() <= key) - 1
    }

    /// The last shard with keys below the bound.
    fn last_below(&self, upper: &Bound<Key>) -> usize {
        match upper {
            Bound::Unbounded => self.lowers.len() - 1,
            Bound::Included(key) => self.holding(key),
            Bound::Excluded(key) => {
                self.lowers.partition_point(|lower| lower < key).saturating_sub(1)
            }
        }
    }
}

impl Shard {
    fn covers(&self, key: &[u8]) -> bool {
        self.upper.as_ref().is_none_or(|upper| key < upper.as_bytes())
    }

    /// Whether every key below the bound that is not in an earlier shard is in this one.
    fn covers_bound(&self, bound: &Bound<Key>) -> bool {
        match (&self.upper, bound) {
            (None, _) => true,
            (Some(_), Bound::Unbounded) => false,
            (Some(upper), Bound::Included(key)) => key < upper,
            (Some(upper), Bound::Excluded(key)) => key <= upper,
        }
    }
}

/// What writing a version did.
struct Inserted {
    /// By how many bytes the tree grew.
    grown: i64,
    /// Whether the map did not know the key.
    is_new: bool,
}

/// What is left to a cursor after a fill.
pub(crate) enum Rest {
    Range(KeyRange),
    End,
}

impl HotTree {
    pub(crate) fn get(&self, key: &[u8], seq: CommitSeq) -> Option<Version> {
        loop {
            let directory = self.directory.load();
            let shard = directory.shards[directory.holding(key)].read();
            if shard.covers(key) {
                return shard.map.get(key)?.visible(seq).cloned();
            }
        }
    }

    fn insert(&self, key: &[u8], version: Version, live: &[CommitSeq]) -> Inserted {
        let directory = self.directory.load();
        let at = directory.holding(key);
        // Apply alone splits and joins: the shard is as it was when the directory was loaded.
        let mut shard = directory.shards[at].write();
        if let Some(chain) = shard.map.get_mut(key) {
            return Inserted { grown: chain.push(version, live), is_new: false };
        }
        let key = Key::new(key);
        let grown = version_bytes(&version) + key_bytes(&key);
        let is_last = shard.map.last_key_value().is_some_and(|(last, _)| key > *last);
        shard.map.insert(key, Chain { newest: version, older: None });
        if shard.map.len() > SHARD_KEYS_MAX {
            self.split(&directory, at, &mut shard, is_last);
        }
        Inserted { grown, is_new: true }
    }

    /// Takes a key out if its newest version is the tombstone of `seq`. Returns by how many bytes the
    /// tree shrank.
    fn forget(&self, key: &[u8], seq: CommitSeq) -> i64 {
        let directory = self.directory.load();
        let at = directory.holding(key);
        let mut shard = directory.shards[at].write();
        let is_newest = |chain: &Chain| chain.newest.seq == seq && chain.newest.value.is_none();
        if !shard.map.get(key).is_some_and(is_newest) {
            return 0;
        }
        let Some((key, chain)) = shard.map.remove_entry(key) else { return 0 };
        if shard.map.is_empty() && at > 0 {
            self.join(&directory, at, &mut shard);
        }
        key_bytes(&key) + chain.bytes()
    }

    /// Gives the range of an empty shard to the one before it. Whoever comes to the empty one with an
    /// older directory finds that it covers nothing, and looks again.
    fn join(&self, directory: &Directory, at: usize, empty: &mut Shard) {
        let mut left = directory.shards[at - 1].write();
        left.upper = empty.upper.replace(empty.lower.clone());
        let (mut lowers, mut shards) = (directory.lowers.clone(), directory.shards.clone());
        lowers.remove(at);
        shards.remove(at);
        self.directory.store(Arc::new(Directory { lowers, shards }));
    }

    /// Moves the upper part of a shard into one of its own. Keys that come in order leave nearly
    /// full shards behind.
    fn split(&self, directory: &Directory, at: usize, shard: &mut Shard, ascending: bool) {
        let keep = if ascending { SHARD_KEYS_MAX * 9 / 10 } else { SHARD_KEYS_MAX / 2 };
        let middle = shard
            .map
            .keys()
            .nth(keep)
            .expect("a shard is split when it has more keys than it keeps")
            .clone();
        let upper_part = shard.map.split_off(&middle);
        let right = Shard {
            lower: middle.clone(),
            upper: shard.upper.replace(middle.clone()),
            map: upper_part,
        };
        let mut lowers = Vec::with_capacity(directory.lowers.len() + 1);
        lowers.extend_from_slice(&directory.lowers[..=at]);
        lowers.push(middle);
        lowers.extend_from_slice(&directory.lowers[at + 1..]);
        let mut shards = Vec::with_capacity(lowers.len());
        shards.extend_from_slice(&directory.shards[..=at]);
        shards.push(Arc::new(RwLock::new(right)));
        shards.extend_from_slice(&directory.shards[at + 1..]);
        self.directory.store(Arc::new(Directory { lowers, shards }));
    }

    /// Adds rows of `range` to the block, in order, tombstones too, until it has `rows_max` rows
    /// or `bytes_max` bytes; one shard is locked at a time.
    pub(crate) fn fill(
        &self,
        block: &mut Block,
        mut range: KeyRange,
        direction: Direction,
        seq: CommitSeq,
        limits: FillLimits,
    ) -> Rest {
        loop {
            if range.is_empty() {
                return Rest::End;
            }
            let directory = self.directory.load();
            let next = match direction {
                Direction::Forward => {
                    let at = match &range.lower {
                        Bound::Unbounded => 0,
                        Bound::Included(key) | Bound::Excluded(key) => directory.holding(key),
                    };
                    let shard = directory.shards[at].read();
                    fill_forward(&shard, block, &range, seq, limits)
                }
                Direction::Backward => {
                    let at = directory.last_below(&range.upper);
                    let shard = directory.shards[at].read();
                    if shard.covers_bound(&range.upper) {
                        fill_backward(&shard, block, &range, seq, limits)
                    } else {
                        continue;
                    }
                }
            };
            match next {
                Step::Full(rest) => return Rest::Range(rest),
                Step::End => return Rest::End,
                Step::ShardEnd(rest) => range = rest,
            }
        }
    }

    /// About how many keys it has: exact for one shard, else by the number of shards.
    pub(crate) fn row_estimate(&self) -> u64 {
        let directory = self.directory.load();
        match &directory.shards[..] {
            [only] => only.read().map.len() as u64,
            shards => (shards.len() * SHARD_KEYS_MAX * 3 / 4) as u64,
        }
    }

    /// Keys that cut the tree into shards, for parallel scans, and how many keys a shard has.
    pub(crate) fn split_points(&self, range: &KeyRange) -> Vec<(Key, usize)> {
        let directory = self.directory.load();
        directory
            .lowers
            .iter()
            .skip(1)
            .filter(|key| range.contains(key))
            .map(|key| (key.clone(), SHARD_KEYS_MAX))
            .collect()
    }
}

/// When a fill stops.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FillLimits {
    pub(crate) rows_max: usize,
    pub(crate) bytes_max: usize,
}

impl FillLimits {
    pub(crate) fn reached(self, block: &Block) -> bool {
        block.len() >= self.rows_max || block.byte_len() >= self.bytes_max
    }
}

enum Step {
    Full(KeyRange),
    ShardEnd(KeyRange),
    End,
}

fn fill_forward(
    shard: &Shard,
    block: &mut Block,
    range: &KeyRange,
    seq: CommitSeq,
    limits: FillLimits,
) -> Step {
    for (key, chain) in shard.map.range::<[u8], _>(range.as_bounds()) {
        let Some(version) = chain.visible(seq) else {
            continue;
        };
        block.push(key, version.value.as_deref(), version.seq);
        if limits.reached(block) {
            return Step::Full(range.after(key, Direction::Forward));
        }
    }
    // A key at the shard's upper bound or beyond lies in the next shard, whether it was so when
    // the directory was loaded or a split has moved it since.
    match &shard.upper {
        None => Step::End,
        Some(upper) => {
            let next = match &range.lower {
                // A split since the load: the range begins beyond this shard already.
                Bound::Included(key) | Bound::Excluded(key) if key > upper => range.lower.clone(),
                Bound::Excluded(key) if key == upper => range.lower.clone(),
                _ => Bound::Included(upper.clone()),
            };
            Step::ShardEnd(KeyRange { lower: next, upper: range.upper.clone() })
        }
    }
}

fn fill_backward(
    shard: &Shard,
    block: &mut Block,
    range: &KeyRange,
    seq: CommitSeq,
    limits: FillLimits,
) -> Step {
    for (key, chain) in shard.map.range::<[u8], _>(range.as_bounds()).rev() {
        let Some(version) = chain.visible(seq) else {
            continue;
        };
        block.push(key, version.value.as_deref(), version.seq);
        if limits.reached(block) {
            return Step::Full(range.after(key, Direction::Backward));
        }
    }
    if shard.lower.is_empty() {
        return Step::End;
    }
    Step::ShardEnd(KeyRange {
        lower: range.lower.clone(),
        upper: Bound::Excluded(shard.lower.clone()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: FillLimits = FillLimits { rows_max: 100, bytes_max: 1 << 20 };

    fn version(seq: u64, value: &str) -> Version {
        Version { seq: CommitSeq(seq), value: Some(Value::new(value.as_bytes())) }
    }

    fn keys(tree: &HotTree, range: KeyRange, direction: Direction) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        let mut block = Block::default();
        let mut rest = Rest::Range(range);
        while let Rest::Range(range) = rest {
            block.clear();
            rest = tree.fill(&mut block, range, direction, CommitSeq(u64::MAX), LIMITS);
            all.extend(block.iter().map(|row| row.key.to_vec()));
        }
        all
    }

    #[test]
    fn versions_that_no_live_snapshot_sees_are_trimmed() {
        let tree = HotTree::default();
        for seq in [2, 5, 8] {
            tree.insert(b"k", version(seq, "v"), &[CommitSeq(3), CommitSeq(7)]);
        }
        let seen = |seq| tree.get(b"k", CommitSeq(seq)).map(|version| version.seq.0);
        assert_eq!((seen(3), seen(7), seen(8)), (Some(2), Some(5), Some(8)));
        tree.insert(b"k", version(9, "v"), &[CommitSeq(7), CommitSeq(8)]);
        assert_eq!((seen(3), seen(7), seen(8)), (None, Some(5), Some(8)));
        tree.insert(b"k", version(10, "v"), &[CommitSeq(9)]);
        assert_eq!((seen(8), seen(9), seen(10)), (None, Some(9), Some(10)));
    }

    #[test]
    fn scans_cross_shards_in_both_directions() {
        let tree = HotTree::default();
        let mut expected: Vec<Vec<u8>> = Vec::new();
        for n in 0..20_000_u32 {
            let key = (n.wrapping_mul(2_654_435_761)).to_be_bytes();
            tree.insert(&key, version(1, "v"), &[]);
            expected.push(key.to_vec());
        }
        expected.sort();
        assert!(tree.directory.load().shards.len() > 5);
        assert_eq!(keys(&tree, KeyRange::all(), Direction::Forward), expected);
        let part = KeyRange::half_open(&expected[777], &expected[15_000]);
        assert_eq!(keys(&tree, part.clone(), Direction::Forward), expected[777..15_000]);
        expected.reverse();
        assert_eq!(keys(&tree, KeyRange::all(), Direction::Backward), expected);
        assert_eq!(keys(&tree, part, Direction::Backward), expected[20_000 - 15_000..20_000 - 777]);
    }

    #[test]
    fn readers_find_every_key_while_a_writer_splits() {
        let tree = Arc::new(HotTree::default());
        let written = Arc::new(AtomicU64::new(0));
        let key = |n: u64| n.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    loop {
                        let n = written.load(Ordering::Acquire);
                        for probe in (0..n).rev().take(50) {
                            assert!(tree.get(&key(probe), CommitSeq(1)).is_some());
                        }
                        if n >= 4000 {
                            let found = keys(&tree, KeyRange::all(), Direction::Backward);
                            assert!(found.len() >= n as usize);
                            assert!(found.is_sorted_by(|a, b| a > b));
                        }
                        if n == 60_000 {
                            break;
                        }
                    }
                });
            }
            for n in 0..60_000 {
                tree.insert(&key(n), version(1, "v"), &[]);
                written.store(n + 1, Ordering::Release);
            }
        });
    }

    #[test]
    fn a_queue_leaves_nothing_behind() {
        let map = HotMap::new(Arc::default());
        let (tree, key) = (TreeId(7), |n: u64| n.to_be_bytes());
        let gone = |seq| Version { seq: CommitSeq(seq), value: None };
        // Each job ends when 3,000 others wait behind it.
        for n in 0..53_000_u64 {
            let seq = 3 * n;
            if n < 50_000 {
                assert!(!map.insert(tree, &key(n), version(seq, "job"), &[]));
            }
            if n == 50_000 {
                let left: Vec<Vec<u8>> = (47_000..n).map(|n| key(n).to_vec()).collect();
                let hot = map.tree(tree).unwrap();
                assert_eq!(keys(&hot, KeyRange::all(), Direction::Forward), left);
                assert!(hot.directory.load().shards.len() <= 4);
            }
            let Some(old) = n.checked_sub(3_000).map(key) else { continue };
            let newest = || map.get(tree, &old, CommitSeq(u64::MAX)).map(|version| version.seq.0);
            assert!(map.insert(tree, &old, gone(seq + 1), &[]));
            assert!(map.insert(tree, &old, gone(seq + 2), &[]));
            // An end that is not the last one any more.
            map.forget(tree, &old, CommitSeq(seq + 1));
            assert_eq!(newest(), Some(seq + 2));
            map.forget(tree, &old, CommitSeq(seq + 2));
            assert_eq!(newest(), None);
        }
        let hot = map.tree(tree).unwrap();
        assert_eq!(keys(&hot, KeyRange::all(), Direction::Backward), Vec::<Vec<u8>>::new());
        assert_eq!((hot.directory.load().shards.len(), map.bytes()), (1, 0));
    }

    #[test]
    fn readers_find_every_key_while_shards_split_and_join() {
        let tree = HotTree::default();
        let key = |n: u64| n.to_be_bytes();
        // Every hundredth stays; those between come and go.
        let (written, stays) = (AtomicU64::new(0), |n: u64| n.is_multiple_of(100));
        let last = 60_000;
        std::thread::scope(|scope| {
            for direction in [Direction::Forward, Direction::Backward] {
                let (tree, written) = (&tree, &written);
                scope.spawn(move || {
                    loop {
                        let n = written.load(Ordering::Acquire);
                        let found = keys(tree, KeyRange::all(), direction);
                        let mut staying = found.iter().filter(|it| {
                            let bytes: [u8; 8] = it[..].try_into().unwrap();
                            stays(u64::from_be_bytes(bytes)) && u64::from_be_bytes(bytes) < n
                        });
                        let is_sorted = match direction {
                            Direction::Forward => found.is_sorted_by(|a, b| a < b),
                            Direction::Backward => found.is_sorted_by(|a, b| a > b),
                        };
                        assert!(is_sorted);
                        assert_eq!(staying.by_ref().count() as u64, n.div_ceil(100));
                        for probe in (0..n).filter(|n| stays(*n)) {
                            assert!(tree.get(&key(probe), CommitSeq(u64::MAX)).is_some());
                        }
                        if n == last {
                            break;
                        }
                    }
                });
            }
            for n in 0..last {
                tree.insert(&key(n), version(n + 1, "v"), &[]);
                written.store(n + 1, Ordering::Release);
                if let Some(old) = n.checked_sub(5_000).filter(|old| !stays(*old)) {
                    let gone = Version { seq: CommitSeq(n + 1), value: None };
                    tree.insert(&key(old), gone, &[]);
                    tree.forget(&key(old), CommitSeq(n + 1));
                }
            }
        });
    }

    #[test]
    fn a_map_gives_its_bytes_back_when_it_goes() {
        let account = Arc::new(AtomicU64::new(0));
        let map = HotMap::new(account.clone());
        for n in 0..100_u32 {
            map.insert(TreeId(7), &n.to_be_bytes(), version(1, "v"), &[]);
            map.insert(TreeId(7), &n.to_be_bytes(), version(2, "longer"), &[]);
        }
        assert!(map.bytes() > 10_000);
        assert_eq!(account.load(Ordering::Relaxed), map.bytes());
        drop(map);
        assert_eq!(account.load(Ordering::Relaxed), 0);
    }
}
