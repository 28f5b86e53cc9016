//! Trees, versions, locks, transactions, tiers and durability. Storage knows no SQL.

mod block;
mod bytes;
pub mod commit_log;
mod disk;
mod error;
mod ids;
mod locks;
mod memory_log;
mod range;
mod store;
mod transaction;
mod view;

pub use block::{Block, RowRef};
pub use bytes::{Key, Row, Value};
pub use disk::{Disk, Fault, FaultDisk, File, MemoryDisk, OpenMode, RealDisk};
pub use error::{Result, StorageError};
pub use ids::{CommandId, CommitSeq, TransactionId, TreeId};
pub use locks::{LockWait, RowLockMode, RowLockOutcome, RowLockWait, TableLockMode};
pub use memory_log::MemoryLog;
pub use range::{Direction, KeyRange};
pub use store::{
    CatalogBuilder, CatalogChange, Clock, MemoryBudget, Store, StoreOptions, StoreStats,
};
pub use transaction::{IsolationLevel, Savepoint, Transaction, TxnOptions};
pub use view::{ReadView, Scan};
