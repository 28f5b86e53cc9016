//! What a certificate says of itself: names, serial number, and how it was signed (RFC 5280).
//!
//! Only those fields are read, out of DER that rustls has verified or that is our own. Whatever is not
//! as the standard says is no answer; nothing here trusts a length.

/// The fields of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Certificate {
    /// The serial number, in decimal.
    pub(super) serial: String,
    /// The parts of the issuer's name, as they stand.
    pub(super) issuer: Vec<NamePart>,
    /// The parts of the subject's name.
    pub(super) subject: Vec<NamePart>,
    /// The object identifier of the signature's algorithm, in DER.
    pub(super) signature_algorithm: Vec<u8>,
}

/// A part of a name: `CN` and what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NamePart {
    pub(super) kind: String,
    pub(super) value: String,
}

const INTEGER: u8 = 0x02;
const OBJECT_IDENTIFIER: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const VERSION: u8 = 0xa0;
const BMP_STRING: u8 = 0x1e;

/// The last bytes of the object identifiers `2.5.4.n`, and OpenSSL's short names for them.
const ATTRIBUTES: [(u8, &str); 10] = [
    (3, "CN"),
    (4, "SN"),
    (5, "serialNumber"),
    (6, "C"),
    (7, "L"),
    (8, "ST"),
    (10, "O"),
    (11, "OU"),
    (12, "title"),
    (42, "GN"),
];
/// `emailAddress`
const EMAIL: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x01];
/// `DC`
const DOMAIN: &[u8] = &[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x19];
/// `UID`
const USER: &[u8] = &[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x01];

/// The longest serial number that is read; RFC 5280 allows 20 bytes.
const SERIAL_BYTES_MAX: usize = 64;

/// Takes an element off the front: its tag and what it holds.
fn element<'a>(input: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let (tag, rest) = input.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = if *first < 0x80 {
        (usize::from(*first), rest)
    } else {
        let count = usize::from(*first & 0x7f);
        if !(1..=4).contains(&count) {
            return None;
        }
        let (bytes, rest) = rest.split_at_checked(count)?;
        (bytes.iter().fold(0, |length, byte| (length << 8) | usize::from(*byte)), rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    *input = rest;
    Some((*tag, content))
}

fn expect<'a>(input: &mut &'a [u8], wanted: u8) -> Option<&'a [u8]> {
    element(input).filter(|(tag, _)| *tag == wanted).map(|(_, content)| content)
}

impl Certificate {
    /// Reads a certificate.
    pub(super) fn read(mut der: &[u8]) -> Option<Self> {
        let mut certificate = expect(&mut der, SEQUENCE)?;
        let mut signed = expect(&mut certificate, SEQUENCE)?;
        let mut algorithm = expect(&mut certificate, SEQUENCE)?;
        let signature_algorithm = expect(&mut algorithm, OBJECT_IDENTIFIER)?.to_vec();
        if signed.first() == Some(&VERSION) {
            element(&mut signed)?;
        }
        let serial = decimal(expect(&mut signed, INTEGER)?)?;
        expect(&mut signed, SEQUENCE)?;
        let issuer = name(expect(&mut signed, SEQUENCE)?)?;
        expect(&mut signed, SEQUENCE)?;
        let subject = name(expect(&mut signed, SEQUENCE)?)?;
        Some(Self { serial, issuer, subject, signature_algorithm })
    }
}

fn name(mut parts: &[u8]) -> Option<Vec<NamePart>> {
    let mut found = Vec::new();
    while !parts.is_empty() {
        let mut set = expect(&mut parts, SET)?;
        while !set.is_empty() {
            let mut pair = expect(&mut set, SEQUENCE)?;
            let kind = attribute(expect(&mut pair, OBJECT_IDENTIFIER)?);
            let (tag, value) = element(&mut pair)?;
            found.push(NamePart { kind, value: text(tag, value)? });
        }
    }
    Some(found)
}

fn attribute(identifier: &[u8]) -> String {
    let short = match identifier {
        [0x55, 0x04, last] => ATTRIBUTES.iter().find(|row| row.0 == *last).map(|row| row.1),
        EMAIL => Some("emailAddress"),
        DOMAIN => Some("DC"),
        USER => Some("UID"),
        _ => None,
    };
    short.map_or_else(|| dotted(identifier), str::to_owned)
}

/// An object identifier in numbers and dots.
fn dotted(identifier: &[u8]) -> String {
    let mut numbers: Vec<String> = Vec::new();
    let mut number = 0_u64;
    for byte in identifier {
        number = (number << 7) | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            if numbers.is_empty() {
                let first = (number / 40).min(2);
                numbers.push(first.to_string());
                number -= first * 40;
            }
            numbers.push(number.to_string());
            number = 0;
        }
    }
    numbers.join(".")
}

/// A text of a name. One with a zero byte would read shorter than it is: it is none.
fn text(tag: u8, value: &[u8]) -> Option<String> {
    let text = if tag == BMP_STRING {
        let units: Vec<u16> =
            value.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
        String::from_utf16(&units).ok()?
    } else {
        String::from_utf8(value.to_vec()).ok()?
    };
    (!text.contains('\0')).then_some(text)
}

/// A number without sign, in decimal.
fn decimal(bytes: &[u8]) -> Option<String> {
    if bytes.is_empty() || bytes.len() > SERIAL_BYTES_MAX || bytes[0] & 0x80 != 0 {
        return None;
    }
    let mut digits = vec![0_u8];
    for byte in bytes {
        let mut carry = u32::from(*byte);
        for digit in &mut digits {
            let sum = u32::from(*digit) * 256 + carry;
            *digit = u8::try_from(sum % 10).expect("a remainder of ten is a digit");
            carry = sum / 10;
        }
        while carry > 0 {
            digits.push(u8::try_from(carry % 10).expect("a remainder of ten is a digit"));
            carry /= 10;
        }
    }
    Some(digits.iter().rev().map(|digit| char::from(b'0' + digit)).collect())
}

/// A name as `pg_stat_ssl` shows it: `/C=DE/CN=name`.
pub(super) fn with_slashes(name: &[NamePart]) -> String {
    name.iter().map(|part| format!("/{}={}", part.kind, part.value)).collect()
}

/// A name in the form of RFC 2253: the last part first, commas between, special characters escaped.
pub(super) fn rfc2253(name: &[NamePart]) -> String {
    let escaped = |value: &str| {
        let last = value.chars().count().saturating_sub(1);
        let mut text = String::new();
        for (at, character) in value.chars().enumerate() {
            let special = matches!(character, ',' | '+' | '"' | '\\' | '<' | '>' | ';')
                || (at == 0 && matches!(character, '#' | ' '))
                || (at == last && character == ' ');
            if special {
                text.push('\\');
            }
            text.push(character);
        }
        text
    };
    let parts: Vec<String> =
        name.iter().rev().map(|part| format!("{}={}", part.kind, escaped(&part.value))).collect();
    parts.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn der(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u8::try_from(content.len()).expect("the test's elements are short");
        let mut bytes = vec![tag];
        if length < 0x80 {
            bytes.push(length)
        } else {
            bytes.extend([0x81, length])
        }
        bytes.extend_from_slice(content);
        bytes
    }

    fn certificate(common_name: &[u8]) -> Vec<u8> {
        let part = |last: u8, value: &[u8]| {
            let kind = der(OBJECT_IDENTIFIER, &[0x55, 0x04, last]);
            der(SET, &der(SEQUENCE, &[kind, der(0x0c, value)].concat()))
        };
        let algorithm = der(SEQUENCE, &der(OBJECT_IDENTIFIER, &[0x2b, 0x65, 0x70]));
        let name = der(SEQUENCE, &[part(6, b"DE"), part(3, common_name)].concat());
        let signed = [
            der(VERSION, &der(INTEGER, &[2])),
            der(INTEGER, &[0x01, 0x00]),
            algorithm.clone(),
            name.clone(),
            der(SEQUENCE, &[]),
            name,
        ];
        der(SEQUENCE, &[der(SEQUENCE, &signed.concat()), algorithm].concat())
    }

    #[test]
    fn names_and_numbers_are_read() {
        let read = Certificate::read(&certificate(b"a, b")).expect("it is well formed");
        assert_eq!(read.serial, "256");
        assert_eq!(with_slashes(&read.subject), "/C=DE/CN=a, b");
        assert_eq!(rfc2253(&read.issuer), "CN=a\\, b,C=DE");
        assert_eq!(dotted(&read.signature_algorithm), "1.3.101.112");
    }

    #[test]
    fn what_is_cut_or_hides_a_zero_is_none() {
        let whole = certificate(b"name");
        for cut in 0..whole.len() {
            // The signature itself is not looked at: only what stands before it must be whole.
            assert_eq!(Certificate::read(&whole[..cut]), None, "cut at {cut}");
        }
        assert_eq!(Certificate::read(&certificate(b"post\0gres")), None);
    }
}
