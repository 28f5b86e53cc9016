//! The one place that spawns: every task has a name, which its log lines carry.

use std::future::Future;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tracing::Instrument;

/// How many functions may wait in place at a time, each on a thread that is made for it: sleepers, and
/// waiters for advisory locks. Of connections there are fewer.
pub const WAITING_THREADS_MAX: usize = 4096;

/// Starts a task on the current runtime. A panic in it ends it alone; the handle tells.
pub fn spawn<F>(name: &'static str, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    spawn_on(&Handle::current(), name, future)
}

/// Starts a task on a runtime. A panic in it ends it alone; the handle tells.
pub fn spawn_on<F>(runtime: &Handle, name: &'static str, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    runtime.spawn(future.instrument(tracing::info_span!("task", name)))
}

/// A task that ends with whoever holds this.
#[derive(Debug)]
pub struct Bound<T>(JoinHandle<T>);

impl<T> Bound<T> {
    /// Ties a task to the holder.
    #[must_use]
    pub const fn new(handle: JoinHandle<T>) -> Self {
        Self(handle)
    }
}

impl<T> Drop for Bound<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
