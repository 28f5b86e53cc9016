//! The grammar of paths (PostgreSQL's `jsonpath_gram.y`). Values and conditions are two kinds of
//! expressions: what stands between parentheses decides which it is.

use std::sync::Arc;

use super::lexer::{Lexeme, Lexer, Token};
use super::{
    Arithmetic, Comparison, DEPTH_MAX, Kind, LAST_LEVEL, Method, Node, Path, RegexFlags, syntax,
};
use crate::error::{SqlError, SqlResult};
use crate::json;
use crate::numeric::Numeric;
use crate::sqlstate::SqlState;

/// How deep parentheses nest at most.
const NESTING_MAX: usize = 200;
/// Likewise in a stored path, where each of them may have become two.
const STORED_NESTING_MAX: usize = 2 * NESTING_MAX + 10;

const KEYWORDS: [&str; 22] = [
    "is",
    "to",
    "abs",
    "lax",
    "flag",
    "last",
    "null",
    "size",
    "true",
    "type",
    "with",
    "false",
    "floor",
    "double",
    "exists",
    "starts",
    "strict",
    "ceiling",
    "unknown",
    "datetime",
    "keyvalue",
    "like_regex",
];

/// The keyword that a name is: `null`, `true` and `false` in lower case only.
fn keyword(name: &str) -> Option<&'static str> {
    let word = KEYWORDS.into_iter().find(|word| word.eq_ignore_ascii_case(name))?;
    let exact = matches!(word, "null" | "true" | "false");
    (!exact || word == name).then_some(word)
}

/// What was parsed.
#[derive(Clone, Copy)]
enum Parsed {
    Value(usize),
    Condition(usize),
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    next: Lexeme,
    nodes: Vec<Node>,
    depth: usize,
    depth_max: usize,
}

/// Reads a path as somebody wrote it.
pub(super) fn parse(text: &str) -> SqlResult<Path> {
    parse_to(text, NESTING_MAX)
}

/// Reads a path as it is stored.
pub(super) fn parse_stored(text: &str) -> SqlResult<Path> {
    parse_to(text, STORED_NESTING_MAX)
}

fn parse_to(text: &str, depth_max: usize) -> SqlResult<Path> {
    let mut lexer = Lexer::new(text);
    let next = lexer.next()?;
    if next.token == Token::End {
        return Err(SqlError::new(
            SqlState::InvalidTextRepresentation,
            format!("invalid input syntax for type jsonpath: \"{text}\""),
        ));
    }
    let mut parser = Parser { lexer, next, nodes: Vec::new(), depth: 0, depth_max };
    let strict = parser.accept_word("strict")?;
    if !strict {
        parser.accept_word("lax")?;
    }
    let (Parsed::Value(root) | Parsed::Condition(root)) = parser.any()?;
    if parser.next.token != Token::End {
        return Err(parser.unexpected());
    }
    let path = Path { lax: !strict, nodes: parser.nodes, root };
    check(&path, root, Place { depth: 0, in_filter: false, in_subscript: false })?;
    Ok(path)
}

/// Where a node stands.
#[derive(Clone, Copy)]
struct Place {
    depth: usize,
    in_filter: bool,
    in_subscript: bool,
}

/// Refuses `@` and `last` where they mean nothing, and what nests too deep.
fn check(path: &Path, at: usize, place: Place) -> SqlResult<()> {
    if place.depth > DEPTH_MAX {
        return Err(json::too_deep());
    }
    let place = Place { depth: place.depth + 1, ..place };
    let wrong = |message: &str| Err(SqlError::new(SqlState::SyntaxError, message));
    match &path.nodes[at].kind {
        Kind::Current if !place.in_filter => return wrong("@ is not allowed in root expressions"),
        Kind::Last if !place.in_subscript => {
            return wrong("LAST is allowed only in array subscripts");
        }
        Kind::Index(subscripts) => {
            for (from, to) in subscripts {
                for at in std::iter::once(from).chain(to) {
                    check(path, *at, Place { in_subscript: true, ..place })?;
                }
            }
        }
        Kind::Arithmetic(_, left, right)
        | Kind::Compare(_, left, right)
        | Kind::And(left, right)
        | Kind::Or(left, right)
        | Kind::StartsWith(left, right) => {
            check(path, *left, place)?;
            check(path, *right, place)?;
        }
        Kind::Filter(arg) => check(path, *arg, Place { in_filter: true, ..place })?,
        Kind::Sign { arg, .. }
        | Kind::Not(arg)
        | Kind::IsUnknown(arg)
        | Kind::Exists(arg)
        | Kind::LikeRegex { arg, .. } => check(path, *arg, place)?,
        _ => {}
    }
    match path.nodes[at].next {
        Some(next) => check(path, next, place),
        None => Ok(()),
    }
}

impl Parser<'_> {
    fn advance(&mut self) -> SqlResult<Lexeme> {
        let next = self.lexer.next()?;
        Ok(std::mem::replace(&mut self.next, next))
    }

    fn unexpected(&self) -> SqlError {
        syntax("syntax error", &self.next.near)
    }

    fn at_mark(&self, mark: &str) -> bool {
        matches!(self.next.token, Token::Mark(next) if next == mark)
    }

    fn accept_mark(&mut self, mark: &str) -> SqlResult<bool> {
        let found = self.at_mark(mark);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn expect_mark(&mut self, mark: &str) -> SqlResult<()> {
        if self.accept_mark(mark)? { Ok(()) } else { Err(self.unexpected()) }
    }

    fn word(&self) -> Option<&'static str> {
        match &self.next.token {
            Token::Name(name) => keyword(name),
            _ => None,
        }
    }

    fn accept_word(&mut self, word: &str) -> SqlResult<bool> {
        let found = self.word() == Some(word);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn expect_word(&mut self, word: &str) -> SqlResult<()> {
        if self.accept_word(word)? { Ok(()) } else { Err(self.unexpected()) }
    }

    fn add(&mut self, kind: Kind) -> usize {
        self.nodes.push(Node { kind, next: None });
        self.nodes.len() - 1
    }

    fn value(&self, parsed: Parsed) -> SqlResult<usize> {
        match parsed {
            Parsed::Value(at) => Ok(at),
            Parsed::Condition(_) => Err(self.unexpected()),
        }
    }

    fn condition(&self, parsed: Parsed) -> SqlResult<usize> {
        match parsed {
            Parsed::Condition(at) => Ok(at),
            Parsed::Value(_) => Err(self.unexpected()),
        }
    }

    fn any(&mut self) -> SqlResult<Parsed> {
        self.depth += 1;
        if self.depth > self.depth_max {
            return Err(json::too_deep());
        }
        let mut left = self.conjunction()?;
        while let Parsed::Condition(one) = left
            && self.accept_mark("||")?
        {
            let other = self.conjunction()?;
            let other = self.condition(other)?;
            left = Parsed::Condition(self.add(Kind::Or(one, other)));
        }
        self.depth -= 1;
        Ok(left)
    }

    fn conjunction(&mut self) -> SqlResult<Parsed> {
        let mut left = self.test()?;
        while let Parsed::Condition(one) = left
            && self.accept_mark("&&")?
        {
            let other = self.test()?;
            let other = self.condition(other)?;
            left = Parsed::Condition(self.add(Kind::And(one, other)));
        }
        Ok(left)
    }

    /// A comparison or another test; or a value.
    fn test(&mut self) -> SqlResult<Parsed> {
        if self.accept_mark("!")? {
            let inner = if self.at_mark("(") {
                self.enclosed_condition()?
            } else if self.accept_word("exists")? {
                self.exists()?
            } else {
                return Err(self.unexpected());
            };
            return Ok(Parsed::Condition(self.add(Kind::Not(inner))));
        }
        let left = match self.sum()? {
            Parsed::Value(left) => left,
            condition @ Parsed::Condition(_) => return Ok(condition),
        };
        let comparison = match self.next.token {
            Token::Mark("==") => Some(Comparison::Equal),
            Token::Mark("!=" | "<>") => Some(Comparison::NotEqual),
            Token::Mark("<") => Some(Comparison::Less),
            Token::Mark("<=") => Some(Comparison::LessEqual),
            Token::Mark(">") => Some(Comparison::Greater),
            Token::Mark(">=") => Some(Comparison::GreaterEqual),
            _ => None,
        };
        let kind = if let Some(comparison) = comparison {
            self.advance()?;
            let right = self.sum()?;
            Kind::Compare(comparison, left, self.value(right)?)
        } else if self.accept_word("starts")? {
            self.expect_word("with")?;
            let initial = match &self.next.token {
                Token::String(text) => Kind::String(text.as_str().into()),
                Token::Variable(name) => Kind::Variable(name.as_str().into()),
                _ => return Err(self.unexpected()),
            };
            self.advance()?;
            let initial = self.add(initial);
            Kind::StartsWith(left, initial)
        } else if self.accept_word("like_regex")? {
            self.like_regex(left)?
        } else {
            return Ok(Parsed::Value(left));
        };
        Ok(Parsed::Condition(self.add(kind)))
    }

    fn string(&mut self) -> SqlResult<Arc<str>> {
        let Token::String(text) = &self.next.token else { return Err(self.unexpected()) };
        let text = text.as_str().into();
        self.advance()?;
        Ok(text)
    }

    fn like_regex(&mut self, arg: usize) -> SqlResult<Kind> {
        let pattern = self.string()?;
        let mut flags = RegexFlags::default();
        if self.accept_word("flag")? {
            for letter in self.string()?.chars() {
                let flag = match letter {
                    'i' => &mut flags.ignore_case,
                    's' => &mut flags.dot_all,
                    'm' => &mut flags.multi_line,
                    'x' => &mut flags.expanded,
                    'q' => &mut flags.quoted,
                    other => {
                        return Err(SqlError::new(
                            SqlState::SyntaxError,
                            "invalid input syntax for type jsonpath",
                        )
                        .detail(format!(
                            "Unrecognized flag character \"{other}\" in LIKE_REGEX predicate."
                        )));
                    }
                };
                *flag = true;
            }
        }
        if flags.expanded && !flags.quoted {
            return Err(SqlError::new(
                SqlState::FeatureNotSupported,
                "XQuery \"x\" flag (expanded regular expressions) is not implemented",
            ));
        }
        crate::functions::like_regex(None, &pattern, flags, crate::Ctype::C)?;
        Ok(Kind::LikeRegex { arg, pattern, flags })
    }

    /// `(condition)`
    fn enclosed_condition(&mut self) -> SqlResult<usize> {
        self.expect_mark("(")?;
        let inner = self.any()?;
        let inner = self.condition(inner)?;
        self.expect_mark(")")?;
        Ok(inner)
    }

    /// `exists (value)`, whose word has been taken.
    fn exists(&mut self) -> SqlResult<usize> {
        self.expect_mark("(")?;
        let inner = self.any()?;
        let inner = self.value(inner)?;
        self.expect_mark(")")?;
        Ok(self.add(Kind::Exists(inner)))
    }

    fn sum(&mut self) -> SqlResult<Parsed> {
        let mut left = self.product()?;
        while let Parsed::Value(one) = left {
            let operator = match self.next.token {
                Token::Mark("+") => Arithmetic::Add,
                Token::Mark("-") => Arithmetic::Subtract,
                _ => break,
            };
            self.advance()?;
            let other = self.product()?;
            let other = self.value(other)?;
            left = Parsed::Value(self.add(Kind::Arithmetic(operator, one, other)));
        }
        Ok(left)
    }

    fn product(&mut self) -> SqlResult<Parsed> {
        let mut left = self.signed()?;
        while let Parsed::Value(one) = left {
            let operator = match self.next.token {
                Token::Mark("*") => Arithmetic::Multiply,
                Token::Mark("/") => Arithmetic::Divide,
                Token::Mark("%") => Arithmetic::Modulo,
                _ => break,
            };
            self.advance()?;
            let other = self.signed()?;
            let other = self.value(other)?;
            left = Parsed::Value(self.add(Kind::Arithmetic(operator, one, other)));
        }
        Ok(left)
    }

    fn signed(&mut self) -> SqlResult<Parsed> {
        let mut signs = Vec::new();
        loop {
            if self.accept_mark("-")? {
                signs.push(true);
            } else if self.accept_mark("+")? {
                signs.push(false);
            } else {
                break;
            }
        }
        let parsed = self.primary()?;
        if signs.is_empty() {
            return Ok(parsed);
        }
        let mut arg = self.value(parsed)?;
        for negative in signs.into_iter().rev() {
            let node = &mut self.nodes[arg];
            match &mut node.kind {
                Kind::Number(number) if node.next.is_none() => {
                    if negative {
                        *number = number.neg();
                    }
                }
                _ => arg = self.add(Kind::Sign { negative, arg }),
            }
        }
        Ok(Parsed::Value(arg))
    }

    fn primary(&mut self) -> SqlResult<Parsed> {
        let kind = match &self.next.token {
            Token::Mark("(") => return self.parenthesized(),
            Token::Mark("$") => Kind::Root,
            Token::Mark("@") => Kind::Current,
            Token::String(text) => Kind::String(text.as_str().into()),
            Token::Variable(name) => Kind::Variable(name.as_str().into()),
            Token::Integer(text) | Token::Numeric(text) => Kind::Number(Numeric::parse(text)?),
            Token::Name(_) => match self.word() {
                Some("null") => Kind::Null,
                Some("true") => Kind::Bool(true),
                Some("false") => Kind::Bool(false),
                Some("last") => Kind::Last,
                Some("exists") => {
                    self.advance()?;
                    return self.exists().map(Parsed::Condition);
                }
                _ => return Err(self.unexpected()),
            },
            _ => return Err(self.unexpected()),
        };
        self.advance()?;
        let at = self.add(kind);
        self.accessors(at)?;
        Ok(Parsed::Value(at))
    }

    fn parenthesized(&mut self) -> SqlResult<Parsed> {
        self.expect_mark("(")?;
        let inner = self.any()?;
        self.expect_mark(")")?;
        let at = match inner {
            Parsed::Value(at) => at,
            Parsed::Condition(at) => {
                if self.accept_word("is")? {
                    self.expect_word("unknown")?;
                    return Ok(Parsed::Condition(self.add(Kind::IsUnknown(at))));
                }
                if !self.accessors(at)? {
                    return Ok(inner);
                }
                return Ok(Parsed::Value(at));
            }
        };
        self.accessors(at)?;
        Ok(Parsed::Value(at))
    }

    /// Appends the accessors that follow; whether there are any.
    fn accessors(&mut self, head: usize) -> SqlResult<bool> {
        let mut last = head;
        while let Some(next) = self.nodes[last].next {
            last = next;
        }
        let mut any = false;
        while let Some(kind) = self.accessor()? {
            let at = self.add(kind);
            self.nodes[last].next = Some(at);
            last = at;
            any = true;
        }
        Ok(any)
    }

    fn accessor(&mut self) -> SqlResult<Option<Kind>> {
        if self.accept_mark("?")? {
            return self.enclosed_condition().map(|arg| Some(Kind::Filter(arg)));
        }
        if self.accept_mark("[")? {
            return self.subscripts().map(Some);
        }
        if !self.accept_mark(".")? {
            return Ok(None);
        }
        if self.accept_mark("*")? {
            return Ok(Some(Kind::AnyKey));
        }
        if self.accept_mark("**")? {
            return self.levels().map(Some);
        }
        match &self.next.token {
            Token::String(text) => {
                let key = Kind::Key(text.as_str().into());
                self.advance()?;
                Ok(Some(key))
            }
            Token::Name(name) => {
                let (word, name) = (keyword(name), name.clone());
                self.advance()?;
                self.method(word, &name).map(Some)
            }
            _ => Err(self.unexpected()),
        }
    }

    /// A method where parentheses follow its name, else a key.
    fn method(&mut self, word: Option<&str>, name: &str) -> SqlResult<Kind> {
        let method = Method::ALL.into_iter().find(|method| Some(method.name()) == word);
        if !self.at_mark("(") || (method.is_none() && word != Some("datetime")) {
            return Ok(Kind::Key(name.into()));
        }
        self.advance()?;
        let kind = match method {
            Some(method) => Kind::Method(method),
            None if self.at_mark(")") => Kind::Datetime(None),
            None => Kind::Datetime(Some(self.string()?)),
        };
        self.expect_mark(")")?;
        Ok(kind)
    }

    fn subscripts(&mut self) -> SqlResult<Kind> {
        if self.accept_mark("*")? {
            self.expect_mark("]")?;
            return Ok(Kind::AnyElement);
        }
        let mut subscripts = Vec::new();
        loop {
            let from = self.nested_sum()?;
            let to = if self.accept_word("to")? { Some(self.nested_sum()?) } else { None };
            subscripts.push((from, to));
            if !self.accept_mark(",")? {
                break;
            }
        }
        self.expect_mark("]")?;
        Ok(Kind::Index(subscripts))
    }

    fn nested_sum(&mut self) -> SqlResult<usize> {
        self.depth += 1;
        if self.depth > self.depth_max {
            return Err(json::too_deep());
        }
        let parsed = self.sum()?;
        self.depth -= 1;
        self.value(parsed)
    }

    /// `**`, whose mark has been taken, with its levels.
    fn levels(&mut self) -> SqlResult<Kind> {
        if !self.accept_mark("{")? {
            return Ok(Kind::Any { first: 0, last: LAST_LEVEL });
        }
        let first = self.level()?;
        let last = if self.accept_word("to")? { self.level()? } else { first };
        self.expect_mark("}")?;
        Ok(Kind::Any { first, last })
    }

    fn level(&mut self) -> SqlResult<u32> {
        let level = match &self.next.token {
            Token::Integer(text) => crate::integer::parse_int4(text)?.cast_unsigned(),
            _ if self.word() == Some("last") => LAST_LEVEL,
            _ => return Err(self.unexpected()),
        };
        self.advance()?;
        Ok(level)
    }
}
