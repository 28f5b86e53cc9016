//! Chance for SQL: `random()`, `setseed()` and `gen_random_uuid()`.
//!
//! `random()` is one generator a session, PostgreSQL's own (`pg_prng.c`), so that the numbers after
//! `setseed` are PostgreSQL's too. A uuid comes from the operating system's generator directly, whose
//! numbers nobody can predict.

use std::sync::Mutex;

use crate::context::CallContext;
use crate::datum::Datum;
use crate::error::{SqlError, SqlResult};
use crate::sqlstate::SqlState;

/// xoroshiro128** (Blackman and Vigna, 2018), seeded by SplitMix64 (Steele, Lea and Flood, 2014).
#[derive(Debug)]
pub struct Generator(Mutex<[u64; 2]>);

impl Default for Generator {
    /// Seeded by the operating system.
    fn default() -> Self {
        let mut seed = [0; 8];
        // Without the system's randomness the seed is the clock's: `random()` promises no secrecy.
        let seed = match getrandom::fill(&mut seed) {
            Ok(()) => u64::from_le_bytes(seed),
            Err(_) => crate::clock::now().cast_unsigned(),
        };
        Self(Mutex::new(seeded(seed)))
    }
}

fn seeded(mut seed: u64) -> [u64; 2] {
    let mut next = || {
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = seed;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    };
    [next(), next()]
}

impl Generator {
    /// A number from 0 to below 1, of 52 random bits.
    pub fn unit(&self) -> f64 {
        let mut state = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let [first, second] = *state;
        let mixed = second ^ first;
        let bits = first.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        *state = [first.rotate_left(24) ^ mixed ^ (mixed << 16), mixed.rotate_left(37)];
        (bits >> 12) as f64 / (1_u64 << 52) as f64
    }

    /// Begins the sequence that belongs to a number from -1 to 1.
    pub fn seed(&self, seed: f64) {
        let whole = ((1_u64 << 52) - 1) as f64 * seed;
        let mut state = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *state = seeded((whole as i64).cast_unsigned());
    }
}

/// `random()`
pub(in crate::functions) fn random(context: &CallContext<'_>, _: &[Datum]) -> SqlResult<Datum> {
    Ok(Datum::Float8(context.eval.host.random().unit()))
}

/// `setseed()`
pub(in crate::functions) fn setseed(context: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    let seed = a[0].as_float8();
    if !(-1.0..=1.0).contains(&seed) {
        return Err(SqlError::new(
            SqlState::InvalidParameterValue,
            format!(
                "setseed parameter {} is out of allowed range [-1,1]",
                crate::functions::aggregate::short(seed)
            ),
        ));
    }
    context.eval.host.random().seed(seed);
    Ok(Datum::text(""))
}

/// A version 4 uuid (RFC 4122).
///
/// # Errors
/// XX000 where the operating system has no random numbers.
pub(in crate::functions) fn uuid() -> SqlResult<[u8; 16]> {
    let mut uuid = [0; 16];
    getrandom::fill(&mut uuid).map_err(|error| {
        SqlError::internal(format!("could not generate random values: {error}"))
    })?;
    uuid[6] = uuid[6] & 0x0f | 0x40;
    uuid[8] = uuid[8] & 0x3f | 0x80;
    Ok(uuid)
}
