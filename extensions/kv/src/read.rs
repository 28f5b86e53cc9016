//! Reading keys: as the statement's snapshot has them, at its time.

use std::ops::Bound;
use std::sync::Arc;

use aegis_sql::engine::{EngineCall, converted, time_of};
use aegis_storage::{Block, Direction, Key, KeyRange, ReadView, Scan};
use aegis_types::functions::Values;
use aegis_types::interval::Interval;
use aegis_types::{Datum, SqlResult, SqlState, type_oid};

use crate::arguments::is_finite;
use crate::tables::{KnownTables, Tables, VALUES, key_of, kv};
use crate::value;

/// The columns of a key's row, if the key is there.
fn row(
    tables: &Tables,
    view: &ReadView,
    namespace: &str,
    key: &str,
) -> SqlResult<Option<Vec<Datum>>> {
    let Some(stored) = view.get(tables.keys.tree, &key_of(namespace, key)?)? else {
        return Ok(None);
    };
    if !tables.keys.layout.is_there(&stored.value, view.time_us())? {
        return Ok(None);
    }
    tables.keys.layout.decode(&stored.value).map(Some)
}

/// The version of a key, if it is there.
pub(crate) fn version_of(
    tables: &Tables,
    view: &ReadView,
    namespace: &str,
    key: &str,
) -> SqlResult<Option<i64>> {
    Ok(match row(tables, view, namespace, key)?.as_deref().map(|row| &row[kv::VERSION]) {
        Some(Datum::Int8(version)) => Some(*version),
        _ => None,
    })
}

fn row_of_call(known: &KnownTables, call: &EngineCall<'_>) -> SqlResult<Option<Vec<Datum>>> {
    let Some(tables) = known.to_read(call)? else { return Ok(None) };
    let (key, namespace) = (call.text(0).unwrap_or_default(), call.text(1).unwrap_or_default());
    row(&tables, &call.context.view, namespace, key)
}

/// `kv_get`, `kv_get_jsonb`, `kv_get_bytea`
pub(crate) fn get(known: &KnownTables, call: &EngineCall<'_>) -> SqlResult<Datum> {
    let wanted = match call.name {
        "kv_get_jsonb" => type_oid::JSONB,
        "kv_get_bytea" => type_oid::BYTEA,
        _ => type_oid::TEXT,
    };
    match row_of_call(known, call)? {
        Some(row) => converted(value::of_columns(&row[kv::VALUE..]), wanted).map_err(|error| {
            match error.code() {
                SqlState::CharacterNotInRepertoire => {
                    error.hint("Use kv_get_bytea() for values that are not text.")
                }
                _ => error,
            }
        }),
        None => Ok(Datum::Null),
    }
}

/// `kv_exists`
pub(crate) fn exists(known: &KnownTables, call: &EngineCall<'_>) -> SqlResult<Datum> {
    Ok(Datum::Bool(row_of_call(known, call)?.is_some()))
}

/// `kv_version`
pub(crate) fn version(known: &KnownTables, call: &EngineCall<'_>) -> SqlResult<Datum> {
    Ok(row_of_call(known, call)?.map_or(Datum::Null, |row| row[kv::VERSION].clone()))
}

/// `kv_ttl`: NULL where there is no key, or it does not expire.
pub(crate) fn ttl(known: &KnownTables, call: &EngineCall<'_>) -> SqlResult<Datum> {
    let row = row_of_call(known, call)?;
    Ok(match row.map(|row| row[kv::EXPIRES_AT].clone()) {
        Some(Datum::Timestamptz(until)) if is_finite(until) => Datum::Interval(Interval {
            microseconds: until - time_of(&call.context.view),
            ..Interval::default()
        }),
        _ => Datum::Null,
    })
}

/// `kv_entry`: one row, or none.
pub(crate) fn entry(known: &KnownTables, call: &EngineCall<'_>) -> SqlResult<Values> {
    let row = row_of_call(known, call)?;
    Ok(Box::new(row.into_iter().map(|row| Ok(Datum::record(&row[kv::VALUE..])))))
}

/// `kv_mget`: a row for every key, in their order.
pub(crate) fn get_many(known: &KnownTables, call: &EngineCall<'_>) -> SqlResult<Values> {
    let Datum::Array(keys) = call.argument(0) else { return Ok(Box::new(std::iter::empty())) };
    let namespace = call.text(1).unwrap_or_default();
    let tables = known.to_read(call)?;
    let view = &call.context.view;
    let mut found = Vec::with_capacity(keys.elements.len());
    for key in &keys.elements {
        let row = match (key, &tables) {
            (Datum::Text(key), Some(tables)) => row(tables, view, namespace, key)?,
            _ => None,
        };
        let mut columns = vec![key.clone()];
        match row {
            Some(row) => columns.extend_from_slice(&row[kv::VALUE..=kv::VERSION]),
            None => columns.resize(5, Datum::Null),
        }
        found.push(Ok(Datum::record(columns)));
    }
    Ok(Box::new(found.into_iter()))
}

/// The keys of a namespace that begin with a prefix.
fn range_of_prefix(namespace: &str, prefix: &str) -> SqlResult<KeyRange> {
    Ok(KeyRange::prefix(&start_of_key(namespace, prefix)?))
}

/// What the row keys of a namespace's keys begin with that begin with a prefix.
fn start_of_key(namespace: &str, prefix: &str) -> SqlResult<Vec<u8>> {
    let mut bytes = key_of(namespace, prefix)?;
    // The byte that ends a text.
    bytes.pop();
    Ok(bytes)
}

/// Rows of a range of keys, as they are asked for.
struct Rows {
    tables: Arc<Tables>,
    view: ReadView,
    scan: Scan,
    block: Block,
    at: usize,
}

impl Rows {
    fn new(tables: Arc<Tables>, view: &ReadView, range: KeyRange) -> SqlResult<Self> {
        let scan = view.scan(tables.keys.tree, range, Direction::Forward)?;
        Ok(Self { tables, view: view.clone(), scan, block: Block::default(), at: 0 })
    }

    fn next(&mut self) -> SqlResult<Option<Vec<Datum>>> {
        loop {
            while self.at < self.block.len() {
                let stored = self.block.row(self.at).value;
                self.at += 1;
                let layout = &self.tables.keys.layout;
                if layout.is_there(stored, self.view.time_us())? {
                    return layout.decode(stored).map(Some);
                }
            }
            self.at = 0;
            if !self.scan.next_block(&mut self.block)? {
                return Ok(None);
            }
        }
    }
}

impl Iterator for Rows {
    type Item = SqlResult<Vec<Datum>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next().transpose()
    }
}

/// `kv_count`
pub(crate) fn count(known: &KnownTables, call: &EngineCall<'_>) -> SqlResult<Datum> {
    let Some(tables) = known.to_read(call)? else { return Ok(Datum::Int8(0)) };
    let (prefix, namespace) = (call.text(0).unwrap_or_default(), call.text(1).unwrap_or_default());
    let view = &call.context.view;
    let range = range_of_prefix(namespace, prefix)?;
    let mut scan = view.scan(tables.keys.tree, range, Direction::Forward)?;
    let (mut block, mut count) = (Block::default(), 0);
    while scan.next_block(&mut block)? {
        call.context.cancel.check()?;
        for row in block.iter() {
            count += i64::from(tables.keys.layout.is_there(row.value, view.time_us())?);
        }
    }
    Ok(Datum::Int8(count))
}

/// `kv_scan`: keys with a prefix, in a range (the first in it, the last beyond it), behind a key.
pub(crate) fn scan(known: &KnownTables, call: &EngineCall<'_>) -> SqlResult<Values> {
    let Some(tables) = known.to_read(call)? else { return Ok(Box::new(std::iter::empty())) };
    let namespace = call.needed(5, "a namespace")?;
    let mut range = range_of_prefix(namespace, call.text(0).unwrap_or_default())?;
    if let Some(from) = call.text(1) {
        raise(&mut range, Bound::Included(Key::new(&key_of(namespace, from)?)));
    }
    if let Some(after) = call.text(3) {
        raise(&mut range, Bound::Excluded(Key::new(&key_of(namespace, after)?)));
    }
    if let Some(to) = call.text(2) {
        let to = Key::new(&key_of(namespace, to)?);
        let is_lower = match &range.upper {
            Bound::Included(upper) | Bound::Excluded(upper) => to < *upper,
            Bound::Unbounded => true,
        };
        if is_lower {
            range.upper = Bound::Excluded(to);
        }
    }
    if range.is_empty() {
        return Ok(Box::new(std::iter::empty()));
    }
    let rows = Rows::new(tables, &call.context.view, range)?;
    let rows = rows.take(call.limit(4, "max_keys")?);
    Ok(Box::new(rows.map(|row| Ok(Datum::record(&row?[kv::KEY..=kv::EXPIRES_AT])))))
}

fn raise(range: &mut KeyRange, to: Bound<Key>) {
    let key = |bound: &Bound<Key>| match bound {
        Bound::Included(key) => Some((key.clone(), false)),
        Bound::Excluded(key) => Some((key.clone(), true)),
        Bound::Unbounded => None,
    };
    if key(&to) > key(&range.lower) {
        range.lower = to;
    }
}

/// `kv_history`: the versions that are kept, the newest first.
pub(crate) fn history(known: &KnownTables, call: &EngineCall<'_>) -> SqlResult<Values> {
    let Some(tables) = known.to_read(call)? else { return Ok(Box::new(std::iter::empty())) };
    let (key, namespace) = (call.text(0).unwrap_or_default(), call.text(2).unwrap_or_default());
    let at_most = call.limit(1, "max_entries")?;
    let view = &call.context.view;
    let mut found = Vec::new();
    let range = KeyRange::prefix(&key_of(namespace, key)?);
    let mut scan = view.scan(tables.history.tree, range, Direction::Backward)?;
    let mut block = Block::default();
    while found.len() < at_most && scan.next_block(&mut block)? {
        for stored in block.iter() {
            let row = tables.history.layout.decode(stored.value)?;
            // Without the namespace and the key.
            found.push(Ok(Datum::record(&row[2..2 + VALUES + 3])));
        }
    }
    found.truncate(at_most);
    // A namespace without history knows what is.
    if found.is_empty()
        && at_most > 0
        && let Some(row) = row(&tables, view, namespace, key)?
    {
        let mut columns = vec![row[kv::VERSION].clone(), Datum::text("put")];
        columns.extend_from_slice(&row[kv::VALUE..kv::VALUE + VALUES]);
        columns.push(row[kv::CHANGED_AT].clone());
        found.push(Ok(Datum::record(columns)));
    }
    Ok(Box::new(found.into_iter()))
}
