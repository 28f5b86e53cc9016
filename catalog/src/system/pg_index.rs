//! `pg_index`: what an index is on, and how it is ordered.

use std::collections::HashMap;
use std::sync::LazyLock;

use aegis_types::builtin::builtins;
use aegis_types::{Datum, Oid, type_oid as t};

use super::cell::{count, int2_vector, oid_vector};
use super::{SystemContext, stored};
use crate::descriptor::IndexKey;

/// Default operator classes by access method and type, from `pg_opclass`.
static DEFAULT_CLASSES: LazyLock<HashMap<(Oid, Oid), Oid>> = LazyLock::new(|| {
    stored::rows("pg_opclass")
        .into_iter()
        .filter_map(|row| match (&row[0], &row[1], &row[6], &row[7]) {
            (Datum::Oid(oid), Datum::Oid(method), Datum::Oid(input), Datum::Bool(true)) => {
                Some(((*method, *input), *oid))
            }
            _ => None,
        })
        .collect()
});

/// The operator class that an index on a column of this type has.
fn default_class(method: Oid, ty: Oid) -> Oid {
    let general = match ty {
        t::VARCHAR => t::TEXT,
        _ if aegis_types::io::element_type(ty).is_some() => t::ANYARRAY,
        _ if builtins().type_row(ty).is_none() => t::RECORD,
        _ => ty,
    };
    let class = |ty: Oid| DEFAULT_CLASSES.get(&(method, ty)).copied();
    class(ty).or_else(|| class(general)).unwrap_or(Oid::NONE)
}

/// The operator class that a column of an index has.
fn class_of(method: Oid, key: &IndexKey, ty: Oid) -> Oid {
    let Some(name) = &key.class else { return default_class(method, ty) };
    let found =
        stored::rows("pg_opclass").into_iter().find_map(|row| match (&row[0], &row[1], &row[2]) {
            (Datum::Oid(oid), Datum::Oid(of), Datum::Text(class))
                if *of == method && **class == **name =>
            {
                Some(*oid)
            }
            _ => None,
        });
    found.unwrap_or_else(|| default_class(method, ty))
}

/// `indoption`: bit 0 for `DESC`, bit 1 for `NULLS FIRST`.
fn option(key: &IndexKey) -> i16 {
    i16::from(key.descending) | (i16::from(key.nulls_first) << 1)
}

pub(super) fn rows(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let mut rows = Vec::new();
    for relation in context.relations() {
        let Some(index) = relation.as_index() else { continue };
        let Some(table) = context.catalog().relation(index.table) else { continue };
        let method = super::pg_class::index_method(&index.method);
        let types: Vec<Oid> = index.key_types(table).iter().map(|ty| ty.oid).collect();
        let expressions = index.keys.iter().filter_map(|key| key.expression.as_ref());
        let expressions: Vec<&str> = expressions.map(|found| found.text.as_str()).collect();
        let collation = |ty: &Oid| builtins().type_row(*ty).map_or(Oid::NONE, |row| row.collation);
        rows.push(row![
            relation.oid,
            index.table,
            count(index.keys.len() + index.include.len()),
            count(index.keys.len()),
            index.unique,
            index.nulls_not_distinct,
            index.primary,
            false,
            !index.deferrable,
            index.clustered,
            index.valid,
            false,
            true,
            true,
            index.replica_identity,
            int2_vector(index.key_columns().into_iter().chain(index.include.clone()).collect()),
            oid_vector(types.iter().map(collation).collect()),
            oid_vector(
                index.keys.iter().zip(&types).map(|(key, ty)| class_of(method, key, *ty)).collect()
            ),
            int2_vector(index.keys.iter().map(option).collect()),
            (!expressions.is_empty()).then(|| expressions.join(", ")),
            index.predicate.as_ref().map(|predicate| &predicate.text),
        ]);
    }
    rows
}
