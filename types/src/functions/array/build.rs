//! Arrays made of elements and of other arrays.

use super::{argument, array, array_error, datum};
use crate::context::CallContext;
use crate::datum::{Array, Datum, Dimension};
use crate::error::{SqlError, SqlResult};
use crate::integer::out_of_range;
use crate::io::array::{DIMENSIONS_MAX, element_count, too_many_dimensions};
use crate::sqlstate::SqlState;

fn one_dimensional(array: &Array) -> SqlResult<()> {
    if array.dimensions.len() > 1 {
        return Err(SqlError::new(
            SqlState::DataException,
            "argument must be empty or one-dimensional array",
        ));
    }
    Ok(())
}

pub(super) fn append(context: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    let mut array = argument(context, a, 0);
    one_dimensional(&array)?;
    if let [dimension] = array.dimensions.as_slice() {
        dimension.lower.checked_add(dimension.length).ok_or_else(|| out_of_range("integer"))?;
    }
    extend(&mut array, a[1].clone(), false);
    datum(array)
}

pub(super) fn prepend(context: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    let mut array = argument(context, a, 1);
    one_dimensional(&array)?;
    if let [dimension] = array.dimensions.as_slice() {
        dimension.lower.checked_sub(1).ok_or_else(|| out_of_range("integer"))?;
    }
    extend(&mut array, a[0].clone(), true);
    datum(array)
}

/// One more element; the lower bound stays.
fn extend(array: &mut Array, element: Datum, front: bool) {
    match array.dimensions.as_mut_slice() {
        [dimension] => dimension.length = dimension.length.saturating_add(1),
        _ => array.dimensions = vec![Dimension { length: 1, lower: 1 }],
    }
    if front {
        array.elements.insert(0, element);
    } else {
        array.elements.push(element);
    }
}

pub(super) fn cat(_: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    let (left, right) = match (&a[0], &a[1]) {
        (Datum::Null, other) | (other, Datum::Null) => return Ok(other.clone()),
        (Datum::Array(left), Datum::Array(right)) => (left, right),
        _ => return Err(SqlError::internal("array_cat was called with other than arrays")),
    };
    if left.dimensions.is_empty() {
        return Ok(a[1].clone());
    }
    if right.dimensions.is_empty() {
        return Ok(a[0].clone());
    }
    let incompatible =
        |detail: String| array_error("cannot concatenate incompatible arrays").detail(detail);
    let (l, r) = (left.dimensions.as_slice(), right.dimensions.as_slice());
    let mut dimensions = if l.len() >= r.len() { l.to_vec() } else { r.to_vec() };
    let added = match l.len().cmp(&r.len()) {
        std::cmp::Ordering::Equal => {
            if l[1..] != r[1..] {
                return Err(incompatible(
                    "Arrays with differing element dimensions are not compatible for concatenation."
                        .to_owned(),
                ));
            }
            r[0].length
        }
        _ if l.len().abs_diff(r.len()) == 1 => {
            let (inner, outer) = if l.len() < r.len() { (l, r) } else { (r, l) };
            if inner != &outer[1..] {
                return Err(incompatible(
                    "Arrays with differing dimensions are not compatible for concatenation."
                        .to_owned(),
                ));
            }
            1
        }
        _ => {
            return Err(incompatible(format!(
                "Arrays of {} and {} dimensions are not compatible for concatenation.",
                l.len(),
                r.len()
            )));
        }
    };
    dimensions[0].length = dimensions[0].length.saturating_add(added);
    element_count(&dimensions)?;
    let elements = left.elements.iter().chain(&right.elements).cloned().collect();
    Ok(Datum::Array(Array { element: left.element, dimensions, elements }.into()))
}

/// The numbers of a one-dimensional `int4` array that gives dimensions or bounds.
fn numbers(array: &Array) -> SqlResult<Vec<i32>> {
    if array.dimensions.len() > 1 {
        return Err(array_error("wrong number of array subscripts")
            .detail("Dimension array must be one dimensional."));
    }
    array
        .elements
        .iter()
        .map(|element| match element {
            Datum::Int4(number) => Ok(*number),
            _ => {
                Err(SqlError::new(SqlState::NullValueNotAllowed, "dimension values cannot be null"))
            }
        })
        .collect()
}

/// `array_fill(value, dimensions [, lower bounds])`.
pub(super) fn fill(context: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    if a[1..].iter().any(Datum::is_null) {
        return Err(SqlError::new(
            SqlState::NullValueNotAllowed,
            "dimension array or low bound array cannot be null",
        ));
    }
    let lengths = numbers(a[1].as_array())?;
    if lengths.len() > DIMENSIONS_MAX {
        return Err(too_many_dimensions(lengths.len()));
    }
    let lowers = match a.get(2) {
        Some(lowers) => numbers(lowers.as_array())?,
        None => vec![1; lengths.len()],
    };
    if lowers.len() != lengths.len() {
        return Err(array_error("wrong number of array subscripts")
            .detail("Low bound array has different size than dimensions array."));
    }
    let dimensions: Vec<Dimension> = lengths
        .into_iter()
        .zip(lowers)
        .map(|(length, lower)| Dimension { length, lower })
        .collect();
    let count = element_count(&dimensions)?;
    let element = super::element_of(context, context.result_type.oid)
        .or_else(|| context.argument_types.first().map(|type_ref| type_ref.oid))
        .unwrap_or(crate::type_oid::UNKNOWN);
    let dimensions = if count == 0 { Vec::new() } else { dimensions };
    Ok(Datum::Array(Array { element, dimensions, elements: vec![a[0].clone(); count] }.into()))
}

/// The array without its last `count` elements of the first dimension.
pub(super) fn trim(_: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    let source = a[0].as_array();
    let length = source.dimensions.first().map_or(0, |dimension| dimension.length);
    let count = a[1].as_int4();
    if !(0..=length).contains(&count) {
        return Err(array_error(format!(
            "number of elements to trim must be between 0 and {length}"
        )));
    }
    let Some(first) = source.dimensions.first() else { return Ok(a[0].clone()) };
    let upper = first.lower.saturating_add(length - count - 1);
    Ok(Datum::Array(array::slice(source, &[(None, Some(upper))]).into()))
}
