//! Proposals on their way, and the locks that they hold.
//!
//! ```text
//! session: encode ─ enter(locks) ─ propose ─ await ────────────────► answer
//!                       │                       ╲ dropped: the answer is left to the flusher's
//! apply: … publish ─ resolve(token) ─ locks go     thread, which looks at what was left
//! ```
//!
//! A proposal ends in one of two ways: apply has published it, or the log says for certain that it
//! is not in the log. A proposal of unknown outcome stays, with its locks, until the log delivers
//! it or [`Proposals::forget`] is called (this node leads again: all before is decided).

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::oneshot::{self, error::TryRecvError};

use crate::commit_log::{Applied, CommitLog, ProposeError};
use crate::entry::{EntryBuilder, Operation, each_index_entry};
use crate::locks::HeldLocks;
use crate::run::{Run, RunWriter};
use crate::scan::{Scan, own_cursors};
use crate::serializable::{ReadSet, WrittenKeys};
use crate::store::Shared;
use crate::write_set::WriteSet;
use crate::{
    Block, CommandId, CommitSeq, Direction, Key, KeyRange, Result, StorageError, TreeId,
    at_length_over,
};

/// What a row costs in the hot tier beyond its bytes.
const ROW_OVERHEAD_BYTES: u64 = 150;

type Answer = oneshot::Receiver<std::result::Result<Applied, ProposeError>>;

#[derive(Debug)]
struct Proposal {
    /// Held for its drop.
    _locks: HeldLocks,
    reserved: u64,
    in_window: bool,
    /// Those that its entry names.
    runs: Vec<Arc<Run>>,
}

/// Every proposal of this process whose outcome is not known.
#[derive(Debug, Default)]
pub(crate) struct Proposals {
    by_token: Mutex<HashMap<u64, Proposal>>,
    next_token: AtomicU64,
    /// Answers that nobody awaits any more.
    abandoned: Mutex<Vec<(u64, Answer)>>,
    /// Bytes of the hot tier promised to proposals.
    reserved: AtomicU64,
}

impl Proposals {
    pub(crate) fn reserved_bytes(&self) -> u64 {
        self.reserved.load(Ordering::Relaxed)
    }

    /// The runs that a proposal names, for apply, which need not open them again.
    pub(crate) fn runs_of(&self, token: u64) -> Vec<Arc<Run>> {
        self.by_token.lock().get(&token).map(|proposal| proposal.runs.clone()).unwrap_or_default()
    }

    fn take(&self, token: u64) -> Option<Proposal> {
        let proposal = self.by_token.lock().remove(&token)?;
        self.reserved.fetch_sub(proposal.reserved, Ordering::Relaxed);
        Some(proposal)
    }

    pub(crate) fn has_abandoned(&self) -> bool {
        !self.abandoned.lock().is_empty()
    }
}

/// The answer to a proposal; dropped before it has come, it is left for the flusher's thread.
struct Awaited {
    shared: Arc<Shared>,
    token: u64,
    answer: Option<Answer>,
}

impl Drop for Awaited {
    fn drop(&mut self) {
        if let Some(answer) = self.answer.take() {
            let mut abandoned = self.shared.proposals.abandoned.lock();
            abandoned.push((self.token, answer));
            drop(abandoned);
            self.shared.flusher.wake();
        }
    }
}

impl Shared {
    /// Proposes a write set and waits for its publication.
    pub(crate) async fn commit(
        self: Arc<Self>,
        writes: Arc<WriteSet>,
        reads: Option<(Arc<ReadSet>, CommitSeq)>,
        locks: HeldLocks,
    ) -> Result<CommitSeq> {
        self.check_can_write()?;
        let log = self.log()?;
        let token = self.proposals.next_token.fetch_add(1, Ordering::Relaxed) + 1;
        let in_memory = writes.bytes() as u64;
        let (entry, runs, reserve) = at_length_over(in_memory, || {
            let loads = writes.loads().filter(|_| in_memory <= self.options.memory.hot_bytes / 4);
            if let Some(loads) = loads {
                let (entry, operations) = self.encode(&writes, &loads, token);
                let reserve = entry.len() as u64 + operations * ROW_OVERHEAD_BYTES;
                Ok((entry, loads, reserve))
            } else {
                let (entry, run) = self.encode_large(&writes, token)?;
                let reserve = entry.len() as u64;
                Result::Ok((entry, vec![run], reserve))
            }
        })?;
        // From here to `propose`, whatever fails leaves nothing behind but the runs, which their
        // last holders remove.
        self.reserve(reserve).await?;
        let proposal = Proposal {
            _locks: locks,
            reserved: reserve,
            in_window: reads.is_some(),
            runs: runs.clone(),
        };
        self.proposals.by_token.lock().insert(token, proposal);
        if let Some((reads, seen)) = &reads {
            let check = Some((&**reads, *seen));
            let entered = self.window.check_and_enter(check, token, || written_keys(&writes));
            if let Err(error) = entered {
                self.resolve(token, None);
                return Err(error);
            }
        }
        runs.iter().for_each(|run| run.keep());
        at_length_over(in_memory, || drop((writes, reads, runs)));
        let mut awaited = Awaited { answer: Some(log.propose(entry)), token, shared: self.clone() };
        let answer = awaited.answer.as_mut().expect("it was put there just now");
        let outcome = answer.await;
        awaited.answer = None;
        self.settle(token, outcome.ok())
    }

    /// Draws the consequence of an answer; `None` if the log went away without one.
    fn settle(
        &self,
        token: u64,
        outcome: Option<std::result::Result<Applied, ProposeError>>,
    ) -> Result<CommitSeq> {
        match outcome {
            Some(Ok(applied)) => {
                // Apply has resolved it, unless it came through a snapshot of another node.
                self.resolve(token, Some(applied.commit_seq));
                Ok(applied.commit_seq)
            }
            Some(Err(ProposeError::Refused(reason))) => {
                self.resolve(token, None);
                Err(StorageError::CommitRefused(reason))
            }
            Some(Err(ProposeError::DiskFull)) => {
                self.resolve(token, None);
                Err(StorageError::DiskFull { file: "commit log".into() })
            }
            Some(Err(ProposeError::ShuttingDown)) => {
                self.resolve(token, None);
                Err(StorageError::ShuttingDown)
            }
            Some(Err(ProposeError::Unknown(reason))) => Err(StorageError::CommitUnknown(reason)),
            None => Err(StorageError::CommitUnknown("the commit log is gone".into())),
        }
    }

    /// A proposal was published, or is certainly not in the log: its locks go.
    pub(crate) fn resolve(&self, token: u64, seq: Option<CommitSeq>) {
        let Some(proposal) = self.proposals.take(token) else {
            return;
        };
        if proposal.in_window {
            self.window.resolve(token, seq);
        }
        if seq.is_none() {
            proposal.runs.iter().for_each(|run| run.remove_when_unused());
        }
        drop(proposal);
    }

    /// Looks at answers that nobody awaits.
    pub(crate) fn settle_abandoned(&self) {
        let mut settled = Vec::new();
        self.proposals.abandoned.lock().retain_mut(|(token, answer)| match answer.try_recv() {
            Err(TryRecvError::Empty) => true,
            Err(TryRecvError::Closed) => false,
            Ok(outcome) => {
                settled.push((*token, outcome));
                false
            }
        });
        for (token, outcome) in settled {
            if let Err(error) = self.settle(token, Some(outcome)) {
                tracing::debug!(%error, "a commit that nobody awaits did not happen");
            }
        }
    }

    /// Gives up every proposal of unknown outcome.
    pub(crate) fn forget_proposals(&self) {
        let tokens: Vec<u64> = self.proposals.by_token.lock().keys().copied().collect();
        for token in tokens {
            self.resolve(token, None);
        }
    }

    /// Names the loads, and writes out what is in memory.
    fn encode(&self, writes: &WriteSet, loads: &[Arc<Run>], token: u64) -> (Vec<u8>, u64) {
        let mut entry = self.new_entry(token);
        for run in loads {
            entry.push(use_run(run));
        }
        let mut operations = 0;
        writes.each_newest(|tree, key, value| {
            operations += 1;
            entry.push(match value {
                Some(value) => Operation::Put { tree, key, value },
                None => Operation::Delete { tree, key },
            });
        });
        operations += push_rest(writes, &mut entry);
        (entry.finish(), operations)
    }

    fn new_entry(&self, token: u64) -> EntryBuilder {
        EntryBuilder::new(self.origin, token, (self.options.clock)())
    }

    /// Merges what was spilled and what is in memory into one run, a row a key.
    fn encode_large(&self, writes: &Arc<WriteSet>, token: u64) -> Result<(Vec<u8>, Arc<Run>)> {
        writes.spill()?;
        let mut writer = RunWriter::create(self.disk.clone(), &self.runs_dir)?;
        let mut block = Block::default();
        for tree in writes.trees() {
            let range = KeyRange::all();
            let cursors = own_cursors(writes, tree, CommandId::ALL.0);
            let scan = Scan::new(None, cursors, &range, Direction::Forward);
            let mut scan = scan.keep_tombstones();
            while scan.next_block(&mut block)? {
                for at in 0..block.len() {
                    writer.push(tree, block.key(at), block.value(at), 0)?;
                }
            }
        }
        let run = writer.publish()?;
        // Until it is proposed it belongs to nobody.
        run.remove_when_unused();
        let mut entry = self.new_entry(token);
        if run.rows() > 0 {
            entry.push(use_run(&run));
        }
        push_rest(writes, &mut entry);
        Ok((entry.finish(), Arc::new(run)))
    }

    /// The log to propose to. Errors: 57P01, 57P03.
    pub(crate) fn log(&self) -> Result<Arc<dyn CommitLog>> {
        self.check_running()?;
        self.log.lock().clone().ok_or(StorageError::Starting)
    }

    /// Sets space of the hot tier aside, waiting for the flusher if need be. Errors: 53100, 53200.
    async fn reserve(&self, bytes: u64) -> Result<()> {
        let deadline = tokio::time::Instant::now() + self.options.memory_wait;
        loop {
            let freed = self.flusher.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            let used = self.hot_bytes() + self.proposals.reserved_bytes();
            let limit = self.options.memory.hot_bytes;
            // What alone exceeds the limit passes once little else is there: it cannot wait for
            // more than that.
            if used + bytes <= limit || used <= limit / 8 {
                self.proposals.reserved.fetch_add(bytes, Ordering::Relaxed);
                return Ok(());
            }
            self.flusher.request_freeze();
            if tokio::time::timeout_at(deadline, freed).await.is_err() {
                self.check_can_write()?;
                return Err(StorageError::OutOfMemory {
                    detail: format!(
                        "Changes that are not yet flushed take {used} of {limit} bytes."
                    ),
                });
            }
        }
    }
}

fn use_run(run: &Run) -> Operation<'static> {
    let hash = run.hash().expect("a published run has a hash");
    Operation::UseRun { hash, rows: run.rows() }
}

fn push_rest(writes: &WriteSet, entry: &mut EntryBuilder) -> u64 {
    let mut operations = 0;
    // Never in a run: a replay must not meet a counter from its future.
    writes.each_numbered(|counter, next| {
        operations += 1;
        let (key, value) = (&counter.key(), &next.to_le_bytes());
        entry.push(Operation::Put { tree: TreeId::STORAGE, key, value });
    });
    writes.each_append(|append| {
        operations += 1;
        entry.push(Operation::Append(append.row.operation()));
    });
    for tree in writes.dropped_trees() {
        operations += 1;
        entry.push(Operation::DropTree(tree));
    }
    operations
}

/// What the window of SERIALIZABLE is told: keys, and of spilled write sets whole trees.
fn written_keys(writes: &WriteSet) -> WrittenKeys {
    let mut written = WrittenKeys { keys: Vec::new(), trees: writes.dropped_trees() };
    if writes.has_spilled() {
        written.trees.extend(writes.trees());
    } else {
        writes.each_newest(|tree, key, _| written.keys.push((tree, key.clone())));
    }
    writes.each_append(|append| {
        written.trees.push(append.row.tree);
        // Their keys in indexes are not known yet, only how they begin: as what is looked for there.
        let visited = each_index_entry(&append.row.entries, |tree, start| {
            written.keys.push((tree, Key::new(start)));
        });
        visited.expect("the transaction has made the list itself");
    });
    written.trees.dedup();
    written
}
