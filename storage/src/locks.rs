//! Table and row locks: modes, queues, deadlocks.

mod modes;

pub use modes::{LockWait, RowLockMode, RowLockOutcome, RowLockWait, TableLockMode};
