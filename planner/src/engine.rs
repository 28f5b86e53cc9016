//! The engine: plans queries, runs them on a runtime of DataFusion's own, and hands rows over.
//!
//! A query runs in a task that stays at most two batches ahead of its reader; dropping the reader
//! stops it.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;

use aegis_sql::bound::Query;
use aegis_sql::query_engine::{QueryEngine, QueryPlan, RowBatch, RowStream, StatementContext};
use aegis_types::{Datum, SqlError, SqlResult, TypeRef};
use arrow::array::RecordBatch;
use async_trait::async_trait;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::SessionConfig;
use futures::StreamExt;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::arrow_types::{ColumnReader, rows_of};
use crate::build::Builder;
use crate::plan::Plan;
use crate::run::{Run, sql_error};

/// Batches that a query may be ahead of its reader.
const BATCHES_AHEAD: usize = 2;

/// Plans and runs queries with DataFusion.
#[derive(Debug)]
pub struct DataFusionEngine {
    runtime: Handle,
}

impl DataFusionEngine {
    /// An engine whose queries run on this runtime, which should have several threads and nothing
    /// else to do: queries compute for long without yielding.
    #[must_use]
    pub const fn new(runtime: Handle) -> Self {
        Self { runtime }
    }
}

impl QueryEngine for DataFusionEngine {
    fn plan(
        &self,
        query: &Arc<Query>,
        context: &StatementContext,
    ) -> SqlResult<Arc<dyn QueryPlan>> {
        let mut builder = Builder::new(context);
        let plan = builder.query(query, 0)?;
        // A query without columns gives rows without columns.
        let width = query.visible_targets().count();
        Ok(Arc::new(DataFusionPlan { plan: Arc::new(plan), width, runtime: self.runtime.clone() }))
    }
}

struct DataFusionPlan {
    plan: Arc<Plan>,
    width: usize,
    runtime: Handle,
}

impl QueryPlan for DataFusionPlan {
    fn execute(&self, context: &StatementContext) -> SqlResult<Box<dyn RowStream>> {
        let runtime_env = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(GreedyMemoryPool::new(context.memory_bytes)))
            .build_arc()
            .map_err(sql_error)?;
        let config = SessionConfig::new().with_target_partitions(1);
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
        let run = Arc::new(Run {
            context: context.clone(),
            outer: Vec::new(),
            task: Arc::new(task),
            shared: Arc::default(),
        });
        Ok(Box::new(Stream {
            state: State::Waiting(self.plan.clone(), run, self.runtime.clone()),
            types: self.plan.types[..self.width].into(),
        }))
    }

    fn explain(&self) -> Vec<String> {
        crate::explain::lines(&self.plan)
    }
}

type Message = SqlResult<RecordBatch>;

enum State {
    Waiting(Arc<Plan>, Arc<Run>, Handle),
    Running(
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
    types: Arc<[TypeRef]>,
}

async fn feed(plan: Arc<Plan>, run: Arc<Run>, sender: mpsc::Sender<Message>) {
    let started =
        plan.start(&run).and_then(|plan| plan.execute(0, run.task.clone()).map_err(sql_error));
    let mut stream = match started {
        Ok(stream) => stream,
        Err(error) => {
            let _reader_gone = sender.send(Err(error)).await;
            return;
        }
    };
    while let Some(batch) = stream.next().await {
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
        if let State::Waiting(plan, run, runtime) = &self.state {
            let (sender, receiver) = mpsc::channel(BATCHES_AHEAD);
            let task = runtime.spawn(feed(plan.clone(), run.clone(), sender));
            let abort = AbortOnDrop(task.abort_handle());
            self.state = State::Running(receiver, abort, task);
        }
        let State::Running(receiver, _, task) = &mut self.state else { return Ok(None) };
        loop {
            match receiver.recv().await {
                Some(Ok(batch)) if batch.num_rows() == 0 => {}
                Some(Ok(batch)) => {
                    return Ok(Some(Box::new(ArrowBatch { batch, types: self.types.clone() })));
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
