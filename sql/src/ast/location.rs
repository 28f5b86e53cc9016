//! Where an expression begins (PostgreSQL's `exprLocation` over a raw parse tree).

use super::Expr;

impl Expr {
    /// The leftmost location of the expression, in bytes: where an error about all of it points.
    #[must_use]
    pub fn location(&self) -> u32 {
        let mut leftmost = u32::MAX;
        let mut expr = self;
        loop {
            let (location, inner) = expr.own_location();
            leftmost = leftmost.min(location.unwrap_or(u32::MAX));
            match inner {
                Some(inner) => expr = inner,
                None if leftmost == u32::MAX => return 0,
                None => return leftmost,
            }
        }
    }

    /// The location of the node itself, and the part of it that may begin before it.
    fn own_location(&self) -> (Option<u32>, Option<&Self>) {
        match self {
            Self::ColumnRef(node) => (Some(node.location), None),
            Self::Param(node) => (Some(node.location), None),
            Self::Const(node) => (Some(node.location), None),
            Self::AExpr(node) => (Some(node.location), node.left.as_ref()),
            Self::In(node) => (Some(node.location), Some(&node.left)),
            Self::Between(node) => (Some(node.location), Some(&node.arg)),
            Self::Bool(node) => (Some(node.location), node.args.first()),
            Self::NullTest(node) => (Some(node.location), Some(&node.arg)),
            Self::BooleanTest(node) => (Some(node.location), Some(&node.arg)),
            Self::TypeCast(node) => {
                (Some(node.location.min(node.type_name.location)), Some(&node.arg))
            }
            Self::Collate(node) => (None, Some(&node.arg)),
            Self::Func(node) => (Some(node.location), node.args.first()),
            Self::NamedArg(node) => (Some(node.location), None),
            Self::Indirection(node) => (None, Some(&node.arg)),
            Self::Array(node) => (Some(node.location), None),
            Self::Row(node) => (Some(node.location), None),
            Self::Case(node) => (Some(node.location), None),
            Self::Coalesce(node) => (Some(node.location), None),
            Self::MinMax(node) => (Some(node.location), None),
            Self::SqlValue(node) => (Some(node.location), None),
            Self::SubLink(node) => (Some(node.location), node.test.as_ref()),
            Self::Grouping(node) => (Some(node.location), None),
            Self::SetToDefault(node) => (Some(node.location), None),
            Self::CurrentOf(node) => (Some(node.location), None),
        }
    }
}
