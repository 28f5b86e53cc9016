//! Who waits for whom.

use aegis_types::{Array, Datum, SqlResult, type_oid as t};

use super::{Call, HostTable};

pub(super) static FUNCTIONS: HostTable = &[
    ("pg_blocking_pids", |call| Ok(process_ids(blockers(call)))),
    // A snapshot here waits for nobody.
    ("pg_safe_snapshot_blocking_pids", |_| Ok(process_ids(Vec::new()))),
    ("pg_isolation_test_session_is_blocked", is_blocked),
];

/// The backends for which the one with this number waits: those that hold, then those ahead of it.
fn blockers(call: &Call<'_>) -> Vec<i32> {
    let Datum::Int4(waiter) = call.arg(0) else { return Vec::new() };
    let mut blockers = Vec::new();
    for report in call.host.identity.instance.store.locks() {
        if report.process_id == *waiter && report.waited.is_some() {
            blockers.extend(report.blockers.iter().map(|(_, process_id)| *process_id));
        }
    }
    blockers
}

fn is_blocked(call: &Call<'_>) -> SqlResult<Datum> {
    let Datum::Array(interesting) = call.arg(1) else { return Ok(Datum::Bool(false)) };
    let is_interesting = |blocker: i32| {
        interesting.elements.iter().any(|one| matches!(one, Datum::Int4(id) if *id == blocker))
    };
    Ok(Datum::Bool(blockers(call).into_iter().any(is_interesting)))
}

fn process_ids(ids: Vec<i32>) -> Datum {
    let elements = ids.into_iter().map(Datum::Int4).collect();
    Datum::Array(Array::one_dimensional(t::INT4, elements).into())
}
