//! `pg_database`.

use aegis_types::{Datum, Oid, type_oid as t};

use super::SystemContext;
use super::cell::{NULL, array};
use crate::snapshot::{TEMPLATE0_DATABASE, TEMPLATE1_DATABASE};

/// `pg_default`, where every database is.
const DEFAULT_TABLESPACE: Oid = Oid(1663);
/// UTF8
const ENCODING: i32 = 6;

pub(super) fn rows(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let row = |database: &crate::descriptor::Database| {
        row![
            database.oid,
            &database.name,
            database.owner,
            ENCODING,
            b'c',
            database.is_template,
            database.allow_connections,
            database.connection_limit,
            Oid::NONE,
            Oid::NONE,
            DEFAULT_TABLESPACE,
            "C",
            "C",
            NULL,
            NULL,
            privileges(database.oid),
        ]
    };
    context.catalog().databases().map(|database| row(database)).collect()
}

/// Nobody but the owner may create in a template; everybody may connect.
fn privileges(database: Oid) -> Datum {
    if database == TEMPLATE0_DATABASE || database == TEMPLATE1_DATABASE {
        return array(t::ACLITEM, ["=c/postgres", "postgres=CTc/postgres"]);
    }
    NULL
}
