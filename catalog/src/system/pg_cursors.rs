//! `pg_cursors`: the session's portals, declared in SQL or bound through the protocol.

use aegis_types::Datum;

use super::SystemContext;

pub(super) fn rows(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let cursors = context.server.cursors();
    cursors
        .into_iter()
        .map(|cursor| {
            row![
                cursor.name,
                cursor.statement,
                cursor.is_holdable,
                cursor.is_binary,
                cursor.is_scrollable,
                Datum::Timestamptz(cursor.creation_time),
            ]
        })
        .collect()
}
