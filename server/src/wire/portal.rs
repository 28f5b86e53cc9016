//! What the protocol asks of portals, which are the session's: when they may run.

use aegis_sql::ast::{Statement, TransactionStmt};
use aegis_types::{SqlError, SqlState};

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
