//! The three byte forms of a numeric: the wire's, the key's and the row's.
//!
//! ```text
//! wire  i16 digits, i16 weight, u16 sign, u16 scale, digits as u16      big-endian, PostgreSQL's
//! key   class, weight + 32768 as u16, (digit + 1) as u16 …, 0 as u16    big-endian, compares by bytes;
//!       all but the class complemented if negative                     scales are not kept
//! row   scale (0 … 18), coefficient in as few bytes as it needs         little-endian
//!       0x20 | sign, weight as i16, scale as u16, digits as u16         little-endian
//!       0x30, 0x31, 0x32                                                -Infinity, Infinity, NaN
//! ```

use std::cmp::Ordering;
use std::sync::Arc;

use super::digits::Digits;
use super::{MAX_SCALE, MAX_SMALL_SCALE, Numeric, Repr, Special};
use crate::error::{SqlError, SqlResult};
use crate::sqlstate::SqlState;

const SIGN_POSITIVE: u16 = 0x0000;
const SIGN_NEGATIVE: u16 = 0x4000;
const SIGN_NAN: u16 = 0xC000;
const SIGN_INFINITY: u16 = 0xD000;
const SIGN_NEGATIVE_INFINITY: u16 = 0xF000;
/// The scale that PostgreSQL sends with an infinity: bits of its own header.
const INFINITY_SCALE: u16 = 32;

/// The first bytes of keys, in order.
const KEY_NEGATIVE_INFINITY: u8 = 0x10;
const KEY_NEGATIVE: u8 = 0x20;
const KEY_ZERO: u8 = 0x30;
const KEY_POSITIVE: u8 = 0x40;
const KEY_INFINITY: u8 = 0x50;
const KEY_NAN: u8 = 0x60;

/// The first bytes of rows' forms other than the scale of a Small value.
const ROW_POSITIVE: u8 = 0x20;
const ROW_NEGATIVE: u8 = 0x21;
const ROW_NEGATIVE_INFINITY: u8 = 0x30;
const ROW_INFINITY: u8 = 0x31;
const ROW_NAN: u8 = 0x32;

impl Numeric {
    /// Appends the form that the wire protocol carries (PostgreSQL 15, `numeric_send`).
    pub fn binary_out(&self, out: &mut Vec<u8>) {
        let (sign, scale) = match self.unpack() {
            Ok(digits) => {
                // At most (32767 + 16383) / 4 digits and a few: below 2^15.
                let header = [
                    digits.digits.len() as u16,
                    digits.weight as u16,
                    if digits.negative { SIGN_NEGATIVE } else { SIGN_POSITIVE },
                    digits.scale,
                ];
                for field in header.iter().chain(&digits.digits) {
                    out.extend_from_slice(&field.to_be_bytes());
                }
                return;
            }
            Err(Special::Nan) => (SIGN_NAN, 0),
            Err(Special::Infinity) => (SIGN_INFINITY, INFINITY_SCALE),
            Err(Special::NegativeInfinity) => (SIGN_NEGATIVE_INFINITY, INFINITY_SCALE),
        };
        for field in [0, 0, sign, scale] {
            out.extend_from_slice(&field.to_be_bytes());
        }
    }

    /// Reads the form that the wire protocol carries. Digits beyond the scale are cut off.
    ///
    /// # Errors
    /// 22P03 for what no numeric has, 08P01 if it ends early, 22003 beyond the limits of the type.
    pub fn binary_in(bytes: &[u8]) -> SqlResult<Self> {
        let refuse = |what: &str| {
            SqlError::new(
                SqlState::InvalidBinaryRepresentation,
                format!("invalid {what} in external \"numeric\" value"),
            )
        };
        let early =
            || SqlError::new(SqlState::ProtocolViolation, "insufficient data left in message");
        let Some((header, body)) = bytes.split_at_checked(8) else { return Err(early()) };
        let field = |at: usize| u16::from_be_bytes([header[2 * at], header[2 * at + 1]]);
        let (count, sign, scale) = (usize::from(field(0)), field(2), field(3));
        let weight = i32::from(field(1).cast_signed());
        let special = match sign {
            SIGN_POSITIVE | SIGN_NEGATIVE => None,
            SIGN_NAN => Some(Self::NAN),
            SIGN_INFINITY => Some(Self::INFINITY),
            SIGN_NEGATIVE_INFINITY => Some(Self::NEGATIVE_INFINITY),
            _ => return Err(refuse("sign")),
        };
        if scale > MAX_SCALE {
            return Err(refuse("scale"));
        }
        if body.len() < count * 2 {
            return Err(early());
        }
        if body.len() > count * 2 {
            return Err(SqlError::new(
                SqlState::InvalidBinaryRepresentation,
                "incorrect binary data format",
            ));
        }
        let digits: Vec<u16> =
            body.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
        if digits.iter().any(|digit| *digit > 9_999) {
            return Err(refuse("digit"));
        }
        if let Some(special) = special {
            return Ok(special);
        }
        let digits = Digits::new(sign == SIGN_NEGATIVE, weight, scale, digits);
        Self::pack(digits.truncated(i32::from(scale)))
    }

    /// Appends a key: keys compare by their bytes as the values do, equal values have the same one,
    /// and none is the beginning of another.
    pub fn encode_key(&self, out: &mut Vec<u8>) {
        let digits = match self.unpack() {
            Ok(digits) => digits,
            Err(special) => {
                return out.push(match special {
                    Special::NegativeInfinity => KEY_NEGATIVE_INFINITY,
                    Special::Infinity => KEY_INFINITY,
                    Special::Nan => KEY_NAN,
                });
            }
        };
        let (class, mask) = match digits.signum() {
            Ordering::Less => (KEY_NEGATIVE, u16::MAX),
            Ordering::Equal => return out.push(KEY_ZERO),
            Ordering::Greater => (KEY_POSITIVE, 0),
        };
        out.push(class);
        // The weight is within i16.
        let weight = (digits.weight + 0x8000) as u16;
        let fields =
            std::iter::once(weight).chain(digits.digits.iter().map(|digit| digit + 1)).chain([0]);
        for field in fields {
            out.extend_from_slice(&(field ^ mask).to_be_bytes());
        }
    }

    /// How many bytes the key at the beginning of these bytes has; none where they hold no whole one.
    pub(crate) fn key_length(mut bytes: impl Iterator<Item = u8>) -> Option<usize> {
        let mask = match bytes.next()? {
            KEY_NEGATIVE => u16::MAX,
            KEY_POSITIVE => 0,
            _ => return Some(1),
        };
        let mut field = || Some(u16::from_be_bytes([bytes.next()?, bytes.next()?]) ^ mask);
        field()?;
        let mut length = 1 + 2;
        loop {
            length += 2;
            if field()? == 0 {
                return Some(length);
            }
        }
    }

    /// Appends the compact form that rows keep, scale included. Its length is not part of it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match &self.0 {
            Repr::Small { scale, coefficient } => {
                out.push(*scale);
                let bits = 64 - (coefficient ^ (coefficient >> 63)).leading_zeros();
                // A bit for the sign; nothing at all for zero.
                let length = if *coefficient == 0 { 0 } else { (bits / 8 + 1) as usize };
                out.extend_from_slice(&coefficient.to_le_bytes()[..length]);
            }
            Repr::Large(digits) => {
                out.push(if digits.negative { ROW_NEGATIVE } else { ROW_POSITIVE });
                // The weight is within i16.
                for field in [digits.weight as u16, digits.scale].iter().chain(&digits.digits) {
                    out.extend_from_slice(&field.to_le_bytes());
                }
            }
            Repr::Special(special) => out.push(match special {
                Special::NegativeInfinity => ROW_NEGATIVE_INFINITY,
                Special::Infinity => ROW_INFINITY,
                Special::Nan => ROW_NAN,
            }),
        }
    }

    /// Reads all of `bytes` as the form that rows keep.
    ///
    /// # Errors
    /// XX001 for what stands for no value.
    pub fn decode(bytes: &[u8]) -> SqlResult<Self> {
        decode(bytes).ok_or_else(|| {
            SqlError::new(SqlState::DataCorrupted, "a stored numeric value is damaged")
        })
    }
}

fn decode(bytes: &[u8]) -> Option<Numeric> {
    let (class, body) = bytes.split_first()?;
    match *class {
        scale if u16::from(scale) <= MAX_SMALL_SCALE => {
            let negative = body.last().is_some_and(|byte| *byte >= 0x80);
            let mut buffer = [if negative { u8::MAX } else { 0 }; 8];
            buffer.get_mut(..body.len())?.copy_from_slice(body);
            let coefficient = i64::from_le_bytes(buffer);
            Some(Numeric(Repr::Small { scale, coefficient }))
        }
        ROW_POSITIVE | ROW_NEGATIVE => {
            let fields: Vec<u16> = body
                .chunks(2)
                .map(|pair| pair.try_into().ok().map(u16::from_le_bytes))
                .collect::<Option<_>>()?;
            let [weight, scale, digits @ ..] = fields.as_slice() else { return None };
            let weight = i32::from(weight.cast_signed());
            if *scale > MAX_SCALE || digits.iter().any(|digit| *digit > 9_999) {
                return None;
            }
            let read = Digits::new(*class == ROW_NEGATIVE, weight, *scale, digits.to_vec());
            if read.digits.len() != digits.len() || read.needed_scale() > read.scale {
                return None;
            }
            if read.scale <= MAX_SMALL_SCALE && read.small_coefficient().is_some() {
                return None;
            }
            Some(Numeric(Repr::Large(Arc::new(read))))
        }
        ROW_NEGATIVE_INFINITY if body.is_empty() => Some(Numeric::NEGATIVE_INFINITY),
        ROW_INFINITY if body.is_empty() => Some(Numeric::INFINITY),
        ROW_NAN if body.is_empty() => Some(Numeric::NAN),
        _ => None,
    }
}
