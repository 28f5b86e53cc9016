//! `INSERT`, `UPDATE`, `DELETE` and `MERGE`.

use aegis_types::SqlResult;

use super::keyword::Keyword as Kw;
use super::stream::TokenStream;
use crate::ast::{
    AssignTarget, Assignment, CurrentOfExpr, DeleteStmt, Expr, InferClause, InsertStmt,
    MergeAction, MergeStmt, MergeWhen, OnConflictAction, OnConflictClause, OverridingKind,
    RangeVar, ResTarget, Statement, UpdateStmt, WithClause,
};

impl TokenStream<'_> {
    /// A statement that can be prepared: a query or a change of data (`PreparableStmt`).
    pub(super) fn preparable_statement(&mut self) -> SqlResult<Statement> {
        self.nested(|stream| {
            if stream.at_char('(') {
                return Ok(Statement::Select(Box::new(stream.select_no_parens()?)));
            }
            let with = stream.opt_with()?;
            match stream.keyword() {
                Some(Kw::Insert) => stream.insert(with),
                Some(Kw::Update) => stream.update(with),
                Some(Kw::Delete) => stream.delete(with),
                Some(Kw::Merge) => stream.merge(with),
                _ => Ok(Statement::Select(Box::new(stream.select_after_with(with)?))),
            }
        })
    }

    fn insert(&mut self, with: Option<WithClause>) -> SqlResult<Statement> {
        self.expect_sequence(&[Kw::Insert, Kw::Into])?;
        let mut relation = self.qualified_name()?;
        if self.eat(Kw::As) {
            relation.alias = Some(crate::ast::Alias { name: self.col_id()?, columns: Vec::new() });
        }
        let mut columns = Vec::new();
        let mut overriding = OverridingKind::NotSet;
        let mut source = None;
        if self.at(Kw::Default) {
            self.expect_sequence(&[Kw::Default, Kw::Values])?;
        } else {
            if self.at_char('(') && !self.char_ahead(1, '(') && !self.select_keyword_ahead(1) {
                columns = self.parenthesized_list(Self::assign_target)?;
            }
            overriding = self.opt_overriding()?;
            source = Some(self.select_no_parens()?);
        }
        let on_conflict = self.opt_on_conflict()?;
        let returning = self.opt_returning()?;
        Ok(Statement::Insert(Box::new(InsertStmt {
            with,
            relation,
            columns,
            overriding,
            source,
            on_conflict,
            returning,
        })))
    }

    /// A column with what is within it.
    fn assign_target(&mut self) -> SqlResult<AssignTarget> {
        let location = self.location();
        let name = self.col_id()?;
        let indirection = self.indirection()?;
        if indirection.contains(&crate::ast::IndirectionElement::Star)
            && indirection.last() != Some(&crate::ast::IndirectionElement::Star)
        {
            return Err(self.error_here("improper use of \"*\""));
        }
        Ok(AssignTarget { name, indirection, location })
    }

    /// `OVERRIDING USER|SYSTEM VALUE`, or nothing.
    fn opt_overriding(&mut self) -> SqlResult<OverridingKind> {
        if !self.eat(Kw::Overriding) {
            return Ok(OverridingKind::NotSet);
        }
        let kind = if self.eat(Kw::User) {
            OverridingKind::UserValue
        } else {
            self.expect(Kw::System)?;
            OverridingKind::SystemValue
        };
        self.expect(Kw::Value)?;
        Ok(kind)
    }

    fn opt_on_conflict(&mut self) -> SqlResult<Option<OnConflictClause>> {
        let location = self.location();
        if !self.eat(Kw::On) {
            return Ok(None);
        }
        self.expect(Kw::Conflict)?;
        let infer_location = self.location();
        let infer = if self.at_char('(') {
            let elements = self.parenthesized_list(Self::index_elem)?;
            let where_clause = self.opt_where_clause()?;
            Some(InferClause::Index { elements, where_clause, location: infer_location })
        } else if self.eat(Kw::On) {
            self.expect(Kw::Constraint)?;
            Some(InferClause::Constraint { name: self.col_id()?, location: infer_location })
        } else {
            None
        };
        self.expect(Kw::Do)?;
        let action = if self.eat(Kw::Nothing) {
            OnConflictAction::Nothing
        } else {
            self.expect_sequence(&[Kw::Update, Kw::Set])?;
            OnConflictAction::Update {
                assignments: self.assignments()?,
                where_clause: self.opt_where_clause()?,
            }
        };
        Ok(Some(OnConflictClause { infer, action, location }))
    }

    /// `RETURNING …`, or nothing.
    fn opt_returning(&mut self) -> SqlResult<Vec<ResTarget>> {
        if self.eat(Kw::Returning) { self.target_list() } else { Ok(Vec::new()) }
    }

    fn assignments(&mut self) -> SqlResult<Vec<Assignment>> {
        self.comma_list(|stream| {
            if stream.at_char('(') {
                let targets = stream.parenthesized_list(Self::assign_target)?;
                stream.expect_char('=')?;
                let source = stream.expr()?;
                return Ok(Assignment::Multi { targets, source });
            }
            let target = stream.assign_target()?;
            stream.expect_char('=')?;
            let value = stream.expr()?;
            Ok(Assignment::Single { target, value })
        })
    }

    /// A relation with an alias that is not the word `SET` (`relation_expr_opt_alias`).
    fn relation_opt_alias(&mut self) -> SqlResult<RangeVar> {
        let mut relation = self.relation_expr()?;
        if self.eat(Kw::As) || (self.col_id_ahead(0) && !self.at(Kw::Set)) {
            relation.alias = Some(crate::ast::Alias { name: self.col_id()?, columns: Vec::new() });
        }
        Ok(relation)
    }

    /// `WHERE …`, `WHERE CURRENT OF cursor`, or nothing.
    fn opt_where_or_current(&mut self) -> SqlResult<Option<Expr>> {
        if self.at(Kw::Where) && self.at_ahead(1, Kw::Current) && self.at_ahead(2, Kw::Of) {
            self.skip();
            let location = self.location();
            self.expect_sequence(&[Kw::Current, Kw::Of])?;
            let cursor_name = self.col_id()?;
            return Ok(Some(Expr::CurrentOf(CurrentOfExpr { cursor_name, location })));
        }
        self.opt_where_clause()
    }

    fn update(&mut self, with: Option<WithClause>) -> SqlResult<Statement> {
        self.expect(Kw::Update)?;
        let relation = self.relation_opt_alias()?;
        self.expect(Kw::Set)?;
        let assignments = self.assignments()?;
        let from = self.opt_from_clause()?;
        let where_clause = self.opt_where_or_current()?;
        let returning = self.opt_returning()?;
        Ok(Statement::Update(Box::new(UpdateStmt {
            with,
            relation,
            assignments,
            from,
            where_clause,
            returning,
        })))
    }

    fn delete(&mut self, with: Option<WithClause>) -> SqlResult<Statement> {
        self.expect_sequence(&[Kw::Delete, Kw::From])?;
        let relation = self.relation_opt_alias()?;
        let using =
            if self.eat(Kw::Using) { self.comma_list(Self::table_ref)? } else { Vec::new() };
        let where_clause = self.opt_where_or_current()?;
        let returning = self.opt_returning()?;
        Ok(Statement::Delete(Box::new(DeleteStmt {
            with,
            relation,
            using,
            where_clause,
            returning,
        })))
    }

    fn merge(&mut self, with: Option<WithClause>) -> SqlResult<Statement> {
        self.expect_sequence(&[Kw::Merge, Kw::Into])?;
        let relation = self.relation_opt_alias()?;
        self.expect(Kw::Using)?;
        let source = self.table_ref()?;
        self.expect(Kw::On)?;
        let condition = self.expr()?;
        let mut whens = vec![self.merge_when()?];
        while self.at(Kw::When) {
            whens.push(self.merge_when()?);
        }
        Ok(Statement::Merge(Box::new(MergeStmt { with, relation, source, condition, whens })))
    }

    fn merge_when(&mut self) -> SqlResult<MergeWhen> {
        self.expect(Kw::When)?;
        let matched = !self.eat(Kw::Not);
        self.expect(Kw::Matched)?;
        let condition = if self.eat(Kw::And) { Some(self.expr()?) } else { None };
        self.expect(Kw::Then)?;
        let action = match self.keyword() {
            Some(Kw::Do) => {
                self.skip();
                self.expect(Kw::Nothing)?;
                MergeAction::Nothing
            }
            Some(Kw::Update) if matched => {
                self.skip();
                self.expect(Kw::Set)?;
                MergeAction::Update(self.assignments()?)
            }
            Some(Kw::Delete) if matched => {
                self.skip();
                MergeAction::Delete
            }
            Some(Kw::Insert) if !matched => {
                self.skip();
                self.merge_insert()?
            }
            _ => return Err(self.syntax_error()),
        };
        Ok(MergeWhen { matched, condition, action })
    }

    fn merge_insert(&mut self) -> SqlResult<MergeAction> {
        if self.eat(Kw::Default) {
            self.expect(Kw::Values)?;
            return Ok(MergeAction::Insert {
                columns: Vec::new(),
                overriding: OverridingKind::NotSet,
                values: None,
            });
        }
        let columns = if self.at_char('(') {
            self.parenthesized_list(Self::assign_target)?
        } else {
            Vec::new()
        };
        let overriding = self.opt_overriding()?;
        self.expect(Kw::Values)?;
        let values = Some(self.parenthesized_list(Self::expr)?);
        Ok(MergeAction::Insert { columns, overriding, values })
    }
}
