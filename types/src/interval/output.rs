//! Text forms of intervals in the styles of `IntervalStyle`.

use super::Interval;
use crate::context::{FormatSettings, IntervalStyle};
use crate::datetime::calendar::{HOUR, MINUTE, SECOND};
use crate::datetime::{digits, fraction_digits};

/// The fields of an interval; all of those of the time have its sign.
#[derive(Clone, Copy)]
struct Parts {
    years: i64,
    months: i64,
    days: i64,
    hours: i64,
    minutes: i64,
    seconds: i64,
    microseconds: i64,
}

impl Parts {
    fn of(interval: &Interval) -> Self {
        let time = interval.microseconds;
        Self {
            years: (interval.months / 12).into(),
            months: (interval.months % 12).into(),
            days: interval.days.into(),
            hours: time / HOUR,
            minutes: time / MINUTE % 60,
            seconds: time / SECOND % 60,
            microseconds: time % SECOND,
        }
    }

    /// Seconds with at least `width` digits, and their fraction, without a sign.
    fn seconds(&self, width: usize, out: &mut Vec<u8>) {
        digits(self.seconds.unsigned_abs(), width, out);
        fraction_digits(self.microseconds.unsigned_abs() as u32, out);
    }

    /// `h:mm:ss.f` without a sign.
    fn clock(&self, hour_width: usize, out: &mut Vec<u8>) {
        digits(self.hours.unsigned_abs(), hour_width, out);
        out.push(b':');
        digits(self.minutes.unsigned_abs(), 2, out);
        out.push(b':');
        self.seconds(2, out);
    }
}

/// `interval` as text.
pub fn interval_out(interval: &Interval, settings: &FormatSettings, out: &mut Vec<u8>) {
    let parts = Parts::of(interval);
    match settings.interval_style {
        IntervalStyle::Postgres => postgres(interval, &parts, out),
        IntervalStyle::PostgresVerbose => verbose(interval, &parts, out),
        IntervalStyle::SqlStandard => sql_standard(interval, &parts, out),
        IntervalStyle::Iso8601 => iso_8601(interval, &parts, out),
    }
}

fn signed(number: i64, out: &mut Vec<u8>) {
    if number < 0 {
        out.push(b'-');
    }
    digits(number.unsigned_abs(), 1, out);
}

fn postgres(interval: &Interval, parts: &Parts, out: &mut Vec<u8>) {
    let mut is_first = true;
    // A part after a negative one says its own sign.
    let mut after_negative = false;
    for (value, unit) in [(parts.years, "year"), (parts.months, "mon"), (parts.days, "day")] {
        if value == 0 {
            continue;
        }
        if !is_first {
            out.push(b' ');
        }
        if after_negative && value > 0 {
            out.push(b'+');
        }
        signed(value, out);
        out.push(b' ');
        out.extend_from_slice(unit.as_bytes());
        if value != 1 {
            out.push(b's');
        }
        after_negative = value < 0;
        is_first = false;
    }
    if is_first || interval.microseconds != 0 {
        if !is_first {
            out.push(b' ');
        }
        if interval.microseconds < 0 {
            out.push(b'-');
        } else if after_negative {
            out.push(b'+');
        }
        parts.clock(2, out);
    }
}

fn verbose(interval: &Interval, parts: &Parts, out: &mut Vec<u8>) {
    out.push(b'@');
    // The first part that is not zero decides whether all are counted backwards.
    let mut ago = None;
    for (value, unit) in [
        (parts.years, "year"),
        (parts.months, "mon"),
        (parts.days, "day"),
        (parts.hours, "hour"),
        (parts.minutes, "min"),
    ] {
        if value == 0 {
            continue;
        }
        let value = if *ago.get_or_insert(value < 0) { -value } else { value };
        out.push(b' ');
        signed(value, out);
        out.push(b' ');
        out.extend_from_slice(unit.as_bytes());
        if value != 1 {
            out.push(b's');
        }
    }
    if parts.seconds != 0 || parts.microseconds != 0 {
        let is_negative = interval.microseconds < 0;
        out.push(b' ');
        if *ago.get_or_insert(is_negative) != is_negative {
            out.push(b'-');
        }
        parts.seconds(1, out);
        let is_one = parts.seconds.abs() == 1 && parts.microseconds == 0;
        out.extend_from_slice(if is_one { b" sec" } else { b" secs" });
    }
    match ago {
        None => out.extend_from_slice(b" 0"),
        Some(true) => out.extend_from_slice(b" ago"),
        Some(false) => {}
    }
}

fn sql_standard(interval: &Interval, parts: &Parts, out: &mut Vec<u8>) {
    let Interval { months, days, microseconds } = *interval;
    let has_negative = months < 0 || days < 0 || microseconds < 0;
    let has_positive = months > 0 || days > 0 || microseconds > 0;
    let has_time = days != 0 || microseconds != 0;
    let is_mixed = (has_negative && has_positive) || (months != 0 && has_time);
    if is_mixed {
        let sign = |is_negative: bool| if is_negative { b'-' } else { b'+' };
        out.push(sign(months < 0));
        year_month(parts, out);
        out.push(b' ');
        out.push(sign(days < 0));
        digits(parts.days.unsigned_abs(), 1, out);
        out.push(b' ');
        out.push(sign(microseconds < 0));
        parts.clock(1, out);
        return;
    }
    if has_negative {
        out.push(b'-');
    }
    if months != 0 {
        year_month(parts, out);
    } else if days != 0 {
        digits(parts.days.unsigned_abs(), 1, out);
        out.push(b' ');
        parts.clock(1, out);
    } else if microseconds != 0 {
        parts.clock(1, out);
    } else {
        out.push(b'0');
    }
}

fn year_month(parts: &Parts, out: &mut Vec<u8>) {
    digits(parts.years.unsigned_abs(), 1, out);
    out.push(b'-');
    digits(parts.months.unsigned_abs(), 1, out);
}

fn iso_8601(interval: &Interval, parts: &Parts, out: &mut Vec<u8>) {
    if interval.months == 0 && interval.days == 0 && interval.microseconds == 0 {
        out.extend_from_slice(b"PT0S");
        return;
    }
    let part = |value: i64, unit: u8, out: &mut Vec<u8>| {
        if value != 0 {
            signed(value, out);
            out.push(unit);
        }
    };
    out.push(b'P');
    part(parts.years, b'Y', out);
    part(parts.months, b'M', out);
    part(parts.days, b'D', out);
    if interval.microseconds != 0 {
        out.push(b'T');
    }
    part(parts.hours, b'H', out);
    part(parts.minutes, b'M', out);
    if parts.seconds != 0 || parts.microseconds != 0 {
        if interval.microseconds < 0 {
            out.push(b'-');
        }
        parts.seconds(1, out);
        out.push(b'S');
    }
}
