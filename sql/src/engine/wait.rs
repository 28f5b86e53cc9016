//! How functions of engines wait.
//!
//! A function that finds nothing yet waits in place, on a thread that others do without. A statement
//! that does nothing but call it has a [`Patience`] instead: the function gives up where it would
//! wait, nothing is held meanwhile, no snapshot either, and the statement is run anew when the channel
//! is woken.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use aegis_storage::at_length;
use aegis_types::{SqlError, SqlResult};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::EngineCall;
use crate::query_engine::CancelFlag;

/// What a statement remembers from one run to the next while it waits.
#[derive(Debug)]
pub struct Patience {
    began: Instant,
    position: Mutex<Option<i64>>,
    pause: Mutex<Option<Pause>>,
}

/// Until when a statement is not to be run.
#[derive(Debug)]
pub struct Pause {
    heard: watch::Receiver<u64>,
    until: Instant,
}

impl Default for Patience {
    fn default() -> Self {
        let (position, pause) = (Mutex::default(), Mutex::default());
        Self { began: Instant::now(), position, pause }
    }
}

impl Patience {
    /// Why the last run failed, if it was for waiting.
    #[must_use]
    pub fn pause(&self) -> Option<Pause> {
        self.pause.lock().take()
    }
}

impl Pause {
    /// Waits; whether the channel was woken.
    ///
    /// # Errors
    /// 57014 and whatever else the statement is stopped with.
    pub async fn over(mut self, cancel: &CancelFlag) -> SqlResult<bool> {
        woken(&mut self.heard, self.until, cancel).await
    }
}

async fn woken(
    channel: &mut watch::Receiver<u64>,
    until: Instant,
    cancel: &CancelFlag,
) -> SqlResult<bool> {
    tokio::select! {
        biased;
        error = cancel.cancelled() => Err(error),
        woken = channel.changed() => Ok(woken.is_ok()),
        () = tokio::time::sleep_until(until.into()) => Ok(false),
    }
}

impl EngineCall<'_> {
    /// Waits for something: on this thread as long as it need not wait, elsewhere then.
    pub fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        // Most work is done without waiting. What begins to wait does so by the clock of that runtime,
        // whichever runtime's thread this is.
        let entered = self.host.runtime().enter();
        let first = work.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        drop(entered);
        if let Poll::Ready(done) = first {
            return done;
        }
        at_length(|| self.host.runtime().block_on(work))
    }

    /// Since when the statement waits.
    #[must_use]
    pub fn waits_since(&self) -> Instant {
        self.host.patience().map_or_else(Instant::now, |patience| patience.began)
    }

    /// How far the statement had come when it began to wait.
    #[must_use]
    pub fn position(&self) -> Option<i64> {
        self.host.patience().and_then(|patience| *patience.position.lock())
    }

    /// Waits until a channel is woken, for a time at most; whether it was. What is at or before the
    /// position was looked at.
    ///
    /// # Errors
    /// 57014 and whatever else the statement is stopped with. Whatever comes of a statement with a
    /// [`Patience`], where this is the end of the run.
    pub fn wait_to_hear(
        &self,
        channel: &mut watch::Receiver<u64>,
        at_most: Duration,
        position: i64,
    ) -> SqlResult<bool> {
        let until = Instant::now() + at_most;
        if let Some(patience) = self.host.patience() {
            *patience.position.lock() = Some(position);
            *patience.pause.lock() = Some(Pause { heard: channel.clone(), until });
            return Err(SqlError::internal(format!("{}() waits", self.name)));
        }
        let cancel = &self.context.cancel;
        at_length(|| self.host.runtime().block_on(woken(channel, until, cancel)))
    }
}
