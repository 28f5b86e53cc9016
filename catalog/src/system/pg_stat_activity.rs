//! `pg_stat_activity`: sessions, what each does, and what it waits for.

use std::collections::BTreeMap;

use aegis_types::Datum;

use super::cell::NULL;
use super::{SessionRow, SystemContext, pg_locks};

pub(super) fn rows(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let catalog = context.catalog();
    let waits: BTreeMap<i32, &'static str> = context
        .server
        .locks()
        .iter()
        .filter(|report| report.waited.is_some())
        .map(|report| (report.process_id, pg_locks::wait_event(report)))
        .collect();
    context
        .server
        .sessions()
        .into_iter()
        .map(|session| {
            let wait = match waits.get(&session.process_id) {
                Some(event) => Some(("Lock", *event)),
                None if session.state == "active" => None,
                None => Some(("Client", "ClientRead")),
            };
            let time = |at: Option<i64>| at.map(Datum::Timestamptz);
            let SessionRow { process_id, database, user, .. } = &session;
            row![
                catalog.database_named(database).map(|database| database.oid),
                database,
                *process_id,
                NULL,
                catalog.role_named(user).map(|role| role.oid),
                user,
                session.application_name.as_str(),
                NULL,
                NULL,
                NULL,
                Datum::Timestamptz(session.start_time),
                time(session.transaction_start),
                time(session.query_start),
                time(session.state_change),
                wait.map(|(kind, _)| kind),
                wait.map(|(_, event)| event),
                session.state,
                NULL,
                NULL,
                NULL,
                &*session.query,
                "client backend",
            ]
        })
        .collect()
}
