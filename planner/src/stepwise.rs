//! Rows computed one at a time, where whoever reads them may stop early and computing one does
//! something: `SELECT nextval('s') FROM t LIMIT 1` counts once.
//!
//! A run steps below `LIMIT`, in a subquery of which only the first rows are wanted, and under a cursor;
//! what needs all rows of its input anyway, such as a sort, steps no further. Plans without volatile
//! functions are run in batches all the same.

use std::sync::Arc;

use aegis_types::{SqlResult, TypeRef};
use arrow::array::BooleanArray;
use arrow::compute::filter_record_batch;
use datafusion::common::cast::as_boolean_array;
use datafusion::physical_plan::ExecutionPlan;
use futures::stream::StreamExt;

use crate::arrow_types::{batch_of, rows_of, schema};
use crate::functions::SetTarget;
use crate::node::Node;
use crate::plan::{Plan, PlanKind};
use crate::run::{Run, external};
use crate::scalar::{Scalar, Vectorized};

impl Plan {
    /// Whether a row of it is made by calling what must not be called for rows that nobody reads.
    pub(crate) fn steps(&self) -> bool {
        match &self.kind {
            PlanKind::LockRows(_) => true,
            PlanKind::Values(rows) => rows.iter().flatten().any(|scalar| scalar.is_volatile()),
            PlanKind::Project(input, exprs) => {
                exprs.iter().any(|scalar| scalar.is_volatile()) || input.steps()
            }
            PlanKind::Filter(input, predicate, _) => predicate.is_volatile() || input.steps(),
            PlanKind::ProjectSet(input, targets) => {
                targets.iter().any(SetTarget::is_volatile) || input.steps()
            }
            PlanKind::Limit(limit) => limit.input.steps(),
            PlanKind::SubqueryScan(input) => input.steps(),
            PlanKind::OneTime(gate) => gate.input.steps(),
            PlanKind::Append(left, right) => left.steps() || right.steps(),
            PlanKind::Lateral(lateral) => {
                !lateral.part.stable || lateral.part.plan.steps() || lateral.left.steps()
            }
            PlanKind::Join(join) => {
                if join.holds_right() {
                    join.left.steps()
                } else {
                    join.right.steps()
                }
            }
            PlanKind::Lookup(lookup) => lookup.outer.steps(),
            PlanKind::Cte(cte) => cte.is_streamed && cte.part.plan.steps(),
            _ => false,
        }
    }

    /// The run that the inputs of this node have: what needs all of them does not step.
    pub(crate) fn below(&self, run: &Arc<Run>) -> Arc<Run> {
        let needs_all = matches!(
            self.kind,
            PlanKind::Sort(_)
                | PlanKind::Aggregate(_)
                | PlanKind::Window(_)
                | PlanKind::Distinct(_)
                | PlanKind::SetOperation(_)
                | PlanKind::Recursive(_)
        );
        if needs_all { run.stepping(false) } else { run.clone() }
    }

    /// The plan in one execution, its rows one at a time if `alone` and the run steps.
    pub(crate) fn start_alone(
        &self,
        alone: bool,
        run: &Arc<Run>,
    ) -> SqlResult<Arc<dyn ExecutionPlan>> {
        let plan = self.start(run)?;
        Ok(if alone && run.is_stepping { one_by_one(&self.types, plan) } else { plan })
    }
}

impl Scalar {
    /// Whether it may have another value each time.
    pub(crate) fn is_volatile(&self) -> bool {
        match &self.node {
            Vectorized::Column(_) | Vectorized::Const(_) => false,
            Vectorized::Compare(_, left, right) | Vectorized::Arithmetic(_, left, right) => {
                left.is_volatile() || right.is_volatile()
            }
            Vectorized::And(args) | Vectorized::Or(args) => args.iter().any(Self::is_volatile),
            Vectorized::Not(arg) | Vectorized::IsNull(arg, _) => arg.is_volatile(),
            Vectorized::Rows(program) => program.is_volatile,
        }
    }
}

/// Each row as a batch of its own, which holds no memory of the others.
fn one_by_one(types: &[TypeRef], child: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
    let columns = types.to_vec();
    Node::new("Result", types, vec![child], move |mut inputs, _| {
        let types = columns.clone();
        let rows = inputs.swap_remove(0).flat_map(move |batch| {
            let types = types.clone();
            let (rows, failed) = match batch {
                Ok(batch) => (rows_of(&batch, &types), None),
                Err(error) => (Vec::new(), Some(Err(error))),
            };
            let schema = schema(&types);
            let alone = rows
                .into_iter()
                .map(move |row| batch_of(&schema, &types, &[row]).map_err(external));
            futures::stream::iter(alone.chain(failed))
        });
        Ok(rows.boxed())
    })
}

/// The rows of which a condition holds, handed on as they come.
pub(crate) fn filter(
    types: &[TypeRef],
    predicate: &Arc<Scalar>,
    child: Arc<dyn ExecutionPlan>,
    run: &Arc<Run>,
) -> Arc<dyn ExecutionPlan> {
    let (predicate, run) = (predicate.clone(), run.clone());
    Node::new("Filter", types, vec![child], move |mut inputs, _| {
        let (predicate, run) = (predicate.clone(), run.clone());
        let passed = inputs.swap_remove(0).map(move |batch| {
            let batch = batch?;
            let holds = predicate.array(&batch, &run).map_err(external)?;
            let holds: &BooleanArray = as_boolean_array(&holds)?;
            Ok(filter_record_batch(&batch, holds)?)
        });
        Ok(passed.boxed())
    })
}
