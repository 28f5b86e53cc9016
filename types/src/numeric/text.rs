//! The text form of a numeric (PostgreSQL 15, chapters 4.1.2.6 and 8.1.2), and `Debug` and `Display`.

use std::fmt;

use super::digits::Digits;
use super::{MAX_SCALE, Numeric, Repr, Special, overflow};
use crate::error::{SqlError, SqlResult};
use crate::sqlstate::SqlState;

/// Exponents of this size or beyond are refused before anything is computed.
const EXPONENT_LIMIT: i64 = (i32::MAX / 2) as i64;

impl Numeric {
    /// Reads the text form: a decimal number with an optional exponent, `NaN`, `Infinity` or `inf`
    /// in any case, with spaces around it.
    ///
    /// # Errors
    /// 22P02 for anything else, 22003 beyond the limits of the type.
    pub fn parse(text: &str) -> SqlResult<Self> {
        let trimmed = text.trim_matches(is_space).as_bytes();
        parse_special(trimmed)
            .map_or_else(|| parse_finite(trimmed), |special| Some(Ok(special)))
            .unwrap_or_else(|| {
                Err(SqlError::new(
                    SqlState::InvalidTextRepresentation,
                    format!("invalid input syntax for type numeric: \"{text}\""),
                ))
            })
    }

    /// Appends the text form.
    pub fn write_text(&self, out: &mut Vec<u8>) {
        match &self.0 {
            Repr::Small { scale, coefficient } => write_small(*coefficient, *scale, out),
            Repr::Large(digits) => write_large(digits, out),
            Repr::Special(Special::Nan) => out.extend_from_slice(b"NaN"),
            Repr::Special(Special::Infinity) => out.extend_from_slice(b"Infinity"),
            Repr::Special(Special::NegativeInfinity) => out.extend_from_slice(b"-Infinity"),
        }
    }

    /// The value as `d.ddde+dd` with `decimals` digits after the point; nothing for NaN and the
    /// infinities. A mantissa that rounds up to 10 stays, as in PostgreSQL.
    pub(crate) fn to_scientific(&self, decimals: usize) -> Option<String> {
        let digits = self.unpack().ok()?;
        let exponent = digits.magnitude();
        // A quotient by a power of ten: more decimals than these are zeros.
        let scale = decimals.min(usize::from(u16::MAX - 8)) as u16;
        let power = Digits::new(
            false,
            exponent.div_euclid(4),
            0,
            vec![10_u16.pow(exponent.rem_euclid(4).unsigned_abs())],
        );
        let mut text = Vec::new();
        write_large(&digits.divided_by(&power, scale, true), &mut text);
        text.extend(std::iter::repeat_n(b'0', decimals - usize::from(scale)));
        let mut text = String::from_utf8_lossy(&text).into_owned();
        let sign = if exponent < 0 { '-' } else { '+' };
        text.push_str(&format!("e{sign}{:02}", exponent.abs()));
        Some(text)
    }
}

impl fmt::Display for Numeric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::with_capacity(24);
        self.write_text(&mut text);
        f.pad_integral(true, "", &String::from_utf8_lossy(&text))
    }
}

impl fmt::Debug for Numeric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Numeric {
    type Err = SqlError;

    fn from_str(text: &str) -> SqlResult<Self> {
        Self::parse(text)
    }
}

/// What C's `isspace` calls a space.
fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t'..='\r')
}

fn parse_special(text: &[u8]) -> Option<Numeric> {
    if text.eq_ignore_ascii_case(b"nan") {
        return Some(Numeric::NAN);
    }
    let (negative, name) = match text {
        [b'-', name @ ..] => (true, name),
        [b'+', name @ ..] => (false, name),
        name => (false, name),
    };
    if name.eq_ignore_ascii_case(b"infinity") || name.eq_ignore_ascii_case(b"inf") {
        return Some(if negative { Numeric::NEGATIVE_INFINITY } else { Numeric::INFINITY });
    }
    None
}

/// A decimal number, or nothing if this is none.
fn parse_finite(text: &[u8]) -> Option<SqlResult<Numeric>> {
    let (negative, rest) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let (integer, rest) = split_digits(rest);
    let (fraction, rest) = match rest {
        [b'.', rest @ ..] => split_digits(rest),
        rest => (&[][..], rest),
    };
    if integer.is_empty() && fraction.is_empty() {
        return None;
    }
    let exponent = match rest {
        [] => 0,
        [b'e' | b'E', rest @ ..] => parse_exponent(rest)?,
        _ => return None,
    };
    if exponent == 0 && integer.len() + fraction.len() <= 18 {
        let absolute = integer
            .iter()
            .chain(fraction)
            .fold(0_i64, |value, digit| value * 10 + i64::from(digit - b'0'));
        let coefficient = if negative { -absolute } else { absolute };
        // At most 18.
        return Some(Ok(Numeric(Repr::Small { scale: fraction.len() as u8, coefficient })));
    }
    if exponent.abs() >= EXPONENT_LIMIT {
        return Some(Err(overflow()));
    }
    Some(assemble(negative, integer, fraction, exponent))
}

fn split_digits(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

/// The exponent as C's `strtol` reads it, leading spaces included; saturated.
fn parse_exponent(text: &[u8]) -> Option<i64> {
    let text = &text[text.iter().position(|byte| !is_space(char::from(*byte)))?..];
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let absolute = digits.iter().fold(0_i64, |value, digit| {
        value.saturating_mul(10).saturating_add(i64::from(digit - b'0'))
    });
    Some(if negative { -absolute } else { absolute })
}

/// ± integer.fraction × 10^exponent.
fn assemble(negative: bool, integer: &[u8], fraction: &[u8], exponent: i64) -> SqlResult<Numeric> {
    let fraction_length = i64::try_from(fraction.len()).map_err(|_| overflow())?;
    // The power of ten of the last decimal digit.
    let lowest = exponent - fraction_length;
    let scale = u16::try_from((-lowest).max(0)).map_err(|_| overflow())?;
    if scale > MAX_SCALE {
        return Err(overflow());
    }
    let mut decimals: Vec<u8> =
        integer.iter().chain(fraction).skip_while(|digit| **digit == b'0').copied().collect();
    if decimals.is_empty() {
        return Numeric::pack(Digits::zero(scale));
    }
    let padding = lowest.rem_euclid(4);
    decimals.extend((0..padding).map(|_| b'0'));
    let digits: Vec<u16> = decimals
        .rchunks(4)
        .rev()
        .map(|chunk| chunk.iter().fold(0, |digit, byte| digit * 10 + u16::from(byte - b'0')))
        .collect();
    let count = i64::try_from(digits.len()).map_err(|_| overflow())?;
    let weight = i32::try_from(lowest.div_euclid(4) + count - 1).map_err(|_| overflow())?;
    Numeric::pack(Digits::new(negative, weight, scale, digits))
}

fn write_small(coefficient: i64, scale: u8, out: &mut Vec<u8>) {
    // 19 digits of the coefficient, a zero before the point, the point, the sign.
    let mut buffer = [0_u8; 24];
    let mut at = buffer.len();
    let mut rest = coefficient.unsigned_abs();
    let mut written = 0;
    while rest > 0 || written <= scale {
        if written == scale && scale > 0 {
            at -= 1;
            buffer[at] = b'.';
        }
        at -= 1;
        buffer[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        written += 1;
    }
    if coefficient < 0 {
        at -= 1;
        buffer[at] = b'-';
    }
    out.extend_from_slice(&buffer[at..]);
}

fn write_large(digits: &Digits, out: &mut Vec<u8>) {
    if digits.negative {
        out.push(b'-');
    }
    if digits.weight < 0 {
        // Nothing stands before the point.
        out.push(b'0');
    }
    for weight in (0..=digits.weight).rev() {
        let digit = digits.digit(weight);
        let decimals = decimals(digit);
        let skipped = if weight == digits.weight { 3 - digit.max(1).ilog10() as usize } else { 0 };
        out.extend_from_slice(&decimals[skipped..]);
    }
    if digits.scale == 0 {
        return;
    }
    out.push(b'.');
    let mut left = usize::from(digits.scale);
    let mut weight = -1;
    while left > 0 {
        let decimals = decimals(digits.digit(weight));
        let taken = left.min(4);
        out.extend_from_slice(&decimals[..taken]);
        left -= taken;
        weight -= 1;
    }
}

/// The four decimals of a digit.
fn decimals(digit: u16) -> [u8; 4] {
    // Every summand is below 10.
    [digit / 1_000, digit / 100 % 10, digit / 10 % 10, digit % 10]
        .map(|decimal| b'0' + decimal as u8)
}
