//! Comparisons that are more than one operator: `IN`, `BETWEEN`, `IS DISTINCT FROM`, rows.

use aegis_types::builtin::CastContext;
use aegis_types::{SqlError, SqlResult, SqlState, TypeRef, type_oid as t};

use super::Analyzer;
use super::node::{Node, leftmost};
use super::operator::symbol;
use super::walk::visit_expr;
use crate::ast::{self, AExprKind, ConstValue, Expr as Ast};
use crate::bound::{Expr, RowCompareField, RowCompareOp};

impl Analyzer<'_> {
    /// `x IN (a, b)`: over values without columns one comparison with an array, else `OR`
    /// (`transformAExprIn`).
    pub(super) fn in_list(&mut self, in_expr: &ast::InExpr) -> SqlResult<Node> {
        let at = in_expr.location;
        let name = symbol(if in_expr.negated { "<>" } else { "=" });
        let left_fields = match &in_expr.left {
            Ast::Row(row) => Some(self.expr_list(&row.args)?),
            _ => None,
        };
        let left = match &left_fields {
            Some(_) => None,
            None => Some(self.expr(&in_expr.left)?),
        };
        let mut tests = Vec::new();
        let mut items = Vec::with_capacity(in_expr.list.len());
        for item in &in_expr.list {
            match (&left_fields, item) {
                (Some(fields), Ast::Row(row)) => {
                    let right = self.expr_list(&row.args)?;
                    tests.push(self.row_comparison(&name, fields.clone(), right, at)?);
                }
                (Some(_), item) => {
                    let left = self.expr(&in_expr.left)?;
                    let right = self.expr(item)?;
                    tests.push(self.operator(&name, Some(left), right, at)?);
                }
                (None, item) => items.push(self.expr(item)?),
            }
        }
        let node_at = leftmost(left.as_ref().and_then(|left| left.at), Some(at));
        if let Some(left) = left {
            let (constant, variable): (Vec<Node>, Vec<Node>) =
                items.into_iter().partition(|item| !has_columns(&item.expr));
            let mut rest = constant;
            if rest.len() > 1 {
                if let Some(array) = self.in_array(&left, &rest, at)? {
                    let all = in_expr.negated;
                    tests.push(self.array_comparison(&name, all, left.clone(), array, at)?);
                    rest = Vec::new();
                }
            }
            for item in rest.into_iter().chain(variable) {
                tests.push(self.operator(&name, Some(left.clone()), item, at)?);
            }
        }
        let mut conditions = Vec::with_capacity(tests.len());
        for test in tests {
            conditions.push(self.coerce_to_boolean(test, "IN")?);
        }
        let expr = match conditions.len() {
            1 => conditions.remove(0),
            _ if in_expr.negated => Expr::And(conditions),
            _ => Expr::Or(conditions),
        };
        Ok(Node { expr, at: node_at })
    }

    /// The list as an array of the type that it has in common with the left side, if there is one.
    fn in_array(&mut self, left: &Node, items: &[Node], at: u32) -> SqlResult<Option<Node>> {
        let types: Vec<_> = [left].into_iter().chain(items).map(Node::oid).collect();
        let Ok(common) = self.common_type_of(&types) else {
            return Ok(None);
        };
        let fits = common != t::RECORD
            && types.iter().all(|ty| self.can_coerce(&[*ty], &[common], CastContext::Implicit));
        let Some(array) = self.array_type(common).filter(|_| fits) else {
            return Ok(None);
        };
        let mut elements = Vec::with_capacity(items.len());
        for item in items {
            elements.push(self.coerce_to_common(item.clone(), common, "IN")?.expr);
        }
        let ty = TypeRef::plain(array);
        Ok(Some(Node::new(Expr::Array { elements, nested: false, ty }, at)))
    }

    /// `x BETWEEN a AND b`.
    pub(super) fn between(&mut self, between: &ast::BetweenExpr) -> SqlResult<Node> {
        let at = between.location;
        let arg = self.expr(&between.arg)?;
        let low = self.expr(&between.low)?;
        let high = self.expr(&between.high)?;
        let node_at = leftmost(arg.at, Some(at));
        let (lower, upper) = if between.negated { ("<", ">") } else { (">=", "<=") };
        let range = |analyzer: &mut Self, low: Node, high: Node| {
            let below = analyzer.operator(&symbol(lower), Some(arg.clone()), low, at)?;
            let above = analyzer.operator(&symbol(upper), Some(arg.clone()), high, at)?;
            let word = if between.negated { "OR" } else { "AND" };
            let both = vec![
                analyzer.coerce_to_boolean(below, word)?,
                analyzer.coerce_to_boolean(above, word)?,
            ];
            SqlResult::Ok(if between.negated { Expr::Or(both) } else { Expr::And(both) })
        };
        let expr = if between.symmetric {
            let straight = range(self, low.clone(), high.clone())?;
            let crossed = range(self, high, low)?;
            if between.negated {
                Expr::And(vec![straight, crossed])
            } else {
                Expr::Or(vec![straight, crossed])
            }
        } else {
            range(self, low, high)?
        };
        Ok(Node { expr, at: node_at })
    }

    /// `x IS [NOT] DISTINCT FROM y`.
    pub(super) fn distinct(&mut self, operation: &ast::AExpr) -> SqlResult<Node> {
        let at = operation.location;
        let negated = operation.kind == AExprKind::NotDistinct;
        let is_null =
            |expr: &Ast| matches!(expr, Ast::Const(constant) if constant.value == ConstValue::Null);
        let tested = match &operation.left {
            _ if is_null(&operation.right) => operation.left.as_ref(),
            Some(left) if is_null(left) => Some(&operation.right),
            _ => None,
        };
        if let Some(tested) = tested {
            let node = self.expr(tested)?;
            let node_at = leftmost(node.at, Some(at));
            let arg = Box::new(node.expr);
            return Ok(Node { expr: Expr::IsNull { arg, negated: !negated }, at: node_at });
        }
        if let (Some(Ast::Row(left)), Ast::Row(right)) = (&operation.left, &operation.right) {
            let left = self.expr_list(&left.args)?;
            let right = self.expr_list(&right.args)?;
            if left.len() != right.len() {
                return Err(unequal_rows(at));
            }
            let mut fields = Vec::with_capacity(left.len());
            for (left, right) in left.into_iter().zip(right) {
                fields.push(self.distinct_fields(left, right, false, at)?);
            }
            let any = match fields.len() {
                0 => super::node::boolean(false),
                1 => fields.remove(0),
                _ => Expr::Or(fields),
            };
            let expr = if negated { Expr::Not(Box::new(any)) } else { any };
            return Ok(Node::new(expr, at));
        }
        let left = self.left_operand(operation)?;
        let right = self.expr(&operation.right)?;
        let node_at = leftmost(left.at, Some(at));
        Ok(Node { expr: self.distinct_fields(left, right, negated, at)?, at: node_at })
    }

    fn distinct_fields(
        &mut self,
        left: Node,
        right: Node,
        negated: bool,
        at: u32,
    ) -> SqlResult<Expr> {
        let call = self.operator_call(&symbol("="), Some(left), right, at)?;
        if call.ty.oid != t::BOOL {
            return Err(SqlError::new(
                SqlState::DatatypeMismatch,
                "IS DISTINCT FROM requires = operator to yield boolean",
            )
            .at(at));
        }
        Ok(Expr::Distinct { equal: Box::new(call), negated })
    }

    /// `(a, b) op (c, d)` (`make_row_comparison_op`).
    pub(super) fn row_comparison(
        &mut self,
        name: &[String],
        left: Vec<Node>,
        right: Vec<Node>,
        at: u32,
    ) -> SqlResult<Node> {
        if left.len() != right.len() {
            return Err(unequal_rows(at));
        }
        if left.is_empty() {
            return Err(SqlError::new(
                SqlState::FeatureNotSupported,
                "cannot compare rows of zero length",
            )
            .at(at));
        }
        let mut calls = Vec::with_capacity(left.len());
        for (left, right) in left.into_iter().zip(right) {
            let call = self.operator_call(name, Some(left), right, at)?;
            if call.ty.oid != t::BOOL {
                return Err(SqlError::new(
                    SqlState::DatatypeMismatch,
                    format!(
                        "row comparison operator must yield type boolean, not type {}",
                        self.type_name(call.ty.oid)
                    ),
                )
                .at(at));
            }
            calls.push(call);
        }
        if calls.len() == 1 {
            return Ok(Node::new(Expr::Call(Box::new(calls.remove(0))), at));
        }
        let all = |calls: Vec<crate::bound::Call>| -> Vec<Expr> {
            calls.into_iter().map(|call| Expr::Call(Box::new(call))).collect()
        };
        let op = match name.last().map_or("", String::as_str) {
            "=" => return Ok(Node::new(Expr::And(all(calls)), at)),
            "<>" => return Ok(Node::new(Expr::Or(all(calls)), at)),
            "<" => RowCompareOp::Less,
            "<=" => RowCompareOp::LessEqual,
            ">" => RowCompareOp::Greater,
            ">=" => RowCompareOp::GreaterEqual,
            other => {
                return Err(SqlError::new(
                    SqlState::FeatureNotSupported,
                    format!(
                        "could not determine interpretation of row comparison operator {other}"
                    ),
                )
                .hint("Row comparison operators must be associated with btree operator families.")
                .at(at));
            }
        };
        let mut fields = Vec::with_capacity(calls.len());
        for call in calls {
            let sides: Vec<Node> = call.args.into_iter().map(Node::unwritten).collect();
            let (mut sides, _) = self.unify(sides, "row comparison")?;
            let (Some(right), Some(left)) = (sides.pop(), sides.pop()) else {
                return Err(SqlError::internal("a comparison without two sides"));
            };
            fields.push(RowCompareField { left: left.expr, right: right.expr });
        }
        Ok(Node::new(Expr::RowCompare { op, fields }, at))
    }
}

fn unequal_rows(at: u32) -> SqlError {
    SqlError::new(SqlState::SyntaxError, "unequal number of entries in row expressions").at(at)
}

/// Whether an expression reads a column of its own query.
pub(super) fn has_columns(expr: &Expr) -> bool {
    let mut found = false;
    visit_expr(expr, 0, &mut |expr, depth| {
        if let Expr::Column { levels_up, .. } = expr {
            found |= *levels_up == depth;
        }
        !found
    });
    found
}
