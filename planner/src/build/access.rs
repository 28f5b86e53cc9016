//! Which rows of a table are read, by which key, and what that costs.
//!
//! Costs are in rows read in a scan. How many those are, `selectivity` tells.
//!
//! An expression that an index is over counts as a column of its table, numbered from
//! [`EXPRESSION`] downwards.

use std::sync::Arc;

use aegis_catalog::{IndexBody, Relation};
use aegis_sql::analyze::{implies, same_expression};
use aegis_sql::bound::{Expr, ROW_KEY};
use aegis_storage::{Direction, TreeId};
use aegis_types::{SqlError, SqlResult, SqlState, key, type_oid};

use super::Builder;
use crate::compile::{Layout, comparison, compile, is_constant, key_comparison, strip};
use crate::explain::Described;
use crate::rewrite::{entries_of, is_volatile, rewrite_expr};
use crate::scalar::Comparison;
use crate::scan::{Access, KeyColumn, RangePlan};

/// A row found by an entry of an index, in rows read in a scan.
const BY_ENTRY: f64 = 4.0;
/// The number of a table's first indexed expression; the next ones lie below.
pub(super) const EXPRESSION: i16 = -1000;
/// Finding the first row of a range.
const SEEK: f64 = 2.0;

/// The order that a query's `ORDER BY` asks of one of its tables, and how many rows it wants.
#[derive(Clone, Debug, Default)]
pub(super) struct Wish {
    pub(super) entry: usize,
    /// Column, descending, nulls first.
    pub(super) keys: Vec<(i16, bool, bool)>,
    pub(super) limit: Option<f64>,
}

/// A way to the rows.
#[derive(Clone)]
pub(super) struct Way {
    pub(super) access: Access,
    /// How many rows pass the conditions.
    pub(super) rows: f64,
    pub(super) cost: f64,
    /// What reading to the end costs, without a sort and whatever LIMIT says.
    pub(super) read: f64,
    /// Whether they come in the order wished for.
    pub(super) ordered: bool,
    /// The conditions that the access decides, by their places.
    pub(super) decided: Vec<usize>,
}

/// A key of a table: the row key or an index.
#[derive(Clone)]
struct Candidate {
    columns: Vec<i16>,
    unique: bool,
    plan: RangePlan,
    /// The condition of a partial index, and about how many rows pass it.
    partial: Option<(Expr, f64)>,
}

/// What is read.
enum Chosen<'q> {
    All,
    RowKey(&'q Expr),
    /// A key, and the conditions that it is used with, by their places among those on columns.
    Key(Box<Candidate>, Vec<usize>),
}

/// A condition on one column.
struct Condition<'q> {
    column: i16,
    op: Op,
    value: Option<&'q Expr>,
    place: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Compare(Comparison),
    /// Equal to an element of an array.
    Any,
    Null,
    NotNull,
}

/// What a range is computed from besides constants: the columns of the rows joined so far.
pub(super) struct Around<'a> {
    pub(super) layout: &'a Layout,
    pub(super) entries: &'a std::collections::BTreeSet<usize>,
}

impl Around<'_> {
    fn gives(&self, expr: &Expr) -> bool {
        let entries = entries_of(expr);
        entries.is_subset(self.entries) && !is_volatile(expr)
    }
}

impl Builder {
    /// Whether what an index says is in a tree was not there at this snapshot; whoever has put it there
    /// sees it.
    fn is_younger(&self, index: &IndexBody, tree: TreeId) -> bool {
        let is_own = || self.view.as_ref().is_some_and(|view| view.has_written(tree));
        index.valid_from > self.snapshot && !is_own()
    }

    /// A table whose rows got a key after this snapshot was taken has none that it could see.
    ///
    /// # Errors
    /// 40001
    pub(super) fn check_readable(&self, relation: &Relation, tree: TreeId) -> SqlResult<()> {
        let Some(table) = relation.as_table().filter(|table| !table.row_key.is_empty()) else {
            return Ok(());
        };
        let mut indexes = table.indexes.iter().filter_map(|oid| self.catalog.relation(*oid));
        let is_younger = |index: &Arc<Relation>| {
            index.as_index().is_some_and(|body| body.tree == 0 && self.is_younger(body, tree))
        };
        if !indexes.any(is_younger) {
            return Ok(());
        }
        Err(SqlError::new(
            SqlState::TRSerializationFailure,
            "could not serialize access due to concurrent update",
        )
        .detail(format!(
            "The primary key of \"{}\" is younger than the snapshot of this transaction.",
            relation.name
        )))
    }

    /// About how many rows a table has.
    pub(super) fn table_rows(&mut self, relation: &Relation) -> f64 {
        if let Some(rows) = self.table_rows.get(&relation.oid) {
            return *rows;
        }
        let Some(table) = relation.as_table() else { return 1.0 };
        let tree = TreeId(table.tree);
        let stored = self
            .view
            .as_ref()
            .and_then(|view| view.row_estimate(tree).ok())
            .map_or(0.0, |rows| rows as f64);
        self.sizes.push((tree, stored));
        // What ANALYZE counted holds until the table has visibly grown or shrunk.
        let counted = f64::from(table.row_count);
        let is_current = counted >= stored / 4.0 && counted <= stored * 4.0 + 1000.0;
        let rows = if counted >= 0.0 && is_current { counted.max(1.0) } else { stored.max(10.0) };
        self.table_rows.insert(relation.oid, rows);
        rows
    }

    /// The cheapest way to the rows of a table that the conditions can pass. With rows around, a
    /// condition may compare with their columns; the cost is then that of one of them.
    pub(super) fn way(
        &mut self,
        at: usize,
        relation: &Relation,
        filters: &[Expr],
        wish: Option<&Wish>,
        around: Option<&Around<'_>>,
        depth: usize,
    ) -> SqlResult<Way> {
        let none = Layout::default();
        let layout = around.map_or(&none, |around| around.layout);
        let conditions = self.conditions(at, relation, filters, around);
        let (mut best, chosen) = self.measure(at, relation, filters, &conditions, wish, around);
        let (candidate, used) = match chosen {
            Chosen::All => return Ok(best),
            Chosen::RowKey(value) => {
                best.access = Access::RowKey(compile(self, value, &none, depth)?);
                return Ok(best);
            }
            Chosen::Key(candidate, used) => (candidate, used),
        };
        if let Some((predicate, _)) = &candidate.partial {
            // What the index's condition says of every row in it need not be looked at.
            let predicate = over_entry(predicate, at);
            let known = [&predicate];
            let implied = filters.iter().enumerate().filter(|(_, f)| implies(&known, f));
            best.decided.extend(implied.map(|(place, _)| place));
        }
        let mut plan = candidate.plan;
        for condition in used.iter().map(|at| &conditions[*at]) {
            if plan.along.is_none() {
                best.decided.push(condition.place);
            }
            let mut expr = filters[condition.place].clone();
            if let (Expr::Call(call), Op::Compare(Comparison::Equal)) = (&mut expr, condition.op)
                && condition
                    .value
                    .is_some_and(|value| std::ptr::eq(value, left_of(&filters[condition.place])))
            {
                call.args.swap(0, 1);
            }
            plan.conditions.push(Described { expr, names: self.names() });
            if condition.op == Op::Null {
                plan.equal.push(None);
                continue;
            }
            let Some(value) = condition.value else {
                plan.not_null = true;
                continue;
            };
            let value = compile(self, value, layout, depth)?;
            match condition.op {
                Op::Compare(Comparison::Equal) => plan.equal.push(Some(value)),
                Op::Any => plan.any = Some(value),
                Op::Compare(Comparison::Greater) => plan.lower = Some((value, false)),
                Op::Compare(Comparison::GreaterEqual) => plan.lower = Some((value, true)),
                Op::Compare(Comparison::Less) => plan.upper = Some((value, false)),
                Op::Compare(Comparison::LessEqual) => plan.upper = Some((value, true)),
                Op::Compare(Comparison::NotEqual) | Op::Null | Op::NotNull => {}
            }
        }
        best.access = Access::Range(plan);
        Ok(best)
    }

    /// How many rows of a table pass conditions, and what finding them costs.
    pub(super) fn size(&mut self, at: usize, relation: &Relation, filters: &[Expr]) -> (f64, f64) {
        let conditions = self.conditions(at, relation, filters, None);
        let (way, _) = self.measure(at, relation, filters, &conditions, None, None);
        (way.rows, way.cost)
    }

    /// Whether a key of the table gives the order wished for.
    pub(super) fn gives_order(
        &mut self,
        at: usize,
        relation: &Relation,
        filters: &[Expr],
        wish: &Wish,
    ) -> bool {
        let conditions = self.conditions(at, relation, filters, None);
        self.measure(at, relation, filters, &conditions, Some(wish), None).0.ordered
    }

    fn measure<'q>(
        &mut self,
        at: usize,
        relation: &Relation,
        filters: &[Expr],
        conditions: &[Condition<'q>],
        wish: Option<&Wish>,
        around: Option<&Around<'_>>,
    ) -> (Way, Chosen<'q>) {
        let is_row_key = |condition: &&Condition<'_>| {
            condition.column == ROW_KEY && condition.op == Op::Compare(Comparison::Equal)
        };
        let mut best = Way {
            access: Access::All,
            rows: 1.0,
            cost: 1.0,
            read: 1.0,
            ordered: true,
            decided: Vec::new(),
        };
        if around.is_none()
            && let Some(condition) = conditions.iter().find(is_row_key)
            && let Some(value) = condition.value
        {
            best.decided.push(condition.place);
            return (best, Chosen::RowKey(value));
        }
        let mut candidates = self.candidates(relation);
        if candidates.iter().any(|candidate| candidate.partial.is_some()) {
            let known: Vec<&Expr> = filters.iter().collect();
            candidates.retain(|candidate| match &candidate.partial {
                Some((predicate, _)) => implies(&known, &over_entry(predicate, at)),
                None => true,
            });
        }
        for (at, candidate) in candidates.iter().enumerate() {
            if let Some(used) = one_row(candidate, conditions) {
                // Nothing can be cheaper, whatever there is in the table.
                best.cost = SEEK + if candidate.plan.index.is_some() { BY_ENTRY } else { 1.0 };
                best.read = best.cost;
                let candidate = candidates.into_iter().nth(at).expect("it was just looked at");
                return (best, Chosen::Key(Box::new(candidate), used));
            }
        }
        let total = self.table_rows(relation);
        let wish = wish.filter(|wish| wish.entry == at || wish.keys.is_empty());
        best.rows = (total * self.passing(filters, Some(at))).max(1.0);
        let rows = best.rows;
        best.ordered = wish.is_some_and(|wish| wish.keys.is_empty());
        best.cost = priced(&best, total, 1.0, wish);
        best.read = total;
        let mut chosen = Chosen::All;
        if around.is_none()
            && let Some((candidate, used)) = along(relation, &candidates, conditions)
        {
            let of = used.iter().map(|at| &filters[conditions[*at].place]);
            let read = (total * self.passing(of, Some(at))).max(1.0);
            let is_forward = |wish| {
                let order = direction(&candidate, 0, false, false, conditions, relation, wish);
                order == Some(Direction::Forward)
            };
            let ordered = wish.is_some_and(is_forward);
            let mut way = Way { rows: rows.min(read), ordered, ..best.clone() };
            way.read = SEEK + read;
            way.cost = SEEK + priced(&way, read, 1.0, wish);
            if way.cost < best.cost {
                best = way;
                chosen = Chosen::Key(Box::new(candidate), used);
            }
        }
        for candidate in candidates {
            let weighed = (at, filters, conditions);
            let (mut way, used, direction) =
                self.weigh(&candidate, weighed, (total, rows), relation, wish);
            let is_sorted = way.ordered && wish.is_some_and(|wish| !wish.keys.is_empty());
            if used.is_empty() && !is_sorted && candidate.partial.is_none() {
                continue;
            }
            let each = if candidate.plan.index.is_some() { BY_ENTRY } else { 1.0 };
            way.read = SEEK + way.cost * each;
            way.cost = SEEK + priced(&way, way.cost, each, wish);
            if way.cost < best.cost || (used.is_empty() && way.cost - SEEK <= best.cost) {
                best = way;
                let mut candidate = candidate;
                candidate.plan.direction = direction;
                chosen = Chosen::Key(Box::new(candidate), used);
            }
        }
        (best, chosen)
    }

    /// What reading by a key would give: the way, with the rows read as its cost; the conditions used;
    /// and in which direction. The table has so many rows, of which so many pass all conditions.
    fn weigh(
        &mut self,
        candidate: &Candidate,
        (entry, filters, conditions): (usize, &[Expr], &[Condition<'_>]),
        (total, rows): (f64, f64),
        relation: &Relation,
        wish: Option<&Wish>,
    ) -> (Way, Vec<usize>, Direction) {
        let find = |column: i16, ops: &[Op]| {
            conditions
                .iter()
                .position(|condition| condition.column == column && ops.contains(&condition.op))
        };
        let compare = Op::Compare;
        let (mut used, mut equal) = (Vec::new(), 0);
        let total = candidate.partial.as_ref().map_or(total, |(_, rows)| rows.min(total));
        for column in &candidate.columns {
            let ops = [compare(Comparison::Equal), Op::Null];
            let Some(condition) = find(*column, &ops) else { break };
            used.push(condition);
            equal += 1;
        }
        let is_value = |at: &usize| conditions[*at].op != Op::Null;
        let is_one =
            candidate.unique && equal == candidate.columns.len() && used.iter().all(is_value);
        let (mut several, mut bounded) = (false, false);
        if let Some(column) = candidate.columns.get(equal) {
            let lower =
                find(*column, &[compare(Comparison::Greater), compare(Comparison::GreaterEqual)]);
            let upper = find(*column, &[compare(Comparison::Less), compare(Comparison::LessEqual)]);
            bounded = lower.is_some() || upper.is_some();
            if let Some(any) = find(*column, &[Op::Any]) {
                used.push(any);
                (several, bounded) = (true, false);
            } else if bounded {
                used.extend(lower.into_iter().chain(upper));
            } else if let Some(not_null) = find(*column, &[Op::NotNull]) {
                used.push(not_null);
                bounded = true;
            }
        }
        let read = if is_one {
            1.0
        } else {
            let decided = used.iter().map(|at| &filters[conditions[*at].place]);
            (total * self.passing(decided, Some(entry))).max(1.0)
        };
        let rows = rows.min(read);
        let direction = match wish {
            Some(wish) if !several => {
                direction(candidate, equal, bounded, is_one, conditions, relation, wish)
            }
            _ => None,
        };
        let ordered = direction.is_some();
        let way = Way { access: Access::All, rows, cost: read, read, ordered, decided: Vec::new() };
        (way, used, direction.unwrap_or(Direction::Forward))
    }

    /// The columns of each key of a table, and whether it is unique.
    pub(super) fn keys_of(&mut self, relation: &Relation) -> Vec<(Vec<i16>, bool)> {
        let keys = self.candidates(relation).into_iter();
        let keys = keys.filter(|candidate| candidate.partial.is_none());
        keys.map(|candidate| (candidate.columns, candidate.unique)).collect()
    }

    /// The row key and the indexes of a table.
    fn candidates(&mut self, relation: &Relation) -> Vec<Candidate> {
        let Some(table) = relation.as_table() else { return Vec::new() };
        let indexed = self.indexed(relation);
        let type_of = |column: i16| relation.column(column).map(|column| column.ty.oid);
        let mut found = Vec::new();
        let empty = |name: &str, index, keys| RangePlan {
            name: name.to_owned(),
            index,
            keys,
            equal: Vec::new(),
            any: None,
            lower: None,
            upper: None,
            not_null: false,
            along: None,
            direction: Direction::Forward,
            conditions: Vec::new(),
        };
        let ascending = |column: &i16| {
            let ty = type_of(*column)?;
            Some(KeyColumn { ty, descending: false, nulls_first: false })
        };
        if let Some(keys) = table.row_key.iter().map(ascending).collect::<Option<Vec<_>>>()
            && !keys.is_empty()
        {
            let plan = empty(&relation.name, None, keys);
            let columns = table.row_key.clone();
            found.push(Candidate { columns, unique: true, plan, partial: None });
        }
        for oid in &table.indexes {
            let Some(index) = self.catalog.relation(*oid) else { continue };
            let Some(body) = index.as_index() else { continue };
            if body.tree == 0 {
                if let Some(row_key) = found.first_mut() {
                    row_key.plan.name = index.name.clone();
                }
                continue;
            }
            if !body.valid || self.is_younger(body, TreeId(body.tree)) {
                continue;
            }
            let keys = body.keys.iter().zip(body.key_types(relation)).map(|(key, ty)| {
                let (descending, nulls_first, ty) = (key.descending, key.nulls_first, ty.oid);
                key::is_skippable(ty).then_some(KeyColumn { ty, descending, nulls_first })
            });
            let Some(keys) = keys.collect::<Option<Vec<_>>>() else { continue };
            let columns = body.keys.iter().map(|key| match &key.expression {
                None => Some(key.column),
                Some(expression) => indexed.number(&expression.text),
            });
            let Some(columns) = columns.collect::<Option<Vec<_>>>() else { continue };
            let partial = match &body.predicate {
                None => None,
                Some(_) => match indexed.predicates.get(oid) {
                    Some(predicate) => {
                        let view = self.view.as_ref();
                        let rows = view.and_then(|v| v.row_estimate(TreeId(body.tree)).ok());
                        Some((predicate.clone(), rows.map_or(10.0, |rows| rows as f64).max(1.0)))
                    }
                    None => continue,
                },
            };
            let plan = empty(&index.name, Some(body.trees()), keys);
            let unique = body.unique && !body.deferrable;
            found.push(Candidate { columns, unique, plan, partial });
        }
        found
    }
}

/// The left side of a comparison.
fn left_of(filter: &Expr) -> &Expr {
    match filter {
        Expr::Call(call) => call.args.first().unwrap_or(filter),
        other => other,
    }
}

impl Builder {
    /// What each condition says of a column of the entry.
    fn conditions<'q>(
        &mut self,
        at: usize,
        relation: &Relation,
        filters: &'q [Expr],
        around: Option<&Around<'_>>,
    ) -> Vec<Condition<'q>> {
        let expressions = self.indexed(relation).over(at);
        conditions(at, filters, around, &expressions)
    }

    /// The number of the indexed expression of a table that this one is.
    pub(super) fn indexed_column(
        &mut self,
        at: usize,
        relation: &Relation,
        expr: &Expr,
    ) -> Option<i16> {
        number_of(&self.indexed(relation).over(at), expr)
    }
}

/// The place of an expression among those of a table.
fn number_of(expressions: &[Expr], expr: &Expr) -> Option<i16> {
    let found = expressions
        .iter()
        .position(|one| same_expression(one, expr) || same_expression(one, strip(expr)))?;
    Some(EXPRESSION - i16::try_from(found).ok()?)
}

/// An expression over entry 0 as one over another entry.
pub(super) fn over_entry(expr: &Expr, at: usize) -> Expr {
    let mut expr = expr.clone();
    rewrite_expr(&mut expr, 0, &mut |expr, _| {
        if let Expr::Column { entry, .. } = expr {
            *entry = at;
        }
        false
    });
    expr
}

fn conditions<'q>(
    at: usize,
    filters: &'q [Expr],
    around: Option<&Around<'_>>,
    expressions: &[Expr],
) -> Vec<Condition<'q>> {
    let given = |expr: &Expr| is_constant(expr) || around.is_some_and(|around| around.gives(expr));
    let of_entry = |expr: &Expr| match strip(expr) {
        Expr::Column { entry, column, levels_up: 0, ty } if *entry == at => {
            let alike = ty.oid == expr.ty().oid || key_alike(ty.oid, expr.ty().oid);
            alike.then_some(*column)
        }
        _ if expressions.is_empty() => None,
        _ => number_of(expressions, expr),
    };
    let mut found = Vec::new();
    for (place, filter) in filters.iter().enumerate() {
        match filter {
            Expr::Call(call) => {
                let Some((op, left, right)) = key_comparison(call) else { continue };
                if let Some(column) = of_entry(left).filter(|_| given(right)) {
                    found.push(Condition {
                        column,
                        op: Op::Compare(op),
                        value: Some(right),
                        place,
                    });
                } else if let Some(column) = of_entry(right).filter(|_| given(left)) {
                    let op = Op::Compare(mirrored(op));
                    found.push(Condition { column, op, value: Some(left), place });
                }
            }
            Expr::ArrayComparison { operator, array, all: false }
                if around.is_none() && is_constant(array) =>
            {
                let Some((Comparison::Equal, left, right)) = comparison(operator) else { continue };
                let is_element = matches!(strip(right), Expr::Slot { index: 0, .. });
                if let Some(column) = of_entry(left).filter(|_| is_element) {
                    found.push(Condition { column, op: Op::Any, value: Some(array), place });
                }
            }
            Expr::IsNull { arg, negated } => {
                if let Some(column) = of_entry(arg) {
                    let op = if *negated { Op::NotNull } else { Op::Null };
                    found.push(Condition { column, op, value: None, place });
                }
            }
            _ => {}
        }
    }
    found
}

/// The conditions by which a unique key finds at most one row.
fn one_row(candidate: &Candidate, conditions: &[Condition<'_>]) -> Option<Vec<usize>> {
    if !candidate.unique {
        return None;
    }
    let equal = |column: &i16| {
        conditions.iter().position(|condition| {
            condition.column == *column && condition.op == Op::Compare(Comparison::Equal)
        })
    };
    candidate.columns.iter().map(equal).collect()
}

/// The row key of a table, to be read between bounds of the column that never falls along it, and the
/// conditions that are these bounds.
fn along(
    relation: &Relation,
    candidates: &[Candidate],
    conditions: &[Condition<'_>],
) -> Option<(Candidate, Vec<usize>)> {
    let column = relation.as_table()?.managed.as_ref()?.along?;
    let is_bound = |ops: [Comparison; 2]| {
        conditions.iter().position(|condition| {
            let op = condition.op;
            condition.column == column && ops.iter().any(|it| op == Op::Compare(*it))
        })
    };
    let lower = is_bound([Comparison::Greater, Comparison::GreaterEqual]);
    let upper = is_bound([Comparison::Less, Comparison::LessEqual]);
    let used: Vec<usize> = lower.into_iter().chain(upper).collect();
    let mut candidate = candidates.iter().find(|it| it.plan.index.is_none())?.clone();
    let is_there = !used.is_empty() && candidate.plan.keys.len() == 2;
    candidate.plan.along = Some(usize::try_from(column - 1).ok()?);
    is_there.then_some((candidate, used))
}

/// The direction in which a key gives the order wished for.
fn direction(
    candidate: &Candidate,
    equal: usize,
    bounded: bool,
    is_one: bool,
    conditions: &[Condition<'_>],
    relation: &Relation,
    wish: &Wish,
) -> Option<Direction> {
    if is_one {
        return Some(Direction::Forward);
    }
    let is_equal = |column: i16| {
        conditions.iter().any(|condition| {
            condition.column == column
                && matches!(condition.op, Op::Compare(Comparison::Equal) | Op::Null)
        })
    };
    let is_not_null = |column: i16| relation.column(column).is_some_and(|column| column.not_null);
    let mut keys = candidate.columns.iter().zip(&candidate.plan.keys).enumerate();
    let mut next =
        || keys.find(|(at, (column, _))| *at >= equal && !(*at > equal && is_equal(**column)));
    let mut direction = None;
    for (column, descending, nulls_first) in &wish.keys {
        // A column that is equal in all rows orders nothing.
        if is_equal(*column) {
            continue;
        }
        let (at, (of, key)) = next()?;
        if of != column {
            return None;
        }
        let needed =
            if key.descending == *descending { Direction::Forward } else { Direction::Backward };
        let same = direction.is_none_or(|known| known == needed);
        let has_nulls = !(is_not_null(*column) || (at == equal && bounded));
        let nulls_fit = (key.nulls_first == *nulls_first) == (needed == Direction::Forward);
        if !same || (has_nulls && !nulls_fit) {
            return None;
        }
        direction = Some(needed);
    }
    Some(direction.unwrap_or(Direction::Forward))
}

/// What a way costs, `read` rows at so much each, with a sort where the order is not the wished one.
fn priced(way: &Way, read: f64, each: f64, wish: Option<&Wish>) -> f64 {
    let Some(wish) = wish else { return read * each };
    if way.ordered {
        // A LIMIT stops it as soon as it has its rows.
        let part = wish.limit.map_or(1.0, |limit| (limit / way.rows).min(1.0));
        return read * part * each;
    }
    let compared = match wish.limit {
        Some(limit) => way.rows * (limit + 2.0).log2().min((way.rows + 2.0).log2()),
        None => way.rows * (way.rows + 2.0).log2(),
    };
    read * each + compared * 0.25
}

/// Whether keys of both types are the same bytes.
fn key_alike(one: aegis_types::Oid, other: aegis_types::Oid) -> bool {
    let is_text = |oid| matches!(oid, type_oid::TEXT | type_oid::VARCHAR);
    is_text(one) && is_text(other)
}

pub(super) fn mirrored(op: Comparison) -> Comparison {
    match op {
        Comparison::Less => Comparison::Greater,
        Comparison::LessEqual => Comparison::GreaterEqual,
        Comparison::Greater => Comparison::Less,
        Comparison::GreaterEqual => Comparison::LessEqual,
        other => other,
    }
}

/// A condition's columns of one entry, where the condition is an equality with something else.
pub(super) fn equality_of(filter: &Expr, entry: usize) -> Option<(i16, &Expr)> {
    let Expr::Call(call) = filter else { return None };
    let Some((Comparison::Equal, left, right)) = key_comparison(call) else { return None };
    let column = |expr: &Expr| match strip(expr) {
        Expr::Column { entry: of, column, levels_up: 0, .. } if *of == entry => Some(*column),
        _ => None,
    };
    column(left).map(|column| (column, right)).or_else(|| column(right).map(|of| (of, left)))
}

/// Keeps the conditions that an access does not decide.
pub(super) fn undecided(filters: Vec<Expr>, decided: &[usize]) -> Vec<Expr> {
    let kept = filters.into_iter().enumerate().filter(|(at, _)| !decided.contains(at));
    kept.map(|(_, filter)| filter).collect()
}
