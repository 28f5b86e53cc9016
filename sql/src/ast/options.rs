//! Options of the shape `name [= value]`, as storage parameters, `COPY`, `EXPLAIN`, `VACUUM` and
//! many `CREATE`s have them; and how their values are read.

use aegis_types::{SqlError, SqlResult, SqlState};

use super::TypeName;

/// One option.
#[derive(Clone, Debug, PartialEq)]
pub struct DefElem {
    /// The name before the dot, such as `toast`.
    pub namespace: Option<String>,
    /// The name.
    pub name: String,
    /// The value; `None` if only the name is written.
    pub value: Option<DefValue>,
    /// Where it begins.
    pub location: u32,
}

/// The value of an option.
#[derive(Clone, Debug, PartialEq)]
pub enum DefValue {
    /// A number that fits `int4`.
    Integer(i32),
    /// Any other number, as written.
    Float(String),
    /// A quoted string, or a keyword that is no type name.
    String(String),
    /// `*`
    Star,
    /// A bare word is a type name to the grammar.
    TypeName(TypeName),
    /// An operator, possibly qualified.
    Operator(Vec<String>),
    /// A list in parentheses.
    List(Vec<DefValue>),
}

impl DefValue {
    /// The value as text, the way PostgreSQL's `defGetString` gives it.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Integer(number) => number.to_string(),
            Self::Float(text) | Self::String(text) => text.clone(),
            Self::Star => "*".to_owned(),
            Self::TypeName(name) => name.to_text(),
            Self::Operator(names) => names.join("."),
            Self::List(values) => {
                let texts: Vec<String> = values.iter().map(Self::text).collect();
                texts.join(", ")
            }
        }
    }
}

impl TypeName {
    /// The name as `TypeNameToString` writes it: dotted, without quotes or modifiers.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = self.names.join(".");
        if self.pct_type {
            text.push_str("%TYPE");
        }
        if !self.array_bounds.is_empty() {
            text.push_str("[]");
        }
        text
    }
}

impl DefElem {
    /// The value as text. `42601` if there is none.
    pub fn string(&self) -> SqlResult<String> {
        match &self.value {
            Some(value) => Ok(value.text()),
            None => Err(SqlError::new(
                SqlState::SyntaxError,
                format!("{} requires a parameter", self.name),
            )),
        }
    }

    /// The value as a boolean, true if there is none. `42601` for anything but true, false, on,
    /// off, 0 and 1.
    pub fn boolean(&self) -> SqlResult<bool> {
        match &self.value {
            None | Some(DefValue::Integer(1)) => Ok(true),
            Some(DefValue::Integer(0)) => Ok(false),
            Some(DefValue::Integer(_)) => Err(self.not_boolean()),
            Some(value) => match value.text().to_ascii_lowercase().as_str() {
                "true" | "on" => Ok(true),
                "false" | "off" => Ok(false),
                _ => Err(self.not_boolean()),
            },
        }
    }

    /// The value as an `int4`. `42601` for anything else.
    pub fn int32(&self) -> SqlResult<i32> {
        match &self.value {
            None => Err(SqlError::new(
                SqlState::SyntaxError,
                format!("{} requires an integer value", self.name),
            )),
            Some(DefValue::Integer(number)) => Ok(*number),
            Some(_) => Err(SqlError::new(
                SqlState::SyntaxError,
                format!("{} requires an integer value", self.name),
            )),
        }
    }

    /// The value as an `int8`. `42601` for what is no number, `22P02` or `22003` for what is no `int8`.
    pub fn int64(&self) -> SqlResult<i64> {
        match &self.value {
            Some(DefValue::Integer(number)) => Ok(i64::from(*number)),
            Some(DefValue::Float(text)) => text.parse().map_err(|_| {
                if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
                    SqlError::new(
                        SqlState::NumericValueOutOfRange,
                        format!("value \"{text}\" is out of range for type bigint"),
                    )
                } else {
                    SqlError::new(
                        SqlState::InvalidTextRepresentation,
                        format!("invalid input syntax for type bigint: \"{text}\""),
                    )
                }
            }),
            _ => Err(SqlError::new(
                SqlState::SyntaxError,
                format!("{} requires a numeric value", self.name),
            )),
        }
    }

    /// The value as a `float8`. `42601` for what is no number.
    pub fn float64(&self) -> SqlResult<f64> {
        match &self.value {
            Some(DefValue::Integer(number)) => Ok(f64::from(*number)),
            Some(DefValue::Float(text)) => text.parse().map_err(|_| {
                SqlError::new(
                    SqlState::SyntaxError,
                    format!("{} requires a numeric value", self.name),
                )
            }),
            _ => Err(SqlError::new(
                SqlState::SyntaxError,
                format!("{} requires a numeric value", self.name),
            )),
        }
    }

    fn not_boolean(&self) -> SqlError {
        SqlError::new(SqlState::SyntaxError, format!("{} requires a Boolean value", self.name))
    }
}
