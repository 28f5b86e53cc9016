//! Arithmetic of dates and timestamps.
//!
//! An interval is added month by month on the calendar, then day by day, then as elapsed time. With
//! a zone, the first two steps keep the local time of day; a [`Clock`] says which.

use std::cmp::Ordering;

use super::calendar::{DAY, END_TIMESTAMP, Moment, SECOND, days_in_month, is_timestamp};
use super::{is_infinite, is_infinite_date, timestamp_out_of_range};
use crate::error::{SqlError, SqlResult};
use crate::interval::{Interval, checked};
use crate::sqlstate::SqlState;
use crate::timezone::TimeZone;

/// How timestamps relate to what a clock shows.
#[derive(Clone, Copy, Debug)]
pub enum Clock<'a> {
    /// They are it: `timestamp`.
    Plain,
    /// They are instants, and the clock is one in this zone: `timestamptz`.
    In(&'a TimeZone),
}

impl Clock<'_> {
    /// What the clock shows at a finite timestamp.
    #[must_use]
    pub fn moment(self, timestamp: i64) -> Moment {
        Moment::from_microseconds(timestamp + self.east_at(timestamp))
    }

    /// The timestamp at which the clock shows this.
    ///
    /// # Errors
    /// 22008 if there is none in range.
    pub fn timestamp(self, moment: &Moment) -> SqlResult<i64> {
        if !moment.is_julian() {
            return Err(timestamp_out_of_range());
        }
        let west = match self {
            Self::Plain => 0,
            Self::In(zone) => -zone.offset_of_local(moment.local()),
        };
        moment.timestamp(west).ok_or_else(timestamp_out_of_range)
    }

    /// Microseconds that the clock is ahead of a timestamp.
    #[must_use]
    pub fn east_at(self, timestamp: i64) -> i64 {
        match self {
            Self::Plain => 0,
            Self::In(zone) => i64::from(zone.offset_at(timestamp)) * SECOND,
        }
    }
}

fn in_range(microseconds: i128) -> SqlResult<i64> {
    i64::try_from(microseconds)
        .ok()
        .filter(|timestamp| is_timestamp(*timestamp))
        .ok_or_else(timestamp_out_of_range)
}

/// A timestamp and an interval later (earlier if `backwards`).
///
/// # Errors
/// 22008
pub fn plus_interval(
    timestamp: i64,
    interval: &Interval,
    backwards: bool,
    clock: Clock<'_>,
) -> SqlResult<i64> {
    if is_infinite(timestamp) {
        return Ok(timestamp);
    }
    let sign = if backwards { -1 } else { 1 };
    let mut timestamp = timestamp;
    if interval.months != 0 {
        let mut moment = clock.moment(timestamp);
        let months = i64::from(moment.month) - 1 + sign * i64::from(interval.months);
        let year = i64::from(moment.year) + months.div_euclid(12);
        moment.year = i32::try_from(year).map_err(|_| timestamp_out_of_range())?;
        moment.month = months.rem_euclid(12) as i32 + 1;
        moment.day = moment.day.min(days_in_month(moment.year, moment.month));
        timestamp = clock.timestamp(&moment)?;
    }
    if interval.days != 0 {
        let moment = clock.moment(timestamp);
        let days = moment.days() + sign * i64::from(interval.days);
        let (year, month, day) = super::calendar::civil_from_days(days);
        timestamp = clock.timestamp(&Moment { year, month, day, ..moment })?;
    }
    in_range(i128::from(timestamp) + i128::from(sign) * i128::from(interval.microseconds))
}

/// The time between two timestamps, in days and below.
///
/// # Errors
/// 22008 if one is infinite.
pub fn minus(left: i64, right: i64) -> SqlResult<Interval> {
    if is_infinite(left) || is_infinite(right) {
        return Err(SqlError::new(
            SqlState::DatetimeFieldOverflow,
            "cannot subtract infinite timestamps",
        ));
    }
    checked(0, 0, i128::from(left) - i128::from(right))?.justify_hours()
}

/// `age`: the difference of what two moments show, in years, months, days and below.
#[must_use]
pub fn age(left: Moment, right: Moment, is_negative: bool) -> Interval {
    let (late, early) = if is_negative { (right, left) } else { (left, right) };
    let mut months =
        (i64::from(late.year) - i64::from(early.year)) * 12 + i64::from(late.month - early.month);
    let mut days = late.day - early.day;
    let mut time = late.time() - early.time();
    if time < 0 {
        time += DAY;
        days -= 1;
    }
    while days < 0 {
        days += days_in_month(early.year, early.month);
        months -= 1;
    }
    let sign = if is_negative { -1 } else { 1 };
    Interval {
        months: (months as i32) * sign,
        days: days * sign,
        microseconds: time * i64::from(sign),
    }
}

/// `age` of two timestamps by a clock.
///
/// # Errors
/// 22008 if one is `-infinity`; `infinity` counts as the greatest number, as in PostgreSQL.
pub fn timestamp_age(left: i64, right: i64, clock: Clock<'_>) -> SqlResult<Interval> {
    if left == i64::MIN || right == i64::MIN {
        return Err(timestamp_out_of_range());
    }
    let moment = |timestamp: i64| {
        Moment::from_microseconds(timestamp.saturating_add(clock.east_at(timestamp)))
    };
    Ok(age(moment(left), moment(right), left < right))
}

/// The timestamp of a date's midnight.
///
/// # Errors
/// 22008 if the date is beyond timestamps.
pub fn date_to_timestamp(date: i32, clock: Clock<'_>) -> SqlResult<i64> {
    match date {
        i32::MIN => Ok(i64::MIN),
        i32::MAX => Ok(i64::MAX),
        _ => {
            let timestamp = if is_beyond_timestamps(date) {
                None
            } else {
                in_range(midnight(date, clock)).ok()
            };
            timestamp.ok_or_else(|| {
                SqlError::new(SqlState::DatetimeFieldOverflow, "date out of range for timestamp")
            })
        }
    }
}

/// Whether a date is later than all timestamps, whatever the zone.
fn is_beyond_timestamps(date: i32) -> bool {
    i64::from(date) >= END_TIMESTAMP / DAY
}

fn midnight(date: i32, clock: Clock<'_>) -> i128 {
    let local = i128::from(date) * i128::from(DAY);
    let east = match clock {
        Clock::Plain => 0,
        Clock::In(zone) => zone.offset_of_local(i64::try_from(local).unwrap_or(i64::MAX)),
    };
    local - i128::from(east) * i128::from(SECOND)
}

/// The date on the clock at a timestamp.
#[must_use]
pub fn timestamp_to_date(timestamp: i64, clock: Clock<'_>) -> i32 {
    match timestamp {
        i64::MIN => i32::MIN,
        i64::MAX => i32::MAX,
        // At most 1.1e8 days.
        _ => (timestamp + clock.east_at(timestamp)).div_euclid(DAY) as i32,
    }
}

/// The order of a date and a timestamp, without converting one to the other's range.
#[must_use]
pub fn compare_date(date: i32, timestamp: i64, clock: Clock<'_>) -> Ordering {
    let rank = |infinite: bool, positive: bool| match (infinite, positive) {
        (false, _) => 0,
        (true, true) => 1,
        (true, false) => -1,
    };
    rank(is_infinite_date(date), date > 0)
        .cmp(&rank(is_infinite(timestamp), timestamp > 0))
        .then_with(|| {
            if is_infinite_date(date) {
                Ordering::Equal
            } else if is_beyond_timestamps(date) {
                Ordering::Greater
            } else {
                midnight(date, clock).cmp(&timestamp.into())
            }
        })
}

/// The instant at which a zone's clock shows a timestamp.
///
/// # Errors
/// 22008
pub fn to_instant(timestamp: i64, clock: Clock<'_>) -> SqlResult<i64> {
    if is_infinite(timestamp) {
        return Ok(timestamp);
    }
    clock.timestamp(&Moment::from_microseconds(timestamp))
}

/// What a zone's clock shows at an instant.
///
/// # Errors
/// 22008
pub fn from_instant(instant: i64, clock: Clock<'_>) -> SqlResult<i64> {
    if is_infinite(instant) {
        return Ok(instant);
    }
    in_range(i128::from(instant) + i128::from(clock.east_at(instant)))
}

/// A timestamp moved by seconds.
///
/// # Errors
/// 22008
pub fn moved(timestamp: i64, seconds: i64) -> SqlResult<i64> {
    in_range(i128::from(timestamp) + i128::from(seconds) * i128::from(SECOND))
}

/// The order of a timestamp and an instant.
#[must_use]
pub fn compare_local(timestamp: i64, instant: i64, zone: &TimeZone) -> Ordering {
    if is_infinite(timestamp) || is_infinite(instant) {
        return timestamp.cmp(&instant);
    }
    let east = i128::from(zone.offset_of_local(timestamp)) * i128::from(SECOND);
    (i128::from(timestamp) - east).cmp(&instant.into())
}
