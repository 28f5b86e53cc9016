//! Trees, versions, locks, transactions, tiers and durability. Storage knows no SQL.
//!
//! ```text
//! Store ─ begin ─► Transaction ─ statement_snapshot ─► ReadView ─ get, scan ─► Block
//!   │                  │ put, delete, savepoint, lock_row      │
//!   │                  └ commit ─► CommitLog ─► Applier        │
//!   │                                  │ apply                 ▼
//!   └──────────────────────── Published { seq, tiers: hot, frozen, warm; catalog }
//! ```

// What everything speaks of.
mod block;
mod bytes;
mod codec;
mod error;
mod ids;
mod range;
mod thread;

// What is below: a disk, and a log.
pub mod commit_log;
mod disk;
mod entry;

// Tiers and snapshots.
mod hot;
mod load;
mod run;
mod snapshot;
mod tiers;
mod warm;

// Reading.
mod scan;
mod view;
mod write_set;

// Transactions.
mod locks;
mod proposals;
mod serializable;
mod transaction;

// What changes the tiers, and what holds all together.
mod apply;
mod flush;
mod memory_log;
mod store;

pub use block::{Block, RowRef};
pub use bytes::{Key, Row, Value};
pub use disk::{Disk, Fault, FaultDisk, File, MemoryDisk, OpenMode, RealDisk};
pub use entry::{Counter, runs_of_entry};
pub use error::{Result, StorageError};
pub use ids::{CommandId, CommitSeq, TransactionId, TreeId, Trees};
pub use locks::{
    AdvisoryKey, AdvisoryLevel, AdvisoryLocks, AdvisoryMark, AdvisoryMode, LockReport, LockWait,
    LockedObject, RowLockMode, RowLockOutcome, RowLockWait, TableLockMode,
};
pub use memory_log::MemoryLog;
pub use range::{Direction, KeyRange};
pub use run::RunHash;
pub use scan::Scan;
pub use store::{
    CatalogBuilder, CatalogChange, Clock, MemoryBudget, Store, StoreOptions, StoreStats,
};
pub use thread::{at_length, at_length_over, serves_one_session, serving};
pub use transaction::{
    IsolationLevel, KeptSnapshot, Savepoint, SharedSnapshot, Transaction, TxnOptions,
};
pub use view::ReadView;
pub use write_set::NumberedRow;
