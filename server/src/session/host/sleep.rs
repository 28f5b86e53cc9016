//! `pg_sleep`, which waits for nothing but time, and how others wait with an end.

use std::time::{Duration, Instant};

use aegis_storage::at_length;
use aegis_types::{Datum, SqlResult};

use super::{Call, HostTable};

pub(super) static FUNCTIONS: HostTable = &[("pg_sleep", sleep)];

/// How often who waits for something that tells nobody looks at it.
const LOOKS_EVERY: Duration = Duration::from_millis(10);

/// Sleeps a number of seconds; NaN and negative numbers are none. Its thread's place in the runtime
/// is given to another one meanwhile.
fn sleep(call: &Call<'_>) -> SqlResult<Datum> {
    let Datum::Float8(seconds) = call.arg(0) else { return Ok(Datum::Null) };
    let whole = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX);
    pause(call, whole)?;
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
    while !is_so() {
        let rest = time.saturating_sub(begun.elapsed());
        if rest.is_zero() {
            return Ok(false);
        }
        pause(call, rest.min(LOOKS_EVERY))?;
    }
    Ok(true)
}

/// Lets time pass, unless the statement is to stop.
fn pause(call: &Call<'_>, time: Duration) -> SqlResult<()> {
    let identity = &call.host.identity;
    let flag = identity.stop_handle.flag();
    let pause = async {
        tokio::select! {
            biased;
            error = flag.cancelled() => Err(error),
            () = tokio::time::sleep(time) => Ok(()),
        }
    };
    at_length(|| identity.instance.runtime.block_on(pause))
}
