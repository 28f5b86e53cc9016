//! `macaddr` and `macaddr8`: hardware addresses of six and eight bytes. In a datum they are numbers
//! whose order is that of the addresses: the one as it is, the other with its highest bit flipped.

use crate::error::{SqlError, SqlResult};
use crate::integer::{invalid_syntax, is_space};
use crate::sqlstate::SqlState;

/// The number in the datum of a `macaddr8`.
#[must_use]
pub const fn from_eight(address: u64) -> i64 {
    (address ^ (1 << 63)).cast_signed()
}

/// The address of a `macaddr8` from the number in its datum.
#[must_use]
pub const fn to_eight(number: i64) -> u64 {
    number.cast_unsigned() ^ (1 << 63)
}

/// The bytes of a `macaddr`, from the number in its datum.
#[must_use]
pub fn six_bytes(number: i64) -> [u8; 6] {
    let bytes = number.to_be_bytes();
    std::array::from_fn(|at| bytes[at + 2])
}

/// The number of six bytes.
#[must_use]
pub fn from_six_bytes(bytes: [u8; 6]) -> i64 {
    bytes.iter().fold(0, |number, byte| number << 8 | i64::from(*byte))
}

/// Reads a `macaddr`: twelve digits to base 16, in groups of one of the usual ways.
///
/// # Errors
/// 22P02, 22003
pub fn parse_six(text: &str) -> SqlResult<i64> {
    let bad = || invalid_syntax("macaddr", text);
    let word = text.trim_matches(|c: char| u8::try_from(c).is_ok_and(is_space));
    let separator = word.chars().find(|c| matches!(c, ':' | '-' | '.'));
    let groups: Vec<&str> = match separator {
        Some(separator) => word.split(separator).collect(),
        None => vec![word],
    };
    let wanted = match (groups.len(), separator) {
        (6, Some(':' | '-')) => 2,
        (2, Some(':' | '-')) => 6,
        (3, Some('.' | '-')) => 4,
        (1, None) => 12,
        _ => return Err(bad()),
    };
    let mut digits = String::with_capacity(12);
    for group in &groups {
        if group.is_empty() || !group.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(bad());
        }
        if wanted == 2 && group.len() > 2 && group.trim_start_matches('0').len() > 2 {
            return Err(SqlError::new(
                SqlState::NumericValueOutOfRange,
                format!("invalid octet value in \"macaddr\" value: \"{text}\""),
            ));
        }
        if wanted == 2 && group.len() == 1 {
            digits.push('0');
        } else if group.len() != wanted {
            return Err(bad());
        }
        digits.push_str(group);
    }
    i64::from_str_radix(&digits, 16).map_err(|_| bad())
}

/// Reads a `macaddr8`: six or eight pairs of digits; between the first three and the last three of
/// six come `ff:fe`.
///
/// # Errors
/// 22P02
pub fn parse_eight(text: &str) -> SqlResult<u64> {
    let bad = || invalid_syntax("macaddr8", text);
    let word = text.trim_matches(|c: char| u8::try_from(c).is_ok_and(is_space)).as_bytes();
    let mut bytes = Vec::with_capacity(8);
    let mut separator = None;
    let mut at = 0;
    while at < word.len() {
        let pair = word.get(at..at + 2).and_then(|pair| std::str::from_utf8(pair).ok());
        let pair = pair.filter(|pair| pair.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let byte = pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()).ok_or_else(bad)?;
        if bytes.len() == 8 {
            return Err(bad());
        }
        bytes.push(byte);
        at += 2;
        if let Some(next @ (b':' | b'-' | b'.')) = word.get(at) {
            if separator.is_some_and(|separator| separator != *next) || at + 1 == word.len() {
                return Err(bad());
            }
            separator = Some(*next);
            at += 1;
        }
    }
    match bytes.len() {
        6 => {
            bytes.splice(3..3, [0xff, 0xfe]);
        }
        8 => {}
        _ => return Err(bad()),
    }
    Ok(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

/// Appends bytes as pairs of digits between colons.
pub fn write(bytes: &[u8], out: &mut Vec<u8>) {
    let pairs: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    out.extend_from_slice(pairs.join(":").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_usual_way_of_writing_is_read() {
        for text in [
            "08:00:2b:01:02:03",
            "08-00-2b-01-02-03",
            "08002b:010203",
            "08002b-010203",
            "0800.2b01.0203",
            "0800-2b01-0203",
            "08002b010203",
            "8:0:2b:1:2:3",
        ] {
            assert_eq!(six_bytes(parse_six(text).unwrap()), [8, 0, 0x2b, 1, 2, 3], "{text}");
        }
        assert!(parse_six("08:00:2b:01:02").is_err());
        assert_eq!(parse_eight("08:00:2b:01:02:03").unwrap(), 0x0800_2bff_fe01_0203);
        assert_eq!(parse_eight("08002b0102030405").unwrap(), 0x0800_2b01_0203_0405);
    }
}
