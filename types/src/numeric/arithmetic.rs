//! The elementary operations, with PostgreSQL's rules for the scale of the result and for NaN and
//! the infinities.

use std::cmp::Ordering;

use super::digits::{self, Digits};
use super::{
    MAX_SCALE, MAX_WEIGHT, Numeric, Repr, Special, division_by_zero, natural, overflow,
    power_of_ten,
};
use crate::error::{SqlError, SqlResult};
use crate::sqlstate::SqlState;

/// How far before the point `round` and `trunc` can be told to go: beyond the first digit of any
/// value.
const MIN_ROUND_SCALE: i32 = -(MAX_WEIGHT + 1) * 4 - 1;
/// The largest argument of `factorial` whose result the type can hold.
const MAX_FACTORIAL: i64 = 32_177;

impl Numeric {
    /// `self + other`, with the larger scale.
    ///
    /// # Errors
    /// 22003 beyond the limits of the type.
    pub fn add(&self, other: &Self) -> SqlResult<Self> {
        if let Some(sum) = self.combine_small(other, i64::checked_add, |left, right| left + right) {
            return Ok(sum);
        }
        match (self.unpack(), other.unpack()) {
            (Ok(left), Ok(right)) => Self::pack(left.plus(&right)),
            (left, right) => Ok(add_specials(left.err(), right.err())),
        }
    }

    /// `self - other`, with the larger scale.
    ///
    /// # Errors
    /// 22003 beyond the limits of the type.
    pub fn sub(&self, other: &Self) -> SqlResult<Self> {
        if let Some(difference) =
            self.combine_small(other, i64::checked_sub, |left, right| left - right)
        {
            return Ok(difference);
        }
        match (self.unpack(), other.unpack()) {
            (Ok(left), Ok(right)) => Self::pack(left.minus(&right)),
            (left, right) => Ok(add_specials(left.err(), right.err().map(negate_special))),
        }
    }

    /// A sum or difference of Small values.
    fn combine_small(
        &self,
        other: &Self,
        narrow: impl Fn(i64, i64) -> Option<i64>,
        wide: impl Fn(i128, i128) -> i128,
    ) -> Option<Self> {
        let (
            Repr::Small { scale, coefficient: left },
            Repr::Small { scale: other_scale, coefficient: right },
        ) = (&self.0, &other.0)
        else {
            return None;
        };
        if scale == other_scale
            && let Some(coefficient) = narrow(*left, *right)
        {
            return Some(Self(Repr::Small { scale: *scale, coefficient }));
        }
        // |coefficient| ≤ 2^63 and the factor is at most 10^18: the sum is below 2^124.
        let common = *scale.max(other_scale);
        let left = i128::from(*left) * power_of_ten(u32::from(common - scale));
        let right = i128::from(*right) * power_of_ten(u32::from(common - other_scale));
        Some(Self::from_coefficient(wide(left, right), u16::from(common)))
    }

    /// `self * other`, exact but for what is beyond 16,383 decimals; the scales add up.
    ///
    /// # Errors
    /// 22003 beyond the limits of the type.
    pub fn mul(&self, other: &Self) -> SqlResult<Self> {
        if let (
            Repr::Small { scale, coefficient: left },
            Repr::Small { scale: other_scale, coefficient: right },
        ) = (&self.0, &other.0)
        {
            let product = i128::from(*left) * i128::from(*right);
            return Ok(Self::from_coefficient(product, u16::from(scale + other_scale)));
        }
        match (self.unpack(), other.unpack()) {
            (Ok(left), Ok(right)) => {
                let product = left.times(&right);
                if product.scale > MAX_SCALE {
                    return Self::pack(product.rounded(i32::from(MAX_SCALE)));
                }
                Self::pack(product)
            }
            _ => Ok(self.mul_specials(other)),
        }
    }

    fn mul_specials(&self, other: &Self) -> Self {
        match (self.signum(), other.signum()) {
            (None, _) | (_, None) | (Some(Ordering::Equal), _) | (_, Some(Ordering::Equal)) => {
                Self::NAN
            }
            (left, right) if left == right => Self::INFINITY,
            _ => Self::NEGATIVE_INFINITY,
        }
    }

    /// `self / other`, rounded half away from zero to the scale that PostgreSQL chooses: at least
    /// 16 significant digits, and no less than either operand's.
    ///
    /// # Errors
    /// 22012 for a divisor of zero, 22003 beyond the limits of the type.
    pub fn div(&self, other: &Self) -> SqlResult<Self> {
        if let Some(quotient) = self.div_small(other) {
            return Ok(quotient);
        }
        match (self.unpack(), other.unpack()) {
            (Ok(left), Ok(right)) => {
                if right.is_zero() {
                    return Err(division_by_zero());
                }
                Self::pack(left.divided_by(&right, left.quotient_scale(&right), true))
            }
            _ => self.div_specials(other),
        }
    }

    /// The quotient of Small values, if 128 bits suffice.
    fn div_small(&self, other: &Self) -> Option<Self> {
        let (
            Repr::Small { scale, coefficient: left },
            Repr::Small { scale: other_scale, coefficient: right },
        ) = (&self.0, &other.0)
        else {
            return None;
        };
        if *right == 0 {
            return None;
        }
        let result_scale = digits::quotient_scale(
            leading(*left, *scale),
            u16::from(*scale),
            leading(*right, *other_scale),
            u16::from(*other_scale),
        );
        // The result's scale is not below the dividend's.
        let shift = u32::from(result_scale) + u32::from(*other_scale) - u32::from(*scale);
        if shift > 38 {
            return None;
        }
        let dividend = i128::from(*left).checked_mul(power_of_ten(shift))?;
        Some(Self::from_coefficient(divide_rounding(dividend, i128::from(*right)), result_scale))
    }

    /// The quotient where either is special.
    fn div_specials(&self, other: &Self) -> SqlResult<Self> {
        if self.is_nan() || other.is_nan() {
            return Ok(Self::NAN);
        }
        if other.is_infinite() {
            return Ok(if self.is_infinite() { Self::NAN } else { Self::ZERO });
        }
        match (self.signum(), other.signum()) {
            (_, Some(Ordering::Equal)) => Err(division_by_zero()),
            (left, right) if left == right => Ok(Self::INFINITY),
            _ => Ok(Self::NEGATIVE_INFINITY),
        }
    }

    /// `div(self, other)`: the quotient cut to an integer.
    ///
    /// # Errors
    /// 22012 for a divisor of zero, 22003 beyond the limits of the type.
    pub fn div_trunc(&self, other: &Self) -> SqlResult<Self> {
        match (self.unpack(), other.unpack()) {
            (Ok(left), Ok(right)) => {
                if right.is_zero() {
                    return Err(division_by_zero());
                }
                Self::pack(left.divided_by(&right, 0, false))
            }
            _ => self.div_specials(other),
        }
    }

    /// `self % other`, with the sign of `self` and the larger scale.
    ///
    /// # Errors
    /// 22012 for a divisor of zero.
    pub fn rem(&self, other: &Self) -> SqlResult<Self> {
        match (self.unpack(), other.unpack()) {
            (Ok(left), Ok(right)) => {
                if right.is_zero() {
                    return Err(division_by_zero());
                }
                Self::pack(left.remainder(&right))
            }
            _ if self.is_nan() || other.is_nan() => Ok(Self::NAN),
            _ if other.is_zero() => Err(division_by_zero()),
            _ if self.is_infinite() => Ok(Self::NAN),
            _ => Ok(self.clone()),
        }
    }

    /// `-self`.
    #[must_use]
    pub fn neg(&self) -> Self {
        match &self.0 {
            Repr::Small { scale, coefficient } => {
                Self::from_coefficient(-i128::from(*coefficient), u16::from(*scale))
            }
            Repr::Large(digits) => {
                let negated = (**digits).clone().negated();
                // The negation of 2^63 is Small, and that of everything else Large is Large.
                Self::pack(negated).unwrap_or_else(|_| self.clone())
            }
            Repr::Special(special) => Self(Repr::Special(negate_special(*special))),
        }
    }

    /// `abs(self)`.
    #[must_use]
    pub fn abs(&self) -> Self {
        if self.signum() == Some(Ordering::Less) { self.neg() } else { self.clone() }
    }

    /// `sign(self)`: -1, 0 or 1; NaN for NaN.
    #[must_use]
    pub fn sign(&self) -> Self {
        self.signum().map_or(Self::NAN, |sign| Self::from(sign as i32))
    }

    /// `round(self, scale)`: half away from zero, before the point where `scale` is negative.
    ///
    /// # Errors
    /// 22003 beyond the limits of the type.
    pub fn round(&self, scale: i32) -> SqlResult<Self> {
        let scale = scale.clamp(MIN_ROUND_SCALE, i32::from(MAX_SCALE));
        match self.unpack() {
            Ok(digits) => Self::pack(digits.rounded(scale)),
            Err(_) => Ok(self.clone()),
        }
    }

    /// `trunc(self, scale)`: cut off after `scale` decimals, before the point where it is negative.
    ///
    /// # Errors
    /// None that this type can have: what is cut fits.
    pub fn trunc(&self, scale: i32) -> SqlResult<Self> {
        let scale = scale.clamp(MIN_ROUND_SCALE, i32::from(MAX_SCALE));
        match self.unpack() {
            Ok(digits) => Self::pack(digits.truncated(scale)),
            Err(_) => Ok(self.clone()),
        }
    }

    /// `ceil(self)`.
    ///
    /// # Errors
    /// 22003 beyond the limits of the type.
    pub fn ceil(&self) -> SqlResult<Self> {
        let Ok(digits) = self.unpack() else { return Ok(self.clone()) };
        let cut = Self::pack(digits.truncated(0))?;
        if cut < *self { cut.add(&Self::ONE) } else { Ok(cut) }
    }

    /// `floor(self)`.
    ///
    /// # Errors
    /// 22003 beyond the limits of the type.
    pub fn floor(&self) -> SqlResult<Self> {
        let Ok(digits) = self.unpack() else { return Ok(self.clone()) };
        let cut = Self::pack(digits.truncated(0))?;
        if cut > *self { cut.sub(&Self::ONE) } else { Ok(cut) }
    }

    /// `gcd(self, other)`, never negative, with the larger scale.
    ///
    /// # Errors
    /// 22003 beyond the limits of the type.
    pub fn gcd(&self, other: &Self) -> SqlResult<Self> {
        match (self.unpack(), other.unpack()) {
            (Ok(left), Ok(right)) => Self::pack(gcd(&left, &right)),
            _ => Ok(Self::NAN),
        }
    }

    /// `lcm(self, other)`, never negative, with the larger scale.
    ///
    /// # Errors
    /// 22003 beyond the limits of the type.
    pub fn lcm(&self, other: &Self) -> SqlResult<Self> {
        let (Ok(left), Ok(right)) = (self.unpack(), other.unpack()) else { return Ok(Self::NAN) };
        let scale = left.scale.max(right.scale);
        if left.is_zero() || right.is_zero() {
            return Self::pack(Digits::zero(scale));
        }
        let factor = left.divided_by(&gcd(&left, &right), 0, false);
        let product = factor.times(&right);
        Self::pack(Digits { negative: false, scale, ..product })
    }

    /// `factorial(number)`.
    ///
    /// # Errors
    /// 22003 for negative numbers and beyond the limits of the type.
    pub fn factorial(number: i64) -> SqlResult<Self> {
        if number < 0 {
            return Err(SqlError::new(
                SqlState::NumericValueOutOfRange,
                "factorial of a negative number is undefined",
            ));
        }
        if number > MAX_FACTORIAL {
            return Err(overflow());
        }
        let mut product = vec![1_u32];
        for factor in 2..=number {
            // At most 32,177.
            natural::multiply_small(&mut product, factor as u32);
        }
        Self::pack(Digits::from_natural(false, &product, 0, 0))
    }

    /// `min_scale(self)`: how many digits after the point the value needs; nothing for NaN and the
    /// infinities.
    #[must_use]
    pub fn min_scale(&self) -> Option<u16> {
        self.unpack().ok().map(|digits| digits.needed_scale())
    }

    /// `trim_scale(self)`: without zeros at the end of the fraction.
    #[must_use]
    pub fn trim_scale(&self) -> Self {
        let Ok(digits) = self.unpack() else { return self.clone() };
        let scale = digits.needed_scale();
        // The value is the same and was within the limits.
        Self::pack(digits.into_owned().with_scale(scale)).unwrap_or_else(|_| self.clone())
    }

    /// The number of the bucket that this falls into, of `count` of equal width between the
    /// bounds; 0 and `count` + 1 outside. The lower bound may be above the upper.
    ///
    /// # Errors
    /// 2201G for a count below 1, NaN, infinite or equal bounds; 22003 beyond `int4`.
    pub fn width_bucket(&self, low: &Self, high: &Self, count: i32) -> SqlResult<i32> {
        let refuse =
            |message| SqlError::new(SqlState::InvalidArgumentForWidthBucketFunction, message);
        if count <= 0 {
            return Err(refuse("count must be greater than zero"));
        }
        if self.is_nan() || low.is_nan() || high.is_nan() {
            return Err(refuse("operand, lower bound, and upper bound cannot be NaN"));
        }
        if low.is_infinite() || high.is_infinite() {
            return Err(refuse("lower and upper bounds must be finite"));
        }
        let (below, beyond) = match low.cmp(high) {
            Ordering::Equal => return Err(refuse("lower bound cannot equal upper bound")),
            Ordering::Less => (self < low, self >= high),
            Ordering::Greater => (self > low, self <= high),
        };
        if below {
            return Ok(0);
        }
        if beyond {
            return Self::from(count).add(&Self::ONE)?.to_i32();
        }
        let count = Self::from(count);
        let distance = self.sub(low)?.abs().mul(&count)?;
        let quotient = distance.div(&high.sub(low)?.abs())?;
        if quotient >= count { count.to_i32() } else { quotient.add(&Self::ONE)?.floor()?.to_i32() }
    }
}

/// The sum where either operand is special.
fn add_specials(left: Option<Special>, right: Option<Special>) -> Numeric {
    Numeric(Repr::Special(match (left, right) {
        (Some(left), Some(right)) if left != right => Special::Nan,
        (Some(special), _) | (None, Some(special)) => special,
        (None, None) => unreachable!("finite operands are added by their digits"),
    }))
}

fn negate_special(special: Special) -> Special {
    match special {
        Special::Nan => Special::Nan,
        Special::Infinity => Special::NegativeInfinity,
        Special::NegativeInfinity => Special::Infinity,
    }
}

/// Weight and first digit in base 10,000 of a Small value; zeros for zero.
fn leading(coefficient: i64, scale: u8) -> (i32, u16) {
    let absolute = coefficient.unsigned_abs();
    if absolute == 0 {
        return (0, 0);
    }
    let scale = i32::from(scale);
    let weight = (absolute.ilog10() as i32 - scale).div_euclid(4);
    // The power of ten, in units of the coefficient, that the first digit counts.
    let unit = 4 * weight + scale;
    let first = if unit >= 0 {
        absolute / 10_u64.pow(unit as u32)
    } else {
        absolute * 10_u64.pow(unit.unsigned_abs())
    };
    // Below 10,000 by the choice of the weight.
    (weight, first as u16)
}

/// The quotient rounded half away from zero.
pub(super) fn divide_rounding(dividend: i128, divisor: i128) -> i128 {
    let quotient = dividend / divisor;
    let rest = (dividend % divisor).unsigned_abs();
    if rest >= divisor.unsigned_abs() - rest {
        quotient + if (dividend < 0) == (divisor < 0) { 1 } else { -1 }
    } else {
        quotient
    }
}

fn gcd(left: &Digits, right: &Digits) -> Digits {
    let scale = left.scale.max(right.scale);
    let exponent = match (left.is_zero(), right.is_zero()) {
        (true, _) => right.exponent(),
        (_, true) => left.exponent(),
        _ => left.exponent().min(right.exponent()),
    };
    let mut larger = left.natural_at(exponent);
    let mut smaller = right.natural_at(exponent);
    while !smaller.is_empty() {
        let (_, rest) = natural::divide(&larger, &smaller);
        larger = std::mem::replace(&mut smaller, rest);
    }
    Digits::from_natural(false, &larger, exponent, scale)
}
