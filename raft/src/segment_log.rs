//! A log of records in segment files: appended, synced, replayed after a crash, purged by whole
//! segments. It knows neither raft nor threads; votes and marks are opaque bytes to it.
//!
//! ```text
//! 0000000000000007.segment   0000000000000008.segment        spare-0000000000000003
//! ┌──────┬───┬───┬───┬────┐  ┌──────┬───┬───┬───┬────────┐   ┌─────────────────────┐
//! │header│V C│P E│E E│seal│  │header│V C│P E│E E│ zeros… │   │ zeros, or the bytes │
//! └──────┴───┴───┴───┴────┘  └──────┴───┴───┴───┴────────┘   │ of an old generation│
//!         prelude ▲                              ▲           └─────────────────────┘
//!                 first new record               the next record goes here
//! ```
//!
//! All numbers are little-endian. A **position** counts bytes through all segments that ever
//! were: a segment's `base` plus the offset in its file.
//!
//! ```text
//! segment header, 64 bytes                   record, at a multiple of 8
//!  0  magic "AEGISLOG"                        0  u32  CRC-32C of generation, then bytes 4..40+length
//!  8  u32  version (1)                        4  u32  length of the payload
//! 12  u32  CRC-32C of 0..12 and 16..64        8  u8   kind: entry 1, vote 2, committed 3,
//! 16  u64  generation                                 truncate 4, purge 5, seal 6; 7 zeros
//! 24  u64  stamp, random                     16  u64  the segment's stamp
//! 32  u64  base, a position                  24  u64  index
//! 40  u64  capacity: the file's length       32  u64  durable, a position
//! 48  u64  bytes of the prelude, header      40       payload, padded with zeros
//!          included; 8 zeros
//! ```
//!
//! **Cut or corrupt.** Every record says up to which position the log was durable when it was
//! written. Replay stops at the first record that is not intact. If any intact record beyond it
//! knew that place to be durable, bytes have been lost that were promised: [`LogError::Corrupt`].
//! So it is with a segment that has a successor but no seal, and with a damaged prelude: both
//! were synced first. Otherwise the bad record is the torn end of a write that nobody was told
//! of, and is cut; what lies intact beyond the cut is zeroed, lest it come back to life behind
//! the next record of the same length.
//!
//! **What is found is written again.** After a failed `fsync` the page cache may show bytes that
//! the disk does not have, and a second `fsync` succeeds without writing them. Opening writes the
//! tail that is not known to be durable once more, then syncs, before anyone relies on it.
//!
//! **A new segment** begins with the newest vote, committed mark and purge mark, its prelude, so
//! that every older segment can be dropped without a thought. It gets header and prelude under
//! its spare name, is synced, then renamed: a file named `.segment` is always whole at its front.
//! The order is: seal and sync the old one, sync and rename the new one, write on.
//!
//! **Recycling.** A dropped segment becomes a spare with its old bytes in it; the new generation
//! and stamp make them noise. Overwriting allocated blocks lets `fdatasync` skip the file
//! system's journal.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::disk::{Disk, DiskFile};
use crate::error::LogError;

mod format;
mod index;
mod reader;
mod recovery;
mod spares;
#[cfg(test)]
mod tests;

pub(crate) use format::PAYLOAD_BYTES_MAX;
use format::{RecordKind, SEGMENT_HEADER_BYTES, SegmentHeader, SegmentIdentity};
use index::{IndexChange, Indexes};
pub(crate) use reader::SegmentReader;
pub(crate) use spares::Spares;

/// Segments are sized and rounded up in units of this.
const PAGE_BYTES: u64 = 4096;
/// Room that every segment keeps for its seal.
const SEAL_BYTES: u64 = format::RECORD_HEADER_BYTES as u64;
/// The longest vote, committed mark or purge mark.
const MARK_BYTES_MAX: usize = 1024;

/// One segment file in use.
pub(crate) struct Segment {
    name: String,
    identity: SegmentIdentity,
    base: u64,
    capacity: u64,
    file: Arc<dyn DiskFile>,
}

/// What readers and the writer share: which segments there are, and where each entry stands.
pub(crate) struct Directory {
    /// Oldest first; the last one is written to.
    segments: VecDeque<Arc<Segment>>,
    /// The live entries.
    indexes: Indexes,
    /// The position behind the last record written.
    end: u64,
}

/// The newest of everything that a log keeps one of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    /// The newest vote.
    pub(crate) vote: Option<Vec<u8>>,
    /// The newest committed mark that reached the disk.
    pub(crate) committed: Option<Vec<u8>>,
    /// The newest purge mark: the last index purged, and what came with it.
    pub(crate) purged: Option<(u64, Vec<u8>)>,
}

/// A record to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Record<'a> {
    /// The entry at this index; its payload is the concatenation of the parts.
    Entry(u64, &'a [&'a [u8]]),
    /// The newest vote.
    Vote(&'a [u8]),
    /// The newest committed mark.
    Committed(&'a [u8]),
    /// Entries from this index on are void.
    Truncate(u64),
    /// Entries up to and including this index are no longer needed.
    Purge(u64, &'a [u8]),
}

/// The writing end of the log. One owner; readers come from [`SegmentLog::reader`].
///
/// ```text
/// stage ── stage ── … ── write ── sync ── drop_purged_segments
///   in memory            readable  durable
/// ```
///
/// After an error of the disk every further call answers [`LogError::Stopped`].
pub(crate) struct SegmentLog {
    disk: Arc<dyn Disk>,
    segment_bytes: u64,
    spares: Arc<Spares>,
    directory: Arc<Mutex<Directory>>,
    current: Arc<Segment>,
    /// Records that are framed but not written.
    staged: Vec<u8>,
    /// Where in the current segment the staged bytes go.
    staged_offset: u64,
    /// What writing the staged records does to the index.
    changes: Vec<IndexChange>,
    /// The entries as they will be once everything staged is written.
    staged_indexes: index::Bounds,
    /// The marks as they will be once everything staged is written.
    marks: Marks,
    /// Everything below this position is durable.
    durable: u64,
    /// Whether the current segment has writes that are not synced.
    dirty: bool,
    failed: bool,
}

impl SegmentLog {
    /// Opens the log in `disk`, or begins a new one. `segment_bytes` is the length of new
    /// segments; longer ones are made for entries that need them.
    pub(crate) fn open(disk: Arc<dyn Disk>, segment_bytes: u64) -> Result<Self, LogError> {
        let segment_bytes = segment_bytes.max(PAGE_BYTES).next_multiple_of(PAGE_BYTES);
        recovery::open(disk, segment_bytes)
    }

    /// The marks as of everything staged so far.
    pub(crate) fn marks(&self) -> &Marks {
        &self.marks
    }

    /// A reading end; cheap to clone, usable from any thread.
    pub(crate) fn reader(&self) -> SegmentReader {
        SegmentReader::new(Arc::clone(&self.directory))
    }

    /// Prepares segments ahead of need, from any thread.
    pub(crate) fn spares(&self) -> Arc<Spares> {
        Arc::clone(&self.spares)
    }

    /// Bytes that can be written without asking the file system for space.
    pub(crate) fn room_bytes(&self) -> u64 {
        let here = self.current.capacity - self.staged_offset - self.staged.len() as u64;
        here.saturating_sub(SEAL_BYTES) + self.spares.room_bytes()
    }

    /// Bytes staged and not written.
    pub(crate) fn staged_bytes(&self) -> usize {
        self.staged.len()
    }

    /// Frames a record for the next [`write`](Self::write). Where the segment is full this writes
    /// and syncs it, and goes on in the next.
    pub(crate) fn stage(&mut self, record: Record<'_>) -> Result<(), LogError> {
        if self.failed {
            return Err(LogError::Stopped);
        }
        let (kind, index, parts): (_, _, &[&[u8]]) = match record {
            Record::Entry(index, parts) => (RecordKind::Entry, index, parts),
            Record::Vote(bytes) => (RecordKind::Vote, 0, &[bytes]),
            Record::Committed(bytes) => (RecordKind::Committed, 0, &[bytes]),
            Record::Truncate(index) => (RecordKind::Truncate, index, &[]),
            Record::Purge(index, bytes) => (RecordKind::Purge, index, &[bytes]),
        };
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let limit = match kind {
            RecordKind::Entry => PAYLOAD_BYTES_MAX,
            _ => MARK_BYTES_MAX,
        };
        if length > limit {
            return Err(LogError::TooLarge { length: length as u64, limit: limit as u64 });
        }
        let mut indexes = self.staged_indexes;
        indexes.apply(kind, index)?;

        let framed = format::framed_bytes(length) as u64;
        let used = self.staged_offset + self.staged.len() as u64;
        if used + framed + SEAL_BYTES > self.current.capacity {
            self.roll(framed)?;
        }
        let position = self.current.base + self.staged_offset + self.staged.len() as u64;
        format::encode_record(
            &mut self.staged,
            kind,
            self.current.identity,
            index,
            self.durable,
            parts,
        );
        self.staged_indexes = indexes;
        self.changes.push(IndexChange { kind, index, position });
        match record {
            Record::Vote(bytes) => self.marks.vote = Some(bytes.to_vec()),
            Record::Committed(bytes) => self.marks.committed = Some(bytes.to_vec()),
            Record::Purge(index, bytes) => self.marks.purged = Some((index, bytes.to_vec())),
            Record::Entry(..) | Record::Truncate(_) => {}
        }
        Ok(())
    }

    /// Writes everything staged. It is readable then, and not yet durable.
    pub(crate) fn write(&mut self) -> Result<(), LogError> {
        if self.failed {
            return Err(LogError::Stopped);
        }
        if self.staged.is_empty() {
            return Ok(());
        }
        let written = self.current.file.write_at(&self.staged, self.staged_offset);
        self.check(written, "write")?;
        self.staged_offset += self.staged.len() as u64;
        self.staged.clear();
        // One huge batch must not keep its memory for ever.
        self.staged.shrink_to(1 << 20);
        self.dirty = true;
        let mut directory = self.directory.lock();
        for change in self.changes.drain(..) {
            directory.indexes.apply(change);
        }
        directory.end = self.current.base + self.staged_offset;
        Ok(())
    }

    /// Writes everything staged and makes it durable.
    pub(crate) fn sync(&mut self) -> Result<(), LogError> {
        self.write()?;
        if self.dirty {
            let synced = self.current.file.sync_data();
            self.check(synced, "sync")?;
            self.dirty = false;
            self.durable = self.current.base + self.staged_offset;
        }
        Ok(())
    }

    /// Drops the segments that hold no live entry. The purge mark must be durable: call
    /// [`sync`](Self::sync) first.
    pub(crate) fn drop_purged_segments(&mut self) -> Result<(), LogError> {
        assert!(
            self.staged.is_empty() && !self.dirty,
            "segments are dropped behind a durable purge mark only"
        );
        loop {
            let oldest = {
                let mut directory = self.directory.lock();
                let needed_from = directory.indexes.first_position().unwrap_or(directory.end);
                match directory.segments.get(1) {
                    Some(second) if second.base <= needed_from => directory.segments.pop_front(),
                    _ => None,
                }
            };
            let Some(segment) = oldest else {
                return Ok(());
            };
            let dropped = self.spares.recycle(&segment);
            if let Err(error) = dropped {
                self.failed = true;
                return Err(error);
            }
        }
    }

    /// Seals the current segment and goes on in a new one with room for `framed` bytes.
    fn roll(&mut self, framed: u64) -> Result<(), LogError> {
        format::encode_record(
            &mut self.staged,
            RecordKind::Seal,
            self.current.identity,
            0,
            self.durable,
            &[],
        );
        self.sync()?;
        self.begin_segment(framed).inspect_err(|_| self.failed = true)
    }

    /// Begins the segment after the current one, which is sealed and synced.
    fn begin_segment(&mut self, framed: u64) -> Result<(), LogError> {
        let segment = begin_segment(
            self.disk.as_ref(),
            &self.spares,
            self.current.identity.generation + 1,
            self.current.base + self.current.capacity,
            self.segment_bytes,
            framed,
            &self.marks,
        )?;
        self.enter(segment);
        Ok(())
    }

    /// Makes a segment that was just begun the current one.
    fn enter(&mut self, begun: (Segment, u64)) {
        let (segment, prelude_bytes) = begun;
        let segment = Arc::new(segment);
        self.staged_offset = prelude_bytes;
        self.durable = segment.base + prelude_bytes;
        self.current = Arc::clone(&segment);
        let mut directory = self.directory.lock();
        directory.end = self.durable;
        directory.segments.push_back(segment);
    }

    fn check<T>(
        &mut self,
        result: std::io::Result<T>,
        action: &'static str,
    ) -> Result<T, LogError> {
        result.map_err(|source| {
            self.failed = true;
            LogError::Io { action, file: self.current.name.clone(), source }
        })
    }
}

/// Begins a segment: header and prelude are durable before the file gets its name. Answers the
/// segment and the offset behind its prelude.
fn begin_segment(
    disk: &dyn Disk,
    spares: &Spares,
    generation: u64,
    base: u64,
    segment_bytes: u64,
    framed: u64,
    marks: &Marks,
) -> Result<(Segment, u64), LogError> {
    let identity = SegmentIdentity { generation, stamp: RandomState::new().hash_one(generation) };
    let mut prelude = vec![0; SEGMENT_HEADER_BYTES as usize];
    let opening: [(RecordKind, u64, Option<&[u8]>); 3] = [
        (RecordKind::Vote, 0, marks.vote.as_deref()),
        (RecordKind::Committed, 0, marks.committed.as_deref()),
        (
            RecordKind::Purge,
            marks.purged.as_ref().map_or(0, |(index, _)| *index),
            marks.purged.as_ref().map(|(_, bytes)| bytes.as_slice()),
        ),
    ];
    for (kind, index, payload) in opening {
        if let Some(payload) = payload {
            format::encode_record(&mut prelude, kind, identity, index, base, &[payload]);
        }
    }
    let prelude_bytes = prelude.len() as u64;
    let capacity =
        (prelude_bytes + framed + SEAL_BYTES).max(segment_bytes).next_multiple_of(PAGE_BYTES);
    let header = SegmentHeader { identity, base, capacity, prelude_bytes };
    prelude[..SEGMENT_HEADER_BYTES as usize].copy_from_slice(&header.encode());

    let spare = spares.take(capacity)?;
    let name = segment_name(generation);
    let fail = |action| {
        let file = spare.name.clone();
        move |source| LogError::Io { action, file, source }
    };
    spare.file.write_at(&prelude, 0).map_err(fail("write"))?;
    spare.file.sync_data().map_err(fail("sync"))?;
    disk.rename(&spare.name, &name).map_err(fail("rename"))?;
    disk.sync_names().map_err(fail("sync the name of"))?;
    let segment = Segment { name, identity, base, capacity, file: spare.file };
    Ok((segment, prelude_bytes))
}

fn segment_name(generation: u64) -> String {
    format!("{generation:016x}.segment")
}

/// The generation in a segment's file name.
fn generation_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".segment")?;
    let generation = u64::from_str_radix(digits, 16).ok()?;
    (segment_name(generation) == name).then_some(generation)
}
