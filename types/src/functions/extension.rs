//! The functions of extensions that are built in: pgcrypto and uuid-ossp. Those of
//! pg_stat_statements are the host's.
//!
//! A version 1 UUID names no network card: its node is a number by chance, marked as one (RFC 4122,
//! 4.5). DES in `crypt` is not there.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use hmac::{Hmac, Mac};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

use super::ScalarTable;
use crate::datum::Datum;
use crate::error::{SqlError, SqlResult};
use crate::sqlstate::SqlState;

pub(super) static SCALARS: ScalarTable = &[
    ("pg_stat_statements_info", |c, a| c.eval.host.call_symbol("pg_stat_statements_info", a)),
    ("aegis_stat_plan_cache", |c, a| c.eval.host.call_symbol("aegis_stat_plan_cache", a)),
    ("pg_stat_statements_reset_1_7", |c, a| {
        c.eval.host.call_symbol("pg_stat_statements_reset_1_7", a)
    }),
    ("pg_digest", |_, a| digest(bytes(&a[0]), a[1].as_text())),
    ("pg_hmac", |_, a| keyed(bytes(&a[0]), bytes(&a[1]), a[2].as_text())),
    ("pg_crypt", |_, a| crypt(a[0].as_text(), a[1].as_text()).map(Datum::text)),
    ("pg_gen_salt", |_, a| salt(a[0].as_text(), 0).map(Datum::text)),
    ("pg_gen_salt_rounds", |_, a| salt(a[0].as_text(), a[1].as_int4()).map(Datum::text)),
    ("pg_random_bytes", |_, a| random_bytes(a[0].as_int4())),
    ("pg_random_uuid", |_, _| super::misc::random::uuid().map(Datum::Uuid)),
    ("uuid_nil", |_, _| Ok(Datum::Uuid([0; 16]))),
    ("uuid_ns_dns", |_, _| Ok(Datum::Uuid(name_space(0)))),
    ("uuid_ns_url", |_, _| Ok(Datum::Uuid(name_space(1)))),
    ("uuid_ns_oid", |_, _| Ok(Datum::Uuid(name_space(2)))),
    ("uuid_ns_x500", |_, _| Ok(Datum::Uuid(name_space(4)))),
    ("uuid_generate_v1", |_, _| timed(node()?).map(Datum::Uuid)),
    ("uuid_generate_v1mc", |_, _| timed(random_node()?).map(Datum::Uuid)),
    ("uuid_generate_v3", |_, a| Ok(named::<Md5>(&a[0], a[1].as_text(), 3))),
    ("uuid_generate_v4", |_, _| super::misc::random::uuid().map(Datum::Uuid)),
    ("uuid_generate_v5", |_, a| Ok(named::<Sha1>(&a[0], a[1].as_text(), 5))),
];

/// The bytes of a text or a bytea.
fn bytes(value: &Datum) -> &[u8] {
    match value {
        Datum::Text(text) => text.as_bytes(),
        other => other.as_bytea(),
    }
}

fn invalid(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::InvalidParameterValue, message)
}

fn no_such_hash(name: &str) -> SqlError {
    invalid(format!("Cannot use \"{name}\": No such hash algorithm"))
}

fn digest(data: &[u8], algorithm: &str) -> SqlResult<Datum> {
    let digest = match algorithm.to_ascii_lowercase().as_str() {
        "md5" => Md5::digest(data).to_vec(),
        "sha1" => Sha1::digest(data).to_vec(),
        "sha224" => Sha224::digest(data).to_vec(),
        "sha256" => Sha256::digest(data).to_vec(),
        "sha384" => Sha384::digest(data).to_vec(),
        "sha512" => Sha512::digest(data).to_vec(),
        _ => return Err(no_such_hash(algorithm)),
    };
    Ok(Datum::Bytea(digest.into()))
}

fn keyed(data: &[u8], key: &[u8], algorithm: &str) -> SqlResult<Datum> {
    fn mac<M: Mac + hmac::digest::KeyInit>(data: &[u8], key: &[u8]) -> Vec<u8> {
        let mut mac = <M as Mac>::new_from_slice(key).expect("HMAC takes keys of any length");
        mac.update(data);
        mac.finalize().into_bytes().to_vec()
    }
    let mac = match algorithm.to_ascii_lowercase().as_str() {
        "md5" => mac::<Hmac<Md5>>(data, key),
        "sha1" => mac::<Hmac<Sha1>>(data, key),
        "sha224" => mac::<Hmac<Sha224>>(data, key),
        "sha256" => mac::<Hmac<Sha256>>(data, key),
        "sha384" => mac::<Hmac<Sha384>>(data, key),
        "sha512" => mac::<Hmac<Sha512>>(data, key),
        _ => return Err(no_such_hash(algorithm)),
    };
    Ok(Datum::Bytea(mac.into()))
}

fn random<const N: usize>() -> SqlResult<[u8; N]> {
    let mut bytes = [0; N];
    fill(&mut bytes)?;
    Ok(bytes)
}

fn fill(bytes: &mut [u8]) -> SqlResult<()> {
    getrandom::fill(bytes).map_err(|error| {
        SqlError::new(SqlState::InternalError, format!("could not generate random values: {error}"))
    })
}

fn random_bytes(count: i32) -> SqlResult<Datum> {
    let count = usize::try_from(count).ok().filter(|count| (1..=1024).contains(count));
    let count = count.ok_or_else(|| {
        SqlError::new(SqlState::ExternalRoutineInvocationException, "Length not in range")
    })?;
    let mut bytes = vec![0; count];
    fill(&mut bytes)?;
    Ok(Datum::Bytea(bytes.into()))
}

/// The digits of bcrypt's base 64.
const BCRYPT_DIGITS: &[u8; 64] =
    b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// The digits of every other `crypt`.
const CRYPT_DIGITS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Bytes of a bcrypt salt, and how many digits they are.
const BCRYPT_SALT: (usize, usize) = (16, 22);
/// Beyond this cost one call would compute for minutes without looking up.
const BCRYPT_COST_MAX: u32 = 18;

fn salt(kind: &str, rounds: i32) -> SqlResult<String> {
    let wrong_rounds = || invalid("gen_salt: Incorrect number of rounds");
    match kind {
        "bf" => {
            let cost = if rounds == 0 { 6 } else { rounds };
            if !(4..=31).contains(&cost) {
                return Err(wrong_rounds());
            }
            let salt = bcrypt_digits(&random::<{ BCRYPT_SALT.0 }>()?);
            Ok(format!("$2a${cost:02}${salt}"))
        }
        "md5" => {
            if rounds != 0 && rounds != 1000 {
                return Err(wrong_rounds());
            }
            let digits =
                random::<8>()?.map(|byte| char::from(CRYPT_DIGITS[usize::from(byte % 64)]));
            Ok(format!("$1${}", String::from_iter(digits)))
        }
        "des" | "xdes" => Err(SqlError::unsupported("DES in gen_salt")),
        _ => Err(invalid("gen_salt: Unknown salt algorithm")),
    }
}

fn crypt(password: &str, salt: &str) -> SqlResult<String> {
    let bad = || invalid("invalid salt");
    if let Some(rest) = salt.strip_prefix("$2a$").or_else(|| salt.strip_prefix("$2x$")) {
        return bcrypt(password, &salt[..4], rest).unwrap_or_else(|| Err(bad()));
    }
    if salt.starts_with("$2") {
        return Err(bad());
    }
    if let Some(rest) = salt.strip_prefix("$1$") {
        let end = rest.bytes().take(8).position(|byte| byte == b'$');
        let end = end.unwrap_or_else(|| rest.len().min(8));
        return Ok(md5_crypt(password.as_bytes(), &rest.as_bytes()[..end]));
    }
    if salt.len() < 2 {
        return Err(bad());
    }
    Err(SqlError::unsupported("DES in crypt"))
}

/// bcrypt; `None` for a salt that is none.
fn bcrypt(password: &str, prefix: &str, rest: &str) -> Option<SqlResult<String>> {
    let (cost, salt) = rest.split_once('$').filter(|(cost, _)| cost.len() == 2)?;
    let cost = cost.parse::<u32>().ok().filter(|cost| (4..=31).contains(cost))?;
    let bytes = bcrypt_bytes(salt.as_bytes().get(..BCRYPT_SALT.1)?)?;
    if cost > BCRYPT_COST_MAX {
        let message = format!("a bcrypt cost above {BCRYPT_COST_MAX}");
        return Some(Err(SqlError::unsupported(message)));
    }
    // What counts is the password with its end, as C has it, up to 72 bytes.
    let mut key = password.as_bytes().to_vec();
    key.push(0);
    key.truncate(72);
    let hash = bcrypt::bcrypt(cost, bytes, &key);
    let (salt, hash) = (bcrypt_digits(&bytes), bcrypt_digits(&hash[..23]));
    Some(Ok(format!("{prefix}{cost:02}${salt}{hash}")))
}

fn bcrypt_digits(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 4 / 3 + 1);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..=chunk.len() {
            let place = bits >> (18 - 6 * digit) & 63;
            text.push(char::from(BCRYPT_DIGITS[place as usize]));
        }
    }
    text
}

fn bcrypt_bytes(digits: &[u8]) -> Option<[u8; BCRYPT_SALT.0]> {
    let mut bytes = [0; BCRYPT_SALT.0];
    let (mut bits, mut count, mut at) = (0_u32, 0, 0);
    for digit in digits {
        let value = BCRYPT_DIGITS.iter().position(|known| known == digit)?;
        bits = bits << 6 | u32::try_from(value).ok()?;
        count += 6;
        if count >= 8 && at < bytes.len() {
            count -= 8;
            bytes[at] = (bits >> count & 0xff) as u8;
            at += 1;
        }
    }
    Some(bytes)
}

/// FreeBSD's MD5 crypt (Kamp, 1994).
fn md5_crypt(password: &[u8], salt: &[u8]) -> String {
    let inner = Md5::new().chain_update(password).chain_update(salt).chain_update(password);
    let inner = inner.finalize();
    let mut first = Md5::new().chain_update(password).chain_update(b"$1$").chain_update(salt);
    let mut left = password.len();
    while left > 0 {
        first.update(&inner[..left.min(16)]);
        left = left.saturating_sub(16);
    }
    let mut length = password.len();
    while length > 0 {
        first.update([if length & 1 == 1 { 0 } else { password[0] }]);
        length >>= 1;
    }
    let mut hash: [u8; 16] = first.finalize().into();
    for round in 0..1000 {
        let mut next = Md5::new();
        let odd = round % 2 == 1;
        next.update(if odd { password } else { &hash[..] });
        if round % 3 != 0 {
            next.update(salt);
        }
        if round % 7 != 0 {
            next.update(password);
        }
        next.update(if odd { &hash[..] } else { password });
        hash = next.finalize().into();
    }
    let mut text = format!("$1${}$", String::from_utf8_lossy(salt));
    let mut put = |mut bits: u32, digits: usize| {
        for _ in 0..digits {
            text.push(char::from(CRYPT_DIGITS[(bits & 63) as usize]));
            bits >>= 6;
        }
    };
    let byte = |at: usize| u32::from(hash[at]);
    for [a, b, c] in [[0, 6, 12], [1, 7, 13], [2, 8, 14], [3, 9, 15], [4, 10, 5]] {
        put(byte(a) << 16 | byte(b) << 8 | byte(c), 4);
    }
    put(byte(11), 2);
    text
}

/// The name spaces of RFC 4122, appendix C.
const fn name_space(number: u8) -> [u8; 16] {
    let mut uuid = [
        0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30,
        0xc8,
    ];
    uuid[3] += number;
    uuid
}

fn versioned(mut uuid: [u8; 16], version: u8) -> [u8; 16] {
    uuid[6] = uuid[6] & 0x0f | version << 4;
    uuid[8] = uuid[8] & 0x3f | 0x80;
    uuid
}

fn named<D: Digest>(space: &Datum, name: &str, version: u8) -> Datum {
    let space = match space {
        Datum::Uuid(space) => *space,
        _ => [0; 16],
    };
    let hash = D::new().chain_update(space).chain_update(name).finalize();
    let mut uuid = [0; 16];
    uuid.copy_from_slice(&hash[..16]);
    Datum::Uuid(versioned(uuid, version))
}

/// A node by chance: its multicast bit says that it is none of a network card.
fn random_node() -> SqlResult<[u8; 6]> {
    let mut node = random::<6>()?;
    node[0] |= 1;
    Ok(node)
}

/// The node of this process.
fn node() -> SqlResult<[u8; 6]> {
    static NODE: OnceLock<[u8; 6]> = OnceLock::new();
    if let Some(node) = NODE.get() {
        return Ok(*node);
    }
    let node = random_node()?;
    Ok(*NODE.get_or_init(|| node))
}

/// A version 1 UUID: later ones are greater in their time.
fn timed(node: [u8; 6]) -> SqlResult<[u8; 16]> {
    /// The 100 nanoseconds from 1582-10-15 to 2000-01-01.
    const EPOCH: u64 = 0x01d3_bfde_63b0_0000;
    static LAST: AtomicU64 = AtomicU64::new(0);
    static SEQUENCE: OnceLock<[u8; 2]> = OnceLock::new();
    let sequence = match SEQUENCE.get() {
        Some(sequence) => *sequence,
        None => {
            let sequence = random::<2>()?;
            *SEQUENCE.get_or_init(|| sequence)
        }
    };
    let now = EPOCH.wrapping_add_signed(crate::clock::now().wrapping_mul(10));
    let before = LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| {
        Some(now.max(last.wrapping_add(1)))
    });
    let before = before.unwrap_or_default();
    let time = now.max(before.wrapping_add(1)).to_be_bytes();
    let mut uuid = [0; 16];
    uuid[..4].copy_from_slice(&time[4..]);
    uuid[4..6].copy_from_slice(&time[2..4]);
    uuid[6..8].copy_from_slice(&time[..2]);
    uuid[8..10].copy_from_slice(&sequence);
    uuid[10..].copy_from_slice(&node);
    Ok(versioned(uuid, 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crypt_is_that_of_unix() {
        for (password, salt, hash) in [
            (
                "password",
                "$2a$06$RuCZHzp7YrHJ4XbDFSIxYe",
                "$2a$06$RuCZHzp7YrHJ4XbDFSIxYe1/ERBKPNLgfEPOR0szFjDRBdCHQDOoC",
            ),
            (
                "lalalal",
                "$2a$05$Otz9agnajgrAe0.kFVF9V.",
                "$2a$05$Otz9agnajgrAe0.kFVF9V.luOZJYN/bYdtOJS324yQ8gkpX2.dGpG",
            ),
            ("", "$1$Szzz0yzz", "$1$Szzz0yzz$To38XrR3BsbXQW2ZpfKjF1"),
            ("foox", "$1$Szzz0yzz", "$1$Szzz0yzz$IYL49cd3t9bllsA7Jmz1M1"),
            ("foox", "$1$arJEKOYZ$5iZyeLhk2xNRx4UFh0kXR1", "$1$arJEKOYZ$.AZne5ZwiZazhwtnxyyHi1"),
        ] {
            assert_eq!(crypt(password, salt).unwrap(), hash);
            assert_eq!(crypt(password, hash).unwrap(), hash);
        }
        for salt in ["", "$2a$99$RuCZHzp7YrHJ4XbDFSIxYe", "$2a$06$Ru", "$2a$06"] {
            assert_eq!(crypt("x", salt).unwrap_err().fields().message, "invalid salt");
        }
    }

    #[test]
    fn salts_are_fresh_and_usable() {
        for (kind, rounds) in [("bf", 4), ("md5", 0)] {
            let (one, other) = (salt(kind, rounds).unwrap(), salt(kind, rounds).unwrap());
            assert_ne!(one, other);
            assert!(crypt("x", &one).unwrap().starts_with(&one));
        }
    }

    #[test]
    fn times_of_uuids_only_grow() {
        let time = |uuid: [u8; 16]| {
            let part = |range: std::ops::Range<usize>| {
                uuid[range].iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte))
            };
            (part(6..8) & 0xfff) << 48 | part(4..6) << 32 | part(0..4)
        };
        let node = node().unwrap();
        let times: Vec<u64> = (0..1000).map(|_| time(timed(node).unwrap())).collect();
        assert!(times.is_sorted_by(|one, other| one < other));
    }
}
