//! `json_populate_record`, `json_to_record` and their kin: objects as rows.
//!
//! What fields a row has comes from the type of the first argument, or from a column definition
//! list, which the analyzer hands over as a last argument: name, type and modifier of each, as text.

use std::borrow::Cow;
use std::sync::Arc;

use super::{ScalarTable, SetTable, invalid_parameter};
use crate::context::{CallContext, EvalContext};
use crate::datum::{Array, Datum, Dimension};
use crate::error::{SqlError, SqlResult};
use crate::io;
use crate::json::{Json, Kind};
use crate::jsonb::{Jsonb, Node, Value};
use crate::oid::{Oid, TypeRef};
use crate::sqlstate::SqlState;
use crate::type_oid as t;
use crate::user_type::UserType;

type Fields = Arc<[(Arc<str>, TypeRef)]>;
type Rows = Box<dyn Iterator<Item = SqlResult<Datum>> + Send>;

/// How deep rows and arrays may nest.
const DEPTH_MAX: usize = 200;
/// `MAXDIM`
const DIMENSIONS_MAX: usize = 6;

pub(in crate::functions) static SCALARS: ScalarTable = &[
    ("json_to_record", |context, a| to_record(context, a, read_json)),
    ("jsonb_to_record", |context, a| to_record(context, a, read_jsonb)),
    ("json_populate_record", |context, a| populate_record(context, a, 3, read_json)),
    ("jsonb_populate_record", |context, a| populate_record(context, a, 2, read_jsonb)),
];

pub(in crate::functions) static SETS: SetTable = &[
    ("json_to_recordset", |context, a| {
        let fields = listed(a.get(1));
        recordset(context, &a[0], fields, None, ("json_to_recordset", read_json))
    }),
    ("jsonb_to_recordset", |context, a| {
        let fields = listed(a.get(1));
        recordset(context, &a[0], fields, None, ("jsonb_to_recordset", read_jsonb))
    }),
    ("json_populate_recordset", |context, a| {
        let fields = fields_of(context, a, 3)?;
        recordset(context, &a[1], Some(fields), Some(&a[0]), ("json_populate_recordset", read_json))
    }),
    ("jsonb_populate_recordset", |context, a| {
        let fields = fields_of(context, a, 2)?;
        let function = ("jsonb_populate_recordset", read_jsonb as Read);
        recordset(context, &a[1], Some(fields), Some(&a[0]), function)
    }),
];

/// A value of either kind of JSON.
#[derive(Clone, Copy)]
enum Document<'a> {
    Json(Json<'a>),
    Jsonb(Node<'a>),
}

type Read = fn(&Datum) -> SqlResult<Document<'_>>;

fn read_json(datum: &Datum) -> SqlResult<Document<'_>> {
    Json::new(datum.as_text()).map(Document::Json)
}

fn read_jsonb(datum: &Datum) -> SqlResult<Document<'_>> {
    Ok(Document::Jsonb(datum.as_jsonb().root()))
}

impl<'a> Document<'a> {
    fn kind(self) -> Kind {
        match self {
            Self::Json(json) => json.kind(),
            Self::Jsonb(node) => match node.value() {
                Value::Null => Kind::Null,
                Value::Bool(_) => Kind::Boolean,
                Value::Number => Kind::Number,
                Value::String(_) => Kind::String,
                Value::Array(_) => Kind::Array,
                Value::Object(_) => Kind::Object,
            },
        }
    }

    /// A string's content; else the document.
    fn text(self) -> Cow<'a, str> {
        match self {
            Self::Json(json) => json.as_text().unwrap_or(Cow::Borrowed("null")),
            Self::Jsonb(node) => node.as_text().map_or(Cow::Borrowed("null"), Cow::Owned),
        }
    }

    fn document(self) -> Cow<'a, str> {
        match self {
            Self::Json(json) => Cow::Borrowed(json.text()),
            Self::Jsonb(node) => {
                let mut out = Vec::new();
                node.write_text(&mut out);
                Cow::Owned(String::from_utf8_lossy(&out).into_owned())
            }
        }
    }

    fn elements(self) -> Vec<Self> {
        match self {
            Self::Json(json) => json.elements().map(Self::Json).collect(),
            Self::Jsonb(node) => match node.value() {
                Value::Array(elements) => elements.iter().map(Self::Jsonb).collect(),
                _ => Vec::new(),
            },
        }
    }

    fn field(self, name: &str) -> Option<Self> {
        match self {
            Self::Json(json) => json.field(name).map(Self::Json),
            Self::Jsonb(node) => match node.value() {
                Value::Object(fields) => fields.find(name).map(Self::Jsonb),
                _ => None,
            },
        }
    }
}

/// The fields of a column definition list.
fn listed(list: Option<&Datum>) -> Option<Fields> {
    let Datum::Array(list) = list? else { return None };
    let text = |at: usize| list.elements.get(at).map(Datum::as_text);
    let fields = (0..list.elements.len() / 3).filter_map(|at| {
        let oid = Oid(text(at * 3 + 1)?.parse().ok()?);
        let typmod = text(at * 3 + 2)?.parse().ok()?;
        Some((Arc::from(text(at * 3)?), TypeRef::with_typmod(oid, typmod)))
    });
    Some(fields.collect())
}

fn undetermined(function: &str) -> SqlError {
    SqlError::new(
        SqlState::FeatureNotSupported,
        format!("could not determine row type for result of {function}"),
    )
    .hint(
        "Provide a non-null record argument, or call the function in the FROM clause using a \
         column definition list.",
    )
}

/// The fields of the first argument's type, or those listed behind `width` arguments.
fn fields_of(context: &CallContext<'_>, a: &[Datum], width: usize) -> SqlResult<Fields> {
    if let Some(fields) = listed(a.get(width)) {
        return Ok(fields);
    }
    let of = context.argument_types.first().copied().unwrap_or(TypeRef::plain(t::RECORD));
    if let Some(fields) = context.eval.host.record_fields(of) {
        return Ok(fields);
    }
    match &a[0] {
        // Of an anonymous record only the values tell what they are.
        Datum::Record(values) => Ok((1..)
            .zip(values.iter())
            .map(|(number, value)| {
                (Arc::from(format!("f{number}")), TypeRef::plain(io::usual_type(value)))
            })
            .collect()),
        _ if of.oid == t::RECORD => Err(undetermined("json_populate_record")),
        _ => Err(SqlError::new(
            SqlState::DatatypeMismatch,
            "first argument of json_populate_record must be a row type",
        )),
    }
}

fn to_record(context: &CallContext<'_>, a: &[Datum], read: Read) -> SqlResult<Datum> {
    let fields = listed(a.get(1)).ok_or_else(|| undetermined("json_to_record"))?;
    row(&context.eval, &fields, None, read(&a[0])?, 0)
}

fn populate_record(
    context: &CallContext<'_>,
    a: &[Datum],
    width: usize,
    read: Read,
) -> SqlResult<Datum> {
    let fields = fields_of(context, a, width)?;
    if a[1].is_null() {
        return Ok(a[0].clone());
    }
    row(&context.eval, &fields, Some(&a[0]), read(&a[1])?, 0)
}

fn recordset(
    context: &CallContext<'_>,
    document: &Datum,
    fields: Option<Fields>,
    base: Option<&Datum>,
    (name, read): (&str, Read),
) -> SqlResult<Rows> {
    let fields = fields.ok_or_else(|| undetermined(name))?;
    if document.is_null() {
        return Ok(Box::new(std::iter::empty()));
    }
    let document = read(document)?;
    match (document, document.kind()) {
        (_, Kind::Array) => {}
        (Document::Jsonb(_), _) => {
            return Err(invalid_parameter(format!("cannot call {name} on a non-array")));
        }
        (_, kind) => {
            let what = if kind == Kind::Object { "an object" } else { "a scalar" };
            return Err(invalid_parameter(format!("cannot call {name} on {what}")));
        }
    }
    let mut rows = Vec::new();
    for element in document.elements() {
        if element.kind() != Kind::Object {
            return Err(invalid_parameter(format!(
                "argument of {name} must be an array of objects"
            )));
        }
        rows.push(row(&context.eval, &fields, base, element, 0)?);
    }
    Ok(Box::new(rows.into_iter().map(Ok)))
}

fn row(
    eval: &EvalContext<'_>,
    fields: &Fields,
    base: Option<&Datum>,
    document: Document<'_>,
    depth: usize,
) -> SqlResult<Datum> {
    let scalar = match document.kind() {
        Kind::Object => None,
        Kind::Array => Some("an array"),
        _ => Some("a scalar"),
    };
    if let Some(what) = scalar {
        return Err(invalid_parameter(format!("cannot call populate_composite on {what}")));
    }
    let mut values = Vec::with_capacity(fields.len());
    for (at, (name, ty)) in fields.iter().enumerate() {
        let base = match base {
            Some(Datum::Record(base)) => base.get(at),
            _ => None,
        };
        values.push(match document.field(name) {
            Some(field) => value(eval, *ty, base, field, name, depth)?,
            None => base.cloned().unwrap_or(Datum::Null),
        });
    }
    Ok(Datum::record(values))
}

/// A part of the document as a value of a type; `key` is the field that it is in. The fields that a
/// row's object does not have are those of `base`.
fn value(
    eval: &EvalContext<'_>,
    ty: TypeRef,
    base: Option<&Datum>,
    document: Document<'_>,
    key: &str,
    depth: usize,
) -> SqlResult<Datum> {
    if depth > DEPTH_MAX {
        return Err(SqlError::new(SqlState::StatementTooComplex, "stack depth limit exceeded"));
    }
    let kind = document.kind();
    if kind == Kind::Null {
        return Ok(Datum::Null);
    }
    match ty.oid {
        t::JSON => return Ok(Datum::text(document.document())),
        t::JSONB => {
            return Ok(Datum::Jsonb(match document {
                Document::Jsonb(node) => Jsonb::from_node(node),
                Document::Json(json) => Jsonb::parse(json.text())?,
            }));
        }
        _ => {}
    }
    if kind != Kind::String {
        let element = io::element_type(ty.oid).or_else(|| match eval.host.user_type(ty.oid) {
            Some(UserType::Array(element)) => Some(element),
            _ => None,
        });
        if let Some(element) = element {
            let element = TypeRef::with_typmod(element, ty.typmod);
            return array(eval, element, document, key, depth);
        }
        if let Some(fields) = eval.host.record_fields(ty) {
            return row(eval, &fields, base, document, depth + 1);
        }
    }
    io::text_in(ty, &document.text(), eval)
}

fn array(
    eval: &EvalContext<'_>,
    element: TypeRef,
    document: Document<'_>,
    key: &str,
    depth: usize,
) -> SqlResult<Datum> {
    if document.kind() != Kind::Array {
        return Err(expected_array(key, &[]));
    }
    // The arrays on the way down the first elements tell how many dimensions there are.
    let mut lengths = Vec::new();
    let mut first = Some(document);
    while let Some(level) = first.filter(|level| level.kind() == Kind::Array) {
        if lengths.len() == DIMENSIONS_MAX {
            return Err(SqlError::new(
                SqlState::ProgramLimitExceeded,
                format!(
                    "number of array dimensions ({}) exceeds the maximum allowed \
                     ({DIMENSIONS_MAX})",
                    lengths.len() + 1
                ),
            ));
        }
        let elements = level.elements();
        lengths.push(elements.len());
        first = elements.first().copied();
    }
    let mut reading = Reading { eval, element, key, depth, lengths, values: Vec::new() };
    reading.level(document, &mut Vec::new())?;
    let Reading { lengths, values: elements, .. } = reading;
    if elements.is_empty() {
        return Ok(Datum::Array(Array::one_dimensional(element.oid, elements).into()));
    }
    let dimensions = lengths
        .into_iter()
        .map(|length| Dimension { length: i32::try_from(length).unwrap_or(i32::MAX), lower: 1 })
        .collect();
    Ok(Datum::Array(Array { element: element.oid, dimensions, elements }.into()))
}

/// An array being read.
struct Reading<'a> {
    eval: &'a EvalContext<'a>,
    element: TypeRef,
    key: &'a str,
    depth: usize,
    lengths: Vec<usize>,
    values: Vec<Datum>,
}

impl Reading<'_> {
    fn level(&mut self, document: Document<'_>, place: &mut Vec<usize>) -> SqlResult<()> {
        let elements = document.elements();
        if elements.len() != self.lengths[place.len()] {
            return Err(SqlError::new(SqlState::InvalidTextRepresentation, "malformed JSON array")
                .detail("Multidimensional arrays must have sub-arrays with matching dimensions."));
        }
        for (at, inner) in elements.into_iter().enumerate() {
            place.push(at);
            if place.len() < self.lengths.len() {
                if inner.kind() != Kind::Array {
                    return Err(expected_array(self.key, place));
                }
                self.level(inner, place)?;
            } else {
                let read = value(self.eval, self.element, None, inner, self.key, self.depth + 1)?;
                self.values.push(read);
            }
            place.pop();
        }
        Ok(())
    }
}

fn expected_array(key: &str, place: &[usize]) -> SqlError {
    let hint = if place.is_empty() {
        format!("See the value of key \"{key}\".")
    } else {
        let place: String = place.iter().map(|at| format!("[{at}]")).collect();
        format!("See the array element {place} of key \"{key}\".")
    };
    SqlError::new(SqlState::InvalidTextRepresentation, "expected JSON array").hint(hint)
}
