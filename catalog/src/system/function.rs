//! Signatures of PostgreSQL's own functions as SQL (`pg_get_function_arguments` and its family).

use aegis_types::builtin::FunctionRow;
use aegis_types::functions::quote_ident;
use aegis_types::{Oid, type_oid as t};

use super::Names;
use crate::snapshot::{INFORMATION_SCHEMA, PG_CATALOG};

/// The schema that a function is in.
#[must_use]
pub fn function_schema(row: &FunctionRow) -> Oid {
    if row.schema == "pg_catalog" { PG_CATALOG } else { INFORMATION_SCHEMA }
}

/// The parameters of a row: mode, name, type.
fn parameters(row: &FunctionRow) -> impl Iterator<Item = (u8, &'static str, Oid)> + '_ {
    let types = if row.all_arguments.is_empty() { &row.arguments } else { &row.all_arguments };
    types.iter().enumerate().map(|(at, ty)| {
        let mode = row.modes.get(at).copied().unwrap_or(b'i');
        (mode, row.names.get(at).copied().unwrap_or(""), *ty)
    })
}

fn parameter(names: &Names<'_>, mode: u8, name: &str, ty: Oid) -> String {
    let mut text = match mode {
        b'o' => "OUT ",
        b'b' => "INOUT ",
        b'v' => "VARIADIC ",
        _ => "",
    }
    .to_owned();
    if !name.is_empty() {
        text.push_str(&quote_ident(name));
        text.push(' ');
    }
    text.push_str(&names.format_type(ty, None));
    text
}

/// The parameters as `CREATE FUNCTION` would have them, without the values of defaults.
#[must_use]
pub fn arguments(names: &Names<'_>, row: &FunctionRow) -> String {
    let list: Vec<String> = parameters(row)
        .filter(|(mode, ..)| *mode != b't')
        .map(|(mode, name, ty)| parameter(names, mode, name, ty))
        .collect();
    list.join(", ")
}

/// The parameters that tell a function from others of its name.
#[must_use]
pub fn identity_arguments(names: &Names<'_>, row: &FunctionRow) -> String {
    let list: Vec<String> = parameters(row)
        .filter(|(mode, ..)| matches!(mode, b'i' | b'b' | b'v'))
        .map(|(mode, name, ty)| parameter(names, mode, name, ty))
        .collect();
    list.join(", ")
}

/// What `RETURNS` would say.
#[must_use]
pub fn result(names: &Names<'_>, row: &FunctionRow) -> String {
    let columns: Vec<String> = parameters(row)
        .filter(|(mode, ..)| *mode == b't')
        .map(|(mode, name, ty)| parameter(names, mode, name, ty))
        .collect();
    if row.returns_set && !columns.is_empty() {
        return format!("TABLE({})", columns.join(", "));
    }
    let result = names.format_type(row.result, None);
    if row.returns_set { format!("SETOF {result}") } else { result }
}

/// `name(type,type)`, as `regprocedure` prints it; `regprocedure` names types without modifiers.
#[must_use]
pub fn signature(names: &Names<'_>, row: &FunctionRow) -> String {
    let types: Vec<String> = row.arguments.iter().map(|ty| names.format_type(*ty, None)).collect();
    let schema = function_schema(row);
    let is_on_path = names.effective_path().any(|oid| oid == schema);
    let prefix = if is_on_path { String::new() } else { format!("{}.", row.schema) };
    format!("{prefix}{}({})", quote_ident(row.name), types.join(","))
}

/// Whether the type is one that only stands for others in signatures.
#[must_use]
pub const fn is_polymorphic(ty: Oid) -> bool {
    matches!(ty, t::ANYELEMENT | t::ANYARRAY | t::ANYNONARRAY | t::ANYCOMPATIBLE)
}
