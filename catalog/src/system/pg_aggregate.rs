//! `pg_aggregate`: the aggregates that can be run here. Aegis has accumulators of its own, so that
//! the functions that PostgreSQL would combine or move windows with are not named.

use aegis_types::builtin::builtins;
use aegis_types::{Datum, Oid};

use super::SystemContext;
use super::cell::{NULL, count};
use super::pg_cast::is_implemented;

pub(super) fn rows(_: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    builtins()
        .aggregates
        .iter()
        .filter(|row| is_implemented(row.function))
        .map(|row| {
            row![
                row.function,
                row.kind,
                count(row.direct_arguments),
                row.transition,
                row.final_function,
                Oid::NONE,
                Oid::NONE,
                Oid::NONE,
                Oid::NONE,
                Oid::NONE,
                Oid::NONE,
                false,
                false,
                b'r',
                b'r',
                row.sort_operator,
                row.transition_type,
                0_i32,
                Oid::NONE,
                0_i32,
                if row.initial.is_empty() { None } else { Some(row.initial) },
                NULL,
            ]
        })
        .collect()
}
