//! `information_schema.attributes`, `user_defined_types`, `udt_privileges` and `role_udt_grants`:
//! composite types.

use aegis_types::{Datum, TypeRef};

use super::super::SystemContext;
use super::super::cell::NULL;
use super::columns::{data_type, measures};
use super::{catalog_name, schema};
use crate::access::Kind;
use crate::descriptor::{CompositeBody, TypeBody, UserType};

/// The composite types on which the current role holds a privilege.
pub(super) fn composites<'a>(
    context: &SystemContext<'a>,
) -> impl Iterator<Item = (&'a UserType, &'a CompositeBody)> + use<'a> {
    let access = context.names.catalog.access(context.names.database);
    let role = context.server.role();
    let types = context.names.catalog.user_types_of(context.names.database);
    types.filter_map(move |ty| match &ty.body {
        TypeBody::Composite(body) => {
            let held = access.held(role, Kind::Type, ty.oid, 0).privileges;
            let shown = !held.is_empty() || access.has_privileges_of(role, ty.owner);
            shown.then_some((&**ty, &**body))
        }
        _ => None,
    })
}

pub(in crate::system) fn attributes(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let catalog = catalog_name(&context.names);
    let mut rows = Vec::new();
    for (ty, body) in composites(context) {
        for field in &body.attributes {
            let base: TypeRef = context.catalog().base_type(field.ty);
            let measures = measures(base);
            let udt = context.names.type_parts(base.oid);
            rows.push(row![
                catalog,
                schema(context, ty.schema),
                &ty.name,
                &field.name,
                i32::from(field.number),
                NULL,
                "YES",
                data_type(&context.names, base.oid),
                measures.length,
                measures.bytes,
                NULL,
                NULL,
                NULL,
                NULL,
                NULL,
                NULL,
                measures.precision,
                measures.radix,
                measures.scale,
                measures.time_precision,
                NULL,
                NULL,
                catalog,
                udt.as_ref().map(|(owner, _)| schema(context, *owner)),
                udt.map(|(_, name)| name),
                NULL,
                NULL,
                NULL,
                NULL,
                field.number.to_string(),
                "NO",
            ]);
        }
    }
    rows
}

pub(in crate::system) fn user_defined(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let catalog = catalog_name(&context.names);
    composites(context)
        .map(|(ty, _)| {
            let mut row = row![catalog, schema(context, ty.schema), &ty.name, "STRUCTURED", "YES"];
            row.resize(29, NULL);
            row
        })
        .collect()
}
