//! Whether conditions imply another: what decides that a partial index holds every row of a query.
//!
//! Known: equal conditions, parts of `AND` and `OR`, `IS NOT NULL` from an operator that is never
//! true of NULL, and comparisons of one value with two constants (`predicate_implied_by`).

use std::cmp::Ordering;

use aegis_types::builtin::builtins;
use aegis_types::{Datum, Oid, compare};

use super::node::same;
use crate::bound::{Call, CallForm, Expr};

/// Whether a row that passes all of these conditions passes the predicate.
#[must_use]
pub fn implies(conditions: &[&Expr], predicate: &Expr) -> bool {
    match predicate {
        Expr::And(parts) => return parts.iter().all(|part| implies(conditions, part)),
        Expr::Or(parts) if parts.iter().any(|part| implies(conditions, part)) => return true,
        _ => {}
    }
    conditions.iter().any(|condition| one_implies(condition, predicate))
}

/// Whether two expressions are the same but for how they were written.
#[must_use]
pub fn same_expression(one: &Expr, other: &Expr) -> bool {
    same(one, other)
}

fn one_implies(condition: &Expr, predicate: &Expr) -> bool {
    if same(condition, predicate) {
        return true;
    }
    match condition {
        Expr::And(parts) => return parts.iter().any(|part| one_implies(part, predicate)),
        Expr::Or(parts) => return parts.iter().all(|part| implies(&[part], predicate)),
        _ => {}
    }
    if let Expr::IsNull { arg, negated: true } = predicate {
        return refuses_null(condition, arg);
    }
    if let Expr::ArrayComparison { operator, array, all: false } = condition
        && let Expr::Const { value: Datum::Array(array), .. } = &**array
        && let [left, Expr::Slot { index: 0, ty }] = operator.args.as_slice()
    {
        // `x IN (1, 2)` implies what each of its equalities does.
        return array.elements.iter().all(|value| {
            let value = Expr::Const { value: value.clone(), ty: *ty };
            let one = Call { args: vec![left.clone(), value], ..(**operator).clone() };
            one_implies(&Expr::Call(Box::new(one)), predicate)
        });
    }
    let (Expr::Call(known), Expr::Call(wanted)) = (condition, predicate) else { return false };
    match (constant_comparison(known), constant_comparison(wanted)) {
        (Some(known), Some(wanted)) => known.implies(&wanted),
        _ => false,
    }
}

/// Whether a condition is never true where a value is NULL.
fn refuses_null(condition: &Expr, value: &Expr) -> bool {
    let strict = |call: &Call| {
        call.row().is_some_and(|function| function.strict)
            && call.args.iter().any(|arg| carries_null(arg, value))
    };
    match condition {
        Expr::Call(call) => strict(call),
        Expr::ArrayComparison { operator, all: false, .. } => strict(operator),
        Expr::BooleanTest { arg, test: crate::ast::BoolTestType::IsTrue } => {
            refuses_null(arg, value)
        }
        Expr::Not(arg) => matches!(&**arg, Expr::Call(call) if strict(call)),
        _ => same(condition, value),
    }
}

/// Whether an expression is NULL where a value is.
fn carries_null(expr: &Expr, value: &Expr) -> bool {
    if same(expr, value) {
        return true;
    }
    match expr {
        Expr::Relabel { arg, .. }
        | Expr::ConvertViaText { arg, .. }
        | Expr::Collate { arg, .. } => carries_null(arg, value),
        Expr::Call(call) => {
            call.row().is_some_and(|function| function.strict)
                && call.args.iter().any(|arg| carries_null(arg, value))
        }
        _ => false,
    }
}

/// `subject op constant`.
struct Compared<'e> {
    subject: &'e Expr,
    op: &'static str,
    ty: Oid,
    value: &'e Datum,
}

fn constant_comparison(call: &Call) -> Option<Compared<'_>> {
    let CallForm::Operator(operator) = call.form else { return None };
    let row = builtins().operator(operator)?;
    let [left, right] = call.args.as_slice() else { return None };
    let (subject, op, value) = match (left, right) {
        (subject, Expr::Const { value, .. }) => (subject, row.name, value),
        (Expr::Const { value, .. }, subject) => {
            (subject, builtins().operator(row.commutator)?.name, value)
        }
        _ => return None,
    };
    let ty = subject.ty().oid;
    let known = row.left == row.right && compare::is_comparable(ty) && !value.is_null();
    known.then_some(Compared { subject, op, ty, value })
}

impl Compared<'_> {
    fn implies(&self, wanted: &Self) -> bool {
        if self.ty != wanted.ty || !same(self.subject, wanted.subject) {
            return false;
        }
        let order = compare::compare(self.ty, self.value, wanted.value);
        let (less, equal, greater) =
            (order == Ordering::Less, order == Ordering::Equal, order == Ordering::Greater);
        match (self.op, wanted.op) {
            ("=", "=") | (">", ">") if equal => true,
            ("=" | ">" | ">=", ">") => greater,
            ("=" | ">" | ">=", ">=") => greater || equal,
            ("<", "<") if equal => true,
            ("=" | "<" | "<=", "<") => less,
            ("=" | "<" | "<=", "<=") => less || equal,
            ("=", "<>") => !equal,
            ("<" | "<=", "<>") => less || (equal && self.op == "<"),
            (">" | ">=", "<>") => greater || (equal && self.op == ">"),
            _ => false,
        }
    }
}
