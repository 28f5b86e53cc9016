//! `DISTINCT`, `INTERSECT` and `EXCEPT`: a hash table of the keys met so far.
//!
//! When the table may not grow, rows whose keys it does not know go to files, spread by a hash of
//! the key; each file is then worked off alone with a table of its own. A key lies either in the
//! table or in one file, so nothing is given twice.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use aegis_sql::bound::SetOperator;
use aegis_types::{SqlResult, TypeRef};
use arrow::array::{RecordBatch, UInt32Array};
use datafusion::common::Result as DfResult;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::ExecutionPlan;
use futures::stream::{StreamExt, TryStreamExt};

use crate::arrow_types::readers;
use crate::memory::{Partitions, Spilled, reserve_spilling};
use crate::node::Node;
use crate::plan::{Plan, encode_key};
use crate::run::{Run, external};

/// What a key takes besides its bytes.
const ENTRY_BYTES: usize = 64;

/// `DISTINCT`: the first row of those whose values of some columns are equal.
pub(crate) struct DistinctPlan {
    pub(crate) input: Box<Plan>,
    pub(crate) columns: Vec<usize>,
    /// Whether equal rows come one after the other.
    pub(crate) is_sorted: bool,
}

/// `INTERSECT` and `EXCEPT`.
pub(crate) struct SetOperationPlan {
    pub(crate) op: SetOperator,
    pub(crate) all: bool,
    pub(crate) left: Box<Plan>,
    pub(crate) right: Box<Plan>,
}

/// The keys of a batch's rows.
fn keys(batch: &RecordBatch, columns: &[usize], types: &[TypeRef]) -> SqlResult<Vec<Vec<u8>>> {
    let readers = readers(batch, types);
    (0..batch.num_rows())
        .map(|row| {
            let mut key = Vec::new();
            for at in columns {
                encode_key(types[*at], &readers[*at].get(row), &mut key)?;
            }
            Ok(key)
        })
        .collect()
}

fn pick(batch: &RecordBatch, rows: Vec<u32>) -> DfResult<RecordBatch> {
    Ok(arrow::compute::take_record_batch(batch, &UInt32Array::from(rows))?)
}

impl DistinctPlan {
    pub(crate) fn start(
        &self,
        types: &[TypeRef],
        run: &Arc<Run>,
    ) -> SqlResult<Arc<dyn ExecutionPlan>> {
        let child = self.input.start(run)?;
        let (columns, is_sorted, run) = (self.columns.clone(), self.is_sorted, run.clone());
        let types_of_input = self.input.types.clone();
        Ok(Node::new("Unique", types, vec![child], move |mut inputs, task| {
            let state = Distinct {
                columns: columns.clone(),
                types: types_of_input.clone(),
                is_sorted,
                run: run.clone(),
                memory: reserve_spilling("distinct rows", &task),
                task,
                input: inputs.swap_remove(0),
                level: 0,
                seen: HashSet::new(),
                last: None,
                overflow: None,
                waiting: VecDeque::new(),
            };
            Ok(futures::stream::try_unfold(state, |mut state| async move {
                Ok(state.next().await?.map(|batch| (batch, state)))
            })
            .boxed())
        }))
    }
}

struct Distinct {
    columns: Vec<usize>,
    types: Vec<TypeRef>,
    is_sorted: bool,
    run: Arc<Run>,
    task: Arc<TaskContext>,
    memory: MemoryReservation,
    input: SendableRecordBatchStream,
    level: u32,
    seen: HashSet<Vec<u8>>,
    /// The key before, where equal ones come one after the other.
    last: Option<Vec<u8>>,
    overflow: Option<Partitions>,
    waiting: VecDeque<(Spilled, u32)>,
}

impl Distinct {
    async fn next(&mut self) -> DfResult<Option<RecordBatch>> {
        loop {
            self.run.context.cancel.check().map_err(external)?;
            match self.input.try_next().await? {
                Some(batch) => {
                    let fresh = self.fresh(&batch)?;
                    if fresh.num_rows() > 0 {
                        return Ok(Some(fresh));
                    }
                }
                None => {
                    if let Some(overflow) = self.overflow.take() {
                        let level = self.level + 1;
                        let files = overflow.finish()?.into_iter().flatten();
                        self.waiting.extend(files.map(|file| (file, level)));
                    }
                    self.seen = HashSet::new();
                    self.memory.free();
                    let Some((file, level)) = self.waiting.pop_back() else { return Ok(None) };
                    self.level = level;
                    self.input = file.read()?;
                }
            }
        }
    }

    fn fresh(&mut self, batch: &RecordBatch) -> DfResult<RecordBatch> {
        let (mut rows, mut spilled) = (Vec::new(), Vec::new());
        let keys = keys(batch, &self.columns, &self.types).map_err(external)?;
        for (row, key) in keys.into_iter().enumerate() {
            let row = row as u32;
            if self.is_sorted {
                if self.last.as_ref() != Some(&key) {
                    rows.push(row);
                    self.last = Some(key);
                }
            } else if self.seen.contains(&key) {
            } else if self.overflow.is_none()
                && (self.memory.try_grow(key.len() + ENTRY_BYTES).is_ok() || self.seen.is_empty())
            {
                self.seen.insert(key);
                rows.push(row);
            } else {
                spilled.push((row, key));
            }
        }
        if !spilled.is_empty() {
            if self.overflow.is_none() {
                let (schema, task) = (batch.schema(), self.task.clone());
                self.overflow = Some(Partitions::new("distinct rows", schema, task, self.level)?);
            }
            if let Some(overflow) = &mut self.overflow {
                overflow.add(batch, &spilled)?;
            }
        }
        pick(batch, rows)
    }
}

impl SetOperationPlan {
    pub(crate) fn start(
        &self,
        types: &[TypeRef],
        run: &Arc<Run>,
    ) -> SqlResult<Arc<dyn ExecutionPlan>> {
        let children = vec![self.left.start(run)?, self.right.start(run)?];
        let (op, all, run, types_of_output) = (self.op, self.all, run.clone(), types.to_vec());
        Ok(Node::new("SetOp", types, children, move |mut inputs, task| {
            let right = inputs.pop();
            let state = SetOperation {
                op,
                all,
                types: types_of_output.clone(),
                run: run.clone(),
                memory: reserve_spilling("set operation", &task),
                task,
                left: inputs.pop(),
                right,
                level: 0,
                counts: HashMap::new(),
                right_overflow: None,
                left_overflow: None,
                waiting: Vec::new(),
            };
            Ok(futures::stream::try_unfold(state, |mut state| async move {
                Ok(state.next().await?.map(|batch| (batch, state)))
            })
            .boxed())
        }))
    }
}

struct SetOperation {
    op: SetOperator,
    all: bool,
    types: Vec<TypeRef>,
    run: Arc<Run>,
    task: Arc<TaskContext>,
    memory: MemoryReservation,
    left: Option<SendableRecordBatchStream>,
    /// Read to its end before the left side.
    right: Option<SendableRecordBatchStream>,
    level: u32,
    /// Of each key: how often it is still there on the right side, and whether it was given.
    counts: HashMap<Vec<u8>, (usize, bool)>,
    right_overflow: Option<Partitions>,
    left_overflow: Option<Partitions>,
    waiting: Vec<(Option<Spilled>, Option<Spilled>, u32)>,
}

impl SetOperation {
    async fn next(&mut self) -> DfResult<Option<RecordBatch>> {
        loop {
            self.run.context.cancel.check().map_err(external)?;
            if let Some(right) = &mut self.right {
                match right.try_next().await? {
                    Some(batch) => self.count(&batch)?,
                    None => self.right = None,
                }
                continue;
            }
            if let Some(left) = &mut self.left {
                match left.try_next().await? {
                    Some(batch) => {
                        let given = self.given(&batch)?;
                        if given.num_rows() > 0 {
                            return Ok(Some(given));
                        }
                    }
                    None => self.left = None,
                }
                continue;
            }
            self.take_overflow()?;
            self.counts = HashMap::new();
            self.memory.free();
            let Some((left, right, level)) = self.waiting.pop() else { return Ok(None) };
            self.level = level;
            self.left = left.as_ref().map(Spilled::read).transpose()?;
            self.right = right.as_ref().map(Spilled::read).transpose()?;
        }
    }

    fn take_overflow(&mut self) -> DfResult<()> {
        let files = |overflow: Option<Partitions>| match overflow {
            Some(overflow) => overflow.finish(),
            None => Ok((0..crate::memory::PARTITIONS).map(|_| None).collect()),
        };
        let left = files(self.left_overflow.take())?;
        let right = files(self.right_overflow.take())?;
        for (left, right) in left.into_iter().zip(right) {
            // Without rows on the left side there is nothing to give.
            if left.is_some() {
                self.waiting.push((left, right, self.level + 1));
            }
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.right_overflow.is_some() || self.left_overflow.is_some()
    }

    fn has_room(&self, key: &[u8]) -> bool {
        !self.is_full()
            && (self.memory.try_grow(key.len() + ENTRY_BYTES).is_ok() || self.counts.is_empty())
    }

    fn keys(&self, batch: &RecordBatch) -> DfResult<Vec<Vec<u8>>> {
        let columns: Vec<usize> = (0..self.types.len()).collect();
        keys(batch, &columns, &self.types).map_err(external)
    }

    fn count(&mut self, batch: &RecordBatch) -> DfResult<()> {
        let mut spilled = Vec::new();
        for (row, key) in self.keys(batch)?.into_iter().enumerate() {
            if let Some((count, _)) = self.counts.get_mut(&key) {
                *count += 1;
            } else if spilled.is_empty() && self.has_room(&key) {
                self.counts.insert(key, (1, false));
            } else {
                spilled.push((row as u32, key));
            }
        }
        overflow(&mut self.right_overflow, batch, &spilled, &self.task, self.level)
    }

    fn given(&mut self, batch: &RecordBatch) -> DfResult<RecordBatch> {
        let (mut rows, mut spilled) = (Vec::new(), Vec::new());
        for (row, key) in self.keys(batch)?.into_iter().enumerate() {
            // EXCEPT without ALL remembers what it gave; the others need no key of the left side.
            let remembers = self.op == SetOperator::Except && !self.all;
            let is_known = self.counts.contains_key(&key);
            if !is_known && (self.is_full() || !spilled.is_empty()) {
                spilled.push((row as u32, key));
                continue;
            }
            if !is_known && remembers && !self.has_room(&key) {
                spilled.push((row as u32, key));
                continue;
            }
            if self.wants(key, remembers) {
                rows.push(row as u32);
            }
        }
        overflow(&mut self.left_overflow, batch, &spilled, &self.task, self.level)?;
        pick(batch, rows)
    }

    /// Whether a row of the left side with this key is given.
    fn wants(&mut self, key: Vec<u8>, remembers: bool) -> bool {
        let mut entry = match self.counts.entry(key) {
            Entry::Occupied(entry) => entry,
            Entry::Vacant(entry) => {
                if remembers {
                    entry.insert((0, true));
                }
                return self.op == SetOperator::Except;
            }
        };
        let (count, given) = entry.get_mut();
        match (self.op, self.all) {
            (SetOperator::Intersect, false) => *count > 0 && !std::mem::replace(given, true),
            (SetOperator::Except, false) => *count == 0 && !std::mem::replace(given, true),
            (SetOperator::Union, _) => true,
            (op, true) => {
                let had = *count > 0;
                *count -= usize::from(had);
                had == (op == SetOperator::Intersect)
            }
        }
    }
}

fn overflow(
    partitions: &mut Option<Partitions>,
    batch: &RecordBatch,
    spilled: &[(u32, Vec<u8>)],
    task: &Arc<TaskContext>,
    level: u32,
) -> DfResult<()> {
    if spilled.is_empty() {
        return Ok(());
    }
    if partitions.is_none() {
        *partitions = Some(Partitions::new("set operation", batch.schema(), task.clone(), level)?);
    }
    match partitions {
        Some(partitions) => partitions.add(batch, spilled),
        None => Ok(()),
    }
}
