//! The loop of one connection: takes messages in order, drives the session, reports errors.
//!
//! ```text
//! next_frame ──► dispatch ──┬─ Ok ─────────────────────────────► next_frame
//!                           ├─ error ──► recover ──► (skipping) ─► next_frame
//!                           └─ fatal, gone, shutdown ──► last words, the session closes
//! ```

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use aegis_sql::query_engine::CancelFlag;
use aegis_types::{SqlError, SqlState};
use tracing::{debug, error};

use super::Socket;
use super::frame::{Frame, FrameError};
use super::output::character_position;
use crate::cancel::CancelSlot;
use crate::notify::Mailbox;
use crate::session::{Prepared, Session};
use crate::shutdown::administrator_command;
use crate::task;

/// Why a connection cannot simply go on.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The client is to be told; if fatal, the connection ends.
    Sql(SqlError),
    /// Nobody is there to be told.
    Gone,
}

impl From<SqlError> for Failure {
    fn from(error: SqlError) -> Self {
        Self::Sql(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(_: std::io::Error) -> Self {
        Self::Gone
    }
}

impl From<FrameError> for Failure {
    fn from(error: FrameError) -> Self {
        let (code, message) = match error {
            FrameError::InvalidType(kind) => {
                (SqlState::ProtocolViolation, format!("invalid frontend message type {kind}"))
            }
            // PostgreSQL too closes without a word.
            FrameError::InvalidLength => return Self::Gone,
            FrameError::TooLong { bytes, bytes_max } => (
                SqlState::ProgramLimitExceeded,
                format!("message of {bytes} bytes exceeds the limit of {bytes_max} bytes"),
            ),
        };
        Self::Sql(SqlError::new(code, message).fatal())
    }
}

/// A statement that can be cancelled; ends its timer when dropped.
struct Running {
    flag: CancelFlag,
    _timer: Option<task::Bound<()>>,
}

/// A session at work.
pub(crate) struct Connection<'a> {
    pub(super) socket: &'a mut Socket,
    pub(super) session: Session,
    slot: CancelSlot,
    /// The unnamed prepared statement. Named ones are the session's: SQL reaches them too.
    pub(super) unnamed: Option<Arc<Prepared>>,
    /// The text that positions of errors count in.
    pub(super) source: Arc<str>,
    running: Option<Running>,
    /// After an error in the extended protocol, until Sync.
    skipping: bool,
    /// ReadyForQuery was the last thing said.
    idle: bool,
}

impl<'a> Connection<'a> {
    pub(crate) fn new(socket: &'a mut Socket, session: Session, slot: CancelSlot) -> Self {
        Self {
            socket,
            session,
            slot,
            unnamed: None,
            source: Arc::from(""),
            running: None,
            skipping: false,
            idle: false,
        }
    }

    /// Greets the client and serves it until either side ends the connection.
    pub(crate) async fn run(mut self) {
        self.send_parameters();
        self.socket.output.backend_key_data(self.slot.process_id(), self.slot.secret());
        let served = self.serve().await;
        self.disarm();
        self.session.drop_portals();
        if let Err(Failure::Sql(error)) = served {
            self.report(&error);
            self.session.fail().await;
        }
        self.socket.farewell().await;
        self.session.close().await;
    }

    async fn serve(&mut self) -> Result<(), Failure> {
        self.ready().await?;
        loop {
            let Some(frame) = self.next_frame().await? else { return Ok(()) };
            match frame.kind {
                b'X' => return Ok(()),
                b'S' => self.skipping = false,
                _ if self.skipping => continue,
                _ => {}
            }
            self.idle = false;
            let extended = matches!(frame.kind, b'P' | b'B' | b'D' | b'E' | b'C' | b'H');
            if let Err(failure) = self.dispatch(frame).await {
                self.recover(failure).await?;
                self.skipping = extended;
                if !extended {
                    self.ready().await?;
                }
            }
        }
    }

    /// Does what a message asks. Whatever is not of the extended protocol says ReadyForQuery itself
    /// when it succeeds.
    async fn dispatch(&mut self, frame: Frame) -> Result<(), Failure> {
        match frame.kind {
            b'Q' => self.simple_query(&frame.body).await,
            b'P' => self.parse(&frame.body).await,
            b'B' => self.bind(&frame.body).await,
            b'D' => self.describe(&frame.body),
            b'E' => self.execute(&frame.body).await,
            b'C' => self.close(&frame.body).await,
            b'H' => Ok(self.socket.flush().await?),
            b'S' => {
                self.finish().await?;
                self.ready().await
            }
            b'F' => Err(SqlError::unsupported("the function call message").into()),
            // What a client still sends after its COPY has failed; the decoder lets nothing else by.
            _ => Ok(()),
        }
    }

    /// Waits for the next message, sending first what has collected. `None` where the client ends.
    pub(super) async fn next_frame(&mut self) -> Result<Option<Frame>, Failure> {
        loop {
            if self.socket.shutdown.has_begun() {
                return Err(administrator_command().into());
            }
            if let Some(frame) = self.socket.buffered_frame()? {
                return Ok(Some(frame));
            }
            self.socket.flush().await?;
            let shutdown = self.socket.shutdown.clone();
            let idle = self.idle_timeout();
            let mailbox = self.listens_now().then(|| self.session.mailbox());
            self.socket.look_out();
            let more = tokio::select! {
                biased;
                more = self.socket.read() => more,
                () = shutdown.begun() => return Err(administrator_command().into()),
                error = expired(idle) => return Err(error.into()),
                () = arrived(mailbox) => {
                    self.send_notifications();
                    continue;
                }
            };
            if !more {
                return Ok(None);
            }
        }
    }

    /// Whether notifications may be sent: between transactions, once all has been answered.
    fn listens_now(&self) -> bool {
        self.idle && self.session.transaction_status() == b'I'
    }

    /// NotificationResponse for whatever has arrived.
    fn send_notifications(&mut self) {
        for notification in self.session.mailbox().take() {
            let (channel, payload) = (&*notification.channel, &*notification.payload);
            self.socket.output.notification(notification.process_id, channel, payload);
        }
    }

    fn idle_timeout(&self) -> Option<(Duration, SqlState, &'static str)> {
        if !self.idle {
            return None;
        }
        let timeouts = self.session.timeouts();
        if self.session.transaction_status() == b'I' {
            let message = "terminating connection due to idle-session timeout";
            timeouts.idle_session.map(|after| (after, SqlState::IdleSessionTimeout, message))
        } else {
            let message = "terminating connection due to idle-in-transaction timeout";
            timeouts
                .idle_in_transaction
                .map(|after| (after, SqlState::IdleInTransactionSessionTimeout, message))
        }
    }

    /// Makes the statement that begins cancellable and starts its timer, unless one runs already.
    pub(super) fn arm(&mut self) {
        if self.running.is_none() {
            self.session.arm_cancel();
            let flag = self.session.cancel_flag();
            self.arm_with(flag);
        }
    }

    /// Likewise for a statement that goes on after it was suspended.
    pub(super) fn arm_with(&mut self, flag: CancelFlag) {
        self.slot.set(flag.clone());
        if self.socket.shutdown.has_begun() {
            // It began after shutdown had cancelled whatever ran.
            flag.cancel(administrator_command());
        }
        let timer = self.session.timeouts().statement.map(|after| {
            let flag = flag.clone();
            // A task of its own: a query that holds this thread is reached all the same.
            task::Bound::new(task::spawn("statement timeout", async move {
                tokio::time::sleep(after).await;
                flag.cancel(SqlError::new(
                    SqlState::QueryCanceled,
                    "canceling statement due to statement timeout",
                ));
            }))
        });
        self.running = Some(Running { flag, _timer: timer });
    }

    /// The statement has ended, or waits to be asked for more.
    pub(super) fn disarm(&mut self) {
        if self.running.take().is_some() {
            self.slot.clear();
        }
    }

    /// What the running statement looks at.
    pub(super) fn flag(&self) -> CancelFlag {
        self.running.as_ref().map_or_else(|| self.session.cancel_flag(), |it| it.flag.clone())
    }

    /// Ends the implicit transaction, and with it all portals.
    pub(super) async fn finish(&mut self) -> Result<(), Failure> {
        self.session.finish().await?;
        self.send_notices();
        self.disarm();
        Ok(())
    }

    /// ParameterStatus for what changed, ReadyForQuery, and everything goes out.
    pub(super) async fn ready(&mut self) -> Result<(), Failure> {
        self.send_notices();
        self.send_parameters();
        self.session.note_idle();
        if self.session.transaction_status() == b'I' {
            self.send_notifications();
        }
        self.socket.output.ready_for_query(self.session.transaction_status());
        self.socket.flush().await?;
        self.idle = true;
        Ok(())
    }

    fn send_parameters(&mut self) {
        for (name, value) in self.session.changed_parameters() {
            self.socket.output.parameter_status(&name, &value);
        }
    }

    pub(super) fn send_notices(&mut self) {
        for notice in self.session.take_notices() {
            let fields = notice.fields.fields();
            let position = self.position(fields.position);
            self.socket.output.report(b'N', notice.severity, fields, position);
        }
    }

    fn position(&self, byte: Option<u32>) -> Option<usize> {
        byte.filter(|_| !self.source.is_empty()).map(|at| character_position(&self.source, at))
    }

    fn report(&mut self, error: &SqlError) {
        self.send_notices();
        report(self.socket, error, self.position(error.fields().position));
    }

    /// Tells the client and puts the session right again; what ends the connection is handed on.
    async fn recover(&mut self, failure: Failure) -> Result<(), Failure> {
        let Failure::Sql(error) = failure else { return Err(failure) };
        if error.fields().fatal {
            return Err(error.into());
        }
        self.report(&error);
        self.disarm();
        self.session.fail().await;
        self.source = Arc::from("");
        Ok(())
    }
}

/// ErrorResponse, and a line in the log: a client's mistake is of interest to the client alone.
pub(crate) fn report(socket: &mut Socket, error: &SqlError, position: Option<usize>) {
    let fields = error.fields();
    if fields.code == SqlState::InternalError && !fields.uncoded {
        error!(code = fields.code.code(), message = fields.message, "internal error");
    } else {
        debug!(code = fields.code.code(), message = fields.message, "error");
    }
    let severity = if fields.fatal { "FATAL" } else { "ERROR" };
    socket.output.report(b'E', severity, fields, position);
}

async fn arrived(mailbox: Option<Arc<Mailbox>>) {
    match mailbox {
        Some(mailbox) if mailbox.is_empty() => mailbox.ready().await,
        Some(_) => {}
        None => std::future::pending().await,
    }
}

async fn expired(timeout: Option<(Duration, SqlState, &'static str)>) -> SqlError {
    match timeout {
        Some((after, code, message)) => {
            tokio::time::sleep(after).await;
            SqlError::new(code, message).fatal()
        }
        None => std::future::pending().await,
    }
}

/// Waits for what a session does, to its end in any case; if the client goes meanwhile, the statement
/// is cancelled.
pub(super) async fn watched<F: Future>(
    socket: &mut Socket,
    flag: &CancelFlag,
    mut future: Pin<&mut F>,
) -> F::Output {
    tokio::select! {
        biased;
        output = &mut future => return output,
        () = socket.client_gone() => {}
    }
    let lost = SqlError::new(SqlState::ConnectionFailure, "connection to client lost");
    flag.cancel(lost.fatal());
    future.await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every idle connection keeps room for whatever its task may wait for.
    #[test]
    fn an_idle_connection_keeps_little() {
        fn size<T, F: Future>(_: impl FnOnce(T) -> F) -> usize {
            size_of::<F>()
        }
        let bytes = size(Connection::<'static>::run);
        assert!(bytes < 6_000, "{bytes} bytes");
    }
}
