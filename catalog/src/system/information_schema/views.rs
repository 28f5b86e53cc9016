//! `information_schema.views`

use aegis_types::Datum;

use super::super::SystemContext;
use super::super::definition::view_definition;
use super::{catalog_name, schema, tables_and_views};

pub(in crate::system) fn rows(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    tables_and_views(context)
        .filter(|table| table.is_view)
        .map(|view| {
            row![
                catalog_name(&context.names),
                schema(context, view.schema),
                view.name,
                view.stored.and_then(|relation| view_definition(
                    &context.names,
                    relation,
                    false,
                    0
                )),
                "NONE",
                "NO",
                "NO",
                "NO",
                "NO",
                "NO",
            ]
        })
        .collect()
}
