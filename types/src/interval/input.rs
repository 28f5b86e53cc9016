//! Reads intervals: PostgreSQL's own forms, the SQL standard's and ISO 8601's.

use super::{Interval, Range, apply_typmod, out_of_range};
use crate::context::{EvalContext, IntervalStyle};
use crate::datetime::calendar::{DAY, HOUR, MINUTE, SECOND};
use crate::datetime::decode::{Fault, clock, fraction, integer};
use crate::datetime::fields::{self, Field, Kind};
use crate::datetime::keywords::{IntervalWord, Unit, interval_word};
use crate::error::SqlResult;

/// The longest text of an interval that PostgreSQL reads, fields and their ends.
const TEXT_ROOM: usize = 255;

/// `interval` from text.
///
/// # Errors
/// 22007, 22008, 22015.
pub fn interval_in(text: &str, typmod: i32, context: &EvalContext<'_>) -> SqlResult<Interval> {
    read(text, context.settings.interval_style, typmod)
}

/// Likewise, where only the style is known.
///
/// # Errors
/// 22007, 22008, 22015.
pub fn read(text: &str, style: IntervalStyle, typmod: i32) -> SqlResult<Interval> {
    let range = Range::of(typmod);
    let native = match fields::split(text, TEXT_ROOM) {
        Some(fields) => decode(&fields, style, range),
        None => Err(Fault::BadFormat),
    };
    let total = match native {
        Err(Fault::BadFormat) => iso_8601(text),
        other => other,
    }
    .map_err(|fault| match fault {
        Fault::FieldOverflow => Fault::IntervalOverflow.error("interval", text),
        other => other.error("interval", text),
    })?;
    let months = i64::from(total.years) * 12 + i64::from(total.months);
    let months = i32::try_from(months).map_err(|_| out_of_range())?;
    let interval = Interval { months, days: total.days, microseconds: total.microseconds };
    apply_typmod(interval, typmod)
}

/// What has been added up so far.
#[derive(Clone, Copy, Default)]
struct Total {
    years: i32,
    months: i32,
    days: i32,
    microseconds: i64,
}

/// A whole number of some unit, and the rest of it.
#[derive(Clone, Copy)]
struct Amount {
    whole: i64,
    fraction: f64,
}

impl Amount {
    const fn whole(whole: i64) -> Self {
        Self { whole, fraction: 0.0 }
    }
}

fn add(to: &mut i32, amount: i64, scale: i32) -> Option<()> {
    let amount = i32::try_from(amount).ok()?.checked_mul(scale)?;
    *to = to.checked_add(amount)?;
    Some(())
}

impl Total {
    /// Adds a fraction of a unit of `scale` microseconds, rounded.
    #[expect(clippy::cast_possible_truncation, reason = "a fraction of at most a day")]
    fn add_fraction(&mut self, fraction: f64, scale: i64) -> Option<()> {
        let exact = fraction * scale as f64;
        let mut microseconds = exact as i64;
        let rest = exact - microseconds as f64;
        if rest > 0.5 {
            microseconds += 1;
        } else if rest < -0.5 {
            microseconds -= 1;
        }
        self.microseconds = self.microseconds.checked_add(microseconds)?;
        Some(())
    }

    fn add_time(&mut self, amount: Amount, scale: i64) -> Option<()> {
        let whole = amount.whole.checked_mul(scale)?;
        self.microseconds = self.microseconds.checked_add(whole)?;
        self.add_fraction(amount.fraction, scale)
    }

    #[expect(clippy::cast_possible_truncation, reason = "a fraction of at most 30 days")]
    fn add_fraction_of_days(&mut self, fraction: f64, scale: i32) -> Option<()> {
        let exact = fraction * f64::from(scale);
        let days = exact as i32;
        self.days = self.days.checked_add(days)?;
        self.add_fraction(exact - f64::from(days), DAY)
    }

    fn add_days(&mut self, amount: Amount) -> Option<()> {
        add(&mut self.days, amount.whole, 1)?;
        self.add_fraction(amount.fraction, DAY)
    }

    fn add_weeks(&mut self, amount: Amount) -> Option<()> {
        add(&mut self.days, amount.whole, 7)?;
        self.add_fraction_of_days(amount.fraction, 7)
    }

    fn add_months(&mut self, amount: Amount) -> Option<()> {
        add(&mut self.months, amount.whole, 1)?;
        self.add_fraction_of_days(amount.fraction, 30)
    }

    #[expect(clippy::cast_possible_truncation, reason = "a fraction of at most 12,000 months")]
    fn add_years(&mut self, amount: Amount, scale: i32) -> Option<()> {
        add(&mut self.years, amount.whole, scale)?;
        let months = (amount.fraction * f64::from(scale) * 12.0).round_ties_even() as i32;
        self.months = self.months.checked_add(months)?;
        Some(())
    }

    /// Adds an amount of a unit; `None` on overflow, `Some(false)` if there is no such unit here.
    fn add_unit(&mut self, amount: Amount, unit: Unit) -> Option<bool> {
        match unit {
            Unit::Microsecond => self.add_time(amount, 1)?,
            Unit::Millisecond => self.add_time(amount, 1000)?,
            Unit::Second => self.add_time(amount, SECOND)?,
            Unit::Minute => self.add_time(amount, MINUTE)?,
            Unit::Hour => self.add_time(amount, HOUR)?,
            Unit::Day => self.add_days(amount)?,
            Unit::Week => self.add_weeks(amount)?,
            Unit::Month => self.add_months(amount)?,
            Unit::Year => self.add_years(amount, 1)?,
            Unit::Decade => self.add_years(amount, 10)?,
            Unit::Century => self.add_years(amount, 100)?,
            Unit::Millennium => self.add_years(amount, 1000)?,
            _ => return Some(false),
        }
        Some(true)
    }

    fn negated(self) -> Option<Self> {
        Some(Self {
            years: self.years.checked_neg()?,
            months: self.months.checked_neg()?,
            days: self.days.checked_neg()?,
            microseconds: self.microseconds.checked_neg()?,
        })
    }
}

/// Units seen, each a bit; no unit may come twice.
fn bit(unit: Unit) -> u32 {
    1 << (unit as u32)
}

const TIME_BITS: u32 = 1 << (Unit::Hour as u32) | 1 << (Unit::Minute as u32) | SECOND_BITS;
const SECOND_BITS: u32 =
    1 << (Unit::Second as u32) | 1 << (Unit::Millisecond as u32) | 1 << (Unit::Microsecond as u32);

/// What the unit of a number is, when none is written: the next to the left of the last one.
enum Pending {
    /// Nothing yet: the last field of the type.
    Rightmost,
    Unit(Unit),
    /// Something that numbers have no unit by.
    Nothing,
}

/// Reads fields from the right, units before their numbers.
fn decode(fields: &[Field], style: IntervalStyle, range: Range) -> Result<Total, Fault> {
    // In the SQL standard's form, one minus at the front negates all.
    let is_signed = |field: &Field| field.text.starts_with(['-', '+']);
    let all_negative = style == IntervalStyle::SqlStandard
        && fields.first().is_some_and(|field| field.text.starts_with('-'))
        && !fields[1..].iter().any(is_signed);
    let mut total = Total::default();
    let mut seen = 0;
    let mut ago = false;
    let mut pending = Pending::Rightmost;
    for Field { kind, text } in fields.iter().rev() {
        let mask = match kind {
            Kind::Word | Kind::SignedWord => {
                match interval_word(text).ok_or(Fault::BadFormat)? {
                    IntervalWord::Ignored => {}
                    IntervalWord::Unit(unit) => pending = Pending::Unit(unit),
                    IntervalWord::Ago => {
                        ago = true;
                        pending = Pending::Nothing;
                    }
                }
                continue;
            }
            Kind::Time => {
                total.microseconds = time(text, range)?;
                if all_negative && total.microseconds > 0 {
                    total.microseconds = -total.microseconds;
                }
                pending = Pending::Unit(Unit::Day);
                TIME_BITS
            }
            Kind::Zone if signed_time(text, range).is_some() => {
                total.microseconds = signed_time(text, range).unwrap_or_default();
                if all_negative && total.microseconds > 0 {
                    total.microseconds = -total.microseconds;
                }
                pending = Pending::Unit(Unit::Day);
                TIME_BITS
            }
            Kind::Zone | Kind::Date | Kind::Number => {
                let unit = match pending {
                    Pending::Rightmost => Some(rightmost_unit(range)),
                    Pending::Unit(unit) => Some(unit),
                    Pending::Nothing => None,
                };
                let (amount, unit) = number(text, unit, all_negative)?;
                let unit = unit.ok_or(Fault::BadFormat)?;
                if !total.add_unit(amount, unit).ok_or(Fault::FieldOverflow)? {
                    return Err(Fault::BadFormat);
                }
                // Days come to the left of hours without being named.
                pending = Pending::Unit(if unit == Unit::Hour { Unit::Day } else { unit });
                match unit {
                    Unit::Second if amount.fraction != 0.0 => SECOND_BITS,
                    unit => bit(unit),
                }
            }
        };
        if seen & mask != 0 {
            return Err(Fault::BadFormat);
        }
        seen |= mask;
    }
    if seen == 0 {
        return Err(Fault::BadFormat);
    }
    if ago { total.negated().ok_or(Fault::FieldOverflow) } else { Ok(total) }
}

/// `hh:mm[:ss[.f]]`, in microseconds.
fn time(text: &str, range: Range) -> Result<i64, Fault> {
    let clock = clock(text, range == Range::MINUTE_TO_SECOND)?;
    let rest = i64::from(clock.minute) * MINUTE
        + i64::from(clock.second) * SECOND
        + i64::from(clock.microsecond);
    clock
        .hour
        .checked_mul(HOUR)
        .and_then(|hours| hours.checked_add(rest))
        .ok_or(Fault::FieldOverflow)
}

/// A signed time; `None` if the field is something else.
fn signed_time(text: &str, range: Range) -> Option<i64> {
    if !text[1..].contains(':') {
        return None;
    }
    let microseconds = time(&text[1..], range).ok()?;
    Some(if text.starts_with('-') { -microseconds } else { microseconds })
}

/// The unit of a number without one, by the type's last field.
fn rightmost_unit(range: Range) -> Unit {
    match range {
        Range::YEAR => Unit::Year,
        Range::MONTH | Range::YEAR_TO_MONTH => Unit::Month,
        Range::DAY => Unit::Day,
        Range::HOUR | Range::DAY_TO_HOUR => Unit::Hour,
        Range::MINUTE | Range::HOUR_TO_MINUTE | Range::DAY_TO_MINUTE => Unit::Minute,
        _ => Unit::Second,
    }
}

/// A number of the unit given, or `years-months`.
fn number(
    text: &str,
    unit: Option<Unit>,
    all_negative: bool,
) -> Result<(Amount, Option<Unit>), Fault> {
    let is_negative = text.starts_with('-');
    let sign = usize::from(text.starts_with(['-', '+']));
    let end = text[sign..].find(|c: char| !c.is_ascii_digit()).map_or(text.len(), |at| at + sign);
    let whole: i64 = match &text[sign..end] {
        "" => 0,
        _ => text[..end].parse().map_err(|_| Fault::FieldOverflow)?,
    };
    let rest = &text[end..];
    let mut amount = Amount::whole(whole);
    let mut unit = unit;
    if let Some(months) = rest.strip_prefix('-') {
        let (months, rest) = integer(months);
        let months = months.filter(|m| (0..12).contains(m)).ok_or(Fault::FieldOverflow)?;
        if !rest.is_empty() {
            return Err(Fault::BadFormat);
        }
        unit = Some(Unit::Month);
        let months = i64::from(if is_negative { -months } else { months });
        amount.whole = whole
            .checked_mul(12)
            .and_then(|years| years.checked_add(months))
            .ok_or(Fault::FieldOverflow)?;
    } else if rest.starts_with('.') {
        let fraction = fraction(rest)?;
        amount.fraction = if is_negative { -fraction } else { fraction };
    } else if !rest.is_empty() {
        return Err(Fault::BadFormat);
    }
    if all_negative {
        let whole = if amount.whole > 0 { -amount.whole } else { amount.whole };
        amount = Amount { whole, fraction: -amount.fraction.abs() };
    }
    Ok((amount, unit))
}

/// ISO 8601: `P1Y2M3DT4H5M6S` and the alternative forms `P0001-02-03T04:05:06`, `P00010203T040506`.
fn iso_8601(text: &str) -> Result<Total, Fault> {
    let mut total = Total::default();
    let mut rest =
        text.strip_prefix('P').filter(|rest| !rest.is_empty()).ok_or(Fault::BadFormat)?;
    let mut in_date = true;
    let mut has_field = false;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('T') {
            in_date = false;
            has_field = false;
            rest = after;
            continue;
        }
        let field = rest;
        let amount;
        (amount, rest) = iso_number(rest)?;
        let unit = rest.as_bytes().first().copied();
        if in_date {
            let width = integer_width(field);
            match unit {
                Some(b'Y') => total.add_years(amount, 1),
                Some(b'M') => total.add_months(amount),
                Some(b'W') => total.add_weeks(amount),
                Some(b'D') => total.add_days(amount),
                Some(b'T') | None if width == 8 && !has_field => {
                    add(&mut total.years, amount.whole / 10_000, 1)
                        .and_then(|()| add(&mut total.months, amount.whole / 100 % 100, 1))
                        .and_then(|()| add(&mut total.days, amount.whole % 100, 1))
                        .and_then(|()| total.add_fraction(amount.fraction, DAY))
                        .ok_or(Fault::FieldOverflow)?;
                    continue;
                }
                Some(b'T' | b'-') | None if !has_field => {
                    rest = extended_date(&mut total, amount, rest)?;
                    continue;
                }
                _ => return Err(Fault::BadFormat),
            }
        } else {
            match unit {
                Some(b'H') => total.add_time(amount, HOUR),
                Some(b'M') => total.add_time(amount, MINUTE),
                Some(b'S') => total.add_time(amount, SECOND),
                None if integer_width(field) == 6 && !has_field => {
                    let Amount { whole, fraction } = amount;
                    return total
                        .add_time(Amount::whole(whole / 10_000), HOUR)
                        .and_then(|()| total.add_time(Amount::whole(whole / 100 % 100), MINUTE))
                        .and_then(|()| total.add_time(Amount::whole(whole % 100), SECOND))
                        .and_then(|()| total.add_fraction(fraction, 1))
                        .map(|()| total)
                        .ok_or(Fault::FieldOverflow);
                }
                Some(b':') | None if !has_field => {
                    extended_time(&mut total, amount, rest)?;
                    return Ok(total);
                }
                _ => return Err(Fault::BadFormat),
            }
        }
        .ok_or(Fault::FieldOverflow)?;
        rest = &rest[1..];
        has_field = true;
    }
    Ok(total)
}

/// `yyyy[-mm[-dd]]`, whose years are read; gives what follows: nothing or `T`.
fn extended_date<'a>(total: &mut Total, years: Amount, rest: &'a str) -> Result<&'a str, Fault> {
    total.add_years(years, 1).ok_or(Fault::FieldOverflow)?;
    let Some(rest) = rest.strip_prefix('-') else { return Ok(rest) };
    let (months, rest) = iso_number(rest)?;
    total.add_months(months).ok_or(Fault::FieldOverflow)?;
    if rest.is_empty() || rest.starts_with('T') {
        return Ok(rest);
    }
    let (days, rest) = iso_number(rest.strip_prefix('-').ok_or(Fault::BadFormat)?)?;
    total.add_days(days).ok_or(Fault::FieldOverflow)?;
    if rest.is_empty() || rest.starts_with('T') { Ok(rest) } else { Err(Fault::BadFormat) }
}

/// `hh[:mm[:ss]]`, whose hours are read.
fn extended_time(total: &mut Total, hours: Amount, rest: &str) -> Result<(), Fault> {
    total.add_time(hours, HOUR).ok_or(Fault::FieldOverflow)?;
    let mut rest = rest;
    for scale in [MINUTE, SECOND] {
        if rest.is_empty() {
            return Ok(());
        }
        let (amount, after) = iso_number(rest.strip_prefix(':').ok_or(Fault::BadFormat)?)?;
        total.add_time(amount, scale).ok_or(Fault::FieldOverflow)?;
        rest = after;
    }
    if rest.is_empty() { Ok(()) } else { Err(Fault::BadFormat) }
}

fn integer_width(text: &str) -> usize {
    text.strip_prefix('-').unwrap_or(text).bytes().take_while(u8::is_ascii_digit).count()
}

/// A number as C's `strtod` reads it (hexadecimal aside), cut into whole and fraction.
fn iso_number(text: &str) -> Result<(Amount, &str), Fault> {
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '.')) {
        return Err(Fault::BadFormat);
    }
    let bytes = text.as_bytes();
    let digits_from = |at: usize| bytes[at..].iter().take_while(|b| b.is_ascii_digit()).count();
    let sign = usize::from(bytes[0] == b'-');
    let word = text[sign..].get(..3).unwrap_or_default();
    if word.eq_ignore_ascii_case("inf") || word.eq_ignore_ascii_case("nan") {
        return Err(Fault::FieldOverflow);
    }
    let mut end = sign + digits_from(sign);
    let mut count = end - sign;
    if bytes.get(end) == Some(&b'.') {
        let more = digits_from(end + 1);
        count += more;
        end += 1 + more;
    }
    if count == 0 {
        return Err(Fault::BadFormat);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let digits = bytes.get(end + 1 + sign).map_or(0, |_| digits_from(end + 1 + sign));
        if digits > 0 {
            end += 1 + sign + digits;
        }
    }
    let value: f64 = text[..end].parse().map_err(|_| Fault::BadFormat)?;
    if value.is_infinite() {
        return Err(Fault::BadFormat);
    }
    if !(-1.0e15..=1.0e15).contains(&value) {
        return Err(Fault::FieldOverflow);
    }
    #[expect(clippy::cast_possible_truncation, reason = "at most 1e15")]
    let whole = value.trunc() as i64;
    Ok((Amount { whole, fraction: value - whole as f64 }, &text[end..]))
}
