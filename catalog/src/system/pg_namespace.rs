//! `pg_namespace`: the schemas of the database and the built-in ones.

use aegis_types::{Datum, type_oid as t};

use super::SystemContext;
use super::cell::{NULL, array};
use crate::snapshot::{BOOTSTRAP_ROLE, DATABASE_OWNER_ROLE, INFORMATION_SCHEMA, PG_CATALOG};

pub(super) fn rows(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let mut rows = vec![
        row![PG_CATALOG, "pg_catalog", BOOTSTRAP_ROLE, usable_by_all("postgres")],
        row![INFORMATION_SCHEMA, "information_schema", BOOTSTRAP_ROLE, usable_by_all("postgres")],
    ];
    for schema in context.catalog().schemas_of(context.names.database) {
        // The schema that every database begins with is open to all; privileges are not granted.
        let privileges = match schema.owner {
            DATABASE_OWNER_ROLE => usable_by_all("pg_database_owner"),
            _ => NULL,
        };
        rows.push(row![schema.oid, &schema.name, schema.owner, privileges]);
    }
    rows
}

fn usable_by_all(owner: &str) -> Datum {
    array(t::ACLITEM, [format!("{owner}=UC/{owner}"), format!("=U/{owner}")])
}
