//! One execution of a plan: the statement's context, the values of the rows around a correlated
//! part, and what is computed once and shared.

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use aegis_sql::query_engine::StatementContext;
use aegis_types::{Datum, SqlError, SqlResult, SqlState};
use datafusion::common::DataFusionError;
use datafusion::execution::TaskContext;
use parking_lot::Mutex;

use crate::arrow_types::write_any;
use crate::subquery::KeySet;

/// The rows of a plan that is run once and read more than once.
pub(crate) type Rows = Arc<Vec<Vec<Datum>>>;

/// One execution of a plan or of a correlated part of it.
pub(crate) struct Run {
    pub(crate) context: StatementContext,
    /// What the part refers to in the rows around it.
    pub(crate) outer: Vec<Datum>,
    pub(crate) task: Arc<TaskContext>,
    pub(crate) shared: Arc<Shared>,
}

/// Results that are computed once, by the number of their part and the values it depends on.
#[derive(Default)]
pub(crate) struct Shared {
    values: Mutex<HashMap<(usize, Vec<u8>), Datum>>,
    rows: Mutex<HashMap<(usize, Vec<u8>), Rows>>,
    sets: Mutex<HashMap<(usize, Vec<u8>), Arc<KeySet>>>,
    /// The rows that a recursive query's last step gave, by its number.
    work: HashMap<usize, Rows>,
    around: Option<Arc<Self>>,
}

/// Memoised subquery values are forgotten when there are so many.
const MEMO_MAX: usize = 10_000;

impl Shared {
    /// For one step of a recursive query: what is computed below depends on that step.
    pub(crate) fn step(around: &Arc<Self>, number: usize, rows: Rows) -> Arc<Self> {
        Arc::new(Self {
            work: HashMap::from([(number, rows)]),
            around: Some(around.clone()),
            ..Self::default()
        })
    }

    pub(crate) fn work(&self, number: usize) -> Option<Rows> {
        self.work
            .get(&number)
            .cloned()
            .or_else(|| self.around.as_ref().and_then(|around| around.work(number)))
    }

    pub(crate) fn value(&self, key: &(usize, Vec<u8>)) -> Option<Datum> {
        self.values.lock().get(key).cloned()
    }

    pub(crate) fn keep_value(&self, key: (usize, Vec<u8>), value: Datum) {
        let mut values = self.values.lock();
        if values.len() >= MEMO_MAX {
            values.clear();
        }
        values.insert(key, value);
    }

    pub(crate) fn set(&self, key: &(usize, Vec<u8>)) -> Option<Arc<KeySet>> {
        self.sets.lock().get(key).cloned()
    }

    pub(crate) fn keep_set(&self, key: (usize, Vec<u8>), set: Arc<KeySet>) {
        let mut sets = self.sets.lock();
        if sets.len() >= MEMO_MAX {
            sets.clear();
        }
        sets.insert(key, set);
    }

    pub(crate) fn rows(&self, key: &(usize, Vec<u8>)) -> Option<Rows> {
        self.rows
            .lock()
            .get(key)
            .cloned()
            .or_else(|| self.around.as_ref().and_then(|around| around.rows(key)))
    }

    pub(crate) fn keep_rows(&self, key: (usize, Vec<u8>), value: Rows) {
        let mut rows = self.rows.lock();
        if rows.len() >= MEMO_MAX {
            rows.clear();
        }
        rows.insert(key, value);
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
        })
    }

    pub(crate) fn with_shared(&self, shared: Arc<Shared>) -> Arc<Self> {
        Arc::new(Self {
            context: self.context.clone(),
            outer: self.outer.clone(),
            task: self.task.clone(),
            shared,
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
            return SqlError::new(SqlState::OutOfMemory, "out of memory").detail(detail.clone());
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
/// What it runs computes and does not wait for others, but where DataFusion gives work to another
/// task; then this thread's place in the runtime is given to another one meanwhile.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(tokio::task::unconstrained(future));
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
        let multi_threaded = tokio::runtime::Handle::try_current().is_ok_and(|handle| {
            handle.runtime_flavor() == tokio::runtime::RuntimeFlavor::MultiThread
        });
        if multi_threaded {
            tokio::task::block_in_place(std::thread::park);
        } else {
            std::thread::park();
        }
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
