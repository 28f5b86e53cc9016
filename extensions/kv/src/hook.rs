//! What happens whenever a row of the engine's tables is written, by a function or by a statement.

use std::sync::Arc;

use aegis_sql::dml::{Changes, OldRow, TableAccess};
use aegis_sql::engine::{RowHook, row_key, time_of};
use aegis_storage::{Counter, Direction, KeyRange};
use aegis_types::{Datum, SqlError, SqlResult, SqlState};
use async_trait::async_trait;

use crate::namespace::{self, Settings};
use crate::tables::{KnownTables, Tables, VALUES, kv};
use crate::value;
use crate::watch::channel;

/// So many changes of a key by one transaction have versions of their own.
const VERSIONS_A_COMMIT: i64 = 1 << 10;

/// Looks after `aegis.kv`.
#[derive(Debug)]
pub(crate) struct Keys(pub(crate) Arc<KnownTables>);

/// Looks after what is recorded: nobody else writes there.
pub(crate) struct Recorded;

/// Looks after `aegis.kv_namespaces`.
#[derive(Debug)]
pub(crate) struct Namespaces(pub(crate) Arc<KnownTables>);

/// Looks after `aegis.kv_leases`.
pub(crate) struct Leases;

/// The version of a key that is locked: greater than any that it has had, even before it was deleted,
/// because whoever wrote those has committed before the newest commit, or is this transaction.
fn next_version(
    changes: &Changes<'_>,
    tables: &Tables,
    old: Option<&OldRow>,
    named: &[Datum],
) -> SqlResult<i64> {
    let commits = i64::try_from(changes.txn.newest_seq().0).unwrap_or(i64::MAX >> 11);
    let floor = (commits + 1) * VERSIONS_A_COMMIT;
    let version = match old.filter(|old| is_same_key(old, named)) {
        Some(old) => match old.values[kv::VERSION] {
            Datum::Int8(version) => version + 1,
            _ => floor,
        },
        // Deleted by this transaction: it has written more often than it has given versions.
        None if changes.txn.has_changed(tables.keys.tree, &row_key(&named[..=kv::KEY])?)? => {
            floor + i64::try_from(changes.txn.written().0).unwrap_or(VERSIONS_A_COMMIT)
        }
        None => floor,
    };
    Ok(version.clamp(floor, floor + VERSIONS_A_COMMIT - 1))
}

fn is_same_key(old: &OldRow, row: &[Datum]) -> bool {
    text(&old.values[kv::NAMESPACE]) == text(&row[kv::NAMESPACE])
        && text(&old.values[kv::KEY]) == text(&row[kv::KEY])
}

/// A time; none for NULL.
fn value_at(row: &[Datum], column: usize) -> Option<i64> {
    match row[column] {
        Datum::Timestamptz(time) => Some(time),
        _ => None,
    }
}

fn text(datum: &Datum) -> &str {
    match datum {
        Datum::Text(text) => text,
        _ => "",
    }
}

#[async_trait]
impl RowHook for Keys {
    fn before(
        &self,
        changes: &mut Changes<'_>,
        _: &TableAccess,
        old: Option<&OldRow>,
        row: &mut [Datum],
    ) -> SqlResult<()> {
        let tables = self.0.of(changes.context)?;
        row[kv::VERSION] = Datum::Int8(next_version(changes, &tables, old, row)?);
        row[kv::CHANGED_AT] = Datum::Timestamptz(time_of(&changes.context.view));
        if let Datum::Int8(lease) = row[kv::LEASE] {
            let key = row_key(&[Datum::Int8(lease)])?;
            let found = changes.newest(&tables.leases, &key)?;
            let found = found.ok_or_else(|| crate::lease::unknown(lease))?;
            row[kv::EXPIRES_AT] = found.values[crate::lease::EXPIRES_AT].clone();
        }
        Ok(())
    }

    async fn after(
        &self,
        changes: &mut Changes<'_>,
        _: &TableAccess,
        old: Option<&OldRow>,
        row: Option<&[Datum]>,
    ) -> SqlResult<()> {
        let tables = self.0.of(changes.context)?;
        if let Some(row) = row
            && let Datum::Int8(lease) = row[kv::LEASE]
        {
            let held = crate::lease::hold(changes, &tables, lease).await?;
            if value_at(&held.values, crate::lease::EXPIRES_AT) != value_at(row, kv::EXPIRES_AT) {
                return Err(SqlError::new(
                    SqlState::TRSerializationFailure,
                    "could not serialize access due to concurrent update",
                ));
            }
        }
        match (old, row) {
            // An UPDATE has given it another name.
            (Some(old), Some(row)) if !is_same_key(old, row) => {
                written(changes, &tables, Some(old), None).await?;
                written(changes, &tables, None, Some(row)).await
            }
            _ => written(changes, &tables, old, row).await,
        }
    }
}

/// Records a change of one key.
async fn written(
    changes: &mut Changes<'_>,
    tables: &Tables,
    old: Option<&OldRow>,
    row: Option<&[Datum]>,
) -> SqlResult<()> {
    let Some(named) = row.or(old.map(|old| old.values.as_slice())) else { return Ok(()) };
    let (space, key) = (named[kv::NAMESPACE].clone(), named[kv::KEY].clone());
    let settings = match namespace::join(changes, tables, text(&space)).await {
        // What is left over can always be removed.
        Err(error) if row.is_none() && error.code() == SqlState::UndefinedObject => {
            Settings::default()
        }
        settings => settings?,
    };
    let now = time_of(&changes.context.view);
    let (operation, version) = match (row, old) {
        (Some(row), _) => ("put", row[kv::VERSION].clone()),
        (None, old) => {
            let has_expired = old.is_some_and(|old| {
                matches!(old.values[kv::EXPIRES_AT], Datum::Timestamptz(until) if until <= now)
            });
            let version = Datum::Int8(next_version(changes, tables, old, named)?);
            (if has_expired { "expire" } else { "delete" }, version)
        }
    };
    let values = match row {
        Some(row) => row[kv::VALUE..kv::VALUE + VALUES].to_vec(),
        None => vec![Datum::Null; VALUES],
    };
    if settings.history > 1 {
        let fixed = [space.clone(), key.clone(), version.clone(), Datum::text(operation)];
        let rest = values.iter().cloned().chain([Datum::Timestamptz(now)]);
        remember(changes, tables, fixed.into_iter().chain(rest).collect(), settings).await?;
    }
    if let Some(most) = settings.max_bytes {
        let size = |row: &[Datum]| value::size(&row[kv::KEY], value::of_columns(&row[kv::VALUE..]));
        let grown = row.map_or(0, size) - old.map_or(0, |old| size(&old.values));
        grow(changes, tables, text(&space), grown, most).await?;
    }
    let mut change = vec![Datum::Int8(0), space.clone(), key.clone(), Datum::text(operation)];
    change.extend(values);
    change.extend([version, Datum::Timestamptz(now)]);
    record(changes, tables, change)?;
    changes.context.host.wake(&channel(text(&space)), text(&key))
}

/// Adds a change to those that watchers read.
pub(crate) fn record(
    changes: &mut Changes<'_>,
    tables: &Tables,
    mut change: Vec<Datum>,
) -> SqlResult<()> {
    let counter = Counter { tree: tables.changes.tree, part: 0 };
    let time = change.len() - 1;
    changes.append_row(&tables.changes, &mut change, counter, 1, Some(time))
}

/// Keeps a version, and forgets the one that is too old by now.
async fn remember(
    changes: &mut Changes<'_>,
    tables: &Tables,
    mut row: Vec<Datum>,
    settings: Settings,
) -> SqlResult<()> {
    let key = row_key(&row[..2])?;
    let most = usize::try_from(settings.history).unwrap_or_default();
    let own = row_key(&row[..3])?;
    let hooks = std::mem::replace(&mut changes.asks_engines, false);
    let done = match changes.newest(&tables.history, &own)? {
        // The last version that one transaction can give.
        Some(same) => changes.update_row(&tables.history, &same, &mut row).await,
        None => changes.insert_row(&tables.history, &mut row, None).await.map(drop),
    };
    changes.asks_engines = hooks;
    done?;
    let view = changes.txn.newest_view()?;
    let mut scan = view.scan(tables.history.tree, KeyRange::prefix(&key), Direction::Backward)?;
    let (mut block, mut seen, mut old) = (aegis_storage::Block::default(), 0, Vec::new());
    while scan.next_block(&mut block)? {
        for stored in block.iter() {
            seen += 1;
            if seen > most {
                old.push(stored.key.to_vec());
            }
        }
    }
    for key in old {
        changes.txn.delete(tables.history.tree, &key)?;
    }
    Ok(())
}

/// Counts the bytes of a namespace that is bounded: whoever writes to it waits for the others.
async fn grow(
    changes: &mut Changes<'_>,
    tables: &Tables,
    space: &str,
    grown: i64,
    most: i64,
) -> SqlResult<()> {
    let key = row_key(&[Datum::text(space)])?;
    let old = changes.lock_newest(&tables.sizes, &key).await?;
    let bytes = match old.as_ref().map(|old| &old.values[1]) {
        Some(Datum::Int8(bytes)) => *bytes,
        _ => 0,
    };
    let bytes = bytes.saturating_add(grown).max(0);
    if grown > 0 && bytes > most {
        return Err(SqlError::new(
            SqlState::ConfigurationLimitExceeded,
            format!("key-value namespace \"{space}\" is full"),
        )
        .detail(format!("Its keys and values would take {bytes} of {most} bytes.")));
    }
    let hooks = std::mem::replace(&mut changes.asks_engines, false);
    let mut row = [Datum::text(space), Datum::Int8(bytes)];
    let done = match old {
        Some(old) => changes.update_row(&tables.sizes, &old, &mut row).await,
        None => changes.insert_row(&tables.sizes, &mut row, None).await.map(drop),
    };
    changes.asks_engines = hooks;
    done
}

/// 55000
fn refused(table: &TableAccess, hint: &str) -> SqlError {
    SqlError::new(
        SqlState::ObjectNotInPrerequisiteState,
        format!("rows of \"{}\" are written by key-value functions alone", table.relation.name),
    )
    .hint(hint)
}

#[async_trait]
impl RowHook for Recorded {
    fn before(
        &self,
        _: &mut Changes<'_>,
        table: &TableAccess,
        _: Option<&OldRow>,
        _: &mut [Datum],
    ) -> SqlResult<()> {
        Err(refused(table, "Change the keys in aegis.kv."))
    }

    async fn after(
        &self,
        _: &mut Changes<'_>,
        table: &TableAccess,
        _: Option<&OldRow>,
        _: Option<&[Datum]>,
    ) -> SqlResult<()> {
        Err(refused(table, "Change the keys in aegis.kv."))
    }
}

#[async_trait]
impl RowHook for Namespaces {
    fn before(
        &self,
        _: &mut Changes<'_>,
        table: &TableAccess,
        old: Option<&OldRow>,
        row: &mut [Datum],
    ) -> SqlResult<()> {
        namespace::check_name(text(&row[0]))?;
        match old {
            Some(old) if text(&old.values[0]) != text(&row[0]) => {
                Err(refused(table, "A namespace keeps its name."))
            }
            _ => Ok(()),
        }
    }

    async fn after(
        &self,
        changes: &mut Changes<'_>,
        table: &TableAccess,
        old: Option<&OldRow>,
        row: Option<&[Datum]>,
    ) -> SqlResult<()> {
        let Some(row) = row else { return Err(refused(table, "Use kv_drop_namespace().")) };
        let tables = self.0.of(changes.context)?;
        namespace::bound(changes, &tables, old.map(|old| old.values.as_slice()), row).await
    }
}

#[async_trait]
impl RowHook for Leases {
    fn before(
        &self,
        _: &mut Changes<'_>,
        table: &TableAccess,
        old: Option<&OldRow>,
        _: &mut [Datum],
    ) -> SqlResult<()> {
        match old {
            Some(_) => Err(refused(table, "Use kv_lease_keep_alive().")),
            None => Ok(()),
        }
    }

    async fn after(
        &self,
        changes: &mut Changes<'_>,
        table: &TableAccess,
        old: Option<&OldRow>,
        row: Option<&[Datum]>,
    ) -> SqlResult<()> {
        let now = time_of(&changes.context.view);
        let end = old.and_then(|old| value_at(&old.values, crate::lease::EXPIRES_AT));
        match row {
            // Another takes the place of one that has ended.
            None if end.is_none_or(|end| end > now) => {
                Err(refused(table, "Use kv_lease_revoke()."))
            }
            _ => Ok(()),
        }
    }
}
