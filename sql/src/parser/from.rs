//! What stands in `FROM`: PostgreSQL's `table_ref` and its joins.

use aegis_types::{SqlError, SqlResult, SqlState};

use super::keyword::Keyword as Kw;
use super::lexer::TokenKind;
use super::stream::{NODE_CHAIN_MAX, TokenStream, too_deep};
use crate::ast::{
    Alias, CollationName, ColumnDef, FromItem, JoinExpr, JoinType, RangeFunction,
    RangeFunctionItem, RangeSubselect, RangeTableSample, SelectBody, SelectStmt,
};

/// An item, and whether it is a join that may stand in parentheses by itself.
type ItemAndJoined = (FromItem, bool);

/// What a pair of parentheses in `FROM` holds.
enum Parenthesized {
    Select(SelectStmt),
    Joined(FromItem),
}

impl TokenStream<'_> {
    /// `FROM …`, or nothing.
    pub(super) fn opt_from_clause(&mut self) -> SqlResult<Vec<FromItem>> {
        if self.eat(Kw::From) { self.comma_list(Self::table_ref) } else { Ok(Vec::new()) }
    }

    /// An item of `FROM` with all its joins.
    pub(super) fn table_ref(&mut self) -> SqlResult<FromItem> {
        Ok(self.table_ref_joined()?.0)
    }

    fn table_ref_joined(&mut self) -> SqlResult<ItemAndJoined> {
        self.nested(|stream| {
            let first = stream.table_primary()?;
            stream.joins(first)
        })
    }

    /// The joins behind an item.
    fn joins(&mut self, first: ItemAndJoined) -> SqlResult<ItemAndJoined> {
        let (mut left, mut joined) = first;
        let mut length = 0;
        loop {
            let natural = self.at(Kw::Natural);
            if natural {
                self.skip();
            }
            let cross = !natural && self.at(Kw::Cross);
            let join_type = match self.keyword() {
                Some(Kw::Cross) if cross => JoinType::Inner,
                Some(Kw::Join | Kw::Inner) => JoinType::Inner,
                Some(Kw::Left) => JoinType::Left,
                Some(Kw::Right) => JoinType::Right,
                Some(Kw::Full) => JoinType::Full,
                _ if natural => return Err(self.syntax_error()),
                _ => return Ok((left, joined)),
            };
            length += 1;
            if length > NODE_CHAIN_MAX {
                return Err(too_deep());
            }
            if !self.at(Kw::Join) {
                self.skip();
                if matches!(join_type, JoinType::Left | JoinType::Right | JoinType::Full) {
                    self.eat(Kw::Outer);
                }
            }
            self.expect(Kw::Join)?;
            let mut join = JoinExpr {
                join_type,
                natural,
                left,
                // A join without a condition takes the next item only; one with a condition takes
                // all joins that come before it.
                right: if natural || cross {
                    self.nested(Self::table_primary)?.0
                } else {
                    self.table_ref()?
                },
                using: Vec::new(),
                using_alias: None,
                quals: None,
                alias: None,
            };
            if !natural && !cross {
                self.join_qualification(&mut join)?;
            }
            left = FromItem::Join(Box::new(join));
            joined = true;
        }
    }

    fn join_qualification(&mut self, join: &mut JoinExpr) -> SqlResult<()> {
        if self.eat(Kw::Using) {
            join.using = self.column_list()?;
            if self.eat(Kw::As) {
                join.using_alias = Some(Alias { name: self.col_id()?, columns: Vec::new() });
            }
        } else {
            self.expect(Kw::On)?;
            join.quals = Some(self.expr()?);
        }
        Ok(())
    }

    /// An item without joins.
    fn table_primary(&mut self) -> SqlResult<ItemAndJoined> {
        let lateral = self.eat(Kw::Lateral);
        if self.at(Kw::Xmltable) && self.char_ahead(1, '(') {
            return Err(SqlError::unsupported("XMLTABLE").at(self.location()));
        }
        if self.at_char('(') {
            let location = self.location();
            if lateral {
                let select = self.select_with_parens()?;
                return Ok((self.subselect(select, true, location)?, false));
            }
            return match self.nested(Self::parenthesized_item)? {
                Parenthesized::Select(select) => {
                    Ok((self.subselect(select, false, location)?, false))
                }
                Parenthesized::Joined(item) => self.aliased_join(item),
            };
        }
        if self.at_function() {
            return Ok((self.range_function(lateral)?, false));
        }
        if lateral {
            return Err(self.syntax_error());
        }
        if self.type_function_name_ahead(0) && !self.col_id_ahead(0) {
            // A function's name, which its parenthesis must follow.
            return Err(self.syntax_error_ahead(1));
        }
        let mut relation = self.relation_expr()?;
        relation.alias = self.opt_alias()?;
        if self.eat(Kw::Tablesample) {
            let location = self.location();
            let method = self.func_name()?;
            let args = self.parenthesized_list(Self::expr)?;
            let repeatable = if self.eat(Kw::Repeatable) {
                self.expect_char('(')?;
                let seed = self.expr()?;
                self.expect_char(')')?;
                Some(seed)
            } else {
                None
            };
            let sample = RangeTableSample { relation, method, args, repeatable, location };
            return Ok((FromItem::TableSample(Box::new(sample)), false));
        }
        Ok((FromItem::Relation(relation), false))
    }

    /// A query's alias, which it must have.
    fn subselect(
        &mut self,
        subquery: SelectStmt,
        lateral: bool,
        location: u32,
    ) -> SqlResult<FromItem> {
        let alias = self.opt_alias()?;
        if alias.is_none() {
            let (what, example) = match subquery.body {
                SelectBody::Values(_) => ("VALUES", "VALUES"),
                _ => ("subquery", "SELECT"),
            };
            return Err(SqlError::new(
                SqlState::SyntaxError,
                format!("{what} in FROM must have an alias"),
            )
            .hint(format!("For example, FROM ({example} ...) [AS] foo."))
            .at(location));
        }
        Ok(FromItem::Subselect(Box::new(RangeSubselect { lateral, subquery, alias })))
    }

    /// A join in parentheses, with an alias or without.
    fn aliased_join(&mut self, item: FromItem) -> SqlResult<ItemAndJoined> {
        let alias = self.opt_alias()?;
        match (item, alias) {
            (FromItem::Join(mut join), Some(alias)) => {
                join.alias = Some(alias);
                Ok((FromItem::Join(join), false))
            }
            (item, _) => Ok((item, true)),
        }
    }

    /// A parenthesis up to its end: a query, or a join.
    fn parenthesized_item(&mut self) -> SqlResult<Parenthesized> {
        self.expect_char('(')?;
        if self.at_select_keyword() {
            let select = self.select_no_parens()?;
            self.expect_char(')')?;
            return Ok(Parenthesized::Select(select));
        }
        let first = if self.at_char('(') {
            let location = self.location();
            match self.nested(Self::parenthesized_item)? {
                Parenthesized::Select(select) => {
                    if self.at_char(')') || self.at_select_continuation() {
                        let select = self.continue_select(select)?;
                        self.expect_char(')')?;
                        return Ok(Parenthesized::Select(select));
                    }
                    (self.subselect(select, false, location)?, false)
                }
                Parenthesized::Joined(item) => self.aliased_join(item)?,
            }
        } else {
            self.table_primary()?
        };
        let (item, joined) = self.joins(first)?;
        if !joined {
            return Err(self.syntax_error());
        }
        self.expect_char(')')?;
        Ok(Parenthesized::Joined(item))
    }

    /// Whether a function call begins here, rather than a relation's name.
    fn at_function(&self) -> bool {
        if let Some(keyword) = self.keyword()
            && (self.is_special_call(keyword)
                || (keyword == Kw::Rows && self.at_ahead(1, Kw::From)))
        {
            return true;
        }
        let mut ahead = 1;
        while self.char_ahead(ahead, '.') {
            ahead += 2;
        }
        self.char_ahead(ahead, '(')
            && if ahead == 1 { self.type_function_name_ahead(0) } else { self.col_id_ahead(0) }
    }

    /// One or more functions (`func_table func_alias_clause`).
    fn range_function(&mut self, lateral: bool) -> SqlResult<FromItem> {
        let mut function = RangeFunction {
            lateral,
            ordinality: false,
            is_rows_from: false,
            functions: Vec::new(),
            alias: None,
            column_defs: Vec::new(),
        };
        if self.at(Kw::Rows) && self.at_ahead(1, Kw::From) {
            self.skip();
            self.skip();
            function.is_rows_from = true;
            function.functions = self.parenthesized_list(|stream| {
                let call = stream.func_expr_windowless()?;
                let column_defs = if stream.eat(Kw::As) {
                    stream.parenthesized_list(Self::table_func_element)?
                } else {
                    Vec::new()
                };
                Ok(RangeFunctionItem { function: call, column_defs })
            })?;
        } else {
            function.functions.push(RangeFunctionItem {
                function: self.func_expr_windowless()?,
                column_defs: Vec::new(),
            });
        }
        if self.at(Kw::With) && self.at_ahead(1, Kw::Ordinality) {
            self.skip();
            self.skip();
            function.ordinality = true;
        }
        self.func_alias(&mut function)?;
        Ok(FromItem::Function(Box::new(function)))
    }

    /// `AS (columns)`, `[AS] name [(names or columns)]`, or nothing.
    fn func_alias(&mut self, function: &mut RangeFunction) -> SqlResult<()> {
        let has_as = self.eat(Kw::As);
        if has_as && self.at_char('(') {
            function.column_defs = self.parenthesized_list(Self::table_func_element)?;
            return Ok(());
        }
        if !has_as && !self.col_id_ahead(0) {
            return Ok(());
        }
        let name = self.col_id()?;
        let mut alias = Alias { name, columns: Vec::new() };
        if self.at_char('(') {
            let names =
                self.col_id_ahead(1) && matches!(self.peek_ahead(2), TokenKind::Char(',' | ')'));
            if names {
                alias.columns = self.column_list()?;
            } else {
                function.column_defs = self.parenthesized_list(Self::table_func_element)?;
            }
        }
        function.alias = Some(alias);
        Ok(())
    }

    /// A column with its type and collation (`TableFuncElement`).
    pub(super) fn table_func_element(&mut self) -> SqlResult<ColumnDef> {
        let location = self.location();
        let name = self.col_id()?;
        let type_name = self.type_name()?;
        let collation = self.opt_collate()?;
        Ok(ColumnDef {
            name,
            type_name: Some(type_name),
            compression: None,
            fdw_options: Vec::new(),
            collation,
            constraints: Vec::new(),
            location,
        })
    }

    /// `COLLATE name`, or nothing.
    pub(super) fn opt_collate(&mut self) -> SqlResult<Option<CollationName>> {
        let location = self.location();
        if !self.eat(Kw::Collate) {
            return Ok(None);
        }
        let name = self.any_name()?;
        Ok(Some(CollationName { name, location }))
    }
}
