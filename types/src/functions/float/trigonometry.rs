//! Trigonometric functions of radians and, exact at the multiples of 30 and 45, of degrees.
//!
//! The functions of degrees follow PostgreSQL's: each is scaled by its own value at a reference
//! angle, so that `sind(30)` is 0.5 and `tand(45)` is 1 exactly.

use super::overflow;
use crate::error::{SqlError, SqlResult};
use crate::sqlstate::SqlState;

const RADIANS_PER_DEGREE: f64 = std::f64::consts::PI / 180.0;

fn out_of_range() -> SqlError {
    SqlError::new(SqlState::NumericValueOutOfRange, "input is out of range")
}

/// The function of a finite angle; NaN of NaN.
fn of_angle(angle: f64, function: fn(f64) -> f64) -> SqlResult<f64> {
    if angle.is_nan() {
        return Ok(angle);
    }
    if angle.is_infinite() {
        return Err(out_of_range());
    }
    Ok(function(angle))
}

/// The function of a sine or cosine, -1 to 1; NaN of NaN.
fn of_ratio(ratio: f64, function: fn(f64) -> f64) -> SqlResult<f64> {
    if ratio.is_nan() {
        return Ok(ratio);
    }
    if !(-1.0..=1.0).contains(&ratio) {
        return Err(out_of_range());
    }
    Ok(function(ratio))
}

pub(super) fn sin(angle: f64) -> SqlResult<f64> {
    of_angle(angle, f64::sin)
}

pub(super) fn cos(angle: f64) -> SqlResult<f64> {
    of_angle(angle, f64::cos)
}

pub(super) fn tan(angle: f64) -> SqlResult<f64> {
    of_angle(angle, f64::tan)
}

pub(super) fn cot(angle: f64) -> SqlResult<f64> {
    of_angle(angle, |angle| 1.0 / angle.tan())
}

pub(super) fn asin(ratio: f64) -> SqlResult<f64> {
    of_ratio(ratio, f64::asin)
}

pub(super) fn acos(ratio: f64) -> SqlResult<f64> {
    of_ratio(ratio, f64::acos)
}

pub(super) fn atan(ratio: f64) -> SqlResult<f64> {
    Ok(ratio.atan())
}

pub(super) fn atan2(y: f64, x: f64) -> SqlResult<f64> {
    Ok(if y.is_nan() || x.is_nan() { f64::NAN } else { y.atan2(x) })
}

pub(super) fn sinh(value: f64) -> SqlResult<f64> {
    Ok(value.sinh())
}

pub(super) fn cosh(value: f64) -> SqlResult<f64> {
    let result = value.cosh();
    if result == 0.0 { Err(super::underflow()) } else { Ok(result) }
}

pub(super) fn tanh(value: f64) -> SqlResult<f64> {
    let result = value.tanh();
    if result.is_infinite() { Err(overflow()) } else { Ok(result) }
}

/// 2^28: beyond it, the square root of x² ± 1 is x to the last bit.
const LARGE: f64 = 268_435_456.0;

/// The inverse hyperbolic functions are written as C's library computes them, whose digits
/// PostgreSQL shows; Rust's own differ in the last.
pub(super) fn asinh(value: f64) -> SqlResult<f64> {
    let size = value.abs();
    let result = if size > LARGE {
        size.ln() + std::f64::consts::LN_2
    } else if size > 2.0 {
        (2.0 * size + 1.0 / ((size * size + 1.0).sqrt() + size)).ln()
    } else {
        let square = size * size;
        (size + square / (1.0 + (1.0 + square).sqrt())).ln_1p()
    };
    // Zero and the infinities keep their signs, NaN passes.
    Ok(if value.is_finite() && value != 0.0 { result.copysign(value) } else { value })
}

pub(super) fn acosh(value: f64) -> SqlResult<f64> {
    if value < 1.0 {
        return Err(out_of_range());
    }
    Ok(if value > LARGE {
        value.ln() + std::f64::consts::LN_2
    } else if value > 2.0 {
        (2.0 * value - 1.0 / (value + (value * value - 1.0).sqrt())).ln()
    } else {
        let above = value - 1.0;
        (above + (2.0 * above + above * above).sqrt()).ln_1p()
    })
}

pub(super) fn atanh(value: f64) -> SqlResult<f64> {
    if !(-1.0..=1.0).contains(&value) && !value.is_nan() {
        return Err(out_of_range());
    }
    let size = value.abs();
    let doubled = size + size;
    let result = if size < 0.5 {
        0.5 * (doubled + doubled * size / (1.0 - size)).ln_1p()
    } else {
        0.5 * (doubled / (1.0 - size)).ln_1p()
    };
    Ok(if value == 0.0 || value.is_nan() { value } else { result.copysign(value) })
}

/// sin(30°) as the library computes it, which is not quite 0.5; and likewise the others.
fn sin_30() -> f64 {
    (30.0 * RADIANS_PER_DEGREE).sin()
}

fn one_minus_cos_60() -> f64 {
    1.0 - (60.0 * RADIANS_PER_DEGREE).cos()
}

/// The sine of 0 to 30 degrees.
fn sin_to_30(degrees: f64) -> f64 {
    (degrees * RADIANS_PER_DEGREE).sin() / sin_30() / 2.0
}

/// The cosine of 0 to 60 degrees.
fn cos_to_60(degrees: f64) -> f64 {
    let one_minus_cos = 1.0 - (degrees * RADIANS_PER_DEGREE).cos();
    1.0 - (one_minus_cos / one_minus_cos_60()) / 2.0
}

/// The sine of the first quadrant.
fn sin_quadrant(degrees: f64) -> f64 {
    if degrees <= 30.0 { sin_to_30(degrees) } else { cos_to_60(90.0 - degrees) }
}

/// The cosine of the first quadrant.
fn cos_quadrant(degrees: f64) -> f64 {
    if degrees <= 60.0 { cos_to_60(degrees) } else { sin_to_30(90.0 - degrees) }
}

/// The angle brought into the first quadrant, with the signs that sine and cosine take.
fn reduce(degrees: f64) -> (f64, f64, f64) {
    let mut angle = degrees % 360.0;
    let (mut sine, mut cosine) = (1.0, 1.0);
    if angle < 0.0 {
        angle = -angle;
        sine = -sine;
    }
    if angle > 180.0 {
        angle = 360.0 - angle;
        sine = -sine;
    }
    if angle > 90.0 {
        angle = 180.0 - angle;
        cosine = -cosine;
    }
    (angle, sine, cosine)
}

pub(super) fn sind(degrees: f64) -> SqlResult<f64> {
    of_angle(degrees, |degrees| {
        let (angle, sine, _) = reduce(degrees);
        sine * sin_quadrant(angle)
    })
}

pub(super) fn cosd(degrees: f64) -> SqlResult<f64> {
    of_angle(degrees, |degrees| {
        let (angle, _, cosine) = reduce(degrees);
        cosine * cos_quadrant(angle)
    })
}

pub(super) fn tand(degrees: f64) -> SqlResult<f64> {
    of_angle(degrees, |degrees| {
        let (angle, sine, cosine) = reduce(degrees);
        let tan_45 = sin_quadrant(45.0) / cos_quadrant(45.0);
        let result = sine * cosine * ((sin_quadrant(angle) / cos_quadrant(angle)) / tan_45);
        // -0 becomes 0, as at 180 degrees.
        if result == 0.0 { 0.0 } else { result }
    })
}

pub(super) fn cotd(degrees: f64) -> SqlResult<f64> {
    of_angle(degrees, |degrees| {
        let (angle, sine, cosine) = reduce(degrees);
        let cot_45 = cos_quadrant(45.0) / sin_quadrant(45.0);
        let result = sine * cosine * ((cos_quadrant(angle) / sin_quadrant(angle)) / cot_45);
        if result == 0.0 { 0.0 } else { result }
    })
}

/// The arcsine of 0 to 1, in degrees.
fn asin_quadrant(ratio: f64) -> f64 {
    if ratio <= 0.5 {
        ratio.asin() / 0.5_f64.asin() * 30.0
    } else {
        90.0 - ratio.acos() / 0.5_f64.acos() * 60.0
    }
}

/// The arccosine of 0 to 1, in degrees.
fn acos_quadrant(ratio: f64) -> f64 {
    if ratio <= 0.5 {
        90.0 - ratio.asin() / 0.5_f64.asin() * 30.0
    } else {
        ratio.acos() / 0.5_f64.acos() * 60.0
    }
}

pub(super) fn asind(ratio: f64) -> SqlResult<f64> {
    of_ratio(
        ratio,
        |ratio| {
            if ratio >= 0.0 { asin_quadrant(ratio) } else { -asin_quadrant(-ratio) }
        },
    )
}

pub(super) fn acosd(ratio: f64) -> SqlResult<f64> {
    of_ratio(
        ratio,
        |ratio| {
            if ratio >= 0.0 { acos_quadrant(ratio) } else { 90.0 + asin_quadrant(-ratio) }
        },
    )
}

pub(super) fn atand(ratio: f64) -> SqlResult<f64> {
    Ok(ratio.atan() / 1.0_f64.atan() * 45.0)
}

pub(super) fn atan2d(y: f64, x: f64) -> SqlResult<f64> {
    Ok(if y.is_nan() || x.is_nan() { f64::NAN } else { y.atan2(x) / 1.0_f64.atan() * 45.0 })
}
