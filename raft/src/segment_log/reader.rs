//! Entries by index, from the files. Cheap for runs: one read of the file serves many entries.

use std::ops::Range;
use std::sync::Arc;

use parking_lot::Mutex;

use super::format::{self, RECORD_HEADER_BYTES, RecordKind};
use super::index::Bounds;
use super::{Directory, Segment};
use crate::error::LogError;

/// How much of a segment is read at once.
const WINDOW_BYTES: usize = 256 << 10;
/// Positions looked up under one lock.
const LOOKUPS_MAX: usize = 4096;

/// The reading end of a segment log. It sees what was written, not what is only staged.
#[derive(Clone)]
pub(crate) struct SegmentReader {
    directory: Arc<Mutex<Directory>>,
}

impl SegmentReader {
    pub(super) fn new(directory: Arc<Mutex<Directory>>) -> Self {
        Self { directory }
    }

    /// The range of entries that were written and are neither truncated nor purged.
    pub(crate) fn bounds(&self) -> Bounds {
        self.directory.lock().indexes.bounds()
    }

    /// Bytes of log from the entry at `index`, or from the first one beyond, to the end.
    pub(crate) fn bytes_from(&self, index: u64) -> u64 {
        let directory = self.directory.lock();
        let bounds = directory.indexes.bounds();
        let position = directory.indexes.position(index.max(bounds.first));
        position.map_or(0, |position| directory.end - position)
    }

    /// The payloads of the entries in `range` that exist, in order, from its beginning: all of
    /// them, or as many as it takes to reach `bytes_max`, and at least one.
    pub(crate) fn read(
        &self,
        range: Range<u64>,
        bytes_max: usize,
    ) -> Result<Vec<(u64, Vec<u8>)>, LogError> {
        let mut entries = Vec::new();
        let mut bytes = 0;
        let mut next = range.start;
        let mut window = Window::default();
        while next < range.end && bytes < bytes_max {
            let found = self.look_up(next..range.end);
            if found.is_empty() {
                break;
            }
            for (index, segment, offset) in found {
                if bytes >= bytes_max {
                    break;
                }
                match window.entry(&segment, offset, index) {
                    Ok(payload) => {
                        bytes += payload.len() + RECORD_HEADER_BYTES;
                        entries.push((index, payload));
                        next = index + 1;
                    }
                    // Purged meanwhile: the file under it may be in use by a newer segment.
                    Err(_) if self.bounds().first > index => return Ok(entries),
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(entries)
    }

    /// Segment and offset of the existing entries at the beginning of `range`.
    fn look_up(&self, range: Range<u64>) -> Vec<(u64, Arc<Segment>, u64)> {
        let directory = self.directory.lock();
        let bounds = directory.indexes.bounds();
        let first = range.start.max(bounds.first);
        let mut found = Vec::new();
        for index in (first..range.end.min(bounds.next)).take(LOOKUPS_MAX) {
            let Some(position) = directory.indexes.position(index) else {
                break;
            };
            let at = directory.segments.partition_point(|segment| segment.base <= position);
            let segment = &directory.segments[at - 1];
            found.push((index, Arc::clone(segment), position - segment.base));
        }
        found
    }
}

/// A piece of one segment in memory.
#[derive(Default)]
struct Window {
    segment: Option<Arc<Segment>>,
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    /// The payload of the entry at `index`, whose record stands at `offset` of `segment`.
    fn entry(
        &mut self,
        segment: &Arc<Segment>,
        offset: u64,
        index: u64,
    ) -> Result<Vec<u8>, LogError> {
        let corrupt = || LogError::Corrupt {
            file: segment.name.clone(),
            offset,
            reason: format!("entry {index} is no longer intact"),
        };
        let header = self.bytes_at(segment, offset, RECORD_HEADER_BYTES)?;
        let length = format::claimed_payload_bytes(header, segment.identity).ok_or_else(corrupt)?;
        let record = self.bytes_at(segment, offset, RECORD_HEADER_BYTES + length)?;
        let header = format::decode_record(record, segment.identity)
            .filter(|header| header.kind == RecordKind::Entry && header.index == index)
            .ok_or_else(corrupt)?;
        Ok(record[header.payload].to_vec())
    }

    /// The bytes from `offset` on: `wanted` of them, or fewer at the end of the file.
    fn bytes_at(
        &mut self,
        segment: &Arc<Segment>,
        offset: u64,
        wanted: usize,
    ) -> Result<&[u8], LogError> {
        let same = self.segment.as_ref().is_some_and(|held| Arc::ptr_eq(held, segment));
        let end = offset + wanted as u64;
        if !same || offset < self.start || end > self.start + self.bytes.len() as u64 {
            let room = segment.capacity.saturating_sub(offset);
            let length = (wanted.max(WINDOW_BYTES) as u64).min(room) as usize;
            self.segment = None;
            self.bytes.resize(length, 0);
            let read = segment.file.read_at(&mut self.bytes, offset).map_err(|source| {
                LogError::Io { action: "read", file: segment.name.clone(), source }
            })?;
            self.bytes.truncate(read);
            self.segment = Some(Arc::clone(segment));
            self.start = offset;
        }
        let from = (offset - self.start) as usize;
        Ok(&self.bytes[from..self.bytes.len().min(from + wanted)])
    }
}
