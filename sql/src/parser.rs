//! PostgreSQL 15's grammar, from text to [`crate::ast`].
//!
//! ```text
//! text ── lexer ──► tokens ── TokenStream ──► productions, a file for each family ──► Statement
//! ```
//!
//! The productions descend recursively and never step back: which one applies is decided by looking
//! ahead, so that an error names the first token that no statement could have there, which is the
//! one that PostgreSQL's LALR parser names. Operators climb by precedence (`expr.rs`). Chains of
//! operators grow on the heap; nesting is bounded by [`NESTING_MAX`]. No catalog, no settings:
//! `standard_conforming_strings` is on.

mod keyword;
mod lexer;
mod literal;
mod stream;

mod statement;

mod dml;
mod from;
mod select;
mod window;

mod call;
mod expr;
mod name;
mod primary;
mod type_name;

mod alter;
mod alter_table;
mod constraint;
mod create;
mod create_table;
mod object;
mod privilege;
mod role;
mod routine;
mod sequence;

mod copy;
mod cursor;
mod maintenance;
mod option;
mod setting;
mod transaction;
mod unsupported;

#[cfg(test)]
mod tests;

use aegis_types::{SqlError, SqlResult, SqlState};

use crate::ast::{Expr, RawStatement, Statement, TailStmt, TypeName};

pub use keyword::{KEYWORDS, Keyword, KeywordCategory, KeywordInfo};
pub use lexer::{IDENTIFIER_LENGTH_MAX, Token, TokenKind};
pub(crate) use routine::value_select;
pub use stream::{CHAIN_MAX, NESTING_MAX, NODE_CHAIN_MAX, TokenStream};

/// Statements that an engine adds to the grammar.
///
/// An extension is asked before the core whenever a statement begins with one of its words. It
/// reads with the methods of [`TokenStream`] and gives a statement that the core knows, such as a
/// `SELECT` of one of its functions, or a [`Statement::Engine`].
pub trait GrammarExtension {
    /// The words, lower case, that may begin a statement of this extension.
    fn leading(&self) -> &[&str];

    /// Reads a statement, up to but not including its semicolon. `None`, with nothing consumed,
    /// leaves it to the core. Errors are those of the grammar, mostly
    /// [`TokenStream::syntax_error`].
    fn parse(&self, tokens: &mut TokenStream<'_>) -> SqlResult<Option<Statement>>;

    /// Reads what `COPY (…) TO` follows for ever, up to the parenthesis. `None`, with nothing
    /// consumed, leaves it to the core.
    fn tail(&self, tokens: &mut TokenStream<'_>) -> SqlResult<Option<TailStmt>> {
        let _ = tokens;
        Ok(None)
    }
}

/// The statements of a query string; empty ones leave no trace.
///
/// # Errors
///
/// `42601` with PostgreSQL's words and the position of the first token that cannot be, other codes
/// that its scanner and grammar raise, `0A000` for what PostgreSQL itself does not implement or
/// this parser does not take, `54001` for text nested too deeply.
pub fn parse(sql: &str) -> SqlResult<Vec<RawStatement>> {
    let engines = crate::engine::engines().iter();
    let grammars: Vec<&dyn GrammarExtension> = engines.filter_map(|it| it.grammar()).collect();
    parse_with(sql, &grammars, &mut Vec::new())
}

/// [`parse`] with the statements of extensions, noting in `notices` what the client is to be told at
/// severity NOTICE even if parsing fails: identifiers that were cut (`42622`).
pub fn parse_with(
    sql: &str,
    extensions: &[&dyn GrammarExtension],
    notices: &mut Vec<SqlError>,
) -> SqlResult<Vec<RawStatement>> {
    let mut tokens = TokenStream::new(sql, notices)?;
    let mut statements = Vec::new();
    loop {
        while tokens.eat_char(';') {}
        if tokens.at_end() {
            return Ok(statements);
        }
        let location = tokens.location();
        let statement = tokens.extended_statement(extensions)?;
        let length = tokens.previous_end() - location;
        if !tokens.at_end() && !tokens.at_char(';') {
            return Err(tokens.syntax_error());
        }
        statements.push(RawStatement { statement, location, length });
    }
}

/// The tokens of a text, without their meaning; nothing for a text that cannot be cut.
#[must_use]
pub fn tokens_of(text: &str) -> Option<Vec<Token>> {
    u32::try_from(text.len()).ok()?;
    let tokens = lexer::tokenize(text);
    tokens.notices.is_empty().then_some(tokens.tokens)
}

/// The tokens of a text, as far as it can be cut.
pub(crate) fn all_tokens(text: &str) -> Vec<Token> {
    lexer::tokenize(text).tokens
}

/// A single expression, such as a stored default.
pub fn parse_expr(text: &str) -> SqlResult<Expr> {
    let mut tokens = TokenStream::new(text, &mut Vec::new())?;
    let expr = tokens.expr()?;
    tokens.expect_end()?;
    Ok(expr)
}

/// A single type name, as the input of `regtype` is one. As in PostgreSQL, neither `SETOF` nor
/// anything but a type is taken.
///
/// # Errors
///
/// Those of [`parse`], without a position, because the text is no part of the statement, but with
/// the context `invalid type name "…"`.
pub fn parse_type_name(text: &str) -> SqlResult<TypeName> {
    let message = format!("invalid type name \"{text}\"");
    let invalid = || SqlError::new(SqlState::SyntaxError, message.clone());
    if text.trim_ascii().is_empty() {
        return Err(invalid());
    }
    let type_name = TokenStream::new(text, &mut Vec::new()).and_then(|mut tokens| {
        let type_name = tokens.type_name()?;
        tokens.expect_end()?;
        Ok(type_name)
    });
    match type_name {
        Ok(type_name) if type_name.setof => Err(invalid()),
        Ok(type_name) => Ok(type_name),
        Err(error) => {
            let fields = error.fields();
            let mut without_position =
                SqlError::new(fields.code, fields.message.clone()).context(message);
            if let Some(hint) = &fields.hint {
                without_position = without_position.hint(hint.clone());
            }
            Err(without_position)
        }
    }
}
