//! Views that are changed as the table below them (PostgreSQL's `view_query_is_auto_updatable` and
//! `rewriteTargetView`).
//!
//! ```text
//! UPDATE v SET bb = 1 WHERE …      v: SELECT a, b AS bb FROM t WHERE a > 10
//!        │
//!        ▼
//! UPDATE t SET b  = 1 WHERE … AND t.a > 10      with v's columns as the names of t's
//! ```
//!
//! Names are looked up in a copy of the table whose columns are called as the view's; the rest are
//! out of reach.

use std::sync::Arc;

use aegis_catalog::{Relation, RelationBody};
use aegis_types::{SqlError, SqlResult, SqlState};

use super::Analyzer;
use super::relation::ResolvedRelation;
use super::scope::{NamespaceColumn, NamespaceItem};
use super::walk::{children_mut, visit_expr};
use crate::ast::RangeVar;
use crate::bound::{Distinct, Expr, JoinTree, Query, RteKind, Target, ViewCheck};

/// What a statement changes: a table, maybe through a view.
pub(super) struct Changed {
    /// The table whose rows change.
    pub(super) table: Arc<Relation>,
    /// The table as the statement names its columns.
    pub(super) named: Arc<Relation>,
    /// The view.
    pub(super) view: Option<Updatable>,
}

/// A view over one table, all expressions over entry 0.
#[derive(Clone, Debug)]
pub struct Updatable {
    table: Arc<Relation>,
    columns: Vec<ViewColumn>,
    filters: Vec<Expr>,
    checks: Vec<ViewCheck>,
    /// The condition of each view down to the table, whatever its options.
    every: Vec<ViewCheck>,
}

#[derive(Clone, Debug)]
struct ViewColumn {
    name: String,
    expr: Expr,
    /// The table's column that it is.
    base: Option<i16>,
    default: Option<String>,
}

impl Updatable {
    /// Which of the view's columns can be assigned to.
    #[must_use]
    pub fn updatable_columns(&self) -> Vec<bool> {
        self.columns.iter().map(|column| column.base.is_some()).collect()
    }

    /// The conditions that a new row must pass, over entry 0.
    pub(super) fn checks(&self) -> Vec<ViewCheck> {
        self.checks.clone()
    }

    /// The conditions of the rows that the view shows, over an entry.
    pub(super) fn filters(&self, entry: usize) -> Vec<Expr> {
        self.filters.iter().map(|filter| over(filter, entry)).collect()
    }

    /// The view's columns as names of an entry.
    pub(super) fn rename(&self, item: &mut NamespaceItem, entry: usize) {
        item.relation = None;
        item.columns = self
            .columns
            .iter()
            .map(|column| NamespaceColumn {
                name: column.name.clone(),
                expr: over(&column.expr, entry),
            })
            .collect();
    }

    /// The view's columns with those of the table that they are.
    pub(super) fn base_columns(&self) -> Vec<(String, Option<i16>)> {
        self.columns.iter().map(|column| (column.name.clone(), column.base)).collect()
    }

    /// 0A000 for a column that is no column of the table.
    pub(super) fn refuse_column(&self, name: &str, view: &str, verb: &str) -> SqlResult<()> {
        let Some(column) = self.columns.iter().find(|column| column.name == name) else {
            return Ok(());
        };
        if column.base.is_some() {
            return Ok(());
        }
        let detail = match &column.expr {
            Expr::Column { column: 0, .. } => {
                "View columns that return whole-row references are not updatable."
            }
            Expr::Column { column, .. } if *column < 0 => {
                "View columns that refer to system columns are not updatable."
            }
            _ => "View columns that are not columns of their base relation are not updatable.",
        };
        let verb = if verb == "INSERT" { "insert into" } else { "update" };
        Err(SqlError::new(
            SqlState::FeatureNotSupported,
            format!("cannot {verb} column \"{name}\" of view \"{view}\""),
        )
        .detail(detail))
    }

    /// The table with its columns called as the view's, and the view's own name.
    fn named(&self, view: &Relation) -> Arc<Relation> {
        let mut named = (*self.table).clone();
        named.name.clone_from(&view.name);
        for column in &mut named.columns {
            let shown = self.columns.iter().find(|shown| shown.base == Some(column.number));
            match shown {
                Some(shown) => {
                    column.name.clone_from(&shown.name);
                    if shown.default.is_some() {
                        column.default.clone_from(&shown.default);
                    }
                }
                // No name that SQL could write.
                None => column.name = format!("\u{1}{}", column.number),
            }
        }
        Arc::new(named)
    }
}

impl Analyzer<'_> {
    /// What a statement changes.
    pub(super) fn changed(&mut self, name: &RangeVar, verb: &'static str) -> SqlResult<Changed> {
        if let ResolvedRelation::Stored(view) = self.resolve_relation(name)?
            && let RelationBody::View { definition } = &view.body
        {
            let found = self.updatable(&view, definition)?;
            let found = found.map_err(|reason| not_updatable(&view, verb, reason))?;
            if verb != "DELETE" && found.columns.iter().all(|column| column.base.is_none()) {
                let reason =
                    "Views that have no updatable columns are not automatically updatable.";
                return Err(not_updatable(&view, verb, reason));
            }
            let (table, named) = (found.table.clone(), found.named(&view));
            return Ok(Changed { table, named, view: Some(found) });
        }
        let table = self.target_table(name, verb)?;
        Ok(Changed { named: table.clone(), table, view: None })
    }

    /// A stored view as the table below it.
    ///
    /// # Errors
    /// Whatever analyzing its query raises; within, in PostgreSQL's words, why it is not updatable.
    pub fn updatable_view(
        mut self,
        view: &Arc<Relation>,
    ) -> SqlResult<Result<Updatable, &'static str>> {
        match &view.body {
            RelationBody::View { definition } => self.updatable(view, definition),
            _ => Err(SqlError::internal("only views are looked through")),
        }
    }

    /// The same of a query that is to be a view.
    ///
    /// # Errors
    /// The same.
    pub fn updatable_query(mut self, query: &Query) -> SqlResult<Result<Updatable, &'static str>> {
        self.updatable_of(query, None)
    }

    fn updatable(
        &mut self,
        view: &Arc<Relation>,
        definition: &str,
    ) -> SqlResult<Result<Updatable, &'static str>> {
        let query = self.view(view, definition)?;
        self.updatable_of(&query, Some(view))
    }

    fn updatable_of(
        &mut self,
        query: &Query,
        view: Option<&Arc<Relation>>,
    ) -> SqlResult<Result<Updatable, &'static str>> {
        if let Some(reason) = reason(query) {
            return Ok(Err(reason));
        }
        let [JoinTree::Entry(entry)] = query.from.as_slice() else { return Ok(Err(NOT_ONE)) };
        let inner = match &query.range_table[*entry].kind {
            RteKind::Relation(table) if table.as_materialized().is_none() => plain(table),
            RteKind::Subquery(_) => {
                let written = query.written.entries.get(*entry).and_then(|entry| entry.relation);
                let below = written.and_then(|oid| self.context.catalog.relation(oid)).cloned();
                let Some(below) = below else { return Ok(Err(NOT_ONE)) };
                let RelationBody::View { definition } = &below.body else {
                    return Ok(Err(NOT_ONE));
                };
                match self.updatable(&below, definition)? {
                    Ok(inner) => inner,
                    Err(reason) => return Ok(Err(reason)),
                }
            }
            _ => return Ok(Err(NOT_ONE)),
        };
        let mut columns = Vec::new();
        for (at, target) in query.targets.iter().filter(|target| !target.hidden).enumerate() {
            let named = view.and_then(|view| view.columns.get(at));
            columns.push(view_column(target, *entry, &inner, named));
        }
        let own = query.filter.as_ref().map(|filter| through(filter, *entry, &inner));
        let name = view.map_or_else(String::new, |view| view.name.clone());
        let level = own.clone().map(|condition| ViewCheck { view: name, condition });
        let mut every = inner.every.clone();
        every.extend(level.clone());
        let checks = match view.and_then(|view| check_option(view)) {
            Some(CheckOption::Cascaded) => every.clone(),
            Some(CheckOption::Local) => inner.checks.iter().cloned().chain(level).collect(),
            None => inner.checks.clone(),
        };
        let mut filters = inner.filters.clone();
        filters.extend(own);
        Ok(Ok(Updatable { table: inner.table.clone(), columns, filters, checks, every }))
    }
}

const NOT_ONE: &str =
    "Views that do not select from a single table or view are not automatically updatable.";

#[derive(Clone, Copy, PartialEq, Eq)]
enum CheckOption {
    Local,
    Cascaded,
}

/// `WITH CHECK OPTION` of a view.
fn check_option(view: &Relation) -> Option<CheckOption> {
    view.options.iter().find_map(|option| match option.as_str() {
        "check_option=local" => Some(CheckOption::Local),
        "check_option=cascaded" => Some(CheckOption::Cascaded),
        _ => None,
    })
}

/// Why a query cannot be changed through, but for what it reads.
fn reason(query: &Query) -> Option<&'static str> {
    let has_set = query.targets.iter().any(|target| !target.hidden && returns_set(&target.expr));
    Some(if !matches!(query.distinct, Distinct::No) {
        "Views containing DISTINCT are not automatically updatable."
    } else if query.grouped && !query.grouping_sets.is_empty() {
        "Views containing GROUP BY are not automatically updatable."
    } else if query.having.is_some() {
        "Views containing HAVING are not automatically updatable."
    } else if query.set_operation.is_some() {
        "Views containing UNION, INTERSECT, or EXCEPT are not automatically updatable."
    } else if !query.ctes.is_empty() {
        "Views containing WITH are not automatically updatable."
    } else if query.limit.is_some() || query.offset.is_some() {
        "Views containing LIMIT or OFFSET are not automatically updatable."
    } else if query.grouped {
        "Views that return aggregate functions are not automatically updatable."
    } else if !query.windows.is_empty() {
        "Views that return window functions are not automatically updatable."
    } else if has_set {
        "Views that return set-returning functions are not automatically updatable."
    } else {
        return None;
    })
}

fn returns_set(expr: &Expr) -> bool {
    let mut found = false;
    visit_expr(expr, 0, &mut |expr, depth| {
        found |= depth == 0 && matches!(expr, Expr::Call(call) if call.returns_set);
        true
    });
    found
}

/// A table as a view of all its columns.
fn plain(table: &Arc<Relation>) -> Updatable {
    let columns = table
        .columns
        .iter()
        .map(|column| ViewColumn {
            name: column.name.clone(),
            expr: Expr::Column { entry: 0, column: column.number, levels_up: 0, ty: column.ty },
            base: Some(column.number),
            default: None,
        })
        .collect();
    Updatable {
        table: table.clone(),
        columns,
        filters: Vec::new(),
        checks: Vec::new(),
        every: Vec::new(),
    }
}

fn view_column(
    target: &Target,
    entry: usize,
    inner: &Updatable,
    named: Option<&aegis_catalog::Column>,
) -> ViewColumn {
    let below = match &target.expr {
        Expr::Column { entry: of, column, levels_up: 0, .. } if *of == entry => {
            usize::try_from(*column).ok().and_then(|at| inner.columns.get(at.checked_sub(1)?))
        }
        _ => None,
    };
    ViewColumn {
        name: named.map_or_else(|| target.name.clone(), |column| column.name.clone()),
        expr: through(&target.expr, entry, inner),
        base: below.and_then(|column| column.base),
        default: named
            .and_then(|column| column.default.clone())
            .or_else(|| below.and_then(|column| column.default.clone())),
    }
}

/// An expression over what a view reads as one over the table below.
fn through(expr: &Expr, entry: usize, inner: &Updatable) -> Expr {
    if let Expr::Column { entry: of, column, levels_up: 0, ty } = expr
        && *of == entry
    {
        let below =
            usize::try_from(*column).ok().and_then(|at| inner.columns.get(at.checked_sub(1)?));
        return match below {
            Some(below) => below.expr.clone(),
            None => Expr::Column { entry: 0, column: *column, levels_up: 0, ty: *ty },
        };
    }
    let mut expr = expr.clone();
    children_mut(&mut expr, &mut |child| *child = through(child, entry, inner));
    expr
}

/// An expression over entry 0 as one over another entry.
fn over(expr: &Expr, entry: usize) -> Expr {
    let mut expr = expr.clone();
    if let Expr::Column { entry: of, levels_up: 0, .. } = &mut expr {
        *of = entry;
        return expr;
    }
    children_mut(&mut expr, &mut |child| *child = over(child, entry));
    expr
}

/// 55000 for a view that cannot be changed through.
fn not_updatable(view: &Relation, verb: &str, reason: &str) -> SqlError {
    let (does, doing, event) = match verb {
        "INSERT" => ("insert into", "inserting into", "INSERT"),
        "UPDATE" => ("update", "updating", "UPDATE"),
        _ => ("delete from", "deleting from", "DELETE"),
    };
    SqlError::new(
        SqlState::ObjectNotInPrerequisiteState,
        format!("cannot {does} view \"{}\"", view.name),
    )
    .detail(reason.to_owned())
    .hint(format!(
        "To enable {doing} the view, provide an INSTEAD OF {event} trigger or an unconditional ON \
         {event} DO INSTEAD rule."
    ))
}
