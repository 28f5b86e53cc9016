//! The row-wise evaluator: one scalar semantics for CHECK, defaults, re-checks, the point path and
//! whatever the planner does not vectorise.
//!
//! ```text
//! bound::Expr ── compile(layout) ──► Program ── evaluate(row, context) ──► Datum
//! ```
//!
//! Compiling looks every function up once and gives every column a slot; evaluating is a walk over
//! function pointers. `AND`, `OR`, `CASE` and `COALESCE` evaluate from left to right and stop early.
//! The evaluator runs no subquery itself: [`Subqueries`] does, when the value is wanted.

use std::sync::Arc;

use aegis_types::builtin::{FunctionRow, Implementation, builtins};
use aegis_types::functions::ScalarFunction;
use aegis_types::user_type::UserType;
use aegis_types::{
    Array, CallContext, Collation, Datum, EvalContext, Host, Oid, Record, RecordKind, RecordShape,
    SqlError, SqlResult, SqlState, TypeRef, compare, io, type_oid,
};

use crate::ast::{BoolTestType, SqlValueOp};
use crate::bound::{Call, CallForm, Expr, RowCompareOp, Subscript, collation};
use crate::row::is_oid_like;

mod array;
mod assign;
mod sql_value;

/// A compiled expression.
#[derive(Clone)]
pub struct Program {
    root: Node,
    ty: TypeRef,
}

/// What holds while a program is evaluated.
#[derive(Clone, Copy)]
pub struct Evaluation<'a> {
    /// The statement's context.
    pub eval: EvalContext<'a>,
    /// Values of `$n`.
    pub parameters: &'a [Datum],
}

/// The row under evaluation, and the operand of the innermost `CASE`.
#[derive(Clone, Copy)]
struct Frame<'a> {
    row: &'a [Datum],
    case_argument: Option<&'a Datum>,
    subqueries: Option<&'a dyn Subqueries>,
}

/// Runs the subqueries of a program, each when its value is wanted.
pub trait Subqueries {
    /// The value of the subquery that [`Inputs::subquery`] gave this number, over a row.
    ///
    /// # Errors
    /// Whatever the subquery raises.
    fn value(&self, number: usize, row: &[Datum]) -> SqlResult<Datum>;
}

/// Where a program finds what its expression names.
pub trait Inputs {
    /// The slot of a column of the range table.
    ///
    /// # Errors
    /// XX000 if there is none.
    fn column(
        &mut self,
        entry: usize,
        column: i16,
        levels_up: usize,
        ty: TypeRef,
    ) -> SqlResult<usize>;

    /// The number under which a subquery is run.
    ///
    /// # Errors
    /// 0A000 where no subquery can be.
    fn subquery(&mut self, _subquery: &crate::bound::Subquery) -> SqlResult<usize> {
        Err(SqlError::unsupported("a subquery in this place"))
    }
}

struct ColumnsOnly<'a, 'l>(&'a mut Layout<'l>);

impl Inputs for ColumnsOnly<'_, '_> {
    fn column(
        &mut self,
        entry: usize,
        column: i16,
        levels_up: usize,
        _: TypeRef,
    ) -> SqlResult<usize> {
        (self.0)(entry, column, levels_up)
    }
}

#[derive(Clone)]
enum Node {
    Const(Datum),
    Param(usize),
    Slot(usize),
    Call(Box<CallNode>),
    /// `int4` as `oid`, or the other way: the same bits in another kind of datum.
    Reinterpret(Box<Node>),
    ViaText {
        arg: Box<Node>,
        from: Oid,
        to: TypeRef,
    },
    ConvertArray {
        arg: Box<Node>,
        element: Box<Node>,
        element_type: Oid,
    },
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    IsNull {
        arg: Box<Node>,
        negated: bool,
    },
    BooleanTest {
        arg: Box<Node>,
        test: BoolTestType,
    },
    Distinct {
        equal: Box<CallNode>,
        negated: bool,
    },
    NullIf(Box<CallNode>),
    Case {
        operand: Option<Box<Node>>,
        branches: Vec<(Node, Node)>,
        default: Option<Box<Node>>,
    },
    CaseArgument,
    Coalesce(Vec<Node>),
    MinMax {
        args: Vec<Node>,
        least: bool,
        ty: Oid,
    },
    ArrayComparison {
        operator: Box<CallNode>,
        array: Box<Node>,
        all: bool,
    },
    Array {
        elements: Vec<Node>,
        nested: bool,
        element_type: Oid,
    },
    Assign(Box<assign::Assignment>),
    Subscript {
        arg: Box<Node>,
        subscripts: Vec<SubscriptNode>,
        of: Oid,
    },
    Row(Vec<Node>, RecordKind),
    /// A value that becomes one of a user's type: of a domain, which looks at it.
    Domain(Box<Node>, Oid),
    RowCompare {
        op: RowCompareOp,
        fields: Vec<(Node, Node, Oid)>,
    },
    Field {
        arg: Box<Node>,
        index: usize,
    },
    SqlValue {
        op: SqlValueOp,
        ty: TypeRef,
    },
    NextValue {
        sequence: Oid,
        ty: TypeRef,
    },
    Subquery(usize),
}

#[derive(Clone)]
enum SubscriptNode {
    Index(Node),
    Slice(Option<Node>, Option<Node>),
}

#[derive(Clone)]
struct CallNode {
    target: Target,
    strict: bool,
    args: Vec<Node>,
    argument_types: Box<[TypeRef]>,
    result_type: TypeRef,
    collation: Collation,
    spreads: Spread,
}

/// Whether the elements of the last argument, an array, are the function's arguments.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spread {
    No,
    /// Without an array the result is NULL.
    Yes,
    /// Without an array there are no more arguments.
    OrNone,
}

#[derive(Clone, Copy)]
enum Target {
    Function(ScalarFunction),
    Host(Oid),
    /// A function that users wrote.
    User(Oid),
}

/// Gives a column of the range table its slot: `(entry, column, levels_up)`.
pub type Layout<'a> = dyn FnMut(usize, i16, usize) -> SqlResult<usize> + 'a;

impl Program {
    /// Compiles an expression.
    ///
    /// # Errors
    /// 0A000 for a function that has no implementation, and for a subquery, an aggregate or a
    /// set-returning function that is still in the expression; what `layout` raises.
    pub fn compile(expr: &Expr, layout: &mut Layout<'_>) -> SqlResult<Self> {
        Self::compile_with(expr, &mut ColumnsOnly(layout))
    }

    /// Compiles an expression that may hold subqueries, which [`Program::evaluate_with`] runs.
    ///
    /// # Errors
    /// As [`Program::compile`]; what `inputs` raises.
    pub fn compile_with(expr: &Expr, inputs: &mut dyn Inputs) -> SqlResult<Self> {
        Ok(Self { root: Compiler { inputs }.node(expr)?, ty: expr.ty() })
    }

    /// Compiles an expression whose columns are all slots already.
    ///
    /// # Errors
    /// As [`Program::compile`]; XX000 for a column.
    pub fn compile_slots(expr: &Expr) -> SqlResult<Self> {
        Self::compile(expr, &mut |entry, column, _| {
            Err(SqlError::internal(format!("column {entry}.{column} has no slot")))
        })
    }

    /// The type of the value.
    #[must_use]
    pub const fn ty(&self) -> TypeRef {
        self.ty
    }

    /// The value over one row.
    ///
    /// # Errors
    /// Whatever its functions raise.
    pub fn evaluate(&self, row: &[Datum], context: &Evaluation<'_>) -> SqlResult<Datum> {
        self.root.evaluate(Frame { row, case_argument: None, subqueries: None }, context)
    }

    /// The value over one row, with somebody who runs its subqueries.
    ///
    /// # Errors
    /// Whatever its functions and subqueries raise.
    pub fn evaluate_with(
        &self,
        row: &[Datum],
        context: &Evaluation<'_>,
        subqueries: &dyn Subqueries,
    ) -> SqlResult<Datum> {
        let frame = Frame { row, case_argument: None, subqueries: Some(subqueries) };
        self.root.evaluate(frame, context)
    }

    /// Whether the value is true, as `WHERE` asks; NULL is not.
    ///
    /// # Errors
    /// Whatever its functions raise.
    pub fn is_true(&self, row: &[Datum], context: &Evaluation<'_>) -> SqlResult<bool> {
        Ok(matches!(self.evaluate(row, context)?, Datum::Bool(true)))
    }
}

struct Compiler<'a> {
    inputs: &'a mut dyn Inputs,
}

impl Compiler<'_> {
    fn boxed(&mut self, expr: &Expr) -> SqlResult<Box<Node>> {
        self.node(expr).map(Box::new)
    }

    fn nodes(&mut self, exprs: &[Expr]) -> SqlResult<Vec<Node>> {
        exprs.iter().map(|expr| self.node(expr)).collect()
    }

    fn optional(&mut self, expr: Option<&Expr>) -> SqlResult<Option<Node>> {
        expr.map(|expr| self.node(expr)).transpose()
    }

    fn node(&mut self, expr: &Expr) -> SqlResult<Node> {
        Ok(match expr {
            Expr::Const { value, .. } => Node::Const(value.clone()),
            Expr::Param { number, .. } => Node::Param(*number),
            Expr::Slot { index, .. } => Node::Slot(*index),
            Expr::Column { entry, column, levels_up, ty } => {
                Node::Slot(self.inputs.column(*entry, *column, *levels_up, *ty)?)
            }
            Expr::Call(call) => Node::Call(Box::new(self.call(call)?)),
            Expr::ConvertViaText { arg, ty, .. } => {
                Node::ViaText { from: arg.ty().oid, arg: self.boxed(arg)?, to: *ty }
            }
            Expr::Relabel { arg, ty, .. } => {
                let node = self.node(arg)?;
                if ty.oid.is_described_type() && arg.ty().oid != ty.oid {
                    return Ok(Node::Domain(Box::new(node), ty.oid));
                }
                let (from, to) = (is_oid_like(arg.ty().oid), is_oid_like(ty.oid));
                if from == to || arg.ty().oid.is_described_type() {
                    node
                } else {
                    Node::Reinterpret(Box::new(node))
                }
            }
            Expr::Collate { arg, .. } => self.node(arg)?,
            Expr::ConvertArray { arg, element, ty, .. } => Node::ConvertArray {
                arg: self.boxed(arg)?,
                element: self.boxed(element)?,
                element_type: element_type(ty.oid),
            },
            Expr::And(args) => Node::And(self.nodes(args)?),
            Expr::Or(args) => Node::Or(self.nodes(args)?),
            Expr::Not(arg) => Node::Not(self.boxed(arg)?),
            Expr::IsNull { arg, negated } => {
                Node::IsNull { arg: self.boxed(arg)?, negated: *negated }
            }
            Expr::BooleanTest { arg, test } => {
                Node::BooleanTest { arg: self.boxed(arg)?, test: *test }
            }
            Expr::Distinct { equal, negated } => {
                Node::Distinct { equal: Box::new(self.call(equal)?), negated: *negated }
            }
            Expr::NullIf { equal, .. } => Node::NullIf(Box::new(self.call(equal)?)),
            Expr::Case { operand, branches, default, .. } => Node::Case {
                operand: self.optional(operand.as_deref())?.map(Box::new),
                branches: branches
                    .iter()
                    .map(|(condition, result)| Ok((self.node(condition)?, self.node(result)?)))
                    .collect::<SqlResult<_>>()?,
                default: self.optional(default.as_deref())?.map(Box::new),
            },
            Expr::CaseArgument { .. } => Node::CaseArgument,
            Expr::Coalesce { args, .. } => Node::Coalesce(self.nodes(args)?),
            Expr::MinMax { args, least, ty } => {
                Node::MinMax { args: self.nodes(args)?, least: *least, ty: ty.oid }
            }
            Expr::ArrayComparison { operator, array, all } => Node::ArrayComparison {
                operator: Box::new(self.call(operator)?),
                array: self.boxed(array)?,
                all: *all,
            },
            Expr::Array { elements, nested, ty } => Node::Array {
                elements: self.nodes(elements)?,
                nested: *nested,
                element_type: element_type(ty.oid),
            },
            Expr::Subscript { arg, subscripts, .. } => Node::Subscript {
                of: arg.ty().oid,
                arg: self.boxed(arg)?,
                subscripts: subscripts
                    .iter()
                    .map(|subscript| self.subscript(subscript))
                    .collect::<SqlResult<_>>()?,
            },
            Expr::SubscriptAssign { arg, subscripts, value, ty } => {
                Node::Assign(Box::new(assign::Assignment {
                    arg: self.node(arg)?,
                    subscripts: subscripts
                        .iter()
                        .map(|subscript| self.subscript(subscript))
                        .collect::<SqlResult<_>>()?,
                    value: self.node(value)?,
                    of: ty.oid,
                }))
            }
            Expr::Row { fields, names, ty } => {
                Node::Row(self.nodes(fields)?, record_kind(fields, names, *ty))
            }
            Expr::RowCompare { op, fields } => Node::RowCompare {
                op: *op,
                fields: fields
                    .iter()
                    .map(|field| {
                        let ty = field.left.ty().oid;
                        Ok((self.node(&field.left)?, self.node(&field.right)?, ty))
                    })
                    .collect::<SqlResult<_>>()?,
            },
            Expr::Field { arg, index, .. } => Node::Field { arg: self.boxed(arg)?, index: *index },
            Expr::SqlValue { op, ty } => Node::SqlValue { op: *op, ty: *ty },
            Expr::NextValue { sequence, ty } => Node::NextValue { sequence: *sequence, ty: *ty },
            Expr::Subquery(subquery) => Node::Subquery(self.inputs.subquery(subquery)?),
            Expr::Aggregate(_) | Expr::WindowCall(_) | Expr::Grouping(_) => {
                return Err(SqlError::internal("an aggregate reached the row-wise evaluator"));
            }
        })
    }

    fn subscript(&mut self, subscript: &Subscript) -> SqlResult<SubscriptNode> {
        Ok(match subscript {
            Subscript::Index(index) => SubscriptNode::Index(self.node(index)?),
            Subscript::Slice(lower, upper) => {
                SubscriptNode::Slice(self.optional(lower.as_ref())?, self.optional(upper.as_ref())?)
            }
        })
    }

    fn call(&mut self, call: &Call) -> SqlResult<CallNode> {
        let row = call
            .row()
            .ok_or_else(|| SqlError::internal(format!("no function {}", call.function)))?;
        let target = match row.implementation {
            Implementation::Statements => Target::User(row.oid),
            Implementation::Scalar(function) => Target::Function(function),
            Implementation::Host => Target::Host(row.oid),
            Implementation::Set(_) => {
                return Err(SqlError::unsupported("a set-returning function in this place"));
            }
            Implementation::Aggregate(_) | Implementation::Planner | Implementation::Missing => {
                return Err(missing_function(row).at_opt(call.location));
            }
        };
        Ok(CallNode {
            target,
            strict: row.strict,
            args: self.nodes(&call.args)?,
            argument_types: call.args.iter().map(Expr::ty).collect(),
            result_type: call.ty,
            collation: collation::of_arguments(row, &call.args, &|_, _, _| None)?,
            spreads: match (call.form, &*row.name) {
                (CallForm::Variadic, "format") => Spread::OrNone,
                (CallForm::Variadic, _) => Spread::Yes,
                _ => Spread::No,
            },
        })
    }
}

/// 0A000 for a built-in function that has a row but no implementation.
#[must_use]
pub fn missing_function(row: &FunctionRow) -> SqlError {
    let arguments: Vec<&str> = row
        .arguments
        .iter()
        .map(|oid| builtins().type_row(*oid).map_or("?", |row| row.name))
        .collect();
    SqlError::unsupported(format!("function {}({})", row.name, arguments.join(", ")))
}

/// The element type of an array type; the type itself if it is none.
#[must_use]
pub fn element_type(array: Oid) -> Oid {
    builtins().type_row(array).map(|row| row.element).filter(|oid| oid.is_some()).unwrap_or(array)
}

/// What a row constructor says about its fields.
fn record_kind(fields: &[Expr], names: &[String], ty: TypeRef) -> RecordKind {
    if ty.oid != type_oid::RECORD {
        return RecordKind::Composite(ty.oid);
    }
    RecordKind::Anonymous(Arc::new(RecordShape {
        names: names.iter().map(|name| name.as_str().into()).collect(),
        types: fields.iter().map(Expr::ty).collect(),
    }))
}

/// What [`element_type`] could not know: the element type of an array type of users.
#[must_use]
pub fn actual_element(element: Oid, host: &dyn Host) -> Oid {
    if !element.is_described_type() {
        return element;
    }
    match host.user_type(element) {
        Some(UserType::Array(actual)) => actual,
        _ => element,
    }
}

impl CallNode {
    fn evaluate(&self, frame: Frame<'_>, context: &Evaluation<'_>) -> SqlResult<Datum> {
        // Most functions take one or two arguments: no allocation for those.
        match self.args.as_slice() {
            [one] => {
                let one = one.evaluate(frame, context)?;
                self.apply(std::slice::from_ref(&one), context)
            }
            [one, two] => {
                let args = [one.evaluate(frame, context)?, two.evaluate(frame, context)?];
                self.apply(&args, context)
            }
            args => {
                let args: Vec<Datum> = args
                    .iter()
                    .map(|arg| arg.evaluate(frame, context))
                    .collect::<SqlResult<_>>()?;
                self.apply(&args, context)
            }
        }
    }

    /// Applies the function to the elements of its last argument, an array.
    fn apply_spread(&self, args: &[Datum], context: &Evaluation<'_>) -> SqlResult<Datum> {
        let Some((last, first)) = args.split_last() else {
            return self.apply(args, context);
        };
        let mut args = first.to_vec();
        let mut types = self.argument_types[..first.len()].to_vec();
        match last {
            Datum::Array(array) => {
                args.extend(array.elements.iter().cloned());
                types.resize(args.len(), TypeRef::plain(array.element));
            }
            _ if self.spreads == Spread::Yes => return Ok(Datum::Null),
            _ => {}
        }
        self.apply_to(&args, &types, context)
    }

    fn apply(&self, args: &[Datum], context: &Evaluation<'_>) -> SqlResult<Datum> {
        if self.spreads != Spread::No {
            return self.apply_spread(args, context);
        }
        self.apply_to(args, &self.argument_types, context)
    }

    fn apply_to(
        &self,
        args: &[Datum],
        argument_types: &[TypeRef],
        context: &Evaluation<'_>,
    ) -> SqlResult<Datum> {
        if self.strict && args.iter().any(Datum::is_null) {
            return Ok(Datum::Null);
        }
        match self.target {
            Target::Function(function) => {
                let call = CallContext {
                    eval: context.eval,
                    argument_types,
                    result_type: self.result_type,
                    collation: self.collation,
                };
                function(&call, args)
            }
            Target::Host(oid) => context.eval.host.call(oid, args),
            Target::User(oid) => {
                let call = CallContext {
                    eval: context.eval,
                    argument_types,
                    result_type: self.result_type,
                    collation: self.collation,
                };
                context.eval.host.call_user(oid, &call, args)
            }
        }
    }
}

impl Node {
    fn evaluate(&self, frame: Frame<'_>, context: &Evaluation<'_>) -> SqlResult<Datum> {
        match self {
            Self::Const(value) => Ok(value.clone()),
            Self::Param(number) => parameter(*number, context),
            Self::Slot(index) => Ok(frame.row[*index].clone()),
            Self::Call(call) => call.evaluate(frame, context),
            Self::Reinterpret(arg) => Ok(match arg.evaluate(frame, context)? {
                Datum::Int4(value) => Datum::Oid(Oid(value.cast_unsigned())),
                Datum::Oid(value) => Datum::Int4(value.0.cast_signed()),
                other => other,
            }),
            Self::ViaText { arg, from, to } => {
                let value = arg.evaluate(frame, context)?;
                via_text(&value, *from, *to, context)
            }
            Self::ConvertArray { arg, element, element_type } => {
                let value = arg.evaluate(frame, context)?;
                let element_type = actual_element(*element_type, context.eval.host);
                array::convert(&value, element_type, |datum| {
                    let inner =
                        Frame { row: std::slice::from_ref(datum), case_argument: None, ..frame };
                    element.evaluate(inner, context)
                })
            }
            Self::And(args) => connective(args, false, frame, context),
            Self::Or(args) => connective(args, true, frame, context),
            Self::Not(arg) => Ok(match arg.evaluate(frame, context)? {
                Datum::Bool(value) => Datum::Bool(!value),
                _ => Datum::Null,
            }),
            Self::IsNull { arg, negated } => {
                let value = arg.evaluate(frame, context)?;
                Ok(Datum::Bool(null_test(&value, *negated)))
            }
            Self::BooleanTest { arg, test } => {
                let value = arg.evaluate(frame, context)?;
                Ok(Datum::Bool(boolean_test(&value, *test)))
            }
            Self::Distinct { equal, negated } => distinct(equal, *negated, frame, context),
            Self::NullIf(equal) => null_if(equal, frame, context),
            Self::Case { operand, branches, default } => {
                let value =
                    operand.as_ref().map(|node| node.evaluate(frame, context)).transpose()?;
                let inner =
                    Frame { case_argument: value.as_ref().or(frame.case_argument), ..frame };
                for (condition, result) in branches {
                    if let Datum::Bool(true) = condition.evaluate(inner, context)? {
                        return result.evaluate(frame, context);
                    }
                }
                default.as_ref().map_or(Ok(Datum::Null), |node| node.evaluate(frame, context))
            }
            Self::CaseArgument => Ok(frame.case_argument.cloned().unwrap_or(Datum::Null)),
            Self::Coalesce(args) => {
                for arg in args {
                    let value = arg.evaluate(frame, context)?;
                    if !value.is_null() {
                        return Ok(value);
                    }
                }
                Ok(Datum::Null)
            }
            Self::MinMax { args, least, ty } => min_max(args, *least, *ty, frame, context),
            Self::ArrayComparison { operator, array, all } => {
                array_comparison(operator, array, *all, frame, context)
            }
            Self::Array { elements, nested, element_type } => {
                let values = evaluate_all(elements, frame, context)?;
                array::build(values, *nested, actual_element(*element_type, context.eval.host))
            }
            Self::Assign(assignment) => assignment.evaluate(frame, context),
            Self::Subscript { arg, subscripts, of } => {
                array::subscript(arg, subscripts, *of, frame, context)
            }
            Self::Domain(arg, domain) => {
                let value = arg.evaluate(frame, context)?;
                if let Some(UserType::Domain(_)) = context.eval.host.user_type(*domain) {
                    context.eval.host.check_domain(*domain, &value, &context.eval)?;
                }
                Ok(value)
            }
            Self::Row(fields, kind) => {
                let fields = evaluate_all(fields, frame, context)?;
                Ok(Datum::Record(Arc::new(Record::new(fields, kind.clone()))))
            }
            Self::RowCompare { op, fields } => row_compare(*op, fields, frame, context),
            Self::Field { arg, index } => Ok(match arg.evaluate(frame, context)? {
                Datum::Record(fields) => fields.get(*index).cloned().unwrap_or(Datum::Null),
                _ => Datum::Null,
            }),
            Self::SqlValue { op, ty } => sql_value::evaluate(*op, *ty, context),
            Self::Subquery(number) => frame
                .subqueries
                .ok_or_else(|| SqlError::internal("nobody runs subqueries here"))?
                .value(*number, frame.row),
            Self::NextValue { sequence, ty } => {
                let next = nextval_function();
                let value = context.eval.host.call(next, &[Datum::Oid(*sequence)])?;
                integer_of_type(value.as_int8(), ty.oid)
            }
        }
    }
}

fn evaluate_all(
    nodes: &[Node],
    frame: Frame<'_>,
    context: &Evaluation<'_>,
) -> SqlResult<Vec<Datum>> {
    nodes.iter().map(|node| node.evaluate(frame, context)).collect()
}

fn parameter(number: usize, context: &Evaluation<'_>) -> SqlResult<Datum> {
    number.checked_sub(1).and_then(|at| context.parameters.get(at)).cloned().ok_or_else(|| {
        SqlError::new(SqlState::UndefinedObject, format!("no value found for parameter {number}"))
    })
}

/// Converts a value through its text form, as a cast without a function of its own does.
///
/// # Errors
/// What the input of the target type raises.
fn via_text(value: &Datum, from: Oid, to: TypeRef, context: &Evaluation<'_>) -> SqlResult<Datum> {
    if value.is_null() {
        return Ok(Datum::Null);
    }
    let mut text = Vec::new();
    io::text_out(from, value, &context.eval, &mut text);
    let text = String::from_utf8(text)
        .map_err(|_| SqlError::internal("a value's text form is not UTF-8"))?;
    io::text_in(to, &text, &context.eval)
}

fn connective(
    args: &[Node],
    decisive: bool,
    frame: Frame<'_>,
    context: &Evaluation<'_>,
) -> SqlResult<Datum> {
    let mut unknown = false;
    for arg in args {
        match arg.evaluate(frame, context)? {
            Datum::Bool(value) if value == decisive => return Ok(Datum::Bool(decisive)),
            Datum::Bool(_) => {}
            _ => unknown = true,
        }
    }
    Ok(if unknown { Datum::Null } else { Datum::Bool(!decisive) })
}

/// `IS NULL` of a row is true if all its fields are NULL, `IS NOT NULL` if none is.
fn null_test(value: &Datum, negated: bool) -> bool {
    match value {
        Datum::Record(fields) => fields.iter().all(|field| field.is_null() != negated),
        other => other.is_null() != negated,
    }
}

fn boolean_test(value: &Datum, test: BoolTestType) -> bool {
    let value = match value {
        Datum::Bool(value) => Some(*value),
        _ => None,
    };
    match test {
        BoolTestType::IsTrue => value == Some(true),
        BoolTestType::IsNotTrue => value != Some(true),
        BoolTestType::IsFalse => value == Some(false),
        BoolTestType::IsNotFalse => value != Some(false),
        BoolTestType::IsUnknown => value.is_none(),
        BoolTestType::IsNotUnknown => value.is_some(),
    }
}

fn distinct(
    equal: &CallNode,
    negated: bool,
    frame: Frame<'_>,
    context: &Evaluation<'_>,
) -> SqlResult<Datum> {
    let args = evaluate_all(&equal.args, frame, context)?;
    let same = match (args[0].is_null(), args[1].is_null()) {
        (true, true) => true,
        (false, false) => matches!(equal.apply(&args, context)?, Datum::Bool(true)),
        _ => false,
    };
    Ok(Datum::Bool(same == negated))
}

fn null_if(equal: &CallNode, frame: Frame<'_>, context: &Evaluation<'_>) -> SqlResult<Datum> {
    let mut args = evaluate_all(&equal.args, frame, context)?;
    let is_equal = args.iter().all(|arg| !arg.is_null())
        && matches!(equal.apply(&args, context)?, Datum::Bool(true));
    Ok(if is_equal { Datum::Null } else { args.swap_remove(0) })
}

fn min_max(
    args: &[Node],
    least: bool,
    ty: Oid,
    frame: Frame<'_>,
    context: &Evaluation<'_>,
) -> SqlResult<Datum> {
    let mut best = Datum::Null;
    for arg in args {
        let value = arg.evaluate(frame, context)?;
        if value.is_null() {
            continue;
        }
        let better = best.is_null() || {
            let order = compare::compare(ty, &value, &best);
            if least { order.is_lt() } else { order.is_gt() }
        };
        if better {
            best = value;
        }
    }
    Ok(best)
}

fn array_comparison(
    operator: &CallNode,
    array: &Node,
    all: bool,
    frame: Frame<'_>,
    context: &Evaluation<'_>,
) -> SqlResult<Datum> {
    let Datum::Array(array) = array.evaluate(frame, context)? else {
        return Ok(Datum::Null);
    };
    if array.elements.is_empty() {
        return Ok(Datum::Bool(all));
    }
    let left = operator.args[0].evaluate(frame, context)?;
    let mut unknown = false;
    for element in &array.elements {
        let inner = Frame { row: std::slice::from_ref(element), case_argument: None, ..frame };
        let right = operator.args[1].evaluate(inner, context)?;
        match operator.apply(&[left.clone(), right], context)? {
            Datum::Bool(value) if value != all => return Ok(Datum::Bool(!all)),
            Datum::Bool(_) => {}
            _ => unknown = true,
        }
    }
    Ok(if unknown { Datum::Null } else { Datum::Bool(all) })
}

fn row_compare(
    op: RowCompareOp,
    fields: &[(Node, Node, Oid)],
    frame: Frame<'_>,
    context: &Evaluation<'_>,
) -> SqlResult<Datum> {
    let mut order = std::cmp::Ordering::Equal;
    for (left, right, ty) in fields {
        let (left, right) = (left.evaluate(frame, context)?, right.evaluate(frame, context)?);
        if left.is_null() || right.is_null() {
            return Ok(Datum::Null);
        }
        order = compare::compare(*ty, &left, &right);
        if order.is_ne() {
            break;
        }
    }
    Ok(Datum::Bool(match op {
        RowCompareOp::Less => order.is_lt(),
        RowCompareOp::LessEqual => order.is_le(),
        RowCompareOp::Greater => order.is_gt(),
        RowCompareOp::GreaterEqual => order.is_ge(),
    }))
}

/// `nextval(regclass)`.
fn nextval_function() -> Oid {
    Oid(1574)
}

/// An `int8` as a value of one of the integer types.
///
/// # Errors
/// 22003
pub fn integer_of_type(value: i64, ty: Oid) -> SqlResult<Datum> {
    let out_of_range = |name: &str| {
        SqlError::new(SqlState::NumericValueOutOfRange, format!("{name} out of range"))
    };
    Ok(match ty {
        type_oid::INT2 => Datum::Int2(i16::try_from(value).map_err(|_| out_of_range("smallint"))?),
        type_oid::INT4 => Datum::Int4(i32::try_from(value).map_err(|_| out_of_range("integer"))?),
        _ => Datum::Int8(value),
    })
}

/// The array of a datum that is one.
fn as_array(value: &Datum) -> Option<&Array> {
    match value {
        Datum::Array(array) => Some(array),
        _ => None,
    }
}
