//! Basic regular expressions (`\(`, `\)`, `\{`, `\}` are the operators) as advanced ones.
//!
//! The options `b` and `e` both mean these: PostgreSQL 15 takes an "extended" expression for a basic one
//! as well.

use super::invalid;
use crate::error::SqlResult;

/// The same expression in the advanced syntax.
///
/// # Errors
/// 2201B where a bracket or a backslash is left open.
pub(super) fn advanced(pattern: &str) -> SqlResult<String> {
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern;
    // At the beginning of the expression or of a group: a star or a caret there is special.
    let mut begins = true;
    while let Some(character) = rest.chars().next() {
        rest = &rest[character.len_utf8()..];
        let began = std::mem::replace(&mut begins, false);
        match character {
            '\\' => {
                let next =
                    rest.chars().next().ok_or_else(|| invalid("invalid escape \\ sequence"))?;
                rest = &rest[next.len_utf8()..];
                match next {
                    '(' => {
                        out.push('(');
                        begins = true;
                    }
                    ')' | '{' | '}' => out.push(next),
                    '<' => out.push_str("\\m"),
                    '>' => out.push_str("\\M"),
                    '1'..='9' => {
                        out.push('\\');
                        out.push(next);
                        // What follows is no further digit of the reference.
                        if rest.starts_with(|digit: char| digit.is_ascii_digit()) {
                            out.push_str("(?:)");
                        }
                    }
                    next => literal(next, &mut out),
                }
            }
            '[' => bracket(&mut rest, &mut out)?,
            '*' if began => literal('*', &mut out),
            '*' | '.' => out.push(character),
            '^' if began => {
                out.push('^');
                begins = true;
            }
            '$' if rest.is_empty() || rest.starts_with("\\)") => out.push('$'),
            character => literal(character, &mut out),
        }
    }
    Ok(out)
}

fn literal(character: char, out: &mut String) {
    if !character.is_alphanumeric() && character.is_ascii() {
        out.push('\\');
    }
    out.push(character);
}

/// Copies a bracket expression, whose `[` has been taken. A backslash within stands for itself.
fn bracket(rest: &mut &str, out: &mut String) -> SqlResult<()> {
    let unbalanced = || invalid("brackets [] not balanced");
    out.push('[');
    if let Some(tail) = rest.strip_prefix('^') {
        out.push('^');
        *rest = tail;
    }
    let mut first = true;
    loop {
        let character = rest.chars().next().ok_or_else(unbalanced)?;
        if character == '[' && rest[1..].starts_with(['.', '=', ':']) {
            let close = format!("{}]", &rest[1..2]);
            let length = rest[2..].find(&close).ok_or_else(unbalanced)? + 2 + close.len();
            out.push_str(&rest[..length]);
            *rest = &rest[length..];
        } else {
            *rest = &rest[character.len_utf8()..];
            if character == '\\' {
                out.push('\\');
            }
            out.push(character);
            if character == ']' && !first {
                return Ok(());
            }
        }
        first = false;
    }
}
