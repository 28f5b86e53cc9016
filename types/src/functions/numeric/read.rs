//! `to_number`: a text read by a template.

use super::template::{Node, Pattern, SignPlace, Template};
use crate::error::{SqlError, SqlResult};
use crate::numeric::Numeric;
use crate::sqlstate::SqlState;

/// `to_number(text, text)`; nothing for an empty template.
pub(super) fn to_number(text: &str, format: &str) -> SqlResult<Option<Numeric>> {
    if format.is_empty() {
        return Ok(None);
    }
    let template = Template::parse(format)?;
    for (used, name) in [(template.exponent, "EEEE"), (template.roman, "RN")] {
        if used {
            return Err(SqlError::new(
                SqlState::FeatureNotSupported,
                format!("\"{name}\" not supported for input"),
            ));
        }
    }
    let mut reader = Reader::new(&template, text);
    reader.read();
    let decimals = reader.decimals;
    let value = Numeric::parse(&reader.finish())?
        .apply_typmod(modifier(template.before + template.shift + decimals, decimals))?;
    if !template.multiplied {
        return Ok(Some(value));
    }
    let shift = i64::try_from(template.shift).unwrap_or(i64::MAX);
    value.mul(&Numeric::from(10).power(&Numeric::from(-shift))?).map(Some)
}

/// The modifier of a precision and scale, which may be larger than can be declared: like
/// PostgreSQL's, it keeps what fits.
fn modifier(precision: usize, scale: usize) -> i32 {
    let packed = ((precision & 0xffff) << 16) | (scale & 0xffff);
    // 32 bits by the masks.
    (packed as u32).cast_signed().wrapping_add(4)
}

struct Reader<'a> {
    template: &'a Template,
    text: &'a str,
    /// The next byte of the text, always the beginning of a character.
    at: usize,
    /// A blank until a sign has been read.
    sign: u8,
    /// Digits and a point.
    number: String,
    has_point: bool,
    /// How many digits have been read before and after the point.
    integers: usize,
    decimals: usize,
}

impl<'a> Reader<'a> {
    fn new(template: &'a Template, text: &'a str) -> Self {
        Self {
            template,
            text,
            at: 0,
            sign: b' ',
            number: String::new(),
            has_point: false,
            integers: 0,
            decimals: 0,
        }
    }

    fn finish(self) -> String {
        format!("{}{}", char::from(self.sign), self.number.trim_end_matches('.'))
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Passes one character of whatever length.
    fn pass(&mut self) {
        self.at += self.text[self.at..].chars().next().map_or(0, char::len_utf8);
    }

    fn read(&mut self) {
        for node in &self.template.nodes {
            let Some(next) = self.peek() else { return };
            match node {
                // A character of the text is passed for each, whether or not it is the same.
                Node::Literal(_) => self.pass(),
                Node::Pattern(pattern) => self.read_pattern(*pattern, next),
            }
        }
    }

    fn read_pattern(&mut self, pattern: Pattern, next: u8) {
        match pattern {
            Pattern::Nine | Pattern::Zero => self.read_position(true),
            Pattern::Point => self.read_position(false),
            Pattern::Comma | Pattern::Group => {
                if !self.template.fill_mode && next == b',' {
                    self.pass();
                }
            }
            Pattern::Currency => self.pass_non_data(1),
            Pattern::OrdinalUpper | Pattern::OrdinalLower => {
                if self.sign != b'-' && !self.template.point {
                    self.pass_non_data(2);
                }
            }
            Pattern::Minus | Pattern::Plus | Pattern::PlusOrMinus => {
                let read = next == b'-' && pattern != Pattern::Plus
                    || next == b'+' && pattern != Pattern::Minus;
                if read {
                    self.sign = next;
                    self.pass();
                } else {
                    self.pass_non_data(1);
                }
            }
            Pattern::Blank
            | Pattern::NoEffect
            | Pattern::Exponent
            | Pattern::FillMode
            | Pattern::Bracket
            | Pattern::RomanUpper
            | Pattern::RomanLower
            | Pattern::Sign
            | Pattern::Shift => {}
        }
    }

    /// Passes so many characters, but none that may belong to a number.
    fn pass_non_data(&mut self, count: usize) {
        for _ in 0..count {
            match self.peek() {
                None | Some(b'0'..=b'9' | b'.' | b',' | b'+' | b'-') => return,
                Some(_) => self.pass(),
            }
        }
    }

    /// Reads what a digit position or the point stands for, and passes it.
    fn read_position(&mut self, digit: bool) {
        if self.peek() == Some(b' ') {
            self.pass();
        }
        if digit && self.sign == b' ' && self.integers + self.decimals == 0 {
            self.read_sign_before();
        }
        let Some(next) = self.peek() else { return };
        let mut is_read = false;
        if next.is_ascii_digit() {
            if self.has_point && self.decimals == self.template.after {
                self.pass();
                return;
            }
            self.number.push(char::from(next));
            if self.has_point {
                self.decimals += 1;
            } else {
                self.integers += 1;
            }
            is_read = true;
        } else if self.template.point && !self.has_point && next == b'.' {
            self.number.push('.');
            self.has_point = true;
            is_read = true;
        }
        if self.sign == b' ' && self.integers + self.decimals > 0 {
            self.read_sign_after(next, is_read);
        }
        self.pass();
    }

    fn read_sign_before(&mut self) {
        let Some(next) = self.peek() else { return };
        if self.template.sign && self.template.sign_place == SignPlace::Before {
            if matches!(next, b'-' | b'+') {
                self.sign = next;
                self.pass();
            }
        } else if next == b'-' || self.template.bracket && next == b'<' {
            self.sign = b'-';
            self.pass();
        } else if next == b'+' {
            self.sign = b'+';
            self.pass();
        }
    }

    /// A sign behind what may be the last digit: `S` reads one directly behind a digit, `MI`, `PL`
    /// and `SG` one where a digit might have been.
    fn read_sign_after(&mut self, next: u8, is_read: bool) {
        if self.template.sign && is_read {
            if let Some(sign @ (b'-' | b'+')) = self.text.as_bytes().get(self.at + 1).copied() {
                self.sign = sign;
                self.pass();
            }
        } else if !is_read
            && (self.template.plus || self.template.minus)
            && matches!(next, b'-' | b'+')
        {
            self.sign = next;
        }
    }
}
