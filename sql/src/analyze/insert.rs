//! `INSERT` (PostgreSQL's `transformInsertStmt`).

use std::sync::Arc;

use aegis_catalog::{Column, Relation};
use aegis_types::{SqlError, SqlResult, SqlState, TypeRef, type_oid as t};

use super::Analyzer;
use super::assignment::{Assigned, check_identity};
use super::from::{alias_name, query_columns, relation_columns};
use super::node::Node;
use super::part::Part;
use super::scope::{Clause, EntryInfo};
use super::select::finished_ctes;
use super::set_operation::target_places;
use super::updatable::{Changed, Updatable};
use crate::ast::{self, Expr as Ast, InsertStmt, OverridingKind, SelectBody, SelectStmt};
use crate::bound::{Expr, Insert, JoinTree, Query, RangeTableEntry, RteColumn, RteKind, Target};

/// The rows to insert, before they are columns of the table: values of the columns named.
enum Rows {
    /// `DEFAULT VALUES`, or one row of `VALUES`.
    One(Vec<Assigned>),
    /// Several rows of `VALUES`, of the columns' types.
    Many(Vec<Vec<Assigned>>),
    /// A query.
    Query(Box<Query>, Vec<u32>),
}

/// A column that gets a value, or a part of one.
struct InsertTarget {
    column: Column,
    /// Where it is named.
    at: Option<u32>,
    part: Option<Part>,
}

impl InsertTarget {
    fn whole(column: &Column) -> Self {
        Self { column: column.clone(), at: None, part: None }
    }

    /// The type of the values that go into it.
    fn ty(&self) -> TypeRef {
        self.part.as_ref().map_or(self.column.ty, Part::ty)
    }
}

impl Analyzer<'_> {
    /// `INSERT`.
    pub(super) fn insert(&mut self, insert: &InsertStmt) -> SqlResult<Insert> {
        let (mut bound, scope) = self.in_new_scope(|analyzer| analyzer.insert_here(insert))?;
        let source = Arc::make_mut(&mut bound.source);
        source.ctes = finished_ctes(scope.ctes);
        source.range_table = scope.range_table;
        source.has_set_functions = scope.has_set_functions;
        Ok(bound)
    }

    fn insert_here(&mut self, insert: &InsertStmt) -> SqlResult<Insert> {
        if let Some(with) = &insert.with {
            self.with_clause(with)?;
        }
        let Changed { table, named, view } = self.changed(&insert.relation, "INSERT")?;
        let columns = self.insert_columns(&named, insert, view.as_ref())?;
        self.scope().insert_target = Some(RangeTableEntry {
            alias: alias_name(insert.relation.alias.as_ref(), &named.name),
            kind: RteKind::Row(table.clone()),
            columns: relation_columns(&named),
            lateral: false,
        });
        let rows = self.insert_rows(insert, &columns)?;
        let given = match &rows {
            Rows::One(row) => row.len(),
            Rows::Many(rows) => rows.first().map_or(0, Vec::len),
            Rows::Query(query, _) => query.visible_targets().count(),
        };
        let given: Vec<i16> =
            columns.iter().take(given).map(|target| target.column.number).collect();
        self.scope().insert_target = None;
        let source = self.insert_source(&named, &columns, rows, insert.overriding)?;

        // ON CONFLICT and RETURNING see the row itself, not the source's tables.
        let kept = std::mem::take(&mut self.scope().range_table);
        let infos = std::mem::take(&mut self.scope().entries);
        self.scope().namespace.clear();
        self.scope().has_aggregates = false;
        let set_functions = self.scope().has_set_functions;
        let entry = self.target_entry(&named, &insert.relation, RteKind::Row(table.clone()));
        let mut item = self.entry_item(entry);
        if let Some(view) = &view {
            view.rename(&mut item, entry);
        }
        let on_conflict = match &insert.on_conflict {
            None => None,
            Some(conflict) => {
                self.scope().namespace = vec![item.clone()];
                Some(self.on_conflict(&named, conflict)?)
            }
        };
        self.scope().namespace = vec![item];
        let returning = self.returning(&insert.returning)?;
        let scope = self.scope();
        scope.range_table = kept;
        scope.entries = infos;
        scope.has_set_functions = set_functions;
        let view_checks = view.map(|view| view.checks()).unwrap_or_default();
        let source = Arc::new(source);
        Ok(Insert { table, columns: given, source, on_conflict, returning, view_checks })
    }

    /// The columns named, or all.
    fn insert_columns(
        &mut self,
        table: &Arc<Relation>,
        insert: &InsertStmt,
        view: Option<&Updatable>,
    ) -> SqlResult<Vec<InsertTarget>> {
        if insert.columns.is_empty() {
            let Some(view) = view else {
                return Ok(table.live_columns().map(InsertTarget::whole).collect());
            };
            // As far as there are values, each column must be one of the table.
            let mut columns = Vec::new();
            for (name, base) in view.base_columns() {
                match base.and_then(|number| table.column(number)) {
                    Some(column) => columns.push(InsertTarget::whole(column)),
                    None if gives_less(insert, columns.len()) => break,
                    None => view.refuse_column(&name, &table.name, "INSERT")?,
                }
            }
            return Ok(columns);
        }
        let mut columns: Vec<InsertTarget> = Vec::with_capacity(insert.columns.len());
        for target in &insert.columns {
            if let Some(view) = view {
                view.refuse_column(&target.name, &table.name, "INSERT")?;
            }
            let column = self.target_column(table, target)?;
            let is_part = !target.indirection.is_empty();
            if columns.iter().any(|other| {
                other.column.number == column.number && !(is_part && other.part.is_some())
            }) {
                return Err(SqlError::new(
                    SqlState::DuplicateColumn,
                    format!("column \"{}\" specified more than once", column.name),
                )
                .at(target.location));
            }
            let part = match is_part {
                true => Some(self.part_of(column, target)?),
                false => None,
            };
            columns.push(InsertTarget { column: column.clone(), at: Some(target.location), part });
        }
        Ok(columns)
    }

    fn insert_rows(&mut self, insert: &InsertStmt, columns: &[InsertTarget]) -> SqlResult<Rows> {
        let Some(select) = &insert.source else {
            return Ok(Rows::One(Vec::new()));
        };
        let plain = select.with.is_none()
            && select.sort.is_empty()
            && select.limit_count.is_none()
            && select.limit_offset.is_none()
            && select.locking.is_empty();
        if let (SelectBody::Values(rows), true) = (&select.body, plain) {
            return self.insert_values(rows, insert, columns);
        }
        if let SelectBody::Simple(simple) = &select.body
            && let Some(into) = &simple.into
        {
            return Err(SqlError::new(
                SqlState::SyntaxError,
                "SELECT ... INTO is not allowed here",
            )
            .at(into.relation.location));
        }
        self.keep_unknown_targets = matches!(select.body, SelectBody::Simple(_));
        let query = self.query(select);
        self.keep_unknown_targets = false;
        let query = query?;
        let given = query.visible_targets().count();
        check_count(given, columns, insert, select_place(select, columns.len()))?;
        Ok(Rows::Query(Box::new(query), target_places(select)))
    }

    fn insert_values(
        &mut self,
        rows: &[Vec<Ast>],
        insert: &InsertStmt,
        columns: &[InsertTarget],
    ) -> SqlResult<Rows> {
        let clause = if rows.len() == 1 { Clause::ValuesSingle } else { Clause::Values };
        let mut bound = Vec::with_capacity(rows.len());
        let mut width = None;
        for row in rows {
            let nodes = self.in_clause(clause, |analyzer| analyzer.insert_row(row))?;
            if *width.get_or_insert(nodes.len()) != nodes.len() {
                return Err(SqlError::new(
                    SqlState::SyntaxError,
                    "VALUES lists must all be the same length",
                )
                .at_opt(row.first().map(Ast::location)));
            }
            let place = row.get(columns.len()).map(Ast::location);
            check_count(nodes.len(), columns, insert, place)?;
            let mut assigned = Vec::with_capacity(nodes.len());
            for (node, target) in nodes.into_iter().zip(columns) {
                assigned.push(match (node, &target.part) {
                    (None, None) => Assigned::Default,
                    (None, Some(part)) => return Err(part.no_default()),
                    (Some(node), _) => Assigned::Value(self.assign_to(target, node, target.at)?),
                });
            }
            bound.push(assigned);
        }
        Ok(if bound.len() == 1 { Rows::One(bound.remove(0)) } else { Rows::Many(bound) })
    }

    fn insert_row(&mut self, row: &[Ast]) -> SqlResult<Vec<Option<Node>>> {
        let mut nodes = Vec::with_capacity(row.len());
        for item in row {
            match item {
                Ast::SetToDefault(_) => nodes.push(None),
                other => {
                    nodes
                        .extend(self.expr_list(std::slice::from_ref(other))?.into_iter().map(Some));
                }
            }
        }
        Ok(nodes)
    }

    /// The query that gives the rows, a target for each live column of the table.
    fn insert_source(
        &mut self,
        table: &Relation,
        columns: &[InsertTarget],
        rows: Rows,
        overriding: OverridingKind,
    ) -> SqlResult<Query> {
        let mut given: Vec<(&InsertTarget, Expr)> = Vec::new();
        let mut query = Query::default();
        match rows {
            Rows::One(values) => {
                for (assigned, target) in values.into_iter().zip(columns) {
                    check_identity(&target.column, &assigned, overriding)?;
                    if let Some(value) = overridden(&target.column, assigned, overriding) {
                        given.push((target, value));
                    }
                }
            }
            Rows::Many(rows) => {
                let width = rows.first().map_or(0, Vec::len);
                let mut bound = Vec::with_capacity(rows.len());
                for row in rows {
                    let mut values = Vec::with_capacity(width);
                    for (assigned, target) in row.into_iter().zip(columns) {
                        check_identity(&target.column, &assigned, overriding)?;
                        values.push(match overridden(&target.column, assigned, overriding) {
                            Some(value) => value,
                            None => self.column_default(table, &target.column)?,
                        });
                    }
                    bound.push(values);
                }
                let types: Vec<RteColumn> = columns
                    .iter()
                    .take(width)
                    .enumerate()
                    .map(|(at, target)| RteColumn {
                        name: format!("column{}", at + 1),
                        ty: target.ty(),
                        dropped: false,
                    })
                    .collect();
                let entry = self.source_entry("*VALUES*", RteKind::Values(bound), types);
                query.from.push(JoinTree::Entry(entry));
                for (at, target) in columns.iter().take(width).enumerate() {
                    given.push((target, source_column(entry, at, target.ty())));
                }
            }
            Rows::Query(mut inner, places) => {
                given = self.query_values(columns, &mut inner, overriding, &places)?;
                let types = query_columns(&inner);
                let kind = RteKind::Subquery(Arc::new(*inner));
                let entry = self.source_entry("*SELECT*", kind, types);
                query.from.push(JoinTree::Entry(entry));
            }
        }
        let mut given = self.whole_columns(given)?;
        for column in table.live_columns() {
            let found = given.iter().position(|(number, _)| *number == column.number);
            let expr = match found {
                Some(at) => given.swap_remove(at).1,
                None => self.column_default(table, column)?,
            };
            let name = column.name.clone();
            query.targets.push(Target { expr, name, hidden: false, origin: None });
        }
        Ok(query)
    }

    /// The values of `INSERT … SELECT`: columns of the subquery, converted; its literals are typed
    /// by the columns that they go into.
    fn query_values<'t>(
        &mut self,
        columns: &'t [InsertTarget],
        inner: &mut Query,
        overriding: OverridingKind,
        places: &[u32],
    ) -> SqlResult<Vec<(&'t InsertTarget, Expr)>> {
        let mut given = Vec::new();
        let entry = self.scope().range_table.len();
        let visible: Vec<usize> = inner
            .targets
            .iter()
            .enumerate()
            .filter(|(_, target)| !target.hidden)
            .map(|(number, _)| number)
            .collect();
        for (at, (number, into)) in visible.into_iter().zip(columns).enumerate() {
            let target = &mut inner.targets[number];
            let place = places.get(at).copied();
            let expr = if target.expr.ty().oid == t::UNKNOWN {
                let node = Node { expr: target.expr.clone(), at: place };
                let value = self.assign_to(into, node, None)?;
                target.expr = value.clone();
                value
            } else {
                let read = source_column(entry, at, target.expr.ty());
                self.assign_to(into, Node { expr: read, at: place }, None)?
            };
            let assigned = Assigned::Value(expr);
            check_identity(&into.column, &assigned, overriding)?;
            if let Some(value) = overridden(&into.column, assigned, overriding) {
                given.push((into, value));
            }
        }
        Ok(given)
    }

    /// Converts a value to the type of what it goes into, a column or a part of one.
    fn assign_to(&mut self, target: &InsertTarget, node: Node, at: Option<u32>) -> SqlResult<Expr> {
        match &target.part {
            None => self.assign(&target.column, node, at),
            Some(part) => self.assign_part(part, node),
        }
    }

    /// Puts the parts of columns together, each with what stands before it.
    fn whole_columns(&mut self, given: Vec<(&InsertTarget, Expr)>) -> SqlResult<Vec<(i16, Expr)>> {
        let mut whole: Vec<(i16, Expr)> = Vec::with_capacity(given.len());
        for (target, value) in given {
            let column = &target.column;
            let value = match &target.part {
                None => value,
                Some(part) => {
                    let before = whole.iter().position(|(number, _)| *number == column.number);
                    let base = match before {
                        Some(at) => whole.remove(at).1,
                        None => super::node::null(column.ty),
                    };
                    self.store_part(base, part, Node { expr: value, at: target.at })?
                }
            };
            whole.push((column.number, value));
        }
        Ok(whole)
    }

    fn source_entry(&mut self, alias: &str, kind: RteKind, columns: Vec<RteColumn>) -> usize {
        let entry = RangeTableEntry { alias: alias.to_owned(), kind, columns, lateral: false };
        self.add_entry(entry, EntryInfo { aliased: true, ..EntryInfo::default() })
    }

    /// `RETURNING` over the namespace as it is.
    pub(super) fn returning(&mut self, list: &[ast::ResTarget]) -> SqlResult<Vec<Target>> {
        if list.is_empty() {
            return Ok(Vec::new());
        }
        let mut targets = self.targets(list, Clause::Returning)?;
        self.resolve_unknowns(&mut targets)?;
        Ok(self.finish_targets(targets).0)
    }
}

fn source_column(entry: usize, at: usize, ty: TypeRef) -> Expr {
    let column = i16::try_from(at + 1).unwrap_or(i16::MAX);
    Expr::Column { entry, column, levels_up: 0, ty }
}

/// Whether an INSERT of plain rows, or of none, has no value for the column at a place.
fn gives_less(insert: &InsertStmt, at: usize) -> bool {
    match insert.source.as_ref().map(|select| &select.body) {
        None => true,
        Some(SelectBody::Values(rows)) => rows.iter().all(|row| row.len() <= at),
        Some(SelectBody::Simple(simple)) => {
            simple.targets.len() <= at && !simple.targets.is_empty()
        }
        Some(SelectBody::SetOperation(_)) => false,
    }
}

/// 42601 for more values than columns, or fewer than are named.
fn check_count(
    given: usize,
    columns: &[InsertTarget],
    insert: &InsertStmt,
    surplus: Option<u32>,
) -> SqlResult<()> {
    if given > columns.len() {
        return Err(SqlError::new(
            SqlState::SyntaxError,
            "INSERT has more expressions than target columns",
        )
        .at_opt(surplus));
    }
    if !insert.columns.is_empty() && given < columns.len() {
        return Err(SqlError::new(
            SqlState::SyntaxError,
            "INSERT has more target columns than expressions",
        )
        .at_opt(columns[given].at));
    }
    Ok(())
}

/// Where the surplus output column of a plain `SELECT` is.
fn select_place(select: &SelectStmt, at: usize) -> Option<u32> {
    match &select.body {
        SelectBody::Simple(simple) => simple.targets.get(at).map(|target| target.location),
        _ => None,
    }
}

/// The value itself, or nothing where the default stands instead.
fn overridden(column: &Column, assigned: Assigned, overriding: OverridingKind) -> Option<Expr> {
    match assigned {
        Assigned::Default => None,
        Assigned::Value(_)
            if column.identity.is_some() && overriding == OverridingKind::UserValue =>
        {
            None
        }
        Assigned::Value(value) => Some(value),
    }
}
