//! `information_schema.tables`

use aegis_types::Datum;

use super::super::SystemContext;
use super::super::cell::NULL;
use super::{catalog_name, schema, tables_and_views, yes};
use crate::descriptor::Persistence;

pub(in crate::system) fn rows(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    tables_and_views(context)
        .map(|table| {
            row![
                catalog_name(&context.names),
                schema(context, table.schema),
                table.name,
                if table.is_view {
                    "VIEW"
                } else if table.stored.is_some_and(|t| t.persistence == Persistence::Temporary) {
                    "LOCAL TEMPORARY"
                } else {
                    "BASE TABLE"
                },
                NULL,
                NULL,
                NULL,
                NULL,
                NULL,
                yes(!table.is_view
                    || table.updatable_columns(context).is_some_and(|c| c.contains(&true))),
                "NO",
                NULL,
            ]
        })
        .collect()
}
