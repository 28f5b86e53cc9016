//! `sum` and `avg`.
//!
//! Integers add up in 128 bits, which 2^64 rows cannot overflow; `avg` of them is a numeric, with
//! the digits that a division of numerics gives.

use super::super::float;
use super::Accumulator;
use crate::context::CallContext;
use crate::datum::Datum;
use crate::error::SqlResult;
use crate::integer::out_of_range;
use crate::interval::Interval;
use crate::numeric::Numeric;

/// What becomes of a sum of integers.
#[derive(Clone, Copy)]
pub(super) enum Finish {
    Int8,
    Numeric,
    Average,
}

/// `sum` and `avg` of int2, int4 and int8.
pub(super) struct Integers {
    finish: Finish,
    count: i64,
    sum: i128,
}

impl Integers {
    pub(super) const fn new(finish: Finish) -> Self {
        Self { finish, count: 0, sum: 0 }
    }
}

/// An integer of any width.
pub(super) fn integer(value: &Datum) -> Option<i64> {
    match value {
        Datum::Int2(value) => Some(i64::from(*value)),
        Datum::Int4(value) => Some(i64::from(*value)),
        Datum::Int8(value) => Some(*value),
        _ => None,
    }
}

impl Accumulator for Integers {
    fn update(&mut self, _: &CallContext<'_>, a: &[Datum]) -> SqlResult<()> {
        if let Some(value) = integer(&a[0]) {
            self.count += 1;
            self.sum += i128::from(value);
        }
        Ok(())
    }

    fn retract(&mut self, _: &CallContext<'_>, a: &[Datum]) -> SqlResult<bool> {
        if let Some(value) = integer(&a[0]) {
            self.count -= 1;
            self.sum -= i128::from(value);
        }
        Ok(true)
    }

    fn finish(&self, _: &CallContext<'_>) -> SqlResult<Datum> {
        if self.count == 0 {
            return Ok(Datum::Null);
        }
        Ok(match self.finish {
            Finish::Int8 => {
                Datum::Int8(i64::try_from(self.sum).map_err(|_| out_of_range("bigint"))?)
            }
            Finish::Numeric => Datum::Numeric(Numeric::from_i128(self.sum)),
            Finish::Average => {
                Datum::Numeric(Numeric::from_i128(self.sum).div(&Numeric::from(self.count))?)
            }
        })
    }
}

/// `sum` and `avg` of numeric.
pub(super) struct Numerics {
    average: bool,
    count: i64,
    sum: Option<Numeric>,
}

impl Numerics {
    pub(super) const fn new(average: bool) -> Self {
        Self { average, count: 0, sum: None }
    }
}

impl Accumulator for Numerics {
    fn update(&mut self, _: &CallContext<'_>, a: &[Datum]) -> SqlResult<()> {
        if let Datum::Numeric(value) = &a[0] {
            self.count += 1;
            self.sum = Some(match &self.sum {
                None => value.clone(),
                Some(sum) => sum.add(value)?,
            });
        }
        Ok(())
    }

    fn finish(&self, _: &CallContext<'_>) -> SqlResult<Datum> {
        Ok(match &self.sum {
            None => Datum::Null,
            Some(sum) if self.average => Datum::Numeric(sum.div(&Numeric::from(self.count))?),
            Some(sum) => Datum::Numeric(sum.clone()),
        })
    }
}

/// `sum` of float4.
#[derive(Default)]
pub(super) struct Singles(Option<f32>);

impl Accumulator for Singles {
    fn update(&mut self, _: &CallContext<'_>, a: &[Datum]) -> SqlResult<()> {
        if let Datum::Float4(value) = a[0] {
            self.0 = Some(match self.0 {
                None => value,
                Some(sum) => float::single::pl(sum, value)?,
            });
        }
        Ok(())
    }

    fn finish(&self, _: &CallContext<'_>) -> SqlResult<Datum> {
        Ok(self.0.map_or(Datum::Null, Datum::Float4))
    }
}

/// `sum` of float8.
#[derive(Default)]
pub(super) struct Doubles(Option<f64>);

impl Accumulator for Doubles {
    fn update(&mut self, _: &CallContext<'_>, a: &[Datum]) -> SqlResult<()> {
        if let Datum::Float8(value) = a[0] {
            self.0 = Some(match self.0 {
                None => value,
                Some(sum) => float::double::pl(sum, value)?,
            });
        }
        Ok(())
    }

    fn finish(&self, _: &CallContext<'_>) -> SqlResult<Datum> {
        Ok(self.0.map_or(Datum::Null, Datum::Float8))
    }
}

/// `sum` and `avg` of interval.
pub(super) struct Intervals {
    average: bool,
    count: i64,
    sum: Interval,
}

impl Intervals {
    pub(super) fn new(average: bool) -> Self {
        Self { average, count: 0, sum: Interval::default() }
    }
}

impl Accumulator for Intervals {
    fn update(&mut self, _: &CallContext<'_>, a: &[Datum]) -> SqlResult<()> {
        if let Datum::Interval(value) = &a[0] {
            self.count += 1;
            self.sum = self.sum.add(value)?;
        }
        Ok(())
    }

    fn retract(&mut self, _: &CallContext<'_>, a: &[Datum]) -> SqlResult<bool> {
        if let Datum::Interval(value) = &a[0] {
            self.count -= 1;
            self.sum = self.sum.sub(value)?;
        }
        Ok(true)
    }

    fn finish(&self, _: &CallContext<'_>) -> SqlResult<Datum> {
        if self.count == 0 {
            return Ok(Datum::Null);
        }
        let result = if self.average { self.sum.div(self.count as f64)? } else { self.sum };
        Ok(Datum::Interval(result))
    }
}
