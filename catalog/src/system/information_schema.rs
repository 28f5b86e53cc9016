//! `information_schema`: the standard's views of the same catalog, one a file. They show what the
//! current role owns or has privileges on.

use super::{Names, SystemContext, all};
use crate::access::{Kind, Privilege};
use crate::descriptor::{Constraint, Relation, RelationBody};
use aegis_types::{Collation, Oid};

pub(super) mod character;
pub(super) mod check_constraints;
pub(super) mod columns;
pub(super) mod constraint_column_usage;
pub(super) mod domains;
pub(super) mod elements;
pub(super) mod key_column_usage;
pub(super) mod privileges;
pub(super) mod routines;
pub(super) mod referential_constraints;
pub(super) mod schemata;
pub(super) mod sequences;
pub(super) mod table_constraints;
pub(super) mod tables;
pub(super) mod types;
pub(super) mod usage;
pub(super) mod views;

/// `yes_or_no`
fn yes(condition: bool) -> &'static str {
    if condition { "YES" } else { "NO" }
}

/// The collation of a column or a domain, unless it is the database's: its schema and its name.
fn collation(oid: Oid) -> Option<(&'static str, &'static str)> {
    let known = Collation::with_oid(oid).filter(|collation| *collation != Collation::Default);
    known.map(|collation| ("pg_catalog", collation.name()))
}

/// The name of a schema.
fn schema(context: &SystemContext<'_>, oid: Oid) -> String {
    context.catalog().schema_name(oid).unwrap_or_default().to_owned()
}

/// Every constraint with its table.
fn constraints<'a>(
    context: &SystemContext<'a>,
) -> impl Iterator<Item = (&'a Relation, &'a Constraint)> + use<'a> {
    let seen = *context;
    let change = Kind::Table.all() & !Privilege::SELECT;
    context.relations().filter(move |it| seen.may_see(it.oid, change)).flat_map(|relation| {
        let constraints = relation.as_table().map_or(&[][..], |table| &table.constraints);
        constraints.iter().map(move |constraint| (relation, constraint))
    })
}

/// A table or a view, computed or stored.
struct TableLike<'a> {
    oid: Oid,
    schema: Oid,
    name: &'a str,
    is_view: bool,
    stored: Option<&'a Relation>,
}

fn tables_and_views<'a>(
    context: &SystemContext<'a>,
) -> impl Iterator<Item = TableLike<'a>> + use<'a> {
    let stored = context.relations().filter_map(|relation| {
        let is_view = match relation.body {
            RelationBody::Table(_) if relation.as_materialized().is_some() => return None,
            RelationBody::Table(_) => false,
            RelationBody::View { .. } => true,
            RelationBody::Sequence(_) | RelationBody::Index(_) => return None,
        };
        Some(TableLike {
            oid: relation.oid,
            schema: relation.schema,
            name: &relation.name,
            is_view,
            stored: Some(relation),
        })
    });
    let seen = *context;
    let any = Kind::Table.all();
    let built_in = all().map(|relation| TableLike {
        oid: relation.oid,
        schema: relation.schema,
        name: relation.short_name(),
        is_view: relation.kind == b'v',
        stored: None,
    });
    stored.chain(built_in).filter(move |table| seen.may_see(table.oid, any))
}

impl TableLike<'_> {
    /// For each column, whether it can be assigned to; `None` for a view that cannot be changed
    /// through, and for computed relations.
    fn updatable_columns(&self, context: &SystemContext<'_>) -> Option<Vec<bool>> {
        let relation = context.catalog().relation(self.oid)?;
        if self.is_view {
            return context.names.text.updatable_columns(&context.names, relation);
        }
        Some(relation.columns.iter().map(|column| !column.dropped).collect())
    }
}

/// The name of the session's database: the catalog, in the standard's words.
fn catalog_name<'a>(names: &Names<'a>) -> &'a str {
    names.database_name()
}
