//! Bit strings: `bit(n)` and `bit varying(n)` (PostgreSQL 15, chapters 8.10 and 9.6).

use std::cmp::Ordering;

use crate::error::{SqlError, SqlResult};
use crate::sqlstate::SqlState;

/// The most bits that a value may have.
pub const LENGTH_MAX: usize = 0x7fff_ffff - 7;

/// A string of bits, the first in the highest bit of the first byte; what the last byte has left
/// is zero.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Bits {
    length: usize,
    bytes: Vec<u8>,
}

impl Bits {
    /// As many zeros.
    #[must_use]
    pub fn zeros(length: usize) -> Self {
        Self { length, bytes: vec![0; length.div_ceil(8)] }
    }

    /// The first `length` bits of bytes; zeros where those end.
    #[must_use]
    pub fn from_bytes(bytes: &[u8], length: usize) -> Self {
        let mut bits = Self::zeros(length);
        let count = bits.bytes.len().min(bytes.len());
        bits.bytes[..count].copy_from_slice(&bytes[..count]);
        bits.clear_padding();
        bits
    }

    /// How many bits.
    #[must_use]
    pub const fn length(&self) -> usize {
        self.length
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bit at a place from 0, which must be below the length.
    #[must_use]
    pub fn get(&self, at: usize) -> bool {
        self.bytes[at / 8] & (0x80 >> (at % 8)) != 0
    }

    /// Sets the bit at a place from 0, which must be below the length.
    pub fn set(&mut self, at: usize, bit: bool) {
        let mask = 0x80 >> (at % 8);
        if bit {
            self.bytes[at / 8] |= mask;
        } else {
            self.bytes[at / 8] &= !mask;
        }
    }

    fn clear_padding(&mut self) {
        let used = self.length % 8;
        if let Some(last) = self.bytes.last_mut().filter(|_| used != 0) {
            *last &= !(0xff_u8 >> used);
        }
    }

    /// The same bits in another length: cut, or with zeros behind.
    #[must_use]
    pub fn resized(&self, length: usize) -> Self {
        Self::from_bytes(&self.bytes, length)
    }

    /// So many bits from a place on, as far as there are any.
    #[must_use]
    pub fn part(&self, from: usize, count: usize) -> Self {
        let from = from.min(self.length);
        let count = count.min(self.length - from);
        let mut part = Self::zeros(count);
        let (skip, shift) = (from / 8, from % 8);
        for (at, byte) in part.bytes.iter_mut().enumerate() {
            let high = self.bytes.get(skip + at).copied().unwrap_or(0);
            let low = self.bytes.get(skip + at + 1).copied().unwrap_or(0);
            *byte = if shift == 0 { high } else { (high << shift) | (low >> (8 - shift)) };
        }
        part.clear_padding();
        part
    }

    /// Both, one behind the other.
    ///
    /// # Errors
    /// 54000 beyond [`LENGTH_MAX`].
    pub fn concat(&self, other: &Self) -> SqlResult<Self> {
        let length = self.length + other.length;
        if length > LENGTH_MAX {
            return Err(too_long());
        }
        let mut both = self.resized(length);
        let (skip, shift) = (self.length / 8, self.length % 8);
        for (at, byte) in other.bytes.iter().enumerate() {
            both.bytes[skip + at] |= byte >> shift;
            if shift != 0
                && let Some(next) = both.bytes.get_mut(skip + at + 1)
            {
                *next |= byte << (8 - shift);
            }
        }
        Ok(both)
    }

    /// Moved towards the first bit by so many, or away from it if negative; zeros come in.
    #[must_use]
    pub fn shifted_left(&self, by: i64) -> Self {
        let distance = usize::try_from(by.unsigned_abs()).unwrap_or(usize::MAX).min(self.length);
        if by >= 0 {
            return self.part(distance, self.length).resized(self.length);
        }
        let zeros = Self::zeros(distance);
        let rest = self.part(0, self.length - distance);
        zeros.concat(&rest).unwrap_or_else(|_| self.clone())
    }

    /// Bit by bit with another of the same length.
    #[must_use]
    pub fn combined(&self, other: &Self, operation: fn(u8, u8) -> u8) -> Self {
        let bytes = self.bytes.iter().zip(&other.bytes).map(|(a, b)| operation(*a, *b)).collect();
        let mut bits = Self { length: self.length, bytes };
        bits.clear_padding();
        bits
    }

    /// Each bit the other way.
    #[must_use]
    pub fn inverted(&self) -> Self {
        self.combined(self, |byte, _| !byte)
    }

    /// How many are set.
    #[must_use]
    pub fn count_ones(&self) -> u64 {
        self.bytes.iter().map(|byte| u64::from(byte.count_ones())).sum()
    }

    /// Where another string of bits begins in this one, from 1; 0 if nowhere.
    #[must_use]
    pub fn position(&self, part: &Self) -> usize {
        if self.length == 0 || part.length > self.length {
            return 0;
        }
        if part.length == 0 {
            return 1;
        }
        let places = 0..=self.length - part.length;
        let found = places
            .into_iter()
            .find(|from| (0..part.length).all(|at| self.get(from + at) == part.get(at)));
        found.map_or(0, |from| from + 1)
    }

    /// Appends the text form.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend((0..self.length).map(|at| if self.get(at) { b'1' } else { b'0' }));
    }

    /// Appends the binary form: the length in bits, the bytes.
    pub fn send(&self, out: &mut Vec<u8>) {
        let length = i32::try_from(self.length).unwrap_or(i32::MAX);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&self.bytes);
    }

    /// Reads the binary form behind its length.
    ///
    /// # Errors
    /// 22P03 where the bytes are not as many as the length says.
    pub fn receive(length: i32, bytes: &[u8]) -> SqlResult<Self> {
        let count = usize::try_from(length).ok().filter(|count| count.div_ceil(8) == bytes.len());
        let count = count.ok_or_else(|| {
            SqlError::new(
                SqlState::InvalidBinaryRepresentation,
                "invalid length in external bit string",
            )
        })?;
        Ok(Self::from_bytes(bytes, count))
    }

    /// The value as the modifier of `bit(n)` has it: of just that length, cut or filled up if
    /// `explicit`.
    ///
    /// # Errors
    /// 22026
    pub fn coerced_bit(self, typmod: i32, explicit: bool) -> SqlResult<Self> {
        match usize::try_from(typmod) {
            Ok(length) if length > 0 && length != self.length => {
                if explicit {
                    return Ok(self.resized(length));
                }
                Err(SqlError::new(
                    SqlState::StringDataLengthMismatch,
                    format!("bit string length {} does not match type bit({length})", self.length),
                ))
            }
            _ => Ok(self),
        }
    }

    /// The value as the modifier of `bit varying(n)` has it: at most of that length, cut if
    /// `explicit`.
    ///
    /// # Errors
    /// 22001
    pub fn coerced_varbit(self, typmod: i32, explicit: bool) -> SqlResult<Self> {
        match usize::try_from(typmod) {
            Ok(length) if length > 0 && length < self.length => {
                if explicit {
                    return Ok(self.resized(length));
                }
                Err(SqlError::new(
                    SqlState::StringDataRightTruncation,
                    format!("bit string too long for type bit varying({length})"),
                ))
            }
            _ => Ok(self),
        }
    }
}

impl Ord for Bits {
    fn cmp(&self, other: &Self) -> Ordering {
        let common = self.bytes.len().min(other.bytes.len());
        let by_bytes = self.bytes[..common].cmp(&other.bytes[..common]);
        by_bytes.then(self.length.cmp(&other.length))
    }
}

impl PartialOrd for Bits {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

fn too_long() -> SqlError {
    SqlError::new(
        SqlState::ProgramLimitExceeded,
        format!("bit string length exceeds the maximum allowed ({LENGTH_MAX})"),
    )
}

/// Reads the text form: digits to base 2, those behind a `b`, or digits to base 16 behind an `x`.
///
/// # Errors
/// 22P02, 54000
pub fn parse(text: &str) -> SqlResult<Bits> {
    let (digits, hexadecimal) = match text.as_bytes().first() {
        Some(b'b' | b'B') => (&text[1..], false),
        Some(b'x' | b'X') => (&text[1..], true),
        _ => (text, false),
    };
    let width = if hexadecimal { 4 } else { 1 };
    if digits.len() > LENGTH_MAX / width {
        return Err(too_long());
    }
    let mut bits = Bits::zeros(digits.len() * width);
    for (at, digit) in digits.chars().enumerate() {
        let value = digit.to_digit(if hexadecimal { 16 } else { 2 }).ok_or_else(|| {
            let kind = if hexadecimal { "hexadecimal" } else { "binary" };
            SqlError::new(
                SqlState::InvalidTextRepresentation,
                format!("\"{digit}\" is not a valid {kind} digit"),
            )
        })?;
        for place in 0..width {
            bits.set(at * width + place, value >> (width - 1 - place) & 1 == 1);
        }
    }
    Ok(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bits: &Bits) -> String {
        let mut out = Vec::new();
        bits.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn parts_shifts_and_joins_are_right_across_bytes() {
        let bits = parse("x1F2E3").unwrap();
        assert_eq!(text(&bits), "00011111001011100011");
        assert_eq!(text(&bits.part(3, 11)), "11111001011");
        assert_eq!(text(&bits.shifted_left(3)), "11111001011100011000");
        assert_eq!(text(&bits.shifted_left(-5)), "00000000111110010111");
        assert_eq!(text(&bits.shifted_left(99)), "0".repeat(20));
        let joined = bits.part(0, 5).concat(&bits.part(5, 15)).unwrap();
        assert_eq!(joined, bits);
        assert_eq!(bits.position(&parse("00101").unwrap()), 9);
        assert_eq!(bits.inverted().count_ones(), 20 - bits.count_ones());
    }

    #[test]
    fn shorter_strings_come_before_longer_ones_with_their_bytes() {
        let ordered = ["", "0", "00", "000000001", "01", "1", "10"];
        for pair in ordered.windows(2) {
            assert!(parse(pair[0]).unwrap() < parse(pair[1]).unwrap(), "{pair:?}");
        }
    }
}
