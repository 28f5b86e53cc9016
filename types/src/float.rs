//! Text forms of float4 and float8.
//!
//! With `extra_float_digits` above 0, the shortest digits that read back as the same number;
//! PostgreSQL's algorithm (Ryu) keeps strictly inside the rounding interval, so that `1e23`, which
//! lies exactly between two numbers, prints as `9.999999999999999e+22`. With 0 and below, C's `%g`
//! with 15 (float4: 6) digits and fewer.

use std::fmt::{self, Write};

use crate::error::{SqlError, SqlResult};
use crate::integer::{invalid_syntax, is_space};
use crate::sqlstate::SqlState;

/// Reads a `float8`.
///
/// # Errors
/// 22P02; 22003 where the number overflows, or underflows to zero.
pub fn parse_float8(text: &str) -> SqlResult<f64> {
    parse(text, "double precision", f64::INFINITY, f64::NAN, |value| value == 0.0)
}

/// Reads a `float4`, rounding once.
///
/// # Errors
/// 22P02; 22003 where the number overflows, or underflows to zero.
pub fn parse_float4(text: &str) -> SqlResult<f32> {
    parse(text, "real", f32::INFINITY, f32::NAN, |value| value == 0.0)
}

fn parse<F>(text: &str, name: &str, infinity: F, nan: F, is_zero: fn(F) -> bool) -> SqlResult<F>
where
    F: std::str::FromStr + Copy + PartialEq + std::ops::Neg<Output = F>,
{
    let invalid = || invalid_syntax(name, text);
    let start = text.bytes().take_while(|byte| is_space(*byte)).count();
    let number = &text[start..];
    let length = number_length(number.as_bytes());
    let (number, rest) = number.split_at(length);
    if !rest.bytes().all(is_space) && length > 0 && !is_word(number) {
        // What overflows is out of range whatever follows it.
        if let Ok(value) = number.parse::<F>() {
            check_range((number, text), name, value, infinity, is_zero)?;
        }
        return Err(unsupported_hexadecimal(text).unwrap_or_else(invalid));
    }
    if length == 0 || !rest.bytes().all(is_space) {
        return Err(invalid());
    }
    if is_word(number) {
        let unsigned = number.trim_start_matches(['+', '-']);
        let value = if unsigned.eq_ignore_ascii_case("nan") { nan } else { infinity };
        return Ok(if number.starts_with('-') { -value } else { value });
    }
    let value = number.parse::<F>().map_err(|_| invalid())?;
    check_range((number, text), name, value, infinity, is_zero)?;
    Ok(value)
}

fn is_word(number: &str) -> bool {
    number.trim_start_matches(['+', '-']).starts_with(|first: char| first.is_ascii_alphabetic())
}

/// PostgreSQL reads C's hexadecimal floats; nobody is known to send them.
fn unsupported_hexadecimal(text: &str) -> Option<SqlError> {
    let digits = text.trim().trim_start_matches(['+', '-']);
    let prefixed = digits.starts_with("0x") || digits.starts_with("0X");
    (prefixed && digits.as_bytes().get(2).is_some_and(u8::is_ascii_hexdigit))
        .then(|| SqlError::unsupported("hexadecimal input of floating-point numbers"))
}

fn check_range<F>(
    (number, text): (&str, &str),
    name: &str,
    value: F,
    infinity: F,
    is_zero: fn(F) -> bool,
) -> SqlResult<()>
where
    F: Copy + PartialEq + std::ops::Neg<Output = F>,
{
    let mantissa = number.split(['e', 'E']).next().unwrap_or_default();
    let vanished = is_zero(value) && mantissa.bytes().any(|byte| (b'1'..=b'9').contains(&byte));
    if vanished || value == infinity || value == -infinity {
        // PostgreSQL shows the number for float8, and all of the text for float4.
        let shown = if name == "real" { text } else { number };
        return Err(SqlError::new(
            SqlState::NumericValueOutOfRange,
            format!("\"{shown}\" is out of range for type {name}"),
        ));
    }
    Ok(())
}

/// How many bytes at the start C's `strtod` would take.
fn number_length(text: &[u8]) -> usize {
    let digits_from =
        |at: usize| text[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let sign = usize::from(matches!(text.first(), Some(b'+' | b'-')));
    for word in ["infinity", "inf", "nan"] {
        if text[sign..].len() >= word.len()
            && text[sign..sign + word.len()].eq_ignore_ascii_case(word.as_bytes())
        {
            return sign + word.len();
        }
    }
    let whole = digits_from(sign);
    let mut at = sign + whole;
    let mut fraction = 0;
    if text.get(at) == Some(&b'.') {
        fraction = digits_from(at + 1);
        at += 1 + fraction;
    }
    if whole + fraction == 0 {
        return 0;
    }
    if matches!(text.get(at), Some(b'e' | b'E')) {
        let exponent = at + 1 + usize::from(matches!(text.get(at + 1), Some(b'+' | b'-')));
        let digits = if exponent <= text.len() { digits_from(exponent) } else { 0 };
        if digits > 0 {
            at = exponent + digits;
        }
    }
    at
}

/// Appends a `float8` as `float8out` does.
pub fn write_float8(value: f64, extra_float_digits: i32, out: &mut Vec<u8>) {
    if write_special(value, out) {
        return;
    }
    if extra_float_digits <= 0 {
        let digits = usize::try_from((15 + extra_float_digits).max(1)).unwrap_or(1);
        write_general(value, digits, out);
        return;
    }
    let bits = value.to_bits();
    let mut decimal = Decimal::of(format_args!("{value:e}"));
    let fraction = bits & ((1 << 52) - 1);
    let biased = i32::try_from((bits >> 52) & 0x7ff).expect("eleven bits fit");
    let (mantissa, exponent) =
        if biased == 0 { (fraction, -1074) } else { (fraction | (1 << 52), biased - 1075) };
    if decimal.count >= 15 {
        // Of two decimals equally close the even one.
        let rounded = Decimal::of(format_args!("{value:.*e}", decimal.count - 1));
        if rounded.text().parse() == Ok(value) {
            decimal = rounded;
        }
    }
    if decimal.is_halfway(mantissa, exponent) {
        for digits in decimal.count..17 {
            let longer = Decimal::of(format_args!("{value:.digits$e}"));
            if longer.text().parse() == Ok(value) && !longer.is_halfway(mantissa, exponent) {
                decimal = longer;
                break;
            }
        }
    }
    decimal.write(15, out);
}

/// Appends a `float4` as `float4out` does.
pub fn write_float4(value: f32, extra_float_digits: i32, out: &mut Vec<u8>) {
    if write_special(f64::from(value), out) {
        return;
    }
    if extra_float_digits <= 0 {
        let digits = usize::try_from((6 + extra_float_digits).max(1)).unwrap_or(1);
        write_general(f64::from(value), digits, out);
        return;
    }
    let bits = value.to_bits();
    let mut decimal = Decimal::of(format_args!("{value:e}"));
    let fraction = u64::from(bits & ((1 << 23) - 1));
    let biased = i32::try_from((bits >> 23) & 0xff).expect("eight bits fit");
    let (mantissa, exponent) =
        if biased == 0 { (fraction, -149) } else { (fraction | (1 << 23), biased - 150) };
    if decimal.count >= 7 {
        // Of two decimals equally close the even one.
        let rounded = Decimal::of(format_args!("{value:.*e}", decimal.count - 1));
        if rounded.text().parse() == Ok(value) {
            decimal = rounded;
        }
    }
    if decimal.is_halfway(mantissa, exponent) {
        for digits in decimal.count..9 {
            let longer = Decimal::of(format_args!("{value:.digits$e}"));
            if longer.text().parse() == Ok(value) && !longer.is_halfway(mantissa, exponent) {
                decimal = longer;
                break;
            }
        }
    }
    decimal.write(6, out);
}

fn write_special(value: f64, out: &mut Vec<u8>) -> bool {
    let text: &[u8] = if value.is_nan() {
        b"NaN"
    } else if value == f64::INFINITY {
        b"Infinity"
    } else if value == f64::NEG_INFINITY {
        b"-Infinity"
    } else if value == 0.0 {
        if value.is_sign_negative() { b"-0" } else { b"0" }
    } else {
        return false;
    };
    out.extend_from_slice(text);
    true
}

/// C's `%.{digits}g`.
pub(crate) fn write_general(value: f64, digits: usize, out: &mut Vec<u8>) {
    let mut decimal = Decimal::of(format_args!("{value:.*e}", digits - 1));
    decimal.strip_zeros();
    decimal.write(i32::try_from(digits).unwrap_or(i32::MAX), out);
}

/// A number in scientific notation on the stack: `d.ddd × 10^exponent`.
struct Decimal {
    negative: bool,
    digits: [u8; 20],
    count: usize,
    exponent: i32,
    source: Buffer,
}

/// Room for what `{:e}` makes of a float: at most 17 digits, two signs, a point, `e308`.
struct Buffer {
    bytes: [u8; 32],
    length: usize,
}

impl Write for Buffer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length + text.len();
        self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

impl Decimal {
    fn of(scientific: fmt::Arguments<'_>) -> Self {
        let mut source = Buffer { bytes: [0; 32], length: 0 };
        source.write_fmt(scientific).expect("17 digits and an exponent fit 32 bytes");
        let mut decimal = Self { negative: false, digits: [0; 20], count: 0, exponent: 0, source };
        let text = &decimal.source.bytes[..decimal.source.length];
        let mut at = 0;
        while at < text.len() {
            match text[at] {
                b'-' => decimal.negative = true,
                b'.' => {}
                b'e' => break,
                digit => {
                    decimal.digits[decimal.count] = digit;
                    decimal.count += 1;
                }
            }
            at += 1;
        }
        decimal.exponent = std::str::from_utf8(&text[(at + 1).min(text.len())..])
            .ok()
            .and_then(|exponent| exponent.parse().ok())
            .expect("the exponent follows the e");
        decimal
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.source.bytes[..self.source.length])
            .expect("it was written as str")
    }

    fn strip_zeros(&mut self) {
        while self.count > 1 && self.digits[self.count - 1] == b'0' {
            self.count -= 1;
        }
    }

    /// Whether this decimal lies exactly between `mantissa × 2^exponent` and a neighbour.
    ///
    /// Then digits × 10^k = (2·mantissa ± 1) × 2^(exponent - 1). The odd factor has at most 54
    /// bits and the digits at most 57, so that both sides, with the powers of five moved to where
    /// they are whole, fit 128 bits wherever equality is possible: five to a power above 24 divides
    /// neither.
    fn is_halfway(&self, mantissa: u64, exponent: i32) -> bool {
        let digits = self.digits[..self.count]
            .iter()
            .fold(0_u128, |value, digit| value * 10 + u128::from(digit - b'0'));
        let count = i32::try_from(self.count).expect("at most 20 digits");
        let tens = self.exponent - (count - 1);
        if tens.abs() > 24 {
            return false;
        }
        let fives = 5_u128.pow(tens.unsigned_abs());
        // digits × 5^tens × 2^tens on the left, odd × 2^(exponent - 1) on the right.
        let twos = exponent - 1 - tens;
        [2 * u128::from(mantissa) + 1, 2 * u128::from(mantissa) - 1].into_iter().any(|odd| {
            let (left, right) =
                if tens >= 0 { (digits * fives, odd) } else { (digits, odd * fives) };
            if left == 0 || right == 0 {
                return false;
            }
            let shift = i32::try_from(left.trailing_zeros()).unwrap_or(0)
                - i32::try_from(right.trailing_zeros()).unwrap_or(0);
            shift == twos && left >> left.trailing_zeros() == right >> right.trailing_zeros()
        })
    }

    /// As printf's `%g` would with the threshold `precision`: fixed from 10^-4 to below
    /// 10^precision, an exponent of at least two digits elsewhere.
    fn write(&self, precision: i32, out: &mut Vec<u8>) {
        let digits = &self.digits[..self.count];
        if self.negative {
            out.push(b'-');
        }
        if self.exponent < -4 || self.exponent >= precision {
            out.push(digits[0]);
            if digits.len() > 1 {
                out.push(b'.');
                out.extend_from_slice(&digits[1..]);
            }
            out.push(b'e');
            out.push(if self.exponent < 0 { b'-' } else { b'+' });
            let exponent = self.exponent.unsigned_abs();
            if exponent < 10 {
                out.push(b'0');
            }
            crate::integer::write_integer(i64::from(exponent), out);
        } else if self.exponent < 0 {
            out.extend_from_slice(b"0.");
            let zeros = usize::try_from(-self.exponent - 1).expect("the exponent is -4 to -1");
            out.resize(out.len() + zeros, b'0');
            out.extend_from_slice(digits);
        } else {
            let whole = usize::try_from(self.exponent).expect("the exponent is not negative") + 1;
            if digits.len() <= whole {
                out.extend_from_slice(digits);
                out.resize(out.len() + whole - digits.len(), b'0');
            } else {
                out.extend_from_slice(&digits[..whole]);
                out.push(b'.');
                out.extend_from_slice(&digits[whole..]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eight(value: f64, extra: i32) -> String {
        let mut out = Vec::new();
        write_float8(value, extra, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn four(value: f32, extra: i32) -> String {
        let mut out = Vec::new();
        write_float4(value, extra, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn shortest_digits_are_postgresqls() {
        for (value, text) in [
            (1e23, "9.999999999999999e+22"),
            (9_007_199_254_740_993.0, "9.007199254740992e+15"),
            (5e-324, "5e-324"),
            (8.41e21, "8.409999999999999e+21"),
            (1e15, "1e+15"),
            (1e14, "100000000000000"),
            (0.1, "0.1"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (-1.5, "-1.5"),
            (-0.0, "-0"),
            (f64::MAX, "1.7976931348623157e+308"),
        ] {
            assert_eq!(eight(value, 1), text);
        }
        for (value, text) in [
            (2e-44, "2e-44"),
            (1e10, "1e+10"),
            (16_777_216.0, "1.6777216e+07"),
            (33_554_432.0, "3.3554432e+07"),
            (8_388_608.0, "8.388608e+06"),
            (3_023_684.2, "3.0236842e+06"),
            (1e6, "1e+06"),
            (1e5, "100000"),
        ] {
            assert_eq!(four(value, 1), text);
        }
    }

    #[test]
    fn older_styles_round_to_fewer_digits() {
        assert_eq!(eight(0.1 + 0.2, 0), "0.3");
        assert_eq!(eight(1.0 / 3.0, -12), "0.333");
        assert_eq!(eight(123_456.0, -12), "1.23e+05");
        assert_eq!(eight(123_456.0, -15), "1e+05");
        assert_eq!(four(1.0 / 3.0, 0), "0.333333");
    }

    #[test]
    fn text_is_read_as_postgresql_reads_it() {
        assert_eq!(parse_float8(" 1.5e3 ").unwrap(), 1500.0);
        assert_eq!(parse_float8(".5").unwrap(), 0.5);
        assert_eq!(parse_float8("5.").unwrap(), 5.0);
        assert!(parse_float8("nan").unwrap().is_nan());
        assert_eq!(parse_float8("-Inf").unwrap(), f64::NEG_INFINITY);
        for text in ["", " ", "x", "1e", "1 2", "..", "infinit", "e5"] {
            let error = parse_float8(text).unwrap_err();
            assert_eq!(
                error.fields().message,
                format!("invalid input syntax for type double precision: \"{text}\"")
            );
        }
        assert_eq!(
            parse_float8(" 1e-400x").unwrap_err().fields().message,
            "\"1e-400\" is out of range for type double precision"
        );
        assert_eq!(
            parse_float4("1e40").unwrap_err().fields().message,
            "\"1e40\" is out of range for type real"
        );
        assert_eq!(parse_float8("0e-999").unwrap(), 0.0);
        assert_eq!(parse_float8("0x10").unwrap_err().code(), SqlState::FeatureNotSupported);
    }
}
