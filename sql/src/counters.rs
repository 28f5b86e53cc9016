//! Sequences and OIDs: numbers that are handed out from memory and reserved in the log by blocks.
//!
//! ```text
//! nextval   1 2 3 … 32 │ 33 …          the row in the log says 32 when 1 is handed out,
//!           ▲ reserve   ▲ reserve      so that a crash skips numbers and never repeats one
//! ```
//!
//! Reservations are transactions of their own: a rollback gives no number back. They are waited for
//! where the number is needed, which is inside synchronous evaluation; the wait gives its thread's
//! other work away first. A sequence that is asked all the time reserves more at once, so that these
//! waits stay rare; what is left over at a clean shutdown is given back.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aegis_catalog::store::COUNTER_TREE;
use aegis_catalog::{CatalogSnapshot, Relation, SequenceBody};
use aegis_storage::{Store, TxnOptions, at_length};
use aegis_types::{Oid, SqlError, SqlResult, SqlState};
use parking_lot::{Mutex, MutexGuard};
use tokio::runtime::Handle;

/// Values that one reservation of a sequence covers beyond the one asked for, as PostgreSQL's.
const RESERVE_AHEAD: u32 = 32;
/// Values that it covers at most, of a sequence in heavy demand.
const RESERVE_AHEAD_MAX: u32 = 8192;
/// A reservation that lasted for less than this is followed by one of twice the values.
const SHORT_LIFE: Duration = Duration::from_secs(1);
/// One that lasted for longer than this, by one of [`RESERVE_AHEAD`] again.
const LONG_LIFE: Duration = Duration::from_secs(10);
/// OIDs that one reservation covers.
const OID_BLOCK: u32 = 64;
const OID_KEY: &[u8] = &[0];
const SEQUENCE_TAG: u8 = 1;

/// Hands out numbers.
pub struct Counters {
    store: Store,
    runtime: Handle,
    oids: Mutex<Range<u32>>,
    /// By OID and generation.
    sequences: Mutex<HashMap<(Oid, u32), Arc<Mutex<Sequence>>>>,
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

/// A sequence in use.
struct Sequence {
    position: Position,
    /// Values that its last reservation covered, and when that was made.
    reserved: Option<(u32, Instant)>,
}

impl Sequence {
    /// Values that the next reservation is to cover.
    fn demand(&self) -> u32 {
        match self.reserved {
            Some((values, then)) if then.elapsed() < SHORT_LIFE => {
                (values * 2).min(RESERVE_AHEAD_MAX)
            }
            Some((values, then)) if then.elapsed() < LONG_LIFE => values,
            _ => RESERVE_AHEAD,
        }
    }
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
        let sequence = self.sequence(relation.oid, body)?;
        let mut sequence = hold(&sequence);
        let position = sequence.position;
        let value = if position.is_called {
            successor(position.last_value, body, &relation.name)?
        } else {
            position.last_value
        };
        let ahead = if position.ahead == 0 || !position.is_called {
            let demand = sequence.demand();
            let (reserved, ahead) = reserve(value, body, demand);
            self.write_position((relation.oid, body.generation), reserved, true)?;
            sequence.reserved = Some((demand, Instant::now()));
            ahead
        } else {
            position.ahead - 1
        };
        sequence.position = Position { last_value: value, is_called: true, ahead };
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
        let sequence = self.sequence(relation.oid, body)?;
        let mut sequence = hold(&sequence);
        self.write_position((relation.oid, body.generation), value, is_called)?;
        sequence.position = Position { last_value: value, is_called, ahead: 0 };
        Ok(())
    }

    /// Where a sequence stands: what a `SELECT` from it shows.
    ///
    /// # Errors
    /// What reading raises.
    pub fn current(&self, relation: &Relation) -> SqlResult<Position> {
        let body = sequence(relation)?;
        let sequence = self.sequence(relation.oid, body)?;
        let sequence = hold(&sequence);
        Ok(sequence.position)
    }

    /// Gives back what is reserved of the sequences that exist: the server stops, and the next one
    /// goes on without a gap. Nobody may ask for a value any more.
    ///
    /// # Errors
    /// What the commit raises.
    pub async fn settle(&self, catalog: &CatalogSnapshot) -> SqlResult<()> {
        let sequences: Vec<_> = self.sequences.lock().drain().collect();
        let mut txn = self.store.begin(TxnOptions::default())?;
        for ((oid, generation), sequence) in sequences {
            let body = catalog.relation(oid).and_then(|relation| relation.as_sequence());
            let Position { last_value, is_called, ahead } = sequence.lock().position;
            if ahead > 0 && body.is_some_and(|body| body.generation == generation) {
                let value = position_bytes(last_value, is_called);
                txn.put(COUNTER_TREE, &sequence_key(oid, generation), &value)?;
            }
        }
        Ok(txn.commit().await.map(drop)?)
    }

    fn sequence(&self, oid: Oid, body: &SequenceBody) -> SqlResult<Arc<Mutex<Sequence>>> {
        let mut sequences = self.sequences.lock();
        if let Some(sequence) = sequences.get(&(oid, body.generation)) {
            return Ok(sequence.clone());
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
        let sequence = Arc::new(Mutex::new(Sequence { position, reserved: None }));
        sequences.insert((oid, body.generation), sequence.clone());
        Ok(sequence)
    }

    fn write_position(
        &self,
        (oid, generation): (Oid, u32),
        last_value: i64,
        is_called: bool,
    ) -> SqlResult<()> {
        self.write(&sequence_key(oid, generation), &position_bytes(last_value, is_called))
    }

    fn read(&self, key: &[u8]) -> SqlResult<Option<Vec<u8>>> {
        let found = self.store.newest_view()?.get(COUNTER_TREE, key)?;
        Ok(found.map(|row| row.value.to_vec()))
    }

    fn write(&self, key: &[u8], value: &[u8]) -> SqlResult<()> {
        let mut txn = self.store.begin(TxnOptions::default())?;
        txn.put(COUNTER_TREE, key, value)?;
        at_length(|| self.runtime.block_on(txn.commit()))?;
        Ok(())
    }
}

/// Takes what may be held by somebody who commits. Whoever waits for it gives its place in the runtime
/// to another thread meanwhile: with all of them waiting here, nobody would be left to commit.
fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.try_lock().unwrap_or_else(|| at_length(|| mutex.lock()))
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

fn position_bytes(last_value: i64, is_called: bool) -> Vec<u8> {
    let mut bytes = last_value.to_le_bytes().to_vec();
    bytes.push(u8::from(is_called));
    bytes
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

/// The value to log so that up to `demand` more can be handed out, and how many.
fn reserve(value: i64, body: &SequenceBody, demand: u32) -> (i64, u32) {
    let bound = if body.increment > 0 { body.maximum } else { body.minimum };
    let step = i128::from(body.increment);
    let room = (i128::from(bound) - i128::from(value)) / step;
    let ahead = room.clamp(0, i128::from(demand));
    let reserved = i128::from(value) + ahead * step;
    (i64::try_from(reserved).unwrap_or(bound), u32::try_from(ahead).unwrap_or(demand))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(increment: i64, minimum: i64, maximum: i64) -> SequenceBody {
        SequenceBody {
            ty: aegis_types::type_oid::INT8,
            start: minimum,
            increment,
            minimum,
            maximum,
            cache: 1,
            cycle: false,
            generation: 0,
            initial: minimum,
            owned_by: None,
            internal: false,
        }
    }

    #[test]
    fn a_reservation_ends_where_the_sequence_does() {
        assert_eq!(reserve(1, &body(1, 1, i64::MAX), 32), (33, 32));
        assert_eq!(reserve(90, &body(4, 1, 100), 32), (98, 2));
        assert_eq!(reserve(100, &body(1, 1, 100), 32), (100, 0));
        assert_eq!(reserve(-5, &body(-2, -8, -1), 32), (-7, 1));
        assert_eq!(reserve(i64::MAX - 1, &body(i64::MAX, 1, i64::MAX), 8), (i64::MAX - 1, 0));
        assert_eq!(reserve(i64::MIN, &body(i64::MAX, i64::MIN, i64::MAX), 8), (i64::MAX - 1, 2));
    }
}
