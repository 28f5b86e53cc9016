//! By what a statement is known in statistics: a number for what it means, and its text with the
//! constants taken out.
//!
//! ```text
//! bound tree ── of_meaning ──► 64 bits: tables, columns, functions, types; no names, no values
//! utility's text ── of_text ──► 64 bits
//! ast, text ── normalized ──► SELECT a FROM t WHERE b = $1
//! ```
//!
//! The number is PostgreSQL's `queryid` in kind, not in value: there it is made of the bytes of its
//! own trees. It is the same on every start, as long as the objects keep their OIDs.

mod constants;
mod jumble;

use std::ops::Range;

use crate::ast::Statement;
use crate::bound::BoundStatement;
use crate::parser::{Token, TokenKind, all_tokens};

/// What a statement means, as far as it is known by that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meaning {
    /// Its identifier; 0 for one that means nothing before it runs.
    pub id: i64,
    /// The greatest number of a parameter, those of a function that are written as names too.
    pub parameter_max: usize,
}

/// What a statement means.
#[must_use]
pub fn of_meaning(statement: &BoundStatement) -> Meaning {
    match jumble::bytes_of(statement) {
        // 0 says that there is none, and 2 is a utility's.
        Some((bytes, parameter_max)) => Meaning { id: never_zero(&bytes, 1), parameter_max },
        None => Meaning { id: 0, parameter_max: 0 },
    }
}

/// The identifier of a statement that is known by its text alone.
#[must_use]
pub fn of_text(text: &str) -> i64 {
    never_zero(text.as_bytes(), 2)
}

fn never_zero(bytes: &[u8], instead: i64) -> i64 {
    match aegis_types::hash::bytes(bytes, 0).cast_signed() {
        0 => instead,
        hash => hash,
    }
}

/// Where a statement's own text lies in the string that it was parsed from, which may hold several:
/// the comments before and behind it belong to it, the semicolon does not.
#[must_use]
pub fn extent(source: &str, location: u32, length: u32) -> Range<usize> {
    let tokens = all_tokens(source);
    let semicolons = || tokens.iter().filter(|token| token.kind == TokenKind::Char(';'));
    let before = semicolons().take_while(|token| token.start < location).last();
    let after = semicolons().find(|token| token.start >= location.saturating_add(length));
    let start = before.map_or(0, |token| token.end as usize);
    let end = after.map_or(source.len(), |token| token.start as usize);
    let text = source.get(start..end).unwrap_or_default();
    let white = |character: char| matches!(character, ' ' | '\t' | '\n' | '\r' | '\u{c}');
    let start = start + (text.len() - text.trim_start_matches(white).len());
    start..start + text.trim_matches(white).len()
}

/// A statement's text with a parameter in the place of every constant, numbered behind those that
/// it has itself.
#[must_use]
pub fn normalized(
    source: &str,
    extent: Range<usize>,
    statement: &Statement,
    parameter_max: usize,
) -> String {
    let tokens = all_tokens(source);
    let mut text = String::with_capacity(extent.len());
    let mut number = parameter_max;
    let mut copied = extent.start;
    for constant in &constants::of(statement) {
        let start = constant.location as usize;
        if start < copied || start >= extent.end {
            continue;
        }
        let Some(end) = end_of(&tokens, constant).filter(|end| *end <= extent.end) else {
            continue;
        };
        number = number.saturating_add(1);
        text.push_str(source.get(copied..start).unwrap_or_default());
        text.push_str(&format!("${number}"));
        copied = end;
    }
    text.push_str(source.get(copied..extent.end).unwrap_or_default());
    text
}

/// Where a constant ends; none where the text there only implies it, as `FETCH FIRST ROW` does 1.
fn end_of(tokens: &[Token], constant: &constants::Constant) -> Option<usize> {
    let at = tokens.binary_search_by_key(&constant.location, |token| token.start).ok()?;
    let is_written = match &tokens[at].kind {
        TokenKind::Char('-' | '+') => return tokens.get(at + 1).map(|token| token.end as usize),
        TokenKind::Keyword(_) => constant.is_word,
        TokenKind::Ident(_) => true,
        kind => matches!(
            kind,
            TokenKind::Integer(_)
                | TokenKind::Float(_)
                | TokenKind::String(_)
                | TokenKind::BitString(_)
        ),
    };
    is_written.then_some(tokens[at].end as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(source: &str) -> Vec<String> {
        let statements = crate::parser::parse(source).unwrap();
        let text = |raw: &crate::ast::RawStatement| {
            normalized(source, extent(source, raw.location, raw.length), &raw.statement, 0)
        };
        statements.iter().map(text).collect()
    }

    #[test]
    fn constants_become_parameters_and_nothing_else_does() {
        for (source, text) in [
            ("SELECT -5, 'x', true, null", "SELECT $1, $2, $3, $4"),
            ("SELECT date '2020-01-01', 'a'::varchar(3)", "SELECT date $1, $2::varchar(3)"),
            ("SELECT interval '1' day, b'1', E'\\n'", "SELECT interval $1 day, $2, $3"),
            ("SELECT a FROM t WHERE a IS NULL AND b IN (1, 2)", {
                "SELECT a FROM t WHERE a IS NULL AND b IN ($1, $2)"
            }),
            ("SELECT a FROM t ORDER BY 1 LIMIT 5", "SELECT a FROM t ORDER BY 1 LIMIT $1"),
            ("SELECT a FROM t FETCH FIRST ROW ONLY", "SELECT a FROM t FETCH FIRST ROW ONLY"),
            ("SELECT extract(year FROM d)", "SELECT extract($1 FROM d)"),
            ("SELECT a + 1 FROM t GROUP BY a + 1", "SELECT a + $1 FROM t GROUP BY a + 1"),
            ("SELECT a + 1 FROM t GROUP BY a + 2", "SELECT a + $1 FROM t GROUP BY a + $2"),
            ("INSERT INTO t VALUES (1, DEFAULT)", "INSERT INTO t VALUES ($1, DEFAULT)"),
            ("UPDATE t SET a = -1 WHERE b = 'é'", "UPDATE t SET a = $1 WHERE b = $2"),
        ] {
            assert_eq!(texts(source), [text], "{source}");
        }
    }

    #[test]
    fn each_statement_of_a_string_has_its_comments() {
        let found = texts("/* a */ SELECT 1 -- b\n; /* c; */ SELECT 2;\n SELECT 'x'  ");
        assert_eq!(found, ["/* a */ SELECT $1 -- b", "/* c; */ SELECT $1", "SELECT $1"]);
    }

    #[test]
    fn chains_of_thousands_take_no_stack() {
        let source = format!("SELECT 1{}", " + 1".repeat(4_000));
        assert!(texts(&source)[0].ends_with("+ $4001"));
    }
}
