//! Locks for the rows of subqueries: plans take them while they run, in the statement's transaction.
//!
//! ```text
//! UPDATE job … WHERE id IN (SELECT id FROM job … LIMIT 10 FOR UPDATE SKIP LOCKED)
//!
//!   Changes ── next_of: lends the transaction ──► plan ── LockRows ──► RowLocks::lock, row by row
//!           ◄── batch: has it again ─────────────
//! ```
//!
//! A row that others have changed since the statement's snapshot is looked at again, as those of the
//! outermost query are. What its query takes from the queries around it is put in as values then.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aegis_storage::Transaction;
use aegis_types::{Datum, SqlError, SqlResult};
use tokio::sync::Mutex;

use super::lent::is_held_here;
use super::lock_rows::LockedQuery;
use super::{Changes, KeptRows, RowIds};
use crate::analyze::walk::{Rewriter, rewrite_query};
use crate::bound::{Expr, Query, RteKind};
use crate::query_engine::{QueryEngine, StatementContext};

/// What a statement lends its plans to lock rows with.
pub struct RowLocks {
    /// The transaction, free while rows are asked for.
    pub transaction: Arc<Mutex<Option<Transaction>>>,
    /// Who plans what is looked at again.
    pub engine: Arc<dyn QueryEngine>,
    /// Hidden row ids.
    pub row_ids: Arc<RowIds>,
    /// `lock_timeout`; none waits for ever.
    pub lock_timeout: Option<Duration>,
    /// Whether the transaction is held by a definition, which does not lend it.
    pub held: AtomicBool,
}

/// What a query reads of the queries around it, `levels` of them outward from 1.
#[derive(Default)]
pub struct Around {
    /// Columns: levels, entry, column.
    pub columns: BTreeMap<(usize, usize, i16), Datum>,
    /// Common table expressions: levels, index.
    pub ctes: BTreeMap<(usize, usize), Arc<KeptRows>>,
}

impl RowLocks {
    /// Whether waiting for the transaction would be for ever: whoever evaluates what asks for it holds
    /// it.
    #[must_use]
    pub fn is_held(&self) -> bool {
        is_held_here() || self.held.load(Ordering::Relaxed)
    }

    /// Locks the marked rows that one row of a query is made of: what it is now, or `None` where one
    /// of them is gone, no longer meets the condition, or is skipped.
    ///
    /// # Errors
    /// 40001, 40P01, 55P03; 0A000 in a function that is called while its caller writes; whatever
    /// looking again raises.
    pub async fn lock(
        &self,
        context: &StatementContext,
        source: &LockedQuery,
        found: Vec<Datum>,
        around: impl FnOnce() -> SqlResult<Around> + Send,
    ) -> SqlResult<Option<Vec<Datum>>> {
        if self.is_held() {
            return Err(SqlError::unsupported(
                "a locking clause in this place, while its statement writes",
            ));
        }
        let (engine, row_ids) = (&*self.engine, &*self.row_ids);
        let transaction = &self.transaction;
        let mut changes =
            Changes::sharing(transaction, context, engine, row_ids, self.lock_timeout).await?;
        if changes.take_locks(source, &found).await?.is_none() {
            return Ok(None);
        }
        let newest = match changes.newer_rows(source, &found)? {
            None => return Ok(None),
            Some(newest) if newest.is_empty() => return Ok(Some(found)),
            Some(newest) => newest,
        };
        changes.txn.give();
        let around = around()?;
        changes.txn.take().await?;
        let inward = |query: &mut Query| rewrite_query(query, 0, &mut Inward(&around));
        changes.run_again_with(&source.traced, &found, &newest, inward).await
    }
}

/// Puts values in the place of what is read of queries around.
struct Inward<'a>(&'a Around);

impl Rewriter for Inward<'_> {
    fn expr(&mut self, expr: &mut Expr, depth: usize) {
        if let Expr::Column { entry, column, levels_up, ty } = expr
            && let Some(levels) = levels_up.checked_sub(depth)
            && let Some(value) = self.0.columns.get(&(levels, *entry, *column))
        {
            *expr = Expr::Const { value: value.clone(), ty: *ty };
        }
    }

    fn entry(&mut self, kind: &mut RteKind, depth: usize) {
        if let RteKind::Cte { index, levels_up } = kind
            && let Some(levels) = levels_up.checked_sub(depth)
            && let Some(rows) = self.0.ctes.get(&(levels, *index))
        {
            *kind = RteKind::Returned(rows.clone());
        }
    }
}
