//! `SET`, `RESET`, `SHOW`, `DISCARD` and `SET CONSTRAINTS`.

use aegis_types::{SqlError, SqlResult, SqlState};

use super::expr::string_const;
use super::keyword::Keyword as Kw;
use super::lexer::TokenKind;
use super::stream::TokenStream;
use crate::ast::{
    DefValue, DiscardTarget, Expr, SetConstraintsStmt, SetValue, Statement, TypeCast,
    VariableSetKind, VariableSetStmt, VariableShowStmt, interval_mask,
};

impl TokenStream<'_> {
    /// `SET …`.
    pub(super) fn set(&mut self) -> SqlResult<Statement> {
        self.expect(Kw::Set)?;
        if self.at(Kw::Constraints) && !self.set_assigns(1) {
            self.skip();
            return self.set_constraints();
        }
        let mut is_local = false;
        if self.at(Kw::Local) && !self.set_assigns(1) {
            self.skip();
            is_local = true;
        } else if self.at(Kw::Session) && !self.set_assigns(1) {
            if self.at_ahead(1, Kw::Characteristics) && !self.set_assigns(2) {
                self.skip();
                self.skip();
                self.expect_sequence(&[Kw::As, Kw::Transaction])?;
                let modes = self.transaction_modes()?;
                return Ok(Statement::VariableSet(VariableSetStmt {
                    kind: VariableSetKind::SessionCharacteristics(modes),
                    is_local: false,
                }));
            }
            // SET SESSION AUTHORIZATION is a setting of its own; SET SESSION SESSION AUTHORIZATION
            // is the same with the scope spelled out.
            if !self.at_ahead(1, Kw::Authorization) {
                self.skip();
            }
        }
        let kind = self.set_rest()?;
        Ok(Statement::VariableSet(VariableSetStmt { kind, is_local }))
    }

    /// Whether so many places ahead a value is assigned: the word before it names a setting.
    fn set_assigns(&self, ahead: usize) -> bool {
        self.char_ahead(ahead, '=') || self.at_ahead(ahead, Kw::To) || self.char_ahead(ahead, '.')
    }

    /// What is set (`set_rest`).
    fn set_rest(&mut self) -> SqlResult<VariableSetKind> {
        let value = |name: &str, value: SetValue| VariableSetKind::Value {
            name: name.to_owned(),
            args: vec![value],
        };
        if !self.set_assigns(1) {
            match self.keyword() {
                Some(Kw::Transaction) => {
                    self.skip();
                    if self.eat(Kw::Snapshot) {
                        return Ok(VariableSetKind::TransactionSnapshot(self.string()?));
                    }
                    return Ok(VariableSetKind::Transaction(self.transaction_modes()?));
                }
                Some(Kw::Time) => {
                    self.skip();
                    self.expect(Kw::Zone)?;
                    return self.set_time_zone();
                }
                Some(Kw::Catalog) => {
                    self.skip();
                    let location = self.location();
                    self.string()?;
                    return Err(SqlError::new(
                        SqlState::FeatureNotSupported,
                        "current database cannot be changed",
                    )
                    .at(location));
                }
                Some(Kw::Schema) => {
                    self.skip();
                    return Ok(value("search_path", SetValue::String(self.string()?)));
                }
                Some(Kw::Names) => {
                    self.skip();
                    if matches!(self.peek(), TokenKind::String(_)) {
                        return Ok(value("client_encoding", SetValue::String(self.string()?)));
                    }
                    self.eat(Kw::Default);
                    return Ok(VariableSetKind::Default { name: "client_encoding".to_owned() });
                }
                Some(Kw::Role) => {
                    self.skip();
                    let role = self.non_reserved_word_or_string()?;
                    return Ok(value("role", SetValue::String(role)));
                }
                Some(Kw::Session) => {
                    self.skip();
                    self.expect(Kw::Authorization)?;
                    if self.eat(Kw::Default) {
                        return Ok(VariableSetKind::Default {
                            name: "session_authorization".to_owned(),
                        });
                    }
                    let role = self.non_reserved_word_or_string()?;
                    return Ok(value("session_authorization", SetValue::String(role)));
                }
                Some(Kw::Xml) => {
                    self.skip();
                    self.expect(Kw::Option)?;
                    if !self.at_any(&[Kw::Document, Kw::Content]) {
                        return Err(self.syntax_error());
                    }
                    let word = self.take_name().to_ascii_uppercase();
                    return Ok(value("xmloption", SetValue::String(word)));
                }
                _ => {}
            }
        }
        let name = self.variable_name()?;
        if self.eat(Kw::From) {
            self.expect(Kw::Current)?;
            return Ok(VariableSetKind::Current { name });
        }
        if !self.eat_char('=') {
            self.expect(Kw::To)?;
        }
        if self.eat(Kw::Default) {
            return Ok(VariableSetKind::Default { name });
        }
        let args = self.comma_list(Self::set_value)?;
        Ok(VariableSetKind::Value { name, args })
    }

    /// A setting's name, dotted if it belongs to a module.
    fn variable_name(&mut self) -> SqlResult<String> {
        let mut name = self.col_id()?;
        while self.eat_char('.') {
            name.push('.');
            name.push_str(&self.col_id()?);
        }
        Ok(name)
    }

    fn set_value(&mut self) -> SqlResult<SetValue> {
        match self.peek() {
            TokenKind::Integer(_) | TokenKind::Float(_) | TokenKind::Char('+' | '-') => {
                Ok(number_value(self.numeric_only()?))
            }
            _ => Ok(SetValue::String(self.boolean_or_string()?)),
        }
    }

    /// What follows `TIME ZONE`.
    fn set_time_zone(&mut self) -> SqlResult<VariableSetKind> {
        let name = "timezone".to_owned();
        let location = self.location();
        let value = match self.peek() {
            TokenKind::String(_) => SetValue::String(self.string()?),
            TokenKind::Ident(_) => SetValue::String(self.take_name()),
            TokenKind::Keyword(Kw::Default | Kw::Local) => {
                self.skip();
                return Ok(VariableSetKind::Default { name });
            }
            TokenKind::Keyword(Kw::Interval) => {
                self.skip();
                SetValue::Interval(self.zone_interval(location)?)
            }
            _ => number_value(self.numeric_only()?),
        };
        Ok(VariableSetKind::Value { name, args: vec![value] })
    }

    /// An interval as a time zone: hours and minutes only.
    fn zone_interval(&mut self, location: u32) -> SqlResult<Expr> {
        let mut type_name =
            if self.at_char('(') { Some(self.interval_with_precision(location)?) } else { None };
        let string_location = self.location();
        let text = self.string()?;
        if type_name.is_none() {
            let fields_location = self.location();
            let fields = self.interval_with_fields(location)?;
            if let Some(Expr::Const(mask)) = fields.typmods.first() {
                let hour_minute = interval_mask::HOUR | interval_mask::MINUTE;
                let allowed = matches!(mask.value, crate::ast::ConstValue::Integer(mask) if mask & !hour_minute == 0);
                if !allowed {
                    return Err(SqlError::new(
                        SqlState::SyntaxError,
                        "time zone interval must be HOUR or HOUR TO MINUTE",
                    )
                    .at(fields_location));
                }
            }
            type_name = Some(fields);
        }
        let type_name = type_name.ok_or_else(|| self.syntax_error())?;
        Ok(Expr::TypeCast(Box::new(TypeCast {
            arg: string_const(text, string_location),
            type_name,
            location,
        })))
    }

    /// `SET …` or `RESET …` among the options of another statement.
    pub(super) fn function_setting(&mut self) -> SqlResult<VariableSetStmt> {
        let kind = if self.eat(Kw::Reset) {
            self.reset_rest()?
        } else {
            self.expect(Kw::Set)?;
            self.set_rest()?
        };
        Ok(VariableSetStmt { kind, is_local: false })
    }

    /// `RESET …`.
    pub(super) fn reset(&mut self) -> SqlResult<Statement> {
        self.expect(Kw::Reset)?;
        let kind = self.reset_rest()?;
        Ok(Statement::VariableSet(VariableSetStmt { kind, is_local: false }))
    }

    /// What follows `RESET`.
    fn reset_rest(&mut self) -> SqlResult<VariableSetKind> {
        if self.eat(Kw::All) {
            return Ok(VariableSetKind::ResetAll);
        }
        let name = self.special_or_variable_name()?;
        Ok(VariableSetKind::Reset { name })
    }

    fn special_or_variable_name(&mut self) -> SqlResult<String> {
        let special = if self.eat_sequence(&[Kw::Time, Kw::Zone]) {
            "timezone"
        } else if self.eat_sequence(&[Kw::Transaction, Kw::Isolation]) {
            self.expect(Kw::Level)?;
            "transaction_isolation"
        } else if self.eat_sequence(&[Kw::Session, Kw::Authorization]) {
            "session_authorization"
        } else {
            return self.variable_name();
        };
        Ok(special.to_owned())
    }

    /// `SHOW …`.
    pub(super) fn show(&mut self) -> SqlResult<Statement> {
        self.expect(Kw::Show)?;
        let name =
            if self.eat(Kw::All) { "all".to_owned() } else { self.special_or_variable_name()? };
        Ok(Statement::VariableShow(VariableShowStmt { name }))
    }

    /// `DISCARD …`.
    pub(super) fn discard(&mut self) -> SqlResult<Statement> {
        self.expect(Kw::Discard)?;
        let target = match self.keyword() {
            Some(Kw::All) => DiscardTarget::All,
            Some(Kw::Plans) => DiscardTarget::Plans,
            Some(Kw::Sequences) => DiscardTarget::Sequences,
            Some(Kw::Temp | Kw::Temporary) => DiscardTarget::Temp,
            _ => return Err(self.syntax_error()),
        };
        self.skip();
        Ok(Statement::Discard(target))
    }

    /// What follows `SET CONSTRAINTS`.
    fn set_constraints(&mut self) -> SqlResult<Statement> {
        let constraints = if self.eat(Kw::All) { Vec::new() } else { self.qualified_name_list()? };
        let deferred = self.eat(Kw::Deferred);
        if !deferred {
            self.expect(Kw::Immediate)?;
        }
        Ok(Statement::SetConstraints(SetConstraintsStmt { constraints, deferred }))
    }
}

fn number_value(value: DefValue) -> SetValue {
    match value {
        DefValue::Integer(number) => SetValue::Integer(number),
        other => SetValue::Float(other.text()),
    }
}
