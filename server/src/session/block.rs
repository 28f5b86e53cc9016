//! The transaction of a session: implicit or a block, its savepoints, its own DDL.

use std::sync::Arc;
use std::time::Duration;

use aegis_catalog::CatalogSnapshot;
use aegis_sql::ast::{self, TransactionMode, TransactionModeKind, TransactionStmt};
use aegis_sql::ddl::DdlChange;
use aegis_sql::dml::{DeferredChecks, DeferredMark, LookAt};
use aegis_sql::query_engine::StatementContext;
use aegis_sql::settings::SettingsMark;
use aegis_storage::{AdvisoryMark, IsolationLevel, Savepoint, Transaction, TxnOptions};
use aegis_types::{Datum, Oid, SqlError, SqlResult, SqlState};
use tokio::sync::Mutex;

use super::cursor::HoldContext;
use super::run::transaction_over;
use super::{Outcome, Session};
use crate::exported::{Export, Exported};
use crate::notify::NotifyMark;

/// A transaction, shared with the row locks of a running query.
pub(crate) type SharedTransaction = Arc<Mutex<Option<Transaction>>>;

/// An open transaction.
pub(super) struct Block {
    pub(super) txn: SharedTransaction,
    /// Begun by BEGIN.
    pub(super) explicit: bool,
    /// A statement failed: only an end or a way back is taken.
    pub(super) failed: bool,
    /// Whether a snapshot was taken: then the isolation level stays.
    pub(super) has_snapshot: bool,
    /// As it was asked for and is shown.
    pub(super) isolation: ast::IsolationLevel,
    pub(super) read_only: bool,
    /// `deadlock_timeout`, as its waits know it.
    pub(super) deadlock_timeout: Option<Duration>,
    /// `now()`
    pub(super) timestamp: i64,
    /// Checks that wait for the commit.
    pub(super) deferred: Arc<DeferredChecks>,
    savepoints: Vec<NamedSavepoint>,
    /// The snapshots that it has exported.
    exports: Vec<Export>,
    /// The session's own changes of the catalog, not published yet.
    ddl: Vec<DdlChange>,
    /// The newest published catalog that `ddl` was last laid over, and the result.
    successor: Option<(Arc<CatalogSnapshot>, Arc<CatalogSnapshot>)>,
}

struct NamedSavepoint {
    name: String,
    mark: Savepoint,
    /// What holds in the transaction around it.
    read_only: bool,
    settings: SettingsMark,
    ddl_count: usize,
    failed_before: bool,
    advisory: AdvisoryMark,
    notify: NotifyMark,
    deferred: DeferredMark,
}

impl Block {
    /// Whether it has changed the catalog.
    pub(super) fn has_own_catalog(&self) -> bool {
        !self.ddl.is_empty()
    }

    /// The newest catalog with the transaction's own changes on top.
    pub(super) fn catalog(&mut self, newest: Arc<CatalogSnapshot>) -> Arc<CatalogSnapshot> {
        if self.ddl.is_empty() {
            return newest;
        }
        if let Some((under, successor)) = &self.successor
            && Arc::ptr_eq(under, &newest)
        {
            return successor.clone();
        }
        let mut successor = (*newest).clone();
        for change in &self.ddl {
            successor = match change {
                DdlChange::Put(descriptor) => successor.with(descriptor),
                DdlChange::Delete(key) => successor.without(*key),
            };
        }
        let successor = Arc::new(successor);
        self.successor = Some((newest, successor.clone()));
        successor
    }

    /// Adds changes of the catalog.
    pub(super) fn add_ddl(&mut self, changes: Vec<DdlChange>) {
        self.ddl.extend(changes);
        self.successor = None;
    }
}

/// 25P02
pub(super) fn in_failed_block() -> SqlError {
    SqlError::new(
        SqlState::InFailedSqlTransaction,
        "current transaction is aborted, commands ignored until end of transaction block",
    )
}

impl Session {
    /// Opens an implicit transaction unless one is open.
    pub(super) fn ensure_transaction(&mut self) -> SqlResult<&mut Block> {
        if self.block.is_none() {
            self.open_block(false)?;
        }
        self.block.as_mut().ok_or_else(|| SqlError::internal("a transaction was just opened"))
    }

    /// What a definition begins with: a transaction, what holds for the statement over a new snapshot,
    /// and the schemas that names are looked up in.
    pub(super) async fn begin_work(
        &mut self,
        parameters: Arc<[Datum]>,
    ) -> SqlResult<(SharedTransaction, StatementContext, Vec<Oid>)> {
        let shared = self.ensure_transaction()?.txn.clone();
        let catalog = self.current_catalog();
        let search_path = self.search_path(&catalog);
        let context = self.statement_context(catalog, parameters).await?;
        Ok((shared, context, search_path))
    }

    fn open_block(&mut self, explicit: bool) -> SqlResult<()> {
        let frequent = self.settings.frequent();
        let (isolation, read_only) = (frequent.default_isolation, frequent.default_read_only);
        let deadlock_timeout = frequent.deadlock_timeout;
        let txn = self.instance.store.begin(TxnOptions {
            isolation: stored(isolation),
            read_only,
            process_id: self.process_id,
            deadlock_timeout: deadlock_timeout.unwrap_or_default(),
        })?;
        self.settings.begin();
        // What a statement that failed has given names to belongs to no later transaction.
        drop(self.host.take_exports());
        self.block = Some(Block {
            txn: Arc::new(Mutex::new(Some(txn))),
            explicit,
            failed: false,
            has_snapshot: false,
            isolation,
            read_only,
            deadlock_timeout,
            timestamp: self.statement_timestamp,
            deferred: Arc::default(),
            savepoints: Vec::new(),
            exports: Vec::new(),
            ddl: Vec::new(),
            successor: None,
        });
        Ok(())
    }

    /// The end of a command: what it wrote is visible to the next.
    ///
    /// # Errors
    /// 54000 after four thousand million commands.
    pub async fn end_statement(&mut self) -> SqlResult<()> {
        for setting in self.host.take_settings() {
            self.apply_setting(&setting.name, setting.value.as_deref(), setting.local).await?;
        }
        self.export_snapshots().await?;
        if let Some(block) = &self.block
            && let Some(txn) = block.txn.lock().await.as_mut()
        {
            txn.next_command()?;
        }
        Ok(())
    }

    /// Makes known what `pg_export_snapshot` has given names to.
    async fn export_snapshots(&mut self) -> SqlResult<()> {
        let names = self.host.take_exports();
        if names.is_empty() {
            return Ok(());
        }
        let database = self.database;
        let Some(block) = &mut self.block else { return Ok(()) };
        if !block.savepoints.is_empty() {
            return Err(SqlError::new(
                SqlState::ActiveSqlTransaction,
                "cannot export a snapshot from a subtransaction",
            ));
        }
        let mut guard = block.txn.lock().await;
        let snapshot = guard.as_mut().ok_or_else(transaction_over)?.share_snapshot()?;
        for name in names {
            let exported = Exported { snapshot: snapshot.clone(), database };
            block.exports.push(self.instance.exported.add(name, exported));
        }
        Ok(())
    }

    /// `SET TRANSACTION SNAPSHOT`
    pub(super) async fn import_snapshot(&mut self, name: &str) -> SqlResult<()> {
        let database = self.database;
        let Some(block) = &mut self.block else { return Ok(()) };
        if block.has_snapshot || !block.savepoints.is_empty() {
            return Err(SqlError::new(
                SqlState::ActiveSqlTransaction,
                "SET TRANSACTION SNAPSHOT must be called before any query",
            ));
        }
        match block.isolation {
            ast::IsolationLevel::RepeatableRead => {}
            ast::IsolationLevel::Serializable => {
                return Err(SqlError::unsupported("SET TRANSACTION SNAPSHOT in SERIALIZABLE"));
            }
            ast::IsolationLevel::ReadCommitted | ast::IsolationLevel::ReadUncommitted => {
                return Err(SqlError::new(
                    SqlState::FeatureNotSupported,
                    "a snapshot-importing transaction must have isolation level SERIALIZABLE or \
                     REPEATABLE READ",
                ));
            }
        }
        let exported = self.instance.exported.get(name).ok_or_else(|| {
            SqlError::new(
                SqlState::InvalidParameterValue,
                format!("invalid snapshot identifier: \"{name}\""),
            )
        })?;
        if exported.database != database {
            return Err(SqlError::new(
                SqlState::FeatureNotSupported,
                "cannot import a snapshot from a different database",
            ));
        }
        let mut guard = block.txn.lock().await;
        guard.as_mut().ok_or_else(transaction_over)?.adopt_snapshot(exported.snapshot)?;
        block.has_snapshot = true;
        Ok(())
    }

    /// The end of a query's rows: a serializable transaction that has written, and cannot commit
    /// after what was read, fails here and not at its end.
    ///
    /// # Errors
    /// 40001
    pub async fn end_rows(&self) -> SqlResult<()> {
        if let Some(block) = &self.block
            && block.isolation == ast::IsolationLevel::Serializable
            && let Some(txn) = block.txn.lock().await.as_ref()
            && txn.has_writes()
        {
            txn.check_serializable()?;
        }
        Ok(())
    }

    /// Sync, or the end of a simple query: an implicit transaction commits.
    ///
    /// # Errors
    /// What the commit raises; the transaction is rolled back then.
    pub async fn finish(&mut self) -> SqlResult<()> {
        match &self.block {
            Some(block) if !block.explicit => self.commit().await,
            Some(_) => Ok(()),
            None => {
                self.portals.lock().end_transaction();
                Ok(())
            }
        }
    }

    /// After an error: an implicit transaction is rolled back, a block has failed. What the block
    /// wrote and locked since its last savepoint is given up at once, as in PostgreSQL: nobody waits
    /// for a transaction that cannot commit.
    pub async fn fail(&mut self) {
        match &mut self.block {
            Some(block) if block.explicit => {
                block.failed = true;
                // Streams read what the transaction sees: they end before it does.
                self.portals.lock().fail(block.savepoints.len());
                let identity = self.host.identity();
                match block.savepoints.last() {
                    Some(savepoint) => identity.advisory.roll_back_to(savepoint.advisory),
                    None => identity.advisory.end_transaction(),
                }
                let mut guard = block.txn.lock().await;
                let undone = match (block.savepoints.last(), guard.as_mut()) {
                    (Some(savepoint), Some(txn)) => txn.rollback_to(savepoint.mark).is_ok(),
                    _ => false,
                };
                if !undone && let Some(txn) = guard.take() {
                    txn.rollback();
                }
            }
            Some(_) => self.roll_back().await,
            None => self.portals.lock().end_transaction(),
        }
    }

    /// How many savepoints are set.
    pub(super) fn savepoint_level(&self) -> usize {
        self.block.as_ref().map_or(0, |block| block.savepoints.len())
    }

    /// Reads the cursors that outlive the transaction to their ends.
    async fn hold_cursors(&mut self) -> SqlResult<Vec<Box<str>>> {
        let to_hold = self.portals.lock().to_hold();
        let context = HoldContext {
            memory_bytes: self.instance.query_memory_bytes,
            temporary_files: self.instance.temporary_files.clone(),
        };
        for (_, cursor) in &to_hold {
            let mut cursor = cursor.lock().await;
            self.cancel.carry(cursor.flag());
            cursor.hold(&context).await?;
        }
        for (name, _) in &to_hold {
            if let Some(portal) = self.portals.lock().get_mut(name) {
                portal.held = true;
            }
        }
        Ok(to_hold.into_iter().map(|(name, _)| name).collect())
    }

    pub(super) async fn commit(&mut self) -> SqlResult<()> {
        if self.block.is_none() {
            self.portals.lock().end_transaction();
            return Ok(());
        }
        // A held cursor keeps its rows, also those of a table that the commit empties or drops.
        let held = match self.check_deferred(LookAt::Commit).await {
            Ok(()) => self.hold_cursors().await,
            Err(error) => Err(error),
        };
        let held = match held {
            Ok(held) => held,
            Err(error) => {
                self.roll_back().await;
                return Err(error);
            }
        };
        self.portals.lock().end_transaction();
        if let Err(error) = self.commit_temporary().await {
            self.roll_back().await;
            return Err(error);
        }
        let Some(block) = self.block.take() else {
            return Ok(());
        };
        let txn = block.txn.lock().await.take();
        let result = self.commit_and_notify(txn).await;
        self.host.identity().advisory.end_transaction();
        self.settings.end(result.is_ok());
        if result.is_err() {
            // What was to outlive this transaction does so only if it has committed.
            held.iter().for_each(|name| drop(self.portals.lock().remove(name)));
        }
        self.note_role();
        result
    }

    /// Commits, and then tells those who listen; who notifies does so in turn.
    async fn commit_and_notify(&mut self, txn: Option<Transaction>) -> SqlResult<()> {
        let channels = &self.host.identity().channels;
        let pending = channels.take_pending();
        let hub = Arc::clone(&self.instance.notifications);
        let turn = match pending.notifications() {
            [] => None,
            notifications => {
                let turn = hub.turn().await;
                hub.check_room(self.database, notifications)?;
                Some(turn)
            }
        };
        if let Some(mut txn) = txn {
            let changed = txn.take_changed();
            txn.commit().await?;
            if !changed.is_empty() {
                self.instance.table_activity.committed(&changed);
            }
        }
        if !pending.is_empty() {
            channels.committed(pending);
        }
        drop(turn);
        Ok(())
    }

    pub(super) async fn roll_back(&mut self) {
        self.portals.lock().end_transaction();
        let Some(block) = self.block.take() else {
            return;
        };
        if let Some(txn) = block.txn.lock().await.take() {
            txn.rollback();
        }
        // What was pending is forgotten.
        drop(self.host.identity().channels.take_pending());
        self.host.identity().advisory.end_transaction();
        self.settings.end(false);
        self.note_role();
    }

    /// `BEGIN`, `COMMIT`, `ROLLBACK`, `SAVEPOINT` and their kin.
    pub(super) async fn transaction_statement(
        &mut self,
        statement: &TransactionStmt,
    ) -> SqlResult<Outcome> {
        let tag = match statement {
            TransactionStmt::Begin(modes) => self.begin("BEGIN", modes).await?,
            TransactionStmt::Start(modes) => self.begin("START TRANSACTION", modes).await?,
            TransactionStmt::Commit { chain } => self.end_block(true, *chain).await?,
            TransactionStmt::Rollback { chain } => self.end_block(false, *chain).await?,
            TransactionStmt::Savepoint(name) => self.savepoint(name).await?,
            TransactionStmt::Release(name) => self.release(name).await?,
            TransactionStmt::RollbackTo(name) => self.rollback_to(name).await?,
            TransactionStmt::Prepare(_)
            | TransactionStmt::CommitPrepared(_)
            | TransactionStmt::RollbackPrepared(_) => {
                return Err(SqlError::unsupported("PREPARE TRANSACTION"));
            }
        };
        Ok(Outcome::Done(tag.to_owned()))
    }

    async fn begin(
        &mut self,
        tag: &'static str,
        modes: &[TransactionMode],
    ) -> SqlResult<&'static str> {
        match &mut self.block {
            Some(block) if block.explicit => {
                if block.failed {
                    return Err(in_failed_block());
                }
                self.notice(
                    "WARNING",
                    SqlState::ActiveSqlTransaction,
                    "there is already a transaction in progress",
                );
            }
            // Statements before BEGIN in one query string belong to the block.
            Some(block) => block.explicit = true,
            None => self.open_block(true)?,
        }
        self.set_modes(modes).await?;
        Ok(tag)
    }

    /// `SET TRANSACTION`, and the modes of `BEGIN`.
    pub(super) async fn set_modes(&mut self, modes: &[TransactionMode]) -> SqlResult<()> {
        let Some(block) = &mut self.block else {
            return Ok(());
        };
        let mut guard = block.txn.lock().await;
        let Some(txn) = guard.as_mut() else {
            return Ok(());
        };
        for mode in modes {
            match mode.kind {
                // To say again what it is harms nothing, whenever it is said.
                TransactionModeKind::Isolation(level) if level == block.isolation => {}
                TransactionModeKind::Isolation(level) => {
                    if block.has_snapshot {
                        return Err(SqlError::new(
                            SqlState::ActiveSqlTransaction,
                            "SET TRANSACTION ISOLATION LEVEL must be called before any query",
                        ));
                    }
                    if !block.savepoints.is_empty() {
                        return Err(SqlError::new(
                            SqlState::ActiveSqlTransaction,
                            "SET TRANSACTION ISOLATION LEVEL must not be called in a subtransaction",
                        ));
                    }
                    txn.set_isolation(stored(level))?;
                    block.isolation = level;
                }
                TransactionModeKind::ReadOnly(read_only) => {
                    if block.read_only && !read_only && !block.savepoints.is_empty() {
                        return Err(SqlError::new(
                            SqlState::ActiveSqlTransaction,
                            "cannot set transaction read-write mode inside a read-only transaction",
                        ));
                    }
                    if block.read_only && !read_only && block.has_snapshot {
                        return Err(SqlError::new(
                            SqlState::ActiveSqlTransaction,
                            "transaction read-write mode must be set before any query",
                        ));
                    }
                    txn.set_read_only(read_only);
                    block.read_only = read_only;
                }
                TransactionModeKind::Deferrable(_) if !block.savepoints.is_empty() => {
                    return Err(SqlError::new(
                        SqlState::ActiveSqlTransaction,
                        "SET TRANSACTION [NOT] DEFERRABLE cannot be called within a subtransaction",
                    ));
                }
                // Snapshots here wait for nobody, so that there is nothing to defer.
                TransactionModeKind::Deferrable(_) if !block.has_snapshot => {}
                TransactionModeKind::Deferrable(_) => {
                    return Err(SqlError::new(
                        SqlState::ActiveSqlTransaction,
                        "SET TRANSACTION [NOT] DEFERRABLE must be called before any query",
                    ));
                }
            }
        }
        Ok(())
    }

    async fn end_block(&mut self, commit: bool, chain: bool) -> SqlResult<&'static str> {
        let explicit = self.block.as_ref().is_some_and(|block| block.explicit);
        if !explicit {
            if chain {
                let what = if commit { "COMMIT AND CHAIN" } else { "ROLLBACK AND CHAIN" };
                return Err(SqlError::new(
                    SqlState::NoActiveSqlTransaction,
                    format!("{what} can only be used in transaction blocks"),
                ));
            }
            self.notice(
                "WARNING",
                SqlState::NoActiveSqlTransaction,
                "there is no transaction in progress",
            );
        }
        let characteristics = self.block.as_ref().map(|block| (block.isolation, block.read_only));
        let failed = self.block.as_ref().is_some_and(|block| block.failed);
        let tag = if commit && !failed {
            self.commit().await?;
            "COMMIT"
        } else {
            self.roll_back().await;
            "ROLLBACK"
        };
        if chain && let Some((isolation, read_only)) = characteristics {
            self.open_block(true)?;
            self.keep_characteristics(isolation, read_only).await?;
        }
        Ok(tag)
    }

    /// `AND CHAIN`: the next transaction is as the last.
    async fn keep_characteristics(
        &mut self,
        isolation: ast::IsolationLevel,
        read_only: bool,
    ) -> SqlResult<()> {
        if let Some(block) = &mut self.block
            && let Some(txn) = block.txn.lock().await.as_mut()
        {
            txn.set_isolation(stored(isolation))?;
            txn.set_read_only(read_only);
            block.isolation = isolation;
            block.read_only = read_only;
        }
        Ok(())
    }

    fn block_for_savepoint(&mut self, what: &str) -> SqlResult<&mut Block> {
        match &mut self.block {
            Some(block) if block.explicit => Ok(block),
            _ => Err(SqlError::new(
                SqlState::NoActiveSqlTransaction,
                format!("{what} can only be used in transaction blocks"),
            )),
        }
    }

    async fn savepoint(&mut self, name: &str) -> SqlResult<&'static str> {
        let identity = self.host.identity();
        let (advisory, notify) = (identity.advisory.mark(), identity.channels.mark());
        let settings = self.settings.mark();
        let block = self.block_for_savepoint("SAVEPOINT")?;
        if block.failed {
            return Err(in_failed_block());
        }
        let mut guard = block.txn.lock().await;
        let txn = guard.as_mut().ok_or_else(|| SqlError::internal("the transaction is over"))?;
        let mark = txn.savepoint()?;
        block.savepoints.push(NamedSavepoint {
            name: name.to_owned(),
            mark,
            read_only: block.read_only,
            settings,
            ddl_count: block.ddl.len(),
            failed_before: false,
            advisory,
            notify,
            deferred: block.deferred.mark(),
        });
        Ok("SAVEPOINT")
    }

    async fn release(&mut self, name: &str) -> SqlResult<&'static str> {
        let block = self.block_for_savepoint("RELEASE SAVEPOINT")?;
        if block.failed {
            return Err(in_failed_block());
        }
        let at = block.find_savepoint(name)?;
        let found = block.savepoints.remove(at);
        block.savepoints.truncate(at);
        if let Some(txn) = block.txn.lock().await.as_mut() {
            txn.release(found.mark)?;
            txn.set_read_only(found.read_only);
        }
        block.read_only = found.read_only;
        self.portals.lock().release(at);
        Ok("RELEASE")
    }

    async fn rollback_to(&mut self, name: &str) -> SqlResult<&'static str> {
        let (portals, host) = (Arc::clone(&self.portals), Arc::clone(&self.host));
        let block = self.block_for_savepoint("ROLLBACK TO SAVEPOINT")?;
        let at = block.find_savepoint(name)?;
        portals.lock().roll_back_to(at + 1);
        block.savepoints.truncate(at + 1);
        let found = &block.savepoints[at];
        if let Some(txn) = block.txn.lock().await.as_mut() {
            txn.rollback_to(found.mark)?;
            txn.set_read_only(found.read_only);
        }
        block.read_only = found.read_only;
        let settings = found.settings.clone();
        host.identity().advisory.roll_back_to(found.advisory);
        host.identity().channels.roll_back_to(found.notify);
        block.deferred.roll_back_to(&found.deferred);
        block.ddl.truncate(found.ddl_count);
        block.successor = None;
        block.failed = found.failed_before;
        self.settings.roll_back_to(settings);
        self.current_catalog();
        Ok("ROLLBACK")
    }
}

impl Block {
    fn find_savepoint(&self, name: &str) -> SqlResult<usize> {
        self.savepoints.iter().rposition(|savepoint| savepoint.name == name).ok_or_else(|| {
            SqlError::new(
                SqlState::SEInvalidSpecification,
                format!("savepoint \"{name}\" does not exist"),
            )
        })
    }
}

/// READ UNCOMMITTED runs as READ COMMITTED, as in PostgreSQL.
const fn stored(level: ast::IsolationLevel) -> IsolationLevel {
    match level {
        ast::IsolationLevel::ReadUncommitted | ast::IsolationLevel::ReadCommitted => {
            IsolationLevel::ReadCommitted
        }
        ast::IsolationLevel::RepeatableRead => IsolationLevel::RepeatableRead,
        ast::IsolationLevel::Serializable => IsolationLevel::Serializable,
    }
}
