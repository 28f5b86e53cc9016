//! `information_schema.key_column_usage`: the columns of primary, unique and foreign keys.

use aegis_types::Datum;

use super::super::SystemContext;
use super::super::pg_constraint::columns;
use super::{catalog_name, constraints, schema};
use crate::descriptor::{ConstraintKind, ForeignKey};

pub(in crate::system) fn rows(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let catalog = catalog_name(&context.names);
    let mut rows = Vec::new();
    for (table, constraint) in constraints(context) {
        let foreign = match &constraint.kind {
            ConstraintKind::Check { .. } => continue,
            ConstraintKind::ForeignKey(key) => Some(key),
            ConstraintKind::PrimaryKey { .. } | ConstraintKind::Unique { .. } => None,
        };
        let schema = schema(context, table.schema);
        for (at, number) in columns(context, &constraint.kind).into_iter().enumerate() {
            let Some(column) = table.column(number) else { continue };
            rows.push(row![
                catalog,
                &schema,
                &constraint.name,
                catalog,
                &schema,
                &table.name,
                &column.name,
                i32::try_from(at + 1).ok(),
                foreign.and_then(|key| position_in_target(context, key, at)),
            ]);
        }
    }
    rows
}

/// Where the column that is referenced stands in the unique constraint.
fn position_in_target(context: &SystemContext<'_>, key: &ForeignKey, at: usize) -> Option<i32> {
    let target = key.target_columns.get(at)?;
    let index = context.catalog().relation(key.target_index)?.as_index()?;
    let position = index.keys.iter().position(|part| part.column == *target)?;
    i32::try_from(position + 1).ok()
}
