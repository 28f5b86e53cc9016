//! Arrays and jsonb with a part in another value's place (PostgreSQL's `array_set_element`,
//! `array_set_slice` and `jsonb_set_element`).

use std::sync::Arc;

use aegis_types::{Array, Datum, Dimension, Oid, SqlError, SqlResult, SqlState, type_oid};

use super::array::{DIMENSIONS_MAX, length, place};
use super::{Evaluation, Frame, Node, SubscriptNode, actual_element, as_array, element_type};

/// The most elements of an array in PostgreSQL.
const ELEMENTS_MAX: i64 = 134_217_727;
/// The most that an assignment makes here: holes are elements too.
const MADE_MAX: i64 = 1 << 24;

/// What an assignment to a part was compiled to.
#[derive(Clone)]
pub(super) struct Assignment {
    pub(super) arg: Node,
    pub(super) subscripts: Vec<SubscriptNode>,
    pub(super) value: Node,
    /// The type of the whole.
    pub(super) of: Oid,
}

fn subscript_error(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::ArraySubscriptError, message)
}

fn null_subscript(what: &str) -> SqlError {
    SqlError::new(
        SqlState::NullValueNotAllowed,
        format!("{what} subscript in assignment must not be null"),
    )
}

fn too_large() -> SqlError {
    SqlError::new(
        SqlState::ProgramLimitExceeded,
        format!("array size exceeds the maximum allowed ({ELEMENTS_MAX})"),
    )
}

/// Refuses more elements than an array may have.
fn checked_count(dimensions: &[Dimension]) -> SqlResult<usize> {
    let count = dimensions.iter().try_fold(1_i64, |count, dimension| {
        i64::from(dimension.lower).checked_add(i64::from(dimension.length))?;
        count.checked_mul(i64::from(dimension.length)).filter(|count| *count <= ELEMENTS_MAX)
    });
    let bounds = dimensions.iter().all(|dimension| {
        i32::try_from(i64::from(dimension.lower) + i64::from(dimension.length)).is_ok()
    });
    match count {
        Some(count) if bounds && count <= MADE_MAX => Ok(usize::try_from(count).unwrap_or(0)),
        Some(_) if bounds => Err(SqlError::new(SqlState::OutOfMemory, "out of memory")
            .detail("Failed on an array that is filled up with NULL.")),
        _ => Err(too_large()),
    }
}

impl Assignment {
    pub(super) fn evaluate(&self, frame: Frame<'_>, context: &Evaluation<'_>) -> SqlResult<Datum> {
        let whole = self.arg.evaluate(frame, context)?;
        if self.of == type_oid::JSONB {
            return self.in_jsonb(&whole, frame, context);
        }
        if self.of == type_oid::NAME {
            return Err(SqlError::unsupported("assignment to bytes of a name"));
        }
        let slices = self.subscripts.iter().any(|one| matches!(one, SubscriptNode::Slice(..)));
        let bound = |node: &Node| match node.evaluate(frame, context)? {
            Datum::Int4(bound) => Ok(bound),
            _ => Err(null_subscript("array")),
        };
        let mut bounds = Vec::with_capacity(self.subscripts.len());
        for subscript in &self.subscripts {
            bounds.push(match subscript {
                SubscriptNode::Index(index) => (None, Some(bound(index)?)),
                SubscriptNode::Slice(lower, upper) => {
                    (lower.as_ref().map(bound).transpose()?, upper.as_ref().map(bound).transpose()?)
                }
            });
        }
        let value = self.value.evaluate(frame, context)?;
        let element = actual_element(element_type(self.of), context.eval.host);
        let empty = Array::one_dimensional(element, Vec::new());
        let array = as_array(&whole).unwrap_or(&empty);
        let changed = if slices {
            match as_array(&value) {
                // NULL in the place of a slice changes nothing.
                None => return Ok(whole),
                Some(source) => set_slice(array, &bounds, source)?,
            }
        } else {
            let indexes: Vec<i32> = bounds.iter().filter_map(|(_, index)| *index).collect();
            set_element(array, &indexes, value)?
        };
        Ok(Datum::Array(Arc::new(changed)))
    }

    fn in_jsonb(
        &self,
        whole: &Datum,
        frame: Frame<'_>,
        context: &Evaluation<'_>,
    ) -> SqlResult<Datum> {
        let mut path = Vec::with_capacity(self.subscripts.len());
        let mut by_index = false;
        for subscript in &self.subscripts {
            let SubscriptNode::Index(index) = subscript else {
                return Err(SqlError::internal("a slice of jsonb"));
            };
            path.push(match index.evaluate(frame, context)? {
                Datum::Null => return Err(null_subscript("jsonb")),
                Datum::Int4(index) => {
                    by_index |= path.is_empty();
                    index.to_string()
                }
                key => key.as_text().to_owned(),
            });
        }
        let value = self.value.evaluate(frame, context)?;
        let value = if value.is_null() { None } else { Some(value.as_jsonb()) };
        let whole = if whole.is_null() { None } else { Some(whole.as_jsonb()) };
        aegis_types::functions::jsonb_assigned(whole, by_index, &path, value).map(Datum::Jsonb)
    }
}

fn too_many_dimensions(count: usize) -> SqlError {
    SqlError::new(
        SqlState::ProgramLimitExceeded,
        format!(
            "number of array dimensions ({count}) exceeds the maximum allowed ({DIMENSIONS_MAX})"
        ),
    )
}

/// Makes an array of one dimension longer until it holds the bounds; what is new is NULL.
fn stretched(array: &Array, lower: i32, upper: i32) -> SqlResult<Array> {
    let Some(dimension) = array.dimensions.first() else {
        return Err(SqlError::internal("an empty array is stretched"));
    };
    let last = i64::from(dimension.lower) + i64::from(dimension.length) - 1;
    let first = dimension.lower.min(lower);
    let last = last.max(i64::from(upper));
    let count = last - i64::from(first) + 1;
    let made = Dimension { length: i32::try_from(count).map_err(|_| too_large())?, lower: first };
    let count = checked_count(&[made])?;
    let before = usize::try_from(i64::from(dimension.lower) - i64::from(first)).unwrap_or(0);
    let mut elements = Vec::with_capacity(count);
    elements.resize(before, Datum::Null);
    elements.extend(array.elements.iter().cloned());
    elements.resize(count, Datum::Null);
    Ok(Array { element: array.element, dimensions: vec![made], elements })
}

fn set_element(array: &Array, indexes: &[i32], value: Datum) -> SqlResult<Array> {
    if indexes.len() > DIMENSIONS_MAX {
        return Err(too_many_dimensions(indexes.len()));
    }
    if array.dimensions.is_empty() {
        let dimensions: Vec<Dimension> =
            indexes.iter().map(|index| Dimension { length: 1, lower: *index }).collect();
        checked_count(&dimensions)?;
        return Ok(Array { element: array.element, dimensions, elements: vec![value] });
    }
    if array.dimensions.len() != indexes.len() {
        return Err(subscript_error("wrong number of array subscripts"));
    }
    let mut changed = match indexes {
        [index] => stretched(array, *index, *index)?,
        _ => array.clone(),
    };
    let mut offset = 0;
    for (index, dimension) in indexes.iter().zip(&changed.dimensions) {
        let at = place(*index, *dimension)
            .ok_or_else(|| subscript_error("array subscript out of range"))?;
        offset = offset * length(*dimension) + at;
    }
    changed.elements[offset] = value;
    Ok(changed)
}

fn set_slice(
    array: &Array,
    bounds: &[(Option<i32>, Option<i32>)],
    source: &Array,
) -> SqlResult<Array> {
    if bounds.len() > DIMENSIONS_MAX {
        return Err(too_many_dimensions(bounds.len()));
    }
    let too_small = || subscript_error("source array too small");
    let reversed = || subscript_error("upper bound cannot be less than lower bound");
    if array.dimensions.is_empty() {
        let mut dimensions = Vec::with_capacity(bounds.len());
        for bound in bounds {
            let (Some(lower), Some(upper)) = *bound else {
                return Err(subscript_error("array slice subscript must provide both boundaries")
                    .detail(
                        "When assigning to a slice of an empty array value, slice boundaries must \
                         be fully specified.",
                    ));
            };
            let count = i64::from(upper) - i64::from(lower) + 1;
            if count < 0 {
                return Err(reversed());
            }
            let length = i32::try_from(count).map_err(|_| too_large())?;
            dimensions.push(Dimension { length, lower });
        }
        let count = checked_count(&dimensions)?;
        if count > source.elements.len() {
            return Err(too_small());
        }
        let elements = source.elements[..count].to_vec();
        let dimensions = if count == 0 { Vec::new() } else { dimensions };
        return Ok(Array { element: array.element, dimensions, elements });
    }
    if array.dimensions.len() < bounds.len() {
        return Err(subscript_error("wrong number of array subscripts"));
    }
    let mut ranges = Vec::with_capacity(array.dimensions.len());
    for (at, dimension) in array.dimensions.iter().enumerate() {
        let last = dimension.lower.saturating_add(dimension.length - 1);
        let (lower, upper) = bounds.get(at).copied().unwrap_or_default();
        let (lower, upper) = (lower.unwrap_or(dimension.lower), upper.unwrap_or(last));
        if lower > upper {
            return Err(reversed());
        }
        if array.dimensions.len() > 1 && (lower < dimension.lower || upper > last) {
            return Err(subscript_error("array subscript out of range"));
        }
        ranges.push((lower, upper));
    }
    let mut changed = match ranges.as_slice() {
        [(lower, upper)] => stretched(array, *lower, *upper)?,
        _ => array.clone(),
    };
    let places: Vec<(usize, usize)> = ranges
        .iter()
        .zip(&changed.dimensions)
        .map(|((lower, upper), dimension)| {
            let first = usize::try_from(i64::from(*lower) - i64::from(dimension.lower));
            let count = usize::try_from(i64::from(*upper) - i64::from(*lower) + 1);
            (first.unwrap_or(0), count.unwrap_or(0))
        })
        .collect();
    let count: usize = places.iter().map(|(_, count)| *count).product();
    if count > source.elements.len() {
        return Err(too_small());
    }
    for (number, element) in source.elements[..count].iter().enumerate() {
        // The element's place in the slice, the last dimension first.
        let (mut rest, mut offset, mut stride) = (number, 0, 1);
        for ((first, count), dimension) in places.iter().zip(&changed.dimensions).rev() {
            offset += (first + rest % count) * stride;
            rest /= count;
            stride *= length(*dimension);
        }
        changed.elements[offset] = element.clone();
    }
    Ok(changed)
}
