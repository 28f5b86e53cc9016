//! Definitions: CREATE, ALTER, DROP, COMMENT, TRUNCATE and what goes with them.
//!
//! A definition changes descriptors in the transaction's own successor of the catalog and in the
//! catalog's tree, so that it commits, rolls back and replicates like any write. The relation is
//! locked first, then the newest catalog is looked at, then the change is made.

use std::sync::Arc;
use std::time::Duration;

use aegis_catalog::{Descriptor, DescriptorKey, store};
use aegis_storage::{Store, Transaction};
use aegis_types::{Oid, SqlError, SqlResult};

use crate::ast::Statement;
use crate::counters::Counters;
use crate::dml::RowIds;
use crate::query_engine::{QueryEngine, StatementContext};

/// Everything that a definition works with.
pub struct Ddl<'a> {
    /// The transaction that writes.
    pub txn: &'a mut Transaction,
    /// The statement's view and settings; its catalog is replaced as descriptors change.
    pub context: StatementContext,
    /// Where tree ids come from.
    pub store: &'a Store,
    /// Who plans the scans of index builds and checks.
    pub engine: &'a dyn QueryEngine,
    /// Hidden row ids.
    pub row_ids: &'a RowIds,
    /// Sequences and OIDs.
    pub counters: &'a Counters,
    /// The schemas of `search_path` that exist; new objects go into the first.
    pub search_path: Vec<Oid>,
    /// The current role.
    pub role: Oid,
    /// `lock_timeout`
    pub lock_timeout: Option<Duration>,
    /// What the client is to be told beside the tag.
    pub notices: Vec<Notice>,
    /// What has changed, for the session to see it until the commit is published.
    pub changes: Vec<DdlChange>,
}

/// A NOTICE or WARNING.
#[derive(Clone, Debug)]
pub struct Notice {
    /// `NOTICE`, `WARNING`, `INFO`
    pub severity: &'static str,
    /// The other fields, as an error carries them.
    pub fields: SqlError,
}

/// A change of the catalog.
#[derive(Clone, Debug)]
pub enum DdlChange {
    /// A descriptor is new or different.
    Put(Descriptor),
    /// A descriptor is gone.
    Delete(DescriptorKey),
}

impl Ddl<'_> {
    /// Adds or replaces a descriptor.
    ///
    /// # Errors
    /// What storage raises.
    pub fn put(&mut self, descriptor: Descriptor) -> SqlResult<()> {
        store::put(self.txn, &descriptor)?;
        self.context.catalog = Arc::new((*self.context.catalog).clone().with(&descriptor));
        self.changes.push(DdlChange::Put(descriptor));
        Ok(())
    }

    /// Removes a descriptor.
    ///
    /// # Errors
    /// What storage raises.
    pub fn delete(&mut self, key: DescriptorKey) -> SqlResult<()> {
        store::delete(self.txn, key)?;
        self.context.catalog = Arc::new((*self.context.catalog).clone().without(key));
        self.changes.push(DdlChange::Delete(key));
        Ok(())
    }

    /// Runs a definition and gives its command tag.
    ///
    /// # Errors
    /// Whatever the statement raises; 0A000 for one that is not there.
    pub async fn run(&mut self, statement: &Statement, source: &str) -> SqlResult<String> {
        let _ = source;
        Err(SqlError::unsupported(format!("{statement:?}")))
    }
}
