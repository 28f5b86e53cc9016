//! One line of COPY taken apart into fields.

use std::ops::Range;

use aegis_types::{SqlError, SqlResult, SqlState};

use super::encoding::{invalid_at, invalid_sequence};
use super::options::{CopyFormat, CopyOptions};

/// The fields of the line at hand. Its buffers are kept from line to line.
#[derive(Default)]
pub(super) struct Fields {
    /// The fields without escapes and quotes, one after the other: valid UTF-8.
    values: String,
    /// Where each lies; `None` for NULL. At most as many as were asked for.
    places: Vec<Option<Range<usize>>>,
    /// How many the line has.
    pub(super) count: usize,
}

impl Fields {
    /// A field, if the line has it; `None` inside is NULL.
    pub(super) fn get(&self, at: usize) -> Option<Option<&str>> {
        let place = self.places.get(at)?;
        Some(place.as_ref().map(|range| &self.values[range.clone()]))
    }

    /// Takes a line apart, its end cut off. Fields beyond `most` are counted, not kept.
    ///
    /// # Errors
    /// 22P04 for an open quote, 22021 for escapes that do not make UTF-8.
    pub(super) fn split(
        &mut self,
        line: &[u8],
        options: &CopyOptions,
        most: usize,
    ) -> SqlResult<()> {
        let mut out = std::mem::take(&mut self.values).into_bytes();
        out.clear();
        self.places.clear();
        self.count = 0;
        let mut rest = line;
        loop {
            let start = out.len();
            let field = match options.format {
                CopyFormat::Text | CopyFormat::Binary => {
                    text_field(rest, options.delimiter, &mut out)?
                }
                CopyFormat::Csv => csv_field(rest, options, &mut out)?,
            };
            let is_null = !field.quoted && &rest[..field.raw_len] == options.null.as_bytes();
            if !is_null
                && field.has_bytes_to_check
                && let Some(at) = invalid_at(&out[start..])
            {
                return Err(invalid_sequence(&out[start + at..]));
            }
            if is_null {
                out.truncate(start);
            }
            self.count += 1;
            if self.count <= most {
                self.places.push((!is_null).then_some(start..out.len()));
            } else {
                out.truncate(start);
            }
            match field.next {
                Some(next) => rest = &rest[next..],
                None => break,
            }
        }
        self.values = String::from_utf8(out).map_err(|error| {
            invalid_sequence(&error.as_bytes()[error.utf8_error().valid_up_to()..])
        })?;
        Ok(())
    }
}

/// What was found of one field.
struct Field {
    /// Bytes of it in the line, to be compared with the NULL marker.
    raw_len: usize,
    /// Where the next begins, behind the delimiter.
    next: Option<usize>,
    /// Whether part of it was in quotes, so that it is not NULL.
    quoted: bool,
    /// Whether an escape gave NUL or a byte that is not ASCII.
    has_bytes_to_check: bool,
}

fn text_field(line: &[u8], delimiter: u8, out: &mut Vec<u8>) -> SqlResult<Field> {
    let mut at = 0;
    let mut field =
        Field { raw_len: line.len(), next: None, quoted: false, has_bytes_to_check: false };
    while at < line.len() {
        let plain = line[at..].iter().position(|byte| *byte == delimiter || *byte == b'\\');
        let Some(plain) = plain else {
            out.extend_from_slice(&line[at..]);
            break;
        };
        out.extend_from_slice(&line[at..at + plain]);
        at += plain;
        if line[at] == delimiter {
            field.raw_len = at;
            field.next = Some(at + 1);
            break;
        }
        let Some(escaped) = line.get(at + 1) else {
            field.raw_len = at;
            break;
        };
        let (byte, len) = match escaped {
            b'0'..=b'7' => number(&line[at + 1..], 8, 3),
            b'x' if line.get(at + 2).is_some_and(u8::is_ascii_hexdigit) => {
                let (byte, len) = number(&line[at + 2..], 16, 2);
                (byte, len + 1)
            }
            other => (control(*other), 1),
        };
        let is_number = len > 1 || escaped.is_ascii_digit();
        field.has_bytes_to_check |= is_number && (byte == 0 || byte >= 0x80);
        out.push(byte);
        at += 1 + len;
    }
    Ok(field)
}

/// Up to `digits_max` digits, and how many they are. Beyond a byte the upper bits are lost, as in
/// PostgreSQL.
fn number(bytes: &[u8], radix: u32, digits_max: usize) -> (u8, usize) {
    let mut value = 0u32;
    let mut len = 0;
    while len < digits_max
        && let Some(digit) = bytes.get(len).and_then(|byte| char::from(*byte).to_digit(radix))
    {
        value = value * radix + digit;
        len += 1;
    }
    ((value & 0xff) as u8, len)
}

/// What a letter behind a backslash stands for: itself if for nothing else.
fn control(letter: u8) -> u8 {
    match letter {
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 0x0b,
        other => other,
    }
}

fn csv_field(line: &[u8], options: &CopyOptions, out: &mut Vec<u8>) -> SqlResult<Field> {
    let CopyOptions { delimiter, quote, escape, .. } = *options;
    let mut at = 0;
    let mut field =
        Field { raw_len: line.len(), next: None, quoted: false, has_bytes_to_check: false };
    while at < line.len() {
        let byte = line[at];
        at += 1;
        if byte == delimiter {
            field.raw_len = at - 1;
            field.next = Some(at);
            return Ok(field);
        }
        if byte != quote {
            out.push(byte);
            continue;
        }
        field.quoted = true;
        loop {
            let Some(&byte) = line.get(at) else {
                return Err(SqlError::new(
                    SqlState::BadCopyFileFormat,
                    "unterminated CSV quoted field",
                ));
            };
            at += 1;
            if byte == escape
                && let Some(&next) = line.get(at)
                && (next == escape || next == quote)
            {
                out.push(next);
                at += 1;
                continue;
            }
            if byte == quote {
                break;
            }
            out.push(byte);
        }
    }
    Ok(field)
}
