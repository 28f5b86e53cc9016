//! Advisory locks: `pg_advisory_lock` and its family.

use std::time::Duration;

use aegis_storage::{AdvisoryKey, AdvisoryLevel, AdvisoryMode, LockWait};
use aegis_types::{Datum, SqlError, SqlResult, SqlState};

use super::{Call, HostTable};

use AdvisoryLevel::{Session, Transaction};
use AdvisoryMode::{Exclusive, Share};

pub(super) static FUNCTIONS: HostTable = &[
    ("pg_advisory_lock", |call| lock(call, Exclusive, Session)),
    ("pg_advisory_lock_shared", |call| lock(call, Share, Session)),
    ("pg_advisory_xact_lock", |call| lock(call, Exclusive, Transaction)),
    ("pg_advisory_xact_lock_shared", |call| lock(call, Share, Transaction)),
    ("pg_try_advisory_lock", |call| try_lock(call, Exclusive, Session)),
    ("pg_try_advisory_lock_shared", |call| try_lock(call, Share, Session)),
    ("pg_try_advisory_xact_lock", |call| try_lock(call, Exclusive, Transaction)),
    ("pg_try_advisory_xact_lock_shared", |call| try_lock(call, Share, Transaction)),
    ("pg_advisory_unlock", |call| unlock(call, Exclusive)),
    ("pg_advisory_unlock_shared", |call| unlock(call, Share)),
    ("pg_advisory_unlock_all", |call| {
        call.host.identity.advisory.unlock_all();
        Ok(void())
    }),
];

/// The value of a function that returns void.
fn void() -> Datum {
    Datum::text("")
}

fn key(call: &Call<'_>) -> SqlResult<AdvisoryKey> {
    let database = call.host.identity.database.0;
    match (call.arg(0), call.arg(1)) {
        (Datum::Int8(key), _) => Ok(AdvisoryKey { database, key: key.cast_unsigned(), class: 1 }),
        (Datum::Int4(first), Datum::Int4(second)) => {
            let (first, second) = (first.cast_unsigned(), second.cast_unsigned());
            let key = u64::from(first) << 32 | u64::from(second);
            Ok(AdvisoryKey { database, key, class: 2 })
        }
        _ => Err(SqlError::internal("an advisory lock has one number or two")),
    }
}

fn try_lock(call: &Call<'_>, mode: AdvisoryMode, level: AdvisoryLevel) -> SqlResult<Datum> {
    Ok(Datum::Bool(call.host.identity.advisory.try_lock(key(call)?, mode, level)?))
}

/// Waits in place: the thread's part in the runtime is given to another one meanwhile.
fn lock(call: &Call<'_>, mode: AdvisoryMode, level: AdvisoryLevel) -> SqlResult<Datum> {
    let identity = &call.host.identity;
    let key = key(call)?;
    if identity.advisory.try_lock(key, mode, level)? {
        return Ok(void());
    }
    let milliseconds = |name| {
        let value = u64::try_from(call.seen.settings.integer(name)).unwrap_or(0);
        Duration::from_millis(value)
    };
    let timeout = Some(milliseconds("lock_timeout")).filter(|timeout| !timeout.is_zero());
    let wait = LockWait::Wait { timeout };
    let lock = identity.advisory.lock(key, mode, level, wait, milliseconds("deadlock_timeout"));
    let flag = identity.stop_handle.flag();
    // Not the current runtime: within a part of a query that is one without timers.
    let runtime = &identity.instance.runtime;
    aegis_storage::at_length(|| runtime.block_on(flag.wait(lock)))?;
    Ok(void())
}

fn unlock(call: &Call<'_>, mode: AdvisoryMode) -> SqlResult<Datum> {
    let owned = call.host.identity.advisory.unlock(key(call)?, mode);
    if !owned {
        let name = mode.as_table_mode().name();
        call.host
            .warn(SqlError::new(SqlState::Warning, format!("you don't own a lock of type {name}")));
    }
    Ok(Datum::Bool(owned))
}
