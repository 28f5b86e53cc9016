//! Square root, exponential, logarithms and powers. The scale of each result, which depends on an
//! estimate of its magnitude, is PostgreSQL's; the digits are those of the exact result, rounded.

use std::cmp::Ordering;
use std::f64::consts::LN_10;

use super::digits::Digits;
use super::fixed::{self, Fixed, GUARD_PLACES};
use super::{
    MAX_DISPLAY_SCALE, MAX_WEIGHT, MIN_SIGNIFICANT_DIGITS, Numeric, division_by_zero, natural,
    overflow,
};
use crate::error::{SqlError, SqlResult};
use crate::sqlstate::SqlState;

/// The exponential of this and beyond overflows, of its negative and below is 0.
const MAX_EXPONENT: f64 = 6_000.0;
/// lg e, to the digits with which PostgreSQL estimates magnitudes.
#[expect(clippy::approx_constant, reason = "scales must come out as PostgreSQL's do")]
const LOG10_E: f64 = 0.434_294_481_903_252;
/// Decimals of a limb.
const LIMB_DECIMALS: i32 = 8;
/// Digits computed beyond those shown.
const GUARD_DIGITS: i32 = 8;

fn invalid_logarithm(what: &str) -> SqlError {
    SqlError::new(SqlState::InvalidArgumentForLog, format!("cannot take logarithm of {what}"))
}

fn invalid_power(message: &str) -> SqlError {
    SqlError::new(SqlState::InvalidArgumentForPowerFunction, message)
}

/// The scale that gives at least 16 significant digits to a result of this decimal weight, within
/// what a computation chooses, and not below those of the operands.
fn result_scale(weight: i32, operands: &[u16]) -> u16 {
    let operands = operands.iter().copied().max().unwrap_or(0);
    // At most 1,000.
    (MIN_SIGNIFICANT_DIGITS - weight).max(i32::from(operands)).clamp(0, MAX_DISPLAY_SCALE) as u16
}

impl Numeric {
    /// `sqrt(self)`.
    ///
    /// # Errors
    /// 2201F for negative values.
    pub fn sqrt(&self) -> SqlResult<Self> {
        if self.signum() == Some(Ordering::Less) {
            return Err(invalid_power("cannot take square root of a negative number"));
        }
        let Ok(digits) = self.unpack() else { return Ok(self.clone()) };
        let weight = (digits.weight + 1) * 4 / 2 - 1;
        Self::pack(digits.square_root(result_scale(weight, &[digits.scale])))
    }

    /// `exp(self)`.
    ///
    /// # Errors
    /// 22003 beyond the limits of the type, which are at about 6,000.
    pub fn exp(&self) -> SqlResult<Self> {
        let Ok(digits) = self.unpack() else {
            return Ok(if *self == Self::NEGATIVE_INFINITY { Self::ZERO } else { self.clone() });
        };
        let weight = (digits.to_f64() * LOG10_E).clamp(-2_000.0, 2_000.0) as i32;
        Self::pack(exp(&digits, result_scale(weight, &[digits.scale]))?)
    }

    /// `ln(self)`.
    ///
    /// # Errors
    /// 2201E for zero and negative values.
    pub fn ln(&self) -> SqlResult<Self> {
        self.check_logarithm()?;
        let Ok(digits) = self.unpack() else { return Ok(self.clone()) };
        let scale = result_scale(ln_weight(&digits), &[digits.scale]);
        Self::pack(ln(&digits, i32::from(scale)).with_scale(scale))
    }

    fn check_logarithm(&self) -> SqlResult<()> {
        match self.signum() {
            Some(Ordering::Less) => Err(invalid_logarithm("a negative number")),
            Some(Ordering::Equal) => Err(invalid_logarithm("zero")),
            _ => Ok(()),
        }
    }

    /// `log(base, self)`.
    ///
    /// # Errors
    /// 2201E for zero and negative values, 22012 for a base of 1.
    pub fn log(&self, base: &Self) -> SqlResult<Self> {
        if self.is_nan() || base.is_nan() {
            return Ok(Self::NAN);
        }
        let negative = |value: &Self| value.signum() == Some(Ordering::Less);
        // Where either is infinite, signs are looked at before zeros.
        if (self.is_infinite() || base.is_infinite()) && (negative(self) || negative(base)) {
            return Err(invalid_logarithm("a negative number"));
        }
        base.check_logarithm()?;
        self.check_logarithm()?;
        match (base.unpack(), self.unpack()) {
            (Ok(base), Ok(number)) => log(&base, &number).and_then(Self::pack),
            (Err(_), Err(_)) => Ok(Self::NAN),
            (Err(_), Ok(_)) => Ok(Self::ZERO),
            (Ok(_), Err(_)) => Ok(Self::INFINITY),
        }
    }

    /// `power(self, exponent)`.
    ///
    /// # Errors
    /// 2201F for zero to a negative power and a negative number to a power that is no integer,
    /// 22003 beyond the limits of the type.
    pub fn power(&self, exponent: &Self) -> SqlResult<Self> {
        // As in POSIX, one to any power and anything to the power of zero is one, even for NaN.
        if self.is_nan() || exponent.is_nan() {
            let one = *self == Self::ONE || exponent.is_zero();
            return Ok(if one { Self::ONE } else { Self::NAN });
        }
        let negative = self.signum() == Some(Ordering::Less);
        let integral = exponent.unpack().map_or(true, |digits| digits.is_integral());
        if self.is_zero() && exponent.signum() == Some(Ordering::Less) {
            return Err(invalid_power("zero raised to a negative power is undefined"));
        }
        if negative && !integral {
            return Err(invalid_power(
                "a negative number raised to a non-integer power yields a complex result",
            ));
        }
        match (self.unpack(), exponent.unpack()) {
            (Ok(base), Ok(exponent)) => power(&base, &exponent).and_then(Self::pack),
            _ => Ok(self.power_special(exponent)),
        }
    }

    /// The power where base or exponent is infinite, as POSIX has it.
    fn power_special(&self, exponent: &Self) -> Self {
        let growing = exponent.signum() == Some(Ordering::Greater);
        if *self == Self::ONE || exponent.is_zero() {
            return Self::ONE;
        }
        if self.is_zero() {
            return Self::ZERO;
        }
        let magnitude = self.abs().cmp(&Self::ONE);
        if exponent.is_infinite() && magnitude == Ordering::Equal {
            return Self::ONE;
        }
        if (magnitude == Ordering::Greater) != growing {
            return Self::ZERO;
        }
        let odd = exponent.unpack().is_ok_and(|digits| digits.is_integral() && digits.is_odd());
        if *self == Self::NEGATIVE_INFINITY && odd {
            return Self::NEGATIVE_INFINITY;
        }
        Self::INFINITY
    }
}

/// e^`x` with `scale` decimals.
fn exp(x: &Digits, scale: u16) -> SqlResult<Digits> {
    let estimate = x.to_f64();
    if estimate.abs() >= MAX_EXPONENT {
        return if estimate > 0.0 { Err(overflow()) } else { Ok(Digits::zero(scale)) };
    }
    // e^x = 10^shift × e^rest, with a rest of 0 to ln 10.
    let mut shift = (estimate / LN_10).floor() as i32;
    let shown = (shift + 1 + i32::from(scale)).max(0) + GUARD_DIGITS;
    // At most 3,700 decimals.
    let places = shown.unsigned_abs().div_ceil(LIMB_DECIMALS as u32) as usize + GUARD_PLACES;
    let exponent = -2 * places as i32;
    let x = Fixed { negative: x.negative, limbs: x.natural_at(exponent) };
    let ln_10 = fixed::ln_10(places);
    let mut rest = x.plus(&ln_10.times_integer(-shift));
    if rest.negative {
        shift -= 1;
        rest = rest.plus(&ln_10);
    }
    let mut mantissa = fixed::exp(&rest.limbs, places);
    natural::multiply_small(&mut mantissa, 10_u32.pow(shift.rem_euclid(4) as u32));
    let result = Digits::from_natural(false, &mantissa, exponent + shift.div_euclid(4), scale);
    Ok(result.rounded(i32::from(scale)))
}

/// ln `x` with `scale` decimals, which may be more than the type has.
fn ln(x: &Digits, scale: i32) -> Digits {
    // x = 10^shift × mantissa, with a mantissa of 0.3 to 4.
    let leading = x.digits[0];
    let mut shift = x.magnitude();
    if leading / 10_u16.pow(leading.ilog10()) > 3 {
        shift += 1;
    }
    // At most 16,383 and what powers add: below 25,000 decimals.
    let places = scale.max(0).unsigned_abs().div_ceil(LIMB_DECIMALS as u32) as usize + GUARD_PLACES;
    let unit = LIMB_DECIMALS * places as i32 - shift;
    let mut mantissa = x.natural_at(-unit.div_euclid(4));
    natural::multiply_small(&mut mantissa, 10_u32.pow(unit.rem_euclid(4) as u32));
    let mut result = fixed::ln(&mantissa, places);
    if shift != 0 {
        result = result.plus(&fixed::ln_10(places).times_integer(shift));
    }
    let exponent = -2 * places as i32;
    Digits::from_natural(result.negative, &result.limbs, exponent, 0).rounded(scale)
}

/// The decimal weight of ln `x`, roughly.
fn ln_weight(x: &Digits) -> i32 {
    let one = Digits::from_coefficient(1, 0);
    let near = x.compare(&Digits::from_coefficient(9, 1)) != Ordering::Less
        && x.compare(&Digits::from_coefficient(11, 1)) != Ordering::Greater;
    if near {
        // ln x is about x - 1, which may be very small.
        return x.minus(&one).magnitude();
    }
    let (mut leading, mut weight) = (f64::from(x.digits[0]), x.weight * 4);
    if let Some(second) = x.digits.get(1) {
        leading = leading * 10_000.0 + f64::from(*second);
        weight -= 4;
    }
    (leading.ln() + f64::from(weight) * LN_10).abs().log10() as i32
}

/// The logarithm of `number` to the base `base`.
fn log(base: &Digits, number: &Digits) -> SqlResult<Digits> {
    let base_weight = ln_weight(base);
    let number_weight = ln_weight(number);
    let weight = number_weight - base_weight;
    let scale = result_scale(weight, &[base.scale, number.scale]);
    let digits = i32::from(scale) + weight + GUARD_DIGITS;
    let ln_base = ln(base, (digits - base_weight).max(0));
    let ln_number = ln(number, (digits - number_weight).max(0));
    if ln_base.is_zero() {
        return Err(division_by_zero());
    }
    Ok(ln_number.divided_by(&ln_base, scale, true))
}

fn power(base: &Digits, exponent: &Digits) -> SqlResult<Digits> {
    if exponent.is_integral()
        && let Some(integer) = exponent.coefficient_at(0)
        && let Ok(integer) = i32::try_from(integer)
    {
        return power_integer(base, integer);
    }
    if base.is_zero() {
        return Ok(Digits::zero(MIN_SIGNIFICANT_DIGITS as u16));
    }
    let negative = base.negative && exponent.is_odd();
    let base = Digits { negative: false, ..base.clone() };
    // A first computation to 8 digits tells the magnitude of the result.
    let ln_base_weight = ln_weight(&base);
    let rough_scale = (8 - ln_base_weight).max(0);
    let rough = ln(&base, rough_scale).with_scale(0);
    let estimate = rough.times(&exponent.clone().with_scale(0)).rounded(rough_scale).to_f64();
    if estimate.abs() > MAX_EXPONENT * 1.003_333_333_333_333_3 {
        return if estimate > 0.0 {
            Err(overflow())
        } else {
            Ok(Digits::zero(MAX_DISPLAY_SCALE as u16))
        };
    }
    let weight = (estimate * LOG10_E) as i32;
    let scale = result_scale(weight, &[base.scale, exponent.scale]);
    // An error of the logarithm grows with the exponent, and counts relative to the result.
    let digits = (weight + i32::from(scale)).max(0) + 2 * GUARD_DIGITS;
    // The product is below 10^4, so that the exponent is below 10^(4 - the logarithm's weight), but
    // for a base of 1, whose logarithm has no error.
    let growth = exponent.magnitude().min(4 - ln_base_weight).max(0);
    let ln_base = ln(&base, digits + growth).with_scale(0);
    let product = ln_base.times(&exponent.clone().with_scale(0));
    let result = exp(&product, scale)?;
    Ok(if negative { result.negated() } else { result })
}

/// `base` to an integer power, by repeated squaring of as many digits as the result needs.
fn power_integer(base: &Digits, exponent: i32) -> SqlResult<Digits> {
    let scale = result_scale(0, &[base.scale]);
    let shown = i32::from(scale);
    let one = Digits::from_coefficient(1, 0);
    match exponent {
        0 => return Ok(one.with_scale(scale)),
        1 => return Ok(base.rounded(shown)),
        2 => return Ok(base.times(base).rounded(shown)),
        -1 if !base.is_zero() => return Ok(one.divided_by(base, scale, true)),
        _ => {}
    }
    if base.is_zero() {
        return if exponent < 0 { Err(division_by_zero()) } else { Ok(Digits::zero(scale)) };
    }
    // lg of the result, from the first 16 digits.
    let leading = base.digits.iter().take(4);
    let weight = (base.weight + 1 - leading.len() as i32) * 4;
    let leading = leading.fold(0.0, |value, digit| value * 10_000.0 + f64::from(*digit));
    let magnitude = f64::from(exponent) * (leading.log10() + f64::from(weight));
    if magnitude > f64::from(3 * MAX_WEIGHT * 4) {
        return Err(overflow());
    }
    if magnitude + 1.0 < f64::from(-shown.min(MAX_DISPLAY_SCALE)) {
        return Ok(Digits::zero(scale));
    }
    let growth = f64::from(exponent).abs().ln() as i32;
    let significant = 1 + shown + magnitude as i32 + growth + GUARD_DIGITS;
    let product = |left: &Digits, right: &Digits| {
        let product = left.times(right);
        product.rounded(significant - 1 - product.magnitude()).with_scale(0)
    };
    let mut squared = base.clone().with_scale(0);
    let mut result = if exponent % 2 == 0 { one.clone() } else { squared.clone() };
    let mut left = exponent.unsigned_abs() / 2;
    while left > 0 {
        squared = product(&squared, &squared);
        if left % 2 == 1 {
            result = product(&result, &squared);
        }
        if squared.weight > MAX_WEIGHT || result.weight > MAX_WEIGHT {
            return if exponent < 0 { Ok(Digits::zero(scale)) } else { Err(overflow()) };
        }
        left /= 2;
    }
    Ok(if exponent < 0 { one.divided_by(&result, scale, true) } else { result.rounded(shown) })
}
