//! `FROM` and `WHERE`: what is read, in which order it is joined, and where conditions apply.

use std::collections::BTreeSet;
use std::sync::Arc;

use aegis_catalog::Relation;
use aegis_sql::bound::{
    Expr, JoinKind, JoinTree, KnownRow, Query, ROW_KEY, RangeTableEntry, RteKind, TABLE_OID, XMIN,
};
use aegis_sql::row::RowLayout;
use aegis_storage::TreeId;
use aegis_types::builtin::{Implementation, builtins};
use aegis_types::{Datum, Oid, SqlError, SqlResult, TypeRef, key, type_oid};

use super::{Builder, column};
use crate::compile::{Layout, comparison, compile, equality, is_constant, strip};
use crate::functions::{FromCall, FunctionsPlan};
use crate::plan::{DUMMY, JoinPlan, Plan, PlanKind};
use crate::rewrite::{
    Columns, Visitor, conjuncts, entries_of, is_volatile, visit_entry, visit_query,
};
use crate::scalar::{Comparison, Scalar};
use crate::scan::{Access, KeyColumn, RangePlan, ScanPlan};
use crate::subquery::LateralPlan;

/// Something to be joined.
struct Item<'q> {
    tree: &'q JoinTree,
    entries: BTreeSet<usize>,
    /// The entries that it refers to without being joined to them.
    needs: BTreeSet<usize>,
}

impl Builder {
    /// The rows of `FROM` that pass `WHERE`.
    pub(super) fn from(&mut self, query: &Query, depth: usize) -> SqlResult<(Plan, Layout)> {
        let mut needed = Columns::default();
        visit_query(query, 0, &mut needed);
        let mut filters = Vec::new();
        query.filter.iter().for_each(|filter| conjuncts(filter, &mut filters));
        let mut items = Vec::new();
        for tree in &query.from {
            flatten(tree, query, &mut items, &mut filters);
        }
        if items.is_empty() {
            let plan = Plan::new(PlanKind::OneRow, vec![DUMMY]);
            return self.filter(plan, Layout::default(), filters, depth);
        }
        self.join_items(items, filters, query, &needed, depth)
    }

    fn filter(
        &mut self,
        mut plan: Plan,
        layout: Layout,
        filters: Vec<Expr>,
        depth: usize,
    ) -> SqlResult<(Plan, Layout)> {
        for filter in filters {
            let predicate = compile(self, &filter, &layout, depth)?;
            let types = plan.types.clone();
            plan = Plan::new(PlanKind::Filter(Box::new(plan), predicate), types);
        }
        Ok((plan, layout))
    }

    fn join_items(
        &mut self,
        mut items: Vec<Item<'_>>,
        mut filters: Vec<Expr>,
        query: &Query,
        needed: &Columns,
        depth: usize,
    ) -> SqlResult<(Plan, Layout)> {
        let mut joined: BTreeSet<usize> = BTreeSet::new();
        let mut result: Option<(Plan, Layout)> = None;
        while !items.is_empty() {
            let next = choose(&items, &joined, &filters);
            let item = items.remove(next);
            let own = take_filters(&mut filters, |filter| {
                let entries = entries_of(filter);
                !entries.is_empty() && entries.is_subset(&item.entries) && !is_volatile(filter)
            });
            let Some((left, left_layout)) = result.take() else {
                joined.extend(&item.entries);
                result = Some(self.tree(item.tree, query, needed, own, depth)?);
                continue;
            };
            joined.extend(&item.entries);
            let on = take_filters(&mut filters, |filter| {
                let entries = entries_of(filter);
                entries.is_subset(&joined)
                    && !entries.is_disjoint(&item.entries)
                    && !is_volatile(filter)
            });
            let right = if item.needs.is_empty() {
                Side::Plain(self.tree(item.tree, query, needed, own, depth)?)
            } else {
                Side::Lateral { tree: item.tree, filters: own }
            };
            let left = (left, left_layout);
            result = Some(self.join(JoinKind::Inner, left, right, on, query, needed, depth)?);
        }
        let (plan, layout) = result.expect("there is an item");
        self.filter(plan, layout, filters, depth)
    }

    /// A part of the join tree, whose rows pass the filters.
    fn tree(
        &mut self,
        tree: &JoinTree,
        query: &Query,
        needed: &Columns,
        mut filters: Vec<Expr>,
        depth: usize,
    ) -> SqlResult<(Plan, Layout)> {
        match tree {
            JoinTree::Entry(entry) => self.entry(*entry, query, needed, filters, depth),
            JoinTree::Join { kind: JoinKind::Inner, .. } => {
                let mut items = Vec::new();
                flatten(tree, query, &mut items, &mut filters);
                self.join_items(items, filters, query, needed, depth)
            }
            JoinTree::Join { kind, left, right, on } => {
                let (mut left_entries, mut right_entries) = (BTreeSet::new(), BTreeSet::new());
                entries_of_tree(left, &mut left_entries);
                entries_of_tree(right, &mut right_entries);
                // A condition on the side whose rows all stay holds before the join as after it.
                let mut pushed = |side: &BTreeSet<usize>, may: bool| {
                    take_filters(&mut filters, |filter| {
                        let entries = entries_of(filter);
                        may && !entries.is_empty() && entries.is_subset(side)
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
                let needs = needs_of(right, query, &right_entries);
                let left = self.tree(left, query, needed, left_filters, depth)?;
                let right = if needs.is_empty() {
                    Side::Plain(self.tree(right, query, needed, right_filters, depth)?)
                } else {
                    Side::Lateral { tree: right, filters: right_filters }
                };
                let (plan, layout) =
                    self.join(*kind, left, right, conditions, query, needed, depth)?;
                self.filter(plan, layout, filters, depth)
            }
        }
    }

    fn join(
        &mut self,
        kind: JoinKind,
        (left, left_layout): (Plan, Layout),
        right: Side<'_>,
        on: Vec<Expr>,
        query: &Query,
        needed: &Columns,
        depth: usize,
    ) -> SqlResult<(Plan, Layout)> {
        let width = left.types.len();
        let mut layout = left_layout.clone();
        let (right, right_layout) = match right {
            Side::Plain(right) => right,
            Side::Lateral { tree, filters } => {
                let mut inner = Layout::default();
                let (part, outers) = self.part_of(false, |builder| {
                    let (plan, layout) = builder.tree(tree, query, needed, filters, depth)?;
                    inner = layout;
                    Ok(plan)
                })?;
                let part = crate::subquery::Part { stable: !is_volatile_tree(tree, query), ..part };
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
                let filter = self.all_of(&on, &layout, depth)?;
                let types: Vec<TypeRef> =
                    left.types.iter().chain(&part.plan.types).copied().collect();
                let outer = kind == JoinKind::Left;
                let plan = LateralPlan {
                    left: Box::new(left),
                    part: Arc::new(part),
                    bindings,
                    outer,
                    filter,
                };
                return Ok((Plan::new(PlanKind::Lateral(plan), types), layout));
            }
        };
        layout.append(&right_layout, width);
        let (mut keys, mut rest) = (Vec::new(), Vec::new());
        for condition in on {
            match self.join_key(&condition, &left_layout, &right_layout, depth)? {
                Some(key) => keys.push(key),
                None => rest.push(condition),
            }
        }
        let filter = self.all_of(&rest, &layout, depth)?;
        let types = left.types.iter().chain(&right.types).copied().collect();
        let (left, right) = (Box::new(left), Box::new(right));
        let join = JoinPlan { kind, left, right, keys, filter };
        Ok((Plan::new(PlanKind::Join(join), types), layout))
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
        let Some((one, other)) = equality(call) else { return Ok(None) };
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
        query: &Query,
        needed: &Columns,
        filters: Vec<Expr>,
        depth: usize,
    ) -> SqlResult<(Plan, Layout)> {
        let entry = &query.range_table[at];
        let wanted: Vec<i16> =
            needed.0.range((at, i16::MIN)..=(at, i16::MAX)).map(|(_, column)| *column).collect();
        let (plan, layout) = match &entry.kind {
            RteKind::Relation(relation) => {
                self.scan(at, entry, relation, &wanted, &filters, depth)?
            }
            RteKind::System(name) => {
                let columns: Vec<usize> = (0..entry.columns.len()).collect();
                let types = entry.columns.iter().map(|column| column.ty).collect();
                let kind = PlanKind::System { name: name.clone(), columns };
                all_columns(at, Plan::new(kind, types))
            }
            RteKind::Subquery(inner) => all_columns(at, self.query(inner, depth + 1)?),
            RteKind::Cte { index, levels_up } => {
                let definer = depth.checked_sub(*levels_up).ok_or_else(|| {
                    SqlError::internal("a common table expression of no query around")
                })?;
                all_columns(at, self.cte(*index, definer, depth)?)
            }
            RteKind::Values(rows) => {
                let none = Layout::default();
                let rows = rows
                    .iter()
                    .map(|row| row.iter().map(|expr| compile(self, expr, &none, depth)).collect())
                    .collect::<SqlResult<_>>()?;
                let types = entry.columns.iter().map(|column| column.ty).collect();
                all_columns(at, Plan::new(PlanKind::Values(rows), types))
            }
            RteKind::Functions { calls, with_ordinality } => {
                all_columns(at, self.functions(entry, calls, *with_ordinality, depth)?)
            }
            RteKind::Known(row) => self.known(at, entry, row.as_deref(), &wanted, depth)?,
            RteKind::Row(_) => {
                return Err(SqlError::internal("the row being changed is not read by a plan"));
            }
        };
        let (plan, layout) = whole_row(at, entry, &wanted, plan, layout);
        self.filter(plan, layout, filters, depth)
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
                Ok((call, *width))
            })
            .collect::<SqlResult<_>>()?;
        let mut types: Vec<TypeRef> = entry.columns.iter().map(|column| column.ty).collect();
        if types.is_empty() {
            types.push(DUMMY);
        }
        let name = entry.alias.clone();
        Ok(Plan::new(PlanKind::Functions(FunctionsPlan { calls, with_ordinality, name }), types))
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

    fn scan(
        &mut self,
        at: usize,
        entry: &RangeTableEntry,
        relation: &Arc<Relation>,
        wanted: &[i16],
        filters: &[Expr],
        depth: usize,
    ) -> SqlResult<(Plan, Layout)> {
        let Some(table) = relation.as_table() else {
            return Err(SqlError::unsupported(format!("reading relation \"{}\"", relation.name)));
        };
        let mut layout = Layout::default();
        let mut types = Vec::new();
        for column in wanted {
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
        let access = self.access(at, relation, filters, depth)?;
        let scan = ScanPlan {
            relation: relation.clone(),
            alias: entry.alias.clone(),
            layout: Arc::new(RowLayout::new(relation)),
            tree: TreeId(table.tree),
            columns: wanted.to_vec(),
            access,
        };
        Ok((Plan::new(PlanKind::Scan(scan), types), layout))
    }

    /// The narrowest way to the rows that the filters can pass.
    fn access(
        &mut self,
        at: usize,
        relation: &Relation,
        filters: &[Expr],
        depth: usize,
    ) -> SqlResult<Access> {
        let mut bounds: Vec<(i16, Comparison, &Expr)> = Vec::new();
        for filter in filters {
            let Expr::Call(call) = filter else { continue };
            let Some((op, left, right)) = comparison(call) else { continue };
            let of_entry = |expr: &Expr| match strip(expr) {
                Expr::Column { entry, column, levels_up: 0, ty } if *entry == at => {
                    (ty.oid == left.ty().oid || key_alike(ty.oid, left.ty().oid)).then_some(*column)
                }
                _ => None,
            };
            if let Some(column) = of_entry(left).filter(|_| is_constant(right)) {
                bounds.push((column, op, right));
            } else if let Some(column) = of_entry(right).filter(|_| is_constant(left)) {
                bounds.push((column, mirrored(op), left));
            }
        }
        let none = Layout::default();
        let row_key =
            bounds.iter().find(|(column, op, _)| *column == ROW_KEY && *op == Comparison::Equal);
        if let Some((_, _, value)) = row_key {
            return Ok(Access::RowKey(compile(self, value, &none, depth)?));
        }
        let mut best: Option<(usize, Access)> = None;
        for candidate in self.keys_of(relation) {
            let (columns, plan) = candidate;
            let find = |column: i16, ops: &[Comparison]| {
                bounds.iter().find(|(of, op, _)| *of == column && ops.contains(op))
            };
            let mut plan = plan;
            for column in &columns {
                let Some((_, _, value)) = find(*column, &[Comparison::Equal]) else { break };
                plan.equal.push(compile(self, value, &none, depth)?);
            }
            let mut score = plan.equal.len() * 4;
            if let Some(column) = columns.get(plan.equal.len()) {
                let lower = find(*column, &[Comparison::Greater, Comparison::GreaterEqual]);
                if let Some((_, op, value)) = lower {
                    let value = compile(self, value, &none, depth)?;
                    plan.lower = Some((value, *op == Comparison::GreaterEqual));
                    score += 1;
                }
                let upper = find(*column, &[Comparison::Less, Comparison::LessEqual]);
                if let Some((_, op, value)) = upper {
                    let value = compile(self, value, &none, depth)?;
                    plan.upper = Some((value, *op == Comparison::LessEqual));
                    score += 1;
                }
            }
            // A range of an index reads each row by its key: worth it only where both ends are known.
            let worth = plan.index.is_none() || !plan.equal.is_empty() || score >= 2;
            score = score * 2 + usize::from(plan.index.is_none());
            if score > 1 && worth && best.as_ref().is_none_or(|(known, _)| score > *known) {
                best = Some((score, Access::Range(plan)));
            }
        }
        Ok(best.map_or(Access::All, |(_, access)| access))
    }

    /// The row key and the indexes of a table, with the columns of each.
    fn keys_of(&self, relation: &Relation) -> Vec<(Vec<i16>, RangePlan)> {
        let Some(table) = relation.as_table() else { return Vec::new() };
        let type_of = |column: i16| relation.column(column).map(|column| column.ty.oid);
        let mut found = Vec::new();
        let empty = |name: &str, index, keys| RangePlan {
            name: name.to_owned(),
            index,
            keys,
            equal: Vec::new(),
            lower: None,
            upper: None,
        };
        let ascending = |column: &i16| {
            let ty = type_of(*column)?;
            Some(KeyColumn { ty, descending: false, nulls_first: false })
        };
        if let Some(keys) = table.row_key.iter().map(ascending).collect::<Option<Vec<_>>>()
            && !keys.is_empty()
        {
            found.push((table.row_key.clone(), empty(&relation.name, None, keys)));
        }
        for oid in &table.indexes {
            let Some(index) = self.catalog.relation(*oid) else { continue };
            let Some(body) = index.as_index() else { continue };
            if body.tree == 0 {
                if let Some((_, plan)) = found.first_mut() {
                    plan.name = index.name.clone();
                }
                continue;
            }
            let keys = body.keys.iter().map(|key| {
                let ty = type_of(key.column)?;
                let (descending, nulls_first) = (key.descending, key.nulls_first);
                key::is_lossless(ty).then_some(KeyColumn { ty, descending, nulls_first })
            });
            let Some(keys) = keys.collect::<Option<Vec<_>>>() else { continue };
            if body.valid_from > self.snapshot {
                continue;
            }
            let columns = body.keys.iter().map(|key| key.column).collect();
            found.push((columns, empty(&index.name, Some(TreeId(body.tree)), keys)));
        }
        found
    }
}

#[expect(clippy::large_enum_variant, reason = "two live at a time, in one call")]
enum Side<'q> {
    Plain((Plan, Layout)),
    Lateral { tree: &'q JoinTree, filters: Vec<Expr> },
}

/// Whether keys of both types are the same bytes.
fn key_alike(one: aegis_types::Oid, other: aegis_types::Oid) -> bool {
    let is_text = |oid| matches!(oid, type_oid::TEXT | type_oid::VARCHAR);
    is_text(one) && is_text(other)
}

fn mirrored(op: Comparison) -> Comparison {
    match op {
        Comparison::Less => Comparison::Greater,
        Comparison::LessEqual => Comparison::GreaterEqual,
        Comparison::Greater => Comparison::Less,
        Comparison::GreaterEqual => Comparison::LessEqual,
        other => other,
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

/// Adds the whole row as a column where it is wanted.
fn whole_row(
    at: usize,
    entry: &RangeTableEntry,
    wanted: &[i16],
    plan: Plan,
    mut layout: Layout,
) -> (Plan, Layout) {
    if !wanted.contains(&0) || layout.0.contains_key(&(at, 0)) {
        return (plan, layout);
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
    let row = Expr::Row { fields, names, ty };
    let mut builder = Builder::new(Arc::default(), 0);
    let Ok(row) = compile(&mut builder, &row, &layout, 0) else { return (plan, layout) };
    let mut exprs: Vec<_> =
        plan.types.iter().enumerate().map(|(place, ty)| column(place, *ty)).collect();
    exprs.push(row);
    let mut types = plan.types.clone();
    types.push(ty);
    layout.0.insert((at, 0), (width, ty));
    (Plan::new(PlanKind::Project(Box::new(plan), exprs), types), layout)
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

fn entries_of_tree(tree: &JoinTree, entries: &mut BTreeSet<usize>) {
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
                Expr::Call(call) => builtins().function(call.function).is_none_or(|row| {
                    row.volatility == aegis_types::builtin::Volatility::Volatile
                        || matches!(row.implementation, Implementation::Missing)
                }),
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

/// Which item is joined next: one that a condition connects, the more narrowed the better.
fn choose(items: &[Item<'_>], joined: &BTreeSet<usize>, filters: &[Expr]) -> usize {
    let names: Vec<(BTreeSet<usize>, bool)> = filters
        .iter()
        .map(|filter| {
            let equal = matches!(filter, Expr::Call(call) if equality(call).is_some());
            (entries_of(filter), equal)
        })
        .collect();
    let score = |item: &Item<'_>| {
        if !item.needs.is_subset(joined) {
            return 0;
        }
        let mut score = 1;
        for (entries, equal) in &names {
            if entries.is_empty() || entries.is_disjoint(&item.entries) {
                continue;
            }
            if entries.is_subset(&item.entries) {
                score += if *equal { 2 } else { 1 };
            } else if entries
                .iter()
                .all(|entry| item.entries.contains(entry) || joined.contains(entry))
            {
                score += if *equal { 1000 } else { 10 };
            }
        }
        score
    };
    let mut best = (0, 0);
    for (at, item) in items.iter().enumerate() {
        let score = score(item);
        if score > best.1 {
            best = (at, score);
        }
    }
    best.0
}
