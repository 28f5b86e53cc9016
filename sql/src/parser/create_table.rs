//! `CREATE TABLE` and `CREATE TABLE AS`, materialized views, and indexes.

use aegis_types::{SqlError, SqlResult, SqlState};

use super::keyword::Keyword as Kw;
use super::lexer::TokenKind;
use super::stream::TokenStream;
use crate::ast::{
    ColumnDef, CreateTableAsStmt, CreateTableStmt, DefValue, Expr, IndexElem, IndexStmt,
    IntoClause, LikeOptions, ObjectType, OnCommitAction, PartitionBoundSpec, PartitionElem,
    PartitionSpec, RangeVar, RelPersistence, Statement, TableElement, TableLikeClause, TypeName,
};

impl TokenStream<'_> {
    /// What follows `CREATE … TABLE`.
    pub(super) fn create_table(&mut self, persistence: RelPersistence) -> SqlResult<Statement> {
        let if_not_exists = self.if_not_exists()?;
        let mut relation = self.qualified_name()?;
        relation.persistence = persistence;
        let mut of_type = None;
        let mut partition_of = None;
        let mut elements = Vec::new();
        if self.eat(Kw::Of) {
            let location = self.location();
            of_type = Some(TypeName::generic(self.any_name()?, location));
            elements = self.opt_typed_table_elements()?;
        } else if self.eat(Kw::Partition) {
            self.expect(Kw::Of)?;
            let parent = self.qualified_name()?;
            elements = self.opt_typed_table_elements()?;
            partition_of = Some((parent, self.partition_bound()?));
        } else if self.at_create_as() {
            return self.create_table_as(relation, ObjectType::Table, if_not_exists);
        } else {
            self.expect_char('(')?;
            if !self.at_char(')') {
                elements = self.comma_list(Self::table_element)?;
            }
            self.expect_char(')')?;
        }
        let mut inherits = Vec::new();
        if of_type.is_none() && partition_of.is_none() && self.eat(Kw::Inherits) {
            inherits = self.parenthesized_list(Self::qualified_name)?;
        }
        let partition_spec = self.opt_partition_spec()?;
        let access_method = self.opt_access_method()?;
        let options = self.opt_with_options()?;
        let on_commit = self.opt_on_commit()?;
        let table_space = self.opt_tablespace()?;
        Ok(Statement::CreateTable(Box::new(CreateTableStmt {
            relation,
            elements,
            inherits,
            partition_spec,
            partition_of,
            of_type,
            access_method,
            options,
            on_commit,
            table_space,
            if_not_exists,
        })))
    }

    /// Whether `CREATE TABLE AS` goes on here: no column has a type.
    fn at_create_as(&self) -> bool {
        match self.peek() {
            TokenKind::Char('(') => {
                self.col_id_ahead(1) && matches!(self.peek_ahead(2), TokenKind::Char(',' | ')'))
            }
            _ => self.at_any(&[Kw::As, Kw::Using, Kw::With, Kw::Without, Kw::On, Kw::Tablespace]),
        }
    }

    /// What follows the name in `CREATE TABLE AS` and `CREATE MATERIALIZED VIEW`.
    pub(super) fn create_table_as(
        &mut self,
        relation: RangeVar,
        object_type: ObjectType,
        if_not_exists: bool,
    ) -> SqlResult<Statement> {
        let column_names = self.opt_column_list()?;
        let access_method = self.opt_access_method()?;
        let options = self.opt_with_options()?;
        let on_commit = if object_type == ObjectType::Table {
            self.opt_on_commit()?
        } else {
            OnCommitAction::Noop
        };
        let table_space = self.opt_tablespace()?;
        self.expect(Kw::As)?;
        let query = if object_type == ObjectType::Table && self.at(Kw::Execute) {
            self.execute()?
        } else {
            Statement::Select(Box::new(self.select_no_parens()?))
        };
        let skip_data = self.opt_with_no_data()?;
        Ok(Statement::CreateTableAs(Box::new(CreateTableAsStmt {
            query,
            into: IntoClause {
                relation,
                column_names,
                access_method,
                options,
                on_commit,
                table_space,
                skip_data,
            },
            object_type,
            if_not_exists,
        })))
    }

    /// `WITH [NO] DATA`, or nothing; true for `NO`.
    pub(super) fn opt_with_no_data(&mut self) -> SqlResult<bool> {
        if !self.eat(Kw::With) {
            return Ok(false);
        }
        let no = self.eat(Kw::No);
        self.expect(Kw::Data)?;
        Ok(no)
    }

    /// `USING method`, or nothing.
    pub(super) fn opt_access_method(&mut self) -> SqlResult<Option<String>> {
        if self.eat(Kw::Using) { Ok(Some(self.col_id()?)) } else { Ok(None) }
    }

    /// `TABLESPACE name`, or nothing.
    pub(super) fn opt_tablespace(&mut self) -> SqlResult<Option<String>> {
        if self.eat(Kw::Tablespace) { Ok(Some(self.col_id()?)) } else { Ok(None) }
    }

    fn opt_on_commit(&mut self) -> SqlResult<OnCommitAction> {
        if !self.eat(Kw::On) {
            return Ok(OnCommitAction::Noop);
        }
        self.expect(Kw::Commit)?;
        match self.keyword() {
            Some(Kw::Drop) => {
                self.skip();
                Ok(OnCommitAction::Drop)
            }
            Some(Kw::Delete) => {
                self.skip();
                self.expect(Kw::Rows)?;
                Ok(OnCommitAction::DeleteRows)
            }
            _ => {
                self.expect_sequence(&[Kw::Preserve, Kw::Rows])?;
                Ok(OnCommitAction::PreserveRows)
            }
        }
    }

    fn table_element(&mut self) -> SqlResult<TableElement> {
        if self.at(Kw::Like) {
            return Ok(TableElement::Like(self.like_clause()?));
        }
        if self.at_table_constraint() {
            return Ok(TableElement::Constraint(self.table_constraint()?));
        }
        Ok(TableElement::Column(self.column_def()?))
    }

    /// A column with its type and constraints (`columnDef`).
    pub(super) fn column_def(&mut self) -> SqlResult<ColumnDef> {
        let location = self.location();
        let name = self.col_id()?;
        let type_name = Some(self.type_name()?);
        let compression = if self.eat(Kw::Compression) { Some(self.compression()?) } else { None };
        if self.at(Kw::Options) {
            return Err(SqlError::unsupported("OPTIONS of a column").at(self.location()));
        }
        let (constraints, collation) = self.column_constraints()?;
        Ok(ColumnDef {
            name,
            type_name,
            compression,
            fdw_options: Vec::new(),
            collation,
            constraints,
            location,
        })
    }

    /// A method of compression; `default` is one.
    pub(super) fn compression(&mut self) -> SqlResult<String> {
        if self.eat(Kw::Default) {
            return Ok("default".to_owned());
        }
        self.col_id()
    }

    fn opt_typed_table_elements(&mut self) -> SqlResult<Vec<TableElement>> {
        if !self.at_char('(') {
            return Ok(Vec::new());
        }
        self.parenthesized_list(|stream| {
            if stream.at_table_constraint() {
                return Ok(TableElement::Constraint(stream.table_constraint()?));
            }
            let location = stream.location();
            let name = stream.col_id()?;
            stream.eat_sequence(&[Kw::With, Kw::Options]);
            let (constraints, collation) = stream.column_constraints()?;
            Ok(TableElement::Column(ColumnDef {
                name,
                type_name: None,
                compression: None,
                fdw_options: Vec::new(),
                collation,
                constraints,
                location,
            }))
        })
    }

    fn like_clause(&mut self) -> SqlResult<TableLikeClause> {
        self.expect(Kw::Like)?;
        let relation = self.qualified_name()?;
        let mut options = LikeOptions::default();
        while self.at_any(&[Kw::Including, Kw::Excluding]) {
            let value = self.at(Kw::Including);
            self.skip();
            match self.keyword() {
                Some(Kw::Comments) => options.comments = value,
                Some(Kw::Compression) => options.compression = value,
                Some(Kw::Constraints) => options.constraints = value,
                Some(Kw::Defaults) => options.defaults = value,
                Some(Kw::Identity) => options.identity = value,
                Some(Kw::Generated) => options.generated = value,
                Some(Kw::Indexes) => options.indexes = value,
                Some(Kw::Statistics) => options.statistics = value,
                Some(Kw::Storage) => options.storage = value,
                Some(Kw::All) => {
                    options = LikeOptions {
                        comments: value,
                        compression: value,
                        constraints: value,
                        defaults: value,
                        generated: value,
                        identity: value,
                        indexes: value,
                        statistics: value,
                        storage: value,
                    };
                }
                _ => return Err(self.syntax_error()),
            }
            self.skip();
        }
        Ok(TableLikeClause { relation, options })
    }

    fn opt_partition_spec(&mut self) -> SqlResult<Option<PartitionSpec>> {
        let location = self.location();
        if !self.eat(Kw::Partition) {
            return Ok(None);
        }
        self.expect(Kw::By)?;
        let strategy = self.col_id()?;
        let elements = self.parenthesized_list(|stream| {
            let location = stream.location();
            let element = stream.index_key()?;
            let collation = stream.opt_collate()?.map_or(Vec::new(), |name| name.name);
            let opclass = if stream.col_id_ahead(0) { stream.any_name()? } else { Vec::new() };
            Ok(PartitionElem {
                name: element.name,
                expr: element.expr,
                collation,
                opclass,
                location,
            })
        })?;
        Ok(Some(PartitionSpec { strategy, elements, location }))
    }

    /// `DEFAULT` or `FOR VALUES …`.
    pub(super) fn partition_bound(&mut self) -> SqlResult<PartitionBoundSpec> {
        let location = self.location();
        if self.eat(Kw::Default) {
            return Ok(PartitionBoundSpec::Default { location });
        }
        self.expect_sequence(&[Kw::For, Kw::Values])?;
        let location = self.location();
        if self.eat(Kw::In) {
            let values = self.parenthesized_list(Self::expr)?;
            return Ok(PartitionBoundSpec::List { values, location });
        }
        if self.eat(Kw::From) {
            let lower = self.parenthesized_list(Self::expr)?;
            self.expect(Kw::To)?;
            let upper = self.parenthesized_list(Self::expr)?;
            return Ok(PartitionBoundSpec::Range { lower, upper, location });
        }
        self.expect(Kw::With)?;
        let items = self.parenthesized_list(|stream| {
            let location = stream.location();
            let name = stream.non_reserved_word()?;
            Ok((name, stream.integer()?, location))
        })?;
        let (mut modulus, mut remainder) = (None, None);
        for (name, value, location) in items {
            let slot = match name.as_str() {
                "modulus" => &mut modulus,
                "remainder" => &mut remainder,
                _ => {
                    return Err(SqlError::new(
                        SqlState::SyntaxError,
                        format!("unrecognized hash partition bound specification \"{name}\""),
                    )
                    .at(location));
                }
            };
            if slot.replace(value).is_some() {
                return Err(SqlError::new(
                    SqlState::DuplicateObject,
                    format!("{name} for hash partition provided more than once"),
                )
                .at(location));
            }
        }
        let missing = |what: &str| {
            SqlError::new(
                SqlState::SyntaxError,
                format!("{what} for hash partition must be specified"),
            )
        };
        Ok(PartitionBoundSpec::Hash {
            modulus: modulus.ok_or_else(|| missing("modulus"))?,
            remainder: remainder.ok_or_else(|| missing("remainder"))?,
            location,
        })
    }

    /// What follows `CREATE [UNIQUE]` up to and with `INDEX`.
    pub(super) fn create_index(&mut self, unique: bool) -> SqlResult<Statement> {
        let concurrent = self.eat(Kw::Concurrently);
        let if_not_exists = self.if_not_exists()?;
        let name = if if_not_exists || !self.at(Kw::On) { Some(self.col_id()?) } else { None };
        self.expect(Kw::On)?;
        let relation = self.relation_expr()?;
        let access_method = self.opt_access_method()?.unwrap_or_else(|| "btree".to_owned());
        let params = self.parenthesized_list(Self::index_elem)?;
        let including = if self.eat(Kw::Include) {
            self.parenthesized_list(Self::index_elem)?
        } else {
            Vec::new()
        };
        let nulls_not_distinct = self.opt_unique_nulls()?;
        let options = if self.eat(Kw::With) { self.reloptions()? } else { Vec::new() };
        let table_space = self.opt_tablespace()?;
        let where_clause = self.opt_where_clause()?;
        Ok(Statement::CreateIndex(Box::new(IndexStmt {
            name,
            relation,
            access_method,
            params,
            including,
            options,
            table_space,
            where_clause,
            unique,
            nulls_not_distinct,
            concurrent,
            if_not_exists,
        })))
    }

    /// A column, a call or a parenthesised expression.
    fn index_key(&mut self) -> SqlResult<IndexElem> {
        let mut element = IndexElem {
            name: None,
            expr: None,
            collation: Vec::new(),
            opclass: Vec::new(),
            opclass_options: Vec::new(),
            ordering: crate::ast::SortDirection::Default,
            nulls: crate::ast::SortNulls::Default,
        };
        if self.at_char('(') {
            element.expr = Some(self.parenthesized_expr()?);
        } else if self.at_index_function() {
            element.expr = Some(self.func_expr_windowless()?);
        } else {
            element.name = Some(self.col_id()?);
        }
        Ok(element)
    }

    fn at_index_function(&self) -> bool {
        let special = self.keyword().is_some_and(|word| self.is_special_call(word));
        special
            || (self.char_ahead(1, '(') && self.type_function_name_ahead(0))
            || (self.char_ahead(1, '.') && self.col_id_ahead(0))
    }

    /// A key of an index (`index_elem`).
    pub(super) fn index_elem(&mut self) -> SqlResult<IndexElem> {
        let mut element = self.index_key()?;
        element.collation = self.opt_collate()?.map_or(Vec::new(), |name| name.name);
        if self.col_id_ahead(0) {
            element.opclass = self.any_name()?;
            if self.at_char('(') {
                element.opclass_options = self.reloptions()?;
            }
        }
        element.ordering = self.opt_asc_desc();
        element.nulls = self.opt_nulls_order()?;
        Ok(element)
    }

    /// A number with or without a sign, as text.
    pub(super) fn number_text(&mut self) -> SqlResult<String> {
        Ok(match self.numeric_only()? {
            DefValue::Integer(number) => number.to_string(),
            other => other.text(),
        })
    }

    /// `(expressions)`, or nothing.
    pub(super) fn opt_expr_list(&mut self) -> SqlResult<Vec<Expr>> {
        if self.at_char('(') { self.parenthesized_list(Self::expr) } else { Ok(Vec::new()) }
    }
}
