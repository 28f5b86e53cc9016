//! Walks over bound trees, subqueries included, that know how many queries deep they are.

use std::sync::Arc;

use aegis_types::builtin::Implementation;
use aegis_types::{Oid, type_oid as t};

use crate::bound::{
    BoundStatement, Expr, FrameBound, JoinTree, Query, RangeTableEntry, RteKind, SubqueryKind,
    Subscript, Target,
};

/// The direct children of an expression, to be changed; not the queries of subqueries.
pub(super) fn children_mut(expr: &mut Expr, visit: &mut dyn FnMut(&mut Expr)) {
    match expr {
        Expr::Const { .. }
        | Expr::Param { .. }
        | Expr::Column { .. }
        | Expr::Slot { .. }
        | Expr::CaseArgument { .. }
        | Expr::SqlValue { .. }
        | Expr::NextValue { .. } => {}
        Expr::Call(call) => call.args.iter_mut().for_each(visit),
        Expr::ConvertViaText { arg, .. }
        | Expr::Relabel { arg, .. }
        | Expr::ConvertArray { arg, .. }
        | Expr::Collate { arg, .. }
        | Expr::Not(arg)
        | Expr::IsNull { arg, .. }
        | Expr::BooleanTest { arg, .. }
        | Expr::Field { arg, .. } => visit(arg),
        Expr::Distinct { equal, .. } | Expr::NullIf { equal, .. } => {
            equal.args.iter_mut().for_each(visit);
        }
        Expr::And(args)
        | Expr::Or(args)
        | Expr::Coalesce { args, .. }
        | Expr::MinMax { args, .. }
        | Expr::Grouping(args)
        | Expr::Array { elements: args, .. }
        | Expr::Row { fields: args, .. } => args.iter_mut().for_each(visit),
        Expr::Case { operand, branches, default, .. } => {
            operand.iter_mut().for_each(|expr| visit(expr));
            for (condition, result) in branches {
                visit(condition);
                visit(result);
            }
            default.iter_mut().for_each(|expr| visit(expr));
        }
        Expr::ArrayComparison { operator, array, .. } => {
            operator.args.iter_mut().for_each(&mut *visit);
            visit(array);
        }
        Expr::Subscript { arg, subscripts, .. } => {
            visit(arg);
            for subscript in subscripts {
                match subscript {
                    Subscript::Index(index) => visit(index),
                    Subscript::Slice(lower, upper) => {
                        lower.iter_mut().chain(upper).for_each(&mut *visit);
                    }
                }
            }
        }
        Expr::SubscriptAssign { arg, subscripts, value, .. } => {
            visit(arg);
            for subscript in subscripts {
                match subscript {
                    Subscript::Index(index) => visit(index),
                    Subscript::Slice(lower, upper) => {
                        lower.iter_mut().chain(upper).for_each(&mut *visit);
                    }
                }
            }
            visit(value);
        }
        Expr::RowCompare { fields, .. } => {
            for field in fields {
                visit(&mut field.left);
                visit(&mut field.right);
            }
        }
        Expr::Subquery(subquery) => match &mut subquery.kind {
            SubqueryKind::Exists | SubqueryKind::Scalar | SubqueryKind::Array => {}
            SubqueryKind::Any(test) | SubqueryKind::All(test) | SubqueryKind::RowCompare(test) => {
                visit(test);
            }
        },
        Expr::Aggregate(aggregate) => {
            aggregate.args.iter_mut().for_each(&mut *visit);
            aggregate.order_by.iter_mut().for_each(|key| visit(&mut key.expr));
            aggregate.filter.iter_mut().for_each(visit);
        }
        Expr::WindowCall(call) => {
            call.args.iter_mut().for_each(&mut *visit);
            call.filter.iter_mut().for_each(visit);
        }
    }
}

/// What a rewriting walk changes. `depth` is the number of queries between the start and the place.
pub(crate) trait Rewriter {
    /// An expression, before its children.
    fn expr(&mut self, expr: &mut Expr, depth: usize);
    /// What an entry of a range table reads.
    fn entry(&mut self, _kind: &mut RteKind, _depth: usize) {}
}

/// Rewrites an expression and everything in it.
pub(crate) fn rewrite_expr(expr: &mut Expr, depth: usize, rewriter: &mut dyn Rewriter) {
    rewriter.expr(expr, depth);
    if let Expr::Subquery(subquery) = expr {
        rewrite_query(Arc::make_mut(&mut subquery.query), depth + 1, rewriter);
    }
    children_mut(expr, &mut |child| rewrite_expr(child, depth, rewriter));
}

/// Rewrites a query; `depth` is that of its expressions.
pub(crate) fn rewrite_query(query: &mut Query, depth: usize, rewriter: &mut dyn Rewriter) {
    for cte in &mut query.ctes {
        rewrite_query(Arc::make_mut(&mut cte.query), depth + 1, rewriter);
        if let Some(change) = &mut cte.change {
            rewrite_bound(Arc::make_mut(change), depth + 1, rewriter);
        }
    }
    for entry in &mut query.range_table {
        rewriter.entry(&mut entry.kind, depth);
        match &mut entry.kind {
            RteKind::Subquery(subquery) => {
                rewrite_query(Arc::make_mut(subquery), depth + 1, rewriter);
            }
            RteKind::Functions { calls, .. } => {
                calls.iter_mut().for_each(|(call, _)| rewrite_expr(call, depth, rewriter));
            }
            RteKind::Values(rows) => {
                rows.iter_mut().flatten().for_each(|expr| rewrite_expr(expr, depth, rewriter));
            }
            RteKind::Relation(_)
            | RteKind::System(_)
            | RteKind::Cte { .. }
            | RteKind::Row(_)
            | RteKind::Known(_)
            | RteKind::Returned(_) => {}
        }
    }
    for tree in &mut query.from {
        rewrite_join(tree, depth, rewriter);
    }
    let mut each = |expr: &mut Expr| rewrite_expr(expr, depth, rewriter);
    query.filter.iter_mut().for_each(&mut each);
    query.targets.iter_mut().for_each(|target| each(&mut target.expr));
    query.grouping_sets.iter_mut().flatten().for_each(&mut each);
    query.having.iter_mut().for_each(&mut each);
    for window in &mut query.windows {
        window.partition_by.iter_mut().for_each(&mut each);
        window.order_by.iter_mut().for_each(|key| each(&mut key.expr));
        for bound in [&mut window.frame.start, &mut window.frame.end] {
            if let FrameBound::Preceding(offset) | FrameBound::Following(offset) = bound {
                each(offset);
            }
        }
    }
    query.limit.iter_mut().for_each(&mut each);
    query.offset.iter_mut().for_each(&mut each);
}

fn rewrite_join(tree: &mut JoinTree, depth: usize, rewriter: &mut dyn Rewriter) {
    if let JoinTree::Join { left, right, on, .. } = tree {
        rewrite_join(left, depth, rewriter);
        rewrite_join(right, depth, rewriter);
        on.iter_mut().for_each(|on| rewrite_expr(on, depth, rewriter));
    }
}

struct EachExpr<'f>(&'f mut dyn FnMut(&mut Expr, usize));

impl Rewriter for EachExpr<'_> {
    fn expr(&mut self, expr: &mut Expr, depth: usize) {
        (self.0)(expr, depth);
    }
}

/// Changes every expression of a statement.
pub(super) fn rewrite_statement(statement: &mut BoundStatement, visit: &mut dyn FnMut(&mut Expr)) {
    let mut visit = |expr: &mut Expr, _: usize| visit(expr);
    rewrite_bound(statement, 0, &mut EachExpr(&mut visit));
}

/// Whether a statement means the same in every session: its constants were read neither by a time zone
/// or a style of dates, nor by a clock, as `'now'` is.
#[must_use]
pub fn is_for_every_session(statement: &BoundStatement) -> bool {
    let mut statement = statement.clone();
    let mut plain = true;
    rewrite_statement(&mut statement, &mut |expr| {
        if let Expr::Const { value, ty } = expr {
            plain &= value.is_null() || reads_alike(ty.oid);
        }
    });
    plain
}

/// Whether a query can be run without its session: it reads tables, and calls functions of its
/// arguments alone over types that come with the server.
pub(crate) fn asks_nobody(statement: &BoundStatement) -> bool {
    let BoundStatement::Query(query) = statement else { return false };
    let reads_tables = |query: &Query| {
        query.ctes.is_empty()
            && query.range_table.iter().all(|it| matches!(it.kind, RteKind::Relation(_)))
    };
    if !reads_tables(query) {
        return false;
    }
    let mut statement = statement.clone();
    let mut plain = true;
    rewrite_statement(&mut statement, &mut |expr| {
        plain &= !expr.ty().oid.is_described_type()
            && match expr {
                Expr::Const { .. } | Expr::Param { .. } | Expr::Column { .. } => true,
                Expr::And(_) | Expr::Or(_) | Expr::Not(_) | Expr::IsNull { .. } => true,
                Expr::Call(call) => call.row().is_some_and(|row| {
                    matches!(row.implementation, Implementation::Scalar(_)) && call.user.is_none()
                }),
                _ => false,
            };
    });
    plain
}

/// Whether a query calls one function of an engine that waits, and does nothing besides that must not be
/// done twice: it can be given up where it begins to wait, and run anew.
pub(crate) fn only_waits(statement: &BoundStatement) -> bool {
    let BoundStatement::Query(query) = statement else { return false };
    let [RangeTableEntry { kind: RteKind::Functions { calls, .. }, .. }] = &query.range_table[..]
    else {
        return false;
    };
    let [(Expr::Call(call), _)] = &calls[..] else { return false };
    let waits = aegis_catalog::engine::function(call.function).is_some_and(|it| it.waits);
    if !waits || !query.ctes.is_empty() || !query.row_marks.is_empty() {
        return false;
    }
    let mut volatile = 0;
    rewrite_statement(&mut statement.clone(), &mut |expr| {
        volatile += match expr {
            Expr::Call(call) => usize::from(call.is_volatile()),
            Expr::NextValue { .. } => 1,
            _ => 0,
        };
    });
    volatile == 1
}

/// Whether the text form of a type is read alike whatever is set.
fn reads_alike(ty: Oid) -> bool {
    matches!(
        ty,
        t::BOOL
            | t::INT2
            | t::INT4
            | t::INT8
            | t::OID
            | t::FLOAT4
            | t::FLOAT8
            | t::NUMERIC
            | t::TEXT
            | t::VARCHAR
            | t::BPCHAR
            | t::NAME
            | t::CHAR
            | t::BYTEA
            | t::UUID
            | t::JSON
            | t::JSONB
            | t::REGCLASS
            | t::UNKNOWN
    )
}

/// Rewrites a statement; `depth` is that of its source's expressions.
pub(crate) fn rewrite_bound(
    statement: &mut BoundStatement,
    depth: usize,
    rewriter: &mut dyn Rewriter,
) {
    let targets = |targets: &mut [Target], rewriter: &mut dyn Rewriter| {
        for target in targets {
            rewrite_expr(&mut target.expr, depth, rewriter);
        }
    };
    match statement {
        BoundStatement::Query(query) => rewrite_query(Arc::make_mut(query), depth, rewriter),
        BoundStatement::Insert(insert) => {
            let insert = Arc::make_mut(insert);
            rewrite_query(Arc::make_mut(&mut insert.source), depth, rewriter);
            targets(&mut insert.returning, rewriter);
            if let Some(update) =
                insert.on_conflict.as_mut().and_then(|conflict| conflict.update.as_mut())
            {
                for (_, value) in &mut update.assignments {
                    rewrite_expr(value, depth, rewriter);
                }
                update.filter.iter_mut().for_each(|f| rewrite_expr(f, depth, rewriter));
            }
        }
        BoundStatement::Update(update) => {
            let update = Arc::make_mut(update);
            rewrite_query(Arc::make_mut(&mut update.source), depth, rewriter);
            targets(&mut update.returning, rewriter);
        }
        BoundStatement::Delete(delete) => {
            let delete = Arc::make_mut(delete);
            rewrite_query(Arc::make_mut(&mut delete.source), depth, rewriter);
            targets(&mut delete.returning, rewriter);
        }
        BoundStatement::Utility(_) => {}
    }
}

struct Shift(usize);

impl Rewriter for Shift {
    fn expr(&mut self, expr: &mut Expr, depth: usize) {
        match expr {
            Expr::Column { levels_up, .. } if *levels_up >= depth => *levels_up += self.0,
            Expr::Aggregate(aggregate) if aggregate.levels_up >= depth => {
                aggregate.levels_up += self.0;
            }
            _ => {}
        }
    }

    fn entry(&mut self, kind: &mut RteKind, depth: usize) {
        match kind {
            RteKind::Cte { levels_up, .. } if *levels_up >= depth => *levels_up += self.0,
            _ => {}
        }
    }
}

/// Moves an expression into a query `levels` inside the one that it was made for.
pub(super) fn shift_levels(expr: &mut Expr, levels: usize) {
    if levels > 0 {
        rewrite_expr(expr, 0, &mut Shift(levels));
    }
}

/// Looks at every expression in an expression, subqueries included, until told to stop.
/// `visit` gets the depth and says whether to look inside.
pub(crate) fn visit_expr(expr: &Expr, depth: usize, visit: &mut dyn FnMut(&Expr, usize) -> bool) {
    if !visit(expr, depth) {
        return;
    }
    if let Expr::Subquery(subquery) = expr {
        visit_query(&subquery.query, depth + 1, visit);
    }
    expr.for_each_child(&mut |child| visit_expr(child, depth, visit));
}

/// [`visit_expr`] over all of a query.
pub(crate) fn visit_query(
    query: &Query,
    depth: usize,
    visit: &mut dyn FnMut(&Expr, usize) -> bool,
) {
    for cte in &query.ctes {
        visit_query(&cte.query, depth + 1, visit);
    }
    for entry in &query.range_table {
        if let RteKind::Subquery(subquery) = &entry.kind {
            visit_query(subquery, depth + 1, visit);
        }
    }
    each_own(query, &mut |expr| visit_expr(expr, depth, visit));
}

/// The expressions that stand in a query itself, whole.
fn each_own<'a>(query: &'a Query, each: &mut dyn FnMut(&'a Expr)) {
    for entry in &query.range_table {
        if let RteKind::Values(rows) = &entry.kind {
            rows.iter().flatten().for_each(&mut *each);
        }
    }
    each_but_values(query, each);
}

/// The same without the rows of `VALUES`, which may be many.
pub(super) fn each_but_values<'a>(query: &'a Query, each: &mut dyn FnMut(&'a Expr)) {
    for entry in &query.range_table {
        match &entry.kind {
            RteKind::Functions { calls, .. } => calls.iter().for_each(|(call, _)| each(call)),
            RteKind::Values(_)
            | RteKind::Subquery(_)
            | RteKind::Relation(_)
            | RteKind::System(_)
            | RteKind::Cte { .. }
            | RteKind::Row(_)
            | RteKind::Known(_)
            | RteKind::Returned(_) => {}
        }
    }
    for tree in &query.from {
        each_condition(tree, each);
    }
    query.filter.iter().for_each(&mut *each);
    query.targets.iter().for_each(|target| each(&target.expr));
    query.grouping_sets.iter().flatten().for_each(&mut *each);
    query.having.iter().for_each(&mut *each);
    for window in &query.windows {
        window.partition_by.iter().for_each(&mut *each);
        window.order_by.iter().for_each(|key| each(&key.expr));
    }
    query.limit.iter().for_each(&mut *each);
    query.offset.iter().for_each(&mut *each);
}

fn each_condition<'a>(tree: &'a JoinTree, each: &mut dyn FnMut(&'a Expr)) {
    if let JoinTree::Join { left, right, on, .. } = tree {
        each_condition(left, each);
        each_condition(right, each);
        on.iter().for_each(&mut *each);
    }
}

/// Looks at every expression of a query itself, but not into the queries within it.
pub(crate) fn visit_own<'a>(query: &'a Query, visit: &mut dyn FnMut(&'a Expr)) {
    fn flat<'a>(expr: &'a Expr, visit: &mut dyn FnMut(&'a Expr)) {
        visit(expr);
        expr.for_each_child(&mut |child| flat(child, visit));
    }
    each_own(query, &mut |expr| flat(expr, visit));
}

struct Deepen;

impl Rewriter for Deepen {
    fn expr(&mut self, expr: &mut Expr, depth: usize) {
        match expr {
            Expr::Column { levels_up, .. } if *levels_up > depth => *levels_up += 1,
            Expr::Aggregate(aggregate) if aggregate.levels_up > depth => aggregate.levels_up += 1,
            _ => {}
        }
    }

    fn entry(&mut self, kind: &mut RteKind, depth: usize) {
        match kind {
            RteKind::Cte { levels_up, .. } if *levels_up > depth => *levels_up += 1,
            _ => {}
        }
    }
}

/// Moves a query one level further in: what it reads of queries around it is one more outward.
pub(crate) fn deepen_query(query: &mut Query) {
    rewrite_query(query, 0, &mut Deepen);
}

/// Takes the positions off an expression whose text the client did not write.
pub(super) fn forget_locations(expr: &mut Expr) {
    let mut forget = |expr: &mut Expr, _: usize| {
        if let Expr::Call(call) = expr {
            call.location = None;
        }
    };
    rewrite_expr(expr, 0, &mut EachExpr(&mut forget));
}
