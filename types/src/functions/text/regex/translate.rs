//! An advanced regular expression of PostgreSQL in Rust's syntax.
//!
//! One pass over the characters with a stack of open parentheses, no recursion. Every literal
//! comes out as `\x{…}`, so that nothing has a second meaning. What letters are is the collation's to
//! say.

use std::fmt::Write;

use super::{backtrack, basic, bracket, invalid};
use crate::ctype::Ctype;
use crate::error::SqlResult;

/// Most repetitions in `{m,n}`.
const REPETITIONS_MAX: u32 = 255;

/// How to read and match an expression.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Flags {
    /// `i`
    pub(in super::super) ignore_case: bool,
    /// `.` and negated brackets do not match a newline.
    pub(in super::super) newline_stops: bool,
    /// `^` and `$` match at newlines too.
    pub(in super::super) newline_anchors: bool,
    /// `x`: blanks and comments are ignored.
    pub(in super::super) expanded: bool,
    /// `q`: the pattern is a literal string.
    pub(in super::super) quoted: bool,
    /// `b` or `e`: the basic syntax.
    pub(in super::super) basic: bool,
    /// Whose letters count.
    pub(in super::super) ctype: Ctype,
    /// Only ASCII is matched: classes need no other members.
    pub(in super::super) ascii_only: bool,
}

impl Flags {
    /// Applies one option letter; `false` if there is none such.
    pub(in super::super) fn apply(&mut self, letter: char) -> bool {
        match letter {
            'c' => self.ignore_case = false,
            'i' => self.ignore_case = true,
            'm' | 'n' => (self.newline_stops, self.newline_anchors) = (true, true),
            'p' => (self.newline_stops, self.newline_anchors) = (true, false),
            's' => (self.newline_stops, self.newline_anchors) = (false, false),
            'w' => (self.newline_stops, self.newline_anchors) = (false, true),
            't' => self.expanded = false,
            'x' => self.expanded = true,
            'q' => self.quoted = true,
            'b' | 'e' => self.basic = true,
            _ => return false,
        }
        true
    }
}

/// What an expression became.
pub(super) struct Translated {
    pub(super) pattern: String,
    pub(super) groups: usize,
    /// The match is the shortest, not the longest.
    pub(super) shortest: bool,
    /// There are back references or lookaround: only `backtrack` reads the pattern.
    pub(super) backtracks: bool,
    pub(super) flags: Flags,
}

impl Translated {
    /// The same to be matched by trying.
    ///
    /// # Errors
    /// 2201B where it is too complex.
    pub(super) fn backtracking(&self) -> SqlResult<backtrack::Pattern> {
        backtrack::Pattern::new(&self.pattern, self.groups, self.shortest)
    }
}

/// Translates a pattern.
///
/// # Errors
/// 2201B, 0A000.
pub(super) fn translate(pattern: &str, flags: Flags) -> SqlResult<Translated> {
    let mut flags = flags;
    let converted;
    let rest = if flags.basic && !flags.quoted {
        converted = basic::advanced(pattern)?;
        converted.as_str()
    } else {
        options(pattern, &mut flags)?
    };
    let mut translation = Translation {
        flags,
        rest,
        out: String::with_capacity(rest.len() * 2),
        groups: 0,
        backtracks: false,
        open: vec![Frame::default()],
    };
    if flags.quoted {
        for character in rest.chars() {
            literal(character, flags, &mut translation.out);
        }
    } else {
        translation.run()?;
    }
    let shortest = translation.open[0].greediness() == Some(Greediness::Shortest);
    Ok(Translated {
        pattern: translation.out,
        groups: translation.groups,
        shortest,
        backtracks: translation.backtracks,
        flags: translation.flags,
    })
}

/// Takes the director `***` and embedded options `(?…)` off the front.
fn options<'a>(pattern: &'a str, flags: &mut Flags) -> SqlResult<&'a str> {
    let mut rest = pattern;
    if flags.quoted {
        return Ok(rest);
    }
    if let Some(tail) = rest.strip_prefix("***") {
        if let Some(literal) = tail.strip_prefix('=') {
            flags.quoted = true;
            return Ok(literal);
        }
        rest = tail.strip_prefix(':').ok_or_else(|| invalid("quantifier operand invalid"))?;
    }
    if let Some(tail) = rest.strip_prefix("(?")
        && tail.starts_with(|first: char| first.is_ascii_alphabetic())
    {
        let end = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        for letter in tail[..end].chars() {
            if !flags.apply(letter) {
                return Err(invalid("invalid embedded option"));
            }
        }
        rest = tail[end..].strip_prefix(')').ok_or_else(|| invalid("invalid embedded option"))?;
    }
    Ok(rest)
}

/// Appends a character that stands for itself.
pub(super) fn literal(character: char, flags: Flags, out: &mut String) {
    let code = u32::from(character);
    let mut cases = String::new();
    if flags.ignore_case {
        flags.ctype.other_cases(character, character, &mut |other| {
            cases.push_str(&format!("\\x{{{:x}}}", u32::from(other)));
        });
    }
    let written = if cases.is_empty() {
        write!(out, "\\x{{{code:x}}}")
    } else {
        write!(out, "[\\x{{{code:x}}}{cases}]")
    };
    written.expect("a String takes whatever is written");
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Greediness {
    Longest,
    Shortest,
}

/// An open parenthesis, or the whole expression.
#[derive(Default)]
struct Frame {
    /// Where its translation begins.
    start: usize,
    /// Alternatives finished so far.
    branches: usize,
    /// The preference of the current branch: that of its first quantified atom that has one.
    current: Option<Greediness>,
    /// The parentheses of lookaround.
    looks: bool,
    /// The number of the group, if it is one.
    group: Option<usize>,
}

impl Frame {
    fn greediness(&self) -> Option<Greediness> {
        if self.branches > 0 { Some(Greediness::Longest) } else { self.current }
    }
}

struct Translation<'a> {
    flags: Flags,
    rest: &'a str,
    out: String,
    groups: usize,
    backtracks: bool,
    open: Vec<Frame>,
}

impl Translation<'_> {
    fn next(&mut self) -> Option<char> {
        let mut characters = self.rest.chars();
        let next = characters.next();
        self.rest = characters.as_str();
        next
    }

    fn accept(&mut self, prefix: &str) -> bool {
        match self.rest.strip_prefix(prefix) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn frame(&mut self) -> &mut Frame {
        self.open.last_mut().expect("the whole expression's frame is never closed")
    }

    fn run(&mut self) -> SqlResult<()> {
        loop {
            self.skip_blanks()?;
            let start = self.out.len();
            let Some(character) = self.next() else { break };
            match character {
                '(' => {
                    self.open_group()?;
                    continue;
                }
                ')' => {
                    if self.open.len() == 1 {
                        return Err(invalid("parentheses () not balanced"));
                    }
                    let frame = self.open.pop().expect("more than one frame is open");
                    self.out.push(')');
                    if frame.looks {
                        self.constraint("")?;
                        continue;
                    }
                    self.quantify(frame.start, frame.greediness(), true)?;
                    continue;
                }
                '|' => {
                    let frame = self.frame();
                    frame.branches += 1;
                    frame.current = None;
                    self.out.push('|');
                    continue;
                }
                '^' => {
                    let text = if self.flags.newline_anchors { "(?m:^)" } else { "\\A" };
                    self.constraint(text)?;
                    continue;
                }
                '$' => {
                    let text = if self.flags.newline_anchors { "(?m:$)" } else { "\\z" };
                    self.constraint(text)?;
                    continue;
                }
                '*' | '+' | '?' => return Err(invalid("quantifier operand invalid")),
                '{' if self.rest.starts_with(|next: char| next.is_ascii_digit()) => {
                    return Err(invalid("quantifier operand invalid"));
                }
                '.' => {
                    let text = if self.flags.newline_stops { "[^\\n]" } else { "(?s:.)" };
                    self.out.push_str(text);
                }
                '[' => {
                    if self.accept("[:<:]]") {
                        self.constraint("(?-u:\\b{start})")?;
                        continue;
                    }
                    if self.accept("[:>:]]") {
                        self.constraint("(?-u:\\b{end})")?;
                        continue;
                    }
                    bracket::translate(&mut self.rest, self.flags, &mut self.out)?;
                }
                '\\' => {
                    if self.escape()? {
                        continue;
                    }
                }
                other => literal(other, self.flags, &mut self.out),
            }
            self.quantify(start, None, false)?;
        }
        if self.open.len() > 1 {
            return Err(invalid("parentheses () not balanced"));
        }
        Ok(())
    }

    /// Blanks and comments of the expanded syntax, and `(?#…)` of any.
    fn skip_blanks(&mut self) -> SqlResult<()> {
        loop {
            if self.flags.expanded {
                self.rest = self.rest.trim_start_matches(|c: char| {
                    u8::try_from(c).is_ok_and(crate::integer::is_space)
                });
                if self.rest.starts_with('#') {
                    let end = self.rest.find('\n').unwrap_or(self.rest.len());
                    self.rest = &self.rest[end..];
                    continue;
                }
            }
            if !self.accept("(?#") {
                return Ok(());
            }
            let end = self.rest.find(')').ok_or_else(|| invalid("parentheses () not balanced"))?;
            self.rest = &self.rest[end + 1..];
        }
    }

    fn open_group(&mut self) -> SqlResult<()> {
        let start = self.out.len();
        if self.accept("?") {
            if !self.accept(":") {
                let looks = ["=", "!", "<=", "<!"];
                let Some(look) = looks.into_iter().find(|look| self.accept(look)) else {
                    return Err(invalid("quantifier operand invalid"));
                };
                self.backtracks = true;
                self.out.push_str("(?");
                self.out.push_str(look);
                self.open.push(Frame { start, looks: true, ..Frame::default() });
                return Ok(());
            }
            self.out.push_str("(?:");
        } else if self.open.iter().any(|frame| frame.looks) {
            // Parentheses within lookaround capture nothing.
            self.out.push_str("(?:");
        } else {
            self.groups += 1;
            self.out.push('(');
            let group = Some(self.groups);
            self.open.push(Frame { start, group, ..Frame::default() });
            return Ok(());
        }
        self.open.push(Frame { start, ..Frame::default() });
        Ok(())
    }

    /// Something that matches without taking characters, which no quantifier may follow.
    fn constraint(&mut self, text: &str) -> SqlResult<()> {
        self.out.push_str(text);
        self.skip_blanks()?;
        let quantified = self.rest.starts_with(['*', '+', '?'])
            || self
                .rest
                .strip_prefix('{')
                .is_some_and(|rest| rest.starts_with(|next: char| next.is_ascii_digit()));
        if quantified { Err(invalid("quantifier operand invalid")) } else { Ok(()) }
    }

    /// Takes the quantifier behind the atom that was translated from `start` on, and notes what
    /// length the branch prefers.
    fn quantify(&mut self, start: usize, atom: Option<Greediness>, group: bool) -> SqlResult<()> {
        self.skip_blanks()?;
        let (text, fixed) = if self.accept("*") {
            ("*".to_owned(), false)
        } else if self.accept("+") {
            ("+".to_owned(), false)
        } else if self.accept("?") {
            ("?".to_owned(), false)
        } else if self.rest.starts_with('{')
            && self.rest[1..].starts_with(|next: char| next.is_ascii_digit())
        {
            self.bound()?
        } else {
            self.note(atom);
            return Ok(());
        };
        let lazy = self.accept("?");
        if self.rest.starts_with(['*', '+', '?']) {
            return Err(invalid("quantifier operand invalid"));
        }
        if lazy && text == "{1,1}" && group && self.out[start..].starts_with("(?:") {
            // Once, but as short as can be: what SIMILAR TO's separators ask of the part before.
            self.out.insert(start + 2, 'U');
        } else {
            // The atom may itself be several items of Rust's syntax.
            if !group {
                self.out.insert_str(start, "(?:");
                self.out.push(')');
            }
            self.out.push_str(&text);
            if lazy {
                self.out.push('?');
            }
        }
        self.note(match (fixed, lazy) {
            (true, _) => atom,
            (false, true) => Some(Greediness::Shortest),
            (false, false) => Some(Greediness::Longest),
        });
        Ok(())
    }

    fn note(&mut self, greediness: Option<Greediness>) {
        let frame = self.frame();
        frame.current = frame.current.or(greediness);
    }

    /// `{m}`, `{m,}` or `{m,n}`; whether it is of the first form.
    fn bound(&mut self) -> SqlResult<(String, bool)> {
        self.accept("{");
        let low = self.number()?;
        let mut text = format!("{{{low}");
        let mut fixed = true;
        if self.accept(",") {
            fixed = false;
            text.push(',');
            if self.rest.starts_with(|next: char| next.is_ascii_digit()) {
                let high = self.number()?;
                if high < low {
                    return Err(invalid("invalid repetition count(s)"));
                }
                text.push_str(&high.to_string());
            }
        }
        if !self.accept("}") {
            return Err(invalid(if self.rest.is_empty() {
                "braces {} not balanced"
            } else {
                "invalid repetition count(s)"
            }));
        }
        text.push('}');
        Ok((text, fixed))
    }

    fn number(&mut self) -> SqlResult<u32> {
        let end = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        self.rest = rest;
        let value = digits.parse().ok().filter(|value| *value <= REPETITIONS_MAX);
        value.ok_or_else(|| invalid("invalid repetition count(s)"))
    }

    /// What follows a backslash; whether it was a constraint, already complete.
    fn escape(&mut self) -> SqlResult<bool> {
        let constraint = match self.rest.chars().next() {
            Some('A') => "\\A",
            Some('Z') => "\\z",
            Some('m') => "(?-u:\\b{start})",
            Some('M') => "(?-u:\\b{end})",
            Some('y') => "(?-u:\\b)",
            Some('Y') => "(?-u:\\B)",
            _ => "",
        };
        if !constraint.is_empty() {
            self.rest = &self.rest[1..];
            self.constraint(constraint)?;
            return Ok(true);
        }
        if let Some(class) = bracket::class_escape(self.rest, self.flags) {
            self.rest = &self.rest[1..];
            let negative = if class.negated { "^" } else { "" };
            // \D and \W keep off newlines where negated brackets do.
            let newline = if class.negated && self.flags.newline_stops { "\\n" } else { "" };
            write!(self.out, "[{negative}{}{newline}]", class.members)
                .expect("a String takes whatever is written");
            return Ok(false);
        }
        if let Some((number, length)) = self.back_reference()? {
            self.rest = &self.rest[length..];
            self.backtracks = true;
            write!(self.out, "{}{{{number}}}", backtrack::BACK_REFERENCE)
                .expect("a String takes whatever is written");
            return Ok(false);
        }
        let character = character_escape(&mut self.rest)?;
        literal(character, self.flags, &mut self.out);
        Ok(false)
    }
}

impl Translation<'_> {
    /// The group that the digits behind a backslash refer to, and how many they are; none where they
    /// are a character's octal number.
    fn back_reference(&self) -> SqlResult<Option<(usize, usize)>> {
        let digits = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 || self.rest.starts_with('0') {
            return Ok(None);
        }
        let wrong = || invalid("invalid backreference number");
        let number: usize = self.rest[..digits].parse().map_err(|_| wrong())?;
        if number > self.groups && digits > 1 {
            return Ok(None);
        }
        let open = |frame: &Frame| frame.looks || frame.group == Some(number);
        if number > self.groups || self.open.iter().any(open) {
            return Err(wrong());
        }
        Ok(Some((number, digits)))
    }
}

/// Reads a character-entry escape behind its backslash.
///
/// # Errors
/// 2201B.
pub(super) fn character_escape(rest: &mut &str) -> SqlResult<char> {
    let bad = || invalid("invalid escape \\ sequence");
    let mut characters = rest.chars();
    let first = characters.next().ok_or_else(bad)?;
    let text = *rest;
    *rest = characters.as_str();
    let mut digits = |radix: u32, least: usize, most: usize| -> SqlResult<char> {
        let length = rest.chars().take(most).take_while(|digit| digit.is_digit(radix)).count();
        if length < least {
            return Err(bad());
        }
        let (digits, tail) = rest.split_at(length);
        *rest = tail;
        let code = u32::from_str_radix(digits, radix).map_err(|_| bad())?;
        char::from_u32(code).filter(|character| *character != '\0').ok_or_else(bad)
    };
    Ok(match first {
        'a' => '\x07',
        'b' => '\x08',
        'B' => '\\',
        'c' => {
            let control = rest.chars().next().ok_or_else(bad)?;
            *rest = &rest[control.len_utf8()..];
            char::from_u32(u32::from(control) & 0x1f).ok_or_else(bad)?
        }
        'e' => '\x1b',
        'f' => '\x0c',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => digits(16, 4, 4)?,
        'U' => digits(16, 8, 8)?,
        'v' => '\x0b',
        'x' => digits(16, 1, 255)?,
        '0'..='9' => {
            let octal = text.chars().take(3).take_while(|digit| digit.is_digit(8)).count();
            if octal == 0 {
                return Err(bad());
            }
            *rest = &text[octal..];
            let code = u32::from_str_radix(&text[..octal], 8).map_err(|_| bad())?;
            char::from_u32(code).filter(|character| *character != '\0').ok_or_else(bad)?
        }
        letter if letter.is_ascii_alphabetic() => return Err(bad()),
        other => other,
    })
}
