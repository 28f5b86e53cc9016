//! `pg_description` and `pg_shdescription`: comments on objects of the database, and on databases
//! and roles. PostgreSQL's own objects carry none here.

use aegis_types::{Datum, Oid};

use super::SystemContext;
use crate::snapshot::{PG_AUTHID, PG_CLASS, PG_CONSTRAINT, PG_DATABASE, PG_NAMESPACE};

fn is_shared(class: Oid) -> bool {
    matches!(class, PG_DATABASE | PG_AUTHID)
}

/// Whether the object of a comment is in the session's database.
fn is_here(context: &SystemContext<'_>, class: Oid, object: Oid) -> bool {
    let database = context.names.database;
    match class {
        PG_CLASS => {
            context.catalog().relation(object).is_some_and(|found| found.database == database)
        }
        PG_NAMESPACE => {
            context.catalog().schema(object).is_some_and(|found| found.database == database)
        }
        PG_CONSTRAINT => context
            .relations()
            .filter_map(|relation| relation.as_table())
            .any(|table| table.constraints.iter().any(|constraint| constraint.oid == object)),
        _ => true,
    }
}

pub(super) fn rows(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    context
        .catalog()
        .comments()
        .filter(|comment| !is_shared(comment.class))
        .filter(|comment| is_here(context, comment.class, comment.object))
        .map(|comment| row![comment.object, comment.class, comment.column, &comment.text])
        .collect()
}

/// `pg_shdescription`
pub(super) fn shared_rows(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    context
        .catalog()
        .comments()
        .filter(|comment| is_shared(comment.class))
        .map(|comment| row![comment.object, comment.class, &comment.text])
        .collect()
}
