//! The plan of a query: what is computed, in which order, independent of any execution.
//!
//! ```text
//! bound::Query ── build ──► Plan ── start(run) ──► ExecutionPlan ──► batches
//! ```
//!
//! Nodes of DataFusion keep state of their execution, so they are made anew for each one; a
//! [`Plan`] is what is kept and shared.

use std::sync::Arc;

use aegis_catalog::Relation;
use aegis_types::{Datum, SqlError, SqlResult, SqlState, TypeRef, key, type_oid};
use arrow::compute::SortOptions;
use datafusion::common::{JoinSide, NullEquality};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::utils::{ColumnIndex, JoinFilter};
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec, PartitionMode};
use datafusion::physical_plan::limit::GlobalLimitExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use futures::stream::StreamExt;

use crate::aggregate::AggregatePlan;
use crate::arrow_types::{batch_of, schema};
use crate::duplicates::{DistinctPlan, SetOperationPlan};
use crate::explain::{Described, Names};
use crate::lock_rows::LockRowsPlan;
use crate::lookup::LookupPlan;
use crate::node::{Node, batches};
use crate::recursive::RecursivePlan;
use crate::run::{Run, external, sql_error};
use crate::scalar::Scalar;
use crate::scan::ScanPlan;
use crate::subquery::{CtePlan, LateralPlan};
use crate::window::WindowPlan;

/// A plan, and the types of its columns.
pub(crate) struct Plan {
    pub(crate) kind: PlanKind,
    pub(crate) types: Vec<TypeRef>,
    /// About how many rows it gives.
    pub(crate) rows: f64,
    /// Whether they come in the order that its query asks for.
    pub(crate) ordered: bool,
    /// What its columns are called, for EXPLAIN.
    pub(crate) origin: Option<Origin>,
}

/// What the columns of a plan are.
#[derive(Clone)]
pub(crate) struct Origin {
    /// Their query, and those around.
    pub(crate) names: Arc<Names>,
    /// The entry whose columns they are; none for the targets.
    pub(crate) entry: Option<usize>,
}

/// What a plan does.
pub(crate) enum PlanKind {
    /// One row with a column that nobody reads.
    OneRow,
    Scan(ScanPlan),
    System {
        name: Arc<str>,
        columns: Vec<usize>,
    },
    /// The one row of a sequence.
    Sequence(Arc<Relation>),
    Values(Vec<Vec<Arc<Scalar>>>),
    /// Rows that a statement of `WITH` has returned.
    Returned(Arc<aegis_sql::dml::KeptRows>),
    Functions(crate::functions::FunctionsPlan),
    Filter(Box<Plan>, Arc<Scalar>, Described),
    OneTime(OneTimePlan),
    Project(Box<Plan>, Vec<Arc<Scalar>>),
    ProjectSet(Box<Plan>, Vec<crate::functions::SetTarget>),
    Join(JoinPlan),
    Lookup(LookupPlan),
    Lateral(LateralPlan),
    Sort(SortPlan),
    Aggregate(AggregatePlan),
    Window(WindowPlan),
    Distinct(DistinctPlan),
    SetOperation(SetOperationPlan),
    Append(Box<Plan>, Box<Plan>),
    Limit(LimitPlan),
    /// A subquery that is planned by itself, for EXPLAIN.
    SubqueryScan(Box<Plan>),
    LockRows(LockRowsPlan),
    Cte(CtePlan),
    Recursive(RecursivePlan),
    WorkTable(usize),
}

/// The kinds of join; a semi or anti join gives the left side's columns alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JoinType {
    Inner,
    Left,
    Right,
    Full,
    Semi,
    Anti,
}

/// A join.
pub(crate) struct JoinPlan {
    pub(crate) kind: JoinType,
    pub(crate) left: Box<Plan>,
    pub(crate) right: Box<Plan>,
    /// What must be equal: over the left side, over the right side.
    pub(crate) keys: Vec<(Arc<Scalar>, Arc<Scalar>)>,
    /// The rest of the condition, over the columns of both.
    pub(crate) filter: Option<Arc<Scalar>>,
    /// The keys' conditions and the others, for EXPLAIN.
    pub(crate) equal: Vec<Described>,
    pub(crate) rest: Vec<Described>,
}

/// Rows that are there only if conditions over none of them are true.
pub(crate) struct OneTimePlan {
    pub(crate) input: Box<Plan>,
    pub(crate) conditions: Arc<[Arc<Scalar>]>,
    pub(crate) described: Vec<Described>,
    /// Whether one of them is seen never to be true.
    pub(crate) is_never: bool,
}

/// A sort.
pub(crate) struct SortPlan {
    pub(crate) input: Box<Plan>,
    pub(crate) keys: Vec<SortColumn>,
    pub(crate) described: Vec<Described>,
}

/// A column to sort by.
pub(crate) struct SortColumn {
    pub(crate) scalar: Arc<Scalar>,
    pub(crate) descending: bool,
    pub(crate) nulls_first: bool,
}

/// `LIMIT` and `OFFSET`.
pub(crate) struct LimitPlan {
    pub(crate) input: Box<Plan>,
    pub(crate) limit: Option<Arc<Scalar>>,
    pub(crate) offset: Option<Arc<Scalar>>,
    /// `WITH TIES`: the columns sorted by.
    pub(crate) ties: Option<Vec<usize>>,
}

impl Plan {
    pub(crate) fn new(kind: PlanKind, types: Vec<TypeRef>) -> Self {
        let rows = match &kind {
            PlanKind::OneRow => 1.0,
            PlanKind::Values(rows) => rows.len() as f64,
            PlanKind::Aggregate(aggregate) if aggregate.groups.is_empty() => 1.0,
            PlanKind::Aggregate(aggregate) => (aggregate.input.rows / 10.0).max(1.0),
            PlanKind::Window(window) => window.input.rows,
            PlanKind::Distinct(distinct) => (distinct.input.rows / 2.0).max(1.0),
            PlanKind::SetOperation(operation) => operation.left.rows,
            PlanKind::Append(left, right) => left.rows + right.rows,
            PlanKind::Cte(cte) => cte.part.plan.rows,
            _ => 1000.0,
        };
        Self { kind, types, rows, ordered: false, origin: None }
    }

    pub(crate) fn with_rows(self, rows: f64) -> Self {
        Self { rows, ..self }
    }

    pub(crate) fn with_origin(self, names: Arc<Names>, entry: Option<usize>) -> Self {
        Self { origin: Some(Origin { names, entry }), ..self }
    }

    /// The plan in one execution.
    pub(crate) fn start(&self, run: &Arc<Run>) -> SqlResult<Arc<dyn ExecutionPlan>> {
        Ok(self.measured(self.node(run)?, run))
    }

    fn node(&self, run: &Arc<Run>) -> SqlResult<Arc<dyn ExecutionPlan>> {
        let run = &self.below(run);
        match &self.kind {
            PlanKind::OneRow => self.rows(|_| Ok(vec![vec![Datum::Null]]), run),
            PlanKind::Scan(scan) => scan.start(&self.types, run),
            PlanKind::System { name, columns } => {
                let (name, columns) = (name.clone(), columns.clone());
                self.rows(
                    move |run| {
                        let rows = run.system_rows(&name)?;
                        Ok(rows
                            .iter()
                            .map(|row| columns.iter().map(|at| row[*at].clone()).collect())
                            .collect())
                    },
                    run,
                )
            }
            PlanKind::Sequence(sequence) => {
                let sequence = sequence.clone();
                self.rows(
                    move |run| Ok(vec![run.context.system_relations.sequence_row(&sequence)?]),
                    run,
                )
            }
            PlanKind::Values(rows) if run.is_stepping && self.steps() => {
                let (rows, types, run) = (rows.clone(), self.types.clone(), run.clone());
                Ok(Node::new("Result", &self.types, Vec::new(), move |_, _| {
                    let (types, run) = (types.clone(), run.clone());
                    let made = rows.clone().into_iter().map(move |row| {
                        let values = row.iter().map(|scalar| scalar.alone(&run));
                        let values = values.collect::<SqlResult<Vec<Datum>>>();
                        values
                            .and_then(|row| batch_of(&schema(&types), &types, &[row]))
                            .map_err(external)
                    });
                    Ok(futures::stream::iter(made).boxed())
                }))
            }
            PlanKind::Values(rows) => {
                let rows = rows.clone();
                self.rows(
                    move |run| {
                        rows.iter()
                            .map(|row| row.iter().map(|scalar| scalar.alone(run)).collect())
                            .collect()
                    },
                    run,
                )
            }
            PlanKind::Returned(rows) => {
                let (rows, types) = (rows.clone(), self.types.clone());
                Ok(Node::new("CTE Scan", &self.types, Vec::new(), move |_, _| {
                    let types = types.clone();
                    let made = rows.batches().flat_map(move |rows| {
                        match rows.and_then(|rows| batches(&types, &rows)) {
                            Ok(batches) => batches.into_iter().map(Ok).collect(),
                            Err(error) => vec![Err(external(error))],
                        }
                    });
                    Ok(futures::stream::iter(made).boxed())
                }))
            }
            PlanKind::Functions(functions) => functions.start(&self.types, run),
            PlanKind::Filter(input, predicate, _) if run.is_stepping && self.steps() => {
                let child = input.start_alone(predicate.is_volatile(), run)?;
                Ok(crate::stepwise::filter(&self.types, predicate, child, run))
            }
            PlanKind::Filter(input, predicate, _) => {
                let filter = FilterExec::try_new(predicate.physical(run), input.start(run)?);
                Ok(Arc::new(filter.map_err(sql_error)?))
            }
            PlanKind::Project(input, exprs) => {
                let alone = exprs.iter().any(|scalar| scalar.is_volatile());
                let child = input.start_alone(alone, run)?;
                let exprs: Vec<_> = exprs
                    .iter()
                    .enumerate()
                    .map(|(at, scalar)| (scalar.physical(run), format!("c{at}")))
                    .collect();
                let project = ProjectionExec::try_new(exprs, child);
                Ok(Arc::new(project.map_err(sql_error)?))
            }
            PlanKind::ProjectSet(input, targets) => {
                crate::functions::start_project_set(input, targets, &self.types, run)
            }
            PlanKind::OneTime(gate) => gate.start(&self.types, run),
            PlanKind::Join(join) => join.start(run),
            PlanKind::Lookup(lookup) => lookup.start(&self.types, run),
            PlanKind::Lateral(lateral) => lateral.start(&self.types, run),
            PlanKind::Sort(plan) => sort(plan, None, run),
            PlanKind::Aggregate(aggregate) => aggregate.start(&self.types, run),
            PlanKind::Window(window) => window.start(&self.types, run),
            PlanKind::Distinct(distinct) => distinct.start(&self.types, run),
            PlanKind::SetOperation(operation) => operation.start(&self.types, run),
            PlanKind::Append(left, right) => {
                let (left, right) = (left.start(run)?, right.start(run)?);
                Ok(Node::new("Append", &self.types, vec![left, right], |mut inputs, _| {
                    let right = inputs.pop().expect("an append has two inputs");
                    let left = inputs.pop().expect("an append has two inputs");
                    Ok(left.chain(right).boxed())
                }))
            }
            PlanKind::Limit(limit) => limit.start(run),
            PlanKind::SubqueryScan(input) => input.start(run),
            PlanKind::LockRows(locking) => locking.start(&self.types, run),
            PlanKind::Cte(cte) => cte.start(&self.types, run),
            PlanKind::Recursive(recursive) => recursive.start(&self.types, run),
            PlanKind::WorkTable(number) => {
                let number = *number;
                self.rows(
                    move |run| {
                        Ok(run.shared.work(number).map_or_else(Vec::new, |rows| rows.to_vec()))
                    },
                    run,
                )
            }
        }
    }

    /// A leaf that computes its rows when the first is asked for.
    fn rows(
        &self,
        compute: impl Fn(&Arc<Run>) -> SqlResult<Vec<Vec<Datum>>> + Send + Sync + 'static,
        run: &Arc<Run>,
    ) -> SqlResult<Arc<dyn ExecutionPlan>> {
        let (run, types) = (run.clone(), self.types.clone());
        let compute = Arc::new(compute);
        Ok(Node::new("Result", &self.types, Vec::new(), move |_, _| {
            let (run, types, compute) = (run.clone(), types.clone(), compute.clone());
            Ok(futures::stream::once(async move {
                let made = compute(&run).and_then(|rows| batches(&types, &rows));
                futures::stream::iter(match made {
                    Ok(batches) => batches.into_iter().map(Ok).collect(),
                    Err(error) => vec![Err(external(error))],
                })
            })
            .flatten()
            .boxed())
        }))
    }
}

impl OneTimePlan {
    fn start(&self, types: &[TypeRef], run: &Arc<Run>) -> SqlResult<Arc<dyn ExecutionPlan>> {
        let child = self.input.start(run)?;
        let (conditions, run) = (self.conditions.clone(), run.clone());
        Ok(Node::new("Result", types, vec![child], move |mut inputs, _| {
            let (conditions, run) = (conditions.clone(), run.clone());
            let input = inputs.swap_remove(0);
            let opened = futures::stream::once(async move {
                for condition in conditions.iter() {
                    let value = condition.alone(&run).map_err(external)?;
                    if !matches!(value, Datum::Bool(true)) {
                        return Ok(futures::stream::empty().boxed());
                    }
                }
                Ok::<_, datafusion::common::DataFusionError>(input.boxed())
            });
            Ok(futures::TryStreamExt::try_flatten(opened).boxed())
        }))
    }
}

fn sort(
    plan: &SortPlan,
    fetch: Option<usize>,
    run: &Arc<Run>,
) -> SqlResult<Arc<dyn ExecutionPlan>> {
    let child = plan.input.start(run)?;
    let exprs = plan.keys.iter().map(|column| PhysicalSortExpr {
        expr: column.scalar.physical_key(run),
        options: SortOptions { descending: column.descending, nulls_first: column.nulls_first },
    });
    match LexOrdering::new(exprs) {
        Some(ordering) => Ok(Arc::new(SortExec::new(ordering, child).with_fetch(fetch))),
        None => Ok(child),
    }
}

impl JoinPlan {
    /// Whether the right side is the one that is held in memory: the smaller one is, and of two
    /// alike the one that only adds to the rows of the other.
    pub(crate) fn holds_right(&self) -> bool {
        match self.kind {
            JoinType::Left | JoinType::Semi | JoinType::Anti => self.right.rows <= self.left.rows,
            JoinType::Inner | JoinType::Right | JoinType::Full => self.right.rows < self.left.rows,
        }
    }

    fn start(&self, run: &Arc<Run>) -> SqlResult<Arc<dyn ExecutionPlan>> {
        use datafusion::common::JoinType as Type;
        let swapped = self.holds_right();
        // One side is read whole before the other.
        let all = &run.stepping(false);
        let (left, right) = match swapped {
            true => (self.left.start(run)?, self.right.start(all)?),
            false => (self.left.start(all)?, self.right.start(run)?),
        };
        let kind = match (self.kind, swapped) {
            (JoinType::Inner, _) => Type::Inner,
            (JoinType::Full, _) => Type::Full,
            (JoinType::Left, false) | (JoinType::Right, true) => Type::Left,
            (JoinType::Right, false) | (JoinType::Left, true) => Type::Right,
            (JoinType::Semi, false) => Type::LeftSemi,
            (JoinType::Semi, true) => Type::RightSemi,
            (JoinType::Anti, false) => Type::LeftAnti,
            (JoinType::Anti, true) => Type::RightAnti,
        };
        let (widths, types) = ((self.left.types.len(), self.right.types.len()), self.both());
        let (left_side, right_side) = if swapped {
            (JoinSide::Right, JoinSide::Left)
        } else {
            (JoinSide::Left, JoinSide::Right)
        };
        let filter = self.filter.as_ref().map(|filter| {
            let side =
                |side, count: usize| (0..count).map(move |index| ColumnIndex { index, side });
            let indices = side(left_side, widths.0).chain(side(right_side, widths.1)).collect();
            JoinFilter::new(filter.physical(run), indices, schema(&types))
        });
        let (held, streamed) = if swapped { (right, left) } else { (left, right) };
        let join: Arc<dyn ExecutionPlan> = if self.keys.is_empty() {
            let join = NestedLoopJoinExec::try_new(held, streamed, filter, &kind, None);
            Arc::new(join.map_err(sql_error)?)
        } else {
            let on = self
                .keys
                .iter()
                .map(|(left, right)| {
                    let (left, right) = (left.physical_key(run), right.physical_key(run));
                    if swapped { (right, left) } else { (left, right) }
                })
                .collect();
            let join = HashJoinExec::try_new(
                held,
                streamed,
                on,
                filter,
                &kind,
                None,
                PartitionMode::CollectLeft,
                NullEquality::NullEqualsNothing,
                false,
            );
            Arc::new(join.map_err(sql_error)?)
        };
        let gives_both = !matches!(self.kind, JoinType::Semi | JoinType::Anti);
        let order = if swapped && gives_both {
            (widths.1..widths.0 + widths.1).chain(0..widths.1).collect()
        } else {
            (0..join.schema().fields().len()).collect::<Vec<_>>()
        };
        renamed(join, &order)
    }

    fn both(&self) -> Vec<TypeRef> {
        self.left.types.iter().chain(&self.right.types).copied().collect()
    }
}

/// A join names the columns of both its sides from `c0`; whoever reads it counts through.
fn renamed(join: Arc<dyn ExecutionPlan>, order: &[usize]) -> SqlResult<Arc<dyn ExecutionPlan>> {
    let schema = join.schema();
    let columns: Vec<(Arc<dyn PhysicalExpr>, String)> = order
        .iter()
        .enumerate()
        .map(|(at, from)| {
            let column = Column::new(schema.field(*from).name(), *from);
            (Arc::new(column) as Arc<dyn PhysicalExpr>, format!("c{at}"))
        })
        .collect();
    Ok(Arc::new(ProjectionExec::try_new(columns, join).map_err(sql_error)?))
}

/// The key of some columns of a row: equal for rows that are not distinct.
pub(crate) fn row_key(
    row: &[Datum],
    columns: impl IntoIterator<Item = usize>,
    types: &[TypeRef],
) -> SqlResult<Vec<u8>> {
    let mut bytes = Vec::new();
    for at in columns {
        encode_key(types[at], &row[at], &mut bytes)?;
    }
    Ok(bytes)
}

/// Appends a value's key for grouping.
pub(crate) fn encode_key(ty: TypeRef, value: &Datum, out: &mut Vec<u8>) -> SqlResult<()> {
    key::encode(ty.oid, value, false, false, out)
}

/// The value of `LIMIT`; NULL is none.
pub(crate) fn limit_of(value: &Datum) -> SqlResult<Option<usize>> {
    row_count(value, SqlState::InvalidRowCountInLimitClause, "LIMIT")
}

/// The value of `OFFSET`; NULL is none.
pub(crate) fn offset_of(value: &Datum) -> SqlResult<Option<usize>> {
    row_count(value, SqlState::InvalidRowCountInResultOffsetClause, "OFFSET")
}

fn row_count(value: &Datum, state: SqlState, what: &str) -> SqlResult<Option<usize>> {
    match value {
        Datum::Null => Ok(None),
        Datum::Int8(count) => usize::try_from(*count)
            .map(Some)
            .map_err(|_| SqlError::new(state, format!("{what} must not be negative"))),
        other => Err(SqlError::internal(format!("{what} is {other:?}"))),
    }
}

impl LimitPlan {
    fn start(&self, run: &Arc<Run>) -> SqlResult<Arc<dyn ExecutionPlan>> {
        let limit = match &self.limit {
            Some(limit) => limit_of(&limit.alone(run)?)?,
            None => None,
        };
        let offset = match &self.offset {
            Some(offset) => offset_of(&offset.alone(run)?)?.unwrap_or(0),
            None => 0,
        };
        let run = &run.stepping(run.is_stepping || (limit.is_some() && self.input.steps()));
        if let (Some(ties), Some(limit)) = (&self.ties, limit) {
            return self.with_ties(ties, offset, limit, run);
        }
        let child = match &self.input.kind {
            PlanKind::Sort(plan) => {
                let fetch = limit.and_then(|limit| limit.checked_add(offset));
                let sorted = sort(plan, fetch.filter(|fetch| *fetch > 0), run)?;
                self.input.measured(sorted, run)
            }
            _ => self.input.start(run)?,
        };
        if limit.is_none() && offset == 0 {
            return Ok(child);
        }
        Ok(Arc::new(GlobalLimitExec::new(child, offset, limit)))
    }

    fn with_ties(
        &self,
        ties: &[usize],
        offset: usize,
        limit: usize,
        run: &Arc<Run>,
    ) -> SqlResult<Arc<dyn ExecutionPlan>> {
        let types = self.input.types.clone();
        let ties = ties.to_vec();
        Ok(Node::mapping("Limit", &self.input.types, self.input.start(run)?, move || {
            let (types, ties) = (types.clone(), ties.clone());
            let mut at = 0usize;
            let mut last: Option<Vec<u8>> = None;
            Box::new(move |batch| {
                let mut rows = Vec::new();
                for row in crate::arrow_types::rows_of(&batch, &types) {
                    let place = at;
                    at += 1;
                    if place < offset || limit == 0 {
                        continue;
                    }
                    if place - offset < limit {
                        if place - offset == limit - 1 {
                            last = Some(row_key(&row, ties.iter().copied(), &types)?);
                        }
                        rows.push(row);
                    } else if last == Some(row_key(&row, ties.iter().copied(), &types)?) {
                        rows.push(row);
                    } else {
                        last = None;
                    }
                }
                Ok(rows)
            })
        }))
    }
}

/// The type of the column of a row that has none.
pub(crate) const DUMMY: TypeRef = TypeRef::plain(type_oid::BOOL);
