//! Bracket expressions, `[^a-z[:digit:]\s]`, and the classes that escapes stand for.

use super::invalid;
use super::translate::{Flags, character_escape};
use crate::error::{SqlError, SqlResult};

/// A class of characters, as it stands inside brackets of Rust's syntax.
pub(super) struct Class {
    pub(super) members: &'static str,
    pub(super) negated: bool,
}

/// The class that `\d`, `\s`, `\w` or one of their negations stands for.
pub(super) fn class_escape(rest: &str) -> Option<Class> {
    let (members, negated) = match rest.as_bytes().first()? {
        b'd' => ("0-9", false),
        b's' => ("\\t-\\r\\x20", false),
        b'w' => ("0-9A-Za-z_", false),
        b'D' => ("0-9", true),
        b'S' => ("\\t-\\r\\x20", true),
        b'W' => ("0-9A-Za-z_", true),
        _ => return None,
    };
    Some(Class { members, negated })
}

/// The members of a named class in locale `C`.
fn named_class(name: &str, ignore_case: bool) -> Option<&'static str> {
    Some(match name {
        // Where case does not matter, neither case is a class of its own.
        "lower" | "upper" if ignore_case => "A-Za-z",
        "alnum" => "0-9A-Za-z",
        "alpha" => "A-Za-z",
        "ascii" => "\\x00-\\x7f",
        "blank" => "\\t\\x20",
        "cntrl" => "\\x00-\\x1f\\x7f",
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
        let members = named_class(name, flags.ignore_case)
            .ok_or_else(|| invalid("invalid character class"))?;
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
        if let Some(class) = class_escape(rest) {
            *rest = &rest[1..];
            return Ok(Item::Class(class));
        }
        return character_escape(rest).map(Item::Character);
    }
    let character = rest.chars().next().ok_or_else(unbalanced)?;
    *rest = &rest[character.len_utf8()..];
    Ok(Item::Character(character))
}

/// Appends a range and, where case does not matter, what its ASCII letters are in the other case.
fn range(low: char, high: char, flags: Flags, out: &mut String) {
    push_range(low, high, out);
    if !flags.ignore_case {
        return;
    }
    for (first, last, change) in [
        ('a', 'z', char::to_ascii_uppercase as fn(&char) -> char),
        ('A', 'Z', char::to_ascii_lowercase),
    ] {
        let (from, to) = (low.max(first), high.min(last));
        if from <= to {
            push_range(change(&from), change(&to), out);
        }
    }
}

fn push_range(low: char, high: char, out: &mut String) {
    out.push_str(&format!("\\x{{{:x}}}-\\x{{{:x}}}", u32::from(low), u32::from(high)));
}
