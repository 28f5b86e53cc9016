//! Aggregates over a few rows, with groups or without: `SELECT count(*) FROM t WHERE id BETWEEN 1 AND 9`.
//!
//! Groups come in the order of their first rows, as they do from batches. What sorts its rows first or
//! looks for duplicates goes through batches, and so do several grouping sets.

use std::collections::HashMap;
use std::ops::ControlFlow;

use aegis_types::functions::aggregate::Accumulator;
use aegis_types::{Datum, SqlResult};

use super::{Direct, Sink, runs_here};
use crate::aggregate::{AggregateCall, AggregatePlan};
use crate::plan::encode_key;

pub(super) fn aggregate_runs_here(plan: &AggregatePlan) -> bool {
    let scalars = plan.groups.iter().chain(&plan.carried);
    matches!(plan.sets.as_slice(), [set] if set.len() == plan.groups.len())
        && plan.groupings.is_empty()
        && scalars.into_iter().all(|scalar| scalar.runs_by_row())
        && plan.calls.iter().all(call_runs_here)
        && runs_here(&plan.input)
}

fn call_runs_here(call: &AggregateCall) -> bool {
    let scalars = call.args.iter().chain(&call.filter);
    !call.distinct
        && call.order_by.is_empty()
        && call.within_group.is_none()
        && scalars.into_iter().all(|scalar| scalar.runs_by_row())
}

/// The groups in order, and where each is found.
#[derive(Default)]
struct Groups {
    places: HashMap<Vec<u8>, usize>,
    /// Keys and carried columns, and what has been gathered.
    all: Vec<(Vec<Datum>, Vec<Box<dyn Accumulator>>)>,
}

impl Direct<'_> {
    pub(super) fn aggregate(
        &mut self,
        plan: &AggregatePlan,
        sink: Sink<'_>,
    ) -> SqlResult<ControlFlow<()>> {
        let mut groups = Groups::default();
        if plan.groups.is_empty() {
            // There is a group even of no rows.
            groups.place(&[], plan, self)?;
        }
        let _all = self.each(&plan.input, &mut |direct, row| {
            direct.take(plan, &mut groups, &row)?;
            Ok(direct.go_on())
        })?;
        if self.gave_up {
            return Ok(ControlFlow::Break(()));
        }
        for (mut row, states) in groups.all {
            for (call, state) in plan.calls.iter().zip(states) {
                let eval = self.context.eval();
                row.push(call.with_context(eval, |context| state.finish(context))?);
            }
            if row.is_empty() {
                row.push(Datum::Null);
            }
            if sink(self, row)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Hands a row to the aggregates of its group.
    fn take(&mut self, plan: &AggregatePlan, groups: &mut Groups, row: &[Datum]) -> SqlResult<()> {
        let place = groups.place(row, plan, self)?;
        for (call, state) in plan.calls.iter().zip(&mut groups.all[place].1) {
            if let Some(filter) = &call.filter
                && !self.holds(filter, row)?
            {
                continue;
            }
            let args = call.args.iter().map(|arg| self.value(arg, row));
            let args = args.collect::<SqlResult<Vec<_>>>()?;
            if call.strict && args.iter().any(Datum::is_null) {
                continue;
            }
            // It may keep them.
            self.keep(&args);
            call.with_context(self.context.eval(), |context| state.update(context, &args))?;
        }
        Ok(())
    }
}

impl Groups {
    /// The place of a row's group, which is made if it is new.
    fn place(
        &mut self,
        row: &[Datum],
        plan: &AggregatePlan,
        direct: &mut Direct<'_>,
    ) -> SqlResult<usize> {
        let (mut key, mut values) = (Vec::new(), Vec::new());
        for scalar in &plan.groups {
            let value = direct.value(scalar, row)?;
            encode_key(scalar.ty, &value, &mut key)?;
            values.push(value);
        }
        if let Some(place) = self.places.get(&key) {
            return Ok(*place);
        }
        for scalar in &plan.carried {
            values.push(direct.value(scalar, row)?);
        }
        direct.keep(&values);
        let eval = || direct.context.eval();
        let begin = |call: &AggregateCall| call.with_context(eval(), call.function);
        self.all.push((values, plan.calls.iter().map(begin).collect()));
        self.places.insert(key, self.all.len() - 1);
        Ok(self.all.len() - 1)
    }
}
