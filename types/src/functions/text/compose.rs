//! concat, format, and quoting.

use super::{keywords, output};
use crate::context::CallContext;
use crate::datum::{Array, Datum};
use crate::error::{SqlError, SqlResult};
use crate::integer::is_space;
use crate::sqlstate::SqlState;
use crate::text::{VALUE_LENGTH_MAX, character_count, too_long};
use crate::type_oid as t;

/// An argument's text as a cast to `text` gives it: `true` for a boolean, no trailing blanks of
/// `char(n)`.
pub(super) fn as_cast_to_text(context: &CallContext<'_>, a: &[Datum], at: usize) -> String {
    match &a[at] {
        Datum::Bool(value) => if *value { "true" } else { "false" }.to_owned(),
        Datum::Text(text) if context.argument_types.get(at).is_some_and(|r| r.oid == t::BPCHAR) => {
            crate::text::trim_blanks(text).to_owned()
        }
        _ => output(context, a, at),
    }
}

pub(super) fn concat(context: &CallContext<'_>, a: &[Datum]) -> Datum {
    let parts = (0..a.len()).filter(|at| !a[*at].is_null());
    Datum::text(parts.map(|at| output(context, a, at)).collect::<String>())
}

pub(super) fn concat_with_separator(context: &CallContext<'_>, a: &[Datum]) -> Datum {
    let Some(Datum::Text(separator)) = a.first() else { return Datum::Null };
    let parts: Vec<String> =
        (1..a.len()).filter(|at| !a[*at].is_null()).map(|at| output(context, a, at)).collect();
    Datum::text(parts.join(separator))
}

/// An identifier as it must be written: as it is, or in double quotes.
#[must_use]
pub fn quote_ident(name: &str) -> String {
    let plain = name.starts_with(|first: char| first.is_ascii_lowercase() || first == '_')
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
        && keywords::QUOTED.binary_search(&name).is_err();
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// A string constant: quotes doubled, `E''` with doubled backslashes where there are any.
#[must_use]
pub fn quote_literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') {
        format!("E'{}'", quoted.replace('\\', "\\\\"))
    } else {
        format!("'{quoted}'")
    }
}

/// One `%` specification of `format`.
struct Specification {
    /// The argument's number if given, from 1.
    position: Option<usize>,
    /// To the left within the width.
    left: bool,
    width: Width,
    kind: char,
}

enum Width {
    None,
    Fixed(i32),
    /// From the next argument, or from one by number.
    Argument(Option<usize>),
}

fn invalid(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::InvalidParameterValue, message)
}

/// Takes one specification off the front of what follows a `%`.
fn specification(rest: &mut &str) -> SqlResult<Specification> {
    let unterminated =
        || invalid("unterminated format() type specifier").hint("For a single \"%\" use \"%%\".");
    let number = |rest: &mut &str| -> SqlResult<Option<i32>> {
        let length = rest.bytes().take_while(u8::is_ascii_digit).count();
        if length == 0 {
            return Ok(None);
        }
        let (digits, tail) = rest.split_at(length);
        if tail.is_empty() {
            return Err(unterminated());
        }
        *rest = tail;
        digits
            .parse()
            .map(Some)
            .map_err(|_| SqlError::new(SqlState::NumericValueOutOfRange, "number is out of range"))
    };
    let argument = |value: i32| -> SqlResult<usize> {
        match usize::try_from(value) {
            Ok(value) if value > 0 => Ok(value),
            _ => Err(invalid("format specifies argument 0, but arguments are numbered from 1")),
        }
    };
    let mut found = Specification { position: None, left: false, width: Width::None, kind: ' ' };
    if let Some(value) = number(rest)? {
        if let Some(tail) = rest.strip_prefix('$') {
            *rest = tail;
            found.position = Some(argument(value)?);
        } else {
            // A number without `$` is the width, behind which nothing but the type may come.
            found.width = Width::Fixed(value);
            found.kind = take(rest).ok_or_else(unterminated)?;
            return Ok(found);
        }
    }
    while let Some(tail) = rest.strip_prefix('-') {
        found.left = true;
        *rest = tail;
    }
    if let Some(tail) = rest.strip_prefix('*') {
        *rest = tail;
        if tail.is_empty() {
            return Err(unterminated());
        }
        found.width = match number(rest)? {
            None => Width::Argument(None),
            Some(value) => {
                *rest = rest
                    .strip_prefix('$')
                    .ok_or_else(|| invalid("width argument position must be ended by \"$\""))?;
                Width::Argument(Some(argument(value)?))
            }
        };
    } else if let Some(value) = number(rest)? {
        found.width = Width::Fixed(value);
    }
    found.kind = take(rest).ok_or_else(unterminated)?;
    Ok(found)
}

fn take(rest: &mut &str) -> Option<char> {
    let mut characters = rest.chars();
    let first = characters.next()?;
    *rest = characters.as_str();
    Some(first)
}

pub(super) fn format(context: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    let Some(Datum::Text(template)) = a.first() else { return Ok(Datum::Null) };
    let mut out = String::with_capacity(template.len());
    let mut rest: &str = template;
    // The argument used last; the format string itself is number 0.
    let mut last = 0;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(tail) = rest.strip_prefix('%') {
            out.push('%');
            rest = tail;
            continue;
        }
        let found = specification(&mut rest)?;
        if !matches!(found.kind, 's' | 'I' | 'L') {
            return Err(invalid(format!(
                "unrecognized format() type specifier \"{}\"",
                found.kind
            ))
            .hint("For a single \"%\" use \"%%\"."));
        }
        let mut argument = |position: Option<usize>| {
            last = position.unwrap_or(last + 1);
            if last < a.len() { Ok(last) } else { Err(invalid("too few arguments for format()")) }
        };
        let width = match found.width {
            Width::None => 0,
            Width::Fixed(width) => width,
            Width::Argument(position) => width_of(&a[argument(position)?], context)?,
        };
        let at = argument(found.position)?;
        let text = match (&a[at], found.kind) {
            (Datum::Null, 'I') => {
                return Err(SqlError::new(
                    SqlState::NullValueNotAllowed,
                    "null values cannot be formatted as an SQL identifier",
                ));
            }
            (Datum::Null, 'L') => "NULL".to_owned(),
            (Datum::Null, _) => String::new(),
            (_, 'I') => quote_ident(&output(context, a, at)),
            (_, 'L') => quote_literal(&output(context, a, at)),
            _ => output(context, a, at),
        };
        append(&text, width, found.left, &mut out)?;
    }
    out.push_str(rest);
    Ok(Datum::text(out))
}

/// A width given as an argument: an integer, or what reads as one; NULL is none.
fn width_of(value: &Datum, context: &CallContext<'_>) -> SqlResult<i32> {
    Ok(match value {
        Datum::Null => 0,
        Datum::Int2(width) => i32::from(*width),
        Datum::Int4(width) => *width,
        other => {
            let mut text = Vec::new();
            crate::io::text_out(crate::io::usual_type(other), other, &context.eval, &mut text);
            crate::integer::parse_int4(&String::from_utf8_lossy(&text))?
        }
    })
}

fn append(text: &str, width: i32, left: bool, out: &mut String) -> SqlResult<()> {
    let left = left || width < 0;
    let width = usize::try_from(width.unsigned_abs()).unwrap_or(usize::MAX);
    if width > VALUE_LENGTH_MAX {
        return Err(too_long());
    }
    let blanks = width.saturating_sub(character_count(text));
    if !left {
        out.extend(std::iter::repeat_n(' ', blanks));
    }
    out.push_str(text);
    if left {
        out.extend(std::iter::repeat_n(' ', blanks));
    }
    Ok(())
}

/// The parts of a qualified name, unquoted ones in lower case.
pub(super) fn parse_ident(text: &str, strict: bool) -> SqlResult<Datum> {
    let error = || invalid(format!("string is not a valid identifier: \"{text}\""));
    let skip = |rest: &str| rest.bytes().take_while(|byte| is_space(*byte)).count();
    let starts = |first: char| first.is_ascii_alphabetic() || first == '_' || !first.is_ascii();
    let mut parts = Vec::new();
    let mut rest = &text[skip(text)..];
    let mut after_dot = false;
    loop {
        let missing = if let Some(quoted) = rest.strip_prefix('"') {
            let mut name = String::new();
            let mut tail = quoted;
            loop {
                let Some(end) = tail.find('"') else {
                    return Err(error().detail("String has unclosed double quotes."));
                };
                name.push_str(&tail[..end]);
                tail = &tail[end + 1..];
                match tail.strip_prefix('"') {
                    Some(more) => {
                        name.push('"');
                        tail = more;
                    }
                    None => break,
                }
            }
            if name.is_empty() {
                return Err(error().detail("Quoted identifier must not be empty."));
            }
            parts.push(Datum::text(name));
            rest = tail;
            false
        } else if rest.starts_with(starts) {
            let length = rest
                .find(|next: char| !(starts(next) || next.is_ascii_digit() || next == '$'))
                .unwrap_or(rest.len());
            parts.push(Datum::text(rest[..length].to_ascii_lowercase()));
            rest = &rest[length..];
            false
        } else {
            true
        };
        if missing {
            return Err(if rest.starts_with('.') {
                error().detail("No valid identifier before \".\".")
            } else if after_dot {
                error().detail("No valid identifier after \".\".")
            } else {
                error()
            });
        }
        rest = &rest[skip(rest)..];
        match rest.strip_prefix('.') {
            Some(tail) => {
                after_dot = true;
                rest = &tail[skip(tail)..];
            }
            None if rest.is_empty() || !strict => break,
            None => return Err(error()),
        }
    }
    Ok(Datum::Array(Array::one_dimensional(t::TEXT, parts).into()))
}
