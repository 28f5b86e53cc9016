//! `information_schema.routines`: the functions and procedures that the current role may call.

use aegis_types::Datum;
use aegis_types::builtin::{FunctionKind, FunctionRef, Volatility};

use super::super::cell::Cell;
use super::super::{SystemContext, relation};
use super::columns::data_type;
use super::{catalog_name, schema, yes};
use crate::access::{Kind, Privilege};

pub(in crate::system) fn rows(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let access = context.catalog().access(context.names.database);
    let role = context.server.role();
    let columns = &relation("information_schema.routines")
        .expect("the relation whose rows these are")
        .columns;
    context
        .functions()
        .filter(|it| access.allows(role, Kind::Function, it.oid, Privilege::EXECUTE))
        .map(|function| {
            let cells = cells(context, &function);
            let cell = |name: &str| {
                cells
                    .iter()
                    .find(|(known, _)| *known == name)
                    .map_or(Datum::Null, |it| it.1.clone())
            };
            columns.iter().map(|column| cell(column.name)).collect()
        })
        .collect()
}

/// The columns that are not NULL.
fn cells(context: &SystemContext<'_>, function: &FunctionRef) -> Vec<(&'static str, Datum)> {
    let catalog = catalog_name(&context.names);
    let own = context.catalog().user_function(function.oid);
    let in_schema = schema(context, function.schema);
    let is_sql = function.language == "sql";
    let is_procedure = function.kind == FunctionKind::Procedure;
    let definer = own.is_some_and(|own| own.security_definer);
    let may_see_source = own.is_none_or(|own| {
        let access = context.catalog().access(context.names.database);
        access.has_privileges_of(context.server.role(), own.owner)
    });
    let mut cells = vec![
        ("specific_catalog", catalog.datum()),
        ("specific_schema", (&in_schema).datum()),
        ("specific_name", format!("{}_{}", function.name, function.oid).datum()),
        ("routine_catalog", catalog.datum()),
        ("routine_schema", (&in_schema).datum()),
        ("routine_name", (&function.name).datum()),
        ("routine_body", if is_sql { "SQL" } else { "EXTERNAL" }.datum()),
        ("external_language", function.language.to_uppercase().datum()),
        ("parameter_style", "GENERAL".datum()),
        ("is_deterministic", yes(function.volatility == Volatility::Immutable).datum()),
        ("sql_data_access", "MODIFIES".datum()),
        ("schema_level_routine", "YES".datum()),
        ("max_dynamic_result_sets", 0_i32.datum()),
        ("security_type", if definer { "DEFINER" } else { "INVOKER" }.datum()),
        ("as_locator", "NO".datum()),
        ("is_udt_dependent", "NO".datum()),
        ("dtd_identifier", "0".datum()),
    ];
    if may_see_source {
        cells.push(("routine_definition", (&function.source).datum()));
    }
    match function.kind {
        FunctionKind::Function => cells.push(("routine_type", "FUNCTION".datum())),
        FunctionKind::Procedure => cells.push(("routine_type", "PROCEDURE".datum())),
        FunctionKind::Aggregate | FunctionKind::Window => {}
    }
    if !is_procedure {
        cells.push(("is_null_call", yes(function.strict).datum()));
        let result = context.names.type_parts(function.result);
        cells.push(("data_type", data_type(&context.names, function.result).datum()));
        cells.push(("type_udt_catalog", catalog.datum()));
        if let Some((owner, name)) = result {
            cells.push(("type_udt_schema", schema(context, owner).datum()));
            cells.push(("type_udt_name", name.datum()));
        }
    }
    cells
}
