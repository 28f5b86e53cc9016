//! `information_schema.element_types` and `data_type_privileges`: the types of columns, attributes and
//! domains by their identifiers, and what arrays among them are made of; and `parameters`.

use aegis_types::builtin::{FunctionRef, FunctionRow};
use aegis_types::{Datum, Oid, TypeRef};

use super::super::SystemContext;
use super::super::cell::NULL;
use super::columns::data_type;
use super::types::composites;
use super::{catalog_name, columns, domains, schema, tables_and_views};
use crate::access::{Kind, Privilege};

/// Something that has a type.
struct Typed {
    schema: Oid,
    object: String,
    kind: &'static str,
    /// `dtd_identifier`
    identifier: String,
    ty: TypeRef,
}

fn typed(context: &SystemContext<'_>) -> Vec<Typed> {
    let mut found = Vec::new();
    for table in tables_and_views(context) {
        for (number, _, ty) in context.names.columns(table.oid) {
            if columns::may_see(context, table.oid, number) {
                found.push(Typed {
                    schema: table.schema,
                    object: table.name.to_owned(),
                    kind: "TABLE",
                    identifier: number.to_string(),
                    ty: context.catalog().base_type(ty),
                });
            }
        }
    }
    for (ty, body) in composites(context) {
        for field in &body.attributes {
            found.push(Typed {
                schema: ty.schema,
                object: ty.name.clone(),
                kind: "USER-DEFINED TYPE",
                identifier: field.number.to_string(),
                ty: context.catalog().base_type(field.ty),
            });
        }
    }
    for (ty, body) in domains::all(context) {
        found.push(Typed {
            schema: ty.schema,
            object: ty.name.clone(),
            kind: "DOMAIN",
            identifier: "1".to_owned(),
            ty: body.base,
        });
    }
    for (function, number, ty) in parameters_of(context) {
        found.push(Typed {
            schema: function.schema,
            object: specific_name(&function),
            kind: "ROUTINE",
            identifier: number.to_string(),
            ty: TypeRef::plain(ty),
        });
    }
    found
}

pub(in crate::system) fn privileges(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let catalog = catalog_name(&context.names);
    typed(context)
        .into_iter()
        .map(|it| row![catalog, schema(context, it.schema), it.object, it.kind, it.identifier])
        .collect()
}

pub(in crate::system) fn elements(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let catalog = catalog_name(&context.names);
    typed(context)
        .into_iter()
        .filter_map(|it| {
            let element = context
                .names
                .element_of(it.ty.oid)
                .or_else(|| aegis_types::io::element_type(it.ty.oid))?;
            let element = context.catalog().base_type(TypeRef::plain(element)).oid;
            let udt = context.names.type_parts(element);
            let mut row = row![
                catalog,
                schema(context, it.schema),
                it.object,
                it.kind,
                it.identifier.as_str(),
                data_type(&context.names, element),
            ];
            row.extend(std::iter::repeat_n(NULL, 15));
            row.extend(row![
                catalog,
                udt.as_ref().map(|(owner, _)| schema(context, *owner)),
                udt.map(|(_, name)| name),
                NULL,
                NULL,
                NULL,
                NULL,
                format!("a{}", it.identifier),
            ]);
            Some(row)
        })
        .collect()
}

/// The functions that the current role may call, with each parameter's number and type; 0 is the
/// result.
fn parameters_of<'a>(
    context: &SystemContext<'a>,
) -> impl Iterator<Item = (FunctionRef, usize, Oid)> + use<'a> {
    let access = context.catalog().access(context.names.database);
    let role = context.server.role();
    let callable = context
        .functions()
        .filter(move |row| access.allows(role, Kind::Function, row.oid, Privilege::EXECUTE));
    callable.flat_map(|row| {
        let types = if row.all_arguments.is_empty() { &row.arguments } else { &row.all_arguments };
        let types: Vec<Oid> = std::iter::once(row.result).chain(types.iter().copied()).collect();
        types.into_iter().enumerate().map(move |(number, ty)| (row.clone(), number, ty))
    })
}

fn specific_name(row: &FunctionRow) -> String {
    format!("{}_{}", row.name, row.oid)
}

pub(in crate::system) fn parameters(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let catalog = catalog_name(&context.names);
    parameters_of(context)
        .filter(|(_, number, _)| *number > 0)
        .map(|(function, number, ty)| {
            let mode = match function.modes.get(number - 1) {
                None | Some(b'i' | b'v') => "IN",
                Some(b'b') => "INOUT",
                Some(_) => "OUT",
            };
            let name = function.names.get(number - 1).filter(|name| !name.is_empty());
            let udt = context.names.type_parts(ty);
            let mut row = row![
                catalog,
                schema(context, function.schema),
                specific_name(&function),
                i32::try_from(number).unwrap_or(i32::MAX),
                mode,
                "NO",
                "NO",
                name,
                data_type(&context.names, ty),
            ];
            row.extend(std::iter::repeat_n(NULL, 14));
            row.extend(row![
                catalog,
                udt.as_ref().map(|(owner, _)| schema(context, *owner)),
                udt.map(|(_, name)| name),
                NULL,
                NULL,
                NULL,
                NULL,
                number.to_string(),
                NULL,
            ]);
            row
        })
        .collect()
}
