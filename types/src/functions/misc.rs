//! Functions of no family: pg_typeof, counting NULLs, records, encodings, randomness.

mod column_size;

use std::cmp::Ordering;

use super::ScalarTable;
use crate::builtin::builtins;
use crate::compare;
use crate::context::CallContext;
use crate::datum::Datum;
use crate::error::{SqlError, SqlResult};
use crate::sqlstate::SqlState;
use crate::type_oid as t;
use crate::user_type::UserType;

pub(super) mod random;

macro_rules! compare_records {
    ($test:ident) => {
        |context, a| {
            let order = compare_records(context, &a[0], &a[1])?;
            Ok(Datum::Bool(order.$test()))
        }
    };
}

pub(super) static SCALARS: ScalarTable = &[
    ("pg_typeof", |context, _| {
        Ok(context.argument_types.first().map_or(Datum::Null, |type_ref| Datum::Oid(type_ref.oid)))
    }),
    ("pg_collation_for", collation_for),
    ("pg_num_nulls", |context, a| Ok(count_nulls(context, a, true))),
    ("pg_num_nonnulls", |context, a| Ok(count_nulls(context, a, false))),
    ("record_eq", compare_records!(is_eq)),
    ("record_ne", compare_records!(is_ne)),
    ("record_lt", compare_records!(is_lt)),
    ("record_le", compare_records!(is_le)),
    ("record_gt", compare_records!(is_gt)),
    ("record_ge", compare_records!(is_ge)),
    ("pg_column_size", column_size::column_size),
    ("pg_trigger_depth", |_, _| Ok(Datum::Int4(0))),
    ("pg_client_encoding", |_, _| Ok(Datum::text("UTF8"))),
    ("getdatabaseencoding", |_, _| Ok(Datum::text("UTF8"))),
];

/// The name of an expression's collation; NULL for a literal of no type.
fn collation_for(context: &CallContext<'_>, _: &[Datum]) -> SqlResult<Datum> {
    let mut ty = context.argument_types.first().map_or(t::UNKNOWN, |type_ref| type_ref.oid);
    while let Some(UserType::Domain(base)) = context.eval.host.user_type(ty) {
        ty = base.oid;
    }
    if ty == t::UNKNOWN {
        return Ok(Datum::Null);
    }
    if !builtins().type_row(ty).is_some_and(|row| row.collation.is_some()) {
        return Err(SqlError::new(
            SqlState::DatatypeMismatch,
            format!("collations are not supported by type {}", sql_name(ty)),
        ));
    }
    Ok(Datum::text(super::text::quote_ident(context.collation.name())))
}

/// The order of two rows, whose columns are compared one by one up to the first that differ: none
/// of these may be of two types.
fn compare_records(context: &CallContext<'_>, left: &Datum, right: &Datum) -> SqlResult<Ordering> {
    let (Datum::Record(one), Datum::Record(other)) = (left, right) else {
        return Ok(compare::compare(t::RECORD, left, right));
    };
    let (one, other) = (one.described(&context.eval), other.described(&context.eval));
    for (at, ((_, a, left), (_, b, right))) in one.iter().zip(&other).enumerate() {
        let both = !left.is_null() && !right.is_null();
        if both && a.oid != b.oid {
            return Err(SqlError::new(
                SqlState::DatatypeMismatch,
                format!(
                    "cannot compare dissimilar column types {} and {} at record column {}",
                    sql_name(a.oid),
                    sql_name(b.oid),
                    at + 1
                ),
            ));
        }
        let order = match (left.is_null(), right.is_null()) {
            (false, false) if matches!(left, Datum::Record(_)) => {
                compare_records(context, left, right)?
            }
            (false, false) => compare::compare(a.oid, left, right),
            // NULL lies behind everything.
            (left, right) => left.cmp(&right),
        };
        if order.is_ne() {
            return Ok(order);
        }
    }
    if one.len() != other.len() {
        return Err(SqlError::new(
            SqlState::DatatypeMismatch,
            "cannot compare record types with different numbers of columns",
        ));
    }
    Ok(Ordering::Equal)
}

/// What SQL calls a type of PostgreSQL's own.
fn sql_name(oid: crate::Oid) -> &'static str {
    match oid {
        t::BOOL => "boolean",
        t::INT2 => "smallint",
        t::INT4 => "integer",
        t::INT8 => "bigint",
        t::FLOAT4 => "real",
        t::FLOAT8 => "double precision",
        t::VARCHAR => "character varying",
        t::BPCHAR => "character",
        t::TIME => "time without time zone",
        t::TIMETZ => "time with time zone",
        t::TIMESTAMP => "timestamp without time zone",
        t::TIMESTAMPTZ => "timestamp with time zone",
        _ => builtins().type_row(oid).map_or("???", |row| row.name),
    }
}

fn count_nulls(_: &CallContext<'_>, a: &[Datum], nulls: bool) -> Datum {
    let count = a.iter().filter(|value| value.is_null() == nulls).count();
    Datum::Int4(i32::try_from(count).unwrap_or(i32::MAX))
}
