//! The values that a path runs over: parts of documents, which are shared and not copied, and what is
//! computed.

use std::ops::Range;
use std::sync::Arc;

use super::moment::Moment;
use crate::error::{SqlError, SqlResult};
use crate::jsonb::{Builder, Jsonb, Node, Value};
use crate::numeric::Numeric;

/// A value.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    /// A part of a document: these of its bytes.
    Part(Jsonb, Range<usize>),
    Null,
    Bool(bool),
    Number(Numeric),
    Text(Arc<str>),
    Moment(Moment),
}

/// What a value is.
pub(super) enum View<'a> {
    Null,
    Bool(bool),
    Number,
    String(&'a str),
    Array,
    Object,
    Moment(Moment),
}

impl Item {
    /// A whole document.
    pub(super) fn whole(document: &Jsonb) -> Self {
        let place = document.place_of(document.root());
        Self::Part(document.clone(), place)
    }

    /// The node, of a part of a document.
    pub(super) fn node(&self) -> Option<Node<'_>> {
        match self {
            Self::Part(document, place) => Some(document.part(place.clone())),
            _ => None,
        }
    }

    /// Another part of the same document.
    fn sibling(&self, node: Node<'_>) -> Self {
        match self {
            Self::Part(document, _) => Self::Part(document.clone(), document.place_of(node)),
            _ => Self::Null,
        }
    }

    pub(super) fn view(&self) -> View<'_> {
        match self {
            Self::Part(document, place) => match document.part(place.clone()).value() {
                Value::Null => View::Null,
                Value::Bool(value) => View::Bool(value),
                Value::Number => View::Number,
                Value::String(text) => View::String(text),
                Value::Array(_) => View::Array,
                Value::Object(_) => View::Object,
            },
            Self::Null => View::Null,
            Self::Bool(value) => View::Bool(*value),
            Self::Number(_) => View::Number,
            Self::Text(text) => View::String(text),
            Self::Moment(moment) => View::Moment(*moment),
        }
    }

    /// How many elements an array has.
    pub(super) fn array_length(&self) -> Option<usize> {
        match self.node()?.value() {
            Value::Array(elements) => Some(elements.len()),
            _ => None,
        }
    }

    pub(super) fn element(&self, index: usize) -> Option<Self> {
        match self.node()?.value() {
            Value::Array(elements) => elements.get(index).map(|node| self.sibling(node)),
            _ => None,
        }
    }

    pub(super) fn field(&self, key: &str) -> Option<Self> {
        match self.node()?.value() {
            Value::Object(fields) => fields.find(key).map(|node| self.sibling(node)),
            _ => None,
        }
    }

    /// How many elements or fields there are; none for a scalar.
    pub(super) fn child_count(&self) -> Option<usize> {
        match self.node()?.value() {
            Value::Array(elements) => Some(elements.len()),
            Value::Object(fields) => Some(fields.len()),
            _ => None,
        }
    }

    /// The element, or the value of the field, at a place.
    pub(super) fn child(&self, at: usize) -> Option<Self> {
        match self.node()?.value() {
            Value::Array(elements) => elements.get(at).map(|node| self.sibling(node)),
            Value::Object(fields) => fields.get(at).map(|(_, node)| self.sibling(node)),
            _ => None,
        }
    }

    /// The key of the field at a place.
    pub(super) fn key(&self, at: usize) -> Option<&str> {
        match self.node()?.value() {
            Value::Object(fields) => fields.get(at).map(|(key, _)| key),
            _ => None,
        }
    }

    /// The number, if it is one.
    pub(super) fn number(&self) -> SqlResult<Option<Numeric>> {
        match self {
            Self::Number(number) => Ok(Some(number.clone())),
            Self::Part(..) if matches!(self.view(), View::Number) => {
                let text = self.node().and_then(Node::as_text).unwrap_or_default();
                Numeric::parse(&text).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Appends the value to what is being built.
    ///
    /// # Errors
    /// 54000, 54001
    pub(crate) fn build(&self, builder: &mut Builder) -> SqlResult<()> {
        match self {
            Self::Part(document, place) => builder.node(document.part(place.clone())),
            Self::Null => builder.null(),
            Self::Bool(value) => builder.bool(*value),
            Self::Number(number) => {
                let mut text = Vec::new();
                number.write_text(&mut text);
                let text = String::from_utf8(text)
                    .map_err(|_| SqlError::internal("a number printed as no text"))?;
                builder.number(&text)
            }
            Self::Text(text) => builder.string(text),
            Self::Moment(moment) => builder.string(&moment.text()),
        }
    }

    /// The value alone.
    ///
    /// # Errors
    /// 54000, 54001
    pub(crate) fn into_jsonb(self) -> SqlResult<Jsonb> {
        if let Self::Part(document, place) = &self {
            return Ok(Jsonb::from_node(document.part(place.clone())));
        }
        let mut builder = Builder::new();
        self.build(&mut builder)?;
        builder.finish()
    }

    /// Whether it is a boolean, and which.
    pub(crate) fn as_bool(&self) -> Option<bool> {
        match self.view() {
            View::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// Whether it is `null`.
    pub(crate) fn is_null(&self) -> bool {
        matches!(self.view(), View::Null)
    }
}
