//! `COPY`, in its newer and its older syntax.

use aegis_types::{SqlError, SqlResult, SqlState};

use super::keyword::Keyword as Kw;
use super::lexer::TokenKind;
use super::stream::TokenStream;
use crate::ast::{CopySource, CopyStmt, CopyTarget, DefElem, DefValue, Statement};

impl TokenStream<'_> {
    /// `COPY …`.
    pub(super) fn copy(&mut self) -> SqlResult<Statement> {
        self.expect(Kw::Copy)?;
        if self.at_char('(') {
            return self.copy_query();
        }
        let mut options = Vec::new();
        let location = self.location();
        if self.eat(Kw::Binary) {
            options.push(format_option("binary", location));
        }
        let relation = self.qualified_name()?;
        let columns = self.opt_column_list()?;
        let is_from = self.eat(Kw::From);
        if !is_from {
            self.expect(Kw::To)?;
        }
        let target = self.copy_target()?;
        self.opt_copy_delimiters(&mut options)?;
        self.copy_options(&mut options)?;
        let where_location = self.location();
        let where_clause = self.opt_where_clause()?;
        if !is_from && where_clause.is_some() {
            return Err(SqlError::new(
                SqlState::SyntaxError,
                "WHERE clause not allowed with COPY TO",
            )
            .at(where_location));
        }
        Ok(Statement::Copy(Box::new(CopyStmt {
            source: CopySource::Relation { relation, columns },
            is_from,
            target,
            options,
            where_clause,
        })))
    }

    /// What follows `COPY`, from a parenthesis on.
    fn copy_query(&mut self) -> SqlResult<Statement> {
        self.expect_char('(')?;
        let mut tail = None;
        for engine in crate::engine::engines() {
            if let Some(grammar) = engine.grammar()
                && tail.is_none()
            {
                tail = grammar.tail(self)?;
            }
        }
        let source = match tail {
            Some(tail) => CopySource::Tail(Box::new(tail)),
            None => CopySource::Query(Box::new(self.preparable_statement()?)),
        };
        self.expect_char(')')?;
        self.expect(Kw::To)?;
        let target = self.copy_target()?;
        let mut options = Vec::new();
        self.copy_options(&mut options)?;
        Ok(Statement::Copy(Box::new(CopyStmt {
            source,
            is_from: false,
            target,
            options,
            where_clause: None,
        })))
    }

    fn copy_target(&mut self) -> SqlResult<CopyTarget> {
        if self.eat(Kw::Program) {
            if self.at_any(&[Kw::Stdin, Kw::Stdout]) {
                let next = self.location();
                return Err(SqlError::new(
                    SqlState::SyntaxError,
                    "STDIN/STDOUT not allowed with PROGRAM",
                )
                .at(next));
            }
            return Ok(CopyTarget::Program(self.string()?));
        }
        if self.eat(Kw::Stdin) || self.eat(Kw::Stdout) {
            return Ok(CopyTarget::Stdio);
        }
        Ok(CopyTarget::File(self.string()?))
    }

    /// `[USING] DELIMITERS 'c'`, the oldest syntax.
    fn opt_copy_delimiters(&mut self, options: &mut Vec<DefElem>) -> SqlResult<()> {
        let using = self.at(Kw::Using);
        if using || self.at(Kw::Delimiters) {
            let location = self.location();
            self.eat(Kw::Using);
            self.expect(Kw::Delimiters)?;
            let value = DefValue::String(self.string()?);
            options.push(DefElem::new("delimiter", Some(value), location));
        }
        Ok(())
    }

    /// `[WITH] (name value, …)` or `[WITH] words`.
    fn copy_options(&mut self, options: &mut Vec<DefElem>) -> SqlResult<()> {
        self.eat(Kw::With);
        if self.at_char('(') {
            options.extend(self.parenthesized_list(Self::copy_generic_option)?);
            return Ok(());
        }
        while let Some(option) = self.opt_copy_word_option()? {
            options.push(option);
        }
        Ok(())
    }

    fn copy_generic_option(&mut self) -> SqlResult<DefElem> {
        let location = self.location();
        let name = self.col_label()?;
        let value = match self.peek() {
            TokenKind::Char(',' | ')') => None,
            TokenKind::Char('*') => {
                self.skip();
                Some(DefValue::Star)
            }
            TokenKind::Char('(') => {
                Some(DefValue::List(self.parenthesized_list(|stream| {
                    Ok(DefValue::String(stream.boolean_or_string()?))
                })?))
            }
            TokenKind::Integer(_) | TokenKind::Float(_) | TokenKind::Char('+' | '-') => {
                Some(self.numeric_only()?)
            }
            _ => Some(DefValue::String(self.boolean_or_string()?)),
        };
        Ok(DefElem::new(&name, value, location))
    }

    /// An option of the older syntax, under its newer name, if one is at hand.
    fn opt_copy_word_option(&mut self) -> SqlResult<Option<DefElem>> {
        let location = self.location();
        let Some(keyword) = self.keyword() else {
            return Ok(None);
        };
        let name = match keyword {
            Kw::Binary | Kw::Csv => {
                self.skip();
                return Ok(Some(format_option(keyword.word(), location)));
            }
            Kw::Freeze | Kw::Header => {
                self.skip();
                let value = DefValue::String("true".to_owned());
                return Ok(Some(DefElem::new(keyword.word(), Some(value), location)));
            }
            Kw::Delimiter | Kw::Null | Kw::Quote | Kw::Escape => keyword.word(),
            Kw::Encoding => {
                self.skip();
                let value = DefValue::String(self.string()?);
                return Ok(Some(DefElem::new("encoding", Some(value), location)));
            }
            Kw::Force => {
                self.skip();
                return self.copy_force(location).map(Some);
            }
            _ => return Ok(None),
        };
        self.skip();
        self.eat(Kw::As);
        let value = DefValue::String(self.string()?);
        Ok(Some(DefElem::new(name, Some(value), location)))
    }

    /// What follows `FORCE`.
    fn copy_force(&mut self, location: u32) -> SqlResult<DefElem> {
        let name = if self.eat(Kw::Quote) {
            if self.eat_char('*') {
                return Ok(DefElem::new("force_quote", Some(DefValue::Star), location));
            }
            "force_quote"
        } else if self.eat(Kw::Null) {
            "force_null"
        } else {
            self.expect_sequence(&[Kw::Not, Kw::Null])?;
            "force_not_null"
        };
        let columns = self.name_list()?.into_iter().map(DefValue::String).collect();
        Ok(DefElem::new(name, Some(DefValue::List(columns)), location))
    }
}

fn format_option(format: &str, location: u32) -> DefElem {
    DefElem::new("format", Some(DefValue::String(format.to_owned())), location)
}
