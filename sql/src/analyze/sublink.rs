//! Subqueries in expressions (PostgreSQL's `transformSubLink`).

use std::sync::Arc;

use aegis_types::{SqlError, SqlResult, SqlState, TypeRef, type_oid as t};

use super::Analyzer;
use super::node::{Node, leftmost};
use super::operator::symbol;
use super::scope::Clause;
use crate::ast::{self, SubLinkKind};
use crate::bound::{Expr, Query, Subquery, SubqueryKind};

impl Analyzer<'_> {
    /// A subquery in an expression.
    pub(super) fn sublink(&mut self, link: &ast::SubLink) -> SqlResult<Node> {
        let at = link.location;
        self.check_subquery_allowed(at)?;
        match link.kind {
            SubLinkKind::Exists => {
                let query = Arc::new(self.subselect(&link.subselect)?);
                let ty = TypeRef::plain(t::BOOL);
                Ok(subquery_node(SubqueryKind::Exists, query, ty, Some(at)))
            }
            SubLinkKind::Expr | SubLinkKind::Array => {
                let query = Arc::new(self.subselect(&link.subselect)?);
                let mut targets = query.visible_targets();
                let ty = match (targets.next(), targets.next()) {
                    (Some(target), None) => target.expr.ty(),
                    _ => {
                        return Err(SqlError::new(
                            SqlState::SyntaxError,
                            "subquery must return only one column",
                        )
                        .at(at));
                    }
                };
                drop(targets);
                if link.kind == SubLinkKind::Expr {
                    return Ok(subquery_node(SubqueryKind::Scalar, query, ty, Some(at)));
                }
                let array = self.promoted_array_type(ty.oid).ok_or_else(|| {
                    SqlError::new(
                        SqlState::UndefinedObject,
                        format!(
                            "could not find array type for data type {}",
                            self.type_name(ty.oid)
                        ),
                    )
                    .at(at)
                })?;
                let ty = TypeRef::with_typmod(array, ty.typmod);
                Ok(subquery_node(SubqueryKind::Array, query, ty, Some(at)))
            }
            SubLinkKind::Any | SubLinkKind::All => {
                let Some(test) = &link.test else {
                    return Err(SqlError::internal("a quantified comparison of nothing"));
                };
                let left = match test {
                    ast::Expr::Row(row) => self.expr_list(&row.args)?,
                    other => vec![self.expr(other)?],
                };
                let name = if link.operator_name.is_empty() {
                    symbol("=")
                } else {
                    link.operator_name.clone()
                };
                let node_at = leftmost(left.first().and_then(|node| node.at), Some(at));
                let query = Arc::new(self.subselect(&link.subselect)?);
                let test = Box::new(self.slot_comparison(&name, left, &query, at)?);
                let kind = match link.kind {
                    SubLinkKind::All => SubqueryKind::All(test),
                    _ => SubqueryKind::Any(test),
                };
                Ok(subquery_node(kind, query, TypeRef::plain(t::BOOL), node_at))
            }
        }
    }

    /// `(a, b) op (SELECT …)`.
    pub(super) fn row_compare_subquery(
        &mut self,
        left: &ast::Expr,
        name: &[String],
        link: &ast::SubLink,
        at: u32,
    ) -> SqlResult<Node> {
        self.check_subquery_allowed(at)?;
        let ast::Expr::Row(row) = left else {
            return Err(SqlError::internal("a row comparison without a row"));
        };
        let left = self.expr_list(&row.args)?;
        let query = Arc::new(self.subselect(&link.subselect)?);
        let test = Box::new(self.slot_comparison(name, left, &query, at)?);
        let kind = SubqueryKind::RowCompare(test);
        Ok(subquery_node(kind, query, TypeRef::plain(t::BOOL), Some(row.location.min(at))))
    }

    /// The comparison of the left side with a subquery's columns, which are slots.
    fn slot_comparison(
        &mut self,
        name: &[String],
        left: Vec<Node>,
        query: &Query,
        at: u32,
    ) -> SqlResult<Expr> {
        let slots: Vec<Node> = query
            .visible_targets()
            .enumerate()
            .map(|(index, target)| Node::new(Expr::Slot { index, ty: target.expr.ty() }, at))
            .collect();
        if left.len() != slots.len() {
            let message = if left.len() < slots.len() {
                "subquery has too many columns"
            } else {
                "subquery has too few columns"
            };
            return Err(SqlError::new(SqlState::SyntaxError, message).at(at));
        }
        Ok(self.row_comparison(name, left, slots, at)?.expr)
    }

    fn check_subquery_allowed(&mut self, at: u32) -> SqlResult<()> {
        let place = match self.scope().clause {
            Clause::Check => "check constraint",
            Clause::Default => "DEFAULT expression",
            Clause::IndexExpression => "index expression",
            Clause::IndexPredicate => "index predicate",
            Clause::AlterTransform => "transform expression",
            Clause::Generated => "column generation expression",
            Clause::CopyWhere => "COPY FROM WHERE condition",
            Clause::ExecuteParameter => "EXECUTE parameter",
            _ => return Ok(()),
        };
        Err(SqlError::new(SqlState::FeatureNotSupported, format!("cannot use subquery in {place}"))
            .at(at))
    }
}

fn subquery_node(kind: SubqueryKind, query: Arc<Query>, ty: TypeRef, at: Option<u32>) -> Node {
    Node { expr: Expr::Subquery(Box::new(Subquery { kind, query, ty })), at }
}
