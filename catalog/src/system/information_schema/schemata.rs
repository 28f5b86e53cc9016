//! `information_schema.schemata`

use aegis_types::{Datum, Oid};

use super::super::SystemContext;
use super::super::cell::NULL;
use super::catalog_name;
use crate::access::Kind;
use crate::snapshot::BOOTSTRAP_ROLE;

pub(in crate::system) fn rows(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let owner = |oid: Oid| context.catalog().role(oid).map(|role| role.name.as_str());
    let row = |name: &str, role: Oid| {
        row![catalog_name(&context.names), name, owner(role), NULL, NULL, NULL, NULL]
    };
    let role = context.server.role();
    let access = context.catalog().access(context.names.database);
    let sees = |schema: Oid| {
        access.owns(role, Kind::Schema, schema)
            || !access.held(role, Kind::Schema, schema, 0).privileges.is_empty()
    };
    let mut rows =
        vec![row("pg_catalog", BOOTSTRAP_ROLE), row("information_schema", BOOTSTRAP_ROLE)];
    let schemas = context.catalog().schemas_of(context.names.database);
    let schemas = schemas.filter(|schema| sees(schema.oid));
    rows.extend(schemas.map(|schema| row(&schema.name, schema.owner)));
    rows
}
