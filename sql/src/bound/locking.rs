//! Which rows a query locks, with everything in it that is run.

use std::sync::Arc;

use aegis_storage::RowLockMode;

use super::{Query, RteKind};
use crate::analyze::walk::visit_own;
use crate::bound::Expr;

impl Query {
    /// How the query locks rows, or one within it that is run; of several the outermost.
    #[must_use]
    pub fn row_locks(&self) -> Option<RowLockMode> {
        Walk { around: Vec::new(), seen: Vec::new() }.query(self)
    }

    /// What a query that locks rows is called.
    #[must_use]
    pub fn locking_word(&self) -> Option<&'static str> {
        self.row_locks().map(|mode| match mode {
            RowLockMode::ForKeyShare => "SELECT FOR KEY SHARE",
            RowLockMode::ForShare => "SELECT FOR SHARE",
            RowLockMode::ForNoKeyUpdate => "SELECT FOR NO KEY UPDATE",
            RowLockMode::ForUpdate => "SELECT FOR UPDATE",
        })
    }
}

struct Walk<'a> {
    /// The queries around, the outermost first.
    around: Vec<&'a Query>,
    /// The common table expressions that were followed.
    seen: Vec<*const Query>,
}

impl<'a> Walk<'a> {
    fn query(&mut self, query: &'a Query) -> Option<RowLockMode> {
        if let Some(mark) = query.row_marks.first() {
            return Some(mark.mode);
        }
        self.around.push(query);
        let found = self.within(query);
        self.around.pop();
        found
    }

    fn within(&mut self, query: &'a Query) -> Option<RowLockMode> {
        for entry in &query.range_table {
            let found = match &entry.kind {
                RteKind::Subquery(subquery) => self.query(subquery),
                RteKind::Cte { index, levels_up } => self.cte(*index, *levels_up),
                _ => None,
            };
            if found.is_some() {
                return found;
            }
        }
        let mut subqueries: Vec<&'a Query> = Vec::new();
        visit_own(query, &mut |expr: &'a Expr| {
            if let Expr::Subquery(subquery) = expr {
                subqueries.push(&subquery.query);
            }
        });
        subqueries.into_iter().find_map(|subquery| self.query(subquery))
    }

    /// What is read of a query around; what nobody reads is not run.
    fn cte(&mut self, index: usize, levels_up: usize) -> Option<RowLockMode> {
        let definer = self.around.len().checked_sub(levels_up + 1)?;
        let cte = self.around[definer].ctes.get(index)?;
        let address = Arc::as_ptr(&cte.query);
        if self.seen.contains(&address) {
            return None;
        }
        self.seen.push(address);
        let inner = self.around.split_off(definer + 1);
        let found = self.query(&cte.query);
        self.around.extend(inner);
        found
    }
}
