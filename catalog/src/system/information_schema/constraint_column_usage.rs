//! `information_schema.constraint_column_usage`: the columns that a constraint looks at; for a
//! foreign key those that it references.

use aegis_types::Datum;

use super::super::SystemContext;
use super::super::pg_constraint::columns;
use super::{catalog_name, constraints, schema};
use crate::descriptor::ConstraintKind;

pub(in crate::system) fn rows(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let catalog = catalog_name(&context.names);
    let mut rows = Vec::new();
    for (table, constraint) in constraints(context) {
        let (used, numbers) = match &constraint.kind {
            ConstraintKind::ForeignKey(key) => match context.catalog().relation(key.target) {
                Some(target) => (&**target, key.target_columns.clone()),
                None => continue,
            },
            kind => (table, columns(context, kind)),
        };
        for column in numbers.into_iter().filter_map(|number| used.column(number)) {
            rows.push(row![
                catalog,
                schema(context, used.schema),
                &used.name,
                &column.name,
                catalog,
                schema(context, table.schema),
                &constraint.name,
            ]);
        }
    }
    rows
}
