//! SELECT … FOR UPDATE and its kin: the rows of a query, each locked before it is given.
//!
//! Locking comes below LIMIT, as in PostgreSQL: rows are locked one by one until enough are, so that
//! `SKIP LOCKED LIMIT 1` takes one job off a queue and leaves the others alone.

use std::collections::BTreeMap;

use aegis_storage::{RowLockOutcome, RowLockWait};
use aegis_types::{Datum, SqlError, SqlResult, SqlState};

use super::recheck::{Traced, TracedTable};
use super::{Changes, ReturnedRows, serialization_failure};
use crate::bound::{Expr, KnownRow, MarkWait, Query, RowMark};
use crate::evaluate::Program;

impl Changes<'_> {
    /// Runs a query with row marks and gives its rows.
    ///
    /// # Errors
    /// 40001, 40P01, 55P03, 0A000 for marks on what is no table; whatever the query raises.
    pub async fn lock_rows(&mut self, query: &Query) -> SqlResult<ReturnedRows> {
        if query.with_ties {
            return Err(SqlError::unsupported("WITH TIES together with a locking clause"));
        }
        let width = query.visible_targets().count();
        let limit = self.row_count(query.limit.as_ref(), negative_limit)?;
        let offset = self.row_count(query.offset.as_ref(), negative_offset)?.unwrap_or(0);
        let (source, marks) = with_row_keys(query)?;
        let mut rows = self.no_rows(&query.targets);
        let mut locked = 0_u64;
        let mut stream = self.start(&source.query)?;
        while let Some(batch) = stream.next().await? {
            for at in 0..batch.len() {
                let enough = limit.is_some_and(|limit| locked >= offset.saturating_add(limit));
                if enough {
                    return Ok(rows);
                }
                let found = batch.row(at);
                if let Some(mut row) = self.lock_row(&source, &marks, found).await? {
                    locked += 1;
                    if locked > offset {
                        row.truncate(width);
                        rows.push(row)?;
                    }
                }
            }
            self.context.cancel.check()?;
        }
        Ok(rows)
    }

    /// Locks the marked rows that one output row is made of: what it is now, or `None` where one of
    /// them is gone, no longer meets the condition, or is skipped.
    async fn lock_row(
        &mut self,
        source: &Traced,
        marks: &[Mark],
        row: Vec<Datum>,
    ) -> SqlResult<Option<Vec<Datum>>> {
        let mut newest = BTreeMap::new();
        for mark in marks {
            // The missing side of an outer join has no row to lock.
            let Datum::Bytea(key) = &row[mark.table.column] else {
                continue;
            };
            let wait = match mark.mark.wait {
                MarkWait::Block => self.row_lock_wait(),
                MarkWait::NoWait => RowLockWait::NoWait,
                MarkWait::SkipLocked => RowLockWait::SkipLocked,
            };
            let cancel = &self.context.cancel;
            let lock = self.txn.lock_row(mark.table.tree, key, mark.mark.mode, wait);
            match cancel.wait(lock).await.map_err(|error| mark.named(error))? {
                RowLockOutcome::Unchanged => {}
                RowLockOutcome::Skipped => return Ok(None),
                RowLockOutcome::Changed(_) if !self.rechecks() => {
                    return Err(serialization_failure("update"));
                }
                RowLockOutcome::Changed(None) => return Ok(None),
                RowLockOutcome::Changed(Some(stored)) => {
                    let known = KnownRow::decode(&mark.table.relation, key, &stored)?;
                    newest.insert(mark.table.column, known);
                }
            }
        }
        if newest.is_empty() {
            return Ok(Some(row));
        }
        self.run_again(source, &row, &newest).await
    }

    /// The value of LIMIT or OFFSET; `None` without one.
    fn row_count(&self, expr: Option<&Expr>, negative: fn() -> SqlError) -> SqlResult<Option<u64>> {
        let Some(expr) = expr else {
            return Ok(None);
        };
        match Program::compile_slots(expr)?.evaluate(&[], &self.evaluation())? {
            Datum::Int8(count) => u64::try_from(count).map(Some).map_err(|_| negative()),
            _ => Ok(None),
        }
    }
}

fn negative_limit() -> SqlError {
    SqlError::new(SqlState::InvalidRowCountInLimitClause, "LIMIT must not be negative")
}

fn negative_offset() -> SqlError {
    SqlError::new(SqlState::InvalidRowCountInResultOffsetClause, "OFFSET must not be negative")
}

/// A row mark with its table.
struct Mark {
    mark: RowMark,
    table: TracedTable,
}

impl Mark {
    /// Names the relation in NOWAIT's error, as PostgreSQL does.
    fn named(&self, error: SqlError) -> SqlError {
        if error.code() == SqlState::LockNotAvailable && self.mark.wait == MarkWait::NoWait {
            return SqlError::new(
                SqlState::LockNotAvailable,
                format!(
                    "could not obtain lock on row in relation \"{}\"",
                    self.table.relation.name
                ),
            );
        }
        error
    }
}

/// The query without marks and limits, with the row key of each marked table behind its own columns.
fn with_row_keys(query: &Query) -> SqlResult<(Traced, Vec<Mark>)> {
    let mut source = query.clone();
    source.limit = None;
    source.offset = None;
    let marks = std::mem::take(&mut source.row_marks);
    let paths: Vec<&[usize]> = marks.iter().map(|mark| mark.path.as_slice()).collect();
    let traced = Traced::new(&source, &paths);
    let marks = marks
        .into_iter()
        .map(|mark| Ok(Mark { table: traced.table(&mark.path)?, mark }))
        .collect::<SqlResult<_>>()?;
    Ok((traced, marks))
}
