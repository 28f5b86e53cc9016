//! A finite value taken apart, and the arithmetic on it: sign, digits in base 10,000, weight, scale.
//!
//! ```text
//! value = ± (digits[0] × 10000^weight + digits[1] × 10000^(weight - 1) + …)
//! 12345.60, scale 2:  weight 1, digits 1 2345 6000
//! ```
//!
//! Neither the first nor the last digit is zero; zero itself has no digits, weight 0 and no sign.
//! No decimal digit beyond the scale differs from zero. Limits of the type are not checked here.

use std::cmp::Ordering;

use super::natural::{self, Natural};
use super::{MAX_DISPLAY_SCALE, MIN_SIGNIFICANT_DIGITS};

/// The base of a digit.
const BASE: u32 = 10_000;
/// How many decimal digits a digit has.
const DECIMALS: i32 = 4;

/// A finite value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Digits {
    pub(super) negative: bool,
    /// The power of 10,000 that the first digit counts.
    pub(super) weight: i32,
    /// How many decimal digits are displayed after the point.
    pub(super) scale: u16,
    pub(super) digits: Vec<u16>,
}

impl Digits {
    pub(super) fn zero(scale: u16) -> Self {
        Self { negative: false, weight: 0, scale, digits: Vec::new() }
    }

    /// The value of digits that may begin and end with zeros.
    pub(super) fn new(negative: bool, weight: i32, scale: u16, mut digits: Vec<u16>) -> Self {
        let end = digits.iter().rposition(|digit| *digit != 0).map_or(0, |at| at + 1);
        digits.truncate(end);
        let start = digits.iter().position(|digit| *digit != 0).unwrap_or(0);
        digits.drain(..start);
        if digits.is_empty() {
            return Self::zero(scale);
        }
        // At most 2^31 digits would fit memory, and far fewer occur.
        Self { negative, weight: weight - start as i32, scale, digits }
    }

    /// ± `limbs` × 10000^`exponent`.
    pub(super) fn from_natural(negative: bool, limbs: &[u32], exponent: i32, scale: u16) -> Self {
        let digits = natural::to_digits(limbs);
        let weight = exponent + digits.len() as i32 - 1;
        Self::new(negative, weight, scale, digits)
    }

    /// `coefficient` × 10^-`scale`.
    pub(super) fn from_coefficient(coefficient: i128, scale: u16) -> Self {
        let mut rest = coefficient.unsigned_abs();
        let mut digits = Vec::new();
        // The decimals of the last digit that lie before the end of the scale.
        let partial = u32::from(scale) % DECIMALS as u32;
        if partial > 0 {
            let split = 10_u128.pow(partial);
            digits.push((rest % split) as u16 * 10_u16.pow(DECIMALS as u32 - partial));
            rest /= split;
        }
        while rest > 0 {
            digits.push((rest % u128::from(BASE)) as u16);
            rest /= u128::from(BASE);
        }
        digits.reverse();
        let fraction = i32::from(scale.div_ceil(DECIMALS as u16));
        let weight = digits.len() as i32 - 1 - fraction;
        Self::new(coefficient < 0, weight, scale, digits)
    }

    /// The coefficient at `scale`, if no digit is lost and it fits.
    pub(super) fn coefficient_at(&self, scale: u16) -> Option<i128> {
        if self.digits.is_empty() {
            return Some(0);
        }
        if self.weight > 9 {
            return None;
        }
        let last = -i32::from(scale.div_ceil(DECIMALS as u16));
        if self.exponent() < last {
            return None;
        }
        let mut value = 0_i128;
        for weight in (last..=self.weight).rev() {
            if weight == last && !scale.is_multiple_of(DECIMALS as u16) {
                let decimals = (i32::from(scale) % DECIMALS) as u32;
                let rest = 10_u16.pow(DECIMALS as u32 - decimals);
                let digit = self.digit(weight);
                if !digit.is_multiple_of(rest) {
                    return None;
                }
                value = value
                    .checked_mul(i128::from(10_u16.pow(decimals)))?
                    .checked_add(i128::from(digit / rest))?;
            } else {
                value = value
                    .checked_mul(i128::from(BASE))?
                    .checked_add(i128::from(self.digit(weight)))?;
            }
        }
        Some(if self.negative { -value } else { value })
    }

    /// The coefficient at the value's own scale, if it fits.
    pub(super) fn small_coefficient(&self) -> Option<i64> {
        if self.weight > 4 || self.digits.len() > 6 {
            return None;
        }
        i64::try_from(self.coefficient_at(self.scale)?).ok()
    }

    pub(super) fn is_zero(&self) -> bool {
        self.digits.is_empty()
    }

    pub(super) fn signum(&self) -> Ordering {
        if self.is_zero() {
            Ordering::Equal
        } else if self.negative {
            Ordering::Less
        } else {
            Ordering::Greater
        }
    }

    /// The power of 10,000 that the last digit counts.
    pub(super) fn exponent(&self) -> i32 {
        self.weight + 1 - self.digits.len() as i32
    }

    /// The digit that counts this power of 10,000.
    pub(super) fn digit(&self, weight: i32) -> u16 {
        usize::try_from(self.weight - weight)
            .ok()
            .and_then(|at| self.digits.get(at))
            .copied()
            .unwrap_or(0)
    }

    /// The power of ten of the first decimal digit; 0 for zero.
    pub(super) fn magnitude(&self) -> i32 {
        self.digits.first().map_or(0, |first| self.weight * DECIMALS + first.ilog10() as i32)
    }

    /// Whether this is an integer, whatever its scale.
    pub(super) fn is_integral(&self) -> bool {
        self.is_zero() || self.exponent() >= 0
    }

    /// Whether this integer is odd.
    pub(super) fn is_odd(&self) -> bool {
        self.digit(0) % 2 == 1
    }

    /// How many digits after the point the value needs.
    pub(super) fn needed_scale(&self) -> u16 {
        let Some(last) = self.digits.last() else { return 0 };
        let mut scale = -self.exponent() * DECIMALS;
        let mut last = *last;
        while last % 10 == 0 {
            last /= 10;
            scale -= 1;
        }
        u16::try_from(scale).unwrap_or(0)
    }

    /// Digits and an exponent, short where the value is only far from the point.
    pub(super) fn scientific(&self) -> String {
        let mut text = String::with_capacity(self.digits.len() * 4 + 12);
        text.push_str(if self.negative { "-0" } else { "0" });
        for digit in &self.digits {
            text.push_str(&format!("{digit:04}"));
        }
        text.push_str(&format!("e{}", self.exponent() * DECIMALS));
        text
    }

    /// The nearest `float8`; infinite if this is too large for one.
    pub(super) fn to_f64(&self) -> f64 {
        self.scientific().parse().unwrap_or(f64::NAN)
    }

    pub(super) fn compare(&self, other: &Self) -> Ordering {
        self.signum().cmp(&other.signum()).then_with(|| {
            let magnitudes = self.compare_absolute(other);
            if self.negative { magnitudes.reverse() } else { magnitudes }
        })
    }

    pub(super) fn compare_absolute(&self, other: &Self) -> Ordering {
        match (self.is_zero(), other.is_zero()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            // Without zeros at the end, the longer of two with a common beginning is the larger.
            _ => self.weight.cmp(&other.weight).then_with(|| self.digits.cmp(&other.digits)),
        }
    }

    pub(super) fn negated(mut self) -> Self {
        self.negative = !self.negative && !self.is_zero();
        self
    }

    pub(super) fn with_scale(mut self, scale: u16) -> Self {
        self.scale = scale;
        self
    }

    /// Cut off after `scale` decimals (before the point if negative), which becomes the scale.
    pub(super) fn truncated(&self, scale: i32) -> Self {
        self.cut(scale, false)
    }

    /// Rounded half away from zero to `scale` decimals (before the point if negative), which
    /// becomes the scale.
    pub(super) fn rounded(&self, scale: i32) -> Self {
        self.cut(scale, true)
    }

    fn cut(&self, scale: i32, round: bool) -> Self {
        // Callers stay within ±16,383 digits, or far below what i32 holds.
        let display = scale.clamp(0, i32::from(u16::MAX)) as u16;
        // The digit that holds the last decimal kept.
        let last = -scale.div_euclid(DECIMALS) - i32::from(scale.rem_euclid(DECIMALS) != 0);
        if self.is_zero() || self.exponent() > last {
            return self.clone().with_scale(display);
        }
        // What a digit that is cut is divided by: 1 keeps it whole.
        let unit = 10_u16.pow((DECIMALS - 1 - (scale - 1).rem_euclid(DECIMALS)) as u32);
        if last > self.weight {
            // Nothing is kept; the first digit below `last` rounds only if it is next to it and
            // the unit kept is 10^(4 last), half of which is 5000.
            return self.cut_above(last, unit, round, display);
        }
        let kept = (self.weight - last + 1) as usize;
        let mut digits = self.digits[..kept].to_vec();
        let rest = digits[kept - 1] % unit;
        digits[kept - 1] -= rest;
        let up = round
            && if unit > 1 {
                rest >= unit / 2
            } else {
                self.digits.get(kept).is_some_and(|next| *next >= 5_000)
            };
        let weight = self.weight;
        if up {
            Self::carried(self.negative, weight, display, digits, unit)
        } else {
            Self::new(self.negative, weight, display, digits)
        }
    }

    /// The case of [`Self::cut`] in which the last digit kept is above the first.
    fn cut_above(&self, last: i32, unit: u16, round: bool, scale: u16) -> Self {
        let up = round && unit == 1 && last == self.weight + 1 && self.digits[0] >= 5_000;
        if up { Self::new(self.negative, last, scale, vec![1]) } else { Self::zero(scale) }
    }

    /// Adds `unit` to the last of the digits.
    fn carried(negative: bool, weight: i32, scale: u16, mut digits: Vec<u16>, unit: u16) -> Self {
        let mut carry = unit;
        for digit in digits.iter_mut().rev() {
            let total = *digit + carry;
            carry = u16::from(u32::from(total) >= BASE);
            *digit = total - carry * BASE as u16;
            if carry == 0 {
                break;
            }
        }
        let mut weight = weight;
        if carry > 0 {
            digits.insert(0, 1);
            weight += 1;
        }
        Self::new(negative, weight, scale, digits)
    }

    /// The sum; its scale is the larger.
    pub(super) fn plus(&self, other: &Self) -> Self {
        let scale = self.scale.max(other.scale);
        if self.negative == other.negative {
            return self.plus_absolute(other, self.negative, scale);
        }
        match self.compare_absolute(other) {
            Ordering::Equal => Self::zero(scale),
            Ordering::Greater => self.minus_absolute(other, self.negative, scale),
            Ordering::Less => other.minus_absolute(self, other.negative, scale),
        }
    }

    /// The difference; its scale is the larger.
    pub(super) fn minus(&self, other: &Self) -> Self {
        self.plus(&other.clone().negated())
    }

    fn plus_absolute(&self, other: &Self, negative: bool, scale: u16) -> Self {
        if self.is_zero() || other.is_zero() {
            let kept = if self.is_zero() { other } else { self };
            return Self { negative: kept.negative, scale, ..kept.clone() };
        }
        let weight = self.weight.max(other.weight) + 1;
        let exponent = self.exponent().min(other.exponent());
        let mut digits = vec![0; (weight - exponent + 1) as usize];
        let mut carry = 0;
        for (at, digit) in digits.iter_mut().enumerate().rev() {
            let weight = weight - at as i32;
            let total = self.digit(weight) + other.digit(weight) + carry;
            carry = u16::from(u32::from(total) >= BASE);
            *digit = total - carry * BASE as u16;
        }
        Self::new(negative, weight, scale, digits)
    }

    /// |self| − |other|, which is positive.
    fn minus_absolute(&self, other: &Self, negative: bool, scale: u16) -> Self {
        if other.is_zero() {
            return Self { negative, scale, ..self.clone() };
        }
        let weight = self.weight;
        let exponent = self.exponent().min(other.exponent());
        let mut digits = vec![0; (weight - exponent + 1) as usize];
        let mut borrow = 0;
        for (at, digit) in digits.iter_mut().enumerate().rev() {
            let weight = weight - at as i32;
            let taken = other.digit(weight) + borrow;
            let from = self.digit(weight);
            borrow = u16::from(from < taken);
            *digit = from + borrow * BASE as u16 - taken;
        }
        Self::new(negative, weight, scale, digits)
    }

    /// The exact product. Its scale is the sum of the scales, which the caller rounds to what the
    /// type allows.
    pub(super) fn times(&self, other: &Self) -> Self {
        let scale = self.scale + other.scale;
        if self.is_zero() || other.is_zero() {
            return Self::zero(scale);
        }
        let product = natural::multiply(&self.natural(), &other.natural());
        let exponent = self.exponent() + other.exponent();
        Self::from_natural(self.negative != other.negative, &product, exponent, scale)
    }

    /// The digits as an integer: the value is it × 10000^exponent.
    pub(super) fn natural(&self) -> Natural {
        natural::from_digits(&self.digits)
    }

    /// |self| × 10000^-`exponent`, cut to an integer.
    pub(super) fn natural_at(&self, exponent: i32) -> Natural {
        let own = self.exponent();
        if self.is_zero() {
            return Natural::new();
        }
        if own >= exponent {
            let mut digits = self.digits.clone();
            digits.resize(digits.len() + (own - exponent) as usize, 0);
            return natural::from_digits(&digits);
        }
        let cut = (exponent - own) as usize;
        natural::from_digits(&self.digits[..self.digits.len().saturating_sub(cut)])
    }

    /// The quotient with `scale` decimals, rounded or cut. The divisor is not zero.
    pub(super) fn divided_by(&self, divisor: &Self, scale: u16, round: bool) -> Self {
        if self.is_zero() {
            return Self::zero(scale);
        }
        // One decimal more than asked for decides the rounding, however the quotient goes on.
        let fraction = i32::from((scale + 1).div_ceil(DECIMALS as u16));
        let dividend = self.natural_at(divisor.exponent() - fraction);
        let (quotient, _) = natural::divide(&dividend, &divisor.natural());
        let negative = self.negative != divisor.negative;
        Self::from_natural(negative, &quotient, -fraction, scale).cut(i32::from(scale), round)
    }

    /// The remainder of the quotient cut to an integer. The divisor is not zero.
    pub(super) fn remainder(&self, divisor: &Self) -> Self {
        let scale = self.scale.max(divisor.scale);
        if self.compare_absolute(divisor) == Ordering::Less {
            return self.clone().with_scale(scale);
        }
        let exponent = self.exponent().min(divisor.exponent());
        let (_, rest) = natural::divide(&self.natural_at(exponent), &divisor.natural_at(exponent));
        Self::from_natural(self.negative, &rest, exponent, scale)
    }

    /// The square root with `scale` decimals, rounded. The value is not negative.
    pub(super) fn square_root(&self, scale: u16) -> Self {
        // One decimal more than asked for decides the rounding: a root that is not exact has no
        // last digit.
        let fraction = i32::from((scale + 1).div_ceil(DECIMALS as u16));
        let root = natural::square_root(&self.natural_at(-2 * fraction));
        Self::from_natural(false, &root, -fraction, scale).rounded(i32::from(scale))
    }

    /// The scale that PostgreSQL gives a quotient: enough for 16 significant digits, and not below
    /// that of either operand.
    pub(super) fn quotient_scale(&self, divisor: &Self) -> u16 {
        let leading = |value: &Self| (value.weight, value.digits.first().copied().unwrap_or(0));
        quotient_scale(leading(self), self.scale, leading(divisor), divisor.scale)
    }
}

/// [`Digits::quotient_scale`] of operands known by weight, first digit and scale.
pub(super) fn quotient_scale(
    dividend: (i32, u16),
    dividend_scale: u16,
    divisor: (i32, u16),
    divisor_scale: u16,
) -> u16 {
    let weight = dividend.0 - divisor.0 - i32::from(dividend.1 <= divisor.1);
    let scale = (MIN_SIGNIFICANT_DIGITS - weight * DECIMALS)
        .max(i32::from(dividend_scale))
        .max(i32::from(divisor_scale))
        .clamp(0, MAX_DISPLAY_SCALE);
    // At most 1,000.
    scale as u16
}
