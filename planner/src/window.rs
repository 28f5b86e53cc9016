//! Window functions: each partition's rows in order, a frame for each row.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use aegis_sql::bound::{FrameExclusion, FrameUnit};
use aegis_types::functions::aggregate::AggregateFunction;
use aegis_types::{CallContext, Datum, SqlError, SqlResult, SqlState, TypeRef, key};
use arrow::array::RecordBatch;
use datafusion::physical_plan::ExecutionPlan;

use crate::aggregate::Evaluated;
use crate::arrow_types::{batch_of, schema};
use crate::node::Node;
use crate::plan::{Plan, SortColumn, encode_key};
use crate::run::Run;
use crate::scalar::Scalar;

mod range;

use range::Limit;

/// Window functions over a plan; their results follow its columns.
pub(crate) struct WindowPlan {
    pub(crate) input: Box<Plan>,
    pub(crate) windows: Arc<[WindowSpec]>,
    pub(crate) targets: Arc<[WindowTarget]>,
}

/// A window.
pub(crate) struct WindowSpec {
    pub(crate) partition_by: Vec<Arc<Scalar>>,
    pub(crate) order_by: Vec<SortColumn>,
    pub(crate) unit: FrameUnit,
    pub(crate) start: Bound,
    pub(crate) end: Bound,
    pub(crate) exclude: FrameExclusion,
}

/// An end of a frame.
pub(crate) enum Bound {
    First,
    Before(Arc<Scalar>),
    Current,
    After(Arc<Scalar>),
    Last,
}

/// A call over a window.
pub(crate) struct WindowTarget {
    pub(crate) function: WindowFunction,
    pub(crate) args: Vec<Arc<Scalar>>,
    pub(crate) filter: Option<Arc<Scalar>>,
    pub(crate) window: usize,
    pub(crate) result: TypeRef,
}

/// What is called.
pub(crate) enum WindowFunction {
    Aggregate { make: AggregateFunction, strict: bool },
    Named(&'static str),
}

/// The rows of one partition, in order.
struct Partition {
    /// Their places in the input.
    rows: Vec<usize>,
    /// For each, the range of its peers.
    peers: Vec<Range<usize>>,
    /// For each, the number of its group of peers.
    groups: Vec<usize>,
    /// The range of each group.
    group_ranges: Vec<Range<usize>>,
    /// For each, the value of the first key.
    order: Vec<Datum>,
}

impl WindowPlan {
    pub(crate) fn start(
        &self,
        types: &[TypeRef],
        run: &Arc<Run>,
    ) -> SqlResult<Arc<dyn ExecutionPlan>> {
        let (windows, targets) = (self.windows.clone(), self.targets.clone());
        let input_types = self.input.types.clone();
        let child = (self.input.start(run)?, input_types.clone());
        let compute = move |mut rows: Vec<Vec<Datum>>, run: &Arc<Run>| {
            let width = input_types.len();
            let batch = batch_of(&schema(&input_types), &input_types, &rows)?;
            let mut order: Vec<usize> = (0..rows.len()).collect();
            for (at, window) in windows.iter().enumerate() {
                if !rows.is_empty() {
                    window.check_offsets(run)?;
                }
                let partitions = window.partitions(&batch, rows.len(), run)?;
                for (target, call) in targets.iter().enumerate() {
                    if call.window != at {
                        continue;
                    }
                    for row in &mut rows {
                        row.resize(row.len().max(width + target + 1), Datum::Null);
                    }
                    let args = Values::new(&call.args, &batch, run)?;
                    let filter = Values::new(&call.filter, &batch, run)?;
                    for partition in &partitions {
                        let values = call.values(window, partition, &args, &filter, run)?;
                        for (place, value) in partition.rows.iter().zip(values) {
                            rows[*place][width + target] = value;
                        }
                    }
                }
                order = partitions.iter().flat_map(|part| part.rows.iter().copied()).collect();
            }
            Ok(order.into_iter().map(|place| std::mem::take(&mut rows[place])).collect())
        };
        if self.windows[0].partition_by.is_empty() {
            let compute =
                move |mut inputs: Vec<_>, run: &Arc<Run>| compute(inputs.swap_remove(0), run);
            return Ok(Node::gathering("WindowAgg", types, vec![child], run, compute));
        }
        // Its input is sorted by the partitions.
        let windows = self.windows.clone();
        let keys_of = move |batch: &RecordBatch, run: &Arc<Run>| {
            let partition_by = &windows[0].partition_by;
            let values = Values::new(partition_by, batch, run)?.0;
            values.iter().map(|values| key_of(values, partition_by)).collect()
        };
        Ok(Node::gathering_by_key("WindowAgg", types, child, run, keys_of, compute))
    }
}

/// What rows of one partition have in common.
fn key_of(values: &[Datum], partition_by: &[Arc<Scalar>]) -> SqlResult<Vec<u8>> {
    let mut key = Vec::new();
    for (value, scalar) in values.iter().zip(partition_by) {
        encode_key(scalar.ty, value, &mut key)?;
    }
    Ok(key)
}

/// The values of some scalars for every row.
struct Values(Vec<Vec<Datum>>);

impl Values {
    fn new<'a>(
        scalars: impl IntoIterator<Item = &'a Arc<Scalar>>,
        batch: &RecordBatch,
        run: &Run,
    ) -> SqlResult<Self> {
        let evaluated = Evaluated::new(scalars, batch, run)?;
        let readers = evaluated.readers();
        Ok(Self(
            (0..batch.num_rows())
                .map(|row| readers.iter().map(|reader| reader.get(row)).collect())
                .collect(),
        ))
    }
}

impl WindowSpec {
    /// Refuses offsets that no frame has, also of functions that look at no frame.
    fn check_offsets(&self, run: &Run) -> SqlResult<()> {
        for (bound, side) in [(&self.start, "starting"), (&self.end, "ending")] {
            let (Bound::Before(offset) | Bound::After(offset)) = bound else { continue };
            match offset.alone(run)? {
                Datum::Null => {
                    return Err(SqlError::new(
                        SqlState::NullValueNotAllowed,
                        format!("frame {side} offset must not be null"),
                    ));
                }
                Datum::Int8(distance) if distance < 0 && self.unit != FrameUnit::Range => {
                    return Err(SqlError::new(
                        SqlState::InvalidPrecedingOrFollowingSize,
                        format!("frame {side} offset must not be negative"),
                    ));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn partitions(
        &self,
        batch: &RecordBatch,
        count: usize,
        run: &Run,
    ) -> SqlResult<Vec<Partition>> {
        let partition = Values::new(&self.partition_by, batch, run)?;
        let order = Values::new(self.order_by.iter().map(|key| &key.scalar), batch, run)?;
        let mut keyed = Vec::with_capacity(count);
        for place in 0..count {
            let own = key_of(&partition.0[place], &self.partition_by)?;
            let mut sort = Vec::new();
            for (value, column) in order.0[place].iter().zip(&self.order_by) {
                let (descending, first) = (column.descending, column.nulls_first);
                key::encode(column.scalar.ty.oid, value, descending, first, &mut sort)?;
            }
            keyed.push((own, sort, place));
        }
        keyed.sort();
        let mut partitions = Vec::new();
        for rows in keyed.chunk_by(|one, other| one.0 == other.0) {
            let mut part = Partition {
                rows: rows.iter().map(|(_, _, place)| *place).collect(),
                peers: Vec::new(),
                groups: Vec::new(),
                group_ranges: Vec::new(),
                order: Vec::new(),
            };
            for peers in rows.chunk_by(|one, other| one.1 == other.1) {
                let range = part.peers.len()..part.peers.len() + peers.len();
                for (_, _, place) in peers {
                    part.peers.push(range.clone());
                    part.groups.push(part.group_ranges.len());
                    part.order.push(order.0[*place].first().cloned().unwrap_or(Datum::Null));
                }
                part.group_ranges.push(range);
            }
            partitions.push(part);
        }
        Ok(partitions)
    }

    /// The rows of the frame of the row at `at`, before exclusion.
    fn frame(&self, part: &Partition, at: usize, run: &Run) -> SqlResult<Range<usize>> {
        let count = part.rows.len();
        let start = match &self.start {
            Bound::First => 0,
            Bound::Last => count,
            Bound::Current => match self.unit {
                FrameUnit::Rows => at,
                _ => part.peers[at].start,
            },
            Bound::Before(offset) => self.offset(part, at, offset, true, true, run)?,
            Bound::After(offset) => self.offset(part, at, offset, false, true, run)?,
        };
        let end = match &self.end {
            Bound::First => 0,
            Bound::Last => count,
            Bound::Current => match self.unit {
                FrameUnit::Rows => at + 1,
                _ => part.peers[at].end,
            },
            Bound::Before(offset) => self.offset(part, at, offset, true, false, run)?,
            Bound::After(offset) => self.offset(part, at, offset, false, false, run)?,
        };
        Ok(start.min(count)..end.max(start).min(count))
    }

    fn offset(
        &self,
        part: &Partition,
        at: usize,
        offset: &Scalar,
        before: bool,
        is_start: bool,
        run: &Run,
    ) -> SqlResult<usize> {
        let value = offset.alone(run)?;
        if self.unit == FrameUnit::Range {
            return self.range_offset(part, at, &value, before, is_start, run);
        }
        let Datum::Int8(distance) = value else {
            return Err(SqlError::internal("a frame offset is not int8"));
        };
        let distance = usize::try_from(distance)
            .map_err(|_| SqlError::internal("a frame offset below 0 was let through"))?;
        let count = part.rows.len();
        if self.unit == FrameUnit::Rows {
            let end = usize::from(!is_start);
            return Ok(if before {
                (at + end).saturating_sub(distance)
            } else {
                at.saturating_add(end).saturating_add(distance).min(count)
            });
        }
        let group = part.groups[at];
        let target = if before { group.checked_sub(distance) } else { group.checked_add(distance) };
        Ok(match target.and_then(|target| part.group_ranges.get(target)) {
            Some(range) if is_start => range.start,
            Some(range) => range.end,
            None if before => 0,
            None => count,
        })
    }

    /// `RANGE` with an offset: the rows whose key lies within that distance.
    fn range_offset(
        &self,
        part: &Partition,
        at: usize,
        offset: &Datum,
        before: bool,
        is_start: bool,
        run: &Run,
    ) -> SqlResult<usize> {
        let column = self
            .order_by
            .first()
            .ok_or_else(|| SqlError::internal("RANGE with an offset needs one key"))?;
        let own = &part.order[at];
        if own.is_null() {
            return Ok(if is_start { part.peers[at].start } else { part.peers[at].end });
        }
        let descending = column.descending;
        let limit = Limit { offset, minus: before != descending, up_to: is_start == descending };
        let within = limit.within(own, &run.eval())?;
        // NULLs stand together at one end.
        let is_null = |value: &Datum| value.is_null();
        let first = part.order.iter().take_while(|value| is_null(value)).count();
        let last = part.order.len() - part.order.iter().rev().take_while(|v| is_null(v)).count();
        let values = &part.order[first..last.max(first)];
        Ok(first + values.partition_point(|value| within(value) != is_start))
    }

    /// The frame without what is excluded.
    fn rows(&self, part: &Partition, at: usize, run: &Run) -> SqlResult<Vec<usize>> {
        let frame = self.frame(part, at, run)?;
        let peers = &part.peers[at];
        Ok(frame
            .filter(|row| match self.exclude {
                FrameExclusion::NoOthers => true,
                FrameExclusion::CurrentRow => *row != at,
                FrameExclusion::Group => !peers.contains(row),
                FrameExclusion::Ties => *row == at || !peers.contains(row),
            })
            .collect())
    }
}

impl WindowTarget {
    fn values(
        &self,
        window: &WindowSpec,
        part: &Partition,
        args: &Values,
        filter: &Values,
        run: &Run,
    ) -> SqlResult<Vec<Datum>> {
        match &self.function {
            WindowFunction::Aggregate { make, strict } => {
                self.aggregate(*make, *strict, window, part, args, filter, run)
            }
            WindowFunction::Named(name) => (0..part.rows.len())
                .map(|at| self.named(name, window, part, at, args, run))
                .collect(),
        }
    }

    fn aggregate(
        &self,
        make: AggregateFunction,
        strict: bool,
        window: &WindowSpec,
        part: &Partition,
        args: &Values,
        filter: &Values,
        run: &Run,
    ) -> SqlResult<Vec<Datum>> {
        let types: Vec<TypeRef> = self.args.iter().map(|arg| arg.ty).collect();
        let context = CallContext {
            eval: run.eval(),
            argument_types: &types,
            result_type: self.result,
            collation: aegis_types::Collation::Default,
        };
        let mut values = Vec::with_capacity(part.rows.len());
        let mut accumulator = make(&context);
        let mut taken: Option<Range<usize>> = None;
        let mut results: HashMap<(usize, usize), Datum> = HashMap::new();
        let feed = |accumulator: &mut Box<dyn aegis_types::functions::aggregate::Accumulator>,
                    row: usize| {
            let place = part.rows[row];
            let args = &args.0[place];
            let skipped = (strict && args.iter().any(Datum::is_null))
                || filter.0[place].first().is_some_and(|value| !matches!(value, Datum::Bool(true)));
            if skipped { Ok(()) } else { accumulator.update(&context, args) }
        };
        for at in 0..part.rows.len() {
            run.context.cancel.check()?;
            if window.exclude != FrameExclusion::NoOthers {
                let mut accumulator = make(&context);
                for row in window.rows(part, at, run)? {
                    feed(&mut accumulator, row)?;
                }
                values.push(accumulator.finish(&context)?);
                continue;
            }
            let frame = window.frame(part, at, run)?;
            if let Some(known) = results.get(&(frame.start, frame.end)) {
                values.push(known.clone());
                continue;
            }
            // A frame that only grows takes what is new.
            let from = match &taken {
                Some(taken) if taken.start == frame.start && taken.end <= frame.end => taken.end,
                _ => {
                    accumulator = make(&context);
                    frame.start
                }
            };
            for row in from..frame.end {
                feed(&mut accumulator, row)?;
            }
            let value = accumulator.finish(&context)?;
            results.clear();
            results.insert((frame.start, frame.end), value.clone());
            taken = Some(frame);
            values.push(value);
        }
        Ok(values)
    }

    fn named(
        &self,
        name: &str,
        window: &WindowSpec,
        part: &Partition,
        at: usize,
        args: &Values,
        run: &Run,
    ) -> SqlResult<Datum> {
        let count = part.rows.len();
        let of = |row: usize, arg: usize| args.0[part.rows[row]][arg].clone();
        let int8 = |value: usize| Datum::Int8(i64::try_from(value).unwrap_or(i64::MAX));
        Ok(match name {
            "row_number" => int8(at + 1),
            "rank" => int8(part.peers[at].start + 1),
            "dense_rank" => int8(part.groups[at] + 1),
            "percent_rank" => Datum::Float8(if count <= 1 {
                0.0
            } else {
                part.peers[at].start as f64 / (count - 1) as f64
            }),
            "cume_dist" => Datum::Float8(part.peers[at].end as f64 / count as f64),
            "ntile" => match of(0, 0) {
                Datum::Null => Datum::Null,
                buckets => ntile(&buckets, at, count)?,
            },
            "lag" | "lead" => {
                let distance = if self.args.len() > 1 { of(at, 1) } else { Datum::Int4(1) };
                let Datum::Int4(distance) = distance else { return Ok(Datum::Null) };
                let distance = i64::from(distance);
                let at_signed = i64::try_from(at).unwrap_or(i64::MAX);
                let target =
                    if name == "lag" { at_signed - distance } else { at_signed + distance };
                match usize::try_from(target).ok().filter(|target| *target < count) {
                    Some(target) => of(target, 0),
                    None if self.args.len() > 2 => of(at, 2),
                    None => Datum::Null,
                }
            }
            "first_value" => {
                window.rows(part, at, run)?.first().map_or(Datum::Null, |row| of(*row, 0))
            }
            "last_value" => {
                window.rows(part, at, run)?.last().map_or(Datum::Null, |row| of(*row, 0))
            }
            "nth_value" => match of(at, 1) {
                Datum::Int4(nth) if nth > 0 => {
                    let rows = window.rows(part, at, run)?;
                    let nth = usize::try_from(nth - 1).unwrap_or(usize::MAX);
                    rows.get(nth).map_or(Datum::Null, |row| of(*row, 0))
                }
                Datum::Int4(_) => {
                    return Err(SqlError::new(
                        SqlState::InvalidArgumentForNthValue,
                        "argument of nth_value must be greater than zero",
                    ));
                }
                _ => Datum::Null,
            },
            other => {
                return Err(SqlError::unsupported(format!("window function {other}")));
            }
        })
    }
}

fn ntile(buckets: &Datum, at: usize, count: usize) -> SqlResult<Datum> {
    let buckets = usize::try_from(buckets.as_int4()).ok().filter(|count| *count > 0);
    let buckets = buckets.ok_or_else(|| {
        SqlError::new(
            SqlState::InvalidArgumentForNtile,
            "argument of ntile must be greater than zero",
        )
    })?;
    let (size, larger) = (count / buckets, count % buckets);
    let in_larger = (size + 1) * larger;
    let bucket = if at < in_larger { at / (size + 1) } else { larger + (at - in_larger) / size };
    Ok(Datum::Int4(i32::try_from(bucket + 1).unwrap_or(i32::MAX)))
}
