//! `information_schema`'s views of what uses what: views of tables and columns, constraints of
//! tables, columns of types and domains, generated columns of others. They show what the current
//! role owns.

use std::collections::BTreeSet;

use aegis_types::{Datum, Oid};

use super::super::SystemContext;
use super::{catalog_name, constraints, schema};
use crate::access::Kind;
use crate::descriptor::{ConstraintKind, Relation, RelationBody, TypeBody};

/// Whether the current role has the privileges of an object's owner.
pub(super) fn is_owned(context: &SystemContext<'_>, owner: Oid) -> bool {
    let access = context.catalog().access(context.names.database);
    access.has_privileges_of(context.server.role(), owner)
}

/// The tables and views that a view's query names, with their columns.
fn views<'a>(
    context: &SystemContext<'a>,
) -> impl Iterator<Item = (&'a Relation, &'a Relation, Vec<i16>)> + use<'a> {
    let seen = *context;
    let views =
        context.relations().filter(|relation| matches!(relation.body, RelationBody::View { .. }));
    views.flat_map(move |view| {
        let uses = seen.names.text.view_uses(&seen.names, view);
        let named: BTreeSet<Oid> = uses.iter().map(|(oid, _)| *oid).collect();
        let found: Vec<_> = named
            .into_iter()
            .filter_map(|oid| {
                let relation = &**seen.names.catalog.relation(oid)?;
                let columns = uses.iter().filter(|(of, column)| *of == oid && *column != 0);
                Some((view, relation, columns.map(|(_, column)| *column).collect()))
            })
            .filter(|(_, relation, _)| {
                is_owned(&seen, relation.owner) && relation.as_materialized().is_none()
            })
            .collect();
        found
    })
}

pub(in crate::system) fn view_tables(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let catalog = catalog_name(&context.names);
    views(context)
        .map(|(view, used, _)| {
            row![
                catalog,
                schema(context, view.schema),
                &view.name,
                catalog,
                schema(context, used.schema),
                &used.name,
            ]
        })
        .collect()
}

pub(in crate::system) fn view_columns(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let catalog = catalog_name(&context.names);
    let mut rows = Vec::new();
    for (view, used, columns) in views(context) {
        for column in columns.into_iter().filter_map(|number| used.column(number)) {
            rows.push(row![
                catalog,
                schema(context, view.schema),
                &view.name,
                catalog,
                schema(context, used.schema),
                &used.name,
                &column.name,
            ]);
        }
    }
    rows
}

/// The table that a constraint looks at: of a foreign key the one that it references. Checks are not
/// shown.
pub(in crate::system) fn constraint_tables(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let catalog = catalog_name(&context.names);
    constraints(context)
        .filter_map(|(table, constraint)| {
            let used = match &constraint.kind {
                ConstraintKind::ForeignKey(key) => context.catalog().relation(key.target)?,
                ConstraintKind::PrimaryKey { .. } | ConstraintKind::Unique { .. } => table,
                ConstraintKind::Check { .. } => return None,
            };
            is_owned(context, used.owner).then(|| {
                row![
                    catalog,
                    schema(context, used.schema),
                    &used.name,
                    catalog,
                    schema(context, table.schema),
                    &constraint.name,
                ]
            })
        })
        .collect()
}

/// The columns of tables and views, with their owner.
fn columns<'a>(
    context: &SystemContext<'a>,
) -> impl Iterator<Item = (&'a Relation, &'a crate::descriptor::Column)> + use<'a> {
    let tables = context.relations().filter(|relation| {
        relation.as_materialized().is_none()
            && matches!(relation.body, RelationBody::Table(_) | RelationBody::View { .. })
    });
    tables.flat_map(|relation| relation.live_columns().map(move |column| (relation, column)))
}

pub(in crate::system) fn column_types(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let catalog = catalog_name(&context.names);
    let access = context.catalog().access(context.names.database);
    columns(context)
        .filter_map(|(table, column)| {
            let base = context.catalog().base_type(column.ty).oid;
            let owner = access.owner(Kind::Type, base)?;
            let (own_schema, name) = context.names.type_parts(base)?;
            is_owned(context, owner).then(|| {
                row![
                    catalog,
                    schema(context, own_schema),
                    name,
                    catalog,
                    schema(context, table.schema),
                    &table.name,
                    &column.name,
                ]
            })
        })
        .collect()
}

pub(in crate::system) fn column_domains(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let catalog = catalog_name(&context.names);
    columns(context)
        .filter_map(|(table, column)| {
            let domain = context.catalog().user_type(column.ty.oid)?;
            let shown =
                matches!(domain.body, TypeBody::Domain(_)) && is_owned(context, domain.owner);
            shown.then(|| {
                row![
                    catalog,
                    schema(context, domain.schema),
                    &domain.name,
                    catalog,
                    schema(context, table.schema),
                    &table.name,
                    &column.name,
                ]
            })
        })
        .collect()
}

pub(in crate::system) fn domain_types(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let catalog = catalog_name(&context.names);
    let access = context.catalog().access(context.names.database);
    let types = context.catalog().types_of(context.names.database);
    types
        .filter_map(|domain| {
            let TypeBody::Domain(body) = &domain.body else { return None };
            let owner = access.owner(Kind::Type, body.base.oid)?;
            let (own_schema, name) = context.names.type_parts(body.base.oid)?;
            is_owned(context, owner).then(|| {
                row![
                    catalog,
                    schema(context, own_schema),
                    name,
                    catalog,
                    schema(context, domain.schema),
                    &domain.name,
                ]
            })
        })
        .collect()
}

/// The columns that generated columns are computed from.
pub(in crate::system) fn generated_columns(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let catalog = catalog_name(&context.names);
    let mut rows = Vec::new();
    for (table, column) in columns(context).filter(|(_, column)| column.generated) {
        let (Some(text), Some(shared)) = (&column.default, context.catalog().relation(table.oid))
        else {
            continue;
        };
        if !is_owned(context, table.owner) {
            continue;
        }
        let uses = context.names.text.expression_uses(&context.names, text, shared);
        let from = uses.iter().filter(|(oid, _)| *oid == table.oid);
        for from in from.filter_map(|(_, number)| table.column(*number)) {
            rows.push(row![
                catalog,
                schema(context, table.schema),
                &table.name,
                &from.name,
                &column.name,
            ]);
        }
    }
    rows
}
