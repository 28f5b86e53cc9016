//! INSERT … ON CONFLICT: the row in the way is locked, and left alone or updated.

use std::collections::HashSet;
use std::sync::Arc;

use aegis_storage::{RowLockMode, RowLockOutcome};
use aegis_types::{Datum, Oid, SqlError, SqlResult, SqlState};

use super::change::second_change;
use super::returning::has_subquery;
use super::table::{TableAccess, position};
use super::write::OldRow;
use super::{Changes, serialization_failure};
use crate::bound::{
    ConflictUpdate, Expr, JoinTree, KnownRow, OnConflict, Query, RangeTableEntry, RteColumn,
    RteKind, Target,
};
use crate::evaluate::Program;

/// A compiled ON CONFLICT clause.
pub(super) struct ConflictPlan {
    /// The unique indexes that decide.
    pub(super) arbiters: Vec<Oid>,
    /// One of them that cannot decide, as it lets a conflict be for a while.
    deferrable: Option<Oid>,
    update: Option<UpdatePlan>,
    /// Row keys that this statement has inserted or updated: none may change again.
    written: HashSet<Vec<u8>>,
}

struct UpdatePlan {
    /// The places of the assigned columns.
    places: Vec<usize>,
    values: Values,
}

/// How the new values are computed.
enum Values {
    /// Over the row that is there and then `excluded`.
    Programs { assignments: Vec<Program>, filter: Option<Program> },
    /// With subqueries: by a query over both rows, its entries 0 and 1.
    Query(Box<Query>),
}

impl ConflictPlan {
    /// Compiles the clause: its programs' row is the row that is there, then `excluded`.
    pub(super) fn new(
        conflict: &OnConflict,
        table: &TableAccess,
        source: &Query,
    ) -> SqlResult<Self> {
        let arbiters = if conflict.arbiters.is_empty() {
            table.indexes.iter().filter(|index| index.unique).map(|index| index.oid).collect()
        } else {
            conflict.arbiters.clone()
        };
        let update = match &conflict.update {
            None => None,
            Some(update) => Some(UpdatePlan {
                places: update.assignments.iter().map(|(number, _)| position(*number)).collect(),
                values: Values::new(update, table, source)?,
            }),
        };
        let mut indexes = table.indexes.iter().filter(|index| arbiters.contains(&index.oid));
        let deferrable = indexes.find(|index| index.deferrable.is_some()).map(|index| index.oid);
        Ok(Self { arbiters, deferrable, update, written: HashSet::new() })
    }

    /// 55000 if an arbiter is deferrable.
    pub(super) fn check_arbiters(&self, table: &TableAccess) -> SqlResult<()> {
        let Some(index) = table.indexes.iter().find(|index| Some(index.oid) == self.deferrable)
        else {
            return Ok(());
        };
        Err(SqlError::new(
            SqlState::ObjectNotInPrerequisiteState,
            "ON CONFLICT does not support deferrable unique constraints/exclusion constraints as \
             arbiters",
        )
        .table(&table.schema_name, &table.relation.name)
        .constraint(&index.name))
    }

    /// Remembers a row that the statement wrote.
    pub(super) fn note_written(&mut self, key: Vec<u8>) {
        if self.update.is_some() {
            self.written.insert(key);
        }
    }
}

impl Values {
    fn new(update: &ConflictUpdate, table: &TableAccess, source: &Query) -> SqlResult<Self> {
        let exprs = update.assignments.iter().map(|(_, expr)| expr);
        if exprs.chain(&update.filter).any(has_subquery) {
            return Ok(Self::Query(Box::new(conflict_query(update, table, source))));
        }
        let width = table.layout.column_count();
        let mut layout = |entry: usize, column: i16, _: usize| Ok(entry * width + position(column));
        let mut compile = |expr: &Expr| Program::compile(expr, &mut layout);
        let assignments = update.assignments.iter().map(|(_, expr)| compile(expr));
        let assignments = assignments.collect::<SqlResult<_>>()?;
        let filter = update.filter.as_ref().map(compile).transpose()?;
        Ok(Self::Programs { assignments, filter })
    }
}

/// The new values, where the condition holds, over the two rows once they are put in.
fn conflict_query(update: &ConflictUpdate, table: &TableAccess, source: &Query) -> Query {
    let columns: Vec<RteColumn> = table
        .relation
        .columns
        .iter()
        .map(|column| RteColumn {
            name: column.name.clone(),
            ty: column.ty,
            dropped: column.dropped,
        })
        .collect();
    let entry = || RangeTableEntry {
        alias: String::new(),
        kind: RteKind::Known(None),
        columns: columns.clone(),
        lateral: false,
    };
    let target = |(_, expr): &(i16, Expr)| Target {
        expr: expr.clone(),
        name: String::new(),
        hidden: false,
        origin: None,
    };
    Query {
        ctes: source.ctes.clone(),
        range_table: vec![entry(), entry()],
        from: vec![JoinTree::Entry(0), JoinTree::Entry(1)],
        filter: update.filter.clone(),
        targets: update.assignments.iter().map(target).collect(),
        ..Query::default()
    }
}

impl Changes<'_> {
    /// The new values, or `None` where the condition does not hold.
    async fn conflict_values(
        &mut self,
        values: &Values,
        old: &[Datum],
        excluded: &[Datum],
    ) -> SqlResult<Option<Vec<Datum>>> {
        match values {
            Values::Programs { assignments, filter } => {
                let mut inputs = old.to_vec();
                inputs.extend_from_slice(excluded);
                let evaluation = self.evaluation();
                self.txn.give();
                let filter = filter.as_ref();
                let holds = filter.map_or(Ok(true), |it| it.is_true(&inputs, &evaluation))?;
                let values = assignments.iter().map(|value| value.evaluate(&inputs, &evaluation));
                let values = holds.then(|| values.collect::<SqlResult<_>>()).transpose();
                self.txn.take().await?;
                values
            }
            Values::Query(query) => {
                let mut query = (**query).clone();
                for (entry, row) in query.range_table.iter_mut().zip([old, excluded]) {
                    let row = KnownRow { columns: row.to_vec(), stored: None };
                    entry.kind = RteKind::Known(Some(Arc::new(row)));
                }
                let mut stream = self.start(&Arc::new(query))?;
                while let Some(batch) = self.next_of(&mut stream).await? {
                    if !batch.is_empty() {
                        return Ok(Some(batch.row(0)));
                    }
                }
                Ok(None)
            }
        }
    }

    /// Leaves the row in the way alone (`None`) or updates it, which gives the new row.
    pub(super) async fn resolve_conflict(
        &mut self,
        table: &TableAccess,
        conflict: &mut ConflictPlan,
        holder: &[u8],
        excluded: &[Datum],
    ) -> SqlResult<Option<Vec<Datum>>> {
        let Some(update) = &conflict.update else {
            // A row of this very statement is none that another has committed meanwhile.
            let is_known = self.rechecks()
                || self.context.view.get(table.tree, holder)?.is_some()
                || self.txn.has_changed(table.tree, holder)?;
            return if is_known { Ok(None) } else { Err(serialization_failure("update")) };
        };
        if conflict.written.contains(holder) || !self.is_first_change(table.tree, holder) {
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
        let Some(values) = self.conflict_values(&update.values, &old.values, excluded).await?
        else {
            return Ok(None);
        };
        let mut row = old.values.clone();
        for (place, value) in update.places.iter().zip(values) {
            row[*place] = value;
        }
        table.generate(&mut row, &self.evaluation())?;
        conflict.written.insert(holder.to_vec());
        self.update_row(table, &old, &mut row).await?;
        self.note_change(table.tree, holder);
        Ok(Some(row))
    }
}

fn update_touches_keys(update: &UpdatePlan, table: &TableAccess) -> bool {
    let assigns = |column: &i16| update.places.contains(&position(*column));
    let mut indexes = table.indexes.iter().filter(|index| index.is_referable());
    indexes.any(|index| index.columns.iter().any(assigns))
}
