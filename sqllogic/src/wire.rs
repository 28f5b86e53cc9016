//! A small client of PostgreSQL's protocol, version 3.0, that keeps everything a server says: tags,
//! SQLSTATEs, column types. It blocks, logs in by `trust`, and reads values in text format.

use std::io::{self, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Which messages carry a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Query
    Simple,
    /// Parse, Bind, Describe, Execute, Sync
    Extended,
}

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The server raised an error.
    #[error("SQLSTATE {code}: {message}")]
    Server {
        /// Field `C`.
        code: String,
        /// Field `M`.
        message: String,
        /// Field `D`.
        detail: Option<String>,
        /// Field `P`.
        position: Option<u32>,
    },
    /// The connection broke.
    #[error("connection: {0}")]
    Io(#[from] io::Error),
    /// The server sent what the protocol does not allow here.
    #[error("unexpected message {0:?}")]
    Unexpected(char),
}

impl ClientError {
    /// The SQLSTATE, if the server raised one.
    #[must_use]
    pub fn sql_state(&self) -> Option<&str> {
        match self {
            Self::Server { code, .. } => Some(code),
            Self::Io(_) | Self::Unexpected(_) => None,
        }
    }
}

/// What a statement gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Names and type OIDs of the columns; empty without rows.
    pub columns: Vec<(String, u32)>,
    /// The values in text format; `None` is NULL.
    pub rows: Vec<Vec<Option<String>>>,
    /// The command tag; empty for an empty statement.
    pub tag: String,
    /// Whether the server described rows, even if there are none.
    pub has_rows: bool,
}

/// A connection.
pub struct Client {
    stream: BufReader<TcpStream>,
    protocol: Protocol,
    /// Number and key of the session, for a CancelRequest.
    pub backend: (i32, i32),
}

/// How long the server may be silent.
const SILENCE_MAX: Duration = Duration::from_secs(120);

impl Client {
    /// Connects as `user` to `database`.
    ///
    /// # Errors
    /// What the server raises, or the connection.
    pub fn connect(
        address: &str,
        user: &str,
        database: &str,
        protocol: Protocol,
    ) -> Result<Self, ClientError> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE_MAX))?;
        let mut client = Self { stream: BufReader::new(stream), protocol, backend: (0, 0) };
        let mut body = 196_608_i32.to_be_bytes().to_vec();
        for text in ["user", user, "database", database, "client_encoding", "UTF8"] {
            body.extend_from_slice(text.as_bytes());
            body.push(0);
        }
        body.push(0);
        let mut message = length_of(&body);
        message.extend(body);
        client.write(&message)?;
        loop {
            match client.message()? {
                (b'Z', _) => return Ok(client),
                (b'E', body) => return Err(server_error(&body)),
                (b'K', body) if body.len() == 8 => {
                    client.backend = (int(&body), int(&body[4..]));
                }
                (b'R' | b'S' | b'N' | b'v', _) => {}
                (other, _) => return Err(ClientError::Unexpected(char::from(other))),
            }
        }
    }

    /// Runs one statement (or several, in the simple protocol) and gives the last answer with rows,
    /// else the last answer.
    ///
    /// # Errors
    /// What the server raises, or the connection.
    pub fn run(&mut self, sql: &str) -> Result<Answer, ClientError> {
        match self.protocol {
            Protocol::Simple => {
                let mut body = sql.as_bytes().to_vec();
                body.push(0);
                self.send(b'Q', &body)?;
            }
            Protocol::Extended => self.send_extended(sql)?,
        }
        self.answer()
    }

    /// Runs `COPY … FROM STDIN` with this data.
    ///
    /// # Errors
    /// What the server raises, or the connection.
    pub fn copy_in(&mut self, sql: &str, data: &[u8]) -> Result<Answer, ClientError> {
        let mut body = sql.as_bytes().to_vec();
        body.push(0);
        self.send(b'Q', &body)?;
        match self.message()? {
            (b'G', _) => {
                self.send(b'd', data)?;
                self.send(b'c', &[])?;
                self.answer()
            }
            (b'E', body) => {
                let error = server_error(&body);
                self.answer()?;
                Err(error)
            }
            (other, _) => Err(ClientError::Unexpected(char::from(other))),
        }
    }

    fn send_extended(&mut self, sql: &str) -> Result<(), ClientError> {
        let mut messages = Vec::new();
        let mut push = |tag: u8, body: &[u8]| {
            messages.push(tag);
            messages.extend(length_of(body));
            messages.extend_from_slice(body);
        };
        let mut parse = vec![0];
        parse.extend_from_slice(sql.as_bytes());
        parse.extend_from_slice(&[0, 0, 0]);
        push(b'P', &parse);
        push(b'B', &[0, 0, 0, 0, 0, 0, 0, 0]);
        push(b'D', b"P\0");
        push(b'E', &[0, 0, 0, 0, 0]);
        push(b'S', &[]);
        self.write(&messages)?;
        Ok(())
    }

    fn answer(&mut self) -> Result<Answer, ClientError> {
        let mut best = Answer::default();
        let mut current = Answer::default();
        let mut error = None;
        loop {
            let (tag, body) = self.message()?;
            match tag {
                b'T' => {
                    current =
                        Answer { columns: columns(&body), has_rows: true, ..Answer::default() };
                }
                b'D' => current.rows.push(values(&body)),
                b'C' => {
                    current.tag = c_string(&body);
                    if current.has_rows || !best.has_rows {
                        best = std::mem::take(&mut current);
                    }
                }
                b'E' => error = Some(server_error(&body)),
                b'G' => {
                    self.send(b'f', b"no data for COPY in a script\0")?;
                    if self.protocol == Protocol::Extended {
                        self.send(b'S', &[])?;
                    }
                }
                b'd' => current.rows.push(vec![Some(c_string(&body))]),
                b'Z' => return error.map_or(Ok(best), Err),
                b'I' | b'1' | b'2' | b'n' | b'N' | b'S' | b'A' | b'H' | b'c' | b't' | b's' => {}
                other => return Err(ClientError::Unexpected(char::from(other))),
            }
        }
    }

    fn send(&mut self, tag: u8, body: &[u8]) -> io::Result<()> {
        let mut message = vec![tag];
        message.extend(length_of(body));
        message.extend_from_slice(body);
        self.write(&message)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    fn message(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let mut head = [0; 5];
        self.stream.read_exact(&mut head)?;
        let length = usize::try_from(int(&head[1..])).unwrap_or_default().saturating_sub(4);
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok((head[0], body))
    }
}

/// Asks a server to cancel what a session runs.
///
/// # Errors
/// What the connection raises.
pub fn cancel(address: &str, backend: (i32, i32)) -> io::Result<()> {
    let mut message = 16_i32.to_be_bytes().to_vec();
    message.extend_from_slice(&80_877_102_i32.to_be_bytes());
    message.extend_from_slice(&backend.0.to_be_bytes());
    message.extend_from_slice(&backend.1.to_be_bytes());
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(&message)?;
    // The server closes the connection once the request is passed on.
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).map(drop)
}

fn length_of(body: &[u8]) -> Vec<u8> {
    i32::try_from(body.len() + 4).unwrap_or(i32::MAX).to_be_bytes().to_vec()
}

fn int(bytes: &[u8]) -> i32 {
    bytes.get(..4).and_then(|b| b.try_into().ok()).map(i32::from_be_bytes).unwrap_or_default()
}

fn short(bytes: &[u8]) -> usize {
    match bytes {
        [high, low, ..] => usize::from(u16::from_be_bytes([*high, *low])),
        _ => 0,
    }
}

fn c_string(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

fn columns(body: &[u8]) -> Vec<(String, u32)> {
    let mut at = 2;
    (0..short(body))
        .map(|_| {
            let name = c_string(body.get(at..).unwrap_or_default());
            at += name.len() + 1;
            let ty = int(body.get(at + 6..).unwrap_or_default()).cast_unsigned();
            at += 18;
            (name, ty)
        })
        .collect()
}

fn values(body: &[u8]) -> Vec<Option<String>> {
    let mut at = 2;
    (0..short(body))
        .map(|_| {
            let length = int(body.get(at..).unwrap_or_default());
            at += 4;
            let length = usize::try_from(length).ok()?;
            let value = body.get(at..at + length).unwrap_or_default();
            at += length;
            Some(String::from_utf8_lossy(value).into_owned())
        })
        .collect()
}

fn server_error(body: &[u8]) -> ClientError {
    let field = |tag: u8| {
        body.split(|byte| *byte == 0)
            .find(|field| field.first() == Some(&tag))
            .map(|field| String::from_utf8_lossy(&field[1..]).into_owned())
    };
    ClientError::Server {
        code: field(b'C').unwrap_or_default(),
        message: field(b'M').unwrap_or_default(),
        detail: field(b'D'),
        position: field(b'P').and_then(|text| text.parse().ok()),
    }
}
