//! `TRUNCATE`: new trees in place of the old ones.

use aegis_catalog::access::{Kind, Privilege};
use aegis_catalog::{Relation, RelationBody};
use aegis_storage::{TableLockMode, TreeId};
use aegis_types::{Oid, SqlError, SqlResult, SqlState};

use super::Ddl;
use super::ownership::denied;
use crate::ast::{DropBehavior, TruncateStmt};
use crate::engine::TableChange;

impl Ddl<'_> {
    /// `TRUNCATE`
    pub(super) async fn truncate(&mut self, truncate: &TruncateStmt) -> SqlResult<&'static str> {
        let mode = TableLockMode::AccessExclusive;
        let mut tables: Vec<Oid> = Vec::new();
        for name in &truncate.relations {
            let relation = self.open_table(name, mode).await?;
            self.check_may_truncate(&relation)?;
            self.refuse_managed(&relation, "truncate")?;
            if !tables.contains(&relation.oid) {
                tables.push(relation.oid);
            }
        }
        let mut at = 0;
        while at < tables.len() {
            let relation = self.relation(tables[at])?;
            let referencing = relation.as_table().map(|table| table.referenced_by.clone());
            let mut others: Vec<Oid> =
                referencing.unwrap_or_default().into_iter().map(|(table, _)| table).collect();
            others.sort_unstable();
            others.dedup();
            for other in others {
                if tables.contains(&other) {
                    continue;
                }
                let name = self.relation(other)?.name.clone();
                if truncate.behavior != DropBehavior::Cascade {
                    return Err(SqlError::new(
                        SqlState::FeatureNotSupported,
                        "cannot truncate a table referenced in a foreign key constraint",
                    )
                    .detail(format!("Table \"{name}\" references \"{}\".", relation.name))
                    .hint(format!(
                        "Truncate table \"{name}\" at the same time, or use TRUNCATE ... CASCADE."
                    )));
                }
                self.notice(
                    SqlState::SuccessfulCompletion,
                    format!("truncate cascades to table \"{name}\""),
                );
                self.lock(other, mode).await?;
                let cascaded = self.relation(other)?;
                self.check_may_truncate(&cascaded)?;
                tables.push(other);
            }
            at += 1;
        }
        for table in &tables {
            self.refuse_in_use(*table, "TRUNCATE")?;
        }
        for table in &tables {
            self.empty_table(*table).await?;
            self.tell_captors(*table, TableChange::Truncate).await?;
            if truncate.restart_sequences {
                let sequences: Vec<Oid> = self.owned_sequences(*table, None).collect();
                for sequence in sequences {
                    self.lock(sequence, mode).await?;
                    let sequence = self.relation(sequence)?;
                    self.restart_sequence(&sequence)?;
                }
            }
        }
        Ok("TRUNCATE TABLE")
    }

    fn check_may_truncate(&self, relation: &Relation) -> SqlResult<()> {
        if self.access().allows(self.role, Kind::Table, relation.oid, Privilege::TRUNCATE) {
            return Ok(());
        }
        Err(denied("table", &relation.name))
    }

    pub(super) async fn empty_table(&mut self, table: Oid) -> SqlResult<()> {
        let mut relation = (*self.relation(table)?).clone();
        let RelationBody::Table(body) = &mut relation.body else {
            return Err(SqlError::internal("only tables are truncated"));
        };
        self.txn.drop_tree(TreeId(body.tree))?;
        body.tree = self.store.allocate_tree_id().await?.0;
        body.row_count = -1.0;
        let indexes = body.indexes.clone();
        self.put_relation(relation)?;
        for index in indexes {
            self.renew_index_tree(index).await?;
        }
        Ok(())
    }
}
