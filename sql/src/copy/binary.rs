//! The binary format of COPY: fields with their lengths, in rows with their counts.
//!
//! ```text
//! PGCOPY\n\xff\r\n\0   flags  extension length, extension
//! count   length bytes  length bytes …                      a row; a length of -1 is NULL
//! -1                                                        the end
//! ```

use std::ops::Range;

use aegis_types::{SqlError, SqlResult, SqlState};

/// What data in this format begins with.
const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
/// The header's fixed part: signature, flags, length of the extension.
const HEADER_BYTES: usize = SIGNATURE.len() + 8;
/// PostgreSQL's bound of one field.
const FIELD_BYTES_MAX: usize = 0x3fff_ffff;

/// Appends what the data begins with.
pub fn write_header(out: &mut Vec<u8>) {
    out.extend_from_slice(SIGNATURE);
    out.extend_from_slice(&[0; 8]);
}

/// Appends the beginning of a row.
pub fn write_row(columns: usize, out: &mut Vec<u8>) {
    // A row has no more than 1,664 columns.
    out.extend_from_slice(&(columns as i16).to_be_bytes());
}

/// Appends a field, which `write` appends without its length; `None` is NULL.
pub fn write_field(write: Option<impl FnOnce(&mut Vec<u8>)>, out: &mut Vec<u8>) {
    let at = out.len();
    out.extend_from_slice(&(-1_i32).to_be_bytes());
    if let Some(write) = write {
        write(out);
        let len = i32::try_from(out.len() - at - 4).unwrap_or(i32::MAX);
        out[at..at + 4].copy_from_slice(&len.to_be_bytes());
    }
}

/// Appends what the data ends with.
pub fn write_end(out: &mut Vec<u8>) {
    out.extend_from_slice(&(-1_i16).to_be_bytes());
}

/// What reading comes to.
enum Read<T> {
    Got(T),
    NeedMore,
}

/// Reads the rows of a `COPY … FROM` in binary.
pub struct BinaryReader {
    relation: String,
    columns: Vec<String>,
    buffer: Vec<u8>,
    /// What was read of `buffer`.
    start: usize,
    header_read: bool,
    /// Bytes of the header's extension that are still to be skipped.
    to_skip: usize,
    /// The row at hand, from 1.
    line_number: u64,
    fields: Vec<Option<Range<usize>>>,
    /// No bytes will follow.
    ended: bool,
    /// The end marker was read.
    done: bool,
}

impl BinaryReader {
    /// Makes ready to read rows for these columns of a relation, whose name the context of errors
    /// shows.
    #[must_use]
    pub fn new(relation: &str, columns: Vec<String>) -> Self {
        Self {
            relation: relation.to_owned(),
            columns,
            buffer: Vec::new(),
            start: 0,
            header_read: false,
            to_skip: 0,
            line_number: 0,
            fields: Vec::new(),
            ended: false,
            done: false,
        }
    }

    /// Takes more bytes; what was read is forgotten.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.fields.clear();
        self.buffer.extend_from_slice(bytes);
    }

    /// No bytes will follow.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// Reads the next row; false if it needs more bytes, or if there is none.
    ///
    /// # Errors
    /// 22P04 for data that are not in this format.
    pub fn next_row(&mut self) -> SqlResult<bool> {
        if !self.header_read {
            match self.read_header()? {
                Read::Got(()) => self.header_read = true,
                Read::NeedMore => return Ok(false),
            }
        }
        let skipped = self.to_skip.min(self.buffer.len() - self.start);
        self.start += skipped;
        self.to_skip -= skipped;
        if self.to_skip > 0 {
            return if self.ended { Err(malformed(WRONG_LENGTH)) } else { Ok(false) };
        }
        if self.done {
            if self.start < self.buffer.len() {
                return Err(self.in_row(malformed("received copy data after EOF marker")));
            }
            return Ok(false);
        }
        match self.read_row().map_err(|error| {
            // The row that is not there yet is the one that the context names.
            self.line_number += 1;
            self.in_row(error)
        })? {
            Read::Got(true) => {
                self.line_number += 1;
                Ok(true)
            }
            Read::Got(false) => {
                self.line_number += 1;
                self.done = true;
                self.next_row()
            }
            Read::NeedMore => Ok(false),
        }
    }

    fn read_header(&mut self) -> SqlResult<Read<()>> {
        let seen = self.buffer.len().min(SIGNATURE.len());
        if self.buffer[..seen] != SIGNATURE[..seen] || (self.ended && seen < SIGNATURE.len()) {
            return Err(malformed("COPY file signature not recognized"));
        }
        if self.buffer.len() < HEADER_BYTES {
            return match (self.ended, self.buffer.len() - seen) {
                (false, _) => Ok(Read::NeedMore),
                (true, 0..4) => Err(malformed("invalid COPY file header (missing flags)")),
                (true, _) => Err(malformed("invalid COPY file header (missing length)")),
            };
        }
        let flags = self.int4(SIGNATURE.len());
        if flags & 1 << 16 != 0 {
            return Err(malformed("invalid COPY file header (WITH OIDS)"));
        }
        if flags >> 16 != 0 {
            return Err(malformed("unrecognized critical flags in COPY file header"));
        }
        let Ok(extension) = usize::try_from(self.int4(SIGNATURE.len() + 4)) else {
            return Err(malformed("invalid COPY file header (missing length)"));
        };
        self.to_skip = extension;
        self.start = HEADER_BYTES;
        Ok(Read::Got(()))
    }

    /// The number at a place that is there.
    fn int4(&self, at: usize) -> i32 {
        let bytes = &self.buffer[at..at + 4];
        i32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
    }

    /// Reads a row; false at the end of the data.
    fn read_row(&mut self) -> SqlResult<Read<bool>> {
        self.fields.clear();
        let short = |reader: &Self| {
            if reader.ended {
                Err(malformed("unexpected EOF in COPY data"))
            } else {
                Ok(Read::NeedMore)
            }
        };
        let [high, low] = match self.buffer[self.start..] {
            [high, low, ..] => [high, low],
            // PostgreSQL takes data that end between two rows as whole.
            _ if self.ended => return Ok(Read::Got(false)),
            _ => return Ok(Read::NeedMore),
        };
        let count = i16::from_be_bytes([high, low]);
        let mut at = self.start + 2;
        if count == -1 {
            self.start = at;
            return Ok(Read::Got(false));
        }
        let expected = self.columns.len();
        if usize::try_from(count) != Ok(expected) {
            return Err(malformed(format!("row field count is {count}, expected {expected}")));
        }
        for _ in 0..expected {
            if self.buffer.len() - at < 4 {
                return short(self);
            }
            let len = self.int4(at);
            at += 4;
            if len == -1 {
                self.fields.push(None);
                continue;
            }
            let len = usize::try_from(len).ok().filter(|len| *len <= FIELD_BYTES_MAX);
            let len = len.ok_or_else(|| malformed("invalid field size"))?;
            if self.buffer.len() - at < len {
                return short(self);
            }
            self.fields.push(Some(at..at + len));
            at += len;
        }
        self.start = at;
        Ok(Read::Got(true))
    }

    /// A field of the row at hand; `None` is NULL.
    #[must_use]
    pub fn field(&self, at: usize) -> Option<&[u8]> {
        self.fields.get(at)?.clone().map(|range| &self.buffer[range])
    }

    /// The number of the row at hand, from 1.
    #[must_use]
    pub const fn line_number(&self) -> u64 {
        self.line_number
    }

    /// An error in the row at hand.
    #[must_use]
    pub fn in_row(&self, error: SqlError) -> SqlError {
        error.context(format!("COPY {}, line {}", self.relation, self.line_number))
    }

    /// An error in one field of the row at hand.
    #[must_use]
    pub fn in_field(&self, error: SqlError, at: usize) -> SqlError {
        let column = &self.columns[at];
        error.context(format!("COPY {}, line {}, column {column}", self.relation, self.line_number))
    }
}

const WRONG_LENGTH: &str = "invalid COPY file header (wrong length)";

fn malformed(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::BadCopyFileFormat, message)
}
