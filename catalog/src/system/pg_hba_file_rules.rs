//! `pg_hba_file_rules`: the rules by which clients are let in, as the file has them now.

use aegis_types::{Datum, type_oid as t};

use super::SystemContext;
use super::cell::array_or_null;

pub(super) fn rows(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    context
        .server
        .hba_rules()
        .into_iter()
        .map(|rule| {
            row![
                i32::try_from(rule.line).unwrap_or(i32::MAX),
                rule.kind,
                array_or_null(t::TEXT, rule.databases),
                array_or_null(t::TEXT, rule.users),
                rule.address,
                rule.netmask,
                rule.method,
                array_or_null(t::TEXT, rule.options),
                rule.error,
            ]
        })
        .collect()
}
