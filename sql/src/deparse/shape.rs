//! Which expressions need parentheses under which, where only those are printed (`isSimpleNode`).

use aegis_types::builtin::builtins;

use crate::bound::{Call, CallForm, Expr};

/// What an expression looks like once printed.
enum Shape<'a> {
    /// One word, or closed by brackets or keywords of its own.
    Closed,
    /// Some operator.
    Operator(&'a Call),
    /// A test or a subquery.
    Test,
    /// `AND`, `OR`, `NOT`
    Connective(Connective),
    /// `.field`
    Field,
    /// A cast: as what is cast.
    Cast(&'a Expr),
    /// Never without parentheses.
    Open,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Connective {
    And,
    Or,
    Not,
}

fn shape(expr: &Expr) -> Shape<'_> {
    match expr {
        Expr::Const { .. }
        | Expr::Param { .. }
        | Expr::Column { .. }
        | Expr::Slot { .. }
        | Expr::CaseArgument { .. }
        | Expr::Subscript { .. }
        | Expr::SubscriptAssign { .. }
        | Expr::Array { .. }
        | Expr::Row { .. }
        | Expr::Coalesce { .. }
        | Expr::MinMax { .. }
        | Expr::SqlValue { .. }
        | Expr::NextValue { .. }
        | Expr::NullIf { .. }
        | Expr::Aggregate(_)
        | Expr::Grouping(_)
        | Expr::WindowCall(_)
        | Expr::Case { .. } => Shape::Closed,
        Expr::Call(call) => match call.form {
            CallForm::Operator(_) => Shape::Operator(call),
            _ => Shape::Closed,
        },
        Expr::Field { .. } => Shape::Field,
        Expr::ConvertViaText { arg, .. }
        | Expr::Relabel { arg, .. }
        | Expr::ConvertArray { arg, .. } => Shape::Cast(arg),
        Expr::Collate { arg, explicit: false, .. } => Shape::Cast(arg),
        Expr::Collate { .. } => Shape::Open,
        Expr::Subquery(_) | Expr::IsNull { .. } | Expr::BooleanTest { .. } => Shape::Test,
        Expr::Distinct { negated: false, .. } => Shape::Test,
        Expr::Distinct { negated: true, .. } | Expr::Not(_) => Shape::Connective(Connective::Not),
        Expr::And(_) => Shape::Connective(Connective::And),
        Expr::Or(_) => Shape::Connective(Connective::Or),
        Expr::ArrayComparison { .. } | Expr::RowCompare { .. } => Shape::Open,
    }
}

/// Whether an expression stands without parentheses within its parent.
pub(super) fn is_simple(expr: &Expr, parent: &Expr) -> bool {
    match shape(expr) {
        Shape::Closed => true,
        Shape::Open => false,
        Shape::Field => !matches!(parent, Expr::Field { .. }),
        Shape::Cast(arg) => is_simple(arg, expr),
        Shape::Operator(call) => match shape(parent) {
            Shape::Operator(around) => binds_tighter(call, expr, around),
            _ => own_parentheses(parent, true),
        },
        Shape::Test => own_parentheses(parent, true),
        Shape::Connective(word) => match shape(parent) {
            Shape::Connective(Connective::Or) => true,
            Shape::Connective(Connective::And) => word != Connective::Or,
            Shape::Connective(Connective::Not) => false,
            _ => own_parentheses(parent, false),
        },
    }
}

/// Whether a parent encloses its arguments, or binds less than any operator.
fn own_parentheses(parent: &Expr, connectives: bool) -> bool {
    match parent {
        Expr::Call(call) => {
            matches!(call.form, CallForm::Function | CallForm::Defaulted(_) | CallForm::Variadic)
        }
        Expr::Subscript { .. }
        | Expr::Array { .. }
        | Expr::Row { .. }
        | Expr::Coalesce { .. }
        | Expr::MinMax { .. }
        | Expr::NullIf { .. }
        | Expr::Aggregate(_)
        | Expr::Grouping(_)
        | Expr::WindowCall(_)
        | Expr::Case { .. } => true,
        Expr::And(_) | Expr::Or(_) | Expr::Not(_) | Expr::Distinct { negated: true, .. } => {
            connectives
        }
        _ => false,
    }
}

/// Whether one of the arithmetic operators stands bare under another.
fn binds_tighter(call: &Call, expr: &Expr, around: &Call) -> bool {
    let (Some(inner), Some(outer)) = (precedence(call), precedence(around)) else {
        return false;
    };
    let is_first = around.args.first().is_some_and(|first| std::ptr::eq(first, expr));
    inner > outer || (inner == outer && is_first)
}

fn precedence(call: &Call) -> Option<u8> {
    let CallForm::Operator(oid) = call.form else { return None };
    match builtins().operator(oid)?.name {
        _ if call.args.len() != 2 => None,
        "+" | "-" => Some(1),
        "*" | "/" | "%" => Some(2),
        _ => None,
    }
}
