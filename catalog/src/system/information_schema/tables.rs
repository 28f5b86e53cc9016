//! `information_schema.tables`

use aegis_types::Datum;

use super::super::SystemContext;
use super::super::cell::NULL;
use super::{catalog_name, schema, tables_and_views, yes};

pub(in crate::system) fn rows(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    tables_and_views(context)
        .map(|table| {
            row![
                catalog_name(&context.names),
                schema(context, table.schema),
                table.name,
                if table.is_view { "VIEW" } else { "BASE TABLE" },
                NULL,
                NULL,
                NULL,
                NULL,
                NULL,
                yes(!table.is_view),
                "NO",
                NULL,
            ]
        })
        .collect()
}
