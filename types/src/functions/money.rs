//! `money` (PostgreSQL 15, chapter 8.2): its datum is an `int8` of cents. What leaves its range is an
//! error here, where PostgreSQL 15 wraps around.

use super::ScalarTable;
use crate::datum::Datum;
use crate::error::SqlResult;
use crate::integer::division_by_zero;
use crate::money::out_of_range;
use crate::numeric::Numeric;

macro_rules! compare {
    ($test:ident) => {
        |_, a| Ok(Datum::Bool(a[0].as_int8().cmp(&a[1].as_int8()).$test()))
    };
}

/// `numeric(1000,2)`
const CENTS_TYPMOD: i32 = ((1000 << 16) | 2) + 4;

pub(super) static SCALARS: ScalarTable = &[
    ("cash_eq", compare!(is_eq)),
    ("cash_ne", compare!(is_ne)),
    ("cash_lt", compare!(is_lt)),
    ("cash_le", compare!(is_le)),
    ("cash_gt", compare!(is_gt)),
    ("cash_ge", compare!(is_ge)),
    ("cash_cmp", |_, a| Ok(Datum::Int4(a[0].as_int8().cmp(&a[1].as_int8()) as i32))),
    ("cashlarger", |_, a| Ok(Datum::Int8(a[0].as_int8().max(a[1].as_int8())))),
    ("cashsmaller", |_, a| Ok(Datum::Int8(a[0].as_int8().min(a[1].as_int8())))),
    ("cash_pl", |_, a| checked(a[0].as_int8().checked_add(a[1].as_int8()))),
    ("cash_mi", |_, a| checked(a[0].as_int8().checked_sub(a[1].as_int8()))),
    ("cash_mul_flt8", |_, a| rounded(a[0].as_int8() as f64 * a[1].as_float8())),
    ("flt8_mul_cash", |_, a| rounded(a[0].as_float8() * a[1].as_int8() as f64)),
    ("cash_mul_flt4", |_, a| rounded(a[0].as_int8() as f64 * f64::from(a[1].as_float4()))),
    ("flt4_mul_cash", |_, a| rounded(f64::from(a[0].as_float4()) * a[1].as_int8() as f64)),
    ("cash_div_flt8", |_, a| quotient(a[0].as_int8(), a[1].as_float8())),
    ("cash_div_flt4", |_, a| quotient(a[0].as_int8(), f64::from(a[1].as_float4()))),
    ("cash_mul_int8", |_, a| checked(a[0].as_int8().checked_mul(a[1].as_int8()))),
    ("cash_mul_int4", |_, a| checked(a[0].as_int8().checked_mul(i64::from(a[1].as_int4())))),
    ("cash_mul_int2", |_, a| checked(a[0].as_int8().checked_mul(i64::from(a[1].as_int2())))),
    ("int8_mul_cash", |_, a| checked(a[0].as_int8().checked_mul(a[1].as_int8()))),
    ("int4_mul_cash", |_, a| checked(i64::from(a[0].as_int4()).checked_mul(a[1].as_int8()))),
    ("int2_mul_cash", |_, a| checked(i64::from(a[0].as_int2()).checked_mul(a[1].as_int8()))),
    ("cash_div_int8", |_, a| divided(a[0].as_int8(), a[1].as_int8())),
    ("cash_div_int4", |_, a| divided(a[0].as_int8(), i64::from(a[1].as_int4()))),
    ("cash_div_int2", |_, a| divided(a[0].as_int8(), i64::from(a[1].as_int2()))),
    ("cash_div_cash", |_, a| match a[1].as_int8() {
        0 => Err(division_by_zero()),
        divisor => Ok(Datum::Float8(a[0].as_int8() as f64 / divisor as f64)),
    }),
    ("int4_cash", |_, a| Ok(Datum::Int8(i64::from(a[0].as_int4()) * 100))),
    ("int8_cash", |_, a| {
        let cents = a[0].as_int8().checked_mul(100);
        cents.map(Datum::Int8).ok_or_else(|| crate::integer::out_of_range("bigint"))
    }),
    ("numeric_cash", |_, a| {
        let too_large = || crate::integer::out_of_range("bigint");
        let value = a[0].as_numeric().clone().apply_typmod(CENTS_TYPMOD)?;
        let cents = value.to_decimal(2).and_then(|cents| i64::try_from(cents).ok());
        cents.map(Datum::Int8).ok_or_else(too_large)
    }),
    ("cash_numeric", |_, a| {
        Ok(Datum::Numeric(Numeric::from_decimal(i128::from(a[0].as_int8()), 2)?))
    }),
];

fn checked(value: Option<i64>) -> SqlResult<Datum> {
    value.map(Datum::Int8).ok_or_else(out_of_range)
}

/// The nearest cent, ties to the even one.
fn rounded(value: f64) -> SqlResult<Datum> {
    let value = value.round_ties_even();
    // 2^63 is a float, the largest i64 is not.
    if !(-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&value) {
        return Err(out_of_range());
    }
    Ok(Datum::Int8(value as i64))
}

fn quotient(cents: i64, divisor: f64) -> SqlResult<Datum> {
    if divisor == 0.0 {
        return Err(division_by_zero());
    }
    rounded(cents as f64 / divisor)
}

fn divided(cents: i64, divisor: i64) -> SqlResult<Datum> {
    if divisor == 0 {
        return Err(division_by_zero());
    }
    checked(cents.checked_div(divisor))
}
