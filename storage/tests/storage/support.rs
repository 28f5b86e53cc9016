//! Stores for tests, and a generator that a seed determines.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use aegis_storage::{
    Block, Direction, Disk, KeyRange, MemoryDisk, MemoryLog, ReadView, Result, Store, StoreOptions,
    Transaction, TreeId, TxnOptions,
};

pub(crate) const TREE: TreeId = TreeId(2000);

/// Options with small limits, so that small tests reach them.
pub(crate) fn options() -> StoreOptions {
    let time = AtomicI64::new(1_000_000);
    let clock = Arc::new(move || time.fetch_add(1, Ordering::Relaxed));
    let mut options = StoreOptions::new("data", 64 << 20, clock);
    options.flush_pause = Duration::ZERO;
    options.memory_wait = Duration::from_millis(300);
    options
}

/// A store over a log in memory.
pub(crate) struct Fixture {
    pub(crate) store: Store,
    pub(crate) log: Arc<MemoryLog>,
    pub(crate) disk: Arc<dyn Disk>,
    /// How many held the disk before the store did.
    disk_holders: usize,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::with(options(), Arc::new(MemoryDisk::new()))
    }

    pub(crate) fn with(options: StoreOptions, disk: Arc<dyn Disk>) -> Self {
        let disk_holders = Arc::strong_count(&disk);
        let log = MemoryLog::new();
        let store = open(options, &disk, &log);
        Self { store, log, disk, disk_holders }
    }

    /// Closes the store without flushing and opens it again. Nothing may be left that still reads
    /// the old one: it would close the files, which is writing to them, beside the new one.
    pub(crate) async fn reopen(self, options: StoreOptions) -> Self {
        let Self { store, log, disk, disk_holders } = self;
        log.detach();
        store.shutdown().await.unwrap();
        drop(store);
        assert_eq!(Arc::strong_count(&disk), disk_holders, "something holds the old store");
        let store = open(options, &disk, &log);
        Self { store, log, disk, disk_holders }
    }

    pub(crate) fn begin(&self) -> Transaction {
        self.store.begin(TxnOptions::default()).unwrap()
    }

    /// Commits one row.
    pub(crate) async fn put(&self, tree: TreeId, key: &str, value: &str) {
        let mut txn = self.begin();
        txn.put(tree, key.as_bytes(), value.as_bytes()).unwrap();
        txn.commit().await.unwrap();
    }

    pub(crate) fn rows(&self, tree: TreeId) -> Vec<(String, String)> {
        rows(&self.store.newest_view().unwrap(), tree)
    }

    /// The names of the run files.
    pub(crate) fn runs(&self) -> Vec<String> {
        self.disk.list(Path::new("data/runs")).unwrap()
    }
}

fn open(options: StoreOptions, disk: &Arc<dyn Disk>, log: &Arc<MemoryLog>) -> Store {
    let store = Store::open(options, disk.clone()).unwrap();
    store.attach_log(log.clone());
    log.attach(Arc::new(store.clone())).unwrap();
    store
}

/// Every row of a tree as text.
pub(crate) fn rows(view: &ReadView, tree: TreeId) -> Vec<(String, String)> {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    scan(view, tree, KeyRange::all(), Direction::Forward)
        .into_iter()
        .map(|(key, value)| (text(key), text(value)))
        .collect()
}

/// Every row of a range, and a check that the scan is in order.
pub(crate) fn scan(
    view: &ReadView,
    tree: TreeId,
    range: KeyRange,
    direction: Direction,
) -> Vec<(Vec<u8>, Vec<u8>)> {
    try_scan(view, tree, range, direction).unwrap()
}

/// The same where the disk may fail.
pub(crate) fn try_scan(
    view: &ReadView,
    tree: TreeId,
    range: KeyRange,
    direction: Direction,
) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut scan = view.scan(tree, range, direction)?;
    let mut block = Block::default();
    let mut found: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    while scan.next_block(&mut block)? {
        assert!(!block.is_empty(), "a block that is there has rows");
        found.extend(block.iter().map(|row| (row.key.to_vec(), row.value.to_vec())));
    }
    match direction {
        Direction::Forward => assert!(found.is_sorted_by(|a, b| a.0 < b.0)),
        Direction::Backward => assert!(found.is_sorted_by(|a, b| a.0 > b.0)),
    }
    Ok(found)
}

/// splitmix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}
