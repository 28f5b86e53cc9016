//! Writing one row: its value, its index entries, and the checks that go with them.

use aegis_storage::{Counter, NumberedRow, Row, RowLockMode, RowLockOutcome};
use aegis_types::{Datum, SqlError, SqlResult, SqlState};

use super::pending::{Pending, What};
use super::table::{EntryKey, IndexAccess, KEY, TableAccess};
use super::{Changes, serialization_failure};
use crate::engine::{RowHook, TableChange};
use crate::row::EPOCH_US;

/// What became of a row that was to be inserted.
#[derive(Debug)]
pub enum InsertOutcome {
    /// It is in the table, under this row key.
    Inserted(Vec<u8>),
    /// One of the arbiter indexes holds its key already: the row key of the row in the way.
    Conflict(Vec<u8>),
}

/// A row as it is in the table.
#[derive(Clone, Debug)]
pub struct OldRow {
    /// Its row key.
    pub key: Vec<u8>,
    /// A datum for every column ever added.
    pub values: Vec<Datum>,
}

impl Changes<'_> {
    /// Inserts a row (a datum for every column ever added). With `arbiters`, a conflict in one of
    /// those indexes is reported instead of raised.
    ///
    /// # Errors
    /// 23502, 23503, 23505, 23514, and what waiting for locks raises.
    pub async fn insert_row(
        &mut self,
        table: &TableAccess,
        row: &mut [Datum],
        arbiters: Option<&[aegis_types::Oid]>,
    ) -> SqlResult<InsertOutcome> {
        // Other sessions have their turn after some rows.
        tokio::task::coop::consume_budget().await;
        if let Some(hook) = self.hook(table)
            && hook.insert(self, table, row).await?
        {
            // Nobody looks for what would be in its way.
            if arbiters.is_some() {
                let what = format_args!("ON CONFLICT for \"{}\"", table.relation.name);
                return Err(SqlError::unsupported(what));
            }
            return Ok(InsertOutcome::Inserted(Vec::new()));
        }
        self.check_row(table, row).await?;
        let row_key = self.new_row_key(table, row)?;
        let evaluation = self.evaluation();
        let entries: Vec<Option<EntryKey>> = table
            .indexes
            .iter()
            .map(|index| index.encode_key(row, &row_key, &evaluation))
            .collect::<SqlResult<_>>()?;
        let is_arbiter = |oid| arbiters.is_some_and(|arbiters| arbiters.contains(&oid));
        // A conflict in an arbiter counts before one that is an error.
        for arbiter in [true, false] {
            for (index, entry) in table.indexes.iter().zip(&entries) {
                let Some(entry) = entry.as_ref().filter(|_| is_arbiter(index.oid) == arbiter)
                else {
                    continue;
                };
                let Some(holder) = self.lock_unique(table, index, entry, &row_key).await? else {
                    continue;
                };
                if table.layout.expires() && self.remove_expired(table, &holder).await? {
                    continue;
                }
                if arbiter {
                    return Ok(InsertOutcome::Conflict(holder));
                }
                return Err(self.unique_violation(table, index, row)?);
            }
        }
        if let Some(hook) = self.hook(table) {
            hook.before(self, table, None, row)?;
        }
        let mut value = Vec::with_capacity(64);
        table.layout.encode(row, &mut value)?;
        self.txn.put_new(table.tree, &row_key, &value)?;
        for (index, entry) in table.indexes.iter().zip(&entries) {
            if let Some(entry) = entry.as_ref().filter(|_| !index.is_row_key) {
                self.txn.put_new(index.tree, &entry.bytes, entry.value(&row_key))?;
            }
        }
        self.check_references(table, &row_key, row, None).await?;
        if let Some(hook) = self.hook(table) {
            hook.after(self, table, None, Some(row)).await?;
        }
        self.tell(table, TableChange::Insert(row)).await?;
        Ok(InsertOutcome::Inserted(row_key))
    }

    /// Removes a row that is not there any more, whose key is locked; false if it is.
    async fn remove_expired(&mut self, table: &TableAccess, key: &[u8]) -> SqlResult<bool> {
        let Some(stored) = self.txn.get_newest(table.tree, key)? else { return Ok(true) };
        if table.layout.is_there(&stored.value, self.context.view.time_us())? {
            return Ok(false);
        }
        let old = OldRow { key: key.to_vec(), values: table.layout.decode(&stored.value)? };
        self.delete_row(table, &old).await?;
        Ok(true)
    }

    /// Tells whoever captures a table.
    pub(crate) async fn tell(
        &mut self,
        table: &TableAccess,
        change: TableChange<'_>,
    ) -> SqlResult<()> {
        let body = table.relation.as_table();
        for (engine, object) in body.map(|body| body.captured_by.as_slice()).unwrap_or_default() {
            if let Some(engine) = crate::engine::named(engine) {
                engine.capture(self, *object, table, change).await?;
            }
        }
        Ok(())
    }

    fn hook(&self, table: &TableAccess) -> Option<&'static dyn RowHook> {
        if self.asks_engines { table.hook() } else { None }
    }

    /// Locks the row with this key, or the place where it would be, and reads it as it is now.
    ///
    /// # Errors
    /// 40001 where the transaction sees another row than there is by now, and what waiting raises.
    pub async fn lock_newest(
        &mut self,
        table: &TableAccess,
        key: &[u8],
    ) -> SqlResult<Option<OldRow>> {
        let wait = self.row_lock_wait();
        let cancel = &self.context.cancel;
        let lock = self.txn.lock_row(table.tree, key, RowLockMode::ForUpdate, wait);
        if let RowLockOutcome::Changed(newest) = cancel.wait(lock).await?
            && !self.rechecks()
        {
            return Err(serialization_failure(if newest.is_some() { "update" } else { "delete" }));
        }
        self.newest(table, key)
    }

    /// A row as it is now, own writes included, if it is there.
    ///
    /// # Errors
    /// What reading raises.
    pub fn newest(&self, table: &TableAccess, key: &[u8]) -> SqlResult<Option<OldRow>> {
        let Some(row) = self.txn.get_newest(table.tree, key)? else { return Ok(None) };
        if !table.layout.is_there(&row.value, self.context.view.time_us())? {
            return Ok(None);
        }
        Ok(Some(OldRow { key: key.to_vec(), values: table.layout.decode(&row.value)? }))
    }

    /// Adds a row whose last key column is its number: dense, in the order of commits, known once the
    /// transaction has committed. `part` tells which counter of the table's numbers it, `time` which
    /// column takes the time of the commit. No constraint is checked.
    ///
    /// # Errors
    /// What encoding and storage raise.
    pub fn append_row(
        &mut self,
        table: &TableAccess,
        row: &mut [Datum],
        counter: Counter,
        first: u64,
        time: Option<usize>,
    ) -> SqlResult<()> {
        let number = *table.row_key.last().ok_or_else(|| no_place(table))?;
        row[number] = Datum::Int8(0);
        if let Some(time) = time {
            row[time] = Datum::Timestamptz(0);
        }
        let place = |column: usize| {
            let place = table.layout.place_of(column).and_then(|at| u32::try_from(at).ok());
            place.ok_or_else(|| no_place(table))
        };
        let mut key = Vec::with_capacity(24);
        table.encode_row_key(row, &mut key)?;
        key.truncate(key.len() - size_of::<i64>());
        let mut value = Vec::with_capacity(64);
        table.layout.encode(row, &mut value)?;
        let mut numbered = NumberedRow::new(table.tree, counter, first, key, value, place(number)?);
        numbered.time = time.map(|at| Ok::<_, SqlError>((place(at)?, EPOCH_US))).transpose()?;
        let evaluation = self.evaluation();
        for index in table.indexes.iter().filter(|index| !index.is_row_key) {
            if let Some(entry) = index.encode_key(row, &[], &evaluation)? {
                numbered.index(index.tree, &entry.bytes);
            }
        }
        self.txn.append(numbered)?;
        Ok(())
    }

    /// Puts a row in another's place. The caller holds the old row's lock.
    ///
    /// # Errors
    /// As [`Changes::insert_row`], and 23503 if other rows reference the old values.
    pub async fn update_row(
        &mut self,
        table: &TableAccess,
        old: &OldRow,
        row: &mut [Datum],
    ) -> SqlResult<()> {
        if let Some(hook) = self.hook(table) {
            hook.before(self, table, Some(old), row)?;
        }
        self.check_row(table, row).await?;
        let mut row_key = Vec::with_capacity(old.key.len());
        if table.row_key.is_empty() {
            row_key.extend_from_slice(&old.key);
        } else {
            table.encode_row_key(row, &mut row_key)?;
        }
        let moved = row_key != old.key;
        let mut writes = Vec::new();
        for index in &table.indexes {
            let evaluation = self.evaluation();
            let before = index.encode_key(&old.values, &old.key, &evaluation)?;
            let after = index.encode_key(row, &row_key, &evaluation)?;
            if before == after && !moved {
                continue;
            }
            let bytes = |entry: &Option<EntryKey>| entry.as_ref().map(|entry| entry.bytes.clone());
            let same = bytes(&before) == bytes(&after);
            if let Some(after) = after.as_ref().filter(|_| !same)
                && self.lock_unique(table, index, after, &row_key).await?.is_some()
            {
                return Err(self.unique_violation(table, index, row)?);
            }
            if let Some(key) = before.as_ref().and_then(EntryKey::guarded).filter(|_| !same)
                && !index.is_row_key
            {
                self.lock_entry(index, key).await?;
            }
            writes.push((index, before, after));
        }
        for (index, before, _) in &writes {
            if let Some(before) = before.as_ref().filter(|_| !index.is_row_key) {
                self.txn.delete(index.tree, &before.bytes)?;
            }
        }
        if moved {
            self.txn.delete(table.tree, &old.key)?;
        }
        let mut value = Vec::with_capacity(64);
        table.layout.encode(row, &mut value)?;
        self.txn.put(table.tree, &row_key, &value)?;
        for (index, _, after) in &writes {
            if let Some(after) = after {
                self.put_entry(index, after, &row_key)?;
            }
        }
        self.check_references(table, &row_key, row, Some(old)).await?;
        self.referenced_row_changed(table, &old.values, Some(row)).await?;
        if let Some(hook) = self.hook(table) {
            hook.after(self, table, Some(old), Some(row)).await?;
        }
        self.tell(table, TableChange::Update(old, row)).await
    }

    /// Deletes a row. The caller holds its lock.
    ///
    /// # Errors
    /// 23503 if other rows reference it, and what cascades raise.
    pub async fn delete_row(&mut self, table: &TableAccess, old: &OldRow) -> SqlResult<()> {
        for index in &table.indexes {
            if index.is_row_key {
                continue;
            }
            let entry = index.encode_key(&old.values, &old.key, &self.evaluation())?;
            let Some(entry) = entry else { continue };
            if let Some(key) = entry.guarded() {
                self.lock_entry(index, key).await?;
            }
            self.txn.delete(index.tree, &entry.bytes)?;
        }
        self.txn.delete(table.tree, &old.key)?;
        self.referenced_row_changed(table, &old.values, None).await?;
        if let Some(hook) = self.hook(table) {
            hook.after(self, table, Some(old), None).await?;
        }
        self.tell(table, TableChange::Delete(old)).await
    }

    fn new_row_key(&mut self, table: &TableAccess, row: &[Datum]) -> SqlResult<Vec<u8>> {
        if table.row_key.is_empty() {
            let id = self.row_ids.next(table.tree, &self.txn)?;
            return Ok(id.to_be_bytes().to_vec());
        }
        let mut row_key = Vec::with_capacity(16);
        table.encode_row_key(row, &mut row_key)?;
        Ok(row_key)
    }

    fn put_entry(
        &mut self,
        index: &IndexAccess,
        entry: &EntryKey,
        row_key: &[u8],
    ) -> SqlResult<()> {
        if !index.is_row_key {
            self.txn.put(index.tree, &entry.bytes, entry.value(row_key))?;
        }
        Ok(())
    }

    async fn lock_entry(&mut self, index: &IndexAccess, key: &[u8]) -> SqlResult<()> {
        let wait = self.row_lock_wait();
        let cancel = &self.context.cancel;
        cancel.wait(self.txn.lock_row(index.tree, key, RowLockMode::ForUpdate, wait)).await?;
        Ok(())
    }

    /// Locks a key of a unique index and gives the row key of the row that holds it, if one does in
    /// the newest published state or among the transaction's own writes. Where others may hold it
    /// for a while, it is noted that somebody has to look.
    async fn lock_unique(
        &mut self,
        table: &TableAccess,
        index: &IndexAccess,
        entry: &EntryKey,
        row_key: &[u8],
    ) -> SqlResult<Option<Vec<u8>>> {
        let Some(key) = entry.guarded() else {
            return Ok(None);
        };
        self.lock_entry(index, key).await?;
        if let Some((constraint, deferral)) = index.deferrable {
            if index.is_taken(entry, &self.txn)? {
                self.pending.push(Pending {
                    constraint,
                    holder: table.relation.oid,
                    deferral,
                    what: What::Unique {
                        index: index.oid,
                        entry: entry.bytes.clone(),
                        key_len: key.len(),
                        row_key: row_key.to_vec(),
                    },
                });
            }
            return Ok(None);
        }
        // What a serializable transaction has seen to be missing is no duplicate but a conflict.
        if self.txn.has_read(index.tree, &entry.bytes) {
            self.txn.check_serializable()?;
        }
        let found = self.txn.get_newest(index.tree, &entry.bytes)?;
        Ok(found.map(|row| if index.is_row_key { entry.bytes.clone() } else { row.value.to_vec() }))
    }

    pub(super) fn unique_violation(
        &self,
        table: &TableAccess,
        index: &IndexAccess,
        row: &[Datum],
    ) -> SqlResult<SqlError> {
        let detail = table.index_key_detail(index, row, self.context)?;
        let error = SqlError::new(
            SqlState::UniqueViolation,
            format!("duplicate key value violates unique constraint \"{}\"", index.name),
        );
        let error = match detail.as_str() {
            KEY => error,
            detail => error.detail(format!("{detail} already exists.")),
        };
        Ok(error.table(&table.schema_name, &table.relation.name).constraint(&index.name))
    }

    /// Locks a row that the statement's view shows, and reads it.
    ///
    /// # Errors
    /// 40001 in REPEATABLE READ if it changed since the snapshot.
    pub(super) async fn lock_for_change(
        &mut self,
        table: &TableAccess,
        key: &[u8],
        mode: RowLockMode,
    ) -> SqlResult<LockedRow> {
        // Other sessions have their turn after some rows.
        tokio::task::coop::consume_budget().await;
        let wait = self.row_lock_wait();
        let cancel = &self.context.cancel;
        match cancel.wait(self.txn.lock_row(table.tree, key, mode, wait)).await? {
            RowLockOutcome::Unchanged => {
                let found = self.context.view.get(table.tree, key)?;
                Ok(match found {
                    Some(row) => LockedRow::Unchanged(OldRow {
                        key: key.to_vec(),
                        values: table.layout.decode(&row.value)?,
                    }),
                    None => LockedRow::Gone,
                })
            }
            RowLockOutcome::Changed(newest) if !self.rechecks() => {
                let what = if newest.is_some() { "update" } else { "delete" };
                Err(serialization_failure(what))
            }
            RowLockOutcome::Changed(None) => Ok(LockedRow::Gone),
            RowLockOutcome::Changed(Some(row)) => Ok(LockedRow::Changed(key.to_vec(), row)),
            RowLockOutcome::Skipped => Err(SqlError::internal("a waiting lock was skipped")),
        }
    }
}

/// A row that cannot be numbered.
fn no_place(table: &TableAccess) -> SqlError {
    SqlError::internal(format!("rows of \"{}\" have no place for a number", table.relation.name))
}

/// A row that was locked to be changed.
pub(super) enum LockedRow {
    /// As the statement's view shows it.
    Unchanged(OldRow),
    /// Another transaction changed it since: the condition is to be checked again.
    /// Its key, and what it is now.
    Changed(Vec<u8>, Row),
    /// Deleted since, or by this very statement.
    Gone,
}
