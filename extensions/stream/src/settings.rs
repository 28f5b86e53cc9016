//! The options of a stream, as its relation keeps them: `name=value`.

use aegis_catalog::Relation;
use aegis_sql::ast::DefElem;
use aegis_types::interval::Interval;
use aegis_types::interval::interval_in;
use aegis_types::{EvalContext, Oid, SqlError, SqlResult, SqlState, type_oid};

/// How many partitions a stream may have.
pub(crate) const PARTITIONS_MAX: i64 = 1024;
/// What a message may take where nothing else is said.
const MESSAGE_BYTES: i64 = 1 << 20;
/// How long ids of messages are remembered where nothing else is said, in microseconds.
const WINDOW: i64 = 120_000_000;

/// What a stream asks for.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) partitions: i32,
    /// The type of payloads.
    pub(crate) payload: Oid,
    /// How long messages are kept; none for ever.
    pub(crate) retention: Option<Interval>,
    /// How many bytes of messages are kept; none for all.
    pub(crate) retention_bytes: Option<i64>,
    pub(crate) max_message_bytes: i64,
    /// How long ids of messages are remembered, in microseconds.
    pub(crate) window: i64,
    /// Whether rows as they were are captured too.
    pub(crate) before: bool,
    /// Whether the rows that are there begin the stream.
    pub(crate) snapshot: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            partitions: 1,
            payload: type_oid::JSONB,
            retention: None,
            retention_bytes: None,
            max_message_bytes: MESSAGE_BYTES,
            window: WINDOW,
            before: false,
            snapshot: false,
        }
    }
}

impl Settings {
    /// What the options of a relation say, which were checked when they were set.
    pub(crate) fn of(relation: &Relation, context: &EvalContext<'_>) -> SqlResult<Self> {
        let mut settings = Self::default();
        for option in &relation.options {
            if let Some((name, value)) = option.split_once('=') {
                settings.set(name, value, context)?;
            }
        }
        Ok(settings)
    }

    fn set(&mut self, name: &str, value: &str, context: &EvalContext<'_>) -> SqlResult<()> {
        match name {
            "partitions" => {
                let count = positive(name, value)?;
                if count > PARTITIONS_MAX {
                    return Err(invalid(name, value)
                        .detail(format!("A stream has at most {PARTITIONS_MAX} partitions.")));
                }
                self.partitions = i32::try_from(count).unwrap_or(1);
            }
            "payload" => {
                self.payload = match value {
                    "jsonb" => type_oid::JSONB,
                    "text" => type_oid::TEXT,
                    "bytea" => type_oid::BYTEA,
                    _ => {
                        return Err(invalid(name, value)
                            .detail("Valid values are \"jsonb\", \"text\" and \"bytea\"."));
                    }
                };
            }
            "retention" => self.retention = Some(span(name, value, context)?),
            "retention_bytes" => self.retention_bytes = Some(positive(name, value)?),
            "max_message_bytes" => self.max_message_bytes = positive(name, value)?,
            "window" => {
                let span = span(name, value, context)?.span();
                self.window = i64::try_from(span).map_err(|_| invalid(name, value))?;
            }
            "before" => self.before = boolean(name, value)?,
            "snapshot" => self.snapshot = boolean(name, value)?,
            _ => {
                return Err(SqlError::new(
                    SqlState::InvalidParameterValue,
                    format!("unrecognized parameter \"{name}\""),
                ));
            }
        }
        Ok(())
    }
}

/// Options as they are to be kept, checked. `kept` are those from before.
pub(crate) fn merged(
    kept: &[String],
    options: &[DefElem],
    context: &EvalContext<'_>,
) -> SqlResult<Vec<String>> {
    let mut merged = kept.to_vec();
    let mut scratch = Settings::default();
    for option in options {
        let name = option.name.to_ascii_lowercase();
        let value = match &option.value {
            Some(value) => value.text(),
            None => "true".to_owned(),
        };
        scratch.set(&name, &value, context).map_err(|error| error.at(option.location))?;
        let prefix = format!("{name}=");
        merged.retain(|known| !known.starts_with(&prefix));
        merged.push(format!("{name}={value}"));
    }
    Ok(merged)
}

fn invalid(name: &str, value: &str) -> SqlError {
    SqlError::new(
        SqlState::InvalidParameterValue,
        format!("invalid value for parameter \"{name}\": \"{value}\""),
    )
}

fn boolean(name: &str, value: &str) -> SqlResult<bool> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "on" | "yes" | "1" => Ok(true),
        "false" | "off" | "no" | "0" => Ok(false),
        _ => Err(invalid(name, value)),
    }
}

fn positive(name: &str, value: &str) -> SqlResult<i64> {
    value.parse().ok().filter(|count| *count > 0).ok_or_else(|| invalid(name, value))
}

fn span(name: &str, value: &str, context: &EvalContext<'_>) -> SqlResult<Interval> {
    let interval = interval_in(value, -1, context)?;
    if interval.span() > 0 { Ok(interval) } else { Err(invalid(name, value)) }
}
