//! Order and equality of datums as PostgreSQL's default B-tree operator classes define them.
//!
//! What departs from the obvious: NaN equals itself and is the largest number; -0 equals 0; trailing
//! blanks of `char(n)` do not count; an interval is as long as its months of 30 days and its days
//! of 24 hours; inside arrays and records NULL equals NULL and is the largest. Text is in collation
//! `C`: by its bytes.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use crate::datum::{Array, Datum};
use crate::oid::Oid;
use crate::record::Record;
use crate::{text, type_oid as t};

/// Whether the type has a default B-tree operator class here: `json` and the like have none.
#[must_use]
pub fn is_comparable(type_oid: Oid) -> bool {
    match type_oid {
        t::JSON | t::JSONPATH | t::XID | t::CID | t::POINT | t::VOID | t::UNKNOWN | t::CSTRING => {
            false
        }
        other => crate::io::element_type(other).is_none_or(is_comparable),
    }
}

/// Compares two values of one type, neither of them NULL.
///
/// # Panics
/// If the values are of different kinds: the analyzer has typed both alike.
#[must_use]
pub fn compare(type_oid: Oid, left: &Datum, right: &Datum) -> Ordering {
    match (left, right) {
        (Datum::Bool(left), Datum::Bool(right)) => left.cmp(right),
        (Datum::Int2(left), Datum::Int2(right)) => left.cmp(right),
        (Datum::Int4(left), Datum::Int4(right)) | (Datum::Date(left), Datum::Date(right)) => {
            left.cmp(right)
        }
        (Datum::Int8(left), Datum::Int8(right))
        | (Datum::Time(left), Datum::Time(right))
        | (Datum::Timestamp(left), Datum::Timestamp(right))
        | (Datum::Timestamptz(left), Datum::Timestamptz(right)) => left.cmp(right),
        (Datum::Text(left), Datum::Text(right)) if type_oid == t::BPCHAR => {
            text::trim_blanks(left).cmp(text::trim_blanks(right))
        }
        (Datum::Text(left), Datum::Text(right)) => left.cmp(right),
        (Datum::Float4(left), Datum::Float4(right)) => {
            compare_float(f64::from(*left), f64::from(*right))
        }
        (Datum::Float8(left), Datum::Float8(right)) => compare_float(*left, *right),
        (Datum::Numeric(left), Datum::Numeric(right)) => left.cmp(right),
        (Datum::Bytea(left), Datum::Bytea(right)) => left.cmp(right),
        (Datum::Char(left), Datum::Char(right)) => left.cmp(right),
        (Datum::Timetz(..), Datum::Timetz(..)) => timetz_key(left).cmp(&timetz_key(right)),
        (Datum::Interval(left), Datum::Interval(right)) => left.cmp(right),
        (Datum::Uuid(left), Datum::Uuid(right)) => left.cmp(right),
        (Datum::Jsonb(left), Datum::Jsonb(right)) => left.cmp(right),
        (Datum::Oid(left), Datum::Oid(right)) => left.cmp(right),
        (Datum::Enum(_, left), Datum::Enum(_, right)) => left.cmp(right),
        (Datum::Bits(left), Datum::Bits(right)) => left.cmp(right),
        (Datum::Array(left), Datum::Array(right)) if type_oid == t::OIDVECTOR => {
            let lengths = left.elements.len().cmp(&right.elements.len());
            lengths.then_with(|| compare_arrays(left, right))
        }
        (Datum::Array(left), Datum::Array(right)) => compare_arrays(left, right),
        (Datum::Record(left), Datum::Record(right)) => compare_records(left, right),
        _ => panic!("the analyzer typed both sides alike, they are {left:?} and {right:?}"),
    }
}

/// Whether two values of one type are equal, neither of them NULL.
#[must_use]
pub fn equal(type_oid: Oid, left: &Datum, right: &Datum) -> bool {
    match (left, right) {
        (Datum::Text(left), Datum::Text(right)) if type_oid != t::BPCHAR => left == right,
        (Datum::Bytea(left), Datum::Bytea(right)) => left == right,
        _ => compare(type_oid, left, right).is_eq(),
    }
}

/// Compares floats as PostgreSQL does: NaN equals NaN and is the largest, -0 equals 0.
#[must_use]
pub fn compare_float(left: f64, right: f64) -> Ordering {
    match (left.is_nan(), right.is_nan()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => left.partial_cmp(&right).expect("neither is NaN"),
    }
}

/// Values that may be NULL, NULL being the largest and equal to itself: as inside arrays and
/// records, and in `ORDER BY … NULLS LAST`.
#[must_use]
pub fn compare_nulls_last(type_oid: Oid, left: &Datum, right: &Datum) -> Ordering {
    match (left.is_null(), right.is_null()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => compare(type_oid, left, right),
    }
}

/// The instant in UTC, then the zone.
fn timetz_key(value: &Datum) -> (i64, i32) {
    match value {
        Datum::Timetz(time, zone) => (time + i64::from(*zone) * 1_000_000, *zone),
        _ => (0, 0),
    }
}

fn compare_arrays(left: &Array, right: &Array) -> Ordering {
    for (a, b) in left.elements.iter().zip(&right.elements) {
        match compare_nulls_last(left.element, a, b) {
            Ordering::Equal => {}
            unequal => return unequal,
        }
    }
    let lengths = |array: &Array| array.dimensions.iter().map(|d| d.length).collect::<Vec<_>>();
    let lowers = |array: &Array| array.dimensions.iter().map(|d| d.lower).collect::<Vec<_>>();
    (left.elements.len().cmp(&right.elements.len()))
        .then_with(|| left.dimensions.len().cmp(&right.dimensions.len()))
        .then_with(|| lengths(left).cmp(&lengths(right)))
        .then_with(|| lowers(left).cmp(&lowers(right)))
}

fn compare_records(left: &Record, right: &Record) -> Ordering {
    for (at, (a, b)) in left.iter().zip(right.iter()).enumerate() {
        match compare_nulls_last(left.field_type(at).oid, a, b) {
            Ordering::Equal => {}
            unequal => return unequal,
        }
    }
    left.len().cmp(&right.len())
}

/// Feeds a value to a hasher so that values that are [`equal`] hash alike; NULL has a hash too.
pub fn hash(type_oid: Oid, value: &Datum, hasher: &mut impl Hasher) {
    match value {
        Datum::Null => hasher.write_u8(0),
        Datum::Bool(value) => value.hash(hasher),
        Datum::Int2(value) => value.hash(hasher),
        Datum::Int4(value) | Datum::Date(value) => value.hash(hasher),
        Datum::Int8(value)
        | Datum::Time(value)
        | Datum::Timestamp(value)
        | Datum::Timestamptz(value) => value.hash(hasher),
        Datum::Float4(value) => canonical_float(f64::from(*value)).to_bits().hash(hasher),
        Datum::Float8(value) => canonical_float(*value).to_bits().hash(hasher),
        Datum::Numeric(value) => value.hash(hasher),
        Datum::Text(value) if type_oid == t::BPCHAR => text::trim_blanks(value).hash(hasher),
        Datum::Text(value) => value.hash(hasher),
        Datum::Bytea(value) => value.hash(hasher),
        Datum::Char(value) => value.hash(hasher),
        Datum::Timetz(..) => timetz_key(value).hash(hasher),
        Datum::Interval(value) => value.span().hash(hasher),
        Datum::Uuid(value) => value.hash(hasher),
        Datum::Jsonb(value) => value.hash(hasher),
        Datum::Oid(value) => value.hash(hasher),
        Datum::Enum(_, place) => place.hash(hasher),
        Datum::Bits(value) => value.hash(hasher),
        Datum::Array(array) => {
            array.elements.len().hash(hasher);
            for element in &array.elements {
                hash(array.element, element, hasher);
            }
        }
        Datum::Record(fields) => {
            for (at, field) in fields.iter().enumerate() {
                hash(fields.field_type(at).oid, field, hasher);
            }
        }
    }
}

/// One bit pattern for all NaNs, and one for both zeros.
#[must_use]
pub fn canonical_float(value: f64) -> f64 {
    if value.is_nan() {
        f64::NAN
    } else if value == 0.0 {
        0.0
    } else {
        value
    }
}

#[cfg(test)]
mod tests {
    use std::hash::DefaultHasher;

    use super::*;
    use crate::datum::Dimension;

    fn hashed(type_oid: Oid, value: &Datum) -> u64 {
        let mut hasher = DefaultHasher::new();
        hash(type_oid, value, &mut hasher);
        hasher.finish()
    }

    fn ints(values: &[Option<i32>]) -> Datum {
        let elements = values.iter().map(|value| value.map_or(Datum::Null, Datum::Int4)).collect();
        Datum::Array(Array::one_dimensional(t::INT4, elements).into())
    }

    #[test]
    fn equal_values_hash_alike_whatever_their_looks() {
        for (type_oid, left, right) in [
            (t::FLOAT8, Datum::Float8(0.0), Datum::Float8(-0.0)),
            (t::FLOAT8, Datum::Float8(f64::NAN), Datum::Float8(-f64::NAN)),
            (t::FLOAT4, Datum::Float4(0.0), Datum::Float4(-0.0)),
            (t::BPCHAR, Datum::text("a"), Datum::text("a   ")),
            (t::INT4_ARRAY, ints(&[None]), ints(&[None])),
        ] {
            assert!(equal(type_oid, &left, &right));
            assert_eq!(hashed(type_oid, &left), hashed(type_oid, &right));
        }
        assert!(!equal(t::TEXT, &Datum::text("a"), &Datum::text("a ")));
    }

    #[test]
    fn arrays_compare_by_elements_then_by_shape() {
        let ordered = [
            ints(&[]),
            ints(&[Some(1)]),
            ints(&[Some(1), Some(2)]),
            ints(&[Some(2)]),
            ints(&[None]),
        ];
        for (at, left) in ordered.iter().enumerate() {
            for (other, right) in ordered.iter().enumerate() {
                assert_eq!(compare(t::INT4_ARRAY, left, right), at.cmp(&other));
            }
        }
        let shifted = Datum::Array(
            Array {
                element: t::INT4,
                dimensions: vec![Dimension { length: 1, lower: 2 }],
                elements: vec![Datum::Int4(1)],
            }
            .into(),
        );
        assert_eq!(compare(t::INT4_ARRAY, &ints(&[Some(1)]), &shifted), Ordering::Less);
    }

    #[test]
    fn nan_is_the_largest_and_zones_break_ties() {
        assert_eq!(compare_float(f64::NAN, f64::INFINITY), Ordering::Greater);
        let east = Datum::Timetz(3_600_000_000, -3600);
        let utc = Datum::Timetz(0, 0);
        assert_eq!(compare(t::TIMETZ, &east, &utc), Ordering::Less);
    }
}
