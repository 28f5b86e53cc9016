//! Booleans.

use super::ScalarTable;
use crate::datum::Datum;

pub(super) static SCALARS: ScalarTable = &[
    ("booleq", |_, a| Ok(Datum::Bool(a[0].as_bool() == a[1].as_bool()))),
    ("boolne", |_, a| Ok(Datum::Bool(a[0].as_bool() != a[1].as_bool()))),
    ("boollt", |_, a| Ok(Datum::Bool(!a[0].as_bool() & a[1].as_bool()))),
    ("boolle", |_, a| Ok(Datum::Bool(a[0].as_bool() <= a[1].as_bool()))),
    ("boolgt", |_, a| Ok(Datum::Bool(a[0].as_bool() & !a[1].as_bool()))),
    ("boolge", |_, a| Ok(Datum::Bool(a[0].as_bool() >= a[1].as_bool()))),
    ("bool_int4", |_, a| Ok(Datum::Int4(a[0].as_bool().into()))),
    ("int4_bool", |_, a| Ok(Datum::Bool(a[0].as_int4() != 0))),
    ("booltext", |_, a| Ok(Datum::text(if a[0].as_bool() { "true" } else { "false" }))),
    ("booland_statefunc", |_, a| Ok(Datum::Bool(a[0].as_bool() && a[1].as_bool()))),
    ("boolor_statefunc", |_, a| Ok(Datum::Bool(a[0].as_bool() || a[1].as_bool()))),
];
