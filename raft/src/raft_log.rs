//! [`RaftLog`]: the commit log that storage proposes to, on one node or on many.
//!
//! ```text
//! propose (any thread) ──────── the only voter ───────────────────┐
//!     │                                                           ▼
//!     └ one of several ──► openraft's queue ──► append ──► writer thread ──► fdatasync
//!                                                                               │
//! receiver ◄── answers of the batch ◄── Applier::apply_batch ◄── committed ◄────┘
//! ```
//!
//! A proposal costs no task: it is one message, and its answer is sent from where the batch was
//! applied. Whoever proposes while the disk works rides in the next batch.
//!
//! **Start.** The log is replayed into the applier up to the last committed mark, then this node
//! elects itself, at once and without waiting for a timeout, and commits a blank entry: everything
//! durable is committed with it. [`RaftLog::open`] returns when all of that is applied. If this node
//! is the only voter, openraft's core has nothing left to decide: it ends, and the writer takes
//! proposals as they come ([`crate::alone`]).
//!
//! **Stop.** Three things are fatal and reported once through `on_fatal`: a disk that fails to
//! write or sync, a store that fails to apply, an openraft core that ends by itself. From then on
//! proposals are refused; those under way answer [`ProposeError::Unknown`].

use std::path::Path;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use aegis_storage::commit_log::{Applied, Applier, CommitLog, LogIndex, ProposeError};
use futures::FutureExt;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::metrics::RaftServerMetrics;
use openraft::type_config::alias::WatchReceiverOf;
use openraft::{BasicNode, Config, Raft, RaftMetrics, ReadPolicy, SnapshotPolicy};
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};

use crate::disk::{DirectoryDisk, Disk};
use crate::error::LogError;
use crate::log_store::LogStore;
use crate::network::NoNetwork;
use crate::proposal::{Load, Proposal};
use crate::segment_log::PAYLOAD_BYTES_MAX;
use crate::state_machine::{self, StateMachine};
use crate::types::{LogId, Reply, TypeConfig, WriteSet};
use crate::writer::OnFatal;

#[cfg(test)]
mod tests;

/// Proposals under way at once; openraft's queue has room for twice as many, so that it never
/// pushes back. More are refused.
const IN_FLIGHT_MAX: usize = 32 << 10;
/// The longest proposal: a record's limit less the entry's own header.
const PROPOSAL_BYTES_MAX: usize = PAYLOAD_BYTES_MAX - 1024;
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
    /// Whether the only voter orders and applies by itself. A log that is to get other voters leaves
    /// that to openraft.
    pub leads_alone: bool,
}

impl Default for RaftLogOptions {
    fn default() -> Self {
        Self {
            node_id: 1,
            segment_bytes: 16 << 20,
            tail_bytes_max: 16 << 20,
            in_place: || false,
            leads_alone: true,
        }
    }
}

/// The replicated, durable log of a server; so far with this server as the only voter.
pub struct RaftLog {
    /// `None` where this node leads alone.
    core: Option<Raft<TypeConfig, StateMachine>>,
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
        take_the_lead(&raft, options.node_id).await?;
        let core = if options.leads_alone && is_only_voter(&raft, options.node_id) {
            let membership = Arc::clone(&raft.metrics().borrow_watched().membership_config);
            raft.shutdown().await.map_err(raft_error)?;
            store.lead_alone(Arc::clone(&applier), &membership)?;
            None
        } else {
            Some(raft)
        };
        let (purge_target, purge_targets) = watch::channel(0);
        let runtime = Handle::current();
        let log = Arc::new_cyclic(|this| Self {
            core,
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
        let purge = Purge {
            core: log.core.clone(),
            store: log.store.clone(),
            applier: Arc::clone(&log.applier),
        };
        log.spawn(purge.on_request(purge_targets));
        if let Some(core) = &log.core {
            log.spawn(report_end_of_core(
                core.server_metrics(),
                core.metrics(),
                Arc::clone(&log.closing),
                on_fatal,
            ));
        }
        Ok(log)
    }

    /// Lets the proposals under way finish, writes out the log, stops, and lets go of the
    /// directory. Proposals from now on are answered [`ProposeError::ShuttingDown`]. Call it once.
    pub async fn shutdown(&self) -> Result<(), LogError> {
        self.closing.store(true, Ordering::SeqCst);
        self.load.wait_until_idle().await;
        tracing::debug!("no proposal is under way: stopping");
        if let Some(core) = &self.core {
            core.shutdown().await.map_err(raft_error)?;
            tracing::debug!("raft has stopped: stopping the writer");
        }
        let stopped = self.store.writer().stop().await;
        tracing::debug!("the log has stopped");
        if self.failed.load(Ordering::SeqCst) {
            // What went wrong was reported when it did.
            return Ok(());
        }
        stopped.map_err(raft_error)
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

    /// What of the log's room is kept for votes and marks.
    fn reserved_bytes(&self) -> u64 {
        RESERVED_BYTES.min(self.segment_bytes / 8)
    }

    /// Sends a proposal on its way, for which there is room.
    fn send(&self, payload: Arc<[u8]>, proposal: Proposal) {
        let Some(core) = &self.core else {
            return self.store.writer().propose(payload, proposal);
        };
        let reply = Reply(Box::new(move |result| proposal.complete(result)));
        let core = core.clone();
        // An error means that the core has ended; dropping the reply has answered already.
        let mut sending =
            Box::pin(
                async move { drop(core.client_write_ff(WriteSet(payload), Some(reply)).await) },
            );
        // The queue has room for more than may be under way, so this is done in one go. Tokio's
        // cooperative budget must not make it seem otherwise.
        if tokio::task::unconstrained(sending.as_mut()).now_or_never().is_none() {
            self.spawn(sending);
        }
    }

    /// Waits until the log has room for a proposal beside all that it was let have, so that the
    /// writer, which can refuse nothing, never asks a full disk for space.
    ///
    /// A spare segment takes whatever is alone. Without one its maker is asked, and tells either of a
    /// new segment or why there is none.
    async fn wait_for_room(&self, proposal: &mut Proposal) -> Result<(), ProposeError> {
        let writer = self.store.writer();
        let reserved = self.reserved_bytes();
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
        let payload = payload.into();
        if proposal.enter(&self.store.writer().room(), self.reserved_bytes()) {
            self.send(payload, proposal);
            return receiver;
        }
        let log = self.this.clone();
        self.spawn(async move {
            let Some(log) = log.upgrade() else {
                return;
            };
            match log.wait_for_room(&mut proposal).await {
                Ok(()) => log.send(payload, proposal),
                Err(refusal) => proposal.answer(Err(refusal)),
            }
        });
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

/// Becomes leader at once, and waits until everything in the log is committed and applied.
async fn take_the_lead(
    raft: &Raft<TypeConfig, StateMachine>,
    node_id: u64,
) -> Result<(), LogError> {
    if raft.is_initialized().await.map_err(raft_error)? {
        raft.trigger().elect(false).await.map_err(raft_error)?;
    } else {
        let members = std::collections::BTreeMap::from([(node_id, BasicNode::default())]);
        raft.initialize(members).await.map_err(raft_error)?;
    }
    let leading = |metrics: &RaftMetrics<TypeConfig>| {
        metrics.state.is_leader() || metrics.running_state.is_err()
    };
    let wait = raft.wait(None);
    wait.metrics(leading, "leading").await.map_err(raft_error)?;
    raft.ensure_linearizable(ReadPolicy::ReadIndex).await.map_err(raft_error)?;
    Ok(())
}

/// Whether an entry is committed as soon as this node's disk has it, and nobody else is to get it.
fn is_only_voter(raft: &Raft<TypeConfig, StateMachine>, node_id: u64) -> bool {
    let metrics = raft.metrics();
    let metrics = metrics.borrow_watched();
    let membership = metrics.membership_config.membership();
    membership.nodes().all(|(id, _)| *id == node_id)
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

/// What is needed to purge the log. Holds no handle to the [`RaftLog`]: dropping that must end it.
struct Purge {
    core: Option<Raft<TypeConfig, StateMachine>>,
    store: LogStore,
    applier: Arc<dyn Applier>,
}

impl Purge {
    /// Purges as far as it was last asked to, but never beyond what the store has made durable.
    async fn on_request(mut self, mut targets: watch::Receiver<u64>) {
        while targets.changed().await.is_ok() {
            let target = *targets.borrow_and_update();
            let durable = match state_machine::durable_state(self.applier.as_ref()) {
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
            let upto = asked.min(durable.index);
            let purged = match &self.core {
                Some(core) => purge_behind_snapshot(core, durable, upto).await,
                None => self.store.purge_to(upto).await.map_err(raft_error),
            };
            if let Err(error) = purged {
                tracing::debug!(%error, "stopped purging the log");
                return;
            }
        }
    }
}

/// openraft purges only behind a snapshot, which is the store's checkpoint.
async fn purge_behind_snapshot(
    core: &Raft<TypeConfig, StateMachine>,
    durable: LogId,
    upto: u64,
) -> Result<(), LogError> {
    let mut snapshots = core.watch_snapshot_progress();
    core.trigger().snapshot().await.map_err(raft_error)?;
    snapshots.wait_until_ge(&Some(durable)).await.map_err(raft_error)?;
    core.trigger().purge_log(upto).await.map_err(raft_error)
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
