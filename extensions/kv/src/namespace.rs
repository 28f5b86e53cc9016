//! Namespaces: what there is besides `default`, and what each asks for.

use aegis_catalog::access::Privilege;
use aegis_sql::dml::Changes;
use aegis_sql::engine::{EngineCall, invalid, row_key, time_of};
use aegis_storage::{Block, Direction, KeyRange, RowLockMode, RowLockOutcome, RowLockWait};
use aegis_types::functions::Values;
use aegis_types::{Datum, SqlError, SqlResult, SqlState};

use crate::hook::record;
use crate::tables::{KnownTables, Tables, VALUES, kv};
use crate::value;
use crate::watch::channel;

/// The namespace that is always there.
pub(crate) const DEFAULT: &str = "default";

/// Names of channels hold them.
const NAME_BYTES_MAX: usize = 48;

/// Places in a row of `aegis.kv_namespaces`.
const HISTORY: usize = 1;
const MAX_BYTES: usize = 2;
const CREATED_AT: usize = 3;

/// What a namespace asks for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Settings {
    /// How many versions of a key are kept, the newest among them.
    pub(crate) history: i32,
    /// How many bytes keys and values take at most.
    pub(crate) max_bytes: Option<i64>,
}

impl Settings {
    fn of_row(row: &[Datum]) -> Self {
        Self {
            history: match row[HISTORY] {
                Datum::Int4(history) => history,
                _ => 0,
            },
            max_bytes: match row[MAX_BYTES] {
                Datum::Int8(bytes) => Some(bytes),
                _ => None,
            },
        }
    }
}

/// 42704
fn unknown(name: &str) -> SqlError {
    SqlError::new(
        SqlState::UndefinedObject,
        format!("key-value namespace \"{name}\" does not exist"),
    )
    .hint("Use kv_create_namespace() to create it.")
}

/// Errors: 22023, 42622
pub(crate) fn check_name(name: &str) -> SqlResult<()> {
    if name.is_empty() {
        return Err(invalid("the name of a namespace cannot be empty"));
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(SqlError::new(
            SqlState::NameTooLong,
            format!("the name of a namespace cannot be longer than {NAME_BYTES_MAX} bytes"),
        ));
    }
    Ok(())
}

/// Keeps a namespace from being dropped until the transaction ends, and tells what it asks for.
/// Errors: 42704.
pub(crate) async fn join(
    changes: &mut Changes<'_>,
    tables: &Tables,
    name: &str,
) -> SqlResult<Settings> {
    let key = row_key(&[Datum::text(name)])?;
    let wait = changes.lock_wait();
    let lock = changes.txn.lock_row(tables.namespaces.tree, &key, RowLockMode::ForKeyShare, wait);
    changes.context.cancel.wait(lock).await?;
    match changes.newest(&tables.namespaces, &key)? {
        Some(row) => Ok(Settings::of_row(&row.values)),
        None if name == DEFAULT => make_default(changes, tables, &key).await,
        None => Err(unknown(name)),
    }
}

/// Gives `default` its row with the first key, unless somebody else is about to.
async fn make_default(
    changes: &mut Changes<'_>,
    tables: &Tables,
    key: &[u8],
) -> SqlResult<Settings> {
    let (mode, wait) = (RowLockMode::ForUpdate, RowLockWait::SkipLocked);
    let lock = changes.txn.lock_row(tables.namespaces.tree, key, mode, wait);
    if matches!(changes.context.cancel.wait(lock).await?, RowLockOutcome::Skipped) {
        return Ok(Settings::default());
    }
    if let Some(row) = changes.newest(&tables.namespaces, key)? {
        return Ok(Settings::of_row(&row.values));
    }
    let hooks = std::mem::replace(&mut changes.asks_engines, false);
    let mut row = new_row(changes, DEFAULT, 0, None);
    let done = changes.insert_row(&tables.namespaces, &mut row, None).await;
    changes.asks_engines = hooks;
    done.map(|_| Settings::default())
}

fn new_row(changes: &Changes<'_>, name: &str, history: i32, max_bytes: Option<i64>) -> [Datum; 4] {
    [
        Datum::text(name),
        Datum::Int4(history),
        max_bytes.map_or(Datum::Null, Datum::Int8),
        Datum::Timestamptz(time_of(&changes.context.view)),
    ]
}

/// How many versions a namespace is to keep. Errors: 22023.
fn history_of(call: &EngineCall<'_>) -> SqlResult<Option<i32>> {
    let history = call.integer(1).map(i32::try_from);
    match history {
        None => Ok(None),
        Some(Ok(history @ 0..=1000)) => Ok(Some(history)),
        Some(_) => Err(invalid("history must be between 0 and 1000")),
    }
}

/// `kv_create_namespace`
pub(crate) fn create(known: &KnownTables, call: &EngineCall<'_>) -> SqlResult<Datum> {
    let name = call.needed(0, "the name of a namespace")?;
    check_name(name)?;
    let history = history_of(call)?.unwrap_or_default();
    let max_bytes = match call.integer(2) {
        Some(bytes) if bytes <= 0 => return Err(invalid("max_bytes must be greater than zero")),
        other => other,
    };
    let tables = known.to_write(call, &[Privilege::INSERT])?;
    call.change(&tables.catalog, async |changes| {
        let key = row_key(&[Datum::text(name)])?;
        let is_there =
            name == DEFAULT || changes.lock_newest(&tables.namespaces, &key).await?.is_some();
        if is_there {
            if call.flag(3) {
                return Ok(Datum::Bool(false));
            }
            return Err(SqlError::new(
                SqlState::DuplicateObject,
                format!("key-value namespace \"{name}\" already exists"),
            ));
        }
        let mut row = new_row(changes, name, history, max_bytes);
        changes.insert_row(&tables.namespaces, &mut row, None).await?;
        Ok(Datum::Bool(true))
    })
}

/// `kv_alter_namespace`: NULL leaves things as they are, 0 bytes are no bound.
pub(crate) fn alter(known: &KnownTables, call: &EngineCall<'_>) -> SqlResult<Datum> {
    let name = call.needed(0, "the name of a namespace")?;
    let (history, max_bytes) = (history_of(call)?, call.integer(2));
    if max_bytes.is_some_and(|bytes| bytes < 0) {
        return Err(invalid("max_bytes must be greater than zero, or 0 for no bound"));
    }
    let tables = known.to_write(call, &[Privilege::UPDATE])?;
    call.change(&tables.catalog, async |changes| {
        let key = row_key(&[Datum::text(name)])?;
        let old = changes.lock_newest(&tables.namespaces, &key).await?;
        if old.is_none() && name != DEFAULT {
            return Err(unknown(name));
        }
        let mut row = match &old {
            Some(old) => old.values.clone(),
            None => new_row(changes, name, 0, None).to_vec(),
        };
        if let Some(history) = history {
            row[HISTORY] = Datum::Int4(history);
        }
        if let Some(bytes) = max_bytes {
            row[MAX_BYTES] = if bytes == 0 { Datum::Null } else { Datum::Int8(bytes) };
        }
        match old {
            Some(old) => changes.update_row(&tables.namespaces, &old, &mut row).await?,
            None => {
                changes.insert_row(&tables.namespaces, &mut row, None).await.map(std::mem::drop)?;
            }
        }
        Ok(Datum::text(""))
    })
}

/// A namespace is written: one that is bounded from now on is measured, when all who write to it have
/// ended; of one that is not any more nobody keeps count.
pub(crate) async fn bound(
    changes: &mut Changes<'_>,
    tables: &Tables,
    old: Option<&[Datum]>,
    new: &[Datum],
) -> SqlResult<()> {
    let (was, is) = (old.map(Settings::of_row), Settings::of_row(new));
    let Datum::Text(name) = &new[0] else { return Ok(()) };
    let hooks = std::mem::replace(&mut changes.asks_engines, false);
    let (counted, counts) = (was.as_ref().and_then(|it| it.max_bytes), is.max_bytes);
    let mut done = Ok(());
    if counted.is_some() != counts.is_some() {
        done = measure(changes, tables, name, counts.is_some()).await;
    }
    if done.is_ok() && was.is_some_and(|was| was.history > is.history) {
        done = shorten(changes, tables, name, is.history).await;
    }
    changes.asks_engines = hooks;
    done
}

/// Forgets the versions of each key beyond so many.
async fn shorten(
    changes: &mut Changes<'_>,
    tables: &Tables,
    name: &str,
    history: i32,
) -> SqlResult<()> {
    let table = &tables.history;
    let range = KeyRange::prefix(&row_key(&[Datum::text(name)])?);
    let view = changes.txn.newest_view()?;
    let mut scan = view.scan(table.tree, range, Direction::Backward)?;
    let (mut block, mut key, mut kept) = (Block::default(), None, 0);
    while scan.next_block(&mut block)? {
        changes.context.cancel.check()?;
        for stored in block.iter() {
            let values = table.layout.decode(stored.value)?;
            let Datum::Text(of) = &values[1] else { continue };
            if key.as_ref() != Some(of) {
                (key, kept) = (Some(of.clone()), 0);
            }
            kept += 1;
            if kept > history
                && let Some(old) = changes.lock_newest(table, stored.key).await?
            {
                changes.delete_row(table, &old).await?;
            }
        }
    }
    Ok(())
}

/// Counts what a namespace holds already, or forgets it.
async fn measure(
    changes: &mut Changes<'_>,
    tables: &Tables,
    name: &str,
    counts: bool,
) -> SqlResult<()> {
    let key = row_key(&[Datum::text(name)])?;
    let wait = changes.lock_wait();
    let lock = changes.txn.lock_row(tables.namespaces.tree, &key, RowLockMode::ForUpdate, wait);
    changes.context.cancel.wait(lock).await?;
    let old = changes.lock_newest(&tables.sizes, &key).await?;
    if !counts {
        return match old {
            Some(old) => changes.delete_row(&tables.sizes, &old).await,
            None => Ok(()),
        };
    }
    let view = changes.txn.newest_view()?;
    let mut scan = view.scan(tables.keys.tree, KeyRange::prefix(&key), Direction::Forward)?;
    let (mut block, mut bytes) = (Block::default(), 0);
    while scan.next_block(&mut block)? {
        changes.context.cancel.check()?;
        for stored in block.iter() {
            let row = tables.keys.layout.decode(stored.value)?;
            bytes += value::size(&row[kv::KEY], value::of_columns(&row[kv::VALUE..]));
        }
    }
    let mut row = [Datum::text(name), Datum::Int8(bytes)];
    match old {
        Some(old) => changes.update_row(&tables.sizes, &old, &mut row).await,
        None => changes.insert_row(&tables.sizes, &mut row, None).await.map(std::mem::drop),
    }
}

/// `kv_drop_namespace`: its keys go with it; watchers are told once.
pub(crate) fn drop(known: &KnownTables, call: &EngineCall<'_>) -> SqlResult<Datum> {
    let name = call.needed(0, "the name of a namespace")?;
    if name == DEFAULT {
        return Err(SqlError::new(
            SqlState::DependentObjectsStillExist,
            "cannot drop key-value namespace \"default\"",
        ));
    }
    let tables = known.to_write(call, &[Privilege::DELETE])?;
    call.change(&tables.catalog, async |changes| {
        let key = row_key(&[Datum::text(name)])?;
        let Some(old) = changes.lock_newest(&tables.namespaces, &key).await? else {
            return if call.flag(1) { Ok(Datum::Bool(false)) } else { Err(unknown(name)) };
        };
        changes.asks_engines = false;
        changes.delete_row(&tables.namespaces, &old).await?;
        let view = changes.txn.newest_view()?;
        for table in [&tables.keys, &tables.history, &tables.sizes] {
            let mut scan = view.scan(table.tree, KeyRange::prefix(&key), Direction::Forward)?;
            let mut block = Block::default();
            while scan.next_block(&mut block)? {
                changes.context.cancel.check()?;
                for stored in block.iter() {
                    // Whoever gives a key another end does not join its namespace.
                    let (mode, wait) = (RowLockMode::ForUpdate, changes.lock_wait());
                    let lock = changes.txn.lock_row(table.tree, stored.key, mode, wait);
                    changes.context.cancel.wait(lock).await?;
                    let Some(newest) = changes.txn.get_newest(table.tree, stored.key)? else {
                        continue;
                    };
                    let values = table.layout.decode(&newest.value)?;
                    let old = aegis_sql::dml::OldRow { key: stored.key.to_vec(), values };
                    changes.delete_row(table, &old).await?;
                }
            }
        }
        let mut change = vec![Datum::Int8(0), Datum::text(name), Datum::Null, Datum::text("drop")];
        change.resize(change.len() + VALUES + 1, Datum::Null);
        change.push(Datum::Null);
        record(changes, &tables, change)?;
        changes.context.host.wake(&channel(name), "")?;
        Ok(Datum::Bool(true))
    })
}

/// `kv_namespaces`
pub(crate) fn list(known: &KnownTables, call: &EngineCall<'_>) -> SqlResult<Values> {
    let mut found = Vec::new();
    let mut has_default = false;
    if let Some(tables) = known.to_read(call)? {
        let view = &call.context.view;
        let mut scan = view.scan(tables.namespaces.tree, KeyRange::all(), Direction::Forward)?;
        let mut block = Block::default();
        while scan.next_block(&mut block)? {
            for stored in block.iter() {
                let row = tables.namespaces.layout.decode(stored.value)?;
                has_default |= matches!(&row[0], Datum::Text(name) if **name == *DEFAULT);
                let bytes = match view.get(tables.sizes.tree, &row_key(&row[..1])?)? {
                    Some(size) => tables.sizes.layout.decode_column(&size.value, 1)?,
                    None => Datum::Null,
                };
                found.push(vec![
                    row[0].clone(),
                    row[HISTORY].clone(),
                    row[MAX_BYTES].clone(),
                    bytes,
                    row[CREATED_AT].clone(),
                ]);
            }
        }
    }
    if !has_default {
        let null = Datum::Null;
        let row = vec![Datum::text(DEFAULT), Datum::Int4(0), null.clone(), null.clone(), null];
        found.insert(0, row);
    }
    Ok(Box::new(found.into_iter().map(|row| Ok(Datum::record(row)))))
}
