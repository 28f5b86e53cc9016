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
use datafusion::common::DataFusionError;
use datafusion::physical_plan::ExecutionPlan;
use futures::stream::{StreamExt, TryStreamExt};

use crate::arrow_types::{readers, rows_of};
use crate::node::{Node, batches};
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
    /// Up to so many of its rows, or all.
    pub(crate) fn compute(&self, run: &Arc<Run>, wanted: usize) -> SqlResult<Vec<Vec<Datum>>> {
        run.context.cancel.check()?;
        let plan = self.plan.start(run)?;
        let mut stream = plan.execute(0, run.task.clone()).map_err(sql_error)?;
        block_on(async {
            let mut rows = Vec::new();
            while rows.len() < wanted {
                match stream.try_next().await.map_err(sql_error)? {
                    Some(batch) => rows.extend(rows_of(&batch, &self.plan.types)),
                    None => break,
                }
            }
            Ok(rows)
        })
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
                let values = rows.into_iter().filter_map(|row| row.into_iter().next()).collect();
                array_of(element, values)
            }),
            SubplanKind::RowCompare(test) => {
                let rows = self.part.rows(outer, run)?;
                match rows.as_slice() {
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
        let value = make(self.part.compute(&run.with_outer(outer), wanted)?)?;
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
                let rows = self.part.compute(&run.with_outer(outer), usize::MAX)?;
                let set = Arc::new(KeySet::new(&rows, ty)?);
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
}

impl KeySet {
    fn new(rows: &[Vec<Datum>], ty: TypeRef) -> SqlResult<Self> {
        let mut set = Self { keys: HashSet::new(), has_null: false, is_empty: rows.is_empty() };
        for row in rows {
            if row[0].is_null() {
                set.has_null = true;
            } else {
                let mut bytes = Vec::new();
                encode_key(ty, &row[0], &mut bytes)?;
                set.keys.insert(bytes);
            }
        }
        Ok(set)
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
}

impl CtePlan {
    pub(crate) fn start(
        &self,
        types: &[TypeRef],
        run: &Arc<Run>,
    ) -> SqlResult<Arc<dyn ExecutionPlan>> {
        let (part, bindings) = (self.part.clone(), self.bindings.clone());
        let (run, types_of_output) = (run.clone(), types.to_vec());
        Ok(Node::new("CTE Scan", types, Vec::new(), move |_, _| {
            let (part, bindings) = (part.clone(), bindings.clone());
            let (run, types) = (run.clone(), types_of_output.clone());
            let future = async move {
                let outer = lift(bindings.iter().map(|scalar| scalar.alone(&run)).collect())?;
                let rows = part.rows(outer, &run).map_err(external)?;
                let batches = lift(batches(&types, &rows))?;
                Ok::<_, DataFusionError>(futures::stream::iter(batches.into_iter().map(Ok)))
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
        let left_types = self.left.types.clone();
        let (part, bindings) = (self.part.clone(), self.bindings.clone());
        let (outer, filter) = (self.outer, self.filter.clone());
        let types_of_output = types.to_vec();
        let child = self.left.start(run)?;
        let run = run.clone();
        Ok(Node::mapping("Nested Loop", types, child, move || {
            let (part, bindings, filter) = (part.clone(), bindings.clone(), filter.clone());
            let (run, types, left_types) =
                (run.clone(), types_of_output.clone(), left_types.clone());
            Box::new(move |batch| {
                let arrays = bindings
                    .iter()
                    .map(|scalar| scalar.array(&batch, &run))
                    .collect::<SqlResult<Vec<_>>>()?;
                let values: Vec<_> = arrays
                    .iter()
                    .zip(&bindings)
                    .map(|(array, scalar)| crate::arrow_types::ColumnReader::new(array, scalar.ty))
                    .collect();
                let left = readers(&batch, &left_types);
                let mut out = Vec::new();
                for at in 0..batch.num_rows() {
                    let row: Vec<Datum> = left.iter().map(|reader| reader.get(at)).collect();
                    let around: Vec<Datum> = values.iter().map(|value| value.get(at)).collect();
                    let mut joined: Vec<Vec<Datum>> = part
                        .rows(around, &run)?
                        .iter()
                        .map(|right| row.iter().chain(right).cloned().collect())
                        .collect();
                    if let Some(filter) = &filter
                        && !joined.is_empty()
                    {
                        joined = keep_true(filter, joined, &types, &run)?;
                    }
                    if joined.is_empty() && outer {
                        let mut row = row;
                        row.resize(types.len(), Datum::Null);
                        joined.push(row);
                    }
                    out.append(&mut joined);
                }
                Ok(out)
            })
        }))
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
