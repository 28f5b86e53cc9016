//! Changes of data: INSERT, UPDATE, DELETE over the rows that a plan yields.
//!
//! ```text
//! bound::Update ── plan(source) ──► (row key, new values) ── lock row ──► changed since? ─┐
//!                                                                no ▼          yes ▼      │
//!                                                          write row    READ COMMITTED: run the
//!                                                          and indexes  source again for this row;
//!                                                                       REPEATABLE READ: 40001
//! ```
//!
//! The source is an ordinary query: DataFusion or the point path yields which rows change and to
//! what, and this module locks, checks again, checks constraints and writes. Rows are written while
//! the source is still read: a scan does not see writes of its own command.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aegis_catalog::CatalogSnapshot;
use aegis_storage::{Direction, IsolationLevel, KeyRange, ReadView, Transaction, TreeId};
use aegis_types::{Datum, EvalContext, SqlError, SqlResult, SqlState};
use parking_lot::Mutex;

use crate::evaluate::Evaluation;
use crate::query_engine::{QueryEngine, RowBatch, RowStream, StatementContext};

mod change;
mod conflict;
mod foreign_key;
mod kept;
mod lent;
mod lock_rows;
mod pending;
mod recheck;
pub(crate) mod returned;
mod returning;
mod row_locks;
mod table;
mod with;
mod write;

pub use kept::{Kept, TableLock};
pub use lent::{Lent, holding, is_held_here};
pub use lock_rows::{LockedQuery, locked_rows, with_current_row};
pub use pending::{DeferredChecks, DeferredMark, LookAt, PendingChecks};
pub use returned::{KeptRows, ReturnedRows};
pub use row_locks::{Around, RowLocks};
pub use table::TableAccess;
pub(crate) use table::compile_over_row;
pub use with::with_settled_source;
pub use write::{InsertOutcome, OldRow};

/// Everything that a change of data works with.
pub struct Changes<'a> {
    /// The transaction that writes.
    pub txn: Lent<'a>,
    /// The statement's view, settings, parameters and host.
    pub context: &'a StatementContext,
    /// Who plans sources.
    pub engine: &'a dyn QueryEngine,
    /// Where hidden row ids come from.
    pub row_ids: &'a RowIds,
    /// `lock_timeout`; none waits for ever.
    pub lock_timeout: Option<Duration>,
    /// What is looked at when the statement ends: a row may reference one that the same statement
    /// inserts later.
    pub(crate) pending: PendingChecks,
    /// How deep cascades have led.
    pub(crate) cascade_depth: usize,
    /// The columns of inserted rows that the statement returns.
    pub returned_columns: BTreeSet<i16>,
    /// Whether engines have their say in what is written to their tables.
    pub asks_engines: bool,
    /// What the statement has kept, if it has one change alone.
    kept: Option<Kept>,
    /// The rows that a statement with several changes of data has changed so far; none while there
    /// is only one.
    changed_in_with: Option<RowKeys>,
}

/// Rows by tree and key.
type RowKeys = HashSet<(TreeId, Vec<u8>)>;

/// What a change of data gave.
#[derive(Debug)]
pub struct Changed {
    /// How many rows it inserted, updated or deleted.
    pub rows: u64,
    /// The rows of `RETURNING`.
    pub returned: ReturnedRows,
}

impl<'a> Changes<'a> {
    /// Makes ready to change data in a statement.
    #[must_use]
    pub fn new(
        txn: &'a mut Transaction,
        context: &'a StatementContext,
        engine: &'a dyn QueryEngine,
        row_ids: &'a RowIds,
        lock_timeout: Option<Duration>,
    ) -> Self {
        Self::over(Lent::whole(txn), context, engine, row_ids, lock_timeout)
    }

    /// Likewise, for a statement with functions that may write themselves: they find the transaction
    /// free while they are evaluated.
    ///
    /// # Errors
    /// XX000 where the transaction is over.
    pub async fn sharing(
        txn: &'a tokio::sync::Mutex<Option<Transaction>>,
        context: &'a StatementContext,
        engine: &'a dyn QueryEngine,
        row_ids: &'a RowIds,
        lock_timeout: Option<Duration>,
    ) -> SqlResult<Self> {
        let txn = Lent::shared(txn).await?;
        Ok(Self::over(txn, context, engine, row_ids, lock_timeout))
    }

    fn over(
        txn: Lent<'a>,
        context: &'a StatementContext,
        engine: &'a dyn QueryEngine,
        row_ids: &'a RowIds,
        lock_timeout: Option<Duration>,
    ) -> Self {
        Self {
            txn,
            context,
            engine,
            row_ids,
            lock_timeout,
            pending: PendingChecks::default(),
            cascade_depth: 0,
            returned_columns: BTreeSet::new(),
            asks_engines: true,
            kept: None,
            changed_in_with: None,
        }
    }

    /// The next rows of a source, whose functions may write.
    pub(crate) async fn next_of(
        &mut self,
        source: &mut Box<dyn RowStream>,
    ) -> SqlResult<Option<Box<dyn RowBatch>>> {
        self.txn.give();
        let batch = source.next().await;
        self.txn.take().await?;
        batch
    }

    /// Evaluates something of a row, whose functions may write.
    pub(crate) async fn evaluate<T>(
        &mut self,
        work: impl FnOnce(&Evaluation<'_>) -> SqlResult<T>,
    ) -> SqlResult<T> {
        if !self.txn.is_shared() {
            return holding(|| work(&self.evaluation()));
        }
        self.txn.give();
        let value = work(&self.evaluation());
        self.txn.take().await?;
        value
    }

    /// Reads a row whose functions may write, as COPY does.
    ///
    /// # Errors
    /// What reading raises.
    pub async fn reading<T>(&mut self, read: impl FnOnce() -> SqlResult<T>) -> SqlResult<T> {
        self.evaluate(|_| read()).await
    }

    /// Refuses a row that breaks NOT NULL or CHECK.
    pub(super) async fn check_row(&mut self, table: &TableAccess, row: &[Datum]) -> SqlResult<()> {
        if table.has_checks() {
            return self.evaluate(|evaluation| table.check_row(row, evaluation)).await;
        }
        table.check_row(row, &self.evaluation())
    }

    /// The same for a statement that was analyzed once to be run many times.
    #[must_use]
    pub fn keeping(mut self, kept: &Kept) -> Self {
        self.kept = Some(kept.clone());
        self
    }

    /// Puts back the checks that an earlier part of the same statement left to its end.
    #[must_use]
    pub fn resume(mut self, pending: PendingChecks) -> Self {
        self.pending = pending;
        self
    }

    /// Stops in the middle of a statement, as COPY does between two messages.
    #[must_use]
    pub fn suspend(self) -> PendingChecks {
        self.pending
    }

    /// The catalog that the statement was bound with.
    #[must_use]
    pub fn catalog(&self) -> &'a Arc<CatalogSnapshot> {
        &self.context.catalog
    }

    pub(crate) fn evaluation(&self) -> Evaluation<'a> {
        self.context.evaluation()
    }

    /// How long to wait for a row.
    #[must_use]
    pub fn lock_wait(&self) -> aegis_storage::RowLockWait {
        self.row_lock_wait()
    }

    pub(crate) fn row_lock_wait(&self) -> aegis_storage::RowLockWait {
        aegis_storage::RowLockWait::Wait { timeout: self.lock_timeout }
    }

    /// Whether a row that changed after the snapshot is read anew (READ COMMITTED) or refused.
    pub(crate) fn rechecks(&self) -> bool {
        self.txn.options().isolation == IsolationLevel::ReadCommitted
    }
}

impl StatementContext {
    /// What scalar functions may know.
    #[must_use]
    pub fn eval(&self) -> EvalContext<'_> {
        EvalContext {
            settings: &self.settings,
            transaction_timestamp: self.transaction_timestamp,
            statement_timestamp: self.statement_timestamp,
            host: &*self.host,
        }
    }

    /// What programs are evaluated with.
    #[must_use]
    pub fn evaluation(&self) -> Evaluation<'_> {
        Evaluation { eval: self.eval(), parameters: &self.parameters }
    }

    /// The same statement over another view.
    #[must_use]
    pub fn over(&self, view: ReadView) -> Self {
        Self { view, ..self.clone() }
    }
}

/// 40001, in PostgreSQL's words.
pub(crate) fn serialization_failure(what: &str) -> SqlError {
    SqlError::new(
        SqlState::TRSerializationFailure,
        format!("could not serialize access due to concurrent {what}"),
    )
}

/// The hidden row ids of tables without a primary key: monotone, handed out in memory, found again
/// after a restart behind the greatest id that the tree holds.
///
/// An id belongs to one transaction from the moment it is handed out; one that rolls back leaves a
/// gap.
#[derive(Debug, Default)]
pub struct RowIds(Mutex<HashMap<TreeId, Arc<AtomicU64>>>);

impl RowIds {
    /// The next id of a tree.
    ///
    /// # Errors
    /// Whatever reading the tree's last key raises.
    pub fn next(&self, tree: TreeId, txn: &Transaction) -> SqlResult<u64> {
        let counter = self.counter(tree, txn)?;
        Ok(counter.fetch_add(1, Ordering::Relaxed))
    }

    fn counter(&self, tree: TreeId, txn: &Transaction) -> SqlResult<Arc<AtomicU64>> {
        let mut counters = self.0.lock();
        if let Some(counter) = counters.get(&tree) {
            return Ok(counter.clone());
        }
        let mut scan = txn.newest_view()?.scan(tree, KeyRange::all(), Direction::Backward)?;
        let mut block = aegis_storage::Block::default();
        let last = if scan.next_block(&mut block)? && !block.is_empty() {
            let key = block.row(0).key;
            key.try_into().map(u64::from_be_bytes).unwrap_or_default()
        } else {
            0
        };
        let counter = Arc::new(AtomicU64::new(last + 1));
        counters.insert(tree, counter.clone());
        Ok(counter)
    }
}
