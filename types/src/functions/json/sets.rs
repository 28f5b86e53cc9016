//! The set-returning functions. Those of jsonb read as they are asked, by place; those of json,
//! whose text has no places, are read at once.

use super::{SetTable, invalid_parameter, path, text_or_null};
use crate::context::CallContext;
use crate::datum::Datum;
use crate::error::{SqlError, SqlResult};
use crate::json::{Json, Kind};
use crate::jsonb::{Jsonb, Node, Value};

type Rows = Box<dyn Iterator<Item = SqlResult<Datum>> + Send>;

pub(in crate::functions) static SETS: SetTable = &[
    ("jsonb_array_elements", |_, a| jsonb_elements(a, whole)),
    ("jsonb_array_elements_text", |_, a| jsonb_elements(a, text)),
    ("jsonb_each", |_, a| {
        jsonb_fields(a, "jsonb_each", |key, value| record(Datum::text(key), whole(value)))
    }),
    ("jsonb_each_text", |_, a| {
        jsonb_fields(a, "jsonb_each_text", |key, value| record(Datum::text(key), text(value)))
    }),
    ("jsonb_object_keys", jsonb_object_keys),
    ("json_array_elements", |_, a| {
        json_elements(a, "json_array_elements", |json| Datum::text(json.text()))
    }),
    ("json_array_elements_text", |_, a| {
        json_elements(a, "json_array_elements_text", |json| text_or_null(json.as_text()))
    }),
    ("json_each", |_, a| json_fields(a, |key, json| record(key, Datum::text(json.text())))),
    ("json_each_text", |_, a| {
        json_fields(a, |key, json| record(key, text_or_null(json.as_text())))
    }),
    ("json_object_keys", json_object_keys),
    ("jsonb_path_query", |c, a| path::query(c, a, false)),
    ("jsonb_path_query_tz", |c, a| path::query(c, a, true)),
];

fn whole(node: Node<'_>) -> Datum {
    Datum::Jsonb(Jsonb::from_node(node))
}

fn text(node: Node<'_>) -> Datum {
    text_or_null(node.as_text())
}

fn record(key: Datum, value: Datum) -> Datum {
    Datum::record([key, value])
}

fn by_place(
    document: &Jsonb,
    count: usize,
    row: impl Fn(&Jsonb, usize) -> Option<Datum> + Send + 'static,
) -> Rows {
    let document = document.clone();
    Box::new((0..count).filter_map(move |at| row(&document, at)).map(Ok))
}

fn jsonb_elements(a: &[Datum], row: fn(Node<'_>) -> Datum) -> SqlResult<Rows> {
    let document = a[0].as_jsonb();
    let count = match document.root().value() {
        Value::Array(elements) => elements.len(),
        Value::Object(_) => {
            return Err(invalid_parameter("cannot extract elements from an object"));
        }
        _ => return Err(invalid_parameter("cannot extract elements from a scalar")),
    };
    Ok(by_place(document, count, move |document, at| match document.root().value() {
        Value::Array(elements) => elements.get(at).map(row),
        _ => None,
    }))
}

fn jsonb_fields(a: &[Datum], function: &str, row: fn(&str, Node<'_>) -> Datum) -> SqlResult<Rows> {
    let document = a[0].as_jsonb();
    let Value::Object(fields) = document.root().value() else {
        return Err(invalid_parameter(format!("cannot call {function} on a non-object")));
    };
    Ok(by_place(document, fields.len(), move |document, at| match document.root().value() {
        Value::Object(fields) => fields.get(at).map(|(key, value)| row(key, value)),
        _ => None,
    }))
}

fn not_an_object(function: &str, is_array: bool) -> SqlError {
    let what = if is_array { "an array" } else { "a scalar" };
    invalid_parameter(format!("cannot call {function} on {what}"))
}

fn jsonb_object_keys(_: &CallContext<'_>, a: &[Datum]) -> SqlResult<Rows> {
    match a[0].as_jsonb().root().value() {
        Value::Object(_) => jsonb_fields(a, "jsonb_object_keys", |key, _| Datum::text(key)),
        value => Err(not_an_object("jsonb_object_keys", matches!(value, Value::Array(_)))),
    }
}

fn json_elements(a: &[Datum], function: &str, row: fn(Json<'_>) -> Datum) -> SqlResult<Rows> {
    let json = Json::new(a[0].as_text())?;
    match json.kind() {
        Kind::Array => {
            let rows: Vec<Datum> = json.elements().map(row).collect();
            Ok(Box::new(rows.into_iter().map(Ok)))
        }
        Kind::Object => Err(invalid_parameter(format!("cannot call {function} on a non-array"))),
        _ => Err(invalid_parameter(format!("cannot call {function} on a scalar"))),
    }
}

fn json_fields(a: &[Datum], row: fn(Datum, Json<'_>) -> Datum) -> SqlResult<Rows> {
    let json = Json::new(a[0].as_text())?;
    match json.kind() {
        Kind::Object => {
            let rows: Vec<Datum> =
                json.fields().map(|(key, value)| row(Datum::text(key), value)).collect();
            Ok(Box::new(rows.into_iter().map(Ok)))
        }
        Kind::Array => Err(invalid_parameter("cannot deconstruct an array as an object")),
        _ => Err(invalid_parameter("cannot deconstruct a scalar")),
    }
}

fn json_object_keys(_: &CallContext<'_>, a: &[Datum]) -> SqlResult<Rows> {
    let json = Json::new(a[0].as_text())?;
    if json.kind() != Kind::Object {
        return Err(not_an_object("json_object_keys", json.kind() == Kind::Array));
    }
    let rows: Vec<Datum> = json.fields().map(|(key, _)| Datum::text(key)).collect();
    Ok(Box::new(rows.into_iter().map(Ok)))
}
