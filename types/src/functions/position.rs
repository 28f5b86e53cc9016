//! `pg_lsn`, `xid`, `xid8` and `tid`: comparison and distance.

use super::ScalarTable;
use crate::datum::Datum;
use crate::error::{SqlError, SqlResult};
use crate::numeric::Numeric;
use crate::oid::Oid;
use crate::position::{to_signed, to_unsigned};
use crate::sqlstate::SqlState;

macro_rules! compare {
    ($test:ident) => {
        |_, a| Ok(Datum::Bool(a[0].as_int8().cmp(&a[1].as_int8()).$test()))
    };
}

pub(super) static SCALARS: ScalarTable = &[
    ("pg_lsn_eq", compare!(is_eq)),
    ("pg_lsn_ne", compare!(is_ne)),
    ("pg_lsn_lt", compare!(is_lt)),
    ("pg_lsn_le", compare!(is_le)),
    ("pg_lsn_gt", compare!(is_gt)),
    ("pg_lsn_ge", compare!(is_ge)),
    ("pg_lsn_cmp", |_, a| Ok(Datum::Int4(a[0].as_int8().cmp(&a[1].as_int8()) as i32))),
    ("pg_lsn_larger", |_, a| Ok(Datum::Int8(a[0].as_int8().max(a[1].as_int8())))),
    ("pg_lsn_smaller", |_, a| Ok(Datum::Int8(a[0].as_int8().min(a[1].as_int8())))),
    ("pg_lsn_mi", |_, a| difference(a)),
    ("pg_wal_lsn_diff", |_, a| difference(a)),
    ("pg_lsn_pli", |_, a| moved(&a[0], &a[1], 1)),
    ("numeric_pl_pg_lsn(numeric,pg_lsn)", |_, a| moved(&a[1], &a[0], 1)),
    ("pg_lsn_mii", |_, a| moved(&a[0], &a[1], -1)),
    ("numeric_pg_lsn", |_, a| {
        let value = whole(a[0].as_numeric(), "cannot convert NaN to pg_lsn")?;
        in_range(value)
    }),
    ("xid8eq", compare!(is_eq)),
    ("xid8ne", compare!(is_ne)),
    ("xid8lt", compare!(is_lt)),
    ("xid8le", compare!(is_le)),
    ("xid8gt", compare!(is_gt)),
    ("xid8ge", compare!(is_ge)),
    ("xid8cmp", |_, a| Ok(Datum::Int4(a[0].as_int8().cmp(&a[1].as_int8()) as i32))),
    ("xid8_larger", |_, a| Ok(Datum::Int8(a[0].as_int8().max(a[1].as_int8())))),
    ("xid8_smaller", |_, a| Ok(Datum::Int8(a[0].as_int8().min(a[1].as_int8())))),
    ("xid8toxid", |_, a| Ok(Datum::Oid(Oid(to_unsigned(a[0].as_int8()) as u32)))),
    ("tideq", compare!(is_eq)),
    ("tidne", compare!(is_ne)),
    ("tidlt", compare!(is_lt)),
    ("tidle", compare!(is_le)),
    ("tidgt", compare!(is_gt)),
    ("tidge", compare!(is_ge)),
    ("bttidcmp", |_, a| Ok(Datum::Int4(a[0].as_int8().cmp(&a[1].as_int8()) as i32))),
    ("tidlarger", |_, a| Ok(Datum::Int8(a[0].as_int8().max(a[1].as_int8())))),
    ("tidsmaller", |_, a| Ok(Datum::Int8(a[0].as_int8().min(a[1].as_int8())))),
];

fn difference(a: &[Datum]) -> SqlResult<Datum> {
    let value = |datum: &Datum| i128::from(to_unsigned(datum.as_int8()));
    Ok(Datum::Numeric(Numeric::from_decimal(value(&a[0]) - value(&a[1]), 0)?))
}

/// The nearest integer of a numeric.
fn whole(value: &Numeric, not_a_number: &str) -> SqlResult<i128> {
    let rounded = value.clone().apply_typmod((1000 << 16) + 4)?;
    rounded
        .to_decimal(0)
        .ok_or_else(|| SqlError::new(SqlState::FeatureNotSupported, not_a_number.to_owned()))
}

fn moved(lsn: &Datum, by: &Datum, sign: i128) -> SqlResult<Datum> {
    let word = if sign > 0 { "add NaN to" } else { "subtract NaN from" };
    let by = whole(by.as_numeric(), &format!("cannot {word} pg_lsn"))?;
    let value = i128::from(to_unsigned(lsn.as_int8()));
    in_range(by.checked_mul(sign).and_then(|by| value.checked_add(by)).unwrap_or(-1))
}

fn in_range(value: i128) -> SqlResult<Datum> {
    let value = u64::try_from(value)
        .map_err(|_| SqlError::new(SqlState::InvalidParameterValue, "pg_lsn out of range"))?;
    Ok(Datum::Int8(to_signed(value)))
}
