//! A commit log in memory: order without durability, for tests.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::Result;
use crate::commit_log::{Applied, Applier, CommitLog, LogEntry, LogIndex, ProposeError};

type Answer = oneshot::Sender<std::result::Result<Applied, ProposeError>>;

/// A commit log in memory. It keeps every entry until it is purged, so that a store can be
/// opened again behind it: a crash of the store, not of the log.
#[derive(Default)]
pub struct MemoryLog {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    entries: BTreeMap<LogIndex, LogEntry>,
    last: u64,
    bytes: u64,
    applier: Option<Arc<dyn Applier>>,
    paused: bool,
    /// Appended and not yet applied.
    waiting: Vec<(LogEntry, Answer)>,
    refuse: Option<String>,
}

impl std::fmt::Debug for MemoryLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryLog").finish_non_exhaustive()
    }
}

impl MemoryLog {
    /// An empty log.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Replays what the applier has not applied, and applies to it from now on.
    pub fn attach(&self, applier: Arc<dyn Applier>) -> Result<()> {
        let mut state = self.state.lock();
        let (durable, _) = applier.durable_applied();
        let entries: Vec<LogEntry> = state
            .entries
            .range(LogIndex(durable.0 + 1)..)
            .map(|(_, entry)| entry.clone())
            .collect();
        for batch in entries.chunks(7) {
            applier.apply_batch(batch)?;
        }
        state.applier = Some(applier);
        Ok(())
    }

    /// Applies nothing more to the store that is attached.
    pub fn detach(&self) {
        let mut state = self.state.lock();
        state.applier = None;
        state.waiting.clear();
        state.paused = false;
    }

    /// Keeps what is proposed from here on until [`MemoryLog::resume`].
    pub fn pause(&self) {
        self.state.lock().paused = true;
    }

    /// Applies what was kept, as one batch.
    pub fn resume(&self) {
        let mut state = self.state.lock();
        state.paused = false;
        state.apply_waiting();
    }

    /// Refuses what is proposed from here on, for this reason; `None` ends that.
    pub fn refuse(&self, reason: Option<&str>) {
        self.state.lock().refuse = reason.map(str::to_owned);
    }

    /// How many proposals wait for [`MemoryLog::resume`].
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.state.lock().waiting.len()
    }

    /// Appends an entry without a payload, as a new leader does.
    pub fn append_blank(&self) -> Result<()> {
        let mut state = self.state.lock();
        let entry = state.append(Vec::new());
        if let Some(applier) = &state.applier {
            applier.apply_batch(&[entry])?;
        }
        Ok(())
    }

    /// The last entry.
    #[must_use]
    pub fn last_index(&self) -> LogIndex {
        LogIndex(self.state.lock().last)
    }
}

impl State {
    fn append(&mut self, payload: Vec<u8>) -> LogEntry {
        self.last += 1;
        self.bytes += payload.len() as u64;
        let entry = LogEntry {
            index: LogIndex(self.last),
            payload: payload.into(),
            log_state: Arc::from(self.last.to_be_bytes().as_slice()),
        };
        self.entries.insert(entry.index, entry.clone());
        entry
    }

    fn apply_waiting(&mut self) {
        let (entries, answers): (Vec<LogEntry>, Vec<Answer>) = self.waiting.drain(..).unzip();
        let Some(applier) = &self.applier else {
            return;
        };
        match applier.apply_batch(&entries) {
            Ok(applied) => {
                for (answer, applied) in answers.into_iter().zip(applied) {
                    // Whoever dropped the receiver does not want to know.
                    let _ = answer.send(Ok(applied));
                }
            }
            Err(error) => {
                for answer in answers {
                    let _ = answer.send(Err(ProposeError::Unknown(error.to_string())));
                }
            }
        }
    }
}

impl CommitLog for MemoryLog {
    fn propose(
        &self,
        payload: Vec<u8>,
    ) -> oneshot::Receiver<std::result::Result<Applied, ProposeError>> {
        let (answer, receiver) = oneshot::channel();
        let mut state = self.state.lock();
        if let Some(reason) = &state.refuse {
            let _ = answer.send(Err(ProposeError::Refused(reason.clone())));
            return receiver;
        }
        if state.applier.is_none() {
            let _ = answer.send(Err(ProposeError::ShuttingDown));
            return receiver;
        }
        let entry = state.append(payload);
        state.waiting.push((entry, answer));
        if !state.paused {
            state.apply_waiting();
        }
        receiver
    }

    fn purge_to(&self, index: LogIndex) {
        let mut state = self.state.lock();
        let kept = state.entries.split_off(&LogIndex(index.0 + 1));
        let purged = std::mem::replace(&mut state.entries, kept);
        let bytes: usize = purged.values().map(|entry| entry.payload.len()).sum();
        state.bytes -= bytes as u64;
    }

    fn replay_bytes(&self) -> u64 {
        self.state.lock().bytes
    }
}
