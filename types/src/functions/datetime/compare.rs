//! Comparison of dates, times and intervals, across types too.

use std::cmp::Ordering;

use super::zone_clock;
use crate::context::CallContext;
use crate::datetime::arithmetic::{Clock, compare_date, compare_local};
use crate::datum::Datum;
use crate::error::SqlResult;
use crate::functions::ScalarTable;

fn compared(ordering: Ordering, holds: fn(Ordering) -> bool) -> SqlResult<Datum> {
    Ok(Datum::Bool(holds(ordering)))
}

type Context<'a> = &'a CallContext<'a>;

fn dates(_: Context<'_>, a: &[Datum]) -> Ordering {
    a[0].as_date().cmp(&a[1].as_date())
}

fn times(_: Context<'_>, a: &[Datum]) -> Ordering {
    a[0].as_time().cmp(&a[1].as_time())
}

/// By the instant on the same day first, by the offset among equals.
pub(super) fn timetz_order(left: (i64, i32), right: (i64, i32)) -> Ordering {
    let instant = |(time, west): (i64, i32)| time + i64::from(west) * 1_000_000;
    instant(left).cmp(&instant(right)).then(left.1.cmp(&right.1))
}

fn timetzs(_: Context<'_>, a: &[Datum]) -> Ordering {
    timetz_order(super::timetz(&a[0]), super::timetz(&a[1]))
}

/// Of `timestamp` or of `timestamptz`: PostgreSQL has one function for both.
fn timestamps(_: Context<'_>, a: &[Datum]) -> Ordering {
    super::either_timestamp(&a[0]).cmp(&super::either_timestamp(&a[1]))
}

fn intervals(_: Context<'_>, a: &[Datum]) -> Ordering {
    a[0].as_interval().cmp(&a[1].as_interval())
}

fn date_timestamp(_: Context<'_>, a: &[Datum]) -> Ordering {
    compare_date(a[0].as_date(), a[1].as_timestamp(), Clock::Plain)
}

fn date_timestamptz(context: Context<'_>, a: &[Datum]) -> Ordering {
    compare_date(a[0].as_date(), a[1].as_timestamptz(), zone_clock(context))
}

fn timestamp_date(_: Context<'_>, a: &[Datum]) -> Ordering {
    compare_date(a[1].as_date(), a[0].as_timestamp(), Clock::Plain).reverse()
}

fn timestamptz_date(context: Context<'_>, a: &[Datum]) -> Ordering {
    compare_date(a[1].as_date(), a[0].as_timestamptz(), zone_clock(context)).reverse()
}

fn timestamp_timestamptz(context: Context<'_>, a: &[Datum]) -> Ordering {
    let zone = &context.eval.settings.time_zone;
    compare_local(a[0].as_timestamp(), a[1].as_timestamptz(), zone)
}

fn timestamptz_timestamp(context: Context<'_>, a: &[Datum]) -> Ordering {
    let zone = &context.eval.settings.time_zone;
    compare_local(a[1].as_timestamp(), a[0].as_timestamptz(), zone).reverse()
}

pub(super) static TABLE: ScalarTable = &[
    ("date_eq", |c, a| compared(dates(c, a), Ordering::is_eq)),
    ("date_ne", |c, a| compared(dates(c, a), Ordering::is_ne)),
    ("date_lt", |c, a| compared(dates(c, a), Ordering::is_lt)),
    ("date_le", |c, a| compared(dates(c, a), Ordering::is_le)),
    ("date_gt", |c, a| compared(dates(c, a), Ordering::is_gt)),
    ("date_ge", |c, a| compared(dates(c, a), Ordering::is_ge)),
    ("date_cmp", |c, a| Ok(Datum::Int4(dates(c, a) as i32))),
    ("date_smaller", |c, a| Ok(a[usize::from(dates(c, a).is_ge())].clone())),
    ("date_larger", |c, a| Ok(a[usize::from(dates(c, a).is_le())].clone())),
    ("time_eq", |c, a| compared(times(c, a), Ordering::is_eq)),
    ("time_ne", |c, a| compared(times(c, a), Ordering::is_ne)),
    ("time_lt", |c, a| compared(times(c, a), Ordering::is_lt)),
    ("time_le", |c, a| compared(times(c, a), Ordering::is_le)),
    ("time_gt", |c, a| compared(times(c, a), Ordering::is_gt)),
    ("time_ge", |c, a| compared(times(c, a), Ordering::is_ge)),
    ("time_cmp", |c, a| Ok(Datum::Int4(times(c, a) as i32))),
    ("time_smaller", |c, a| Ok(a[usize::from(times(c, a).is_ge())].clone())),
    ("time_larger", |c, a| Ok(a[usize::from(times(c, a).is_le())].clone())),
    ("timetz_eq", |c, a| compared(timetzs(c, a), Ordering::is_eq)),
    ("timetz_ne", |c, a| compared(timetzs(c, a), Ordering::is_ne)),
    ("timetz_lt", |c, a| compared(timetzs(c, a), Ordering::is_lt)),
    ("timetz_le", |c, a| compared(timetzs(c, a), Ordering::is_le)),
    ("timetz_gt", |c, a| compared(timetzs(c, a), Ordering::is_gt)),
    ("timetz_ge", |c, a| compared(timetzs(c, a), Ordering::is_ge)),
    ("timetz_cmp", |c, a| Ok(Datum::Int4(timetzs(c, a) as i32))),
    ("timetz_smaller", |c, a| Ok(a[usize::from(timetzs(c, a).is_ge())].clone())),
    ("timetz_larger", |c, a| Ok(a[usize::from(timetzs(c, a).is_le())].clone())),
    ("timestamp_eq", |c, a| compared(timestamps(c, a), Ordering::is_eq)),
    ("timestamp_ne", |c, a| compared(timestamps(c, a), Ordering::is_ne)),
    ("timestamp_lt", |c, a| compared(timestamps(c, a), Ordering::is_lt)),
    ("timestamp_le", |c, a| compared(timestamps(c, a), Ordering::is_le)),
    ("timestamp_gt", |c, a| compared(timestamps(c, a), Ordering::is_gt)),
    ("timestamp_ge", |c, a| compared(timestamps(c, a), Ordering::is_ge)),
    ("timestamp_cmp", |c, a| Ok(Datum::Int4(timestamps(c, a) as i32))),
    ("timestamp_smaller", |c, a| Ok(a[usize::from(timestamps(c, a).is_ge())].clone())),
    ("timestamp_larger", |c, a| Ok(a[usize::from(timestamps(c, a).is_le())].clone())),
    ("interval_eq", |c, a| compared(intervals(c, a), Ordering::is_eq)),
    ("interval_ne", |c, a| compared(intervals(c, a), Ordering::is_ne)),
    ("interval_lt", |c, a| compared(intervals(c, a), Ordering::is_lt)),
    ("interval_le", |c, a| compared(intervals(c, a), Ordering::is_le)),
    ("interval_gt", |c, a| compared(intervals(c, a), Ordering::is_gt)),
    ("interval_ge", |c, a| compared(intervals(c, a), Ordering::is_ge)),
    ("interval_cmp", |c, a| Ok(Datum::Int4(intervals(c, a) as i32))),
    ("interval_smaller", |c, a| Ok(a[usize::from(intervals(c, a).is_ge())].clone())),
    ("interval_larger", |c, a| Ok(a[usize::from(intervals(c, a).is_le())].clone())),
    ("date_eq_timestamp", |c, a| compared(date_timestamp(c, a), Ordering::is_eq)),
    ("date_ne_timestamp", |c, a| compared(date_timestamp(c, a), Ordering::is_ne)),
    ("date_lt_timestamp", |c, a| compared(date_timestamp(c, a), Ordering::is_lt)),
    ("date_le_timestamp", |c, a| compared(date_timestamp(c, a), Ordering::is_le)),
    ("date_gt_timestamp", |c, a| compared(date_timestamp(c, a), Ordering::is_gt)),
    ("date_ge_timestamp", |c, a| compared(date_timestamp(c, a), Ordering::is_ge)),
    ("date_cmp_timestamp", |c, a| Ok(Datum::Int4(date_timestamp(c, a) as i32))),
    ("date_eq_timestamptz", |c, a| compared(date_timestamptz(c, a), Ordering::is_eq)),
    ("date_ne_timestamptz", |c, a| compared(date_timestamptz(c, a), Ordering::is_ne)),
    ("date_lt_timestamptz", |c, a| compared(date_timestamptz(c, a), Ordering::is_lt)),
    ("date_le_timestamptz", |c, a| compared(date_timestamptz(c, a), Ordering::is_le)),
    ("date_gt_timestamptz", |c, a| compared(date_timestamptz(c, a), Ordering::is_gt)),
    ("date_ge_timestamptz", |c, a| compared(date_timestamptz(c, a), Ordering::is_ge)),
    ("date_cmp_timestamptz", |c, a| Ok(Datum::Int4(date_timestamptz(c, a) as i32))),
    ("timestamp_eq_date", |c, a| compared(timestamp_date(c, a), Ordering::is_eq)),
    ("timestamp_ne_date", |c, a| compared(timestamp_date(c, a), Ordering::is_ne)),
    ("timestamp_lt_date", |c, a| compared(timestamp_date(c, a), Ordering::is_lt)),
    ("timestamp_le_date", |c, a| compared(timestamp_date(c, a), Ordering::is_le)),
    ("timestamp_gt_date", |c, a| compared(timestamp_date(c, a), Ordering::is_gt)),
    ("timestamp_ge_date", |c, a| compared(timestamp_date(c, a), Ordering::is_ge)),
    ("timestamp_cmp_date", |c, a| Ok(Datum::Int4(timestamp_date(c, a) as i32))),
    ("timestamptz_eq_date", |c, a| compared(timestamptz_date(c, a), Ordering::is_eq)),
    ("timestamptz_ne_date", |c, a| compared(timestamptz_date(c, a), Ordering::is_ne)),
    ("timestamptz_lt_date", |c, a| compared(timestamptz_date(c, a), Ordering::is_lt)),
    ("timestamptz_le_date", |c, a| compared(timestamptz_date(c, a), Ordering::is_le)),
    ("timestamptz_gt_date", |c, a| compared(timestamptz_date(c, a), Ordering::is_gt)),
    ("timestamptz_ge_date", |c, a| compared(timestamptz_date(c, a), Ordering::is_ge)),
    ("timestamptz_cmp_date", |c, a| Ok(Datum::Int4(timestamptz_date(c, a) as i32))),
    ("timestamp_eq_timestamptz", |c, a| compared(timestamp_timestamptz(c, a), Ordering::is_eq)),
    ("timestamp_ne_timestamptz", |c, a| compared(timestamp_timestamptz(c, a), Ordering::is_ne)),
    ("timestamp_lt_timestamptz", |c, a| compared(timestamp_timestamptz(c, a), Ordering::is_lt)),
    ("timestamp_le_timestamptz", |c, a| compared(timestamp_timestamptz(c, a), Ordering::is_le)),
    ("timestamp_gt_timestamptz", |c, a| compared(timestamp_timestamptz(c, a), Ordering::is_gt)),
    ("timestamp_ge_timestamptz", |c, a| compared(timestamp_timestamptz(c, a), Ordering::is_ge)),
    ("timestamp_cmp_timestamptz", |c, a| Ok(Datum::Int4(timestamp_timestamptz(c, a) as i32))),
    ("timestamptz_eq_timestamp", |c, a| compared(timestamptz_timestamp(c, a), Ordering::is_eq)),
    ("timestamptz_ne_timestamp", |c, a| compared(timestamptz_timestamp(c, a), Ordering::is_ne)),
    ("timestamptz_lt_timestamp", |c, a| compared(timestamptz_timestamp(c, a), Ordering::is_lt)),
    ("timestamptz_le_timestamp", |c, a| compared(timestamptz_timestamp(c, a), Ordering::is_le)),
    ("timestamptz_gt_timestamp", |c, a| compared(timestamptz_timestamp(c, a), Ordering::is_gt)),
    ("timestamptz_ge_timestamp", |c, a| compared(timestamptz_timestamp(c, a), Ordering::is_ge)),
    ("timestamptz_cmp_timestamp", |c, a| Ok(Datum::Int4(timestamptz_timestamp(c, a) as i32))),
];
