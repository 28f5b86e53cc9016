//! The engine's tables in one database, made ready to be read and written.

use std::collections::HashMap;
use std::sync::Arc;

use aegis_catalog::CatalogSnapshot;
use aegis_catalog::access::Privilege;
use aegis_sql::dml::TableAccess;
use aegis_sql::engine::{EngineCall, SCHEMA, row_key};
use aegis_sql::query_engine::StatementContext;
use aegis_types::{Datum, Oid, SqlError, SqlResult};
use parking_lot::Mutex;

/// Places in a row of `aegis.kv`.
pub(crate) mod kv {
    pub(crate) const NAMESPACE: usize = 0;
    pub(crate) const KEY: usize = 1;
    pub(crate) const VALUE: usize = 2;
    pub(crate) const VERSION: usize = 5;
    pub(crate) const EXPIRES_AT: usize = 6;
    pub(crate) const LEASE: usize = 7;
    pub(crate) const CHANGED_AT: usize = 8;
    pub(crate) const COLUMNS: usize = 9;
}

/// The places of the three columns that hold a value begin here in each table.
pub(crate) const VALUES: usize = 3;

/// The tables of one database.
pub(crate) struct Tables {
    pub(crate) catalog: Arc<CatalogSnapshot>,
    pub(crate) namespaces: TableAccess,
    pub(crate) keys: TableAccess,
    pub(crate) changes: TableAccess,
    pub(crate) history: TableAccess,
    pub(crate) leases: TableAccess,
    pub(crate) sizes: TableAccess,
}

/// The tables of databases that were asked for last.
#[derive(Default)]
pub(crate) struct KnownTables(Mutex<HashMap<Oid, Arc<Tables>>>);

/// So many databases are kept.
const KNOWN_MAX: usize = 64;

impl std::fmt::Debug for KnownTables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KnownTables").finish_non_exhaustive()
    }
}

impl KnownTables {
    /// For reading; none where the database has no keys yet.
    pub(crate) fn to_read(&self, call: &EngineCall<'_>) -> SqlResult<Option<Arc<Tables>>> {
        let Some((catalog, schema)) = call.schema() else { return Ok(None) };
        let tables = self.under(call.context, catalog, schema)?;
        tables.check(call, &[Privilege::SELECT])?;
        Ok(Some(tables))
    }

    /// For writing, with what a role must be allowed to do to `aegis.kv`.
    pub(crate) fn to_write(
        &self,
        call: &EngineCall<'_>,
        privileges: &[Privilege],
    ) -> SqlResult<Arc<Tables>> {
        let (catalog, schema) = call.schema_for_writing()?;
        let tables = self.under(call.context, catalog, schema)?;
        tables.check(call, privileges)?;
        Ok(tables)
    }

    /// Those of the database that a statement runs in, under its catalog.
    pub(crate) fn of(&self, context: &StatementContext) -> SqlResult<Arc<Tables>> {
        let schema = context.catalog.schema_named(context.database, SCHEMA);
        let schema =
            schema.ok_or_else(|| SqlError::internal("the schema of engines is missing"))?;
        self.under(context, context.catalog.clone(), schema)
    }

    fn under(
        &self,
        context: &StatementContext,
        catalog: Arc<CatalogSnapshot>,
        schema: Oid,
    ) -> SqlResult<Arc<Tables>> {
        let database = context.database;
        let mut known = self.0.lock();
        if let Some(tables) = known.get(&database)
            && Arc::ptr_eq(&tables.catalog, &catalog)
        {
            return Ok(tables.clone());
        }
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        let tables = Arc::new(Tables::new(context, catalog, schema)?);
        known.insert(database, tables.clone());
        Ok(tables)
    }
}

impl Tables {
    fn new(
        context: &StatementContext,
        catalog: Arc<CatalogSnapshot>,
        schema: Oid,
    ) -> SqlResult<Self> {
        let context = StatementContext { catalog: catalog.clone(), ..context.clone() };
        let access = |name: &str| {
            let relation = catalog.relation_named(schema, name);
            let relation = relation.ok_or_else(|| {
                SqlError::internal(format!("relation \"{SCHEMA}.{name}\" is missing"))
            })?;
            TableAccess::new(relation, &context)
        };
        Ok(Self {
            namespaces: access("kv_namespaces")?,
            keys: access("kv")?,
            changes: access("kv_changes")?,
            history: access("kv_history")?,
            leases: access("kv_leases")?,
            sizes: access("kv_sizes")?,
            catalog,
        })
    }

    fn check(&self, call: &EngineCall<'_>, privileges: &[Privilege]) -> SqlResult<()> {
        privileges.iter().try_for_each(|privilege| {
            call.check_privilege(&self.catalog, &self.keys.relation, *privilege)
        })
    }
}

/// The row key of a key.
pub(crate) fn key_of(namespace: &str, name: &str) -> SqlResult<Vec<u8>> {
    row_key(&[Datum::text(namespace), Datum::text(name)])
}
