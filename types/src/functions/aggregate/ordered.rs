//! Ordered-set and hypothetical-set aggregates (PostgreSQL's `orderedsetaggs.c`): what comes before
//! `WITHIN GROUP` is given once, then the sorted values row by row.

use std::cmp::Ordering;
use std::sync::Arc;

use super::Accumulator;
use crate::compare::compare;
use crate::context::CallContext;
use crate::datum::{Array, Datum};
use crate::error::{SqlError, SqlResult};
use crate::oid::{Oid, TypeRef};
use crate::sqlstate::SqlState;
use crate::type_oid as t;

/// `percentile_disc`, `percentile_cont` and `mode`.
pub(super) struct Sorted {
    what: What,
    direct: Datum,
    values: Vec<Datum>,
    held: usize,
}

/// Which of them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// `percentile_disc`: a value that is there.
    Discrete,
    /// `percentile_cont`: between two of them.
    Continuous,
    /// `mode`: the most frequent one.
    Mode,
}

impl Sorted {
    pub(super) const fn new(what: What) -> Self {
        Self { what, direct: Datum::Null, values: Vec::new(), held: 0 }
    }

    fn percentile(&self, context: &CallContext<'_>, fraction: f64) -> SqlResult<Datum> {
        let count = self.values.len();
        if self.what == What::Discrete {
            // The first row whose part of all is no smaller than the fraction.
            let row = (fraction * count as f64).ceil().max(1.0) as usize;
            return Ok(self.values[row.min(count) - 1].clone());
        }
        let place = fraction * (count - 1) as f64;
        let (first, second) = (place.floor() as usize, place.ceil() as usize);
        let (low, high) = (&self.values[first], &self.values[second]);
        if first == second {
            return Ok(low.clone());
        }
        between(context, low, high, place - first as f64)
    }

    fn mode(&self, context: &CallContext<'_>) -> Datum {
        let ty = sorted_type(context);
        let mut best: (usize, usize) = (0, 0);
        let mut start = 0;
        for at in 1..=self.values.len() {
            let same = self
                .values
                .get(at)
                .is_some_and(|value| compare(ty, &self.values[start], value) == Ordering::Equal);
            if !same {
                if at - start > best.1 {
                    best = (start, at - start);
                }
                start = at;
            }
        }
        self.values[best.0].clone()
    }
}

impl Accumulator for Sorted {
    fn direct(&mut self, arguments: &[Datum]) {
        self.direct = arguments.first().cloned().unwrap_or(Datum::Null);
    }

    fn update(&mut self, _: &CallContext<'_>, a: &[Datum]) -> SqlResult<()> {
        self.held += a[0].memory_bytes();
        self.values.push(a[0].clone());
        Ok(())
    }

    fn finish(&self, context: &CallContext<'_>) -> SqlResult<Datum> {
        if self.values.is_empty() {
            return Ok(Datum::Null);
        }
        match (&self.direct, self.what) {
            (_, What::Mode) => Ok(self.mode(context)),
            (Datum::Float8(fraction), _) => {
                checked(*fraction)?;
                self.percentile(context, *fraction)
            }
            (Datum::Array(fractions), _) => {
                let mut elements = Vec::with_capacity(fractions.elements.len());
                for fraction in &fractions.elements {
                    if let Datum::Float8(fraction) = fraction {
                        checked(*fraction)?;
                    }
                }
                for fraction in &fractions.elements {
                    elements.push(match fraction {
                        Datum::Float8(fraction) => self.percentile(context, *fraction)?,
                        _ => Datum::Null,
                    });
                }
                let element = sorted_type(context);
                let dimensions = fractions.dimensions.clone();
                Ok(Datum::Array(Arc::new(Array { element, dimensions, elements })))
            }
            _ => Ok(Datum::Null),
        }
    }

    fn size(&self) -> usize {
        self.held
    }
}

/// The type of the values: it follows the direct arguments'.
fn sorted_type(context: &CallContext<'_>) -> Oid {
    context.argument_types.last().map_or(context.result_type.oid, |ty| ty.oid)
}

fn checked(fraction: f64) -> SqlResult<()> {
    if (0.0..=1.0).contains(&fraction) {
        return Ok(());
    }
    Err(SqlError::new(
        SqlState::NumericValueOutOfRange,
        format!("percentile value {} is not between 0 and 1", short(fraction)),
    ))
}

/// A number as C's `%g` prints it.
pub(in crate::functions) fn short(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let scientific = format!("{value:.5e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let trimmed = |digits: &str| {
        if digits.contains('.') {
            digits.trim_end_matches('0').trim_end_matches('.').to_owned()
        } else {
            digits.to_owned()
        }
    };
    if (-4..6).contains(&exponent) {
        let places = usize::try_from(5 - exponent).unwrap_or_default();
        return trimmed(&format!("{value:.places$}"));
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", trimmed(mantissa), exponent.abs())
}

/// The value at a part of the way from one to another.
fn between(context: &CallContext<'_>, low: &Datum, high: &Datum, part: f64) -> SqlResult<Datum> {
    if let (Datum::Float8(low), Datum::Float8(high)) = (low, high) {
        return Ok(Datum::Float8(low + part * (high - low)));
    }
    let interval = TypeRef::plain(t::INTERVAL);
    let call = |name: &str, a: &[Datum]| {
        let function = crate::functions::scalar(name)
            .ok_or_else(|| SqlError::internal(format!("no function {name}")))?;
        let types = [interval, interval];
        let context = CallContext {
            eval: context.eval,
            argument_types: &types,
            result_type: interval,
            collation: crate::Collation::Default,
        };
        function(&context, a)
    };
    let way = call("interval_mi", &[high.clone(), low.clone()])?;
    let part = call("interval_mul", &[way, Datum::Float8(part)])?;
    call("interval_pl", &[part, low.clone()])
}

/// `rank`, `dense_rank`, `percent_rank` and `cume_dist` of a row that is not there. Each row of the
/// group is shown as how it compares with that one (int4, -1, 0 or 1) and whether it differs from the
/// row before it (bool).
pub(super) struct Hypothetical {
    of: Rank,
    rows: i64,
    before: i64,
    before_distinct: i64,
    peers: i64,
}

/// Which of them.
#[derive(Clone, Copy)]
pub(super) enum Rank {
    /// `rank`
    Plain,
    /// `dense_rank`
    Dense,
    /// `percent_rank`
    Percent,
    /// `cume_dist`
    Cumulative,
}

impl Hypothetical {
    pub(super) const fn new(of: Rank) -> Self {
        Self { of, rows: 0, before: 0, before_distinct: 0, peers: 0 }
    }
}

impl Accumulator for Hypothetical {
    fn update(&mut self, _: &CallContext<'_>, a: &[Datum]) -> SqlResult<()> {
        self.rows += 1;
        match a[0] {
            Datum::Int4(order) if order < 0 => {
                self.before += 1;
                self.before_distinct += i64::from(matches!(a[1], Datum::Bool(true)));
            }
            Datum::Int4(0) => self.peers += 1,
            _ => {}
        }
        Ok(())
    }

    fn finish(&self, _: &CallContext<'_>) -> SqlResult<Datum> {
        Ok(match self.of {
            Rank::Plain => Datum::Int8(self.before + 1),
            Rank::Dense => Datum::Int8(self.before_distinct + 1),
            Rank::Percent if self.rows == 0 => Datum::Float8(0.0),
            Rank::Percent => Datum::Float8(self.before as f64 / self.rows as f64),
            Rank::Cumulative => {
                let up_to = self.before + self.peers + 1;
                Datum::Float8(up_to as f64 / (self.rows + 1) as f64)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn numbers_are_printed_as_c_does() {
        let cases = [
            (1.5, "1.5"),
            (-0.25, "-0.25"),
            (2.0, "2"),
            (1e10, "1e+10"),
            (1234567.0, "1.23457e+06"),
            (0.00001234, "1.234e-05"),
            (f64::NAN, "nan"),
        ];
        for (value, text) in cases {
            assert_eq!(short(value), text);
        }
    }
}
