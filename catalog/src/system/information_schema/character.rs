//! `information_schema.character_sets`, `collations`, their applicability, and the catalog's name.

use aegis_types::Datum;

use super::super::cell::NULL;
use super::super::{SystemContext, stored};
use super::catalog_name;

pub(in crate::system) fn name(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    vec![row![catalog_name(&context.names)]]
}

/// The one encoding.
pub(in crate::system) fn sets(_: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    vec![row![NULL, NULL, "UTF8", "UCS", "UTF8", NULL, NULL, NULL]]
}

fn names() -> impl Iterator<Item = Datum> {
    stored::rows("pg_collation").into_iter().filter_map(|row| row.get(1).cloned())
}

pub(in crate::system) fn collations(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let catalog = catalog_name(&context.names);
    names().map(|name| row![catalog, "pg_catalog", name, "NO PAD"]).collect()
}

pub(in crate::system) fn applicability(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let catalog = catalog_name(&context.names);
    names().map(|name| row![catalog, "pg_catalog", name, NULL, NULL, "UTF8"]).collect()
}
