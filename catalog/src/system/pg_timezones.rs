//! `pg_timezone_names` and `pg_timezone_abbrevs`: the zones and abbreviations that are understood,
//! with what they mean now.

use aegis_types::interval::Interval;
use aegis_types::timezone::TimeZone;
use aegis_types::timezone::abbreviations::{ABBREVIATIONS, Abbreviation};
use aegis_types::{Datum, clock};

use super::SystemContext;

fn offset(east_seconds: i32) -> Datum {
    let microseconds = i64::from(east_seconds) * 1_000_000;
    Datum::Interval(Interval { months: 0, days: 0, microseconds })
}

pub(super) fn names(_: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let now = clock::now();
    aegis_types::timezone::names()
        .filter_map(|name| {
            let zone = TimeZone::named(&name)?;
            let abbreviation = zone.abbreviation_at(now).into_owned();
            Some(row![name, abbreviation, offset(zone.offset_at(now)), zone.is_daylight_at(now)])
        })
        .collect()
}

pub(super) fn abbreviations(_: &SystemContext<'_>) -> Vec<Vec<Datum>> {
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
            Some(row![word.to_ascii_uppercase(), offset(east_seconds), is_daylight])
        })
        .collect()
}
