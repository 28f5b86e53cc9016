//! `FOR UPDATE` within a query: rows are locked one at a time as they are asked for, so that a `LIMIT`
//! above leaves the others alone (PostgreSQL's LockRows).
//!
//! A row that has changed since the snapshot is computed again from what it is now, by `sql`, which
//! plans its query anew with known rows. What that query takes from those around it is handed over.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use aegis_sql::bound::{Expr, Query, RangeTableEntry, RteKind};
use aegis_sql::dml::{Around, KeptRows, LockedQuery, ReturnedRows};
use aegis_types::{Datum, SqlError, SqlResult, TypeRef};
use datafusion::common::DataFusionError;
use datafusion::physical_plan::ExecutionPlan;
use futures::stream::{StreamExt, TryStreamExt};

use crate::arrow_types::{batch_of, rows_of, schema};
use crate::node::Node;
use crate::plan::Plan;
use crate::rewrite::{Visitor, visit_query};
use crate::run::{Run, external};
use crate::scalar::Scalar;
use crate::subquery::Part;

/// Rows to be locked.
pub(crate) struct LockRowsPlan {
    pub(crate) input: Box<Plan>,
    pub(crate) source: Arc<LockedQuery>,
    pub(crate) taken: Arc<Taken>,
}

/// What a locking query takes from the queries around it.
#[derive(Default)]
pub(crate) struct Taken {
    /// Columns, by levels outward, entry and number, and where their values come from.
    pub(crate) columns: BTreeMap<(usize, usize, i16), Arc<Scalar>>,
    /// Common table expressions that its subqueries read, by levels outward and number.
    pub(crate) ctes: BTreeMap<(usize, usize), Arc<Part>>,
}

impl Taken {
    fn around(&self, run: &Run) -> SqlResult<Around> {
        let value = |(name, scalar): (&_, &Arc<Scalar>)| Ok((*name, scalar.alone(run)?));
        let rows = |(name, part): (&_, &Arc<Part>)| Ok((*name, Arc::new(kept(part, run)?)));
        Ok(Around {
            columns: self.columns.iter().map(value).collect::<SqlResult<_>>()?,
            ctes: self.ctes.iter().map(rows).collect::<SqlResult<_>>()?,
        })
    }
}

fn kept(part: &Part, run: &Run) -> SqlResult<KeptRows> {
    let (types, context) = (part.plan.types.clone(), &run.context);
    let mut kept = ReturnedRows::new(types, context.memory_bytes, context.temporary_files.clone());
    for row in part.rows(Vec::new(), run)?.iter() {
        kept.push(row.clone())?;
    }
    kept.keep()
}

/// What a query names of those around it.
#[derive(Default)]
pub(crate) struct Outward {
    /// Levels outward, entry, number.
    pub(crate) columns: BTreeMap<(usize, usize, i16), TypeRef>,
    /// Levels outward and number, of those that are read within subqueries.
    pub(crate) ctes: BTreeMap<(usize, usize), ()>,
}

impl Outward {
    pub(crate) fn of(query: &Query) -> Self {
        let mut outward = Self::default();
        visit_query(query, 0, &mut outward);
        outward
    }
}

impl Visitor for Outward {
    fn expr(&mut self, expr: &Expr, level: usize) {
        if let Expr::Column { entry, column, levels_up, ty } = expr
            && *levels_up > level
        {
            self.columns.insert((levels_up - level, *entry, *column), *ty);
        }
    }

    fn entry(&mut self, entry: &RangeTableEntry, level: usize) {
        // What the query itself reads of them is known when a row is looked at again.
        if let RteKind::Cte { index, levels_up } = entry.kind
            && levels_up > level
            && level > 0
        {
            self.ctes.insert((levels_up - level, index), ());
        }
    }
}

struct Locking {
    source: Arc<LockedQuery>,
    taken: Arc<Taken>,
    types: Vec<TypeRef>,
    run: Arc<Run>,
}

impl Locking {
    async fn lock(&self, found: Vec<Datum>) -> SqlResult<Option<Vec<Datum>>> {
        let context = &self.run.context;
        context.cancel.check()?;
        let Some(locks) = &context.locks else {
            return Err(SqlError::unsupported("a locking clause in this place"));
        };
        locks.lock(context, &self.source, found, || self.taken.around(&self.run)).await
    }
}

impl LockRowsPlan {
    pub(crate) fn start(
        &self,
        types: &[TypeRef],
        run: &Arc<Run>,
    ) -> SqlResult<Arc<dyn ExecutionPlan>> {
        let child = self.input.start(run)?;
        let locking = Arc::new(Locking {
            source: self.source.clone(),
            taken: self.taken.clone(),
            types: types.to_vec(),
            run: run.clone(),
        });
        Ok(Node::new("LockRows", types, vec![child], move |mut inputs, _| {
            let state = (locking.clone(), inputs.swap_remove(0), VecDeque::new());
            let stream = futures::stream::try_unfold(
                state,
                |(locking, mut input, mut found): (_, _, VecDeque<Vec<Datum>>)| async move {
                    loop {
                        let Some(row) = found.pop_front() else {
                            let Some(batch) = input.try_next().await? else { return Ok(None) };
                            found.extend(rows_of(&batch, &locking.types));
                            continue;
                        };
                        if let Some(row) = locking.lock(row).await.map_err(external)? {
                            let types = &locking.types;
                            let batch = batch_of(&schema(types), types, &[row]);
                            let batch = batch.map_err(external)?;
                            return Ok::<_, DataFusionError>(Some((
                                batch,
                                (locking, input, found),
                            )));
                        }
                    }
                },
            );
            Ok(stream.boxed())
        }))
    }
}
