//! `pg_attrdef`: defaults of columns, as SQL.

use aegis_types::{Datum, Oid};

use super::SystemContext;
use super::pg_attribute::has_default;

/// The OID of a column's default. Defaults are stored in their columns and have no number of their
/// own: it is made of the table's OID and the column's number (at most 1,600), apart from those
/// given to objects, and repeats only once tables' OIDs differ by 2²⁰.
#[must_use]
pub const fn default_oid(table: Oid, column: i16) -> Oid {
    Oid(0x8000_0000 | (table.0 & 0xf_ffff) << 11 | (column.unsigned_abs() as u32 & 0x7ff))
}

pub(super) fn rows(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let mut rows = Vec::new();
    for relation in context.relations() {
        for column in relation.columns.iter().filter(|column| has_default(column)) {
            let oid = default_oid(relation.oid, column.number);
            rows.push(row![oid, relation.oid, column.number, column.default.as_ref()]);
        }
    }
    rows
}
