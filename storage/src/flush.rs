//! Flush: a frozen source goes to the warm tier, oldest first, in durable batches.
//!
//! ```text
//! frozen at 900, applied in redb: 500
//!   batch 1   flush_target := 900, rows a..f          each batch is durable by itself
//!   batch 2   rows g..m
//!   batch 3   rows n..z, storage's own tree, applied := 900, drops noted
//!   publish   tiers without the frozen source, over a new read transaction; log purged to 900
//! ```
//!
//! **Why batches are safe.** Write sets are idempotent, and until the last batch `applied` says
//! 500: after a crash the log is replayed from there over whatever the batches wrote. In between
//! redb holds rows of 501..900 next to rows of 500. Nobody sees the mixture: running readers have
//! the frozen source above it, and after a crash nothing is served before 900 has been replayed.
//! The one thing that apply *reads* while replaying, the counters of append trees, travels in the
//! last batch.
//!
//! **While a reader pins much**, redb cannot reuse pages and its file would grow with every flush:
//! frozen maps then go to run files, which frees their memory, until the reader has gone. Beyond
//! `max_pinned_bytes` the oldest snapshot is given up.
//!
//! The flusher is one thread. It never needs a commit, and a commit needs it only for space.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::sync::Notify;

use crate::hot::{FillLimits, HotMap, Rest};
use crate::run::{Run, RunWriter, Stamps};
use crate::store::Shared;
use crate::tiers::{Frozen, FrozenSource, Published, Tiers};
use crate::warm::WarmBatch;
use crate::{Block, CommitSeq, Direction, KeyRange, Result, StorageError, TreeId};

/// How often the flusher looks around without being asked.
const IDLE: Duration = Duration::from_millis(500);
/// How often it looks at answers that nobody awaits.
const ABANDONED: Duration = Duration::from_millis(20);
const BATCH_BYTES_MAX: usize = 8 << 20;

/// How others talk to the flusher's thread.
#[derive(Debug, Default)]
pub(crate) struct Flusher {
    work: Mutex<Work>,
    woken: Condvar,
    stopping: AtomicBool,
    /// Space has become free, or something else has changed for who waits for it.
    pub(crate) freed: Notify,
    /// The thread has ended.
    pub(crate) ended: Notify,
    pub(crate) has_ended: AtomicBool,
}

#[derive(Debug, Default)]
struct Work {
    wake: bool,
    freeze: bool,
    /// How many wait for everything to be flushed.
    insisting: usize,
}

impl Flusher {
    pub(crate) fn wake(&self) {
        self.work.lock().wake = true;
        self.woken.notify_all();
    }

    /// Asks for the active map to be frozen and flushed.
    pub(crate) fn request_freeze(&self) {
        let mut work = self.work.lock();
        work.freeze = true;
        work.wake = true;
        self.woken.notify_all();
    }

    /// From now on frozen maps go to redb whatever is pinned.
    pub(crate) fn insist(&self, on: bool) {
        let mut work = self.work.lock();
        work.insisting = if on { work.insisting + 1 } else { work.insisting - 1 };
        work.wake = true;
        self.woken.notify_all();
    }

    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.wake();
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Sleeps until woken or for `at_most`; tells whether a freeze was asked for.
    fn sleep(&self, at_most: Duration) -> bool {
        let mut work = self.work.lock();
        if !work.wake && !self.is_stopping() {
            self.woken.wait_for(&mut work, at_most);
        }
        work.wake = false;
        std::mem::take(&mut work.freeze)
    }

    /// Pauses between batches, unless it is stopping.
    fn pause(&self, pause: Duration) {
        let mut work = self.work.lock();
        if !pause.is_zero() && !self.is_stopping() && !work.wake {
            self.woken.wait_for(&mut work, pause);
        }
    }

    fn is_insisted(&self) -> bool {
        self.work.lock().insisting > 0
    }
}

/// The body of the flusher's thread: it ends when the store has gone or stops.
pub(crate) fn run(flusher: &Arc<Flusher>, store: &Weak<Shared>) {
    let mut idle = IDLE;
    loop {
        let freeze = flusher.sleep(idle);
        let Some(shared) = store.upgrade() else {
            break;
        };
        if flusher.is_stopping() {
            break;
        }
        shared.settle_abandoned();
        idle = if shared.proposals.has_abandoned() { ABANDONED } else { IDLE };
        if let Err(error) = shared.flush_round(freeze) {
            if !flusher.is_stopping() {
                shared.fail(&format!("flush: {error}"));
            }
            break;
        }
    }
    flusher.has_ended.store(true, Ordering::SeqCst);
    flusher.freed.notify_waiters();
    flusher.ended.notify_waiters();
}

impl Shared {
    fn flush_round(&self, freeze: bool) -> Result<()> {
        self.bound_pins();
        let replay_bytes = self.log.lock().as_ref().map_or(0, |log| log.replay_bytes());
        let has_frozen = !self.current.load().tiers.frozen.is_empty();
        if freeze || (replay_bytes > self.options.replay_bytes_max && !has_frozen) {
            let mut state = self.apply.lock();
            self.freeze(&mut state);
        }
        while !self.flusher.is_stopping() {
            self.bound_pins();
            let current = self.current.load_full();
            let Some(oldest) = current.tiers.frozen.last().cloned() else {
                break;
            };
            let is_pinned = self.pinned_bytes() > self.options.max_pinned_bytes / 2;
            if is_pinned && !self.flusher.is_insisted() {
                if !self.freeze_into_runs(&current)? {
                    break;
                }
            } else {
                drop(current);
                self.flush_frozen(oldest)?;
            }
            self.flusher.freed.notify_waiters();
        }
        self.reclaim_drops()
    }

    /// What old snapshots alone hold back: maps that no reader of today needs, and pages of redb
    /// that were replaced since the oldest snapshot.
    pub(crate) fn pinned_bytes(&self) -> u64 {
        // Before the newest state: whatever that does not hold has been replaced.
        let states = self.registry.states();
        let current = self.current.load();
        let Some(oldest) = self.registry.oldest_state() else {
            return 0;
        };
        let flushed = self.flushed_bytes.load(Ordering::Relaxed);
        let warm = if Arc::ptr_eq(&oldest.tiers.warm, &current.tiers.warm) {
            0
        } else {
            flushed.saturating_sub(oldest.tiers.warm.flushed_bytes)
        };
        // Told by who holds them: what has been allocated besides is also held for a moment by
        // whoever is about to look at the newest state.
        let mut known: BTreeSet<*const HotMap> = maps(&current).map(Arc::as_ptr).collect();
        let mut hot = 0;
        for state in &states {
            for map in maps(state) {
                if known.insert(Arc::as_ptr(map)) {
                    hot += map.bytes();
                }
            }
        }
        warm + hot
    }

    /// Gives up old snapshots until they hold back no more than they may.
    fn bound_pins(&self) {
        while self.pinned_bytes() > self.options.max_pinned_bytes {
            let published = self.current.load().seq;
            let Some(seq) = self.registry.give_up_oldest(published) else {
                return;
            };
            tracing::warn!(seq = seq.0, "gave up a snapshot that held back too much");
            self.flusher.freed.notify_waiters();
        }
    }

    /// Writes frozen maps to run files, in place. False if there was none to write.
    fn freeze_into_runs(&self, current: &Published) -> Result<bool> {
        let Some((frozen, map)) =
            current.tiers.frozen.iter().rev().find_map(|frozen| match &frozen.source {
                FrozenSource::Memory(map) => Some((frozen.clone(), map.clone())),
                FrozenSource::Run(..) => None,
            })
        else {
            return Ok(false);
        };
        let mut writer = RunWriter::create(self.disk.clone(), &self.runs_dir)?;
        for tree in map.tree_ids() {
            each_block(&map, tree, |block| {
                (0..block.len()).try_for_each(|at| {
                    writer.push(tree, block.key(at), block.value(at), block.row(at).seq.0)
                })
            })?;
        }
        let run = Arc::new(writer.into_spill()?);
        let replacement = Arc::new(Frozen {
            source: FrozenSource::Run(run, Stamps::Sequences),
            applied: frozen.applied.clone(),
            target: frozen.target,
            drops: frozen.drops.clone(),
        });
        let _state = self.apply.lock();
        let current = self.current.load_full();
        let mut tiers = current.tiers.clone();
        tiers.frozen = tiers
            .frozen
            .iter()
            .map(
                |there| {
                    if Arc::ptr_eq(there, &frozen) { replacement.clone() } else { there.clone() }
                },
            )
            .collect();
        self.store_published(&current, tiers, current.dropped.clone());
        Ok(true)
    }

    /// Flushes the oldest frozen source and publishes the tiers without it.
    fn flush_frozen(&self, frozen: Arc<Frozen>) -> Result<()> {
        let dropped = self.current.load().dropped.clone();
        let mut writer = BatchWriter {
            shared: self,
            batch: None,
            frozen: &frozen,
            dropped: &dropped,
            noted_target: false,
            rows: 0,
            bytes: 0,
            own_rows: Vec::new(),
        };
        match &frozen.source {
            FrozenSource::Memory(map) => {
                for tree in map.tree_ids() {
                    each_block(map, tree, |block| writer.write(tree, block))?;
                }
            }
            FrozenSource::Run(run, stamps) => writer.write_run(run, stamps)?,
        }
        writer.finish()?;
        let warm = self.flushed_bytes.load(Ordering::Relaxed);
        let warm = Arc::new(self.warm.snapshot(warm)?);
        if let FrozenSource::Run(run, _) = &frozen.source {
            self.retired_runs.lock().push((frozen.target, run.clone()));
        }
        {
            let _state = self.apply.lock();
            let current = self.current.load_full();
            let tiers = Tiers {
                active: current.tiers.active.clone(),
                frozen: current
                    .tiers
                    .frozen
                    .iter()
                    .filter(|there| !Arc::ptr_eq(there, &frozen))
                    .cloned()
                    .collect(),
                warm,
            };
            self.store_published(&current, tiers, current.dropped.clone());
        }
        let (durable, applied) = (frozen.applied.clone(), frozen.applied.index);
        self.reclaimable.lock().extend(&frozen.drops);
        drop(frozen);
        // A run may go once no replay can ask for it: when its own entry is behind `applied`.
        self.retired_runs.lock().retain(|(target, run)| {
            let is_needed = *target > applied;
            if !is_needed {
                run.remove_when_unused();
            }
            is_needed
        });
        // Last: whoever waits for the flush finds all of it done.
        self.durable.send_replace(durable);
        if let Some(log) = self.log.lock().clone() {
            log.purge_to(applied);
        }
        Ok(())
    }

    /// Frees the pages of dropped trees, one tree a transaction.
    fn reclaim_drops(&self) -> Result<()> {
        while !self.flusher.is_stopping() {
            let Some(tree) = self.reclaimable.lock().pop() else {
                return Ok(());
            };
            let mut batch = self.warm.begin_write()?;
            batch.reclaim(tree)?;
            batch.commit()?;
            let warm = self.flushed_bytes.load(Ordering::Relaxed);
            let warm = Arc::new(self.warm.snapshot(warm)?);
            let _state = self.apply.lock();
            let current = self.current.load_full();
            let mut tiers = current.tiers.clone();
            tiers.warm = warm;
            let mut dropped = (*current.dropped).clone();
            dropped.remove(&tree);
            self.store_published(&current, tiers, Arc::new(dropped));
        }
        Ok(())
    }
}

/// The maps that a state holds in memory.
fn maps(state: &Published) -> impl Iterator<Item = &Arc<HotMap>> {
    let frozen = state.tiers.frozen.iter().filter_map(|frozen| match &frozen.source {
        FrozenSource::Memory(map) => Some(map),
        FrozenSource::Run(..) => None,
    });
    std::iter::once(&state.tiers.active).chain(frozen)
}

/// The newest rows of a tree of a map, tombstones too, in blocks.
fn each_block(
    map: &HotMap,
    tree: TreeId,
    mut visit: impl FnMut(&Block) -> Result<()>,
) -> Result<()> {
    let Some(hot) = map.tree(tree) else {
        return Ok(());
    };
    let limits = FillLimits { rows_max: 1024, bytes_max: 1 << 20 };
    let mut block = Block::default();
    let mut rest = Rest::Range(KeyRange::all());
    while let Rest::Range(range) = rest {
        block.clear();
        let newest = CommitSeq(u64::MAX);
        rest = hot.fill(&mut block, range, Direction::Forward, newest, limits);
        visit(&block)?;
    }
    Ok(())
}

/// Cuts the rows of a frozen source into durable batches.
struct BatchWriter<'a> {
    shared: &'a Shared,
    batch: Option<WarmBatch>,
    frozen: &'a Frozen,
    dropped: &'a BTreeSet<TreeId>,
    noted_target: bool,
    rows: usize,
    bytes: usize,
    /// Storage's own tree: for the last batch.
    own_rows: Vec<Block>,
}

impl BatchWriter<'_> {
    fn batch(&mut self) -> Result<&mut WarmBatch> {
        if self.batch.is_none() {
            let mut batch = self.shared.warm.begin_write()?;
            if !self.noted_target {
                // Rows of trees dropped meanwhile are left out: nothing is to be served after a
                // crash before their drop has been replayed.
                let newest = self.shared.current.load().seq.0;
                let target = self.frozen.target.0.max(newest);
                batch.note_flush_target(crate::commit_log::LogIndex(target))?;
                self.noted_target = true;
            }
            self.batch = Some(batch);
        }
        Ok(self.batch.as_mut().expect("it was begun just now"))
    }

    fn write(&mut self, tree: TreeId, block: &Block) -> Result<()> {
        if tree == TreeId::STORAGE {
            self.own_rows.push(block.clone());
            return Ok(());
        }
        if block.is_empty() || self.dropped.contains(&tree) {
            return Ok(());
        }
        self.batch()?.write_tree(tree, block_rows(block))?;
        self.rows += block.len();
        self.bytes += block.byte_len();
        if self.rows >= self.shared.options.flush_batch_rows || self.bytes >= BATCH_BYTES_MAX {
            self.commit()?;
            self.shared.flusher.pause(self.shared.options.flush_pause);
            if self.shared.flusher.is_stopping() {
                return Err(StorageError::ShuttingDown);
            }
        }
        Ok(())
    }

    fn write_run(&mut self, run: &Run, stamps: &Stamps) -> Result<()> {
        let mut rows = Block::default();
        for at in 0..run.blocks() {
            let block = run.block(at)?;
            let mut current = None;
            for (tree, key, value, stamp) in block.iter() {
                if current != Some(tree) {
                    if let Some(before) = current.replace(tree) {
                        self.write(before, &rows)?;
                    }
                    rows.clear();
                }
                let seq = match stamps {
                    Stamps::Commit(seq) => *seq,
                    Stamps::Sequences | Stamps::Commands { .. } => CommitSeq(stamp),
                };
                rows.push(key, value, seq);
            }
            if let Some(tree) = current {
                self.write(tree, &rows)?;
            }
            rows.clear();
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        if let Some(batch) = self.batch.take() {
            batch.commit()?;
        }
        let written = self.bytes as u64;
        self.shared.flushed_bytes.fetch_add(written, Ordering::Relaxed);
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }

    fn finish(mut self) -> Result<()> {
        let own_rows = std::mem::take(&mut self.own_rows);
        let frozen = self.frozen;
        let batch = self.batch()?;
        for block in &own_rows {
            batch.write_tree(TreeId::STORAGE, block_rows(block))?;
        }
        batch.note_drops(&frozen.drops)?;
        batch.note_applied(&frozen.applied)?;
        self.commit()
    }
}

fn block_rows(block: &Block) -> impl Iterator<Item = (&[u8], Option<&[u8]>, CommitSeq)> {
    (0..block.len()).map(|at| (block.key(at), block.value(at), block.row(at).seq))
}
