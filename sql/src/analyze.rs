//! Parse analysis: from what a statement says to what it means.
//!
//! ```text
//! ast::Statement ──► scopes (names) ──► expressions (types) ──► clauses ──► BoundStatement
//!                       scope, from         coerce, operator,      select, group,
//!                       relation, cte       function, polymorphic  set_operation, insert, …
//! ```
//!
//! The division of labour and the algorithms are those of PostgreSQL's `parse_*.c`, so that a
//! statement means here what it means there and fails with the same words at the same place. The
//! analyzer folds nothing but string literals into their types; it reads the catalog and never
//! the data.

mod types;
mod type_name;
mod relation;

mod scope;
mod suggestion;
mod column;

mod node;
mod constant;
mod coerce;
mod common_type;
mod polymorphic;
mod collation;
mod operator;
mod candidate;
mod function;
mod function_default;
mod function_call;

mod expr;
mod comparison;
mod subscript;
mod sublink;
mod aggregate;
mod window;
mod grouping_check;

mod fold;
mod from;
mod sample;
mod join;
mod range_function;
mod recursion;
mod cte;
mod search_cycle;
mod target;
mod sort;
mod group;
mod select;
mod values;
mod set_operation;
mod locking;

mod assignment;
mod part;
mod insert;
mod conflict;
mod updatable;
mod update;

pub(crate) mod walk;
mod implication;
mod parameter;
mod routine;
mod standalone;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use aegis_catalog::CatalogSnapshot;
use aegis_types::{EvalContext, Oid, SqlError, SqlResult, SqlState, TypeRef};

use crate::ast;
use crate::bound::{BoundStatement, Expr, Query, Target};
use crate::dml::Kept;
use crate::query_engine::SystemRelations;

pub use fold::fold_constants;
pub(crate) use fold::with_values;
pub use implication::{implies, same_expression};
pub use relation::ResolvedRelation;
pub use routine::{Routine, RoutineResult};
pub use standalone::ExprPlace;
pub use types::{format_type, is_polymorphic, is_polymorphic_family1};
pub use updatable::Updatable;
pub use walk::is_for_every_session;
pub(crate) use walk::{asks_nobody, only_waits};

use scope::Scope;

/// How deep expressions and queries may nest: each level costs a few kilobytes of stack, in whoever
/// walks the bound tree too.
pub const DEPTH_MAX: usize = 512;

/// How many expressions, queries and copies of expressions one statement may come to: some syntax
/// stands for its operand several times, and nested it would grow without bound.
const WORK_MAX: usize = 2_000_000;

/// What a statement is analyzed against.
#[derive(Clone)]
pub struct AnalyzerContext<'a> {
    /// What exists.
    pub catalog: &'a Arc<CatalogSnapshot>,
    /// The database that the session is connected to.
    pub database: Oid,
    /// The schemas searched for unqualified names; `pg_catalog` comes first unless it is listed.
    pub search_path: &'a [Oid],
    /// The computed relations of `pg_catalog` and `information_schema`.
    pub system_relations: &'a dyn SystemRelations,
    /// Settings, clocks and host, for the conversion of literals.
    pub eval: EvalContext<'a>,
    /// The types of `$1`, `$2`, … where the client gave them.
    pub parameters: Vec<Option<Oid>>,
    /// Whether parameters beyond those, or without a type, are inferred from their use.
    pub infer_parameters: bool,
}

/// A statement analyzed.
#[derive(Clone, Debug)]
pub struct Analyzed {
    /// What it means.
    pub statement: BoundStatement,
    /// The type of each parameter.
    pub parameter_types: Vec<TypeRef>,
    /// The columns of its result; empty where it gives none.
    pub columns: Vec<OutputColumn>,
    /// What is kept from one run to the next.
    pub kept: Kept,
}

/// A column of a result, for RowDescription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputColumn {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: TypeRef,
    /// The type that clients see: of a domain, the one beneath.
    pub shown: TypeRef,
    /// `typlen` of that.
    pub length: i16,
    /// The relation and column that it shows unchanged.
    pub origin: Option<(Oid, i16)>,
}

/// Analyzes one statement, or the expressions of one relation.
pub struct Analyzer<'a> {
    context: AnalyzerContext<'a>,
    /// The queries that are being analyzed, outermost first.
    scopes: Vec<Scope>,
    /// What is known of the parameters' types so far.
    parameters: Vec<Option<TypeRef>>,
    depth: usize,
    /// How much was analyzed so far, of at most [`WORK_MAX`].
    work: usize,
    /// The views that are being expanded, so that none can contain itself.
    views: Vec<Oid>,
    /// Whether the text is one of ours: its names were looked up by whoever wrote it, with his
    /// privileges.
    stored_text: bool,
    /// Whether the next query's output columns may stay of unknown type, for whoever is around it to
    /// decide.
    keep_unknown_targets: bool,
    /// The defaults of columns, bound already.
    defaults: HashMap<(Oid, i16), Expr>,
    /// Where aggregates and window functions were written.
    call_locations: Vec<u32>,
    /// The type of `VALUE`, in a condition of a domain.
    domain_value: Option<TypeRef>,
    /// The function whose body this is.
    routine: Option<&'a Routine>,
}

impl<'a> Analyzer<'a> {
    /// An analyzer for one statement.
    #[must_use]
    pub fn new(context: AnalyzerContext<'a>) -> Self {
        let parameters =
            context.parameters.iter().map(|oid| oid.map(TypeRef::plain)).collect::<Vec<_>>();
        Self {
            context,
            scopes: Vec::new(),
            parameters,
            depth: 0,
            work: 0,
            views: Vec::new(),
            stored_text: false,
            keep_unknown_targets: false,
            defaults: HashMap::new(),
            call_locations: Vec::new(),
            domain_value: None,
            routine: None,
        }
    }

    /// The same for text that is kept or made by the server: no schema is refused.
    #[must_use]
    pub fn of_stored_text(mut self) -> Self {
        self.stored_text = true;
        self
    }

    /// Analyzes a statement. What is neither a query nor DML passes as it is.
    ///
    /// # Errors
    /// Whatever PostgreSQL's parse analysis raises, with the position in the text that was parsed;
    /// 0A000 for what it can and this analyzer cannot.
    pub fn analyze(mut self, statement: &ast::Statement) -> SqlResult<Analyzed> {
        let statement = match statement {
            ast::Statement::Select(select) => {
                BoundStatement::Query(Arc::new(self.top_level_select(select)?))
            }
            ast::Statement::Insert(insert) => {
                BoundStatement::Insert(Arc::new(self.insert(insert)?))
            }
            ast::Statement::Update(update) => {
                BoundStatement::Update(Arc::new(self.update(update)?))
            }
            ast::Statement::Delete(delete) => {
                BoundStatement::Delete(Arc::new(self.delete(delete)?))
            }
            ast::Statement::Call(call) => {
                BoundStatement::Query(Arc::new(self.call_procedure(&call.call)?))
            }
            ast::Statement::Merge(_) => return Err(SqlError::unsupported("MERGE")),
            other => BoundStatement::Utility(Arc::new(other.clone())),
        };
        let catalog = self.context.catalog;
        let columns = match &statement {
            BoundStatement::Query(query) => output_columns(catalog, &query.targets),
            BoundStatement::Insert(insert) => output_columns(catalog, &insert.returning),
            BoundStatement::Update(update) => output_columns(catalog, &update.returning),
            BoundStatement::Delete(delete) => output_columns(catalog, &delete.returning),
            BoundStatement::Utility(_) => Vec::new(),
        };
        let parameter_types = self.final_parameter_types()?;
        let mut statement = statement;
        parameter::check(&mut statement, &parameter_types)?;
        Ok(Analyzed { statement, parameter_types, columns, kept: Kept::default() })
    }

    /// Analyzes the query of a view, with nothing folded: what it means is to be printed.
    ///
    /// # Errors
    /// As [`Analyzer::analyze`].
    pub fn analyze_view(mut self, select: &ast::SelectStmt) -> SqlResult<Query> {
        let query = self.top_level_select(select)?;
        if query.has_changes_in_with() {
            return Err(SqlError::new(
                SqlState::FeatureNotSupported,
                "views must not contain data-modifying statements in WITH",
            ));
        }
        Ok(query)
    }

    fn top_level_select(&mut self, select: &ast::SelectStmt) -> SqlResult<Query> {
        if let ast::SelectBody::Simple(simple) = &select.body
            && simple.into.is_some()
        {
            return Err(SqlError::unsupported("SELECT INTO"));
        }
        self.query(select)
    }

    /// Runs `analyze` one level deeper.
    ///
    /// # Errors
    /// 54001 beyond [`DEPTH_MAX`].
    fn deeper<T>(&mut self, analyze: impl FnOnce(&mut Self) -> SqlResult<T>) -> SqlResult<T> {
        if self.depth >= DEPTH_MAX {
            return Err(too_deep());
        }
        self.charge(1)?;
        self.depth += 1;
        let result = analyze(self);
        self.depth -= 1;
        result
    }
}

impl Analyzer<'_> {
    /// Counts work, so that small text cannot mean a tree without bound.
    ///
    /// # Errors
    /// 54001 beyond [`WORK_MAX`].
    fn charge(&mut self, work: usize) -> SqlResult<()> {
        self.work = self.work.saturating_add(work);
        if self.work > WORK_MAX {
            return Err(SqlError::new(SqlState::StatementTooComplex, "statement too complex"));
        }
        Ok(())
    }

    /// A copy of an expression that its syntax means more than once.
    fn copied(&mut self, node: &node::Node) -> SqlResult<node::Node> {
        let mut size = 0;
        walk::visit_expr(&node.expr, 0, &mut |_, _| {
            size += 1;
            true
        });
        self.charge(size)?;
        Ok(node.clone())
    }
}

/// 54001, as PostgreSQL words it.
fn too_deep() -> SqlError {
    SqlError::new(SqlState::StatementTooComplex, "stack depth limit exceeded").hint(
        "Increase the configuration parameter \"max_stack_depth\" (currently 2048kB), after \
         ensuring the platform's stack depth limit is adequate.",
    )
}

fn output_columns(catalog: &CatalogSnapshot, targets: &[Target]) -> Vec<OutputColumn> {
    targets
        .iter()
        .filter(|target| !target.hidden)
        .map(|target| OutputColumn {
            name: target.name.clone(),
            ty: target.expr.ty(),
            shown: catalog.base_type(target.expr.ty()),
            length: catalog.type_length(catalog.base_type(target.expr.ty()).oid),
            origin: target.origin,
        })
        .collect()
}
