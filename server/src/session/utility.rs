//! Statements that are run as they are parsed: settings, locks, maintenance, EXPLAIN, definitions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use aegis_catalog::access::{Kind, Privilege};
use aegis_sql::ast::{self, LockMode, LockStmt, Statement, VariableSetKind, VariableSetStmt};
use aegis_sql::ddl::{Ddl, denied};
use aegis_sql::dml::Changes;
use aegis_sql::engine::{SCHEMA, engines};
use aegis_sql::query_engine::{DatumRows, StatementContext};
use aegis_sql::settings;
use aegis_storage::{LockWait, TableLockMode, Transaction};
use aegis_types::{Datum, Oid, SqlError, SqlResult, SqlState, type_oid};

use super::run::{table_lock_id, transaction_over};
use super::{Outcome, Prepared, ResultColumn, Session};
use crate::instance::Instance;

/// How often, and after how long, it is looked whether the others have left a database: PostgreSQL
/// waits five seconds too.
const LEAVING_POLLS_MAX: u32 = 250;
const LEAVING_POLL: std::time::Duration = std::time::Duration::from_millis(20);
/// `pg_signal_backend`
const SIGNAL_BACKEND: Oid = Oid(4200);

/// Whether the analyzer makes a bound tree of the statement.
pub(super) fn is_plannable(statement: &Statement) -> bool {
    match statement {
        Statement::Select(select) => !has_into(select),
        Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_) | Statement::Call(_) => {
            true
        }
        _ => false,
    }
}

/// The statement that is planned for it: itself, or what EXPLAIN explains.
pub(super) fn planned(statement: &Statement) -> Option<&Statement> {
    let planned = match statement {
        Statement::Explain(explain) => &explain.query,
        statement => statement,
    };
    is_plannable(planned).then_some(planned)
}

fn has_into(select: &ast::SelectStmt) -> bool {
    let mut select = select;
    loop {
        match &select.body {
            ast::SelectBody::Simple(simple) => return simple.into.is_some(),
            ast::SelectBody::Values(_) => return false,
            ast::SelectBody::SetOperation(operation) => select = &operation.left,
        }
    }
}

fn text_column(name: &str) -> ResultColumn {
    ResultColumn::told(name, type_oid::TEXT)
}

impl Session {
    /// The columns that a statement without a bound tree returns, for Describe.
    pub(super) fn utility_columns(
        &mut self,
        statement: &Statement,
    ) -> SqlResult<Option<Arc<[ResultColumn]>>> {
        Ok(match statement {
            Statement::Explain(explain) => Some([super::explain::column(explain)].into()),
            Statement::VariableShow(show) if show.name == "all" => Some(
                [text_column("name"), text_column("setting"), text_column("description")].into(),
            ),
            Statement::VariableShow(show) => Some([text_column(&shown_name(&show.name))].into()),
            Statement::Execute(execute) => {
                self.statement(&execute.name).and_then(|prepared| prepared.columns.clone())
            }
            Statement::Fetch(fetch) => self.fetched_columns(fetch),
            _ => None,
        })
    }

    /// Runs a statement that has no bound tree.
    pub(super) async fn run_utility(
        &mut self,
        statement: &Arc<Statement>,
        prepared: &Prepared,
    ) -> SqlResult<Outcome> {
        match &**statement {
            Statement::VariableSet(set) => self.set_variable(set).await,
            Statement::VariableShow(show) => self.show(&show.name),
            Statement::Lock(lock) => self.lock(lock).await,
            Statement::Vacuum(vacuum) => self.vacuum(vacuum).await,
            Statement::Checkpoint => {
                self.check_may_checkpoint()?;
                self.instance.store.flush_now().await?;
                Ok(Outcome::Done("CHECKPOINT".to_owned()))
            }
            Statement::Copy(copy) => self.copy(copy).await,
            Statement::Discard(target) => self.discard(*target).await,
            Statement::CreateDatabase(_) | Statement::DropDatabase(_) => {
                self.refuse_in_block(if matches!(&**statement, Statement::CreateDatabase(_)) {
                    "CREATE DATABASE"
                } else {
                    "DROP DATABASE"
                })?;
                self.leave_database(statement).await?;
                self.define(statement).await
            }
            Statement::Rename(rename) if rename.rename_type == ast::ObjectType::Database => {
                self.leave_database(statement).await?;
                self.define(statement).await
            }
            Statement::CreateIndex(create) if create.concurrent => {
                self.create_index_concurrently(create).await
            }
            Statement::Drop(drop) if drop.concurrent => {
                self.refuse_in_block("DROP INDEX CONCURRENTLY")?;
                self.define(statement).await
            }
            Statement::Reindex(reindex) => {
                let concurrently =
                    reindex.params.iter().any(|p| p.name == "concurrently" && is_on(p));
                match &reindex.target {
                    _ if concurrently => self.refuse_in_block("REINDEX CONCURRENTLY")?,
                    ast::ReindexTarget::Schema(_) => self.refuse_in_block("REINDEX SCHEMA")?,
                    ast::ReindexTarget::System(_) => self.refuse_in_block("REINDEX SYSTEM")?,
                    ast::ReindexTarget::Database(_) => self.refuse_in_block("REINDEX DATABASE")?,
                    ast::ReindexTarget::Index(_) | ast::ReindexTarget::Table(_) => {}
                }
                self.define(statement).await
            }
            Statement::Listen(channel) => {
                self.check_may_listen(channel)?;
                self.host.identity().channels.listen(channel)?;
                Ok(Outcome::Done("LISTEN".to_owned()))
            }
            Statement::Unlisten(channel) => {
                self.host.identity().channels.unlisten(channel.as_deref())?;
                Ok(Outcome::Done("UNLISTEN".to_owned()))
            }
            Statement::Notify(notify) => {
                let payload = notify.payload.as_deref().unwrap_or_default();
                self.host.identity().channels.notify(&notify.channel, payload)?;
                Ok(Outcome::Done("NOTIFY".to_owned()))
            }
            Statement::SetConstraints(set) => self.set_constraints(set).await,
            Statement::Fetch(fetch) => self.fetch(fetch).await,
            Statement::ClosePortal(name) => self.close_cursor(name.as_deref()).await,
            Statement::Prepare(prepare) => self.prepare_statement(prepare, prepared),
            Statement::Execute(execute) => self.execute_statement(execute).await,
            Statement::Deallocate(name) => self.deallocate(name.as_deref()),
            Statement::CreateTableAs(create) => match &create.query {
                Statement::Execute(execute) => self.create_table_as_execute(create, execute).await,
                _ => self.define(statement).await,
            },
            Statement::Unsupported(unsupported) => Err(SqlError::unsupported(&unsupported.feature)),
            _ => self.define(statement).await,
        }
    }

    /// A definition to be run in the transaction.
    pub(super) fn ddl<'a>(
        &self,
        txn: &'a mut Transaction,
        instance: &'a Instance,
        context: StatementContext,
        search_path: Vec<Oid>,
    ) -> Ddl<'a> {
        Ddl {
            txn,
            context,
            store: &instance.store,
            engine: &*instance.engine,
            row_ids: &instance.row_ids,
            counters: &instance.counters,
            search_path,
            temporary_schema_name: self.temporary_schema_name(),
            temporary_first: self.settings.search_path().first().is_some_and(|n| n == "pg_temp"),
            uses_temporary: false,
            role: self.roles().current,
            session_role: self.roles().session,
            session_settings: self.settings.clone(),
            lock_timeout: self.settings.frequent().lock_timeout,
            parameter_types: Vec::new(),
            in_use: self.portals.lock().relations(),
            engine_acts: false,
            notices: Vec::new(),
            changes: Vec::new(),
            filling: None,
        }
    }

    /// Runs a definition in the transaction.
    async fn define(&mut self, statement: &Statement) -> SqlResult<Outcome> {
        self.define_with(statement, Vec::new(), Arc::new([])).await
    }

    /// Likewise one whose query has parameters.
    pub(super) async fn define_with(
        &mut self,
        statement: &Statement,
        parameter_types: Vec<Option<Oid>>,
        parameters: Arc<[Datum]>,
    ) -> SqlResult<Outcome> {
        self.refuse_in_read_only(ddl_name(statement))?;
        let (shared, context, search_path) = self.begin_work(parameters).await?;
        let mut guard = shared.lock().await;
        let instance = self.instance.clone();
        let txn = guard.as_mut().ok_or_else(transaction_over)?;
        let locks = context.locks.clone();
        let hold = |held| locks.iter().for_each(|it| it.held.store(held, Ordering::Relaxed));
        hold(true);
        let mut ddl = self.ddl(txn, &instance, context, search_path);
        ddl.parameter_types = parameter_types;
        let result = ddl.run_apart(statement).await;
        let (notices, changes, filling) = (ddl.notices, ddl.changes, ddl.filling);
        self.uses_temporary |= ddl.uses_temporary;
        self.notices.extend(notices);
        drop(guard);
        hold(false);
        let mut tag = result?;
        if let Some(filling) = filling {
            let lock_timeout = self.settings.frequent().lock_timeout;
            let (engine, row_ids) = (&*instance.engine, &*instance.row_ids);
            let context = filling.context();
            let changes = Changes::sharing(&shared, context, engine, row_ids, lock_timeout).await?;
            tag = filling.fill(changes).await?.unwrap_or(tag);
        }
        if let Some(block) = &mut self.block {
            block.add_ddl(changes);
        }
        Ok(Outcome::Done(tag))
    }

    pub(super) fn refuse_in_block(&self, what: &str) -> SqlResult<()> {
        if !self.in_block() {
            return Ok(());
        }
        Err(SqlError::new(
            SqlState::ActiveSqlTransaction,
            format!("{what} cannot run inside a transaction block"),
        ))
    }

    /// Waits until nobody is connected to the database that a statement drops or renames; with FORCE,
    /// ends their sessions before.
    async fn leave_database(&mut self, statement: &Statement) -> SqlResult<()> {
        let (name, force) = match statement {
            Statement::DropDatabase(drop) => {
                (drop.name.as_str(), drop.options.iter().any(|option| option.name == "force"))
            }
            Statement::Rename(rename) => match &rename.object {
                Some(ast::ObjectName::Name(names)) => {
                    (names.last().map_or("", String::as_str), false)
                }
                _ => return Ok(()),
            },
            _ => return Ok(()),
        };
        if name == self.database_name {
            // Renaming says so itself.
            if matches!(statement, Statement::Rename(_)) {
                return Ok(());
            }
            return Err(SqlError::new(
                SqlState::ObjectInUse,
                "cannot drop the currently open database",
            ));
        }
        let catalog = self.current_catalog();
        let role = self.roles().current;
        let kind = aegis_catalog::access::Kind::Database;
        let owns = |oid| catalog.access(self.database).owns(role, kind, oid);
        // Who may not do it is told so, whoever is connected.
        if !catalog.database_named(name).is_some_and(|database| owns(database.oid)) {
            return Ok(());
        }
        if force {
            self.end_sessions_of(name)?;
        }
        let left = catalog.database_named(name).map(|database| database.oid);
        let count = || {
            let analyzes = left.is_some_and(|oid| self.instance.analyzing.leave(oid));
            self.instance.sessions_of(name) + usize::from(analyzes)
        };
        let mut others = count();
        for _ in 0..LEAVING_POLLS_MAX {
            if others == 0 {
                return Ok(());
            }
            self.cancel.check()?;
            tokio::time::sleep(LEAVING_POLL).await;
            others = count();
        }
        if others > 0 {
            let plural = if others == 1 { "is 1 other session" } else { "are other sessions" };
            let detail = if others == 1 {
                format!("There {plural} using the database.")
            } else {
                format!("There are {others} other sessions using the database.")
            };
            return Err(SqlError::new(
                SqlState::ObjectInUse,
                format!("database \"{name}\" is being accessed by other users"),
            )
            .detail(detail));
        }
        Ok(())
    }

    /// Ends the sessions of a database, unless one of them is beyond this role.
    fn end_sessions_of(&mut self, database: &str) -> SqlResult<()> {
        let catalog = self.current_catalog();
        let access = catalog.access(self.database);
        let role = self.roles().current;
        let sessions = self.instance.sessions().into_iter();
        let sessions: Vec<_> =
            sessions.map(|(_, session)| session).filter(|it| it.database == database).collect();
        for session in &sessions {
            let Some(other) = catalog.role_named(&session.user) else { continue };
            let refuse =
                |message: &str| Err(SqlError::new(SqlState::InsufficientPrivilege, message));
            if other.superuser && !access.is_superuser(role) {
                return refuse("must be a superuser to terminate superuser process");
            }
            if !access.has_privileges_of(role, other.oid)
                && !access.has_privileges_of(role, SIGNAL_BACKEND)
            {
                return refuse(
                    "must be a member of the role whose process is being terminated or member of \
                     pg_signal_backend",
                );
            }
        }
        sessions.iter().for_each(|session| session.stop_handle.terminate());
        Ok(())
    }

    async fn set_variable(&mut self, set: &VariableSetStmt) -> SqlResult<Outcome> {
        let tag = match &set.kind {
            VariableSetKind::Value { name, args } => {
                let value = settings::set_value(name, args)?;
                self.apply_setting(name, Some(&value), set.is_local).await?;
                "SET"
            }
            VariableSetKind::Default { name } => {
                self.apply_setting(name, None, set.is_local).await?;
                "SET"
            }
            VariableSetKind::Reset { name } => {
                self.apply_setting(name, None, false).await?;
                "RESET"
            }
            VariableSetKind::ResetAll => {
                self.settings.reset_all();
                "RESET"
            }
            VariableSetKind::Current { name } => {
                self.settings.show(name)?;
                "SET"
            }
            VariableSetKind::Transaction(modes) => {
                self.warn_outside_block();
                self.set_modes(modes).await?;
                "SET"
            }
            VariableSetKind::SessionCharacteristics(modes) => {
                for mode in modes {
                    let (name, value) = match mode.kind {
                        ast::TransactionModeKind::Isolation(level) => {
                            ("default_transaction_isolation", level.text())
                        }
                        ast::TransactionModeKind::ReadOnly(on) => {
                            ("default_transaction_read_only", if on { "on" } else { "off" })
                        }
                        ast::TransactionModeKind::Deferrable(on) => {
                            ("default_transaction_deferrable", if on { "on" } else { "off" })
                        }
                    };
                    self.settings.set(name, Some(value), false)?;
                }
                "SET"
            }
            VariableSetKind::TransactionSnapshot(name) => {
                self.warn_outside_block();
                self.import_snapshot(name).await?;
                "SET"
            }
        };
        Ok(Outcome::Done(tag.to_owned()))
    }

    /// Says that what `SET TRANSACTION` sets is over with the statement.
    fn warn_outside_block(&mut self) {
        if !self.in_block() {
            self.notice(
                "WARNING",
                SqlState::NoActiveSqlTransaction,
                "SET TRANSACTION can only be used in transaction blocks",
            );
        }
    }

    /// Whether statements share a transaction: a block, or a string of several statements.
    pub(super) fn in_block(&self) -> bool {
        self.several_statements || self.block.as_ref().is_some_and(|block| block.explicit)
    }

    /// Sets one setting; those of the running transaction act on it.
    pub(super) async fn apply_setting(
        &mut self,
        name: &str,
        value: Option<&str>,
        local: bool,
    ) -> SqlResult<()> {
        if local && !self.in_block() {
            self.notice(
                "WARNING",
                SqlState::NoActiveSqlTransaction,
                "SET LOCAL can only be used in transaction blocks",
            );
        }
        let kind = match (name.to_ascii_lowercase().as_str(), value) {
            ("transaction_isolation", Some(level)) => {
                let level = match level {
                    "serializable" => ast::IsolationLevel::Serializable,
                    "repeatable read" => ast::IsolationLevel::RepeatableRead,
                    _ => ast::IsolationLevel::ReadCommitted,
                };
                Some(ast::TransactionModeKind::Isolation(level))
            }
            ("transaction_read_only", Some(on)) => {
                Some(ast::TransactionModeKind::ReadOnly(matches!(on, "on" | "true" | "1")))
            }
            ("role", role) => return self.set_role(role, local),
            ("session_authorization", role) => return self.set_session_authorization(role, local),
            _ => None,
        };
        if let Some(kind) = kind {
            return self.set_modes(&[ast::TransactionMode { kind, location: 0 }]).await;
        }
        self.settings.set(name, value, local)
    }

    fn show(&mut self, name: &str) -> SqlResult<Outcome> {
        if name == "all" {
            let mut rows = BTreeMap::new();
            for setting in settings::listed() {
                let value = self.show_value(setting.name)?;
                rows.insert(setting.name.to_ascii_lowercase(), (setting.name, value));
            }
            let rows = rows
                .into_values()
                .map(|(name, value)| vec![Datum::text(name), Datum::text(value), Datum::text("")])
                .collect();
            let columns =
                vec![text_column("name"), text_column("setting"), text_column("description")];
            return Ok(Outcome::Returned {
                tag: "SHOW".to_owned(),
                columns: columns.into(),
                rows: DatumRows(rows).into_stream(),
            });
        }
        let value = self.show_value(name)?;
        Ok(Outcome::Returned {
            tag: "SHOW".to_owned(),
            columns: [text_column(&shown_name(name))].into(),
            rows: DatumRows(vec![vec![Datum::text(value)]]).into_stream(),
        })
    }

    /// The value of a setting; those of the running transaction are its own.
    fn show_value(&self, name: &str) -> SqlResult<String> {
        match (name.to_ascii_lowercase().as_str(), &self.block) {
            ("transaction_isolation", Some(block)) => Ok(block.isolation.text().to_owned()),
            ("transaction_read_only", Some(block)) => {
                Ok(if block.read_only { "on" } else { "off" }.to_owned())
            }
            _ => self.settings.show(name),
        }
    }

    async fn discard(&mut self, target: ast::DiscardTarget) -> SqlResult<Outcome> {
        let tag = match target {
            ast::DiscardTarget::All => {
                self.refuse_in_block("DISCARD ALL")?;
                self.drop_portals();
                self.statements.lock().clear();
                self.host.identity().channels.stop_listening();
                self.host.identity().advisory.unlock_all();
                self.host.forget_sequences();
                self.set_session_authorization(None, false)?;
                self.settings.reset_all();
                self.drop_temporary().await?;
                "DISCARD ALL"
            }
            ast::DiscardTarget::Plans => "DISCARD PLANS",
            ast::DiscardTarget::Sequences => {
                self.host.forget_sequences();
                "DISCARD SEQUENCES"
            }
            ast::DiscardTarget::Temp => {
                self.refuse_in_block("DISCARD TEMP")?;
                self.drop_temporary().await?;
                "DISCARD TEMP"
            }
        };
        Ok(Outcome::Done(tag.to_owned()))
    }

    async fn lock(&mut self, lock: &LockStmt) -> SqlResult<Outcome> {
        if !self.in_block() {
            return Err(SqlError::new(
                SqlState::NoActiveSqlTransaction,
                "LOCK TABLE can only be used in transaction blocks",
            ));
        }
        let wait = if lock.nowait {
            LockWait::NoWait
        } else {
            LockWait::Wait { timeout: self.settings.frequent().lock_timeout }
        };
        let catalog = self.current_catalog();
        let shared = self.shared_transaction()?;
        for name in &lock.relations {
            let relation = self.find_relation(&catalog, name)?;
            self.check_may_lock(&catalog, &relation, lock.mode)?;
            let mut guard = shared.lock().await;
            let txn = guard.as_mut().ok_or_else(transaction_over)?;
            let object = table_lock_id(relation.database, relation.oid);
            let cancel = self.cancel.clone();
            let taken = cancel.wait(txn.lock_table(object, storage_mode(lock.mode), wait)).await;
            taken.map_err(|error| {
                if lock.nowait && error.code() == SqlState::LockNotAvailable {
                    let message = format!("could not obtain lock on relation \"{}\"", name.name);
                    return SqlError::new(SqlState::LockNotAvailable, message);
                }
                error
            })?;
        }
        Ok(Outcome::Done("LOCK TABLE".to_owned()))
    }
}

/// Whether an option without a value, or with a true one, is on.
pub(super) fn is_on(option: &ast::DefElem) -> bool {
    match &option.value {
        None => true,
        Some(ast::DefValue::Integer(number)) => *number != 0,
        Some(ast::DefValue::String(word)) => {
            matches!(word.to_ascii_lowercase().as_str(), "true" | "on")
        }
        Some(_) => false,
    }
}

/// A setting's name as `SHOW` heads its column.
fn shown_name(name: &str) -> String {
    settings::find(name).map_or_else(|| name.to_owned(), |setting| setting.name.to_owned())
}

fn storage_mode(mode: LockMode) -> TableLockMode {
    match mode {
        LockMode::AccessShare => TableLockMode::AccessShare,
        LockMode::RowShare => TableLockMode::RowShare,
        LockMode::RowExclusive => TableLockMode::RowExclusive,
        LockMode::ShareUpdateExclusive => TableLockMode::ShareUpdateExclusive,
        LockMode::Share => TableLockMode::Share,
        LockMode::ShareRowExclusive => TableLockMode::ShareRowExclusive,
        LockMode::Exclusive => TableLockMode::Exclusive,
        LockMode::AccessExclusive => TableLockMode::AccessExclusive,
    }
}

impl Session {
    /// 42501 for a channel that tells what is in a table which the role must not read.
    fn check_may_listen(&mut self, channel: &str) -> SqlResult<()> {
        let catalog = self.current_catalog();
        let Some(schema) = catalog.schema_named(self.database, SCHEMA) else { return Ok(()) };
        let tables = engines().iter().filter_map(|engine| engine.table_of_channel(channel));
        for table in tables.filter_map(|name| catalog.relation_named(schema, name)) {
            let access = catalog.access(self.database);
            if !access.allows(self.roles().current, Kind::Table, table.oid, Privilege::SELECT) {
                return Err(denied("table", &table.name));
            }
        }
        Ok(())
    }
}

/// The command that a read-only transaction refuses.
fn ddl_name(statement: &Statement) -> &'static str {
    match statement {
        Statement::Engine(statement) => statement.tag,
        Statement::CreateTable(_) => "CREATE TABLE",
        Statement::CreateTableAs(_) => "CREATE TABLE AS",
        Statement::Select(_) => "SELECT INTO",
        Statement::AlterTable(_) => "ALTER TABLE",
        Statement::CreateView(_) => "CREATE VIEW",
        Statement::CreateIndex(_) => "CREATE INDEX",
        Statement::CreateSequence(_) => "CREATE SEQUENCE",
        Statement::AlterSequence(_) => "ALTER SEQUENCE",
        Statement::CreateSchema(_) => "CREATE SCHEMA",
        Statement::Drop(_) => "DROP",
        Statement::Reindex(_) => "REINDEX",
        Statement::RefreshMatView(_) => "REFRESH MATERIALIZED VIEW",
        Statement::Truncate(_) => "TRUNCATE TABLE",
        Statement::Comment(_) => "COMMENT",
        Statement::CreateRole(_) => "CREATE ROLE",
        Statement::AlterRole(_) | Statement::AlterRoleSet(_) => "ALTER ROLE",
        Statement::DropRole(_) => "DROP ROLE",
        Statement::GrantRole(grant) if grant.is_grant => "GRANT ROLE",
        Statement::GrantRole(_) => "REVOKE ROLE",
        Statement::Grant(grant) if grant.is_grant => "GRANT",
        Statement::Grant(_) => "REVOKE",
        Statement::AlterDefaultPrivileges(_) => "ALTER DEFAULT PRIVILEGES",
        Statement::ReassignOwned(_) => "REASSIGN OWNED",
        Statement::DropOwned(_) => "DROP OWNED",
        _ => "this command",
    }
}
