//! `pg_sleep`, which waits for nothing but time, and how others wait with an end.

use std::time::{Duration, Instant};

use aegis_storage::at_length;
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
    wait_until(call, whole, || false)?;
    // The value of a function that returns void.
    Ok(Datum::text(""))
}

/// Waits as long as something is not so yet, for some time at most; whether it is so then.
pub(super) fn wait_until(
    call: &Call<'_>,
    time: Duration,
    is_so: impl Fn() -> bool,
) -> SqlResult<bool> {
    let begun = Instant::now();
    let wait = || {
        while let Some(rest) = time.checked_sub(begun.elapsed()).filter(|rest| !rest.is_zero()) {
            call.host.identity.stop_handle.check()?;
            if is_so() {
                return Ok(true);
            }
            std::thread::sleep(rest.min(CANCEL_POLL));
        }
        call.host.identity.stop_handle.check()?;
        Ok(is_so())
    };
    at_length(wait)
}
