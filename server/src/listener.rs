//! Listening: a socket's way from accept to its connection, and how many there may be.
//!
//! ```text
//! accept ──► startup packet ──► authenticate ──► a place ──► session ──► connection
//!   │           60 s at most       28000          53300       3D000, …
//!   └ beyond twice the limit: closed without a word
//! ```

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use aegis_types::{SqlError, SqlResult, SqlState};
use futures::FutureExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tracing::{Instrument, debug, error, info, info_span, warn};

use crate::auth;
use crate::cancel::CancelRegistry;
use crate::instance::Instance;
use crate::session::{Session, Startup};
use crate::shutdown::{Shutdown, administrator_command};
use crate::task;
use crate::wire::startup::{self, Opening, StartupMessage};
use crate::wire::{Connection, Failure, Socket, report};

/// How long a client may take from connecting to its startup packet: `authentication_timeout`.
const STARTUP_TIMEOUT: Duration = Duration::from_secs(60);

/// How long to leave a failing `accept` alone.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What all connections share.
pub struct Server {
    instance: Arc<Instance>,
    cancels: CancelRegistry,
    shutdown: Shutdown,
    /// A permit a session.
    sessions: Arc<Semaphore>,
    /// A permit a socket: sessions, and those on their way to be one or to cancel one.
    sockets: Arc<Semaphore>,
}

impl Server {
    /// A server over an instance, for at most so many sessions at a time.
    #[must_use]
    pub fn new(
        instance: Arc<Instance>,
        cancels: CancelRegistry,
        shutdown: Shutdown,
        connections_max: usize,
    ) -> Arc<Self> {
        let sockets = connections_max.saturating_mul(2).saturating_add(16);
        Arc::new(Self {
            instance,
            cancels,
            shutdown,
            sessions: Arc::new(Semaphore::new(connections_max.min(Semaphore::MAX_PERMITS))),
            sockets: Arc::new(Semaphore::new(sockets.min(Semaphore::MAX_PERMITS))),
        })
    }

    /// Accepts connections until shutdown begins.
    pub async fn listen(self: Arc<Self>, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.shutdown.begun() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => self.accept(stream, peer),
                Err(error) => {
                    // Mostly EMFILE, which passes as connections end.
                    warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Cancels what runs, and waits until all sessions have ended; whether they have in time. To be
    /// called once shutdown has begun.
    pub async fn drain(&self) -> bool {
        self.cancels.cancel_all(&administrator_command());
        self.shutdown.finished().await
    }

    fn accept(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        let Ok(permit) = Arc::clone(&self.sockets).try_acquire_owned() else {
            warn!(%peer, "too many sockets: closed one before it said anything");
            return;
        };
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%peer, %error, "cannot set TCP_NODELAY");
        }
        let server = Arc::clone(self);
        let serve = async move {
            let _permit = permit;
            server.serve(stream, peer).await;
        };
        let tracked =
            self.shutdown.track(serve.instrument(info_span!(parent: None, "connection", %peer)));
        // The task ends by itself, and tells of its own panics.
        drop(task::spawn("connection", tracked));
    }

    /// Serves one socket to its end. A panic ends this session alone.
    async fn serve(&self, stream: TcpStream, peer: SocketAddr) {
        let mut socket = Socket::new(Box::new(stream), self.shutdown.clone());
        let served = AssertUnwindSafe(self.serve_socket(&mut socket, peer)).catch_unwind().await;
        let failure = match served {
            Ok(Ok(()) | Err(Failure::Gone)) => return,
            Ok(Err(Failure::Sql(error))) => error.fatal(),
            Err(panic) => {
                let message = panic
                    .downcast_ref::<String>()
                    .map(String::as_str)
                    .or_else(|| panic.downcast_ref::<&str>().copied())
                    .unwrap_or("a panic without a message");
                error!(message, "a session died of a panic");
                socket.output.discard_unfinished();
                SqlError::internal("the session ended because of an internal error").fatal()
            }
        };
        report(&mut socket, &failure, None);
        socket.farewell().await;
    }

    async fn serve_socket(&self, socket: &mut Socket, peer: SocketAddr) -> Result<(), Failure> {
        let shutdown = self.shutdown.clone();
        let opening = tokio::select! {
            biased;
            opening = tokio::time::timeout(STARTUP_TIMEOUT, startup::open(socket)) => opening,
            () = shutdown.begun() => return Err(Failure::Gone),
        };
        let Ok(opening) = opening else {
            debug!("no startup packet in time");
            return Err(Failure::Gone);
        };
        match opening? {
            None => Ok(()),
            Some(Opening::Cancel { process_id, secret }) => {
                self.cancels.request(process_id, secret);
                Ok(())
            }
            Some(Opening::Session(message)) => self.serve_session(socket, peer, message).await,
        }
    }

    async fn serve_session(
        &self,
        socket: &mut Socket,
        peer: SocketAddr,
        message: StartupMessage,
    ) -> Result<(), Failure> {
        let database = message.database.as_ref().unwrap_or(&message.user);
        auth::authenticate(peer, &message.user, database)?;
        let _place = self.take_place()?;
        let (shutdown, token) = self.shutdown.of_session();
        socket.shutdown = shutdown;
        let slot = self.cancels.enter(token).map_err(|error| {
            SqlError::internal(format!("could not generate random cancel key: {error}"))
        })?;
        let session = Session::open(
            Arc::clone(&self.instance),
            Startup {
                user: message.user,
                database: message.database,
                parameters: message.parameters,
                process_id: slot.process_id(),
                stop_handle: slot.stop_handle(),
                client_address: Some(peer),
            },
        )
        .await?;
        socket.output.authentication_ok();
        info!(process_id = slot.process_id(), "connected");
        Connection::new(socket, session, slot).run().await;
        info!("disconnected");
        Ok(())
    }

    fn take_place(&self) -> SqlResult<tokio::sync::OwnedSemaphorePermit> {
        Arc::clone(&self.sessions).try_acquire_owned().map_err(|_| {
            SqlError::new(SqlState::TooManyConnections, "sorry, too many clients already")
        })
    }
}
