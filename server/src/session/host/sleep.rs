//! `pg_sleep`: the one function that waits for nothing but time.

use std::time::{Duration, Instant};

use aegis_types::{Datum, SqlResult};

use super::{Call, HostTable};

pub(super) static FUNCTIONS: HostTable = &[("pg_sleep", sleep)];

/// How often the sleeper looks whether it is cancelled.
const CANCEL_POLL: Duration = Duration::from_millis(10);

/// Sleeps a number of seconds; NaN and negative numbers are none. Its thread's place in the runtime
/// is given to another one meanwhile.
fn sleep(call: &Call<'_>) -> SqlResult<Datum> {
    let Datum::Float8(seconds) = call.arg(0) else { return Ok(Datum::Null) };
    let whole = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX);
    let begun = Instant::now();
    let wait = || {
        while let Some(rest) = whole.checked_sub(begun.elapsed()).filter(|rest| !rest.is_zero()) {
            call.host.identity.stop_handle.check()?;
            std::thread::sleep(rest.min(CANCEL_POLL));
        }
        call.host.identity.stop_handle.check()
    };
    let multi_threaded = tokio::runtime::Handle::try_current()
        .is_ok_and(|handle| handle.runtime_flavor() == tokio::runtime::RuntimeFlavor::MultiThread);
    if multi_threaded {
        tokio::task::block_in_place(wait)?
    } else {
        wait()?
    }
    // The value of a function that returns void.
    Ok(Datum::text(""))
}
