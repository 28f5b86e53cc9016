//! Bracket expressions, `[^a-z[:digit:]\s]`, and the classes that escapes stand for.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::invalid;
use super::translate::{Flags, character_escape};
use crate::ctype::{self, Ctype};
use crate::error::{SqlError, SqlResult};

/// A class of characters, as it stands inside brackets of Rust's syntax.
pub(super) struct Class {
    pub(super) members: &'static str,
    pub(super) negated: bool,
}

/// The class that `\d`, `\s`, `\w` or one of their negations stands for.
pub(super) fn class_escape(rest: &str, flags: Flags) -> Option<Class> {
    let (name, negated) = match rest.as_bytes().first()? {
        b'd' => ("digit", false),
        b's' => ("space", false),
        b'w' => ("word", false),
        b'D' => ("digit", true),
        b'S' => ("space", true),
        b'W' => ("word", true),
        _ => return None,
    };
    Some(Class { members: named_class(name, Flags { ignore_case: false, ..flags })?, negated })
}

/// The members of a named class.
fn named_class(name: &str, flags: Flags) -> Option<&'static str> {
    // Where case does not matter, neither case is a class of its own.
    let name = if flags.ignore_case && matches!(name, "lower" | "upper") { "alpha" } else { name };
    if flags.ctype == Ctype::Unicode
        && !flags.ascii_only
        && let Some(members) = UNICODE.get(name)
    {
        return Some(members);
    }
    Some(match name {
        "alnum" => "0-9A-Za-z",
        "alpha" => "A-Za-z",
        "ascii" => "\\x00-\\x7f",
        "blank" => "\\t\\x20",
        "cntrl" => "\\x00-\\x1f\\x7f-\\x{9f}",
        "digit" => "0-9",
        "graph" => "!-~",
        "lower" => "a-z",
        "print" => "\\x20-~",
        "punct" => "!-/:-@\\[-`{-~",
        "space" => "\\t-\\r\\x20",
        "upper" => "A-Z",
        "word" => "0-9A-Za-z_",
        "xdigit" => "0-9A-Fa-f",
        _ => return None,
    })
}

/// The classes that have members outside of ASCII.
static UNICODE: LazyLock<HashMap<&'static str, String>> = LazyLock::new(|| {
    let written = |class: ctype::Class| {
        let mut out = String::new();
        class.ranges().iter().for_each(|(low, high)| push_range(*low, *high, &mut out));
        out
    };
    [
        ("alnum", ctype::Class::Alnum),
        ("alpha", ctype::Class::Alpha),
        ("graph", ctype::Class::Graph),
        ("lower", ctype::Class::Lower),
        ("print", ctype::Class::Print),
        ("punct", ctype::Class::Punct),
        ("space", ctype::Class::Space),
        ("upper", ctype::Class::Upper),
        ("word", ctype::Class::Word),
    ]
    .into_iter()
    .map(|(name, class)| (name, written(class)))
    .collect()
});

/// The members of the class `\w` in Unicode.
pub(super) fn word_members() -> &'static str {
    &UNICODE["word"]
}

/// One thing inside brackets.
enum Item {
    Character(char),
    Class(Class),
}

/// Translates a bracket expression whose `[` has been taken.
///
/// # Errors
/// 2201B.
pub(super) fn translate(rest: &mut &str, flags: Flags, out: &mut String) -> SqlResult<()> {
    let unbalanced = || invalid("brackets [] not balanced");
    let negated = strip(rest, "^");
    out.push('[');
    if negated {
        out.push('^');
        if flags.newline_stops {
            out.push_str("\\n");
        }
    }
    let mut first = true;
    loop {
        if !first && strip(rest, "]") {
            break;
        }
        if rest.is_empty() {
            return Err(unbalanced());
        }
        // A hyphen stands for itself first and last, and between ranges nowhere.
        if !first && rest.starts_with('-') && !rest.starts_with("-]") && !rest.starts_with("--") {
            return Err(invalid("invalid character range"));
        }
        let low = item(rest, flags)?;
        first = false;
        let ranged = rest.starts_with('-') && !rest.starts_with("-]");
        match (low, ranged) {
            (Item::Class(_), true) => return Err(invalid("invalid character range")),
            (Item::Class(class), false) => {
                if class.negated {
                    out.push_str("[^");
                    out.push_str(class.members);
                    out.push(']');
                } else {
                    out.push_str(class.members);
                }
            }
            (Item::Character(low), false) => range(low, low, flags, out),
            (Item::Character(low), true) => {
                strip(rest, "-");
                match item(rest, flags)? {
                    Item::Character(high) if low <= high => range(low, high, flags, out),
                    _ => return Err(invalid("invalid character range")),
                }
            }
        }
    }
    out.push(']');
    Ok(())
}

fn strip(rest: &mut &str, prefix: &str) -> bool {
    match rest.strip_prefix(prefix) {
        Some(tail) => {
            *rest = tail;
            true
        }
        None => false,
    }
}

fn item(rest: &mut &str, flags: Flags) -> SqlResult<Item> {
    let unbalanced = || invalid("brackets [] not balanced");
    if strip(rest, "[:") {
        let end = rest.find(":]").ok_or_else(unbalanced)?;
        let name = &rest[..end];
        *rest = &rest[end + 2..];
        let members = named_class(name, flags).ok_or_else(|| invalid("invalid character class"))?;
        return Ok(Item::Class(Class { members, negated: false }));
    }
    for (open, close) in [("[.", ".]"), ("[=", "=]")] {
        if strip(rest, open) {
            let end = rest.find(close).ok_or_else(unbalanced)?;
            let mut characters = rest[..end].chars();
            *rest = &rest[end + 2..];
            return match (characters.next(), characters.next()) {
                (Some(character), None) => Ok(Item::Character(character)),
                (Some(_), Some(_)) => {
                    Err(SqlError::unsupported("named collating elements in regular expressions"))
                }
                (None, _) => Err(invalid("invalid collating element")),
            };
        }
    }
    if strip(rest, "\\") {
        if let Some(class) = class_escape(rest, flags) {
            *rest = &rest[1..];
            return Ok(Item::Class(class));
        }
        return character_escape(rest).map(Item::Character);
    }
    let character = rest.chars().next().ok_or_else(unbalanced)?;
    *rest = &rest[character.len_utf8()..];
    Ok(Item::Character(character))
}

/// Appends a range and, where case does not matter, what its letters are in the other case.
fn range(low: char, high: char, flags: Flags, out: &mut String) {
    push_range(low, high, out);
    if flags.ignore_case {
        flags.ctype.other_cases(low, high, &mut |other| push_range(other, other, out));
    }
}

fn push_range(low: char, high: char, out: &mut String) {
    out.push_str(&format!("\\x{{{:x}}}-\\x{{{:x}}}", u32::from(low), u32::from(high)));
}
