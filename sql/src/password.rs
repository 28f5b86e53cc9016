//! Passwords as they are stored: SCRAM-SHA-256 verifiers (RFC 5802, RFC 7677), and MD5 hashes for
//! whoever asks for them.
//!
//! ```text
//! SCRAM-SHA-256$4096:salt$StoredKey:ServerKey     all but the number in base64
//! md5                                             and 32 hexadecimal digits
//! ```
//!
//! The password itself is kept nowhere.

use aegis_types::{SqlError, SqlResult};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use md5::Md5;
use sha2::{Digest, Sha256};

/// A key or a signature of SCRAM-SHA-256.
pub type Key = [u8; 32];

/// How often the password is hashed: what RFC 7677 asks for at least, and PostgreSQL's number.
pub const ITERATIONS: u32 = 4096;

/// How long a new salt is.
const SALT_BYTES: usize = 16;

/// More iterations than anybody would want, so that no stored verifier can stall a login.
const ITERATIONS_MAX: u32 = 10_000_000;

/// What a SCRAM-SHA-256 login is checked against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verifier {
    /// How often the password was hashed.
    pub iterations: u32,
    /// With what.
    pub salt: Vec<u8>,
    /// The hash of the client's key.
    pub stored_key: Key,
    /// The server's key.
    pub server_key: Key,
}

impl Verifier {
    /// The verifier of a password.
    #[must_use]
    pub fn of(password: &str, salt: &[u8], iterations: u32) -> Self {
        let salted = salted_password(prepare(password).as_bytes(), salt, iterations);
        Self {
            iterations,
            salt: salt.to_vec(),
            stored_key: sha256(&hmac(&salted, &[b"Client Key"])),
            server_key: hmac(&salted, &[b"Server Key"]),
        }
    }

    /// Reads the stored form; `None` if it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("SCRAM-SHA-256$")?;
        let (head, keys) = rest.split_once('$')?;
        let (iterations, salt) = head.split_once(':')?;
        let (stored, server) = keys.split_once(':')?;
        let key = |text: &str| STANDARD.decode(text).ok().and_then(|key| Key::try_from(key).ok());
        Some(Self {
            iterations: iterations
                .parse()
                .ok()
                .filter(|iterations| (1..=ITERATIONS_MAX).contains(iterations))?,
            salt: STANDARD.decode(salt).ok()?,
            stored_key: key(stored)?,
            server_key: key(server)?,
        })
    }

    /// The stored form.
    #[must_use]
    pub fn text(&self) -> String {
        format!(
            "SCRAM-SHA-256${}:{}${}:{}",
            self.iterations,
            STANDARD.encode(&self.salt),
            STANDARD.encode(self.stored_key),
            STANDARD.encode(self.server_key)
        )
    }

    /// Whether it is this password's.
    #[must_use]
    pub fn matches(&self, password: &str) -> bool {
        let own = Self::of(password, &self.salt, self.iterations);
        same_bytes(&own.server_key, &self.server_key)
    }
}

/// Compares without telling by the time where the first difference is.
#[must_use]
pub fn same_bytes(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len()
        && left.iter().zip(right).fold(0, |differences, (a, b)| differences | (a ^ b)) == 0
}

/// SASLprep; what it prohibits stays as it is, as in PostgreSQL.
#[must_use]
pub fn prepare(password: &str) -> String {
    stringprep::saslprep(password).map_or_else(|_| password.to_owned(), Into::into)
}

/// HMAC-SHA-256 over parts in a row.
#[must_use]
pub fn hmac(key: &[u8], parts: &[&[u8]]) -> Key {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// SHA-256.
#[must_use]
pub fn sha256(bytes: &[u8]) -> Key {
    Sha256::digest(bytes).into()
}

/// `Hi` of RFC 5802: PBKDF2 with HMAC-SHA-256 and one block.
fn salted_password(password: &[u8], salt: &[u8], iterations: u32) -> Key {
    let keyed = Hmac::<Sha256>::new_from_slice(password).expect("HMAC takes keys of any length");
    let digest = |parts: [&[u8]; 2]| -> Key {
        let mut mac = keyed.clone();
        parts.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().into()
    };
    let mut block = digest([salt, &1_u32.to_be_bytes()]);
    let mut result = block;
    for _ in 1..iterations {
        block = digest([&block, &[]]);
        result.iter_mut().zip(block).for_each(|(sum, byte)| *sum ^= byte);
    }
    result
}

/// Whether a text is the hash of a password rather than one.
#[must_use]
pub fn is_md5_hash(text: &str) -> bool {
    text.strip_prefix("md5")
        .is_some_and(|hex| hex.len() == 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// `md5` of a password and the role's name, which is its salt.
#[must_use]
pub fn md5_hash(password: &str, role: &str) -> String {
    let digest = Md5::new().chain_update(password).chain_update(role).finalize();
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("md5{hex}")
}

/// The answer to an MD5 challenge, of a stored hash and the challenge's salt.
#[must_use]
pub fn md5_answer(hash: &str, salt: [u8; 4]) -> String {
    let inner = hash.strip_prefix("md5").unwrap_or(hash);
    let digest = Md5::new().chain_update(inner).chain_update(salt).finalize();
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("md5{hex}")
}

/// What is stored of a password: as it is if it is a verifier or a hash already, else a new one of
/// the kind that `password_encryption` names.
///
/// # Errors
/// XX000 without random bytes.
pub fn encrypt(password: &str, role: &str, encryption: &str) -> SqlResult<String> {
    if is_md5_hash(password) || Verifier::parse(password).is_some() {
        return Ok(password.to_owned());
    }
    if encryption == "md5" {
        return Ok(md5_hash(password, role));
    }
    let mut salt = [0; SALT_BYTES];
    getrandom::fill(&mut salt)
        .map_err(|error| SqlError::internal(format!("could not generate random salt: {error}")))?;
    Ok(Verifier::of(password, &salt, ITERATIONS).text())
}

/// Whether a text is a verifier or a hash of the empty password.
#[must_use]
pub fn is_password_of_nothing(text: &str, role: &str) -> bool {
    (is_md5_hash(text) || Verifier::parse(text).is_some()) && is_password(text, role, "")
}

/// Whether a plain password is the one that was stored in this form.
#[must_use]
pub fn is_password(stored: &str, role: &str, password: &str) -> bool {
    match Verifier::parse(stored) {
        Some(verifier) => verifier.matches(password),
        None => same_bytes(md5_hash(password, role).as_bytes(), stored.as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7677, section 3: the server's signature proves the keys.
    #[test]
    fn the_keys_are_those_of_the_standard() {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let verifier = Verifier::of("pencil", &salt, 4096);
        let auth_message = "n=user,r=rOprNGfwEbeRWgbNEkqO,\
            r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
            s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,\
            r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let signature = hmac(&verifier.server_key, &[auth_message.as_bytes()]);
        assert_eq!(STANDARD.encode(signature), "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }

    #[test]
    fn verifiers_are_kept_and_others_made() {
        let text = Verifier::of("x", b"salt", 1).text();
        assert_eq!(encrypt(&text, "r", "md5").unwrap(), text);
        let hash = md5_hash("secret", "alice");
        assert!(is_md5_hash(&hash));
        assert_eq!(encrypt(&hash, "r", "scram-sha-256").unwrap(), hash);
        assert_eq!(encrypt("secret", "alice", "md5").unwrap(), hash);
        let made = encrypt("secret", "alice", "scram-sha-256").unwrap();
        assert!(is_password(&made, "alice", "secret") && !is_password(&made, "alice", "Secret"));
        assert!(is_password(&hash, "alice", "secret") && !is_password(&hash, "bob", "secret"));
    }

    #[test]
    fn what_is_no_verifier_is_none() {
        for text in [
            "",
            "SCRAM-SHA-256$4096:c2FsdA==$a:b",
            "SCRAM-SHA-256$0:c2FsdA==$x",
            "SCRAM-SHA-256$99999999999:c2FsdA==$x:y",
        ] {
            assert_eq!(Verifier::parse(text), None, "{text}");
        }
    }

    /// RFC 4013: a soft hyphen is nothing, a no-break space is a space, and what is prohibited stays.
    #[test]
    fn passwords_are_prepared() {
        assert_eq!(prepare("I\u{AD}X"), "IX");
        assert_eq!(prepare("a\u{A0}b"), "a b");
        assert_eq!(prepare("\u{2168}"), "IX");
        assert_eq!(prepare("a\u{7}b"), "a\u{7}b");
    }
}
