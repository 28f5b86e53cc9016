//! Versions: how many messages a key has, which is what a publisher of an aggregate's events expects.
//!
//! ```text
//! index of keys:  cart-1/0/4  cart-1/0/9  …  cart-1/0/731 │ cart-1/0/740  cart-1/0/752
//!                 ▲ still there: nothing was trimmed    ▲ counted up to here before
//! ```
//!
//! Entries are counted once: whoever asks again counts what has come since.

use std::collections::HashMap;
use std::ops::Bound;

use aegis_sql::dml::Changes;
use aegis_storage::{Block, CommitSeq, Direction, Key, KeyRange, ReadView};
use aegis_types::{Datum, SqlResult, key, type_oid};
use parking_lot::Mutex;

use crate::known::Stream;
use crate::message::partition_of;

/// Shorter counts are made anew.
const REMEMBERED_MIN: i64 = 64;
/// No more keys than this are remembered, and none that is longer than this in bytes.
const KEYS_MAX: usize = 4_096;
const KEY_BYTES_MAX: usize = 256;

/// What was counted, under one catalog: by that, of the same trees.
#[derive(Debug, Default)]
pub(crate) struct Counts(Mutex<HashMap<Vec<u8>, Count>>);

/// The messages of a key as of a snapshot.
#[derive(Clone, Debug)]
struct Count {
    seq: CommitSeq,
    messages: i64,
    last_offset: i64,
    first: Vec<u8>,
    last: Vec<u8>,
}

/// What the entries of a key's messages begin with.
pub(crate) fn key_prefix(name: &str) -> SqlResult<Vec<u8>> {
    let mut prefix = Vec::new();
    key::encode(type_oid::TEXT, &Datum::text(name), false, false, &mut prefix)?;
    Ok(prefix)
}

/// How many messages a key has, and the last one's offset, -1 for none; the transaction's own are
/// counted.
pub(crate) fn count_for_writing(
    changes: &Changes<'_>,
    stream: &Stream,
    name: &str,
) -> SqlResult<(i64, i64)> {
    let (mut count, mut last) = count_in(&changes.txn.newest_view()?, stream, name)?;
    let partition = partition_of(name, stream.settings.partitions);
    let (counter, index) = (stream.counter(partition), stream.keys.newest);
    let own = changes.txn.waiting_numbers(counter, 0, index, &key_prefix(name)?)?;
    if let Some(number) = own.last() {
        count += i64::try_from(own.len()).unwrap_or_default();
        last = i64::try_from(*number).unwrap_or(i64::MAX);
    }
    Ok((count, last))
}

/// How many messages of a key a view shows, and the last one's offset, -1 for none.
pub(crate) fn count_in(view: &ReadView, stream: &Stream, name: &str) -> SqlResult<(i64, i64)> {
    let prefix = key_prefix(name)?;
    // What a transaction has numbered or trimmed may be taken back: it is nobody else's to know.
    let is_own = stream.keys.iter().any(|tree| view.has_written(tree));
    let known = stream.counts.0.lock().get(&prefix).cloned();
    let known = match known.filter(|known| !is_own && known.seq <= view.seq()) {
        // Messages go in the order in which they came.
        Some(known) if view.get_in(&stream.keys, &known.first)?.is_some() => Some(known),
        _ => None,
    };
    let mut range = KeyRange::prefix(&prefix);
    let mut count = None;
    if let Some(known) = known {
        range.lower = Bound::Excluded(Key::new(&known.last));
        count = Some(Count { seq: view.seq(), ..known });
    }
    let mut scan = view.scan_in(&stream.keys, range, Direction::Forward)?;
    let mut block = Block::default();
    while scan.next_block(&mut block)? {
        for at in 0..block.len() {
            let count = count.get_or_insert_with(|| Count {
                seq: view.seq(),
                messages: 0,
                last_offset: -1,
                first: block.row(at).key.to_vec(),
                last: Vec::new(),
            });
            count.messages += 1;
            if at + 1 == block.len() {
                count.last = block.row(at).key.to_vec();
            }
        }
    }
    let Some(mut count) = count else { return Ok((0, -1)) };
    let mut rest = &count.last[prefix.len()..];
    key::skip(type_oid::INT4, false, &mut rest)?;
    if let Datum::Int8(offset) = key::decode(type_oid::INT8, false, &mut rest)? {
        count.last_offset = offset;
    }
    let found = (count.messages, count.last_offset);
    if !is_own && count.messages >= REMEMBERED_MIN && prefix.len() <= KEY_BYTES_MAX {
        let mut counts = stream.counts.0.lock();
        if counts.len() >= KEYS_MAX {
            counts.clear();
        }
        counts.insert(prefix, count);
    }
    Ok(found)
}
