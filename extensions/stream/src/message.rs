//! A message, as it comes in and as functions show it.

use aegis_types::{Datum, SqlError, SqlResult};

use crate::known::{Stream, column};

/// A message that is to be published.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) partition: Option<i32>,
    pub(crate) key: Option<String>,
    pub(crate) payload: Datum,
    pub(crate) headers: Datum,
    pub(crate) id: Option<[u8; 16]>,
    /// Microseconds since 2000-01-01 UTC.
    pub(crate) expires_at: Option<i64>,
}

impl Message {
    /// A payload alone.
    pub(crate) const fn of(payload: Datum) -> Self {
        let (partition, key, id, expires_at) = (None, None, None, None);
        Self { partition, key, payload, headers: Datum::Null, id, expires_at }
    }
}

/// A payload in the column of its type: jsonb, text, bytea.
pub(crate) fn in_columns(payload: Datum) -> [Datum; 3] {
    let none = Datum::Null;
    match payload {
        Datum::Text(_) => [none.clone(), payload, none],
        Datum::Bytea(_) => [none.clone(), none, payload],
        _ => [payload, none.clone(), none],
    }
}

/// A stored message as functions show it.
pub(crate) fn shown(row: &[Datum]) -> Vec<Datum> {
    let mut shown =
        vec![row[column::PARTITION].clone(), row[column::OFFSET].clone(), row[column::KEY].clone()];
    shown.extend(in_columns(row[column::PAYLOAD].clone()));
    shown.extend([
        row[column::HEADERS].clone(),
        row[column::PUBLISHED_AT].clone(),
        row[column::ID].clone(),
    ]);
    shown
}

/// The id that stands for a name: itself where it is a UUID, else one made of its bytes.
pub(crate) fn id_of(stream: &Stream, name: &str) -> [u8; 16] {
    if let Ok(id) = aegis_types::uuid::parse(name) {
        return id;
    }
    // FNV-1a, 128 bits, over the stream and the name.
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let mut hash: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    for byte in stream.oid().0.to_be_bytes().iter().chain(name.as_bytes()) {
        hash = (hash ^ u128::from(*byte)).wrapping_mul(PRIME);
    }
    let mut id = hash.to_be_bytes();
    // Version 8: whatever its maker makes of it.
    id[6] = (id[6] & 0x0f) | 0x80;
    id[8] = (id[8] & 0x3f) | 0x80;
    id
}

/// An id by chance.
pub(crate) fn new_id() -> SqlResult<[u8; 16]> {
    let mut id = [0; 16];
    getrandom::fill(&mut id)
        .map_err(|error| SqlError::internal(format!("could not generate a random id: {error}")))?;
    id[6] = (id[6] & 0x0f) | 0x40;
    id[8] = (id[8] & 0x3f) | 0x80;
    Ok(id)
}

/// Where a key's messages go: the same partition always.
pub(crate) fn partition_of(key: &str, partitions: i32) -> i32 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in key.as_bytes() {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    // The upper bits have seen every byte.
    let spread = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
    i32::try_from(spread % u64::try_from(partitions.max(1)).unwrap_or(1)).unwrap_or_default()
}
