//! What is done in the background: keys and leases whose time has come are removed, and so are changes
//! that are too old to be watched. It all goes through the log, as any write.

use aegis_catalog::access::Privilege;
use aegis_sql::dml::{Changes, OldRow, TableAccess};
use aegis_sql::engine::{EngineCall, row_key, time_of};
use aegis_storage::{Block, Direction, KeyRange, RowLockMode, RowLockOutcome, RowLockWait, TreeId};
use aegis_types::{Datum, SqlError, SqlResult, key, type_oid};

use crate::tables::{KnownTables, Tables};
use crate::watch::last_revision;

/// How long changes are kept for watchers, in microseconds.
const CHANGES_KEPT: i64 = 24 * 3_600 * 1_000_000;
/// So many of them are kept at most.
const CHANGES_MAX: i64 = 1_000_000;

/// `kv_sweep`: whether there is more to do.
pub(crate) fn sweep(known: &KnownTables, call: &EngineCall<'_>) -> SqlResult<Datum> {
    let at_most = call.limit(0, "max_keys")?;
    let Some(tables) = known.to_read(call)? else { return Ok(Datum::Bool(false)) };
    let (keys, leases, changes) = due(call, &tables, at_most)?;
    if keys.is_empty() && leases.is_empty() && changes.is_empty() {
        return Ok(Datum::Bool(false));
    }
    let tables = known.to_write(call, &[Privilege::DELETE])?;
    call.change(&tables.catalog, async |writes| {
        let mut removed = changes.len();
        for key in &keys {
            removed += usize::from(remove(writes, &tables.keys, key).await?);
        }
        writes.asks_engines = false;
        for key in &leases {
            remove(writes, &tables.leases, key).await?;
        }
        for old in &changes {
            writes.delete_row(&tables.changes, old).await?;
        }
        // What is held by others now is left for later.
        let is_full = keys.len() >= at_most || changes.len() >= at_most;
        Ok(Datum::Bool(is_full && removed > 0))
    })
}

type Due = (Vec<Vec<u8>>, Vec<Vec<u8>>, Vec<OldRow>);

/// Row keys of keys and of leases that have expired, and old changes.
fn due(call: &EngineCall<'_>, tables: &Tables, at_most: usize) -> SqlResult<Due> {
    let view = &call.context.view;
    let now = time_of(view);
    let mut block = Block::default();
    let mut keys = Vec::new();
    let mut scan = view.scan(index(tables)?, KeyRange::all(), Direction::Forward)?;
    'keys: while scan.next_block(&mut block)? {
        for entry in block.iter() {
            let mut rest = entry.key;
            let until = key::decode(type_oid::TIMESTAMPTZ, false, &mut rest)?;
            let is_due = matches!(until, Datum::Timestamptz(until) if until <= now);
            if !is_due || keys.len() >= at_most {
                break 'keys;
            }
            keys.push(rest.to_vec());
        }
    }
    let mut leases = Vec::new();
    let mut scan = view.scan(tables.leases.tree, KeyRange::all(), Direction::Forward)?;
    while leases.len() < at_most && scan.next_block(&mut block)? {
        for stored in block.iter() {
            if !tables.leases.layout.is_there(stored.value, view.time_us())? {
                leases.push(stored.key.to_vec());
            }
        }
    }
    // The last change stays: it tells where watchers are.
    let last_revision = last_revision(tables, view)?;
    let last = row_key(&[Datum::Int8(last_revision)])?;
    let mut changes = Vec::new();
    let mut scan = view.scan(tables.changes.tree, KeyRange::all(), Direction::Forward)?;
    'changes: while scan.next_block(&mut block)? {
        for stored in block.iter() {
            let values = tables.changes.layout.decode(stored.value)?;
            let is_old = matches!(
                values.last(), Some(Datum::Timestamptz(time)) if *time < now - CHANGES_KEPT
            ) || matches!(
                values[0], Datum::Int8(revision) if revision <= last_revision - CHANGES_MAX
            );
            if !is_old || changes.len() >= at_most || stored.key == last {
                break 'changes;
            }
            changes.push(OldRow { key: stored.key.to_vec(), values });
        }
    }
    Ok((keys, leases, changes))
}

/// The tree of the index of what expires when.
fn index(tables: &Tables) -> SqlResult<TreeId> {
    let found = tables.keys.indexes.iter().find(|index| index.name == "kv_expires_at");
    let missing = || SqlError::internal("index kv_expires_at is missing");
    found.map(|index| index.tree).ok_or_else(missing)
}

/// Removes a row that has expired, unless somebody holds it; whether it did.
async fn remove(changes: &mut Changes<'_>, table: &TableAccess, key: &[u8]) -> SqlResult<bool> {
    let (mode, wait) = (RowLockMode::ForUpdate, RowLockWait::SkipLocked);
    let lock = changes.txn.lock_row(table.tree, key, mode, wait);
    if matches!(changes.context.cancel.wait(lock).await?, RowLockOutcome::Skipped) {
        return Ok(false);
    }
    let Some(stored) = changes.txn.get_newest(table.tree, key)? else { return Ok(false) };
    if table.layout.is_there(&stored.value, changes.context.view.time_us())? {
        return Ok(false);
    }
    let old = OldRow { key: key.to_vec(), values: table.layout.decode(&stored.value)? };
    changes.delete_row(table, &old).await?;
    Ok(true)
}
