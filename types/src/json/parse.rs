//! The grammar of JSON, told as events. It keeps its own stack and never recurses.

use super::lexer::{Expected, Lexer, Token};
use super::{DEPTH_MAX, too_deep};
use crate::error::SqlResult;

/// A value that holds no others.
pub(crate) enum Scalar<'a> {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A number, as it was written.
    Number(&'a str),
    /// A string's value; empty if the parser was not to unescape.
    String(&'a str),
}

/// Takes what the parser finds, in order. Only balanced sequences are told.
pub(crate) trait Events {
    /// An object begins.
    fn begin_object(&mut self) -> SqlResult<()>;
    /// An array begins.
    fn begin_array(&mut self) -> SqlResult<()>;
    /// The innermost object or array ends.
    fn end(&mut self) -> SqlResult<()>;
    /// The key of the next value of the innermost object.
    fn key(&mut self, key: &str) -> SqlResult<()>;
    /// A scalar value.
    fn scalar(&mut self, scalar: Scalar<'_>) -> SqlResult<()>;
}

/// Takes no interest: for checking alone.
impl Events for () {
    fn begin_object(&mut self) -> SqlResult<()> {
        Ok(())
    }

    fn begin_array(&mut self) -> SqlResult<()> {
        Ok(())
    }

    fn end(&mut self) -> SqlResult<()> {
        Ok(())
    }

    fn key(&mut self, _: &str) -> SqlResult<()> {
        Ok(())
    }

    fn scalar(&mut self, _: Scalar<'_>) -> SqlResult<()> {
        Ok(())
    }
}

#[derive(Clone, Copy)]
enum Container {
    Object,
    Array,
}

/// Parses a text of one value. With `unescape`, strings are resolved, and escapes that stand for no
/// character are refused.
///
/// # Errors
/// 22P02, 22P05, 54001, and whatever `events` raises.
pub(crate) fn parse(text: &str, unescape: bool, events: &mut impl Events) -> SqlResult<()> {
    let mut lexer = Lexer::new(text, unescape);
    let mut open: Vec<Container> = Vec::new();
    lexer.advance()?;
    'value: loop {
        match lexer.token {
            Token::ObjectStart => {
                enter(&mut open, Container::Object)?;
                events.begin_object()?;
                lexer.advance()?;
                match lexer.token {
                    Token::String => {
                        field(&mut lexer, events)?;
                        continue 'value;
                    }
                    Token::ObjectEnd => {}
                    _ => return Err(lexer.unexpected(Expected::ObjectFirst)),
                }
            }
            Token::ArrayStart => {
                enter(&mut open, Container::Array)?;
                events.begin_array()?;
                lexer.advance()?;
                if lexer.token != Token::ArrayEnd {
                    continue 'value;
                }
            }
            _ => scalar(&mut lexer, events)?,
        }
        // A value has ended, or an empty container is about to.
        loop {
            match (open.last(), lexer.token) {
                (None, Token::End) => return Ok(()),
                (None, _) => return Err(lexer.unexpected(Expected::End)),
                (Some(Container::Object), Token::Comma) => {
                    lexer.advance()?;
                    if lexer.token != Token::String {
                        return Err(lexer.unexpected(Expected::String));
                    }
                    field(&mut lexer, events)?;
                    continue 'value;
                }
                (Some(Container::Array), Token::Comma) => {
                    lexer.advance()?;
                    continue 'value;
                }
                (Some(Container::Object), Token::ObjectEnd)
                | (Some(Container::Array), Token::ArrayEnd) => {
                    open.pop();
                    lexer.advance()?;
                    events.end()?;
                }
                (Some(Container::Object), _) => return Err(lexer.unexpected(Expected::ObjectNext)),
                (Some(Container::Array), _) => return Err(lexer.unexpected(Expected::ArrayNext)),
            }
        }
    }
}

fn enter(open: &mut Vec<Container>, container: Container) -> SqlResult<()> {
    if open.len() == DEPTH_MAX {
        return Err(too_deep());
    }
    open.push(container);
    Ok(())
}

/// Reads a key and its colon.
fn field(lexer: &mut Lexer<'_>, events: &mut impl Events) -> SqlResult<()> {
    events.key(&lexer.string)?;
    lexer.advance()?;
    if lexer.token != Token::Colon {
        return Err(lexer.unexpected(Expected::Colon));
    }
    lexer.advance()
}

/// Reads a scalar. PostgreSQL looks at the next token before it tells, so a fault there comes first.
fn scalar(lexer: &mut Lexer<'_>, events: &mut impl Events) -> SqlResult<()> {
    let (token, lexeme) = (lexer.token, lexer.lexeme());
    match token {
        Token::String => {
            let string = std::mem::take(&mut lexer.string);
            lexer.advance()?;
            return events.scalar(Scalar::String(&string));
        }
        Token::Number | Token::True | Token::False | Token::Null => {}
        _ => return Err(lexer.unexpected(Expected::Value)),
    }
    lexer.advance()?;
    events.scalar(match token {
        Token::Number => Scalar::Number(lexeme),
        Token::Null => Scalar::Null,
        _ => Scalar::Bool(token == Token::True),
    })
}
