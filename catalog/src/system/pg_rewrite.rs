//! `pg_rewrite`: the rule `_RETURN` that PostgreSQL makes of every view, under the view's own OID.

use aegis_types::Datum;

use super::SystemContext;
use super::cell::NULL;

pub(super) fn rows(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    context
        .relations()
        .filter_map(|relation| {
            let definition = relation.query_text()?;
            Some(row![relation.oid, "_RETURN", relation.oid, b'1', b'O', true, NULL, definition,])
        })
        .collect()
}
