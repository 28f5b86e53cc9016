//! Joins by key: for each row of the outer side, the inner table's rows that its values point to.
//!
//! ```text
//! outer batch ─► key range a row ─► rows of the inner tree ─► filter over both ─► output batch
//! ```
//!
//! The order of the outer side is kept, and an output batch is given as soon as it has some rows,
//! so that a `LIMIT` above reads little. Nothing of the inner side is held.

use std::sync::Arc;

use aegis_storage::{Block, Direction, ReadView, Scan};
use aegis_types::{Datum, SqlError, SqlResult, TypeRef};
use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::datatypes::SchemaRef;
use datafusion::common::Result as DfResult;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::ExecutionPlan;
use futures::stream::{StreamExt, TryStreamExt};

use crate::arrow_types::{ColumnBuilder, ColumnReader, new_batch, schema};
use crate::explain::Described;
use crate::node::{BATCH_ROWS, Node};
use crate::plan::{JoinType, Plan};
use crate::run::{Run, external};
use crate::scalar::Scalar;
use crate::scan::{Access, RangePlan, ScanPlan};
use aegis_sql::explain::NodeCounters;

/// The first batch of a join by key has so many rows; each next one four times as many.
const FIRST_ROWS: usize = 64;

/// A join by key.
pub(crate) struct LookupPlan {
    /// Inner, left, semi or anti; a semi or anti join gives the outer side's columns alone.
    pub(crate) kind: JoinType,
    pub(crate) outer: Box<Plan>,
    /// The inner table: its range is over the outer side's columns.
    pub(crate) inner: Arc<ScanPlan>,
    pub(crate) inner_types: Vec<TypeRef>,
    /// The rest of the condition, over the columns of both.
    pub(crate) filter: Option<Arc<Scalar>>,
    /// That condition, for EXPLAIN.
    pub(crate) rest: Vec<Described>,
}

impl LookupPlan {
    pub(crate) fn start(
        &self,
        types: &[TypeRef],
        run: &Arc<Run>,
    ) -> SqlResult<Arc<dyn ExecutionPlan>> {
        let child = self.outer.start(run)?;
        let both: Vec<TypeRef> =
            self.outer.types.iter().chain(&self.inner_types).copied().collect();
        let shape = Arc::new(Shape {
            kind: self.kind,
            scan: self.inner.clone(),
            inner_types: self.inner_types.clone(),
            filter: self.filter.clone(),
            both: schema(&both),
            output: schema(types),
        });
        let run = run.clone();
        Ok(Node::new("Nested Loop", types, vec![child], move |mut inputs, _| {
            let state = State {
                shape: shape.clone(),
                run: run.clone(),
                view: run.context.view.clone(),
                input: inputs.swap_remove(0),
                current: None,
                open: None,
                matched: false,
                rows_wanted: FIRST_ROWS,
                counters: run.measure.as_ref().map(|it| it.node(shape.scan.address())),
            };
            Ok(futures::stream::try_unfold(state, |mut state| async move {
                Ok(state.next().await?.map(|batch| (batch, state)))
            })
            .boxed())
        }))
    }
}

/// What holds for the whole join.
struct Shape {
    kind: JoinType,
    scan: Arc<ScanPlan>,
    inner_types: Vec<TypeRef>,
    filter: Option<Arc<Scalar>>,
    both: SchemaRef,
    output: SchemaRef,
}

/// A batch of the outer side, and the next row of it.
struct Outer {
    batch: RecordBatch,
    /// The values of the range's scalars, in their order.
    values: Vec<(ArrayRef, TypeRef)>,
    at: usize,
}

struct State {
    shape: Arc<Shape>,
    run: Arc<Run>,
    view: ReadView,
    input: SendableRecordBatchStream,
    current: Option<Outer>,
    /// The rest of the rows for the outer row at hand, where they did not fit into one batch.
    open: Option<(Scan, Block)>,
    /// Whether the outer row at hand had a match in a batch before.
    matched: bool,
    rows_wanted: usize,
    /// Counts what the inner side gives, and what the condition removes of that.
    counters: Option<Arc<NodeCounters>>,
}

/// Pairs of an outer row and the inner row at the same place of the builders.
#[derive(Default)]
struct Pairs {
    outer: Vec<u32>,
    /// The first outer row looked at, and the one behind the last that is done.
    rows: std::ops::Range<usize>,
}

impl RangePlan {
    /// Everything that the range is computed from.
    pub(crate) fn scalars(&self) -> impl Iterator<Item = &Arc<Scalar>> {
        let bounds = self.lower.iter().chain(&self.upper).map(|(scalar, _)| scalar);
        self.equal.iter().flatten().chain(bounds)
    }
}

impl Shape {
    fn range(&self) -> SqlResult<&RangePlan> {
        match &self.scan.access {
            Access::Range(range) => Ok(range),
            _ => Err(SqlError::internal("a join by key without a key")),
        }
    }

    fn gives_inner(&self) -> bool {
        !matches!(self.kind, JoinType::Semi | JoinType::Anti)
    }
}

impl State {
    async fn next(&mut self) -> DfResult<Option<RecordBatch>> {
        loop {
            self.run.context.cancel.check().map_err(external)?;
            if self.current.is_none() {
                let Some(batch) = self.input.try_next().await? else { return Ok(None) };
                if batch.num_rows() == 0 {
                    continue;
                }
                self.current = Some(self.evaluate(batch).map_err(external)?);
            }
            let made = self.step().map_err(external)?;
            if made.num_rows() > 0 {
                self.rows_wanted = (self.rows_wanted * 4).min(BATCH_ROWS);
                return Ok(Some(made));
            }
        }
    }

    fn evaluate(&self, batch: RecordBatch) -> SqlResult<Outer> {
        let range = self.shape.range()?;
        let values = range
            .scalars()
            .map(|scalar| Ok((scalar.array(&batch, &self.run)?, scalar.ty)))
            .collect::<SqlResult<_>>()?;
        Ok(Outer { batch, values, at: 0 })
    }

    /// Goes on through the outer batch until there are enough rows or it ends.
    fn step(&mut self) -> SqlResult<RecordBatch> {
        let mut builders: Vec<ColumnBuilder> =
            self.shape.inner_types.iter().map(|ty| ColumnBuilder::new(*ty)).collect();
        let shape = self.shape.clone();
        let outer = self.current.take().expect("the caller fetched a batch");
        let (pairs, outer) = self.pairs(&shape, outer, &mut builders)?;
        let columns: Vec<ArrayRef> = builders.iter_mut().map(ColumnBuilder::finish).collect();
        let made = self.output(&shape, &outer, &pairs, &columns)?;
        if outer.at < outer.batch.num_rows() {
            self.current = Some(outer);
        }
        Ok(made)
    }

    fn pairs(
        &mut self,
        shape: &Shape,
        mut outer: Outer,
        builders: &mut [ColumnBuilder],
    ) -> SqlResult<(Pairs, Outer)> {
        let range = shape.range()?;
        let trees = range.index.as_ref().unwrap_or(&shape.scan.tree);
        let mut pairs = Pairs { rows: outer.at..outer.at, ..Pairs::default() };
        let one_is_enough = !shape.gives_inner() && shape.filter.is_none();
        let mut looked_at = 0_usize;
        let readers: Vec<ColumnReader<'_>> =
            outer.values.iter().map(|(array, ty)| ColumnReader::new(array, *ty)).collect();
        let mut at = outer.at;
        while at < outer.batch.num_rows() && pairs.outer.len() < self.rows_wanted {
            looked_at += 1;
            if looked_at.is_multiple_of(256) {
                self.run.context.cancel.check()?;
            }
            let clock = self.counters.as_ref().and_then(|counters| counters.clock());
            let found_before = pairs.outer.len();
            if self.open.is_none() {
                if let Some(counters) = &self.counters {
                    counters.begin();
                }
                let found = range.range(&mut |wanted| {
                    range
                        .scalars()
                        .zip(&readers)
                        .find(|(scalar, _)| Arc::ptr_eq(scalar, wanted))
                        .map(|(_, reader)| reader.get(at))
                        .ok_or_else(|| SqlError::internal("a range asks for what it has not"))
                })?;
                if let Some(found) = found {
                    let scan = self.view.scan_in(trees, found, Direction::Forward)?;
                    self.open = Some((scan, Block::default()));
                }
            }
            let place =
                u32::try_from(at).map_err(|_| SqlError::internal("a batch has too many rows"))?;
            while let Some((scan, block)) = &mut self.open {
                if !scan.next_block(block)? {
                    self.open = None;
                    break;
                }
                for entry in block.iter() {
                    if shape.scan.fill_entry(builders, entry, &self.view)? {
                        pairs.outer.push(place);
                        if one_is_enough {
                            break;
                        }
                    }
                }
                if one_is_enough && pairs.outer.last() == Some(&place) {
                    self.open = None;
                } else if pairs.outer.len() >= self.rows_wanted.max(FIRST_ROWS) {
                    break;
                }
            }
            if let Some(counters) = &self.counters {
                counters.spent(clock, false);
                counters.gave(pairs.outer.len() - found_before);
            }
            if self.open.is_none() {
                at += 1;
            }
        }
        drop(readers);
        outer.at = at;
        pairs.rows.end = at;
        Ok((pairs, outer))
    }

    /// The batch that the pairs and the outer rows without any make.
    fn output(
        &mut self,
        shape: &Shape,
        outer: &Outer,
        pairs: &Pairs,
        inner: &[ArrayRef],
    ) -> SqlResult<RecordBatch> {
        let places = UInt32Array::from(pairs.outer.clone());
        let kept = match &shape.filter {
            None => None,
            Some(filter) => {
                let mut columns = take_all(outer.batch.columns(), &places)?;
                columns.extend(inner.iter().cloned());
                let joined = new_batch(&shape.both, columns, pairs.outer.len())?;
                Some(filter.array(&joined, &self.run)?)
            }
        };
        let kept = kept.as_ref().map(|array| ColumnReader::new(array, crate::plan::DUMMY));
        let keeps = |pair: usize| match &kept {
            None => true,
            Some(reader) => matches!(reader.get(pair), Datum::Bool(true)),
        };
        let (mut outer_rows, mut inner_rows) = (Vec::new(), Vec::new());
        let mut pair = 0;
        let is_open = self.open.is_some();
        let end = pairs.rows.end + usize::from(is_open);
        for row in pairs.rows.start..end {
            let place = row as u32;
            while pairs.outer.get(pair) == Some(&place) {
                if keeps(pair) {
                    let is_first = !std::mem::replace(&mut self.matched, true);
                    let gives = match shape.kind {
                        JoinType::Semi => is_first,
                        JoinType::Anti => false,
                        _ => true,
                    };
                    if gives {
                        outer_rows.push(place);
                        inner_rows.push(Some(pair as u32));
                    }
                } else if let Some(counters) = &self.counters {
                    counters.removed(1);
                }
                pair += 1;
            }
            if is_open && row + 1 == end {
                break;
            }
            let had_match = std::mem::take(&mut self.matched);
            if !had_match && matches!(shape.kind, JoinType::Left | JoinType::Anti) {
                outer_rows.push(place);
                inner_rows.push(None);
            }
        }
        let rows = outer_rows.len();
        let mut columns = take_all(outer.batch.columns(), &UInt32Array::from(outer_rows))?;
        if shape.gives_inner() {
            columns.extend(take_all(inner, &UInt32Array::from(inner_rows))?);
        }
        new_batch(&shape.output, columns, rows)
    }
}

fn take_all(columns: &[ArrayRef], rows: &UInt32Array) -> SqlResult<Vec<ArrayRef>> {
    columns
        .iter()
        .map(|column| {
            arrow::compute::take(column, rows, None)
                .map_err(|error| SqlError::internal(error.to_string()))
        })
        .collect()
}
