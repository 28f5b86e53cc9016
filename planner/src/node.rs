//! The frame of our own nodes: an `ExecutionPlan` whose work is a function from streams to a stream.

use std::fmt;
use std::sync::Arc;

use aegis_types::{Datum, SqlResult, TypeRef};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result as DfResult};
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::stream::{BoxStream, StreamExt, TryStreamExt};

use crate::arrow_types::{batch_of, rows_of, schema};
use crate::memory::{reserve, row_size, size_of_rows};
use crate::run::{Run, external, lift};

/// Rows of a batch that a node of ours makes.
pub(crate) const BATCH_ROWS: usize = 8192;

/// What a node gives.
pub(crate) type Batches = BoxStream<'static, DfResult<RecordBatch>>;

type Start =
    dyn Fn(Vec<SendableRecordBatchStream>, Arc<TaskContext>) -> DfResult<Batches> + Send + Sync;

/// A node of ours.
#[derive(Clone)]
pub(crate) struct Node {
    name: &'static str,
    properties: Arc<PlanProperties>,
    children: Vec<Arc<dyn ExecutionPlan>>,
    start: Arc<Start>,
}

impl Node {
    /// A node over these inputs, giving columns of these types.
    #[expect(clippy::new_ret_no_self, reason = "a node is only ever used as a plan")]
    pub(crate) fn new(
        name: &'static str,
        types: &[TypeRef],
        children: Vec<Arc<dyn ExecutionPlan>>,
        start: impl Fn(Vec<SendableRecordBatchStream>, Arc<TaskContext>) -> DfResult<Batches>
        + Send
        + Sync
        + 'static,
    ) -> Arc<dyn ExecutionPlan> {
        Self::over(name, schema(types), children, start)
    }

    /// Likewise, giving columns of this schema.
    pub(crate) fn over(
        name: &'static str,
        schema: SchemaRef,
        children: Vec<Arc<dyn ExecutionPlan>>,
        start: impl Fn(Vec<SendableRecordBatchStream>, Arc<TaskContext>) -> DfResult<Batches>
        + Send
        + Sync
        + 'static,
    ) -> Arc<dyn ExecutionPlan> {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Arc::new(Self { name, properties: Arc::new(properties), children, start: Arc::new(start) })
    }

    /// A node that turns each batch of its input into rows of its own.
    pub(crate) fn mapping(
        name: &'static str,
        types: &[TypeRef],
        child: Arc<dyn ExecutionPlan>,
        make: impl Fn() -> Box<dyn FnMut(RecordBatch) -> SqlResult<Vec<Vec<Datum>>> + Send>
        + Send
        + Sync
        + 'static,
    ) -> Arc<dyn ExecutionPlan> {
        let types_of_output = types.to_vec();
        Self::new(name, types, vec![child], move |mut inputs, _| {
            let mut map = make();
            let types = types_of_output.clone();
            let stream = inputs.swap_remove(0).map(move |batch| {
                let rows = map(batch?).map_err(external)?;
                lift(batches(&types, &rows))
            });
            Ok(stream
                .map_ok(|batches| futures::stream::iter(batches.into_iter().map(Ok)))
                .try_flatten()
                .boxed())
        })
    }

    /// A node that needs all rows of its inputs (of these types) before it gives any.
    pub(crate) fn gathering(
        name: &'static str,
        types: &[TypeRef],
        children: Vec<(Arc<dyn ExecutionPlan>, Vec<TypeRef>)>,
        run: &Arc<Run>,
        compute: impl Fn(Vec<Vec<Vec<Datum>>>, &Arc<Run>) -> SqlResult<Vec<Vec<Datum>>>
        + Send
        + Sync
        + 'static,
    ) -> Arc<dyn ExecutionPlan> {
        let types_of_output = types.to_vec();
        let run = run.clone();
        let compute = Arc::new(compute);
        let (plans, input_types): (Vec<_>, Vec<_>) = children.into_iter().unzip();
        Self::new(name, types, plans, move |inputs, task| {
            let (run, types) = (run.clone(), types_of_output.clone());
            let (compute, input_types) = (compute.clone(), input_types.clone());
            let future = async move {
                let memory = reserve(name, &task);
                let mut gathered = Vec::new();
                for (mut stream, types) in inputs.into_iter().zip(&input_types) {
                    let mut rows = Vec::new();
                    while let Some(batch) = stream.try_next().await? {
                        run.context.cancel.check().map_err(external)?;
                        let first = rows.len();
                        rows.extend(rows_of(&batch, types));
                        // What is computed of the rows is as large again.
                        memory.try_grow(2 * size_of_rows(&rows[first..]))?;
                    }
                    gathered.push(rows);
                }
                let rows = compute(gathered, &run).map_err(external)?;
                let batches = lift(batches(&types, &rows))?;
                drop(memory);
                Ok::<_, datafusion::common::DataFusionError>(futures::stream::iter(
                    batches.into_iter().map(Ok),
                ))
            };
            Ok(futures::stream::once(future).try_flatten().boxed())
        })
    }
}

impl Node {
    /// A node over rows that come sorted by a key, which needs all rows of a key before it gives any of
    /// them: it computes those of whole keys, a batch of rows or more at a time.
    pub(crate) fn gathering_by_key(
        name: &'static str,
        types: &[TypeRef],
        (child, input_types): (Arc<dyn ExecutionPlan>, Vec<TypeRef>),
        run: &Arc<Run>,
        keys_of: impl Fn(&RecordBatch, &Arc<Run>) -> SqlResult<Vec<Vec<u8>>> + Send + Sync + 'static,
        compute: impl Fn(Vec<Vec<Datum>>, &Arc<Run>) -> SqlResult<Vec<Vec<Datum>>>
        + Send
        + Sync
        + 'static,
    ) -> Arc<dyn ExecutionPlan> {
        let (types_of_output, run) = (types.to_vec(), run.clone());
        let (keys_of, compute) = (Arc::new(keys_of), Arc::new(compute));
        Self::new(name, types, vec![child], move |mut inputs, task| {
            let state = ByKey {
                input: inputs.swap_remove(0),
                rows: Vec::new(),
                key: None,
                begun: 0,
                memory: reserve(name, &task),
                has_ended: false,
            };
            let (run, types, input_types) =
                (run.clone(), types_of_output.clone(), input_types.clone());
            let (keys_of, compute) = (keys_of.clone(), compute.clone());
            let next = move |mut state: ByKey| {
                let (run, types, input_types) = (run.clone(), types.clone(), input_types.clone());
                let (keys_of, compute) = (keys_of.clone(), compute.clone());
                async move {
                    let Some(rows) = state.whole(&input_types, &run, &*keys_of).await? else {
                        return Ok(None);
                    };
                    let rows = compute(rows, &run).map_err(external)?;
                    let batches = lift(batches(&types, &rows))?;
                    Ok::<_, DataFusionError>(Some((batches, state)))
                }
            };
            Ok(futures::stream::try_unfold(state, next)
                .map_ok(|batches| futures::stream::iter(batches.into_iter().map(Ok)))
                .try_flatten()
                .boxed())
        })
    }
}

/// Rows that are gathered key by key.
struct ByKey {
    input: SendableRecordBatchStream,
    rows: Vec<Vec<Datum>>,
    /// The key of the last of them, and where its rows begin.
    key: Option<Vec<u8>>,
    begun: usize,
    memory: MemoryReservation,
    has_ended: bool,
}

impl ByKey {
    /// The rows of the next keys; none at the end.
    async fn whole(
        &mut self,
        types: &[TypeRef],
        run: &Arc<Run>,
        keys_of: &(dyn Fn(&RecordBatch, &Arc<Run>) -> SqlResult<Vec<Vec<u8>>> + Send + Sync),
    ) -> DfResult<Option<Vec<Vec<Datum>>>> {
        // What was given before is computed by now.
        self.memory.try_resize(2 * size_of_rows(&self.rows))?;
        while self.begun < BATCH_ROWS && !self.has_ended {
            let Some(batch) = self.input.try_next().await? else {
                self.has_ended = true;
                break;
            };
            run.context.cancel.check().map_err(external)?;
            let keys = keys_of(&batch, run).map_err(external)?;
            let mut bytes = 0;
            for (row, key) in rows_of(&batch, types).into_iter().zip(keys) {
                if self.key.as_ref() != Some(&key) {
                    (self.key, self.begun) = (Some(key), self.rows.len());
                }
                bytes += row_size(&row);
                self.rows.push(row);
            }
            // What is computed of the rows is as large again.
            self.memory.try_grow(bytes * 2)?;
        }
        if self.rows.is_empty() {
            return Ok(None);
        }
        let whole = if self.has_ended { self.rows.len() } else { self.begun };
        let rest = self.rows.split_off(whole);
        self.begun = 0;
        Ok(Some(std::mem::replace(&mut self.rows, rest)))
    }
}

/// Rows as batches of bounded size.
pub(crate) fn batches(types: &[TypeRef], rows: &[Vec<Datum>]) -> SqlResult<Vec<RecordBatch>> {
    let schema = schema(types);
    rows.chunks(BATCH_ROWS).map(|rows| batch_of(&schema, types, rows)).collect()
}

/// A stream under a schema.
pub(crate) fn adapt(schema: SchemaRef, stream: Batches) -> SendableRecordBatchStream {
    Box::pin(RecordBatchStreamAdapter::new(schema, stream))
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl DisplayAs for Node {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl ExecutionPlan for Node {
    fn name(&self) -> &str {
        self.name
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.children.iter().collect()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DfResult<TreeNodeRecursion>,
    ) -> DfResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self { children, ..(*self).clone() }))
    }

    fn execute(&self, _: usize, context: Arc<TaskContext>) -> DfResult<SendableRecordBatchStream> {
        let inputs = self
            .children
            .iter()
            .map(|child| child.execute(0, context.clone()))
            .collect::<DfResult<Vec<_>>>()?;
        Ok(adapt(self.properties.eq_properties.schema().clone(), (self.start)(inputs, context)?))
    }
}
