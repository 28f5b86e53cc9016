//! Whether a history of one register is linearizable: whether its operations can be put in an order
//! that keeps what was over before something else began, and in which each gives what it gave.
//!
//! ```text
//!   client 1   ├─ put 1 ─┤        ├─ get = 2 ─┤
//!   client 2        ├──── put 2 ────┤                 put 1, put 2, get: yes
//! ```
//!
//! The search is that of Wing and Gong ("Testing and Verifying Concurrent Objects", 1993) with Lowe's
//! memory of what was tried: an operation may be next if none that is left was over before it began.

use std::collections::HashSet;

/// What a client asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    Get,
    Put(i64),
    Delete,
    /// From one value, or from none, to another, or to none.
    Cas(Option<i64>, Option<i64>),
    Incr(i64),
}

/// What it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    Value(Option<i64>),
    Version(i64),
    Done(bool),
}

/// An operation, with the times at which it was asked for and answered.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    pub from: u64,
    pub to: u64,
    pub asked: Asked,
    pub told: Told,
}

/// A register: its value, and the last version that anybody was told of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Register {
    value: Option<i64>,
    version: i64,
}

impl Register {
    /// What it is after an operation; none if that cannot have given what it gave.
    fn after(self, operation: &Operation) -> Option<Self> {
        match (operation.asked, operation.told) {
            (Asked::Get, Told::Value(told)) => (told == self.value).then_some(self),
            (Asked::Put(value), Told::Version(version)) => {
                let value = Some(value);
                (version > self.version).then_some(Self { value, version })
            }
            (Asked::Delete, Told::Done(told)) => {
                (told == self.value.is_some()).then_some(Self { value: None, ..self })
            }
            (Asked::Cas(expected, new), Told::Done(told)) => {
                let holds = expected == self.value;
                let value = if holds { new } else { self.value };
                (told == holds).then_some(Self { value, ..self })
            }
            (Asked::Incr(by), Told::Value(told)) => {
                let value = Some(self.value.unwrap_or_default() + by);
                (told == value).then_some(Self { value, ..self })
            }
            _ => None,
        }
    }
}

/// So many steps are tried before the search is given up.
const STEPS_MAX: usize = 20_000_000;

/// Which operations are in the order already.
type Placed = Vec<u64>;

/// Whether a history of one register that began empty is linearizable. Panics if that cannot be said
/// within the steps that the search has.
pub fn is_linearizable(history: &[Operation]) -> bool {
    let mut operations = history.to_vec();
    operations.sort_by_key(|operation| operation.from);
    let mut placed: Placed = vec![0; operations.len().div_ceil(64)];
    let mut tried: HashSet<(Placed, Register)> = HashSet::new();
    let mut register = Register::default();
    // What was placed, with the register before it, and where the search goes on if that was wrong.
    let mut path: Vec<(usize, Register)> = Vec::new();
    let mut at = 0;
    for _ in 0..STEPS_MAX {
        if path.len() == operations.len() {
            return true;
        }
        match next(&operations, &placed, register, at) {
            Some((found, after)) => {
                flip(&mut placed, found);
                if tried.insert((placed.clone(), after)) {
                    path.push((found, register));
                    register = after;
                    at = 0;
                } else {
                    flip(&mut placed, found);
                    at = found + 1;
                }
            }
            None => {
                let Some((last, before)) = path.pop() else { return false };
                flip(&mut placed, last);
                register = before;
                at = last + 1;
            }
        }
    }
    panic!("{} operations are too many for the search", operations.len());
}

fn flip(placed: &mut Placed, at: usize) {
    placed[at / 64] ^= 1 << (at % 64);
}

/// The next operation from a place on that may come now, and the register after it.
fn next(
    operations: &[Operation],
    placed: &Placed,
    register: Register,
    from: usize,
) -> Option<(usize, Register)> {
    let mut first_end = u64::MAX;
    for (at, operation) in operations.iter().enumerate() {
        if placed[at / 64] & (1 << (at % 64)) != 0 {
            continue;
        }
        // Something that is left was over before this, and so all that follow, began.
        if operation.from > first_end {
            return None;
        }
        first_end = first_end.min(operation.to);
        if at >= from
            && let Some(after) = register.after(operation)
        {
            return Some((at, after));
        }
    }
    None
}

fn operation(from: u64, to: u64, asked: Asked, told: Told) -> Operation {
    Operation { from, to, asked, told }
}

#[test]
fn orders_are_found() {
    let (get, value, version) = (Asked::Get, Told::Value, Told::Version);
    let put = |from, to, value, told| operation(from, to, Asked::Put(value), version(told));
    // The second put may come before or after the read.
    assert!(is_linearizable(&[
        put(0, 10, 1, 5),
        put(5, 30, 2, 6),
        operation(12, 20, get, value(Some(1))),
        operation(21, 40, get, value(Some(2))),
    ]));
    assert!(is_linearizable(&[
        operation(0, 25, Asked::Incr(1), value(Some(2))),
        operation(10, 20, Asked::Incr(1), value(Some(1))),
        operation(30, 40, Asked::Delete, Told::Done(true)),
        operation(50, 60, Asked::Cas(None, Some(7)), Told::Done(true)),
        operation(70, 80, get, value(Some(7))),
    ]));
}

#[test]
fn violations_are_found() {
    let (get, value) = (Asked::Get, Told::Value);
    let put = |from, to, value, told| operation(from, to, Asked::Put(value), Told::Version(told));
    let stale = [put(0, 10, 1, 5), put(20, 30, 2, 6), operation(40, 50, get, value(Some(1)))];
    assert!(!is_linearizable(&stale), "a stale read");
    let inverted = [
        put(0, 10, 1, 5),
        put(20, 100, 2, 6),
        operation(30, 40, get, value(Some(2))),
        operation(50, 60, get, value(Some(1))),
    ];
    assert!(!is_linearizable(&inverted), "what was seen is not unseen");
    let lost = [
        operation(0, 50, Asked::Incr(1), value(Some(1))),
        operation(10, 60, Asked::Incr(1), value(Some(1))),
    ];
    assert!(!is_linearizable(&lost), "a lost update");
    let twice = [
        put(0, 10, 1, 5),
        operation(20, 60, Asked::Cas(Some(1), Some(2)), Told::Done(true)),
        operation(30, 70, Asked::Cas(Some(1), Some(3)), Told::Done(true)),
    ];
    assert!(!is_linearizable(&twice), "one value is exchanged once");
    assert!(!is_linearizable(&[put(0, 10, 1, 6), put(20, 30, 2, 6)]), "versions grow");
}
