//! What statements cost, of all sessions: what the extension `pg_stat_statements` shows.
//!
//! ```text
//! a statement that runs ── its entry, found once ──► figures (a lock of its own)
//!     first of its kind ── text ──► entries, in shards ── too many? ──► the least used go
//! ```
//!
//! Statements that mean the same under one role and in one database are one entry. A statement that is
//! kept keeps its entry, so that one which repeats looks nothing up. Whether anything is gathered is
//! for the session to say; nothing here runs where it is not.

mod figures;
mod file;

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};

use aegis_storage::Disk;
use aegis_types::{Oid, clock};
use parking_lot::{Mutex, RwLock};

pub(crate) use figures::{Figures, Sample, Times};

const SHARDS: usize = 16;
/// Bytes of all texts together.
const TEXT_BYTES_MAX: usize = 64 << 20;
/// Longer texts are not kept: their entries show none.
const TEXT_LENGTH_MAX: usize = 1 << 20;
/// What an entry's usage is multiplied with whenever others are thrown out, and how many of a hundred
/// go: the numbers are contrib's.
const USAGE_DECAY: f64 = 0.99;
const EVICTED_PERCENT: usize = 5;
const EVICTED_MIN: usize = 10;

/// Whose statement it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// The role that ran it.
    pub(crate) role: Oid,
    /// The database that it ran in.
    pub(crate) database: Oid,
    /// What it means.
    pub(crate) query_id: i64,
    /// Whether a client sent it, and not a function.
    pub(crate) top_level: bool,
}

/// What is known of a statement.
pub(crate) struct Entry {
    /// Whose.
    pub(crate) key: Key,
    /// Its text, unless it was too long.
    pub(crate) text: Option<Arc<str>>,
    /// What it cost so far.
    figures: Mutex<Figures>,
    /// Nobody finds it any more.
    gone: AtomicBool,
}

impl Entry {
    /// Whether it still counts.
    pub(crate) fn is_live(&self) -> bool {
        !self.gone.load(Ordering::Relaxed)
    }

    /// Adds one run.
    pub(crate) fn add(&self, sample: &Sample) {
        self.figures.lock().add(sample);
    }

    /// What it cost so far.
    pub(crate) fn figures(&self) -> Figures {
        self.figures.lock().clone()
    }
}

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatisticsOptions {
    /// `pg_stat_statements.max`: how many statements.
    pub statements_max: usize,
    /// `pg_stat_statements.save`: whether a server that stops in order leaves them to the next.
    pub save: bool,
}

impl Default for StatisticsOptions {
    fn default() -> Self {
        Self { statements_max: 5_000, save: true }
    }
}

/// The entries, and how often some were thrown out.
pub(crate) struct StatementStatistics {
    shards: [RwLock<HashMap<Key, Arc<Entry>>>; SHARDS],
    hasher: RandomState,
    options: Mutex<StatisticsOptions>,
    /// Held by whoever adds or throws out.
    changing: Mutex<()>,
    count: AtomicUsize,
    text_bytes: AtomicUsize,
    evictions: AtomicU64,
    reset_time: AtomicI64,
}

impl Default for StatementStatistics {
    fn default() -> Self {
        Self {
            shards: Default::default(),
            hasher: RandomState::default(),
            options: Mutex::default(),
            changing: Mutex::default(),
            count: AtomicUsize::new(0),
            text_bytes: AtomicUsize::new(0),
            evictions: AtomicU64::new(0),
            reset_time: AtomicI64::new(clock::now()),
        }
    }
}

impl StatementStatistics {
    /// Takes what the last server left on a disk, and removes it there: after a crash there is none.
    pub(crate) fn load(&self, disk: &dyn Disk) {
        match file::take(disk) {
            Ok(None) => {}
            Ok(Some(saved)) => {
                self.evictions.store(saved.evictions, Ordering::Relaxed);
                self.reset_time.store(saved.reset_time, Ordering::Relaxed);
                for (key, text, figures) in saved.entries {
                    self.insert(key, text, figures);
                }
            }
            Err(error) => tracing::warn!(%error, "statement statistics could not be read"),
        }
    }

    /// Leaves everything to the next server, if it is to.
    pub(crate) fn save(&self, disk: &dyn Disk) {
        if !self.options().save {
            return;
        }
        let saved = file::Saved {
            evictions: self.evictions(),
            reset_time: self.reset_time(),
            entries: self
                .entries()
                .iter()
                .map(|entry| (entry.key, entry.text.clone(), entry.figures()))
                .collect(),
        };
        if let Err(error) = file::put(disk, &saved) {
            tracing::warn!(%error, "statement statistics could not be written");
        }
    }

    /// Sets how much is kept.
    pub(crate) fn configure(&self, options: StatisticsOptions) {
        *self.options.lock() = options;
        if !options.save {
            self.reset(Oid::NONE, Oid::NONE, 0);
        }
        let changing = self.changing.lock();
        while self.count.load(Ordering::Relaxed) > options.statements_max {
            self.evict();
        }
        drop(changing);
    }

    /// How much is kept.
    pub(crate) fn options(&self) -> StatisticsOptions {
        *self.options.lock()
    }

    fn shard(&self, key: &Key) -> &RwLock<HashMap<Key, Arc<Entry>>> {
        &self.shards[self.hasher.hash_one(key) as usize % SHARDS]
    }

    /// The entry of a statement, made if there is none.
    pub(crate) fn entry(&self, key: Key, text: &Arc<str>) -> Arc<Entry> {
        if let Some(found) = self.shard(&key).read().get(&key) {
            return Arc::clone(found);
        }
        self.insert(key, Some(Arc::clone(text)), Figures::default())
    }

    fn insert(&self, key: Key, text: Option<Arc<str>>, figures: Figures) -> Arc<Entry> {
        let _changing = self.changing.lock();
        if let Some(found) = self.shard(&key).read().get(&key) {
            return Arc::clone(found);
        }
        let text = text.filter(|text| text.len() <= TEXT_LENGTH_MAX);
        let bytes = text.as_ref().map_or(0, |text| text.len());
        while self.count.load(Ordering::Relaxed) >= self.options().statements_max
            || self.text_bytes.load(Ordering::Relaxed) + bytes > TEXT_BYTES_MAX
        {
            self.evict();
        }
        let gone = AtomicBool::new(false);
        let entry = Arc::new(Entry { key, text, figures: Mutex::new(figures), gone });
        self.shard(&key).write().insert(key, Arc::clone(&entry));
        self.count.fetch_add(1, Ordering::Relaxed);
        self.text_bytes.fetch_add(bytes, Ordering::Relaxed);
        entry
    }

    /// Throws out the least used. The caller holds `changing`, and there is an entry.
    fn evict(&self) {
        let mut by_use: Vec<(f64, Arc<Entry>)> = self
            .entries()
            .into_iter()
            .map(|entry| {
                let usage = entry.figures.lock().decay(USAGE_DECAY);
                (usage, entry)
            })
            .collect();
        by_use.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        let count = (by_use.len() * EVICTED_PERCENT / 100).max(EVICTED_MIN);
        for (_, entry) in by_use.iter().take(count) {
            self.remove(entry);
        }
        self.evictions.fetch_add(1, Ordering::Relaxed);
    }

    /// The caller holds `changing`.
    fn remove(&self, entry: &Entry) {
        entry.gone.store(true, Ordering::Relaxed);
        if self.shard(&entry.key).write().remove(&entry.key).is_some() {
            self.count.fetch_sub(1, Ordering::Relaxed);
            let bytes = entry.text.as_ref().map_or(0, |text| text.len());
            self.text_bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    /// Forgets statements: of a role, of a database, with an identifier; none and 0 are all of them.
    pub(crate) fn reset(&self, role: Oid, database: Oid, query_id: i64) {
        let _changing = self.changing.lock();
        let all = !role.is_some() && !database.is_some() && query_id == 0;
        for entry in self.entries() {
            let key = &entry.key;
            if (!role.is_some() || key.role == role)
                && (!database.is_some() || key.database == database)
                && (query_id == 0 || key.query_id == query_id)
            {
                self.remove(&entry);
            }
        }
        if all {
            self.evictions.store(0, Ordering::Relaxed);
            self.reset_time.store(clock::now(), Ordering::Relaxed);
        }
    }

    /// Every entry.
    pub(crate) fn entries(&self) -> Vec<Arc<Entry>> {
        let each = |shard: &RwLock<HashMap<_, Arc<Entry>>>| {
            shard.read().values().map(Arc::clone).collect::<Vec<_>>()
        };
        self.shards.iter().flat_map(each).collect()
    }

    /// How often entries were thrown out since the last reset.
    pub(crate) fn evictions(&self) -> u64 {
        self.evictions.load(Ordering::Relaxed)
    }

    /// When everything was forgotten last.
    pub(crate) fn reset_time(&self) -> i64 {
        self.reset_time.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(query_id: i64) -> Key {
        Key { role: Oid(10), database: Oid(5), query_id, top_level: true }
    }

    fn run(statistics: &StatementStatistics, query_id: i64) {
        let sample = Sample { execution_ms: 1.0, rows: 2, ..Sample::default() };
        statistics.entry(key(query_id), &Arc::from("SELECT $1")).add(&sample);
    }

    #[test]
    fn the_least_used_go_when_there_are_too_many() {
        let statistics = StatementStatistics::default();
        statistics.configure(StatisticsOptions { statements_max: 100, save: true });
        for id in 1..=100 {
            run(&statistics, id);
            if id <= 50 {
                run(&statistics, id);
            }
        }
        assert_eq!((statistics.entries().len(), statistics.evictions()), (100, 0));
        run(&statistics, 101);
        assert_eq!((statistics.entries().len(), statistics.evictions()), (91, 1));
        assert!((1..=50).all(|id| {
            let found = statistics.entry(key(id), &Arc::from("")).figures();
            found.execution.calls == 2
        }));
    }

    #[test]
    fn texts_have_a_bound_together() {
        let statistics = StatementStatistics::default();
        let text: Arc<str> = Arc::from("x".repeat(TEXT_LENGTH_MAX));
        for id in 1..=200 {
            drop(statistics.entry(key(id), &text));
            let bytes = statistics.text_bytes.load(Ordering::Relaxed);
            assert!(bytes <= TEXT_BYTES_MAX, "{bytes}");
        }
        assert!(statistics.evictions() > 0);
        let longer: Arc<str> = Arc::from("x".repeat(TEXT_LENGTH_MAX + 1));
        assert!(statistics.entry(key(0), &longer).text.is_none());
    }

    #[test]
    fn threads_that_run_one_statement_lose_no_run() {
        let statistics = StatementStatistics::default();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for at in 0..1_000 {
                        run(&statistics, at % 7 + 1);
                    }
                });
            }
        });
        let all = statistics.entries();
        let calls: u64 = all.iter().map(|entry| entry.figures().execution.calls).sum();
        let rows: u64 = all.iter().map(|entry| entry.figures().rows).sum();
        assert_eq!((all.len(), calls, rows), (7, 8_000, 16_000));
    }

    #[test]
    fn a_reset_may_name_what_it_forgets() {
        let statistics = StatementStatistics::default();
        let other = Key { role: Oid(11), ..key(1) };
        drop(statistics.entry(other, &Arc::from("a")));
        run(&statistics, 1);
        run(&statistics, 2);
        let kept = statistics.entry(key(1), &Arc::from("a"));
        statistics.reset(Oid::NONE, Oid::NONE, 2);
        assert_eq!(statistics.entries().len(), 2);
        statistics.reset(Oid(10), Oid::NONE, 0);
        assert!(!kept.is_live());
        assert_eq!(statistics.entries().iter().map(|it| it.key).collect::<Vec<_>>(), [other]);
        let before = statistics.reset_time();
        statistics.reset(Oid::NONE, Oid::NONE, 0);
        assert!(statistics.entries().is_empty() && statistics.reset_time() >= before);
    }

    #[test]
    fn what_is_saved_is_taken_once() {
        let disk = aegis_storage::MemoryDisk::default();
        let statistics = StatementStatistics::default();
        run(&statistics, 1);
        run(&statistics, 1);
        statistics.save(&disk);
        let next = StatementStatistics::default();
        next.load(&disk);
        let found = next.entries();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].text.as_deref(), Some("SELECT $1"));
        assert_eq!(found[0].figures(), statistics.entries()[0].figures());
        let third = StatementStatistics::default();
        third.load(&disk);
        assert!(third.entries().is_empty(), "a crash after a start leaves nothing");
    }
}
