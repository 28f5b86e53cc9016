//! `EXPLAIN`: the plan's nodes under PostgreSQL's names, without costs.

mod text;

use aegis_sql::bound::SetOperator;
use aegis_storage::Direction;

use crate::duplicates::SetOperationPlan;
use crate::plan::{JoinPlan, JoinType, Plan, PlanKind};
use crate::scan::{Access, ScanPlan};

pub(crate) use text::{Described, Names};

/// The lines of a plan.
pub(crate) fn lines(plan: &Plan) -> Vec<String> {
    let mut lines = Vec::new();
    let mut shown = Shown::default();
    shown.look(plan, None);
    shown.write(0, &mut lines);
    lines
}

/// One node as it is shown.
#[derive(Default)]
struct Shown {
    name: String,
    details: Vec<String>,
    /// What a part that runs by itself is called, before its plan.
    part: Option<String>,
    children: Vec<Self>,
}

impl Shown {
    fn of(plan: &Plan) -> Self {
        let mut shown = Self::default();
        shown.look(plan, None);
        shown
    }

    fn part(name: String, plan: &Plan) -> Self {
        Self { part: Some(name), ..Self::of(plan) }
    }

    fn write(&self, column: usize, lines: &mut Vec<String>) {
        let mut column = column;
        if let Some(part) = &self.part {
            lines.push(format!("{}{part}", " ".repeat(column)));
            column += 2;
        }
        let indent = if column == 0 { 0 } else { column + 4 };
        if column == 0 {
            lines.push(self.name.clone());
        } else {
            lines.push(format!("{}->  {}", " ".repeat(column), self.name));
        }
        let below = indent + 2;
        lines.extend(self.details.iter().map(|detail| format!("{}{detail}", " ".repeat(below))));
        for child in &self.children {
            child.write(below, lines);
        }
    }

    fn detail(&mut self, name: &str, text: Option<String>) {
        self.details.extend(text.map(|text| format!("{name}: {text}")));
    }

    /// Becomes a plan's node. What only computes columns or filters is part of the node below, as in
    /// PostgreSQL; `filters` are the conditions met on the way.
    fn look(&mut self, plan: &Plan, filters: Option<Vec<Described>>) {
        let own = match &plan.kind {
            PlanKind::Scan(scan) => Some(scan.entry),
            _ => None,
        };
        match &plan.kind {
            PlanKind::Project(input, _) => return self.look(input, filters),
            PlanKind::Filter(input, _, condition) => {
                let mut all = vec![condition.clone()];
                all.extend(filters.into_iter().flatten());
                return self.look(input, Some(all));
            }
            _ => self.node(plan),
        }
        // A subquery stands where it was planned: of the conditions on it only one is shown there.
        let filters = filters.unwrap_or_default();
        self.detail("Filter", text::all(&filters, own));
    }

    fn node(&mut self, plan: &Plan) {
        let mut below: Vec<&Plan> = Vec::new();
        self.name = match &plan.kind {
            PlanKind::Project(..) | PlanKind::Filter(..) => return,
            PlanKind::OneRow => "Result".to_owned(),
            PlanKind::Scan(scan) => self.scan(scan),
            PlanKind::System { name, .. } => format!("Seq Scan on {name}"),
            PlanKind::Sequence(sequence) => format!("Seq Scan on {}", sequence.name),
            PlanKind::Values(_) => "Values Scan".to_owned(),
            PlanKind::Returned(_) => "CTE Scan".to_owned(),
            PlanKind::Functions(functions) => format!("Function Scan on {}", functions.name),
            PlanKind::ProjectSet(input, _) => {
                below.push(input);
                "ProjectSet".to_owned()
            }
            PlanKind::OneTime(gate) if gate.is_never => {
                self.details.push("One-Time Filter: false".to_owned());
                "Result".to_owned()
            }
            PlanKind::OneTime(gate) => {
                self.detail("One-Time Filter", text::all(&gate.described, None));
                if !matches!(gate.input.kind, PlanKind::OneRow) {
                    below.push(&gate.input);
                }
                "Result".to_owned()
            }
            PlanKind::Join(join) => self.join(join),
            PlanKind::Lookup(lookup) => {
                self.detail("Join Filter", text::all(&lookup.rest, None));
                let mut inner = Self::default();
                inner.name = inner.scan(&lookup.inner);
                self.children = vec![Self::of(&lookup.outer), inner];
                nested_loop(lookup.kind)
            }
            PlanKind::Lateral(lateral) => {
                below.extend([&*lateral.left, &lateral.part.plan]);
                nested_loop(if lateral.outer { JoinType::Left } else { JoinType::Inner })
            }
            PlanKind::Sort(sort) => {
                below.push(&sort.input);
                let keys = sort.described.iter().zip(&sort.keys).map(|(described, key)| {
                    let mut text = described.text(None)?;
                    if key.descending {
                        text.push_str(" DESC");
                    }
                    match (key.descending, key.nulls_first) {
                        (false, true) => text.push_str(" NULLS FIRST"),
                        (true, false) => text.push_str(" NULLS LAST"),
                        _ => {}
                    }
                    Some(text)
                });
                let keys: Option<Vec<String>> = keys.collect();
                self.detail("Sort Key", keys.map(|keys| keys.join(", ")));
                "Sort".to_owned()
            }
            PlanKind::Aggregate(aggregate) => {
                below.push(&aggregate.input);
                let grouped = !aggregate.groups.is_empty();
                (if grouped { "HashAggregate" } else { "Aggregate" }).to_owned()
            }
            PlanKind::Window(window) => {
                below.push(&window.input);
                "WindowAgg".to_owned()
            }
            PlanKind::Distinct(distinct) => {
                below.push(&distinct.input);
                (if distinct.is_sorted { "Unique" } else { "HashAggregate" }).to_owned()
            }
            PlanKind::SetOperation(SetOperationPlan { op, all, left, right }) => {
                below.extend([&**left, &**right]);
                let op = match op {
                    SetOperator::Union => "Union",
                    SetOperator::Intersect => "Intersect",
                    SetOperator::Except => "Except",
                };
                format!("HashSetOp {op}{}", if *all { " All" } else { "" })
            }
            PlanKind::Append(left, right) => {
                below.extend([&**left, &**right]);
                "Append".to_owned()
            }
            PlanKind::Limit(limit) => {
                below.push(&limit.input);
                "Limit".to_owned()
            }
            PlanKind::Cte(cte) => {
                self.children.push(Self::part(format!("CTE {}", cte.name), &cte.part.plan));
                format!("CTE Scan on {}", cte.name)
            }
            PlanKind::Recursive(recursive) => {
                below.extend([&recursive.base.plan, &recursive.step.plan]);
                "Recursive Union".to_owned()
            }
            PlanKind::WorkTable(_) => "WorkTable Scan".to_owned(),
        };
        self.children.extend(below.into_iter().map(Self::of));
    }

    fn scan(&mut self, scan: &ScanPlan) -> String {
        let mut of = scan.relation.name.clone();
        if scan.alias != of {
            of = format!("{of} {}", scan.alias);
        }
        match &scan.access {
            Access::All => format!("Seq Scan on {of}"),
            Access::RowKey(_) => format!("Tid Scan on {of}"),
            Access::Range(range) => {
                self.detail("Index Cond", text::all(&range.conditions, Some(scan.entry)));
                let backward = match range.direction {
                    Direction::Forward => "",
                    Direction::Backward => " Backward",
                };
                format!("Index Scan{backward} using {} on {of}", range.name)
            }
        }
    }

    fn join(&mut self, join: &JoinPlan) -> String {
        let (held, streamed) =
            if join.holds_right() { (&join.right, &join.left) } else { (&join.left, &join.right) };
        // PostgreSQL names a join by which of its shown sides stays whole.
        let kind = match join.kind {
            JoinType::Left if !join.holds_right() => JoinType::Right,
            JoinType::Right if join.holds_right() => JoinType::Right,
            JoinType::Right => JoinType::Left,
            other => other,
        };
        if join.keys.is_empty() {
            self.detail("Join Filter", text::all(&join.rest, None));
            let materialized = Self {
                name: "Materialize".to_owned(),
                children: vec![Self::of(held)],
                ..Self::default()
            };
            self.children = vec![Self::of(streamed), materialized];
            return nested_loop(kind);
        }
        self.detail("Hash Cond", text::all(&join.equal, None));
        self.detail("Join Filter", text::all(&join.rest, None));
        let hash =
            Self { name: "Hash".to_owned(), children: vec![Self::of(held)], ..Self::default() };
        self.children = vec![Self::of(streamed), hash];
        match kind {
            JoinType::Inner => "Hash Join".to_owned(),
            kind => format!("Hash {kind:?} Join"),
        }
    }
}

fn nested_loop(kind: JoinType) -> String {
    match kind {
        JoinType::Inner => "Nested Loop".to_owned(),
        kind => format!("Nested Loop {kind:?} Join"),
    }
}
