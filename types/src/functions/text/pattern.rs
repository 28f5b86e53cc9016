//! The functions over regular expressions: substring, regexp_replace, regexp_match and their kin.

use std::rc::Rc;

use super::length;
use super::regex::{Flags, Regex, Span, compile};
use crate::context::CallContext;
use crate::datum::{Array, Datum};
use crate::error::{SqlError, SqlResult};
use crate::sqlstate::SqlState;
use crate::text::{VALUE_LENGTH_MAX, byte_offset, character_count, too_long};
use crate::type_oid as t;

type Rows = Box<dyn Iterator<Item = SqlResult<Datum>> + Send>;

fn invalid(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::InvalidParameterValue, message)
}

/// The options of a `flags` argument, and whether `g` was among them.
fn flags(context: &CallContext<'_>, letters: Option<&Datum>) -> SqlResult<(Flags, bool)> {
    let mut flags = Flags { ctype: context.ctype(), ..Flags::default() };
    let mut global = false;
    for letter in letters.map_or("", Datum::as_text).chars() {
        if letter == 'g' {
            global = true;
        } else if !flags.apply(letter) {
            return Err(invalid(format!("invalid regular expression option: \"{letter}\"")));
        }
    }
    Ok((flags, global))
}

/// Likewise where `g` has no meaning.
fn flags_without_global(
    context: &CallContext<'_>,
    letters: Option<&Datum>,
    function: &str,
) -> SqlResult<Flags> {
    match flags(context, letters)? {
        (_, true) => Err(no_global(function)),
        (flags, false) => Ok(flags),
    }
}

fn no_global(function: &str) -> SqlError {
    invalid(format!("{function}() does not support the \"global\" option"))
}

/// An optional integer argument that must be at least `least`.
fn number(a: &[Datum], at: usize, name: &str, default: i32, least: i32) -> SqlResult<i32> {
    let value = a.get(at).map_or(default, Datum::as_int4);
    if value < least {
        return Err(invalid(format!("invalid value for parameter \"{name}\": {value}")));
    }
    Ok(value)
}

/// Where the character numbered from 1 begins; behind the end if there are not as many.
fn start_offset(text: &str, start: i32) -> Option<usize> {
    let before = usize::try_from(start - 1).ok()?;
    (before <= character_count(text)).then(|| byte_offset(text, before))
}

/// All matches from `from` on, or the first alone.
///
/// Behind an empty match the search goes on one character later. For splitting, `degenerate` is
/// false: empty matches at the end or right behind the previous match do not count.
fn matches(
    regex: &Regex,
    text: &str,
    from: usize,
    global: bool,
    degenerate: bool,
) -> SqlResult<Vec<Vec<Span>>> {
    let subject = regex.over(text)?;
    let mut found = Vec::new();
    let mut at = from;
    let mut previous_end = 0;
    while let Some(spans) = subject.find(at)? {
        let (start, end) = spans[0].expect("the whole of a match is always there");
        if degenerate || (start < text.len() && end > previous_end) {
            found.push(spans);
            if !global {
                break;
            }
        }
        previous_end = end;
        at = match advance(text, start, end) {
            Some(next) => next,
            None => break,
        };
    }
    Ok(found)
}

/// Where to search behind a match; `None` behind the end.
fn advance(text: &str, start: usize, end: usize) -> Option<usize> {
    if end > start {
        return Some(end);
    }
    text[end..].chars().next().map(|skipped| end + skipped.len_utf8())
}

fn part(text: &str, span: Span) -> Datum {
    span.map_or(Datum::Null, |(start, end)| Datum::text(&text[start..end]))
}

/// The groups of a match; the whole if there are none.
fn parts(text: &str, spans: &[Span]) -> Datum {
    let groups = if spans.len() > 1 { &spans[1..] } else { spans };
    let elements = groups.iter().map(|span| part(text, *span)).collect();
    Datum::Array(Array::one_dimensional(t::TEXT, elements).into())
}

/// `substring(text from pattern)`: the first group, or the whole if there is none.
pub(super) fn substring(context: &CallContext<'_>, text: &str, pattern: &str) -> SqlResult<Datum> {
    let regex = compile(pattern, Flags { ctype: context.ctype(), ..Flags::default() })?;
    Ok(match regex.over(text)?.find(0)? {
        None => Datum::Null,
        Some(spans) => part(text, *spans.get(1).unwrap_or(&spans[0])),
    })
}

/// `regexp_replace(text, pattern, replacement [, flags])`.
pub(super) fn replace(context: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    let letters = a.get(3);
    if let Some(first) = letters.and_then(|letters| letters.as_text().chars().next())
        && first.is_ascii_digit()
    {
        return Err(invalid(format!("invalid regular expression option: \"{first}\"")).hint(
            "If you meant to use regexp_replace() with a start parameter, cast the fourth argument to integer explicitly.",
        ));
    }
    let (flags, global) = flags(context, letters)?;
    let regex = compile(a[1].as_text(), flags)?;
    replaced(&regex, &a[0], a[2].as_text(), 0, if global { 0 } else { 1 })
}

/// `regexp_replace(text, pattern, replacement, start [, n [, flags]])`: the match number `n`, all
/// for 0.
pub(super) fn replace_extended(context: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    let start = number(a, 3, "start", 1, 1)?;
    let count = number(a, 4, "n", 1, 0)?;
    let (flags, global) = flags(context, a.get(5))?;
    let count = if a.len() <= 4 && global { 0 } else { count };
    let regex = compile(a[1].as_text(), flags)?;
    match start_offset(a[0].as_text(), start) {
        None => Ok(a[0].clone()),
        Some(from) => replaced(&regex, &a[0], a[2].as_text(), from, count),
    }
}

fn replaced(
    regex: &Regex,
    source: &Datum,
    replacement: &str,
    from: usize,
    count: i32,
) -> SqlResult<Datum> {
    let text = source.as_text();
    let subject = regex.over(text)?;
    let mut out = String::new();
    let mut copied = 0;
    let mut at = from;
    let mut seen = 0_i32;
    while let Some(spans) = subject.find(at)? {
        let (start, end) = spans[0].expect("the whole of a match is always there");
        seen = seen.saturating_add(1);
        if count == 0 || seen == count {
            out.push_str(&text[copied..start]);
            expand(replacement, text, &spans, &mut out);
            copied = end;
            if out.len() > VALUE_LENGTH_MAX {
                return Err(too_long());
            }
            if count > 0 {
                break;
            }
        }
        at = match advance(text, start, end) {
            Some(next) => next,
            None => break,
        };
    }
    if seen == 0 {
        return Ok(source.clone());
    }
    out.push_str(&text[copied..]);
    Ok(Datum::text(out))
}

/// Appends a replacement: `\1` to `\9` are groups, `\&` the whole, `\\` a backslash.
fn expand(replacement: &str, text: &str, spans: &[Span], out: &mut String) {
    let mut rest = replacement;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let group = match rest.as_bytes().first() {
            Some(b'&') => 0,
            Some(digit @ b'1'..=b'9') => usize::from(digit - b'0'),
            Some(b'\\') => {
                out.push('\\');
                rest = &rest[1..];
                continue;
            }
            _ => {
                out.push('\\');
                continue;
            }
        };
        rest = &rest[1..];
        if let Some((start, end)) = spans.get(group).copied().flatten() {
            out.push_str(&text[start..end]);
        }
    }
    out.push_str(rest);
}

pub(super) fn regexp_match(context: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    let (flags, global) = flags(context, a.get(2))?;
    if global {
        return Err(no_global("regexp_match").hint("Use the regexp_matches function instead."));
    }
    let regex = compile(a[1].as_text(), flags)?;
    let text = a[0].as_text();
    Ok(regex.over(text)?.find(0)?.map_or(Datum::Null, |spans| parts(text, &spans)))
}

pub(super) fn regexp_matches(context: &CallContext<'_>, a: &[Datum]) -> SqlResult<Rows> {
    let (flags, global) = flags(context, a.get(2))?;
    let regex = compile(a[1].as_text(), flags)?;
    let text = a[0].as_text();
    let rows: Vec<Datum> =
        matches(&regex, text, 0, global, true)?.iter().map(|spans| parts(text, spans)).collect();
    Ok(Box::new(rows.into_iter().map(Ok)))
}

pub(super) fn regexp_like(context: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    let flags = flags_without_global(context, a.get(2), "regexp_like")?;
    let regex = compile(a[1].as_text(), flags)?;
    Ok(Datum::Bool(regex.over(a[0].as_text())?.find(0)?.is_some()))
}

/// `regexp_count(text, pattern [, start [, flags]])`.
pub(super) fn regexp_count(context: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    let start = number(a, 2, "start", 1, 1)?;
    let flags = flags_without_global(context, a.get(3), "regexp_count")?;
    let regex = compile(a[1].as_text(), flags)?;
    match start_offset(a[0].as_text(), start) {
        None => Ok(Datum::Int4(0)),
        Some(from) => length(matches(&regex, a[0].as_text(), from, true, true)?.len()),
    }
}

/// The match number `n` from `start` on; `group` of it, the whole for 0.
fn nth_match(regex: &Rc<Regex>, text: &str, start: i32, n: i32, group: i32) -> SqlResult<Span> {
    let group = usize::try_from(group).unwrap_or(usize::MAX);
    if group > regex.group_count() {
        return Ok(None);
    }
    let Some(mut at) = start_offset(text, start) else { return Ok(None) };
    let subject = regex.over(text)?;
    let mut seen = 0;
    while let Some(spans) = subject.find(at)? {
        seen += 1;
        if seen == n {
            return Ok(spans[group]);
        }
        let (start, end) = spans[0].expect("the whole of a match is always there");
        at = match advance(text, start, end) {
            Some(next) => next,
            None => break,
        };
    }
    Ok(None)
}

/// `regexp_instr(text, pattern [, start [, n [, endoption [, flags [, subexpr]]]]])`.
pub(super) fn regexp_instr(context: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    let start = number(a, 2, "start", 1, 1)?;
    let n = number(a, 3, "n", 1, 1)?;
    let end_option = number(a, 4, "endoption", 0, 0)?;
    if end_option > 1 {
        return Err(invalid(format!("invalid value for parameter \"endoption\": {end_option}")));
    }
    let group = number(a, 6, "subexpr", 0, 0)?;
    let flags = flags_without_global(context, a.get(5), "regexp_instr")?;
    let regex = compile(a[1].as_text(), flags)?;
    let text = a[0].as_text();
    match nth_match(&regex, text, start, n, group)? {
        None => Ok(Datum::Int4(0)),
        Some((start, end)) => {
            let at = if end_option == 1 { end } else { start };
            length(character_count(&text[..at]) + 1)
        }
    }
}

/// `regexp_substr(text, pattern [, start [, n [, flags [, subexpr]]]])`.
pub(super) fn regexp_substr(context: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    let start = number(a, 2, "start", 1, 1)?;
    let n = number(a, 3, "n", 1, 1)?;
    let group = number(a, 5, "subexpr", 0, 0)?;
    let flags = flags_without_global(context, a.get(4), "regexp_substr")?;
    let regex = compile(a[1].as_text(), flags)?;
    let text = a[0].as_text();
    Ok(part(text, nth_match(&regex, text, start, n, group)?))
}

fn split(context: &CallContext<'_>, a: &[Datum], function: &str) -> SqlResult<Vec<Datum>> {
    let flags = flags_without_global(context, a.get(2), function)?;
    let regex = compile(a[1].as_text(), flags)?;
    let text = a[0].as_text();
    let mut pieces = Vec::new();
    let mut from = 0;
    for spans in matches(&regex, text, 0, true, false)? {
        let (start, end) = spans[0].expect("the whole of a match is always there");
        pieces.push(Datum::text(&text[from..start]));
        from = end;
    }
    pieces.push(Datum::text(&text[from..]));
    Ok(pieces)
}

pub(super) fn split_to_array(context: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    let pieces = split(context, a, "regexp_split_to_array")?;
    Ok(Datum::Array(Array::one_dimensional(t::TEXT, pieces).into()))
}

pub(super) fn split_to_table(context: &CallContext<'_>, a: &[Datum]) -> SqlResult<Rows> {
    Ok(Box::new(split(context, a, "regexp_split_to_table")?.into_iter().map(Ok)))
}
