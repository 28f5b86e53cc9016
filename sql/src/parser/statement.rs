//! Which production a statement's first words lead to.

use aegis_types::{SqlError, SqlResult};

use super::GrammarExtension;
use super::keyword::Keyword as Kw;
use super::lexer::TokenKind;
use super::stream::TokenStream;
use crate::ast::Statement;

impl TokenStream<'_> {
    /// A statement, of an extension if one takes it.
    pub(super) fn extended_statement(
        &mut self,
        extensions: &[&dyn GrammarExtension],
    ) -> SqlResult<Statement> {
        for extension in extensions {
            let word = match self.peek() {
                TokenKind::Ident(word) => word,
                TokenKind::Keyword(keyword) => keyword.word(),
                _ => break,
            };
            if extension.leading().contains(&word)
                && let Some(statement) = extension.parse(self)?
            {
                return Ok(statement);
            }
        }
        self.statement()
    }

    /// A statement (`stmt`), without its semicolon.
    pub fn statement(&mut self) -> SqlResult<Statement> {
        if self.at_char('(') {
            return self.preparable_statement();
        }
        let Some(keyword) = self.keyword() else {
            return Err(self.syntax_error());
        };
        match keyword {
            Kw::Select
            | Kw::Values
            | Kw::Table
            | Kw::With
            | Kw::Insert
            | Kw::Update
            | Kw::Delete
            | Kw::Merge => self.preparable_statement(),
            Kw::Create => self.nested(Self::create),
            Kw::Alter => self.alter(),
            Kw::Drop => self.drop_statement(),
            Kw::Grant => self.grant(),
            Kw::Revoke => self.revoke(),
            Kw::Reassign => self.reassign_owned(),
            Kw::Comment => self.comment(),
            Kw::Truncate => self.truncate(),
            Kw::Lock => self.lock(),
            Kw::Vacuum => self.vacuum(),
            Kw::Analyze | Kw::Analyse => self.analyze(),
            Kw::Cluster => self.cluster(),
            Kw::Reindex => self.reindex(),
            Kw::Refresh => self.refresh_matview(),
            Kw::Explain => self.nested(Self::explain),
            Kw::Copy => self.copy(),
            Kw::Begin
            | Kw::Start
            | Kw::Commit
            | Kw::End
            | Kw::Rollback
            | Kw::Abort
            | Kw::Savepoint
            | Kw::Release => self.transaction(),
            Kw::Set => self.set(),
            Kw::Reset => self.reset(),
            Kw::Show => self.show(),
            Kw::Discard => self.discard(),
            Kw::Prepare => self.prepare(),
            Kw::Execute => self.execute(),
            Kw::Deallocate => self.deallocate(),
            Kw::Declare => self.declare_cursor(),
            Kw::Fetch | Kw::Move => self.fetch(),
            Kw::Close => self.close(),
            Kw::Listen => self.listen(),
            Kw::Unlisten => self.unlisten(),
            Kw::Notify => self.notify(),
            Kw::Do => self.do_block(),
            Kw::Call => self.call(),
            Kw::Checkpoint => {
                self.skip();
                Ok(Statement::Checkpoint)
            }
            Kw::Load | Kw::Import | Kw::Security => self.unsupported_statement(),
            _ => Err(self.syntax_error()),
        }
    }

    /// The body of `EXPLAIN` and its like: what can be explained.
    pub(super) fn explainable_statement(&mut self) -> SqlResult<Statement> {
        match self.keyword() {
            Some(Kw::Declare) => self.declare_cursor(),
            Some(Kw::Create) => {
                let location = self.location();
                let statement = self.nested(Self::create)?;
                match statement {
                    Statement::CreateTableAs(_) => Ok(statement),
                    _ => Err(SqlError::unsupported("EXPLAIN of this statement").at(location)),
                }
            }
            Some(Kw::Refresh) => self.refresh_matview(),
            Some(Kw::Execute) => self.execute(),
            Some(
                Kw::Select
                | Kw::Values
                | Kw::Table
                | Kw::With
                | Kw::Insert
                | Kw::Update
                | Kw::Delete
                | Kw::Merge,
            ) => self.preparable_statement(),
            _ if self.at_char('(') => self.preparable_statement(),
            _ => Err(self.syntax_error()),
        }
    }
}
