//! An expression with the place it was written at, and what can be asked about expressions.

use aegis_types::{Datum, Oid, TypeRef, type_oid as t};

use crate::bound::{Call, CallForm, Expr, OrderExpr, SubqueryKind, Subscript};

/// A bound expression, and where its leftmost part was written.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// The expression.
    pub(super) expr: Expr,
    /// Its position in the text, where it was written at all.
    pub(super) at: Option<u32>,
}

impl Node {
    /// An expression written at `at`.
    pub(super) fn new(expr: Expr, at: u32) -> Self {
        Self { expr, at: Some(at) }
    }

    /// An expression that nobody wrote.
    pub(super) fn unwritten(expr: Expr) -> Self {
        Self { expr, at: None }
    }

    /// The OID of its type.
    pub(super) fn oid(&self) -> Oid {
        self.expr.ty().oid
    }

    /// Its type.
    pub(super) fn ty(&self) -> TypeRef {
        self.expr.ty()
    }

    /// Whether it is a string literal (or NULL) whose type is still open.
    pub(super) fn is_unknown_literal(&self) -> bool {
        matches!(&self.expr, Expr::Const { ty, .. } if ty.oid == t::UNKNOWN)
    }
}

/// The more leftward of two positions.
pub(super) fn leftmost(a: Option<u32>, b: Option<u32>) -> Option<u32> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// A constant of type int4.
pub(super) fn int4(value: i32) -> Expr {
    Expr::Const { value: Datum::Int4(value), ty: TypeRef::plain(t::INT4) }
}

/// A constant of type bool.
pub(super) fn boolean(value: bool) -> Expr {
    Expr::Const { value: Datum::Bool(value), ty: TypeRef::plain(t::BOOL) }
}

/// NULL of a type.
pub(super) fn null(ty: TypeRef) -> Expr {
    Expr::Const { value: Datum::Null, ty }
}

/// Whether two expressions are the same but for where and how they were written (PostgreSQL's
/// `equal`).
pub(super) fn same(a: &Expr, b: &Expr) -> bool {
    use Expr as E;
    if a.ty() != b.ty() {
        return false;
    }
    match (a, b) {
        (E::Const { value: a, .. }, E::Const { value: b, .. }) => {
            format!("{a:?}") == format!("{b:?}")
        }
        (E::Param { number: a, .. }, E::Param { number: b, .. }) => a == b,
        (
            E::Column { entry, column, levels_up, .. },
            E::Column { entry: entry_b, column: column_b, levels_up: levels_b, .. },
        ) => (entry, column, levels_up) == (entry_b, column_b, levels_b),
        (E::Slot { index: a, .. }, E::Slot { index: b, .. }) => a == b,
        (E::Call(a), E::Call(b)) => same_call(a, b),
        (E::ConvertViaText { arg: a, .. }, E::ConvertViaText { arg: b, .. })
        | (E::Relabel { arg: a, .. }, E::Relabel { arg: b, .. })
        | (E::Not(a), E::Not(b)) => same(a, b),
        (
            E::SubscriptAssign { arg: a, subscripts: sa, value: va, .. },
            E::SubscriptAssign { arg: b, subscripts: sb, value: vb, .. },
        ) => {
            same(a, b)
                && same(va, vb)
                && sa.len() == sb.len()
                && sa.iter().zip(sb).all(|(a, b)| same_subscript(a, b))
        }
        (E::Collate { arg: a, collation, .. }, E::Collate { arg: b, collation: other, .. }) => {
            collation == other && same(a, b)
        }
        (
            E::ConvertArray { arg: a, element: ea, .. },
            E::ConvertArray { arg: b, element: eb, .. },
        ) => same(a, b) && same(ea, eb),
        (E::And(a), E::And(b))
        | (E::Or(a), E::Or(b))
        | (E::Coalesce { args: a, .. }, E::Coalesce { args: b, .. })
        | (E::Grouping(a), E::Grouping(b))
        | (E::Row { fields: a, .. }, E::Row { fields: b, .. }) => same_all(a, b),
        (E::IsNull { arg: a, negated: na }, E::IsNull { arg: b, negated: nb }) => {
            na == nb && same(a, b)
        }
        (E::BooleanTest { arg: a, test: ta }, E::BooleanTest { arg: b, test: tb }) => {
            ta == tb && same(a, b)
        }
        (E::Distinct { equal: a, negated: na }, E::Distinct { equal: b, negated: nb }) => {
            na == nb && same_call(a, b)
        }
        (E::NullIf { equal: a, .. }, E::NullIf { equal: b, .. }) => same_call(a, b),
        (
            E::Case { operand, branches, default, .. },
            E::Case { operand: operand_b, branches: branches_b, default: default_b, .. },
        ) => {
            same_option(operand.as_deref(), operand_b.as_deref())
                && same_option(default.as_deref(), default_b.as_deref())
                && branches.len() == branches_b.len()
                && branches
                    .iter()
                    .zip(branches_b)
                    .all(|((wa, ra), (wb, rb))| same(wa, wb) && same(ra, rb))
        }
        (E::CaseArgument { .. }, E::CaseArgument { .. }) => true,
        (E::MinMax { args: a, least: la, .. }, E::MinMax { args: b, least: lb, .. }) => {
            la == lb && same_all(a, b)
        }
        (
            E::ArrayComparison { operator, array, all },
            E::ArrayComparison { operator: operator_b, array: array_b, all: all_b },
        ) => all == all_b && same_call(operator, operator_b) && same(array, array_b),
        (E::Array { elements: a, nested: na, .. }, E::Array { elements: b, nested: nb, .. }) => {
            na == nb && same_all(a, b)
        }
        (
            E::Subscript { arg: a, subscripts: sa, .. },
            E::Subscript { arg: b, subscripts: sb, .. },
        ) => {
            same(a, b)
                && sa.len() == sb.len()
                && sa.iter().zip(sb).all(|(a, b)| same_subscript(a, b))
        }
        (E::RowCompare { op, fields }, E::RowCompare { op: op_b, fields: fields_b }) => {
            op == op_b
                && fields.len() == fields_b.len()
                && fields
                    .iter()
                    .zip(fields_b)
                    .all(|(a, b)| same(&a.left, &b.left) && same(&a.right, &b.right))
        }
        (E::Field { arg: a, index: ia, .. }, E::Field { arg: b, index: ib, .. }) => {
            ia == ib && same(a, b)
        }
        (E::SqlValue { op: a, .. }, E::SqlValue { op: b, .. }) => a == b,
        (E::Subquery(a), E::Subquery(b)) => {
            same_test(&a.kind, &b.kind)
                && without_locations(&a.query) == without_locations(&b.query)
        }
        (E::Aggregate(a), E::Aggregate(b)) => {
            a.function == b.function
                && a.distinct == b.distinct
                && a.within_group == b.within_group
                && a.levels_up == b.levels_up
                && same_all(&a.args, &b.args)
                && same_order(&a.order_by, &b.order_by)
                && same_option(a.filter.as_ref(), b.filter.as_ref())
        }
        (E::WindowCall(a), E::WindowCall(b)) => {
            a.function == b.function
                && a.window == b.window
                && same_all(&a.args, &b.args)
                && same_option(a.filter.as_ref(), b.filter.as_ref())
        }
        (E::NextValue { sequence: a, .. }, E::NextValue { sequence: b, .. }) => a == b,
        _ => false,
    }
}

fn same_call(a: &Call, b: &Call) -> bool {
    a.function == b.function && same_all(&a.args, &b.args)
}

fn same_all(a: &[Expr], b: &[Expr]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
}

fn same_option(a: Option<&Expr>, b: Option<&Expr>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => same(a, b),
        (a, b) => a.is_none() && b.is_none(),
    }
}

fn same_order(a: &[OrderExpr], b: &[OrderExpr]) -> bool {
    a.len() == b.len()
        && a.iter().zip(b).all(|(a, b)| {
            a.descending == b.descending && a.nulls_first == b.nulls_first && same(&a.expr, &b.expr)
        })
}

fn same_subscript(a: &Subscript, b: &Subscript) -> bool {
    match (a, b) {
        (Subscript::Index(a), Subscript::Index(b)) => same(a, b),
        (Subscript::Slice(la, ua), Subscript::Slice(lb, ub)) => {
            same_option(la.as_ref(), lb.as_ref()) && same_option(ua.as_ref(), ub.as_ref())
        }
        _ => false,
    }
}

fn same_test(a: &SubqueryKind, b: &SubqueryKind) -> bool {
    use SubqueryKind as K;
    match (a, b) {
        (K::Exists, K::Exists) | (K::Scalar, K::Scalar) | (K::Array, K::Array) => true,
        (K::Any(a), K::Any(b)) | (K::All(a), K::All(b)) | (K::RowCompare(a), K::RowCompare(b)) => {
            same(a, b)
        }
        _ => false,
    }
}

/// A query's debugging form without positions. Two queries written alike in two places have the
/// same; that is all it is for.
fn without_locations(query: &crate::bound::Query) -> String {
    let text = format!("{query:?}");
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find("location: Some(") {
        out.push_str(&rest[..at]);
        rest = rest[at..].find(')').map_or("", |end| &rest[at + end + 1..]);
    }
    out.push_str(rest);
    out
}

/// A call that nobody wrote as a call.
pub(super) fn implicit_call(function: Oid, args: Vec<Expr>, ty: TypeRef, form: CallForm) -> Call {
    Call { function, args, ty, form, returns_set: false, user: None, location: None }
}
