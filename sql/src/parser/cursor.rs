//! Cursors, prepared statements and notifications.

use aegis_types::SqlResult;

use super::keyword::Keyword as Kw;
use super::lexer::TokenKind;
use super::stream::TokenStream;
use crate::ast::{
    CursorOptions, DeclareCursorStmt, ExecuteStmt, FETCH_ALL, FetchDirection, FetchStmt,
    NotifyStmt, PrepareStmt, Statement,
};

impl TokenStream<'_> {
    /// `PREPARE …`.
    pub(super) fn prepare(&mut self) -> SqlResult<Statement> {
        if self.at_prepare_transaction() {
            return self.prepare_transaction();
        }
        self.expect(Kw::Prepare)?;
        let name = self.col_id()?;
        let arg_types =
            if self.at_char('(') { self.parenthesized_list(Self::type_name)? } else { Vec::new() };
        self.expect(Kw::As)?;
        let query = self.preparable_statement()?;
        Ok(Statement::Prepare(Box::new(PrepareStmt { name, arg_types, query })))
    }

    /// `EXECUTE name [(arguments)]`.
    pub(super) fn execute(&mut self) -> SqlResult<Statement> {
        self.expect(Kw::Execute)?;
        let name = self.col_id()?;
        let params = self.opt_expr_list()?;
        Ok(Statement::Execute(ExecuteStmt { name, params }))
    }

    /// `DEALLOCATE …`.
    pub(super) fn deallocate(&mut self) -> SqlResult<Statement> {
        self.expect(Kw::Deallocate)?;
        if self.at(Kw::Prepare) && (self.col_id_ahead(1) || self.at_ahead(1, Kw::All)) {
            self.skip();
        }
        let name = if self.eat(Kw::All) { None } else { Some(self.col_id()?) };
        Ok(Statement::Deallocate(name))
    }

    /// `DECLARE name … CURSOR …`.
    pub(super) fn declare_cursor(&mut self) -> SqlResult<Statement> {
        self.expect(Kw::Declare)?;
        let name = self.col_id()?;
        let mut options = CursorOptions::default();
        loop {
            match self.keyword() {
                Some(Kw::Binary) => options.binary = true,
                Some(Kw::Insensitive) => options.insensitive = true,
                Some(Kw::Asensitive) => options.asensitive = true,
                Some(Kw::Scroll) => options.scroll = true,
                Some(Kw::No) => {
                    self.skip();
                    if !self.at(Kw::Scroll) {
                        return Err(self.syntax_error());
                    }
                    options.no_scroll = true;
                }
                _ => break,
            }
            self.skip();
        }
        self.expect(Kw::Cursor)?;
        if self.eat(Kw::With) {
            self.expect(Kw::Hold)?;
            options.hold = true;
        } else if self.eat(Kw::Without) {
            self.expect(Kw::Hold)?;
        }
        self.expect(Kw::For)?;
        let query = self.select_no_parens()?;
        Ok(Statement::DeclareCursor(Box::new(DeclareCursorStmt { name, options, query })))
    }

    /// `FETCH …` and `MOVE …`.
    pub(super) fn fetch(&mut self) -> SqlResult<Statement> {
        let is_move = self.at(Kw::Move);
        self.skip();
        let (direction, how_many) = self.fetch_direction()?;
        if !self.eat(Kw::From) {
            self.eat(Kw::In);
        }
        let portal_name = self.col_id()?;
        Ok(Statement::Fetch(FetchStmt { direction, how_many, portal_name, is_move }))
    }

    /// The direction, if one is written; a cursor may be called like one.
    fn fetch_direction(&mut self) -> SqlResult<(FetchDirection, i64)> {
        let count_ahead = |ahead| {
            matches!(self.peek_ahead(ahead), TokenKind::Integer(_) | TokenKind::Char('+' | '-'))
        };
        if count_ahead(0) {
            return Ok((FetchDirection::Forward, i64::from(self.signed_integer()?)));
        }
        let Some(keyword) = self.keyword() else {
            return Ok((FetchDirection::Forward, 1));
        };
        if keyword == Kw::All {
            self.skip();
            return Ok((FetchDirection::Forward, FETCH_ALL));
        }
        let follows =
            self.col_id_ahead(1) || matches!(self.keyword_ahead(1), Some(Kw::From | Kw::In));
        let directed = match keyword {
            Kw::Absolute | Kw::Relative => count_ahead(1),
            Kw::Forward | Kw::Backward => follows || count_ahead(1) || self.at_ahead(1, Kw::All),
            Kw::Next | Kw::Prior | Kw::First | Kw::Last => follows,
            _ => false,
        };
        if !directed {
            return Ok((FetchDirection::Forward, 1));
        }
        self.skip();
        Ok(match keyword {
            Kw::Next => (FetchDirection::Forward, 1),
            Kw::Prior => (FetchDirection::Backward, 1),
            Kw::First => (FetchDirection::Absolute, 1),
            Kw::Last => (FetchDirection::Absolute, -1),
            Kw::Absolute => (FetchDirection::Absolute, i64::from(self.signed_integer()?)),
            Kw::Relative => (FetchDirection::Relative, i64::from(self.signed_integer()?)),
            _ => {
                let direction = if keyword == Kw::Forward {
                    FetchDirection::Forward
                } else {
                    FetchDirection::Backward
                };
                let how_many = if self.eat(Kw::All) {
                    FETCH_ALL
                } else if matches!(self.peek(), TokenKind::Integer(_) | TokenKind::Char('+' | '-'))
                {
                    i64::from(self.signed_integer()?)
                } else {
                    1
                };
                (direction, how_many)
            }
        })
    }

    /// `CLOSE …`.
    pub(super) fn close(&mut self) -> SqlResult<Statement> {
        self.expect(Kw::Close)?;
        let name = if self.eat(Kw::All) { None } else { Some(self.col_id()?) };
        Ok(Statement::ClosePortal(name))
    }

    /// `LISTEN channel`.
    pub(super) fn listen(&mut self) -> SqlResult<Statement> {
        self.expect(Kw::Listen)?;
        Ok(Statement::Listen(self.col_id()?))
    }

    /// `UNLISTEN channel|*`.
    pub(super) fn unlisten(&mut self) -> SqlResult<Statement> {
        self.expect(Kw::Unlisten)?;
        if self.eat_char('*') {
            return Ok(Statement::Unlisten(None));
        }
        Ok(Statement::Unlisten(Some(self.col_id()?)))
    }

    /// `NOTIFY channel [, payload]`.
    pub(super) fn notify(&mut self) -> SqlResult<Statement> {
        self.expect(Kw::Notify)?;
        let channel = self.col_id()?;
        let payload = if self.eat_char(',') { Some(self.string()?) } else { None };
        Ok(Statement::Notify(NotifyStmt { channel, payload }))
    }
}
