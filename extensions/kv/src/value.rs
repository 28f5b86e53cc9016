//! Values: text, jsonb or bytea, each in the column of its type.

use aegis_types::jsonb::Jsonb;
use aegis_types::{Datum, Oid, SqlError, SqlResult, SqlState, type_oid};

/// A value in its column, the other two NULL.
pub(crate) fn columns(value: Datum) -> SqlResult<[Datum; 3]> {
    let none = Datum::Null;
    Ok(match value {
        Datum::Text(_) => [value, none.clone(), none],
        Datum::Jsonb(_) => [none.clone(), value, none],
        Datum::Bytea(_) => [none.clone(), none, value],
        _ => return Err(missing()),
    })
}

/// 22004
pub(crate) fn missing() -> SqlError {
    SqlError::new(SqlState::NullValueNotAllowed, "the value of a key cannot be null")
        .hint("Use kv_delete() to remove a key.")
}

/// The one of the three columns that is there.
pub(crate) fn of_columns(columns: &[Datum]) -> &Datum {
    columns.iter().take(3).find(|value| !value.is_null()).unwrap_or(&Datum::Null)
}

/// A value as one of another type: what text says, what bytes are.
///
/// # Errors
/// 22021, 22P02
pub(crate) fn converted(value: &Datum, wanted: Oid) -> SqlResult<Datum> {
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
        _ => return Err(SqlError::internal("a value of a key has another type")),
    })
}

fn text_of(bytes: &[u8]) -> SqlResult<&str> {
    std::str::from_utf8(bytes).map_err(|error| {
        let wrong = bytes.get(error.valid_up_to()).copied().unwrap_or_default();
        SqlError::new(
            SqlState::CharacterNotInRepertoire,
            format!("invalid byte sequence for encoding \"UTF8\": 0x{wrong:02x}"),
        )
        .hint("Use kv_get_bytea() for values that are not text.")
    })
}

/// About how many bytes a row takes.
pub(crate) fn size(key: &Datum, value: &Datum) -> i64 {
    let bytes = |datum: &Datum| match datum {
        Datum::Text(text) => text.len(),
        Datum::Bytea(bytes) => bytes.len(),
        Datum::Jsonb(json) => json.as_bytes().len(),
        _ => 0,
    };
    i64::try_from(bytes(key) + bytes(value)).unwrap_or(i64::MAX)
}
