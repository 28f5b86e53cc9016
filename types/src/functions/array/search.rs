//! Finding, removing and replacing elements.

use super::argument;
use crate::compare;
use crate::context::CallContext;
use crate::datum::{Array, Datum};
use crate::error::{SqlError, SqlResult};
use crate::sqlstate::SqlState;
use crate::type_oid as t;

/// Whether two elements are the same, NULL being the same as NULL.
fn same(array: &Array, left: &Datum, right: &Datum) -> bool {
    match (left.is_null(), right.is_null()) {
        (true, true) => true,
        (false, false) => compare::equal(array.element, left, right),
        _ => false,
    }
}

/// Whether every element of `right` is one of `left`'s; NULL is none's.
pub(super) fn contains(left: &Array, right: &Array) -> bool {
    right.elements.iter().all(|element| !element.is_null() && holds(left, element))
}

/// Whether the arrays have an element in common; NULL is none.
pub(super) fn overlaps(left: &Array, right: &Array) -> bool {
    right.elements.iter().any(|element| !element.is_null() && holds(left, element))
}

fn holds(array: &Array, wanted: &Datum) -> bool {
    array
        .elements
        .iter()
        .any(|element| !element.is_null() && compare::equal(array.element, element, wanted))
}

fn refuse_dimensions(array: &Array, what: &str) -> SqlResult<()> {
    if array.dimensions.len() > 1 {
        return Err(SqlError::new(
            SqlState::FeatureNotSupported,
            format!("{what} elements in multidimensional arrays is not supported")
                .replace("removing elements in", "removing elements from"),
        ));
    }
    Ok(())
}

/// `array_position(array, element [, start])`: the first subscript, NULL if there is none.
pub(super) fn position(_: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    let Datum::Array(array) = &a[0] else { return Ok(Datum::Null) };
    refuse_dimensions(array, "searching for")?;
    let lower = array.dimensions.first().map_or(1, |dimension| dimension.lower);
    let start = match a.get(2) {
        None => lower,
        Some(Datum::Null) => {
            return Err(SqlError::new(
                SqlState::NullValueNotAllowed,
                "initial position must not be null",
            ));
        }
        Some(start) => start.as_int4(),
    };
    let found = (lower..)
        .zip(&array.elements)
        .find(|(at, element)| *at >= start && same(array, element, &a[1]));
    Ok(found.map_or(Datum::Null, |(at, _)| Datum::Int4(at)))
}

pub(super) fn positions(_: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    let Datum::Array(array) = &a[0] else { return Ok(Datum::Null) };
    refuse_dimensions(array, "searching for")?;
    let lower = array.dimensions.first().map_or(1, |dimension| dimension.lower);
    let found = (lower..)
        .zip(&array.elements)
        .filter(|(_, element)| same(array, element, &a[1]))
        .map(|(at, _)| Datum::Int4(at))
        .collect();
    Ok(Datum::Array(Array::one_dimensional(t::INT4, found).into()))
}

pub(super) fn remove(_: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    let Datum::Array(array) = &a[0] else { return Ok(Datum::Null) };
    refuse_dimensions(array, "removing")?;
    let elements: Vec<Datum> =
        array.elements.iter().filter(|element| !same(array, element, &a[1])).cloned().collect();
    if elements.len() == array.elements.len() {
        return Ok(a[0].clone());
    }
    let mut result = Array::one_dimensional(array.element, elements);
    if let (Some(new), Some(old)) = (result.dimensions.first_mut(), array.dimensions.first()) {
        new.lower = old.lower;
    }
    Ok(Datum::Array(result.into()))
}

pub(super) fn replace(context: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    if a[0].is_null() {
        return Ok(Datum::Null);
    }
    let mut array = argument(context, a, 0);
    for at in 0..array.elements.len() {
        if same(&array, &array.elements[at], &a[1]) {
            array.elements[at] = a[2].clone();
        }
    }
    Ok(Datum::Array(array.into()))
}

/// `width_bucket(operand, thresholds)`: how many thresholds are at most the operand.
pub(super) fn width_bucket(_: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    let thresholds = a[1].as_array();
    if thresholds.dimensions.len() > 1 {
        return Err(SqlError::new(
            SqlState::ArraySubscriptError,
            "thresholds must be one-dimensional array",
        ));
    }
    if thresholds.elements.iter().any(Datum::is_null) {
        return Err(SqlError::new(
            SqlState::NullValueNotAllowed,
            "thresholds array must not contain NULLs",
        ));
    }
    // The thresholds are sorted, or the answer is as arbitrary as in PostgreSQL.
    let bucket = thresholds.elements.partition_point(|threshold| {
        compare::compare(thresholds.element, threshold, &a[0]).is_le()
    });
    super::super::text::length(bucket)
}
