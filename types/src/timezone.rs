//! Time zones by IANA name, POSIX specification or fixed offset.
//!
//! The rules are those of the bundled IANA database, by way of `jiff`. A zone answers three
//! questions: the offset at an instant, the offset that a local time is meant in, and the
//! abbreviation at an instant. Instants and local times are PostgreSQL's microseconds since
//! 2000-01-01.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::tz::{AmbiguousOffset, Offset};

use crate::clock::POSTGRES_EPOCH_UNIX_SECONDS;
use crate::error::{SqlError, SqlResult};
use crate::sqlstate::SqlState;

pub mod abbreviations;
mod posix;

/// Seconds in the 400 years after which the Gregorian calendar, weekdays included, repeats.
const CYCLE_SECONDS: i64 = 146_097 * 86_400;
/// 9000-01-01 in Unix seconds: beyond it, rules are those of 400 years before.
const FOLD_UNIX_SECONDS: i64 = 221_845_392_000;
/// -9000-01-01 in Unix seconds: before it, rules are those of that day.
const FIRST_UNIX_SECONDS: i64 = -346_180_608_000;

const OUT_OF_RANGE: &str = "UTC timezone offset is out of range.";

/// A time zone as `SET TimeZone` takes it.
#[derive(Clone, Debug)]
pub struct TimeZone {
    name: Arc<str>,
    rules: Rules,
}

#[derive(Clone, Debug)]
enum Rules {
    Fixed {
        east_seconds: i32,
        abbreviation: Arc<str>,
    },
    Database(jiff::tz::TimeZone),
    /// Its own offset is added to that of `zone`, whose standard time is UTC: offsets may be
    /// larger here than the library has them.
    Posix {
        zone: jiff::tz::TimeZone,
        east_seconds: i32,
        names: [Arc<str>; 2],
    },
}

impl PartialEq for TimeZone {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for TimeZone {}

/// The names of all zones of the bundled database, in no order.
pub fn names() -> impl Iterator<Item = String> {
    jiff::tz::db().available().map(|name| name.as_str().to_owned())
}

impl TimeZone {
    /// UTC.
    #[must_use]
    pub fn utc() -> Self {
        Self::fixed("UTC".into(), 0, "UTC".into())
    }

    fn fixed(name: Arc<str>, east_seconds: i32, abbreviation: Arc<str>) -> Self {
        Self { name, rules: Rules::Fixed { east_seconds, abbreviation } }
    }

    /// The zone that `SET TimeZone` makes of `text`: a name of the IANA database in any case, a
    /// number of hours east of UTC, `INTERVAL '…'`, or a POSIX specification.
    ///
    /// # Errors
    /// 22023.
    pub fn parse(text: &str) -> SqlResult<Self> {
        let invalid = || {
            SqlError::new(
                SqlState::InvalidParameterValue,
                format!("invalid value for parameter \"TimeZone\": \"{text}\""),
            )
        };
        if text.get(..8).is_some_and(|word| word.eq_ignore_ascii_case("interval")) {
            let quoted = text[8..].trim_start().strip_prefix('\'').ok_or_else(invalid)?;
            let quoted = quoted.strip_suffix('\'').ok_or_else(invalid)?;
            let interval =
                crate::interval::read(quoted, crate::context::IntervalStyle::Postgres, -1)?;
            return Self::from_interval(&interval).map_err(|detail| invalid().detail(detail));
        }
        if let Some(hours) = number_of_hours(text) {
            let seconds = if hours.is_nan() { i64::MAX } else { (hours * 3600.0) as i64 };
            return Self::from_offset(seconds).ok_or_else(|| invalid().detail(OUT_OF_RANGE));
        }
        Self::named(text).ok_or_else(invalid)
    }

    /// The zone of `SET TIME ZONE INTERVAL '…'`; otherwise the detail of the error.
    fn from_interval(interval: &crate::interval::Interval) -> Result<Self, &'static str> {
        if interval.months != 0 {
            return Err("Cannot specify months in time zone interval.");
        }
        if interval.days != 0 {
            return Err("Cannot specify days in time zone interval.");
        }
        Self::from_offset(interval.microseconds / 1_000_000).ok_or(OUT_OF_RANGE)
    }

    /// A zone at a fixed offset, named as PostgreSQL names it: `<+03>-03`.
    ///
    /// `None` where the offset is a week or more.
    #[must_use]
    pub fn from_offset(east_seconds: i64) -> Option<Self> {
        let seconds = i32::try_from(east_seconds).ok().filter(|s| s.abs() < 168 * 3600)?;
        let size = seconds.unsigned_abs();
        let mut digits = format!("{:02}", size / 3600);
        if size % 3600 != 0 {
            digits += &format!(":{:02}", size / 60 % 60);
            if size % 60 != 0 {
                digits += &format!(":{:02}", size % 60);
            }
        }
        // PostgreSQL's own sign is west; UTC itself counts as east.
        let (sign, opposite) = if seconds < 0 { ('-', '+') } else { ('+', '-') };
        let name = format!("<{sign}{digits}>{opposite}{digits}");
        Some(Self::fixed(name.into(), seconds, format!("{sign}{digits}").into()))
    }

    /// The zone of this name or POSIX specification, in any case, as `AT TIME ZONE` and the text
    /// forms of timestamps take it. In a POSIX specification, positive offsets are west.
    #[must_use]
    pub fn named(text: &str) -> Option<Self> {
        if text.len() > 255 {
            return None;
        }
        if text.eq_ignore_ascii_case("UTC") {
            return Some(Self::utc());
        }
        if text.eq_ignore_ascii_case("GMT") {
            return Some(Self::fixed("GMT".into(), 0, "GMT".into()));
        }
        match jiff::tz::TimeZone::get(text) {
            Ok(zone) if !zone.is_unknown() => {
                let name = zone.iana_name().unwrap_or(text).into();
                Some(Self { name, rules: Rules::Database(zone) })
            }
            _ => posix::parse(&text.to_ascii_uppercase()),
        }
    }

    /// The name that `SHOW TimeZone` gives.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Seconds east of UTC if they never change, `None` if they depend on the date.
    #[must_use]
    pub fn fixed_offset(&self) -> Option<i32> {
        match &self.rules {
            Rules::Fixed { east_seconds, .. } => Some(*east_seconds),
            Rules::Posix { .. } => None,
            Rules::Database(zone) => {
                let now = jiff::Timestamp::UNIX_EPOCH;
                let changes =
                    zone.preceding(now).next().is_some() || zone.following(now).next().is_some();
                (!changes).then(|| zone.to_offset(now).seconds())
            }
        }
    }

    /// Seconds east of UTC at an instant.
    #[must_use]
    pub fn offset_at(&self, instant: i64) -> i32 {
        match &self.rules {
            Rules::Fixed { east_seconds, .. } => *east_seconds,
            Rules::Database(zone) => zone.to_offset(jiff_instant(instant)).seconds(),
            Rules::Posix { zone, east_seconds, .. } => {
                let shifted = shift(instant, *east_seconds);
                zone.to_offset(jiff_instant(shifted)).seconds() + east_seconds
            }
        }
    }

    /// Whether daylight-saving time is in force at an instant.
    #[must_use]
    pub fn is_daylight_at(&self, instant: i64) -> bool {
        match &self.rules {
            Rules::Fixed { .. } => false,
            Rules::Database(zone) => zone.to_offset_info(jiff_instant(instant)).dst().is_dst(),
            Rules::Posix { zone, east_seconds, .. } => {
                zone.to_offset_info(jiff_instant(shift(instant, *east_seconds))).dst().is_dst()
            }
        }
    }

    /// The abbreviation at an instant, such as `CEST`, or `+03` where a zone has none.
    #[must_use]
    pub fn abbreviation_at(&self, instant: i64) -> Cow<'_, str> {
        match &self.rules {
            Rules::Fixed { abbreviation, .. } => Cow::Borrowed(abbreviation),
            Rules::Database(zone) => {
                Cow::Owned(zone.to_offset_info(jiff_instant(instant)).abbreviation().to_owned())
            }
            Rules::Posix { names, .. } => {
                Cow::Borrowed(&names[usize::from(self.is_daylight_at(instant))])
            }
        }
    }

    /// Seconds east of UTC that a local time is meant in.
    ///
    /// Where clocks go forward, a time that does not exist counts by the offset before; where they
    /// go back, one that exists twice counts by the offset after.
    #[must_use]
    pub fn offset_of_local(&self, local: i64) -> i32 {
        let (zone, east_seconds) = match &self.rules {
            Rules::Fixed { east_seconds, .. } => return *east_seconds,
            Rules::Database(zone) => (zone, 0),
            Rules::Posix { zone, east_seconds, .. } => (zone, *east_seconds),
        };
        let civil = Offset::UTC.to_datetime(jiff_instant(local));
        match zone.to_ambiguous_timestamp(civil).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset,
            AmbiguousOffset::Gap { before, .. } => before,
            AmbiguousOffset::Fold { after, .. } => after,
        }
        .seconds()
            + east_seconds
    }

    /// Seconds east of UTC that this zone means by an abbreviation (in any case) at a local time:
    /// by its latest use until then, or else by its first use after.
    #[must_use]
    pub fn offset_of_abbreviation(&self, abbreviation: &str, local: i64) -> i32 {
        let offset = self.offset_of_local(local);
        let instant = local.saturating_sub(i64::from(offset) * 1_000_000);
        self.use_of_abbreviation(abbreviation, instant).unwrap_or(offset)
    }

    /// Likewise at an instant.
    #[must_use]
    pub fn offset_of_abbreviation_at(&self, abbreviation: &str, instant: i64) -> i32 {
        self.use_of_abbreviation(abbreviation, instant).unwrap_or_else(|| self.offset_at(instant))
    }

    fn use_of_abbreviation(&self, abbreviation: &str, instant: i64) -> Option<i32> {
        let Rules::Database(zone) = &self.rules else { return None };
        // What a zone calls its time beyond both bounds only repeats what it did within.
        let at = jiff_instant(instant.min(LAST_RULE_CHANGE));
        let info = zone.to_offset_info(at);
        if info.abbreviation().eq_ignore_ascii_case(abbreviation) {
            return Some(info.offset().seconds());
        }
        let uses = |change: &jiff::tz::TimeZoneTransition<'_>| {
            change.abbreviation().eq_ignore_ascii_case(abbreviation)
        };
        let before = zone.preceding(at).take(1000).find(uses);
        let meant = before.or_else(|| zone.following(at).take(400).find(uses));
        meant.map(|change| change.offset().seconds())
    }
}

/// 2100-01-01: no zone's rules change after it, they only repeat.
const LAST_RULE_CHANGE: i64 = 36_525 * 86_400 * 1_000_000;

fn shift(instant: i64, east_seconds: i32) -> i64 {
    instant.saturating_add(i64::from(east_seconds) * 1_000_000)
}

/// An instant for `jiff`, which knows years up to 9999 only: later ones are brought 400 years
/// back as often as it takes, whereafter every rule says the same.
fn jiff_instant(instant: i64) -> jiff::Timestamp {
    let mut seconds = instant.div_euclid(1_000_000) + POSTGRES_EPOCH_UNIX_SECONDS;
    if seconds > FOLD_UNIX_SECONDS {
        seconds = FOLD_UNIX_SECONDS - CYCLE_SECONDS
            + (seconds - FOLD_UNIX_SECONDS).rem_euclid(CYCLE_SECONDS);
    }
    jiff::Timestamp::from_second(seconds.max(FIRST_UNIX_SECONDS))
        .expect("the seconds were brought between the years -9000 and 9000")
}

/// The number that all of `text` is, as C's `strtod` reads it.
fn number_of_hours(text: &str) -> Option<f64> {
    let text = text.trim_start_matches([' ', '\t', '\n', '\u{b}', '\u{c}', '\r']);
    let (negative, size) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let size = match size.strip_prefix("0x").or_else(|| size.strip_prefix("0X")) {
        Some(digits) => f64::from(u32::from_str_radix(digits, 16).ok()?),
        None if size.starts_with(['+', '-']) => return None,
        None => size.parse().ok()?,
    };
    Some(if negative { -size } else { size })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_case_and_numbers_are_hours_east() {
        let named = |text| TimeZone::parse(text).map(|zone| zone.name().to_owned()).ok();
        for (text, name) in [
            ("utc", Some("UTC")),
            ("europe/paris", Some("Europe/Paris")),
            ("gmt", Some("GMT")),
            ("foo+3", Some("FOO+3")),
            ("+03", Some("<+03>-03")),
            (" 3", Some("<+03>-03")),
            ("-3.55", Some("<-03:33>+03:33")),
            ("1e2", Some("<+100>-100")),
            ("0x10", Some("<+16>-16")),
            ("167.5", Some("<+167:30>-167:30")),
            ("interval '-1:30'", Some("<-01:30>+01:30")),
            ("abc5def", Some("ABC5DEF")),
            ("foo25", Some("FOO25")),
            ("", None),
            ("200", None),
            ("nan", None),
            ("inf", None),
            ("foo", None),
            ("foo168", None),
            ("europe", None),
            ("../etc", None),
            ("interval '1 month'", None),
        ] {
            assert_eq!(named(text).as_deref(), name, "{text}");
        }
    }

    #[test]
    fn rules_hold_beyond_the_years_that_the_library_knows() {
        let zone = TimeZone::parse("Europe/Paris").unwrap();
        let day = 86_400 * 1_000_000;
        for cycle in [0, 1, 20, 100, 700] {
            // 2000-07-01 and 2000-01-01, that many times 400 years later
            assert_eq!(zone.offset_at((182 + cycle * 146_097) * day), 7200);
            assert_eq!(zone.offset_of_local(cycle * 146_097 * day), 3600);
        }
        for extreme in [i64::MIN, i64::MIN + 1, i64::MAX - 1, i64::MAX] {
            assert!(zone.offset_at(extreme).abs() < 86_400);
            assert!(zone.offset_of_local(extreme).abs() < 86_400);
        }
    }

    #[test]
    fn gaps_count_by_the_offset_before_and_folds_by_the_one_after() {
        let zone = TimeZone::parse("America/New_York").unwrap();
        let hour = 3600 * 1_000_000;
        // 2005-04-03 02:30 and 2005-10-30 01:30
        assert_eq!(zone.offset_of_local((1919 * 24) * hour + 5 * hour / 2), -5 * 3600);
        assert_eq!(zone.offset_of_local((2129 * 24) * hour + 3 * hour / 2), -5 * 3600);
    }
}
