//! Namespaces: what there is besides `default`, and what each asks for.

use aegis_catalog::access::Privilege;
use aegis_sql::dml::Changes;
use aegis_sql::engine::EngineCall;
use aegis_storage::{Block, Direction, KeyRange, RowLockMode};
use aegis_types::functions::Values;
use aegis_types::{Datum, SqlError, SqlResult, SqlState};

use crate::arguments::{invalid, needed, time_of};
use crate::hook::record;
use crate::tables::{KnownTables, Tables, VALUES, kv, row_key};
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
    if name != DEFAULT {
        let wait = changes.lock_wait();
        let lock =
            changes.txn.lock_row(tables.namespaces.tree, &key, RowLockMode::ForKeyShare, wait);
        changes.context.cancel.wait(lock).await?;
    }
    match changes.newest(&tables.namespaces, &key)? {
        Some(row) => Ok(Settings::of_row(&row.values)),
        None if name == DEFAULT => Ok(Settings::default()),
        None => Err(unknown(name)),
    }
}

/// `kv_create_namespace`
pub(crate) fn create(known: &KnownTables, call: &EngineCall<'_>) -> SqlResult<Datum> {
    let name = needed(call, 0, "the name of a namespace")?;
    check_name(name)?;
    let history = match call.integer(1).unwrap_or_default() {
        history @ 0..=1000 => i32::try_from(history).unwrap_or_default(),
        _ => return Err(invalid("history must be between 0 and 1000")),
    };
    let max_bytes = match call.integer(2) {
        Some(bytes) if bytes <= 0 => return Err(invalid("max_bytes must be greater than zero")),
        other => other,
    };
    let tables = known.to_write(call, &[Privilege::INSERT])?;
    call.change(&tables.catalog, async |changes| {
        let key = row_key(&[Datum::text(name)])?;
        if changes.lock_newest(&tables.namespaces, &key).await?.is_some() {
            if call.flag(3) {
                return Ok(Datum::Bool(false));
            }
            return Err(SqlError::new(
                SqlState::DuplicateObject,
                format!("key-value namespace \"{name}\" already exists"),
            ));
        }
        let mut row = [
            Datum::text(name),
            Datum::Int4(history),
            max_bytes.map_or(Datum::Null, Datum::Int8),
            Datum::Timestamptz(time_of(&changes.context.view)),
        ];
        changes.insert_row(&tables.namespaces, &mut row, None).await?;
        if max_bytes.is_some() {
            measure(changes, &tables, name).await?;
        }
        Ok(Datum::Bool(true))
    })
}

/// Counts what a namespace holds already: `default` may have keys before it is bounded.
async fn measure(changes: &mut Changes<'_>, tables: &Tables, name: &str) -> SqlResult<()> {
    let view = changes.txn.newest_view()?;
    let range = KeyRange::prefix(&row_key(&[Datum::text(name)])?);
    let mut scan = view.scan(tables.keys.tree, range, Direction::Forward)?;
    let (mut block, mut bytes) = (Block::default(), 0);
    while scan.next_block(&mut block)? {
        for stored in block.iter() {
            let row = tables.keys.layout.decode(stored.value)?;
            bytes += value::size(&row[kv::KEY], value::of_columns(&row[kv::VALUE..]));
        }
    }
    let key = row_key(&[Datum::text(name)])?;
    let mut row = [Datum::text(name), Datum::Int8(bytes)];
    match changes.lock_newest(&tables.sizes, &key).await? {
        Some(old) => changes.update_row(&tables.sizes, &old, &mut row).await,
        None => changes.insert_row(&tables.sizes, &mut row, None).await.map(std::mem::drop),
    }
}

/// `kv_drop_namespace`: its keys go with it; watchers are told once.
pub(crate) fn drop(known: &KnownTables, call: &EngineCall<'_>) -> SqlResult<Datum> {
    let name = needed(call, 0, "the name of a namespace")?;
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
                    let values = table.layout.decode(stored.value)?;
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
