//! Functions that return sets: in `FROM`, and in the target list.

use std::sync::Arc;

use aegis_types::functions::{SetFunction, Values};
use aegis_types::{CallContext, Collation, Datum, Oid, SqlResult, TypeRef};
use datafusion::physical_plan::ExecutionPlan;
use futures::stream::StreamExt;

use crate::arrow_types::ColumnReader;
use crate::node::{BATCH_ROWS, Node, batches};
use crate::plan::Plan;
use crate::run::{Run, external};
use crate::scalar::Scalar;

/// What gives the rows.
#[derive(Clone, Copy)]
pub(crate) enum SetSource {
    BuiltIn(SetFunction),
    /// A function that users wrote.
    User(Oid),
}

/// A call of a function that returns a set.
#[derive(Clone)]
pub(crate) struct SetCall {
    pub(crate) source: SetSource,
    pub(crate) strict: bool,
    pub(crate) args: Vec<Arc<Scalar>>,
    pub(crate) result: TypeRef,
    pub(crate) collation: Collation,
}

impl SetCall {
    fn open(&self, args: &[Datum], run: &Run) -> SqlResult<Values> {
        if self.strict && args.iter().any(Datum::is_null) {
            return Ok(Box::new(std::iter::empty()));
        }
        let types: Vec<TypeRef> = self.args.iter().map(|arg| arg.ty).collect();
        let context = CallContext {
            eval: run.eval(),
            argument_types: &types,
            result_type: self.result,
            collation: self.collation,
        };
        match self.source {
            SetSource::BuiltIn(function) => function(&context, args),
            SetSource::User(oid) => context.eval.host.rows_of_user(oid, &context, args),
        }
    }
}

/// A call in `FROM`.
#[derive(Clone)]
pub(crate) enum FromCall {
    Set(SetCall),
    Scalar(Arc<Scalar>),
}

/// The columns that a call gives.
#[derive(Clone, Copy)]
pub(crate) struct Width {
    pub(crate) columns: usize,
    /// Whether they are the fields of what it returns.
    pub(crate) is_record: bool,
}

/// `ROWS FROM (…)`.
pub(crate) struct FunctionsPlan {
    /// The calls, with the number of columns that each gives.
    pub(crate) calls: Vec<(FromCall, Width)>,
    pub(crate) with_ordinality: bool,
}

impl FunctionsPlan {
    pub(crate) fn start(
        &self,
        types: &[TypeRef],
        run: &Arc<Run>,
    ) -> SqlResult<Arc<dyn ExecutionPlan>> {
        let calls = Arc::new(self.calls.clone());
        let (run, types_of_output) = (run.clone(), types.to_vec());
        let with_ordinality = self.with_ordinality;
        Ok(Node::new("Function Scan", types, Vec::new(), move |_, _| {
            let (calls, run, types) = (calls.clone(), run.clone(), types_of_output.clone());
            let state: Option<(Vec<(Option<Values>, Width)>, i64)> = None;
            let stream = futures::stream::try_unfold(state, move |state| {
                let (calls, run, types) = (calls.clone(), run.clone(), types.clone());
                async move {
                    let (mut open, mut count) = match state {
                        Some(state) => state,
                        None => (open_all(&calls, &run).map_err(external)?, 0),
                    };
                    run.context.cancel.check().map_err(external)?;
                    let mut rows = Vec::new();
                    while rows.len() < BATCH_ROWS {
                        let Some(mut row) = next_row(&mut open).map_err(external)? else { break };
                        count += 1;
                        if with_ordinality {
                            row.push(Datum::Int8(count));
                        }
                        if row.is_empty() {
                            row.push(Datum::Null);
                        }
                        rows.push(row);
                    }
                    let mut made = batches(&types, &rows).map_err(external)?;
                    Ok(made.pop().map(|batch| (batch, Some((open, count)))))
                }
            });
            Ok(stream.boxed())
        }))
    }
}

fn open_all(calls: &[(FromCall, Width)], run: &Run) -> SqlResult<Vec<(Option<Values>, Width)>> {
    calls
        .iter()
        .map(|(call, width)| {
            let values: Values = match call {
                FromCall::Scalar(scalar) => Box::new(std::iter::once(scalar.alone(run))),
                FromCall::Set(call) => {
                    let args = call
                        .args
                        .iter()
                        .map(|arg| arg.alone(run))
                        .collect::<SqlResult<Vec<_>>>()?;
                    call.open(&args, run)?
                }
            };
            Ok((Some(values), *width))
        })
        .collect()
}

/// The next row of all calls side by side; `None` when all are at their end.
fn next_row(open: &mut [(Option<Values>, Width)]) -> SqlResult<Option<Vec<Datum>>> {
    let mut row = Vec::new();
    let mut any = false;
    for (values, width) in open {
        let next = values.as_mut().and_then(Iterator::next).transpose()?;
        let end = row.len() + width.columns;
        match next {
            None => *values = None,
            Some(value) => {
                any = true;
                match value {
                    Datum::Record(fields) if width.is_record => row.extend(fields.iter().cloned()),
                    // The whole record may be NULL: then so are its fields.
                    Datum::Null => {}
                    value => row.push(value),
                }
            }
        }
        row.resize(end, Datum::Null);
    }
    Ok(any.then_some(row))
}

/// A target of a query with set-returning targets.
#[derive(Clone)]
pub(crate) enum SetTarget {
    Value(Arc<Scalar>),
    Set(SetCall),
}

impl SetTarget {
    /// Whether it may have other values each time; nobody knows of functions of users.
    pub(crate) fn is_volatile(&self) -> bool {
        match self {
            Self::Value(scalar) => scalar.is_volatile(),
            Self::Set(call) => {
                matches!(call.source, SetSource::User(_))
                    || call.args.iter().any(|arg| arg.is_volatile())
            }
        }
    }
}

/// Repeats each row for every row that its set-returning targets give, in lockstep.
pub(crate) fn start_project_set(
    input: &Plan,
    targets: &[SetTarget],
    types: &[TypeRef],
    run: &Arc<Run>,
) -> SqlResult<Arc<dyn ExecutionPlan>> {
    let targets = Arc::new(targets.to_vec());
    let child = input.start_alone(targets.iter().any(SetTarget::is_volatile), run)?;
    let run = run.clone();
    let types_of_output = types.to_vec();
    Ok(Node::new("ProjectSet", types, vec![child], move |mut inputs, _| {
        let (targets, run, types) = (targets.clone(), run.clone(), types_of_output.clone());
        let stream = inputs.swap_remove(0).flat_map(move |batch| {
            let made = batch.map(|batch| Expansion::new(batch, targets.clone(), run.clone()));
            let types = types.clone();
            let iterator: Box<dyn Iterator<Item = datafusion::common::Result<_>> + Send> =
                match made {
                    Err(error) => Box::new(std::iter::once(Err(error))),
                    Ok(Err(error)) => Box::new(std::iter::once(Err(external(error)))),
                    Ok(Ok(mut expansion)) => Box::new(std::iter::from_fn(move || {
                        let rows = match expansion.next_rows() {
                            Ok(rows) if rows.is_empty() => return None,
                            Ok(rows) => rows,
                            Err(error) => return Some(Err(external(error))),
                        };
                        let mut made = match batches(&types, &rows) {
                            Ok(made) => made,
                            Err(error) => return Some(Err(external(error))),
                        };
                        made.pop().map(Ok)
                    })),
                };
            futures::stream::iter(iterator)
        });
        Ok(stream.boxed())
    }))
}

/// The rows that one batch expands to.
struct Expansion {
    targets: Arc<Vec<SetTarget>>,
    run: Arc<Run>,
    /// Values of plain targets, arguments of the others: of each row.
    values: Vec<Vec<Vec<Datum>>>,
    at: usize,
    open: Vec<(Option<Values>, Width)>,
    failed: bool,
}

impl Expansion {
    fn new(
        batch: arrow::array::RecordBatch,
        targets: Arc<Vec<SetTarget>>,
        run: Arc<Run>,
    ) -> SqlResult<Self> {
        let mut values = vec![Vec::new(); batch.num_rows()];
        for target in targets.iter() {
            let scalars = match target {
                SetTarget::Value(scalar) => std::slice::from_ref(scalar),
                SetTarget::Set(call) => &call.args,
            };
            let mut columns = Vec::new();
            for scalar in scalars {
                columns.push((scalar.array(&batch, &run)?, scalar.ty));
            }
            let readers: Vec<_> =
                columns.iter().map(|(array, ty)| ColumnReader::new(array, *ty)).collect();
            for (at, row) in values.iter_mut().enumerate() {
                row.push(readers.iter().map(|reader| reader.get(at)).collect());
            }
        }
        Ok(Self { targets, run, values, at: 0, open: Vec::new(), failed: false })
    }

    fn next_rows(&mut self) -> SqlResult<Vec<Vec<Datum>>> {
        let mut rows = Vec::new();
        if self.failed {
            return Ok(rows);
        }
        self.failed = true;
        self.run.context.cancel.check()?;
        while rows.len() < BATCH_ROWS {
            if self.open.is_empty() {
                let Some(values) = self.values.get(self.at) else { break };
                for (target, args) in self.targets.iter().zip(values) {
                    if let SetTarget::Set(call) = target {
                        let width = Width { columns: 1, is_record: false };
                        self.open.push((Some(call.open(args, &self.run)?), width));
                    }
                }
            }
            match next_row(&mut self.open)? {
                None => {
                    self.open.clear();
                    self.at += 1;
                }
                Some(sets) => {
                    let mut sets = sets.into_iter();
                    let row = self.targets.iter().zip(&self.values[self.at]);
                    rows.push(
                        row.map(|(target, values)| match target {
                            SetTarget::Value(_) => values[0].clone(),
                            SetTarget::Set(_) => sets.next().unwrap_or(Datum::Null),
                        })
                        .collect(),
                    );
                }
            }
        }
        self.failed = false;
        Ok(rows)
    }
}
