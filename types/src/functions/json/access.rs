//! Reading parts of json and jsonb, asking what is in them, and casting from jsonb.

use super::{invalid_parameter, path_index, text_or_null, texts};
use crate::context::CallContext;
use crate::datum::Datum;
use crate::error::{SqlError, SqlResult};
use crate::json::{Json, Kind};
use crate::jsonb::{Jsonb, Node, Value};
use crate::numeric::Numeric;
use crate::sqlstate::SqlState;

fn json_datum(part: Option<Json<'_>>) -> SqlResult<Datum> {
    Ok(text_or_null(part.map(Json::text)))
}

fn json_text_datum(part: Option<Json<'_>>) -> SqlResult<Datum> {
    Ok(text_or_null(part.and_then(Json::as_text)))
}

fn jsonb_datum(part: Option<Node<'_>>) -> SqlResult<Datum> {
    Ok(part.map_or(Datum::Null, |node| Datum::Jsonb(Jsonb::from_node(node))))
}

fn jsonb_text_datum(part: Option<Node<'_>>) -> SqlResult<Datum> {
    Ok(text_or_null(part.and_then(Node::as_text)))
}

pub(super) fn json_object_field(_: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    json_datum(Json::new(a[0].as_text())?.field(a[1].as_text()))
}

pub(super) fn json_object_field_text(_: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    json_text_datum(Json::new(a[0].as_text())?.field(a[1].as_text()))
}

pub(super) fn json_array_element(_: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    json_datum(Json::new(a[0].as_text())?.element(i64::from(a[1].as_int4())))
}

pub(super) fn json_array_element_text(_: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    json_text_datum(Json::new(a[0].as_text())?.element(i64::from(a[1].as_int4())))
}

/// The path, none if an element is NULL.
fn path(array: &Datum) -> Option<Vec<&str>> {
    texts(array).into_iter().collect()
}

pub(super) fn json_extract_path(_: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    let Some(path) = path(&a[1]) else { return Ok(Datum::Null) };
    json_datum(follow_json(Json::new(a[0].as_text())?, &path))
}

pub(super) fn json_extract_path_text(_: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    let Some(path) = path(&a[1]) else { return Ok(Datum::Null) };
    json_text_datum(follow_json(Json::new(a[0].as_text())?, &path))
}

/// The last part that the path leads to, keys being possibly written more than once. Recurses no
/// deeper than the value nests.
fn follow_json<'a>(json: Json<'a>, path: &[&str]) -> Option<Json<'a>> {
    let Some((first, rest)) = path.split_first() else { return Some(json) };
    match json.kind() {
        Kind::Object => json
            .fields()
            .filter(|(key, _)| key == first)
            .filter_map(|(_, value)| follow_json(value, rest))
            .last(),
        Kind::Array => follow_json(json.element(i64::from(path_index(first)?))?, rest),
        _ => None,
    }
}

pub(super) fn json_array_length(_: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    let text = a[0].as_text();
    crate::json::validate(text)?;
    let json = Json::of_valid(text);
    match json.kind() {
        Kind::Array => Ok(Datum::Int4(i32::try_from(json.elements().count()).unwrap_or(i32::MAX))),
        kind => Err(length_of(kind == Kind::Object)),
    }
}

fn length_of(object: bool) -> SqlError {
    let what = if object { "non-array" } else { "scalar" };
    invalid_parameter(format!("cannot get array length of a {what}"))
}

pub(super) fn json_typeof(_: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    Ok(Datum::text(Json::of_valid(a[0].as_text()).kind().name()))
}

fn field<'a>(jsonb: &'a Jsonb, key: &str) -> Option<Node<'a>> {
    match jsonb.root().value() {
        Value::Object(fields) => fields.find(key),
        _ => None,
    }
}

/// The element of an array. A scalar counts as an array of itself, as in PostgreSQL.
fn element(jsonb: &Jsonb, index: i32) -> Option<Node<'_>> {
    match jsonb.root().value() {
        Value::Array(elements) => elements.get_signed(i64::from(index)),
        Value::Object(_) => None,
        _ => matches!(index, 0 | -1).then(|| jsonb.root()),
    }
}

pub(super) fn jsonb_object_field(_: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    jsonb_datum(field(a[0].as_jsonb(), a[1].as_text()))
}

pub(super) fn jsonb_object_field_text(_: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    jsonb_text_datum(field(a[0].as_jsonb(), a[1].as_text()))
}

pub(super) fn jsonb_array_element(_: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    jsonb_datum(element(a[0].as_jsonb(), a[1].as_int4()))
}

pub(super) fn jsonb_array_element_text(_: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    jsonb_text_datum(element(a[0].as_jsonb(), a[1].as_int4()))
}

fn follow<'a>(jsonb: &'a Jsonb, steps: &Datum) -> Option<Node<'a>> {
    path(steps)?.into_iter().try_fold(jsonb.root(), |node, step| match node.value() {
        Value::Object(fields) => fields.find(step),
        Value::Array(elements) => elements.get_signed(i64::from(path_index(step)?)),
        _ => None,
    })
}

pub(super) fn jsonb_extract_path(_: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    jsonb_datum(follow(a[0].as_jsonb(), &a[1]))
}

pub(super) fn jsonb_extract_path_text(_: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    jsonb_text_datum(follow(a[0].as_jsonb(), &a[1]))
}

pub(super) fn jsonb_array_length(_: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    match a[0].as_jsonb().root().value() {
        Value::Array(elements) => {
            Ok(Datum::Int4(i32::try_from(elements.len()).unwrap_or(i32::MAX)))
        }
        value => Err(length_of(matches!(value, Value::Object(_)))),
    }
}

pub(super) fn jsonb_typeof(_: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    Ok(Datum::text(a[0].as_jsonb().root().type_name()))
}

/// `?`: a key of an object, a string of an array, or the string itself.
pub(super) fn exists(jsonb: &Jsonb, key: &str) -> bool {
    match jsonb.root().value() {
        Value::Object(fields) => fields.position(key).is_some(),
        Value::Array(elements) => elements.iter().any(|element| is_string(element, key)),
        Value::String(text) => text == key,
        _ => false,
    }
}

pub(super) fn is_string(node: Node<'_>, text: &str) -> bool {
    matches!(node.value(), Value::String(string) if string == text)
}

/// `@>`. At the top, and only there, an array contains a scalar that is among its elements.
pub(super) fn contains(whole: &Jsonb, part: &Jsonb) -> bool {
    let (whole, part) = (whole.root(), part.root());
    match whole.value() {
        Value::Array(elements) if !part.is_container() => {
            elements.iter().any(|element| element.scalar_equals(part))
        }
        _ => contains_node(whole, part),
    }
}

fn contains_node(whole: Node<'_>, part: Node<'_>) -> bool {
    match (whole.value(), part.value()) {
        (Value::Object(whole), Value::Object(part)) => {
            whole.len() >= part.len()
                && part.iter().all(|(key, part)| {
                    whole.find(key).is_some_and(|whole| contains_node(whole, part))
                })
        }
        (Value::Array(whole), Value::Array(part)) => {
            part.iter().all(|part| whole.iter().any(|whole| contains_node(whole, part)))
        }
        _ => whole.scalar_equals(part),
    }
}

fn cannot_cast(node: Node<'_>, target: &str) -> SqlError {
    let source = match node.value() {
        Value::Number => "numeric",
        _ => node.type_name(),
    };
    invalid_parameter(format!("cannot cast jsonb {source} to type {target}"))
}

fn number(a: &[Datum], target: &str) -> SqlResult<Numeric> {
    let node = a[0].as_jsonb().root();
    match node.as_text() {
        Some(text) if matches!(node.value(), Value::Number) => Numeric::parse(&text),
        _ => Err(cannot_cast(node, target)),
    }
}

fn integer(a: &[Datum], target: &str) -> SqlResult<Option<i64>> {
    let node = a[0].as_jsonb().root();
    let decimal = node.as_decimal().ok_or_else(|| cannot_cast(node, target))?;
    Ok(decimal.round_to_integer())
}

fn out_of_range(target: &str) -> SqlError {
    SqlError::new(SqlState::NumericValueOutOfRange, format!("{target} out of range"))
}

pub(super) fn jsonb_bool(_: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    let node = a[0].as_jsonb().root();
    match node.value() {
        Value::Bool(value) => Ok(Datum::Bool(value)),
        _ => Err(cannot_cast(node, "boolean")),
    }
}

pub(super) fn jsonb_numeric(_: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    Ok(Datum::Numeric(number(a, "numeric")?))
}

pub(super) fn jsonb_int2(_: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    let value = integer(a, "smallint")?.and_then(|value| i16::try_from(value).ok());
    value.map(Datum::Int2).ok_or_else(|| out_of_range("smallint"))
}

pub(super) fn jsonb_int4(_: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    let value = integer(a, "integer")?.and_then(|value| i32::try_from(value).ok());
    value.map(Datum::Int4).ok_or_else(|| out_of_range("integer"))
}

pub(super) fn jsonb_int8(_: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    integer(a, "bigint")?.map(Datum::Int8).ok_or_else(|| out_of_range("bigint"))
}

pub(super) fn jsonb_float4(_: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    number(a, "real")?.to_f32().map(Datum::Float4)
}

pub(super) fn jsonb_float8(_: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    number(a, "double precision")?.to_f64().map(Datum::Float8)
}
