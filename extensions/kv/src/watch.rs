//! Watching: every change of keys once, in the order of commits.
//!
//! A change is a row of `aegis.kv_changes`, numbered when its transaction commits: its *revision*. Who
//! has seen a revision has seen all before it, and goes on behind it, after a restart too.

use std::ops::Bound;
use std::sync::Arc;
use std::time::Instant;

use aegis_sql::engine::{EngineCall, invalid, row_key};
use aegis_storage::{Block, Direction, Key, KeyRange, ReadView};
use aegis_types::functions::Values;
use aegis_types::{Datum, SqlError, SqlResult, SqlState, key, type_oid};

use crate::tables::{KnownTables, Tables};

/// Places in a row of `aegis.kv_changes`.
const REVISION: usize = 0;
const NAMESPACE: usize = 1;
const KEY: usize = 2;

/// The channel that is woken by changes of a namespace's keys.
pub(crate) fn channel(namespace: &str) -> String {
    format!("kv/{namespace}")
}

/// The revision of the last change that a view sees; 0 before the first.
pub(crate) fn last_revision(tables: &Tables, view: &ReadView) -> SqlResult<i64> {
    end_of_changes(tables, view, Direction::Backward)
}

fn end_of_changes(tables: &Tables, view: &ReadView, direction: Direction) -> SqlResult<i64> {
    let mut scan = view.scan(tables.changes.tree, KeyRange::all(), direction)?;
    let mut block = Block::default();
    while scan.next_block(&mut block)? {
        if !block.is_empty() {
            let revision = tables.changes.layout.decode_column(block.row(0).value, REVISION)?;
            return Ok(integer(&revision));
        }
    }
    Ok(0)
}

fn integer(datum: &Datum) -> i64 {
    match datum {
        Datum::Int8(value) => *value,
        _ => 0,
    }
}

/// `kv_revision`
pub(crate) fn revision(known: &KnownTables, call: &EngineCall<'_>) -> SqlResult<Datum> {
    let last = match known.to_read(call)? {
        Some(tables) => last_revision(&tables, &call.context.view)?,
        None => 0,
    };
    Ok(Datum::Int8(last))
}

/// What a watcher wants to see.
struct Wanted<'a> {
    namespace: &'a str,
    key: Option<&'a str>,
    prefix: Option<&'a str>,
    at_most: usize,
}

impl Wanted<'_> {
    fn matches(&self, row: &[Datum]) -> bool {
        let text = |datum: &Datum| match datum {
            Datum::Text(text) => Some(text.clone()),
            _ => None,
        };
        if text(&row[NAMESPACE]).as_deref() != Some(self.namespace) {
            return false;
        }
        // A namespace that is dropped concerns all of its keys.
        let Some(key) = text(&row[KEY]) else { return true };
        self.key.is_none_or(|wanted| *key == *wanted)
            && self.prefix.is_none_or(|prefix| key.starts_with(prefix))
    }

    /// The changes behind a revision, and the last revision that was looked at.
    fn behind(
        &self,
        call: &EngineCall<'_>,
        tables: &Tables,
        view: &ReadView,
        revision: i64,
    ) -> SqlResult<(Vec<SqlResult<Datum>>, i64)> {
        let behind = Key::new(&row_key(&[Datum::Int8(revision)])?);
        let range = KeyRange { lower: Bound::Excluded(behind), upper: Bound::Unbounded };
        let mut scan = view.scan(tables.changes.tree, range, Direction::Forward)?;
        let (mut block, mut found, mut last) = (Block::default(), Vec::new(), revision);
        while found.len() < self.at_most && scan.next_block(&mut block)? {
            call.context.cancel.check()?;
            for stored in block.iter() {
                let mut row = tables.changes.layout.decode(stored.value)?;
                last = integer(&row[REVISION]);
                if self.matches(&row) {
                    row.remove(NAMESPACE);
                    found.push(Ok(Datum::record(row)));
                }
                if found.len() >= self.at_most {
                    break;
                }
            }
        }
        Ok((found, last))
    }
}

/// The revision of the change that gave a key its version. Other keys may have the same version.
fn revision_of(
    tables: &Tables,
    view: &ReadView,
    (namespace, key): (&str, &str),
    version: i64,
) -> SqlResult<i64> {
    if version == 0 {
        return Ok(0);
    }
    // It has not changed since, however long ago that was.
    if crate::read::version_of(tables, view, namespace, key)? == Some(version) {
        return last_revision(tables, view);
    }
    let mut indexes = tables.changes.indexes.iter();
    let index = indexes.find(|index| index.name == "kv_changes_version");
    let index = index.ok_or_else(|| SqlError::internal("index kv_changes_version is missing"))?;
    let mut prefix = Vec::new();
    key::encode(type_oid::INT8, &Datum::Int8(version), false, false, &mut prefix)?;
    let mut scan = view.scan(index.tree, KeyRange::prefix(&prefix), Direction::Backward)?;
    let mut block = Block::default();
    let wanted = Wanted { namespace, key: Some(key), prefix: None, at_most: 1 };
    while scan.next_block(&mut block)? {
        for entry in block.iter() {
            let row = view.get(tables.changes.tree, &entry.key[prefix.len()..])?;
            let row = row.map(|row| tables.changes.layout.decode(&row.value)).transpose()?;
            if let Some(row) = row.filter(|row| wanted.matches(row)) {
                return Ok(integer(&row[REVISION]));
            }
        }
    }
    Err(not_kept(format!("no change that is kept gave key \"{key}\" version {version}")))
}

/// 55000
fn not_kept(message: String) -> SqlError {
    SqlError::new(SqlState::ObjectNotInPrerequisiteState, message)
        .hint("Read the keys anew, and watch from kv_revision() of the same statement.")
}

/// `kv_watch`
pub(crate) fn watch(known: &KnownTables, call: &EngineCall<'_>) -> SqlResult<Values> {
    let wanted = Wanted {
        namespace: call.needed(6, "a namespace")?,
        key: call.text(0),
        prefix: call.text(1),
        at_most: call.limit(4, "max_changes")?,
    };
    let (from_version, from_revision) = (call.integer(2), call.integer(3));
    if from_version.is_some() && from_revision.is_some() {
        return Err(invalid("from_version and from_revision exclude each other"));
    }
    if wanted.key.is_some() && wanted.prefix.is_some() {
        return Err(invalid("key and prefix exclude each other"));
    }
    if from_version.is_some_and(|it| it < 0) || from_revision.is_some_and(|it| it < 0) {
        return Err(invalid("a version or revision is negative"));
    }
    if from_version.is_some() && wanted.key.is_none() {
        return Err(invalid("from_version needs a key")
            .hint("Versions are those of one key: go on with many by from_revision."));
    }
    let (patience, until) = call.patience(5)?;
    let tables: Arc<Tables> = match known.to_read(call)? {
        Some(tables) => tables,
        None if patience.is_zero() => return Ok(Box::new(std::iter::empty())),
        None => known.to_write(call, &[])?,
    };
    let mut heard = (!patience.is_zero()).then(|| call.host.hear(&channel(wanted.namespace)));
    let mut view = call.context.view.clone();
    let mut from = match (from_version, from_revision) {
        _ if let Some(position) = call.position() => position,
        (Some(version), _) => {
            let key = (wanted.namespace, wanted.key.unwrap_or_default());
            revision_of(&tables, &view, key, version)?
        }
        (None, Some(revision)) => revision,
        (None, None) => last_revision(&tables, &view)?,
    };
    if from > last_revision(&tables, &view)? && call.position().is_none() {
        // A snapshot may be older than what its transaction has heard of.
        let last = last_revision(&tables, &call.host.newest_view()?)?;
        if from > last {
            // As after a restored dump: the watcher has seen what this database never had.
            let message = format!("revision {from} has not been reached: the last is {last}");
            return Err(not_kept(message));
        }
    }
    let first = end_of_changes(&tables, &view, Direction::Forward)?;
    if first - 1 > from {
        return Err(not_kept(format!("changes up to revision {} are not kept", first - 1)));
    }
    loop {
        let (found, last) = wanted.behind(call, &tables, &view, from)?;
        let Some(heard) = &mut heard else { return Ok(Box::new(found.into_iter())) };
        let rest = until.saturating_duration_since(Instant::now());
        if !found.is_empty() || rest.is_zero() {
            return Ok(Box::new(found.into_iter()));
        }
        from = last;
        // What was committed between the two looks has woken it already.
        let newer = call.host.newest_view()?;
        if newer.seq() == view.seq() {
            call.wait_to_hear(heard, rest, from)?;
            view = call.host.newest_view()?;
        } else {
            view = newer;
        }
    }
}
