//! What functions make of their arguments.

use aegis_sql::engine::{EngineCall, invalid};
use aegis_types::{Datum, Oid, SqlError, SqlResult, SqlState};

/// How long an interval argument is, in microseconds; none for NULL. Errors: 22023.
pub(crate) fn span(call: &EngineCall<'_>, at: usize, what: &str) -> SqlResult<Option<i64>> {
    let Datum::Interval(interval) = call.argument(at) else { return Ok(None) };
    let span = i64::try_from(interval.span()).ok().filter(|span| *span >= 0);
    span.map(Some).ok_or_else(|| invalid(format!("{what} is out of range")))
}

/// The relation that a `regclass` argument names. Errors: 22004.
pub(crate) fn relation(call: &EngineCall<'_>, at: usize) -> SqlResult<Oid> {
    match call.argument(at) {
        Datum::Oid(oid) => Ok(*oid),
        _ => Err(SqlError::new(SqlState::NullValueNotAllowed, "a stream cannot be null")),
    }
}
