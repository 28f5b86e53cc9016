//! The format of a log entry: evaluated write sets, never SQL.
//!
//! ```text
//! version (1 byte) ─ CRC-32C of the rest ─ transactions (varint) ─ transaction …
//! transaction: origin (8) ─ token (8) ─ timestamp (8) ─ operations (varint) ─ operation …
//! operation:   1 tree        what follows belongs to this tree
//!              2 key value   Put          3 key          Delete
//!              4             DropTree
//!              5 part first prefix value number_at time_at epoch entries
//!                            Append: apply assigns the number that ends the key
//!              6 hash rows   UseRun: the rows of a run file, of whatever trees; first of all
//! ```
//!
//! Lengths and tree ids are varints, the other integers little-endian. `origin` names the process
//! that proposed the transaction and `token` its proposal there: to any other node they mean
//! nothing. The timestamp is the proposer's clock; apply makes timestamps monotone.

use crate::codec::{Reader, put_varint};
use crate::run::RunHash;
use crate::{Result, StorageError, TreeId};

const VERSION: u8 = 1;
const HEAD_BYTES: usize = 5;
const TRANSACTION_HEAD_BYTES: usize = 24;

const TREE: u8 = 1;
const PUT: u8 = 2;
const DELETE: u8 = 3;
const DROP_TREE: u8 = 4;
const APPEND: u8 = 5;
const USE_RUN: u8 = 6;

/// One operation of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation<'a> {
    Put { tree: TreeId, key: &'a [u8], value: &'a [u8] },
    Delete { tree: TreeId, key: &'a [u8] },
    DropTree(TreeId),
    Append(Append<'a>),
    UseRun { hash: RunHash, rows: u64 },
}

/// A row whose number apply assigns: dense in its counter, in commit order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Append<'a> {
    pub(crate) tree: TreeId,
    pub(crate) counter: Counter,
    /// The number that the counter begins with.
    pub(crate) first: u64,
    /// What comes before the number in the key.
    pub(crate) prefix: &'a [u8],
    pub(crate) value: &'a [u8],
    /// Where the number goes in the value, as eight little-endian bytes.
    pub(crate) number_at: u32,
    /// Where the time of the commit goes, likewise, and what it is counted from.
    pub(crate) time: Option<(u32, i64)>,
    /// Entries of indexes: [`each_index_entry`].
    pub(crate) entries: &'a [u8],
}

impl Append<'_> {
    /// The row's key and value under a number, committed at a time in microseconds since 1970.
    pub(crate) fn numbered(&self, number: u64, committed_us: i64) -> (Vec<u8>, Vec<u8>) {
        let mut key = Vec::with_capacity(self.prefix.len() + 8);
        key.extend_from_slice(self.prefix);
        key.extend_from_slice(&(number ^ (1 << 63)).to_be_bytes());
        let mut value = self.value.to_vec();
        let mut write = |at: u32, bytes: [u8; 8]| {
            let at = at as usize;
            value[at..at + 8].copy_from_slice(&bytes);
        };
        write(self.number_at, number.to_le_bytes());
        if let Some((at, epoch)) = self.time {
            write(at, committed_us.saturating_sub(epoch).to_le_bytes());
        }
        (key, value)
    }
}

/// What numbers rows: one of the counters that belong to a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Counter {
    /// The tree with which it goes.
    pub tree: TreeId,
    /// Which of that tree's.
    pub part: u32,
}

impl Counter {
    /// Its key in storage's own tree.
    pub(crate) fn key(self) -> [u8; 12] {
        let mut key = [0; 12];
        key[..8].copy_from_slice(&self.tree.0.to_be_bytes());
        key[8..].copy_from_slice(&self.part.to_be_bytes());
        key
    }
}

/// Adds an entry of an index to a list: the row's key follows it.
pub(crate) fn put_index_entry(list: &mut Vec<u8>, tree: TreeId, prefix: &[u8]) {
    put_varint(list, tree.0);
    put_varint(list, prefix.len() as u64);
    list.extend_from_slice(prefix);
}

/// Visits such a list. Errors: XX001.
pub(crate) fn each_index_entry<'a>(
    list: &'a [u8],
    mut visit: impl FnMut(TreeId, &'a [u8]),
) -> Result<()> {
    let mut reader = Reader::new(list, "an entry of the commit log");
    while !reader.is_empty() {
        let tree = TreeId(reader.varint()?);
        let length = reader.length()?;
        visit(tree, reader.bytes(length)?);
    }
    Ok(())
}

/// One transaction of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Transaction<'a> {
    pub(crate) origin: u64,
    pub(crate) token: u64,
    pub(crate) timestamp_us: i64,
    pub(crate) operations: Vec<Operation<'a>>,
}

/// Builds an entry of one transaction.
#[derive(Debug)]
pub(crate) struct EntryBuilder {
    head: [u8; TRANSACTION_HEAD_BYTES],
    operations: u64,
    body: Vec<u8>,
    tree: Option<TreeId>,
}

impl EntryBuilder {
    pub(crate) fn new(origin: u64, token: u64, timestamp_us: i64) -> Self {
        let mut head = [0; TRANSACTION_HEAD_BYTES];
        head[..8].copy_from_slice(&origin.to_le_bytes());
        head[8..16].copy_from_slice(&token.to_le_bytes());
        head[16..].copy_from_slice(&timestamp_us.to_le_bytes());
        Self { head, operations: 0, body: Vec::new(), tree: None }
    }

    pub(crate) fn push(&mut self, operation: Operation<'_>) {
        self.operations += 1;
        match operation {
            Operation::Put { tree, key, value } => {
                self.enter(tree);
                self.body.push(PUT);
                self.slice(key);
                self.slice(value);
            }
            Operation::Delete { tree, key } => {
                self.enter(tree);
                self.body.push(DELETE);
                self.slice(key);
            }
            Operation::DropTree(tree) => {
                self.enter(tree);
                self.body.push(DROP_TREE);
            }
            Operation::Append(append) => {
                self.enter(append.tree);
                self.body.push(APPEND);
                put_varint(&mut self.body, append.counter.tree.0);
                put_varint(&mut self.body, u64::from(append.counter.part));
                put_varint(&mut self.body, append.first);
                self.slice(append.prefix);
                self.slice(append.value);
                put_varint(&mut self.body, u64::from(append.number_at));
                let (time_at, epoch) = append.time.map_or((0, 0), |(at, from)| (at + 1, from));
                put_varint(&mut self.body, u64::from(time_at));
                self.body.extend_from_slice(&epoch.to_le_bytes());
                self.slice(append.entries);
            }
            Operation::UseRun { hash, rows } => {
                self.body.push(USE_RUN);
                self.body.extend_from_slice(&hash.0);
                put_varint(&mut self.body, rows);
            }
        }
    }

    fn enter(&mut self, tree: TreeId) {
        if self.tree != Some(tree) {
            self.tree = Some(tree);
            self.body.push(TREE);
            put_varint(&mut self.body, tree.0);
        }
    }

    fn slice(&mut self, bytes: &[u8]) {
        put_varint(&mut self.body, bytes.len() as u64);
        self.body.extend_from_slice(bytes);
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        let mut entry = Vec::with_capacity(HEAD_BYTES + 40 + self.body.len());
        entry.push(VERSION);
        entry.extend_from_slice(&[0; 4]);
        put_varint(&mut entry, 1);
        entry.extend_from_slice(&self.head);
        put_varint(&mut entry, self.operations);
        entry.extend_from_slice(&self.body);
        let checksum = crc32c::crc32c(&entry[HEAD_BYTES..]);
        entry[1..HEAD_BYTES].copy_from_slice(&checksum.to_le_bytes());
        entry
    }
}

/// Reads an entry; every byte is accounted for. Errors: XX001.
pub(crate) fn decode(entry: &[u8]) -> Result<Vec<Transaction<'_>>> {
    let mut reader = Reader::new(entry, "an entry of the commit log");
    let version = reader.u8()?;
    if version != VERSION {
        return Err(StorageError::Corrupted(format!(
            "an entry of the commit log has version {version}; this server knows {VERSION}"
        )));
    }
    if reader.u32()? != crc32c::crc32c(&entry[HEAD_BYTES..]) {
        return Err(reader.corrupted());
    }
    let mut transactions = Vec::new();
    for _ in 0..reader.length()? {
        transactions.push(decode_transaction(&mut reader)?);
    }
    if !reader.is_empty() {
        return Err(reader.corrupted());
    }
    Ok(transactions)
}

fn decode_transaction<'a>(reader: &mut Reader<'a>) -> Result<Transaction<'a>> {
    let origin = reader.u64()?;
    let token = reader.u64()?;
    let timestamp_us = i64::from_le_bytes(reader.array()?);
    let count = reader.length()?;
    let mut operations = Vec::with_capacity(count.min(1 << 16));
    let mut tree = None;
    while operations.len() < count {
        let kind = reader.u8()?;
        if kind == TREE {
            tree = Some(TreeId(reader.varint()?));
            continue;
        }
        let tree = tree.ok_or_else(|| reader.corrupted());
        operations.push(match kind {
            PUT => {
                let key_len = reader.length()?;
                let key = reader.bytes(key_len)?;
                let value_len = reader.length()?;
                Operation::Put { tree: tree?, key, value: reader.bytes(value_len)? }
            }
            DELETE => {
                let key_len = reader.length()?;
                Operation::Delete { tree: tree?, key: reader.bytes(key_len)? }
            }
            DROP_TREE => Operation::DropTree(tree?),
            APPEND => Operation::Append(decode_append(reader, tree?)?),
            USE_RUN => Operation::UseRun { hash: RunHash(reader.array()?), rows: reader.varint()? },
            _ => return Err(reader.corrupted()),
        });
    }
    Ok(Transaction { origin, token, timestamp_us, operations })
}

fn decode_append<'a>(reader: &mut Reader<'a>, tree: TreeId) -> Result<Append<'a>> {
    let counter_tree = TreeId(reader.varint()?);
    let part = decode_u32(reader)?;
    let first = reader.varint()?;
    let prefix_len = reader.length()?;
    let prefix = reader.bytes(prefix_len)?;
    let value_len = reader.length()?;
    let value = reader.bytes(value_len)?;
    let number_at = decode_u32(reader)?;
    let time_at = decode_u32(reader)?;
    let epoch = i64::from_le_bytes(reader.array()?);
    let entries_len = reader.length()?;
    let entries = reader.bytes(entries_len)?;
    each_index_entry(entries, |_, _| ())?;
    let fits = |at: u32| value.len().checked_sub(8).is_some_and(|last| at as usize <= last);
    let time = time_at.checked_sub(1).map(|at| (at, epoch));
    if !fits(number_at) || time.is_some_and(|(at, _)| !fits(at)) {
        return Err(reader.corrupted());
    }
    let counter = Counter { tree: counter_tree, part };
    Ok(Append { tree, counter, first, prefix, value, number_at, time, entries })
}

fn decode_u32(reader: &mut Reader<'_>) -> Result<u32> {
    u32::try_from(reader.varint()?).map_err(|_| reader.corrupted())
}

/// The run files that an entry names: a log that is about to be trusted with it, or a follower
/// about to acknowledge it, must hold them. Errors: XX001.
pub fn runs_of_entry(payload: &[u8]) -> Result<Vec<RunHash>> {
    let mut runs = Vec::new();
    if !payload.is_empty() {
        for transaction in decode(payload)? {
            runs.extend(transaction.operations.iter().filter_map(|op| match op {
                Operation::UseRun { hash, .. } => Some(*hash),
                _ => None,
            }));
        }
    }
    Ok(runs)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Owned {
        Put(u64, Vec<u8>, Vec<u8>),
        Delete(u64, Vec<u8>),
        DropTree(u64),
        Append(u64, u32, Vec<u8>, Vec<u8>, bool),
        UseRun([u8; 32], u64),
    }

    fn owned() -> impl Strategy<Value = Owned> {
        let bytes = || prop::collection::vec(any::<u8>(), 0..200);
        prop_oneof![
            (any::<u64>(), bytes(), bytes()).prop_map(|(t, k, v)| Owned::Put(t, k, v)),
            (0..3_u64, bytes(), bytes()).prop_map(|(t, k, v)| Owned::Put(t, k, v)),
            (0..3_u64, bytes()).prop_map(|(t, k)| Owned::Delete(t, k)),
            (0..3_u64).prop_map(Owned::DropTree),
            (0..3_u64, any::<u32>(), bytes(), bytes(), any::<bool>())
                .prop_map(|(t, n, k, v, b)| Owned::Append(t, n, k, [v, vec![0; 8]].concat(), b)),
            (any::<[u8; 32]>(), any::<u64>()).prop_map(|(h, r)| Owned::UseRun(h, r)),
        ]
    }

    fn borrow(op: &Owned) -> Operation<'_> {
        match op {
            Owned::Put(tree, key, value) => Operation::Put { tree: TreeId(*tree), key, value },
            Owned::Delete(tree, key) => Operation::Delete { tree: TreeId(*tree), key },
            Owned::DropTree(tree) => Operation::DropTree(TreeId(*tree)),
            Owned::Append(tree, part, prefix, value, timed) => Operation::Append(Append {
                tree: TreeId(*tree),
                counter: Counter { tree: TreeId(*tree), part: *part },
                first: u64::from(*timed),
                prefix,
                value,
                number_at: value.len() as u32 - 8,
                time: timed.then_some((0, -7)),
                entries: &[7, 1, b'k', 9, 0],
            }),
            Owned::UseRun(hash, rows) => Operation::UseRun { hash: RunHash(*hash), rows: *rows },
        }
    }

    fn build(operations: &[Owned]) -> Vec<u8> {
        let mut builder = EntryBuilder::new(1, 2, -3);
        operations.iter().for_each(|op| builder.push(borrow(op)));
        builder.finish()
    }

    proptest! {
        #[test]
        fn an_entry_is_read_back_as_it_was_built(ops in prop::collection::vec(owned(), 0..50)) {
            let entry = build(&ops);
            let read = decode(&entry).unwrap();
            prop_assert_eq!(read.len(), 1);
            prop_assert_eq!((read[0].origin, read[0].token, read[0].timestamp_us), (1, 2, -3));
            let expected: Vec<Operation<'_>> = ops.iter().map(borrow).collect();
            prop_assert_eq!(&read[0].operations, &expected);
        }

        #[test]
        fn any_change_of_a_byte_is_an_error(
            ops in prop::collection::vec(owned(), 1..10), at in any::<prop::sample::Index>(), bit in 0..8_u32,
        ) {
            let mut entry = build(&ops);
            let at = at.index(entry.len());
            entry[at] ^= 1_u8 << bit;
            prop_assert!(decode(&entry).is_err());
        }

        #[test]
        fn random_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode(&bytes);
            // Past version and checksum, too.
            if bytes.len() > HEAD_BYTES {
                bytes[0] = VERSION;
                let checksum = crc32c::crc32c(&bytes[HEAD_BYTES..]);
                bytes[1..HEAD_BYTES].copy_from_slice(&checksum.to_le_bytes());
                let _ = decode(&bytes);
            }
        }
    }
}
