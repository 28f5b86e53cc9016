//! The seam between whoever runs statements and whoever plans them.
//!
//! The planner crate implements [`QueryEngine`] with DataFusion; sessions and DML know this trait
//! alone. Rows travel in batches that encode themselves, so that a column of Arrow goes to the wire
//! without becoming datums.

use std::any::Any;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use aegis_catalog::{CatalogSnapshot, Relation};
use aegis_storage::ReadView;
use aegis_types::{Datum, FormatSettings, Host, SqlError, SqlResult, TypeRef};
use async_trait::async_trait;

use crate::bound::Query;
use crate::dml::{DeferredChecks, RowLocks};
use crate::explain::{ExplainRequest, Measure, PlanNode};
use crate::settings::Shortcuts;

/// What holds while one statement runs: shared by everything that the statement starts.
#[derive(Clone)]
pub struct StatementContext {
    /// What the statement sees.
    pub view: ReadView,
    /// The catalog that it was bound with.
    pub catalog: Arc<CatalogSnapshot>,
    /// The database that the session is connected to.
    pub database: aegis_types::Oid,
    /// Formatting settings.
    pub settings: Arc<FormatSettings>,
    /// `now()`, microseconds since 2000-01-01 UTC.
    pub transaction_timestamp: i64,
    /// `statement_timestamp()`, likewise.
    pub statement_timestamp: i64,
    /// Values of `$n`, of the types that they were bound with.
    pub parameters: Arc<[Datum]>,
    /// The session, for functions that need it.
    pub host: Arc<dyn Host>,
    /// Bytes that this query may hold before it spills (`work_mem` has no other meaning here).
    pub memory_bytes: usize,
    /// Where files without a name are made for what a statement keeps beyond that.
    pub temporary_files: Arc<Path>,
    /// The checks that its transaction has put off.
    pub deferred: Arc<DeferredChecks>,
    /// Set when the statement is to stop: long loops look at it.
    pub cancel: CancelFlag,
    /// Computes the rows of a system relation: implemented over the catalog.
    pub system_relations: Arc<dyn SystemRelations>,
    /// What rows of subqueries are locked with; none where nothing can be locked.
    pub locks: Option<Arc<RowLocks>>,
    /// Whether whoever reads the rows may stop before the last: then volatile functions are called for
    /// one row at a time, when it is asked for.
    pub may_stop: bool,
    /// Counts what plans do, where `EXPLAIN` asks for it.
    pub measure: Option<Arc<Measure>>,
    /// Adds up how long plans take to make, in nanoseconds, where that is counted.
    pub planned: Option<Arc<AtomicU64>>,
    /// Which ways around the long one it may take.
    pub shortcuts: Shortcuts,
}

/// A flag that a CancelRequest, a timeout or a shutdown sets, with the error to raise.
#[derive(Clone, Debug, Default)]
pub struct CancelFlag(Arc<Cancelled>);

#[derive(Debug, Default)]
struct Cancelled {
    error: std::sync::OnceLock<SqlError>,
    /// What stops with it.
    carried: parking_lot::Mutex<Option<CancelFlag>>,
    /// Who waits for something else meanwhile.
    waiting: tokio::sync::Notify,
}

impl CancelFlag {
    /// Asks the statement to stop with this error. The first caller wins.
    pub fn cancel(&self, error: SqlError) {
        let carried = self.0.carried.lock().clone();
        if let Some(carried) = carried {
            carried.cancel(error.clone());
        }
        let _already_cancelled = self.0.error.set(error);
        self.0.waiting.notify_waiters();
    }

    /// From here on the other flag is set together with this one: a FETCH that is cancelled stops
    /// the query of its cursor, which began under a flag of its own.
    pub fn carry(&self, other: &Self) {
        if Arc::ptr_eq(&self.0, &other.0) {
            return;
        }
        *self.0.carried.lock() = Some(other.clone());
        if let Some(error) = self.0.error.get() {
            other.cancel(error.clone());
        }
    }

    /// The error to stop with, once asked to.
    ///
    /// # Errors
    /// 57014 and whatever else the flag was set with.
    pub fn check(&self) -> SqlResult<()> {
        self.0.error.get().map_or(Ok(()), |error| Err(error.clone()))
    }
}

impl CancelFlag {
    /// Waits until the statement is to stop: the error to stop with.
    pub async fn cancelled(&self) -> SqlError {
        loop {
            let mut told = std::pin::pin!(self.0.waiting.notified());
            // Whoever cancels from here on tells this one.
            told.as_mut().enable();
            if let Some(error) = self.0.error.get() {
                return error.clone();
            }
            told.await;
        }
    }

    /// Waits for storage, as long as the statement is not to stop: giving up a wait for a lock is
    /// dropping it.
    ///
    /// # Errors
    /// What the wait raises, or what the flag was set with.
    pub async fn wait<T>(
        &self,
        work: impl Future<Output = aegis_storage::Result<T>>,
    ) -> SqlResult<T> {
        tokio::select! {
            biased;
            result = work => result.map_err(SqlError::from),
            error = self.cancelled() => Err(error),
        }
    }
}

/// The computed relations of `pg_catalog` and `information_schema`.
pub trait SystemRelations: Send + Sync {
    /// The columns of `schema.name`, in order; `None` if there is no such relation.
    fn columns(&self, name: &str) -> Option<Vec<(String, TypeRef)>>;

    /// Whether the current role may look up names in a schema.
    fn may_use_schema(&self, catalog: &CatalogSnapshot, schema: aegis_types::Oid) -> bool {
        let _ = (catalog, schema);
        true
    }

    /// Whether `restrict_nonsystem_relation_kind` keeps the session from reading views.
    fn refuses_views(&self) -> bool {
        false
    }

    /// Where a sequence stands: its columns `last_value`, `log_cnt` and `is_called`.
    ///
    /// # Errors
    /// What reading raises.
    fn sequence_row(&self, sequence: &Relation) -> SqlResult<Vec<Datum>> {
        Err(SqlError::internal(format!("sequence \"{}\" was read by analysis", sequence.name)))
    }

    /// Its rows for this statement.
    ///
    /// # Errors
    /// Whatever computing them raises.
    fn rows(&self, name: &str, context: &StatementContext) -> SqlResult<Vec<Vec<Datum>>>;
}

/// Makes plans of queries.
pub trait QueryEngine: Send + Sync {
    /// Plans a query. The plan can be run many times, with other parameters and snapshots.
    ///
    /// # Errors
    /// 0A000 for what cannot be planned.
    fn plan(&self, query: &Arc<Query>, context: &StatementContext)
    -> SqlResult<Arc<dyn QueryPlan>>;
}

/// A plan.
pub trait QueryPlan: Send + Sync {
    /// Starts it. Nothing is computed before the first batch is asked for; dropping the stream
    /// stops it.
    ///
    /// # Errors
    /// Whatever fails at the start.
    fn execute(self: Arc<Self>, context: StatementContext) -> SqlResult<Box<dyn RowStream>>;

    /// Starts it on the thread that asks for its rows: for a query within the expression of another,
    /// which holds a thread already.
    ///
    /// # Errors
    /// Whatever fails at the start.
    fn execute_here(&self, context: &StatementContext) -> SqlResult<Batches>;

    /// Whether it would be planned alike now, for all that is known of the tables' sizes and of the
    /// values of the parameters.
    fn is_current(&self, context: &StatementContext) -> bool {
        let _ = context;
        true
    }

    /// Whether running it may take less than making it.
    fn is_short(&self) -> bool {
        true
    }

    /// What `EXPLAIN` shows of it.
    fn explain(&self, request: &ExplainRequest<'_>) -> PlanNode;
}

/// Batches of rows, computed by whoever asks for the next.
pub type Batches = Box<dyn Iterator<Item = SqlResult<Box<dyn RowBatch>>> + Send>;

/// Rows as they come, in batches of bounded size.
#[async_trait]
pub trait RowStream: Send {
    /// The next batch; `None` at the end.
    ///
    /// # Errors
    /// Whatever the query raises.
    async fn next(&mut self) -> SqlResult<Option<Box<dyn RowBatch>>>;
}

/// Some rows, all targets of the query in order, hidden ones left out.
pub trait RowBatch: Send + Sync {
    /// How many.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One value.
    fn datum(&self, row: usize, column: usize) -> Datum;

    /// One row.
    fn row(&self, row: usize) -> Vec<Datum>;

    /// For whoever made it.
    fn as_any(&self) -> &dyn Any;
}

/// Rows that are datums already.
#[derive(Debug)]
pub struct DatumRows(pub Vec<Vec<Datum>>);

impl DatumRows {
    /// These rows as a stream of one batch.
    #[must_use]
    pub fn into_stream(self) -> Box<dyn RowStream> {
        Box::new(OneBatch(Some(self)))
    }
}

struct OneBatch(Option<DatumRows>);

#[async_trait]
impl RowStream for OneBatch {
    async fn next(&mut self) -> SqlResult<Option<Box<dyn RowBatch>>> {
        Ok(self.0.take().map(|rows| Box::new(rows) as Box<dyn RowBatch>))
    }
}

impl RowBatch for DatumRows {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn datum(&self, row: usize, column: usize) -> Datum {
        self.0[row][column].clone()
    }

    fn row(&self, row: usize) -> Vec<Datum> {
        self.0[row].clone()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
