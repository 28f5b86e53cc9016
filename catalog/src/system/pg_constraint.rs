//! `pg_constraint`: checks, keys and foreign keys. Not null is in `pg_attribute`, as in
//! PostgreSQL 15.

use aegis_types::builtin::builtins;
use aegis_types::{Datum, Oid, type_oid as t};

use super::SystemContext;
use super::cell::{NULL, array, array_or_null};
use crate::descriptor::{
    Constraint, ConstraintKind, DomainCheck, ForeignKey, ReferentialAction, Relation, TypeBody,
    UserType,
};

/// `contype`
pub(super) const fn letter(kind: &ConstraintKind) -> u8 {
    match kind {
        ConstraintKind::Check { .. } => b'c',
        ConstraintKind::PrimaryKey { .. } => b'p',
        ConstraintKind::Unique { .. } => b'u',
        ConstraintKind::ForeignKey(_) => b'f',
    }
}

/// `conkey`
pub(super) fn columns(context: &SystemContext<'_>, kind: &ConstraintKind) -> Vec<i16> {
    match kind {
        ConstraintKind::Check { columns, .. } => columns.clone(),
        ConstraintKind::PrimaryKey { index } | ConstraintKind::Unique { index } => context
            .catalog()
            .relation(*index)
            .and_then(|index| index.as_index())
            .map(|index| index.key_columns())
            .unwrap_or_default(),
        ConstraintKind::ForeignKey(key) => key.columns.clone(),
    }
}

/// `conindid`
pub(super) const fn index(kind: &ConstraintKind) -> Oid {
    match kind {
        ConstraintKind::Check { .. } => Oid::NONE,
        ConstraintKind::PrimaryKey { index } | ConstraintKind::Unique { index } => *index,
        ConstraintKind::ForeignKey(key) => key.target_index,
    }
}

const fn action_letter(action: ReferentialAction) -> u8 {
    match action {
        ReferentialAction::NoAction => b'a',
        ReferentialAction::Restrict => b'r',
        ReferentialAction::Cascade => b'c',
        ReferentialAction::SetNull => b'n',
        ReferentialAction::SetDefault => b'd',
    }
}

pub(super) fn rows(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let mut rows = Vec::new();
    for relation in context.relations() {
        let Some(table) = relation.as_table() else { continue };
        for constraint in &table.constraints {
            rows.push(row(context, relation, constraint));
        }
    }
    for ty in context.catalog().types_of(context.names.database) {
        let TypeBody::Domain(body) = &ty.body else { continue };
        rows.extend(body.checks.iter().map(|check| domain_row(ty, check)));
    }
    rows
}

fn domain_row(ty: &UserType, check: &DomainCheck) -> Vec<Datum> {
    row![
        check.oid,
        &check.name,
        ty.schema,
        b'c',
        false,
        false,
        check.validated,
        Oid::NONE,
        ty.oid,
        Oid::NONE,
        Oid::NONE,
        Oid::NONE,
        b' ',
        b' ',
        b' ',
        true,
        0_i32,
        false,
        NULL,
        NULL,
        NULL,
        NULL,
        NULL,
        NULL,
        NULL,
        &check.expression,
    ]
}

fn row(context: &SystemContext<'_>, table: &Relation, constraint: &Constraint) -> Vec<Datum> {
    let foreign = match &constraint.kind {
        ConstraintKind::ForeignKey(key) => Some(key),
        _ => None,
    };
    let is_check = matches!(constraint.kind, ConstraintKind::Check { .. });
    let expression = match &constraint.kind {
        ConstraintKind::Check { expression, .. } => Some(expression),
        _ => None,
    };
    let [own, between_targets, between_own] =
        foreign.map_or([NULL, NULL, NULL], |key| equality_operators(context, table, key));
    let action = |read: fn(&ForeignKey) -> ReferentialAction| {
        foreign.map_or(b' ', |key| action_letter(read(key)))
    };
    row![
        constraint.oid,
        &constraint.name,
        table.schema,
        letter(&constraint.kind),
        constraint.deferral.is_deferrable(),
        constraint.deferral.is_initially_deferred(),
        constraint.validated,
        table.oid,
        Oid::NONE,
        index(&constraint.kind),
        Oid::NONE,
        foreign.map_or(Oid::NONE, |key| key.target),
        action(|key| key.on_update),
        action(|key| key.on_delete),
        foreign.map_or(b' ', |key| if key.match_full { b'f' } else { b's' }),
        true,
        0_i32,
        !is_check,
        array_or_null(t::INT2, columns(context, &constraint.kind)),
        foreign.map(|key| array(t::INT2, key.target_columns.iter().copied())),
        own,
        between_targets,
        between_own,
        foreign.map_or(NULL, |key| array_or_null(t::INT2, key.set_columns.clone())),
        NULL,
        expression,
    ]
}

/// The operators that compare referenced with referencing, referenced with referenced, and
/// referencing with referencing columns.
fn equality_operators(
    context: &SystemContext<'_>,
    table: &Relation,
    key: &ForeignKey,
) -> [Datum; 3] {
    let Some(target) = context.catalog().relation(key.target) else {
        return [NULL, NULL, NULL];
    };
    let type_of = |relation: &Relation, number: i16| {
        relation.column(number).map_or(Oid::NONE, |column| match column.ty.oid {
            t::VARCHAR => t::TEXT,
            oid => oid,
        })
    };
    let pairs: Vec<(Oid, Oid)> = key
        .columns
        .iter()
        .zip(&key.target_columns)
        .map(|(own, other)| (type_of(target, *other), type_of(table, *own)))
        .collect();
    let operators = |read: fn((Oid, Oid)) -> (Oid, Oid)| {
        array(t::OID, pairs.iter().map(|pair| equality(read(*pair))))
    };
    [
        operators(|pair| pair),
        operators(|(other, _)| (other, other)),
        operators(|(_, own)| (own, own)),
    ]
}

fn equality((left, right): (Oid, Oid)) -> Oid {
    builtins()
        .operators_named("=")
        .find(|row| row.left == left && row.right == right)
        .or_else(|| {
            builtins().operators_named("=").find(|row| row.left == left && row.right == left)
        })
        .map_or(Oid::NONE, |row| row.oid)
}
