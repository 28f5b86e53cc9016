//! What functions make of their arguments.

use aegis_sql::engine::EngineCall;
use aegis_sql::row::EPOCH_US;
use aegis_storage::ReadView;
use aegis_types::{Datum, Oid, SqlError, SqlResult, SqlState};

/// The time of a view, in microseconds since 2000-01-01 UTC: what expires by then has expired.
pub(crate) fn time_of(view: &ReadView) -> i64 {
    view.time_us() - EPOCH_US
}

/// A text that must be there. Errors: 22004.
pub(crate) fn needed<'a>(call: &'a EngineCall<'_>, at: usize, what: &str) -> SqlResult<&'a str> {
    call.text(at).ok_or_else(|| {
        SqlError::new(SqlState::NullValueNotAllowed, format!("{what} cannot be null"))
    })
}

/// A limit on how many rows are returned. Errors: 22023.
pub(crate) fn limit(call: &EngineCall<'_>, at: usize, what: &str) -> SqlResult<usize> {
    match call.integer(at) {
        None => Ok(usize::MAX),
        Some(limit) => usize::try_from(limit).map_err(|_| invalid(format!("{what} is negative"))),
    }
}

/// 22023
pub(crate) fn invalid(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::InvalidParameterValue, message)
}

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
