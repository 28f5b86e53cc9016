//! Functions of no family: pg_typeof, counting NULLs, records, encodings, randomness.

use super::ScalarTable;
use crate::builtin::builtins;
use crate::compare;
use crate::context::CallContext;
use crate::datum::Datum;
use crate::error::{SqlError, SqlResult};
use crate::type_oid as t;

pub(super) mod random;

macro_rules! compare_records {
    ($test:ident) => {
        |_, a| Ok(Datum::Bool(compare::compare(t::RECORD, &a[0], &a[1]).$test()))
    };
}

pub(super) static SCALARS: ScalarTable = &[
    ("pg_typeof", |context, _| {
        Ok(context.argument_types.first().map_or(Datum::Null, |type_ref| Datum::Oid(type_ref.oid)))
    }),
    ("pg_num_nulls", |context, a| Ok(count_nulls(context, a, true))),
    ("pg_num_nonnulls", |context, a| Ok(count_nulls(context, a, false))),
    ("record_eq", compare_records!(is_eq)),
    ("record_ne", compare_records!(is_ne)),
    ("record_lt", compare_records!(is_lt)),
    ("record_le", compare_records!(is_le)),
    ("record_gt", compare_records!(is_gt)),
    ("record_ge", compare_records!(is_ge)),
    ("pg_column_size", column_size),
    ("pg_trigger_depth", |_, _| Ok(Datum::Int4(0))),
    ("pg_client_encoding", |_, _| Ok(Datum::text("UTF8"))),
    ("getdatabaseencoding", |_, _| Ok(Datum::text("UTF8"))),
];

/// The bytes that a value takes as PostgreSQL holds it, of types whose form is the same here.
fn column_size(context: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    let ty = context.argument_types.first().map_or(t::UNKNOWN, |type_ref| type_ref.oid);
    let length = builtins().type_row(ty).map_or(0, |row| row.length);
    if length > 0 {
        return Ok(Datum::Int4(length.into()));
    }
    // A header of four bytes and the value's own.
    let bytes = match &a[0] {
        Datum::Text(text) => text.len() + usize::from(length == -2),
        Datum::Bytea(bytes) if ty == t::BYTEA => bytes.len(),
        _ => return Err(SqlError::unsupported("pg_column_size of this type")),
    };
    let header = if length == -2 { 0 } else { 4 };
    Ok(Datum::Int4(i32::try_from(bytes + header).unwrap_or(i32::MAX)))
}

fn count_nulls(_: &CallContext<'_>, a: &[Datum], nulls: bool) -> Datum {
    let count = a.iter().filter(|value| value.is_null() == nulls).count();
    Datum::Int4(i32::try_from(count).unwrap_or(i32::MAX))
}
