//! SELECT … FOR UPDATE and its kin: the rows of a query, each locked before it is given.
//!
//! Locking comes below LIMIT, as in PostgreSQL: rows are locked one by one until enough are, so that
//! `SKIP LOCKED LIMIT 1` takes one job off a queue and leaves the others alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use aegis_storage::{Row, RowLockMode, RowLockOutcome, RowLockWait};
use aegis_types::{Datum, Oid, SqlError, SqlResult, SqlState};
use async_trait::async_trait;

use super::foreign_key::same;
use super::recheck::{Traced, TracedTable};
use super::row_locks::Around;
use super::table::{TableAccess, position};
use super::{Changes, ReturnedRows, RowLocks, serialization_failure};
use crate::bound::{Distinct, Expr, JoinTree, KnownRow, MarkWait, Query, RowMark, RteKind};
use crate::evaluate::{Evaluation, Program};
use crate::query_engine::{DatumRows, RowBatch, RowStream, StatementContext};

impl Changes<'_> {
    /// Runs a query with row marks and gives its rows.
    ///
    /// # Errors
    /// 40001, 40P01, 55P03, 0A000 for marks on what is no table; whatever the query raises.
    pub async fn lock_rows(&mut self, query: &Query) -> SqlResult<ReturnedRows> {
        let source = LockedQuery::new(query)?;
        let limit = row_count(query.limit.as_ref(), negative_limit, &self.evaluation())?;
        let offset =
            row_count(query.offset.as_ref(), negative_offset, &self.evaluation())?.unwrap_or(0);
        let mut rows = self.no_rows(&query.targets);
        let mut locked = 0_u64;
        let context = StatementContext { may_stop: query.limit.is_some(), ..self.context.clone() };
        let mut stream = self.engine.plan(source.query(), &context)?.execute(context)?;
        while let Some(batch) = self.next_of(&mut stream).await? {
            for at in 0..batch.len() {
                let enough = limit.is_some_and(|limit| locked >= offset.saturating_add(limit));
                if enough {
                    return Ok(rows);
                }
                let found = batch.row(at);
                if let Some(mut row) = self.lock_row(&source, found).await? {
                    locked += 1;
                    if locked > offset {
                        row.truncate(source.width);
                        rows.push(row)?;
                    }
                }
            }
            self.context.cancel.check()?;
        }
        Ok(rows)
    }

    /// Which of the marked rows that an output row is made of have changed since the statement's
    /// snapshot, whatever snapshots the transaction has taken since; `None` if one of them is gone, or
    /// if the transaction itself has changed it since. They are locked.
    pub(super) fn newer_rows(
        &self,
        source: &LockedQuery,
        row: &[Datum],
    ) -> SqlResult<Option<NewerRows>> {
        let mut newest = BTreeMap::new();
        for mark in &source.marks {
            let Datum::Bytea(key) = &row[mark.table.column] else {
                continue;
            };
            let seen = self.context.view.get(mark.table.tree, key)?;
            let now = self.txn.get_newest(mark.table.tree, key)?;
            match (seen, now) {
                (_, None) => return Ok(None),
                (Some(seen), Some(now)) if seen.value == now.value => {}
                _ if self.txn.has_changed(mark.table.tree, key)? => return Ok(None),
                (Some(_), Some(now)) if self.keeps_key(mark, key, &now)? => {}
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
        source: &LockedQuery,
        row: Vec<Datum>,
    ) -> SqlResult<Option<Vec<Datum>>> {
        match self.take_locks(source, &row).await? {
            None => Ok(None),
            Some(newest) if newest.is_empty() => Ok(Some(row)),
            Some(newest) => self.run_again(&source.traced, &row, &newest).await,
        }
    }

    /// Locks the marked rows that one output row is made of, and tells which of them have changed since
    /// the transaction's snapshot; `None` where one of them is gone, or is skipped.
    pub(super) async fn take_locks(
        &mut self,
        source: &LockedQuery,
        row: &[Datum],
    ) -> SqlResult<Option<NewerRows>> {
        let mut newest = BTreeMap::new();
        for mark in &source.marks {
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
                RowLockOutcome::Changed(Some(now)) if self.keeps_key(mark, key, &now)? => {}
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
        Ok(Some(newest))
    }

    /// Whether a lock of a row's key alone is no matter of how the row has changed: then it is given
    /// as the statement's snapshot has it, even at REPEATABLE READ, as in PostgreSQL. What deletes
    /// a row or changes one of its keys counts.
    fn keeps_key(&self, mark: &Mark, key: &[u8], now: &Row) -> SqlResult<bool> {
        if mark.mark.mode != RowLockMode::ForKeyShare {
            return Ok(false);
        }
        let Some(seen) = self.context.view.get(mark.table.tree, key)? else {
            return Ok(false);
        };
        let table = TableAccess::new(&mark.table.relation, self.context)?;
        let (seen, now) = (table.layout.decode(&seen.value)?, table.layout.decode(&now.value)?);
        let referable = table.indexes.iter().filter(|index| index.is_referable());
        let mut places = referable.flat_map(|index| &index.columns).map(|number| position(*number));
        Ok(places.all(|at| same(table.layout.column_type(at).oid, &seen[at], &now[at])))
    }
}

/// Rows that are others than the query saw, by the output column of their keys.
pub(super) type NewerRows = BTreeMap<usize, KnownRow>;

/// A query with row marks as it is planned: without the marks and limits, and with what locking its
/// rows and looking at them again needs behind its own columns.
pub struct LockedQuery {
    pub(super) traced: Traced,
    marks: Vec<Mark>,
    width: usize,
}

impl LockedQuery {
    /// Takes a query apart.
    ///
    /// # Errors
    /// 0A000 for marks on what is no table, and for WITH TIES.
    pub fn new(query: &Query) -> SqlResult<Self> {
        if query.with_ties {
            return Err(SqlError::unsupported("WITH TIES together with a locking clause"));
        }
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
        Ok(Self { traced, marks, width: query.visible_targets().count() })
    }

    /// What gives the rows to lock.
    #[must_use]
    pub const fn query(&self) -> &Arc<Query> {
        &self.traced.query
    }

    /// How many of its columns are the query's own: the first.
    #[must_use]
    pub const fn width(&self) -> usize {
        self.width
    }
}

/// The rows of a cursor's query, each locked when it is asked for, with the row key of each marked
/// table behind its own columns; and which relation each of those keys is of.
///
/// # Errors
/// 0A000 for marks on what is no table; whatever planning raises.
pub fn locked_rows(
    query: &Query,
    context: StatementContext,
) -> SqlResult<(Box<dyn RowStream>, Vec<Oid>)> {
    let locks = context
        .locks
        .clone()
        .ok_or_else(|| SqlError::internal("a cursor has a transaction to lock rows in"))?;
    let source = LockedQuery::new(query)?;
    let evaluation = context.evaluation();
    let limit = row_count(query.limit.as_ref(), negative_limit, &evaluation)?;
    let offset = row_count(query.offset.as_ref(), negative_offset, &evaluation)?.unwrap_or(0);
    let stream = locks.engine.plan(source.query(), &context)?.execute(context.clone())?;
    let relations = source.marks.iter().map(|mark| mark.table.relation.oid).collect();
    let rows = LockingStream { locks, context, source, stream, batch: None, limit, offset };
    Ok((Box::new(rows), relations))
}

/// Gives a row at a time: who fetches one row locks no other.
struct LockingStream {
    locks: Arc<RowLocks>,
    context: StatementContext,
    source: LockedQuery,
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
}

#[async_trait]
impl RowStream for LockingStream {
    async fn next(&mut self) -> SqlResult<Option<Box<dyn RowBatch>>> {
        loop {
            if self.limit == Some(0) {
                return Ok(None);
            }
            self.context.cancel.check()?;
            let Some(found) = self.next_found().await? else {
                return Ok(None);
            };
            let around = || Ok(Around::default());
            let locked = self.locks.lock(&self.context, &self.source, found, around).await?;
            let Some(row) = locked else {
                continue;
            };
            if self.offset > 0 {
                self.offset -= 1;
                continue;
            }
            if let Some(limit) = &mut self.limit {
                *limit -= 1;
            }
            let keys = self.source.marks.iter().map(|mark| row[mark.table.column].clone());
            let row = row[..self.source.width].iter().cloned().chain(keys).collect();
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
