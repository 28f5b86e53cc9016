//! `GROUP BY`: expressions, output columns, and grouping sets expanded to plain ones.

use aegis_types::{SqlError, SqlResult, SqlState};

use super::Analyzer;
use super::node::same;
use super::scope::Clause;
use super::target::TargetItem;
use crate::ast::{Expr as Ast, GroupByItem, GroupingSet, GroupingSetKind};
use crate::bound::Expr;
use crate::bound::written::WrittenGroup;

/// The most grouping sets of a query.
const GROUPING_SETS_MAX: usize = 4096;
/// The most elements of a `CUBE`.
const CUBE_MAX: usize = 12;

impl Analyzer<'_> {
    /// The grouping sets of a query; none without `GROUP BY`.
    pub(super) fn group_clause(
        &mut self,
        items: &[GroupByItem],
        distinct: bool,
        targets: &mut [TargetItem],
    ) -> SqlResult<Vec<Vec<Expr>>> {
        if items.is_empty() {
            return Ok(Vec::new());
        }
        let mut sets: Vec<Vec<Expr>> = vec![Vec::new()];
        let mut written = Vec::with_capacity(items.len());
        for item in items {
            let (alternatives, item) = self.group_item(item, targets)?;
            written.push(item);
            if sets.len().saturating_mul(alternatives.len()) > GROUPING_SETS_MAX {
                return Err(too_many_sets());
            }
            let mut product = Vec::with_capacity(sets.len() * alternatives.len());
            for set in &sets {
                for alternative in &alternatives {
                    let mut joined = set.clone();
                    for expr in alternative {
                        if !joined.iter().any(|other| same(other, expr)) {
                            joined.push(expr.clone());
                        }
                    }
                    product.push(joined);
                }
            }
            sets = product;
        }
        let plain = |item: &WrittenGroup| matches!(item, WrittenGroup::Expressions(list) if !list.is_empty());
        if !written.iter().all(plain) {
            self.scope().written.group_by = written;
        }
        if distinct {
            let mut unique: Vec<Vec<Expr>> = Vec::with_capacity(sets.len());
            for set in sets {
                let twin = |other: &Vec<Expr>| {
                    other.len() == set.len() && set.iter().all(|a| other.iter().any(|b| same(a, b)))
                };
                if !unique.iter().any(twin) {
                    unique.push(set);
                }
            }
            sets = unique;
        }
        Ok(sets)
    }

    /// The sets that one item of the list stands for.
    fn group_item(
        &mut self,
        item: &GroupByItem,
        targets: &mut [TargetItem],
    ) -> SqlResult<(Vec<Vec<Expr>>, WrittenGroup)> {
        self.deeper(|analyzer| match item {
            GroupByItem::Empty(_) => Ok((vec![Vec::new()], WrittenGroup::Expressions(Vec::new()))),
            GroupByItem::Expr(expr) => {
                let exprs = analyzer.group_exprs(expr, targets)?;
                Ok((vec![exprs.clone()], WrittenGroup::Expressions(exprs)))
            }
            GroupByItem::Set(set) => {
                let (sets, items) = analyzer.grouping_set(set, targets)?;
                Ok((sets, WrittenGroup::Set(set.kind, items)))
            }
        })
    }

    fn grouping_set(
        &mut self,
        set: &GroupingSet,
        targets: &mut [TargetItem],
    ) -> SqlResult<(Vec<Vec<Expr>>, Vec<WrittenGroup>)> {
        let mut parts: Vec<Vec<Vec<Expr>>> = Vec::with_capacity(set.content.len());
        let mut written = Vec::with_capacity(set.content.len());
        for item in &set.content {
            let (sets, item) = self.group_item(item, targets)?;
            parts.push(sets);
            written.push(item);
        }
        if set.kind == GroupingSetKind::Sets {
            let sets: Vec<Vec<Expr>> = parts.into_iter().flatten().collect();
            return if sets.len() > GROUPING_SETS_MAX {
                Err(too_many_sets())
            } else {
                Ok((sets, written))
            };
        }
        let elements: Vec<Vec<Expr>> =
            parts.into_iter().map(|part| part.into_iter().flatten().collect()).collect();
        let joined = |chosen: &mut dyn Iterator<Item = &Vec<Expr>>| -> Vec<Expr> {
            let mut set: Vec<Expr> = Vec::new();
            for expr in chosen.flatten() {
                if !set.iter().any(|other| same(other, expr)) {
                    set.push(expr.clone());
                }
            }
            set
        };
        if set.kind == GroupingSetKind::Rollup {
            let sets = (0..=elements.len()).rev();
            let sets = sets.map(|count| joined(&mut elements[..count].iter())).collect();
            return Ok((sets, written));
        }
        if elements.len() > CUBE_MAX {
            return Err(SqlError::new(
                SqlState::TooManyColumns,
                format!("CUBE is limited to {CUBE_MAX} elements"),
            )
            .at(set.location));
        }
        let mut masks: Vec<u32> = (0..1_u32 << elements.len()).collect();
        masks.sort_by_key(|mask| std::cmp::Reverse(mask.count_ones()));
        let sets = masks
            .into_iter()
            .map(|mask| {
                let chosen = elements.iter().enumerate().filter(|(at, _)| mask & (1 << at) != 0);
                joined(&mut chosen.map(|(_, element)| element))
            })
            .collect();
        Ok((sets, written))
    }

    /// The expressions that one of the list stands for: a row in parentheses is several.
    fn group_exprs(&mut self, expr: &Ast, targets: &mut [TargetItem]) -> SqlResult<Vec<Expr>> {
        if let Ast::Row(row) = expr
            && row.implicit
        {
            let mut exprs = Vec::with_capacity(row.args.len());
            for arg in &row.args {
                exprs.extend(self.group_exprs(arg, targets)?);
            }
            return Ok(exprs);
        }
        let found = self.find_target_sql92(expr, targets, Clause::GroupBy)?;
        let node = match found {
            Some(at) => {
                targets[at].node = self.known_type(targets[at].node.clone())?;
                targets[at].node.clone()
            }
            None => {
                let node = self.expr_in(expr, Clause::GroupBy)?;
                self.known_type(node)?
            }
        };
        self.need_equality(node.oid(), node.at)?;
        Ok(vec![node.expr])
    }
}

fn too_many_sets() -> SqlError {
    SqlError::new(
        SqlState::StatementTooComplex,
        format!("too many grouping sets present (maximum {GROUPING_SETS_MAX})"),
    )
}
