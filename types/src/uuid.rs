//! Text form of `uuid`.

use crate::error::SqlResult;
use crate::integer::invalid_syntax;

/// Reads a uuid: 32 hexadecimal digits, with a hyphen allowed after every group of four, and
/// braces around the whole.
///
/// # Errors
/// 22P02.
pub fn parse(text: &str) -> SqlResult<[u8; 16]> {
    read(text.as_bytes()).ok_or_else(|| invalid_syntax("uuid", text))
}

fn read(mut text: &[u8]) -> Option<[u8; 16]> {
    if let [b'{', inner @ .., b'}'] = text {
        text = inner;
    }
    let mut uuid = [0; 16];
    for (at, byte) in uuid.iter_mut().enumerate() {
        let [high, low, rest @ ..] = text else { return None };
        *byte = nibble(*high)? << 4 | nibble(*low)?;
        text = rest;
        if at % 2 == 1 && at < 15 && text.first() == Some(&b'-') {
            text = &text[1..];
        }
    }
    text.is_empty().then_some(uuid)
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Appends the canonical form: groups of 8, 4, 4, 4 and 12 digits.
pub fn write(uuid: &[u8; 16], out: &mut Vec<u8>) {
    for (at, byte) in uuid.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        out.extend_from_slice(&crate::bytea::hex_digits(*byte));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_spellings_are_read() {
        let canonical = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
        for text in [
            canonical,
            "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
            "{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}",
            "a0eebc999c0b4ef8bb6d6bb9bd380a11",
            "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11",
        ] {
            let mut out = Vec::new();
            write(&parse(text).unwrap(), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), canonical);
        }
        for text in [
            "",
            "a0eebc999c0b4ef8bb6d6bb9bd380a1",
            "{a0eebc999c0b4ef8bb6d6bb9bd380a11",
            "a-0eebc999c0b4ef8bb6d6bb9bd380a11",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
