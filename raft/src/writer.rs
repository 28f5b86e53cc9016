//! The one thread that writes the log: it drains whatever is queued, writes once, syncs once,
//! then answers everyone who rode along. It never waits for company.
//!
//! ```text
//! append, append, vote ──► queue ──► take all ── stage … stage ── write ── sync ── answer all
//!                            ▲                                                          │
//!                            └──────────── what arrived meanwhile is the next batch ◄───┘
//! ```
//!
//! Where nobody else would be served meanwhile, whoever appends writes in place: handing the entry to
//! the thread and its answer back takes as long as a fast disk does. That needs the queue empty, the
//! pen in nobody's hand, and a disk whose last sync was short.
//!
//! Where this node is the only voter, what is durable is committed: the thread that has written it
//! applies it too, before it answers ([`Alone`]).
//!
//! A committed mark never wakes the thread and never costs a sync: it waits in a slot for the
//! next batch. An error of the disk is fatal: it is reported once, everyone waiting gets it, and
//! nothing is written any more.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use openraft::storage::IOFlushed;
use parking_lot::Mutex;
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, oneshot};

use crate::alone::{self, Alone};
use crate::codec::{self, EncodedEntry};
use crate::error::LogError;
use crate::proposal::Proposal;
use crate::segment_log::{Record, SegmentLog, Spares};
use crate::types::{Entry, LogId, TypeConfig};

/// A batch is written when this much is staged, even if more is queued.
const BATCH_BYTES_MAX: usize = 8 << 20;
/// More than this is not written in place.
const IN_PLACE_BYTES_MAX: usize = 64 << 10;
/// Nor is anything while the disk takes longer than this.
const SHORT_SYNC: Duration = Duration::from_millis(1);

/// Told once, from any thread, that the node must stop.
pub(crate) type OnFatal = Arc<dyn Fn(Arc<LogError>) + Send + Sync>;

/// Called after a batch is durable with the last entry written, before anyone is answered.
pub(crate) type OnWritten = Box<dyn Fn(LogId) + Send>;

/// What the thread is asked to do.
enum Command {
    Append(Vec<Entry>, IOFlushed<TypeConfig>),
    /// An entry to number, write, and apply.
    Propose(Arc<[u8]>, Proposal),
    Vote(Vec<u8>, Waiter),
    Truncate(u64, Waiter),
    Purge(u64, Vec<u8>, Waiter),
    Stop(Waiter),
}

type Waiter = oneshot::Sender<io::Result<()>>;

/// What the thread lets others see of the log.
#[derive(Default)]
struct Gauges {
    /// The newest committed mark that is not staged yet.
    committed: Option<Vec<u8>>,
    /// Bytes that can be written without asking the file system for space.
    room_bytes: u64,
    /// Whether a spare segment is ready.
    has_spare: bool,
    /// Why there is none, if the last try at making one failed.
    failed_spare: Option<Arc<LogError>>,
}

/// The room of the log, as of the last batch.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    /// Bytes that can be written without asking the file system for space.
    pub(crate) bytes: u64,
    /// Whether a whole segment of that is ready.
    pub(crate) has_spare: bool,
    /// Why no spare segment could be made when one was last wanted.
    pub(crate) failed_spare: Option<Arc<LogError>>,
}

/// The handle to the writer thread. The thread ends when the last handle is dropped.
#[derive(Clone)]
pub(crate) struct Writer {
    commands: Sender<Command>,
    /// Commands that were sent and are not written yet.
    queued: Arc<AtomicUsize>,
    pen: Arc<Mutex<Option<Pen>>>,
    in_place: fn() -> bool,
    gauges: Arc<Mutex<Gauges>>,
    room_changed: Arc<Notify>,
    refill: Sender<Refill>,
    threads: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

/// What the thread that makes spare segments is asked to do.
enum Refill {
    Prepare,
    Stop,
}

impl Writer {
    /// Starts the writer thread, and the one that keeps a spare segment ready for it. `in_place` says
    /// whether the thread that asks may be kept while the disk works.
    pub(crate) fn start(
        log: SegmentLog,
        in_place: fn() -> bool,
        on_written: OnWritten,
        on_fatal: OnFatal,
    ) -> io::Result<Self> {
        let (commands, queue) = channel();
        let (refill, refills) = channel();
        let gauges =
            Arc::new(Mutex::new(Gauges { room_bytes: log.room_bytes(), ..Gauges::default() }));
        let spares = log.spares();
        gauges.lock().has_spare = spares.room_bytes() > 0;
        let room_changed = Arc::new(Notify::new());
        let filling = spawn("aegis-log-spare", {
            let (gauges, room_changed) = (Arc::clone(&gauges), Arc::clone(&room_changed));
            move || fill_stock(&spares, &refills, &gauges, &room_changed)
        })?;
        let pen = Pen {
            log,
            alone: None,
            last_sync: SHORT_SYNC,
            gauges: Arc::clone(&gauges),
            room_changed: Arc::clone(&room_changed),
            refill: refill.clone(),
            on_written,
            on_fatal,
        };
        let pen = Arc::new(Mutex::new(Some(pen)));
        let queued = Arc::new(AtomicUsize::new(0));
        let thread = Thread { queue, queued: Arc::clone(&queued), pen: Arc::clone(&pen) };
        let _ = refill.send(Refill::Prepare);
        let writing = spawn("aegis-log", move || thread.run())?;
        let threads = Arc::new(Mutex::new(vec![filling, writing]));
        Ok(Self { commands, queued, pen, in_place, gauges, room_changed, refill, threads })
    }

    /// Writes entries, or queues them; `done` is called once they are durable, or have failed.
    pub(crate) fn append(&self, entries: Vec<Entry>, done: IOFlushed<TypeConfig>) {
        let append = Command::Append(entries, done);
        if let Some(append) = self.write_in_place(append)
            && let Err(Command::Append(_, done)) = self.send(append)
        {
            done.io_completed(Err(LogError::Stopped.into()));
        }
    }

    /// Writes and applies a proposal, or queues it. Only where this node leads alone.
    pub(crate) fn propose(&self, payload: Arc<[u8]>, proposal: Proposal) {
        if let Some(propose) = self.write_in_place(Command::Propose(payload, proposal)) {
            // Given back, it answers as it goes.
            drop(self.send(propose));
        }
    }

    /// Orders and applies what is proposed from here on.
    pub(crate) fn lead_alone(&self, alone: Alone) {
        if let Some(pen) = self.pen.lock().as_mut() {
            pen.alone = Some(alone);
        }
    }

    /// Writes entries on this thread, unless they are for the other: then they are given back.
    fn write_in_place(&self, command: Command) -> Option<Command> {
        if !(self.in_place)() || self.queued.load(Ordering::Acquire) > 0 {
            return Some(command);
        }
        // Who finds the pen in another hand is queued, and so is whoever comes after it.
        let Some(mut guard) = self.pen.try_lock() else { return Some(command) };
        let Some(pen) = guard.as_mut() else { return Some(command) };
        if !pen.is_swift() || command.bytes() > IN_PLACE_BYTES_MAX {
            return Some(command);
        }
        if !pen.write(command, || None) {
            *guard = None;
        }
        None
    }

    /// Queues a command; given back if the thread has ended.
    fn send(&self, command: Command) -> Result<(), Command> {
        self.queued.fetch_add(1, Ordering::AcqRel);
        self.commands.send(command).map_err(|unsent| unsent.0)
    }

    /// Writes a vote and waits until it is durable.
    pub(crate) async fn save_vote(&self, vote: Vec<u8>) -> io::Result<()> {
        self.ask(|waiter| Command::Vote(vote, waiter)).await
    }

    /// Voids entries from `from` on and waits until that is durable.
    pub(crate) async fn truncate(&self, from: u64) -> io::Result<()> {
        self.ask(|waiter| Command::Truncate(from, waiter)).await
    }

    /// Notes durably that entries up to `upto` are not needed, and drops their segments.
    pub(crate) async fn purge(&self, upto: u64, mark: Vec<u8>) -> io::Result<()> {
        self.ask(|waiter| Command::Purge(upto, mark, waiter)).await
    }

    /// Leaves a committed mark for the next batch.
    pub(crate) fn save_committed(&self, mark: Vec<u8>) {
        self.gauges.lock().committed = Some(mark);
    }

    /// Writes and syncs all that is queued, then ends both threads. When this returns nothing
    /// holds the disk any more, also after an error.
    pub(crate) async fn stop(&self) -> io::Result<()> {
        let stopped = self.ask(Command::Stop).await;
        let _ = self.refill.send(Refill::Stop);
        let threads = std::mem::take(&mut *self.threads.lock());
        let joined = tokio::task::spawn_blocking(move || {
            let panicked = threads.into_iter().map(JoinHandle::join).filter(Result::is_err);
            panicked.count() == 0
        });
        match joined.await {
            Ok(true) => stopped,
            _ => Err(io::Error::other("a thread of the log panicked")),
        }
    }

    /// How much room there is.
    pub(crate) fn room(&self) -> Room {
        let gauges = self.gauges.lock();
        Room {
            bytes: gauges.room_bytes,
            has_spare: gauges.has_spare,
            failed_spare: gauges.failed_spare.clone(),
        }
    }

    /// Ends when the room has changed, or the thread has ended.
    pub(crate) fn room_changed(&self) -> Notified<'_> {
        self.room_changed.notified()
    }

    /// Asks for another try at making a spare segment.
    pub(crate) fn request_room(&self) {
        let _ = self.refill.send(Refill::Prepare);
    }

    async fn ask(&self, command: impl FnOnce(Waiter) -> Command) -> io::Result<()> {
        let (waiter, answer) = oneshot::channel();
        if self.send(command(waiter)).is_err() {
            return Err(LogError::Stopped.into());
        }
        answer.await.unwrap_or_else(|_| Err(LogError::Stopped.into()))
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(body)
}

/// Keeps one spare segment ready. That it cannot be made, for want of space or anything else, is
/// not an error here: the room shown shrinks, and proposals are refused before the log needs what it
/// cannot get.
fn fill_stock(
    spares: &Spares,
    refills: &Receiver<Refill>,
    gauges: &Mutex<Gauges>,
    room_changed: &Notify,
) {
    while let Ok(Refill::Prepare) = refills.recv() {
        let before = spares.room_bytes();
        match spares.prepare() {
            Ok(()) => {
                let gained = spares.room_bytes().saturating_sub(before);
                let mut gauges = gauges.lock();
                gauges.room_bytes += gained;
                gauges.has_spare = true;
                gauges.failed_spare = None;
            }
            Err(error) => {
                tracing::warn!(%error, "could not prepare a log segment");
                gauges.lock().failed_spare = Some(Arc::new(error));
            }
        }
        room_changed.notify_waiters();
    }
}

/// The state of the writer thread.
struct Thread {
    queue: Receiver<Command>,
    queued: Arc<AtomicUsize>,
    pen: Arc<Mutex<Option<Pen>>>,
}

/// What is needed to write the log: it is in one hand at a time.
struct Pen {
    log: SegmentLog,
    /// Set where this node leads alone.
    alone: Option<Alone>,
    /// How long the last write and sync took.
    last_sync: Duration,
    gauges: Arc<Mutex<Gauges>>,
    room_changed: Arc<Notify>,
    refill: Sender<Refill>,
    on_written: OnWritten,
    on_fatal: OnFatal,
}

/// Whom to answer when a batch is durable.
#[derive(Default)]
struct Riders {
    appends: Vec<IOFlushed<TypeConfig>>,
    waiters: Vec<Waiter>,
    /// Proposals, in the order of their entries in `batch`.
    proposals: Vec<Proposal>,
    batch: alone::Batch,
    /// The last entry that is written.
    last: Option<LogId>,
    purges: bool,
    stop: bool,
}

impl Thread {
    fn run(self) {
        while let Ok(first) = self.queue.recv() {
            let mut guard = self.pen.lock();
            let Some(pen) = guard.as_mut() else { return };
            let mut taken = 1;
            let goes_on = pen.write(first, || {
                let next = self.queue.try_recv().ok()?;
                taken += 1;
                Some(next)
            });
            self.queued.fetch_sub(taken, Ordering::AcqRel);
            if !goes_on {
                // Dropping the queue answers everyone behind with an error.
                *guard = None;
                return;
            }
        }
        // Nobody is left to ask for it, but the mark saves replay some work.
        if let Some(mut pen) = self.pen.lock().take()
            && pen.stage_committed().and_then(|()| pen.log.sync()).is_err()
        {
            tracing::debug!("the last committed mark was not written");
        }
    }
}

impl Command {
    /// How much is to be written, about.
    fn bytes(&self) -> usize {
        match self {
            Self::Append(entries, _) => entries.iter().map(codec::entry_bytes).sum(),
            Self::Propose(payload, _) => payload.len(),
            _ => 0,
        }
    }
}

impl Pen {
    /// Whether the disk is quick enough to be waited for.
    fn is_swift(&self) -> bool {
        self.last_sync <= SHORT_SYNC
    }

    /// Writes a batch, and answers whoever is in it; whether more may follow.
    fn write(&mut self, first: Command, more: impl FnMut() -> Option<Command>) -> bool {
        let mut riders = Riders::default();
        let began = Instant::now();
        let written = self.write_batch(first, more, &mut riders);
        self.last_sync = began.elapsed();
        let stop = riders.stop;
        match written {
            Ok(()) => {
                self.show_room();
                if let Some(last) = riders.last {
                    (self.on_written)(last);
                }
                let applied = self.apply(&mut riders);
                riders.answer(|| Ok(()));
                applied && !stop
            }
            Err(error) => {
                tracing::error!(%error, "the log cannot be written: stopping");
                let message = error.to_string();
                self.fail(error);
                riders.answer(|| Err(io::Error::other(message.clone())));
                false
            }
        }
    }

    /// Applies what was proposed and answers it; whether more may follow.
    fn apply(&self, riders: &mut Riders) -> bool {
        let Some(alone) = self.alone.as_ref().filter(|_| !riders.batch.is_empty()) else {
            return true;
        };
        match alone.apply(&riders.batch) {
            Ok(answers) => {
                for (proposal, applied) in riders.proposals.drain(..).zip(answers) {
                    proposal.answer(Ok(applied));
                }
                true
            }
            Err(error) => {
                self.fail(LogError::Apply(error));
                false
            }
        }
    }

    fn fail(&self, error: LogError) {
        (self.on_fatal)(Arc::new(error));
        self.room_changed.notify_waiters();
    }

    fn write_batch(
        &mut self,
        first: Command,
        mut more: impl FnMut() -> Option<Command>,
        riders: &mut Riders,
    ) -> Result<(), LogError> {
        let mut command = Some(first);
        while let Some(taken) = command {
            self.stage(taken, riders)?;
            if riders.stop || self.log.staged_bytes() >= BATCH_BYTES_MAX {
                break;
            }
            command = more();
        }
        self.stage_committed()?;
        self.log.sync()?;
        if riders.purges {
            self.log.drop_purged_segments()?;
        }
        Ok(())
    }

    fn stage(&mut self, command: Command, riders: &mut Riders) -> Result<(), LogError> {
        match command {
            Command::Append(entries, done) => {
                riders.appends.push(done);
                for entry in &entries {
                    let encoded = EncodedEntry::of(entry);
                    self.log.stage(Record::Entry(entry.log_id.index, &encoded.parts()))?;
                    riders.last = Some(entry.log_id);
                }
                Ok(())
            }
            Command::Propose(payload, proposal) => {
                let alone = self.alone.as_mut().expect("only who leads alone is proposed to");
                let log_id = alone.number();
                let header = codec::write_set_header(&log_id.leader_id);
                self.log.stage(Record::Entry(log_id.index, &[&header, &payload]))?;
                alone.push(&mut riders.batch, log_id, payload);
                riders.proposals.push(proposal);
                riders.last = Some(log_id);
                Ok(())
            }
            Command::Vote(vote, waiter) => {
                riders.waiters.push(waiter);
                self.log.stage(Record::Vote(&vote))
            }
            Command::Truncate(from, waiter) => {
                riders.waiters.push(waiter);
                self.log.stage(Record::Truncate(from))
            }
            Command::Purge(upto, mark, waiter) => {
                riders.waiters.push(waiter);
                riders.purges = true;
                self.log.stage(Record::Purge(upto, &mark))
            }
            Command::Stop(waiter) => {
                riders.waiters.push(waiter);
                riders.stop = true;
                Ok(())
            }
        }
    }

    fn stage_committed(&mut self) -> Result<(), LogError> {
        let mark = self.gauges.lock().committed.take();
        match mark {
            Some(mark) => self.log.stage(Record::Committed(&mark)),
            None => Ok(()),
        }
    }

    /// Shows how much room is left, and asks for a spare segment if there is none.
    fn show_room(&self) {
        let spares = self.log.spares();
        let has_spare = spares.room_bytes() > 0;
        {
            let mut gauges = self.gauges.lock();
            gauges.room_bytes = self.log.room_bytes();
            gauges.has_spare = has_spare;
        }
        if !has_spare {
            let _ = self.refill.send(Refill::Prepare);
        }
        self.room_changed.notify_waiters();
    }
}

impl Riders {
    fn answer(self, outcome: impl Fn() -> io::Result<()>) {
        for done in self.appends {
            done.io_completed(outcome());
        }
        for waiter in self.waiters {
            // Whoever stopped waiting does not want to know.
            let _ = waiter.send(outcome());
        }
    }
}
