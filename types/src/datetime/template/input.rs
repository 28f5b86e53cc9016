//! `to_date` and `to_timestamp`: a text matched against a template, then made a moment.
//!
//! As lenient as PostgreSQL: characters between fields need not be those of the template.

use super::{Key, MONTHS, Node, ROMAN, Suffix, WEEKDAYS, parse, parse_standard};
use crate::context::EvalContext;
use crate::datetime::calendar::{self, EPOCH_JULIAN, Moment, SECOND, days_from_civil, is_leap};
use crate::datetime::decode::Fault;
use crate::datetime::fields::is_space;
use crate::datetime::parts::iso_weekday;
use crate::datetime::{checked_date, round_timestamp, timestamp_out_of_range};
use crate::error::{SqlError, SqlResult};
use crate::sqlstate::SqlState;

/// `to_timestamp(text, text)`
///
/// # Errors
/// 22007, 22008, 0A000.
pub fn to_timestamp(text: &str, template: &str, context: &EvalContext<'_>) -> SqlResult<i64> {
    let found = Found::read(text, template)?;
    let moment = found.moment(text)?;
    let west = match found.west(text)? {
        Some(west) => west,
        None if moment.is_julian() => -context.settings.time_zone.offset_of_local(moment.local()),
        None => 0,
    };
    let timestamp = moment.timestamp(west).ok_or_else(timestamp_out_of_range)?;
    round_timestamp(timestamp, if found.precision == 0 { -1 } else { found.precision })
}

/// `to_date(text, text)`
///
/// # Errors
/// 22007, 22008, 0A000.
pub fn to_date(text: &str, template: &str) -> SqlResult<i32> {
    let found = Found::read(text, template)?;
    let moment = found.moment(text)?;
    found.west(text)?;
    checked_date(&moment).ok_or_else(|| {
        SqlError::new(SqlState::DatetimeFieldOverflow, format!("date out of range: \"{text}\""))
    })
}

/// What a text is that was read by a template of the SQL standard's.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Read {
    Date(i32),
    Time(i64),
    /// With seconds west of UTC.
    Timetz(i64, i32),
    Timestamp(i64),
    /// With seconds west of UTC.
    Timestamptz(i64, i32),
}

/// Reads a text by a template as the SQL standard has it: separators must be those of the template,
/// which says what type the value is of.
///
/// # Errors
/// 22007, 22008, 0A000.
pub(crate) fn read(text: &str, template: &str) -> SqlResult<Read> {
    let nodes = parse_standard(template)?;
    let (mut dated, mut timed, mut zoned) = (false, false, false);
    for node in &nodes {
        let Node::Pattern { key, .. } = node else { continue };
        match key {
            Key::Exact => {}
            Key::Meridian { .. }
            | Key::Hour12
            | Key::Hour24
            | Key::Minute
            | Key::Second
            | Key::Milliseconds
            | Key::Microseconds
            | Key::Fraction(_)
            | Key::SecondsOfDay => timed = true,
            Key::Zone | Key::ZoneHour | Key::ZoneMinute | Key::Offset => zoned = true,
            _ => dated = true,
        }
    }
    let found = Found::read_standard(text, &nodes)?;
    let moment = found.moment(text)?;
    let west = found.west(text)?;
    let precision = if found.precision == 0 { -1 } else { found.precision };
    let missing = |of: &str| invalid(format!("missing time zone in input string for type {of}"));
    match (dated, timed, zoned) {
        (true, true, zoned) => {
            let west = match (zoned, west) {
                (true, None) => return Err(missing("timestamptz")),
                (true, Some(west)) => west,
                (false, _) => 0,
            };
            let timestamp = moment.timestamp(west).ok_or_else(timestamp_out_of_range)?;
            let timestamp = round_timestamp(timestamp, precision)?;
            Ok(if zoned { Read::Timestamptz(timestamp, west) } else { Read::Timestamp(timestamp) })
        }
        (true, false, true) => Err(invalid("datetime format is zoned but not timed".to_owned())),
        (true, false, false) => checked_date(&moment).map(Read::Date).ok_or_else(|| {
            SqlError::new(SqlState::DatetimeFieldOverflow, format!("date out of range: \"{text}\""))
        }),
        (false, true, zoned) => {
            let time = crate::datetime::round_time(moment.time(), precision);
            match (zoned, west) {
                (true, None) => Err(missing("timetz")),
                (true, Some(west)) => Ok(Read::Timetz(time, west)),
                (false, _) => Ok(Read::Time(time)),
            }
        }
        (false, false, _) => Err(invalid("datetime format is not dated and not timed".to_owned())),
    }
}

/// Which calendar the patterns of a date belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Convention {
    Gregorian,
    IsoWeek,
}

/// The fields found in a text; 0 is none.
#[derive(Debug, Default)]
struct Found {
    convention: Option<Convention>,
    is_12_hour: bool,
    hour: i32,
    pm: i32,
    minute: i32,
    second: i32,
    seconds_of_day: i32,
    /// 1 is Sunday.
    weekday: i32,
    day: i32,
    day_of_year: i32,
    month: i32,
    milliseconds: i32,
    microseconds: i32,
    year: i32,
    year_digits: u8,
    bc: i32,
    week: i32,
    week_of_month: i32,
    century: i32,
    julian: i32,
    zone_sign: i32,
    zone_hour: i32,
    zone_minute: i32,
    /// Of `FF1` to `FF6`.
    precision: i32,
}

fn invalid(message: String) -> SqlError {
    SqlError::new(SqlState::InvalidDatetimeFormat, message)
}

/// Sets a field, which may have been set to the same value only.
fn set(field: &mut i32, value: i32, name: &str) -> SqlResult<()> {
    if *field != 0 && *field != value {
        return Err(invalid(format!(
            "conflicting values for \"{name}\" field in formatting string"
        ))
        .detail("This value contradicts a previous setting for the same field type."));
    }
    *field = value;
    Ok(())
}

/// A pattern at its place, as reading needs it.
struct Pattern<'a> {
    key: Key,
    name: &'a str,
    suffix: Suffix,
    /// Whether what comes next cannot be a digit, so that a number may be of any length.
    is_open: bool,
}

impl Key {
    /// Whether the pattern may begin with a digit.
    const fn is_digit(self) -> bool {
        !matches!(
            self,
            Self::Era { .. }
                | Self::Meridian { .. }
                | Self::Day
                | Self::DayShort
                | Self::Exact
                | Self::Month
                | Self::MonthShort
                | Self::Offset
                | Self::Roman
                | Self::ZoneHour
                | Self::Zone
        )
    }

    const fn convention(self) -> Option<Convention> {
        match self {
            Self::DayOfYear
            | Self::DayOfMonth
            | Self::DayOfWeek
            | Self::MonthNumber
            | Self::Month
            | Self::MonthShort
            | Self::Roman
            | Self::Week
            | Self::WeekOfMonth
            | Self::Year(_)
            | Self::YearComma => Some(Convention::Gregorian),
            Self::IsoDayOfWeek | Self::IsoDayOfYear | Self::IsoWeek | Self::IsoYear(_) => {
                Some(Convention::IsoWeek)
            }
            _ => None,
        }
    }
}

/// The text and how far it is read.
struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// How many more characters have been skipped than the template says.
    extra_skip: i32,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_character(&mut self) {
        self.at += self.rest().chars().next().map_or(0, char::len_utf8);
    }

    fn skip_spaces(&mut self) {
        while self.peek().is_some_and(is_space) {
            self.at += 1;
            self.extra_skip += 1;
        }
    }

    /// An integer of `length` characters, or of any where the pattern is open: its value, and how
    /// many characters were read.
    fn integer(&mut self, pattern: &Pattern<'_>, length: usize) -> SqlResult<(i32, usize)> {
        let begin = self.at;
        let rest = self.rest().trim_start_matches(|c| u8::try_from(c).is_ok_and(is_space));
        let skipped = self.rest().len() - rest.len();
        let mut end = rest.len().min(length);
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        let piece = &rest[..end];
        let name = pattern.name;
        let value = if pattern.suffix.fill || pattern.is_open {
            let (value, used) = number(rest);
            if used > 0 {
                self.at += skipped + used;
            }
            value
        } else {
            const HINT: &str =
                "If your source string is not fixed-width, try using the \"FM\" modifier.";
            if rest.len() < length {
                return Err(invalid(format!(
                    "source string too short for \"{name}\" formatting field"
                ))
                .detail(format!(
                    "Field requires {length} characters, but only {} remain.",
                    rest.len()
                ))
                .hint(HINT));
            }
            let (value, used) = number(piece);
            if used > 0 && used < length {
                return Err(invalid(format!("invalid value \"{piece}\" for \"{name}\""))
                    .detail(format!(
                        "Field requires {length} characters, but only {used} could be parsed."
                    ))
                    .hint(HINT));
            }
            self.at += skipped + used;
            value
        };
        if self.at == begin {
            return Err(invalid(format!("invalid value \"{piece}\" for \"{name}\""))
                .detail("Value must be an integer."));
        }
        let value = value.ok_or_else(|| {
            SqlError::new(
                SqlState::DatetimeFieldOverflow,
                format!("value for \"{name}\" in source string is out of range"),
            )
            .detail("Value must be in the range -2147483648 to 2147483647.")
        })?;
        Ok((value, self.at - begin))
    }

    /// The index of the first of some words that the text continues with, in any case.
    fn word(&mut self, words: &[&str], pattern: &Pattern<'_>) -> SqlResult<i32> {
        let rest = self.rest();
        let starts = |word: &str| {
            rest.as_bytes()
                .get(..word.len())
                .is_some_and(|head| head.eq_ignore_ascii_case(word.as_bytes()))
        };
        let Some(index) = words.iter().position(|word| starts(word)) else {
            let end = rest.find(|c| u8::try_from(c).is_ok_and(is_space)).unwrap_or(rest.len());
            return Err(invalid(format!(
                "invalid value \"{}\" for \"{}\"",
                &rest[..end],
                pattern.name
            ))
            .detail("The given value did not match any of the allowed values for this field."));
        };
        self.at += words[index].len();
        Ok(i32::try_from(index).unwrap_or(0))
    }
}

/// The integer that a text begins with (`None` beyond `i32`), and its length.
fn number(text: &str) -> (Option<i32>, usize) {
    let (value, rest) = crate::datetime::decode::integer(text);
    (value, text.len() - rest.len())
}

/// Years of less than four digits are those nearest to 2020.
const fn nearest_to_2020(year: i32) -> i32 {
    match year {
        ..70 => year + 2000,
        70..100 => year + 1900,
        100..520 => year + 2000,
        520..1000 => year + 1000,
        _ => year,
    }
}

impl Found {
    fn read(text: &str, template: &str) -> SqlResult<Self> {
        let mut found = Self::default();
        let nodes = parse(template);
        let mut reader = Reader { text, at: 0, extra_skip: 0 };
        let mut exact = false;
        for (at, node) in nodes.iter().enumerate() {
            if reader.peek().is_none() {
                break;
            }
            let is_exact_mark = matches!(node, Node::Pattern { key: Key::Exact, .. });
            let is_pattern = matches!(node, Node::Pattern { .. });
            if !exact && !is_exact_mark && (is_pattern || at == 0) {
                reader.skip_spaces();
            }
            match node {
                Node::Space(_) | Node::Separator(_) if exact => reader.skip_character(),
                Node::Space(_) | Node::Separator(_) => {
                    reader.extra_skip -= 1;
                    if reader.peek().is_some_and(|b| is_space(b) || b.is_ascii_punctuation()) {
                        reader.at += 1;
                        reader.extra_skip += 1;
                    }
                }
                Node::Literal(_) if !exact && reader.extra_skip > 0 => reader.extra_skip -= 1,
                Node::Literal(_) => reader.skip_character(),
                Node::Pattern { key: Key::Exact, .. } => exact = true,
                Node::Pattern { key, text: name, suffix, .. } => {
                    let is_open = suffix.ordinal.is_some() || is_open(nodes.get(at + 1));
                    let pattern = Pattern { key: *key, name, suffix: *suffix, is_open };
                    found.field(&mut reader, &pattern)?;
                    if !exact {
                        reader.extra_skip = 0;
                        reader.skip_spaces();
                    }
                }
            }
        }
        Ok(found)
    }

    /// Likewise by the SQL standard: nothing may be left of the text or of the template.
    fn read_standard(text: &str, nodes: &[Node<'_>]) -> SqlResult<Self> {
        let mut found = Self::default();
        if nodes.is_empty() {
            return Ok(found);
        }
        let mut reader = Reader { text, at: 0, extra_skip: 0 };
        for (at, node) in nodes.iter().enumerate() {
            let Some(next) = reader.rest().chars().next() else {
                let short = "input string is too short for datetime format";
                return Err(invalid(short.to_owned()));
            };
            match node {
                Node::Space(mark) | Node::Separator(mark) if next == *mark => {
                    reader.skip_character();
                }
                Node::Space(mark) | Node::Separator(mark) => {
                    return Err(invalid(format!("unmatched format separator \"{mark}\"")));
                }
                Node::Literal(mark) if next == *mark => reader.skip_character(),
                Node::Literal(mark) => {
                    return Err(invalid(format!("unmatched format character \"{mark}\"")));
                }
                Node::Pattern { key: Key::Exact, .. } => {}
                Node::Pattern { key, text: name, suffix, .. } => {
                    let is_open = suffix.ordinal.is_some() || is_open(nodes.get(at + 1));
                    let pattern = Pattern { key: *key, name, suffix: *suffix, is_open };
                    found.field(&mut reader, &pattern)?;
                }
            }
        }
        let rest = reader.rest();
        if !rest.trim_start_matches(|c| u8::try_from(c).is_ok_and(is_space)).is_empty() {
            let more = "trailing characters remain in input string after datetime format";
            return Err(invalid(more.to_owned()));
        }
        Ok(found)
    }

    fn field(&mut self, reader: &mut Reader<'_>, pattern: &Pattern<'_>) -> SqlResult<()> {
        let key = pattern.key;
        if let Some(convention) = key.convention()
            && *self.convention.get_or_insert(convention) != convention
        {
            return Err(invalid("invalid combination of date conventions".to_owned()).hint(
                "Do not mix Gregorian and ISO week date conventions in a formatting template.",
            ));
        }
        if self.word(reader, pattern)? {
            return Ok(());
        }
        let name = pattern.name;
        let length = match key {
            Key::Hour12 | Key::Hour24 | Key::ZoneHour | Key::ZoneMinute => 2,
            Key::Milliseconds | Key::IsoDayOfYear => 3,
            Key::Microseconds => 6,
            Key::Fraction(digits) => digits.into(),
            Key::IsoDayOfWeek => 1,
            Key::YearComma => {
                let year = year_with_comma(reader)?;
                set(&mut self.year, year, name)?;
                self.year_digits = 4;
                skip_ordinal(reader, pattern);
                return Ok(());
            }
            _ => name.len(),
        };
        if key == Key::ZoneHour {
            self.zone_sign(reader);
        }
        let (value, used) = reader.integer(pattern, length)?;
        let scale = |digits: u32| 10_i32.pow(digits.saturating_sub(used as u32));
        match key {
            Key::Hour12 => {
                set(&mut self.hour, value, name)?;
                self.is_12_hour = true;
            }
            Key::Hour24 => set(&mut self.hour, value, name)?,
            Key::Minute => set(&mut self.minute, value, name)?,
            Key::Second => set(&mut self.second, value, name)?,
            Key::SecondsOfDay => set(&mut self.seconds_of_day, value, name)?,
            Key::Milliseconds => {
                set(&mut self.milliseconds, value, name)?;
                self.milliseconds = self.milliseconds.saturating_mul(scale(3));
            }
            Key::Microseconds | Key::Fraction(_) => {
                if let Key::Fraction(digits) = key {
                    self.precision = digits.into();
                }
                set(&mut self.microseconds, value, name)?;
                self.microseconds = self.microseconds.saturating_mul(scale(6));
            }
            Key::ZoneHour => set(&mut self.zone_hour, value, name)?,
            Key::ZoneMinute => {
                if self.zone_sign == 0 {
                    self.zone_sign = 1;
                }
                set(&mut self.zone_minute, value, name)?;
            }
            Key::MonthNumber => set(&mut self.month, value, name)?,
            Key::DayOfYear | Key::IsoDayOfYear => set(&mut self.day_of_year, value, name)?,
            Key::DayOfMonth => set(&mut self.day, value, name)?,
            Key::DayOfWeek => set(&mut self.weekday, value, name)?,
            Key::IsoDayOfWeek => {
                set(&mut self.weekday, value, name)?;
                self.weekday = if value >= 7 { 1 } else { value + 1 };
            }
            Key::Week | Key::IsoWeek => set(&mut self.week, value, name)?,
            Key::WeekOfMonth => set(&mut self.week_of_month, value, name)?,
            Key::Century => set(&mut self.century, value, name)?,
            Key::Year(digits) | Key::IsoYear(digits) => {
                set(&mut self.year, value, name)?;
                if digits < 4 && used < 4 {
                    self.year = nearest_to_2020(self.year);
                }
                self.year_digits = digits;
            }
            Key::Julian => set(&mut self.julian, value, name)?,
            // A quarter alone says no date; PostgreSQL reads and forgets it.
            _ => {}
        }
        if !matches!(key, Key::ZoneHour | Key::ZoneMinute) {
            skip_ordinal(reader, pattern);
        }
        Ok(())
    }

    /// The patterns that are words; whether this is one.
    fn word(&mut self, reader: &mut Reader<'_>, pattern: &Pattern<'_>) -> SqlResult<bool> {
        let name = pattern.name;
        match pattern.key {
            Key::Meridian { periods } => {
                let words = if periods { ["a.m.", "p.m."] } else { ["am", "pm"] };
                let value = reader.word(&words, pattern)?;
                set(&mut self.pm, value, name)?;
                self.is_12_hour = true;
            }
            Key::Era { periods } => {
                let words = if periods { ["a.d.", "b.c."] } else { ["ad", "bc"] };
                let value = reader.word(&words, pattern)?;
                set(&mut self.bc, value, name)?;
            }
            Key::Month => {
                let value = reader.word(&MONTHS, pattern)?;
                set(&mut self.month, value + 1, name)?;
            }
            Key::MonthShort => {
                let value = reader.word(&MONTHS.map(|month| &month[..3]), pattern)?;
                set(&mut self.month, value + 1, name)?;
            }
            Key::Day | Key::DayShort => {
                let value = if pattern.key == Key::Day {
                    reader.word(&WEEKDAYS, pattern)?
                } else {
                    reader.word(&WEEKDAYS.map(|day| &day[..3]), pattern)?
                };
                set(&mut self.weekday, value, name)?;
                self.weekday += 1;
            }
            Key::Roman => {
                // Longer numerals first.
                let mut numerals = ROMAN;
                numerals.reverse();
                let value = reader.word(&numerals, pattern)?;
                set(&mut self.month, 12 - value, name)?;
            }
            Key::Zone | Key::Offset => {
                return Err(SqlError::new(
                    SqlState::FeatureNotSupported,
                    format!("formatting field \"{name}\" is only supported in to_char"),
                ));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The sign before the hours of an offset; a minus may have been skipped as a separator.
    fn zone_sign(&mut self, reader: &mut Reader<'_>) {
        self.zone_sign = match reader.peek() {
            Some(sign @ (b'+' | b'-' | b' ')) => {
                reader.at += 1;
                if sign == b'-' { -1 } else { 1 }
            }
            _ if reader.extra_skip > 0 && reader.text[..reader.at].ends_with('-') => -1,
            _ => 1,
        };
    }

    /// Seconds west of UTC, if the text has an offset.
    fn west(&self, text: &str) -> SqlResult<Option<i32>> {
        if self.zone_sign == 0 {
            return Ok(None);
        }
        if !(0..=15).contains(&self.zone_hour) || !(0..60).contains(&self.zone_minute) {
            return Err(Fault::ZoneOverflow.error("timestamp", text));
        }
        Ok(Some(-self.zone_sign * (self.zone_hour * 3600 + self.zone_minute * 60)))
    }

    /// The astronomical year, if any is given.
    fn astronomical_year(&self) -> Option<i64> {
        let is_bc = self.bc != 0;
        let century = i64::from(self.century) * if is_bc { -1 } else { 1 };
        let year = i64::from(self.year);
        if year != 0 && century != 0 && self.year_digits <= 2 {
            // 21 is 2001 to 2100; -6 is 600 BC to 501 BC.
            Some(match year % 100 {
                0 => century * 100 + i64::from(century < 0),
                year if century >= 0 => year + (century - 1) * 100,
                year => (century + 1) * 100 - year + 1,
            })
        } else if year != 0 {
            let year = if is_bc { -year } else { year };
            Some(if year < 0 { year + 1 } else { year })
        } else if century != 0 {
            Some(if century > 0 { (century - 1) * 100 + 1 } else { century * 100 + 1 })
        } else {
            None
        }
    }

    /// The moment that all fields together say, checked.
    fn moment(&self, text: &str) -> SqlResult<Moment> {
        let overflow = || Fault::FieldOverflow.error("timestamp", text);
        let mut hour = i64::from(self.seconds_of_day / 3600);
        let mut minute = i64::from(self.seconds_of_day / 60 % 60);
        let mut second = i64::from(self.seconds_of_day % 60);
        for (field, given) in
            [(&mut hour, self.hour), (&mut minute, self.minute), (&mut second, self.second)]
        {
            if given != 0 {
                *field = given.into();
            }
        }
        if self.is_12_hour {
            if !(1..=12).contains(&hour) {
                return Err(invalid(format!("hour \"{hour}\" is invalid for the 12-hour clock"))
                    .hint("Use the 24-hour clock, or give an hour between 1 and 12."));
            }
            hour = hour % 12 + if self.pm != 0 { 12 } else { 0 };
        }
        let microsecond = i64::from(self.milliseconds) * 1000 + i64::from(self.microseconds);
        let (year, month, day) = self.date()?;
        let is_time = (0..24).contains(&hour)
            && (0..60).contains(&minute)
            && (0..60).contains(&second)
            && (0..SECOND).contains(&microsecond);
        let narrow = |field: i64| i32::try_from(field).map_err(|_| overflow());
        let moment = Moment {
            year: narrow(year)?,
            month: narrow(month)?,
            day: narrow(day)?,
            hour: narrow(hour)?,
            minute: narrow(minute)?,
            second: narrow(second)?,
            microsecond: narrow(microsecond)?,
        };
        let is_date = (1..=12).contains(&moment.month)
            && (1..=calendar::days_in_month(moment.year, moment.month)).contains(&moment.day);
        if is_date && is_time { Ok(moment) } else { Err(overflow()) }
    }

    /// Year, month and day, unchecked.
    fn date(&self) -> SqlResult<(i64, i64, i64)> {
        let wide = |(year, month, day): (i32, i32, i32)| {
            (i64::from(year), i64::from(month), i64::from(day))
        };
        let is_iso = self.convention == Some(Convention::IsoWeek);
        let (mut year, mut month, mut day) = (self.astronomical_year().unwrap_or(0), 1, 1);
        if self.julian != 0 {
            (year, month, day) =
                wide(calendar::civil_from_days(i64::from(self.julian) - EPOCH_JULIAN));
        }
        let mut day_of_year = i64::from(self.day_of_year);
        if self.week != 0 {
            let weeks = (i64::from(self.week) - 1) * 7;
            if is_iso {
                let into_week = match self.weekday {
                    0 => 0,
                    2.. => i64::from(self.weekday) - 2,
                    _ => 6,
                };
                let days = first_of_iso_year(year) + weeks + into_week;
                (year, month, day) = wide(calendar::civil_from_days(days));
            } else {
                day_of_year = weeks + 1;
            }
        }
        let given_day = match self.week_of_month {
            0 => i64::from(self.day),
            week => (i64::from(week) - 1) * 7 + 1,
        };
        if given_day != 0 {
            day = given_day;
        }
        if self.month != 0 {
            month = self.month.into();
        }
        if day_of_year != 0 && (month <= 1 || day <= 1) {
            if year == 0 && self.bc == 0 {
                return Err(invalid(
                    "cannot calculate day of year without year information".to_owned(),
                ));
            }
            if is_iso {
                let days = first_of_iso_year(year) + day_of_year - 1;
                return Ok(wide(calendar::civil_from_days(days)));
            }
            let length = if i32::try_from(year).is_ok_and(is_leap) { 366 } else { 365 };
            let (found_month, found_day) = if (1..=length).contains(&day_of_year) {
                let days = days_from_civil(year, 1, 1) + day_of_year - 1;
                let (_, month, day) = wide(calendar::civil_from_days(days));
                (month, day)
            } else if day_of_year < 1 {
                (1, day_of_year)
            } else {
                (13, day_of_year - length)
            };
            if month <= 1 {
                month = found_month;
            }
            if day <= 1 {
                day = found_day;
            }
        }
        Ok((year, month, day))
    }
}

/// Whether what follows cannot begin with a digit.
fn is_open(next: Option<&Node<'_>>) -> bool {
    match next {
        Some(Node::Pattern { key, .. }) => !key.is_digit(),
        Some(Node::Literal(character)) => !character.is_ascii_digit(),
        _ => true,
    }
}

/// The Monday that an ISO year begins with.
fn first_of_iso_year(year: i64) -> i64 {
    let fourth = days_from_civil(year, 1, 4);
    fourth - iso_weekday(fourth) + 1
}

/// `TH` stands for two characters, whatever they are.
fn skip_ordinal(reader: &mut Reader<'_>, pattern: &Pattern<'_>) {
    if pattern.suffix.ordinal.is_some() {
        reader.skip_character();
        reader.skip_character();
    }
}

/// `Y,YYY`
fn year_with_comma(reader: &mut Reader<'_>) -> SqlResult<i32> {
    let fail = || invalid("invalid input string for \"Y,YYY\"".to_owned());
    let trim = |text: &str| {
        text.len() - text.trim_start_matches(|c| u8::try_from(c).is_ok_and(is_space)).len()
    };
    let rest = reader.rest();
    let spaces = trim(rest);
    let (thousands, used) = number(&rest[spaces..]);
    let after = &rest[spaces + used..];
    if used == 0 || !after.starts_with(',') {
        return Err(fail());
    }
    let inner = 1 + trim(&after[1..]);
    let mut end = after.len().min(inner + 3);
    while !after.is_char_boundary(end) {
        end -= 1;
    }
    let (years, digits) = number(&after[inner..end]);
    if digits == 0 {
        return Err(fail());
    }
    reader.at += spaces + used + inner + digits;
    let year = i64::from(thousands.ok_or_else(fail)?) * 1000 + i64::from(years.ok_or_else(fail)?);
    i32::try_from(year).map_err(|_| fail())
}
