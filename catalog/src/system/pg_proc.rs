//! `pg_proc`: the functions that can be called here.

use aegis_types::builtin::{FunctionKind, FunctionRow, Volatility};
use aegis_types::{Datum, Oid, type_oid as t};

use super::SystemContext;
use super::cell::{NULL, array_or_null, count, oid_vector};
use super::pg_cast::is_implemented;
use crate::descriptor::{Function, FunctionBody};
use crate::snapshot::BOOTSTRAP_ROLE;

pub(super) fn rows(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    context.functions().map(|function| row(context, &function)).collect()
}

/// `pg_amproc`: the support functions of access methods that can be called here.
pub(super) fn support_rows() -> Vec<Vec<Datum>> {
    const AMPROC: usize = 5;
    let mut rows = super::stored::rows("pg_amproc");
    rows.retain(|row| matches!(row.get(AMPROC), Some(Datum::Oid(oid)) if is_implemented(*oid)));
    rows
}

fn row(context: &SystemContext<'_>, row: &FunctionRow) -> Vec<Datum> {
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
    let own = context.catalog().declared_function(row.oid).map(|own| &**own);
    let rows = if row.returns_set { 1000.0_f32 } else { 0.0 };
    row![
        row.oid,
        &row.name,
        row.schema,
        own.map_or(BOOTSTRAP_ROLE, |own| own.owner),
        language,
        own.map_or(1.0_f32, |own| own.cost),
        own.map_or(rows, |own| own.rows),
        row.variadic,
        Oid::NONE,
        kind,
        own.is_some_and(|own| own.security_definer),
        own.is_some_and(|own| own.leakproof),
        row.strict,
        row.returns_set,
        volatility,
        own.map_or(b's', |own| own.parallel),
        count(row.arguments.len()),
        count(row.default_count),
        row.result,
        oid_vector(row.arguments.clone()),
        array_or_null(t::OID, row.all_arguments.clone()),
        array_or_null(t::CHAR, row.modes.clone()),
        array_or_null(t::TEXT, row.names.iter().collect()),
        own.map_or(NULL, defaults),
        NULL,
        &row.source,
        own.map_or(NULL, binary),
        own.map_or(NULL, body),
        own.map_or(NULL, settings),
        NULL,
    ]
}

/// `proargdefaults`: in PostgreSQL a tree of nodes, here the text that `pg_get_expr` shows.
fn defaults(own: &Function) -> Datum {
    let all: Vec<&str> = own.inputs().filter_map(|input| input.default.as_deref()).collect();
    if all.is_empty() { NULL } else { Datum::text(all.join(", ")) }
}

/// `probin`
fn binary(own: &Function) -> Datum {
    match own.body {
        FunctionBody::Symbol(_) if own.oid >= Oid::FIRST_USER => Datum::text("$libdir/aegis"),
        FunctionBody::Symbol(_) => NULL,
        FunctionBody::Text(_) | FunctionBody::Statements(_) => NULL,
    }
}

/// `prosqlbody`, as text.
fn body(own: &Function) -> Datum {
    match &own.body {
        FunctionBody::Statements(statements) => Datum::text(statements.join("; ")),
        FunctionBody::Text(_) | FunctionBody::Symbol(_) => NULL,
    }
}

fn settings(own: &Function) -> Datum {
    let all = own.settings.iter().map(|(name, value)| format!("{name}={value}"));
    array_or_null(t::TEXT, all.collect())
}
