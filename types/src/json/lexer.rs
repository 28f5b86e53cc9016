//! Tokens of JSON, and the faults in them in PostgreSQL's words.
//!
//! What a fault quotes, the token in the detail and the line in the context, depends on where
//! PostgreSQL's lexer stood when it gave up; the positions kept here are the ones that it keeps.

use crate::error::{SqlError, SqlResult};
use crate::sqlstate::SqlState;

/// The kinds of token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// Nothing was read yet.
    None,
    String,
    Number,
    ObjectStart,
    ObjectEnd,
    ArrayStart,
    ArrayEnd,
    Comma,
    Colon,
    True,
    False,
    Null,
    End,
}

/// What the grammar would have allowed where something else was found.
#[derive(Clone, Copy, Debug)]
pub(super) enum Expected {
    Value,
    String,
    ArrayNext,
    ObjectFirst,
    ObjectNext,
    Colon,
    End,
}

/// What is wrong within a token.
enum Fault {
    InvalidToken,
    EscapeInvalid,
    EscapeRequired(u8),
    UnicodeEscapeFormat,
    UnicodeZero,
    HighSurrogate,
    LowSurrogate,
}

pub(super) struct Lexer<'a> {
    text: &'a str,
    bytes: &'a [u8],
    /// The kind of the current token.
    pub(super) token: Token,
    start: usize,
    end: usize,
    line_number: usize,
    line_start: usize,
    /// Whether strings are resolved into `string`, and `\u` escapes checked for what they mean.
    unescape: bool,
    /// The value of the current string token.
    pub(super) string: String,
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str, unescape: bool) -> Self {
        Self {
            text,
            bytes: text.as_bytes(),
            token: Token::None,
            start: 0,
            end: 0,
            line_number: 1,
            line_start: 0,
            unescape,
            string: String::new(),
        }
    }

    /// The text of the current token.
    pub(super) fn lexeme(&self) -> &'a str {
        self.text.get(self.start..self.end).unwrap_or_default()
    }

    /// Reads the next token.
    pub(super) fn advance(&mut self) -> SqlResult<()> {
        let mut at = self.end;
        while let Some(&byte @ (b' ' | b'\t' | b'\n' | b'\r')) = self.bytes.get(at) {
            at += 1;
            if byte == b'\n' {
                self.line_number += 1;
                self.line_start = at;
            }
        }
        self.start = at;
        let Some(&byte) = self.bytes.get(at) else {
            self.end = at;
            self.token = Token::End;
            return Ok(());
        };
        let single = match byte {
            b'{' => Token::ObjectStart,
            b'}' => Token::ObjectEnd,
            b'[' => Token::ArrayStart,
            b']' => Token::ArrayEnd,
            b',' => Token::Comma,
            b':' => Token::Colon,
            b'"' => {
                self.string()?;
                self.token = Token::String;
                return Ok(());
            }
            b'-' => return self.number(at + 1),
            b'0'..=b'9' => return self.number(at),
            _ => return self.word(),
        };
        self.end = at + 1;
        self.token = single;
        Ok(())
    }

    fn word(&mut self) -> SqlResult<()> {
        let length = self.bytes[self.start..].iter().take_while(|byte| is_word(**byte)).count();
        self.end = self.start + length.max(1);
        self.token = match &self.bytes[self.start..self.end] {
            b"true" => Token::True,
            b"false" => Token::False,
            b"null" => Token::Null,
            _ => return Err(self.fault(&Fault::InvalidToken)),
        };
        Ok(())
    }

    fn digits(&self, from: usize) -> usize {
        self.bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count()
    }

    fn number(&mut self, mut at: usize) -> SqlResult<()> {
        let mut wrong = false;
        if self.bytes.get(at) == Some(&b'0') {
            at += 1;
        } else {
            let digits = self.digits(at);
            wrong |= digits == 0;
            at += digits;
        }
        if self.bytes.get(at) == Some(&b'.') {
            let digits = self.digits(at + 1);
            wrong |= digits == 0;
            at += 1 + digits;
        }
        if matches!(self.bytes.get(at), Some(b'e' | b'E')) {
            at += 1;
            at += usize::from(matches!(self.bytes.get(at), Some(b'+' | b'-')));
            let digits = self.digits(at);
            wrong |= digits == 0;
            at += digits;
        }
        let garbage = self.bytes[at..].iter().take_while(|byte| is_word(**byte)).count();
        self.end = at + garbage;
        if wrong || garbage > 0 {
            return Err(self.fault(&Fault::InvalidToken));
        }
        self.token = Token::Number;
        Ok(())
    }

    /// Where the character that begins at `at` ends.
    fn character_end(&self, at: usize) -> usize {
        at + self.text.get(at..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8)
    }

    /// Fails with the current token ending after the character at `at`.
    fn fail_after(&mut self, at: usize, fault: &Fault) -> SqlResult<()> {
        self.end = self.character_end(at).min(self.bytes.len());
        Err(self.fault(fault))
    }

    /// Fails because the text ends within a string.
    fn fail_unterminated(&mut self) -> SqlResult<()> {
        self.end = self.bytes.len();
        Err(self.fault(&Fault::InvalidToken))
    }

    fn string(&mut self) -> SqlResult<()> {
        self.string.clear();
        let mut high: Option<u32> = None;
        let mut at = self.start + 1;
        loop {
            let plain = self.bytes[at..]
                .iter()
                .take_while(|byte| !matches!(byte, b'"' | b'\\') && **byte >= 0x20)
                .count();
            let next = self.bytes.get(at + plain).copied();
            if high.is_some() && (plain > 0 || next == Some(b'"')) {
                return self.fail_after(at, &Fault::LowSurrogate);
            }
            if self.unescape {
                self.string.push_str(&self.text[at..at + plain]);
            }
            at += plain;
            match next {
                None => return self.fail_unterminated(),
                Some(b'"') => break,
                Some(b'\\') => at = self.escape(at + 1, &mut high)?,
                Some(byte) => {
                    self.end = at;
                    return Err(self.fault(&Fault::EscapeRequired(byte)));
                }
            }
        }
        self.end = at + 1;
        Ok(())
    }

    /// Reads the escape whose backslash is before `at`; gives where it ends.
    fn escape(&mut self, at: usize, high: &mut Option<u32>) -> SqlResult<usize> {
        let Some(&byte) = self.bytes.get(at) else {
            return self.fail_unterminated().map(|()| at);
        };
        if byte == b'u' {
            return self.unicode_escape(at, high);
        }
        if self.unescape && high.is_some() {
            self.fail_after(at, &Fault::LowSurrogate)?;
        }
        let character = match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            _ => {
                self.start = at;
                return self.fail_after(at, &Fault::EscapeInvalid).map(|()| at);
            }
        };
        if self.unescape {
            self.string.push(character);
        }
        Ok(at + 1)
    }

    /// Reads four hexadecimal digits after the `u` at `at`.
    fn unicode_escape(&mut self, at: usize, high: &mut Option<u32>) -> SqlResult<usize> {
        let mut unit = 0u32;
        for digit_at in at + 1..at + 5 {
            let Some(&byte) = self.bytes.get(digit_at) else {
                return self.fail_unterminated().map(|()| at);
            };
            let Some(digit) = char::from(byte).to_digit(16) else {
                return self.fail_after(digit_at, &Fault::UnicodeEscapeFormat).map(|()| at);
            };
            unit = unit << 4 | digit;
        }
        let (last, next) = (at + 4, at + 5);
        if !self.unescape {
            return Ok(next);
        }
        let code = match (unit, high.take()) {
            (0xd800..=0xdbff, None) => {
                *high = Some(unit);
                return Ok(next);
            }
            (0xd800..=0xdbff, Some(_)) => {
                return self.fail_after(last, &Fault::HighSurrogate).map(|()| at);
            }
            (0xdc00..=0xdfff, Some(first)) => 0x10000 + ((first & 0x3ff) << 10) + (unit & 0x3ff),
            (0xdc00..=0xdfff, None) | (_, Some(_)) => {
                return self.fail_after(last, &Fault::LowSurrogate).map(|()| at);
            }
            (0, None) => return self.fail_after(last, &Fault::UnicodeZero).map(|()| at),
            (unit, None) => unit,
        };
        let character = char::from_u32(code)
            .expect("surrogates are paired above, and a pair is at most 10FFFF");
        self.string.push(character);
        Ok(next)
    }

    /// The error for a token of the wrong kind.
    pub(super) fn unexpected(&self, expected: Expected) -> SqlError {
        if self.token == Token::End {
            return self.syntax_error("The input string ended unexpectedly.".to_owned());
        }
        let expected = match expected {
            Expected::Value => "JSON value",
            Expected::String => "string",
            Expected::ArrayNext => "\",\" or \"]\"",
            Expected::ObjectFirst => "string or \"}\"",
            Expected::ObjectNext => "\",\" or \"}\"",
            Expected::Colon => "\":\"",
            Expected::End => "end of input",
        };
        self.syntax_error(format!("Expected {expected}, but found \"{}\".", self.lexeme()))
    }

    fn fault(&self, fault: &Fault) -> SqlError {
        let detail = match fault {
            Fault::InvalidToken => format!("Token \"{}\" is invalid.", self.lexeme()),
            Fault::EscapeInvalid => format!("Escape sequence \"\\{}\" is invalid.", self.lexeme()),
            Fault::EscapeRequired(byte) => {
                format!("Character with value 0x{byte:02x} must be escaped.")
            }
            Fault::UnicodeEscapeFormat => {
                "\"\\u\" must be followed by four hexadecimal digits.".to_owned()
            }
            Fault::UnicodeZero => {
                let message = "unsupported Unicode escape sequence";
                return SqlError::new(SqlState::UntranslatableCharacter, message)
                    .detail("\\u0000 cannot be converted to text.")
                    .context(self.context());
            }
            Fault::HighSurrogate => {
                "Unicode high surrogate must not follow a high surrogate.".to_owned()
            }
            Fault::LowSurrogate => "Unicode low surrogate must follow a high surrogate.".to_owned(),
        };
        self.syntax_error(detail)
    }

    fn syntax_error(&self, detail: String) -> SqlError {
        SqlError::new(SqlState::InvalidTextRepresentation, "invalid input syntax for type json")
            .detail(detail)
            .context(self.context())
    }

    /// The current line up to the end of the current token, shortened to its last 50 bytes.
    fn context(&self) -> String {
        let mut from = self.line_start;
        while self.end.saturating_sub(from) >= 50 {
            from = self.character_end(from);
        }
        if from - self.line_start <= 3 {
            from = self.line_start;
        }
        let prefix = if from > self.line_start { "..." } else { "" };
        let goes_on = self.token != Token::End
            && self.bytes.get(self.end).is_some_and(|byte| !matches!(byte, b'\n' | b'\r'));
        let suffix = if goes_on { "..." } else { "" };
        let excerpt = self.text.get(from..self.end).unwrap_or_default();
        format!("JSON data, line {}: {prefix}{excerpt}{suffix}", self.line_number)
    }
}
