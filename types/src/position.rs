//! `pg_lsn`, `xid8` and `tid`: places in a log, in time, in a heap. There is neither that log nor a
//! heap here; the types are there for what clients compute. In a datum they are numbers of their
//! order, the unsigned ones with the highest bit flipped.

use crate::error::SqlResult;
use crate::integer::{invalid_syntax, is_space};

/// The number in the datum of an unsigned value.
#[must_use]
pub const fn to_signed(value: u64) -> i64 {
    (value ^ (1 << 63)).cast_signed()
}

/// The unsigned value of the number in its datum.
#[must_use]
pub const fn to_unsigned(number: i64) -> u64 {
    number.cast_unsigned() ^ (1 << 63)
}

/// Reads a `pg_lsn`: two numbers to base 16 around a slash.
///
/// # Errors
/// 22P02
pub fn parse_lsn(text: &str) -> SqlResult<u64> {
    let half = |digits: &str| {
        let valid =
            (1..=8).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        valid.then(|| u64::from_str_radix(digits, 16).ok()).flatten()
    };
    let halves = text.split_once('/').and_then(|(high, low)| Some((half(high)?, half(low)?)));
    let (high, low) = halves.ok_or_else(|| invalid_syntax("pg_lsn", text))?;
    Ok(high << 32 | low)
}

/// Appends the text form of a `pg_lsn`.
pub fn write_lsn(value: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("{:X}/{:X}", value >> 32, value & 0xffff_ffff).as_bytes());
}

/// Reads an `xid8`, as C's `strtoull` does: what follows the digits is left.
#[must_use]
pub fn parse_xid8(text: &str) -> u64 {
    let word = text.trim_start_matches(|c: char| u8::try_from(c).is_ok_and(is_space));
    let (negative, digits) = match word.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, word.strip_prefix('+').unwrap_or(word)),
    };
    let end = digits.bytes().take_while(u8::is_ascii_digit).count();
    let value = match digits[..end].parse::<u64>() {
        Ok(value) => value,
        Err(_) if end == 0 => 0,
        Err(_) => u64::MAX,
    };
    if negative { value.wrapping_neg() } else { value }
}

/// Reads a `tid`: `(block,offset)`.
///
/// # Errors
/// 22P02
pub fn parse_tid(text: &str) -> SqlResult<(u32, u16)> {
    let bad = || invalid_syntax("tid", text);
    let inner = text.trim().strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
    let (block, offset) = inner.and_then(|inner| inner.split_once(',')).ok_or_else(bad)?;
    match (block.trim().parse(), offset.trim().parse()) {
        (Ok(block), Ok(offset)) => Ok((block, offset)),
        _ => Err(bad()),
    }
}

/// The number in the datum of a `tid`.
#[must_use]
pub const fn from_tid(block: u32, offset: u16) -> i64 {
    (block as i64) << 16 | offset as i64
}

/// Block and offset of a `tid` from the number in its datum.
#[must_use]
pub const fn to_tid(number: i64) -> (u32, u16) {
    ((number >> 16) as u32, number as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_and_written() {
        let mut out = Vec::new();
        write_lsn(parse_lsn("16/B374D848").unwrap(), &mut out);
        assert_eq!(out, b"16/B374D848");
        assert!(parse_lsn("1/123456789").is_err());
        assert_eq!(to_tid(from_tid(7, 9)), (7, 9));
        assert_eq!(parse_tid("(4294967295,65535)").unwrap(), (u32::MAX, u16::MAX));
        assert!(parse_tid("(1)").is_err());
        assert_eq!(to_unsigned(to_signed(u64::MAX)), u64::MAX);
        assert!(to_signed(u64::MAX) > to_signed(0));
    }
}
