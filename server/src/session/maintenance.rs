//! `VACUUM` and `ANALYZE`.

use std::sync::Arc;

use aegis_catalog::{CatalogSnapshot, Relation};
use aegis_sql::ast::{VacuumRelation, VacuumStmt};
use aegis_sql::ddl::Analysis;
use aegis_sql::statistics::Pace;
use aegis_storage::TreeId;
use aegis_types::{Oid, SqlError, SqlResult, SqlState};

use super::run::transaction_over;
use super::utility::is_on;
use super::{Outcome, Session};

/// A table to be looked after, and the columns named with it.
struct Target {
    table: Oid,
    columns: Vec<String>,
}

impl Session {
    /// VACUUM flushes and reclaims, whatever FULL and FREEZE say; ANALYZE looks at rows.
    pub(super) async fn vacuum(&mut self, vacuum: &VacuumStmt) -> SqlResult<Outcome> {
        let asked = |name: &str| vacuum.options.iter().any(|o| o.name == name && is_on(o));
        let analyzes = !vacuum.is_vacuum || asked("analyze");
        if vacuum.is_vacuum {
            self.refuse_in_block("VACUUM")?;
        }
        if !analyzes && vacuum.relations.iter().any(|target| !target.columns.is_empty()) {
            return Err(SqlError::new(
                SqlState::FeatureNotSupported,
                "ANALYZE option must be specified when a column list is provided",
            ));
        }
        let catalog = self.current_catalog();
        let targets = self.maintained(&catalog, vacuum)?;
        if vacuum.is_vacuum {
            self.instance.store.flush_now().await?;
        }
        if asked("verbose") {
            self.tell_targets(&catalog, &targets, vacuum.is_vacuum, analyzes);
        }
        if analyzes {
            self.analyze_tables(targets).await?;
        }
        let tag = if vacuum.is_vacuum { "VACUUM" } else { "ANALYZE" };
        Ok(Outcome::Done(tag.to_owned()))
    }

    /// The tables that a statement is about: those named, or all of the database.
    fn maintained(
        &mut self,
        catalog: &Arc<CatalogSnapshot>,
        vacuum: &VacuumStmt,
    ) -> SqlResult<Vec<Target>> {
        let mut targets = Vec::new();
        for VacuumRelation { relation, columns } in &vacuum.relations {
            if let Some(system) = self.system_relation(catalog, relation) {
                self.skip_system_relation(catalog, system, vacuum.is_vacuum);
                continue;
            }
            let table = self.find_relation(catalog, relation)?;
            if !self.may_maintain(catalog, &table, vacuum.is_vacuum) {
                continue;
            }
            if table.as_table().is_none() {
                self.skip_other(&table, vacuum.is_vacuum);
                continue;
            }
            targets.push(Target { table: table.oid, columns: columns.clone() });
        }
        if vacuum.relations.is_empty() {
            let all = catalog.relations_of(self.database).filter(|it| it.as_table().is_some());
            for table in all {
                if self.may_maintain(catalog, table, vacuum.is_vacuum) {
                    targets.push(Target { table: table.oid, columns: Vec::new() });
                }
            }
        }
        Ok(targets)
    }

    fn skip_other(&mut self, relation: &Relation, vacuum: bool) {
        let verb = if vacuum { "vacuum" } else { "analyze" };
        let message = format!(
            "skipping \"{}\" --- cannot {verb} non-tables or special system tables",
            relation.name
        );
        self.notice("WARNING", SqlState::Warning, message);
    }

    fn tell_targets(
        &mut self,
        catalog: &CatalogSnapshot,
        targets: &[Target],
        vacuum: bool,
        analyzes: bool,
    ) {
        let code = SqlState::SuccessfulCompletion;
        let database = catalog.database(self.database).map_or("", |d| d.name.as_str());
        for target in targets {
            let Some(table) = catalog.relation(target.table) else { continue };
            let schema = catalog.schema_name(table.schema).unwrap_or_default();
            let name = format!("{schema}.{}", table.name);
            if vacuum {
                self.notice("INFO", code, format!("vacuuming \"{database}.{name}\""));
            }
            if analyzes {
                self.notice("INFO", code, format!("analyzing \"{name}\""));
            }
        }
    }

    /// Analyzes tables, each in a transaction of its own where there is no block around.
    async fn analyze_tables(&mut self, targets: Vec<Target>) -> SqlResult<()> {
        let commits = !self.in_block() && targets.len() > 1;
        for target in targets {
            self.analyze_table(target).await?;
            if commits {
                self.commit().await?;
            }
        }
        Ok(())
    }

    async fn analyze_table(&mut self, Target { table, columns }: Target) -> SqlResult<()> {
        self.ensure_transaction()?;
        let catalog = self.current_catalog();
        let search_path = self.search_path(&catalog);
        let context = self.statement_context(catalog, Arc::new([])).await?;
        let shared = self.shared_transaction()?;
        let mut guard = shared.lock().await;
        let instance = self.instance.clone();
        let txn = guard.as_mut().ok_or_else(transaction_over)?;
        let mut ddl = self.ddl(txn, &instance, context, search_path);
        let tree = ddl.context.catalog.relation(table).and_then(|found| found.as_table());
        let tree = TreeId(tree.map_or(0, |table| table.tree));
        // Who looks at some columns alone has not seen what changed in the others.
        let seen = if columns.is_empty() { instance.table_activity.changes(tree) } else { 0 };
        let analysis = Analysis { columns, ..Analysis::default() };
        if ddl.analyze_table(table, &analysis).await?.is_some() {
            instance.table_activity.analyzed(table, tree, seen, false);
        }
        let changes = ddl.changes;
        drop(guard);
        if let Some(block) = &mut self.block {
            block.add_ddl(changes);
        }
        Ok(())
    }

    /// Analyzes a table for nobody who waits, in a session that ends with that. Gives how many rows it
    /// has; `None` where it cannot be done now.
    ///
    /// # Errors
    /// What reading and the expressions of indexes raise.
    pub(crate) async fn analyze_quietly(
        mut self,
        table: Oid,
        pace: Pace,
    ) -> SqlResult<Option<f64>> {
        let result = self.analyze_in_transaction(table, pace).await;
        let result = match result {
            Ok(Some(rows)) => self.commit().await.map(|()| Some(rows)),
            other => {
                self.roll_back().await;
                other
            }
        };
        self.close().await;
        result
    }

    async fn analyze_in_transaction(&mut self, table: Oid, pace: Pace) -> SqlResult<Option<f64>> {
        self.ensure_transaction()?;
        let catalog = self.current_catalog();
        let search_path = self.search_path(&catalog);
        let context = self.statement_context(catalog, Arc::new([])).await?;
        let shared = self.shared_transaction()?;
        let mut guard = shared.lock().await;
        let instance = self.instance.clone();
        let txn = guard.as_mut().ok_or_else(transaction_over)?;
        self.ddl(txn, &instance, context, search_path).analyze_quietly(table, pace).await
    }
}
