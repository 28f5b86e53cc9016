//! `to_char`.

use super::{Case, Key, MONTHS, Node, ROMAN, Suffix, WEEKDAYS, cased, parse};
use crate::FormatSettings;
use crate::datetime::calendar::{DAY, EPOCH_JULIAN, HOUR, MINUTE, Moment, SECOND, weekday};
use crate::datetime::parts::{day_of_year, iso_weekday, iso_year_and_week};
use crate::datetime::{in_zone, is_infinite};
use crate::error::{SqlError, SqlResult};
use crate::interval::Interval;
use crate::sqlstate::SqlState;

/// What is printed: the fields of a timestamp or of an interval.
struct Values {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    microsecond: i64,
    day_of_year: i64,
    /// Days since 2000-01-01.
    days: i64,
    is_interval: bool,
    east_seconds: i64,
    zone: String,
}

/// `to_char(timestamp, text)`; `None` is NULL.
///
/// # Errors
/// None in practice.
pub fn timestamp_to_char(timestamp: i64, template: &str) -> SqlResult<Option<String>> {
    if is_infinite(timestamp) || template.is_empty() {
        return Ok(None);
    }
    print(&Values::of(&Moment::from_microseconds(timestamp), 0, String::new()), template).map(Some)
}

/// `to_char(timestamptz, text)`; `None` is NULL.
///
/// # Errors
/// None in practice.
pub fn timestamptz_to_char(
    timestamp: i64,
    template: &str,
    settings: &FormatSettings,
) -> SqlResult<Option<String>> {
    if is_infinite(timestamp) || template.is_empty() {
        return Ok(None);
    }
    let (moment, west) = in_zone(timestamp, settings);
    let zone = settings.time_zone.abbreviation_at(timestamp).into_owned();
    print(&Values::of(&moment, -i64::from(west), zone), template).map(Some)
}

/// `to_char(interval, text)`; `None` is NULL.
///
/// # Errors
/// 22007 for patterns that only a calendar date has.
pub fn interval_to_char(interval: &Interval, template: &str) -> SqlResult<Option<String>> {
    if template.is_empty() {
        return Ok(None);
    }
    let time = interval.microseconds;
    let (year, month) = (i64::from(interval.months / 12), i64::from(interval.months % 12));
    let day = i64::from(interval.days);
    let values = Values {
        year,
        month,
        day,
        hour: time / HOUR,
        minute: time / MINUTE % 60,
        second: time / SECOND % 60,
        microsecond: time % SECOND,
        day_of_year: i64::from(interval.months) * 30 + day,
        days: julian_of_parts(year, month, day) - EPOCH_JULIAN,
        is_interval: true,
        east_seconds: 0,
        zone: String::new(),
    };
    print(&values, template).map(Some)
}

/// What PostgreSQL's formula for Julian days makes of the parts of an interval, month 0 included.
fn julian_of_parts(year: i64, month: i64, day: i64) -> i64 {
    let (month, year) =
        if month > 2 { (month + 1, year + 4800) } else { (month + 13, year + 4799) };
    let century = year / 100;
    year * 365 - 32_167 + year / 4 - century + century / 4 + 7834 * month / 256 + day
}

impl Values {
    fn of(moment: &Moment, east_seconds: i64, zone: String) -> Self {
        debug_assert!(moment.time() <= DAY);
        Self {
            year: moment.year.into(),
            month: moment.month.into(),
            day: moment.day.into(),
            hour: moment.hour.into(),
            minute: moment.minute.into(),
            second: moment.second.into(),
            microsecond: moment.microsecond.into(),
            day_of_year: day_of_year(moment),
            days: moment.days(),
            is_interval: false,
            east_seconds,
            zone,
        }
    }

    /// A year as it is counted, BC included; intervals have no eras.
    fn counted(&self, year: i64) -> i64 {
        if self.is_interval || year > 0 { year } else { 1 - year }
    }

    fn iso_year(&self) -> i64 {
        iso_year_and_week(self.days).0
    }

    fn century(&self) -> i64 {
        if self.is_interval {
            self.year / 100
        } else if self.year > 0 {
            (self.year - 1) / 100 + 1
        } else {
            self.year / 100 - 1
        }
    }
}

/// A number with zeros to a width, the sign within it.
fn padded(number: i64, width: usize) -> String {
    format!("{number:0width$}")
}

/// The ending of an ordinal number.
fn ordinal(number: &str, case: Case) -> &'static str {
    let bytes = number.as_bytes();
    let is_teen = bytes.len() > 1 && bytes[bytes.len() - 2] == b'1';
    let (upper, lower) = match bytes.last() {
        Some(b'1') if !is_teen => ("ST", "st"),
        Some(b'2') if !is_teen => ("ND", "nd"),
        Some(b'3') if !is_teen => ("RD", "rd"),
        _ => ("TH", "th"),
    };
    if case == Case::Upper { upper } else { lower }
}

fn print(values: &Values, template: &str) -> SqlResult<String> {
    let mut out = String::new();
    for node in parse(template) {
        match node {
            Node::Literal(c) | Node::Separator(c) | Node::Space(c) => out.push(c),
            Node::Pattern { key, case, suffix, .. } => {
                if let Some(number) = number(values, key, suffix)? {
                    out.push_str(&number);
                    if let Some(case) = suffix.ordinal {
                        out.push_str(ordinal(&number, case));
                    }
                } else {
                    out.push_str(&word(values, key, case, suffix)?);
                }
            }
        }
    }
    Ok(out)
}

/// The patterns that are numbers and may be made ordinal.
fn number(values: &Values, key: Key, suffix: Suffix) -> SqlResult<Option<String>> {
    // One more for a sign.
    let wide = |number: i64, width: usize, is_negative: bool| {
        let width = if suffix.fill { 0 } else { width + usize::from(is_negative) };
        padded(number, width)
    };
    let fraction = |digits: u8| {
        let digits = usize::from(digits);
        padded(values.microsecond / 10_i64.pow(6 - digits as u32), digits)
    };
    let year = |number: i64, digits: u8| {
        let number = values.counted(number);
        let modulus = 10_i64.pow(digits.into());
        let number = if digits == 4 { number } else { number % modulus };
        match digits {
            1 => number.to_string(),
            _ => wide(number, digits.into(), values.counted(values.year) < 0),
        }
    };
    let hour12 = if values.hour % 12 == 0 { 12 } else { values.hour % 12 };
    Ok(Some(match key {
        Key::Hour12 => wide(hour12, 2, values.hour < 0),
        Key::Hour24 => wide(values.hour, 2, values.hour < 0),
        Key::Minute => wide(values.minute, 2, values.minute < 0),
        Key::Second => wide(values.second, 2, values.second < 0),
        Key::Fraction(digits) => fraction(digits),
        Key::Milliseconds => fraction(3),
        Key::Microseconds => fraction(6),
        Key::SecondsOfDay => (values.hour * 3600 + values.minute * 60 + values.second).to_string(),
        Key::MonthNumber => wide(values.month, 2, values.month < 0),
        Key::DayOfYear => wide(values.day_of_year, 3, false),
        Key::IsoDayOfYear => {
            let (_, week) = iso_year_and_week(values.days);
            wide((week - 1) * 7 + iso_weekday(values.days), 3, false)
        }
        Key::DayOfMonth => wide(values.day, 2, false),
        Key::DayOfWeek => {
            calendar_only(values)?;
            (weekday(values.days) + 1).to_string()
        }
        Key::IsoDayOfWeek => {
            calendar_only(values)?;
            iso_weekday(values.days).to_string()
        }
        Key::Week => wide((values.day_of_year - 1) / 7 + 1, 2, false),
        Key::IsoWeek => wide(iso_year_and_week(values.days).1, 2, false),
        Key::Quarter if values.month == 0 => return Ok(None),
        Key::Quarter => ((values.month - 1) / 3 + 1).to_string(),
        Key::Century => {
            let century = values.century();
            if century.abs() <= 99 { wide(century, 2, century < 0) } else { century.to_string() }
        }
        Key::YearComma => {
            let year = values.counted(values.year);
            format!("{},{:03}", year / 1000, year % 1000)
        }
        Key::Year(digits) => year(values.year, digits),
        Key::IsoYear(digits) => year(values.iso_year(), digits),
        Key::WeekOfMonth => ((values.day - 1) / 7 + 1).to_string(),
        Key::Julian => (values.days + EPOCH_JULIAN).to_string(),
        _ => return Ok(None),
    }))
}

fn calendar_only(values: &Values) -> SqlResult<()> {
    if values.is_interval {
        return Err(SqlError::new(
            SqlState::InvalidDatetimeFormat,
            "invalid format specification for an interval value",
        )
        .hint("Intervals are not tied to specific calendar dates."));
    }
    Ok(())
}

/// The patterns that are words or offsets.
fn word(values: &Values, key: Key, case: Case, suffix: Suffix) -> SqlResult<String> {
    let name = |name: &'static str, width: usize| {
        let name = cased(name, case);
        let width = if suffix.fill || suffix.translated { 0 } else { width };
        format!("{name:<width$}")
    };
    let offset = values.east_seconds.abs();
    let sign = if values.east_seconds >= 0 { '+' } else { '-' };
    let is_calendar_only =
        !matches!(key, Key::Meridian { .. } | Key::Roman | Key::Quarter | Key::Exact);
    if is_calendar_only {
        calendar_only(values)?;
    }
    let month = || usize::try_from(values.month - 1).unwrap_or(0).min(11);
    let day = weekday(values.days) as usize;
    Ok(match key {
        Key::Meridian { periods } => {
            let is_pm = values.hour % 24 >= 12;
            let text = match (is_pm, periods) {
                (true, true) => "P.M.",
                (true, false) => "PM",
                (false, true) => "A.M.",
                (false, false) => "AM",
            };
            cased(text, case).into_owned()
        }
        Key::Era { periods } => {
            let text = match (values.year <= 0, periods) {
                (true, true) => "B.C.",
                (true, false) => "BC",
                (false, true) => "A.D.",
                (false, false) => "AD",
            };
            cased(text, case).into_owned()
        }
        Key::Month => name(MONTHS[month()], 9),
        Key::MonthShort => name(&MONTHS[month()][..3], 0),
        Key::Day => name(WEEKDAYS[day], 9),
        Key::DayShort => name(&WEEKDAYS[day][..3], 0),
        Key::Zone if case == Case::Lower => values.zone.to_ascii_lowercase(),
        Key::Zone => values.zone.clone(),
        Key::ZoneHour => format!("{sign}{:02}", offset / 3600),
        Key::ZoneMinute => format!("{:02}", offset % 3600 / 60),
        Key::Offset => {
            let width = if suffix.fill { 0 } else { 2 };
            let mut text = format!("{sign}{:0width$}", offset / 3600);
            if offset % 3600 != 0 {
                text += &format!(":{:02}", offset % 3600 / 60);
            }
            text
        }
        Key::Roman => match roman(values) {
            // TM does not concern numerals.
            Some(numeral) => {
                let width = if suffix.fill { 0 } else { 4 };
                format!("{:<width$}", cased(numeral, case))
            }
            None => String::new(),
        },
        _ => String::new(),
    })
}

/// The month in Roman numerals; of an interval, whole years count as December, and negative months
/// from the end of the year.
fn roman(values: &Values) -> Option<&'static str> {
    let month = match values.month {
        0 if values.year == 0 => return None,
        0 if values.year > 0 => 12,
        0 => 1,
        month if month < 0 => 13 + month,
        month => month,
    };
    ROMAN.get(usize::try_from(month - 1).ok()?).copied()
}
