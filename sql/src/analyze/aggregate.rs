//! Aggregates: which query they belong to, where they may stand, `DISTINCT` and `ORDER BY` in them
//! (PostgreSQL's `parse_agg.c`).

use aegis_types::builtin::{FunctionRow, builtins};
use aegis_types::{SqlError, SqlResult, SqlState, TypeRef};

use super::Analyzer;
use super::coerce::returns_set;
use super::function::Candidate;
use super::function_call::wrong;
use super::node::{Node, same};
use super::scope::Clause;
use super::sort::strip_implicit;
use super::walk::visit_expr;
use crate::ast;
use crate::bound::{Aggregate, Expr, OrderExpr, WindowCall};

/// The innermost queries, counted outward, that columns and aggregates in an expression belong to.
#[derive(Default)]
struct Levels {
    column: Option<usize>,
    aggregate: Option<usize>,
    window: bool,
}

fn levels_of(expr: &Expr, levels: &mut Levels) {
    visit_expr(expr, 0, &mut |expr, depth| {
        let least = |slot: &mut Option<usize>, levels_up: usize| {
            if levels_up >= depth {
                let level = levels_up - depth;
                *slot = Some(slot.map_or(level, |before| before.min(level)));
            }
        };
        match expr {
            Expr::Column { levels_up, .. } => least(&mut levels.column, *levels_up),
            Expr::Aggregate(aggregate) => least(&mut levels.aggregate, aggregate.levels_up),
            Expr::WindowCall(_) if depth == 0 => levels.window = true,
            _ => {}
        }
        true
    });
}

/// Whether an expression has an aggregate of its own query in it.
pub(super) fn has_aggregate(expr: &Expr) -> bool {
    let mut found = false;
    visit_expr(expr, 0, &mut |expr, depth| {
        found |= matches!(expr, Expr::Aggregate(aggregate) if aggregate.levels_up == depth)
            || (depth == 0 && matches!(expr, Expr::Grouping(_)));
        !found
    });
    found
}

/// Whether an expression has a window function of its own query in it.
pub(super) fn has_window_call(expr: &Expr) -> bool {
    if matches!(expr, Expr::WindowCall(_)) {
        return true;
    }
    let mut found = false;
    expr.for_each_child(&mut |child| found |= has_window_call(child));
    found
}

impl Analyzer<'_> {
    /// What may not be said about an aggregate, whatever its arguments are.
    pub(super) fn check_aggregate_syntax(
        &self,
        call: &ast::FuncCall,
        row: &FunctionRow,
        args: &[Node],
        direct: usize,
        candidate: &Candidate,
    ) -> SqlResult<()> {
        let name = call.name.join(".");
        let kind = builtins().aggregate(row.oid).map_or(b'n', |aggregate| aggregate.kind);
        let at = call.location;
        let not_such = |error: SqlError| Err(error.at(at));
        if kind == b'n' {
            if call.agg_within_group {
                return not_such(wrong(format!(
                    "{name} is not an ordered-set aggregate, so it cannot have WITHIN GROUP"
                )));
            }
        } else {
            if !call.agg_within_group {
                return not_such(wrong(format!(
                    "WITHIN GROUP is required for ordered-set aggregate {name}"
                )));
            }
            if call.over.is_some() {
                return not_such(SqlError::new(
                    SqlState::FeatureNotSupported,
                    format!("OVER is not supported for ordered-set aggregate {name}"),
                ));
            }
            let wanted = builtins().aggregate(row.oid).map_or(0, |row| row.direct_arguments);
            let fits = if kind == b'h' { 2 * direct == args.len() } else { direct == wanted };
            if !fits {
                let plural = if wanted == 1 { "" } else { "s" };
                let error = SqlError::new(
                    SqlState::UndefinedFunction,
                    format!("function {} does not exist", self.signature(&call.name, args, &[])),
                );
                return not_such(if kind == b'h' {
                    error.hint(format!(
                        "To use the hypothetical-set aggregate {name}, the number of hypothetical \
                         direct arguments (here {direct}) must match the number of ordering \
                         columns (here {}).",
                        args.len() - direct
                    ))
                } else {
                    error.hint(format!(
                        "There is an ordered-set aggregate {name}, but it requires {wanted} direct \
                         argument{plural}, not {direct}."
                    ))
                });
            }
        }
        if args.is_empty() && !call.agg_star && !call.agg_within_group {
            return not_such(wrong(format!(
                "{name}(*) must be used to call a parameterless aggregate function"
            )));
        }
        if candidate.numbers.is_some() {
            return not_such(SqlError::new(
                SqlState::FeatureNotSupported,
                "aggregates cannot use named arguments",
            ));
        }
        Ok(())
    }

    /// A call of an aggregate, over a group or over a window.
    pub(super) fn aggregate_call(
        &mut self,
        call: &ast::FuncCall,
        row: &FunctionRow,
        mut args: Vec<Node>,
        direct: usize,
        filter: Option<Expr>,
        ty: TypeRef,
        expr_at: Option<u32>,
    ) -> SqlResult<Node> {
        if call.over.is_some() {
            return self.window_call(call, row, args, filter, ty, expr_at);
        }
        for arg in &args {
            if returns_set(&arg.expr) {
                return Err(SqlError::new(
                    SqlState::FeatureNotSupported,
                    "aggregate function calls cannot contain set-returning function calls",
                )
                .hint(
                    "You might be able to move the set-returning function into a LATERAL FROM \
                     item.",
                )
                .at_opt(arg.at));
            }
        }
        let mut order_by = if call.agg_within_group {
            let mut sorted = args.split_off(direct.min(args.len()));
            if builtins().aggregate(row.oid).is_some_and(|row| row.kind == b'h') {
                (args, sorted) = self.unify_hypothetical(args, sorted)?;
            }
            self.sort_nodes(&call.agg_order, sorted)?
        } else {
            self.aggregate_order(call)?
        };
        if !call.agg_within_group {
            // What is sorted by is the argument as the aggregate takes it, converted.
            for key in &mut order_by {
                let given = |arg: &&Node| same(strip_implicit(&arg.expr), &key.expr);
                if let Some(arg) = args.iter().find(given) {
                    key.expr = arg.expr.clone();
                }
            }
        }
        if call.agg_distinct {
            self.check_distinct_aggregate(call, &args, &order_by)?;
        }
        let levels_up = self.aggregate_level(call.location, &args, &order_by, filter.as_ref())?;
        let aggregate = Aggregate {
            function: row.oid,
            args: args.into_iter().map(|arg| arg.expr).collect(),
            distinct: call.agg_distinct,
            order_by,
            within_group: call.agg_within_group,
            filter,
            levels_up,
            ty,
        };
        Ok(Node { expr: Expr::Aggregate(Box::new(aggregate)), at: expr_at })
    }

    /// Gives each hypothetical value the type of what it is to be sorted among.
    fn unify_hypothetical(
        &mut self,
        direct: Vec<Node>,
        sorted: Vec<Node>,
    ) -> SqlResult<(Vec<Node>, Vec<Node>)> {
        let mut values = Vec::with_capacity(direct.len());
        let mut keys = Vec::with_capacity(sorted.len());
        for (value, key) in direct.into_iter().zip(sorted) {
            let (unified, _) = self.unify(vec![key, value], "WITHIN GROUP")?;
            let mut unified = unified.into_iter();
            keys.extend(unified.next());
            values.extend(unified.next());
        }
        Ok((values, keys))
    }

    /// `ORDER BY` among the arguments: never by position or output name.
    fn aggregate_order(&mut self, call: &ast::FuncCall) -> SqlResult<Vec<OrderExpr>> {
        let mut nodes = Vec::with_capacity(call.agg_order.len());
        for key in &call.agg_order {
            nodes.push(self.expr_in(&key.node, Clause::OrderBy)?);
        }
        self.sort_nodes(&call.agg_order, nodes)
    }

    fn check_distinct_aggregate(
        &self,
        call: &ast::FuncCall,
        args: &[Node],
        order_by: &[OrderExpr],
    ) -> SqlResult<()> {
        for arg in args {
            self.need_equality(arg.oid(), arg.at)?;
        }
        let stray =
            order_by.iter().position(|key| !args.iter().any(|arg| same(&arg.expr, &key.expr)));
        if let Some(stray) = stray {
            return Err(SqlError::new(
                SqlState::InvalidColumnReference,
                "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list",
            )
            .at_opt(call.agg_order.get(stray).map(|key| key.node.location())));
        }
        Ok(())
    }

    /// The query that an aggregate belongs to (`check_agglevels_and_constraints`).
    fn aggregate_level(
        &mut self,
        at: u32,
        args: &[Node],
        order_by: &[OrderExpr],
        filter: Option<&Expr>,
    ) -> SqlResult<usize> {
        let mut levels = Levels::default();
        let exprs = args
            .iter()
            .map(|arg| &arg.expr)
            .chain(order_by.iter().map(|key| &key.expr))
            .chain(filter);
        for expr in exprs {
            levels_of(expr, &mut levels);
        }
        if levels.window {
            return Err(SqlError::new(
                SqlState::GroupingError,
                "aggregate function calls cannot contain window function calls",
            )
            .at(self.call_after(at)));
        }
        let level = match (levels.column, levels.aggregate) {
            (Some(column), Some(aggregate)) => column.min(aggregate),
            (column, aggregate) => column.or(aggregate).unwrap_or_default(),
        };
        if levels.aggregate == Some(level) {
            return Err(SqlError::new(
                SqlState::GroupingError,
                "aggregate function calls cannot be nested",
            )
            .at(self.call_after(at)));
        }
        let scope = self.scopes.len().saturating_sub(1 + level);
        self.check_aggregate_clause(scope, at, "aggregate functions")?;
        self.call_locations.push(at);
        let scope = &mut self.scopes[scope];
        scope.has_aggregates = true;
        for place in scope.uses.iter_mut().filter(|place| place.at >= at) {
            place.in_aggregate = true;
        }
        Ok(level)
    }

    /// Where the first aggregate or window function behind `at` was written.
    fn call_after(&self, at: u32) -> u32 {
        self.call_locations.iter().copied().filter(|place| *place > at).min().unwrap_or(at)
    }

    fn check_aggregate_clause(&self, scope: usize, at: u32, what: &str) -> SqlResult<()> {
        let clause = self.scopes[scope].clause;
        let place = match clause {
            Clause::None
            | Clause::SelectTarget
            | Clause::Having
            | Clause::OrderBy
            | Clause::DistinctOn
            | Clause::WindowPartition
            | Clause::WindowOrder => return Ok(()),
            Clause::FromSubselect => "FROM clause of their own query level",
            Clause::WindowFrameRange => "window RANGE",
            Clause::WindowFrameRows => "window ROWS",
            Clause::WindowFrameGroups => "window GROUPS",
            other => other.plural().unwrap_or(other.name()),
        };
        Err(SqlError::new(SqlState::GroupingError, format!("{what} are not allowed in {place}"))
            .at(at))
    }

    /// `GROUPING(…)`.
    pub(super) fn grouping(&mut self, grouping: &ast::GroupingFunc) -> SqlResult<Node> {
        let at = grouping.location;
        if grouping.args.len() > 31 {
            return Err(SqlError::new(
                SqlState::TooManyArguments,
                "GROUPING must have fewer than 32 arguments",
            )
            .at(at));
        }
        let mut args = Vec::with_capacity(grouping.args.len());
        for arg in &grouping.args {
            args.push(self.expr(arg)?.expr);
        }
        let scope = self.scopes.len() - 1;
        self.check_aggregate_clause(scope, at, "grouping operations")?;
        let scope = self.scope();
        scope.has_aggregates = true;
        for place in scope.uses.iter_mut().filter(|place| place.at >= at) {
            place.in_aggregate = true;
        }
        Ok(Node::new(Expr::Grouping(args), at))
    }

    /// A call over a window (`transformWindowFuncCall`).
    pub(super) fn window_call(
        &mut self,
        call: &ast::FuncCall,
        row: &FunctionRow,
        args: Vec<Node>,
        filter: Option<Expr>,
        ty: TypeRef,
        expr_at: Option<u32>,
    ) -> SqlResult<Node> {
        let at = call.location;
        let name = call.name.join(".");
        let Some(over) = &call.over else {
            return Err(SqlError::internal("a window call without OVER"));
        };
        let is_aggregate = row.kind == aegis_types::builtin::FunctionKind::Aggregate;
        let refused =
            |message: &str| Err(SqlError::new(SqlState::FeatureNotSupported, message).at(at));
        if call.agg_distinct {
            return refused("DISTINCT is not implemented for window functions");
        }
        if is_aggregate && args.is_empty() && !call.agg_star {
            return Err(wrong(format!(
                "{name}(*) must be used to call a parameterless aggregate function"
            ))
            .at(at));
        }
        if !call.agg_order.is_empty() {
            return refused("aggregate ORDER BY is not implemented for window functions");
        }
        if filter.is_some() && !is_aggregate {
            return refused("FILTER is not implemented for non-aggregate window functions");
        }
        for arg in &args {
            if has_window_call(&arg.expr) {
                return Err(SqlError::new(
                    SqlState::WindowingError,
                    "window function calls cannot be nested",
                )
                .at(self.call_after(at)));
            }
            if returns_set(&arg.expr) {
                return Err(SqlError::new(
                    SqlState::FeatureNotSupported,
                    "window function calls cannot contain set-returning function calls",
                )
                .hint(
                    "You might be able to move the set-returning function into a LATERAL FROM \
                     item.",
                )
                .at_opt(arg.at));
            }
        }
        let clause = self.scope().clause;
        let place = match clause {
            Clause::None | Clause::SelectTarget | Clause::OrderBy | Clause::DistinctOn => None,
            Clause::WindowPartition
            | Clause::WindowOrder
            | Clause::WindowFrameRange
            | Clause::WindowFrameRows
            | Clause::WindowFrameGroups => Some("window definitions"),
            other => Some(other.plural().unwrap_or(other.name())),
        };
        if let Some(place) = place {
            return Err(SqlError::new(
                SqlState::WindowingError,
                format!("window functions are not allowed in {place}"),
            )
            .at(at));
        }
        let window = self.window_number(over)?;
        self.call_locations.push(at);
        let args = args.into_iter().map(|arg| arg.expr).collect();
        let call = WindowCall { function: row.oid, args, filter, window, ty };
        Ok(Node { expr: Expr::WindowCall(Box::new(call)), at: expr_at })
    }
}
