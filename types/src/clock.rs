//! The one clock. Everything that needs the time of day asks here, so that a test can own it.

use std::time::{Duration, UNIX_EPOCH};

/// Seconds from 1970-01-01 to PostgreSQL's epoch, 2000-01-01.
pub const POSTGRES_EPOCH_UNIX_SECONDS: i64 = 946_684_800;

/// Microseconds since 2000-01-01 00:00 UTC.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub fn now() -> i64 {
    let since_unix =
        std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let microseconds = i64::try_from(since_unix.as_micros()).unwrap_or(i64::MAX);
    microseconds - POSTGRES_EPOCH_UNIX_SECONDS * 1_000_000
}
