//! Text forms of the integer types.
//!
//! Reading follows PostgreSQL's `pg_strtoint16/32/64`: blanks on either side, one sign, digits.
//! A number that overflows is out of range even if what follows it is no digit.

use crate::error::{SqlError, SqlResult};
use crate::sqlstate::SqlState;

/// What C's `isspace` takes for a blank.
#[must_use]
pub const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

/// `22P02` for text that is no value of the type.
#[must_use]
pub fn invalid_syntax(type_name: &str, text: &str) -> SqlError {
    SqlError::new(
        SqlState::InvalidTextRepresentation,
        format!("invalid input syntax for type {type_name}: \"{text}\""),
    )
}

/// `22003` for text whose value the type cannot hold.
#[must_use]
pub fn value_out_of_range(type_name: &str, text: &str) -> SqlError {
    SqlError::new(
        SqlState::NumericValueOutOfRange,
        format!("value \"{text}\" is out of range for type {type_name}"),
    )
}

/// `22003` for a result that the type cannot hold: `integer out of range`.
#[must_use]
pub fn out_of_range(type_name: &str) -> SqlError {
    SqlError::new(SqlState::NumericValueOutOfRange, format!("{type_name} out of range"))
}

/// `22012`.
#[must_use]
pub fn division_by_zero() -> SqlError {
    SqlError::new(SqlState::DivisionByZero, "division by zero")
}

fn parse(text: &str, type_name: &str, minimum: i64, maximum: i64) -> SqlResult<i64> {
    let bytes = text.as_bytes();
    let start = bytes.iter().take_while(|byte| is_space(**byte)).count();
    let mut rest = &bytes[start..];
    let negative = match rest.first() {
        Some(b'-') => {
            rest = &rest[1..];
            true
        }
        Some(b'+') => {
            rest = &rest[1..];
            false
        }
        _ => false,
    };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 {
        return Err(invalid_syntax(type_name, text));
    }
    let mut value = 0_i64;
    for digit in &rest[..digits] {
        // Accumulated as a negative number, whose range is the larger one.
        value = value
            .checked_mul(10)
            .and_then(|value| value.checked_sub(i64::from(digit - b'0')))
            .ok_or_else(|| value_out_of_range(type_name, text))?;
    }
    let value = if negative { Some(value) } else { value.checked_neg() };
    let value = value
        .filter(|value| (minimum..=maximum).contains(value))
        .ok_or_else(|| value_out_of_range(type_name, text))?;
    if !rest[digits..].iter().all(|byte| is_space(*byte)) {
        return Err(invalid_syntax(type_name, text));
    }
    Ok(value)
}

/// Reads an `int2`.
///
/// # Errors
/// 22P02, 22003.
pub fn parse_int2(text: &str) -> SqlResult<i16> {
    parse(text, "smallint", i64::from(i16::MIN), i64::from(i16::MAX))
        .map(|value| i16::try_from(value).expect("the range was checked"))
}

/// Reads an `int4`.
///
/// # Errors
/// 22P02, 22003.
pub fn parse_int4(text: &str) -> SqlResult<i32> {
    parse(text, "integer", i64::from(i32::MIN), i64::from(i32::MAX))
        .map(|value| i32::try_from(value).expect("the range was checked"))
}

/// Reads an `int8`.
///
/// # Errors
/// 22P02, 22003.
pub fn parse_int8(text: &str) -> SqlResult<i64> {
    parse(text, "bigint", i64::MIN, i64::MAX)
}

/// Reads an `oid`, which PostgreSQL reads with `strtoul`: negative numbers wrap around.
///
/// # Errors
/// 22P02, 22003.
pub fn parse_oid(text: &str) -> SqlResult<u32> {
    let digits = text.trim_matches(|c: char| u8::try_from(c).is_ok_and(is_space));
    let digits = digits.strip_prefix(['+', '-']).unwrap_or(digits);
    // Unlike the integers', an oid's range is looked at last.
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(invalid_syntax("oid", text));
    }
    let value = parse(text, "oid", -i64::from(u32::MAX), i64::from(u32::MAX))?;
    if value < i64::from(i32::MIN) {
        return Err(value_out_of_range("oid", text));
    }
    Ok(u32::try_from(value.rem_euclid(1 << 32)).expect("the remainder is below 2^32"))
}

/// Reads an `xid` or `cid` as `strtoul` with base 0 does, which PostgreSQL does not check: what is
/// no number is 0, and what is too large is the largest.
#[must_use]
pub fn parse_xid(text: &str) -> u32 {
    let text =
        text.trim_start_matches(|character: char| u8::try_from(character).is_ok_and(is_space));
    let (negative, text) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let (radix, digits) = match text.as_bytes() {
        [b'0', b'x' | b'X', digit, ..] if digit.is_ascii_hexdigit() => (16, &text[2..]),
        [b'0', ..] => (8, text),
        _ => (10, text),
    };
    let mut value = 0_u64;
    for digit in digits.chars().map_while(|character| character.to_digit(radix)) {
        value = value.saturating_mul(u64::from(radix)).saturating_add(u64::from(digit));
    }
    let value = if negative { value.wrapping_neg() } else { value };
    u32::try_from(value & u64::from(u32::MAX)).expect("masked to 32 bits")
}

/// Appends the decimal digits of a number; no allocation.
pub fn write_integer(value: i64, out: &mut Vec<u8>) {
    // 19 digits and a sign.
    let mut buffer = [0_u8; 20];
    let mut at = buffer.len();
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        buffer[at] = b'0' + u8::try_from(rest % 10).expect("a remainder of 10 is below 10");
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        at -= 1;
        buffer[at] = b'-';
    }
    out.extend_from_slice(&buffer[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: i64) -> String {
        let mut out = Vec::new();
        write_integer(value, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_are_written_in_full_range() {
        for value in [0, 7, -7, 10, i64::MAX, i64::MIN] {
            assert_eq!(written(value), value.to_string());
        }
    }

    #[test]
    fn text_is_read_as_postgresql_reads_it() {
        assert_eq!(parse_int4(" +12\t").unwrap(), 12);
        assert_eq!(parse_int8("-9223372036854775808").unwrap(), i64::MIN);
        assert_eq!(
            parse_int4("99999999999abc").unwrap_err().fields().message,
            "value \"99999999999abc\" is out of range for type integer"
        );
        assert_eq!(parse_int2("").unwrap_err().code(), SqlState::InvalidTextRepresentation);
        assert_eq!(parse_int2("1 2").unwrap_err().code(), SqlState::InvalidTextRepresentation);
        assert_eq!(parse_oid("-1").unwrap(), u32::MAX);
        assert_eq!(parse_xid("0x10"), 16);
        assert_eq!(parse_xid("abc"), 0);
    }
}
