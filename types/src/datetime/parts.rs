//! `extract`, `date_part`, `date_trunc` and `date_bin`.

use super::arithmetic::Clock;
use super::calendar::{self, DAY, HOUR, MINUTE, Moment, SECOND, days_from_civil, weekday};
use super::keywords::{IntervalWord, Unit, Word, date_word, interval_word};
use super::{is_infinite, timestamp_out_of_range};
use crate::error::{SqlError, SqlResult};
use crate::interval::{Interval, checked};
use crate::numeric::Numeric;
use crate::sqlstate::SqlState;

/// A part of a date or time, exact.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Part {
    /// A part that an infinite date does not have.
    Null,
    /// A whole number.
    Whole(i64),
    /// Microseconds, to be told in milliseconds.
    Milliseconds(i64),
    /// Microseconds, to be told in seconds.
    Seconds(i128),
    /// Microseconds and seconds, to be told in seconds together.
    SecondsAnd(i64, i32),
    /// A Julian day and microseconds of it.
    Julian(i64, i64),
    /// Either infinity.
    Infinite(bool),
    /// The seconds of an interval: those of its months and days, and its microseconds.
    Interval(Interval),
}

impl Part {
    /// As `extract` gives it.
    ///
    /// # Errors
    /// None in practice: the numbers are small.
    pub fn numeric(self) -> SqlResult<Option<Numeric>> {
        Ok(Some(match self {
            Self::Null => return Ok(None),
            Self::Whole(value) => value.into(),
            Self::Milliseconds(value) => Numeric::from_decimal(value.into(), 3)?,
            Self::Seconds(value) => Numeric::from_decimal(value, 6)?,
            Self::SecondsAnd(value, seconds) => {
                let sum = i128::from(value) + i128::from(seconds) * i128::from(SECOND);
                Numeric::from_decimal(sum, 6)?
            }
            Self::Julian(day, time) => {
                let fraction = Numeric::from(time).div(&Numeric::from(DAY))?;
                Numeric::from(day).add(&fraction)?
            }
            Self::Infinite(is_late) => {
                Numeric::parse(if is_late { "Infinity" } else { "-Infinity" })?
            }
            Self::Interval(interval) => {
                // A year is 365.25 days here; whole quarters of days keep it exact.
                let quarter_days = i128::from(interval.months / 12) * 1461
                    + i128::from(interval.months % 12) * 120
                    + i128::from(interval.days) * 4;
                let days = quarter_days * i128::from(DAY / 4);
                Numeric::from_decimal(days + i128::from(interval.microseconds), 6)?
            }
        }))
    }

    /// As `date_part` gives it.
    #[must_use]
    pub fn float(self) -> Option<f64> {
        Some(match self {
            Self::Null => return None,
            Self::Whole(value) => value as f64,
            Self::Milliseconds(value) => {
                (value / SECOND) as f64 * 1000.0 + (value % SECOND) as f64 / 1000.0
            }
            Self::Seconds(value) => value as f64 / 1_000_000.0,
            Self::SecondsAnd(value, seconds) => value as f64 / 1_000_000.0 + f64::from(seconds),
            Self::Julian(day, time) => {
                let seconds = (time / SECOND) as f64 + (time % SECOND) as f64 / 1_000_000.0;
                day as f64 + seconds / 86_400.0
            }
            Self::Infinite(true) => f64::INFINITY,
            Self::Infinite(false) => f64::NEG_INFINITY,
            Self::Interval(interval) => {
                interval.microseconds as f64 / 1_000_000.0
                    + 365.25 * 86_400.0 * f64::from(interval.months / 12)
                    + 30.0 * 86_400.0 * f64::from(interval.months % 12)
                    + 86_400.0 * f64::from(interval.days)
            }
        })
    }
}

/// The name of a field in lower case, no longer than PostgreSQL keeps identifiers.
fn lower(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    let mut end = name.len().min(63);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name[..end].to_owned()
}

fn not_supported(name: &str, type_name: &str) -> SqlError {
    SqlError::new(
        SqlState::FeatureNotSupported,
        format!("unit \"{name}\" not supported for type {type_name}"),
    )
}

fn not_recognized(name: &str, type_name: &str) -> SqlError {
    SqlError::new(
        SqlState::InvalidParameterValue,
        format!("unit \"{name}\" not recognized for type {type_name}"),
    )
}

/// The field that a name in lower case means to `extract`.
fn extract_unit(name: &str, type_name: &str) -> SqlResult<Unit> {
    if let Some(IntervalWord::Unit(unit)) = interval_word(name) {
        return Ok(unit);
    }
    match (interval_word(name), date_word(name)) {
        (None, Some(Word::Unit(unit))) => Ok(unit),
        (None, Some(Word::Epoch)) => Ok(Unit::Epoch),
        (
            None,
            Some(
                Word::Now
                | Word::Today
                | Word::Tomorrow
                | Word::Yesterday
                | Word::Zulu
                | Word::Late
                | Word::Early,
            ),
        ) if type_name.starts_with(['d', 't']) && !type_name.starts_with("time ") => {
            Err(not_supported(name, type_name))
        }
        _ => Err(not_recognized(name, type_name)),
    }
}

/// Years counted without a year 0.
const fn without_zero(year: i32) -> i64 {
    if year > 0 { year as i64 } else { year as i64 - 1 }
}

/// The number, from 1, of the span of `years` years that a year is in.
const fn span_of_years(year: i32, years: i32) -> i64 {
    if year > 0 {
        ((year + years - 1) / years) as i64
    } else {
        -(((years - 1) - (year - 1)) / years) as i64
    }
}

const fn decade(year: i32) -> i64 {
    if year >= 0 { (year / 10) as i64 } else { -((8 - (year - 1)) / 10) as i64 }
}

/// Day of the week by ISO: 1 is Monday, 7 is Sunday.
pub(crate) const fn iso_weekday(days: i64) -> i64 {
    (weekday(days) as i64 + 6) % 7 + 1
}

/// The year (astronomical) and week of ISO 8601 that a day is in.
pub(crate) fn iso_year_and_week(days: i64) -> (i64, i64) {
    // The week belongs to the year of its Thursday.
    let thursday = days + 4 - iso_weekday(days);
    let (year, _, _) = calendar::civil_from_days(thursday);
    let week = (thursday - days_from_civil(year.into(), 1, 1)) / 7 + 1;
    (year.into(), week)
}

/// Day of the year, from 1.
pub(crate) fn day_of_year(moment: &Moment) -> i64 {
    moment.days() - days_from_civil(moment.year.into(), 1, 1) + 1
}

/// The parts that come from the date.
fn date_unit(moment: &Moment, unit: Unit) -> Option<i64> {
    let days = moment.days();
    Some(match unit {
        Unit::Day => moment.day.into(),
        Unit::Month => moment.month.into(),
        Unit::Quarter => i64::from((moment.month - 1) / 3 + 1),
        Unit::Week => iso_year_and_week(days).1,
        Unit::Year => without_zero(moment.year),
        Unit::Decade => decade(moment.year),
        Unit::Century => span_of_years(moment.year, 100),
        Unit::Millennium => span_of_years(moment.year, 1000),
        Unit::IsoYear => {
            let year = iso_year_and_week(days).0;
            if year <= 0 { year - 1 } else { year }
        }
        Unit::Dow => weekday(days).into(),
        Unit::IsoDow => iso_weekday(days),
        Unit::Doy => day_of_year(moment),
        _ => return None,
    })
}

/// The parts that come from the time of day.
fn time_unit(time: i64, unit: Unit) -> Option<Part> {
    Some(match unit {
        Unit::Microsecond => Part::Whole(time % MINUTE),
        Unit::Millisecond => Part::Milliseconds(time % MINUTE),
        Unit::Second => Part::Seconds((time % MINUTE).into()),
        Unit::Minute => Part::Whole(time / MINUTE % 60),
        Unit::Hour => Part::Whole(time / HOUR),
        _ => return None,
    })
}

/// The part of an infinite date; the finite ones change back and forth.
fn infinite_part(unit: Unit, is_late: bool) -> Part {
    match unit {
        Unit::Year
        | Unit::Decade
        | Unit::Century
        | Unit::Millennium
        | Unit::Julian
        | Unit::IsoYear
        | Unit::Epoch => Part::Infinite(is_late),
        _ => Part::Null,
    }
}

fn zone_unit(west: i32, unit: Unit) -> Option<i64> {
    Some(match unit {
        Unit::Timezone => (-west).into(),
        Unit::TimezoneMinute => (-west / 60 % 60).into(),
        Unit::TimezoneHour => (-west / 3600).into(),
        _ => return None,
    })
}

/// `extract` from a date.
///
/// # Errors
/// 22023, 0A000.
pub fn of_date(name: &str, date: i32) -> SqlResult<Part> {
    let name = lower(name);
    let unit = extract_unit(&name, "date")?;
    let (year, month, day) = calendar::civil_from_days(date.into());
    let moment = Moment { year, month, day, ..Moment::default() };
    let part = match unit {
        Unit::Julian => Some(i64::from(date) + calendar::EPOCH_JULIAN),
        Unit::Epoch => Some((i64::from(date) - i64::from(calendar::UNIX_EPOCH_DATE)) * 86_400),
        unit => date_unit(&moment, unit),
    };
    let part = part.ok_or_else(|| not_supported(&name, "date"))?;
    Ok(if super::is_infinite_date(date) {
        infinite_part(unit, date > 0)
    } else {
        Part::Whole(part)
    })
}

/// `extract` from a timestamp.
///
/// # Errors
/// 22023, 0A000.
pub fn of_timestamp(name: &str, timestamp: i64, clock: Clock<'_>) -> SqlResult<Part> {
    let name = lower(name);
    let type_name = match clock {
        Clock::Plain => "timestamp without time zone",
        Clock::In(_) => "timestamp with time zone",
    };
    let unit = extract_unit(&name, type_name)?;
    let infinite = is_infinite(timestamp);
    let (moment, west) = if infinite {
        (Moment::default(), 0)
    } else {
        (clock.moment(timestamp), -(clock.east_at(timestamp) / SECOND) as i32)
    };
    let part = date_unit(&moment, unit)
        .map(Part::Whole)
        .or_else(|| time_unit(moment.time(), unit))
        .or_else(|| match unit {
            Unit::Julian => {
                Some(Part::Julian(moment.days() + calendar::EPOCH_JULIAN, moment.time()))
            }
            Unit::Epoch => {
                let epoch = i128::from(calendar::UNIX_EPOCH_DATE) * i128::from(DAY);
                Some(Part::Seconds(i128::from(timestamp) - epoch))
            }
            // PostgreSQL does not look whether an infinite timestamp has a zone.
            unit if infinite || matches!(clock, Clock::In(_)) => {
                zone_unit(west, unit).map(Part::Whole)
            }
            _ => None,
        })
        .ok_or_else(|| not_supported(&name, type_name))?;
    Ok(if infinite { infinite_part(unit, timestamp > 0) } else { part })
}

/// `extract` from a time of day, with its seconds west of UTC if it has any.
///
/// # Errors
/// 22023, 0A000.
pub fn of_time(name: &str, time: i64, west: Option<i32>) -> SqlResult<Part> {
    let name = lower(name);
    let type_name = if west.is_some() { "time with time zone" } else { "time without time zone" };
    let unit = extract_unit(&name, type_name)?;
    if unit == Unit::Epoch {
        return Ok(Part::SecondsAnd(time, west.unwrap_or(0)));
    }
    time_unit(time, unit)
        .or_else(|| zone_unit(west?, unit).map(Part::Whole))
        .ok_or_else(|| not_supported(&name, type_name))
}

/// `extract` from an interval.
///
/// # Errors
/// 22023, 0A000.
pub fn of_interval(name: &str, interval: &Interval) -> SqlResult<Part> {
    let name = lower(name);
    let unit = extract_unit(&name, "interval")?;
    let years = i64::from(interval.months / 12);
    let months = i64::from(interval.months % 12);
    Ok(match unit {
        Unit::Epoch => Part::Interval(*interval),
        Unit::Day => Part::Whole(interval.days.into()),
        Unit::Month => Part::Whole(months),
        Unit::Quarter => Part::Whole(months / 3 + 1),
        Unit::Year => Part::Whole(years),
        Unit::Decade => Part::Whole(years / 10),
        Unit::Century => Part::Whole(years / 100),
        Unit::Millennium => Part::Whole(years / 1000),
        unit => time_unit(interval.microseconds, unit)
            .ok_or_else(|| not_supported(&name, "interval"))?,
    })
}

/// The unit that `date_trunc` truncates to.
fn trunc_unit(name: &str, type_name: &str) -> SqlResult<Unit> {
    match interval_word(name) {
        Some(IntervalWord::Unit(unit)) => Ok(unit),
        _ => Err(not_recognized(name, type_name)),
    }
}

/// The first year of the span of `years` years that a year is in.
fn first_of_span(year: i32, years: i32) -> i32 {
    if year > 0 {
        (year + years - 1) / years * years - (years - 1)
    } else {
        -((years - 1 - (year - 1)) / years) * years + 1
    }
}

/// `date_trunc` of a timestamp.
///
/// # Errors
/// 22023, 0A000, 22008.
pub fn trunc(name: &str, timestamp: i64, clock: Clock<'_>) -> SqlResult<i64> {
    if is_infinite(timestamp) {
        return Ok(timestamp);
    }
    let name = lower(name);
    let type_name = match clock {
        Clock::Plain => "timestamp without time zone",
        Clock::In(_) => "timestamp with time zone",
    };
    let unit = trunc_unit(&name, type_name)?;
    let east = clock.east_at(timestamp);
    let local = timestamp + east;
    let moment = Moment::from_microseconds(local);
    let Moment { year, month, .. } = moment;
    // Below a day, the offset stays as it is.
    let time_size = match unit {
        Unit::Microsecond => Some(1),
        Unit::Millisecond => Some(1000),
        Unit::Second => Some(SECOND),
        Unit::Minute => Some(MINUTE),
        Unit::Hour => Some(HOUR),
        _ => None,
    };
    if let Some(size) = time_size {
        let start = local.div_euclid(size) * size - east;
        return Some(start)
            .filter(|start| calendar::is_timestamp(*start))
            .ok_or_else(timestamp_out_of_range);
    }
    let (year, month, day) = match unit {
        Unit::Day => (year, month, moment.day),
        Unit::Week => {
            let days = moment.days();
            calendar::civil_from_days(days - iso_weekday(days) + 1)
        }
        Unit::Month => (year, month, 1),
        Unit::Quarter => (year, (month - 1) / 3 * 3 + 1, 1),
        Unit::Year => (year, 1, 1),
        Unit::Decade if year > 0 => (year / 10 * 10, 1, 1),
        Unit::Decade => (-((8 - (year - 1)) / 10) * 10, 1, 1),
        Unit::Century => (first_of_span(year, 100), 1, 1),
        Unit::Millennium => (first_of_span(year, 1000), 1, 1),
        _ => return Err(not_supported(&name, type_name)),
    };
    clock.timestamp(&Moment { year, month, day, ..Moment::default() })
}

/// `date_trunc` of an interval.
///
/// # Errors
/// 22023, 0A000.
pub fn trunc_interval(name: &str, interval: &Interval) -> SqlResult<Interval> {
    let name = lower(name);
    let unit = trunc_unit(&name, "interval")?;
    let Interval { months, days, microseconds } = *interval;
    let months_only = |size: i32| Interval { months: months / size * size, ..Interval::default() };
    let time_to = |size: i64| Interval { months, days, microseconds: microseconds / size * size };
    Ok(match unit {
        Unit::Millennium => months_only(12_000),
        Unit::Century => months_only(1200),
        Unit::Decade => months_only(120),
        Unit::Year => months_only(12),
        Unit::Quarter => months_only(3),
        Unit::Month => months_only(1),
        Unit::Day => Interval { months, days, microseconds: 0 },
        Unit::Hour => time_to(HOUR),
        Unit::Minute => time_to(MINUTE),
        Unit::Second => time_to(SECOND),
        Unit::Millisecond => time_to(1000),
        Unit::Microsecond => time_to(1),
        Unit::Week => {
            return Err(
                not_supported(&name, "interval").detail("Months usually have fractional weeks.")
            );
        }
        _ => return Err(not_supported(&name, "interval")),
    })
}

/// `date_bin`: the start of the bin of a width that a timestamp is in, one bin starting at `origin`.
///
/// # Errors
/// 22008, 0A000.
pub fn bin(width: &Interval, timestamp: i64, origin: i64) -> SqlResult<i64> {
    let out_of_range = |message: &str| SqlError::new(SqlState::DatetimeFieldOverflow, message);
    if is_infinite(timestamp) {
        return Ok(timestamp);
    }
    if is_infinite(origin) {
        return Err(out_of_range("origin out of range"));
    }
    if width.months != 0 {
        return Err(SqlError::new(
            SqlState::FeatureNotSupported,
            "timestamps cannot be binned into intervals containing months or years",
        ));
    }
    let size = i128::from(width.days) * i128::from(DAY) + i128::from(width.microseconds);
    let size = i128::from(checked(0, 0, size)?.microseconds);
    if size <= 0 {
        return Err(out_of_range("stride must be greater than zero"));
    }
    let difference = i128::from(timestamp) - i128::from(origin);
    let difference = i128::from(checked(0, 0, difference)?.microseconds);
    let start = i128::from(origin) + difference.div_euclid(size) * size;
    i64::try_from(start)
        .ok()
        .filter(|start| calendar::is_timestamp(*start))
        .ok_or_else(timestamp_out_of_range)
}
