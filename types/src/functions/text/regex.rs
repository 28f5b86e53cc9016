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
//! the text. Back references and lookaround are matched by trying, in [`backtrack`], and so are edges
//! of words in texts whose words the automata see otherwise.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;
use std::sync::LazyLock;

use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::meta;
use regex_automata::nfa::thompson;
use regex_automata::nfa::thompson::pikevm::{self, PikeVM};
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind};

use crate::ctype::Ctype;
use crate::error::{SqlError, SqlResult};
use crate::sqlstate::SqlState;

mod backtrack;
mod basic;
mod bracket;
mod translate;

pub(super) use translate::Flags;
use translate::Translated;

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
    pattern: String,
    /// The flags that it was given, those of the pattern itself aside.
    flags: Flags,
    translated: Translated,
    /// Over ASCII: classes have few members there, and automata are small.
    narrow: Search,
    /// Over other text.
    wide: OnceCell<(Translated, Search)>,
    /// Over text whose words the automata see otherwise.
    trying: OnceCell<backtrack::Pattern>,
}

/// What finds a match.
enum Search {
    Automaton(Box<Automaton>),
    Trying(backtrack::Pattern),
}

/// Automata: where a match begins, where it ends, how its groups divide it.
struct Automaton {
    pattern: String,
    /// Whether words have edges outside of ASCII.
    has_wide_edges: bool,
    search: meta::Regex,
    ends: OnceCell<Ends>,
    parts: OnceCell<meta::Regex>,
}

/// What finds the end of a match.
enum Ends {
    Lazy(Box<(DFA, RefCell<Cache>)>),
    /// Where words have edges outside of ASCII.
    Simulated(Box<(PikeVM, RefCell<pikevm::Cache>)>),
}

/// An expression over one text.
pub(super) struct Subject<'a> {
    text: &'a str,
    translated: &'a Translated,
    way: Way<'a>,
}

enum Way<'a> {
    Automaton(&'a Automaton),
    Trying(&'a backtrack::Pattern),
}

/// How the translation writes that there is an edge of a word, or none.
const ASCII_EDGE: &str = "(?-u:\\";
const UNICODE_EDGE: &str = "(?:\\";

/// Finds a character that is in words for Unicode's edges and not for the collation, or the other
/// way round.
static OTHER_WORDS: LazyLock<meta::Regex> = LazyLock::new(|| {
    meta::Regex::new(&format!("[\\w~~[{}]]", bracket::word_members()))
        .expect("ranges of characters are a class")
});

thread_local! {
    /// The most recently used last.
    static CACHE: RefCell<Vec<(String, Flags, Rc<Regex>)>> = const { RefCell::new(Vec::new()) };
}

/// Whether the pattern matches anywhere: `~` and, ignoring case, `~*`.
///
/// # Errors
/// 2201B, 0A000.
pub(super) fn is_match(
    text: &str,
    pattern: &str,
    ignore_case: bool,
    ctype: Ctype,
) -> SqlResult<bool> {
    let flags = Flags { ignore_case, ctype, ..Flags::default() };
    let regex = compile(pattern, flags)?;
    let subject = regex.over(text)?;
    match subject.way {
        Way::Automaton(automaton) => Ok(automaton.search.is_match(text)),
        Way::Trying(_) => Ok(subject.find(0)?.is_some()),
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
        .map_err(|_| too_complex())
}

fn too_complex() -> SqlError {
    invalid("regular expression is too complex")
}

impl Regex {
    fn new(pattern: &str, flags: Flags) -> SqlResult<Self> {
        let narrow = Flags { ascii_only: flags.ctype == Ctype::Unicode, ..flags };
        let translated = translate::translate(pattern, narrow)?;
        let narrow = Search::new(&translated, ASCII_EDGE)?;
        let pattern = pattern.to_owned();
        let (wide, trying) = (OnceCell::new(), OnceCell::new());
        Ok(Self { pattern, flags, translated, narrow, wide, trying })
    }

    /// How many capturing groups there are.
    pub(super) fn group_count(&self) -> usize {
        self.translated.groups
    }

    /// The expression over a text.
    ///
    /// # Errors
    /// 2201B if it is too complex.
    pub(super) fn over<'a>(&'a self, text: &'a str) -> SqlResult<Subject<'a>> {
        if self.flags.ctype == Ctype::C || text.is_ascii() {
            let way = self.narrow.way();
            return Ok(Subject { text, translated: &self.translated, way });
        }
        let (translated, search) = match self.wide.get() {
            Some(wide) => wide,
            None => {
                let translated = translate::translate(&self.pattern, self.flags)?;
                // An automaton would have its states for every repetition.
                let search = match Search::new(&translated, UNICODE_EDGE) {
                    Ok(search) => search,
                    Err(_) => Search::Trying(translated.backtracking()?),
                };
                self.wide.get_or_init(|| (translated, search))
            }
        };
        let way = match search {
            Search::Automaton(_)
                if translated.pattern.contains(ASCII_EDGE) && OTHER_WORDS.is_match(text) =>
            {
                Way::Trying(match self.trying.get() {
                    Some(pattern) => pattern,
                    None => {
                        let pattern = translated.backtracking()?;
                        self.trying.get_or_init(|| pattern)
                    }
                })
            }
            search => search.way(),
        };
        Ok(Subject { text, translated, way })
    }
}

impl Search {
    /// What finds the matches of a translation, with the edges of words written as said.
    fn new(translated: &Translated, edge: &str) -> SqlResult<Self> {
        if translated.backtracks {
            return translated.backtracking().map(Self::Trying);
        }
        let pattern = translated.pattern.replace(ASCII_EDGE, edge);
        let search = build(&pattern)?;
        let has_wide_edges = pattern != translated.pattern;
        let (ends, parts) = (OnceCell::new(), OnceCell::new());
        Ok(Self::Automaton(Box::new(Automaton { pattern, has_wide_edges, search, ends, parts })))
    }

    fn way(&self) -> Way<'_> {
        match self {
            Self::Automaton(automaton) => Way::Automaton(automaton),
            Self::Trying(pattern) => Way::Trying(pattern),
        }
    }
}

impl Ends {
    fn new(pattern: &str, has_wide_edges: bool) -> SqlResult<Self> {
        let nfa = thompson::Config::new().nfa_size_limit(Some(AUTOMATON_BYTES_MAX));
        if has_wide_edges {
            let machine = PikeVM::builder()
                .syntax(syntax())
                .thompson(nfa)
                .configure(PikeVM::config().match_kind(MatchKind::All))
                .build(pattern)
                .map_err(|_| too_complex())?;
            let cache = RefCell::new(machine.create_cache());
            return Ok(Self::Simulated(Box::new((machine, cache))));
        }
        let config = DFA::config().match_kind(MatchKind::All).skip_cache_capacity_check(true);
        let dfa = DFA::builder()
            .syntax(syntax())
            .thompson(nfa)
            .configure(config)
            .build(pattern)
            .map_err(|_| too_complex())?;
        let cache = RefCell::new(dfa.create_cache());
        Ok(Self::Lazy(Box::new((dfa, cache))))
    }
}

impl Automaton {
    /// The end of the longest, or shortest, match that begins at `start`.
    fn end(&self, text: &str, start: usize, shortest: bool) -> SqlResult<usize> {
        let ends = match self.ends.get() {
            Some(ends) => ends,
            None => {
                let ends = Ends::new(&self.pattern, self.has_wide_edges)?;
                self.ends.get_or_init(|| ends)
            }
        };
        let input = Input::new(text).range(start..).anchored(Anchored::Yes).earliest(shortest);
        let end = match ends {
            Ends::Lazy(lazy) => lazy
                .0
                .try_search_fwd(&mut lazy.1.borrow_mut(), &input)
                .map_err(|error| SqlError::internal(format!("regular expression failed: {error}")))?
                .map(|end| end.offset()),
            Ends::Simulated(simulated) => {
                let mut slots = [None; 2];
                simulated.0.search_slots(&mut simulated.1.borrow_mut(), &input, &mut slots);
                slots[1].map(|end| end.get())
            }
        };
        end.ok_or_else(|| {
            SqlError::internal(
                "two automata of one regular expression disagree on where it matches",
            )
        })
    }

    /// How the groups divide a match.
    fn divide(
        &self,
        text: &str,
        (start, end): (usize, usize),
        groups: usize,
        spans: &mut Vec<Span>,
    ) -> SqlResult<()> {
        let parts = match self.parts.get() {
            Some(parts) => parts,
            None => {
                let whole = build(&format!("(?:{})\\z", self.pattern))?;
                self.parts.get_or_init(|| whole)
            }
        };
        let mut captures = parts.create_captures();
        let input = Input::new(&text[..end]).range(start..).anchored(Anchored::Yes);
        parts.search_captures(&input, &mut captures);
        spans.extend(
            (1..=groups).map(|group| captures.get_group(group).map(|span| (span.start, span.end))),
        );
        Ok(())
    }
}

impl Subject<'_> {
    /// The first match at or behind the byte `from`: the whole, then each group.
    ///
    /// # Errors
    /// 2201B if it is too complex.
    pub(super) fn find(&self, from: usize) -> SqlResult<Option<Vec<Span>>> {
        let automaton = match self.way {
            Way::Automaton(automaton) => automaton,
            Way::Trying(pattern) => return pattern.find(self.text, from, self.translated.flags),
        };
        let Some(found) = automaton.search.search(&Input::new(self.text).range(from..)) else {
            return Ok(None);
        };
        let start = found.start();
        let end = automaton.end(self.text, start, self.translated.shortest)?;
        let mut spans = vec![Some((start, end))];
        if self.translated.groups > 0 {
            automaton.divide(self.text, (start, end), self.translated.groups, &mut spans)?;
        }
        Ok(Some(spans))
    }
}

#[cfg(test)]
mod tests;
