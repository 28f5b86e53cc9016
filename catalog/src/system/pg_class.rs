//! `pg_class`: relations of the database, and the computed ones themselves.

use aegis_types::{Datum, Oid, type_oid as t};

use super::cell::{NULL, array_or_null, count};
use super::{SystemContext, all};
use crate::descriptor::{
    CompositeBody, ConstraintKind, Relation, RelationBody, RelationKind, TypeBody, UserType,
};
use crate::snapshot::BOOTSTRAP_ROLE;

/// The access methods that relations have.
pub(super) const HEAP: Oid = Oid(2);
/// `btree`
pub(super) const BTREE: Oid = Oid(403);
/// `hash`
pub(super) const HASH: Oid = Oid(405);

/// The access method of an index.
pub(super) fn index_method(name: &str) -> Oid {
    if name == "hash" { HASH } else { BTREE }
}

pub(super) fn rows(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let stored = context.relations().map(|relation| stored_row(context, relation));
    let composites = context.catalog().user_types_of(context.names.database);
    let composites = composites.filter_map(|ty| match &ty.body {
        TypeBody::Composite(body) => Some(composite_row(ty, body)),
        _ => None,
    });
    stored.chain(composites).chain(all().map(system_row)).collect()
}

/// A composite type, which has a row here too.
fn composite_row(ty: &UserType, body: &CompositeBody) -> Vec<Datum> {
    row![
        body.relation,
        &ty.name,
        ty.schema,
        ty.oid,
        Oid::NONE,
        ty.owner,
        Oid::NONE,
        Oid::NONE,
        Oid::NONE,
        0_i32,
        0.0_f32,
        0_i32,
        Oid::NONE,
        false,
        false,
        b'p',
        b'c',
        count(body.attributes.len()),
        0_i16,
        false,
        false,
        false,
        false,
        false,
        true,
        b'n',
        false,
        Oid::NONE,
        Oid::NONE,
        Oid::NONE,
        NULL,
        NULL,
        NULL,
    ]
}

fn stored_row(context: &SystemContext<'_>, relation: &Relation) -> Vec<Datum> {
    let kind = relation.kind();
    let table = relation.as_table();
    let method = match &relation.body {
        RelationBody::Table(_) => HEAP,
        RelationBody::Index(index) => index_method(&index.method),
        RelationBody::View { .. } | RelationBody::Sequence(_) => Oid::NONE,
    };
    let columns = match &relation.body {
        RelationBody::Index(index) => index.keys.len() + index.include.len(),
        RelationBody::Sequence(_) => super::pg_attribute::SEQUENCE_COLUMNS.len(),
        _ => relation.columns.len(),
    };
    let checks = table.map_or(0, |table| {
        let is_check = |kind: &ConstraintKind| matches!(kind, ConstraintKind::Check { .. });
        table.constraints.iter().filter(|constraint| is_check(&constraint.kind)).count()
    });
    let has_storage = kind != RelationKind::View;
    row![
        relation.oid,
        &relation.name,
        relation.schema,
        relation.row_type,
        Oid::NONE,
        relation.owner,
        method,
        if has_storage { relation.oid } else { Oid::NONE },
        Oid::NONE,
        i32::from(kind == RelationKind::Sequence),
        row_estimate(context, relation),
        0_i32,
        Oid::NONE,
        table.is_some_and(|table| !table.indexes.is_empty()),
        false,
        relation.persistence.letter(),
        kind.letter(),
        count(columns),
        count(checks),
        relation.query_text().is_some(),
        has_triggers(relation),
        false,
        false,
        false,
        relation.as_materialized().is_none_or(|view| view.populated),
        table.map_or(b'n', |table| table.replica_identity.letter()),
        false,
        Oid::NONE,
        Oid::NONE,
        Oid::NONE,
        NULL,
        options(relation),
        NULL,
    ]
}

/// `reloptions`; those of an engine's tables are no storage parameters, and a dump has none of them.
fn options(relation: &Relation) -> Datum {
    if relation.as_table().is_some_and(|table| table.managed.is_some()) {
        return NULL;
    }
    array_or_null(t::TEXT, relation.options.iter().collect())
}

fn row_estimate(context: &SystemContext<'_>, relation: &Relation) -> f32 {
    match &relation.body {
        RelationBody::Table(table) => table.row_count,
        RelationBody::Index(index) => context
            .catalog()
            .relation(index.table)
            .and_then(|table| table.as_table())
            .map_or(0.0, |table| table.row_count.max(0.0)),
        RelationBody::Sequence(_) => 1.0,
        RelationBody::View { .. } => 0.0,
    }
}

/// PostgreSQL enforces foreign keys by triggers on both tables; clients look here before they ask
/// for foreign keys.
pub(super) fn has_triggers(relation: &Relation) -> bool {
    relation.as_table().is_some_and(|table| {
        !table.referenced_by.is_empty()
            || table
                .constraints
                .iter()
                .any(|constraint| matches!(constraint.kind, ConstraintKind::ForeignKey(_)))
    })
}

fn system_row(relation: &super::SystemRelation) -> Vec<Datum> {
    let is_table = relation.kind == b'r';
    row![
        relation.oid,
        relation.short_name(),
        relation.schema,
        relation.row_type,
        Oid::NONE,
        BOOTSTRAP_ROLE,
        if is_table { HEAP } else { Oid::NONE },
        Oid::NONE,
        if relation.shared { Oid(1664) } else { Oid::NONE },
        0_i32,
        if is_table { -1.0_f32 } else { 0.0 },
        0_i32,
        Oid::NONE,
        false,
        relation.shared,
        b'p',
        relation.kind,
        count(relation.columns.len()),
        0_i16,
        !is_table,
        false,
        false,
        false,
        false,
        true,
        b'n',
        false,
        Oid::NONE,
        Oid::NONE,
        Oid::NONE,
        NULL,
        NULL,
        NULL,
    ]
}
