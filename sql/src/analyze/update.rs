//! `UPDATE` and `DELETE`: the query that finds the rows, and what comes of them.

use std::sync::Arc;

use aegis_types::{SqlError, SqlResult, SqlState, TypeRef, type_oid as t};

use super::Analyzer;
use super::node::same;
use super::scope::Clause;
use super::select::finished_ctes;
use super::updatable::{Changed, Updatable};
use super::walk::{Rewriter, children_mut, rewrite_expr};
use crate::ast::{Assignment, DeleteStmt, UpdateStmt};
use crate::bound::{
    Delete, Expr, JoinTree, Query, ROW_KEY, RteKind, SOURCE_TARGETS, Target, Update,
};

impl Analyzer<'_> {
    /// `UPDATE`.
    pub(super) fn update(&mut self, update: &UpdateStmt) -> SqlResult<Update> {
        let (mut bound, scope) = self.in_new_scope(|analyzer| analyzer.update_here(update))?;
        let source = Arc::make_mut(&mut bound.source);
        source.ctes = finished_ctes(scope.ctes);
        source.range_table = scope.range_table;
        Ok(bound)
    }

    fn update_here(&mut self, update: &UpdateStmt) -> SqlResult<Update> {
        if let Some(with) = &update.with {
            self.with_clause(with)?;
        }
        let Changed { table, named, view } = self.changed(&update.relation, "UPDATE")?;
        let kind = RteKind::Relation(table.clone());
        let entry = self.target_entry(&named, &update.relation, kind);
        let mut item = self.entry_item(entry);
        if let Some(view) = &view {
            view.rename(&mut item, entry);
            for target in update.assignments.iter().flat_map(Assignment::targets) {
                view.refuse_column(&target.name, &named.name, "UPDATE")?;
            }
        }
        let mut from = vec![JoinTree::Entry(entry)];
        from.extend(self.other_tables(&item, &update.from)?);
        let (filter, current_of) = self.rows_to_change(update.where_clause.as_ref())?;
        let mut returning = self.returning(&update.returning)?;
        let set = self.set_list(&named, entry, &update.assignments)?;
        if current_of.is_some() && view.is_some() {
            return Err(SqlError::new(
                SqlState::FeatureNotSupported,
                "WHERE CURRENT OF on a view is not implemented",
            ));
        }
        let filter = with_view(filter, view.as_ref(), entry);
        let mut targets = vec![row_key(entry)];
        let mut columns = Vec::with_capacity(set.len());
        for (number, expr) in set {
            let name = table.column(number).map(|column| column.name.clone()).unwrap_or_default();
            targets.push(Target { expr, name, hidden: false, origin: None });
            columns.push(number);
        }
        self.carry_other_columns(entry, &mut returning, &mut targets)?;
        let source = Query { from, filter, targets, ..Query::default() };
        let view_checks = view.map(|view| view.checks()).unwrap_or_default();
        let source = Arc::new(source);
        Ok(Update { table, entry, source, columns, returning, view_checks, current_of })
    }

    /// `DELETE`.
    pub(super) fn delete(&mut self, delete: &DeleteStmt) -> SqlResult<Delete> {
        let (mut bound, scope) = self.in_new_scope(|analyzer| analyzer.delete_here(delete))?;
        let source = Arc::make_mut(&mut bound.source);
        source.ctes = finished_ctes(scope.ctes);
        source.range_table = scope.range_table;
        Ok(bound)
    }

    fn delete_here(&mut self, delete: &DeleteStmt) -> SqlResult<Delete> {
        if let Some(with) = &delete.with {
            self.with_clause(with)?;
        }
        let Changed { table, named, view } = self.changed(&delete.relation, "DELETE")?;
        let kind = RteKind::Relation(table.clone());
        let entry = self.target_entry(&named, &delete.relation, kind);
        let mut item = self.entry_item(entry);
        if let Some(view) = &view {
            view.rename(&mut item, entry);
        }
        let mut from = vec![JoinTree::Entry(entry)];
        from.extend(self.other_tables(&item, &delete.using)?);
        let (filter, current_of) = self.rows_to_change(delete.where_clause.as_ref())?;
        if current_of.is_some() && view.is_some() {
            return Err(SqlError::new(
                SqlState::FeatureNotSupported,
                "WHERE CURRENT OF on a view is not implemented",
            ));
        }
        let filter = with_view(filter, view.as_ref(), entry);
        let mut targets = vec![row_key(entry)];
        let mut returning = self.returning(&delete.returning)?;
        self.carry_other_columns(entry, &mut returning, &mut targets)?;
        let source = Query { from, filter, targets, ..Query::default() };
        Ok(Delete { table, entry, source: Arc::new(source), returning, current_of })
    }

    /// `WHERE`: a condition, or the cursor whose current row is meant.
    fn rows_to_change(
        &mut self,
        filter: Option<&crate::ast::Expr>,
    ) -> SqlResult<(Option<Expr>, Option<String>)> {
        if let Some(crate::ast::Expr::CurrentOf(current)) = filter {
            return Ok((None, Some(current.cursor_name.clone())));
        }
        Ok((self.condition(filter, Clause::Where)?, None))
    }

    /// `FROM` or `USING`: the target is visible beside it, but not within it.
    fn other_tables(
        &mut self,
        target: &super::scope::NamespaceItem,
        items: &[crate::ast::FromItem],
    ) -> SqlResult<Vec<JoinTree>> {
        let mut hidden = target.clone();
        hidden.lateral_only = true;
        hidden.lateral_ok = false;
        self.scope().namespace = vec![hidden];
        let from = self.bind_from(items)?;
        self.scope().namespace[0] = target.clone();
        Ok(from)
    }

    /// Makes the columns of other entries that `RETURNING` reads targets of the source, and slots
    /// of them in `RETURNING`.
    fn carry_other_columns(
        &mut self,
        entry: usize,
        returning: &mut [Target],
        targets: &mut Vec<Target>,
    ) -> SqlResult<()> {
        for target in returning.iter_mut() {
            rewrite_expr(&mut target.expr, 0, &mut CarryInner { entry, targets });
            carry(&mut target.expr, entry, targets);
        }
        Ok(())
    }
}

/// The conditions of the views that a statement goes through, and its own.
fn with_view(filter: Option<Expr>, view: Option<&Updatable>, entry: usize) -> Option<Expr> {
    let mut all = view.map(|view| view.filters(entry)).unwrap_or_default();
    all.extend(filter);
    match all.len() {
        0 | 1 => all.pop(),
        _ => Some(Expr::And(all)),
    }
}

/// Makes what subqueries of `RETURNING` read of other tables targets of the source.
struct CarryInner<'a> {
    entry: usize,
    targets: &'a mut Vec<Target>,
}

impl Rewriter for CarryInner<'_> {
    fn expr(&mut self, expr: &mut Expr, depth: usize) {
        let Expr::Column { entry, column, levels_up, ty } = *expr else { return };
        if depth == 0 || levels_up != depth || entry == self.entry {
            return;
        }
        let read = Expr::Column { entry, column, levels_up: 0, ty };
        let place = carried(read, self.targets);
        let column = i16::try_from(place + 1).unwrap_or(i16::MAX);
        *expr = Expr::Column { entry: SOURCE_TARGETS, column, levels_up, ty };
    }
}

/// The place of a column among the source's targets.
fn carried(expr: Expr, targets: &mut Vec<Target>) -> usize {
    targets.iter().position(|target| same(&target.expr, &expr)).unwrap_or_else(|| {
        let name = String::new();
        targets.push(Target { expr, name, hidden: false, origin: None });
        targets.len() - 1
    })
}

fn carry(expr: &mut Expr, entry: usize, targets: &mut Vec<Target>) {
    if let Expr::Column { entry: other, levels_up: 0, ty, .. } = expr {
        if *other == entry {
            return;
        }
        let ty = *ty;
        *expr = Expr::Slot { index: carried(expr.clone(), targets), ty };
        return;
    }
    children_mut(expr, &mut |child| carry(child, entry, targets));
}

/// The target that identifies the row to change.
fn row_key(entry: usize) -> Target {
    let ty = TypeRef::plain(t::BYTEA);
    Target {
        expr: Expr::Column { entry, column: ROW_KEY, levels_up: 0, ty },
        name: "row_key".to_owned(),
        hidden: false,
        origin: None,
    }
}
