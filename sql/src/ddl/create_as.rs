//! `CREATE TABLE AS` and `SELECT INTO`: a table made of a query's rows.

use std::sync::Arc;

use aegis_catalog::Relation;
use aegis_storage::TableLockMode;
use aegis_types::{SqlError, SqlResult, SqlState};

use super::Ddl;
use super::create_table::{check_columns, check_storage, stored_options};
use super::name::relation_exists;
use super::view::output_columns;
use crate::ast::{CreateTableAsStmt, IntoClause, ObjectType, SelectBody, SelectStmt, Statement};
use crate::bound::BoundStatement;
use crate::dml::{Changes, TableAccess};
use crate::query_engine::{QueryPlan, StatementContext};

impl Ddl<'_> {
    /// `CREATE TABLE AS`
    pub(super) async fn create_table_as(
        &mut self,
        create: &CreateTableAsStmt,
    ) -> SqlResult<String> {
        if create.object_type == ObjectType::MatView {
            return self.create_materialized(create).await;
        }
        if !matches!(create.query, Statement::Select(_)) {
            return Err(SqlError::unsupported("CREATE TABLE AS EXECUTE"));
        }
        self.table_of_query(&create.query, &create.into, create.if_not_exists).await
    }

    /// `SELECT INTO`
    pub(super) async fn select_into(&mut self, select: &SelectStmt) -> SqlResult<String> {
        let mut query = select.clone();
        let into = match &mut query.body {
            SelectBody::Simple(simple) => simple.into.take(),
            _ => None,
        };
        let into = into.ok_or_else(|| SqlError::internal("SELECT INTO names a table"))?;
        self.table_of_query(&Statement::Select(Box::new(query)), &into, false).await
    }

    async fn table_of_query(
        &mut self,
        query: &Statement,
        into: &IntoClause,
        if_not_exists: bool,
    ) -> SqlResult<String> {
        check_storage(into.access_method.as_deref(), into.table_space.as_deref())?;
        let name = &into.relation.name;
        let analyzed = self.analyzer().analyze(query)?;
        let schema = self.creation_schema(&into.relation)?;
        if self.claim(schema, name).await?.is_some() {
            if !if_not_exists {
                return Err(relation_exists(name));
            }
            self.notice(
                SqlState::DuplicateTable,
                format!("relation \"{name}\" already exists, skipping"),
            );
            return Ok("CREATE TABLE AS".to_owned());
        }
        if into.column_names.len() > analyzed.columns.len() {
            return Err(SqlError::new(
                SqlState::SyntaxError,
                "too many column names were specified",
            ));
        }
        let columns = output_columns(&analyzed.columns, &into.column_names)?;
        check_columns(columns.iter().map(|column| column.name.as_str()))?;
        let BoundStatement::Query(query) = &analyzed.statement else {
            return Err(SqlError::internal("a query was analyzed into something else"));
        };
        let (catalog, database) = (&self.context.catalog, self.context.database);
        crate::privilege::check(catalog, database, self.role, &analyzed.statement)?;
        let options = stored_options(&into.options)?;
        let plan = self.engine.plan(query, &self.context)?;
        let on_commit = self.on_commit_action(into.on_commit, schema)?;
        let relation = self.new_table(schema, name, columns, options).await?;
        let relation = self.set_persistence(&relation, &into.relation, on_commit)?;
        self.lock(relation.oid, TableLockMode::AccessExclusive).await?;
        if into.skip_data {
            return Ok("CREATE TABLE AS".to_owned());
        }
        self.fill_later(plan, &relation, Some("SELECT"));
        Ok("SELECT".to_owned())
    }

    /// Leaves it to the end of the statement to insert what a plan gives: the plan's functions, and
    /// its locks, want the transaction.
    pub(super) fn fill_later(
        &mut self,
        plan: Arc<dyn QueryPlan>,
        relation: &Arc<Relation>,
        tag: Option<&'static str>,
    ) {
        let (relation, context) = (relation.clone(), self.context.clone());
        self.filling = Some(Filling { plan, relation, context, tag });
    }
}

/// A table whose rows are still to be computed.
pub struct Filling {
    plan: Arc<dyn QueryPlan>,
    relation: Arc<Relation>,
    context: StatementContext,
    /// What the command tag begins with, if it counts them.
    tag: Option<&'static str>,
}

impl Filling {
    /// What holds for the statement, with the table.
    #[must_use]
    pub const fn context(&self) -> &StatementContext {
        &self.context
    }

    /// Inserts the rows; the command tag, if it counts them.
    ///
    /// # Errors
    /// Whatever the query raises.
    pub async fn fill(&self, mut changes: Changes<'_>) -> SqlResult<Option<String>> {
        let mut stream = self.plan.clone().execute(self.context.clone())?;
        let access = TableAccess::new(&self.relation, &self.context)?;
        let mut rows = 0_u64;
        while let Some(batch) = changes.next_of(&mut stream).await? {
            for at in 0..batch.len() {
                changes.copy_row(&access, batch.row(at)).await?;
                rows += 1;
            }
            self.context.cancel.check()?;
        }
        changes.finish_statement().await?;
        Ok(self.tag.map(|tag| format!("{tag} {rows}")))
    }
}
