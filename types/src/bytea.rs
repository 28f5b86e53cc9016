//! Text forms of `bytea`: hex and escape.

use crate::context::ByteaOutput;
use crate::error::{SqlError, SqlResult};
use crate::sqlstate::SqlState;

/// Two lower-case hexadecimal digits.
#[must_use]
pub fn hex_digits(byte: u8) -> [u8; 2] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]
}

/// Reads either form; hex begins with `\x`.
///
/// # Errors
/// 22P02 for a bad escape, 22023 for bad hexadecimal digits.
pub fn parse(text: &str) -> SqlResult<Vec<u8>> {
    match text.strip_prefix("\\x") {
        Some(digits) => decode_hex(digits),
        None => decode_escape(text),
    }
}

/// Reads hexadecimal digits in pairs, blanks between the pairs ignored.
///
/// # Errors
/// 22023.
pub fn decode_hex(digits: &str) -> SqlResult<Vec<u8>> {
    let invalid = |message: String| SqlError::new(SqlState::InvalidParameterValue, message);
    let mut out = Vec::with_capacity(digits.len() / 2);
    let mut characters = digits.chars();
    while let Some(high) = characters.next() {
        if matches!(high, ' ' | '\n' | '\t' | '\r') {
            continue;
        }
        let bad = |digit: char| invalid(format!("invalid hexadecimal digit: \"{digit}\""));
        let high = high.to_digit(16).ok_or_else(|| bad(high))?;
        let Some(low) = characters.next() else {
            return Err(invalid("invalid hexadecimal data: odd number of digits".to_owned()));
        };
        let low = low.to_digit(16).ok_or_else(|| bad(low))?;
        out.push(u8::try_from(high << 4 | low).expect("two digits make a byte"));
    }
    Ok(out)
}

/// Reads the escape form: `\\` is a backslash, `\ooo` a byte in octal.
///
/// # Errors
/// 22P02.
pub fn decode_escape(text: &str) -> SqlResult<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    loop {
        rest = match rest {
            [] => return Ok(out),
            [b'\\', b'\\', rest @ ..] => {
                out.push(b'\\');
                rest
            }
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', rest @ ..] => {
                out.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest
            }
            [b'\\', ..] => {
                return Err(SqlError::new(
                    SqlState::InvalidTextRepresentation,
                    "invalid input syntax for type bytea",
                ));
            }
            [byte, rest @ ..] => {
                out.push(*byte);
                rest
            }
        };
    }
}

/// Appends the text form.
pub fn write(bytes: &[u8], style: ByteaOutput, out: &mut Vec<u8>) {
    match style {
        ByteaOutput::Hex => {
            out.extend_from_slice(b"\\x");
            write_hex(bytes, out);
        }
        ByteaOutput::Escape => {
            for byte in bytes {
                match byte {
                    b'\\' => out.extend_from_slice(b"\\\\"),
                    0x20..=0x7e => out.push(*byte),
                    _ => write_octal(*byte, out),
                }
            }
        }
    }
}

/// Appends two hexadecimal digits a byte.
pub fn write_hex(bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(bytes.len() * 2);
    for byte in bytes {
        out.extend_from_slice(&hex_digits(*byte));
    }
}

/// Appends a backslash and three octal digits.
pub fn write_octal(byte: u8, out: &mut Vec<u8>) {
    out.extend_from_slice(&[b'\\', b'0' + (byte >> 6), b'0' + (byte >> 3 & 7), b'0' + (byte & 7)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read_and_written() {
        let bytes = parse("\\x00 ff\n5c41").unwrap();
        assert_eq!(bytes, [0, 255, b'\\', b'A']);
        assert_eq!(parse("\\000\\377\\\\A").unwrap(), bytes);
        let mut out = Vec::new();
        write(&bytes, ByteaOutput::Hex, &mut out);
        out.push(b' ');
        write(&bytes, ByteaOutput::Escape, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "\\x00ff5c41 \\000\\377\\\\A");
    }

    #[test]
    fn bad_input_is_refused_in_postgresqls_words() {
        for (text, message) in [
            ("\\x0", "invalid hexadecimal data: odd number of digits"),
            ("\\xzz", "invalid hexadecimal digit: \"z\""),
            ("\\x0 ", "invalid hexadecimal digit: \" \""),
            ("\\400", "invalid input syntax for type bytea"),
            ("\\", "invalid input syntax for type bytea"),
        ] {
            assert_eq!(parse(text).unwrap_err().fields().message, message);
        }
    }
}
