//! `interval`: months, days and microseconds kept apart, as PostgreSQL keeps them.
//!
//! Two intervals compare by their spans, in which a month has 30 days and a day 24 hours: `1 mon`
//! equals `30 days`. Arithmetic never carries from one part to another; `justify_*` does.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use crate::datetime::calendar::DAY;
use crate::error::{SqlError, SqlResult};
use crate::sqlstate::SqlState;

mod arithmetic;
mod input;
mod output;
mod typmod;

pub use input::{interval_in, read};
pub use output::interval_out;
pub use typmod::{Range, apply_typmod};

/// An interval. The three parts do not overflow into each other.
#[derive(Clone, Copy, Debug, Default)]
pub struct Interval {
    /// Years and months.
    pub months: i32,
    /// Days.
    pub days: i32,
    /// Everything below a day, in microseconds.
    pub microseconds: i64,
}

impl Interval {
    /// The length in microseconds, a month counted as 30 days and a day as 24 hours.
    #[must_use]
    pub fn span(&self) -> i128 {
        let days = i128::from(self.months) * 30 + i128::from(self.days);
        days * i128::from(DAY) + i128::from(self.microseconds)
    }
}

impl PartialEq for Interval {
    fn eq(&self, other: &Self) -> bool {
        self.span() == other.span()
    }
}

impl Eq for Interval {}

impl PartialOrd for Interval {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Interval {
    fn cmp(&self, other: &Self) -> Ordering {
        self.span().cmp(&other.span())
    }
}

impl Hash for Interval {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.span().hash(state);
    }
}

/// 22008
pub(crate) fn out_of_range() -> SqlError {
    SqlError::new(SqlState::DatetimeFieldOverflow, "interval out of range")
}

/// The interval of three parts computed wider than they are kept.
pub(crate) fn checked(months: i64, days: i64, microseconds: i128) -> SqlResult<Interval> {
    let make = || {
        Some(Interval {
            months: i32::try_from(months).ok()?,
            days: i32::try_from(days).ok()?,
            microseconds: i64::try_from(microseconds).ok()?,
        })
    };
    make().ok_or_else(out_of_range)
}
