//! Running a bound INSERT, UPDATE or DELETE from its source to its rows.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use aegis_catalog::Relation;
use aegis_storage::RowLockMode;
use aegis_types::{Datum, SqlError, SqlResult, SqlState};

use super::conflict::ConflictPlan;
use super::recheck::Traced;
use super::table::{TableAccess, position};
use super::write::{InsertOutcome, LockedRow, OldRow};
use super::{Changed, Changes, ReturnedRows};
use crate::bound::{Delete, Insert, KnownRow, Query, Target, Update};
use crate::query_engine::RowStream;

impl Changes<'_> {
    /// Runs an INSERT.
    ///
    /// # Errors
    /// Whatever its source, its constraints and its locks raise.
    pub async fn insert(&mut self, insert: &Insert) -> SqlResult<Changed> {
        let table = TableAccess::new(&insert.table, self.context)?;
        let mut returning = self.returning(&insert.returning, 0, &table, &insert.source)?;
        let mut conflict = insert
            .on_conflict
            .as_ref()
            .map(|c| ConflictPlan::new(c, &table, &insert.source))
            .transpose()?;
        let places = live_positions(&insert.table);
        let mut changed = self.nothing_changed(&insert.returning);
        let mut stream = self.start(&insert.source)?;
        while let Some(batch) = stream.next().await? {
            for at in 0..batch.len() {
                let mut row = vec![Datum::Null; table.layout.column_count()];
                for (place, value) in places.iter().zip(batch.row(at)) {
                    row[*place] = value;
                }
                let written = match &mut conflict {
                    None => {
                        self.insert_row(&table, &row, None).await?;
                        Some(row)
                    }
                    Some(conflict) => self.insert_or_resolve(&table, conflict, row).await?,
                };
                if let Some(row) = written {
                    changed.rows += 1;
                    returning.push(&row, &[], &self.evaluation(), &mut changed)?;
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
    pub async fn copy_row(&mut self, table: &TableAccess, row: &[Datum]) -> SqlResult<()> {
        self.insert_row(table, row, None).await.map(drop)
    }

    async fn insert_or_resolve(
        &mut self,
        table: &TableAccess,
        conflict: &mut ConflictPlan,
        row: Vec<Datum>,
    ) -> SqlResult<Option<Vec<Datum>>> {
        match self.insert_row(table, &row, Some(&conflict.arbiters)).await? {
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
        let table = TableAccess::new(&update.table, self.context)?;
        let mut returning =
            self.returning(&update.returning, update.entry, &table, &update.source)?;
        let mode = if touches_unique_key(&table, &update.columns) {
            RowLockMode::ForUpdate
        } else {
            RowLockMode::ForNoKeyUpdate
        };
        let mut seen = SeenRows::new(&update.source);
        let traced = Traced::new(&update.source, &[]);
        let mut changed = self.nothing_changed(&update.returning);
        let mut stream = self.start(&traced.query)?;
        while let Some(batch) = stream.next().await? {
            for at in 0..batch.len() {
                let found = batch.row(at);
                let key = row_key(&found)?;
                if !seen.is_first(key) || !self.is_first_change(table.tree, key) {
                    continue;
                }
                let locked = self.lock_for_change(&table, key, mode).await?;
                let Some((old, found)) = self.settle(locked, found, &traced, update.entry).await?
                else {
                    continue;
                };
                let mut row = old.values.clone();
                for (number, value) in update.columns.iter().zip(&found[1..]) {
                    row[position(*number)] = value.clone();
                }
                self.update_row(&table, &old, &row).await?;
                self.note_change(table.tree, &old.key);
                changed.rows += 1;
                returning.push(&row, &found, &self.evaluation(), &mut changed)?;
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
        let table = TableAccess::new(&delete.table, self.context)?;
        let mut returning =
            self.returning(&delete.returning, delete.entry, &table, &delete.source)?;
        let mut seen = SeenRows::new(&delete.source);
        let traced = Traced::new(&delete.source, &[]);
        let mut changed = self.nothing_changed(&delete.returning);
        let mut stream = self.start(&traced.query)?;
        while let Some(batch) = stream.next().await? {
            for at in 0..batch.len() {
                let found = batch.row(at);
                let key = row_key(&found)?;
                if !seen.is_first(key) || !self.is_first_change(table.tree, key) {
                    continue;
                }
                let locked = self.lock_for_change(&table, key, RowLockMode::ForUpdate).await?;
                let Some((old, found)) = self.settle(locked, found, &traced, delete.entry).await?
                else {
                    continue;
                };
                self.delete_row(&table, &old).await?;
                self.note_change(table.tree, &old.key);
                changed.rows += 1;
                returning.push(&old.values, &found, &self.evaluation(), &mut changed)?;
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

    pub(super) fn start(&self, source: &Arc<Query>) -> SqlResult<Box<dyn RowStream>> {
        self.engine.plan(source, self.context)?.execute(self.context)
    }

    /// The row to change and what to change it to, once it is locked: `None` if it is gone, or if
    /// the condition no longer holds for what it has become.
    async fn settle(
        &mut self,
        locked: LockedRow,
        found: Vec<Datum>,
        traced: &Traced,
        entry: usize,
    ) -> SqlResult<Option<(OldRow, Vec<Datum>)>> {
        match locked {
            LockedRow::Gone => Ok(None),
            LockedRow::Unchanged(old) => Ok(Some((old, found))),
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
        .filter(|index| index.unique)
        .any(|index| index.keys.iter().any(|part| columns.contains(&part.column)))
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
