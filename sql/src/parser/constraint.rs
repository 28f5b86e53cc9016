//! Constraints of columns, tables and domains.

use aegis_types::{SqlError, SqlResult, SqlState};

use super::keyword::Keyword as Kw;
use super::stream::TokenStream;
use crate::ast::{
    CollationName, Constraint, ConstraintKind, DefElem, ExclusionConstraint, ForeignKeyAction,
    ForeignKeyConstraint, ForeignKeyMatch, IdentityKind, IndexConstraint,
};

/// The attributes behind a table constraint.
#[derive(Default)]
pub(super) struct Attributes {
    pub(super) deferrable: bool,
    not_deferrable: bool,
    pub(super) initially_deferred: bool,
    initially_immediate: bool,
    not_valid: bool,
    no_inherit: bool,
}

impl Constraint {
    fn new(name: Option<String>, kind: ConstraintKind, location: u32) -> Self {
        Self {
            name,
            kind,
            deferrable: false,
            initially_deferred: false,
            not_valid: false,
            no_inherit: false,
            location,
        }
    }
}

fn syntax(message: impl Into<String>, location: u32) -> SqlError {
    SqlError::new(SqlState::SyntaxError, message).at(location)
}

impl TokenStream<'_> {
    /// The constraints behind a column's or domain's type, with `COLLATE` among them (`ColQualList`).
    pub(super) fn column_constraints(
        &mut self,
    ) -> SqlResult<(Vec<Constraint>, Option<CollationName>)> {
        let mut constraints: Vec<Constraint> = Vec::new();
        let mut collation: Option<CollationName> = None;
        let mut deferrability_seen = false;
        let mut initially_seen = false;
        loop {
            let location = self.location();
            if let Some(name) = self.opt_collate()? {
                if collation.is_some() {
                    return Err(syntax("multiple COLLATE clauses not allowed", location));
                }
                collation = Some(name);
                continue;
            }
            let not = self.at(Kw::Not) && self.at_ahead(1, Kw::Deferrable);
            if not || self.at(Kw::Deferrable) {
                self.skip();
                if not {
                    self.skip();
                }
                let clause = if not { "NOT DEFERRABLE" } else { "DEFERRABLE" };
                let constraint = deferrable_constraint(&mut constraints, clause, location)?;
                if deferrability_seen {
                    return Err(syntax(
                        "multiple DEFERRABLE/NOT DEFERRABLE clauses not allowed",
                        location,
                    ));
                }
                deferrability_seen = true;
                constraint.deferrable = !not;
                if not && initially_seen && constraint.initially_deferred {
                    return Err(syntax(
                        "constraint declared INITIALLY DEFERRED must be DEFERRABLE",
                        location,
                    ));
                }
                continue;
            }
            if self.eat(Kw::Initially) {
                let deferred = self.eat(Kw::Deferred);
                if !deferred {
                    self.expect(Kw::Immediate)?;
                }
                let clause = if deferred { "INITIALLY DEFERRED" } else { "INITIALLY IMMEDIATE" };
                let constraint = deferrable_constraint(&mut constraints, clause, location)?;
                if initially_seen {
                    return Err(syntax(
                        "multiple INITIALLY IMMEDIATE/DEFERRED clauses not allowed",
                        location,
                    ));
                }
                initially_seen = true;
                constraint.initially_deferred = deferred;
                if deferred && deferrability_seen && !constraint.deferrable {
                    return Err(syntax(
                        "constraint declared INITIALLY DEFERRED must be DEFERRABLE",
                        location,
                    ));
                }
                if deferred {
                    constraint.deferrable = true;
                }
                continue;
            }
            let name = if self.eat(Kw::Constraint) { Some(self.col_id()?) } else { None };
            let named = name.is_some();
            match self.opt_column_constraint(name, location)? {
                Some(constraint) => {
                    deferrability_seen = false;
                    initially_seen = false;
                    constraints.push(constraint);
                }
                None if named => return Err(self.syntax_error()),
                None => return Ok((constraints, collation)),
            }
        }
    }

    /// A column's constraint, if one is at hand (`ColConstraintElem`).
    fn opt_column_constraint(
        &mut self,
        name: Option<String>,
        location: u32,
    ) -> SqlResult<Option<Constraint>> {
        let Some(keyword) = self.keyword() else {
            return Ok(None);
        };
        let kind = match keyword {
            Kw::Not => {
                self.skip();
                self.expect(Kw::Null)?;
                ConstraintKind::NotNull
            }
            Kw::Null => {
                self.skip();
                ConstraintKind::Null
            }
            Kw::Unique => {
                self.skip();
                let nulls_not_distinct = self.opt_unique_nulls()?;
                ConstraintKind::Unique(IndexConstraint {
                    nulls_not_distinct,
                    options: self.opt_definition()?,
                    index_space: self.opt_constraint_tablespace()?,
                    ..IndexConstraint::default()
                })
            }
            Kw::Primary => {
                self.skip();
                self.expect(Kw::Key)?;
                ConstraintKind::Primary(IndexConstraint {
                    options: self.opt_definition()?,
                    index_space: self.opt_constraint_tablespace()?,
                    ..IndexConstraint::default()
                })
            }
            Kw::Check => {
                self.skip();
                let check = self.parenthesized_expr()?;
                let mut constraint = Constraint::new(name, ConstraintKind::Check(check), location);
                constraint.no_inherit = self.eat_sequence(&[Kw::No, Kw::Inherit]);
                return Ok(Some(constraint));
            }
            Kw::Default => {
                self.skip();
                ConstraintKind::Default(self.b_expr()?)
            }
            Kw::Generated => {
                self.skip();
                self.generated()?
            }
            Kw::References => {
                self.skip();
                ConstraintKind::Foreign(Box::new(self.references(Vec::new())?))
            }
            _ => return Ok(None),
        };
        Ok(Some(Constraint::new(name, kind, location)))
    }

    /// What follows `GENERATED`.
    pub(super) fn generated(&mut self) -> SqlResult<ConstraintKind> {
        let when_location = self.location();
        let when = self.generated_when()?;
        self.expect(Kw::As)?;
        if self.eat(Kw::Identity) {
            let options = self.opt_parenthesized_sequence_options()?;
            return Ok(ConstraintKind::Identity { when, options });
        }
        let expr = self.parenthesized_expr()?;
        self.expect(Kw::Stored)?;
        if when != IdentityKind::Always {
            return Err(syntax(
                "for a generated column, GENERATED ALWAYS must be specified",
                when_location,
            ));
        }
        Ok(ConstraintKind::Generated(expr))
    }

    /// `ALWAYS` or `BY DEFAULT`.
    pub(super) fn generated_when(&mut self) -> SqlResult<IdentityKind> {
        if self.eat(Kw::Always) {
            Ok(IdentityKind::Always)
        } else {
            self.expect_sequence(&[Kw::By, Kw::Default])?;
            Ok(IdentityKind::ByDefault)
        }
    }

    /// `(expression)`.
    pub(super) fn parenthesized_expr(&mut self) -> SqlResult<crate::ast::Expr> {
        self.expect_char('(')?;
        let expr = self.expr()?;
        self.expect_char(')')?;
        Ok(expr)
    }

    /// `NULLS [NOT] DISTINCT`, or nothing.
    pub(super) fn opt_unique_nulls(&mut self) -> SqlResult<bool> {
        if !self.eat(Kw::Nulls) {
            return Ok(false);
        }
        let not = self.eat(Kw::Not);
        self.expect(Kw::Distinct)?;
        Ok(not)
    }

    /// `WITH (…)`, or nothing (`opt_definition`).
    fn opt_definition(&mut self) -> SqlResult<Vec<DefElem>> {
        if self.eat(Kw::With) { self.definition() } else { Ok(Vec::new()) }
    }

    /// `USING INDEX TABLESPACE name`, or nothing.
    fn opt_constraint_tablespace(&mut self) -> SqlResult<Option<String>> {
        if self.eat_sequence(&[Kw::Using, Kw::Index, Kw::Tablespace]) {
            Ok(Some(self.col_id()?))
        } else {
            Ok(None)
        }
    }

    /// Whether a table constraint begins here.
    pub(super) fn at_table_constraint(&self) -> bool {
        match self.keyword() {
            Some(Kw::Constraint | Kw::Check | Kw::Unique | Kw::Primary | Kw::Foreign) => true,
            // A column may be called so.
            Some(Kw::Exclude) => self.char_ahead(1, '(') || self.at_ahead(1, Kw::Using),
            _ => false,
        }
    }

    /// A table constraint (`TableConstraint`).
    pub(super) fn table_constraint(&mut self) -> SqlResult<Constraint> {
        let location = self.location();
        let name = if self.eat(Kw::Constraint) { Some(self.col_id()?) } else { None };
        let Some(keyword) = self.keyword() else {
            return Err(self.syntax_error());
        };
        if !self.at_table_constraint() || keyword == Kw::Constraint {
            return Err(self.syntax_error());
        }
        self.skip();
        let (kind, what, allowed) = match keyword {
            Kw::Check => {
                (ConstraintKind::Check(self.parenthesized_expr()?), "CHECK", (false, true, true))
            }
            Kw::Unique => {
                let nulls_not_distinct = self.opt_unique_nulls()?;
                let mut constraint = self.index_constraint()?;
                constraint.nulls_not_distinct = nulls_not_distinct;
                (ConstraintKind::Unique(constraint), "UNIQUE", (true, false, false))
            }
            Kw::Primary => {
                self.expect(Kw::Key)?;
                let constraint = self.index_constraint()?;
                (ConstraintKind::Primary(constraint), "PRIMARY KEY", (true, false, false))
            }
            Kw::Exclude => {
                (ConstraintKind::Exclusion(self.exclusion()?), "EXCLUDE", (true, false, false))
            }
            _ => {
                self.expect(Kw::Key)?;
                let columns = self.column_list()?;
                self.expect(Kw::References)?;
                let key = self.references(columns)?;
                (ConstraintKind::Foreign(Box::new(key)), "FOREIGN KEY", (true, true, false))
            }
        };
        let attributes_location = self.location();
        let attributes = self.constraint_attributes()?;
        attributes.check(what, allowed, attributes_location)?;
        Ok(Constraint {
            name,
            kind,
            deferrable: attributes.deferrable || attributes.initially_deferred,
            initially_deferred: attributes.initially_deferred,
            not_valid: attributes.not_valid,
            no_inherit: attributes.no_inherit,
            location,
        })
    }

    fn index_constraint(&mut self) -> SqlResult<IndexConstraint> {
        if self.at(Kw::Using) && self.at_ahead(1, Kw::Index) {
            self.skip();
            self.skip();
            return Ok(IndexConstraint {
                index_name: Some(self.col_id()?),
                ..IndexConstraint::default()
            });
        }
        Ok(IndexConstraint {
            keys: self.column_list()?,
            including: self.opt_include()?,
            options: self.opt_definition()?,
            index_space: self.opt_constraint_tablespace()?,
            ..IndexConstraint::default()
        })
    }

    /// `INCLUDE (columns)`, or nothing.
    fn opt_include(&mut self) -> SqlResult<Vec<String>> {
        if self.eat(Kw::Include) { self.column_list() } else { Ok(Vec::new()) }
    }

    fn exclusion(&mut self) -> SqlResult<ExclusionConstraint> {
        let access_method = if self.eat(Kw::Using) { Some(self.col_id()?) } else { None };
        let exclusions = self.parenthesized_list(|stream| {
            let element = stream.index_elem()?;
            stream.expect(Kw::With)?;
            let operator = if stream.eat(Kw::Operator) {
                stream.expect_char('(')?;
                let operator = stream.dotted_operator()?;
                stream.expect_char(')')?;
                operator
            } else {
                stream.dotted_operator()?
            };
            Ok((element, operator))
        })?;
        let including = self.opt_include()?;
        let options = self.opt_definition()?;
        let index_space = self.opt_constraint_tablespace()?;
        let where_clause =
            if self.eat(Kw::Where) { Some(self.parenthesized_expr()?) } else { None };
        Ok(ExclusionConstraint {
            access_method,
            exclusions,
            including,
            options,
            index_space,
            where_clause,
        })
    }

    /// What follows `REFERENCES`.
    fn references(&mut self, columns: Vec<String>) -> SqlResult<ForeignKeyConstraint> {
        let referenced = self.qualified_name()?;
        let referenced_columns = self.opt_column_list()?;
        let mut match_type = ForeignKeyMatch::Simple;
        let location = self.location();
        if self.eat(Kw::Match) {
            match self.keyword() {
                Some(Kw::Full) => match_type = ForeignKeyMatch::Full,
                Some(Kw::Simple) => {}
                Some(Kw::Partial) => {
                    return Err(SqlError::new(
                        SqlState::FeatureNotSupported,
                        "MATCH PARTIAL not yet implemented",
                    )
                    .at(location));
                }
                _ => return Err(self.syntax_error()),
            }
            self.skip();
        }
        let mut key = ForeignKeyConstraint {
            columns,
            referenced,
            referenced_columns,
            match_type,
            on_delete: ForeignKeyAction::NoAction,
            on_update: ForeignKeyAction::NoAction,
            on_delete_columns: Vec::new(),
        };
        let (mut seen_update, mut seen_delete) = (false, false);
        while self.at(Kw::On) {
            let location = self.location();
            if self.at_ahead(1, Kw::Update) && !seen_update {
                seen_update = true;
                self.skip();
                self.skip();
                let (action, columns, name) = self.key_action()?;
                if !columns.is_empty() {
                    return Err(SqlError::new(
                        SqlState::FeatureNotSupported,
                        format!(
                            "a column list with {name} is only supported for ON DELETE actions"
                        ),
                    )
                    .at(location));
                }
                key.on_update = action;
            } else if self.at_ahead(1, Kw::Delete) && !seen_delete {
                seen_delete = true;
                self.skip();
                self.skip();
                (key.on_delete, key.on_delete_columns, _) = self.key_action()?;
            } else if self.at_any(&[Kw::On]) && (seen_update && seen_delete) {
                return Err(self.syntax_error());
            } else {
                return Err(self.syntax_error_ahead(1));
            }
        }
        Ok(key)
    }

    fn key_action(&mut self) -> SqlResult<(ForeignKeyAction, Vec<String>, &'static str)> {
        let simple = |action| Ok((action, Vec::new(), ""));
        match self.keyword() {
            Some(Kw::No) => {
                self.skip();
                self.expect(Kw::Action)?;
                simple(ForeignKeyAction::NoAction)
            }
            Some(Kw::Restrict) => {
                self.skip();
                simple(ForeignKeyAction::Restrict)
            }
            Some(Kw::Cascade) => {
                self.skip();
                simple(ForeignKeyAction::Cascade)
            }
            Some(Kw::Set) => {
                self.skip();
                let (action, name) = if self.eat(Kw::Null) {
                    (ForeignKeyAction::SetNull, "SET NULL")
                } else {
                    self.expect(Kw::Default)?;
                    (ForeignKeyAction::SetDefault, "SET DEFAULT")
                };
                Ok((action, self.opt_column_list()?, name))
            }
            _ => Err(self.syntax_error()),
        }
    }

    /// `DEFERRABLE`, `INITIALLY …`, `NOT VALID`, `NO INHERIT`, in any order
    /// (`ConstraintAttributeSpec`).
    pub(super) fn constraint_attributes(&mut self) -> SqlResult<Attributes> {
        let mut attributes = Attributes::default();
        loop {
            let location = self.location();
            match self.keyword() {
                Some(Kw::Deferrable) => {
                    self.skip();
                    attributes.deferrable = true;
                }
                Some(Kw::Initially) => {
                    self.skip();
                    if self.eat(Kw::Deferred) {
                        attributes.initially_deferred = true;
                    } else {
                        self.expect(Kw::Immediate)?;
                        attributes.initially_immediate = true;
                    }
                }
                Some(Kw::Not) => {
                    self.skip();
                    if self.eat(Kw::Deferrable) {
                        attributes.not_deferrable = true;
                    } else {
                        self.expect(Kw::Valid)?;
                        attributes.not_valid = true;
                    }
                }
                Some(Kw::No) if self.at_ahead(1, Kw::Inherit) => {
                    self.skip();
                    self.skip();
                    attributes.no_inherit = true;
                }
                _ => return Ok(attributes),
            }
            if attributes.not_deferrable && attributes.initially_deferred {
                return Err(syntax(
                    "constraint declared INITIALLY DEFERRED must be DEFERRABLE",
                    location,
                ));
            }
            if (attributes.deferrable && attributes.not_deferrable)
                || (attributes.initially_deferred && attributes.initially_immediate)
            {
                return Err(syntax("conflicting constraint properties", location));
            }
        }
    }
}

impl Attributes {
    /// Refuses what a kind of constraint cannot have; `allowed` is deferrability, `NOT VALID` and
    /// `NO INHERIT`.
    fn check(&self, what: &str, allowed: (bool, bool, bool), location: u32) -> SqlResult<()> {
        let (deferrable, not_valid, no_inherit) = allowed;
        let refused = if (self.deferrable || self.initially_deferred) && !deferrable {
            "DEFERRABLE"
        } else if self.not_valid && !not_valid {
            "NOT VALID"
        } else if self.no_inherit && !no_inherit {
            "NO INHERIT"
        } else {
            return Ok(());
        };
        Err(SqlError::new(
            SqlState::FeatureNotSupported,
            format!("{what} constraints cannot be marked {refused}"),
        )
        .at(location))
    }
}

/// The constraint before a deferrability clause, if it can have one.
fn deferrable_constraint<'c>(
    constraints: &'c mut [Constraint],
    clause: &str,
    location: u32,
) -> SqlResult<&'c mut Constraint> {
    match constraints.last_mut() {
        Some(constraint)
            if matches!(
                constraint.kind,
                ConstraintKind::Primary(_)
                    | ConstraintKind::Unique(_)
                    | ConstraintKind::Exclusion(_)
                    | ConstraintKind::Foreign(_)
            ) =>
        {
            Ok(constraint)
        }
        _ => Err(syntax(format!("misplaced {clause} clause"), location)),
    }
}
