//! CancelRequests: who may stop whose statement.
//!
//! A session gets a process id and a secret when it starts. Whoever presents both over a connection
//! of its own sets the flag of the statement that the session runs at that moment, if any. The
//! caller is never told whether anything was cancelled.

use std::collections::HashMap;
use std::sync::Arc;

use aegis_sql::query_engine::CancelFlag;
use aegis_types::{SqlError, SqlState};
use parking_lot::Mutex;

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
}

/// A session's entry, gone when dropped.
#[derive(Debug)]
pub(crate) struct CancelSlot {
    registry: CancelRegistry,
    process_id: i32,
    target: Arc<Target>,
}

impl CancelRegistry {
    /// Enters a session, under a process id that no other has.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub(crate) fn enter(&self) -> Result<CancelSlot, getrandom::Error> {
        let mut secret = [0; 4];
        getrandom::fill(&mut secret)?;
        let target =
            Arc::new(Target { secret: i32::from_be_bytes(secret), statement: Mutex::new(None) });
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

    /// Cancels what a session runs, on the word of another session; whether there is such a session.
    #[must_use]
    pub fn cancel_session(&self, process_id: i32, error: SqlError) -> bool {
        let target = self.0.lock().by_process_id.get(&process_id).cloned();
        target.is_some_and(|target| {
            target.cancel(error);
            true
        })
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

impl CancelSlot {
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
        let slot = registry.enter().expect("the system has random numbers");
        let (process_id, secret) = (slot.process_id(), slot.secret());
        registry.request(process_id, secret);
        let flag = CancelFlag::default();
        slot.set(flag.clone());
        registry.request(process_id, secret.wrapping_add(1));
        assert!(flag.check().is_ok());
        registry.request(process_id, secret);
        assert_eq!(flag.check().expect_err("it was cancelled"), user_request());
        drop(slot);
        assert!(!registry.cancel_session(process_id, user_request()));
    }
}
