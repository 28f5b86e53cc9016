//! Trimming, and what is done in the background: delayed messages are published when their time has
//! come, ids are forgotten after their window, and what belonged to streams that are gone goes too.

use std::ops::Bound;
use std::sync::Arc;

use aegis_catalog::IndexBody;
use aegis_catalog::access::Privilege;
use aegis_sql::dml::{Changes, OldRow};
use aegis_sql::engine::{EngineCall, time_of};
use aegis_storage::{
    Block, Direction, KeyRange, ReadView, RowLockMode, RowLockOutcome, RowLockWait, TreeId, Trees,
};
use aegis_types::functions::quote_ident;
use aegis_types::{Array, Datum, SqlResult, type_oid};

use crate::known::{Known, Own, Stream, is_stream};
use crate::message::Message;
use crate::publish::join;
use crate::read::range_from;
use crate::retention;

/// When a delayed message is tried again that could not be published, in microseconds.
const TRIED_AGAIN_AFTER: i64 = 60_000_000;
/// How long a consumer is remembered that has gone, likewise.
const GONE_FOR: i64 = 60_000_000;

/// `stream_trim`: removes what lies before an offset; how many messages that were.
pub(crate) fn trim(known: &Known, call: &EngineCall<'_>) -> SqlResult<Datum> {
    call.refuse_in_read_only()?;
    let stream = known.of_call(call, Privilege::DELETE)?;
    let (before, only) = (call.integer(1).unwrap_or_default(), call.integer(2));
    call.change(&call.context.catalog, async |changes| {
        join(changes, &stream).await?;
        let view = changes.txn.newest_view()?;
        let mut removed = 0;
        for nth in 0..=stream.trees.older.len() {
            for partition in stream.partitions() {
                if only.is_none_or(|only| only == i64::from(partition)) {
                    removed += trim_tree(changes, &stream, &view, nth, partition, before)?;
                }
            }
        }
        Ok(Datum::Int8(removed))
    })
}

/// One of several trees: so many of the older ones come first.
fn nth_of(trees: &Trees, nth: usize) -> TreeId {
    trees.older.get(nth).copied().unwrap_or(trees.newest)
}

/// Removes what lies before an offset from one of a stream's trees.
fn trim_tree(
    changes: &mut Changes<'_>,
    stream: &Stream,
    view: &ReadView,
    nth: usize,
    partition: i32,
    before: i64,
) -> SqlResult<i64> {
    let mut range = range_from(partition, 0)?;
    range.upper = match range_from(partition, before)?.lower {
        Bound::Included(key) => Bound::Excluded(key),
        other => other,
    };
    let tree = nth_of(&stream.trees, nth);
    let mut scan = view.scan(tree, range, Direction::Forward)?;
    let (mut block, mut removed) = (Block::default(), 0);
    while scan.next_block(&mut block)? {
        changes.context.cancel.check()?;
        for stored in block.iter() {
            let row = stream.table.layout.decode(stored.value)?;
            let evaluation = changes.context.evaluation();
            for (index, entry) in stream.table.entries(&row, stored.key, &evaluation)? {
                let body = changes.context.catalog.relation(index).and_then(|it| it.as_index());
                if let Some(trees) = body.map(IndexBody::trees) {
                    changes.txn.delete(nth_of(&trees, nth), &entry)?;
                }
            }
            changes.txn.delete(tree, stored.key)?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// `stream_due`: the statements that move streams' messages on to new trees, or drop trees whose
/// messages they keep no longer; NULL where none is due.
pub(crate) fn due_rotations(known: &Known, call: &EngineCall<'_>) -> SqlResult<Datum> {
    let (catalog, view) = (&call.context.catalog, &call.context.view);
    let now = time_of(view);
    let mut statements = Vec::new();
    for relation in catalog.relations_of(call.context.database).filter(|it| is_stream(it)) {
        let stream = known.stream(call.context, relation.oid)?;
        let Some(body) = relation.as_table() else { continue };
        if retention::is_due(&stream, body, view, now)? {
            let schema = catalog.schema_name(relation.schema).unwrap_or_default();
            let (schema, name) = (quote_ident(schema), quote_ident(&relation.name));
            statements.push(Datum::text(format!("ALTER STREAM {schema}.{name} ROTATE")));
        }
    }
    if statements.is_empty() {
        return Ok(Datum::Null);
    }
    Ok(Datum::Array(Arc::new(Array::one_dimensional(type_oid::TEXT, statements))))
}

/// `stream_sweep`: whether there is more to do.
pub(crate) fn sweep(known: &Known, call: &EngineCall<'_>) -> SqlResult<Datum> {
    let at_most = call.limit(0, "max_messages")?;
    if call.schema().is_none() {
        return Ok(Datum::Bool(false));
    }
    let own = known.own(call.context)?;
    let delayed = due(call, &own, at_most)?;
    let ids = old_ids(call, &own, at_most)?;
    let gone = of_dropped_streams(call, &own, at_most)?;
    let consumers = gone_consumers(call, &own, at_most)?;
    let found = [delayed.len(), ids.len(), gone.len(), consumers.len()];
    if found.iter().all(|count| *count == 0) {
        return Ok(Datum::Bool(false));
    }
    let has_more = found.iter().any(|count| *count >= at_most);
    call.refuse_in_read_only()?;
    call.change(&call.context.catalog, async |changes| {
        for row in delayed {
            let (mode, wait) = (RowLockMode::ForUpdate, RowLockWait::SkipLocked);
            let lock = changes.txn.lock_row(own.delayed.tree, &row.key, mode, wait);
            if matches!(changes.context.cancel.wait(lock).await?, RowLockOutcome::Skipped) {
                continue;
            }
            let Some(row) = changes.newest(&own.delayed, &row.key)? else { continue };
            changes.delete_row(&own.delayed, &row).await?;
            let Datum::Oid(oid) = row.values[2] else { continue };
            // A stream that is gone takes its messages with it.
            let Ok(stream) = known.stream(changes.context, oid) else { continue };
            let now = time_of(&changes.context.view);
            let mark = changes.txn.savepoint()?;
            if let Err(error) = message_of(&row, now).publish(changes, &stream).await {
                // It must not keep the others from coming.
                tracing::warn!(stream = stream.name(), %error, "a delayed message waits longer");
                changes.txn.rollback_to(mark)?;
                let mut later = row.values.clone();
                later[0] = Datum::Timestamptz(now.saturating_add(TRIED_AGAIN_AFTER));
                changes.insert_row(&own.delayed, &mut later, None).await?;
            }
            changes.txn.release(mark)?;
        }
        for (table, rows) in [(&own.ids, ids)]
            .into_iter()
            .chain(gone.into_iter().map(|(at, row)| (tables(&own)[at], vec![row])))
        {
            for row in rows {
                if let Some(row) = changes.lock_newest(table, &row.key).await? {
                    changes.delete_row(table, &row).await?;
                }
            }
        }
        for row in consumers {
            // It may have come back meanwhile.
            if let Some(row) = changes.lock_newest(&own.consumers, &row.key).await?
                && is_gone(&row, time_of(&changes.context.view))
            {
                changes.delete_row(&own.consumers, &row).await?;
            }
        }
        Ok(Datum::Bool(has_more))
    })
}

/// Whether a consumer has not polled for long.
fn is_gone(row: &OldRow, now: i64) -> bool {
    let since = now.saturating_sub(GONE_FOR);
    matches!(row.values[5], Datum::Timestamptz(until) if until < since)
}

fn message_of(row: &OldRow, now: i64) -> Message {
    let values = &row.values;
    let payload = values[5..8].iter().find(|value| !value.is_null()).cloned();
    Message {
        partition: match values[3] {
            Datum::Int4(partition) => Some(partition),
            _ => None,
        },
        key: match &values[4] {
            Datum::Text(key) => Some(key.to_string()),
            _ => None,
        },
        payload: payload.unwrap_or(Datum::Null),
        headers: values[8].clone(),
        id: match values[1] {
            Datum::Uuid(id) => Some(id),
            _ => None,
        },
        expires_at: match &values[9] {
            Datum::Interval(ttl) => {
                Some(now.saturating_add(i64::try_from(ttl.span()).unwrap_or(i64::MAX)))
            }
            _ => None,
        },
    }
}

/// Messages whose time has come.
fn due(call: &EngineCall<'_>, own: &Own, at_most: usize) -> SqlResult<Vec<OldRow>> {
    let view = &call.context.view;
    let now = time_of(view);
    let mut scan = view.scan(own.delayed.tree, KeyRange::all(), Direction::Forward)?;
    let (mut block, mut found) = (Block::default(), Vec::new());
    'all: while scan.next_block(&mut block)? {
        for stored in block.iter() {
            let values = own.delayed.layout.decode(stored.value)?;
            let is_due = matches!(values[0], Datum::Timestamptz(time) if time <= now);
            if !is_due || found.len() >= at_most {
                break 'all;
            }
            found.push(OldRow { key: stored.key.to_vec(), values });
        }
    }
    Ok(found)
}

/// Ids whose window is over.
fn old_ids(call: &EngineCall<'_>, own: &Own, at_most: usize) -> SqlResult<Vec<OldRow>> {
    let view = &call.context.view;
    let now = time_of(view);
    let Some(index) = own.ids.indexes.iter().find(|it| it.name == "stream_ids_expires_at") else {
        return Ok(Vec::new());
    };
    let mut scan = view.scan(index.tree, KeyRange::all(), Direction::Forward)?;
    let (mut block, mut found) = (Block::default(), Vec::new());
    'all: while scan.next_block(&mut block)? {
        for entry in block.iter() {
            let mut rest = entry.key;
            let ty = aegis_types::type_oid::TIMESTAMPTZ;
            let until = aegis_types::key::decode(ty, false, &mut rest)?;
            let is_over = matches!(until, Datum::Timestamptz(until) if until <= now);
            if !is_over || found.len() >= at_most {
                break 'all;
            }
            found.push(OldRow { key: rest.to_vec(), values: Vec::new() });
        }
    }
    Ok(found)
}

/// Consumers that are gone.
fn gone_consumers(call: &EngineCall<'_>, own: &Own, at_most: usize) -> SqlResult<Vec<OldRow>> {
    let view = &call.context.view;
    let mut rows = crate::group::rows_with(&own.consumers, view, &[])?;
    rows.retain(|row| is_gone(row, time_of(view)));
    rows.truncate(at_most);
    Ok(rows)
}

fn tables(own: &Own) -> [&aegis_sql::dml::TableAccess; 5] {
    [&own.groups, &own.cursors, &own.pending, &own.consumers, &own.ids]
}

/// Rows of streams that are not there any more, with the place of their table.
fn of_dropped_streams(
    call: &EngineCall<'_>,
    own: &Own,
    at_most: usize,
) -> SqlResult<Vec<(usize, OldRow)>> {
    let view = &call.context.view;
    let mut found = Vec::new();
    // A group is the first thing that a stream has, and the last that is looked for.
    let mut scan = view.scan(own.groups.tree, KeyRange::all(), Direction::Forward)?;
    let (mut block, mut gone) = (Block::default(), Vec::new());
    while scan.next_block(&mut block)? {
        for stored in block.iter() {
            let values = own.groups.layout.decode(stored.value)?;
            if let Datum::Oid(oid) = values[0]
                && call.context.catalog.relation(oid).is_none()
                && !gone.contains(&oid)
            {
                gone.push(oid);
            }
        }
    }
    for oid in gone {
        for (at, table) in tables(own).into_iter().enumerate().rev() {
            for row in crate::group::rows_with(table, view, &[Datum::Oid(oid)])? {
                if found.len() >= at_most {
                    return Ok(found);
                }
                found.push((at, row));
            }
        }
    }
    Ok(found)
}
