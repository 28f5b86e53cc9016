//! The engine: plans queries, runs them on a runtime of DataFusion's own, and hands rows over.
//!
//! A query runs in a task that stays at most two batches ahead of its reader; dropping the reader
//! stops it.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Weak};

use aegis_sql::analyze::fold_constants;
use aegis_sql::bound::Query;
use aegis_sql::explain::{ExplainRequest, Measure, PlanNode};
use aegis_sql::query_engine::{
    Batches, DatumRows, QueryEngine, QueryPlan, RowBatch, RowStream, StatementContext,
};
use aegis_storage::{TreeId, at_length};
use aegis_types::{Datum, SqlError, SqlResult, TypeRef};
use arrow::array::RecordBatch;
use async_trait::async_trait;
use datafusion::execution::TaskContext;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::SessionConfig;
use futures::StreamExt;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::arrow_types::{ColumnReader, rows_of};
use crate::build::{Builder, Peek};
use crate::memory::QueryPool;
use crate::plan::Plan;
use crate::rewrite::is_volatile_query;
use crate::run::{Run, Shared, block_on, sql_error};

/// Batches that a query may be ahead of its reader.
const BATCHES_AHEAD: usize = 2;
/// So many threads read spilled files at most.
const READERS_MAX: usize = 16;
/// What DataFusion's sort sets aside to merge what it spilled.
const MERGE_BYTES_MAX: usize = 10 << 20;

/// Plans and runs queries with DataFusion.
#[derive(Debug)]
pub struct DataFusionEngine {
    runtime: Handle,
    io: Arc<FileReads>,
}

/// A runtime whose threads read spilled files for parts of plans that run from within an expression.
/// It is of the kind that the others are: code that runs inside of it knows by that how to wait.
#[derive(Debug)]
struct FileReads(Option<tokio::runtime::Runtime>);

impl FileReads {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("aegis-query-files")
            .max_blocking_threads(READERS_MAX)
            // Waits for locks end by the clock.
            .enable_time()
            .build();
        Self(Some(runtime.expect("a server that gets no thread cannot start")))
    }

    fn handle(&self) -> &Handle {
        self.0.as_ref().expect("it is taken when it is dropped").handle()
    }
}

impl Drop for FileReads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl DataFusionEngine {
    /// An engine whose queries run on this runtime, which should have several threads and nothing
    /// else to do: queries compute for long without yielding.
    #[must_use]
    pub fn new(runtime: Handle) -> Self {
        Self { runtime, io: Arc::new(FileReads::new()) }
    }
}

impl QueryEngine for DataFusionEngine {
    fn plan(
        &self,
        query: &Arc<Query>,
        context: &StatementContext,
    ) -> SqlResult<Arc<dyn QueryPlan>> {
        let is_timed = context.measure.is_some() || context.planned.is_some();
        let began = is_timed.then(std::time::Instant::now);
        let query = &fold_constants(query, &context.evaluation())?;
        let mut builder = Builder::new(context);
        let plan = builder.query(query, 0)?;
        let is_volatile = is_volatile_query(query);
        let is_small = crate::direct::is_small(&plan, is_volatile);
        let steps = plan.steps();
        // A query without columns gives rows without columns.
        let width = query.visible_targets().count();
        let measure = context.measure.clone().filter(|measure| measure.has_room());
        // What is measured goes through nodes, which can be counted.
        let is_small = is_small && measure.is_none();
        let plan = Arc::new(DataFusionPlan {
            plan: Arc::new(plan),
            is_small,
            steps,
            sizes: builder.sizes().into(),
            peeks: builder.peeks().into(),
            width,
            runtime: self.runtime.clone(),
            io: self.io.clone(),
            measure: measure.as_ref().map(Arc::downgrade),
        });
        if let (Some(clock), Some(began)) = (&context.planned, began) {
            let nanoseconds = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
            clock.fetch_add(nanoseconds, std::sync::atomic::Ordering::Relaxed);
        }
        if let (Some(measure), Some(began)) = (&measure, began) {
            measure.planned(began.elapsed());
            measure.keep(plan.clone());
        }
        Ok(plan)
    }
}

struct DataFusionPlan {
    plan: Arc<Plan>,
    /// Whether it is run row by row.
    is_small: bool,
    /// Whether its rows are computed one at a time where their reader may stop.
    steps: bool,
    /// About how many rows the tables had that it reads.
    sizes: Arc<[(TreeId, f64)]>,
    /// What was estimated by values of parameters.
    peeks: Arc<[Peek]>,
    width: usize,
    runtime: Handle,
    io: Arc<FileReads>,
    /// Who counts what it does, and keeps the plan.
    measure: Option<Weak<Measure>>,
}

impl DataFusionPlan {
    fn run(&self, context: &StatementContext) -> SqlResult<Arc<Run>> {
        let runtime_env = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(QueryPool::new(context.memory_bytes)))
            .build_arc()
            .map_err(sql_error)?;
        let config = SessionConfig::new()
            .with_target_partitions(1)
            .with_sort_spill_reservation_bytes(MERGE_BYTES_MAX.min(context.memory_bytes / 8));
        let none = (HashMap::new(), HashMap::new(), HashMap::new(), HashMap::new());
        let task = TaskContext::new(
            None,
            String::new(),
            config,
            none.0,
            none.1,
            none.2,
            none.3,
            runtime_env,
        );
        Ok(Arc::new(Run {
            context: context.clone(),
            outer: Vec::new(),
            shared: Arc::new(Shared::new(&task)),
            task: Arc::new(task),
            io: self.io.handle().clone(),
            measure: self.measure.as_ref().and_then(Weak::upgrade),
            is_stepping: context.may_stop && self.steps,
        }))
    }
}

impl QueryPlan for DataFusionPlan {
    fn execute(self: Arc<Self>, context: StatementContext) -> SqlResult<Box<dyn RowStream>> {
        Ok(Box::new(Stream { state: State::Waiting(self, Box::new(context)), asks: None }))
    }

    fn execute_here(&self, context: &StatementContext) -> SqlResult<Batches> {
        if self.is_small
            && context.shortcuts.direct_path
            && let Some(rows) = crate::direct::rows(&self.plan, self.width, context)?
        {
            let rows: Box<dyn RowBatch> = Box::new(DatumRows(rows));
            return Ok(Box::new(std::iter::once(Ok(rows))));
        }
        let run = self.run(context)?;
        let plan = self.plan.start(&run)?;
        let mut stream = plan.execute(0, run.task.clone()).map_err(sql_error)?;
        let types: Arc<[TypeRef]> = self.plan.types[..self.width].into();
        Ok(Box::new(std::iter::from_fn(move || {
            if let Err(error) = run.context.cancel.check() {
                return Some(Err(error));
            }
            match at_length(|| block_on(&run.io, stream.next()))? {
                Ok(batch) => Some(Ok(Box::new(ArrowBatch { batch, types: types.clone() }) as _)),
                Err(error) => Some(Err(sql_error(error))),
            }
        })))
    }

    fn is_current(&self, context: &StatementContext) -> bool {
        self.sizes.iter().all(|(tree, planned)| {
            let now = context.view.row_estimate(*tree).map_or(*planned, |rows| rows as f64);
            now <= planned * 4.0 + 1000.0 && now * 4.0 + 1000.0 >= *planned
        }) && self.peeks.iter().all(|peek| peek.holds_for(&context.parameters))
    }

    fn is_short(&self) -> bool {
        self.is_small
    }

    fn explain(&self, request: &ExplainRequest<'_>) -> PlanNode {
        crate::explain::node(&self.plan, request)
    }
}

type Message = SqlResult<RecordBatch>;

enum State {
    Waiting(Arc<DataFusionPlan>, Box<StatementContext>),
    Running(
        Arc<[TypeRef]>,
        mpsc::Receiver<Message>,
        #[expect(dead_code, reason = "held to be dropped")] AbortOnDrop,
        tokio::task::JoinHandle<()>,
    ),
    Ended,
}

struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

struct Stream {
    state: State,
    /// Asks for the next batch, where they are not computed ahead.
    asks: Option<mpsc::Sender<()>>,
}

/// Computes a query's batches; where it steps, each when it is asked for.
async fn feed(
    plan: Arc<Plan>,
    run: Arc<Run>,
    sender: mpsc::Sender<Message>,
    mut asked: mpsc::Receiver<()>,
) {
    let started =
        plan.start(&run).and_then(|plan| plan.execute(0, run.task.clone()).map_err(sql_error));
    let mut stream = match started {
        Ok(stream) => stream,
        Err(error) => {
            let _reader_gone = sender.send(Err(error)).await;
            return;
        }
    };
    loop {
        if run.is_stepping && asked.recv().await.is_none() {
            return;
        }
        let Some(batch) = stream.next().await else { return };
        let message = match run.context.cancel.check() {
            Err(error) => Err(error),
            Ok(()) => batch.map_err(sql_error),
        };
        let failed = message.is_err();
        if sender.send(message).await.is_err() || failed {
            return;
        }
    }
}

#[async_trait]
impl RowStream for Stream {
    async fn next(&mut self) -> SqlResult<Option<Box<dyn RowBatch>>> {
        if let State::Waiting(plan, context) = &self.state {
            if plan.is_small && context.shortcuts.direct_path && !(plan.steps && context.may_stop) {
                let rows = crate::direct::rows(&plan.plan, plan.width, context)?;
                if let Some(rows) = rows {
                    self.state = State::Ended;
                    return Ok((!rows.is_empty()).then(|| Box::new(DatumRows(rows)) as _));
                }
            }
            let (sender, receiver) = mpsc::channel(BATCHES_AHEAD);
            let (asks, asked) = mpsc::channel(1);
            let run = plan.run(context)?;
            let asks = run.is_stepping.then_some(asks);
            let task = plan.runtime.spawn(feed(plan.plan.clone(), run, sender, asked));
            let abort = AbortOnDrop(task.abort_handle());
            let types = plan.plan.types[..plan.width].into();
            self.asks = asks;
            self.state = State::Running(types, receiver, abort, task);
        }
        let State::Running(types, receiver, _, task) = &mut self.state else { return Ok(None) };
        loop {
            if let Some(asks) = &self.asks {
                let _query_ended = asks.send(()).await;
            }
            match receiver.recv().await {
                Some(Ok(batch)) if batch.num_rows() == 0 => {}
                Some(Ok(batch)) => {
                    return Ok(Some(Box::new(ArrowBatch { batch, types: types.clone() })));
                }
                Some(Err(error)) => {
                    self.state = State::Ended;
                    return Err(error);
                }
                None => {
                    // The end, unless the query's task broke off: a short result is no result.
                    let ended = task.await;
                    self.state = State::Ended;
                    return match ended {
                        Ok(()) => Ok(None),
                        Err(broken) => {
                            Err(SqlError::internal(format!("the query failed: {broken}")))
                        }
                    };
                }
            }
        }
    }
}

/// Rows in Arrow's columns.
pub struct ArrowBatch {
    batch: RecordBatch,
    types: Arc<[TypeRef]>,
}

impl ArrowBatch {
    /// The columns; a query without columns has one that means nothing.
    #[must_use]
    pub const fn batch(&self) -> &RecordBatch {
        &self.batch
    }

    /// The types of the columns.
    #[must_use]
    pub fn types(&self) -> &[TypeRef] {
        &self.types
    }

    /// All rows.
    #[must_use]
    pub fn rows(&self) -> Vec<Vec<Datum>> {
        rows_of(&self.batch, &self.types)
    }
}

impl RowBatch for ArrowBatch {
    fn len(&self) -> usize {
        self.batch.num_rows()
    }

    fn datum(&self, row: usize, column: usize) -> Datum {
        ColumnReader::new(self.batch.column(column), self.types[column]).get(row)
    }

    fn row(&self, row: usize) -> Vec<Datum> {
        (0..self.types.len()).map(|column| self.datum(row, column)).collect()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
