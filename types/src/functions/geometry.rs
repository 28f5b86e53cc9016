//! `point`: comparison, arithmetic of complex numbers, distance (PostgreSQL 15, chapter 9.11).

use super::ScalarTable;
use crate::datum::Datum;
use crate::error::SqlResult;
use crate::geometry::{coordinates, point};
use crate::integer::division_by_zero;

/// What counts as equal.
const EPSILON: f64 = 1.0e-6;

fn same(left: f64, right: f64) -> bool {
    left == right || (left - right).abs() <= EPSILON || (left.is_nan() && right.is_nan())
}

macro_rules! on_points {
    (|$x1:ident, $y1:ident, $x2:ident, $y2:ident| $result:expr) => {
        |_, a| {
            let (($x1, $y1), ($x2, $y2)) = (coordinates(&a[0]), coordinates(&a[1]));
            Ok($result)
        }
    };
}

pub(super) static SCALARS: ScalarTable = &[
    ("construct_point", |_, a| Ok(point(a[0].as_float8(), a[1].as_float8()))),
    ("point_eq", on_points!(|x1, y1, x2, y2| Datum::Bool(same(x1, x2) && same(y1, y2)))),
    ("point_ne", on_points!(|x1, y1, x2, y2| Datum::Bool(!(same(x1, x2) && same(y1, y2))))),
    ("point_left", on_points!(|x1, _y1, x2, _y2| Datum::Bool(x1 + EPSILON < x2))),
    ("point_right", on_points!(|x1, _y1, x2, _y2| Datum::Bool(x1 > x2 + EPSILON))),
    ("point_above", on_points!(|_x1, y1, _x2, y2| Datum::Bool(y1 > y2 + EPSILON))),
    ("point_below", on_points!(|_x1, y1, _x2, y2| Datum::Bool(y1 + EPSILON < y2))),
    ("point_vert", on_points!(|x1, _y1, x2, _y2| Datum::Bool(same(x1, x2)))),
    ("point_horiz", on_points!(|_x1, y1, _x2, y2| Datum::Bool(same(y1, y2)))),
    ("point_add", on_points!(|x1, y1, x2, y2| point(x1 + x2, y1 + y2))),
    ("point_sub", on_points!(|x1, y1, x2, y2| point(x1 - x2, y1 - y2))),
    ("point_mul", on_points!(|x1, y1, x2, y2| point(x1 * x2 - y1 * y2, x1 * y2 + y1 * x2))),
    ("point_div", |_, a| divide(a)),
    ("point_distance", on_points!(|x1, y1, x2, y2| Datum::Float8((x1 - x2).hypot(y1 - y2)))),
    ("point_slope", on_points!(|x1, y1, x2, y2| Datum::Float8(slope(x1, y1, x2, y2)))),
];

fn divide(a: &[Datum]) -> SqlResult<Datum> {
    let ((x1, y1), (x2, y2)) = (coordinates(&a[0]), coordinates(&a[1]));
    let square = x2 * x2 + y2 * y2;
    if square == 0.0 {
        return Err(division_by_zero());
    }
    Ok(point((x1 * x2 + y1 * y2) / square, (y1 * x2 - x1 * y2) / square))
}

fn slope(x1: f64, y1: f64, x2: f64, y2: f64) -> f64 {
    if same(x1, x2) {
        f64::MAX
    } else if same(y1, y2) {
        0.0
    } else {
        (y1 - y2) / (x1 - x2)
    }
}
