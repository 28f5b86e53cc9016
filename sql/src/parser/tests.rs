//! The grammar against answers of PostgreSQL 15.18: trees, errors with their positions, and bounds.

mod bounds;
mod errors;
mod trees;

use crate::ast::{
    AExprKind, BoolOp, ConstValue, Expr, IndirectionElement, SelectBody, SimpleSelect, Statement,
};

/// The only statement of a text.
fn one(sql: &str) -> Statement {
    let mut statements = super::parse(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    assert_eq!(statements.len(), 1, "{sql}");
    statements.remove(0).statement
}

/// The plain `SELECT` that a text is.
fn simple(sql: &str) -> SimpleSelect {
    match one(sql) {
        Statement::Select(select) => match select.body {
            SelectBody::Simple(simple) => *simple,
            other => panic!("{sql}: {other:?}"),
        },
        other => panic!("{sql}: {other:?}"),
    }
}

/// An expression in parentheses that show what binds what.
fn show(expr: &Expr) -> String {
    let list = |exprs: &[Expr]| exprs.iter().map(show).collect::<Vec<_>>().join(", ");
    match expr {
        Expr::ColumnRef(column) => {
            let mut names = column.names.clone();
            if column.star {
                names.push("*".to_owned());
            }
            names.join(".")
        }
        Expr::Param(param) => format!("${}", param.number),
        Expr::Const(constant) => match &constant.value {
            ConstValue::Integer(number) => number.to_string(),
            ConstValue::Float(text) => text.clone(),
            ConstValue::String(text) => format!("'{text}'"),
            ConstValue::BitString(text) => text.clone(),
            ConstValue::Boolean(value) => value.to_string(),
            ConstValue::Null => "null".to_owned(),
        },
        Expr::AExpr(node) => {
            let name = node.name.join(".");
            let right = show(&node.right);
            match (&node.left, node.kind) {
                (None, _) => format!("({name} {right})"),
                (Some(left), AExprKind::OpAny) => format!("({} {name} any {right})", show(left)),
                (Some(left), AExprKind::Distinct) => format!("({} distinct {right})", show(left)),
                (Some(left), _) => format!("({} {name} {right})", show(left)),
            }
        }
        Expr::In(node) => format!("({} in {})", show(&node.left), list(&node.list)),
        Expr::Between(node) => {
            format!("({} between {} and {})", show(&node.arg), show(&node.low), show(&node.high))
        }
        Expr::Bool(node) => {
            let word = match node.op {
                BoolOp::And => "and",
                BoolOp::Or => "or",
                BoolOp::Not => "not",
            };
            format!("({word} {})", list(&node.args))
        }
        Expr::NullTest(node) => format!("(null? {})", show(&node.arg)),
        Expr::BooleanTest(node) => format!("({:?} {})", node.test, show(&node.arg)),
        Expr::TypeCast(node) => format!("{}::{}", show(&node.arg), node.type_name.to_text()),
        Expr::Collate(node) => format!("({} collate {})", show(&node.arg), node.name.join(".")),
        Expr::Func(node) => format!("{}({})", node.name.join("."), list(&node.args)),
        Expr::NamedArg(node) => format!("{} => {}", node.name, show(&node.arg)),
        Expr::Indirection(node) => {
            let mut text = format!("({})", show(&node.arg));
            for element in &node.indirection {
                match element {
                    IndirectionElement::Field(name) => text.push_str(&format!(".{name}")),
                    IndirectionElement::Star => text.push_str(".*"),
                    IndirectionElement::Index(index) => {
                        text.push_str(&format!("[{}]", show(index)))
                    }
                    IndirectionElement::Slice { lower, upper } => {
                        let bound =
                            |bound: &Option<Expr>| bound.as_ref().map_or(String::new(), show);
                        text.push_str(&format!("[{}:{}]", bound(lower), bound(upper)));
                    }
                }
            }
            text
        }
        Expr::Array(node) => format!("[{}]", list(&node.elements)),
        Expr::Row(node) => format!("row({})", list(&node.args)),
        Expr::Coalesce(node) => format!("coalesce({})", list(&node.args)),
        Expr::SubLink(node) => match &node.test {
            Some(test) => format!("({} {} query)", show(test), node.operator_name.join(".")),
            None => format!("query:{:?}", node.kind),
        },
        other => format!("{other:?}"),
    }
}
