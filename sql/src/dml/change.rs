//! Running a bound INSERT, UPDATE or DELETE from its source to its rows.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use aegis_catalog::Relation;
use aegis_storage::{RowLockMode, TreeId};
use aegis_types::{Datum, SqlError, SqlResult, SqlState, TypeRef, type_oid};

use super::conflict::ConflictPlan;
use super::recheck::Traced;
use super::table::{TableAccess, ViewChecks, position};
use super::write::{InsertOutcome, LockedRow, OldRow};
use super::{Changed, Changes, ReturnedRows};
use crate::analyze::walk::visit_expr;
use crate::bound::{Delete, Expr, Insert, KnownRow, Query, RteKind, Target, Update};
use crate::query_engine::{RowStream, StatementContext};

/// What an INSERT compiles.
struct Inserting {
    table: TableAccess,
    view_checks: ViewChecks,
}

/// What an UPDATE or a DELETE compiles.
struct Finding {
    table: TableAccess,
    view_checks: ViewChecks,
    traced: Traced,
}

impl Changes<'_> {
    /// Runs an INSERT.
    ///
    /// # Errors
    /// Whatever its source, its constraints and its locks raise.
    pub async fn insert(&mut self, insert: &Insert) -> SqlResult<Changed> {
        let compiled = self.compiled(|context| {
            Ok(Inserting {
                table: TableAccess::new(&insert.table, context)?,
                view_checks: ViewChecks::compile(&insert.view_checks)?,
            })
        })?;
        let Inserting { table, view_checks } = &*compiled;
        let mut returning = self.returning(&insert.returning, 0, table, &insert.source)?;
        let mut conflict = insert
            .on_conflict
            .as_ref()
            .map(|c| ConflictPlan::new(c, table, &insert.source))
            .transpose()?;
        self.returned_columns = returned_columns(&insert.returning);
        let places = live_positions(&insert.table);
        let mut changed = self.nothing_changed(&insert.returning);
        let mut stream = self.start_kept(&insert.source)?;
        while let Some(batch) = self.next_of(&mut stream).await? {
            for at in 0..batch.len() {
                let mut row = vec![Datum::Null; table.layout.column_count()];
                for (place, value) in places.iter().zip(batch.row(at)) {
                    row[*place] = value;
                }
                table.generate(&mut row, &self.evaluation())?;
                let written = match &mut conflict {
                    None => {
                        self.insert_row(table, &mut row, None).await?;
                        Some(row)
                    }
                    Some(conflict) => self.insert_or_resolve(table, conflict, row).await?,
                };
                if let Some(row) = written {
                    self.evaluate(|evaluation| view_checks.check(table, &row, evaluation)).await?;
                    changed.rows += 1;
                    self.txn.give();
                    returning.push(&row, &[], &self.evaluation(), &mut changed)?;
                    self.txn.take().await?;
                }
            }
            self.context.cancel.check()?;
        }
        self.finish_returning(returning, &mut changed).await?;
        self.finish_statement().await?;
        Ok(changed)
    }

    /// Inserts a row that was made ready elsewhere, as COPY does; [`Changes::finish_statement`] is
    /// the caller's.
    ///
    /// # Errors
    /// As [`Changes::insert_row`].
    pub async fn copy_row(&mut self, table: &TableAccess, mut row: Vec<Datum>) -> SqlResult<()> {
        table.generate(&mut row, &self.evaluation())?;
        self.insert_row(table, &mut row, None).await.map(drop)
    }

    async fn insert_or_resolve(
        &mut self,
        table: &TableAccess,
        conflict: &mut ConflictPlan,
        mut row: Vec<Datum>,
    ) -> SqlResult<Option<Vec<Datum>>> {
        conflict.check_arbiters(table)?;
        match self.insert_row(table, &mut row, Some(&conflict.arbiters)).await? {
            InsertOutcome::Inserted(key) => {
                conflict.note_written(key);
                Ok(Some(row))
            }
            InsertOutcome::Conflict(holder) => {
                self.resolve_conflict(table, conflict, &holder, &row).await
            }
        }
    }

    /// Runs an UPDATE.
    ///
    /// # Errors
    /// Whatever its source, its constraints and its locks raise.
    pub async fn update(&mut self, update: &Update) -> SqlResult<Changed> {
        let compiled = self.compiled(|context| {
            Ok(Finding {
                table: TableAccess::new(&update.table, context)?,
                view_checks: ViewChecks::compile(&update.view_checks)?,
                traced: Traced::new(&update.source, &[]),
            })
        })?;
        let Finding { table, view_checks, traced } = &*compiled;
        let mut returning =
            self.returning(&update.returning, update.entry, table, &update.source)?;
        let mode = if touches_unique_key(table, &update.columns) {
            RowLockMode::ForUpdate
        } else {
            RowLockMode::ForNoKeyUpdate
        };
        let mut seen = SeenRows::new(&update.source);
        let mut changed = self.nothing_changed(&update.returning);
        let mut stream = self.start_kept(&traced.query)?;
        while let Some(batch) = self.next_of(&mut stream).await? {
            for at in 0..batch.len() {
                let found = batch.row(at);
                let key = row_key(&found)?;
                if !seen.is_first(key) || !self.is_first_change(table.tree, key) {
                    continue;
                }
                let locked = self.lock_for_change(table, key, mode).await?;
                let Some((old, found)) =
                    self.settle(locked, found, traced, update.entry, &update.table).await?
                else {
                    continue;
                };
                let mut row = old.values.clone();
                for (number, value) in update.columns.iter().zip(&found[1..]) {
                    row[position(*number)] = value.clone();
                }
                table.generate(&mut row, &self.evaluation())?;
                self.update_row(table, &old, &mut row).await?;
                self.evaluate(|evaluation| view_checks.check(table, &row, evaluation)).await?;
                self.note_change(table.tree, &old.key);
                changed.rows += 1;
                self.txn.give();
                returning.push(&row, &found, &self.evaluation(), &mut changed)?;
                self.txn.take().await?;
            }
            self.context.cancel.check()?;
        }
        self.finish_returning(returning, &mut changed).await?;
        self.finish_statement().await?;
        Ok(changed)
    }

    /// Runs a DELETE.
    ///
    /// # Errors
    /// Whatever its source, its constraints and its locks raise.
    pub async fn delete(&mut self, delete: &Delete) -> SqlResult<Changed> {
        let compiled = self.compiled(|context| {
            Ok(Finding {
                table: TableAccess::new(&delete.table, context)?,
                view_checks: ViewChecks::compile(&[])?,
                traced: Traced::new(&delete.source, &[]),
            })
        })?;
        let Finding { table, traced, .. } = &*compiled;
        let mut returning =
            self.returning(&delete.returning, delete.entry, table, &delete.source)?;
        let mut seen = SeenRows::new(&delete.source);
        let mut changed = self.nothing_changed(&delete.returning);
        let mut stream = self.start_kept(&traced.query)?;
        while let Some(batch) = self.next_of(&mut stream).await? {
            for at in 0..batch.len() {
                let found = batch.row(at);
                let key = row_key(&found)?;
                if !seen.is_first(key) || !self.is_first_change(table.tree, key) {
                    continue;
                }
                let locked = self.lock_for_change(table, key, RowLockMode::ForUpdate).await?;
                let Some((old, found)) =
                    self.settle(locked, found, traced, delete.entry, &delete.table).await?
                else {
                    continue;
                };
                self.delete_row(table, &old).await?;
                self.note_change(table.tree, &old.key);
                changed.rows += 1;
                self.txn.give();
                returning.push(&old.values, &found, &self.evaluation(), &mut changed)?;
                self.txn.take().await?;
            }
            self.context.cancel.check()?;
        }
        self.finish_returning(returning, &mut changed).await?;
        self.finish_statement().await?;
        Ok(changed)
    }

    fn nothing_changed(&self, returning: &[Target]) -> Changed {
        Changed { rows: 0, returned: self.no_rows(returning) }
    }

    /// Where the rows of a target list are kept.
    pub(super) fn no_rows(&self, targets: &[Target]) -> ReturnedRows {
        let visible = targets.iter().filter(|target| !target.hidden);
        let types = visible.map(|target| target.expr.ty()).collect();
        ReturnedRows::new(types, self.context.memory_bytes, self.context.temporary_files.clone())
    }

    /// What the statement has compiled, now or when it ran before.
    fn compiled<T: Send + Sync + 'static>(
        &self,
        compile: impl FnOnce(&StatementContext) -> SqlResult<T>,
    ) -> SqlResult<Arc<T>> {
        match &self.kept {
            Some(kept) => kept.compiled(|| compile(self.context)),
            None => compile(self.context).map(Arc::new),
        }
    }

    /// Starts the statement's own source, by the plan that it keeps.
    fn start_kept(&self, source: &Arc<Query>) -> SqlResult<Box<dyn RowStream>> {
        match &self.kept {
            Some(kept) => {
                kept.plan(self.engine, source, self.context)?.execute(self.context.clone())
            }
            None => self.start(source),
        }
    }

    pub(super) fn start(&self, source: &Arc<Query>) -> SqlResult<Box<dyn RowStream>> {
        self.engine.plan(source, self.context)?.execute(self.context.clone())
    }

    /// The row to change and what to change it to, once it is locked: `None` if it is gone, or if
    /// the condition no longer holds for what it has become.
    async fn settle(
        &mut self,
        locked: LockedRow,
        found: Vec<Datum>,
        traced: &Traced,
        entry: usize,
        relation: &Arc<Relation>,
    ) -> SqlResult<Option<(OldRow, Vec<Datum>)>> {
        match locked {
            LockedRow::Gone => Ok(None),
            LockedRow::Unchanged(old) => Ok(Some((old, found))),
            LockedRow::Changed(key, row)
                if matches!(traced.query.range_table[entry].kind, RteKind::Known(_)) =>
            {
                // `WHERE CURRENT OF`: whatever it is now, it is the row that the cursor is on.
                let mut query = (*traced.query).clone();
                let newest = KnownRow::decode(relation, &key, &row)?;
                let values = newest.columns.clone();
                query.range_table[entry].kind = RteKind::Known(Some(Arc::new(newest)));
                let mut stream = self.start(&Arc::new(query))?;
                let found = match self.next_of(&mut stream).await? {
                    Some(batch) if !batch.is_empty() => batch.row(0),
                    _ => return Ok(None),
                };
                Ok(Some((OldRow { key, values }, found)))
            }
            LockedRow::Changed(key, row) => {
                let table = traced.table(&[entry])?;
                let newest = KnownRow::decode(&table.relation, &key, &row)?;
                let values = newest.columns.clone();
                let newest = BTreeMap::from([(table.column, newest)]);
                let found = self.run_again(traced, &found, &newest).await?;
                Ok(found.map(|found| (OldRow { key, values }, found)))
            }
        }
    }
}

impl StatementContext {
    /// `WHERE CURRENT OF`: makes the changed table's entry of a source the one row with this key, as
    /// the statement sees it; or no row, if it is gone.
    ///
    /// # Errors
    /// Whatever reading the row raises.
    pub fn at_current_row(
        &self,
        source: &mut Arc<Query>,
        entry: usize,
        relation: &Relation,
        key: &[u8],
    ) -> SqlResult<()> {
        let tree = relation
            .as_table()
            .map(|table| TreeId(table.tree))
            .ok_or_else(|| SqlError::internal("only rows of tables are changed"))?;
        let row = match self.view.get(tree, key)? {
            Some(row) => Some(Arc::new(KnownRow::decode(relation, key, &row)?)),
            None => None,
        };
        let source = Arc::make_mut(source);
        if row.is_none() {
            source.filter =
                Some(Expr::Const { value: Datum::Bool(false), ty: TypeRef::plain(type_oid::BOOL) });
        }
        source.range_table[entry].kind = RteKind::Known(row);
        Ok(())
    }
}

/// The rows that a statement has changed already: with a join, a row can be found more than once,
/// and only the first time counts.
struct SeenRows(Option<HashSet<Vec<u8>>>);

impl SeenRows {
    fn new(source: &Query) -> Self {
        Self((source.range_table.len() > 1).then(HashSet::new))
    }

    fn is_first(&mut self, key: &[u8]) -> bool {
        self.0.as_mut().is_none_or(|seen| seen.insert(key.to_vec()))
    }
}

fn row_key(found: &[Datum]) -> SqlResult<&[u8]> {
    match found.first() {
        Some(Datum::Bytea(key)) => Ok(key),
        other => Err(SqlError::internal(format!("a source yielded {other:?} for a row key"))),
    }
}

fn live_positions(relation: &Relation) -> Vec<usize> {
    relation.live_columns().map(|column| position(column.number)).collect()
}

/// Whether an UPDATE assigns to a column of a unique index, which others may reference.
fn touches_unique_key(table: &TableAccess, columns: &[i16]) -> bool {
    table
        .indexes
        .iter()
        .filter(|index| index.is_referable())
        .any(|index| index.columns.iter().any(|column| columns.contains(column)))
}

/// The columns that a RETURNING list of an INSERT names; 0 for the whole row.
fn returned_columns(targets: &[Target]) -> BTreeSet<i16> {
    let mut found = BTreeSet::new();
    for target in targets {
        visit_expr(&target.expr, 0, &mut |expr, _| {
            if let Expr::Column { column, .. } = expr {
                found.insert(*column);
            }
            true
        });
    }
    found
}

/// 21000 for a second change of one row by `ON CONFLICT DO UPDATE`.
pub(super) fn second_change() -> SqlError {
    SqlError::new(
        SqlState::CardinalityViolation,
        "ON CONFLICT DO UPDATE command cannot affect row a second time",
    )
    .hint(
        "Ensure that no rows proposed for insertion within the same command have duplicate \
         constrained values.",
    )
}
