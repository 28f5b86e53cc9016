//! Lists of privileges as values: `aclexplode`, `acldefault`, `makeaclitem`.
//!
//! A value of type `aclitem` is its text here: grantee, privileges and grantor by name.

use aegis_catalog::access::{Kind, Privilege, aclitem_text, everybody};
use aegis_catalog::{AclItem, CatalogSnapshot};
use aegis_types::{Array, Datum, Oid, SqlError, SqlResult, SqlState, type_oid as t};

use super::{Call, HostTable, privilege};

pub(super) static FUNCTIONS: HostTable = &[
    ("acldefault", default),
    ("aclexplode", explode),
    ("makeaclitem", make),
    ("aclcontains", |call| {
        let Datum::Array(list) = call.arg(0) else { return Ok(Datum::Null) };
        let wanted = item(&call.seen.catalog, call.text(1))?;
        for text in &list.elements {
            let Datum::Text(text) = text else { continue };
            let found = item(&call.seen.catalog, text)?;
            let both = (found.grantee, found.grantor) == (wanted.grantee, wanted.grantor);
            let privileges = Privilege(found.privileges).contains(Privilege(wanted.privileges));
            let grantable = Privilege(found.grantable).contains(Privilege(wanted.grantable));
            if both && privileges && grantable {
                return Ok(Datum::Bool(true));
            }
        }
        Ok(Datum::Bool(false))
    }),
];

fn malformed(text: &str) -> SqlError {
    SqlError::new(
        SqlState::InvalidTextRepresentation,
        format!("malformed access control item: \"{text}\""),
    )
}

/// Reads an item's text.
fn item(catalog: &CatalogSnapshot, text: &str) -> SqlResult<AclItem> {
    let (grantee, rest) = role(catalog, text, '=')?;
    let mut item = AclItem { grantee, grantor: everybody(), privileges: 0, grantable: 0 };
    let mut rest = rest
        .strip_prefix('=')
        .ok_or_else(|| SqlError::new(SqlState::InvalidTextRepresentation, "missing \"=\" sign"))?;
    let mut last = Privilege::NONE;
    while let Some(letter) = rest.chars().next().filter(|letter| *letter != '/') {
        rest = &rest[letter.len_utf8()..];
        if letter == '*' {
            item.grantable |= last.0;
            continue;
        }
        let found = Privilege::ALL.iter().find(|(_, known, _)| *known == letter);
        let (privilege, ..) = found.ok_or_else(|| {
            SqlError::new(
                SqlState::InvalidTextRepresentation,
                "invalid mode character: must be one of \"arwdDxtXUCTcsA\"",
            )
        })?;
        last = *privilege;
        item.privileges |= last.0;
    }
    let Some(rest) = rest.strip_prefix('/') else {
        item.grantor = aegis_catalog::snapshot::BOOTSTRAP_ROLE;
        return Ok(item);
    };
    let (grantor, rest) = role(catalog, rest, '\0')?;
    if !rest.is_empty() {
        return Err(malformed(text));
    }
    item.grantor = grantor;
    Ok(item)
}

/// A role's name at the beginning of a text, in quotes or not, or its number where it is gone; what
/// follows it.
fn role<'t>(catalog: &CatalogSnapshot, text: &'t str, end: char) -> SqlResult<(Oid, &'t str)> {
    let mut name = String::new();
    let mut quoted = false;
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        if !quoted && character == end {
            break;
        }
        rest = &rest[character.len_utf8()..];
        if character != '"' {
            name.push(character);
        } else if quoted && rest.starts_with('"') {
            rest = &rest[1..];
            name.push('"');
        } else {
            quoted = !quoted;
        }
    }
    if name.is_empty() {
        return Ok((everybody(), rest));
    }
    let found = catalog.role_named(&name).map(|role| role.oid);
    let found = found.or_else(|| name.parse().ok().map(Oid));
    let missing = || {
        let message = format!("role \"{name}\" does not exist");
        SqlError::new(SqlState::UndefinedObject, message)
    };
    Ok((found.ok_or_else(missing)?, rest))
}

fn default(call: &Call<'_>) -> SqlResult<Datum> {
    let Datum::Char(letter) = call.arg(0) else { return Ok(Datum::Null) };
    let kinds = [
        Kind::Column,
        Kind::Table,
        Kind::Sequence,
        Kind::Database,
        Kind::Function,
        Kind::Language,
        Kind::LargeObject,
        Kind::Parameter,
        Kind::Schema,
        Kind::Tablespace,
        Kind::ForeignDataWrapper,
        Kind::ForeignServer,
        Kind::Type,
    ];
    let kind = kinds.into_iter().find(|kind| kind.letter() == *letter).ok_or_else(|| {
        SqlError::internal(format!("unrecognized object type abbreviation: {}", *letter as char))
    })?;
    let items = kind.initial(call.oid(1));
    let texts = items.iter().map(|item| Datum::text(aclitem_text(&call.seen.catalog, item)));
    Ok(Datum::Array(Array::one_dimensional(t::ACLITEM, texts.collect()).into()))
}

/// Grantor, grantee, privilege and whether it may be granted on, a row each.
fn explode(call: &Call<'_>) -> SqlResult<Datum> {
    let Datum::Array(list) = call.arg(0) else { return Ok(Datum::Null) };
    let mut rows = Vec::new();
    for text in &list.elements {
        let Datum::Text(text) = text else {
            return Err(SqlError::new(
                SqlState::NullValueNotAllowed,
                "ACL arrays must not contain null values",
            ));
        };
        let item = item(&call.seen.catalog, text)?;
        for (privilege, _, name) in Privilege::ALL {
            if Privilege(item.privileges).contains(privilege) {
                rows.push(Datum::record([
                    Datum::Oid(item.grantor),
                    Datum::Oid(item.grantee),
                    Datum::text(name),
                    Datum::Bool(Privilege(item.grantable).contains(privilege)),
                ]));
            }
        }
    }
    Ok(Datum::Array(Array::one_dimensional(t::RECORD, rows).into()))
}

fn make(call: &Call<'_>) -> SqlResult<Datum> {
    let privileges = privilege::words(call.text(2), &Privilege::ALL.map(|row| row.2))?;
    let privileges = privileges.iter().fold(0, |sum, word| sum | word.privilege.0);
    let grantable = if call.boolean(3) { privileges } else { 0 };
    let item = AclItem { grantee: call.oid(0), grantor: call.oid(1), privileges, grantable };
    Ok(Datum::text(aclitem_text(&call.seen.catalog, &item)))
}
