//! `generate_series` over timestamps.

use super::SetTable;
use crate::datetime::arithmetic::{Clock, plus_interval};
use crate::datum::Datum;
use crate::error::{SqlError, SqlResult};
use crate::interval::Interval;
use crate::sqlstate::SqlState;
use crate::timezone::TimeZone;

struct Series {
    next: Option<i64>,
    finish: i64,
    step: Interval,
    /// The session's zone, for `timestamptz`.
    zone: Option<TimeZone>,
}

impl Series {
    fn new(start: i64, finish: i64, step: Interval, zone: Option<TimeZone>) -> SqlResult<Self> {
        if step.span() == 0 {
            return Err(SqlError::new(
                SqlState::InvalidParameterValue,
                "step size cannot equal zero",
            ));
        }
        Ok(Self { next: Some(start), finish, step, zone })
    }
}

impl Iterator for Series {
    type Item = SqlResult<Datum>;

    fn next(&mut self) -> Option<Self::Item> {
        let current = self.next?;
        let is_over =
            if self.step.span() > 0 { current > self.finish } else { current < self.finish };
        if is_over {
            self.next = None;
            return None;
        }
        let clock = self.zone.as_ref().map_or(Clock::Plain, Clock::In);
        match plus_interval(current, &self.step, false, clock) {
            Ok(next) => self.next = Some(next),
            Err(error) => {
                self.next = None;
                return Some(Err(error));
            }
        }
        Some(Ok(match self.zone {
            Some(_) => Datum::Timestamptz(current),
            None => Datum::Timestamp(current),
        }))
    }
}

pub(super) static TABLE: SetTable = &[
    ("generate_series_timestamp", |_, a| {
        let (start, finish) = (a[0].as_timestamp(), a[1].as_timestamp());
        Ok(Box::new(Series::new(start, finish, a[2].as_interval(), None)?))
    }),
    ("generate_series_timestamptz", |context, a| {
        let (start, finish) = (a[0].as_timestamptz(), a[1].as_timestamptz());
        let zone = context.eval.settings.time_zone.clone();
        Ok(Box::new(Series::new(start, finish, a[2].as_interval(), Some(zone))?))
    }),
];
