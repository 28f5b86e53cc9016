//! The running sum behind `sum`, `avg`, `variance` and `stddev` over exact numbers.
//!
//! ```text
//! add ──► i128 coefficient at the largest scale seen ──(overflow)──► a Numeric beside it
//! ```
//!
//! Additions of Small values stay in one 128-bit integer, which about 10^19 of them fill at the
//! earliest.

use super::digits::Digits;
use super::{Numeric, Repr, Special};
use crate::error::SqlResult;

/// A sum of finite values: what the integer holds plus what has spilled.
#[derive(Clone, Debug, Default)]
struct Total {
    coefficient: i128,
    scale: u16,
    spilled: Option<Box<Digits>>,
}

impl Total {
    fn add(&mut self, coefficient: i128, scale: u16) {
        if self.try_add(coefficient, scale).is_none() {
            self.spill();
            self.coefficient = coefficient;
            self.scale = scale;
        }
    }

    /// Nothing, and nothing changed, if 128 bits do not suffice.
    fn try_add(&mut self, coefficient: i128, scale: u16) -> Option<()> {
        if scale == self.scale {
            self.coefficient = self.coefficient.checked_add(coefficient)?;
        } else if scale < self.scale {
            let factor = 10_i128.checked_pow(u32::from(self.scale - scale))?;
            self.coefficient = self.coefficient.checked_add(coefficient.checked_mul(factor)?)?;
        } else {
            let factor = 10_i128.checked_pow(u32::from(scale - self.scale))?;
            let raised = self.coefficient.checked_mul(factor)?;
            self.coefficient = raised.checked_add(coefficient)?;
            self.scale = scale;
        }
        Some(())
    }

    fn spill(&mut self) {
        let held = Digits::from_coefficient(self.coefficient, self.scale);
        self.coefficient = 0;
        self.add_digits(&held);
    }

    fn add_digits(&mut self, digits: &Digits) {
        let sum =
            self.spilled.take().map_or_else(|| digits.clone(), |spilled| spilled.plus(digits));
        self.spilled = Some(Box::new(sum));
    }

    fn digits(&self) -> Digits {
        let held = Digits::from_coefficient(self.coefficient, self.scale);
        self.spilled.as_ref().map_or_else(|| held.clone(), |spilled| spilled.plus(&held))
    }

    fn merge(&mut self, other: &Self) {
        self.add(other.coefficient, other.scale);
        if let Some(spilled) = &other.spilled {
            self.add_digits(spilled);
        }
    }
}

/// The running state of an aggregate over numeric or integer values. Make it with
/// [`SumAccumulator::new`] for sums and averages, [`SumAccumulator::with_squares`] for variances.
#[derive(Clone, Debug, Default)]
pub struct SumAccumulator {
    sum: Total,
    squares: Option<Total>,
    /// Finite values.
    finite: i64,
    /// -Infinity, Infinity and NaN.
    specials: [i64; 3],
    /// The largest scale among the finite values, and how many have it.
    largest_scale: u16,
    of_largest_scale: i64,
}

impl SumAccumulator {
    /// For sums and averages.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// For variances and standard deviations, and sums and averages too.
    #[must_use]
    pub fn with_squares() -> Self {
        Self { squares: Some(Total::default()), ..Self::default() }
    }

    /// Takes a value.
    pub fn add(&mut self, value: &Numeric) {
        match &value.0 {
            Repr::Small { scale, coefficient } => {
                self.add_coefficient(*coefficient, u16::from(*scale), 1);
            }
            Repr::Large(digits) => {
                self.note(digits.scale, 1);
                self.sum.add_digits(digits);
                if let Some(squares) = &mut self.squares {
                    squares.add_digits(&digits.times(digits));
                }
            }
            Repr::Special(special) => self.specials[*special as usize] += 1,
        }
    }

    /// Takes an integer.
    pub fn add_integer(&mut self, value: i64) {
        self.add_coefficient(value, 0, 1);
    }

    fn add_coefficient(&mut self, coefficient: i64, scale: u16, sign: i64) {
        self.note(scale, sign);
        let coefficient = i128::from(coefficient);
        self.sum.add(coefficient * i128::from(sign), scale);
        if let Some(squares) = &mut self.squares {
            // At most 2^126.
            squares.add(coefficient * coefficient * i128::from(sign), 2 * scale);
        }
    }

    /// Counts a finite value in (1) or out (-1).
    fn note(&mut self, scale: u16, sign: i64) {
        self.finite += sign;
        if scale > self.largest_scale {
            self.largest_scale = scale;
            self.of_largest_scale = sign;
        } else if scale == self.largest_scale {
            self.of_largest_scale += sign;
        }
    }

    /// Takes back a value that was added. Whether it could: not if it was the last of the largest
    /// scale, which the result would go on to show; nothing has changed then.
    pub fn sub(&mut self, value: &Numeric) -> bool {
        match &value.0 {
            Repr::Special(special) => self.specials[*special as usize] -= 1,
            _ if self.loses_scale(value.display_scale().unwrap_or(0)) => return false,
            Repr::Small { scale, coefficient } => {
                self.add_coefficient(*coefficient, u16::from(*scale), -1);
            }
            Repr::Large(digits) => {
                self.note(digits.scale, -1);
                self.sum.add_digits(&(**digits).clone().negated());
                if let Some(squares) = &mut self.squares {
                    squares.add_digits(&digits.times(digits).negated());
                }
            }
        }
        true
    }

    fn loses_scale(&self, scale: u16) -> bool {
        scale > 0 && scale == self.largest_scale && self.of_largest_scale == 1
    }

    /// Takes back an integer that was added to a state that has only seen integers.
    pub fn sub_integer(&mut self, value: i64) {
        self.add_coefficient(value, 0, -1);
    }

    /// Takes all that `other` has taken.
    pub fn merge(&mut self, other: &Self) {
        self.sum.merge(&other.sum);
        if let (Some(squares), Some(more)) = (&mut self.squares, &other.squares) {
            squares.merge(more);
        }
        self.finite += other.finite;
        for (count, more) in self.specials.iter_mut().zip(other.specials) {
            *count += more;
        }
        match other.largest_scale.cmp(&self.largest_scale) {
            std::cmp::Ordering::Less => {}
            std::cmp::Ordering::Equal => self.of_largest_scale += other.of_largest_scale,
            std::cmp::Ordering::Greater => {
                self.largest_scale = other.largest_scale;
                self.of_largest_scale = other.of_largest_scale;
            }
        }
    }

    /// How many values have been taken.
    #[must_use]
    pub fn count(&self) -> i64 {
        self.finite + self.specials.iter().sum::<i64>()
    }

    /// Bytes held beyond the accumulator itself.
    #[must_use]
    pub fn heap_size(&self) -> usize {
        [Some(&self.sum), self.squares.as_ref()]
            .into_iter()
            .flatten()
            .filter_map(|total| total.spilled.as_ref())
            .map(|digits| size_of::<Digits>() + digits.digits.len() * 2)
            .sum()
    }

    /// What NaN and infinities among the values make of the sum.
    fn special_sum(&self) -> Option<Numeric> {
        match self.specials.map(|count| count > 0) {
            [false, false, false] => None,
            [true, false, false] => Some(Numeric::NEGATIVE_INFINITY),
            [false, true, false] => Some(Numeric::INFINITY),
            _ => Some(Numeric(Repr::Special(Special::Nan))),
        }
    }

    /// The sum, with the largest scale among the values; nothing of no values.
    ///
    /// # Errors
    /// 22003 beyond the limits of the type.
    pub fn sum(&self) -> SqlResult<Option<Numeric>> {
        if self.count() == 0 {
            return Ok(None);
        }
        if let Some(special) = self.special_sum() {
            return Ok(Some(special));
        }
        if self.sum.spilled.is_none() && self.sum.scale == self.largest_scale {
            return Ok(Some(Numeric::from_coefficient(self.sum.coefficient, self.sum.scale)));
        }
        Numeric::pack(self.sum.digits().with_scale(self.largest_scale)).map(Some)
    }

    /// The average, with the scale of a quotient; nothing of no values.
    ///
    /// # Errors
    /// 22003 beyond the limits of the type.
    pub fn average(&self) -> SqlResult<Option<Numeric>> {
        let Some(sum) = self.sum()? else { return Ok(None) };
        if !sum.is_finite() {
            return Ok(Some(sum));
        }
        sum.div(&Numeric::from(self.finite)).map(Some)
    }

    /// The variance of a population, or of a `sample`; nothing if there are no values, for a sample
    /// only one, or if the squares were not kept.
    ///
    /// # Errors
    /// 22003 beyond the limits of the type.
    pub fn variance(&self, sample: bool) -> SqlResult<Option<Numeric>> {
        self.spread(sample, false)
    }

    /// The standard deviation: the root of [`SumAccumulator::variance`].
    ///
    /// # Errors
    /// 22003 beyond the limits of the type.
    pub fn standard_deviation(&self, sample: bool) -> SqlResult<Option<Numeric>> {
        self.spread(sample, true)
    }

    /// (n Σx² − (Σx)²) / (n (n − 1)), or / n² for a population.
    fn spread(&self, sample: bool, root: bool) -> SqlResult<Option<Numeric>> {
        let Some(squares) = &self.squares else { return Ok(None) };
        if self.count() <= i64::from(sample) {
            return Ok(None);
        }
        if self.specials != [0; 3] {
            return Ok(Some(Numeric::NAN));
        }
        let count = Digits::from_coefficient(i128::from(self.finite), 0);
        let sum = self.sum.digits().with_scale(self.largest_scale);
        let squares = squares.digits().with_scale(2 * self.largest_scale);
        let dividend = count.times(&squares).minus(&sum.times(&sum));
        if dividend.negative || dividend.is_zero() {
            return Ok(Some(Numeric::ZERO));
        }
        let other = Digits::from_coefficient(i128::from(self.finite - i64::from(sample)), 0);
        let divisor = count.times(&other);
        let scale = dividend.quotient_scale(&divisor);
        let variance = dividend.divided_by(&divisor, scale, true);
        Numeric::pack(if root { variance.square_root(scale) } else { variance }).map(Some)
    }
}
