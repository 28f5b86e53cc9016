//! `jsonb`: our own binary form, keys in PostgreSQL's order (shorter first, then by bytes).
//!
//! ```text
//! {"b": [1, 2.50], "aa": null}
//!
//! version │ object, height 2, 2 fields │ ends of keys │ ends of values │ "b" "aa" │ [1, 2.50] null
//!                                                                                  └── a node each
//! ```
//!
//! A value is a tree of *nodes*, each a slice within its parent's, so that an element is reached by
//! its offset, a key by binary search, and a subtree is copied as bytes. Numbers keep their scale.
//! Bytes become a [`Jsonb`] only by construction or by full validation: whoever holds one reads it
//! without errors. No SQL function is here; they are in [`crate::functions`].

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::error::{SqlError, SqlResult};
use crate::json;
use crate::sqlstate::SqlState;

mod node;
mod number;
mod build;
mod order;
mod text;

pub use build::Builder;
pub use node::{Elements, Fields, Node, Value};
pub use number::Decimal;

/// A jsonb value in its binary form. Cloning shares the bytes.
///
/// Equality and order are those of PostgreSQL's `jsonb` operators; equal values may differ in bytes,
/// as 1.0 and 1.00 do.
#[derive(Clone)]
pub struct Jsonb(Arc<[u8]>);

/// The first byte of every value: the version of the format.
const FORMAT_VERSION: u8 = 1;

/// The version byte of the binary form on the wire (`jsonb_send`).
const WIRE_VERSION: u8 = 1;

impl Jsonb {
    /// Reads JSON text, as input of `jsonb` does: of keys written twice, the last counts.
    ///
    /// # Errors
    /// 22P02 with PostgreSQL's detail and context, 22P05 for `\u0000`, 22003 for numbers beyond
    /// `numeric`, 54001 and 54000 for what is too deep or too large.
    pub fn parse(text: &str) -> SqlResult<Self> {
        let mut builder = Builder::new();
        json::parse(text, true, &mut builder)?;
        builder.finish()
    }

    /// A value from bytes that [`Self::as_bytes`] gave once; everything in them is checked.
    ///
    /// # Errors
    /// XX001 (`data_corrupted`) for any other bytes.
    pub fn from_bytes(bytes: Arc<[u8]>) -> SqlResult<Self> {
        match bytes.split_first() {
            Some((&FORMAT_VERSION, root)) if node::is_valid(root) => Ok(Self(bytes)),
            _ => Err(SqlError::new(SqlState::DataCorrupted, "invalid jsonb value in storage")),
        }
    }

    /// The bytes, for storage.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// A value of its own from a node of another.
    #[must_use]
    pub fn from_node(node: Node<'_>) -> Self {
        let mut bytes = Vec::with_capacity(1 + node.bytes().len());
        bytes.push(FORMAT_VERSION);
        bytes.extend_from_slice(node.bytes());
        Self(bytes.into())
    }

    /// Whether both share their bytes.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Where a node of this value lies in its bytes.
    pub(crate) fn place_of(&self, node: Node<'_>) -> std::ops::Range<usize> {
        let start = node.bytes().as_ptr().addr().wrapping_sub(self.0.as_ptr().addr());
        start..start + node.bytes().len()
    }

    /// The node at a place that [`Self::place_of`] gave.
    pub(crate) fn part(&self, place: std::ops::Range<usize>) -> Node<'_> {
        Node::validated(&self.0[place])
    }

    /// The whole value, to be read.
    #[must_use]
    pub fn root(&self) -> Node<'_> {
        Node::validated(&self.0[1..])
    }

    /// Appends the text form exactly as PostgreSQL prints it.
    pub fn write_text(&self, out: &mut Vec<u8>) {
        self.root().write_text(out);
    }

    /// Appends the text form that `jsonb_pretty` gives.
    pub fn write_pretty(&self, out: &mut Vec<u8>) {
        self.root().write_pretty(out);
    }

    /// Appends bytes whose order is the order of the values, and which end where they end.
    pub fn encode_key(&self, out: &mut Vec<u8>) {
        order::encode_root(self.root(), out);
    }

    /// Reads the binary form of the wire: a version byte, then text.
    ///
    /// # Errors
    /// XX000 for another version, 22021 for invalid UTF-8, and those of [`Self::parse`].
    pub fn binary_in(bytes: &[u8]) -> SqlResult<Self> {
        let Some((&version, text)) = bytes.split_first() else {
            return Err(SqlError::new(SqlState::ProtocolViolation, "no data left in message"));
        };
        if version != WIRE_VERSION {
            return Err(SqlError::internal(format!("unsupported jsonb version number {version}")));
        }
        let text = std::str::from_utf8(text).map_err(|error| {
            let wrong: Vec<String> = text[error.valid_up_to()..]
                .iter()
                .take(error.error_len().unwrap_or(1))
                .map(|byte| format!("0x{byte:02x}"))
                .collect();
            SqlError::new(
                SqlState::CharacterNotInRepertoire,
                format!("invalid byte sequence for encoding \"UTF8\": {}", wrong.join(" ")),
            )
        })?;
        Self::parse(text)
    }

    /// Appends the binary form of the wire.
    pub fn binary_out(&self, out: &mut Vec<u8>) {
        out.push(WIRE_VERSION);
        self.write_text(out);
    }
}

impl std::fmt::Debug for Jsonb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl std::fmt::Display for Jsonb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = Vec::new();
        self.write_text(&mut text);
        f.write_str(&String::from_utf8_lossy(&text))
    }
}

impl Ord for Jsonb {
    fn cmp(&self, other: &Self) -> Ordering {
        order::compare_roots(self.root(), other.root())
    }
}

impl PartialOrd for Jsonb {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Jsonb {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Jsonb {}

impl Hash for Jsonb {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let mut key = Vec::new();
        self.encode_key(&mut key);
        key.hash(state);
    }
}

#[cfg(test)]
mod tests;
