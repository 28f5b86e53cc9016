//! The reg types: names of catalog objects as values, and `to_regclass` and its family.

use aegis_catalog::system::definition::split_qualified;
use aegis_catalog::system::{Names, fixed_rows, function};
use aegis_sql::parser::parse_type_name;
use aegis_types::builtin::{FunctionRef, OperatorRow, builtins};
use aegis_types::functions::quote_ident;
use aegis_types::{Datum, Oid, SqlError, SqlResult, SqlState, type_oid as t};

use super::{Call, HostTable};

pub(super) static FUNCTIONS: HostTable = &[
    // The cast from text, for which digits and a dash are names too.
    ("regclass", |call| relation(&call.names(), call.text(0)).map(Datum::Oid)),
    ("to_regclass", |call| to_reg(call, t::REGCLASS)),
    ("to_regtype", |call| to_reg(call, t::REGTYPE)),
    ("to_regproc", |call| to_reg(call, t::REGPROC)),
    ("to_regprocedure", |call| to_reg(call, t::REGPROCEDURE)),
    ("to_regoper", |call| to_reg(call, t::REGOPER)),
    ("to_regoperator", |call| to_reg(call, t::REGOPERATOR)),
    ("to_regnamespace", |call| to_reg(call, t::REGNAMESPACE)),
    ("to_regrole", |call| to_reg(call, t::REGROLE)),
    ("to_regcollation", |call| to_reg(call, t::REGCOLLATION)),
];

/// NULL where the name means nothing; bad syntax is an error all the same.
fn to_reg(call: &Call<'_>, reg_type: Oid) -> SqlResult<Datum> {
    match lookup(&call.names(), reg_type, call.text(0)) {
        Ok(oid) => Ok(Datum::Oid(oid)),
        Err(error) => match error.code() {
            SqlState::UndefinedTable
            | SqlState::UndefinedObject
            | SqlState::UndefinedFunction
            | SqlState::AmbiguousFunction
            | SqlState::InvalidSchemaName => Ok(Datum::Null),
            _ => Err(error),
        },
    }
}

/// Reads a reg type's text form: `-`, a number, or a name.
pub(super) fn read(names: &Names<'_>, reg_type: Oid, text: &str) -> SqlResult<Oid> {
    if text == "-" {
        return Ok(Oid::NONE);
    }
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().map(Oid).map_err(|_| {
            SqlError::new(
                SqlState::NumericValueOutOfRange,
                format!("value \"{text}\" is out of range for type oid"),
            )
        });
    }
    lookup(names, reg_type, text)
}

/// What a name stands for.
pub(super) fn lookup(names: &Names<'_>, reg_type: Oid, text: &str) -> SqlResult<Oid> {
    match reg_type {
        t::REGCLASS => relation(names, text),
        t::REGTYPE => type_oid(names, text),
        t::REGPROC => procedure(names, text),
        t::REGPROCEDURE => procedure_with_arguments(names, text),
        t::REGOPER => operator(text),
        t::REGOPERATOR => operator_with_arguments(names, text),
        t::REGNAMESPACE => {
            let name = single(text)?;
            names.schema(&name).ok_or_else(|| {
                SqlError::new(
                    SqlState::InvalidSchemaName,
                    format!("schema \"{name}\" does not exist"),
                )
            })
        }
        t::REGROLE => role(names, &single(text)?),
        t::REGCOLLATION => {
            let (_, name) = in_pg_catalog(text)?;
            collations()
                .into_iter()
                .find(|(_, known)| *known == name)
                .map(|(oid, _)| oid)
                .ok_or_else(|| {
                    undefined(format!("collation \"{name}\" for encoding \"UTF8\" does not exist"))
                })
        }
        t::REGCONFIG => {
            Err(undefined(format!("text search configuration \"{text}\" does not exist")))
        }
        _ => Err(undefined(format!("text search dictionary \"{text}\" does not exist"))),
    }
}

fn undefined(message: String) -> SqlError {
    SqlError::new(SqlState::UndefinedObject, message)
}

fn parts(text: &str) -> SqlResult<Vec<String>> {
    split_qualified(text).ok_or_else(|| SqlError::new(SqlState::InvalidName, "invalid name syntax"))
}

/// A name that has no schema.
fn single(text: &str) -> SqlResult<String> {
    match parts(text)?.as_slice() {
        [name] => Ok(name.clone()),
        _ => Err(SqlError::new(SqlState::InvalidName, "invalid name syntax")),
    }
}

/// A role by name.
pub(super) fn role(names: &Names<'_>, name: &str) -> SqlResult<Oid> {
    names
        .catalog
        .role_named(name)
        .map(|role| role.oid)
        .ok_or_else(|| undefined(format!("role \"{name}\" does not exist")))
}

fn relation(names: &Names<'_>, text: &str) -> SqlResult<Oid> {
    let parts = parts(text)?;
    let parts = match parts.as_slice() {
        [database, rest @ ..] if rest.len() == 2 => {
            if *database != names.database_name() {
                return Err(SqlError::new(
                    SqlState::FeatureNotSupported,
                    format!(
                        "cross-database references are not implemented: \"{}\"",
                        parts.join(".")
                    ),
                ));
            }
            rest
        }
        all => all,
    };
    let found = match parts {
        [name] => names.relation_on_path(name),
        [schema, name] => {
            let oid = names.schema(schema).ok_or_else(|| {
                SqlError::new(
                    SqlState::InvalidSchemaName,
                    format!("schema \"{schema}\" does not exist"),
                )
            })?;
            names.relation_in(oid, name)
        }
        _ => {
            return Err(SqlError::new(
                SqlState::SyntaxError,
                format!("improper relation name (too many dotted names): {}", parts.join(".")),
            ));
        }
    };
    found.ok_or_else(|| {
        SqlError::new(
            SqlState::UndefinedTable,
            format!("relation \"{}\" does not exist", parts.join(".")),
        )
    })
}

fn type_oid(names: &Names<'_>, text: &str) -> SqlResult<Oid> {
    let parsed = parse_type_name(text)?;
    if parsed.pct_type {
        return Err(SqlError::unsupported("%TYPE in a type's name"));
    }
    let found = match parsed.names.as_slice() {
        [name] => names.type_on_path(name),
        [schema, name] => {
            let Some(schema_oid) = names.schema(schema) else {
                return Err(SqlError::new(
                    SqlState::InvalidSchemaName,
                    format!("schema \"{schema}\" does not exist"),
                ));
            };
            names.type_in(schema_oid, name)
        }
        _ => None,
    };
    let found = match found {
        Some(element) if !parsed.array_bounds.is_empty() => names.array_over(element),
        other => other,
    };
    found.ok_or_else(|| {
        let brackets = if parsed.array_bounds.is_empty() { "" } else { "[]" };
        undefined(format!("type \"{}{brackets}\" does not exist", parsed.names.join(".")))
    })
}

/// A name that is unqualified or in `pg_catalog`: the schema as written, and the name.
fn in_pg_catalog(text: &str) -> SqlResult<(Option<String>, String)> {
    match parts(text)?.as_slice() {
        [name] => Ok((None, name.clone())),
        [schema, name] => Ok((Some(schema.clone()), name.clone())),
        _ => Err(SqlError::new(SqlState::InvalidName, "invalid name syntax")),
    }
}

/// The functions of a name, in the schema written before it or in those of the path.
fn functions<'n>(
    names: &Names<'n>,
    schema: Option<&str>,
    name: &'n str,
) -> impl Iterator<Item = FunctionRef> + use<'n> {
    let path: Vec<Oid> = match schema {
        Some(schema) => names.schema(schema).into_iter().collect(),
        None => names.effective_path().collect(),
    };
    names.catalog.functions_named(name).filter(move |row| path.contains(&row.schema))
}

fn procedure(names: &Names<'_>, text: &str) -> SqlResult<Oid> {
    let (schema, name) = in_pg_catalog(text)?;
    let mut found = functions(names, schema.as_deref(), &name);
    match (found.next(), found.next()) {
        (Some(row), None) => Ok(row.oid),
        (Some(_), Some(_)) => Err(SqlError::new(
            SqlState::AmbiguousFunction,
            format!("more than one function named \"{text}\""),
        )),
        (None, _) => Err(SqlError::new(
            SqlState::UndefinedFunction,
            format!("function \"{text}\" does not exist"),
        )),
    }
}

/// `name(type, …)`: the name, and the types; `NONE` is 0 where it may stand.
fn name_and_types<'t>(
    names: &Names<'_>,
    text: &'t str,
    allow_none: bool,
) -> SqlResult<(&'t str, Vec<Oid>)> {
    let invalid = |what: &str| SqlError::new(SqlState::InvalidTextRepresentation, what);
    let open = text.find('(').ok_or_else(|| invalid("expected a left parenthesis"))?;
    let inner = text[open + 1..]
        .trim_end()
        .strip_suffix(')')
        .ok_or_else(|| invalid("expected a right parenthesis"))?;
    let mut types = Vec::new();
    if !inner.trim().is_empty() {
        for name in split_types(inner) {
            let name = name.trim();
            types.push(if allow_none && name.eq_ignore_ascii_case("none") {
                Oid::NONE
            } else {
                type_oid(names, name)?
            });
        }
    }
    Ok((text[..open].trim(), types))
}

/// Splits at commas outside of parentheses and quotes.
fn split_types(list: &str) -> Vec<&str> {
    let (mut depth, mut quoted, mut start) = (0_usize, false, 0);
    let mut found = Vec::new();
    for (at, byte) in list.bytes().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b'(' if !quoted => depth += 1,
            b')' if !quoted => depth = depth.saturating_sub(1),
            b',' if !quoted && depth == 0 => {
                found.push(&list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    found.push(&list[start..]);
    found
}

fn procedure_with_arguments(names: &Names<'_>, text: &str) -> SqlResult<Oid> {
    let (name, types) = name_and_types(names, text, false)?;
    let (schema, name) = in_pg_catalog(name)?;
    functions(names, schema.as_deref(), &name)
        .find(|row| row.arguments == types)
        .map(|row| row.oid)
        .ok_or_else(|| {
            SqlError::new(
                SqlState::UndefinedFunction,
                format!("function \"{text}\" does not exist"),
            )
        })
}

/// An operator's symbol without the schema before it; none in another schema than `pg_catalog`.
fn symbol(text: &str) -> Option<&str> {
    match text.trim().rsplit_once('.') {
        Some((schema, symbol)) => (schema.trim() == "pg_catalog").then_some(symbol.trim()),
        None => Some(text.trim()),
    }
}

fn no_operator(text: &str) -> SqlError {
    SqlError::new(SqlState::UndefinedFunction, format!("operator does not exist: {text}"))
}

fn operator(text: &str) -> SqlResult<Oid> {
    let mut found = symbol(text).into_iter().flat_map(|name| builtins().operators_named(name));
    match (found.next(), found.next()) {
        (Some(row), None) => Ok(row.oid),
        (Some(_), Some(_)) => Err(SqlError::new(
            SqlState::AmbiguousFunction,
            format!("more than one operator named {text}"),
        )),
        (None, _) => Err(no_operator(text)),
    }
}

fn operator_with_arguments(names: &Names<'_>, text: &str) -> SqlResult<Oid> {
    let (name, types) = name_and_types(names, text, true)?;
    let (left, right) = match types.as_slice() {
        [left, right] => (*left, *right),
        [_] => {
            return Err(SqlError::new(SqlState::UndefinedParameter, "missing argument")
                .hint("Use NONE to denote the missing argument of a unary operator."));
        }
        _ => {
            return Err(SqlError::new(SqlState::TooManyArguments, "too many arguments")
                .hint("Provide two argument types for operator."));
        }
    };
    symbol(name)
        .into_iter()
        .flat_map(|name| builtins().operators_named(name))
        .find(|row| row.left == left && row.right == right)
        .map(|row| row.oid)
        .ok_or_else(|| no_operator(text))
}

/// Collations with their names.
fn collations() -> Vec<(Oid, String)> {
    fixed_rows("pg_catalog.pg_collation")
        .into_iter()
        .filter_map(|row| match (row.first(), row.get(1)) {
            (Some(Datum::Oid(oid)), Some(Datum::Text(name))) => Some((*oid, name.to_string())),
            _ => None,
        })
        .collect()
}

/// The text form of a reg type's value.
pub(super) fn print(names: &Names<'_>, reg_type: Oid, value: Oid) -> String {
    if !value.is_some() {
        return "-".to_owned();
    }
    name_of(names, reg_type, value).unwrap_or_else(|| value.to_string())
}

fn name_of(names: &Names<'_>, reg_type: Oid, value: Oid) -> Option<String> {
    match reg_type {
        t::REGCLASS => names.relation_name(value),
        t::REGTYPE => names.type_parts(value).map(|_| names.format_type(value, None)),
        t::REGPROC => names.catalog.function(value).map(|row| {
            let mut found = functions(names, None, &row.name);
            let alone =
                matches!((found.next(), found.next()), (Some(one), None) if one.oid == value);
            if alone { quote_ident(&row.name) } else { names.qualified(row.schema, &row.name) }
        }),
        t::REGPROCEDURE => {
            names.catalog.function(value).map(|row| function::signature(names, &row))
        }
        t::REGOPER => builtins().operator(value).map(|row| {
            let alone = builtins().operators_named(row.name).nth(1).is_none();
            if alone { row.name.to_owned() } else { format!("pg_catalog.{}", row.name) }
        }),
        t::REGOPERATOR => builtins().operator(value).map(|row| operator_signature(names, row)),
        t::REGNAMESPACE => names.catalog.schema_name(value).map(quote_ident),
        t::REGROLE => names.catalog.role(value).map(|role| quote_ident(&role.name)),
        t::REGCOLLATION => collations()
            .into_iter()
            .find(|(oid, _)| *oid == value)
            .map(|(_, name)| quote_ident(&name)),
        _ => None,
    }
}

fn operator_signature(names: &Names<'_>, row: &OperatorRow) -> String {
    let side = |oid: Oid| {
        if oid.is_some() { names.format_type(oid, None) } else { "NONE".to_owned() }
    };
    format!("{}({},{})", row.name, side(row.left), side(row.right))
}
