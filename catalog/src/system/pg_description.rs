//! `pg_description` and `pg_shdescription`: comments on objects of the database, and on databases
//! and roles. Of PostgreSQL's own objects those have one that `psql` shows with it.

use aegis_types::{Datum, Oid};

use super::SystemContext;
use crate::descriptor::TypeBody;
use crate::snapshot::{
    PG_AUTHID, PG_CATALOG, PG_CLASS, PG_CONSTRAINT, PG_DATABASE, PG_EXTENSION, PG_LANGUAGE,
    PG_NAMESPACE, PG_PROC, PG_TYPE,
};

const PG_AM: Oid = Oid(2601);
const PG_COLLATION: Oid = Oid(3456);

/// Comments on PostgreSQL's own objects: catalog, object, text.
const BUILT_IN: &[(Oid, Oid, &str)] = &[
    (PG_AM, Oid(2), "heap table access method"),
    (PG_AM, Oid(403), "b-tree index access method"),
    (PG_AM, Oid(405), "hash index access method"),
    (PG_LANGUAGE, Oid(12), "built-in functions"),
    (PG_LANGUAGE, Oid(13), "dynamically-loaded C functions"),
    (PG_LANGUAGE, Oid(14), "SQL-language functions"),
    (PG_NAMESPACE, PG_CATALOG, "system catalog schema"),
    (PG_COLLATION, Oid(100), "database's default collation"),
    (PG_COLLATION, Oid(950), "standard C collation"),
    (PG_COLLATION, Oid(951), "standard POSIX collation"),
];

/// The comment that one of PostgreSQL's own objects has.
#[must_use]
pub fn built_in(class: Oid, object: Oid) -> Option<&'static str> {
    BUILT_IN.iter().find(|(of, oid, _)| (*of, *oid) == (class, object)).map(|(.., text)| *text)
}

fn is_shared(class: Oid) -> bool {
    matches!(class, PG_DATABASE | PG_AUTHID)
}

/// Whether the object of a comment is in the session's database.
fn is_here(context: &SystemContext<'_>, class: Oid, object: Oid) -> bool {
    let database = context.names.database;
    match class {
        PG_CLASS => match context.catalog().relation(object) {
            Some(found) => found.database == database,
            None => context.catalog().user_types_of(database).any(|ty| match &ty.body {
                TypeBody::Composite(body) => body.relation == object,
                _ => false,
            }),
        },
        PG_NAMESPACE => {
            context.catalog().schema(object).is_some_and(|found| found.database == database)
        }
        PG_TYPE => {
            context.catalog().user_type(object).is_some_and(|found| found.database == database)
        }
        PG_CONSTRAINT => {
            let mut types = context.catalog().user_types_of(database);
            let of_domain = types.any(|ty| match &ty.body {
                TypeBody::Domain(body) => body.checks.iter().any(|check| check.oid == object),
                _ => false,
            });
            of_domain
                || context
                    .relations()
                    .filter_map(|relation| relation.as_table())
                    .any(|table| table.constraints.iter().any(|found| found.oid == object))
        }
        PG_EXTENSION => {
            context.catalog().extension(object).is_some_and(|found| found.database == database)
        }
        PG_PROC => {
            let own = context.catalog().user_function(object);
            own.is_none_or(|found| found.database == database)
        }
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
        .chain(BUILT_IN.iter().map(|(class, object, text)| row![*object, *class, 0_i32, *text]))
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
