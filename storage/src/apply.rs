//! Apply: committed entries, in log order, into the hot tier; then one publication.
//!
//! ```text
//! entries 41 42 43 ─► active map (versions 41 42 43) ─► catalog if it changed ─► Published(43)
//!                                                              then: locks go, answers go
//! ```
//!
//! One mutex, the applier's, is held for a batch, for a freeze, and for whatever else changes what
//! is published: so the tiers never change in the middle of a batch. An entry that uses a run is a
//! batch of its own, because the active map is frozen below the run.
//!
//! Apply never waits for a commit, a reader or the flusher, and never refuses. Space was set aside
//! before the entry was proposed. What it decides (the keys of appended rows, the time of a
//! commit) follows from the log alone, and is the same on every node and in every replay.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::commit_log::{Applied, LogEntry, LogIndex};
use crate::entry::{self, Append, Counter, Operation, each_index_entry};
use crate::hot::{HotMap, Version};
use crate::run::{Run, RunHash, Stamps};
use crate::snapshot::Snapshot;
use crate::store::{CatalogChange, Shared};
use crate::tiers::{Frozen, FrozenSource, Published, Tiers};
use crate::view::ReadView;
use crate::warm::AppliedPoint;
use crate::{CommandId, CommitSeq, Key, Result, StorageError, TreeId, Value};

/// How long a batch waits at most for keys to be taken out of the active map: each is looked for below it,
/// which may be on a disk.
const FORGETTING_MAX: Duration = Duration::from_micros(500);

/// What the applier remembers between batches.
#[derive(Debug)]
pub(crate) struct ApplyState {
    /// The last entry that was applied.
    pub(crate) applied: AppliedPoint,
    /// Trees dropped since the last freeze.
    drops: Vec<TreeId>,
    /// The next numbers of counters, as far as they were asked for.
    append_next: BTreeMap<Counter, u64>,
    live: Vec<CommitSeq>,
    /// Tombstones of the active map that may hide nothing, oldest first.
    buried: VecDeque<Buried>,
}

/// A key that was deleted after it was written to the same map.
#[derive(Debug)]
struct Buried {
    tree: TreeId,
    key: Key,
    seq: CommitSeq,
}

impl ApplyState {
    pub(crate) fn new(applied: AppliedPoint) -> Self {
        Self {
            applied,
            drops: Vec::new(),
            append_next: BTreeMap::new(),
            live: Vec::new(),
            buried: VecDeque::new(),
        }
    }
}

/// A batch being applied: what will be published after it.
struct Batch {
    tiers: Tiers,
    dropped: Arc<BTreeSet<TreeId>>,
    seq: CommitSeq,
    timestamp_us: i64,
    changed: Changed,
}

/// Which keys of system trees a batch changed.
enum Changed {
    Keys(Vec<(TreeId, Key)>),
    Unknown,
}

impl Shared {
    pub(crate) fn apply_entries(&self, entries: &[LogEntry]) -> Result<Vec<Applied>> {
        let mut state = self.apply.lock();
        let mut answers = Vec::with_capacity(entries.len());
        let mut resolved = Vec::new();
        let mut batch = self.begin_batch(&mut state);
        self.forget_buried(&mut state, &batch);
        for entry in entries {
            if entry.index <= state.applied.index {
                // Delivered twice: what it did is there.
                answers.push(Applied { index: entry.index, commit_seq: batch.seq });
                continue;
            }
            if !entry.payload.is_empty() {
                let seq = CommitSeq(entry.index.0);
                for transaction in entry::decode(&entry.payload)? {
                    let is_own = transaction.origin == self.origin;
                    let token = is_own.then_some(transaction.token);
                    let runs = runs(&transaction.operations);
                    if !runs.is_empty() {
                        self.publish(batch)?;
                        batch = self.begin_batch(&mut state);
                        self.use_runs(&mut state, &mut batch, &runs, token, entry.index)?;
                    }
                    batch.seq = seq;
                    batch.timestamp_us = batch.timestamp_us.max(transaction.timestamp_us);
                    self.apply_operations(&mut state, &mut batch, &transaction.operations)?;
                    resolved.extend(token.map(|token| (token, seq)));
                }
                batch.seq = seq;
            }
            state.applied = AppliedPoint {
                index: entry.index,
                seq: batch.seq,
                timestamp_us: batch.timestamp_us,
                log_state: entry.log_state.clone(),
            };
            answers.push(Applied { index: entry.index, commit_seq: batch.seq });
        }
        let active_bytes = batch.tiers.active.bytes();
        self.publish(batch)?;
        if active_bytes >= self.options.freeze_bytes {
            self.freeze(&mut state);
            self.flusher.wake();
        }
        let is_ready = state.applied.index >= self.flush_target;
        drop(state);
        for (token, seq) in resolved {
            self.resolve(token, Some(seq));
        }
        if is_ready {
            self.become_ready()?;
        }
        Ok(answers)
    }

    fn begin_batch(&self, state: &mut ApplyState) -> Batch {
        let current = self.current.load();
        self.registry.live(current.seq, &mut state.live);
        Batch {
            tiers: current.tiers.clone(),
            dropped: current.dropped.clone(),
            seq: current.seq,
            timestamp_us: current.timestamp_us,
            changed: Changed::Keys(Vec::new()),
        }
    }

    /// Takes keys out of the active map whose end every reader has seen, and that no tier below has.
    /// Nobody depends on it: it stops before a batch is kept, and what cannot be read stays.
    fn forget_buried(&self, state: &mut ApplyState, batch: &Batch) {
        let oldest = state.live.first().copied().unwrap_or(batch.seq);
        let began = Instant::now();
        while let Some(buried) = state.buried.pop_front_if(|buried| buried.seq <= oldest) {
            let (tree, key) = (buried.tree, buried.key.as_bytes());
            if matches!(batch.tiers.below_active(tree, key, batch.seq), Ok(None)) {
                batch.tiers.active.forget(tree, key, buried.seq);
            }
            if began.elapsed() > FORGETTING_MAX {
                break;
            }
        }
    }

    fn apply_operations(
        &self,
        state: &mut ApplyState,
        batch: &mut Batch,
        operations: &[Operation<'_>],
    ) -> Result<()> {
        for operation in operations {
            match *operation {
                Operation::Put { tree, key, value } => {
                    if tree == TreeId::STORAGE {
                        // A counter may have been moved on.
                        state.append_next.retain(|counter, _| counter.key() != *key);
                    }
                    self.apply_write(state, batch, tree, key, Some(value));
                }
                Operation::Delete { tree, key } => {
                    self.apply_write(state, batch, tree, key, None);
                }
                Operation::DropTree(tree) => {
                    let mut dropped = (*batch.dropped).clone();
                    if dropped.insert(tree) {
                        state.drops.push(tree);
                    }
                    batch.dropped = Arc::new(dropped);
                    state.append_next.retain(|counter, _| counter.tree != tree);
                    if self.is_system_tree(tree) {
                        batch.changed = Changed::Unknown;
                    }
                }
                Operation::Append(append) => self.apply_append(state, batch, &append)?,
                // Before the rest of its transaction: `use_runs`.
                Operation::UseRun { .. } => {}
            }
        }
        Ok(())
    }

    fn apply_write(
        &self,
        state: &mut ApplyState,
        batch: &mut Batch,
        tree: TreeId,
        key: &[u8],
        value: Option<&[u8]>,
    ) {
        if !batch.dropped.is_empty() && batch.dropped.contains(&tree) {
            return;
        }
        let version = Version { seq: batch.seq, value: value.map(Value::new) };
        if batch.tiers.active.insert(tree, key, version, &state.live) {
            state.buried.push_back(Buried { tree, key: Key::new(key), seq: batch.seq });
        }
        if let Changed::Keys(keys) = &mut batch.changed
            && self.is_system_tree(tree)
        {
            keys.push((tree, Key::new(key)));
        }
    }

    /// Numbers a row, and puts it and its index entries.
    fn apply_append(
        &self,
        state: &mut ApplyState,
        batch: &mut Batch,
        append: &Append<'_>,
    ) -> Result<()> {
        let number = self.next_number(state, batch, append.counter, append.first)?;
        let (key, value) = append.numbered(number, batch.timestamp_us);
        self.apply_write(state, batch, append.tree, &key, Some(&value));
        each_index_entry(append.entries, |tree, prefix| {
            let entry = [prefix, &key].concat();
            self.apply_write(state, batch, tree, &entry, Some(&[]));
        })?;
        let next = (number + 1).to_le_bytes();
        self.apply_write(state, batch, TreeId::STORAGE, &append.counter.key(), Some(&next));
        Ok(())
    }

    /// The next number of a counter. It is kept in storage's own tree, which a flush writes in
    /// its last batch, together with `applied`: a replay never meets a counter from its future.
    fn next_number(
        &self,
        state: &mut ApplyState,
        batch: &Batch,
        counter: Counter,
        first: u64,
    ) -> Result<u64> {
        let next = match state.append_next.get(&counter) {
            Some(next) => *next,
            None => {
                let newest = Published {
                    seq: CommitSeq(u64::MAX),
                    timestamp_us: 0,
                    tiers: batch.tiers.clone(),
                    dropped: batch.dropped.clone(),
                    catalog: Arc::new(()),
                };
                let stored = newest.get(TreeId::STORAGE, &counter.key())?;
                match stored {
                    None => first,
                    Some(row) => decode_counter(&row.value)?,
                }
            }
        };
        state.append_next.insert(counter, next + 1);
        Ok(next)
    }

    /// Puts the runs of one transaction over what is there: the active map is frozen below them.
    fn use_runs(
        &self,
        state: &mut ApplyState,
        batch: &mut Batch,
        hashes: &[RunHash],
        token: Option<u64>,
        index: LogIndex,
    ) -> Result<()> {
        let made_here = token.map(|token| self.proposals.runs_of(token)).unwrap_or_default();
        let mut frozen = Vec::with_capacity(hashes.len());
        for hash in hashes {
            let run = match made_here.iter().find(|run| run.hash() == Some(*hash)) {
                Some(run) => run.clone(),
                None => Arc::new(Run::open(self.disk.clone(), &self.runs_dir, *hash)?),
            };
            if run.trees().iter().any(|tree| self.is_system_tree(*tree)) {
                batch.changed = Changed::Unknown;
            }
            frozen.push(Arc::new(Frozen {
                source: FrozenSource::Run(run, Stamps::Commit(CommitSeq(index.0))),
                // Not the runs' own entry: that may have more operations, which are in the map
                // above.
                applied: state.applied.clone(),
                target: index,
                drops: Vec::new(),
            }));
        }
        self.freeze(state);
        let current = self.current.load();
        batch.tiers = current.tiers.clone();
        frozen.reverse();
        batch.tiers.frozen = frozen.into_iter().chain(batch.tiers.frozen.iter().cloned()).collect();
        self.flusher.wake();
        Ok(())
    }

    /// Freezes the active map: later entries go into a new one. Only between batches.
    pub(crate) fn freeze(&self, state: &mut ApplyState) {
        let current = self.current.load_full();
        let frozen_to = current
            .tiers
            .frozen
            .first()
            .map_or(self.durable.borrow().index, |frozen| frozen.applied.index);
        if state.applied.index <= frozen_to && current.tiers.active.is_empty() {
            return;
        }
        // What is below the next map may be this one.
        state.buried.clear();
        let frozen = Arc::new(Frozen {
            source: FrozenSource::Memory(current.tiers.active.clone()),
            applied: state.applied.clone(),
            target: state.applied.index,
            drops: std::mem::take(&mut state.drops),
        });
        let tiers = Tiers {
            active: Arc::new(HotMap::new(self.hot_account.clone())),
            frozen: [frozen].into_iter().chain(current.tiers.frozen.iter().cloned()).collect(),
            warm: current.tiers.warm.clone(),
        };
        self.store_published(&current, tiers, current.dropped.clone());
    }

    /// Publishes other tiers of the same state. The caller holds the applier's mutex.
    pub(crate) fn store_published(
        &self,
        current: &Published,
        tiers: Tiers,
        dropped: Arc<BTreeSet<TreeId>>,
    ) {
        self.current.store(Arc::new(Published {
            seq: current.seq,
            timestamp_us: current.timestamp_us,
            tiers,
            dropped,
            catalog: current.catalog.clone(),
        }));
    }

    fn publish(&self, batch: Batch) -> Result<()> {
        let previous = self.current.load_full();
        let mut published = Published {
            seq: batch.seq,
            timestamp_us: batch.timestamp_us,
            tiers: batch.tiers,
            dropped: batch.dropped,
            catalog: previous.catalog.clone(),
        };
        let changed = match &batch.changed {
            Changed::Keys(keys) if keys.is_empty() => None,
            Changed::Keys(keys) => Some(Some(keys.as_slice())),
            Changed::Unknown => Some(None),
        };
        if let Some(changed) = changed
            && self.ready.load(Ordering::SeqCst)
        {
            published = self.with_catalog(published, changed)?;
        }
        self.current.store(Arc::new(published));
        Ok(())
    }

    fn with_catalog(
        &self,
        published: Published,
        changed: Option<&[(TreeId, Key)]>,
    ) -> Result<Published> {
        let hook = self.catalog.read();
        let Some(hook) = &*hook else {
            return Ok(published);
        };
        let state = Arc::new(published);
        let snapshot = Arc::new(Snapshot::of_apply(state.clone(), &self.registry)?);
        let view = ReadView::new(snapshot, CommandId(0), None, None);
        let is_first = (*state.catalog).is::<()>();
        let catalog: Arc<dyn Any + Send + Sync> = (hook.builder)(&CatalogChange {
            view: &view,
            previous: (!is_first).then_some(&state.catalog),
            changed: if is_first { None } else { changed },
        });
        Ok(Published {
            seq: state.seq,
            timestamp_us: state.timestamp_us,
            tiers: state.tiers.clone(),
            dropped: state.dropped.clone(),
            catalog,
        })
    }

    /// Builds the catalog from everything, and publishes it.
    pub(crate) fn rebuild_catalog(&self) -> Result<()> {
        let _state = self.apply.lock();
        let current = self.current.load_full();
        let published = Published {
            seq: current.seq,
            timestamp_us: current.timestamp_us,
            tiers: current.tiers.clone(),
            dropped: current.dropped.clone(),
            catalog: Arc::new(()),
        };
        let published = self.with_catalog(published, None)?;
        self.current.store(Arc::new(published));
        Ok(())
    }
}

fn runs(operations: &[Operation<'_>]) -> Vec<RunHash> {
    operations
        .iter()
        .filter_map(|operation| match operation {
            Operation::UseRun { hash, .. } => Some(*hash),
            _ => None,
        })
        .collect()
}

/// Reads a counter of storage's own tree.
pub(crate) fn decode_counter(value: &[u8]) -> Result<u64> {
    let bytes = value
        .try_into()
        .map_err(|_| StorageError::Corrupted("a counter of storage is malformed".into()))?;
    Ok(u64::from_le_bytes(bytes))
}
