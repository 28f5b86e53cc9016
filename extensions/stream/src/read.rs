//! Replaying messages, and what there is to know of streams.

use std::ops::Bound;
use std::sync::Arc;

use aegis_catalog::access::Privilege;
use aegis_sql::engine::{EngineCall, invalid, row_key};
use aegis_storage::{Block, Direction, Key, KeyRange, ReadView};
use aegis_types::functions::Values;
use aegis_types::{Datum, SqlResult};

use crate::known::{Known, Stream, column, is_stream};
use crate::message::{partition_of, shown};
use crate::settings::Settings;
use crate::version::{count_in, key_prefix};

/// A stored message, if it is there in the view that found it.
pub(crate) fn decode(
    stream: &Stream,
    stored: &[u8],
    view: &ReadView,
) -> SqlResult<Option<Vec<Datum>>> {
    if !stream.table.layout.is_there(stored, view.time_us())? {
        return Ok(None);
    }
    stream.table.layout.decode(stored).map(Some)
}

/// The messages of a partition from an offset on.
pub(crate) fn range_from(partition: i32, offset: i64) -> SqlResult<KeyRange> {
    let mut range = KeyRange::prefix(&row_key(&[Datum::Int4(partition)])?);
    let from = row_key(&[Datum::Int4(partition), Datum::Int8(offset.max(0))])?;
    range.lower = Bound::Included(Key::new(&from));
    Ok(range)
}

/// The offset that the next message of a partition will have.
pub(crate) fn next_offset(stream: &Stream, view: &ReadView, partition: i32) -> SqlResult<i64> {
    Ok(i64::try_from(view.next_number(stream.counter(partition), 0)?).unwrap_or(i64::MAX))
}

/// The first and the last offset that a partition holds.
pub(crate) fn ends(
    stream: &Stream,
    view: &ReadView,
    partition: i32,
) -> SqlResult<Option<(i64, i64, Datum)>> {
    let end = |direction| {
        let mut scan = view.scan_in(&stream.trees, range_from(partition, 0)?, direction)?;
        let mut block = Block::default();
        while scan.next_block(&mut block)? {
            if !block.is_empty() {
                return stream.table.layout.decode(block.row(0).value).map(Some);
            }
        }
        Ok(None)
    };
    let (Some(first), Some(last)) = (end(Direction::Forward)?, end(Direction::Backward)?) else {
        return Ok(None);
    };
    let offset = |row: &[Datum]| match row[column::OFFSET] {
        Datum::Int8(offset) => offset,
        _ => 0,
    };
    Ok(Some((offset(&first), offset(&last), last[column::PUBLISHED_AT].clone())))
}

/// The first offset that was published at a time or later; the next one where there is none. Within a
/// partition times follow offsets, so halving finds it.
pub(crate) fn offset_at(
    stream: &Stream,
    view: &ReadView,
    partition: i32,
    time: i64,
) -> SqlResult<i64> {
    let Some((mut low, last, _)) = ends(stream, view, partition)? else {
        return next_offset(stream, view, partition);
    };
    let mut high = last + 1;
    while low < high {
        let middle = low + (high - low) / 2;
        // What was trimmed in between leaves gaps: the next that is there counts.
        let mut scan =
            view.scan_in(&stream.trees, range_from(partition, middle)?, Direction::Forward)?;
        let mut block = Block::default();
        let mut found = None;
        while found.is_none() && scan.next_block(&mut block)? {
            if !block.is_empty() {
                found = Some(stream.table.layout.decode(block.row(0).value)?);
            }
        }
        let is_before = found.is_some_and(
            |row| matches!(row[column::PUBLISHED_AT], Datum::Timestamptz(at) if at < time),
        );
        if is_before {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

/// `stream_read`
pub(crate) fn read(known: &Known, call: &EngineCall<'_>) -> SqlResult<Values> {
    let stream = known.of_call(call, Privilege::SELECT)?;
    let at_most = call.limit(3, "max_messages")?;
    let (from_offset, from_time) = (call.integer(1), call.argument(2));
    if from_offset.is_some() && !from_time.is_null() {
        return Err(invalid("from_offset and from_time exclude each other"));
    }
    let partitions = match (call.integer(4), call.text(5)) {
        (Some(partition), _) => vec![i32::try_from(partition).unwrap_or(-1)],
        (None, Some(key)) => vec![partition_of(key, stream.settings.partitions)],
        (None, None) => stream.partitions().collect(),
    };
    let mut parts = Vec::new();
    for partition in partitions {
        let from = match from_time {
            Datum::Timestamptz(time) => offset_at(&stream, &call.context.view, partition, *time)?,
            _ => from_offset.unwrap_or(0),
        };
        parts.push((partition, from));
    }
    let view = call.context.view.clone();
    if let Some(key) = call.text(5) {
        let rows = of_key(&stream, &view, key, parts[0].1, at_most)?;
        return Ok(Box::new(rows.into_iter().map(Ok)));
    }
    let rows =
        Rows { stream, view, parts: parts.into_iter(), scan: None, block: Block::default(), at: 0 };
    Ok(Box::new(rows.take(at_most)))
}

/// Messages of partitions one after the other, as they are asked for.
struct Rows {
    stream: Arc<Stream>,
    view: ReadView,
    parts: std::vec::IntoIter<(i32, i64)>,
    scan: Option<aegis_storage::Scan>,
    block: Block,
    at: usize,
}

impl Rows {
    fn row(&mut self) -> SqlResult<Option<Datum>> {
        loop {
            while self.at < self.block.len() {
                self.at += 1;
                let stored = self.block.row(self.at - 1).value;
                if let Some(row) = decode(&self.stream, stored, &self.view)? {
                    return Ok(Some(Datum::record(shown(&row))));
                }
            }
            self.at = 0;
            let more = match &mut self.scan {
                Some(scan) => scan.next_block(&mut self.block)?,
                None => false,
            };
            if !more {
                self.block = Block::default();
                let Some((partition, from)) = self.parts.next() else { return Ok(None) };
                let range = range_from(partition, from)?;
                let trees = &self.stream.trees;
                self.scan = Some(self.view.scan_in(trees, range, Direction::Forward)?);
            }
        }
    }
}

impl Iterator for Rows {
    type Item = SqlResult<Datum>;

    fn next(&mut self) -> Option<Self::Item> {
        self.row().transpose()
    }
}

/// The messages of one key, in order, from an offset on.
fn of_key(
    stream: &Stream,
    view: &ReadView,
    key: &str,
    from: i64,
    at_most: usize,
) -> SqlResult<Vec<Datum>> {
    let prefix = key_prefix(key)?;
    let partition = partition_of(key, stream.settings.partitions);
    let mut range = KeyRange::prefix(&prefix);
    let first = row_key(&[Datum::Int4(partition), Datum::Int8(from)])?;
    range.lower = Bound::Included(Key::new(&[&prefix[..], &first].concat()));
    let mut scan = view.scan_in(&stream.keys, range, Direction::Forward)?;
    let (mut block, mut found) = (Block::default(), Vec::new());
    while found.len() < at_most && scan.next_block(&mut block)? {
        for entry in block.iter() {
            let Some(row) = view.get_in(&stream.trees, &entry.key[prefix.len()..])? else {
                continue;
            };
            if let Some(row) = decode(stream, &row.value, view)? {
                found.push(Datum::record(shown(&row)));
            }
        }
    }
    found.truncate(at_most);
    Ok(found)
}

/// `stream_last`: the last message of a key.
pub(crate) fn last(known: &Known, call: &EngineCall<'_>) -> SqlResult<Values> {
    let stream = known.of_call(call, Privilege::SELECT)?;
    let view = &call.context.view;
    let prefix = key_prefix(call.text(1).unwrap_or_default())?;
    let range = KeyRange::prefix(&prefix);
    let mut scan = view.scan_in(&stream.keys, range, Direction::Backward)?;
    let mut block = Block::default();
    while scan.next_block(&mut block)? {
        for entry in block.iter() {
            let key = &entry.key[prefix.len()..];
            let Some(stored) = view.get_in(&stream.trees, key)? else { continue };
            if let Some(row) = decode(&stream, &stored.value, view)? {
                return Ok(Box::new(std::iter::once(Ok(Datum::record(shown(&row))))));
            }
        }
    }
    Ok(Box::new(std::iter::empty()))
}

/// `stream_version`: how many messages a key has.
pub(crate) fn version(known: &Known, call: &EngineCall<'_>) -> SqlResult<Datum> {
    let stream = known.of_call(call, Privilege::SELECT)?;
    let key = call.text(1).unwrap_or_default();
    count_in(&call.context.view, &stream, key).map(|(count, _)| Datum::Int8(count))
}

/// `stream_info`: a row for each partition.
pub(crate) fn info(known: &Known, call: &EngineCall<'_>) -> SqlResult<Values> {
    let stream = known.of_call(call, Privilege::SELECT)?;
    let mut found = Vec::new();
    for partition in stream.partitions() {
        let ends = ends(&stream, &call.context.view, partition)?;
        let (first, time) = match ends {
            Some((first, _, time)) => (Datum::Int8(first), time),
            None => (Datum::Null, Datum::Null),
        };
        let next = Datum::Int8(next_offset(&stream, &call.context.view, partition)?);
        found.push(Ok(Datum::record(vec![Datum::Int4(partition), first, next, time])));
    }
    Ok(Box::new(found.into_iter()))
}

/// `streams`: those of the database that the role may read.
pub(crate) fn streams(call: &EngineCall<'_>) -> SqlResult<Values> {
    let catalog = &call.context.catalog;
    let access = catalog.access(call.context.database);
    let mut found = Vec::new();
    for relation in catalog.relations_of(call.context.database).filter(|it| is_stream(it)) {
        let kind = aegis_catalog::access::Kind::Table;
        if !access.allows(call.host.role(), kind, relation.oid, Privilege::SELECT) {
            continue;
        }
        let settings = Settings::of(relation, &call.call.eval)?;
        let payload = match settings.payload {
            aegis_types::type_oid::TEXT => "text",
            aegis_types::type_oid::BYTEA => "bytea",
            _ => "jsonb",
        };
        found.push(Ok(Datum::record(vec![
            Datum::Oid(relation.oid),
            Datum::Int4(settings.partitions),
            Datum::text(payload),
            settings.retention.map_or(Datum::Null, Datum::Interval),
            settings.retention_bytes.map_or(Datum::Null, Datum::Int8),
            Datum::Int8(settings.max_message_bytes),
        ])));
    }
    Ok(Box::new(found.into_iter()))
}
