//! Leases: keys that live as long as somebody says so. A key has its lease's end for its own, and
//! whoever keeps the lease alive moves all of them.

use aegis_catalog::access::Privilege;
use aegis_sql::dml::{Changes, OldRow};
use aegis_sql::engine::{EngineCall, invalid, row_key, time_of};
use aegis_storage::{Block, Direction, KeyRange, RowLockMode, TreeId};
use aegis_types::functions::Values;
use aegis_types::{Datum, SqlError, SqlResult, SqlState, key, type_oid};

use crate::arguments::end_of;
use crate::tables::{KnownTables, Tables, kv};

/// Places in a row of `aegis.kv_leases`.
const TTL: usize = 1;
pub(crate) const EXPIRES_AT: usize = 3;

/// Numbers that every client can hold exactly.
const IDS: u64 = (1 << 53) - 1;

/// 42704
pub(crate) fn unknown(lease: i64) -> SqlError {
    SqlError::new(SqlState::UndefinedObject, format!("lease {lease} does not exist"))
}

/// `kv_lease_grant`
pub(crate) fn grant(known: &KnownTables, call: &EngineCall<'_>) -> SqlResult<Datum> {
    let Some(expires_at) = end_of(call, 0)? else {
        return Err(SqlError::new(SqlState::NullValueNotAllowed, "a lease needs a time to live"));
    };
    let id = match call.integer(1) {
        Some(id) if id <= 0 => return Err(invalid("the id of a lease must be greater than zero")),
        Some(id) => id,
        None => by_chance()?,
    };
    let tables = known.to_write(call, &[Privilege::INSERT])?;
    call.change(&tables.catalog, async |changes| {
        let key = row_key(&[Datum::Int8(id)])?;
        if changes.lock_newest(&tables.leases, &key).await?.is_some() {
            return Err(SqlError::new(
                SqlState::DuplicateObject,
                format!("lease {id} already exists"),
            ));
        }
        let mut row = [
            Datum::Int8(id),
            call.argument(0).clone(),
            Datum::Timestamptz(time_of(&changes.context.view)),
            Datum::Timestamptz(expires_at),
        ];
        changes.insert_row(&tables.leases, &mut row, None).await?;
        Ok(Datum::Int8(id))
    })
}

fn by_chance() -> SqlResult<i64> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)
        .map_err(|error| SqlError::internal(format!("could not generate a random id: {error}")))?;
    Ok(i64::try_from(u64::from_le_bytes(bytes) & IDS).unwrap_or(1).max(1))
}

/// Keeps a lease as it is until the transaction ends. Functions do so before they lock a key, so that
/// none waits for another in a circle. Errors: 42704.
pub(crate) async fn hold(
    changes: &mut Changes<'_>,
    tables: &Tables,
    lease: i64,
) -> SqlResult<OldRow> {
    let key = row_key(&[Datum::Int8(lease)])?;
    let wait = changes.lock_wait();
    let lock = changes.txn.lock_row(tables.leases.tree, &key, RowLockMode::ForShare, wait);
    changes.context.cancel.wait(lock).await?;
    changes.newest(&tables.leases, &key)?.ok_or_else(|| unknown(lease))
}

/// The tree of the index that finds the keys of a lease.
fn index(tables: &Tables) -> SqlResult<TreeId> {
    let found = tables.keys.indexes.iter().find(|index| index.name == "kv_lease");
    found.map(|index| index.tree).ok_or_else(|| SqlError::internal("index kv_lease is missing"))
}

/// The row keys of a lease's keys.
fn keys_of(changes: &Changes<'_>, tables: &Tables, lease: i64) -> SqlResult<Vec<Vec<u8>>> {
    let mut prefix = Vec::new();
    key::encode(type_oid::INT8, &Datum::Int8(lease), false, false, &mut prefix)?;
    let view = changes.txn.newest_view()?;
    let mut scan = view.scan(index(tables)?, KeyRange::prefix(&prefix), Direction::Forward)?;
    let (mut block, mut found) = (Block::default(), Vec::new());
    while scan.next_block(&mut block)? {
        found.extend(block.iter().map(|entry| entry.key[prefix.len()..].to_vec()));
    }
    Ok(found)
}

async fn locked_keys(
    changes: &mut Changes<'_>,
    tables: &Tables,
    lease: i64,
) -> SqlResult<Vec<OldRow>> {
    let mut rows = Vec::new();
    for key in keys_of(changes, tables, lease)? {
        let row = changes.lock_newest(&tables.keys, &key).await?;
        rows.extend(
            row.filter(|row| matches!(row.values[kv::LEASE], Datum::Int8(id) if id == lease)),
        );
    }
    Ok(rows)
}

/// `kv_lease_keep_alive`: until when it lives now; NULL where it has ended.
pub(crate) fn keep_alive(known: &KnownTables, call: &EngineCall<'_>) -> SqlResult<Datum> {
    let id = call.integer(0).unwrap_or_default();
    let tables = known.to_write(call, &[Privilege::UPDATE])?;
    call.change(&tables.catalog, async |changes| {
        let old = changes.lock_newest(&tables.leases, &row_key(&[Datum::Int8(id)])?).await?;
        let Some(old) = old else { return Ok(Datum::Null) };
        let Datum::Interval(ttl) = &old.values[TTL] else {
            return Err(SqlError::internal("a lease has no time to live"));
        };
        let now = i128::from(time_of(&changes.context.view));
        let end = Datum::Timestamptz(i64::try_from(now + ttl.span()).unwrap_or(i64::MAX));
        changes.asks_engines = false;
        for key in locked_keys(changes, &tables, id).await? {
            let mut row = key.values.clone();
            row[kv::EXPIRES_AT] = end.clone();
            changes.update_row(&tables.keys, &key, &mut row).await?;
        }
        let mut row = old.values.clone();
        row[EXPIRES_AT] = end.clone();
        changes.update_row(&tables.leases, &old, &mut row).await?;
        Ok(end)
    })
}

/// `kv_lease_revoke`: how many keys went with it.
pub(crate) fn revoke(known: &KnownTables, call: &EngineCall<'_>) -> SqlResult<Datum> {
    let id = call.integer(0).unwrap_or_default();
    let tables = known.to_write(call, &[Privilege::DELETE])?;
    call.change(&tables.catalog, async |changes| {
        let old = changes.lock_newest(&tables.leases, &row_key(&[Datum::Int8(id)])?).await?;
        let Some(old) = old else { return Err(unknown(id)) };
        let keys = locked_keys(changes, &tables, id).await?;
        for key in &keys {
            changes.delete_row(&tables.keys, key).await?;
        }
        changes.asks_engines = false;
        changes.delete_row(&tables.leases, &old).await?;
        Ok(Datum::Int8(i64::try_from(keys.len()).unwrap_or(i64::MAX)))
    })
}

/// `kv_leases`: those that live.
pub(crate) fn list(known: &KnownTables, call: &EngineCall<'_>) -> SqlResult<Values> {
    let Some(tables) = known.to_read(call)? else { return Ok(Box::new(std::iter::empty())) };
    let view = &call.context.view;
    let mut scan = view.scan(tables.leases.tree, KeyRange::all(), Direction::Forward)?;
    let (mut block, mut found) = (Block::default(), Vec::new());
    while scan.next_block(&mut block)? {
        for stored in block.iter() {
            if !tables.leases.layout.is_there(stored.value, view.time_us())? {
                continue;
            }
            let mut row = tables.leases.layout.decode(stored.value)?;
            let mut prefix = Vec::new();
            key::encode(type_oid::INT8, &row[0], false, false, &mut prefix)?;
            let mut keys =
                view.scan(index(&tables)?, KeyRange::prefix(&prefix), Direction::Forward)?;
            let (mut some, mut count) = (Block::default(), 0);
            while keys.next_block(&mut some)? {
                count += some.len();
            }
            row.push(Datum::Int8(i64::try_from(count).unwrap_or(i64::MAX)));
            found.push(Ok(Datum::record(row)));
        }
    }
    Ok(Box::new(found.into_iter()))
}
