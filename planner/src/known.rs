//! What is known of a column, and which part of its rows a condition leaves.
//!
//! ```text
//! all rows ─┬─ NULL            null_fraction
//!           ├─ common values   each with its frequency
//!           └─ the others      alike in number, their order cut by the histogram
//! ```
//!
//! The rules are those of PostgreSQL 15 (chapter 72, "How the Planner Uses Statistics"), so that
//! estimates can be compared. No query is known here.

use std::sync::Arc;

use aegis_catalog::Statistics;
use aegis_types::compare::compare;
use aegis_types::{Datum, Oid, type_oid};

use crate::scalar::Comparison;

mod pattern;
mod scale;

pub(crate) use pattern::Matching;
pub(crate) use scale::like;

/// What an equality leaves where nothing is known.
pub(crate) const EQUAL: f64 = 0.005;
/// What a comparison leaves.
pub(crate) const COMPARED: f64 = 1.0 / 3.0;
/// What both ends of a range leave.
pub(crate) const RANGE: f64 = 0.005;
/// How many values a column has.
pub(crate) const DISTINCT: f64 = 200.0;

/// What is known of a column.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) statistics: Option<Arc<Statistics>>,
    /// Rows of its table.
    pub(crate) rows: f64,
    /// Whether no value comes twice.
    pub(crate) is_unique: bool,
    /// Its type, beneath domains.
    pub(crate) base: Oid,
}

/// A part of the rows, or what is assumed for it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Part {
    pub(crate) part: f64,
    pub(crate) is_default: bool,
}

impl Part {
    fn known(part: f64) -> Self {
        Self { part: part.clamp(0.0, 1.0), is_default: false }
    }

    fn default_of(part: f64) -> Self {
        Self { part, is_default: true }
    }
}

impl Known {
    pub(crate) fn null_fraction(&self) -> f64 {
        self.statistics.as_ref().map_or(0.0, |it| f64::from(it.null_fraction))
    }

    /// The most common values with their frequencies.
    pub(crate) fn common(&self) -> impl Iterator<Item = (&Datum, f64)> {
        let common = self.statistics.as_ref().and_then(|it| it.common.as_ref());
        common.into_iter().flat_map(|common| {
            common.values.0.iter().zip(common.frequencies.iter().map(|part| f64::from(*part)))
        })
    }

    fn histogram(&self) -> &[Datum] {
        let histogram = self.statistics.as_ref().and_then(|it| it.histogram.as_ref());
        histogram.map_or(&[], |values| &values.0)
    }

    /// How many values it has, and whether that is a guess.
    pub(crate) fn distinct(&self) -> (f64, bool) {
        let rows = self.rows.max(1.0);
        let stored = self.statistics.as_ref().map(|it| f64::from(it.distinct));
        let stored = match stored {
            _ if self.is_unique => Some(-1.0 + self.null_fraction()),
            None if self.base == type_oid::BOOL => Some(2.0),
            stored => stored.filter(|distinct| *distinct != 0.0),
        };
        match stored {
            Some(distinct) if distinct > 0.0 => (distinct.round().max(1.0), false),
            Some(part) => ((-part * rows).round().max(1.0), false),
            None if rows < DISTINCT => (rows.round(), false),
            None => (DISTINCT, true),
        }
    }

    /// The rows equal to a value, or to one that is not known.
    pub(crate) fn equal(&self, value: Option<&Datum>) -> f64 {
        if self.is_unique {
            return 1.0 / self.rows.max(1.0);
        }
        let rest = 1.0 - self.null_fraction();
        let distinct = self.distinct().0;
        let value = match value {
            Some(Datum::Null) => return 0.0,
            Some(value) if self.statistics.is_some() => self.alike(value),
            _ => None,
        };
        let Some(value) = value else {
            let part = rest / distinct.max(1.0);
            return self.common().next().map_or(part, |(_, most)| part.min(most)).clamp(0.0, 1.0);
        };
        let (mut sum, mut count, mut least) = (0.0, 0.0, f64::INFINITY);
        for (common, part) in self.common() {
            if compare(self.base, common, &value).is_eq() {
                return part;
            }
            sum += part;
            count += 1.0;
            least = part;
        }
        let others = distinct - count;
        let part = (rest - sum).clamp(0.0, 1.0);
        (if others > 1.0 { part / others } else { part }).min(least)
    }

    /// Whether equality with one value may leave many times as much as with another.
    pub(crate) fn is_skewed(&self) -> bool {
        const MANY: f64 = 8.0;
        let (mut count, mut sum, mut most, mut least) = (0.0, 0.0, 0.0_f64, f64::INFINITY);
        for (_, part) in self.common() {
            count += 1.0;
            sum += part;
            most = most.max(part);
            least = least.min(part);
        }
        let others = self.distinct().0 - count;
        if others >= 1.0 {
            least = least.min((1.0 - self.null_fraction() - sum).max(0.0) / others);
        }
        !self.is_unique && most > least * MANY
    }

    /// The rows that compare so with a value, or with one that is not known.
    pub(crate) fn compared(&self, op: Comparison, value: Option<&Datum>) -> Part {
        match op {
            Comparison::Equal => return Part::known(self.equal(value)),
            Comparison::NotEqual => {
                return Part::known(1.0 - self.equal(value) - self.null_fraction());
            }
            _ => {}
        }
        let value = match value {
            Some(Datum::Null) => return Part::known(0.0),
            Some(value) => self.alike(value),
            None => None,
        };
        let (Some(value), true) = (value, self.statistics.is_some()) else {
            return Part::default_of(COMPARED);
        };
        let (mut common, mut sum) = (0.0, 0.0);
        for (known, part) in self.common() {
            sum += part;
            if op.holds(compare(self.base, known, &value)) {
                common += part;
            }
        }
        let others = 1.0 - self.null_fraction() - sum;
        let part = self.below(op, &value).unwrap_or(0.5);
        Part::known(others.max(0.0) * part + common)
    }

    /// Which part of the values that are not common compares so with one; `None` without a histogram.
    fn below(&self, op: Comparison, value: &Datum) -> Option<f64> {
        let bounds = self.histogram();
        if bounds.len() < 2 {
            return None;
        }
        let is_upward = matches!(op, Comparison::Greater | Comparison::GreaterEqual);
        let is_open = matches!(op, Comparison::Less | Comparison::GreaterEqual);
        // How many bounds lie before where the condition changes.
        let at = bounds.partition_point(|bound| {
            let order = compare(self.base, bound, value);
            if is_open { order.is_lt() } else { order.is_le() }
        });
        let parts = (bounds.len() - 1) as f64;
        let below = if at == 0 {
            0.0
        } else if at == bounds.len() {
            1.0
        } else {
            let within = scale::within(self.base, value, &bounds[at - 1], &bounds[at]);
            let others = self.distinct().0 - self.common().count() as f64;
            let equal = if others > 1.0 { 1.0 / others } else { 0.0 };
            let mut below = ((at - 1) as f64 + within) / parts;
            if at == 1 {
                // The least value lies within the first part, not between two.
                below += equal * (1.0 - within);
            }
            if is_open {
                below -= equal;
            }
            below
        };
        let part = if is_upward { 1.0 - below } else { below };
        // Rows may be there that came after the statistics.
        let least = 0.01 / parts;
        Some(part.clamp(least, 1.0 - least))
    }

    /// A value of a kindred type as one of the column's.
    fn alike(&self, value: &Datum) -> Option<Datum> {
        let known = self.common().map(|(value, _)| value).next();
        let known = known.or_else(|| self.histogram().first());
        match known {
            Some(known) => like(value, known),
            None => Some(value.clone()),
        }
    }
}

/// Both sides of an equality between columns: which part of all pairs is equal.
pub(crate) fn equal_pairs(left: &Known, right: &Known) -> f64 {
    let (left_distinct, right_distinct) = (left.distinct().0, right.distinct().0);
    let (left_rest, right_rest) = (1.0 - left.null_fraction(), 1.0 - right.null_fraction());
    let Some(matched) = Matched::of(left, right) else {
        return (left_rest * right_rest / left_distinct.max(right_distinct)).clamp(0.0, 1.0);
    };
    let left_other = (left_rest - matched.left - matched.left_alone).max(0.0);
    let right_other = (right_rest - matched.right - matched.right_alone).max(0.0);
    let one_side = |alone: f64, other: f64, across: f64, across_alone: f64, count: f64, n: f64| {
        let mut part = matched.products;
        if n > count {
            part += alone * across / (n - count);
        }
        if n > matched.count {
            part += other * (across + across_alone) / (n - matched.count);
        }
        part
    };
    let (left_alone, right_alone) = (matched.left_alone, matched.right_alone);
    let right_count = right.common().count() as f64;
    let left_count = left.common().count() as f64;
    let from_left =
        one_side(left_alone, left_other, right_other, right_alone, right_count, right_distinct);
    let from_right =
        one_side(right_alone, right_other, left_other, left_alone, left_count, left_distinct);
    from_left.min(from_right).clamp(0.0, 1.0)
}

/// Which part of the rows on the left has an equal one on the right, of which so many are left.
pub(crate) fn equal_any(left: &Known, right: &Known, right_rows: f64) -> f64 {
    let ((left_distinct, left_guessed), (right_distinct, right_guessed)) =
        (left.distinct(), right.distinct());
    let right_distinct = right_distinct.min(right_rows.max(1.0));
    let rest = 1.0 - left.null_fraction();
    let part = if left_guessed || right_guessed {
        0.5
    } else if left_distinct <= right_distinct {
        1.0
    } else {
        right_distinct / left_distinct
    };
    match Matched::of(left, right) {
        None => (rest * part).clamp(0.0, 1.0),
        Some(matched) => {
            let unsure = (rest - matched.left).max(0.0);
            let left_distinct = left_distinct - matched.count;
            let right_distinct = right_distinct - matched.count;
            let part = if left_guessed || right_guessed {
                0.5
            } else if left_distinct <= right_distinct || right_distinct < 0.0 {
                1.0
            } else {
                right_distinct / left_distinct
            };
            (matched.left + part * unsure).clamp(0.0, 1.0)
        }
    }
}

/// The common values that both of two columns have.
struct Matched {
    count: f64,
    /// The parts of all pairs that they make.
    products: f64,
    /// The parts of either side that they are, and that its other common values are.
    left: f64,
    right: f64,
    left_alone: f64,
    right_alone: f64,
}

impl Matched {
    /// `None` unless both sides have common values, of one type.
    fn of(left: &Known, right: &Known) -> Option<Self> {
        let mut others: Vec<(&Datum, f64)> = right.common().collect();
        let first = left.common().next()?.0;
        like(others.first()?.0, first)?;
        if left.base != right.base {
            return None;
        }
        let mut found = Self {
            count: 0.0,
            products: 0.0,
            left: 0.0,
            right: 0.0,
            left_alone: 0.0,
            right_alone: others.iter().map(|(_, part)| part).sum(),
        };
        others.sort_by(|(a, _), (b, _)| compare(left.base, a, b));
        for (value, part) in left.common() {
            match others.binary_search_by(|(other, _)| compare(left.base, other, value)) {
                Ok(at) => {
                    found.count += 1.0;
                    found.products += part * others[at].1;
                    found.left += part;
                    found.right += others[at].1;
                    found.right_alone -= others[at].1;
                }
                Err(_) => found.left_alone += part,
            }
        }
        found.right_alone = found.right_alone.max(0.0);
        Some(found)
    }
}

#[cfg(test)]
mod tests;
