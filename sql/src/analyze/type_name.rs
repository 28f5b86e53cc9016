//! Type names of statements: looked up, modifiers checked and encoded, array bounds applied.

use aegis_catalog::snapshot::PG_CATALOG;
use aegis_types::builtin::builtins;
use aegis_types::{Oid, SqlError, SqlResult, SqlState, TypeRef, type_oid as t};

use super::Analyzer;
use crate::ast::{ConstValue, Expr, TypeName, interval_mask as mask};

/// The longest `varchar(n)`, `char(n)`.
const LENGTH_MAX: i32 = 10_485_760;
/// The most digits and the largest scale of `numeric(p, s)`.
const NUMERIC_MAX: i32 = 1000;
/// The most fractional digits of seconds.
const SECONDS_PRECISION_MAX: i32 = 6;

impl Analyzer<'_> {
    /// The type that a type name means, with its modifier.
    ///
    /// # Errors
    /// 42704 for a type that does not exist, 42601 and 22023 for modifiers that it does not take.
    pub fn resolve_type_name(&self, name: &TypeName) -> SqlResult<TypeRef> {
        let at = name.location;
        if name.pct_type {
            return Err(SqlError::unsupported("%TYPE").at(at));
        }
        let base = self.lookup_type(&name.names, at)?;
        let typmod = self.typmod(base, name).map_err(|error| error.at(at))?;
        if name.array_bounds.is_empty() {
            return Ok(TypeRef::with_typmod(base, typmod));
        }
        let array = self.promoted_array_type(base).ok_or_else(|| {
            SqlError::new(
                SqlState::UndefinedObject,
                format!("could not find array type for data type {}", self.type_name(base)),
            )
            .at(at)
        })?;
        Ok(TypeRef::with_typmod(array, typmod))
    }

    fn lookup_type(&self, names: &[String], at: u32) -> SqlResult<Oid> {
        let found = match names {
            [name] => self.type_in_path(name),
            [schema, name] => {
                let schema = self.schema_oid(schema).map_err(|error| error.at(at))?;
                self.type_in_schema(schema, name)
            }
            [database, schema, name] => {
                self.check_database(database, names).map_err(|error| error.at(at))?;
                let schema = self.schema_oid(schema).map_err(|error| error.at(at))?;
                self.type_in_schema(schema, name)
            }
            _ => {
                return Err(SqlError::new(
                    SqlState::SyntaxError,
                    format!("improper qualified name (too many dotted names): {}", names.join(".")),
                )
                .at(at));
            }
        };
        found.ok_or_else(|| {
            SqlError::new(
                SqlState::UndefinedObject,
                format!("type \"{}\" does not exist", names.join(".")),
            )
            .at(at)
        })
    }

    /// The type with this name along the search path.
    pub(super) fn type_in_path(&self, name: &str) -> Option<Oid> {
        self.effective_path().find_map(|schema| self.type_in_schema(schema, name))
    }

    fn type_in_schema(&self, schema: Oid, name: &str) -> Option<Oid> {
        if schema == PG_CATALOG {
            return builtins().type_named(name).map(|row| row.oid);
        }
        self.context.catalog.type_named(schema, name)
    }

    fn typmod(&self, base: Oid, name: &TypeName) -> SqlResult<i32> {
        if name.typmods.is_empty() {
            return Ok(-1);
        }
        let takes = builtins().type_row(base).is_some_and(|row| row.io[4].is_some());
        if !takes {
            return Err(SqlError::new(
                SqlState::SyntaxError,
                format!("type modifier is not allowed for type \"{}\"", self.type_name(base)),
            ));
        }
        let mut values = Vec::with_capacity(name.typmods.len());
        for modifier in &name.typmods {
            values.push(self.modifier(modifier)?);
        }
        encode(base, &values)
    }

    fn modifier(&self, modifier: &Expr) -> SqlResult<i32> {
        let text = match modifier {
            Expr::Const(constant) => match &constant.value {
                ConstValue::Integer(value) => return Ok(*value),
                ConstValue::Float(text) | ConstValue::String(text) => text,
                _ => return Err(not_simple()),
            },
            Expr::ColumnRef(column) if column.names.len() == 1 && !column.star => &column.names[0],
            _ => return Err(not_simple()),
        };
        let ty = TypeRef::plain(t::INT4);
        Ok(self.read_literal(ty, text, None)?.as_int4())
    }
}

fn not_simple() -> SqlError {
    SqlError::new(SqlState::SyntaxError, "type modifiers must be simple constants or identifiers")
}

fn bad(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::InvalidParameterValue, message)
}

fn one(values: &[i32]) -> SqlResult<i32> {
    match values {
        [value] => Ok(*value),
        _ => Err(bad("invalid type modifier")),
    }
}

/// What the type's `typmodin` makes of the modifiers.
fn encode(base: Oid, values: &[i32]) -> SqlResult<i32> {
    let element = builtins()
        .type_row(base)
        .filter(|row| row.category == b'A' && row.element.is_some())
        .map_or(base, |row| row.element);
    match element {
        t::VARCHAR => length(values, "varchar"),
        t::BPCHAR => length(values, "char"),
        t::BIT | t::VARBIT => {
            let word = if element == t::BIT { "bit" } else { "varbit" };
            let value = one(values)?;
            if value < 1 {
                return Err(bad(format!("length for type {word} must be at least 1")));
            }
            if value > 83_886_080 {
                return Err(bad(format!("length for type {word} cannot exceed 83886080")));
            }
            Ok(value)
        }
        t::NUMERIC => numeric(values),
        t::TIME => precision(one(values)?, "TIME", ""),
        t::TIMETZ => precision(one(values)?, "TIME", " WITH TIME ZONE"),
        t::TIMESTAMP => precision(one(values)?, "TIMESTAMP", ""),
        t::TIMESTAMPTZ => precision(one(values)?, "TIMESTAMP", " WITH TIME ZONE"),
        t::INTERVAL => interval(values),
        _ => Err(SqlError::unsupported("this type's modifier")),
    }
}

fn length(values: &[i32], word: &str) -> SqlResult<i32> {
    match one(values)? {
        ..1 => Err(bad(format!("length for type {word} must be at least 1"))),
        value if value > LENGTH_MAX => {
            Err(bad(format!("length for type {word} cannot exceed {LENGTH_MAX}")))
        }
        value => Ok(value + 4),
    }
}

fn numeric(values: &[i32]) -> SqlResult<i32> {
    let (precision, scale) = match values {
        [precision] => (*precision, 0),
        [precision, scale] => (*precision, *scale),
        _ => return Err(bad("invalid NUMERIC type modifier")),
    };
    if !(1..=NUMERIC_MAX).contains(&precision) {
        return Err(bad(format!(
            "NUMERIC precision {precision} must be between 1 and {NUMERIC_MAX}"
        )));
    }
    if !(-NUMERIC_MAX..=NUMERIC_MAX).contains(&scale) {
        return Err(bad(format!(
            "NUMERIC scale {scale} must be between -{NUMERIC_MAX} and {NUMERIC_MAX}"
        )));
    }
    Ok(((precision << 16) | (scale & 0x7ff)) + 4)
}

/// PostgreSQL warns about a precision beyond the greatest and takes that instead.
pub(super) fn precision(value: i32, word: &str, zone: &str) -> SqlResult<i32> {
    if value < 0 {
        return Err(bad(format!("{word}({value}){zone} precision must not be negative")));
    }
    Ok(value.min(SECONDS_PRECISION_MAX))
}

fn interval(values: &[i32]) -> SqlResult<i32> {
    let (fields, digits) = match values {
        [fields] => (*fields, None),
        [fields, digits] => (*fields, Some(*digits)),
        _ => return Err(bad("invalid INTERVAL type modifier")),
    };
    let time = mask::DAY | mask::HOUR | mask::MINUTE | mask::SECOND;
    let valid = [
        mask::YEAR,
        mask::MONTH,
        mask::YEAR | mask::MONTH,
        mask::DAY,
        mask::HOUR,
        mask::MINUTE,
        mask::SECOND,
        mask::DAY | mask::HOUR,
        mask::DAY | mask::HOUR | mask::MINUTE,
        time,
        mask::HOUR | mask::MINUTE,
        mask::HOUR | mask::MINUTE | mask::SECOND,
        mask::MINUTE | mask::SECOND,
        mask::FULL_RANGE,
    ];
    if !valid.contains(&fields) {
        return Err(bad("invalid INTERVAL type modifier"));
    }
    match digits {
        None if fields == mask::FULL_RANGE => Ok(-1),
        None => Ok((fields << 16) | 0xffff),
        Some(digits) => Ok((fields << 16) | precision(digits, "INTERVAL", "")?),
    }
}
