//! `pg_indexes`: indexes with their definitions.

use aegis_types::Datum;

use super::SystemContext;
use super::cell::NULL;
use super::definition::index_definition;

pub(super) fn rows(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    context
        .relations()
        .filter_map(|relation| {
            let table = context.catalog().relation(relation.as_index()?.table)?;
            Some(row![
                context.catalog().schema_name(relation.schema),
                &table.name,
                &relation.name,
                NULL,
                index_definition(&context.names, relation, false),
            ])
        })
        .collect()
}
