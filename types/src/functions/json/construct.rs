//! Making json and jsonb from other values.

use super::convert::{self, argument_type};
use super::{array_subscript, into_text, invalid_parameter, texts};
use crate::context::CallContext;
use crate::datum::Datum;
use crate::error::{SqlError, SqlResult};
use crate::json::write_string;
use crate::jsonb::Builder;
use crate::sqlstate::SqlState;

pub(super) fn to_json(context: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    write_json(context, &a[0], false)
}

pub(super) fn to_json_pretty(context: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    write_json(context, &a[0], a[1].as_bool())
}

fn write_json(context: &CallContext<'_>, value: &Datum, lines: bool) -> SqlResult<Datum> {
    let mut out = Vec::new();
    convert::write(&context.eval, argument_type(context, 0, value), value, lines, &mut out);
    Ok(into_text(out))
}

pub(super) fn to_jsonb(context: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    let mut builder = Builder::new();
    convert::build(&context.eval, argument_type(context, 0, &a[0]), &a[0], &mut builder)?;
    builder.finish().map(Datum::Jsonb)
}

pub(super) fn json_build_array(context: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    let mut out = vec![b'['];
    for (at, value) in a.iter().enumerate() {
        if at > 0 {
            out.extend_from_slice(b", ");
        }
        convert::write(&context.eval, argument_type(context, at, value), value, false, &mut out);
    }
    out.push(b']');
    Ok(into_text(out))
}

pub(super) fn jsonb_build_array(context: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    let mut builder = Builder::new();
    builder.begin_array()?;
    for (at, value) in a.iter().enumerate() {
        convert::build(&context.eval, argument_type(context, at, value), value, &mut builder)?;
    }
    builder.end()?;
    builder.finish().map(Datum::Jsonb)
}

fn check_even(a: &[Datum], function: &str) -> SqlResult<()> {
    if a.len().is_multiple_of(2) {
        return Ok(());
    }
    let hint =
        format!("The arguments of {function}() must consist of alternating keys and values.");
    Err(invalid_parameter("argument list must have even number of elements").hint(hint))
}

pub(super) fn json_build_object(context: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    check_even(a, "json_build_object")?;
    let mut out = vec![b'{'];
    for (at, pair) in a.chunks_exact(2).enumerate() {
        let at = 2 * at;
        if pair[0].is_null() {
            return Err(invalid_parameter(format!("argument {} cannot be null", at + 1))
                .hint("Object keys should be text."));
        }
        if at > 0 {
            out.extend_from_slice(b", ");
        }
        let key_type = argument_type(context, at, &pair[0]);
        write_string(&convert::key(&context.eval, key_type, &pair[0])?, &mut out);
        out.extend_from_slice(b" : ");
        let value_type = argument_type(context, at + 1, &pair[1]);
        convert::write(&context.eval, value_type, &pair[1], false, &mut out);
    }
    out.push(b'}');
    Ok(into_text(out))
}

pub(super) fn jsonb_build_object(context: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    check_even(a, "jsonb_build_object")?;
    let mut builder = Builder::new();
    builder.begin_object()?;
    for (at, pair) in a.chunks_exact(2).enumerate() {
        let at = 2 * at;
        if pair[0].is_null() {
            return Err(invalid_parameter(format!("argument {}: key must not be null", at + 1)));
        }
        let key_type = argument_type(context, at, &pair[0]);
        builder.key(&convert::key(&context.eval, key_type, &pair[0])?)?;
        let value_type = argument_type(context, at + 1, &pair[1]);
        convert::build(&context.eval, value_type, &pair[1], &mut builder)?;
    }
    builder.end()?;
    builder.finish().map(Datum::Jsonb)
}

/// The keys and values of the text-array forms: one array of both, or one of each.
fn text_pairs(a: &[Datum]) -> SqlResult<Vec<(&str, Option<&str>)>> {
    let dimensions = &a[0].as_array().dimensions;
    let first = texts(&a[0]);
    let pairs: Vec<(Option<&str>, Option<&str>)> = match (a.get(1), dimensions.as_slice()) {
        (None, []) => Vec::new(),
        (None, [_]) if !first.len().is_multiple_of(2) => {
            return Err(array_subscript("array must have even number of elements"));
        }
        (None, [_, columns]) if columns.length != 2 => {
            return Err(array_subscript("array must have two columns"));
        }
        (None, [_] | [_, _]) => first.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect(),
        (None, _) => return Err(array_subscript("wrong number of array subscripts")),
        (Some(values), keys) => {
            let values_dimensions = values.as_array().dimensions.len();
            if keys.len() > 1 || keys.len() != values_dimensions {
                return Err(array_subscript("wrong number of array subscripts"));
            }
            let values = texts(values);
            if first.len() != values.len() {
                return Err(array_subscript("mismatched array dimensions"));
            }
            first.into_iter().zip(values).collect()
        }
    };
    let null_key =
        || SqlError::new(SqlState::NullValueNotAllowed, "null value not allowed for object key");
    pairs.into_iter().map(|(key, value)| Ok((key.ok_or_else(null_key)?, value))).collect()
}

pub(super) fn json_object(_: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    let mut out = vec![b'{'];
    for (at, (key, value)) in text_pairs(a)?.into_iter().enumerate() {
        if at > 0 {
            out.extend_from_slice(b", ");
        }
        write_string(key, &mut out);
        out.extend_from_slice(b" : ");
        match value {
            Some(value) => write_string(value, &mut out),
            None => out.extend_from_slice(b"null"),
        }
    }
    out.push(b'}');
    Ok(into_text(out))
}

pub(super) fn jsonb_object(_: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    let mut builder = Builder::new();
    builder.begin_object()?;
    for (key, value) in text_pairs(a)? {
        builder.key(key)?;
        match value {
            Some(value) => builder.string(value)?,
            None => builder.null()?,
        }
    }
    builder.end()?;
    builder.finish().map(Datum::Jsonb)
}
