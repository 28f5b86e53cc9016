//! Portals: statements with their parameters, ready to run or part of the way through.
//!
//! ```text
//!  Bind ──► Ready ── Execute ──► Rows ⟲ Execute (suspended, or at its end: no rows, the tag again)
//!             │                    │
//!             ├── no rows ──► Done │ ──── both: 55000 when executed again
//!             └── error ──► Failed ┘
//! ```
//!
//! All of them go with their transaction.

use std::sync::Arc;

use aegis_sql::ast::{Statement, TransactionStmt};
use aegis_sql::query_engine::CancelFlag;
use aegis_types::{Datum, SqlError, SqlState};

use super::rows::{Formats, RowCursor};
use crate::session::Prepared;

/// A portal.
pub(super) struct Portal {
    pub(super) prepared: Arc<Prepared>,
    pub(super) formats: Formats,
    pub(super) state: PortalState,
}

/// How far a portal has come.
pub(super) enum PortalState {
    /// Not run yet.
    Ready(Vec<Datum>),
    /// Running, suspended or at its end.
    Rows {
        cursor: Box<RowCursor>,
        /// The flag that its statement looks at.
        flag: CancelFlag,
        /// All rows are sent.
        at_end: bool,
    },
    /// Run, and returned no rows.
    Done,
    /// Run into an error, or caught in a transaction that did.
    Failed,
}

impl Portal {
    /// Whether its statement has begun and not ended.
    pub(super) const fn is_suspended(&self) -> bool {
        matches!(self.state, PortalState::Rows { at_end: false, .. })
    }
}

/// 34000.
pub(super) fn no_such_portal(name: &str) -> SqlError {
    SqlError::new(SqlState::InvalidCursorName, format!("portal \"{name}\" does not exist"))
}

/// 55000.
pub(super) fn cannot_run(name: &str) -> SqlError {
    SqlError::new(
        SqlState::ObjectNotInPrerequisiteState,
        format!("portal \"{name}\" cannot be run"),
    )
}

/// 25P02.
pub(super) fn transaction_is_aborted() -> SqlError {
    SqlError::new(
        SqlState::InFailedSqlTransaction,
        "current transaction is aborted, commands ignored until end of transaction block",
    )
}

/// Whether a statement may run in a failed transaction block, because it leaves it.
pub(super) const fn leaves_failed_block(statement: Option<&Statement>) -> bool {
    matches!(
        statement,
        Some(Statement::Transaction(
            TransactionStmt::Commit { .. }
                | TransactionStmt::Rollback { .. }
                | TransactionStmt::RollbackTo(_)
                | TransactionStmt::Prepare(_)
        ))
    )
}

/// Whether a statement, having succeeded, has ended the transaction, and all portals with it.
pub(super) const fn ends_transaction(statement: Option<&Statement>) -> bool {
    matches!(
        statement,
        Some(Statement::Transaction(
            TransactionStmt::Commit { .. }
                | TransactionStmt::Rollback { .. }
                | TransactionStmt::Prepare(_)
        ))
    )
}
