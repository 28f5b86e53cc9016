//! Following what an engine has more and more of, for `COPY (SUBSCRIBE …) TO STDOUT`.
//!
//! ```text
//! for each part: rows from its position on, over the newest state ─► wanted ones ─► client
//!        ▲                                     │ none anywhere
//!        └──────── channel is woken ◄──────────┘
//! ```
//!
//! Rows are read when the client has taken those before, and nothing is pinned while nothing comes: a
//! slow client, or an idle subscription, costs a batch of memory.

use std::sync::Arc;

use aegis_sql::ast::{Statement, TailStmt};
use aegis_sql::bound::BoundStatement;
use aegis_sql::query_engine::{
    CancelFlag, DatumRows, QueryPlan, RowBatch, RowStream, StatementContext,
};
use aegis_types::{Datum, Oid, SqlError, SqlResult, TypeRef, type_oid};
use async_trait::async_trait;
use tokio::sync::watch;

use super::Session;
use super::rerun::Rerun;
use crate::instance::Instance;

/// The types of a part and of a position.
const PARAMETERS: [Option<Oid>; 2] = [Some(type_oid::INT4), Some(type_oid::INT8)];

/// Names and types of what a subscription sends.
type Columns = Vec<(String, TypeRef)>;

impl Session {
    /// Begins to follow.
    pub(super) async fn tail(
        &mut self,
        tail: &TailStmt,
    ) -> SqlResult<(Box<dyn RowStream>, Columns, StatementContext)> {
        let heard = self.instance.notifications.hear(self.database, &tail.channel);
        let mut parts = Vec::new();
        let (plan, context, _) = self.tail_plan(&tail.starts, &[]).await?;
        let mut starts = plan.execute(context)?;
        while let Some(batch) = starts.next().await? {
            for at in 0..batch.len() {
                let (Datum::Int4(part), Datum::Int8(position)) =
                    (batch.datum(at, 0), batch.datum(at, 1))
                else {
                    return Err(SqlError::internal("a subscription begins nowhere"));
                };
                parts.push((part, position));
            }
        }
        let (plan, context, mut columns) = self.tail_plan(&tail.rows, &PARAMETERS).await?;
        columns.pop();
        // The subscription has views of its own.
        if let Some(txn) = self.shared_transaction()?.lock().await.as_mut() {
            txn.forget_snapshot();
        }
        let statement = Arc::new(tail.rows.clone());
        let rerun = self.rerun(statement, PARAMETERS.to_vec(), plan, &context)?;
        let idle = rerun.idle().clone();
        let stream = Tail {
            instance: self.instance.clone(),
            rerun,
            parts,
            next_part: 0,
            heard,
            is_idle: false,
            cancel: self.cancel.clone(),
        };
        Ok((Box::new(stream), columns, idle))
    }

    async fn tail_plan(
        &mut self,
        statement: &Statement,
        parameters: &[Option<Oid>],
    ) -> SqlResult<(Arc<dyn QueryPlan>, StatementContext, Columns)> {
        // Nothing is locked: it lasts for ever, and each run looks at the newest catalog.
        let catalog = self.current_catalog();
        let analyzed = Arc::new(self.analyze(statement, parameters.to_vec(), false, &catalog)?);
        self.check_allowed(&analyzed, &catalog)?;
        let BoundStatement::Query(query) = &analyzed.statement else {
            return Err(SqlError::internal("a subscription is a query"));
        };
        let values = parameters.iter().map(|_| Datum::Null).collect();
        let context = self.statement_context(catalog, values).await?;
        let plan = self.instance.engine.plan(query, &context)?;
        let columns = analyzed.columns.iter().map(|column| (column.name.clone(), column.ty));
        Ok((plan, context, columns.collect()))
    }
}

struct Tail {
    instance: Arc<Instance>,
    rerun: Rerun,
    /// Parts, and where each goes on.
    parts: Vec<(i32, i64)>,
    next_part: usize,
    heard: watch::Receiver<u64>,
    /// Whether whoever reads was told that there is nothing now.
    is_idle: bool,
    cancel: CancelFlag,
}

impl Tail {
    /// Rows of one part, if it has any: those that are wanted.
    async fn rows_of(&mut self, at: usize) -> SqlResult<Option<Vec<Vec<Datum>>>> {
        let (part, position) = self.parts[at];
        let view = self.instance.store.newest_view()?;
        let parameters = Arc::new([Datum::Int4(part), Datum::Int8(position)]);
        let mut rows = self.rerun.run(view, parameters, None)?;
        let mut found: Option<Vec<Vec<Datum>>> = None;
        while let Some(batch) = rows.next().await? {
            for row in 0..batch.len() {
                let mut row = batch.row(row);
                if let Datum::Int8(position) = row[1] {
                    self.parts[at].1 = position + 1;
                }
                let is_wanted = matches!(row.pop(), Some(Datum::Bool(true)));
                let found = found.get_or_insert_default();
                if is_wanted {
                    found.push(row);
                }
            }
        }
        Ok(found)
    }
}

#[async_trait]
impl RowStream for Tail {
    async fn next(&mut self) -> SqlResult<Option<Box<dyn RowBatch>>> {
        loop {
            self.cancel.check()?;
            self.heard.mark_unchanged();
            let mut any = false;
            for step in 0..self.parts.len() {
                let at = (self.next_part + step) % self.parts.len();
                let Some(found) = self.rows_of(at).await? else { continue };
                any = true;
                if !found.is_empty() {
                    self.next_part = at + 1;
                    self.is_idle = false;
                    return Ok(Some(Box::new(DatumRows(found))));
                }
            }
            if any {
                continue;
            }
            if !self.is_idle {
                self.is_idle = true;
                return Ok(Some(Box::new(DatumRows(Vec::new()))));
            }
            tokio::select! {
                biased;
                error = self.cancel.cancelled() => return Err(error),
                woken = self.heard.changed() => {
                    woken.map_err(|_| SqlError::internal("nobody wakes a subscription"))?;
                }
            }
        }
    }
}
