//! SCRAM-SHA-256 as a server: RFC 5802 and RFC 7677, with `tls-server-end-point` as channel binding.
//!
//! ```text
//! client                                    server
//!   n,,n=,r=NONCE              ──────────►
//!                              ◄──────────  r=NONCE…,s=SALT,i=4096
//!   c=biws,r=NONCE…,p=PROOF    ──────────►
//!                              ◄──────────  v=SIGNATURE
//! ```
//!
//! A client that names a role that is not there, or that has no password, is led through the same
//! exchange with a salt that is always the same for that name, and fails at its end. Nothing here
//! reads a socket.

use aegis_sql::password::{ITERATIONS, Key, Verifier, hmac, same_bytes, sha256};
use aegis_types::{SqlError, SqlResult, SqlState};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The mechanism without channel binding.
pub(crate) const PLAIN: &str = "SCRAM-SHA-256";
/// The mechanism with it.
pub(crate) const PLUS: &str = "SCRAM-SHA-256-PLUS";

/// Bytes of the server's part of the nonce.
const NONCE_BYTES: usize = 18;

/// Bytes of a salt that is made up.
const SALT_BYTES: usize = 16;

/// An exchange under way, the client's first message read.
pub(crate) struct Exchange {
    verifier: Verifier,
    /// Whether the verifier is a role's, so that the exchange can succeed.
    is_real: bool,
    client_first_bare: String,
    server_first: String,
    /// The nonce of both sides.
    nonce: String,
    /// What the client has to send as `c=` in base64.
    binding: String,
    has_binding: bool,
}

/// What channel binding there can be.
#[derive(Clone, Copy)]
pub(crate) struct Binding<'a> {
    /// Whether the client chose the mechanism with it.
    pub(crate) chosen: bool,
    /// The hash of the server's certificate, where the mechanism is offered.
    pub(crate) certificate_hash: Option<&'a [u8]>,
}

/// A verifier for a role that has none.
pub(crate) fn mock_verifier(user: &str, secret: &[u8]) -> Verifier {
    let salt = hmac(secret, &[b"salt", user.as_bytes()]);
    Verifier {
        iterations: ITERATIONS,
        salt: salt[..SALT_BYTES].to_vec(),
        stored_key: [0; 32],
        server_key: [0; 32],
    }
}

fn malformed(detail: &str) -> SqlError {
    SqlError::new(SqlState::ProtocolViolation, "malformed SCRAM message").detail(detail)
}

/// The value of the attribute that a message goes on with, and the rest behind it.
fn attribute(message: &str, name: char) -> SqlResult<(&str, &str)> {
    let mut characters = message.chars();
    let found = characters.next();
    if found != Some(name) || characters.next() != Some('=') {
        return Err(malformed(&format!(
            "Expected attribute \"{name}\" but found \"{}\".",
            found.map_or_else(String::new, |found| found.escape_default().to_string())
        )));
    }
    let value = characters.as_str();
    Ok(value.split_once(',').unwrap_or((value, "")))
}

impl Exchange {
    /// Reads the client's first message. `verifier` is the role's, or a made-up one.
    pub(crate) fn begin(
        message: &str,
        binding: Binding<'_>,
        verifier: Verifier,
        is_real: bool,
    ) -> SqlResult<Self> {
        let mut server_nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut server_nonce)
            .map_err(|_| SqlError::internal("could not generate random nonce"))?;
        Self::begin_with(message, binding, verifier, is_real, &STANDARD.encode(server_nonce))
    }

    fn begin_with(
        message: &str,
        binding: Binding<'_>,
        verifier: Verifier,
        is_real: bool,
        server_nonce: &str,
    ) -> SqlResult<Self> {
        let (flag, rest) = message
            .split_once(',')
            .ok_or_else(|| malformed("The message length does not match the input length."))?;
        check_flag(flag, binding)?;
        let (authorization, bare) = rest
            .split_once(',')
            .ok_or_else(|| malformed("Comma expected, but found end of message."))?;
        if authorization.starts_with("a=") {
            return Err(SqlError::unsupported("client uses authorization identity, but it"));
        }
        if !authorization.is_empty() {
            return Err(malformed("Unexpected attribute in client-first-message."));
        }
        if bare.starts_with("m=") {
            return Err(SqlError::new(
                SqlState::FeatureNotSupported,
                "client requires an unsupported SCRAM extension",
            ));
        }
        // The name is the one of the startup packet.
        let (_, after_name) = attribute(bare, 'n')?;
        let (client_nonce, _) = attribute(after_name, 'r')?;
        let is_printable = |byte: u8| (0x21..=0x7e).contains(&byte) && byte != b',';
        if client_nonce.is_empty() || !client_nonce.bytes().all(is_printable) {
            return Err(SqlError::new(
                SqlState::ProtocolViolation,
                "non-printable characters in SCRAM nonce",
            ));
        }
        let nonce = format!("{client_nonce}{server_nonce}");
        let server_first =
            format!("r={nonce},s={},i={}", STANDARD.encode(&verifier.salt), verifier.iterations);
        let mut bound = format!("{flag},,").into_bytes();
        let has_binding = flag.starts_with("p=");
        if has_binding {
            bound.extend_from_slice(binding.certificate_hash.unwrap_or_default());
        }
        Ok(Self {
            verifier,
            is_real,
            client_first_bare: bare.to_owned(),
            server_first,
            nonce,
            binding: STANDARD.encode(bound),
            has_binding,
        })
    }

    /// The server's first message.
    pub(crate) fn server_first(&self) -> &str {
        &self.server_first
    }

    /// Reads the client's last message: the server's, or `None` if the proof is wrong.
    pub(crate) fn finish(&self, message: &str) -> SqlResult<Option<String>> {
        let (binding, rest) = attribute(message, 'c')?;
        if binding != self.binding {
            return Err(if self.has_binding {
                SqlError::new(
                    SqlState::InvalidAuthorizationSpecification,
                    "SCRAM channel binding check failed",
                )
            } else {
                SqlError::new(
                    SqlState::ProtocolViolation,
                    "unexpected SCRAM channel-binding attribute in client-final-message",
                )
            });
        }
        let (nonce, _) = attribute(rest, 'r')?;
        if nonce != self.nonce {
            return Err(SqlError::new(SqlState::ProtocolViolation, "invalid SCRAM response")
                .detail("Nonce does not match."));
        }
        // Extensions may stand before the proof, which is last.
        let (without_proof, proof) = message
            .rsplit_once(",p=")
            .ok_or_else(|| malformed("Attribute expected, but found end of message."))?;
        let proof = STANDARD
            .decode(proof)
            .ok()
            .and_then(|proof| Key::try_from(proof).ok())
            .ok_or_else(|| malformed("Malformed proof in client-final-message."))?;
        let parts = [
            self.client_first_bare.as_bytes(),
            b",",
            self.server_first.as_bytes(),
            b",",
            without_proof.as_bytes(),
        ];
        let mut client_key = hmac(&self.verifier.stored_key, &parts);
        client_key.iter_mut().zip(proof).for_each(|(key, byte)| *key ^= byte);
        let proven = same_bytes(&sha256(&client_key), &self.verifier.stored_key);
        if !proven || !self.is_real {
            return Ok(None);
        }
        let signature = hmac(&self.verifier.server_key, &parts);
        Ok(Some(format!("v={}", STANDARD.encode(signature))))
    }
}

/// The first field: whether the client can bind, does, or thinks that the server cannot.
fn check_flag(flag: &str, binding: Binding<'_>) -> SqlResult<()> {
    match flag {
        "n" | "y" if binding.chosen => Err(malformed(
            "The client selected SCRAM-SHA-256-PLUS, but the SCRAM message does not include \
             channel binding data.",
        )),
        "n" => Ok(()),
        // Somebody took the mechanism out of the list on its way.
        "y" if binding.certificate_hash.is_some() => Err(SqlError::new(
            SqlState::InvalidAuthorizationSpecification,
            "SCRAM channel binding negotiation error",
        )
        .detail(
            "The client supports SCRAM channel binding but thinks the server does not.  However, \
             this server does support channel binding.",
        )),
        "y" => Ok(()),
        _ => match flag.strip_prefix("p=") {
            Some(_) if !binding.chosen => Err(malformed(
                "The client selected SCRAM-SHA-256 without channel binding, but the SCRAM message \
                 includes channel binding data.",
            )),
            Some("tls-server-end-point") => Ok(()),
            Some(other) => Err(SqlError::new(
                SqlState::ProtocolViolation,
                format!("unsupported SCRAM channel-binding type \"{other}\""),
            )),
            None => Err(malformed(&format!(
                "Unexpected channel-binding flag \"{}\".",
                flag.escape_default()
            ))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_BINDING: Binding<'static> = Binding { chosen: false, certificate_hash: None };

    fn pencil() -> Verifier {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        Verifier::of("pencil", &salt, 4096)
    }

    /// The example of RFC 7677, section 3.
    #[test]
    fn the_exchange_of_the_standard_succeeds() {
        let first = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
        let nonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let exchange = Exchange::begin_with(first, NO_BINDING, pencil(), true, nonce).unwrap();
        assert_eq!(
            exchange.server_first(),
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
        );
        let last = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                    p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        assert_eq!(
            exchange.finish(last).unwrap().as_deref(),
            Some("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
        );
        let wrong = last.replace("p=d", "p=e");
        assert_eq!(exchange.finish(&wrong).unwrap(), None);
        let mock = Exchange { is_real: false, ..exchange };
        assert_eq!(mock.finish(last).unwrap(), None);
    }

    #[test]
    fn made_up_verifiers_stay_the_same_for_a_name() {
        let salt = |user: &str| mock_verifier(user, b"secret").salt;
        assert_eq!(salt("a"), salt("a"));
        assert_ne!(salt("a"), salt("b"));
    }

    #[test]
    fn downgrades_are_seen() {
        let hash = [7_u8; 32];
        let begin = |message: &str, chosen: bool| {
            let binding = Binding { chosen, certificate_hash: Some(&hash) };
            Exchange::begin_with(message, binding, pencil(), true, "s").map(drop)
        };
        assert!(begin("p=tls-server-end-point,,n=,r=x", true).is_ok());
        let refused = |message: &str, chosen| begin(message, chosen).unwrap_err();
        assert_eq!(
            refused("y,,n=,r=x", false).fields().message,
            "SCRAM channel binding negotiation error"
        );
        assert_eq!(refused("n,,n=,r=x", true).code(), SqlState::ProtocolViolation);
        assert_eq!(
            refused("p=tls-server-end-point,,n=,r=x", false).code(),
            SqlState::ProtocolViolation
        );
        assert_eq!(refused("p=tls-unique,,n=,r=x", true).code(), SqlState::ProtocolViolation);
    }

    #[test]
    fn nonsense_is_refused() {
        for message in
            ["", "n", "n,", "n,,", "x,,n=,r=a", "n,,n=", "n,,n=,r=", "n,,n=,r=\u{1}", "n,,m=x"]
        {
            let begun = Exchange::begin_with(message, NO_BINDING, pencil(), true, "s");
            assert!(begun.is_err(), "{message:?}");
        }
        let exchange = Exchange::begin_with("n,,n=,r=a", NO_BINDING, pencil(), true, "s").unwrap();
        for message in
            ["", "c=biws", "c=eSws,r=as,p=x", "c=biws,r=a,p=x", "c=biws,r=as,p=x", "c=biws,r=as"]
        {
            assert!(exchange.finish(message).is_err(), "{message:?}");
        }
    }
}
