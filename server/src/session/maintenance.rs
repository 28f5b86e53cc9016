//! `VACUUM` and `ANALYZE`.

use std::sync::Arc;
use std::time::Duration;

use aegis_catalog::{CatalogSnapshot, Relation};
use aegis_sql::ast::{DefElem, DefValue, VacuumRelation, VacuumStmt};
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
        check_options(vacuum)?;
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
            self.analyze_tables(targets, asked("skip_locked")).await?;
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
    async fn analyze_tables(&mut self, targets: Vec<Target>, skips_locked: bool) -> SqlResult<()> {
        let commits = !self.in_block() && targets.len() > 1;
        for target in targets {
            self.analyze_table(target, skips_locked).await?;
            if commits {
                self.commit().await?;
            }
        }
        Ok(())
    }

    async fn analyze_table(&mut self, target: Target, skips_locked: bool) -> SqlResult<()> {
        let Target { table, columns } = target;
        let (shared, context, search_path) = self.begin_work(Arc::new([])).await?;
        let mut guard = shared.lock().await;
        let instance = self.instance.clone();
        let txn = guard.as_mut().ok_or_else(transaction_over)?;
        // Statistics are no data: a read-only transaction may gather them.
        let read_only = txn.options().read_only;
        txn.set_read_only(false);
        let mut ddl = self.ddl(txn, &instance, context, search_path);
        let tree = ddl.context.catalog.relation(table).and_then(|found| found.as_table());
        let tree = TreeId(tree.map_or(0, |table| table.tree));
        // Who looks at some columns alone has not seen what changed in the others.
        let seen = if columns.is_empty() { instance.table_activity.changes(tree) } else { 0 };
        let analysis = Analysis { columns, ..Analysis::default() };
        if skips_locked {
            ddl.lock_timeout = Some(Duration::ZERO);
        }
        let analyzed = ddl.analyze_table(table, &analysis).await;
        let name = ddl.context.catalog.relation(table).map(|it| it.name.clone());
        let changes = ddl.changes;
        if let Some(txn) = guard.as_mut() {
            txn.set_read_only(read_only);
        }
        drop(guard);
        match analyzed {
            Ok(Some(_)) => instance.table_activity.analyzed(table, tree, seen, false),
            Ok(None) => {}
            Err(error) if skips_locked && error.code() == SqlState::LockNotAvailable => {
                let name = name.unwrap_or_default();
                let message = format!("skipping analyze of \"{name}\" --- lock not available");
                self.notice("WARNING", SqlState::LockNotAvailable, message);
            }
            Err(error) => return Err(error),
        }
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
        // Functions of indexes stop by it too.
        self.host.identity().stop_handle.follow(self.cancel.clone());
        let (shared, context, search_path) = self.begin_work(Arc::new([])).await?;
        let mut guard = shared.lock().await;
        let instance = self.instance.clone();
        let txn = guard.as_mut().ok_or_else(transaction_over)?;
        self.ddl(txn, &instance, context, search_path).analyze_quietly(table, pace).await
    }
}

/// Options of VACUUM that are on or off, without those of ANALYZE.
const OF_VACUUM: &[&str] =
    &["freeze", "full", "analyze", "disable_page_skipping", "process_toast", "truncate"];
/// Options of both.
const OF_BOTH: &[&str] = &["verbose", "skip_locked"];

/// 42601 for options that are none, or have no such value; 0A000 for those that exclude each other.
fn check_options(vacuum: &VacuumStmt) -> SqlResult<()> {
    let wrong = |message: String| SqlError::new(SqlState::SyntaxError, message);
    for option in &vacuum.options {
        let name = option.name.as_str();
        match name {
            "parallel" if vacuum.is_vacuum => match option.value {
                Some(DefValue::Integer(0..=1024)) => {}
                Some(DefValue::Integer(_)) => {
                    let message = "parallel workers for vacuum must be between 0 and 1024";
                    return Err(wrong(message.to_owned()).at(option.location));
                }
                _ => {
                    let message = "parallel option requires a value between 0 and 1024";
                    return Err(wrong(message.to_owned()).at(option.location));
                }
            },
            "index_cleanup" if vacuum.is_vacuum && is_word(option, "auto") => {}
            _ if OF_BOTH.contains(&name)
                || (vacuum.is_vacuum && (OF_VACUUM.contains(&name) || name == "index_cleanup")) =>
            {
                if !is_boolean(option) {
                    return Err(wrong(format!("{name} requires a Boolean value")));
                }
            }
            _ => {
                let statement = if vacuum.is_vacuum { "VACUUM" } else { "ANALYZE" };
                let message = format!("unrecognized {statement} option \"{name}\"");
                return Err(wrong(message).at(option.location));
            }
        }
    }
    let last = |name: &str| vacuum.options.iter().rev().find(|option| option.name == name);
    let is_full = last("full").is_some_and(is_on);
    let excluded = match () {
        () if !is_full => return Ok(()),
        () if last("parallel").is_some_and(|it| !is_number(it, 0)) => {
            "VACUUM FULL cannot be performed in parallel"
        }
        () if last("disable_page_skipping").is_some_and(is_on) => {
            "VACUUM option DISABLE_PAGE_SKIPPING cannot be used with FULL"
        }
        () if last("process_toast").is_some_and(|it| !is_on(it)) => {
            "PROCESS_TOAST required with VACUUM FULL"
        }
        () => return Ok(()),
    };
    Err(SqlError::new(SqlState::FeatureNotSupported, excluded))
}

fn is_word(option: &DefElem, word: &str) -> bool {
    matches!(&option.value, Some(DefValue::String(text)) if text.eq_ignore_ascii_case(word))
}

fn is_number(option: &DefElem, number: i64) -> bool {
    matches!(&option.value, Some(DefValue::Integer(value)) if i64::from(*value) == number)
}

fn is_boolean(option: &DefElem) -> bool {
    option.value.is_none()
        || is_number(option, 0)
        || is_number(option, 1)
        || ["true", "false", "on", "off"].iter().any(|word| is_word(option, word))
}
