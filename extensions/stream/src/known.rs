//! Streams and the engine's own tables, made ready to be read and written.

use std::collections::HashMap;
use std::sync::Arc;

use aegis_catalog::access::{Kind, Privilege};
use aegis_catalog::{CatalogSnapshot, IndexBody, Relation, TableBody};
use aegis_sql::ddl::denied;
use aegis_sql::dml::TableAccess;
use aegis_sql::engine::{EngineCall, SCHEMA, invalid};
use aegis_sql::query_engine::StatementContext;
use aegis_storage::{Counter, TreeId, Trees};
use aegis_types::{Oid, SqlError, SqlResult, SqlState};
use parking_lot::Mutex;

use crate::ENGINE;
use crate::settings::Settings;
use crate::version::Counts;

/// Places in a row of a stream.
pub(crate) mod column {
    pub(crate) const PARTITION: usize = 0;
    pub(crate) const OFFSET: usize = 1;
    pub(crate) const KEY: usize = 2;
    pub(crate) const PAYLOAD: usize = 3;
    pub(crate) const HEADERS: usize = 4;
    pub(crate) const PUBLISHED_AT: usize = 5;
    pub(crate) const ID: usize = 6;
    pub(crate) const EXPIRES_AT: usize = 7;
    pub(crate) const COUNT: usize = 8;
}

/// A stream.
pub(crate) struct Stream {
    pub(crate) table: TableAccess,
    pub(crate) settings: Settings,
    /// Where its messages are read.
    pub(crate) trees: Trees,
    /// Where those of a key are found.
    pub(crate) keys: Trees,
    /// What was counted of them.
    pub(crate) counts: Counts,
    counters: TreeId,
}

/// The engine's tables in a database.
pub(crate) struct Own {
    pub(crate) groups: TableAccess,
    pub(crate) cursors: TableAccess,
    pub(crate) pending: TableAccess,
    pub(crate) consumers: TableAccess,
    pub(crate) ids: TableAccess,
    pub(crate) delayed: TableAccess,
}

/// What was asked for last, under one catalog.
#[derive(Default)]
struct Under {
    catalog: Option<Arc<CatalogSnapshot>>,
    streams: HashMap<Oid, Arc<Stream>>,
    own: HashMap<Oid, Arc<Own>>,
}

/// What was made ready.
#[derive(Default)]
pub(crate) struct Known(Mutex<Under>);

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Known").finish_non_exhaustive()
    }
}

/// Whether a relation is a stream.
pub(crate) fn is_stream(relation: &Relation) -> bool {
    let managed = relation.as_table().and_then(|table| table.managed.as_ref());
    managed.is_some_and(|managed| managed.engine == ENGINE)
}

/// The channel that is woken by the messages of a stream with this name.
pub(crate) fn channel(name: &str) -> String {
    let mut channel = format!("stream/{name}");
    // As LISTEN cuts it.
    let end = (0..=63).rev().find(|at| channel.is_char_boundary(*at)).unwrap_or(0);
    channel.truncate(end);
    channel
}

/// 42809
pub(crate) fn no_stream(name: &str) -> SqlError {
    SqlError::new(SqlState::WrongObjectType, format!("\"{name}\" is not a stream"))
}

impl Known {
    fn under<T>(
        &self,
        context: &StatementContext,
        find: impl FnOnce(&mut Under) -> SqlResult<T>,
    ) -> SqlResult<T> {
        let mut under = self.0.lock();
        let is_current =
            under.catalog.as_ref().is_some_and(|catalog| Arc::ptr_eq(catalog, &context.catalog));
        if !is_current {
            *under = Under { catalog: Some(context.catalog.clone()), ..Under::default() };
        }
        find(&mut under)
    }

    /// The stream that a relation is. Errors: 42P01, 42809.
    pub(crate) fn stream(&self, context: &StatementContext, oid: Oid) -> SqlResult<Arc<Stream>> {
        self.under(context, |under| {
            if let Some(stream) = under.streams.get(&oid) {
                return Ok(stream.clone());
            }
            let relation = context.catalog.relation(oid).ok_or_else(|| {
                SqlError::new(
                    SqlState::UndefinedTable,
                    format!("stream with OID {oid} does not exist"),
                )
            })?;
            if !is_stream(relation) {
                return Err(no_stream(&relation.name));
            }
            let stream = Arc::new(Stream::new(relation, context)?);
            under.streams.insert(oid, stream.clone());
            Ok(stream)
        })
    }

    /// The engine's tables.
    pub(crate) fn own(&self, context: &StatementContext) -> SqlResult<Arc<Own>> {
        self.under(context, |under| {
            if let Some(own) = under.own.get(&context.database) {
                return Ok(own.clone());
            }
            let own = Arc::new(Own::new(context)?);
            under.own.insert(context.database, own.clone());
            Ok(own)
        })
    }

    /// The stream of a call's first argument, which the role must have a privilege on.
    pub(crate) fn of_call(
        &self,
        call: &EngineCall<'_>,
        privilege: Privilege,
    ) -> SqlResult<Arc<Stream>> {
        let oid = crate::arguments::relation(call, 0)?;
        let stream = self.stream(call.context, oid)?;
        let access = call.context.catalog.access(call.context.database);
        if access.allows(call.host.role(), Kind::Table, oid, privilege) {
            return Ok(stream);
        }
        Err(denied("stream", &stream.table.relation.name))
    }
}

impl Stream {
    fn new(relation: &Arc<Relation>, context: &StatementContext) -> SqlResult<Self> {
        let table = TableAccess::new(relation, context)?;
        let managed = relation.as_table().and_then(|body| body.managed.as_ref());
        let counters = managed.and_then(|managed| managed.counters);
        let counters = counters.map_or(table.tree, TreeId);
        let trees = relation.as_table().map_or_else(|| table.tree.into(), TableBody::trees);
        let of_key = i16::try_from(column::KEY + 1).unwrap_or_default();
        let keys = table.indexes.iter().find(|index| index.columns == [of_key]);
        let keys = keys.and_then(|index| context.catalog.relation(index.oid)?.as_index());
        let keys = keys.map(IndexBody::trees);
        let keys = keys.ok_or_else(|| SqlError::internal("a stream has no index of keys"))?;
        let settings = Settings::of(relation, &context.eval())?;
        Ok(Self { table, settings, trees, keys, counts: Counts::default(), counters })
    }

    pub(crate) fn oid(&self) -> Oid {
        self.table.relation.oid
    }

    pub(crate) fn name(&self) -> &str {
        &self.table.relation.name
    }

    /// What numbers the messages of a partition.
    pub(crate) fn counter(&self, partition: i32) -> Counter {
        Counter { tree: self.counters, part: u32::try_from(partition).unwrap_or_default() }
    }

    /// The tree in which partitions and keys are locked.
    pub(crate) const fn locks(&self) -> TreeId {
        self.counters
    }

    /// The channel that is woken by its messages.
    pub(crate) fn channel(&self) -> String {
        channel(self.name())
    }

    /// 22023
    pub(crate) fn no_partition(&self) -> SqlError {
        let last = self.settings.partitions - 1;
        invalid(format!("stream \"{}\" has partitions 0 to {last}", self.name()))
    }

    /// Its partitions.
    pub(crate) fn partitions(&self) -> std::ops::Range<i32> {
        0..self.settings.partitions
    }
}

impl Own {
    fn new(context: &StatementContext) -> SqlResult<Self> {
        let catalog = &context.catalog;
        let schema = catalog.schema_named(context.database, SCHEMA);
        let missing =
            |name: &str| SqlError::internal(format!("relation \"{SCHEMA}.{name}\" is missing"));
        let schema = schema.ok_or_else(|| missing("stream_groups"))?;
        let access = |name: &str| {
            let relation = catalog.relation_named(schema, name);
            TableAccess::new(relation.ok_or_else(|| missing(name))?, context)
        };
        Ok(Self {
            groups: access("stream_groups")?,
            cursors: access("stream_cursors")?,
            pending: access("stream_pending")?,
            consumers: access("stream_consumers")?,
            ids: access("stream_ids")?,
            delayed: access("stream_delayed")?,
        })
    }
}
