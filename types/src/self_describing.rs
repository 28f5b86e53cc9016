//! A form of datums that needs no type to be read: a tag a datum, then its bytes, little-endian.
//!
//! Columns of types that users define are stored in it, and columns of batches that have no form of
//! their own. Tags are kept for ever.

use std::sync::Arc;

use crate::bits::Bits;
use crate::datum::{Array, Datum, Dimension};
use crate::interval::Interval;
use crate::jsonb::Jsonb;
use crate::numeric::Numeric;
use crate::oid::{Oid, TypeRef};
use crate::record::{Record, RecordKind, RecordShape};

/// Writes any datum with its kind, so that [`read_any`] needs no type.
pub fn write_any(datum: &Datum, out: &mut Vec<u8>) {
    fn bytes(tag: u8, bytes: &[u8], out: &mut Vec<u8>) {
        out.push(tag);
        length(bytes.len(), out);
        out.extend_from_slice(bytes);
    }
    fn length(length: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
    }
    fn fixed(tag: u8, bytes: &[u8], out: &mut Vec<u8>) {
        out.push(tag);
        out.extend_from_slice(bytes);
    }
    match datum {
        Datum::Null => out.push(0),
        Datum::Bool(value) => fixed(1, &[u8::from(*value)], out),
        Datum::Int2(value) => fixed(2, &value.to_le_bytes(), out),
        Datum::Int4(value) => fixed(3, &value.to_le_bytes(), out),
        Datum::Int8(value) => fixed(4, &value.to_le_bytes(), out),
        Datum::Float4(value) => fixed(5, &value.to_le_bytes(), out),
        Datum::Float8(value) => fixed(6, &value.to_le_bytes(), out),
        Datum::Numeric(value) => {
            let mut encoded = Vec::new();
            value.encode(&mut encoded);
            bytes(7, &encoded, out);
        }
        Datum::Text(value) => bytes(8, value.as_bytes(), out),
        Datum::Bytea(value) => bytes(9, value, out),
        Datum::Char(value) => fixed(10, &[*value], out),
        Datum::Date(value) => fixed(11, &value.to_le_bytes(), out),
        Datum::Time(value) => fixed(12, &value.to_le_bytes(), out),
        Datum::Timetz(time, zone) => {
            fixed(13, &time.to_le_bytes(), out);
            out.extend_from_slice(&zone.to_le_bytes());
        }
        Datum::Timestamp(value) => fixed(14, &value.to_le_bytes(), out),
        Datum::Timestamptz(value) => fixed(15, &value.to_le_bytes(), out),
        Datum::Interval(value) => {
            fixed(16, &value.microseconds.to_le_bytes(), out);
            out.extend_from_slice(&value.days.to_le_bytes());
            out.extend_from_slice(&value.months.to_le_bytes());
        }
        Datum::Uuid(value) => fixed(17, value, out),
        Datum::Jsonb(value) => bytes(18, value.as_bytes(), out),
        Datum::Oid(value) => fixed(19, &value.0.to_le_bytes(), out),
        Datum::Array(array) => {
            fixed(20, &array.element.0.to_le_bytes(), out);
            length(array.dimensions.len(), out);
            for dimension in &array.dimensions {
                out.extend_from_slice(&dimension.length.to_le_bytes());
                out.extend_from_slice(&dimension.lower.to_le_bytes());
            }
            length(array.elements.len(), out);
            for element in &array.elements {
                write_any(element, out);
            }
        }
        Datum::Record(fields) => {
            match fields.kind() {
                RecordKind::Untyped => out.push(21),
                RecordKind::Composite(oid) => fixed(24, &oid.0.to_le_bytes(), out),
                RecordKind::Anonymous(shape) => {
                    out.push(25);
                    length(shape.names.len(), out);
                    for (name, ty) in shape.names.iter().zip(&shape.types) {
                        length(name.len(), out);
                        out.extend_from_slice(name.as_bytes());
                        out.extend_from_slice(&ty.oid.0.to_le_bytes());
                        out.extend_from_slice(&ty.typmod.to_le_bytes());
                    }
                }
            }
            length(fields.len(), out);
            for field in fields.iter() {
                write_any(field, out);
            }
        }
        Datum::Enum(oid, place) => {
            fixed(22, &oid.0.to_le_bytes(), out);
            out.extend_from_slice(&place.to_le_bytes());
        }
        Datum::Bits(value) => {
            out.push(23);
            length(value.length(), out);
            out.extend_from_slice(value.bytes());
        }
    }
}

/// Reads what [`write_any`] wrote; `None` for anything else.
pub fn read_any(input: &mut &[u8]) -> Option<Datum> {
    fn fixed<const N: usize>(input: &mut &[u8]) -> Option<[u8; N]> {
        let (first, rest) = input.split_first_chunk::<N>()?;
        *input = rest;
        Some(*first)
    }
    fn length(input: &mut &[u8]) -> Option<usize> {
        usize::try_from(u32::from_le_bytes(fixed(input)?)).ok()
    }
    fn bytes<'a>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
        let length = length(input)?;
        let (first, rest) = input.split_at_checked(length)?;
        *input = rest;
        Some(first)
    }
    let [tag] = fixed(input)?;
    Some(match tag {
        0 => Datum::Null,
        1 => Datum::Bool(fixed::<1>(input)?[0] != 0),
        2 => Datum::Int2(i16::from_le_bytes(fixed(input)?)),
        3 => Datum::Int4(i32::from_le_bytes(fixed(input)?)),
        4 => Datum::Int8(i64::from_le_bytes(fixed(input)?)),
        5 => Datum::Float4(f32::from_le_bytes(fixed(input)?)),
        6 => Datum::Float8(f64::from_le_bytes(fixed(input)?)),
        7 => Datum::Numeric(Numeric::decode(bytes(input)?).ok()?),
        8 => Datum::text(std::str::from_utf8(bytes(input)?).ok()?),
        9 => Datum::Bytea(bytes(input)?.into()),
        10 => Datum::Char(fixed::<1>(input)?[0]),
        11 => Datum::Date(i32::from_le_bytes(fixed(input)?)),
        12 => Datum::Time(i64::from_le_bytes(fixed(input)?)),
        13 => Datum::Timetz(i64::from_le_bytes(fixed(input)?), i32::from_le_bytes(fixed(input)?)),
        14 => Datum::Timestamp(i64::from_le_bytes(fixed(input)?)),
        15 => Datum::Timestamptz(i64::from_le_bytes(fixed(input)?)),
        16 => Datum::Interval(Interval {
            microseconds: i64::from_le_bytes(fixed(input)?),
            days: i32::from_le_bytes(fixed(input)?),
            months: i32::from_le_bytes(fixed(input)?),
        }),
        17 => Datum::Uuid(fixed(input)?),
        18 => Datum::Jsonb(Jsonb::from_bytes(bytes(input)?.into()).ok()?),
        19 => Datum::Oid(Oid(u32::from_le_bytes(fixed(input)?))),
        20 => {
            let element = Oid(u32::from_le_bytes(fixed(input)?));
            let count = length(input)?;
            let mut dimensions = Vec::new();
            for _ in 0..count {
                dimensions.push(Dimension {
                    length: i32::from_le_bytes(fixed(input)?),
                    lower: i32::from_le_bytes(fixed(input)?),
                });
            }
            let count = length(input)?;
            let mut elements = Vec::new();
            for _ in 0..count {
                elements.push(read_any(input)?);
            }
            Datum::Array(Arc::new(Array { element, dimensions, elements }))
        }
        21 | 24 | 25 => {
            let kind = match tag {
                24 => RecordKind::Composite(Oid(u32::from_le_bytes(fixed(input)?))),
                25 => {
                    let mut shape = RecordShape { names: Vec::new(), types: Vec::new() };
                    for _ in 0..length(input)? {
                        shape.names.push(std::str::from_utf8(bytes(input)?).ok()?.into());
                        let oid = Oid(u32::from_le_bytes(fixed(input)?));
                        let typmod = i32::from_le_bytes(fixed(input)?);
                        shape.types.push(TypeRef::with_typmod(oid, typmod));
                    }
                    RecordKind::Anonymous(Arc::new(shape))
                }
                _ => RecordKind::Untyped,
            };
            let count = length(input)?;
            let mut fields = Vec::new();
            for _ in 0..count {
                fields.push(read_any(input)?);
            }
            Datum::Record(Arc::new(Record::new(fields, kind)))
        }
        22 => {
            Datum::Enum(Oid(u32::from_le_bytes(fixed(input)?)), u64::from_le_bytes(fixed(input)?))
        }
        23 => {
            let count = length(input)?;
            let (first, rest) = input.split_at_checked(count.div_ceil(8))?;
            *input = rest;
            Datum::Bits(Arc::new(Bits::from_bytes(first, count)))
        }
        _ => return None,
    })
}
