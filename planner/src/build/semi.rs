//! `EXISTS` and `IN` over one table, as joins: rows that have a match, or have none.
//!
//! Only what stands for itself among the conditions of `WHERE` is taken out; a subquery in an arm
//! of `CASE` or under `OR` stays an expression, which runs when its value is wanted.

use aegis_sql::bound::{
    Distinct, Expr, JoinTree, Query, RangeTableEntry, RteKind, Subquery, SubqueryKind,
};
use aegis_types::SqlResult;

use super::Builder;
use super::from::Scope;
use crate::compile::{Layout, equality, strip};
use crate::plan::{JoinType, Plan};
use crate::rewrite::{conjuncts, entries_of, is_volatile, rewrite_expr};

/// A table that rows must have a match in, or none.
pub(super) struct Semi {
    /// Its place in the range table of the query around.
    pub(super) entry: usize,
    pub(super) conditions: Vec<Expr>,
    /// `NOT EXISTS`
    is_anti: bool,
}

/// Takes the subqueries that are joins out of `WHERE`; their tables join the range table.
pub(super) fn take_semis(query: &mut Query) -> Vec<Semi> {
    let has_subquery = |filter: &Expr| match filter {
        Expr::Subquery(_) => true,
        Expr::Not(arg) => matches!(**arg, Expr::Subquery(_)),
        _ => false,
    };
    let mut filters = Vec::new();
    query.filter.iter().for_each(|filter| conjuncts(filter, &mut filters));
    if query.from.is_empty() || !filters.iter().any(has_subquery) {
        return Vec::new();
    }
    let mut semis = Vec::new();
    let mut kept = Vec::new();
    for filter in filters {
        let (subquery, is_anti) = match &filter {
            Expr::Subquery(subquery) => (subquery, false),
            Expr::Not(arg) => match &**arg {
                Expr::Subquery(subquery) => (subquery, true),
                _ => {
                    kept.push(filter);
                    continue;
                }
            },
            _ => {
                kept.push(filter);
                continue;
            }
        };
        let entry = query.range_table.len();
        match semi(subquery, entry, is_anti) {
            Some((semi, table)) => {
                query.range_table.push(table);
                semis.push(semi);
            }
            None => kept.push(filter),
        }
    }
    query.filter = match kept.len() {
        0 => None,
        1 => kept.pop(),
        _ => Some(Expr::And(kept)),
    };
    semis
}

fn semi(subquery: &Subquery, entry: usize, is_anti: bool) -> Option<(Semi, RangeTableEntry)> {
    let query = &subquery.query;
    let [JoinTree::Entry(inner)] = query.from.as_slice() else { return None };
    let table = query.range_table.get(*inner)?;
    let is_simple = query.range_table.len() == 1
        && matches!(table.kind, RteKind::Relation(_))
        && query.ctes.is_empty()
        && !query.grouped
        && query.windows.is_empty()
        && !matches!(query.distinct, Distinct::On(_))
        && query.set_operation.is_none()
        && query.limit.is_none()
        && query.offset.is_none()
        && query.row_marks.is_empty()
        && !query.has_set_functions;
    if !is_simple {
        return None;
    }
    let mut conditions = Vec::new();
    query.filter.iter().for_each(|filter| conjuncts(filter, &mut conditions));
    for condition in &mut conditions {
        if is_volatile(condition) || has_subquery(condition) {
            return None;
        }
        raise(condition, entry);
    }
    match &subquery.kind {
        SubqueryKind::Exists => {}
        SubqueryKind::Any(test) if !is_anti => {
            let mut tests = Vec::new();
            conjuncts(test, &mut tests);
            for test in tests {
                conditions.push(matched(test, query, entry)?);
            }
        }
        _ => return None,
    }
    // Without an equality the subquery as an expression, with its memo, is the better plan.
    let joins = |condition: &Expr| match condition {
        Expr::Call(call) => equality(call).is_some_and(|(left, right)| {
            let inner = |expr: &Expr| entries_of(expr).into_iter().eq([entry]);
            let outer = |expr: &Expr| {
                let entries = entries_of(expr);
                !entries.is_empty() && !entries.contains(&entry)
            };
            (inner(left) && outer(right)) || (outer(left) && inner(right))
        }),
        _ => false,
    };
    let linked = conditions.iter().any(joins);
    linked.then(|| (Semi { entry, conditions, is_anti }, table.clone()))
}

/// An expression of the subquery as one of the query around, where its table has this place.
fn raise(expr: &mut Expr, place: usize) {
    rewrite_expr(expr, 0, &mut |expr, level| {
        if let Expr::Column { entry, levels_up, .. } = expr {
            if *levels_up == level {
                *entry = place;
            } else if *levels_up > level {
                *levels_up -= 1;
            }
        }
        false
    });
}

/// `x = slot`, with the subquery's column for the slot.
fn matched(mut test: Expr, query: &Query, entry: usize) -> Option<Expr> {
    let Expr::Call(call) = &mut test else { return None };
    equality(call)?;
    let [left, right] = call.args.as_mut_slice() else { return None };
    let Expr::Slot { index, .. } = strip(right) else { return None };
    let mut column = query.visible_targets().nth(*index)?.expr.clone();
    if has_subquery(left) || is_volatile(left) || has_subquery(&column) || is_volatile(&column) {
        return None;
    }
    raise(&mut column, entry);
    let mut slots = 0;
    left.visit_outer_slots(&mut |_| slots += 1);
    if slots > 0 {
        return None;
    }
    replace_slot(right, &column);
    Some(test)
}

fn replace_slot(expr: &mut Expr, with: &Expr) {
    match expr {
        Expr::Relabel { arg, .. } | Expr::Collate { arg, .. } => replace_slot(arg, with),
        other => *other = with.clone(),
    }
}

fn has_subquery(expr: &Expr) -> bool {
    let mut found = matches!(expr, Expr::Subquery(_));
    expr.for_each_child(&mut |child| found |= has_subquery(child));
    found
}

impl Builder {
    pub(super) fn semi_join(
        &mut self,
        left: (Plan, Layout),
        semi: &Semi,
        scope: Scope<'_>,
    ) -> SqlResult<(Plan, Layout)> {
        let kind = if semi.is_anti { JoinType::Anti } else { JoinType::Semi };
        let (mut own, on): (Vec<Expr>, Vec<Expr>) =
            semi.conditions.iter().cloned().partition(|condition| {
                let entries = entries_of(condition);
                entries.into_iter().all(|entry| entry == semi.entry)
            });
        let joined = left.1.entries();
        let RteKind::Relation(relation) = &scope.table(semi.entry).kind else {
            return Err(aegis_types::SqlError::internal("a semi join with no table"));
        };
        let count = own.len();
        own.extend(on);
        if let Some(way) = self.by_key(&left, &joined, semi.entry, relation, &own, count, scope)? {
            return self.lookup(kind, left, semi.entry, relation, own, way, scope);
        }
        let on = own.split_off(count);
        let right = self.table(semi.entry, relation, own, scope.unordered())?;
        self.plain_join(kind, left, right, on, scope.depth)
    }
}
