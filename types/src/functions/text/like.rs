//! LIKE, and what SIMILAR TO's patterns are as regular expressions.

use crate::ctype::Ctype;
use crate::error::{SqlError, SqlResult};
use crate::sqlstate::SqlState;

/// Whether the text is like the pattern: `%` any characters, `_` one, a backslash before either.
///
/// # Errors
/// 22025 where the pattern ends in a lone backslash.
pub(in crate::functions) fn matches(text: &str, pattern: &str) -> SqlResult<bool> {
    run(text.as_bytes(), pattern.as_bytes(), character_length)
}

/// Likewise, letters of either case alike.
pub(super) fn matches_ignoring_case(text: &str, pattern: &str, ctype: Ctype) -> SqlResult<bool> {
    let (text, pattern) = (ctype.lower(text), ctype.lower(pattern));
    run(text.as_bytes(), pattern.as_bytes(), character_length)
}

/// Likewise over bytes, where `_` is one byte.
pub(in crate::functions) fn matches_bytes(text: &[u8], pattern: &[u8]) -> SqlResult<bool> {
    run(text, pattern, |_| 1)
}

/// How long the character is that begins with this byte of valid UTF-8.
const fn character_length(first: u8) -> usize {
    match first {
        0..=0xbf => 1,
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        _ => 4,
    }
}

/// Walks both; where they part behind a `%`, that `%` takes one character more. Only the last `%`
/// need ever do so, so that this is at worst the product of the lengths.
fn run(text: &[u8], pattern: &[u8], step: fn(u8) -> usize) -> SqlResult<bool> {
    let (mut t, mut p) = (0, 0);
    let mut last_percent: Option<(usize, usize)> = None;
    loop {
        let matched = match (pattern.get(p), text.get(t)) {
            (Some(b'%'), _) => {
                p += 1;
                if p == pattern.len() {
                    return Ok(true);
                }
                last_percent = Some((t, p));
                continue;
            }
            (None, None) => return Ok(true),
            (None, Some(_)) => false,
            // What is left of the pattern needs a character, however far any % reaches.
            (Some(_), None) => return Ok(false),
            (Some(b'_'), Some(byte)) => {
                t += step(*byte);
                p += 1;
                true
            }
            (Some(b'\\'), Some(byte)) => match pattern.get(p + 1) {
                None => {
                    return Err(SqlError::new(
                        SqlState::InvalidEscapeSequence,
                        "LIKE pattern must not end with escape character",
                    ));
                }
                Some(literal) if literal == byte => {
                    t += 1;
                    p += 2;
                    true
                }
                Some(_) => false,
            },
            (Some(literal), Some(byte)) => {
                let same = literal == byte;
                t += 1;
                p += 1;
                same
            }
        };
        if !matched {
            let Some((from, behind)) = last_percent else { return Ok(false) };
            let Some(byte) = text.get(from) else { return Ok(false) };
            let next = from + step(*byte);
            last_percent = Some((next, behind));
            (t, p) = (next, behind);
        }
    }
}

fn invalid_escape() -> SqlError {
    SqlError::new(SqlState::InvalidEscapeSequence, "invalid escape string")
        .hint("Escape string must be empty or one character.")
}

/// The one character of an `ESCAPE` clause; `None` if it is empty.
fn escape_character(escape: &str) -> SqlResult<Option<char>> {
    let mut characters = escape.chars();
    let first = characters.next();
    if characters.next().is_some() { Err(invalid_escape()) } else { Ok(first) }
}

/// A LIKE pattern with another escape character, as one with a backslash.
///
/// # Errors
/// 22025.
pub(super) fn escape(pattern: &str, escape: &str) -> SqlResult<String> {
    let Some(escape) = escape_character(escape)? else {
        return Ok(pattern.replace('\\', "\\\\"));
    };
    if escape == '\\' {
        return Ok(pattern.to_owned());
    }
    let mut out = String::with_capacity(pattern.len());
    let mut escaped = false;
    for character in pattern.chars() {
        if character == escape && !escaped {
            out.push('\\');
            escaped = true;
        } else if character == '\\' {
            out.push('\\');
            if !escaped {
                out.push('\\');
            }
            escaped = false;
        } else {
            out.push(character);
            escaped = false;
        }
    }
    Ok(out)
}

/// Likewise over bytes.
///
/// # Errors
/// 22025.
pub(in crate::functions) fn escape_bytes(pattern: &[u8], escape: &[u8]) -> SqlResult<Vec<u8>> {
    let escape = match escape {
        [] => None,
        [byte] => Some(*byte),
        _ => return Err(invalid_escape()),
    };
    if escape == Some(b'\\') {
        return Ok(pattern.to_vec());
    }
    let mut out = Vec::with_capacity(pattern.len());
    let mut escaped = false;
    for byte in pattern {
        if Some(*byte) == escape && !escaped {
            out.push(b'\\');
            escaped = true;
            continue;
        }
        if *byte == b'\\' && !escaped {
            out.push(b'\\');
        }
        out.push(*byte);
        escaped = false;
    }
    Ok(out)
}

/// A SIMILAR TO pattern as a regular expression.
///
/// `%` becomes `.*`, `_` becomes `.`, what only regular expressions know is quoted, and the whole
/// is anchored. Two escaped double quotes cut out the part that `substring … similar` returns.
///
/// # Errors
/// 22025; 2200C for more than two separators.
pub(super) fn similar(pattern: &str, escape: Option<&str>) -> SqlResult<String> {
    let escape = match escape {
        Some(escape) => escape_character(escape)?,
        None => Some('\\'),
    };
    let mut out = String::with_capacity(pattern.len() + 16);
    out.push_str("^(?:");
    let mut after_escape = false;
    let mut in_brackets = false;
    let mut separators = 0;
    for character in pattern.chars() {
        if after_escape {
            if character == '"' && !in_brackets {
                match separators {
                    0 => out.push_str("){1,1}?("),
                    1 => out.push_str("){1,1}(?:"),
                    _ => {
                        return Err(SqlError::new(
                            SqlState::InvalidUseOfEscapeCharacter,
                            "SQL regular expression may not contain more than two escape-double-quote separators",
                        ));
                    }
                }
                separators += 1;
            } else {
                // Letters and digits too: `\w` is then a class, as in PostgreSQL.
                out.push('\\');
                out.push(character);
            }
            after_escape = false;
        } else if Some(character) == escape {
            after_escape = true;
        } else if in_brackets {
            if character == '\\' {
                out.push('\\');
            }
            out.push(character);
            in_brackets = character != ']';
        } else {
            match character {
                '[' => {
                    out.push('[');
                    in_brackets = true;
                }
                '%' => out.push_str(".*"),
                '_' => out.push('.'),
                '(' => out.push_str("(?:"),
                '\\' | '.' | '^' | '$' => {
                    out.push('\\');
                    out.push(character);
                }
                _ => out.push(character),
            }
        }
    }
    out.push_str(")$");
    Ok(out)
}
