//! Small plans, run row by row on the thread that asks for their rows: reads by key, short ranges,
//! joins by key, aggregates over those.
//!
//! ```text
//! Plan ── is_small ──► each(plan, row ─► …) ──► rows
//!            no ▼           ▼ more rows than expected
//!            batches of Arrow, on the queries' threads (Plan::start)
//! ```
//!
//! To make nodes of DataFusion, wake another thread and carry columns costs a hundred times what such
//! a plan computes. The plan is the same and expressions mean the same: what a kernel computes for a
//! batch, [`Scalar::of_row`] computes for a row. A plan that turns out to be large is given up and
//! begun again on the other path, so nothing here is volatile unless it reads no table.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;

use aegis_sql::query_engine::StatementContext;
use aegis_storage::{Block, Direction, KeyRange, RowRef};
use aegis_types::compare::{compare, equal};
use aegis_types::{Datum, SqlError, SqlResult, SqlState};

use self::aggregate::aggregate_runs_here;
use crate::lookup::LookupPlan;
use crate::plan::{JoinType, LimitPlan, Plan, PlanKind, SortPlan, limit_of, offset_of};
use crate::scalar::{Arithmetic, Comparison, Input, RowProgram, Scalar, Vectorized};
use crate::scan::{Access, RangePlan, ScanPlan};

mod aggregate;

/// Plans that are expected to give more rows than this, or to read more, are not small.
const ROWS_EXPECTED: f64 = 200.0;
/// A whole table is read here if it is expected to give so few: it has two thousand rows at most then,
/// however selective its conditions are thought to be.
const ROWS_OF_TABLE: f64 = 10.0;
/// So many rows are read or made at most before a plan is given up.
const WORK_MAX: usize = 20_000;
/// So many bytes of rows are kept at most.
const BYTES_MAX: usize = 4 << 20;

/// Whether a plan is to be run here.
pub(crate) fn is_small(plan: &Plan, is_volatile: bool) -> bool {
    plan.rows <= ROWS_EXPECTED && runs_here(plan) && !(is_volatile && reads(plan))
}

fn runs_here(plan: &Plan) -> bool {
    let all = |scalars: &[Arc<Scalar>]| scalars.iter().all(|it| it.runs_by_row());
    match &plan.kind {
        PlanKind::OneRow => true,
        PlanKind::Values(rows) => rows.len() <= 100 && rows.iter().all(|row| all(row)),
        PlanKind::Scan(scan) => match &scan.access {
            Access::All => plan.rows <= ROWS_OF_TABLE,
            _ => plan.rows <= ROWS_EXPECTED && scan_runs_here(scan),
        },
        PlanKind::Filter(input, predicate, _) => predicate.runs_by_row() && runs_here(input),
        PlanKind::Project(input, exprs) => all(exprs) && runs_here(input),
        PlanKind::OneTime(gate) => all(&gate.conditions) && runs_here(&gate.input),
        PlanKind::Lookup(lookup) => {
            plan.rows <= ROWS_EXPECTED
                && matches!(
                    lookup.kind,
                    JoinType::Inner | JoinType::Left | JoinType::Semi | JoinType::Anti
                )
                && lookup.filter.as_ref().is_none_or(|filter| filter.runs_by_row())
                && scan_runs_here(&lookup.inner)
                && runs_here(&lookup.outer)
        }
        PlanKind::Aggregate(aggregate) => aggregate_runs_here(aggregate),
        PlanKind::Sort(sort) => {
            sort.keys.iter().all(|key| key.scalar.runs_by_row()) && runs_here(&sort.input)
        }
        PlanKind::Limit(limit) => {
            let bounds = limit.limit.iter().chain(&limit.offset);
            limit.ties.is_none()
                && bounds.into_iter().all(|bound| bound.runs_by_row())
                && runs_here(&limit.input)
        }
        _ => false,
    }
}

fn scan_runs_here(scan: &ScanPlan) -> bool {
    match &scan.access {
        Access::All => false,
        Access::RowKey(key) => key.runs_by_row(),
        Access::Range(range) => range.scalars().chain(&range.any).all(|it| it.runs_by_row()),
    }
}

/// Whether a plan reads a table.
fn reads(plan: &Plan) -> bool {
    match &plan.kind {
        PlanKind::OneRow | PlanKind::Values(_) => false,
        PlanKind::Filter(input, ..) | PlanKind::Project(input, _) => reads(input),
        PlanKind::OneTime(gate) => reads(&gate.input),
        PlanKind::Sort(sort) => reads(&sort.input),
        PlanKind::Limit(limit) => reads(&limit.input),
        _ => true,
    }
}

/// All rows of a small plan, in order; nothing if there are too many of them.
///
/// # Errors
/// What the plan raises.
pub(crate) fn rows(
    plan: &Plan,
    width: usize,
    context: &StatementContext,
) -> SqlResult<Option<Vec<Vec<Datum>>>> {
    let mut direct = Direct { context, work: 0, bytes: 0, gave_up: false };
    let mut found = Vec::new();
    let _stopped = direct.each(plan, &mut |direct, mut row| {
        row.truncate(width);
        direct.keep(&row);
        found.push(row);
        Ok(direct.go_on())
    })?;
    Ok((!direct.gave_up).then_some(found))
}

/// What takes a row; it says whether it wants more.
type Sink<'s> = &'s mut dyn FnMut(&mut Direct<'_>, Vec<Datum>) -> SqlResult<ControlFlow<()>>;

/// One execution.
struct Direct<'a> {
    context: &'a StatementContext,
    work: usize,
    bytes: usize,
    gave_up: bool,
}

impl Direct<'_> {
    /// Counts a row that was read or made.
    fn count(&mut self) {
        self.work += 1;
        self.gave_up |= self.work > WORK_MAX;
    }

    fn keep(&mut self, row: &[Datum]) {
        self.bytes += row.iter().map(Datum::memory_bytes).sum::<usize>();
        self.gave_up |= self.bytes > BYTES_MAX;
    }

    const fn go_on(&self) -> ControlFlow<()> {
        if self.gave_up { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn value(&self, scalar: &Scalar, row: &[Datum]) -> SqlResult<Datum> {
        scalar.of_row(row, self.context)
    }

    fn holds(&self, scalar: &Scalar, row: &[Datum]) -> SqlResult<bool> {
        Ok(matches!(self.value(scalar, row)?, Datum::Bool(true)))
    }

    /// Hands over each row of a plan.
    fn each(&mut self, plan: &Plan, sink: Sink<'_>) -> SqlResult<ControlFlow<()>> {
        match &plan.kind {
            PlanKind::OneRow => sink(self, vec![Datum::Null]),
            PlanKind::Values(rows) => {
                for row in rows {
                    self.count();
                    let row = row.iter().map(|scalar| self.value(scalar, &[]));
                    let row = row.collect::<SqlResult<_>>()?;
                    if sink(self, row)?.is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                Ok(ControlFlow::Continue(()))
            }
            PlanKind::Scan(scan) => self.scan(scan, sink),
            PlanKind::Filter(input, predicate, _) => self.each(input, &mut |direct, row| {
                if direct.holds(predicate, &row)? {
                    return sink(direct, row);
                }
                Ok(direct.go_on())
            }),
            PlanKind::Project(input, exprs) => self.each(input, &mut |direct, row| {
                let made = exprs.iter().map(|scalar| direct.value(scalar, &row));
                let made = made.collect::<SqlResult<_>>()?;
                sink(direct, made)
            }),
            PlanKind::OneTime(gate) => {
                for condition in gate.conditions.iter() {
                    if !self.holds(condition, &[])? {
                        return Ok(ControlFlow::Continue(()));
                    }
                }
                self.each(&gate.input, sink)
            }
            PlanKind::Lookup(lookup) => self.lookup(lookup, sink),
            PlanKind::Aggregate(aggregate) => self.aggregate(aggregate, sink),
            PlanKind::Sort(sort) => self.sort(sort, sink),
            PlanKind::Limit(limit) => self.limit(limit, sink),
            _ => Err(SqlError::internal("a large plan was taken for a small one")),
        }
    }

    fn scan(&mut self, scan: &ScanPlan, sink: Sink<'_>) -> SqlResult<ControlFlow<()>> {
        match &scan.access {
            Access::RowKey(key) => match self.value(key, &[])? {
                Datum::Bytea(key) => self.row(scan, &key, sink),
                _ => Ok(ControlFlow::Continue(())),
            },
            Access::Range(range) => {
                let context = self.context;
                let mut value = |scalar: &Arc<Scalar>| scalar.of_row(&[], context);
                if let Some(key) = range.one_key(&mut value)? {
                    return match key {
                        Some(key) => self.row(scan, &key, sink),
                        None => Ok(ControlFlow::Continue(())),
                    };
                }
                let ranges = scan.ranges(range, &context.view, &mut value)?;
                self.ranges(scan, range, ranges, sink)
            }
            Access::All => {
                let mut block = Block::default();
                let mut open =
                    self.context.view.scan_in(&scan.tree, KeyRange::all(), Direction::Forward)?;
                while open.next_block(&mut block)? {
                    self.context.cancel.check()?;
                    for entry in block.iter() {
                        self.count();
                        let (key, value, view) = (entry.key, entry.value, &self.context.view);
                        let Some(row) = scan.datums(key, value, entry.seq.0, view)? else {
                            continue;
                        };
                        if sink(self, row)?.is_break() || self.gave_up {
                            return Ok(ControlFlow::Break(()));
                        }
                    }
                }
                Ok(ControlFlow::Continue(()))
            }
        }
    }

    /// The row with this key, if there is one.
    fn row(&mut self, scan: &ScanPlan, key: &[u8], sink: Sink<'_>) -> SqlResult<ControlFlow<()>> {
        self.count();
        let view = &self.context.view;
        let row = match view.get_in(&scan.tree, key)? {
            Some(row) => scan.datums(key, &row.value, row.seq.0, view)?,
            None => None,
        };
        match row {
            Some(row) => sink(self, row),
            None => Ok(ControlFlow::Continue(())),
        }
    }

    fn ranges(
        &mut self,
        scan: &ScanPlan,
        range: &RangePlan,
        ranges: VecDeque<KeyRange>,
        sink: Sink<'_>,
    ) -> SqlResult<ControlFlow<()>> {
        let trees = range.index.as_ref().unwrap_or(&scan.tree);
        let mut block = Block::default();
        for one in ranges {
            self.context.cancel.check()?;
            let mut open = self.context.view.scan_in(trees, one, range.direction)?;
            while open.next_block(&mut block)? {
                for entry in block.iter() {
                    self.count();
                    let Some(row) = self.entry(scan, range, entry)? else { continue };
                    if sink(self, row)?.is_break() || self.gave_up {
                        return Ok(ControlFlow::Break(()));
                    }
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// The row that an entry of the tree that is read stands for.
    fn entry(
        &self,
        scan: &ScanPlan,
        range: &RangePlan,
        entry: RowRef<'_>,
    ) -> SqlResult<Option<Vec<Datum>>> {
        let view = &self.context.view;
        if range.index.is_none() {
            return scan.datums(entry.key, entry.value, entry.seq.0, view);
        }
        let key = range.row_key(entry)?;
        match view.get_in(&scan.tree, key)? {
            Some(row) => scan.datums(key, &row.value, row.seq.0, view),
            None => Ok(None),
        }
    }

    fn lookup(&mut self, lookup: &LookupPlan, sink: Sink<'_>) -> SqlResult<ControlFlow<()>> {
        let scan = &lookup.inner;
        let Access::Range(range) = &scan.access else {
            return Err(SqlError::internal("a join by key without a key"));
        };
        let gives_inner = matches!(lookup.kind, JoinType::Inner | JoinType::Left);
        let inner_width = lookup.inner_types.len();
        self.each(&lookup.outer, &mut |direct, outer| {
            let context = direct.context;
            let mut value = |scalar: &Arc<Scalar>| scalar.of_row(&outer, context);
            let found = range.range(&mut value)?;
            let mut matched = false;
            let mut stopped = ControlFlow::Continue(());
            if let Some(found) = found {
                let ranges = VecDeque::from([found]);
                let _ended = direct.ranges(scan, range, ranges, &mut |direct, inner| {
                    let mut both = outer.clone();
                    both.extend(inner);
                    if let Some(filter) = &lookup.filter
                        && !direct.holds(filter, &both)?
                    {
                        return Ok(direct.go_on());
                    }
                    matched = true;
                    if !gives_inner {
                        return Ok(ControlFlow::Break(()));
                    }
                    stopped = sink(direct, both)?;
                    Ok(stopped)
                })?;
            }
            if stopped.is_break() || direct.gave_up {
                return Ok(ControlFlow::Break(()));
            }
            match (lookup.kind, matched) {
                (JoinType::Semi, true) | (JoinType::Anti, false) => sink(direct, outer),
                (JoinType::Left, false) => {
                    let mut row = outer;
                    row.resize(row.len() + inner_width, Datum::Null);
                    sink(direct, row)
                }
                _ => Ok(direct.go_on()),
            }
        })
    }

    fn sort(&mut self, sort: &SortPlan, sink: Sink<'_>) -> SqlResult<ControlFlow<()>> {
        let mut rows: Vec<(Vec<Datum>, Vec<Datum>)> = Vec::new();
        let _all = self.each(&sort.input, &mut |direct, row| {
            direct.keep(&row);
            let keys = sort.keys.iter().map(|key| direct.value(&key.scalar, &row));
            rows.push((keys.collect::<SqlResult<_>>()?, row));
            Ok(direct.go_on())
        })?;
        if self.gave_up {
            return Ok(ControlFlow::Break(()));
        }
        rows.sort_by(|(left, _), (right, _)| {
            let keys = sort.keys.iter().zip(left.iter().zip(right));
            let mut orders = keys.map(|(key, (left, right))| {
                let order = match (left.is_null(), right.is_null()) {
                    (true, true) => return std::cmp::Ordering::Equal,
                    (left, right) if left != right => {
                        return if left == key.nulls_first {
                            std::cmp::Ordering::Less
                        } else {
                            std::cmp::Ordering::Greater
                        };
                    }
                    _ => compare(key.scalar.ty.oid, left, right),
                };
                if key.descending { order.reverse() } else { order }
            });
            orders.find(|order| order.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
        });
        for (_, row) in rows {
            if sink(self, row)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn limit(&mut self, limit: &LimitPlan, sink: Sink<'_>) -> SqlResult<ControlFlow<()>> {
        let mut skip = match &limit.offset {
            Some(offset) => offset_of(&self.value(offset, &[])?)?.unwrap_or(0),
            None => 0,
        };
        let mut left = match &limit.limit {
            Some(count) => limit_of(&self.value(count, &[])?)?,
            None => None,
        };
        if left == Some(0) {
            return Ok(ControlFlow::Continue(()));
        }
        let mut stopped = ControlFlow::Continue(());
        let _ended = self.each(&limit.input, &mut |direct, row| {
            if skip > 0 {
                skip -= 1;
                return Ok(direct.go_on());
            }
            stopped = sink(direct, row)?;
            if let Some(left) = &mut left {
                *left -= 1;
                if *left == 0 {
                    return Ok(ControlFlow::Break(()));
                }
            }
            Ok(stopped)
        })?;
        Ok(stopped)
    }
}

impl Scalar {
    /// Whether [`Scalar::of_row`] can compute it: not where it runs a subquery or asks for the rows
    /// around.
    pub(crate) fn runs_by_row(&self) -> bool {
        match &self.node {
            Vectorized::Column(_) | Vectorized::Const(_) => true,
            Vectorized::Compare(_, left, right) | Vectorized::Arithmetic(_, left, right) => {
                left.runs_by_row() && right.runs_by_row()
            }
            Vectorized::And(args) | Vectorized::Or(args) => args.iter().all(Self::runs_by_row),
            Vectorized::Not(arg) | Vectorized::IsNull(arg, _) => arg.runs_by_row(),
            Vectorized::Rows(program) => {
                program.subplans.is_empty()
                    && program.inputs.iter().all(|input| matches!(input, Input::Column(..)))
            }
        }
    }

    /// The value over one row.
    pub(crate) fn of_row(&self, row: &[Datum], context: &StatementContext) -> SqlResult<Datum> {
        match &self.node {
            Vectorized::Column(at) => Ok(row[*at].clone()),
            Vectorized::Const(value) => Ok(value.clone()),
            Vectorized::Compare(op, left, right) => {
                let ty = left.ty.oid;
                let (left, right) = (left.of_row(row, context)?, right.of_row(row, context)?);
                if left.is_null() || right.is_null() {
                    return Ok(Datum::Null);
                }
                Ok(Datum::Bool(match op {
                    Comparison::Equal => equal(ty, &left, &right),
                    Comparison::NotEqual => !equal(ty, &left, &right),
                    Comparison::Less => compare(ty, &left, &right).is_lt(),
                    Comparison::LessEqual => compare(ty, &left, &right).is_le(),
                    Comparison::Greater => compare(ty, &left, &right).is_gt(),
                    Comparison::GreaterEqual => compare(ty, &left, &right).is_ge(),
                }))
            }
            Vectorized::Arithmetic(op, left, right) => {
                arithmetic(*op, left.of_row(row, context)?, right.of_row(row, context)?)
            }
            Vectorized::And(args) => connective(args, row, context, false),
            Vectorized::Or(args) => connective(args, row, context, true),
            Vectorized::Not(arg) => Ok(match arg.of_row(row, context)? {
                Datum::Bool(value) => Datum::Bool(!value),
                _ => Datum::Null,
            }),
            Vectorized::IsNull(arg, negated) => {
                Ok(Datum::Bool(arg.of_row(row, context)?.is_null() != *negated))
            }
            Vectorized::Rows(program) => program.of_row(row, context),
        }
    }
}

impl RowProgram {
    fn of_row(&self, row: &[Datum], context: &StatementContext) -> SqlResult<Datum> {
        let slots = self.inputs.iter().map(|input| match input {
            Input::Column(at, _) => row[*at].clone(),
            Input::Outer(_) => Datum::Null,
        });
        let slots: Vec<Datum> = slots.collect();
        self.program.evaluate(&slots, &context.evaluation())
    }
}

/// All of them are computed, as kernels do: one that fails fails the whole.
fn connective(
    args: &[Scalar],
    row: &[Datum],
    context: &StatementContext,
    decisive: bool,
) -> SqlResult<Datum> {
    let (mut unknown, mut decided) = (false, false);
    for arg in args {
        match arg.of_row(row, context)? {
            Datum::Bool(value) => decided |= value == decisive,
            _ => unknown = true,
        }
    }
    Ok(match (decided, unknown) {
        (true, _) => Datum::Bool(decisive),
        (false, true) => Datum::Null,
        (false, false) => Datum::Bool(!decisive),
    })
}

fn arithmetic(op: Arithmetic, left: Datum, right: Datum) -> SqlResult<Datum> {
    macro_rules! checked {
        ($left:expr, $right:expr, $make:path, $name:literal) => {{
            if op == Arithmetic::Divide && $right == 0 {
                return Err(SqlError::new(SqlState::DivisionByZero, "division by zero"));
            }
            let value = match op {
                Arithmetic::Add => $left.checked_add($right),
                Arithmetic::Subtract => $left.checked_sub($right),
                Arithmetic::Multiply => $left.checked_mul($right),
                Arithmetic::Divide => $left.checked_div($right),
            };
            value.map($make).ok_or_else(|| {
                SqlError::new(SqlState::NumericValueOutOfRange, concat!($name, " out of range"))
            })
        }};
    }
    match (left, right) {
        (Datum::Int2(left), Datum::Int2(right)) => checked!(left, right, Datum::Int2, "smallint"),
        (Datum::Int4(left), Datum::Int4(right)) => checked!(left, right, Datum::Int4, "integer"),
        (Datum::Int8(left), Datum::Int8(right)) => checked!(left, right, Datum::Int8, "bigint"),
        (Datum::Null, _) | (_, Datum::Null) => Ok(Datum::Null),
        _ => Err(SqlError::internal("arithmetic over other types than integers")),
    }
}
