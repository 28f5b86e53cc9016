//! Constant NULLs: a strict function of one is NULL, whatever its other arguments would raise
//! (PostgreSQL's `eval_const_expressions` folds it before anything runs).

use aegis_types::builtin::builtins;
use aegis_types::{Datum, Oid};

use super::walk::rewrite_statement;
use crate::bound::{BoundStatement, Call, Expr};

/// Replaces calls that can only be NULL.
pub(super) fn fold_nulls(statement: &mut BoundStatement) {
    rewrite_statement(statement, &mut |expr| {
        let is_null = !matches!(expr, Expr::Const { .. }) && is_null(expr);
        if is_null {
            *expr = Expr::Const { value: Datum::Null, ty: expr.ty() };
        }
    });
}

/// Whether an expression can only be NULL.
fn is_null(expr: &Expr) -> bool {
    match expr {
        Expr::Const { value, .. } => value.is_null(),
        // A domain may refuse NULL.
        Expr::Relabel { arg, ty, .. } if ty.oid >= Oid::FIRST_USER && arg.ty().oid != ty.oid => {
            false
        }
        Expr::Relabel { arg, .. } | Expr::ConvertViaText { arg, .. } => is_null(arg),
        Expr::Call(call) => !call.returns_set && is_strict(call) && call.args.iter().any(is_null),
        // With an empty array the answer would not depend on the left side.
        Expr::ArrayComparison { operator, array, .. } => {
            let filled = matches!(&**array, Expr::Array { elements, .. } if !elements.is_empty());
            filled && is_strict(operator) && is_null(&operator.args[0])
        }
        _ => false,
    }
}

fn is_strict(call: &Call) -> bool {
    builtins().function(call.function).is_some_and(|row| row.strict)
}
