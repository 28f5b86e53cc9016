//! `RANGE` with an offset: whether a key lies within a distance of another, exactly, as the
//! `in_range` functions of PostgreSQL's operator families answer it.

use std::cmp::Ordering;

use aegis_types::datetime::arithmetic::{Clock, date_to_timestamp, plus_interval};
use aegis_types::interval::Interval;
use aegis_types::{Datum, EvalContext, SqlError, SqlResult, SqlState, compare, type_oid};

/// A limit of a frame: at a distance from the current row's key.
pub(super) struct Limit<'a> {
    pub(super) offset: &'a Datum,
    /// Whether the distance is subtracted.
    pub(super) minus: bool,
    /// Whether keys up to the limit are within it, or those from it on.
    pub(super) up_to: bool,
}

/// The sum of a key and a distance, in a form that keys are compared with.
enum Sum {
    Integer(i128),
    Datum(aegis_types::Oid, Datum),
    /// Beyond everything that the type has, and everything is within it.
    Everything,
}

impl Limit<'_> {
    /// Which keys of those in `keys`, none of them NULL, are within the limit from `base`.
    pub(super) fn within(
        &self,
        base: &Datum,
        eval: &EvalContext<'_>,
    ) -> SqlResult<impl Fn(&Datum) -> bool + use<>> {
        let sum = self.sum(base, eval)?;
        let up_to = self.up_to;
        Ok(move |key: &Datum| {
            let order = match &sum {
                Sum::Everything => return true,
                Sum::Integer(sum) => integer(key).unwrap_or(0).cmp(sum),
                Sum::Datum(ty, sum) => compare::compare(*ty, &comparable(key), sum),
            };
            if up_to { order != Ordering::Greater } else { order != Ordering::Less }
        })
    }

    fn sum(&self, base: &Datum, eval: &EvalContext<'_>) -> SqlResult<Sum> {
        let sign = if self.minus { -1 } else { 1 };
        if let (Some(base), Some(offset)) = (integer(base), integer(self.offset)) {
            return if offset < 0 {
                Err(negative())
            } else {
                Ok(Sum::Integer(base + sign * offset))
            };
        }
        match (comparable(base), self.offset) {
            (Datum::Float8(base), Datum::Float8(offset)) => {
                if offset.is_nan() || *offset < 0.0 {
                    return Err(negative());
                }
                let far = if self.minus { f64::INFINITY } else { f64::NEG_INFINITY };
                if offset.is_infinite() && base == far {
                    return Ok(Sum::Everything);
                }
                let sum = if self.minus { base - offset } else { base + offset };
                Ok(Sum::Datum(type_oid::FLOAT8, Datum::Float8(sum)))
            }
            (Datum::Numeric(base), Datum::Numeric(offset)) => {
                if offset.is_nan() || offset.signum() == Some(Ordering::Less) {
                    return Err(negative());
                }
                let far = if self.minus { Ordering::Greater } else { Ordering::Less };
                if offset.is_infinite() && base.is_infinite() && base.signum() == Some(far) {
                    return Ok(Sum::Everything);
                }
                let sum = if self.minus { base.sub(offset)? } else { base.add(offset)? };
                Ok(Sum::Datum(type_oid::NUMERIC, Datum::Numeric(sum)))
            }
            (base, Datum::Interval(offset)) => self.later(&base, offset, eval),
            (base, offset) => {
                Err(SqlError::internal(format!("a frame of {offset:?} around {base:?}")))
            }
        }
    }

    fn later(&self, base: &Datum, offset: &Interval, eval: &EvalContext<'_>) -> SqlResult<Sum> {
        let elapsed = i128::from(offset.microseconds);
        let sign = if self.minus { -1 } else { 1 };
        let sum = match base {
            // Days and months of the offset do not matter to a time of day.
            Datum::Time(_) | Datum::Timetz(..) if offset.microseconds < 0 => return Err(negative()),
            Datum::Time(base) => return Ok(Sum::Integer(i128::from(*base) + sign * elapsed)),
            Datum::Timetz(base, zone) => {
                let sum = i128::from(*base) + sign * elapsed;
                let sum = i64::try_from(sum)
                    .unwrap_or(if self.minus { i64::MIN / 2 } else { i64::MAX / 2 })
                    .clamp(i64::MIN / 2, i64::MAX / 2);
                return Ok(Sum::Datum(type_oid::TIMETZ, Datum::Timetz(sum, *zone)));
            }
            _ if offset.span() < 0 => return Err(negative()),
            Datum::Timestamp(base) => {
                let sum = plus_interval(*base, offset, self.minus, Clock::Plain)?;
                (type_oid::TIMESTAMP, Datum::Timestamp(sum))
            }
            Datum::Timestamptz(base) => {
                let clock = Clock::In(&eval.settings.time_zone);
                let sum = plus_interval(*base, offset, self.minus, clock)?;
                (type_oid::TIMESTAMPTZ, Datum::Timestamptz(sum))
            }
            Datum::Interval(base) => {
                let sum = if self.minus { base.sub(offset)? } else { base.add(offset)? };
                (type_oid::INTERVAL, Datum::Interval(sum))
            }
            other => return Err(SqlError::internal(format!("a frame around {other:?}"))),
        };
        Ok(Sum::Datum(sum.0, sum.1))
    }
}

/// The value of an integer, or of a time of day in microseconds.
fn integer(value: &Datum) -> Option<i128> {
    match value {
        Datum::Int2(value) => Some((*value).into()),
        Datum::Int4(value) => Some((*value).into()),
        Datum::Int8(value) | Datum::Time(value) => Some((*value).into()),
        _ => None,
    }
}

/// A key as its sums are: dates are compared as timestamps, and single floats as double ones.
fn comparable(value: &Datum) -> Datum {
    match value {
        Datum::Float4(value) => Datum::Float8((*value).into()),
        // A date beyond all timestamps is beyond every sum, too.
        Datum::Date(date) => {
            Datum::Timestamp(date_to_timestamp(*date, Clock::Plain).unwrap_or(i64::MAX))
        }
        other => other.clone(),
    }
}

fn negative() -> SqlError {
    SqlError::new(
        SqlState::InvalidPrecedingOrFollowingSize,
        "invalid preceding or following size in window function",
    )
}
