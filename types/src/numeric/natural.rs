//! Natural numbers of any size, as limbs in base 10⁸, the least significant first: what the
//! schoolbook algorithms for products, quotients and roots run on.
//!
//! The canonical form has no zero limb at its end; zero has no limbs. Knows neither sign nor point.

use std::cmp::Ordering;

/// The base of a limb: two of the digits in which values are stored.
pub(super) const BASE: u64 = 100_000_000;

/// Limbs, the least significant first.
pub(super) type Natural = Vec<u32>;

/// Removes the zero limbs at the end.
pub(super) fn trim(limbs: &mut Natural) {
    while limbs.last() == Some(&0) {
        limbs.pop();
    }
}

/// The number with these digits in base 10,000, the most significant first.
pub(super) fn from_digits(digits: &[u16]) -> Natural {
    let mut limbs: Natural = digits
        .rchunks(2)
        .map(|pair| pair.iter().fold(0, |limb, digit| limb * 10_000 + u32::from(*digit)))
        .collect();
    trim(&mut limbs);
    limbs
}

/// The digits in base 10,000, the most significant first, none of them a leading zero.
pub(super) fn to_digits(limbs: &[u32]) -> Vec<u16> {
    let mut digits = Vec::with_capacity(limbs.len() * 2);
    for limb in limbs.iter().rev() {
        // Both halves are below 10,000.
        digits.push((limb / 10_000) as u16);
        digits.push((limb % 10_000) as u16);
    }
    if digits.first() == Some(&0) {
        digits.remove(0);
    }
    digits
}

pub(super) fn from_u64(mut value: u64) -> Natural {
    let mut limbs = Vec::new();
    while value > 0 {
        limbs.push((value % BASE) as u32);
        value /= BASE;
    }
    limbs
}

pub(super) fn compare(left: &[u32], right: &[u32]) -> Ordering {
    left.len().cmp(&right.len()).then_with(|| left.iter().rev().cmp(right.iter().rev()))
}

pub(super) fn add(left: &[u32], right: &[u32]) -> Natural {
    let (long, short) = if left.len() >= right.len() { (left, right) } else { (right, left) };
    let mut sum = Vec::with_capacity(long.len() + 1);
    let mut carry = 0;
    for (at, limb) in long.iter().enumerate() {
        let total = limb + short.get(at).copied().unwrap_or(0) + carry;
        carry = u32::from(u64::from(total) >= BASE);
        sum.push(total - carry * BASE as u32);
    }
    if carry > 0 {
        sum.push(carry);
    }
    sum
}

/// `left` − `right`; `left` is not the smaller.
pub(super) fn subtract(left: &[u32], right: &[u32]) -> Natural {
    let mut difference = Vec::with_capacity(left.len());
    let mut borrow = 0;
    for (at, limb) in left.iter().enumerate() {
        let taken = right.get(at).copied().unwrap_or(0) + borrow;
        borrow = u32::from(*limb < taken);
        difference.push(limb + borrow * BASE as u32 - taken);
    }
    assert!(borrow == 0, "the subtrahend is not the larger");
    trim(&mut difference);
    difference
}

/// Carries are put off for this many rows of a product: each adds less than 10^16 to a column,
/// and 1,800 of them stay below 2^64.
const ROWS_WITHOUT_CARRY: usize = 1_800;

pub(super) fn multiply(left: &[u32], right: &[u32]) -> Natural {
    let (long, short) = if left.len() >= right.len() { (left, right) } else { (right, left) };
    if short.is_empty() {
        return Vec::new();
    }
    let mut columns = vec![0_u64; long.len() + short.len()];
    for (block, rows) in short.chunks(ROWS_WITHOUT_CARRY).enumerate() {
        for (at, factor) in rows.iter().enumerate() {
            let row = block * ROWS_WITHOUT_CARRY + at;
            let factor = u64::from(*factor);
            for (column, limb) in columns[row..].iter_mut().zip(long) {
                *column += factor * u64::from(*limb);
            }
        }
        let mut carry = 0;
        for column in &mut columns {
            let total = *column + carry;
            carry = total / BASE;
            *column = total % BASE;
        }
    }
    // Every column is below the base.
    let mut product: Natural = columns.into_iter().map(|column| column as u32).collect();
    trim(&mut product);
    product
}

pub(super) fn multiply_small(limbs: &mut Natural, factor: u32) {
    let mut carry = 0;
    for limb in limbs.iter_mut() {
        let total = u64::from(*limb) * u64::from(factor) + carry;
        *limb = (total % BASE) as u32;
        carry = total / BASE;
    }
    while carry > 0 {
        limbs.push((carry % BASE) as u32);
        carry /= BASE;
    }
    trim(limbs);
}

/// Divides in place and returns the remainder. The divisor is not zero.
pub(super) fn divide_small(limbs: &mut Natural, divisor: u32) -> u32 {
    let divisor = u64::from(divisor);
    let mut remainder = 0;
    for limb in limbs.iter_mut().rev() {
        let total = remainder * BASE + u64::from(*limb);
        *limb = (total / divisor) as u32;
        remainder = total % divisor;
    }
    trim(limbs);
    remainder as u32
}

/// Quotient and remainder (Knuth, The Art of Computer Programming, 4.3.1, algorithm D).
/// The divisor is not zero.
pub(super) fn divide(dividend: &[u32], divisor: &[u32]) -> (Natural, Natural) {
    if compare(dividend, divisor) == Ordering::Less {
        return (Vec::new(), dividend.to_vec());
    }
    if let [single] = divisor {
        let mut quotient = dividend.to_vec();
        let remainder = divide_small(&mut quotient, *single);
        return (quotient, from_u64(u64::from(remainder)));
    }
    let size = divisor.len();
    // Scaled so that the divisor's first limb is at least half the base, which bounds the error of
    // a quotient limb guessed from two limbs by 2.
    let scale = (BASE / (u64::from(divisor[size - 1]) + 1)) as u32;
    let mut rest = dividend.to_vec();
    multiply_small(&mut rest, scale);
    rest.resize(dividend.len() + 1, 0);
    let mut scaled = divisor.to_vec();
    multiply_small(&mut scaled, scale);
    let first = u64::from(scaled[size - 1]);
    let second = u64::from(scaled[size - 2]);

    let mut quotient = vec![0_u32; dividend.len() - size + 1];
    for at in (0..quotient.len()).rev() {
        let head = u64::from(rest[at + size]) * BASE + u64::from(rest[at + size - 1]);
        let mut guess = head / first;
        let mut left = head % first;
        while guess >= BASE || guess * second > left * BASE + u64::from(rest[at + size - 2]) {
            guess -= 1;
            left += first;
            if left >= BASE {
                break;
            }
        }
        if guess > 0 && !subtract_multiple(&mut rest[at..=at + size], &scaled, guess) {
            guess -= 1;
            add_back(&mut rest[at..=at + size], &scaled);
        }
        quotient[at] = guess as u32;
    }
    trim(&mut quotient);
    trim(&mut rest);
    divide_small(&mut rest, scale);
    (quotient, rest)
}

/// Subtracts `factor` × `subtrahend` modulo the base to the power of the window's length; whether
/// no borrow was left.
fn subtract_multiple(window: &mut [u32], subtrahend: &[u32], factor: u64) -> bool {
    let mut borrow = 0_u64;
    let last = subtrahend.len();
    for (limb, taken) in window[..last].iter_mut().zip(subtrahend) {
        let total = u64::from(*taken) * factor + borrow;
        let low = (total % BASE) as u32;
        borrow = total / BASE + u64::from(*limb < low);
        *limb = if *limb < low { *limb + BASE as u32 - low } else { *limb - low };
    }
    let low = borrow as u32;
    let enough = window[last] >= low;
    window[last] = if enough { window[last] - low } else { window[last] + BASE as u32 - low };
    enough
}

/// Undoes one subtraction too many; the carry out of the window cancels the borrow.
fn add_back(window: &mut [u32], addend: &[u32]) {
    let mut carry = 0;
    let last = addend.len();
    for (limb, more) in window[..last].iter_mut().zip(addend) {
        let total = *limb + more + carry;
        carry = u32::from(u64::from(total) >= BASE);
        *limb = total - carry * BASE as u32;
    }
    window[last] = (window[last] + carry) % BASE as u32;
}

/// The integer part of the square root, by Newton's method from above, from the root of the upper
/// half.
pub(super) fn square_root(limbs: &[u32]) -> Natural {
    if limbs.len() <= 2 {
        let value = limbs.iter().rev().fold(0, |value, limb| value * BASE + u64::from(*limb));
        return from_u64(value.isqrt());
    }
    // At least a limb, and not all of them: there are three or more.
    let kept = (limbs.len() / 4).max(1);
    let mut root = add(&square_root(&limbs[2 * kept..]), &[1]);
    root.splice(0..0, std::iter::repeat_n(0, kept));
    loop {
        let (quotient, _) = divide(limbs, &root);
        let mut next = add(&root, &quotient);
        divide_small(&mut next, 2);
        if compare(&next, &root) != Ordering::Less {
            return root;
        }
        root = next;
    }
}
