//! Temporary relations: their schema, and what a commit does to them.
//!
//! They are tables like any other, in a schema that belongs to one session. It goes when the session
//! does; what a crash leaves is removed at the next start.

use std::sync::Arc;

use aegis_catalog::snapshot::BOOTSTRAP_ROLE;
use aegis_catalog::{Descriptor, OnCommit, Persistence, Relation, Schema};
use aegis_storage::{Block, Direction, KeyRange, TableLockMode, TreeId};
use aegis_types::{Oid, SqlError, SqlResult, SqlState};

use super::Ddl;
use super::dependency::Item;
use crate::ast::{OnCommitAction, RangeVar, RelPersistence};

impl Ddl<'_> {
    /// The schema of the session's temporary relations, made if it is not there yet.
    pub(super) fn temporary_schema(&mut self) -> SqlResult<Oid> {
        let database = self.context.database;
        let name = self.temporary_schema_name.clone();
        self.uses_temporary = true;
        let oid = match self.context.catalog.schema_named(database, &name) {
            Some(oid) => oid,
            None => {
                let oid = self.counters.next_oid()?;
                let owner = BOOTSTRAP_ROLE;
                self.put(Descriptor::Schema(Arc::new(Schema { oid, database, name, owner })))?;
                oid
            }
        };
        if !self.search_path.contains(&oid) {
            self.search_path.insert(0, oid);
        }
        Ok(oid)
    }

    /// Whether a new relation of this name is a temporary one.
    pub(super) fn is_temporary(&self, name: &RangeVar) -> bool {
        let first = || self.temporary_first && name.persistence != RelPersistence::Unlogged;
        match &name.schema {
            Some(schema) => *schema == self.temporary_schema_name || schema == "pg_temp",
            None => name.persistence == RelPersistence::Temporary || first(),
        }
    }

    /// How long a relation lives that is made in a schema under a name.
    pub(super) fn persistence(&self, schema: Oid, name: &RangeVar) -> Persistence {
        if self.context.catalog.is_temporary_schema(schema) {
            Persistence::Temporary
        } else if name.persistence == RelPersistence::Unlogged {
            Persistence::Unlogged
        } else {
            Persistence::Permanent
        }
    }

    /// `ON COMMIT`: 42P16 for a table that is not temporary.
    pub(super) fn on_commit_action(
        &self,
        action: OnCommitAction,
        schema: Oid,
    ) -> SqlResult<OnCommit> {
        let action = match action {
            OnCommitAction::Noop => return Ok(OnCommit::PreserveRows),
            OnCommitAction::PreserveRows => OnCommit::PreserveRows,
            OnCommitAction::DeleteRows => OnCommit::DeleteRows,
            OnCommitAction::Drop => OnCommit::Drop,
        };
        if self.context.catalog.is_temporary_schema(schema) {
            return Ok(action);
        }
        Err(SqlError::new(
            SqlState::InvalidTableDefinition,
            "ON COMMIT can only be used on temporary tables",
        ))
    }

    /// 42P16 unless both ends of a foreign key live as long as they must.
    pub(super) fn check_reference(&self, table: &Relation, target: &Relation) -> SqlResult<()> {
        let words = match (table.persistence, target.persistence) {
            (Persistence::Permanent, Persistence::Permanent)
            | (Persistence::Unlogged, Persistence::Permanent | Persistence::Unlogged)
            | (Persistence::Temporary, Persistence::Temporary) => return Ok(()),
            (Persistence::Permanent, _) => {
                "constraints on permanent tables may reference only permanent tables"
            }
            (Persistence::Unlogged, _) => {
                "constraints on unlogged tables may reference only permanent or unlogged tables"
            }
            (Persistence::Temporary, _) => {
                "constraints on temporary tables may reference only temporary tables"
            }
        };
        Err(SqlError::new(SqlState::InvalidTableDefinition, words))
    }

    /// Does what the session's temporary tables ask for when a transaction commits.
    ///
    /// # Errors
    /// What dropping and storage raise.
    pub async fn end_temporary(&mut self) -> SqlResult<()> {
        let Some(schema) =
            self.context.catalog.schema_named(self.context.database, &self.temporary_schema_name)
        else {
            return Ok(());
        };
        let tables: Vec<Arc<Relation>> = self
            .context
            .catalog
            .relations_in(schema)
            .filter(|relation| {
                relation.as_table().is_some_and(|table| table.on_commit != OnCommit::PreserveRows)
            })
            .cloned()
            .collect();
        for relation in tables {
            let Some(table) = relation.as_table() else { continue };
            for (other, _) in &table.referenced_by {
                let other = self.relation(*other)?;
                let alike = other.as_table().is_some_and(|o| o.on_commit == table.on_commit);
                if table.on_commit == OnCommit::DeleteRows && !alike {
                    return Err(SqlError::new(
                        SqlState::FeatureNotSupported,
                        "unsupported ON COMMIT and foreign key combination",
                    )
                    .detail(format!(
                        "Table \"{}\" references \"{}\", but they do not have the same ON COMMIT \
                         setting.",
                        other.name, relation.name
                    )));
                }
            }
            if table.on_commit == OnCommit::Drop {
                let closure = self.closure(&[Item::Relation(relation.oid)])?;
                self.drop_closure(&closure).await?;
                continue;
            }
            let view = self.txn.newest_view()?;
            let mut scan = view.scan(TreeId(table.tree), KeyRange::all(), Direction::Forward)?;
            let mut block = Block::default();
            let has_rows = scan.next_block(&mut block)? && !block.is_empty();
            drop(scan);
            if has_rows {
                self.lock(relation.oid, TableLockMode::AccessExclusive).await?;
                self.empty_table(relation.oid).await?;
            }
        }
        Ok(())
    }
}
