//! Between numeric and the other number types, and to a declared precision and scale.

use std::cmp::Ordering;

use super::{Numeric, Repr, power_of_ten};
use crate::error::{SqlError, SqlResult};
use crate::sqlstate::SqlState;

/// What PostgreSQL adds to the modifier of a type of variable length.
const TYPMOD_OFFSET: i32 = 4;
/// The largest precision that can be declared.
const MAX_DECLARED_PRECISION: i32 = 1_000;
/// The largest scale that can be declared, and the negative of the smallest.
const MAX_DECLARED_SCALE: i32 = 1_000;

impl From<i16> for Numeric {
    fn from(value: i16) -> Self {
        Self::from(i64::from(value))
    }
}

impl From<i32> for Numeric {
    fn from(value: i32) -> Self {
        Self::from(i64::from(value))
    }
}

impl From<i64> for Numeric {
    fn from(value: i64) -> Self {
        Self(Repr::Small { scale: 0, coefficient: value })
    }
}

impl Numeric {
    /// An integer.
    #[must_use]
    pub fn from_i128(value: i128) -> Self {
        Self::from_coefficient(value, 0)
    }

    /// Rounded half away from zero.
    ///
    /// # Errors
    /// 22003 out of range, 0A000 for NaN and the infinities.
    pub fn to_i16(&self) -> SqlResult<i16> {
        self.to_integer("smallint")
    }

    /// Rounded half away from zero.
    ///
    /// # Errors
    /// 22003 out of range, 0A000 for NaN and the infinities.
    pub fn to_i32(&self) -> SqlResult<i32> {
        self.to_integer("integer")
    }

    /// Rounded half away from zero.
    ///
    /// # Errors
    /// 22003 out of range, 0A000 for NaN and the infinities.
    pub fn to_i64(&self) -> SqlResult<i64> {
        self.to_integer("bigint")
    }

    fn to_integer<T: TryFrom<i128>>(&self, name: &str) -> SqlResult<T> {
        let rounded = match &self.0 {
            Repr::Small { scale, coefficient } => Some(super::arithmetic::divide_rounding(
                i128::from(*coefficient),
                power_of_ten(u32::from(*scale)),
            )),
            Repr::Large(digits) => digits.rounded(0).coefficient_at(0),
            Repr::Special(_) => {
                let what = if self.is_nan() { "NaN" } else { "infinity" };
                return Err(SqlError::new(
                    SqlState::FeatureNotSupported,
                    format!("cannot convert {what} to {name}"),
                ));
            }
        };
        rounded.and_then(|value| T::try_from(value).ok()).ok_or_else(|| {
            SqlError::new(SqlState::NumericValueOutOfRange, format!("{name} out of range"))
        })
    }

    /// The 15 significant digits that a `float8` is sure to have.
    #[must_use]
    pub fn from_f64(value: f64) -> Self {
        if value.is_finite() {
            Self::from_scientific(&format!("{value:.14e}"))
        } else {
            special(value)
        }
    }

    /// The 6 significant digits that a `float4` is sure to have.
    #[must_use]
    pub fn from_f32(value: f32) -> Self {
        if value.is_finite() {
            Self::from_scientific(&format!("{value:.5e}"))
        } else {
            special(f64::from(value))
        }
    }

    /// Reads `d.ddde±d` with no more digits after the point than are needed.
    fn from_scientific(text: &str) -> Self {
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let mantissa = mantissa.trim_end_matches('0').trim_end_matches('.');
        // A float's exponent is far within the limits of the type.
        Self::parse(&format!("{mantissa}e{exponent}")).unwrap_or(Self::NAN)
    }

    /// The nearest `float8`.
    ///
    /// # Errors
    /// 22003 if it is too large, or too close to zero, for one.
    pub fn to_f64(&self) -> SqlResult<f64> {
        let value = self.to_f64_saturating();
        if self.is_finite() && (value.is_infinite() || (value == 0.0 && !self.is_zero())) {
            return Err(self.out_of_float_range("double precision"));
        }
        Ok(value)
    }

    /// The nearest `float4`.
    ///
    /// # Errors
    /// 22003 if it is too large, or too close to zero, for one.
    pub fn to_f32(&self) -> SqlResult<f32> {
        let Ok(digits) = self.unpack() else { return Ok(self.to_f64_saturating() as f32) };
        let value = digits.scientific().parse().unwrap_or(f32::NAN);
        if value.is_infinite() || (value == 0.0 && !self.is_zero()) {
            return Err(self.out_of_float_range("real"));
        }
        Ok(value)
    }

    /// The nearest `float8`: infinite if it is too large for one.
    #[must_use]
    pub fn to_f64_saturating(&self) -> f64 {
        match &self.0 {
            // Both are exact, and so the quotient is the nearest.
            Repr::Small { scale, coefficient } if coefficient.unsigned_abs() < 1 << 53 => {
                *coefficient as f64 / 10_f64.powi(i32::from(*scale))
            }
            Repr::Special(_) if self.is_nan() => f64::NAN,
            Repr::Special(_) => {
                if *self == Self::INFINITY {
                    f64::INFINITY
                } else {
                    f64::NEG_INFINITY
                }
            }
            _ => self.unpack().map_or(f64::NAN, |digits| digits.to_f64()),
        }
    }

    fn out_of_float_range(&self, name: &str) -> SqlError {
        SqlError::new(
            SqlState::NumericValueOutOfRange,
            format!("\"{self}\" is out of range for type {name}"),
        )
    }

    /// Rounded to the scale of a `numeric(precision, scale)` whose modifier this is; as it is if
    /// the modifier is -1.
    ///
    /// # Errors
    /// 22003 if it does not fit the precision.
    pub fn apply_typmod(&self, typmod: i32) -> SqlResult<Self> {
        let Some((precision, scale)) = precision_and_scale(typmod) else {
            return Ok(self.clone());
        };
        let overflow = |detail| {
            SqlError::new(SqlState::NumericValueOutOfRange, "numeric field overflow").detail(detail)
        };
        if let Repr::Small { scale: own, coefficient } = &self.0
            && i32::from(*own) == scale
            && let Ok(precision) = u32::try_from(precision)
            && (precision > 19 || coefficient.unsigned_abs() < 10_u64.pow(precision))
        {
            return Ok(self.clone());
        }
        let digits = match self.unpack() {
            Ok(digits) => digits,
            Err(_) if self.is_nan() => return Ok(self.clone()),
            Err(_) => {
                return Err(overflow(format!(
                    "A field with precision {precision}, scale {scale} cannot hold an infinite value."
                )));
            }
        };
        let rounded = digits.rounded(scale);
        let integer_digits = precision - scale;
        if !rounded.is_zero() && rounded.magnitude() >= integer_digits {
            let power =
                if integer_digits == 0 { "1".to_owned() } else { format!("10^{integer_digits}") };
            return Err(overflow(format!(
                "A field with precision {precision}, scale {scale} must round to an absolute value less than {power}."
            )));
        }
        Self::pack(rounded)
    }

    /// The modifier of `numeric(arguments)`: a precision, and a scale that is 0 if not given.
    ///
    /// # Errors
    /// 22023 for other numbers of arguments and numbers out of range.
    pub fn typmod_in(arguments: &[i32]) -> SqlResult<i32> {
        let refuse = |message| SqlError::new(SqlState::InvalidParameterValue, message);
        let (precision, scale) = match arguments {
            [precision] => (*precision, 0),
            [precision, scale] => (*precision, *scale),
            _ => return Err(refuse("invalid NUMERIC type modifier".to_owned())),
        };
        if !(1..=MAX_DECLARED_PRECISION).contains(&precision) {
            return Err(refuse(format!(
                "NUMERIC precision {precision} must be between 1 and {MAX_DECLARED_PRECISION}"
            )));
        }
        if !(-MAX_DECLARED_SCALE..=MAX_DECLARED_SCALE).contains(&scale) {
            return Err(refuse(format!(
                "NUMERIC scale {scale} must be between -{MAX_DECLARED_SCALE} and {MAX_DECLARED_SCALE}"
            )));
        }
        Ok(((precision << 16) | (scale & 0x7ff)) + TYPMOD_OFFSET)
    }

    /// The text form of a modifier, `(precision,scale)`; empty for none.
    #[must_use]
    pub fn typmod_out(typmod: i32) -> String {
        precision_and_scale(typmod)
            .map_or_else(String::new, |(precision, scale)| format!("({precision},{scale})"))
    }
}

/// What a modifier declares.
fn precision_and_scale(typmod: i32) -> Option<(i32, i32)> {
    if typmod < TYPMOD_OFFSET {
        return None;
    }
    let packed = typmod - TYPMOD_OFFSET;
    // The scale is the lower 11 bits, signed.
    Some(((packed >> 16) & 0xffff, ((packed & 0x7ff) ^ 0x400) - 0x400))
}

fn special(value: f64) -> Numeric {
    match value.partial_cmp(&0.0) {
        None => Numeric::NAN,
        Some(Ordering::Less) => Numeric::NEGATIVE_INFINITY,
        Some(_) => Numeric::INFINITY,
    }
}
