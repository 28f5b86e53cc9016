//! One running server: the store, its log, the planner, and what sessions share. This is the place
//! where the crates are put together.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use aegis_catalog::CatalogSnapshot;
use aegis_catalog::store::{
    CATALOG_TREE, add_first_privileges, bootstrap, builder, delete_schema, lacks_privileges,
};
use aegis_planner::DataFusionEngine;
use aegis_raft::disk::Folder;
use aegis_raft::{RaftLog, RaftLogOptions};
use aegis_sql::counters::Counters;
use aegis_sql::dml::RowIds;
use aegis_sql::query_engine::QueryEngine;
use aegis_storage::{Disk, RealDisk, StorageError, Store, StoreOptions, TxnOptions};
use aegis_types::{SqlError, SqlResult, SqlState};
use parking_lot::Mutex;
use tokio::task::JoinHandle;

use crate::auth::Authentication;
use crate::auto_analyze::{Analyzing, AutoAnalyzeOptions};
use crate::cancel::StopHandle;
use crate::exported::ExportedSnapshots;
use crate::notify::NotificationHub;
use crate::statement_cache::StatementCache;
use crate::statement_statistics::{StatementStatistics, StatisticsOptions};
use crate::table_activity::TableActivity;
use crate::tls::TlsSession;

/// What starting a server can fail with.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Storage did not open.
    #[error("cannot open the data directory: {0}")]
    Storage(#[from] StorageError),
    /// The log did not open.
    #[error("cannot open the commit log: {0}")]
    Log(#[from] aegis_raft::LogError),
    /// The operating system refused something.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// The folders of storage and of the commit log in the data directory.
const STORE_FOLDER: &str = "store";
const LOG_FOLDER: &str = "log";

/// The wall clock as storage wants it.
fn clock() -> aegis_storage::Clock {
    Arc::new(|| {
        aegis_types::clock::now() + aegis_types::clock::POSTGRES_EPOCH_UNIX_SECONDS * 1_000_000
    })
}

/// Told, with the reason, when the node must stop: it can no longer promise what it acknowledges.
pub type OnFatal = Arc<dyn Fn(String) + Send + Sync>;

/// One running server.
pub struct Instance {
    /// Where everything is.
    pub store: Store,
    /// Who plans queries.
    pub engine: Arc<dyn QueryEngine>,
    /// Hidden row ids.
    pub row_ids: Arc<RowIds>,
    /// Sequences and OIDs.
    pub counters: Arc<Counters>,
    /// Bytes that one query may hold before it spills.
    pub query_memory_bytes: usize,
    /// Where statements make files without a name.
    pub temporary_files: Arc<Path>,
    /// LISTEN and NOTIFY.
    pub notifications: Arc<NotificationHub>,
    /// When the server started, in microseconds since 2000-01-01 UTC.
    pub start_time: i64,
    /// Who is let in.
    pub authentication: Authentication,
    log: Arc<RaftLog>,
    sessions: Mutex<BTreeMap<i32, SessionEntry>>,
    query_runtime: Mutex<Option<tokio::runtime::Runtime>>,
    /// Texts that come again.
    pub(crate) statements: StatementCache,
    /// What sessions begin with, before what databases and roles say.
    settings: OnceLock<Vec<(String, String)>>,
    /// What statements cost.
    pub(crate) statistics: StatementStatistics,
    /// What tables have been through.
    pub(crate) table_activity: TableActivity,
    /// Snapshots for others to see the same.
    pub(crate) exported: ExportedSnapshots,
    /// What is being analyzed without being asked for.
    pub(crate) analyzing: Analyzing,
    auto_analyze: Mutex<AutoAnalyzeOptions>,
    disk: Arc<dyn Disk>,
    /// What sessions run on.
    pub runtime: tokio::runtime::Handle,
}

/// What a session does, as others may know it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SessionState {
    /// It waits for its client, without a transaction.
    #[default]
    Idle,
    /// It runs a statement.
    Active,
    /// It waits for its client in a transaction block.
    IdleInTransaction,
    /// It waits for its client in a transaction block that has failed.
    IdleInFailedTransaction,
}

impl SessionState {
    /// As `pg_stat_activity` shows it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Active => "active",
            Self::IdleInTransaction => "idle in transaction",
            Self::IdleInFailedTransaction => "idle in transaction (aborted)",
        }
    }
}

/// What a session does, and since when; times are microseconds since 2000-01-01 UTC.
#[derive(Clone, Debug)]
pub struct Activity {
    /// What it does.
    pub state: SessionState,
    /// Since when.
    pub state_change: Option<i64>,
    /// What it runs, or ran last, cut to a length.
    pub query: Arc<str>,
    /// What that is known by.
    pub query_id: Option<i64>,
    /// When that began.
    pub query_start: Option<i64>,
    /// When its open transaction began.
    pub transaction_start: Option<i64>,
    /// `application_name`
    pub application_name: Arc<str>,
}

impl Default for Activity {
    fn default() -> Self {
        Self {
            state: SessionState::Idle,
            state_change: None,
            query: Arc::from(""),
            query_id: None,
            query_start: None,
            transaction_start: None,
            application_name: Arc::from(""),
        }
    }
}

/// What other sessions may know of a session.
#[derive(Clone, Debug)]
pub struct SessionEntry {
    /// The database that it is connected to.
    pub database: String,
    /// Its role.
    pub user: String,
    /// When it began.
    pub start_time: i64,
    /// What stops it.
    pub stop_handle: StopHandle,
    /// Where its client is.
    pub client_address: Option<SocketAddr>,
    /// How it is encrypted, if it is.
    pub tls: Option<TlsSession>,
    /// What it does: the session's own to write.
    pub activity: Arc<Mutex<Activity>>,
}

impl Instance {
    /// Opens the data in `data_dir`, or makes it; returns once every acknowledged commit is back and
    /// new ones are taken. Must be called on a multi-threaded runtime that outlives the instance.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn open(
        data_dir: &Path,
        memory_bytes: u64,
        on_fatal: OnFatal,
    ) -> Result<Arc<Self>, StartError> {
        let disk = Arc::new(RealDisk::open(data_dir)?);
        let store = StoreOptions::new(STORE_FOLDER, memory_bytes, clock());
        let temporary_files = data_dir.join("temporary");
        std::fs::create_dir_all(&temporary_files)?;
        let log = RaftLogOptions {
            in_place: aegis_storage::serves_one_session,
            ..RaftLogOptions::default()
        };
        Self::open_on(disk, store, log, &temporary_files, on_fatal).await
    }

    /// As [`Instance::open`], on any disk and with all options: everything that is durable lies on
    /// this disk; what statements keep beyond their memory lies in `temporary_files`.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn open_on(
        disk: Arc<dyn Disk>,
        store_options: StoreOptions,
        log_options: RaftLogOptions,
        temporary_files: &Path,
        on_fatal: OnFatal,
    ) -> Result<Arc<Self>, StartError> {
        crate::engines::register();
        let query_memory_bytes =
            usize::try_from(store_options.memory.query_bytes).unwrap_or(usize::MAX);
        let log_folder = Folder::open(disk.clone(), Path::new(LOG_FOLDER))?;
        let store = Store::open(store_options, disk.clone())?;
        let told = on_fatal.clone();
        store.on_fatal(Box::new(move |reason| told(reason.to_owned())));
        store.set_catalog_builder(Box::new(|tree| tree == CATALOG_TREE), builder())?;
        let log = RaftLog::open_on(
            Arc::new(log_folder),
            log_options,
            Arc::new(store.clone()),
            move |error| on_fatal(error.to_string()),
        )
        .await?;
        store.attach_log(log.clone());
        store.wait_ready().await?;
        let query_runtime = tokio::runtime::Builder::new_multi_thread()
            .thread_name("aegis-query")
            .max_blocking_threads(crate::task::WAITING_THREADS_MAX)
            .enable_all()
            .build()?;
        let instance = Arc::new(Self {
            engine: Arc::new(DataFusionEngine::new(query_runtime.handle().clone())),
            row_ids: Arc::default(),
            counters: Arc::new(Counters::new(store.clone(), tokio::runtime::Handle::current())),
            query_memory_bytes,
            temporary_files: temporary_files.into(),
            notifications: Arc::default(),
            start_time: aegis_types::clock::now(),
            authentication: Authentication::default(),
            log,
            sessions: Mutex::default(),
            query_runtime: Mutex::new(Some(query_runtime)),
            statements: StatementCache::default(),
            settings: OnceLock::new(),
            statistics: StatementStatistics::default(),
            table_activity: TableActivity::default(),
            exported: ExportedSnapshots::default(),
            analyzing: Analyzing::default(),
            auto_analyze: Mutex::default(),
            disk: disk.clone(),
            runtime: tokio::runtime::Handle::current(),
            store,
        });
        instance.statistics.load(&*disk);
        instance.bootstrap_once().await?;
        instance.remove_temporary().await?;
        Ok(instance)
    }

    async fn bootstrap_once(&self) -> Result<(), StartError> {
        let catalog = self.catalog();
        let is_new = catalog.databases().next().is_none();
        if is_new || lacks_privileges(&catalog) {
            let mut txn = self.store.begin(TxnOptions::default())?;
            if is_new {
                bootstrap(&mut txn)?;
            } else {
                add_first_privileges(&mut txn, &catalog)?;
            }
            txn.commit().await?;
        }
        Ok(())
    }

    /// Removes the temporary relations of sessions that a crash ended.
    async fn remove_temporary(&self) -> Result<(), StartError> {
        let catalog = self.catalog();
        let left: Vec<_> = catalog.temporary_schemas().map(|schema| schema.oid).collect();
        if left.is_empty() {
            return Ok(());
        }
        let mut txn = self.store.begin(TxnOptions::default())?;
        for schema in left {
            delete_schema(&mut txn, &catalog, schema)?;
        }
        txn.commit().await?;
        Ok(())
    }

    /// The newest published catalog.
    #[must_use]
    pub fn catalog(&self) -> Arc<CatalogSnapshot> {
        self.store
            .newest_catalog()
            .downcast()
            .expect("the store's catalog builder makes CatalogSnapshots")
    }

    /// Makes a session known to the others, unless its role or its database has as many as it may;
    /// -1 is no limit.
    ///
    /// # Errors
    /// 53300.
    pub fn register(
        &self,
        process_id: i32,
        entry: SessionEntry,
        role_limit: i32,
        database_limit: i32,
    ) -> SqlResult<()> {
        let mut sessions = self.sessions.lock();
        let full = |limit: i32, count: usize| usize::try_from(limit).is_ok_and(|it| count >= it);
        let of_role = sessions.values().filter(|other| other.user == entry.user).count();
        let of_database = sessions.values().filter(|it| it.database == entry.database).count();
        let too_many = |what: &str, name: &str| {
            Err(SqlError::new(
                SqlState::TooManyConnections,
                format!("too many connections for {what} \"{name}\""),
            )
            .fatal())
        };
        if full(role_limit, of_role) {
            return too_many("role", &entry.user);
        }
        if full(database_limit, of_database) {
            return too_many("database", &entry.database);
        }
        sessions.insert(process_id, entry);
        Ok(())
    }

    /// Forgets a session.
    pub fn unregister(&self, process_id: i32) {
        self.sessions.lock().remove(&process_id);
    }

    /// Every session, by process id.
    #[must_use]
    pub fn sessions(&self) -> Vec<(i32, SessionEntry)> {
        self.sessions.lock().iter().map(|(id, entry)| (*id, entry.clone())).collect()
    }

    /// How many sessions are connected to a database.
    #[must_use]
    pub fn sessions_of(&self, database: &str) -> usize {
        self.sessions.lock().values().filter(|entry| entry.database == database).count()
    }

    /// Sets how tables are analyzed without being asked for.
    pub fn configure_auto_analyze(&self, options: AutoAnalyzeOptions) {
        *self.auto_analyze.lock() = options;
    }

    /// How tables are analyzed without being asked for.
    #[must_use]
    pub fn auto_analyze(&self) -> AutoAnalyzeOptions {
        *self.auto_analyze.lock()
    }

    /// Sets what sessions begin with; the first call counts.
    pub fn configure_settings(&self, settings: Vec<(String, String)>) {
        let _kept = self.settings.set(settings);
    }

    /// What sessions begin with: names and values.
    pub(crate) fn settings(&self) -> &[(String, String)] {
        self.settings.get().map_or(&[], Vec::as_slice)
    }

    /// Sets how much is kept of what statements cost.
    pub fn configure_statistics(&self, options: StatisticsOptions) {
        self.statistics.configure(options);
    }

    /// Starts work that takes a processor for a while, on a thread beside those of the sessions.
    ///
    /// # Errors
    /// 57P01 when this shuts down.
    pub(crate) fn compute<F>(&self, name: &'static str, work: F) -> SqlResult<JoinHandle<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        match &*self.query_runtime.lock() {
            Some(runtime) => Ok(crate::task::spawn_on(runtime.handle(), name, work)),
            None => Err(StorageError::ShuttingDown.into()),
        }
    }

    /// Stops: whatever is committed is in the log, and the log is closed. Only where no session is left
    /// (`drained`) do sequences give back what they had reserved: who is there might still take of it.
    pub async fn shutdown(&self, drained: bool) {
        self.statistics.save(&*self.disk);
        if drained && let Err(error) = self.counters.settle(&self.catalog()).await {
            tracing::error!(%error, "sequences will go on behind what they had reserved");
        }
        if let Err(error) = self.log.shutdown().await {
            tracing::error!(%error, "the commit log did not shut down cleanly");
        }
        if let Err(error) = self.store.shutdown().await {
            tracing::error!(%error, "the store did not shut down cleanly");
        }
        if let Some(runtime) = self.query_runtime.lock().take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // A runtime must not be waited for where the last handle goes, which may be a task.
        if let Some(runtime) = self.query_runtime.get_mut().take() {
            runtime.shutdown_background();
        }
    }
}
