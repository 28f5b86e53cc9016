//! Ranges of a key by bounds of a column that never falls along it: when a message was published, by
//! its place in the stream.
//!
//! ```text
//! key      (0,0) (0,1) (0,2) … (0,9)   (1,0) (1,1) …    values of the first key column apart
//! column    10    10    14      31      9     12         each bound is found by halving
//! ```

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::ops::Bound;
use std::sync::Arc;

use aegis_sql::row::RowLayout;
use aegis_storage::{Block, Direction, Key, KeyRange, ReadView, Trees};
use aegis_types::{Datum, SqlResult, key};

use crate::scalar::Scalar;
use crate::scan::{KeyColumn, RangePlan};

/// A tree whose keys have two columns, the second a bigint, and the place of the column in its rows.
pub(crate) struct Along<'a> {
    pub(crate) view: &'a ReadView,
    pub(crate) trees: &'a Trees,
    pub(crate) layout: &'a RowLayout,
    pub(crate) column: usize,
}

/// A bound: a value, and whether it belongs to the range.
type End = Option<(Datum, bool)>;

impl Along<'_> {
    /// The ranges of the keys of rows whose column lies between the plan's bounds.
    pub(crate) fn ranges(
        &self,
        plan: &RangePlan,
        value_of: &mut dyn FnMut(&Arc<Scalar>) -> SqlResult<Datum>,
    ) -> SqlResult<VecDeque<KeyRange>> {
        let mut end_of = |bound: &Option<(Arc<Scalar>, bool)>| -> SqlResult<End> {
            let Some((scalar, is_in)) = bound else { return Ok(None) };
            let value = value_of(scalar)?;
            let is_known = value.is_null() || matches!(value, Datum::Timestamptz(_));
            Ok(is_known.then_some((value, *is_in)))
        };
        let (lower, upper) = (end_of(&plan.lower)?, end_of(&plan.upper)?);
        let mut found = VecDeque::new();
        if [&lower, &upper].into_iter().flatten().any(|(value, _)| value.is_null()) {
            return Ok(found);
        }
        let [first, second] = plan.keys[..] else { return Ok(VecDeque::from([KeyRange::all()])) };
        let mut rest = KeyRange::all();
        while let Some((row_key, _)) = self.end(rest.clone(), Direction::Forward)? {
            let mut behind = &row_key[..];
            key::skip(first.ty, first.descending, &mut behind)?;
            let part = KeyRange::prefix(&row_key[..row_key.len() - behind.len()]);
            rest = match &part.upper {
                Bound::Excluded(next) => {
                    KeyRange { lower: Bound::Included(next.clone()), upper: Bound::Unbounded }
                }
                _ => KeyRange { lower: Bound::Unbounded, upper: Bound::Unbounded },
            };
            let is_last = matches!(rest.lower, Bound::Unbounded);
            let prefix = &row_key[..row_key.len() - behind.len()];
            if let Some(range) = self.within(part, prefix, second, (&lower, &upper))? {
                found.push_back(range);
            }
            if is_last {
                break;
            }
        }
        Ok(found)
    }

    /// What of one part lies between the bounds.
    fn within(
        &self,
        part: KeyRange,
        prefix: &[u8],
        second: KeyColumn,
        (lower, upper): (&End, &End),
    ) -> SqlResult<Option<KeyRange>> {
        let number = |row_key: &[u8]| -> SqlResult<i64> {
            let mut behind = &row_key[prefix.len()..];
            match key::decode(second.ty, second.descending, &mut behind)? {
                Datum::Int8(number) => Ok(number),
                _ => Ok(0),
            }
        };
        let (Some((first, _)), Some((last, _))) = (
            self.end(part.clone(), Direction::Forward)?,
            self.end(part.clone(), Direction::Backward)?,
        ) else {
            return Ok(None);
        };
        let (first, last) = (number(&first)?, number(&last)?);
        let at = |number: i64| -> SqlResult<Key> {
            let mut bytes = prefix.to_vec();
            key::encode(second.ty, &Datum::Int8(number), false, false, &mut bytes)?;
            Ok(Key::new(&bytes))
        };
        // The first number from which on the column is beyond a bound.
        let beyond = |is_before: &dyn Fn(&Datum) -> bool| -> SqlResult<i64> {
            let (mut low, mut high) = (first, last.saturating_add(1));
            while low < high {
                let middle = low + (high - low) / 2;
                let from = KeyRange { lower: Bound::Included(at(middle)?), ..part.clone() };
                match self.end(from, Direction::Forward)? {
                    Some((_, value)) if is_before(&value) => low = middle + 1,
                    _ => high = middle,
                }
            }
            Ok(low)
        };
        let mut range = part.clone();
        if let Some((value, is_in)) = lower {
            let number = beyond(&|found| match order(found, value) {
                Ordering::Less => true,
                Ordering::Equal => !is_in,
                Ordering::Greater => false,
            })?;
            range.lower = Bound::Included(at(number)?);
        }
        if let Some((value, is_in)) = upper {
            let number = beyond(&|found| match order(found, value) {
                Ordering::Less => true,
                Ordering::Equal => *is_in,
                Ordering::Greater => false,
            })?;
            range.upper = Bound::Excluded(at(number)?);
        }
        Ok((!range.is_empty()).then_some(range))
    }

    /// The first row of a range in a direction: its key, and its value of the column.
    fn end(&self, range: KeyRange, direction: Direction) -> SqlResult<Option<(Vec<u8>, Datum)>> {
        let mut scan = self.view.scan_in(self.trees, range, direction)?;
        let mut block = Block::default();
        while scan.next_block(&mut block)? {
            if !block.is_empty() {
                let row = block.row(0);
                let value = self.layout.decode_column(row.value, self.column)?;
                return Ok(Some((row.key.to_vec(), value)));
            }
        }
        Ok(None)
    }
}

/// How values of the column compare, which all are times. (Other bounds are none: a filter follows.)
fn order(one: &Datum, other: &Datum) -> Ordering {
    match (one, other) {
        (Datum::Timestamptz(one), Datum::Timestamptz(other)) => one.cmp(other),
        _ => Ordering::Equal,
    }
}
