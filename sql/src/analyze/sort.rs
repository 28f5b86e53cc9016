//! `ORDER BY` and `DISTINCT`: by output name, number or expression (PostgreSQL's
//! `findTargetlistEntrySQL92` and its kin).

use aegis_types::{SqlError, SqlResult, SqlState};

use super::Analyzer;
use super::aggregate::{has_aggregate, has_window_call};
use super::function_call::wrong;
use super::node::{Node, same};
use super::scope::Clause;
use super::target::TargetItem;
use crate::ast::{ConstValue, Expr as Ast, SortBy, SortDirection, SortNulls};
use crate::bound::{Distinct, Expr, OrderExpr, SortKey};

impl Analyzer<'_> {
    /// `ORDER BY` of a query. Expressions that are no output columns become hidden ones.
    pub(super) fn sort_clause(
        &mut self,
        sort: &[SortBy],
        targets: &mut Vec<TargetItem>,
    ) -> SqlResult<Vec<SortKey>> {
        let mut keys: Vec<SortKey> = Vec::with_capacity(sort.len());
        for key in sort {
            let target = self.find_target(&key.node, targets, Clause::OrderBy)?;
            targets[target].node = self.known_type(targets[target].node.clone())?;
            let (descending, nulls_first) = direction(key)?;
            let node = &targets[target].node;
            self.need_sortable(node.oid(), node.at)?;
            if keys.iter().all(|other| other.target != target) {
                keys.push(SortKey { target, descending, nulls_first });
            }
        }
        Ok(keys)
    }

    /// Sort keys over expressions that are bound already.
    pub(super) fn sort_nodes(
        &mut self,
        sort: &[SortBy],
        nodes: Vec<Node>,
    ) -> SqlResult<Vec<OrderExpr>> {
        let mut keys: Vec<OrderExpr> = Vec::with_capacity(sort.len());
        for (key, node) in sort.iter().zip(nodes) {
            let node = self.known_type(node)?;
            let (descending, nulls_first) = direction(key)?;
            self.need_sortable(node.oid(), node.at)?;
            keys.push(OrderExpr { expr: node.expr, descending, nulls_first });
        }
        Ok(keys)
    }

    /// The output column that a key of `ORDER BY`, `GROUP BY` or `DISTINCT ON` means, by the rules
    /// of SQL-92 first: a bare name or number is an output column's.
    pub(super) fn find_target(
        &mut self,
        expr: &Ast,
        targets: &mut Vec<TargetItem>,
        clause: Clause,
    ) -> SqlResult<usize> {
        if let Some(found) = self.find_target_sql92(expr, targets, clause)? {
            return Ok(found);
        }
        let node = self.expr_in(expr, clause)?;
        let bare = |expr: &Expr| strip_implicit(expr).clone();
        if let Some(at) =
            targets.iter().position(|target| same(&node.expr, &bare(&target.node.expr)))
        {
            return Ok(at);
        }
        targets.push(TargetItem { node, name: String::new(), hidden: true });
        Ok(targets.len() - 1)
    }

    /// The output column named or numbered by a key, if it is a bare name or number.
    pub(super) fn find_target_sql92(
        &mut self,
        expr: &Ast,
        targets: &[TargetItem],
        clause: Clause,
    ) -> SqlResult<Option<usize>> {
        match expr {
            Ast::ColumnRef(column) if column.names.len() == 1 && !column.star => {
                let (name, at) = (&column.names[0], column.location);
                // In GROUP BY, a column of FROM comes before an output column.
                if clause == Clause::GroupBy && self.is_local_column(name) {
                    return Ok(None);
                }
                let mut found: Option<usize> = None;
                for (number, target) in targets.iter().enumerate() {
                    if target.hidden || target.name != *name {
                        continue;
                    }
                    match found {
                        Some(before) if !same(&targets[before].node.expr, &target.node.expr) => {
                            return Err(SqlError::new(
                                SqlState::AmbiguousColumn,
                                format!("{} \"{name}\" is ambiguous", clause.name()),
                            )
                            .at(at));
                        }
                        Some(_) => {}
                        None => found = Some(number),
                    }
                }
                if let Some(found) = found {
                    check_group_target(&targets[found].node, clause, at)?;
                }
                Ok(found)
            }
            Ast::Const(constant) => {
                let at = constant.location;
                let ConstValue::Integer(position) = constant.value else {
                    return Err(SqlError::new(
                        SqlState::SyntaxError,
                        format!("non-integer constant in {}", clause.name()),
                    )
                    .at(at));
                };
                let visible = targets.iter().enumerate().filter(|(_, target)| !target.hidden);
                let found = usize::try_from(position)
                    .ok()
                    .and_then(|position| position.checked_sub(1))
                    .and_then(|position| visible.map(|(number, _)| number).nth(position));
                let found = found.ok_or_else(|| {
                    SqlError::new(
                        SqlState::InvalidColumnReference,
                        format!("{} position {position} is not in select list", clause.name()),
                    )
                    .at(at)
                })?;
                check_group_target(&targets[found].node, clause, at)?;
                Ok(Some(found))
            }
            _ => Ok(None),
        }
    }

    /// Whether this query's own FROM has a column of this name that can be named alone.
    fn is_local_column(&mut self, name: &str) -> bool {
        let scope = self.scope();
        scope
            .namespace
            .iter()
            .filter(|item| item.columns_visible && !item.lateral_only)
            .any(|item| item.columns.iter().any(|column| column.name == name))
    }

    /// `DISTINCT`: every output column must have equality, and every sort key be one.
    pub(super) fn distinct_all(
        &mut self,
        targets: &mut [TargetItem],
        keys: &[SortKey],
    ) -> SqlResult<Distinct> {
        if let Some(key) = keys.iter().find(|key| targets[key.target].hidden) {
            return Err(SqlError::new(
                SqlState::InvalidColumnReference,
                "for SELECT DISTINCT, ORDER BY expressions must appear in select list",
            )
            .at_opt(targets[key.target].node.at));
        }
        if targets.iter().all(|target| target.hidden) {
            return Err(SqlError::new(
                SqlState::SyntaxError,
                "SELECT DISTINCT must have at least one column",
            ));
        }
        self.resolve_unknowns(targets)?;
        for target in targets.iter().filter(|target| !target.hidden) {
            self.need_equality(target.node.oid(), target.node.at)?;
        }
        Ok(Distinct::All)
    }

    /// `DISTINCT ON`: its expressions are the first ones sorted by, in any order.
    pub(super) fn distinct_on(
        &mut self,
        list: &[Ast],
        targets: &mut Vec<TargetItem>,
        keys: &[SortKey],
    ) -> SqlResult<Distinct> {
        let mut on = Vec::with_capacity(list.len());
        for expr in list {
            let target = self.find_target(expr, targets, Clause::DistinctOn)?;
            if on.iter().all(|(other, _)| *other != target) {
                on.push((target, expr.location()));
            }
        }
        let mismatch = |at: u32| {
            SqlError::new(
                SqlState::InvalidColumnReference,
                "SELECT DISTINCT ON expressions must match initial ORDER BY expressions",
            )
            .at(at)
        };
        let mut ordered = Vec::with_capacity(on.len());
        let mut skipped = false;
        for key in keys {
            if let Some((_, at)) = on.iter().find(|(target, _)| *target == key.target) {
                if skipped {
                    return Err(mismatch(*at));
                }
                ordered.push(key.target);
            } else {
                skipped = true;
            }
        }
        for (target, at) in on {
            if ordered.contains(&target) {
                continue;
            }
            if skipped {
                return Err(mismatch(at));
            }
            targets[target].node = self.known_type(targets[target].node.clone())?;
            self.need_equality(targets[target].node.oid(), targets[target].node.at)?;
            ordered.push(target);
        }
        Ok(Distinct::On(ordered))
    }
}

/// Whether sorting is downward and whether NULLs come first.
fn direction(key: &SortBy) -> SqlResult<(bool, bool)> {
    let descending = match &key.direction {
        SortDirection::Default | SortDirection::Asc => false,
        SortDirection::Desc => true,
        SortDirection::Using(operator) => match operator.last().map(String::as_str) {
            Some("<") => false,
            Some(">") => true,
            name => {
                return Err(wrong(format!(
                    "operator {} is not a valid ordering operator",
                    name.unwrap_or_default()
                ))
                .hint(
                    "Ordering operators must be \"<\" or \">\" members of btree operator families.",
                )
                .at_opt(key.operator_location));
            }
        },
    };
    let nulls_first = match key.nulls {
        SortNulls::Default => descending,
        SortNulls::First => true,
        SortNulls::Last => false,
    };
    Ok((descending, nulls_first))
}

/// The expression under conversions that nobody wrote.
pub(super) fn strip_implicit(expr: &Expr) -> &Expr {
    use crate::bound::CallForm::ImplicitCast;
    match expr {
        Expr::Call(call) if call.form == ImplicitCast => {
            call.args.first().map_or(expr, strip_implicit)
        }
        Expr::Relabel { arg, form: ImplicitCast, .. }
        | Expr::ConvertViaText { arg, form: ImplicitCast, .. }
        | Expr::ConvertArray { arg, form: ImplicitCast, .. }
        | Expr::Collate { arg, explicit: false, .. } => strip_implicit(arg),
        other => other,
    }
}

/// What is grouped by cannot have an aggregate in it.
fn check_group_target(node: &Node, clause: Clause, at: u32) -> SqlResult<()> {
    if clause != Clause::GroupBy {
        return Ok(());
    }
    let at = node.at.unwrap_or(at);
    if has_aggregate(&node.expr) {
        return Err(SqlError::new(
            SqlState::GroupingError,
            "aggregate functions are not allowed in GROUP BY",
        )
        .at(at));
    }
    if has_window_call(&node.expr) {
        return Err(SqlError::new(
            SqlState::WindowingError,
            "window functions are not allowed in GROUP BY",
        )
        .at(at));
    }
    Ok(())
}
