//! What letters are, and their other case: `LC_CTYPE`, and the collations of expressions.
//!
//! Two locales exist: `C`, where ASCII alone has letters, and `C.UTF-8`, which knows all of Unicode.
//! The tables are what the GNU C library of PostgreSQL 15's image says of every code point: case is
//! mapped character by character, so that `ß` stays as it is. Order is that of bytes in both.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

/// The classes and mappings: name, first, last in hexadecimal; a mapping has a stride and a
/// difference.
const TABLE: &str = include_str!("../data/ctype.tsv");

/// Whose letters count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Ctype {
    /// ASCII's.
    C,
    /// Unicode's.
    #[default]
    Unicode,
}

/// A collation. All of them order by bytes; what letters are differs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Collation {
    /// The database's.
    #[default]
    Default,
    /// `C`
    C,
    /// `POSIX`
    Posix,
    /// `ucs_basic`
    UcsBasic,
    /// `C.utf8`
    Unicode,
}

impl Collation {
    /// Its name in `pg_collation`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::C => "C",
            Self::Posix => "POSIX",
            Self::UcsBasic => "ucs_basic",
            Self::Unicode => "C.utf8",
        }
    }

    /// Its OID in `pg_collation`.
    #[must_use]
    pub const fn oid(self) -> crate::Oid {
        crate::Oid(match self {
            Self::Default => 100,
            Self::C => 950,
            Self::Posix => 951,
            Self::UcsBasic => 12340,
            Self::Unicode => 12341,
        })
    }

    /// The collation of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Default, Self::C, Self::Posix, Self::UcsBasic, Self::Unicode]
            .into_iter()
            .find(|collation| collation.name() == name)
    }

    /// The collation with this OID.
    #[must_use]
    pub fn with_oid(oid: crate::Oid) -> Option<Self> {
        [Self::Default, Self::C, Self::Posix, Self::UcsBasic, Self::Unicode]
            .into_iter()
            .find(|collation| collation.oid() == oid)
    }

    /// Whose letters count, in a database of this `LC_CTYPE`.
    #[must_use]
    pub const fn ctype(self, database: Ctype) -> Ctype {
        match self {
            Self::Default => database,
            Self::C | Self::Posix | Self::UcsBasic => Ctype::C,
            Self::Unicode => Ctype::Unicode,
        }
    }
}

/// The classes that regular expressions name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Alpha,
    Alnum,
    Print,
    Graph,
    Punct,
    Space,
    Upper,
    Lower,
    /// Letters, digits and the underscore.
    Word,
}

/// Characters from the first to the last.
pub(crate) type Range = (char, char);

/// Characters from the first to the last at a distance, and what is added to each.
struct Mapping {
    first: u32,
    last: u32,
    stride: u32,
    change: i32,
}

#[derive(Default)]
struct Tables {
    alpha: Vec<Range>,
    alnum: Vec<Range>,
    print: Vec<Range>,
    graph: Vec<Range>,
    punct: Vec<Range>,
    space: Vec<Range>,
    upper: Vec<Range>,
    lower: Vec<Range>,
    word: Vec<Range>,
    to_upper: Vec<Mapping>,
    to_lower: Vec<Mapping>,
}

static TABLES: LazyLock<Tables> = LazyLock::new(|| {
    let mut tables = Tables::default();
    for line in TABLE.lines() {
        let mut fields = line.split('\t');
        let name = fields.next().unwrap_or_default();
        let mut code = || u32::from_str_radix(fields.next().unwrap_or_default(), 16).unwrap_or(0);
        let (first, last) = (code(), code());
        let mut number = || fields.next().and_then(|field| field.parse::<i32>().ok());
        let mut mapping = || Mapping {
            first,
            last,
            stride: number().map_or(1, i32::unsigned_abs),
            change: number().unwrap_or(0),
        };
        let class = match name {
            "to_upper" => {
                tables.to_upper.push(mapping());
                continue;
            }
            "to_lower" => {
                tables.to_lower.push(mapping());
                continue;
            }
            "alpha" => &mut tables.alpha,
            "print" => &mut tables.print,
            "space" => &mut tables.space,
            "upper" => &mut tables.upper,
            _ => &mut tables.lower,
        };
        class.extend(char::from_u32(first).zip(char::from_u32(last)));
    }
    tables.alnum = sum(&tables.alpha, &[('0', '9')]);
    tables.word = sum(&tables.alnum, &[('_', '_')]);
    tables.graph = difference(&tables.print, &tables.space);
    tables.punct = difference(&tables.graph, &tables.alnum);
    tables
});

/// The ranges of both, sorted: they have no character in common.
fn sum(one: &[Range], other: &[Range]) -> Vec<Range> {
    let mut all: Vec<Range> = one.iter().chain(other).copied().collect();
    all.sort_unstable();
    all
}

fn after(character: char) -> Option<char> {
    (character..=char::MAX).nth(1)
}

fn before(character: char) -> Option<char> {
    ('\0'..=character).nth_back(1)
}

/// The characters of sorted ranges that are in none of the other ones.
fn difference(all: &[Range], without: &[Range]) -> Vec<Range> {
    let mut left = Vec::new();
    for &(first, last) in all {
        let mut from = Some(first);
        let begin = without.partition_point(|range| range.1 < first);
        for &(low, high) in without[begin..].iter().take_while(|range| range.0 <= last) {
            if let Some(start) = from
                && start < low
            {
                left.extend(before(low).map(|end| (start, end)));
            }
            from = after(high);
        }
        left.extend(from.filter(|start| *start <= last).map(|start| (start, last)));
    }
    left
}

fn within(ranges: &[Range], character: char) -> bool {
    let at = ranges.partition_point(|range| range.1 < character);
    ranges.get(at).is_some_and(|range| range.0 <= character)
}

fn mapped(mappings: &[Mapping], character: char) -> char {
    let code = u32::from(character);
    let at = mappings.partition_point(|mapping| mapping.last < code);
    // Mappings of different strides may interlock: one that began before may still hold.
    for mapping in mappings[at..].iter().take_while(|mapping| mapping.first <= code) {
        if (code - mapping.first).is_multiple_of(mapping.stride) {
            return code
                .checked_add_signed(mapping.change)
                .and_then(char::from_u32)
                .unwrap_or(character);
        }
    }
    character
}

impl Class {
    /// Its characters, sorted.
    pub(crate) fn ranges(self) -> &'static [Range] {
        let tables = &*TABLES;
        match self {
            Self::Alpha => &tables.alpha,
            Self::Alnum => &tables.alnum,
            Self::Print => &tables.print,
            Self::Graph => &tables.graph,
            Self::Punct => &tables.punct,
            Self::Space => &tables.space,
            Self::Upper => &tables.upper,
            Self::Lower => &tables.lower,
            Self::Word => &tables.word,
        }
    }

    /// Whether a character belongs to it.
    pub(crate) fn has(self, character: char) -> bool {
        within(self.ranges(), character)
    }
}

impl Ctype {
    /// What `LC_CTYPE` of this name says; none for one that is not known.
    #[must_use]
    pub fn named(locale: &str) -> Option<Self> {
        match locale {
            "C" | "POSIX" => Some(Self::C),
            "C.UTF-8" | "C.utf8" | "C.UTF8" | "C.utf-8" => Some(Self::Unicode),
            _ => None,
        }
    }

    /// The character in upper case.
    #[must_use]
    pub fn to_upper(self, character: char) -> char {
        if self == Self::C || character.is_ascii() {
            return character.to_ascii_uppercase();
        }
        mapped(&TABLES.to_upper, character)
    }

    /// The character in lower case.
    #[must_use]
    pub fn to_lower(self, character: char) -> char {
        if self == Self::C || character.is_ascii() {
            return character.to_ascii_lowercase();
        }
        mapped(&TABLES.to_lower, character)
    }

    /// Whether the character is a letter or a digit.
    #[must_use]
    pub fn is_alphanumeric(self, character: char) -> bool {
        if self == Self::C || character.is_ascii() {
            return character.is_ascii_alphanumeric();
        }
        Class::Alnum.has(character)
    }

    /// Whether words are made of the character: letters, digits, the underscore.
    #[must_use]
    pub fn is_word(self, character: char) -> bool {
        character == '_' || self.is_alphanumeric(character)
    }

    /// The text in upper case.
    #[must_use]
    pub fn upper(self, text: &str) -> String {
        if self == Self::C || text.is_ascii() {
            return text.to_ascii_uppercase();
        }
        text.chars().map(|character| self.to_upper(character)).collect()
    }

    /// The text in lower case.
    #[must_use]
    pub fn lower(self, text: &str) -> String {
        if self == Self::C || text.is_ascii() {
            return text.to_ascii_lowercase();
        }
        text.chars().map(|character| self.to_lower(character)).collect()
    }

    /// The characters of a range, and those that are the same in another case.
    pub(crate) fn other_cases(self, low: char, high: char, visit: &mut dyn FnMut(char)) {
        if self == Self::C {
            for letter in ('A'..='Z').chain('a'..='z').filter(|c| (low..=high).contains(c)) {
                visit(if letter.is_ascii_lowercase() {
                    letter.to_ascii_uppercase()
                } else {
                    letter.to_ascii_lowercase()
                });
            }
            return;
        }
        let (low, high) = (u32::from(low), u32::from(high));
        for mapping in TABLES.to_upper.iter().chain(&TABLES.to_lower) {
            let begin = low.max(mapping.first);
            let begin = mapping.first + (begin - mapping.first).next_multiple_of(mapping.stride);
            let mut code = begin;
            while code <= high.min(mapping.last) {
                if let Some(other) =
                    code.checked_add_signed(mapping.change).and_then(char::from_u32)
                {
                    visit(other);
                }
                code += mapping.stride;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_have_as_many_characters_as_postgresql_counts() {
        // Of the 1,112,063 characters other than NUL, counted by PostgreSQL 15 with LC_CTYPE
        // C.UTF-8 and by Aegis, and compared one by one.
        for (class, count) in [
            (Class::Alpha, 134_046),
            (Class::Alnum, 134_056),
            (Class::Print, 282_163),
            (Class::Graph, 282_149),
            (Class::Punct, 148_093),
            (Class::Space, 21),
            (Class::Upper, 1_982),
            (Class::Lower, 2_475),
            (Class::Word, 134_057),
        ] {
            let found = ('\x01'..=char::MAX).filter(|character| class.has(*character)).count();
            assert_eq!(found, count, "{class:?}");
        }
        let changes = |map: fn(Ctype, char) -> char| {
            ('\x01'..=char::MAX).filter(|c| map(Ctype::Unicode, *c) != *c).count()
        };
        assert_eq!((changes(Ctype::to_upper), changes(Ctype::to_lower)), (UPPER, LOWER));
    }

    /// How many characters have another one in upper and in lower case.
    const UPPER: usize = 1_450;
    const LOWER: usize = 1_433;

    #[test]
    fn case_is_mapped_character_by_character() {
        let (upper, lower) = (|c| Ctype::Unicode.to_upper(c), |c| Ctype::Unicode.to_lower(c));
        assert_eq!((upper('é'), lower('É'), upper('ß'), upper('ŉ')), ('É', 'é', 'ß', 'ŉ'));
        assert_eq!((lower('İ'), upper('ı'), upper('ǆ'), lower('ǅ')), ('i', 'I', 'Ǆ', 'ǆ'));
        assert_eq!((Ctype::C.to_upper('é'), Ctype::C.to_upper('e')), ('é', 'E'));
    }

    #[test]
    fn both_cases_are_found_from_either() {
        let cases = |low, high| {
            let mut found = Vec::new();
            Ctype::Unicode.other_cases(low, high, &mut |character| found.push(character));
            found.sort_unstable();
            found.dedup();
            found.into_iter().collect::<String>()
        };
        assert_eq!(cases('é', 'é'), "É");
        assert_eq!(cases('a', 'c'), "ABC");
        assert_eq!(cases('ǅ', 'ǅ'), "Ǆǆ");
    }
}
