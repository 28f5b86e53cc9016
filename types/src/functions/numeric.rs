//! numeric.

use std::cmp::Ordering;

use super::{ScalarTable, SetTable};
use crate::datum::Datum;
use crate::error::{SqlError, SqlResult};
use crate::numeric::Numeric;
use crate::sqlstate::SqlState;

fn numeric(result: SqlResult<Numeric>) -> SqlResult<Datum> {
    result.map(Datum::Numeric)
}

fn text(result: SqlResult<String>) -> SqlResult<Datum> {
    result.map(Datum::text)
}

fn compare(a: &[Datum]) -> Ordering {
    a[0].as_numeric().cmp(a[1].as_numeric())
}

fn truth(value: bool) -> SqlResult<Datum> {
    Ok(Datum::Bool(value))
}

mod template;
mod write;
mod read;
#[cfg(test)]
mod tests;

pub(super) static SCALARS: ScalarTable = &[
    ("numeric_add", |_, a| numeric(a[0].as_numeric().add(a[1].as_numeric()))),
    ("numeric_sub", |_, a| numeric(a[0].as_numeric().sub(a[1].as_numeric()))),
    ("numeric_mul", |_, a| numeric(a[0].as_numeric().mul(a[1].as_numeric()))),
    ("numeric_div", |_, a| numeric(a[0].as_numeric().div(a[1].as_numeric()))),
    ("numeric_div_trunc", |_, a| numeric(a[0].as_numeric().div_trunc(a[1].as_numeric()))),
    ("numeric_mod", |_, a| numeric(a[0].as_numeric().rem(a[1].as_numeric()))),
    ("numeric_uminus", |_, a| numeric(Ok(a[0].as_numeric().neg()))),
    ("numeric_uplus", |_, a| Ok(a[0].clone())),
    ("numeric_inc", |_, a| numeric(a[0].as_numeric().add(&Numeric::ONE))),
    ("numeric_abs", |_, a| numeric(Ok(a[0].as_numeric().abs()))),
    ("numeric_sign", |_, a| numeric(Ok(a[0].as_numeric().sign()))),
    ("numeric_round", |_, a| numeric(a[0].as_numeric().round(a[1].as_int4()))),
    ("round(numeric)", |_, a| numeric(a[0].as_numeric().round(0))),
    ("numeric_trunc", |_, a| numeric(a[0].as_numeric().trunc(a[1].as_int4()))),
    ("trunc(numeric)", |_, a| numeric(a[0].as_numeric().trunc(0))),
    ("numeric_ceil", |_, a| numeric(a[0].as_numeric().ceil())),
    ("numeric_floor", |_, a| numeric(a[0].as_numeric().floor())),
    ("numeric_gcd", |_, a| numeric(a[0].as_numeric().gcd(a[1].as_numeric()))),
    ("numeric_lcm", |_, a| numeric(a[0].as_numeric().lcm(a[1].as_numeric()))),
    ("numeric_fac", |_, a| numeric(Numeric::factorial(a[0].as_int8()))),
    ("numeric_scale", |_, a| Ok(scale(a[0].as_numeric().display_scale()))),
    ("numeric_min_scale", |_, a| Ok(scale(a[0].as_numeric().min_scale()))),
    ("numeric_trim_scale", |_, a| numeric(Ok(a[0].as_numeric().trim_scale()))),
    ("width_bucket_numeric", |_, a| {
        let operand = a[0].as_numeric();
        operand.width_bucket(a[1].as_numeric(), a[2].as_numeric(), a[3].as_int4()).map(Datum::Int4)
    }),
    ("numeric_sqrt", |_, a| numeric(a[0].as_numeric().sqrt())),
    ("numeric_exp", |_, a| numeric(a[0].as_numeric().exp())),
    ("numeric_ln", |_, a| numeric(a[0].as_numeric().ln())),
    ("numeric_log", |_, a| numeric(a[1].as_numeric().log(a[0].as_numeric()))),
    ("log(numeric)", |_, a| numeric(a[0].as_numeric().log(&Numeric::from(10)))),
    ("log10(numeric)", |_, a| numeric(a[0].as_numeric().log(&Numeric::from(10)))),
    ("numeric_power", |_, a| numeric(a[0].as_numeric().power(a[1].as_numeric()))),
    // Comparison.
    ("numeric_eq", |_, a| truth(compare(a).is_eq())),
    ("numeric_ne", |_, a| truth(compare(a).is_ne())),
    ("numeric_lt", |_, a| truth(compare(a).is_lt())),
    ("numeric_le", |_, a| truth(compare(a).is_le())),
    ("numeric_gt", |_, a| truth(compare(a).is_gt())),
    ("numeric_ge", |_, a| truth(compare(a).is_ge())),
    ("numeric_cmp", |_, a| Ok(Datum::Int4(compare(a) as i32))),
    ("numeric_larger", |_, a| Ok(a[usize::from(compare(a).is_le())].clone())),
    ("numeric_smaller", |_, a| Ok(a[usize::from(compare(a).is_ge())].clone())),
    // Casts, and the text and binary forms.
    ("numeric", |_, a| numeric(a[0].as_numeric().apply_typmod(a[1].as_int4()))),
    ("int2_numeric", |_, a| numeric(Ok(Numeric::from(a[0].as_int2())))),
    ("int4_numeric", |_, a| numeric(Ok(Numeric::from(a[0].as_int4())))),
    ("int8_numeric", |_, a| numeric(Ok(Numeric::from(a[0].as_int8())))),
    ("float4_numeric", |_, a| numeric(Ok(Numeric::from_f32(a[0].as_float4())))),
    ("float8_numeric", |_, a| numeric(Ok(Numeric::from_f64(a[0].as_float8())))),
    ("numeric_int2", |_, a| a[0].as_numeric().to_i16().map(Datum::Int2)),
    ("numeric_int4", |_, a| a[0].as_numeric().to_i32().map(Datum::Int4)),
    ("numeric_int8", |_, a| a[0].as_numeric().to_i64().map(Datum::Int8)),
    ("numeric_float4", |_, a| a[0].as_numeric().to_f32().map(Datum::Float4)),
    ("numeric_float8", |_, a| a[0].as_numeric().to_f64().map(Datum::Float8)),
    ("numeric_in", |_, a| {
        numeric(Numeric::parse(a[0].as_text()).and_then(|value| value.apply_typmod(a[2].as_int4())))
    }),
    ("numeric_out", |_, a| Ok(Datum::text(a[0].as_numeric().to_string()))),
    ("numeric_send", |_, a| {
        let mut bytes = Vec::new();
        a[0].as_numeric().binary_out(&mut bytes);
        Ok(Datum::Bytea(bytes.into()))
    }),
    ("numerictypmodin", |_, a| typmod_in(a)),
    ("numerictypmodout", |_, a| Ok(Datum::text(Numeric::typmod_out(a[0].as_int4())))),
    // Templates.
    ("numeric_to_char", |_, a| text(write::numeric_to_char(a[0].as_numeric(), a[1].as_text()))),
    ("int4_to_char", |_, a| text(write::int4_to_char(a[0].as_int4(), a[1].as_text()))),
    ("int8_to_char", |_, a| text(write::int8_to_char(a[0].as_int8(), a[1].as_text()))),
    ("float4_to_char", |_, a| text(write::float4_to_char(a[0].as_float4(), a[1].as_text()))),
    ("float8_to_char", |_, a| text(write::float8_to_char(a[0].as_float8(), a[1].as_text()))),
    ("numeric_to_number", |_, a| {
        let value = read::to_number(a[0].as_text(), a[1].as_text())?;
        Ok(value.map_or(Datum::Null, Datum::Numeric))
    }),
    ("in_range_numeric_numeric", |_, a| in_range(a)),
];

pub(super) static SETS: SetTable = &[
    ("generate_series_numeric", |_, a| series(a[0].as_numeric(), a[1].as_numeric(), &Numeric::ONE)),
    ("generate_series_step_numeric", |_, a| {
        series(a[0].as_numeric(), a[1].as_numeric(), a[2].as_numeric())
    }),
];

fn scale(scale: Option<u16>) -> Datum {
    scale.map_or(Datum::Null, |scale| Datum::Int4(i32::from(scale)))
}

fn typmod_in(a: &[Datum]) -> SqlResult<Datum> {
    let mut modifiers = Vec::new();
    for element in &a[0].as_array().elements {
        let text = element.as_text();
        modifiers.push(text.trim().parse::<i32>().map_err(|_| {
            SqlError::new(
                SqlState::InvalidTextRepresentation,
                format!("invalid input syntax for type integer: \"{text}\""),
            )
        })?);
    }
    Numeric::typmod_in(&modifiers).map(Datum::Int4)
}

/// Whether `value` is within `offset` of `base`, below (`sub`) or above it, on the side `less`.
fn in_range(a: &[Datum]) -> SqlResult<Datum> {
    let (value, base, offset) = (a[0].as_numeric(), a[1].as_numeric(), a[2].as_numeric());
    let (sub, less) = (a[3].as_bool(), a[4].as_bool());
    if offset.is_nan() || offset.signum() == Some(Ordering::Less) {
        return Err(SqlError::new(
            SqlState::InvalidPrecedingOrFollowingSize,
            "invalid preceding or following size in window function",
        ));
    }
    let within = match (value.is_nan(), base.is_nan()) {
        (true, true) => true,
        (true, false) => !less,
        (false, true) => less,
        (false, false) => {
            let bound = if sub { base.sub(offset)? } else { base.add(offset)? };
            // Infinity less Infinity: everything is at least as near.
            bound.is_nan() || if less { *value <= bound } else { *value >= bound }
        }
    };
    truth(within)
}

fn series(
    start: &Numeric,
    stop: &Numeric,
    step: &Numeric,
) -> SqlResult<Box<dyn Iterator<Item = SqlResult<Datum>> + Send>> {
    let refuse = |message: String| Err(SqlError::new(SqlState::InvalidParameterValue, message));
    for (value, what) in [(start, "start value"), (stop, "stop value"), (step, "step size")] {
        if value.is_nan() {
            return refuse(format!("{what} cannot be NaN"));
        }
        if !value.is_finite() {
            return refuse(format!("{what} cannot be infinity"));
        }
    }
    if step.is_zero() {
        return refuse("step size cannot equal zero".to_owned());
    }
    let upward = step.signum() == Some(Ordering::Greater);
    let (stop, step) = (stop.clone(), step.clone());
    let mut next = Some(start.clone());
    Ok(Box::new(std::iter::from_fn(move || {
        let current = next.take()?;
        if if upward { current > stop } else { current < stop } {
            return None;
        }
        // What overflows the type is beyond any stop.
        next = current.add(&step).ok();
        Some(Ok(Datum::Numeric(current)))
    })))
}
