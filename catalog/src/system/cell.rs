//! Rows written as values: `row![relation.oid, "name", true, None::<&str>]`.

use aegis_types::{Array, Datum, Dimension, Oid, type_oid as t};

/// What a column of a row is made of.
pub(super) trait Cell {
    /// As a datum.
    fn datum(self) -> Datum;
}

/// A name of a role, a schema or the like that may have gone: NULL then.
impl<T: Cell> Cell for Option<T> {
    fn datum(self) -> Datum {
        self.map_or(Datum::Null, Cell::datum)
    }
}

impl Cell for &std::borrow::Cow<'_, str> {
    fn datum(self) -> Datum {
        Datum::text(&**self)
    }
}

macro_rules! cells {
    ($($type:ty => |$value:ident| $datum:expr;)*) => {
        $(impl Cell for $type {
            fn datum(self) -> Datum {
                let $value = self;
                $datum
            }
        })*
    };
}

cells! {
    Datum => |value| value;
    bool => |value| Datum::Bool(value);
    i16 => |value| Datum::Int2(value);
    i32 => |value| Datum::Int4(value);
    i64 => |value| Datum::Int8(value);
    f32 => |value| Datum::Float4(value);
    u8 => |value| Datum::Char(value);
    Oid => |value| Datum::Oid(value);
    &str => |value| Datum::text(value);
    &String => |value| Datum::text(value.as_str());
    String => |value| Datum::text(value);
}

/// A one-dimensional array.
pub(super) fn array<T: Cell>(element: Oid, values: impl IntoIterator<Item = T>) -> Datum {
    let elements = values.into_iter().map(Cell::datum).collect();
    Datum::Array(Array::one_dimensional(element, elements).into())
}

/// An array; NULL where it would be empty.
pub(super) fn array_or_null<T: Cell>(element: Oid, values: Vec<T>) -> Datum {
    if values.is_empty() { Datum::Null } else { array(element, values) }
}

/// An `int2vector`.
pub(super) fn int2_vector(values: Vec<i16>) -> Datum {
    vector(t::INT2, values)
}

/// An `oidvector`.
pub(super) fn oid_vector(values: Vec<Oid>) -> Datum {
    vector(t::OID, values)
}

/// Unlike other arrays, vectors count from 0.
fn vector<T: Cell>(element: Oid, values: Vec<T>) -> Datum {
    let elements: Vec<Datum> = values.into_iter().map(Cell::datum).collect();
    let dimensions = if elements.is_empty() {
        Vec::new()
    } else {
        vec![Dimension { length: i32::try_from(elements.len()).unwrap_or(i32::MAX), lower: 0 }]
    };
    Datum::Array(Array { element, dimensions, elements }.into())
}

/// NULL.
pub(super) const NULL: Datum = Datum::Null;

/// How many, as `int2`.
pub(super) fn count(many: usize) -> i16 {
    i16::try_from(many).unwrap_or(i16::MAX)
}

/// A row of cells.
macro_rules! row {
    ($($cell:expr),* $(,)?) => {
        vec![$($crate::system::cell::Cell::datum($cell)),*]
    };
}
