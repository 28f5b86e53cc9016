//! Array constructors, conversions and subscripts of the evaluator (PostgreSQL 15, chapter 8.15).

use std::sync::Arc;

use aegis_types::{Array, Datum, Dimension, Oid, SqlError, SqlResult, SqlState, type_oid};

use super::{Evaluation, Frame, Node, SubscriptNode, as_array};

/// Most dimensions that an array can have (PostgreSQL's MAXDIM).
pub(super) const DIMENSIONS_MAX: usize = 6;

/// Converts each element.
pub(super) fn convert(
    value: &Datum,
    element_type: Oid,
    mut element: impl FnMut(&Datum) -> SqlResult<Datum>,
) -> SqlResult<Datum> {
    let Some(array) = as_array(value) else {
        return Ok(Datum::Null);
    };
    let elements = array
        .elements
        .iter()
        .map(|datum| if datum.is_null() { Ok(Datum::Null) } else { element(datum) })
        .collect::<SqlResult<Vec<_>>>()?;
    Ok(Datum::Array(Arc::new(Array {
        element: element_type,
        dimensions: array.dimensions.clone(),
        elements,
    })))
}

/// `ARRAY[…]`: of elements, or of arrays of equal dimensions, which give one more.
pub(super) fn build(values: Vec<Datum>, nested: bool, element_type: Oid) -> SqlResult<Datum> {
    if !nested {
        return Ok(Datum::Array(Arc::new(Array::one_dimensional(element_type, values))));
    }
    let arrays: Vec<&Array> = values.iter().filter_map(as_array).collect();
    let inner = arrays.first().map(|array| array.dimensions.clone()).unwrap_or_default();
    let same = arrays.len() == values.len() || arrays.iter().all(|a| a.dimensions.is_empty());
    if !same || arrays.iter().any(|array| array.dimensions != inner) {
        return Err(SqlError::new(
            SqlState::ArraySubscriptError,
            "multidimensional arrays must have array expressions with matching dimensions",
        ));
    }
    if inner.is_empty() {
        return Ok(Datum::Array(Arc::new(Array::one_dimensional(element_type, Vec::new()))));
    }
    if inner.len() == DIMENSIONS_MAX {
        return Err(SqlError::new(
            SqlState::ProgramLimitExceeded,
            format!(
                "number of array dimensions ({}) exceeds the maximum allowed ({DIMENSIONS_MAX})",
                inner.len() + 1
            ),
        ));
    }
    let length = i32::try_from(arrays.len()).unwrap_or(i32::MAX);
    let mut dimensions = vec![Dimension { length, lower: 1 }];
    dimensions.extend(inner);
    let elements = arrays.iter().flat_map(|array| array.elements.iter().cloned()).collect();
    Ok(Datum::Array(Arc::new(Array { element: element_type, dimensions, elements })))
}

/// `x[1][2]`, `x[1:2]`, and `x['key']` of jsonb.
pub(super) fn subscript(
    arg: &Node,
    subscripts: &[SubscriptNode],
    of: Oid,
    frame: Frame<'_>,
    context: &Evaluation<'_>,
) -> SqlResult<Datum> {
    let value = arg.evaluate(frame, context)?;
    if value.is_null() {
        return Ok(Datum::Null);
    }
    if of == type_oid::JSONB {
        return jsonb_subscript(value, subscripts, frame, context);
    }
    if let Datum::Text(name) = &value {
        return byte_of_name(name, subscripts, frame, context);
    }
    let Some(array) = as_array(&value) else {
        return Ok(Datum::Null);
    };
    if subscripts.iter().any(|subscript| matches!(subscript, SubscriptNode::Slice(..))) {
        return slice(array, subscripts, frame, context);
    }
    let mut offset = 0usize;
    if subscripts.len() != array.dimensions.len() {
        return Ok(Datum::Null);
    }
    for (subscript, dimension) in subscripts.iter().zip(&array.dimensions) {
        let SubscriptNode::Index(index) = subscript else {
            return Ok(Datum::Null);
        };
        let Datum::Int4(index) = index.evaluate(frame, context)? else {
            return Ok(Datum::Null);
        };
        let Some(at) = place(index, *dimension) else {
            return Ok(Datum::Null);
        };
        offset = offset * length(*dimension) + at;
    }
    Ok(array.elements[offset].clone())
}

/// `name[i]`: a name is an array of 64 bytes that counts from 0, with zeros behind its text.
fn byte_of_name(
    name: &str,
    subscripts: &[SubscriptNode],
    frame: Frame<'_>,
    context: &Evaluation<'_>,
) -> SqlResult<Datum> {
    const NAME_BYTES: i32 = 64;
    let [SubscriptNode::Index(index)] = subscripts else {
        return Ok(Datum::Null);
    };
    let Datum::Int4(index) = index.evaluate(frame, context)? else {
        return Ok(Datum::Null);
    };
    let at = usize::try_from(index).ok().filter(|_| index < NAME_BYTES);
    Ok(at.map_or(Datum::Null, |at| Datum::Char(name.as_bytes().get(at).copied().unwrap_or(0))))
}

pub(super) fn length(dimension: Dimension) -> usize {
    usize::try_from(dimension.length).unwrap_or_default()
}

/// Where a subscript lies in its dimension, from 0.
pub(super) fn place(index: i32, dimension: Dimension) -> Option<usize> {
    let at = i64::from(index) - i64::from(dimension.lower);
    usize::try_from(at).ok().filter(|at| *at < length(dimension))
}

/// A slice: subscripts without a colon count as `1:n` then, and bounds are cut to the array's.
fn slice(
    array: &Array,
    subscripts: &[SubscriptNode],
    frame: Frame<'_>,
    context: &Evaluation<'_>,
) -> SqlResult<Datum> {
    let empty = || Datum::Array(Arc::new(Array::one_dimensional(array.element, Vec::new())));
    if subscripts.len() > array.dimensions.len() {
        return Ok(empty());
    }
    let mut ranges = Vec::with_capacity(array.dimensions.len());
    for (at, dimension) in array.dimensions.iter().enumerate() {
        let last = dimension.lower + dimension.length - 1;
        let bound = |node: &Option<Node>, default: i32| -> SqlResult<Option<i32>> {
            match node {
                None => Ok(Some(default)),
                Some(node) => Ok(match node.evaluate(frame, context)? {
                    Datum::Int4(value) => Some(value),
                    _ => None,
                }),
            }
        };
        let (lower, upper) = match subscripts.get(at) {
            None => (Some(dimension.lower), Some(last)),
            Some(SubscriptNode::Index(index)) => match index.evaluate(frame, context)? {
                Datum::Int4(value) => (Some(1), Some(value)),
                _ => (None, None),
            },
            Some(SubscriptNode::Slice(lower, upper)) => {
                (bound(lower, dimension.lower)?, bound(upper, last)?)
            }
        };
        let (Some(lower), Some(upper)) = (lower, upper) else {
            return Ok(Datum::Null);
        };
        let (lower, upper) = (lower.max(dimension.lower), upper.min(last));
        if lower > upper {
            return Ok(empty());
        }
        let first = usize::try_from(lower - dimension.lower).unwrap_or_default();
        let count = usize::try_from(upper - lower + 1).unwrap_or_default();
        ranges.push((first, count));
    }
    let mut elements = Vec::new();
    collect(array, &ranges, 0, 0, &mut elements);
    let dimensions = ranges
        .iter()
        .map(|(_, count)| Dimension { length: i32::try_from(*count).unwrap_or(i32::MAX), lower: 1 })
        .collect();
    Ok(Datum::Array(Arc::new(Array { element: array.element, dimensions, elements })))
}

/// Appends the elements of the ranges, row-major; `depth` is below the number of dimensions (6).
fn collect(
    array: &Array,
    ranges: &[(usize, usize)],
    depth: usize,
    offset: usize,
    out: &mut Vec<Datum>,
) {
    let (first, count) = ranges[depth];
    for at in first..first + count {
        let offset = offset * length(array.dimensions[depth]) + at;
        if depth + 1 == ranges.len() {
            out.push(array.elements[offset].clone());
        } else {
            collect(array, ranges, depth + 1, offset, out);
        }
    }
}

/// Every subscript of jsonb is a step of `#>`.
fn jsonb_subscript(
    value: Datum,
    subscripts: &[SubscriptNode],
    frame: Frame<'_>,
    context: &Evaluation<'_>,
) -> SqlResult<Datum> {
    let mut path = Vec::with_capacity(subscripts.len());
    for subscript in subscripts {
        let SubscriptNode::Index(index) = subscript else {
            return Err(SqlError::new(
                SqlState::DatatypeMismatch,
                "jsonb subscript does not support slices",
            ));
        };
        path.push(match index.evaluate(frame, context)? {
            Datum::Null => return Ok(Datum::Null),
            Datum::Int4(index) => Datum::text(index.to_string()),
            text => text,
        });
    }
    let extract = aegis_types::functions::scalar("jsonb_extract_path")
        .ok_or_else(|| SqlError::unsupported("subscripting jsonb"))?;
    let path = Array::one_dimensional(type_oid::TEXT, path);
    let call = aegis_types::CallContext {
        eval: context.eval,
        argument_types: &[],
        result_type: aegis_types::TypeRef::plain(type_oid::JSONB),
        collation: aegis_types::Collation::Default,
    };
    extract(&call, &[value, Datum::Array(Arc::new(path))])
}
