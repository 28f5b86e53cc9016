//! Ranges of keys, and the direction in which one is read.

use std::ops::Bound;

use crate::Key;

/// Which way a scan goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Ascending keys.
    #[default]
    Forward,
    /// Descending keys.
    Backward,
}

/// A range of keys of one tree.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyRange {
    /// Where it begins.
    pub lower: Bound<Key>,
    /// Where it ends.
    pub upper: Bound<Key>,
}

impl KeyRange {
    /// Every key.
    #[must_use]
    pub fn all() -> Self {
        Self { lower: Bound::Unbounded, upper: Bound::Unbounded }
    }

    /// This key alone.
    #[must_use]
    pub fn one(key: &[u8]) -> Self {
        Self { lower: Bound::Included(Key::new(key)), upper: Bound::Included(Key::new(key)) }
    }

    /// `lower <= key < upper`.
    #[must_use]
    pub fn half_open(lower: &[u8], upper: &[u8]) -> Self {
        Self { lower: Bound::Included(Key::new(lower)), upper: Bound::Excluded(Key::new(upper)) }
    }

    /// `lower <= key < upper`, without a bound where there is none.
    #[must_use]
    pub fn between(lower: Option<&[u8]>, upper: Option<&[u8]>) -> Self {
        Self {
            lower: lower.map_or(Bound::Unbounded, |key| Bound::Included(Key::new(key))),
            upper: upper.map_or(Bound::Unbounded, |key| Bound::Excluded(Key::new(key))),
        }
    }

    /// Every key that begins with `prefix`.
    #[must_use]
    pub fn prefix(prefix: &[u8]) -> Self {
        let mut successor = prefix.to_vec();
        while successor.last() == Some(&u8::MAX) {
            successor.pop();
        }
        let upper = match successor.last_mut() {
            Some(last) => {
                *last += 1;
                Bound::Excluded(Key::new(&successor))
            }
            None => Bound::Unbounded,
        };
        Self { lower: Bound::Included(Key::new(prefix)), upper }
    }

    /// Whether the key lies in it.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        above_lower(key, self.lower.as_ref().map(Key::as_bytes))
            && below_upper(key, self.upper.as_ref().map(Key::as_bytes))
    }

    /// Whether no key can lie in it. (`BTreeMap::range` panics on some of these.)
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match (&self.lower, &self.upper) {
            (Bound::Unbounded, Bound::Excluded(upper)) => upper.is_empty(),
            (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
            (Bound::Included(lower), Bound::Included(upper)) => lower > upper,
            (Bound::Included(lower), Bound::Excluded(upper))
            | (Bound::Excluded(lower), Bound::Included(upper))
            | (Bound::Excluded(lower), Bound::Excluded(upper)) => lower >= upper,
        }
    }

    /// What of it lies behind `key` for a scan in this direction that has delivered `key`.
    #[must_use]
    pub fn after(&self, key: &[u8], direction: Direction) -> Self {
        match direction {
            Direction::Forward => {
                Self { lower: Bound::Excluded(Key::new(key)), upper: self.upper.clone() }
            }
            Direction::Backward => {
                Self { lower: self.lower.clone(), upper: Bound::Excluded(Key::new(key)) }
            }
        }
    }

    /// Both bounds as byte slices, as ordered maps take them.
    #[must_use]
    pub fn as_bounds(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        (self.lower.as_ref().map(Key::as_bytes), self.upper.as_ref().map(Key::as_bytes))
    }
}

/// Whether `key` lies on the inner side of a lower bound.
pub(crate) fn above_lower(key: &[u8], lower: Bound<&[u8]>) -> bool {
    match lower {
        Bound::Unbounded => true,
        Bound::Included(lower) => key >= lower,
        Bound::Excluded(lower) => key > lower,
    }
}

/// Whether `key` lies on the inner side of an upper bound.
pub(crate) fn below_upper(key: &[u8], upper: Bound<&[u8]>) -> bool {
    match upper {
        Bound::Unbounded => true,
        Bound::Included(upper) => key <= upper,
        Bound::Excluded(upper) => key < upper,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_range_ends_at_the_successor_of_the_prefix() {
        assert!(KeyRange::prefix(b"ab").contains(b"ab\xff\xff"));
        assert!(!KeyRange::prefix(b"ab").contains(b"ac"));
        assert!(KeyRange::prefix(b"a\xff").contains(b"a\xff\xff"));
        assert!(!KeyRange::prefix(b"a\xff").contains(b"b"));
        assert!(KeyRange::prefix(b"\xff\xff").contains(b"\xff\xff\x01"));
    }

    #[test]
    fn empty_ranges_are_known_as_such() {
        assert!(KeyRange::half_open(b"b", b"a").is_empty());
        assert!(KeyRange::half_open(b"a", b"a").is_empty());
        assert!(!KeyRange::one(b"a").is_empty());
        assert!(!KeyRange::all().is_empty());
    }
}
