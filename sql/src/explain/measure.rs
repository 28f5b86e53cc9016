//! What running a plan counts: rows, loops and time, by node.
//!
//! A node is known by the address of its plan. Plans that are measured are kept as long as the
//! measure is, so that no other plan can come to lie at the same place.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::Actual;
use crate::query_engine::QueryPlan;

/// So many plans of a statement are measured at most: those of its foreign keys and rechecks, of
/// which it may have any number, come after its own.
const PLANS_MAX: usize = 64;

/// The counters of one statement.
#[derive(Default)]
pub struct Measure {
    timing: bool,
    planning_ns: AtomicU64,
    nodes: Mutex<HashMap<usize, Arc<NodeCounters>>>,
    plans: Mutex<Vec<Arc<dyn QueryPlan>>>,
}

/// The counters of one node.
#[derive(Debug, Default)]
pub struct NodeCounters {
    timing: bool,
    rows: AtomicU64,
    loops: AtomicU64,
    startup_ns: AtomicU64,
    total_ns: AtomicU64,
    removed: AtomicU64,
}

impl Measure {
    /// Counters at 0; `timing` says whether clocks are read.
    #[must_use]
    pub fn new(timing: bool) -> Self {
        Self { timing, ..Self::default() }
    }

    /// The counters of the node at this address.
    pub fn node(&self, address: usize) -> Arc<NodeCounters> {
        let mut nodes = self.nodes.lock();
        let new = || Arc::new(NodeCounters { timing: self.timing, ..NodeCounters::default() });
        nodes.entry(address).or_insert_with(new).clone()
    }

    /// Whether one more plan can be measured.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.plans.lock().len() < PLANS_MAX
    }

    /// Keeps a plan that is to be measured.
    pub fn keep(&self, plan: Arc<dyn QueryPlan>) {
        self.plans.lock().push(plan);
    }

    /// Adds to the time that planning took.
    pub fn planned(&self, time: Duration) {
        self.planning_ns.fetch_add(nanoseconds(time), Relaxed);
    }

    /// The plans that were measured, in the order they were made.
    #[must_use]
    pub fn plans(&self) -> Vec<Arc<dyn QueryPlan>> {
        self.plans.lock().clone()
    }

    /// The time that planning took, in milliseconds.
    #[must_use]
    pub fn planning_ms(&self) -> f64 {
        milliseconds(self.planning_ns.load(Relaxed))
    }
}

impl NodeCounters {
    /// Begins a loop.
    pub fn begin(&self) {
        self.loops.fetch_add(1, Relaxed);
    }

    /// The clock, where times are measured.
    #[must_use]
    pub fn clock(&self) -> Option<Instant> {
        self.timing.then(Instant::now)
    }

    /// Adds time since then; `first` says whether the loop has given no row yet.
    pub fn spent(&self, since: Option<Instant>, first: bool) {
        if let Some(since) = since {
            let time = nanoseconds(since.elapsed());
            self.total_ns.fetch_add(time, Relaxed);
            if first {
                self.startup_ns.fetch_add(time, Relaxed);
            }
        }
    }

    /// Adds rows that were given.
    pub fn gave(&self, rows: usize) {
        self.rows.fetch_add(rows as u64, Relaxed);
    }

    /// Adds rows that a condition removed.
    pub fn removed(&self, rows: usize) {
        self.removed.fetch_add(rows as u64, Relaxed);
    }

    /// Rows given, over all loops.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows.load(Relaxed)
    }

    /// Rows that a condition removed, over all loops.
    #[must_use]
    pub fn rows_removed(&self) -> u64 {
        self.removed.load(Relaxed)
    }

    /// The figures, over all loops.
    #[must_use]
    pub fn actual(&self) -> Actual {
        Actual {
            startup_ms: milliseconds(self.startup_ns.load(Relaxed)),
            total_ms: milliseconds(self.total_ns.load(Relaxed)),
            rows: self.rows.load(Relaxed) as f64,
            loops: self.loops.load(Relaxed) as f64,
        }
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn milliseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e6
}
