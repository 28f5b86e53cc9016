//! `pg_matviews`: materialized views with their queries.

use aegis_types::Datum;

use super::SystemContext;
use super::cell::NULL;
use super::definition::view_definition;

pub(super) fn rows(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let catalog = context.catalog();
    let mut rows = Vec::new();
    for relation in context.relations() {
        let (Some(table), Some(view)) = (relation.as_table(), relation.as_materialized()) else {
            continue;
        };
        rows.push(row![
            catalog.schema_name(relation.schema),
            &relation.name,
            catalog.role(relation.owner).map(|role| &role.name),
            NULL,
            !table.indexes.is_empty(),
            view.populated,
            view_definition(&context.names, relation, false, 0),
        ]);
    }
    rows
}
