//! Records as text, `(1,"a b",)`, and as bytes.
//!
//! What the columns of a composite type are is the catalog's to know: reading gives the fields'
//! text, writing asks the caller for each field.

use crate::datum::Datum;
use crate::error::{SqlError, SqlResult};
use crate::integer::is_space;
use crate::oid::{Oid, TypeRef};
use crate::sqlstate::SqlState;
use crate::type_oid as t;

/// Cuts a record's text form into its fields, `None` for NULL.
///
/// # Errors
/// 22P02 for a malformed literal, and where there are not `columns` fields.
pub fn parse(text: &str, columns: usize) -> SqlResult<Vec<Option<String>>> {
    let malformed = |detail: &str| {
        SqlError::new(
            SqlState::InvalidTextRepresentation,
            format!("malformed record literal: \"{text}\""),
        )
        .detail(detail)
    };
    let end = || malformed("Unexpected end of input.");
    let bytes = text.as_bytes();
    let mut at = bytes.iter().take_while(|byte| is_space(**byte)).count();
    if bytes.get(at) != Some(&b'(') {
        return Err(malformed("Missing left parenthesis."));
    }
    at += 1;
    let mut fields: Vec<Option<String>> = Vec::new();
    for column in 0..columns {
        if column > 0 {
            if bytes.get(at) != Some(&b',') {
                return Err(malformed("Too few columns."));
            }
            at += 1;
        }
        if matches!(bytes.get(at), Some(b',' | b')')) {
            fields.push(None);
            continue;
        }
        let mut field = Vec::new();
        let mut quoted = false;
        loop {
            let byte = *bytes.get(at).ok_or_else(end)?;
            match byte {
                b',' | b')' if !quoted => break,
                b'\\' => {
                    at += 1;
                    field.push(*bytes.get(at).ok_or_else(end)?);
                }
                b'"' if quoted && bytes.get(at + 1) == Some(&b'"') => {
                    at += 1;
                    field.push(b'"');
                }
                b'"' => quoted = !quoted,
                _ => field.push(byte),
            }
            at += 1;
        }
        fields.push(Some(crate::text::from_utf8(&field)?.to_owned()));
    }
    if columns == 0 && bytes.get(at) != Some(&b')') {
        return Err(malformed("Too many columns."));
    }
    if bytes.get(at) != Some(&b')') {
        return Err(malformed("Too many columns."));
    }
    if !bytes[at + 1..].iter().all(|byte| is_space(*byte)) {
        return Err(malformed("Junk after right parenthesis."));
    }
    Ok(fields)
}

/// Appends a record's text form; `write_field` is told which column it writes.
pub fn write(
    fields: &[&Datum],
    write_field: &mut dyn FnMut(usize, &Datum, &mut Vec<u8>),
    out: &mut Vec<u8>,
) {
    out.push(b'(');
    for (at, field) in fields.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        if !field.is_null() {
            let start = out.len();
            write_field(at, field, out);
            quote(start, out);
        }
    }
    out.push(b')');
}

fn quote(start: usize, out: &mut Vec<u8>) {
    let text = &out[start..];
    let plain = !text.is_empty()
        && !text
            .iter()
            .any(|byte| matches!(byte, b'"' | b'\\' | b'(' | b')' | b',') || is_space(*byte));
    if plain {
        return;
    }
    let text = out.split_off(start);
    out.push(b'"');
    for byte in text {
        if matches!(byte, b'"' | b'\\') {
            out.push(byte);
        }
        out.push(byte);
    }
    out.push(b'"');
}

/// Appends a record's binary form: each field with its type.
pub fn send(
    fields: &[(Oid, &Datum)],
    send_field: &mut dyn FnMut(Oid, &Datum, &mut Vec<u8>),
    out: &mut Vec<u8>,
) {
    let count = i32::try_from(fields.len()).unwrap_or(i32::MAX);
    out.extend_from_slice(&count.to_be_bytes());
    for (oid, field) in fields {
        let oid = if *oid == t::UNKNOWN { t::TEXT } else { *oid };
        out.extend_from_slice(&oid.0.to_be_bytes());
        super::send_field(field, &mut |field, out| send_field(oid, field, out), out);
    }
}

/// Takes a record's binary form apart: the bytes of each field, `None` for NULL.
///
/// # Errors
/// 42804 where its columns are not of these types, 08P01, 22P03.
pub fn receive<'a>(
    bytes: &'a [u8],
    types: &[TypeRef],
    shown: &dyn Fn(Oid) -> String,
) -> SqlResult<Vec<Option<&'a [u8]>>> {
    let mut reader = super::Reader::new(bytes);
    let count = reader.int4()?;
    if usize::try_from(count).ok() != Some(types.len()) {
        return Err(SqlError::new(
            SqlState::DatatypeMismatch,
            format!("wrong number of columns: {count}, expected {}", types.len()),
        ));
    }
    let mut fields = Vec::with_capacity(types.len());
    for (at, expected) in types.iter().enumerate() {
        let oid = reader.oid()?;
        if oid != expected.oid {
            return Err(SqlError::new(
                SqlState::DatatypeMismatch,
                format!(
                    "binary data has type {oid} ({}) instead of expected {} ({}) in record column {}",
                    shown(oid),
                    expected.oid,
                    shown(expected.oid),
                    at + 1
                ),
            ));
        }
        fields.push(reader.field()?);
    }
    reader.finish()?;
    Ok(fields)
}
