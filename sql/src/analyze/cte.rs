//! `WITH`: queries by name, in order; recursive ones with the types of their first term
//! (PostgreSQL's `parse_cte.c`).

use std::sync::Arc;

use aegis_types::{SqlError, SqlResult, SqlState, TypeRef};

use super::Analyzer;
use super::scope::{CteInfo, Recursion};
use super::set_operation::target_places;
use crate::ast::{self, CommonTableExpr, CteMaterialize, SelectBody, SetOp, Statement};
use crate::bound::{Cte, Query};

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
        self.scope().future_ctes = with.ctes.iter().map(|cte| cte.name.clone()).collect();
        for cte in &with.ctes {
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
        let at = cte.location;
        let Statement::Select(select) = &cte.query else {
            return Err(SqlError::unsupported("a data-modifying statement in WITH").at(at));
        };
        if cte.search.is_some() || cte.cycle.is_some() {
            return Err(SqlError::unsupported("SEARCH or CYCLE in WITH").at(at));
        }
        let materialized = match cte.materialized {
            CteMaterialize::Default => None,
            CteMaterialize::Always => Some(true),
            CteMaterialize::Never => Some(false),
        };
        let (query, is_recursive) = if recursive && mentions(select, &cte.name) {
            (self.recursive_query(cte, select)?, true)
        } else {
            (self.subselect(select)?, false)
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
        if mentions(&operation.left, &cte.name) {
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
        let query = self.subselect(select)?;
        let places = target_places(&operation.left);
        self.check_recursive_types(cte, &columns, &query, &places)?;
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

/// Whether a query names a relation like this without a schema, so that it may mean the CTE. The
/// raw tree has no walker; its debugging form names every relation alike.
fn mentions(select: &ast::SelectStmt, name: &str) -> bool {
    let wanted = format!("RangeVar {{ catalog: None, schema: None, name: {name:?}");
    format!("{select:?}").contains(&wanted)
}
