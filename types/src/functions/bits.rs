//! Bit strings: comparison, logic, parts, conversions (PostgreSQL 15, chapter 9.6).

use std::sync::Arc;

use super::ScalarTable;
use crate::bits::{Bits, LENGTH_MAX};
use crate::datum::Datum;
use crate::error::{SqlError, SqlResult};
use crate::integer::out_of_range;
use crate::sqlstate::SqlState;

macro_rules! compare_bits {
    ($test:ident) => {
        |_, a| Ok(Datum::Bool(a[0].as_bits().cmp(a[1].as_bits()).$test()))
    };
}

pub(super) static SCALARS: ScalarTable = &[
    ("biteq", compare_bits!(is_eq)),
    ("bitne", compare_bits!(is_ne)),
    ("bitlt", compare_bits!(is_lt)),
    ("bitle", compare_bits!(is_le)),
    ("bitgt", compare_bits!(is_gt)),
    ("bitge", compare_bits!(is_ge)),
    ("bitcmp", |_, a| Ok(Datum::Int4(a[0].as_bits().cmp(a[1].as_bits()) as i32))),
    ("bit_and", |_, a| combine(a, "AND", |left, right| left & right)),
    ("bit_or", |_, a| combine(a, "OR", |left, right| left | right)),
    ("bitxor", |_, a| combine(a, "XOR", |left, right| left ^ right)),
    ("bitnot", |_, a| Ok(datum(a[0].as_bits().inverted()))),
    ("bitshiftleft", |_, a| Ok(datum(a[0].as_bits().shifted_left(i64::from(a[1].as_int4()))))),
    ("bitshiftright", |_, a| Ok(datum(a[0].as_bits().shifted_left(-i64::from(a[1].as_int4()))))),
    ("bitcat", |_, a| Ok(datum(a[0].as_bits().concat(a[1].as_bits())?))),
    ("bitsubstr", |_, a| Ok(datum(part(a[0].as_bits(), a[1].as_int4(), Some(a[2].as_int4()))?))),
    ("bitsubstr_no_len", |_, a| Ok(datum(part(a[0].as_bits(), a[1].as_int4(), None)?))),
    ("bitlength", |_, a| super::text::length(a[0].as_bits().length())),
    ("bit_length(bit)", |_, a| super::text::length(a[0].as_bits().length())),
    ("bitoctetlength", |_, a| super::text::length(a[0].as_bits().bytes().len())),
    ("bitposition", |_, a| super::text::length(a[0].as_bits().position(a[1].as_bits()))),
    ("bit_bit_count", |_, a| {
        Ok(Datum::Int8(i64::try_from(a[0].as_bits().count_ones()).unwrap_or(i64::MAX)))
    }),
    ("bit", |_, a| Ok(datum(a[0].as_bits().clone().coerced_bit(a[1].as_int4(), a[2].as_bool())?))),
    ("varbit", |_, a| {
        Ok(datum(a[0].as_bits().clone().coerced_varbit(a[1].as_int4(), a[2].as_bool())?))
    }),
    ("bitfromint4", |_, a| Ok(from_integer(i64::from(a[0].as_int4()), 32, a[1].as_int4()))),
    ("bitfromint8", |_, a| Ok(from_integer(a[0].as_int8(), 64, a[1].as_int4()))),
    ("bittoint4", |_, a| {
        let value = to_integer(a[0].as_bits(), 32, "integer")?;
        Ok(Datum::Int4((value as u32).cast_signed()))
    }),
    ("bittoint8", |_, a| Ok(Datum::Int8(to_integer(a[0].as_bits(), 64, "bigint")?.cast_signed()))),
    ("bitoverlay", |_, a| overlay(a[0].as_bits(), a[1].as_bits(), a[2].as_int4(), a[3].as_int4())),
    ("bitoverlay_no_len", |_, a| {
        let length = i32::try_from(a[1].as_bits().length()).unwrap_or(i32::MAX);
        overlay(a[0].as_bits(), a[1].as_bits(), a[2].as_int4(), length)
    }),
    ("bitgetbit", |_, a| {
        let at = index(a[0].as_bits(), a[1].as_int4())?;
        Ok(Datum::Int4(i32::from(a[0].as_bits().get(at))))
    }),
    ("bitsetbit", |_, a| {
        let at = index(a[0].as_bits(), a[1].as_int4())?;
        let bit = a[2].as_int4();
        if !(0..=1).contains(&bit) {
            return Err(SqlError::new(SqlState::InvalidParameterValue, "new bit must be 0 or 1"));
        }
        let mut bits = a[0].as_bits().clone();
        bits.set(at, bit == 1);
        Ok(datum(bits))
    }),
];

fn datum(bits: Bits) -> Datum {
    Datum::Bits(Arc::new(bits))
}

/// Two strings of bits of one length, bit by bit.
pub(in crate::functions) fn combine(
    a: &[Datum],
    word: &str,
    operation: fn(u8, u8) -> u8,
) -> SqlResult<Datum> {
    let (left, right) = (a[0].as_bits(), a[1].as_bits());
    if left.length() != right.length() {
        return Err(SqlError::new(
            SqlState::StringDataLengthMismatch,
            format!("cannot {word} bit strings of different sizes"),
        ));
    }
    Ok(datum(left.combined(right, operation)))
}

fn negative_length() -> SqlError {
    SqlError::new(SqlState::SubstringError, "negative substring length not allowed")
}

/// The part from a place, counted from 1, that may lie before the first.
fn part(bits: &Bits, from: i32, count: Option<i32>) -> SqlResult<Bits> {
    let first = i64::from(from) - 1;
    let end = match count {
        Some(count) if count < 0 => return Err(negative_length()),
        Some(count) => first + i64::from(count),
        None => i64::MAX,
    };
    let place = |at: i64| usize::try_from(at.max(0)).unwrap_or(usize::MAX);
    let (first, end) = (place(first), place(end));
    Ok(bits.part(first, end.saturating_sub(first)))
}

fn overlay(bits: &Bits, new: &Bits, from: i32, count: i32) -> SqlResult<Datum> {
    if from <= 0 {
        return Err(negative_length());
    }
    let rest = from.checked_add(count).ok_or_else(|| out_of_range("integer"))?;
    let before = part(bits, 1, Some(from - 1))?;
    let behind = part(bits, rest, None)?;
    Ok(datum(before.concat(new)?.concat(&behind)?))
}

fn index(bits: &Bits, at: i32) -> SqlResult<usize> {
    usize::try_from(at).ok().filter(|at| *at < bits.length()).ok_or_else(|| {
        let last = i64::try_from(bits.length()).unwrap_or(i64::MAX) - 1;
        SqlError::new(
            SqlState::ArraySubscriptError,
            format!("bit index {at} out of valid range (0..{last})"),
        )
    })
}

/// The lowest bits of an integer; what lies beyond its width is its sign.
fn from_integer(value: i64, width: usize, typmod: i32) -> Datum {
    let length = usize::try_from(typmod).ok().filter(|length| (1..=LENGTH_MAX).contains(length));
    let length = length.unwrap_or(1);
    let mut bits = Bits::zeros(length);
    for at in 0..length {
        let place = length - 1 - at;
        bits.set(at, if place < width { value >> place & 1 == 1 } else { value < 0 });
    }
    datum(bits)
}

fn to_integer(bits: &Bits, width: usize, name: &str) -> SqlResult<u64> {
    if bits.length() > width {
        return Err(out_of_range(name));
    }
    Ok((0..bits.length()).fold(0, |value, at| value << 1 | u64::from(bits.get(at))))
}
