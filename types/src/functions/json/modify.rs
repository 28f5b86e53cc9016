//! Changed copies of jsonb: what the path does not touch is copied as bytes.

use super::access::is_string;
use super::{array_subscript, invalid_parameter, path_index, texts};
use crate::context::CallContext;
use crate::datum::Datum;
use crate::error::{SqlError, SqlResult};
use crate::json::{Json, Kind, write_string};
use crate::jsonb::{Builder, Elements, Fields, Jsonb, Node, Value};
use crate::sqlstate::SqlState;

fn is_empty(jsonb: &Jsonb) -> bool {
    match jsonb.root().value() {
        Value::Array(elements) => elements.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

fn jsonb(builder: Builder) -> SqlResult<Datum> {
    builder.finish().map(Datum::Jsonb)
}

/// Objects merge, the right one winning; all else concatenates as arrays, a value that is none
/// being an array of itself.
pub(super) fn jsonb_concat(_: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    let sides = [a[0].as_jsonb().root(), a[1].as_jsonb().root()];
    let mut builder = Builder::new();
    if sides.iter().all(|side| matches!(side.value(), Value::Object(_))) {
        builder.begin_object()?;
        for side in sides {
            if let Value::Object(fields) = side.value() {
                copy_fields(fields, |_| true, &mut builder)?;
            }
        }
    } else {
        builder.begin_array()?;
        for side in sides {
            match side.value() {
                Value::Array(elements) => elements.iter().try_for_each(|e| builder.node(e))?,
                _ => builder.node(side)?,
            }
        }
    }
    builder.end()?;
    jsonb(builder)
}

fn copy_fields(
    fields: Fields<'_>,
    keep: impl Fn(&str) -> bool,
    builder: &mut Builder,
) -> SqlResult<()> {
    for (key, value) in fields.iter().filter(|(key, _)| keep(key)) {
        builder.key(key)?;
        builder.node(value)?;
    }
    Ok(())
}

/// Without the fields, or the strings of an array, that are among `keys`.
fn without(whole: &Datum, keys: &[&str]) -> SqlResult<Datum> {
    let mut builder = Builder::new();
    match whole.as_jsonb().root().value() {
        Value::Object(fields) => {
            builder.begin_object()?;
            copy_fields(fields, |key| !keys.contains(&key), &mut builder)?;
        }
        Value::Array(elements) => {
            builder.begin_array()?;
            for element in elements.iter() {
                if !keys.iter().any(|key| is_string(element, key)) {
                    builder.node(element)?;
                }
            }
        }
        _ => return Err(invalid_parameter("cannot delete from scalar")),
    }
    builder.end()?;
    jsonb(builder)
}

pub(super) fn jsonb_delete(_: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    without(&a[0], &[a[1].as_text()])
}

pub(super) fn jsonb_delete_array(_: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    check_one_dimension(&a[1])?;
    let keys: Vec<&str> = texts(&a[1]).into_iter().flatten().collect();
    without(&a[0], &keys)
}

pub(super) fn jsonb_delete_index(_: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    let elements = match a[0].as_jsonb().root().value() {
        Value::Array(elements) => elements,
        Value::Object(_) => {
            return Err(invalid_parameter("cannot delete from object using integer index"));
        }
        _ => return Err(invalid_parameter("cannot delete from scalar")),
    };
    let Some(gone) = elements.position(i64::from(a[1].as_int4())) else {
        return Ok(a[0].clone());
    };
    let mut builder = Builder::new();
    builder.begin_array()?;
    for (at, element) in elements.iter().enumerate() {
        if at != gone {
            builder.node(element)?;
        }
    }
    builder.end()?;
    jsonb(builder)
}

fn check_one_dimension(array: &Datum) -> SqlResult<()> {
    if array.as_array().dimensions.len() > 1 {
        return Err(array_subscript("wrong number of array subscripts"));
    }
    Ok(())
}

/// What happens at the end of a path.
#[derive(Clone, Copy)]
enum Edit<'a> {
    Delete,
    /// In place of what is there; with `create`, also where nothing is.
    Set {
        value: Node<'a>,
        create: bool,
    },
    /// Before or after an element; as a new field.
    Insert {
        value: Node<'a>,
        after: bool,
    },
}

impl<'a> Edit<'a> {
    /// The value for a place where nothing is yet.
    const fn created(self) -> Option<Node<'a>> {
        match self {
            Self::Set { value, create: true } | Self::Insert { value, .. } => Some(value),
            Self::Delete | Self::Set { .. } => None,
        }
    }
}

struct Change<'a> {
    path: Vec<Option<&'a str>>,
    edit: Edit<'a>,
}

impl Change<'_> {
    /// Copies a value, changed below the path's elements from `level` on. Recurses no deeper than
    /// the value nests.
    fn copy(&self, node: Node<'_>, level: usize, builder: &mut Builder) -> SqlResult<()> {
        let Some(step) = self.path[level] else {
            return Err(SqlError::new(
                SqlState::NullValueNotAllowed,
                format!("path element at position {} is null", level + 1),
            ));
        };
        match node.value() {
            Value::Object(fields) => self.copy_object(fields, step, level, builder),
            Value::Array(elements) => self.copy_array(elements, step, level, builder),
            _ => builder.node(node),
        }
    }

    fn is_last(&self, level: usize) -> bool {
        level + 1 == self.path.len()
    }

    fn copy_object(
        &self,
        fields: Fields<'_>,
        step: &str,
        level: usize,
        builder: &mut Builder,
    ) -> SqlResult<()> {
        builder.begin_object()?;
        let at = fields.position(step);
        for (index, (key, value)) in fields.iter().enumerate() {
            if at != Some(index) {
                builder.key(key)?;
                builder.node(value)?;
                continue;
            }
            if !self.is_last(level) {
                builder.key(key)?;
                self.copy(value, level + 1, builder)?;
                continue;
            }
            match self.edit {
                Edit::Delete => {}
                Edit::Set { value, .. } => {
                    builder.key(key)?;
                    builder.node(value)?;
                }
                Edit::Insert { .. } => {
                    return Err(invalid_parameter("cannot replace existing key")
                        .hint("Try using the function jsonb_set to replace key value."));
                }
            }
        }
        if let (None, true, Some(value)) = (at, self.is_last(level), self.edit.created()) {
            builder.key(step)?;
            builder.node(value)?;
        }
        builder.end()
    }

    fn copy_array(
        &self,
        elements: Elements<'_>,
        step: &str,
        level: usize,
        builder: &mut Builder,
    ) -> SqlResult<()> {
        let Some(index) = path_index(step) else {
            return Err(SqlError::new(
                SqlState::InvalidTextRepresentation,
                format!("path element at position {} is not an integer: \"{step}\"", level + 1),
            ));
        };
        let at = elements.position(i64::from(index));
        let created = self.edit.created().filter(|_| at.is_none() && self.is_last(level));
        builder.begin_array()?;
        // Beyond either end, a new element goes to that end.
        if let (Some(value), true) = (created, index < 0) {
            builder.node(value)?;
        }
        for (index, element) in elements.iter().enumerate() {
            match self.edit {
                _ if at != Some(index) => builder.node(element)?,
                _ if !self.is_last(level) => self.copy(element, level + 1, builder)?,
                Edit::Delete => {}
                Edit::Set { value, .. } => builder.node(value)?,
                Edit::Insert { value, after: false } => {
                    builder.node(value)?;
                    builder.node(element)?;
                }
                Edit::Insert { value, after: true } => {
                    builder.node(element)?;
                    builder.node(value)?;
                }
            }
        }
        if let (Some(value), true) = (created, index >= 0) {
            builder.node(value)?;
        }
        builder.end()
    }
}

fn change(whole: &Datum, path: &Datum, edit: Edit<'_>) -> SqlResult<Datum> {
    check_one_dimension(path)?;
    let document = whole.as_jsonb();
    if !document.root().is_container() {
        let verb = if matches!(edit, Edit::Delete) { "delete" } else { "set" };
        return Err(invalid_parameter(format!("cannot {verb} path in scalar")));
    }
    let path = texts(path);
    let futile = is_empty(document) && edit.created().is_none();
    if path.is_empty() || futile {
        return Ok(whole.clone());
    }
    let mut builder = Builder::new();
    Change { path, edit }.copy(document.root(), 0, &mut builder)?;
    jsonb(builder)
}

pub(super) fn jsonb_delete_path(_: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    change(&a[0], &a[1], Edit::Delete)
}

pub(super) fn jsonb_set(_: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    let value = a[2].as_jsonb().root();
    change(&a[0], &a[1], Edit::Set { value, create: a[3].as_bool() })
}

pub(super) fn jsonb_insert(_: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    let value = a[2].as_jsonb().root();
    change(&a[0], &a[1], Edit::Insert { value, after: a[3].as_bool() })
}

pub(super) fn jsonb_set_lax(context: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    if a[0].is_null() || a[1].is_null() || a[3].is_null() {
        return Ok(Datum::Null);
    }
    let unknown = || {
        invalid_parameter(
            "null_value_treatment must be \"delete_key\", \"return_target\", \"use_json_null\", \
             or \"raise_exception\"",
        )
    };
    if a[4].is_null() {
        return Err(unknown());
    }
    if !a[2].is_null() {
        return jsonb_set(context, a);
    }
    match a[4].as_text() {
        "raise_exception" => Err(SqlError::new(
            SqlState::NullValueNotAllowed,
            "JSON value must not be null",
        )
        .detail("Exception was raised because null_value_treatment is \"raise_exception\".")
        .hint(
            "To avoid, either change the null_value_treatment argument or ensure that an SQL NULL \
             is not passed.",
        )),
        "use_json_null" => {
            let null = Jsonb::parse("null")?;
            change(&a[0], &a[1], Edit::Set { value: null.root(), create: a[3].as_bool() })
        }
        "delete_key" => change(&a[0], &a[1], Edit::Delete),
        "return_target" => Ok(a[0].clone()),
        _ => Err(unknown()),
    }
}

pub(super) fn jsonb_strip_nulls(_: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    let mut builder = Builder::new();
    strip(a[0].as_jsonb().root(), &mut builder)?;
    jsonb(builder)
}

/// Copies without the fields that are null. Recurses as deep as the value nests.
fn strip(node: Node<'_>, builder: &mut Builder) -> SqlResult<()> {
    match node.value() {
        Value::Object(fields) => {
            builder.begin_object()?;
            for (key, value) in fields.iter() {
                if !matches!(value.value(), Value::Null) {
                    builder.key(key)?;
                    strip(value, builder)?;
                }
            }
            builder.end()
        }
        Value::Array(elements) => {
            builder.begin_array()?;
            elements.iter().try_for_each(|element| strip(element, builder))?;
            builder.end()
        }
        _ => builder.node(node),
    }
}

pub(super) fn json_strip_nulls(_: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    let mut out = Vec::new();
    strip_json(Json::new(a[0].as_text())?, &mut out);
    Ok(super::into_text(out))
}

fn strip_json(json: Json<'_>, out: &mut Vec<u8>) {
    match json.kind() {
        Kind::Object => {
            out.push(b'{');
            let kept = json.fields().filter(|(_, value)| value.kind() != Kind::Null);
            for (index, (key, value)) in kept.enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_string(&key, out);
                out.push(b':');
                strip_json(value, out);
            }
            out.push(b'}');
        }
        Kind::Array => {
            out.push(b'[');
            for (index, element) in json.elements().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                strip_json(element, out);
            }
            out.push(b']');
        }
        Kind::String => write_string(&json.as_text().unwrap_or_default(), out),
        _ => out.extend_from_slice(json.text().as_bytes()),
    }
}
