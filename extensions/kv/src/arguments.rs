//! What functions make of their arguments.

use aegis_sql::engine::EngineCall;
use aegis_sql::row::EPOCH_US;
use aegis_storage::ReadView;
use aegis_types::{Datum, SqlError, SqlResult, SqlState};

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

/// When something ends that lives so long from now on; none for NULL. Errors: 22023, 22008.
pub(crate) fn end_of(call: &EngineCall<'_>, at: usize) -> SqlResult<Option<i64>> {
    let Datum::Interval(interval) = call.argument(at) else { return Ok(None) };
    let span = interval.span();
    if span <= 0 {
        return Err(invalid("a time to live must be greater than zero"));
    }
    let end = i128::from(time_of(&call.context.view)) + span;
    match i64::try_from(end) {
        Ok(end) if is_finite(end) => Ok(Some(end)),
        _ => {
            Err(SqlError::new(SqlState::DatetimeFieldOverflow, "the time to live is out of range"))
        }
    }
}

/// Whether a time is one that SQL can write, and not infinity.
pub(crate) const fn is_finite(time: i64) -> bool {
    time < TIMES_END && time != i64::MIN
}

/// The year 294277, in microseconds since 2000: the end of what a timestamp can be.
const TIMES_END: i64 = 9_223_371_331_200_000_000;

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

/// A time as SQL has it, or NULL.
pub(crate) fn time_or_null(time: Option<i64>) -> Datum {
    time.map_or(Datum::Null, Datum::Timestamptz)
}
