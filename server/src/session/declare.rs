//! Cursors in SQL: DECLARE, FETCH, MOVE, CLOSE, and which row `WHERE CURRENT OF` means.

use std::sync::Arc;

use aegis_sql::ast::{DeclareCursorStmt, FetchStmt, SelectBody, Statement};
use aegis_sql::bound::{BoundStatement, Delete, Distinct, Expr, JoinTree, Query, RteKind, Update};
use aegis_sql::ddl::is_volatile;
use aegis_sql::dml::{locked_rows, with_current_row};
use aegis_sql::query_engine::StatementContext;
use aegis_types::{Datum, Oid, SqlError, SqlResult, SqlState, TypeRef, type_oid};

use super::bound_relations::locks_of;
use super::cursor::{Cursor, Fetched, Movement, Rerun, RowKeys, SharedCursor, new_spool};
use super::portal::{
    Declared, Format, Formats, OpenPortal, Portal, PortalState, PortalTag, cannot_run,
};
use super::{Outcome, Prepared, ResultColumn, Session};

impl Session {
    /// What DECLARE's query is analyzed as: a statement of its own, which may have parameters.
    ///
    /// # Errors
    /// 42P11 for options that exclude each other, 42601 for INTO; whatever analysis raises.
    pub(super) fn analyze_declared(
        &mut self,
        declare: &DeclareCursorStmt,
        source: Arc<str>,
        parameter_types: Option<&[Oid]>,
    ) -> SqlResult<Prepared> {
        let options = declare.options;
        if options.scroll && options.no_scroll {
            return Err(definition_error("cannot specify both SCROLL and NO SCROLL"));
        }
        if options.asensitive && options.insensitive {
            return Err(definition_error("cannot specify both ASENSITIVE and INSENSITIVE"));
        }
        let mut select = &declare.query;
        while let SelectBody::SetOperation(operation) = &select.body {
            select = &operation.left;
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
        let query = Statement::Select(Box::new(declare.query.clone()));
        let prepared = self.analyze_as_prepared(Some(Arc::new(query)), source, parameter_types)?;
        let is_locking = prepared.query().is_some_and(|query| !query.row_marks.is_empty());
        if is_locking && options.hold {
            let message = "DECLARE CURSOR WITH HOLD ... FOR UPDATE is not supported";
            return Err(SqlError::new(SqlState::FeatureNotSupported, message)
                .detail("Holdable cursors must be READ ONLY."));
        }
        if is_locking && options.scroll {
            let message = "DECLARE SCROLL CURSOR ... FOR UPDATE is not supported";
            return Err(SqlError::new(SqlState::FeatureNotSupported, message)
                .detail("Scrollable cursors must be READ ONLY."));
        }
        if is_locking && options.insensitive {
            let message = "DECLARE INSENSITIVE CURSOR ... FOR UPDATE is not valid";
            return Err(definition_error(message).detail("Insensitive cursors must be READ ONLY."));
        }
        Ok(prepared)
    }

    /// `DECLARE`
    pub(super) async fn declare_cursor(
        &mut self,
        declare: &DeclareCursorStmt,
        outer: &Prepared,
        parameters: Vec<Datum>,
    ) -> SqlResult<Outcome> {
        let name = declare.name.as_str();
        if name.is_empty() {
            return Err(SqlError::new(
                SqlState::InvalidCursorName,
                "invalid cursor name: must not be empty",
            ));
        }
        let types: Vec<Oid> = outer.parameter_types.iter().map(|ty| ty.oid).collect();
        let prepared = self.analyze_declared(declare, outer.source.clone(), Some(&types))?;
        if !declare.options.hold && !self.in_block() {
            return Err(SqlError::new(
                SqlState::NoActiveSqlTransaction,
                "DECLARE CURSOR can only be used in transaction blocks",
            ));
        }
        if self.has_portal(name) {
            return Err(SqlError::new(
                SqlState::DuplicateCursor,
                format!("cursor \"{name}\" already exists"),
            ));
        }
        let statement =
            prepared.statement.clone().ok_or_else(|| SqlError::internal("a cursor has a query"))?;
        let known: Vec<Option<Oid>> = types.into_iter().map(Some).collect();
        let (analyzed, catalog) = self.settled_analysis(&prepared, &statement, &known).await?;
        let BoundStatement::Query(query) = &analyzed.statement else {
            return Err(SqlError::internal("a query was analyzed into something else"));
        };
        let context = self.statement_context(catalog, parameters.into()).await?;
        let context = StatementContext { may_stop: true, ..context };
        let flag = context.cancel.clone();
        let (cursor, scrollable) = self.open_cursor(declare, query, context)?;
        let declared =
            Declared { hold: declare.options.hold, binary: declare.options.binary, scrollable };
        let format = if declared.binary { Format::Binary } else { Format::Text };
        let open = OpenPortal { cursor, flag, tag: PortalTag::Counted("SELECT"), ended: true };
        let mut portal = Portal::ready(
            Arc::new(prepared),
            Formats::All(format),
            Vec::new(),
            self.statement_timestamp,
        );
        portal.state = PortalState::Open(open);
        portal.relations = locks_of(&analyzed.statement).keys().map(|oid| Oid(*oid)).collect();
        portal.declared = Some(declared);
        self.put_new_portal(name, portal);
        Ok(Outcome::Done("DECLARE CURSOR".to_owned()))
    }

    /// Starts the query of a cursor; and whether it can go back.
    fn open_cursor(
        &mut self,
        declare: &DeclareCursorStmt,
        query: &Arc<Query>,
        context: StatementContext,
    ) -> SqlResult<(SharedCursor, bool)> {
        let flag = context.cancel.clone();
        let mut types: Vec<TypeRef> =
            query.visible_targets().map(|target| target.expr.ty()).collect();
        let width = types.len();
        self.refuse_locks_in_read_only(query)?;
        if !query.row_marks.is_empty() {
            let (rows, relations) = locked_rows(query, context)?;
            let keys = RowKeys { first: width, relations, locking: true };
            return Ok((Cursor::new(rows, flag, types, Movement::NoScroll, keys).shared(), false));
        }
        let (query, relation) = with_current_row(query);
        types.extend(relation.map(|_| TypeRef::plain(type_oid::BYTEA)));
        let plan = self.instance.engine.plan(&query, &context)?;
        let rows = plan.clone().execute(context.clone())?;
        let options = declare.options;
        let scrollable = options.scroll || (!options.no_scroll && scans_backward(&query));
        let movement = if !scrollable {
            Movement::NoScroll
        } else if !options.scroll && runs_alike(&query) {
            Movement::MayScroll(Rerun { plan, context })
        } else {
            Movement::Scroll(new_spool(types.clone(), &context))
        };
        let relations = relation.into_iter().collect();
        let keys = RowKeys { first: width, relations, locking: false };
        Ok((Cursor::new(rows, flag, types, movement, keys).shared(), scrollable))
    }

    /// `FETCH` and `MOVE`
    pub(super) async fn fetch(&mut self, fetch: &FetchStmt) -> SqlResult<Outcome> {
        let name = fetch.portal_name.as_str();
        let mut portal = self.take_portal(name).ok_or_else(|| no_such_cursor(name))?;
        let started = Box::pin(self.start_portal(&mut portal)).await;
        let columns = portal.prepared.columns.clone().unwrap_or_default();
        let cursor = match &portal.state {
            PortalState::Open(open) => Some(Arc::clone(&open.cursor)),
            PortalState::Ready(_) | PortalState::Done | PortalState::Failed => None,
        };
        self.put_portal(name, portal);
        started?;
        let cursor = cursor.ok_or_else(|| cannot_run(name))?;
        let mut guard = cursor.lock().await;
        if guard.has_failed() {
            return Err(cannot_run(name));
        }
        self.cancel.carry(guard.flag());
        let step = guard.approach(fetch.direction, fetch.how_many, fetch.is_move).await?;
        if fetch.is_move {
            let rows = match step {
                Ok(step) => guard.walk(step).await?,
                Err(rows) => rows,
            };
            return Ok(Outcome::Done(format!("MOVE {rows}")));
        }
        drop(guard);
        let step = step.map_err(|_| SqlError::internal("only a MOVE is over without a step"))?;
        Ok(Outcome::Rows { tag: "FETCH", columns, rows: Box::new(Fetched::new(cursor, step)) })
    }

    /// The columns that FETCH gives, for Describe.
    pub(super) fn fetched_columns(&self, fetch: &FetchStmt) -> Option<Arc<[ResultColumn]>> {
        if fetch.is_move {
            return None;
        }
        self.described_portal(&fetch.portal_name)?.0.columns.clone()
    }

    /// The formats in which the simple protocol sends what a statement returns.
    #[must_use]
    pub(crate) fn simple_formats(&self, statement: Option<&Statement>) -> Formats {
        match statement {
            Some(Statement::Fetch(fetch)) => {
                let portals = self.portals.lock();
                let portal = portals.get(&fetch.portal_name);
                let declared = portal.and_then(|portal| portal.declared);
                let binary = declared.is_some_and(|declared| declared.binary);
                Formats::All(if binary { Format::Binary } else { Format::Text })
            }
            _ => Formats::TEXT,
        }
    }

    /// `CLOSE`; without a name, of all.
    pub(super) async fn close_cursor(&mut self, name: Option<&str>) -> SqlResult<Outcome> {
        let Some(name) = name else {
            self.drop_portals();
            return Ok(Outcome::Done("CLOSE CURSOR ALL".to_owned()));
        };
        if !self.has_portal(name) {
            return Err(no_such_cursor(name));
        }
        self.drop_portal(name).await?;
        Ok(Outcome::Done("CLOSE CURSOR".to_owned()))
    }

    /// An UPDATE of the row that a cursor stands on.
    pub(super) async fn update_at(
        &self,
        update: &Arc<Update>,
        context: &StatementContext,
    ) -> SqlResult<Arc<Update>> {
        let Some(cursor) = &update.current_of else {
            return Ok(Arc::clone(update));
        };
        let key = self.current_row(cursor, update.table.oid, &update.table.name).await?;
        let mut update = (**update).clone();
        context.at_current_row(&mut update.source, update.entry, &update.table, &key)?;
        Ok(Arc::new(update))
    }

    /// A DELETE of the row that a cursor stands on.
    pub(super) async fn delete_at(
        &self,
        delete: &Arc<Delete>,
        context: &StatementContext,
    ) -> SqlResult<Arc<Delete>> {
        let Some(cursor) = &delete.current_of else {
            return Ok(Arc::clone(delete));
        };
        let key = self.current_row(cursor, delete.table.oid, &delete.table.name).await?;
        let mut delete = (**delete).clone();
        context.at_current_row(&mut delete.source, delete.entry, &delete.table, &key)?;
        Ok(Arc::new(delete))
    }

    /// The key of the row that a cursor stands on.
    async fn current_row(&self, name: &str, relation: Oid, table: &str) -> SqlResult<Arc<[u8]>> {
        let cursor = {
            let portals = self.portals.lock();
            let portal = portals.get(name).ok_or_else(|| no_such_cursor(name))?;
            if portal.held {
                return Err(cursor_state(format!(
                    "cursor \"{name}\" is held from a previous transaction"
                )));
            }
            match &portal.state {
                PortalState::Open(open) => Some(Arc::clone(&open.cursor)),
                PortalState::Ready(_) => None,
                PortalState::Done | PortalState::Failed => {
                    return Err(cursor_state(format!("cursor \"{name}\" is not a SELECT query")));
                }
            }
        };
        let not_simple = || {
            cursor_state(format!(
                "cursor \"{name}\" is not a simply updatable scan of table \"{table}\""
            ))
        };
        let cursor = cursor.ok_or_else(not_simple)?;
        let cursor = cursor.lock().await;
        match (cursor.references_to(relation), cursor.is_locking()) {
            (1, _) => {}
            (0, true) => {
                return Err(cursor_state(format!(
                    "cursor \"{name}\" does not have a FOR UPDATE/SHARE reference to table \"{table}\""
                )));
            }
            (_, true) => {
                return Err(cursor_state(format!(
                    "cursor \"{name}\" has multiple FOR UPDATE/SHARE references to table \"{table}\""
                )));
            }
            (_, false) => return Err(not_simple()),
        }
        match cursor.current_key(relation) {
            Some(Datum::Bytea(key)) if cursor.is_on_row() => Ok(key[..].into()),
            _ => Err(cursor_state(format!("cursor \"{name}\" is not positioned on a row"))),
        }
    }
}

impl Prepared {
    /// The query that it is, if it is one.
    fn query(&self) -> Option<&Arc<Query>> {
        match &self.analyzed.as_ref()?.statement {
            BoundStatement::Query(query) => Some(query),
            _ => None,
        }
    }
}

/// 34000
fn no_such_cursor(name: &str) -> SqlError {
    SqlError::new(SqlState::InvalidCursorName, format!("cursor \"{name}\" does not exist"))
}

/// 24000
fn cursor_state(message: String) -> SqlError {
    SqlError::new(SqlState::InvalidCursorState, message)
}

/// 42P11
fn definition_error(message: &str) -> SqlError {
    SqlError::new(SqlState::InvalidCursorDefinition, message)
}

/// Whether PostgreSQL's plan of a query can usually run backward (`ExecSupportsBackwardScan`): what
/// reads one relation, and what is sorted at the end.
fn scans_backward(query: &Query) -> bool {
    if !matches!(query.distinct, Distinct::No)
        || !query.windows.is_empty()
        || query.has_set_functions
        || query.set_operation.is_some()
    {
        return false;
    }
    if !query.order_by.is_empty() {
        return true;
    }
    if query.grouped {
        return false;
    }
    match &query.from[..] {
        [JoinTree::Entry(entry)] => match &query.range_table[*entry].kind {
            RteKind::Subquery(subquery) => scans_backward(subquery),
            _ => true,
        },
        _ => false,
    }
}

/// Whether a query gives the same rows in the same order when it runs again over the same snapshot:
/// it reads one table, and nothing in it is volatile.
fn runs_alike(query: &Query) -> bool {
    let reads_table = matches!(&query.range_table[..], [entry]
        if matches!(&entry.kind, RteKind::Relation(relation) if relation.as_table().is_some()));
    let stable = |expr: &Expr| !is_volatile(expr) && !matches!(expr, Expr::Subquery(_));
    reads_table
        && query.ctes.is_empty()
        && query.targets.iter().all(|target| stable(&target.expr))
        && query.filter.iter().chain(&query.limit).chain(&query.offset).all(stable)
}
