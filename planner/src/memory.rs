//! What a query holds, counted against one bound; and files for what may lie on disk instead.
//!
//! ```text
//! operator ── try_grow ──► QueryPool ── no room ──► spill, if the operator can
//!                                          └──────► 53200 out of memory
//! ```
//!
//! Whatever grows with the data is counted here: rows, keys of hash tables, results that are kept.
//! A batch on its way between two operators is not.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aegis_types::Datum;
use arrow::array::{RecordBatch, UInt32Array};
use arrow::datatypes::SchemaRef;
use datafusion::common::{DataFusionError, Result as DfResult};
use datafusion::execution::memory_pool::{
    MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation,
};
use datafusion::execution::{SendableRecordBatchStream, SpillFile, TaskContext};
use datafusion::physical_plan::SpillManager;
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, SpillMetrics};

/// How many files what does not fit is spread over.
pub(crate) const PARTITIONS: usize = 16;
/// How often what does not fit is spread again.
pub(crate) const LEVELS_MAX: u32 = 6;

/// The memory of one query.
#[derive(Debug)]
pub(crate) struct QueryPool {
    used: AtomicUsize,
    limit: usize,
}

impl QueryPool {
    pub(crate) const fn new(limit: usize) -> Self {
        Self { used: AtomicUsize::new(0), limit }
    }
}

impl fmt::Display for QueryPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} bytes", self.reserved(), self.limit)
    }
}

impl MemoryPool for QueryPool {
    fn name(&self) -> &str {
        "query"
    }

    fn grow(&self, _: &MemoryReservation, additional: usize) {
        self.used.fetch_add(additional, Ordering::Relaxed);
    }

    fn shrink(&self, _: &MemoryReservation, shrink: usize) {
        self.used.fetch_sub(shrink, Ordering::Relaxed);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> DfResult<()> {
        // Who can go on in files leaves a quarter to those who cannot.
        let is_able = reservation.consumer().can_spill();
        let limit = if is_able { self.limit / 4 * 3 } else { self.limit };
        let grown = |used: usize| used.checked_add(additional).filter(|used| *used <= limit);
        match self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown) {
            Ok(_) => Ok(()),
            Err(_) => Err(DataFusionError::ResourcesExhausted(format!(
                "Failed on request of size {additional} in memory context \"{}\".",
                reservation.consumer().name()
            ))),
        }
    }

    fn reserved(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.limit)
    }
}

/// A share of the query's memory, empty at first.
pub(crate) fn reserve(name: &str, task: &TaskContext) -> MemoryReservation {
    MemoryConsumer::new(name).register(task.memory_pool())
}

/// A share of the query's memory for an operator that can go on in files.
pub(crate) fn reserve_spilling(name: &str, task: &TaskContext) -> MemoryReservation {
    MemoryConsumer::new(name).with_can_spill(true).register(task.memory_pool())
}

/// About how many bytes a row takes.
pub(crate) fn row_size(row: &[Datum]) -> usize {
    24 + row.iter().map(datum_size).sum::<usize>()
}

/// Likewise of rows together.
pub(crate) fn size_of_rows(rows: &[Vec<Datum>]) -> usize {
    rows.iter().map(|row| row_size(row)).sum()
}

/// About how many bytes a value takes.
pub(crate) fn datum_size(value: &Datum) -> usize {
    const OWN: usize = std::mem::size_of::<Datum>();
    OWN + match value {
        Datum::Text(text) => text.len() + 16,
        Datum::Bytea(bytes) => bytes.len() + 16,
        Datum::Jsonb(jsonb) => jsonb.as_bytes().len() + 16,
        Datum::Numeric(_) => 32,
        Datum::Array(array) => 64 + array.elements.iter().map(datum_size).sum::<usize>(),
        Datum::Record(fields) => 16 + fields.iter().map(datum_size).sum::<usize>(),
        _ => 0,
    }
}

/// Rows, and the share of memory that they take.
pub(crate) struct Held {
    pub(crate) rows: Vec<Vec<Datum>>,
    pub(crate) memory: MemoryReservation,
}

impl Deref for Held {
    type Target = [Vec<Datum>];

    fn deref(&self) -> &Self::Target {
        &self.rows
    }
}

type Write = dyn FnMut(Option<&RecordBatch>) -> DfResult<Option<Arc<dyn SpillFile>>> + Send;

/// A file of batches being written; it is deleted when it is read or given up.
pub(crate) struct Spill {
    manager: SpillManager,
    write: Box<Write>,
}

/// A file of batches.
#[derive(Clone)]
pub(crate) struct Spilled {
    manager: SpillManager,
    file: Arc<dyn SpillFile>,
}

impl Spill {
    pub(crate) fn new(name: &str, schema: &SchemaRef, task: &TaskContext) -> DfResult<Self> {
        let metrics = SpillMetrics::new(&ExecutionPlanMetricsSet::new(), 0);
        let manager = SpillManager::new(task.runtime_env(), metrics, schema.clone());
        let mut file = manager.create_in_progress_file(name)?;
        tracing::debug!(operator = name, "spills");
        let write = move |batch: Option<&RecordBatch>| match batch {
            Some(batch) => file.append_batch(batch).map(|_| None),
            None => file.finish(),
        };
        Ok(Self { manager, write: Box::new(write) })
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> DfResult<()> {
        (self.write)(Some(batch)).map(|_| ())
    }

    /// The file; none if nothing was written.
    pub(crate) fn finish(mut self) -> DfResult<Option<Spilled>> {
        let file = (self.write)(None)?;
        Ok(file.map(|file| Spilled { manager: self.manager, file }))
    }
}

impl Spilled {
    pub(crate) fn read(&self) -> DfResult<SendableRecordBatchStream> {
        self.manager.read_spill_as_stream_unbuffered(self.file.clone(), None)
    }
}

/// Rows spread over files by a hash of their keys: equal keys lie in one file, in their order.
pub(crate) struct Partitions {
    name: &'static str,
    schema: SchemaRef,
    task: Arc<TaskContext>,
    level: u32,
    files: Vec<Option<Spill>>,
}

impl Partitions {
    /// Partitions of what did not fit at this level.
    ///
    /// # Errors
    /// 53200 if it was spread too often: its keys are too few to be told apart.
    pub(crate) fn new(
        name: &'static str,
        schema: SchemaRef,
        task: Arc<TaskContext>,
        level: u32,
    ) -> DfResult<Self> {
        if level >= LEVELS_MAX {
            return Err(DataFusionError::ResourcesExhausted(format!(
                "Failed on request of size {} in memory context \"{name}\".",
                task.memory_pool().reserved()
            )));
        }
        let files = (0..PARTITIONS).map(|_| None).collect();
        Ok(Self { name, schema, task, level, files })
    }

    /// Which partition a key lies in.
    fn place(&self, key: &[u8]) -> usize {
        let mut hasher = DefaultHasher::new();
        (self.level, key).hash(&mut hasher);
        usize::try_from(hasher.finish() % PARTITIONS as u64).unwrap_or(0)
    }

    /// Adds rows of a batch: their places, and their keys.
    pub(crate) fn add(&mut self, batch: &RecordBatch, rows: &[(u32, Vec<u8>)]) -> DfResult<()> {
        let mut places = vec![Vec::new(); PARTITIONS];
        for (row, key) in rows {
            places[self.place(key)].push(*row);
        }
        for (at, rows) in places.into_iter().enumerate() {
            if rows.is_empty() {
                continue;
            }
            let own = arrow::compute::take_record_batch(batch, &UInt32Array::from(rows))?;
            if self.files[at].is_none() {
                self.files[at] = Some(Spill::new(self.name, &self.schema, &self.task)?);
            }
            if let Some(file) = &mut self.files[at] {
                file.write(&own)?;
            }
        }
        Ok(())
    }

    /// The files, with `None` for an empty partition.
    pub(crate) fn finish(self) -> DfResult<Vec<Option<Spilled>>> {
        self.files.into_iter().map(|file| file.map_or(Ok(None), Spill::finish)).collect()
    }
}
