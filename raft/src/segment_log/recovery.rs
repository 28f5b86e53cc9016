//! Opening a log: replay of every segment, and the judgement where the last one ends.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use super::format::{
    self, BadHeader, FORMAT_VERSION, PAYLOAD_BYTES_MAX, RecordHeader, RecordKind,
    SEGMENT_HEADER_BYTES, SegmentHeader,
};
use super::index::{IndexChange, Indexes};
use super::{Directory, Marks, Segment, SegmentLog, Spares, begin_segment, generation_of, spares};
use crate::disk::{Disk, DiskFile};
use crate::error::LogError;

/// No segment is longer: one record of the greatest length, a prelude, and some.
const SEGMENT_BYTES_MAX: u64 = PAYLOAD_BYTES_MAX as u64 * 2;

/// Opens the log in `disk`, or begins a new one.
pub(super) fn open(disk: Arc<dyn Disk>, segment_bytes: u64) -> Result<SegmentLog, LogError> {
    let names = disk.list().map_err(|source| LogError::Io {
        action: "list",
        file: String::new(),
        source,
    })?;
    let mut generations: Vec<u64> = names.iter().filter_map(|name| generation_of(name)).collect();
    generations.sort_unstable();
    let stock = Arc::new(Spares::new(Arc::clone(&disk), segment_bytes));
    for name in names.iter().filter(|name| spares::is_spare(name)) {
        stock.adopt(name)?;
    }
    if generations.is_empty() {
        return begin_log(disk, stock, segment_bytes);
    }

    let mut replay = Replay::default();
    let mut segments = VecDeque::new();
    let mut tail = None;
    for (at, &generation) in generations.iter().enumerate() {
        let is_last = at + 1 == generations.len();
        let segment = replay_segment(disk.as_ref(), generation, is_last, &mut replay, &mut tail)?;
        segments.push_back(Arc::new(segment));
    }
    let current = segments
        .back()
        .map(Arc::clone)
        .expect("there is a segment for every generation, and at least one");
    let tail = tail.expect("replaying the last segment found its end");
    settle_tail(&current, &tail, replay.durable)?;

    let end = current.base + tail.end;
    let staged_indexes = replay.indexes.bounds();
    let mut log = SegmentLog {
        disk,
        segment_bytes,
        spares: stock,
        directory: Arc::new(Mutex::new(Directory { segments, indexes: replay.indexes, end })),
        current,
        staged: Vec::new(),
        staged_offset: tail.end,
        changes: Vec::new(),
        staged_indexes,
        marks: replay.marks,
        durable: end,
        dirty: false,
        failed: false,
    };
    if tail.sealed {
        // The crash came between sealing this segment and naming the next.
        log.begin_segment(0)?;
    }
    Ok(log)
}

/// Begins the first segment of a new log.
fn begin_log(
    disk: Arc<dyn Disk>,
    stock: Arc<Spares>,
    segment_bytes: u64,
) -> Result<SegmentLog, LogError> {
    let marks = Marks::default();
    let (segment, prelude_bytes) =
        begin_segment(disk.as_ref(), &stock, 1, 0, segment_bytes, 0, &marks)?;
    let current = Arc::new(segment);
    Ok(SegmentLog {
        disk,
        segment_bytes,
        spares: stock,
        directory: Arc::new(Mutex::new(Directory {
            segments: VecDeque::from([Arc::clone(&current)]),
            indexes: Indexes::default(),
            end: prelude_bytes,
        })),
        current,
        staged: Vec::new(),
        staged_offset: prelude_bytes,
        changes: Vec::new(),
        staged_indexes: super::index::Bounds::default(),
        marks,
        durable: prelude_bytes,
        dirty: false,
        failed: false,
    })
}

/// What replay has gathered so far.
#[derive(Default)]
struct Replay {
    indexes: Indexes,
    marks: Marks,
    /// The greatest durable position that any record knew of.
    durable: u64,
    /// Base and generation that the next segment must have; none before the first.
    expected: Option<(u64, u64)>,
}

/// Where the last segment ends.
struct Tail {
    /// The offset behind the last record.
    end: u64,
    /// The offset behind the last intact record beyond the end, if there is one: to be zeroed.
    remains_end: u64,
    sealed: bool,
    bytes: Vec<u8>,
}

fn replay_segment(
    disk: &dyn Disk,
    generation: u64,
    is_last: bool,
    replay: &mut Replay,
    tail: &mut Option<Tail>,
) -> Result<Segment, LogError> {
    let name = super::segment_name(generation);
    let file = disk.open(&name).map_err(|source| LogError::Io {
        action: "open",
        file: name.clone(),
        source,
    })?;
    let bytes = read_whole(file.as_ref(), &name)?;
    let header = check_header(&name, &bytes, generation, replay.expected)?;
    replay.expected = Some((header.base + header.capacity, generation + 1));
    replay.durable = replay.durable.max(header.base + header.prelude_bytes);

    let mut offset = SEGMENT_HEADER_BYTES as usize;
    let mut sealed = false;
    while !sealed && let Some(record) = format::decode_record(&bytes[offset..], header.identity) {
        apply(replay, &name, &header, offset, &record, &bytes)?;
        sealed = record.kind == RecordKind::Seal;
        // Padding lies within the file: the capacity is a multiple of the alignment.
        offset = (offset + record.framed_bytes()).min(bytes.len());
    }
    let corrupt = |reason: &str| LogError::Corrupt {
        file: name.clone(),
        offset: offset as u64,
        reason: reason.to_owned(),
    };
    if !sealed && !is_last {
        return Err(corrupt("no intact record, though the log goes on in the next segment"));
    }
    if is_last {
        let (remains_end, durable) =
            if sealed { (offset, 0) } else { search_remains(&bytes, offset, &header) };
        let durable = durable.max(replay.durable);
        if durable > header.base + offset as u64 {
            return Err(corrupt("no intact record, though it was durable"));
        }
        *tail = Some(Tail { end: offset as u64, remains_end: remains_end as u64, sealed, bytes });
    }
    Ok(Segment {
        name,
        identity: header.identity,
        base: header.base,
        capacity: header.capacity,
        file,
    })
}

fn read_whole(file: &dyn DiskFile, name: &str) -> Result<Vec<u8>, LogError> {
    let io = |source| LogError::Io { action: "read", file: name.to_owned(), source };
    let length = file.length().map_err(io)?;
    if length > SEGMENT_BYTES_MAX {
        return Err(LogError::Corrupt {
            file: name.to_owned(),
            offset: 0,
            reason: format!("{length} bytes are more than any segment has"),
        });
    }
    let mut bytes = vec![0; length as usize];
    let read = file.read_at(&mut bytes, 0).map_err(io)?;
    bytes.truncate(read);
    Ok(bytes)
}

fn check_header(
    name: &str,
    bytes: &[u8],
    generation: u64,
    expected: Option<(u64, u64)>,
) -> Result<SegmentHeader, LogError> {
    let corrupt = |reason: String| LogError::Corrupt { file: name.to_owned(), offset: 0, reason };
    let header = SegmentHeader::decode(bytes).map_err(|bad| match bad {
        BadHeader::Unreadable => corrupt("the segment's header is damaged".to_owned()),
        BadHeader::Version(version) => LogError::UnsupportedVersion {
            file: name.to_owned(),
            version,
            supported: FORMAT_VERSION,
        },
    })?;
    if header.identity.generation != generation {
        let found = header.identity.generation;
        return Err(corrupt(format!("the header is that of generation {found}")));
    }
    if header.capacity != bytes.len() as u64 {
        let (found, capacity) = (bytes.len(), header.capacity);
        return Err(corrupt(format!("{found} bytes long instead of {capacity}")));
    }
    if header.prelude_bytes > header.capacity || header.base.checked_add(header.capacity).is_none()
    {
        return Err(corrupt("the header contradicts itself".to_owned()));
    }
    if let Some((base, next_generation)) = expected {
        if generation != next_generation {
            let missing = super::segment_name(next_generation);
            return Err(corrupt(format!("the segment before it, \"{missing}\", is missing")));
        }
        if header.base != base {
            let found = header.base;
            return Err(corrupt(format!("begins at position {found} instead of {base}")));
        }
    }
    Ok(header)
}

fn apply(
    replay: &mut Replay,
    name: &str,
    header: &SegmentHeader,
    offset: usize,
    record: &RecordHeader,
    bytes: &[u8],
) -> Result<(), LogError> {
    let position = header.base + offset as u64;
    let corrupt =
        |reason: String| LogError::Corrupt { file: name.to_owned(), offset: offset as u64, reason };
    if record.durable > position {
        return Err(corrupt("claims to be durable before it was written".to_owned()));
    }
    replay.durable = replay.durable.max(record.durable);
    let payload = &bytes[offset + record.payload.start..offset + record.payload.end];
    match record.kind {
        RecordKind::Vote => replay.marks.vote = Some(payload.to_vec()),
        RecordKind::Committed => replay.marks.committed = Some(payload.to_vec()),
        RecordKind::Purge => replay.marks.purged = Some((record.index, payload.to_vec())),
        RecordKind::Entry | RecordKind::Truncate | RecordKind::Seal => {}
    }
    replay
        .indexes
        .try_apply(IndexChange { kind: record.kind, index: record.index, position })
        .map_err(|error| corrupt(error.to_string()))
}

/// Looks for intact records beyond the first bad one, at `offset`. Answers the offset behind the
/// last of them and the greatest durable position that any of them knew of.
fn search_remains(bytes: &[u8], offset: usize, header: &SegmentHeader) -> (usize, u64) {
    let (mut end, mut durable) = (offset, 0);
    let mut at = offset + format::RECORD_ALIGNMENT;
    while at < bytes.len() {
        match format::decode_record(&bytes[at..], header.identity) {
            Some(record) => {
                durable = durable.max(record.durable);
                at = (at + record.framed_bytes()).min(bytes.len());
                end = at;
            }
            None => at += format::RECORD_ALIGNMENT,
        }
    }
    (end, durable)
}

/// Clears what lies beyond the end, and writes once more what is not known to be durable.
fn settle_tail(current: &Segment, tail: &Tail, durable: u64) -> Result<(), LogError> {
    let io = |action| move |source| LogError::Io { action, file: current.name.clone(), source };
    if tail.remains_end > tail.end {
        let zeros = vec![0; (tail.remains_end - tail.end) as usize];
        current.file.write_at(&zeros, tail.end).map_err(io("clear"))?;
    }
    let known = durable.saturating_sub(current.base).min(tail.end);
    if known < tail.end {
        let unsure = &tail.bytes[known as usize..tail.end as usize];
        current.file.write_at(unsure, known).map_err(io("rewrite"))?;
    }
    current.file.sync_data().map_err(io("sync"))
}
