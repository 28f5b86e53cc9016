//! Strings: text, varchar, char(n), name, "char", patterns.
//!
//! Order is by bytes; which letters have case is the collation's to say.

use std::cmp::Ordering;

use super::bytea::difference;
use super::{ScalarTable, SetTable};
use crate::context::CallContext;
use crate::ctype::Ctype;
use crate::datum::Datum;
use crate::error::SqlResult;
use crate::integer::out_of_range;
use crate::oid::Oid;
use crate::text::{VALUE_LENGTH_MAX, too_long};
use crate::{io, text, type_oid as t};

mod basic;
pub(super) mod cut;
mod compose;
mod keywords;
pub(super) mod like;
mod pattern;
mod regex;
mod split;

pub use compose::{quote_ident, quote_literal};

macro_rules! compare_text {
    ($operator:tt) => {
        |_, a| Ok(Datum::Bool(a[0].as_text() $operator a[1].as_text()))
    };
}

macro_rules! compare_bpchar {
    ($operator:tt) => {
        |_, a| Ok(Datum::Bool(trimmed(&a[0]) $operator trimmed(&a[1])))
    };
}

macro_rules! like {
    ($outcome:literal) => {
        |_, a| like::matches(a[0].as_text(), a[1].as_text()).map(|is| Datum::Bool(is == $outcome))
    };
}

macro_rules! like_ignoring_case {
    ($outcome:literal) => {
        |context, a| {
            like::matches_ignoring_case(a[0].as_text(), a[1].as_text(), context.ctype())
                .map(|is| Datum::Bool(is == $outcome))
        }
    };
}

macro_rules! matches_regex {
    ($ignore_case:literal, $outcome:literal) => {
        |context, a| {
            regex::is_match(a[0].as_text(), a[1].as_text(), $ignore_case, context.ctype())
                .map(|is| Datum::Bool(is == $outcome))
        }
    };
}

pub(super) static SCALARS: ScalarTable = &[
    ("texteq", compare_text!(==)),
    ("nameeq", compare_text!(==)),
    ("nameeqtext", compare_text!(==)),
    ("texteqname", compare_text!(==)),
    ("bpchareq", compare_bpchar!(==)),
    ("chareq", |_, a| Ok(Datum::Bool(a[0].as_char() == a[1].as_char()))),
    ("textne", compare_text!(!=)),
    ("namene", compare_text!(!=)),
    ("namenetext", compare_text!(!=)),
    ("textnename", compare_text!(!=)),
    ("bpcharne", compare_bpchar!(!=)),
    ("charne", |_, a| Ok(Datum::Bool(a[0].as_char() != a[1].as_char()))),
    ("text_lt", compare_text!(<)),
    ("namelt", compare_text!(<)),
    ("namelttext", compare_text!(<)),
    ("textltname", compare_text!(<)),
    ("bpcharlt", compare_bpchar!(<)),
    ("charlt", |_, a| Ok(Datum::Bool(a[0].as_char() < a[1].as_char()))),
    ("text_pattern_lt", compare_text!(<)),
    ("bpchar_pattern_lt", compare_bpchar!(<)),
    ("text_le", compare_text!(<=)),
    ("namele", compare_text!(<=)),
    ("nameletext", compare_text!(<=)),
    ("textlename", compare_text!(<=)),
    ("bpcharle", compare_bpchar!(<=)),
    ("charle", |_, a| Ok(Datum::Bool(a[0].as_char() <= a[1].as_char()))),
    ("text_pattern_le", compare_text!(<=)),
    ("bpchar_pattern_le", compare_bpchar!(<=)),
    ("text_gt", compare_text!(>)),
    ("namegt", compare_text!(>)),
    ("namegttext", compare_text!(>)),
    ("textgtname", compare_text!(>)),
    ("bpchargt", compare_bpchar!(>)),
    ("chargt", |_, a| Ok(Datum::Bool(a[0].as_char() > a[1].as_char()))),
    ("text_pattern_gt", compare_text!(>)),
    ("bpchar_pattern_gt", compare_bpchar!(>)),
    ("text_ge", compare_text!(>=)),
    ("namege", compare_text!(>=)),
    ("namegetext", compare_text!(>=)),
    ("textgename", compare_text!(>=)),
    ("bpcharge", compare_bpchar!(>=)),
    ("charge", |_, a| Ok(Datum::Bool(a[0].as_char() >= a[1].as_char()))),
    ("text_pattern_ge", compare_text!(>=)),
    ("bpchar_pattern_ge", compare_bpchar!(>=)),
    ("bpcharcmp", |_, a| {
        let (left, right) = (trimmed(&a[0]), trimmed(&a[1]));
        Ok(Datum::Int4(difference(left.as_bytes(), right.as_bytes())))
    }),
    ("text_larger", |_, a| Ok(chosen(a, a[0].as_text().cmp(a[1].as_text()), Ordering::Greater))),
    ("text_smaller", |_, a| Ok(chosen(a, a[0].as_text().cmp(a[1].as_text()), Ordering::Less))),
    ("bpchar_larger", |_, a| Ok(larger_bpchar(a, true))),
    ("bpchar_smaller", |_, a| Ok(larger_bpchar(a, false))),
    // Casts.
    ("bpchar", |_, a| {
        let text = a[0].as_text();
        Ok(keep(&a[0], &text::coerce_bpchar(text, a[1].as_int4(), a[2].as_bool())?))
    }),
    ("varchar", |_, a| {
        let text = a[0].as_text();
        Ok(keep(&a[0], text::coerce_varchar(text, a[1].as_int4(), a[2].as_bool())?))
    }),
    ("name_text", |_, a| Ok(a[0].clone())),
    ("name_bpchar", |_, a| Ok(a[0].clone())),
    ("text_name", |_, a| Ok(keep(&a[0], text::truncate_name(a[0].as_text())))),
    ("bpchar_name", |_, a| Ok(keep(&a[0], text::trim_blanks(text::truncate_name(a[0].as_text()))))),
    ("char_text", |_, a| Ok(char_to_text(a[0].as_char()))),
    ("char_bpchar", |_, a| Ok(char_to_text(a[0].as_char()))),
    ("text_char", |_, a| Ok(Datum::Char(text::parse_char(a[0].as_text())))),
    ("chartoi4", |_, a| Ok(Datum::Int4(a[0].as_char().cast_signed().into()))),
    ("i4tochar", |_, a| {
        i8::try_from(a[0].as_int4())
            .map(|byte| Datum::Char(byte.cast_unsigned()))
            .map_err(|_| out_of_range("\"char\""))
    }),
    ("nameconcatoid", |_, a| Ok(name_with_oid(a[0].as_text(), a[1].as_oid()))),
    // Lengths.
    ("textlen", |_, a| length(text::character_count(a[0].as_text()))),
    ("bpcharlen", |_, a| length(text::character_count(trimmed(&a[0])))),
    ("textoctetlen", |_, a| length(a[0].as_text().len())),
    ("bpcharoctetlen", |_, a| length(a[0].as_text().len())),
    ("bit_length(text)", |_, a| length(a[0].as_text().len().saturating_mul(8))),
    // Pieces.
    ("lower", |context, a| checked_text(context.ctype().lower(a[0].as_text()))),
    ("upper", |context, a| checked_text(context.ctype().upper(a[0].as_text()))),
    ("initcap", |context, a| checked_text(basic::initcap(a[0].as_text(), context.ctype()))),
    ("lpad", |_, a| basic::pad(a[0].as_text(), a[1].as_int4(), a[2].as_text(), true)),
    ("rpad", |_, a| basic::pad(a[0].as_text(), a[1].as_int4(), a[2].as_text(), false)),
    ("lpad(text,int4)", |_, a| basic::pad(a[0].as_text(), a[1].as_int4(), " ", true)),
    ("rpad(text,int4)", |_, a| basic::pad(a[0].as_text(), a[1].as_int4(), " ", false)),
    ("ltrim", |_, a| Ok(keep(&a[0], basic::trim(a[0].as_text(), a[1].as_text(), true, false)))),
    ("rtrim", |_, a| Ok(keep(&a[0], basic::trim(a[0].as_text(), a[1].as_text(), false, true)))),
    ("btrim", |_, a| Ok(keep(&a[0], basic::trim(a[0].as_text(), a[1].as_text(), true, true)))),
    ("ltrim1", |_, a| Ok(keep(&a[0], a[0].as_text().trim_start_matches(' ')))),
    ("rtrim1", |_, a| Ok(keep(&a[0], a[0].as_text().trim_end_matches(' ')))),
    ("btrim1", |_, a| Ok(keep(&a[0], a[0].as_text().trim_matches(' ')))),
    ("text_substr", |_, a| {
        let text = a[0].as_text();
        Ok(keep(&a[0], basic::substring(text, a[1].as_int4(), Some(a[2].as_int4()))?))
    }),
    ("text_substr_no_len", |_, a| {
        Ok(keep(&a[0], basic::substring(a[0].as_text(), a[1].as_int4(), None)?))
    }),
    ("textoverlay", |_, a| {
        basic::overlay(a[0].as_text(), a[1].as_text(), a[2].as_int4(), Some(a[3].as_int4()))
    }),
    ("textoverlay_no_len", |_, a| {
        basic::overlay(a[0].as_text(), a[1].as_text(), a[2].as_int4(), None)
    }),
    ("text_left", |_, a| Ok(keep(&a[0], basic::left(a[0].as_text(), a[1].as_int4())))),
    ("text_right", |_, a| Ok(keep(&a[0], basic::right(a[0].as_text(), a[1].as_int4())))),
    ("text_reverse", |_, a| Ok(Datum::text(a[0].as_text().chars().rev().collect::<String>()))),
    ("repeat", |_, a| basic::repeat(a[0].as_text(), a[1].as_int4())),
    ("translate", |_, a| {
        Ok(Datum::text(basic::translate(a[0].as_text(), a[1].as_text(), a[2].as_text())))
    }),
    ("replace_text", |_, a| {
        let (text, from, to) = (a[0].as_text(), a[1].as_text(), a[2].as_text());
        if from.is_empty() || !text.contains(from) {
            return Ok(a[0].clone());
        }
        checked_text(text.replace(from, to))
    }),
    ("textpos", |_, a| basic::position(a[0].as_text(), a[1].as_text())),
    ("text_starts_with", |_, a| Ok(Datum::Bool(a[0].as_text().starts_with(a[1].as_text())))),
    ("ascii", |_, a| {
        let first = a[0].as_text().chars().next().map_or(0, u32::from);
        Ok(Datum::Int4(first.cast_signed()))
    }),
    ("chr", |_, a| basic::chr(a[0].as_int4())),
    ("unistr", |_, a| basic::unistr(a[0].as_text())),
    ("parse_ident", |_, a| compose::parse_ident(a[0].as_text(), a[1].as_bool())),
    // Putting together.
    ("textcat", |_, a| Ok(concatenated(a[0].as_text(), a[1].as_text()))),
    ("textanycat(text,anynonarray)", |context, a| {
        Ok(concatenated(a[0].as_text(), &compose::as_cast_to_text(context, a, 1)))
    }),
    ("anytextcat(anynonarray,text)", |context, a| {
        Ok(concatenated(&compose::as_cast_to_text(context, a, 0), a[1].as_text()))
    }),
    ("text_concat", |context, a| Ok(compose::concat(context, a))),
    ("text_concat_ws", |context, a| Ok(compose::concat_with_separator(context, a))),
    ("text_format", compose::format),
    ("text_format_nv", compose::format),
    ("quote_ident", |_, a| Ok(Datum::text(compose::quote_ident(a[0].as_text())))),
    ("quote_literal", |_, a| Ok(Datum::text(compose::quote_literal(a[0].as_text())))),
    ("quote_literal(anyelement)", |context, a| {
        Ok(Datum::text(compose::quote_literal(&compose::as_cast_to_text(context, a, 0))))
    }),
    ("quote_nullable", |_, a| {
        Ok(Datum::text(match &a[0] {
            Datum::Null => "NULL".to_owned(),
            value => compose::quote_literal(value.as_text()),
        }))
    }),
    ("quote_nullable(anyelement)", |context, a| {
        Ok(Datum::text(match &a[0] {
            Datum::Null => "NULL".to_owned(),
            _ => compose::quote_literal(&compose::as_cast_to_text(context, a, 0)),
        }))
    }),
    // Taking apart.
    ("split_part", |_, a| split::split_part(a[0].as_text(), a[1].as_text(), a[2].as_int4())),
    ("text_to_array", |_, a| Ok(split::to_array(a))),
    ("text_to_array_null", |_, a| Ok(split::to_array(a))),
    // Patterns.
    ("textlike", like!(true)),
    ("textnlike", like!(false)),
    ("texticlike", like_ignoring_case!(true)),
    ("texticnlike", like_ignoring_case!(false)),
    ("namelike", like!(true)),
    ("namenlike", like!(false)),
    ("nameiclike", like_ignoring_case!(true)),
    ("nameicnlike", like_ignoring_case!(false)),
    ("like_escape", |_, a| like::escape(a[0].as_text(), a[1].as_text()).map(Datum::text)),
    ("similar_to_escape_1", |_, a| like::similar(a[0].as_text(), Some("\\")).map(Datum::text)),
    ("similar_to_escape_2", |_, a| {
        like::similar(a[0].as_text(), Some(a[1].as_text())).map(Datum::text)
    }),
    ("similar_escape", |_, a| match (&a[0], &a[1]) {
        (Datum::Null, _) => Ok(Datum::Null),
        (pattern, Datum::Null) => like::similar(pattern.as_text(), Some("\\")).map(Datum::text),
        (pattern, escape) => {
            like::similar(pattern.as_text(), Some(escape.as_text())).map(Datum::text)
        }
    }),
    ("textregexeq", matches_regex!(false, true)),
    ("textregexne", matches_regex!(false, false)),
    ("texticregexeq", matches_regex!(true, true)),
    ("texticregexne", matches_regex!(true, false)),
    ("nameregexeq", matches_regex!(false, true)),
    ("nameregexne", matches_regex!(false, false)),
    ("nameicregexeq", matches_regex!(true, true)),
    ("nameicregexne", matches_regex!(true, false)),
    ("textregexsubstr", |context, a| pattern::substring(context, a[0].as_text(), a[1].as_text())),
    ("substring(text,text,text)", |context, a| {
        let pattern = like::similar(a[1].as_text(), Some(a[2].as_text()))?;
        pattern::substring(context, a[0].as_text(), &pattern)
    }),
    ("textregexreplace_noopt", pattern::replace),
    ("textregexreplace", pattern::replace),
    ("textregexreplace_extended", pattern::replace_extended),
    ("textregexreplace_extended_no_flags", pattern::replace_extended),
    ("textregexreplace_extended_no_n", pattern::replace_extended),
    ("regexp_match_no_flags", pattern::regexp_match),
    ("regexp_match", pattern::regexp_match),
    ("regexp_like_no_flags", pattern::regexp_like),
    ("regexp_like", pattern::regexp_like),
    ("regexp_count_no_start", pattern::regexp_count),
    ("regexp_count_no_flags", pattern::regexp_count),
    ("regexp_count", pattern::regexp_count),
    ("regexp_instr_no_start", pattern::regexp_instr),
    ("regexp_instr_no_n", pattern::regexp_instr),
    ("regexp_instr_no_endoption", pattern::regexp_instr),
    ("regexp_instr_no_flags", pattern::regexp_instr),
    ("regexp_instr_no_subexpr", pattern::regexp_instr),
    ("regexp_instr", pattern::regexp_instr),
    ("regexp_substr_no_start", pattern::regexp_substr),
    ("regexp_substr_no_n", pattern::regexp_substr),
    ("regexp_substr_no_flags", pattern::regexp_substr),
    ("regexp_substr_no_subexpr", pattern::regexp_substr),
    ("regexp_substr", pattern::regexp_substr),
    ("regexp_split_to_array_no_flags", pattern::split_to_array),
    ("regexp_split_to_array", pattern::split_to_array),
];

pub(super) static SETS: SetTable = &[
    ("text_to_table", |_, a| Ok(Box::new(split::pieces(a).into_iter().map(Ok)))),
    ("text_to_table_null", |_, a| Ok(Box::new(split::pieces(a).into_iter().map(Ok)))),
    ("regexp_matches_no_flags", pattern::regexp_matches),
    ("regexp_matches", pattern::regexp_matches),
    ("regexp_split_to_table_no_flags", pattern::split_to_table),
    ("regexp_split_to_table", pattern::split_to_table),
];

fn checked_text(text: String) -> SqlResult<Datum> {
    if text.len() > VALUE_LENGTH_MAX { Err(too_long()) } else { Ok(Datum::text(text)) }
}

/// Whether a text is like a pattern of jsonpath's `like_regex`; without a text, whether it is a pattern.
///
/// # Errors
/// 2201B
pub(crate) fn like_regex(
    text: Option<&str>,
    pattern: &str,
    flags: crate::jsonpath::RegexFlags,
    ctype: Ctype,
) -> SqlResult<bool> {
    // As XQuery has them: what `q` takes literally has no lines and no dots.
    let flags = regex::Flags {
        ignore_case: flags.ignore_case,
        newline_stops: !flags.quoted && !flags.dot_all,
        newline_anchors: !flags.quoted && flags.multi_line,
        quoted: flags.quoted,
        ctype,
        ..regex::Flags::default()
    };
    let regex = regex::compile(pattern, flags)?;
    match text {
        Some(text) => Ok(regex.over(text)?.find(0)?.is_some()),
        None => Ok(true),
    }
}

/// A length or a position as an `int4`.
pub(super) fn length(count: usize) -> SqlResult<Datum> {
    i32::try_from(count).map(Datum::Int4).map_err(|_| out_of_range("integer"))
}

/// The value itself where a function changed nothing of its text, without a copy.
fn keep(value: &Datum, text: &str) -> Datum {
    if value.as_text().len() == text.len() { value.clone() } else { Datum::text(text) }
}

/// The text of a `char(n)` as it compares.
fn trimmed(value: &Datum) -> &str {
    text::trim_blanks(value.as_text())
}

/// The first argument where it compares as wanted, else the second.
fn chosen(a: &[Datum], order: Ordering, wanted: Ordering) -> Datum {
    a[usize::from(order != wanted)].clone()
}

fn larger_bpchar(a: &[Datum], larger: bool) -> Datum {
    let order = trimmed(&a[0]).cmp(trimmed(&a[1]));
    let first = if larger { order.is_ge() } else { order.is_le() };
    a[usize::from(!first)].clone()
}

fn concatenated(left: &str, right: &str) -> Datum {
    let mut text = String::with_capacity(left.len() + right.len());
    text.push_str(left);
    text.push_str(right);
    Datum::text(text)
}

fn char_to_text(value: u8) -> Datum {
    let mut out = Vec::new();
    text::write_char(value, &mut out);
    Datum::text(String::from_utf8(out).expect("a \"char\" prints as ASCII"))
}

fn name_with_oid(name: &str, oid: Oid) -> Datum {
    let suffix = format!("_{oid}");
    let room = text::NAME_LENGTH_MAX - suffix.len();
    Datum::text(format!("{}{suffix}", &name[..name.floor_char_boundary(room)]))
}

/// A value's text form, by the argument's type.
pub(super) fn output(context: &CallContext<'_>, a: &[Datum], at: usize) -> String {
    let type_oid = context.argument_types.get(at).map_or(t::UNKNOWN, |type_ref| type_ref.oid);
    let mut out = Vec::new();
    io::text_out(type_oid, &a[at], &context.eval, &mut out);
    String::from_utf8(out).expect("every type prints as UTF-8")
}
