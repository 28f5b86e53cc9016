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
    let access = catalog.access(context.names.database);
    let role = context.server.role();
    let reads_all = access.has_privileges_of(role, READ_ALL_STATS);
    context
        .server
        .sessions()
        .into_iter()
        .map(|session| {
            let owner = catalog.role_named(&session.user).map(|owner| owner.oid);
            if !reads_all && !owner.is_some_and(|owner| access.has_privileges_of(role, owner)) {
                return hidden(context, &session);
            }
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
                session.query_id,
                &*session.query,
                "client backend",
            ]
        })
        .collect()
}

/// `pg_read_all_stats`
const READ_ALL_STATS: aegis_types::Oid = aegis_types::Oid(3375);

/// What of a session those are shown who are not to see what it does.
fn hidden(context: &SystemContext<'_>, session: &SessionRow) -> Vec<Datum> {
    let catalog = context.catalog();
    row![
        catalog.database_named(&session.database).map(|database| database.oid),
        &session.database,
        session.process_id,
        NULL,
        catalog.role_named(&session.user).map(|role| role.oid),
        &session.user,
        session.application_name.as_str(),
        NULL,
        NULL,
        NULL,
        NULL,
        NULL,
        NULL,
        NULL,
        NULL,
        NULL,
        NULL,
        NULL,
        NULL,
        NULL,
        "<insufficient privilege>",
        NULL,
    ]
}

/// `pg_stat_ssl`
pub(super) fn encryption(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    context
        .server
        .sessions()
        .into_iter()
        .map(|session| {
            let how = session.encryption;
            let client = how.as_ref().and_then(|how| how.client.clone());
            let serial = client.as_ref().and_then(|client| numeric(&client.1));
            row![
                session.process_id,
                how.is_some(),
                how.as_ref().map(|how| how.version.as_str()),
                how.as_ref().map(|how| how.cipher.as_str()),
                how.as_ref().map(|how| how.bits),
                client.as_ref().map(|client| client.0.as_str()),
                serial,
                client.as_ref().map(|client| client.2.as_str()),
            ]
        })
        .collect()
}

fn numeric(text: &str) -> Option<Datum> {
    let settings = aegis_types::FormatSettings::default();
    let context = aegis_types::EvalContext {
        settings: &settings,
        transaction_timestamp: 0,
        statement_timestamp: 0,
        host: &aegis_types::context::NoHost,
    };
    let ty = aegis_types::TypeRef::plain(aegis_types::type_oid::NUMERIC);
    aegis_types::io::text_in(ty, text, &context).ok()
}
