//! `pg_stat_activity`: sessions. What each is doing is not collected: NULL.

use aegis_types::Datum;

use super::SystemContext;
use super::cell::NULL;

pub(super) fn rows(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let catalog = context.catalog();
    context
        .server
        .sessions()
        .into_iter()
        .map(|session| {
            row![
                catalog.database_named(&session.database).map(|database| database.oid),
                &session.database,
                session.process_id,
                NULL,
                catalog.role_named(&session.user).map(|role| role.oid),
                &session.user,
                NULL,
                NULL,
                NULL,
                NULL,
                Datum::Timestamptz(session.start_time),
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
                "client backend",
            ]
        })
        .collect()
}
