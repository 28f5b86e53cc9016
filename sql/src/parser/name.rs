//! Names: `ColId`, `any_name`, `qualified_name`, roles, and what may label a column.

use aegis_types::{SqlError, SqlResult, SqlState};

use super::keyword::{Keyword as Kw, KeywordCategory};
use super::lexer::TokenKind;
use super::stream::TokenStream;
use crate::ast::{Alias, RangeVar, RelPersistence, RoleSpec, RoleSpecKind};

impl TokenStream<'_> {
    /// Whether the token so many places ahead could name a column or table.
    #[must_use]
    pub fn col_id_ahead(&self, ahead: usize) -> bool {
        match self.peek_ahead(ahead) {
            TokenKind::Ident(_) => true,
            TokenKind::Keyword(Kw::Nulls) => !self.nulls_order_ahead(ahead),
            TokenKind::Keyword(keyword) => matches!(
                keyword.category(),
                KeywordCategory::Unreserved | KeywordCategory::ColumnName
            ),
            _ => false,
        }
    }

    /// Whether `NULLS`, which is so many places ahead, begins `NULLS FIRST` or `NULLS LAST`: then it
    /// is no name.
    fn nulls_order_ahead(&self, ahead: usize) -> bool {
        matches!(self.keyword_ahead(ahead + 1), Some(Kw::First | Kw::Last))
    }

    /// Whether the token so many places ahead could name a type or function.
    pub(super) fn type_function_name_ahead(&self, ahead: usize) -> bool {
        match self.peek_ahead(ahead) {
            TokenKind::Ident(_) => true,
            TokenKind::Keyword(Kw::Nulls) => !self.nulls_order_ahead(ahead),
            TokenKind::Keyword(keyword) => matches!(
                keyword.category(),
                KeywordCategory::Unreserved | KeywordCategory::TypeFunctionName
            ),
            _ => false,
        }
    }

    /// Whether the current token could be a label behind `AS`.
    pub(super) fn at_col_label(&self) -> bool {
        matches!(self.peek(), TokenKind::Ident(_) | TokenKind::Keyword(_))
    }

    /// Whether the current token could be a label without `AS`.
    pub(super) fn at_bare_label(&self) -> bool {
        match self.peek() {
            TokenKind::Ident(_) => true,
            TokenKind::Keyword(keyword) => keyword.info().bare_label,
            _ => false,
        }
    }

    /// The text of the current token, which is known to be an identifier or keyword.
    pub(super) fn take_name(&mut self) -> String {
        match self.advance() {
            TokenKind::Ident(name) => name.into_string(),
            TokenKind::Keyword(keyword) => keyword.word().to_owned(),
            _ => String::new(),
        }
    }

    /// A name of a column, table or other object (`ColId`).
    pub fn col_id(&mut self) -> SqlResult<String> {
        if self.col_id_ahead(0) { Ok(self.take_name()) } else { Err(self.syntax_error()) }
    }

    /// Any word (`ColLabel`).
    pub fn col_label(&mut self) -> SqlResult<String> {
        if self.at_col_label() { Ok(self.take_name()) } else { Err(self.syntax_error()) }
    }

    /// A name of a type or function (`type_function_name`).
    pub(super) fn type_function_name(&mut self) -> SqlResult<String> {
        if self.type_function_name_ahead(0) {
            Ok(self.take_name())
        } else {
            Err(self.syntax_error())
        }
    }

    /// `NonReservedWord`: an identifier or any keyword that is not reserved.
    pub(super) fn non_reserved_word(&mut self) -> SqlResult<String> {
        match self.peek() {
            TokenKind::Ident(_) => Ok(self.take_name()),
            TokenKind::Keyword(keyword) if keyword.category() != KeywordCategory::Reserved => {
                Ok(self.take_name())
            }
            _ => Err(self.syntax_error()),
        }
    }

    /// `NonReservedWord_or_Sconst`.
    pub(super) fn non_reserved_word_or_string(&mut self) -> SqlResult<String> {
        match self.peek() {
            TokenKind::String(_) => self.string(),
            _ => self.non_reserved_word(),
        }
    }

    /// A quoted string (`Sconst`).
    pub fn string(&mut self) -> SqlResult<String> {
        if !matches!(self.peek(), TokenKind::String(_)) {
            return Err(self.syntax_error());
        }
        match self.advance() {
            TokenKind::String(value) => Ok(value.into_string()),
            _ => Err(self.syntax_error()),
        }
    }

    /// An integer that fits `int4` (`Iconst`).
    pub fn integer(&mut self) -> SqlResult<i32> {
        match *self.peek() {
            TokenKind::Integer(number) => {
                self.skip();
                Ok(number)
            }
            _ => Err(self.syntax_error()),
        }
    }

    /// An integer with or without a sign (`SignedIconst`).
    pub(super) fn signed_integer(&mut self) -> SqlResult<i32> {
        if self.eat_char('-') {
            return Ok(-self.integer()?);
        }
        self.eat_char('+');
        self.integer()
    }

    /// `ColId` and attribute names, separated by dots (`any_name`).
    pub fn any_name(&mut self) -> SqlResult<Vec<String>> {
        let mut names = vec![self.col_id()?];
        while self.eat_char('.') {
            names.push(self.col_label()?);
        }
        Ok(names)
    }

    /// A list of names (`name_list`).
    pub(super) fn name_list(&mut self) -> SqlResult<Vec<String>> {
        self.comma_list(Self::col_id)
    }

    /// A parenthesised list of column names (`'(' columnList ')'`).
    pub(super) fn column_list(&mut self) -> SqlResult<Vec<String>> {
        self.parenthesized_list(Self::col_id)
    }

    /// [`Self::column_list`], or nothing.
    pub(super) fn opt_column_list(&mut self) -> SqlResult<Vec<String>> {
        if self.at_char('(') { self.column_list() } else { Ok(Vec::new()) }
    }

    /// A function's name (`func_name`): `type_function_name`, or `ColId` qualified.
    pub(super) fn func_name(&mut self) -> SqlResult<Vec<String>> {
        if self.char_ahead(1, '.') || self.char_ahead(1, '[') {
            return self.any_name_or_indirection();
        }
        if self.col_id_ahead(0) && !self.type_function_name_ahead(0) {
            // A column's name, which a dot had to follow.
            return Err(self.syntax_error_ahead(1));
        }
        Ok(vec![self.type_function_name()?])
    }

    /// A relation's name (`qualified_name`).
    pub fn qualified_name(&mut self) -> SqlResult<RangeVar> {
        let location = self.location();
        let names = self.any_name_or_indirection()?;
        range_var_from_names(names, location)
    }

    /// [`Self::any_name`] where the grammar takes subscripts and stars too, to refuse them only
    /// behind the last.
    pub(super) fn any_name_or_indirection(&mut self) -> SqlResult<Vec<String>> {
        let mut names = vec![self.col_id()?];
        while self.at_char('.') && !self.char_ahead(1, '*') {
            self.skip();
            names.push(self.col_label()?);
        }
        if self.at_char('.') || self.at_char('[') {
            self.indirection()?;
            return Err(self.syntax_error());
        }
        Ok(names)
    }

    /// A relation with `ONLY` or `*` (`relation_expr`).
    pub(super) fn relation_expr(&mut self) -> SqlResult<RangeVar> {
        if self.eat(Kw::Only) {
            let parenthesized = self.eat_char('(');
            let mut relation = self.qualified_name()?;
            if parenthesized {
                self.expect_char(')')?;
            }
            relation.inherits = false;
            return Ok(relation);
        }
        let relation = self.qualified_name()?;
        self.eat_char('*');
        Ok(relation)
    }

    /// A list of relations.
    pub fn qualified_name_list(&mut self) -> SqlResult<Vec<RangeVar>> {
        self.comma_list(Self::qualified_name)
    }

    /// `[AS] name [(columns)]`, or nothing (`opt_alias_clause`).
    pub(super) fn opt_alias(&mut self) -> SqlResult<Option<Alias>> {
        if !self.eat(Kw::As) && !self.col_id_ahead(0) {
            return Ok(None);
        }
        let name = self.col_id()?;
        let columns =
            if self.at_char('(') { self.parenthesized_list(Self::col_id)? } else { Vec::new() };
        Ok(Some(Alias { name, columns }))
    }

    /// A role (`RoleSpec`).
    pub(super) fn role_spec(&mut self) -> SqlResult<RoleSpec> {
        let location = self.location();
        let kind = match self.keyword() {
            Some(Kw::CurrentRole) => RoleSpecKind::CurrentRole,
            Some(Kw::CurrentUser) => RoleSpecKind::CurrentUser,
            Some(Kw::SessionUser) => RoleSpecKind::SessionUser,
            _ => {
                let name = self.non_reserved_word()?;
                let kind = match name.as_str() {
                    // `public` is no keyword, so that it can name a schema.
                    "public" => RoleSpecKind::Public,
                    "none" => {
                        return Err(SqlError::new(
                            SqlState::ReservedName,
                            "role name \"none\" is reserved",
                        )
                        .at(location));
                    }
                    _ => RoleSpecKind::Name(name),
                };
                return Ok(RoleSpec { kind, location });
            }
        };
        self.skip();
        Ok(RoleSpec { kind, location })
    }

    /// A list of roles.
    pub(super) fn role_list(&mut self) -> SqlResult<Vec<RoleSpec>> {
        self.comma_list(Self::role_spec)
    }

    /// A role that is to be made or named, where only a name will do (`RoleId`).
    pub(super) fn role_id(&mut self) -> SqlResult<String> {
        let spec = self.role_spec()?;
        let reserved = |word: &str| {
            SqlError::new(SqlState::ReservedName, format!("role name \"{word}\" is reserved"))
                .at(spec.location)
        };
        let cannot = |word: &str| {
            SqlError::new(
                SqlState::ReservedName,
                format!("{word} cannot be used as a role name here"),
            )
            .at(spec.location)
        };
        match spec.kind {
            RoleSpecKind::Name(name) => Ok(name),
            RoleSpecKind::Public => Err(reserved("public")),
            RoleSpecKind::CurrentRole => Err(cannot("CURRENT_ROLE")),
            RoleSpecKind::CurrentUser => Err(cannot("CURRENT_USER")),
            RoleSpecKind::SessionUser => Err(cannot("SESSION_USER")),
        }
    }

    /// `IF EXISTS`, or nothing.
    pub fn if_exists(&mut self) -> bool {
        self.eat_sequence(&[Kw::If, Kw::Exists])
    }

    /// `IF NOT EXISTS`, or nothing.
    pub fn if_not_exists(&mut self) -> SqlResult<bool> {
        // `if` alone may be a name; what follows `if not` is clear.
        let found = self.eat_sequence(&[Kw::If, Kw::Not]);
        if found {
            self.expect(Kw::Exists)?;
        }
        Ok(found)
    }
}

/// A relation by one, two or three names.
pub(super) fn range_var_from_names(mut names: Vec<String>, location: u32) -> SqlResult<RangeVar> {
    if names.len() > 3 {
        return Err(SqlError::new(
            SqlState::SyntaxError,
            format!("improper qualified name (too many dotted names): {}", names.join(".")),
        )
        .at(location));
    }
    let name = names.pop().unwrap_or_default();
    let schema = names.pop();
    let catalog = names.pop();
    Ok(RangeVar {
        catalog,
        schema,
        name,
        inherits: true,
        persistence: RelPersistence::Permanent,
        alias: None,
        location,
    })
}
