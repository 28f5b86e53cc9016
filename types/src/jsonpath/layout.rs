//! Where a part of a document would lie in PostgreSQL's own form of `jsonb`: what `.keyvalue()` gives
//! as `id`.
//!
//! There a container is a header of four bytes, four bytes for each element, key and value, then their
//! contents; numbers and containers begin at multiples of four.

use crate::jsonb::{Jsonb, Node, Value};

const fn aligned(at: usize) -> usize {
    at.next_multiple_of(4)
}

/// How many bytes a number takes: a length, a header, four decimal digits in two bytes each.
fn number_bytes(node: Node<'_>) -> usize {
    let text = node.as_text().unwrap_or_default();
    let text = text.trim_start_matches('-');
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let scale = fraction.len();
    let whole = whole.trim_start_matches('0');
    // Groups of four digits around the point, without those at the ends that are zero.
    let padding = (4 - whole.len() % 4) % 4;
    let digits: Vec<u8> = std::iter::repeat_n(b'0', padding)
        .chain(whole.bytes())
        .chain(fraction.bytes())
        .chain(std::iter::repeat_n(b'0', (4 - fraction.len() % 4) % 4))
        .collect();
    let is_zero = |group: &[u8]| group.iter().all(|digit| *digit == b'0');
    let groups: Vec<bool> = digits.chunks(4).map(is_zero).collect();
    let Some(first) = groups.iter().position(|zero| !zero) else { return 4 + 2 };
    let last = groups.iter().rposition(|zero| !zero).unwrap_or(first);
    let whole_groups = whole.len().div_ceil(4);
    let weight = whole_groups as i64 - 1 - first as i64;
    let is_short = scale <= 63 && (-64..=63).contains(&weight);
    4 + if is_short { 2 } else { 4 } + 2 * (last - first + 1)
}

/// Where a node's contents end that begin at a place.
fn end(node: Node<'_>, at: usize) -> usize {
    match node.value() {
        Value::Null | Value::Bool(_) => at,
        Value::String(text) => at + text.len(),
        Value::Number => aligned(at) + number_bytes(node),
        Value::Array(elements) => elements
            .iter()
            .fold(aligned(at) + 4 + 4 * elements.len(), |at, element| end(element, at)),
        Value::Object(fields) => {
            fields.iter().fold(after_keys(node, at), |at, (_, value)| end(value, at))
        }
    }
}

/// Where the values of an object begin.
fn after_keys(node: Node<'_>, at: usize) -> usize {
    let Value::Object(fields) = node.value() else { return at };
    aligned(at) + 4 + 8 * fields.len() + fields.iter().map(|(key, _)| key.len()).sum::<usize>()
}

/// How far a container within another lies behind its beginning; 0 if it is not within.
pub(super) fn offset(document: &Jsonb, base: Node<'_>, part: Node<'_>) -> usize {
    let wanted = document.place_of(part);
    let (mut node, mut at) = (base, 0);
    loop {
        let place = document.place_of(node);
        if place == wanted {
            return aligned(at);
        }
        let holds = |node: Node<'_>| {
            let place = document.place_of(node);
            place.start <= wanted.start && wanted.end <= place.end
        };
        let mut next = None;
        match node.value() {
            Value::Array(elements) => {
                at = aligned(at) + 4 + 4 * elements.len();
                for element in elements.iter() {
                    if holds(element) {
                        next = Some(element);
                        break;
                    }
                    at = end(element, at);
                }
            }
            Value::Object(fields) => {
                at = after_keys(node, at);
                for (_, value) in fields.iter() {
                    if holds(value) {
                        next = Some(value);
                        break;
                    }
                    at = end(value, at);
                }
            }
            _ => {}
        }
        match next {
            Some(found) => node = found,
            None => return 0,
        }
    }
}
