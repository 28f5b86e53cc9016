//! Compiling expressions: which run as Arrow kernels, and how the others find their inputs.

use std::collections::HashMap;
use std::sync::Arc;

use aegis_sql::bound::{Call, CallForm, Distinct, Expr, Query, Subquery, SubqueryKind};
use aegis_sql::evaluate::{Inputs, Program};
use aegis_types::builtin::{CastMethod, OperatorRow, builtins};
use aegis_types::{Datum, Oid, SqlError, SqlResult, TypeRef, type_oid};

use crate::arrow_types::{data_type, kind};
use crate::build::Builder;
use crate::rewrite::{entries_of, is_volatile};
use crate::scalar::{Arithmetic, Comparison, Input, RowProgram, Scalar, Vectorized};
use crate::subquery::{Part, Subplan, SubplanKind, Test};

/// Where the columns of range table entries lie in a plan's output.
#[derive(Clone, Default)]
pub(crate) struct Layout(pub(crate) HashMap<(usize, i16), (usize, TypeRef)>);

impl Layout {
    /// Adds another plan's columns behind `width` columns.
    pub(crate) fn append(&mut self, other: &Self, width: usize) {
        self.0.extend(other.0.iter().map(|(name, (at, ty))| (*name, (at + width, *ty))));
    }

    /// The entries that it has columns of.
    pub(crate) fn entries(&self) -> std::collections::BTreeSet<usize> {
        self.0.keys().map(|(entry, _)| *entry).collect()
    }

    /// Whether it has columns of all these entries.
    pub(crate) fn has_entries(&self, entries: &std::collections::BTreeSet<usize>) -> bool {
        entries.iter().all(|entry| self.0.keys().any(|(of, _)| of == entry))
    }
}

/// The inputs of one program, as they are found.
struct Slots<'a> {
    builder: &'a mut Builder,
    layout: &'a Layout,
    depth: usize,
    inputs: Vec<Input>,
    subplans: Vec<Arc<Subplan>>,
}

/// The inputs of a subquery's condition: its columns, then what it takes from the row around.
struct TestSlots<'a, 'b> {
    host: &'a mut dyn Host,
    slots: &'b mut Vec<usize>,
    subplans: &'b mut Vec<Arc<Subplan>>,
    width: usize,
}

/// Whoever a subquery stands in.
trait Host: Inputs {
    fn builder(&mut self) -> &mut Builder;
    fn depth(&self) -> usize;
}

impl Inputs for Slots<'_> {
    fn column(&mut self, entry: usize, column: i16, up: usize, ty: TypeRef) -> SqlResult<usize> {
        let input = match self.layout.0.get(&(entry, column)) {
            Some((at, ty)) if up == 0 => Input::Column(*at, *ty),
            _ => {
                let depth = self.depth.checked_sub(up).ok_or_else(|| {
                    SqlError::internal("a column refers to a query that is not around")
                })?;
                Input::Outer(self.builder.outer(depth, entry, column, ty)?)
            }
        };
        Ok(place_of(&mut self.inputs, input))
    }

    fn subquery(&mut self, subquery: &Subquery) -> SqlResult<usize> {
        let subplan = subplan(subquery, self)?;
        self.subplans.push(Arc::new(subplan));
        Ok(self.subplans.len() - 1)
    }
}

impl Host for Slots<'_> {
    fn builder(&mut self) -> &mut Builder {
        self.builder
    }

    fn depth(&self) -> usize {
        self.depth
    }
}

impl Inputs for TestSlots<'_, '_> {
    fn column(&mut self, entry: usize, column: i16, up: usize, ty: TypeRef) -> SqlResult<usize> {
        let slot = self.host.column(entry, column, up, ty)?;
        Ok(self.width + place_of(self.slots, slot))
    }

    fn subquery(&mut self, subquery: &Subquery) -> SqlResult<usize> {
        let subplan = subplan(subquery, self)?;
        self.subplans.push(Arc::new(subplan));
        Ok(self.subplans.len() - 1)
    }
}

impl Host for TestSlots<'_, '_> {
    fn builder(&mut self) -> &mut Builder {
        self.host.builder()
    }

    fn depth(&self) -> usize {
        self.host.depth()
    }
}

fn place_of<T: PartialEq>(list: &mut Vec<T>, item: T) -> usize {
    list.iter().position(|known| *known == item).unwrap_or_else(|| {
        list.push(item);
        list.len() - 1
    })
}

fn subplan(subquery: &Subquery, host: &mut dyn Host) -> SqlResult<Subplan> {
    let depth = host.depth();
    let query = match subquery.kind {
        SubqueryKind::Exists => existence(&subquery.query),
        _ => subquery.query.clone(),
    };
    let (part, outers) = host.builder().part(&query, depth + 1)?;
    let bindings = outers
        .iter()
        .map(|outer| host.column(outer.entry, outer.column, depth - outer.depth, outer.ty))
        .collect::<SqlResult<_>>()?;
    let kind = match &subquery.kind {
        SubqueryKind::Exists => SubplanKind::Exists,
        SubqueryKind::Scalar => SubplanKind::Scalar,
        SubqueryKind::Array => SubplanKind::Array(subquery.ty),
        SubqueryKind::Any(condition) => match in_operands(condition, &part) {
            Some((left, ty)) => SubplanKind::In { left: test(left, 0, host)?, ty },
            None => SubplanKind::Any(test(condition, part.plan.types.len(), host)?),
        },
        SubqueryKind::All(condition) => {
            SubplanKind::All(test(condition, part.plan.types.len(), host)?)
        }
        SubqueryKind::RowCompare(condition) => {
            SubplanKind::RowCompare(test(condition, part.plan.types.len(), host)?)
        }
    };
    Ok(Subplan { part: Arc::new(part), bindings, kind })
}

/// A query of which only counts whether it has a row: nothing of the row is computed.
fn existence(query: &Arc<Query>) -> Arc<Query> {
    let is_plain = query.set_operation.is_none()
        && !query.grouped
        && query.having.is_none()
        && query.windows.is_empty()
        && !query.has_set_functions
        && query.limit.is_none()
        && query.offset.is_none()
        && query.row_marks.is_empty();
    if !is_plain {
        return query.clone();
    }
    let (targets, order_by, distinct) = (Vec::new(), Vec::new(), Distinct::No);
    Arc::new(Query { targets, order_by, distinct, ..(**query).clone() })
}

fn test(condition: &Expr, width: usize, host: &mut dyn Host) -> SqlResult<Test> {
    let (mut slots, mut subplans) = (Vec::new(), Vec::new());
    let mut inputs = TestSlots { host, slots: &mut slots, subplans: &mut subplans, width };
    let program = Program::compile_with(condition, &mut inputs)?;
    Ok(Test { program, slots, subplans, width })
}

/// The left side of `x = slot 0`, where equality is that of keys.
fn in_operands<'a>(condition: &'a Expr, part: &Part) -> Option<(&'a Expr, TypeRef)> {
    let Expr::Call(call) = condition else { return None };
    let (left, right) = equality(call)?;
    let is_slot = matches!(strip(right), Expr::Slot { index: 0, .. });
    let mut has_slot = false;
    left.clone().visit_outer_slots(&mut |_| has_slot = true);
    let same = part.plan.types.first().is_some_and(|ty| {
        data_type(ty.oid) == data_type(left.ty().oid) && right.ty().oid == left.ty().oid
    });
    (part.stable && is_slot && !has_slot && same).then(|| (left, left.ty()))
}

/// An expression without the changes of type that leave its value alone.
pub(crate) fn strip(expr: &Expr) -> &Expr {
    match expr {
        Expr::Relabel { arg, .. } | Expr::Collate { arg, .. } => strip(arg),
        other => other,
    }
}

/// Both sides of an equality of one type whose keys decide it.
pub(crate) fn equality(call: &Call) -> Option<(&Expr, &Expr)> {
    let (op, left, right) = comparison(call)?;
    (op == Comparison::Equal).then_some((left, right))
}

/// An operator that is named as comparisons are, with its sides.
pub(crate) fn compared(call: &Call) -> Option<(Comparison, &OperatorRow, &Expr, &Expr)> {
    let [left, right] = call.args.as_slice() else { return None };
    let CallForm::Operator(operator) = call.form else { return None };
    let row = builtins().operator(operator)?;
    let op = match row.name {
        "=" => Comparison::Equal,
        "<>" => Comparison::NotEqual,
        "<" => Comparison::Less,
        "<=" => Comparison::LessEqual,
        ">" => Comparison::Greater,
        ">=" => Comparison::GreaterEqual,
        _ => return None,
    };
    Some((op, row, left, right))
}

/// How wide an integer type is.
const fn width_of_integer(oid: Oid) -> Option<u8> {
    match oid {
        type_oid::INT2 => Some(2),
        type_oid::INT4 => Some(4),
        type_oid::INT8 => Some(8),
        _ => None,
    }
}

/// A comparison that a key can decide: of one type, or of integers of two widths.
pub(crate) fn key_comparison(call: &Call) -> Option<(Comparison, &Expr, &Expr)> {
    comparison(call).or_else(|| {
        let (op, row, left, right) = compared(call)?;
        let is_integer = |oid| width_of_integer(oid).is_some();
        (is_integer(row.left) && is_integer(row.right)).then_some((op, left, right))
    })
}

/// A comparison of integers of two widths as one of the wider type.
pub(crate) fn widened(call: &Call) -> Option<(Comparison, Expr, Expr)> {
    let (op, row, left, right) = compared(call).filter(|(_, row, ..)| row.left != row.right)?;
    let (one, other) = (width_of_integer(row.left)?, width_of_integer(row.right)?);
    let wide = if one > other { row.left } else { row.right };
    let widen = |expr: &Expr, from: Oid| {
        if from == wide {
            return Some(expr.clone());
        }
        if let Expr::Const { value, .. } = expr {
            let number = match value {
                Datum::Int2(value) => i32::from(*value),
                Datum::Int4(value) => *value,
                _ => return None,
            };
            let value = match wide {
                type_oid::INT4 => Datum::Int4(number),
                _ => Datum::Int8(i64::from(number)),
            };
            return Some(Expr::Const { value, ty: TypeRef::plain(wide) });
        }
        let CastMethod::Function(function) = builtins().cast(from, wide)?.method else {
            return None;
        };
        Some(Expr::Call(Box::new(Call {
            function,
            args: vec![expr.clone()],
            ty: TypeRef::plain(wide),
            form: CallForm::ImplicitCast,
            returns_set: false,
            user: None,
            location: None,
        })))
    };
    Some((op, widen(left, row.left)?, widen(right, row.right)?))
}

/// A comparison by the default operators of one comparable type.
pub(crate) fn comparison(call: &Call) -> Option<(Comparison, &Expr, &Expr)> {
    let (op, row, left, right) = compared(call)?;
    let oid = left.ty().oid;
    let known = oid == right.ty().oid
        && row.left == row.right
        && aegis_types::compare::is_comparable(oid)
        && oid != type_oid::JSONB;
    known.then_some((op, left, right))
}

fn arithmetic(call: &Call) -> Option<Arithmetic> {
    let oid = call.ty.oid;
    let same = call.args.len() == 2 && call.args.iter().all(|arg| arg.ty().oid == oid);
    if !same || !matches!(oid, type_oid::INT2 | type_oid::INT4 | type_oid::INT8) {
        return None;
    }
    let source = &call.row()?.source;
    Some(match source.strip_prefix("int")?.get(1..)? {
        "pl" => Arithmetic::Add,
        "mi" => Arithmetic::Subtract,
        "mul" => Arithmetic::Multiply,
        "div" => Arithmetic::Divide,
        _ => return None,
    })
}

impl Scalar {
    /// Whether it cannot raise an error, so that it may run over rows that do not need it.
    fn is_safe(&self) -> bool {
        match &self.node {
            Vectorized::Column(_) | Vectorized::Const(_) => true,
            Vectorized::Compare(_, left, right) => left.is_safe() && right.is_safe(),
            Vectorized::And(args) | Vectorized::Or(args) => args.iter().all(Self::is_safe),
            Vectorized::Not(arg) | Vectorized::IsNull(arg, _) => arg.is_safe(),
            Vectorized::Arithmetic(..) | Vectorized::Rows(_) => false,
        }
    }
}

/// Compiles an expression of the query at `depth` over a plan's columns.
pub(crate) fn compile(
    builder: &mut Builder,
    expr: &Expr,
    layout: &Layout,
    depth: usize,
) -> SqlResult<Arc<Scalar>> {
    if let Some(scalar) = vectorized(expr, layout) {
        return Ok(Arc::new(scalar));
    }
    let mut slots = Slots { builder, layout, depth, inputs: Vec::new(), subplans: Vec::new() };
    let program = Program::compile_with(expr, &mut slots)?;
    let (inputs, subplans) = (slots.inputs, slots.subplans);
    let program = RowProgram { program, inputs, subplans, is_volatile: is_volatile(expr) };
    Ok(Arc::new(Scalar { ty: expr.ty(), node: Vectorized::Rows(Arc::new(program)) }))
}

fn vectorized(expr: &Expr, layout: &Layout) -> Option<Scalar> {
    let boxed = |expr: &Expr| vectorized(expr, layout).map(Box::new);
    let node = match expr {
        Expr::Column { entry, column, levels_up: 0, .. } => {
            Vectorized::Column(layout.0.get(&(*entry, *column))?.0)
        }
        Expr::Const { value, .. } => Vectorized::Const(value.clone()),
        Expr::Collate { arg, .. } => return vectorized(arg, layout),
        Expr::Relabel { arg, ty, .. }
            if kind(arg.ty().oid) == kind(ty.oid)
                && (!ty.oid.is_described_type() || ty.oid == arg.ty().oid) =>
        {
            let inner = vectorized(arg, layout)?;
            match inner.node {
                node @ (Vectorized::Column(_) | Vectorized::Const(_)) => node,
                _ => return None,
            }
        }
        Expr::Call(call) => {
            if let Some(op) = arithmetic(call) {
                Vectorized::Arithmetic(op, boxed(&call.args[0])?, boxed(&call.args[1])?)
            } else {
                let of_two_widths = widened(call);
                let sides = of_two_widths.as_ref().map(|(op, left, right)| (*op, left, right));
                let (op, left, right) = comparison(call).or(sides)?;
                if !crate::arrow_types::has_native_order(left.ty().oid) {
                    return None;
                }
                Vectorized::Compare(op, boxed(left)?, boxed(right)?)
            }
        }
        Expr::And(args) | Expr::Or(args) => {
            let args =
                args.iter().map(|arg| vectorized(arg, layout)).collect::<Option<Vec<_>>>()?;
            if args.is_empty() || !args.iter().skip(1).all(Scalar::is_safe) {
                return None;
            }
            match expr {
                Expr::And(_) => Vectorized::And(args),
                _ => Vectorized::Or(args),
            }
        }
        Expr::Not(arg) => Vectorized::Not(boxed(arg)?),
        Expr::IsNull { arg, negated } if kind(arg.ty().oid) != crate::arrow_types::Kind::Any => {
            Vectorized::IsNull(boxed(arg)?, *negated)
        }
        _ => return None,
    };
    Some(Scalar { ty: expr.ty(), node })
}

/// Whether an expression is the same for all rows of its query.
pub(crate) fn is_constant(expr: &Expr) -> bool {
    entries_of(expr).is_empty() && !crate::rewrite::is_volatile(expr)
}
