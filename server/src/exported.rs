//! Snapshots that transactions have exported, for others to see the same: `pg_export_snapshot` and
//! `SET TRANSACTION SNAPSHOT`, by which the workers of `pg_dump -j` dump one state.
//!
//! ```text
//! leader   BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT pg_export_snapshot()   → 00000007-00000001-1
//! worker   BEGIN ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION SNAPSHOT '00000007-00000001-1'
//! ```
//!
//! A name is good for as long as the transaction that exported it is open; who has taken the snapshot
//! by then keeps it. Nothing of this is stored: a snapshot does not outlive the server.

use std::collections::BTreeMap;
use std::sync::Arc;

use aegis_storage::SharedSnapshot;
use aegis_types::Oid;
use parking_lot::Mutex;

/// A snapshot, and where it comes from.
#[derive(Clone, Debug)]
pub(crate) struct Exported {
    /// What was seen.
    pub(crate) snapshot: SharedSnapshot,
    /// The database of the session that exported it.
    pub(crate) database: Oid,
}

#[derive(Debug, Default)]
struct Known {
    /// How many names were given.
    given: u32,
    by_name: BTreeMap<String, Exported>,
}

/// The snapshots of all open transactions that exported one.
#[derive(Clone, Debug, Default)]
pub(crate) struct ExportedSnapshots(Arc<Mutex<Known>>);

/// The right to a name, which ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Export {
    known: ExportedSnapshots,
    name: String,
}

impl ExportedSnapshots {
    /// A name that no snapshot has had since the server began.
    pub(crate) fn new_name(&self, process_id: i32) -> String {
        let mut known = self.0.lock();
        known.given = known.given.wrapping_add(1);
        format!("{process_id:08X}-{:08X}-1", known.given)
    }

    /// Makes a snapshot known by a name.
    pub(crate) fn add(&self, name: String, exported: Exported) -> Export {
        self.0.lock().by_name.insert(name.clone(), exported);
        Export { known: self.clone(), name }
    }

    /// The snapshot with this name.
    pub(crate) fn get(&self, name: &str) -> Option<Exported> {
        self.0.lock().by_name.get(name).cloned()
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        self.known.0.lock().by_name.remove(&self.name);
    }
}
