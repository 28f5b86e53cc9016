//! What a server that stops in order leaves of its statistics to the next: one file, all numbers
//! little-endian.
//!
//! ```text
//! AEGISST1 ─ evictions u64 ─ reset time i64 ─ count u32 ─ entries ─ CRC-32C u32 of all before
//! entry: role u32, database u32, identifier i64, top level u8,
//!        planning, execution: calls u64, then total, min, max, mean, squares f64
//!        rows, records, bytes u64, usage f64, length of the text u32 (all ones: none), text
//! ```
//!
//! A file that is not as it should be is no reason not to start: it counts as none.

use std::io;
use std::path::Path;
use std::sync::Arc;

use aegis_storage::{Disk, OpenMode};
use aegis_types::Oid;

use super::{Figures, Key, TEXT_BYTES_MAX, Times};

/// The first eight bytes; the last of them is the version.
const MAGIC: &[u8; 8] = b"AEGISST1";
const FOLDER: &str = "statistics";
const FILE: &str = "statistics/statements";
/// No file of ours is longer: so many bytes of text, and the figures of a million statements.
const LENGTH_MAX: u64 = TEXT_BYTES_MAX as u64 + (256 << 20);

/// What is saved.
pub(super) struct Saved {
    pub(super) evictions: u64,
    pub(super) reset_time: i64,
    pub(super) entries: Vec<(Key, Option<Arc<str>>, Figures)>,
}

/// Writes the file.
pub(super) fn put(disk: &dyn Disk, saved: &Saved) -> io::Result<()> {
    disk.create_dir_all(Path::new(FOLDER))?;
    let file = disk.open(Path::new(FILE), OpenMode::OpenOrCreate)?;
    file.set_len(0)?;
    file.write_at(&encode(saved), 0)?;
    file.sync_data()?;
    disk.sync_dir(Path::new(FOLDER))
}

/// Reads the file and removes it.
pub(super) fn take(disk: &dyn Disk) -> io::Result<Option<Saved>> {
    let file = match disk.open(Path::new(FILE), OpenMode::Existing) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let length = file.len()?;
    let mut bytes = Vec::new();
    if length <= LENGTH_MAX {
        bytes.resize(usize::try_from(length).unwrap_or_default(), 0);
        file.read_at(&mut bytes, 0)?;
    }
    drop(file);
    disk.remove(Path::new(FILE))?;
    disk.sync_dir(Path::new(FOLDER))?;
    let malformed = || io::Error::new(io::ErrorKind::InvalidData, "the file is malformed");
    decode(&bytes).map(Some).ok_or_else(malformed)
}

fn encode(saved: &Saved) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&saved.evictions.to_le_bytes());
    out.extend_from_slice(&saved.reset_time.to_le_bytes());
    out.extend_from_slice(&(saved.entries.len() as u32).to_le_bytes());
    for (key, text, figures) in &saved.entries {
        out.extend_from_slice(&key.role.0.to_le_bytes());
        out.extend_from_slice(&key.database.0.to_le_bytes());
        out.extend_from_slice(&key.query_id.to_le_bytes());
        out.push(u8::from(key.top_level));
        for times in [&figures.planning, &figures.execution] {
            out.extend_from_slice(&times.calls.to_le_bytes());
            for time in [times.total, times.min, times.max, times.mean, times.squares] {
                out.extend_from_slice(&time.to_le_bytes());
            }
        }
        for number in [figures.rows, figures.records, figures.bytes] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&figures.usage.to_le_bytes());
        match text {
            None => out.extend_from_slice(&u32::MAX.to_le_bytes()),
            Some(text) => {
                out.extend_from_slice(&(text.len() as u32).to_le_bytes());
                out.extend_from_slice(text.as_bytes());
            }
        }
    }
    let checksum = crc32c::crc32c(&out);
    out.extend_from_slice(&checksum.to_le_bytes());
    out
}

fn decode(bytes: &[u8]) -> Option<Saved> {
    let (body, checksum) = bytes.split_at_checked(bytes.len().checked_sub(4)?)?;
    if crc32c::crc32c(body).to_le_bytes() != checksum {
        return None;
    }
    let mut reader = Reader(body.strip_prefix(MAGIC)?);
    let evictions = reader.u64()?;
    let reset_time = i64::from_le_bytes(reader.take()?);
    let count = reader.u32()?;
    let mut entries = Vec::new();
    for _ in 0..count {
        let key = Key {
            role: Oid(reader.u32()?),
            database: Oid(reader.u32()?),
            query_id: i64::from_le_bytes(reader.take()?),
            top_level: reader.take::<1>()? == [1],
        };
        let mut figures = Figures {
            planning: reader.times()?,
            execution: reader.times()?,
            rows: reader.u64()?,
            records: reader.u64()?,
            bytes: reader.u64()?,
            usage: 0.0,
        };
        figures.usage = reader.f64()?;
        let text = match reader.u32()? {
            u32::MAX => None,
            length => Some(Arc::from(std::str::from_utf8(reader.slice(length as usize)?).ok()?)),
        };
        entries.push((key, text, figures));
    }
    reader.0.is_empty().then_some(Saved { evictions, reset_time, entries })
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn slice(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.slice(N)?.try_into().ok()
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn f64(&mut self) -> Option<f64> {
        self.take().map(f64::from_le_bytes)
    }

    fn times(&mut self) -> Option<Times> {
        Some(Times {
            calls: self.u64()?,
            total: self.f64()?,
            min: self.f64()?,
            max: self.f64()?,
            mean: self.f64()?,
            squares: self.f64()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of version 1, as the first server wrote it that had one.
    const VERSION_1: &[u8] = include_bytes!("file/version_1.bin");

    #[test]
    fn the_first_version_still_opens() {
        let saved = decode(VERSION_1).expect("it was written by us");
        assert_eq!((saved.evictions, saved.reset_time, saved.entries.len()), (3, 4, 2));
        let (key, text, figures) = &saved.entries[0];
        assert_eq!(*key, Key { role: Oid(10), database: Oid(5), query_id: -7, top_level: true });
        assert_eq!(text.as_deref(), Some("SELECT $1"));
        assert_eq!((figures.execution.calls, figures.rows, figures.usage), (2, 9, 1.5));
        assert!(saved.entries[1].1.is_none());
        assert_eq!(encode(&saved), VERSION_1);
    }

    #[test]
    fn what_is_not_whole_is_nothing() {
        for length in 0..VERSION_1.len() {
            assert!(decode(&VERSION_1[..length]).is_none(), "{length}");
        }
        for at in 0..VERSION_1.len() {
            let mut bytes = VERSION_1.to_vec();
            bytes[at] ^= 0x40;
            assert!(decode(&bytes).is_none(), "{at}");
        }
    }
}
