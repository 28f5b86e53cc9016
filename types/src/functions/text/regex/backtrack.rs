//! Matching with back references and lookaround, which no automaton can do.
//!
//! Takes the translation of a pattern apart again and tries where it matches: the leftmost start, and
//! from there the longest end (or the shortest), as the automata do. Within a match each part takes
//! as much as it prefers, the first part first (PostgreSQL's `cdissect`). The work is bounded; what
//! needs more is refused.

use std::cell::RefCell;
use std::collections::HashMap;

use regex_automata::meta;

use super::{Flags, Span, build, too_complex};
use crate::error::SqlResult;

/// How many steps one search may take.
const STEPS_MAX: usize = 5_000_000;
/// How deep a match may nest: each level is a frame of the stack.
const DEPTH_MAX: usize = 1500;
/// How many results are remembered.
const KNOWN_MAX: usize = 1 << 18;

/// The words of the translation that only this module reads.
pub(super) const BACK_REFERENCE: &str = "\\K";

/// A pattern taken apart.
pub(super) struct Pattern {
    nodes: Vec<Node>,
    root: usize,
    shortest: bool,
    groups: usize,
}

/// A part of a pattern.
struct Node {
    kind: Kind,
    /// The fewest and the most characters that it takes.
    length: (usize, Option<usize>),
    /// Whether a back reference is in it: then what it matches depends on the groups so far.
    refers: bool,
    /// Whether a group is in it.
    captures: bool,
    /// Whether it prefers to be short.
    lazy: bool,
}

enum Kind {
    Empty,
    /// A character of a set.
    Set(Set),
    /// A place: `^`, `\y` and their like.
    Place(Place),
    Look {
        inner: usize,
        ahead: bool,
        negated: bool,
    },
    Back(usize),
    Group(usize, usize),
    Sequence(Vec<usize>),
    Choice(Vec<usize>),
    Repeat {
        inner: usize,
        least: usize,
        most: Option<usize>,
    },
}

/// A place between two characters.
#[derive(Clone, Copy)]
enum Place {
    TextStart,
    TextEnd,
    LineStart,
    LineEnd,
    WordStart,
    WordEnd,
    WordEdge,
    NoWordEdge,
}

/// The characters that a piece of the translation matches, found out as they are asked for.
struct Set {
    regex: meta::Regex,
    ascii: RefCell<[Option<bool>; 128]>,
}

impl Set {
    fn has(&self, character: char) -> bool {
        let ask = || {
            let mut buffer = [0; 4];
            self.regex.is_match(&*character.encode_utf8(&mut buffer))
        };
        match self.ascii.borrow_mut().get_mut(character as usize) {
            Some(known) => *known.get_or_insert_with(ask),
            None => ask(),
        }
    }
}

impl Pattern {
    /// Takes a translation apart.
    ///
    /// # Errors
    /// 2201B where it is too complex.
    pub(super) fn new(translated: &str, groups: usize, shortest: bool) -> SqlResult<Self> {
        let mut parser = Parser { rest: translated, nodes: Vec::new(), groups: 0, depth: 0 };
        let root = parser.choice()?;
        Ok(Self { nodes: parser.nodes, root, shortest, groups })
    }

    /// The first match at or behind the byte `from`: the whole, then each group.
    ///
    /// # Errors
    /// 2201B where it takes too long.
    pub(super) fn find(
        &self,
        text: &str,
        from: usize,
        flags: Flags,
    ) -> SqlResult<Option<Vec<Span>>> {
        let (mut characters, mut bytes): (Vec<char>, Vec<usize>) = (Vec::new(), Vec::new());
        for (byte, character) in text.char_indices() {
            characters.push(character);
            bytes.push(byte);
        }
        bytes.push(text.len());
        let count = characters.len();
        let first = bytes.partition_point(|byte| *byte < from);
        let mut search = Search {
            pattern: self,
            characters,
            bytes,
            flags,
            groups: vec![None; self.groups + 1],
            known: HashMap::new(),
            steps: 0,
            depth: 0,
        };
        let (least, most) = self.nodes[self.root].length;
        for start in first..=count {
            let longest = most.map_or(count, |most| count.min(start.saturating_add(most)));
            let lengths = (start + least..=longest).map(|end| end - start);
            let tried: Box<dyn Iterator<Item = usize>> =
                if self.shortest { Box::new(lengths) } else { Box::new(lengths.rev()) };
            for length in tried {
                if search.matches(self.root, start, start + length)? {
                    let span = |(from, to): (usize, usize)| (search.bytes[from], search.bytes[to]);
                    let mut spans = vec![Some(span((start, start + length)))];
                    spans.extend(search.groups[1..].iter().map(|group| group.map(span)));
                    return Ok(Some(spans));
                }
            }
        }
        Ok(None)
    }
}

/// Reads a translation.
struct Parser<'a> {
    rest: &'a str,
    nodes: Vec<Node>,
    groups: usize,
    depth: usize,
}

impl Parser<'_> {
    fn accept(&mut self, prefix: &str) -> bool {
        let found = self.rest.strip_prefix(prefix);
        self.rest = found.unwrap_or(self.rest);
        found.is_some()
    }

    fn add(&mut self, kind: Kind) -> usize {
        let of = |at: &usize| &self.nodes[*at];
        let add = |a: Option<usize>, b: Option<usize>| a.zip(b).and_then(|(a, b)| a.checked_add(b));
        let (length, parts): (_, Vec<usize>) = match &kind {
            Kind::Empty | Kind::Place(_) => ((0, Some(0)), Vec::new()),
            Kind::Look { inner, .. } => ((0, Some(0)), vec![*inner]),
            Kind::Set(_) => ((1, Some(1)), Vec::new()),
            Kind::Back(_) => ((0, None), Vec::new()),
            Kind::Group(inner, _) => (of(inner).length, vec![*inner]),
            Kind::Sequence(parts) => {
                let least = parts.iter().map(|at| of(at).length.0).sum();
                let most = parts.iter().map(|at| of(at).length.1).fold(Some(0), add);
                ((least, most), parts.clone())
            }
            Kind::Choice(parts) => {
                let least = parts.iter().map(|at| of(at).length.0).min().unwrap_or(0);
                let most = parts.iter().map(|at| of(at).length.1);
                let most = most.collect::<Option<Vec<_>>>().map(|all| all.into_iter().max());
                ((least, most.map(Option::unwrap_or_default)), parts.clone())
            }
            Kind::Repeat { inner, least, most } => {
                let (low, high) = of(inner).length;
                let high = high.zip(*most).and_then(|(high, most)| high.checked_mul(most));
                ((low.saturating_mul(*least), high), vec![*inner])
            }
        };
        let refers = matches!(kind, Kind::Back(_)) || parts.iter().any(|at| self.nodes[*at].refers);
        let captures =
            matches!(kind, Kind::Group(..)) || parts.iter().any(|at| self.nodes[*at].captures);
        let lazy = match &kind {
            Kind::Group(inner, _) => of(inner).lazy,
            Kind::Sequence(parts) => {
                // The first part that can be long or short decides.
                let open = parts.iter().map(of).find(|node| node.length.1 != Some(node.length.0));
                open.is_some_and(|node| node.lazy)
            }
            _ => false,
        };
        self.nodes.push(Node { kind, length, refers, captures, lazy });
        self.nodes.len() - 1
    }

    fn choice(&mut self) -> SqlResult<usize> {
        self.depth += 1;
        if self.depth > 200 {
            return Err(too_complex());
        }
        let mut branches = vec![self.sequence()?];
        while self.accept("|") {
            branches.push(self.sequence()?);
        }
        self.depth -= 1;
        Ok(if branches.len() == 1 { branches[0] } else { self.add(Kind::Choice(branches)) })
    }

    fn sequence(&mut self) -> SqlResult<usize> {
        let mut parts = Vec::new();
        while !self.rest.is_empty() && !self.rest.starts_with(['|', ')']) {
            let atom = self.atom()?;
            let part = self.repeated(atom);
            parts.push(part);
        }
        Ok(match parts.len() {
            0 => self.add(Kind::Empty),
            1 => parts[0],
            _ => self.add(Kind::Sequence(parts)),
        })
    }

    fn atom(&mut self) -> SqlResult<usize> {
        for (written, place) in [
            ("(?m:^)", Place::LineStart),
            ("(?m:$)", Place::LineEnd),
            ("(?-u:\\b{start})", Place::WordStart),
            ("(?-u:\\b{end})", Place::WordEnd),
            ("(?-u:\\b)", Place::WordEdge),
            ("(?-u:\\B)", Place::NoWordEdge),
            ("\\A", Place::TextStart),
            ("\\z", Place::TextEnd),
        ] {
            if self.accept(written) {
                return Ok(self.add(Kind::Place(place)));
            }
        }
        if self.accept("(?s:.)") {
            return self.set("(?s:.)");
        }
        if let Some(rest) = self.rest.strip_prefix(BACK_REFERENCE) {
            let end = rest.find('}').unwrap_or(rest.len());
            let number = rest[..end].trim_start_matches('{').parse().map_err(|_| too_complex())?;
            self.rest = rest.get(end + 1..).unwrap_or_default();
            return Ok(self.add(Kind::Back(number)));
        }
        for (word, ahead, negated) in [
            ("(?=", true, false),
            ("(?!", true, true),
            ("(?<=", false, false),
            ("(?<!", false, true),
        ] {
            if self.accept(word) {
                let inner = self.choice()?;
                self.accept(")");
                return Ok(self.add(Kind::Look { inner, ahead, negated }));
            }
        }
        if self.accept("(?:") || self.accept("(?U:") {
            let inner = self.choice()?;
            self.accept(")");
            return Ok(inner);
        }
        if self.accept("(") {
            self.groups += 1;
            let number = self.groups;
            let inner = self.choice()?;
            self.accept(")");
            return Ok(self.add(Kind::Group(inner, number)));
        }
        let length = if self.rest.starts_with('[') {
            bracket_length(self.rest)
        } else {
            // A literal: `\x{…}`.
            self.rest.find('}').map_or(self.rest.len(), |at| at + 1)
        };
        let (class, rest) = self.rest.split_at(length);
        let class = class.to_owned();
        self.rest = rest;
        self.set(&class)
    }

    fn set(&mut self, class: &str) -> SqlResult<usize> {
        let regex = build(&format!("\\A(?:{class})\\z"))?;
        Ok(self.add(Kind::Set(Set { regex, ascii: RefCell::new([None; 128]) })))
    }

    fn repeated(&mut self, atom: usize) -> usize {
        let (least, most) = if self.accept("*") {
            (0, None)
        } else if self.accept("+") {
            (1, None)
        } else if self.accept("?") {
            (0, Some(1))
        } else if self.rest.starts_with('{')
            && let Some(end) = self.rest.find('}')
        {
            let bounds = &self.rest[1..end];
            let (low, high) = bounds.split_once(',').unwrap_or((bounds, bounds));
            let bounds = (low.parse().unwrap_or(0), high.parse().ok());
            self.rest = &self.rest[end + 1..];
            bounds
        } else {
            return atom;
        };
        let lazy = self.accept("?");
        let at = self.add(Kind::Repeat { inner: atom, least, most });
        self.nodes[at].lazy = lazy;
        at
    }
}

/// How long the bracket expression at the front is, in bytes.
fn bracket_length(text: &str) -> usize {
    let mut depth = 0;
    let mut escaped = false;
    for (at, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '[' => depth += 1,
            ']' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    text.len()
}

/// One search.
struct Search<'a> {
    pattern: &'a Pattern,
    characters: Vec<char>,
    /// Where each character begins, and the end.
    bytes: Vec<usize>,
    flags: Flags,
    groups: Vec<Option<(usize, usize)>>,
    /// What does not depend on groups and has none: whether it matches there.
    known: HashMap<(usize, usize, usize), bool>,
    steps: usize,
    depth: usize,
}

impl Search<'_> {
    /// Whether a part matches exactly the characters between two places; its groups are set if so.
    fn matches(&mut self, at: usize, from: usize, to: usize) -> SqlResult<bool> {
        let node = &self.pattern.nodes[at];
        let length = to - from;
        if length < node.length.0 || node.length.1.is_some_and(|most| length > most) {
            return Ok(false);
        }
        self.steps += 1;
        if self.steps > STEPS_MAX || self.depth > DEPTH_MAX {
            return Err(too_complex());
        }
        let plain = !node.refers && !node.captures;
        let keeps =
            plain && matches!(node.kind, Kind::Sequence(_) | Kind::Choice(_) | Kind::Repeat { .. });
        if keeps && let Some(known) = self.known.get(&(at, from, to)) {
            return Ok(*known);
        }
        self.depth += 1;
        let before = if plain { None } else { Some(self.groups.clone()) };
        let found = self.part(at, from, to)?;
        self.depth -= 1;
        if !found && let Some(before) = before {
            self.groups = before;
        }
        if keeps && self.known.len() < KNOWN_MAX {
            self.known.insert((at, from, to), found);
        }
        Ok(found)
    }

    fn part(&mut self, at: usize, from: usize, to: usize) -> SqlResult<bool> {
        let pattern = self.pattern;
        match &pattern.nodes[at].kind {
            Kind::Empty => Ok(true),
            Kind::Set(set) => Ok(set.has(self.characters[from])),
            Kind::Place(place) => Ok(self.is_at(*place, from)),
            Kind::Look { inner, ahead, negated } => {
                let count = self.characters.len();
                let mut found = false;
                let others = if *ahead { from..count + 1 } else { 0..from + 1 };
                for other in others {
                    let (start, end) = if *ahead { (from, other) } else { (other, from) };
                    if self.matches(*inner, start, end)? {
                        found = true;
                        break;
                    }
                }
                Ok(found != *negated)
            }
            Kind::Back(number) => Ok(self.repeats(*number, from, to)),
            Kind::Group(inner, number) => {
                if !self.matches(*inner, from, to)? {
                    return Ok(false);
                }
                self.groups[*number] = Some((from, to));
                Ok(true)
            }
            Kind::Sequence(parts) => self.sequence(parts, from, to),
            Kind::Choice(branches) => {
                for branch in branches {
                    if self.matches(*branch, from, to)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Kind::Repeat { inner, least, most } => {
                if from == to && *least == 0 {
                    return Ok(true);
                }
                if let Kind::Set(set) = &pattern.nodes[*inner].kind {
                    // As many characters as times: the length was checked.
                    return Ok(self.characters[from..to].iter().all(|c| set.has(*c)));
                }
                self.repeat(*inner, (*least).max(1), *most, from, to)
            }
        }
    }

    fn is_at(&self, place: Place, at: usize) -> bool {
        let before = at.checked_sub(1).map(|before| self.characters[before]);
        let behind = self.characters.get(at).copied();
        let is_word = |c: Option<char>| c.is_some_and(|c| self.flags.ctype.is_word(c));
        let (left, right) = (is_word(before), is_word(behind));
        match place {
            Place::TextStart => before.is_none(),
            Place::TextEnd => behind.is_none(),
            Place::LineStart => before.is_none_or(|c| c == '\n'),
            Place::LineEnd => behind.is_none_or(|c| c == '\n'),
            Place::WordStart => !left && right,
            Place::WordEnd => left && !right,
            Place::WordEdge => left != right,
            Place::NoWordEdge => left == right,
        }
    }

    fn repeats(&self, number: usize, from: usize, to: usize) -> bool {
        let Some(Some((start, end))) = self.groups.get(number) else { return false };
        let (before, here) = (&self.characters[*start..*end], &self.characters[from..to]);
        let ctype = self.flags.ctype;
        let same = |a: char, b: char| {
            a == b || self.flags.ignore_case && ctype.to_lower(a) == ctype.to_lower(b)
        };
        before.len() == here.len() && before.iter().zip(here).all(|(a, b)| same(*a, *b))
    }

    /// The places at which a part that begins at `from` may end, those that it prefers first.
    fn ends(&self, part: usize, from: usize, last: usize) -> Vec<usize> {
        let node = &self.pattern.nodes[part];
        let first = from.saturating_add(node.length.0);
        let last = node.length.1.map_or(last, |most| last.min(from.saturating_add(most)));
        let ends = first..=last;
        if node.lazy { ends.collect() } else { ends.rev().collect() }
    }

    fn sequence(&mut self, parts: &[usize], from: usize, to: usize) -> SqlResult<bool> {
        let [first, rest @ ..] = parts else { return Ok(from == to) };
        if rest.is_empty() {
            return self.matches(*first, from, to);
        }
        let least: usize = rest.iter().map(|at| self.pattern.nodes[*at].length.0).sum();
        if from + least > to {
            return Ok(false);
        }
        self.deeper(|search| {
            for middle in search.ends(*first, from, to - least) {
                let before = search.groups.clone();
                if search.matches(*first, from, middle)? && search.sequence(rest, middle, to)? {
                    return Ok(true);
                }
                search.groups = before;
            }
            Ok(false)
        })
    }

    fn repeat(
        &mut self,
        inner: usize,
        least: usize,
        most: Option<usize>,
        from: usize,
        to: usize,
    ) -> SqlResult<bool> {
        if most == Some(0) {
            return Ok(false);
        }
        self.deeper(|search| {
            for middle in search.ends(inner, from, to) {
                // Further times take at least a character, or they would never end.
                if middle == from && least <= 1 && from != to {
                    continue;
                }
                let before = search.groups.clone();
                if search.matches(inner, from, middle)? {
                    let is_last = middle == to && least <= 1;
                    if is_last {
                        return Ok(true);
                    }
                    let left = most.map(|most| most - 1);
                    if search.repeat(inner, least.saturating_sub(1), left, middle, to)? {
                        return Ok(true);
                    }
                }
                search.groups = before;
            }
            Ok(false)
        })
    }

    fn deeper(&mut self, work: impl FnOnce(&mut Self) -> SqlResult<bool>) -> SqlResult<bool> {
        self.steps += 1;
        if self.depth > DEPTH_MAX || self.steps > STEPS_MAX {
            return Err(too_complex());
        }
        self.depth += 1;
        let result = work(self);
        self.depth -= 1;
        result
    }
}
