//! `CREATE`: databases, schemas, views, types, domains, extensions, and the way to all others.

use aegis_types::{SqlError, SqlResult, SqlState};

use super::keyword::Keyword as Kw;
use super::lexer::TokenKind;
use super::select::select_of;
use super::stream::TokenStream;
use crate::ast::{
    AggregateArgs, ColumnRef, CommonTableExpr, CompositeTypeStmt, CreateDatabaseStmt,
    CreateDomainStmt, CreateEnumStmt, CreateExtensionStmt, CreateSchemaStmt, CreateViewStmt,
    CteMaterialize, DefElem, DefValue, DefineStmt, Expr, FromItem, ObjectType, RangeVar,
    RelPersistence, ResTarget, RoleStmtType, SelectBody, SimpleSelect, Statement, ViewCheckOption,
    WithClause,
};

impl TokenStream<'_> {
    /// `CREATE …`.
    pub(super) fn create(&mut self) -> SqlResult<Statement> {
        let replace = self.at_ahead(1, Kw::Or) && self.at_ahead(2, Kw::Replace);
        let ahead = if replace { 3 } else { 1 };
        if self.at_ahead(1, Kw::Or) && !replace {
            return Err(self.syntax_error_ahead(2));
        }
        let skip_words = |stream: &mut Self, count: usize| (0..count).for_each(|_| stream.skip());
        match (self.keyword_ahead(ahead), self.keyword_ahead(ahead + 1)) {
            (Some(Kw::Temp | Kw::Temporary | Kw::Local | Kw::Global | Kw::Unlogged), _)
            | (Some(Kw::Table | Kw::Sequence | Kw::View | Kw::Recursive | Kw::Materialized), _) => {
                skip_words(self, ahead);
                self.create_relation(replace)
            }
            (Some(Kw::Function | Kw::Procedure), _) => {
                skip_words(self, ahead);
                self.create_function(replace)
            }
            (Some(Kw::Trigger), _) | (Some(Kw::Constraint), Some(Kw::Trigger)) => {
                skip_words(self, ahead);
                self.create_trigger(replace)
            }
            (Some(Kw::Rule), _) => {
                skip_words(self, ahead);
                self.create_rule(replace)
            }
            (Some(Kw::Aggregate), _) => {
                skip_words(self, ahead);
                self.create_aggregate(replace)
            }
            (Some(Kw::Constraint), _) => Err(self.syntax_error_ahead(ahead + 1)),
            (Some(Kw::Language | Kw::Transform | Kw::Trusted | Kw::Procedural), _) => {
                self.unsupported_statement()
            }
            _ if replace => Err(self.syntax_error_ahead(ahead)),
            (Some(Kw::User), Some(Kw::Mapping))
            | (Some(Kw::Operator), Some(Kw::Class | Kw::Family)) => self.unsupported_statement(),
            (Some(Kw::Assertion), _) => Err(SqlError::new(
                SqlState::FeatureNotSupported,
                "CREATE ASSERTION is not yet implemented",
            )),
            (Some(keyword), _) => {
                let creatable = matches!(
                    keyword,
                    Kw::Database
                        | Kw::Schema
                        | Kw::Unique
                        | Kw::Index
                        | Kw::Type
                        | Kw::Domain
                        | Kw::Role
                        | Kw::User
                        | Kw::Group
                        | Kw::Extension
                        | Kw::Operator
                        | Kw::Collation
                        | Kw::Text
                );
                if !creatable {
                    return self.unsupported_statement();
                }
                self.skip();
                self.skip();
                self.create_object(keyword)
            }
            (None, _) => Err(self.syntax_error_ahead(ahead)),
        }
    }

    /// What follows `CREATE` and a word that names a kind.
    fn create_object(&mut self, keyword: Kw) -> SqlResult<Statement> {
        match keyword {
            Kw::Database => self.create_database(),
            Kw::Schema => self.create_schema(),
            Kw::Unique => {
                self.expect(Kw::Index)?;
                self.create_index(true)
            }
            Kw::Index => self.create_index(false),
            Kw::Type => self.create_type(),
            Kw::Domain => self.create_domain(),
            Kw::Role => self.create_role(RoleStmtType::Role),
            Kw::User => self.create_role(RoleStmtType::User),
            Kw::Group => self.create_role(RoleStmtType::Group),
            Kw::Extension => self.create_extension(),
            Kw::Operator => {
                let name = self.dotted_operator()?;
                let definition = self.definition()?;
                Ok(define(ObjectType::Operator, name, definition))
            }
            Kw::Collation => self.create_collation(),
            _ => self.create_text_search(),
        }
    }

    /// A relation with its persistence: table, sequence or view.
    fn create_relation(&mut self, replace: bool) -> SqlResult<Statement> {
        let persistence = self.opt_temp();
        match self.keyword() {
            Some(Kw::Table) if !replace => {
                self.skip();
                self.create_table(persistence)
            }
            Some(Kw::Sequence) if !replace => {
                self.skip();
                self.create_sequence(persistence)
            }
            Some(Kw::Materialized) if !replace && persistence != RelPersistence::Temporary => {
                self.skip();
                self.expect(Kw::View)?;
                let if_not_exists = self.if_not_exists()?;
                let mut relation = self.qualified_name()?;
                relation.persistence = persistence;
                self.create_table_as(relation, ObjectType::MatView, if_not_exists)
            }
            Some(Kw::View) if persistence != RelPersistence::Unlogged => {
                self.skip();
                self.create_view(persistence, replace)
            }
            Some(Kw::Recursive) if persistence != RelPersistence::Unlogged => {
                self.skip();
                self.expect(Kw::View)?;
                self.create_recursive_view(persistence, replace)
            }
            _ => Err(self.syntax_error()),
        }
    }

    fn create_view(&mut self, persistence: RelPersistence, replace: bool) -> SqlResult<Statement> {
        let mut view = self.qualified_name()?;
        view.persistence = persistence;
        let aliases = self.opt_column_list()?;
        let options = if self.eat(Kw::With) { self.reloptions()? } else { Vec::new() };
        self.expect(Kw::As)?;
        let begin = self.location();
        let query = self.select_no_parens()?;
        let end = self.previous_end();
        let check_option = self.opt_check_option()?;
        Ok(Statement::CreateView(Box::new(CreateViewStmt {
            view,
            aliases,
            query,
            replace,
            options,
            check_option,
            query_span: (begin, end),
        })))
    }

    /// `WITH [CASCADED|LOCAL] CHECK OPTION`, or nothing.
    fn opt_check_option(&mut self) -> SqlResult<ViewCheckOption> {
        if !self.eat(Kw::With) {
            return Ok(ViewCheckOption::None);
        }
        let check_option = if self.eat(Kw::Local) {
            ViewCheckOption::Local
        } else {
            self.eat(Kw::Cascaded);
            ViewCheckOption::Cascaded
        };
        self.expect_sequence(&[Kw::Check, Kw::Option])?;
        Ok(check_option)
    }

    /// What follows `CREATE RECURSIVE VIEW`: a view of `WITH RECURSIVE name (columns) AS (query)
    /// SELECT columns FROM name`.
    fn create_recursive_view(
        &mut self,
        persistence: RelPersistence,
        replace: bool,
    ) -> SqlResult<Statement> {
        let mut view = self.qualified_name()?;
        view.persistence = persistence;
        let aliases = self.column_list()?;
        let options = if self.eat(Kw::With) { self.reloptions()? } else { Vec::new() };
        self.expect(Kw::As)?;
        let begin = self.location();
        let inner = self.select_no_parens()?;
        let end = self.previous_end();
        let check_location = self.location();
        if self.opt_check_option()? != ViewCheckOption::None {
            return Err(SqlError::new(
                SqlState::FeatureNotSupported,
                "WITH CHECK OPTION not supported on recursive views",
            )
            .at(check_location));
        }
        let query = recursive_view_query(&view, &aliases, inner, begin);
        Ok(Statement::CreateView(Box::new(CreateViewStmt {
            view,
            aliases,
            query,
            replace,
            options,
            check_option: ViewCheckOption::None,
            query_span: (begin, end),
        })))
    }

    fn create_database(&mut self) -> SqlResult<Statement> {
        let name = self.col_id()?;
        let options = self.database_options()?;
        Ok(Statement::CreateDatabase(CreateDatabaseStmt { name, options }))
    }

    /// `[WITH] name [=] value …`.
    pub(super) fn database_options(&mut self) -> SqlResult<Vec<DefElem>> {
        self.eat(Kw::With);
        let mut options = Vec::new();
        loop {
            let location = self.location();
            let name = match self.peek() {
                TokenKind::Ident(_) => self.take_name(),
                TokenKind::Keyword(Kw::Connection) => {
                    self.skip();
                    self.expect(Kw::Limit)?;
                    "connection_limit".to_owned()
                }
                TokenKind::Keyword(
                    Kw::Encoding | Kw::Location | Kw::Owner | Kw::Tablespace | Kw::Template,
                ) => self.take_name(),
                _ => return Ok(options),
            };
            self.eat_char('=');
            let value = match self.peek() {
                TokenKind::Keyword(Kw::Default) => {
                    self.skip();
                    None
                }
                TokenKind::Integer(_) | TokenKind::Float(_) | TokenKind::Char('+' | '-') => {
                    Some(self.numeric_only()?)
                }
                _ => Some(DefValue::String(self.boolean_or_string()?)),
            };
            options.push(DefElem::new(&name, value, location));
        }
    }

    fn create_schema(&mut self) -> SqlResult<Statement> {
        let if_not_exists = self.if_not_exists()?;
        let mut name = None;
        if !self.at(Kw::Authorization) {
            name = Some(self.col_id()?);
        }
        let authorization =
            if self.eat(Kw::Authorization) { Some(self.role_spec()?) } else { None };
        let mut elements = Vec::new();
        let elements_location = self.location();
        while self.at_any(&[Kw::Create, Kw::Grant]) {
            let location = self.location();
            let element =
                if self.at(Kw::Create) { self.nested(Self::create)? } else { self.grant()? };
            let allowed = matches!(
                element,
                Statement::CreateTable(_)
                    | Statement::CreateIndex(_)
                    | Statement::CreateSequence(_)
                    | Statement::CreateTrigger(_)
                    | Statement::CreateView(_)
                    | Statement::Grant(_)
            );
            if !allowed {
                return Err(
                    SqlError::unsupported("this statement within CREATE SCHEMA").at(location)
                );
            }
            elements.push(element);
        }
        if if_not_exists && !elements.is_empty() {
            return Err(SqlError::new(
                SqlState::FeatureNotSupported,
                "CREATE SCHEMA IF NOT EXISTS cannot include schema elements",
            )
            .at(elements_location));
        }
        Ok(Statement::CreateSchema(Box::new(CreateSchemaStmt {
            name,
            authorization,
            elements,
            if_not_exists,
        })))
    }

    fn create_type(&mut self) -> SqlResult<Statement> {
        let location = self.location();
        let name = self.any_name()?;
        if self.at_char('(') {
            let definition = self.definition()?;
            return Ok(define(ObjectType::Type, name, definition));
        }
        if !self.eat(Kw::As) {
            return Ok(define(ObjectType::Type, name, Vec::new()));
        }
        match self.keyword() {
            Some(Kw::Enum) => {
                self.skip();
                self.expect_char('(')?;
                let labels =
                    if self.at_char(')') { Vec::new() } else { self.comma_list(Self::string)? };
                self.expect_char(')')?;
                Ok(Statement::CreateEnum(CreateEnumStmt { name, labels }))
            }
            Some(Kw::Range) => {
                self.skip();
                let definition = self.definition()?;
                match define(ObjectType::Type, name, definition) {
                    Statement::Define(mut statement) => {
                        statement.range = true;
                        Ok(Statement::Define(statement))
                    }
                    other => Ok(other),
                }
            }
            _ => {
                self.expect_char('(')?;
                let columns = if self.at_char(')') {
                    Vec::new()
                } else {
                    self.comma_list(Self::table_func_element)?
                };
                self.expect_char(')')?;
                let name = super::name::range_var_from_names(name, location)?;
                Ok(Statement::CreateCompositeType(CompositeTypeStmt { name, columns }))
            }
        }
    }

    fn create_domain(&mut self) -> SqlResult<Statement> {
        let name = self.any_name()?;
        self.eat(Kw::As);
        let type_name = self.type_name()?;
        let (constraints, collation) = self.column_constraints()?;
        Ok(Statement::CreateDomain(Box::new(CreateDomainStmt {
            name,
            type_name,
            collation,
            constraints,
        })))
    }

    fn create_extension(&mut self) -> SqlResult<Statement> {
        let if_not_exists = self.if_not_exists()?;
        let mut extension = CreateExtensionStmt {
            name: self.col_id()?,
            if_not_exists,
            schema: None,
            version: None,
            cascade: false,
        };
        self.eat(Kw::With);
        loop {
            let location = self.location();
            let seen = match self.keyword() {
                Some(Kw::Schema) => {
                    self.skip();
                    let schema = self.col_id()?;
                    extension.schema.replace(schema).is_some()
                }
                Some(Kw::Version) => {
                    self.skip();
                    let version = self.non_reserved_word_or_string()?;
                    extension.version.replace(version).is_some()
                }
                Some(Kw::Cascade) => {
                    self.skip();
                    std::mem::replace(&mut extension.cascade, true)
                }
                Some(Kw::From) => {
                    return Err(SqlError::new(
                        SqlState::FeatureNotSupported,
                        "CREATE EXTENSION ... FROM is no longer supported",
                    )
                    .at(location));
                }
                _ => return Ok(Statement::CreateExtension(extension)),
            };
            if seen {
                return Err(SqlError::new(
                    SqlState::SyntaxError,
                    "conflicting or redundant options",
                )
                .at(location));
            }
        }
    }

    fn create_collation(&mut self) -> SqlResult<Statement> {
        let if_not_exists = self.if_not_exists()?;
        let name = self.any_name()?;
        let mut from = None;
        let mut definition = Vec::new();
        if self.eat(Kw::From) {
            from = Some(self.any_name()?);
        } else {
            definition = self.definition()?;
        }
        Ok(Statement::Define(Box::new(DefineStmt {
            object_type: ObjectType::Collation,
            name,
            args: None,
            definition,
            range: false,
            from,
            if_not_exists,
            replace: false,
        })))
    }

    fn create_text_search(&mut self) -> SqlResult<Statement> {
        self.expect(Kw::Search)?;
        let object_type = self.text_search_kind()?;
        let name = self.any_name()?;
        let definition = self.definition()?;
        Ok(define(object_type, name, definition))
    }

    /// `(name = value, …)` of the old syntax, where no keyword is a name and no value is missing.
    fn old_aggregate_definition(&mut self) -> SqlResult<Vec<DefElem>> {
        self.parenthesized_list(|stream| {
            let location = stream.location();
            if !matches!(stream.peek(), TokenKind::Ident(_)) {
                return Err(stream.syntax_error());
            }
            let name = stream.take_name();
            stream.expect_char('=')?;
            let value = stream.def_value()?;
            Ok(DefElem::new(&name, Some(value), location))
        })
    }

    fn create_aggregate(&mut self, replace: bool) -> SqlResult<Statement> {
        self.expect(Kw::Aggregate)?;
        let name = self.func_name()?;
        let old_style = self.char_ahead(2, '=');
        let args: Option<AggregateArgs> =
            if old_style { None } else { Some(self.aggregate_args()?) };
        let definition =
            if old_style { self.old_aggregate_definition()? } else { self.definition()? };
        match define(ObjectType::Aggregate, name, definition) {
            Statement::Define(mut statement) => {
                statement.args = args;
                statement.replace = replace;
                Ok(Statement::Define(statement))
            }
            other => Ok(other),
        }
    }
}

fn define(object_type: ObjectType, name: Vec<String>, definition: Vec<DefElem>) -> Statement {
    Statement::Define(Box::new(DefineStmt {
        object_type,
        name,
        args: None,
        definition,
        range: false,
        from: None,
        if_not_exists: false,
        replace: false,
    }))
}

/// PostgreSQL's `makeRecursiveViewSelect`.
fn recursive_view_query(
    view: &RangeVar,
    aliases: &[String],
    inner: crate::ast::SelectStmt,
    location: u32,
) -> crate::ast::SelectStmt {
    let targets = aliases
        .iter()
        .map(|name| ResTarget {
            name: None,
            value: Expr::ColumnRef(ColumnRef { names: vec![name.clone()], star: false, location }),
            location,
        })
        .collect();
    let relation = RangeVar {
        catalog: None,
        schema: None,
        name: view.name.clone(),
        inherits: true,
        persistence: RelPersistence::Permanent,
        alias: None,
        location,
    };
    let simple = SimpleSelect {
        distinct: None,
        targets,
        into: None,
        from: vec![FromItem::Relation(relation)],
        where_clause: None,
        group_by: Vec::new(),
        group_distinct: false,
        having: None,
        window: Vec::new(),
    };
    let mut select = select_of(SelectBody::Simple(Box::new(simple)), location);
    select.with = Some(WithClause {
        ctes: vec![CommonTableExpr {
            name: view.name.clone(),
            columns: aliases.to_vec(),
            materialized: CteMaterialize::Default,
            query: Statement::Select(Box::new(inner)),
            search: None,
            cycle: None,
            location,
        }],
        recursive: true,
        location,
    });
    select
}
