//! Walks over bound expressions and the queries inside them, with the level at which each stands.

use std::collections::BTreeSet;
use std::sync::Arc;

use aegis_sql::bound::{CallForm, Expr, JoinTree, Query, RangeTableEntry, RteKind};

/// Visits expressions, and the entries of range tables, however deep.
pub(crate) trait Visitor {
    /// An expression, and how many queries it lies below the starting one.
    fn expr(&mut self, expr: &Expr, level: usize);
    /// An entry of a range table, likewise.
    fn entry(&mut self, _entry: &RangeTableEntry, _level: usize) {}
}

/// Visits an expression and everything in it, from the outside in.
pub(crate) fn visit_expr(expr: &Expr, level: usize, visitor: &mut dyn Visitor) {
    visitor.expr(expr, level);
    if let Expr::Subquery(subquery) = expr {
        visit_query(&subquery.query, level + 1, visitor);
    }
    expr.for_each_child(&mut |child| visit_expr(child, level, visitor));
}

/// Visits a query whose own expressions are at `level`.
pub(crate) fn visit_query(query: &Query, level: usize, visitor: &mut dyn Visitor) {
    for cte in &query.ctes {
        visit_query(&cte.query, level + 1, visitor);
    }
    for entry in &query.range_table {
        visit_entry(entry, level, visitor);
    }
    for tree in &query.from {
        visit_join(tree, level, visitor);
    }
    let windows = query.windows.iter().flat_map(|window| {
        window.partition_by.iter().chain(window.order_by.iter().map(|key| &key.expr))
    });
    let exprs = query
        .targets
        .iter()
        .map(|target| &target.expr)
        .chain(&query.filter)
        .chain(&query.having)
        .chain(query.grouping_sets.iter().flatten())
        .chain(&query.limit)
        .chain(&query.offset)
        .chain(windows);
    for expr in exprs {
        visit_expr(expr, level, visitor);
    }
}

/// Visits what an entry of a range table at `level` reads.
pub(crate) fn visit_entry(entry: &RangeTableEntry, level: usize, visitor: &mut dyn Visitor) {
    visitor.entry(entry, level);
    match &entry.kind {
        RteKind::Subquery(query) => visit_query(query, level + 1, visitor),
        RteKind::Functions { calls, .. } => {
            calls.iter().for_each(|(call, _)| visit_expr(call, level, visitor));
        }
        RteKind::Values(rows) => {
            rows.iter().flatten().for_each(|expr| visit_expr(expr, level, visitor));
        }
        RteKind::Relation(_)
        | RteKind::System(_)
        | RteKind::Cte { .. }
        | RteKind::Row(_)
        | RteKind::Known(_)
        | RteKind::Returned(_) => {}
    }
}

fn visit_join(tree: &JoinTree, level: usize, visitor: &mut dyn Visitor) {
    if let JoinTree::Join { left, right, on, .. } = tree {
        visit_join(left, level, visitor);
        visit_join(right, level, visitor);
        on.iter().for_each(|expr| visit_expr(expr, level, visitor));
    }
}

/// Replaces expressions however deep: where `replace` gives true, nothing below is looked at.
pub(crate) fn rewrite_expr(
    expr: &mut Expr,
    level: usize,
    replace: &mut dyn FnMut(&mut Expr, usize) -> bool,
) {
    if replace(expr, level) {
        return;
    }
    if let Expr::Subquery(subquery) = expr {
        rewrite_query(Arc::make_mut(&mut subquery.query), level + 1, replace);
        match &mut subquery.kind {
            aegis_sql::bound::SubqueryKind::Any(test)
            | aegis_sql::bound::SubqueryKind::All(test)
            | aegis_sql::bound::SubqueryKind::RowCompare(test) => {
                rewrite_expr(test, level, replace);
            }
            _ => {}
        }
    }
    expr.for_each_outer_child_mut(&mut |child| rewrite_expr(child, level, replace));
}

fn rewrite_query(
    query: &mut Query,
    level: usize,
    replace: &mut dyn FnMut(&mut Expr, usize) -> bool,
) {
    for cte in &mut query.ctes {
        rewrite_query(Arc::make_mut(&mut cte.query), level + 1, replace);
    }
    for entry in &mut query.range_table {
        match &mut entry.kind {
            RteKind::Subquery(inner) => rewrite_query(Arc::make_mut(inner), level + 1, replace),
            RteKind::Functions { calls, .. } => {
                calls.iter_mut().for_each(|(call, _)| rewrite_expr(call, level, replace));
            }
            RteKind::Values(rows) => {
                rows.iter_mut().flatten().for_each(|expr| rewrite_expr(expr, level, replace));
            }
            _ => {}
        }
    }
    for tree in &mut query.from {
        rewrite_join(tree, level, replace);
    }
    let windows = query.windows.iter_mut().flat_map(|window| {
        window.partition_by.iter_mut().chain(window.order_by.iter_mut().map(|key| &mut key.expr))
    });
    let exprs = query
        .targets
        .iter_mut()
        .map(|target| &mut target.expr)
        .chain(&mut query.filter)
        .chain(&mut query.having)
        .chain(query.grouping_sets.iter_mut().flatten())
        .chain(&mut query.limit)
        .chain(&mut query.offset)
        .chain(windows);
    for expr in exprs {
        rewrite_expr(expr, level, replace);
    }
}

fn rewrite_join(
    tree: &mut JoinTree,
    level: usize,
    replace: &mut dyn FnMut(&mut Expr, usize) -> bool,
) {
    if let JoinTree::Join { left, right, on, .. } = tree {
        rewrite_join(left, level, replace);
        rewrite_join(right, level, replace);
        on.iter_mut().for_each(|expr| rewrite_expr(expr, level, replace));
    }
}

/// Equal texts for expressions that mean the same, however they were written.
pub(crate) fn fingerprint(expr: &Expr) -> String {
    let mut expr = expr.clone();
    rewrite_expr(&mut expr, 0, &mut |expr, _| {
        match expr {
            Expr::Call(call) => {
                call.location = None;
                call.form = CallForm::Function;
            }
            Expr::Relabel { form, .. }
            | Expr::ConvertViaText { form, .. }
            | Expr::ConvertArray { form, .. } => *form = CallForm::Function,
            _ => {}
        }
        false
    });
    format!("{expr:?}")
}

/// The columns of the starting query that are named, with their types' places.
#[derive(Default)]
pub(crate) struct Columns(pub(crate) BTreeSet<(usize, i16)>);

impl Visitor for Columns {
    fn expr(&mut self, expr: &Expr, level: usize) {
        if let Expr::Column { entry, column, levels_up, .. } = expr
            && *levels_up == level
        {
            self.0.insert((*entry, *column));
        }
    }
}

/// The entries of the starting query that an expression names.
pub(crate) fn entries_of(expr: &Expr) -> BTreeSet<usize> {
    let mut columns = Columns::default();
    visit_expr(expr, 0, &mut columns);
    columns.0.into_iter().map(|(entry, _)| entry).collect()
}

struct IsVolatile(bool);

impl Visitor for IsVolatile {
    fn expr(&mut self, expr: &Expr, _: usize) {
        self.0 |= match expr {
            Expr::Call(call) => call.is_volatile(),
            Expr::NextValue { .. } => true,
            _ => false,
        };
    }
}

/// Whether a query calls a volatile function.
pub(crate) fn is_volatile_query(query: &Query) -> bool {
    let mut visitor = IsVolatile(false);
    visit_query(query, 0, &mut visitor);
    visitor.0
}

/// Whether an expression calls a volatile function.
pub(crate) fn is_volatile(expr: &Expr) -> bool {
    let mut visitor = IsVolatile(false);
    visit_expr(expr, 0, &mut visitor);
    visitor.0
}

/// The conditions that are all to hold.
pub(crate) fn conjuncts(expr: &Expr, out: &mut Vec<Expr>) {
    match expr {
        Expr::And(args) => args.iter().for_each(|arg| conjuncts(arg, out)),
        other => out.push(other.clone()),
    }
}
