//! `information_schema.schemata`

use aegis_types::{Datum, Oid};

use super::super::SystemContext;
use super::super::cell::NULL;
use super::catalog_name;
use crate::snapshot::BOOTSTRAP_ROLE;

pub(in crate::system) fn rows(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let owner = |oid: Oid| context.catalog().role(oid).map(|role| role.name.as_str());
    let row = |name: &str, role: Oid| {
        row![catalog_name(&context.names), name, owner(role), NULL, NULL, NULL, NULL]
    };
    let mut rows =
        vec![row("pg_catalog", BOOTSTRAP_ROLE), row("information_schema", BOOTSTRAP_ROLE)];
    let schemas = context.catalog().schemas_of(context.names.database);
    rows.extend(schemas.map(|schema| row(&schema.name, schema.owner)));
    rows
}
