//! `pg_sequence`, and `pg_sequences` with where they stand.

use aegis_types::Datum;

use super::SystemContext;

pub(super) fn rows(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    context
        .relations()
        .filter_map(|relation| {
            let it = relation.as_sequence()?;
            Some(row![
                relation.oid,
                it.ty,
                it.start,
                it.increment,
                it.maximum,
                it.minimum,
                it.cache,
                it.cycle,
            ])
        })
        .collect()
}

/// `pg_sequences`
pub(super) fn sequences(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let catalog = context.catalog();
    context
        .relations()
        .filter_map(|relation| {
            let it = relation.as_sequence()?;
            Some(row![
                catalog.schema_name(relation.schema),
                &relation.name,
                catalog.role(relation.owner).map(|role| &role.name),
                it.ty,
                it.start,
                it.minimum,
                it.maximum,
                it.increment,
                it.cycle,
                it.cache,
                context.server.sequence_last_value(relation),
            ])
        })
        .collect()
}
