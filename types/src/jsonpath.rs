//! `jsonpath`: the path language of SQL/JSON (PostgreSQL 15, chapter 9.16.2).
//!
//! ```text
//! text ── lexer ──► parse ──► Path ──► print      the form that PostgreSQL shows
//!                              │
//!                              └──► execute ──► values, or nothing, or an error
//! ```
//!
//! A path is kept as text: the one that [`Path::stored`] gives, with every operation in parentheses,
//! since the form that is shown cannot always be read again (`($.a + 1.b)`). Only what stands on the left
//! of its like goes without: a long sum needs no deep nesting. It is parsed where it is
//! used, and remembered by the thread.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use crate::error::{SqlError, SqlResult};
use crate::numeric::Numeric;
use crate::sqlstate::SqlState;

mod lexer;
mod parse;
mod print;
mod item;
mod layout;
mod moment;
mod execute;

pub(crate) use execute::{Found, Question, run};
pub(crate) use item::Item;

/// How deep a path nests at most, steps that follow each other counted too: whatever recurses over
/// it needs a known share of the stack.
const DEPTH_MAX: usize = 500;
/// How many paths a thread keeps.
const CACHE_MAX: usize = 32;

/// A path: its nodes, each named by its place.
#[derive(Clone, Debug)]
pub struct Path {
    lax: bool,
    nodes: Vec<Node>,
    root: usize,
}

/// A step with the one that follows it.
#[derive(Clone, Debug)]
struct Node {
    kind: Kind,
    next: Option<usize>,
}

#[derive(Clone, Debug)]
enum Kind {
    /// `$`
    Root,
    /// `@`
    Current,
    /// `last`
    Last,
    Null,
    Bool(bool),
    Number(Numeric),
    String(Arc<str>),
    /// `$name`
    Variable(Arc<str>),
    /// `.key`
    Key(Arc<str>),
    /// `.*`
    AnyKey,
    /// `[*]`
    AnyElement,
    /// `[from to to, …]`
    Index(Vec<(usize, Option<usize>)>),
    /// `.**{first to last}`; `last` is [`LAST_LEVEL`].
    Any {
        first: u32,
        last: u32,
    },
    Arithmetic(Arithmetic, usize, usize),
    /// `+x`, `-x`
    Sign {
        negative: bool,
        arg: usize,
    },
    Compare(Comparison, usize, usize),
    And(usize, usize),
    Or(usize, usize),
    Not(usize),
    IsUnknown(usize),
    Exists(usize),
    StartsWith(usize, usize),
    LikeRegex {
        arg: usize,
        pattern: Arc<str>,
        flags: RegexFlags,
    },
    /// `?(…)`
    Filter(usize),
    /// `.type()` and its like.
    Method(Method),
    /// `.datetime(…)`
    Datetime(Option<Arc<str>>),
}

/// The level of leaves, whatever it is: `last`.
const LAST_LEVEL: u32 = u32::MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

impl Arithmetic {
    const fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

impl Comparison {
    const fn symbol(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Type,
    Size,
    Double,
    Ceiling,
    Floor,
    Abs,
    KeyValue,
}

impl Method {
    const ALL: [Self; 7] = [
        Self::Type,
        Self::Size,
        Self::Double,
        Self::Ceiling,
        Self::Floor,
        Self::Abs,
        Self::KeyValue,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Type => "type",
            Self::Size => "size",
            Self::Double => "double",
            Self::Ceiling => "ceiling",
            Self::Floor => "floor",
            Self::Abs => "abs",
            Self::KeyValue => "keyvalue",
        }
    }
}

/// The flags of `like_regex`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RegexFlags {
    /// `i`
    pub(crate) ignore_case: bool,
    /// `s`: a dot matches a newline.
    pub(crate) dot_all: bool,
    /// `m`: `^` and `$` match at newlines.
    pub(crate) multi_line: bool,
    /// `x`: not implemented by PostgreSQL unless `q` makes it meaningless.
    expanded: bool,
    /// `q`: the pattern is a literal string.
    pub(crate) quoted: bool,
}

impl Path {
    /// Reads a path.
    ///
    /// # Errors
    /// 42601, 22P02, 22P05, 2201B, 22003, 0A000, and 54001 for what nests too deep.
    pub fn parse(text: &str) -> SqlResult<Self> {
        parse::parse(text)
    }

    /// The path that a stored text says, from this thread's cache if it is there.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub(crate) fn remembered(text: &str) -> SqlResult<Rc<Self>> {
        thread_local! {
            static CACHE: RefCell<Vec<(Arc<str>, Rc<Path>)>> = const { RefCell::new(Vec::new()) };
        }
        CACHE.with_borrow_mut(|cache| {
            if let Some(at) = cache.iter().rposition(|(known, _)| &**known == text) {
                let entry = cache.remove(at);
                cache.push(entry.clone());
                return Ok(entry.1);
            }
            let path = Rc::new(parse::parse_stored(text)?);
            if cache.len() >= CACHE_MAX {
                cache.remove(0);
            }
            cache.push((text.into(), Rc::clone(&path)));
            Ok(path)
        })
    }
}

/// 42601 with a message of the lexer's or the parser's, and what it stopped at.
fn syntax(message: &str, near: &str) -> SqlError {
    let place = if near.is_empty() {
        format!("{message} at end of jsonpath input")
    } else {
        format!("{message} at or near \"{near}\" of jsonpath input")
    };
    SqlError::new(SqlState::SyntaxError, place)
}

#[cfg(test)]
mod tests;
