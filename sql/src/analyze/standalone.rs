//! Expressions outside statements: defaults, CHECK, index predicates, parameters of utilities.

use std::sync::Arc;

use aegis_catalog::Relation;
use aegis_types::builtin::CastContext;
use aegis_types::{SqlError, SqlResult, SqlState, TypeRef};

use super::Analyzer;
use super::from::relation_columns;
use super::node::Node;
use super::scope::{Clause, EntryInfo};
use crate::ast;
use crate::bound::{CallForm, Expr, RangeTableEntry, RteKind};

/// Where an expression over one relation stands: what is refused in it, and in which words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExprPlace {
    /// `CHECK`: a boolean.
    Check,
    /// `DEFAULT`: names no columns.
    Default,
    /// A column of an index.
    IndexExpression,
    /// `WHERE` of an index: a boolean.
    IndexPredicate,
    /// `ALTER COLUMN … TYPE … USING`.
    AlterTransform,
    /// `GENERATED ALWAYS AS (…)`.
    Generated,
    /// `COPY … FROM … WHERE`: a boolean.
    CopyWhere,
}

impl Analyzer<'_> {
    /// An expression over one relation, which is entry 0 of the range table; converted to
    /// `coerce_to` as an assignment, if one is given.
    ///
    /// # Errors
    /// Whatever analysis raises, and what `place` refuses: subqueries, aggregates, window and
    /// set-returning functions.
    pub fn analyze_expr_over_relation(
        mut self,
        expr: &ast::Expr,
        relation: &Arc<Relation>,
        place: ExprPlace,
        coerce_to: Option<(TypeRef, &str)>,
    ) -> SqlResult<Expr> {
        let alias = relation.name.clone();
        let columns = relation_columns(relation);
        let kind = RteKind::Relation(relation.clone());
        let info = EntryInfo {
            relation: Some(relation.oid),
            relation_name: Some(relation.name.clone()),
            ..EntryInfo::default()
        };
        let entry = self.add_entry(RangeTableEntry { alias, kind, columns, lateral: false }, info);
        if place != ExprPlace::Default {
            let item = self.entry_item(entry);
            self.scope().namespace.push(item);
        }
        let clause = match place {
            ExprPlace::Check => Clause::Check,
            ExprPlace::Default => Clause::Default,
            ExprPlace::IndexExpression => Clause::IndexExpression,
            ExprPlace::IndexPredicate => Clause::IndexPredicate,
            ExprPlace::AlterTransform => Clause::AlterTransform,
            ExprPlace::Generated => Clause::Generated,
            ExprPlace::CopyWhere => Clause::CopyWhere,
        };
        let node = self.expr_in(expr, clause)?;
        match (place, coerce_to) {
            (ExprPlace::Check, None) => self.coerce_to_boolean(node, "CHECK"),
            (ExprPlace::IndexPredicate | ExprPlace::CopyWhere, None) => {
                self.coerce_to_boolean(node, "WHERE")
            }
            (_, None) => Ok(self.known_type(node)?.expr),
            (ExprPlace::AlterTransform, Some((ty, column))) => self.transform(node, ty, column),
            (_, Some((ty, column))) => self.default_value(node, ty, column),
        }
    }

    /// A constant expression without any relation around it, converted to a type as by a written
    /// cast: partition bounds, arguments of utilities.
    ///
    /// # Errors
    /// Whatever analysis raises.
    pub fn analyze_standalone(
        mut self,
        expr: &ast::Expr,
        coerce_to: Option<TypeRef>,
    ) -> SqlResult<Expr> {
        let node = self.expr(expr)?;
        let Some(ty) = coerce_to else {
            return Ok(self.known_type(node)?.expr);
        };
        let (source, at) = (node.oid(), node.at);
        let (context, form) = (CastContext::Assignment, CallForm::ImplicitCast);
        self.coerce_to_target(node, ty, context, form, None)?
            .map(|node| node.expr)
            .ok_or_else(|| self.cannot_cast(source, ty.oid, at))
    }

    /// A default of a function's parameter.
    ///
    /// # Errors
    /// 42P10 where it names a column; whatever analysis raises.
    pub fn analyze_parameter_default(mut self, expr: &ast::Expr, ty: TypeRef) -> SqlResult<Expr> {
        let node = self.expr_in(expr, Clause::FunctionDefault)?;
        if super::is_polymorphic(ty.oid) {
            return Ok(self.known_type(node)?.expr);
        }
        let (source, at) = (node.oid(), node.at);
        let (context, form) = (CastContext::Assignment, CallForm::ImplicitCast);
        match self.coerce_to_target(node, ty, context, form, None)? {
            Some(node) => Ok(node.expr),
            None => Err(SqlError::new(
                SqlState::DatatypeMismatch,
                format!(
                    "argument of DEFAULT must be type {}, not type {}",
                    self.type_name(ty.oid),
                    self.type_name(source)
                ),
            )
            .at_opt(at)),
        }
    }

    /// An argument of EXECUTE for parameter `$number`, converted to the parameter's type.
    ///
    /// # Errors
    /// 42804 where it cannot be converted; whatever analysis raises.
    pub fn analyze_execute_argument(
        mut self,
        argument: &ast::Expr,
        number: usize,
        ty: TypeRef,
    ) -> SqlResult<Expr> {
        let node = self.expr_in(argument, Clause::ExecuteParameter)?;
        let (source, at) = (node.oid(), node.at);
        let (context, form) = (CastContext::Assignment, CallForm::ImplicitCast);
        match self.coerce_to_target(node, ty, context, form, None)? {
            Some(node) => Ok(node.expr),
            None => Err(SqlError::new(
                SqlState::DatatypeMismatch,
                format!(
                    "parameter ${number} of type {} cannot be coerced to the expected type {}",
                    self.type_name(source),
                    self.type_name(ty.oid)
                ),
            )
            .hint("You will need to rewrite or cast the expression.")
            .at_opt(at)),
        }
    }

    /// A condition of a domain: `VALUE` in it is [`Expr::Slot`] 0.
    ///
    /// # Errors
    /// Whatever analysis raises.
    pub fn analyze_domain_check(mut self, expr: &ast::Expr, value: TypeRef) -> SqlResult<Expr> {
        self.domain_value = Some(value);
        let node = self.expr_in(expr, Clause::Check)?;
        self.coerce_to_boolean(node, "CHECK")
    }

    /// The value of `USING`, converted to the column's new type.
    fn transform(&mut self, node: Node, ty: TypeRef, column: &str) -> SqlResult<Expr> {
        let (context, form) = (CastContext::Assignment, CallForm::ImplicitCast);
        match self.coerce_to_target(node, ty, context, form, None)? {
            Some(node) => Ok(node.expr),
            None => Err(SqlError::new(
                SqlState::DatatypeMismatch,
                format!(
                    "result of USING clause for column \"{column}\" cannot be cast automatically \
                     to type {}",
                    self.type_name(ty.oid)
                ),
            )
            .hint("You might need to add an explicit cast.")),
        }
    }

    /// A default, converted to its column's type.
    pub(super) fn default_value(
        &mut self,
        node: Node,
        ty: TypeRef,
        column: &str,
    ) -> SqlResult<Expr> {
        let (source, at) = (node.oid(), node.at);
        let (context, form) = (CastContext::Assignment, CallForm::ImplicitCast);
        match self.coerce_to_target(node, ty, context, form, None)? {
            Some(node) => Ok(node.expr),
            None => Err(SqlError::new(
                SqlState::DatatypeMismatch,
                format!(
                    "column \"{column}\" is of type {} but default expression is of type {}",
                    self.type_name(ty.oid),
                    self.type_name(source)
                ),
            )
            .hint("You will need to rewrite or cast the expression.")
            .at_opt(at)),
        }
    }
}
