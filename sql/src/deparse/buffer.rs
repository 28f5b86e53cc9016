//! The text that is being printed: lines, indentation, and the queries that are open.

use std::collections::{BTreeSet, HashSet};

use aegis_types::Oid;

use super::Deparser;
use super::names::Level;
use super::plan::PlanPrint;

/// The indentation of clauses.
pub(super) const INDENT_CLAUSE: i32 = 8;
/// The indentation of joins.
pub(super) const INDENT_JOIN: i32 = 4;
/// The indentation of what is broken within a clause.
pub(super) const INDENT_BROKEN: i32 = 4;
/// Beyond this indentation grows slower.
const INDENT_LIMIT: i32 = 40;

/// Text in the making.
pub(super) struct Printer<'a> {
    pub(super) deparser: &'a Deparser<'a>,
    pub(super) text: String,
    pub(super) indent: i32,
    /// Whether no line is begun: an expression that is printed by itself, and those of a plan.
    pub(super) one_line: bool,
    /// The queries around, innermost last.
    pub(super) levels: Vec<Level<'a>>,
    /// Names that no entry of a range table may get.
    pub(super) reserved: HashSet<String>,
    /// Whether the next query is a side of a set operation, which converts its columns by itself.
    pub(super) side: bool,
    /// The relations that were named (column 0) and their columns.
    pub(super) uses: BTreeSet<(Oid, i16)>,
    /// What holds for an expression of a plan.
    pub(super) plan: Option<PlanPrint<'a>>,
}

impl<'a> Printer<'a> {
    pub(super) fn new(deparser: &'a Deparser<'a>) -> Self {
        Self {
            deparser,
            text: String::new(),
            indent: 0,
            one_line: false,
            levels: Vec::new(),
            reserved: HashSet::new(),
            side: false,
            uses: BTreeSet::new(),
            plan: None,
        }
    }

    pub(super) fn reserve(&mut self, names: &[&str]) {
        self.reserved.extend(names.iter().map(|name| (*name).to_owned()));
    }

    pub(super) fn finish(self) -> String {
        self.text
    }

    /// Whether parentheses that are not needed are left out.
    pub(super) const fn pretty(&self) -> bool {
        self.deparser.layout.pretty
    }

    pub(super) fn put(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Begins a line with a keyword (`appendContextKeyword`).
    pub(super) fn keyword(&mut self, word: &str, before: i32, after: i32, plus: i32) {
        if self.one_line {
            let word = word.trim_start();
            self.trim_spaces();
            if !word.starts_with(')') {
                self.begin_query();
            }
            self.text.push_str(word);
            return;
        }
        self.indent += before;
        self.trim_spaces();
        self.text.push('\n');
        let mut amount = self.indent.max(0);
        if self.indent >= INDENT_LIMIT {
            amount = INDENT_LIMIT + (self.indent - INDENT_LIMIT) / (INDENT_CLAUSE / 2);
            amount %= INDENT_LIMIT;
        }
        let amount = usize::try_from(amount + plus.max(0)).unwrap_or_default();
        self.text.extend(std::iter::repeat_n(' ', amount));
        self.text.push_str(word);
        self.indent = (self.indent + after).max(0);
    }

    /// The space that a query begins with, unless it stands where a line has room for none.
    pub(super) fn begin_query(&mut self) {
        if !self.one_line || !(self.text.is_empty() || self.text.ends_with([' ', '('])) {
            self.text.push(' ');
        }
    }

    /// Removes the spaces at the end.
    pub(super) fn trim_spaces(&mut self) {
        let kept = self.text.trim_end_matches(' ').len();
        self.text.truncate(kept);
    }

    /// What `print` prints, apart from the text so far.
    pub(super) fn apart<E>(
        &mut self,
        print: impl FnOnce(&mut Self) -> Result<(), E>,
    ) -> Result<String, E> {
        let outer = std::mem::take(&mut self.text);
        let result = print(self);
        let inner = std::mem::replace(&mut self.text, outer);
        result.map(|()| inner)
    }

    /// Puts an item of a list, on a line of its own where it would pass the wrapping column or where
    /// `broken` says so. The first item stays where it is.
    pub(super) fn put_item(&mut self, item: &str, first: bool, broken: bool) {
        let wrap = self.deparser.layout.wrap_column;
        if !self.one_line
            && let Ok(wrap) = usize::try_from(wrap)
        {
            if item.starts_with('\n') {
                self.trim_spaces();
            } else if !first {
                let line = self.text.len() - self.text.rfind('\n').map_or(0, |at| at + 1);
                if line + item.len() > wrap || broken {
                    self.keyword("", -INDENT_CLAUSE, INDENT_CLAUSE, INDENT_BROKEN);
                }
            }
        }
        self.text.push_str(item);
    }
}
