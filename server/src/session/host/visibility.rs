//! `pg_table_is_visible` and its family: whether a name is found without its schema. NULL where no
//! object has that OID.

use aegis_catalog::system;
use aegis_catalog::system::function;
use aegis_types::builtin::builtins;
use aegis_types::{Datum, Oid};

use super::{Call, HostTable};

pub(super) static FUNCTIONS: HostTable = &[
    ("pg_table_is_visible", |call| {
        let visible = call.names().relation_is_visible(call.oid(0));
        Ok(visible.map_or(Datum::Null, Datum::Bool))
    }),
    ("pg_type_is_visible", |call| {
        let names = call.names();
        let oid = call.oid(0);
        let visible = names.type_parts(oid).map(|(_, name)| names.type_on_path(&name) == Some(oid));
        Ok(visible.map_or(Datum::Null, Datum::Bool))
    }),
    ("pg_function_is_visible", |call| {
        let names = call.names();
        let row = names.catalog.function(call.oid(0));
        Ok(row.map_or(Datum::Null, |row| Datum::Bool(function::is_visible(&names, &row))))
    }),
    ("pg_operator_is_visible", |call| Ok(if_there(builtins().operator(call.oid(0)).is_some()))),
    ("pg_opclass_is_visible", |call| Ok(listed(call, "pg_catalog.pg_opclass"))),
    ("pg_opfamily_is_visible", |call| Ok(listed(call, "pg_catalog.pg_opfamily"))),
    ("pg_collation_is_visible", |call| Ok(listed(call, "pg_catalog.pg_collation"))),
    ("pg_conversion_is_visible", |_| Ok(Datum::Null)),
    ("pg_statistics_obj_is_visible", |_| Ok(Datum::Null)),
    ("pg_ts_config_is_visible", |_| Ok(Datum::Null)),
    ("pg_ts_dict_is_visible", |_| Ok(Datum::Null)),
    ("pg_ts_parser_is_visible", |_| Ok(Datum::Null)),
    ("pg_ts_template_is_visible", |_| Ok(Datum::Null)),
];

/// Objects of `pg_catalog` are visible: it is always on the path, and nobody adds objects of these
/// kinds elsewhere.
fn if_there(there: bool) -> Datum {
    if there { Datum::Bool(true) } else { Datum::Null }
}

/// Whether a catalog that never changes has a row with this OID in front.
fn listed(call: &Call<'_>, catalog: &str) -> Datum {
    let wanted: Oid = call.oid(0);
    let there = system::fixed_rows(catalog)
        .iter()
        .any(|row| matches!(row.first(), Some(Datum::Oid(oid)) if *oid == wanted));
    if_there(there)
}
