//! The relations that a bound statement reads and writes: what is locked before it runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use aegis_catalog::Relation;
use aegis_sql::bound::{BoundStatement, Expr, JoinTree, Query, RteKind};
use aegis_storage::TableLockMode;

/// Every relation of a statement, by OID, with the strongest lock that it needs.
pub(super) type Locks = BTreeMap<u32, (Arc<Relation>, TableLockMode)>;

/// The locks of a statement.
pub(super) fn locks_of(statement: &BoundStatement) -> Locks {
    let mut locks = Locks::new();
    statement_locks(statement, &mut locks);
    locks
}

fn statement_locks(statement: &BoundStatement, locks: &mut Locks) {
    if let Some(source) = statement.source() {
        query_locks(source, locks);
    }
    let (table, returning) = match statement {
        BoundStatement::Insert(insert) => {
            let update = insert.on_conflict.as_ref().and_then(|conflict| conflict.update.as_ref());
            if let Some(update) = update {
                update.assignments.iter().for_each(|(_, value)| expr_locks(value, locks));
                update.filter.iter().for_each(|filter| expr_locks(filter, locks));
            }
            (&insert.table, &insert.returning)
        }
        BoundStatement::Update(update) => (&update.table, &update.returning),
        BoundStatement::Delete(delete) => (&delete.table, &delete.returning),
        BoundStatement::Query(_) | BoundStatement::Utility(_) => return,
    };
    returning.iter().for_each(|target| expr_locks(&target.expr, locks));
    add(locks, table, TableLockMode::RowExclusive);
}

fn add(locks: &mut Locks, relation: &Arc<Relation>, mode: TableLockMode) {
    let entry = locks.entry(relation.oid.0).or_insert_with(|| (relation.clone(), mode));
    let strength = |mode| TableLockMode::ALL.iter().position(|other| *other == mode);
    if strength(mode) > strength(entry.1) {
        entry.1 = mode;
    }
}

fn query_locks(query: &Query, locks: &mut Locks) {
    let marked: Vec<&[usize]> = query.row_marks.iter().map(|mark| &mark.path[..]).collect();
    marked_query_locks(query, &marked, locks);
}

/// The locks of a query of which the tables at these paths are marked.
fn marked_query_locks(query: &Query, marked: &[&[usize]], locks: &mut Locks) {
    for cte in &query.ctes {
        query_locks(&cte.query, locks);
        cte.change.iter().for_each(|change| statement_locks(change, locks));
    }
    for (at, entry) in query.range_table.iter().enumerate() {
        match &entry.kind {
            RteKind::Relation(relation) => {
                let marked = marked.contains(&&[at][..]);
                let mode =
                    if marked { TableLockMode::RowShare } else { TableLockMode::AccessShare };
                add(locks, relation, mode);
            }
            RteKind::Subquery(subquery) => {
                let inner = marked
                    .iter()
                    .filter_map(|path| path.split_first())
                    .filter(|(first, rest)| **first == at && !rest.is_empty())
                    .map(|(_, rest)| rest);
                let own = subquery.row_marks.iter().map(|mark| &mark.path[..]);
                let inner: Vec<&[usize]> = inner.chain(own).collect();
                marked_query_locks(subquery, &inner, locks);
            }
            RteKind::Functions { calls, .. } => {
                calls.iter().for_each(|(expr, _)| expr_locks(expr, locks));
            }
            RteKind::Values(rows) => {
                rows.iter().flatten().for_each(|expr| expr_locks(expr, locks));
            }
            RteKind::System(_)
            | RteKind::Cte { .. }
            | RteKind::Row(_)
            | RteKind::Known(_)
            | RteKind::Returned(_) => {}
        }
    }
    query.from.iter().for_each(|tree| join_locks(tree, locks));
    let exprs = query
        .targets
        .iter()
        .map(|target| &target.expr)
        .chain(query.filter.iter())
        .chain(query.having.iter())
        .chain(query.limit.iter())
        .chain(query.offset.iter());
    exprs.for_each(|expr| expr_locks(expr, locks));
}

fn join_locks(tree: &JoinTree, locks: &mut Locks) {
    if let JoinTree::Join { left, right, on, .. } = tree {
        join_locks(left, locks);
        join_locks(right, locks);
        on.iter().for_each(|expr| expr_locks(expr, locks));
    }
}

fn expr_locks(expr: &Expr, locks: &mut Locks) {
    if let Expr::Subquery(subquery) = expr {
        query_locks(&subquery.query, locks);
    }
    expr.for_each_child(&mut |child| expr_locks(child, locks));
}
