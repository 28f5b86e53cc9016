//! The functions of `information_schema`, by which its views and some drivers read catalogs.

use super::{ScalarTable, SetTable};
use crate::datum::Datum;
use crate::oid::Oid;
use crate::type_oid as t;

/// The most bytes that a character takes in UTF-8, the one encoding here.
const CHARACTER_BYTES_MAX: i32 = 4;

pub(super) static SCALARS: ScalarTable = &[
    ("_pg_char_max_length(oid,int4)", |_, a| Ok(number(char_max_length(of(a))))),
    ("_pg_char_octet_length(oid,int4)", |_, a| Ok(number(char_octet_length(of(a))))),
    ("_pg_numeric_precision(oid,int4)", |_, a| Ok(number(numeric_precision(of(a))))),
    ("_pg_numeric_precision_radix(oid,int4)", |_, a| {
        Ok(number(match of(a).0 {
            t::INT2 | t::INT4 | t::INT8 | t::FLOAT4 | t::FLOAT8 => Some(2),
            t::NUMERIC => Some(10),
            _ => None,
        }))
    }),
    ("_pg_numeric_scale(oid,int4)", |_, a| {
        Ok(number(match of(a) {
            (t::INT2 | t::INT4 | t::INT8, _) => Some(0),
            (t::NUMERIC, modifier) if modifier != -1 => Some(modifier.wrapping_sub(4) & 0xffff),
            _ => None,
        }))
    }),
    ("_pg_datetime_precision(oid,int4)", |_, a| Ok(number(datetime_precision(of(a))))),
];

pub(super) static SETS: SetTable = &[("_pg_expandarray(anyarray)", |_, a| {
    // The elements of the first dimension, counted from 1 whatever the array counts from.
    let Datum::Array(array) = &a[0] else { return Ok(Box::new(std::iter::empty())) };
    let array = array.clone();
    let count = match array.dimensions.as_slice() {
        [] => 0,
        [one] => one.length,
        // PostgreSQL's own subscript is of one dimension: NULL of others.
        [first, ..] => first.length,
    };
    Ok(Box::new((0..count).map(move |at| {
        let element = match usize::try_from(at) {
            Ok(at) if array.dimensions.len() == 1 => array.elements[at].clone(),
            _ => Datum::Null,
        };
        Ok(Datum::record([element, Datum::Int4(at + 1)]))
    })))
})];

/// The arguments: a type and its modifier.
fn of(a: &[Datum]) -> (Oid, i32) {
    match a[0] {
        Datum::Oid(ty) => (ty, a[1].as_int4()),
        _ => (Oid::NONE, -1),
    }
}

fn number(value: Option<i32>) -> Datum {
    value.map_or(Datum::Null, Datum::Int4)
}

const fn char_max_length((ty, modifier): (Oid, i32)) -> Option<i32> {
    match ty {
        _ if modifier == -1 => None,
        t::BPCHAR | t::VARCHAR => Some(modifier.wrapping_sub(4)),
        t::BIT | t::VARBIT => Some(modifier),
        _ => None,
    }
}

fn char_octet_length((ty, modifier): (Oid, i32)) -> Option<i32> {
    match ty {
        t::TEXT | t::BPCHAR | t::VARCHAR if modifier == -1 => Some(1 << 30),
        t::TEXT | t::BPCHAR | t::VARCHAR => {
            char_max_length((ty, modifier)).map(|length| length.saturating_mul(CHARACTER_BYTES_MAX))
        }
        _ => None,
    }
}

const fn numeric_precision((ty, modifier): (Oid, i32)) -> Option<i32> {
    match ty {
        t::INT2 => Some(16),
        t::INT4 => Some(32),
        t::INT8 => Some(64),
        t::FLOAT4 => Some(24),
        t::FLOAT8 => Some(53),
        t::NUMERIC if modifier != -1 => Some((modifier.wrapping_sub(4) >> 16) & 0xffff),
        _ => None,
    }
}

const fn datetime_precision((ty, modifier): (Oid, i32)) -> Option<i32> {
    match ty {
        t::DATE => Some(0),
        t::TIME | t::TIMETZ | t::TIMESTAMP | t::TIMESTAMPTZ if modifier < 0 => Some(6),
        t::TIME | t::TIMETZ | t::TIMESTAMP | t::TIMESTAMPTZ => Some(modifier),
        t::INTERVAL if modifier < 0 || modifier & 0xffff == 0xffff => Some(6),
        t::INTERVAL => Some(modifier & 0xffff),
        _ => None,
    }
}
