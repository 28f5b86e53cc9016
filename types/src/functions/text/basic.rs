//! Case, padding, trimming, and cutting by character.

use super::cut::{overlay_range, range};
use super::length;
use crate::ctype::Ctype;
use crate::datum::Datum;
use crate::error::{SqlError, SqlResult};
use crate::sqlstate::SqlState;
use crate::text::{VALUE_LENGTH_MAX, byte_offset, character_count, too_long};

/// Each word's first letter upper, the others lower; a word is of letters and digits.
pub(super) fn initcap(text: &str, ctype: Ctype) -> String {
    let mut inside = false;
    text.chars()
        .map(|character| {
            let changed =
                if inside { ctype.to_lower(character) } else { ctype.to_upper(character) };
            inside = ctype.is_alphanumeric(changed);
            changed
        })
        .collect()
}

/// Fills up to `count` characters with `fill`, on the left or the right; cuts on the right.
pub(super) fn pad(text: &str, count: i32, fill: &str, left: bool) -> SqlResult<Datum> {
    let wanted = usize::try_from(count).unwrap_or(0);
    // A character of UTF-8 has up to four bytes.
    if wanted.saturating_mul(4) > VALUE_LENGTH_MAX {
        return Err(too_long());
    }
    let kept = &text[..byte_offset(text, wanted)];
    let missing = wanted - character_count(kept);
    if missing == 0 || fill.is_empty() {
        return Ok(Datum::text(kept));
    }
    let mut out = String::new();
    if !left {
        out.push_str(kept);
    }
    out.extend(fill.chars().cycle().take(missing));
    if left {
        out.push_str(kept);
    }
    Ok(Datum::text(out))
}

/// The text without any of the characters of `set` at its ends.
pub(super) fn trim<'a>(text: &'a str, set: &str, left: bool, right: bool) -> &'a str {
    let mut text = text;
    let within = |character: char| set.contains(character);
    if left {
        text = text.trim_start_matches(within);
    }
    if right {
        text = text.trim_end_matches(within);
    }
    text
}

pub(super) fn substring(text: &str, start: i32, count: Option<i32>) -> SqlResult<&str> {
    let (first, end) = range(start, count)?;
    let from = byte_offset(text, first);
    let rest = &text[from..];
    Ok(&rest[..byte_offset(rest, end.saturating_sub(first))])
}

pub(super) fn overlay(
    text: &str,
    replacement: &str,
    start: i32,
    count: Option<i32>,
) -> SqlResult<Datum> {
    let count = match count {
        Some(count) => count,
        None => i32::try_from(character_count(replacement)).unwrap_or(i32::MAX),
    };
    let (before, after) = overlay_range(start, count)?;
    let head = substring(text, 1, Some(before))?;
    let tail = substring(text, after, None)?;
    Ok(Datum::text(format!("{head}{replacement}{tail}")))
}

/// The first `count` characters; all but the last `-count` if negative.
pub(super) fn left(text: &str, count: i32) -> &str {
    let keep = match usize::try_from(count) {
        Ok(count) => count,
        Err(_) => character_count(text).saturating_sub(magnitude(count)),
    };
    &text[..byte_offset(text, keep)]
}

/// The last `count` characters; all but the first `-count` if negative.
pub(super) fn right(text: &str, count: i32) -> &str {
    let skip = match usize::try_from(count) {
        Ok(count) => character_count(text).saturating_sub(count),
        // Its negation overflows in PostgreSQL too, which then skips nothing.
        Err(_) if count == i32::MIN => 0,
        Err(_) => magnitude(count),
    };
    &text[byte_offset(text, skip)..]
}

fn magnitude(count: i32) -> usize {
    usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX)
}

pub(super) fn repeat(text: &str, count: i32) -> SqlResult<Datum> {
    let count = usize::try_from(count).unwrap_or(0);
    if text.len().saturating_mul(count) > VALUE_LENGTH_MAX {
        return Err(too_long());
    }
    Ok(Datum::text(text.repeat(count)))
}

/// Each character of `from` becomes the one at its place in `to`, or vanishes if there is none.
pub(super) fn translate(text: &str, from: &str, to: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match from.chars().position(|candidate| candidate == character) {
            None => out.push(character),
            Some(at) => out.extend(to.chars().nth(at)),
        }
    }
    out
}

/// The character position, from 1, where `part` first occurs; 0 if nowhere.
pub(super) fn position(text: &str, part: &str) -> SqlResult<Datum> {
    match text.find(part) {
        None => Ok(Datum::Int4(0)),
        Some(at) => length(character_count(&text[..at]) + 1),
    }
}

pub(super) fn chr(code: i32) -> SqlResult<Datum> {
    let code = u32::try_from(code).map_err(|_| {
        SqlError::new(SqlState::InvalidParameterValue, "character number must be positive")
    })?;
    let limit = |message: String| Err(SqlError::new(SqlState::ProgramLimitExceeded, message));
    if code == 0 {
        return limit("null character not permitted".to_owned());
    }
    if code > 0x10_ffff {
        return limit(format!("requested character too large for encoding: {code}"));
    }
    match char::from_u32(code) {
        Some(character) => Ok(Datum::text(character.to_string())),
        None => limit(format!("requested character not valid for encoding: {code}")),
    }
}

/// Resolves `\XXXX`, `\+XXXXXX`, `\uXXXX`, `\UXXXXXXXX` and `\\`.
pub(super) fn unistr(text: &str) -> SqlResult<Datum> {
    let invalid = |message: &str| SqlError::new(SqlState::SyntaxError, message);
    let mut out = String::with_capacity(text.len());
    let mut high: Option<u32> = None;
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        if at > 0 && high.is_some() {
            return Err(invalid("invalid Unicode surrogate pair"));
        }
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(tail) = rest.strip_prefix('\\') {
            if high.is_some() {
                return Err(invalid("invalid Unicode surrogate pair"));
            }
            out.push('\\');
            rest = tail;
            continue;
        }
        let (skip, digits) = match rest.as_bytes().first() {
            Some(b'u') => (1, 4),
            Some(b'U') => (1, 8),
            Some(b'+') => (1, 6),
            _ => (0, 4),
        };
        let escape = rest
            .get(skip..skip + digits)
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .ok_or_else(|| {
                invalid("invalid Unicode escape")
                    .hint("Unicode escapes must be \\XXXX, \\+XXXXXX, \\uXXXX, or \\UXXXXXXXX.")
            })?;
        rest = &rest[skip + digits..];
        let code =
            u32::from_str_radix(escape, 16).map_err(|_| invalid("invalid Unicode escape"))?;
        high = match (high, code) {
            (None, 0xd800..=0xdbff) => Some(code),
            (Some(high), 0xdc00..=0xdfff) => {
                let joined = 0x1_0000 + ((high & 0x3ff) << 10) + (code & 0x3ff);
                out.extend(char::from_u32(joined));
                None
            }
            (Some(_), _) | (None, 0xdc00..=0xdfff) => {
                return Err(invalid("invalid Unicode surrogate pair"));
            }
            (None, code) => {
                let character = char::from_u32(code).filter(|character| *character != '\0');
                out.push(character.ok_or_else(|| {
                    SqlError::new(
                        SqlState::InvalidParameterValue,
                        format!("invalid Unicode code point: {code:04X}"),
                    )
                })?);
                None
            }
        };
    }
    if high.is_some() {
        return Err(invalid("invalid Unicode surrogate pair"));
    }
    out.push_str(rest);
    Ok(Datum::text(out))
}
