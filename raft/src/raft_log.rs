//! [`RaftLog`]: the commit log that storage proposes to, on one node or on many.
//!
//! ```text
//! propose (any thread) ──► openraft's queue ──► append ──► writer thread ──► fdatasync
//!                                                                               │
//! receiver ◄── answers of the batch ◄── Applier::apply_batch ◄── committed ◄────┘
//! ```
//!
//! A proposal costs no task: it is one message to openraft's core, and its answer is sent from
//! where the batch was applied. Whoever proposes while the disk works rides in the next batch.
//!
//! **Start.** The log is replayed into the applier up to the last committed mark, then this node
//! elects itself, at once and without waiting for a timeout, and commits a blank entry: everything
//! durable is committed with it. [`RaftLog::open`] returns when all of that is applied.
//!
//! **Stop.** Three things are fatal and reported once through `on_fatal`: a disk that fails to
//! write or sync, a store that fails to apply, an openraft core that ends by itself. From then on
//! proposals are refused; those under way answer [`ProposeError::Unknown`].

use std::path::Path;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use aegis_storage::CommitSeq;
use aegis_storage::commit_log::{Applied, Applier, CommitLog, LogIndex, ProposeError};
use futures::FutureExt;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::ClientWriteError;
use openraft::metrics::RaftServerMetrics;
use openraft::raft::ClientWriteResult;
use openraft::type_config::alias::WatchReceiverOf;
use openraft::{BasicNode, Config, Raft, RaftMetrics, ReadPolicy, SnapshotPolicy};
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot, watch};

use crate::disk::{DirectoryDisk, Disk};
use crate::error::LogError;
use crate::log_store::LogStore;
use crate::network::NoNetwork;
use crate::segment_log::PAYLOAD_BYTES_MAX;
use crate::state_machine::{self, StateMachine};
use crate::types::{Reply, TypeConfig, WriteSet};
use crate::writer::{OnFatal, Room};

#[cfg(test)]
mod tests;

/// Proposals under way at once; openraft's queue has room for twice as many, so that it never
/// pushes back. More are refused.
const IN_FLIGHT_MAX: usize = 32 << 10;
/// The longest proposal: a record's limit less the entry's own header.
const PROPOSAL_BYTES_MAX: usize = PAYLOAD_BYTES_MAX - 1024;
/// What an entry costs in the log beyond its payload, rounded up.
const ENTRY_OVERHEAD_BYTES: u64 = 128;
/// On a full disk this much is kept for votes and marks.
const RESERVED_BYTES: u64 = 64 << 10;

/// How the log is laid out and how much memory it takes.
#[derive(Clone, Debug)]
pub struct RaftLogOptions {
    /// This node's number in the cluster; it must not change in a directory's life.
    pub node_id: u64,
    /// The length of a segment file, in bytes. Purging is by whole segments.
    pub segment_bytes: u64,
    /// How much of the log's tail is kept in memory, in bytes; what is not written yet comes on
    /// top.
    pub tail_bytes_max: usize,
    /// Whether the thread that appends may wait for the disk itself: nobody else is kept by that.
    pub in_place: fn() -> bool,
}

impl Default for RaftLogOptions {
    fn default() -> Self {
        Self { node_id: 1, segment_bytes: 16 << 20, tail_bytes_max: 16 << 20, in_place: || false }
    }
}

/// The replicated, durable log of a server; so far with this server as the only voter.
pub struct RaftLog {
    raft: Raft<TypeConfig, StateMachine>,
    store: LogStore,
    applier: Arc<dyn Applier>,
    runtime: Handle,
    load: Arc<Load>,
    segment_bytes: u64,
    this: Weak<Self>,
    purge_target: watch::Sender<u64>,
    /// Set by shutdown, and by a fatal error.
    closing: Arc<AtomicBool>,
    failed: Arc<AtomicBool>,
}

impl RaftLog {
    /// Opens the log in `directory`, creating it if it is not there, replays it into `applier`
    /// and takes the lead. Call it on a tokio runtime with time enabled, which must outlive the
    /// log. `on_fatal` is called at most once, from any thread, when the node must stop.
    pub async fn open(
        directory: &Path,
        options: RaftLogOptions,
        applier: Arc<dyn Applier>,
        on_fatal: impl Fn(Arc<LogError>) + Send + Sync + 'static,
    ) -> Result<Arc<Self>, LogError> {
        let disk = DirectoryDisk::open(directory).map_err(|source| {
            let file = directory.display().to_string();
            match source.kind() {
                std::io::ErrorKind::ResourceBusy => LogError::InUse(file),
                _ => LogError::Io { action: "open the directory of", file, source },
            }
        })?;
        Self::open_on(Arc::new(disk), options, applier, on_fatal).await
    }

    /// As [`open`](Self::open), on any [`Disk`].
    pub async fn open_on(
        disk: Arc<dyn Disk>,
        options: RaftLogOptions,
        applier: Arc<dyn Applier>,
        on_fatal: impl Fn(Arc<LogError>) + Send + Sync + 'static,
    ) -> Result<Arc<Self>, LogError> {
        let closing = Arc::new(AtomicBool::new(false));
        let failed = Arc::new(AtomicBool::new(false));
        let on_fatal: OnFatal = {
            let (closing, failed) = (Arc::clone(&closing), Arc::clone(&failed));
            Arc::new(move |error| {
                closing.store(true, Ordering::SeqCst);
                if !failed.swap(true, Ordering::SeqCst) {
                    on_fatal(error);
                }
            })
        };
        let store = open_store(disk, options.clone(), Arc::clone(&on_fatal)).await?;
        let state_machine = StateMachine::new(Arc::clone(&applier), Arc::clone(&on_fatal))?;
        check_fit(&store, applier.as_ref())?;

        let raft = Raft::new(
            options.node_id,
            Arc::new(config()?),
            NoNetwork,
            store.clone(),
            state_machine,
        )
        .await
        .map_err(raft_error)?;
        let (purge_target, purge_targets) = watch::channel(0);
        let runtime = Handle::current();
        let log = Arc::new_cyclic(|this| Self {
            raft,
            store,
            applier,
            runtime,
            load: Arc::default(),
            segment_bytes: options.segment_bytes,
            this: this.clone(),
            purge_target,
            closing,
            failed,
        });
        log.take_the_lead(options.node_id).await?;
        log.spawn(purge_on_request(log.raft.clone(), Arc::clone(&log.applier), purge_targets));
        log.spawn(report_end_of_core(
            log.raft.server_metrics(),
            log.raft.metrics(),
            Arc::clone(&log.closing),
            on_fatal,
        ));
        Ok(log)
    }

    /// Lets the proposals under way finish, writes out the log, stops, and lets go of the
    /// directory. Proposals from now on are answered [`ProposeError::ShuttingDown`]. Call it once.
    pub async fn shutdown(&self) -> Result<(), LogError> {
        self.closing.store(true, Ordering::SeqCst);
        self.load.wait_until_idle().await;
        tracing::debug!("no proposal is under way: stopping raft");
        self.raft.shutdown().await.map_err(raft_error)?;
        tracing::debug!("raft has stopped: stopping the writer");
        let stopped = self.store.writer().stop().await;
        tracing::debug!("the log has stopped");
        if self.failed.load(Ordering::SeqCst) {
            // What went wrong was reported when it did.
            return Ok(());
        }
        stopped.map_err(raft_error)
    }

    /// Becomes leader at once, and waits until everything in the log is committed and applied.
    async fn take_the_lead(&self, node_id: u64) -> Result<(), LogError> {
        if self.raft.is_initialized().await.map_err(raft_error)? {
            self.raft.trigger().elect(false).await.map_err(raft_error)?;
        } else {
            let members = std::collections::BTreeMap::from([(node_id, BasicNode::default())]);
            self.raft.initialize(members).await.map_err(raft_error)?;
        }
        let leading = |metrics: &RaftMetrics<TypeConfig>| {
            metrics.state.is_leader() || metrics.running_state.is_err()
        };
        let wait = self.raft.wait(None);
        wait.metrics(leading, "leading").await.map_err(raft_error)?;
        self.raft.ensure_linearizable(ReadPolicy::ReadIndex).await.map_err(raft_error)?;
        Ok(())
    }

    /// The one place where this crate starts a task.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        drop(self.runtime.spawn(task));
    }

    /// Why a proposal of this length cannot be taken now, if it cannot.
    fn refusal(&self, payload_bytes: usize) -> Option<ProposeError> {
        let refused = |reason: &str| Some(ProposeError::Refused(reason.to_owned()));
        if self.closing.load(Ordering::SeqCst) {
            if self.failed.load(Ordering::SeqCst) {
                return refused("the commit log has stopped after an error");
            }
            return Some(ProposeError::ShuttingDown);
        }
        if payload_bytes > PROPOSAL_BYTES_MAX {
            return refused("the entry is too long");
        }
        if self.load.count.load(Ordering::SeqCst) > IN_FLIGHT_MAX {
            return refused("too many commits are under way");
        }
        None
    }

    /// Waits until the log has room for a proposal beside all that it was let have, so that the
    /// writer, which can refuse nothing, never asks a full disk for space. Mostly there is room, and
    /// this waits for nothing.
    ///
    /// A spare segment takes whatever is alone. Without one its maker is asked, and tells either of a
    /// new segment or why there is none.
    async fn wait_for_room(&self, proposal: &mut Proposal) -> Result<(), ProposeError> {
        let writer = self.store.writer();
        let reserved = RESERVED_BYTES.min(self.segment_bytes / 8);
        while !proposal.enter(&writer.room(), reserved) {
            let (mut changed, mut lighter) =
                (pin!(writer.room_changed()), pin!(self.load.lighter.notified()));
            changed.as_mut().enable();
            lighter.as_mut().enable();
            // Looked at again: what changes from here on is heard of.
            let room = writer.room();
            if proposal.enter(&room, reserved) {
                break;
            }
            if self.failed.load(Ordering::SeqCst) {
                let reason = "the commit log has stopped after an error";
                return Err(ProposeError::Refused(reason.to_owned()));
            }
            if !room.has_spare {
                writer.request_room();
                match room.failed_spare {
                    Some(error) if error.is_disk_full() => return Err(ProposeError::DiskFull),
                    Some(error) => return Err(ProposeError::Refused(error.to_string())),
                    None => {}
                }
            }
            tokio::select! {
                () = changed => {}
                () = lighter => {}
            }
        }
        Ok(())
    }
}

impl Drop for RaftLog {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::SeqCst);
    }
}

impl CommitLog for RaftLog {
    fn propose(&self, payload: Vec<u8>) -> oneshot::Receiver<Result<Applied, ProposeError>> {
        let (answer, receiver) = oneshot::channel();
        // Counted before `closing` is read: shutdown waits for everyone that did not see it set.
        let mut proposal = Proposal::begin(answer, &self.load, payload.len());
        if let Some(refusal) = self.refusal(payload.len()) {
            proposal.answer(Err(refusal));
            return receiver;
        }
        let log = self.this.clone();
        let raft = self.raft.clone();
        let mut sending = Box::pin(async move {
            let Some(log) = log.upgrade() else {
                return;
            };
            if let Err(refusal) = log.wait_for_room(&mut proposal).await {
                proposal.answer(Err(refusal));
                return;
            }
            drop(log);
            let reply = Reply(Box::new(move |result| proposal.complete(result)));
            // An error means that the core has ended; dropping the reply has answered already.
            let _ = raft.client_write_ff(WriteSet(payload.into()), Some(reply)).await;
        });
        // The queue has room for more than may be under way, so this is done in one go, but where the
        // log waits for room. Tokio's cooperative budget must not make it seem otherwise.
        if tokio::task::unconstrained(sending.as_mut()).now_or_never().is_none() {
            self.spawn(sending);
        }
        receiver
    }

    fn purge_to(&self, index: LogIndex) {
        self.purge_target.send_if_modified(|target| {
            let further = index.0 > *target;
            *target = index.0.max(*target);
            further
        });
    }

    fn replay_bytes(&self) -> u64 {
        // The entry behind the last durable one has the durable one's number here.
        let (durable, _) = self.applier.durable_applied();
        self.store.bytes_from(durable.0)
    }
}

/// How much is under way.
#[derive(Default)]
struct Load {
    count: AtomicUsize,
    /// Bytes of the proposals that have entered the log's room.
    entered_bytes: AtomicU64,
    idle: Notify,
    /// Something under way has ended.
    lighter: Notify,
}

impl Load {
    async fn wait_until_idle(&self) {
        loop {
            let idle = self.idle.notified();
            if self.count.load(Ordering::SeqCst) == 0 {
                return;
            }
            idle.await;
        }
    }
}

/// A proposal under way. It is answered once, whatever happens: dropped unanswered, its outcome
/// is unknown.
struct Proposal {
    answer: Option<oneshot::Sender<Result<Applied, ProposeError>>>,
    load: Arc<Load>,
    bytes: u64,
    has_entered: bool,
}

impl Proposal {
    fn begin(
        answer: oneshot::Sender<Result<Applied, ProposeError>>,
        load: &Arc<Load>,
        payload_bytes: usize,
    ) -> Self {
        let bytes = payload_bytes as u64 + ENTRY_OVERHEAD_BYTES;
        load.count.fetch_add(1, Ordering::SeqCst);
        Self { answer: Some(answer), load: Arc::clone(load), bytes, has_entered: false }
    }

    /// Takes its part of the log's room, if there is enough of it.
    fn enter(&mut self, room: &Room, reserved: u64) -> bool {
        let free = room.bytes.saturating_sub(reserved);
        let entered =
            self.load.entered_bytes.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |entered| {
                let with_this = entered + self.bytes;
                // An entry that does not fit the rest of a segment leaves that rest unused.
                let fits = with_this + self.bytes <= free || (entered == 0 && room.has_spare);
                fits.then_some(with_this)
            });
        self.has_entered = entered.is_ok();
        self.has_entered
    }

    fn complete(self, result: ClientWriteResult<TypeConfig>) {
        self.answer(match result {
            Ok(response) => Ok(Applied {
                index: LogIndex(response.data.index),
                commit_seq: CommitSeq(response.data.commit_seq),
            }),
            Err(ClientWriteError::LogEntryDiscarded(_)) => Err(ProposeError::Unknown(
                "leadership was lost while the entry was being replicated".to_owned(),
            )),
            Err(refused) => Err(ProposeError::Refused(refused.to_string())),
        });
    }

    fn answer(mut self, outcome: Result<Applied, ProposeError>) {
        if let Some(answer) = self.answer.take() {
            // A session that went away does not want to know.
            let _ = answer.send(outcome);
        }
    }
}

impl Drop for Proposal {
    fn drop(&mut self) {
        if let Some(answer) = self.answer.take() {
            let reason = "the commit log stopped while the entry was under way";
            let _ = answer.send(Err(ProposeError::Unknown(reason.to_owned())));
        }
        if self.has_entered {
            self.load.entered_bytes.fetch_sub(self.bytes, Ordering::SeqCst);
        }
        if self.load.count.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.load.idle.notify_waiters();
        }
        self.load.lighter.notify_waiters();
    }
}

/// openraft's settings. It takes no snapshot and purges nothing of its own accord; with one voter
/// its clocks decide nothing, so they tick slowly.
fn config() -> Result<Config, LogError> {
    let config = Config {
        cluster_name: "aegis".to_owned(),
        heartbeat_interval: 500,
        election_timeout_min: 1500,
        election_timeout_max: 3000,
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: u64::MAX,
        api_channel_size: Some(2 * IN_FLIGHT_MAX as u64),
        ..Config::default()
    };
    config.validate().map_err(raft_error)
}

/// Opening reads and may write whole segments: not on a thread that serves others.
async fn open_store(
    disk: Arc<dyn Disk>,
    options: RaftLogOptions,
    on_fatal: OnFatal,
) -> Result<LogStore, LogError> {
    let opening = tokio::task::spawn_blocking(move || {
        LogStore::open(
            disk,
            options.segment_bytes,
            options.tail_bytes_max,
            options.in_place,
            on_fatal,
        )
    });
    opening.await.map_err(raft_error)?
}

/// Whether the log holds every entry that the store has not made durable. openraft would fill a
/// hole by forgetting that there was one.
fn check_fit(store: &LogStore, applier: &dyn Applier) -> Result<(), LogError> {
    let (durable, _) = applier.durable_applied();
    let (purged, next) = store.extent();
    if let Some(purged) = purged.map(|index| state_machine::seam_index(index).0)
        && purged > durable.0
    {
        return Err(LogError::Mismatch(format!(
            "the log begins behind entry {purged}, the store is durable up to entry {}",
            durable.0
        )));
    }
    // `next` in openraft's numbers is the last entry in the seam's.
    if next < durable.0 {
        return Err(LogError::Mismatch(format!(
            "the log ends with entry {next}, the store is durable up to entry {}",
            durable.0
        )));
    }
    Ok(())
}

/// Purges as far as it was last asked to, but never beyond what the store has made durable.
async fn purge_on_request(
    raft: Raft<TypeConfig, StateMachine>,
    applier: Arc<dyn Applier>,
    mut targets: watch::Receiver<u64>,
) {
    while targets.changed().await.is_ok() {
        let target = *targets.borrow_and_update();
        let durable = match state_machine::durable_state(applier.as_ref()) {
            Ok((durable, _)) => durable,
            Err(error) => {
                tracing::error!(%error, "the log is not purged");
                continue;
            }
        };
        let asked = state_machine::raft_index(LogIndex(target));
        let (Some(asked), Some(durable)) = (asked, durable) else {
            continue;
        };
        // openraft purges only behind a snapshot, which is the store's checkpoint.
        let mut snapshots = raft.watch_snapshot_progress();
        let purged = async {
            raft.trigger().snapshot().await.map_err(raft_error)?;
            let reached = snapshots.wait_until_ge(&Some(durable)).await;
            reached.map_err(raft_error)?;
            let upto = asked.min(durable.index);
            raft.trigger().purge_log(upto).await.map_err(raft_error)
        };
        if let Err(error) = purged.await {
            tracing::debug!(%error, "stopped purging the log");
            return;
        }
    }
}

/// Reports an openraft core that ends although nobody asked it to. Holds no handle to the core:
/// dropping a log must end it.
async fn report_end_of_core(
    mut changes: WatchReceiverOf<TypeConfig, RaftServerMetrics<TypeConfig>>,
    metrics: WatchReceiverOf<TypeConfig, RaftMetrics<TypeConfig>>,
    closing: Arc<AtomicBool>,
    on_fatal: OnFatal,
) {
    while changes.changed().await.is_ok() {}
    if !closing.load(Ordering::SeqCst) {
        let state = metrics.borrow_watched().running_state.clone();
        let reason = state.err().map_or("it ended".to_owned(), |fatal| fatal.to_string());
        on_fatal(Arc::new(LogError::Raft(reason)));
    }
}

fn raft_error(error: impl std::fmt::Display) -> LogError {
    LogError::Raft(error.to_string())
}
