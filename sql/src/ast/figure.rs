//! The name of an output column that has no label (PostgreSQL's `FigureColname`).

use super::{AExprKind, Expr, IndirectionElement, SelectBody, SelectStmt, SqlValueOp, SubLinkKind};

/// How much a name is worth: a cast's type gives way to a name from within, and `else` to `case`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Strength {
    None,
    Weak,
    Good,
}

/// The name that PostgreSQL gives an unlabelled output column; `?column?` if nothing suggests one.
#[must_use]
pub fn figure_column_name(expr: &Expr) -> String {
    match figure(expr) {
        (Strength::None, _) => "?column?".to_owned(),
        (_, name) => name,
    }
}

/// The name of an index's column by its expression; `expr` if nothing suggests one.
#[must_use]
pub fn figure_index_column_name(expr: &Expr) -> String {
    match figure(expr) {
        (Strength::None, _) => "expr".to_owned(),
        (_, name) => name,
    }
}

fn figure(expr: &Expr) -> (Strength, String) {
    let good = |name: &str| (Strength::Good, name.to_owned());
    let none = (Strength::None, String::new());
    match expr {
        Expr::ColumnRef(column) if !column.star => match column.names.last() {
            Some(name) => good(name),
            None => none,
        },
        Expr::Indirection(indirection) => {
            let field = indirection.indirection.iter().rev().find_map(|element| match element {
                IndirectionElement::Field(name) => Some(name),
                _ => None,
            });
            match field {
                Some(name) => good(name),
                None => figure(&indirection.arg),
            }
        }
        Expr::Func(call) => match call.name.last() {
            Some(name) => good(name),
            None => none,
        },
        Expr::AExpr(operation) if operation.kind == AExprKind::NullIf => good("nullif"),
        Expr::TypeCast(cast) => {
            let inner = figure(&cast.arg);
            if inner.0 == Strength::Good {
                return inner;
            }
            match cast.type_name.names.last() {
                Some(name) => (Strength::Weak, name.clone()),
                None => inner,
            }
        }
        Expr::Collate(collate) => figure(&collate.arg),
        Expr::Grouping(_) => good("grouping"),
        Expr::SubLink(link) => match link.kind {
            SubLinkKind::Exists => good("exists"),
            SubLinkKind::Array => good("array"),
            SubLinkKind::Expr => figure_subselect(&link.subselect),
            SubLinkKind::All | SubLinkKind::Any => none,
        },
        Expr::Case(case) => {
            let inner = case.default.as_ref().map_or(none.clone(), figure);
            if inner.0 == Strength::Good { inner } else { (Strength::Weak, "case".to_owned()) }
        }
        Expr::Array(_) => good("array"),
        Expr::Row(_) => good("row"),
        Expr::Coalesce(_) => good("coalesce"),
        Expr::MinMax(min_max) => good(if min_max.least { "least" } else { "greatest" }),
        Expr::SqlValue(function) => good(sql_value_name(function.op)),
        _ => none,
    }
}

/// A scalar subquery is named after its only column, even if that is `?column?`. What a star stands
/// for is not known here: the analyzer asks its subquery instead.
fn figure_subselect(select: &SelectStmt) -> (Strength, String) {
    let mut select = select;
    loop {
        match &select.body {
            SelectBody::Simple(simple) => {
                return match simple.targets.first() {
                    Some(target) => {
                        let name = match &target.name {
                            Some(name) => name.clone(),
                            None => figure_column_name(&target.value),
                        };
                        (Strength::Good, name)
                    }
                    None => (Strength::None, String::new()),
                };
            }
            SelectBody::Values(_) => return (Strength::Good, "column1".to_owned()),
            SelectBody::SetOperation(operation) => select = &operation.left,
        }
    }
}

/// The name of a function that is called without parentheses.
fn sql_value_name(op: SqlValueOp) -> &'static str {
    match op {
        SqlValueOp::CurrentDate => "current_date",
        SqlValueOp::CurrentTime => "current_time",
        SqlValueOp::CurrentTimestamp => "current_timestamp",
        SqlValueOp::LocalTime => "localtime",
        SqlValueOp::LocalTimestamp => "localtimestamp",
        SqlValueOp::CurrentRole => "current_role",
        SqlValueOp::CurrentUser => "current_user",
        SqlValueOp::User => "user",
        SqlValueOp::SessionUser => "session_user",
        SqlValueOp::CurrentCatalog => "current_catalog",
        SqlValueOp::CurrentSchema => "current_schema",
    }
}
