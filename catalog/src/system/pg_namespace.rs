//! `pg_namespace`: the schemas of the database and the built-in ones.

use aegis_types::Datum;

use super::SystemContext;
use super::cell::NULL;
use crate::snapshot::{BOOTSTRAP_ROLE, INFORMATION_SCHEMA, PG_CATALOG};

pub(super) fn rows(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let mut rows = vec![
        row![PG_CATALOG, "pg_catalog", BOOTSTRAP_ROLE, NULL],
        row![INFORMATION_SCHEMA, "information_schema", BOOTSTRAP_ROLE, NULL],
    ];
    for schema in context.catalog().schemas_of(context.names.database) {
        rows.push(row![schema.oid, &schema.name, schema.owner, NULL]);
    }
    rows
}
