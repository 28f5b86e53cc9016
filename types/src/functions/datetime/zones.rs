//! `pg_timezone_names()` and `pg_timezone_abbrevs()`: the zones and abbreviations that are understood,
//! with what they mean now.

use crate::clock;
use crate::datum::Datum;
use crate::functions::SetTable;
use crate::interval::Interval;
use crate::timezone::abbreviations::{ABBREVIATIONS, Abbreviation};
use crate::timezone::{self, TimeZone};

pub(super) static TABLE: SetTable = &[
    ("pg_timezone_names", |_, _| Ok(Box::new(records(zone_rows())))),
    ("pg_timezone_abbrevs", |_, _| Ok(Box::new(records(abbreviation_rows())))),
];

fn records(rows: Vec<Vec<Datum>>) -> impl Iterator<Item = crate::error::SqlResult<Datum>> {
    rows.into_iter().map(|row| Ok(Datum::record(row)))
}

fn offset(east_seconds: i32) -> Datum {
    let microseconds = i64::from(east_seconds) * 1_000_000;
    Datum::Interval(Interval { months: 0, days: 0, microseconds })
}

/// The rows of `pg_timezone_names`: name, abbreviation, offset, whether it is daylight saving time.
#[must_use]
pub fn zone_rows() -> Vec<Vec<Datum>> {
    let now = clock::now();
    timezone::names()
        .filter_map(|name| {
            let zone = TimeZone::named(&name)?;
            let abbreviation = Datum::text(zone.abbreviation_at(now).into_owned());
            let is_daylight = Datum::Bool(zone.is_daylight_at(now));
            Some(vec![Datum::text(name), abbreviation, offset(zone.offset_at(now)), is_daylight])
        })
        .collect()
}

/// The rows of `pg_timezone_abbrevs`: abbreviation, offset, whether it is daylight saving time.
#[must_use]
pub fn abbreviation_rows() -> Vec<Vec<Datum>> {
    let now = clock::now();
    ABBREVIATIONS
        .iter()
        .filter_map(|(word, meaning)| {
            let (east_seconds, is_daylight) = match meaning {
                Abbreviation::Standard(east_seconds) => (*east_seconds, false),
                Abbreviation::Daylight(east_seconds) => (*east_seconds, true),
                Abbreviation::Zone(name) => {
                    let zone = TimeZone::named(name)?;
                    let meant = zone.offset_of_abbreviation_at(&word.to_ascii_uppercase(), now);
                    // What is not in force now is the other half of the year.
                    let in_force = meant == zone.offset_at(now);
                    (meant, in_force == zone.is_daylight_at(now) && zone.fixed_offset().is_none())
                }
            };
            let word = Datum::text(word.to_ascii_uppercase());
            Some(vec![word, offset(east_seconds), Datum::Bool(is_daylight)])
        })
        .collect()
}
