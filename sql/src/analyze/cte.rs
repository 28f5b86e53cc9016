//! `WITH`: queries by name, in order; recursive ones with the types of their first term
//! (PostgreSQL's `parse_cte.c`).

use std::sync::Arc;

use aegis_types::{SqlError, SqlResult, SqlState, TypeRef};

use super::Analyzer;
use super::node::null;
use super::recursion;
use super::scope::{CteInfo, Recursion};
use super::set_operation::target_places;
use crate::ast::{self, CommonTableExpr, CteMaterialize, SelectBody, SetOp, Statement};
use crate::bound::{BoundStatement, Cte, Query, Target};

impl Analyzer<'_> {
    /// Binds the queries of `WITH` in the scope of the query that they belong to.
    pub(super) fn with_clause(&mut self, with: &ast::WithClause) -> SqlResult<()> {
        for (at, cte) in with.ctes.iter().enumerate() {
            if with.ctes[..at].iter().any(|other| other.name == cte.name) {
                return Err(SqlError::new(
                    SqlState::DuplicateAlias,
                    format!("WITH query name \"{}\" specified more than once", cte.name),
                )
                .at(cte.location));
            }
        }
        self.scope().written.recursive = with.recursive;
        let order = if with.recursive {
            in_order_of_need(&with.ctes)?
        } else {
            (0..with.ctes.len()).collect()
        };
        self.scope().future_ctes = order.iter().map(|at| with.ctes[*at].name.clone()).collect();
        for at in order {
            let cte = &with.ctes[at];
            if !with.recursive {
                self.scope().future_ctes.remove(0);
            }
            self.common_table(cte, with.recursive)?;
            if with.recursive {
                self.scope().future_ctes.retain(|name| *name != cte.name);
            }
        }
        self.scope().future_ctes.clear();
        Ok(())
    }

    fn common_table(&mut self, cte: &CommonTableExpr, recursive: bool) -> SqlResult<()> {
        let materialized = match cte.materialized {
            CteMaterialize::Default => None,
            CteMaterialize::Always => Some(true),
            CteMaterialize::Never => Some(false),
        };
        let is_recursive = recursive && mentions(&cte.query, &cte.name);
        let mut change = None;
        let query = match &cte.query {
            Statement::Select(select) if is_recursive => self.recursive_query(cte, select)?,
            Statement::Select(select) => {
                if let Some(at) = search_or_cycle(cte) {
                    return Err(syntax("WITH query is not recursive").at(at));
                }
                self.subselect(select)?
            }
            statement => {
                let bound = self.change_in_with(cte, statement, is_recursive)?;
                let columns = returned_columns(&bound);
                change = Some(Arc::new(bound));
                columns
            }
        };
        let columns = named_columns(&query, cte)?;
        if !cte.columns.is_empty() {
            let named = (cte.name.clone(), cte.columns.clone());
            self.scope().written.cte_columns.push(named);
        }
        let index = self.scope().ctes.iter().position(|info| info.name == cte.name);
        let bound = Cte {
            name: cte.name.clone(),
            query: Arc::new(query),
            recursive: is_recursive,
            materialized,
            change,
        };
        let info = CteInfo {
            name: cte.name.clone(),
            columns,
            cte: Some(bound),
            references: 0,
            recursion: Recursion::Complete,
        };
        match index {
            Some(index) => self.scope().ctes[index] = info,
            None => self.scope().ctes.push(info),
        }
        Ok(())
    }

    /// INSERT, UPDATE or DELETE in `WITH`.
    fn change_in_with(
        &mut self,
        cte: &CommonTableExpr,
        statement: &Statement,
        is_recursive: bool,
    ) -> SqlResult<BoundStatement> {
        let at = cte.location;
        if is_recursive {
            return Err(SqlError::new(
                SqlState::InvalidRecursion,
                format!(
                    "recursive query \"{}\" must not contain data-modifying statements",
                    cte.name
                ),
            )
            .at(at));
        }
        if let Some(at) = search_or_cycle(cte) {
            return Err(syntax("WITH query is not recursive").at(at));
        }
        if self.scopes.len() > 1 {
            return Err(SqlError::new(
                SqlState::FeatureNotSupported,
                "WITH clause containing a data-modifying statement must be at the top level",
            )
            .at(at));
        }
        match statement {
            Statement::Insert(insert) => {
                self.insert(insert).map(Arc::new).map(BoundStatement::Insert)
            }
            Statement::Update(update) => {
                self.update(update).map(Arc::new).map(BoundStatement::Update)
            }
            Statement::Delete(delete) => {
                self.delete(delete).map(Arc::new).map(BoundStatement::Delete)
            }
            _ => Err(SqlError::unsupported("this statement in WITH").at(at)),
        }
    }

    /// A query that may name itself: the columns are those of its non-recursive term.
    fn recursive_query(
        &mut self,
        cte: &CommonTableExpr,
        select: &ast::SelectStmt,
    ) -> SqlResult<Query> {
        let at = cte.location;
        let malformed = || {
            SqlError::new(
                SqlState::InvalidRecursion,
                format!(
                    "recursive query \"{}\" does not have the form non-recursive-term UNION [ALL] \
                     recursive-term",
                    cte.name
                ),
            )
            .at(at)
        };
        let SelectBody::SetOperation(operation) = &select.body else {
            return Err(malformed());
        };
        if operation.op != SetOp::Union {
            return Err(malformed());
        }
        let unsupported = [
            (select.sort.first().map(|key| key.node.location()), "ORDER BY"),
            (select.limit_offset.as_ref().map(ast::Expr::location), "OFFSET"),
            (select.limit_count.as_ref().map(ast::Expr::location), "LIMIT"),
            (select.locking.first().map(|_| at), "FOR UPDATE/SHARE"),
        ];
        for (place, what) in unsupported {
            if let Some(place) = place {
                return Err(SqlError::new(
                    SqlState::FeatureNotSupported,
                    format!("{what} in a recursive query is not implemented"),
                )
                .at(place));
            }
        }
        if mentions_relation(&operation.left, &cte.name) {
            return Err(SqlError::new(
                SqlState::InvalidRecursion,
                format!(
                    "recursive reference to query \"{}\" must not appear within its non-recursive \
                     term",
                    cte.name
                ),
            )
            .at(at));
        }
        // The columns' types come from the first term, which is analyzed for that alone first.
        let first = self.subselect(&operation.left)?;
        let columns = named_columns(&first, cte)?;
        self.scope().ctes.push(CteInfo {
            name: cte.name.clone(),
            columns: columns.clone(),
            cte: None,
            references: 0,
            recursion: Recursion::RecursiveTerm,
        });
        let mut query = self.subselect(select)?;
        let index = self.scope().ctes.len() - 1;
        recursion::check(&query, &cte.name, index)?;
        let places = target_places(&operation.left);
        self.check_recursive_types(cte, &columns, &query, &places)?;
        if search_or_cycle(cte).is_some() {
            self.check_terms(cte, operation)?;
            self.search_and_cycle(cte, &columns, &mut query)?;
        }
        Ok(query)
    }

    fn check_recursive_types(
        &self,
        cte: &CommonTableExpr,
        columns: &[(String, TypeRef)],
        query: &Query,
        places: &[u32],
    ) -> SqlResult<()> {
        for (at, ((_, first), target)) in columns.iter().zip(query.visible_targets()).enumerate() {
            let overall = target.expr.ty();
            if *first != overall {
                return Err(SqlError::new(
                    SqlState::DatatypeMismatch,
                    format!(
                        "recursive query \"{}\" column {} has type {} in non-recursive term but \
                         type {} overall",
                        cte.name,
                        at + 1,
                        self.type_name_with_typmod(*first),
                        self.type_name_with_typmod(overall)
                    ),
                )
                .hint("Cast the output of the non-recursive term to the correct type.")
                .at(places.get(at).copied().unwrap_or(cte.location)));
            }
        }
        Ok(())
    }
}

/// The CTE's columns: the query's, the first ones renamed.
fn named_columns(query: &Query, cte: &CommonTableExpr) -> SqlResult<Vec<(String, TypeRef)>> {
    let mut columns: Vec<(String, TypeRef)> =
        query.visible_targets().map(|target| (target.name.clone(), target.expr.ty())).collect();
    if cte.columns.len() > columns.len() {
        return Err(SqlError::new(
            SqlState::InvalidColumnReference,
            format!(
                "WITH query \"{}\" has {} columns available but {} columns specified",
                cte.name,
                columns.len(),
                cte.columns.len()
            ),
        )
        .at(cte.location));
    }
    for (column, name) in columns.iter_mut().zip(&cte.columns) {
        column.0.clone_from(name);
    }
    Ok(columns)
}

/// The columns that a data-modifying statement returns, as those of a query.
fn returned_columns(statement: &BoundStatement) -> Query {
    let returning = match statement {
        BoundStatement::Insert(insert) => &insert.returning,
        BoundStatement::Update(update) => &update.returning,
        BoundStatement::Delete(delete) => &delete.returning,
        BoundStatement::Query(_) | BoundStatement::Utility(_) => return Query::default(),
    };
    let columns = returning.iter().filter(|target| !target.hidden);
    let targets = columns.map(|target| Target { expr: null(target.expr.ty()), ..target.clone() });
    Query { targets: targets.collect(), ..Query::default() }
}

/// Where a query with `SEARCH` or `CYCLE` is.
fn search_or_cycle(cte: &CommonTableExpr) -> Option<u32> {
    (cte.search.is_some() || cte.cycle.is_some()).then_some(cte.location)
}

pub(super) fn syntax(message: &str) -> SqlError {
    SqlError::new(SqlState::SyntaxError, message)
}

/// `WITH RECURSIVE` may name what comes later: each after those that it names.
fn in_order_of_need(ctes: &[CommonTableExpr]) -> SqlResult<Vec<usize>> {
    let texts: Vec<String> = ctes.iter().map(|cte| format!("{:?}", cte.query)).collect();
    let needs: Vec<Vec<usize>> = texts
        .iter()
        .enumerate()
        .map(|(at, text)| {
            let others = (0..ctes.len()).filter(|other| *other != at);
            others.filter(|other| text.contains(&range_var(&ctes[*other].name))).collect()
        })
        .collect();
    let mut order: Vec<usize> = Vec::with_capacity(ctes.len());
    while order.len() < ctes.len() {
        let waiting = (0..ctes.len()).filter(|at| !order.contains(at));
        let ready = |at: &usize| needs[*at].iter().all(|need| order.contains(need));
        match waiting.clone().find(ready) {
            Some(at) => order.push(at),
            None => {
                let first = waiting.clone().next().map(|at| ctes[at].location);
                return Err(SqlError::new(
                    SqlState::FeatureNotSupported,
                    "mutual recursion between WITH items is not implemented",
                )
                .at_opt(first));
            }
        }
    }
    Ok(order)
}

/// Whether a statement names a relation like this without a schema, so that it may mean the CTE.
/// The raw tree has no walker; its debugging form names every relation alike.
fn mentions(statement: &Statement, name: &str) -> bool {
    format!("{statement:?}").contains(&range_var(name))
}

fn mentions_relation(select: &ast::SelectStmt, name: &str) -> bool {
    format!("{select:?}").contains(&range_var(name))
}

fn range_var(name: &str) -> String {
    format!("RangeVar {{ catalog: None, schema: None, name: {name:?}")
}
