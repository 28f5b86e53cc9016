//! `AT TIME ZONE`, in all its forms.

use super::timetz;
use crate::context::EvalContext;
use crate::datetime::arithmetic::{Clock, from_instant, moved, to_instant};
use crate::datetime::calendar::DAY;
use crate::datetime::decode::unknown_zone;
use crate::datetime::is_infinite;
use crate::datum::Datum;
use crate::error::{SqlError, SqlResult};
use crate::functions::ScalarTable;
use crate::interval::Interval;
use crate::sqlstate::SqlState;
use crate::timezone::TimeZone;
use crate::timezone::abbreviations::{self, Abbreviation};

/// What a zone is given by.
enum Given {
    /// Seconds east of UTC.
    Offset(i32),
    Zone(TimeZone),
    /// By the abbreviation's meaning in the zone.
    Abbreviation(TimeZone, String),
}

/// Abbreviations come before names, as they do in the text forms of timestamps.
fn given(name: &str) -> SqlResult<Given> {
    let lower = name.to_ascii_lowercase();
    let named = |name: &str| TimeZone::named(name).ok_or_else(|| unknown_zone(name));
    Ok(match abbreviations::lookup(lower.as_bytes()) {
        Some(Abbreviation::Standard(east) | Abbreviation::Daylight(east)) => Given::Offset(east),
        Some(Abbreviation::Zone(zone)) => Given::Abbreviation(named(zone)?, lower),
        None => Given::Zone(named(name)?),
    })
}

/// The zone that a name or abbreviation stands for by itself.
pub(super) fn lookup(name: &str) -> SqlResult<TimeZone> {
    match given(name)? {
        Given::Offset(east) => TimeZone::from_offset(east.into()).ok_or_else(|| unknown_zone(name)),
        Given::Zone(zone) | Given::Abbreviation(zone, _) => Ok(zone),
    }
}

/// Seconds east of UTC of an interval.
fn interval_offset(interval: &Interval) -> SqlResult<i64> {
    if interval.months != 0 || interval.days != 0 {
        let mut text = Vec::new();
        crate::interval::interval_out(interval, &crate::FormatSettings::default(), &mut text);
        return Err(SqlError::new(
            SqlState::InvalidParameterValue,
            format!(
                "interval time zone \"{}\" must not include months or days",
                String::from_utf8_lossy(&text)
            ),
        ));
    }
    Ok(interval.microseconds / 1_000_000)
}

/// The instant at which a zone's clock shows a timestamp.
pub(super) fn local_to_instant(name: &str, timestamp: i64) -> SqlResult<i64> {
    if is_infinite(timestamp) {
        return Ok(timestamp);
    }
    match given(name)? {
        Given::Offset(east) => moved(timestamp, -i64::from(east)),
        Given::Zone(zone) => to_instant(timestamp, Clock::In(&zone)),
        Given::Abbreviation(zone, abbreviation) => {
            let east = zone.offset_of_abbreviation(&abbreviation, timestamp);
            moved(timestamp, -i64::from(east))
        }
    }
}

/// What a zone's clock shows at an instant.
fn instant_to_local(name: &str, instant: i64) -> SqlResult<i64> {
    if is_infinite(instant) {
        return Ok(instant);
    }
    match given(name)? {
        Given::Offset(east) => moved(instant, east.into()),
        Given::Zone(zone) => from_instant(instant, Clock::In(&zone)),
        Given::Abbreviation(zone, abbreviation) => {
            moved(instant, zone.offset_of_abbreviation_at(&abbreviation, instant).into())
        }
    }
}

/// A time of day on the clock of another offset.
fn rezoned(datum: &Datum, east: i32) -> Datum {
    let (time, west) = timetz(datum);
    let moved = time + (i64::from(west) + i64::from(east)) * 1_000_000;
    // 24:00 stays.
    let moved = if (0..DAY).contains(&moved) { moved } else { moved.rem_euclid(DAY) };
    Datum::Timetz(moved, -east)
}

fn timetz_zone(context: &EvalContext<'_>, name: &str, time: &Datum) -> SqlResult<Datum> {
    let now = context.transaction_timestamp;
    let east = match given(name)? {
        Given::Offset(east) => east,
        Given::Zone(zone) => zone.offset_at(now),
        Given::Abbreviation(zone, abbreviation) => {
            zone.offset_of_abbreviation_at(&abbreviation, now)
        }
    };
    Ok(rezoned(time, east))
}

pub(super) static TABLE: ScalarTable = &[
    ("timestamp_zone", |_, a| {
        local_to_instant(a[0].as_text(), a[1].as_timestamp()).map(Datum::Timestamptz)
    }),
    ("timestamptz_zone", |_, a| {
        instant_to_local(a[0].as_text(), a[1].as_timestamptz()).map(Datum::Timestamp)
    }),
    ("timestamp_izone", |_, a| {
        let timestamp = a[1].as_timestamp();
        if is_infinite(timestamp) {
            return Ok(Datum::Timestamptz(timestamp));
        }
        moved(timestamp, -interval_offset(&a[0].as_interval())?).map(Datum::Timestamptz)
    }),
    ("timestamptz_izone", |_, a| {
        let instant = a[1].as_timestamptz();
        if is_infinite(instant) {
            return Ok(Datum::Timestamp(instant));
        }
        moved(instant, interval_offset(&a[0].as_interval())?).map(Datum::Timestamp)
    }),
    ("timetz_zone", |c, a| timetz_zone(&c.eval, a[0].as_text(), &a[1])),
    ("timetz_izone", |_, a| {
        let east = interval_offset(&a[0].as_interval())?;
        let east = i32::try_from(east).map_err(|_| crate::interval::out_of_range())?;
        Ok(rezoned(&a[1], east))
    }),
];
