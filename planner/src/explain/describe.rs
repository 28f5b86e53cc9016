//! What the nodes of a plan read, give, group and sort by, as `EXPLAIN` names it.

use std::collections::BTreeSet;
use std::sync::Arc;

use aegis_sql::bound::{Expr, Query, RteKind};
use aegis_sql::deparse::PlanAliases;
use aegis_sql::explain::{PlanNode, Property, Shown, Target, Value};
use aegis_types::Oid;

use super::text::{Described, Names, Style};
use super::{Explainer, OPERATION, ROW, leaf};
use crate::aggregate::AggregatePlan;
use crate::plan::{JoinType, Origin, Plan, PlanKind, SortPlan};
use crate::rewrite::entries_of;
use crate::scalar::{Scalar, Vectorized};
use crate::scan::{Access, RangePlan, ScanPlan};
use crate::subquery::Subplan;

/// A column of a node: its text, and whether it is a column of something, which needs no
/// parentheses.
pub(super) type Shape = (String, bool);

pub(super) fn texts(columns: Vec<Shape>) -> Vec<String> {
    columns.into_iter().map(|(text, _)| text).collect()
}

/// The parts that run from within an expression.
pub(super) fn subplans(scalar: &Scalar) -> Box<dyn Iterator<Item = &Subplan> + '_> {
    match &scalar.node {
        Vectorized::Column(_) | Vectorized::Const(_) => Box::new(std::iter::empty()),
        Vectorized::Compare(_, left, right) | Vectorized::Arithmetic(_, left, right) => {
            Box::new(subplans(left).chain(subplans(right)))
        }
        Vectorized::And(args) | Vectorized::Or(args) => Box::new(args.iter().flat_map(subplans)),
        Vectorized::Not(arg) | Vectorized::IsNull(arg, _) => subplans(arg),
        Vectorized::Rows(program) => Box::new(program.subplans.iter().map(|part| &**part)),
    }
}

/// The parts that a range is computed from, in the order of its conditions.
pub(super) fn range_parts(range: &RangePlan) -> Vec<&Subplan> {
    let bounds = range.lower.iter().chain(&range.upper).map(|(scalar, _)| scalar);
    let all = range.equal.iter().flatten().chain(&range.any).chain(bounds);
    all.flat_map(|scalar| subplans(scalar)).collect()
}

/// An equality with what the outer side computes first.
pub(super) fn outer_first(described: &Described, outer: &Plan) -> Described {
    let mut described = described.clone();
    let names = &described.names;
    let read: BTreeSet<usize> = all_read(outer)
        .into_iter()
        .filter(|(of, _)| Arc::ptr_eq(of, names))
        .map(|(_, entry)| entry)
        .collect();
    if let Expr::Call(call) = &mut described.expr
        && let [first, second] = call.args.as_mut_slice()
    {
        let is_outer = |expr: &Expr| entries_of(expr).iter().all(|entry| read.contains(entry));
        if is_outer(second) && !is_outer(first) {
            std::mem::swap(first, second);
        }
    }
    described
}

/// The entry that a plan reads.
pub(super) fn own(plan: &Plan) -> Option<(&Query, usize)> {
    match (&plan.kind, &plan.origin) {
        (PlanKind::Scan(scan), _) => Some((&scan.names.query, scan.entry)),
        // What it reads stands below it.
        (PlanKind::SubqueryScan(_), _) => None,
        (_, Some(Origin { names, entry: Some(entry) })) => Some((&names.query, *entry)),
        _ => None,
    }
}

/// Whether a condition on a plan's rows cannot be part of its node, as its rows are not made there.
pub(super) const fn is_apart(plan: &Plan) -> bool {
    matches!(
        plan.kind,
        PlanKind::Sort(_)
            | PlanKind::Limit(_)
            | PlanKind::LockRows(_)
            | PlanKind::Window(_)
            | PlanKind::Distinct(_)
            | PlanKind::SetOperation(_)
            | PlanKind::Append(..)
            | PlanKind::Recursive(_)
            | PlanKind::ProjectSet(..)
    )
}

/// What a column in a condition is of.
pub(super) fn alias(described: &Described) -> Option<&str> {
    fn entry(expr: &Expr) -> Option<usize> {
        if let Expr::Column { entry, levels_up: 0, .. } = expr {
            return Some(*entry);
        }
        let mut found = None;
        expr.for_each_child(&mut |child| found = found.or_else(|| entry(child)));
        found
    }
    let entry = described.names.query.range_table.get(entry(&described.expr)?)?;
    Some(&entry.alias)
}

/// The plans below one, those of parts that run from within expressions too.
fn below(plan: &Plan) -> Vec<&Plan> {
    fn parts<'p>(scalars: impl Iterator<Item = &'p Arc<Scalar>>) -> Vec<&'p Plan> {
        scalars.flat_map(|scalar| subplans(scalar)).map(|part| &part.part.plan).collect()
    }
    match &plan.kind {
        PlanKind::Project(input, exprs) => {
            let mut all = parts(exprs.iter());
            all.push(input);
            all
        }
        PlanKind::Filter(input, scalar, _) => {
            let mut all = vec![&**input];
            all.extend(parts(std::iter::once(scalar)));
            all
        }
        PlanKind::ProjectSet(input, _) => vec![input],
        PlanKind::OneTime(gate) => {
            let mut all = vec![&*gate.input];
            all.extend(parts(gate.conditions.iter()));
            all
        }
        PlanKind::Join(join) => {
            let mut all = vec![&*join.left, &*join.right];
            all.extend(parts(join.filter.iter()));
            all
        }
        PlanKind::Lookup(lookup) => {
            let mut all = vec![&*lookup.outer];
            all.extend(parts(lookup.filter.iter()));
            all
        }
        PlanKind::Lateral(lateral) => vec![&lateral.left, &lateral.part.plan],
        PlanKind::Sort(sort) => vec![&sort.input],
        PlanKind::Aggregate(aggregate) => vec![&aggregate.input],
        PlanKind::Window(window) => vec![&window.input],
        PlanKind::Distinct(distinct) => vec![&distinct.input],
        PlanKind::Limit(limit) => vec![&limit.input],
        PlanKind::LockRows(locking) => vec![&locking.input],
        PlanKind::SubqueryScan(input) => vec![input],
        PlanKind::SetOperation(operation) => vec![&operation.left, &operation.right],
        PlanKind::Append(left, right) => vec![left, right],
        PlanKind::Cte(cte) => vec![&cte.part.plan],
        PlanKind::Recursive(recursive) => vec![&recursive.base.plan, &recursive.step.plan],
        PlanKind::Scan(scan) => match &scan.access {
            Access::Range(range) => {
                range_parts(range).into_iter().map(|part| &part.part.plan).collect()
            }
            Access::All | Access::RowKey(_) => Vec::new(),
        },
        PlanKind::OneRow
        | PlanKind::System { .. }
        | PlanKind::Sequence(_)
        | PlanKind::Values(_)
        | PlanKind::Returned(_)
        | PlanKind::Functions(_)
        | PlanKind::WorkTable(_) => Vec::new(),
    }
}

/// The entries that a plan reads itself.
fn read(plan: &Plan) -> Vec<(&Arc<Names>, usize)> {
    match (&plan.kind, &plan.origin) {
        (PlanKind::Scan(scan), _) => vec![(&scan.names, scan.entry)],
        (PlanKind::Lookup(lookup), _) => vec![(&lookup.inner.names, lookup.inner.entry)],
        (_, Some(Origin { names, entry: Some(entry) })) => vec![(names, *entry)],
        _ => Vec::new(),
    }
}

/// Everything that a plan reads, in the order that it is shown.
fn all_read(plan: &Plan) -> Vec<(&Arc<Names>, usize)> {
    let (mut found, mut waiting) = (Vec::new(), vec![plan]);
    while let Some(next) = waiting.pop() {
        let mut more = below(next);
        if let PlanKind::Lookup(lookup) = &next.kind {
            // The outer side comes before what is looked up.
            found.extend(all_read(&lookup.outer));
            more.remove(0);
        }
        found.extend(read(next));
        more.reverse();
        waiting.extend(more);
    }
    found
}

/// Names what a plan reads: the outer queries' entries first.
pub(super) fn name(plan: &Plan, aliases: &mut PlanAliases) {
    let depth = |names: &Arc<Names>| {
        std::iter::successors(names.around.as_ref(), |names| names.around.as_ref()).count()
    };
    let mut all = all_read(plan);
    all.sort_by_key(|(names, _)| depth(names));
    for (names, entry) in all {
        if let Some(of) = names.query.range_table.get(entry) {
            aliases.name(&names.query, entry, &of.alias);
        }
    }
}

/// Whether parts of a plan run from within its expressions.
fn has_parts(plan: &Plan) -> bool {
    let (own, mut more) = match &plan.kind {
        PlanKind::Project(input, exprs) => {
            (exprs.iter().any(|scalar| subplans(scalar).next().is_some()), vec![&**input])
        }
        PlanKind::Filter(input, scalar, _) => (subplans(scalar).next().is_some(), vec![&**input]),
        _ => (false, below(plan)),
    };
    own || more.drain(..).any(has_parts)
}

/// Whether a plan reads more than one thing, or what it reads stands in another query.
pub(super) fn is_several(plan: &Plan) -> bool {
    let all = all_read(plan);
    all.len() > 1 || has_parts(plan) || all.iter().any(|(names, _)| names.around.is_some())
}

impl Explainer<'_> {
    /// A schema's name, where it is shown.
    pub(super) fn schema(&self, schema: Oid) -> Option<String> {
        let names = self.request.deparser.names;
        let name = self.request.verbose.then(|| names.catalog.schema_name(schema))?;
        name.map(str::to_owned)
    }

    /// What a node reads, where that is neither stored nor computed by a part of the plan.
    pub(super) fn plain_target(
        &self,
        plan: &Plan,
        object: Option<(&'static str, String)>,
    ) -> Option<Target> {
        let Origin { names, entry } = plan.origin.as_ref()?;
        let entry = (*entry)?;
        let alias = match self.aliases.of(&names.query, entry) {
            Some(alias) => alias.to_owned(),
            None => names.query.range_table.get(entry)?.alias.clone(),
        };
        Some(Target { object, schema: None, alias })
    }

    pub(super) fn cte_target(&self, plan: &Plan) -> Option<Target> {
        let Origin { names, entry } = plan.origin.as_ref()?;
        let entry = names.query.range_table.get((*entry)?)?;
        let name = match (&plan.kind, &entry.kind) {
            (PlanKind::Cte(cte), _) => cte.name.clone(),
            (_, RteKind::Cte { index, levels_up }) => {
                let mut around = std::iter::successors(Some(names), |names| names.around.as_ref());
                let definer = around.nth(*levels_up);
                let cte = definer.and_then(|definer| definer.query.ctes.get(*index));
                cte.map_or_else(|| entry.alias.clone(), |cte| cte.name.clone())
            }
            _ => entry.alias.clone(),
        };
        self.plain_target(plan, Some(("CTE Name", name)))
    }

    /// A computed relation, or a sequence.
    pub(super) fn relation_target(&self, plan: &Plan) -> Option<Target> {
        let (schema, name) = match &plan.kind {
            PlanKind::Sequence(sequence) => (self.schema(sequence.schema), sequence.name.clone()),
            PlanKind::System { name, .. } => {
                let (schema, name) = name.split_once('.')?;
                (self.request.verbose.then(|| schema.to_owned()), name.to_owned())
            }
            _ => return None,
        };
        let target = self.plain_target(plan, Some(("Relation Name", name)))?;
        Some(Target { schema, ..target })
    }

    pub(super) fn functions(&self, plan: &Plan) -> PlanNode {
        let mut node = leaf("Function Scan", plan.rows * (ROW + OPERATION));
        node.target = self.plain_target(plan, None);
        let Some(Origin { names, entry: Some(entry) }) = &plan.origin else { return node };
        let Some(RteKind::Functions { calls, .. }) =
            names.query.range_table.get(*entry).map(|entry| &entry.kind)
        else {
            return node;
        };
        if let ([(Expr::Call(call), _)], Some(target)) = (calls.as_slice(), &mut node.target)
            && let Some(row) = call.row()
        {
            target.object = Some(("Function Name", row.name.to_string()));
            let catalog = self.request.deparser.names.catalog;
            target.schema = match catalog.user_function(call.function) {
                Some(function) => self.schema(function.schema),
                None => self.request.verbose.then(|| "pg_catalog".to_owned()),
            };
        }
        if self.request.verbose {
            let style = self.upper(&[]);
            let shown = calls.iter().map(|(call, _)| names.text(call, style, self.request));
            let shown: Option<Vec<String>> = shown.collect();
            node.text("Function Call", shown.map(|calls| calls.join(", ")));
        }
        node
    }

    pub(super) fn sort_keys(&self, sort: &SortPlan) -> Option<Vec<String>> {
        let keys = sort.described.iter().zip(&sort.keys).map(|(described, key)| {
            let mut text =
                enclosed(&described.expr, described.text(self.upper(&[]), self.request)?);
            match (key.descending, key.nulls_first) {
                (false, true) => text.push_str(" NULLS FIRST"),
                (true, false) => text.push_str(" DESC NULLS LAST"),
                (true, true) => text.push_str(" DESC"),
                (false, false) => {}
            }
            Some(text)
        });
        keys.collect()
    }

    pub(super) fn aggregate(&self, aggregate: &AggregatePlan) -> PlanNode {
        let mut node = PlanNode::new("Aggregate");
        let grouped = !aggregate.groups.is_empty();
        let has_empty = aggregate.sets.iter().any(Vec::is_empty);
        let (title, strategy) = match (grouped, has_empty) {
            (false, _) => ("Aggregate", "Plain"),
            (true, false) => ("HashAggregate", "Hashed"),
            (true, true) => ("MixedAggregate", "Mixed"),
        };
        node.title = title.to_owned();
        node.manner = vec![("Strategy", strategy), ("Partial Mode", "Simple")];
        if !grouped {
            return node;
        }
        let keys = aggregate.described.iter().map(|key| key.text(self.upper(&[]), self.request));
        let Some(keys) = keys.collect::<Option<Vec<String>>>() else { return node };
        if let [_] = aggregate.sets.as_slice() {
            node.list("Group Key", Some(keys));
            return node;
        }
        let value = Value::List(keys.clone());
        node.properties.push(Property { name: "Group Key", value, shown: Shown::NotInText });
        for set in &aggregate.sets {
            let names: Vec<String> = set.iter().filter_map(|at| keys.get(*at).cloned()).collect();
            let (name, text) = match names.as_slice() {
                [] => ("Group Key", "()".to_owned()),
                names => ("Hash Key", names.join(", ")),
            };
            let value = Value::Text(text);
            node.properties.push(Property { name, value, shown: Shown::InText });
        }
        node
    }

    /// The columns that a plan gives; none where one of them has no name.
    pub(super) fn output(&self, plan: &Plan, subqueries: &[String]) -> Option<Vec<String>> {
        let style = Style { prefix: self.several, ..self.upper(subqueries) };
        self.columns(plan, style).map(texts)
    }

    pub(super) fn columns(&self, plan: &Plan, style: Style<'_>) -> Option<Vec<Shape>> {
        match &plan.kind {
            PlanKind::Project(input, exprs) => {
                if let Some(Origin { names, entry: None }) = &plan.origin
                    && names.query.targets.len() == exprs.len()
                {
                    return self.targets(names, style);
                }
                let below = self.columns(input, style)?;
                let picked = exprs.iter().map(|scalar| match scalar.node {
                    Vectorized::Column(at) => below.get(at).cloned(),
                    _ => None,
                });
                picked.collect()
            }
            PlanKind::Filter(input, ..) => self.columns(input, style),
            PlanKind::Sort(sort) => self.passed(&sort.input, style),
            PlanKind::Limit(limit) => self.passed(&limit.input, style),
            PlanKind::Distinct(distinct) => {
                self.columns(&distinct.input, Style { subqueries: &[], ..style })
            }
            PlanKind::OneTime(gate) => self.passed(&gate.input, style),
            PlanKind::Scan(scan) => self.columns_of(scan, style),
            PlanKind::Append(left, _) => self.passed(left, style),
            PlanKind::Join(join) => {
                let mut columns = self.passed(&join.left, style)?;
                if !matches!(join.kind, JoinType::Semi | JoinType::Anti) {
                    columns.extend(self.passed(&join.right, style)?);
                }
                Some(columns)
            }
            PlanKind::Lookup(lookup) => {
                let mut columns = self.passed(&lookup.outer, style)?;
                if !matches!(lookup.kind, JoinType::Semi | JoinType::Anti) {
                    columns.extend(self.columns_of(&lookup.inner, style)?);
                }
                Some(columns)
            }
            PlanKind::Lateral(lateral) => {
                let mut columns = self.passed(&lateral.left, style)?;
                columns.extend(self.passed(&lateral.part.plan, style)?);
                Some(columns)
            }
            _ => {
                let Origin { names, entry } = plan.origin.as_ref()?;
                let entry_number = (*entry)?;
                let entry = names.query.range_table.get(entry_number)?;
                let numbers: Vec<i16> = match &plan.kind {
                    PlanKind::System { columns, .. } => {
                        let numbers = columns.iter().map(|at| i16::try_from(at + 1));
                        numbers.collect::<Result<_, _>>().ok()?
                    }
                    _ => (1..).take(entry.columns.len()).collect(),
                };
                let columns = numbers.into_iter().map(|column| {
                    let ty = entry.columns.get(usize::try_from(column - 1).ok()?)?.ty;
                    let expr = Expr::Column { entry: entry_number, column, levels_up: 0, ty };
                    Some((names.text(&expr, style, self.request)?, true))
                });
                columns.collect()
            }
        }
    }

    /// The columns of a node below, as the node above names them.
    fn passed(&self, plan: &Plan, style: Style<'_>) -> Option<Vec<Shape>> {
        let columns = self.columns(plan, Style { subqueries: &[], ..style })?;
        let enclosed = columns
            .into_iter()
            .map(|(text, is_column)| (if is_column { text } else { format!("({text})") }, true));
        Some(enclosed.collect())
    }

    fn targets(&self, names: &Names, style: Style<'_>) -> Option<Vec<Shape>> {
        let mut left = style.subqueries;
        let mut columns = Vec::new();
        for target in &names.query.targets {
            let expr = &target.expr;
            // What only the statement around reads, such as the key of a row to change.
            if target.hidden && matches!(expr, Expr::Column { column: ..0, .. }) {
                continue;
            }
            let text = names.text(expr, Style { subqueries: left, ..style }, self.request)?;
            let taken = super::text::subqueries(expr).min(left.len());
            left = &left[taken..];
            columns.push((text, matches!(expr, Expr::Column { .. })));
        }
        Some(columns)
    }

    /// The columns that a scan reads.
    pub(super) fn columns_of(&self, scan: &ScanPlan, style: Style<'_>) -> Option<Vec<Shape>> {
        let columns = scan.columns.iter().filter(|column| **column >= 0).map(|column| {
            let ty = scan.relation.column(*column).map(|column| column.ty);
            let ty = ty.unwrap_or(aegis_types::TypeRef::plain(scan.relation.row_type));
            let (entry, column) = (scan.entry, *column);
            let expr = Expr::Column { entry, column, levels_up: 0, ty };
            Some((scan.names.text(&expr, style, self.request)?, true))
        });
        columns.collect()
    }
}

/// A key that a node below computes stands in parentheses.
fn enclosed(expr: &Expr, text: String) -> String {
    match expr {
        Expr::Column { .. } | Expr::Const { .. } => text,
        _ => format!("({text})"),
    }
}
