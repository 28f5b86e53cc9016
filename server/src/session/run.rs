//! From a parsed statement to its outcome: analysis, table locks, snapshot, plan.
//!
//! ```text
//! analyze (newest catalog) ──► lock tables ──► catalog changed meanwhile? ──► analyze again
//!                                                     no ▼
//!                                        snapshot ──► plan ──► rows, or changes of data
//! ```

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use aegis_catalog::{CatalogSnapshot, Relation};
use aegis_sql::analyze::{Analyzed, Analyzer, AnalyzerContext};
use aegis_sql::ast::Statement;
use aegis_sql::bound::{BoundStatement, Query};
use aegis_sql::dml::{Changed, Changes, Kept, RowLocks, TableLock, with_settled_source};
use aegis_sql::query_engine::StatementContext;
use aegis_sql::settings::{PlanCacheMode, Shortcuts};
use aegis_storage::{LockWait, ReadView, TableLockMode};
use aegis_types::{Datum, EvalContext, Oid, SqlError, SqlResult, SqlState};
use parking_lot::Mutex;

use super::block::{SharedTransaction, in_failed_block};
use super::bound_relations::locks_of;
use super::host::Running;
use super::rerun::Patient;
use super::tracking::Tracking;
use super::{Outcome, Place, Prepared, ResultColumn, Session, utility};

/// How often a statement is analyzed anew because its relations change while it waits for locks.
const ANALYSES_MAX: usize = 16;

impl Session {
    /// Analyzes a statement, to be run with [`Session::execute`]. Types of parameters are inferred
    /// where the client gives none; without a list there are no parameters.
    ///
    /// # Errors
    /// 25P02 in a failed block, unless the statement ends it; whatever analysis raises.
    pub async fn prepare(
        &mut self,
        statement: Option<Arc<Statement>>,
        source: Arc<str>,
        parameter_types: Option<&[Oid]>,
        place: Place,
    ) -> SqlResult<Arc<Prepared>> {
        if let Some(statement) = &statement
            && !matches!(&**statement, Statement::Transaction(_))
        {
            self.refuse_in_failed_block()?;
        }
        let is_of_engine = matches!(statement.as_deref(), Some(Statement::Engine(_)));
        self.make_engines_if_named(&source, is_of_engine).await?;
        let prepared = self.analyze_as_prepared(statement, source, parameter_types)?;
        Ok(Arc::new(Prepared { place, ..prepared }))
    }

    pub(super) fn refuse_in_failed_block(&self) -> SqlResult<()> {
        match &self.block {
            Some(block) if block.failed => Err(in_failed_block()),
            _ => Ok(()),
        }
    }

    pub(super) fn analyze_as_prepared(
        &mut self,
        statement: Option<Arc<Statement>>,
        source: Arc<str>,
        parameter_types: Option<&[Oid]>,
    ) -> SqlResult<Prepared> {
        let catalog = self.current_catalog();
        let mut prepared = Prepared {
            source,
            statement,
            prepare_time: self.statement_timestamp,
            from_sql: false,
            parameter_types: Vec::new(),
            columns: None,
            analyzed: None,
            catalog: catalog.clone(),
            search_path: self.host.search_path().into(),
            newest: Mutex::default(),
            place: Place::default(),
            written: None,
            identity: Mutex::default(),
        };
        let Some(statement) = prepared.statement.clone() else {
            return Ok(prepared);
        };
        if let Statement::DeclareCursor(declare) = &*statement {
            let query = self.analyze_declared(declare, prepared.source.clone(), parameter_types)?;
            prepared.parameter_types = query.parameter_types;
        } else if let Some(query) = utility::planned(&statement) {
            let known = parameter_types.unwrap_or_default().iter();
            let known = known.map(|oid| oid.is_some().then_some(*oid)).collect();
            let infer = parameter_types.is_some();
            let analyzed = self.analyze(query, known, infer, &catalog)?;
            if !utility::is_plannable(&statement) {
                prepared.parameter_types = analyzed.parameter_types;
                prepared.columns = self.utility_columns(&statement)?;
                return Ok(prepared);
            }
            prepared.parameter_types.clone_from(&analyzed.parameter_types);
            let is_query = matches!(&analyzed.statement, BoundStatement::Query(_))
                && !matches!(&*statement, Statement::Call(_));
            let returns_rows = is_query || !analyzed.columns.is_empty();
            prepared.columns = returns_rows.then(|| result_columns(&analyzed));
            prepared.analyzed = Some(Arc::new(analyzed));
        } else {
            prepared.columns = self.utility_columns(&statement)?;
        }
        Ok(prepared)
    }

    /// The newest catalog, with this transaction's own changes.
    pub(super) fn current_catalog(&mut self) -> Arc<CatalogSnapshot> {
        let newest = self.instance.catalog();
        let catalog = match &mut self.block {
            Some(block) => block.catalog(newest),
            None => newest,
        };
        let read_only = self.block.as_ref().is_some_and(|block| block.read_only);
        if self.host.has_observed(&catalog, &self.settings, read_only) {
            return catalog;
        }
        let roles = self.roles();
        self.settings.is_superuser = catalog.role(roles.current).is_some_and(|it| it.superuser);
        let path = self.search_path(&catalog);
        self.tracking = Tracking::of(&self.settings, &catalog);
        self.host.observe(catalog.clone(), path, &self.settings, roles, read_only, self.tracking);
        catalog
    }

    /// The schemas of `search_path` that exist, in order.
    pub(super) fn search_path(&self, catalog: &CatalogSnapshot) -> Vec<Oid> {
        let mut path = Vec::new();
        let role = self.roles().current;
        let access = catalog.access(self.database);
        let user = catalog.role(role).map_or("", |role| role.name.as_str());
        let temporary = self.temporary_schema(catalog);
        let names = self.settings.search_path();
        if !names.iter().any(|name| name == "pg_temp") {
            path.extend(temporary);
        }
        for name in names {
            if name == "pg_temp" {
                path.extend(temporary);
                continue;
            }
            let name = if name == "$user" { user } else { name.as_str() };
            if let Some(oid) = catalog.schema_named(self.database, name)
                && !path.contains(&oid)
                && access.may_use_schema(role, oid)
            {
                path.push(oid);
            }
        }
        path
    }

    pub(super) fn analyze(
        &mut self,
        statement: &Statement,
        parameters: Vec<Option<Oid>>,
        infer_parameters: bool,
        catalog: &Arc<CatalogSnapshot>,
    ) -> SqlResult<Analyzed> {
        self.with_context(catalog, parameters, infer_parameters, |context| {
            Analyzer::new(context).analyze(statement)
        })
    }

    /// Lends an analyzer for what has no parameters.
    pub(super) fn with_analyzer<T>(
        &mut self,
        catalog: &Arc<CatalogSnapshot>,
        analyze: impl FnOnce(Analyzer<'_>) -> SqlResult<T>,
    ) -> SqlResult<T> {
        self.with_context(catalog, Vec::new(), false, |context| analyze(Analyzer::new(context)))
    }

    fn with_context<T>(
        &mut self,
        catalog: &Arc<CatalogSnapshot>,
        parameters: Vec<Option<Oid>>,
        infer_parameters: bool,
        analyze: impl FnOnce(AnalyzerContext<'_>) -> SqlResult<T>,
    ) -> SqlResult<T> {
        let settings = self.settings.format();
        let search_path = self.search_path(catalog);
        let system = self.host.system_relations();
        let host = self.host.clone();
        analyze(AnalyzerContext {
            catalog,
            database: self.database,
            search_path: &search_path,
            system_relations: &*system,
            eval: EvalContext {
                settings: &settings,
                transaction_timestamp: self.transaction_timestamp(),
                statement_timestamp: self.statement_timestamp,
                host: &*host,
            },
            parameters,
            infer_parameters,
        })
    }

    pub(super) fn transaction_timestamp(&self) -> i64 {
        self.block.as_ref().map_or(self.statement_timestamp, |block| block.timestamp)
    }

    /// Runs a statement. Opens an implicit transaction if none is open.
    ///
    /// # Errors
    /// Whatever the statement raises; the caller then calls [`Session::fail`].
    pub async fn execute(
        &mut self,
        prepared: &Arc<Prepared>,
        parameters: Vec<Datum>,
    ) -> SqlResult<Outcome> {
        self.execute_text(prepared, parameters, &prepared.source).await
    }

    /// The same for a statement that was written as another text.
    ///
    /// # Errors
    /// As [`Session::execute`].
    pub async fn execute_text(
        &mut self,
        prepared: &Prepared,
        parameters: Vec<Datum>,
        source: &Arc<str>,
    ) -> SqlResult<Outcome> {
        let Some(statement) = prepared.statement.clone() else {
            return Ok(Outcome::Empty);
        };
        self.measure = None;
        let identity = self.identity_of(prepared);
        self.note_active(source, identity.map(|identity| identity.id));
        self.run_prepared(prepared, &statement, parameters).await
    }

    /// Runs a statement within what is noted as active.
    pub(super) async fn run_prepared(
        &mut self,
        prepared: &Prepared,
        statement: &Arc<Statement>,
        parameters: Vec<Datum>,
    ) -> SqlResult<Outcome> {
        match self.watch(prepared, statement).await {
            None => self.run_unwatched(prepared, statement, parameters).await,
            Some(watch) => {
                let outcome = self.run_unwatched(prepared, statement, parameters).await?;
                Ok(self.watched(watch, outcome).await)
            }
        }
    }

    async fn run_unwatched(
        &mut self,
        prepared: &Prepared,
        statement: &Arc<Statement>,
        parameters: Vec<Datum>,
    ) -> SqlResult<Outcome> {
        if let Statement::Transaction(transaction) = &**statement {
            return self.transaction_statement(transaction).await;
        }
        self.refuse_in_failed_block()?;
        self.ensure_transaction()?;
        self.note_deadlock_timeout().await;
        if let Statement::DeclareCursor(declare) = &**statement {
            // What is rare lies apart: every idle session keeps the room that its statements take.
            return Box::pin(self.declare_cursor(declare, prepared, parameters)).await;
        }
        let known: Vec<Option<Oid>> =
            prepared.parameter_types.iter().map(|ty| Some(ty.oid)).collect();
        if let Statement::Explain(explain) = &**statement {
            return Box::pin(self.explain(explain, known, parameters)).await;
        }
        if !utility::is_plannable(statement) {
            return Box::pin(self.run_utility(statement, prepared)).await;
        }
        let (analyzed, catalog) = self.settled_analysis(prepared, statement, &known).await?;
        if let Some(columns) = &prepared.columns {
            refuse_changed_result(columns, &analyzed)?;
        }
        self.check_allowed(&analyzed, &catalog)?;
        let described = prepared.analyzed.as_ref().is_some_and(|it| Arc::ptr_eq(it, &analyzed));
        let columns = match &prepared.columns {
            Some(columns) if described => columns.clone(),
            _ => result_columns(&analyzed),
        };
        if let Some(began) = &mut self.execution_began {
            // What came before is analysis, and waiting for locks.
            *began = Instant::now();
        }
        let shortcuts = self.shortcuts_of(prepared);
        let context = if shortcuts.direct_path && analyzed.kept.asks_nobody(&analyzed.statement) {
            let view = self.new_view().await?;
            self.context_of_session(view, catalog, parameters.into())
        } else if analyzed.kept.only_waits(&analyzed.statement) {
            let view = self.instance.store.detached_view()?;
            let context = self.context_of_session(view, catalog, parameters.into());
            return self.run_patiently(statement.clone(), known, &analyzed, columns, &context);
        } else {
            self.statement_context(catalog, parameters.into()).await?
        };
        let context = StatementContext { shortcuts, ..context };
        let outcome = self.run_bound(&analyzed, columns, context).await?;
        match (&**statement, outcome) {
            (Statement::Call(_), Outcome::Rows { columns, mut rows, .. }) => {
                let tag = "CALL".to_owned();
                if !columns.is_empty() {
                    return Ok(Outcome::Returned { tag, columns, rows });
                }
                while rows.next().await?.is_some() {}
                Ok(Outcome::Done(tag))
            }
            (_, outcome) => Ok(outcome),
        }
    }

    /// The ways that are open to a statement. Whoever writes literals wants them planned for, whatever
    /// has become of them since.
    fn shortcuts_of(&self, prepared: &Prepared) -> Shortcuts {
        let shortcuts = self.settings.frequent().shortcuts;
        if prepared.written.is_some() && shortcuts.plan_cache == PlanCacheMode::Generic {
            return Shortcuts { plan_cache: PlanCacheMode::Auto, ..shortcuts };
        }
        shortcuts
    }

    /// Runs a call that waits, without a thread while it does.
    fn run_patiently(
        &mut self,
        statement: Arc<Statement>,
        known: Vec<Option<Oid>>,
        analyzed: &Analyzed,
        columns: Arc<[ResultColumn]>,
        context: &StatementContext,
    ) -> SqlResult<Outcome> {
        let BoundStatement::Query(query) = &analyzed.statement else {
            return Err(SqlError::internal("only a query waits"));
        };
        if let Some(block) = &mut self.block {
            block.has_snapshot = true;
        }
        let plan = analyzed.kept.plan(&*self.instance.engine, query, context)?;
        let rows = Box::new(Patient::new(self.rerun(statement, known, plan, context)?));
        Ok(Outcome::Rows { tag: "SELECT", columns, rows })
    }

    /// `deadlock_timeout` may have been set within the transaction.
    async fn note_deadlock_timeout(&mut self) {
        let timeout = self.settings.frequent().deadlock_timeout;
        if let Some(block) = &mut self.block
            && block.deadlock_timeout != timeout
        {
            block.deadlock_timeout = timeout;
            if let Some(txn) = block.txn.lock().await.as_mut() {
                txn.set_deadlock_timeout(timeout.unwrap_or_default());
            }
        }
    }

    /// Locks the statement's tables and analyzes it again until the catalog stays the same.
    pub(super) async fn settled_analysis(
        &mut self,
        prepared: &Prepared,
        statement: &Statement,
        known: &[Option<Oid>],
    ) -> SqlResult<(Arc<Analyzed>, Arc<CatalogSnapshot>)> {
        let newest = prepared.newest.lock().clone();
        let (mut analyzed, mut under, mut path) = match newest {
            Some((newest, under, path)) => (Some(newest), under, path),
            None => {
                let path = prepared.search_path.clone();
                (prepared.analyzed.clone(), prepared.catalog.clone(), path)
            }
        };
        for _ in 0..ANALYSES_MAX {
            let catalog = self.current_catalog();
            let is_same_path = self.host.has_search_path(&path);
            let mut is_new = false;
            let current = match analyzed.take() {
                Some(analyzed) if is_same_path && Arc::ptr_eq(&under, &catalog) => analyzed,
                _ => {
                    is_new = true;
                    path = self.host.search_path().into();
                    let known = known.to_vec();
                    Arc::new(self.analyze(statement, known, false, &catalog)?)
                }
            };
            self.lock_tables(&current).await?;
            if Arc::ptr_eq(&catalog, &self.current_catalog()) {
                if is_new {
                    *prepared.newest.lock() =
                        Some((current.clone(), catalog.clone(), path.clone()));
                }
                if !self.settings.frequent().shortcuts.statement_cache {
                    // It means the same, and nothing is known of how it ran.
                    let fresh = Analyzed { kept: Kept::default(), ..(*current).clone() };
                    return Ok((Arc::new(fresh), catalog));
                }
                return Ok((current, catalog));
            }
            analyzed = Some(current);
            under = catalog;
        }
        Err(keeps_changing())
    }

    /// The same for a statement within another, such as the query of COPY.
    pub(super) async fn locked_analysis(
        &mut self,
        statement: &Statement,
    ) -> SqlResult<(Arc<Analyzed>, Arc<CatalogSnapshot>)> {
        self.locked_analysis_of(statement, &[]).await
    }

    /// The same with parameters.
    pub(super) async fn locked_analysis_of(
        &mut self,
        statement: &Statement,
        known: &[Option<Oid>],
    ) -> SqlResult<(Arc<Analyzed>, Arc<CatalogSnapshot>)> {
        for _ in 0..ANALYSES_MAX {
            let catalog = self.current_catalog();
            let analyzed = self.analyze(statement, known.to_vec(), false, &catalog)?;
            self.lock_tables(&analyzed).await?;
            if Arc::ptr_eq(&catalog, &self.current_catalog()) {
                return Ok((Arc::new(analyzed), catalog));
            }
        }
        Err(keeps_changing())
    }

    async fn lock_tables(&mut self, analyzed: &Analyzed) -> SqlResult<()> {
        let locks = analyzed.kept.locks(|| {
            let locks = locks_of(&analyzed.statement);
            let lock = |(relation, mode): &(Arc<Relation>, TableLockMode)| TableLock {
                database: relation.database,
                relation: relation.oid,
                mode: *mode,
            };
            locks.values().map(lock).collect()
        });
        if locks.is_empty() {
            return Ok(());
        }
        let wait = LockWait::Wait { timeout: self.settings.frequent().lock_timeout };
        let cancel = self.cancel.clone();
        let shared = self.shared_transaction()?;
        let mut guard = shared.lock().await;
        let txn = guard.as_mut().ok_or_else(transaction_over)?;
        for lock in locks.iter() {
            let object = table_lock_id(lock.database, lock.relation);
            cancel.wait(txn.lock_table(object, lock.mode, wait)).await?;
        }
        Ok(())
    }

    pub(super) fn shared_transaction(&self) -> SqlResult<SharedTransaction> {
        self.block.as_ref().map(|block| block.txn.clone()).ok_or_else(transaction_over)
    }

    /// What holds for a statement over a new snapshot.
    pub(super) async fn statement_context(
        &mut self,
        catalog: Arc<CatalogSnapshot>,
        parameters: Arc<[Datum]>,
    ) -> SqlResult<StatementContext> {
        let view = self.new_view().await?;
        Ok(self.context_over(view, catalog, parameters))
    }

    /// What the next statement sees.
    async fn new_view(&mut self) -> SqlResult<ReadView> {
        let block = self.block.as_mut().ok_or_else(transaction_over)?;
        let mut guard = block.txn.lock().await;
        let view = guard.as_mut().ok_or_else(transaction_over)?.statement_snapshot()?;
        block.has_snapshot = true;
        Ok(view)
    }

    /// What holds for a statement whose functions may run statements within it.
    pub(super) fn context_over(
        &self,
        view: ReadView,
        catalog: Arc<CatalogSnapshot>,
        parameters: Arc<[Datum]>,
    ) -> StatementContext {
        let context = self.context_of_session(view, catalog, parameters);
        match self.shared_transaction() {
            Ok(transaction) => {
                let lock_timeout = self.settings.frequent().lock_timeout;
                let locks = RowLocks {
                    transaction: transaction.clone(),
                    engine: self.instance.engine.clone(),
                    row_ids: self.instance.row_ids.clone(),
                    lock_timeout,
                    held: AtomicBool::new(false),
                };
                let context = StatementContext { locks: Some(Arc::new(locks)), ..context };
                let running = Running::new(&context, transaction, lock_timeout);
                StatementContext { host: self.host.of_statement(running), ..context }
            }
            Err(_) => context,
        }
    }

    fn context_of_session(
        &self,
        view: ReadView,
        catalog: Arc<CatalogSnapshot>,
        parameters: Arc<[Datum]>,
    ) -> StatementContext {
        StatementContext {
            view,
            catalog,
            database: self.database,
            settings: self.settings.format(),
            transaction_timestamp: self.transaction_timestamp(),
            statement_timestamp: self.statement_timestamp,
            parameters,
            host: self.host.clone(),
            memory_bytes: self.instance.query_memory_bytes,
            temporary_files: self.instance.temporary_files.clone(),
            deferred: self.block.as_ref().map(|block| block.deferred.clone()).unwrap_or_default(),
            cancel: self.cancel.clone(),
            system_relations: self.host.system_relations(),
            locks: None,
            may_stop: false,
            measure: self.measure.clone(),
            planned: self.planned.clone(),
            shortcuts: self.settings.frequent().shortcuts,
        }
    }

    pub(super) async fn run_bound(
        &mut self,
        analyzed: &Analyzed,
        columns: Arc<[ResultColumn]>,
        context: StatementContext,
    ) -> SqlResult<Outcome> {
        if let BoundStatement::Query(query) = &analyzed.statement
            && query.row_marks.is_empty()
            && !query.has_changes_in_with()
        {
            self.refuse_locks_in_read_only(query)?;
            let plan = analyzed.kept.plan(&*self.instance.engine, query, &context)?;
            return Ok(Outcome::Rows { tag: "SELECT", columns, rows: plan.execute(context)? });
        }
        // Every idle session would keep the room that this takes.
        Box::pin(self.run_changes(analyzed, columns, context)).await
    }

    /// INSERT, UPDATE, DELETE, and queries that lock rows or change data.
    async fn run_changes(
        &mut self,
        analyzed: &Analyzed,
        columns: Arc<[ResultColumn]>,
        context: StatementContext,
    ) -> SqlResult<Outcome> {
        let word = match &analyzed.statement {
            BoundStatement::Query(query) if query.has_changes_in_with() => "SELECT",
            BoundStatement::Query(_) => "SELECT FOR UPDATE",
            BoundStatement::Insert(_) => "INSERT",
            BoundStatement::Update(_) => "UPDATE",
            _ => "DELETE",
        };
        match &analyzed.statement {
            BoundStatement::Query(query) if !query.has_changes_in_with() => {
                self.refuse_locks_in_read_only(query)?;
            }
            _ => self.refuse_in_read_only(word)?,
        }
        let changed = match &analyzed.statement {
            BoundStatement::Update(update) if update.current_of.is_some() => {
                Some(BoundStatement::Update(self.update_at(update, &context).await?))
            }
            BoundStatement::Delete(delete) if delete.current_of.is_some() => {
                Some(BoundStatement::Delete(self.delete_at(delete, &context).await?))
            }
            BoundStatement::Insert(insert) => {
                let engine = &*self.instance.engine;
                let settled = with_settled_source(insert, engine, &context).await?;
                settled.map(BoundStatement::Insert)
            }
            _ => None,
        };
        let statement = changed.as_ref().unwrap_or(&analyzed.statement);
        let shared = self.shared_transaction()?;
        let instance = self.instance.clone();
        let lock_timeout = self.settings.frequent().lock_timeout;
        let (engine, row_ids) = (&*instance.engine, &*instance.row_ids);
        let mut guard;
        // What is put in the statement's place for this run is not what it keeps things of.
        let asks_nobody = || analyzed.kept.asks_nobody(&analyzed.statement);
        let mut changes = if context.shortcuts.direct_path && asks_nobody() {
            guard = shared.lock().await;
            let txn = guard.as_mut().ok_or_else(transaction_over)?;
            Changes::new(txn, &context, engine, row_ids, lock_timeout)
        } else {
            Changes::sharing(&shared, &context, engine, row_ids, lock_timeout).await?
        };
        if changed.is_none() {
            changes = changes.keeping(&analyzed.kept);
        }
        let changed: Changed = changes.run(statement).await?;
        let tag = match word {
            "INSERT" => format!("INSERT 0 {}", changed.rows),
            "SELECT FOR UPDATE" => format!("SELECT {}", changed.rows),
            word => format!("{word} {}", changed.rows),
        };
        Ok(if !analyzed.statement.returns_rows() {
            Outcome::Done(tag)
        } else {
            Outcome::Returned { tag, columns, rows: changed.returned.into_stream()? }
        })
    }

    /// 25006 for a query that locks rows.
    pub(super) fn refuse_locks_in_read_only(&self, query: &Query) -> SqlResult<()> {
        match &self.block {
            Some(block) if block.read_only => match query.locking_word() {
                Some(word) => Err(in_read_only(word)),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// 25006
    pub(super) fn refuse_in_read_only(&self, what: &str) -> SqlResult<()> {
        match &self.block {
            Some(block) if block.read_only => Err(in_read_only(what)),
            _ => Ok(()),
        }
    }
}

/// 25006
pub(super) fn in_read_only(what: &str) -> SqlError {
    SqlError::new(
        SqlState::ReadOnlySqlTransaction,
        format!("cannot execute {what} in a read-only transaction"),
    )
}

fn keeps_changing() -> SqlError {
    SqlError::new(
        SqlState::TRSerializationFailure,
        "could not run the statement: its relations keep changing",
    )
}

pub(super) fn transaction_over() -> SqlError {
    SqlError::internal("the statement's transaction is over")
}

/// How table locks are named in storage: the database's OID above, the relation's below.
pub(super) fn table_lock_id(database: Oid, relation: Oid) -> u64 {
    (u64::from(database.0) << 32) | u64::from(relation.0)
}

pub(super) fn result_columns(analyzed: &Analyzed) -> Arc<[ResultColumn]> {
    analyzed
        .columns
        .iter()
        .map(|column| ResultColumn {
            name: column.name.clone(),
            ty: column.shown,
            length: column.length,
            origin: column.origin,
        })
        .collect()
}

/// A prepared statement whose result has changed since it was described.
fn refuse_changed_result(columns: &[ResultColumn], analyzed: &Analyzed) -> SqlResult<()> {
    let same = columns.len() == analyzed.columns.len()
        && columns.iter().zip(&analyzed.columns).all(|(old, new)| old.ty == new.shown);
    if same {
        Ok(())
    } else {
        // By this routine pgJDBC and asyncpg know that preparing the statement again helps.
        Err(SqlError::new(SqlState::FeatureNotSupported, "cached plan must not change result type")
            .routine("RevalidateCachedQuery"))
    }
}
