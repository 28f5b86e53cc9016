//! The private write set of a transaction: what it wrote, by command, and what of it was undone.
//!
//! ```text
//! command      3            5           7                a view at command 5 sees what 0..5 wrote
//!              put k=x      savepoint   put k=y
//! chain of k   (7,y) (3,x)              rollback to → 5..8 is dead, the chain is (3,x) again
//! ```
//!
//! Command ids only grow, also over a rollback to a savepoint, so that "who wrote this" and
//! "was it undone" are both questions about one number. Beyond a size the set *spills*: its maps
//! become a run file whose stamps are command ids, newer layers over older ones, and the memory is
//! free again. A command that adds many new rows *loads* them: they go into run files without a
//! node in the maps, and a commit names those files as they are. Nobody but the transaction writes here; any thread may read, through a view. A
//! version of a key that no live view, no savepoint and no later command can see is dropped as
//! soon as the key is written again.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};

use crate::disk::Disk;
use crate::entry::{self, Counter, each_index_entry, put_index_entry};
use crate::hot::{FillLimits, Rest};
use crate::load::Load;
use crate::run::{Run, RunCursor, RunWriter, Stamps};
use crate::{
    Block, CommandId, CommitSeq, Direction, Key, KeyRange, Result, Row, StorageError, TreeId, Value,
};

const KEY_BYTES_MAX: usize = 1 << 20;
const VALUE_BYTES_MAX: usize = (1 << 30) - 1;
const ENTRY_OVERHEAD_BYTES: usize = 96;

/// One write: newest first in a chain.
#[derive(Debug)]
struct Write {
    command: u32,
    value: Option<Value>,
}

type Writes = BTreeMap<Key, Vec<Write>>;
type DeadRanges = Arc<Vec<(u32, u32)>>;

/// An appended row, in the order of appending.
#[derive(Debug)]
pub(crate) struct Append {
    command: u32,
    pub(crate) row: NumberedRow,
}

/// A row that goes into a tree under the next number of a counter, which is known once its
/// transaction has committed: dense, and in the order of commits.
#[derive(Clone, Debug)]
pub struct NumberedRow {
    /// The tree.
    pub tree: TreeId,
    /// What numbers it.
    pub counter: Counter,
    /// The number that the counter begins with.
    pub first: u64,
    /// What comes before the number in the row's key. The number follows as eight big-endian bytes,
    /// its first bit turned.
    pub key_prefix: Vec<u8>,
    /// The value.
    pub value: Vec<u8>,
    /// Where the number goes in the value, as eight little-endian bytes.
    pub number_at: u32,
    /// Where the time of the commit goes in the value, likewise: microseconds since the time that
    /// follows, which is in microseconds since 1970.
    pub time: Option<(u32, i64)>,
    pub(crate) entries: Vec<u8>,
}

impl NumberedRow {
    /// A row without index entries and time.
    #[must_use]
    pub fn new(
        tree: TreeId,
        counter: Counter,
        first: u64,
        key_prefix: Vec<u8>,
        value: Vec<u8>,
        number_at: u32,
    ) -> Self {
        let (time, entries) = (None, Vec::new());
        Self { tree, counter, first, key_prefix, value, number_at, time, entries }
    }

    /// Adds an entry to an index: these bytes, and the row's key behind them, with no value.
    pub fn index(&mut self, tree: TreeId, prefix: &[u8]) {
        put_index_entry(&mut self.entries, tree, prefix);
    }

    /// As apply takes it.
    pub(crate) fn operation(&self) -> entry::Append<'_> {
        entry::Append {
            tree: self.tree,
            counter: self.counter,
            first: self.first,
            prefix: &self.key_prefix,
            value: &self.value,
            number_at: self.number_at,
            time: self.time,
            entries: &self.entries,
        }
    }

    fn bytes(&self) -> usize {
        self.key_prefix.len() + self.value.len() + self.entries.len() + ENTRY_OVERHEAD_BYTES
    }
}

#[derive(Debug, Default)]
struct State {
    trees: BTreeMap<TreeId, Writes>,
    /// Whether anything was deleted: keys that are in `trees` and yet new.
    has_deletes: bool,
    /// New rows of the command that writes now, whose keys are nowhere in `trees` and `spills`.
    load: Option<Load>,
    /// How many rows the command that wrote last has added as new.
    new_rows: (u32, usize),
    /// Oldest first.
    spills: Vec<Spill>,
    drops: BTreeMap<TreeId, u32>,
    appends: Vec<Append>,
    /// How many of them wait for numbers of each counter.
    waiting: BTreeMap<Counter, u64>,
    append_bytes: usize,
    /// The next numbers of counters whose rows were numbered before the commit, and how many rows.
    numbered: BTreeMap<Counter, (u64, u64)>,
    dead: DeadRanges,
    /// What was written since the first savepoint, to be undone; empty without savepoints.
    journal: Vec<(TreeId, Key)>,
    bytes: usize,
    last_command: Option<u32>,
}

/// A part of a write set on disk.
#[derive(Clone, Debug)]
struct Spill {
    run: Arc<Run>,
    /// Whether it is a load: durable under its name, and with no key that an older spill has.
    is_load: bool,
}

/// What one transaction wrote.
#[derive(Debug)]
pub(crate) struct WriteSet {
    state: RwLock<State>,
    /// Commands of live views, and how many there are of each.
    views: Mutex<BTreeMap<u32, usize>>,
    /// Bytes of all write sets in memory.
    account: Arc<AtomicU64>,
    disk: Arc<dyn Disk>,
    runs_dir: PathBuf,
    loading: Loading,
}

/// When new rows are loaded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Loading {
    /// A command loads its new rows from this one on: what a load costs at its end is nothing then.
    pub(crate) from_row: usize,
    /// A load of fewer bytes ends in the maps: a run file costs its commit two more fsyncs.
    pub(crate) bytes_min: usize,
}

/// How far a write set had come when a savepoint was set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    pub(crate) command: u32,
    journal: usize,
    spills: usize,
}

impl Drop for WriteSet {
    fn drop(&mut self) {
        let bytes = self.state.get_mut().bytes as u64;
        self.account.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl WriteSet {
    pub(crate) fn new(
        account: Arc<AtomicU64>,
        disk: Arc<dyn Disk>,
        runs_dir: PathBuf,
        loading: Loading,
    ) -> Self {
        let (state, views) = (RwLock::default(), Mutex::default());
        Self { state, views, account, disk, runs_dir, loading }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.state.read().bytes
    }

    /// Whether there is nothing to commit.
    pub(crate) fn is_empty(&self) -> bool {
        let state = self.state.read();
        state.trees.is_empty()
            && state.spills.is_empty()
            && state.load.as_ref().is_none_or(Load::is_empty)
            && state.drops.is_empty()
            && state.appends.is_empty()
    }

    pub(crate) fn enter_view(&self, command: u32) {
        *self.views.lock().entry(command).or_default() += 1;
    }

    pub(crate) fn leave_view(&self, command: u32) {
        let mut views = self.views.lock();
        if let Some(count) = views.get_mut(&command) {
            *count -= 1;
            if *count == 0 {
                views.remove(&command);
            }
        }
    }

    /// Writes a key. `savepoints` are the commands of the live savepoints, ascending.
    pub(crate) fn put(
        &self,
        tree: TreeId,
        key: &[u8],
        value: Option<&[u8]>,
        command: CommandId,
        savepoints: &[Mark],
    ) -> Result<()> {
        check_sizes(key, value)?;
        let mut state = self.state.write();
        let state = &mut *state;
        check_not_dropped(state, tree)?;
        let replaces_loaded = state.load.as_mut().is_some_and(|load| load.get(tree, key).is_some());
        if replaces_loaded {
            self.end_load_in(state)?;
        }
        self.put_in(state, tree, key, value, command.0, savepoints);
        Ok(())
    }

    /// Writes a key that the transaction knows to be nowhere in the newest state, its own writes
    /// included: it is looked up no more.
    pub(crate) fn put_new(
        &self,
        tree: TreeId,
        key: &[u8],
        value: &[u8],
        command: CommandId,
        savepoints: &[Mark],
    ) -> Result<()> {
        check_sizes(key, Some(value))?;
        let mut state = self.state.write();
        let state = &mut *state;
        check_not_dropped(state, tree)?;
        if state.new_rows.0 != command.0 {
            self.end_load_in(state)?;
            state.new_rows = (command.0, 0);
        }
        state.new_rows.1 += 1;
        // Deleted by an earlier command: the maps hold that.
        let is_in_maps = state.has_deletes
            && state.trees.get(&tree).is_some_and(|writes| writes.contains_key(key));
        if state.new_rows.1 <= self.loading.from_row || is_in_maps {
            self.put_in(state, tree, key, Some(value), command.0, savepoints);
            return Ok(());
        }
        let load = state.load.get_or_insert_with(|| Load::new(command.0, savepoints));
        let grown = load.push(tree, key, value);
        state.last_command = Some(command.0);
        self.grow(state, grown as i64);
        Ok(())
    }

    fn put_in(
        &self,
        state: &mut State,
        tree: TreeId,
        key: &[u8],
        value: Option<&[u8]>,
        command: u32,
        savepoints: &[Mark],
    ) {
        let write = Write { command, value: value.map(Value::new) };
        state.has_deletes |= write.value.is_none();
        let mut grown = write_bytes(&write) as i64;
        let writes = state.trees.entry(tree).or_default();
        if let Some(chain) = writes.get_mut(key) {
            let newest = chain.first_mut().filter(|newest| newest.command == command);
            if let Some(newest) = newest {
                grown -= write_bytes(newest) as i64;
                *newest = write;
            } else {
                chain.insert(0, write);
                grown -= self.trim(chain, savepoints) as i64;
            }
        } else {
            let key = Key::new(key);
            grown += (key.heap_bytes() + ENTRY_OVERHEAD_BYTES) as i64;
            writes.insert(key, vec![write]);
        }
        if !savepoints.is_empty() {
            let key = Key::new(key);
            grown += (key.heap_bytes() + size_of::<(TreeId, Key)>()) as i64;
            state.journal.push((tree, key));
        }
        state.last_command = Some(command);
        self.grow(state, grown);
    }

    /// Ends the load under way, if there is one: a small one moves into the maps, a large one into a
    /// run. Errors: 53100, 58030.
    pub(crate) fn end_load(&self) -> Result<()> {
        if self.state.read().load.is_none() {
            return Ok(());
        }
        self.end_load_in(&mut self.state.write())
    }

    fn end_load_in(&self, state: &mut State) -> Result<()> {
        if state.load.as_ref().is_some_and(|load| load.bytes() > self.loading.bytes_min) {
            self.write_load(state)?;
        }
        let Some(load) = state.load.take() else {
            return Ok(());
        };
        self.grow(state, -(load.bytes() as i64));
        load.each(|tree, key, value| {
            self.put_in(state, tree, key, Some(value), load.command, &load.savepoints);
        });
        Ok(())
    }

    /// Moves the rows of the load into a run. After an error they are still there.
    fn write_load(&self, state: &mut State) -> Result<()> {
        let Some(load) = state.load.as_mut().filter(|load| !load.is_empty()) else {
            return Ok(());
        };
        let bytes = load.bytes();
        let mut writer = RunWriter::create(self.disk.clone(), &self.runs_dir)?;
        load.write_into(&mut writer)?;
        let run = writer.publish()?;
        // Until a commit names it.
        run.remove_when_unused();
        load.clear();
        state.spills.push(Spill { run: Arc::new(run), is_load: true });
        self.grow(state, -(bytes as i64));
        Ok(())
    }

    /// Moves what is large in memory into run files.
    pub(crate) fn shed(&self, bytes_max: usize) -> Result<()> {
        let mut state = self.state.write();
        let state = &mut *state;
        let loaded = state.load.as_ref().map_or(0, Load::bytes);
        if loaded > bytes_max / 2 {
            self.write_load(state)?;
        }
        if state.bytes > bytes_max {
            self.spill_in(state)?;
        }
        Ok(())
    }

    fn grow(&self, state: &mut State, by: i64) {
        state.bytes = (state.bytes as i64 + by) as usize;
        // Two's complement: adding a negative difference subtracts.
        self.account.fetch_add(by as u64, Ordering::Relaxed);
    }

    /// Drops versions that nobody can ask for. A reader at a boundary sees the newest version
    /// below it; boundaries are the commands of views and savepoints. The newest two stay: the
    /// command that writes now looks at the second.
    fn trim(&self, chain: &mut Vec<Write>, savepoints: &[Mark]) -> usize {
        if chain.len() < 3 {
            return 0;
        }
        let views = self.views.lock();
        let mut freed = 0;
        let mut newer = chain[1].command;
        let mut at = 2;
        while at < chain.len() {
            let command = chain[at].command;
            let between = |boundary: u32| command < boundary && boundary <= newer;
            let is_seen = views.range(command + 1..=newer).next().is_some()
                || savepoints.iter().any(|mark| between(mark.command));
            newer = command;
            if is_seen {
                at += 1;
            } else {
                freed += write_bytes(&chain.remove(at));
            }
        }
        freed
    }

    pub(crate) fn append(&self, row: NumberedRow, command: CommandId) -> Result<()> {
        check_sizes(&row.key_prefix, Some(&row.value))?;
        let fits = |at: u32| row.value.len().checked_sub(8).is_some_and(|last| at as usize <= last);
        if !fits(row.number_at) || row.time.is_some_and(|(at, _)| !fits(at)) {
            return Err(StorageError::Internal("a numbered row has no room for its number".into()));
        }
        let mut state = self.state.write();
        check_not_dropped(&state, row.tree)?;
        let bytes = row.bytes();
        if state.append_bytes + bytes > VALUE_BYTES_MAX / 4 {
            return Err(StorageError::LimitExceeded(
                "too many bytes appended in one transaction".into(),
            ));
        }
        state.append_bytes += bytes;
        *state.waiting.entry(row.counter).or_default() += 1;
        state.appends.push(Append { command: command.0, row });
        state.last_command = Some(command.0);
        self.grow(&mut state, bytes as i64);
        Ok(())
    }

    pub(crate) fn drop_tree(&self, tree: TreeId, command: CommandId) {
        let mut state = self.state.write();
        state.drops.entry(tree).or_insert(command.0);
        state.last_command = Some(command.0);
    }

    pub(crate) fn mark(&self, command: CommandId) -> Mark {
        let state = self.state.read();
        Mark { command: command.0, journal: state.journal.len(), spills: state.spills.len() }
    }

    /// The last savepoint is gone: nothing will be undone but everything.
    pub(crate) fn forget_journal(&self) {
        let mut state = self.state.write();
        let bytes: usize = state
            .journal
            .drain(..)
            .map(|(_, key)| key.heap_bytes() + size_of::<(TreeId, Key)>())
            .sum();
        state.journal.shrink_to(1024);
        self.grow(&mut state, -(bytes as i64));
    }

    /// Undoes what commands from the mark's on wrote; `now` is the command that writes next.
    pub(crate) fn rollback_to(&self, mark: Mark, now: CommandId) {
        let mut state = self.state.write();
        let state = &mut *state;
        // A load is of the last command, and a savepoint begins a command.
        if let Some(load) = state.load.take() {
            self.grow(state, -(load.bytes() as i64));
        }
        state.new_rows.1 = 0;
        let spilled_since = state.spills.len() > mark.spills;
        // A spill empties the journal: what is in it then was written since the spill.
        let keep = if spilled_since { 0 } else { mark.journal.min(state.journal.len()) };
        let mut freed = 0;
        for (tree, key) in state.journal.drain(keep..) {
            freed += key.heap_bytes() + size_of::<(TreeId, Key)>();
            let Some(writes) = state.trees.get_mut(&tree) else {
                continue;
            };
            if let Some(chain) = writes.get_mut(key.as_bytes()) {
                chain.retain(|write| {
                    let keep = write.command < mark.command;
                    freed += if keep { 0 } else { write_bytes(write) };
                    keep
                });
                if chain.is_empty() {
                    freed += key.heap_bytes() + ENTRY_OVERHEAD_BYTES;
                    writes.remove(key.as_bytes());
                }
            }
            if writes.is_empty() {
                state.trees.remove(&tree);
            }
        }
        state.drops.retain(|_, command| *command < mark.command);
        while state.appends.last().is_some_and(|append| append.command >= mark.command) {
            if let Some(append) = state.appends.pop() {
                if let Some(count) = state.waiting.get_mut(&append.row.counter) {
                    *count -= 1;
                }
                let bytes = append.row.bytes();
                state.append_bytes -= bytes;
                freed += bytes;
            }
        }
        if spilled_since && state.last_command.is_some_and(|last| last >= mark.command) {
            let mut dead = state.dead.to_vec();
            dead.retain(|(from, _)| *from < mark.command);
            dead.push((mark.command, now.0));
            state.dead = Arc::new(dead);
        }
        self.grow(state, -(freed as i64));
    }

    /// Moves the maps into a run file.
    pub(crate) fn spill(&self) -> Result<()> {
        self.spill_in(&mut self.state.write())
    }

    fn spill_in(&self, state: &mut State) -> Result<()> {
        if state.trees.is_empty() {
            return Ok(());
        }
        let mut writer = RunWriter::create(self.disk.clone(), &self.runs_dir)?;
        for (tree, writes) in &state.trees {
            for (key, chain) in writes {
                for write in chain {
                    let stamp = u64::from(write.command);
                    writer.push(*tree, key, write.value.as_deref(), stamp)?;
                }
            }
        }
        let run = Arc::new(writer.into_spill()?);
        state.spills.push(Spill { run, is_load: false });
        state.trees.clear();
        state.journal = Vec::new();
        let loaded = state.load.as_ref().map_or(0, Load::bytes);
        let freed = state.bytes - state.append_bytes - loaded;
        self.grow(state, -(freed as i64));
        Ok(())
    }

    /// What the transaction itself sees of a key: `None` if it did not write it; else the value
    /// or that it is gone.
    pub(crate) fn get(
        &self,
        tree: TreeId,
        key: &[u8],
        command: CommandId,
    ) -> Result<Option<Option<Row>>> {
        if let Some(value) = self.get_loaded(tree, key, command) {
            return Ok(Some(Some(Row { seq: CommitSeq::UNCOMMITTED, value })));
        }
        let state = self.state.read();
        if state.drops.get(&tree).is_some_and(|drop| *drop < command.0) {
            return Ok(Some(None));
        }
        let write = state
            .trees
            .get(&tree)
            // Rows that come in the order of their keys lie behind all.
            .filter(|writes| {
                writes.last_key_value().is_some_and(|(last, _)| last.as_bytes() >= key)
            })
            .and_then(|writes| writes.get(key))
            .and_then(|chain| chain.iter().find(|write| write.command < command.0));
        if let Some(write) = write {
            return Ok(Some(
                write.value.clone().map(|value| Row { seq: CommitSeq::UNCOMMITTED, value }),
            ));
        }
        let stamps = Stamps::Commands { below: command.0, dead: state.dead.clone() };
        for spill in state.spills.iter().rev() {
            if let Some(found) = spill.run.get(tree, key, &stamps)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn get_loaded(&self, tree: TreeId, key: &[u8], command: CommandId) -> Option<Value> {
        let holds = |load: &Load| load.command < command.0 && load.holds_tree(tree);
        if !self.state.read().load.as_ref().is_some_and(holds) {
            return None;
        }
        // The first look makes a table.
        self.state.write().load.as_mut()?.get(tree, key)
    }

    /// Makes what a view at `command` sees readable in order.
    pub(crate) fn settle_for(&self, tree: TreeId, command: u32) -> Result<()> {
        let holds = |load: &Load| load.command < command && load.holds_tree(tree);
        if self.state.read().load.as_ref().is_some_and(holds) {
            self.end_load_in(&mut self.state.write())?;
        }
        Ok(())
    }

    /// Whether a view at this command sees the tree dropped.
    pub(crate) fn drops(&self, tree: TreeId, command: CommandId) -> bool {
        let state = self.state.read();
        state.drops.get(&tree).is_some_and(|drop| *drop < command.0)
    }

    /// Whether the transaction wrote to a tree at all.
    pub(crate) fn touches(&self, tree: TreeId) -> bool {
        let state = self.state.read();
        state.trees.contains_key(&tree)
            || state.spills.iter().any(|spill| spill.run.trees().contains(&tree))
    }

    /// Cursors over what a view at `command` sees: of the maps, and of the spills, newest first.
    pub(crate) fn cursors(
        self: &Arc<Self>,
        tree: TreeId,
        command: u32,
    ) -> (OwnWrites, Vec<RunCursor>) {
        let state = self.state.read();
        let own = OwnWrites { writes: self.clone(), tree, command, spills: state.spills.len() };
        let stamps = Stamps::Commands { below: command, dead: state.dead.clone() };
        let spills = state.spills.iter().rev();
        let cursors = spills.map(|spill| RunCursor::new(spill.run.clone(), tree, stamps.clone()));
        (own, cursors.collect())
    }

    /// Every tree written to and not dropped, ascending.
    pub(crate) fn trees(&self) -> Vec<TreeId> {
        let state = self.state.read();
        let mut trees: Vec<TreeId> = state.trees.keys().copied().collect();
        for spill in &state.spills {
            trees.extend(spill.run.trees());
        }
        trees.sort_unstable();
        trees.dedup();
        trees.retain(|tree| !state.drops.contains_key(tree));
        trees
    }

    pub(crate) fn has_spilled(&self) -> bool {
        !self.state.read().spills.is_empty()
    }

    /// The runs that a commit can name as they are: `None` unless all that was spilled are loads,
    /// nothing of them was undone, and none of their trees was dropped.
    pub(crate) fn loads(&self) -> Option<Vec<Arc<Run>>> {
        let state = self.state.read();
        let is_dropped = |run: &Run| run.trees().iter().any(|tree| state.drops.contains_key(tree));
        let is_whole = state.dead.is_empty()
            && state.spills.iter().all(|spill| spill.is_load && !is_dropped(&spill.run));
        is_whole.then(|| state.spills.iter().map(|spill| spill.run.clone()).collect())
    }

    pub(crate) fn dropped_trees(&self) -> Vec<TreeId> {
        self.state.read().drops.keys().copied().collect()
    }

    /// Visits the newest write of every key in memory, by tree and key; trees dropped by this
    /// transaction are left out. Only complete if nothing has spilled but loads.
    pub(crate) fn each_newest(&self, mut visit: impl FnMut(TreeId, &Key, Option<&Value>)) {
        let state = self.state.read();
        for (tree, writes) in &state.trees {
            if state.drops.contains_key(tree) {
                continue;
            }
            for (key, chain) in writes {
                let newest = chain.first().expect("a chain without writes is removed");
                visit(*tree, key, newest.value.as_ref());
            }
        }
    }

    pub(crate) fn each_append(&self, mut visit: impl FnMut(&Append)) {
        let state = self.state.read();
        for append in &state.appends {
            if !state.drops.contains_key(&append.row.tree) {
                visit(append);
            }
        }
    }

    /// Which of the rows that wait for numbers of a counter go into an index under a prefix.
    pub(crate) fn waiting_places(
        &self,
        counter: Counter,
        index: TreeId,
        prefix: &[u8],
    ) -> Result<Vec<u64>> {
        let (mut places, mut at, mut done) = (Vec::new(), 0, Ok(()));
        self.each_append(|append| {
            if append.row.counter != counter {
                return;
            }
            let mut is_there = false;
            let visited = each_index_entry(&append.row.entries, |tree, start| {
                is_there |= tree == index && start == prefix;
            });
            if visited.is_err() {
                done = visited;
            }
            if is_there {
                places.push(at);
            }
            at += 1;
        });
        done.map(|()| places)
    }

    /// How many bytes wait for numbers.
    pub(crate) fn append_bytes(&self) -> usize {
        self.state.read().append_bytes
    }

    /// Takes the rows that wait for numbers of a counter: the caller writes them under the numbers up to
    /// the next one.
    pub(crate) fn take_appends(&self, counter: Counter, next: u64) -> Vec<NumberedRow> {
        let mut state = self.state.write();
        let state = &mut *state;
        let is_of = |append: &mut Append| append.row.counter == counter;
        let taken: Vec<Append> = state.appends.extract_if(.., is_of).collect();
        state.waiting.remove(&counter);
        let bytes: usize = taken.iter().map(|append| append.row.bytes()).sum();
        state.append_bytes -= bytes;
        let (at, count) = state.numbered.entry(counter).or_default();
        (*at, *count) = (next, *count + taken.len() as u64);
        self.grow(state, -(bytes as i64));
        taken.into_iter().map(|append| append.row).collect()
    }

    /// The next number of a counter, and how many rows have numbers of it, where the transaction has
    /// given them already.
    pub(crate) fn numbered(&self, counter: Counter) -> Option<(u64, u64)> {
        self.state.read().numbered.get(&counter).copied()
    }

    /// The counters that the transaction moves on by itself.
    pub(crate) fn each_numbered(&self, mut visit: impl FnMut(Counter, u64)) {
        let state = self.state.read();
        for (counter, (next, _)) in &state.numbered {
            if !state.drops.contains_key(&counter.tree) {
                visit(*counter, *next);
            }
        }
    }

    /// How many rows wait for numbers of a counter.
    pub(crate) fn waiting_for(&self, counter: Counter) -> u64 {
        self.state.read().waiting.get(&counter).copied().unwrap_or_default()
    }
}

fn check_not_dropped(state: &State, tree: TreeId) -> Result<()> {
    if state.drops.contains_key(&tree) {
        return Err(StorageError::Internal(format!(
            "write to tree {} after it was dropped",
            tree.0
        )));
    }
    Ok(())
}

fn check_sizes(key: &[u8], value: Option<&[u8]>) -> Result<()> {
    if key.len() > KEY_BYTES_MAX {
        return Err(StorageError::LimitExceeded(format!(
            "a key of {} bytes exceeds the maximum of {KEY_BYTES_MAX}",
            key.len()
        )));
    }
    match value {
        Some(value) if value.len() > VALUE_BYTES_MAX => Err(StorageError::LimitExceeded(format!(
            "a row of {} bytes exceeds the maximum of {VALUE_BYTES_MAX}",
            value.len()
        ))),
        _ => Ok(()),
    }
}

fn write_bytes(write: &Write) -> usize {
    size_of::<Write>() + write.value.as_ref().map_or(0, Value::heap_bytes)
}

/// Reads the maps of a write set, and notices when they have spilled.
#[derive(Debug)]
pub(crate) struct OwnWrites {
    writes: Arc<WriteSet>,
    tree: TreeId,
    command: u32,
    /// How many spills there were when it looked last.
    spills: usize,
}

impl OwnWrites {
    /// Adds rows of `range`. If the maps have spilled since the last call, what this cursor had
    /// yet to deliver lies in the returned cursors: all that a view sees was written before the
    /// view was made, hence before the spill.
    pub(crate) fn fill(
        &mut self,
        block: &mut Block,
        range: &KeyRange,
        direction: Direction,
        limits: FillLimits,
    ) -> (Rest, Vec<RunCursor>) {
        let state = self.writes.state.read();
        let stamps = Stamps::Commands { below: self.command, dead: state.dead.clone() };
        let moved = state.spills[self.spills..]
            .iter()
            .rev()
            .map(|spill| RunCursor::new(spill.run.clone(), self.tree, stamps.clone()))
            .collect();
        self.spills = state.spills.len();
        let Some(writes) = state.trees.get(&self.tree) else {
            return (Rest::End, moved);
        };
        if range.is_empty() {
            return (Rest::End, moved);
        }
        let bounds: (Bound<&[u8]>, Bound<&[u8]>) = range.as_bounds();
        let mut rows = writes.range::<[u8], _>(bounds);
        loop {
            let next = match direction {
                Direction::Forward => rows.next(),
                Direction::Backward => rows.next_back(),
            };
            let Some((key, chain)) = next else {
                return (Rest::End, moved);
            };
            if let Some(write) = chain.iter().find(|write| write.command < self.command) {
                block.push(key, write.value.as_deref(), CommitSeq::UNCOMMITTED);
                if limits.reached(block) {
                    return (Rest::Range(range.after(key, direction)), moved);
                }
            }
        }
    }
}
