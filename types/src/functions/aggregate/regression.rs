//! Linear regression over pairs `(y, x)`, by the method of Youngs and Cramer.

use super::super::float::overflow;
use super::Accumulator;
use crate::context::CallContext;
use crate::datum::Datum;
use crate::error::SqlResult;

/// Which number is asked for.
#[derive(Clone, Copy)]
pub(super) enum Of {
    Count,
    SumXx,
    SumYy,
    SumXy,
    AverageX,
    AverageY,
    Determination,
    Slope,
    Intercept,
    PopulationCovariance,
    SampleCovariance,
    Correlation,
}

/// The sums over the pairs of which neither is NULL.
pub(super) struct Pairs {
    of: Of,
    count: f64,
    x: f64,
    y: f64,
    xx: f64,
    yy: f64,
    xy: f64,
}

impl Pairs {
    pub(super) const fn new(of: Of) -> Self {
        Self { of, count: 0.0, x: 0.0, y: 0.0, xx: 0.0, yy: 0.0, xy: 0.0 }
    }
}

impl Accumulator for Pairs {
    fn update(&mut self, _: &CallContext<'_>, a: &[Datum]) -> SqlResult<()> {
        let (Datum::Float8(y), Datum::Float8(x)) = (&a[0], &a[1]) else { return Ok(()) };
        let (x, y) = (*x, *y);
        let (old_count, old_x, old_y) = (self.count, self.x, self.y);
        self.count += 1.0;
        if matches!(self.of, Of::Count) {
            return Ok(());
        }
        self.x += x;
        self.y += y;
        if old_count > 0.0 {
            let from_x = x * self.count - self.x;
            let from_y = y * self.count - self.y;
            let scale = 1.0 / (self.count * old_count);
            self.xx += from_x * from_x * scale;
            self.yy += from_y * from_y * scale;
            self.xy += from_x * from_y * scale;
            let finite_x = !old_x.is_infinite() && !x.is_infinite();
            let finite_y = !old_y.is_infinite() && !y.is_infinite();
            if (finite_x && (self.x.is_infinite() || self.xx.is_infinite()))
                || (finite_y && (self.y.is_infinite() || self.yy.is_infinite()))
                || (finite_x && finite_y && self.xy.is_infinite())
            {
                return Err(overflow());
            }
            for sum in [&mut self.xx, &mut self.yy, &mut self.xy] {
                if sum.is_infinite() {
                    *sum = f64::NAN;
                }
            }
        } else {
            if !x.is_finite() {
                (self.xx, self.xy) = (f64::NAN, f64::NAN);
            }
            if !y.is_finite() {
                (self.yy, self.xy) = (f64::NAN, f64::NAN);
            }
        }
        Ok(())
    }

    fn finish(&self, _: &CallContext<'_>) -> SqlResult<Datum> {
        let some = self.count >= 1.0;
        let value = match self.of {
            // Rows are counted one by one, which nobody waits for up to 2^53.
            Of::Count => return Ok(Datum::Int8(self.count as i64)),
            Of::SumXx => some.then_some(self.xx),
            Of::SumYy => some.then_some(self.yy),
            Of::SumXy => some.then_some(self.xy),
            Of::AverageX => some.then(|| self.x / self.count),
            Of::AverageY => some.then(|| self.y / self.count),
            Of::PopulationCovariance => some.then(|| self.xy / self.count),
            Of::SampleCovariance => (self.count >= 2.0).then(|| self.xy / (self.count - 1.0)),
            Of::Correlation => (some && self.xx != 0.0 && self.yy != 0.0)
                .then(|| self.xy / (self.xx * self.yy).sqrt()),
            Of::Determination => (some && self.xx != 0.0).then(|| {
                if self.yy == 0.0 { 1.0 } else { (self.xy * self.xy) / (self.xx * self.yy) }
            }),
            Of::Slope => (some && self.xx != 0.0).then(|| self.xy / self.xx),
            Of::Intercept => {
                (some && self.xx != 0.0).then(|| (self.y - self.x * self.xy / self.xx) / self.count)
            }
        };
        Ok(value.map_or(Datum::Null, Datum::Float8))
    }
}
