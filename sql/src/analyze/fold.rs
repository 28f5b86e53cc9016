//! Constants are computed before anything runs, from the inside out, as PostgreSQL's
//! `eval_const_expressions` does: what fails in them fails whether a row comes or not, what stands
//! behind a condition that decides is not looked at, and a strict function of NULL is NULL.
//!
//! Only immutable functions are computed. `VALUES` is left alone: its rows are computed once anyway.

use std::sync::Arc;

use aegis_types::builtin::{FunctionRow, Implementation, Volatility, builtins};
use aegis_types::{Datum, SqlResult, TypeRef, type_oid};

use super::implication::same_expression;
use super::walk::children_mut;
use crate::bound::{Call, Expr, FrameBound, JoinTree, Query, RteKind};
use crate::evaluate::{Evaluation, Program, missing_function};

/// A query with its constants computed; the same one if there is nothing to compute.
///
/// # Errors
/// What the constants raise; 0A000 for functions that are not there.
pub fn fold_constants(query: &Arc<Query>, evaluation: &Evaluation<'_>) -> SqlResult<Arc<Query>> {
    let mut folded = query.clone();
    Folder { evaluation, keys: Vec::new(), knows_values: false }.query(&mut folded)?;
    Ok(folded)
}

/// The query with the values of its parameters in their places, as far as they may be constants, and
/// everything that can be computed from them: good for these values alone.
///
/// # Errors
/// As [`fold_constants`].
pub(crate) fn with_values(
    query: &Arc<Query>,
    evaluation: &Evaluation<'_>,
) -> SqlResult<Arc<Query>> {
    let mut folded = query.clone();
    Folder { evaluation, keys: Vec::new(), knows_values: true }.query(&mut folded)?;
    Ok(folded)
}

struct Folder<'a> {
    evaluation: &'a Evaluation<'a>,
    /// What the query at hand groups by: it is found again by how it was written.
    keys: Vec<Expr>,
    /// Whether parameters are what their values are.
    knows_values: bool,
}

impl Folder<'_> {
    fn query(&self, query: &mut Arc<Query>) -> SqlResult<()> {
        if !self.knows_values && !has_work(query) {
            return Ok(());
        }
        let computed = |expr: &&Expr| !matches!(expr, Expr::Column { .. } | Expr::Const { .. });
        let keys = query.grouping_sets.iter().flatten().filter(computed).cloned().collect();
        Folder { keys, ..*self }.parts(Arc::make_mut(query))
    }

    fn parts(&self, query: &mut Query) -> SqlResult<()> {
        for cte in &mut query.ctes {
            self.query(&mut cte.query)?;
        }
        for target in &mut query.targets {
            self.simplify(&mut target.expr)?;
        }
        for tree in &mut query.from {
            self.join(tree)?;
        }
        let ends = query.having.iter_mut().chain(&mut query.limit).chain(&mut query.offset);
        for expr in query.filter.iter_mut().chain(ends) {
            self.simplify(expr)?;
        }
        if let Some(Expr::Const { value: Datum::Bool(true), .. }) = query.filter {
            query.filter = None;
        }
        for window in &mut query.windows {
            let order = window.order_by.iter_mut().map(|key| &mut key.expr);
            for expr in window.partition_by.iter_mut().chain(order) {
                self.simplify(expr)?;
            }
            for bound in [&mut window.frame.start, &mut window.frame.end] {
                if let FrameBound::Preceding(offset) | FrameBound::Following(offset) = bound {
                    self.simplify(offset)?;
                }
            }
        }
        for entry in &mut query.range_table {
            match &mut entry.kind {
                RteKind::Functions { calls, .. } => {
                    for (call, _) in calls {
                        self.simplify(call)?;
                    }
                }
                RteKind::Subquery(subquery) => self.query(subquery)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn join(&self, tree: &mut JoinTree) -> SqlResult<()> {
        if let JoinTree::Join { left, right, on, .. } = tree {
            self.join(left)?;
            self.join(right)?;
            if let Some(on) = on {
                self.simplify(on)?;
            }
        }
        Ok(())
    }

    fn simplify(&self, expr: &mut Expr) -> SqlResult<()> {
        if self.keys.iter().any(|key| same_expression(key, expr)) {
            return Ok(());
        }
        match expr {
            Expr::Param { number, ty } if self.knows_values => {
                let value = number.checked_sub(1).and_then(|at| self.evaluation.parameters.get(at));
                if let Some(value) = value {
                    *expr = Expr::Const { value: value.clone(), ty: *ty };
                }
                Ok(())
            }
            Expr::And(args) => {
                if let Some(decided) = self.connective(args, false)? {
                    *expr = decided;
                }
                Ok(())
            }
            Expr::Or(args) => {
                if let Some(decided) = self.connective(args, true)? {
                    *expr = decided;
                }
                Ok(())
            }
            Expr::Case { .. } => self.case(expr),
            Expr::Coalesce { args, ty } => {
                let ty = *ty;
                let mut kept: Vec<Expr> = Vec::with_capacity(args.len());
                for mut arg in std::mem::take(args) {
                    self.simplify(&mut arg)?;
                    match constant(&arg) {
                        Some(Datum::Null) => {}
                        Some(_) => {
                            kept.push(arg);
                            break;
                        }
                        None => kept.push(arg),
                    }
                }
                match kept.as_slice() {
                    [] => *expr = null(ty),
                    [Expr::Const { .. }] => {
                        if let Some(only) = kept.pop() {
                            *expr = only;
                        }
                    }
                    _ => *args = kept,
                }
                Ok(())
            }
            Expr::Subquery(subquery) => {
                let query = &mut subquery.query;
                self.query(query)?;
                self.children(expr)
            }
            _ => {
                self.children(expr)?;
                self.compute(expr)
            }
        }
    }

    fn children(&self, expr: &mut Expr) -> SqlResult<()> {
        let mut result = Ok(());
        children_mut(expr, &mut |child| {
            if result.is_ok() {
                result = self.simplify(child);
            }
        });
        result
    }

    /// `AND` and `OR`, of which `decides` is the value that needs no other: the constant that it
    /// comes to, if it does.
    fn connective(&self, args: &mut Vec<Expr>, decides: bool) -> SqlResult<Option<Expr>> {
        let mut kept: Vec<Expr> = Vec::with_capacity(args.len());
        let mut has_null = false;
        for mut arg in std::mem::take(args) {
            self.simplify(&mut arg)?;
            match constant(&arg) {
                Some(Datum::Bool(value)) if *value == decides => return Ok(Some(boolean(decides))),
                Some(Datum::Bool(_)) => {}
                Some(_) => has_null = true,
                None => kept.push(arg),
            }
        }
        if has_null {
            kept.push(null(TypeRef::plain(type_oid::BOOL)));
        }
        Ok(match kept.len() {
            0 => Some(boolean(!decides)),
            1 => kept.pop(),
            _ => {
                *args = kept;
                None
            }
        })
    }

    fn case(&self, expr: &mut Expr) -> SqlResult<()> {
        let Expr::Case { operand, branches, default, ty } = expr else { return Ok(()) };
        if let Some(operand) = operand {
            self.simplify(operand)?;
        }
        if operand.as_deref().and_then(constant).is_some()
            && let Some(operand) = operand.take()
        {
            for (condition, _) in branches.iter_mut() {
                put_operand(condition, &operand);
            }
        }
        let mut kept = Vec::with_capacity(branches.len());
        let mut decided = None;
        for (mut condition, mut result) in std::mem::take(branches) {
            self.simplify(&mut condition)?;
            match constant(&condition) {
                Some(Datum::Bool(true)) => {
                    self.simplify(&mut result)?;
                    decided = Some(Box::new(result));
                    break;
                }
                Some(_) => {}
                None => {
                    self.simplify(&mut result)?;
                    kept.push((condition, result));
                }
            }
        }
        if decided.is_some() {
            *default = decided;
        } else if let Some(default) = default {
            self.simplify(default)?;
        }
        if kept.is_empty() {
            let ty = *ty;
            let otherwise = default.take();
            *expr = otherwise.map_or_else(|| null(ty), |default| *default);
        } else {
            *branches = kept;
        }
        Ok(())
    }

    /// Computes an expression whose children are as simple as can be.
    fn compute(&self, expr: &mut Expr) -> SqlResult<()> {
        let is_computed = match expr {
            Expr::Call(call) => match self.fate(call)? {
                Fate::Null => {
                    *expr = null(expr.ty());
                    return Ok(());
                }
                Fate::Computed => true,
                Fate::Kept => false,
            },
            Expr::Distinct { equal, .. } | Expr::NullIf { equal, .. } => {
                matches!(self.fate(equal)?, Fate::Computed | Fate::Null)
                    && equal.args.iter().all(|arg| constant(arg).is_some())
            }
            Expr::Relabel { arg, ty, .. } => {
                // A domain may refuse the value, and a row knows its type.
                !ty.oid.is_described_type() && constant(arg).is_some()
            }
            Expr::Collate { .. } => false,
            Expr::ConvertViaText { arg, ty, .. } => {
                if !ty.oid.is_described_type() && matches!(constant(arg), Some(Datum::Null)) {
                    *expr = null(expr.ty());
                    return Ok(());
                }
                false
            }
            Expr::Not(arg) | Expr::IsNull { arg, .. } | Expr::BooleanTest { arg, .. } => {
                constant(arg).is_some()
            }
            Expr::MinMax { args, .. } => args.iter().all(|arg| constant(arg).is_some()),
            Expr::ArrayComparison { operator, array, .. } => {
                // With an empty array the answer would not depend on the left side.
                let filled =
                    matches!(&**array, Expr::Array { elements, .. } if !elements.is_empty());
                let is_null = operator.args.first().and_then(constant).is_some_and(Datum::is_null);
                if filled && is_null && function(operator).is_some_and(|row| row.strict) {
                    *expr = null(expr.ty());
                    return Ok(());
                }
                let known = match &**array {
                    Expr::Array { elements, .. } => {
                        elements.iter().all(|element| constant(element).is_some())
                    }
                    array => constant(array).is_some(),
                };
                known
                    && operator.args.first().and_then(constant).is_some()
                    && function(operator).is_some_and(is_computable)
            }
            _ => false,
        };
        if !is_computed {
            return Ok(());
        }
        let ty = expr.ty();
        let program = Program::compile(expr, &mut |_, _, _| {
            Err(aegis_types::SqlError::internal("a constant names no column"))
        })?;
        *expr = Expr::Const { value: program.evaluate(&[], self.evaluation)?, ty };
        Ok(())
    }

    /// What becomes of a call.
    fn fate(&self, call: &Call) -> SqlResult<Fate> {
        let Some(row) = call.row().filter(|_| !call.returns_set) else {
            return Ok(Fate::Kept);
        };
        if row.strict && call.args.iter().any(|arg| constant(arg).is_some_and(Datum::is_null)) {
            return match row.implementation {
                Implementation::Missing => Err(missing_function(row).at_opt(call.location)),
                _ => Ok(Fate::Null),
            };
        }
        let is_known = is_computable(row) && call.args.iter().all(|arg| constant(arg).is_some());
        Ok(if is_known { Fate::Computed } else { Fate::Kept })
    }
}

enum Fate {
    Null,
    Computed,
    Kept,
}

fn is_computable(row: &FunctionRow) -> bool {
    row.volatility == Volatility::Immutable
        && matches!(row.implementation, Implementation::Scalar(_))
}

fn function(call: &Call) -> Option<&'static FunctionRow> {
    builtins().function(call.function)
}

fn constant(expr: &Expr) -> Option<&Datum> {
    match expr {
        Expr::Const { value, .. } => Some(value),
        _ => None,
    }
}

fn null(ty: TypeRef) -> Expr {
    Expr::Const { value: Datum::Null, ty }
}

fn boolean(value: bool) -> Expr {
    Expr::Const { value: Datum::Bool(value), ty: TypeRef::plain(type_oid::BOOL) }
}

/// Puts the operand of a `CASE` into one of its conditions.
fn put_operand(expr: &mut Expr, operand: &Expr) {
    match expr {
        Expr::CaseArgument { .. } => *expr = operand.clone(),
        // What is in its conditions is its own operand.
        Expr::Case { operand: Some(inner), .. } => put_operand(inner, operand),
        _ => children_mut(expr, &mut |child| put_operand(child, operand)),
    }
}

/// Whether something in a query may come to a constant that is none yet.
fn has_work(query: &Query) -> bool {
    let inside = query.ctes.iter().any(|cte| has_work(&cte.query))
        || query
            .range_table
            .iter()
            .any(|entry| matches!(&entry.kind, RteKind::Subquery(subquery) if has_work(subquery)));
    let mut found = inside;
    super::walk::each_but_values(query, &mut |expr| {
        super::walk::visit_expr(expr, 0, &mut |expr, _| {
            found = found || may_compute(expr);
            !found
        });
    });
    found
}

fn may_compute(expr: &Expr) -> bool {
    let mut has_constant = matches!(expr, Expr::Call(call) if call.args.is_empty());
    // What they gather is no constant.
    if !matches!(expr, Expr::Aggregate(_) | Expr::WindowCall(_) | Expr::Array { .. }) {
        expr.for_each_child(&mut |child| has_constant |= constant(child).is_some());
    }
    has_constant
}
