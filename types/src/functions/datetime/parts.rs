//! `extract`, `date_part`, `date_trunc` and `date_bin`.

use super::{timetz, zone_clock};
use crate::datetime::arithmetic::{Clock, date_to_timestamp};
use crate::datetime::parts::{self, Part};
use crate::datum::Datum;
use crate::error::SqlResult;
use crate::functions::ScalarTable;

fn numeric(part: SqlResult<Part>) -> SqlResult<Datum> {
    Ok(part?.numeric()?.map_or(Datum::Null, Datum::Numeric))
}

fn float(part: SqlResult<Part>) -> SqlResult<Datum> {
    Ok(part?.float().map_or(Datum::Null, Datum::Float8))
}

fn of_timetz(a: &[Datum]) -> SqlResult<Part> {
    let (time, west) = timetz(&a[1]);
    parts::of_time(a[0].as_text(), time, Some(west))
}

pub(super) static TABLE: ScalarTable = &[
    ("extract_date", |_, a| numeric(parts::of_date(a[0].as_text(), a[1].as_date()))),
    ("extract_time", |_, a| numeric(parts::of_time(a[0].as_text(), a[1].as_time(), None))),
    ("extract_timetz", |_, a| numeric(of_timetz(a))),
    ("extract_timestamp", |_, a| {
        numeric(parts::of_timestamp(a[0].as_text(), a[1].as_timestamp(), Clock::Plain))
    }),
    ("extract_timestamptz", |c, a| {
        numeric(parts::of_timestamp(a[0].as_text(), a[1].as_timestamptz(), zone_clock(c)))
    }),
    ("extract_interval", |_, a| numeric(parts::of_interval(a[0].as_text(), &a[1].as_interval()))),
    ("date_part(text,date)", |_, a| {
        let timestamp = date_to_timestamp(a[1].as_date(), Clock::Plain)?;
        float(parts::of_timestamp(a[0].as_text(), timestamp, Clock::Plain))
    }),
    ("time_part", |_, a| float(parts::of_time(a[0].as_text(), a[1].as_time(), None))),
    ("timetz_part", |_, a| float(of_timetz(a))),
    ("timestamp_part", |_, a| {
        float(parts::of_timestamp(a[0].as_text(), a[1].as_timestamp(), Clock::Plain))
    }),
    ("timestamptz_part", |c, a| {
        float(parts::of_timestamp(a[0].as_text(), a[1].as_timestamptz(), zone_clock(c)))
    }),
    ("interval_part", |_, a| float(parts::of_interval(a[0].as_text(), &a[1].as_interval()))),
    ("timestamp_trunc", |_, a| {
        parts::trunc(a[0].as_text(), a[1].as_timestamp(), Clock::Plain).map(Datum::Timestamp)
    }),
    ("timestamptz_trunc", |c, a| {
        parts::trunc(a[0].as_text(), a[1].as_timestamptz(), zone_clock(c)).map(Datum::Timestamptz)
    }),
    ("timestamptz_trunc_zone", |_, a| {
        let timestamp = a[1].as_timestamptz();
        if crate::datetime::is_infinite(timestamp) {
            return Ok(Datum::Timestamptz(timestamp));
        }
        let zone = super::zone::lookup(a[2].as_text())?;
        parts::trunc(a[0].as_text(), timestamp, Clock::In(&zone)).map(Datum::Timestamptz)
    }),
    ("interval_trunc", |_, a| {
        parts::trunc_interval(a[0].as_text(), &a[1].as_interval()).map(Datum::Interval)
    }),
    ("timestamp_bin", |_, a| {
        parts::bin(&a[0].as_interval(), a[1].as_timestamp(), a[2].as_timestamp())
            .map(Datum::Timestamp)
    }),
    ("timestamptz_bin", |_, a| {
        parts::bin(&a[0].as_interval(), a[1].as_timestamptz(), a[2].as_timestamptz())
            .map(Datum::Timestamptz)
    }),
];
