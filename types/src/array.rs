//! Subscripts and slices of arrays: what `a[1]`, `a[2:3]` and `UPDATE … SET a[1] = …` mean
//! (PostgreSQL 15, chapter 8.15).

use crate::datum::{Array, Datum, Dimension};
use crate::error::{SqlError, SqlResult};
use crate::io::array::{DIMENSIONS_MAX, element_count, too_many_dimensions};
use crate::sqlstate::SqlState;

/// The lower and upper bound of one dimension of a slice; `None` for the array's own.
pub type SliceBounds = (Option<i32>, Option<i32>);

/// The element at these subscripts; NULL outside, and for the wrong number of subscripts.
#[must_use]
pub fn get(array: &Array, subscripts: &[i32]) -> Datum {
    offset(array, subscripts).map_or(Datum::Null, |at| array.elements[at].clone())
}

fn offset(array: &Array, subscripts: &[i32]) -> Option<usize> {
    if subscripts.len() != array.dimensions.len() || subscripts.is_empty() {
        return None;
    }
    let mut at = 0_usize;
    for (subscript, dimension) in subscripts.iter().zip(&array.dimensions) {
        let inside = i64::from(*subscript) - i64::from(dimension.lower);
        let length = usize::try_from(dimension.length).ok()?;
        let inside = usize::try_from(inside).ok().filter(|inside| *inside < length)?;
        at = at * length + inside;
    }
    Some(at)
}

/// The part within these bounds, numbered from 1; dimensions that have none are taken whole. Empty
/// where a bound is outside on both sides or there are too many.
#[must_use]
pub fn slice(array: &Array, bounds: &[SliceBounds]) -> Array {
    let empty = || Array::one_dimensional(array.element, Vec::new());
    if bounds.len() > array.dimensions.len() {
        return empty();
    }
    let mut ranges = Vec::with_capacity(array.dimensions.len());
    for (at, dimension) in array.dimensions.iter().enumerate() {
        let (lower, upper) = bounds.get(at).copied().unwrap_or((None, None));
        let first = i64::from(dimension.lower);
        let last = first + i64::from(dimension.length) - 1;
        let from = lower.map_or(first, i64::from).max(first);
        let to = upper.map_or(last, i64::from).min(last);
        match (usize::try_from(from - first), usize::try_from(to - from + 1)) {
            (Ok(from), Ok(length)) if length > 0 => ranges.push((from, length)),
            _ => return empty(),
        }
    }
    let mut elements = Vec::new();
    collect(array, &ranges, 0, 0, &mut elements);
    let dimensions = ranges
        .iter()
        .map(|(_, length)| Dimension {
            length: i32::try_from(*length).unwrap_or(i32::MAX),
            lower: 1,
        })
        .collect();
    Array { element: array.element, dimensions, elements }
}

/// Copies the ranges of the dimensions from `level` on; at most six levels deep.
fn collect(
    array: &Array,
    ranges: &[(usize, usize)],
    level: usize,
    base: usize,
    out: &mut Vec<Datum>,
) {
    let Some((from, length)) = ranges.get(level).copied() else { return };
    let width = usize::try_from(array.dimensions[level].length).unwrap_or(0);
    let start = base * width + from;
    if level + 1 == ranges.len() {
        out.extend_from_slice(&array.elements[start..start + length]);
        return;
    }
    for at in start..start + length {
        collect(array, ranges, level + 1, at, out);
    }
}

/// The array with one element replaced: `SET a[…] = value`. An empty array takes any subscripts, a
/// one-dimensional one grows in either direction, filled with NULLs.
///
/// # Errors
/// 2202E for subscripts outside an array of several dimensions or in wrong number, 54000.
pub fn set(array: &Array, subscripts: &[i32], value: Datum) -> SqlResult<Array> {
    if subscripts.len() > DIMENSIONS_MAX {
        return Err(too_many_dimensions(subscripts.len()));
    }
    if array.dimensions.is_empty() {
        let dimensions: Vec<Dimension> =
            subscripts.iter().map(|lower| Dimension { length: 1, lower: *lower }).collect();
        element_count(&dimensions)?;
        return Ok(Array { element: array.element, dimensions, elements: vec![value] });
    }
    if subscripts.len() != array.dimensions.len() {
        return Err(subscript_error("wrong number of array subscripts"));
    }
    let mut changed = array.clone();
    if let Some(at) = offset(array, subscripts) {
        changed.elements[at] = value;
        return Ok(changed);
    }
    let ([subscript], [dimension]) = (subscripts, changed.dimensions.as_mut_slice()) else {
        return Err(subscript_error("array subscript out of range"));
    };
    let end = i64::from(dimension.lower) + i64::from(dimension.length);
    let missing_before = i64::from(dimension.lower) - i64::from(*subscript);
    let missing_after = i64::from(*subscript) - end + 1;
    let grown = i64::from(dimension.length) + missing_before.max(missing_after);
    dimension.length = i32::try_from(grown).unwrap_or(-1);
    dimension.lower = dimension.lower.min(*subscript);
    let count = element_count(&changed.dimensions)?;
    if missing_before > 0 {
        let nulls = std::iter::repeat_n(Datum::Null, count - changed.elements.len() - 1);
        let front: Vec<Datum> = std::iter::once(value).chain(nulls).collect();
        changed.elements.splice(0..0, front);
    } else {
        changed.elements.resize(count - 1, Datum::Null);
        changed.elements.push(value);
    }
    Ok(changed)
}

fn subscript_error(message: &str) -> SqlError {
    SqlError::new(SqlState::ArraySubscriptError, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::type_oid as t;

    fn numbers(array: &Array) -> Vec<Option<i32>> {
        array
            .elements
            .iter()
            .map(|element| match element {
                Datum::Int4(value) => Some(*value),
                _ => None,
            })
            .collect()
    }

    fn square() -> Array {
        Array {
            element: t::INT4,
            dimensions: vec![Dimension { length: 3, lower: 1 }, Dimension { length: 3, lower: 0 }],
            elements: (1..=9).map(Datum::Int4).collect(),
        }
    }

    #[test]
    fn subscripts_reach_elements_in_row_major_order() {
        assert!(matches!(get(&square(), &[2, 0]), Datum::Int4(4)));
        assert!(get(&square(), &[0, 0]).is_null());
        assert!(get(&square(), &[1]).is_null());
    }

    #[test]
    fn slices_are_cut_to_the_array_and_renumbered() {
        let part = slice(&square(), &[(Some(2), Some(7)), (None, Some(1))]);
        assert_eq!(numbers(&part), [4, 5, 7, 8].map(Some));
        assert_eq!(part.dimensions[1], Dimension { length: 2, lower: 1 });
        assert!(slice(&square(), &[(Some(4), Some(5))]).elements.is_empty());
        assert_eq!(slice(&square(), &[(Some(1), Some(1))]).elements.len(), 3);
    }

    #[test]
    fn assignment_grows_one_dimensional_arrays_alone() {
        let array = Array::one_dimensional(t::INT4, vec![Datum::Int4(1)]);
        let grown = set(&array, &[3], Datum::Int4(3)).unwrap();
        assert_eq!(numbers(&grown), [Some(1), None, Some(3)]);
        let grown = set(&grown, &[-1], Datum::Int4(0)).unwrap();
        assert_eq!(numbers(&grown), [Some(0), None, Some(1), None, Some(3)]);
        assert_eq!(grown.dimensions[0].lower, -1);
        assert!(set(&square(), &[4, 0], Datum::Null).is_err());
        assert!(set(&array, &[i32::MAX], Datum::Null).is_err());
    }
}
