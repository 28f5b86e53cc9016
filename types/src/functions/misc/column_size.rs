//! `pg_column_size`: how many bytes a value takes as PostgreSQL would hold it in memory.
//!
//! It is computed, for values lie here in forms of Aegis' own: text and `bytea` are a header of four
//! bytes and themselves, `numeric` is digits to the base of 10,000, `jsonb` is laid out as below. What
//! PostgreSQL saves by compressing, and by headers of one byte in rows that are stored, is not counted.
//!
//! ```text
//! array   header, an entry of 4 bytes an element, the elements      begins at a multiple of 4
//! object  header, an entry of 4 bytes a key and a value, keys, values
//! number  the numeric with its header                               begins at a multiple of 4
//! string  its bytes; null, true and false lie in the entry
//! ```

use crate::builtin::builtins;
use crate::context::CallContext;
use crate::datum::Datum;
use crate::error::{SqlError, SqlResult};
use crate::jsonb::{Jsonb, Node, Value};
use crate::numeric::Numeric;
use crate::type_oid as t;

/// Of every value of no fixed length.
const HEADER_BYTES: usize = 4;
/// Of an array or an object, and of each of its elements.
const ENTRY_BYTES: usize = 4;
/// Digits after the point up to which, and the exponents (of 10,000) between which, the header of a
/// numeric is short: `NUMERIC_SHORT_DSCALE_MAX` and its kin.
const SHORT_SCALE_MAX: u16 = 63;
const SHORT_WEIGHTS: std::ops::RangeInclusive<i16> = -64..=63;

/// The bytes that a value takes as PostgreSQL holds it; 0A000 for the types whose form is not told here.
pub(super) fn column_size(context: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    let ty = context.argument_types.first().map_or(t::UNKNOWN, |type_ref| type_ref.oid);
    let length = builtins().type_row(ty).map_or(0, |row| row.length);
    if length > 0 {
        return Ok(Datum::Int4(length.into()));
    }
    let bytes = match &a[0] {
        Datum::Text(text) => text.len() + usize::from(length == -2),
        Datum::Bytea(bytes) if ty == t::BYTEA => bytes.len(),
        Datum::Numeric(number) => number_size(number),
        Datum::Jsonb(document) => document_size(document)?,
        _ => return Err(SqlError::unsupported("pg_column_size of this type")),
    };
    let header = if length == -2 { 0 } else { HEADER_BYTES };
    Ok(Datum::Int4(i32::try_from(bytes + header).unwrap_or(i32::MAX)))
}

/// The bytes of a numeric without its length: what it is, and two for every four digits.
fn number_size(number: &Numeric) -> usize {
    let mut wire = Vec::new();
    number.binary_out(&mut wire);
    // digits, weight, sign, scale, then the digits: `Numeric::binary_out`.
    let field =
        |at: usize| wire.get(at..at + 2).map_or(0, |two| u16::from_be_bytes([two[0], two[1]]));
    let weight = field(2).cast_signed();
    let is_short = number.display_scale().is_none()
        || field(6) <= SHORT_SCALE_MAX && SHORT_WEIGHTS.contains(&weight);
    2 + if is_short { 0 } else { 2 } + 2 * usize::from(field(0))
}

/// The bytes of a document without its length.
fn document_size(document: &Jsonb) -> SqlResult<usize> {
    let root = document.root();
    if root.is_container() {
        return size_after(HEADER_BYTES, root).map(|end| end - HEADER_BYTES);
    }
    // A lone value lies in an array of one.
    size_after(HEADER_BYTES + 2 * ENTRY_BYTES, root).map(|end| end - HEADER_BYTES)
}

/// Where a value ends if the one before it ended at `end`, counted from the document's first byte.
fn size_after(end: usize, node: Node<'_>) -> SqlResult<usize> {
    let aligned = end.next_multiple_of(ENTRY_BYTES);
    Ok(match node.value() {
        Value::Null | Value::Bool(_) => end,
        Value::String(text) => end + text.len(),
        Value::Number => {
            let mut text = Vec::new();
            if let Some(decimal) = node.as_decimal() {
                decimal.write_text(&mut text);
            }
            let number = Numeric::parse(&String::from_utf8_lossy(&text))?;
            aligned + HEADER_BYTES + number_size(&number)
        }
        Value::Array(elements) => {
            let mut inner = aligned + ENTRY_BYTES * (1 + elements.iter().count());
            for element in elements.iter() {
                inner = size_after(inner, element)?;
            }
            inner
        }
        Value::Object(fields) => {
            let (count, keys) = fields
                .iter()
                .fold((0, 0), |(count, bytes), (key, _)| (count + 1, bytes + key.len()));
            let mut inner = aligned + ENTRY_BYTES * (1 + 2 * count) + keys;
            for (_, value) in fields.iter() {
                inner = size_after(inner, value)?;
            }
            inner
        }
    })
}
