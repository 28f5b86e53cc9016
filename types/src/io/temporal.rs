//! The binary forms of dates and times on input: integers, checked to be within the types' ranges.

use super::Reader;
use crate::datetime::calendar::{self, DAY};
use crate::datetime::{is_infinite, is_infinite_date, round_time, round_timestamp};
use crate::datum::Datum;
use crate::error::{SqlError, SqlResult};
use crate::interval::{Interval, apply_typmod};
use crate::oid::TypeRef;
use crate::sqlstate::SqlState;
use crate::type_oid as t;

/// The farthest offsets of `timetz`, exclusive: 16 hours less a second are the last.
const ZONE_SECONDS_LIMIT: i32 = 16 * 3600;

fn out_of_range(what: &str) -> SqlError {
    SqlError::new(SqlState::DatetimeFieldOverflow, format!("{what} out of range"))
}

/// Reads a value of the type off the message.
///
/// # Errors
/// 08P01, 22008, 22009.
pub(super) fn receive(type_ref: TypeRef, reader: &mut Reader<'_>) -> SqlResult<Datum> {
    let typmod = type_ref.typmod;
    Ok(match type_ref.oid {
        t::DATE => {
            let days = reader.int4()?;
            if !is_infinite_date(days) && !calendar::is_date(i64::from(days)) {
                return Err(out_of_range("date"));
            }
            Datum::Date(days)
        }
        t::TIME => Datum::Time(round_time(time(reader)?, typmod)),
        t::TIMETZ => {
            let time = time(reader)?;
            let zone = reader.int4()?;
            if zone <= -ZONE_SECONDS_LIMIT || zone >= ZONE_SECONDS_LIMIT {
                return Err(SqlError::new(
                    SqlState::InvalidTimeZoneDisplacementValue,
                    "time zone displacement out of range",
                ));
            }
            Datum::Timetz(round_time(time, typmod), zone)
        }
        t::TIMESTAMP => Datum::Timestamp(timestamp(reader, typmod)?),
        t::TIMESTAMPTZ => Datum::Timestamptz(timestamp(reader, typmod)?),
        _ => {
            let microseconds = reader.int8()?;
            let days = reader.int4()?;
            let months = reader.int4()?;
            Datum::Interval(apply_typmod(Interval { months, days, microseconds }, typmod)?)
        }
    })
}

fn time(reader: &mut Reader<'_>) -> SqlResult<i64> {
    let time = reader.int8()?;
    if (0..=DAY).contains(&time) { Ok(time) } else { Err(out_of_range("time")) }
}

fn timestamp(reader: &mut Reader<'_>, typmod: i32) -> SqlResult<i64> {
    let value = reader.int8()?;
    if !is_infinite(value) && !calendar::is_timestamp(value) {
        return Err(out_of_range("timestamp"));
    }
    round_timestamp(value, typmod)
}
