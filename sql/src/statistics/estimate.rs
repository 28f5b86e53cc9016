//! What a sample of a column says of all of it.
//!
//! The rules are those of PostgreSQL 15's `ANALYZE` (chapter 14.2, "Statistics Used by the Planner"):
//! the number of distinct values by Haas and Stokes (*Sampling-based estimation of the number of
//! distinct values of an attribute*, 1995, the "Duj1" estimator), a common value where the sample
//! shows with two standard deviations that it is more frequent than the others are on average, and a
//! histogram with as many rows in each part of what is left.

use aegis_catalog::{CommonValues, Statistics, Values};
use aegis_types::compare::{compare, equal, is_comparable};
use aegis_types::{Datum, Oid, TypeRef, type_oid};

use super::{Sampled, width};

/// A part of the rows from which on the number of distinct values is taken to grow with them.
const PROPORTIONAL: f64 = 0.1;

/// What there is besides the values themselves.
struct Counted {
    rows: usize,
    nulls: usize,
    wide: usize,
    null_fraction: f32,
    total: f64,
}

/// What the values of a column in a sample say of it: `total` rows are in the table, and up to
/// `target` common values and parts of a histogram are kept. `None` for a sample without rows.
///
/// `base` is the type beneath its domains; `is_stored` tells values that lie in rows from computed
/// ones, which PostgreSQL holds with longer headers. Relation and column of the result are not set.
#[must_use]
pub fn estimate(
    base: Oid,
    values: Vec<Sampled>,
    total: f64,
    target: usize,
    is_stored: bool,
) -> Option<Statistics> {
    let rows = values.len();
    let (mut known, mut nulls, mut wide, mut bytes) = (Vec::new(), 0, 0, 0.0);
    for value in values {
        match value {
            Sampled::Null => nulls += 1,
            Sampled::Wide(width) => {
                wide += 1;
                bytes += width as f64;
            }
            Sampled::Value(value) => {
                bytes += width::of(base, &value, is_stored) as f64;
                known.push(value);
            }
        }
    }
    if rows == 0 {
        return None;
    }
    let null_fraction = (nulls as f64 / rows as f64) as f32;
    let found = rows - nulls;
    let width = match width::fixed(base) {
        Some(width) => width as i32,
        None if found == 0 => 0,
        None => (bytes / found as f64) as i32,
    };
    let mut statistics = Statistics {
        relation: Oid::NONE,
        column: 0,
        ty: TypeRef::plain(base),
        null_fraction,
        width,
        distinct: 0.0,
        common: None,
        histogram: None,
        correlation: None,
    };
    let counted = Counted { rows, nulls, wide, null_fraction, total };
    if found == 0 {
        statistics.null_fraction = 1.0;
    } else if is_comparable(base) {
        ordered(known, &counted, target, &mut statistics);
    } else if matches!(base, type_oid::XID | type_oid::CID) {
        unordered(base, known, &counted, target, &mut statistics);
    }
    Some(statistics)
}

/// A value found several times: how often, and the place of its first occurrence in the order.
#[derive(Clone, Copy)]
struct Track {
    count: usize,
    first: usize,
}

/// For a type with an order.
fn ordered(values: Vec<Datum>, counted: &Counted, target: usize, out: &mut Statistics) {
    let ty = out.ty.oid;
    let mut values: Vec<(usize, Datum)> = values.into_iter().enumerate().collect();
    if values.is_empty() {
        out.distinct = distinct(counted, 0, 0, 0);
        return;
    }
    values.sort_by(|(_, left), (_, right)| compare(ty, left, right));
    let (mut tracks, mut groups, mut repeated): (Vec<Track>, usize, usize) = (Vec::new(), 0, 0);
    let (mut first, mut products) = (0, 0.0);
    for at in 0..values.len() {
        products += at as f64 * values[at].0 as f64;
        let is_last = at + 1 == values.len() || !equal(ty, &values[at].1, &values[at + 1].1);
        if !is_last {
            continue;
        }
        let count = at + 1 - first;
        groups += 1;
        if count > 1 {
            repeated += 1;
            track(&mut tracks, Track { count, first }, target);
        }
        first = at + 1;
    }
    out.distinct = distinct(counted, groups, repeated, groups - repeated);
    let is_complete = tracks.len() == groups && counted.wide == 0 && out.distinct > 0.0;
    if !is_complete {
        let counts: Vec<usize> = tracks.iter().map(|track| track.count).collect();
        tracks.truncate(worth_keeping(&counts, out.distinct, counted));
    }
    if !tracks.is_empty() {
        let common: Vec<Datum> = tracks.iter().map(|track| values[track.first].1.clone()).collect();
        let frequencies = tracks.iter().map(|track| frequency(track.count, counted)).collect();
        out.common = Some(CommonValues { values: Values(common.into()), frequencies });
    }
    out.correlation = correlation(values.len(), products);
    let bounds = groups - tracks.len();
    let bounds = if bounds > target { target + 1 } else { bounds };
    if bounds >= 2 {
        out.histogram = Some(Values(histogram(values, tracks, bounds).into()));
    }
}

/// Keeps the most frequent ones, of equally frequent ones the first.
fn track(tracks: &mut Vec<Track>, new: Track, target: usize) {
    if tracks.len() == target && tracks.last().is_none_or(|last| new.count <= last.count) {
        return;
    }
    tracks.truncate(target.saturating_sub(1));
    let at = tracks.partition_point(|track| track.count >= new.count);
    tracks.insert(at, new);
}

fn frequency(count: usize, counted: &Counted) -> f32 {
    (count as f64 / counted.rows as f64) as f32
}

/// How far the order of values is that of rows: Pearson's coefficient of the places in both.
fn correlation(count: usize, products: f64) -> Option<f32> {
    if count < 2 {
        return None;
    }
    let count = count as f64;
    let sum = (count - 1.0) * count / 2.0;
    let squares = (count - 1.0) * count * (2.0 * count - 1.0) / 6.0;
    Some(((count * products - sum * sum) / (count * squares - sum * sum)) as f32)
}

/// So many of the values that are not common, evenly spaced, the least and the greatest among them.
fn histogram(values: Vec<(usize, Datum)>, mut tracks: Vec<Track>, bounds: usize) -> Vec<Datum> {
    tracks.sort_unstable_by_key(|track| track.first);
    let mut tracks = tracks.into_iter().peekable();
    let mut rest: Vec<Datum> = Vec::with_capacity(values.len());
    for (at, (_, value)) in values.into_iter().enumerate() {
        while tracks.peek().is_some_and(|track| at >= track.first + track.count) {
            tracks.next();
        }
        if tracks.peek().is_none_or(|track| at < track.first) {
            rest.push(value);
        }
    }
    let parts = bounds - 1;
    let last = rest.len() - 1;
    // Place `last * bound / parts`, without its product.
    (0..bounds)
        .map(|bound| rest[last / parts * bound + last % parts * bound / parts].clone())
        .collect()
}

/// For a type that has an equality alone: values are counted in a list of bounded length, the most
/// frequent first, from whose end those found once drop out.
fn unordered(ty: Oid, values: Vec<Datum>, counted: &Counted, target: usize, out: &mut Statistics) {
    let length = (2 * target).max(10);
    let mut list: Vec<(Datum, usize)> = Vec::new();
    for value in values {
        if let Some(mut at) = list.iter().position(|(known, _)| equal(ty, known, &value)) {
            list[at].1 += 1;
            while at > 0 && list[at].1 > list[at - 1].1 {
                list.swap(at, at - 1);
                at -= 1;
            }
            continue;
        }
        let once = list.iter().position(|(_, count)| *count == 1).unwrap_or(list.len());
        if once < length {
            list.insert(once, (value, 1));
            list.truncate(length);
        }
    }
    let repeated = list.iter().take_while(|(_, count)| *count > 1).count();
    let found = counted.rows - counted.nulls;
    let once =
        found - counted.wide - list[..repeated].iter().map(|(_, count)| count).sum::<usize>();
    let is_all = list.len() < length;
    let groups = if is_all { list.len() } else { once + repeated };
    out.distinct = distinct(counted, groups, repeated, once);
    let is_complete = is_all && counted.wide == 0 && out.distinct > 0.0 && list.len() <= target;
    if !is_complete {
        list.truncate(target);
        let counts: Vec<usize> = list.iter().map(|(_, count)| *count).collect();
        list.truncate(worth_keeping(&counts, out.distinct, counted));
    }
    if !list.is_empty() {
        let frequencies = list.iter().map(|(_, count)| frequency(*count, counted)).collect();
        let common: Vec<Datum> = list.into_iter().map(|(value, _)| value).collect();
        out.common = Some(CommonValues { values: Values(common.into()), frequencies });
    }
}

/// How many values there are in the table, of which the sample has so many, so many of them several
/// times and the others once.
fn distinct(counted: &Counted, groups: usize, repeated: usize, once: usize) -> f32 {
    let not_null = 1.0 - f64::from(counted.null_fraction);
    let total = counted.total;
    let distinct = if repeated == 0 {
        -not_null as f32
    } else if counted.wide == 0 && repeated == groups {
        groups as f32
    } else {
        let once = (once + counted.wide) as f64;
        let groups = once + repeated as f64;
        let sampled = (counted.rows - counted.nulls) as f64;
        let all = total * not_null;
        let estimate = if all > 0.0 {
            sampled * groups / ((sampled - once) + once * sampled / all)
        } else {
            0.0
        };
        (estimate.max(groups).min(all) + 0.5).floor() as f32
    };
    if f64::from(distinct) > PROPORTIONAL * total {
        return -(f64::from(distinct) / total) as f32;
    }
    distinct
}

/// How many of the values found most often are common ones.
fn worth_keeping(counts: &[usize], distinct: f32, counted: &Counted) -> usize {
    let (rows, total) = (counted.rows as f64, counted.total);
    if rows == total || total <= 1.0 {
        return counts.len();
    }
    let distinct = if distinct < 0.0 { -f64::from(distinct) * total } else { f64::from(distinct) };
    let mut kept = counts.len();
    let mut before: f64 = counts.iter().take(kept.saturating_sub(1)).map(|it| *it as f64).sum();
    while kept > 0 {
        // What an average one of the others would have.
        let part = 1.0 - before / rows - f64::from(counted.null_fraction);
        let others = distinct - (kept - 1) as f64;
        let part = part.clamp(0.0, 1.0) / if others > 1.0 { others } else { 1.0 };
        let count = counts[kept - 1] as f64;
        // The count in a sample without replacement is distributed hypergeometrically.
        let all = total * count / rows;
        let variance =
            rows * all * (total - all) * (total - rows) / (total * total * (total - 1.0));
        if count > part * rows + 2.0 * variance.sqrt() + 0.5 {
            break;
        }
        kept -= 1;
        if kept > 0 {
            before -= counts[kept - 1] as f64;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ints(values: impl IntoIterator<Item = i32>) -> Vec<Sampled> {
        values.into_iter().map(|value| Sampled::Value(Datum::Int4(value))).collect()
    }

    fn numbers(values: &Values) -> Vec<i32> {
        let number = |value: &Datum| match value {
            Datum::Int4(value) => *value,
            other => panic!("{other:?}"),
        };
        values.0.iter().map(number).collect()
    }

    #[test]
    fn a_key_is_all_histogram_and_in_order() {
        let found = estimate(type_oid::INT4, ints(1..=1000), 1000.0, 4, true).unwrap();
        assert_eq!((found.distinct, found.width, found.null_fraction), (-1.0, 4, 0.0));
        assert_eq!(found.common, None);
        assert_eq!(found.correlation, Some(1.0));
        // What PostgreSQL 15 has for generate_series(1, 1000) with SET STATISTICS 4.
        assert_eq!(numbers(&found.histogram.unwrap()), [1, 250, 500, 750, 1000]);
    }

    #[test]
    fn few_values_are_all_common_the_most_frequent_first_and_the_least_of_equals() {
        let values = (0..100).map(|at| if at % 2 == 0 { 7 } else { at % 4 });
        let found = estimate(type_oid::INT4, ints(values), 100.0, 100, true).unwrap();
        let common = found.common.unwrap();
        assert_eq!(numbers(&common.values), [7, 1, 3]);
        assert_eq!(common.frequencies, [0.5, 0.25, 0.25]);
        assert_eq!((found.distinct, found.histogram), (3.0, None));
    }

    #[test]
    fn nulls_and_long_values_count_without_being_looked_at() {
        let mut values = ints([1, 1, 2]);
        values.extend([Sampled::Null, Sampled::Wide(5000)]);
        let found = estimate(type_oid::INT4, values, 5.0, 100, true).unwrap();
        assert!((found.null_fraction - 0.2).abs() < 1e-6);
        let nulls = estimate(type_oid::TEXT, vec![Sampled::Null; 3], 3.0, 100, true).unwrap();
        assert_eq!((nulls.null_fraction, nulls.width, nulls.distinct), (1.0, 0, 0.0));
        let wide = estimate(type_oid::TEXT, vec![Sampled::Wide(3000); 2], 2.0, 100, true).unwrap();
        assert_eq!((wide.width, wide.distinct, wide.common), (3000, -1.0, None));
    }

    #[test]
    fn a_sample_without_proof_keeps_no_common_values() {
        // Each value twice in a sample of one row in a hundred: none is more frequent than another.
        let found =
            estimate(type_oid::INT4, ints((0..1000).map(|at| at / 2)), 1e5, 100, true).unwrap();
        assert_eq!(found.common, None);
        assert_eq!(found.distinct, 500.0);
        // One value in every third row is.
        let values = (0..999).map(|at| if at % 3 == 0 { -1 } else { at });
        let found = estimate(type_oid::INT4, ints(values), 1e5, 100, true).unwrap();
        assert_eq!(numbers(&found.common.unwrap().values), [-1]);
        // n d / (n - f1 + f1 n / N) with n = 999, f1 = 666, d = 667, N = 100,000.
        assert_eq!(found.distinct, 1962.0);
    }

    #[test]
    fn types_without_an_order_keep_common_values_and_others_their_width() {
        let xids = [3, 3, 4, 3, 4, 5].map(|xid| Sampled::Value(Datum::Oid(Oid(xid))));
        let found = estimate(type_oid::XID, xids.to_vec(), 6.0, 100, true).unwrap();
        assert_eq!(found.common.unwrap().frequencies[0], 0.5);
        assert_eq!((found.histogram, found.correlation), (None, None));
        let json = vec![Sampled::Value(Datum::text("{}")); 4];
        let found = estimate(type_oid::JSON, json, 4.0, 100, true).unwrap();
        assert_eq!((found.width, found.distinct, found.common), (3, 0.0, None));
    }
}
