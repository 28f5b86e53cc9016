//! Event streams in the transactions of tables.
//!
//! ```text
//! INSERT, COPY, stream_publish ─► hook ─► numbered row ─ commit ─► (partition, "offset") ─► SELECT
//!                                            │                                              stream_poll
//!                                            └─ wakes who listens to stream/name
//! ```
//!
//! A stream is a table whose rows are only ever added, and whose "offset" is given when their
//! transaction commits: dense and in commit order in each partition. Reading one is reading a table.
//! What consumer groups remember lies in tables of the schema `aegis`: an acknowledgement is a write
//! like any other, and commits or rolls back with the work that it stands for.

mod acknowledge;
mod arguments;
mod capture;
mod chores;
mod declare;
mod define;
mod group;
mod known;
mod message;
mod poll;
mod publish;
mod read;
mod retention;
mod settings;
mod version;

use std::sync::Arc;

use aegis_catalog::IndexBody;
use aegis_catalog::engine::Declaration;
use aegis_sql::ast::EngineStmt;
use aegis_sql::ddl::Ddl;
use aegis_sql::dml::{Changes, TableAccess};
use aegis_sql::engine::{Engine, EngineCall, ManagedTable, RowHook, TableChange};
use aegis_sql::parser::GrammarExtension;
use aegis_types::functions::Values;
use aegis_types::{Datum, Oid, SqlError, SqlResult};
use async_trait::async_trait;

use known::{Known, column};

/// The name under which its relations are known.
pub(crate) const ENGINE: &str = "stream";

/// The engine of event streams.
#[derive(Debug)]
pub struct Streams {
    known: Arc<Known>,
    hook: publish::Hook,
}

impl Default for Streams {
    fn default() -> Self {
        let known = Arc::<Known>::default();
        Self { hook: publish::Hook(known.clone()), known }
    }
}

#[async_trait]
impl Engine for Streams {
    fn name(&self) -> &'static str {
        ENGINE
    }

    fn first_function(&self) -> Oid {
        Oid(9600)
    }

    fn functions(&self) -> &'static [Declaration] {
        declare::FUNCTIONS
    }

    fn script(&self) -> &'static [&'static str] {
        declare::SCRIPT
    }

    fn tables(&self) -> &'static [ManagedTable] {
        &[]
    }

    fn grammar(&self) -> Option<&dyn GrammarExtension> {
        Some(&define::Grammar)
    }

    async fn define(&self, ddl: &mut Ddl<'_>, statement: &EngineStmt) -> SqlResult<()> {
        define::define(&self.known, ddl, statement).await
    }

    async fn capture(
        &self,
        changes: &mut Changes<'_>,
        object: Oid,
        table: &TableAccess,
        change: TableChange<'_>,
    ) -> SqlResult<()> {
        // A stream that has gone with its schema or its owner captures no more.
        if changes.context.catalog.relation(object).is_none() {
            return Ok(());
        }
        let stream = self.known.stream(changes.context, object)?;
        capture::capture(changes, &stream, table, change).await
    }

    fn needs_index(&self, index: &IndexBody) -> bool {
        // The one that finds the messages of a key.
        let is_key = |column: i16| usize::try_from(column).is_ok_and(|it| it == column::KEY + 1);
        let keys = &index.keys;
        keys.len() == 1 && is_key(keys[0].column) && index.predicate.is_some()
    }

    fn hook(&self, _: &str) -> Option<&dyn RowHook> {
        Some(&self.hook)
    }

    fn call(&self, call: &EngineCall<'_>) -> SqlResult<Datum> {
        let known = &self.known;
        match call.name {
            "stream_publish" => publish::one(known, call),
            "stream_publish_batch" => publish::batch(known, call),
            "stream_version" => read::version(known, call),
            "stream_trim" => chores::trim(known, call),
            "stream_create_group" => group::create(known, call),
            "stream_drop_group" => group::drop(known, call),
            "stream_seek" => group::seek(known, call),
            "stream_ack" => acknowledge::acknowledge(known, call),
            "stream_nack" => acknowledge::refuse(known, call),
            "stream_due" => chores::due_rotations(known, call),
            "stream_sweep" => chores::sweep(known, call),
            name => Err(SqlError::internal(format!("no function {name}"))),
        }
    }

    fn rows(&self, call: &EngineCall<'_>) -> SqlResult<Values> {
        let known = &self.known;
        match call.name {
            "stream_read" => read::read(known, call),
            "stream_last" => read::last(known, call),
            "stream_info" => read::info(known, call),
            "streams" => read::streams(call),
            "stream_offsets" => group::offsets(known, call),
            "stream_poll" => poll::poll(known, call),
            "stream_lag" => group::lag(known, call),
            "stream_groups" => group::list(known, call),
            "stream_consumers" => group::consumers(known, call),
            name => Err(SqlError::internal(format!("no function {name}"))),
        }
    }

    fn chores(&self) -> &'static [&'static str] {
        &["SELECT pg_catalog.stream_sweep()", "SELECT pg_catalog.stream_due()"]
    }
}
