//! Makes a moment of the fields of a text: what PostgreSQL's manual describes in appendix B.
//!
//! Fields are taken in order; each may be taken for a year, month, day, time, zone or a label of
//! what comes next, depending on what has been seen so far ([`Mask`]). Nothing may be seen twice.

use super::calendar::{self, Moment};
use super::fields::{Field, Kind};
use super::keywords::{Unit, Word, date_word};
use super::now_in_zone;
use crate::context::{DateOrder, EvalContext};
use crate::error::SqlError;
use crate::sqlstate::SqlState;
use crate::timezone::TimeZone;
use crate::timezone::abbreviations::{self, Abbreviation};

mod number;

pub(crate) use number::{clock, fraction, fraction_microseconds, integer};

/// Why a text is not what it should be.
#[derive(Debug)]
pub(crate) enum Fault {
    /// 22007
    BadFormat,
    /// 22008
    FieldOverflow,
    /// 22008, with a hint at `DateStyle`
    MonthDayOverflow,
    /// 22015
    IntervalOverflow,
    /// 22009
    ZoneOverflow,
    /// Whatever it says.
    Raised(SqlError),
}

impl Fault {
    /// The error for the client, with the type's name and the whole text.
    pub(crate) fn error(self, type_name: &str, text: &str) -> SqlError {
        let field_overflow = || {
            SqlError::new(
                SqlState::DatetimeFieldOverflow,
                format!("date/time field value out of range: \"{text}\""),
            )
        };
        match self {
            Self::BadFormat => SqlError::new(
                SqlState::InvalidDatetimeFormat,
                format!("invalid input syntax for type {type_name}: \"{text}\""),
            ),
            Self::FieldOverflow => field_overflow(),
            Self::MonthDayOverflow => {
                field_overflow().hint("Perhaps you need a different \"datestyle\" setting.")
            }
            Self::IntervalOverflow => SqlError::new(
                SqlState::IntervalFieldOverflow,
                format!("interval field value out of range: \"{text}\""),
            ),
            Self::ZoneOverflow => SqlError::new(
                SqlState::InvalidTimeZoneDisplacementValue,
                format!("time zone displacement out of range: \"{text}\""),
            ),
            Self::Raised(error) => error,
        }
    }
}

/// A set of fields, as bits.
type Mask = u32;
const YEAR: Mask = 1;
const MONTH: Mask = 1 << 1;
const DAY: Mask = 1 << 2;
const DATE: Mask = YEAR | MONTH | DAY;
const DAY_OF_YEAR: Mask = 1 << 3;
const HOUR: Mask = 1 << 4;
const MINUTE: Mask = 1 << 5;
const SECOND: Mask = 1 << 6;
const SUBSECOND: Mask = 1 << 7;
const TIME: Mask = HOUR | MINUTE | SECOND | SUBSECOND;
const ZONE: Mask = 1 << 8;
const DAYLIGHT: Mask = 1 << 9;
const DAYLIGHT_MODIFIER: Mask = 1 << 10;
const DYNAMIC_ZONE: Mask = 1 << 11;
const MERIDIAN: Mask = 1 << 12;
const ERA: Mask = 1 << 13;
const WEEKDAY: Mask = 1 << 14;
const RESERVED: Mask = 1 << 15;

/// What a text of a date or timestamp says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decoded {
    /// A moment, and seconds west of UTC.
    Moment(Moment, i32),
    /// `epoch`
    Epoch,
    /// `infinity`
    Late,
    /// `-infinity`
    Early,
}

/// How a text says its zone.
enum Zone {
    /// As [`Decoder::west`], if at all.
    Offset,
    Named(TimeZone),
    Abbreviated(TimeZone, String),
}

struct Decoder<'a> {
    context: &'a EvalContext<'a>,
    /// Whether a time is read, of which a date is no part.
    time_only: bool,
    seen: Mask,
    moment: Moment,
    day_of_year: i32,
    is_julian: bool,
    two_digit_year: bool,
    text_month: bool,
    bc: bool,
    pm: Option<bool>,
    /// The label that says what the next field is.
    label: Option<Unit>,
    west: i32,
    zone: Zone,
    special: Option<Decoded>,
}

/// Reads the fields of a date or timestamp.
pub(crate) fn date_time(fields: &[Field], context: &EvalContext<'_>) -> Result<Decoded, Fault> {
    let mut decoder = Decoder::new(context, false);
    for at in 0..fields.len() {
        let mask = decoder.field(fields, at)?;
        decoder.see(mask)?;
    }
    decoder.finish_date()?;
    decoder.finish_meridian()?;
    if let Some(special) = decoder.special {
        return Ok(special);
    }
    if decoder.seen & DATE != DATE {
        return Err(Fault::BadFormat);
    }
    let date = decoder.moment;
    let west = decoder.finish_zone(Some(date))?;
    Ok(Decoded::Moment(decoder.moment, west))
}

/// Reads the fields of a time of day: the time, and seconds west of UTC.
pub(crate) fn time(fields: &[Field], context: &EvalContext<'_>) -> Result<(Moment, i32), Fault> {
    let mut decoder = Decoder::new(context, true);
    // What a run-together field turned out to be decides how dates are taken later.
    let mut fields = fields.to_vec();
    for at in 0..fields.len() {
        let mask = decoder.time_field(&mut fields, at)?;
        decoder.see(mask)?;
    }
    decoder.finish_date()?;
    decoder.finish_meridian()?;
    if !decoder.moment.is_time() {
        return Err(Fault::FieldOverflow);
    }
    if decoder.seen & TIME != TIME {
        return Err(Fault::BadFormat);
    }
    let date = (decoder.seen & DATE != 0).then_some(decoder.moment);
    let west = decoder.finish_zone(date)?;
    Ok((decoder.moment, west))
}

/// Reads `[+-]hh[:mm[:ss]]` or `[+-]hhmm`: seconds west of UTC.
pub(crate) fn numeric_zone(text: &str) -> Result<i32, Fault> {
    let negative = match text.as_bytes().first() {
        Some(b'-') => true,
        Some(b'+') => false,
        _ => return Err(Fault::BadFormat),
    };
    let part = |text| {
        let (value, rest) = integer(text);
        value.map(|value| (value, rest)).ok_or(Fault::ZoneOverflow)
    };
    let (mut hours, mut rest) = part(&text[1..])?;
    let (mut minutes, mut seconds) = (0, 0);
    if let Some(after) = rest.strip_prefix(':') {
        (minutes, rest) = part(after)?;
        if let Some(after) = rest.strip_prefix(':') {
            (seconds, rest) = part(after)?;
        }
    } else if rest.is_empty() && text.len() > 3 {
        minutes = hours % 100;
        hours /= 100;
    }
    if !(0..=15).contains(&hours) || !(0..60).contains(&minutes) || !(0..60).contains(&seconds) {
        return Err(Fault::ZoneOverflow);
    }
    if !rest.is_empty() {
        return Err(Fault::BadFormat);
    }
    let size = (hours * 60 + minutes) * 60 + seconds;
    Ok(if negative { size } else { -size })
}

impl<'a> Decoder<'a> {
    fn new(context: &'a EvalContext<'a>, time_only: bool) -> Self {
        Self {
            context,
            time_only,
            seen: 0,
            moment: Moment::default(),
            day_of_year: 0,
            is_julian: false,
            two_digit_year: false,
            text_month: false,
            bc: false,
            pm: None,
            label: None,
            west: 0,
            zone: Zone::Offset,
            special: None,
        }
    }

    fn order(&self) -> DateOrder {
        self.context.settings.date_order
    }

    fn see(&mut self, mask: Mask) -> Result<(), Fault> {
        if self.seen & mask != 0 {
            return Err(Fault::BadFormat);
        }
        self.seen |= mask;
        Ok(())
    }

    /// Takes one field of a date or timestamp; gives what has been seen in it.
    fn field(&mut self, fields: &[Field], at: usize) -> Result<Mask, Fault> {
        let Field { kind, text } = &fields[at];
        match kind {
            Kind::Date if self.label == Some(Unit::Julian) => {
                self.label = None;
                let (day, rest) = integer(text);
                self.julian(day.ok_or(Fault::FieldOverflow)?)?;
                self.west = numeric_zone(rest)?;
                Ok(DATE | TIME | ZONE)
            }
            Kind::Date if self.label.is_some() || self.seen & (MONTH | DAY) == (MONTH | DAY) => {
                if !text.starts_with(|c: char| c.is_ascii_digit()) && self.label.is_none() {
                    return self.zone_name(text);
                }
                self.take_time_label()?;
                self.time_and_zone(text, self.seen)
            }
            Kind::Date => self.date(text),
            Kind::Time => {
                self.take_time_label()?;
                self.clock(text)?;
                if self.moment.is_time() { Ok(TIME) } else { Err(Fault::FieldOverflow) }
            }
            Kind::Zone => {
                self.west = numeric_zone(text)?;
                Ok(ZONE)
            }
            Kind::Number => match self.label.take() {
                Some(label) => self.labelled_number(label, text),
                None => {
                    let point = text.find('.');
                    if point.is_some() && self.seen & DATE == 0 {
                        self.date(text)
                    } else if point.is_some_and(|point| point > 2)
                        || (point.is_none()
                            && text.len() >= 6
                            && (self.seen & DATE == 0 || self.seen & TIME == 0))
                    {
                        self.run_together(text, self.seen)
                    } else {
                        self.number(text, self.text_month, self.seen)
                    }
                }
            },
            Kind::Word | Kind::SignedWord => self.word(fields, at, text),
        }
    }

    /// Takes one field of a time of day.
    fn time_field(&mut self, fields: &mut [Field], at: usize) -> Result<Mask, Fault> {
        let Field { kind, text } = fields[at].clone();
        let last_is_date = fields.len() >= 2 && fields[fields.len() - 1].kind == Kind::Date;
        let may_be_date = at == 0 && last_is_date;
        match kind {
            Kind::Date => {
                if may_be_date || (at == 0 && fields.get(1).is_some_and(|f| f.kind == Kind::Time)) {
                    return self.date(&text);
                }
                if text.starts_with(|c: char| c.is_ascii_digit()) {
                    let mask = self.time_and_zone(&text, self.seen | DATE)?;
                    fields[at].kind = Kind::Time;
                    Ok(mask)
                } else {
                    fields[at].kind = Kind::Zone;
                    self.zone_name(&text)
                }
            }
            Kind::Time => {
                self.clock(&text)?;
                Ok(TIME)
            }
            Kind::Zone => {
                self.west = numeric_zone(&text)?;
                Ok(ZONE)
            }
            Kind::Number => match self.label.take() {
                Some(label) => self.labelled_number(label, &text),
                None => match text.find('.') {
                    Some(_) if may_be_date => self.date(&text),
                    Some(point) if point > 2 => self.run_together(&text, self.seen | DATE),
                    Some(_) => Err(Fault::BadFormat),
                    None if text.len() > 4 => self.run_together(&text, self.seen | DATE),
                    None => self.number(&text, false, self.seen | DATE),
                },
            },
            Kind::Word | Kind::SignedWord => self.word(fields, at, &text),
        }
    }

    /// A `t` may label a time; any other label may not.
    fn take_time_label(&mut self) -> Result<(), Fault> {
        match self.label.take() {
            None | Some(Unit::Time) => Ok(()),
            Some(_) => Err(Fault::BadFormat),
        }
    }

    fn zone_name(&mut self, text: &str) -> Result<Mask, Fault> {
        let zone = TimeZone::named(text).ok_or_else(|| Fault::Raised(unknown_zone(text)))?;
        self.zone = Zone::Named(zone);
        Ok(ZONE)
    }

    /// A run-together time with an offset behind it: `hhmmss-zz`.
    fn time_and_zone(&mut self, text: &str, seen: Mask) -> Result<Mask, Fault> {
        if self.seen & TIME == TIME {
            return Err(Fault::BadFormat);
        }
        let minus = text.find('-').ok_or(Fault::BadFormat)?;
        self.west = numeric_zone(&text[minus..])?;
        Ok(self.run_together(&text[..minus], seen)? | ZONE)
    }

    fn julian(&mut self, day: i32) -> Result<(), Fault> {
        if day < 0 {
            return Err(Fault::FieldOverflow);
        }
        self.set_days(i64::from(day) - calendar::EPOCH_JULIAN);
        self.is_julian = true;
        Ok(())
    }

    fn set_days(&mut self, days: i64) {
        let (year, month, day) = calendar::civil_from_days(days);
        self.moment = Moment { year, month, day, ..self.moment };
    }

    fn set_time(&mut self, time: i64) {
        let Moment { year, month, day, .. } = self.moment;
        self.moment = Moment { year, month, day, ..Moment::from_time(time) };
    }

    /// The number behind a label, as in `y2001m02d04`, `J2451187` and `t040506`.
    fn labelled_number(&mut self, label: Unit, text: &str) -> Result<Mask, Fault> {
        let (value, rest) = integer(text);
        let value = value.ok_or(Fault::FieldOverflow)?;
        let has_fraction = rest.starts_with('.');
        if has_fraction {
            if !matches!(label, Unit::Julian | Unit::Time | Unit::Second) {
                return Err(Fault::BadFormat);
            }
        } else if !rest.is_empty() {
            return Err(Fault::BadFormat);
        }
        // A number undoes an `epoch` or `infinity` before it.
        self.special = None;
        let (field, mask) = match label {
            Unit::Year => (&mut self.moment.year, YEAR),
            Unit::Month if self.seen & MONTH != 0 && self.seen & HOUR != 0 => {
                (&mut self.moment.minute, MINUTE)
            }
            Unit::Month => (&mut self.moment.month, MONTH),
            Unit::Day => (&mut self.moment.day, DAY),
            Unit::Hour => (&mut self.moment.hour, HOUR),
            Unit::Minute => (&mut self.moment.minute, MINUTE),
            Unit::Second => {
                let mut mask = SECOND;
                if has_fraction {
                    self.moment.microsecond = fraction_microseconds(rest)?;
                    mask |= SUBSECOND;
                }
                (&mut self.moment.second, mask)
            }
            Unit::Julian => {
                self.julian(value)?;
                if !has_fraction {
                    return Ok(DATE);
                }
                #[expect(clippy::cast_possible_truncation, reason = "a fraction of a day")]
                self.set_time((fraction(rest)? * calendar::DAY as f64) as i64);
                return Ok(DATE | TIME);
            }
            Unit::Time => {
                let mask = self.run_together(text, self.seen | DATE)?;
                return if mask == TIME { Ok(TIME) } else { Err(Fault::BadFormat) };
            }
            _ => return Err(Fault::BadFormat),
        };
        *field = value;
        Ok(mask)
    }

    fn word(&mut self, fields: &[Field], at: usize, text: &str) -> Result<Mask, Fault> {
        if let Some(abbreviation) = abbreviations::lookup(text.as_bytes()) {
            return self.abbreviation(abbreviation, text);
        }
        let Some(word) = date_word(text) else {
            self.zone = Zone::Named(TimeZone::named(text).ok_or(Fault::BadFormat)?);
            return Ok(ZONE);
        };
        if self.time_only
            && matches!(
                word,
                Word::Late
                    | Word::Early
                    | Word::Epoch
                    | Word::Yesterday
                    | Word::Today
                    | Word::Tomorrow
                    | Word::Month(_)
                    | Word::Weekday
            )
        {
            return Err(Fault::BadFormat);
        }
        Ok(match word {
            Word::Ignored => 0,
            Word::Late => self.special(Decoded::Late),
            Word::Early => self.special(Decoded::Early),
            Word::Epoch => self.special(Decoded::Epoch),
            Word::Now => {
                let (now, west) = now_in_zone(self.context);
                self.special = None;
                if self.time_only {
                    self.set_time(now.time());
                    return Ok(TIME);
                }
                self.moment = now;
                self.west = west;
                DATE | TIME | ZONE
            }
            Word::Yesterday => self.relative_date(-1),
            Word::Today => self.relative_date(0),
            Word::Tomorrow => self.relative_date(1),
            Word::Zulu => {
                self.special = None;
                let microsecond = self.moment.microsecond;
                self.set_time(0);
                self.moment.microsecond = microsecond;
                self.west = 0;
                TIME | ZONE
            }
            Word::Month(month) => {
                let mut mask = MONTH;
                if self.seen & MONTH != 0
                    && !self.text_month
                    && self.seen & DAY == 0
                    && (1..=31).contains(&self.moment.month)
                {
                    // What was taken for the month was the day.
                    self.moment.day = self.moment.month;
                    mask = DAY;
                }
                self.text_month = true;
                self.moment.month = month;
                mask
            }
            Word::Weekday => WEEKDAY,
            Word::Pm(pm) => {
                self.pm = Some(pm);
                MERIDIAN
            }
            Word::Bc(bc) => {
                self.bc = bc;
                ERA
            }
            Word::DaylightModifier => {
                self.west -= 3600;
                DAYLIGHT | DAYLIGHT_MODIFIER
            }
            Word::Unit(unit) => {
                self.label = Some(unit);
                0
            }
            Word::IsoTime => {
                if !self.time_only && self.seen & DATE != DATE {
                    return Err(Fault::BadFormat);
                }
                let next = fields.get(at + 1).map(|field| field.kind);
                if !matches!(next, Some(Kind::Number | Kind::Time | Kind::Date)) {
                    return Err(Fault::BadFormat);
                }
                self.label = Some(Unit::Time);
                0
            }
        })
    }

    fn special(&mut self, special: Decoded) -> Mask {
        self.special = Some(special);
        RESERVED
    }

    fn relative_date(&mut self, days: i64) -> Mask {
        self.special = None;
        self.set_days(now_in_zone(self.context).0.days() + days);
        DATE
    }

    fn abbreviation(&mut self, abbreviation: Abbreviation, text: &str) -> Result<Mask, Fault> {
        match abbreviation {
            Abbreviation::Standard(east) => {
                self.west = -east;
                Ok(ZONE)
            }
            Abbreviation::Daylight(east) => {
                self.west = -east;
                Ok(ZONE | DAYLIGHT)
            }
            Abbreviation::Zone(name) => {
                let zone = TimeZone::named(name).ok_or_else(|| {
                    Fault::Raised(
                        SqlError::new(
                            SqlState::ConfigFileError,
                            format!("time zone \"{name}\" not recognized"),
                        )
                        .detail(format!(
                            "This time zone name appears in the configuration file for time zone abbreviation \"{text}\"."
                        )),
                    )
                })?;
                self.zone = Zone::Abbreviated(zone, text.to_owned());
                Ok(ZONE | DYNAMIC_ZONE)
            }
        }
    }

    /// Settles era, century and day of year; checks month and day.
    fn finish_date(&mut self) -> Result<(), Fault> {
        let moment = &mut self.moment;
        if self.seen & YEAR != 0 && !self.is_julian {
            if self.bc {
                if moment.year <= 0 {
                    return Err(Fault::FieldOverflow);
                }
                moment.year = 1 - moment.year;
            } else if self.two_digit_year {
                match moment.year {
                    ..0 => return Err(Fault::FieldOverflow),
                    0..70 => moment.year += 2000,
                    70..100 => moment.year += 1900,
                    _ => {}
                }
            } else if moment.year <= 0 {
                return Err(Fault::FieldOverflow);
            }
        }
        if self.seen & DAY_OF_YEAR != 0 {
            let first = calendar::days_from_civil(moment.year.into(), 1, 1);
            let days = first + i64::from(self.day_of_year) - 1;
            (moment.year, moment.month, moment.day) = calendar::civil_from_days(days);
        }
        if self.seen & MONTH != 0 && !(1..=12).contains(&moment.month) {
            return Err(Fault::MonthDayOverflow);
        }
        if self.seen & DAY != 0 && !(1..=31).contains(&moment.day) {
            return Err(Fault::MonthDayOverflow);
        }
        if self.seen & DATE == DATE
            && moment.day > calendar::days_in_month(moment.year, moment.month)
        {
            return Err(Fault::FieldOverflow);
        }
        Ok(())
    }

    fn finish_meridian(&mut self) -> Result<(), Fault> {
        let hour = &mut self.moment.hour;
        match self.pm {
            Some(_) if *hour > 12 => return Err(Fault::FieldOverflow),
            Some(false) if *hour == 12 => *hour = 0,
            Some(true) if *hour != 12 => *hour += 12,
            _ => {}
        }
        Ok(())
    }

    /// Seconds west of UTC at this time, on the date given or today.
    fn finish_zone(&self, date: Option<Moment>) -> Result<i32, Fault> {
        let has_modifier = self.seen & DAYLIGHT_MODIFIER != 0;
        if has_modifier && (self.seen & ZONE == 0 || !matches!(self.zone, Zone::Offset)) {
            return Err(Fault::BadFormat);
        }
        let local = || {
            if date.is_some() && self.seen & DATE != DATE {
                return Err(Fault::BadFormat);
            }
            let date = date.unwrap_or_else(|| now_in_zone(self.context).0);
            let Moment { year, month, day, .. } = date;
            let moment = Moment { year, month, day, ..self.moment };
            Ok(if moment.is_julian() { moment.local() } else { 0 })
        };
        Ok(match &self.zone {
            Zone::Offset if self.seen & ZONE != 0 => self.west,
            Zone::Offset => -self.context.settings.time_zone.offset_of_local(local()?),
            Zone::Named(zone) => match zone.fixed_offset() {
                Some(east) => -east,
                None if date.is_none() => return Err(Fault::BadFormat),
                None => -zone.offset_of_local(local()?),
            },
            Zone::Abbreviated(zone, abbreviation) => {
                -zone.offset_of_abbreviation(abbreviation, local()?)
            }
        })
    }
}

/// 22023 for the name of a zone in a text.
pub(crate) fn unknown_zone(name: &str) -> SqlError {
    SqlError::new(SqlState::InvalidParameterValue, format!("time zone \"{name}\" not recognized"))
}
