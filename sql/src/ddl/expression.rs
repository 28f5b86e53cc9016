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

    /// The same for text with parameters of these types.
    pub(super) fn analyzer_with_parameters(&self, types: &[Oid]) -> Analyzer<'_> {
        Analyzer::new(AnalyzerContext {
            catalog: &self.context.catalog,
            database: self.context.database,
            search_path: &self.search_path,
            system_relations: &*self.context.system_relations,
            eval: self.context.eval(),
            parameters: types.iter().map(|oid| Some(*oid)).collect(),
            infer_parameters: false,
        })
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

    /// The text of a generation expression and what it means: 42P17 unless it is immutable and names
    /// no generated column.
    pub(super) fn generation(
        &self,
        expr: &Expr,
        relation: &Arc<Relation>,
        ty: TypeRef,
        column: &str,
    ) -> SqlResult<(String, bound::Expr)> {
        let bound = self.bind(expr, relation, ExprPlace::Generated, Some((ty, column)))?;
        let wrong = |message: &str| SqlError::new(SqlState::InvalidObjectDefinition, message);
        let mut columns = Vec::new();
        collect_columns(&bound, &mut columns);
        for number in columns {
            match relation.column(number) {
                Some(used) if used.generated => {
                    return Err(wrong(&format!(
                        "cannot use generated column \"{}\" in column generation expression",
                        used.name
                    ))
                    .detail("A generated column cannot reference another generated column."));
                }
                Some(_) => {}
                None if number == 0 => {
                    return Err(wrong(
                        "cannot use whole-row variable in column generation expression",
                    )
                    .detail("This would cause the generated column to depend on its own value."));
                }
                None if number == bound::TABLE_OID => {
                    return Err(SqlError::unsupported("tableoid in a generation expression"));
                }
                None => {
                    let name = if number == bound::XMIN { "xmin" } else { "ctid" };
                    return Err(SqlError::new(
                        SqlState::InvalidColumnReference,
                        format!(
                            "cannot use system column \"{name}\" in column generation expression"
                        ),
                    ));
                }
            }
        }
        if !is_immutable(&bound) {
            return Err(wrong("generation expression is not immutable"));
        }
        Ok((self.expression_text(&bound, relation)?, bound))
    }

    /// The columns that the expression of a generated column names.
    pub(super) fn generated_from(
        &self,
        relation: &Arc<Relation>,
        column: &aegis_catalog::Column,
    ) -> SqlResult<Vec<i16>> {
        let mut columns = Vec::new();
        if let Some(text) = column.default.as_ref().filter(|_| column.generated) {
            let parsed = crate::parser::parse_expr(text)?;
            let target = Some((column.ty, column.name.as_str()));
            let bound = self.bind(&parsed, relation, ExprPlace::Generated, target)?;
            collect_columns(&bound, &mut columns);
        }
        Ok(columns)
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
        bound::Expr::Call(call) => call.is_volatile(),
        bound::Expr::NextValue { .. } => true,
        _ => false,
    };
    let mut found = own;
    expr.for_each_child(&mut |child| found |= is_volatile(child));
    found
}

/// `textanycat` and `anytextcat`.
const TEXT_CONCATENATIONS: [Oid; 2] = [Oid(2003), Oid(2004)];

/// Whether an expression gives the same value for the same row for ever.
pub(super) fn is_immutable(expr: &bound::Expr) -> bool {
    let is_function = |oid: Oid| {
        builtins()
            .function(oid)
            .is_some_and(|function| function.volatility == Volatility::Immutable)
    };
    let io =
        |oid: Oid, at: usize| builtins().type_row(oid).is_none_or(|row| is_function(row.io[at]));
    let own = match expr {
        // `text || any` converts by the other's output function, whatever it is marked as.
        bound::Expr::Call(call) if TEXT_CONCATENATIONS.contains(&call.function) => {
            call.args.iter().all(|arg| io(arg.ty().oid, 1))
        }
        bound::Expr::Call(call) => {
            call.row().is_some_and(|row| row.volatility == Volatility::Immutable)
        }
        // Through the output function of the one and the input function of the other type.
        bound::Expr::ConvertViaText { arg, ty, .. } => io(arg.ty().oid, 1) && io(ty.oid, 0),
        bound::Expr::NextValue { .. } | bound::Expr::SqlValue { .. } => false,
        _ => true,
    };
    let mut all = own;
    expr.for_each_child(&mut |child| all &= is_immutable(child));
    all
}

/// Whether an expression is printed as a call, which stands in an index without parentheses
/// (`looks_like_function`).
pub(super) fn looks_like_call(expr: &bound::Expr) -> bool {
    match expr {
        bound::Expr::Call(call) => matches!(
            call.form,
            bound::CallForm::Function | bound::CallForm::Defaulted(_) | bound::CallForm::SqlSyntax
        ),
        bound::Expr::Coalesce { .. }
        | bound::Expr::MinMax { .. }
        | bound::Expr::NullIf { .. }
        | bound::Expr::SqlValue { .. } => true,
        _ => false,
    }
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
