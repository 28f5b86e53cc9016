//! Which part of the rows conditions leave, how many groups there are, and how many pairs a join
//! makes: by what ANALYZE has found in the columns, where it has.
//!
//! Values are looked at where they are known when the plan is made; those of parameters too. Which of
//! them mattered is noted, so that a kept plan is made again for values that are quite others.

use std::collections::BTreeMap;

use aegis_catalog::Relation;
use aegis_sql::ast::BoolTestType;
use aegis_sql::bound::{Call, CallForm, Distinct, Expr, Query, RteKind};
use aegis_sql::evaluate::Program;
use aegis_types::builtin::builtins;
use aegis_types::{Datum, type_oid};

use super::Builder;
use super::access::mirrored;
use crate::compile::{compared, strip};
use crate::known::{
    COMPARED, DISTINCT, EQUAL, Known, Matching, Part, RANGE, equal_any, equal_pairs,
};
use crate::rewrite::{entries_of, fingerprint, is_volatile};
use crate::scalar::Comparison;

/// What a condition leaves that nobody can look into.
const UNKNOWN: f64 = 0.5;
/// What a function of type bool leaves.
const CALLED: f64 = 1.0 / 3.0;
/// What a pattern leaves in a column that nothing is known of.
const MATCHED: f64 = 0.005;
/// What containment leaves.
const CONTAINED: f64 = 0.01;
/// Elements of an array that is not known.
const ELEMENTS: usize = 10;
/// So many elements are looked at.
const ELEMENTS_MAX: usize = 1000;
/// Queries in FROM that are looked through for a column.
const QUERIES_MAX: usize = 8;
/// Values that deviate by this much want another plan.
const DEVIATION: f64 = 8.0;

/// An estimate that hangs on a parameter's value.
pub(crate) struct Peek {
    /// Its number less one.
    parameter: usize,
    known: Known,
    op: Comparison,
    part: f64,
}

impl Peek {
    /// Whether a plan that was made for another value is good for this one.
    pub(crate) fn holds_for(&self, parameters: &[Datum]) -> bool {
        let Some(value) = parameters.get(self.parameter) else { return true };
        let part = self.known.compared(self.op, Some(value)).part;
        let least = 1.0 / self.known.rows.max(1.0);
        let (part, planned) = (part.max(least), self.part.max(least));
        part <= planned * DEVIATION && planned <= part * DEVIATION
    }
}

/// Both ends of a range of a column.
#[derive(Default)]
struct Range {
    low: Option<Part>,
    high: Option<Part>,
    null_fraction: f64,
}

impl Range {
    fn part(&self) -> f64 {
        match (self.low, self.high) {
            (Some(low), Some(high)) if low.is_default || high.is_default => RANGE,
            (Some(low), Some(high)) => {
                let part = low.part + high.part - 1.0 + self.null_fraction;
                if part > 0.0 {
                    part
                } else if part < -0.01 {
                    RANGE
                } else {
                    1e-10
                }
            }
            (Some(one), None) | (None, Some(one)) => one.part,
            (None, None) => 1.0,
        }
    }
}

fn least(one: Option<Part>, other: Part) -> Part {
    one.filter(|one| one.part <= other.part).unwrap_or(other)
}

impl Builder {
    /// Which part of the rows of an entry conditions leave, whatever the rows of the others are; or,
    /// without one, of the combinations of rows.
    pub(super) fn passing<'q>(
        &mut self,
        filters: impl IntoIterator<Item = &'q Expr>,
        of: Option<usize>,
    ) -> f64 {
        let mut ranges: BTreeMap<String, Range> = BTreeMap::new();
        let mut product = 1.0;
        for filter in filters {
            match self.end_of_range(filter, of) {
                Some((column, is_low, part, null_fraction)) => {
                    let range = ranges.entry(column).or_default();
                    range.null_fraction = null_fraction;
                    let end = if is_low { &mut range.low } else { &mut range.high };
                    *end = Some(least(*end, part));
                }
                None => product *= self.passes(filter, of),
            }
        }
        product *= ranges.values().map(Range::part).product::<f64>();
        product.clamp(1e-10, 1.0)
    }

    /// A condition that is one end of a range: of what, whether the lower one, and what it leaves.
    fn end_of_range(
        &mut self,
        filter: &Expr,
        of: Option<usize>,
    ) -> Option<(String, bool, Part, f64)> {
        let Expr::Call(call) = filter else { return None };
        let op = comparison_of(call)?;
        if matches!(op, Comparison::Equal | Comparison::NotEqual) {
            return None;
        }
        let (side, other, op) = self.sides(call, op, of)?;
        let known = self.known_of(side, of)?;
        let part = self.compared(&known, op, other);
        let is_low = matches!(op, Comparison::Greater | Comparison::GreaterEqual);
        Some((fingerprint(side), is_low, part, known.null_fraction()))
    }

    /// The side of a comparison that varies, the other if that does not, and the comparison from the
    /// one to the other.
    fn sides<'c>(
        &self,
        call: &'c Call,
        op: Comparison,
        of: Option<usize>,
    ) -> Option<(&'c Expr, &'c Expr, Comparison)> {
        let [left, right] = call.args.as_slice() else { return None };
        match (varies(left, of), varies(right, of)) {
            (true, false) => Some((left, right, op)),
            (false, true) => Some((right, left, mirrored(op))),
            _ => None,
        }
    }

    /// What a comparison with an expression leaves.
    fn compared(&mut self, known: &Known, op: Comparison, value: &Expr) -> Part {
        let found = self.value(value);
        let part = known.compared(op, found.as_ref());
        if let (Expr::Param { number, .. }, Some(_)) = (strip(value), &found) {
            let matters = match op {
                Comparison::Equal | Comparison::NotEqual => known.is_skewed(),
                _ => !part.is_default,
            };
            let parameter = number.saturating_sub(1);
            let is_noted =
                self.peeks.iter().any(|peek| peek.parameter == parameter && peek.op == op);
            if matters && !is_noted {
                let known = known.clone();
                self.peeks.push(Peek { parameter, known, op, part: part.part });
            }
        }
        part
    }

    /// The value of an expression that is the same for all rows, if it can be told now.
    fn value(&self, expr: &Expr) -> Option<Datum> {
        let context = self.context.as_ref()?;
        match strip(expr) {
            Expr::Const { value, .. } => Some(value.clone()),
            Expr::Param { number, .. } => context.parameters.get(number.checked_sub(1)?).cloned(),
            Expr::Column { .. } | Expr::Slot { .. } | Expr::Subquery(_) => None,
            other => {
                let is_told = !is_volatile(other) && !has_unknown(other, context.parameters.len());
                let program = is_told.then(|| Program::compile_slots(other).ok())??;
                program.evaluate(&[], &context.evaluation()).ok()
            }
        }
    }

    fn passes(&mut self, filter: &Expr, of: Option<usize>) -> f64 {
        match filter {
            Expr::Const { value: Datum::Bool(true), .. } => 1.0,
            Expr::Const { .. } => 0.0,
            Expr::Call(call) => self.call_passes(filter, call, of),
            Expr::And(args) => self.passing(args, of),
            Expr::Or(args) => args.iter().fold(0.0, |sum, arg| {
                let part = self.passes_alone(arg, of);
                sum + part - sum * part
            }),
            Expr::Not(arg) => match &**arg {
                Expr::Call(call) if comparison_of(call) == Some(Comparison::Equal) => {
                    self.comparison_passes(call, Comparison::NotEqual, of)
                }
                arg => 1.0 - self.passes_alone(arg, of),
            },
            Expr::IsNull { arg, negated } => {
                let nulls = match self.known_of(arg, of) {
                    Some(known) if known.statistics.is_some() => known.null_fraction(),
                    _ => EQUAL,
                };
                if *negated { 1.0 - nulls } else { nulls }
            }
            Expr::BooleanTest { arg, test } => self.boolean(arg, *test, of),
            Expr::Distinct { equal, negated } => {
                let part = self.call_passes(filter, equal, of);
                if *negated { part } else { 1.0 - part }
            }
            Expr::ArrayComparison { operator, array, all } => {
                self.array_passes(operator, array, *all, of)
            }
            other => match self.known_of(other, of) {
                Some(known) if known.base == type_oid::BOOL => {
                    known.equal(Some(&Datum::Bool(true)))
                }
                _ => UNKNOWN,
            },
        }
    }

    /// Likewise a condition that may be one end of a range.
    fn passes_alone(&mut self, filter: &Expr, of: Option<usize>) -> f64 {
        self.passing(std::iter::once(filter), of)
    }

    fn boolean(&mut self, arg: &Expr, test: BoolTestType, of: Option<usize>) -> f64 {
        let known = self.known_of(arg, of).filter(|known| known.statistics.is_some());
        let (yes, null) = match &known {
            Some(known) => (known.equal(Some(&Datum::Bool(true))), known.null_fraction()),
            None => (self.passes_alone(arg, of), EQUAL),
        };
        let no = (1.0 - yes - null).max(0.0);
        match test {
            BoolTestType::IsTrue => yes,
            BoolTestType::IsNotTrue => 1.0 - yes,
            BoolTestType::IsFalse => no,
            BoolTestType::IsNotFalse => 1.0 - no,
            BoolTestType::IsUnknown => null,
            BoolTestType::IsNotUnknown => 1.0 - null,
        }
    }

    fn call_passes(&mut self, filter: &Expr, call: &Call, of: Option<usize>) -> f64 {
        let CallForm::Operator(operator) = call.form else { return CALLED };
        let name = builtins().operator(operator).map_or("", |row| row.name);
        if let Some(op) = comparison_of(call) {
            return self.comparison_passes(call, op, of);
        }
        if let Some(matching) = Matching::named(name) {
            return self.matched(filter, call, matching, of);
        }
        match name {
            "@>" | "<@" | "&&" | "?" | "?|" | "?&" | "@?" | "@@" => CONTAINED,
            _ => UNKNOWN,
        }
    }

    /// The sides of a call, compared so.
    fn comparison_passes(&mut self, call: &Call, op: Comparison, of: Option<usize>) -> f64 {
        match self.sides(call, op, of) {
            Some((side, other, op)) => {
                let known = self.known_of(side, of).unwrap_or_else(|| self.unknown(side));
                self.compared(&known, op, other).part
            }
            None => self.pair_passes(call, op, of),
        }
    }

    /// A comparison both of whose sides vary.
    fn pair_passes(&mut self, call: &Call, op: Comparison, of: Option<usize>) -> f64 {
        let [left, right] = call.args.as_slice() else { return UNKNOWN };
        let equal = match op {
            Comparison::Equal | Comparison::NotEqual => {
                let (one, other) = (self.known_of(left, of), self.known_of(right, of));
                let one = one.unwrap_or_else(|| self.unknown(left));
                let other = other.unwrap_or_else(|| self.unknown(right));
                if entries_of(left) == entries_of(right) {
                    one.equal(None).min(other.equal(None))
                } else {
                    equal_pairs(&one, &other)
                }
            }
            _ => return COMPARED,
        };
        if op == Comparison::Equal { equal } else { 1.0 - equal }
    }

    /// A comparison with the elements of an array.
    fn array_passes(&mut self, operator: &Call, array: &Expr, all: bool, of: Option<usize>) -> f64 {
        let (Some(op), [left, _]) = (comparison_of(operator), operator.args.as_slice()) else {
            return if all { UNKNOWN } else { EQUAL * ELEMENTS as f64 };
        };
        let known = self.known_of(left, of).unwrap_or_else(|| self.unknown(left));
        let (parts, count): (Vec<f64>, usize) = match self.value(array) {
            Some(Datum::Array(array)) => {
                let looked = array.elements.iter().take(ELEMENTS_MAX);
                let parts = looked.map(|element| known.compared(op, Some(element)).part).collect();
                (parts, array.elements.len())
            }
            Some(Datum::Null) => return 0.0,
            _ => (vec![known.compared(op, None).part; ELEMENTS], ELEMENTS),
        };
        let scale = count as f64 / parts.len().max(1) as f64;
        let (exclusive, independent) = if all {
            let exclusive = 1.0 + parts.iter().map(|part| part - 1.0).sum::<f64>() * scale;
            (exclusive, parts.iter().product::<f64>())
        } else {
            let independent = 1.0 - parts.iter().map(|part| 1.0 - part).product::<f64>();
            (parts.iter().sum::<f64>() * scale, independent)
        };
        // Different values exclude each other; where that cannot be, they are taken to be independent.
        let excludes = if all { op == Comparison::NotEqual } else { op == Comparison::Equal };
        let part =
            if excludes && (0.0..=1.0).contains(&exclusive) { exclusive } else { independent };
        part.clamp(0.0, 1.0)
    }

    /// LIKE and its kin.
    fn matched(
        &mut self,
        filter: &Expr,
        call: &Call,
        matching: Matching,
        of: Option<usize>,
    ) -> f64 {
        let unknown = if matching.negated { 1.0 - MATCHED } else { MATCHED };
        let [side, pattern] = call.args.as_slice() else { return unknown };
        let (Some(known), Some(Datum::Text(pattern))) =
            (self.known_of(side, of), self.value(pattern))
        else {
            return unknown;
        };
        let (Some(context), Expr::Column { .. }) = (&self.context, strip(side)) else {
            return unknown;
        };
        let Ok(program) = Program::compile(filter, &mut |_, _, _| Ok(0)) else { return unknown };
        let evaluation = context.evaluation();
        let test = |value: &Datum| {
            matches!(
                program.evaluate(std::slice::from_ref(value), &evaluation),
                Ok(Datum::Bool(true))
            )
        };
        known.matched(matching, &pattern, &test).part
    }

    /// What is known of the column, or of the expression of an index, that an expression is.
    fn known_of(&mut self, expr: &Expr, of: Option<usize>) -> Option<Known> {
        let query = self.names.last()?.query.clone();
        if let Expr::Column { entry, column, levels_up: 0, .. } = strip(expr) {
            if of.is_some_and(|of| of != *entry) {
                return None;
            }
            return self.known_column(&query, *entry, *column, 0);
        }
        let entries = entries_of(expr);
        let mut entries = entries.into_iter();
        let (Some(entry), None) = (entries.next(), entries.next()) else { return None };
        let RteKind::Relation(relation) = &query.range_table.get(entry)?.kind else { return None };
        let (index, column, is_unique) = self.indexed(relation).statistics_of(entry, expr)?;
        let statistics = self.catalog.statistics(index, column)?;
        let statistics = (statistics.ty.oid == expr.ty().oid).then(|| statistics.clone())?;
        let rows = self.table_rows(relation);
        let base = self.catalog.base_type(statistics.ty).oid;
        Some(Known { statistics: Some(statistics), rows, is_unique, base })
    }

    fn known_column(
        &mut self,
        query: &Query,
        entry: usize,
        column: i16,
        queries: usize,
    ) -> Option<Known> {
        match &query.range_table.get(entry)?.kind {
            RteKind::Relation(relation) => {
                let found = relation.column(column)?;
                let base = self.catalog.base_type(found.ty).oid;
                let statistics = self.catalog.statistics(relation.oid, column).cloned();
                let is_unique = self.is_unique(relation, column);
                let rows = self.table_rows(relation);
                Some(Known { statistics, rows, is_unique, base })
            }
            RteKind::Subquery(inner) if queries < QUERIES_MAX => {
                let is_plain = !inner.grouped
                    && inner.set_operation.is_none()
                    && matches!(inner.distinct, Distinct::No)
                    && !inner.has_set_functions;
                let at = usize::try_from(column).ok()?.checked_sub(1)?;
                let target = inner.visible_targets().nth(at).filter(|_| is_plain)?;
                let Expr::Column { entry, column, levels_up: 0, .. } = strip(&target.expr) else {
                    return None;
                };
                self.known_column(inner, *entry, *column, queries + 1)
            }
            _ => None,
        }
    }

    /// Whether a column alone is a key.
    fn is_unique(&self, relation: &Relation, column: i16) -> bool {
        let Some(table) = relation.as_table() else { return false };
        let indexes = table.indexes.iter().filter_map(|oid| self.catalog.relation(*oid));
        let mut indexes = indexes.filter_map(|index| index.as_index());
        table.row_key == [column]
            || indexes.any(|index| {
                let is_whole = index.unique && index.valid && index.predicate.is_none();
                is_whole && matches!(index.keys.as_slice(), [key] if key.column == column)
            })
    }

    /// What is known of an expression that is no column: how many rows there are.
    fn unknown(&mut self, expr: &Expr) -> Known {
        let query = self.names.last().map(|names| names.query.clone());
        let mut rows = f64::INFINITY;
        for entry in entries_of(expr) {
            let found = query.as_ref().and_then(|query| query.range_table.get(entry));
            if let Some(RteKind::Relation(relation)) = found.map(|found| &found.kind) {
                rows = rows.min(self.table_rows(relation));
            }
        }
        let rows = if rows.is_finite() { rows } else { DISTINCT };
        let base = expr.ty().oid;
        Known { statistics: None, rows, is_unique: false, base }
    }

    /// Which part of the rows on the left has a match among so many on the right.
    pub(super) fn matching(&mut self, conditions: &[Expr], right: usize, right_rows: f64) -> f64 {
        let mut product = 1.0;
        for condition in conditions {
            product *= match condition {
                Expr::Call(call) if comparison_of(call) == Some(Comparison::Equal) => {
                    let [one, other] = call.args.as_slice() else { continue };
                    let turned = entries_of(one).contains(&right);
                    let (left, right) = if turned { (other, one) } else { (one, other) };
                    let left = self.known_of(left, None).unwrap_or_else(|| self.unknown(left));
                    let right = self.known_of(right, None).unwrap_or_else(|| self.unknown(right));
                    equal_any(&left, &right, right_rows)
                }
                other => self.passes_alone(other, None),
            };
        }
        product.clamp(1e-10, 1.0)
    }

    /// How many different rows expressions have among so many.
    pub(super) fn groups(&mut self, exprs: &[Expr], rows: f64) -> f64 {
        // By entry: what is known of its columns, each once.
        let mut columns: BTreeMap<usize, BTreeMap<String, Known>> = BTreeMap::new();
        let mut product = 1.0;
        let mut wanted: Vec<&Expr> = exprs.iter().collect();
        while let Some(expr) = wanted.pop() {
            if is_volatile(expr) {
                return rows;
            }
            let entries = entries_of(expr);
            let is_column = matches!(strip(expr), Expr::Column { .. });
            if entries.is_empty() {
                continue;
            }
            if expr.ty().oid == type_oid::BOOL && !is_column {
                product *= 2.0;
                continue;
            }
            let known = self.known_of(expr, None);
            match known.or_else(|| is_column.then(|| self.unknown(expr))) {
                Some(known) => {
                    let entry = entries.first().copied().unwrap_or_default();
                    columns.entry(entry).or_default().insert(fingerprint(strip(expr)), known);
                }
                // What a computed value has is taken to be what its columns have.
                None => match expr {
                    Expr::Subquery(_) => product *= DISTINCT,
                    other => {
                        let before = wanted.len();
                        let mut children: Vec<&Expr> = Vec::new();
                        children_of(other, &mut children);
                        wanted.extend(children);
                        if wanted.len() == before {
                            product *= DISTINCT;
                        }
                    }
                },
            }
        }
        for (entry, columns) in columns {
            product *= self.combined(entry, columns.into_values().collect());
        }
        product.ceil().clamp(1.0, rows.max(1.0))
    }

    /// How many different combinations columns of one entry have among the rows that are left of it.
    fn combined(&self, entry: usize, columns: Vec<Known>) -> f64 {
        let total = columns.iter().map(|known| known.rows).fold(1.0, f64::max);
        let counts: Vec<f64> = columns.iter().map(|known| known.distinct().0).collect();
        let most = counts.iter().copied().fold(1.0, f64::max);
        let limit = if counts.len() > 1 { (total * 0.1).max(most).min(total) } else { total };
        let distinct = counts.iter().product::<f64>().min(limit).max(1.0);
        let left = self.left.last().and_then(|left| left.get(&entry)).copied();
        match left {
            // The chance of a value to be among the rows drawn.
            Some(left) if left < total => {
                let missed = ((total - left) / total).powf(total / distinct);
                (distinct * (1.0 - missed)).max(1.0)
            }
            _ => distinct,
        }
    }
}

fn children_of<'e>(expr: &'e Expr, out: &mut Vec<&'e Expr>) {
    match expr {
        Expr::Call(call) => out.extend(&call.args),
        Expr::ConvertViaText { arg, .. }
        | Expr::Relabel { arg, .. }
        | Expr::Collate { arg, .. }
        | Expr::ConvertArray { arg, .. } => out.push(arg),
        Expr::Coalesce { args, .. } | Expr::MinMax { args, .. } => out.extend(args),
        Expr::Case { operand, branches, default, .. } => {
            out.extend(operand.as_deref());
            out.extend(branches.iter().flat_map(|(condition, result)| [condition, result]));
            out.extend(default.as_deref());
        }
        _ => {}
    }
}

/// Whether an expression names a parameter that has no value, or something around its query.
fn has_unknown(expr: &Expr, parameters: usize) -> bool {
    let mut found = match expr {
        Expr::Param { number, .. } => *number > parameters,
        Expr::Column { .. } | Expr::Slot { .. } | Expr::Subquery(_) | Expr::NextValue { .. } => {
            true
        }
        _ => false,
    };
    expr.for_each_child(&mut |child| found |= has_unknown(child, parameters));
    found
}

/// Whether an expression differs from row to row of an entry, or of any.
fn varies(expr: &Expr, of: Option<usize>) -> bool {
    let entries = entries_of(expr);
    of.map_or(!entries.is_empty(), |of| entries.contains(&of))
}

/// The comparison that a condition is named as.
fn comparison_of(call: &Call) -> Option<Comparison> {
    compared(call).filter(|(_, row, ..)| row.result == type_oid::BOOL).map(|(op, ..)| op)
}
