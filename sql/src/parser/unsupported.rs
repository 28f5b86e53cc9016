//! Statements that PostgreSQL has and this parser only recognises, to refuse them by name.

use aegis_types::SqlResult;

use super::keyword::Keyword as Kw;
use super::lexer::TokenKind;
use super::stream::TokenStream;
use crate::ast::{Statement, UnsupportedStmt};

/// The first words of the statements that are recognised, without `OR REPLACE`.
const FEATURES: &[&[Kw]] = &[
    &[Kw::Load],
    &[Kw::Import, Kw::Foreign, Kw::Schema],
    &[Kw::Security, Kw::Label],
    &[Kw::Create, Kw::Access, Kw::Method],
    &[Kw::Create, Kw::Cast],
    &[Kw::Create, Kw::Conversion],
    &[Kw::Create, Kw::Default, Kw::Conversion],
    &[Kw::Create, Kw::Event, Kw::Trigger],
    &[Kw::Create, Kw::Foreign, Kw::Data, Kw::Wrapper],
    &[Kw::Create, Kw::Foreign, Kw::Table],
    &[Kw::Create, Kw::Language],
    &[Kw::Create, Kw::Procedural, Kw::Language],
    &[Kw::Create, Kw::Trusted, Kw::Language],
    &[Kw::Create, Kw::Trusted, Kw::Procedural, Kw::Language],
    &[Kw::Create, Kw::Operator, Kw::Class],
    &[Kw::Create, Kw::Operator, Kw::Family],
    &[Kw::Create, Kw::Policy],
    &[Kw::Create, Kw::Publication],
    &[Kw::Create, Kw::Server],
    &[Kw::Create, Kw::Statistics],
    &[Kw::Create, Kw::Subscription],
    &[Kw::Create, Kw::Tablespace],
    &[Kw::Create, Kw::Transform],
    &[Kw::Create, Kw::User, Kw::Mapping],
    &[Kw::Alter, Kw::Event, Kw::Trigger],
    &[Kw::Alter, Kw::Extension],
    &[Kw::Alter, Kw::Foreign, Kw::Data, Kw::Wrapper],
    &[Kw::Alter, Kw::Large, Kw::Object],
    &[Kw::Alter, Kw::Operator, Kw::Class],
    &[Kw::Alter, Kw::Operator, Kw::Family],
    &[Kw::Alter, Kw::Operator],
    &[Kw::Alter, Kw::Policy],
    &[Kw::Alter, Kw::Publication],
    &[Kw::Alter, Kw::Server],
    &[Kw::Alter, Kw::Statistics],
    &[Kw::Alter, Kw::Subscription],
    &[Kw::Alter, Kw::Tablespace],
    &[Kw::Alter, Kw::Text, Kw::Search],
    &[Kw::Alter, Kw::Collation],
    &[Kw::Alter, Kw::Type],
    &[Kw::Alter, Kw::User, Kw::Mapping],
    &[Kw::Drop, Kw::User, Kw::Mapping],
];

impl TokenStream<'_> {
    /// The statement at hand, if it is one of those recognised; else a syntax error where its words
    /// leave all of them.
    pub(super) fn unsupported_statement(&mut self) -> SqlResult<Statement> {
        let replace = usize::from(self.at_ahead(1, Kw::Or) && self.at_ahead(2, Kw::Replace)) * 2;
        let ahead = |index: usize| if index == 0 { 0 } else { index + replace };
        let matched = |feature: &[Kw]| {
            feature
                .iter()
                .enumerate()
                .take_while(|(index, word)| self.at_ahead(ahead(*index), **word))
                .count()
        };
        let whole = FEATURES
            .iter()
            .filter(|feature| matched(feature) == feature.len())
            .max_by_key(|feature| feature.len());
        let Some(feature) = whole else {
            let longest = FEATURES.iter().map(|feature| matched(feature)).max();
            return Err(self.syntax_error_ahead(ahead(longest.unwrap_or(0))));
        };
        let words: Vec<String> =
            feature.iter().map(|word| word.word().to_ascii_uppercase()).collect();
        self.skip_statement()?;
        Ok(Statement::Unsupported(UnsupportedStmt { feature: words.join(" ") }))
    }

    /// Steps over the rest of a statement, up to a semicolon outside parentheses.
    pub(super) fn skip_statement(&mut self) -> SqlResult<()> {
        let mut depth = 0_usize;
        loop {
            match self.peek() {
                TokenKind::End => return Ok(()),
                TokenKind::Char(';') if depth == 0 => return Ok(()),
                TokenKind::Char('(') => depth += 1,
                TokenKind::Char(')') => depth = depth.saturating_sub(1),
                TokenKind::Error(_) => return Err(self.syntax_error()),
                _ => {}
            }
            self.skip();
        }
    }
}
