//! `numeric`: exact decimal numbers with a display scale, NaN and the infinities (PostgreSQL 15,
//! chapter 8.1.2).
//!
//! ```text
//! Numeric, 16 bytes
//!   Small    coefficient: i64, scale: 0 … 18      12.50 = 1250 × 10⁻²     no allocation
//!   Large    shared digits in base 10,000         everything that Small cannot hold
//!   Special  NaN, Infinity, -Infinity
//! ```
//!
//! A value is Small exactly if it fits, so each value with a scale has one form. Arithmetic on
//! Small values runs in 128-bit integers and falls back to [`digits`] where they do not suffice.
//! Every result is the one PostgreSQL gives, down to the number of zeros at its end.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::error::{SqlError, SqlResult};
use crate::sqlstate::SqlState;

mod natural;
mod digits;
mod text;
mod convert;
mod arithmetic;
mod fixed;
mod transcendental;
mod binary;
mod sum;
#[cfg(test)]
mod tests;

use digits::Digits;

pub use sum::SumAccumulator;

/// The largest scale that any value has.
pub const MAX_SCALE: u16 = 16_383;
/// The largest scale that a computation chooses by itself (division, square root, logarithms).
const MAX_DISPLAY_SCALE: i32 = 1_000;
/// How many significant digits such a computation gives at least.
const MIN_SIGNIFICANT_DIGITS: i32 = 16;
/// The largest exponent, in base 10,000, of a value's first digit.
const MAX_WEIGHT: i32 = 32_767;
/// The largest scale of a Small value.
const MAX_SMALL_SCALE: u16 = 18;

/// A numeric value. Equal values of different scales, 1.0 and 1.00, are equal; NaN equals itself
/// and is above everything else.
#[derive(Clone)]
pub struct Numeric(Repr);

#[derive(Clone)]
enum Repr {
    /// `coefficient` × 10^-`scale`; the scale is at most [`MAX_SMALL_SCALE`].
    Small { scale: u8, coefficient: i64 },
    /// Whatever does not fit Small, within the limits of the type.
    Large(Arc<Digits>),
    /// No finite number.
    Special(Special),
}

/// What is no finite number, in ascending order but for the finite ones between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Special {
    NegativeInfinity,
    Infinity,
    Nan,
}

/// 22003 for what is beyond the limits of the type.
fn overflow() -> SqlError {
    SqlError::new(SqlState::NumericValueOutOfRange, "value overflows numeric format")
}

fn division_by_zero() -> SqlError {
    SqlError::new(SqlState::DivisionByZero, "division by zero")
}

/// 10^`exponent`, for exponents up to 38.
fn power_of_ten(exponent: u32) -> i128 {
    10_i128.pow(exponent)
}

impl Numeric {
    /// Not a number.
    pub const NAN: Self = Self(Repr::Special(Special::Nan));
    /// Above every finite number.
    pub const INFINITY: Self = Self(Repr::Special(Special::Infinity));
    /// Below every finite number.
    pub const NEGATIVE_INFINITY: Self = Self(Repr::Special(Special::NegativeInfinity));
    /// 0
    pub const ZERO: Self = Self(Repr::Small { scale: 0, coefficient: 0 });
    /// 1
    pub const ONE: Self = Self(Repr::Small { scale: 0, coefficient: 1 });

    /// `coefficient` × 10^-`scale`, displayed with that scale. `scale` is at most [`MAX_SCALE`].
    fn from_coefficient(coefficient: i128, scale: u16) -> Self {
        if scale <= MAX_SMALL_SCALE
            && let Ok(coefficient) = i64::try_from(coefficient)
        {
            // The scale is at most 18.
            return Self(Repr::Small { scale: scale as u8, coefficient });
        }
        Self(Repr::Large(Arc::new(Digits::from_coefficient(coefficient, scale))))
    }

    /// A decimal fixed-point number: `coefficient` × 10^-`scale`, displayed with that scale.
    /// Scales above [`MAX_SCALE`] are an error.
    ///
    /// # Errors
    /// 22003 if the scale is too large.
    pub fn from_decimal(coefficient: i128, scale: u16) -> SqlResult<Self> {
        if scale > MAX_SCALE {
            Err(overflow())
        } else {
            Ok(Self::from_coefficient(coefficient, scale))
        }
    }

    /// The coefficient of this value at `scale`, if it is finite, has no digit beyond that scale
    /// and fits: the inverse of [`Numeric::from_decimal`].
    #[must_use]
    pub fn to_decimal(&self, scale: u16) -> Option<i128> {
        match &self.0 {
            Repr::Small { scale: own, coefficient } => {
                let (own, coefficient) = (u16::from(*own), i128::from(*coefficient));
                if own <= scale {
                    let factor = 10_i128.checked_pow(u32::from(scale - own))?;
                    coefficient.checked_mul(factor)
                } else {
                    let divisor = power_of_ten(u32::from(own - scale));
                    (coefficient % divisor == 0).then(|| coefficient / divisor)
                }
            }
            Repr::Large(digits) => digits.coefficient_at(scale),
            Repr::Special(_) => None,
        }
    }

    /// How many bytes it takes beside its own: none for most.
    pub(crate) fn heap_bytes(&self) -> usize {
        match &self.0 {
            Repr::Large(digits) => size_of::<Digits>() + digits.digits.len() * 2,
            Repr::Small { .. } | Repr::Special(_) => 0,
        }
    }

    /// The value of these digits, in its one form.
    fn pack(digits: Digits) -> SqlResult<Self> {
        if digits.weight > MAX_WEIGHT || digits.scale > MAX_SCALE {
            return Err(overflow());
        }
        if digits.scale <= MAX_SMALL_SCALE
            && let Some(coefficient) = digits.small_coefficient()
        {
            // The scale is at most 18.
            return Ok(Self(Repr::Small { scale: digits.scale as u8, coefficient }));
        }
        Ok(Self(Repr::Large(Arc::new(digits))))
    }

    /// The digits of a finite value.
    fn unpack(&self) -> Result<Cow<'_, Digits>, Special> {
        match &self.0 {
            Repr::Small { scale, coefficient } => Ok(Cow::Owned(Digits::from_coefficient(
                i128::from(*coefficient),
                u16::from(*scale),
            ))),
            Repr::Large(digits) => Ok(Cow::Borrowed(digits)),
            Repr::Special(special) => Err(*special),
        }
    }

    /// Whether this is NaN.
    #[must_use]
    pub const fn is_nan(&self) -> bool {
        matches!(self.0, Repr::Special(Special::Nan))
    }

    /// Whether this is one of the infinities.
    #[must_use]
    pub const fn is_infinite(&self) -> bool {
        matches!(self.0, Repr::Special(Special::Infinity | Special::NegativeInfinity))
    }

    /// Whether this is neither NaN nor infinite.
    #[must_use]
    pub const fn is_finite(&self) -> bool {
        !matches!(self.0, Repr::Special(_))
    }

    /// Whether this is zero, of whatever scale.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.signum() == Some(Ordering::Equal)
    }

    /// How this compares with zero; nothing for NaN.
    #[must_use]
    pub fn signum(&self) -> Option<Ordering> {
        match &self.0 {
            Repr::Small { coefficient, .. } => Some(coefficient.cmp(&0)),
            Repr::Large(digits) => Some(digits.signum()),
            Repr::Special(Special::NegativeInfinity) => Some(Ordering::Less),
            Repr::Special(Special::Infinity) => Some(Ordering::Greater),
            Repr::Special(Special::Nan) => None,
        }
    }

    /// How many digits are displayed after the point; nothing for NaN and the infinities.
    #[must_use]
    pub fn display_scale(&self) -> Option<u16> {
        match &self.0 {
            Repr::Small { scale, .. } => Some(u16::from(*scale)),
            Repr::Large(digits) => Some(digits.scale),
            Repr::Special(_) => None,
        }
    }

    /// Bytes allocated beyond the value itself.
    #[must_use]
    pub fn heap_size(&self) -> usize {
        match &self.0 {
            Repr::Large(digits) => size_of::<Digits>() + digits.digits.len() * size_of::<u16>(),
            _ => 0,
        }
    }
}

impl Ord for Numeric {
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            (
                Repr::Small { scale, coefficient },
                Repr::Small { scale: other_scale, coefficient: other },
            ) => {
                if scale == other_scale {
                    return coefficient.cmp(other);
                }
                // |coefficient| < 2^63 + 1 and the factor is at most 10^18: below 2^127.
                let common = scale.max(other_scale);
                let left = i128::from(*coefficient) * power_of_ten(u32::from(common - scale));
                let right = i128::from(*other) * power_of_ten(u32::from(common - other_scale));
                left.cmp(&right)
            }
            (Repr::Special(left), Repr::Special(right)) => left.cmp(right),
            (Repr::Special(Special::NegativeInfinity), _) => Ordering::Less,
            (Repr::Special(_), _) => Ordering::Greater,
            (_, Repr::Special(Special::NegativeInfinity)) => Ordering::Greater,
            (_, Repr::Special(_)) => Ordering::Less,
            _ => match (self.unpack(), other.unpack()) {
                (Ok(left), Ok(right)) => left.compare(&right),
                _ => unreachable!("the special values were compared above"),
            },
        }
    }
}

impl PartialOrd for Numeric {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Numeric {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Numeric {}

impl Hash for Numeric {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self.unpack() {
            Ok(digits) => {
                state.write_i32(digits.weight);
                state.write_u8(u8::from(digits.negative));
                digits.digits.hash(state);
            }
            Err(special) => state.write_u8(2 + special as u8),
        }
    }
}
