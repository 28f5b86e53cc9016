//! The transaction of a change of data: its own for as long as it runs, or given back whenever
//! functions are evaluated that may want to write themselves.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};

use aegis_storage::{KeptSnapshot, Transaction};
use aegis_types::{SqlError, SqlResult};
use tokio::sync::{Mutex, MutexGuard};

thread_local! {
    /// Whether what is evaluated on this thread is evaluated by who holds the transaction.
    static HELD_HERE: Cell<bool> = const { Cell::new(false) };
}

/// Evaluates something that must not wait for the transaction, as whoever evaluates it holds that.
pub fn holding<T>(evaluate: impl FnOnce() -> T) -> T {
    struct Reset(bool);
    impl Drop for Reset {
        fn drop(&mut self) {
            HELD_HERE.set(self.0);
        }
    }
    let _before = Reset(HELD_HERE.replace(true));
    evaluate()
}

/// Whether this is evaluated by who holds the transaction: waiting for it would be for ever.
#[must_use]
pub fn is_held_here() -> bool {
    HELD_HERE.get()
}

/// A transaction that is lent.
#[derive(Debug)]
pub struct Lent<'a>(Lending<'a>);

#[derive(Debug)]
enum Lending<'a> {
    Whole(&'a mut Transaction),
    Shared {
        shared: &'a Mutex<Option<Transaction>>,
        guard: Option<MutexGuard<'a, Option<Transaction>>>,
        /// What the statement sees, while others have the transaction.
        kept: Option<KeptSnapshot>,
    },
}

/// The proof that a shared transaction is there while it is held.
const HELD: &str = "the transaction is held outside of the evaluation of functions";

impl<'a> Lent<'a> {
    /// For the whole statement.
    pub(super) fn whole(transaction: &'a mut Transaction) -> Self {
        Self(Lending::Whole(transaction))
    }

    /// Until it is given back for a while.
    ///
    /// # Errors
    /// XX000 where the transaction is over.
    pub(super) async fn shared(shared: &'a Mutex<Option<Transaction>>) -> SqlResult<Self> {
        let guard = shared.lock().await;
        if guard.is_none() {
            return Err(SqlError::internal("the statement's transaction is over"));
        }
        Ok(Self(Lending::Shared { shared, guard: Some(guard), kept: None }))
    }

    /// Whether it can be given back.
    pub(super) const fn is_shared(&self) -> bool {
        matches!(self.0, Lending::Shared { .. })
    }

    /// Gives it back, if it is shared: functions are to be evaluated.
    pub(super) fn give(&mut self) {
        if let Lending::Shared { guard, kept, .. } = &mut self.0
            && let Some(held) = guard.take()
        {
            *kept = held.as_ref().map(Transaction::keep_snapshot);
        }
    }

    /// Takes it again. The statement goes on seeing what it saw.
    ///
    /// # Errors
    /// XX000 where the transaction is over.
    pub(super) async fn take(&mut self) -> SqlResult<()> {
        let Lending::Shared { shared, guard, kept } = &mut self.0 else { return Ok(()) };
        if guard.is_some() {
            return Ok(());
        }
        let mut held = shared.lock().await;
        let transaction = held
            .as_mut()
            .ok_or_else(|| SqlError::internal("the statement's transaction is over"))?;
        if let Some(kept) = kept.take() {
            transaction.restore_snapshot(kept);
        }
        *guard = Some(held);
        Ok(())
    }
}

impl Deref for Lent<'_> {
    type Target = Transaction;

    fn deref(&self) -> &Transaction {
        match &self.0 {
            Lending::Whole(transaction) => transaction,
            Lending::Shared { guard, .. } => {
                guard.as_ref().and_then(|held| held.as_ref()).expect(HELD)
            }
        }
    }
}

impl DerefMut for Lent<'_> {
    fn deref_mut(&mut self) -> &mut Transaction {
        match &mut self.0 {
            Lending::Whole(transaction) => transaction,
            Lending::Shared { guard, .. } => {
                guard.as_mut().and_then(|held| held.as_mut()).expect(HELD)
            }
        }
    }
}
