//! `UPDATE` and `DELETE`: the query that finds the rows, and what comes of them.

use std::sync::Arc;

use aegis_types::{SqlResult, TypeRef, type_oid as t};

use super::Analyzer;
use super::node::same;
use super::scope::Clause;
use super::select::finished_ctes;
use super::walk::{Rewriter, children_mut, rewrite_expr};
use crate::ast::{DeleteStmt, UpdateStmt};
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
        let table = self.target_table(&update.relation, "UPDATE")?;
        let kind = RteKind::Relation(table.clone());
        let entry = self.target_entry(&table, &update.relation, kind);
        let item = self.entry_item(entry);
        let mut from = vec![JoinTree::Entry(entry)];
        from.extend(self.other_tables(&item, &update.from)?);
        let set = self.set_list(&table, &update.assignments)?;
        let filter = self.condition(update.where_clause.as_ref(), Clause::Where)?;
        let mut targets = vec![row_key(entry)];
        let mut columns = Vec::with_capacity(set.len());
        for (number, expr) in set {
            let name = table.column(number).map(|column| column.name.clone()).unwrap_or_default();
            targets.push(Target { expr, name, hidden: false, origin: None });
            columns.push(number);
        }
        let mut returning = self.returning(&update.returning)?;
        self.carry_other_columns(entry, &mut returning, &mut targets)?;
        let source = Query { from, filter, targets, ..Query::default() };
        Ok(Update { table, entry, source: Arc::new(source), columns, returning })
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
        let table = self.target_table(&delete.relation, "DELETE")?;
        let kind = RteKind::Relation(table.clone());
        let entry = self.target_entry(&table, &delete.relation, kind);
        let item = self.entry_item(entry);
        let mut from = vec![JoinTree::Entry(entry)];
        from.extend(self.other_tables(&item, &delete.using)?);
        let filter = self.condition(delete.where_clause.as_ref(), Clause::Where)?;
        let mut targets = vec![row_key(entry)];
        let mut returning = self.returning(&delete.returning)?;
        self.carry_other_columns(entry, &mut returning, &mut targets)?;
        let source = Query { from, filter, targets, ..Query::default() };
        Ok(Delete { table, entry, source: Arc::new(source), returning })
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
