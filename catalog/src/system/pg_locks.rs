//! `pg_locks`: table locks, and whoever waits for another transaction.
//!
//! Rows that are locked are not told, as in PostgreSQL, where they are marked on disk. One waits for
//! a row as one does there: the first in the queue for the transaction that holds it, those behind it
//! for the row. A row has no place on a page, so that `page` and `tuple` are NULL.

use std::collections::{BTreeMap, BTreeSet};

use aegis_storage::{LockReport, LockedObject, RowLockMode, TransactionId};
use aegis_types::{Datum, Oid};

use super::SystemContext;
use super::cell::NULL;

/// What a transaction takes of its own number, and of a row that it is next to lock.
const EXCLUSIVE: &str = "ExclusiveLock";

pub(super) fn rows(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let reports = context.server.locks();
    let trees = trees(context);
    let mut rows = Vec::new();
    let mut transactions = BTreeSet::new();
    let mut writers = BTreeSet::new();
    for report in &reports {
        if !matches!(report.object, LockedObject::Advisory { .. }) {
            transactions.insert((report.process_id, report.transaction));
        }
        match &report.object {
            LockedObject::Advisory { key, mode } => {
                let of = Oid(key.database);
                let mut shown = Shown::relation(report, of, Oid::NONE, mode.name());
                shown.kind = "advisory";
                shown.numbers = Some(((key.key >> 32) as u32, key.key as u32, key.class));
                rows.push(shown.row());
            }
            LockedObject::Table { object_id, mode } => {
                let (database, relation) = split(*object_id);
                rows.push(Shown::relation(report, database, relation, mode.name()).row());
            }
            LockedObject::Tree { .. } if report.waited.is_none() => {
                writers.insert((report.process_id, report.transaction));
            }
            LockedObject::Tree { tree, mode } | LockedObject::Row { tree, mode, .. } => {
                let of = trees.get(&tree.0);
                rows.extend(waiting_for_row(report, of, *mode));
            }
        }
    }
    for (process_id, transaction) in writers {
        let shown = Shown::own("transactionid", process_id, transaction);
        rows.push(Shown { transaction: Some(transaction), ..shown }.row());
    }
    for (process_id, transaction) in transactions {
        let shown = Shown::own("virtualxid", process_id, transaction);
        rows.push(Shown { virtual_xid: Some((process_id, transaction)), ..shown }.row());
    }
    rows
}

/// The database and the relation of a table lock.
const fn split(object_id: u64) -> (Oid, Oid) {
    (Oid((object_id >> 32) as u32), Oid(object_id as u32))
}

/// Which table or index each tree belongs to, and whether it is a table.
fn trees(context: &SystemContext<'_>) -> BTreeMap<u64, (Oid, Oid, bool)> {
    let catalog = context.catalog();
    let mut trees = BTreeMap::new();
    for database in catalog.databases() {
        for relation in catalog.relations_of(database.oid) {
            if let Some(table) = relation.as_table() {
                trees.insert(table.tree, (database.oid, relation.oid, true));
            } else if let Some(index) = relation.as_index()
                && index.tree != 0
            {
                trees.insert(index.tree, (database.oid, relation.oid, false));
            }
        }
    }
    trees
}

/// The one or two rows of whoever waits for a row or a key.
fn waiting_for_row(
    report: &LockReport,
    of: Option<&(Oid, Oid, bool)>,
    mode: RowLockMode,
) -> Vec<Vec<Datum>> {
    let is_first = report.behind == 0;
    let mut rows = Vec::new();
    // Of an index entry only the transaction is waited for.
    if let Some((database, relation, true)) = of {
        let mode = match mode {
            RowLockMode::ForKeyShare => "AccessShareLock",
            RowLockMode::ForShare => "RowShareLock",
            RowLockMode::ForNoKeyUpdate => EXCLUSIVE,
            RowLockMode::ForUpdate => "AccessExclusiveLock",
        };
        let mut tuple = Shown::relation(report, *database, *relation, mode);
        tuple.kind = "tuple";
        if is_first {
            tuple.granted = true;
            tuple.wait_start = None;
        }
        rows.push(tuple.row());
        if !is_first {
            return rows;
        }
    }
    if let Some((blocker, _)) = report.blockers.first() {
        let mut shown = Shown::own("transactionid", report.process_id, report.transaction);
        shown.transaction = Some(*blocker);
        shown.mode = "ShareLock";
        shown.granted = false;
        shown.wait_start = wait_start(report);
        rows.push(shown.row());
    }
    rows
}

/// What `pg_stat_activity` calls that which is waited for.
pub(super) fn wait_event(report: &LockReport) -> &'static str {
    match report.object {
        LockedObject::Table { .. } => "relation",
        LockedObject::Advisory { .. } => "advisory",
        LockedObject::Row { .. } | LockedObject::Tree { .. } => {
            if report.behind == 0 {
                "transactionid"
            } else {
                "tuple"
            }
        }
    }
}

fn wait_start(report: &LockReport) -> Option<i64> {
    let waited = i64::try_from(report.waited?.as_micros()).ok()?;
    aegis_types::clock::now().checked_sub(waited)
}

/// A row before it is one.
struct Shown {
    kind: &'static str,
    relation: Option<(Oid, Oid)>,
    virtual_xid: Option<(i32, TransactionId)>,
    transaction: Option<TransactionId>,
    /// `classid`, `objid`, `objsubid`
    numbers: Option<(u32, u32, u16)>,
    owner: (i32, TransactionId),
    mode: &'static str,
    granted: bool,
    wait_start: Option<i64>,
}

impl Shown {
    fn own(kind: &'static str, process_id: i32, transaction: TransactionId) -> Self {
        Self {
            kind,
            relation: None,
            virtual_xid: None,
            transaction: None,
            numbers: None,
            owner: (process_id, transaction),
            mode: EXCLUSIVE,
            granted: true,
            wait_start: None,
        }
    }

    fn relation(report: &LockReport, database: Oid, relation: Oid, mode: &'static str) -> Self {
        Self {
            relation: Some((database, relation)),
            mode,
            granted: report.waited.is_none(),
            wait_start: wait_start(report),
            ..Self::own("relation", report.process_id, report.transaction)
        }
    }

    fn row(self) -> Vec<Datum> {
        let virtual_name = |(process_id, transaction): (i32, TransactionId)| {
            format!("{process_id}/{}", transaction.0)
        };
        row![
            self.kind,
            self.relation.map(|(database, _)| database),
            self.relation.map(|(_, relation)| relation).filter(|oid| oid.is_some()),
            NULL,
            NULL,
            self.virtual_xid.map(virtual_name),
            self.transaction.map(|transaction| Oid(transaction.0 as u32)),
            self.numbers.map(|(class, _, _)| Oid(class)),
            self.numbers.map(|(_, object, _)| Oid(object)),
            self.numbers.map_or(NULL, |(_, _, sub)| Datum::Int2(sub.cast_signed())),
            virtual_name(self.owner),
            self.owner.0,
            self.mode,
            self.granted,
            false,
            self.wait_start.map(Datum::Timestamptz),
        ]
    }
}
