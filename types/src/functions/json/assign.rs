//! jsonb with a value put at a path, which is made where it is missing: what `SET j['a'][0] = …` does.

use super::{invalid_parameter, path_index};
use crate::error::{SqlError, SqlResult};
use crate::json::{DEPTH_MAX, too_deep};
use crate::jsonb::{Builder, Elements, Fields, Jsonb, Node, Value};
use crate::sqlstate::SqlState;

/// The most elements that are made to fill an array up.
const GAP_MAX: usize = 1 << 24;

/// The document with a value, `null` for none, at a path. A document that is NULL is an empty array if
/// the path begins `by_index`, else an empty object.
///
/// # Errors
/// 22023 where a scalar stands in the way, 22P02 for a key within an array, 54000, 54001.
pub fn jsonb_assigned(
    document: Option<&Jsonb>,
    by_index: bool,
    path: &[String],
    value: Option<&Jsonb>,
) -> SqlResult<Jsonb> {
    if path.len() > DEPTH_MAX {
        return Err(too_deep());
    }
    let null = Jsonb::parse("null")?;
    let value = value.unwrap_or(&null).root();
    let empty;
    let root = match document {
        Some(document) => document.root(),
        None => {
            empty = Jsonb::parse(if by_index { "[]" } else { "{}" })?;
            empty.root()
        }
    };
    let mut builder = Builder::new();
    put(root, path, 0, value, &mut builder)?;
    builder.finish()
}

/// Copies a node with the value at the rest of the path. Recurses as deep as the path is long.
fn put(
    node: Node<'_>,
    path: &[String],
    level: usize,
    value: Node<'_>,
    builder: &mut Builder,
) -> SqlResult<()> {
    match node.value() {
        Value::Object(fields) => put_field(fields, path, level, value, builder),
        Value::Array(elements) => put_element(elements, path, level, value, builder),
        _ => Err(invalid_parameter("cannot replace existing key")
            .detail("The path assumes key is a composite object, but it is a scalar value.")),
    }
}

/// What stands at a place of the path: the value, or what is there changed.
fn put_behind(
    before: Option<Node<'_>>,
    path: &[String],
    level: usize,
    value: Node<'_>,
    builder: &mut Builder,
) -> SqlResult<()> {
    if level + 1 == path.len() {
        return builder.node(value);
    }
    match before {
        Some(before) => put(before, path, level + 1, value, builder),
        None => make(&path[level + 1..], value, builder),
    }
}

/// Makes the rest of a path: arrays for numbers, objects for other keys.
fn make(path: &[String], value: Node<'_>, builder: &mut Builder) -> SqlResult<()> {
    for key in path {
        match path_index(key) {
            Some(index) => {
                builder.begin_array()?;
                fill(usize::try_from(index).unwrap_or(0), builder)?;
            }
            None => {
                builder.begin_object()?;
                builder.key(key)?;
            }
        }
    }
    builder.node(value)?;
    path.iter().try_for_each(|_| builder.end())
}

fn fill(count: usize, builder: &mut Builder) -> SqlResult<()> {
    if count > GAP_MAX {
        return Err(SqlError::new(SqlState::OutOfMemory, "out of memory")
            .detail("Failed on an array that is filled up with null."));
    }
    (0..count).try_for_each(|_| builder.null())
}

fn put_field(
    fields: Fields<'_>,
    path: &[String],
    level: usize,
    value: Node<'_>,
    builder: &mut Builder,
) -> SqlResult<()> {
    let wanted = path[level].as_str();
    builder.begin_object()?;
    let mut found = None;
    for (key, before) in fields.iter() {
        if key == wanted {
            found = Some(before);
            continue;
        }
        builder.key(key)?;
        builder.node(before)?;
    }
    builder.key(wanted)?;
    put_behind(found, path, level, value, builder)?;
    builder.end()
}

fn put_element(
    elements: Elements<'_>,
    path: &[String],
    level: usize,
    value: Node<'_>,
    builder: &mut Builder,
) -> SqlResult<()> {
    let position = level + 1;
    let index = path_index(&path[level]).ok_or_else(|| {
        SqlError::new(
            SqlState::InvalidTextRepresentation,
            format!("path element at position {position} is not an integer: \"{}\"", path[level]),
        )
    })?;
    let length = i64::try_from(elements.len()).unwrap_or(i64::MAX);
    let at = if index < 0 { length + i64::from(index) } else { i64::from(index) };
    let at = usize::try_from(at).map_err(|_| {
        invalid_parameter(format!("path element at position {position} is out of range: {index}"))
    })?;
    builder.begin_array()?;
    for (place, element) in elements.iter().enumerate() {
        if place == at {
            put_behind(Some(element), path, level, value, builder)?;
        } else {
            builder.node(element)?;
        }
    }
    if at >= elements.len() {
        fill(at - elements.len(), builder)?;
        put_behind(None, path, level, value, builder)?;
    }
    builder.end()
}
