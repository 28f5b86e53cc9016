//! Roots, powers, logarithms.

use std::cmp::Ordering;

use super::{overflow, underflow};
use crate::error::{SqlError, SqlResult};
use crate::sqlstate::SqlState;

pub(super) fn sign(value: f64) -> SqlResult<f64> {
    Ok(if value > 0.0 {
        1.0
    } else if value < 0.0 {
        -1.0
    } else {
        0.0
    })
}

pub(super) fn sqrt(value: f64) -> SqlResult<f64> {
    if value < 0.0 {
        return Err(SqlError::new(
            SqlState::InvalidArgumentForPowerFunction,
            "cannot take square root of a negative number",
        ));
    }
    checked(value.sqrt(), value)
}

pub(super) fn cbrt(value: f64) -> SqlResult<f64> {
    checked(value.cbrt(), value)
}

/// The result, unless it left the range though the argument is finite and not zero.
fn checked(result: f64, argument: f64) -> SqlResult<f64> {
    if result.is_infinite() && !argument.is_infinite() {
        return Err(overflow());
    }
    if result == 0.0 && argument != 0.0 {
        return Err(underflow());
    }
    Ok(result)
}

pub(super) fn exp(value: f64) -> SqlResult<f64> {
    if value.is_nan() {
        return Ok(value);
    }
    if value.is_infinite() {
        return Ok(if value > 0.0 { value } else { 0.0 });
    }
    let result = value.exp();
    if result.is_infinite() {
        return Err(overflow());
    }
    if result == 0.0 {
        return Err(underflow());
    }
    Ok(result)
}

fn logarithm(value: f64, function: fn(f64) -> f64) -> SqlResult<f64> {
    let invalid = |message: &str| Err(SqlError::new(SqlState::InvalidArgumentForLog, message));
    if value == 0.0 {
        return invalid("cannot take logarithm of zero");
    }
    if value < 0.0 {
        return invalid("cannot take logarithm of a negative number");
    }
    let result = function(value);
    if result.is_infinite() && !value.is_infinite() {
        return Err(overflow());
    }
    if result == 0.0 && value != 1.0 {
        return Err(underflow());
    }
    Ok(result)
}

pub(super) fn ln(value: f64) -> SqlResult<f64> {
    logarithm(value, f64::ln)
}

pub(super) fn log10(value: f64) -> SqlResult<f64> {
    logarithm(value, f64::log10)
}

/// `power(base, exponent)` with POSIX's special cases, and SQL's errors where POSIX has an infinity
/// or NaN.
pub(super) fn power(base: f64, exponent: f64) -> SqlResult<f64> {
    let invalid =
        |message: &str| Err(SqlError::new(SqlState::InvalidArgumentForPowerFunction, message));
    if base.is_nan() {
        return Ok(if exponent == 0.0 { 1.0 } else { base });
    }
    if exponent.is_nan() {
        return Ok(if base == 1.0 { 1.0 } else { exponent });
    }
    if base == 0.0 && exponent < 0.0 {
        return invalid("zero raised to a negative power is undefined");
    }
    if base < 0.0 && exponent.floor() != exponent {
        return invalid("a negative number raised to a non-integer power yields a complex result");
    }
    let result = base.powf(exponent);
    if base.is_infinite() || exponent.is_infinite() {
        return Ok(result);
    }
    if result.is_infinite() {
        return Err(overflow());
    }
    if result == 0.0 && base != 0.0 {
        return Err(underflow());
    }
    Ok(result)
}

pub(super) fn degrees(radians: f64) -> SqlResult<f64> {
    super::double::div(radians, std::f64::consts::PI / 180.0)
}

pub(super) fn radians(degrees: f64) -> SqlResult<f64> {
    super::double::mul(degrees, std::f64::consts::PI / 180.0)
}

/// The bucket, from 1 to `count`, that the operand falls in; 0 below and `count + 1` above.
pub(super) fn width_bucket(operand: f64, low: f64, high: f64, count: i32) -> SqlResult<i32> {
    let invalid = |message: &str| {
        Err(SqlError::new(SqlState::InvalidArgumentForWidthBucketFunction, message))
    };
    if count <= 0 {
        return invalid("count must be greater than zero");
    }
    if operand.is_nan() || low.is_nan() || high.is_nan() {
        return invalid("operand, lower bound, and upper bound cannot be NaN");
    }
    if low.is_infinite() || high.is_infinite() {
        return invalid("lower and upper bounds must be finite");
    }
    let above = || count.checked_add(1).ok_or_else(|| crate::integer::out_of_range("integer"));
    // The quotient may round up to the next bucket, as in PostgreSQL 15.
    let within = |width: f64| Ok((f64::from(count) * (operand - low) / width + 1.0) as i32);
    match low.partial_cmp(&high) {
        Some(Ordering::Less) if operand < low => Ok(0),
        Some(Ordering::Less) if operand >= high => above(),
        Some(Ordering::Less) => within(high - low),
        Some(Ordering::Greater) if operand > low => Ok(0),
        Some(Ordering::Greater) if operand <= high => above(),
        Some(Ordering::Greater) => within(high - low),
        _ => invalid("lower bound cannot equal upper bound"),
    }
}
