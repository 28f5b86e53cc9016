//! Exponential and logarithm of fixed-point numbers: integers in units of 10^(-8 × `places`).
//!
//! Every function is off by a few units, grown by what its comment says; callers ask for a few
//! limbs more than they show. No function here rounds to a scale.

use std::cmp::Ordering;

use super::natural::{self, BASE, Natural};

/// A signed fixed-point number.
#[derive(Clone, Debug)]
pub(super) struct Fixed {
    pub(super) negative: bool,
    pub(super) limbs: Natural,
}

impl Fixed {
    pub(super) fn plus(&self, other: &Self) -> Self {
        if self.negative == other.negative {
            let limbs = natural::add(&self.limbs, &other.limbs);
            return Self { negative: self.negative, limbs };
        }
        if natural::compare(&self.limbs, &other.limbs) == Ordering::Less {
            let limbs = natural::subtract(&other.limbs, &self.limbs);
            return Self { negative: other.negative, limbs };
        }
        let limbs = natural::subtract(&self.limbs, &other.limbs);
        Self { negative: self.negative && !limbs.is_empty(), limbs }
    }

    /// `self` × `factor`
    pub(super) fn times_integer(&self, factor: i32) -> Self {
        let limbs =
            natural::multiply(&self.limbs, &natural::from_u64(factor.unsigned_abs().into()));
        Self { negative: self.negative != (factor < 0), limbs }
    }
}

/// 1
fn one(places: usize) -> Natural {
    let mut limbs = vec![0; places];
    limbs.push(1);
    limbs
}

fn multiply(left: &[u32], right: &[u32], places: usize) -> Natural {
    let mut product = natural::multiply(left, right);
    product.drain(..places.min(product.len()));
    product
}

fn divide(dividend: &[u32], divisor: &[u32], places: usize) -> Natural {
    let mut raised = vec![0; places];
    raised.extend_from_slice(dividend);
    natural::trim(&mut raised);
    natural::divide(&raised, divisor).0
}

/// ln 10 = 46 artanh 1/31 + 34 artanh 1/49 + 20 artanh 1/161 (from the factors of 30 and 32, 48
/// and 50, 160 and 162, which are 2, 3 and 5).
pub(super) fn ln_10(places: usize) -> Fixed {
    let mut sum = Natural::new();
    for (factor, inverse) in [(46, 31), (34, 49), (20, 161)] {
        let mut series = artanh_inverse(inverse, places);
        natural::multiply_small(&mut series, factor);
        sum = natural::add(&sum, &series);
    }
    Fixed { negative: false, limbs: sum }
}

/// artanh(1 / `inverse`) = Σ 1 / (k × inverse^k) over the odd k.
fn artanh_inverse(inverse: u32, places: usize) -> Natural {
    let mut power = one(places);
    natural::divide_small(&mut power, inverse);
    let mut sum = Natural::new();
    let mut k = 1;
    while !power.is_empty() {
        let mut term = power.clone();
        natural::divide_small(&mut term, k);
        sum = natural::add(&sum, &term);
        natural::divide_small(&mut power, inverse * inverse);
        k += 2;
    }
    sum
}

/// artanh(`x`) for a small `x`.
fn artanh(x: &[u32], places: usize) -> Natural {
    let square = multiply(x, x, places);
    let mut power = x.to_vec();
    let mut sum = Natural::new();
    let mut k = 1;
    while !power.is_empty() {
        let mut term = power.clone();
        natural::divide_small(&mut term, k);
        sum = natural::add(&sum, &term);
        power = multiply(&power, &square, places);
        k += 2;
    }
    sum
}

/// e^`x` for an `x` of 0 to 10: the Taylor series of x / 2^n, squared n times, which multiplies the
/// error by 2^n. n is at most 68 (of the 4,000 places that are the most that anybody asks for).
pub(super) fn exp(x: &[u32], places: usize) -> Natural {
    let halvings = 8 + (places * 2).isqrt();
    let mut reduced = x.to_vec();
    let mut left = halvings;
    while left > 0 {
        let step = left.min(24);
        natural::divide_small(&mut reduced, 1 << step);
        left -= step;
    }
    let mut sum = one(places);
    let mut term = sum.clone();
    let mut k = 1;
    while !term.is_empty() {
        term = multiply(&term, &reduced, places);
        natural::divide_small(&mut term, k);
        sum = natural::add(&sum, &term);
        k += 1;
    }
    for _ in 0..halvings {
        sum = multiply(&sum, &sum, places);
    }
    sum
}

/// How many extra places [`exp`] and [`ln`] need against the growth of their errors: 2^68 is
/// below 10^24.
pub(super) const GUARD_PLACES: usize = 4;

/// ln `x` for an `x` of 0.1 to 10: from a guess g by floating point, ln x = g + ln(x / e^g), whose
/// argument differs from 1 by 10^-15 or so.
pub(super) fn ln(x: &[u32], places: usize) -> Fixed {
    // The units limb and two below it: 16 decimals, as many as a double tells apart.
    let limb = |at: usize| f64::from(x.get(at).copied().unwrap_or(0));
    let base = BASE as f64;
    let value = limb(places) + (limb(places - 1) + limb(places - 2) / base) / base;
    let guess = (value.ln() * base * base).round();
    let mut limbs = vec![0; places - 2];
    // At most 3 × 10^16.
    limbs.extend(natural::from_u64(guess.abs() as u64));
    natural::trim(&mut limbs);
    let power = exp(&limbs, places);
    let negative = guess < 0.0;
    let ratio = if negative { multiply(x, &power, places) } else { divide(x, &power, places) };
    let one = one(places);
    let below = natural::compare(&ratio, &one) == Ordering::Less;
    let distance =
        if below { natural::subtract(&one, &ratio) } else { natural::subtract(&ratio, &one) };
    let argument = divide(&distance, &natural::add(&ratio, &one), places);
    let mut rest = artanh(&argument, places);
    natural::multiply_small(&mut rest, 2);
    Fixed { negative, limbs }.plus(&Fixed { negative: below, limbs: rest })
}
