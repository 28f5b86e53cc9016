//! `pg_extension` and the extensions that are to be had: `pg_available_extensions`,
//! `pg_available_extension_versions`.

use aegis_types::{Datum, type_oid};

use super::SystemContext;
use super::cell::{NULL, array_or_null};
use crate::descriptor::Extension;
use crate::extension::EXTENSIONS;

fn installed<'a>(context: &SystemContext<'a>, name: &str) -> Option<&'a Extension> {
    let mut all = context.catalog().extensions_of(context.names.database);
    all.find(|extension| extension.name == name).map(|extension| &**extension)
}

pub(super) fn rows(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let all = context.catalog().extensions_of(context.names.database);
    all.map(|it| {
        let conditions = it.dumped_rows.iter().map(String::as_str).collect();
        row![
            it.oid,
            &it.name,
            it.owner,
            it.schema,
            true,
            &it.version,
            array_or_null(type_oid::OID, it.dumped.clone()),
            array_or_null(type_oid::TEXT, conditions),
        ]
    })
    .collect()
}

pub(super) fn available(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    EXTENSIONS
        .iter()
        .map(|known| {
            let installed = installed(context, known.name).map(|it| &it.version);
            row![known.name, known.version, installed, known.comment]
        })
        .collect()
}

pub(super) fn versions(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    EXTENSIONS
        .iter()
        .map(|known| {
            let installed = installed(context, known.name).is_some();
            row![known.name, known.version, installed, true, true, true, NULL, NULL, known.comment,]
        })
        .collect()
}
