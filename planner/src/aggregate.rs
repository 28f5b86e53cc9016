//! Grouping and aggregates: a hash table of groups with an accumulator for each aggregate.
//!
//! When the table may not grow, rows of groups that it does not know go to files, spread by a hash
//! of the group; each file is then grouped alone. A group is in the table or in one file, so its
//! accumulators see its rows in their order, and never leave memory.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use aegis_types::functions::aggregate::{Accumulator, AggregateFunction};
use aegis_types::{CallContext, Datum, EvalContext, SqlResult, TypeRef};
use arrow::array::RecordBatch;
use datafusion::common::Result as DfResult;
use datafusion::execution::memory_pool::{MemoryLimit, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::ExecutionPlan;
use futures::stream::{StreamExt, TryStreamExt};

use crate::arrow_types::{ColumnReader, schema};
use crate::explain::Described;
use crate::memory::{Partitions, Spilled, reserve, reserve_spilling, row_size};
use crate::node::{BATCH_ROWS, Node, batches};
use crate::plan::{Plan, SortColumn, encode_key};
use crate::run::{Run, external, lift};
use crate::scalar::Scalar;

/// An aggregate as it is called.
pub(crate) struct AggregateCall {
    pub(crate) function: AggregateFunction,
    pub(crate) strict: bool,
    pub(crate) args: Vec<Arc<Scalar>>,
    pub(crate) distinct: bool,
    pub(crate) order_by: Vec<SortColumn>,
    /// `WITHIN GROUP`: the arguments are given once, the values sorted by for each row.
    pub(crate) within_group: Option<WithinGroup>,
    pub(crate) filter: Option<Arc<Scalar>>,
    pub(crate) argument_types: Vec<TypeRef>,
    pub(crate) result: TypeRef,
}

/// How an aggregate takes what is sorted by.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum WithinGroup {
    /// An ordered-set aggregate: the values that are not NULL.
    Values,
    /// A hypothetical-set aggregate: how each row compares with the arguments.
    Comparison,
}

/// Grouping. Columns out: group keys, carried columns, aggregates, `GROUPING()`s.
pub(crate) struct AggregatePlan {
    pub(crate) input: Box<Plan>,
    pub(crate) groups: Vec<Arc<Scalar>>,
    /// The same, for EXPLAIN.
    pub(crate) described: Vec<Described>,
    /// Which groups each grouping set has.
    pub(crate) sets: Vec<Vec<usize>>,
    /// Columns that the groups determine.
    pub(crate) carried: Vec<Arc<Scalar>>,
    pub(crate) calls: Arc<Vec<AggregateCall>>,
    /// The groups that each `GROUPING()` asks about.
    pub(crate) groupings: Vec<Vec<usize>>,
}

/// The state of one aggregate over one group.
struct State {
    accumulator: Box<dyn Accumulator>,
    seen: HashSet<Vec<u8>>,
    /// The arguments of an aggregate `WITHIN GROUP`, from the first row of the group.
    direct: Option<Vec<Datum>>,
    /// Sort key and arguments of each row, where the order matters.
    waiting: Vec<(Vec<u8>, Vec<Datum>)>,
    /// About the bytes that these two take.
    held: usize,
}

impl State {
    fn size(&self) -> usize {
        self.accumulator.size() + self.held
    }
}

struct Group {
    keys: Vec<Datum>,
    carried: Vec<Datum>,
    set: usize,
    states: Vec<State>,
}

impl AggregateCall {
    /// Lends what its function may know.
    pub(crate) fn with_context<T>(
        &self,
        eval: EvalContext<'_>,
        apply: impl FnOnce(&CallContext<'_>) -> T,
    ) -> T {
        apply(&CallContext {
            eval,
            argument_types: &self.argument_types,
            result_type: self.result,
            collation: aegis_types::Collation::Default,
        })
    }

    fn state(&self, run: &Run) -> State {
        State {
            accumulator: self.with_context(run.eval(), |context| (self.function)(context)),
            seen: HashSet::new(),
            direct: None,
            waiting: Vec::new(),
            held: 0,
        }
    }

    fn feed(
        &self,
        state: &mut State,
        args: Vec<Datum>,
        order: &[Datum],
        run: &Run,
    ) -> SqlResult<()> {
        let left_out = match self.within_group {
            None => self.strict && args.iter().any(Datum::is_null),
            Some(WithinGroup::Values) => order.iter().any(Datum::is_null),
            Some(WithinGroup::Comparison) => false,
        };
        if left_out {
            return Ok(());
        }
        if self.distinct {
            let mut key = Vec::new();
            for (value, scalar) in args.iter().zip(&self.args) {
                encode_key(scalar.ty, value, &mut key)?;
            }
            let size = key.capacity() + 48;
            if !state.seen.insert(key) {
                return Ok(());
            }
            state.held += size;
        }
        if self.order_by.is_empty() && !self.distinct && self.within_group.is_none() {
            return self
                .with_context(run.eval(), |context| state.accumulator.update(context, &args));
        }
        let mut key = self.sort_key(order)?;
        if self.order_by.is_empty() {
            // PostgreSQL sorts to find duplicates, and so feeds them in order.
            for (value, scalar) in args.iter().zip(&self.args) {
                encode_key(scalar.ty, value, &mut key)?;
            }
        }
        let args = match self.within_group {
            None => args,
            Some(WithinGroup::Values) => order.to_vec(),
            Some(WithinGroup::Comparison) => Vec::new(),
        };
        state.held += key.capacity() + 48 + row_size(&args);
        state.waiting.push((key, args));
        Ok(())
    }

    fn sort_key(&self, order: &[Datum]) -> SqlResult<Vec<u8>> {
        let mut key = Vec::new();
        for (value, column) in order.iter().zip(&self.order_by) {
            let (descending, first) = (column.descending, column.nulls_first);
            aegis_types::key::encode(column.scalar.ty.oid, value, descending, first, &mut key)?;
        }
        Ok(key)
    }

    fn finish(&self, state: &mut State, input: &[TypeRef], run: &Run) -> SqlResult<Datum> {
        let mut waiting = std::mem::take(&mut state.waiting);
        waiting.sort_by(|left, right| left.0.cmp(&right.0));
        if let Some(kind) = self.within_group {
            let direct = match state.direct.take() {
                Some(direct) => direct,
                None => self.direct_without_rows(input, run)?,
            };
            if kind == WithinGroup::Comparison {
                compare_with(&self.sort_key(&direct)?, &mut waiting);
            }
            state.accumulator.direct(&direct);
        }
        self.with_context(run.eval(), |context| {
            for (_, args) in &waiting {
                state.accumulator.update(context, args)?;
            }
            state.accumulator.finish(context)
        })
    }

    /// The arguments over a row of NULLs: a group without rows has no column's value.
    fn direct_without_rows(&self, input: &[TypeRef], run: &Run) -> SqlResult<Vec<Datum>> {
        let nulls = vec![vec![Datum::Null; input.len()]];
        let batch = crate::arrow_types::batch_of(&schema(input), input, &nulls)?;
        let direct = Evaluated::new(&self.args, &batch, run)?;
        Ok(direct.readers().iter().map(|reader| reader.get(0)).collect())
    }
}

/// Makes of each sorted row how it compares with this key, and whether it differs from the one before.
fn compare_with(key: &[u8], rows: &mut [(Vec<u8>, Vec<Datum>)]) {
    for at in 0..rows.len() {
        let order = rows[at].0.as_slice().cmp(key) as i32;
        let differs = at == 0 || rows[at].0 != rows[at - 1].0;
        rows[at].1 = vec![Datum::Int4(order), Datum::Bool(differs)];
    }
}

/// The values of some scalars over a batch.
pub(crate) struct Evaluated(Vec<(arrow::array::ArrayRef, TypeRef)>);

impl Evaluated {
    pub(crate) fn new<'a>(
        scalars: impl IntoIterator<Item = &'a Arc<Scalar>>,
        batch: &arrow::array::RecordBatch,
        run: &Run,
    ) -> SqlResult<Self> {
        scalars
            .into_iter()
            .map(|scalar| Ok((scalar.array(batch, run)?, scalar.ty)))
            .collect::<SqlResult<_>>()
            .map(Self)
    }

    pub(crate) fn readers(&self) -> Vec<ColumnReader<'_>> {
        self.0.iter().map(|(array, ty)| ColumnReader::new(array, *ty)).collect()
    }
}

/// What does not change while groups are made.
struct Shape {
    sets: Vec<Vec<usize>>,
    groups: Vec<Arc<Scalar>>,
    carried: Vec<Arc<Scalar>>,
    calls: Arc<Vec<AggregateCall>>,
    groupings: Vec<Vec<usize>>,
    types: Vec<TypeRef>,
    input_types: Vec<TypeRef>,
}

/// The groups of one pass.
struct Table {
    run: Arc<Run>,
    shape: Arc<Shape>,
    /// The grouping sets that this pass is for.
    sets: Vec<usize>,
    places: HashMap<Vec<u8>, usize>,
    groups: Vec<Group>,
    /// About the bytes that the groups take.
    size: usize,
    /// Whether no group may be added.
    is_full: bool,
    memory: MemoryReservation,
}

/// The table takes its share of memory in such steps.
const STEP_BYTES: usize = 64 << 10;

/// A row of a group that the table has no room for: its place, and the group's key.
type Spare = (u32, Vec<u8>);

impl Table {
    fn new(run: Arc<Run>, shape: Arc<Shape>, sets: Vec<usize>) -> Self {
        let (places, groups) = (HashMap::new(), Vec::new());
        let may_spill = sets.iter().any(|set| !shape.sets[*set].is_empty());
        let reserve = if may_spill { reserve_spilling } else { reserve };
        let memory = reserve("aggregate", &run.task);
        Self { run, shape, sets, places, groups, size: 0, is_full: false, memory }
    }

    fn key(&self, set: usize, keys: &[Datum]) -> SqlResult<Vec<u8>> {
        let mut bytes = u32::try_from(set).unwrap_or(u32::MAX).to_le_bytes().to_vec();
        for at in &self.shape.sets[set] {
            encode_key(self.shape.groups[*at].ty, &keys[*at], &mut bytes)?;
        }
        Ok(bytes)
    }

    /// The place of a group; its key if there is no room for it.
    fn group(
        &mut self,
        set: usize,
        keys: &[Datum],
        carried: &[Datum],
    ) -> SqlResult<Result<usize, Vec<u8>>> {
        let bytes = self.key(set, keys)?;
        if let Some(place) = self.places.get(&bytes) {
            return Ok(Ok(*place));
        }
        if self.size > self.memory.size()
            && !self.groups.is_empty()
            && self.memory.try_resize(self.size + STEP_BYTES).is_err()
        {
            self.is_full = true;
        }
        if self.is_full {
            return Ok(Err(bytes));
        }
        let mut own = vec![Datum::Null; keys.len()];
        for at in &self.shape.sets[set] {
            own[*at] = keys[*at].clone();
        }
        let states: Vec<State> =
            self.shape.calls.iter().map(|call| call.state(&self.run)).collect();
        self.size += 96 + bytes.len() + row_size(&own) + row_size(carried);
        self.size += states.iter().map(|state| 128 + state.size()).sum::<usize>();
        self.groups.push(Group { keys: own, carried: carried.to_vec(), set, states });
        self.places.insert(bytes, self.groups.len() - 1);
        Ok(Ok(self.groups.len() - 1))
    }

    /// Takes a batch in. Gives back, for each grouping set of the pass, the rows that did not fit.
    fn take(&mut self, batch: &RecordBatch) -> SqlResult<Vec<Vec<Spare>>> {
        let (run, shape) = (self.run.clone(), self.shape.clone());
        let keys = Evaluated::new(&shape.groups, batch, &run)?;
        let carried = Evaluated::new(&shape.carried, batch, &run)?;
        let (keys, carried) = (keys.readers(), carried.readers());
        let sets = self.sets.clone();
        let mut places: Vec<Vec<usize>> = Vec::with_capacity(batch.num_rows());
        let mut spare = vec![Vec::new(); sets.len()];
        for row in 0..batch.num_rows() {
            let key: Vec<Datum> = keys.iter().map(|reader| reader.get(row)).collect();
            let carried: Vec<Datum> = carried.iter().map(|reader| reader.get(row)).collect();
            let mut own = Vec::with_capacity(sets.len());
            for (at, set) in sets.iter().enumerate() {
                match self.group(*set, &key, &carried)? {
                    Ok(place) => own.push(place),
                    Err(bytes) => spare[at].push((row as u32, bytes)),
                }
            }
            places.push(own);
        }
        for at in 0..shape.calls.len() {
            self.feed(at, &places, batch)?;
        }
        Ok(spare)
    }

    /// Takes memory for what the groups hold by now. What the accumulators of groups that are there
    /// hold may be over the table's share by an eighth of all; then there is no way out.
    fn hold(&mut self) -> DfResult<()> {
        if self.size <= self.memory.size() {
            return Ok(());
        }
        let Err(no_room) = self.memory.try_resize(self.size) else { return Ok(()) };
        let limit = match self.run.task.memory_pool().memory_limit() {
            MemoryLimit::Finite(limit) => limit,
            _ => usize::MAX,
        };
        let slack = (limit / 8).max(STEP_BYTES * 4);
        let may_spill = self.sets.iter().any(|set| !self.shape.sets[*set].is_empty());
        if !may_spill || self.size > self.memory.size().saturating_add(slack) {
            return Err(no_room);
        }
        self.is_full = true;
        Ok(())
    }

    /// Keeps the arguments of an aggregate `WITHIN GROUP` for groups that begin in a batch.
    fn take_direct(
        &mut self,
        at: usize,
        places: &[Vec<usize>],
        batch: &RecordBatch,
    ) -> SqlResult<()> {
        let shape = self.shape.clone();
        let mut direct: Option<Evaluated> = None;
        for (row, places) in places.iter().enumerate() {
            for place in places {
                let state = &mut self.groups[*place].states[at];
                if state.direct.is_none() {
                    if direct.is_none() {
                        let args = &shape.calls[at].args;
                        direct = Some(Evaluated::new(args, batch, &self.run)?);
                    }
                    let direct = direct.iter().flat_map(Evaluated::readers);
                    state.direct = Some(direct.map(|reader| reader.get(row)).collect());
                }
            }
        }
        Ok(())
    }

    /// Hands the rows of a batch to one aggregate of their groups.
    fn feed(&mut self, at: usize, places: &[Vec<usize>], batch: &RecordBatch) -> SqlResult<()> {
        let (run, shape) = (self.run.clone(), self.shape.clone());
        let call = &shape.calls[at];
        if call.within_group.is_some() {
            self.take_direct(at, places, batch)?;
        }
        let filter = Evaluated::new(&call.filter, batch, &run)?;
        let filter = filter.readers();
        // Arguments of rows that the filter leaves out, or that are grouped later, are not evaluated.
        let chosen: Vec<bool> = (0..batch.num_rows())
            .map(|row| {
                let passes = filter
                    .first()
                    .is_none_or(|filter| matches!(filter.get(row), Datum::Bool(true)));
                passes && !places[row].is_empty()
            })
            .collect();
        let own = if chosen.iter().all(|chosen| *chosen) {
            batch.clone()
        } else {
            let mask = arrow::array::BooleanArray::from(chosen.clone());
            arrow::compute::filter_record_batch(batch, &mask)
                .map_err(|error| aegis_types::SqlError::internal(error.to_string()))?
        };
        let none = Vec::new();
        let of_rows = if call.within_group.is_some() { &none } else { &call.args };
        let args = Evaluated::new(of_rows, &own, &run)?;
        let order = Evaluated::new(call.order_by.iter().map(|key| &key.scalar), &own, &run)?;
        let (args, order) = (args.readers(), order.readers());
        let rows = (0..batch.num_rows()).filter(|row| chosen[*row]);
        for (next, row) in rows.enumerate() {
            if next % 256 == 0 {
                run.context.cancel.check()?;
            }
            let args: Vec<Datum> = args.iter().map(|reader| reader.get(next)).collect();
            let order: Vec<Datum> = order.iter().map(|reader| reader.get(next)).collect();
            for place in &places[row] {
                let state = &mut self.groups[*place].states[at];
                let before = state.size();
                call.feed(state, args.clone(), &order, &run)?;
                self.size = (self.size + state.size()).saturating_sub(before);
            }
        }
        Ok(())
    }
}

impl Shape {
    fn row(&self, mut group: Group, run: &Run) -> SqlResult<Vec<Datum>> {
        let mut row = std::mem::take(&mut group.keys);
        row.append(&mut group.carried);
        for (call, state) in self.calls.iter().zip(&mut group.states) {
            row.push(call.finish(state, &self.input_types, run)?);
        }
        for grouping in &self.groupings {
            let bits = grouping
                .iter()
                .fold(0i32, |bits, at| bits << 1 | i32::from(!self.sets[group.set].contains(at)));
            row.push(Datum::Int4(bits));
        }
        if row.is_empty() {
            row.push(Datum::Null);
        }
        Ok(row)
    }
}

/// Grouping in one execution.
struct Grouping {
    run: Arc<Run>,
    shape: Arc<Shape>,
    task: Arc<TaskContext>,
    /// What the groups that are done hold.
    memory: Option<MemoryReservation>,
    /// What is to be grouped still: rows, the grouping sets that they are for, how often they were
    /// spread.
    waiting: Vec<(Source, Vec<usize>, u32)>,
    /// Groups that are done.
    done: std::vec::IntoIter<Group>,
}

enum Source {
    Input(SendableRecordBatchStream),
    File(Spilled),
}

impl Grouping {
    async fn next(&mut self) -> DfResult<Option<RecordBatch>> {
        loop {
            if self.done.len() > 0 {
                let rows = self
                    .done
                    .by_ref()
                    .take(BATCH_ROWS)
                    .map(|group| self.shape.row(group, &self.run))
                    .collect::<SqlResult<Vec<_>>>();
                let rows = rows.map_err(external)?;
                return Ok(lift(batches(&self.shape.types, &rows))?.pop());
            }
            self.done = Vec::new().into_iter();
            self.memory = None;
            let Some((source, sets, level)) = self.waiting.pop() else { return Ok(None) };
            self.pass(source, sets, level).await?;
        }
    }

    async fn pass(&mut self, source: Source, sets: Vec<usize>, level: u32) -> DfResult<()> {
        let mut table = Table::new(self.run.clone(), self.shape.clone(), sets);
        let mut input = match source {
            Source::Input(input) => {
                // An empty grouping set has a group even without rows.
                for set in 0..self.shape.sets.len() {
                    if self.shape.sets[set].is_empty() {
                        let keys = vec![Datum::Null; self.shape.groups.len()];
                        let nulls = vec![Datum::Null; self.shape.carried.len()];
                        lift(table.group(set, &keys, &nulls))?.ok();
                    }
                }
                input
            }
            Source::File(file) => file.read()?,
        };
        let mut overflow: Vec<Option<Partitions>> = table.sets.iter().map(|_| None).collect();
        while let Some(batch) = input.try_next().await? {
            self.run.context.cancel.check().map_err(external)?;
            let spare = table.take(&batch).map_err(external)?;
            for (at, rows) in spare.iter().enumerate().filter(|(_, rows)| !rows.is_empty()) {
                if overflow[at].is_none() {
                    let (schema, task) = (batch.schema(), self.task.clone());
                    overflow[at] = Some(Partitions::new("aggregate", schema, task, level)?);
                }
                if let Some(overflow) = &mut overflow[at] {
                    overflow.add(&batch, rows)?;
                }
            }
            table.hold()?;
        }
        for (set, overflow) in table.sets.iter().zip(overflow) {
            let Some(overflow) = overflow else { continue };
            for file in overflow.finish()?.into_iter().flatten() {
                self.waiting.push((Source::File(file), vec![*set], level + 1));
            }
        }
        self.done = table.groups.into_iter();
        self.memory = Some(table.memory);
        Ok(())
    }
}

impl AggregatePlan {
    pub(crate) fn start(
        &self,
        types: &[TypeRef],
        run: &Arc<Run>,
    ) -> SqlResult<Arc<dyn ExecutionPlan>> {
        let child = self.input.start(run)?;
        let shape = Arc::new(Shape {
            sets: self.sets.clone(),
            groups: self.groups.clone(),
            carried: self.carried.clone(),
            calls: self.calls.clone(),
            groupings: self.groupings.clone(),
            types: types.to_vec(),
            input_types: self.input.types.clone(),
        });
        let run = run.clone();
        Ok(Node::new("Aggregate", types, vec![child], move |mut inputs, task| {
            let sets = (0..shape.sets.len()).collect();
            let state = Grouping {
                run: run.clone(),
                shape: shape.clone(),
                memory: None,
                task,
                waiting: vec![(Source::Input(inputs.swap_remove(0)), sets, 0)],
                done: Vec::new().into_iter(),
            };
            Ok(futures::stream::try_unfold(state, |mut state| async move {
                Ok(state.next().await?.map(|batch| (batch, state)))
            })
            .boxed())
        }))
    }
}
