//! How much tables have changed since they were analyzed, and when that was: in memory alone, an entry
//! a table.
//!
//! Commits add what they wrote, by tree, for an index's tree too; whoever looks at the tables next
//! forgets what is no table's. Rows of transactions that failed do not count.

use std::collections::{BTreeSet, HashMap};

use aegis_catalog::store::{CATALOG_TREE, COUNTER_TREE};
use aegis_catalog::system::TableActivityRow;
use aegis_storage::TreeId;
use aegis_types::Oid;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Changes of a tree that nobody has looked at yet, from which on somebody should.
const UNKNOWN_DUE: u64 = 50;

/// Trees that are kept without a look whether they are still there.
const TREES_DUE: usize = 4096;

/// What is known of all tables.
#[derive(Debug, Default)]
pub(crate) struct TableActivity {
    state: Mutex<State>,
    due: Notify,
}

#[derive(Debug)]
struct State {
    trees: HashMap<TreeId, Changes>,
    tables: HashMap<Oid, TableActivityRow>,
    /// With so many trees somebody is to look which of them are still there.
    trees_due: usize,
}

impl Default for State {
    fn default() -> Self {
        Self { trees: HashMap::new(), tables: HashMap::new(), trees_due: TREES_DUE }
    }
}

#[derive(Debug)]
struct Changes {
    rows: u64,
    /// From how many on somebody is told; nobody if they were.
    due: u64,
}

impl Default for Changes {
    fn default() -> Self {
        Self { rows: 0, due: UNKNOWN_DUE }
    }
}

impl TableActivity {
    /// A transaction that wrote so often to these trees has committed.
    pub(crate) fn committed(&self, changed: &[(TreeId, u64)]) {
        let mut state = self.state.lock();
        let mut is_due = false;
        for (tree, rows) in changed {
            if matches!(*tree, CATALOG_TREE | COUNTER_TREE) {
                continue;
            }
            let changes = state.trees.entry(*tree).or_default();
            changes.rows = changes.rows.saturating_add(*rows);
            if changes.rows >= changes.due {
                changes.due = u64::MAX;
                is_due = true;
            }
        }
        if state.trees.len() > state.trees_due {
            state.trees_due = usize::MAX;
            is_due = true;
        }
        drop(state);
        if is_due {
            self.due.notify_one();
        }
    }

    /// Waits until some table has changed so much that somebody is to look at it.
    pub(crate) async fn due(&self) {
        self.due.notified().await;
    }

    /// Somebody is to look at the tables.
    pub(crate) fn look_again(&self) {
        self.due.notify_one();
    }

    /// From how many changes on somebody is to look at a tree again.
    pub(crate) fn set_due(&self, tree: TreeId, due: u64) {
        self.state.lock().trees.entry(tree).or_default().due = due;
    }

    /// How much a tree has changed.
    pub(crate) fn changes(&self, tree: TreeId) -> u64 {
        self.state.lock().trees.get(&tree).map_or(0, |changes| changes.rows)
    }

    /// A table was analyzed; of its changes, so many were seen.
    pub(crate) fn analyzed(&self, table: Oid, tree: TreeId, seen: u64, is_automatic: bool) {
        let now = aegis_types::clock::now();
        let mut state = self.state.lock();
        if let Some(changes) = state.trees.get_mut(&tree) {
            changes.rows = changes.rows.saturating_sub(seen);
        }
        let row = state.tables.entry(table).or_default();
        if is_automatic {
            row.last_autoanalyze = Some(now);
            row.autoanalyze_count += 1;
        } else {
            row.last_analyze = Some(now);
            row.analyze_count += 1;
        }
    }

    /// What views show of a table.
    pub(crate) fn row(&self, table: Oid, tree: TreeId) -> TableActivityRow {
        let changes = self.changes(tree);
        let state = self.state.lock();
        let row = state.tables.get(&table).copied().unwrap_or_default();
        TableActivityRow { changes: i64::try_from(changes).unwrap_or(i64::MAX), ..row }
    }

    /// Forgets what is no table, and no tree of one, any more.
    pub(crate) fn keep(&self, tables: &BTreeSet<(Oid, TreeId)>) {
        let oids: BTreeSet<Oid> = tables.iter().map(|(oid, _)| *oid).collect();
        let trees: BTreeSet<TreeId> = tables.iter().map(|(_, tree)| *tree).collect();
        let mut state = self.state.lock();
        state.tables.retain(|oid, _| oids.contains(oid));
        state.trees.retain(|tree, _| trees.contains(tree));
        state.trees_due = TREES_DUE.max(state.trees.len() * 2);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const TREE: TreeId = TreeId(1000);

    #[tokio::test]
    async fn somebody_is_told_once_when_a_tree_is_due() {
        let activity = TableActivity::default();
        let is_told = || tokio::time::timeout(Duration::ZERO, activity.due());
        activity.committed(&[(TREE, UNKNOWN_DUE - 1), (CATALOG_TREE, 1000)]);
        assert!(is_told().await.is_err());
        activity.committed(&[(TREE, 1)]);
        assert!(is_told().await.is_ok());
        activity.committed(&[(TREE, 1000)]);
        assert!(is_told().await.is_err());
        activity.analyzed(Oid(1), TREE, activity.changes(TREE), true);
        activity.set_due(TREE, 10);
        activity.committed(&[(TREE, 10)]);
        assert!(is_told().await.is_ok());
        assert_eq!((activity.row(Oid(1), TREE).changes, activity.changes(TREE)), (10, 10));
    }

    #[test]
    fn what_is_gone_is_forgotten() {
        let activity = TableActivity::default();
        activity.committed(&[(TREE, 1), (TreeId(1001), 1)]);
        activity.analyzed(Oid(1), TREE, 0, false);
        activity.analyzed(Oid(2), TreeId(1001), 0, false);
        activity.keep(&BTreeSet::from([(Oid(1), TREE)]));
        assert_eq!(activity.row(Oid(1), TREE).analyze_count, 1);
        assert_eq!(activity.row(Oid(2), TreeId(1001)), TableActivityRow::default());
    }
}
