//! `pg_prepared_statements`: the session's own, prepared through the protocol or in SQL. How often
//! each was planned is not counted: NULL.

use aegis_types::{Datum, type_oid as t};

use super::SystemContext;
use super::cell::{NULL, array};

pub(super) fn rows(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let statements = context.server.prepared_statements();
    statements
        .into_iter()
        .map(|prepared| {
            row![
                prepared.name,
                prepared.statement,
                Datum::Timestamptz(prepared.prepare_time),
                array(t::REGTYPE, prepared.parameter_types),
                prepared.from_sql,
                NULL,
                NULL,
            ]
        })
        .collect()
}
