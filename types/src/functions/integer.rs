//! int2, int4, int8, oid: checked arithmetic, bits, casts.
//!
//! A result that the type cannot hold is 22003, never another number; a division by zero 22012.

use super::{ScalarTable, SetTable};
use crate::datum::Datum;
use crate::error::{SqlError, SqlResult};
use crate::integer::{division_by_zero, out_of_range};
use crate::oid::Oid;
use crate::sqlstate::SqlState;

macro_rules! comparison {
    ($operator:tt, $left:ident, $right:ident, $type:ty) => {
        |_, a| Ok(Datum::Bool(<$type>::from(a[0].$left()) $operator <$type>::from(a[1].$right())))
    };
}

macro_rules! arithmetic {
    ($result:ident, $operation:ident, $left:ident, $right:ident, $type:ty) => {
        |_, a| $result(<$type>::from(a[0].$left()).$operation(<$type>::from(a[1].$right())))
    };
}

macro_rules! division {
    ($result:ident, checked_rem_wrapping, $left:ident, $right:ident, $type:ty) => {
        |_, a| match <$type>::from(a[1].$right()) {
            0 => Err(division_by_zero()),
            // The remainder by -1 is 0, of the smallest number too.
            divisor => $result(Some(<$type>::from(a[0].$left()).wrapping_rem(divisor))),
        }
    };
    ($result:ident, $operation:ident, $left:ident, $right:ident, $type:ty) => {
        |_, a| match <$type>::from(a[1].$right()) {
            0 => Err(division_by_zero()),
            divisor => $result(<$type>::from(a[0].$left()).$operation(divisor)),
        }
    };
}

pub(super) static SCALARS: ScalarTable = &[
    ("int2eq", comparison!(==, as_int2, as_int2, i16)),
    ("int2ne", comparison!(!=, as_int2, as_int2, i16)),
    ("int2lt", comparison!(<, as_int2, as_int2, i16)),
    ("int2le", comparison!(<=, as_int2, as_int2, i16)),
    ("int2gt", comparison!(>, as_int2, as_int2, i16)),
    ("int2ge", comparison!(>=, as_int2, as_int2, i16)),
    ("int4eq", comparison!(==, as_int4, as_int4, i32)),
    ("int4ne", comparison!(!=, as_int4, as_int4, i32)),
    ("int4lt", comparison!(<, as_int4, as_int4, i32)),
    ("int4le", comparison!(<=, as_int4, as_int4, i32)),
    ("int4gt", comparison!(>, as_int4, as_int4, i32)),
    ("int4ge", comparison!(>=, as_int4, as_int4, i32)),
    ("int8eq", comparison!(==, as_int8, as_int8, i64)),
    ("int8ne", comparison!(!=, as_int8, as_int8, i64)),
    ("int8lt", comparison!(<, as_int8, as_int8, i64)),
    ("int8le", comparison!(<=, as_int8, as_int8, i64)),
    ("int8gt", comparison!(>, as_int8, as_int8, i64)),
    ("int8ge", comparison!(>=, as_int8, as_int8, i64)),
    ("int24eq", comparison!(==, as_int2, as_int4, i32)),
    ("int24ne", comparison!(!=, as_int2, as_int4, i32)),
    ("int24lt", comparison!(<, as_int2, as_int4, i32)),
    ("int24le", comparison!(<=, as_int2, as_int4, i32)),
    ("int24gt", comparison!(>, as_int2, as_int4, i32)),
    ("int24ge", comparison!(>=, as_int2, as_int4, i32)),
    ("int42eq", comparison!(==, as_int4, as_int2, i32)),
    ("int42ne", comparison!(!=, as_int4, as_int2, i32)),
    ("int42lt", comparison!(<, as_int4, as_int2, i32)),
    ("int42le", comparison!(<=, as_int4, as_int2, i32)),
    ("int42gt", comparison!(>, as_int4, as_int2, i32)),
    ("int42ge", comparison!(>=, as_int4, as_int2, i32)),
    ("int28eq", comparison!(==, as_int2, as_int8, i64)),
    ("int28ne", comparison!(!=, as_int2, as_int8, i64)),
    ("int28lt", comparison!(<, as_int2, as_int8, i64)),
    ("int28le", comparison!(<=, as_int2, as_int8, i64)),
    ("int28gt", comparison!(>, as_int2, as_int8, i64)),
    ("int28ge", comparison!(>=, as_int2, as_int8, i64)),
    ("int82eq", comparison!(==, as_int8, as_int2, i64)),
    ("int82ne", comparison!(!=, as_int8, as_int2, i64)),
    ("int82lt", comparison!(<, as_int8, as_int2, i64)),
    ("int82le", comparison!(<=, as_int8, as_int2, i64)),
    ("int82gt", comparison!(>, as_int8, as_int2, i64)),
    ("int82ge", comparison!(>=, as_int8, as_int2, i64)),
    ("int48eq", comparison!(==, as_int4, as_int8, i64)),
    ("int48ne", comparison!(!=, as_int4, as_int8, i64)),
    ("int48lt", comparison!(<, as_int4, as_int8, i64)),
    ("int48le", comparison!(<=, as_int4, as_int8, i64)),
    ("int48gt", comparison!(>, as_int4, as_int8, i64)),
    ("int48ge", comparison!(>=, as_int4, as_int8, i64)),
    ("int84eq", comparison!(==, as_int8, as_int4, i64)),
    ("int84ne", comparison!(!=, as_int8, as_int4, i64)),
    ("int84lt", comparison!(<, as_int8, as_int4, i64)),
    ("int84le", comparison!(<=, as_int8, as_int4, i64)),
    ("int84gt", comparison!(>, as_int8, as_int4, i64)),
    ("int84ge", comparison!(>=, as_int8, as_int4, i64)),
    ("int2pl", arithmetic!(int2, checked_add, as_int2, as_int2, i16)),
    ("int2mi", arithmetic!(int2, checked_sub, as_int2, as_int2, i16)),
    ("int2mul", arithmetic!(int2, checked_mul, as_int2, as_int2, i16)),
    ("int2div", division!(int2, checked_div, as_int2, as_int2, i16)),
    ("int2mod", division!(int2, checked_rem_wrapping, as_int2, as_int2, i16)),
    ("int4pl", arithmetic!(int4, checked_add, as_int4, as_int4, i32)),
    ("int4mi", arithmetic!(int4, checked_sub, as_int4, as_int4, i32)),
    ("int4mul", arithmetic!(int4, checked_mul, as_int4, as_int4, i32)),
    ("int4div", division!(int4, checked_div, as_int4, as_int4, i32)),
    ("int4mod", division!(int4, checked_rem_wrapping, as_int4, as_int4, i32)),
    ("int8pl", arithmetic!(int8, checked_add, as_int8, as_int8, i64)),
    ("int8mi", arithmetic!(int8, checked_sub, as_int8, as_int8, i64)),
    ("int8mul", arithmetic!(int8, checked_mul, as_int8, as_int8, i64)),
    ("int8div", division!(int8, checked_div, as_int8, as_int8, i64)),
    ("int8mod", division!(int8, checked_rem_wrapping, as_int8, as_int8, i64)),
    ("int24pl", arithmetic!(int4, checked_add, as_int2, as_int4, i32)),
    ("int24mi", arithmetic!(int4, checked_sub, as_int2, as_int4, i32)),
    ("int24mul", arithmetic!(int4, checked_mul, as_int2, as_int4, i32)),
    ("int24div", division!(int4, checked_div, as_int2, as_int4, i32)),
    ("int42pl", arithmetic!(int4, checked_add, as_int4, as_int2, i32)),
    ("int42mi", arithmetic!(int4, checked_sub, as_int4, as_int2, i32)),
    ("int42mul", arithmetic!(int4, checked_mul, as_int4, as_int2, i32)),
    ("int42div", division!(int4, checked_div, as_int4, as_int2, i32)),
    ("int28pl", arithmetic!(int8, checked_add, as_int2, as_int8, i64)),
    ("int28mi", arithmetic!(int8, checked_sub, as_int2, as_int8, i64)),
    ("int28mul", arithmetic!(int8, checked_mul, as_int2, as_int8, i64)),
    ("int28div", division!(int8, checked_div, as_int2, as_int8, i64)),
    ("int82pl", arithmetic!(int8, checked_add, as_int8, as_int2, i64)),
    ("int82mi", arithmetic!(int8, checked_sub, as_int8, as_int2, i64)),
    ("int82mul", arithmetic!(int8, checked_mul, as_int8, as_int2, i64)),
    ("int82div", division!(int8, checked_div, as_int8, as_int2, i64)),
    ("int48pl", arithmetic!(int8, checked_add, as_int4, as_int8, i64)),
    ("int48mi", arithmetic!(int8, checked_sub, as_int4, as_int8, i64)),
    ("int48mul", arithmetic!(int8, checked_mul, as_int4, as_int8, i64)),
    ("int48div", division!(int8, checked_div, as_int4, as_int8, i64)),
    ("int84pl", arithmetic!(int8, checked_add, as_int8, as_int4, i64)),
    ("int84mi", arithmetic!(int8, checked_sub, as_int8, as_int4, i64)),
    ("int84mul", arithmetic!(int8, checked_mul, as_int8, as_int4, i64)),
    ("int84div", division!(int8, checked_div, as_int8, as_int4, i64)),
    ("int2um", |_, a| int2(a[0].as_int2().checked_neg())),
    ("int2up", |_, a| Ok(a[0].clone())),
    ("int2abs", |_, a| int2(a[0].as_int2().checked_abs())),
    ("int2larger", |_, a| Ok(Datum::Int2(a[0].as_int2().max(a[1].as_int2())))),
    ("int2smaller", |_, a| Ok(Datum::Int2(a[0].as_int2().min(a[1].as_int2())))),
    ("int2and", |_, a| Ok(Datum::Int2(a[0].as_int2() & a[1].as_int2()))),
    ("int2or", |_, a| Ok(Datum::Int2(a[0].as_int2() | a[1].as_int2()))),
    ("int2xor", |_, a| Ok(Datum::Int2(a[0].as_int2() ^ a[1].as_int2()))),
    ("int2not", |_, a| Ok(Datum::Int2(!a[0].as_int2()))),
    ("int4um", |_, a| int4(a[0].as_int4().checked_neg())),
    ("int4up", |_, a| Ok(a[0].clone())),
    ("int4abs", |_, a| int4(a[0].as_int4().checked_abs())),
    ("int4larger", |_, a| Ok(Datum::Int4(a[0].as_int4().max(a[1].as_int4())))),
    ("int4smaller", |_, a| Ok(Datum::Int4(a[0].as_int4().min(a[1].as_int4())))),
    ("int4and", |_, a| Ok(Datum::Int4(a[0].as_int4() & a[1].as_int4()))),
    ("int4or", |_, a| Ok(Datum::Int4(a[0].as_int4() | a[1].as_int4()))),
    ("int4xor", |_, a| Ok(Datum::Int4(a[0].as_int4() ^ a[1].as_int4()))),
    ("int4not", |_, a| Ok(Datum::Int4(!a[0].as_int4()))),
    ("int8um", |_, a| int8(a[0].as_int8().checked_neg())),
    ("int8up", |_, a| Ok(a[0].clone())),
    ("int8abs", |_, a| int8(a[0].as_int8().checked_abs())),
    ("int8larger", |_, a| Ok(Datum::Int8(a[0].as_int8().max(a[1].as_int8())))),
    ("int8smaller", |_, a| Ok(Datum::Int8(a[0].as_int8().min(a[1].as_int8())))),
    ("int8and", |_, a| Ok(Datum::Int8(a[0].as_int8() & a[1].as_int8()))),
    ("int8or", |_, a| Ok(Datum::Int8(a[0].as_int8() | a[1].as_int8()))),
    ("int8xor", |_, a| Ok(Datum::Int8(a[0].as_int8() ^ a[1].as_int8()))),
    ("int8not", |_, a| Ok(Datum::Int8(!a[0].as_int8()))),
    ("int2shl", |_, a| Ok(Datum::Int2(shift_int2(a, i32::wrapping_shl)))),
    ("int2shr", |_, a| Ok(Datum::Int2(shift_int2(a, i32::wrapping_shr)))),
    ("int4shl", |_, a| Ok(Datum::Int4(a[0].as_int4().wrapping_shl(shift_count(&a[1]))))),
    ("int4shr", |_, a| Ok(Datum::Int4(a[0].as_int4().wrapping_shr(shift_count(&a[1]))))),
    ("int8shl", |_, a| Ok(Datum::Int8(a[0].as_int8().wrapping_shl(shift_count(&a[1]))))),
    ("int8shr", |_, a| Ok(Datum::Int8(a[0].as_int8().wrapping_shr(shift_count(&a[1]))))),
    ("int4inc", |_, a| int4(a[0].as_int4().checked_add(1))),
    ("int8inc", |_, a| int8(a[0].as_int8().checked_add(1))),
    ("int8dec", |_, a| int8(a[0].as_int8().checked_sub(1))),
    ("int4gcd", |_, a| int4(gcd(a[0].as_int4().into(), a[1].as_int4().into()).and_then(narrow))),
    ("int4lcm", |_, a| int4(lcm(a[0].as_int4().into(), a[1].as_int4().into()).and_then(narrow))),
    ("int8gcd", |_, a| int8(gcd(a[0].as_int8().into(), a[1].as_int8().into()).and_then(narrow))),
    ("int8lcm", |_, a| int8(lcm(a[0].as_int8().into(), a[1].as_int8().into()).and_then(narrow))),
    // Casts.
    ("i2toi4", |_, a| Ok(Datum::Int4(a[0].as_int2().into()))),
    ("int28", |_, a| Ok(Datum::Int8(a[0].as_int2().into()))),
    ("int48", |_, a| Ok(Datum::Int8(a[0].as_int4().into()))),
    ("i4toi2", |_, a| int2(a[0].as_int4().try_into().ok())),
    ("int82", |_, a| int2(a[0].as_int8().try_into().ok())),
    ("int84", |_, a| int4(a[0].as_int8().try_into().ok())),
    ("i8tooid", |_, a| int8_to_oid(a[0].as_int8())),
    ("oidtoi8", |_, a| Ok(Datum::Int8(a[0].as_oid().0.into()))),
    // oid, xid, cid.
    ("oideq", comparison!(==, as_oid, as_oid, Oid)),
    ("oidne", comparison!(!=, as_oid, as_oid, Oid)),
    ("oidlt", comparison!(<, as_oid, as_oid, Oid)),
    ("oidle", comparison!(<=, as_oid, as_oid, Oid)),
    ("oidgt", comparison!(>, as_oid, as_oid, Oid)),
    ("oidge", comparison!(>=, as_oid, as_oid, Oid)),
    ("xideq", |_, a| Ok(Datum::Bool(xid(&a[0]) == xid(&a[1])))),
    ("xidneq", |_, a| Ok(Datum::Bool(xid(&a[0]) != xid(&a[1])))),
    ("cideq", comparison!(==, as_oid, as_oid, Oid)),
    ("oidlarger", |_, a| Ok(Datum::Oid(a[0].as_oid().max(a[1].as_oid())))),
    ("oidsmaller", |_, a| Ok(Datum::Oid(a[0].as_oid().min(a[1].as_oid())))),
    ("to_hex32", |_, a| Ok(Datum::text(format!("{:x}", a[0].as_int4())))),
    ("to_hex64", |_, a| Ok(Datum::text(format!("{:x}", a[0].as_int8())))),
];

pub(super) static SETS: SetTable = &[
    ("generate_series_int4", |_, a| {
        let (start, stop) = (a[0].as_int4(), a[1].as_int4());
        let series = Series::new(start.into(), stop.into(), 1)?;
        Ok(Box::new(series.map(|value| int4(narrow(value)))))
    }),
    ("generate_series_step_int4", |_, a| {
        let (start, stop, step) = (a[0].as_int4(), a[1].as_int4(), a[2].as_int4());
        let series = Series::new(start.into(), stop.into(), step.into())?;
        Ok(Box::new(series.map(|value| int4(narrow(value)))))
    }),
    ("generate_series_int8", |_, a| {
        let series = Series::new(a[0].as_int8().into(), a[1].as_int8().into(), 1)?;
        Ok(Box::new(series.map(|value| int8(narrow(value)))))
    }),
    ("generate_series_step_int8", |_, a| {
        let (start, stop, step) = (a[0].as_int8(), a[1].as_int8(), a[2].as_int8());
        let series = Series::new(start.into(), stop.into(), step.into())?;
        Ok(Box::new(series.map(|value| int8(narrow(value)))))
    }),
];

/// The numbers of `generate_series`; 128 bits wide, so that the last step cannot overflow.
struct Series {
    next: i128,
    stop: i128,
    step: i128,
}

impl Series {
    fn new(start: i128, stop: i128, step: i128) -> SqlResult<Self> {
        if step == 0 {
            return Err(SqlError::new(
                SqlState::InvalidParameterValue,
                "step size cannot equal zero",
            ));
        }
        Ok(Self { next: start, stop, step })
    }
}

impl Iterator for Series {
    type Item = i128;

    fn next(&mut self) -> Option<i128> {
        let value = self.next;
        let done = if self.step > 0 { value > self.stop } else { value < self.stop };
        self.next += self.step;
        (!done).then_some(value)
    }
}

fn narrow<T: TryFrom<i128>>(value: i128) -> Option<T> {
    value.try_into().ok()
}

pub(super) fn int2(value: Option<i16>) -> SqlResult<Datum> {
    value.map(Datum::Int2).ok_or_else(|| out_of_range("smallint"))
}

pub(super) fn int4(value: Option<i32>) -> SqlResult<Datum> {
    value.map(Datum::Int4).ok_or_else(|| out_of_range("integer"))
}

pub(super) fn int8(value: Option<i64>) -> SqlResult<Datum> {
    value.map(Datum::Int8).ok_or_else(|| out_of_range("bigint"))
}

/// How far to shift: as the processor does, modulo the width.
fn shift_count(count: &Datum) -> u32 {
    count.as_int4().cast_unsigned()
}

/// C widens an `int2` to 32 bits, shifts, and drops the upper half.
fn shift_int2(a: &[Datum], shift: fn(i32, u32) -> i32) -> i16 {
    let [low, high, ..] = shift(i32::from(a[0].as_int2()), shift_count(&a[1])).to_le_bytes();
    i16::from_le_bytes([low, high])
}

/// `None` never: the greatest common divisor of 64-bit numbers fits 128 bits.
fn gcd(left: i128, right: i128) -> Option<i128> {
    let (mut left, mut right) = (left.abs(), right.abs());
    while right != 0 {
        (left, right) = (right, left % right);
    }
    Some(left)
}

fn lcm(left: i128, right: i128) -> Option<i128> {
    if left == 0 || right == 0 {
        return Some(0);
    }
    (left / gcd(left, right)?).checked_mul(right).map(i128::abs)
}

fn int8_to_oid(value: i64) -> SqlResult<Datum> {
    u32::try_from(value).map(|oid| Datum::Oid(Oid(oid))).map_err(|_| out_of_range("OID"))
}

/// An `xid`, or the `int4` that `xideqint4` compares one with.
fn xid(value: &Datum) -> u32 {
    match value {
        Datum::Int4(value) => value.cast_unsigned(),
        other => other.as_oid().0,
    }
}
