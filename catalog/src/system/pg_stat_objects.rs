//! Views of counters: one row an object, with NULL for what nobody counts here.

use aegis_types::Datum;

use super::cell::NULL;
use super::{SystemContext, all, relation};
use crate::descriptor::Relation;
use crate::snapshot::PG_CATALOG;

/// A row that begins like this, with NULL in the other columns of a view.
fn padded(view: &str, mut row: Vec<Datum>) -> Vec<Datum> {
    let columns = relation(view).map_or(0, |view| view.columns.len());
    row.resize(columns, NULL);
    row
}

fn of<'a>(
    context: &SystemContext<'a>,
    view: &'static str,
    head: impl Fn(&SystemContext<'a>, &'a Relation) -> Option<Vec<Datum>>,
) -> Vec<Vec<Datum>> {
    let rows = context.relations().filter_map(|relation| head(context, relation));
    rows.map(|row| padded(view, row)).collect()
}

fn qualified(context: &SystemContext<'_>, relation: &Relation) -> [Datum; 3] {
    let schema = context.catalog().schema_name(relation.schema).unwrap_or_default();
    [Datum::Oid(relation.oid), Datum::text(schema), Datum::text(relation.name.as_str())]
}

/// `relid`, `schemaname`, `relname` of users' tables.
pub(super) fn tables(context: &SystemContext<'_>, view: &'static str) -> Vec<Vec<Datum>> {
    of(context, view, |context, relation| {
        relation.as_table()?;
        Some(qualified(context, relation).into())
    })
}

/// The same of PostgreSQL's own.
pub(super) fn system_tables(_: &SystemContext<'_>, view: &'static str) -> Vec<Vec<Datum>> {
    all()
        .filter(|relation| relation.kind == b'r')
        .map(|relation| {
            let schema =
                if relation.schema == PG_CATALOG { "pg_catalog" } else { "information_schema" };
            padded(view, row![relation.oid, schema, relation.short_name()])
        })
        .collect()
}

/// Both.
pub(super) fn all_tables(context: &SystemContext<'_>, view: &'static str) -> Vec<Vec<Datum>> {
    let mut rows = tables(context, view);
    rows.extend(system_tables(context, view));
    rows
}

/// `relid`, `schemaname`, `relname` of sequences.
pub(super) fn sequences(context: &SystemContext<'_>, view: &'static str) -> Vec<Vec<Datum>> {
    of(context, view, |context, relation| {
        relation.as_sequence()?;
        Some(qualified(context, relation).into())
    })
}

/// `relid`, `indexrelid`, `schemaname`, `relname`, `indexrelname` of indexes.
pub(super) fn indexes(context: &SystemContext<'_>, view: &'static str) -> Vec<Vec<Datum>> {
    of(context, view, |context, relation| {
        let table = context.catalog().relation(relation.as_index()?.table)?;
        let [oid, schema, name] = qualified(context, table);
        Some(row![oid, relation.oid, schema, name, &relation.name])
    })
}

/// `datid`, `datname` of databases, and how many sessions `pg_stat_database` counts in them.
pub(super) fn databases(context: &SystemContext<'_>, view: &'static str) -> Vec<Vec<Datum>> {
    let sessions = context.server.sessions();
    let row = |database: &crate::descriptor::Database| {
        let mut row = row![database.oid, &database.name];
        if view == "pg_catalog.pg_stat_database" {
            let here = sessions.iter().filter(|session| session.database == database.name).count();
            row.push(Datum::Int4(i32::try_from(here).unwrap_or(i32::MAX)));
        }
        padded(view, row)
    };
    context.catalog().databases().map(|database| row(database)).collect()
}

/// One row of NULL: a server that counts nothing.
pub(super) fn server(_: &SystemContext<'_>, view: &'static str) -> Vec<Vec<Datum>> {
    vec![padded(view, Vec::new())]
}

/// `pg_stat_archiver`: there is no archiver, so it archived nothing.
pub(super) fn archiver(_: &SystemContext<'_>, view: &'static str) -> Vec<Vec<Datum>> {
    let mut row = row![0_i64, NULL, NULL, 0_i64];
    row.resize(relation(view).map_or(0, |view| view.columns.len()), NULL);
    vec![row]
}

/// `pg_stat_gssapi`: no session uses it.
pub(super) fn gssapi(context: &SystemContext<'_>, view: &'static str) -> Vec<Vec<Datum>> {
    let sessions = context.server.sessions().into_iter();
    sessions.map(|session| padded(view, row![session.process_id, false, NULL, false])).collect()
}
