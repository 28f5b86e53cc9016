//! `pg_enum`: the labels of enums.

use aegis_types::Datum;

use super::SystemContext;
use crate::descriptor::TypeBody;

pub(super) fn rows(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let mut rows = Vec::new();
    for ty in context.catalog().user_types_of(context.names.database) {
        let TypeBody::Enum(labels) = &ty.body else { continue };
        let row = |label: &aegis_types::user_type::EnumLabel| {
            row![label.oid, ty.oid, label.sort_order, &label.name]
        };
        rows.extend(labels.iter().map(row));
    }
    rows
}
