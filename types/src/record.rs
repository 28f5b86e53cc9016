//! Row values: fields, and what is known of their names and types.
//!
//! A value of a composite type knows which, and the catalog knows the rest; an anonymous one carries
//! what the query called its fields; one that a function made carries nothing, and its fields are of
//! the types that their values look like.

use std::ops::Deref;
use std::sync::Arc;

use crate::context::EvalContext;
use crate::datum::Datum;
use crate::io::usual_type;
use crate::oid::{Oid, TypeRef};

/// A row value.
#[derive(Clone, Debug)]
pub struct Record {
    fields: Box<[Datum]>,
    kind: RecordKind,
}

/// What is known of a row value's fields.
#[derive(Clone, Debug, Default)]
pub enum RecordKind {
    /// Nothing.
    #[default]
    Untyped,
    /// What the query called them.
    Anonymous(Arc<RecordShape>),
    /// They are those of a composite type.
    Composite(Oid),
}

/// Names and types of the fields of an anonymous row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordShape {
    /// A name a field.
    pub names: Vec<Arc<str>>,
    /// A type a field.
    pub types: Vec<TypeRef>,
}

impl Record {
    /// A row value.
    #[must_use]
    pub fn new(fields: Vec<Datum>, kind: RecordKind) -> Self {
        Self { fields: fields.into(), kind }
    }

    /// What is known of the fields.
    #[must_use]
    pub const fn kind(&self) -> &RecordKind {
        &self.kind
    }

    /// The fields with their names and types; those that a composite type got since the value was
    /// stored are NULL.
    #[must_use]
    pub fn described(&self, context: &EvalContext<'_>) -> Vec<(Arc<str>, TypeRef, &Datum)> {
        let known = match &self.kind {
            RecordKind::Composite(oid) => context.host.record_fields(TypeRef::plain(*oid)),
            _ => None,
        };
        if let Some(known) = known.filter(|known| known.len() >= self.fields.len()) {
            return known
                .iter()
                .enumerate()
                .map(|(at, (name, ty))| {
                    (name.clone(), *ty, self.fields.get(at).unwrap_or(&Datum::Null))
                })
                .collect();
        }
        let shape = match &self.kind {
            RecordKind::Anonymous(shape) => Some(shape),
            _ => None,
        };
        let field = |(at, value)| {
            let name = shape.and_then(|shape| shape.names.get(at)).cloned();
            let name = name.unwrap_or_else(|| format!("f{}", at + 1).into());
            (name, self.field_type(at), value)
        };
        self.fields.iter().enumerate().map(field).collect()
    }

    /// The type of a field, as far as the value knows it by itself.
    #[must_use]
    pub fn field_type(&self, at: usize) -> TypeRef {
        let known = match &self.kind {
            RecordKind::Anonymous(shape) => shape.types.get(at).copied(),
            _ => None,
        };
        known.unwrap_or_else(|| {
            TypeRef::plain(self.fields.get(at).map_or(crate::type_oid::UNKNOWN, usual_type))
        })
    }
}

impl Deref for Record {
    type Target = [Datum];

    fn deref(&self) -> &[Datum] {
        &self.fields
    }
}

impl Datum {
    /// A row value of which no more is known than its fields.
    #[must_use]
    pub fn record(fields: impl Into<Vec<Datum>>) -> Self {
        Self::Record(Arc::new(Record::new(fields.into(), RecordKind::Untyped)))
    }

    /// A value of a composite type.
    #[must_use]
    pub fn composite(oid: Oid, fields: Vec<Datum>) -> Self {
        Self::Record(Arc::new(Record::new(fields, RecordKind::Composite(oid))))
    }
}
