//! Keys and values: handles that are cheap to clone.
//!
//! A key of up to [`Key::INLINE_MAX`] bytes lies in the handle itself: a map of keys on the heap
//! costs double in every operation. Keys compare as their bytes do (`memcmp`).

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

/// A key of a tree.
#[derive(Clone)]
pub struct Key(Repr);

#[derive(Clone)]
enum Repr {
    Inline { len: u8, bytes: [u8; Key::INLINE_MAX] },
    Heap(Arc<[u8]>),
}

impl Key {
    /// Keys up to this length need no allocation.
    pub const INLINE_MAX: usize = 32;

    /// A key with these bytes.
    #[must_use]
    pub fn new(key: &[u8]) -> Self {
        if key.len() <= Self::INLINE_MAX {
            let mut bytes = [0; Self::INLINE_MAX];
            bytes[..key.len()].copy_from_slice(key);
            Self(Repr::Inline { len: key.len() as u8, bytes })
        } else {
            Self(Repr::Heap(key.into()))
        }
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Repr::Inline { len, bytes } => &bytes[..usize::from(*len)],
            Repr::Heap(bytes) => bytes,
        }
    }

    /// Bytes that it holds outside of the handle.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        match &self.0 {
            Repr::Inline { .. } => 0,
            Repr::Heap(bytes) => bytes.len() + 16,
        }
    }
}

impl Deref for Key {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl AsRef<[u8]> for Key {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl From<&[u8]> for Key {
    fn from(key: &[u8]) -> Self {
        Self::new(key)
    }
}

impl Default for Key {
    fn default() -> Self {
        Self::new(&[])
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.as_bytes().escape_ascii())
    }
}

/// A value of a tree, shared.
#[derive(Clone, PartialEq, Eq)]
pub struct Value(Arc<[u8]>);

impl Value {
    /// A value with these bytes.
    #[must_use]
    pub fn new(value: &[u8]) -> Self {
        Self(value.into())
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Bytes that it holds outside of the handle.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.0.len() + 16
    }
}

impl Deref for Value {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Value {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<&[u8]> for Value {
    fn from(value: &[u8]) -> Self {
        Self::new(value)
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Self(value.into())
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Value({})", self.0.escape_ascii())
    }
}

/// A row as a point read finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The commit that wrote it; [`crate::CommitSeq::UNCOMMITTED`] for the reader's own write.
    pub seq: crate::CommitSeq,
    /// What it holds.
    pub value: Value,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_compare_as_bytes_whether_inline_or_not() {
        let mut keys: Vec<Vec<u8>> = vec![vec![], vec![0], vec![0, 0], vec![1; 32], vec![1; 33]];
        keys.push([vec![1; 31], vec![0]].concat());
        keys.push(vec![255; 40]);
        for a in &keys {
            for b in &keys {
                assert_eq!(Key::new(a).cmp(&Key::new(b)), a.cmp(b));
            }
        }
    }

    #[test]
    fn a_key_handle_is_five_words() {
        assert_eq!(size_of::<Key>(), 40);
    }
}
