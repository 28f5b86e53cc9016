//! `min` and `max` from the end of a key, as PostgreSQL plans them: each becomes
//! `(SELECT column FROM t WHERE … AND column IS NOT NULL ORDER BY column LIMIT 1)`.

use std::sync::Arc;

use aegis_sql::bound::{
    Aggregate, Distinct, Expr, JoinTree, Query, RteKind, SortKey, Subquery, SubqueryKind, Target,
};
use aegis_types::builtin::builtins;
use aegis_types::{Datum, TypeRef, type_oid};

use super::Builder;
use super::access::Wish;
use crate::compile::strip;
use crate::rewrite::{conjuncts, is_volatile, rewrite_expr};

impl Builder {
    /// Rewrites a query whose only aggregates are such ones, over one table with a key for each.
    pub(super) fn take_extremes(&mut self, query: &mut Query) {
        let [JoinTree::Entry(entry)] = query.from.as_slice() else { return };
        let entry = *entry;
        let RteKind::Relation(relation) = &query.range_table[entry].kind else { return };
        let relation = relation.clone();
        let is_plain = query.grouped
            && query.range_table.len() == 1
            && query.grouping_sets.is_empty()
            && query.windows.is_empty()
            && !query.has_set_functions
            && query.ctes.is_empty()
            && !query
                .filter
                .as_ref()
                .is_some_and(|filter| has_subquery(filter) || is_volatile(filter));
        if !is_plain {
            return;
        }
        let mut conditions = Vec::new();
        query.filter.iter().for_each(|filter| conjuncts(filter, &mut conditions));
        let mut fits = true;
        let exprs = query.targets.iter().map(|target| &target.expr).chain(&query.having);
        let mut found = Vec::new();
        for expr in exprs {
            look(expr, &mut found, &mut fits);
        }
        if !fits || found.is_empty() || found.len() > 8 {
            return;
        }
        for (column, ty, is_max) in &found {
            let mut all = conditions.clone();
            all.push(not_null(entry, *column, *ty));
            let keys = vec![(*column, *is_max, *is_max)];
            let wish = Wish { entry, keys, limit: Some(1.0) };
            if !self.gives_order(entry, &relation, &all, &wish) {
                return;
            }
        }
        let inner = query.clone();
        let exprs = query.targets.iter_mut().map(|target| &mut target.expr);
        for expr in exprs.chain(&mut query.having) {
            rewrite_expr(expr, 0, &mut |expr, level| {
                let Expr::Aggregate(aggregate) = expr else { return false };
                if level > 0 {
                    return false;
                }
                let Some((column, ty, is_max)) = extreme(aggregate) else { return false };
                *expr = end_of(&inner, entry, column, ty, is_max, aggregate.ty);
                true
            });
        }
        query.from.clear();
        query.filter = query.having.take();
        query.grouped = false;
    }
}

/// The aggregates of an expression, and whether nothing else in it is in the way.
fn look(expr: &Expr, found: &mut Vec<(i16, TypeRef, bool)>, fits: &mut bool) {
    match expr {
        Expr::Aggregate(aggregate) => match extreme(aggregate) {
            Some(one) => {
                if !found.contains(&one) {
                    found.push(one);
                }
            }
            None => *fits = false,
        },
        Expr::Subquery(_) | Expr::WindowCall(_) | Expr::Grouping(_) | Expr::Column { .. } => {
            *fits = false;
        }
        other => other.for_each_child(&mut |child| look(child, found, fits)),
    }
}

/// The column of a plain `min` or `max` over one, its type, and whether it is `max`.
fn extreme(aggregate: &Aggregate) -> Option<(i16, TypeRef, bool)> {
    let is_plain = aggregate.levels_up == 0
        && aggregate.filter.is_none()
        && aggregate.order_by.is_empty()
        && !aggregate.within_group;
    let [arg] = aggregate.args.as_slice() else { return None };
    let is_max = match &*builtins().function(aggregate.function)?.name {
        "min" => false,
        "max" => true,
        _ => return None,
    };
    match strip(arg) {
        Expr::Column { column, levels_up: 0, ty, .. }
            if is_plain && *column > 0 && ty.oid == arg.ty().oid =>
        {
            Some((*column, *ty, is_max))
        }
        _ => None,
    }
}

fn not_null(entry: usize, column: i16, ty: TypeRef) -> Expr {
    let arg = Box::new(Expr::Column { entry, column, levels_up: 0, ty });
    Expr::IsNull { arg, negated: true }
}

fn end_of(
    around: &Query,
    entry: usize,
    column: i16,
    ty: TypeRef,
    is_max: bool,
    result: TypeRef,
) -> Expr {
    let mut conditions: Vec<Expr> = around.filter.iter().cloned().collect();
    for condition in &mut conditions {
        // What the query referred to around itself is now one query further out.
        rewrite_expr(condition, 0, &mut |expr, level| {
            if let Expr::Column { levels_up, .. } = expr
                && *levels_up > level
            {
                *levels_up += 1;
            }
            false
        });
    }
    conditions.push(not_null(entry, column, ty));
    let filter = match conditions.len() {
        1 => conditions.pop(),
        _ => Some(Expr::And(conditions)),
    };
    let value = Expr::Column { entry, column, levels_up: 0, ty };
    let target = Target { expr: value, name: "extreme".to_owned(), hidden: false, origin: None };
    let one = Expr::Const { value: Datum::Int8(1), ty: TypeRef::plain(type_oid::INT8) };
    let query = Query {
        range_table: around.range_table.clone(),
        from: around.from.clone(),
        filter,
        targets: vec![target],
        distinct: Distinct::No,
        order_by: vec![SortKey { target: 0, descending: is_max, nulls_first: is_max }],
        limit: Some(one),
        ..Query::default()
    };
    let subquery = Subquery { kind: SubqueryKind::Scalar, query: Arc::new(query), ty: result };
    Expr::Subquery(Box::new(subquery))
}

fn has_subquery(expr: &Expr) -> bool {
    let mut found = matches!(expr, Expr::Subquery(_));
    expr.for_each_child(&mut |child| found |= has_subquery(child));
    found
}
