//! `FROM` and `WHERE`: what is read, in which order it is joined, and where conditions apply.

use std::collections::BTreeSet;
use std::sync::Arc;

use aegis_catalog::{Relation, system};
use aegis_sql::bound::{
    Expr, JoinKind, JoinTree, KnownRow, Query, ROW_KEY, RangeTableEntry, RteKind, TABLE_OID, XMIN,
};
use aegis_sql::row::RowLayout;
use aegis_storage::TreeId;
use aegis_types::builtin::{FunctionRow, Implementation};
use aegis_types::{Datum, Oid, SqlError, SqlResult, SqlState, TypeRef, type_oid};

use super::access::{Around, Wish, equality_of, undecided};
use super::locking::filter_within;
use super::semi::Semi;
use super::{Builder, column};
use crate::compile::{Layout, compile, equality, is_constant, widened};
use crate::explain::Described;
use crate::functions::{FromCall, FunctionsPlan, Width};
use crate::lookup::LookupPlan;
use crate::plan::{DUMMY, JoinPlan, JoinType, OneTimePlan, Plan, PlanKind};
use crate::rewrite::{
    Columns, Visitor, conjuncts, entries_of, is_volatile, is_volatile_query, visit_entry,
    visit_expr, visit_query,
};
use crate::scalar::{Comparison, Scalar, Vectorized};
use crate::scan::{Access, ScanPlan};
use crate::subquery::LateralPlan;

/// Something to be joined.
pub(super) struct Item<'q> {
    pub(super) tree: &'q JoinTree,
    pub(super) entries: BTreeSet<usize>,
    /// The entries that it refers to without being joined to them.
    pub(super) needs: BTreeSet<usize>,
}

/// What the whole of a query's `FROM` is planned with.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    query: &'a Query,
    needed: &'a Columns,
    wish: Option<&'a Wish>,
    pub(super) depth: usize,
}

impl<'a> Scope<'a> {
    pub(super) fn table(self, entry: usize) -> &'a RangeTableEntry {
        &self.query.range_table[entry]
    }

    /// Where the order does not matter.
    pub(super) const fn unordered(self) -> Self {
        Self { wish: None, ..self }
    }
}

impl Builder {
    /// The rows of `FROM` that pass `WHERE`, in the order wished for if that is cheaper.
    pub(super) fn from(
        &mut self,
        query: &Query,
        semis: &[Semi],
        wish: Option<&Wish>,
        depth: usize,
    ) -> SqlResult<(Plan, Layout)> {
        let mut needed = Columns::default();
        visit_query(query, 0, &mut needed);
        for condition in semis.iter().flat_map(|semi| &semi.conditions) {
            visit_expr(condition, 0, &mut needed);
        }
        let mut filters = Vec::new();
        query.filter.iter().for_each(|filter| conjuncts(filter, &mut filters));
        let mut items = Vec::new();
        for tree in &query.from {
            flatten(tree, query, &mut items, &mut filters);
        }
        let gates = take_filters(&mut filters, |filter| is_constant(filter) && !is_true(filter));
        let (mut plan, mut layout) = if items.is_empty() {
            let plan = Plan::new(PlanKind::OneRow, vec![DUMMY]);
            self.filter(plan, Layout::default(), filters, depth)?
        } else {
            let scope = Scope { query, needed: &needed, wish, depth };
            self.join_items(items, filters, scope)?
        };
        for semi in semis {
            let scope = Scope { query, needed: &needed, wish, depth };
            (plan, layout) = self.semi_join((plan, layout), semi, scope)?;
        }
        Ok((self.gate(plan, gates, depth)?, layout))
    }

    /// Conditions that are the same for all rows: if one is not true, there is no row.
    pub(super) fn gate(&mut self, plan: Plan, gates: Vec<Expr>, depth: usize) -> SqlResult<Plan> {
        if gates.is_empty() {
            return Ok(plan);
        }
        let none = Layout::default();
        let is_never = gates.iter().any(is_never_true);
        let conditions =
            gates.iter().map(|gate| compile(self, gate, &none, depth)).collect::<SqlResult<_>>()?;
        let names = self.names();
        let described =
            gates.into_iter().map(|expr| Described { expr, names: names.clone() }).collect();
        let (types, rows, ordered) = (plan.types.clone(), plan.rows, plan.ordered);
        let input = Box::new(plan);
        let kind = PlanKind::OneTime(OneTimePlan { input, conditions, described, is_never });
        Ok(Plan { ordered, ..Plan::new(kind, types).with_rows(rows) })
    }

    pub(super) fn filter(
        &mut self,
        plan: Plan,
        layout: Layout,
        filters: Vec<Expr>,
        depth: usize,
    ) -> SqlResult<(Plan, Layout)> {
        let filters = filters.into_iter().map(|filter| (filter, None)).collect();
        self.filter_shown(plan, layout, filters, depth)
    }

    /// Likewise conditions that EXPLAIN is to show otherwise.
    pub(super) fn filter_shown(
        &mut self,
        mut plan: Plan,
        layout: Layout,
        filters: Vec<(Expr, Option<Expr>)>,
        depth: usize,
    ) -> SqlResult<(Plan, Layout)> {
        for (filter, shown) in filters {
            let predicate = compile(self, &filter, &layout, depth)?;
            let (types, ordered) = (plan.types.clone(), plan.ordered);
            let rows = (plan.rows * self.passing([&filter], None)).max(1.0);
            let described = Described { expr: shown.unwrap_or(filter), names: self.names() };
            let kind = PlanKind::Filter(Box::new(plan), predicate, described);
            plan = Plan { ordered, ..Plan::new(kind, types).with_rows(rows) };
        }
        Ok((plan, layout))
    }

    /// Puts those filters that read no computed column below the computation: what it costs is spent
    /// on rows that pass alone. Gives the others back.
    fn filter_below(
        &mut self,
        plan: Plan,
        layout: &Layout,
        filters: Vec<Expr>,
        depth: usize,
    ) -> SqlResult<(Plan, Vec<Expr>)> {
        let (input, exprs, types, rows, ordered, origin) = match plan {
            Plan { kind: PlanKind::Project(input, exprs), types, rows, ordered, origin } => {
                (input, exprs, types, rows, ordered, origin)
            }
            other => return Ok((other, filters)),
        };
        let passed = layout.0.iter().filter_map(|(name, (place, ty))| match exprs[*place].node {
            Vectorized::Column(input) => Some((*name, (input, *ty))),
            _ => None,
        });
        let passed = Layout(passed.collect());
        let (below, above): (Vec<Expr>, Vec<Expr>) = filters.into_iter().partition(|filter| {
            let mut columns = Columns::default();
            visit_expr(filter, 0, &mut columns);
            !is_volatile(filter) && columns.0.iter().all(|name| passed.0.contains_key(name))
        });
        let estimate = (rows * self.passing(&below, None)).max(1.0);
        let (input, _) = self.filter(*input, passed, below, depth)?;
        let plan = Plan::new(PlanKind::Project(Box::new(input), exprs), types);
        Ok((Plan { ordered, origin, ..plan.with_rows(estimate) }, above))
    }

    fn join_items(
        &mut self,
        items: Vec<Item<'_>>,
        mut filters: Vec<Expr>,
        scope: Scope<'_>,
    ) -> SqlResult<(Plan, Layout)> {
        let ordering = self.join_order(&items, &filters, scope.query, scope.wish);
        let scope = if ordering.keeps_order { scope } else { scope.unordered() };
        let mut items: Vec<Option<Item<'_>>> = items.into_iter().map(Some).collect();
        let mut joined: BTreeSet<usize> = BTreeSet::new();
        let mut result: Option<(Plan, Layout)> = None;
        for at in ordering.items {
            let item = items[at].take().expect("an order names every item once");
            let own = take_filters(&mut filters, |filter| {
                let entries = entries_of(filter);
                !entries.is_empty() && entries.is_subset(&item.entries) && !is_volatile(filter)
            });
            let Some(left) = result.take() else {
                joined.extend(&item.entries);
                result = Some(self.tree(item.tree, own, scope)?);
                continue;
            };
            let before = joined.clone();
            joined.extend(&item.entries);
            let on = take_filters(&mut filters, |filter| {
                let entries = entries_of(filter);
                entries.is_subset(&joined)
                    && !entries.is_disjoint(&item.entries)
                    && !is_volatile(filter)
            });
            let is_lateral = !item.needs.is_empty();
            let right = Side { tree: item.tree, filters: own, is_lateral };
            result = Some(self.join(JoinKind::Inner, left, &before, right, on, scope)?);
        }
        let (plan, layout) = result.expect("there is an item");
        self.filter(plan, layout, filters, scope.depth)
    }

    /// A part of the join tree, whose rows pass the filters.
    fn tree(
        &mut self,
        tree: &JoinTree,
        mut filters: Vec<Expr>,
        scope: Scope<'_>,
    ) -> SqlResult<(Plan, Layout)> {
        match tree {
            JoinTree::Entry(entry) => self.entry(*entry, filters, scope),
            JoinTree::Join { kind: JoinKind::Inner, .. } => {
                let mut items = Vec::new();
                flatten(tree, scope.query, &mut items, &mut filters);
                self.join_items(items, filters, scope)
            }
            JoinTree::Join { kind, left, right, on } => {
                let (mut left_entries, mut right_entries) = (BTreeSet::new(), BTreeSet::new());
                entries_of_tree(left, &mut left_entries);
                entries_of_tree(right, &mut right_entries);
                // A condition on the side whose rows all stay holds before the join as after it.
                let mut pushed = |side: &BTreeSet<usize>, may: bool| {
                    take_filters(&mut filters, |filter| {
                        let entries = entries_of(filter);
                        may && !entries.is_empty()
                            && entries.is_subset(side)
                            && !is_volatile(filter)
                    })
                };
                let left_filters = pushed(&left_entries, *kind == JoinKind::Left);
                let mut right_filters = pushed(&right_entries, *kind == JoinKind::Right);
                let mut conditions = Vec::new();
                on.iter().for_each(|on| conjuncts(on, &mut conditions));
                if *kind == JoinKind::Left {
                    right_filters.extend(take_filters(&mut conditions, |filter| {
                        let entries = entries_of(filter);
                        !entries.is_empty()
                            && entries.is_subset(&right_entries)
                            && !is_volatile(filter)
                    }));
                }
                let is_lateral = !needs_of(right, scope.query, &right_entries).is_empty();
                let keeps = *kind == JoinKind::Left
                    && (is_lateral || self.is_reached(right, &conditions, scope.query));
                let left_scope = if keeps { scope } else { scope.unordered() };
                let left = self.tree(left, left_filters, left_scope)?;
                let right = Side { tree: right, filters: right_filters, is_lateral };
                let (plan, layout) =
                    self.join(*kind, left, &left_entries, right, conditions, scope)?;
                self.filter(plan, layout, filters, scope.depth)
            }
        }
    }

    /// Whether a join tree is a table with a key that the conditions give a value for.
    fn is_reached(&mut self, tree: &JoinTree, conditions: &[Expr], query: &Query) -> bool {
        let JoinTree::Entry(entry) = tree else { return false };
        let RteKind::Relation(relation) = &query.range_table[*entry].kind else { return false };
        let columns: Vec<i16> = conditions
            .iter()
            .filter_map(|filter| equality_of(filter, *entry).map(|(column, _)| column))
            .collect();
        self.keys_of(relation)
            .iter()
            .any(|(key, _)| key.first().is_some_and(|first| columns.contains(first)))
    }

    fn join(
        &mut self,
        kind: JoinKind,
        left: (Plan, Layout),
        joined: &BTreeSet<usize>,
        right: Side<'_>,
        mut on: Vec<Expr>,
        scope: Scope<'_>,
    ) -> SqlResult<(Plan, Layout)> {
        if right.is_lateral {
            return self.lateral(kind, left, right, &on, scope);
        }
        let kind = match kind {
            JoinKind::Inner => JoinType::Inner,
            JoinKind::Left => JoinType::Left,
            JoinKind::Right => JoinType::Right,
            JoinKind::Full => JoinType::Full,
        };
        let mut filters = right.filters;
        if let JoinTree::Entry(entry) = right.tree
            && let RteKind::Relation(relation) = &scope.query.range_table[*entry].kind
            && matches!(kind, JoinType::Inner | JoinType::Left)
        {
            let own = filters.len();
            filters.append(&mut on);
            if let Some(way) = self.by_key(&left, joined, *entry, relation, &filters, own, scope)? {
                return self.lookup(kind, left, *entry, relation, filters, way, scope);
            }
            on = filters.split_off(own);
        }
        let right = self.tree(right.tree, filters, scope.unordered())?;
        self.plain_join(kind, left, right, on, scope.depth)
    }

    fn lateral(
        &mut self,
        kind: JoinKind,
        (left, left_layout): (Plan, Layout),
        Side { tree, filters, .. }: Side<'_>,
        on: &[Expr],
        scope: Scope<'_>,
    ) -> SqlResult<(Plan, Layout)> {
        let depth = scope.depth;
        let width = left.types.len();
        let mut layout = left_layout.clone();
        if matches!(kind, JoinKind::Right | JoinKind::Full) {
            return Err(SqlError::internal("a lateral item that an outer join makes rows for"));
        }
        let mut inner = Layout::default();
        let (part, outers) = self.part_of(false, |builder| {
            let (plan, layout) = builder.tree(tree, filters, scope.unordered())?;
            inner = layout;
            Ok(plan)
        })?;
        let part = crate::subquery::Part { stable: !is_volatile_tree(tree, scope.query), ..part };
        let bindings = outers
            .iter()
            .map(|outer| {
                let levels_up = depth - outer.depth;
                let super::OuterRef { entry, column, ty, .. } = *outer;
                let expr = Expr::Column { entry, column, levels_up, ty };
                compile(self, &expr, &left_layout, depth)
            })
            .collect::<SqlResult<_>>()?;
        layout.append(&inner, width);
        let filter = self.all_of(on, &layout, depth)?;
        let types: Vec<TypeRef> = left.types.iter().chain(&part.plan.types).copied().collect();
        let outer = kind == JoinKind::Left;
        let rows = (left.rows * part.plan.rows).max(1.0);
        let ordered = left.ordered;
        let plan =
            LateralPlan { left: Box::new(left), part: Arc::new(part), bindings, outer, filter };
        let plan = Plan::new(PlanKind::Lateral(plan), types).with_rows(rows);
        Ok((Plan { ordered, ..plan }, layout))
    }

    /// A join by hashing or, without an equality, by comparing all pairs.
    pub(super) fn plain_join(
        &mut self,
        kind: JoinType,
        (left, left_layout): (Plan, Layout),
        (right, right_layout): (Plan, Layout),
        on: Vec<Expr>,
        depth: usize,
    ) -> SqlResult<(Plan, Layout)> {
        let mut both = left_layout.clone();
        both.append(&right_layout, left.types.len());
        let rows = self.joined(kind, left.rows, (&right_layout, right.rows), &on);
        let (mut keys, mut equal, mut rest) = (Vec::new(), Vec::new(), Vec::new());
        let names = self.names();
        for condition in on {
            match self.join_key(&condition, &left_layout, &right_layout, depth)? {
                Some(key) => {
                    keys.push(key);
                    equal.push(Described { expr: condition, names: names.clone() });
                }
                None => rest.push(condition),
            }
        }
        let filter = self.all_of(&rest, &both, depth)?;
        let gives_right = !matches!(kind, JoinType::Semi | JoinType::Anti);
        let mut types = left.types.clone();
        if gives_right {
            types.extend(&right.types);
        }
        let rest = rest.into_iter().map(|expr| Described { expr, names: names.clone() }).collect();
        let (left, right) = (Box::new(left), Box::new(right));
        let join = JoinPlan { kind, left, right, keys, filter, equal, rest };
        let plan = Plan::new(PlanKind::Join(join), types).with_rows(rows.max(1.0));
        Ok((plan, if gives_right { both } else { left_layout }))
    }

    /// Notes how many rows conditions leave of a table.
    fn leaves(&mut self, entry: usize, rows: f64) {
        if let Some(left) = self.left.last_mut() {
            left.insert(entry, rows);
        }
    }

    /// How many rows a join gives.
    fn joined(
        &mut self,
        kind: JoinType,
        left: f64,
        (right_layout, right): (&Layout, f64),
        on: &[Expr],
    ) -> f64 {
        if matches!(kind, JoinType::Semi | JoinType::Anti) {
            let entry = right_layout.entries().first().copied().unwrap_or_default();
            let part = self.matching(on, entry, right);
            return if kind == JoinType::Semi { left * part } else { left * (1.0 - part) }.max(1.0);
        }
        let pairs = left * right * self.passing(on, None);
        let least = match kind {
            JoinType::Left => left,
            JoinType::Right => right,
            JoinType::Full => left.max(right),
            _ => 1.0,
        };
        pairs.max(least).max(1.0)
    }

    /// The way to a table's rows by a key that the rows joined so far give, if that is cheaper than
    /// reading the table once. The first `own` conditions are on the table alone.
    pub(super) fn by_key(
        &mut self,
        (left, layout): &(Plan, Layout),
        joined: &BTreeSet<usize>,
        at: usize,
        relation: &Arc<Relation>,
        conditions: &[Expr],
        own: usize,
        scope: Scope<'_>,
    ) -> SqlResult<Option<super::access::Way>> {
        let is_linked = conditions[own..].iter().any(|filter| equality_of(filter, at).is_some());
        if !is_linked {
            return Ok(None);
        }
        let around = Around { layout, entries: joined };
        let way = self.way(at, relation, conditions, None, Some(&around), scope.depth)?;
        let is_keyed = matches!(way.access, Access::Range(_));
        if !is_keyed || !way.decided.iter().any(|place| *place >= own) {
            return Ok(None);
        }
        let limit = scope.wish.and_then(|wish| wish.limit).filter(|_| left.ordered);
        let wanted = limit.map_or(left.rows, |limit| left.rows.min(limit * 4.0));
        let (rows, cost) = self.size(at, relation, &conditions[..own]);
        let mut scanned = cost + rows * 0.5 + left.rows * 0.3 + 10.0;
        if left.ordered && scope.wish.is_some_and(|wish| !wish.keys.is_empty()) {
            scanned += left.rows * (left.rows + 2.0).log2() * 0.25;
        }
        Ok((wanted * way.cost < scanned).then_some(way))
    }

    pub(super) fn lookup(
        &mut self,
        kind: JoinType,
        (left, mut layout): (Plan, Layout),
        at: usize,
        relation: &Arc<Relation>,
        conditions: Vec<Expr>,
        way: super::access::Way,
        scope: Scope<'_>,
    ) -> SqlResult<(Plan, Layout)> {
        let (own, on): (Vec<Expr>, Vec<Expr>) = conditions
            .iter()
            .cloned()
            .partition(|condition| entries_of(condition).iter().all(|entry| *entry == at));
        let (right, _) = self.size(at, relation, &own);
        self.leaves(at, right);
        let rest = undecided(conditions, &way.decided);
        let (inner, inner_types, inner_layout) = self.scan(at, relation, way, scope)?;
        let rows = self.joined(kind, left.rows, (&inner_layout, right), &on);
        let mut both = layout.clone();
        both.append(&inner_layout, left.types.len());
        let filter = self.all_of(&rest, &both, scope.depth)?;
        let names = self.names();
        let rest = rest.into_iter().map(|expr| Described { expr, names: names.clone() }).collect();
        let (mut types, ordered) = (left.types.clone(), left.ordered);
        if !matches!(kind, JoinType::Semi | JoinType::Anti) {
            types.extend(&inner_types);
            layout = both;
        }
        let (outer, inner) = (Box::new(left), Arc::new(inner));
        let plan = LookupPlan { kind, outer, inner, inner_types, filter, rest };
        let plan = Plan::new(PlanKind::Lookup(plan), types).with_rows(rows);
        Ok((Plan { ordered, ..plan }, layout))
    }

    fn all_of(
        &mut self,
        conditions: &[Expr],
        layout: &Layout,
        depth: usize,
    ) -> SqlResult<Option<Arc<Scalar>>> {
        match conditions {
            [] => Ok(None),
            [one] => compile(self, one, layout, depth).map(Some),
            many => compile(self, &Expr::And(many.to_vec()), layout, depth).map(Some),
        }
    }

    /// Both sides of an equality between the sides of a join.
    fn join_key(
        &mut self,
        condition: &Expr,
        left: &Layout,
        right: &Layout,
        depth: usize,
    ) -> SqlResult<Option<(Arc<Scalar>, Arc<Scalar>)>> {
        let Expr::Call(call) = condition else { return Ok(None) };
        let of_two_widths = match equality(call) {
            Some(_) => None,
            None => widened(call).filter(|(op, ..)| *op == Comparison::Equal),
        };
        let sides = of_two_widths.as_ref().map(|(_, one, other)| (one, other));
        let Some((one, other)) = sides.or_else(|| equality(call)) else { return Ok(None) };
        let (one_of, other_of) = (entries_of(one), entries_of(other));
        if one_of.is_empty() || other_of.is_empty() {
            return Ok(None);
        }
        let (one, other) = if left.has_entries(&one_of) && right.has_entries(&other_of) {
            (one, other)
        } else if left.has_entries(&other_of) && right.has_entries(&one_of) {
            (other, one)
        } else {
            return Ok(None);
        };
        Ok(Some((compile(self, one, left, depth)?, compile(self, other, right, depth)?)))
    }

    /// An entry of the range table, whose rows pass the filters.
    fn entry(
        &mut self,
        at: usize,
        mut filters: Vec<Expr>,
        scope: Scope<'_>,
    ) -> SqlResult<(Plan, Layout)> {
        let depth = scope.depth;
        let entry = &scope.query.range_table[at];
        let wanted = wanted_columns(at, scope.needed);
        let (plan, layout) = match &entry.kind {
            RteKind::Relation(relation) => {
                if relation.as_materialized().is_some_and(|view| !view.populated) {
                    return Err(SqlError::new(
                        SqlState::ObjectNotInPrerequisiteState,
                        format!("materialized view \"{}\" has not been populated", relation.name),
                    )
                    .hint("Use the REFRESH MATERIALIZED VIEW command."));
                }
                if relation.as_sequence().is_none() {
                    return self.table(at, relation, filters, scope);
                }
                let types = entry.columns.iter().map(|column| column.ty).collect();
                let plan = Plan::new(PlanKind::Sequence(relation.clone()), types).with_rows(1.0);
                let plan = plan.with_origin(self.names(), Some(at));
                let found = all_columns(at, plan);
                self.with_table_oid(found, at, &wanted, relation.oid)?
            }
            RteKind::System(name) => {
                let (plan, layout) = system_relation(at, entry, name, &wanted);
                let found = (plan.with_origin(self.names(), Some(at)), layout);
                let oid = system::relation(name).map_or(Oid::NONE, |relation| relation.oid);
                self.with_table_oid(found, at, &wanted, oid)?
            }
            RteKind::Subquery(locked) if !locked.row_marks.is_empty() => {
                let inner;
                (inner, filters) = filter_within(locked, at, filters);
                let plan = self.query(&Arc::new(inner), depth + 1)?;
                let (types, rows) = (plan.types.clone(), plan.rows);
                let plan = Plan::new(PlanKind::SubqueryScan(Box::new(plan)), types).with_rows(rows);
                all_columns(at, plan.with_origin(self.names(), Some(at)))
            }
            RteKind::Subquery(inner) => {
                let (plan, layout) = all_columns(at, self.query(inner, depth + 1)?);
                if is_volatile_query(inner) {
                    (plan, layout)
                } else {
                    let below;
                    (below, filters) = self.filter_below(plan, &layout, filters, depth)?;
                    (below, layout)
                }
            }
            RteKind::Cte { index, levels_up } => {
                let definer = depth.checked_sub(*levels_up).ok_or_else(|| {
                    SqlError::internal("a common table expression of no query around")
                })?;
                let plan = self.cte(*index, definer, depth)?;
                let is_inlined = !matches!(plan.kind, PlanKind::Cte(_) | PlanKind::WorkTable(_));
                let names = self.names();
                all_columns(at, if is_inlined { plan } else { plan.with_origin(names, Some(at)) })
            }
            RteKind::Values(rows) => {
                let none = Layout::default();
                let rows = rows
                    .iter()
                    .map(|row| row.iter().map(|expr| compile(self, expr, &none, depth)).collect())
                    .collect::<SqlResult<_>>()?;
                let types = entry.columns.iter().map(|column| column.ty).collect();
                let plan = Plan::new(PlanKind::Values(rows), types);
                all_columns(at, plan.with_origin(self.names(), Some(at)))
            }
            RteKind::Functions { calls, with_ordinality } => {
                let plan = self.functions(entry, calls, *with_ordinality, depth)?;
                all_columns(at, plan.with_origin(self.names(), Some(at)))
            }
            RteKind::Known(row) => self.known(at, entry, row.as_deref(), &wanted, depth)?,
            RteKind::Returned(rows) => {
                let mut types: Vec<_> = entry.columns.iter().map(|column| column.ty).collect();
                if types.is_empty() {
                    types.push(DUMMY);
                }
                let plan = Plan::new(PlanKind::Returned(rows.clone()), types);
                let plan = plan.with_origin(self.names(), Some(at));
                all_columns(at, plan.with_rows(rows.count() as f64))
            }
            RteKind::Row(_) => {
                return Err(SqlError::internal("the row being changed is not read by a plan"));
            }
        };
        let (plan, layout) = self.whole_row(at, entry, &wanted, plan, layout)?;
        self.filter(plan, layout, filters, depth)
    }

    /// A table's rows that pass the filters.
    pub(super) fn table(
        &mut self,
        at: usize,
        relation: &Arc<Relation>,
        filters: Vec<Expr>,
        scope: Scope<'_>,
    ) -> SqlResult<(Plan, Layout)> {
        let way = self.way(at, relation, &filters, scope.wish, None, scope.depth)?;
        let rest = undecided(filters, &way.decided);
        let (ordered, rows) = (way.ordered, way.rows);
        self.leaves(at, rows);
        let (scan, types, layout) = self.scan(at, relation, way, scope)?;
        let plan = Plan::new(PlanKind::Scan(scan), types).with_rows(rows);
        let (plan, layout) = self.filter(Plan { ordered, ..plan }, layout, rest, scope.depth)?;
        Ok((plan.with_rows(rows), layout))
    }

    fn functions(
        &mut self,
        entry: &RangeTableEntry,
        calls: &[(Expr, usize)],
        with_ordinality: bool,
        depth: usize,
    ) -> SqlResult<Plan> {
        let none = Layout::default();
        let calls = calls
            .iter()
            .map(|(expr, width)| {
                let call = match expr {
                    Expr::Call(call) if call.returns_set => {
                        FromCall::Set(self.set_call(call, &none, depth)?)
                    }
                    other => FromCall::Scalar(compile(self, other, &none, depth)?),
                };
                let is_record = *width != 1 || expr.ty().oid == type_oid::RECORD;
                Ok((call, Width { columns: *width, is_record }))
            })
            .collect::<SqlResult<_>>()?;
        let mut types: Vec<TypeRef> = entry.columns.iter().map(|column| column.ty).collect();
        if types.is_empty() {
            types.push(DUMMY);
        }
        Ok(Plan::new(PlanKind::Functions(FunctionsPlan { calls, with_ordinality }), types))
    }

    /// A row that is known already, or none.
    fn known(
        &mut self,
        at: usize,
        entry: &RangeTableEntry,
        row: Option<&KnownRow>,
        wanted: &[i16],
        depth: usize,
    ) -> SqlResult<(Plan, Layout)> {
        let stored = row.and_then(|row| row.stored.as_ref());
        let mut layout = Layout::default();
        let (mut types, mut values) = (Vec::new(), Vec::new());
        // The whole row is made of all its columns.
        let mut wanted: BTreeSet<i16> = wanted.iter().copied().collect();
        if wanted.remove(&0) {
            wanted.extend((1..).take(entry.columns.len()));
        }
        for column in wanted {
            let (ty, value) = match column {
                ROW_KEY => (
                    TypeRef::plain(type_oid::BYTEA),
                    stored.map(|stored| Datum::Bytea(stored.key.clone())),
                ),
                TABLE_OID => (
                    TypeRef::plain(type_oid::OID),
                    stored.map(|stored| Datum::Oid(stored.relation)),
                ),
                XMIN => (
                    TypeRef::plain(type_oid::XID),
                    stored.map(|stored| Datum::Oid(Oid(stored.commit as u32))),
                ),
                number => {
                    let place = usize::try_from(number - 1)
                        .map_err(|_| SqlError::unsupported("this system column"))?;
                    let column = entry
                        .columns
                        .get(place)
                        .ok_or_else(|| SqlError::internal("a known row lacks a column"))?;
                    (column.ty, row.and_then(|row| row.columns.get(place)).cloned())
                }
            };
            layout.0.insert((at, column), (types.len(), ty));
            types.push(ty);
            values.push(Expr::Const { value: value.unwrap_or(Datum::Null), ty });
        }
        if types.is_empty() {
            types.push(DUMMY);
            values.push(Expr::Const { value: Datum::Null, ty: DUMMY });
        }
        let none = Layout::default();
        let values = values
            .iter()
            .map(|value| compile(self, value, &none, depth))
            .collect::<SqlResult<Vec<_>>>()?;
        let rows = if row.is_some() { vec![values] } else { Vec::new() };
        Ok((Plan::new(PlanKind::Values(rows), types), layout))
    }

    pub(super) fn scan(
        &mut self,
        at: usize,
        relation: &Arc<Relation>,
        way: super::access::Way,
        scope: Scope<'_>,
    ) -> SqlResult<(ScanPlan, Vec<TypeRef>, Layout)> {
        let Some(table) = relation.as_table() else {
            return Err(SqlError::unsupported(format!("reading relation \"{}\"", relation.name)));
        };
        let wanted = wanted_columns(at, scope.needed);
        let mut layout = Layout::default();
        let mut types = Vec::new();
        for column in &wanted {
            let ty = match *column {
                0 => TypeRef::plain(type_oid::RECORD),
                ROW_KEY => TypeRef::plain(type_oid::BYTEA),
                TABLE_OID => TypeRef::plain(type_oid::OID),
                XMIN => TypeRef::plain(type_oid::XID),
                number => match relation.column(number) {
                    Some(column) => column.ty,
                    None => return Err(SqlError::unsupported("this system column")),
                },
            };
            layout.0.insert((at, *column), (types.len(), ty));
            types.push(ty);
        }
        if types.is_empty() {
            types.push(DUMMY);
        }
        self.check_readable(relation, TreeId(table.tree))?;
        let scan = ScanPlan {
            relation: relation.clone(),
            entry: at,
            alias: scope.query.range_table[at].alias.clone(),
            layout: Arc::new(RowLayout::new(relation)),
            tree: table.trees(),
            columns: wanted,
            access: way.access,
            rows: way.rows,
            read: way.read,
            names: self.names(),
        };
        Ok((scan, types, layout))
    }

    /// Adds `tableoid` to the rows of a computed relation, where it is wanted.
    fn with_table_oid(
        &mut self,
        (plan, mut layout): (Plan, Layout),
        at: usize,
        wanted: &[i16],
        oid: Oid,
    ) -> SqlResult<(Plan, Layout)> {
        if !wanted.contains(&TABLE_OID) {
            return Ok((plan, layout));
        }
        let ty = TypeRef::plain(type_oid::OID);
        let value = compile(self, &Expr::Const { value: Datum::Oid(oid), ty }, &layout, 0)?;
        let mut exprs: Vec<_> =
            plan.types.iter().enumerate().map(|(place, ty)| column(place, *ty)).collect();
        layout.0.insert((at, TABLE_OID), (exprs.len(), ty));
        exprs.push(value);
        let (mut types, rows) = (plan.types.clone(), plan.rows);
        types.push(ty);
        Ok((Plan::new(PlanKind::Project(Box::new(plan), exprs), types).with_rows(rows), layout))
    }

    /// Adds the whole row as a column where it is wanted.
    fn whole_row(
        &mut self,
        at: usize,
        entry: &RangeTableEntry,
        wanted: &[i16],
        plan: Plan,
        mut layout: Layout,
    ) -> SqlResult<(Plan, Layout)> {
        if !wanted.contains(&0) || layout.0.contains_key(&(at, 0)) {
            return Ok((plan, layout));
        }
        let width = plan.types.len();
        let ty = TypeRef::plain(type_oid::RECORD);
        let fields = entry.columns.iter().enumerate().filter(|(_, column)| !column.dropped);
        let (fields, names) = fields
            .map(|(place, column)| {
                let number = i16::try_from(place + 1).unwrap_or(i16::MAX);
                let field = Expr::Column { entry: at, column: number, levels_up: 0, ty: column.ty };
                (field, column.name.clone())
            })
            .unzip();
        let row = compile(self, &Expr::Row { fields, names, ty }, &layout, 0)?;
        let mut exprs: Vec<_> =
            plan.types.iter().enumerate().map(|(place, ty)| column(place, *ty)).collect();
        exprs.push(row);
        let (mut types, rows) = (plan.types.clone(), plan.rows);
        types.push(ty);
        layout.0.insert((at, 0), (width, ty));
        Ok((Plan::new(PlanKind::Project(Box::new(plan), exprs), types).with_rows(rows), layout))
    }
}

/// The right side of a join, not planned yet.
struct Side<'q> {
    tree: &'q JoinTree,
    filters: Vec<Expr>,
    /// Whether it refers to the left side.
    is_lateral: bool,
}

fn wanted_columns(at: usize, needed: &Columns) -> Vec<i16> {
    needed.0.range((at, i16::MIN)..=(at, i16::MAX)).map(|(_, column)| *column).collect()
}

fn is_true(expr: &Expr) -> bool {
    matches!(expr, Expr::Const { value: Datum::Bool(true), .. })
}

/// Whether a condition can be seen not to be true.
fn is_never_true(expr: &Expr) -> bool {
    !matches!(truth(expr), None | Some(Some(true)))
}

/// The value of a constant condition, as far as it can be seen: true, false or NULL.
fn truth(expr: &Expr) -> Option<Option<bool>> {
    match expr {
        Expr::Const { value: Datum::Bool(value), .. } => Some(Some(*value)),
        Expr::Const { value: Datum::Null, .. } => Some(None),
        Expr::Not(arg) => truth(arg).map(|value| value.map(|value| !value)),
        Expr::IsNull { arg, negated } => match &**arg {
            Expr::Const { value, .. } => Some(Some(value.is_null() != *negated)),
            _ => None,
        },
        _ => None,
    }
}

fn all_columns(at: usize, plan: Plan) -> (Plan, Layout) {
    let columns = plan
        .types
        .iter()
        .enumerate()
        .map(|(place, ty)| ((at, i16::try_from(place + 1).unwrap_or(i16::MAX)), (place, *ty)));
    let layout = Layout(columns.collect());
    (plan, layout)
}

/// The wanted columns of a computed relation; all of them where the whole row is wanted.
fn system_relation(
    at: usize,
    entry: &RangeTableEntry,
    name: &Arc<str>,
    wanted: &[i16],
) -> (Plan, Layout) {
    let whole = wanted.contains(&0);
    let number = |place: usize| i16::try_from(place + 1).unwrap_or(i16::MAX);
    let mut columns: Vec<usize> = (0..entry.columns.len()).collect();
    columns.retain(|place| whole || wanted.contains(&number(*place)));
    if columns.is_empty() {
        // A row has some column, though nobody reads it.
        columns.push(0);
    }
    let types = columns.iter().map(|place| entry.columns[*place].ty).collect();
    let layout = columns
        .iter()
        .enumerate()
        .map(|(slot, place)| ((at, number(*place)), (slot, entry.columns[*place].ty)));
    let layout = Layout(layout.collect());
    (Plan::new(PlanKind::System { name: name.clone(), columns }, types), layout)
}

fn take_filters(filters: &mut Vec<Expr>, mut take: impl FnMut(&Expr) -> bool) -> Vec<Expr> {
    let (taken, left) = std::mem::take(filters).into_iter().partition(|filter| take(filter));
    *filters = left;
    taken
}

/// Takes inner joins apart: their conditions hold like those of `WHERE`.
fn flatten<'q>(
    tree: &'q JoinTree,
    query: &Query,
    items: &mut Vec<Item<'q>>,
    filters: &mut Vec<Expr>,
) {
    if let JoinTree::Join { kind: JoinKind::Inner, left, right, on } = tree {
        flatten(left, query, items, filters);
        flatten(right, query, items, filters);
        on.iter().for_each(|on| conjuncts(on, filters));
        return;
    }
    let mut entries = BTreeSet::new();
    entries_of_tree(tree, &mut entries);
    let needs = needs_of(tree, query, &entries);
    items.push(Item { tree, entries, needs });
}

pub(super) fn entries_of_tree(tree: &JoinTree, entries: &mut BTreeSet<usize>) {
    match tree {
        JoinTree::Entry(entry) => {
            entries.insert(*entry);
        }
        JoinTree::Join { left, right, .. } => {
            entries_of_tree(left, entries);
            entries_of_tree(right, entries);
        }
    }
}

/// The entries that the items of a join tree refer to laterally, without its own.
fn needs_of(tree: &JoinTree, query: &Query, own: &BTreeSet<usize>) -> BTreeSet<usize> {
    let mut columns = Columns::default();
    let mut entries = BTreeSet::new();
    entries_of_tree(tree, &mut entries);
    for entry in entries {
        visit_entry(&query.range_table[entry], 0, &mut columns);
    }
    columns.0.into_iter().map(|(entry, _)| entry).filter(|entry| !own.contains(entry)).collect()
}

fn is_volatile_tree(tree: &JoinTree, query: &Query) -> bool {
    struct Any(bool);
    impl Visitor for Any {
        fn expr(&mut self, expr: &Expr, _: usize) {
            self.0 |= match expr {
                Expr::Call(call) => {
                    let missing =
                        |row: &FunctionRow| matches!(row.implementation, Implementation::Missing);
                    call.is_volatile() || call.row().is_some_and(missing)
                }
                _ => false,
            };
        }
    }
    let mut any = Any(false);
    let mut entries = BTreeSet::new();
    entries_of_tree(tree, &mut entries);
    for entry in entries {
        visit_entry(&query.range_table[entry], 0, &mut any);
    }
    any.0
}
