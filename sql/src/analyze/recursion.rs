//! Where a recursive query may name itself: once in its recursive term, and where every row of the
//! reference makes rows of the result by itself (PostgreSQL's `checkWellFormedRecursion`).

use aegis_types::{SqlError, SqlResult, SqlState};

use super::walk::visit_own;
use crate::bound::{Expr, JoinKind, JoinTree, Query, RteKind, SetOperation, SetOperator};

/// What lies between the recursive term and a place in it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    Nothing,
    Subquery,
    OuterJoin,
    Intersect,
    Except,
}

impl Within {
    fn words(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::Subquery => "a subquery",
            Self::OuterJoin => "an outer join",
            Self::Intersect => "INTERSECT",
            Self::Except => "EXCEPT",
        }
    }
}

/// Refuses what has no least fixed point that adding rows reaches.
///
/// `index` is the query's place among those of its `WITH`. Errors: 42P19.
pub(super) fn check(query: &Query, name: &str, index: usize) -> SqlResult<()> {
    let mut check = Check { name, index, references: 0 };
    check.query(query, 1, Within::Nothing)
}

struct Check<'a> {
    name: &'a str,
    index: usize,
    references: usize,
}

impl Check<'_> {
    /// `depth` is how many queries outward the `WITH` is.
    fn query(&mut self, query: &Query, depth: usize, within: Within) -> SqlResult<()> {
        for cte in &query.ctes {
            self.query(&cte.query, depth + 1, within)?;
        }
        let before = self.references;
        if let Some(operation) = &query.set_operation {
            self.operation(operation, query, depth, within)?;
        }
        for tree in &query.from {
            self.join(tree, query, depth, within)?;
        }
        let is_own = |entry: &crate::bound::RangeTableEntry| self.is_reference(&entry.kind, depth);
        let reads_itself = self.references > before && query.range_table.iter().any(is_own);
        let mut found = Ok(());
        visit_own(query, &mut |expr| {
            if found.is_err() {
                return;
            }
            match expr {
                Expr::Aggregate(aggregate) if aggregate.levels_up == 0 && reads_itself => {
                    found = Err(SqlError::new(
                        SqlState::InvalidRecursion,
                        "aggregate functions are not allowed in a recursive query's recursive term",
                    ));
                }
                Expr::Subquery(subquery) => {
                    found = self.query(&subquery.query, depth + 1, Within::Subquery);
                }
                _ => {}
            }
        });
        found
    }

    fn operation(
        &mut self,
        operation: &SetOperation,
        query: &Query,
        depth: usize,
        within: Within,
    ) -> SqlResult<()> {
        match operation {
            SetOperation::Leaf(at) => self.entry(*at, query, depth, within),
            SetOperation::Node { op, all, left, right } => {
                let (left_within, right_within) = match (op, all) {
                    (SetOperator::Intersect, true) => (Within::Intersect, Within::Intersect),
                    (SetOperator::Except, true) => (Within::Except, Within::Except),
                    (SetOperator::Except, false) => (within, Within::Except),
                    _ => (within, within),
                };
                self.operation(left, query, depth, left_within)?;
                self.operation(right, query, depth, right_within)
            }
        }
    }

    fn join(
        &mut self,
        tree: &JoinTree,
        query: &Query,
        depth: usize,
        within: Within,
    ) -> SqlResult<()> {
        match tree {
            JoinTree::Entry(at) => self.entry(*at, query, depth, within),
            JoinTree::Join { kind, left, right, .. } => {
                let (left_within, right_within) = match kind {
                    JoinKind::Inner => (within, within),
                    JoinKind::Left => (within, Within::OuterJoin),
                    JoinKind::Right => (Within::OuterJoin, within),
                    JoinKind::Full => (Within::OuterJoin, Within::OuterJoin),
                };
                self.join(left, query, depth, left_within)?;
                self.join(right, query, depth, right_within)
            }
        }
    }

    fn entry(&mut self, at: usize, query: &Query, depth: usize, within: Within) -> SqlResult<()> {
        let Some(entry) = query.range_table.get(at) else { return Ok(()) };
        if let RteKind::Subquery(subquery) = &entry.kind {
            return self.query(subquery, depth + 1, within);
        }
        if !self.is_reference(&entry.kind, depth) {
            return Ok(());
        }
        self.references += 1;
        let wrong = match within {
            Within::Nothing if self.references == 1 => return Ok(()),
            Within::Nothing => "more than once".to_owned(),
            within => format!("within {}", within.words()),
        };
        Err(SqlError::new(
            SqlState::InvalidRecursion,
            format!("recursive reference to query \"{}\" must not appear {wrong}", self.name),
        ))
    }

    fn is_reference(&self, kind: &RteKind, depth: usize) -> bool {
        matches!(kind, RteKind::Cte { index, levels_up }
            if *index == self.index && *levels_up == depth)
    }
}
