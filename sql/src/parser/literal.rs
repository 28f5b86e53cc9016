//! The escapes of `E'…'` and `U&'…'` strings.

use aegis_types::{SqlError, SqlState};

use super::lexer::{LexFailure, offset};

/// What an `E'…'` string's text becomes: bytes first, because escapes may spell parts of characters.
#[derive(Default)]
pub(super) struct EscapedBytes {
    bytes: Vec<u8>,
    /// The first half of a surrogate pair, waiting for the second.
    high_surrogate: Option<u32>,
}

impl EscapedBytes {
    /// Adds text that is not escaped.
    pub(super) fn literal(
        &mut self,
        text: &str,
        position: usize,
        bytes: &[u8],
    ) -> Result<(), LexFailure> {
        if !bytes.is_empty() {
            self.no_surrogate(text, position)?;
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// The closing quote at `position`.
    pub(super) fn close(&mut self, text: &str, position: usize) -> Result<(), LexFailure> {
        self.no_surrogate(text, position)
    }

    /// Fails at the character at `start` if a surrogate waits for its other half.
    fn no_surrogate(&self, text: &str, start: usize) -> Result<(), LexFailure> {
        match self.high_surrogate {
            None => Ok(()),
            Some(_) => {
                let length = text[start..].chars().next().map_or(0, char::len_utf8);
                Err(surrogate_pair(text, start, start + length))
            }
        }
    }

    /// Resolves the escape whose backslash is at `position`, and gives its length in bytes.
    /// At least one byte follows the backslash.
    pub(super) fn escape(&mut self, text: &str, position: usize) -> Result<usize, LexFailure> {
        let rest = &text.as_bytes()[position + 1..];
        match rest[0] {
            b'u' => return self.unicode(text, position, 4),
            b'U' => return self.unicode(text, position, 8),
            _ => {}
        }
        let character_length = text[position + 1..].chars().next().map_or(1, char::len_utf8);
        self.no_surrogate(text, position)?;
        match rest[0] {
            b'0'..=b'7' => {
                let digits = rest.iter().take(3).take_while(|byte| matches!(byte, b'0'..=b'7'));
                let (value, length) = digits.fold((0_u32, 0), |(value, length), digit| {
                    (value * 8 + u32::from(digit - b'0'), length + 1)
                });
                self.bytes.push(value.to_le_bytes()[0]);
                Ok(1 + length)
            }
            b'x' if rest.get(1).is_some_and(u8::is_ascii_hexdigit) => {
                let length = 1 + usize::from(rest.get(2).is_some_and(u8::is_ascii_hexdigit));
                let value = hexadecimal(&rest[1..=length]).unwrap_or(0);
                self.bytes.push(value.to_le_bytes()[0]);
                Ok(2 + length)
            }
            other => {
                match other {
                    b'b' => self.bytes.push(0x08),
                    b'f' => self.bytes.push(0x0c),
                    b'n' => self.bytes.push(b'\n'),
                    b'r' => self.bytes.push(b'\r'),
                    b't' => self.bytes.push(b'\t'),
                    _ => self.bytes.extend_from_slice(&rest[..character_length]),
                }
                Ok(1 + character_length)
            }
        }
    }

    /// `\uXXXX` or `\UXXXXXXXX`.
    fn unicode(&mut self, text: &str, position: usize, digits: usize) -> Result<usize, LexFailure> {
        let length = 2 + digits;
        let code = text.as_bytes().get(position + 2..position + length).and_then(hexadecimal);
        let Some(code) = code else {
            return Err(LexFailure {
                start: position,
                error: SqlError::new(SqlState::InvalidEscapeSequence, "invalid Unicode escape")
                    .hint("Unicode escapes must be \\uXXXX or \\UXXXXXXXX.")
                    .at(offset(position)),
            });
        };
        let whole = (position, position + length);
        match (self.high_surrogate.take(), code) {
            (Some(high), 0xDC00..=0xDFFF) => {
                self.push_character(join_surrogates(high, code), text, whole)?
            }
            (Some(_), _) | (None, 0xDC00..=0xDFFF) => {
                return Err(surrogate_pair(text, whole.0, whole.1));
            }
            (None, 0xD800..=0xDBFF) => self.high_surrogate = Some(code),
            (None, _) => self.push_character(code, text, whole)?,
        }
        Ok(length)
    }

    fn push_character(
        &mut self,
        code: u32,
        text: &str,
        (start, end): (usize, usize),
    ) -> Result<(), LexFailure> {
        match char::from_u32(code) {
            Some(character) if code != 0 => {
                let mut buffer = [0; 4];
                self.bytes.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes());
                Ok(())
            }
            _ => Err(LexFailure::near("invalid Unicode escape value", &text[start..end], start)),
        }
    }

    /// The string, if its bytes are text.
    pub(super) fn finish(self, start: usize) -> Result<String, LexFailure> {
        let invalid = |sequence: &[u8]| {
            let bytes: Vec<String> = sequence.iter().map(|byte| format!("0x{byte:02x}")).collect();
            LexFailure {
                start,
                error: SqlError::new(
                    SqlState::CharacterNotInRepertoire,
                    format!("invalid byte sequence for encoding \"UTF8\": {}", bytes.join(" ")),
                ),
            }
        };
        match String::from_utf8(self.bytes) {
            Ok(text) if text.contains('\0') => Err(invalid(&[0])),
            Ok(text) => Ok(text),
            Err(error) => {
                let valid = error.utf8_error().valid_up_to();
                let bytes = error.as_bytes();
                if bytes[..valid].contains(&0) {
                    return Err(invalid(&[0]));
                }
                // PostgreSQL shows as many bytes as the first one announces.
                let announced = match bytes[valid] {
                    0xC0..=0xDF => 2,
                    0xE0..=0xEF => 3,
                    0xF0..=0xF7 => 4,
                    _ => 1,
                };
                let end = bytes.len().min(valid + announced);
                Err(invalid(&bytes[valid..end]))
            }
        }
    }
}

fn surrogate_pair(text: &str, start: usize, end: usize) -> LexFailure {
    LexFailure::near("invalid Unicode surrogate pair", &text[start..end], start)
}

fn join_surrogates(high: u32, low: u32) -> u32 {
    0x10000 + ((high & 0x3FF) << 10) + (low & 0x3FF)
}

fn hexadecimal(digits: &[u8]) -> Option<u32> {
    if digits.iter().all(u8::is_ascii_hexdigit) {
        u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    } else {
        None
    }
}

/// Resolves the escapes of a Unicode literal or identifier that begins at `start` and whose
/// content begins `prefix` bytes later.
pub(super) fn resolve_unicode(
    value: &str,
    escape: char,
    start: usize,
    prefix: usize,
) -> Result<String, LexFailure> {
    let failure = |message: &str, at: usize| LexFailure {
        start,
        error: SqlError::new(SqlState::SyntaxError, message).at(offset(start + prefix + at)),
    };
    let mut resolved = String::with_capacity(value.len());
    let mut high_surrogate: Option<u32> = None;
    let mut at = 0;
    while let Some(character) = value[at..].chars().next() {
        let rest = &value.as_bytes()[at + character.len_utf8()..];
        if character != escape || rest.first() == Some(&(escape as u8)) {
            if high_surrogate.is_some() {
                return Err(failure("invalid Unicode surrogate pair", at));
            }
            resolved.push(character);
            at += character.len_utf8() * if character == escape { 2 } else { 1 };
            continue;
        }
        let short = rest.get(..4).and_then(hexadecimal).map(|code| (code, 5));
        let long = (rest.first() == Some(&b'+'))
            .then(|| rest.get(1..7).and_then(hexadecimal).map(|code| (code, 8)))
            .flatten();
        let Some((code, length)) = short.or(long) else {
            let mut failure = failure("invalid Unicode escape", at);
            failure.error = failure.error.hint("Unicode escapes must be \\XXXX or \\+XXXXXX.");
            return Err(failure);
        };
        let code = match (high_surrogate.take(), code) {
            (Some(high), 0xDC00..=0xDFFF) => Some(join_surrogates(high, code)),
            (Some(_), _) | (None, 0xDC00..=0xDFFF) => {
                return Err(failure("invalid Unicode surrogate pair", at));
            }
            (None, 0xD800..=0xDBFF) => {
                high_surrogate = Some(code);
                None
            }
            (None, _) => Some(code),
        };
        if let Some(code) = code {
            match char::from_u32(code) {
                Some(character) if code != 0 => resolved.push(character),
                _ => return Err(failure("invalid Unicode escape value", at)),
            }
        }
        at += length;
    }
    if high_surrogate.is_some() {
        return Err(failure("invalid Unicode surrogate pair", at));
    }
    Ok(resolved)
}
