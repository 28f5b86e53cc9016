//! Queries with row marks: their rows are locked below `LIMIT`.

use std::sync::Arc;

use aegis_sql::bound::{Distinct, Expr, Query, Subquery, SubqueryKind};
use aegis_sql::dml::LockedQuery;
use aegis_types::io::array_type;
use aegis_types::{SqlError, SqlResult, TypeRef};

use super::{Builder, count, project_columns};
use crate::compile::{Layout, compile, equality, strip};
use crate::explain::Names;
use crate::lock_rows::{LockRowsPlan, Outward, Taken};
use crate::plan::{LimitPlan, Plan, PlanKind};
use crate::rewrite::{Visitor, conjuncts, is_volatile, rewrite_expr, visit_expr};
use crate::subquery::Part;

impl Builder {
    pub(super) fn locking(&mut self, query: &Query, depth: usize) -> SqlResult<Plan> {
        let source = Arc::new(LockedQuery::new(query)?);
        if let Some(last) = self.names.pop() {
            let around = last.around.clone();
            self.names.push(Arc::new(Names { query: source.query().clone(), around }));
        }
        let outward = Outward::of(source.query());
        for (levels, index) in outward.ctes.keys() {
            // They may be read once more, when a row is looked at again.
            let definer = depth.checked_sub(*levels).and_then(|at| self.ctes.get_mut(at));
            if let Some(scope) = definer.and_then(|scopes| scopes.get_mut(*index)) {
                scope.references += 1;
            }
        }
        self.wanted = query
            .limit
            .as_ref()
            .map(|limit| count(limit) + query.offset.as_ref().map_or(0.0, count));
        let input = self.query_body(source.query(), depth)?;
        let taken = self.taken(&outward, depth)?;
        let (types, rows, width) = (input.types.clone(), input.rows, source.width());
        let kind = LockRowsPlan { input: Box::new(input), source, taken: Arc::new(taken) };
        let mut plan = Plan::new(PlanKind::LockRows(kind), types.clone()).with_rows(rows);
        if query.limit.is_some() || query.offset.is_some() {
            let none = Layout::default();
            let mut bound = |expr: &Option<Expr>| {
                expr.as_ref().map(|expr| compile(self, expr, &none, depth)).transpose()
            };
            let (limit, offset) = (bound(&query.limit)?, bound(&query.offset)?);
            let rows = query.limit.as_ref().map_or(rows, |limit| rows.min(count(limit)));
            let kind = LimitPlan { input: Box::new(plan), limit, offset, ties: None };
            plan = Plan::new(PlanKind::Limit(kind), types).with_rows(rows);
        }
        Ok(project_columns(plan, &(0..width).collect::<Vec<_>>()))
    }

    fn taken(&mut self, outward: &Outward, depth: usize) -> SqlResult<Taken> {
        let none = Layout::default();
        let mut taken = Taken::default();
        for ((levels_up, entry, column), ty) in &outward.columns {
            let (levels_up, entry, column, ty) = (*levels_up, *entry, *column, *ty);
            let expr = Expr::Column { entry, column, levels_up, ty };
            let value = compile(self, &expr, &none, depth)?;
            taken.columns.insert((levels_up, entry, column), value);
        }
        for (levels, index) in outward.ctes.keys() {
            let definer = depth.checked_sub(*levels).ok_or_else(|| {
                SqlError::internal("a common table expression of no query around")
            })?;
            let (part, outers): (Part, _) =
                self.part_of(true, |builder| builder.cte(*index, definer, depth))?;
            if !outers.is_empty() {
                return Err(SqlError::unsupported(
                    "a locking clause over a subquery that reads a correlated WITH query",
                ));
            }
            taken.ctes.insert((*levels, *index), Arc::new(part));
        }
        Ok(taken)
    }
}

/// Makes `x IN (SELECT … LIMIT n FOR UPDATE)` in `WHERE` a comparison with the elements of an array, by
/// which an index finds the few rows that were locked.
pub(super) fn take_limited(query: &mut Query) {
    let mut conditions = Vec::new();
    query.filter.iter().for_each(|filter| conjuncts(filter, &mut conditions));
    let mut taken = false;
    for condition in &mut conditions {
        if let Some(comparison) = of_array(condition) {
            *condition = comparison;
            taken = true;
        }
    }
    if taken {
        query.filter = match conditions.len() {
            0 | 1 => conditions.pop(),
            _ => Some(Expr::And(conditions)),
        };
    }
}

fn of_array(condition: &Expr) -> Option<Expr> {
    let Expr::Subquery(subquery) = condition else { return None };
    let SubqueryKind::Any(test) = &subquery.kind else { return None };
    let inner = &subquery.query;
    if inner.row_marks.is_empty() || inner.limit.is_none() {
        return None;
    }
    let Expr::Call(operator) = &**test else { return None };
    let (left, right) = equality(operator)?;
    if !matches!(strip(left), Expr::Column { levels_up: 0, .. })
        || !matches!(right, Expr::Slot { index: 0, .. })
    {
        return None;
    }
    let ty = TypeRef::plain(array_type(right.ty().oid)?);
    let (kind, query) = (SubqueryKind::Array, inner.clone());
    let array = Box::new(Expr::Subquery(Box::new(Subquery { kind, query, ty })));
    Some(Expr::ArrayComparison { operator: operator.clone(), array, all: false })
}

/// Puts those conditions on the columns of a locking subquery into it that it can decide itself, and
/// gives the others back: rows that do not meet them are not locked.
pub(super) fn filter_within(query: &Query, at: usize, filters: Vec<Expr>) -> (Query, Vec<Expr>) {
    let mut query = query.clone();
    if query.limit.is_some() || query.offset.is_some() || !matches!(query.distinct, Distinct::No) {
        return (query, filters);
    }
    let columns: Vec<Expr> = query.visible_targets().map(|it| it.expr.clone()).collect();
    let may = |filter: &Expr| {
        let mut own = Own { at, columns: &columns, is_own: true };
        visit_expr(filter, 0, &mut own);
        own.is_own && !is_volatile(filter)
    };
    let (inward, left): (Vec<Expr>, Vec<Expr>) = filters.into_iter().partition(may);
    let mut all = Vec::new();
    query.filter.iter().for_each(|filter| conjuncts(filter, &mut all));
    for mut filter in inward {
        rewrite_expr(&mut filter, 0, &mut |expr, _| {
            let Expr::Column { column, .. } = expr else { return false };
            let place = usize::try_from(*column - 1).unwrap_or(usize::MAX);
            if let Some(with) = columns.get(place) {
                *expr = with.clone();
            }
            true
        });
        all.push(filter);
    }
    query.filter = match all.len() {
        0 | 1 => all.pop(),
        _ => Some(Expr::And(all)),
    };
    (query, left)
}

/// Whether an expression names nothing but columns of one entry, and those are not volatile.
struct Own<'a> {
    at: usize,
    columns: &'a [Expr],
    is_own: bool,
}

impl Visitor for Own<'_> {
    fn expr(&mut self, expr: &Expr, level: usize) {
        match expr {
            Expr::Column { entry, column, levels_up: 0, .. } if level == 0 && *entry == self.at => {
                let place = usize::try_from(*column - 1).unwrap_or(usize::MAX);
                self.is_own &= self.columns.get(place).is_some_and(|it| !is_volatile(it));
            }
            Expr::Column { .. } | Expr::Subquery(_) => self.is_own = false,
            _ => {}
        }
    }
}
