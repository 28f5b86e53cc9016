//! Taking strings apart at a delimiter.

use crate::datum::{Array, Datum};
use crate::error::{SqlError, SqlResult};
use crate::sqlstate::SqlState;
use crate::type_oid as t;

/// The field `index` between delimiters, from 1; from the end if negative; empty if there is none.
pub(super) fn split_part(text: &str, delimiter: &str, index: i32) -> SqlResult<Datum> {
    let Some(from_zero) = index.unsigned_abs().checked_sub(1) else {
        return Err(SqlError::new(
            SqlState::InvalidParameterValue,
            "field position must not be zero",
        ));
    };
    let from_zero = usize::try_from(from_zero).unwrap_or(usize::MAX);
    let part = if text.is_empty() {
        None
    } else if delimiter.is_empty() {
        (from_zero == 0).then_some(text)
    } else if index > 0 {
        text.split(delimiter).nth(from_zero)
    } else {
        // Not `rsplit`: where delimiters overlap, the fields are those found from the left.
        let count = text.split(delimiter).count();
        count.checked_sub(from_zero + 1).and_then(|at| text.split(delimiter).nth(at))
    };
    Ok(Datum::text(part.unwrap_or_default()))
}

/// The pieces of `string_to_array(text, delimiter [, null string])`: at every character if the
/// delimiter is NULL, in one piece if it is empty.
pub(super) fn pieces(a: &[Datum]) -> Vec<Datum> {
    let Datum::Text(text) = &a[0] else { return Vec::new() };
    if text.is_empty() {
        return Vec::new();
    }
    let null = match a.get(2) {
        Some(Datum::Text(null)) => Some(null.as_ref()),
        _ => None,
    };
    let piece = |text: &str| if Some(text) == null { Datum::Null } else { Datum::text(text) };
    match &a[1] {
        Datum::Null => {
            text.chars().map(|character| piece(character.encode_utf8(&mut [0; 4]))).collect()
        }
        delimiter if delimiter.as_text().is_empty() => vec![piece(text)],
        delimiter => text.split(delimiter.as_text()).map(piece).collect(),
    }
}

pub(super) fn to_array(a: &[Datum]) -> Datum {
    if a[0].is_null() {
        return Datum::Null;
    }
    Datum::Array(Array::one_dimensional(t::TEXT, pieces(a)).into())
}
