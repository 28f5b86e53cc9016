//! Counting, extremes, logic and bits.

use std::cmp::Ordering;

use super::Accumulator;
use crate::compare::compare;
use crate::context::CallContext;
use crate::datum::Datum;
use crate::error::SqlResult;
use crate::functions::bits::combine;
use crate::type_oid as t;

/// `count(*)`, or `count(value)` of values that are not NULL.
pub(super) struct Count {
    pub(super) rows: bool,
    pub(super) count: i64,
}

impl Count {
    fn counts(&self, a: &[Datum]) -> i64 {
        i64::from(self.rows || !a[0].is_null())
    }
}

impl Accumulator for Count {
    fn update(&mut self, _: &CallContext<'_>, a: &[Datum]) -> SqlResult<()> {
        self.count += self.counts(a);
        Ok(())
    }

    fn retract(&mut self, _: &CallContext<'_>, a: &[Datum]) -> SqlResult<bool> {
        self.count -= self.counts(a);
        Ok(true)
    }

    fn finish(&self, _: &CallContext<'_>) -> SqlResult<Datum> {
        Ok(Datum::Int8(self.count))
    }
}

/// `min` and `max`: the value that compares with all others as wanted.
pub(super) struct Extreme {
    wanted: Ordering,
    best: Datum,
}

impl Extreme {
    pub(super) const fn new(wanted: Ordering) -> Self {
        Self { wanted, best: Datum::Null }
    }
}

impl Accumulator for Extreme {
    fn update(&mut self, context: &CallContext<'_>, a: &[Datum]) -> SqlResult<()> {
        let value = &a[0];
        if value.is_null() {
            return Ok(());
        }
        let type_oid = context.argument_types.first().map_or(context.result_type.oid, |r| r.oid);
        // Of values that are equal but look different, such as 1.0 and 1.00, the last one stays;
        // of `char(n)` the first.
        let keep = !self.best.is_null() && {
            let order = compare(type_oid, &self.best, value);
            order == self.wanted || (order.is_eq() && type_oid == t::BPCHAR)
        };
        if !keep {
            self.best = value.clone();
        }
        Ok(())
    }

    fn finish(&self, _: &CallContext<'_>) -> SqlResult<Datum> {
        Ok(self.best.clone())
    }
}

/// `bool_and` and `bool_or`.
pub(super) struct Logic {
    and: bool,
    state: Option<bool>,
}

impl Logic {
    pub(super) const fn new(and: bool) -> Self {
        Self { and, state: None }
    }
}

impl Accumulator for Logic {
    fn update(&mut self, _: &CallContext<'_>, a: &[Datum]) -> SqlResult<()> {
        if let Datum::Bool(value) = a[0] {
            let state = self.state.unwrap_or(value);
            self.state = Some(if self.and { state && value } else { state || value });
        }
        Ok(())
    }

    fn finish(&self, _: &CallContext<'_>) -> SqlResult<Datum> {
        Ok(self.state.map_or(Datum::Null, Datum::Bool))
    }
}

/// `bit_and`, `bit_or` and `bit_xor`.
pub(super) struct Bits {
    operation: fn(i64, i64) -> i64,
    state: Datum,
}

impl Bits {
    pub(super) const fn new(operation: fn(i64, i64) -> i64) -> Self {
        Self { operation, state: Datum::Null }
    }
}

impl Accumulator for Bits {
    fn update(&mut self, _: &CallContext<'_>, a: &[Datum]) -> SqlResult<()> {
        // Sign-extended operands give the sign-extended result, which fits the type again.
        let apply = |left: i64, right: i64| (self.operation)(left, right);
        self.state = match (&self.state, &a[0]) {
            (_, Datum::Null) => return Ok(()),
            (Datum::Int2(left), Datum::Int2(right)) => {
                Datum::Int2(apply(i64::from(*left), i64::from(*right)) as i16)
            }
            (Datum::Int4(left), Datum::Int4(right)) => {
                Datum::Int4(apply(i64::from(*left), i64::from(*right)) as i32)
            }
            (Datum::Int8(left), Datum::Int8(right)) => Datum::Int8(apply(*left, *right)),
            (_, first) => first.clone(),
        };
        Ok(())
    }

    fn finish(&self, _: &CallContext<'_>) -> SqlResult<Datum> {
        Ok(self.state.clone())
    }
}

/// `bit_and`, `bit_or` and `bit_xor` of bit strings.
pub(super) struct BitStrings {
    word: &'static str,
    operation: fn(u8, u8) -> u8,
    state: Datum,
}

impl BitStrings {
    pub(super) const fn new(word: &'static str, operation: fn(u8, u8) -> u8) -> Self {
        Self { word, operation, state: Datum::Null }
    }
}

impl Accumulator for BitStrings {
    fn update(&mut self, _: &CallContext<'_>, a: &[Datum]) -> SqlResult<()> {
        if a[0].is_null() {
            return Ok(());
        }
        self.state = if self.state.is_null() {
            a[0].clone()
        } else {
            combine(&[self.state.clone(), a[0].clone()], self.word, self.operation)?
        };
        Ok(())
    }

    fn finish(&self, _: &CallContext<'_>) -> SqlResult<Datum> {
        Ok(self.state.clone())
    }
}

/// `sum` of `money`.
#[derive(Default)]
pub(super) struct Amount(Option<i64>);

impl Accumulator for Amount {
    fn update(&mut self, _: &CallContext<'_>, a: &[Datum]) -> SqlResult<()> {
        if let Datum::Int8(cents) = a[0] {
            let sum = self.0.unwrap_or(0).checked_add(cents);
            self.0 = Some(sum.ok_or_else(crate::money::out_of_range)?);
        }
        Ok(())
    }

    fn finish(&self, _: &CallContext<'_>) -> SqlResult<Datum> {
        Ok(self.0.map_or(Datum::Null, Datum::Int8))
    }
}
