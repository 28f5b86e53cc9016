//! `point`: two `float8`s, in a datum a record of them. The other geometric types are not here.

use crate::datum::Datum;
use crate::error::SqlResult;
use crate::float;
use crate::integer::{invalid_syntax, is_space};

/// Reads the text form: `(x,y)` or `x,y`.
///
/// # Errors
/// 22P02, 22003
pub fn parse_point(text: &str) -> SqlResult<(f64, f64)> {
    let bad = || invalid_syntax("point", text);
    let blank = |c: char| u8::try_from(c).is_ok_and(is_space);
    let word = text.trim_matches(blank);
    let inner = match word.strip_prefix('(') {
        Some(rest) => rest.strip_suffix(')').ok_or_else(bad)?,
        None => word,
    };
    let (x, y) = inner.split_once(',').ok_or_else(bad)?;
    let number = |digits: &str| {
        let digits = digits.trim_matches(blank);
        float::parse_float8(digits).map_err(|error| match error.code() {
            crate::SqlState::InvalidTextRepresentation => bad(),
            _ => error,
        })
    };
    Ok((number(x)?, number(y)?))
}

/// The datum of a point.
#[must_use]
pub fn point(x: f64, y: f64) -> Datum {
    Datum::record([Datum::Float8(x), Datum::Float8(y)])
}

/// The coordinates of a point's datum.
#[must_use]
pub fn coordinates(value: &Datum) -> (f64, f64) {
    match value {
        Datum::Record(fields) => match &fields[..] {
            [Datum::Float8(x), Datum::Float8(y)] => (*x, *y),
            _ => (f64::NAN, f64::NAN),
        },
        _ => (f64::NAN, f64::NAN),
    }
}
