//! Nodes: the shapes of a value's bytes, their validation and the reading of them.
//!
//! ```text
//! null false true   tag
//! string            tag, UTF-8
//! integer           tag, two's complement big-endian, as few bytes as it needs (0: none)
//! decimal           tag, sign, scale u16, exponent i32, digits two a byte (see `number`)
//! array             tag | width, height u16, count, ends of the elements; the elements
//! object            tag | width, height u16, count, ends of the keys, ends of the values;
//!                   the keys, ascending without duplicates; the values
//! ```
//!
//! A node does not say its own length: its parent's offsets do. Counts and offsets of a container
//! take 1, 2 or 4 bytes (`width` 0, 1, 2), the fewest that hold its contents; numbers are
//! big-endian. `height` is how deep the containers within nest, this one included.

use std::cmp::Ordering;

use super::number;
use crate::json::DEPTH_MAX;

pub(super) const NULL: u8 = 0x00;
pub(super) const FALSE: u8 = 0x01;
pub(super) const TRUE: u8 = 0x02;
pub(super) const STRING: u8 = 0x03;
pub(super) const INTEGER: u8 = 0x04;
pub(super) const DECIMAL: u8 = 0x05;
/// The low bits are the width.
pub(super) const ARRAY: u8 = 0x10;
/// The low bits are the width.
pub(super) const OBJECT: u8 = 0x20;

/// Tag and height.
pub(super) const HEADER_BYTES: usize = 3;

/// A node of a jsonb value, valid by construction.
#[derive(Clone, Copy)]
pub struct Node<'a>(&'a [u8]);

/// What a node is.
#[derive(Clone, Copy)]
pub enum Value<'a> {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A number; [`Node::as_decimal`] reads it.
    Number,
    /// A string.
    String(&'a str),
    /// An array.
    Array(Elements<'a>),
    /// An object.
    Object(Fields<'a>),
}

/// A run of big-endian end offsets.
#[derive(Clone, Copy)]
struct Ends<'a> {
    bytes: &'a [u8],
    width: usize,
}

impl Ends<'_> {
    fn end(self, index: usize) -> usize {
        let at = index * self.width;
        self.bytes[at..at + self.width]
            .iter()
            .fold(0, |value, byte| value << 8 | usize::from(*byte))
    }

    fn range(self, index: usize) -> std::ops::Range<usize> {
        let start = if index == 0 { 0 } else { self.end(index - 1) };
        start..self.end(index)
    }
}

/// The elements of an array.
#[derive(Clone, Copy)]
pub struct Elements<'a> {
    count: usize,
    ends: Ends<'a>,
    data: &'a [u8],
}

impl<'a> Elements<'a> {
    /// How many there are.
    #[must_use]
    pub const fn len(self) -> usize {
        self.count
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.count == 0
    }

    /// The element at an index from 0.
    #[must_use]
    pub fn get(self, index: usize) -> Option<Node<'a>> {
        (index < self.count).then(|| Node(&self.data[self.ends.range(index)]))
    }

    /// The element at an index that counts from the end if it is negative.
    #[must_use]
    pub fn get_signed(self, index: i64) -> Option<Node<'a>> {
        self.get(self.position(index)?)
    }

    /// The place of an index that counts from the end if it is negative.
    #[must_use]
    pub fn position(self, index: i64) -> Option<usize> {
        let at = if index < 0 { i64::try_from(self.count).ok()? + index } else { index };
        usize::try_from(at).ok().filter(|at| *at < self.count)
    }

    /// All of them in order.
    pub fn iter(self) -> impl Iterator<Item = Node<'a>> {
        (0..self.count).filter_map(move |index| self.get(index))
    }
}

/// The fields of an object, shorter keys first, those of one length by bytes.
#[derive(Clone, Copy)]
pub struct Fields<'a> {
    count: usize,
    key_ends: Ends<'a>,
    value_ends: Ends<'a>,
    keys: &'a [u8],
    values: &'a [u8],
}

impl<'a> Fields<'a> {
    /// How many there are.
    #[must_use]
    pub const fn len(self) -> usize {
        self.count
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.count == 0
    }

    fn key_bytes(self, index: usize) -> &'a [u8] {
        &self.keys[self.key_ends.range(index)]
    }

    /// The key and the value at a place in the order of keys.
    #[must_use]
    pub fn get(self, index: usize) -> Option<(&'a str, Node<'a>)> {
        (index < self.count).then(|| {
            let value = Node(&self.values[self.value_ends.range(index)]);
            (utf8(self.key_bytes(index)), value)
        })
    }

    /// The place of a key.
    #[must_use]
    pub fn position(self, key: &str) -> Option<usize> {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low.midpoint(high);
            match key_order(self.key_bytes(middle), key.as_bytes()) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return Some(middle),
            }
        }
        None
    }

    /// The value of a key.
    #[must_use]
    pub fn find(self, key: &str) -> Option<Node<'a>> {
        self.get(self.position(key)?).map(|(_, value)| value)
    }

    /// All of them in the order of keys.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, Node<'a>)> {
        (0..self.count).filter_map(move |index| self.get(index))
    }
}

/// The order of keys within an object.
pub(super) fn key_order(a: &[u8], b: &[u8]) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

fn utf8(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("strings are checked when a value is made")
}

impl<'a> Node<'a> {
    /// A node of bytes that are known to be valid.
    pub(super) const fn validated(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) const fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// What it is.
    #[must_use]
    pub fn value(self) -> Value<'a> {
        let tag = self.0[0];
        match tag {
            NULL => Value::Null,
            FALSE => Value::Bool(false),
            TRUE => Value::Bool(true),
            STRING => Value::String(utf8(&self.0[1..])),
            INTEGER | DECIMAL => Value::Number,
            tag if tag & !3 == ARRAY => Value::Array(
                split_array(self.0).expect("containers are checked when a value is made"),
            ),
            _ => Value::Object(
                split_object(self.0).expect("containers are checked when a value is made"),
            ),
        }
    }

    /// How deep containers nest in it: 0 for a scalar.
    pub(super) fn height(self) -> usize {
        height(self.0)
    }

    /// Whether it is an array or an object.
    #[must_use]
    pub fn is_container(self) -> bool {
        self.0[0] >= ARRAY
    }

    /// The name that `jsonb_typeof` gives.
    #[must_use]
    pub fn type_name(self) -> &'static str {
        match self.value() {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        }
    }
}

fn height(node: &[u8]) -> usize {
    match node {
        [tag, high, low, ..] if *tag >= ARRAY => usize::from(u16::from_be_bytes([*high, *low])),
        _ => 0,
    }
}

/// The width, the count and what follows it.
fn split_count(node: &[u8]) -> Option<(usize, usize, &[u8])> {
    let width = match node.first()? & 3 {
        0 => 1,
        1 => 2,
        2 => 4,
        _ => return None,
    };
    let (count, rest) = node.get(HEADER_BYTES..)?.split_at_checked(width)?;
    Some((width, Ends { bytes: count, width }.end(0), rest))
}

fn split_array(node: &[u8]) -> Option<Elements<'_>> {
    let (width, count, rest) = split_count(node)?;
    let (ends, data) = rest.split_at_checked(count.checked_mul(width)?)?;
    Some(Elements { count, ends: Ends { bytes: ends, width }, data })
}

fn split_object(node: &[u8]) -> Option<Fields<'_>> {
    let (width, count, rest) = split_count(node)?;
    let (key_ends, rest) = rest.split_at_checked(count.checked_mul(width)?)?;
    let (value_ends, rest) = rest.split_at_checked(count.checked_mul(width)?)?;
    let key_ends = Ends { bytes: key_ends, width };
    let keys_length = if count == 0 { 0 } else { key_ends.end(count - 1) };
    let (keys, values) = rest.split_at_checked(keys_length)?;
    Some(Fields { count, key_ends, value_ends: Ends { bytes: value_ends, width }, keys, values })
}

/// The width code for contents of this many bytes.
pub(super) const fn width_code(length: usize) -> u8 {
    match length {
        0..=0xff => 0,
        0x100..=0xffff => 1,
        _ => 2,
    }
}

/// Whether offsets ascend and end where the data does.
fn tiles(ends: Ends<'_>, count: usize, data: &[u8]) -> bool {
    let mut previous = 0;
    for index in 0..count {
        let end = ends.end(index);
        if end < previous {
            return false;
        }
        previous = end;
    }
    previous == data.len()
}

/// Whether bytes are a node such as the builder makes. Recursion is bounded: a child's height is
/// less than its parent's, and the root's is at most [`DEPTH_MAX`].
pub(super) fn is_valid(node: &[u8]) -> bool {
    let Some((&tag, payload)) = node.split_first() else {
        return false;
    };
    match tag {
        NULL | FALSE | TRUE => payload.is_empty(),
        STRING => is_text(payload),
        INTEGER => number::is_valid_integer(payload),
        DECIMAL => number::is_valid_decimal(payload),
        tag if tag & !3 == ARRAY => split_array(node).is_some_and(|array| {
            tiles(array.ends, array.count, array.data)
                && width_code(array.data.len()) == tag & 3
                && children_are_valid(node, array.iter().map(Node::bytes))
        }),
        tag if tag & !3 == OBJECT => split_object(node).is_some_and(|object| {
            tiles(object.key_ends, object.count, object.keys)
                && tiles(object.value_ends, object.count, object.values)
                && width_code(object.keys.len().max(object.values.len())) == tag & 3
                && keys_are_valid(object)
                && children_are_valid(
                    node,
                    (0..object.count).map(|index| &object.values[object.value_ends.range(index)]),
                )
        }),
        _ => false,
    }
}

/// Whether bytes are a text of PostgreSQL's, which never holds a NUL.
fn is_text(bytes: &[u8]) -> bool {
    !bytes.contains(&0) && std::str::from_utf8(bytes).is_ok()
}

fn keys_are_valid(object: Fields<'_>) -> bool {
    (0..object.count).all(|index| {
        let key = object.key_bytes(index);
        let ascends = index == 0 || key_order(object.key_bytes(index - 1), key).is_lt();
        ascends && is_text(key)
    })
}

fn children_are_valid<'a>(parent: &[u8], children: impl Iterator<Item = &'a [u8]>) -> bool {
    let stated = height(parent);
    if stated > DEPTH_MAX {
        return false;
    }
    let mut highest = 0;
    for child in children {
        let child_height = height(child);
        if child_height >= stated || !is_valid(child) {
            return false;
        }
        highest = highest.max(child_height);
    }
    stated == highest + 1
}
