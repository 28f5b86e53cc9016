//! Rows of a table at random: each as likely as any other, in the order of the tree.
//!
//! A table of up to four million rows is walked; of a larger one, as storage estimates it, stretches
//! from all over the tree are. Rows are drawn while they come by (Li, *Reservoir-sampling algorithms
//! of time complexity O(n(1 + log(N/n)))*, 1994): what is kept never exceeds the sample, and only
//! rows that are drawn are decoded.

use std::time::Duration;

use aegis_storage::{Block, Direction, KeyRange, ReadView, TreeId};
use aegis_types::SqlResult;

use super::Sampled;
use crate::query_engine::CancelFlag;

/// Trees of up to so many rows are walked from end to end.
pub const WHOLE_MAX: u64 = 4_000_000;
/// Of larger ones so many stretches are read.
const STRETCHES: usize = 4096;
/// So many rows of each, at least.
const STRETCH_ROWS_MIN: u64 = 256;
/// Rows after which somebody who is in no hurry rests.
const REST_ROWS: u64 = 20_000;

/// How fast rows are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pace {
    /// As fast as they come: somebody waits.
    #[default]
    Fast,
    /// With a rest of so long after every twenty thousand rows.
    Resting(Duration),
}

/// A sample.
#[derive(Debug, Default)]
pub struct Sample {
    /// The rows, in the order of the tree, each with a value for every column asked for.
    pub rows: Vec<Box<[Sampled]>>,
    /// About how many rows the table has: exactly, where all of it was read.
    pub total: f64,
}

/// Numbers that look random.
struct Random(u64);

impl Random {
    /// A number above 0 and below 1. (Steele, Lea, Flood: *Fast splittable pseudorandom number
    /// generators*, 2014)
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        ((mixed >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    fn below(&mut self, end: usize) -> usize {
        ((self.next() * end as f64) as usize).min(end.saturating_sub(1))
    }
}

/// Which of the rows that come by are kept.
struct Reservoir {
    rows: Vec<(u64, Box<[Sampled]>)>,
    size: usize,
    bytes: usize,
    bytes_max: usize,
    seen: u64,
    /// The number of the next row that takes another's place.
    next: u64,
    weight: f64,
    random: Random,
}

impl Reservoir {
    fn new(size: usize, bytes_max: usize, seed: u64) -> Self {
        let random = Random(seed);
        Self { rows: Vec::new(), size, bytes: 0, bytes_max, seen: 0, next: 0, weight: 1.0, random }
    }

    /// Whether the row that comes by now is drawn. Who is told so gives it to [`Self::keep`].
    fn draws(&mut self) -> bool {
        self.seen += 1;
        self.rows.len() < self.size || self.seen - 1 == self.next
    }

    fn keep(&mut self, row: Box<[Sampled]>) {
        let entry = (self.seen, row);
        self.bytes += bytes_of(&entry.1);
        if self.rows.len() < self.size {
            self.rows.push(entry);
        } else {
            let place = self.random.below(self.rows.len());
            self.bytes -= bytes_of(&self.rows[place].1);
            self.rows[place] = entry;
        }
        while self.bytes > self.bytes_max && self.rows.len() > 1 {
            // A random part of a sample is a sample.
            let place = self.random.below(self.rows.len());
            let (_, gone) = self.rows.swap_remove(place);
            self.bytes -= bytes_of(&gone);
            self.size = self.rows.len();
        }
        if self.rows.len() >= self.size {
            self.skip();
        }
    }

    /// Chooses the row that is drawn next.
    fn skip(&mut self) {
        self.weight *= (self.random.next().ln() / self.size as f64).exp();
        let skipped = self.random.next().ln() / (-self.weight).ln_1p();
        self.next = self.seen.saturating_add(skipped.abs() as u64);
    }
}

fn bytes_of(row: &[Sampled]) -> usize {
    let one = |value: &Sampled| match value {
        Sampled::Value(value) => value.memory_bytes(),
        Sampled::Null | Sampled::Wide(_) => 0,
    };
    size_of_val(row) + row.iter().map(one).sum::<usize>()
}

/// Draws a sample.
pub struct Sampler<'a> {
    /// What is read.
    pub view: &'a ReadView,
    /// The tree of the rows.
    pub tree: TreeId,
    /// How many rows are kept at most.
    pub rows_max: usize,
    /// Bytes that they may take; where rows are long, fewer are kept.
    pub bytes_max: usize,
    /// Trees of up to so many rows are walked from end to end, of larger ones stretches are read.
    pub whole_max: u64,
    /// How fast.
    pub pace: Pace,
    /// Looked at all along.
    pub cancel: &'a CancelFlag,
}

impl Sampler<'_> {
    /// Reads the tree; `decode` makes of a row's bytes what is kept of it. Takes long.
    ///
    /// # Errors
    /// What reading and decoding raise.
    pub fn draw(
        &self,
        mut decode: impl FnMut(&[u8]) -> SqlResult<Box<[Sampled]>>,
    ) -> SqlResult<Sample> {
        let estimate = self.view.row_estimate(self.tree)?;
        let seed = self.tree.0 ^ estimate.rotate_left(32);
        let mut reservoir = Reservoir::new(self.rows_max.max(1), self.bytes_max, seed);
        let mut points = Vec::new();
        if estimate > self.whole_max {
            points = self.view.split_points(self.tree, &KeyRange::all(), STRETCHES)?;
        }
        let each = (self.rows_max as u64 * 4 / (points.len() as u64 + 1)).max(STRETCH_ROWS_MIN);
        let rows_max = if points.is_empty() { u64::MAX } else { each };
        let mut read = 0;
        let mut ran_out = true;
        for at in 0..=points.len() {
            let lower = at.checked_sub(1).map(|before| points[before].as_slice());
            let range = KeyRange::between(lower, points.get(at).map(Vec::as_slice));
            let (rows, is_end) = self.stretch(range, rows_max, &mut reservoir, &mut decode)?;
            read += rows;
            ran_out &= is_end;
        }
        let total = if ran_out { read } else { estimate.max(read) };
        reservoir.rows.sort_unstable_by_key(|(place, _)| *place);
        let rows = reservoir.rows.into_iter().map(|(_, row)| row).collect();
        Ok(Sample { rows, total: total as f64 })
    }

    /// Reads up to so many rows of a range, and tells how many and whether that was all.
    fn stretch(
        &self,
        range: KeyRange,
        rows_max: u64,
        reservoir: &mut Reservoir,
        decode: &mut impl FnMut(&[u8]) -> SqlResult<Box<[Sampled]>>,
    ) -> SqlResult<(u64, bool)> {
        let mut scan = self.view.scan(self.tree, range, Direction::Forward)?;
        let mut block = Block::default();
        let mut read = 0;
        while scan.next_block(&mut block)? {
            self.cancel.check()?;
            for row in block.iter() {
                read += 1;
                if reservoir.draws() {
                    reservoir.keep(decode(row.value)?);
                }
            }
            if let Pace::Resting(rest) = self.pace
                && reservoir.seen % REST_ROWS < block.len() as u64
            {
                std::thread::sleep(rest);
            }
            if read >= rows_max {
                return Ok((read, false));
            }
        }
        Ok((read, true))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use aegis_storage::{MemoryDisk, MemoryLog, Store, StoreOptions, TxnOptions};
    use aegis_types::Datum;

    use super::*;

    fn drawn(rows: u64, size: usize, bytes_max: usize, seed: u64) -> Vec<i64> {
        let mut reservoir = Reservoir::new(size, bytes_max, seed);
        for number in 0..rows as i64 {
            if reservoir.draws() {
                reservoir.keep(Box::new([Sampled::Value(Datum::Int8(number))]));
            }
        }
        let number = |row: &(u64, Box<[Sampled]>)| match &row.1[0] {
            Sampled::Value(Datum::Int8(number)) => *number,
            other => panic!("{other:?}"),
        };
        reservoir.rows.iter().map(number).collect()
    }

    #[test]
    fn of_a_large_tree_parts_from_all_over_it_are_read() {
        const ROWS: u64 = 100_000;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let options = StoreOptions::new("store", 1 << 30, Arc::new(|| 1));
        let store = Store::open(options, Arc::new(MemoryDisk::new())).unwrap();
        let log = MemoryLog::new();
        store.attach_log(log.clone());
        log.attach(Arc::new(store.clone())).unwrap();
        let tree = TreeId(1000);
        runtime.block_on(async {
            for part in 0..10 {
                let mut txn = store.begin(TxnOptions::default()).unwrap();
                for number in part * ROWS / 10..(part + 1) * ROWS / 10 {
                    txn.put(tree, &number.to_be_bytes(), &number.to_be_bytes()).unwrap();
                }
                txn.commit().await.unwrap();
            }
        });
        let view = store.newest_view().unwrap();
        let cancel = CancelFlag::default();
        for whole_max in [u64::MAX, 1000] {
            let mut decoded = 0;
            let sampler = Sampler {
                view: &view,
                tree,
                rows_max: 1000,
                bytes_max: usize::MAX,
                whole_max,
                pace: Pace::Fast,
                cancel: &cancel,
            };
            let sample = sampler.draw(|bytes| {
                decoded += 1;
                let number = u64::from_be_bytes(bytes.try_into().unwrap());
                Ok(Box::new([Sampled::Value(Datum::Int8(number as i64))]))
            });
            let sample = sample.unwrap();
            assert_eq!(sample.rows.len(), 1000);
            assert!(sample.total > ROWS as f64 * 0.5 && sample.total < ROWS as f64 * 2.0);
            assert!(decoded < ROWS / 4);
            for tenth in 0..10 {
                let is_here = |row: &[Sampled]| {
                    let Sampled::Value(Datum::Int8(number)) = &row[0] else { return false };
                    *number as u64 / (ROWS / 10) == tenth
                };
                let here = sample.rows.iter().filter(|row| is_here(row)).count();
                assert!((20..300).contains(&here), "{here} of 1000 in part {tenth}");
            }
        }
    }

    #[test]
    fn a_small_table_is_all_in_its_sample() {
        assert_eq!(drawn(100, 100, usize::MAX, 1), (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn every_part_of_a_table_is_as_likely() {
        for seed in 0..20 {
            let sample = drawn(100_000, 3000, usize::MAX, seed);
            assert_eq!(sample.len(), 3000, "seed {seed}");
            for tenth in 0..10 {
                let here = sample.iter().filter(|number| **number / 10_000 == tenth).count();
                // 300 are expected; seven standard deviations are 115.
                assert!((185..415).contains(&here), "seed {seed}: {here} in part {tenth}");
            }
        }
    }

    #[test]
    fn long_rows_make_a_sample_smaller_and_keep_it_even() {
        let each = bytes_of(&[Sampled::Value(Datum::Int8(0))]);
        let sample = drawn(100_000, 3000, each * 500, 7);
        assert_eq!(sample.len(), 500);
        let late = sample.iter().filter(|number| **number >= 50_000).count();
        assert!((170..330).contains(&late), "seed 7: {late} of 500 in the second half");
    }
}
