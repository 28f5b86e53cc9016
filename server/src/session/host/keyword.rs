//! `pg_get_keywords`: its rows all at once.

use aegis_sql::parser::KEYWORDS;
use aegis_types::{Array, Datum, type_oid as t};

use super::HostTable;

pub(super) static FUNCTIONS: HostTable = &[("pg_get_keywords", |_| {
    let rows = KEYWORDS
        .iter()
        .map(|keyword| {
            let category = u8::try_from(keyword.category.code()).unwrap_or(b'?');
            let label = if keyword.bare_label { "can be bare label" } else { "requires AS" };
            Datum::record([
                Datum::text(keyword.word),
                Datum::Char(category),
                Datum::Bool(keyword.bare_label),
                Datum::text(keyword.category.description()),
                Datum::text(label),
            ])
        })
        .collect();
    Ok(Datum::Array(Array::one_dimensional(t::RECORD, rows).into()))
})];
