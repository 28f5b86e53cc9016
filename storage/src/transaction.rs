//! Transactions: a private write set over a snapshot, and the locks that it holds.

use std::time::Duration;

use crate::locks::{LockWait, RowLockMode, RowLockOutcome, RowLockWait, TableLockMode};
use crate::{
    CommandId, CommitSeq, Direction, KeyRange, ReadView, Result, Row, Scan, StorageError,
    TransactionId, TreeId,
};

/// PostgreSQL's isolation levels. READ UNCOMMITTED is READ COMMITTED there and here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum IsolationLevel {
    /// A snapshot a statement.
    #[default]
    ReadCommitted,
    /// One snapshot.
    RepeatableRead,
    /// One snapshot, and what was read is checked at commit (40001).
    Serializable,
}

/// How a transaction begins.
#[derive(Clone, Debug)]
pub struct TxnOptions {
    /// Its isolation level.
    pub isolation: IsolationLevel,
    /// Whether writes fail with 25006.
    pub read_only: bool,
    /// The backend's process id, for the detail of a deadlock report.
    pub process_id: i32,
    /// How long to wait for a lock before looking for a deadlock (`deadlock_timeout`, 1 s).
    pub deadlock_timeout: Duration,
}

impl Default for TxnOptions {
    fn default() -> Self {
        Self {
            isolation: IsolationLevel::default(),
            read_only: false,
            process_id: 0,
            deadlock_timeout: Duration::from_secs(1),
        }
    }
}

/// A mark in a transaction to which it can be rolled back. Marks nest: rolling back to one or
/// releasing it ends those taken after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Savepoint(pub u64);

/// A transaction. Dropping it rolls it back.
#[derive(Debug)]
pub struct Transaction {
    options: TxnOptions,
}

fn not_built<T>() -> Result<T> {
    Err(StorageError::Internal("not built yet".into()))
}

impl Transaction {
    /// Its number, for `pg_locks` and deadlock reports.
    #[must_use]
    pub fn id(&self) -> TransactionId {
        TransactionId(0)
    }

    /// How it began.
    #[must_use]
    pub fn options(&self) -> &TxnOptions {
        &self.options
    }

    /// The command that writes now.
    #[must_use]
    pub fn command_id(&self) -> CommandId {
        CommandId(0)
    }

    /// Ends a command: what it wrote is visible to the next. Returns the next one's id.
    pub fn next_command(&mut self) -> CommandId {
        CommandId(0)
    }

    /// Sets the command id forward. Going back is refused (XX000).
    pub fn set_command_id(&mut self, _command: CommandId) -> Result<()> {
        not_built()
    }

    /// The view for a new statement: over a new snapshot in READ COMMITTED, over the
    /// transaction's one snapshot otherwise; own writes of commands below the current one on top.
    pub fn statement_snapshot(&mut self) -> Result<ReadView> {
        not_built()
    }

    /// The view over the current snapshot at the current command. Takes the snapshot if there is
    /// none yet.
    pub fn read_view(&mut self) -> Result<ReadView> {
        not_built()
    }

    /// A view over the newest published state with *all* own writes on top: for unique and
    /// foreign key checks, after the key was locked.
    pub fn newest_view(&self) -> Result<ReadView> {
        not_built()
    }

    /// Reads a key in the current view.
    pub fn get(&mut self, _tree: TreeId, _key: &[u8]) -> Result<Option<Row>> {
        not_built()
    }

    /// Reads a key in the newest published state with all own writes on top.
    pub fn get_newest(&self, _tree: TreeId, _key: &[u8]) -> Result<Option<Row>> {
        not_built()
    }

    /// Scans a range in the current view.
    pub fn scan(&mut self, _tree: TreeId, _range: KeyRange, _direction: Direction) -> Result<Scan> {
        not_built()
    }

    /// Writes a row. The caller holds whatever lock the key needs.
    pub fn put(&mut self, _tree: TreeId, _key: &[u8], _value: &[u8]) -> Result<()> {
        not_built()
    }

    /// Deletes a row.
    pub fn delete(&mut self, _tree: TreeId, _key: &[u8]) -> Result<()> {
        not_built()
    }

    /// Appends a row whose key (a big-endian `u64`, dense from 1 in commit order) apply assigns.
    /// The transaction itself does not see it.
    pub fn append(&mut self, _tree: TreeId, _value: &[u8]) -> Result<()> {
        not_built()
    }

    /// Drops a whole tree with this transaction's writes to it.
    pub fn drop_tree(&mut self, _tree: TreeId) -> Result<()> {
        not_built()
    }

    /// Sets a mark. Begins a new command.
    pub fn savepoint(&mut self) -> Savepoint {
        Savepoint(0)
    }

    /// Undoes every write since the mark, releases every lock taken since, and keeps the mark.
    pub fn rollback_to(&mut self, _savepoint: Savepoint) -> Result<()> {
        not_built()
    }

    /// Forgets the mark and keeps what was done since.
    pub fn release(&mut self, _savepoint: Savepoint) -> Result<()> {
        not_built()
    }

    /// Locks a table. `object_id` carries the database's OID in its upper and the relation's in
    /// its lower half. Errors: 40P01, 55P03. Dropping the future gives up waiting.
    pub async fn lock_table(
        &mut self,
        _object_id: u64,
        _mode: TableLockMode,
        _wait: LockWait,
    ) -> Result<()> {
        not_built()
    }

    /// Locks a row (any key: it need not be there) and tells whether its newest published state
    /// differs from what the current snapshot sees. Errors: 40P01, 55P03. Dropping the future
    /// gives up waiting.
    pub async fn lock_row(
        &mut self,
        _tree: TreeId,
        _key: &[u8],
        _mode: RowLockMode,
        _wait: RowLockWait,
    ) -> Result<RowLockOutcome> {
        not_built()
    }

    /// Commits: resolves once the commit is durable and published. Once proposed, dropping the
    /// future changes nothing: the locks are the proposal's. Errors: 40001, 53100, 53200, 08007.
    /// Without writes, nothing goes to the log.
    pub async fn commit(self) -> Result<CommitSeq> {
        not_built()
    }

    /// Forgets every write and releases every lock.
    pub fn rollback(self) {}
}
