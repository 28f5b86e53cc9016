//! The columns that show lists of privileges: `relacl`, `nspacl`, `attacl` and their like, laid over
//! the rows of the catalogs that have them; and `pg_default_acl`.

use aegis_types::{Datum, Oid, type_oid as t};

use super::cell::array;
use super::{SystemContext, relation};
use crate::access::{Kind, aclitem_text};
use crate::descriptor::AclItem;
use crate::snapshot::CatalogSnapshot;

/// A list as `aclitem[]`.
pub(super) fn list(catalog: &CatalogSnapshot, items: &[AclItem]) -> Datum {
    array(t::ACLITEM, items.iter().map(|item| aclitem_text(catalog, item)))
}

/// Fills the column of lists in the rows of a catalog. What is not in the list's default state is
/// found by the object's OID, which the first column shows.
pub(super) fn filled(
    context: &SystemContext<'_>,
    name: &str,
    column: &str,
    kind: impl Fn(&[Datum]) -> Kind,
    mut rows: Vec<Vec<Datum>>,
) -> Vec<Vec<Datum>> {
    let at = relation(name)
        .and_then(|found| found.columns.iter().position(|it| it.name == column))
        .expect("the catalog has the column that is filled");
    let access = context.catalog().access(context.names.database);
    for row in &mut rows {
        let Some(Datum::Oid(object)) = row.first() else { continue };
        if let Some(items) = access.shown_list(kind(row), *object) {
            row[at] = list(context.catalog(), &items);
        }
    }
    rows
}

/// Fills `attacl`.
pub(super) fn filled_attributes(
    context: &SystemContext<'_>,
    mut rows: Vec<Vec<Datum>>,
) -> Vec<Vec<Datum>> {
    const LIST: usize = 22;
    const NUMBER: usize = 5;
    let catalog = context.catalog();
    for row in &mut rows {
        if let (Datum::Oid(table), Datum::Int2(number)) = (&row[0], &row[NUMBER])
            && let Some(stored) =
                catalog.privileges(Kind::Column.class(), *table, i32::from(*number))
        {
            row[LIST] = list(catalog, &stored.items);
        }
    }
    rows
}

/// A relation's kind by the `relkind` of its row in `pg_class`.
pub(super) fn kind_of_relation(row: &[Datum]) -> Kind {
    const RELKIND: usize = 16;
    match row.get(RELKIND) {
        Some(Datum::Char(b'S')) => Kind::Sequence,
        _ => Kind::Table,
    }
}

/// `pg_default_acl`
pub(super) fn default_rows(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let catalog = context.catalog();
    let here = |schema: Oid| {
        !schema.is_some()
            || catalog.schema(schema).is_some_and(|it| it.database == context.names.database)
    };
    catalog
        .all_default_privileges()
        .filter(|stored| here(stored.schema))
        .map(|stored| {
            let items = list(catalog, &stored.items);
            row![stored.oid, stored.role, stored.schema, stored.kind, items]
        })
        .collect()
}
