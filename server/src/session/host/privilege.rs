//! `has_table_privilege` and its family, and `pg_has_role`.
//!
//! ```text
//! [role,] object [, column], 'words' ─► true if the role holds any of the words' privileges
//! ```
//!
//! The role is a name, `public` or an OID; without it the current one is asked for. An OID that
//! nothing has is answered with NULL, a name that nothing has is an error.

use aegis_catalog::access::{Held, Kind, Privilege, everybody};
use aegis_types::{Datum, Oid, SqlError, SqlResult, SqlState, type_oid as t};

use super::{Call, HostTable, registered};

pub(super) static FUNCTIONS: HostTable = &[
    ("has_table_privilege", |call| on_relation(call, Kind::Table)),
    ("has_sequence_privilege", |call| on_relation(call, Kind::Sequence)),
    ("has_any_column_privilege", any_column),
    ("has_column_privilege", column),
    ("has_schema_privilege", |call| on_named(call, Kind::Schema, t::REGNAMESPACE)),
    ("has_function_privilege", |call| on_named(call, Kind::Function, t::REGPROCEDURE)),
    ("has_type_privilege", |call| on_named(call, Kind::Type, t::REGTYPE)),
    ("has_database_privilege", |call| {
        let find = |name: &str| call.seen.catalog.database_named(name).map(|it| it.oid);
        on_listed(call, Kind::Database, "database", find)
    }),
    ("has_language_privilege", |call| {
        on_listed(call, Kind::Language, "language", |name| fixed("pg_catalog.pg_language", name))
    }),
    ("has_tablespace_privilege", |call| {
        let find = |name: &str| fixed("pg_catalog.pg_tablespace", name);
        on_listed(call, Kind::Tablespace, "tablespace", find)
    }),
    // There are no objects of these kinds.
    ("has_foreign_data_wrapper_privilege", |call| {
        on_listed(call, Kind::ForeignDataWrapper, "foreign-data wrapper", |_| None)
    }),
    ("has_server_privilege", |call| on_listed(call, Kind::ForeignServer, "server", |_| None)),
    // Nothing is granted on settings: superusers set them all.
    ("has_parameter_privilege", |call| {
        let words = words(last_text(call), &["SET", "ALTER SYSTEM"])?;
        let role = asking(call, 3)?;
        Ok(Datum::Bool(!words.is_empty() && call.access().is_superuser(role)))
    }),
    ("pg_has_role", has_role),
];

/// A word of the list that a function is asked with.
pub(super) struct Word {
    /// The privilege.
    pub(super) privilege: Privilege,
    /// `WITH GRANT OPTION`
    grantable: bool,
}

fn unrecognized(word: &str) -> SqlError {
    SqlError::new(
        SqlState::InvalidParameterValue,
        format!("unrecognized privilege type: \"{word}\""),
    )
}

/// Reads a list of privileges of which these are known.
pub(super) fn words(text: &str, known: &[&str]) -> SqlResult<Vec<Word>> {
    let read = |word: &str| {
        let word = word.trim();
        let upper = word.to_ascii_uppercase();
        let plain = upper.strip_suffix(" WITH GRANT OPTION");
        let (name, grantable) = (plain.unwrap_or(&upper), plain.is_some());
        // Lists kept RULE, which is nothing, and TEMP, which is TEMPORARY.
        if name == "RULE" && known.contains(&"TRIGGER") {
            return Ok(Word { privilege: Privilege::NONE, grantable });
        }
        let name = if name == "TEMP" { "TEMPORARY" } else { name };
        match Privilege::named(name) {
            Some(privilege) if known.contains(&name) => Ok(Word { privilege, grantable }),
            _ => Err(unrecognized(word)),
        }
    };
    text.split(',').map(read).collect()
}

fn words_of(call: &Call<'_>, kind: Kind) -> SqlResult<Vec<Word>> {
    let known: Vec<&str> = kind.all().names().collect();
    words(last_text(call), &known)
}

fn last_text<'a>(call: &Call<'a>) -> &'a str {
    call.text(call.args.len().saturating_sub(1))
}

fn any(held: Held, words: &[Word]) -> bool {
    words.iter().any(|word| {
        let of = if word.grantable { held.grantable } else { held.privileges };
        !(of & word.privilege).is_empty()
    })
}

/// The role that is asked about, where so many arguments mean that one is given.
fn asking(call: &Call<'_>, with_role: usize) -> SqlResult<Oid> {
    if call.args.len() < with_role {
        return Ok(call.seen.roles.current);
    }
    match call.arg(0) {
        Datum::Text(name) if &**name == "public" => Ok(everybody()),
        Datum::Text(name) => registered::role(&call.names(), name),
        Datum::Oid(oid) => Ok(*oid),
        _ => Ok(Oid::NONE),
    }
}

/// The object stands before the words; before it the role may.
fn object<'a>(call: &Call<'a>) -> &'a Datum {
    call.arg(call.args.len().saturating_sub(2))
}

fn answer(call: &Call<'_>, kind: Kind, role: Oid, found: Oid, words: &[Word]) -> Datum {
    let access = call.access();
    if access.owner(kind, found).is_none() {
        return Datum::Null;
    }
    Datum::Bool(any(access.held(role, kind, found, 0), words))
}

/// An object that a reg type reads.
fn on_named(call: &Call<'_>, kind: Kind, reg_type: Oid) -> SqlResult<Datum> {
    let role = asking(call, 3)?;
    let found = match object(call) {
        Datum::Text(name) => registered::lookup(&call.names(), reg_type, name)?,
        Datum::Oid(oid) => *oid,
        _ => return Ok(Datum::Null),
    };
    let words = words_of(call, kind)?;
    Ok(answer(call, kind, role, found, &words))
}

/// An object of a list without schemas.
fn on_listed(
    call: &Call<'_>,
    kind: Kind,
    what: &str,
    find: impl Fn(&str) -> Option<Oid>,
) -> SqlResult<Datum> {
    let role = asking(call, 3)?;
    let found = match object(call) {
        Datum::Text(name) => find(name).ok_or_else(|| {
            let code = match kind {
                Kind::Database => SqlState::InvalidCatalogName,
                _ => SqlState::UndefinedObject,
            };
            SqlError::new(code, format!("{what} \"{name}\" does not exist"))
        })?,
        Datum::Oid(oid) => *oid,
        _ => return Ok(Datum::Null),
    };
    let words = words_of(call, kind)?;
    Ok(answer(call, kind, role, found, &words))
}

fn fixed(relation: &str, name: &str) -> Option<Oid> {
    aegis_catalog::system::fixed_rows(relation).into_iter().find_map(|row| match &row[..] {
        [Datum::Oid(oid), Datum::Text(text), ..] if **text == *name => Some(*oid),
        _ => None,
    })
}

fn relation(call: &Call<'_>, given: &Datum) -> SqlResult<Option<Oid>> {
    let names = call.names();
    Ok(match given {
        Datum::Text(name) => Some(registered::lookup(&names, t::REGCLASS, name)?),
        Datum::Oid(oid) => Some(*oid).filter(|oid| names.relation_parts(*oid).is_some()),
        _ => None,
    })
}

fn on_relation(call: &Call<'_>, kind: Kind) -> SqlResult<Datum> {
    let role = asking(call, 3)?;
    let found = relation(call, object(call))?;
    let words = words_of(call, kind)?;
    let Some(found) = found else { return Ok(Datum::Null) };
    let stored = call.seen.catalog.relation(found);
    let is_sequence = stored.is_some_and(|relation| relation.as_sequence().is_some());
    if kind == Kind::Sequence && !is_sequence {
        let name = call.names().relation_parts(found).map_or("", |(_, name)| name);
        return Err(SqlError::new(
            SqlState::WrongObjectType,
            format!("\"{name}\" is not a sequence"),
        ));
    }
    let kind = if is_sequence { Kind::Sequence } else { Kind::Table };
    Ok(answer(call, kind, role, found, &words))
}

/// Whether the role holds a privilege on the whole relation or on any column.
fn any_column(call: &Call<'_>) -> SqlResult<Datum> {
    let role = asking(call, 3)?;
    let found = relation(call, object(call))?;
    let words = words_of(call, Kind::Column)?;
    let Some(found) = found else { return Ok(Datum::Null) };
    let access = call.access();
    if any(access.held(role, Kind::Table, found, 0), &words) {
        return Ok(Datum::Bool(true));
    }
    let columns = call.names().columns(found);
    Ok(Datum::Bool(columns.into_iter().any(|(number, ..)| {
        any(access.held(role, Kind::Column, found, i32::from(number)), &words)
    })))
}

fn column(call: &Call<'_>) -> SqlResult<Datum> {
    let names = call.names();
    let role = asking(call, 4)?;
    let table_at = call.args.len().saturating_sub(3);
    let Some(table) = relation(call, call.arg(table_at))? else { return Ok(Datum::Null) };
    let columns = names.columns(table);
    let number = match call.arg(table_at + 1) {
        Datum::Text(name) => {
            let found = columns.iter().find(|column| column.1 == &**name);
            let Some((number, ..)) = found else {
                let table = names.relation_parts(table).map_or("", |(_, name)| name);
                return Err(SqlError::new(
                    SqlState::UndefinedColumn,
                    format!("column \"{name}\" of relation \"{table}\" does not exist"),
                ));
            };
            *number
        }
        Datum::Int2(number) if columns.iter().any(|column| column.0 == *number) => *number,
        _ => return Ok(Datum::Null),
    };
    let words = words_of(call, Kind::Column)?;
    let access = call.access();
    let on_whole = any(access.held(role, Kind::Table, table, 0), &words);
    let on_column = || any(access.held(role, Kind::Column, table, i32::from(number)), &words);
    Ok(Datum::Bool(on_whole || on_column()))
}

fn has_role(call: &Call<'_>) -> SqlResult<Datum> {
    let given = |datum: &Datum| match datum {
        Datum::Text(name) => registered::role(&call.names(), name),
        Datum::Oid(oid) => Ok(*oid),
        _ => Ok(Oid::NONE),
    };
    let member = if call.args.len() < 3 { call.seen.roles.current } else { given(call.arg(0))? };
    let role = given(object(call))?;
    let access = call.access();
    let mut result = false;
    for word in last_text(call).split(',') {
        let word = word.trim();
        result |= match word.to_ascii_uppercase().as_str() {
            "USAGE" => access.has_privileges_of(member, role),
            "MEMBER" => access.is_member(member, role),
            "USAGE WITH GRANT OPTION"
            | "USAGE WITH ADMIN OPTION"
            | "MEMBER WITH GRANT OPTION"
            | "MEMBER WITH ADMIN OPTION" => access.is_admin(member, role),
            _ => return Err(unrecognized(word)),
        };
    }
    Ok(Datum::Bool(result))
}
