//! Signatures of PostgreSQL's own functions as SQL (`pg_get_function_arguments` and its family).

use aegis_types::builtin::{FunctionKind, FunctionRow};
use aegis_types::functions::{quote_ident, quote_literal};
use aegis_types::{Oid, type_oid as t};

use super::Names;
use crate::descriptor::{Function, FunctionBody};

/// The parameters of a row: mode, name, type.
fn parameters(row: &FunctionRow) -> impl Iterator<Item = (u8, &str, Oid)> {
    let types = if row.all_arguments.is_empty() { &row.arguments } else { &row.all_arguments };
    types.iter().enumerate().map(|(at, ty)| {
        let mode = row.modes.get(at).copied().unwrap_or(b'i');
        (mode, row.names.get(at).map_or("", |name| name), *ty)
    })
}

fn parameter(names: &Names<'_>, row: &FunctionRow, mode: u8, name: &str, ty: Oid) -> String {
    let mut text = match mode {
        b'i' if row.kind == FunctionKind::Procedure => "IN ",
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

/// The parameters as `CREATE FUNCTION` would have them; of the defaults of PostgreSQL's own functions
/// the values are not known here.
#[must_use]
pub fn arguments(names: &Names<'_>, row: &FunctionRow) -> String {
    let own = names.catalog.declared_function(row.oid);
    let list: Vec<String> = parameters(row)
        .enumerate()
        .filter(|(_, (mode, ..))| *mode != b't')
        .map(|(at, (mode, name, ty))| {
            let text = parameter(names, row, mode, name, ty);
            let default = own.and_then(|own| own.parameters.get(at)?.default.as_ref());
            match default {
                Some(default) => {
                    let shown = names.text.expression(names, default, None, false);
                    format!("{text} DEFAULT {shown}")
                }
                None => text,
            }
        })
        .collect();
    list.join(", ")
}

/// The parameters without their defaults, as ALTER and COMMENT name a function.
#[must_use]
pub fn identity_arguments(names: &Names<'_>, row: &FunctionRow) -> String {
    let list: Vec<String> = parameters(row)
        .filter(|(mode, ..)| *mode != b't')
        .map(|(mode, name, ty)| parameter(names, row, mode, name, ty))
        .collect();
    list.join(", ")
}

/// What `RETURNS` would say; nothing of a procedure.
#[must_use]
pub fn result(names: &Names<'_>, row: &FunctionRow) -> String {
    if row.kind == FunctionKind::Procedure {
        return String::new();
    }
    let columns: Vec<String> = parameters(row)
        .filter(|(mode, ..)| *mode == b't')
        .map(|(mode, name, ty)| parameter(names, row, mode, name, ty))
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
    let name = match is_visible(names, row) {
        true => quote_ident(&row.name),
        false => names.qualified(row.schema, &row.name),
    };
    format!("{name}({})", types.join(","))
}

/// `CREATE OR REPLACE FUNCTION …`, as `pg_get_functiondef` prints it.
#[must_use]
pub fn definition(names: &Names<'_>, function: &Function) -> String {
    let row = function.row();
    let word = if function.is_procedure { "PROCEDURE" } else { "FUNCTION" };
    let name = names.qualified(function.schema, &function.name);
    let mut text = format!("CREATE OR REPLACE {word} {name}({})\n", arguments(names, &row));
    if !function.is_procedure {
        text.push_str(&format!(" RETURNS {}\n", result(names, &row)));
    }
    text.push_str(&format!(" LANGUAGE {}\n", function.language()));
    let attributes = attributes(function);
    if !attributes.is_empty() {
        text.push_str(&format!(" {}\n", attributes.join(" ")));
    }
    for (setting, value) in &function.settings {
        // Lists of names are kept as they were written.
        let shown = match setting.as_str() {
            "search_path" | "temp_tablespaces" | "session_preload_libraries" => {
                let items = value.split(',').map(|item| item.trim().trim_matches('"'));
                items.map(quote_literal).collect::<Vec<_>>().join(", ")
            }
            _ => quote_literal(value),
        };
        text.push_str(&format!(" SET {} TO {shown}\n", quote_ident(setting)));
    }
    match &function.body {
        FunctionBody::Symbol(symbol) => {
            text.push_str(&format!("AS '$libdir/aegis', $function${symbol}$function$\n"));
        }
        FunctionBody::Text(source) => {
            let mut tag = word.to_lowercase();
            while source.contains(&format!("${tag}$")) {
                tag.push('x');
            }
            text.push_str(&format!("AS ${tag}${source}${tag}$\n"));
        }
        FunctionBody::Statements(_) => {
            text.push_str(&names.text.function_body(names, function).unwrap_or_default());
            text.push('\n');
        }
    }
    text
}

/// The attributes that differ from what a function begins with.
fn attributes(function: &Function) -> Vec<String> {
    let mut found = Vec::new();
    let mut add = |word: &str| found.push(word.to_owned());
    match function.volatility {
        b'i' => add("IMMUTABLE"),
        b's' => add("STABLE"),
        _ => {}
    }
    match function.parallel {
        b's' => add("PARALLEL SAFE"),
        b'r' => add("PARALLEL RESTRICTED"),
        _ => {}
    }
    if function.strict {
        add("STRICT");
    }
    if function.security_definer {
        add("SECURITY DEFINER");
    }
    if function.leakproof {
        add("LEAKPROOF");
    }
    let usual = if function.language() == "c" { 1.0 } else { 100.0 };
    if (function.cost - usual).abs() > f32::EPSILON {
        add(&format!("COST {}", function.cost));
    }
    if function.rows > 0.0 && (function.rows - 1000.0).abs() > f32::EPSILON {
        add(&format!("ROWS {}", function.rows));
    }
    found
}

/// Whether a call by the bare name with arguments of these very types finds it.
#[must_use]
pub fn is_visible(names: &Names<'_>, row: &FunctionRow) -> bool {
    let found = names
        .effective_path()
        .find_map(|schema| names.catalog.function_with_inputs(schema, &row.name, &row.arguments));
    found.is_some_and(|found| found.oid == row.oid)
}

/// Whether the type is one that only stands for others in signatures.
#[must_use]
pub const fn is_polymorphic(ty: Oid) -> bool {
    matches!(ty, t::ANYELEMENT | t::ANYARRAY | t::ANYNONARRAY | t::ANYCOMPATIBLE)
}
