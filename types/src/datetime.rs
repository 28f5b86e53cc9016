//! Dates, times of day and timestamps: their text forms both ways, and the calendar under them.
//!
//! ```text
//! text ──fields──► fields ──decode──► Moment ──calendar──► days or microseconds since 2000-01-01
//!      ◄──────────────── encode ────── Moment ◄────────────
//! ```
//!
//! The infinities are the least and greatest integers. Offsets of zones are seconds *west* of UTC
//! where a time carries one, as in PostgreSQL; [`crate::timezone`] itself says east.

use crate::context::{EvalContext, FormatSettings};
use crate::error::{SqlError, SqlResult};
use crate::sqlstate::SqlState;

pub mod calendar;
pub mod keywords;
pub(crate) mod fields;
pub(crate) mod decode;
pub(crate) mod encode;
pub mod arithmetic;
pub mod parts;
pub mod template;

pub use encode::{
    date_out, date_out_iso, time_out, timestamp_out, timestamp_out_iso, timestamptz_out,
    timestamptz_out_iso, timetz_out,
};
pub(crate) use encode::{digits, fraction_digits};

use calendar::{DAY, Moment};
use decode::{Decoded, Fault};

/// The longest text of a date or time that PostgreSQL reads, fields and their ends.
const TEXT_ROOM: usize = 128;

/// `date` from text.
///
/// # Errors
/// 22007, 22008, 22009, 22023.
pub fn date_in(text: &str, context: &EvalContext<'_>) -> SqlResult<i32> {
    let decoded =
        decode_date_time(text, TEXT_ROOM, context).map_err(|fault| fault.error("date", text))?;
    let moment = match decoded {
        Decoded::Late => return Ok(i32::MAX),
        Decoded::Early => return Ok(i32::MIN),
        Decoded::Epoch => return Ok(calendar::UNIX_EPOCH_DATE),
        Decoded::Moment(moment, _) => moment,
    };
    checked_date(&moment).ok_or_else(|| {
        SqlError::new(SqlState::DatetimeFieldOverflow, format!("date out of range: \"{text}\""))
    })
}

pub(crate) fn checked_date(moment: &Moment) -> Option<i32> {
    if !moment.is_julian() {
        return None;
    }
    let days = moment.days();
    i32::try_from(days).ok().filter(|_| calendar::is_date(days))
}

/// `time` from text, rounded to the type modifier's precision.
///
/// # Errors
/// 22007, 22008, 22009, 22023.
pub fn time_in(text: &str, typmod: i32, context: &EvalContext<'_>) -> SqlResult<i64> {
    let (time, _) = decode_time(text, context).map_err(|fault| fault.error("time", text))?;
    Ok(round_time(time, typmod))
}

/// `timetz` from text: microseconds since midnight, and seconds west of UTC.
///
/// # Errors
/// 22007, 22008, 22009, 22023.
pub fn timetz_in(text: &str, typmod: i32, context: &EvalContext<'_>) -> SqlResult<(i64, i32)> {
    let (time, west) =
        decode_time(text, context).map_err(|fault| fault.error("time with time zone", text))?;
    Ok((round_time(time, typmod), west))
}

/// `timestamp` from text. An offset in the text is read and has no effect.
///
/// # Errors
/// 22007, 22008, 22009, 22023.
pub fn timestamp_in(text: &str, typmod: i32, context: &EvalContext<'_>) -> SqlResult<i64> {
    read_timestamp(text, typmod, context, "timestamp", |_| 0)
}

/// `timestamptz` from text, without an offset in the session's zone.
///
/// # Errors
/// 22007, 22008, 22009, 22023.
pub fn timestamptz_in(text: &str, typmod: i32, context: &EvalContext<'_>) -> SqlResult<i64> {
    read_timestamp(text, typmod, context, "timestamp with time zone", |west| west)
}

fn read_timestamp(
    text: &str,
    typmod: i32,
    context: &EvalContext<'_>,
    type_name: &str,
    offset: impl Fn(i32) -> i32,
) -> SqlResult<i64> {
    let decoded = decode_date_time(text, TEXT_ROOM + 24, context)
        .map_err(|fault| fault.error(type_name, text))?;
    let timestamp = match decoded {
        Decoded::Late => return Ok(i64::MAX),
        Decoded::Early => return Ok(i64::MIN),
        Decoded::Epoch => i64::from(calendar::UNIX_EPOCH_DATE) * DAY,
        Decoded::Moment(moment, west) => moment.timestamp(offset(west)).ok_or_else(|| {
            SqlError::new(
                SqlState::DatetimeFieldOverflow,
                format!("timestamp out of range: \"{text}\""),
            )
        })?,
    };
    round_timestamp(timestamp, typmod)
}

fn decode_date_time(text: &str, room: usize, context: &EvalContext<'_>) -> Result<Decoded, Fault> {
    let fields = fields::split(text, room).ok_or(Fault::BadFormat)?;
    decode::date_time(&fields, context)
}

fn decode_time(text: &str, context: &EvalContext<'_>) -> Result<(i64, i32), Fault> {
    let fields = fields::split(text, TEXT_ROOM).ok_or(Fault::BadFormat)?;
    let (moment, west) = decode::time(&fields, context)?;
    Ok((moment.time(), west))
}

/// Microseconds in one unit of the last digit of this precision.
const SCALES: [i64; 7] = [1_000_000, 100_000, 10_000, 1000, 100, 10, 1];

/// A count of microseconds rounded half away from zero to a precision of 0 to 6.
pub(crate) fn round_microseconds(microseconds: i64, precision: usize) -> Option<i64> {
    let scale = SCALES[precision];
    let half = scale / 2;
    let moved = if microseconds < 0 {
        microseconds.checked_sub(half)
    } else {
        microseconds.checked_add(half)
    };
    Some(moved? / scale * scale)
}

/// A time of day rounded to a type modifier's precision.
#[must_use]
pub fn round_time(time: i64, typmod: i32) -> i64 {
    match usize::try_from(typmod) {
        Ok(precision @ 0..=6) => round_microseconds(time, precision).unwrap_or(time),
        _ => time,
    }
}

/// A timestamp, with or without zone, rounded to a type modifier's precision.
///
/// # Errors
/// 22023 if the precision is none.
pub fn round_timestamp(timestamp: i64, typmod: i32) -> SqlResult<i64> {
    if typmod == -1 || is_infinite(timestamp) {
        return Ok(timestamp);
    }
    match usize::try_from(typmod) {
        Ok(precision @ 0..=6) => {
            round_microseconds(timestamp, precision).ok_or_else(timestamp_out_of_range)
        }
        _ => Err(SqlError::new(
            SqlState::InvalidParameterValue,
            format!("timestamp({typmod}) precision must be between 0 and 6"),
        )),
    }
}

/// Whether a timestamp, with or without zone, is one of the infinities.
#[must_use]
pub const fn is_infinite(timestamp: i64) -> bool {
    timestamp == i64::MIN || timestamp == i64::MAX
}

/// Whether a date is one of the infinities.
#[must_use]
pub const fn is_infinite_date(date: i32) -> bool {
    date == i32::MIN || date == i32::MAX
}

pub(crate) fn timestamp_out_of_range() -> SqlError {
    SqlError::new(SqlState::DatetimeFieldOverflow, "timestamp out of range")
}

/// The fields of a finite timestamptz in the session's zone, and seconds west of UTC.
pub(crate) fn in_zone(instant: i64, settings: &FormatSettings) -> (Moment, i32) {
    let east = settings.time_zone.offset_at(instant);
    (Moment::from_microseconds(instant + i64::from(east) * calendar::SECOND), -east)
}

/// The transaction's time in the session's zone, and seconds west of UTC.
pub(crate) fn now_in_zone(context: &EvalContext<'_>) -> (Moment, i32) {
    in_zone(context.transaction_timestamp, context.settings)
}

/// `CURRENT_DATE`
#[must_use]
pub fn current_date(context: &EvalContext<'_>) -> i32 {
    let (now, _) = now_in_zone(context);
    i32::try_from(now.days()).unwrap_or(i32::MAX)
}

/// `CURRENT_TIME`, with a precision or -1.
#[must_use]
pub fn current_time(precision: i32, context: &EvalContext<'_>) -> (i64, i32) {
    let (now, west) = now_in_zone(context);
    (round_time(now.time(), precision), west)
}

/// `LOCALTIME`, with a precision or -1.
#[must_use]
pub fn local_time(precision: i32, context: &EvalContext<'_>) -> i64 {
    current_time(precision, context).0
}

/// `CURRENT_TIMESTAMP`, with a precision or -1.
///
/// # Errors
/// 22023 if the precision is none.
pub fn current_timestamp(precision: i32, context: &EvalContext<'_>) -> SqlResult<i64> {
    round_timestamp(context.transaction_timestamp, precision)
}

/// `LOCALTIMESTAMP`, with a precision or -1.
///
/// # Errors
/// 22023 if the precision is none.
pub fn local_timestamp(precision: i32, context: &EvalContext<'_>) -> SqlResult<i64> {
    let (now, _) = now_in_zone(context);
    round_timestamp(now.local(), precision)
}

#[cfg(test)]
mod tests;
