//! One execution of a plan: the statement's context, the values of the rows around a correlated
//! part, and what is computed once and shared.

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use aegis_sql::explain::Measure;
use aegis_sql::query_engine::StatementContext;
use aegis_storage::at_length;
use aegis_types::self_describing::write_any;
use aegis_types::{Datum, SqlError, SqlResult, SqlState};
use datafusion::common::DataFusionError;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::MemoryReservation;
use parking_lot::Mutex;
use tokio::runtime::Handle;

use crate::memory::{Held, datum_size, reserve, row_size};
use crate::subquery::{KeySet, Stored};

/// The rows of a plan that is run once and read more than once.
pub(crate) type Rows = Arc<Held>;

/// One execution of a plan or of a correlated part of it.
pub(crate) struct Run {
    pub(crate) context: StatementContext,
    /// What the part refers to in the rows around it.
    pub(crate) outer: Vec<Datum>,
    pub(crate) task: Arc<TaskContext>,
    pub(crate) shared: Arc<Shared>,
    /// Where files are read for parts that run from within an expression.
    pub(crate) io: Handle,
    /// Counts what the nodes do, where that is asked for.
    pub(crate) measure: Option<Arc<Measure>>,
    /// Whether volatile functions are called for one row at a time, as its reader may stop early.
    pub(crate) is_stepping: bool,
}

/// Results that are computed once, by the number of their part and the values it depends on.
pub(crate) struct Shared {
    kept: Mutex<Kept>,
    /// The rows of common table expressions, which are not forgotten.
    stored: Mutex<HashMap<(usize, Vec<u8>), Arc<Stored>>>,
    /// The rows that a recursive query's last step gave, by its number.
    work: HashMap<usize, Rows>,
    around: Option<Arc<Self>>,
}

/// What is forgotten when there is too much of it or memory is short: it can be computed again.
struct Kept {
    values: HashMap<(usize, Vec<u8>), Datum>,
    rows: HashMap<(usize, Vec<u8>), Rows>,
    sets: HashMap<(usize, Vec<u8>), Arc<KeySet>>,
    /// The rows of computed relations, which a correlated part may read once for every row around.
    system: HashMap<Arc<str>, Arc<Vec<Vec<Datum>>>>,
    memory: MemoryReservation,
}

/// So many results are kept at most.
const KEPT_MAX: usize = 10_000;

impl Kept {
    fn new(task: &TaskContext) -> Self {
        Self {
            values: HashMap::new(),
            rows: HashMap::new(),
            sets: HashMap::new(),
            system: HashMap::new(),
            memory: reserve("subquery results", task),
        }
    }

    /// Makes room for one more.
    fn may_keep(&mut self, key: &(usize, Vec<u8>), more: usize) -> bool {
        if self.values.len() + self.rows.len() + self.sets.len() >= KEPT_MAX {
            self.forget();
        }
        let bytes = key.1.len() + 96 + more;
        if self.memory.try_grow(bytes).is_ok() {
            return true;
        }
        self.forget();
        self.memory.try_grow(bytes).is_ok()
    }

    fn forget(&mut self) {
        self.values.clear();
        self.rows.clear();
        self.sets.clear();
        self.system.clear();
        self.memory.free();
    }
}

impl Shared {
    pub(crate) fn new(task: &TaskContext) -> Self {
        Self {
            kept: Mutex::new(Kept::new(task)),
            stored: Mutex::default(),
            work: HashMap::new(),
            around: None,
        }
    }

    /// For one step of a recursive query: what is computed below depends on that step.
    pub(crate) fn step(
        around: &Arc<Self>,
        number: usize,
        rows: Rows,
        task: &TaskContext,
    ) -> Arc<Self> {
        let work = HashMap::from([(number, rows)]);
        Arc::new(Self { work, around: Some(around.clone()), ..Self::new(task) })
    }

    /// The rows of a computed relation: the same as long as the statement runs.
    fn system_rows(
        &self,
        name: &Arc<str>,
        compute: impl FnOnce() -> SqlResult<Vec<Vec<Datum>>>,
    ) -> SqlResult<Arc<Vec<Vec<Datum>>>> {
        if let Some(around) = &self.around {
            return around.system_rows(name, compute);
        }
        if let Some(rows) = self.kept.lock().system.get(name) {
            return Ok(rows.clone());
        }
        let rows = Arc::new(compute()?);
        let bytes = rows.iter().map(|row| row_size(row)).sum();
        let mut kept = self.kept.lock();
        if kept.memory.try_grow(bytes).is_ok() {
            kept.system.insert(name.clone(), rows.clone());
        }
        Ok(rows)
    }

    /// Gives memory back that others need more.
    pub(crate) fn forget(&self) {
        self.kept.lock().forget();
        if let Some(around) = &self.around {
            around.forget();
        }
    }

    pub(crate) fn work(&self, number: usize) -> Option<Rows> {
        self.work
            .get(&number)
            .cloned()
            .or_else(|| self.around.as_ref().and_then(|around| around.work(number)))
    }

    pub(crate) fn value(&self, key: &(usize, Vec<u8>)) -> Option<Datum> {
        self.kept.lock().values.get(key).cloned()
    }

    pub(crate) fn keep_value(&self, key: (usize, Vec<u8>), value: Datum) {
        let mut kept = self.kept.lock();
        if kept.may_keep(&key, datum_size(&value)) {
            kept.values.insert(key, value);
        }
    }

    pub(crate) fn set(&self, key: &(usize, Vec<u8>)) -> Option<Arc<KeySet>> {
        self.kept.lock().sets.get(key).cloned()
    }

    pub(crate) fn keep_set(&self, key: (usize, Vec<u8>), set: Arc<KeySet>) {
        let mut kept = self.kept.lock();
        if kept.may_keep(&key, 0) {
            kept.sets.insert(key, set);
        }
    }

    pub(crate) fn rows(&self, key: &(usize, Vec<u8>)) -> Option<Rows> {
        self.kept.lock().rows.get(key).cloned()
    }

    pub(crate) fn keep_rows(&self, key: (usize, Vec<u8>), rows: Rows) {
        let mut kept = self.kept.lock();
        if kept.may_keep(&key, 0) {
            kept.rows.insert(key, rows);
        }
    }

    pub(crate) fn stored(&self, key: &(usize, Vec<u8>)) -> Option<Arc<Stored>> {
        let here = self.stored.lock().get(key).cloned();
        here.or_else(|| self.around.as_ref().and_then(|around| around.stored(key)))
    }

    pub(crate) fn keep_stored(&self, key: (usize, Vec<u8>), stored: Arc<Stored>) {
        self.stored.lock().insert(key, stored);
    }
}

impl Run {
    /// The same execution for a part that depends on these values of the rows around it.
    pub(crate) fn with_outer(&self, outer: Vec<Datum>) -> Arc<Self> {
        Arc::new(Self {
            context: self.context.clone(),
            outer,
            task: self.task.clone(),
            shared: self.shared.clone(),
            io: self.io.clone(),
            measure: self.measure.clone(),
            is_stepping: self.is_stepping,
        })
    }

    /// The same execution, stepping or not.
    pub(crate) fn stepping(self: &Arc<Self>, is_stepping: bool) -> Arc<Self> {
        if self.is_stepping == is_stepping {
            return self.clone();
        }
        Arc::new(Self {
            context: self.context.clone(),
            outer: self.outer.clone(),
            task: self.task.clone(),
            shared: self.shared.clone(),
            io: self.io.clone(),
            measure: self.measure.clone(),
            is_stepping,
        })
    }

    /// The rows of a computed relation.
    pub(crate) fn system_rows(&self, name: &Arc<str>) -> SqlResult<Arc<Vec<Vec<Datum>>>> {
        let compute = || self.context.system_relations.rows(name, &self.context);
        self.shared.system_rows(name, compute)
    }

    pub(crate) fn with_shared(&self, shared: Arc<Shared>) -> Arc<Self> {
        Arc::new(Self {
            context: self.context.clone(),
            outer: self.outer.clone(),
            task: self.task.clone(),
            shared,
            io: self.io.clone(),
            measure: self.measure.clone(),
            is_stepping: self.is_stepping,
        })
    }
}

/// The key under which a part's result over these values is kept.
pub(crate) fn memo_key(number: usize, outer: &[Datum]) -> (usize, Vec<u8>) {
    let mut key = Vec::new();
    for value in outer {
        write_any(value, &mut key);
    }
    (number, key)
}

/// Our error inside DataFusion's.
pub(crate) fn external(error: SqlError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// The error that a client sees.
pub(crate) fn sql_error(error: DataFusionError) -> SqlError {
    match error.find_root() {
        DataFusionError::External(inner) => {
            if let Some(error) = inner.downcast_ref::<SqlError>() {
                return error.clone();
            }
        }
        DataFusionError::Shared(shared) => {
            if let DataFusionError::External(inner) = shared.find_root()
                && let Some(error) = inner.downcast_ref::<SqlError>()
            {
                return error.clone();
            }
        }
        DataFusionError::ResourcesExhausted(detail) => {
            let error = SqlError::new(SqlState::OutOfMemory, "out of memory");
            // Only our own pool's words are PostgreSQL's.
            return match detail.find("Failed on request") {
                Some(at) => error.detail(detail[at..].to_owned()),
                None => error,
            };
        }
        _ => {}
    }
    if let Some(error) = find_sql_error(&error) {
        return error;
    }
    SqlError::internal(error.to_string())
}

fn find_sql_error(error: &(dyn std::error::Error + 'static)) -> Option<SqlError> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<SqlError>() {
            return Some(found.clone());
        }
        if let Some(arrow::error::ArrowError::ExternalError(inner)) =
            error.downcast_ref::<arrow::error::ArrowError>()
            && let Some(found) = find_sql_error(&**inner)
        {
            return Some(found);
        }
        next = error.source();
    }
    None
}

struct Unpark(std::thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a part of a plan to its end from within an expression.
///
/// No part waits for another query's thread, so that no number of them can wait for each other: it
/// is polled inside `io`, a runtime without workers, where DataFusion starts no tasks and only reads
/// of spilled files go to threads, which wait for nothing. While this thread waits for them, its
/// place in the queries' runtime is given to another one.
pub(crate) fn block_on<F: Future>(io: &Handle, future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(tokio::task::unconstrained(future));
    loop {
        let polled = {
            let _inside = io.enter();
            future.as_mut().poll(&mut context)
        };
        if let Poll::Ready(value) = polled {
            return value;
        }
        at_length(std::thread::park);
    }
}

/// Raises a result's error inside DataFusion's.
pub(crate) fn lift<T>(result: SqlResult<T>) -> datafusion::common::Result<T> {
    result.map_err(external)
}

impl Run {
    /// What scalar functions may know.
    pub(crate) fn eval(&self) -> aegis_types::EvalContext<'_> {
        aegis_types::EvalContext {
            settings: &self.context.settings,
            transaction_timestamp: self.context.transaction_timestamp,
            statement_timestamp: self.context.statement_timestamp,
            host: &*self.context.host,
        }
    }

    /// What programs are evaluated with.
    pub(crate) fn evaluation(&self) -> aegis_sql::evaluate::Evaluation<'_> {
        aegis_sql::evaluate::Evaluation { eval: self.eval(), parameters: &self.context.parameters }
    }
}
