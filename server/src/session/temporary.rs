//! A session's temporary relations: where they are, and their end.

use std::sync::Arc;

use aegis_catalog::snapshot::TEMPORARY_PREFIX;
use aegis_catalog::{CatalogSnapshot, OnCommit, store};
use aegis_storage::TxnOptions;
use aegis_types::{Oid, SqlResult};

use super::Session;

impl Session {
    /// What the schema of the session's temporary relations is called.
    pub(super) fn temporary_schema_name(&self) -> String {
        format!("{TEMPORARY_PREFIX}{}", self.process_id)
    }

    /// That schema, if it is there.
    pub(super) fn temporary_schema(&self, catalog: &CatalogSnapshot) -> Option<Oid> {
        if !self.uses_temporary {
            return None;
        }
        catalog.schema_named(self.database, &self.temporary_schema_name())
    }

    /// `ON COMMIT`, in the transaction that is about to commit.
    pub(super) async fn commit_temporary(&mut self) -> SqlResult<()> {
        if self.uses_temporary { Box::pin(self.end_temporary()).await } else { Ok(()) }
    }

    async fn end_temporary(&mut self) -> SqlResult<()> {
        let catalog = self.current_catalog();
        let acts = self.temporary_schema(&catalog).is_some_and(|schema| {
            catalog.relations_in(schema).any(|relation| {
                relation.as_table().is_some_and(|table| table.on_commit != OnCommit::PreserveRows)
            })
        });
        let Some(block) = self.block.as_ref().filter(|block| acts && !block.failed) else {
            return Ok(());
        };
        if block.txn.lock().await.as_ref().is_none_or(|txn| !txn.has_writes()) {
            return Ok(());
        }
        let search_path = self.search_path(&catalog);
        let context = self.statement_context(catalog, Arc::new([])).await?;
        let shared = self.shared_transaction()?;
        let mut guard = shared.lock().await;
        let instance = self.instance.clone();
        match guard.as_mut() {
            Some(txn) => self.ddl(txn, &instance, context, search_path).end_temporary().await,
            None => Ok(()),
        }
    }

    /// Drops the session's temporary relations, in a transaction of its own.
    pub(super) async fn drop_temporary(&mut self) -> SqlResult<()> {
        let catalog = self.instance.catalog();
        let Some(schema) = self.temporary_schema(&catalog) else { return Ok(()) };
        let mut txn = self.instance.store.begin(TxnOptions::default())?;
        store::delete_schema(&mut txn, &catalog, schema)?;
        txn.commit().await?;
        Ok(())
    }
}
