//! The one source of chance for SQL: `random()` and `gen_random_uuid()`.
//!
//! `random()` is one generator a process, seeded by the operating system; `setseed` is not
//! implemented. A uuid comes from the operating system's generator directly, whose numbers nobody
//! can predict.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{SqlError, SqlResult};

static STATE: LazyLock<AtomicU64> = LazyLock::new(|| {
    let mut seed = [0; 8];
    // Without the system's randomness the seed is the clock's: `random()` promises no secrecy.
    let seed = match getrandom::fill(&mut seed) {
        Ok(()) => u64::from_le_bytes(seed),
        Err(_) => crate::clock::now().cast_unsigned(),
    };
    AtomicU64::new(seed)
});

/// The next 64 bits of SplitMix64 (Steele, Lea and Flood, 2014), whose state is a counter and so
/// needs no lock.
fn next() -> u64 {
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut bits = STATE.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// A number from 0 to below 1, of 52 random bits as PostgreSQL's.
pub(in crate::functions) fn unit() -> f64 {
    (next() >> 12) as f64 / (1_u64 << 52) as f64
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
