//! PostgreSQL's advanced regular expressions (PostgreSQL 15, chapter 9.7.3) over `regex-automata`.
//!
//! ```text
//! pattern ──translate──► the same in Rust's syntax, and which match the whole prefers
//!                           │
//!        leftmost start ◄── search        end ◄── lazy DFA over all matches, longest or shortest
//!        parts ◄── the pattern once more, held to exactly that stretch
//! ```
//!
//! As in PostgreSQL the match begins as far left as it can and is then the longest, or the shortest
//! where the first quantifier is non-greedy, whatever order alternatives are written in. How
//! parentheses divide the match follows Perl's rules within it, which differs from PostgreSQL's
//! only where an alternative earlier in the list is a prefix of a later one. The time is linear in
//! the text. Back references and lookaround are matched by trying, in [`backtrack`].

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::meta;
use regex_automata::nfa::thompson;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind};

use crate::error::{SqlError, SqlResult};
use crate::sqlstate::SqlState;

mod backtrack;
mod bracket;
mod translate;

pub(super) use translate::Flags;

/// How many compiled expressions a thread keeps: PostgreSQL's number.
const CACHE_MAX: usize = 32;
/// The most bytes that a compiled expression's automaton may take.
const AUTOMATON_BYTES_MAX: usize = 10 << 20;

/// Where a group matched, in bytes; `None` if it took no part.
pub(super) type Span = Option<(usize, usize)>;

/// `2201B`.
fn invalid(reason: &str) -> SqlError {
    SqlError::new(
        SqlState::InvalidRegularExpression,
        format!("invalid regular expression: {reason}"),
    )
}

/// A compiled expression.
pub(super) struct Regex {
    translated: translate::Translated,
    search: Search,
    ends: OnceCell<(DFA, RefCell<Cache>)>,
    parts: OnceCell<meta::Regex>,
}

/// What finds a match.
enum Search {
    Automaton(meta::Regex),
    Backtracking(backtrack::Pattern),
}

thread_local! {
    /// The most recently used last.
    static CACHE: RefCell<Vec<(String, Flags, Rc<Regex>)>> = const { RefCell::new(Vec::new()) };
}

/// Whether the pattern matches anywhere: `~` and, ignoring case, `~*`.
///
/// # Errors
/// 2201B, 0A000.
pub(super) fn is_match(text: &str, pattern: &str, ignore_case: bool) -> SqlResult<bool> {
    let flags = Flags { ignore_case, ..Flags::default() };
    let regex = compile(pattern, flags)?;
    match &regex.search {
        Search::Automaton(search) => Ok(search.is_match(text)),
        Search::Backtracking(_) => Ok(regex.find(text, 0)?.is_some()),
    }
}

/// The compiled expression, from this thread's cache if it is there.
///
/// # Errors
/// 2201B, 0A000.
pub(super) fn compile(pattern: &str, flags: Flags) -> SqlResult<Rc<Regex>> {
    CACHE.with_borrow_mut(|cache| {
        let found = cache.iter().rposition(|(cached, with, _)| cached == pattern && *with == flags);
        if let Some(at) = found {
            let entry = cache.remove(at);
            let regex = Rc::clone(&entry.2);
            cache.push(entry);
            return Ok(regex);
        }
        let regex = Rc::new(Regex::new(pattern, flags)?);
        if cache.len() >= CACHE_MAX {
            cache.remove(0);
        }
        cache.push((pattern.to_owned(), flags, Rc::clone(&regex)));
        Ok(regex)
    })
}

/// Bytes may be matched one by one inside `(?-u:…)`, which is used for word boundaries alone.
fn syntax() -> syntax::Config {
    syntax::Config::new().utf8(false)
}

fn build(pattern: &str) -> SqlResult<meta::Regex> {
    meta::Regex::builder()
        .syntax(syntax())
        .configure(meta::Config::new().nfa_size_limit(Some(AUTOMATON_BYTES_MAX)))
        .build(pattern)
        .map_err(|_| invalid("regular expression is too complex"))
}

impl Regex {
    fn new(pattern: &str, flags: Flags) -> SqlResult<Self> {
        let translated = translate::translate(pattern, flags)?;
        let search = if translated.backtracks {
            let (groups, shortest) = (translated.groups, translated.shortest);
            let pattern = backtrack::Pattern::new(&translated.pattern, groups, shortest)?;
            Search::Backtracking(pattern)
        } else {
            Search::Automaton(build(&translated.pattern)?)
        };
        Ok(Self { translated, search, ends: OnceCell::new(), parts: OnceCell::new() })
    }

    /// How many capturing groups there are.
    pub(super) fn group_count(&self) -> usize {
        self.translated.groups
    }

    /// The first match at or behind the byte `from`: the whole, then each group.
    ///
    /// # Errors
    /// 2201B if an automaton would become too large.
    pub(super) fn find(&self, text: &str, from: usize) -> SqlResult<Option<Vec<Span>>> {
        let search = match &self.search {
            Search::Automaton(search) => search,
            Search::Backtracking(pattern) => {
                return pattern.find(text, from, self.translated.ignore_case);
            }
        };
        let Some(found) = search.search(&Input::new(text).range(from..)) else {
            return Ok(None);
        };
        let start = found.start();
        let end = self.end(text, start)?;
        let mut spans = vec![Some((start, end))];
        if self.translated.groups > 0 {
            self.divide(text, start, end, &mut spans)?;
        }
        Ok(Some(spans))
    }

    /// The end of the longest, or shortest, match that begins at `start`.
    fn end(&self, text: &str, start: usize) -> SqlResult<usize> {
        let (dfa, cache) = match self.ends.get() {
            Some(ends) => ends,
            None => {
                let dfa = DFA::builder()
                    .syntax(syntax())
                    .thompson(thompson::Config::new().nfa_size_limit(Some(AUTOMATON_BYTES_MAX)))
                    .configure(
                        DFA::config().match_kind(MatchKind::All).skip_cache_capacity_check(true),
                    )
                    .build(&self.translated.pattern)
                    .map_err(|_| invalid("regular expression is too complex"))?;
                let cache = RefCell::new(dfa.create_cache());
                self.ends.get_or_init(|| (dfa, cache))
            }
        };
        let input = Input::new(text)
            .range(start..)
            .anchored(Anchored::Yes)
            .earliest(self.translated.shortest);
        let found = dfa
            .try_search_fwd(&mut cache.borrow_mut(), &input)
            .map_err(|error| SqlError::internal(format!("regular expression failed: {error}")))?;
        found.map(|end| end.offset()).ok_or_else(|| {
            SqlError::internal(
                "two automata of one regular expression disagree on where it matches",
            )
        })
    }

    /// How the groups divide the match.
    fn divide(&self, text: &str, start: usize, end: usize, spans: &mut Vec<Span>) -> SqlResult<()> {
        let parts = match self.parts.get() {
            Some(parts) => parts,
            None => {
                let whole = build(&format!("(?:{})\\z", self.translated.pattern))?;
                self.parts.get_or_init(|| whole)
            }
        };
        let mut captures = parts.create_captures();
        let input = Input::new(&text[..end]).range(start..).anchored(Anchored::Yes);
        parts.search_captures(&input, &mut captures);
        spans.extend(
            (1..=self.translated.groups)
                .map(|group| captures.get_group(group).map(|span| (span.start, span.end))),
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests;
