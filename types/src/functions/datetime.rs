//! Dates, times, timestamps and intervals.

use std::sync::LazyLock;

use super::{ScalarFunction, SetTable};
use crate::context::CallContext;
use crate::datetime::arithmetic::Clock;
use crate::datum::Datum;

mod compare;
mod arithmetic;
mod overlaps;
mod parts;
mod make;
mod zone;
mod template;
mod series;
mod zones;

/// All tables of this family, one behind the other.
pub(super) static SCALARS: LazyLock<Vec<(&'static str, ScalarFunction)>> = LazyLock::new(|| {
    [
        compare::TABLE,
        arithmetic::TABLE,
        overlaps::TABLE,
        parts::TABLE,
        make::TABLE,
        zone::TABLE,
        template::TABLE,
    ]
    .concat()
});

pub use zones::{abbreviation_rows, zone_rows};

pub(super) static SETS: SetTable = series::TABLE;
pub(super) static ZONE_SETS: SetTable = zones::TABLE;

/// The clock of the session's zone.
fn zone_clock<'a>(context: &'a CallContext<'_>) -> Clock<'a> {
    Clock::In(&context.eval.settings.time_zone)
}

/// The parts of a `timetz`: microseconds since midnight, and seconds west of UTC.
fn timetz(datum: &Datum) -> (i64, i32) {
    match datum {
        Datum::Timetz(time, west) => (*time, *west),
        other => panic!("the analyzer typed this argument timetz, it is {other:?}"),
    }
}

/// A `timestamp` or `timestamptz`: some functions of PostgreSQL take either.
fn either_timestamp(datum: &Datum) -> i64 {
    match datum {
        Datum::Timestamp(timestamp) | Datum::Timestamptz(timestamp) => *timestamp,
        other => panic!("the analyzer typed this argument a timestamp, it is {other:?}"),
    }
}
