//! Sizes in bytes, as people write them.

use super::ScalarTable;
use crate::datum::Datum;
use crate::error::{SqlError, SqlResult};
use crate::numeric::Numeric;
use crate::sqlstate::SqlState;

pub(super) static SCALARS: ScalarTable = &[
    ("pg_size_pretty", |_, a| {
        let size = Numeric::from_i128(a[0].as_int8().into());
        pretty(size).map(Datum::text)
    }),
    ("pg_size_pretty_numeric", |_, a| pretty(a[0].as_numeric().clone()).map(Datum::text)),
    ("pg_size_bytes", |_, a| bytes(a[0].as_text()).map(Datum::Int8)),
];

struct Unit {
    name: &'static str,
    /// From which number of half units on, or of bytes, the next unit is shown.
    limit: i128,
    /// The power of two.
    power: u32,
    /// Whether half units are counted, to be rounded when they are shown.
    half: bool,
}

const UNITS: [Unit; 6] = [
    Unit { name: "bytes", limit: 10 * 1024, power: 0, half: false },
    Unit { name: "kB", limit: 20 * 1024 - 1, power: 10, half: true },
    Unit { name: "MB", limit: 20 * 1024 - 1, power: 20, half: true },
    Unit { name: "GB", limit: 20 * 1024 - 1, power: 30, half: true },
    Unit { name: "TB", limit: 20 * 1024 - 1, power: 40, half: true },
    Unit { name: "PB", limit: 20 * 1024 - 1, power: 50, half: true },
];

fn pretty(mut size: Numeric) -> SqlResult<String> {
    for (unit, next) in UNITS.iter().zip(UNITS[1..].iter().map(Some).chain([None])) {
        if let Some(next) = next
            && size.abs() >= Numeric::from_i128(unit.limit)
        {
            let power = next.power - unit.power - u32::from(next.half) + u32::from(unit.half);
            size = size.div_trunc(&Numeric::from_i128(1 << power))?;
            continue;
        }
        if unit.half {
            let one = Numeric::from_i128(1);
            let up = if size >= Numeric::from_i128(0) { one } else { one.neg() };
            size = size.add(&up)?.div_trunc(&Numeric::from_i128(2))?;
        }
        return Ok(format!("{size} {}", unit.name));
    }
    Err(SqlError::internal("the last unit has no next one"))
}

fn bytes(text: &str) -> SqlResult<i64> {
    let invalid =
        || SqlError::new(SqlState::InvalidParameterValue, format!("invalid size: \"{text}\""));
    let trimmed = text.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b');
    let at = number_end(trimmed).ok_or_else(invalid)?;
    let (number, rest) = trimmed.split_at(at);
    let mut size = Numeric::parse(number)?;
    let unit = rest.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b');
    if !unit.is_empty() {
        let known = UNITS.iter().find(|known| known.name.eq_ignore_ascii_case(unit));
        let known = known.ok_or_else(|| {
            invalid()
                .detail(format!("Invalid size unit: \"{unit}\"."))
                .hint("Valid units are \"bytes\", \"kB\", \"MB\", \"GB\", \"TB\", and \"PB\".")
        })?;
        size = size.mul(&Numeric::from_i128(1 << known.power))?;
    }
    size.to_i64()
}

/// Where the number ends that a text begins with: a sign, digits with a point, and an exponent if
/// it is whole.
fn number_end(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let digits = |from: usize| {
        from + bytes[from.min(bytes.len())..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count()
    };
    let start = usize::from(matches!(bytes.first(), Some(b'-' | b'+')));
    let mut end = digits(start);
    let mut has_digits = end > start;
    if bytes.get(end) == Some(&b'.') {
        let after = digits(end + 1);
        has_digits |= after > end + 1;
        end = after;
    }
    if !has_digits {
        return None;
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'-' | b'+')));
        let after = digits(end + 1 + sign);
        if after > end + 1 + sign {
            end = after;
        }
    }
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_to_their_unit() {
        for (size, text) in [
            ("0", "0 bytes"),
            ("10239", "10239 bytes"),
            ("10240", "10 kB"),
            ("-10240", "-10 kB"),
            ("10485247", "10239 kB"),
            ("10485248", "10 MB"),
            ("9223372036854775807", "8192 PB"),
            ("13.70", "13.70 bytes"),
            ("-Infinity", "-Infinity PB"),
        ] {
            assert_eq!(pretty(Numeric::parse(size).unwrap()).unwrap(), text);
        }
    }

    #[test]
    fn sizes_are_read_with_their_unit() {
        for (text, size) in [
            ("1.5 GB", 1_610_612_736),
            (" -1 kb ", -1024),
            ("1e3 MB", 1_048_576_000),
            ("1 bytes", 1),
            (".5 MB", 524_288),
            ("1.", 1),
        ] {
            assert_eq!(bytes(text).unwrap(), size, "{text}");
        }
        for text in ["", "1 xx", "1e", ".", "10000 PB", "e1"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }
}
