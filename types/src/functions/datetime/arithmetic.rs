//! `+ - * /`, `age`, `justify_*` and the casts between these types.

use super::compare::timetz_order;
use super::{either_timestamp, timetz, zone_clock};
use crate::context::CallContext;
use crate::datetime::arithmetic::{
    Clock, date_to_timestamp, from_instant, minus, plus_interval, timestamp_age, timestamp_to_date,
    to_instant,
};
use crate::datetime::calendar::{DAY, END_TIMESTAMP, is_date, is_timestamp};
use crate::datetime::{
    current_date, is_infinite, is_infinite_date, now_in_zone, round_time, round_timestamp,
    timestamp_out_of_range,
};
use crate::datum::Datum;
use crate::error::{SqlError, SqlResult};
use crate::functions::ScalarTable;
use crate::interval::{Interval, apply_typmod};
use crate::sqlstate::SqlState;

type Context<'a> = &'a CallContext<'a>;

fn out_of_range(message: &str) -> SqlError {
    SqlError::new(SqlState::DatetimeFieldOverflow, message)
}

fn interval(result: SqlResult<Interval>) -> SqlResult<Datum> {
    result.map(Datum::Interval)
}

/// `date + integer`, `date - integer`.
fn date_plus_days(date: i32, days: i64) -> SqlResult<Datum> {
    if is_infinite_date(date) {
        return Ok(Datum::Date(date));
    }
    let moved = i64::from(date) + days;
    match i32::try_from(moved) {
        Ok(date) if is_date(moved) => Ok(Datum::Date(date)),
        _ => Err(out_of_range("date out of range")),
    }
}

fn date_minus_date(a: &[Datum]) -> SqlResult<Datum> {
    let (left, right) = (a[0].as_date(), a[1].as_date());
    if is_infinite_date(left) || is_infinite_date(right) {
        return Err(out_of_range("cannot subtract infinite dates"));
    }
    Ok(Datum::Int4(left.wrapping_sub(right)))
}

fn date_plus_interval(date: &Datum, interval: &Datum, backwards: bool) -> SqlResult<Datum> {
    let timestamp = date_to_timestamp(date.as_date(), Clock::Plain)?;
    plus_interval(timestamp, &interval.as_interval(), backwards, Clock::Plain).map(Datum::Timestamp)
}

fn timestamp_plus_interval(a: &Datum, interval: &Datum, backwards: bool) -> SqlResult<Datum> {
    plus_interval(a.as_timestamp(), &interval.as_interval(), backwards, Clock::Plain)
        .map(Datum::Timestamp)
}

fn timestamptz_plus_interval(
    context: Context<'_>,
    a: &Datum,
    interval: &Datum,
    backwards: bool,
) -> SqlResult<Datum> {
    let clock = zone_clock(context);
    plus_interval(a.as_timestamptz(), &interval.as_interval(), backwards, clock)
        .map(Datum::Timestamptz)
}

/// A time of day moved around the clock.
fn around(time: i64, interval: &Datum, backwards: bool) -> i64 {
    let span = i128::from(interval.as_interval().microseconds);
    let moved = i128::from(time) + if backwards { -span } else { span };
    moved.rem_euclid(i128::from(DAY)) as i64
}

fn timetz_plus_interval(a: &Datum, interval: &Datum, backwards: bool) -> SqlResult<Datum> {
    let (time, west) = timetz(a);
    Ok(Datum::Timetz(around(time, interval, backwards), west))
}

fn date_plus_time(date: &Datum, time: &Datum) -> SqlResult<i64> {
    let midnight = date_to_timestamp(date.as_date(), Clock::Plain)?;
    if is_infinite(midnight) {
        return Ok(midnight);
    }
    let timestamp = midnight.saturating_add(time.as_time());
    if is_timestamp(timestamp) { Ok(timestamp) } else { Err(timestamp_out_of_range()) }
}

fn date_plus_timetz(date: &Datum, time: &Datum) -> SqlResult<Datum> {
    let (time, west) = timetz(time);
    let date = date.as_date();
    Ok(Datum::Timestamptz(match date {
        i32::MIN => i64::MIN,
        i32::MAX => i64::MAX,
        _ => Some(i64::from(date))
            .filter(|date| *date < END_TIMESTAMP / DAY)
            .map(|date| date * DAY + time + i64::from(west) * 1_000_000)
            .filter(|timestamp| is_timestamp(*timestamp))
            .ok_or_else(|| out_of_range("date out of range for timestamp"))?,
    }))
}

/// The time of day on a clock; NULL at the infinities.
fn time_of(timestamp: i64, clock: Clock<'_>) -> Datum {
    if is_infinite(timestamp) {
        return Datum::Null;
    }
    Datum::Time((timestamp + clock.east_at(timestamp)).rem_euclid(DAY))
}

fn timestamptz_to_timetz(context: Context<'_>, timestamp: i64) -> Datum {
    let clock = zone_clock(context);
    match time_of(timestamp, clock) {
        Datum::Time(time) => Datum::Timetz(time, -(clock.east_at(timestamp) / 1_000_000) as i32),
        other => other,
    }
}

/// With the offset that the session's zone has at this time today.
fn time_to_timetz(context: Context<'_>, time: i64) -> Datum {
    let (now, _) = now_in_zone(&context.eval);
    let local = now.days().saturating_mul(DAY).saturating_add(time);
    Datum::Timetz(time, -context.eval.settings.time_zone.offset_of_local(local))
}

fn today_age(context: Context<'_>, timestamp: i64, clock: Clock<'_>) -> SqlResult<Datum> {
    let today = date_to_timestamp(current_date(&context.eval), clock)?;
    interval(timestamp_age(today, timestamp, clock))
}

/// `value <= base ± offset` or `>=`: what the frame of a window function asks.
fn frame(
    a: &[Datum],
    is_negative: bool,
    later: impl Fn(bool) -> SqlResult<std::cmp::Ordering>,
) -> SqlResult<Datum> {
    if is_negative {
        return Err(SqlError::new(
            SqlState::InvalidPrecedingOrFollowingSize,
            "invalid preceding or following size in window function",
        ));
    }
    let order = later(a[3].as_bool())?;
    Ok(Datum::Bool(if a[4].as_bool() { order.is_le() } else { order.is_ge() }))
}

fn in_range_timestamp(a: &[Datum], value: i64, base: i64, clock: Clock<'_>) -> SqlResult<Datum> {
    frame(a, a[2].as_interval().span() < 0, |subtract| {
        Ok(value.cmp(&plus_interval(base, &a[2].as_interval(), subtract, clock)?))
    })
}

fn in_range_date(a: &[Datum]) -> SqlResult<Datum> {
    let value = date_to_timestamp(a[0].as_date(), Clock::Plain)?;
    let base = date_to_timestamp(a[1].as_date(), Clock::Plain)?;
    in_range_timestamp(a, value, base, Clock::Plain)
}

fn in_range_interval(a: &[Datum]) -> SqlResult<Datum> {
    frame(a, a[2].as_interval().span() < 0, |subtract| {
        let (base, offset) = (a[1].as_interval(), a[2].as_interval());
        let bound = if subtract { base.sub(&offset) } else { base.add(&offset) }?;
        Ok(a[0].as_interval().cmp(&bound))
    })
}

/// The end of a frame around a time of day, which is not taken around the clock.
fn time_bound(time: i64, offset: &Datum, subtract: bool) -> i128 {
    let offset = i128::from(offset.as_interval().microseconds);
    i128::from(time) + if subtract { -offset } else { offset }
}

fn in_range_time(a: &[Datum]) -> SqlResult<Datum> {
    frame(a, a[2].as_interval().microseconds < 0, |subtract| {
        Ok(i128::from(a[0].as_time()).cmp(&time_bound(a[1].as_time(), &a[2], subtract)))
    })
}

fn in_range_timetz(a: &[Datum]) -> SqlResult<Datum> {
    frame(a, a[2].as_interval().microseconds < 0, |subtract| {
        let (time, west) = timetz(&a[1]);
        let bound = i64::try_from(time_bound(time, &a[2], subtract)).unwrap_or(if subtract {
            i64::MIN / 2
        } else {
            i64::MAX / 2
        });
        Ok(timetz_order(timetz(&a[0]), (bound.clamp(i64::MIN / 2, i64::MAX / 2), west)))
    })
}

pub(super) static TABLE: ScalarTable = &[
    ("date_pli", |_, a| date_plus_days(a[0].as_date(), a[1].as_int4().into())),
    ("date_mii", |_, a| date_plus_days(a[0].as_date(), -i64::from(a[1].as_int4()))),
    ("integer_pl_date(int4,date)", |_, a| date_plus_days(a[1].as_date(), a[0].as_int4().into())),
    ("date_mi", |_, a| date_minus_date(a)),
    ("date_pl_interval", |_, a| date_plus_interval(&a[0], &a[1], false)),
    ("date_mi_interval", |_, a| date_plus_interval(&a[0], &a[1], true)),
    ("interval_pl_date(interval,date)", |_, a| date_plus_interval(&a[1], &a[0], false)),
    ("timestamp_pl_interval", |_, a| timestamp_plus_interval(&a[0], &a[1], false)),
    ("timestamp_mi_interval", |_, a| timestamp_plus_interval(&a[0], &a[1], true)),
    ("interval_pl_timestamp(interval,timestamp)", |_, a| {
        timestamp_plus_interval(&a[1], &a[0], false)
    }),
    ("timestamptz_pl_interval", |c, a| timestamptz_plus_interval(c, &a[0], &a[1], false)),
    ("timestamptz_mi_interval", |c, a| timestamptz_plus_interval(c, &a[0], &a[1], true)),
    ("interval_pl_timestamptz(interval,timestamptz)", |c, a| {
        timestamptz_plus_interval(c, &a[1], &a[0], false)
    }),
    ("timestamp_mi", |_, a| interval(minus(either_timestamp(&a[0]), either_timestamp(&a[1])))),
    ("time_pl_interval", |_, a| Ok(Datum::Time(around(a[0].as_time(), &a[1], false)))),
    ("time_mi_interval", |_, a| Ok(Datum::Time(around(a[0].as_time(), &a[1], true)))),
    ("interval_pl_time(interval,time)", |_, a| {
        Ok(Datum::Time(around(a[1].as_time(), &a[0], false)))
    }),
    ("timetz_pl_interval", |_, a| timetz_plus_interval(&a[0], &a[1], false)),
    ("timetz_mi_interval", |_, a| timetz_plus_interval(&a[0], &a[1], true)),
    ("interval_pl_timetz(interval,timetz)", |_, a| timetz_plus_interval(&a[1], &a[0], false)),
    ("time_mi_time", |_, a| {
        let microseconds = a[0].as_time() - a[1].as_time();
        Ok(Datum::Interval(Interval { microseconds, ..Interval::default() }))
    }),
    ("interval_pl", |_, a| interval(a[0].as_interval().add(&a[1].as_interval()))),
    ("interval_mi", |_, a| interval(a[0].as_interval().sub(&a[1].as_interval()))),
    ("interval_um", |_, a| interval(a[0].as_interval().neg())),
    ("interval_mul", |_, a| interval(a[0].as_interval().mul(a[1].as_float8()))),
    ("mul_d_interval", |_, a| interval(a[1].as_interval().mul(a[0].as_float8()))),
    ("interval_div", |_, a| interval(a[0].as_interval().div(a[1].as_float8()))),
    ("interval_justify_hours", |_, a| interval(a[0].as_interval().justify_hours())),
    ("interval_justify_days", |_, a| interval(a[0].as_interval().justify_days())),
    ("interval_justify_interval", |_, a| interval(a[0].as_interval().justify_interval())),
    ("timestamp_age", |_, a| {
        interval(timestamp_age(a[0].as_timestamp(), a[1].as_timestamp(), Clock::Plain))
    }),
    ("timestamptz_age", |c, a| {
        interval(timestamp_age(a[0].as_timestamptz(), a[1].as_timestamptz(), zone_clock(c)))
    }),
    ("age(timestamp)", |c, a| today_age(c, a[0].as_timestamp(), Clock::Plain)),
    ("age(timestamptz)", |c, a| today_age(c, a[0].as_timestamptz(), zone_clock(c))),
    ("date_finite", |_, a| Ok(Datum::Bool(!is_infinite_date(a[0].as_date())))),
    ("timestamp_finite", |_, a| Ok(Datum::Bool(!is_infinite(either_timestamp(&a[0]))))),
    ("interval_finite", |_, _| Ok(Datum::Bool(true))),
    ("timestamp_scale", |_, a| {
        round_timestamp(a[0].as_timestamp(), a[1].as_int4()).map(Datum::Timestamp)
    }),
    ("timestamptz_scale", |_, a| {
        round_timestamp(a[0].as_timestamptz(), a[1].as_int4()).map(Datum::Timestamptz)
    }),
    ("time_scale", |_, a| Ok(Datum::Time(round_time(a[0].as_time(), a[1].as_int4())))),
    ("timetz_scale", |_, a| {
        let (time, west) = timetz(&a[0]);
        Ok(Datum::Timetz(round_time(time, a[1].as_int4()), west))
    }),
    ("interval_scale", |_, a| interval(apply_typmod(a[0].as_interval(), a[1].as_int4()))),
    ("date_timestamp", |_, a| {
        date_to_timestamp(a[0].as_date(), Clock::Plain).map(Datum::Timestamp)
    }),
    ("date_timestamptz", |c, a| {
        date_to_timestamp(a[0].as_date(), zone_clock(c)).map(Datum::Timestamptz)
    }),
    ("timestamp_date", |_, a| {
        Ok(Datum::Date(timestamp_to_date(a[0].as_timestamp(), Clock::Plain)))
    }),
    ("timestamptz_date", |c, a| {
        Ok(Datum::Date(timestamp_to_date(a[0].as_timestamptz(), zone_clock(c))))
    }),
    ("timestamp_time", |_, a| Ok(time_of(a[0].as_timestamp(), Clock::Plain))),
    ("timestamptz_time", |c, a| Ok(time_of(a[0].as_timestamptz(), zone_clock(c)))),
    ("timestamptz_timetz", |c, a| Ok(timestamptz_to_timetz(c, a[0].as_timestamptz()))),
    ("timestamp_timestamptz", |c, a| {
        to_instant(a[0].as_timestamp(), zone_clock(c)).map(Datum::Timestamptz)
    }),
    ("timestamptz_timestamp", |c, a| {
        from_instant(a[0].as_timestamptz(), zone_clock(c)).map(Datum::Timestamp)
    }),
    ("time_timetz", |c, a| Ok(time_to_timetz(c, a[0].as_time()))),
    ("timetz_time", |_, a| Ok(Datum::Time(timetz(&a[0]).0))),
    ("time_interval", |_, a| {
        let microseconds = a[0].as_time();
        Ok(Datum::Interval(Interval { microseconds, ..Interval::default() }))
    }),
    ("interval_time", |_, a| Ok(Datum::Time(a[0].as_interval().microseconds.rem_euclid(DAY)))),
    ("datetime_timestamp", |_, a| date_plus_time(&a[0], &a[1]).map(Datum::Timestamp)),
    ("timedate_pl(time,date)", |_, a| date_plus_time(&a[1], &a[0]).map(Datum::Timestamp)),
    ("timestamptz(date,time)", |c, a| {
        to_instant(date_plus_time(&a[0], &a[1])?, zone_clock(c)).map(Datum::Timestamptz)
    }),
    ("datetimetz_timestamptz", |_, a| date_plus_timetz(&a[0], &a[1])),
    ("timetzdate_pl(timetz,date)", |_, a| date_plus_timetz(&a[1], &a[0])),
    ("in_range_date_interval", |_, a| in_range_date(a)),
    ("in_range_timestamp_interval", |_, a| {
        in_range_timestamp(a, a[0].as_timestamp(), a[1].as_timestamp(), Clock::Plain)
    }),
    ("in_range_timestamptz_interval", |c, a| {
        in_range_timestamp(a, a[0].as_timestamptz(), a[1].as_timestamptz(), zone_clock(c))
    }),
    ("in_range_interval_interval", |_, a| in_range_interval(a)),
    ("in_range_time_interval", |_, a| in_range_time(a)),
    ("in_range_timetz_interval", |_, a| in_range_timetz(a)),
];
