//! Sequences and OIDs: numbers that are handed out from memory and reserved in the log by blocks.
//!
//! ```text
//! nextval   1 2 3 … 32 │ 33 …          the row in the log says 32 when 1 is handed out,
//!           ▲ reserve   ▲ reserve      so that a crash skips numbers and never repeats one
//! ```
//!
//! Reservations are transactions of their own: a rollback gives no number back. They are waited for
//! where the number is needed, which is inside synchronous evaluation; the wait gives its thread's
//! other work away first.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use aegis_catalog::store::COUNTER_TREE;
use aegis_catalog::{Relation, SequenceBody};
use aegis_storage::{Store, TxnOptions};
use aegis_types::{Oid, SqlError, SqlResult, SqlState};
use parking_lot::{Mutex, MutexGuard};
use tokio::runtime::Handle;

/// Values that one reservation of a sequence covers beyond the one asked for, as PostgreSQL's.
const RESERVE_AHEAD: u32 = 32;
/// OIDs that one reservation covers.
const OID_BLOCK: u32 = 64;
const OID_KEY: &[u8] = &[0];
const SEQUENCE_TAG: u8 = 1;

/// Hands out numbers.
pub struct Counters {
    store: Store,
    runtime: Handle,
    oids: Mutex<Range<u32>>,
    sequences: Mutex<HashMap<(Oid, u32), Arc<Mutex<Position>>>>,
}

/// Where a sequence stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// `last_value`
    pub last_value: i64,
    /// `is_called`: whether `last_value` was handed out.
    pub is_called: bool,
    /// `log_cnt`: values that may still be handed out without a reservation.
    pub ahead: u32,
}

impl Counters {
    /// Numbers kept in `store`; waiting happens on `runtime`.
    #[must_use]
    pub fn new(store: Store, runtime: Handle) -> Self {
        Self { store, runtime, oids: Mutex::new(0..0), sequences: Mutex::default() }
    }

    /// An OID that no object ever had.
    ///
    /// # Errors
    /// What committing the reservation raises; 54000 once all are used.
    pub fn next_oid(&self) -> SqlResult<Oid> {
        let mut oids = hold(&self.oids);
        if oids.is_empty() {
            let stored = self.read(OID_KEY)?;
            let first = stored
                .as_deref()
                .and_then(|bytes| bytes.try_into().ok().map(u32::from_le_bytes))
                .unwrap_or(Oid::FIRST_USER.0);
            let end = first.checked_add(OID_BLOCK).ok_or_else(|| {
                SqlError::new(SqlState::ProgramLimitExceeded, "all object identifiers are used")
            })?;
            self.write(OID_KEY, &end.to_le_bytes())?;
            *oids = first..end;
        }
        let oid = oids.start;
        oids.start += 1;
        Ok(Oid(oid))
    }

    /// `nextval`
    ///
    /// # Errors
    /// 2200H at the end of a sequence that does not cycle; what the reservation raises.
    pub fn next_value(&self, relation: &Relation) -> SqlResult<i64> {
        let body = sequence(relation)?;
        let position = self.position(relation.oid, body)?;
        let mut position = hold(&position);
        let value = if position.is_called {
            successor(position.last_value, body, &relation.name)?
        } else {
            position.last_value
        };
        if position.ahead == 0 || !position.is_called {
            let (reserved, ahead) = reserve(value, body);
            self.write_position(relation.oid, body, reserved, true)?;
            position.ahead = ahead;
        } else {
            position.ahead -= 1;
        }
        position.last_value = value;
        position.is_called = true;
        Ok(value)
    }

    /// `setval`
    ///
    /// # Errors
    /// 22003 for a value out of the sequence's bounds; what the commit raises.
    pub fn set_value(&self, relation: &Relation, value: i64, is_called: bool) -> SqlResult<()> {
        let body = sequence(relation)?;
        if value < body.minimum || value > body.maximum {
            return Err(SqlError::new(
                SqlState::NumericValueOutOfRange,
                format!(
                    "setval: value {value} is out of bounds for sequence \"{}\" ({}..{})",
                    relation.name, body.minimum, body.maximum
                ),
            ));
        }
        let position = self.position(relation.oid, body)?;
        let mut position = hold(&position);
        self.write_position(relation.oid, body, value, is_called)?;
        *position = Position { last_value: value, is_called, ahead: 0 };
        Ok(())
    }

    /// Where a sequence stands: what a `SELECT` from it shows.
    ///
    /// # Errors
    /// What reading raises.
    pub fn current(&self, relation: &Relation) -> SqlResult<Position> {
        let body = sequence(relation)?;
        let position = self.position(relation.oid, body)?;
        let position = hold(&position);
        Ok(*position)
    }

    fn position(&self, oid: Oid, body: &SequenceBody) -> SqlResult<Arc<Mutex<Position>>> {
        let mut sequences = self.sequences.lock();
        if let Some(position) = sequences.get(&(oid, body.generation)) {
            return Ok(position.clone());
        }
        let stored = self.read(&sequence_key(oid, body.generation))?;
        let position = match stored.as_deref() {
            Some([rest @ .., called]) => Position {
                last_value: i64::from_le_bytes(rest.try_into().map_err(|_| damaged())?),
                is_called: *called != 0,
                ahead: 0,
            },
            _ => Position { last_value: body.initial, is_called: false, ahead: 0 },
        };
        let position = Arc::new(Mutex::new(position));
        sequences.insert((oid, body.generation), position.clone());
        Ok(position)
    }

    fn write_position(
        &self,
        oid: Oid,
        body: &SequenceBody,
        last_value: i64,
        is_called: bool,
    ) -> SqlResult<()> {
        let mut value = last_value.to_le_bytes().to_vec();
        value.push(u8::from(is_called));
        self.write(&sequence_key(oid, body.generation), &value)
    }

    fn read(&self, key: &[u8]) -> SqlResult<Option<Vec<u8>>> {
        let found = self.store.newest_view()?.get(COUNTER_TREE, key)?;
        Ok(found.map(|row| row.value.to_vec()))
    }

    fn write(&self, key: &[u8], value: &[u8]) -> SqlResult<()> {
        let mut txn = self.store.begin(TxnOptions::default())?;
        txn.put(COUNTER_TREE, key, value)?;
        tokio::task::block_in_place(|| self.runtime.block_on(txn.commit()))?;
        Ok(())
    }
}

/// Takes what may be held by somebody who commits. Whoever waits for it gives its place in the runtime
/// to another thread meanwhile: with all of them waiting here, nobody would be left to commit.
fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.try_lock().unwrap_or_else(|| tokio::task::block_in_place(|| mutex.lock()))
}

fn sequence(relation: &Relation) -> SqlResult<&SequenceBody> {
    relation.as_sequence().ok_or_else(|| {
        SqlError::new(SqlState::WrongObjectType, format!("\"{}\" is not a sequence", relation.name))
    })
}

fn sequence_key(oid: Oid, generation: u32) -> Vec<u8> {
    let mut key = vec![SEQUENCE_TAG];
    key.extend_from_slice(&oid.0.to_be_bytes());
    key.extend_from_slice(&generation.to_be_bytes());
    key
}

fn damaged() -> SqlError {
    SqlError::new(SqlState::DataCorrupted, "the position of a sequence is damaged")
}

fn successor(last: i64, body: &SequenceBody, name: &str) -> SqlResult<i64> {
    let next = last.checked_add(body.increment);
    match next {
        Some(next) if next >= body.minimum && next <= body.maximum => Ok(next),
        _ if body.cycle && body.increment > 0 => Ok(body.minimum),
        _ if body.cycle => Ok(body.maximum),
        _ => {
            let (word, bound) = if body.increment > 0 {
                ("maximum", body.maximum)
            } else {
                ("minimum", body.minimum)
            };
            Err(SqlError::new(
                SqlState::SequenceGeneratorLimitExceeded,
                format!("nextval: reached {word} value of sequence \"{name}\" ({bound})"),
            ))
        }
    }
}

/// The value to log so that up to [`RESERVE_AHEAD`] more can be handed out, and how many.
fn reserve(value: i64, body: &SequenceBody) -> (i64, u32) {
    let mut reserved = value;
    let mut ahead = 0;
    while ahead < RESERVE_AHEAD {
        match reserved.checked_add(body.increment) {
            Some(next) if next >= body.minimum && next <= body.maximum => reserved = next,
            _ => break,
        }
        ahead += 1;
    }
    (reserved, ahead)
}
