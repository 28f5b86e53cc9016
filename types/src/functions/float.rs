//! float4 and float8, and the mathematical functions over them.
//!
//! A finite calculation that leaves the range is 22003 rather than an infinity or a zero; NaN and
//! the infinities themselves pass through.

use super::ScalarTable;
use super::integer::{int2, int4, int8};
use super::misc::random;
use crate::compare::compare_float;
use crate::datum::Datum;
use crate::error::{SqlError, SqlResult};
use crate::sqlstate::SqlState;

mod math;
mod trigonometry;

pub(super) static SCALARS: ScalarTable = &[
    ("float4eq", |_, a| Ok(Datum::Bool(compare_float(wide(&a[0]), wide(&a[1])).is_eq()))),
    ("float4ne", |_, a| Ok(Datum::Bool(compare_float(wide(&a[0]), wide(&a[1])).is_ne()))),
    ("float4lt", |_, a| Ok(Datum::Bool(compare_float(wide(&a[0]), wide(&a[1])).is_lt()))),
    ("float4le", |_, a| Ok(Datum::Bool(compare_float(wide(&a[0]), wide(&a[1])).is_le()))),
    ("float4gt", |_, a| Ok(Datum::Bool(compare_float(wide(&a[0]), wide(&a[1])).is_gt()))),
    ("float4ge", |_, a| Ok(Datum::Bool(compare_float(wide(&a[0]), wide(&a[1])).is_ge()))),
    ("float8eq", |_, a| Ok(Datum::Bool(compare_float(wide(&a[0]), wide(&a[1])).is_eq()))),
    ("float8ne", |_, a| Ok(Datum::Bool(compare_float(wide(&a[0]), wide(&a[1])).is_ne()))),
    ("float8lt", |_, a| Ok(Datum::Bool(compare_float(wide(&a[0]), wide(&a[1])).is_lt()))),
    ("float8le", |_, a| Ok(Datum::Bool(compare_float(wide(&a[0]), wide(&a[1])).is_le()))),
    ("float8gt", |_, a| Ok(Datum::Bool(compare_float(wide(&a[0]), wide(&a[1])).is_gt()))),
    ("float8ge", |_, a| Ok(Datum::Bool(compare_float(wide(&a[0]), wide(&a[1])).is_ge()))),
    ("float48eq", |_, a| Ok(Datum::Bool(compare_float(wide(&a[0]), wide(&a[1])).is_eq()))),
    ("float48ne", |_, a| Ok(Datum::Bool(compare_float(wide(&a[0]), wide(&a[1])).is_ne()))),
    ("float48lt", |_, a| Ok(Datum::Bool(compare_float(wide(&a[0]), wide(&a[1])).is_lt()))),
    ("float48le", |_, a| Ok(Datum::Bool(compare_float(wide(&a[0]), wide(&a[1])).is_le()))),
    ("float48gt", |_, a| Ok(Datum::Bool(compare_float(wide(&a[0]), wide(&a[1])).is_gt()))),
    ("float48ge", |_, a| Ok(Datum::Bool(compare_float(wide(&a[0]), wide(&a[1])).is_ge()))),
    ("float84eq", |_, a| Ok(Datum::Bool(compare_float(wide(&a[0]), wide(&a[1])).is_eq()))),
    ("float84ne", |_, a| Ok(Datum::Bool(compare_float(wide(&a[0]), wide(&a[1])).is_ne()))),
    ("float84lt", |_, a| Ok(Datum::Bool(compare_float(wide(&a[0]), wide(&a[1])).is_lt()))),
    ("float84le", |_, a| Ok(Datum::Bool(compare_float(wide(&a[0]), wide(&a[1])).is_le()))),
    ("float84gt", |_, a| Ok(Datum::Bool(compare_float(wide(&a[0]), wide(&a[1])).is_gt()))),
    ("float84ge", |_, a| Ok(Datum::Bool(compare_float(wide(&a[0]), wide(&a[1])).is_ge()))),
    ("float4pl", |_, a| single::pl(a[0].as_float4(), a[1].as_float4()).map(Datum::Float4)),
    ("float8pl", |_, a| double::pl(wide(&a[0]), wide(&a[1])).map(Datum::Float8)),
    ("float48pl", |_, a| double::pl(wide(&a[0]), wide(&a[1])).map(Datum::Float8)),
    ("float84pl", |_, a| double::pl(wide(&a[0]), wide(&a[1])).map(Datum::Float8)),
    ("float4mi", |_, a| single::mi(a[0].as_float4(), a[1].as_float4()).map(Datum::Float4)),
    ("float8mi", |_, a| double::mi(wide(&a[0]), wide(&a[1])).map(Datum::Float8)),
    ("float48mi", |_, a| double::mi(wide(&a[0]), wide(&a[1])).map(Datum::Float8)),
    ("float84mi", |_, a| double::mi(wide(&a[0]), wide(&a[1])).map(Datum::Float8)),
    ("float4mul", |_, a| single::mul(a[0].as_float4(), a[1].as_float4()).map(Datum::Float4)),
    ("float8mul", |_, a| double::mul(wide(&a[0]), wide(&a[1])).map(Datum::Float8)),
    ("float48mul", |_, a| double::mul(wide(&a[0]), wide(&a[1])).map(Datum::Float8)),
    ("float84mul", |_, a| double::mul(wide(&a[0]), wide(&a[1])).map(Datum::Float8)),
    ("float4div", |_, a| single::div(a[0].as_float4(), a[1].as_float4()).map(Datum::Float4)),
    ("float8div", |_, a| double::div(wide(&a[0]), wide(&a[1])).map(Datum::Float8)),
    ("float48div", |_, a| double::div(wide(&a[0]), wide(&a[1])).map(Datum::Float8)),
    ("float84div", |_, a| double::div(wide(&a[0]), wide(&a[1])).map(Datum::Float8)),
    ("float4um", |_, a| Ok(Datum::Float4(-a[0].as_float4()))),
    ("float4up", |_, a| Ok(a[0].clone())),
    ("float4abs", |_, a| Ok(Datum::Float4(a[0].as_float4().abs()))),
    ("float4larger", |_, a| {
        Ok(if compare_float(wide(&a[0]), wide(&a[1])).is_gt() { &a[0] } else { &a[1] }.clone())
    }),
    ("float4smaller", |_, a| {
        Ok(if compare_float(wide(&a[0]), wide(&a[1])).is_lt() { &a[0] } else { &a[1] }.clone())
    }),
    ("float8um", |_, a| Ok(Datum::Float8(-a[0].as_float8()))),
    ("float8up", |_, a| Ok(a[0].clone())),
    ("float8abs", |_, a| Ok(Datum::Float8(a[0].as_float8().abs()))),
    ("float8larger", |_, a| {
        Ok(if compare_float(wide(&a[0]), wide(&a[1])).is_gt() { &a[0] } else { &a[1] }.clone())
    }),
    ("float8smaller", |_, a| {
        Ok(if compare_float(wide(&a[0]), wide(&a[1])).is_lt() { &a[0] } else { &a[1] }.clone())
    }),
    ("i2tod", |_, a| Ok(Datum::Float8(a[0].as_int2().into()))),
    ("i2tof", |_, a| Ok(Datum::Float4(a[0].as_int2().into()))),
    ("i4tod", |_, a| Ok(Datum::Float8(a[0].as_int4().into()))),
    ("i4tof", |_, a| Ok(Datum::Float4(a[0].as_int4() as f32))),
    ("i8tod", |_, a| Ok(Datum::Float8(a[0].as_int8() as f64))),
    ("i8tof", |_, a| Ok(Datum::Float4(a[0].as_int8() as f32))),
    ("ftod", |_, a| Ok(Datum::Float8(a[0].as_float4().into()))),
    ("dtof", |_, a| to_single(a[0].as_float8()).map(Datum::Float4)),
    ("dtoi2", |_, a| int2(to_integer(a[0].as_float8()))),
    ("ftoi2", |_, a| int2(to_integer(a[0].as_float4().into()))),
    ("dtoi4", |_, a| int4(to_integer(a[0].as_float8()))),
    ("ftoi4", |_, a| int4(to_integer(a[0].as_float4().into()))),
    ("dtoi8", |_, a| int8(to_integer(a[0].as_float8()))),
    ("ftoi8", |_, a| int8(to_integer(a[0].as_float4().into()))),
    ("dround", |_, a| Ok(Datum::Float8(a[0].as_float8().round_ties_even()))),
    ("dtrunc", |_, a| Ok(Datum::Float8(a[0].as_float8().trunc()))),
    ("dceil", |_, a| Ok(Datum::Float8(a[0].as_float8().ceil()))),
    ("dfloor", |_, a| Ok(Datum::Float8(a[0].as_float8().floor()))),
    ("dsign", |_, a| math::sign(a[0].as_float8()).map(Datum::Float8)),
    ("dsqrt", |_, a| math::sqrt(a[0].as_float8()).map(Datum::Float8)),
    ("dcbrt", |_, a| math::cbrt(a[0].as_float8()).map(Datum::Float8)),
    ("dexp", |_, a| math::exp(a[0].as_float8()).map(Datum::Float8)),
    ("dlog1", |_, a| math::ln(a[0].as_float8()).map(Datum::Float8)),
    ("dlog10", |_, a| math::log10(a[0].as_float8()).map(Datum::Float8)),
    ("degrees", |_, a| math::degrees(a[0].as_float8()).map(Datum::Float8)),
    ("radians", |_, a| math::radians(a[0].as_float8()).map(Datum::Float8)),
    ("dpow", |_, a| math::power(a[0].as_float8(), a[1].as_float8()).map(Datum::Float8)),
    ("dsin", |_, a| trigonometry::sin(a[0].as_float8()).map(Datum::Float8)),
    ("dcos", |_, a| trigonometry::cos(a[0].as_float8()).map(Datum::Float8)),
    ("dtan", |_, a| trigonometry::tan(a[0].as_float8()).map(Datum::Float8)),
    ("dcot", |_, a| trigonometry::cot(a[0].as_float8()).map(Datum::Float8)),
    ("dasin", |_, a| trigonometry::asin(a[0].as_float8()).map(Datum::Float8)),
    ("dacos", |_, a| trigonometry::acos(a[0].as_float8()).map(Datum::Float8)),
    ("datan", |_, a| trigonometry::atan(a[0].as_float8()).map(Datum::Float8)),
    ("dsinh", |_, a| trigonometry::sinh(a[0].as_float8()).map(Datum::Float8)),
    ("dcosh", |_, a| trigonometry::cosh(a[0].as_float8()).map(Datum::Float8)),
    ("dtanh", |_, a| trigonometry::tanh(a[0].as_float8()).map(Datum::Float8)),
    ("dasinh", |_, a| trigonometry::asinh(a[0].as_float8()).map(Datum::Float8)),
    ("dacosh", |_, a| trigonometry::acosh(a[0].as_float8()).map(Datum::Float8)),
    ("datanh", |_, a| trigonometry::atanh(a[0].as_float8()).map(Datum::Float8)),
    ("dsind", |_, a| trigonometry::sind(a[0].as_float8()).map(Datum::Float8)),
    ("dcosd", |_, a| trigonometry::cosd(a[0].as_float8()).map(Datum::Float8)),
    ("dtand", |_, a| trigonometry::tand(a[0].as_float8()).map(Datum::Float8)),
    ("dcotd", |_, a| trigonometry::cotd(a[0].as_float8()).map(Datum::Float8)),
    ("dasind", |_, a| trigonometry::asind(a[0].as_float8()).map(Datum::Float8)),
    ("dacosd", |_, a| trigonometry::acosd(a[0].as_float8()).map(Datum::Float8)),
    ("datand", |_, a| trigonometry::atand(a[0].as_float8()).map(Datum::Float8)),
    ("datan2", |_, a| trigonometry::atan2(a[0].as_float8(), a[1].as_float8()).map(Datum::Float8)),
    ("datan2d", |_, a| trigonometry::atan2d(a[0].as_float8(), a[1].as_float8()).map(Datum::Float8)),
    ("dpi", |_, _| Ok(Datum::Float8(std::f64::consts::PI))),
    ("width_bucket_float8", |_, a| {
        math::width_bucket(a[0].as_float8(), a[1].as_float8(), a[2].as_float8(), a[3].as_int4())
            .map(Datum::Int4)
    }),
    ("drandom", random::random),
    ("setseed", random::setseed),
];

/// `22003` for a result too large for its type.
pub(super) fn overflow() -> SqlError {
    SqlError::new(SqlState::NumericValueOutOfRange, "value out of range: overflow")
}

/// `22003` for a result too close to zero for its type.
fn underflow() -> SqlError {
    SqlError::new(SqlState::NumericValueOutOfRange, "value out of range: underflow")
}

fn wide(value: &Datum) -> f64 {
    match value {
        Datum::Float4(value) => f64::from(*value),
        other => other.as_float8(),
    }
}

fn to_single(value: f64) -> SqlResult<f32> {
    let single = value as f32;
    if single.is_infinite() && !value.is_infinite() {
        return Err(overflow());
    }
    if single == 0.0 && value != 0.0 {
        return Err(underflow());
    }
    Ok(single)
}

/// Rounded half to even; `None` beyond the integer's range, and for NaN.
fn to_integer<T: TryFrom<i64>>(value: f64) -> Option<T> {
    let rounded = value.round_ties_even();
    // 2^63 itself is beyond; -2^63 is within. Everything between converts exactly.
    let within = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&rounded);
    if within { T::try_from(rounded as i64).ok() } else { None }
}

macro_rules! arithmetic {
    ($(#[$doc:meta])* $module:ident: $type:ty) => {
        $(#[$doc])*
        pub(super) mod $module {
            use super::{SqlResult, overflow, underflow};
            use crate::integer::division_by_zero;

            pub(in crate::functions) fn pl(left: $type, right: $type) -> SqlResult<$type> {
                finite(left + right, left, right)
            }

            pub(super) fn mi(left: $type, right: $type) -> SqlResult<$type> {
                finite(left - right, left, right)
            }

            pub(super) fn mul(left: $type, right: $type) -> SqlResult<$type> {
                let product = finite(left * right, left, right)?;
                if product == 0.0 && left != 0.0 && right != 0.0 {
                    return Err(underflow());
                }
                Ok(product)
            }

            pub(super) fn div(left: $type, right: $type) -> SqlResult<$type> {
                if right == 0.0 && !left.is_nan() {
                    return Err(division_by_zero());
                }
                let quotient = left / right;
                if quotient.is_infinite() && !left.is_infinite() {
                    return Err(overflow());
                }
                if quotient == 0.0 && left != 0.0 && !right.is_infinite() {
                    return Err(underflow());
                }
                Ok(quotient)
            }

            fn finite(result: $type, left: $type, right: $type) -> SqlResult<$type> {
                if result.is_infinite() && !left.is_infinite() && !right.is_infinite() {
                    return Err(overflow());
                }
                Ok(result)
            }
        }
    };
}

arithmetic! {
    /// float4's four operations.
    single: f32
}
arithmetic! {
    /// float8's.
    double: f64
}
