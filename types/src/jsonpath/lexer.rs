//! Tokens of a path (PostgreSQL's `jsonpath_scan.l`): of several rules that match, the one that takes
//! most characters counts.

use crate::error::{SqlError, SqlResult};
use crate::sqlstate::SqlState;

use super::syntax;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A name without quotes, or a keyword.
    Name(String),
    String(String),
    Variable(String),
    /// A number with a point or an exponent.
    Numeric(String),
    Integer(String),
    /// An operator or a mark of one or two characters.
    Mark(&'static str),
    End,
}

/// A token and what an error that stops at it says it is near to.
#[derive(Clone, Debug)]
pub(super) struct Lexeme {
    pub(super) token: Token,
    pub(super) near: String,
}

/// The marks, longer ones first.
const MARKS: [&str; 32] = [
    "&&", "||", "**", "<=", "==", "<>", "!=", ">=", "!", "<", ">", "?", "%", "$", ".", "[", "]",
    "{", "}", "(", ")", "|", "&", "=", "@", "#", ",", "*", ":", "-", "+", "/",
];

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0c)
}

/// Whether a byte may stand in a name.
fn is_other(byte: u8) -> bool {
    !is_blank(byte) && !b"?%$.[]{}()|&!=<>@#,*:-+/\\\"".contains(&byte)
}

pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// How many bytes from a place on satisfy a test.
    fn run(&self, from: usize, test: impl Fn(u8) -> bool) -> usize {
        let bytes = self.text.as_bytes().get(from..).unwrap_or_default();
        bytes.iter().take_while(|byte| test(**byte)).count()
    }

    /// The next token.
    ///
    /// # Errors
    /// 42601, 22P02, 22P05.
    pub(super) fn next(&mut self) -> SqlResult<Lexeme> {
        loop {
            self.at += self.run(self.at, is_blank);
            if self.rest().starts_with("/*") {
                self.comment()?;
            } else if let Some(lexeme) = self.token()? {
                return Ok(lexeme);
            }
        }
    }

    /// The token that begins here; none for a name that a comment swallows.
    fn token(&mut self) -> SqlResult<Option<Lexeme>> {
        let some = |token: Token, near: &str| Ok(Some(Lexeme { token, near: near.to_owned() }));
        let Some(first) = self.peek() else { return some(Token::End, "") };
        if first == b'"' {
            self.at += 1;
            return some(Token::String(self.quoted()?), "\"");
        }
        if first == b'$' {
            if self.rest().starts_with("$\"") {
                self.at += 2;
                return some(Token::Variable(self.quoted()?), "\"");
            }
            let length = self.run(self.at + 1, is_other);
            if length > 0 {
                let near = &self.rest()[..length + 1];
                self.at += near.len();
                return some(Token::Variable(near[1..].to_owned()), near);
            }
        }
        if let Some(lexeme) = self.number()? {
            return Ok(Some(lexeme));
        }
        if first == b'\\' || is_other(first) {
            return self.name();
        }
        let rest = self.rest();
        let mark = MARKS.into_iter().find(|mark| rest.starts_with(*mark));
        let mark =
            mark.ok_or_else(|| SqlError::internal("a character of jsonpath is of no class"))?;
        self.at += mark.len();
        some(Token::Mark(mark), mark)
    }

    fn comment(&mut self) -> SqlResult<()> {
        match self.rest()[2..].find("*/") {
            Some(length) => {
                self.at += length + 4;
                Ok(())
            }
            None => Err(syntax("unexpected end of comment", "")),
        }
    }

    /// A number; none where a longer name begins.
    fn number(&mut self) -> SqlResult<Option<Lexeme>> {
        let digit = |byte: u8| byte.is_ascii_digit();
        let start = self.at;
        let byte = |at: usize| self.text.as_bytes().get(at).copied();
        let whole = match byte(start) {
            Some(b'0') => 1,
            Some(b'1'..=b'9') => self.run(start, digit),
            _ => 0,
        };
        let mut length = whole;
        let mut is_integer = true;
        if byte(start + whole) == Some(b'.') {
            let fraction = self.run(start + whole + 1, digit);
            if whole > 0 || fraction > 0 {
                length = whole + 1 + fraction;
                is_integer = false;
            }
        }
        if length == 0 {
            return Ok(None);
        }
        let mut broken = None;
        if matches!(byte(start + length), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(byte(start + length + 1), Some(b'+' | b'-')));
            let power = self.run(start + length + 1 + sign, digit);
            if power > 0 {
                length += 1 + sign + power;
                is_integer = false;
            } else if sign > 0 {
                broken = Some(length + 2);
            }
        }
        let junk = match self.text[start + length..].chars().next() {
            Some(next) if u8::try_from(next).map_or(true, is_other) => next.len_utf8(),
            _ => 0,
        };
        let name = self.run(start, is_other);
        let taken = broken.unwrap_or(0).max(length + junk);
        if name > taken {
            return Ok(None);
        }
        let near = &self.text[start..start + taken];
        if broken.is_some_and(|broken| broken >= length + junk) {
            return Err(syntax("invalid numeric literal", near));
        }
        if junk > 0 {
            return Err(syntax("trailing junk after numeric literal", near));
        }
        self.at += length;
        let text = near.to_owned();
        let token = if is_integer { Token::Integer(text) } else { Token::Numeric(text) };
        Ok(Some(Lexeme { token, near: near.to_owned() }))
    }

    /// A name: an error at it stops at the blanks that end it, or at nothing.
    fn name(&mut self) -> SqlResult<Option<Lexeme>> {
        let mut name = String::new();
        loop {
            let length = self.run(self.at, is_other);
            name.push_str(&self.rest()[..length]);
            self.at += length;
            match self.peek() {
                Some(b'\\') => self.escape(&mut name)?,
                Some(byte) if is_blank(byte) => {
                    let blanks = self.run(self.at, is_blank);
                    let near = self.rest()[..blanks].to_owned();
                    self.at += blanks;
                    return Ok(Some(Lexeme { token: Token::Name(name), near }));
                }
                // A comment swallows the name before it, in PostgreSQL too.
                Some(b'/') if self.rest().starts_with("/*") => return Ok(None),
                _ => return Ok(Some(Lexeme { token: Token::Name(name), near: String::new() })),
            }
        }
    }

    /// What stands between double quotes, the first of which has been taken.
    fn quoted(&mut self) -> SqlResult<String> {
        let mut text = String::new();
        loop {
            let length = self.rest().find(['"', '\\']).unwrap_or(self.rest().len());
            text.push_str(&self.rest()[..length]);
            self.at += length;
            match self.peek() {
                None => return Err(syntax("unexpected end of quoted string", "")),
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(_) => self.escape(&mut text)?,
            }
        }
    }

    fn escape(&mut self, out: &mut String) -> SqlResult<()> {
        let escaped = self.rest()[1..].chars().next();
        let plain = match escaped {
            None | Some('\n') => return Err(syntax("unexpected end after backslash", "\\")),
            Some('u') => return self.unicode(out),
            Some('x') => {
                let hex = self.run(self.at + 2, |byte| byte.is_ascii_hexdigit()).min(2);
                let near = &self.rest()[..2 + hex];
                if hex < 2 {
                    return Err(syntax("invalid hex character sequence", near));
                }
                let code = u32::from_str_radix(&near[2..], 16).unwrap_or(0);
                self.at += near.len();
                return push_code(code, out);
            }
            Some('b') => '\x08',
            Some('f') => '\x0c',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('v') => '\x0b',
            Some(other) => other,
        };
        out.push(plain);
        self.at += 1 + escaped.map_or(0, char::len_utf8);
        Ok(())
    }

    /// A run of `\uXXXX` and `\u{X…}`, in which surrogates come in pairs.
    fn unicode(&mut self, out: &mut String) -> SqlResult<()> {
        let start = self.at;
        let mut codes = Vec::new();
        while self.rest().starts_with("\\u") {
            let braced = self.rest()[2..].starts_with('{');
            let (from, most) = if braced { (self.at + 3, 6) } else { (self.at + 2, 4) };
            let digits = self.run(from, |byte| byte.is_ascii_hexdigit()).min(most);
            let end = from + digits;
            let whole = if braced {
                digits > 0 && self.text.as_bytes().get(end) == Some(&b'}')
            } else {
                digits == 4
            };
            if !whole {
                return Err(syntax("invalid unicode sequence", &self.text[start..end]));
            }
            codes.push(u32::from_str_radix(&self.text[from..end], 16).unwrap_or(0));
            self.at = end + usize::from(braced);
        }
        let wrong = |detail: &str| {
            SqlError::new(
                SqlState::InvalidTextRepresentation,
                "invalid input syntax for type jsonpath",
            )
            .detail(detail)
        };
        const LOW_FIRST: &str = "Unicode low surrogate must follow a high surrogate.";
        let mut high: Option<u32> = None;
        for code in codes {
            match (high, code) {
                (Some(_), 0xd800..=0xdbff) => {
                    return Err(wrong("Unicode high surrogate must not follow a high surrogate."));
                }
                (None, 0xd800..=0xdbff) => high = Some(code),
                (Some(first), 0xdc00..=0xdfff) => {
                    high = None;
                    push_code(0x1_0000 + ((first & 0x3ff) << 10) + (code & 0x3ff), out)?;
                }
                (Some(_), _) | (None, 0xdc00..=0xdfff) => return Err(wrong(LOW_FIRST)),
                (None, code) => push_code(code, out)?,
            }
        }
        if high.is_some() { Err(wrong(LOW_FIRST)) } else { Ok(()) }
    }
}

fn push_code(code: u32, out: &mut String) -> SqlResult<()> {
    if code == 0 {
        return Err(SqlError::new(
            SqlState::UntranslatableCharacter,
            "unsupported Unicode escape sequence",
        )
        .detail("\\u0000 cannot be converted to text."));
    }
    let character = char::from_u32(code).ok_or_else(|| {
        SqlError::new(SqlState::InvalidTextRepresentation, "invalid input syntax for type jsonpath")
            .detail("Unicode escape value could not be translated to the server's encoding UTF8.")
    })?;
    out.push(character);
    Ok(())
}
