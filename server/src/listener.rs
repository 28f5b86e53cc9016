//! Listening: a socket's way from accept to its connection, and how many there may be.
//!
//! ```text
//! accept ──► startup packet, TLS ──► authenticate ──► a place ──► session ──► connection
//!   │            60 s at most for both  28000, 28P01     53300       3D000, …
//!   └ beyond the limit of those not let in yet: the oldest of them is closed
//! ```

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aegis_types::{SqlError, SqlResult, SqlState};
use futures::FutureExt;
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, debug, error, info, info_span, warn};

use crate::auth::Client;
use crate::cancel::CancelRegistry;
use crate::instance::Instance;
use crate::session::{Session, Startup};
use crate::shutdown::{Shutdown, administrator_command};
use crate::task;
use crate::wire::startup::{self, Opening, StartupMessage};
use crate::wire::{Connection, Failure, Socket, report};

/// How long to leave a failing `accept` alone.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How many sockets may be on their way at a time, however many sessions there may be.
const STARTING_MAX: usize = 1024;

/// A socket that is on its way; noted as long as this lives.
struct Start {
    token: CancellationToken,
    starting: Arc<Mutex<VecDeque<CancellationToken>>>,
}

impl Drop for Start {
    fn drop(&mut self) {
        // Each has a token of its own: cancelled, it is told from the others.
        self.token.cancel();
        self.starting.lock().retain(|token| !token.is_cancelled());
    }
}

/// What all connections share.
pub struct Server {
    instance: Arc<Instance>,
    cancels: CancelRegistry,
    shutdown: Shutdown,
    /// A permit a session.
    sessions: Arc<Semaphore>,
    /// The sockets that are on their way to be a session or to cancel one, the oldest first.
    starting: Arc<Mutex<VecDeque<CancellationToken>>>,
    /// How many of those there may be.
    starting_max: usize,
    threads: Vec<SessionThread>,
}

/// A thread that serves connections, and how many those are.
struct SessionThread {
    runtime: Handle,
    connections: Arc<AtomicUsize>,
}

/// A connection's place on a thread.
struct Seat(Arc<AtomicUsize>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl SessionThread {
    fn seat(&self) -> Seat {
        self.connections.fetch_add(1, Ordering::Relaxed);
        Seat(Arc::clone(&self.connections))
    }
}

impl Server {
    /// A server over an instance, for at most so many sessions at a time. Each connection is served by
    /// one of the runtimes, from its first byte to its last.
    #[must_use]
    pub fn new(
        instance: Arc<Instance>,
        runtimes: Vec<Handle>,
        cancels: CancelRegistry,
        shutdown: Shutdown,
        connections_max: usize,
    ) -> Arc<Self> {
        let thread = |runtime| SessionThread { runtime, connections: Arc::default() };
        Arc::new(Self {
            instance,
            threads: runtimes.into_iter().map(thread).collect(),
            cancels,
            shutdown,
            sessions: Arc::new(Semaphore::new(connections_max.min(Semaphore::MAX_PERMITS))),
            starting: Arc::default(),
            starting_max: connections_max.saturating_add(16).min(STARTING_MAX),
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
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%peer, %error, "cannot set TCP_NODELAY");
        }
        let by_load = |thread: &&SessionThread| thread.connections.load(Ordering::Relaxed);
        let Some(thread) = self.threads.iter().min_by_key(by_load) else { return };
        let server = Arc::clone(self);
        let (start, seat) = (self.begin_start(), thread.seat());
        let serve = async move {
            // From here on that thread hears of its bytes.
            match stream.into_std().and_then(TcpStream::from_std) {
                Ok(stream) => server.serve(stream, peer, start).await,
                Err(error) => warn!(%peer, %error, "cannot take a connection over"),
            }
            drop(seat);
        };
        let tracked =
            self.shutdown.track(serve.instrument(info_span!(parent: None, "connection", %peer)));
        // The task ends by itself, and tells of its own panics.
        drop(task::spawn_on(&thread.runtime, "connection", tracked));
    }

    /// Notes a socket that is not let in yet. Where there are too many, the oldest has to go: it is
    /// the likeliest to have no intention of being let in.
    fn begin_start(&self) -> Start {
        let token = CancellationToken::new();
        let mut starting = self.starting.lock();
        if starting.len() >= self.starting_max
            && let Some(oldest) = starting.pop_front()
        {
            oldest.cancel();
        }
        starting.push_back(token.clone());
        Start { token, starting: Arc::clone(&self.starting) }
    }

    /// Serves one socket to its end. A panic ends this session alone.
    async fn serve(&self, stream: TcpStream, peer: SocketAddr, start: Start) {
        let mut socket = Socket::new(Box::new(stream), self.shutdown.clone());
        let served =
            AssertUnwindSafe(self.serve_socket(&mut socket, peer, start)).catch_unwind().await;
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

    async fn serve_socket(
        &self,
        socket: &mut Socket,
        peer: SocketAddr,
        start: Start,
    ) -> Result<(), Failure> {
        let shutdown = self.shutdown.clone();
        let timeout = self.instance.authentication.timeout();
        let let_in = tokio::select! {
            biased;
            let_in = tokio::time::timeout(timeout, self.let_in(socket, peer)) => let_in,
            () = shutdown.begun() => return Err(Failure::Gone),
            () = start.token.cancelled() => {
                debug!("closed for one that came later");
                return Err(Failure::Gone);
            }
        };
        drop(start);
        let Ok(let_in) = let_in else {
            debug!("not let in in time");
            return Err(Failure::Gone);
        };
        match let_in? {
            None => Ok(()),
            Some(message) => self.serve_session(socket, peer, message).await,
        }
    }

    /// Reads what a socket is for, and lets its client in; `None` if nothing is left to be done.
    async fn let_in(
        &self,
        socket: &mut Socket,
        peer: SocketAddr,
    ) -> Result<Option<StartupMessage>, Failure> {
        let authentication = &self.instance.authentication;
        let tls = authentication.tls();
        match startup::open(socket, tls.as_deref()).await? {
            None => Ok(None),
            Some(Opening::Cancel { process_id, secret }) => {
                self.cancels.request(process_id, secret);
                Ok(None)
            }
            Some(Opening::Session(message)) => {
                let database = message.database.as_ref().unwrap_or(&message.user);
                let client = Client { peer, user: &message.user, database };
                let catalog = self.instance.catalog();
                authentication.authenticate(socket, &catalog, &client).await?;
                Ok(Some(message))
            }
        }
    }

    async fn serve_session(
        &self,
        socket: &mut Socket,
        peer: SocketAddr,
        message: StartupMessage,
    ) -> Result<(), Failure> {
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
                tls: socket.tls.clone(),
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
