//! `OVERLAPS`: whether two spans of time share any, NULL ends left open.

use std::cmp::Ordering;

use super::compare::timetz_order;
use super::{either_timestamp, timetz, zone_clock};
use crate::context::CallContext;
use crate::datetime::arithmetic::{Clock, plus_interval};
use crate::datetime::calendar::DAY;
use crate::datum::Datum;
use crate::error::SqlResult;
use crate::functions::ScalarTable;

fn timetz_compare(left: &Datum, right: &Datum) -> Ordering {
    timetz_order(timetz(left), timetz(right))
}

fn timestamp_compare(left: &Datum, right: &Datum) -> Ordering {
    either_timestamp(left).cmp(&either_timestamp(right))
}

fn time_compare(left: &Datum, right: &Datum) -> Ordering {
    left.as_time().cmp(&right.as_time())
}

type Compare = fn(&Datum, &Datum) -> Ordering;

/// A span with its lesser end first; `None` if both are NULL.
fn span<'a>(
    start: &'a Datum,
    end: &'a Datum,
    compare: Compare,
) -> Option<(&'a Datum, Option<&'a Datum>)> {
    match (start.is_null(), end.is_null()) {
        (true, true) => None,
        (true, false) => Some((end, None)),
        (false, true) => Some((start, None)),
        (false, false) if compare(start, end).is_gt() => Some((end, Some(start))),
        (false, false) => Some((start, Some(end))),
    }
}

fn overlaps(a: &[Datum], compare: Compare) -> SqlResult<Datum> {
    let first = span(&a[0], &a[1], compare);
    let second = span(&a[2], &a[3], compare);
    let (Some((start, end)), Some((other_start, other_end))) = (first, second) else {
        return Ok(Datum::Null);
    };
    // The later span must begin before the earlier one's end.
    let (later_start, later_end, earlier_end) = match compare(start, other_start) {
        Ordering::Greater => (start, end, other_end),
        Ordering::Less => (other_start, other_end, end),
        Ordering::Equal => {
            let known = end.is_some() && other_end.is_some();
            return Ok(if known { Datum::Bool(true) } else { Datum::Null });
        }
    };
    Ok(match (earlier_end, later_end) {
        (None, _) => Datum::Null,
        (Some(earlier), _) if compare(later_start, earlier).is_lt() => Datum::Bool(true),
        (Some(_), None) => Datum::Null,
        (Some(_), Some(_)) => Datum::Bool(false),
    })
}

/// An end given as an interval after its start.
fn end(context: &CallContext<'_>, start: &Datum, end: &Datum) -> SqlResult<Datum> {
    let Datum::Interval(length) = end else { return Ok(end.clone()) };
    Ok(match start {
        Datum::Timestamp(start) => {
            Datum::Timestamp(plus_interval(*start, length, false, Clock::Plain)?)
        }
        Datum::Timestamptz(start) => {
            Datum::Timestamptz(plus_interval(*start, length, false, zone_clock(context))?)
        }
        Datum::Time(start) => {
            let moved = i128::from(*start) + i128::from(length.microseconds);
            Datum::Time(moved.rem_euclid(i128::from(DAY)) as i64)
        }
        _ => Datum::Null,
    })
}

fn with_lengths(context: &CallContext<'_>, a: &[Datum], compare: Compare) -> SqlResult<Datum> {
    let first_end = end(context, &a[0], &a[1])?;
    let second_end = end(context, &a[2], &a[3])?;
    overlaps(&[a[0].clone(), first_end, a[2].clone(), second_end], compare)
}

pub(super) static TABLE: ScalarTable = &[
    ("overlaps_timestamp", |_, a| overlaps(a, timestamp_compare)),
    ("overlaps_time", |_, a| overlaps(a, time_compare)),
    ("overlaps_timetz", |_, a| overlaps(a, timetz_compare)),
    ("overlaps(timestamp,interval,timestamp,interval)", |c, a| {
        with_lengths(c, a, timestamp_compare)
    }),
    ("overlaps(timestamp,timestamp,timestamp,interval)", |c, a| {
        with_lengths(c, a, timestamp_compare)
    }),
    ("overlaps(timestamp,interval,timestamp,timestamp)", |c, a| {
        with_lengths(c, a, timestamp_compare)
    }),
    ("overlaps(timestamptz,interval,timestamptz,interval)", |c, a| {
        with_lengths(c, a, timestamp_compare)
    }),
    ("overlaps(timestamptz,timestamptz,timestamptz,interval)", |c, a| {
        with_lengths(c, a, timestamp_compare)
    }),
    ("overlaps(timestamptz,interval,timestamptz,timestamptz)", |c, a| {
        with_lengths(c, a, timestamp_compare)
    }),
    ("overlaps(time,interval,time,interval)", |c, a| with_lengths(c, a, time_compare)),
    ("overlaps(time,time,time,interval)", |c, a| with_lengths(c, a, time_compare)),
    ("overlaps(time,interval,time,time)", |c, a| with_lengths(c, a, time_compare)),
];
