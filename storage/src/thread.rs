//! Long work on a thread that others wait for, and whether others do.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, RuntimeFlavor};

/// Work over fewer bytes is done before others would notice.
const SHORT_BYTES: u64 = 256 << 10;

/// Does work over so many bytes: [`at_length`] if these are many.
pub fn at_length_over<T>(bytes: u64, work: impl FnOnce() -> T) -> T {
    if bytes > SHORT_BYTES { at_length(work) } else { work() }
}

/// Does work that takes long, or that waits. Where this is a thread of a runtime, its other tasks go on
/// on another thread meanwhile.
pub fn at_length<T>(work: impl FnOnce() -> T) -> T {
    let has_tasks =
        Handle::try_current().is_ok_and(|it| it.runtime_flavor() == RuntimeFlavor::MultiThread);
    if has_tasks { tokio::task::block_in_place(work) } else { work() }
}

/// Who has not been heard of for so long is not expected back in the time that a disk takes.
const ABSENT_AFTER: Duration = Duration::from_millis(10);

static START: LazyLock<Instant> = LazyLock::new(Instant::now);
/// The session that was served last, and since how many microseconds after the start no other was.
static SERVED: AtomicI32 = AtomicI32::new(0);
static ALONE_SINCE: AtomicU64 = AtomicU64::new(0);

fn micros_since_start() -> u64 {
    u64::try_from(START.elapsed().as_micros()).unwrap_or(u64::MAX)
}

/// Notes that the session with this process id is served.
pub fn serving(session: i32) {
    if SERVED.load(Ordering::Relaxed) != session {
        SERVED.store(session, Ordering::Relaxed);
        ALONE_SINCE.store(micros_since_start(), Ordering::Relaxed);
    }
}

/// Whether one session at most has been served lately: its thread may wait for a disk, where handing
/// the work to another thread would take as long.
#[must_use]
pub fn serves_one_session() -> bool {
    let since = Duration::from_micros(ALONE_SINCE.load(Ordering::Relaxed));
    START.elapsed().saturating_sub(since) > ABSENT_AFTER
}
