//! Which part `substring` and `overlay` take, of characters and bytes alike.

use crate::error::{SqlError, SqlResult};
use crate::integer::out_of_range;
use crate::sqlstate::SqlState;

/// `22011`.
fn negative_length() -> SqlError {
    SqlError::new(SqlState::SubstringError, "negative substring length not allowed")
}

/// Which characters, counted from 0, `substring(… from start for length)` takes: the first and the
/// one behind the last. Positions before the first count towards the length.
///
/// # Errors
/// 22011.
pub(in crate::functions) fn range(start: i32, count: Option<i32>) -> SqlResult<(usize, usize)> {
    let first = i64::from(start) - 1;
    let end = match count {
        None => i64::MAX,
        Some(count) if count < 0 => return Err(negative_length()),
        Some(count) => first + i64::from(count),
    };
    let clamp = |value: i64| usize::try_from(value.max(0)).unwrap_or(usize::MAX);
    Ok((clamp(first), clamp(end)))
}

/// Where an overlay begins and continues, in characters counted from 0.
///
/// # Errors
/// 22011, 22003.
pub(in crate::functions) fn overlay_range(start: i32, count: i32) -> SqlResult<(i32, i32)> {
    if start <= 0 {
        return Err(negative_length());
    }
    let end = start.checked_add(count).ok_or_else(|| out_of_range("integer"))?;
    Ok((start - 1, end))
}
