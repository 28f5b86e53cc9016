//! `information_schema.domains` and `domain_constraints`.

use aegis_types::Datum;

use super::super::SystemContext;
use super::super::cell::NULL;
use super::columns::measures;
use super::{catalog_name, collation, schema};
use crate::descriptor::{DomainBody, TypeBody, UserType};

/// The domains of the database.
pub(super) fn all<'a>(
    context: &SystemContext<'a>,
) -> impl Iterator<Item = (&'a UserType, &'a DomainBody)> + use<'a> {
    let types = context.names.catalog.types_of(context.names.database);
    types.filter_map(|ty| match &ty.body {
        TypeBody::Domain(body) => Some((&**ty, &**body)),
        _ => None,
    })
}

pub(in crate::system) fn rows(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let names = &context.names;
    let catalog = catalog_name(names);
    all(context)
        .map(|(ty, body)| {
            let measures = measures(body.base);
            let collation = collation(names.catalog.type_collation(ty.oid));
            let udt = names.type_parts(body.base.oid);
            let default = body.default.as_deref();
            let is_array = names.element_of(body.base.oid).is_some();
            let data_type = if is_array {
                "ARRAY".to_owned()
            } else if body.base.oid >= aegis_types::Oid::FIRST_USER {
                "USER-DEFINED".to_owned()
            } else {
                names.format_type(body.base.oid, None)
            };
            row![
                catalog,
                schema(context, ty.schema),
                &ty.name,
                data_type,
                measures.length,
                measures.bytes,
                NULL,
                NULL,
                NULL,
                collation.map(|_| catalog),
                collation.map(|(schema, _)| schema),
                collation.map(|(_, name)| name),
                measures.precision,
                measures.radix,
                measures.scale,
                measures.time_precision,
                NULL,
                NULL,
                default.map(|text| names.text.expression(names, text, None, false)),
                catalog,
                udt.as_ref().map(|(owner, _)| schema(context, *owner)),
                udt.map(|(_, name)| name),
                NULL,
                NULL,
                NULL,
                NULL,
                "1",
            ]
        })
        .collect()
}

pub(in crate::system) fn constraints(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let catalog = catalog_name(&context.names);
    let row = |ty: &UserType, name: &str| {
        let schema = schema(context, ty.schema);
        row![catalog, &schema, name, catalog, &schema, &ty.name, "NO", "NO"]
    };
    let mut rows = Vec::new();
    for (ty, body) in all(context) {
        rows.extend(body.checks.iter().map(|check| row(ty, &check.name)));
    }
    rows
}
