//! The template of `to_char` and `to_number` for numbers (PostgreSQL 15, chapter 9.8, table 9.28),
//! read into its patterns and what they say together.

use crate::error::{SqlError, SqlResult};
use crate::sqlstate::SqlState;

/// One pattern of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pattern {
    Comma,
    /// `.` or `D`
    Point,
    Zero,
    Nine,
    /// `B`, and `C` and `SP`, which do nothing
    Blank,
    NoEffect,
    Exponent,
    FillMode,
    Group,
    Currency,
    Minus,
    Plus,
    Bracket,
    RomanUpper,
    RomanLower,
    PlusOrMinus,
    Sign,
    OrdinalUpper,
    OrdinalLower,
    Shift,
}

/// A piece of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Pattern(Pattern),
    /// Any other character, and everything between double quotes.
    Literal(char),
}

/// Where `S` stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum SignPlace {
    #[default]
    None,
    Before,
    After,
}

/// What the patterns of a template say together.
#[derive(Clone, Debug, Default)]
pub(super) struct Template {
    pub(super) nodes: Vec<Node>,
    /// Digit positions before the point, after it, and after `V`.
    pub(super) before: usize,
    pub(super) after: usize,
    pub(super) shift: usize,
    /// The position of the first `0` before the point, from 0; and of the last, from 1.
    pub(super) zero_start: usize,
    pub(super) zero_end: usize,
    pub(super) zero: bool,
    pub(super) blank: bool,
    pub(super) point: bool,
    pub(super) fill_mode: bool,
    pub(super) sign: bool,
    pub(super) sign_place: SignPlace,
    /// How many digit positions stood before `S`.
    pub(super) before_sign: usize,
    pub(super) minus: bool,
    pub(super) plus: bool,
    pub(super) bracket: bool,
    pub(super) roman: bool,
    pub(super) multiplied: bool,
    pub(super) exponent: bool,
}

/// The patterns by their spelling, longer ones first; each may be spelled in lower case too.
const PATTERNS: &[(&str, Pattern)] = &[
    ("EEEE", Pattern::Exponent),
    ("FM", Pattern::FillMode),
    ("MI", Pattern::Minus),
    ("PL", Pattern::Plus),
    ("PR", Pattern::Bracket),
    ("RN", Pattern::RomanUpper),
    ("SG", Pattern::PlusOrMinus),
    ("SP", Pattern::NoEffect),
    ("TH", Pattern::OrdinalUpper),
    (",", Pattern::Comma),
    (".", Pattern::Point),
    ("0", Pattern::Zero),
    ("9", Pattern::Nine),
    ("B", Pattern::Blank),
    ("C", Pattern::NoEffect),
    ("D", Pattern::Point),
    ("G", Pattern::Group),
    ("L", Pattern::Currency),
    ("S", Pattern::Sign),
    ("V", Pattern::Shift),
];

/// The pattern that `text` begins with, and its length in bytes.
fn pattern(text: &str) -> Option<(Pattern, usize)> {
    let (spelling, pattern) = PATTERNS.iter().find(|(spelling, _)| {
        text.starts_with(spelling) || text.starts_with(&spelling.to_ascii_lowercase())
    })?;
    let lower = text.starts_with(|first: char| first.is_ascii_lowercase());
    let pattern = match pattern {
        Pattern::RomanUpper if lower => Pattern::RomanLower,
        Pattern::OrdinalUpper if lower => Pattern::OrdinalLower,
        other => *other,
    };
    Some((pattern, spelling.len()))
}

fn refuse(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::SyntaxError, message)
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// 42601 for patterns that exclude each other.
    pub(super) fn parse(text: &str) -> SqlResult<Self> {
        let mut template = Self::default();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            if let Some((pattern, length)) = pattern(rest) {
                template.note(pattern)?;
                template.nodes.push(Node::Pattern(pattern));
                rest = &rest[length..];
            } else if first == '"' {
                rest = template.quoted(&rest[1..]);
            } else {
                // Outside quotes a backslash is special before a quote only.
                let literal = if rest.starts_with("\\\"") { '"' } else { first };
                template.nodes.push(Node::Literal(literal));
                rest = &rest[if rest.starts_with("\\\"") { 2 } else { first.len_utf8() }..];
            }
        }
        template.zero_start = template.zero_start.saturating_sub(1);
        Ok(template)
    }

    /// Takes the text up to the closing quote, or all of it, and returns what follows.
    fn quoted<'a>(&mut self, text: &'a str) -> &'a str {
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            match character {
                '"' => break,
                '\\' => {
                    let literal = characters.next().unwrap_or('\\');
                    self.nodes.push(Node::Literal(literal));
                }
                other => self.nodes.push(Node::Literal(other)),
            }
        }
        characters.as_str()
    }

    fn note(&mut self, pattern: Pattern) -> SqlResult<()> {
        if self.exponent && pattern != Pattern::Exponent {
            return Err(refuse("\"EEEE\" must be the last pattern used"));
        }
        match pattern {
            Pattern::Nine | Pattern::Zero => self.note_digit(pattern == Pattern::Zero)?,
            Pattern::Blank => self.blank |= self.before == 0 && self.after == 0 && !self.zero,
            Pattern::Point => {
                if self.point {
                    return Err(refuse("multiple decimal points"));
                }
                if self.multiplied {
                    return Err(refuse("cannot use \"V\" and decimal point together"));
                }
                self.point = true;
            }
            Pattern::FillMode => self.fill_mode = true,
            Pattern::Sign => self.note_sign()?,
            Pattern::Minus | Pattern::Plus | Pattern::PlusOrMinus => {
                let name = match pattern {
                    Pattern::Minus => "MI",
                    Pattern::Plus => "PL",
                    _ => "SG",
                };
                if self.sign {
                    return Err(refuse(format!("cannot use \"S\" and \"{name}\" together")));
                }
                self.minus |= pattern != Pattern::Plus;
                self.plus |= pattern != Pattern::Minus;
            }
            Pattern::Bracket => {
                if self.sign || self.plus || self.minus {
                    return Err(refuse(
                        "cannot use \"PR\" and \"S\"/\"PL\"/\"MI\"/\"SG\" together",
                    ));
                }
                self.bracket = true;
            }
            Pattern::RomanUpper | Pattern::RomanLower => self.roman = true,
            Pattern::Shift => {
                if self.point {
                    return Err(refuse("cannot use \"V\" and decimal point together"));
                }
                self.multiplied = true;
            }
            Pattern::Exponent => self.note_exponent()?,
            Pattern::Comma
            | Pattern::NoEffect
            | Pattern::Group
            | Pattern::Currency
            | Pattern::OrdinalUpper
            | Pattern::OrdinalLower => {}
        }
        Ok(())
    }

    fn note_digit(&mut self, zero: bool) -> SqlResult<()> {
        if self.bracket {
            let digit = if zero { '0' } else { '9' };
            return Err(refuse(format!("\"{digit}\" must be ahead of \"PR\"")));
        }
        if zero && !self.zero && !self.point {
            self.zero = true;
            self.zero_start = self.before + 1;
        }
        if !zero && self.multiplied {
            self.shift += 1;
        } else if self.point {
            self.after += 1;
        } else {
            self.before += 1;
        }
        if zero {
            self.zero_end = self.before + self.after;
        }
        Ok(())
    }

    fn note_sign(&mut self) -> SqlResult<()> {
        if self.sign {
            return Err(refuse("cannot use \"S\" twice"));
        }
        if self.plus || self.minus || self.bracket {
            return Err(refuse("cannot use \"S\" and \"PL\"/\"MI\"/\"SG\"/\"PR\" together"));
        }
        self.sign = true;
        if self.point {
            self.sign_place = SignPlace::After;
        } else {
            self.sign_place = SignPlace::Before;
            self.before_sign = self.before;
        }
        Ok(())
    }

    fn note_exponent(&mut self) -> SqlResult<()> {
        if self.exponent {
            return Err(refuse("cannot use \"EEEE\" twice"));
        }
        let others = [
            self.blank,
            self.fill_mode,
            self.sign,
            self.bracket,
            self.minus,
            self.plus,
            self.roman,
            self.multiplied,
        ];
        if others.contains(&true) {
            return Err(refuse("\"EEEE\" is incompatible with other formats").detail(
                "\"EEEE\" may only be used together with digit and decimal point patterns.",
            ));
        }
        self.exponent = true;
        Ok(())
    }
}
