//! Key-values in the transactions of tables.
//!
//! ```text
//! kv_put, kv_incr, … ─┐                         ┌─► aegis.kv_changes  (kv_watch)
//!                     ├─► rows of aegis.kv ─ hook ─► aegis.kv_history  (kv_history)
//! INSERT, UPDATE, …  ─┘                         └─► who listens to kv/namespace
//! ```
//!
//! A key is a row of `aegis.kv`, and whoever writes that row goes through the same [`hook`]: versions,
//! changes and history are right whether a function or a statement wrote. A row whose time has come is
//! seen by nobody, and [`sweep`] removes it.

mod arguments;
mod declare;
mod hook;
mod lease;
mod namespace;
mod read;
mod sweep;
mod tables;
mod value;
mod watch;
mod write;

use std::sync::Arc;

use aegis_catalog::engine::Declaration;
use aegis_sql::engine::{Engine, EngineCall, ManagedTable, RowHook};
use aegis_types::functions::Values;
use aegis_types::{Datum, Oid, SqlError, SqlResult};

use tables::KnownTables;

/// The engine of key-values.
#[derive(Debug)]
pub struct KeyValues {
    known: Arc<KnownTables>,
    keys: hook::Keys,
    namespaces: hook::Namespaces,
}

impl Default for KeyValues {
    fn default() -> Self {
        let known = Arc::<KnownTables>::default();
        let namespaces = hook::Namespaces(known.clone());
        Self { keys: hook::Keys(known.clone()), namespaces, known }
    }
}

impl Engine for KeyValues {
    fn name(&self) -> &'static str {
        "kv"
    }

    fn first_function(&self) -> Oid {
        Oid(9500)
    }

    fn functions(&self) -> &'static [Declaration] {
        declare::FUNCTIONS
    }

    fn script(&self) -> &'static [&'static str] {
        declare::SCRIPT
    }

    fn tables(&self) -> &'static [ManagedTable] {
        declare::TABLES
    }

    fn hook(&self, table: &str) -> Option<&dyn RowHook> {
        match table {
            "kv" => Some(&self.keys),
            "kv_changes" | "kv_history" | "kv_sizes" => Some(&hook::Recorded),
            "kv_namespaces" => Some(&self.namespaces),
            "kv_leases" => Some(&hook::Leases),
            _ => None,
        }
    }

    fn table_of_channel(&self, channel: &str) -> Option<&'static str> {
        // It tells keys.
        channel.starts_with("kv/").then_some("kv")
    }

    fn call(&self, call: &EngineCall<'_>) -> SqlResult<Datum> {
        let known = &self.known;
        match call.name {
            "kv_get" | "kv_get_jsonb" | "kv_get_bytea" => read::get(known, call),
            "kv_exists" => read::exists(known, call),
            "kv_version" => read::version(known, call),
            "kv_ttl" => read::ttl(known, call),
            "kv_count" => read::count(known, call),
            "kv_put" => write::put(known, call),
            "kv_delete" => write::delete(known, call),
            "kv_cas" => write::compare_and_set(known, call),
            "kv_incr" => write::increment(known, call),
            "kv_mput" => write::put_many(known, call),
            "kv_expire" => write::expire(known, call),
            "kv_persist" => write::persist(known, call),
            "kv_create_namespace" => namespace::create(known, call),
            "kv_alter_namespace" => namespace::alter(known, call),
            "kv_drop_namespace" => namespace::drop(known, call),
            "kv_revision" => watch::revision(known, call),
            "kv_lease_grant" => lease::grant(known, call),
            "kv_lease_keep_alive" => lease::keep_alive(known, call),
            "kv_lease_revoke" => lease::revoke(known, call),
            "kv_sweep" => sweep::sweep(known, call),
            name => Err(SqlError::internal(format!("no function {name}"))),
        }
    }

    fn rows(&self, call: &EngineCall<'_>) -> SqlResult<Values> {
        let known = &self.known;
        match call.name {
            "kv_entry" => read::entry(known, call),
            "kv_scan" => read::scan(known, call),
            "kv_mget" => read::get_many(known, call),
            "kv_history" => read::history(known, call),
            "kv_watch" => watch::watch(known, call),
            "kv_namespaces" => namespace::list(known, call),
            "kv_leases" => lease::list(known, call),
            name => Err(SqlError::internal(format!("no function {name}"))),
        }
    }

    fn chores(&self) -> &'static [&'static str] {
        &["SELECT pg_catalog.kv_sweep()"]
    }
}
