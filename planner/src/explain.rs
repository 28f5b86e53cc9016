//! `EXPLAIN`: the plan's nodes under PostgreSQL's names.
//!
//! What only computes columns or filters is part of the node below, as in PostgreSQL; the sides that
//! a join holds stand under a `Hash` or a `Materialize`, and share that one's figures.
//!
//! Costs are in PostgreSQL's unit and by its defaults for what is done with rows in memory: 0.01 for
//! a row that is read or given, 0.0025 for a comparison or a computed value. Reading a row in a scan is
//! one such row, finding one by the entry of an index four, finding where a range begins two: the
//! figures that the planner chooses by. Pages cost nothing, as there are none.

mod describe;
mod text;

use std::collections::BTreeSet;

use aegis_sql::bound::SetOperator;
use aegis_sql::deparse::PlanAliases;
use aegis_sql::explain::{Estimate, ExplainRequest, PlanNode, Property, Shown, Target, Value};
use aegis_storage::Direction;
use aegis_types::TypeRef;
use aegis_types::builtin::builtins;

use crate::duplicates::SetOperationPlan;
use crate::lookup::LookupPlan;
use crate::plan::{DUMMY, JoinPlan, JoinType, LimitPlan, Plan, PlanKind};
use crate::scalar::Vectorized;
use crate::scan::{Access, ScanPlan};
use crate::subquery::{Subplan, SubplanKind};

pub(crate) use text::{Described, Names};

use text::Style;

/// A row that is read or given.
const ROW: f64 = 0.01;
/// A comparison, a hash, a computed value.
const OPERATION: f64 = 0.0025;
/// The bytes that a value of unknown length is taken for.
const LENGTH: u32 = 32;

/// A plan as it is shown.
pub(crate) fn node(plan: &Plan, request: &ExplainRequest<'_>) -> PlanNode {
    let several = request.has_target || describe::is_several(plan);
    let mut aliases = PlanAliases::default();
    describe::name(plan, &mut aliases);
    let mut explainer = Explainer {
        request,
        aliases: &aliases,
        several,
        subplans: 0,
        values: 0,
        ctes: Vec::new(),
        seen: BTreeSet::new(),
    };
    let mut top = explainer.plan(plan);
    let mut children = explainer.ctes;
    children.append(&mut top.children);
    PlanNode { children, ..top }
}

struct Explainer<'a> {
    request: &'a ExplainRequest<'a>,
    /// What the entries of queries are called.
    aliases: &'a PlanAliases,
    /// Whether the statement reads more than one thing, so that columns are shown with what they are
    /// of.
    several: bool,
    /// How many parts have a number.
    subplans: usize,
    /// How many of them give one value once.
    values: usize,
    /// The common table expressions, which stand at the top, and their numbers.
    ctes: Vec<PlanNode>,
    seen: BTreeSet<usize>,
}

/// What a node costs.
#[derive(Clone, Copy)]
struct Cost {
    startup: f64,
    total: f64,
}

impl Cost {
    const fn new(startup: f64, total: f64) -> Self {
        Self { startup, total }
    }
}

fn cost_of(node: &PlanNode) -> Cost {
    Cost::new(node.estimate.startup_cost, node.estimate.total_cost)
}

fn width(types: &[TypeRef]) -> u32 {
    if types == [DUMMY] {
        return 0;
    }
    types
        .iter()
        .map(|ty| {
            let length = builtins().type_row(ty.oid).map_or(-1, |row| row.length);
            u32::try_from(length).unwrap_or(LENGTH)
        })
        .sum()
}

fn estimate(cost: Cost, rows: f64, types: &[TypeRef]) -> Estimate {
    Estimate {
        startup_cost: cost.startup,
        total_cost: cost.total,
        rows: rows.round().max(1.0),
        width: width(types),
    }
}

impl<'a> Explainer<'a> {
    fn upper<'s>(&self, subqueries: &'s [String]) -> Style<'s>
    where
        'a: 's,
    {
        let prefix = self.several || self.request.verbose;
        Style { prefix, own: None, subqueries, aliases: self.aliases }
    }

    /// A plan's node, with what filters and computes above it.
    fn plan(&mut self, plan: &Plan) -> PlanNode {
        let (mut base, mut above, mut computed) = (plan, Vec::new(), 0.0);
        let mut filters: Vec<&Described> = Vec::new();
        let mut given = Vec::new();
        let mut removed = None;
        loop {
            base = match &base.kind {
                PlanKind::Project(input, exprs) => {
                    let own = exprs.iter().flat_map(|scalar| describe::subplans(scalar));
                    given.extend(own);
                    let plain = |node: &Vectorized| matches!(node, Vectorized::Column(_));
                    let made = exprs.iter().filter(|scalar| !plain(&scalar.node)).count();
                    computed += made as f64 * base.rows * OPERATION;
                    input
                }
                PlanKind::Filter(input, scalar, described) => {
                    // The deepest condition is shown first.
                    filters.insert(0, described);
                    let mut own: Vec<_> = describe::subplans(scalar).collect();
                    own.append(&mut above);
                    above = own;
                    computed += input.rows * OPERATION;
                    *removed.get_or_insert(0.0) += self.removed(input, base);
                    input
                }
                _ => break,
            };
        }
        let given = self.parts(&given);
        let asked = self.parts(&above);
        let mut node = self.base(base);
        if !filters.is_empty() && describe::is_apart(base) {
            node = subquery_scan(node, &filters, base);
        }
        let cost = cost_of(&node);
        let total = cost.total + computed;
        node.estimate = estimate(Cost::new(cost.startup, total), plan.rows, &plan.types);
        if matches!(&base.kind, PlanKind::OneTime(gate) if gate.is_never) {
            node.estimate.rows = 0.0;
        }
        node.actual = self.request.measure.map(|measure| measure.node(plan.address()).actual());
        if self.request.verbose {
            let names = given.texts.as_slice();
            node.output = self.output(plan, names);
        }
        let style = Style { own: describe::own(base), subqueries: &asked.texts, ..self.upper(&[]) };
        let style = if style.own.is_some() {
            Style { prefix: self.request.verbose, ..style }
        } else {
            style
        };
        node.text("Filter", text::all(&filters, style, self.request));
        if let (Some(removed), Some(actual)) = (removed, &node.actual) {
            let each = removed / actual.loops.max(1.0);
            node.count("Rows Removed by Filter", each);
        }
        let mut children = given.first;
        children.extend(asked.first);
        children.append(&mut node.children);
        children.extend(given.last);
        children.extend(asked.last);
        PlanNode { children, ..node }
    }

    /// How many rows a condition removed.
    fn removed(&self, below: &Plan, filter: &Plan) -> f64 {
        let Some(measure) = self.request.measure else { return 0.0 };
        let (came, passed) =
            (measure.node(below.address()).rows(), measure.node(filter.address()).rows());
        came.saturating_sub(passed) as f64
    }

    /// The parts that run from within expressions: what each is called there, and their plans.
    fn parts(&mut self, subplans: &[&Subplan]) -> Parts {
        let mut parts = Parts::default();
        for subplan in subplans {
            self.subplans += 1;
            let number = self.subplans;
            let is_value = matches!(
                subplan.kind,
                SubplanKind::Exists | SubplanKind::Scalar | SubplanKind::Array(_)
            );
            let mut node = self.plan(&subplan.part.plan);
            if is_value && subplan.bindings.is_empty() {
                let value = self.values;
                self.values += 1;
                node.subplan_name = Some(format!("InitPlan {number} (returns ${value})"));
                parts.texts.push(format!("${value}"));
                parts.first.push(node.as_child("InitPlan"));
            } else {
                node.subplan_name = Some(format!("SubPlan {number}"));
                let hashed = matches!(subplan.kind, SubplanKind::In { .. });
                let word = if hashed { "hashed " } else { "" };
                parts.texts.push(format!("({word}SubPlan {number})"));
                parts.last.push(node.as_child("SubPlan"));
            }
        }
        parts
    }

    fn base(&mut self, plan: &Plan) -> PlanNode {
        match &plan.kind {
            PlanKind::Project(..) | PlanKind::Filter(..) => self.plan(plan),
            PlanKind::OneRow => leaf("Result", 0.01),
            PlanKind::Values(rows) if rows.len() == 1 => leaf("Result", ROW),
            PlanKind::Scan(scan) => self.scan(scan),
            PlanKind::System { .. } | PlanKind::Sequence(_) => {
                let mut node = leaf("Seq Scan", plan.rows * ROW);
                node.target = self.relation_target(plan);
                node
            }
            PlanKind::Values(rows) => {
                let mut node = leaf("Values Scan", rows.len() as f64 * (ROW + OPERATION));
                node.target = self.plain_target(plan, None);
                node
            }
            PlanKind::Returned(_) | PlanKind::WorkTable(_) => {
                let of_cte = matches!(plan.kind, PlanKind::Returned(_));
                let name = if of_cte { "CTE Scan" } else { "WorkTable Scan" };
                let mut node = leaf(name, plan.rows * ROW);
                node.target = self.cte_target(plan);
                node
            }
            PlanKind::Functions(_) => self.functions(plan),
            PlanKind::ProjectSet(input, _) => {
                let node = PlanNode::new("ProjectSet");
                self.over(node, input, |below| Cost::new(below.startup, below.total + ROW))
            }
            PlanKind::OneTime(gate) if gate.is_never => {
                let mut node = leaf("Result", 0.0);
                node.text("One-Time Filter", Some("false".to_owned()));
                node
            }
            PlanKind::OneTime(gate) => {
                let given: Vec<&Subplan> =
                    gate.conditions.iter().flat_map(|scalar| describe::subplans(scalar)).collect();
                let parts = self.parts(&given);
                let conditions: Vec<&Described> = gate.described.iter().collect();
                let shown = text::all(&conditions, self.upper(&parts.texts), self.request);
                let mut node = leaf("Result", 0.01);
                node.text("One-Time Filter", shown);
                node.children = parts.first;
                if !matches!(gate.input.kind, PlanKind::OneRow) {
                    let below = self.plan(&gate.input);
                    node.estimate.total_cost = below.estimate.total_cost;
                    node.children.push(below.as_child("Outer"));
                }
                node.children.extend(parts.last);
                node
            }
            PlanKind::Join(join) => self.join(plan, join),
            PlanKind::Lookup(lookup) => self.lookup(plan, lookup),
            PlanKind::Lateral(lateral) => {
                let kind = if lateral.outer { JoinType::Left } else { JoinType::Inner };
                let (left, right) = (self.plan(&lateral.left), self.plan(&lateral.part.plan));
                let (outer, inner) = (cost_of(&left), cost_of(&right));
                let each = inner.total * lateral.left.rows.max(1.0);
                let total = outer.total + each + plan.rows * ROW;
                let cost = Cost::new(outer.startup + inner.startup, total);
                joined("Nested Loop", kind, cost, left, right)
            }
            PlanKind::Sort(sort) => {
                let mut node = PlanNode::new("Sort");
                node.list("Sort Key", self.sort_keys(sort));
                let rows = sort.input.rows.max(2.0);
                self.over(node, &sort.input, |below| {
                    let startup = below.total + 2.0 * OPERATION * rows * rows.log2();
                    Cost::new(startup, startup + OPERATION * rows)
                })
            }
            PlanKind::Aggregate(aggregate) => {
                let node = self.aggregate(aggregate);
                let each = (aggregate.groups.len() + aggregate.calls.len()) as f64 * OPERATION;
                self.over(node, &aggregate.input, |below| {
                    let startup = below.total + aggregate.input.rows * each;
                    Cost::new(startup, startup + plan.rows * ROW)
                })
            }
            PlanKind::Window(window) => {
                let rows = window.input.rows.max(2.0);
                let each = window.targets.len() as f64 * OPERATION + ROW;
                self.over(PlanNode::new("WindowAgg"), &window.input, |below| {
                    let startup = below.total + 2.0 * OPERATION * rows * rows.log2();
                    Cost::new(startup, startup + rows * each)
                })
            }
            PlanKind::Distinct(distinct) => self.distinct(plan, distinct),
            PlanKind::SetOperation(operation) => self.set_operation(operation),
            PlanKind::Append(..) => self.append(plan),
            PlanKind::Limit(limit) => self.limit(plan, limit),
            PlanKind::LockRows(locking) => {
                let rows = locking.input.rows;
                self.over(PlanNode::new("LockRows"), &locking.input, |below| {
                    Cost::new(below.startup, below.total + rows * ROW)
                })
            }
            PlanKind::SubqueryScan(input) => {
                let below = self.plan(input);
                let mut node = with_cost(PlanNode::new("Subquery Scan"), cost_of(&below));
                node.target = self.plain_target(plan, None);
                node.children = vec![below.as_child("Subquery")];
                node
            }
            PlanKind::Cte(cte) => {
                if self.seen.insert(cte.part.number) {
                    let mut shown = self.plan(&cte.part.plan);
                    shown.subplan_name = Some(format!("CTE {}", cte.name));
                    self.ctes.push(shown.as_child("InitPlan"));
                }
                let mut node = leaf("CTE Scan", cte.part.plan.rows * ROW);
                node.target = self.cte_target(plan);
                node
            }
            PlanKind::Recursive(recursive) => {
                let node = PlanNode::new("Recursive Union");
                let (base, step) =
                    (self.plan(&recursive.base.plan), self.plan(&recursive.step.plan));
                let total = cost_of(&base).total + 10.0 * cost_of(&step).total;
                let mut node = with_cost(node, Cost::new(cost_of(&base).startup, total));
                node.children = vec![base.as_child("Outer"), step.as_child("Inner")];
                node
            }
        }
    }

    /// A node over one other.
    fn over(&mut self, node: PlanNode, input: &Plan, cost: impl FnOnce(Cost) -> Cost) -> PlanNode {
        let below = self.plan(input);
        let mut node = with_cost(node, cost(cost_of(&below)));
        node.children.push(below.as_child("Outer"));
        node
    }

    fn scan(&mut self, scan: &ScanPlan) -> PlanNode {
        let target = Target {
            object: Some(("Relation Name", scan.relation.name.clone())),
            schema: self.schema(scan.relation.schema),
            alias: self.aliases.of(&scan.names.query, scan.entry).unwrap_or(&scan.alias).to_owned(),
        };
        let total = scan.read * ROW;
        let mut node = match &scan.access {
            Access::All => leaf("Seq Scan", total),
            Access::RowKey(_) => leaf("Tid Scan", total),
            Access::Range(range) => {
                let mut node = leaf("Index Scan", total);
                let (direction, word) = match range.direction {
                    Direction::Forward => ("Forward", ""),
                    Direction::Backward => ("Backward", " Backward"),
                };
                node.title = format!("Index Scan{word} using {}", range.name);
                node.scan.push(("Scan Direction", direction.to_owned()));
                node.scan.push(("Index Name", range.name.clone()));
                node.estimate.startup_cost = (2.0 * ROW).min(total);
                let parts = self.parts(&describe::range_parts(range));
                let style = Style {
                    prefix: self.request.verbose,
                    own: Some((&scan.names.query, scan.entry)),
                    ..self.upper(&parts.texts)
                };
                let conditions: Vec<&Described> = range.conditions.iter().collect();
                node.text("Index Cond", text::all(&conditions, style, self.request));
                node.children = parts.first;
                node.children.extend(parts.last);
                node
            }
        };
        node.target = Some(target);
        node
    }

    fn join(&mut self, plan: &Plan, join: &JoinPlan) -> PlanNode {
        let (held, streamed) =
            if join.holds_right() { (&join.right, &join.left) } else { (&join.left, &join.right) };
        // PostgreSQL names a join by which of its shown sides stays whole.
        let kind = match join.kind {
            JoinType::Left if !join.holds_right() => JoinType::Right,
            JoinType::Right if join.holds_right() => JoinType::Right,
            JoinType::Right => JoinType::Left,
            other => other,
        };
        let is_hashed = !join.keys.is_empty();
        let (outer, inner) = (self.plan(streamed), self.plan(held));
        let (left, right) = (cost_of(&outer), cost_of(&inner));
        let keys = join.keys.len() as f64 * OPERATION;
        let tests = join.rest.len() as f64 * OPERATION;
        let cost = if is_hashed {
            let startup = right.total + held.rows * (keys + ROW);
            Cost::new(
                startup + left.startup,
                startup + left.total + streamed.rows * keys + plan.rows * (ROW + tests),
            )
        } else {
            let pairs = streamed.rows * held.rows;
            let total = left.total + right.total + pairs * (OPERATION + tests);
            Cost::new(left.startup + right.startup, total + plan.rows * ROW)
        };
        let mut side = PlanNode::new(if is_hashed { "Hash" } else { "Materialize" });
        let startup = if is_hashed { right.total } else { right.startup };
        side.estimate = Estimate { startup_cost: startup, ..inner.estimate };
        side.actual = inner.actual;
        side.output.clone_from(&inner.output);
        side.children = vec![inner.as_child("Outer")];
        let name = if is_hashed { "Hash Join" } else { "Nested Loop" };
        let mut node = joined(name, kind, cost, outer, side);
        let turned: Vec<Described> =
            join.equal.iter().map(|one| describe::outer_first(one, streamed)).collect();
        let (equal, rest): (Vec<_>, Vec<_>) = (turned.iter().collect(), join.rest.iter().collect());
        node.text("Hash Cond", text::all(&equal, self.upper(&[]), self.request));
        self.join_filter(&mut node, join.filter.as_deref(), &rest);
        node
    }

    fn lookup(&mut self, plan: &Plan, lookup: &LookupPlan) -> PlanNode {
        let outer = self.plan(&lookup.outer);
        let mut inner = self.scan(&lookup.inner);
        let (left, each) = (cost_of(&outer), cost_of(&inner));
        inner.estimate = estimate(each, lookup.inner.rows, &lookup.inner_types);
        if self.request.verbose {
            let style = Style { prefix: self.several, ..self.upper(&[]) };
            inner.output = self.columns_of(&lookup.inner, style).map(describe::texts);
        }
        let counters = self.request.measure.map(|it| it.node(lookup.inner.address()));
        inner.actual = counters.as_ref().map(|counters| counters.actual());
        let total = left.total + lookup.outer.rows * each.total + plan.rows * ROW;
        let cost = Cost::new(left.startup + each.startup, total);
        let mut node = joined("Nested Loop", lookup.kind, cost, outer, inner);
        let rest: Vec<&Described> = lookup.rest.iter().collect();
        self.join_filter(&mut node, lookup.filter.as_deref(), &rest);
        if let (Some(counters), false) = (&counters, rest.is_empty()) {
            let loops = self.request.measure.map(|it| it.node(plan.address()).actual().loops);
            let removed = counters.rows_removed() as f64 / loops.unwrap_or(1.0).max(1.0);
            node.count("Rows Removed by Join Filter", removed);
        }
        node
    }

    /// What a join asks of its rows besides its keys.
    fn join_filter(
        &mut self,
        node: &mut PlanNode,
        filter: Option<&crate::scalar::Scalar>,
        rest: &[&Described],
    ) {
        let given: Vec<&Subplan> = filter.into_iter().flat_map(describe::subplans).collect();
        let parts = self.parts(&given);
        node.text("Join Filter", text::all(rest, self.upper(&parts.texts), self.request));
        node.children.splice(0..0, parts.first);
        node.children.extend(parts.last);
    }

    fn distinct(&mut self, plan: &Plan, distinct: &crate::duplicates::DistinctPlan) -> PlanNode {
        let rows = distinct.input.rows;
        let keys = distinct.columns.len() as f64 * OPERATION;
        if distinct.is_sorted {
            return self.over(PlanNode::new("Unique"), &distinct.input, |below| {
                Cost::new(below.startup, below.total + rows * keys)
            });
        }
        let mut node = PlanNode::new("Aggregate");
        node.title = "HashAggregate".to_owned();
        node.manner = vec![("Strategy", "Hashed"), ("Partial Mode", "Simple")];
        let names = self.columns(&distinct.input, self.upper(&[])).map(describe::texts);
        let names = names.map(|all| {
            distinct.columns.iter().filter_map(|at| all.get(*at).cloned()).collect::<Vec<_>>()
        });
        node.list("Group Key", names.filter(|names| names.len() == distinct.columns.len()));
        self.over(node, &distinct.input, |below| {
            let startup = below.total + rows * keys;
            Cost::new(startup, startup + plan.rows * ROW)
        })
    }

    fn set_operation(&mut self, operation: &SetOperationPlan) -> PlanNode {
        let SetOperationPlan { op, all, left, right } = operation;
        let command = match (op, all) {
            (SetOperator::Union, _) => "Union",
            (SetOperator::Intersect, false) => "Intersect",
            (SetOperator::Intersect, true) => "Intersect All",
            (SetOperator::Except, false) => "Except",
            (SetOperator::Except, true) => "Except All",
        };
        let mut node = PlanNode::new("SetOp");
        node.title = format!("HashSetOp {command}");
        node.manner = vec![("Strategy", "Hashed")];
        let value = Value::Text(command.to_owned());
        node.properties.push(Property { name: "Command", value, shown: Shown::NotInText });
        let rows = left.rows + right.rows;
        let (left, right) = (self.plan(left), self.plan(right));
        let total = cost_of(&left).total + cost_of(&right).total + rows * (ROW + OPERATION);
        let mut node = with_cost(node, Cost::new(total, total));
        node.children = vec![left.as_child("Outer"), right.as_child("Inner")];
        node
    }

    /// A chain of appends is one.
    fn append(&mut self, plan: &Plan) -> PlanNode {
        let (mut members, mut waiting) = (Vec::new(), vec![plan]);
        while let Some(next) = waiting.pop() {
            match &next.kind {
                PlanKind::Append(left, right) => waiting.extend([&**right, &**left]),
                _ => members.push(self.plan(next).as_child("Member")),
            }
        }
        let startup = members.first().map_or(0.0, |first| first.estimate.startup_cost);
        let total = members.iter().map(|member| member.estimate.total_cost).sum::<f64>();
        let mut node =
            with_cost(PlanNode::new("Append"), Cost::new(startup, total + plan.rows * ROW / 2.0));
        node.children = members;
        node
    }

    fn limit(&mut self, plan: &Plan, limit: &LimitPlan) -> PlanNode {
        let input = limit.input.rows.max(1.0);
        let part = (plan.rows / input).min(1.0);
        self.over(PlanNode::new("Limit"), &limit.input, |below| {
            Cost::new(below.startup, below.startup + (below.total - below.startup) * part)
        })
    }
}

/// The parts that run from within the expressions of a node.
#[derive(Default)]
struct Parts {
    /// What each is called where it is used.
    texts: Vec<String>,
    /// Those that give one value once.
    first: Vec<PlanNode>,
    last: Vec<PlanNode>,
}

fn with_cost(mut node: PlanNode, cost: Cost) -> PlanNode {
    node.estimate.startup_cost = cost.startup;
    node.estimate.total_cost = cost.total;
    node
}

fn leaf(name: &'static str, total: f64) -> PlanNode {
    with_cost(PlanNode::new(name), Cost::new(0.0, total))
}

/// A join of two nodes.
fn joined(
    name: &'static str,
    kind: JoinType,
    cost: Cost,
    outer: PlanNode,
    inner: PlanNode,
) -> PlanNode {
    let mut node = with_cost(PlanNode::new(name), cost);
    let word = match kind {
        JoinType::Inner => "Inner",
        JoinType::Left => "Left",
        JoinType::Right => "Right",
        JoinType::Full => "Full",
        JoinType::Semi => "Semi",
        JoinType::Anti => "Anti",
    };
    node.join_type = Some(word);
    if kind != JoinType::Inner {
        let stem = name.strip_suffix(" Join").unwrap_or(name);
        node.title = format!("{stem} {word} Join");
    }
    // Nothing is known of it, and nothing done with it.
    let value = Value::Bool(false);
    node.properties.push(Property { name: "Inner Unique", value, shown: Shown::NotInText });
    node.children = vec![outer.as_child("Outer"), inner.as_child("Inner")];
    node
}

/// What filters the rows of a subquery that is planned by itself.
fn subquery_scan(below: PlanNode, filters: &[&Described], base: &Plan) -> PlanNode {
    let mut node = with_cost(PlanNode::new("Subquery Scan"), cost_of(&below));
    let alias = filters.iter().find_map(|described| describe::alias(described));
    node.target = alias.map(|alias| Target { object: None, schema: None, alias: alias.to_owned() });
    let mut below = below;
    below.estimate = estimate(cost_of(&below), base.rows, &base.types);
    node.children = vec![below.as_child("Subquery")];
    node
}
