//! From the first byte to the session's parameters: SSLRequest, GSSENCRequest, CancelRequest,
//! StartupMessage.
//!
//! ```text
//! a handshake of TLS        ──► the same again, encrypted
//! SSLRequest                ──► 'S' and the same again, encrypted; 'N' without a certificate
//! GSSENCRequest             ──► 'N', once
//! CancelRequest             ──► cancels, closes
//! 3.x                       ──► (NegotiateProtocolVersion) ──► a session
//! anything else             ──► FATAL 0A000, closes
//! ```

use aegis_types::{SqlError, SqlResult, SqlState};

use super::message::Fields;
use super::{Failure, Socket};
use crate::tls::TlsServer;

const CANCEL_REQUEST: i32 = 80_877_102;
const SSL_REQUEST: i32 = 80_877_103;
const GSSENC_REQUEST: i32 = 80_877_104;

/// Protocol 3.0.
const VERSION: i32 = 3 << 16;

/// What a connection turned out to be for.
#[derive(Debug)]
pub(crate) enum Opening {
    /// To cancel what another session runs.
    Cancel { process_id: i32, secret: i32 },
    /// To be a session.
    Session(StartupMessage),
}

/// A StartupMessage.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct StartupMessage {
    pub(crate) user: String,
    pub(crate) database: Option<String>,
    /// Settings: those of `options` first, then the others as they came.
    pub(crate) parameters: Vec<(String, String)>,
    /// Options of the protocol, `_pq_.…`: none is known.
    protocol_options: Vec<String>,
    minor_version: i32,
}

/// Reads until it is clear what the connection is for. `None` if it ends before, or makes no sense.
pub(crate) async fn open(
    socket: &mut Socket,
    tls: Option<&TlsServer>,
) -> Result<Option<Opening>, Failure> {
    let (mut ssl_refused, mut gss_refused) = (false, false);
    loop {
        let packet = loop {
            if let Some(tls) = tls
                && socket.tls.is_none()
                && !ssl_refused
                && socket.begins_handshake()
            {
                encrypt_at_once(socket, tls).await?;
                ssl_refused = true;
                continue;
            }
            // PostgreSQL too closes without a word where the length is wrong.
            let Ok(buffered) = socket.buffered_startup() else { return Ok(None) };
            if let Some(packet) = buffered {
                break packet;
            }
            if !socket.read().await {
                return Ok(None);
            }
        };
        let mut fields = Fields::new(&packet);
        match fields.int4()? {
            SSL_REQUEST if !ssl_refused => {
                ssl_refused = true;
                match tls.filter(|_| socket.tls.is_none()) {
                    None => refuse(socket, "SSL").await?,
                    Some(tls) => {
                        socket.output.accept_encryption();
                        refuse_input(socket, "SSL")?;
                        socket.flush().await?;
                        socket.encrypt(tls).await.map_err(handshake_failed)?;
                    }
                }
            }
            GSSENC_REQUEST if !gss_refused => {
                gss_refused = true;
                refuse(socket, "GSSAPI encryption").await?;
            }
            CANCEL_REQUEST => {
                if packet.len() != 12 {
                    return Ok(None);
                }
                let (process_id, secret) = (fields.int4()?, fields.int4()?);
                return Ok(Some(Opening::Cancel { process_id, secret }));
            }
            version if version >> 16 == VERSION >> 16 => {
                let message = read_message(version, &packet[4..]).map_err(SqlError::fatal)?;
                if message.minor_version > 0 || !message.protocol_options.is_empty() {
                    let options: Vec<_> =
                        message.protocol_options.iter().map(String::as_str).collect();
                    socket.output.negotiate_protocol_version(VERSION, &options);
                }
                return Ok(Some(Opening::Session(message)));
            }
            version => return Err(unsupported_version(version).into()),
        }
    }
}

/// Answers `N`. What a client sent behind its request without waiting for the answer may have been
/// slipped in by another: it is not read as part of what follows.
async fn refuse(socket: &mut Socket, what: &str) -> Result<(), Failure> {
    socket.output.refuse_encryption();
    refuse_input(socket, what)?;
    Ok(socket.flush().await?)
}

/// A client that begins with the handshake says there which protocol it means.
async fn encrypt_at_once(socket: &mut Socket, tls: &TlsServer) -> Result<(), Failure> {
    socket.encrypt(tls).await.map_err(handshake_failed)?;
    if socket.tls.as_ref().is_some_and(|session| session.named_protocol) {
        return Ok(());
    }
    Err(SqlError::new(
        SqlState::ProtocolViolation,
        "received direct SSL connection request without ALPN protocol negotiation extension",
    )
    .fatal()
    .into())
}

/// Whatever is wrong with a handshake has been told within it.
fn handshake_failed(error: std::io::Error) -> Failure {
    tracing::debug!(%error, "could not accept SSL connection");
    Failure::Gone
}

fn refuse_input(socket: &Socket, what: &str) -> Result<(), Failure> {
    if socket.has_input() {
        return Err(SqlError::new(
            SqlState::ProtocolViolation,
            format!("received unencrypted data after {what} request"),
        )
        .detail("This could be either a client-software bug or evidence of an attempted man-in-the-middle attack.")
        .fatal()
        .into());
    }
    Ok(())
}

fn unsupported_version(version: i32) -> SqlError {
    let bytes = version.to_be_bytes();
    let major = u16::from_be_bytes([bytes[0], bytes[1]]);
    let minor = u16::from_be_bytes([bytes[2], bytes[3]]);
    SqlError::new(
        SqlState::FeatureNotSupported,
        format!("unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.0"),
    )
    .fatal()
}

fn read_message(version: i32, body: &[u8]) -> SqlResult<StartupMessage> {
    let mut message = StartupMessage { minor_version: version & 0xffff, ..Default::default() };
    let mut settings = Vec::new();
    let layout = || {
        SqlError::new(
            SqlState::ProtocolViolation,
            "invalid startup packet layout: expected terminator as last byte",
        )
    };
    if body.last() != Some(&0) {
        return Err(layout());
    }
    let mut fields = Fields::new(body);
    let unended = |error: SqlError| match error.code() {
        SqlState::ProtocolViolation => layout(),
        _ => error,
    };
    loop {
        let name = fields.string().map_err(unended)?;
        if name.is_empty() {
            break;
        }
        let value = fields.string().map_err(unended)?;
        match name {
            "user" => value.clone_into(&mut message.user),
            "database" => message.database = Some(value.to_owned()).filter(|name| !name.is_empty()),
            "options" => message.parameters = command_line(value)?,
            "replication" => refuse_replication(value)?,
            _ if name.starts_with("_pq_.") => message.protocol_options.push(name.to_owned()),
            _ => settings.push((name.to_owned(), value.to_owned())),
        }
    }
    fields.end().map_err(|_| layout())?;
    if message.user.is_empty() {
        return Err(SqlError::new(
            SqlState::InvalidAuthorizationSpecification,
            "no PostgreSQL user name specified in startup packet",
        ));
    }
    message.parameters.append(&mut settings);
    Ok(message)
}

fn refuse_replication(value: &str) -> SqlResult<()> {
    match aegis_types::io::parse_bool(value) {
        Ok(false) => Ok(()),
        Err(_) if value != "database" => Err(SqlError::new(
            SqlState::InvalidParameterValue,
            format!("invalid value for parameter \"replication\": \"{value}\""),
        )
        .hint("Valid values are: \"false\", 0, \"true\", 1, \"database\".")),
        _ => Err(SqlError::unsupported("the replication protocol")),
    }
}

/// The settings of `options`: `-c name=value`, `-cname=value`, `--name=value`; a backslash takes the
/// blank out of the next blank.
fn command_line(options: &str) -> SqlResult<Vec<(String, String)>> {
    let mut settings = Vec::new();
    let mut words = split_words(options).into_iter();
    while let Some(word) = words.next() {
        let (switch, assignment) = if let Some(long) = word.strip_prefix("--") {
            ("--", long.to_owned())
        } else if let Some(attached) = word.strip_prefix("-c") {
            let assignment = if attached.is_empty() {
                words.next().ok_or_else(|| invalid_argument(&word))?
            } else {
                attached.to_owned()
            };
            ("-c ", assignment)
        } else {
            return Err(invalid_argument(&word));
        };
        let Some((name, value)) = assignment.split_once('=') else {
            return Err(SqlError::new(
                SqlState::SyntaxError,
                format!("{switch}{assignment} requires a value"),
            ));
        };
        settings.push((name.replace('-', "_"), value.to_owned()));
    }
    Ok(settings)
}

fn invalid_argument(word: &str) -> SqlError {
    SqlError::new(
        SqlState::SyntaxError,
        format!("invalid command-line argument for server process: {word}"),
    )
    .hint("Try \"postgres --help\" for more information.")
}

fn split_words(options: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = options.chars();
    while let Some(character) = characters.next() {
        match character {
            ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c' => words.extend(word.take()),
            '\\' => word.get_or_insert_default().extend(characters.next()),
            _ => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn settings_come_from_options_then_from_the_packet() {
        let body = b"application_name\0a\0user\0u\0database\0\0options\0-c geqo=off --work-mem=64kB -cx.y=a\\ b\0_pq_.z\x001\0\0";
        let message = read_message(VERSION + 2, body).expect("it is well formed");
        assert_eq!(message.user, "u");
        assert_eq!(message.database, None);
        assert_eq!(message.minor_version, 2);
        assert_eq!(message.protocol_options, ["_pq_.z"]);
        assert_eq!(
            message.parameters,
            [
                setting("geqo", "off"),
                setting("work_mem", "64kB"),
                setting("x.y", "a b"),
                setting("application_name", "a"),
            ]
        );
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let refused = |body: &[u8]| read_message(VERSION, body).expect_err("it is wrong");
        assert_eq!(refused(b"\0").code(), SqlState::InvalidAuthorizationSpecification);
        assert_eq!(refused(b"user\0u\0").code(), SqlState::ProtocolViolation);
        assert_eq!(refused(b"user\0u\0\0\0").code(), SqlState::ProtocolViolation);
        assert_eq!(refused(b"").code(), SqlState::ProtocolViolation);
        assert_eq!(refused(b"user\0u\0replication\0on\0\0").code(), SqlState::FeatureNotSupported);
        assert_eq!(
            refused(b"user\0u\0replication\0maybe\0\0").code(),
            SqlState::InvalidParameterValue
        );
        assert_eq!(
            refused(b"user\0u\0options\0-c geqo\0\0").fields().message,
            "-c geqo requires a value"
        );
        assert_eq!(
            unsupported_version(2 << 16).fields().message,
            "unsupported frontend protocol 2.0: server supports 3.0 to 3.0"
        );
    }
}
