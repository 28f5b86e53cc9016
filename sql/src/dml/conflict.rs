//! INSERT … ON CONFLICT: the row in the way is locked, and left alone or updated.

use std::collections::HashSet;

use aegis_storage::{RowLockMode, RowLockOutcome};
use aegis_types::{Datum, Oid, SqlResult};

use super::change::second_change;
use super::table::{TableAccess, position};
use super::write::OldRow;
use super::{Changes, serialization_failure};
use crate::bound::OnConflict;
use crate::evaluate::Program;

/// A compiled ON CONFLICT clause.
pub(super) struct ConflictPlan {
    /// The unique indexes that decide.
    pub(super) arbiters: Vec<Oid>,
    update: Option<UpdatePlan>,
    /// Row keys that this statement has inserted or updated: none may change again.
    written: HashSet<Vec<u8>>,
}

struct UpdatePlan {
    assignments: Vec<(usize, Program)>,
    filter: Option<Program>,
}

impl ConflictPlan {
    /// Compiles the clause: its programs' row is the row that is there, then `excluded`.
    pub(super) fn new(conflict: &OnConflict, table: &TableAccess) -> SqlResult<Self> {
        let width = table.layout.column_count();
        let mut layout = |entry: usize, column: i16, _: usize| Ok(entry * width + position(column));
        let arbiters = if conflict.arbiters.is_empty() {
            table.indexes.iter().filter(|index| index.unique).map(|index| index.oid).collect()
        } else {
            conflict.arbiters.clone()
        };
        let update = match &conflict.update {
            None => None,
            Some(update) => Some(UpdatePlan {
                assignments: update
                    .assignments
                    .iter()
                    .map(|(number, expr)| {
                        Ok((position(*number), Program::compile(expr, &mut layout)?))
                    })
                    .collect::<SqlResult<_>>()?,
                filter: update
                    .filter
                    .as_ref()
                    .map(|filter| Program::compile(filter, &mut layout))
                    .transpose()?,
            }),
        };
        Ok(Self { arbiters, update, written: HashSet::new() })
    }

    /// Remembers a row that the statement wrote.
    pub(super) fn note_written(&mut self, key: Vec<u8>) {
        if self.update.is_some() {
            self.written.insert(key);
        }
    }
}

impl Changes<'_> {
    /// Leaves the row in the way alone (`None`) or updates it, which gives the new row.
    pub(super) async fn resolve_conflict(
        &mut self,
        table: &TableAccess,
        conflict: &mut ConflictPlan,
        holder: &[u8],
        excluded: &[Datum],
    ) -> SqlResult<Option<Vec<Datum>>> {
        let Some(update) = &conflict.update else {
            return if self.rechecks() || self.context.view.get(table.tree, holder)?.is_some() {
                Ok(None)
            } else {
                Err(serialization_failure("update"))
            };
        };
        if conflict.written.contains(holder) {
            return Err(second_change());
        }
        let mode = if update_touches_keys(update, table) {
            RowLockMode::ForUpdate
        } else {
            RowLockMode::ForNoKeyUpdate
        };
        let wait = self.row_lock_wait();
        let cancel = &self.context.cancel;
        let outcome = cancel.wait(self.txn.lock_row(table.tree, holder, mode, wait)).await?;
        if matches!(outcome, RowLockOutcome::Changed(_)) && !self.rechecks() {
            return Err(serialization_failure("update"));
        }
        let Some(newest) = self.txn.get_newest(table.tree, holder)? else {
            return Ok(None);
        };
        let old = OldRow { key: holder.to_vec(), values: table.layout.decode(&newest.value)? };
        let mut inputs = old.values.clone();
        inputs.extend_from_slice(excluded);
        let evaluation = self.evaluation();
        if let Some(filter) = &update.filter
            && !filter.is_true(&inputs, &evaluation)?
        {
            return Ok(None);
        }
        let mut row = old.values.clone();
        for (place, program) in &update.assignments {
            row[*place] = program.evaluate(&inputs, &evaluation)?;
        }
        table.generate(&mut row, &evaluation)?;
        conflict.written.insert(holder.to_vec());
        self.update_row(table, &old, &row).await?;
        Ok(Some(row))
    }
}

fn update_touches_keys(update: &UpdatePlan, table: &TableAccess) -> bool {
    let assigns =
        |column: &i16| update.assignments.iter().any(|(place, _)| *place == position(*column));
    let mut indexes = table.indexes.iter().filter(|index| index.is_referable());
    indexes.any(|index| index.columns.iter().any(assigns))
}
