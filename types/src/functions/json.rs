//! json and jsonb.
//!
//! [`access`] reads parts, [`modify`] makes changed copies, [`convert`] turns any datum into JSON,
//! [`construct`] and [`aggregate`] build on it, [`sets`] are the set-returning functions, [`populate`]
//! makes rows of objects, [`path`] asks paths.

use super::{ScalarTable, SetTable};
use crate::datum::Datum;
use crate::error::SqlError;
use crate::jsonb::Jsonb;
use crate::sqlstate::SqlState;

mod access;
mod assign;
mod modify;
mod convert;
mod construct;
mod aggregate;
mod path;
mod sets;
pub(super) mod populate;
#[cfg(test)]
mod tests;

pub(super) use aggregate::AGGREGATES;
pub use assign::jsonb_assigned;
pub(super) use sets::SETS;

/// 22023 with a message.
fn invalid_parameter(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::InvalidParameterValue, message)
}

/// 2202E with a message.
fn array_subscript(message: &str) -> SqlError {
    SqlError::new(SqlState::ArraySubscriptError, message)
}

/// The elements of a `text[]`, NULL as none.
fn texts(array: &Datum) -> Vec<Option<&str>> {
    let text = |element| match element {
        &Datum::Null => None,
        element => Some(Datum::as_text(element)),
    };
    array.as_array().elements.iter().map(text).collect()
}

/// The whole number of a path's element as C's `strtol` reads it: blanks, a sign, digits, no more.
fn path_index(text: &str) -> Option<i32> {
    let digits = text.trim_start_matches([' ', '\t', '\n', '\u{b}', '\u{c}', '\r']);
    digits.parse().ok()
}

fn text_or_null(text: Option<impl Into<std::sync::Arc<str>>>) -> Datum {
    text.map_or(Datum::Null, Datum::text)
}

fn into_text(bytes: Vec<u8>) -> Datum {
    Datum::text(String::from_utf8(bytes).expect("JSON is written from strings alone"))
}

fn pair(arguments: &[Datum]) -> (&Jsonb, &Jsonb) {
    (arguments[0].as_jsonb(), arguments[1].as_jsonb())
}

pub(super) static SCALARS: ScalarTable = &[
    ("jsonb_eq", |_, a| Ok(Datum::Bool(pair(a).0 == pair(a).1))),
    ("jsonb_ne", |_, a| Ok(Datum::Bool(pair(a).0 != pair(a).1))),
    ("jsonb_lt", |_, a| Ok(Datum::Bool(pair(a).0 < pair(a).1))),
    ("jsonb_le", |_, a| Ok(Datum::Bool(pair(a).0 <= pair(a).1))),
    ("jsonb_gt", |_, a| Ok(Datum::Bool(pair(a).0 > pair(a).1))),
    ("jsonb_ge", |_, a| Ok(Datum::Bool(pair(a).0 >= pair(a).1))),
    ("jsonb_cmp", |_, a| Ok(Datum::Int4(pair(a).0.cmp(pair(a).1) as i32))),
    // Reading.
    ("json_object_field", access::json_object_field),
    ("json_object_field_text", access::json_object_field_text),
    ("json_array_element", access::json_array_element),
    ("json_array_element_text", access::json_array_element_text),
    ("json_extract_path", access::json_extract_path),
    ("json_extract_path_text", access::json_extract_path_text),
    ("json_array_length", access::json_array_length),
    ("json_typeof", access::json_typeof),
    ("jsonb_object_field", access::jsonb_object_field),
    ("jsonb_object_field_text", access::jsonb_object_field_text),
    ("jsonb_array_element", access::jsonb_array_element),
    ("jsonb_array_element_text", access::jsonb_array_element_text),
    ("jsonb_extract_path", access::jsonb_extract_path),
    ("jsonb_extract_path_text", access::jsonb_extract_path_text),
    ("jsonb_array_length", access::jsonb_array_length),
    ("jsonb_typeof", access::jsonb_typeof),
    ("jsonb_contains", |_, a| Ok(Datum::Bool(access::contains(pair(a).0, pair(a).1)))),
    ("jsonb_contained", |_, a| Ok(Datum::Bool(access::contains(pair(a).1, pair(a).0)))),
    ("jsonb_exists", |_, a| Ok(Datum::Bool(access::exists(a[0].as_jsonb(), a[1].as_text())))),
    ("jsonb_exists_any", |_, a| {
        let keys = texts(&a[1]);
        Ok(Datum::Bool(keys.iter().flatten().any(|key| access::exists(a[0].as_jsonb(), key))))
    }),
    ("jsonb_exists_all", |_, a| {
        let keys = texts(&a[1]);
        Ok(Datum::Bool(keys.iter().flatten().all(|key| access::exists(a[0].as_jsonb(), key))))
    }),
    // Paths.
    ("jsonb_path_exists", |c, a| path::exists(c, a, false)),
    ("jsonb_path_exists_tz", |c, a| path::exists(c, a, true)),
    ("jsonb_path_exists_opr", |c, a| path::exists(c, a, false)),
    ("jsonb_path_match", |c, a| path::matches(c, a, false)),
    ("jsonb_path_match_tz", |c, a| path::matches(c, a, true)),
    ("jsonb_path_match_opr", |c, a| path::matches(c, a, false)),
    ("jsonb_path_query_array", |c, a| path::array(c, a, false)),
    ("jsonb_path_query_array_tz", |c, a| path::array(c, a, true)),
    ("jsonb_path_query_first", |c, a| path::first(c, a, false)),
    ("jsonb_path_query_first_tz", |c, a| path::first(c, a, true)),
    // Casts.
    ("jsonb_bool", access::jsonb_bool),
    ("jsonb_numeric", access::jsonb_numeric),
    ("jsonb_int2", access::jsonb_int2),
    ("jsonb_int4", access::jsonb_int4),
    ("jsonb_int8", access::jsonb_int8),
    ("jsonb_float4", access::jsonb_float4),
    ("jsonb_float8", access::jsonb_float8),
    // Changing.
    ("jsonb_concat", modify::jsonb_concat),
    ("jsonb_delete", modify::jsonb_delete),
    ("jsonb_delete_idx", modify::jsonb_delete_index),
    ("jsonb_delete_array", modify::jsonb_delete_array),
    ("jsonb_delete_path", modify::jsonb_delete_path),
    ("jsonb_set", modify::jsonb_set),
    ("jsonb_set_lax", modify::jsonb_set_lax),
    ("jsonb_insert", modify::jsonb_insert),
    ("json_strip_nulls", modify::json_strip_nulls),
    ("jsonb_strip_nulls", modify::jsonb_strip_nulls),
    ("jsonb_pretty", |_, a| {
        let mut out = Vec::new();
        a[0].as_jsonb().write_pretty(&mut out);
        Ok(into_text(out))
    }),
    // Making.
    ("to_json", construct::to_json),
    ("to_jsonb", construct::to_jsonb),
    ("array_to_json", construct::to_json),
    ("array_to_json_pretty", construct::to_json_pretty),
    ("row_to_json", construct::to_json),
    ("row_to_json_pretty", construct::to_json_pretty),
    ("json_build_array", construct::json_build_array),
    ("json_build_array_noargs", construct::json_build_array),
    ("json_build_object", construct::json_build_object),
    ("json_build_object_noargs", construct::json_build_object),
    ("jsonb_build_array", construct::jsonb_build_array),
    ("jsonb_build_array_noargs", construct::jsonb_build_array),
    ("jsonb_build_object", construct::jsonb_build_object),
    ("jsonb_build_object_noargs", construct::jsonb_build_object),
    ("json_object", construct::json_object),
    ("json_object_two_arg", construct::json_object),
    ("jsonb_object", construct::jsonb_object),
    ("jsonb_object_two_arg", construct::jsonb_object),
];
