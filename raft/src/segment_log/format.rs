//! The bytes of a segment: its header and its records, as functions over slices.
//!
//! The picture stands at the head of [`crate::segment_log`]. Nothing here does I/O, and nothing
//! here panics on foreign bytes.

use std::ops::Range;

/// The version that this code writes, and the only one it reads.
pub(crate) const FORMAT_VERSION: u32 = 1;
/// Bytes of a segment's header; the first record stands behind it.
pub(crate) const SEGMENT_HEADER_BYTES: u64 = 64;
/// Bytes of a record's header.
pub(crate) const RECORD_HEADER_BYTES: usize = 40;
/// Records begin at multiples of this.
pub(crate) const RECORD_ALIGNMENT: usize = 8;
/// The longest payload of one record.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 256 << 20;

const MAGIC: &[u8; 8] = b"AEGISLOG";

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecordKind {
    /// An entry of the log; `index` is its own.
    Entry,
    /// The newest vote; the payload is opaque.
    Vote,
    /// How far the log is committed; the payload is opaque.
    Committed,
    /// Entries from `index` on are void.
    Truncate,
    /// Entries up to and including `index` are no longer needed; the payload is opaque.
    Purge,
    /// The segment ends here; the log continues in the next generation.
    Seal,
}

impl RecordKind {
    fn code(self) -> u8 {
        match self {
            Self::Entry => 1,
            Self::Vote => 2,
            Self::Committed => 3,
            Self::Truncate => 4,
            Self::Purge => 5,
            Self::Seal => 6,
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Entry,
            2 => Self::Vote,
            3 => Self::Committed,
            4 => Self::Truncate,
            5 => Self::Purge,
            6 => Self::Seal,
            _ => return None,
        })
    }
}

/// What tells the records of one segment from everything else that may lie in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentIdentity {
    /// Counts segments from 1 without a gap; a recycled file gets a new one. Every record's
    /// checksum begins with it.
    pub(crate) generation: u64,
    /// Drawn at random when the segment begins, repeated in every record: a client that writes
    /// the bytes of a record into a value does not know it, and cannot fool recovery's search.
    pub(crate) stamp: u64,
}

/// A segment's header, decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    /// Which segment this is.
    pub(crate) identity: SegmentIdentity,
    /// The log position of the file's first byte.
    pub(crate) base: u64,
    /// The file's length in bytes.
    pub(crate) capacity: u64,
    /// The first bytes of the file, header included, that were durable before it got its name.
    pub(crate) prelude_bytes: u64,
}

/// Why bytes are not a segment header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadHeader {
    /// Too short, no magic, or a wrong checksum.
    Unreadable,
    /// A header of another version.
    Version(u32),
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> [u8; SEGMENT_HEADER_BYTES as usize] {
        let mut bytes = [0; SEGMENT_HEADER_BYTES as usize];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.identity.generation.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.identity.stamp.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.base.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.capacity.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.prelude_bytes.to_le_bytes());
        let checksum = Self::checksum(&bytes);
        bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, BadHeader> {
        let bytes = bytes.get(..SEGMENT_HEADER_BYTES as usize).ok_or(BadHeader::Unreadable)?;
        if &bytes[..8] != MAGIC {
            return Err(BadHeader::Unreadable);
        }
        // The version is judged before the checksum: another version may have another checksum.
        let version = u32_at(bytes, 8);
        if version != FORMAT_VERSION {
            return Err(BadHeader::Version(version));
        }
        if u32_at(bytes, 12) != Self::checksum(bytes) {
            return Err(BadHeader::Unreadable);
        }
        Ok(Self {
            identity: SegmentIdentity { generation: u64_at(bytes, 16), stamp: u64_at(bytes, 24) },
            base: u64_at(bytes, 32),
            capacity: u64_at(bytes, 40),
            prelude_bytes: u64_at(bytes, 48),
        })
    }

    fn checksum(bytes: &[u8]) -> u32 {
        crc32c::crc32c_append(
            crc32c::crc32c(&bytes[..12]),
            &bytes[16..SEGMENT_HEADER_BYTES as usize],
        )
    }
}

/// A record's header, decoded, and where its payload lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecordHeader {
    pub(crate) kind: RecordKind,
    pub(crate) index: u64,
    /// Everything below this log position was durable when the record was written.
    pub(crate) durable: u64,
    /// The payload, relative to the record's first byte.
    pub(crate) payload: Range<usize>,
}

impl RecordHeader {
    /// The bytes that the record takes, padding included.
    pub(crate) fn framed_bytes(&self) -> usize {
        framed_bytes(self.payload.len())
    }
}

/// The bytes that a record with a payload of this length takes, padding included.
pub(crate) fn framed_bytes(payload_bytes: usize) -> usize {
    (RECORD_HEADER_BYTES + payload_bytes).next_multiple_of(RECORD_ALIGNMENT)
}

/// Appends a record to `buffer`, whose length is a multiple of the alignment before and after.
/// The payload is the concatenation of `parts`.
pub(crate) fn encode_record(
    buffer: &mut Vec<u8>,
    kind: RecordKind,
    identity: SegmentIdentity,
    index: u64,
    durable: u64,
    parts: &[&[u8]],
) {
    let start = buffer.len();
    let length: usize = parts.iter().map(|part| part.len()).sum();
    assert!(length <= PAYLOAD_BYTES_MAX, "the caller has checked the payload's length");
    buffer.reserve(framed_bytes(length));
    buffer.extend_from_slice(&[0; 4]);
    buffer.extend_from_slice(&(length as u32).to_le_bytes());
    buffer.extend_from_slice(&[kind.code(), 0, 0, 0, 0, 0, 0, 0]);
    buffer.extend_from_slice(&identity.stamp.to_le_bytes());
    buffer.extend_from_slice(&index.to_le_bytes());
    buffer.extend_from_slice(&durable.to_le_bytes());
    for part in parts {
        buffer.extend_from_slice(part);
    }
    let checksum = record_checksum(identity, &buffer[start + 4..]);
    buffer[start..start + 4].copy_from_slice(&checksum.to_le_bytes());
    buffer.resize(start + framed_bytes(length), 0);
}

/// The payload length that the header at the front of `bytes` claims, if the header could be one
/// of this segment. Nothing is verified yet: it says how much to read before decoding.
pub(crate) fn claimed_payload_bytes(bytes: &[u8], identity: SegmentIdentity) -> Option<usize> {
    let header = bytes.get(..RECORD_HEADER_BYTES)?;
    let length = u32_at(header, 4) as usize;
    let plausible = u64_at(header, 16) == identity.stamp
        && length <= PAYLOAD_BYTES_MAX
        && header[9..16] == [0; 7]
        && RecordKind::from_code(header[8]).is_some();
    plausible.then_some(length)
}

/// Decodes the record at the front of `bytes`. `None` if it is not a whole, intact record of
/// this segment.
pub(crate) fn decode_record(bytes: &[u8], identity: SegmentIdentity) -> Option<RecordHeader> {
    let length = claimed_payload_bytes(bytes, identity)?;
    let end = RECORD_HEADER_BYTES + length;
    let covered = bytes.get(4..end)?;
    if u32_at(bytes, 0) != record_checksum(identity, covered) {
        return None;
    }
    Some(RecordHeader {
        kind: RecordKind::from_code(bytes[8])?,
        index: u64_at(bytes, 24),
        durable: u64_at(bytes, 32),
        payload: RECORD_HEADER_BYTES..end,
    })
}

fn record_checksum(identity: SegmentIdentity, covered: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&identity.generation.to_le_bytes()), covered)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut value = [0; 4];
    value.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(value)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut value = [0; 8];
    value.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const IDENTITY: SegmentIdentity = SegmentIdentity { generation: 3, stamp: 0x5eed };

    #[test]
    fn a_segment_header_returns_as_it_was_written_and_any_changed_bit_is_noticed() {
        let header =
            SegmentHeader { identity: IDENTITY, base: 1 << 40, capacity: 4096, prelude_bytes: 64 };
        let bytes = header.encode();
        assert_eq!(SegmentHeader::decode(&bytes), Ok(header));
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(SegmentHeader::decode(&changed).is_err(), "bit {bit}");
        }
        let mut newer = bytes;
        newer[8] = 2;
        assert_eq!(SegmentHeader::decode(&newer), Err(BadHeader::Version(2)));
    }

    #[test]
    fn a_record_of_another_generation_or_stamp_is_not_a_record() {
        let mut bytes = Vec::new();
        encode_record(&mut bytes, RecordKind::Entry, IDENTITY, 9, 64, &[b"ab", b"c"]);
        let header = decode_record(&bytes, IDENTITY).unwrap();
        assert_eq!(&bytes[header.payload.clone()], b"abc");
        assert_eq!((header.index, header.durable), (9, 64));
        let generation = SegmentIdentity { generation: 4, ..IDENTITY };
        let stamp = SegmentIdentity { stamp: 1, ..IDENTITY };
        assert_eq!(decode_record(&bytes, generation), None);
        assert_eq!(decode_record(&bytes, stamp), None);
        assert_eq!(decode_record(&[0; 64], IDENTITY), None);
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = SegmentHeader::decode(&bytes);
            let _ = decode_record(&bytes, SegmentIdentity { generation: 0, stamp: 0 });
        }

        #[test]
        fn any_changed_bit_of_a_record_is_noticed(payload in prop::collection::vec(any::<u8>(), 0..60), at in any::<prop::sample::Index>()) {
            let mut bytes = Vec::new();
            encode_record(&mut bytes, RecordKind::Entry, IDENTITY, 1, 2, &[&payload]);
            let bit = at.index((RECORD_HEADER_BYTES + payload.len()) * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(decode_record(&bytes, IDENTITY), None);
        }
    }
}
