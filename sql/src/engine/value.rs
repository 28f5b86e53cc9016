//! What engines make of arguments and of values alike.

use aegis_storage::ReadView;
use aegis_types::jsonb::Jsonb;
use aegis_types::{Datum, Oid, SqlError, SqlResult, SqlState, key, type_oid};

use crate::row::EPOCH_US;

/// The time of a view, in microseconds since 2000-01-01 UTC: what expires by then has expired.
#[must_use]
pub fn time_of(view: &ReadView) -> i64 {
    view.time_us() - EPOCH_US
}

/// 22023
pub fn invalid(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::InvalidParameterValue, message)
}

/// The row key that these columns make in a table of an engine.
///
/// # Errors
/// 0A000 for a type without a key form.
pub fn row_key(columns: &[Datum]) -> SqlResult<Vec<u8>> {
    let mut bytes = Vec::with_capacity(32);
    for column in columns {
        let ty = match column {
            Datum::Int4(_) => type_oid::INT4,
            Datum::Int8(_) => type_oid::INT8,
            Datum::Oid(_) => type_oid::OID,
            Datum::Uuid(_) => type_oid::UUID,
            Datum::Timestamptz(_) => type_oid::TIMESTAMPTZ,
            _ => type_oid::TEXT,
        };
        key::encode(ty, column, false, false, &mut bytes)?;
    }
    Ok(bytes)
}

/// A text, jsonb or bytea as another of these: what text says, what bytes are.
///
/// # Errors
/// 22021, 22P02
pub fn converted(value: &Datum, wanted: Oid) -> SqlResult<Datum> {
    Ok(match (value, wanted) {
        (Datum::Null, _)
        | (Datum::Text(_), type_oid::TEXT)
        | (Datum::Jsonb(_), type_oid::JSONB)
        | (Datum::Bytea(_), type_oid::BYTEA) => value.clone(),
        (Datum::Text(text), type_oid::BYTEA) => Datum::Bytea(text.as_bytes().into()),
        (Datum::Text(text), _) => Datum::Jsonb(Jsonb::parse(text)?),
        (Datum::Jsonb(json), _) => {
            let mut text = Vec::new();
            json.write_text(&mut text);
            match wanted {
                type_oid::BYTEA => Datum::Bytea(text.into()),
                _ => Datum::text(text_of(&text)?),
            }
        }
        (Datum::Bytea(bytes), type_oid::JSONB) => Datum::Jsonb(Jsonb::parse(text_of(bytes)?)?),
        (Datum::Bytea(bytes), _) => Datum::text(text_of(bytes)?),
        _ => return Err(SqlError::internal("a value of an engine has another type")),
    })
}

fn text_of(bytes: &[u8]) -> SqlResult<&str> {
    std::str::from_utf8(bytes).map_err(|error| {
        let wrong = bytes.get(error.valid_up_to()).copied().unwrap_or_default();
        SqlError::new(
            SqlState::CharacterNotInRepertoire,
            format!("invalid byte sequence for encoding \"UTF8\": 0x{wrong:02x}"),
        )
    })
}

/// How many bytes of such a value there are.
#[must_use]
pub fn size(value: &Datum) -> usize {
    match value {
        Datum::Text(text) => text.len(),
        Datum::Bytea(bytes) => bytes.len(),
        Datum::Jsonb(json) => json.as_bytes().len(),
        _ => 0,
    }
}
