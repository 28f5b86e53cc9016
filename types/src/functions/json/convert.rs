//! Any datum as JSON, by the category of its type: numbers and booleans bare, dates and timestamps
//! in ISO 8601, arrays and records as such, all else as a string of its text form.

use crate::context::{CallContext, DateStyle, EvalContext, FormatSettings};
use crate::datum::{Array, Datum};
use crate::error::SqlResult;
use crate::io;
use crate::json::{self, is_number, write_string};
use crate::jsonb::Builder;
use crate::oid::{Oid, TypeRef};
use crate::record::Record;
use crate::type_oid as t;

/// The type of an argument as the call resolved it.
pub(super) fn argument_type(context: &CallContext<'_>, at: usize, value: &Datum) -> TypeRef {
    let given = context.argument_types.get(at).copied();
    given.unwrap_or_else(|| TypeRef::plain(io::usual_type(value)))
}

/// What a datum is to JSON.
enum Shape<'a> {
    Null,
    Bool(bool),
    /// The text of a number, `NaN` and the infinities among them.
    Number(String),
    /// A text of JSON.
    Json(&'a str),
    Jsonb(&'a crate::jsonb::Jsonb),
    Array(&'a Array),
    Record(&'a Record),
    Text(String),
}

fn shape<'a>(context: &EvalContext<'_>, of: TypeRef, value: &'a Datum) -> Shape<'a> {
    match value {
        Datum::Null => Shape::Null,
        Datum::Bool(value) => Shape::Bool(*value),
        Datum::Int2(_)
        | Datum::Int4(_)
        | Datum::Float4(_)
        | Datum::Float8(_)
        | Datum::Numeric(_) => Shape::Number(text(context, of.oid, value)),
        Datum::Int8(_) if matches!(of.oid, t::INT8 | t::UNKNOWN) => {
            Shape::Number(text(context, of.oid, value))
        }
        Datum::Text(text) if of.oid == t::JSON => Shape::Json(text),
        Datum::Text(text) => Shape::Text(text.to_string()),
        Datum::Jsonb(value) => Shape::Jsonb(value),
        Datum::Array(array) => Shape::Array(array),
        Datum::Record(fields) if of.oid != t::POINT => Shape::Record(fields),
        Datum::Date(_) | Datum::Timestamp(_) | Datum::Timestamptz(_) => {
            Shape::Text(iso_8601(context, of.oid, value))
        }
        _ => Shape::Text(text(context, of.oid, value)),
    }
}

fn text(context: &EvalContext<'_>, of: Oid, value: &Datum) -> String {
    let mut out = Vec::new();
    match value {
        Datum::Numeric(value) => value.write_text(&mut out),
        _ => io::text_out(of, value, context, &mut out),
    }
    String::from_utf8(out).unwrap_or_else(|wrong| {
        // `"char"` may hold half a character; JSON cannot.
        String::from_utf8_lossy(wrong.as_bytes()).into_owned()
    })
}

/// `2020-01-02T03:04:05+00:00`: the ISO style with a `T`, and minutes in the zone.
fn iso_8601(context: &EvalContext<'_>, of: Oid, value: &Datum) -> String {
    let settings =
        FormatSettings { date_style: DateStyle::Iso, ..FormatSettings::clone(context.settings) };
    let plain = text(&EvalContext { settings: &settings, ..*context }, of, value);
    if matches!(value, Datum::Date(_)) {
        return plain;
    }
    let (moment, era) = match plain.strip_suffix(" BC") {
        Some(moment) => (moment, " BC"),
        None => (plain.as_str(), ""),
    };
    let Some((date, time)) = moment.split_once(' ') else {
        return plain;
    };
    let bare_hours = time.rfind(['+', '-']).is_some_and(|sign| time.len() - sign == 3);
    let minutes = if bare_hours { ":00" } else { "" };
    format!("{date}T{time}{minutes}{era}")
}

/// Whether `json_agg` begins a line with values of this type.
pub(super) fn is_structured(value: &Datum) -> bool {
    matches!(value, Datum::Array(_) | Datum::Record(_))
}

/// Appends a datum as text of `json`, with the outermost array's or record's parts a line each if
/// `lines`. Recurses as deep as arrays and records nest, which the statement has built.
pub(super) fn write(
    context: &EvalContext<'_>,
    of: TypeRef,
    value: &Datum,
    lines: bool,
    out: &mut Vec<u8>,
) {
    match shape(context, of, value) {
        Shape::Null => out.extend_from_slice(b"null"),
        Shape::Bool(value) => out.extend_from_slice(if value { b"true" } else { b"false" }),
        Shape::Number(text) if is_number(&text) => out.extend_from_slice(text.as_bytes()),
        Shape::Number(text) | Shape::Text(text) => write_string(&text, out),
        Shape::Json(text) => out.extend_from_slice(text.as_bytes()),
        Shape::Jsonb(value) => value.write_text(out),
        Shape::Array(array) => write_array(context, array, lines, out),
        Shape::Record(values) => {
            out.push(b'{');
            for (at, (name, of, value)) in values.described(context).into_iter().enumerate() {
                separate(at, lines, out);
                write_string(&name, out);
                out.push(b':');
                write(context, of, value, false, out);
            }
            out.push(b'}');
        }
    }
}

fn separate(at: usize, lines: bool, out: &mut Vec<u8>) {
    if at > 0 {
        out.extend_from_slice(if lines { b",\n " } else { b"," });
    }
}

fn lengths(array: &Array) -> Vec<usize> {
    let length = |dimension: &crate::datum::Dimension| usize::try_from(dimension.length);
    array.dimensions.iter().map(|dimension| length(dimension).unwrap_or(0)).collect()
}

fn write_array(context: &EvalContext<'_>, array: &Array, lines: bool, out: &mut Vec<u8>) {
    let of = TypeRef::plain(array.element);
    let Some((outer, inner)) = lengths(array).split_first().map(|(o, i)| (*o, i.to_vec())) else {
        out.extend_from_slice(b"[]");
        return;
    };
    let mut elements = array.elements.iter();
    out.push(b'[');
    for at in 0..outer {
        separate(at, lines, out);
        write_dimension(context, of, &inner, &mut elements, out);
    }
    out.push(b']');
}

fn write_dimension(
    context: &EvalContext<'_>,
    of: TypeRef,
    lengths: &[usize],
    elements: &mut std::slice::Iter<'_, Datum>,
    out: &mut Vec<u8>,
) {
    let Some((outer, inner)) = lengths.split_first() else {
        write(context, of, elements.next().unwrap_or(&Datum::Null), false, out);
        return;
    };
    out.push(b'[');
    for at in 0..*outer {
        separate(at, false, out);
        write_dimension(context, of, inner, elements, out);
    }
    out.push(b']');
}

/// Gives a datum to a builder of jsonb.
///
/// # Errors
/// 54001 and 54000 for what nests too deep or is too large; 22P05 and 22003 for a `json` that
/// `jsonb` cannot hold.
pub(super) fn build(
    context: &EvalContext<'_>,
    of: TypeRef,
    value: &Datum,
    builder: &mut Builder,
) -> SqlResult<()> {
    match shape(context, of, value) {
        Shape::Null => builder.null(),
        Shape::Bool(value) => builder.bool(value),
        Shape::Number(text) if is_number(&text) => builder.number(&text),
        Shape::Number(text) | Shape::Text(text) => builder.string(&text),
        Shape::Json(text) => json::parse(text, true, builder),
        Shape::Jsonb(value) => builder.node(value.root()),
        Shape::Array(array) if array.dimensions.is_empty() => {
            builder.begin_array()?;
            builder.end()
        }
        Shape::Array(array) => {
            let of = TypeRef::plain(array.element);
            build_dimension(context, of, &lengths(array), &mut array.elements.iter(), builder)
        }
        Shape::Record(values) => {
            builder.begin_object()?;
            for (name, of, value) in values.described(context) {
                builder.key(&name)?;
                build(context, of, value, builder)?;
            }
            builder.end()
        }
    }
}

fn build_dimension(
    context: &EvalContext<'_>,
    of: TypeRef,
    lengths: &[usize],
    elements: &mut std::slice::Iter<'_, Datum>,
    builder: &mut Builder,
) -> SqlResult<()> {
    let Some((outer, inner)) = lengths.split_first() else {
        return build(context, of, elements.next().unwrap_or(&Datum::Null), builder);
    };
    builder.begin_array()?;
    for _ in 0..*outer {
        build_dimension(context, of, inner, elements, builder)?;
    }
    builder.end()
}

/// A datum as the key of an object.
///
/// # Errors
/// 22023 for what has no plain text form.
pub(super) fn key(context: &EvalContext<'_>, of: TypeRef, value: &Datum) -> SqlResult<String> {
    match shape(context, of, value) {
        Shape::Bool(value) => Ok(value.to_string()),
        Shape::Number(text) | Shape::Text(text) => Ok(text),
        Shape::Null | Shape::Json(_) | Shape::Jsonb(_) | Shape::Array(_) | Shape::Record(_) => {
            Err(super::invalid_parameter("key value must be scalar, not array, composite, or json"))
        }
    }
}
