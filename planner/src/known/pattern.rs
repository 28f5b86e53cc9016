//! LIKE and its kin: which part of a column matches a pattern.

use aegis_types::Datum;

use super::{Known, Part};
use crate::scalar::Comparison;

/// What matching leaves where nothing is known.
const MATCHED: f64 = 0.005;
/// What a character of a pattern leaves, that any may stand for, and what `%` gives back.
const FIXED: f64 = 0.2;
const ANY: f64 = 0.9;
const WILDCARD: f64 = 5.0;
/// Bounds of a histogram from which on it is asked, and from which on nothing else is.
const ASKED: usize = 10;
const TRUSTED: usize = 100;

/// An operator that matches patterns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Matching {
    /// Whether upper and lower case are one.
    folds: bool,
    /// Whether the pattern is a regular expression.
    is_regex: bool,
    /// Whether what does not match is wanted.
    pub(crate) negated: bool,
}

impl Matching {
    /// The operator of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let (plain, negated) = match name.strip_prefix('!') {
            Some(plain) => (plain, true),
            None => (name, false),
        };
        let (folds, is_regex) = match plain {
            "~~" => (false, false),
            "~~*" => (true, false),
            "~" => (false, true),
            "~*" => (true, true),
            _ => return None,
        };
        Some(Self { folds, is_regex, negated })
    }
}

/// What a pattern says by itself.
pub(super) struct Pattern {
    /// What every match begins with.
    prefix: String,
    /// Whether only the prefix itself matches.
    is_exact: bool,
    /// What the rest leaves.
    rest: f64,
}

impl Pattern {
    fn read(matching: Matching, pattern: &str) -> Self {
        let pattern = if matching.is_regex { unanchored(pattern) } else { pattern.to_owned() };
        let mut prefix = String::new();
        let mut chars = pattern.chars().peekable();
        while let Some(next) = chars.peek().copied() {
            if matches!(next, '%' | '_') || (matching.folds && next.is_alphabetic()) {
                break;
            }
            chars.next();
            match next {
                '\\' => prefix.extend(chars.next()),
                other => prefix.push(other),
            }
        }
        let is_exact = chars.peek().is_none();
        while chars.next_if(|next| matches!(next, '%' | '_')).is_some() {}
        let mut rest: f64 = 1.0;
        while let Some(next) = chars.next() {
            rest *= match next {
                '%' => WILDCARD,
                '_' => ANY,
                '\\' if chars.next().is_none() => 1.0,
                _ => FIXED,
            };
        }
        Self { prefix, is_exact, rest: rest.min(1.0) }
    }
}

/// A regular expression as about the pattern of LIKE that it is.
fn unanchored(regex: &str) -> String {
    let (mut pattern, body) = match regex.strip_prefix('^') {
        Some(body) => (String::new(), body),
        None => ("%".to_owned(), regex),
    };
    let mut chars = body.chars().peekable();
    let mut is_open = true;
    while let Some(next) = chars.next() {
        match next {
            '$' if chars.peek().is_none() => is_open = false,
            '*' | '?' | '{' => {
                pattern.pop();
                pattern.push('%');
                if next == '{' {
                    chars.by_ref().find(|next| *next == '}');
                }
            }
            '+' => pattern.push('%'),
            '[' => {
                chars.by_ref().find(|next| *next == ']');
                pattern.push('_');
            }
            '.' => pattern.push('_'),
            '(' | ')' | '|' => pattern.push('%'),
            '\\' => match chars.next() {
                Some(class) if class.is_alphanumeric() => pattern.push('_'),
                Some(other) => pattern.extend(['\\', other]),
                None => {}
            },
            '%' | '_' => pattern.extend(['\\', next]),
            other => pattern.push(other),
        }
    }
    if is_open {
        pattern.push('%');
    }
    pattern
}

impl Known {
    /// The rows that match; `test` tells of a value whether it does.
    pub(crate) fn matched(
        &self,
        matching: Matching,
        pattern: &str,
        test: &dyn Fn(&Datum) -> bool,
    ) -> Part {
        let read = Pattern::read(matching, pattern);
        let test = |value: &Datum| test(value) != matching.negated;
        let part = if read.is_exact && !matching.folds {
            self.equal(Some(&Datum::text(read.prefix.as_str())))
        } else {
            let part = self.others_matched(&read, &test).clamp(0.0001, 0.9999);
            let (mut common, mut sum) = (0.0, 0.0);
            for (value, frequency) in self.common() {
                sum += frequency;
                if test(value) {
                    common += frequency;
                }
            }
            part * (1.0 - self.null_fraction() - sum).max(0.0) + common
        };
        if matching.negated {
            return Part::known(1.0 - part - self.null_fraction());
        }
        Part::known(part)
    }

    /// Which part of the values that are not common matches.
    fn others_matched(&self, pattern: &Pattern, test: &dyn Fn(&Datum) -> bool) -> f64 {
        let bounds = self.histogram();
        let counted = (bounds.len() >= ASKED).then(|| {
            let inner = &bounds[1..bounds.len() - 1];
            inner.iter().filter(|bound| test(bound)).count() as f64 / inner.len() as f64
        });
        if let Some(counted) = counted
            && bounds.len() >= TRUSTED
        {
            return counted;
        }
        let begun = if pattern.prefix.is_empty() { 1.0 } else { self.begun_with(&pattern.prefix) };
        let guessed = begun * pattern.rest;
        let trust = bounds.len() as f64 / TRUSTED as f64;
        counted.map_or(guessed, |counted| counted * trust + guessed * (1.0 - trust))
    }

    /// Which part of them begins so.
    fn begun_with(&self, prefix: &str) -> f64 {
        let first = Datum::text(prefix);
        if !matches!(self.histogram().first(), Some(Datum::Text(_))) {
            return MATCHED;
        }
        let Some(mut part) = self.below(Comparison::GreaterEqual, &first) else { return MATCHED };
        if let Some(behind) = behind(prefix)
            && let Some(below) = self.below(Comparison::Less, &Datum::text(behind))
        {
            part += below - 1.0;
        }
        part.max(self.equal(Some(&first)))
    }
}

/// The least text behind all that begin so.
fn behind(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        let next = (u32::from(last) + 1..=u32::from(last) + 0x801).find_map(char::from_u32);
        if let Some(next) = next {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}
