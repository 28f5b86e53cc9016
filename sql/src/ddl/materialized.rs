//! Materialized views: tables that a query fills, and `REFRESH` fills anew.

use std::collections::HashMap;
use std::sync::Arc;

use aegis_catalog::{Materialized, Relation, RelationBody};
use aegis_storage::TableLockMode;
use aegis_types::{Datum, SqlError, SqlResult, SqlState};

use super::Ddl;
use super::create_table::{check_columns, check_storage, stored_options};
use super::name::relation_exists;
use super::view::output_columns;
use crate::ast::{CreateTableAsStmt, RefreshMatViewStmt, RelPersistence, Statement};
use crate::bound::{BoundStatement, Query};
use crate::dml::{Changes, OldRow, TableAccess};

impl Ddl<'_> {
    /// `CREATE MATERIALIZED VIEW`
    pub(super) async fn create_materialized(
        &mut self,
        create: &CreateTableAsStmt,
    ) -> SqlResult<String> {
        let into = &create.into;
        check_storage(into.access_method.as_deref(), into.table_space.as_deref())?;
        if into.relation.persistence == RelPersistence::Unlogged {
            return Err(SqlError::new(
                SqlState::FeatureNotSupported,
                "materialized views cannot be unlogged",
            ));
        }
        let Statement::Select(select) = &create.query else {
            return Err(SqlError::unsupported("CREATE MATERIALIZED VIEW AS EXECUTE"));
        };
        let query = self.analyzer().analyze_view(select)?;
        if self.names_temporary(&query)? {
            return Err(SqlError::new(
                SqlState::FeatureNotSupported,
                "materialized views must not use temporary tables or views",
            ));
        }
        let analyzed = self.analyzer().analyze(&create.query)?;
        let schema = self.creation_schema(&into.relation)?;
        let name = &into.relation.name;
        if self.claim(schema, name).await?.is_some() {
            if !create.if_not_exists {
                return Err(relation_exists(name));
            }
            self.notice(
                SqlState::DuplicateTable,
                format!("relation \"{name}\" already exists, skipping"),
            );
            return Ok("CREATE MATERIALIZED VIEW".to_owned());
        }
        if into.column_names.len() > analyzed.columns.len() {
            return Err(SqlError::new(
                SqlState::SyntaxError,
                "too many column names were specified",
            ));
        }
        let columns = output_columns(&analyzed.columns, &into.column_names)?;
        check_columns(columns.iter().map(|column| column.name.as_str()))?;
        let BoundStatement::Query(bound) = &analyzed.statement else {
            return Err(SqlError::internal("a query was analyzed into something else"));
        };
        let definition = self.query_text(&query)?;
        let options = stored_options(&into.options)?;
        let relation = self.new_table(schema, name, columns, options).await?;
        let populated = !into.skip_data;
        let relation = self.set_materialized(&relation, Materialized { definition, populated })?;
        self.lock(relation.oid, TableLockMode::AccessExclusive).await?;
        if into.skip_data {
            return Ok("CREATE MATERIALIZED VIEW".to_owned());
        }
        let plan = self.engine.plan(bound, &self.context)?;
        self.fill_later(plan, &relation, Some("SELECT"));
        Ok("SELECT".to_owned())
    }

    fn set_materialized(
        &mut self,
        relation: &Relation,
        view: Materialized,
    ) -> SqlResult<Arc<Relation>> {
        let mut changed = relation.clone();
        if let RelationBody::Table(body) = &mut changed.body {
            body.materialized = Some(view);
        }
        self.put_relation(changed)
    }

    /// `REFRESH MATERIALIZED VIEW`
    pub(super) async fn refresh_view(
        &mut self,
        refresh: &RefreshMatViewStmt,
    ) -> SqlResult<&'static str> {
        const TAG: &str = "REFRESH MATERIALIZED VIEW";
        let mode = if refresh.concurrent {
            TableLockMode::Exclusive
        } else {
            TableLockMode::AccessExclusive
        };
        let relation = self.open(&refresh.relation, mode).await?;
        self.check_owns(&relation)?;
        let Some(view) = relation.as_materialized().cloned() else {
            return Err(SqlError::new(
                SqlState::FeatureNotSupported,
                format!("\"{}\" is not a materialized view", relation.name),
            ));
        };
        if refresh.concurrent && !view.populated {
            return Err(SqlError::new(
                SqlState::FeatureNotSupported,
                "CONCURRENTLY cannot be used when the materialized view is not populated",
            ));
        }
        if refresh.concurrent && refresh.skip_data {
            return Err(SqlError::new(
                SqlState::SyntaxError,
                "CONCURRENTLY and WITH NO DATA options cannot be used together",
            ));
        }
        if refresh.concurrent && !self.has_whole_key(&relation) {
            return Err(SqlError::new(
                SqlState::ObjectNotInPrerequisiteState,
                format!(
                    "cannot refresh materialized view \"{}\" concurrently",
                    self.qualified(relation.schema, &relation.name)
                ),
            )
            .hint(
                "Create a unique index with no WHERE clause on one or more columns of the \
                 materialized view.",
            ));
        }
        if refresh.skip_data {
            self.empty_table(relation.oid).await?;
            let relation = self.relation(relation.oid)?;
            self.set_materialized(&relation, Materialized { populated: false, ..view })?;
            return Ok(TAG);
        }
        let host = self.become_owner(&relation);
        let refreshed = self.refresh_as_owner(&relation, view, refresh.concurrent).await;
        self.context.host = host;
        refreshed.map(|()| TAG)
    }

    async fn refresh_as_owner(
        &mut self,
        relation: &Arc<Relation>,
        view: Materialized,
        concurrent: bool,
    ) -> SqlResult<()> {
        let query = self.stored_query(&view.definition)?;
        let statement = BoundStatement::Query(query.clone());
        let (catalog, database) = (self.context.catalog.clone(), self.context.database);
        crate::privilege::check(&catalog, database, relation.owner, &statement)?;
        let plan = self.engine.plan(&query, &self.context)?;
        if concurrent {
            // The rows are compared while the transaction is held: nothing can be locked.
            self.context.locks = None;
            return self.refresh_changed(relation, plan).await;
        }
        self.empty_table(relation.oid).await?;
        let relation = self.relation(relation.oid)?;
        let relation =
            self.set_materialized(&relation, Materialized { populated: true, ..view })?;
        self.fill_later(plan, &relation, None);
        Ok(())
    }

    /// Whether a unique index over plain columns holds every row.
    fn has_whole_key(&self, relation: &Relation) -> bool {
        let indexes = relation.as_table().map_or(&[][..], |table| &table.indexes);
        indexes.iter().any(|oid| {
            let index = self.context.catalog.relation(*oid).and_then(|index| index.as_index());
            index.is_some_and(|index| index.unique && index.is_plain() && index.valid)
        })
    }

    fn stored_query(&self, definition: &str) -> SqlResult<Arc<Query>> {
        let statements = crate::parser::parse(definition)?;
        let [statement] = statements.as_slice() else {
            return Err(SqlError::internal("a stored query is not one query"));
        };
        let path = [aegis_catalog::snapshot::PG_CATALOG];
        match self.analyzer_under(&path).analyze(&statement.statement)?.statement {
            BoundStatement::Query(query) => Ok(query),
            _ => Err(SqlError::internal("a stored query is no query")),
        }
    }

    /// Deletes the rows that the query does not give any more and inserts the new ones, while others
    /// read the view as it was.
    async fn refresh_changed(
        &mut self,
        relation: &Arc<Relation>,
        plan: Arc<dyn crate::query_engine::QueryPlan>,
    ) -> SqlResult<()> {
        let access = TableAccess::new(relation, &self.context)?;
        let mut wanted: HashMap<Vec<u8>, (usize, Vec<Datum>)> = HashMap::new();
        let mut held_bytes = 0_usize;
        let mut stream = plan.execute(self.context.clone())?;
        while let Some(batch) = stream.next().await? {
            self.context.cancel.check()?;
            for at in 0..batch.len() {
                let row = batch.row(at);
                let mut bytes = Vec::new();
                access.layout.encode(&row, &mut bytes)?;
                held_bytes += bytes.len() * 4 + 128;
                if held_bytes > self.context.memory_bytes {
                    return Err(SqlError::new(
                        SqlState::OutOfMemory,
                        "a concurrent refresh does not fit into a query's memory",
                    ));
                }
                wanted.entry(bytes).or_insert_with(|| (0, row)).0 += 1;
            }
        }
        drop(stream);
        let mut gone: Vec<OldRow> = Vec::new();
        self.each_row(relation, |key, values| {
            let mut bytes = Vec::new();
            access.layout.encode(&values, &mut bytes)?;
            match wanted.get_mut(&bytes) {
                Some((count, _)) if *count > 0 => *count -= 1,
                _ => gone.push(OldRow { key: key.to_vec(), values }),
            }
            Ok(true)
        })?;
        let mut added: Vec<(Vec<u8>, (usize, Vec<Datum>))> =
            wanted.into_iter().filter(|(_, (count, _))| *count > 0).collect();
        added.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        let mut changes =
            Changes::new(self.txn, &self.context, self.engine, self.row_ids, self.lock_timeout);
        for old in &gone {
            changes.delete_row(&access, old).await?;
        }
        for (_, (count, row)) in added {
            for _ in 0..count {
                changes.copy_row(&access, row.clone()).await?;
            }
        }
        changes.finish_statement().await
    }
}
