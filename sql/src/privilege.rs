//! Which privileges a bound statement needs, and whether the current role has them (PostgreSQL's
//! `ExecCheckRTPerms`).
//!
//! ```text
//! statement ─► one need an entry of the range table ─► the role's, or by way of a view its owner's
//!              whole relation, or column by column
//! ```
//!
//! What is read of a relation is found in the bound tree: a column that no expression names needs no
//! privilege. Tables are judged in the order in which PostgreSQL judges them.

use std::collections::BTreeSet;
use std::sync::Arc;

use aegis_catalog::access::{Access, Kind, Privilege};
use aegis_catalog::snapshot::PG_PROC;
use aegis_catalog::{CatalogSnapshot, Relation, RelationBody, system};
use aegis_types::builtin::builtins;
use aegis_types::{Oid, SqlResult};

use crate::bound::{BoundStatement, Expr, JoinTree, Query, ROW_KEY, RteKind, Target};
use crate::ddl::denied;

/// What one entry of a range table needs.
#[derive(Debug, Default)]
struct Need {
    relation: Oid,
    /// The role that needs it.
    role: Oid,
    /// On the relation, whatever columns.
    privileges: Privilege,
    /// Columns that are read; 0 for all.
    read: BTreeSet<i16>,
    /// Columns that are inserted.
    inserted: BTreeSet<i16>,
    /// Columns that are updated.
    updated: BTreeSet<i16>,
}

/// The needs of a statement.
struct Needs<'a> {
    access: Access<'a>,
    current: Oid,
    found: Vec<Need>,
    /// For each query around, innermost last: which need each entry of its range table has.
    scopes: Vec<Vec<Option<usize>>>,
    /// Queries whose entries are looked at once those around are.
    waiting: Vec<Waiting<'a>>,
    functions: BTreeSet<Oid>,
}

struct Waiting<'a> {
    query: &'a Query,
    role: Oid,
    scopes: Vec<Vec<Option<usize>>>,
    /// The tables of it that are locked by a query around, as paths.
    marked: Vec<&'a [usize]>,
}

/// Refuses a statement that the role may not run.
///
/// # Errors
/// 42501, in PostgreSQL's words.
pub fn check(
    catalog: &Arc<CatalogSnapshot>,
    database: Oid,
    role: Oid,
    statement: &BoundStatement,
) -> SqlResult<()> {
    let access = catalog.access(database);
    let mut needs = Needs {
        access,
        current: role,
        found: Vec::new(),
        scopes: Vec::new(),
        waiting: Vec::new(),
        functions: BTreeSet::new(),
    };
    match statement {
        BoundStatement::Query(query) => needs.query(query, role),
        BoundStatement::Insert(insert) => needs.insert(insert),
        BoundStatement::Update(update) => {
            let columns = update.columns.iter().copied().collect();
            let need =
                Need { privileges: Privilege::UPDATE, updated: columns, ..needs.of(&update.table) };
            needs.change(&update.source, update.entry, need, &update.returning);
        }
        BoundStatement::Delete(delete) => {
            let need = Need { privileges: Privilege::DELETE, ..needs.of(&delete.table) };
            needs.change(&delete.source, delete.entry, need, &delete.returning);
        }
        BoundStatement::Utility(_) => {}
    }
    needs.finish();
    needs.found.iter().try_for_each(|need| judge(&access, need))?;
    needs.functions.iter().try_for_each(|function| check_function(&access, role, *function))
}

/// Refuses a role that may not insert into these columns of a table (`COPY FROM`).
///
/// # Errors
/// 42501.
pub fn check_insert(
    access: &Access<'_>,
    role: Oid,
    relation: &Relation,
    columns: impl IntoIterator<Item = i16>,
) -> SqlResult<()> {
    let inserted = columns.into_iter().collect();
    let privileges = Privilege::INSERT;
    let need = Need { relation: relation.oid, role, privileges, inserted, ..Need::default() };
    judge(access, &need)
}

/// What a relation is called in refusals, and its name.
#[must_use]
pub fn relation_words(catalog: &CatalogSnapshot, relation: Oid) -> (&'static str, String) {
    match catalog.relation(relation) {
        Some(found) => {
            let what = match found.body {
                RelationBody::View { .. } => "view",
                RelationBody::Sequence(_) => "sequence",
                RelationBody::Index(_) => "index",
                _ => "table",
            };
            (what, found.name.clone())
        }
        None => match system::relation_by_oid(relation) {
            Some(found) if found.kind == b'v' => ("view", found.short_name().to_owned()),
            Some(found) => ("table", found.short_name().to_owned()),
            None => ("table", relation.to_string()),
        },
    }
}

fn judge(access: &Access<'_>, need: &Need) -> SqlResult<()> {
    let kind = match access.catalog.relation(need.relation) {
        Some(found) if found.as_sequence().is_some() => Kind::Sequence,
        _ => Kind::Table,
    };
    let held = access.held(need.role, kind, need.relation, 0).privileges;
    let lacking = need.privileges & !held;
    if lacking.is_empty() {
        return Ok(());
    }
    let refused = || {
        let (what, name) = relation_words(access.catalog, need.relation);
        Err(denied(what, &name))
    };
    let by_columns = Privilege::SELECT | Privilege::INSERT | Privilege::UPDATE;
    if !by_columns.contains(lacking) {
        return refused();
    }
    let on = |column: i16, wanted: Privilege| {
        access
            .held(need.role, Kind::Column, need.relation, i32::from(column))
            .privileges
            .contains(wanted)
    };
    let every_live = |wanted: Privilege| {
        access
            .catalog
            .relation(need.relation)
            .is_some_and(|relation| relation.live_columns().all(|column| on(column.number, wanted)))
    };
    for (wanted, columns) in [
        (Privilege::SELECT, &need.read),
        (Privilege::INSERT, &need.inserted),
        (Privilege::UPDATE, &need.updated),
    ] {
        if !lacking.contains(wanted) {
            continue;
        }
        let allowed = if columns.is_empty() {
            access.holds_on_any_column(need.role, need.relation, wanted)
        } else {
            columns.iter().all(|column| match column {
                0 => every_live(wanted),
                column => on(*column, wanted),
            })
        };
        if !allowed {
            return refused();
        }
    }
    Ok(())
}

/// Refuses a role that may not call a function.
///
/// # Errors
/// 42501.
pub fn check_function(access: &Access<'_>, role: Oid, function: Oid) -> SqlResult<()> {
    if access.allows(role, Kind::Function, function, Privilege::EXECUTE) {
        return Ok(());
    }
    let name = access
        .catalog
        .function(function)
        .map_or_else(|| function.to_string(), |row| row.name.to_string());
    Err(denied("function", &name))
}

impl<'a> Needs<'a> {
    fn of(&self, relation: &Relation) -> Need {
        Need { relation: relation.oid, role: self.current, ..Need::default() }
    }

    fn add(&mut self, need: Need) -> usize {
        self.found.push(need);
        self.found.len() - 1
    }

    fn insert(&mut self, insert: &'a crate::bound::Insert) {
        let inserted = insert.columns.iter().copied().collect();
        let need = Need { privileges: Privilege::INSERT, inserted, ..self.of(&insert.table) };
        let target = self.add(need);
        // Entry 0 is the row, entry 1 `excluded`, which needs nothing.
        self.scopes.push(vec![Some(target), None]);
        if let Some(conflict) = &insert.on_conflict {
            for index in &conflict.arbiters {
                let index = self.access.catalog.relation(*index).and_then(|it| it.as_index());
                for key in index.into_iter().flat_map(|index| &index.keys) {
                    self.found[target].read.insert(key.column);
                }
                self.found[target].privileges = self.found[target].privileges | Privilege::SELECT;
            }
            if let Some(update) = &conflict.update {
                let need = &mut self.found[target];
                need.privileges = need.privileges | Privilege::UPDATE;
                need.updated.extend(update.assignments.iter().map(|(column, _)| *column));
                update.assignments.iter().for_each(|(_, value)| self.expr(value));
                update.filter.iter().for_each(|filter| self.expr(filter));
            }
        }
        self.targets(&insert.returning);
        self.scopes.pop();
        self.query(&insert.source, self.current);
    }

    fn change(&mut self, source: &'a Query, entry: usize, need: Need, returning: &'a [Target]) {
        let target = self.add(need);
        let scope = self.scope(source, self.current, Some((entry, target)), &[]);
        self.scopes.push(scope);
        self.body(source, self.current, &[]);
        self.targets(returning);
        self.scopes.pop();
    }

    fn targets(&mut self, targets: &'a [Target]) {
        targets.iter().for_each(|target| self.expr(&target.expr));
    }

    fn query(&mut self, query: &'a Query, role: Oid) {
        self.marked_query(query, role, &[]);
    }

    fn marked_query(&mut self, query: &'a Query, role: Oid, marked: &[&'a [usize]]) {
        let own = query.row_marks.iter().map(|mark| &mark.path[..]);
        let marked: Vec<&'a [usize]> = marked.iter().copied().chain(own).collect();
        let scope = self.scope(query, role, None, &marked);
        self.scopes.push(scope);
        self.body(query, role, &marked);
        self.scopes.pop();
    }

    /// What each entry of a query's range table needs.
    fn scope(
        &mut self,
        query: &'a Query,
        role: Oid,
        target: Option<(usize, usize)>,
        marked: &[&[usize]],
    ) -> Vec<Option<usize>> {
        let mut scope = Vec::with_capacity(query.range_table.len());
        for (at, entry) in query.range_table.iter().enumerate() {
            if let Some((entry, need)) = target
                && at == entry
            {
                scope.push(Some(need));
                continue;
            }
            let relation = match &entry.kind {
                RteKind::Relation(relation) => Some(relation.oid),
                RteKind::System(name) => system::relation(name).map(|found| found.oid),
                RteKind::Subquery(subquery) => subquery.view,
                _ => None,
            };
            let Some(relation) = relation else {
                scope.push(None);
                continue;
            };
            let is_marked = marked.iter().any(|path| path.first() == Some(&at));
            let mut privileges = Privilege::SELECT;
            if is_marked {
                privileges = privileges | Privilege::UPDATE;
            }
            scope.push(Some(self.add(Need { relation, role, privileges, ..Need::default() })));
        }
        scope
    }

    /// Everything in a query whose scope is on top.
    fn body(&mut self, query: &'a Query, role: Oid, marked: &[&'a [usize]]) {
        for cte in &query.ctes {
            self.later(&cte.query, role);
        }
        for (at, entry) in query.range_table.iter().enumerate() {
            match &entry.kind {
                RteKind::Subquery(subquery) => {
                    let role = self.role_within(subquery, role);
                    let inner = marked.iter().filter_map(|path| path.split_first());
                    let inner = inner.filter(|(first, rest)| **first == at && !rest.is_empty());
                    let inner = inner.map(|(_, rest)| rest).collect();
                    self.later_marked(subquery, role, inner);
                }
                RteKind::Functions { calls, .. } => {
                    calls.iter().for_each(|(call, _)| self.expr(call));
                }
                RteKind::Values(rows) => rows.iter().flatten().for_each(|value| self.expr(value)),
                _ => {}
            }
        }
        query.from.iter().for_each(|tree| self.join(tree));
        self.targets(&query.targets);
        let others = query
            .filter
            .iter()
            .chain(query.grouping_sets.iter().flatten())
            .chain(query.having.iter())
            .chain(query.limit.iter())
            .chain(query.offset.iter());
        others.for_each(|expr| self.expr(expr));
        for window in &query.windows {
            window.partition_by.iter().for_each(|expr| self.expr(expr));
            window.order_by.iter().for_each(|key| self.expr(&key.expr));
        }
    }

    /// Whose privileges count within a view: its owner's, unless it is its invoker's.
    fn role_within(&self, subquery: &Query, role: Oid) -> Oid {
        match subquery.view.and_then(|view| self.access.catalog.relation(view)) {
            Some(view) if is_invokers(view) => self.current,
            Some(view) => view.owner,
            None => role,
        }
    }

    fn later(&mut self, query: &'a Query, role: Oid) {
        self.later_marked(query, role, Vec::new());
    }

    fn later_marked(&mut self, query: &'a Query, role: Oid, marked: Vec<&'a [usize]>) {
        self.waiting.push(Waiting { query, role, scopes: self.scopes.clone(), marked });
    }

    fn finish(&mut self) {
        while !self.waiting.is_empty() {
            for waiting in std::mem::take(&mut self.waiting) {
                self.scopes = waiting.scopes;
                self.marked_query(waiting.query, waiting.role, &waiting.marked);
            }
        }
    }

    fn join(&mut self, tree: &'a JoinTree) {
        if let JoinTree::Join { left, right, on, .. } = tree {
            self.join(left);
            self.join(right);
            on.iter().for_each(|expr| self.expr(expr));
        }
    }

    fn expr(&mut self, expr: &'a Expr) {
        match expr {
            Expr::Column { entry, column, levels_up, .. } => {
                self.reads(*entry, *column, *levels_up);
            }
            Expr::Call(call) => self.call(call.function),
            Expr::Distinct { equal, .. } | Expr::NullIf { equal, .. } => self.call(equal.function),
            Expr::ArrayComparison { operator, .. } => self.call(operator.function),
            Expr::Aggregate(aggregate) => self.call(aggregate.function),
            Expr::WindowCall(call) => self.call(call.function),
            Expr::Subquery(subquery) => {
                // A view's subqueries are its owner's too.
                let role = self.role_of_scope();
                self.later(&subquery.query, role);
            }
            _ => {}
        }
        expr.for_each_child(&mut |child| self.expr(child));
    }

    /// The role that reads the innermost query's tables.
    fn role_of_scope(&self) -> Oid {
        let needs = self.scopes.iter().rev().flatten().flatten();
        needs.map(|need| self.found[*need].role).next().unwrap_or(self.current)
    }

    fn call(&mut self, function: Oid) {
        if self.access.catalog.has_privileges_of_class(PG_PROC)
            || builtins().function(function).is_some_and(|row| is_reserved(&row.name))
        {
            self.functions.insert(function);
        }
    }

    fn reads(&mut self, entry: usize, column: i16, levels_up: usize) {
        if column == ROW_KEY {
            return;
        }
        let Some(scope) = self.scopes.len().checked_sub(levels_up + 1) else { return };
        if let Some(Some(need)) = self.scopes[scope].get(entry) {
            let need = &mut self.found[*need];
            need.privileges = need.privileges | Privilege::SELECT;
            need.read.insert(column);
        }
    }
}

/// Whether not everybody calls a function of this name.
fn is_reserved(name: &str) -> bool {
    aegis_catalog::access::is_reserved_function(name)
}

/// Whether a view is read with the privileges of whoever reads it.
#[must_use]
pub fn is_invokers(view: &Relation) -> bool {
    view.options.iter().any(|option| {
        option
            .strip_prefix("security_invoker=")
            .is_some_and(|value| aegis_types::io::parse_bool(value).unwrap_or(false))
    })
}
