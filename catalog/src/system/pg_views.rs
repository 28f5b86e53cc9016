//! `pg_views`: views with their queries. The views of the system schemas have none to show.

use aegis_types::Datum;

use super::definition::view_definition;
use super::{SystemContext, all};
use crate::snapshot::BOOTSTRAP_ROLE;

pub(super) fn rows(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let catalog = context.catalog();
    let mut rows = Vec::new();
    for relation in context.relations() {
        if relation.as_materialized().is_some() {
            continue;
        }
        let Some(definition) = view_definition(&context.names, relation, false, 0) else {
            continue;
        };
        rows.push(row![
            catalog.schema_name(relation.schema),
            &relation.name,
            catalog.role(relation.owner).map(|role| &role.name),
            definition,
        ]);
    }
    for relation in all().filter(|relation| relation.kind == b'v') {
        rows.push(row![
            catalog.schema_name(relation.schema),
            relation.short_name(),
            catalog.role(BOOTSTRAP_ROLE).map(|role| &role.name),
            None::<&str>,
        ]);
    }
    rows
}
