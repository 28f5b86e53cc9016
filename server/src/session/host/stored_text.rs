//! Stored expressions and queries as a session sees them: analyzed anew, and printed with the names
//! that its search path finds.

use std::collections::BTreeSet;
use std::sync::Arc;

use aegis_catalog::snapshot::PG_CATALOG;
use aegis_catalog::system::{self, Names, StoredText};
use aegis_catalog::{CatalogSnapshot, Function, FunctionBody, Relation};
use aegis_sql::analyze::{Analyzer, AnalyzerContext, Routine};
use aegis_sql::bound::Expr;
use aegis_sql::deparse::{Deparser, Layout, Stored};
use aegis_sql::query_engine::{StatementContext, SystemRelations};
use aegis_types::user_type::UserType;
use aegis_types::{Datum, EvalContext, FormatSettings, Host, Oid, SqlError, SqlResult, TypeRef};

use super::registered;

/// Prints as PostgreSQL prints; what cannot be analyzed or printed is shown as it is stored.
pub(in crate::session) struct Shown;

impl StoredText for Shown {
    fn expression(
        &self,
        names: &Names<'_>,
        text: &str,
        relation: Option<&Arc<Relation>>,
        pretty: bool,
    ) -> String {
        let nameless;
        let over = match relation {
            Some(relation) => relation,
            None => {
                nameless = Arc::new(no_relation(names.database));
                &nameless
            }
        };
        let layout = if pretty { Layout::PRETTY } else { Layout::PLAIN };
        let shown = with_tools(names, layout, |stored, deparser| {
            deparser.expression(&stored.expression(text, over)?, relation.map(|over| &**over))
        });
        shown.unwrap_or_else(|_| text.to_owned())
    }

    fn expression_uses(
        &self,
        names: &Names<'_>,
        text: &str,
        relation: &Arc<Relation>,
    ) -> Vec<(Oid, i16)> {
        let found = with_tools(names, Layout::PLAIN, |stored, deparser| {
            let expr = stored.expression(text, relation)?;
            let mut uses = deparser.expression_uses(&expr, Some(relation))?;
            columns_of(&expr, relation.oid, &mut uses);
            Ok(uses)
        });
        found.map(|uses| uses.into_iter().collect()).unwrap_or_default()
    }

    fn view_uses(&self, names: &Names<'_>, view: &Relation) -> Vec<(Oid, i16)> {
        let found = with_tools(names, Layout::PLAIN, |stored, deparser| {
            deparser.query_uses(&stored.view(view)?)
        });
        found.map(|uses| uses.into_iter().collect()).unwrap_or_default()
    }

    fn updatable_columns(&self, names: &Names<'_>, view: &Arc<Relation>) -> Option<Vec<bool>> {
        let found = with_tools(names, Layout::PLAIN, |stored, _| {
            Analyzer::new(stored.context.clone()).updatable_view(view)
        });
        Some(found.ok()?.ok()?.updatable_columns())
    }

    fn function_uses(&self, names: &Names<'_>, function: &Function) -> Vec<(Oid, i16)> {
        let FunctionBody::Statements(texts) = &function.body else { return Vec::new() };
        let found = with_tools(names, Layout::PLAIN, |stored, deparser| {
            let stored = stored.of_routine(function);
            let mut uses = BTreeSet::new();
            for text in texts {
                uses.extend(deparser.query_uses(&stored.query(text)?)?);
            }
            Ok(uses)
        });
        found.map(|uses| uses.into_iter().collect()).unwrap_or_default()
    }

    fn function_body(&self, names: &Names<'_>, function: &Function) -> Option<String> {
        let FunctionBody::Statements(texts) = &function.body else { return None };
        let routine = Routine {
            name: function.name.clone(),
            parameters: function.inputs().map(|input| input.name.clone()).collect(),
        };
        let shown = with_tools(names, Layout::PLAIN, |stored, deparser| {
            let (stored, deparser) =
                (stored.of_routine(function), Deparser { routine: Some(&routine), ..*deparser });
            if function.returns_value {
                let query = stored.query(texts.first().map_or("", String::as_str))?;
                let value = query.targets.first().map(|target| &target.expr);
                let value = value.ok_or_else(|| SqlError::internal("a body without a value"))?;
                return Ok(format!("RETURN {}", deparser.expression_in_line(value)?));
            }
            let mut text = "BEGIN ATOMIC\n".to_owned();
            for statement in texts {
                text.push_str(&deparser.body_statement(&stored.query(statement)?)?);
                text.push_str(";\n");
            }
            text.push_str("END");
            Ok(text)
        });
        Some(shown.unwrap_or_else(|_| texts.join("; ")))
    }

    fn domain_check(&self, names: &Names<'_>, text: &str, base: TypeRef, pretty: bool) -> String {
        let layout = if pretty { Layout::PRETTY } else { Layout::PLAIN };
        let shown = with_tools(names, layout, |stored, deparser| {
            deparser.expression(&stored.domain_check(text, base)?, None)
        });
        shown.unwrap_or_else(|_| text.to_owned())
    }

    fn view(&self, names: &Names<'_>, view: &Relation, pretty: bool, wrap_column: i32) -> String {
        let columns: Vec<String> = view.columns.iter().map(|column| column.name.clone()).collect();
        let shown =
            with_tools(names, Layout { pretty, wrap_column, stored: false }, |stored, deparser| {
                deparser.view(&stored.view(view)?, Some(&columns))
            });
        shown.unwrap_or_else(|_| format!(" {}", system::AsStored.view(names, view, pretty, 0)))
    }
}

/// Adds the columns of the relation that an expression is over.
fn columns_of(expr: &Expr, relation: Oid, uses: &mut BTreeSet<(Oid, i16)>) {
    if let Expr::Column { column, levels_up: 0, .. } = expr {
        uses.insert((relation, *column));
    }
    expr.for_each_child(&mut |child| columns_of(child, relation, uses));
}

fn with_tools<T>(
    names: &Names<'_>,
    layout: Layout,
    print: impl FnOnce(&Stored<'_>, &Deparser<'_>) -> SqlResult<T>,
) -> SqlResult<T> {
    let catalog: Arc<CatalogSnapshot> = Arc::new(names.catalog.clone());
    let settings = FormatSettings::default();
    let host = NamesHost(*names);
    let eval = EvalContext {
        settings: &settings,
        transaction_timestamp: 0,
        statement_timestamp: 0,
        host: &host,
    };
    let stored = Stored {
        context: AnalyzerContext {
            catalog: &catalog,
            database: names.database,
            search_path: &[PG_CATALOG],
            system_relations: &ComputedColumns,
            eval,
            parameters: Vec::new(),
            infer_parameters: false,
        },
    };
    print(&stored, &Deparser { names: *names, eval, layout, routine: None })
}

/// A relation for expressions that name none.
fn no_relation(database: Oid) -> Relation {
    Relation {
        oid: Oid::NONE,
        database,
        schema: Oid::NONE,
        name: String::new(),
        owner: Oid::NONE,
        row_type: Oid::NONE,
        row_array_type: Oid::NONE,
        columns: Vec::new(),
        options: Vec::new(),
        body: aegis_catalog::RelationBody::View { definition: String::new() },
        ..Relation::default()
    }
}

/// Names alone: nothing is called while text is analyzed and printed.
struct NamesHost<'a>(Names<'a>);

impl Host for NamesHost<'_> {
    fn call(&self, function: Oid, _: &[Datum]) -> SqlResult<Datum> {
        Err(SqlError::internal(format!("function {function} was called by analysis")))
    }

    fn reg_out(&self, reg_type: Oid, value: Oid) -> String {
        registered::print(&self.0, reg_type, value)
    }

    fn reg_in(&self, reg_type: Oid, text: &str) -> SqlResult<Oid> {
        registered::read(&self.0, reg_type, text)
    }

    fn user_type(&self, oid: Oid) -> Option<UserType> {
        self.0.user_type(oid)
    }

    fn record_fields(&self, record: TypeRef) -> Option<Arc<[(Arc<str>, TypeRef)]>> {
        self.0.record_fields(record)
    }
}

/// The columns of the computed relations.
struct ComputedColumns;

impl SystemRelations for ComputedColumns {
    fn columns(&self, name: &str) -> Option<Vec<(String, TypeRef)>> {
        let columns = &system::relation(name)?.columns;
        Some(columns.iter().map(|column| (column.name.to_owned(), column.ty)).collect())
    }

    fn rows(&self, name: &str, _: &StatementContext) -> SqlResult<Vec<Vec<Datum>>> {
        Err(SqlError::internal(format!("the rows of {name} were asked for by analysis")))
    }
}
