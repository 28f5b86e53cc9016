//! Expressions and types of definitions: analyzed, and printed to be kept.

use std::sync::Arc;

use aegis_catalog::Relation;
use aegis_types::builtin::{Volatility, builtins};
use aegis_types::{Oid, SqlError, SqlResult, SqlState, TypeRef};

use super::Ddl;
use crate::analyze::{Analyzer, AnalyzerContext, ExprPlace, format_type};
use crate::ast::{Expr, TypeName};
use crate::bound;
use crate::evaluate::Program;

impl Ddl<'_> {
    /// An analyzer over the catalog as it is now.
    pub(super) fn analyzer(&self) -> Analyzer<'_> {
        self.analyzer_under(&self.search_path)
    }

    /// The same under another search path.
    pub(super) fn analyzer_under<'b>(&'b self, search_path: &'b [Oid]) -> Analyzer<'b> {
        Analyzer::new(AnalyzerContext {
            catalog: &self.context.catalog,
            database: self.context.database,
            search_path,
            system_relations: &*self.context.system_relations,
            eval: self.context.eval(),
            parameters: self.parameter_types.clone(),
            infer_parameters: false,
        })
    }

    /// The type of a column: 42P16 for a pseudo-type.
    pub(super) fn column_type(&self, name: &TypeName, column: &str) -> SqlResult<TypeRef> {
        if name.setof {
            return Err(SqlError::new(
                SqlState::InvalidTableDefinition,
                format!("column \"{column}\" cannot be declared SETOF"),
            ));
        }
        let ty = self.analyzer().resolve_type_name(name)?;
        if builtins().type_row(ty.oid).is_some_and(|row| row.kind == b'p') {
            return Err(SqlError::new(
                SqlState::InvalidTableDefinition,
                format!("column \"{column}\" has pseudo-type {}", self.type_name(ty.oid)),
            ));
        }
        Ok(ty)
    }

    /// A type's name as messages have it.
    pub(super) fn type_name(&self, oid: Oid) -> String {
        format_type(&self.context.catalog, &self.search_path, TypeRef::plain(oid))
    }

    /// Analyzes an expression over a relation.
    pub(super) fn bind(
        &self,
        expr: &Expr,
        relation: &Arc<Relation>,
        place: ExprPlace,
        coerce_to: Option<(TypeRef, &str)>,
    ) -> SqlResult<bound::Expr> {
        self.analyzer().analyze_expr_over_relation(expr, relation, place, coerce_to)
    }

    /// The text of a default and what it means; none for a plain NULL.
    pub(super) fn default(
        &self,
        expr: &Expr,
        relation: &Arc<Relation>,
        ty: TypeRef,
        column: &str,
    ) -> SqlResult<Option<(String, bound::Expr)>> {
        let bound = self.bind(expr, relation, ExprPlace::Default, Some((ty, column)))?;
        if matches!(&bound, bound::Expr::Const { value, .. } if value.is_null()) {
            return Ok(None);
        }
        Ok(Some((self.expression_text(&bound, relation)?, bound)))
    }

    /// The text of a CHECK condition, what it means, and the columns it names.
    pub(super) fn check_condition(
        &self,
        expr: &Expr,
        relation: &Arc<Relation>,
    ) -> SqlResult<(String, bound::Expr, Vec<i16>)> {
        let bound = self.bind(expr, relation, ExprPlace::Check, None)?;
        let mut columns = Vec::new();
        collect_columns(&bound, &mut columns);
        columns.sort_unstable();
        columns.dedup();
        Ok((self.expression_text(&bound, relation)?, bound, columns))
    }
}

/// A program over a row with a datum for every column ever added.
pub(super) fn compile_over_row(expr: &bound::Expr) -> SqlResult<Program> {
    Program::compile(expr, &mut |_, column, _| {
        usize::try_from(column - 1)
            .map_err(|_| SqlError::unsupported("a system column in a constraint"))
    })
}

/// The columns of the relation that an expression names.
pub(super) fn collect_columns(expr: &bound::Expr, columns: &mut Vec<i16>) {
    if let bound::Expr::Column { column, .. } = expr {
        columns.push(*column);
    }
    expr.for_each_child(&mut |child| collect_columns(child, columns));
}

/// Whether an expression may give another value each time.
pub fn is_volatile(expr: &bound::Expr) -> bool {
    let own = match expr {
        bound::Expr::Call(call) => builtins()
            .function(call.function)
            .is_none_or(|function| function.volatility == Volatility::Volatile),
        bound::Expr::NextValue { .. } => true,
        _ => false,
    };
    let mut found = own;
    expr.for_each_child(&mut |child| found |= is_volatile(child));
    found
}

/// A string as SQL writes it.
pub(super) fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') {
        format!("E'{}'", quoted.replace('\\', "\\\\"))
    } else {
        format!("'{quoted}'")
    }
}
