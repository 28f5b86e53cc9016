//! `has_table_privilege` and its family. There are no grants: every role may do everything, so that
//! only the names in the question can be wrong.

use aegis_types::{Datum, SqlError, SqlResult, SqlState, type_oid as t};

use super::{Call, HostTable, registered};

pub(super) static FUNCTIONS: HostTable = &[
    ("has_table_privilege", |call| relation(call, TABLE)),
    ("has_sequence_privilege", |call| relation(call, &["usage", "select", "update"])),
    ("has_any_column_privilege", |call| relation(call, COLUMN)),
    ("has_column_privilege", column),
    ("has_schema_privilege", |call| named(call, t::REGNAMESPACE, &["create", "usage"])),
    ("has_function_privilege", |call| named(call, t::REGPROCEDURE, &["execute"])),
    ("has_type_privilege", |call| named(call, t::REGTYPE, &["usage"])),
    ("has_database_privilege", |call| {
        if let Datum::Text(name) = call.arg(object_at(call))
            && call.seen.catalog.database_named(name).is_none()
        {
            return Err(SqlError::new(
                SqlState::UndefinedDatabase,
                format!("database \"{name}\" does not exist"),
            ));
        }
        granted(call, &["create", "temporary", "temp", "connect"])
    }),
    ("has_language_privilege", |call| granted(call, &["usage"])),
    ("has_tablespace_privilege", |call| granted(call, &["create"])),
    ("pg_has_role", |call| {
        if let Datum::Text(role) = call.arg(object_at(call)) {
            registered::role(&call.names(), role)?;
        }
        granted(call, &["member", "usage"])
    }),
];

const TABLE: &[&str] =
    &["select", "insert", "update", "delete", "truncate", "references", "trigger", "rule"];
const COLUMN: &[&str] = &["select", "insert", "update", "references"];

/// The object stands before the privilege; before it a role may.
fn object_at(call: &Call<'_>) -> usize {
    call.args.len().saturating_sub(2)
}

/// Checks the words of the privilege and the role.
fn granted(call: &Call<'_>, known: &[&str]) -> SqlResult<Datum> {
    let words = call.text(call.args.len().saturating_sub(1));
    for word in words.split(',') {
        let lower = word.trim().to_ascii_lowercase();
        let plain = lower.strip_suffix(" with grant option").unwrap_or(&lower);
        let plain = plain.strip_suffix(" with admin option").unwrap_or(plain);
        if !known.contains(&plain) {
            return Err(SqlError::new(
                SqlState::InvalidParameterValue,
                format!("unrecognized privilege type: \"{}\"", word.trim()),
            ));
        }
    }
    let with_role = if call.row.name == "has_column_privilege" { 4 } else { 3 };
    if call.args.len() == with_role
        && let Datum::Text(role) = call.arg(0)
        && &**role != "public"
    {
        registered::role(&call.names(), role)?;
    }
    Ok(Datum::Bool(true))
}

fn relation(call: &Call<'_>, known: &[&str]) -> SqlResult<Datum> {
    named(call, t::REGCLASS, known)
}

/// An object that a reg type reads; NULL for an OID that nothing has.
fn named(call: &Call<'_>, reg_type: aegis_types::Oid, known: &[&str]) -> SqlResult<Datum> {
    let names = call.names();
    match call.arg(object_at(call)) {
        Datum::Text(name) => {
            registered::lookup(&names, reg_type, name)?;
        }
        Datum::Oid(oid) if !registered::is_known(&names, reg_type, *oid) => {
            return Ok(Datum::Null);
        }
        _ => {}
    }
    granted(call, known)
}

fn column(call: &Call<'_>) -> SqlResult<Datum> {
    let names = call.names();
    let table_at = call.args.len().saturating_sub(3);
    let table = match call.arg(table_at) {
        Datum::Text(name) => registered::lookup(&names, t::REGCLASS, name)?,
        Datum::Oid(oid) => *oid,
        _ => return Ok(Datum::Null),
    };
    let columns = names.columns(table);
    match call.arg(table_at + 1) {
        Datum::Text(name) if !columns.iter().any(|column| column.1 == &**name) => {
            let table = names.relation_parts(table).map_or("", |(_, name)| name);
            return Err(SqlError::new(
                SqlState::UndefinedColumn,
                format!("column \"{name}\" of relation \"{table}\" does not exist"),
            ));
        }
        Datum::Int2(number) if !columns.iter().any(|column| column.0 == *number) => {
            return Ok(Datum::Null);
        }
        _ => {}
    }
    granted(call, COLUMN)
}
