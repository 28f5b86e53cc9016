//! Where a value lies between two others, for types whose values are like numbers; text counts as the
//! digits of a number.

use aegis_types::{Datum, Oid, type_oid};

/// Digits of a text that are looked at.
const DIGITS: usize = 12;

/// Where between `low` and `high` a value lies, from 0 to 1; in the middle where nobody can tell.
pub(super) fn within(ty: Oid, value: &Datum, low: &Datum, high: &Datum) -> f64 {
    let scaled = match (value, low, high) {
        (Datum::Text(value), Datum::Text(low), Datum::Text(high)) => {
            Some(texts(value.as_bytes(), low.as_bytes(), high.as_bytes(), true))
        }
        (Datum::Bytea(value), Datum::Bytea(low), Datum::Bytea(high)) if ty == type_oid::BYTEA => {
            Some(texts(value, low, high, false))
        }
        _ => number(value)
            .zip(number(low))
            .zip(number(high))
            .map(|((value, low), high)| (value, low, high)),
    };
    let Some((value, low, high)) = scaled else { return 0.5 };
    let part = if high <= low {
        0.5
    } else if value <= low {
        0.0
    } else if value >= high {
        1.0
    } else {
        (value - low) / (high - low)
    };
    if part.is_finite() { part } else { 0.5 }
}

/// A value as a number whose order is its type's.
fn number(value: &Datum) -> Option<f64> {
    const DAY: f64 = 86_400_000_000.0;
    Some(match value {
        Datum::Bool(value) => f64::from(u8::from(*value)),
        Datum::Int2(value) => f64::from(*value),
        Datum::Int4(value) => f64::from(*value),
        Datum::Int8(value)
        | Datum::Time(value)
        | Datum::Timestamp(value)
        | Datum::Timestamptz(value) => *value as f64,
        Datum::Float4(value) => f64::from(*value),
        Datum::Float8(value) => *value,
        Datum::Numeric(value) => value.to_f64_saturating(),
        Datum::Date(value) => f64::from(*value) * DAY,
        Datum::Timetz(time, zone) => *time as f64 + f64::from(*zone) * 1_000_000.0,
        Datum::Interval(value) => value.span() as f64,
        Datum::Oid(value) => f64::from(value.0),
        Datum::Char(value) => f64::from(*value),
        _ => return None,
    })
}

/// Three texts as numbers, in the range of bytes that their neighbourhood seems to use.
fn texts(value: &[u8], low: &[u8], high: &[u8], is_text: bool) -> (f64, f64, f64) {
    let (mut first, mut last) = (u8::MAX, 0);
    for byte in low.iter().chain(high) {
        first = first.min(*byte);
        last = last.max(*byte);
    }
    if is_text {
        for (from, to) in [(b'A', b'Z'), (b'a', b'z'), (b'0', b'9')] {
            if first <= to && last >= from {
                first = first.min(from);
                last = last.max(to);
            }
        }
        if i16::from(last) - i16::from(first) < 9 {
            (first, last) = (b' ', 127);
        }
    } else {
        (first, last) = (0, u8::MAX);
    }
    let shared = low
        .iter()
        .zip(high)
        .zip(value)
        .take_while(|((low, high), value)| low == high && low == value)
        .count();
    let number = |bytes: &[u8]| {
        let base = f64::from(last) - f64::from(first) + 1.0;
        let (mut number, mut unit) = (0.0, 1.0);
        for byte in bytes.iter().skip(shared).take(DIGITS) {
            unit /= base;
            let digit = f64::from(*byte).clamp(f64::from(first) - 1.0, f64::from(last) + 1.0);
            number += (digit - f64::from(first)) * unit;
        }
        number
    };
    (number(value), number(low), number(high))
}

/// A value as one of the kind that another is of; `None` if it has no such form.
pub(crate) fn like(value: &Datum, other: &Datum) -> Option<Datum> {
    const DAY: i64 = 86_400_000_000;
    let whole = match value {
        Datum::Int2(value) => Some(i64::from(*value)),
        Datum::Int4(value) => Some(i64::from(*value)),
        Datum::Int8(value) => Some(*value),
        _ => None,
    };
    match (value, other) {
        (Datum::Array(value), Datum::Array(other)) if value.element != other.element => None,
        _ if std::mem::discriminant(value) == std::mem::discriminant(other) => Some(value.clone()),
        // What is beyond all values is like the last of them.
        (_, Datum::Int2(_)) => {
            let whole = whole?.clamp(i16::MIN.into(), i16::MAX.into());
            i16::try_from(whole).ok().map(Datum::Int2)
        }
        (_, Datum::Int4(_)) => {
            let whole = whole?.clamp(i32::MIN.into(), i32::MAX.into());
            i32::try_from(whole).ok().map(Datum::Int4)
        }
        (_, Datum::Int8(_)) => whole.map(Datum::Int8),
        (_, Datum::Numeric(_)) => whole
            .map(|value| Datum::Numeric(aegis_types::numeric::Numeric::from_i128(value.into()))),
        (Datum::Float4(value), Datum::Float8(_)) => Some(Datum::Float8(f64::from(*value))),
        (Datum::Float8(value), Datum::Float4(_)) => Some(Datum::Float4(*value as f32)),
        (_, Datum::Float8(_)) => whole.map(|value| Datum::Float8(value as f64)),
        (_, Datum::Float4(_)) => whole.map(|value| Datum::Float4(value as f32)),
        (Datum::Date(day), Datum::Timestamp(_)) => {
            i64::from(*day).checked_mul(DAY).map(Datum::Timestamp)
        }
        (Datum::Date(day), Datum::Timestamptz(_)) => {
            i64::from(*day).checked_mul(DAY).map(Datum::Timestamptz)
        }
        (Datum::Timestamp(value) | Datum::Timestamptz(value), Datum::Date(_)) => {
            i32::try_from(value.div_euclid(DAY)).ok().map(Datum::Date)
        }
        (Datum::Timestamp(value), Datum::Timestamptz(_)) => Some(Datum::Timestamptz(*value)),
        (Datum::Timestamptz(value), Datum::Timestamp(_)) => Some(Datum::Timestamp(*value)),
        _ => None,
    }
}
