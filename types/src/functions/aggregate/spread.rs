//! Variance and standard deviation, and the average of floats.
//!
//! Floats by the method of Youngs and Cramer (1971), which keeps the sum of squared differences
//! from the mean; integers and numerics exactly, by the sums of values and of squares.

use super::super::float::overflow;
use super::Accumulator;
use super::sum::integer;
use crate::context::CallContext;
use crate::datum::Datum;
use crate::error::SqlResult;
use crate::numeric::Numeric;

/// Which number is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Statistic {
    Average,
    PopulationVariance,
    SampleVariance,
    PopulationDeviation,
    SampleDeviation,
}

impl Statistic {
    const fn is_sample(self) -> bool {
        matches!(self, Self::SampleVariance | Self::SampleDeviation)
    }

    const fn is_deviation(self) -> bool {
        matches!(self, Self::PopulationDeviation | Self::SampleDeviation)
    }
}

/// Over float4 and float8.
pub(super) struct Floats {
    statistic: Statistic,
    count: f64,
    sum: f64,
    squares: f64,
}

impl Floats {
    pub(super) const fn new(statistic: Statistic) -> Self {
        Self { statistic, count: 0.0, sum: 0.0, squares: 0.0 }
    }
}

impl Accumulator for Floats {
    fn update(&mut self, _: &CallContext<'_>, a: &[Datum]) -> SqlResult<()> {
        let value = match a[0] {
            Datum::Float4(value) => f64::from(value),
            Datum::Float8(value) => value,
            _ => return Ok(()),
        };
        let before = (self.count, self.sum);
        self.count += 1.0;
        self.sum += value;
        if before.0 > 0.0 {
            let difference = value * self.count - self.sum;
            self.squares += difference * difference / (self.count * before.0);
            if self.sum.is_infinite() || self.squares.is_infinite() {
                if !before.1.is_infinite() && !value.is_infinite() {
                    return Err(overflow());
                }
                self.squares = f64::NAN;
            }
        } else if !value.is_finite() {
            self.squares = f64::NAN;
        }
        Ok(())
    }

    fn finish(&self, _: &CallContext<'_>) -> SqlResult<Datum> {
        let divisor = if self.statistic.is_sample() { self.count - 1.0 } else { self.count };
        if divisor <= 0.0 {
            return Ok(Datum::Null);
        }
        Ok(Datum::Float8(match self.statistic {
            Statistic::Average => self.sum / divisor,
            statistic if statistic.is_deviation() => (self.squares / divisor).sqrt(),
            _ => self.squares / divisor,
        }))
    }
}

/// Over int2, int4, int8 and numeric.
pub(super) struct Exact {
    statistic: Statistic,
    count: i64,
    sum: Numeric,
    squares: Numeric,
}

impl Exact {
    pub(super) fn new(statistic: Statistic) -> Self {
        let zero = || Numeric::from(0_i64);
        Self { statistic, count: 0, sum: zero(), squares: zero() }
    }
}

impl Accumulator for Exact {
    fn update(&mut self, _: &CallContext<'_>, a: &[Datum]) -> SqlResult<()> {
        let value = match &a[0] {
            Datum::Numeric(value) => value.clone(),
            other => match integer(other) {
                Some(value) => Numeric::from(value),
                None => return Ok(()),
            },
        };
        self.count += 1;
        self.sum = self.sum.add(&value)?;
        self.squares = self.squares.add(&value.mul(&value)?)?;
        Ok(())
    }

    fn finish(&self, _: &CallContext<'_>) -> SqlResult<Datum> {
        let divisor = if self.statistic.is_sample() { self.count - 1 } else { self.count };
        if divisor <= 0 {
            return Ok(Datum::Null);
        }
        // N·Σx² - (Σx)², which is N times the sum of squared differences from the mean.
        let count = Numeric::from(self.count);
        let spread = self.squares.mul(&count)?.sub(&self.sum.mul(&self.sum)?)?;
        if spread.signum().is_some_and(std::cmp::Ordering::is_le) {
            return Ok(Datum::Numeric(Numeric::from(0_i64)));
        }
        let variance = spread.div(&count.mul(&Numeric::from(divisor))?)?;
        if !self.statistic.is_deviation() {
            return Ok(Datum::Numeric(variance));
        }
        // The deviation is shown with as many digits as the variance, fewer than a root of its own;
        // the root is taken with many more, so that it is in effect rounded once.
        Ok(Datum::Numeric(match variance.display_scale().map(i32::from) {
            Some(scale) => variance.round(scale + 24)?.sqrt()?.round(scale)?,
            None => variance,
        }))
    }
}
