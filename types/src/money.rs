//! `money`: cents in eight bytes, written as the locale `C` has it, `-$1,234.50`.

use crate::error::{SqlError, SqlResult};
use crate::integer::{invalid_syntax, is_space};
use crate::sqlstate::SqlState;

/// How many digits stand behind the point.
const FRACTION_DIGITS: u32 = 2;

/// 22003
#[must_use]
pub fn out_of_range() -> SqlError {
    crate::integer::out_of_range("money")
}

/// Reads the text form: a sign or parentheses, the currency symbol, digits in groups, a point
/// (PostgreSQL's `cash_in`).
///
/// # Errors
/// 22P02, 22003
pub fn parse(text: &str) -> SqlResult<i64> {
    let too_large = || {
        SqlError::new(
            SqlState::NumericValueOutOfRange,
            format!("value \"{text}\" is out of range for type money"),
        )
    };
    let bytes = text.as_bytes();
    let mut at = 0;
    let skip = |at: &mut usize, symbol: bool| {
        while bytes.get(*at).is_some_and(|byte| is_space(*byte) || (symbol && *byte == b'$')) {
            *at += 1;
        }
    };
    skip(&mut at, true);
    let mut negative = false;
    match bytes.get(at) {
        Some(b'-' | b'(') => {
            negative = true;
            at += 1;
        }
        Some(b'+') => at += 1,
        _ => {}
    }
    skip(&mut at, true);
    // Counted downwards, so that the smallest value can be read.
    let mut value = 0_i64;
    let mut fraction: Option<u32> = None;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'0'..=b'9' if fraction.is_none_or(|count| count < FRACTION_DIGITS) => {
                let digit = i64::from(byte - b'0');
                let grown = value.checked_mul(10).and_then(|value| value.checked_sub(digit));
                value = grown.ok_or_else(too_large)?;
                fraction = fraction.map(|count| count + 1);
            }
            b'.' if fraction.is_none() => fraction = Some(0),
            b',' => {}
            _ => break,
        }
        at += 1;
    }
    if bytes.get(at).is_some_and(|byte| (b'5'..=b'9').contains(byte)) {
        value = value.checked_sub(1).ok_or_else(too_large)?;
    }
    for _ in fraction.unwrap_or(0)..FRACTION_DIGITS {
        value = value.checked_mul(10).ok_or_else(too_large)?;
    }
    for byte in &bytes[at..] {
        match byte {
            b'0'..=b'9' | b')' | b'$' => {}
            b'-' => negative = true,
            byte if is_space(*byte) => {}
            _ => return Err(invalid_syntax("money", text)),
        }
    }
    if !bytes.iter().any(u8::is_ascii_digit) && !bytes.is_empty() {
        // PostgreSQL takes no digits at all for zero, but only where nothing else is wrong.
        return if value == 0 { Ok(0) } else { Err(invalid_syntax("money", text)) };
    }
    if negative { Ok(value) } else { value.checked_neg().ok_or_else(too_large) }
}

/// Appends the text form.
pub fn write(value: i64, out: &mut Vec<u8>) {
    if value < 0 {
        out.push(b'-');
    }
    out.push(b'$');
    let (units, cents) = (value.unsigned_abs() / 100, value.unsigned_abs() % 100);
    let digits = units.to_string();
    for (at, digit) in digits.bytes().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            out.push(b',');
        }
        out.push(digit);
    }
    out.extend_from_slice(format!(".{cents:02}").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_and_written() {
        for (text, written) in [
            ("12", "$12.00"),
            ("-1234567.891", "-$1,234,567.89"),
            ("(3.2)", "-$3.20"),
            (" $ 1,000.005", "$1,000.01"),
            ("-92233720368547758.08", "-$92,233,720,368,547,758.08"),
            ("0.5-", "-$0.50"),
        ] {
            let mut out = Vec::new();
            write(parse(text).unwrap(), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), written);
        }
        assert!(parse("92233720368547758.08").is_err());
        assert!(parse("1x").is_err());
    }
}
