//! A session: settings, transaction block, prepared statements' meaning, and the running of
//! statements. It knows no socket and no message: [`crate::wire`] drives it.
//!
//! ```text
//!            begin_statement                finish (Sync, or the end of a simple query)
//!   Idle ──────────────────► Implicit ─────────────────────────────────► Idle   (commit)
//!    │ BEGIN                    │ error
//!    ▼                          ▼ fail
//!   Block ── error ──► Failed  Idle                                             (rollback)
//!    ▲ │ COMMIT, ROLLBACK   │ ROLLBACK, ROLLBACK TO
//!    └─┴────────────────────┘
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aegis_catalog::CatalogSnapshot;
use aegis_sql::analyze::Analyzed;
use aegis_sql::ast::{RawStatement, Statement};
use aegis_sql::ddl::Notice;
use aegis_sql::engine::SCHEMA;
use aegis_sql::explain::Measure;
use aegis_sql::query_engine::{CancelFlag, RowStream};
use aegis_sql::settings::{REPORTED, SessionSettings};
use aegis_types::builtin::builtins;
use aegis_types::{FormatSettings, Host, Oid, SqlError, SqlResult, SqlState, TypeRef};
use parking_lot::Mutex;

use crate::instance::{Activity, Instance};
use crate::notify::Mailbox;

/// A column of a result.
#[derive(Clone, Debug)]
pub struct ResultColumn {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: TypeRef,
    /// `typlen` of that.
    pub length: i16,
    /// The relation and column that it shows unchanged.
    pub origin: Option<(Oid, i16)>,
}

impl ResultColumn {
    /// A column of what a statement tells that reads no relation: its type is one of PostgreSQL's.
    pub(crate) fn told(name: &str, ty: Oid) -> Self {
        let length = builtins().type_row(ty).map_or(-1, |row| row.length);
        Self { name: name.to_owned(), ty: TypeRef::plain(ty), length, origin: None }
    }
}

/// A statement analyzed once, to be run many times.
pub struct Prepared {
    /// The text that it was parsed from.
    pub source: Arc<str>,
    /// As parsed; `None` for an empty query string.
    pub statement: Option<Arc<Statement>>,
    /// When, in microseconds since 2000-01-01 UTC.
    pub prepare_time: i64,
    /// Whether PREPARE made it, and not the protocol.
    pub from_sql: bool,
    /// The types of `$1`, `$2`, …
    pub parameter_types: Vec<TypeRef>,
    /// The columns that it returns; `None` if it returns no rows (`NoData`).
    pub columns: Option<Arc<[ResultColumn]>>,
    /// What it means under `catalog`; `None` for statements that are analyzed where they run.
    analyzed: Option<Arc<Analyzed>>,
    /// The catalog that it was analyzed with: under another it is analyzed again.
    catalog: Arc<CatalogSnapshot>,
    /// The schemas in which its names were looked up.
    search_path: Arc<[Oid]>,
    /// What it means by the catalog and the schemas that it was last run with, if those are others.
    newest: Mutex<Option<Newest>>,
    /// Where it stands in `source`.
    place: Place,
    /// As it was written, where some of its literals have become parameters since.
    written: Option<Arc<Statement>>,
    /// What statistics know it by.
    identity: tracking::KeptIdentity,
}

/// What a statement means by this catalog and these schemas.
type Newest = (Arc<Analyzed>, Arc<CatalogSnapshot>, Arc<[Oid]>);

impl Prepared {
    /// Whether this is the catalog that it was analyzed with.
    pub(crate) fn is_under(&self, catalog: &Arc<CatalogSnapshot>) -> bool {
        Arc::ptr_eq(&self.catalog, catalog)
    }
}

/// A session's named prepared statements; `pg_prepared_statements` shows them.
type PreparedStatements = Mutex<BTreeMap<String, Arc<Prepared>>>;

/// What running a statement gave.
pub enum Outcome {
    /// Rows, as they come. The tag is this word and the number of rows: `SELECT 5`.
    Rows {
        /// The word of the tag.
        tag: &'static str,
        /// The columns.
        columns: Arc<[ResultColumn]>,
        /// The rows. The session must not run another statement of the same transaction that
        /// writes while the stream is alive, other than through suspended portals.
        rows: Box<dyn RowStream>,
    },
    /// Rows of a statement that has run, and a whole tag: `INSERT … RETURNING`, `SHOW`, `EXPLAIN`.
    Returned {
        /// The tag.
        tag: String,
        /// The columns.
        columns: Arc<[ResultColumn]>,
        /// The rows.
        rows: Box<dyn RowStream>,
    },
    /// No rows: a whole tag.
    Done(String),
    /// `COPY … FROM STDIN`: send CopyInResponse, then feed [`CopyIn`].
    CopyIn(Box<dyn CopyIn>),
    /// `COPY … TO STDOUT`: send CopyOutResponse, then what [`CopyOut`] gives.
    CopyOut(Box<dyn CopyOut>),
    /// An empty query string.
    Empty,
}

/// A `COPY … FROM STDIN` under way.
#[async_trait::async_trait]
pub trait CopyIn: Send {
    /// The format code (0 text, 1 binary) and how many columns.
    fn format(&self) -> (u8, usize);

    /// Takes the bytes of one CopyData.
    ///
    /// # Errors
    /// Whatever the data raises, with the line in the context.
    async fn data(&mut self, bytes: &[u8], session: &mut Session) -> SqlResult<()>;

    /// CopyDone: gives the tag.
    ///
    /// # Errors
    /// Likewise.
    async fn done(self: Box<Self>, session: &mut Session) -> SqlResult<String>;
}

/// A `COPY … TO STDOUT` under way.
#[async_trait::async_trait]
pub trait CopyOut: Send {
    /// The format code (0 text, 1 binary) and how many columns.
    fn format(&self) -> (u8, usize);

    /// The next rows, one entry a CopyData; `None` at the end.
    ///
    /// # Errors
    /// Whatever the query raises.
    async fn next(&mut self) -> SqlResult<Option<Vec<Vec<u8>>>>;

    /// The tag, once all is sent.
    fn tag(&self) -> String;
}

mod activity;
mod block;
mod concurrently;
mod bound_relations;
mod constraints;
mod copy;
mod copy_in;
pub(crate) mod cursor;
mod declare;
mod explain;
mod host;
pub(crate) mod portal;
mod prepared;
pub mod repeated;
mod rerun;
mod role;
mod run;
mod temporary;
mod tracking;
mod startup;
mod tail;
mod utility;
mod maintenance;

pub use startup::Startup;
pub use tracking::Place;

/// A session.
pub struct Session {
    instance: Arc<Instance>,
    process_id: i32,
    database: Oid,
    database_name: String,
    /// The role that logged in.
    login_role: Oid,
    settings: SessionSettings,
    reported: BTreeMap<&'static str, String>,
    /// The settings as they were then.
    reported_of: Option<SessionSettings>,
    host: Arc<host::SessionHost>,
    block: Option<block::Block>,
    statements: Arc<PreparedStatements>,
    portals: Arc<Mutex<portal::Portals>>,
    notices: Vec<Notice>,
    cancel: CancelFlag,
    /// What others see of it.
    activity: Arc<Mutex<Activity>>,
    statement_timestamp: i64,
    /// Counts what plans do, while a statement is explained.
    measure: Option<Arc<Measure>>,
    /// What is gathered of its statements.
    tracking: tracking::Tracking,
    /// How long plans took to make, while a statement is counted.
    planned: Option<tracking::PlanningClock>,
    /// When that statement began to run.
    execution_began: Option<std::time::Instant>,
    /// The statement is one of several of a simple query: they share a transaction.
    several_statements: bool,
    /// Whether the session has, or had, temporary relations.
    uses_temporary: bool,
    /// Whether the relations of engines are not made when they are named: this session makes them.
    makes_engines: bool,
}

/// How long things may take; `None` is for ever.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timeouts {
    /// `statement_timeout`
    pub statement: Option<Duration>,
    /// `idle_in_transaction_session_timeout`
    pub idle_in_transaction: Option<Duration>,
    /// `idle_session_timeout`
    pub idle_session: Option<Duration>,
}

impl Session {
    /// Parses a query string.
    ///
    /// # Errors
    /// 42601 and its like.
    pub fn parse(&mut self, sql: &str) -> SqlResult<Vec<RawStatement>> {
        self.begin_text();
        aegis_sql::parser::parse(sql)
    }

    /// A query string begins.
    fn begin_text(&mut self) {
        self.begin_message();
        self.several_statements = false;
    }

    /// A message that runs something, or makes it ready to run, has come: `statement_timestamp()` is
    /// now, and so is `now()` if it begins a transaction.
    pub fn begin_message(&mut self) {
        self.statement_timestamp = aegis_types::clock::now();
        aegis_storage::serving(self.process_id);
    }

    /// When the message under way came.
    #[must_use]
    pub const fn statement_timestamp(&self) -> i64 {
        self.statement_timestamp
    }

    /// The statements parsed last are run as one string: several of them share a transaction, as in
    /// a block.
    pub fn share_transaction(&mut self, statements: usize) {
        self.several_statements = statements > 1;
    }

    /// `I` idle, `T` in a transaction block, `E` in a failed one.
    #[must_use]
    pub fn transaction_status(&self) -> u8 {
        match &self.block {
            Some(block) if block.explicit && block.failed => b'E',
            Some(block) if block.explicit => b'T',
            _ => b'I',
        }
    }

    /// What the client is to be told, as far as `client_min_messages` lets it through; forgotten
    /// here.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        let warnings = self.host.take_warnings();
        if self.notices.is_empty() && warnings.is_empty() {
            return Vec::new();
        }
        let least = &*self.settings.frequent().least_message;
        let passes = |severity: &str| match severity {
            "INFO" => true,
            "WARNING" => least != "error",
            _ => !matches!(least, "error" | "warning"),
        };
        let mut notices = std::mem::take(&mut self.notices);
        let warnings = warnings.into_iter();
        notices.extend(warnings.map(|fields| Notice { severity: "WARNING", fields }));
        notices.into_iter().filter(|notice| passes(notice.severity)).collect()
    }

    /// The reported settings that changed since they were last asked for; at first, all.
    pub fn changed_parameters(&mut self) -> Vec<(String, String)> {
        let mut changed = Vec::new();
        if self.reported_of.as_ref().is_some_and(|then| then.is_same(&self.settings)) {
            return changed;
        }
        self.reported_of = Some(self.settings.clone());
        for name in REPORTED {
            let value = self.settings.show(name).unwrap_or_default();
            if self.reported.get(name) != Some(&value) {
                self.reported.insert(name, value.clone());
                changed.push(((*name).to_owned(), value));
            }
        }
        changed
    }

    /// The settings that values are read and printed with.
    #[must_use]
    pub fn format(&self) -> Arc<FormatSettings> {
        self.settings.format()
    }

    /// Who answers functions that need a session.
    #[must_use]
    pub fn host(&self) -> Arc<dyn Host> {
        self.host.clone()
    }

    /// The flag of the statement under way.
    #[must_use]
    pub fn cancel_flag(&self) -> CancelFlag {
        self.cancel.clone()
    }

    /// Makes a fresh flag for the next statement.
    pub fn arm_cancel(&mut self) {
        self.cancel = CancelFlag::default();
    }

    /// How long things may take.
    #[must_use]
    pub fn timeouts(&self) -> Timeouts {
        let frequent = self.settings.frequent();
        Timeouts {
            statement: frequent.statement_timeout,
            idle_in_transaction: frequent.idle_in_transaction_timeout,
            idle_session: frequent.idle_session_timeout,
        }
    }

    /// Where notifications arrive: to be sent whenever no transaction is open.
    #[must_use]
    pub fn mailbox(&self) -> Arc<Mailbox> {
        self.host.identity().channels.mailbox()
    }

    fn notice(&mut self, severity: &'static str, code: SqlState, message: impl Into<String>) {
        self.notices.push(Notice { severity, fields: SqlError::new(code, message) });
    }

    /// The session is driven within the process.
    pub(crate) const fn is_within(&mut self) {
        self.makes_engines = true;
    }

    /// The relations of engines come into being when a statement first names their schema.
    pub(super) async fn make_engines_if_named(
        &mut self,
        text: &str,
        is_of_engine: bool,
    ) -> SqlResult<()> {
        if self.makes_engines || !(is_of_engine || text.contains(SCHEMA)) {
            return Ok(());
        }
        if self.instance.catalog().schema_named(self.database, SCHEMA).is_none() {
            let (instance, database) = (self.instance.clone(), self.database_name.clone());
            Box::pin(instance.install_engines(&database)).await?;
        }
        Ok(())
    }

    /// Ends the session: an open transaction is rolled back.
    pub async fn close(mut self) {
        self.roll_back().await;
        if let Err(error) = self.drop_temporary().await {
            tracing::error!(%error, "temporary relations stay until the next start");
        }
    }
}

impl Drop for Session {
    /// Whatever ended it, a panic included, nobody finds it connected any more.
    fn drop(&mut self) {
        let identity = self.host.identity();
        identity.channels.stop_listening();
        identity.advisory.end_transaction();
        identity.advisory.unlock_all();
        self.instance.unregister(self.process_id);
    }
}
