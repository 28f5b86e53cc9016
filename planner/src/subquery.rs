//! Parts of a plan that run by themselves: subqueries in expressions, `LATERAL` items, common table
//! expressions.
//!
//! A part lists what it refers to in the rows around it; whoever runs it hands those values over.
//! Equal values give equal results, so results are kept, unless a volatile function is called.
//! Nothing runs before its value is wanted: a subquery in an arm of `CASE` that is not taken never
//! runs, and cannot fail.

use std::collections::HashSet;
use std::sync::Arc;

use aegis_sql::evaluate::Program;
use aegis_types::{Array, Datum, SqlError, SqlResult, SqlState, TypeRef};
use arrow::array::RecordBatch;
use datafusion::common::DataFusionError;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::physical_plan::ExecutionPlan;
use futures::stream::{StreamExt, TryStreamExt};

use crate::arrow_types::{readers, rows_of};
use crate::memory::{Held, Spill, Spilled, reserve, reserve_spilling, size_of_rows};
use crate::node::{BATCH_ROWS, Node, batches};
use crate::plan::{Plan, encode_key};
use crate::run::{Rows, Run, block_on, external, lift, memo_key, sql_error};
use crate::scalar::{Runner, Scalar};

/// A part that runs by itself.
pub(crate) struct Part {
    /// Tells it from other parts of the same plan.
    pub(crate) number: usize,
    pub(crate) plan: Plan,
    /// Whether the same values around give the same rows.
    pub(crate) stable: bool,
}

/// A subquery in an expression.
pub(crate) struct Subplan {
    pub(crate) part: Arc<Part>,
    /// The slots of the row around whose values the part refers to.
    pub(crate) bindings: Vec<usize>,
    pub(crate) kind: SubplanKind,
}

/// How a subquery's rows become a value.
pub(crate) enum SubplanKind {
    Exists,
    Scalar,
    Array(TypeRef),
    Any(Test),
    All(Test),
    RowCompare(Test),
    /// `x = ANY`, by a set of keys.
    In {
        left: Test,
        ty: TypeRef,
    },
}

/// A condition over a row of the subquery and the row around.
pub(crate) struct Test {
    pub(crate) program: Program,
    /// The slots of the row around that follow the subquery's columns.
    pub(crate) slots: Vec<usize>,
    pub(crate) subplans: Vec<Arc<Subplan>>,
    /// How many columns the subquery has.
    pub(crate) width: usize,
}

impl Test {
    fn value(&self, inner: &[Datum], row: &[Datum], run: &Run) -> SqlResult<Datum> {
        let mut slots = inner.to_vec();
        slots.resize(self.width, Datum::Null);
        slots.extend(self.slots.iter().map(|slot| row[*slot].clone()));
        let runner = Runner { subplans: &self.subplans, run };
        self.program.evaluate_with(&slots, &run.evaluation(), &runner)
    }
}

impl Part {
    /// Its rows, each handed to `take` as it comes, until that wants no more.
    fn for_each(
        &self,
        run: &Arc<Run>,
        mut take: impl FnMut(RecordBatch) -> SqlResult<bool>,
    ) -> SqlResult<()> {
        run.context.cancel.check()?;
        let plan = self.plan.start(run)?;
        block_on(&run.io, async {
            let mut stream = plan.execute(0, run.task.clone()).map_err(sql_error)?;
            while let Some(batch) = stream.try_next().await.map_err(sql_error)? {
                if !take(batch)? {
                    break;
                }
            }
            Ok(())
        })
    }

    /// Up to so many of its rows, or all.
    pub(crate) fn compute(&self, run: &Arc<Run>, wanted: usize) -> SqlResult<Held> {
        let memory = reserve("subquery", &run.task);
        let mut rows: Vec<Vec<Datum>> = Vec::new();
        // Whoever wants some of them only stops early.
        let run = &run.stepping(wanted < usize::MAX && self.plan.steps());
        self.for_each(run, |batch| {
            let first = rows.len();
            rows.extend(rows_of(&batch, &self.plan.types));
            grow(&memory, size_of_rows(&rows[first..]), run)?;
            Ok(rows.len() < wanted)
        })?;
        Ok(Held { rows, memory })
    }

    /// All its rows, computed once for these values around.
    pub(crate) fn rows(&self, outer: Vec<Datum>, run: &Run) -> SqlResult<Rows> {
        let key = memo_key(self.number, &outer);
        if self.stable
            && let Some(rows) = run.shared.rows(&key)
        {
            return Ok(rows);
        }
        let rows = Arc::new(self.compute(&run.with_outer(outer), usize::MAX)?);
        if self.stable {
            run.shared.keep_rows(key, rows.clone());
        }
        Ok(rows)
    }
}

/// Takes memory, from results that can be computed again if need be.
fn grow(memory: &MemoryReservation, bytes: usize, run: &Run) -> SqlResult<()> {
    if memory.try_grow(bytes).is_ok() {
        return Ok(());
    }
    run.shared.forget();
    memory.try_grow(bytes).map_err(sql_error)
}

impl Subplan {
    /// The value over a row around.
    pub(crate) fn value(&self, row: &[Datum], run: &Run) -> SqlResult<Datum> {
        let outer: Vec<Datum> = self.bindings.iter().map(|slot| row[*slot].clone()).collect();
        // A volatile subquery that refers to nothing around runs once all the same.
        let keep = self.part.stable || outer.is_empty();
        match &self.kind {
            SubplanKind::Exists => {
                self.kept(outer, keep, run, 1, |rows| Ok(Datum::Bool(!rows.is_empty())))
            }
            SubplanKind::Scalar => self.kept(outer, keep, run, 2, |mut rows| {
                if rows.len() > 1 {
                    return Err(too_many_rows());
                }
                Ok(rows.pop().and_then(|mut row| row.drain(..).next()).unwrap_or(Datum::Null))
            }),
            SubplanKind::Array(ty) => self.kept(outer, keep, run, usize::MAX, |rows| {
                let element = aegis_sql::evaluate::element_type(ty.oid);
                let element = aegis_sql::evaluate::actual_element(element, run.eval().host);
                let values = rows.into_iter().filter_map(|row| row.into_iter().next()).collect();
                array_of(element, values)
            }),
            SubplanKind::RowCompare(test) => {
                let rows = self.part.rows(outer, run)?;
                match &rows[..] {
                    [] => Ok(Datum::Null),
                    [one] => test.value(one, row, run),
                    _ => Err(too_many_rows()),
                }
            }
            SubplanKind::Any(test) => {
                let rows = self.part.rows(outer, run)?;
                quantified(&rows, test, true, row, run)
            }
            SubplanKind::All(test) => {
                let rows = self.part.rows(outer, run)?;
                quantified(&rows, test, false, row, run)
            }
            SubplanKind::In { left, ty } => self.is_in(left, *ty, outer, row, run),
        }
    }

    fn kept(
        &self,
        outer: Vec<Datum>,
        keep: bool,
        run: &Run,
        wanted: usize,
        make: impl FnOnce(Vec<Vec<Datum>>) -> SqlResult<Datum>,
    ) -> SqlResult<Datum> {
        let key = memo_key(self.part.number, &outer);
        if keep && let Some(value) = run.shared.value(&key) {
            return Ok(value);
        }
        let value = make(self.part.compute(&run.with_outer(outer), wanted)?.rows)?;
        if keep {
            run.shared.keep_value(key, value.clone());
        }
        Ok(value)
    }

    fn is_in(
        &self,
        left: &Test,
        ty: TypeRef,
        outer: Vec<Datum>,
        row: &[Datum],
        run: &Run,
    ) -> SqlResult<Datum> {
        let key = memo_key(self.part.number, &outer);
        let set = match run.shared.set(&key) {
            Some(set) => set,
            None => {
                let set = Arc::new(KeySet::new(&self.part, &run.with_outer(outer), ty)?);
                run.shared.keep_set(key, set.clone());
                set
            }
        };
        if set.is_empty {
            return Ok(Datum::Bool(false));
        }
        let value = left.value(&[], row, run)?;
        if value.is_null() {
            return Ok(Datum::Null);
        }
        let mut bytes = Vec::new();
        encode_key(ty, &value, &mut bytes)?;
        Ok(if set.keys.contains(&bytes) {
            Datum::Bool(true)
        } else if set.has_null {
            Datum::Null
        } else {
            Datum::Bool(false)
        })
    }
}

/// The values of a subquery's only column.
pub(crate) struct KeySet {
    keys: HashSet<Vec<u8>>,
    has_null: bool,
    is_empty: bool,
    #[expect(dead_code, reason = "held to be given back with the keys")]
    memory: MemoryReservation,
}

impl KeySet {
    fn new(part: &Part, run: &Arc<Run>, ty: TypeRef) -> SqlResult<Self> {
        let memory = reserve("hashed subplan", &run.task);
        let (mut keys, mut has_null, mut is_empty) = (HashSet::new(), false, true);
        part.for_each(&run.stepping(false), |batch| {
            let values = readers(&batch, &part.plan.types);
            let mut added = 0;
            for row in 0..batch.num_rows() {
                is_empty = false;
                let value = values[0].get(row);
                if value.is_null() {
                    has_null = true;
                    continue;
                }
                let mut bytes = Vec::new();
                encode_key(ty, &value, &mut bytes)?;
                let size = bytes.capacity() + 48;
                added += if keys.insert(bytes) { size } else { 0 };
            }
            grow(&memory, added, run)?;
            Ok(true)
        })?;
        Ok(Self { keys, has_null, is_empty, memory })
    }
}

fn too_many_rows() -> SqlError {
    SqlError::new(
        SqlState::CardinalityViolation,
        "more than one row returned by a subquery used as an expression",
    )
}

/// `ANY` is true as soon as one row is, `ALL` false as soon as one is.
fn quantified(
    rows: &Rows,
    test: &Test,
    decisive: bool,
    row: &[Datum],
    run: &Run,
) -> SqlResult<Datum> {
    let mut unknown = false;
    for inner in rows.iter() {
        match test.value(inner, row, run)? {
            Datum::Bool(value) if value == decisive => return Ok(Datum::Bool(decisive)),
            Datum::Bool(_) => {}
            _ => unknown = true,
        }
    }
    Ok(if unknown { Datum::Null } else { Datum::Bool(!decisive) })
}

/// `ARRAY(SELECT …)`: arrays among the values become one more dimension.
fn array_of(element: aegis_types::Oid, values: Vec<Datum>) -> SqlResult<Datum> {
    let Some(Datum::Array(first)) = values.iter().find(|value| !value.is_null()) else {
        return Ok(Datum::Array(Arc::new(Array::one_dimensional(element, values))));
    };
    let first = first.clone();
    let mut elements = Vec::new();
    let count = i32::try_from(values.len()).unwrap_or(i32::MAX);
    for value in values {
        match value {
            Datum::Array(array) if array.dimensions == first.dimensions => {
                elements.extend(array.elements.iter().cloned());
            }
            Datum::Null => {
                return Err(SqlError::new(
                    SqlState::NullValueNotAllowed,
                    "cannot accumulate null arrays",
                ));
            }
            _ => {
                return Err(SqlError::new(
                    SqlState::ArraySubscriptError,
                    "cannot accumulate arrays of different dimensionality",
                ));
            }
        }
    }
    let mut dimensions = vec![aegis_types::Dimension { length: count, lower: 1 }];
    dimensions.extend(&first.dimensions);
    Ok(Datum::Array(Arc::new(Array { element: first.element, dimensions, elements })))
}

/// A common table expression that is computed once.
pub(crate) struct CtePlan {
    pub(crate) name: String,
    pub(crate) part: Arc<Part>,
    /// What it refers to in the rows around, over no row.
    pub(crate) bindings: Vec<Arc<Scalar>>,
    /// Whether nobody else reads it, nor this more than once.
    pub(crate) is_streamed: bool,
}

/// The rows of a common table expression: as many as fit in memory, the others in a file.
pub(crate) struct Stored {
    batches: Vec<RecordBatch>,
    spilled: Option<Spilled>,
    #[expect(dead_code, reason = "held to be given back with the batches")]
    memory: MemoryReservation,
}

impl Stored {
    fn new(part: &Part, run: &Arc<Run>) -> SqlResult<Self> {
        let memory = reserve_spilling("CTE", &run.task);
        let mut batches = Vec::new();
        let mut spill: Option<Spill> = None;
        part.for_each(&run.stepping(false), |batch| {
            if let Some(spill) = &mut spill {
                spill.write(&batch).map_err(sql_error)?;
            } else if grow(&memory, batch.get_array_memory_size(), run).is_ok() {
                batches.push(batch);
            } else {
                let mut first = Spill::new("CTE", &batch.schema(), &run.task).map_err(sql_error)?;
                first.write(&batch).map_err(sql_error)?;
                spill = Some(first);
            }
            Ok(true)
        })?;
        let spilled = match spill {
            Some(spill) => spill.finish().map_err(sql_error)?,
            None => None,
        };
        Ok(Self { batches, spilled, memory })
    }

    fn of(part: &Part, outer: Vec<Datum>, run: &Run) -> SqlResult<Arc<Self>> {
        let key = memo_key(part.number, &outer);
        if let Some(stored) = run.shared.stored(&key) {
            return Ok(stored);
        }
        let stored = Arc::new(Self::new(part, &run.with_outer(outer))?);
        run.shared.keep_stored(key, stored.clone());
        Ok(stored)
    }
}

impl CtePlan {
    pub(crate) fn start(
        &self,
        types: &[TypeRef],
        run: &Arc<Run>,
    ) -> SqlResult<Arc<dyn ExecutionPlan>> {
        if run.is_stepping && self.is_streamed {
            return self.part.plan.start(run);
        }
        let (part, bindings, run) = (self.part.clone(), self.bindings.clone(), run.clone());
        Ok(Node::new("CTE Scan", types, Vec::new(), move |_, _| {
            let (part, bindings, run) = (part.clone(), bindings.clone(), run.clone());
            let future = async move {
                let outer = lift(bindings.iter().map(|scalar| scalar.alone(&run)).collect())?;
                let stored = Stored::of(&part, outer, &run).map_err(external)?;
                let rest = stored.spilled.as_ref().map(Spilled::read).transpose()?;
                let mut at = 0;
                let held = std::iter::from_fn(move || {
                    at += 1;
                    stored.batches.get(at - 1).cloned().map(Ok)
                });
                let rest =
                    rest.map_or_else(|| futures::stream::empty().boxed(), |rest| rest.boxed());
                Ok::<_, DataFusionError>(futures::stream::iter(held).chain(rest))
            };
            Ok(futures::stream::once(future).try_flatten().boxed())
        }))
    }
}

/// An item of `FROM` that refers to items before it: run for each of their rows.
pub(crate) struct LateralPlan {
    pub(crate) left: Box<Plan>,
    pub(crate) part: Arc<Part>,
    /// What the item refers to, over the left side's columns.
    pub(crate) bindings: Vec<Arc<Scalar>>,
    /// Whether a left row without a match stays, with NULLs.
    pub(crate) outer: bool,
    /// The condition, over both sides' columns.
    pub(crate) filter: Option<Arc<Scalar>>,
}

impl LateralPlan {
    pub(crate) fn start(
        &self,
        types: &[TypeRef],
        run: &Arc<Run>,
    ) -> SqlResult<Arc<dyn ExecutionPlan>> {
        let child = self.left.start_alone(!self.part.stable || self.part.plan.steps(), run)?;
        let (part, bindings) = (self.part.clone(), self.bindings.clone());
        let shape = Arc::new(Lateral {
            part,
            bindings,
            outer: self.outer,
            filter: self.filter.clone(),
            left_types: self.left.types.clone(),
            types: types.to_vec(),
            run: run.clone(),
        });
        Ok(Node::new("Nested Loop", types, vec![child], move |mut inputs, _| {
            let state = (shape.clone(), inputs.swap_remove(0), None::<(Given, usize)>);
            let stream =
                futures::stream::try_unfold(state, |(shape, mut input, given)| async move {
                    let mut given = given;
                    loop {
                        let Some((rows, at)) = given.take() else {
                            let Some(batch) = input.try_next().await? else { return Ok(None) };
                            given = Some((shape.given(&batch).map_err(external)?, 0));
                            continue;
                        };
                        let (joined, at) = shape.join(&rows, at).map_err(external)?;
                        let rest = (at < rows.len()).then_some((rows, at));
                        let batches = lift(batches(&shape.types, &joined))?;
                        let batches = futures::stream::iter(batches.into_iter().map(Ok));
                        return Ok::<_, DataFusionError>(Some((batches, (shape, input, rest))));
                    }
                });
            Ok(stream.try_flatten().boxed())
        }))
    }
}

/// The rows of a batch of the left side, and for each the values that the part refers to.
type Given = Vec<(Vec<Datum>, Vec<Datum>)>;

/// A lateral join in one execution.
struct Lateral {
    part: Arc<Part>,
    bindings: Vec<Arc<Scalar>>,
    outer: bool,
    filter: Option<Arc<Scalar>>,
    left_types: Vec<TypeRef>,
    types: Vec<TypeRef>,
    run: Arc<Run>,
}

impl Lateral {
    fn given(&self, batch: &RecordBatch) -> SqlResult<Given> {
        let arrays = self
            .bindings
            .iter()
            .map(|scalar| scalar.array(batch, &self.run))
            .collect::<SqlResult<Vec<_>>>()?;
        let values: Vec<_> = arrays
            .iter()
            .zip(&self.bindings)
            .map(|(array, scalar)| crate::arrow_types::ColumnReader::new(array, scalar.ty))
            .collect();
        let left = readers(batch, &self.left_types);
        Ok((0..batch.num_rows())
            .map(|at| {
                let row = left.iter().map(|reader| reader.get(at)).collect();
                (row, values.iter().map(|value| value.get(at)).collect())
            })
            .collect())
    }

    /// The joined rows of left rows from `at` on, until there are enough of them for a batch.
    fn join(&self, given: &Given, at: usize) -> SqlResult<(Vec<Vec<Datum>>, usize)> {
        let memory = reserve("nested loop", &self.run.task);
        let mut at = at;
        let mut out = Vec::new();
        while at < given.len() && out.len() < BATCH_ROWS {
            self.run.context.cancel.check()?;
            let (row, around) = &given[at];
            at += 1;
            let found = self.part.rows(around.clone(), &self.run)?;
            let first = out.len();
            // The condition is asked batch by batch, so that what it leaves out is never held.
            for right in found.chunks(BATCH_ROWS) {
                let mut joined: Vec<Vec<Datum>> =
                    right.iter().map(|right| row.iter().chain(right).cloned().collect()).collect();
                if let Some(filter) = &self.filter {
                    joined = keep_true(filter, joined, &self.types, &self.run)?;
                }
                grow(&memory, size_of_rows(&joined), &self.run)?;
                out.append(&mut joined);
            }
            if out.len() == first && self.outer {
                let mut row = row.clone();
                row.resize(self.types.len(), Datum::Null);
                out.push(row);
            }
        }
        Ok((out, at))
    }
}

fn keep_true(
    filter: &Scalar,
    rows: Vec<Vec<Datum>>,
    types: &[TypeRef],
    run: &Run,
) -> SqlResult<Vec<Vec<Datum>>> {
    let batch = crate::arrow_types::batch_of(&crate::arrow_types::schema(types), types, &rows)?;
    let array = filter.array(&batch, run)?;
    let reader = crate::arrow_types::ColumnReader::new(&array, filter.ty);
    Ok(rows
        .into_iter()
        .enumerate()
        .filter(|(at, _)| matches!(reader.get(*at), Datum::Bool(true)))
        .map(|(_, row)| row)
        .collect())
}
