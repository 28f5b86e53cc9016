//! Expressions of plans, as `EXPLAIN` shows them: a column of a subquery is what the subquery computes,
//! a subquery is the part of the plan that runs it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use aegis_types::{Array, Datum, SqlResult, TypeRef, io};

use super::buffer::Printer;
use super::constant::Label;
use super::{Deparser, unprintable};
use crate::bound::{Expr, Query, RteKind, SET_OPERATION, SetOperation};

/// What the entries of queries are called, each a name of its own in the whole plan.
#[derive(Clone, Debug, Default)]
pub struct PlanAliases {
    names: HashMap<(usize, usize), String>,
    taken: HashSet<String>,
    /// For each name the number that was tried last.
    last: HashMap<String, u32>,
}

impl PlanAliases {
    /// Names an entry of a query, with a number behind the name if that is taken. A query is known by
    /// where it lies.
    pub fn name(&mut self, query: &Query, entry: usize, wanted: &str) {
        let key = (address(query), entry);
        if self.names.contains_key(&key) {
            return;
        }
        let mut name = wanted.to_owned();
        while !self.taken.insert(name.clone()) {
            let last = self.last.entry(wanted.to_owned()).or_default();
            *last += 1;
            name = format!("{wanted}_{last}");
        }
        self.names.insert(key, name);
    }

    /// What an entry of a query is called, if it was named.
    #[must_use]
    pub fn of(&self, query: &Query, entry: usize) -> Option<&str> {
        self.names.get(&(address(query), entry)).map(String::as_str)
    }
}

/// How an expression of a plan is printed.
#[derive(Clone, Copy, Debug)]
pub struct PlanText<'s> {
    /// Whether columns are printed with what they are of.
    pub prefix: bool,
    /// The entry, and its query, whose columns stand alone unless there is a prefix, while all others
    /// have one.
    pub own: Option<(&'s Query, usize)>,
    /// What the subqueries in the expression are called, in order.
    pub subqueries: &'s [String],
    /// What the entries are called.
    pub aliases: &'s PlanAliases,
    /// The values of parameters; those without one are printed as parameters.
    pub parameters: &'s [Datum],
}

/// The same while it is printed.
pub(super) struct PlanPrint<'a> {
    text: PlanText<'a>,
    /// How many subqueries were printed.
    printed: usize,
}

impl Deparser<'_> {
    /// An expression of the last of these queries, each of which stands in the one before.
    ///
    /// # Errors
    /// 0A000 for what cannot be printed.
    pub fn plan_expression(
        &self,
        expr: &Expr,
        queries: &[&Query],
        text: PlanText<'_>,
    ) -> SqlResult<String> {
        let mut printer = Printer::new(self);
        printer.plan = Some(PlanPrint { text, printed: 0 });
        printer.one_line = true;
        for query in queries {
            printer.push_query(query);
        }
        printer.expression(expr, false)?;
        Ok(printer.finish())
    }
}

impl<'a> Printer<'a> {
    /// Prints a column in a plan, if this is a plan and the column is not its own entry's.
    pub(super) fn plan_column(
        &mut self,
        entry: usize,
        number: i16,
        levels_up: usize,
    ) -> SqlResult<bool> {
        if self.plan.is_none() {
            return Ok(false);
        }
        let at = self.levels.len().checked_sub(levels_up + 1);
        let Some((at, query)) = at.and_then(|at| Some((at, self.levels.get(at)?.query?))) else {
            return Ok(false);
        };
        let entry = if entry == SET_OPERATION { leftmost(query) } else { Some(entry) };
        let kind = entry.and_then(|entry| Some(&query.range_table.get(entry)?.kind));
        let Some(RteKind::Subquery(inner)) = kind else { return Ok(false) };
        if inner.set_operation.is_some() && levels_up == 0 && query.set_operation.is_none() {
            return Ok(false);
        }
        if !inner.row_marks.is_empty() && levels_up == 0 {
            // It has a node of its own.
            return Ok(false);
        }
        let place = usize::try_from(number - 1).unwrap_or(usize::MAX);
        let Some(target) = inner.visible_targets().nth(place) else { return Ok(false) };
        let around = self.levels.split_off(at + 1);
        self.push_query(inner);
        let printed = self.expression(&target.expr, false);
        self.levels.truncate(at + 1);
        self.levels.extend(around);
        printed.map(|()| true)
    }

    /// Whether a column is printed with what it is of.
    pub(super) fn has_prefix(&self, entry: usize, levels_up: usize) -> SqlResult<bool> {
        let level = self.level(levels_up)?;
        let Some(plan) = &self.plan else { return Ok(level.prefix) };
        let is_own = |(own, of): (&Query, usize)| {
            level.query.is_some_and(|query| std::ptr::eq(query, own)) && entry == of
        };
        Ok(plan.text.prefix || !plan.text.own.is_none_or(is_own))
    }

    /// Prints what stands for a subquery in a plan.
    pub(super) fn plan_subquery(&mut self) -> SqlResult<bool> {
        let Some(plan) = &mut self.plan else { return Ok(false) };
        let text = plan.text.subqueries.get(plan.printed);
        let text = text.ok_or_else(|| unprintable("a subquery without a plan"))?;
        plan.printed += 1;
        self.text.push_str(text);
        Ok(true)
    }

    /// What an entry is called in the plan.
    pub(super) fn plan_alias(&self, query: &Query, entry: usize) -> Option<String> {
        let plan = self.plan.as_ref()?;
        let name = plan.text.aliases.of(query, entry);
        Some(name.map_or_else(|| query.range_table[entry].alias.clone(), str::to_owned))
    }

    /// Prints an array of constants as the constant that it is in a plan.
    pub(super) fn constant_array(&mut self, elements: &[Expr], ty: TypeRef) -> SqlResult<bool> {
        let values = elements.iter().map(|element| match element {
            Expr::Const { value, .. } => Some(value.clone()),
            _ => None,
        });
        let values: Option<Vec<Datum>> = if self.plan.is_some() { values.collect() } else { None };
        let (Some(values), Some(element)) = (values, io::element_type(ty.oid)) else {
            return Ok(false);
        };
        let array = Array::one_dimensional(element, values);
        self.constant(&Datum::Array(Arc::new(array)), ty, Label::Needed)?;
        Ok(true)
    }

    /// Prints a parameter of a plan.
    pub(super) fn plan_parameter(&mut self, number: usize, ty: TypeRef) -> SqlResult<()> {
        let plan = self.plan.as_ref().ok_or_else(|| unprintable("a parameter"))?;
        let parameters: &'a [Datum] = plan.text.parameters;
        match number.checked_sub(1).and_then(|at| parameters.get(at)) {
            Some(value) => self.constant(value, ty, Label::Needed)?,
            None => self.put(&format!("${number}")),
        }
        Ok(())
    }
}

/// The first leaf of a set operation, whose columns name the operation's.
fn leftmost(query: &Query) -> Option<usize> {
    let mut operation = query.set_operation.as_ref()?;
    loop {
        match operation {
            SetOperation::Leaf(entry) => return Some(*entry),
            SetOperation::Node { left, .. } => operation = left,
        }
    }
}

fn address(query: &Query) -> usize {
    std::ptr::from_ref(query) as usize
}
