//! The bytes of votes, log ids, memberships and entries: what the segment log keeps opaquely.
//!
//! ```text
//! log id       u64 term, u64 node, u64 index
//! vote         u8 version, u64 term, u64 node, u8 committed
//! membership   u32 configs, each: u32 voters, each u64; u32 nodes, each: u64 id, u32 length, address
//! entry        u8 version, u8 kind (0 blank, 1 write set, 2 membership), u64 term, u64 node,
//!              then the write set as it is, or the membership
//! log state    u8 version, log id, u8 whether the membership has a log id, that log id,
//!              the membership
//! ```
//!
//! All numbers are little-endian. An entry's index is its record's. Decoding never panics and
//! never allocates more than the bytes given can fill.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use openraft::EntryPayload;
use openraft::impls::BasicNode;

use crate::types::{Entry, LeaderId, LogId, Membership, StoredMembership, Vote, WriteSet};

/// The version that this code writes, and the only one it reads.
const VERSION: u8 = 1;
/// Bytes of an entry before its write set or membership.
const ENTRY_HEADER_BYTES: usize = 18;
/// Kinds of entries.
const BLANK: u8 = 0;
const WRITE_SET: u8 = 1;
const MEMBERSHIP: u8 = 2;

/// An entry's bytes, in parts so that the write set need not be copied.
pub(crate) struct EncodedEntry {
    header: [u8; ENTRY_HEADER_BYTES],
    body: Body,
}

enum Body {
    Shared(Arc<[u8]>),
    Owned(Vec<u8>),
}

impl EncodedEntry {
    pub(crate) fn of(entry: &Entry) -> Self {
        let (kind, body) = match &entry.payload {
            EntryPayload::Blank => (BLANK, Body::Owned(Vec::new())),
            EntryPayload::Normal(write_set) => (WRITE_SET, Body::Shared(Arc::clone(&write_set.0))),
            EntryPayload::Membership(membership) => {
                let mut bytes = Vec::new();
                put_membership(&mut bytes, membership);
                (MEMBERSHIP, Body::Owned(bytes))
            }
        };
        Self { header: entry_header(kind, &entry.log_id.leader_id), body }
    }

    pub(crate) fn parts(&self) -> [&[u8]; 2] {
        let body: &[u8] = match &self.body {
            Body::Shared(bytes) => bytes,
            Body::Owned(bytes) => bytes,
        };
        [&self.header, body]
    }
}

/// What stands before a write set in an entry's bytes.
pub(crate) fn write_set_header(leader_id: &LeaderId) -> [u8; ENTRY_HEADER_BYTES] {
    entry_header(WRITE_SET, leader_id)
}

fn entry_header(kind: u8, leader_id: &LeaderId) -> [u8; ENTRY_HEADER_BYTES] {
    let mut header = [0; ENTRY_HEADER_BYTES];
    header[0] = VERSION;
    header[1] = kind;
    header[2..10].copy_from_slice(&leader_id.term.to_le_bytes());
    header[10..18].copy_from_slice(&leader_id.node_id.to_le_bytes());
    header
}

/// About what an entry costs in memory, in bytes.
pub(crate) fn entry_bytes(entry: &Entry) -> usize {
    let payload = match &entry.payload {
        EntryPayload::Normal(write_set) => write_set.0.len(),
        EntryPayload::Blank => 0,
        EntryPayload::Membership(_) => 256,
    };
    size_of::<Entry>() + payload
}

pub(crate) fn decode_entry(index: u64, bytes: &[u8]) -> io::Result<Entry> {
    let mut input = Input(bytes);
    input.version()?;
    let kind = input.u8()?;
    let leader_id = input.leader_id()?;
    let payload = match kind {
        BLANK => EntryPayload::Blank,
        WRITE_SET => EntryPayload::Normal(WriteSet(input.rest().into())),
        MEMBERSHIP => EntryPayload::Membership(input.membership()?),
        _ => return Err(invalid("an unknown kind of entry")),
    };
    input.end()?;
    Ok(Entry { log_id: LogId { leader_id, index }, payload })
}

pub(crate) fn encode_vote(vote: &Vote) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    put_u64(&mut bytes, vote.leader_id.term);
    put_u64(&mut bytes, vote.leader_id.node_id);
    bytes.push(u8::from(vote.committed));
    bytes
}

pub(crate) fn decode_vote(bytes: &[u8]) -> io::Result<Vote> {
    let mut input = Input(bytes);
    input.version()?;
    let leader_id = input.leader_id()?;
    let committed = input.flag()?;
    input.end()?;
    Ok(Vote { leader_id, committed })
}

pub(crate) fn encode_log_id(log_id: &LogId) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(24);
    put_log_id(&mut bytes, log_id);
    bytes
}

pub(crate) fn decode_log_id(bytes: &[u8]) -> io::Result<LogId> {
    let mut input = Input(bytes);
    let log_id = input.log_id()?;
    input.end()?;
    Ok(log_id)
}

/// The membership's part of a log state, which is the same for many entries.
pub(crate) fn encode_stored_membership(membership: &StoredMembership) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.push(u8::from(membership.log_id().is_some()));
    if let Some(log_id) = membership.log_id() {
        put_log_id(&mut bytes, log_id);
    }
    put_membership(&mut bytes, membership.membership());
    bytes
}

/// The log's state as of an entry; `membership` comes from [`encode_stored_membership`].
pub(crate) fn encode_log_state(log_id: &LogId, membership: &[u8]) -> Arc<[u8]> {
    let mut bytes = Vec::with_capacity(25 + membership.len());
    bytes.push(VERSION);
    put_log_id(&mut bytes, log_id);
    bytes.extend_from_slice(membership);
    bytes.into()
}

/// The last applied log id and membership; nothing and the empty membership from no bytes.
pub(crate) fn decode_log_state(bytes: &[u8]) -> io::Result<(Option<LogId>, StoredMembership)> {
    if bytes.is_empty() {
        return Ok((None, StoredMembership::default()));
    }
    let mut input = Input(bytes);
    input.version()?;
    let log_id = input.log_id()?;
    let membership_log_id = match input.flag()? {
        true => Some(input.log_id()?),
        false => None,
    };
    let membership = input.membership()?;
    input.end()?;
    Ok((Some(log_id), StoredMembership::new(membership_log_id, membership)))
}

fn put_u32(bytes: &mut Vec<u8>, value: u32) {
    bytes.extend_from_slice(&value.to_le_bytes());
}

fn put_u64(bytes: &mut Vec<u8>, value: u64) {
    bytes.extend_from_slice(&value.to_le_bytes());
}

fn put_log_id(bytes: &mut Vec<u8>, log_id: &LogId) {
    put_u64(bytes, log_id.leader_id.term);
    put_u64(bytes, log_id.leader_id.node_id);
    put_u64(bytes, log_id.index);
}

fn put_membership(bytes: &mut Vec<u8>, membership: &Membership) {
    let configs = membership.get_joint_config();
    put_u32(bytes, configs.len() as u32);
    for config in configs {
        put_u32(bytes, config.len() as u32);
        for voter in config {
            put_u64(bytes, *voter);
        }
    }
    put_u32(bytes, membership.nodes().count() as u32);
    for (id, node) in membership.nodes() {
        put_u64(bytes, *id);
        put_u32(bytes, node.addr.len() as u32);
        bytes.extend_from_slice(node.addr.as_bytes());
    }
}

fn invalid(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.to_owned())
}

/// Bytes not yet decoded.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, length: usize) -> io::Result<&'a [u8]> {
        let (taken, rest) =
            self.0.split_at_checked(length).ok_or_else(|| invalid("bytes end too early"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    fn end(&self) -> io::Result<()> {
        match self.0 {
            [] => Ok(()),
            _ => Err(invalid("bytes left over")),
        }
    }

    fn u8(&mut self) -> io::Result<u8> {
        Ok(self.take(1)?[0])
    }

    fn flag(&mut self) -> io::Result<bool> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(invalid("a flag is neither 0 nor 1")),
        }
    }

    fn u32(&mut self) -> io::Result<u32> {
        let mut value = [0; 4];
        value.copy_from_slice(self.take(4)?);
        Ok(u32::from_le_bytes(value))
    }

    fn u64(&mut self) -> io::Result<u64> {
        let mut value = [0; 8];
        value.copy_from_slice(self.take(8)?);
        Ok(u64::from_le_bytes(value))
    }

    fn version(&mut self) -> io::Result<()> {
        match self.u8()? {
            VERSION => Ok(()),
            _ => Err(invalid("written by another version of the format")),
        }
    }

    fn leader_id(&mut self) -> io::Result<LeaderId> {
        Ok(LeaderId { term: self.u64()?, node_id: self.u64()? })
    }

    fn log_id(&mut self) -> io::Result<LogId> {
        Ok(LogId { leader_id: self.leader_id()?, index: self.u64()? })
    }

    fn membership(&mut self) -> io::Result<Membership> {
        let mut configs = Vec::new();
        for _ in 0..self.u32()? {
            let mut voters = BTreeSet::new();
            for _ in 0..self.u32()? {
                voters.insert(self.u64()?);
            }
            configs.push(voters);
        }
        let mut nodes = BTreeMap::new();
        for _ in 0..self.u32()? {
            let id = self.u64()?;
            let length = self.u32()? as usize;
            let address = std::str::from_utf8(self.take(length)?)
                .map_err(|_| invalid("a node's address is not UTF-8"))?;
            nodes.insert(id, BasicNode::new(address));
        }
        if configs.is_empty() && nodes.is_empty() {
            // openraft's own "not yet a member of anything", which it refuses to construct.
            return Ok(Membership::default());
        }
        Membership::new(configs, nodes).map_err(|error| invalid(&error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn membership() -> Membership {
        let nodes = [(1, "a:1"), (2, "b:2"), (9, "learner")];
        let nodes: BTreeMap<_, _> =
            nodes.into_iter().map(|(id, address)| (id, BasicNode::new(address))).collect();
        Membership::new(vec![BTreeSet::from([1]), BTreeSet::from([1, 2])], nodes).unwrap()
    }

    fn log_id(index: u64) -> LogId {
        LogId { leader_id: LeaderId { term: 5, node_id: 2 }, index }
    }

    #[test]
    fn entries_return_as_they_were_written() {
        for payload in [
            EntryPayload::Blank,
            EntryPayload::Normal(WriteSet(b"abc"[..].into())),
            EntryPayload::Membership(membership()),
            EntryPayload::Membership(Membership::default()),
        ] {
            let entry = Entry { log_id: log_id(7), payload };
            let bytes = EncodedEntry::of(&entry).parts().concat();
            assert_eq!(decode_entry(7, &bytes).unwrap(), entry);
            if !matches!(entry.payload, EntryPayload::Normal(_)) {
                for length in 0..bytes.len() {
                    assert!(decode_entry(7, &bytes[..length]).is_err());
                }
            }
        }
    }

    #[test]
    fn a_log_state_returns_as_it_was_written() {
        for stored in
            [StoredMembership::default(), StoredMembership::new(Some(log_id(3)), membership())]
        {
            let bytes = encode_log_state(&log_id(8), &encode_stored_membership(&stored));
            assert_eq!(decode_log_state(&bytes).unwrap(), (Some(log_id(8)), stored));
        }
        assert_eq!(decode_log_state(&[]).unwrap(), (None, StoredMembership::default()));
    }

    #[test]
    fn votes_and_log_ids_return_as_they_were_written() {
        let vote = Vote { leader_id: log_id(0).leader_id, committed: true };
        assert_eq!(decode_vote(&encode_vote(&vote)).unwrap(), vote);
        assert_eq!(decode_log_id(&encode_log_id(&log_id(4))).unwrap(), log_id(4));
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..120), small in any::<bool>()) {
            if small {
                // Small counts reach deeper than random ones.
                bytes.iter_mut().for_each(|byte| *byte %= 3);
            }
            let _ = decode_entry(1, &bytes);
            let _ = decode_vote(&bytes);
            let _ = decode_log_id(&bytes);
            let _ = decode_log_state(&bytes);
        }
    }
}
