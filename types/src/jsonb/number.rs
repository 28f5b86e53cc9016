//! Numbers within jsonb: decimals with the scale that they were written with.
//!
//! Whole numbers that fit an `int8` are kept as such; all others as digits with an exponent, so that
//! `1e131071` takes a few bytes until it is printed. The bounds are those of `numeric`.

use std::cmp::Ordering;

use super::node::{DECIMAL, INTEGER, Node};
use crate::error::{SqlError, SqlResult};
use crate::sqlstate::SqlState;

/// Digits before the point at most, as in `numeric`.
const INTEGER_DIGITS_MAX: i64 = 131_072;
/// Digits after the point at most, as in `numeric`.
const SCALE_MAX: i64 = 16_383;
/// Sign, scale, exponent.
const DECIMAL_HEADER_BYTES: usize = 7;

/// A decimal number: `±0.d₁d₂d₃… × 10^exponent`, shown with `scale` digits after the point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decimal {
    negative: bool,
    scale: u16,
    exponent: i32,
    /// 0 to 9 each; neither the first nor the last is 0; none for zero.
    digits: Vec<u8>,
}

fn overflow() -> SqlError {
    SqlError::new(SqlState::NumericValueOutOfRange, "value overflows numeric format")
}

impl Decimal {
    /// Reads a number by JSON's grammar.
    ///
    /// # Errors
    /// 22003 beyond the bounds of `numeric`.
    pub fn parse(text: &str) -> SqlResult<Self> {
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, power) = match text.split_once(['e', 'E']) {
            Some((mantissa, power)) => (mantissa, parse_power(power)?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let length = |part: &str| i64::try_from(part.len()).map_err(|_| overflow());
        let scale = (length(fraction)? - power).max(0);
        if scale > SCALE_MAX {
            return Err(overflow());
        }
        let mut digits: Vec<u8> =
            whole.bytes().chain(fraction.bytes()).map(|byte| byte.wrapping_sub(b'0')).collect();
        let leading = digits.iter().take_while(|digit| **digit == 0).count();
        digits.drain(..leading);
        while digits.last() == Some(&0) {
            digits.pop();
        }
        let scale = u16::try_from(scale).map_err(|_| overflow())?;
        if digits.is_empty() {
            return Ok(Self { negative: false, scale, exponent: 0, digits });
        }
        let leading = i64::try_from(leading).map_err(|_| overflow())?;
        let exponent = length(whole)? + power - leading;
        if exponent > INTEGER_DIGITS_MAX {
            return Err(overflow());
        }
        let exponent = i32::try_from(exponent).map_err(|_| overflow())?;
        Ok(Self { negative, scale, exponent, digits })
    }

    /// A whole number.
    #[must_use]
    pub fn from_integer(value: i64) -> Self {
        let text = value.unsigned_abs().to_string();
        let mut digits: Vec<u8> = text.bytes().map(|byte| byte - b'0').collect();
        let exponent = i32::try_from(digits.len()).expect("an int8 has at most 19 digits");
        while digits.last() == Some(&0) {
            digits.pop();
        }
        let exponent = if digits.is_empty() { 0 } else { exponent };
        Self { negative: value < 0, scale: 0, exponent, digits }
    }

    /// The value if it is whole, written without a point, and fits.
    fn as_plain_integer(&self) -> Option<i64> {
        if self.scale > 0 { None } else { self.round_to_integer() }
    }

    /// The nearest whole number, halves away from zero; none if it does not fit an `int8`.
    #[must_use]
    pub fn round_to_integer(&self) -> Option<i64> {
        let whole = match usize::try_from(self.exponent) {
            Ok(whole) => whole,
            Err(_) => return Some(0),
        };
        if whole > 19 {
            return None;
        }
        let mut value: i128 = 0;
        for at in 0..whole {
            value = value * 10 + i128::from(self.digits.get(at).copied().unwrap_or(0));
        }
        if self.digits.get(whole).is_some_and(|digit| *digit >= 5) {
            value += 1;
        }
        i64::try_from(if self.negative { -value } else { value }).ok()
    }

    /// Appends the text form: no exponent, `scale` digits after the point.
    pub fn write_text(&self, out: &mut Vec<u8>) {
        if self.negative {
            out.push(b'-');
        }
        let whole = i64::from(self.exponent);
        let digit = |at: i64| {
            let digit = usize::try_from(at).ok().and_then(|at| self.digits.get(at));
            b'0' + digit.copied().unwrap_or(0)
        };
        if whole <= 0 {
            out.push(b'0');
        } else {
            out.extend((0..whole).map(digit));
        }
        if self.scale > 0 {
            out.push(b'.');
            out.extend((whole..whole + i64::from(self.scale)).map(digit));
        }
    }

    /// Appends this number's node.
    pub(super) fn write_node(&self, out: &mut Vec<u8>) {
        if let Some(value) = self.as_plain_integer() {
            write_integer(value, out);
            return;
        }
        out.push(DECIMAL);
        out.push(u8::from(self.negative));
        out.extend_from_slice(&self.scale.to_be_bytes());
        out.extend_from_slice(&self.exponent.to_be_bytes());
        out.extend(self.digits.chunks(2).map(|pair| pair[0] * 10 + pair.get(1).unwrap_or(&0)));
    }

    /// Appends bytes that sort as the number does, whatever its scale, and end where they end.
    pub(super) fn encode_key(&self, out: &mut Vec<u8>) {
        if self.digits.is_empty() {
            out.push(1);
            return;
        }
        out.push(if self.negative { 0 } else { 2 });
        let body_from = out.len();
        let biased = self.exponent.cast_unsigned() ^ 0x8000_0000;
        out.extend_from_slice(&biased.to_be_bytes());
        out.extend(self.digits.chunks(2).map(|pair| 1 + pair[0] * 10 + pair.get(1).unwrap_or(&0)));
        out.push(0);
        if self.negative {
            for byte in &mut out[body_from..] {
                *byte = !*byte;
            }
        }
    }

    /// The order of values; the scale does not count.
    pub(super) fn compare(&self, other: &Self) -> Ordering {
        let sign = |number: &Self| match (number.digits.is_empty(), number.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        };
        sign(self).cmp(&sign(other)).then_with(|| {
            let magnitudes =
                self.exponent.cmp(&other.exponent).then_with(|| self.digits.cmp(&other.digits));
            if self.negative { magnitudes.reverse() } else { magnitudes }
        })
    }
}

/// The power of ten after `e`; PostgreSQL refuses those near the bounds of an `int4`.
fn parse_power(text: &str) -> SqlResult<i64> {
    const BOUND: i64 = (i32::MAX / 2) as i64;
    let (negative, digits) = match text.as_bytes() {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    let mut power = 0i64;
    for digit in digits {
        power = power * 10 + i64::from(digit.wrapping_sub(b'0'));
        if power >= BOUND {
            return Err(overflow());
        }
    }
    Ok(if negative { -power } else { power })
}

/// Appends the node of a whole number.
pub(super) fn write_integer(value: i64, out: &mut Vec<u8>) {
    out.push(INTEGER);
    let bytes = value.to_be_bytes();
    out.extend_from_slice(&bytes[8 - integer_length(value)..]);
}

/// How many bytes of two's complement hold a whole number; none for 0.
fn integer_length(value: i64) -> usize {
    let significant_bits = match value {
        0 => return 0,
        value if value < 0 => 65 - value.leading_ones(),
        value => 65 - value.leading_zeros(),
    };
    significant_bits.div_ceil(8) as usize
}

fn read_integer(payload: &[u8]) -> i64 {
    let fill = if payload.first().is_some_and(|byte| *byte >= 0x80) { 0xff } else { 0 };
    let mut bytes = [fill; 8];
    bytes[8 - payload.len()..].copy_from_slice(payload);
    i64::from_be_bytes(bytes)
}

pub(super) fn is_valid_integer(payload: &[u8]) -> bool {
    payload.len() <= 8 && integer_length(read_integer(payload)) == payload.len()
}

fn read_decimal(payload: &[u8]) -> Option<Decimal> {
    let (header, pairs) = payload.split_at_checked(DECIMAL_HEADER_BYTES)?;
    let [sign @ (0 | 1), s0, s1, e0, e1, e2, e3] = *header else {
        return None;
    };
    let mut digits = Vec::with_capacity(pairs.len() * 2);
    for pair in pairs {
        if *pair > 99 {
            return None;
        }
        digits.extend_from_slice(&[pair / 10, pair % 10]);
    }
    if digits.last() == Some(&0) {
        digits.pop();
    }
    Some(Decimal {
        negative: sign == 1,
        scale: u16::from_be_bytes([s0, s1]),
        exponent: i32::from_be_bytes([e0, e1, e2, e3]),
        digits,
    })
}

pub(super) fn is_valid_decimal(payload: &[u8]) -> bool {
    let Some(decimal) = read_decimal(payload) else {
        return false;
    };
    let scale = i64::from(decimal.scale);
    if scale > SCALE_MAX || decimal.as_plain_integer().is_some() {
        return false;
    }
    if decimal.digits.is_empty() {
        return !decimal.negative && decimal.exponent == 0;
    }
    let stripped = decimal.digits[0] != 0 && decimal.digits.last() != Some(&0);
    let exponent = i64::from(decimal.exponent);
    let fraction = i64::try_from(decimal.digits.len()).unwrap_or(i64::MAX) - exponent;
    stripped && exponent <= INTEGER_DIGITS_MAX && fraction <= scale
}

impl Node<'_> {
    /// The number, if it is one.
    #[must_use]
    pub fn as_decimal(self) -> Option<Decimal> {
        match self.bytes().split_first()? {
            (&INTEGER, payload) => Some(Decimal::from_integer(read_integer(payload))),
            (&DECIMAL, payload) => read_decimal(payload),
            _ => None,
        }
    }

    /// The whole number, if it is one that is kept as such.
    fn as_integer(self) -> Option<i64> {
        match self.bytes().split_first()? {
            (&INTEGER, payload) => Some(read_integer(payload)),
            _ => None,
        }
    }
}

/// The order of two numbers' nodes.
pub(super) fn compare(a: Node<'_>, b: Node<'_>) -> Ordering {
    match (a.as_integer(), b.as_integer()) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => match (a.as_decimal(), b.as_decimal()) {
            (Some(a), Some(b)) => a.compare(&b),
            (a, b) => a.is_some().cmp(&b.is_some()),
        },
    }
}
