//! The order of jsonb values (PostgreSQL 15, chapter 8.14.4) and keys that sort likewise.
//!
//! `null < string < number < boolean < array < object`; containers by their count, then by their
//! contents, objects key before value in the order of keys. One accident of PostgreSQL's is part of
//! the order: an empty array *at the top* comes before everything else, scalars included.

use std::cmp::Ordering;

use super::node::{Node, Value};
use super::number;

const EMPTY_TOP_ARRAY: u8 = 0;

/// The rank of a node's type, from 1.
fn rank(value: &Value<'_>) -> u8 {
    match value {
        Value::Null => 1,
        Value::String(_) => 2,
        Value::Number => 3,
        Value::Bool(_) => 4,
        Value::Array(_) => 5,
        Value::Object(_) => 6,
    }
}

fn root_rank(node: Node<'_>) -> u8 {
    match node.value() {
        Value::Array(elements) if elements.is_empty() => EMPTY_TOP_ARRAY,
        value => rank(&value),
    }
}

impl Node<'_> {
    /// Whether both are the same scalar; never for arrays and objects.
    #[must_use]
    pub fn scalar_equals(self, other: Self) -> bool {
        !self.is_container() && compare(self, other).is_eq()
    }
}

/// The order of two whole values.
pub(super) fn compare_roots(a: Node<'_>, b: Node<'_>) -> Ordering {
    root_rank(a).cmp(&root_rank(b)).then_with(|| compare(a, b))
}

/// The order of two parts. Recurses as deep as they nest, at most `DEPTH_MAX`.
fn compare(a: Node<'_>, b: Node<'_>) -> Ordering {
    match (a.value(), b.value()) {
        (Value::Number, Value::Number) => number::compare(a, b),
        (Value::String(a), Value::String(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(&b),
        (Value::Array(a), Value::Array(b)) => a
            .len()
            .cmp(&b.len())
            .then_with(|| first_difference(a.iter().zip(b.iter()).map(|(a, b)| compare(a, b)))),
        (Value::Object(a), Value::Object(b)) => a.len().cmp(&b.len()).then_with(|| {
            first_difference(a.iter().zip(b.iter()).map(|((a_key, a), (b_key, b))| {
                a_key.as_bytes().cmp(b_key.as_bytes()).then_with(|| compare(a, b))
            }))
        }),
        (a, b) => rank(&a).cmp(&rank(&b)),
    }
}

fn first_difference(mut orders: impl Iterator<Item = Ordering>) -> Ordering {
    orders.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

/// Appends the sort key of a whole value.
pub(super) fn encode_root(node: Node<'_>, out: &mut Vec<u8>) {
    if root_rank(node) == EMPTY_TOP_ARRAY {
        out.push(EMPTY_TOP_ARRAY);
    } else {
        encode(node, out);
    }
}

/// A type's rank, then: nothing, the bytes, the number, the boolean, or the count and the contents.
fn encode(node: Node<'_>, out: &mut Vec<u8>) {
    let value = node.value();
    out.push(rank(&value));
    match value {
        Value::Null => {}
        Value::Bool(value) => out.push(u8::from(value)),
        Value::Number => {
            if let Some(decimal) = node.as_decimal() {
                decimal.encode_key(out);
            }
        }
        Value::String(text) => encode_string(text, out),
        Value::Array(elements) => {
            encode_count(elements.len(), out);
            elements.iter().for_each(|element| encode(element, out));
        }
        Value::Object(fields) => {
            encode_count(fields.len(), out);
            for (key, value) in fields.iter() {
                encode_string(key, out);
                encode(value, out);
            }
        }
    }
}

/// The bytes, `00` as `00 FF`, ended by `00 00`.
fn encode_string(text: &str, out: &mut Vec<u8>) {
    for (index, run) in text.as_bytes().split(|byte| *byte == 0).enumerate() {
        if index > 0 {
            out.extend_from_slice(&[0, 0xff]);
        }
        out.extend_from_slice(run);
    }
    out.extend_from_slice(&[0, 0]);
}

fn encode_count(count: usize, out: &mut Vec<u8>) {
    let count = u32::try_from(count).expect("a container's contents take less than 2^32 bytes");
    out.extend_from_slice(&count.to_be_bytes());
}
