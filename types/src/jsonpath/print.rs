//! Paths as text: as PostgreSQL shows them, and as they are stored.

use super::{Arithmetic, Kind, LAST_LEVEL, Path};
use crate::json::write_string;

/// How tightly an item binds.
fn priority(kind: &Kind) -> u8 {
    match kind {
        Kind::Or(..) => 0,
        Kind::And(..) => 1,
        Kind::Compare(..) | Kind::StartsWith(..) => 2,
        Kind::Arithmetic(Arithmetic::Add | Arithmetic::Subtract, ..) => 3,
        Kind::Arithmetic(..) => 4,
        Kind::Sign { .. } => 5,
        _ => 6,
    }
}

struct Printer<'a> {
    path: &'a Path,
    out: Vec<u8>,
    /// Every operation in parentheses, so that it can be read again.
    stored: bool,
    /// The item that comes next goes without them.
    bare: bool,
}

impl Path {
    /// The form that is shown.
    #[must_use]
    pub fn shown(&self) -> String {
        self.print(false)
    }

    /// The form that is kept: it parses to the same path.
    #[must_use]
    pub fn stored(&self) -> String {
        self.print(true)
    }

    fn print(&self, stored: bool) -> String {
        let mut printer = Printer { path: self, out: Vec::new(), stored, bare: false };
        if !self.lax {
            printer.put("strict ");
        }
        printer.item(self.root, false, true);
        String::from_utf8(printer.out).expect("a path is written from strings alone")
    }
}

impl Printer<'_> {
    fn put(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    /// An operand, in parentheses if it binds no tighter than what it is an operand of.
    fn operand(&mut self, at: usize, of: &Kind) {
        let weak = priority(&self.path.nodes[at].kind) <= priority(of);
        self.item(at, false, weak);
    }

    /// The operand on the left: where the path is stored, bare if it is read as the left one anyway.
    fn left_operand(&mut self, at: usize, of: &Kind) {
        let node = &self.path.nodes[at];
        let alike = matches!(
            (&node.kind, of),
            (Kind::And(..), Kind::And(..))
                | (Kind::Or(..), Kind::Or(..))
                | (Kind::Arithmetic(..), Kind::Arithmetic(..))
                | (Kind::Sign { .. }, Kind::Sign { .. })
        ) && priority(&node.kind) == priority(of);
        let bare = self.stored && alike && node.next.is_none();
        self.bare = bare;
        self.operand(at, of);
        self.bare = false;
    }

    fn binary(&mut self, left: usize, symbol: &str, right: usize, of: &Kind, brackets: bool) {
        let bare = std::mem::take(&mut self.bare);
        if !bare {
            self.open(brackets);
        }
        self.left_operand(left, of);
        self.put(" ");
        self.put(symbol);
        self.put(" ");
        self.operand(right, of);
        if !bare {
            self.close(brackets);
        }
    }

    fn open(&mut self, brackets: bool) {
        if brackets || self.stored {
            self.put("(");
        }
    }

    fn close(&mut self, brackets: bool) {
        if brackets || self.stored {
            self.put(")");
        }
    }

    /// An item and what follows it. `in_key`: behind another one.
    fn item(&mut self, at: usize, in_key: bool, brackets: bool) {
        let path = self.path;
        let node = &path.nodes[at];
        let dot = if in_key { "." } else { "" };
        match &node.kind {
            Kind::Root => self.put("$"),
            Kind::Current => self.put("@"),
            Kind::Last => self.put("last"),
            Kind::Null => self.put("null"),
            Kind::Bool(value) => self.put(if *value { "true" } else { "false" }),
            Kind::Number(number) => {
                if node.next.is_some() {
                    self.put("(");
                }
                number.write_text(&mut self.out);
                if node.next.is_some() {
                    self.put(")");
                }
            }
            Kind::String(text) => write_string(text, &mut self.out),
            Kind::Variable(name) => {
                self.put("$");
                write_string(name, &mut self.out);
            }
            Kind::Key(key) => {
                self.put(dot);
                write_string(key, &mut self.out);
            }
            Kind::AnyKey => {
                self.put(dot);
                self.put("*");
            }
            Kind::AnyElement => self.put("[*]"),
            Kind::Index(subscripts) => self.subscripts(subscripts),
            Kind::Any { first, last } => {
                self.put(dot);
                self.levels(*first, *last);
            }
            Kind::Arithmetic(operator, left, right) => {
                self.binary(*left, operator.symbol(), *right, &node.kind, brackets);
            }
            Kind::Compare(operator, left, right) => {
                self.binary(*left, operator.symbol(), *right, &node.kind, brackets);
            }
            Kind::And(left, right) => self.binary(*left, "&&", *right, &node.kind, brackets),
            Kind::Or(left, right) => self.binary(*left, "||", *right, &node.kind, brackets),
            Kind::StartsWith(left, right) => {
                self.binary(*left, "starts with", *right, &node.kind, brackets);
            }
            Kind::LikeRegex { arg, pattern, flags } => {
                self.open(brackets);
                self.operand(*arg, &node.kind);
                self.put(" like_regex ");
                write_string(pattern, &mut self.out);
                let letters = [
                    ("i", flags.ignore_case),
                    ("s", flags.dot_all),
                    ("m", flags.multi_line),
                    ("x", flags.expanded),
                    ("q", flags.quoted),
                ];
                if letters.iter().any(|(_, set)| *set) {
                    self.put(" flag \"");
                    letters.iter().filter(|(_, set)| *set).for_each(|(letter, _)| self.put(letter));
                    self.put("\"");
                }
                self.close(brackets);
            }
            Kind::Sign { negative, arg } => {
                let bare = std::mem::take(&mut self.bare);
                if !bare {
                    self.open(brackets);
                }
                self.put(if *negative { "-" } else { "+" });
                self.left_operand(*arg, &node.kind);
                if !bare {
                    self.close(brackets);
                }
            }
            Kind::Filter(arg) => self.around("?(", *arg, ")"),
            Kind::Not(arg) => self.test("!(", *arg, ")"),
            Kind::Exists(arg) => self.test("exists (", *arg, ")"),
            Kind::IsUnknown(arg) => self.test("(", *arg, ") is unknown"),
            Kind::Method(method) => {
                self.put(".");
                self.put(method.name());
                self.put("()");
            }
            Kind::Datetime(template) => {
                self.put(".datetime(");
                if let Some(template) = template {
                    write_string(template, &mut self.out);
                }
                self.put(")");
            }
        }
        if let Some(next) = node.next {
            self.item(next, true, true);
        }
    }

    fn around(&mut self, before: &str, arg: usize, after: &str) {
        self.put(before);
        self.item(arg, false, false);
        self.put(after);
    }

    fn test(&mut self, before: &str, arg: usize, after: &str) {
        self.open(false);
        self.around(before, arg, after);
        self.close(false);
    }

    fn subscripts(&mut self, subscripts: &[(usize, Option<usize>)]) {
        self.put("[");
        for (at, (from, to)) in subscripts.iter().enumerate() {
            if at > 0 {
                self.put(",");
            }
            self.item(*from, false, false);
            if let Some(to) = to {
                self.put(" to ");
                self.item(*to, false, false);
            }
        }
        self.put("]");
    }

    fn levels(&mut self, first: u32, last: u32) {
        let level = |level: u32| match level {
            LAST_LEVEL => "last".to_owned(),
            level => level.to_string(),
        };
        self.put("**");
        if (first, last) == (0, LAST_LEVEL) {
            return;
        }
        self.put("{");
        self.put(&level(first));
        if first != last {
            self.put(" to ");
            self.put(&level(last));
        }
        self.put("}");
    }
}
