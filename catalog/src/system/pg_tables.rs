//! `pg_tables`, those of the system schemas included.

use aegis_types::{Datum, Oid};

use super::cell::NULL;
use super::pg_class::has_triggers;
use super::{SystemContext, all};
use crate::snapshot::BOOTSTRAP_ROLE;

pub(super) fn rows(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let catalog = context.catalog();
    let owner = |oid: Oid| catalog.role(oid).map(|role| role.name.as_str());
    let mut rows = Vec::new();
    for relation in context.relations() {
        let Some(table) = relation.as_table().filter(|table| table.materialized.is_none()) else {
            continue;
        };
        rows.push(row![
            catalog.schema_name(relation.schema),
            &relation.name,
            owner(relation.owner),
            NULL,
            !table.indexes.is_empty(),
            false,
            has_triggers(relation),
            false,
        ]);
    }
    for relation in all().filter(|relation| relation.kind == b'r') {
        rows.push(row![
            catalog.schema_name(relation.schema),
            relation.short_name(),
            owner(BOOTSTRAP_ROLE),
            relation.shared.then_some("pg_global"),
            false,
            false,
            false,
            false,
        ]);
    }
    rows
}
