//! Memory-comparable keys: bytes whose order is the order of the datums.
//!
//! One column is a marker and, unless it is NULL, a payload:
//!
//! ```text
//! 01 NULL, nulls first      02 payload      03 NULL, nulls last
//! ```
//!
//! | type | payload |
//! |---|---|
//! | integers, dates, times, timestamps | big-endian, the sign bit flipped |
//! | `oid`, `bool`, `"char"`, `uuid` | big-endian as they are |
//! | floats | IEEE bits, the sign bit flipped, negative numbers inverted; one NaN, one zero |
//! | text, `bytea` | the bytes, `00` as `01 01` and `01` as `01 02`, then `00` |
//! | `char(n)` | likewise, without trailing blanks |
//! | `numeric` | [`Numeric::encode_key`](crate::numeric::Numeric::encode_key) |
//! | `timetz` | the instant in UTC, then the zone |
//! | `jsonb` | [`Jsonb::encode_key`](crate::jsonb::Jsonb::encode_key) |
//! | `interval` | the span in microseconds, 16 bytes |
//! | bit strings | the bytes as above, then the length in bits, 4 bytes |
//! | enums | the place of the label, 8 bytes, which no later label changes |
//! | arrays | each element behind `01`, or `02` for NULL; `00`; the dimensions |
//! | records | each field behind `01`, or `02` for NULL; `00` |
//!
//! No payload is a prefix of another of the same type, so keys of several columns concatenate, and
//! `DESC` is the payload with every bit flipped. Encoding loses what equality ignores: a numeric's
//! display scale, the sign of zero, a NaN's bits, the blanks of `char(n)`, how an interval splits
//! into its parts: [`is_lossless`] tells.

use crate::datum::{Array, Datum, Dimension};
use crate::error::{SqlError, SqlResult};
use crate::io::element_type;
use crate::numeric::Numeric;
use crate::oid::Oid;
use crate::sqlstate::SqlState;
use crate::{compare, text, type_oid as t};

const NULL_FIRST: u8 = 1;
const VALUE: u8 = 2;
const NULL_LAST: u8 = 3;

/// Between the elements of arrays and records: the end, an element, a NULL.
const END: u8 = 0;
const ELEMENT: u8 = 1;
const NULL_ELEMENT: u8 = 2;

/// Whether [`decode`] gives back the very datum that was encoded.
#[must_use]
pub fn is_lossless(type_oid: Oid) -> bool {
    match type_oid {
        t::BOOL
        | t::INT2
        | t::INT4
        | t::INT8
        | t::TEXT
        | t::VARCHAR
        | t::NAME
        | t::CHAR
        | t::BYTEA
        | t::INET
        | t::CIDR
        | t::UUID
        | t::DATE
        | t::TIME
        | t::TIMETZ
        | t::TIMESTAMP
        | t::TIMESTAMPTZ
        | t::OID
        | t::XID
        | t::CID => true,
        other if crate::io::is_reg_type(other) => true,
        other => element_type(other).is_some_and(is_lossless),
    }
}

/// Appends one column of a key.
///
/// # Errors
/// 0A000 for a type whose values have no key form.
pub fn encode(
    type_oid: Oid,
    value: &Datum,
    descending: bool,
    nulls_first: bool,
    out: &mut Vec<u8>,
) -> SqlResult<()> {
    if value.is_null() {
        out.push(if nulls_first { NULL_FIRST } else { NULL_LAST });
        return Ok(());
    }
    out.push(VALUE);
    let start = out.len();
    encode_payload(type_oid, value, out)?;
    if descending {
        for byte in &mut out[start..] {
            *byte = !*byte;
        }
    }
    Ok(())
}

fn encode_payload(type_oid: Oid, value: &Datum, out: &mut Vec<u8>) -> SqlResult<()> {
    match value {
        Datum::Null => unreachable!("NULL has a marker and no payload"),
        Datum::Bool(value) => out.push(u8::from(*value)),
        Datum::Int2(value) => out.extend_from_slice(&(*value ^ i16::MIN).to_be_bytes()),
        Datum::Int4(value) | Datum::Date(value) => {
            out.extend_from_slice(&(*value ^ i32::MIN).to_be_bytes());
        }
        Datum::Int8(value)
        | Datum::Time(value)
        | Datum::Timestamp(value)
        | Datum::Timestamptz(value) => {
            out.extend_from_slice(&(*value ^ i64::MIN).to_be_bytes());
        }
        Datum::Float4(value) => {
            let bits = if value.is_nan() { f32::NAN } else { *value + 0.0 }.to_bits();
            let flipped = if bits >> 31 == 1 { !bits } else { bits | 1 << 31 };
            out.extend_from_slice(&flipped.to_be_bytes());
        }
        Datum::Float8(value) => {
            let bits = compare::canonical_float(*value).to_bits();
            let flipped = if bits >> 63 == 1 { !bits } else { bits | 1 << 63 };
            out.extend_from_slice(&flipped.to_be_bytes());
        }
        Datum::Numeric(value) => value.encode_key(out),
        Datum::Text(value) if type_oid == t::BPCHAR => {
            encode_bytes(text::trim_blanks(value).as_bytes(), out);
        }
        Datum::Text(value) => encode_bytes(value.as_bytes(), out),
        Datum::Bytea(value) => encode_bytes(value, out),
        Datum::Char(value) => out.push(*value),
        Datum::Timetz(time, zone) => {
            let instant = time + i64::from(*zone) * 1_000_000;
            out.extend_from_slice(&(instant ^ i64::MIN).to_be_bytes());
            out.extend_from_slice(&(*zone ^ i32::MIN).to_be_bytes());
        }
        Datum::Interval(value) => {
            out.extend_from_slice(&(value.span() ^ i128::MIN).to_be_bytes());
        }
        Datum::Uuid(value) => out.extend_from_slice(value),
        Datum::Jsonb(value) => value.encode_key(out),
        Datum::Oid(value) => out.extend_from_slice(&value.0.to_be_bytes()),
        Datum::Enum(_, place) => out.extend_from_slice(&place.to_be_bytes()),
        Datum::Bits(value) => {
            encode_bytes(value.bytes(), out);
            let length = u32::try_from(value.length()).unwrap_or(u32::MAX);
            out.extend_from_slice(&length.to_be_bytes());
        }
        Datum::Array(array) => {
            if type_oid == t::OIDVECTOR {
                // Its operator class compares lengths first.
                let length = u32::try_from(array.elements.len()).unwrap_or(u32::MAX);
                out.extend_from_slice(&length.to_be_bytes());
            }
            for element in &array.elements {
                encode_element(array.element, element, out)?;
            }
            out.push(END);
            out.push(u8::try_from(array.dimensions.len()).unwrap_or(u8::MAX));
            for dimension in &array.dimensions {
                out.extend_from_slice(&(dimension.length ^ i32::MIN).to_be_bytes());
            }
            for dimension in &array.dimensions {
                out.extend_from_slice(&(dimension.lower ^ i32::MIN).to_be_bytes());
            }
        }
        Datum::Record(fields) => {
            for (at, field) in fields.iter().enumerate() {
                encode_element(fields.field_type(at).oid, field, out)?;
            }
            out.push(END);
        }
    }
    Ok(())
}

fn encode_element(type_oid: Oid, element: &Datum, out: &mut Vec<u8>) -> SqlResult<()> {
    if element.is_null() {
        out.push(NULL_ELEMENT);
        return Ok(());
    }
    out.push(ELEMENT);
    encode_payload(type_oid, element, out)
}

fn encode_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(bytes.len() + 1);
    if bytes.iter().all(|byte| *byte > 1) {
        out.extend_from_slice(bytes);
    } else {
        for byte in bytes {
            match byte {
                0 => out.extend_from_slice(&[1, 1]),
                1 => out.extend_from_slice(&[1, 2]),
                byte => out.push(*byte),
            }
        }
    }
    out.push(0);
}

/// Reads one column off the front of a key, for types that are [`is_lossless`].
///
/// # Errors
/// XX001 for bytes that [`encode`] does not make; 0A000 for other types.
pub fn decode(type_oid: Oid, descending: bool, key: &mut &[u8]) -> SqlResult<Datum> {
    if !is_lossless(type_oid) {
        return Err(SqlError::unsupported(format_args!("decoding a key of type {type_oid}")));
    }
    let mut reader = KeyReader { rest: key, invert: 0 };
    let value = match reader.byte()? {
        NULL_FIRST | NULL_LAST => Datum::Null,
        VALUE => {
            reader.invert = if descending { 0xff } else { 0 };
            reader.payload(type_oid)?
        }
        _ => return Err(corrupted()),
    };
    *key = reader.rest;
    Ok(value)
}

/// Whether [`skip`] finds the end of a column of this type.
#[must_use]
pub fn is_skippable(type_oid: Oid) -> bool {
    matches!(type_oid, t::NUMERIC | t::FLOAT4 | t::FLOAT8 | t::BPCHAR | t::INTERVAL)
        || is_lossless(type_oid)
}

/// Goes past one column of a key, for types that are [`is_skippable`].
///
/// # Errors
/// XX001 for bytes that [`encode`] does not make; 0A000 for other types.
pub fn skip(type_oid: Oid, descending: bool, key: &mut &[u8]) -> SqlResult<()> {
    if is_lossless(type_oid) {
        return decode(type_oid, descending, key).map(drop);
    }
    let mut reader = KeyReader { rest: key, invert: 0 };
    match reader.byte()? {
        NULL_FIRST | NULL_LAST => {}
        VALUE => {
            reader.invert = if descending { 0xff } else { 0 };
            match type_oid {
                t::FLOAT4 => drop(reader.array::<4>()?),
                t::FLOAT8 => drop(reader.array::<8>()?),
                t::INTERVAL => drop(reader.array::<16>()?),
                t::BPCHAR => drop(reader.bytes()?),
                t::NUMERIC => {
                    let (rest, invert) = (reader.rest, reader.invert);
                    let length = Numeric::key_length(rest.iter().map(|byte| byte ^ invert));
                    reader.rest =
                        length.and_then(|length| rest.get(length..)).ok_or_else(corrupted)?;
                }
                other => {
                    return Err(SqlError::unsupported(format_args!("a key of type {other}")));
                }
            }
        }
        _ => return Err(corrupted()),
    }
    *key = reader.rest;
    Ok(())
}

fn corrupted() -> SqlError {
    SqlError::new(SqlState::DataCorrupted, "an index key is not well-formed")
}

struct KeyReader<'a> {
    rest: &'a [u8],
    invert: u8,
}

impl KeyReader<'_> {
    fn byte(&mut self) -> SqlResult<u8> {
        let (first, rest) = self.rest.split_first().ok_or_else(corrupted)?;
        self.rest = rest;
        Ok(first ^ self.invert)
    }

    fn array<const N: usize>(&mut self) -> SqlResult<[u8; N]> {
        let (first, rest) = self.rest.split_first_chunk::<N>().ok_or_else(corrupted)?;
        self.rest = rest;
        Ok(first.map(|byte| byte ^ self.invert))
    }

    fn int4(&mut self) -> SqlResult<i32> {
        Ok(i32::from_be_bytes(self.array()?) ^ i32::MIN)
    }

    fn int8(&mut self) -> SqlResult<i64> {
        Ok(i64::from_be_bytes(self.array()?) ^ i64::MIN)
    }

    fn bytes(&mut self) -> SqlResult<Vec<u8>> {
        let mut out = Vec::new();
        loop {
            match self.byte()? {
                0 => return Ok(out),
                1 => match self.byte()? {
                    1 => out.push(0),
                    2 => out.push(1),
                    _ => return Err(corrupted()),
                },
                byte => out.push(byte),
            }
        }
    }

    fn payload(&mut self, type_oid: Oid) -> SqlResult<Datum> {
        Ok(match type_oid {
            t::BOOL => match self.byte()? {
                0 => Datum::Bool(false),
                1 => Datum::Bool(true),
                _ => return Err(corrupted()),
            },
            t::INT2 => Datum::Int2(i16::from_be_bytes(self.array()?) ^ i16::MIN),
            t::INT4 => Datum::Int4(self.int4()?),
            t::INT8 => Datum::Int8(self.int8()?),
            t::DATE => Datum::Date(self.int4()?),
            t::TIME => Datum::Time(self.int8()?),
            t::TIMESTAMP => Datum::Timestamp(self.int8()?),
            t::TIMESTAMPTZ => Datum::Timestamptz(self.int8()?),
            t::TIMETZ => {
                let instant = self.int8()?;
                let zone = self.int4()?;
                let time = instant.checked_sub(i64::from(zone) * 1_000_000);
                Datum::Timetz(time.ok_or_else(corrupted)?, zone)
            }
            t::TEXT | t::VARCHAR | t::NAME => {
                Datum::text(String::from_utf8(self.bytes()?).map_err(|_| corrupted())?)
            }
            t::BYTEA | t::INET | t::CIDR => Datum::Bytea(self.bytes()?.into()),
            t::CHAR => Datum::Char(self.byte()?),
            t::UUID => Datum::Uuid(self.array()?),
            other => match element_type(other) {
                Some(element) => Datum::Array(self.elements(other, element)?.into()),
                None => Datum::Oid(Oid(u32::from_be_bytes(self.array()?))),
            },
        })
    }

    fn elements(&mut self, type_oid: Oid, element: Oid) -> SqlResult<Array> {
        if type_oid == t::OIDVECTOR {
            self.array::<4>()?;
        }
        let mut elements = Vec::new();
        loop {
            match self.byte()? {
                END => break,
                ELEMENT => elements.push(self.payload(element)?),
                NULL_ELEMENT => elements.push(Datum::Null),
                _ => return Err(corrupted()),
            }
        }
        let count = usize::from(self.byte()?);
        if count > crate::io::array::DIMENSIONS_MAX {
            return Err(corrupted());
        }
        let mut dimensions = vec![Dimension { length: 0, lower: 0 }; count];
        for dimension in &mut dimensions {
            dimension.length = self.int4()?;
        }
        for dimension in &mut dimensions {
            dimension.lower = self.int4()?;
        }
        if crate::io::array::element_count(&dimensions).ok() != Some(elements.len()) {
            return Err(corrupted());
        }
        Ok(Array { element, dimensions, elements })
    }
}

#[cfg(test)]
mod tests;
