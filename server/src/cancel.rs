//! Who may stop whose statement, and whose session.
//!
//! A session gets a process id and a secret when it starts. Whoever presents both over a connection
//! of its own (a CancelRequest) sets the flag of the statement that the session runs at that moment,
//! if any. The caller is never told whether anything was cancelled. Other sessions need no secret:
//! they find a [`StopHandle`] with the session's entry (`pg_cancel_backend`, `pg_terminate_backend`).

use std::collections::HashMap;
use std::sync::Arc;

use aegis_sql::query_engine::CancelFlag;
use aegis_types::{SqlError, SqlState};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::shutdown::administrator_command;

/// All sessions that can be cancelled, by process id.
#[derive(Clone, Debug, Default)]
pub struct CancelRegistry(Arc<Mutex<Sessions>>);

#[derive(Debug, Default)]
struct Sessions {
    by_process_id: HashMap<i32, Arc<Target>>,
    last_process_id: i32,
}

#[derive(Debug)]
struct Target {
    secret: i32,
    statement: Mutex<Option<CancelFlag>>,
    /// Cancelled when the session is to end.
    session: CancellationToken,
}

/// What stops one session, or the statement that it runs.
#[derive(Clone, Debug)]
pub struct StopHandle(Arc<Target>);

/// A session's entry, gone when dropped.
#[derive(Debug)]
pub(crate) struct CancelSlot {
    registry: CancelRegistry,
    process_id: i32,
    target: Arc<Target>,
}

impl CancelRegistry {
    /// Enters a session, under a process id that no other has. It ends when its token is cancelled.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub(crate) fn enter(&self, session: CancellationToken) -> Result<CancelSlot, getrandom::Error> {
        let mut secret = [0; 4];
        getrandom::fill(&mut secret)?;
        let secret = i32::from_be_bytes(secret);
        let target = Arc::new(Target { secret, statement: Mutex::new(None), session });
        let mut sessions = self.0.lock();
        let process_id = loop {
            // Positive, as a process id is.
            let next = sessions.last_process_id.checked_add(1).unwrap_or(1);
            sessions.last_process_id = next;
            if !sessions.by_process_id.contains_key(&next) {
                break next;
            }
        };
        sessions.by_process_id.insert(process_id, Arc::clone(&target));
        drop(sessions);
        Ok(CancelSlot { registry: self.clone(), process_id, target })
    }

    /// A CancelRequest. Nothing happens if the secret is wrong or the session idle.
    pub(crate) fn request(&self, process_id: i32, secret: i32) {
        let target = self.0.lock().by_process_id.get(&process_id).cloned();
        if let Some(target) = target.filter(|target| target.secret == secret) {
            target.cancel(user_request());
        }
    }

    /// Cancels whatever runs.
    pub(crate) fn cancel_all(&self, error: &SqlError) {
        let targets: Vec<_> = self.0.lock().by_process_id.values().cloned().collect();
        for target in targets {
            target.cancel(error.clone());
        }
    }
}

/// `57014` for a CancelRequest and `pg_cancel_backend`.
#[must_use]
pub fn user_request() -> SqlError {
    SqlError::new(SqlState::QueryCanceled, "canceling statement due to user request")
}

impl Target {
    fn cancel(&self, error: SqlError) {
        if let Some(flag) = &*self.statement.lock() {
            flag.cancel(error);
        }
    }
}

impl StopHandle {
    /// Of a session that is driven within the process: no CancelRequest finds it.
    #[must_use]
    pub fn unconnected() -> Self {
        let session = CancellationToken::new();
        Self(Arc::new(Target { secret: 0, statement: Mutex::new(None), session }))
    }

    /// Cancels what the session runs now, if anything.
    pub fn cancel(&self) {
        self.0.cancel(user_request());
    }

    /// Ends the session, busy or idle.
    pub fn terminate(&self) {
        self.0.cancel(administrator_command());
        self.0.session.cancel();
    }

    /// What runs in the session stops by this flag.
    pub(crate) fn follow(&self, flag: CancelFlag) {
        *self.0.statement.lock() = Some(flag);
    }

    /// The flag of the running statement; one that nobody sets where none runs.
    #[must_use]
    pub fn flag(&self) -> CancelFlag {
        self.0.statement.lock().clone().unwrap_or_default()
    }
}

impl CancelSlot {
    pub(crate) fn stop_handle(&self) -> StopHandle {
        StopHandle(Arc::clone(&self.target))
    }

    pub(crate) const fn process_id(&self) -> i32 {
        self.process_id
    }

    pub(crate) fn secret(&self) -> i32 {
        self.target.secret
    }

    /// The flag of the statement that runs from now on.
    pub(crate) fn set(&self, flag: CancelFlag) {
        *self.target.statement.lock() = Some(flag);
    }

    /// Nothing runs now.
    pub(crate) fn clear(&self) {
        *self.target.statement.lock() = None;
    }
}

impl Drop for CancelSlot {
    fn drop(&mut self) {
        self.registry.0.lock().by_process_id.remove(&self.process_id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_secret_cancels_and_only_what_runs() {
        let registry = CancelRegistry::default();
        let token = CancellationToken::new();
        let slot = registry.enter(token.clone()).expect("the system has random numbers");
        let (process_id, secret) = (slot.process_id(), slot.secret());
        registry.request(process_id, secret);
        let flag = CancelFlag::default();
        slot.set(flag.clone());
        registry.request(process_id, secret.wrapping_add(1));
        assert!(flag.check().is_ok());
        registry.request(process_id, secret);
        assert_eq!(flag.check().expect_err("it was cancelled"), user_request());
        slot.clear();
        let handle = slot.stop_handle();
        handle.cancel();
        let flag = CancelFlag::default();
        slot.set(flag.clone());
        assert!(flag.check().is_ok(), "what began later is not cancelled");
        handle.terminate();
        assert_eq!(flag.check().expect_err("it was cancelled"), administrator_command());
        assert!(token.is_cancelled());
    }
}
