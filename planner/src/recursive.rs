//! `WITH RECURSIVE`: the first term once, then the second over what the step before gave, until a
//! step gives nothing. Steps stream, so that a `LIMIT` above ends an endless recursion.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use aegis_types::{SqlResult, TypeRef};
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::physical_plan::ExecutionPlan;
use futures::stream::StreamExt;

use crate::memory::{Held, reserve};
use crate::node::{Node, batches};
use crate::plan::row_key;
use crate::run::{Rows, Run, Shared, external, sql_error};
use crate::subquery::Part;

/// A recursive query.
pub(crate) struct RecursivePlan {
    /// What its working table is known by.
    pub(crate) number: usize,
    pub(crate) base: Arc<Part>,
    pub(crate) step: Arc<Part>,
    /// `UNION ALL`
    pub(crate) all: bool,
}

struct State {
    run: Arc<Run>,
    types: Vec<TypeRef>,
    number: usize,
    base: Arc<Part>,
    step: Arc<Part>,
    seen: Option<HashSet<Vec<u8>>>,
    /// For what is seen.
    memory: MemoryReservation,
    last: Option<Rows>,
    ready: VecDeque<arrow::array::RecordBatch>,
}

impl RecursivePlan {
    pub(crate) fn start(
        &self,
        types: &[TypeRef],
        run: &Arc<Run>,
    ) -> SqlResult<Arc<dyn ExecutionPlan>> {
        let (number, all) = (self.number, self.all);
        let (base, step) = (self.base.clone(), self.step.clone());
        let (run, types_of_output) = (run.clone(), types.to_vec());
        Ok(Node::new("Recursive Union", types, Vec::new(), move |_, task| {
            let state = State {
                memory: reserve("recursive union", &task),
                run: run.clone(),
                types: types_of_output.clone(),
                number,
                base: base.clone(),
                step: step.clone(),
                seen: (!all).then(HashSet::new),
                last: None,
                ready: VecDeque::new(),
            };
            Ok(futures::stream::try_unfold(state, |mut state| async move {
                while state.ready.is_empty() {
                    if !state.advance().map_err(external)? {
                        return Ok(None);
                    }
                }
                Ok(state.ready.pop_front().map(|batch| (batch, state)))
            })
            .boxed())
        }))
    }
}

impl State {
    fn advance(&mut self) -> SqlResult<bool> {
        self.run.context.cancel.check()?;
        let rows = match &self.last {
            None => self.base.compute(&self.run, usize::MAX)?,
            Some(last) if last.is_empty() => return Ok(false),
            Some(last) => {
                let task = &self.run.task;
                let shared = Shared::step(&self.run.shared, self.number, last.clone(), task);
                self.step.compute(&self.run.with_shared(shared), usize::MAX)?
            }
        };
        let Held { rows, memory } = rows;
        let rows = match &mut self.seen {
            None => rows,
            Some(seen) => {
                let mut fresh = Vec::new();
                for row in rows {
                    let key = row_key(&row, 0..row.len(), &self.types)?;
                    let size = key.capacity() + 48;
                    if seen.insert(key) {
                        self.memory.try_grow(size).map_err(sql_error)?;
                        fresh.push(row);
                    }
                }
                fresh
            }
        };
        self.ready.extend(batches(&self.types, &rows)?);
        self.last = Some(Arc::new(Held { rows, memory }));
        Ok(true)
    }
}
