//! Queries: PostgreSQL's `SelectStmt`, its set operations, and `WITH`.

use aegis_types::{SqlError, SqlResult, SqlState};

use super::keyword::Keyword as Kw;
use super::lexer::TokenKind;
use super::stream::{NODE_CHAIN_MAX, TokenStream, too_deep};
use crate::ast::{
    ColumnRef, CommonTableExpr, Const, ConstValue, CteCycleClause, CteMaterialize, CteSearchClause,
    DistinctClause, Expr, FromItem, GroupByItem, GroupingSet, GroupingSetKind, IntoClause,
    LockStrength, LockWaitPolicy, LockingClause, OnCommitAction, RangeVar, RelPersistence,
    ResTarget, SelectBody, SelectStmt, SetOp, SetOperation, SimpleSelect, TypeCast, TypeName,
    WithClause,
};

/// `LIMIT`, `OFFSET` and `FETCH FIRST`, as far as written.
#[derive(Default)]
struct LimitClause {
    offset: Option<Expr>,
    count: Option<Expr>,
    with_ties: bool,
}

impl TokenStream<'_> {
    /// Whether a query's first word is so many places ahead.
    pub(super) fn select_keyword_ahead(&self, ahead: usize) -> bool {
        match self.keyword_ahead(ahead) {
            Some(Kw::Select | Kw::Table | Kw::With) => true,
            // A column may be called so.
            Some(Kw::Values) => self.char_ahead(ahead + 1, '('),
            _ => false,
        }
    }

    /// Whether a query's first word is at hand.
    pub(super) fn at_select_keyword(&self) -> bool {
        self.select_keyword_ahead(0)
    }

    /// Whether a query goes on here, behind one in parentheses.
    pub(super) fn at_select_continuation(&self) -> bool {
        self.at_any(&[
            Kw::Union,
            Kw::Intersect,
            Kw::Except,
            Kw::Order,
            Kw::Limit,
            Kw::Offset,
            Kw::Fetch,
            Kw::For,
        ])
    }

    /// A query, in parentheses or not (`SelectStmt`).
    pub fn select(&mut self) -> SqlResult<SelectStmt> {
        self.select_no_parens()
    }

    /// A query with all that may surround it.
    pub(super) fn select_no_parens(&mut self) -> SqlResult<SelectStmt> {
        self.nested(|stream| {
            let with = stream.opt_with()?;
            stream.select_after_with(with)
        })
    }

    /// A query whose `WITH` is consumed.
    pub(super) fn select_after_with(&mut self, with: Option<WithClause>) -> SqlResult<SelectStmt> {
        let first = self.select_operand()?;
        let select = self.set_operations(first, false)?;
        self.select_tail(select, with)
    }

    /// A query whose first operand, in parentheses, is consumed.
    pub(super) fn continue_select(&mut self, first: SelectStmt) -> SqlResult<SelectStmt> {
        let select = self.set_operations(first, false)?;
        self.select_tail(select, None)
    }

    /// The operations behind a first operand; only `INTERSECT` if `tight`.
    fn set_operations(&mut self, mut left: SelectStmt, tight: bool) -> SqlResult<SelectStmt> {
        let mut length = 0;
        loop {
            let op = match self.keyword() {
                Some(Kw::Intersect) => SetOp::Intersect,
                Some(Kw::Union) if !tight => SetOp::Union,
                Some(Kw::Except) if !tight => SetOp::Except,
                _ => return Ok(left),
            };
            length += 1;
            if length > NODE_CHAIN_MAX {
                return Err(too_deep());
            }
            self.skip();
            let all = self.eat(Kw::All);
            if !all {
                self.eat(Kw::Distinct);
            }
            let mut right = self.select_operand()?;
            if op != SetOp::Intersect {
                right = self.set_operations(right, true)?;
            }
            let location = left.location;
            left = select_of(
                SelectBody::SetOperation(Box::new(SetOperation { op, all, left, right })),
                location,
            );
        }
    }

    /// An operand of a set operation.
    fn select_operand(&mut self) -> SqlResult<SelectStmt> {
        let location = self.location();
        match self.keyword() {
            Some(Kw::Select) => {
                self.skip();
                let simple = self.simple_select()?;
                Ok(select_of(SelectBody::Simple(Box::new(simple)), location))
            }
            Some(Kw::Values) => {
                self.skip();
                let rows = self.comma_list(|stream| stream.parenthesized_list(Self::expr))?;
                Ok(select_of(SelectBody::Values(rows), location))
            }
            Some(Kw::Table) => {
                self.skip();
                let relation = self.relation_expr()?;
                Ok(select_of(
                    SelectBody::Simple(Box::new(select_all_from(relation, location))),
                    location,
                ))
            }
            _ if self.at_char('(') => self.select_with_parens(),
            _ => Err(self.syntax_error()),
        }
    }

    /// What follows the word `SELECT`, up to what may follow a set operation too.
    fn simple_select(&mut self) -> SqlResult<SimpleSelect> {
        let mut distinct = None;
        let mut demands_targets = false;
        if self.eat(Kw::Distinct) {
            demands_targets = true;
            distinct = Some(DistinctClause::All);
            if self.eat(Kw::On) {
                distinct = Some(DistinctClause::On(self.parenthesized_list(Self::expr)?));
            }
        } else {
            self.eat(Kw::All);
        }
        let targets = if demands_targets || !self.at_target_list_end() {
            self.target_list()?
        } else {
            Vec::new()
        };
        let into = if self.eat(Kw::Into) { Some(self.select_into()?) } else { None };
        let from = self.opt_from_clause()?;
        let where_clause = self.opt_where_clause()?;
        let mut group_by = Vec::new();
        let mut group_distinct = false;
        if self.eat(Kw::Group) {
            self.expect(Kw::By)?;
            group_distinct = self.eat(Kw::Distinct);
            if !group_distinct {
                self.eat(Kw::All);
            }
            group_by = self.comma_list(Self::group_by_item)?;
        }
        let having = if self.eat(Kw::Having) { Some(self.expr()?) } else { None };
        let window = self.opt_window_clause()?;
        Ok(SimpleSelect {
            distinct,
            targets,
            into,
            from,
            where_clause,
            group_by,
            group_distinct,
            having,
            window,
        })
    }

    /// Whether no output column begins here, but what may follow an empty list of them.
    fn at_target_list_end(&self) -> bool {
        match self.peek() {
            TokenKind::End | TokenKind::Char(';' | ')') => true,
            TokenKind::Keyword(keyword) => matches!(
                keyword,
                Kw::From
                    | Kw::Into
                    | Kw::Where
                    | Kw::Group
                    | Kw::Having
                    | Kw::Window
                    | Kw::Union
                    | Kw::Intersect
                    | Kw::Except
                    | Kw::Order
                    | Kw::Limit
                    | Kw::Offset
                    | Kw::Fetch
                    | Kw::For
                    | Kw::On
                    | Kw::Returning
                    | Kw::With
            ),
            _ => false,
        }
    }

    /// Output columns.
    pub(super) fn target_list(&mut self) -> SqlResult<Vec<ResTarget>> {
        self.comma_list(|stream| {
            let location = stream.location();
            if stream.eat_char('*') {
                return Ok(ResTarget { name: None, value: star(location), location });
            }
            let value = stream.target_expr()?;
            let name = if stream.eat(Kw::As) {
                Some(stream.col_label()?)
            } else if stream.at_bare_label() {
                Some(stream.take_name())
            } else {
                None
            };
            Ok(ResTarget { name, value, location })
        })
    }

    /// What follows `INTO`.
    fn select_into(&mut self) -> SqlResult<IntoClause> {
        let persistence = self.opt_temp();
        self.eat(Kw::Table);
        let mut relation = self.qualified_name()?;
        relation.persistence = persistence;
        Ok(IntoClause {
            relation,
            column_names: Vec::new(),
            access_method: None,
            options: Vec::new(),
            on_commit: OnCommitAction::Noop,
            table_space: None,
            skip_data: false,
        })
    }

    /// `[LOCAL|GLOBAL] TEMPORARY|TEMP`, `UNLOGGED`, or nothing.
    pub(super) fn opt_temp(&mut self) -> RelPersistence {
        let scope = usize::from(self.at_any(&[Kw::Local, Kw::Global]));
        if matches!(self.keyword_ahead(scope), Some(Kw::Temporary | Kw::Temp)) {
            if scope == 1 {
                self.skip();
            }
            self.skip();
            return RelPersistence::Temporary;
        }
        if self.eat(Kw::Unlogged) {
            return RelPersistence::Unlogged;
        }
        RelPersistence::Permanent
    }

    /// `WHERE …`, or nothing.
    pub(super) fn opt_where_clause(&mut self) -> SqlResult<Option<Expr>> {
        if self.eat(Kw::Where) { Ok(Some(self.expr()?)) } else { Ok(None) }
    }

    fn group_by_item(&mut self) -> SqlResult<GroupByItem> {
        let location = self.location();
        if self.at_char('(') && self.char_ahead(1, ')') {
            self.skip();
            self.skip();
            return Ok(GroupByItem::Empty(location));
        }
        let expressions = match self.keyword() {
            Some(Kw::Rollup) if self.char_ahead(1, '(') => GroupingSetKind::Rollup,
            Some(Kw::Cube) if self.char_ahead(1, '(') => GroupingSetKind::Cube,
            Some(Kw::Grouping) if self.at_ahead(1, Kw::Sets) => {
                self.skip();
                self.skip();
                let content =
                    self.nested(|stream| stream.parenthesized_list(Self::group_by_item))?;
                return Ok(GroupByItem::Set(GroupingSet {
                    kind: GroupingSetKind::Sets,
                    content,
                    location,
                }));
            }
            _ => return Ok(GroupByItem::Expr(self.expr()?)),
        };
        self.skip();
        let content = self.parenthesized_list(|stream| Ok(GroupByItem::Expr(stream.expr()?)))?;
        Ok(GroupByItem::Set(GroupingSet { kind: expressions, content, location }))
    }

    /// The clauses behind a set operation, put on the query as `insertSelectOptions` does.
    fn select_tail(
        &mut self,
        mut select: SelectStmt,
        with: Option<WithClause>,
    ) -> SqlResult<SelectStmt> {
        let sort = if self.at(Kw::Order) { self.sort_clause()? } else { Vec::new() };
        let mut limit = None;
        let mut locking = Vec::new();
        if self.at(Kw::For) {
            locking = self.locking_clauses()?;
            limit = self.opt_limit()?;
        } else if let Some(clause) = self.opt_limit()? {
            limit = Some(clause);
            if self.at(Kw::For) {
                locking = self.locking_clauses()?;
            }
        }
        if !sort.is_empty() {
            refuse_second(&select.sort, sort.first().map(|key| key.node.location()), "ORDER BY")?;
            select.sort = sort;
        }
        select.locking.extend(locking);
        if let Some(limit) = limit {
            self.set_limit(&mut select, limit)?;
        }
        if let Some(with) = with {
            if select.with.is_some() {
                return Err(multiple("WITH", Some(with.location)));
            }
            select.with = Some(with);
        }
        Ok(select)
    }

    fn set_limit(&self, select: &mut SelectStmt, limit: LimitClause) -> SqlResult<()> {
        if let Some(offset) = limit.offset {
            refuse_second(select.limit_offset.as_slice(), Some(offset.location()), "OFFSET")?;
            select.limit_offset = Some(offset);
        }
        if let Some(count) = limit.count {
            refuse_second(select.limit_count.as_slice(), Some(count.location()), "LIMIT")?;
            select.limit_count = Some(count);
        }
        if limit.with_ties {
            if select.sort.is_empty() {
                return Err(SqlError::new(
                    SqlState::SyntaxError,
                    "WITH TIES cannot be specified without ORDER BY clause",
                ));
            }
            let skips = |clause: &LockingClause| clause.wait_policy == LockWaitPolicy::Skip;
            if select.locking.iter().any(skips) {
                return Err(SqlError::new(
                    SqlState::SyntaxError,
                    "SKIP LOCKED and WITH TIES options cannot be used together",
                ));
            }
            select.limit_with_ties = true;
        }
        Ok(())
    }

    /// `LIMIT`, `OFFSET` and `FETCH` in either order, if any of them is at hand.
    fn opt_limit(&mut self) -> SqlResult<Option<LimitClause>> {
        let mut clause = LimitClause::default();
        let mut has_limit = false;
        let mut has_offset = false;
        loop {
            let location = self.location();
            match self.keyword() {
                Some(Kw::Limit) if !has_limit => {
                    self.skip();
                    has_limit = true;
                    clause.count = Some(self.limit_value()?);
                    if self.at_char(',') {
                        self.skip();
                        self.expr()?;
                        return Err(SqlError::new(
                            SqlState::SyntaxError,
                            "LIMIT #,# syntax is not supported",
                        )
                        .hint("Use separate LIMIT and OFFSET clauses.")
                        .at(location));
                    }
                }
                Some(Kw::Fetch) if !has_limit => {
                    self.skip();
                    has_limit = true;
                    self.fetch_first(&mut clause)?;
                }
                Some(Kw::Offset) if !has_offset => {
                    self.skip();
                    has_offset = true;
                    clause.offset = Some(self.expr()?);
                    if !self.eat(Kw::Row) {
                        self.eat(Kw::Rows);
                    }
                }
                _ => return Ok((has_limit || has_offset).then_some(clause)),
            }
        }
    }

    fn limit_value(&mut self) -> SqlResult<Expr> {
        let location = self.location();
        if self.eat(Kw::All) {
            // LIMIT ALL is a null constant, as in PostgreSQL.
            return Ok(Expr::Const(Const { value: ConstValue::Null, location }));
        }
        self.expr()
    }

    /// What follows `FETCH`.
    fn fetch_first(&mut self, clause: &mut LimitClause) -> SqlResult<()> {
        if !self.eat(Kw::First) {
            self.expect(Kw::Next)?;
        }
        let location = self.location();
        let count = if self.at_any(&[Kw::Row, Kw::Rows]) {
            Expr::Const(Const { value: ConstValue::Integer(1), location })
        } else if self.at_char('+') || self.at_char('-') {
            let negative = self.at_char('-');
            self.skip();
            self.signed_number(negative, location)?
        } else {
            self.nested(Self::primary)?
        };
        if !self.eat(Kw::Row) {
            self.expect(Kw::Rows)?;
        }
        if self.eat(Kw::With) {
            self.expect(Kw::Ties)?;
            clause.with_ties = true;
        } else {
            self.expect(Kw::Only)?;
        }
        clause.count = Some(count);
        Ok(())
    }

    /// A number whose sign is consumed.
    fn signed_number(&mut self, negative: bool, location: u32) -> SqlResult<Expr> {
        let value = match self.peek() {
            TokenKind::Integer(number) if negative => ConstValue::Integer(-*number),
            TokenKind::Integer(number) => ConstValue::Integer(*number),
            TokenKind::Float(text) if negative => ConstValue::Float(super::expr::negate_text(text)),
            TokenKind::Float(text) => ConstValue::Float(text.to_string()),
            _ => return Err(self.syntax_error()),
        };
        self.skip();
        Ok(Expr::Const(Const { value, location }))
    }

    /// `FOR UPDATE …` and its like, one or more; `FOR READ ONLY` is none.
    fn locking_clauses(&mut self) -> SqlResult<Vec<LockingClause>> {
        if self.at_ahead(1, Kw::Read) {
            self.skip();
            self.skip();
            self.expect(Kw::Only)?;
            return Ok(Vec::new());
        }
        let mut clauses = Vec::new();
        while self.eat(Kw::For) {
            let strength = match self.keyword() {
                Some(Kw::Update) => LockStrength::ForUpdate,
                Some(Kw::Share) => LockStrength::ForShare,
                Some(Kw::No) => {
                    self.skip();
                    self.expect(Kw::Key)?;
                    if !self.at(Kw::Update) {
                        return Err(self.syntax_error());
                    }
                    LockStrength::ForNoKeyUpdate
                }
                Some(Kw::Key) => {
                    self.skip();
                    if !self.at(Kw::Share) {
                        return Err(self.syntax_error());
                    }
                    LockStrength::ForKeyShare
                }
                _ => return Err(self.syntax_error()),
            };
            self.skip();
            let relations = if self.eat(Kw::Of) { self.qualified_name_list()? } else { Vec::new() };
            let wait_policy = if self.eat(Kw::Nowait) {
                LockWaitPolicy::Error
            } else if self.eat(Kw::Skip) {
                self.expect(Kw::Locked)?;
                LockWaitPolicy::Skip
            } else {
                LockWaitPolicy::Block
            };
            clauses.push(LockingClause { relations, strength, wait_policy });
        }
        Ok(clauses)
    }

    /// `WITH …`, or nothing.
    pub(super) fn opt_with(&mut self) -> SqlResult<Option<WithClause>> {
        let location = self.location();
        if !self.eat(Kw::With) {
            return Ok(None);
        }
        let recursive = self.at(Kw::Recursive) && self.col_id_ahead(1);
        if recursive {
            self.skip();
        }
        let ctes = self.comma_list(Self::common_table_expr)?;
        Ok(Some(WithClause { ctes, recursive, location }))
    }

    fn common_table_expr(&mut self) -> SqlResult<CommonTableExpr> {
        let location = self.location();
        let name = self.col_id()?;
        let columns = self.opt_column_list()?;
        self.expect(Kw::As)?;
        let materialized = if self.eat(Kw::Materialized) {
            CteMaterialize::Always
        } else if self.eat(Kw::Not) {
            self.expect(Kw::Materialized)?;
            CteMaterialize::Never
        } else {
            CteMaterialize::Default
        };
        self.expect_char('(')?;
        let query = self.preparable_statement()?;
        self.expect_char(')')?;
        let search = self.opt_search_clause()?;
        let cycle = self.opt_cycle_clause()?;
        Ok(CommonTableExpr { name, columns, materialized, query, search, cycle, location })
    }

    fn opt_search_clause(&mut self) -> SqlResult<Option<CteSearchClause>> {
        let location = self.location();
        if !self.eat(Kw::Search) {
            return Ok(None);
        }
        let breadth_first = self.eat(Kw::Breadth);
        if !breadth_first {
            self.expect(Kw::Depth)?;
        }
        self.expect_sequence(&[Kw::First, Kw::By])?;
        let columns = self.name_list()?;
        self.expect(Kw::Set)?;
        let sequence_column = self.col_id()?;
        Ok(Some(CteSearchClause { columns, breadth_first, sequence_column, location }))
    }

    fn opt_cycle_clause(&mut self) -> SqlResult<Option<Box<CteCycleClause>>> {
        let location = self.location();
        if !self.eat(Kw::Cycle) {
            return Ok(None);
        }
        let columns = self.name_list()?;
        self.expect(Kw::Set)?;
        let mark_column = self.col_id()?;
        let boolean = |value| Expr::Const(Const { value: ConstValue::Boolean(value), location });
        let (mark_value, mark_default) = if self.eat(Kw::To) {
            let value = self.literal()?;
            self.expect(Kw::Default)?;
            (value, self.literal()?)
        } else {
            (boolean(true), boolean(false))
        };
        self.expect(Kw::Using)?;
        let path_column = self.col_id()?;
        Ok(Some(Box::new(CteCycleClause {
            columns,
            mark_column,
            mark_value,
            mark_default,
            path_column,
            location,
        })))
    }

    /// A constant (`AexprConst`).
    fn literal(&mut self) -> SqlResult<Expr> {
        let here = self.syntax_error();
        let expr = self.nested(Self::primary)?;
        match &expr {
            Expr::Const(_) => Ok(expr),
            Expr::TypeCast(cast) if matches!(&**cast, TypeCast { arg: Expr::Const(_), type_name: TypeName { location, .. }, location: cast_location } if location == cast_location) => {
                Ok(expr)
            }
            _ => Err(here),
        }
    }
}

/// `*`.
fn star(location: u32) -> Expr {
    Expr::ColumnRef(ColumnRef { names: Vec::new(), star: true, location })
}

/// A query of nothing but its body.
pub(super) fn select_of(body: SelectBody, location: u32) -> SelectStmt {
    SelectStmt {
        with: None,
        body,
        sort: Vec::new(),
        limit_offset: None,
        limit_count: None,
        limit_with_ties: false,
        locking: Vec::new(),
        location,
    }
}

/// `SELECT * FROM relation`.
pub(super) fn select_all_from(relation: RangeVar, location: u32) -> SimpleSelect {
    SimpleSelect {
        distinct: None,
        targets: vec![ResTarget { name: None, value: star(location), location }],
        into: None,
        from: vec![FromItem::Relation(relation)],
        where_clause: None,
        group_by: Vec::new(),
        group_distinct: false,
        having: None,
        window: Vec::new(),
    }
}

/// Refuses a clause that a query in parentheses has already.
fn refuse_second<T>(existing: &[T], location: Option<u32>, clause: &str) -> SqlResult<()> {
    if existing.is_empty() { Ok(()) } else { Err(multiple(clause, location)) }
}

fn multiple(clause: &str, location: Option<u32>) -> SqlError {
    SqlError::new(SqlState::SyntaxError, format!("multiple {clause} clauses not allowed"))
        .at_opt(location)
}
