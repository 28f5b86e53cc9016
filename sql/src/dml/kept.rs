//! What a statement keeps from one run to the next: its plan, and what a change of data has compiled.
//! All of it holds for one catalog; who analyzes the statement anew begins with nothing kept.

use std::any::Any;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use aegis_storage::TableLockMode;
use aegis_types::{Oid, SqlResult};
use parking_lot::Mutex;

use crate::analyze::{asks_nobody, only_waits, with_values};
use crate::bound::{BoundStatement, Query};
use crate::query_engine::{QueryEngine, QueryPlan, StatementContext};
use crate::settings::PlanCacheMode;

/// The room for it, shared by all who run the statement.
#[derive(Clone, Default)]
pub struct Kept(Arc<Rooms>);

#[derive(Default)]
struct Rooms {
    plan: Mutex<Option<KeptPlan>>,
    /// How often a short plan had to go for one by other values.
    replaced: AtomicU32,
    compiled: OnceLock<Arc<dyn Any + Send + Sync>>,
    /// The tables that are locked before it runs, and how.
    locks: OnceLock<Arc<[TableLock]>>,
    /// The role that may run it, as was last looked at.
    allowed: AtomicU32,
    /// Whether nothing in it asks the session.
    asks_nobody: OnceLock<bool>,
    /// Whether it does nothing but wait.
    only_waits: OnceLock<bool>,
}

/// A short plan is made for the values of its parameters so often; then for any. PostgreSQL does alike.
const REPLACED_MAX: u32 = 5;

/// A table that a statement locks.
#[derive(Clone, Copy, Debug)]
pub struct TableLock {
    /// Its database.
    pub database: Oid,
    /// The table.
    pub relation: Oid,
    /// How.
    pub mode: TableLockMode,
}

/// A plan, and the first snapshot that it is good for: an index may be younger than an old one.
#[derive(Clone)]
struct KeptPlan {
    plan: Arc<dyn QueryPlan>,
    since: u64,
    /// Made for any values.
    is_generic: bool,
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept")
    }
}

impl Kept {
    /// The plan of the statement's query, made if there is none that is still good: for the values of
    /// its parameters or for any, as `plan_cache_mode` says.
    ///
    /// # Errors
    /// What planning raises.
    pub fn plan(
        &self,
        engine: &dyn QueryEngine,
        query: &Arc<Query>,
        context: &StatementContext,
    ) -> SqlResult<Arc<dyn QueryPlan>> {
        let now = context.view.seq().0;
        let has_values = !context.parameters.is_empty();
        let mode = context.shortcuts.plan_cache;
        if mode == PlanCacheMode::Custom && has_values {
            return engine.plan(&with_values(query, &context.evaluation())?, context);
        }
        let kept = self.0.plan.lock().clone();
        if let Some(KeptPlan { plan, since, is_generic }) = kept
            && since <= now
            && self.is_wanted(mode, is_generic, has_values)
        {
            if plan.is_current(context) {
                return Ok(plan);
            }
            if plan.is_short() {
                self.0.replaced.fetch_add(1, Ordering::Relaxed);
            }
        }
        let is_generic = has_values && self.plans_for_any(mode);
        let plan = if is_generic {
            let parameters = Arc::default();
            engine.plan(query, &StatementContext { parameters, ..context.clone() })?
        } else {
            engine.plan(query, context)?
        };
        *self.0.plan.lock() = Some(KeptPlan { plan: plan.clone(), since: now, is_generic });
        Ok(plan)
    }

    fn plans_for_any(&self, mode: PlanCacheMode) -> bool {
        mode == PlanCacheMode::Generic || self.0.replaced.load(Ordering::Relaxed) >= REPLACED_MAX
    }

    /// Whether a plan is of the kind that would be made now: others who run the statement may want
    /// another one.
    fn is_wanted(&self, mode: PlanCacheMode, is_generic: bool, has_values: bool) -> bool {
        !has_values || is_generic == self.plans_for_any(mode)
    }

    /// The tables that the statement locks, found by whoever runs it first.
    pub fn locks(&self, find: impl FnOnce() -> Vec<TableLock>) -> Arc<[TableLock]> {
        self.0.locks.get_or_init(|| find().into()).clone()
    }

    /// Whether a role was found to be allowed to run the statement, by the catalog that it was
    /// analyzed with.
    #[must_use]
    pub fn is_allowed(&self, role: Oid) -> bool {
        role.is_some() && self.0.allowed.load(Ordering::Relaxed) == role.0
    }

    /// Notes that a role is allowed to run it.
    pub fn allow(&self, role: Oid) {
        self.0.allowed.store(role.0, Ordering::Relaxed);
    }

    /// Whether running the statement asks the session for nothing, found by whoever runs it first.
    pub fn asks_nobody(&self, statement: &BoundStatement) -> bool {
        *self.0.asks_nobody.get_or_init(|| asks_nobody(statement))
    }

    /// Whether the statement calls a function that waits and does nothing besides, so that it can be run
    /// anew instead; found by whoever runs it first.
    pub fn only_waits(&self, statement: &BoundStatement) -> bool {
        *self.0.only_waits.get_or_init(|| only_waits(statement))
    }

    /// What the statement has compiled, by whoever runs it first.
    ///
    /// # Errors
    /// What compiling raises.
    pub(super) fn compiled<T: Any + Send + Sync>(
        &self,
        compile: impl FnOnce() -> SqlResult<T>,
    ) -> SqlResult<Arc<T>> {
        if let Some(found) = self.0.compiled.get().cloned()
            && let Ok(found) = found.downcast::<T>()
        {
            return Ok(found);
        }
        let made = Arc::new(compile()?);
        let _kept_by_another = self.0.compiled.set(made.clone());
        Ok(made)
    }
}
