//! A joined row once more, after one of the rows that it was made of has changed (PostgreSQL's
//! EvalPlanQual).
//!
//! ```text
//! UPDATE t SET … FROM u WHERE t.u = u.id AND t.n < (SELECT max(n) FROM v)
//!
//! found:     t row 7 (old)   u row 3         waited for t row 7, which is another now
//! re-check:  t row 7 (new)   u row 3 still   the same query, each entry of FROM one known row
//! ```
//!
//! Only the rows that were waited for are new. The others stay those that were joined, and subqueries
//! see the statement's snapshot still: so PostgreSQL has it, and so a re-check costs no scan.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aegis_catalog::Relation;
use aegis_storage::TreeId;
use aegis_types::{Datum, SqlError, SqlResult, TypeRef, type_oid};

use super::Changes;
use crate::bound::{
    Expr, JoinKind, JoinTree, KnownRow, Query, ROW_KEY, RteColumn, RteKind, StoredRow, Target,
};
use crate::row::RowLayout;

/// A query that also yields which rows each of its own is made of.
pub(super) struct Traced {
    /// The query: its targets, and behind them what re-checks need.
    pub(super) query: Arc<Query>,
    origins: Vec<(usize, Origin)>,
}

/// What an entry of FROM gave to an output row.
enum Origin {
    /// A table's row, whose key is an output column.
    Row { column: usize, tree: TreeId, relation: Arc<Relation> },
    /// Whatever is in these output columns.
    Columns { first: usize, count: usize, is_nullable: bool },
    /// What the entries of a subquery gave.
    Inside(Vec<(usize, Origin)>),
}

/// The table of a traced entry, and the output column with its row's key.
pub(super) struct TracedTable {
    pub(super) column: usize,
    pub(super) tree: TreeId,
    pub(super) relation: Arc<Relation>,
}

impl Traced {
    /// Traces a query. `paths` name the tables whose rows are to be locked: an entry of the range
    /// table, and within a subquery the entries of its own.
    pub(super) fn new(query: &Query, paths: &[&[usize]]) -> Self {
        let mut query = query.clone();
        let origins = trace(&mut query, paths);
        Self { query: Arc::new(query), origins }
    }

    /// The table at a path.
    pub(super) fn table(&self, path: &[usize]) -> SqlResult<TracedTable> {
        let mut origins = &self.origins;
        let mut rest = path;
        while let Some((entry, deeper)) = rest.split_first() {
            match origins.iter().find(|(at, _)| at == entry).map(|(_, origin)| origin) {
                Some(Origin::Inside(inner)) => origins = inner,
                Some(Origin::Row { column, tree, relation }) if deeper.is_empty() => {
                    let (column, tree, relation) = (*column, *tree, relation.clone());
                    return Ok(TracedTable { column, tree, relation });
                }
                _ => break,
            }
            rest = deeper;
        }
        Err(SqlError::unsupported("a locking clause on what is no table"))
    }
}

impl Changes<'_> {
    /// What the source yields where some of the rows that an output row was made of, by the output
    /// column of their keys, have become others; `None` if its conditions no longer hold.
    pub(super) async fn run_again(
        &mut self,
        traced: &Traced,
        found: &[Datum],
        newest: &BTreeMap<usize, KnownRow>,
    ) -> SqlResult<Option<Vec<Datum>>> {
        self.run_again_with(traced, found, newest, |_| {}).await
    }

    /// The same for a query that reads something of those around it, which `settle` puts in.
    pub(super) async fn run_again_with(
        &mut self,
        traced: &Traced,
        found: &[Datum],
        newest: &BTreeMap<usize, KnownRow>,
        settle: impl FnOnce(&mut Query),
    ) -> SqlResult<Option<Vec<Datum>>> {
        let mut query = (*traced.query).clone();
        self.make_known(&mut query, &traced.origins, found, newest)?;
        settle(&mut query);
        let mut stream = self.start(&Arc::new(query))?;
        while let Some(batch) = self.next_of(&mut stream).await? {
            if !batch.is_empty() {
                return Ok(Some(batch.row(0)));
            }
        }
        Ok(None)
    }

    fn make_known(
        &self,
        query: &mut Query,
        origins: &[(usize, Origin)],
        found: &[Datum],
        newest: &BTreeMap<usize, KnownRow>,
    ) -> SqlResult<()> {
        for (at, origin) in origins {
            let entry = &mut query.range_table[*at];
            entry.kind = match origin {
                Origin::Inside(inner) => {
                    let RteKind::Subquery(subquery) = &mut entry.kind else {
                        return Err(SqlError::internal("only a subquery was traced inside"));
                    };
                    self.make_known(Arc::make_mut(subquery), inner, found, newest)?;
                    continue;
                }
                Origin::Row { column, tree, relation } => {
                    let row = match (newest.get(column), &found[*column]) {
                        (Some(newest), _) => Some(newest.clone()),
                        (None, Datum::Bytea(key)) => self.known_row(*tree, relation, key)?,
                        // The missing side of an outer join.
                        (None, _) => None,
                    };
                    RteKind::Known(row.map(Arc::new))
                }
                Origin::Columns { first, count, is_nullable } => {
                    let columns = found[*first..*first + *count].to_vec();
                    let is_missing = *is_nullable && columns.iter().all(Datum::is_null);
                    let row = KnownRow { columns, stored: None };
                    RteKind::Known((!is_missing).then(|| Arc::new(row)))
                }
            };
            entry.lateral = false;
        }
        Ok(())
    }

    /// A row as the statement sees it.
    fn known_row(
        &self,
        tree: TreeId,
        relation: &Arc<Relation>,
        key: &[u8],
    ) -> SqlResult<Option<KnownRow>> {
        let Some(row) = self.context.view.get(tree, key)? else {
            return Ok(None);
        };
        KnownRow::decode(relation, key, &row).map(Some)
    }
}

impl KnownRow {
    /// A row of a table, as it is stored.
    pub(super) fn decode(
        relation: &Relation,
        key: &[u8],
        row: &aegis_storage::Row,
    ) -> SqlResult<Self> {
        Ok(Self {
            columns: RowLayout::new(relation).decode(&row.value)?,
            stored: Some(StoredRow { key: key.into(), relation: relation.oid, commit: row.seq.0 }),
        })
    }
}

/// Makes a query yield what it reads, behind its targets.
fn trace(query: &mut Query, paths: &[&[usize]]) -> Vec<(usize, Origin)> {
    let mut entries = Vec::new();
    let mut nullable = BTreeSet::new();
    for tree in &query.from {
        leaves(tree, false, &mut entries, &mut nullable);
    }
    let mut origins = Vec::with_capacity(entries.len());
    for at in entries {
        let inner: Vec<&[usize]> = paths
            .iter()
            .filter_map(|path| path.split_first())
            .filter(|(first, rest)| **first == at && !rest.is_empty())
            .map(|(_, rest)| rest)
            .collect();
        let is_nullable = nullable.contains(&at);
        origins.push((at, trace_entry(query, at, &inner, is_nullable)));
    }
    origins
}

fn trace_entry(query: &mut Query, at: usize, inner: &[&[usize]], is_nullable: bool) -> Origin {
    match &mut query.range_table[at].kind {
        RteKind::Relation(relation) => {
            if let Some(table) = relation.as_table() {
                let (tree, relation) = (TreeId(table.tree), relation.clone());
                let column = output(query, at, ROW_KEY, TypeRef::plain(type_oid::BYTEA));
                return Origin::Row { column, tree, relation };
            }
        }
        RteKind::Subquery(subquery) if !inner.is_empty() => {
            let subquery = Arc::make_mut(subquery);
            let mut origins = trace(subquery, inner);
            let types: Vec<TypeRef> =
                subquery.visible_targets().map(|target| target.expr.ty()).collect();
            let known = query.range_table[at].columns.len();
            for ty in &types[known..] {
                let name = String::new();
                query.range_table[at].columns.push(RteColumn { name, ty: *ty, dropped: false });
            }
            lift(&mut origins, &mut |column| {
                let number = i16::try_from(column + 1).unwrap_or(i16::MAX);
                output(query, at, number, types[column])
            });
            return Origin::Inside(origins);
        }
        _ => {}
    }
    let types: Vec<TypeRef> =
        query.range_table[at].columns.iter().map(|column| column.ty).collect();
    let first = query.visible_targets().count();
    for (number, ty) in (1..).zip(&types) {
        output(query, at, number, *ty);
    }
    Origin::Columns { first, count: types.len(), is_nullable }
}

/// Names the output columns of a subquery by those of the query around it.
fn lift(origins: &mut [(usize, Origin)], outward: &mut dyn FnMut(usize) -> usize) {
    for (_, origin) in origins {
        match origin {
            Origin::Row { column, .. } => *column = outward(*column),
            Origin::Columns { first, count, .. } => {
                let inner = *first..*first + *count;
                // They are given one after another here too.
                let outer: Vec<usize> = inner.map(&mut *outward).collect();
                *first = outer.first().copied().unwrap_or_default();
            }
            Origin::Inside(inner) => lift(inner, outward),
        }
    }
}

/// Adds a column of an entry to the targets and gives its place among them.
fn output(query: &mut Query, entry: usize, column: i16, ty: TypeRef) -> usize {
    let expr = Expr::Column { entry, column, levels_up: 0, ty };
    let name = String::new();
    query.targets.push(Target { expr, name, hidden: false, origin: None });
    query.visible_targets().count() - 1
}

/// The entries of a join tree, and those whose rows an outer join may miss.
fn leaves(
    tree: &JoinTree,
    is_nullable: bool,
    entries: &mut Vec<usize>,
    nullable: &mut BTreeSet<usize>,
) {
    match tree {
        JoinTree::Entry(at) => {
            entries.push(*at);
            if is_nullable {
                nullable.insert(*at);
            }
        }
        JoinTree::Join { kind, left, right, .. } => {
            let left_may_miss = matches!(kind, JoinKind::Right | JoinKind::Full);
            let right_may_miss = matches!(kind, JoinKind::Left | JoinKind::Full);
            leaves(left, is_nullable || left_may_miss, entries, nullable);
            leaves(right, is_nullable || right_may_miss, entries, nullable);
        }
    }
}
