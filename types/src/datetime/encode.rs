//! Text forms of dates, times and timestamps in the styles of `DateStyle`.

use super::calendar::{self, Moment};
use super::in_zone;
use crate::context::{DateOrder, DateStyle, FormatSettings};

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

/// At most this much of a zone's abbreviation is printed.
const ABBREVIATION_LENGTH: usize = 10;

/// A number, with zeros before it to at least `width` digits.
pub(crate) fn digits(number: u64, width: usize, out: &mut Vec<u8>) {
    let mut buffer = [b'0'; 20];
    let mut at = buffer.len();
    let mut rest = number;
    while rest > 0 {
        at -= 1;
        buffer[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    out.extend_from_slice(&buffer[at.min(buffer.len() - width)..]);
}

/// Two digits of a field of a valid date or time.
fn two(number: i32, out: &mut Vec<u8>) {
    digits(number.unsigned_abs().into(), 2, out);
}

/// `.` and microseconds without zeros at the end; nothing if there are none.
pub(crate) fn fraction_digits(microseconds: u32, out: &mut Vec<u8>) {
    if microseconds == 0 {
        return;
    }
    out.push(b'.');
    digits(microseconds.into(), 6, out);
    while out.last() == Some(&b'0') {
        out.pop();
    }
}

fn year(moment: &Moment, out: &mut Vec<u8>) {
    let year = i64::from(moment.year);
    digits(if year > 0 { year } else { 1 - year }.unsigned_abs(), 4, out);
}

fn era(moment: &Moment, out: &mut Vec<u8>) {
    if moment.year <= 0 {
        out.extend_from_slice(b" BC");
    }
}

fn day_and_month(moment: &Moment, separator: u8, order: DateOrder, out: &mut Vec<u8>) {
    let (first, second) = match order {
        DateOrder::Dmy => (moment.day, moment.month),
        DateOrder::Mdy | DateOrder::Ymd => (moment.month, moment.day),
    };
    two(first, out);
    out.push(separator);
    two(second, out);
}

/// The date without its era.
fn date(moment: &Moment, style: DateStyle, order: DateOrder, out: &mut Vec<u8>) {
    match style {
        DateStyle::Iso => {
            year(moment, out);
            out.push(b'-');
            two(moment.month, out);
            out.push(b'-');
            two(moment.day, out);
        }
        DateStyle::Sql => {
            day_and_month(moment, b'/', order, out);
            out.push(b'/');
            year(moment, out);
        }
        DateStyle::German => {
            day_and_month(moment, b'.', DateOrder::Dmy, out);
            out.push(b'.');
            year(moment, out);
        }
        DateStyle::Postgres => {
            day_and_month(moment, b'-', order, out);
            out.push(b'-');
            year(moment, out);
        }
    }
}

fn clock(moment: &Moment, out: &mut Vec<u8>) {
    two(moment.hour, out);
    out.push(b':');
    two(moment.minute, out);
    out.push(b':');
    two(moment.second, out);
    fraction_digits(moment.microsecond.unsigned_abs(), out);
}

/// `+hh`, `+hh:mm` or `+hh:mm:ss`, minutes always if so wanted.
pub(crate) fn numeric_zone(west: i32, always_minutes: bool, out: &mut Vec<u8>) {
    out.push(if west <= 0 { b'+' } else { b'-' });
    let size = west.unsigned_abs();
    digits((size / 3600).into(), 2, out);
    let (minutes, seconds) = (size / 60 % 60, size % 60);
    if minutes != 0 || seconds != 0 || always_minutes {
        out.push(b':');
        digits(minutes.into(), 2, out);
    }
    if seconds != 0 {
        out.push(b':');
        digits(seconds.into(), 2, out);
    }
}

/// The date and time without era and zone.
fn date_time(moment: &Moment, settings: &FormatSettings, out: &mut Vec<u8>) {
    if settings.date_style == DateStyle::Postgres {
        out.extend_from_slice(WEEKDAYS[calendar::weekday(moment.days()) as usize].as_bytes());
        out.push(b' ');
        let month = MONTHS[(moment.month - 1) as usize].as_bytes();
        if settings.date_order == DateOrder::Dmy {
            two(moment.day, out);
            out.push(b' ');
            out.extend_from_slice(month);
        } else {
            out.extend_from_slice(month);
            out.push(b' ');
            two(moment.day, out);
        }
        out.push(b' ');
        clock(moment, out);
        out.push(b' ');
        year(moment, out);
        return;
    }
    date(moment, settings.date_style, settings.date_order, out);
    out.push(b' ');
    clock(moment, out);
}

fn infinite(is_late: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(if is_late { b"infinity" } else { b"-infinity" });
}

/// `date` as text.
pub fn date_out(value: i32, settings: &FormatSettings, out: &mut Vec<u8>) {
    if super::is_infinite_date(value) {
        return infinite(value > 0, out);
    }
    let (year, month, day) = calendar::civil_from_days(value.into());
    let moment = Moment { year, month, day, ..Moment::default() };
    date(&moment, settings.date_style, settings.date_order, out);
    era(&moment, out);
}

/// `time` as text.
pub fn time_out(value: i64, out: &mut Vec<u8>) {
    clock(&Moment::from_time(value), out);
}

/// `timetz` as text; the offset in seconds west of UTC.
pub fn timetz_out(value: i64, west_seconds: i32, out: &mut Vec<u8>) {
    time_out(value, out);
    numeric_zone(west_seconds, false, out);
}

/// `timestamp` as text.
pub fn timestamp_out(value: i64, settings: &FormatSettings, out: &mut Vec<u8>) {
    if super::is_infinite(value) {
        return infinite(value > 0, out);
    }
    let moment = Moment::from_microseconds(value);
    date_time(&moment, settings, out);
    era(&moment, out);
}

/// `timestamptz` as text, in the session's zone.
pub fn timestamptz_out(value: i64, settings: &FormatSettings, out: &mut Vec<u8>) {
    if super::is_infinite(value) {
        return infinite(value > 0, out);
    }
    let (moment, west) = in_zone(value, settings);
    date_time(&moment, settings, out);
    if settings.date_style == DateStyle::Iso {
        numeric_zone(west, false, out);
    } else {
        out.push(b' ');
        let abbreviation = settings.time_zone.abbreviation_at(value);
        let bytes = abbreviation.as_bytes();
        out.extend_from_slice(&bytes[..bytes.len().min(ABBREVIATION_LENGTH)]);
    }
    era(&moment, out);
}

/// `date` in the form that JSON gives it: ISO, whatever `DateStyle` is.
pub fn date_out_iso(value: i32, out: &mut Vec<u8>) {
    date_out(value, &FormatSettings::default(), out);
}

/// `timestamp` in the form that JSON gives it: `2000-01-01T12:00:00`.
pub fn timestamp_out_iso(value: i64, out: &mut Vec<u8>) {
    if super::is_infinite(value) {
        return infinite(value > 0, out);
    }
    let moment = Moment::from_microseconds(value);
    iso_with_t(&moment, out);
    era(&moment, out);
}

/// `timestamptz` in the form that JSON gives it: `2000-01-01T12:00:00+02:00`.
pub fn timestamptz_out_iso(value: i64, settings: &FormatSettings, out: &mut Vec<u8>) {
    if super::is_infinite(value) {
        return infinite(value > 0, out);
    }
    let (moment, west) = in_zone(value, settings);
    iso_with_t(&moment, out);
    numeric_zone(west, true, out);
    era(&moment, out);
}

/// `timestamptz` likewise, in a zone of so many seconds west.
pub(crate) fn timestamptz_out_iso_in(value: i64, west: i32, out: &mut Vec<u8>) {
    let moment = Moment::from_microseconds(value.saturating_sub(i64::from(west) * 1_000_000));
    iso_with_t(&moment, out);
    numeric_zone(west, true, out);
    era(&moment, out);
}

fn iso_with_t(moment: &Moment, out: &mut Vec<u8>) {
    date(moment, DateStyle::Iso, DateOrder::Ymd, out);
    out.push(b'T');
    clock(moment, out);
}
