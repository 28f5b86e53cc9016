//! What functions make of their arguments.

use aegis_sql::engine::{EngineCall, invalid, time_of};
use aegis_types::{Datum, SqlError, SqlResult, SqlState};

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

/// A time as SQL has it, or NULL.
pub(crate) fn time_or_null(time: Option<i64>) -> Datum {
    time.map_or(Datum::Null, Datum::Timestamptz)
}
