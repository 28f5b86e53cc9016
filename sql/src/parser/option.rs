//! Options of the shape `name [= value]` (`def_elem`, `reloption_elem`, `utility_option_elem`).

use aegis_types::SqlResult;

use super::expr::negate_text;
use super::keyword::{Keyword as Kw, KeywordCategory};
use super::lexer::TokenKind;
use super::stream::TokenStream;
use crate::ast::{DefElem, DefValue};

impl DefElem {
    /// An option without a namespace.
    pub(super) fn new(name: &str, value: Option<DefValue>, location: u32) -> Self {
        Self { namespace: None, name: name.to_owned(), value, location }
    }
}

impl TokenStream<'_> {
    /// `WITH (…)`, or nothing; `WITHOUT OIDS` is nothing too (`OptWith`).
    pub(super) fn opt_with_options(&mut self) -> SqlResult<Vec<DefElem>> {
        if self.eat(Kw::With) {
            return self.reloptions();
        }
        if self.eat(Kw::Without) {
            self.expect(Kw::Oids)?;
        }
        Ok(Vec::new())
    }

    /// `(name = value, …)`, names possibly behind a namespace (`reloptions`).
    pub fn reloptions(&mut self) -> SqlResult<Vec<DefElem>> {
        self.parenthesized_list(|stream| {
            let location = stream.location();
            let mut name = stream.col_label()?;
            let mut namespace = None;
            if stream.eat_char('.') {
                namespace = Some(name);
                name = stream.col_label()?;
            }
            let value = stream.opt_def_value()?;
            Ok(DefElem { namespace, name, value, location })
        })
    }

    /// `(name = value, …)` (`definition`).
    pub(super) fn definition(&mut self) -> SqlResult<Vec<DefElem>> {
        self.parenthesized_list(|stream| {
            let location = stream.location();
            let name = stream.col_label()?;
            let value = stream.opt_def_value()?;
            Ok(DefElem::new(&name, value, location))
        })
    }

    fn opt_def_value(&mut self) -> SqlResult<Option<DefValue>> {
        if self.eat_char('=') { Ok(Some(self.def_value()?)) } else { Ok(None) }
    }

    /// The value of an option (`def_arg`).
    pub(super) fn def_value(&mut self) -> SqlResult<DefValue> {
        match self.peek() {
            TokenKind::String(_) => Ok(DefValue::String(self.string()?)),
            TokenKind::Integer(_) | TokenKind::Float(_) => self.numeric_only(),
            TokenKind::Char('+' | '-')
                if matches!(self.peek_ahead(1), TokenKind::Integer(_) | TokenKind::Float(_)) =>
            {
                self.numeric_only()
            }
            TokenKind::Keyword(Kw::None) => Ok(DefValue::String(self.take_name())),
            TokenKind::Keyword(Kw::Operator) => {
                Ok(DefValue::Operator(self.qualified_all_operator()?))
            }
            TokenKind::Keyword(keyword) if keyword.category() == KeywordCategory::Reserved => {
                Ok(DefValue::String(self.take_name()))
            }
            TokenKind::Keyword(_) | TokenKind::Ident(_) => {
                Ok(DefValue::TypeName(self.func_type()?))
            }
            _ => Ok(DefValue::Operator(self.qualified_all_operator()?)),
        }
    }

    /// A number with or without a sign (`NumericOnly`).
    pub(super) fn numeric_only(&mut self) -> SqlResult<DefValue> {
        let negative = self.eat_char('-');
        if !negative {
            self.eat_char('+');
        }
        let value = match self.peek() {
            TokenKind::Integer(number) if negative => DefValue::Integer(-*number),
            TokenKind::Integer(number) => DefValue::Integer(*number),
            TokenKind::Float(text) if negative => DefValue::Float(negate_text(text)),
            TokenKind::Float(text) => DefValue::Float(text.to_string()),
            _ => return Err(self.syntax_error()),
        };
        self.skip();
        Ok(value)
    }

    /// `true`, `false`, `on`, a word or a string (`opt_boolean_or_string`).
    pub(super) fn boolean_or_string(&mut self) -> SqlResult<String> {
        if self.at_any(&[Kw::True, Kw::False, Kw::On]) {
            return Ok(self.take_name());
        }
        self.non_reserved_word_or_string()
    }

    /// `(name [value], …)` of `EXPLAIN`, `VACUUM` and their like (`utility_option_list`).
    pub(super) fn utility_options(&mut self) -> SqlResult<Vec<DefElem>> {
        self.parenthesized_list(|stream| {
            let location = stream.location();
            // ANALYZE is reserved, but names an option.
            let name = if stream.at_any(&[Kw::Analyze, Kw::Analyse]) {
                stream.skip();
                "analyze".to_owned()
            } else {
                stream.non_reserved_word()?
            };
            let value = match stream.peek() {
                TokenKind::Char(',' | ')') => None,
                TokenKind::Integer(_) | TokenKind::Float(_) | TokenKind::Char('+' | '-') => {
                    Some(stream.numeric_only()?)
                }
                _ => Some(DefValue::String(stream.boolean_or_string()?)),
            };
            Ok(DefElem::new(&name, value, location))
        })
    }
}
