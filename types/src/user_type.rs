//! What the forms of values need to know of types that users define: the labels of an enum, the
//! element of an array.
//!
//! A label has two numbers. `sort_order` is what `pg_enum` shows, and changes when PostgreSQL would
//! renumber. `place` is what values are: it never changes, and between two places there are others
//! for labels to come, so that keys stay in order whatever `ALTER TYPE … ADD VALUE` does.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::context::Host;
use crate::error::{SqlError, SqlResult};
use crate::oid::{Oid, TypeRef};
use crate::sqlstate::SqlState;
use crate::type_oid as t;

/// A label of an enum: `pg_enum`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EnumLabel {
    /// Its OID.
    pub oid: Oid,
    /// Its text.
    pub name: String,
    /// `enumsortorder`
    pub sort_order: f32,
    /// What stored values and keys hold: ordered as the labels are, the same for ever.
    pub place: u64,
    /// Whether the transaction that looks at it added it to the type.
    #[serde(skip)]
    pub uncommitted: bool,
}

/// What a type is that PostgreSQL's own table does not have.
#[derive(Clone, Debug)]
pub enum UserType {
    /// An enum: its labels in order.
    Enum(Arc<[EnumLabel]>),
    /// An array over this element.
    Array(Oid),
    /// A domain over this type.
    Domain(TypeRef),
}

/// The place of an enum's first label.
const FIRST_PLACE: u64 = 1 << 62;
/// How far labels are apart that were written one after the other.
const PLACE_STEP: u64 = 1 << 47;

/// The places of the labels of a new enum.
pub fn new_places() -> impl Iterator<Item = u64> {
    (0..).map(|at: u64| FIRST_PLACE.saturating_add(at.saturating_mul(PLACE_STEP)))
}

/// A place between two others, or beyond one of them. `nearer_lower` keeps most of the room above
/// the new place: for labels that will go between it and the upper neighbour.
///
/// A gap of 2^47 takes a label a hundred times before the same neighbour, and more than twenty times
/// wherever they go.
#[must_use]
pub fn place_between(lower: Option<u64>, upper: Option<u64>, nearer_lower: bool) -> Option<u64> {
    match (lower, upper) {
        (None, None) => Some(FIRST_PLACE),
        (Some(lower), None) => match lower.checked_add(PLACE_STEP) {
            Some(place) => Some(place),
            None => place_between(Some(lower), Some(u64::MAX), true),
        },
        (None, Some(upper)) => match upper.checked_sub(PLACE_STEP) {
            Some(place) => Some(place),
            None => place_between(Some(0), Some(upper), false),
        },
        (Some(lower), Some(upper)) => {
            let gap = upper.saturating_sub(lower);
            if gap < 2 {
                return None;
            }
            let step = (gap / 4).max(1);
            Some(if nearer_lower { lower + step } else { upper - step })
        }
    }
}

/// The label with this text.
///
/// # Errors
/// 22P02 without, 55P04 for one that the transaction has added itself.
pub fn label_named<'a>(
    labels: &'a [EnumLabel],
    oid: Oid,
    text: &str,
    host: &dyn Host,
) -> SqlResult<&'a EnumLabel> {
    let label = labels.iter().find(|label| label.name == text).ok_or_else(|| {
        SqlError::new(
            SqlState::InvalidTextRepresentation,
            format!("invalid input value for enum {}: \"{text}\"", host.reg_out(t::REGTYPE, oid)),
        )
    })?;
    check_usable(label, oid, host)?;
    Ok(label)
}

/// A label cannot be used before it is committed.
///
/// # Errors
/// 55P04
pub fn check_usable(label: &EnumLabel, oid: Oid, host: &dyn Host) -> SqlResult<()> {
    if !label.uncommitted {
        return Ok(());
    }
    Err(SqlError::new(
        SqlState::UnsafeNewEnumValueUsage,
        format!(
            "unsafe use of new value \"{}\" of enum type {}",
            label.name,
            host.reg_out(t::REGTYPE, oid)
        ),
    )
    .hint("New enum values must be committed before they can be used."))
}

/// The label at a place.
#[must_use]
pub fn label_at(labels: &[EnumLabel], place: u64) -> Option<&EnumLabel> {
    labels.binary_search_by_key(&place, |label| label.place).ok().map(|at| &labels[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_labels_fit_before_one_and_after_one() {
        for nearer_lower in [true, false] {
            let (mut lower, mut upper) = (FIRST_PLACE, FIRST_PLACE + PLACE_STEP);
            for _ in 0..100 {
                let place = place_between(Some(lower), Some(upper), nearer_lower).unwrap();
                assert!(lower < place && place < upper);
                if nearer_lower { lower = place } else { upper = place }
            }
        }
    }

    #[test]
    fn twenty_labels_fit_in_the_narrowest_way() {
        let (lower, mut upper) = (FIRST_PLACE, FIRST_PLACE + PLACE_STEP);
        for _ in 0..20 {
            upper = place_between(Some(lower), Some(upper), true).unwrap();
            assert!(lower < upper);
        }
    }

    #[test]
    fn ends_are_never_overstepped() {
        assert_eq!(place_between(Some(u64::MAX), None, true), None);
        assert_eq!(place_between(None, Some(0), false), None);
        assert!(place_between(Some(u64::MAX - 9), None, true).is_some());
    }
}
