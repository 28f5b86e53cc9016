//! openraft's log storage over the segment log.
//!
//! ```text
//! append ──► tail (memory, at once readable) ──► writer thread ──► segments
//!              ▲                                                      ▲
//!  apply reads │ almost always here                 replay reads here │
//! ```
//!
//! The tail holds every entry that is not written yet and as many written ones as fit its bound.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, Range, RangeBounds};
use std::sync::Arc;

use aegis_storage::commit_log::Applier;
use futures::Stream;
use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use openraft::{OptionalSend, RaftLogReader};
use parking_lot::Mutex;

use crate::alone::Alone;
use crate::codec;
use crate::disk::Disk;
use crate::error::LogError;
use crate::segment_log::{SegmentLog, SegmentReader};
use crate::types::{Entry, LogId, StoredMembership, TypeConfig, Vote};
use crate::writer::{OnFatal, Writer};

/// Entries are read from disk, and handed on, in pieces of about this.
const READ_BYTES: usize = 1 << 20;

/// The log as openraft sees it. Clones are the same log.
#[derive(Clone)]
pub(crate) struct LogStore {
    view: Arc<Mutex<View>>,
    writer: Writer,
    segments: SegmentReader,
}

/// The log as of everything accepted so far, written or not.
struct View {
    vote: Option<Vote>,
    committed: Option<LogId>,
    purged: Option<LogId>,
    last: Option<LogId>,
    /// The first live index, or the next one if there is none.
    first: u64,
    tail: Tail,
}

/// The newest entries, in memory, without a gap.
struct Tail {
    entries: VecDeque<Entry>,
    bytes: usize,
    bytes_max: usize,
    /// Entries from here on are not known to be written.
    unwritten: u64,
}

impl Tail {
    fn first_index(&self) -> Option<u64> {
        self.entries.front().map(|entry| entry.log_id.index)
    }

    fn push(&mut self, entry: Entry) {
        self.bytes += codec::entry_bytes(&entry);
        self.entries.push_back(entry);
    }

    fn pop_front(&mut self) {
        if let Some(entry) = self.entries.pop_front() {
            self.bytes -= codec::entry_bytes(&entry);
        }
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }

    /// Forgets the oldest entries beyond the bound; what is not written stays.
    fn trim(&mut self) {
        while self.bytes > self.bytes_max
            && self.first_index().is_some_and(|first| first < self.unwritten)
        {
            self.pop_front();
        }
    }

    fn truncate(&mut self, from: u64) {
        while self.entries.back().is_some_and(|entry| entry.log_id.index >= from) {
            if let Some(entry) = self.entries.pop_back() {
                self.bytes -= codec::entry_bytes(&entry);
            }
        }
    }
}

impl LogStore {
    /// Opens the log in `disk` and starts its writer.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        segment_bytes: u64,
        tail_bytes_max: usize,
        in_place: fn() -> bool,
        on_fatal: OnFatal,
    ) -> Result<Self, LogError> {
        let log = SegmentLog::open(disk, segment_bytes)?;
        let marks = log.marks().clone();
        let segments = log.reader();
        let bounds = segments.bounds();
        let undecodable = |error: io::Error| LogError::Mismatch(error.to_string());
        let vote = marks.vote.as_deref().map(codec::decode_vote).transpose();
        let committed = marks.committed.as_deref().map(codec::decode_log_id).transpose();
        let purged = marks.purged.as_ref().map(|(_, mark)| codec::decode_log_id(mark)).transpose();
        let purged = purged.map_err(undecodable)?;
        let last = match bounds.next.checked_sub(1).filter(|last| *last >= bounds.first) {
            Some(last) => {
                let read = segments.read(last..bounds.next, 1)?;
                let (index, payload) = read
                    .first()
                    .ok_or_else(|| LogError::Mismatch(format!("entry {last} is missing")))?;
                Some(codec::decode_entry(*index, payload).map_err(undecodable)?.log_id)
            }
            None => purged,
        };
        let view = Arc::new(Mutex::new(View {
            vote: vote.map_err(undecodable)?,
            committed: committed.map_err(undecodable)?,
            purged,
            last,
            first: bounds.first,
            tail: Tail {
                entries: VecDeque::new(),
                bytes: 0,
                bytes_max: tail_bytes_max,
                unwritten: bounds.next,
            },
        }));
        let on_written = Box::new({
            let view = Arc::clone(&view);
            move |last: LogId| {
                let mut view = view.lock();
                view.tail.unwritten = last.index + 1;
                view.tail.trim();
                // Who leads alone appends nothing here.
                if view.last.is_none_or(|known| known.index < last.index) {
                    view.last = Some(last);
                }
            }
        });
        let writer = Writer::start(log, in_place, on_written, on_fatal).map_err(|source| {
            LogError::Io { action: "start the writer of", file: String::new(), source }
        })?;
        Ok(Self { view, writer, segments })
    }

    /// The writer thread's handle.
    pub(crate) fn writer(&self) -> &Writer {
        &self.writer
    }

    /// Lets the writer order and apply what is proposed to it, behind the newest entry there is. From
    /// here on nobody else may append.
    pub(crate) fn lead_alone(
        &self,
        applier: Arc<dyn Applier>,
        membership: &StoredMembership,
    ) -> Result<(), LogError> {
        let last = {
            let mut view = self.view.lock();
            // What is appended past it would leave a gap behind it.
            view.tail.clear();
            view.last.ok_or_else(|| LogError::Raft("the log is empty".to_owned()))?
        };
        self.writer.lead_alone(Alone::new(applier, last, membership));
        Ok(())
    }

    /// Purges up to the entry at this index. Errors: those of the disk.
    pub(crate) async fn purge_to(&mut self, index: u64) -> io::Result<()> {
        let first = self.read(index..index + 1, 1)?;
        match first.first().filter(|entry| entry.log_id.index == index) {
            Some(entry) => self.purge(entry.log_id).await,
            // It was purged before.
            None => Ok(()),
        }
    }

    /// The last index purged, and one beyond the last index there is.
    pub(crate) fn extent(&self) -> (Option<u64>, u64) {
        let view = self.view.lock();
        let purged = view.purged.map(|log_id| log_id.index);
        (purged, view.last.map_or(0, |log_id| log_id.index + 1))
    }

    /// Bytes of log from the entry at `index` to the end, as far as written.
    pub(crate) fn bytes_from(&self, index: u64) -> u64 {
        self.segments.bytes_from(index)
    }

    /// The entries in `range` that exist, from its beginning: all, or about `bytes_max` of them
    /// and at least one.
    fn read(&self, range: Range<u64>, bytes_max: usize) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        let mut bytes = 0;
        let mut next = range.start;
        while next < range.end && bytes < bytes_max {
            let on_disk = {
                let view = self.view.lock();
                next = next.max(view.first);
                let end = range.end.min(view.last.map_or(0, |last| last.index + 1));
                if next >= end {
                    break;
                }
                match view.tail.first_index() {
                    Some(first) if first <= next => {
                        let from = (next - first) as usize;
                        for entry in view.tail.entries.range(from..(end - first) as usize) {
                            bytes += codec::entry_bytes(entry);
                            entries.push(entry.clone());
                            if bytes >= bytes_max {
                                break;
                            }
                        }
                        break;
                    }
                    Some(first) => next..first.min(end),
                    None => next..end,
                }
            };
            let read = self.segments.read(on_disk, bytes_max - bytes)?;
            if read.is_empty() {
                // Purged meanwhile: look again from the new beginning.
                let bounds = self.segments.bounds();
                if bounds.first <= next {
                    return Err(LogError::Mismatch(format!("entry {next} is missing")).into());
                }
                next = bounds.first;
                continue;
            }
            for (index, payload) in read {
                let entry = codec::decode_entry(index, &payload)?;
                bytes += codec::entry_bytes(&entry);
                next = index + 1;
                entries.push(entry);
            }
        }
        Ok(entries)
    }
}

fn to_range(range: &impl RangeBounds<u64>) -> Range<u64> {
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(last) => last.saturating_add(1),
        Bound::Excluded(end) => *end,
        Bound::Unbounded => u64::MAX,
    };
    start..end
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, io::Error> {
        self.read(to_range(&range), usize::MAX)
    }

    async fn limited_get_log_entries(
        &mut self,
        start: u64,
        end: u64,
    ) -> Result<Vec<Entry>, io::Error> {
        self.read(start..end, READ_BYTES)
    }

    /// Piece by piece: replay after a restart must not hold the whole log in memory.
    async fn entries_stream<RB>(
        &mut self,
        range: RB,
    ) -> impl Stream<Item = Result<Entry, io::Error>> + OptionalSend
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let state = (self.clone(), to_range(&range), VecDeque::new());
        futures::stream::unfold(state, |(log, mut rest, mut piece)| async move {
            if piece.is_empty() && !rest.is_empty() {
                match log.read(rest.clone(), READ_BYTES) {
                    Ok(entries) => piece.extend(entries),
                    Err(error) => return Some((Err(error), (log, 0..0, piece))),
                }
            }
            let entry: Entry = piece.pop_front()?;
            rest.start = entry.log_id.index + 1;
            // What is in the piece is not read again.
            let read_to = piece.back().map_or(rest.start, |last: &Entry| last.log_id.index + 1);
            rest.start = read_to;
            Some((Ok(entry), (log, rest, piece)))
        })
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        Ok(self.view.lock().vote)
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, io::Error> {
        let view = self.view.lock();
        Ok(LogState { last_purged_log_id: view.purged, last_log_id: view.last })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        self.writer.save_vote(codec::encode_vote(vote)).await?;
        self.view.lock().vote = Some(*vote);
        Ok(())
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), io::Error> {
        if let Some(committed) = committed {
            self.writer.save_committed(codec::encode_log_id(&committed));
        }
        self.view.lock().committed = committed;
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, io::Error> {
        Ok(self.view.lock().committed)
    }

    async fn append<I>(
        &mut self,
        entries: I,
        callback: IOFlushed<TypeConfig>,
    ) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        {
            let mut view = self.view.lock();
            for entry in &entries {
                let empty = view.last.is_none_or(|last| last.index < view.first);
                if empty {
                    view.first = entry.log_id.index;
                }
                view.last = Some(entry.log_id);
                view.tail.push(entry.clone());
            }
        }
        self.writer.append(entries, callback);
        Ok(())
    }

    async fn truncate_after(&mut self, last_log_id: Option<LogId>) -> Result<(), io::Error> {
        let from = last_log_id.map_or(0, |log_id| log_id.index + 1);
        {
            let view = self.view.lock();
            if view.last.is_none_or(|last| last.index < from) {
                return Ok(());
            }
        }
        // Whatever is queued is written before it is voided; openraft appends nothing meanwhile.
        self.writer.truncate(from).await?;
        let (first, purged) = {
            let view = self.view.lock();
            (view.first, view.purged)
        };
        let last = match from.checked_sub(1).filter(|last| *last >= first) {
            Some(last) => self.read(last..from, 1)?.first().map(|entry| entry.log_id),
            None => purged,
        };
        let mut view = self.view.lock();
        view.last = last;
        view.tail.truncate(from);
        view.tail.unwritten = view.tail.unwritten.min(from);
        Ok(())
    }

    async fn purge(&mut self, log_id: LogId) -> Result<(), io::Error> {
        {
            let mut view = self.view.lock();
            if view.purged.is_some_and(|purged| purged.index >= log_id.index) {
                return Ok(());
            }
            view.purged = Some(log_id);
            view.first = view.first.max(log_id.index + 1);
            if view.last.is_none_or(|last| last.index <= log_id.index) {
                view.last = Some(log_id);
            }
        }
        self.writer.purge(log_id.index, codec::encode_log_id(&log_id)).await?;
        let mut view = self.view.lock();
        while view.tail.first_index().is_some_and(|first| first <= log_id.index) {
            view.tail.pop_front();
        }
        Ok(())
    }
}
