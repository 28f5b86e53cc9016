//! Texts that come again, in the simple protocol with other literals: analyzed once for all sessions,
//! and planned once.
//!
//! What a text means hangs on the database, the role and the schemas that its names are looked up in:
//! they are a part of the key. Under another catalog it is a new text. One that comes for the first
//! time is only remembered; the second time it is made ready.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aegis_catalog::CatalogSnapshot;
use aegis_sql::template::{Lifted, Literal};
use aegis_types::Oid;
use parking_lot::Mutex;

use crate::session::Prepared;

const SHARDS: usize = 16;
/// How many templates a shard keeps: 1,024 in all.
const ENTRIES_MAX: usize = 64;
/// How many statements of one template, which differ in literals that are no parameters.
const VARIANTS_MAX: usize = 4;

/// What `aegis_stat_plan_cache` shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CacheCounts {
    /// Statements that were found ready.
    pub(crate) hits: u64,
    /// Statements that were not.
    pub(crate) misses: u64,
    /// Templates that had to go.
    pub(crate) evictions: u64,
    /// Templates that are there.
    pub(crate) entries: u64,
}

/// Which statement a text is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) template: Vec<u8>,
    pub(crate) database: Oid,
    pub(crate) role: Oid,
    pub(crate) search_path: Vec<Oid>,
}

/// A statement made ready.
#[derive(Clone)]
pub(crate) struct Ready {
    pub(crate) prepared: Arc<Prepared>,
    /// Which literals are its parameters, in order.
    pub(crate) lifted: Arc<[Lifted]>,
    /// The others, which are as they are.
    pub(crate) rest: Arc<[(usize, Literal)]>,
}

/// What the cache knows of a text.
pub(crate) enum Found {
    /// It is ready to be run.
    Ready(Ready),
    /// It was there before: it pays to make it ready.
    Again,
    /// It is new.
    New,
}

#[derive(Default)]
struct Entry {
    variants: Vec<Ready>,
    last_used: u64,
}

#[derive(Default)]
struct Shard {
    entries: HashMap<Key, Entry>,
    clock: u64,
}

/// The cache.
#[derive(Default)]
pub(crate) struct StatementCache {
    shards: [Mutex<Shard>; SHARDS],
    hasher: RandomState,
    hits: AtomicU64,
    misses: AtomicU64,
    evictions: AtomicU64,
}

impl StatementCache {
    fn shard(&self, key: &Key) -> &Mutex<Shard> {
        &self.shards[self.hasher.hash_one(key) as usize % SHARDS]
    }

    /// Looks a text up, and remembers that it was there.
    pub(crate) fn find(
        &self,
        key: &Key,
        catalog: &Arc<CatalogSnapshot>,
        fits: impl Fn(&Ready) -> bool,
    ) -> Found {
        let mut shard = self.shard(key).lock();
        shard.clock += 1;
        let now = shard.clock;
        if let Some(entry) = shard.entries.get_mut(key) {
            entry.last_used = now;
            entry.variants.retain(|ready| ready.prepared.is_under(catalog));
            if let Some(ready) = entry.variants.iter().find(|ready| fits(ready)) {
                self.hits.fetch_add(1, Ordering::Relaxed);
                return Found::Ready(ready.clone());
            }
            self.misses.fetch_add(1, Ordering::Relaxed);
            return Found::Again;
        }
        self.misses.fetch_add(1, Ordering::Relaxed);
        if shard.entries.len() >= ENTRIES_MAX {
            let oldest = shard.entries.iter().min_by_key(|(_, entry)| entry.last_used);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                shard.entries.remove(&oldest);
                self.evictions.fetch_add(1, Ordering::Relaxed);
            }
        }
        shard.entries.insert(key.clone(), Entry { variants: Vec::new(), last_used: now });
        Found::New
    }

    /// Keeps a statement for the texts of a key.
    pub(crate) fn keep(&self, key: &Key, ready: Ready) {
        let mut shard = self.shard(key).lock();
        let Some(entry) = shard.entries.get_mut(key) else { return };
        if entry.variants.len() >= VARIANTS_MAX {
            entry.variants.remove(0);
        }
        entry.variants.push(ready);
    }

    /// How well it does.
    pub(crate) fn counts(&self) -> CacheCounts {
        let entries: usize = self.shards.iter().map(|shard| shard.lock().entries.len()).sum();
        CacheCounts {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            evictions: self.evictions.load(Ordering::Relaxed),
            entries: entries as u64,
        }
    }
}
