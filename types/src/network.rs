//! `inet` and `cidr`: one form for both, whose bytes sort as PostgreSQL sorts the values.
//!
//! ```text
//! family (2 or 3) │ network: the address, host bits 0 │ prefix length │ address
//!        1                      4 or 16                     1            4 or 16
//! ```
//!
//! The values are [`Datum::Bytea`](crate::Datum::Bytea) of these bytes: comparing, hashing and key
//! encoding are those of bytes. PostgreSQL compares the common bits, then the prefix lengths, then
//! the addresses (`network_cmp_internal`), which is the order of this form: a network with host bits
//! 0 sorts with its extensions by 0, and those have longer prefixes.

use std::fmt::Write as _;

use crate::error::{SqlError, SqlResult};
use crate::integer::invalid_syntax;
use crate::sqlstate::SqlState;

/// PostgreSQL's number of the family of IPv4.
const V4: u8 = 2;
/// PostgreSQL's number of the family of IPv6.
const V6: u8 = 3;

/// An address with the length of its network's prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// The address, in the first four bytes for IPv4.
    pub address: [u8; 16],
    /// The length of the prefix in bits.
    pub bits: u8,
    /// Whether it is an IPv6 address.
    pub is_v6: bool,
}

impl Network {
    /// How many bytes its address has.
    #[must_use]
    pub const fn size(&self) -> usize {
        if self.is_v6 { 16 } else { 4 }
    }

    /// How many bits its address has.
    #[must_use]
    pub const fn width(&self) -> u8 {
        if self.is_v6 { 128 } else { 32 }
    }

    /// The address as a number, its first bit the highest of its width.
    #[must_use]
    pub fn number(&self) -> u128 {
        u128::from_be_bytes(self.address) >> (128 - u32::from(self.width()))
    }

    /// The same network with another address.
    #[must_use]
    pub fn with_number(&self, number: u128) -> Self {
        let shifted = number << (128 - u32::from(self.width()));
        Self { address: shifted.to_be_bytes(), ..*self }
    }

    /// The bits of the host, set.
    #[must_use]
    pub fn host_mask(&self) -> u128 {
        let host = u32::from(self.width() - self.bits);
        if host >= 128 { u128::MAX } else { (1 << host) - 1 }
    }

    /// The address with its host bits 0.
    #[must_use]
    pub fn network(&self) -> Self {
        self.with_number(self.number() & !self.host_mask())
    }

    /// The stored form.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let size = self.size();
        let mut bytes = Vec::with_capacity(2 + 2 * size);
        bytes.push(if self.is_v6 { V6 } else { V4 });
        bytes.extend_from_slice(&self.network().address[..size]);
        bytes.push(self.bits);
        bytes.extend_from_slice(&self.address[..size]);
        bytes
    }

    /// Reads the stored form; `None` for other bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let is_v6 = match (bytes.first()?, bytes.len()) {
            (&V4, 10) => false,
            (&V6, 34) => true,
            _ => return None,
        };
        let size = if is_v6 { 16 } else { 4 };
        let mut address = [0; 16];
        address[..size].copy_from_slice(&bytes[2 + size..]);
        let bits = bytes[1 + size];
        (usize::from(bits) <= size * 8).then_some(Self { address, bits, is_v6 })
    }

    /// The binary form: family, prefix length, whether it is `cidr`, length, address.
    #[must_use]
    pub fn send(&self, is_cidr: bool) -> Vec<u8> {
        let size = self.size();
        let family = if self.is_v6 { V6 } else { V4 };
        let length = if self.is_v6 { 16 } else { 4 };
        let mut bytes = vec![family, self.bits, u8::from(is_cidr), length];
        bytes.extend_from_slice(&self.address[..size]);
        bytes
    }

    /// Reads the binary form.
    ///
    /// # Errors
    /// 22P03; 08P01 where bytes are missing
    pub fn receive(bytes: &[u8], is_cidr: bool) -> SqlResult<Self> {
        let name = if is_cidr { "cidr" } else { "inet" };
        let wrong = |what: &str| {
            SqlError::new(
                SqlState::InvalidBinaryRepresentation,
                format!("invalid {what} in external \"{name}\" value"),
            )
        };
        let [family, bits, _, length, rest @ ..] = bytes else {
            return Err(no_data_left());
        };
        let is_v6 = match *family {
            V4 => false,
            V6 => true,
            _ => return Err(wrong("address family")),
        };
        let size = if is_v6 { 16 } else { 4 };
        if usize::from(*bits) > size * 8 {
            return Err(wrong("bits"));
        }
        if usize::from(*length) != size || rest.len() > size {
            return Err(wrong("length"));
        }
        if rest.len() < size {
            return Err(no_data_left());
        }
        let mut address = [0; 16];
        address[..size].copy_from_slice(rest);
        let value = Self { address, bits: *bits, is_v6 };
        if is_cidr && value != value.network() {
            return Err(wrong("value").detail("Value has bits set to right of mask."));
        }
        Ok(value)
    }

    /// The address alone.
    #[must_use]
    pub fn host(&self) -> String {
        if !self.is_v6 {
            let [a, b, c, d, ..] = self.address;
            return format!("{a}.{b}.{c}.{d}");
        }
        v6_text(&self.address)
    }

    /// The text form: the prefix length is left out of an `inet` that is one address.
    #[must_use]
    pub fn text(&self, is_cidr: bool) -> String {
        if !is_cidr && self.bits == self.width() {
            return self.host();
        }
        format!("{}/{}", self.host(), self.bits)
    }
}

/// Reads the text form of `inet`, or of `cidr`.
///
/// # Errors
/// 22P02
pub fn parse(text: &str, is_cidr: bool) -> SqlResult<Network> {
    let name = if is_cidr { "cidr" } else { "inet" };
    let read = if text.contains(':') { parse_v6(text) } else { parse_v4(text, is_cidr) };
    let value = read.ok_or_else(|| invalid_syntax(name, text))?;
    if is_cidr && value != value.network() {
        return Err(SqlError::new(
            SqlState::InvalidTextRepresentation,
            format!("invalid cidr value: \"{text}\""),
        )
        .detail("Value has bits set to right of mask."));
    }
    Ok(value)
}

fn no_data_left() -> SqlError {
    SqlError::new(SqlState::ProtocolViolation, "no data left in message")
}

fn number(text: &str, maximum: u8) -> Option<u8> {
    let plain = !text.is_empty() && text.len() <= 3 && text.bytes().all(|b| b.is_ascii_digit());
    plain
        .then(|| text.parse::<u16>().ok())
        .flatten()
        .and_then(|n| u8::try_from(n).ok())
        .filter(|number| *number <= maximum)
}

fn parse_v4(text: &str, is_cidr: bool) -> Option<Network> {
    let (host, mask) = match text.split_once('/') {
        Some((host, mask)) => (host, Some(number(mask, 32)?)),
        None => (text, None),
    };
    let mut address = [0; 16];
    let mut count: u8 = 0;
    for part in host.split('.') {
        *address[..4].get_mut(usize::from(count))? = number(part, 255)?;
        count += 1;
    }
    let bits = match mask {
        Some(bits) => bits,
        None if !is_cidr => {
            if count != 4 {
                return None;
            }
            32
        }
        // The class of the address tells, unless more of it is written.
        None => {
            let class = match address[0] {
                240.. => 32,
                224.. => 8,
                192.. => 24,
                128.. => 16,
                _ => 8,
            };
            let bits = class.max(count * 8);
            if bits == 8 && address[0] == 224 { 4 } else { bits }
        }
    };
    Some(Network { address, bits, is_v6: false })
}

fn parse_v6(text: &str) -> Option<Network> {
    let (host, bits) = match text.split_once('/') {
        Some((host, mask)) => (host, number(mask, 128)?),
        None => (text, 128),
    };
    let address: std::net::Ipv6Addr = host.parse().ok()?;
    Some(Network { address: address.octets(), bits, is_v6: true })
}

/// The longest run of zeros shortened, and an address of IPv4 within written as such
/// (PostgreSQL's `inet_net_ntop_ipv6`).
fn v6_text(address: &[u8; 16]) -> String {
    let mut words = [0_u16; 8];
    for (word, pair) in words.iter_mut().zip(address.chunks_exact(2)) {
        *word = u16::from_be_bytes([pair[0], pair[1]]);
    }
    let mut best = (0, 0);
    let mut at = 0;
    while at < 8 {
        let run = words[at..].iter().take_while(|word| **word == 0).count();
        if run > best.1 {
            best = (at, run);
        }
        at += run.max(1);
    }
    let (start, length) = if best.1 < 2 { (8, 0) } else { best };
    let mut out = String::new();
    let mut at = 0;
    while at < 8 {
        if length > 0 && at == start {
            out.push_str("::");
            at += length;
            continue;
        }
        if at > 0 && !out.ends_with("::") {
            out.push(':');
        }
        let embedded =
            at == 6 && start == 0 && (length == 6 || (length == 5 && words[5] == 0xffff));
        if embedded {
            let [.., a, b, c, d] = address;
            let _infallible = write!(out, "{a}.{b}.{c}.{d}");
            return out;
        }
        let _infallible = write!(out, "{:x}", words[at]);
        at += 1;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_print_as_they_were_read() {
        for (text, is_cidr, printed) in [
            ("1.2.3.4/24", false, "1.2.3.4/24"),
            ("1.2.3.4/32", false, "1.2.3.4"),
            ("10", true, "10.0.0.0/8"),
            ("192.168", true, "192.168.0.0/24"),
            ("224", true, "224.0.0.0/4"),
            ("::ffff:1.2.3.4", false, "::ffff:1.2.3.4"),
            ("::1", false, "::1"),
            ("1::/64", true, "1::/64"),
            ("1:0:0:2::3", false, "1:0:0:2::3"),
            ("1:2:0:4:5:6:7:8", false, "1:2:0:4:5:6:7:8"),
            ("::", false, "::"),
        ] {
            let value = parse(text, is_cidr).unwrap();
            assert_eq!(value.text(is_cidr), printed);
            assert_eq!(Network::from_bytes(&value.to_bytes()), Some(value));
            assert_eq!(Network::receive(&value.send(is_cidr), is_cidr).unwrap(), value);
        }
        for text in ["1.2.3", "1.2.3.4/33", "x", "1.2.3.4/", "1.2.3.4.5", "", ":::", "1.2.3.256"] {
            assert!(parse(text, false).is_err(), "{text}");
        }
        assert!(parse("1.2.3.4/24", true).is_err());
    }

    #[test]
    fn bytes_sort_by_network_then_prefix_then_address() {
        let sorted = [
            "9.255.0.0",
            "10.0.0.0/8",
            "10.0.0.0/16",
            "10.0.0.1/16",
            "10.0.0.0",
            "10.1.0.0/16",
            "::/0",
            "::1",
        ];
        let bytes: Vec<Vec<u8>> =
            sorted.iter().map(|text| parse(text, false).unwrap().to_bytes()).collect();
        assert!(bytes.is_sorted());
    }
}
