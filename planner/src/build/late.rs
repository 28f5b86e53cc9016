//! Targets that call volatile functions are computed above a sort: for the rows that are given, in the
//! order in which they are (PostgreSQL's `make_sort_input_target`).

use std::sync::Arc;

use aegis_sql::bound::{Distinct, Query};
use aegis_types::{Datum, SqlResult};

use super::{Builder, column};
use crate::compile::{Layout, compile};
use crate::plan::{Plan, PlanKind};
use crate::rewrite::{Columns, is_volatile, visit_expr};
use crate::scalar::{Scalar, Vectorized};

impl Builder {
    /// The targets, but for those that are computed above the sort; and what is computed there, over
    /// this. NULL stands in their place below, and behind the targets what they read.
    pub(super) fn early_targets(
        &mut self,
        plan: Plan,
        layout: &Layout,
        query: &Query,
        is_ordered: bool,
        depth: usize,
    ) -> SqlResult<(Plan, Option<Vec<Arc<Scalar>>>)> {
        let is_late = |at: usize| {
            is_volatile(&query.targets[at].expr)
                && !query.order_by.iter().any(|key| key.target == at)
        };
        let sorts = !query.order_by.is_empty()
            && !is_ordered
            && matches!(query.distinct, Distinct::No)
            && !query.has_set_functions;
        if !sorts || !(0..query.targets.len()).any(is_late) {
            return Ok((self.targets(plan, layout, query, depth)?, None));
        }
        let mut read = Columns::default();
        let mut below = Vec::new();
        for (at, target) in query.targets.iter().enumerate() {
            let ty = target.expr.ty();
            if is_late(at) {
                visit_expr(&target.expr, 0, &mut read);
                below.push(Arc::new(Scalar { ty, node: Vectorized::Const(Datum::Null) }));
            } else {
                below.push(compile(self, &target.expr, layout, depth)?);
            }
        }
        let mut passed = Layout::default();
        for name in read.0 {
            if let Some((at, ty)) = layout.0.get(&name) {
                passed.0.insert(name, (below.len(), *ty));
                below.push(column(*at, *ty));
            }
        }
        let mut above = Vec::with_capacity(query.targets.len());
        for (at, target) in query.targets.iter().enumerate() {
            above.push(match is_late(at) {
                true => compile(self, &target.expr, &passed, depth)?,
                false => column(at, target.expr.ty()),
            });
        }
        let types = below.iter().map(|scalar| scalar.ty).collect();
        let rows = plan.rows;
        let plan = Plan::new(PlanKind::Project(Box::new(plan), below), types).with_rows(rows);
        Ok((plan.with_origin(self.names(), None), Some(above)))
    }
}
