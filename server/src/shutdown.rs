//! Stopping: who asks for it, and who waits until it is done.
//!
//! ```text
//! SIGTERM, SIGINT ──► begin ──► listeners stop ──► statements cancelled ──► sessions end (57P01)
//!                                                                               │
//!                               the process goes on to close the instance ◄─────┘ or 10 s later
//! ```
//!
//! Nothing waits for clients to leave by themselves: PostgreSQL's "fast" mode.

use std::time::Duration;

use aegis_types::{SqlError, SqlState};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long sessions may take to end before the process goes on without them.
const GRACE: Duration = Duration::from_secs(10);

/// Shared by everything that must end before the process does.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    token: CancellationToken,
    connections: TaskTracker,
}

impl Shutdown {
    /// Asks everything to stop. Returns at once; asking again changes nothing.
    pub fn begin(&self) {
        self.token.cancel();
        self.connections.close();
    }

    /// What one session stops by: this shutdown, or a token of its own.
    #[must_use]
    pub(crate) fn of_session(&self) -> (Self, CancellationToken) {
        let token = self.token.child_token();
        (Self { token: token.clone(), connections: self.connections.clone() }, token)
    }

    /// Whether stopping has begun.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Waits until stopping begins.
    pub async fn begun(&self) {
        self.token.cancelled().await;
    }

    /// Counts a connection's task among what [`Shutdown::finished`] waits for.
    pub(crate) fn track<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        self.connections.track_future(future)
    }

    /// Counts other work among it too.
    pub fn tracked<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        self.track(future)
    }

    /// Waits until all connections have ended, ten seconds at most; whether they have.
    pub async fn finished(&self) -> bool {
        self.connections.close();
        tokio::time::timeout(GRACE, self.connections.wait()).await.is_ok()
    }
}

/// What a session that must end now tells its client: FATAL `57P01`.
#[must_use]
pub(crate) fn administrator_command() -> SqlError {
    SqlError::new(SqlState::AdminShutdown, "terminating connection due to administrator command")
        .fatal()
}

/// Whenever SIGHUP comes: files are to be read again.
///
/// # Errors
/// If the handler cannot be installed.
pub fn hangups() -> std::io::Result<tokio::signal::unix::Signal> {
    signal(SignalKind::hangup())
}

/// Waits for SIGTERM or SIGINT and names the one that came.
///
/// # Errors
/// If the handlers cannot be installed.
pub async fn signalled() -> std::io::Result<&'static str> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    })
}
