//! Constraints that are looked at later than their statement: SET CONSTRAINTS, and the commit.

use std::sync::Arc;

use aegis_sql::ast::{RangeVar, SetConstraintsStmt};
use aegis_sql::dml::{Changes, LookAt};
use aegis_types::{Oid, SqlError, SqlResult, SqlState};

use super::run::transaction_over;
use super::{Outcome, Session};

impl Session {
    /// `SET CONSTRAINTS`
    pub(super) async fn set_constraints(&mut self, set: &SetConstraintsStmt) -> SqlResult<Outcome> {
        if !self.in_block() {
            self.notice(
                "WARNING",
                SqlState::NoActiveSqlTransaction,
                "SET CONSTRAINTS can only be used in transaction blocks",
            );
        }
        let mut named = Vec::new();
        for name in &set.constraints {
            self.find_constraints(name, set.deferred, &mut named)?;
        }
        if let Some(block) = &self.block {
            if set.constraints.is_empty() {
                block.deferred.set_all(set.deferred);
            }
            for constraint in named {
                block.deferred.set(constraint, set.deferred);
            }
        }
        if !set.deferred {
            let when = match self.savepoint_level() {
                0 => LookAt::Now,
                _ => LookAt::NowWithSavepoints,
            };
            self.check_deferred(when).await?;
        }
        Ok(Outcome::Done("SET CONSTRAINTS".to_owned()))
    }

    /// The deferrable constraints of a name: all of them in the first schema that has one.
    fn find_constraints(
        &mut self,
        name: &RangeVar,
        deferred: bool,
        found: &mut Vec<Oid>,
    ) -> SqlResult<()> {
        let catalog = self.current_catalog();
        let path = match &name.schema {
            Some(schema) => {
                let missing = || {
                    let message = format!("schema \"{schema}\" does not exist");
                    SqlError::new(SqlState::InvalidSchemaName, message)
                };
                vec![catalog.schema_named(self.database, schema).ok_or_else(missing)?]
            }
            None => self.search_path(&catalog),
        };
        for schema in path {
            let tables = catalog.relations_in(schema).filter_map(|relation| relation.as_table());
            let constraints = tables.flat_map(|table| &table.constraints);
            let mut named =
                constraints.filter(|constraint| constraint.name == name.name).peekable();
            if named.peek().is_none() {
                continue;
            }
            for constraint in named {
                if constraint.deferral.is_deferrable() {
                    found.push(constraint.oid);
                } else if deferred {
                    return Err(SqlError::new(
                        SqlState::WrongObjectType,
                        format!("constraint \"{}\" is not deferrable", name.name),
                    ));
                }
            }
            return Ok(());
        }
        Err(SqlError::new(
            SqlState::UndefinedObject,
            format!("constraint \"{}\" does not exist", name.name),
        ))
    }

    /// Looks at what was put off and is due.
    ///
    /// # Errors
    /// 23503, 23505
    pub(super) async fn check_deferred(&mut self, when: LookAt) -> SqlResult<()> {
        let idle = self.block.as_ref().is_none_or(|block| block.deferred.is_empty());
        if idle { Ok(()) } else { Box::pin(self.look_at_deferred(when)).await }
    }

    async fn look_at_deferred(&mut self, when: LookAt) -> SqlResult<()> {
        let shared = self.shared_transaction()?;
        if let Some(txn) = shared.lock().await.as_mut() {
            txn.next_command()?;
        }
        let catalog = self.current_catalog();
        let context = self.statement_context(catalog, Arc::new([])).await?;
        let mut guard = shared.lock().await;
        let txn = guard.as_mut().ok_or_else(transaction_over)?;
        let instance = self.instance.clone();
        let lock_timeout = self.settings.frequent().lock_timeout;
        let mut changes =
            Changes::new(txn, &context, &*instance.engine, &instance.row_ids, lock_timeout);
        changes.check_deferred(when).await
    }
}
