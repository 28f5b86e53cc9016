//! `CREATE SEQUENCE`, `ALTER SEQUENCE` and the options of sequences.

use aegis_types::SqlResult;

use super::keyword::Keyword as Kw;
use super::lexer::TokenKind;
use super::stream::TokenStream;
use crate::ast::{
    CreateSequenceStmt, RelPersistence, SequenceOption, SequenceOptionKind as Kind, Statement,
};

impl TokenStream<'_> {
    /// What follows `CREATE … SEQUENCE`.
    pub(super) fn create_sequence(&mut self, persistence: RelPersistence) -> SqlResult<Statement> {
        let if_not_exists = self.if_not_exists()?;
        let mut sequence = self.qualified_name()?;
        sequence.persistence = persistence;
        let options = self.sequence_options()?;
        Ok(Statement::CreateSequence(CreateSequenceStmt { sequence, options, if_not_exists }))
    }

    /// Options, as many as there are.
    pub(super) fn sequence_options(&mut self) -> SqlResult<Vec<SequenceOption>> {
        let mut options = Vec::new();
        while let Some(option) = self.opt_sequence_option()? {
            options.push(option);
        }
        Ok(options)
    }

    /// Options in parentheses, or nothing.
    pub(super) fn opt_parenthesized_sequence_options(&mut self) -> SqlResult<Vec<SequenceOption>> {
        if !self.eat_char('(') {
            return Ok(Vec::new());
        }
        let options = self.sequence_options()?;
        if options.is_empty() {
            return Err(self.syntax_error());
        }
        self.expect_char(')')?;
        Ok(options)
    }

    /// An option, if one is at hand.
    pub(super) fn opt_sequence_option(&mut self) -> SqlResult<Option<SequenceOption>> {
        let location = self.location();
        let Some(keyword) = self.keyword() else {
            return Ok(None);
        };
        let known = matches!(
            keyword,
            Kw::As
                | Kw::Cache
                | Kw::Cycle
                | Kw::Increment
                | Kw::Maxvalue
                | Kw::Minvalue
                | Kw::No
                | Kw::Owned
                | Kw::Sequence
                | Kw::Start
                | Kw::Restart
        );
        if !known {
            return Ok(None);
        }
        self.skip();
        let kind = match keyword {
            Kw::As => Kind::As(self.simple_type_name()?),
            Kw::Cache => Kind::Cache(self.numeric_only()?),
            Kw::Cycle => Kind::Cycle(true),
            Kw::Increment => {
                self.eat(Kw::By);
                Kind::Increment(self.numeric_only()?)
            }
            Kw::Maxvalue => Kind::MaxValue(Some(self.numeric_only()?)),
            Kw::Minvalue => Kind::MinValue(Some(self.numeric_only()?)),
            Kw::Owned => {
                self.expect(Kw::By)?;
                Kind::OwnedBy(self.any_name()?)
            }
            Kw::Sequence => {
                self.expect(Kw::Name)?;
                Kind::SequenceName(self.any_name()?)
            }
            Kw::Start => {
                self.eat(Kw::With);
                Kind::Start(self.numeric_only()?)
            }
            Kw::Restart => {
                let with = self.eat(Kw::With);
                let number = matches!(
                    self.peek(),
                    TokenKind::Integer(_) | TokenKind::Float(_) | TokenKind::Char('+' | '-')
                );
                Kind::Restart(if with || number { Some(self.numeric_only()?) } else { None })
            }
            _ => {
                let kind = match self.keyword() {
                    Some(Kw::Cycle) => Kind::Cycle(false),
                    Some(Kw::Maxvalue) => Kind::MaxValue(None),
                    Some(Kw::Minvalue) => Kind::MinValue(None),
                    _ => return Err(self.syntax_error()),
                };
                self.skip();
                kind
            }
        };
        Ok(Some(SequenceOption { kind, location }))
    }
}
