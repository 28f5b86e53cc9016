//! Enums: comparison, and the functions that list their labels (PostgreSQL 15, chapter 9.10).

use std::sync::Arc;

use super::ScalarTable;
use crate::compare::compare;
use crate::context::CallContext;
use crate::datum::{Array, Datum};
use crate::error::{SqlError, SqlResult};
use crate::oid::Oid;
use crate::sqlstate::SqlState;
use crate::type_oid as t;
use crate::user_type::{EnumLabel, UserType, check_usable};

macro_rules! compare_enums {
    ($test:ident) => {
        |_, a| Ok(Datum::Bool(compare(t::ANYENUM, &a[0], &a[1]).$test()))
    };
}

pub(super) static SCALARS: ScalarTable = &[
    ("enum_eq", compare_enums!(is_eq)),
    ("enum_ne", compare_enums!(is_ne)),
    ("enum_lt", compare_enums!(is_lt)),
    ("enum_le", compare_enums!(is_le)),
    ("enum_gt", compare_enums!(is_gt)),
    ("enum_ge", compare_enums!(is_ge)),
    ("enum_cmp", |_, a| Ok(Datum::Int4(compare(t::ANYENUM, &a[0], &a[1]) as i32))),
    ("enum_smaller", |_, a| Ok(a[usize::from(compare(t::ANYENUM, &a[0], &a[1]).is_gt())].clone())),
    ("enum_larger", |_, a| Ok(a[usize::from(compare(t::ANYENUM, &a[0], &a[1]).is_lt())].clone())),
    ("enum_first", |context, _| end(context, |labels| labels.first())),
    ("enum_last", |context, _| end(context, |labels| labels.last())),
    ("enum_range_all", |context, _| range(context, &Datum::Null, &Datum::Null)),
    ("enum_range_bounds", |context, a| range(context, &a[0], &a[1])),
];

/// The enum that the call is about, whose arguments may be NULL.
fn enum_type(context: &CallContext<'_>) -> SqlResult<(Oid, Arc<[EnumLabel]>)> {
    let oid = context.argument_types.first().map_or(Oid::NONE, |type_ref| type_ref.oid);
    match context.eval.host.user_type(oid) {
        Some(UserType::Enum(labels)) => Ok((oid, labels)),
        _ => Err(SqlError::new(
            SqlState::FeatureNotSupported,
            "could not determine actual enum type",
        )),
    }
}

fn end(
    context: &CallContext<'_>,
    choose: fn(&[EnumLabel]) -> Option<&EnumLabel>,
) -> SqlResult<Datum> {
    let (oid, labels) = enum_type(context)?;
    let label = choose(&labels).ok_or_else(|| {
        SqlError::new(
            SqlState::ObjectNotInPrerequisiteState,
            format!("enum {} contains no values", context.eval.host.reg_out(t::REGTYPE, oid)),
        )
    })?;
    check_usable(label, oid, context.eval.host)?;
    Ok(Datum::Enum(oid, label.place))
}

/// The labels from one to another, NULL standing for no bound.
fn range(context: &CallContext<'_>, from: &Datum, to: &Datum) -> SqlResult<Datum> {
    let (oid, labels) = enum_type(context)?;
    let place = |bound: &Datum| match bound {
        Datum::Enum(_, place) => Some(*place),
        _ => None,
    };
    let (from, to) = (place(from), place(to));
    let mut elements = Vec::new();
    for label in labels.iter() {
        if from.is_none_or(|from| from <= label.place) && to.is_none_or(|to| label.place <= to) {
            check_usable(label, oid, context.eval.host)?;
            elements.push(Datum::Enum(oid, label.place));
        }
    }
    Ok(Datum::Array(Array::one_dimensional(oid, elements).into()))
}
