//! Transactions: a private write set over a snapshot, and the locks that it holds.
//!
//! ```text
//! READ COMMITTED          T1                                  T2
//! snapshot 10             reads k: (x, 8)
//!                                                             locks k, writes y, commits as 11
//!                         lock_row(k) waits …  ◄───────────── locks go after the publication
//!                         granted; newest k is (y, 11) > 10
//!                         Changed(y): the caller checks WHERE again (REPEATABLE READ: 40001)
//!                         put(k, z), commit ─► propose ─► published as 12 ─► answer
//! ```
//!
//! **Nothing cancels a proposal.** A transaction that proposes gives its locks to the proposal
//! (see `proposals`): whoever then drops the future of [`Transaction::commit`] loses the answer
//! and nothing else. Until it is known whether the proposal is in the log, its locks are held.
//!
//! Storage takes no lock by itself: who writes a key has locked it. Storage knows no constraint:
//! who needs uniqueness locks the key and looks at the newest published state.

use std::sync::Arc;
use std::time::Duration;

use crate::entry::each_index_entry;
use crate::locks::{
    HeldLocks, LockMark, LockWait, Owner, RowLockMode, RowLockOutcome, RowLockWait, TableLockMode,
};
use crate::serializable::ReadSet;
use crate::snapshot::{Pinned, Snapshot};
use crate::store::Shared;
use crate::write_set::{Mark, NumberedRow, WriteSet};
use crate::{
    CommandId, CommitSeq, Counter, Direction, Key, KeyRange, ReadView, Result, Row, Scan,
    StorageError, TransactionId, TreeId,
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

#[derive(Debug)]
struct SavepointState {
    id: Savepoint,
    mark: Mark,
    locks: LockMark,
}

/// What a serializable transaction keeps: what it read, and its place in the window.
#[derive(Debug)]
struct Serializable {
    shared: Arc<Shared>,
    reads: Arc<ReadSet>,
    opened_at: CommitSeq,
}

impl Drop for Serializable {
    fn drop(&mut self) {
        self.shared.window.close(self.opened_at);
    }
}

/// What statements of a transaction saw at some time.
#[derive(Debug)]
pub struct KeptSnapshot(Option<Arc<Snapshot>>);

/// What a transaction sees of what others have committed, for other transactions to see the same.
#[derive(Clone, Debug)]
pub struct SharedSnapshot(Arc<Snapshot>);

/// A transaction. Dropping it rolls it back.
#[derive(Debug)]
pub struct Transaction {
    shared: Arc<Shared>,
    options: TxnOptions,
    command: CommandId,
    snapshot: Option<Arc<Snapshot>>,
    writes: Arc<WriteSet>,
    has_written: bool,
    /// How often it wrote, and how many bytes of keys and values.
    written: (u64, u64),
    /// How often it wrote to each tree.
    changed: Vec<(TreeId, u64)>,
    savepoints: Vec<SavepointState>,
    next_savepoint: u64,
    serializable: Option<Serializable>,
    locks: HeldLocks,
}

impl Transaction {
    pub(crate) fn begin(shared: Arc<Shared>, options: TxnOptions) -> Self {
        let owner = Owner {
            id: shared.next_transaction_id(),
            process_id: options.process_id,
            deadlock_timeout: options.deadlock_timeout,
        };
        let is_serializable = options.isolation == IsolationLevel::Serializable;
        let serializable = is_serializable.then(|| {
            let opened_at = shared.current.load().seq;
            shared.window.open(opened_at);
            Serializable { shared: shared.clone(), reads: Arc::default(), opened_at }
        });
        let locks =
            HeldLocks::new(shared.locks.clone(), owner, shared.options.row_locks_per_tree_max);
        Self {
            writes: Arc::new(shared.new_write_set()),
            options,
            command: CommandId(0),
            snapshot: None,
            has_written: false,
            written: (0, 0),
            changed: Vec::new(),
            savepoints: Vec::new(),
            next_savepoint: 1,
            serializable,
            locks,
            shared,
        }
    }

    /// Its number, for `pg_locks` and deadlock reports.
    #[must_use]
    pub fn id(&self) -> TransactionId {
        self.locks.owner.id
    }

    /// A number that no other transaction of the store has had or will have, also after a restart.
    #[must_use]
    pub fn number(&self) -> i64 {
        self.shared.number_of(self.id())
    }

    /// How it began.
    #[must_use]
    pub fn options(&self) -> &TxnOptions {
        &self.options
    }

    /// Changes how long it waits for a lock before it looks for a deadlock.
    pub fn set_deadlock_timeout(&mut self, timeout: Duration) {
        self.options.deadlock_timeout = timeout;
        self.locks.owner.deadlock_timeout = timeout;
    }

    /// Changes the isolation level, before the first snapshot (XX000 afterwards).
    pub fn set_isolation(&mut self, isolation: IsolationLevel) -> Result<()> {
        if self.snapshot.is_some() {
            return Err(StorageError::Internal(
                "the isolation level is set before the first snapshot".into(),
            ));
        }
        self.options.isolation = isolation;
        self.serializable = (isolation == IsolationLevel::Serializable).then(|| {
            let opened_at = self.shared.current.load().seq;
            self.shared.window.open(opened_at);
            Serializable { shared: self.shared.clone(), reads: Arc::default(), opened_at }
        });
        Ok(())
    }

    /// Changes whether writes fail with 25006.
    pub fn set_read_only(&mut self, read_only: bool) {
        self.options.read_only = read_only;
    }

    /// Whether a commit would have something to propose.
    #[must_use]
    pub fn has_writes(&self) -> bool {
        self.has_written && !self.writes.is_empty()
    }

    /// How often it has written since it began, and how many bytes of keys and values: what it took
    /// back since is counted too.
    #[must_use]
    pub fn written(&self) -> (u64, u64) {
        self.written
    }

    /// How often it has written to each tree, what it took back since included; counted anew from
    /// here on.
    pub fn take_changed(&mut self) -> Vec<(TreeId, u64)> {
        std::mem::take(&mut self.changed)
    }

    fn count_write(&mut self, tree: TreeId, bytes: usize) {
        self.written.0 += 1;
        self.written.1 += bytes as u64;
        match self.changed.iter_mut().find(|(known, _)| *known == tree) {
            Some((_, writes)) => *writes += 1,
            None => self.changed.push((tree, 1)),
        }
    }

    /// The newest published commit: of a key that this transaction has locked, nothing newer is
    /// there.
    #[must_use]
    pub fn newest_seq(&self) -> CommitSeq {
        self.shared.current.load().seq
    }

    /// The command that writes now.
    #[must_use]
    pub fn command_id(&self) -> CommandId {
        self.command
    }

    /// Ends a command: what it wrote is visible to the next. Returns the next one's id.
    /// Errors: 54000 after four thousand million commands.
    pub fn next_command(&mut self) -> Result<CommandId> {
        self.set_command_id(CommandId(self.command.0.saturating_add(1)))?;
        Ok(self.command)
    }

    /// Sets the command id forward. Going back is refused (XX000).
    pub fn set_command_id(&mut self, command: CommandId) -> Result<()> {
        if command < self.command {
            return Err(StorageError::Internal("command ids only grow".into()));
        }
        if command >= CommandId::ALL {
            return Err(StorageError::LimitExceeded(
                "cannot have more than 2^32-2 commands in a transaction".into(),
            ));
        }
        if command > self.command {
            self.writes.end_load()?;
        }
        self.command = command;
        Ok(())
    }

    fn marks(&self) -> Vec<Mark> {
        self.savepoints.iter().map(|state| state.mark).collect()
    }

    fn snapshot(&mut self) -> Result<Arc<Snapshot>> {
        if let Some(snapshot) = &self.snapshot {
            return Ok(snapshot.clone());
        }
        let snapshot = Arc::new(self.shared.take_snapshot()?);
        self.snapshot = Some(snapshot.clone());
        Ok(snapshot)
    }

    fn view_of(&self, snapshot: Arc<Snapshot>, command: CommandId) -> ReadView {
        let writes = self.has_written.then(|| self.writes.clone());
        let reads = self.serializable.as_ref();
        let reads = reads.map(|serializable| serializable.reads.clone());
        ReadView::new(snapshot, command, writes, reads)
    }

    /// The view for a new statement: over a new snapshot in READ COMMITTED, over the
    /// transaction's one snapshot otherwise; own writes of commands below the current one on top.
    pub fn statement_snapshot(&mut self) -> Result<ReadView> {
        if self.options.isolation == IsolationLevel::ReadCommitted {
            self.snapshot = None;
        }
        self.read_view()
    }

    /// The snapshot that statements see now, to be [put back](Self::restore_snapshot).
    #[must_use]
    pub fn keep_snapshot(&self) -> KeptSnapshot {
        KeptSnapshot(self.snapshot.clone())
    }

    /// Holds no snapshot until the next statement: whoever reads has views of their own.
    pub fn forget_snapshot(&mut self) {
        if self.options.isolation == IsolationLevel::ReadCommitted {
            self.snapshot = None;
        }
    }

    /// Sees again what was seen then: a statement goes on that others have run within.
    pub fn restore_snapshot(&mut self, kept: KeptSnapshot) {
        self.snapshot = kept.0;
    }

    /// The current snapshot, for others. Takes it if there is none yet. What the transaction itself
    /// has written is no part of it.
    pub fn share_snapshot(&mut self) -> Result<SharedSnapshot> {
        self.snapshot().map(SharedSnapshot)
    }

    /// Sees what another transaction sees, instead of taking a snapshot. Refused (XX000) once there
    /// is one, and wherever it would not be kept or proved: in READ COMMITTED, which takes one for
    /// every statement, and in SERIALIZABLE, which watches from its own beginning on.
    pub fn adopt_snapshot(&mut self, shared: SharedSnapshot) -> Result<()> {
        if self.snapshot.is_some() || self.options.isolation != IsolationLevel::RepeatableRead {
            return Err(StorageError::Internal(
                "a snapshot is adopted before the first, in REPEATABLE READ".into(),
            ));
        }
        self.snapshot = Some(shared.0);
        Ok(())
    }

    /// The view over the current snapshot at the current command. Takes the snapshot if there is
    /// none yet.
    pub fn read_view(&mut self) -> Result<ReadView> {
        let snapshot = self.snapshot()?;
        Ok(self.view_of(snapshot, self.command))
    }

    /// A view over the newest published state with *all* own writes on top: for unique and
    /// foreign key checks, after the key was locked.
    pub fn newest_view(&self) -> Result<ReadView> {
        let snapshot = Arc::new(self.shared.take_snapshot()?);
        Ok(self.view_of(snapshot, CommandId::ALL))
    }

    /// Reads a key in the current view.
    pub fn get(&mut self, tree: TreeId, key: &[u8]) -> Result<Option<Row>> {
        let snapshot = self.snapshot()?;
        if let Some(serializable) = &self.serializable {
            serializable.reads.note_key(tree, key);
        }
        if self.has_written
            && let Some(found) = self.writes.get(tree, key, self.command)?
        {
            return Ok(found);
        }
        snapshot.get(tree, key)
    }

    /// Reads a key in the newest published state with all own writes on top.
    pub fn get_newest(&self, tree: TreeId, key: &[u8]) -> Result<Option<Row>> {
        if let Some(serializable) = &self.serializable {
            serializable.reads.note_key(tree, key);
        }
        if self.has_written
            && let Some(found) = self.writes.get(tree, key, CommandId::ALL)?
        {
            return Ok(found);
        }
        Pinned::take(&self.shared.current, &self.shared.registry)?.published.get(tree, key)
    }

    /// Whether the transaction itself has written or deleted a key.
    pub fn has_changed(&self, tree: TreeId, key: &[u8]) -> Result<bool> {
        Ok(self.has_written && self.writes.get(tree, key, CommandId::ALL)?.is_some())
    }

    /// Scans a range in the current view.
    pub fn scan(&mut self, tree: TreeId, range: KeyRange, direction: Direction) -> Result<Scan> {
        self.read_view()?.scan(tree, range, direction)
    }

    fn check_can_write(&mut self) -> Result<()> {
        if self.options.read_only {
            return Err(StorageError::ReadOnly);
        }
        self.shared.check_can_write()?;
        self.has_written = true;
        Ok(())
    }

    fn write(&mut self, tree: TreeId, key: &[u8], value: Option<&[u8]>) -> Result<()> {
        self.check_can_write()?;
        self.count_write(tree, key.len() + value.map_or(0, <[u8]>::len));
        self.writes.put(tree, key, value, self.command, &self.marks())?;
        self.spill_if_large()
    }

    /// Spills a write set that has become large, or whose share of a scarce budget has.
    fn spill_if_large(&self) -> Result<()> {
        let bytes = self.writes.bytes() as u64;
        let options = &self.shared.options;
        let is_scarce = self.shared.write_set_bytes() > options.memory.write_set_bytes;
        let bytes_max = if is_scarce { options.spill_bytes / 16 } else { options.spill_bytes };
        if bytes > bytes_max {
            crate::at_length(|| self.writes.shed(bytes_max as usize))?;
        }
        Ok(())
    }

    /// Writes a row. The caller holds whatever lock the key needs. Errors: 25006, 53100, 54000.
    pub fn put(&mut self, tree: TreeId, key: &[u8], value: &[u8]) -> Result<()> {
        self.write(tree, key, Some(value))
    }

    /// Writes a row whose key the caller has locked and found to be nowhere in the newest state, its
    /// own writes included. Many of them in one command cost less than as many [`Self::put`].
    /// Errors: 25006, 53100, 54000.
    pub fn put_new(&mut self, tree: TreeId, key: &[u8], value: &[u8]) -> Result<()> {
        self.check_can_write()?;
        self.count_write(tree, key.len() + value.len());
        self.writes.put_new(tree, key, value, self.command, &self.marks())?;
        self.spill_if_large()
    }

    /// Deletes a row. Errors: 25006, 53100.
    pub fn delete(&mut self, tree: TreeId, key: &[u8]) -> Result<()> {
        self.write(tree, key, None)
    }

    /// Appends a row whose number apply assigns. The transaction itself does not see it.
    /// Errors: 25006, 53100, 54000.
    pub fn append(&mut self, row: NumberedRow) -> Result<()> {
        self.check_can_write()?;
        self.count_write(row.tree, row.key_prefix.len() + row.value.len());
        self.writes.append(row, self.command)
    }

    /// The number that the next row appended to a counter will have, if no other transaction appends
    /// to it before this one commits: the caller sees to that with a lock.
    pub fn next_number(&self, counter: Counter, first: u64) -> Result<u64> {
        Ok(self.first_waiting(counter, first)? + self.waiting_for(counter))
    }

    /// The number of the first row that waits for one of a counter's, likewise.
    fn first_waiting(&self, counter: Counter, first: u64) -> Result<u64> {
        if let Some((next, _)) = self.numbered(counter) {
            return Ok(next);
        }
        let current = Pinned::take(&self.shared.current, &self.shared.registry)?;
        let stored = current.published.get(TreeId::STORAGE, &counter.key())?;
        stored.map_or(Ok(first), |row| crate::apply::decode_counter(&row.value))
    }

    fn numbered(&self, counter: Counter) -> Option<(u64, u64)> {
        if self.has_written { self.writes.numbered(counter) } else { None }
    }

    /// How many own rows wait for numbers of a counter.
    fn waiting_for(&self, counter: Counter) -> u64 {
        if self.has_written { self.writes.waiting_for(counter) } else { 0 }
    }

    /// How many rows the transaction has appended to a counter.
    #[must_use]
    pub fn appended_to(&self, counter: Counter) -> u64 {
        self.waiting_for(counter) + self.numbered(counter).map_or(0, |(_, count)| count)
    }

    /// Whether rows that wait for numbers take so much memory that they should be
    /// [numbered now](Self::number_now). Not while there are savepoints to roll back to.
    #[must_use]
    pub fn should_number_now(&self) -> bool {
        self.savepoints.is_empty()
            && self.writes.append_bytes() as u64 > self.shared.options.spill_bytes
    }

    /// Gives the rows that wait for numbers of a counter their numbers before the commit, so that
    /// memory need not hold them: no other transaction appends to the counter before this one ends; the
    /// caller has seen to that with a lock. Later commands of the transaction see them. Errors: 53100,
    /// 54000.
    pub fn number_now(&mut self, counter: Counter, first: u64) -> Result<()> {
        let (mut number, count) = (self.first_waiting(counter, first)?, self.waiting_for(counter));
        let now_us = self.newest_view()?.time_us();
        for row in self.writes.take_appends(counter, number + count) {
            let append = row.operation();
            let (key, value) = append.numbered(number, now_us);
            self.writes.put_new(row.tree, &key, &value, self.command, &self.marks())?;
            let mut entries: Vec<(TreeId, Vec<u8>)> = Vec::new();
            each_index_entry(append.entries, |tree, prefix| {
                entries.push((tree, [prefix, key.as_slice()].concat()));
            })?;
            for (tree, entry) in entries {
                self.writes.put_new(tree, &entry, &[], self.command, &self.marks())?;
            }
            self.spill_if_large()?;
            number += 1;
        }
        Ok(())
    }

    /// The numbers that own rows will have which go into an index under a prefix; the caller sees to
    /// it that no other transaction appends to their counter.
    pub fn waiting_numbers(
        &self,
        counter: Counter,
        first: u64,
        index: TreeId,
        prefix: &[u8],
    ) -> Result<Vec<u64>> {
        if !self.has_written {
            return Ok(Vec::new());
        }
        let places = self.writes.waiting_places(counter, index, prefix)?;
        let next = self.first_waiting(counter, first)?;
        Ok(places.into_iter().map(|place| next + place).collect())
    }

    /// Drops a whole tree with this transaction's writes to it. Errors: 25006.
    pub fn drop_tree(&mut self, tree: TreeId) -> Result<()> {
        self.check_can_write()?;
        self.writes.drop_tree(tree, self.command);
        Ok(())
    }

    /// Sets a mark. Begins a new command. Errors: 54000.
    pub fn savepoint(&mut self) -> Result<Savepoint> {
        self.next_command()?;
        let id = Savepoint(self.next_savepoint);
        self.next_savepoint += 1;
        self.savepoints.push(SavepointState {
            id,
            mark: self.writes.mark(self.command),
            locks: self.locks.mark(),
        });
        Ok(id)
    }

    fn position(&self, savepoint: Savepoint) -> Result<usize> {
        self.savepoints
            .iter()
            .position(|state| state.id == savepoint)
            .ok_or_else(|| StorageError::Internal("no such savepoint".into()))
    }

    /// Undoes every write since the mark, releases every lock taken since, and keeps the mark.
    /// Begins a new command.
    pub fn rollback_to(&mut self, savepoint: Savepoint) -> Result<()> {
        let at = self.position(savepoint)?;
        self.next_command()?;
        self.savepoints.truncate(at + 1);
        let state = &self.savepoints[at];
        self.writes.rollback_to(state.mark, self.command);
        self.locks.rollback_to(state.locks);
        // What is written from here on can be undone to the same mark: its command is the
        // mark's or a later one still.
        Ok(())
    }

    /// Forgets the mark and keeps what was done since.
    pub fn release(&mut self, savepoint: Savepoint) -> Result<()> {
        let at = self.position(savepoint)?;
        self.savepoints.truncate(at);
        if self.savepoints.is_empty() {
            self.writes.forget_journal();
        }
        Ok(())
    }

    /// Locks a table. `object_id` carries the database's OID in its upper and the relation's in
    /// its lower half. Errors: 40P01, 55P03. Dropping the future gives up waiting.
    pub async fn lock_table(
        &mut self,
        object_id: u64,
        mode: TableLockMode,
        wait: LockWait,
    ) -> Result<()> {
        self.locks.lock_table(object_id, mode, wait).await
    }

    /// Locks a row (any key: it need not be there) and tells whether its newest published state
    /// differs from what the current snapshot sees. Errors: 40P01, 53200, 55P03. Dropping the
    /// future gives up waiting.
    pub async fn lock_row(
        &mut self,
        tree: TreeId,
        key: &[u8],
        mode: RowLockMode,
        wait: RowLockWait,
    ) -> Result<RowLockOutcome> {
        let snapshot = self.snapshot()?;
        if !self.locks.lock_row(tree, key, mode, wait).await? {
            return Ok(RowLockOutcome::Skipped);
        }
        let own = CommandId::ALL;
        if self.has_written && self.writes.get(tree, key, own)?.is_some() {
            return Ok(RowLockOutcome::Unchanged);
        }
        // After the grant: whoever held the lock has published.
        let newest = Pinned::take(&self.shared.current, &self.shared.registry)?;
        if newest.published.seq == snapshot.seq() {
            return Ok(RowLockOutcome::Unchanged);
        }
        let row = newest.published.get(tree, key)?;
        let unchanged = match &row {
            Some(row) => row.seq <= snapshot.seq(),
            None => snapshot.get(tree, key)?.is_none(),
        };
        Ok(if unchanged { RowLockOutcome::Unchanged } else { RowLockOutcome::Changed(row) })
    }

    /// Whether a serializable transaction has read a key, or a range that holds it.
    #[must_use]
    pub fn has_read(&self, tree: TreeId, key: &[u8]) -> bool {
        let serializable = self.serializable.as_ref();
        serializable.is_some_and(|serializable| serializable.reads.covers(tree, &Key::new(key)))
    }

    /// Whether a commit of writes must fail by now, as others have committed writes of what this
    /// transaction read: there is no need to go on then. Errors: 40001.
    pub fn check_serializable(&self) -> Result<()> {
        match (&self.serializable, &self.snapshot) {
            (Some(serializable), Some(snapshot)) => {
                self.shared.window.check(&serializable.reads, snapshot.seq())
            }
            _ => Ok(()),
        }
    }

    /// Commits: resolves once the commit is durable and published. Once proposed, dropping the
    /// future changes nothing: the locks are the proposal's. Errors: 40000, 40001, 53100, 53200,
    /// 08007. Without writes, nothing goes to the log.
    pub async fn commit(self) -> Result<CommitSeq> {
        let Self { shared, snapshot, writes, has_written, serializable, locks, .. } = self;
        let seen = snapshot.as_ref().map(|snapshot| snapshot.seq());
        if !has_written || writes.is_empty() {
            return Ok(seen.unwrap_or_else(|| shared.current.load().seq));
        }
        let reads = serializable.as_ref().map(|serializable| {
            let seen = seen.unwrap_or(serializable.opened_at);
            (serializable.reads.clone(), seen)
        });
        drop(snapshot);
        crate::at_length_over(writes.bytes() as u64, || writes.end_load())?;
        let answer = shared.commit(writes, reads, locks).await;
        drop(serializable);
        answer
    }

    /// Forgets every write and releases every lock.
    pub fn rollback(self) {}
}
