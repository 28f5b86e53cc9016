//! Transactions, savepoints and two-phase commit.

use aegis_types::SqlResult;

use super::keyword::Keyword as Kw;
use super::lexer::TokenKind;
use super::stream::TokenStream;
use crate::ast::{
    IsolationLevel, Statement, TransactionMode, TransactionModeKind, TransactionStmt,
};

impl TokenStream<'_> {
    /// A statement that bounds a transaction, but `PREPARE TRANSACTION`.
    pub(super) fn transaction(&mut self) -> SqlResult<Statement> {
        let keyword = self.keyword();
        self.skip();
        let statement = match keyword {
            Some(Kw::Begin) => {
                self.opt_transaction_word();
                TransactionStmt::Begin(self.opt_transaction_modes()?)
            }
            Some(Kw::Start) => {
                self.expect(Kw::Transaction)?;
                TransactionStmt::Start(self.opt_transaction_modes()?)
            }
            Some(Kw::Commit) if self.eat(Kw::Prepared) => {
                TransactionStmt::CommitPrepared(self.string()?)
            }
            Some(Kw::Commit | Kw::End) => {
                self.opt_transaction_word();
                TransactionStmt::Commit { chain: self.opt_chain()? }
            }
            Some(Kw::Savepoint) => TransactionStmt::Savepoint(self.col_id()?),
            Some(Kw::Release) => {
                // A savepoint may be called `savepoint`.
                if self.at(Kw::Savepoint) && self.col_id_ahead(1) {
                    self.skip();
                }
                TransactionStmt::Release(self.col_id()?)
            }
            Some(Kw::Rollback) if self.eat(Kw::Prepared) => {
                TransactionStmt::RollbackPrepared(self.string()?)
            }
            _ => {
                self.opt_transaction_word();
                if keyword == Some(Kw::Rollback) && self.eat(Kw::To) {
                    if self.at(Kw::Savepoint) && self.col_id_ahead(1) {
                        self.skip();
                    }
                    TransactionStmt::RollbackTo(self.col_id()?)
                } else {
                    TransactionStmt::Rollback { chain: self.opt_chain()? }
                }
            }
        };
        Ok(Statement::Transaction(statement))
    }

    fn opt_transaction_word(&mut self) {
        if !self.eat(Kw::Work) {
            self.eat(Kw::Transaction);
        }
    }

    /// `AND [NO] CHAIN`, or nothing.
    fn opt_chain(&mut self) -> SqlResult<bool> {
        if !self.eat(Kw::And) {
            return Ok(false);
        }
        let no = self.eat(Kw::No);
        self.expect(Kw::Chain)?;
        Ok(!no)
    }

    fn opt_transaction_modes(&mut self) -> SqlResult<Vec<TransactionMode>> {
        if self.at_any(&[Kw::Isolation, Kw::Read, Kw::Deferrable, Kw::Not]) {
            self.transaction_modes()
        } else {
            Ok(Vec::new())
        }
    }

    /// One or more modes, with commas between them or without.
    pub(super) fn transaction_modes(&mut self) -> SqlResult<Vec<TransactionMode>> {
        let mut modes = vec![self.transaction_mode()?];
        while self.eat_char(',') || self.at_any(&[Kw::Isolation, Kw::Read, Kw::Deferrable, Kw::Not])
        {
            modes.push(self.transaction_mode()?);
        }
        Ok(modes)
    }

    fn transaction_mode(&mut self) -> SqlResult<TransactionMode> {
        let location = self.location();
        let kind = match self.keyword() {
            Some(Kw::Isolation) => {
                self.skip();
                self.expect(Kw::Level)?;
                TransactionModeKind::Isolation(self.isolation_level()?)
            }
            Some(Kw::Read) => {
                self.skip();
                let only = self.eat(Kw::Only);
                if !only {
                    self.expect(Kw::Write)?;
                }
                TransactionModeKind::ReadOnly(only)
            }
            Some(Kw::Deferrable) => {
                self.skip();
                TransactionModeKind::Deferrable(true)
            }
            Some(Kw::Not) => {
                self.skip();
                self.expect(Kw::Deferrable)?;
                TransactionModeKind::Deferrable(false)
            }
            _ => return Err(self.syntax_error()),
        };
        Ok(TransactionMode { kind, location })
    }

    fn isolation_level(&mut self) -> SqlResult<IsolationLevel> {
        match self.keyword() {
            Some(Kw::Read) => {
                self.skip();
                if self.eat(Kw::Uncommitted) {
                    return Ok(IsolationLevel::ReadUncommitted);
                }
                self.expect(Kw::Committed)?;
                Ok(IsolationLevel::ReadCommitted)
            }
            Some(Kw::Repeatable) => {
                self.skip();
                self.expect(Kw::Read)?;
                Ok(IsolationLevel::RepeatableRead)
            }
            _ => {
                self.expect(Kw::Serializable)?;
                Ok(IsolationLevel::Serializable)
            }
        }
    }

    /// Whether `PREPARE TRANSACTION 'gid'` is at hand.
    pub(super) fn at_prepare_transaction(&self) -> bool {
        self.at_ahead(1, Kw::Transaction) && matches!(self.peek_ahead(2), TokenKind::String(_))
    }

    /// `PREPARE TRANSACTION 'gid'`.
    pub(super) fn prepare_transaction(&mut self) -> SqlResult<Statement> {
        self.expect_sequence(&[Kw::Prepare, Kw::Transaction])?;
        Ok(Statement::Transaction(TransactionStmt::Prepare(self.string()?)))
    }
}
