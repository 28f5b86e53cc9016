//! Statements with INSERT, UPDATE or DELETE in their `WITH`: one snapshot, each run once.
//!
//! ```text
//! WITH a AS (DELETE FROM t RETURNING *), b AS (UPDATE u …) INSERT INTO v SELECT * FROM a
//!      1. a, which is read: its rows are kept      2. the INSERT, over them      3. b, to completion
//! ```
//!
//! None sees what another writes; only the rows of `RETURNING` pass between them. A row that two of
//! them find is changed by the first. Foreign keys are looked at when all have run.

use std::collections::BTreeSet;
use std::sync::Arc;

use aegis_storage::TreeId;
use aegis_types::builtin::Implementation;
use aegis_types::{SqlError, SqlResult};

use super::returned::{KeptRows, ReturnedRows};
use super::{Changed, Changes};
use crate::analyze::walk::{Rewriter, rewrite_bound, rewrite_query, visit_query};
use crate::bound::{
    BoundStatement, Cte, Expr, Insert, JoinTree, Query, RangeTableEntry, RteColumn, RteKind, Target,
};
use crate::query_engine::{QueryEngine, StatementContext};

impl Changes<'_> {
    /// Runs a statement, the ones in its `WITH` with it.
    ///
    /// # Errors
    /// Whatever any of them raises.
    pub async fn run(&mut self, statement: &BoundStatement) -> SqlResult<Changed> {
        if !statement.has_changes_in_with() {
            return self.run_alone(statement).await;
        }
        self.changed_in_with = Some(super::RowKeys::default());
        self.kept = None;
        let changed = self.run_all(statement).await?;
        self.changed_in_with = None;
        self.finish_statement().await?;
        Ok(changed)
    }

    async fn run_alone(&mut self, statement: &BoundStatement) -> SqlResult<Changed> {
        match statement {
            BoundStatement::Insert(insert) => self.insert(insert).await,
            BoundStatement::Update(update) => self.update(update).await,
            BoundStatement::Delete(delete) => self.delete(delete).await,
            BoundStatement::Query(query) if !query.row_marks.is_empty() => {
                let returned = self.lock_rows(query).await?;
                Ok(Changed { rows: returned.count(), returned })
            }
            BoundStatement::Query(query) => {
                let mut returned = self.no_rows(&query.targets);
                let mut stream = self.start(query)?;
                while let Some(batch) = self.next_of(&mut stream).await? {
                    for at in 0..batch.len() {
                        returned.push(batch.row(at))?;
                    }
                    self.context.cancel.check()?;
                }
                Ok(Changed { rows: returned.count(), returned })
            }
            BoundStatement::Utility(_) => {
                Err(SqlError::internal("a statement without rows to change"))
            }
        }
    }

    async fn run_all(&mut self, statement: &BoundStatement) -> SqlResult<Changed> {
        let mut main = statement.clone();
        let source = main.source_mut().ok_or_else(|| SqlError::internal("no query"))?;
        let mut ctes = std::mem::take(&mut source.ctes);
        let needs = Needs::new(&ctes, &mut main);
        let read: Vec<usize> = needs.of(&needs.main).into_iter().collect();
        for at in read {
            self.settle_one(&mut ctes, at, &needs).await?;
        }
        let source = main.source_mut().ok_or_else(|| SqlError::internal("no query"))?;
        source.ctes.clone_from(&ctes);
        // What the main statement does not read runs after it.
        source.ctes.iter_mut().for_each(|cte| cte.change = None);
        let changed = self.run_alone(&main).await?;
        // The last first, as PostgreSQL does.
        for last in (0..ctes.len()).rev() {
            if ctes[last].change.is_some() {
                for at in needs.of(&BTreeSet::from([last])) {
                    self.settle_one(&mut ctes, at, &needs).await?;
                }
            }
        }
        Ok(changed)
    }

    /// Runs one query of `WITH` whose rows must not be computed twice, and keeps them.
    async fn settle_one(&mut self, ctes: &mut [Cte], at: usize, needs: &Needs) -> SqlResult<()> {
        let rows = match ctes[at].change.take() {
            Some(change) => {
                let mut change = (*change).clone();
                adopt(&mut change, ctes);
                self.run_alone(&change).await?.returned
            }
            None if needs.shared.contains(&at) => {
                let query = reading(ctes, at);
                self.run_alone(&BoundStatement::Query(Arc::new(query))).await?.returned
            }
            None => return Ok(()),
        };
        ctes[at].query = Arc::new(of_rows(&ctes[at].query, Arc::new(rows.keep()?)));
        ctes[at].recursive = false;
        ctes[at].materialized = Some(true);
        Ok(())
    }

    /// Whether this is the first change of a row by the statement.
    pub(super) fn is_first_change(&self, tree: TreeId, key: &[u8]) -> bool {
        self.changed_in_with.as_ref().is_none_or(|changed| !changed.contains(&(tree, key.to_vec())))
    }

    /// Remembers a row that one of several statements has changed.
    pub(super) fn note_change(&mut self, tree: TreeId, key: &[u8]) {
        if let Some(changed) = &mut self.changed_in_with {
            changed.insert((tree, key.to_vec()));
        }
    }
}

/// What reads what.
struct Needs {
    /// What each query of `WITH` names itself.
    direct: Vec<BTreeSet<usize>>,
    /// What the main statement names.
    main: BTreeSet<usize>,
    /// Volatile ones, and such as lock rows, that several statements read: all are to see the same rows.
    shared: BTreeSet<usize>,
}

impl Needs {
    fn new(ctes: &[Cte], main: &mut BoundStatement) -> Self {
        let direct: Vec<BTreeSet<usize>> = ctes
            .iter()
            .map(|cte| {
                let mut named = Named(BTreeSet::new());
                match &cte.change {
                    Some(change) => rewrite_bound(&mut (**change).clone(), 1, &mut named),
                    None => rewrite_query(&mut (*cte.query).clone(), 1, &mut named),
                }
                named.0
            })
            .collect();
        let mut named = Named(BTreeSet::new());
        rewrite_bound(main, 0, &mut named);
        let mut needs = Self { direct, main: named.0, shared: BTreeSet::new() };
        let mut readers = vec![0_usize; ctes.len()];
        let changes = (0..ctes.len()).filter(|at| ctes[*at].change.is_some());
        let statements = changes.map(|at| needs.direct[at].clone()).chain([needs.main.clone()]);
        for named in statements {
            for at in needs.through_queries(ctes, &named) {
                readers[at] += 1;
            }
        }
        needs.shared = (0..ctes.len())
            .filter(|at| readers[*at] > 1 && ctes[*at].change.is_none())
            .filter(|at| is_volatile(&ctes[*at].query) || locks(ctes, *at))
            .collect();
        needs
    }

    /// These and all that they read, in the order of the list: that is an order of need.
    fn of(&self, first: &BTreeSet<usize>) -> BTreeSet<usize> {
        let mut all = BTreeSet::new();
        let mut waiting: Vec<usize> = first.iter().copied().collect();
        while let Some(at) = waiting.pop() {
            if all.insert(at) {
                waiting.extend(&self.direct[at]);
            }
        }
        all
    }

    /// What a statement computes itself: what it reads, but not what a change among them reads.
    fn through_queries(&self, ctes: &[Cte], first: &BTreeSet<usize>) -> BTreeSet<usize> {
        let mut all = BTreeSet::new();
        let mut waiting: Vec<usize> = first.iter().copied().collect();
        while let Some(at) = waiting.pop() {
            if all.insert(at) && ctes[at].change.is_none() {
                waiting.extend(&self.direct[at]);
            }
        }
        all
    }
}

/// Collects which queries of the outermost `WITH` are named.
struct Named(BTreeSet<usize>);

impl Rewriter for Named {
    fn expr(&mut self, _: &mut Expr, _: usize) {}

    fn entry(&mut self, kind: &mut RteKind, depth: usize) {
        if let RteKind::Cte { index, levels_up } = kind
            && *levels_up == depth
        {
            self.0.insert(*index);
        }
    }
}

/// Whether one of these locks rows.
fn locks(ctes: &[Cte], at: usize) -> bool {
    let around = Query {
        ctes: ctes.to_vec(),
        ..over(&ctes[at].query, RteKind::Cte { index: at, levels_up: 0 })
    };
    around.row_locks().is_some()
}

fn is_volatile(query: &Query) -> bool {
    let mut found = false;
    visit_query(query, 0, &mut |expr, _| {
        found |= match expr {
            Expr::Call(call) => call.is_volatile(),
            Expr::NextValue { .. } => true,
            _ => false,
        };
        !found
    });
    found
}

/// Whether a query calls functions of users that may change data.
fn calls_changing_functions(query: &Query) -> bool {
    let mut found = false;
    visit_query(query, 0, &mut |expr, _| {
        found |= matches!(expr, Expr::Call(call) if call.user.as_ref().is_some_and(|row| {
            matches!(row.implementation, Implementation::Statements) && call.is_volatile()
        }));
        !found
    });
    found
}

/// An INSERT whose source is computed already, if that calls functions that may change data: they
/// cannot while the INSERT holds the transaction.
///
/// # Errors
/// What the source raises.
pub async fn with_settled_source(
    insert: &Arc<Insert>,
    engine: &dyn QueryEngine,
    context: &StatementContext,
) -> SqlResult<Option<Arc<Insert>>> {
    if insert.source.has_changes_in_with() || !calls_changing_functions(&insert.source) {
        return Ok(None);
    }
    let types = insert.source.visible_targets().map(|target| target.expr.ty()).collect();
    let mut rows = ReturnedRows::new(types, context.memory_bytes, context.temporary_files.clone());
    let mut stream = engine.plan(&insert.source, context)?.execute(context.clone())?;
    while let Some(batch) = stream.next().await? {
        for at in 0..batch.len() {
            rows.push(batch.row(at))?;
        }
        context.cancel.check()?;
    }
    let source = Arc::new(of_rows(&insert.source, Arc::new(rows.keep()?)));
    Ok(Some(Arc::new(Insert { source, ..(**insert).clone() })))
}

/// Makes a statement of `WITH` one of its own: the queries beside it become its own, behind those
/// that it has.
fn adopt(statement: &mut BoundStatement, beside: &[Cte]) {
    let Some(source) = statement.source_mut() else { return };
    let offset = source.ctes.len();
    rewrite_bound(statement, 0, &mut Outward(offset));
    let mut beside = beside.to_vec();
    if offset > 0 {
        for cte in &mut beside {
            rewrite_query(Arc::make_mut(&mut cte.query), 1, &mut Behind(offset));
        }
    }
    // What is not run yet is not read here.
    beside.iter_mut().for_each(|cte| cte.change = None);
    if let Some(source) = statement.source_mut() {
        source.ctes.extend(beside);
    }
}

/// What was one query further out is the statement's own, behind so many.
struct Outward(usize);

impl Rewriter for Outward {
    fn expr(&mut self, _: &mut Expr, _: usize) {}

    fn entry(&mut self, kind: &mut RteKind, depth: usize) {
        if let RteKind::Cte { index, levels_up } = kind
            && *levels_up == depth + 1
        {
            *levels_up -= 1;
            *index += self.0;
        }
    }
}

struct Behind(usize);

impl Rewriter for Behind {
    fn expr(&mut self, _: &mut Expr, _: usize) {}

    fn entry(&mut self, kind: &mut RteKind, depth: usize) {
        if let RteKind::Cte { index, levels_up } = kind
            && *levels_up == depth
        {
            *index += self.0;
        }
    }
}

/// The columns of a query read from `kind`.
fn over(columns: &Query, kind: RteKind) -> Query {
    let named = columns.visible_targets().map(|target| (target.name.clone(), target.expr.ty()));
    let columns: Vec<RteColumn> =
        named.map(|(name, ty)| RteColumn { name, ty, dropped: false }).collect();
    let targets = (1..)
        .zip(&columns)
        .map(|(column, RteColumn { name, ty, .. })| Target {
            expr: Expr::Column { entry: 0, column, levels_up: 0, ty: *ty },
            name: name.clone(),
            hidden: false,
            origin: None,
        })
        .collect();
    let alias = String::new();
    Query {
        range_table: vec![RangeTableEntry { alias, kind, columns, lateral: false }],
        from: vec![JoinTree::Entry(0)],
        targets,
        ..Query::default()
    }
}

fn of_rows(columns: &Query, rows: Arc<KeptRows>) -> Query {
    over(columns, RteKind::Returned(rows))
}

/// A query that reads one of these and nothing else.
fn reading(ctes: &[Cte], at: usize) -> Query {
    let mut ctes = ctes.to_vec();
    ctes.iter_mut().for_each(|cte| cte.change = None);
    let query = over(&ctes[at].query, RteKind::Cte { index: at, levels_up: 0 });
    Query { ctes, ..query }
}
