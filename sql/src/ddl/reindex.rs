//! `REINDEX`, and the parts of `CREATE INDEX CONCURRENTLY`.
//!
//! ```text
//! begin ── commit ── wait for writers that do not know it ── rows, batch by batch ── finish
//!            │                                                  │ each in a transaction of its own,
//!            ▼                                                  ▼ its rows locked FOR SHARE
//!   writers keep it from here on                      entries of rows as they are now
//! ```
//!
//! A batch leaves out rows that somebody has locked; each of them comes later, alone, with waiting:
//! whoever waits holds nothing that another could wait for.

use std::ops::Bound;
use std::sync::Arc;

use aegis_catalog::{Relation, RelationBody};
use aegis_storage::{
    Block, Direction, Key, KeyRange, RowLockMode, RowLockOutcome, RowLockWait, TableLockMode,
    TreeId,
};
use aegis_types::{Oid, SqlError, SqlResult, SqlState};

use super::Ddl;
use super::name::{missing_relation, wrong_kind};
use crate::ast::{RangeVar, ReindexStmt, ReindexTarget};
use crate::dml::TableAccess;

/// The rows of one batch.
const BATCH_ROWS: usize = 500;

/// What a batch of `CREATE INDEX CONCURRENTLY` leaves to be done.
#[derive(Debug, Default)]
pub struct IndexBatch {
    /// The key behind which the next batch begins; `None` at the end.
    pub next: Option<Vec<u8>>,
    /// The keys of rows that were locked.
    pub busy: Vec<Vec<u8>>,
}

impl Ddl<'_> {
    /// Waits until every writer of an index's table knows the index.
    ///
    /// # Errors
    /// What waiting raises.
    pub async fn wait_for_writers(&mut self, index: Oid) -> SqlResult<()> {
        let table = self.relation(index)?.as_index().map_or(Oid::NONE, |body| body.table);
        self.lock(table, TableLockMode::Share).await
    }

    /// Writes the entries of the rows behind a key.
    ///
    /// # Errors
    /// 23505 for two rows with one key of a unique index.
    pub async fn fill_index_batch(&mut self, index: Oid, after: &[u8]) -> SqlResult<IndexBatch> {
        let access = self.access_of_index(index).await?;
        let lower =
            if after.is_empty() { Bound::Unbounded } else { Bound::Excluded(Key::new(after)) };
        let range = KeyRange { lower, upper: Bound::Unbounded };
        let mut keys: Vec<Vec<u8>> = Vec::with_capacity(BATCH_ROWS);
        let view = self.txn.newest_view()?;
        let mut scan = view.scan(access.tree, range, Direction::Forward)?;
        let mut block = Block::default();
        while keys.len() < BATCH_ROWS && scan.next_block(&mut block)? {
            keys.extend(block.iter().take(BATCH_ROWS - keys.len()).map(|row| row.key.to_vec()));
        }
        drop(scan);
        self.context.cancel.check()?;
        let mut batch = IndexBatch::default();
        if keys.len() == BATCH_ROWS {
            batch.next = keys.last().cloned();
        }
        for key in keys {
            if !self.put_concurrent_entry(&access, index, &key, RowLockWait::SkipLocked).await? {
                batch.busy.push(key);
            }
        }
        Ok(batch)
    }

    /// Writes the entry of one row, waiting for whoever has it locked.
    ///
    /// # Errors
    /// Those of [`Ddl::fill_index_batch`].
    pub async fn fill_index_row(&mut self, index: Oid, key: &[u8]) -> SqlResult<()> {
        let access = self.access_of_index(index).await?;
        let wait = RowLockWait::Wait { timeout: self.lock_timeout };
        self.put_concurrent_entry(&access, index, key, wait).await.map(drop)
    }

    /// Lets plans use an index whose entries are all there.
    ///
    /// # Errors
    /// What storage raises.
    pub async fn finish_concurrent_index(&mut self, index: Oid) -> SqlResult<()> {
        self.access_of_index(index).await?;
        let mut changed = (*self.relation(index)?).clone();
        if let RelationBody::Index(body) = &mut changed.body {
            body.valid = true;
            body.valid_from = self.store.newest_seq().0;
        }
        self.put_relation(changed).map(drop)
    }

    async fn access_of_index(&mut self, index: Oid) -> SqlResult<TableAccess> {
        let gone = || SqlError::new(SqlState::UndefinedObject, "the index was dropped meanwhile");
        let body = self.context.catalog.relation(index).and_then(|found| found.as_index());
        let table = body.map(|body| body.table).ok_or_else(gone)?;
        self.lock(table, TableLockMode::ShareUpdateExclusive).await?;
        let table = self.context.catalog.relation(table).cloned().ok_or_else(gone)?;
        TableAccess::new(&table, &self.context)
    }

    /// False where the row, or its key in a unique index, is locked by somebody else.
    async fn put_concurrent_entry(
        &mut self,
        access: &TableAccess,
        index: Oid,
        key: &[u8],
        wait: RowLockWait,
    ) -> SqlResult<bool> {
        let index = access
            .indexes
            .iter()
            .find(|access| access.oid == index)
            .ok_or_else(|| SqlError::internal("a new index is not on its table"))?;
        let cancel = self.context.cancel.clone();
        let locked = self.txn.lock_row(access.tree, key, RowLockMode::ForShare, wait);
        if matches!(cancel.wait(locked).await?, RowLockOutcome::Skipped) {
            return Ok(false);
        }
        let Some(stored) = self.txn.get_newest(access.tree, key)? else { return Ok(true) };
        let row = access.layout.decode(&stored.value)?;
        let host = self.become_owner(&access.relation);
        let entry = index.encode_key(&row, key, &self.context.evaluation());
        self.context.host = host;
        let Some(entry) = entry? else { return Ok(true) };
        if !entry.is_exclusive() {
            self.txn.put(index.tree, &entry.bytes, &[])?;
            return Ok(true);
        }
        let locked = self.txn.lock_row(index.tree, &entry.bytes, RowLockMode::ForUpdate, wait);
        if matches!(cancel.wait(locked).await?, RowLockOutcome::Skipped) {
            return Ok(false);
        }
        if let Some(holder) = self.txn.get_newest(index.tree, &entry.bytes)?
            && *holder.value != *key
        {
            return Err(access.not_unique(index, &row, &self.context)?);
        }
        self.txn.put(index.tree, &entry.bytes, key)?;
        Ok(true)
    }

    /// `REINDEX`: the entries are written anew.
    pub(super) async fn reindex(&mut self, reindex: &ReindexStmt) -> SqlResult<&'static str> {
        match &reindex.target {
            ReindexTarget::Index(name) => self.reindex_index(name).await?,
            ReindexTarget::Table(name) => {
                let table = self.open(name, TableLockMode::Share).await?;
                self.check_owns(&table)?;
                let Some(body) = table.as_table() else {
                    return Err(wrong_kind(&table, "a table or materialized view"));
                };
                if body.indexes.is_empty() {
                    self.notice(
                        SqlState::SuccessfulCompletion,
                        format!("table \"{}\" has no indexes to reindex", table.name),
                    );
                }
                self.reindex_table(table.oid).await?;
            }
            ReindexTarget::Schema(name) => {
                let schema = self.schema(name)?;
                let tables: Vec<Oid> = self
                    .context
                    .catalog
                    .relations_in(schema)
                    .filter(|relation| relation.as_table().is_some())
                    .map(|relation| relation.oid)
                    .collect();
                self.reindex_tables(tables).await?;
            }
            ReindexTarget::System(name) | ReindexTarget::Database(name) => {
                let database = self.context.catalog.database(self.context.database);
                if database.is_none_or(|database| database.name != *name) {
                    return Err(SqlError::new(
                        SqlState::FeatureNotSupported,
                        "can only reindex the currently open database",
                    ));
                }
                // The system's relations are computed and have no entries.
                if let ReindexTarget::Database(_) = &reindex.target {
                    let tables: Vec<Oid> = self
                        .context
                        .catalog
                        .relations_of(self.context.database)
                        .filter(|relation| relation.as_table().is_some())
                        .map(|relation| relation.oid)
                        .collect();
                    self.reindex_tables(tables).await?;
                }
            }
        }
        Ok("REINDEX")
    }

    async fn reindex_tables(&mut self, tables: Vec<Oid>) -> SqlResult<()> {
        for table in tables {
            self.lock(table, TableLockMode::Share).await?;
            if self.context.catalog.relation(table).is_some() {
                self.reindex_table(table).await?;
            }
        }
        Ok(())
    }

    async fn reindex_table(&mut self, table: Oid) -> SqlResult<()> {
        let table = self.relation(table)?;
        for index in table.as_table().map(|body| body.indexes.clone()).unwrap_or_default() {
            self.write_index_anew(&table, index).await?;
        }
        Ok(())
    }

    async fn reindex_index(&mut self, name: &RangeVar) -> SqlResult<()> {
        let found = self.find(name)?.ok_or_else(|| missing_relation(name))?;
        let Some(table) = found.as_index().map(|body| body.table) else {
            return Err(wrong_kind(&found, "an index"));
        };
        self.lock(table, TableLockMode::Share).await?;
        let index = self.open(name, TableLockMode::AccessExclusive).await?;
        self.check_owns(&index)?;
        let table = self.relation(table)?;
        self.write_index_anew(&table, index.oid).await
    }

    /// Writes the entries of an index anew, into a tree of their own.
    pub(super) async fn write_index_anew(
        &mut self,
        table: &Arc<Relation>,
        index: Oid,
    ) -> SqlResult<()> {
        let relation = self.relation(index)?;
        let Some(body) = relation.as_index().filter(|body| TreeId(body.tree) != TreeId(0)) else {
            return Ok(());
        };
        if !body.valid {
            let mut changed = (*relation).clone();
            if let RelationBody::Index(body) = &mut changed.body {
                body.valid = true;
            }
            self.put_relation(changed)?;
        }
        self.renew_index_tree(index).await?;
        let mut changed = (*self.relation(index)?).clone();
        if let RelationBody::Index(body) = &mut changed.body {
            body.valid_from = self.next_seq();
        }
        self.put_relation(changed)?;
        aegis_storage::at_length(|| self.fill_index(table, index))
    }
}
