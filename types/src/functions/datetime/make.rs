//! `make_*`, `to_timestamp(float8)` and the functions that tell the time.

use std::fmt::Write;

use super::zone_clock;
use crate::context::CallContext;
use crate::datetime::arithmetic::to_instant;
use crate::datetime::calendar::{DAY, HOUR, MINUTE, Moment, SECOND, days_in_month, is_timestamp};
use crate::datetime::decode::{Fault, numeric_zone};
use crate::datetime::{checked_date, timestamp_out};
use crate::datum::Datum;
use crate::error::{SqlError, SqlResult};
use crate::functions::ScalarTable;
use crate::interval::checked;
use crate::sqlstate::SqlState;

fn out_of_range(message: String) -> SqlError {
    SqlError::new(SqlState::DatetimeFieldOverflow, message)
}

/// A number as C's `%g` prints it.
fn general(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let mut out = Vec::new();
    crate::float::write_general(number, 6, &mut out);
    String::from_utf8(out).unwrap_or_default()
}

/// Year (negative: BC), month and day, checked. `show` is the year that messages show: PostgreSQL
/// has the one or the other.
fn date(a: &[Datum], show: fn(i32, i32) -> i32) -> SqlResult<Moment> {
    let (year, month, day) = (a[0].as_int4(), a[1].as_int4(), a[2].as_int4());
    // 1 BC is year 0.
    let astronomical = if (i32::MIN + 1..0).contains(&year) { year + 1 } else { year };
    let shown = show(year, astronomical);
    let is_valid = !matches!(year, 0 | i32::MIN)
        && (1..=12).contains(&month)
        && (1..=days_in_month(astronomical, month)).contains(&day);
    if !is_valid {
        return Err(out_of_range(format!(
            "date field value out of range: {shown}-{month:02}-{day:02}"
        )));
    }
    let moment = Moment { year: astronomical, month, day, ..Moment::default() };
    if !moment.is_julian() {
        return Err(out_of_range(format!("date out of range: {shown}-{month:02}-{day:02}")));
    }
    Ok(moment)
}

fn make_date(a: &[Datum]) -> SqlResult<Datum> {
    let moment = date(a, |_, astronomical| astronomical)?;
    checked_date(&moment).map(Datum::Date).ok_or_else(|| {
        let Moment { year, month, day, .. } = moment;
        out_of_range(format!("date out of range: {year}-{month:02}-{day:02}"))
    })
}

/// Hour, minute and second as they stand in messages.
fn time_text(a: &[Datum]) -> String {
    let mut seconds = general(a[2].as_float8());
    if seconds.len() < 2 {
        seconds.insert(0, '0');
    }
    format!("{}:{:02}:{seconds}", a[0].as_int4(), a[1].as_int4())
}

/// Microseconds since midnight of hour, minute and second.
fn time(a: &[Datum]) -> SqlResult<i64> {
    let (hour, minute, second) = (a[0].as_int4(), a[1].as_int4(), a[2].as_float8());
    let microseconds = (second * 1_000_000.0).round_ties_even();
    let total = || {
        let is_valid = (0..=24).contains(&hour)
            && (0..60).contains(&minute)
            && (0.0..=60_000_000.0).contains(&microseconds);
        #[expect(clippy::cast_possible_truncation, reason = "at most 60,000,000")]
        is_valid
            .then(|| i64::from(hour) * HOUR + i64::from(minute) * MINUTE + microseconds as i64)
            .filter(|total| *total <= DAY)
    };
    total().ok_or_else(|| out_of_range(format!("time field value out of range: {}", time_text(a))))
}

fn make_timestamp(a: &[Datum]) -> SqlResult<i64> {
    let moment = date(a, |year, _| year)?;
    let time = time(&a[3..6])?;
    let timestamp = i128::from(moment.days()) * i128::from(DAY) + i128::from(time);
    i64::try_from(timestamp).ok().filter(|timestamp| is_timestamp(*timestamp)).ok_or_else(|| {
        out_of_range(format!(
            "timestamp out of range: {}-{:02}-{:02} {}",
            a[0].as_int4(),
            moment.month,
            moment.day,
            time_text(&a[3..6])
        ))
    })
}

fn make_timestamptz_in_zone(a: &[Datum]) -> SqlResult<i64> {
    let timestamp = make_timestamp(a)?;
    let zone = a[6].as_text();
    let invalid = |message: String| SqlError::new(SqlState::InvalidParameterValue, message);
    if zone.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(invalid(format!(
            "invalid input syntax for type numeric time zone: \"{zone}\""
        ))
        .hint("Numeric time zones must have \"-\" or \"+\" as first character."));
    }
    match numeric_zone(zone) {
        Ok(west) => crate::datetime::arithmetic::moved(timestamp, west.into()),
        Err(Fault::ZoneOverflow) => {
            Err(invalid(format!("numeric time zone \"{zone}\" out of range")))
        }
        Err(_) => super::zone::local_to_instant(zone, timestamp),
    }
}

fn make_interval(a: &[Datum]) -> SqlResult<Datum> {
    let part = |at: usize| i64::from(a[at].as_int4());
    let seconds = (a[6].as_float8() * 1_000_000.0).round_ties_even();
    if !seconds.is_finite() || seconds.abs() >= 9_223_372_036_854_775_808.0 {
        return Err(crate::interval::out_of_range());
    }
    #[expect(clippy::cast_possible_truncation, reason = "checked")]
    let seconds = i128::from(seconds as i64);
    let time =
        i128::from(part(4)) * i128::from(HOUR) + i128::from(part(5)) * i128::from(MINUTE) + seconds;
    checked(part(0) * 12 + part(1), part(2) * 7 + part(3), time).map(Datum::Interval)
}

/// Unix time to a timestamp.
fn from_unix(seconds: f64) -> SqlResult<i64> {
    if seconds.is_nan() {
        return Err(out_of_range("timestamp cannot be NaN".to_owned()));
    }
    if seconds.is_infinite() {
        return Ok(if seconds > 0.0 { i64::MAX } else { i64::MIN });
    }
    let microseconds = ((seconds - 946_684_800.0) * 1_000_000.0).round_ties_even();
    #[expect(clippy::cast_possible_truncation, reason = "saturates, and is checked")]
    let timestamp = microseconds as i64;
    if is_timestamp(timestamp) {
        Ok(timestamp)
    } else {
        Err(out_of_range(format!("timestamp out of range: \"{}\"", general(seconds))))
    }
}

/// `timeofday()`: the wall clock in words, as PostgreSQL prints it.
fn time_of_day(context: &CallContext<'_>) -> Datum {
    let now = crate::clock::now();
    let settings = &context.eval.settings;
    let east = i64::from(settings.time_zone.offset_at(now)) * SECOND;
    let style = crate::FormatSettings {
        date_style: crate::context::DateStyle::Postgres,
        ..crate::FormatSettings::default()
    };
    let whole_seconds = (now + east).div_euclid(SECOND) * SECOND;
    let mut words = Vec::new();
    timestamp_out(whole_seconds, &style, &mut words);
    let words = String::from_utf8_lossy(&words).into_owned();
    let (before, year) = words.rsplit_once(' ').unwrap_or((&words, ""));
    let microseconds = now.rem_euclid(SECOND);
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write!(
        text,
        "{before}.{microseconds:06} {year} {}",
        settings.time_zone.abbreviation_at(now)
    );
    Datum::text(text)
}

pub(super) static TABLE: ScalarTable = &[
    ("make_date", |_, a| make_date(a)),
    ("make_time", |_, a| time(a).map(Datum::Time)),
    ("make_timestamp", |_, a| make_timestamp(a).map(Datum::Timestamp)),
    ("make_timestamptz", |c, a| {
        to_instant(make_timestamp(a)?, zone_clock(c)).map(Datum::Timestamptz)
    }),
    ("make_timestamptz_at_timezone", |_, a| make_timestamptz_in_zone(a).map(Datum::Timestamptz)),
    ("make_interval", |_, a| make_interval(a)),
    ("float8_timestamptz", |_, a| from_unix(a[0].as_float8()).map(Datum::Timestamptz)),
    ("now", |c, _| Ok(Datum::Timestamptz(c.eval.transaction_timestamp))),
    ("statement_timestamp", |c, _| Ok(Datum::Timestamptz(c.eval.statement_timestamp))),
    ("clock_timestamp", |_, _| Ok(Datum::Timestamptz(crate::clock::now()))),
    ("timeofday", |c, _| Ok(time_of_day(c))),
];
