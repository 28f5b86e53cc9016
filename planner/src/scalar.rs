//! Compiled expressions: Arrow kernels where their semantics are PostgreSQL's, and the row-wise
//! evaluator for everything else.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use aegis_sql::evaluate::{Program, Subqueries};
use aegis_types::{Datum, SqlError, SqlResult, SqlState, TypeRef, key, type_oid};
use arrow::array::{
    Array, ArrayRef, BinaryViewBuilder, BooleanArray, Datum as ArrowDatum, RecordBatch,
    Scalar as One,
};
use arrow::compute::kernels::{boolean, cmp, numeric};
use arrow::datatypes::{DataType, Schema};
use arrow::error::ArrowError;
use datafusion::common::Result as DfResult;
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;

use crate::arrow_types::{ColumnBuilder, ColumnReader, constant, data_type};
use crate::run::{Run, external};
use crate::subquery::Subplan;

/// A compiled expression over the columns of a plan.
#[derive(Clone)]
pub(crate) struct Scalar {
    pub(crate) ty: TypeRef,
    pub(crate) node: Vectorized,
}

/// How a compiled expression runs.
#[derive(Clone)]
pub(crate) enum Vectorized {
    Column(usize),
    Const(Datum),
    Compare(Comparison, Box<Scalar>, Box<Scalar>),
    Arithmetic(Arithmetic, Box<Scalar>, Box<Scalar>),
    And(Vec<Scalar>),
    Or(Vec<Scalar>),
    Not(Box<Scalar>),
    IsNull(Box<Scalar>, bool),
    Rows(Arc<RowProgram>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

impl Comparison {
    /// Whether it is true of two values in this order.
    pub(crate) fn holds(self, order: std::cmp::Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterEqual => order.is_ge(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
}

/// A program run row by row.
pub(crate) struct RowProgram {
    pub(crate) program: Program,
    /// What its slots are.
    pub(crate) inputs: Vec<Input>,
    pub(crate) subplans: Vec<Arc<Subplan>>,
    /// Whether it calls a volatile function.
    pub(crate) is_volatile: bool,
}

/// Where a slot's value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// A column of the plan below, with its type.
    Column(usize, TypeRef),
    /// A value of the rows around.
    Outer(usize),
}

/// Runs a program's subqueries.
pub(crate) struct Runner<'a> {
    pub(crate) subplans: &'a [Arc<Subplan>],
    pub(crate) run: &'a Run,
}

impl Subqueries for Runner<'_> {
    fn value(&self, number: usize, row: &[Datum]) -> SqlResult<Datum> {
        self.subplans[number].value(row, self.run)
    }
}

enum Value {
    Array(ArrayRef),
    One(ArrayRef),
}

impl Value {
    fn into_array(self, rows: usize) -> SqlResult<ArrayRef> {
        match self {
            Self::Array(array) => Ok(array),
            Self::One(array) => {
                let indices = arrow::array::UInt32Array::from(vec![0; rows]);
                arrow::compute::take(&array, &indices, None).map_err(|error| arrow_error(&error))
            }
        }
    }
}

fn arrow_error(error: &ArrowError) -> SqlError {
    SqlError::internal(error.to_string())
}

impl Scalar {
    /// The expression as DataFusion runs it, in one execution.
    pub(crate) fn physical(self: &Arc<Self>, run: &Arc<Run>) -> Arc<dyn PhysicalExpr> {
        match &self.node {
            Vectorized::Column(at) => Arc::new(Column::new(&format!("c{at}"), *at)),
            _ => Arc::new(Bound { scalar: self.clone(), run: run.clone(), form: Form::Value }),
        }
    }

    /// The expression's key form, for types that Arrow orders otherwise than PostgreSQL.
    pub(crate) fn physical_key(self: &Arc<Self>, run: &Arc<Run>) -> Arc<dyn PhysicalExpr> {
        if crate::arrow_types::has_native_order(self.ty.oid) {
            return self.physical(run);
        }
        Arc::new(Bound { scalar: self.clone(), run: run.clone(), form: Form::Key })
    }

    /// The values over a batch.
    pub(crate) fn array(&self, batch: &RecordBatch, run: &Run) -> SqlResult<ArrayRef> {
        self.evaluate(batch, run)?.into_array(batch.num_rows())
    }

    /// The value over no row.
    pub(crate) fn alone(&self, run: &Run) -> SqlResult<Datum> {
        let schema = Arc::new(Schema::empty());
        let batch = crate::arrow_types::new_batch(&schema, Vec::new(), 1)?;
        let array = self.array(&batch, run)?;
        Ok(ColumnReader::new(&array, self.ty).get(0))
    }

    fn evaluate(&self, batch: &RecordBatch, run: &Run) -> SqlResult<Value> {
        let rows = batch.num_rows();
        match &self.node {
            Vectorized::Column(at) => Ok(Value::Array(batch.column(*at).clone())),
            Vectorized::Const(value) => constant(self.ty, value, 1).map(Value::One),
            Vectorized::Compare(op, left, right) => {
                let (left, right) = (left.evaluate(batch, run)?, right.evaluate(batch, run)?);
                compare(*op, left, right)
            }
            Vectorized::Arithmetic(op, left, right) => {
                let (left, right) = (left.evaluate(batch, run)?, right.evaluate(batch, run)?);
                arithmetic(*op, self.ty, left, right)
            }
            Vectorized::And(args) => connective(args, batch, run, boolean::and_kleene),
            Vectorized::Or(args) => connective(args, batch, run, boolean::or_kleene),
            Vectorized::Not(arg) => {
                let array = arg.array(batch, run)?;
                boolean::not(as_booleans(&array))
                    .map(|array| Value::Array(Arc::new(array)))
                    .map_err(|error| arrow_error(&error))
            }
            Vectorized::IsNull(arg, negated) => {
                let array = arg.array(batch, run)?;
                let result =
                    if *negated { boolean::is_not_null(&array) } else { boolean::is_null(&array) };
                result
                    .map(|array| Value::Array(Arc::new(array)))
                    .map_err(|error| arrow_error(&error))
            }
            Vectorized::Rows(program) => {
                let mut builder = ColumnBuilder::new(self.ty);
                program.for_each(batch, run, |value| builder.push(&value))?;
                debug_assert!(rows == batch.num_rows());
                Ok(Value::Array(builder.finish()))
            }
        }
    }
}

impl RowProgram {
    fn for_each(
        &self,
        batch: &RecordBatch,
        run: &Run,
        mut take: impl FnMut(Datum) -> SqlResult<()>,
    ) -> SqlResult<()> {
        let readers: Vec<Option<ColumnReader<'_>>> = self
            .inputs
            .iter()
            .map(|input| match input {
                Input::Column(at, ty) => Some(ColumnReader::new(batch.column(*at), *ty)),
                Input::Outer(_) => None,
            })
            .collect();
        let mut row: Vec<Datum> = self
            .inputs
            .iter()
            .map(|input| match input {
                Input::Column(..) => Datum::Null,
                Input::Outer(at) => run.outer[*at].clone(),
            })
            .collect();
        let evaluation = run.evaluation();
        let runner = Runner { subplans: &self.subplans, run };
        for at in 0..batch.num_rows() {
            if at % 256 == 0 {
                run.context.cancel.check()?;
            }
            for (slot, reader) in row.iter_mut().zip(&readers) {
                if let Some(reader) = reader {
                    *slot = reader.get(at);
                }
            }
            take(self.program.evaluate_with(&row, &evaluation, &runner)?)?;
        }
        Ok(())
    }
}

fn as_booleans(array: &ArrayRef) -> &BooleanArray {
    array.as_any().downcast_ref().expect("the analyzer typed the argument bool")
}

fn connective(
    args: &[Scalar],
    batch: &RecordBatch,
    run: &Run,
    combine: fn(&BooleanArray, &BooleanArray) -> Result<BooleanArray, ArrowError>,
) -> SqlResult<Value> {
    let mut result: Option<BooleanArray> = None;
    for arg in args {
        let array = arg.array(batch, run)?;
        let array = as_booleans(&array);
        result = Some(match result {
            None => array.clone(),
            Some(so_far) => combine(&so_far, array).map_err(|error| arrow_error(&error))?,
        });
    }
    let result = result.ok_or_else(|| SqlError::internal("a connective without arguments"))?;
    Ok(Value::Array(Arc::new(result)))
}

/// Applies a kernel that takes arrays and single values alike.
fn with_datums<T>(
    left: Value,
    right: Value,
    apply: impl FnOnce(&dyn ArrowDatum, &dyn ArrowDatum) -> Result<T, ArrowError>,
) -> Result<T, ArrowError> {
    match (left, right) {
        (Value::Array(left), Value::Array(right)) => apply(&left, &right),
        (Value::Array(left), Value::One(right)) => apply(&left, &One::new(right)),
        (Value::One(left), Value::Array(right)) => apply(&One::new(left), &right),
        (Value::One(left), Value::One(right)) => apply(&left, &right),
    }
}

fn compare(op: Comparison, left: Value, right: Value) -> SqlResult<Value> {
    let single = matches!((&left, &right), (Value::One(_), Value::One(_)));
    let result = with_datums(left, right, |left, right| match op {
        Comparison::Equal => cmp::eq(left, right),
        Comparison::NotEqual => cmp::neq(left, right),
        Comparison::Less => cmp::lt(left, right),
        Comparison::LessEqual => cmp::lt_eq(left, right),
        Comparison::Greater => cmp::gt(left, right),
        Comparison::GreaterEqual => cmp::gt_eq(left, right),
    });
    let array: ArrayRef = Arc::new(result.map_err(|error| arrow_error(&error))?);
    Ok(if single { Value::One(array) } else { Value::Array(array) })
}

fn arithmetic(op: Arithmetic, ty: TypeRef, left: Value, right: Value) -> SqlResult<Value> {
    let single = matches!((&left, &right), (Value::One(_), Value::One(_)));
    let result = with_datums(left, right, |left, right| match op {
        Arithmetic::Add => numeric::add(left, right),
        Arithmetic::Subtract => numeric::sub(left, right),
        Arithmetic::Multiply => numeric::mul(left, right),
        Arithmetic::Divide => numeric::div(left, right),
    });
    let array = result.map_err(|error| match error {
        ArrowError::DivideByZero => SqlError::new(SqlState::DivisionByZero, "division by zero"),
        ArrowError::ArithmeticOverflow(_) => {
            let name = match ty.oid {
                type_oid::INT2 => "smallint",
                type_oid::INT4 => "integer",
                _ => "bigint",
            };
            SqlError::new(SqlState::NumericValueOutOfRange, format!("{name} out of range"))
        }
        other => arrow_error(&other),
    })?;
    Ok(if single { Value::One(array) } else { Value::Array(array) })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Form {
    Value,
    Key,
}

/// A compiled expression in one execution.
struct Bound {
    scalar: Arc<Scalar>,
    run: Arc<Run>,
    form: Form,
}

impl fmt::Debug for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expression")
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expression")
    }
}

impl PartialEq for Bound {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.scalar, &other.scalar)
            && Arc::ptr_eq(&self.run, &other.run)
            && self.form == other.form
    }
}

impl Eq for Bound {}

impl Hash for Bound {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.scalar).hash(state);
    }
}

impl PhysicalExpr for Bound {
    fn data_type(&self, _: &Schema) -> DfResult<DataType> {
        Ok(match self.form {
            Form::Value => data_type(self.scalar.ty.oid),
            Form::Key => DataType::BinaryView,
        })
    }

    fn nullable(&self, _: &Schema) -> DfResult<bool> {
        Ok(true)
    }

    fn evaluate(&self, batch: &RecordBatch) -> DfResult<ColumnarValue> {
        let array = self.scalar.array(batch, &self.run).map_err(external)?;
        Ok(ColumnarValue::Array(match self.form {
            Form::Value => array,
            Form::Key => keys(&array, self.scalar.ty).map_err(external)?,
        }))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        Vec::new()
    }

    fn with_new_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn PhysicalExpr>>,
    ) -> DfResult<Arc<dyn PhysicalExpr>> {
        Ok(self)
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expression")
    }
}

/// The key form of every value; NULL stays NULL.
fn keys(array: &ArrayRef, ty: TypeRef) -> SqlResult<ArrayRef> {
    let reader = ColumnReader::new(array, ty);
    let mut builder = BinaryViewBuilder::new();
    let mut scratch = Vec::new();
    for row in 0..array.len() {
        let value = reader.get(row);
        if value.is_null() {
            builder.append_null();
        } else {
            scratch.clear();
            key::encode(ty.oid, &value, false, false, &mut scratch)?;
            builder.append_value(&scratch);
        }
    }
    Ok(Arc::new(builder.finish()))
}
