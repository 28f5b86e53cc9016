//! Arithmetic of intervals.

use super::{Interval, checked, out_of_range};
use crate::datetime::calendar::DAY;
use crate::error::{SqlError, SqlResult};
use crate::sqlstate::SqlState;

/// Seconds in a day, as a float.
const DAY_SECONDS: f64 = 86_400.0;

/// A number with everything below a microsecond's digit rounded away (half to even).
fn to_microsecond(number: f64) -> f64 {
    (number * 1_000_000.0).round_ties_even() / 1_000_000.0
}

/// A whole float as `i32`.
#[expect(clippy::cast_possible_truncation, reason = "checked")]
fn whole(number: f64) -> SqlResult<i32> {
    if number.is_nan() || number < f64::from(i32::MIN) || number > f64::from(i32::MAX) {
        return Err(out_of_range());
    }
    Ok(number as i32)
}

impl Interval {
    /// The sum, part by part.
    ///
    /// # Errors
    /// 22008 on overflow.
    pub fn add(&self, other: &Self) -> SqlResult<Self> {
        checked(
            i64::from(self.months) + i64::from(other.months),
            i64::from(self.days) + i64::from(other.days),
            i128::from(self.microseconds) + i128::from(other.microseconds),
        )
    }

    /// The difference, part by part.
    ///
    /// # Errors
    /// 22008 on overflow.
    pub fn sub(&self, other: &Self) -> SqlResult<Self> {
        checked(
            i64::from(self.months) - i64::from(other.months),
            i64::from(self.days) - i64::from(other.days),
            i128::from(self.microseconds) - i128::from(other.microseconds),
        )
    }

    /// The negative.
    ///
    /// # Errors
    /// 22008 on overflow.
    pub fn neg(&self) -> SqlResult<Self> {
        Self::default().sub(self)
    }

    /// The product; fractions of months go to days, fractions of days to the time.
    ///
    /// # Errors
    /// 22008 on overflow or NaN.
    pub fn mul(&self, factor: f64) -> SqlResult<Self> {
        self.scaled(|part| part * factor)
    }

    /// The quotient, likewise.
    ///
    /// # Errors
    /// 22012, 22008.
    pub fn div(&self, divisor: f64) -> SqlResult<Self> {
        if divisor == 0.0 {
            return Err(SqlError::new(SqlState::DivisionByZero, "division by zero"));
        }
        self.scaled(|part| part / divisor)
    }

    fn scaled(&self, scale: impl Fn(f64) -> f64) -> SqlResult<Self> {
        let (exact_months, exact_days) = (scale(self.months.into()), scale(self.days.into()));
        let months = whole(exact_months)?;
        let mut days = whole(exact_days)?;
        let month_days = to_microsecond((exact_months - f64::from(months)) * 30.0);
        let mut seconds =
            (exact_days - f64::from(days) + month_days - month_days.trunc()) * DAY_SECONDS;
        seconds = to_microsecond(seconds);
        // Rounding, or two fractions together, may have made a whole day.
        if seconds.abs() >= DAY_SECONDS {
            let carried = whole((seconds / DAY_SECONDS).trunc())?;
            days = days.checked_add(carried).ok_or_else(out_of_range)?;
            seconds -= f64::from(carried) * DAY_SECONDS;
        }
        days = days.checked_add(whole(month_days)?).ok_or_else(out_of_range)?;
        let time = (scale(self.microseconds as f64) + seconds * 1_000_000.0).round_ties_even();
        #[expect(clippy::cast_possible_truncation, reason = "checked")]
        if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&time) {
            Ok(Self { months, days, microseconds: time as i64 })
        } else {
            Err(out_of_range())
        }
    }

    /// `justify_hours`: whole days of the time moved to the days.
    ///
    /// # Errors
    /// 22008 on overflow.
    pub fn justify_hours(&self) -> SqlResult<Self> {
        let days = i64::from(self.days) + self.microseconds / DAY;
        let (days, time) = same_sign(days, self.microseconds % DAY, DAY);
        checked(self.months.into(), days, time.into())
    }

    /// `justify_days`: every 30 days moved to the months.
    ///
    /// # Errors
    /// 22008 on overflow.
    pub fn justify_days(&self) -> SqlResult<Self> {
        let months = i64::from(self.months) + i64::from(self.days / 30);
        let (months, days) = same_sign(months, i64::from(self.days % 30), 30);
        checked(months, days, self.microseconds.into())
    }

    /// `justify_interval`: both, and all parts of one sign.
    ///
    /// # Errors
    /// 22008 on overflow.
    pub fn justify_interval(&self) -> SqlResult<Self> {
        let days = i64::from(self.days) + self.microseconds / DAY;
        let time = self.microseconds % DAY;
        let months = i64::from(self.months) + days / 30;
        let mut days = days % 30;
        let mut months = months;
        if months > 0 && (days < 0 || (days == 0 && time < 0)) {
            days += 30;
            months -= 1;
        } else if months < 0 && (days > 0 || (days == 0 && time > 0)) {
            days -= 30;
            months += 1;
        }
        let (days, time) = same_sign(days, time, DAY);
        checked(months, days, time.into())
    }
}

/// Moves one larger unit, worth `size` smaller ones, where the two parts differ in sign.
fn same_sign(large: i64, small: i64, size: i64) -> (i64, i64) {
    if large > 0 && small < 0 {
        (large - 1, small + size)
    } else if large < 0 && small > 0 {
        (large + 1, small - size)
    } else {
        (large, small)
    }
}
