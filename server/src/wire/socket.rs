//! A client's socket with its two buffers.
//!
//! Reading never takes more than a frame needs or [`READ_AHEAD_BYTES`], whichever is more; writing
//! sends the whole output buffer at once. Both buffers give back what an unusually large message made
//! them grow to.

use std::io;
use std::mem::MaybeUninit;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::frame::{self, Frame, FrameError};
use super::output::Output;
use super::{OUTPUT_BYTES, READ_AHEAD_BYTES};
use crate::shutdown::Shutdown;
use crate::tls::{Prefixed, TlsServer, TlsSession};

/// How much room a read is given: at first, and once the client sends so much at a time.
const READ_BYTES: std::ops::RangeInclusive<usize> = 512..=READ_AHEAD_BYTES;

/// How long a client that asked just now is looked out for: a few times what a client on the same
/// machine takes.
const LOOK_OUT: Duration = Duration::from_micros(50);

/// How many waits are not preceded by looking out, after that was in vain.
const WAITS_AFTER_VAIN: u8 = 8;

/// How long the last words to a client may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// What a connection runs over.
pub(crate) trait Transport: AsyncRead + AsyncWrite + Unpin + Send {
    /// Whether there is something to read, or an end to notice, without waiting.
    fn has_news(&self) -> bool;
}

impl Transport for TcpStream {
    fn has_news(&self) -> bool {
        let seen = SockRef::from(self).peek(&mut [MaybeUninit::uninit()]);
        !matches!(seen, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}

impl Transport for TlsStream<Prefixed<Box<dyn Transport>>> {
    fn has_news(&self) -> bool {
        self.get_ref().0.rest.has_news()
    }
}

/// What stands in while a transport becomes another.
impl Transport for tokio::io::Empty {
    fn has_news(&self) -> bool {
        true
    }
}

/// A socket and its buffers.
pub(crate) struct Socket {
    transport: Box<dyn Transport>,
    input: BytesMut,
    /// The room that the next read is given.
    read_bytes: usize,
    /// Waits left that are not preceded by looking out.
    not_looked_out: u8,
    /// The client has closed its side, or reading failed.
    ended: bool,
    pub(crate) output: Output,
    pub(crate) shutdown: Shutdown,
    /// What is known of its encryption, if it is encrypted.
    pub(crate) tls: Option<TlsSession>,
    large_bytes_max: usize,
}

impl Socket {
    pub(crate) fn new(transport: Box<dyn Transport>, shutdown: Shutdown) -> Self {
        Self {
            transport,
            input: BytesMut::new(),
            read_bytes: *READ_BYTES.start(),
            not_looked_out: 0,
            ended: false,
            output: Output::default(),
            shutdown,
            tls: None,
            large_bytes_max: frame::LARGE_MESSAGE_BYTES_MAX,
        }
    }

    /// The next message if it is here already.
    pub(crate) fn buffered_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        frame::take(&mut self.input, self.large_bytes_max)
    }

    /// The startup packet if it is here already.
    pub(crate) fn buffered_startup(&mut self) -> Result<Option<Bytes>, FrameError> {
        frame::take_startup(&mut self.input)
    }

    /// The answer to a request for proof if it is here already.
    pub(crate) fn buffered_answer(&mut self, max: usize) -> Result<Option<Bytes>, FrameError> {
        frame::take_answer(&mut self.input, max)
    }

    /// Whether a handshake of TLS begins instead of a startup packet.
    pub(crate) fn begins_handshake(&self) -> bool {
        // The type of a handshake's record; no startup packet is so long that it begins with it.
        self.input.first() == Some(&0x16)
    }

    /// Goes on encrypted. What has been read already is the handshake's.
    pub(crate) async fn encrypt(&mut self, tls: &TlsServer) -> io::Result<()> {
        let plain = std::mem::replace(&mut self.transport, Box::new(tokio::io::empty()));
        let first = std::mem::take(&mut self.input);
        let (stream, session) = tls.accept(Prefixed { first, rest: plain }).await?;
        self.transport = Box::new(stream);
        self.tls = Some(session);
        Ok(())
    }

    /// Whether bytes have come that no frame has taken yet.
    pub(crate) fn has_input(&self) -> bool {
        !self.input.is_empty()
    }

    /// Looks out for more bytes for a moment before the thread sleeps: a client that asks again at once
    /// is answered without waking anyone. Only where no other session is served, and a core is left for
    /// the client.
    pub(crate) fn look_out(&mut self) {
        static HAS_CORES: LazyLock<bool> =
            LazyLock::new(|| std::thread::available_parallelism().is_ok_and(|n| n.get() > 1));
        if self.not_looked_out > 0 {
            self.not_looked_out -= 1;
            return;
        }
        if !*HAS_CORES || !aegis_storage::serves_one_session() {
            return;
        }
        let begun = Instant::now();
        while !self.transport.has_news() {
            if begun.elapsed() > LOOK_OUT {
                self.not_looked_out = WAITS_AFTER_VAIN;
                return;
            }
            // A question to the kernel costs more than these.
            for _ in 0..20 {
                std::hint::spin_loop();
            }
        }
    }

    /// Waits for more bytes; whether any came. Dropping the future loses nothing.
    pub(crate) async fn read(&mut self) -> bool {
        if self.ended {
            return false;
        }
        if self.input.is_empty() && self.input.capacity() > 4 * self.read_bytes {
            self.input = BytesMut::new();
        }
        self.input.reserve(self.read_bytes);
        // A connection that fails says no more than one that ends.
        let read = self.transport.read_buf(&mut self.input).await.unwrap_or(0);
        if read >= self.read_bytes {
            self.read_bytes = (self.read_bytes * 4).min(*READ_BYTES.end());
        } else if read < self.read_bytes / 4 {
            self.read_bytes = (self.read_bytes / 2).max(*READ_BYTES.start());
        }
        self.ended = read == 0;
        !self.ended
    }

    /// Returns once the client is gone, having asked for nothing more than what runs. Reads ahead
    /// meanwhile, a bounded part; beyond that nobody can tell. Dropping the future loses nothing.
    pub(crate) async fn client_gone(&mut self) {
        while !self.ended && self.input.len() < READ_AHEAD_BYTES {
            self.read().await;
        }
        let waits_for_more = !matches!(self.input.first(), None | Some(b'X'));
        if !self.ended || waits_for_more {
            std::future::pending::<()>().await;
        }
    }

    /// Sends what has collected, waiting for a slow reader; a shutdown ends the waiting.
    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        if self.output.len() == 0 {
            return Ok(());
        }
        let shutdown = self.shutdown.clone();
        tokio::select! {
            biased;
            written = self.transport.write_all(self.output.as_slice()) => written?,
            () = shutdown.begun() => return Err(io::ErrorKind::ConnectionAborted.into()),
        }
        self.output.clear();
        Ok(())
    }

    /// Sends what has collected if it is much; other sessions have their turn then.
    pub(crate) async fn flush_if_large(&mut self) -> io::Result<()> {
        if self.output.len() >= OUTPUT_BYTES {
            self.flush().await?;
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Sends what has collected and closes; a client that does not read is left.
    pub(crate) async fn farewell(&mut self) {
        let parting = async {
            self.transport.write_all(self.output.as_slice()).await?;
            self.transport.shutdown().await
        };
        // The client may be gone: then there is nobody to tell.
        let _told = tokio::time::timeout(FAREWELL, parting).await;
        self.output.clear();
    }
}
