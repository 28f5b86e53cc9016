//! From text to tokens, as PostgreSQL's `scan.l` cuts them with `standard_conforming_strings` on.
//!
//! The whole text is cut before it is parsed. A lexical error becomes the last token, so that it is
//! reported only if the grammar gets that far: what is wrong earlier is reported first.

use aegis_types::{SqlError, SqlState};

use super::keyword::{KEYWORD_LENGTH_MAX, Keyword};
use super::literal;

/// Identifiers are cut to this many bytes (`NAMEDATALEN - 1`).
pub const IDENTIFIER_LENGTH_MAX: usize = 63;

/// A token and the bytes that it spans.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Where it begins, in bytes.
    pub start: u32,
    /// Where it ends, in bytes.
    pub end: u32,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub enum TokenKind {
    /// An identifier, folded and cut; or quoted.
    Ident(Box<str>),
    /// A keyword.
    Keyword(Keyword),
    /// An integer that fits `int4`.
    Integer(i32),
    /// Any other number, as written.
    Float(Box<str>),
    /// A string, its escapes resolved.
    String(Box<str>),
    /// A bit string behind its `b` or `x`.
    BitString(Box<str>),
    /// `$n`
    Param(i32),
    /// An operator without a kind of its own.
    Op(Box<str>),
    /// `::`
    TypeCast,
    /// `..`
    DotDot,
    /// `:=`
    ColonEquals,
    /// `=>`
    EqualsGreater,
    /// `<=`
    LessEquals,
    /// `>=`
    GreaterEquals,
    /// `<>` and `!=`
    NotEquals,
    /// Any other single character.
    Char(char),
    /// Where cutting failed, and why.
    Error(Box<SqlError>),
    /// The end of the text.
    End,
}

/// The tokens of a text, ending with [`TokenKind::End`], and what a client is to be told of it.
#[derive(Debug)]
pub(super) struct Tokens {
    /// The tokens.
    pub(super) tokens: Vec<Token>,
    /// Identifiers that were cut.
    pub(super) notices: Vec<SqlError>,
}

/// Cuts a text, shorter than 4 GiB, into tokens.
pub(super) fn tokenize(text: &str) -> Tokens {
    let mut lexer = Lexer {
        text,
        bytes: text.as_bytes(),
        position: 0,
        tokens: Vec::with_capacity(text.len() / 6 + 2),
        notices: Vec::new(),
    };
    if let Err(failure) = lexer.run() {
        let start = failure.start;
        lexer.push(TokenKind::Error(Box::new(failure.error)), start);
    }
    lexer.position = text.len();
    lexer.push(TokenKind::End, text.len());
    Tokens { tokens: lexer.tokens, notices: lexer.notices }
}

/// A lexical error and where its token begins.
pub(super) struct LexFailure {
    /// Where the token begins that cannot be cut.
    pub(super) start: usize,
    /// What is wrong with it.
    pub(super) error: SqlError,
}

impl LexFailure {
    /// A failure with the words `message at or near "text"`, at `start`.
    pub(super) fn near(message: &str, text: &str, start: usize) -> Self {
        Self {
            start,
            error: SqlError::new(SqlState::SyntaxError, format!("{message} at or near \"{text}\""))
                .at(offset(start)),
        }
    }
}

/// An index into the text as a location; texts of 4 GiB are refused before they come here.
pub(super) fn offset(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

struct Lexer<'a> {
    text: &'a str,
    bytes: &'a [u8],
    position: usize,
    tokens: Vec<Token>,
    notices: Vec<SqlError>,
}

/// How a quoted literal begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quoting {
    Standard,
    Escape,
    Unicode,
    Bit(char),
}

impl Lexer<'_> {
    fn run(&mut self) -> Result<(), LexFailure> {
        loop {
            self.skip_blanks()?;
            if self.position >= self.bytes.len() {
                return Ok(());
            }
            self.token()?;
        }
    }

    fn byte(&self, ahead: usize) -> u8 {
        self.bytes.get(self.position + ahead).copied().unwrap_or(0)
    }

    fn push(&mut self, kind: TokenKind, start: usize) {
        self.tokens.push(Token { kind, start: offset(start), end: offset(self.position) });
    }

    /// Cuts one token, which begins at the current position.
    fn token(&mut self) -> Result<(), LexFailure> {
        let start = self.position;
        let first = self.bytes[start];
        match first {
            b'\'' => self.quoted(start, 1, Quoting::Standard),
            b'"' => self.quoted_identifier(start, 1),
            b'e' | b'E' if self.byte(1) == b'\'' => self.quoted(start, 2, Quoting::Escape),
            b'b' | b'B' if self.byte(1) == b'\'' => self.quoted(start, 2, Quoting::Bit('b')),
            b'x' | b'X' if self.byte(1) == b'\'' => self.quoted(start, 2, Quoting::Bit('x')),
            b'n' | b'N' if self.byte(1) == b'\'' => {
                // The N of N'…' is the keyword; the string is a token of its own.
                self.position += 1;
                self.push(TokenKind::Keyword(Keyword::Nchar), start);
                Ok(())
            }
            b'u' | b'U' if self.byte(1) == b'&' && self.byte(2) == b'\'' => {
                self.quoted(start, 3, Quoting::Unicode)
            }
            b'u' | b'U' if self.byte(1) == b'&' && self.byte(2) == b'"' => {
                self.quoted_identifier(start, 3)
            }
            b'$' => self.dollar(start),
            b'0'..=b'9' => self.number(start),
            b'.' if self.byte(1).is_ascii_digit() => self.number(start),
            _ if is_identifier_start(first) => {
                self.word(start);
                Ok(())
            }
            _ if is_operator(first) => self.operator(start),
            _ => {
                self.punctuation(start);
                Ok(())
            }
        }
    }

    /// Skips blanks and comments.
    fn skip_blanks(&mut self) -> Result<(), LexFailure> {
        loop {
            match self.byte(0) {
                _ if self.position >= self.bytes.len() => return Ok(()),
                b' ' | b'\t' | b'\n' | b'\r' | 0x0c => self.position += 1,
                b'-' if self.byte(1) == b'-' => self.skip_line_comment(),
                b'/' if self.byte(1) == b'*' => self.skip_block_comment()?,
                _ => return Ok(()),
            }
        }
    }

    fn skip_line_comment(&mut self) {
        while self.position < self.bytes.len() && !matches!(self.byte(0), b'\n' | b'\r') {
            self.position += 1;
        }
    }

    /// Skips a comment between `/*` and `*/`; such comments nest.
    fn skip_block_comment(&mut self) -> Result<(), LexFailure> {
        let start = self.position;
        let mut depth = 0_usize;
        while self.position < self.bytes.len() {
            match (self.byte(0), self.byte(1)) {
                (b'/', b'*') => {
                    depth += 1;
                    self.position += 2;
                }
                (b'*', b'/') => {
                    depth -= 1;
                    self.position += 2;
                    if depth == 0 {
                        return Ok(());
                    }
                }
                _ => self.position += 1,
            }
        }
        Err(LexFailure::near("unterminated /* comment", &self.text[start..], start))
    }

    fn word(&mut self, start: usize) {
        self.skip_identifier();
        let word = &self.text[start..self.position];
        if word.len() <= KEYWORD_LENGTH_MAX {
            let mut folded = [0_u8; KEYWORD_LENGTH_MAX];
            let folded = &mut folded[..word.len()];
            folded.copy_from_slice(word.as_bytes());
            folded.make_ascii_lowercase();
            let keyword = std::str::from_utf8(folded).ok().and_then(Keyword::lookup);
            if let Some(keyword) = keyword {
                self.push(TokenKind::Keyword(keyword), start);
                return;
            }
        }
        let name = self.cut_identifier(word.to_ascii_lowercase());
        self.push(TokenKind::Ident(name.into_boxed_str()), start);
    }

    fn skip_identifier(&mut self) {
        while self.position < self.bytes.len() && is_identifier_part(self.byte(0)) {
            self.position += 1;
        }
    }

    /// Cuts an identifier to its greatest length at a character's end, and notes that.
    fn cut_identifier(&mut self, mut name: String) -> String {
        if name.len() > IDENTIFIER_LENGTH_MAX {
            let mut length = IDENTIFIER_LENGTH_MAX;
            while !name.is_char_boundary(length) {
                length -= 1;
            }
            self.notices.push(SqlError::new(
                SqlState::NameTooLong,
                format!("identifier \"{name}\" will be truncated to \"{}\"", &name[..length]),
            ));
            name.truncate(length);
        }
        name
    }

    fn quoted_identifier(&mut self, start: usize, prefix: usize) -> Result<(), LexFailure> {
        let content = start + prefix;
        self.position = content;
        let mut name = String::new();
        loop {
            let Some(length) = self.text[self.position..].find('"') else {
                return Err(LexFailure::near(
                    "unterminated quoted identifier",
                    &self.text[start..],
                    start,
                ));
            };
            name.push_str(&self.text[self.position..self.position + length]);
            self.position += length + 1;
            if self.byte(0) != b'"' || self.position >= self.bytes.len() {
                break;
            }
            name.push('"');
            self.position += 1;
        }
        if name.is_empty() {
            let text = &self.text[start..self.position];
            return Err(LexFailure::near("zero-length delimited identifier", text, start));
        }
        if prefix > 1 {
            let escape = self.unicode_escape()?;
            name = literal::resolve_unicode(&name, escape, start, prefix)?;
        }
        let name = self.cut_identifier(name);
        self.push(TokenKind::Ident(name.into_boxed_str()), start);
        Ok(())
    }

    /// A literal in single quotes, with those that continue it on further lines.
    fn quoted(&mut self, start: usize, prefix: usize, quoting: Quoting) -> Result<(), LexFailure> {
        self.position = start + prefix;
        let mut value = String::new();
        if let Quoting::Bit(radix) = quoting {
            value.push(radix);
        }
        let mut bytes = literal::EscapedBytes::default();
        loop {
            match quoting {
                Quoting::Escape => self.escaped_segment(start, &mut bytes)?,
                _ => self.plain_segment(start, quoting, &mut value)?,
            }
            if !self.continues() {
                break;
            }
        }
        match quoting {
            Quoting::Standard => {
                self.push(TokenKind::String(value.into_boxed_str()), start);
            }
            Quoting::Bit(_) => {
                self.push(TokenKind::BitString(value.into_boxed_str()), start);
            }
            Quoting::Escape => {
                let value = bytes.finish(start)?;
                self.push(TokenKind::String(value.into_boxed_str()), start);
            }
            Quoting::Unicode => {
                let escape = self.unicode_escape()?;
                let value = literal::resolve_unicode(&value, escape, start, prefix)?;
                self.push(TokenKind::String(value.into_boxed_str()), start);
            }
        }
        Ok(())
    }

    /// Text up to a closing quote, which is consumed; a doubled quote is one, but not in bit strings.
    fn plain_segment(
        &mut self,
        start: usize,
        quoting: Quoting,
        value: &mut String,
    ) -> Result<(), LexFailure> {
        loop {
            let Some(length) = self.text[self.position..].find('\'') else {
                let message = match quoting {
                    Quoting::Bit('b') => "unterminated bit string literal",
                    Quoting::Bit(_) => "unterminated hexadecimal string literal",
                    _ => "unterminated quoted string",
                };
                return Err(LexFailure::near(message, &self.text[start..], start));
            };
            value.push_str(&self.text[self.position..self.position + length]);
            self.position += length + 1;
            let doubled = self.byte(0) == b'\'' && !matches!(quoting, Quoting::Bit(_));
            if !doubled {
                return Ok(());
            }
            value.push('\'');
            self.position += 1;
        }
    }

    /// Text up to a closing quote, which is consumed, with backslash escapes.
    fn escaped_segment(
        &mut self,
        start: usize,
        bytes: &mut literal::EscapedBytes,
    ) -> Result<(), LexFailure> {
        loop {
            let rest = &self.bytes[self.position..];
            let Some(length) = rest.iter().position(|byte| matches!(byte, b'\'' | b'\\')) else {
                return Err(LexFailure::near(
                    "unterminated quoted string",
                    &self.text[start..],
                    start,
                ));
            };
            bytes.literal(self.text, self.position, &rest[..length])?;
            self.position += length;
            if rest[length] == b'\\' {
                if self.position + 1 >= self.bytes.len() {
                    return Err(LexFailure::near(
                        "unterminated quoted string",
                        &self.text[start..],
                        start,
                    ));
                }
                self.position += bytes.escape(self.text, self.position)?;
                continue;
            }
            self.position += 1;
            if self.byte(0) != b'\'' {
                bytes.close(self.text, self.position - 1)?;
                return Ok(());
            }
            bytes.literal(self.text, self.position, b"'")?;
            self.position += 1;
        }
    }

    /// Whether blanks with a line break and a quote follow; then they are consumed.
    fn continues(&mut self) -> bool {
        let mut ahead = self.position;
        let mut line_break = false;
        loop {
            match self.bytes.get(ahead) {
                Some(b'\n' | b'\r') => {
                    line_break = true;
                    ahead += 1;
                }
                Some(b' ' | b'\t' | 0x0c) => ahead += 1,
                Some(b'-') if self.bytes.get(ahead + 1) == Some(&b'-') => {
                    while ahead < self.bytes.len() && !matches!(self.bytes[ahead], b'\n' | b'\r') {
                        ahead += 1;
                    }
                }
                Some(b'\'') if line_break => {
                    self.position = ahead + 1;
                    return true;
                }
                _ => return false,
            }
        }
    }

    /// Consumes `UESCAPE 'c'` if it follows a Unicode literal; else the escape is the backslash.
    fn unicode_escape(&mut self) -> Result<char, LexFailure> {
        let end = self.position;
        let count = self.tokens.len();
        self.skip_blanks()?;
        let follows = self.bytes[self.position..]
            .get(..7)
            .is_some_and(|word| word.eq_ignore_ascii_case(b"uescape"))
            && !is_identifier_part(self.byte(7));
        if !follows {
            self.position = end;
            return Ok('\\');
        }
        self.position += 7;
        self.skip_blanks()?;
        let start = self.position;
        if start < self.bytes.len() {
            if matches!(self.byte(0), b'u' | b'U') && self.byte(1) == b'&' {
                // A Unicode literal is no simple one, and must not look for an escape in its turn.
                let text = &self.text[start..start + 2];
                return Err(LexFailure::near(
                    "UESCAPE must be followed by a simple string literal",
                    text,
                    start,
                ));
            }
            self.token()?;
        }
        let token = (self.tokens.len() > count).then(|| self.tokens.swap_remove(count));
        self.tokens.truncate(count);
        let text = &self.text[start..self.position];
        match token.map(|token| token.kind) {
            Some(TokenKind::String(value)) => {
                let mut characters = value.chars();
                match (characters.next(), characters.next()) {
                    (Some(escape), None) if is_escape_character(escape) => Ok(escape),
                    _ => Err(LexFailure::near("invalid Unicode escape character", text, start)),
                }
            }
            _ if text.is_empty() => Err(LexFailure {
                start,
                error: SqlError::new(
                    SqlState::SyntaxError,
                    "UESCAPE must be followed by a simple string literal at end of input",
                )
                .at(offset(start)),
            }),
            _ => Err(LexFailure::near(
                "UESCAPE must be followed by a simple string literal",
                text,
                start,
            )),
        }
    }

    /// A parameter, a dollar-quoted string, or a lone dollar sign.
    fn dollar(&mut self, start: usize) -> Result<(), LexFailure> {
        self.position += 1;
        if self.byte(0).is_ascii_digit() {
            while self.byte(0).is_ascii_digit() {
                self.position += 1;
            }
            let digits = &self.text[start + 1..self.position];
            if is_identifier_start(self.byte(0)) {
                self.skip_identifier();
                let text = &self.text[start..self.position];
                return Err(LexFailure::near("trailing junk after parameter", text, start));
            }
            // PostgreSQL reads it with atol() into an int: too large a number loses its upper bits.
            let number = digits.parse::<i64>().unwrap_or(i64::MAX);
            let [a, b, c, d, ..] = number.to_le_bytes();
            self.push(TokenKind::Param(i32::from_le_bytes([a, b, c, d])), start);
            return Ok(());
        }
        let mut end = self.position;
        if is_identifier_start(self.byte(0)) {
            while end < self.bytes.len()
                && is_identifier_part(self.bytes[end])
                && self.bytes[end] != b'$'
            {
                end += 1;
            }
        }
        if self.bytes.get(end) != Some(&b'$') {
            self.push(TokenKind::Char('$'), start);
            return Ok(());
        }
        let delimiter = &self.text[start..=end];
        let content = end + 1;
        let Some(length) = self.text[content..].find(delimiter) else {
            return Err(LexFailure::near(
                "unterminated dollar-quoted string",
                &self.text[start..],
                start,
            ));
        };
        let value = self.text[content..content + length].into();
        self.position = content + length + delimiter.len();
        self.push(TokenKind::String(value), start);
        Ok(())
    }

    fn skip_digits(&mut self) {
        while self.byte(0).is_ascii_digit() {
            self.position += 1;
        }
    }

    fn number(&mut self, start: usize) -> Result<(), LexFailure> {
        self.skip_digits();
        let mut integer = true;
        // Two dots are a range: the number ends before them.
        if self.byte(0) == b'.' && self.byte(1) != b'.' {
            integer = false;
            self.position += 1;
            self.skip_digits();
        }
        if matches!(self.byte(0), b'e' | b'E') {
            let sign = usize::from(matches!(self.byte(1), b'+' | b'-'));
            if self.byte(1 + sign).is_ascii_digit() {
                integer = false;
                self.position += 1 + sign;
                self.skip_digits();
            } else if sign == 1 {
                self.position += 2;
                return Err(self.trailing_junk(start));
            }
        }
        if self.position < self.bytes.len() && is_identifier_start(self.byte(0)) {
            self.skip_identifier();
            return Err(self.trailing_junk(start));
        }
        let text = &self.text[start..self.position];
        let kind = match text.parse::<i32>() {
            Ok(number) if integer => TokenKind::Integer(number),
            _ => TokenKind::Float(text.into()),
        };
        self.push(kind, start);
        Ok(())
    }

    fn trailing_junk(&self, start: usize) -> LexFailure {
        LexFailure::near(
            "trailing junk after numeric literal",
            &self.text[start..self.position],
            start,
        )
    }

    /// The longest run of operator characters, less a comment's start, less trailing signs unless a
    /// character that SQL's own operators lack is in it.
    fn operator(&mut self, start: usize) -> Result<(), LexFailure> {
        let mut length = 0;
        while start + length < self.bytes.len() && is_operator(self.bytes[start + length]) {
            let pair = (self.bytes[start + length], self.byte(length + 1));
            if length > 0 && matches!(pair, (b'/', b'*') | (b'-', b'-')) {
                break;
            }
            length += 1;
        }
        let own = |byte: &u8| {
            matches!(byte, b'~' | b'!' | b'@' | b'#' | b'^' | b'&' | b'|' | b'`' | b'?' | b'%')
        };
        while length > 1
            && matches!(self.bytes[start + length - 1], b'+' | b'-')
            && !self.bytes[start..start + length - 1].iter().any(own)
        {
            length -= 1;
        }
        self.position = start + length;
        let text = &self.text[start..self.position];
        let kind = match text {
            "<=" => TokenKind::LessEquals,
            ">=" => TokenKind::GreaterEquals,
            "<>" | "!=" => TokenKind::NotEquals,
            "=>" => TokenKind::EqualsGreater,
            "+" | "-" | "*" | "/" | "%" | "^" | "<" | ">" | "=" => {
                TokenKind::Char(char::from(self.bytes[start]))
            }
            _ if length > IDENTIFIER_LENGTH_MAX => {
                return Err(LexFailure::near("operator too long", text, start));
            }
            _ => TokenKind::Op(text.into()),
        };
        self.push(kind, start);
        Ok(())
    }

    fn punctuation(&mut self, start: usize) {
        let (length, kind) = match (self.byte(0), self.byte(1)) {
            (b':', b':') => (2, TokenKind::TypeCast),
            (b':', b'=') => (2, TokenKind::ColonEquals),
            (b'.', b'.') => (2, TokenKind::DotDot),
            (byte, _) => (1, TokenKind::Char(char::from(byte))),
        };
        self.position += length;
        self.push(kind, start);
    }
}

/// Letters, the underscore, and all that is not ASCII.
fn is_identifier_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

/// What may follow in an identifier: digits and the dollar sign too.
fn is_identifier_part(byte: u8) -> bool {
    is_identifier_start(byte) || byte.is_ascii_digit() || byte == b'$'
}

fn is_operator(byte: u8) -> bool {
    matches!(
        byte,
        b'~' | b'!'
            | b'@'
            | b'#'
            | b'^'
            | b'&'
            | b'|'
            | b'`'
            | b'?'
            | b'+'
            | b'-'
            | b'*'
            | b'/'
            | b'%'
            | b'<'
            | b'>'
            | b'='
    )
}

/// What may follow `UESCAPE`.
fn is_escape_character(character: char) -> bool {
    !(character.is_ascii_hexdigit()
        || matches!(character, '+' | '\'' | '"')
        || character.is_ascii_whitespace()
        || !character.is_ascii())
}
