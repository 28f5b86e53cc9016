//! `FOR UPDATE` and its kin (PostgreSQL's `transformLockingClause`).

use aegis_storage::RowLockMode;
use aegis_types::{SqlError, SqlResult, SqlState};

use super::Analyzer;
use super::coerce::returns_set;
use crate::ast::{LockStrength, LockWaitPolicy, LockingClause, SelectStmt};
use crate::bound::{Distinct, MarkWait, Query, RangeTableEntry, RowMark, RteKind};

/// The clause's words.
pub(super) fn words(strength: LockStrength) -> &'static str {
    match strength {
        LockStrength::ForKeyShare => "FOR KEY SHARE",
        LockStrength::ForShare => "FOR SHARE",
        LockStrength::ForNoKeyUpdate => "FOR NO KEY UPDATE",
        LockStrength::ForUpdate => "FOR UPDATE",
    }
}

impl Analyzer<'_> {
    /// The row marks of a query.
    pub(super) fn row_marks(
        &mut self,
        select: &SelectStmt,
        query: &Query,
    ) -> SqlResult<Vec<RowMark>> {
        let mut marks: Vec<RowMark> = Vec::new();
        for clause in &select.locking {
            check_lockable(query, clause)?;
            if clause.relations.is_empty() {
                for (at, entry) in self.scope().range_table.iter().enumerate() {
                    mark_entry(entry, &[at], clause, &mut marks)?;
                }
                continue;
            }
            for name in &clause.relations {
                let at = name.location;
                if name.schema.is_some() || name.catalog.is_some() {
                    return Err(SqlError::new(
                        SqlState::SyntaxError,
                        format!(
                            "{} must specify unqualified relation names",
                            words(clause.strength)
                        ),
                    )
                    .at(at));
                }
                let scope = self.scope();
                let entry = scope.range_table.iter().position(|entry| entry.alias == name.name);
                let Some(entry) = entry else {
                    return Err(SqlError::new(
                        SqlState::UndefinedTable,
                        format!(
                            "relation \"{}\" in {} clause not found in FROM clause",
                            name.name,
                            words(clause.strength)
                        ),
                    )
                    .at(at));
                };
                let what = match &scope.range_table[entry].kind {
                    RteKind::Relation(_) | RteKind::Subquery(_) | RteKind::System(_) => {
                        mark_entry(&scope.range_table[entry], &[entry], clause, &mut marks)?;
                        continue;
                    }
                    RteKind::Functions { .. } => "a function",
                    RteKind::Values(_) => "VALUES",
                    RteKind::Cte { .. } => "a WITH query",
                    RteKind::Row(_) | RteKind::Known(_) | RteKind::Returned(_) => "a row",
                };
                return Err(SqlError::new(
                    SqlState::FeatureNotSupported,
                    format!("{} cannot be applied to {what}", words(clause.strength)),
                )
                .at(at));
            }
        }
        Ok(marks)
    }
}

/// Refuses queries whose rows are not rows of tables (`CheckSelectLocking`).
fn check_lockable(query: &Query, clause: &LockingClause) -> SqlResult<()> {
    let with = if query.set_operation.is_some() {
        "UNION/INTERSECT/EXCEPT"
    } else if !matches!(query.distinct, Distinct::No) {
        "DISTINCT clause"
    } else if !query.grouping_sets.is_empty() {
        "GROUP BY clause"
    } else if query.having.is_some() {
        "HAVING clause"
    } else if query.grouped {
        "aggregate functions"
    } else if !query.windows.is_empty() {
        "window functions"
    } else if query.targets.iter().any(|target| returns_set(&target.expr)) {
        "set-returning functions in the target list"
    } else {
        return Ok(());
    };
    Err(SqlError::new(
        SqlState::FeatureNotSupported,
        format!("{} is not allowed with {with}", words(clause.strength)),
    ))
}

/// Marks a table, or every table in a subquery or a view; what is neither is left alone.
fn mark_entry(
    entry: &RangeTableEntry,
    path: &[usize],
    clause: &LockingClause,
    marks: &mut Vec<RowMark>,
) -> SqlResult<()> {
    match &entry.kind {
        RteKind::Relation(relation) if relation.as_materialized().is_some() => {
            return Err(SqlError::new(
                SqlState::WrongObjectType,
                format!("cannot lock rows in materialized view \"{}\"", relation.name),
            ));
        }
        RteKind::Relation(relation) if relation.as_sequence().is_some() => {
            return Err(SqlError::new(
                SqlState::WrongObjectType,
                format!("cannot lock rows in sequence \"{}\"", relation.name),
            ));
        }
        RteKind::Relation(_) => add_mark(marks, path, clause),
        RteKind::Subquery(query) => {
            check_lockable(query, clause)?;
            if query.limit.is_some() || query.offset.is_some() {
                return Err(SqlError::unsupported(format_args!(
                    "{} of a subquery with LIMIT",
                    words(clause.strength)
                )));
            }
            for (at, inner) in query.range_table.iter().enumerate() {
                let path = [path, &[at]].concat();
                mark_entry(inner, &path, clause, marks)?;
            }
        }
        RteKind::System(_) => {
            return Err(SqlError::unsupported(format_args!(
                "{} of a system relation",
                words(clause.strength)
            )));
        }
        RteKind::Functions { .. }
        | RteKind::Values(_)
        | RteKind::Cte { .. }
        | RteKind::Row(_)
        | RteKind::Known(_)
        | RteKind::Returned(_) => {}
    }
    Ok(())
}

fn add_mark(marks: &mut Vec<RowMark>, path: &[usize], clause: &LockingClause) {
    let mode = match clause.strength {
        LockStrength::ForKeyShare => RowLockMode::ForKeyShare,
        LockStrength::ForShare => RowLockMode::ForShare,
        LockStrength::ForNoKeyUpdate => RowLockMode::ForNoKeyUpdate,
        LockStrength::ForUpdate => RowLockMode::ForUpdate,
    };
    let wait = match clause.wait_policy {
        LockWaitPolicy::Block => MarkWait::Block,
        LockWaitPolicy::Skip => MarkWait::SkipLocked,
        LockWaitPolicy::Error => MarkWait::NoWait,
    };
    let Some(mark) = marks.iter_mut().find(|mark| mark.path == path) else {
        marks.push(RowMark { path: path.to_vec(), mode, wait });
        return;
    };
    // The stronger lock and the less patient policy win.
    let strength = |mode: RowLockMode| {
        RowLockMode::ALL.iter().position(|other| *other == mode).unwrap_or_default()
    };
    if strength(mode) > strength(mark.mode) {
        mark.mode = mode;
    }
    let patience = |wait: MarkWait| match wait {
        MarkWait::Block => 0,
        MarkWait::SkipLocked => 1,
        MarkWait::NoWait => 2,
    };
    if patience(wait) > patience(mark.wait) {
        mark.wait = wait;
    }
}
