//! The proleptic Gregorian calendar: days and microseconds to fields and back.
//!
//! Years are astronomical: 0 is 1 BC, -1 is 2 BC.

/// Microseconds in a second.
pub const SECOND: i64 = 1_000_000;
/// Microseconds in a minute.
pub const MINUTE: i64 = 60 * SECOND;
/// Microseconds in an hour.
pub const HOUR: i64 = 60 * MINUTE;
/// Microseconds in a day.
pub const DAY: i64 = 24 * HOUR;
/// The Julian day number of 2000-01-01.
pub const EPOCH_JULIAN: i64 = 2_451_545;
/// The first timestamp, 4714-11-24 BC 00:00.
pub const FIRST_TIMESTAMP: i64 = -211_813_488_000_000_000;
/// The first instant beyond timestamps, 294277-01-01 00:00.
pub const END_TIMESTAMP: i64 = 9_223_371_331_200_000_000;
/// The first date, 4714-11-24 BC.
pub const FIRST_DATE: i32 = -2_451_545;
/// The first day beyond dates, 5874898-01-01.
pub const END_DATE: i32 = 2_145_031_949;
/// 1970-01-01 as days since 2000-01-01.
pub const UNIX_EPOCH_DATE: i32 = -10_957;

/// A date and a time of day, field by field. Fields may be out of range while text is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// Astronomical year.
    pub year: i32,
    /// 1 to 12.
    pub month: i32,
    /// 1 to 31.
    pub day: i32,
    /// 0 to 24.
    pub hour: i32,
    /// 0 to 59.
    pub minute: i32,
    /// 0 to 60.
    pub second: i32,
    /// 0 to 1,000,000.
    pub microsecond: i32,
}

/// Whether a year has a 29th of February.
#[must_use]
pub const fn is_leap(year: i32) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// Days in a month, 1 to 12.
#[must_use]
pub const fn days_in_month(year: i32, month: i32) -> i32 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 2000-01-01 of any year, month and day; months and days may be beyond their range.
#[must_use]
pub const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year + (month - 1).div_euclid(12);
    let month = (month - 1).rem_euclid(12) + 1;
    // Years that begin in March, so that the leap day is the last.
    let year = if month <= 2 { year - 1 } else { year };
    let cycle = year.div_euclid(400);
    let year_of_cycle = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_cycle = year_of_cycle * 365 + year_of_cycle / 4 - year_of_cycle / 100 + day_of_year;
    // 0000-03-01 is 730,425 days before 2000-01-01.
    cycle * 146_097 + day_of_cycle - 730_425
}

/// Year, month and day of days since 2000-01-01.
#[must_use]
pub fn civil_from_days(days: i64) -> (i32, i32, i32) {
    let days = days + 730_425;
    let cycle = days.div_euclid(146_097);
    let day_of_cycle = days.rem_euclid(146_097);
    let year_of_cycle =
        (day_of_cycle - day_of_cycle / 1460 + day_of_cycle / 36_524 - day_of_cycle / 146_096) / 365;
    let day_of_year =
        day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = cycle * 400 + year_of_cycle + i64::from(month <= 2);
    (year as i32, month as i32, day as i32)
}

/// Day of the week of days since 2000-01-01: 0 is Sunday.
#[must_use]
pub const fn weekday(days: i64) -> i32 {
    // 2000-01-01 was a Saturday.
    (days + 6).rem_euclid(7) as i32
}

impl Moment {
    /// The fields of microseconds since 2000-01-01.
    #[must_use]
    pub fn from_microseconds(microseconds: i64) -> Self {
        let (year, month, day) = civil_from_days(microseconds.div_euclid(DAY));
        Self { year, month, day, ..Self::from_time(microseconds.rem_euclid(DAY)) }
    }

    /// The fields of microseconds since midnight, without a date.
    #[must_use]
    pub fn from_time(time: i64) -> Self {
        Self {
            hour: (time / HOUR) as i32,
            minute: (time / MINUTE % 60) as i32,
            second: (time / SECOND % 60) as i32,
            microsecond: (time % SECOND) as i32,
            ..Self::default()
        }
    }

    /// Days since 2000-01-01.
    #[must_use]
    pub fn days(&self) -> i64 {
        days_from_civil(self.year.into(), self.month.into(), self.day.into())
    }

    /// Microseconds since midnight.
    #[must_use]
    pub fn time(&self) -> i64 {
        // Hours up to i32::MAX make 7.8e18: within i64.
        i64::from(self.hour) * HOUR
            + i64::from(self.minute) * MINUTE
            + i64::from(self.second) * SECOND
            + i64::from(self.microsecond)
    }

    /// Microseconds since 2000-01-01, saturating: for asking a zone about this local time.
    #[must_use]
    pub fn local(&self) -> i64 {
        self.days().saturating_mul(DAY).saturating_add(self.time())
    }

    /// The timestamp that is this moment at an offset west of UTC; `None` if out of range.
    #[must_use]
    pub fn timestamp(&self, west_seconds: i32) -> Option<i64> {
        if !self.is_julian() {
            return None;
        }
        let microseconds = i128::from(self.days()) * i128::from(DAY)
            + i128::from(self.time())
            + i128::from(west_seconds) * i128::from(SECOND);
        i64::try_from(microseconds).ok().filter(|timestamp| is_timestamp(*timestamp))
    }

    /// Whether the date is one that has a Julian day number (a little beyond the last date).
    #[must_use]
    pub const fn is_julian(&self) -> bool {
        (self.year > -4713 || (self.year == -4713 && self.month >= 11))
            && (self.year < 5_874_898 || (self.year == 5_874_898 && self.month < 6))
    }

    /// Whether the time of day is one between 00:00:00 and 24:00:00, 23:59:60 included.
    #[must_use]
    pub fn is_time(&self) -> bool {
        (0..=24).contains(&self.hour)
            && (0..60).contains(&self.minute)
            && (0..=60).contains(&self.second)
            && (0..=1_000_000).contains(&self.microsecond)
            && self.time() <= DAY
    }
}

/// Whether this is a finite timestamp.
#[must_use]
pub const fn is_timestamp(microseconds: i64) -> bool {
    FIRST_TIMESTAMP <= microseconds && microseconds < END_TIMESTAMP
}

/// Whether this is a finite date.
#[must_use]
pub const fn is_date(days: i64) -> bool {
    (FIRST_DATE as i64) <= days && days < END_DATE as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_fields_agree_over_all_of_the_calendar() {
        assert_eq!(days_from_civil(2000, 1, 1), 0);
        assert_eq!(days_from_civil(1970, 1, 1), UNIX_EPOCH_DATE.into());
        assert_eq!(civil_from_days(FIRST_DATE.into()), (-4713, 11, 24));
        assert_eq!(civil_from_days(i64::from(END_DATE) - 1), (5_874_897, 12, 31));
        assert_eq!(END_TIMESTAMP / DAY, days_from_civil(294_277, 1, 1));
        assert_eq!(weekday(0), 6);
        let mut last = civil_from_days(-800_000);
        for days in -799_999..800_000 {
            let (year, month, day) = civil_from_days(days);
            assert!((year, month, day) > last && day <= days_in_month(year, month));
            assert_eq!(days_from_civil(year.into(), month.into(), day.into()), days);
            last = (year, month, day);
        }
    }
}
