//! Byte strings, uuid, and hashes of them.

use md5::{Digest, Md5};
use sha2::{Sha224, Sha256, Sha384, Sha512};

use super::ScalarTable;
use super::text::{cut, length, like};
use crate::bytea::{decode_escape, decode_hex, write_hex, write_octal};
use crate::datum::Datum;
use crate::error::{SqlError, SqlResult};
use crate::sqlstate::SqlState;
use crate::text::from_utf8;

pub(super) static SCALARS: ScalarTable = &[
    ("byteaeq", |_, a| Ok(Datum::Bool(a[0].as_bytea() == a[1].as_bytea()))),
    ("byteane", |_, a| Ok(Datum::Bool(a[0].as_bytea() != a[1].as_bytea()))),
    ("bytealt", |_, a| Ok(Datum::Bool(a[0].as_bytea() < a[1].as_bytea()))),
    ("byteale", |_, a| Ok(Datum::Bool(a[0].as_bytea() <= a[1].as_bytea()))),
    ("byteagt", |_, a| Ok(Datum::Bool(a[0].as_bytea() > a[1].as_bytea()))),
    ("byteage", |_, a| Ok(Datum::Bool(a[0].as_bytea() >= a[1].as_bytea()))),
    ("uuid_eq", |_, a| Ok(Datum::Bool(a[0].as_uuid() == a[1].as_uuid()))),
    ("uuid_ne", |_, a| Ok(Datum::Bool(a[0].as_uuid() != a[1].as_uuid()))),
    ("uuid_lt", |_, a| Ok(Datum::Bool(a[0].as_uuid() < a[1].as_uuid()))),
    ("uuid_le", |_, a| Ok(Datum::Bool(a[0].as_uuid() <= a[1].as_uuid()))),
    ("uuid_gt", |_, a| Ok(Datum::Bool(a[0].as_uuid() > a[1].as_uuid()))),
    ("uuid_ge", |_, a| Ok(Datum::Bool(a[0].as_uuid() >= a[1].as_uuid()))),
    ("byteacmp", |_, a| Ok(Datum::Int4(difference(a[0].as_bytea(), a[1].as_bytea())))),
    ("uuid_cmp", |_, a| Ok(Datum::Int4(difference(&a[0].as_uuid(), &a[1].as_uuid())))),
    ("gen_random_uuid", |_, _| super::misc::random::uuid().map(Datum::Uuid)),
    ("byteaoctetlen", |_, a| length(a[0].as_bytea().len())),
    ("bit_length(bytea)", |_, a| length(a[0].as_bytea().len().saturating_mul(8))),
    ("bytea_bit_count", |_, a| {
        let ones = a[0].as_bytea().iter().map(|byte| i64::from(byte.count_ones())).sum();
        Ok(Datum::Int8(ones))
    }),
    ("byteaGetByte", |_, a| {
        let bytes = a[0].as_bytea();
        let at = index(i64::from(a[1].as_int4()), bytes.len())?;
        Ok(Datum::Int4(bytes[at].into()))
    }),
    ("byteaSetByte", |_, a| {
        let mut bytes = a[0].as_bytea().to_vec();
        let at = index(i64::from(a[1].as_int4()), bytes.len())?;
        bytes[at] = a[2].as_int4().to_le_bytes()[0];
        Ok(bytea(bytes))
    }),
    ("byteaGetBit", |_, a| {
        let bytes = a[0].as_bytea();
        let at = index(a[1].as_int8(), bytes.len().saturating_mul(8))?;
        Ok(Datum::Int4((bytes[at / 8] >> (at % 8) & 1).into()))
    }),
    ("byteaSetBit", |_, a| set_bit(a[0].as_bytea(), a[1].as_int8(), a[2].as_int4())),
    ("byteacat", |_, a| Ok(bytea([a[0].as_bytea(), a[1].as_bytea()].concat()))),
    ("bytea_substr", |_, a| {
        substring(a[0].as_bytea(), a[1].as_int4(), Some(a[2].as_int4())).map(bytea)
    }),
    ("bytea_substr_no_len", |_, a| substring(a[0].as_bytea(), a[1].as_int4(), None).map(bytea)),
    ("byteaoverlay", |_, a| {
        overlay(a[0].as_bytea(), a[1].as_bytea(), a[2].as_int4(), a[3].as_int4())
    }),
    ("byteaoverlay_no_len", |_, a| {
        let length = i32::try_from(a[1].as_bytea().len()).unwrap_or(i32::MAX);
        overlay(a[0].as_bytea(), a[1].as_bytea(), a[2].as_int4(), length)
    }),
    ("byteapos", |_, a| position(a[0].as_bytea(), a[1].as_bytea())),
    ("bytealtrim", |_, a| Ok(bytea(trim(a[0].as_bytea(), a[1].as_bytea(), true, false)))),
    ("byteartrim", |_, a| Ok(bytea(trim(a[0].as_bytea(), a[1].as_bytea(), false, true)))),
    ("byteatrim", |_, a| Ok(bytea(trim(a[0].as_bytea(), a[1].as_bytea(), true, true)))),
    ("bytealike", |_, a| like::matches_bytes(a[0].as_bytea(), a[1].as_bytea()).map(Datum::Bool)),
    ("byteanlike", |_, a| {
        like::matches_bytes(a[0].as_bytea(), a[1].as_bytea()).map(|is| Datum::Bool(!is))
    }),
    ("like_escape_bytea", |_, a| like::escape_bytes(a[0].as_bytea(), a[1].as_bytea()).map(bytea)),
    ("binary_encode", |_, a| encode(a[0].as_bytea(), a[1].as_text())),
    ("binary_decode", |_, a| decode(a[0].as_text(), a[1].as_text()).map(bytea)),
    ("md5_text", |_, a| Ok(md5(a[0].as_text().as_bytes()))),
    ("md5_bytea", |_, a| Ok(md5(a[0].as_bytea()))),
    ("sha224_bytea", |_, a| Ok(bytea(Sha224::digest(a[0].as_bytea()).as_slice()))),
    ("sha256_bytea", |_, a| Ok(bytea(Sha256::digest(a[0].as_bytea()).as_slice()))),
    ("sha384_bytea", |_, a| Ok(bytea(Sha384::digest(a[0].as_bytea()).as_slice()))),
    ("sha512_bytea", |_, a| Ok(bytea(Sha512::digest(a[0].as_bytea()).as_slice()))),
    ("pg_convert_from", |_, a| {
        require_utf8(a[1].as_text(), "source encoding name")?;
        from_utf8(a[0].as_bytea()).map(Datum::text)
    }),
    ("pg_convert_to", |_, a| {
        require_utf8(a[1].as_text(), "destination encoding name")?;
        Ok(bytea(a[0].as_text().as_bytes()))
    }),
    ("length_in_encoding", |_, a| {
        require_utf8(a[1].as_text(), "encoding name")?;
        length(from_utf8(a[0].as_bytea())?.chars().count())
    }),
];

fn bytea(bytes: impl Into<std::sync::Arc<[u8]>>) -> Datum {
    Datum::Bytea(bytes.into())
}

/// What C's `memcmp` returns, the difference of the first bytes that differ; then -1 or 1 by length.
pub(super) fn difference(left: &[u8], right: &[u8]) -> i32 {
    match left.iter().zip(right).find(|(left, right)| left != right) {
        Some((left, right)) => i32::from(*left) - i32::from(*right),
        None => left.len().cmp(&right.len()) as i32,
    }
}

fn index(at: i64, length: usize) -> SqlResult<usize> {
    usize::try_from(at).ok().filter(|at| *at < length).ok_or_else(|| {
        let last = i64::try_from(length).unwrap_or(i64::MAX) - 1;
        SqlError::new(
            SqlState::ArraySubscriptError,
            format!("index {at} out of valid range, 0..{last}"),
        )
    })
}

fn set_bit(bytes: &[u8], at: i64, bit: i32) -> SqlResult<Datum> {
    let at = index(at, bytes.len().saturating_mul(8))?;
    let mask = 1 << (at % 8);
    let mut bytes = bytes.to_vec();
    match bit {
        0 => bytes[at / 8] &= !mask,
        1 => bytes[at / 8] |= mask,
        _ => {
            return Err(SqlError::new(SqlState::InvalidParameterValue, "new bit must be 0 or 1"));
        }
    }
    Ok(bytea(bytes))
}

fn substring(bytes: &[u8], start: i32, count: Option<i32>) -> SqlResult<&[u8]> {
    let (first, end) = cut::range(start, count)?;
    let end = end.min(bytes.len());
    Ok(bytes.get(first.min(end)..end).unwrap_or_default())
}

fn overlay(bytes: &[u8], replacement: &[u8], start: i32, count: i32) -> SqlResult<Datum> {
    let (before, after) = cut::overlay_range(start, count)?;
    let head = substring(bytes, 1, Some(before))?;
    let tail = substring(bytes, after, None)?;
    Ok(bytea([head, replacement, tail].concat()))
}

fn position(bytes: &[u8], part: &[u8]) -> SqlResult<Datum> {
    if part.is_empty() {
        return Ok(Datum::Int4(1));
    }
    match bytes.windows(part.len()).position(|window| window == part) {
        None => Ok(Datum::Int4(0)),
        Some(at) => length(at + 1),
    }
}

fn trim<'a>(bytes: &'a [u8], set: &[u8], left: bool, right: bool) -> &'a [u8] {
    let mut bytes = bytes;
    while let [first, rest @ ..] = bytes
        && left
        && set.contains(first)
    {
        bytes = rest;
    }
    while let [rest @ .., last] = bytes
        && right
        && set.contains(last)
    {
        bytes = rest;
    }
    bytes
}

fn md5(bytes: &[u8]) -> Datum {
    let mut out = Vec::with_capacity(32);
    write_hex(&Md5::digest(bytes), &mut out);
    Datum::text(ascii(out))
}

fn ascii(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("the encodings are ASCII")
}

/// The other encodings that PostgreSQL knows, letters and digits of their names.
const OTHER_ENCODINGS: &[&str] = &[
    "abc",
    "alt",
    "big5",
    "euccn",
    "eucjis2004",
    "eucjp",
    "euckr",
    "euctw",
    "gb18030",
    "gbk",
    "iso88591",
    "iso885910",
    "iso885913",
    "iso885914",
    "iso885915",
    "iso885916",
    "iso88592",
    "iso88593",
    "iso88594",
    "iso88595",
    "iso88596",
    "iso88597",
    "iso88598",
    "iso88599",
    "johab",
    "koi8",
    "koi8r",
    "koi8u",
    "latin1",
    "latin10",
    "latin2",
    "latin3",
    "latin4",
    "latin5",
    "latin6",
    "latin7",
    "latin8",
    "latin9",
    "mskanji",
    "muleinternal",
    "shiftjis",
    "shiftjis2004",
    "sjis",
    "sqlascii",
    "tcvn",
    "tcvn5712",
    "uhc",
    "vscii",
    "win",
    "win1250",
    "win1251",
    "win1252",
    "win1253",
    "win1254",
    "win1255",
    "win1256",
    "win1257",
    "win1258",
    "win866",
    "win874",
    "win932",
    "win936",
    "win949",
    "win950",
    "windows1250",
    "windows1251",
    "windows1252",
    "windows1253",
    "windows1254",
    "windows1255",
    "windows1256",
    "windows1257",
    "windows1258",
    "windows866",
    "windows874",
    "windows932",
    "windows936",
    "windows949",
    "windows950",
];

/// Text is UTF-8 here; conversions from and to other encodings are not supported.
fn require_utf8(name: &str, what: &str) -> SqlResult<()> {
    let plain: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|character| character.to_ascii_lowercase())
        .collect();
    match plain.as_str() {
        "utf8" | "unicode" => Ok(()),
        known if OTHER_ENCODINGS.contains(&known) => {
            Err(SqlError::unsupported(format_args!("conversion of encoding {name}")))
        }
        _ => Err(SqlError::new(
            SqlState::InvalidParameterValue,
            format!("invalid {what} \"{name}\""),
        )),
    }
}

fn unrecognized_encoding(name: &str) -> SqlError {
    SqlError::new(SqlState::InvalidParameterValue, format!("unrecognized encoding: \"{name}\""))
}

fn encode(bytes: &[u8], format: &str) -> SqlResult<Datum> {
    let mut out = Vec::with_capacity(bytes.len().saturating_mul(2));
    match format.to_ascii_lowercase().as_str() {
        "hex" => write_hex(bytes, &mut out),
        "base64" => encode_base64(bytes, &mut out),
        "escape" => {
            for byte in bytes {
                match byte {
                    0 | 0x80.. => write_octal(*byte, &mut out),
                    b'\\' => out.extend_from_slice(b"\\\\"),
                    _ => out.push(*byte),
                }
            }
        }
        _ => return Err(unrecognized_encoding(format)),
    }
    Ok(Datum::text(ascii(out)))
}

fn decode(text: &str, format: &str) -> SqlResult<Vec<u8>> {
    match format.to_ascii_lowercase().as_str() {
        "hex" => decode_hex(text),
        "base64" => decode_base64(text),
        "escape" => decode_escape(text),
        _ => Err(unrecognized_encoding(format)),
    }
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// In lines of 76 characters, as MIME wants it.
fn encode_base64(bytes: &[u8], out: &mut Vec<u8>) {
    let mut column = 0;
    for group in bytes.chunks(3) {
        if column == 76 {
            out.push(b'\n');
            column = 0;
        }
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            if digit > group.len() {
                out.push(b'=');
                continue;
            }
            let six = bits >> (18 - 6 * digit) & 63;
            out.push(BASE64[usize::try_from(six).expect("six bits fit")]);
        }
        column += 4;
    }
}

fn decode_base64(text: &str) -> SqlResult<Vec<u8>> {
    let invalid = |message: String| SqlError::new(SqlState::InvalidParameterValue, message);
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0_u32, 0);
    // How many bytes the last group holds, once padding is seen.
    let mut kept = 3;
    for character in text.chars() {
        let six = match character {
            ' ' | '\t' | '\n' | '\r' => continue,
            '=' => {
                if kept == 3 {
                    kept = match count {
                        2 => 1,
                        3 => 2,
                        _ => {
                            return Err(invalid(
                                "unexpected \"=\" while decoding base64 sequence".to_owned(),
                            ));
                        }
                    };
                }
                0
            }
            _ => BASE64
                .iter()
                .position(|digit| char::from(*digit) == character)
                .and_then(|six| u32::try_from(six).ok())
                .ok_or_else(|| {
                    invalid(format!(
                        "invalid symbol \"{character}\" found while decoding base64 sequence"
                    ))
                })?,
        };
        bits = bits << 6 | six;
        count += 1;
        if count == 4 {
            out.extend_from_slice(&bits.to_be_bytes()[1..=kept]);
            (bits, count) = (0, 0);
        }
    }
    if count != 0 {
        return Err(invalid("invalid base64 end sequence".to_owned())
            .hint("Input data is missing padding, is truncated, or is otherwise corrupted."));
    }
    Ok(out)
}
