//! Grouping and aggregates: a hash table of groups with an accumulator for each aggregate.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use aegis_types::functions::aggregate::{Accumulator, AggregateFunction};
use aegis_types::{CallContext, Datum, SqlResult, TypeRef};
use datafusion::common::DataFusionError;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::physical_plan::ExecutionPlan;
use futures::stream::{StreamExt, TryStreamExt};

use crate::arrow_types::ColumnReader;
use crate::node::{Node, batches};
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
    /// `WITHIN GROUP`: the values sorted by follow the arguments.
    pub(crate) within_group: bool,
    pub(crate) filter: Option<Arc<Scalar>>,
    pub(crate) argument_types: Vec<TypeRef>,
    pub(crate) result: TypeRef,
}

/// Grouping. Columns out: group keys, carried columns, aggregates, `GROUPING()`s.
pub(crate) struct AggregatePlan {
    pub(crate) input: Box<Plan>,
    pub(crate) groups: Vec<Arc<Scalar>>,
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
    /// Sort key and arguments of each row, where the order matters.
    waiting: Vec<(Vec<u8>, Vec<Datum>)>,
}

struct Group {
    keys: Vec<Datum>,
    carried: Vec<Datum>,
    set: usize,
    states: Vec<State>,
}

impl AggregateCall {
    fn with_context<T>(&self, run: &Run, apply: impl FnOnce(&CallContext<'_>) -> T) -> T {
        apply(&CallContext {
            eval: run.eval(),
            argument_types: &self.argument_types,
            result_type: self.result,
        })
    }

    fn state(&self, run: &Run) -> State {
        State {
            accumulator: self.with_context(run, |context| (self.function)(context)),
            seen: HashSet::new(),
            waiting: Vec::new(),
        }
    }

    fn feed(
        &self,
        state: &mut State,
        args: Vec<Datum>,
        order: &[Datum],
        run: &Run,
    ) -> SqlResult<()> {
        let nulls = if self.within_group { order.iter().any(Datum::is_null) } else { false };
        if (self.strict && args.iter().any(Datum::is_null)) || nulls {
            return Ok(());
        }
        if self.distinct {
            let mut key = Vec::new();
            for (value, scalar) in args.iter().zip(&self.args) {
                encode_key(scalar.ty, value, &mut key)?;
            }
            if !state.seen.insert(key) {
                return Ok(());
            }
        }
        if self.order_by.is_empty() && !self.distinct {
            return self.with_context(run, |context| state.accumulator.update(context, &args));
        }
        let mut key = Vec::new();
        for (value, column) in order.iter().zip(&self.order_by) {
            let (descending, first) = (column.descending, column.nulls_first);
            aegis_types::key::encode(column.scalar.ty.oid, value, descending, first, &mut key)?;
        }
        if self.order_by.is_empty() {
            // PostgreSQL sorts to find duplicates, and so feeds them in order.
            for (value, scalar) in args.iter().zip(&self.args) {
                encode_key(scalar.ty, value, &mut key)?;
            }
        }
        let mut args = args;
        if self.within_group {
            args.extend(order.iter().cloned());
        }
        state.waiting.push((key, args));
        Ok(())
    }

    fn finish(&self, state: &mut State, run: &Run) -> SqlResult<Datum> {
        let mut waiting = std::mem::take(&mut state.waiting);
        waiting.sort_by(|left, right| left.0.cmp(&right.0));
        self.with_context(run, |context| {
            for (_, args) in &waiting {
                state.accumulator.update(context, args)?;
            }
            state.accumulator.finish(context)
        })
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

struct Table {
    run: Arc<Run>,
    sets: Vec<Vec<usize>>,
    group_types: Vec<TypeRef>,
    calls: Arc<Vec<AggregateCall>>,
    places: HashMap<Vec<u8>, usize>,
    groups: Vec<Group>,
}

impl Table {
    fn group(&mut self, set: usize, keys: &[Datum], carried: &[Datum]) -> SqlResult<usize> {
        let mut bytes = u32::try_from(set).unwrap_or(u32::MAX).to_le_bytes().to_vec();
        for at in &self.sets[set] {
            encode_key(self.group_types[*at], &keys[*at], &mut bytes)?;
        }
        if let Some(place) = self.places.get(&bytes) {
            return Ok(*place);
        }
        let mut own = vec![Datum::Null; keys.len()];
        for at in &self.sets[set] {
            own[*at] = keys[*at].clone();
        }
        self.groups.push(Group {
            keys: own,
            carried: carried.to_vec(),
            set,
            states: self.calls.iter().map(|call| call.state(&self.run)).collect(),
        });
        self.places.insert(bytes, self.groups.len() - 1);
        Ok(self.groups.len() - 1)
    }

    fn take(
        &mut self,
        batch: &arrow::array::RecordBatch,
        groups: &[Arc<Scalar>],
        carried: &[Arc<Scalar>],
    ) -> SqlResult<()> {
        let run = self.run.clone();
        let calls = self.calls.clone();
        let keys = Evaluated::new(groups, batch, &run)?;
        let carried = Evaluated::new(carried, batch, &run)?;
        let (keys, carried) = (keys.readers(), carried.readers());
        let filters = calls
            .iter()
            .map(|call| Evaluated::new(&call.filter, batch, &run))
            .collect::<SqlResult<Vec<_>>>()?;
        let mut inputs = Vec::new();
        for (call, filter) in calls.iter().zip(&filters) {
            // Arguments of rows that the filter leaves out are not evaluated.
            let chosen = filter.readers().first().map(|filter| {
                (0..batch.num_rows())
                    .map(|row| matches!(filter.get(row), Datum::Bool(true)))
                    .collect::<Vec<bool>>()
            });
            let own = match &chosen {
                None => batch.clone(),
                Some(chosen) => {
                    let mask = arrow::array::BooleanArray::from(chosen.clone());
                    arrow::compute::filter_record_batch(batch, &mask)
                        .map_err(|error| aegis_types::SqlError::internal(error.to_string()))?
                }
            };
            let args = Evaluated::new(&call.args, &own, &run)?;
            let order = Evaluated::new(call.order_by.iter().map(|key| &key.scalar), &own, &run)?;
            inputs.push((chosen, args, order));
        }
        let mut readers: Vec<_> = inputs
            .iter()
            .map(|(chosen, args, order)| (chosen, args.readers(), order.readers(), 0))
            .collect();
        for row in 0..batch.num_rows() {
            if row % 256 == 0 {
                run.context.cancel.check()?;
            }
            let key: Vec<Datum> = keys.iter().map(|reader| reader.get(row)).collect();
            let carried: Vec<Datum> = carried.iter().map(|reader| reader.get(row)).collect();
            let mut places = Vec::with_capacity(self.sets.len());
            for set in 0..self.sets.len() {
                places.push(self.group(set, &key, &carried)?);
            }
            for (at, (chosen, args, order, next)) in readers.iter_mut().enumerate() {
                if chosen.as_ref().is_some_and(|chosen| !chosen[row]) {
                    continue;
                }
                let args: Vec<Datum> = args.iter().map(|reader| reader.get(*next)).collect();
                let order: Vec<Datum> = order.iter().map(|reader| reader.get(*next)).collect();
                *next += 1;
                for place in &places {
                    let state = &mut self.groups[*place].states[at];
                    calls[at].feed(state, args.clone(), &order, &run)?;
                }
            }
        }
        Ok(())
    }

    /// An estimate of the bytes held.
    fn size(&self) -> usize {
        let width = 64 + self.group_types.len() * 48 + self.calls.len() * 128;
        let held: usize = self
            .groups
            .iter()
            .flat_map(|group| &group.states)
            .map(|state| {
                state.accumulator.size() + state.seen.len() * 48 + state.waiting.len() * 96
            })
            .sum();
        self.groups.len() * width + held
    }

    fn finish(mut self, groupings: &[Vec<usize>]) -> SqlResult<Vec<Vec<Datum>>> {
        let mut rows = Vec::with_capacity(self.groups.len());
        for group in &mut self.groups {
            let mut row = std::mem::take(&mut group.keys);
            row.append(&mut group.carried);
            for (call, state) in self.calls.iter().zip(&mut group.states) {
                row.push(call.finish(state, &self.run)?);
            }
            for grouping in groupings {
                let bits = grouping.iter().fold(0i32, |bits, at| {
                    bits << 1 | i32::from(!self.sets[group.set].contains(at))
                });
                row.push(Datum::Int4(bits));
            }
            if row.is_empty() {
                row.push(Datum::Null);
            }
            rows.push(row);
        }
        Ok(rows)
    }
}

impl AggregatePlan {
    pub(crate) fn start(
        &self,
        types: &[TypeRef],
        run: &Arc<Run>,
    ) -> SqlResult<Arc<dyn ExecutionPlan>> {
        let child = self.input.start(run)?;
        let (groups, carried) = (self.groups.clone(), self.carried.clone());
        let (sets, calls) = (self.sets.clone(), self.calls.clone());
        let (groupings, types_of_output) = (self.groupings.clone(), types.to_vec());
        let run = run.clone();
        Ok(Node::new("Aggregate", types, vec![child], move |mut inputs, task| {
            let mut table = Table {
                run: run.clone(),
                sets: sets.clone(),
                group_types: groups.iter().map(|scalar| scalar.ty).collect(),
                calls: calls.clone(),
                places: HashMap::new(),
                groups: Vec::new(),
            };
            let (groups, carried) = (groups.clone(), carried.clone());
            let (groupings, types) = (groupings.clone(), types_of_output.clone());
            let mut input = inputs.swap_remove(0);
            let memory: MemoryReservation =
                MemoryConsumer::new("aggregate").register(task.memory_pool());
            let future = async move {
                // An empty grouping set has a group even without rows.
                for set in 0..table.sets.len() {
                    if table.sets[set].is_empty() {
                        let keys = vec![Datum::Null; groups.len()];
                        let nulls = vec![Datum::Null; carried.len()];
                        lift(table.group(set, &keys, &nulls))?;
                    }
                }
                while let Some(batch) = input.try_next().await? {
                    lift(table.take(&batch, &groups, &carried))?;
                    memory.try_resize(table.size())?;
                }
                let rows = table.finish(&groupings).map_err(external)?;
                let batches = lift(batches(&types, &rows))?;
                drop(memory);
                Ok::<_, DataFusionError>(futures::stream::iter(batches.into_iter().map(Ok)))
            };
            Ok(futures::stream::once(future).try_flatten().boxed())
        }))
    }
}
