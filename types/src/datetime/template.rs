//! Templates of `to_char`, `to_date` and `to_timestamp`: `'YYYY-MM-DD HH24:MI:SS'`.
//!
//! A template is cut into [`Node`]s once, then either printed or matched against a text.

use std::borrow::Cow;

use crate::error::{SqlError, SqlResult};
use crate::sqlstate::SqlState;

mod output;
mod input;

pub(crate) use input::{Read, read};
pub use input::{to_date, to_timestamp};
pub use output::{interval_to_char, timestamp_to_char, timestamptz_to_char};

/// A template pattern, letter case aside where the result has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    /// `AM`, `PM`, with periods if so.
    Meridian {
        periods: bool,
    },
    /// `AD`, `BC`, with periods if so.
    Era {
        periods: bool,
    },
    Century,
    Day,
    DayShort,
    DayOfYear,
    IsoDayOfYear,
    DayOfMonth,
    DayOfWeek,
    IsoDayOfWeek,
    /// `FF1` to `FF6`.
    Fraction(u8),
    Exact,
    Hour24,
    Hour12,
    Week,
    IsoWeek,
    /// `YYYY` to `Y`: that many digits.
    Year(u8),
    YearComma,
    IsoYear(u8),
    Julian,
    Minute,
    Month,
    MonthShort,
    MonthNumber,
    Milliseconds,
    Microseconds,
    Offset,
    Quarter,
    Roman,
    SecondsOfDay,
    Second,
    ZoneHour,
    ZoneMinute,
    Zone,
    WeekOfMonth,
}

/// How the letters of a pattern are written, which is how the result's are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    Upper,
    Capital,
    Lower,
}

use Case::{Capital, Lower, Upper};

/// The patterns; the first that a template continues with counts.
const PATTERNS: &[(&str, Key, Case)] = &[
    ("A.D.", Key::Era { periods: true }, Upper),
    ("A.M.", Key::Meridian { periods: true }, Upper),
    ("AD", Key::Era { periods: false }, Upper),
    ("AM", Key::Meridian { periods: false }, Upper),
    ("B.C.", Key::Era { periods: true }, Upper),
    ("BC", Key::Era { periods: false }, Upper),
    ("CC", Key::Century, Upper),
    ("DAY", Key::Day, Upper),
    ("DDD", Key::DayOfYear, Upper),
    ("DD", Key::DayOfMonth, Upper),
    ("DY", Key::DayShort, Upper),
    ("Day", Key::Day, Capital),
    ("Dy", Key::DayShort, Capital),
    ("D", Key::DayOfWeek, Upper),
    ("FF1", Key::Fraction(1), Upper),
    ("FF2", Key::Fraction(2), Upper),
    ("FF3", Key::Fraction(3), Upper),
    ("FF4", Key::Fraction(4), Upper),
    ("FF5", Key::Fraction(5), Upper),
    ("FF6", Key::Fraction(6), Upper),
    ("FX", Key::Exact, Upper),
    ("HH24", Key::Hour24, Upper),
    ("HH12", Key::Hour12, Upper),
    ("HH", Key::Hour12, Upper),
    ("IDDD", Key::IsoDayOfYear, Upper),
    ("ID", Key::IsoDayOfWeek, Upper),
    ("IW", Key::IsoWeek, Upper),
    ("IYYY", Key::IsoYear(4), Upper),
    ("IYY", Key::IsoYear(3), Upper),
    ("IY", Key::IsoYear(2), Upper),
    ("I", Key::IsoYear(1), Upper),
    ("J", Key::Julian, Upper),
    ("MI", Key::Minute, Upper),
    ("MM", Key::MonthNumber, Upper),
    ("MONTH", Key::Month, Upper),
    ("MON", Key::MonthShort, Upper),
    ("MS", Key::Milliseconds, Upper),
    ("Month", Key::Month, Capital),
    ("Mon", Key::MonthShort, Capital),
    ("OF", Key::Offset, Upper),
    ("P.M.", Key::Meridian { periods: true }, Upper),
    ("PM", Key::Meridian { periods: false }, Upper),
    ("Q", Key::Quarter, Upper),
    ("RM", Key::Roman, Upper),
    ("SSSSS", Key::SecondsOfDay, Upper),
    ("SSSS", Key::SecondsOfDay, Upper),
    ("SS", Key::Second, Upper),
    ("TZH", Key::ZoneHour, Upper),
    ("TZM", Key::ZoneMinute, Upper),
    ("TZ", Key::Zone, Upper),
    ("US", Key::Microseconds, Upper),
    ("WW", Key::Week, Upper),
    ("W", Key::WeekOfMonth, Upper),
    ("Y,YYY", Key::YearComma, Upper),
    ("YYYY", Key::Year(4), Upper),
    ("YYY", Key::Year(3), Upper),
    ("YY", Key::Year(2), Upper),
    ("Y", Key::Year(1), Upper),
];

/// A piece of a template.
#[derive(Clone, Debug)]
enum Node<'a> {
    Pattern {
        key: Key,
        case: Case,
        text: &'a str,
        suffix: Suffix,
    },
    /// A character to be taken as it is.
    Literal(char),
    /// Punctuation, which may stand for any other when text is read.
    Separator(char),
    Space(char),
}

/// What is written before and behind a pattern.
#[derive(Clone, Copy, Debug, Default)]
struct Suffix {
    /// `FM`: no padding.
    fill: bool,
    /// `TM`: names in the language of `lc_time`, which is C's: without padding.
    translated: bool,
    /// `TH` or `th`.
    ordinal: Option<Case>,
}

/// The pattern that a text begins with, and its length.
fn pattern(text: &str) -> Option<(Key, Case, usize)> {
    let starts = |name: &str| text.starts_with(name);
    if let Some((name, key, case)) = PATTERNS.iter().find(|(name, ..)| starts(name)) {
        return Some((*key, *case, name.len()));
    }
    PATTERNS.iter().filter(|(_, _, case)| *case == Upper).find_map(|(name, key, _)| {
        let head = text.get(..name.len())?;
        let is_lower = head.bytes().all(|b| !b.is_ascii_uppercase());
        (is_lower && head.eq_ignore_ascii_case(name)).then_some((*key, Lower, name.len()))
    })
}

/// What the SQL standard lets stand between the fields of a template.
const STANDARD_SEPARATORS: &str = "-./,':; ";

/// Cuts a template as the SQL standard has them: what is between its fields is one of few separators,
/// or in double quotes.
///
/// # Errors
/// 22007
fn parse_standard(template: &str) -> SqlResult<Vec<Node<'_>>> {
    let mut wrong = None;
    let nodes = cut(template, &mut |character| {
        if !STANDARD_SEPARATORS.contains(character) {
            wrong.get_or_insert(character);
        }
    });
    match wrong {
        None => Ok(nodes),
        Some(character) => Err(SqlError::new(
            SqlState::InvalidDatetimeFormat,
            format!("invalid datetime format separator: \"{character}\""),
        )),
    }
}

/// Cuts a template.
fn parse(template: &str) -> Vec<Node<'_>> {
    cut(template, &mut |_| {})
}

/// Cuts a template, with every character that is of no field and not quoted shown to somebody.
fn cut<'a>(template: &'a str, plain: &mut dyn FnMut(char)) -> Vec<Node<'a>> {
    let mut nodes = Vec::new();
    let mut rest = template;
    while !rest.is_empty() {
        let mut suffix = Suffix::default();
        if let Some(after) = rest.strip_prefix("FM").or_else(|| rest.strip_prefix("fm")) {
            suffix.fill = true;
            rest = after;
        } else if let Some(after) = rest.strip_prefix("TM").or_else(|| rest.strip_prefix("tm")) {
            suffix.translated = true;
            rest = after;
        }
        if let Some((key, case, length)) = pattern(rest) {
            let text;
            (text, rest) = rest.split_at(length);
            for (word, ordinal) in [("TH", Some(Upper)), ("th", Some(Lower)), ("SP", None)] {
                if let Some(after) = rest.strip_prefix(word) {
                    suffix.ordinal = ordinal;
                    rest = after;
                    break;
                }
            }
            nodes.push(Node::Pattern { key, case, text, suffix });
        } else if let Some(after) = rest.strip_prefix('"') {
            rest = quoted(after, &mut nodes);
        } else {
            if rest.starts_with("\\\"") {
                rest = &rest[1..];
            }
            let Some(character) = rest.chars().next() else { break };
            plain(character);
            rest = &rest[character.len_utf8()..];
            nodes.push(if is_separator(character) {
                Node::Separator(character)
            } else if u8::try_from(character).is_ok_and(super::fields::is_space) {
                Node::Space(character)
            } else {
                Node::Literal(character)
            });
        }
    }
    nodes
}

/// Takes characters up to a double quote; gives what follows it.
fn quoted<'a>(text: &'a str, nodes: &mut Vec<Node<'_>>) -> &'a str {
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return &text[at + 1..],
            '\\' => match characters.next() {
                Some((_, escaped)) => nodes.push(Node::Literal(escaped)),
                None => nodes.push(Node::Literal('\\')),
            },
            character => nodes.push(Node::Literal(character)),
        }
    }
    ""
}

/// Printable ASCII that is neither letter nor digit, blank aside.
fn is_separator(character: char) -> bool {
    character.is_ascii_punctuation()
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const ROMAN: [&str; 12] =
    ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];

fn cased(name: &'static str, case: Case) -> Cow<'static, str> {
    match case {
        Upper => Cow::Owned(name.to_ascii_uppercase()),
        Capital => Cow::Borrowed(name),
        Lower => Cow::Owned(name.to_ascii_lowercase()),
    }
}
