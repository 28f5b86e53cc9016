//! Numbers within dates and times: which field each is, and the digits of each.

use super::{DATE, DAY, DAY_OF_YEAR, Decoder, Fault, MONTH, Mask, TIME, YEAR};
use crate::context::DateOrder;
use crate::datetime::keywords::{Word, date_word};

const YEAR_MONTH: Mask = YEAR | MONTH;
const MONTH_DAY: Mask = MONTH | DAY;

/// The integer that a text begins with (0 if with none), `None` if it is beyond `i32`; and what
/// follows it.
pub(crate) fn integer(text: &str) -> (Option<i32>, &str) {
    let bytes = text.as_bytes();
    let sign = usize::from(matches!(bytes.first(), Some(b'+' | b'-')));
    let digits = bytes[sign..].iter().take_while(|b| b.is_ascii_digit()).count();
    if digits == 0 {
        return (Some(0), text);
    }
    let (number, rest) = text.split_at(sign + digits);
    (number.parse().ok(), rest)
}

/// The value of `.` and digits, to the end of the text.
pub(crate) fn fraction(text: &str) -> Result<f64, Fault> {
    let digits = &text[1..];
    if digits.is_empty() {
        return Ok(0.0);
    }
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Fault::BadFormat);
    }
    text.parse().map_err(|_| Fault::BadFormat)
}

/// Likewise, in microseconds, rounded to even.
pub(crate) fn fraction_microseconds(text: &str) -> Result<i32, Fault> {
    #[expect(clippy::cast_possible_truncation, reason = "at most 1,000,000")]
    Ok((fraction(text)? * 1_000_000.0).round_ties_even() as i32)
}

/// Digits as C's `atoi` reads them, which wraps.
fn wrapping(digits: &str) -> i32 {
    let digits: String = digits.chars().take_while(char::is_ascii_digit).collect();
    if digits.is_empty() {
        return 0;
    }
    #[expect(clippy::cast_possible_truncation, reason = "as atoi does")]
    let value = digits.parse::<i64>().unwrap_or(i64::MAX) as i32;
    value
}

impl Decoder<'_> {
    /// A date whose parts have something between them: `1999-01-08`, `8-jan-99`, `1.8.1999`.
    pub(super) fn date(&mut self, text: &str) -> Result<Mask, Fault> {
        let mut parts = Vec::new();
        let mut rest = text.as_bytes();
        while !rest.is_empty() && parts.len() < 25 {
            let Some(begin) = rest.iter().position(u8::is_ascii_alphanumeric) else {
                return Err(Fault::BadFormat);
            };
            rest = &rest[begin..];
            let is_digits = rest[0].is_ascii_digit();
            let length =
                rest.iter()
                    .take_while(|b| {
                        if is_digits { b.is_ascii_digit() } else { b.is_ascii_alphabetic() }
                    })
                    .count();
            parts.push(std::str::from_utf8(&rest[..length]).map_err(|_| Fault::BadFormat)?);
            // The byte behind a part is dropped whatever it is, as PostgreSQL does.
            rest = rest.get(length + 1..).unwrap_or_default();
        }
        let before = self.seen;
        let mut seen = self.seen;
        let mut text_month = false;
        let mut numbers = Vec::new();
        for part in parts {
            if !part.starts_with(|c: char| c.is_ascii_alphabetic()) {
                numbers.push(part);
                continue;
            }
            match date_word(part) {
                Some(Word::Month(month)) if seen & MONTH == 0 => {
                    self.moment.month = month;
                    text_month = true;
                    seen |= MONTH;
                }
                _ => return Err(Fault::BadFormat),
            }
        }
        for part in numbers {
            let mask = self.number(part, text_month, seen)?;
            if seen & mask != 0 {
                return Err(Fault::BadFormat);
            }
            seen |= mask;
        }
        if seen & !(DAY_OF_YEAR | super::ZONE) != DATE {
            return Err(Fault::BadFormat);
        }
        Ok(seen & !before)
    }

    /// `hh:mm`, `hh:mm:ss`, `hh:mm:ss.f` or `mm:ss.f`; hours are not checked.
    pub(super) fn clock(&mut self, text: &str) -> Result<(), Fault> {
        let clock = clock(text, false)?;
        self.moment.hour = i32::try_from(clock.hour).map_err(|_| Fault::FieldOverflow)?;
        self.moment.minute = clock.minute;
        self.moment.second = clock.second;
        self.moment.microsecond = clock.microsecond;
        Ok(())
    }

    /// A number alone: by its length and by what is known already, one field of the date.
    pub(super) fn number(
        &mut self,
        text: &str,
        text_month: bool,
        seen: Mask,
    ) -> Result<Mask, Fault> {
        let (value, rest) = integer(text);
        let value = value.ok_or(Fault::FieldOverflow)?;
        let length = text.len();
        if rest.len() == length {
            return Err(Fault::BadFormat);
        }
        if rest.starts_with('.') {
            if length - rest.len() > 2 {
                return self.run_together(text, seen | DATE);
            }
            self.moment.microsecond = fraction_microseconds(rest)?;
        } else if !rest.is_empty() {
            return Err(Fault::BadFormat);
        }
        if length == 3 && seen & DATE == YEAR && (1..=366).contains(&value) {
            self.day_of_year = value;
            return Ok(DAY_OF_YEAR | MONTH | DAY);
        }
        let order = self.order();
        let mask = match seen & DATE {
            0 => match order {
                _ if length >= 3 => YEAR,
                DateOrder::Ymd => YEAR,
                DateOrder::Dmy => DAY,
                DateOrder::Mdy => MONTH,
            },
            YEAR | DAY => MONTH,
            MONTH if text_month && (length >= 3 || order == DateOrder::Ymd) => YEAR,
            MONTH => DAY,
            YEAR_MONTH => {
                if text_month && length >= 3 && self.two_digit_year {
                    // What was taken for the year was the day.
                    self.moment.day = self.moment.year;
                    self.moment.year = value;
                    self.two_digit_year = false;
                    return Ok(DAY);
                }
                DAY
            }
            MONTH_DAY => YEAR,
            DATE => return self.run_together(text, seen),
            _ => return Err(Fault::BadFormat),
        };
        match mask {
            YEAR => {
                self.moment.year = value;
                self.two_digit_year = length <= 2;
            }
            MONTH => self.moment.month = value,
            _ => self.moment.day = value,
        }
        Ok(mask)
    }

    /// Digits without anything between them: `yyyymmdd`, `yymmdd`, `hhmmss` or `hhmm`.
    pub(super) fn run_together(&mut self, text: &str, seen: Mask) -> Result<Mask, Fault> {
        let digits = match text.split_once('.') {
            Some((digits, _)) => {
                let part = &text[digits.len()..];
                let end =
                    part[1..].find(|c: char| !c.is_ascii_digit()).map_or(part.len(), |e| e + 1);
                self.moment.microsecond = fraction_microseconds(&part[..end])?;
                digits
            }
            None => {
                if seen & DATE != DATE && text.len() >= 6 {
                    let (year, rest) = text.split_at(text.len() - 4);
                    self.moment.year = wrapping(year);
                    self.moment.month = wrapping(&rest[..2]);
                    self.moment.day = wrapping(&rest[2..]);
                    if year.len() == 2 {
                        self.two_digit_year = true;
                    }
                    return Ok(DATE);
                }
                text
            }
        };
        if seen & TIME != TIME && matches!(digits.len(), 4 | 6) {
            self.moment.hour = wrapping(&digits[..2]);
            self.moment.minute = wrapping(&digits[2..4]);
            self.moment.second = wrapping(&digits[4..]);
            return Ok(TIME);
        }
        Err(Fault::BadFormat)
    }
}

/// A time of day or the time of an interval, field by field.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clock {
    /// 0 or more.
    pub(crate) hour: i64,
    /// 0 to 59
    pub(crate) minute: i32,
    /// 0 to 60
    pub(crate) second: i32,
    /// 0 to 1,000,000
    pub(crate) microsecond: i32,
}

/// Reads `hh:mm` (`mm:ss` if `minute_first`), `hh:mm:ss`, `hh:mm:ss.f` or `mm:ss.f`.
pub(crate) fn clock(text: &str, minute_first: bool) -> Result<Clock, Fault> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let hour: i64 = match &text[..digits] {
        "" => 0,
        digits => digits.parse().map_err(|_| Fault::FieldOverflow)?,
    };
    let rest = text[digits..].strip_prefix(':').ok_or(Fault::BadFormat)?;
    let (minute, rest) = integer(rest);
    let minute = minute.ok_or(Fault::FieldOverflow)?;
    let mut clock = Clock { hour, minute, ..Clock::default() };
    let shift = |clock: Clock| {
        let minute = i32::try_from(clock.hour).map_err(|_| Fault::FieldOverflow)?;
        Ok(Clock { hour: 0, minute, second: clock.minute, ..clock })
    };
    match rest.as_bytes().first() {
        None if minute_first => clock = shift(clock)?,
        None => {}
        Some(b'.') => {
            clock.microsecond = fraction_microseconds(rest)?;
            clock = shift(clock)?;
        }
        Some(b':') => {
            let (second, rest) = integer(&rest[1..]);
            clock.second = second.ok_or(Fault::FieldOverflow)?;
            if rest.starts_with('.') {
                clock.microsecond = fraction_microseconds(rest)?;
            } else if !rest.is_empty() {
                return Err(Fault::BadFormat);
            }
        }
        Some(_) => return Err(Fault::BadFormat),
    }
    if !(0..60).contains(&clock.minute) || !(0..=60).contains(&clock.second) {
        return Err(Fault::FieldOverflow);
    }
    Ok(clock)
}
