//! Keys that are looked at later than the row that they are of: when its statement ends, when the
//! transaction commits, or when SET CONSTRAINTS says so.
//!
//! ```text
//! row written ──► pending ── end of statement ──┬─ immediate ──► looked at
//!                                               └─ deferred ───► queue ── COMMIT, SET CONSTRAINTS ──► looked at
//! ```
//!
//! What waits names a row and a constraint, not what is wrong: that is asked when it is looked at.
//! So equal checks are one. A savepoint that is rolled back brings back what was looked at since. Only
//! what looked wrong when it was written waits at all: a child whose parent is there locks it, a key
//! that is free is locked.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;

use aegis_catalog::Deferral;
use aegis_types::{Datum, Oid, SqlError, SqlResult, SqlState};
use parking_lot::Mutex;

use super::Changes;
use super::table::TableAccess;

/// Something to be looked at.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    /// The constraint.
    pub(super) constraint: Oid,
    /// The table that has it.
    pub(super) holder: Oid,
    /// When it is looked at, unless SET CONSTRAINTS has said.
    pub(super) deferral: Deferral,
    /// What is looked at.
    pub(super) what: What,
}

/// What is looked at.
#[derive(Clone, Debug)]
pub(super) enum What {
    /// A child row whose parent was not there.
    Child {
        /// Its row key.
        row_key: Vec<u8>,
    },
    /// A parent row whose key is gone.
    Parent {
        /// The parent table.
        parent: Oid,
        /// The old values of the referenced columns.
        old: Vec<Datum>,
        /// The new ones, for `ON UPDATE`.
        new: Option<Vec<Datum>>,
    },
    /// A row with the key of another.
    Unique {
        /// The index.
        index: Oid,
        /// The row's entry.
        entry: Vec<u8>,
        /// How many bytes of the entry are the key.
        key_len: usize,
        /// Its row key.
        row_key: Vec<u8>,
    },
}

impl Pending {
    /// The table whose change it follows from.
    fn changed(&self) -> Oid {
        match &self.what {
            What::Parent { parent, .. } => *parent,
            What::Child { .. } | What::Unique { .. } => self.holder,
        }
    }

    /// What two checks have in common that ask the same.
    fn identity(&self) -> (Oid, Vec<u8>) {
        let bytes = match &self.what {
            What::Child { row_key } => [b"c".as_slice(), row_key].concat(),
            What::Parent { old, .. } => format!("p{old:?}").into_bytes(),
            What::Unique { entry, .. } => [b"u".as_slice(), entry].concat(),
        };
        (self.constraint, bytes)
    }
}

/// The checks that a statement under way has yet to make.
#[derive(Default)]
pub struct PendingChecks {
    /// What follows from parents that are gone: it comes first, as it may give a child its parent.
    parents: VecDeque<Pending>,
    rows: VecDeque<Pending>,
}

impl PendingChecks {
    pub(super) fn push(&mut self, pending: Pending) {
        match pending.what {
            What::Parent { .. } => self.parents.push_back(pending),
            What::Child { .. } | What::Unique { .. } => self.rows.push_back(pending),
        }
    }

    fn pop(&mut self) -> Option<Pending> {
        self.parents.pop_front().or_else(|| self.rows.pop_front())
    }
}

/// The checks that a transaction has put off, and which it puts off.
#[derive(Default)]
pub struct DeferredChecks(Mutex<State>);

#[derive(Default)]
struct State {
    modes: DeferredModes,
    queue: Vec<Queued>,
    /// Of those that wait.
    known: HashSet<(Oid, Vec<u8>)>,
    /// The places of those that were looked at while a savepoint was set, in that order.
    looked_at: Vec<usize>,
    bytes: usize,
}

struct Queued {
    pending: Pending,
    waits: bool,
}

impl Queued {
    /// About how many bytes it takes.
    fn bytes(&self) -> usize {
        4 * self.pending.identity().1.len() + 256
    }
}

/// What was put off when a savepoint was set.
#[derive(Clone, Debug)]
pub struct DeferredMark {
    modes: DeferredModes,
    queued: usize,
    looked_at: usize,
}

/// What SET CONSTRAINTS has said in a transaction.
#[derive(Clone, Debug, Default)]
struct DeferredModes {
    /// Of all constraints; none for as they were declared.
    all: Option<bool>,
    /// Of those named since.
    each: BTreeMap<Oid, bool>,
}

impl DeferredModes {
    fn defers(&self, pending: &Pending) -> bool {
        pending.deferral.is_deferrable() && {
            let said = self.each.get(&pending.constraint).copied().or(self.all);
            said.unwrap_or_else(|| pending.deferral.is_initially_deferred())
        }
    }
}

impl DeferredChecks {
    /// What is put off now.
    #[must_use]
    pub fn mark(&self) -> DeferredMark {
        let state = self.0.lock();
        let (queued, looked_at) = (state.queue.len(), state.looked_at.len());
        DeferredMark { modes: state.modes.clone(), queued, looked_at }
    }

    /// Goes back to what was put off when a mark was taken.
    pub fn roll_back_to(&self, mark: &DeferredMark) {
        let mut guard = self.0.lock();
        let state = &mut *guard;
        state.modes = mark.modes.clone();
        for at in state.looked_at.drain(mark.looked_at.min(state.looked_at.len())..) {
            if let Some(queued) = state.queue.get_mut(at) {
                queued.waits = true;
            }
        }
        state.queue.truncate(mark.queued);
        state.count();
    }

    /// `SET CONSTRAINTS ALL`
    pub fn set_all(&self, deferred: bool) {
        self.0.lock().modes = DeferredModes { all: Some(deferred), each: BTreeMap::new() };
    }

    /// `SET CONSTRAINTS` of one constraint.
    pub fn set(&self, constraint: Oid, deferred: bool) {
        self.0.lock().modes.each.insert(constraint, deferred);
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.0.lock().queue.iter().any(|queued| queued.waits)
    }

    /// Whether something waits that follows from a change of this table.
    #[must_use]
    pub fn is_about(&self, table: Oid) -> bool {
        let state = self.0.lock();
        state.queue.iter().any(|queued| queued.waits && queued.pending.changed() == table)
    }

    /// Queues a check that is to wait, once for equal ones; gives back one that is not.
    ///
    /// # Errors
    /// 53200 beyond `memory_bytes`.
    fn put_off(&self, pending: Pending, memory_bytes: usize) -> SqlResult<Option<Pending>> {
        let mut state = self.0.lock();
        if !state.modes.defers(&pending) {
            return Ok(Some(pending));
        }
        if !state.known.insert(pending.identity()) {
            return Ok(None);
        }
        let queued = Queued { pending, waits: true };
        state.bytes += queued.bytes();
        if state.bytes > memory_bytes {
            return Err(SqlError::new(SqlState::OutOfMemory, "out of memory")
                .detail("Too many checks of deferred constraints wait for the commit."));
        }
        state.queue.push(queued);
        Ok(None)
    }

    /// What is to be looked at: everything at a commit, else what no longer waits. It is kept if a
    /// savepoint may bring it back.
    fn take_due(&self, when: LookAt) -> Vec<Pending> {
        let mut guard = self.0.lock();
        let state = &mut *guard;
        let mut due = Vec::new();
        for (at, queued) in state.queue.iter_mut().enumerate().filter(|(_, queued)| queued.waits) {
            if when == LookAt::Commit || !state.modes.defers(&queued.pending) {
                queued.waits = false;
                state.looked_at.push(at);
                due.push(queued.pending.clone());
            }
        }
        if when != LookAt::NowWithSavepoints {
            state.looked_at.clear();
            state.queue.retain(|queued| queued.waits);
        }
        state.count();
        due
    }
}

impl State {
    /// Counts what is in the queue anew.
    fn count(&mut self) {
        let waiting = self.queue.iter().filter(|queued| queued.waits);
        self.known = waiting.map(|queued| queued.pending.identity()).collect();
        self.bytes = self.queue.iter().map(Queued::bytes).sum();
    }
}

/// When what was put off is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookAt {
    /// Everything, as the transaction commits.
    Commit,
    /// What SET CONSTRAINTS no longer puts off.
    Now,
    /// The same, with savepoints that may undo it.
    NowWithSavepoints,
}

impl Changes<'_> {
    /// Ends the statement: looks at what does not wait for the commit, and runs cascades until none
    /// is left.
    ///
    /// # Errors
    /// 23503, 23505, and what the cascades raise.
    pub async fn finish_statement(&mut self) -> SqlResult<()> {
        if self.cascade_depth > 0 || self.changed_in_with.is_some() {
            return Ok(());
        }
        while let Some(pending) = self.pending.pop() {
            let deferred = Arc::clone(&self.context.deferred);
            if let Some(pending) = deferred.put_off(pending, self.context.memory_bytes)? {
                self.look_at(pending).await?;
            }
            self.context.cancel.check()?;
        }
        // Whoever is to fail at commit may as well fail now.
        if self.txn.has_writes() {
            self.txn.check_serializable()?;
        }
        Ok(())
    }

    /// Looks at what was put off and is due.
    ///
    /// # Errors
    /// 23503, 23505
    pub async fn check_deferred(&mut self, when: LookAt) -> SqlResult<()> {
        let deferred = Arc::clone(&self.context.deferred);
        for pending in deferred.take_due(when) {
            self.look_at(pending).await?;
            self.context.cancel.check()?;
        }
        Ok(())
    }

    async fn look_at(&mut self, pending: Pending) -> SqlResult<()> {
        let Pending { constraint, holder, what, .. } = pending;
        match what {
            What::Child { row_key } => self.recheck_child(holder, constraint, &row_key).await,
            What::Parent { old, new, .. } => {
                self.parent_gone(holder, constraint, &old, new.as_deref()).await
            }
            What::Unique { index, entry, key_len, row_key } => {
                self.recheck_unique(holder, index, &entry, key_len, &row_key)
            }
        }
    }

    /// Looks whether a row that had the key of another still has, and is not alone with it. The key
    /// is locked since the row was written.
    fn recheck_unique(
        &self,
        table: Oid,
        index: Oid,
        entry: &[u8],
        key_len: usize,
        row_key: &[u8],
    ) -> SqlResult<()> {
        let Some(relation) = self.catalog().relation(table) else {
            return Ok(());
        };
        let table = TableAccess::new(relation, self.context)?;
        let Some(index) = table.indexes.iter().find(|access| access.oid == index) else {
            return Ok(());
        };
        if self.txn.get_newest(index.tree, entry)?.is_none()
            || index.rows_with(&entry[..key_len], 2, &self.txn)? < 2
        {
            return Ok(());
        }
        let Some(stored) = self.txn.get_newest(table.tree, row_key)? else {
            return Ok(());
        };
        let row = table.layout.decode(&stored.value)?;
        Err(self.unique_violation(&table, index, &row)?)
    }
}
