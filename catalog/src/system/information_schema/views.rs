//! `information_schema.views`

use aegis_types::Datum;

use super::super::SystemContext;
use super::super::definition::view_definition;
use super::{catalog_name, schema, tables_and_views, yes};
use crate::descriptor::Relation;

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
                check_option(view.stored),
                yes(view.updatable_columns(context).is_some_and(|c| c.contains(&true))),
                yes(view.updatable_columns(context).is_some_and(|c| c.contains(&true))),
                "NO",
                "NO",
                "NO",
            ]
        })
        .collect()
}

fn check_option(view: Option<&Relation>) -> &'static str {
    let options = view.map_or(&[][..], |view| &view.options);
    let has = |wanted: &str| options.iter().any(|option| option == wanted);
    if has("check_option=local") {
        "LOCAL"
    } else if has("check_option=cascaded") {
        "CASCADED"
    } else {
        "NONE"
    }
}
