//! Definitions in the bodies of functions: `CREATE TABLE` and its like, in the session's transaction.
//!
//! ```text
//! a function's statement ── Ddl ──► catalog of the statement around    the next function sees it
//!                            └────► changes ── end of that statement ──► the session's own catalog
//! ```
//!
//! The statements of one body are analyzed before the first of them runs, as in PostgreSQL: a table
//! that a body makes is known to the next statement of the session, and to functions that are called
//! for the first time.

use std::sync::Arc;

use aegis_catalog::CatalogSnapshot;
use aegis_catalog::snapshot::TEMPORARY_PREFIX;
use aegis_sql::ast::Statement;
use aegis_sql::ddl::{Ddl, DdlChange, Notice};
use aegis_sql::query_engine::StatementContext;
use aegis_storage::Transaction;
use aegis_types::SqlResult;

use super::SessionHost;

/// What functions have defined since the session last took it.
#[derive(Default)]
pub(in crate::session) struct Definitions {
    /// The catalog with all of it.
    catalog: Option<Arc<CatalogSnapshot>>,
    /// Each change, in order.
    pub(in crate::session) changes: Vec<DdlChange>,
    /// What the client is to be told.
    pub(in crate::session) notices: Vec<Notice>,
    /// Whether temporary relations were made.
    pub(in crate::session) uses_temporary: bool,
}

impl SessionHost {
    /// Takes what functions have defined.
    pub(in crate::session) fn take_definitions(&self) -> Definitions {
        std::mem::take(&mut self.definitions.lock())
    }

    /// The catalog of a statement, with what functions that it called have defined.
    pub(super) fn defined_catalog(&self, of: &Arc<CatalogSnapshot>) -> Arc<CatalogSnapshot> {
        self.definitions.lock().catalog.as_ref().unwrap_or(of).clone()
    }

    /// Runs a definition in the session's transaction.
    pub(super) async fn define(
        &self,
        statement: &Statement,
        context: StatementContext,
        txn: &mut Transaction,
    ) -> SqlResult<()> {
        let seen = self.seen();
        let (instance, identity) = (&self.identity.instance, &self.identity);
        let first = seen.settings.search_path().into_iter().next();
        let catalog = self.defined_catalog(&context.catalog);
        let mut ddl = Ddl {
            context: StatementContext { catalog, ..context },
            store: &instance.store,
            engine: &*instance.engine,
            row_ids: &instance.row_ids,
            counters: &instance.counters,
            search_path: seen.search_path.clone(),
            temporary_schema_name: format!("{TEMPORARY_PREFIX}{}", identity.process_id),
            temporary_first: first.is_some_and(|name| name == "pg_temp"),
            uses_temporary: false,
            role: seen.roles.current,
            session_role: seen.roles.session,
            session_settings: seen.settings.clone(),
            lock_timeout: self.running.as_ref().and_then(|running| running.lock_timeout()),
            parameter_types: Vec::new(),
            in_use: identity.portals.lock().relations(),
            notices: Vec::new(),
            changes: Vec::new(),
            txn,
        };
        let result = ddl.run(statement).await;
        let Ddl { context, changes, notices, uses_temporary, .. } = ddl;
        let mut definitions = self.definitions.lock();
        definitions.notices.extend(notices);
        definitions.uses_temporary |= uses_temporary;
        result?;
        definitions.catalog = Some(context.catalog);
        definitions.changes.extend(changes);
        Ok(())
    }
}
