//! `EXPLAIN`: shows the plan of a statement, and with `ANALYZE` runs it and shows what it did.
//!
//! ```text
//! options ──► analyze, lock ──► plan ──────────────────────────► nodes ──► print
//!                                └── ANALYZE: run, under a Measure ──┘
//! ```

use std::sync::Arc;
use std::time::Instant;

use aegis_catalog::system::Names;
use aegis_catalog::{CatalogSnapshot, Relation};
use aegis_sql::analyze::Analyzed;
use aegis_sql::ast::{CreateTableAsStmt, ExplainStmt, SelectBody, SelectStmt, Statement};
use aegis_sql::bound::{
    BoundStatement, Expr, Insert, Query, RangeTableEntry, RteColumn, RteKind, Target,
};
use aegis_sql::deparse::{Deparser, Layout, PlanAliases, PlanText};
use aegis_sql::explain::{
    self, Actual, Estimate, ExplainOptions, ExplainRequest, Explained, Measure, PlanNode,
};
use aegis_sql::query_engine::{DatumRows, StatementContext};
use aegis_sql::query_id;
use aegis_sql::settings::{EXPLAINED, PlanCacheMode, Shortcuts};
use aegis_types::builtin::builtins;
use aegis_types::{Datum, EvalContext, Oid, SqlError, SqlResult, TypeRef, type_oid};

use super::host::stored_text;
use super::utility::is_plannable;
use super::{Outcome, ResultColumn, Session};

/// What a locking clause adds to the cost of a row, and a row that is returned.
const ROW_COST: f64 = 0.01;

/// A statement that is explained.
struct Explainable {
    /// What is planned.
    query: Arc<Statement>,
    types: Vec<Option<Oid>>,
    parameters: Vec<Datum>,
    /// The statement around it that runs it: `CREATE TABLE AS`.
    around: Option<Statement>,
    /// Whether it was prepared, and may run again.
    is_prepared: bool,
}

/// What running a statement took, and how many rows it returned.
struct Ran {
    milliseconds: f64,
    returned: u64,
}

/// The column that a plan is given in.
pub(super) fn column(explain: &ExplainStmt) -> ResultColumn {
    // Options that are wrong are refused when the statement runs.
    let ty = ExplainOptions::read(&explain.options)
        .map_or(type_oid::TEXT, |options| options.column_type());
    ResultColumn::told("QUERY PLAN", ty)
}

impl Session {
    /// `EXPLAIN`; its parameters are those of the statement that it explains.
    pub(super) async fn explain(
        &mut self,
        explain: &ExplainStmt,
        types: Vec<Option<Oid>>,
        parameters: Vec<Datum>,
    ) -> SqlResult<Outcome> {
        let options = ExplainOptions::read(&explain.options)?;
        let lines = match self.explainable(&explain.query, types, parameters)? {
            None => vec!["Utility statements have no plan structure".to_owned()],
            Some(explainable) => {
                let explained = self.explained(explainable, &options).await;
                self.measure = None;
                explain::print(&explained?, &options)
            }
        };
        let rows = lines.into_iter().map(|line| vec![Datum::text(line)]).collect();
        Ok(Outcome::Returned {
            tag: "EXPLAIN".to_owned(),
            columns: [column(explain)].into(),
            rows: DatumRows(rows).into_stream(),
        })
    }

    /// What is planned of a statement; none if nothing is.
    fn explainable(
        &mut self,
        statement: &Statement,
        types: Vec<Option<Oid>>,
        parameters: Vec<Datum>,
    ) -> SqlResult<Option<Explainable>> {
        let itself = |query: Statement, around| {
            let query = Arc::new(query);
            Some(Explainable { query, types, parameters, around, is_prepared: false })
        };
        Ok(match statement {
            statement if is_plannable(statement) => itself(statement.clone(), None),
            Statement::Select(select) => {
                let mut query = (**select).clone();
                query.take_into();
                itself(Statement::Select(Box::new(query)), Some(statement.clone()))
            }
            Statement::DeclareCursor(declare) => {
                let query: SelectStmt = declare.query.clone();
                if let SelectBody::Simple(simple) = &query.body
                    && simple.into.is_some()
                {
                    return Err(SqlError::unsupported("EXPLAIN of DECLARE … INTO"));
                }
                itself(Statement::Select(Box::new(query)), None)
            }
            Statement::Execute(execute) => {
                let (query, types, parameters) = self.bound_execute(execute)?;
                let found =
                    Explainable { query, types, parameters, around: None, is_prepared: true };
                is_plannable(&found.query).then_some(found)
            }
            Statement::CreateTableAs(create) => match &create.query {
                Statement::Execute(execute) => {
                    let (query, types, parameters) = self.bound_execute(execute)?;
                    let create =
                        CreateTableAsStmt { query: (*query).clone(), ..(**create).clone() };
                    let around = Some(Statement::CreateTableAs(Box::new(create)));
                    let is_prepared = true;
                    Some(Explainable { query, types, parameters, around, is_prepared })
                }
                query => itself(query.clone(), Some(statement.clone())),
            },
            _ => None,
        })
    }

    async fn explained(
        &mut self,
        explainable: Explainable,
        options: &ExplainOptions,
    ) -> SqlResult<Explained> {
        let Explainable { query, types, parameters, around, is_prepared } = explainable;
        let mut shortcuts = self.settings.frequent().shortcuts;
        if !is_prepared {
            // Nobody runs it again.
            shortcuts.plan_cache = PlanCacheMode::Auto;
        }
        let is_generic = shortcuts.plan_cache == PlanCacheMode::Generic;
        let (analyzed, catalog) = self.locked_analysis_of(&query, &types).await?;
        if analyzed.statement.has_changes_in_with() {
            return Err(SqlError::unsupported("EXPLAIN of data-modifying statements in WITH"));
        }
        self.check_allowed(&analyzed, &catalog)?;
        let measure = Arc::new(Measure::new(options.timing));
        self.measure = Some(measure.clone());
        let values = if is_generic { Vec::new() } else { parameters.clone() };
        let mut ran = None;
        if options.analyze {
            ran = Some(match around {
                None => self.run_measured(&analyzed, &catalog, parameters, shortcuts).await?,
                Some(around) => {
                    let began = Instant::now();
                    self.define_with(&around, types, parameters.into()).await?;
                    Ran { milliseconds: since(began), returned: 0 }
                }
            });
        } else {
            let context = self.statement_context(catalog.clone(), parameters.into()).await?;
            let context = StatementContext { shortcuts, ..context };
            let source = source_of(&analyzed.statement)?;
            analyzed.kept.plan(&*self.instance.engine, &source, &context)?;
        }
        let mut explained =
            self.show_plan(&analyzed, &catalog, options, &measure, ran.as_ref(), &values)?;
        explained.planning_ms = measure.planning_ms();
        if options.verbose && self.tracking.explains {
            explained.query_id = Some(query_id::of_meaning(&analyzed.statement).id);
        }
        explained.execution_ms = ran.map(|ran| ran.milliseconds);
        Ok(explained)
    }

    /// Runs a statement to its end, and forgets its rows.
    async fn run_measured(
        &mut self,
        analyzed: &Arc<Analyzed>,
        catalog: &Arc<CatalogSnapshot>,
        parameters: Vec<Datum>,
        shortcuts: Shortcuts,
    ) -> SqlResult<Ran> {
        let context = self.statement_context(catalog.clone(), parameters.into()).await?;
        let context = StatementContext { shortcuts, ..context };
        let (began, cancel) = (Instant::now(), context.cancel.clone());
        let outcome =
            self.run_bound(analyzed, super::run::result_columns(analyzed), context).await?;
        let mut returned = 0;
        if let Outcome::Rows { mut rows, .. } | Outcome::Returned { mut rows, .. } = outcome {
            while let Some(batch) = rows.next().await? {
                cancel.check()?;
                returned += batch.len() as u64;
            }
        }
        Ok(Ran { milliseconds: since(began), returned })
    }

    fn show_plan(
        &mut self,
        analyzed: &Analyzed,
        catalog: &Arc<CatalogSnapshot>,
        options: &ExplainOptions,
        measure: &Measure,
        ran: Option<&Ran>,
        parameters: &[Datum],
    ) -> SqlResult<Explained> {
        let search_path = self.search_path(catalog);
        let settings = self.settings.format();
        let host = self.host.clone();
        let names = Names {
            catalog,
            database: self.database,
            search_path: &search_path,
            text: &stored_text::Shown,
        };
        let eval = EvalContext {
            settings: &settings,
            transaction_timestamp: self.transaction_timestamp(),
            statement_timestamp: self.statement_timestamp,
            host: &*host,
        };
        let request = ExplainRequest {
            deparser: Deparser { names, eval, layout: Layout::PLAIN, routine: None },
            verbose: options.verbose,
            measure: ran.map(|_| measure),
            parameters,
            has_target: matches!(analyzed.statement, BoundStatement::Insert(_)),
        };
        let plan = match measure.plans().first() {
            Some(plan) => around(&analyzed.statement, plan.explain(&request), &request, ran),
            // CREATE TABLE IF NOT EXISTS of a table that is there.
            None => PlanNode::new("Result"),
        };
        let mut explained = Explained { plan, ..Explained::default() };
        if options.settings {
            for name in EXPLAINED {
                let (value, default) = (self.settings.show(name)?, self.settings.default_of(name));
                if value != default {
                    explained.settings.push(((*name).to_owned(), value));
                }
            }
        }
        Ok(explained)
    }
}

fn since(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1000.0
}

/// The query that gives a statement's rows, as it can be planned.
fn source_of(statement: &BoundStatement) -> SqlResult<Arc<Query>> {
    Ok(match statement {
        BoundStatement::Query(query) if query.row_marks.is_empty() => query.clone(),
        BoundStatement::Query(query) => {
            Arc::new(Query { row_marks: Vec::new(), ..(**query).clone() })
        }
        BoundStatement::Insert(insert) => insert.source.clone(),
        BoundStatement::Update(update) => update.source.clone(),
        BoundStatement::Delete(delete) => delete.source.clone(),
        BoundStatement::Utility(_) => {
            return Err(SqlError::internal("a plannable statement became a utility"));
        }
    })
}

/// What locks or changes the rows that a plan gives.
fn around(
    statement: &BoundStatement,
    below: PlanNode,
    request: &ExplainRequest<'_>,
    ran: Option<&Ran>,
) -> PlanNode {
    let (operation, table, returning) = match statement {
        BoundStatement::Query(query) if query.row_marks.is_empty() => return below,
        BoundStatement::Query(_) => return lock_rows(below),
        BoundStatement::Insert(insert) => ("Insert", &insert.table, &insert.returning),
        BoundStatement::Update(update) => ("Update", &update.table, &update.returning),
        BoundStatement::Delete(delete) => ("Delete", &delete.table, &delete.returning),
        BoundStatement::Utility(_) => return below,
    };
    let mut node = PlanNode::new("ModifyTable");
    node.title = operation.to_owned();
    node.manner.push(("Operation", operation));
    let query = match statement {
        BoundStatement::Insert(insert) => over_table(&insert.table),
        BoundStatement::Update(update) => (*update.source).clone(),
        BoundStatement::Delete(delete) => (*delete.source).clone(),
        _ => Query::default(),
    };
    let entry = match statement {
        BoundStatement::Update(update) => update.entry,
        BoundStatement::Delete(delete) => delete.entry,
        _ => 0,
    };
    let names = request.deparser.names;
    let schema = names.catalog.schema_name(table.schema).filter(|_| request.verbose);
    node.target = Some(explain::Target {
        object: Some(("Relation Name", table.name.clone())),
        schema: schema.map(str::to_owned),
        alias: query.range_table.get(entry).map_or(&table.name, |entry| &entry.alias).clone(),
    });
    let rows = if returning.is_empty() { 0.0 } else { below.estimate.rows };
    let total_cost = below.estimate.total_cost + rows * ROW_COST;
    let width = if returning.is_empty() { 0 } else { width_of(returning) };
    node.estimate = Estimate { startup_cost: below.estimate.startup_cost, total_cost, rows, width };
    node.actual = ran.map(|ran| Actual {
        startup_ms: ran.milliseconds,
        total_ms: ran.milliseconds,
        rows: ran.returned as f64,
        loops: 1.0,
    });
    if request.verbose && !returning.is_empty() {
        let aliases = PlanAliases::default();
        let text = prefixed(&aliases, request);
        let shown = returning
            .iter()
            .filter(|target| !target.hidden)
            .map(|target| request.deparser.plan_expression(&target.expr, &[&query], text).ok());
        node.output = shown.collect();
    }
    if let BoundStatement::Insert(insert) = statement {
        conflict(&mut node, insert, request);
    }
    node.children.push(below.as_child("Outer"));
    node
}

/// How what stands over the plan itself is printed.
fn prefixed<'a>(aliases: &'a PlanAliases, request: &'a ExplainRequest<'_>) -> PlanText<'a> {
    let parameters = request.parameters;
    PlanText { prefix: true, own: None, subqueries: &[], aliases, parameters }
}

fn lock_rows(below: PlanNode) -> PlanNode {
    let mut node = PlanNode::new("LockRows");
    node.estimate = below.estimate;
    node.estimate.total_cost += below.estimate.rows * ROW_COST;
    node.actual = below.actual;
    node.output.clone_from(&below.output);
    node.children.push(below.as_child("Outer"));
    node
}

/// A query over one table alone, for the names of its columns.
fn over_table(table: &Arc<Relation>) -> Query {
    let columns = table.columns.iter().map(|column| RteColumn {
        name: column.name.clone(),
        ty: column.ty,
        dropped: column.dropped,
    });
    let entry = RangeTableEntry {
        alias: table.name.clone(),
        kind: RteKind::Relation(table.clone()),
        columns: columns.collect(),
        lateral: false,
    };
    Query { range_table: vec![entry], ..Query::default() }
}

/// `ON CONFLICT`
fn conflict(node: &mut PlanNode, insert: &Insert, request: &ExplainRequest<'_>) {
    let Some(on_conflict) = &insert.on_conflict else { return };
    let word = if on_conflict.update.is_some() { "UPDATE" } else { "NOTHING" };
    node.text("Conflict Resolution", Some(word.to_owned()));
    let catalog = request.deparser.names.catalog;
    let arbiters = on_conflict.arbiters.iter();
    let names = arbiters.filter_map(|oid| Some(catalog.relation(*oid)?.name.clone()));
    let names: Vec<String> = names.collect();
    node.list("Conflict Arbiter Indexes", (!names.is_empty()).then_some(names));
    let Some(filter) = on_conflict.update.as_ref().and_then(|update| update.filter.as_ref()) else {
        return;
    };
    let mut query = over_table(&insert.table);
    let mut excluded = query.range_table[0].clone();
    "excluded".clone_into(&mut excluded.alias);
    query.range_table.push(excluded);
    let aliases = PlanAliases::default();
    let text = prefixed(&aliases, request);
    node.text("Conflict Filter", request.deparser.plan_expression(filter, &[&query], text).ok());
}

fn width_of(targets: &[Target]) -> u32 {
    let widths = targets.iter().filter(|target| !target.hidden).map(|target| {
        let ty: TypeRef = Expr::ty(&target.expr);
        let length = builtins().type_row(ty.oid).map_or(-1, |row| row.length);
        u32::try_from(length).unwrap_or(32)
    });
    widths.sum()
}
