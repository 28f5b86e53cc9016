//! The textual types: what their modifiers do to a value, and `name` and `"char"`.

use std::borrow::Cow;

use crate::error::{SqlError, SqlResult};
use crate::sqlstate::SqlState;

/// The longest `name`, in bytes.
pub const NAME_LENGTH_MAX: usize = 63;

/// The most bytes of a value: a gigabyte less one, as PostgreSQL's `MaxAllocSize`.
pub const VALUE_LENGTH_MAX: usize = 0x3fff_ffff;

/// `54000` for a value that would be longer than values may be.
#[must_use]
pub fn too_long() -> SqlError {
    SqlError::new(SqlState::ProgramLimitExceeded, "requested length too large")
}

/// Added to the length in the modifier of `varchar(n)` and `char(n)`.
const TYPMOD_HEADER: i32 = 4;

/// The `n` of `varchar(n)` or `char(n)`, if the modifier has one.
#[must_use]
pub fn declared_length(typmod: i32) -> Option<usize> {
    typmod.checked_sub(TYPMOD_HEADER).and_then(|length| usize::try_from(length).ok())
}

/// The byte offset of the character `count`, or the length if the text is shorter.
#[must_use]
pub fn byte_offset(text: &str, count: usize) -> usize {
    if text.len() <= count {
        return text.len();
    }
    text.char_indices().nth(count).map_or(text.len(), |(at, _)| at)
}

/// How many characters; one a byte where all are ASCII.
#[must_use]
pub fn character_count(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.chars().count() }
}

/// The text without trailing blanks: what `char(n)` compares.
#[must_use]
pub fn trim_blanks(text: &str) -> &str {
    text.trim_end_matches(' ')
}

/// A value of `varchar(n)`: cut where it is too long, silently if the cast is explicit or only
/// blanks are lost.
///
/// # Errors
/// 22001.
pub fn coerce_varchar(text: &str, typmod: i32, explicit: bool) -> SqlResult<&str> {
    let Some(length) = declared_length(typmod) else { return Ok(text) };
    let end = byte_offset(text, length);
    check_excess(&text[end..], explicit, "character varying", length)?;
    Ok(&text[..end])
}

/// A value of `char(n)`: cut likewise, or padded with blanks.
///
/// # Errors
/// 22001.
pub fn coerce_bpchar(text: &str, typmod: i32, explicit: bool) -> SqlResult<Cow<'_, str>> {
    let Some(length) = declared_length(typmod) else { return Ok(Cow::Borrowed(text)) };
    let count = character_count(text);
    if count >= length {
        let end = byte_offset(text, length);
        check_excess(&text[end..], explicit, "character", length)?;
        return Ok(Cow::Borrowed(&text[..end]));
    }
    if length > VALUE_LENGTH_MAX {
        return Err(too_long());
    }
    let mut padded = String::with_capacity(text.len() + length - count);
    padded.push_str(text);
    padded.extend(std::iter::repeat_n(' ', length - count));
    Ok(Cow::Owned(padded))
}

fn check_excess(excess: &str, explicit: bool, name: &str, length: usize) -> SqlResult<()> {
    if explicit || excess.bytes().all(|byte| byte == b' ') {
        return Ok(());
    }
    Err(SqlError::new(
        SqlState::StringDataRightTruncation,
        format!("value too long for type {name}({length})"),
    ))
}

/// A value of `name`: cut to 63 bytes, at a character's end.
#[must_use]
pub fn truncate_name(text: &str) -> &str {
    &text[..text.floor_char_boundary(NAME_LENGTH_MAX)]
}

/// Reads a `"char"`: the first byte, or one given as a backslash and three octal digits; 0 for
/// the empty text.
#[must_use]
pub fn parse_char(text: &str) -> u8 {
    match text.as_bytes() {
        [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7'] => {
            (a - b'0') << 6 | (b - b'0') << 3 | (c - b'0')
        }
        [first, ..] => *first,
        [] => 0,
    }
}

/// Appends a `"char"`: nothing for 0, octal beyond ASCII.
pub fn write_char(value: u8, out: &mut Vec<u8>) {
    match value {
        0 => {}
        1..=0x7f => out.push(value),
        _ => crate::bytea::write_octal(value, out),
    }
}

/// Bytes of a client as text.
///
/// # Errors
/// 22021 for what is not UTF-8, and for the zero byte, which no text may hold.
pub fn from_utf8(bytes: &[u8]) -> SqlResult<&str> {
    let bad = |at: usize| {
        let rest = &bytes[at..];
        let length = match rest[0] {
            0xc0..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf7 => 4,
            _ => 1,
        };
        let shown: Vec<String> =
            rest.iter().take(length).map(|byte| format!("0x{byte:02x}")).collect();
        SqlError::new(
            SqlState::CharacterNotInRepertoire,
            format!("invalid byte sequence for encoding \"UTF8\": {}", shown.join(" ")),
        )
    };
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let valid = &bytes[..error.valid_up_to()];
        bad(valid.iter().position(|byte| *byte == 0).unwrap_or(valid.len()))
    })?;
    match bytes.iter().position(|byte| *byte == 0) {
        Some(at) => Err(bad(at)),
        None => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varchar_and_bpchar_keep_their_length() {
        assert_eq!(coerce_varchar("abc  ", 7, false).unwrap(), "abc");
        assert_eq!(
            coerce_varchar("abcd", 7, false).unwrap_err().fields().message,
            "value too long for type character varying(3)"
        );
        assert_eq!(coerce_varchar("äöüß", 7, true).unwrap(), "äöü");
        assert_eq!(coerce_bpchar("ä", 7, false).unwrap(), "ä  ");
        assert_eq!(
            coerce_bpchar("abcd", 7, false).unwrap_err().fields().message,
            "value too long for type character(3)"
        );
    }

    #[test]
    fn names_are_cut_between_characters() {
        let long = format!("{}ä", "x".repeat(62));
        assert_eq!(truncate_name(&long).len(), 62);
    }

    #[test]
    fn bad_utf8_is_shown() {
        for (bytes, shown) in [
            (&b"a\xff"[..], "0xff"),
            (b"a\xc3", "0xc3"),
            (b"a\xe2\x28\xa1", "0xe2 0x28 0xa1"),
            (b"a\0b\xff", "0x00"),
        ] {
            assert_eq!(
                from_utf8(bytes).unwrap_err().fields().message,
                format!("invalid byte sequence for encoding \"UTF8\": {shown}")
            );
        }
    }
}
