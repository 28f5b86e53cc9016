//! `pg_statistic` and `pg_stats`: what ANALYZE has found.
//!
//! Who reads a column may see what is known of it, in `pg_stats`; `pg_statistic` is the superusers'.

use aegis_types::builtin::builtins;
use aegis_types::{Array, Collation, Datum, Oid, TypeRef, type_oid as t};

use super::SystemContext;
use super::cell::{NULL, array};
use crate::access::{Kind, Privilege};
use crate::descriptor::{Relation, Statistics, TypeBody, Values};
use crate::snapshot::CatalogSnapshot;

/// `stakind` of the values found most often.
const COMMON: i16 = 1;
/// Of a histogram.
const HISTOGRAM: i16 = 2;
/// Of a correlation.
const CORRELATION: i16 = 3;
/// How many places there are for those.
const SLOTS: usize = 5;

/// What is known of columns that exist, with their relations.
fn known<'a>(
    context: &SystemContext<'a>,
) -> impl Iterator<Item = (&'a Relation, &'a Statistics)> + use<'a> {
    let catalog = context.catalog();
    let relations = context.relations();
    relations.flat_map(move |relation| {
        catalog.statistics_of(relation.oid).map(move |statistics| (relation, &**statistics))
    })
}

fn values(statistics: &Statistics, values: &Values) -> Datum {
    Datum::Array(Array::one_dimensional(statistics.ty.oid, values.0.to_vec()).into())
}

/// `pg_statistic`
pub(super) fn rows(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    known(context).map(|(relation, it)| row(context.catalog(), relation, it)).collect()
}

fn row(catalog: &CatalogSnapshot, relation: &Relation, it: &Statistics) -> Vec<Datum> {
    let equal = operator(catalog, it.ty, "=");
    let less = operator(catalog, it.ty, "<");
    let collation = collation(catalog, relation, it);
    // kind, operator, collation, numbers, values
    let mut slots: Vec<(i16, Oid, Oid, Datum, Datum)> = Vec::new();
    if let Some(common) = &it.common {
        let numbers = array(t::FLOAT4, common.frequencies.iter().copied());
        slots.push((COMMON, equal, collation, numbers, values(it, &common.values)));
    }
    if let Some(histogram) = &it.histogram {
        slots.push((HISTOGRAM, less, collation, NULL, values(it, histogram)));
    }
    if let Some(correlation) = it.correlation {
        slots.push((CORRELATION, less, collation, array(t::FLOAT4, [correlation]), NULL));
    }
    slots.resize(SLOTS, (0, Oid::NONE, Oid::NONE, NULL, NULL));
    let mut row = row![it.relation, it.column, false, it.null_fraction, it.width, it.distinct];
    row.extend(slots.iter().map(|slot| Datum::Int2(slot.0)));
    row.extend(slots.iter().map(|slot| Datum::Oid(slot.1)));
    row.extend(slots.iter().map(|slot| Datum::Oid(slot.2)));
    row.extend(slots.iter().map(|slot| slot.3.clone()));
    row.extend(slots.into_iter().map(|slot| slot.4));
    row
}

/// The operator that the values of a type are compared with.
fn operator(catalog: &CatalogSnapshot, ty: TypeRef, name: &str) -> Oid {
    let base = catalog.base_type(ty).oid;
    let user = catalog.user_type(base).map(|user| &user.body);
    let compared = match base {
        t::VARCHAR => t::TEXT,
        t::CIDR => t::INET,
        _ if matches!(user, Some(TypeBody::Enum(_))) => t::ANYENUM,
        _ if aegis_types::io::element_type(base).is_some() => t::ANYARRAY,
        _ if catalog.element_of(base).is_some() => t::ANYARRAY,
        _ if base >= Oid::FIRST_USER => t::RECORD,
        other => other,
    };
    let mut found = builtins().operators_named(name);
    found.find(|row| row.left == compared && row.right == compared).map_or(Oid::NONE, |it| it.oid)
}

/// The collation that values were compared in.
fn collation(catalog: &CatalogSnapshot, relation: &Relation, it: &Statistics) -> Oid {
    let own = relation.column(it.column).and_then(|column| column.collation);
    let base = catalog.base_type(it.ty).oid;
    let of_type = builtins().type_row(base).map_or(Oid::NONE, |row| row.collation);
    own.map_or(of_type, Collation::oid)
}

/// `pg_stats`
pub(super) fn shown(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let catalog = context.catalog();
    let access = catalog.access(context.names.database);
    let role = context.server.role();
    let may_read = |relation: &Relation, column: i16| {
        access.allows(role, Kind::Table, relation.oid, Privilege::SELECT)
            || (access.held(role, Kind::Column, relation.oid, i32::from(column)).privileges)
                .contains(Privilege::SELECT)
    };
    known(context)
        .filter(|(relation, it)| may_read(relation, it.column))
        .filter_map(|(relation, it)| {
            let name = column_name(catalog, relation, it.column)?;
            let common = it.common.as_ref();
            Some(row![
                catalog.schema_name(relation.schema),
                &relation.name,
                name,
                false,
                it.null_fraction,
                it.width,
                it.distinct,
                common.map(|common| values(it, &common.values)),
                common.map(|common| array(t::FLOAT4, common.frequencies.iter().copied())),
                it.histogram.as_ref().map(|histogram| values(it, histogram)),
                it.correlation,
                NULL,
                NULL,
                NULL,
            ])
        })
        .collect()
}

/// `attname`, of a table's column or an index's.
fn column_name(catalog: &CatalogSnapshot, relation: &Relation, number: i16) -> Option<String> {
    let Some(index) = relation.as_index() else {
        let column = relation.column(number).filter(|column| !column.dropped)?;
        return Some(column.name.clone());
    };
    let table = catalog.relation(index.table)?;
    let at = usize::try_from(number).ok()?.checked_sub(1)?;
    index.column_names(table).get(at).map(ToString::to_string)
}
