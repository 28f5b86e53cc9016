//! The reading side of COPY: bytes in pieces of any size in, rows of fields out.
//!
//! The splitter looks for the end of a line the way PostgreSQL does: the first line decides between
//! LF, CR and CRLF, and another one later is an error rather than data. It stops where it cannot tell
//! without the next byte and goes on there when more has come, so no byte is looked at twice.

use std::borrow::Cow;
use std::ops::Range;

use aegis_types::{SqlError, SqlResult, SqlState};

use super::encoding::{invalid_at, invalid_sequence};
use super::fields::Fields;
use super::options::{CopyFormat, CopyHeader, CopyOptions};

/// Bytes that one line may have: PostgreSQL's limit of 1 GiB less one.
const LINE_BYTES_MAX: usize = 0x3fff_ffff;

/// Bytes of a line or value that an error's context shows.
const SHOWN_BYTES_MAX: usize = 100;

/// How lines end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LineEnd {
    Unknown,
    Lf,
    Cr,
    CrLf,
}

/// What looking for the end of a line came to.
enum Found {
    /// A line without its end; the data ends there too if the flag is set.
    Line(Range<usize>, bool),
    /// More bytes are needed.
    NeedMore,
}

/// Where the splitter is in the line at hand.
#[derive(Clone, Copy, Debug, Default)]
struct Scan {
    in_quote: bool,
    after_escape: bool,
}

/// Reads the rows of a `COPY … FROM` in text or csv.
pub struct CopyReader {
    options: CopyOptions,
    relation: String,
    columns: Vec<String>,
    force_not_null: Vec<bool>,
    force_null: Vec<bool>,
    buffer: Vec<u8>,
    /// Where the line at hand begins in `buffer`.
    start: usize,
    /// How far the splitter has looked.
    at: usize,
    scan: Scan,
    line_end: LineEnd,
    line_number: u64,
    /// Whether `line_number` counts the line at hand already.
    line_begun: bool,
    /// The line that was read last, while errors may show it.
    line: Option<Range<usize>>,
    header_pending: bool,
    /// No bytes will follow.
    ended: bool,
    /// The end marker or the end of the bytes was reached: there are no more rows.
    done: bool,
    fields: Fields,
}

impl CopyReader {
    /// Makes ready to read rows for these columns of a relation, whose name the context of errors
    /// shows.
    #[must_use]
    pub fn new(options: CopyOptions, relation: &str, columns: Vec<String>) -> Self {
        let among =
            |names: &[String]| columns.iter().map(|column| names.contains(column)).collect();
        Self {
            force_not_null: among(&options.force_not_null),
            force_null: among(&options.force_null),
            header_pending: options.header != CopyHeader::Off,
            relation: relation.to_owned(),
            columns,
            options,
            buffer: Vec::new(),
            start: 0,
            at: 0,
            scan: Scan::default(),
            line_end: LineEnd::Unknown,
            line_number: 0,
            line_begun: false,
            line: None,
            ended: false,
            done: false,
            fields: Fields::default(),
        }
    }

    /// Takes more bytes. What is read is forgotten: at most one unfinished line and these bytes are
    /// held, if every row was asked for before.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.done {
            return;
        }
        self.buffer.drain(..self.start);
        self.at -= self.start;
        self.start = 0;
        self.line = None;
        self.buffer.extend_from_slice(bytes);
    }

    /// No bytes will follow: a line without an end is one all the same.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// Reads the next row; false if it needs more bytes, or if there is none after [`Self::end`].
    ///
    /// # Errors
    /// 22P04 for lines that are not as they should be, 22021 for invalid UTF-8, 54000 for a line of
    /// 1 GiB; each with its line in the context.
    pub fn next_row(&mut self) -> SqlResult<bool> {
        if self.header_pending {
            if !self.next_line()? {
                return Ok(false);
            }
            self.header_pending = false;
            if self.options.header == CopyHeader::Match {
                self.split_line(true)?;
                self.check_header().map_err(|error| self.in_line(error))?;
            }
        }
        if !self.next_line()? {
            return Ok(false);
        }
        if self.done && self.line.as_ref().is_none_or(Range::is_empty) {
            return Ok(false);
        }
        self.split_line(false)?;
        Ok(true)
    }

    /// A field of the row at hand; `None` is NULL.
    ///
    /// # Errors
    /// 22P04 if the line ends before it.
    pub fn field(&self, at: usize) -> SqlResult<Option<&str>> {
        let Some(field) = self.fields.get(at) else {
            return Err(self
                .in_line(malformed(format!("missing data for column \"{}\"", self.columns[at]))));
        };
        Ok(match field {
            None if self.force_not_null[at] => Some(&self.options.null),
            Some(text) if self.force_null[at] && text == self.options.null => None,
            other => other,
        })
    }

    /// The number of the line at hand, from 1.
    #[must_use]
    pub fn line_number(&self) -> u64 {
        self.line_number
    }

    /// Appends what a context shows of the line at hand, if it can be read, and tells where that is.
    #[must_use]
    pub fn show_line(&self, shown: &mut String) -> Option<Range<usize>> {
        let line = &self.buffer[self.line.clone()?];
        // Enough to see that it is long, and whole characters up to where it is cut.
        let line = String::from_utf8_lossy(&line[..line.len().min(SHOWN_BYTES_MAX + 4)]);
        let from = shown.len();
        shown.push_str(&shortened(&line));
        Some(from..shown.len())
    }

    /// An error in the row at hand: its context shows the line.
    #[must_use]
    pub fn in_line(&self, error: SqlError) -> SqlError {
        let mut shown = String::new();
        let line = self.show_line(&mut shown).map(|_| &*shown);
        error.context(line_context(&self.relation, self.line_number, line))
    }

    /// An error in the row at hand of which the line's number says enough.
    #[must_use]
    pub fn at_line(&self, error: SqlError) -> SqlError {
        error.context(line_context(&self.relation, self.line_number, None))
    }

    /// An error in one field of the row at hand.
    #[must_use]
    pub fn in_field(&self, error: SqlError, at: usize) -> SqlError {
        let value = match self.field(at) {
            Ok(Some(value)) => format!("\"{}\"", shortened(value)),
            _ => "null input".to_owned(),
        };
        let column = &self.columns[at];
        error.context(format!(
            "COPY {}, line {}, column {column}: {value}",
            self.relation, self.line_number
        ))
    }

    /// Reads a line; false if it needs more bytes or there is none.
    fn next_line(&mut self) -> SqlResult<bool> {
        if self.done {
            return Ok(false);
        }
        self.line = None;
        if !self.line_begun {
            self.line_begun = true;
            self.line_number += 1;
            self.scan = Scan::default();
            self.at = self.start;
        }
        let (line, done) = match self.find_line().map_err(|error| self.at_line(error))? {
            Found::Line(line, done) => (line, done),
            Found::NeedMore => {
                let held = self.buffer.len() - self.start;
                return if held > LINE_BYTES_MAX {
                    Err(self.at_line(too_long(held)))
                } else {
                    Ok(false)
                };
            }
        };
        if line.len() > LINE_BYTES_MAX {
            return Err(self.at_line(too_long(line.len())));
        }
        if let Some(at) = invalid_at(&self.buffer[line.clone()]) {
            return Err(self.at_line(invalid_sequence(&self.buffer[line.start + at..])));
        }
        self.start = self.at;
        self.line_begun = false;
        self.line = Some(line);
        self.done = done;
        Ok(true)
    }

    /// Looks for the end of the line at hand, and moves `at` behind it.
    fn find_line(&mut self) -> SqlResult<Found> {
        let csv = self.options.format == CopyFormat::Csv;
        while let Some(&byte) = self.buffer.get(self.at) {
            if matches!(byte, b'\r' | b'\\') && self.at + 1 == self.buffer.len() && !self.ended {
                return Ok(Found::NeedMore);
            }
            let marker = if byte == b'\\' && (!csv || self.at == self.start) {
                match self.end_marker()? {
                    Marker::NeedMore => return Ok(Found::NeedMore),
                    Marker::At { end } => {
                        let line = self.start..self.at;
                        self.at = end;
                        return Ok(Found::Line(line, true));
                    }
                    Marker::None => true,
                }
            } else {
                false
            };
            if csv {
                self.track_quotes(byte);
            }
            match byte {
                b'\r' if !self.scan.in_quote => {
                    return self.end_at_cr().map(|line| Found::Line(line, false));
                }
                b'\n' if !self.scan.in_quote => {
                    return self.end_at_lf().map(|line| Found::Line(line, false));
                }
                // In text the byte behind a backslash is data, whatever it is.
                b'\\' if marker && !csv => self.at = (self.at + 2).min(self.buffer.len()),
                _ => self.at += 1,
            }
        }
        if self.ended {
            return Ok(Found::Line(self.start..self.at, true));
        }
        Ok(Found::NeedMore)
    }

    fn track_quotes(&mut self, byte: u8) {
        let CopyOptions { quote, escape, .. } = self.options;
        let is_escape = escape != quote && byte == escape;
        if self.scan.in_quote && is_escape {
            self.scan.after_escape = !self.scan.after_escape;
        }
        if byte == quote && !self.scan.after_escape {
            self.scan.in_quote = !self.scan.in_quote;
        }
        if !is_escape {
            self.scan.after_escape = false;
        }
        // PostgreSQL counts lines inside quotes by the byte that it believes to end them.
        let counted = if self.line_end == LineEnd::Lf { b'\n' } else { b'\r' };
        if self.scan.in_quote && byte == counted {
            self.line_number += 1;
        }
    }

    fn end_at_cr(&mut self) -> SqlResult<Range<usize>> {
        let line = self.start..self.at;
        self.at += 1;
        match self.line_end {
            LineEnd::Unknown | LineEnd::CrLf => {
                if self.buffer.get(self.at) == Some(&b'\n') {
                    self.at += 1;
                    self.line_end = LineEnd::CrLf;
                } else if self.line_end == LineEnd::CrLf {
                    return Err(self.stray("carriage return", "\\r"));
                } else {
                    self.line_end = LineEnd::Cr;
                }
            }
            LineEnd::Lf => return Err(self.stray("carriage return", "\\r")),
            LineEnd::Cr => {}
        }
        Ok(line)
    }

    fn end_at_lf(&mut self) -> SqlResult<Range<usize>> {
        if matches!(self.line_end, LineEnd::Cr | LineEnd::CrLf) {
            return Err(self.stray("newline", "\\n"));
        }
        self.line_end = LineEnd::Lf;
        let line = self.start..self.at;
        self.at += 1;
        Ok(line)
    }

    fn stray(&self, what: &str, escape: &str) -> SqlError {
        match self.options.format {
            CopyFormat::Text | CopyFormat::Binary => {
                malformed(format!("literal {what} found in data"))
                    .hint(format!("Use \"{escape}\" to represent {what}."))
            }
            CopyFormat::Csv => malformed(format!("unquoted {what} found in data"))
                .hint(format!("Use quoted CSV field to represent {what}.")),
        }
    }

    /// Whether `\.` and the end of a line stand at the backslash.
    fn end_marker(&self) -> SqlResult<Marker> {
        let csv = self.options.format == CopyFormat::Csv;
        let byte = |at: usize| self.buffer.get(self.at + at).copied();
        if byte(1) != Some(b'.') {
            return Ok(Marker::None);
        }
        let end_len = if self.line_end == LineEnd::CrLf { 2 } else { 1 };
        // Fewer may be enough to tell, but an end of the data always gives the rest.
        if byte(1 + end_len).is_none() && !self.ended {
            return Ok(Marker::NeedMore);
        }
        let no_marker = |message: &str| {
            if csv { Ok(Marker::None) } else { Err(malformed(message)) }
        };
        let mut at = 2;
        if self.line_end == LineEnd::CrLf {
            match byte(at) {
                Some(b'\n') => return no_marker(OTHER_NEWLINE),
                Some(b'\r') => at += 1,
                _ => return no_marker(CORRUPT_MARKER),
            }
        }
        match (byte(at), self.line_end) {
            (Some(b'\n'), LineEnd::Cr) | (Some(b'\r'), LineEnd::Lf | LineEnd::CrLf) => {
                Err(malformed(OTHER_NEWLINE))
            }
            (Some(b'\n' | b'\r'), _) => Ok(Marker::At { end: self.at + at + 1 }),
            _ => no_marker(CORRUPT_MARKER),
        }
    }

    fn split_line(&mut self, is_header: bool) -> SqlResult<()> {
        let line = self.line.clone().unwrap_or_default();
        let most = self.columns.len();
        if most == 0 && line.is_empty() {
            self.fields = Fields::default();
            return Ok(());
        }
        self.fields
            .split(&self.buffer[line], &self.options, most)
            .and_then(|()| {
                if self.fields.count > most && !is_header {
                    Err(malformed("extra data after last expected column"))
                } else {
                    Ok(())
                }
            })
            .map_err(|error| self.in_line(error))
    }

    fn check_header(&self) -> SqlResult<()> {
        let (got, expected) = (self.fields.count, self.columns.len());
        if got != expected {
            return Err(malformed(format!(
                "wrong number of fields in header line: got {got}, expected {expected}"
            )));
        }
        for (at, name) in self.columns.iter().enumerate() {
            let got = match self.fields.get(at).flatten() {
                Some(field) if field == name => continue,
                Some(field) => format!("got \"{field}\""),
                None => format!("got null value (\"{}\")", self.options.null),
            };
            return Err(malformed(format!(
                "column name mismatch in header line field {}: {got}, expected \"{name}\"",
                at + 1
            )));
        }
        Ok(())
    }
}

/// What stands at a backslash.
enum Marker {
    /// Data.
    None,
    /// The end marker, which ends there.
    At { end: usize },
    /// It cannot be told yet.
    NeedMore,
}

const OTHER_NEWLINE: &str = "end-of-copy marker does not match previous newline style";
const CORRUPT_MARKER: &str = "end-of-copy marker corrupt";

fn malformed(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::BadCopyFileFormat, message)
}

fn too_long(bytes: usize) -> SqlError {
    SqlError::new(SqlState::ProgramLimitExceeded, "out of memory").detail(format!(
        "A line of COPY data has {bytes} bytes, more than the limit of {LINE_BYTES_MAX}."
    ))
}

/// The context of an error in a line of COPY's data, with what is shown of the line.
#[must_use]
pub fn line_context(relation: &str, number: u64, line: Option<&str>) -> String {
    match line {
        Some(line) => format!("COPY {relation}, line {number}: \"{line}\""),
        None => format!("COPY {relation}, line {number}"),
    }
}

/// What a context shows of a long line or value.
fn shortened(text: &str) -> Cow<'_, str> {
    if text.len() <= SHOWN_BYTES_MAX {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("{}...", &text[..text.floor_char_boundary(SHOWN_BYTES_MAX)]))
}
