//! A query that is run again and again over newer states, for one client's statement: what a
//! subscription reads, and a call that waits.
//!
//! ```text
//! run ──► rows ─────────────────────────────► client
//!  ▲       │ the function would wait: nothing is held
//!  └─ channel is woken, or its time has come ◄┘
//! ```
//!
//! Between two runs it holds no snapshot. Where the catalog has changed it plans anew.

use std::sync::Arc;
use std::time::Duration;

use aegis_catalog::CatalogSnapshot;
use aegis_sql::analyze::{Analyzer, AnalyzerContext};
use aegis_sql::ast::Statement;
use aegis_sql::bound::BoundStatement;
use aegis_sql::engine::Patience;
use aegis_sql::privilege;
use aegis_sql::query_engine::{QueryPlan, RowBatch, RowStream, StatementContext};
use aegis_storage::ReadView;
use aegis_types::{Datum, Oid, SqlError, SqlResult};
use async_trait::async_trait;

use super::Session;
use super::block::SharedTransaction;
use super::host::{Running, SessionHost};
use super::run::transaction_over;
use crate::instance::Instance;

/// The query, and what all of its runs share.
pub(super) struct Rerun {
    instance: Arc<Instance>,
    host: Arc<SessionHost>,
    transaction: SharedTransaction,
    lock_timeout: Option<Duration>,
    statement: Arc<Statement>,
    parameter_types: Vec<Option<Oid>>,
    search_path: Vec<Oid>,
    plan: Arc<dyn QueryPlan>,
    /// What holds between two runs: its view is of nothing.
    idle: StatementContext,
    /// The catalog that it was planned under; none where its transaction has one of its own.
    under: Option<Arc<CatalogSnapshot>>,
}

impl Session {
    /// A query that was analyzed and planned, to be run anew.
    pub(super) fn rerun(
        &mut self,
        statement: Arc<Statement>,
        parameter_types: Vec<Option<Oid>>,
        plan: Arc<dyn QueryPlan>,
        context: &StatementContext,
    ) -> SqlResult<Rerun> {
        let has_own_catalog = self.block.as_ref().is_some_and(|block| block.has_own_catalog());
        let host = self.host.clone();
        let view = self.instance.store.detached_view()?;
        Ok(Rerun {
            instance: self.instance.clone(),
            transaction: self.shared_transaction()?,
            lock_timeout: self.settings.frequent().lock_timeout,
            statement,
            parameter_types,
            search_path: self.search_path(&context.catalog),
            plan,
            idle: StatementContext { view, host: host.clone(), ..context.clone() },
            host,
            under: (!has_own_catalog).then(|| context.catalog.clone()),
        })
    }
}

impl Rerun {
    /// What holds for the statement while nothing is read.
    pub(super) const fn idle(&self) -> &StatementContext {
        &self.idle
    }

    /// Plans anew where the catalog has changed: rows may lie in other trees by now, and may be nobody
    /// else's to read.
    fn follow_catalog(&mut self) -> SqlResult<()> {
        let Some(under) = &mut self.under else { return Ok(()) };
        let catalog = self.instance.catalog();
        if Arc::ptr_eq(&catalog, under) {
            return Ok(());
        }
        under.clone_from(&catalog);
        let context = StatementContext { catalog, ..self.idle.clone() };
        let analyzed = Analyzer::new(AnalyzerContext {
            catalog: &context.catalog,
            database: context.database,
            search_path: &self.search_path,
            system_relations: &*context.system_relations,
            eval: context.eval(),
            parameters: self.parameter_types.clone(),
            infer_parameters: false,
        })
        .analyze(&self.statement)?;
        let role = self.host.current_role();
        privilege::check(&context.catalog, context.database, role, &analyzed.statement)?;
        let BoundStatement::Query(query) = &analyzed.statement else {
            return Err(SqlError::internal("what is run anew is a query"));
        };
        self.plan = self.instance.engine.plan(query, &context)?;
        self.idle = context;
        Ok(())
    }

    /// Runs it over a view.
    pub(super) fn run(
        &mut self,
        view: ReadView,
        parameters: Arc<[Datum]>,
        patience: Option<&Arc<Patience>>,
    ) -> SqlResult<Box<dyn RowStream>> {
        self.follow_catalog()?;
        let context = StatementContext { view, parameters, ..self.idle.clone() };
        let mut running = Running::new(&context, self.transaction.clone(), self.lock_timeout);
        if let Some(patience) = patience {
            running = running.with_patience(patience.clone());
        }
        let context = StatementContext { host: self.host.of_statement(running), ..context };
        self.plan.clone().execute(context)
    }
}

/// The rows of a statement that calls one function and nothing besides.
pub(super) struct Patient {
    rerun: Rerun,
    patience: Arc<Patience>,
    /// The rows of the run that had some.
    rows: Option<Box<dyn RowStream>>,
}

impl Patient {
    pub(super) fn new(rerun: Rerun) -> Self {
        Self { rerun, patience: Arc::default(), rows: None }
    }

    /// Runs the statement to its first rows. An error may be that it has to wait.
    async fn first(&mut self) -> SqlResult<Option<Box<dyn RowBatch>>> {
        let mut guard = self.rerun.transaction.lock().await;
        let view = guard.as_mut().ok_or_else(transaction_over)?.statement_snapshot()?;
        drop(guard);
        let parameters = self.rerun.idle.parameters.clone();
        let mut rows = self.rerun.run(view, parameters, Some(&self.patience))?;
        let first = rows.next().await?;
        self.rows = Some(rows);
        Ok(first)
    }
}

#[async_trait]
impl RowStream for Patient {
    async fn next(&mut self) -> SqlResult<Option<Box<dyn RowBatch>>> {
        if let Some(rows) = &mut self.rows {
            return rows.next().await;
        }
        loop {
            let first = self.first().await;
            let Some(pause) = self.patience.pause() else { return first };
            if let Some(txn) = self.rerun.transaction.lock().await.as_mut() {
                txn.forget_snapshot();
            }
            pause.over(&self.rerun.idle.cancel).await?;
        }
    }
}
