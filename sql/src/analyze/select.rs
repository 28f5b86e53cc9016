//! `SELECT` (PostgreSQL's `transformSelectStmt`).

use aegis_types::{Datum, SqlError, SqlResult, SqlState, type_oid as t};

use super::Analyzer;
use super::comparison::has_columns;
use super::scope::{Clause, Scope};
use super::window::variables;
use crate::ast::{self, DistinctClause, SelectBody, SelectStmt};
use crate::bound::{Cte, Distinct, Expr, Query};

impl Analyzer<'_> {
    /// A query in a scope of its own, inside the present one.
    pub(super) fn subselect(&mut self, select: &SelectStmt) -> SqlResult<Query> {
        let keep = std::mem::replace(&mut self.keep_unknown_targets, false);
        let result = self.query(select);
        self.keep_unknown_targets = keep;
        result
    }

    /// A query in a scope of its own.
    pub(super) fn query(&mut self, select: &SelectStmt) -> SqlResult<Query> {
        let (mut query, mut scope) = self.in_new_scope(|analyzer| analyzer.query_here(select))?;
        query.written = std::sync::Arc::new(scope.take_written());
        let Scope { range_table, ctes, has_set_functions, .. } = scope;
        query.range_table = range_table;
        query.ctes = finished_ctes(ctes);
        query.has_set_functions = has_set_functions;
        Ok(query)
    }

    fn query_here(&mut self, select: &SelectStmt) -> SqlResult<Query> {
        match &select.body {
            SelectBody::Simple(simple) => self.simple_select(select, simple),
            SelectBody::Values(rows) => self.values_query(select, rows),
            SelectBody::SetOperation(_) => self.set_operation(select),
        }
    }

    fn simple_select(
        &mut self,
        select: &SelectStmt,
        simple: &ast::SimpleSelect,
    ) -> SqlResult<Query> {
        let keep_unknown = std::mem::replace(&mut self.keep_unknown_targets, false);
        if let Some(with) = &select.with {
            self.with_clause(with)?;
        }
        if let Some(into) = &simple.into
            && self.scopes.len() > 1
        {
            return Err(SqlError::new(
                SqlState::SyntaxError,
                "SELECT ... INTO is not allowed here",
            )
            .at(into.relation.location));
        }
        self.scope().named_windows.clone_from(&simple.window);
        let from = self.bind_from(&simple.from)?;
        let mut targets = self.targets(&simple.targets, Clause::SelectTarget)?;
        let filter = self.condition(simple.where_clause.as_ref(), Clause::Where)?;
        let having = self.condition(simple.having.as_ref(), Clause::Having)?;
        let order_by = self.sort_clause(&select.sort, &mut targets)?;
        let grouping_sets =
            self.group_clause(&simple.group_by, simple.group_distinct, &mut targets)?;
        let distinct = match &simple.distinct {
            None => Distinct::No,
            Some(DistinctClause::All) => self.distinct_all(&mut targets, &order_by)?,
            Some(DistinctClause::On(list)) => self.distinct_on(list, &mut targets, &order_by)?,
        };
        let (limit, offset) = self.limit_clause(select)?;
        let windows = self.bind_windows()?;
        if !keep_unknown {
            self.resolve_unknowns(&mut targets)?;
        }
        let (targets, places) = self.finish_targets(targets);
        let grouped =
            !simple.group_by.is_empty() || having.is_some() || self.scope().has_aggregates;
        let mut query = Query {
            from,
            filter,
            targets,
            grouping_sets,
            grouped,
            having,
            windows,
            distinct,
            order_by,
            limit,
            with_ties: select.limit_with_ties,
            offset,
            ..Query::default()
        };
        if grouped {
            query.range_table.clone_from(&self.scope().range_table);
            let having_at = simple.having.as_ref().map(ast::Expr::location);
            query.keys = self.check_grouping(&query, &places, having_at)?;
        }
        query.row_marks = self.row_marks(select, &query)?;
        Ok(query)
    }

    /// `WHERE` or `HAVING`.
    pub(super) fn condition(
        &mut self,
        expr: Option<&ast::Expr>,
        clause: Clause,
    ) -> SqlResult<Option<Expr>> {
        let Some(expr) = expr else {
            return Ok(None);
        };
        let node = self.expr_in(expr, clause)?;
        self.coerce_to_boolean(node, clause.name()).map(Some)
    }

    /// `LIMIT` and `OFFSET`.
    pub(super) fn limit_clause(
        &mut self,
        select: &SelectStmt,
    ) -> SqlResult<(Option<Expr>, Option<Expr>)> {
        let offset = self.row_count(select.limit_offset.as_ref(), Clause::Offset)?;
        let limit = self.row_count(select.limit_count.as_ref(), Clause::Limit)?;
        if select.limit_with_ties {
            if select.sort.is_empty() {
                return Err(SqlError::new(
                    SqlState::SyntaxError,
                    "WITH TIES cannot be specified without ORDER BY clause",
                ));
            }
            if matches!(&limit, Some(Expr::Const { value: Datum::Null, .. })) {
                return Err(SqlError::new(
                    SqlState::InvalidRowCountInLimitClause,
                    "row count cannot be null in FETCH FIRST ... WITH TIES clause",
                ));
            }
        }
        Ok((limit, offset))
    }

    fn row_count(&mut self, expr: Option<&ast::Expr>, clause: Clause) -> SqlResult<Option<Expr>> {
        let Some(expr) = expr else {
            return Ok(None);
        };
        let node = self.expr_in(expr, clause)?;
        let at = node.at;
        let expr = self.coerce_to_specific(node, t::INT8, clause.name())?;
        if has_columns(&expr) {
            return Err(variables(clause.name(), at));
        }
        Ok(Some(expr))
    }
}

/// The CTEs of a scope, in order.
pub(super) fn finished_ctes(ctes: Vec<super::scope::CteInfo>) -> Vec<Cte> {
    ctes.into_iter().filter_map(|info| info.cte).collect()
}
