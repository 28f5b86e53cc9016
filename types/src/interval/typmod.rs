//! The type modifier of `interval`: which fields are kept, and how many digits of seconds.
//!
//! Encoded as PostgreSQL does: the set of fields in the upper half, the precision in the lower.

use super::{Interval, out_of_range};
use crate::datetime::calendar::{HOUR, MINUTE};
use crate::datetime::round_microseconds;
use crate::error::{SqlError, SqlResult};
use crate::sqlstate::SqlState;

/// The fields that a type modifier keeps, such as those of `interval day to minute`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range(i32);

impl Range {
    const MONTH_BIT: i32 = 1 << 1;
    const YEAR_BIT: i32 = 1 << 2;
    const DAY_BIT: i32 = 1 << 3;
    const HOUR_BIT: i32 = 1 << 10;
    const MINUTE_BIT: i32 = 1 << 11;
    const SECOND_BIT: i32 = 1 << 12;
    /// No restriction.
    pub const FULL: Self = Self(0x7fff);
    /// `year`
    pub const YEAR: Self = Self(Self::YEAR_BIT);
    /// `month`
    pub const MONTH: Self = Self(Self::MONTH_BIT);
    /// `year to month`
    pub const YEAR_TO_MONTH: Self = Self(Self::YEAR_BIT | Self::MONTH_BIT);
    /// `day`
    pub const DAY: Self = Self(Self::DAY_BIT);
    /// `hour`
    pub const HOUR: Self = Self(Self::HOUR_BIT);
    /// `minute`
    pub const MINUTE: Self = Self(Self::MINUTE_BIT);
    /// `second`
    pub const SECOND: Self = Self(Self::SECOND_BIT);
    /// `day to hour`
    pub const DAY_TO_HOUR: Self = Self(Self::DAY_BIT | Self::HOUR_BIT);
    /// `day to minute`
    pub const DAY_TO_MINUTE: Self = Self(Self::DAY_TO_HOUR.0 | Self::MINUTE_BIT);
    /// `day to second`
    pub const DAY_TO_SECOND: Self = Self(Self::DAY_TO_MINUTE.0 | Self::SECOND_BIT);
    /// `hour to minute`
    pub const HOUR_TO_MINUTE: Self = Self(Self::HOUR_BIT | Self::MINUTE_BIT);
    /// `hour to second`
    pub const HOUR_TO_SECOND: Self = Self(Self::HOUR_TO_MINUTE.0 | Self::SECOND_BIT);
    /// `minute to second`
    pub const MINUTE_TO_SECOND: Self = Self(Self::MINUTE_BIT | Self::SECOND_BIT);

    /// The range of a type modifier.
    #[must_use]
    pub const fn of(typmod: i32) -> Self {
        if typmod < 0 { Self::FULL } else { Self((typmod >> 16) & 0x7fff) }
    }

    /// The type modifier of this range and a precision of 0 to 6, if it has one.
    #[must_use]
    pub const fn typmod(self, precision: Option<u8>) -> i32 {
        let precision = match precision {
            Some(precision) => precision as i32,
            None => NO_PRECISION,
        };
        (self.0 << 16) | precision
    }
}

const NO_PRECISION: i32 = 0xffff;

/// The interval with what its type modifier does not keep cut off, and its seconds rounded.
///
/// # Errors
/// 22023 for a precision that is none.
pub fn apply_typmod(interval: Interval, typmod: i32) -> SqlResult<Interval> {
    if typmod < 0 {
        return Ok(interval);
    }
    let range = Range::of(typmod);
    let Interval { months, days, microseconds } = interval;
    let cut = |unit: i64| microseconds / unit * unit;
    let mut interval = match range {
        Range::FULL
        | Range::SECOND
        | Range::DAY_TO_SECOND
        | Range::HOUR_TO_SECOND
        | Range::MINUTE_TO_SECOND => interval,
        Range::YEAR => Interval { months: months / 12 * 12, days: 0, microseconds: 0 },
        Range::MONTH | Range::YEAR_TO_MONTH => Interval { months, days: 0, microseconds: 0 },
        Range::DAY => Interval { months, days, microseconds: 0 },
        Range::HOUR | Range::DAY_TO_HOUR => Interval { microseconds: cut(HOUR), ..interval },
        Range::MINUTE | Range::DAY_TO_MINUTE | Range::HOUR_TO_MINUTE => {
            Interval { microseconds: cut(MINUTE), ..interval }
        }
        _ => {
            return Err(SqlError::internal(format!("unrecognized interval typmod: {typmod}")));
        }
    };
    let precision = typmod & 0xffff;
    if precision != NO_PRECISION {
        interval.microseconds = match usize::try_from(precision) {
            Ok(precision @ 0..=6) => {
                round_microseconds(interval.microseconds, precision).ok_or_else(out_of_range)?
            }
            _ => {
                return Err(SqlError::new(
                    SqlState::InvalidParameterValue,
                    format!("interval({precision}) precision must be between 0 and 6"),
                ));
            }
        };
    }
    Ok(interval)
}
