//! How many bytes a value takes in a row of PostgreSQL, compression aside: what its planner reckons
//! with, and what `avg_width` shows.

use aegis_types::builtin::builtins;
use aegis_types::{Array, Datum, EvalContext, FormatSettings, Oid, io, type_oid};

/// Bytes of the header of a value of varying length: one where the whole is short.
const fn with_header(bytes: usize) -> usize {
    if bytes <= 126 { bytes + 1 } else { bytes + 4 }
}

/// The bytes of all values of a type, if they are as many for each.
pub(super) fn fixed(ty: Oid) -> Option<usize> {
    if let Some(row) = builtins().type_row(ty) {
        return usize::try_from(row.length).ok();
    }
    None
}

/// The bytes of a value with its header, in a row or as it was computed.
pub(super) fn of(ty: Oid, value: &Datum, is_stored: bool) -> usize {
    match (fixed(ty), value) {
        (Some(length), _) => length,
        (None, Datum::Enum(..)) => 4,
        (None, value) if is_stored => with_header(own(ty, value)),
        (None, value) => own(ty, value) + 4,
    }
}

/// The bytes of a value without its header.
pub(super) fn own(ty: Oid, value: &Datum) -> usize {
    match value {
        Datum::Text(text) => text.len(),
        Datum::Bytea(bytes) if matches!(ty, type_oid::INET | type_oid::CIDR) => bytes.len().max(6),
        Datum::Bytea(bytes) => bytes.len(),
        // A header of two bytes before the digits, four to two bytes.
        Datum::Numeric(_) => 2 + binary_length(ty, value).saturating_sub(8),
        Datum::Jsonb(value) => value.as_bytes().len(),
        Datum::Bits(bits) => 4 + bits.bytes().len(),
        Datum::Array(array) => array_bytes(array),
        Datum::Record(fields) => {
            20 + fields.iter().map(|field| own(Oid::NONE, field)).sum::<usize>()
        }
        Datum::Bool(_) | Datum::Char(_) => 1,
        Datum::Int2(_) => 2,
        Datum::Int4(_) | Datum::Float4(_) | Datum::Date(_) | Datum::Oid(_) | Datum::Enum(..) => 4,
        Datum::Interval(_) | Datum::Uuid(_) => 16,
        Datum::Null => 0,
        _ => 8,
    }
}

fn array_bytes(array: &Array) -> usize {
    let align = |bytes: usize, to: usize| bytes.next_multiple_of(to);
    let has_nulls = array.elements.iter().any(Datum::is_null);
    let bitmap = if has_nulls { array.elements.len().div_ceil(8) } else { 0 };
    let head = align(16 + 8 * array.dimensions.len() + bitmap, 8) - 4;
    let element = builtins().type_row(array.element);
    let to = match element.map(|row| row.align) {
        Some(b'c') => 1,
        Some(b's') => 2,
        Some(b'd') => 8,
        _ => 4,
    };
    let values = array.elements.iter().filter(|element| !element.is_null());
    values.fold(head, |bytes, value| {
        let length = fixed(array.element).unwrap_or_else(|| own(array.element, value) + 4);
        align(bytes + length, to)
    })
}

fn binary_length(ty: Oid, value: &Datum) -> usize {
    let settings = FormatSettings::default();
    let context = EvalContext {
        settings: &settings,
        transaction_timestamp: 0,
        statement_timestamp: 0,
        host: &aegis_types::context::NoHost,
    };
    let mut bytes = Vec::new();
    io::binary_out(ty, value, &context, &mut bytes);
    bytes.len()
}
