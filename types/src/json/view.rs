//! Read access to a `json` value: slices of its text, found by scanning.

use std::borrow::Cow;

use super::lexer::{Lexer, Token};
use super::parse;
use crate::error::SqlResult;

/// The kinds of value, named as `json_typeof` names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    Null,
    /// `boolean`
    Boolean,
    /// `number`
    Number,
    /// `string`
    String,
    /// `array`
    Array,
    /// `object`
    Object,
}

impl Kind {
    /// The name that `json_typeof` gives.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "boolean",
            Self::Number => "number",
            Self::String => "string",
            Self::Array => "array",
            Self::Object => "object",
        }
    }
}

/// A valid JSON text without blanks around it.
#[derive(Clone, Copy, Debug)]
pub struct Json<'a>(&'a str);

const BLANKS: [char; 4] = [' ', '\t', '\n', '\r'];

impl<'a> Json<'a> {
    /// A view of a text, which is checked whole, with what its escapes stand for.
    ///
    /// # Errors
    /// 22P02, 22P05 and 54001, as input of `jsonb` raises them.
    pub fn new(text: &'a str) -> SqlResult<Self> {
        parse(text, true, &mut ())?;
        Ok(Self(text.trim_matches(BLANKS)))
    }

    /// A view of a text that is a `json` value, and so was checked when it was read. Of any other
    /// text it shows nothing sensible.
    #[must_use]
    pub fn of_valid(text: &'a str) -> Self {
        Self(text.trim_matches(BLANKS))
    }

    /// The text, as it was written.
    #[must_use]
    pub const fn text(self) -> &'a str {
        self.0
    }

    /// What kind of value it is.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self.0.as_bytes().first() {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b'"') => Kind::String,
            Some(b't' | b'f') => Kind::Boolean,
            Some(b'n') => Kind::Null,
            _ => Kind::Number,
        }
    }

    /// The value as `->>` gives it: a string without quotes and escapes, NULL for `null`,
    /// everything else as it was written.
    #[must_use]
    pub fn as_text(self) -> Option<Cow<'a, str>> {
        match self.kind() {
            Kind::Null => None,
            Kind::String => Some(unescape(self.0)),
            _ => Some(Cow::Borrowed(self.0)),
        }
    }

    /// The elements of an array; none of anything else.
    pub fn elements(self) -> impl Iterator<Item = Json<'a>> + Send {
        let mut rest = if self.kind() == Kind::Array { &self.0[1..] } else { "" };
        std::iter::from_fn(move || next_value(&mut rest))
    }

    /// The keys and values of an object, in the order written, duplicates included; none of
    /// anything else.
    pub fn fields(self) -> impl Iterator<Item = (Cow<'a, str>, Json<'a>)> + Send {
        let mut rest = if self.kind() == Kind::Object { &self.0[1..] } else { "" };
        std::iter::from_fn(move || {
            let key = next_value(&mut rest)?;
            let value = next_value(&mut rest)?;
            Some((unescape(key.0), value))
        })
    }

    /// The value of a key: the last, where it is written more than once.
    #[must_use]
    pub fn field(self, name: &str) -> Option<Json<'a>> {
        self.fields().filter(|(key, _)| key == name).last().map(|(_, value)| value)
    }

    /// The element at an index, from the end if it is negative.
    #[must_use]
    pub fn element(self, index: i64) -> Option<Json<'a>> {
        if index >= 0 {
            return self.elements().nth(usize::try_from(index).ok()?);
        }
        let from_end = usize::try_from(index.unsigned_abs()).ok()?;
        let at = self.elements().count().checked_sub(from_end)?;
        self.elements().nth(at)
    }
}

/// The value of a string in quotes.
fn unescape(quoted: &str) -> Cow<'_, str> {
    let inner = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(quoted);
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let mut lexer = Lexer::new(quoted, true);
    match lexer.advance() {
        Ok(()) if lexer.token == Token::String => Cow::Owned(lexer.string),
        _ => Cow::Borrowed(inner),
    }
}

/// Takes the next value off the inside of a container, with the separator before it; none at its end.
fn next_value<'a>(rest: &mut &'a str) -> Option<Json<'a>> {
    let text = rest.trim_start_matches([' ', '\t', '\n', '\r', ',', ':']);
    if text.is_empty() || text.starts_with([']', '}']) {
        *rest = "";
        return None;
    }
    let (value, after) = text.split_at(value_end(text.as_bytes()));
    *rest = after;
    Some(Json(value))
}

/// Where the value at the start of `bytes` ends.
fn value_end(bytes: &[u8]) -> usize {
    let mut depth = 0usize;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at += 1;
                while let Some(&byte) = bytes.get(at) {
                    match byte {
                        b'"' => break,
                        b'\\' => at += 2,
                        _ => at += 1,
                    }
                }
                if depth == 0 {
                    return (at + 1).min(bytes.len());
                }
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 0 => return at,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' if depth == 0 => return at,
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}
