//! `pg_database`.

use aegis_types::{Datum, Oid};

use super::SystemContext;
use super::cell::NULL;

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
            &database.collate,
            &database.ctype,
            NULL,
            NULL,
            NULL,
        ]
    };
    context.catalog().databases().map(|database| row(database)).collect()
}
