//! Aggregate functions: an accumulator each, made from the row of `pg_proc` that it implements.

use std::cmp::Ordering;

use crate::context::CallContext;
use crate::datum::Datum;
use crate::error::SqlResult;

mod collect;
mod ordered;
mod regression;
mod simple;
mod spread;
mod sum;

pub(in crate::functions) use ordered::short;
use ordered::{Hypothetical, Rank, Sorted, What};
use regression::Of;
use spread::Statistic;

/// The running state of one aggregate over one group.
pub trait Accumulator: Send {
    /// Takes what an ordered-set aggregate is given before `WITHIN GROUP`, once, before any row.
    fn direct(&mut self, arguments: &[Datum]) {
        let _ = arguments;
    }

    /// Takes one row's arguments. Strict aggregates are not shown rows with a NULL argument.
    ///
    /// # Errors
    /// Whatever the transition raises, such as 22003.
    fn update(&mut self, context: &CallContext<'_>, arguments: &[Datum]) -> SqlResult<()>;

    /// Takes back one row's arguments, the oldest: for moving window frames.
    ///
    /// # Errors
    /// Likewise; `Ok(false)` if this aggregate cannot, so that the frame is computed anew.
    fn retract(&mut self, context: &CallContext<'_>, arguments: &[Datum]) -> SqlResult<bool> {
        let _ = (context, arguments);
        Ok(false)
    }

    /// The result for the rows seen so far; the state stays.
    ///
    /// # Errors
    /// Whatever the final function raises.
    fn finish(&self, context: &CallContext<'_>) -> SqlResult<Datum>;

    /// Bytes held beyond the accumulator itself, for the memory pool.
    fn size(&self) -> usize {
        0
    }
}

/// Makes the accumulator of one group. The argument types of an ordered-set aggregate are those of
/// its direct arguments and then of what is sorted by.
pub type AggregateFunction = fn(&CallContext<'_>) -> Box<dyn Accumulator>;

/// The aggregate `name(argument types)`, the types spelled as `pg_type.typname` separated by
/// commas, `any` and `*` aside: `sum(int4)`, `count()`, `string_agg(text,text)`.
#[must_use]
pub fn aggregate(key: &str) -> Option<AggregateFunction> {
    TABLE
        .iter()
        .chain(super::json::AGGREGATES)
        .find(|(name, _)| *name == key)
        .map(|(_, make)| *make)
}

static TABLE: &[(&str, AggregateFunction)] = &[
    ("count()", |_| Box::new(simple::Count { rows: true, count: 0 })),
    ("count(any)", |_| Box::new(simple::Count { rows: false, count: 0 })),
    ("min(int8)", |_| Box::new(simple::Extreme::new(Ordering::Less))),
    ("max(inet)", |_| Box::new(simple::Extreme::new(Ordering::Greater))),
    ("min(inet)", |_| Box::new(simple::Extreme::new(Ordering::Less))),
    ("max(int8)", |_| Box::new(simple::Extreme::new(Ordering::Greater))),
    ("min(int4)", |_| Box::new(simple::Extreme::new(Ordering::Less))),
    ("max(int4)", |_| Box::new(simple::Extreme::new(Ordering::Greater))),
    ("min(int2)", |_| Box::new(simple::Extreme::new(Ordering::Less))),
    ("max(int2)", |_| Box::new(simple::Extreme::new(Ordering::Greater))),
    ("min(oid)", |_| Box::new(simple::Extreme::new(Ordering::Less))),
    ("max(oid)", |_| Box::new(simple::Extreme::new(Ordering::Greater))),
    ("min(float4)", |_| Box::new(simple::Extreme::new(Ordering::Less))),
    ("max(float4)", |_| Box::new(simple::Extreme::new(Ordering::Greater))),
    ("min(float8)", |_| Box::new(simple::Extreme::new(Ordering::Less))),
    ("max(float8)", |_| Box::new(simple::Extreme::new(Ordering::Greater))),
    ("min(date)", |_| Box::new(simple::Extreme::new(Ordering::Less))),
    ("max(date)", |_| Box::new(simple::Extreme::new(Ordering::Greater))),
    ("min(time)", |_| Box::new(simple::Extreme::new(Ordering::Less))),
    ("max(time)", |_| Box::new(simple::Extreme::new(Ordering::Greater))),
    ("min(timetz)", |_| Box::new(simple::Extreme::new(Ordering::Less))),
    ("max(timetz)", |_| Box::new(simple::Extreme::new(Ordering::Greater))),
    ("min(timestamp)", |_| Box::new(simple::Extreme::new(Ordering::Less))),
    ("max(timestamp)", |_| Box::new(simple::Extreme::new(Ordering::Greater))),
    ("min(timestamptz)", |_| Box::new(simple::Extreme::new(Ordering::Less))),
    ("max(timestamptz)", |_| Box::new(simple::Extreme::new(Ordering::Greater))),
    ("min(interval)", |_| Box::new(simple::Extreme::new(Ordering::Less))),
    ("max(interval)", |_| Box::new(simple::Extreme::new(Ordering::Greater))),
    ("min(text)", |_| Box::new(simple::Extreme::new(Ordering::Less))),
    ("max(text)", |_| Box::new(simple::Extreme::new(Ordering::Greater))),
    ("min(numeric)", |_| Box::new(simple::Extreme::new(Ordering::Less))),
    ("max(numeric)", |_| Box::new(simple::Extreme::new(Ordering::Greater))),
    ("min(bpchar)", |_| Box::new(simple::Extreme::new(Ordering::Less))),
    ("max(bpchar)", |_| Box::new(simple::Extreme::new(Ordering::Greater))),
    ("min(anyarray)", |_| Box::new(simple::Extreme::new(Ordering::Less))),
    ("max(anyarray)", |_| Box::new(simple::Extreme::new(Ordering::Greater))),
    ("min(money)", |_| Box::new(simple::Extreme::new(Ordering::Less))),
    ("max(money)", |_| Box::new(simple::Extreme::new(Ordering::Greater))),
    ("min(pg_lsn)", |_| Box::new(simple::Extreme::new(Ordering::Less))),
    ("max(pg_lsn)", |_| Box::new(simple::Extreme::new(Ordering::Greater))),
    ("min(xid8)", |_| Box::new(simple::Extreme::new(Ordering::Less))),
    ("max(xid8)", |_| Box::new(simple::Extreme::new(Ordering::Greater))),
    ("min(tid)", |_| Box::new(simple::Extreme::new(Ordering::Less))),
    ("max(tid)", |_| Box::new(simple::Extreme::new(Ordering::Greater))),
    ("sum(money)", |_| Box::new(simple::Amount::default())),
    ("min(anyenum)", |_| Box::new(simple::Extreme::new(Ordering::Less))),
    ("max(anyenum)", |_| Box::new(simple::Extreme::new(Ordering::Greater))),
    ("sum(int2)", |_| Box::new(sum::Integers::new(sum::Finish::Int8))),
    ("avg(int2)", |_| Box::new(sum::Integers::new(sum::Finish::Average))),
    ("sum(int4)", |_| Box::new(sum::Integers::new(sum::Finish::Int8))),
    ("avg(int4)", |_| Box::new(sum::Integers::new(sum::Finish::Average))),
    ("sum(int8)", |_| Box::new(sum::Integers::new(sum::Finish::Numeric))),
    ("avg(int8)", |_| Box::new(sum::Integers::new(sum::Finish::Average))),
    ("sum(numeric)", |_| Box::new(sum::Numerics::new(false))),
    ("avg(numeric)", |_| Box::new(sum::Numerics::new(true))),
    ("sum(float4)", |_| Box::new(sum::Singles::default())),
    ("sum(float8)", |_| Box::new(sum::Doubles::default())),
    ("sum(interval)", |_| Box::new(sum::Intervals::new(false))),
    ("avg(interval)", |_| Box::new(sum::Intervals::new(true))),
    ("avg(float4)", |_| Box::new(spread::Floats::new(Statistic::Average))),
    ("avg(float8)", |_| Box::new(spread::Floats::new(Statistic::Average))),
    ("variance(float4)", |_| Box::new(spread::Floats::new(Statistic::SampleVariance))),
    ("variance(float8)", |_| Box::new(spread::Floats::new(Statistic::SampleVariance))),
    ("variance(int2)", |_| Box::new(spread::Exact::new(Statistic::SampleVariance))),
    ("variance(int4)", |_| Box::new(spread::Exact::new(Statistic::SampleVariance))),
    ("variance(int8)", |_| Box::new(spread::Exact::new(Statistic::SampleVariance))),
    ("variance(numeric)", |_| Box::new(spread::Exact::new(Statistic::SampleVariance))),
    ("var_samp(float4)", |_| Box::new(spread::Floats::new(Statistic::SampleVariance))),
    ("var_samp(float8)", |_| Box::new(spread::Floats::new(Statistic::SampleVariance))),
    ("var_samp(int2)", |_| Box::new(spread::Exact::new(Statistic::SampleVariance))),
    ("var_samp(int4)", |_| Box::new(spread::Exact::new(Statistic::SampleVariance))),
    ("var_samp(int8)", |_| Box::new(spread::Exact::new(Statistic::SampleVariance))),
    ("var_samp(numeric)", |_| Box::new(spread::Exact::new(Statistic::SampleVariance))),
    ("var_pop(float4)", |_| Box::new(spread::Floats::new(Statistic::PopulationVariance))),
    ("var_pop(float8)", |_| Box::new(spread::Floats::new(Statistic::PopulationVariance))),
    ("var_pop(int2)", |_| Box::new(spread::Exact::new(Statistic::PopulationVariance))),
    ("var_pop(int4)", |_| Box::new(spread::Exact::new(Statistic::PopulationVariance))),
    ("var_pop(int8)", |_| Box::new(spread::Exact::new(Statistic::PopulationVariance))),
    ("var_pop(numeric)", |_| Box::new(spread::Exact::new(Statistic::PopulationVariance))),
    ("stddev(float4)", |_| Box::new(spread::Floats::new(Statistic::SampleDeviation))),
    ("stddev(float8)", |_| Box::new(spread::Floats::new(Statistic::SampleDeviation))),
    ("stddev(int2)", |_| Box::new(spread::Exact::new(Statistic::SampleDeviation))),
    ("stddev(int4)", |_| Box::new(spread::Exact::new(Statistic::SampleDeviation))),
    ("stddev(int8)", |_| Box::new(spread::Exact::new(Statistic::SampleDeviation))),
    ("stddev(numeric)", |_| Box::new(spread::Exact::new(Statistic::SampleDeviation))),
    ("stddev_samp(float4)", |_| Box::new(spread::Floats::new(Statistic::SampleDeviation))),
    ("stddev_samp(float8)", |_| Box::new(spread::Floats::new(Statistic::SampleDeviation))),
    ("stddev_samp(int2)", |_| Box::new(spread::Exact::new(Statistic::SampleDeviation))),
    ("stddev_samp(int4)", |_| Box::new(spread::Exact::new(Statistic::SampleDeviation))),
    ("stddev_samp(int8)", |_| Box::new(spread::Exact::new(Statistic::SampleDeviation))),
    ("stddev_samp(numeric)", |_| Box::new(spread::Exact::new(Statistic::SampleDeviation))),
    ("stddev_pop(float4)", |_| Box::new(spread::Floats::new(Statistic::PopulationDeviation))),
    ("stddev_pop(float8)", |_| Box::new(spread::Floats::new(Statistic::PopulationDeviation))),
    ("stddev_pop(int2)", |_| Box::new(spread::Exact::new(Statistic::PopulationDeviation))),
    ("stddev_pop(int4)", |_| Box::new(spread::Exact::new(Statistic::PopulationDeviation))),
    ("stddev_pop(int8)", |_| Box::new(spread::Exact::new(Statistic::PopulationDeviation))),
    ("stddev_pop(numeric)", |_| Box::new(spread::Exact::new(Statistic::PopulationDeviation))),
    ("regr_count(float8,float8)", |_| Box::new(regression::Pairs::new(Of::Count))),
    ("regr_sxx(float8,float8)", |_| Box::new(regression::Pairs::new(Of::SumXx))),
    ("regr_syy(float8,float8)", |_| Box::new(regression::Pairs::new(Of::SumYy))),
    ("regr_sxy(float8,float8)", |_| Box::new(regression::Pairs::new(Of::SumXy))),
    ("regr_avgx(float8,float8)", |_| Box::new(regression::Pairs::new(Of::AverageX))),
    ("regr_avgy(float8,float8)", |_| Box::new(regression::Pairs::new(Of::AverageY))),
    ("regr_r2(float8,float8)", |_| Box::new(regression::Pairs::new(Of::Determination))),
    ("regr_slope(float8,float8)", |_| Box::new(regression::Pairs::new(Of::Slope))),
    ("regr_intercept(float8,float8)", |_| Box::new(regression::Pairs::new(Of::Intercept))),
    ("covar_pop(float8,float8)", |_| Box::new(regression::Pairs::new(Of::PopulationCovariance))),
    ("covar_samp(float8,float8)", |_| Box::new(regression::Pairs::new(Of::SampleCovariance))),
    ("corr(float8,float8)", |_| Box::new(regression::Pairs::new(Of::Correlation))),
    ("bool_and(bool)", |_| Box::new(simple::Logic::new(true))),
    ("every(bool)", |_| Box::new(simple::Logic::new(true))),
    ("bool_or(bool)", |_| Box::new(simple::Logic::new(false))),
    ("bit_and(int2)", |_| Box::new(simple::Bits::new(|l, r| l & r))),
    ("bit_and(int4)", |_| Box::new(simple::Bits::new(|l, r| l & r))),
    ("bit_and(int8)", |_| Box::new(simple::Bits::new(|l, r| l & r))),
    ("bit_and(bit)", |_| Box::new(simple::BitStrings::new("AND", |l, r| l & r))),
    ("bit_or(bit)", |_| Box::new(simple::BitStrings::new("OR", |l, r| l | r))),
    ("bit_xor(bit)", |_| Box::new(simple::BitStrings::new("XOR", |l, r| l ^ r))),
    ("bit_or(int2)", |_| Box::new(simple::Bits::new(|l, r| l | r))),
    ("bit_or(int4)", |_| Box::new(simple::Bits::new(|l, r| l | r))),
    ("bit_or(int8)", |_| Box::new(simple::Bits::new(|l, r| l | r))),
    ("bit_xor(int2)", |_| Box::new(simple::Bits::new(|l, r| l ^ r))),
    ("bit_xor(int4)", |_| Box::new(simple::Bits::new(|l, r| l ^ r))),
    ("bit_xor(int8)", |_| Box::new(simple::Bits::new(|l, r| l ^ r))),
    ("string_agg(text,text)", |_| Box::new(collect::Joined::default())),
    ("string_agg(bytea,bytea)", |_| Box::new(collect::Joined::default())),
    ("array_agg(anynonarray)", |_| Box::new(collect::Elements::default())),
    ("array_agg(anyarray)", |_| Box::new(collect::Slices::default())),
    ("percentile_disc(float8,anyelement)", |_| Box::new(Sorted::new(What::Discrete))),
    ("percentile_disc(_float8,anyelement)", |_| Box::new(Sorted::new(What::Discrete))),
    ("percentile_cont(float8,float8)", |_| Box::new(Sorted::new(What::Continuous))),
    ("percentile_cont(float8,interval)", |_| Box::new(Sorted::new(What::Continuous))),
    ("percentile_cont(_float8,float8)", |_| Box::new(Sorted::new(What::Continuous))),
    ("percentile_cont(_float8,interval)", |_| Box::new(Sorted::new(What::Continuous))),
    ("mode(anyelement)", |_| Box::new(Sorted::new(What::Mode))),
    ("rank(any)", |_| Box::new(Hypothetical::new(Rank::Plain))),
    ("dense_rank(any)", |_| Box::new(Hypothetical::new(Rank::Dense))),
    ("percent_rank(any)", |_| Box::new(Hypothetical::new(Rank::Percent))),
    ("cume_dist(any)", |_| Box::new(Hypothetical::new(Rank::Cumulative))),
];
