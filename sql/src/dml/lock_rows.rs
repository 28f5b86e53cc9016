//! SELECT … FOR UPDATE and its kin: the rows of a query, each locked before it is given.
//!
//! Locking comes below LIMIT, as in PostgreSQL: rows are locked one by one until enough are, so that
//! `SKIP LOCKED LIMIT 1` takes one job off a queue and leaves the others alone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aegis_storage::{RowLockOutcome, RowLockWait, Transaction};
use aegis_types::{Datum, Oid, SqlError, SqlResult, SqlState};
use async_trait::async_trait;

use super::recheck::{Traced, TracedTable};
use super::{Changes, ReturnedRows, RowIds, serialization_failure};
use crate::bound::{Distinct, Expr, JoinTree, KnownRow, MarkWait, Query, RowMark, RteKind};
use crate::evaluate::{Evaluation, Program};
use crate::query_engine::{DatumRows, QueryEngine, RowBatch, RowStream, StatementContext};

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
        let limit = row_count(query.limit.as_ref(), negative_limit, &self.evaluation())?;
        let offset =
            row_count(query.offset.as_ref(), negative_offset, &self.evaluation())?.unwrap_or(0);
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

    /// Whether a marked row of an output row has changed since the query's snapshot, under a lock
    /// that says nothing of it as the transaction has taken newer snapshots since.
    fn newer_rows(&self, marks: &[Mark], row: &[Datum]) -> SqlResult<Option<NewerRows>> {
        let mut newest = BTreeMap::new();
        for mark in marks {
            let Datum::Bytea(key) = &row[mark.table.column] else {
                continue;
            };
            let seen = self.context.view.get(mark.table.tree, key)?;
            let now = self.txn.get_newest(mark.table.tree, key)?;
            match (seen, now) {
                (_, None) => return Ok(None),
                (Some(seen), Some(now)) if seen.value == now.value => {}
                (_, Some(_)) if !self.rechecks() => {
                    return Err(serialization_failure("update"));
                }
                (_, Some(now)) => {
                    let known = KnownRow::decode(&mark.table.relation, key, &now)?;
                    newest.insert(mark.table.column, known);
                }
            }
        }
        Ok(Some(newest))
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
}

/// Rows that are others than the query saw, by the output column of their keys.
type NewerRows = BTreeMap<usize, KnownRow>;

/// What a cursor over a query with row marks works with: the transaction is the cursor's only while
/// a row is fetched.
pub struct LockedRows {
    /// The transaction of the cursor.
    pub transaction: Arc<tokio::sync::Mutex<Option<Transaction>>>,
    /// The statement that declared it.
    pub context: StatementContext,
    /// Who plans the query.
    pub engine: Arc<dyn QueryEngine>,
    /// Hidden row ids.
    pub row_ids: Arc<RowIds>,
    /// `lock_timeout`; none waits for ever.
    pub lock_timeout: Option<Duration>,
}

impl LockedRows {
    /// The rows of a query, each locked when it is asked for, with the row key of each marked table
    /// behind its own columns; and which relation each of those keys is of.
    ///
    /// # Errors
    /// 0A000 for marks on what is no table; whatever planning raises.
    pub fn stream(self, query: &Query) -> SqlResult<(Box<dyn RowStream>, Vec<Oid>)> {
        if query.with_ties {
            return Err(SqlError::unsupported("WITH TIES together with a locking clause"));
        }
        let (source, marks) = with_row_keys(query)?;
        let evaluation = self.context.evaluation();
        let limit = row_count(query.limit.as_ref(), negative_limit, &evaluation)?;
        let offset = row_count(query.offset.as_ref(), negative_offset, &evaluation)?.unwrap_or(0);
        let stream =
            self.engine.plan(&source.query, &self.context)?.execute(self.context.clone())?;
        let relations = marks.iter().map(|mark| mark.table.relation.oid).collect();
        let width = query.visible_targets().count();
        let rows =
            LockingStream { rows: self, source, marks, width, stream, batch: None, limit, offset };
        Ok((Box::new(rows), relations))
    }
}

/// Gives a row at a time: who fetches one row locks no other.
struct LockingStream {
    rows: LockedRows,
    source: Traced,
    marks: Vec<Mark>,
    width: usize,
    stream: Box<dyn RowStream>,
    batch: Option<(Box<dyn RowBatch>, usize)>,
    limit: Option<u64>,
    offset: u64,
}

impl LockingStream {
    async fn next_found(&mut self) -> SqlResult<Option<Vec<Datum>>> {
        loop {
            if let Some((batch, at)) = &mut self.batch {
                if *at < batch.len() {
                    *at += 1;
                    return Ok(Some(batch.row(*at - 1)));
                }
                self.batch = None;
            }
            match self.stream.next().await? {
                Some(batch) => self.batch = Some((batch, 0)),
                None => return Ok(None),
            }
        }
    }

    async fn lock(&mut self, found: Vec<Datum>) -> SqlResult<Option<Vec<Datum>>> {
        let rows = &self.rows;
        let mut guard = rows.transaction.lock().await;
        let txn = guard
            .as_mut()
            .ok_or_else(|| SqlError::internal("the transaction of a cursor is over"))?;
        let mut changes =
            Changes::new(txn, &rows.context, &*rows.engine, &rows.row_ids, rows.lock_timeout);
        let Some(row) = changes.lock_row(&self.source, &self.marks, found).await? else {
            return Ok(None);
        };
        match changes.newer_rows(&self.marks, &row)? {
            None => Ok(None),
            Some(newest) if newest.is_empty() => Ok(Some(row)),
            Some(newest) => changes.run_again(&self.source, &row, &newest).await,
        }
    }
}

#[async_trait]
impl RowStream for LockingStream {
    async fn next(&mut self) -> SqlResult<Option<Box<dyn RowBatch>>> {
        loop {
            if self.limit == Some(0) {
                return Ok(None);
            }
            self.rows.context.cancel.check()?;
            let Some(found) = self.next_found().await? else {
                return Ok(None);
            };
            let Some(row) = self.lock(found).await? else {
                continue;
            };
            if self.offset > 0 {
                self.offset -= 1;
                continue;
            }
            if let Some(limit) = &mut self.limit {
                *limit -= 1;
            }
            let keys = self.marks.iter().map(|mark| row[mark.table.column].clone());
            let row = row[..self.width].iter().cloned().chain(keys).collect();
            return Ok(Some(Box::new(DatumRows(vec![row]))));
        }
    }
}

/// The plan of a cursor's query as it is, or with the key of its one table's rows behind the columns
/// where `WHERE CURRENT OF` may name it: and then the table.
#[must_use]
pub fn with_current_row(query: &Arc<Query>) -> (Arc<Query>, Option<Oid>) {
    let is_plain = matches!(&query.from[..], [JoinTree::Entry(_)])
        && query.range_table.len() == 1
        && !query.grouped
        && !query.has_set_functions
        && query.windows.is_empty()
        && matches!(query.distinct, Distinct::No)
        && query.set_operation.is_none();
    let relation = match query.range_table.first().map(|entry| &entry.kind) {
        Some(RteKind::Relation(relation)) if is_plain && relation.as_table().is_some() => relation,
        _ => return (Arc::clone(query), None),
    };
    (Traced::new(query, &[]).query, Some(relation.oid))
}

/// The value of LIMIT or OFFSET; `None` without one.
fn row_count(
    expr: Option<&Expr>,
    negative: fn() -> SqlError,
    evaluation: &Evaluation<'_>,
) -> SqlResult<Option<u64>> {
    let Some(expr) = expr else {
        return Ok(None);
    };
    match Program::compile_slots(expr)?.evaluate(&[], evaluation)? {
        Datum::Int8(count) => u64::try_from(count).map(Some).map_err(|_| negative()),
        _ => Ok(None),
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
