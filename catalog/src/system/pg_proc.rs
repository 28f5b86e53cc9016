//! `pg_proc`: the functions that can be called here.

use aegis_types::builtin::{FunctionKind, FunctionRow, Implementation, Volatility, builtins};
use aegis_types::{Datum, Oid, type_oid as t};

use super::SystemContext;
use super::cell::{NULL, array_or_null, count, oid_vector};
use super::function::function_schema;
use super::pg_cast::is_implemented;
use crate::snapshot::BOOTSTRAP_ROLE;

pub(super) fn rows(_: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    builtins()
        .functions
        .iter()
        .filter(|row| !matches!(row.implementation, Implementation::Missing))
        .map(row)
        .collect()
}

/// `pg_amproc`: the support functions of access methods that can be called here.
pub(super) fn support_rows() -> Vec<Vec<Datum>> {
    const AMPROC: usize = 5;
    let mut rows = super::stored::rows("pg_amproc");
    rows.retain(|row| matches!(row.get(AMPROC), Some(Datum::Oid(oid)) if is_implemented(*oid)));
    rows
}

fn row(row: &FunctionRow) -> Vec<Datum> {
    let kind = match row.kind {
        FunctionKind::Function => b'f',
        FunctionKind::Aggregate => b'a',
        FunctionKind::Window => b'w',
        FunctionKind::Procedure => b'p',
    };
    let volatility = match row.volatility {
        Volatility::Immutable => b'i',
        Volatility::Stable => b's',
        Volatility::Volatile => b'v',
    };
    let language = match row.language {
        "c" => Oid(13),
        "sql" => Oid(14),
        _ => Oid(12),
    };
    row![
        row.oid,
        row.name,
        function_schema(row),
        BOOTSTRAP_ROLE,
        language,
        1.0_f32,
        if row.returns_set { 1000.0_f32 } else { 0.0 },
        row.variadic,
        Oid::NONE,
        kind,
        false,
        false,
        row.strict,
        row.returns_set,
        volatility,
        b's',
        count(row.arguments.len()),
        count(row.default_count),
        row.result,
        oid_vector(row.arguments.clone()),
        array_or_null(t::OID, row.all_arguments.clone()),
        array_or_null(t::CHAR, row.modes.clone()),
        array_or_null(t::TEXT, row.names.clone()),
        NULL,
        NULL,
        row.source,
        NULL,
        NULL,
        NULL,
        NULL,
    ]
}
