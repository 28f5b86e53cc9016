//! Schemas: `CREATE SCHEMA`, and what goes for extensions.

use std::sync::Arc;

use aegis_catalog::{Descriptor, Schema};
use aegis_types::{SqlError, SqlResult, SqlState};

use super::Ddl;
use crate::ast::{CreateSchemaStmt, Statement};

impl Ddl<'_> {
    /// `CREATE SCHEMA`, with the objects that are created in it.
    pub(super) async fn create_schema(
        &mut self,
        create: &CreateSchemaStmt,
    ) -> SqlResult<&'static str> {
        let owner = match &create.authorization {
            Some(role) => self.role_oid(role)?,
            None => self.role,
        };
        let name = match &create.name {
            Some(name) => name.clone(),
            None => self
                .context
                .catalog
                .role(owner)
                .map(|role| role.name.clone())
                .ok_or_else(|| SqlError::internal("the owner of a schema is missing"))?,
        };
        self.check_may_create_schemas(self.role)?;
        self.check_is_member(owner)?;
        check_schema_name(&name)?;
        self.claim_schema(&name).await?;
        if self.context.catalog.schema_named(self.context.database, &name).is_some() {
            let message = format!("schema \"{name}\" already exists");
            if !create.if_not_exists {
                return Err(SqlError::new(SqlState::DuplicateSchema, message));
            }
            self.notice(SqlState::DuplicateSchema, format!("{message}, skipping"));
            return Ok("CREATE SCHEMA");
        }
        let oid = self.counters.next_oid()?;
        let database = self.context.database;
        self.put(Descriptor::Schema(Arc::new(Schema { oid, database, name, owner })))?;
        if create.elements.is_empty() {
            return Ok("CREATE SCHEMA");
        }
        let path = self.search_path.clone();
        self.search_path.insert(0, oid);
        let role = std::mem::replace(&mut self.role, owner);
        let result = self.create_elements(&create.elements).await;
        self.role = role;
        self.search_path = path;
        result.map(|()| "CREATE SCHEMA")
    }

    /// Tables go first, then views and indexes, as PostgreSQL orders them.
    async fn create_elements(&mut self, elements: &[Statement]) -> SqlResult<()> {
        let order = |statement: &Statement| match statement {
            Statement::CreateSequence(_) => 0,
            Statement::CreateTable(_) => 1,
            Statement::CreateView(_) => 2,
            Statement::CreateIndex(_) => 3,
            _ => 4,
        };
        let mut sorted: Vec<&Statement> = elements.iter().collect();
        sorted.sort_by_key(|statement| order(statement));
        for statement in sorted {
            Box::pin(self.run(statement)).await?;
        }
        Ok(())
    }
}

/// 42939 for names that are kept for the system.
pub(super) fn check_schema_name(name: &str) -> SqlResult<()> {
    if name.starts_with("pg_") {
        return Err(SqlError::new(
            SqlState::ReservedName,
            format!("unacceptable schema name \"{name}\""),
        )
        .detail("The prefix \"pg_\" is reserved for system schemas."));
    }
    Ok(())
}
