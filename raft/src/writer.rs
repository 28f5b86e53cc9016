//! The one thread that writes the log: it drains whatever is queued, writes once, syncs once,
//! then answers everyone who rode along. It never waits for company.
//!
//! ```text
//! append, append, vote ──► queue ──► take all ── stage … stage ── write ── sync ── answer all
//!                            ▲                                                          │
//!                            └──────────── what arrived meanwhile is the next batch ◄───┘
//! ```
//!
//! A committed mark never wakes the thread and never costs a sync: it waits in a slot for the
//! next batch. An error of the disk is fatal: it is reported once, everyone waiting gets it, and
//! nothing is written any more.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use openraft::storage::IOFlushed;
use parking_lot::Mutex;
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, oneshot};

use crate::codec::EncodedEntry;
use crate::error::LogError;
use crate::segment_log::{Record, SegmentLog, Spares};
use crate::types::{Entry, TypeConfig};

/// A batch is written when this much is staged, even if more is queued.
const BATCH_BYTES_MAX: usize = 8 << 20;

/// Told once, from any thread, that the node must stop.
pub(crate) type OnFatal = Arc<dyn Fn(Arc<LogError>) + Send + Sync>;

/// Called after a batch is durable with the index after the last entry written, before anyone is
/// answered.
pub(crate) type OnWritten = Box<dyn Fn(u64) + Send>;

/// What the thread is asked to do.
enum Command {
    Append(Vec<Entry>, IOFlushed<TypeConfig>),
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
    /// Starts the writer thread, and the one that keeps a spare segment ready for it.
    pub(crate) fn start(
        log: SegmentLog,
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
        let thread = Thread {
            log,
            queue,
            gauges: Arc::clone(&gauges),
            room_changed: Arc::clone(&room_changed),
            refill: refill.clone(),
            on_written,
            on_fatal,
        };
        let _ = refill.send(Refill::Prepare);
        let writing = spawn("aegis-log", move || thread.run())?;
        let threads = Arc::new(Mutex::new(vec![filling, writing]));
        Ok(Self { commands, gauges, room_changed, refill, threads })
    }

    /// Queues entries; `done` is called from the writer thread once they are durable.
    pub(crate) fn append(&self, entries: Vec<Entry>, done: IOFlushed<TypeConfig>) {
        if let Err(unsent) = self.commands.send(Command::Append(entries, done))
            && let Command::Append(_, done) = unsent.0
        {
            done.io_completed(Err(LogError::Stopped.into()));
        }
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
        if self.commands.send(command(waiter)).is_err() {
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
    log: SegmentLog,
    queue: Receiver<Command>,
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
    /// The index after the last entry of the batch.
    next_index: Option<u64>,
    purges: bool,
    stop: bool,
}

impl Thread {
    fn run(mut self) {
        while let Ok(first) = self.queue.recv() {
            let mut riders = Riders::default();
            let written = self.write_batch(first, &mut riders);
            let stop = riders.stop;
            match written {
                Ok(()) => {
                    self.show_room();
                    if let Some(next_index) = riders.next_index {
                        (self.on_written)(next_index);
                    }
                    riders.answer(|| Ok(()));
                }
                Err(error) => {
                    let error = Arc::new(error);
                    tracing::error!(%error, "the log cannot be written: stopping");
                    (self.on_fatal)(Arc::clone(&error));
                    self.room_changed.notify_waiters();
                    let message = error.to_string();
                    riders.answer(|| Err(io::Error::other(message.clone())));
                    // Dropping the queue answers everyone behind with an error.
                    return;
                }
            }
            if stop {
                return;
            }
        }
        // Nobody is left to ask for it, but the mark saves replay some work.
        if self.stage_committed().and_then(|()| self.log.sync()).is_err() {
            tracing::debug!("the last committed mark was not written");
        }
    }

    fn write_batch(&mut self, first: Command, riders: &mut Riders) -> Result<(), LogError> {
        let mut command = Some(first);
        while let Some(taken) = command {
            self.stage(taken, riders)?;
            if riders.stop || self.log.staged_bytes() >= BATCH_BYTES_MAX {
                break;
            }
            command = self.queue.try_recv().ok();
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
                    riders.next_index = Some(entry.log_id.index + 1);
                }
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
