//! SQL text of bound trees, letter by letter as PostgreSQL's `ruleutils.c` prints its own.
//!
//! ```text
//! text ── parser, analyzer (catalog before) ──► bound ── deparse (catalog after) ──► text
//! ```
//!
//! Descriptors keep expressions and queries as text printed here under a search path of nothing but
//! `pg_catalog`, so that every name is qualified. Showing one is analyzing it and printing it under
//! the session's path; renaming what it names is analyzing it before and printing it after. What
//! this module cannot print it refuses with 0A000; it never prints something else.

mod buffer;
mod names;
mod constant;
mod shape;
mod expression;
mod call;
mod query;
mod from;
mod plan;

use std::collections::BTreeSet;
use std::sync::Arc;

use aegis_catalog::Relation;
use aegis_catalog::system::Names;
use aegis_types::{EvalContext, Oid, SqlError, SqlResult, TypeRef};

use crate::analyze::{Analyzer, AnalyzerContext, ExprPlace, Routine};
use crate::ast;
use crate::bound::{Expr, Query};
use crate::parser;
use buffer::Printer;
pub use plan::{PlanAliases, PlanText};

/// How text is laid out.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Only the parentheses that are needed.
    pub pretty: bool,
    /// Lists are broken beyond this column; negative for never.
    pub wrap_column: i32,
    /// Whether the text is analyzed again and must then be printed alike: more casts.
    pub stored: bool,
}

impl Layout {
    /// What functions give that are not told to be pretty.
    pub const PLAIN: Self = Self { pretty: false, wrap_column: 0, stored: false };
    /// What they give otherwise.
    pub const PRETTY: Self = Self { pretty: true, wrap_column: 0, stored: false };
    /// What is kept.
    pub const STORED: Self = Self { pretty: false, wrap_column: 0, stored: true };
}

/// Prints bound trees.
#[derive(Clone, Copy)]
pub struct Deparser<'a> {
    /// The names that are printed, and how they are searched.
    pub names: Names<'a>,
    /// How values are written, and what reg types stand for.
    pub eval: EvalContext<'a>,
    /// How the text is laid out.
    pub layout: Layout,
    /// The function whose body this is: its parameters are called by their names.
    pub routine: Option<&'a Routine>,
}

impl Deparser<'_> {
    /// An expression over a relation, which is entry 0 (`pg_get_expr`).
    ///
    /// # Errors
    /// 0A000 for what cannot be printed.
    pub fn expression(&self, expr: &Expr, relation: Option<&Relation>) -> SqlResult<String> {
        let mut printer = Printer::new(self);
        printer.push_relation(relation);
        printer.expression(expr, false)?;
        Ok(printer.finish())
    }

    /// An expression over parameters alone, in one line: what a function returns, or a default of its
    /// parameters.
    ///
    /// # Errors
    /// 0A000 for what cannot be printed.
    pub fn expression_in_line(&self, expr: &Expr) -> SqlResult<String> {
        let mut printer = Printer::new(self);
        printer.one_line = true;
        printer.expression(expr, false)?;
        Ok(printer.finish())
    }

    /// The relations that an expression names as constants, each with column 0.
    ///
    /// # Errors
    /// 0A000 for what cannot be printed.
    pub fn expression_uses(
        &self,
        expr: &Expr,
        relation: Option<&Relation>,
    ) -> SqlResult<BTreeSet<(Oid, i16)>> {
        let mut printer = Printer::new(self);
        printer.push_relation(relation);
        printer.expression(expr, false)?;
        Ok(printer.uses)
    }

    /// The stored relations (column 0) and their columns that a query names. A view is itself; what
    /// it reads does not count.
    ///
    /// # Errors
    /// 0A000 for what cannot be printed.
    pub fn query_uses(&self, query: &Query) -> SqlResult<BTreeSet<(Oid, i16)>> {
        let mut printer = Printer::new(self);
        printer.query(query, None, true)?;
        Ok(printer.uses)
    }

    /// A view's query; its columns are called as the view's (`pg_get_viewdef`), or, to be kept, as
    /// the query calls them.
    ///
    /// # Errors
    /// 0A000 for what cannot be printed.
    pub fn view(&self, query: &Query, columns: Option<&[String]>) -> SqlResult<String> {
        let mut printer = Printer::new(self);
        printer.reserve(&["old", "new"]);
        printer.query(query, columns, true)?;
        Ok(printer.finish())
    }

    /// A statement of a function's body (`pg_get_function_sqlbody`).
    ///
    /// # Errors
    /// 0A000 for what cannot be printed.
    pub fn body_statement(&self, query: &Query) -> SqlResult<String> {
        let mut printer = Printer::new(self);
        printer.indent = 1;
        printer.query(query, None, false)?;
        Ok(printer.finish())
    }
}

/// Stored text, analyzed under the catalog it was printed under.
pub struct Stored<'a> {
    /// The catalog, the host and what else analysis asks for; the search path is `pg_catalog`.
    pub context: AnalyzerContext<'a>,
}

impl Stored<'_> {
    /// The same for the body of a function.
    #[must_use]
    pub fn of_routine(&self, function: &aegis_catalog::Function) -> Self {
        let parameters = function.input_types().into_iter().map(Some).collect();
        Self { context: AnalyzerContext { parameters, ..self.context.clone() } }
    }

    /// An expression kept with a relation: a default or a condition.
    ///
    /// # Errors
    /// What parsing and analyzing raise.
    pub fn expression(&self, text: &str, relation: &Arc<Relation>) -> SqlResult<Expr> {
        let expr = parser::parse_expr(text)?;
        let analyzer = Analyzer::new(self.context.clone()).of_stored_text();
        analyzer.analyze_expr_over_relation(&expr, relation, ExprPlace::IndexExpression, None)
    }

    /// A condition of a domain over this type.
    ///
    /// # Errors
    /// What parsing and analyzing raise.
    pub fn domain_check(&self, text: &str, base: TypeRef) -> SqlResult<Expr> {
        let expr = parser::parse_expr(text)?;
        Analyzer::new(self.context.clone()).analyze_domain_check(&expr, base)
    }

    /// The query of a view.
    ///
    /// # Errors
    /// What parsing and analyzing raise.
    pub fn view(&self, view: &Relation) -> SqlResult<Query> {
        match view.query_text() {
            Some(definition) => self.query(definition),
            None => Err(SqlError::internal(format!("\"{}\" is no view", view.name))),
        }
    }

    /// A query.
    ///
    /// # Errors
    /// What parsing and analyzing raise.
    pub fn query(&self, text: &str) -> SqlResult<Query> {
        let statements = parser::parse(text)?;
        match statements.as_slice() {
            [statement] => match &statement.statement {
                ast::Statement::Select(select) => {
                    Analyzer::new(self.context.clone()).of_stored_text().analyze_view(select)
                }
                _ => Err(SqlError::internal("a stored query is no query")),
            },
            _ => Err(SqlError::internal("a stored query is not one query")),
        }
    }
}

/// 0A000 for what has no text.
fn unprintable(what: &str) -> SqlError {
    SqlError::unsupported(format!("printing {what}"))
}
