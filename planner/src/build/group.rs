//! `GROUP BY`, aggregates and windows: what is computed below the targets is replaced in them by
//! columns of entries that no query has.

use std::sync::Arc;

use aegis_sql::analyze::same_expression;
use aegis_sql::bound::{Aggregate, Expr, FrameBound, OrderExpr, Query, SET_OPERATION, WindowCall};
use aegis_types::builtin::{Implementation, builtins};
use aegis_types::{SqlError, SqlResult, TypeRef, type_oid};

use super::Builder;
use crate::aggregate::{AggregateCall, AggregatePlan, WithinGroup};
use crate::compile::{Layout, compile, is_constant};
use crate::explain::Described;
use crate::plan::{DUMMY, Plan, PlanKind, SortColumn, SortPlan};
use crate::rewrite::{conjuncts, fingerprint, rewrite_expr};
use crate::scalar::Scalar;
use crate::window::{Bound, WindowFunction, WindowPlan, WindowSpec, WindowTarget};

const GROUP: usize = SET_OPERATION - 1;
const CARRIED: usize = SET_OPERATION - 2;
const AGGREGATE: usize = SET_OPERATION - 3;
const GROUPING: usize = SET_OPERATION - 4;
const WINDOW: usize = SET_OPERATION - 5;

/// What the expressions over groups ask for.
#[derive(Default)]
struct Asked {
    groups: Vec<Expr>,
    names: Vec<String>,
    carried: Vec<Expr>,
    carried_names: Vec<String>,
    aggregates: Vec<Aggregate>,
    aggregate_names: Vec<String>,
    groupings: Vec<Vec<usize>>,
}

fn stand_in(entry: usize, at: usize, levels_up: usize, ty: TypeRef) -> Expr {
    let column = i16::try_from(at + 1).unwrap_or(i16::MAX);
    Expr::Column { entry, column, levels_up, ty }
}

/// An expression from `level` queries below, as it is in the query itself.
fn raised(expr: &Expr, level: usize) -> Expr {
    let mut expr = expr.clone();
    rewrite_expr(&mut expr, 0, &mut |expr, below| {
        if let Expr::Column { levels_up, .. } = expr
            && *levels_up >= below + level
        {
            *levels_up -= level;
        }
        false
    });
    expr
}

impl Asked {
    /// Takes the place of an expression `level` queries below, if it is one over groups.
    fn replace(&mut self, expr: &mut Expr, level: usize) -> bool {
        let ty = expr.ty();
        if let Expr::Aggregate(aggregate) = expr {
            if aggregate.levels_up != level {
                return false;
            }
            let raised = raised(&Expr::Aggregate(aggregate.clone()), level);
            let name = fingerprint(&raised);
            let known = self.aggregate_names.iter().position(|known| *known == name);
            let at = known.unwrap_or_else(|| {
                if let Expr::Aggregate(aggregate) = raised {
                    self.aggregates.push(*aggregate);
                }
                self.aggregate_names.push(name);
                self.aggregates.len() - 1
            });
            *expr = stand_in(AGGREGATE, at, level, ty);
            return true;
        }
        if let Expr::Grouping(args) = expr
            && level == 0
        {
            let places = args
                .iter()
                .filter_map(|arg| {
                    let name = fingerprint(arg);
                    self.names.iter().position(|known| *known == name)
                })
                .collect();
            self.groupings.push(places);
            *expr = stand_in(GROUPING, self.groupings.len() - 1, 0, ty);
            return true;
        }
        let is_column = matches!(expr, Expr::Column { levels_up, .. } if *levels_up == level);
        if level > 0 && !is_column {
            return false;
        }
        let raised = raised(expr, level);
        let name = fingerprint(&raised);
        if let Some(at) = self.names.iter().position(|known| *known == name) {
            *expr = stand_in(GROUP, at, level, ty);
            return true;
        }
        if is_column {
            let known = self.carried_names.iter().position(|known| *known == name);
            let at = known.unwrap_or_else(|| {
                self.carried.push(raised);
                self.carried_names.push(name);
                self.carried.len() - 1
            });
            *expr = stand_in(CARRIED, at, level, ty);
            return true;
        }
        false
    }
}

impl Builder {
    /// One row a group; the query's expressions are rewritten over the groups.
    pub(super) fn group(
        &mut self,
        plan: Plan,
        layout: &Layout,
        query: &mut Query,
        depth: usize,
    ) -> SqlResult<(Plan, Layout)> {
        let mut asked = Asked::default();
        let mut sets = Vec::new();
        for set in &query.grouping_sets {
            let mut places = Vec::new();
            for expr in set {
                let name = fingerprint(expr);
                let known = asked.names.iter().position(|known| *known == name);
                let at = known.unwrap_or_else(|| {
                    asked.groups.push(expr.clone());
                    asked.names.push(name);
                    asked.groups.len() - 1
                });
                if !places.contains(&at) {
                    places.push(at);
                }
            }
            sets.push(places);
        }
        if sets.is_empty() {
            sets.push(Vec::new());
        }
        let windows = query.windows.iter_mut().flat_map(|window| {
            let order = window.order_by.iter_mut().map(|key| &mut key.expr);
            window.partition_by.iter_mut().chain(order)
        });
        let mut written = Vec::new();
        query.having.iter().for_each(|having| conjuncts(having, &mut written));
        let targets = query.targets.iter_mut().map(|target| &mut target.expr);
        for expr in targets.chain(&mut query.having).chain(windows) {
            rewrite_expr(expr, 0, &mut |expr, level| asked.replace(expr, level));
        }
        let mut compiled = |exprs: &[Expr]| -> SqlResult<Vec<Arc<Scalar>>> {
            exprs.iter().map(|expr| compile(self, expr, layout, depth)).collect()
        };
        let (groups, carried) = (compiled(&asked.groups)?, compiled(&asked.carried)?);
        let calls = asked
            .aggregates
            .iter()
            .map(|aggregate| self.aggregate(aggregate, layout, depth))
            .collect::<SqlResult<Vec<_>>>()?;
        let mut types = Vec::new();
        let mut above = Layout::default();
        let mut add = |entry: usize, columns: Vec<TypeRef>| {
            for (at, ty) in columns.into_iter().enumerate() {
                let column = i16::try_from(at + 1).unwrap_or(i16::MAX);
                above.0.insert((entry, column), (types.len(), ty));
                types.push(ty);
            }
        };
        add(GROUP, groups.iter().map(|scalar| scalar.ty).collect());
        add(CARRIED, carried.iter().map(|scalar| scalar.ty).collect());
        add(AGGREGATE, calls.iter().map(|call| call.result).collect());
        add(GROUPING, vec![TypeRef::plain(type_oid::INT4); asked.groupings.len()]);
        if types.is_empty() {
            types.push(DUMMY);
        }
        let names = self.names();
        let rows = sets.iter().map(|places: &Vec<usize>| {
            let exprs: Vec<Expr> = places.iter().map(|at| asked.groups[*at].clone()).collect();
            self.groups(&exprs, plan.rows)
        });
        let rows = rows.sum();
        let described = asked.groups.into_iter();
        let described = described.map(|expr| Described { expr, names: names.clone() }).collect();
        let aggregate = AggregatePlan {
            input: Box::new(plan),
            groups,
            described,
            sets,
            carried,
            calls: Arc::new(calls),
            groupings: asked.groupings,
        };
        let mut plan = Plan::new(PlanKind::Aggregate(aggregate), types).with_rows(rows);
        let (mut filters, mut gates) = (Vec::new(), Vec::new());
        query.having.iter().for_each(|having| conjuncts(having, &mut filters));
        // A condition that is the same for all groups is asked before there are any.
        let mut shown = written.into_iter().map(Some);
        let mut filters: Vec<_> =
            filters.into_iter().map(|filter| (filter, shown.next().flatten())).collect();
        filters.retain(|(filter, _)| {
            let is_gate = is_constant(filter);
            if is_gate {
                gates.push(filter.clone());
            }
            !is_gate
        });
        (plan, above) = self.filter_shown(plan, above, filters, depth)?;
        Ok((self.gate(plan, gates, depth)?, above))
    }

    fn sort_columns(
        &mut self,
        keys: &[OrderExpr],
        layout: &Layout,
        depth: usize,
    ) -> SqlResult<Vec<SortColumn>> {
        keys.iter()
            .map(|key| {
                let scalar = compile(self, &key.expr, layout, depth)?;
                let (descending, nulls_first) = (key.descending, key.nulls_first);
                Ok(SortColumn { scalar, descending, nulls_first })
            })
            .collect()
    }

    fn aggregate(
        &mut self,
        aggregate: &Aggregate,
        layout: &Layout,
        depth: usize,
    ) -> SqlResult<AggregateCall> {
        let row = builtins()
            .function(aggregate.function)
            .ok_or_else(|| SqlError::internal(format!("no function {}", aggregate.function)))?;
        let Implementation::Aggregate(function) = row.implementation else {
            return Err(aegis_sql::evaluate::missing_function(row));
        };
        let args = aggregate
            .args
            .iter()
            .map(|arg| compile(self, arg, layout, depth))
            .collect::<SqlResult<Vec<_>>>()?;
        let order_by = self.sort_columns(&aggregate.order_by, layout, depth)?;
        let filter = aggregate
            .filter
            .as_ref()
            .map(|filter| compile(self, filter, layout, depth))
            .transpose()?;
        let mut argument_types: Vec<TypeRef> = args.iter().map(|arg| arg.ty).collect();
        if aggregate.within_group {
            argument_types.extend(order_by.iter().map(|key| key.scalar.ty));
        }
        Ok(AggregateCall {
            function,
            strict: is_strict(aggregate.function),
            args,
            distinct: aggregate.distinct,
            order_by,
            within_group: within_group(aggregate),
            filter,
            argument_types,
            result: aggregate.ty,
        })
    }

    /// Computes the window functions; the targets are rewritten over their results.
    pub(super) fn windows(
        &mut self,
        plan: Plan,
        mut layout: Layout,
        query: &mut Query,
        depth: usize,
    ) -> SqlResult<(Plan, Layout)> {
        let mut calls: Vec<WindowCall> = Vec::new();
        for target in &mut query.targets {
            rewrite_expr(&mut target.expr, 0, &mut |expr, level| match expr {
                Expr::WindowCall(call) if level == 0 => {
                    calls.push((**call).clone());
                    *expr = stand_in(WINDOW, calls.len() - 1, 0, expr.ty());
                    true
                }
                _ => false,
            });
        }
        if calls.is_empty() {
            return Ok((plan, layout));
        }
        // What is computed over the same partitions is computed together.
        let mut together: Vec<Vec<usize>> = Vec::new();
        for (at, window) in query.windows.iter().enumerate() {
            let is_alike = |other: &&mut Vec<usize>| {
                let other = &query.windows[other[0]].partition_by;
                other.len() == window.partition_by.len()
                    && other.iter().zip(&window.partition_by).all(|(a, b)| same_expression(a, b))
            };
            match together.iter_mut().find(is_alike) {
                Some(others) => others.push(at),
                None => together.push(vec![at]),
            }
        }
        let mut plan = plan;
        for windows in together {
            let calls: Vec<(usize, &WindowCall)> =
                calls.iter().enumerate().filter(|(_, it)| windows.contains(&it.window)).collect();
            if calls.is_empty() {
                continue;
            }
            plan = self.windows_over(plan, &mut layout, query, (&windows, &calls), depth)?;
        }
        Ok((plan, layout))
    }

    /// The calls over windows with the same partitions.
    fn windows_over(
        &mut self,
        mut plan: Plan,
        layout: &mut Layout,
        query: &Query,
        (places, calls): (&[usize], &[(usize, &WindowCall)]),
        depth: usize,
    ) -> SqlResult<Plan> {
        let mut windows = Vec::new();
        for window in places.iter().map(|at| &query.windows[*at]) {
            let partition_by = window
                .partition_by
                .iter()
                .map(|expr| compile(self, expr, layout, depth))
                .collect::<SqlResult<_>>()?;
            let order_by = self.sort_columns(&window.order_by, layout, depth)?;
            let start = self.bound(&window.frame.start, &window.order_by, depth)?;
            let end = self.bound(&window.frame.end, &window.order_by, depth)?;
            let (unit, exclude) = (window.frame.unit, window.frame.exclude);
            windows.push(WindowSpec { partition_by, order_by, unit, start, end, exclude });
        }
        let mut targets = Vec::new();
        let mut types = plan.types.clone();
        for (at, call) in calls {
            let window = places.iter().position(|place| *place == call.window);
            let target = self.window_target(call, layout, depth)?;
            targets.push(WindowTarget { window: window.unwrap_or_default(), ..target });
            let column = i16::try_from(at + 1).unwrap_or(i16::MAX);
            layout.0.insert((WINDOW, column), (types.len(), call.ty));
            types.push(call.ty);
        }
        let first = &query.windows[places[0]];
        if !first.partition_by.is_empty() {
            let mut keys: Vec<SortColumn> = Vec::new();
            for scalar in &windows[0].partition_by {
                let scalar = scalar.clone();
                keys.push(SortColumn { scalar, descending: false, nulls_first: false });
            }
            keys.extend(self.sort_columns(&first.order_by, layout, depth)?);
            let names = self.names();
            let shown = names.query.windows.get(places[0]).unwrap_or(first);
            let exprs = shown.partition_by.iter().chain(shown.order_by.iter().map(|key| &key.expr));
            let described =
                exprs.map(|expr| Described { expr: expr.clone(), names: names.clone() }).collect();
            let (types, rows) = (plan.types.clone(), plan.rows);
            let sort = SortPlan { input: Box::new(plan), keys, described };
            plan = Plan::new(PlanKind::Sort(sort), types).with_rows(rows);
        }
        let kind =
            WindowPlan { input: Box::new(plan), windows: windows.into(), targets: targets.into() };
        Ok(Plan::new(PlanKind::Window(kind), types))
    }

    fn bound(
        &mut self,
        bound: &FrameBound,
        _order_by: &[OrderExpr],
        depth: usize,
    ) -> SqlResult<Bound> {
        let none = Layout::default();
        Ok(match bound {
            FrameBound::UnboundedPreceding => Bound::First,
            FrameBound::Preceding(expr) => Bound::Before(compile(self, expr, &none, depth)?),
            FrameBound::CurrentRow => Bound::Current,
            FrameBound::Following(expr) => Bound::After(compile(self, expr, &none, depth)?),
            FrameBound::UnboundedFollowing => Bound::Last,
        })
    }

    fn window_target(
        &mut self,
        call: &WindowCall,
        layout: &Layout,
        depth: usize,
    ) -> SqlResult<WindowTarget> {
        let row = builtins()
            .function(call.function)
            .ok_or_else(|| SqlError::internal(format!("no function {}", call.function)))?;
        let function = match row.implementation {
            Implementation::Aggregate(make) => {
                WindowFunction::Aggregate { make, strict: is_strict(call.function) }
            }
            Implementation::Planner => WindowFunction::Named(&row.name),
            _ => return Err(aegis_sql::evaluate::missing_function(row)),
        };
        let args = call
            .args
            .iter()
            .map(|arg| compile(self, arg, layout, depth))
            .collect::<SqlResult<_>>()?;
        let filter =
            call.filter.as_ref().map(|filter| compile(self, filter, layout, depth)).transpose()?;
        Ok(WindowTarget { function, args, filter, window: call.window, result: call.ty })
    }
}

/// Whether an aggregate skips rows with a NULL argument: its transition function is strict.
fn is_strict(function: aegis_types::Oid) -> bool {
    builtins()
        .aggregate(function)
        .and_then(|row| builtins().function(row.transition))
        .is_some_and(|row| row.strict)
}

/// How an aggregate takes what is sorted by.
fn within_group(aggregate: &Aggregate) -> Option<WithinGroup> {
    let row = builtins().aggregate(aggregate.function);
    aggregate.within_group.then(|| match row.map(|row| row.kind) {
        Some(b'h') => WithinGroup::Comparison,
        _ => WithinGroup::Values,
    })
}
