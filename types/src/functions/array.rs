//! Arrays: construction, concatenation, search, subscripts, comparison.

use super::{ScalarTable, SetTable};
use crate::array;
use crate::compare;
use crate::context::CallContext;
use crate::datum::{Array, Datum};
use crate::error::{SqlError, SqlResult};
use crate::oid::Oid;
use crate::sqlstate::SqlState;
use crate::user_type::UserType;
use crate::{io, type_oid as t};

mod build;
mod search;

macro_rules! compare_arrays {
    ($test:ident) => {
        |context, a| Ok(Datum::Bool(compare::compare(array_type(context, 0), &a[0], &a[1]).$test()))
    };
}

macro_rules! compare_vectors {
    ($test:ident) => {
        |_, a| Ok(Datum::Bool(compare::compare(t::OIDVECTOR, &a[0], &a[1]).$test()))
    };
}

pub(super) static SCALARS: ScalarTable = &[
    ("array_eq", compare_arrays!(is_eq)),
    ("oidvectoreq", compare_vectors!(is_eq)),
    ("array_ne", compare_arrays!(is_ne)),
    ("oidvectorne", compare_vectors!(is_ne)),
    ("array_lt", compare_arrays!(is_lt)),
    ("oidvectorlt", compare_vectors!(is_lt)),
    ("array_le", compare_arrays!(is_le)),
    ("oidvectorle", compare_vectors!(is_le)),
    ("array_gt", compare_arrays!(is_gt)),
    ("oidvectorgt", compare_vectors!(is_gt)),
    ("array_ge", compare_arrays!(is_ge)),
    ("oidvectorge", compare_vectors!(is_ge)),
    ("array_larger", |context, a| {
        let second = compare::compare(array_type(context, 0), &a[0], &a[1]).is_le();
        Ok(a[usize::from(second)].clone())
    }),
    ("array_smaller", |context, a| {
        let second = compare::compare(array_type(context, 0), &a[0], &a[1]).is_ge();
        Ok(a[usize::from(second)].clone())
    }),
    ("arraycontains", |_, a| Ok(Datum::Bool(search::contains(a[0].as_array(), a[1].as_array())))),
    ("arraycontained", |_, a| Ok(Datum::Bool(search::contains(a[1].as_array(), a[0].as_array())))),
    ("arrayoverlap", |_, a| Ok(Datum::Bool(search::overlaps(a[0].as_array(), a[1].as_array())))),
    // Shape.
    ("array_ndims", |_, a| {
        let count = a[0].as_array().dimensions.len();
        Ok(if count == 0 { Datum::Null } else { Datum::Int4(i32::try_from(count).unwrap_or(0)) })
    }),
    ("array_dims", |_, a| Ok(dimensions_text(a[0].as_array()))),
    ("array_lower", |_, a| Ok(of_dimension(a, |dimension| dimension.lower))),
    ("array_upper", |_, a| Ok(of_dimension(a, |d| d.lower.saturating_add(d.length) - 1))),
    ("array_length", |_, a| Ok(of_dimension(a, |dimension| dimension.length))),
    ("array_cardinality", |_, a| super::text::length(a[0].as_array().elements.len())),
    // Construction.
    ("array_append", build::append),
    ("array_prepend", build::prepend),
    ("array_cat", build::cat),
    ("array_fill", build::fill),
    ("array_fill_with_lower_bounds", build::fill),
    ("trim_array", build::trim),
    // Search and change.
    ("array_position", search::position),
    ("array_position_start", search::position),
    ("array_positions", search::positions),
    ("array_remove", search::remove),
    ("array_replace", search::replace),
    ("width_bucket_array", search::width_bucket),
    // Text.
    ("array_to_text", |context, a| Ok(to_text(context, a))),
    ("array_to_text_null", |context, a| Ok(to_text(context, a))),
];

pub(super) static SETS: SetTable = &[
    ("array_unnest", |_, a| match &a[0] {
        Datum::Array(array) => {
            let array = array.clone();
            Ok(Box::new((0..array.elements.len()).map(move |at| Ok(array.elements[at].clone()))))
        }
        _ => Ok(Box::new(std::iter::empty())),
    }),
    ("generate_subscripts", |_, a| Ok(Box::new(subscripts(a, a[2].as_bool())))),
    ("generate_subscripts_nodir", |_, a| Ok(Box::new(subscripts(a, false)))),
];

fn array_type(context: &CallContext<'_>, at: usize) -> Oid {
    context.argument_types.get(at).map_or(t::ANYARRAY, |type_ref| type_ref.oid)
}

/// The element type of an array type, of users' too.
fn element_of(context: &CallContext<'_>, array: Oid) -> Option<Oid> {
    io::element_type(array).or_else(|| match context.eval.host.user_type(array) {
        Some(UserType::Array(element)) => Some(element),
        _ => None,
    })
}

/// An array given as an argument; an empty one for NULL, of the element type that the call's types
/// tell.
fn argument(context: &CallContext<'_>, a: &[Datum], at: usize) -> Array {
    match &a[at] {
        Datum::Array(array) => Array::clone(array),
        _ => {
            let element = element_of(context, array_type(context, at))
                .or_else(|| element_of(context, context.result_type.oid))
                .unwrap_or(t::UNKNOWN);
            Array::one_dimensional(element, Vec::new())
        }
    }
}

fn array_error(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::ArraySubscriptError, message)
}

fn datum(array: Array) -> SqlResult<Datum> {
    io::array::element_count(&array.dimensions)?;
    Ok(Datum::Array(array.into()))
}

fn of_dimension(a: &[Datum], property: fn(&crate::datum::Dimension) -> i32) -> Datum {
    let dimension = usize::try_from(a[1].as_int4())
        .ok()
        .and_then(|number| a[0].as_array().dimensions.get(number.checked_sub(1)?));
    dimension.map_or(Datum::Null, |dimension| Datum::Int4(property(dimension)))
}

fn dimensions_text(array: &Array) -> Datum {
    if array.dimensions.is_empty() {
        return Datum::Null;
    }
    let text: String = array
        .dimensions
        .iter()
        .map(|d| format!("[{}:{}]", d.lower, i64::from(d.lower) + i64::from(d.length) - 1))
        .collect();
    Datum::text(text)
}

fn subscripts(a: &[Datum], reverse: bool) -> impl Iterator<Item = SqlResult<Datum>> + Send + use<> {
    let dimension = usize::try_from(a[1].as_int4())
        .ok()
        .and_then(|number| a[0].as_array().dimensions.get(number.checked_sub(1)?))
        .copied();
    let (lower, length) = dimension.map_or((1, 0), |dimension| (dimension.lower, dimension.length));
    (0..length).map(move |at| {
        Ok(Datum::Int4(if reverse { lower + (length - 1 - at) } else { lower + at }))
    })
}

/// `array_to_string(array, delimiter [, null string])`: without a null string NULLs are left out.
fn to_text(context: &CallContext<'_>, a: &[Datum]) -> Datum {
    let (Datum::Array(array), Datum::Text(delimiter)) = (&a[0], &a[1]) else { return Datum::Null };
    let null = match a.get(2) {
        Some(Datum::Text(null)) => Some(null),
        _ => None,
    };
    let mut out = Vec::new();
    let mut first = true;
    for element in &array.elements {
        if element.is_null() && null.is_none() {
            continue;
        }
        if !first {
            out.extend_from_slice(delimiter.as_bytes());
        }
        first = false;
        match (element, null) {
            (Datum::Null, Some(null)) => out.extend_from_slice(null.as_bytes()),
            (element, _) => io::text_out(array.element, element, &context.eval, &mut out),
        }
    }
    Datum::text(String::from_utf8(out).expect("every type prints as UTF-8"))
}
