//! Analyzing tables that have changed much: what PostgreSQL's autovacuum does of it.
//!
//! ```text
//! a commit ──► changes ≥ threshold + scale factor × rows ──► wakes this task ──► after the nap:
//!                          each table that is due, one after the other
//! ```
//!
//! It delays nobody: rows are read without a lock, off the threads of sessions, with a rest every now
//! and then. A lock is taken for as long as keeping takes what was found, and if somebody has it, the
//! table waits for the next turn.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use aegis_catalog::{Persistence, Relation};
use aegis_sql::query_engine::CancelFlag;
use aegis_sql::statistics::Pace;
use aegis_storage::TreeId;
use aegis_types::{Oid, SqlError, SqlState};
use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::instance::Instance;
use crate::session::Session;
use crate::shutdown::Shutdown;
use crate::task::{Bound, spawn};

/// How tables are analyzed without being asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AutoAnalyzeOptions {
    /// `autovacuum`: whether they are.
    pub enabled: bool,
    /// `autovacuum_naptime`: how long at least from one turn to the next.
    pub naptime: Duration,
    /// `autovacuum_analyze_threshold`: so many rows that changed,
    pub threshold: u32,
    /// `autovacuum_analyze_scale_factor`: and this part of the rows.
    pub scale_factor: f64,
}

impl Default for AutoAnalyzeOptions {
    fn default() -> Self {
        Self { enabled: true, naptime: Duration::from_secs(60), threshold: 50, scale_factor: 0.1 }
    }
}

/// How long it rests after every stretch of rows, as `autovacuum_vacuum_cost_delay` does.
const REST: Duration = Duration::from_millis(2);

impl AutoAnalyzeOptions {
    /// From how many changes on a table is analyzed, by its own options where it has them; `None` if
    /// it is never.
    fn threshold_of(&self, relation: &Relation, rows: f64) -> Option<u64> {
        let own = |name: &str| {
            let of_name = |option: &String| {
                let (key, value) = option.split_once('=')?;
                (key == name).then(|| value.to_owned())
            };
            relation.options.iter().find_map(of_name)
        };
        let number = |name: &str| own(name).and_then(|value| value.parse::<f64>().ok());
        let is_off = |value: String| {
            matches!(value.to_ascii_lowercase().as_str(), "false" | "off" | "no" | "0")
        };
        if own("autovacuum_enabled").is_some_and(is_off) {
            return None;
        }
        let least = number("autovacuum_analyze_threshold").unwrap_or(f64::from(self.threshold));
        let part = number("autovacuum_analyze_scale_factor").unwrap_or(self.scale_factor);
        Some((least + part * rows.max(0.0)).clamp(0.0, u64::MAX as f64) as u64)
    }
}

/// A table that is due, and how it stands.
struct Due {
    table: Oid,
    tree: TreeId,
    database: Oid,
    changes: u64,
}

/// Analyzes what is due until the server stops. Where that is not wanted, it only sees to it that what
/// is gone is forgotten.
pub async fn run(instance: Arc<Instance>, shutdown: Shutdown, options: AutoAnalyzeOptions) {
    // What changed before the server started, nobody counted.
    instance.table_activity.look_again();
    let mut failed = BTreeMap::new();
    loop {
        let next = Instant::now() + options.naptime;
        tokio::select! {
            () = shutdown.begun() => return,
            () = tokio::time::sleep_until(next) => {}
        }
        tokio::select! {
            () = shutdown.begun() => return,
            () = instance.table_activity.due() => {}
        }
        turn(&instance, &shutdown, &options, &mut failed).await;
    }
}

/// Tables that could not be analyzed, and from how many changes on it is worth while to try again.
type Failed = BTreeMap<TreeId, u64>;

/// One turn over all tables.
async fn turn(
    instance: &Arc<Instance>,
    shutdown: &Shutdown,
    options: &AutoAnalyzeOptions,
    failed: &mut Failed,
) {
    let mut known = BTreeSet::new();
    let mut due = Vec::new();
    let catalog = instance.catalog();
    for database in catalog.databases().filter(|database| database.allow_connections) {
        for relation in catalog.relations_of(database.oid) {
            let Some(table) = relation.as_table() else { continue };
            let tree = TreeId(table.tree);
            known.insert((relation.oid, tree));
            let Some(threshold) = options.threshold_of(relation, f64::from(table.row_count)) else {
                instance.table_activity.set_due(tree, u64::MAX);
                continue;
            };
            if relation.persistence == Persistence::Temporary {
                continue;
            }
            let changes = instance.table_activity.changes(tree);
            if failed.get(&tree).is_some_and(|again| changes < *again) {
                continue;
            }
            let is_new = table.row_count < 0.0;
            let stored = if is_new { stored_rows(instance, tree) } else { 0 };
            if changes.max(stored) > threshold {
                due.push(Due { table: relation.oid, tree, database: database.oid, changes });
            } else {
                instance.table_activity.set_due(tree, threshold.saturating_add(1));
            }
        }
    }
    drop(catalog);
    instance.table_activity.keep(&known);
    failed.retain(|tree, _| known.iter().any(|(_, there)| there == tree));
    for due in due {
        if shutdown.has_begun() || !options.enabled {
            return;
        }
        analyze(instance, shutdown, options, &due, failed).await;
    }
}

/// About how many rows a tree has.
fn stored_rows(instance: &Instance, tree: TreeId) -> u64 {
    let view = instance.store.newest_view();
    view.and_then(|view| view.row_estimate(tree)).unwrap_or(0)
}

async fn analyze(
    instance: &Arc<Instance>,
    shutdown: &Shutdown,
    options: &AutoAnalyzeOptions,
    due: &Due,
    failed: &mut Failed,
) {
    let session = match Session::open_internal(Arc::clone(instance), due.database) {
        Ok(session) => session,
        Err(error) => {
            debug!(%error, database = due.database.0, "a database is not looked at");
            return;
        }
    };
    let flag = session.cancel_flag();
    instance.analyzing.begin(due.database, flag.clone());
    // It keeps its thread for long: somebody else watches.
    let begun = shutdown.clone();
    let watch = Bound::new(spawn("auto-analyze watch", async move {
        begun.begun().await;
        flag.cancel(stopped());
    }));
    let kept = session.analyze_quietly(due.table, Pace::Resting(REST)).await;
    drop(watch);
    instance.analyzing.end();
    failed.remove(&due.tree);
    match kept {
        Ok(Some(rows)) => {
            instance.table_activity.analyzed(due.table, due.tree, due.changes, true);
            let catalog = instance.catalog();
            let relation = catalog.relation(due.table);
            let threshold = relation.and_then(|relation| options.threshold_of(relation, rows));
            instance
                .table_activity
                .set_due(due.tree, threshold.map_or(u64::MAX, |at| at.saturating_add(1)));
            info!(table_oid = due.table.0, rows, "analyzed a table that had changed");
        }
        // Somebody defines it anew just now: it is looked at in the next turn.
        Ok(None) => instance.table_activity.look_again(),
        // Who stopped it wanted to go first; the table is as due as before.
        Err(error) if is_stopped(&error) => {
            instance.table_activity.look_again();
            debug!(table_oid = due.table.0, %error, "a table is analyzed later");
        }
        Err(error) => {
            // Another try is worth while once as much has changed again.
            let again = due.changes.saturating_mul(2).max(u64::from(options.threshold));
            instance.table_activity.set_due(due.tree, again);
            failed.insert(due.tree, again);
            warn!(table_oid = due.table.0, %error, "a table could not be analyzed");
        }
    }
}

/// 57014
fn stopped() -> SqlError {
    SqlError::new(SqlState::QueryCanceled, "canceling autovacuum task")
}

/// Whether somebody stopped it, or holds a lock that it does not wait for.
fn is_stopped(error: &SqlError) -> bool {
    matches!(error.code(), SqlState::QueryCanceled | SqlState::LockNotAvailable)
}

/// Which database a table of is being analyzed, so that who drops the database can end that.
#[derive(Debug, Default)]
pub(crate) struct Analyzing(parking_lot::Mutex<Option<(Oid, CancelFlag)>>);

impl Analyzing {
    fn begin(&self, database: Oid, flag: CancelFlag) {
        *self.0.lock() = Some((database, flag));
    }

    fn end(&self) {
        *self.0.lock() = None;
    }

    /// Stops what goes on in a database. Whether it still goes on.
    pub(crate) fn leave(&self, database: Oid) -> bool {
        match &*self.0.lock() {
            Some((here, flag)) if *here == database => {
                flag.cancel(stopped());
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_stops_it_is_no_reason_to_warn() {
        assert!(is_stopped(&stopped()));
        assert!(!is_stopped(&SqlError::new(SqlState::DiskFull, "no space left")));
    }

    #[test]
    fn a_table_is_due_by_its_own_options_before_those_of_the_server() {
        let options = AutoAnalyzeOptions::default();
        let table = |options: &[&str]| Relation {
            options: options.iter().map(|option| (*option).to_owned()).collect(),
            ..Relation::default()
        };
        assert_eq!(options.threshold_of(&table(&[]), 1000.0), Some(150));
        assert_eq!(options.threshold_of(&table(&[]), -1.0), Some(50));
        let own = [
            "autovacuum_analyze_threshold=7",
            "autovacuum_analyze_scale_factor=0.5",
            "fillfactor=9",
        ];
        assert_eq!(options.threshold_of(&table(&own), 10.0), Some(12));
        assert_eq!(options.threshold_of(&table(&["autovacuum_enabled=off"]), 10.0), None);
        assert_eq!(options.threshold_of(&table(&["autovacuum_enabled=true"]), 10.0), Some(51));
    }
}
