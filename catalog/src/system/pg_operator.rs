//! `pg_operator`: the operators that can be run here.

use aegis_types::Datum;
use aegis_types::Oid;
use aegis_types::builtin::builtins;

use super::SystemContext;
use super::pg_cast::is_implemented;
use crate::snapshot::{BOOTSTRAP_ROLE, PG_CATALOG};

pub(super) fn rows(_: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    builtins()
        .operators
        .iter()
        .filter(|row| is_implemented(row.function))
        .map(|row| {
            row![
                row.oid,
                row.name,
                PG_CATALOG,
                BOOTSTRAP_ROLE,
                if row.left.is_some() { b'b' } else { b'l' },
                row.can_merge,
                row.can_hash,
                row.left,
                row.right,
                row.result,
                row.commutator,
                row.negator,
                row.function,
                Oid::NONE,
                Oid::NONE,
            ]
        })
        .collect()
}
