//! Values: text, jsonb or bytea, each in the column of its type.

use aegis_sql::engine;
use aegis_types::{Datum, SqlError, SqlResult, SqlState};

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

/// About how many bytes a row takes.
pub(crate) fn size(key: &Datum, value: &Datum) -> i64 {
    i64::try_from(engine::size(key) + engine::size(value)).unwrap_or(i64::MAX)
}
