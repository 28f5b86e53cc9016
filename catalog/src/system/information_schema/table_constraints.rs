//! `information_schema.table_constraints`: not null columns count as checks here.

use aegis_types::Datum;

use super::super::SystemContext;
use super::super::cell::NULL;
use super::{catalog_name, constraints, schema, yes};
use crate::descriptor::{ConstraintKind, Deferral};

pub(in crate::system) fn rows(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let row =
        |schema: &str, name: &str, table: &str, kind: &str, late: Deferral, distinct: Datum| {
            let (can_wait, waits) = (yes(late.is_deferrable()), yes(late.is_initially_deferred()));
            let catalog = catalog_name(&context.names);
            row![
                catalog, schema, name, catalog, schema, table, kind, can_wait, waits, "YES",
                distinct,
            ]
        };
    let mut rows = Vec::new();
    for (table, constraint) in constraints(context) {
        let (kind, index) = match &constraint.kind {
            ConstraintKind::Check { .. } => ("CHECK", None),
            ConstraintKind::PrimaryKey { .. } => ("PRIMARY KEY", None),
            ConstraintKind::Unique { index } => ("UNIQUE", Some(*index)),
            ConstraintKind::ForeignKey(_) => ("FOREIGN KEY", None),
        };
        let distinct = index
            .and_then(|index| context.catalog().relation(index)?.as_index())
            .map_or(NULL, |index| Datum::text(yes(!index.nulls_not_distinct)));
        let schema = schema(context, table.schema);
        rows.push(row(&schema, &constraint.name, &table.name, kind, constraint.deferral, distinct));
    }
    for table in context.relations().filter(|relation| relation.as_table().is_some()) {
        let schema = schema(context, table.schema);
        for column in table.live_columns().filter(|column| column.not_null) {
            let name = format!("{}_{}_{}_not_null", table.schema, table.oid, column.number);
            rows.push(row(&schema, &name, &table.name, "CHECK", Deferral::NotDeferrable, NULL));
        }
    }
    rows
}
