//! Long work on a thread that others wait for.

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
