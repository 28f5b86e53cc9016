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

use std::sync::Arc;

use aegis_sql::ast::Statement;
use aegis_sql::query_engine::{CancelFlag, RowStream};
use aegis_types::{Datum, Oid, SqlError, SqlResult, TypeRef};

/// A column of a result.
#[derive(Clone, Debug)]
pub struct ResultColumn {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: TypeRef,
    /// The relation and column that it shows unchanged.
    pub origin: Option<(Oid, i16)>,
}

/// A statement analyzed once, to be run many times.
#[derive(Debug)]
pub struct Prepared {
    /// The text that it was parsed from.
    pub source: Arc<str>,
    /// As parsed; `None` for an empty query string.
    pub statement: Option<Arc<Statement>>,
    /// The types of `$1`, `$2`, …
    pub parameter_types: Vec<TypeRef>,
    /// The columns that it returns; `None` if it returns no rows (`NoData`).
    pub columns: Option<Vec<ResultColumn>>,
}

/// What running a statement gave.
pub enum Outcome {
    /// Rows, as they come. The tag is this word and the number of rows: `SELECT 5`.
    Rows {
        /// The word of the tag.
        tag: &'static str,
        /// The columns.
        columns: Vec<ResultColumn>,
        /// The rows. The session must not run another statement of the same transaction that
        /// writes while the stream is alive, other than through suspended portals.
        rows: Box<dyn RowStream>,
    },
    /// Rows that are there already, and a whole tag: `INSERT … RETURNING`, `SHOW`, `EXPLAIN`.
    Returned {
        /// The tag.
        tag: String,
        /// The columns.
        columns: Vec<ResultColumn>,
        /// The rows.
        rows: Vec<Vec<Datum>>,
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

/// What a client is told beside its results.
#[derive(Clone, Debug)]
pub struct Notice {
    /// `NOTICE`, `WARNING`, `INFO`.
    pub severity: &'static str,
    /// The other fields, as an error carries them.
    pub fields: SqlError,
}
