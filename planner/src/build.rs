//! From a bound query to a [`Plan`].
//!
//! ```text
//! FROM, WHERE ─► GROUP BY ─► HAVING ─► windows ─► targets ─► DISTINCT ─► ORDER BY ─► LIMIT
//! ```
//!
//! Nothing is reordered but inner joins, by what they cost, and conditions, which go to the first
//! place that has their columns.

use std::collections::HashMap;
use std::sync::Arc;

use aegis_catalog::CatalogSnapshot;
use aegis_sql::bound::{
    Cte, Distinct, Expr, Query, RteKind, SET_OPERATION, SetOperation, SetOperator, collation,
};
use aegis_sql::query_engine::StatementContext;
use aegis_storage::{ReadView, TreeId};
use aegis_types::builtin::Implementation;
use aegis_types::{Datum, Oid, SqlError, SqlResult, TypeRef};

use self::access::Wish;
use self::indexed::Indexed;
use self::locking::take_limited;
pub(crate) use self::selectivity::Peek;
use self::semi::take_semis;
use crate::compile::{Layout, compile, strip};
use crate::duplicates::{DistinctPlan, SetOperationPlan};
use crate::explain::{Described, Names};
use crate::functions::{SetCall, SetSource, SetTarget};
use crate::plan::{DUMMY, LimitPlan, Plan, PlanKind, SortColumn, SortPlan};
use crate::recursive::RecursivePlan;
use crate::rewrite::{Visitor, is_volatile_query, visit_query};
use crate::scalar::Scalar;
use crate::subquery::{CtePlan, Part};

mod access;
mod extremes;
mod from;
mod group;
mod indexed;
mod join_order;
mod late;
mod locking;
mod selectivity;
mod semi;

/// What a part refers to in the queries around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OuterRef {
    /// The query, counted from the outermost.
    pub(crate) depth: usize,
    pub(crate) entry: usize,
    pub(crate) column: i16,
    pub(crate) ty: TypeRef,
}

/// A common table expression that can be named.
#[derive(Clone)]
struct CteScope {
    cte: Cte,
    number: usize,
    /// How often it is named.
    references: usize,
    part: Option<(Arc<Part>, Vec<OuterRef>)>,
    /// How many parts are around it.
    unit: usize,
    /// While its recursive term is built.
    in_recursion: bool,
}

/// Builds the plan of one statement.
pub(crate) struct Builder {
    pub(crate) catalog: Arc<CatalogSnapshot>,
    pub(crate) snapshot: u64,
    /// For each part being built, the innermost last, what it refers to.
    units: Vec<Vec<OuterRef>>,
    /// The common table expressions of each query around, by depth.
    ctes: Vec<Vec<CteScope>>,
    /// The queries around, by depth, for EXPLAIN.
    names: Vec<Arc<Names>>,
    parts: usize,
    /// What is there to be read, for estimates; none where nothing is read.
    view: Option<ReadView>,
    table_rows: HashMap<Oid, f64>,
    /// The same as storage estimates it, by tree.
    sizes: Vec<(TreeId, f64)>,
    /// What kept expressions are analyzed with.
    context: Option<StatementContext>,
    indexed: HashMap<Oid, Arc<Indexed>>,
    /// For each query being built, how many rows conditions leave of its tables, by entry.
    left: Vec<HashMap<usize, f64>>,
    /// What hangs on values of parameters.
    peeks: Vec<Peek>,
    /// How many rows of the query that is built next are wanted.
    wanted: Option<f64>,
}

impl Builder {
    pub(crate) fn new(context: &StatementContext) -> Self {
        Self {
            catalog: context.catalog.clone(),
            snapshot: context.view.seq().0,
            units: vec![Vec::new()],
            ctes: Vec::new(),
            names: Vec::new(),
            parts: 0,
            view: Some(context.view.clone()),
            table_rows: HashMap::new(),
            sizes: Vec::new(),
            context: Some(context.clone()),
            indexed: HashMap::new(),
            left: Vec::new(),
            peeks: Vec::new(),
            wanted: None,
        }
    }

    /// What the columns of the query being built are called.
    fn names(&self) -> Arc<Names> {
        self.names.last().expect("a query is being built").clone()
    }

    /// The number of a value of the rows around, in the part being built.
    pub(crate) fn outer(
        &mut self,
        depth: usize,
        entry: usize,
        column: i16,
        ty: TypeRef,
    ) -> SqlResult<usize> {
        let unit = self.units.last_mut().expect("a plan is a part itself");
        let outer = OuterRef { depth, entry, column, ty };
        Ok(unit.iter().position(|known| *known == outer).unwrap_or_else(|| {
            unit.push(outer);
            unit.len() - 1
        }))
    }

    /// The tables whose sizes were asked for, and those.
    pub(crate) fn sizes(&self) -> Vec<(TreeId, f64)> {
        self.sizes.clone()
    }

    /// The estimates that hang on values of parameters.
    pub(crate) fn peeks(&mut self) -> Vec<Peek> {
        std::mem::take(&mut self.peeks)
    }

    fn number(&mut self) -> usize {
        self.parts += 1;
        self.parts
    }

    /// Builds a query as a part of its own.
    pub(crate) fn part(
        &mut self,
        query: &Arc<Query>,
        depth: usize,
    ) -> SqlResult<(Part, Vec<OuterRef>)> {
        let stable = !is_volatile_query(query);
        self.part_of(stable, |builder| builder.query(query, depth))
    }

    fn part_of(
        &mut self,
        stable: bool,
        build: impl FnOnce(&mut Self) -> SqlResult<Plan>,
    ) -> SqlResult<(Part, Vec<OuterRef>)> {
        let number = self.number();
        self.units.push(Vec::new());
        let plan = build(self);
        let outers = self.units.pop().expect("pushed above");
        Ok((Part { number, plan: plan?, stable }, outers))
    }

    /// The plan of a query at `depth`, giving its visible targets.
    pub(crate) fn query(&mut self, query: &Arc<Query>, depth: usize) -> SqlResult<Plan> {
        if query.has_changes_in_with() {
            // Whoever can run it has put the rows that it returns in its place.
            return Err(SqlError::unsupported("a data-modifying statement in WITH in this place"));
        }
        let kept = self.ctes.split_off(depth.min(self.ctes.len()));
        self.ctes.resize_with(depth, Vec::new);
        let unit = self.units.len();
        let scopes = query
            .ctes
            .iter()
            .enumerate()
            .map(|(at, cte)| CteScope {
                cte: cte.clone(),
                number: self.number(),
                references: references(query, at),
                part: None,
                unit,
                in_recursion: false,
            })
            .collect();
        self.ctes.push(scopes);
        let kept_names = self.names.split_off(depth.min(self.names.len()));
        let around = self.names.last().cloned();
        self.names.push(Arc::new(Names { query: query.clone(), around }));
        self.left.push(HashMap::new());
        let plan = self.query_body(query, depth);
        self.left.pop();
        self.names.pop();
        self.names.extend(kept_names);
        self.ctes.truncate(depth);
        self.ctes.extend(kept);
        plan
    }

    fn query_body(&mut self, query: &Arc<Query>, depth: usize) -> SqlResult<Plan> {
        if !query.row_marks.is_empty() {
            return self.locking(query, depth);
        }
        let wanted = self.wanted.take();
        let mut query = (**query).clone();
        self.take_extremes(&mut query);
        take_limited(&mut query);
        let semis = take_semis(&mut query);
        if !semis.is_empty()
            && let Some(last) = self.names.pop()
        {
            let range_table = query.range_table.clone();
            let named = Query { range_table, ..(*last.query).clone() };
            let around = last.around.clone();
            self.names.push(Arc::new(Names { query: Arc::new(named), around }));
        }
        let wish = wish(self, &query, wanted);
        let (mut plan, mut layout) = match &query.set_operation {
            Some(operation) => {
                let plan = self.set_operation(operation, &query, depth)?;
                let layout = plan
                    .types
                    .iter()
                    .enumerate()
                    .map(|(at, ty)| {
                        let column = i16::try_from(at + 1).unwrap_or(i16::MAX);
                        ((SET_OPERATION, column), (at, *ty))
                    })
                    .collect();
                (plan, Layout(layout))
            }
            None => self.from(&query, &semis, wish.as_ref(), depth)?,
        };
        let ordered = plan.ordered && wish.is_some();
        if query.grouped {
            (plan, layout) = self.expand_groups(plan, layout, &mut query, depth)?;
            (plan, layout) = self.group(plan, &layout, &mut query, depth)?;
        }
        (plan, layout) = self.windows(plan, layout, &mut query, depth)?;
        let late;
        (plan, late) = self.early_targets(plan, &layout, &query, ordered, depth)?;
        plan.ordered = ordered;
        self.finish(plan, late, &query, depth)
    }

    /// `DISTINCT`, `ORDER BY`, `LIMIT` over the targets.
    fn finish(
        &mut self,
        mut plan: Plan,
        late: Option<Vec<Arc<Scalar>>>,
        query: &Query,
        depth: usize,
    ) -> SqlResult<Plan> {
        let mut types = plan.types.clone();
        let visible: Vec<usize> =
            (0..query.targets.len()).filter(|at| !query.targets[*at].hidden).collect();
        if let Distinct::All = query.distinct {
            let exprs: Vec<Expr> =
                visible.iter().map(|at| query.targets[*at].expr.clone()).collect();
            let rows = self.groups(&exprs, plan.rows);
            let (input, columns) = (Box::new(plan), visible.clone());
            let kind = PlanKind::Distinct(DistinctPlan { input, columns, is_sorted: false });
            plan = Plan::new(kind, types.clone()).with_rows(rows);
        }
        if !query.order_by.is_empty() && !plan.ordered {
            let keys = query
                .order_by
                .iter()
                .map(|key| SortColumn {
                    scalar: column(key.target, types[key.target]),
                    descending: key.descending,
                    nulls_first: key.nulls_first,
                })
                .collect();
            let names = self.names();
            let described = query
                .order_by
                .iter()
                .map(|key| Described {
                    expr: names
                        .query
                        .targets
                        .get(key.target)
                        .unwrap_or(&query.targets[key.target])
                        .expr
                        .clone(),
                    names: names.clone(),
                })
                .collect();
            let rows = plan.rows;
            let sort = SortPlan { input: Box::new(plan), keys, described };
            plan = Plan::new(PlanKind::Sort(sort), types.clone()).with_rows(rows);
        }
        if let Some(exprs) = late {
            let rows = plan.rows;
            types = exprs.iter().map(|scalar| scalar.ty).collect();
            plan = Plan::new(PlanKind::Project(Box::new(plan), exprs), types.clone());
            plan = plan.with_rows(rows).with_origin(self.names(), None);
        }
        if let Distinct::On(columns) = &query.distinct {
            // ORDER BY, if there is one, begins with these columns.
            let is_sorted = !query.order_by.is_empty();
            let exprs: Vec<Expr> =
                columns.iter().map(|at| query.targets[*at].expr.clone()).collect();
            let rows = self.groups(&exprs, plan.rows);
            let (input, columns) = (Box::new(plan), columns.clone());
            let kind = PlanKind::Distinct(DistinctPlan { input, columns, is_sorted });
            plan = Plan::new(kind, types.clone()).with_rows(rows);
        }
        if query.limit.is_some() || query.offset.is_some() {
            let none = Layout::default();
            let mut bound = |expr: &Option<Expr>| {
                expr.as_ref().map(|expr| compile(self, expr, &none, depth)).transpose()
            };
            let (limit, offset) = (bound(&query.limit)?, bound(&query.offset)?);
            let ties =
                query.with_ties.then(|| query.order_by.iter().map(|key| key.target).collect());
            let input = Box::new(plan);
            let rows =
                query.limit.as_ref().map_or(input.rows, |limit| input.rows.min(count(limit)));
            let kind = PlanKind::Limit(LimitPlan { input, limit, offset, ties });
            plan = Plan::new(kind, types.clone()).with_rows(rows);
        }
        if visible.len() < types.len() {
            plan = project_columns(plan, &visible);
        }
        Ok(plan)
    }

    fn targets(
        &mut self,
        plan: Plan,
        layout: &Layout,
        query: &Query,
        depth: usize,
    ) -> SqlResult<Plan> {
        let types: Vec<TypeRef> = query.targets.iter().map(|target| target.expr.ty()).collect();
        if query.has_set_functions {
            return self.set_targets(plan, layout, query, depth);
        }
        if query.targets.is_empty() {
            return Ok(plan);
        }
        let exprs = query
            .targets
            .iter()
            .map(|target| compile(self, &target.expr, layout, depth))
            .collect::<SqlResult<_>>()?;
        let rows = plan.rows;
        let plan = Plan::new(PlanKind::Project(Box::new(plan), exprs), types).with_rows(rows);
        Ok(plan.with_origin(self.names(), None))
    }

    /// Set-returning functions are taken out of the targets; what is around them is computed above.
    /// Those inside others are expanded before them.
    fn set_targets(
        &mut self,
        mut plan: Plan,
        layout: &Layout,
        query: &Query,
        depth: usize,
    ) -> SqlResult<Plan> {
        let mut exprs: Vec<Expr> = query.targets.iter().map(|target| target.expr.clone()).collect();
        let mut layout = layout.clone();
        let mut expanded = 0;
        while exprs.iter().any(has_set) {
            let none = crate::rewrite::Columns::default();
            (plan, layout) = self.expand(plan, &layout, &mut exprs, none, &mut expanded, depth)?;
        }
        let types = exprs.iter().map(Expr::ty).collect();
        let exprs = exprs
            .iter()
            .map(|expr| compile(self, expr, &layout, depth))
            .collect::<SqlResult<_>>()?;
        let plan = Plan::new(PlanKind::Project(Box::new(plan), exprs), types);
        Ok(plan.with_origin(self.names(), None))
    }

    /// Set-returning functions that are grouped by are expanded before there are groups.
    fn expand_groups(
        &mut self,
        mut plan: Plan,
        mut layout: Layout,
        query: &mut Query,
        depth: usize,
    ) -> SqlResult<(Plan, Layout)> {
        let keys = query.grouping_sets.iter().flatten().filter(|key| has_set(key));
        let keys: Vec<Expr> = keys.cloned().collect();
        if keys.is_empty() {
            return Ok((plan, layout));
        }
        let names: Vec<String> = keys.iter().map(crate::rewrite::fingerprint).collect();
        let (mut exprs, mut expanded) = (keys, 0);
        while exprs.iter().any(has_set) {
            // Whatever else the query reads goes on up.
            let mut kept = crate::rewrite::Columns::default();
            visit_query(query, 0, &mut kept);
            (plan, layout) = self.expand(plan, &layout, &mut exprs, kept, &mut expanded, depth)?;
        }
        let targets = query.targets.iter_mut().map(|target| &mut target.expr);
        let groups = query.grouping_sets.iter_mut().flatten();
        for expr in targets.chain(groups).chain(&mut query.having) {
            crate::rewrite::rewrite_expr(expr, 0, &mut |expr, level| {
                if level > 0 || !has_set(expr) {
                    return false;
                }
                let name = crate::rewrite::fingerprint(expr);
                let found = names.iter().position(|known| *known == name);
                if let Some(at) = found {
                    *expr = exprs[at].clone();
                }
                found.is_some()
            });
        }
        Ok((plan, layout))
    }

    /// Expands the set-returning functions that have no others in their arguments. `columns` are
    /// needed above besides those that the expressions name.
    fn expand(
        &mut self,
        plan: Plan,
        layout: &Layout,
        exprs: &mut [Expr],
        mut columns: crate::rewrite::Columns,
        expanded: &mut usize,
        depth: usize,
    ) -> SqlResult<(Plan, Layout)> {
        const EXPANDED: usize = SET_OPERATION - 9;
        let mut sets: Vec<(Expr, i16)> = Vec::new();
        for expr in exprs {
            crate::rewrite::rewrite_expr(expr, 0, &mut |expr, level| match expr {
                Expr::Call(call)
                    if level == 0 && call.returns_set && !call.args.iter().any(has_set) =>
                {
                    *expanded += 1;
                    let column = i16::try_from(*expanded).unwrap_or(i16::MAX);
                    let ty = call.ty;
                    sets.push((expr.clone(), column));
                    *expr = Expr::Column { entry: EXPANDED, column, levels_up: 0, ty };
                    true
                }
                _ => false,
            });
            crate::rewrite::visit_expr(expr, 0, &mut columns);
        }
        let (mut targets, mut types, mut above) = (Vec::new(), Vec::new(), Layout::default());
        for (expr, column) in &sets {
            let Expr::Call(call) = expr else { continue };
            targets.push(SetTarget::Set(self.set_call(call, layout, depth)?));
            above.0.insert((EXPANDED, *column), (types.len(), call.ty));
            types.push(call.ty);
        }
        for name in columns.0 {
            if let Some((at, ty)) = layout.0.get(&name) {
                above.0.insert(name, (types.len(), *ty));
                targets.push(SetTarget::Value(column(*at, *ty)));
                types.push(*ty);
            }
        }
        Ok((Plan::new(PlanKind::ProjectSet(Box::new(plan), targets), types), above))
    }

    fn set_call(
        &mut self,
        call: &aegis_sql::bound::Call,
        layout: &Layout,
        depth: usize,
    ) -> SqlResult<SetCall> {
        let row = call
            .row()
            .ok_or_else(|| SqlError::internal(format!("no function {}", call.function)))?;
        let source = match row.implementation {
            Implementation::Set(function) => SetSource::BuiltIn(function),
            Implementation::Statements => SetSource::User(row.oid),
            _ => {
                let missing = aegis_sql::evaluate::missing_function(row);
                return Err(missing.at_opt(call.location));
            }
        };
        let args = call
            .args
            .iter()
            .map(|arg| compile(self, arg, layout, depth))
            .collect::<SqlResult<_>>()?;
        let collation = collation::of_arguments(row, &call.args, &|_, _, _| None)?;
        Ok(SetCall { source, strict: row.strict, args, result: call.ty, collation })
    }

    fn set_operation(
        &mut self,
        operation: &SetOperation,
        query: &Query,
        depth: usize,
    ) -> SqlResult<Plan> {
        match operation {
            SetOperation::Leaf(entry) => {
                let RteKind::Subquery(inner) = &query.range_table[*entry].kind else {
                    return Err(SqlError::internal("a set operation over something else"));
                };
                self.query(inner, depth + 1)
            }
            SetOperation::Node { op, all, left, right } => {
                let left = Box::new(self.set_operation(left, query, depth)?);
                let right = Box::new(self.set_operation(right, query, depth)?);
                let types = left.types.clone();
                let width = types.len();
                if *op != SetOperator::Union {
                    let operation = SetOperationPlan { op: *op, all: *all, left, right };
                    return Ok(Plan::new(PlanKind::SetOperation(operation), types));
                }
                let both = Plan::new(PlanKind::Append(left, right), types.clone());
                if *all {
                    return Ok(both);
                }
                let (input, columns) = (Box::new(both), (0..width).collect());
                let kind = PlanKind::Distinct(DistinctPlan { input, columns, is_sorted: false });
                Ok(Plan::new(kind, types))
            }
        }
    }

    /// A reference to a common table expression.
    fn cte(&mut self, index: usize, definer: usize, depth: usize) -> SqlResult<Plan> {
        let scope = self
            .ctes
            .get(definer)
            .and_then(|scopes| scopes.get(index))
            .cloned()
            .ok_or_else(|| SqlError::internal("a reference to no common table expression"))?;
        let types: Vec<TypeRef> =
            scope.cte.query.visible_targets().map(|target| target.expr.ty()).collect();
        if scope.in_recursion {
            return Ok(Plan::new(PlanKind::WorkTable(scope.number), types));
        }
        let volatile = is_volatile_query(&scope.cte.query) || scope.cte.query.row_locks().is_some();
        let once = scope.references <= 1 && scope.cte.materialized != Some(true);
        let inline = scope.cte.materialized == Some(false) && !volatile;
        if (once && !volatile) || (inline && !scope.cte.recursive) {
            return self.cte_query(&scope, index, definer);
        }
        let (part, outers) = match scope.part.clone() {
            Some(part) => part,
            None => {
                let build = |builder: &mut Self| builder.cte_query(&scope, index, definer);
                let (part, outers) = self.part_of(true, build)?;
                let built = (Arc::new(part), outers);
                self.ctes[definer][index].part = Some(built.clone());
                built
            }
        };
        let none = Layout::default();
        let bindings: Vec<Arc<Scalar>> = outers
            .iter()
            .map(|outer| {
                let levels_up = depth - outer.depth;
                let OuterRef { entry, column, ty, .. } = *outer;
                compile(self, &Expr::Column { entry, column, levels_up, ty }, &none, depth)
            })
            .collect::<SqlResult<_>>()?;
        let name = scope.cte.name.clone();
        let in_recursion = self.ctes.iter().flatten().any(|scope| scope.in_recursion);
        let is_streamed = scope.references <= 1
            && scope.unit == self.units.len()
            && !in_recursion
            && bindings.is_empty();
        Ok(Plan::new(PlanKind::Cte(CtePlan { name, part, bindings, is_streamed }), types))
    }

    fn cte_query(&mut self, scope: &CteScope, index: usize, definer: usize) -> SqlResult<Plan> {
        // The expression's query stands right below its definer, wherever it is named.
        let kept = self.ctes.split_off(definer + 1);
        let plan = if scope.cte.recursive {
            self.recursive(scope, index, definer)
        } else {
            self.query(&scope.cte.query, definer + 1)
        };
        self.ctes.truncate(definer + 1);
        self.ctes.extend(kept);
        plan
    }

    fn recursive(&mut self, scope: &CteScope, index: usize, definer: usize) -> SqlResult<Plan> {
        let query = &scope.cte.query;
        let Some(SetOperation::Node { op: SetOperator::Union, all, left, right }) =
            &query.set_operation
        else {
            return self.query(query, definer + 1);
        };
        if !query.order_by.is_empty() || query.limit.is_some() {
            return Err(SqlError::unsupported("ORDER BY in a recursive query"));
        }
        self.ctes.push(Vec::new());
        let types: Vec<TypeRef> = query.visible_targets().map(|target| target.expr.ty()).collect();
        let depth = definer + 1;
        // Both terms share the values around of the part that the recursion stands in.
        let base = self.set_operation(left, query, depth)?;
        self.ctes[definer][index].in_recursion = true;
        let step = self.set_operation(right, query, depth);
        self.ctes[definer][index].in_recursion = false;
        let (base, step) = (self.term(base), self.term(step?));
        let kind = RecursivePlan { number: scope.number, base, step, all: *all };
        Ok(Plan::new(PlanKind::Recursive(kind), types))
    }

    fn term(&mut self, plan: Plan) -> Arc<Part> {
        Arc::new(Part { number: self.number(), plan, stable: false })
    }
}

/// The order that a query's rows are to come in, where one of its tables could give it; without
/// `ORDER BY`, how many are wanted, if that is not said elsewhere.
fn wish(builder: &mut Builder, query: &Query, wanted: Option<f64>) -> Option<Wish> {
    let plain = !query.grouped
        && query.windows.is_empty()
        && !query.has_set_functions
        && matches!(query.distinct, Distinct::No);
    if !plain {
        return None;
    }
    let limit = match (&query.limit, &query.offset) {
        (None, _) => wanted,
        (Some(_), _) if query.with_ties => None,
        (Some(limit), offset) => Some(count(limit) + offset.as_ref().map_or(0.0, count)),
    };
    let mut wish = Wish { entry: usize::MAX, keys: Vec::new(), limit };
    for key in &query.order_by {
        let target = &query.targets[key.target].expr;
        let (entry, column) = match strip(target) {
            Expr::Column { entry, column, levels_up: 0, .. } if *column > 0 => (*entry, *column),
            Expr::Column { .. } => return None,
            other => builder.wished_expression(query, other)?,
        };
        if !wish.keys.is_empty() && wish.entry != entry {
            return None;
        }
        wish.entry = entry;
        wish.keys.push((column, key.descending, key.nulls_first));
    }
    (!wish.keys.is_empty() || wish.limit.is_some()).then_some(wish)
}

impl Builder {
    /// The table that an expression is over, and its number among what that table's indexes hold.
    fn wished_expression(&mut self, query: &Query, expr: &Expr) -> Option<(usize, i16)> {
        let entries = crate::rewrite::entries_of(expr);
        let [entry] = entries.iter().copied().collect::<Vec<_>>()[..] else { return None };
        let RteKind::Relation(relation) = &query.range_table.get(entry)?.kind else { return None };
        let relation = relation.clone();
        Some((entry, self.indexed_column(entry, &relation, expr)?))
    }
}

/// About how many rows a `LIMIT` or `OFFSET` says.
fn count(expr: &Expr) -> f64 {
    match expr {
        Expr::Const { value: Datum::Int8(count), .. } => (*count).max(0) as f64,
        Expr::Const { .. } => f64::MAX,
        _ => 100.0,
    }
}

/// How often a query's common table expression is named.
fn references(query: &Query, index: usize) -> usize {
    struct Count(usize, usize);
    impl Visitor for Count {
        fn expr(&mut self, _: &Expr, _: usize) {}
        fn entry(&mut self, entry: &aegis_sql::bound::RangeTableEntry, level: usize) {
            if let RteKind::Cte { index, levels_up } = entry.kind
                && levels_up == level
                && index == self.0
            {
                self.1 += 1;
            }
        }
    }
    let mut count = Count(index, 0);
    visit_query(query, 0, &mut count);
    let own = usize::from(query.ctes[index].recursive);
    count.1.saturating_sub(own)
}

fn has_set(expr: &Expr) -> bool {
    let mut found = matches!(expr, Expr::Call(call) if call.returns_set);
    expr.for_each_child(&mut |child| found |= has_set(child));
    found
}

/// A column of the plan below.
pub(crate) fn column(at: usize, ty: TypeRef) -> Arc<Scalar> {
    Arc::new(Scalar { ty, node: crate::scalar::Vectorized::Column(at) })
}

/// Some columns of a plan; one that nobody reads if none is wanted.
pub(crate) fn project_columns(plan: Plan, columns: &[usize]) -> Plan {
    let mut types: Vec<TypeRef> = columns.iter().map(|at| plan.types[*at]).collect();
    let mut exprs: Vec<_> = columns.iter().map(|at| column(*at, plan.types[*at])).collect();
    if exprs.is_empty() {
        let node = crate::scalar::Vectorized::Const(aegis_types::Datum::Null);
        exprs.push(Arc::new(Scalar { ty: DUMMY, node }));
        types.push(DUMMY);
    }
    let rows = plan.rows;
    Plan::new(PlanKind::Project(Box::new(plan), exprs), types).with_rows(rows)
}
