//! `pg_cast`: the casts that can be run here.

use aegis_types::builtin::{CastContext, CastMethod, Implementation, builtins};
use aegis_types::{Datum, Oid};

use super::SystemContext;

pub(super) fn rows(_: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let mut rows = Vec::new();
    for cast in &builtins().casts {
        let (method, function) = match cast.method {
            CastMethod::Function(function) => (b'f', function),
            CastMethod::Binary => (b'b', Oid::NONE),
            CastMethod::InOut => (b'i', Oid::NONE),
        };
        if function.is_some() && !is_implemented(function) {
            continue;
        }
        let context = match cast.context {
            CastContext::Implicit => b'i',
            CastContext::Assignment => b'a',
            CastContext::Explicit => b'e',
        };
        rows.push(row![cast.oid, cast.source, cast.target, function, context, method]);
    }
    rows
}

/// Whether a function can be called.
pub(super) fn is_implemented(function: Oid) -> bool {
    builtins()
        .function(function)
        .is_some_and(|row| !matches!(row.implementation, Implementation::Missing))
}
