//! Trees, versions, locks, transactions, tiers and durability. Storage knows no SQL.
//!
//! ```text
//! Store ─ begin ─► Transaction ─ statement_snapshot ─► ReadView ─ get, scan ─► Block
//!   │                  │ put, delete, savepoint, lock_row      │
//!   │                  └ commit ─► CommitLog ─► Applier        │
//!   │                                  │ apply                 ▼
//!   └──────────────────────── Published { seq, tiers: hot, frozen, warm; catalog }
//! ```

mod apply;
mod block;
mod bytes;
mod codec;
pub mod commit_log;
mod disk;
mod entry;
mod error;
mod flush;
mod hot;
mod ids;
mod locks;
mod memory_log;
mod proposals;
mod range;
mod run;
mod scan;
mod serializable;
mod snapshot;
mod store;
mod tiers;
mod transaction;
mod view;
mod warm;
mod write_set;

pub use block::{Block, RowRef};
pub use bytes::{Key, Row, Value};
pub use disk::{Disk, Fault, FaultDisk, File, MemoryDisk, OpenMode, RealDisk};
pub use entry::runs_of_entry;
pub use error::{Result, StorageError};
pub use ids::{CommandId, CommitSeq, TransactionId, TreeId};
pub use locks::{LockWait, RowLockMode, RowLockOutcome, RowLockWait, TableLockMode};
pub use memory_log::MemoryLog;
pub use range::{Direction, KeyRange};
pub use run::RunHash;
pub use scan::Scan;
pub use store::{
    CatalogBuilder, CatalogChange, Clock, MemoryBudget, Store, StoreOptions, StoreStats,
};
pub use transaction::{IsolationLevel, Savepoint, Transaction, TxnOptions};
pub use view::ReadView;
