//! One SQL value.
//!
//! A [`Datum`] carries a value, not its SQL type: `text`, `varchar`, `char(n)`, `name` and `json`
//! are all [`Datum::Text`], `oid` and the reg types are all [`Datum::Oid`]. Whoever holds a datum
//! knows its type from the expression or column that it came from; [`crate::io`] and
//! [`crate::compare`] are told it.

use std::sync::Arc;

use crate::bits::Bits;
use crate::interval::Interval;
use crate::jsonb::Jsonb;
use crate::numeric::Numeric;
use crate::oid::Oid;
use crate::record::Record;

/// One SQL value. Cloning is cheap: whatever is large is shared.
#[derive(Clone, Debug)]
pub enum Datum {
    /// SQL's NULL, of any type.
    Null,
    /// `bool`
    Bool(bool),
    /// `int2`
    Int2(i16),
    /// `int4`
    Int4(i32),
    /// `int8`
    Int8(i64),
    /// `float4`
    Float4(f32),
    /// `float8`
    Float8(f64),
    /// `numeric`
    Numeric(Numeric),
    /// `text`, `varchar`, `bpchar` (blanks included), `name`, `json`, `cstring`, `unknown`
    Text(Arc<str>),
    /// `bytea`
    Bytea(Arc<[u8]>),
    /// `"char"`: one byte
    Char(u8),
    /// `date`: days since 2000-01-01; `i32::MIN` and `i32::MAX` are the infinities
    Date(i32),
    /// `time`: microseconds since midnight, 24:00:00 included
    Time(i64),
    /// `timetz`: microseconds since midnight, and seconds *west* of UTC (PostgreSQL's sign)
    Timetz(i64, i32),
    /// `timestamp`: microseconds since 2000-01-01 00:00; `i64::MIN` and `i64::MAX` are the infinities
    Timestamp(i64),
    /// `timestamptz`: microseconds since 2000-01-01 00:00 UTC, with the same infinities
    Timestamptz(i64),
    /// `interval`
    Interval(Interval),
    /// `uuid`
    Uuid([u8; 16]),
    /// `jsonb`
    Jsonb(Jsonb),
    /// `oid`, `regclass`, `regtype` and the other reg types, `xid`, `cid`
    Oid(Oid),
    /// an array of any element type, `int2vector` and `oidvector` included
    Array(Arc<Array>),
    /// `record` and composite types: the fields in order
    Record(Arc<Record>),
    /// an enum: its type, and the place of its label among the others
    /// ([`crate::user_type::EnumLabel::place`])
    Enum(Oid, u64),
    /// `bit`, `varbit`
    Bits(Arc<Bits>),
}

/// An array value (PostgreSQL 15, chapter 8.15): its elements in row-major order.
#[derive(Clone, Debug)]
pub struct Array {
    /// The type of the elements.
    pub element: Oid,
    /// Length and lower bound of each dimension; none for the empty array.
    pub dimensions: Vec<Dimension>,
    /// As many elements as the lengths multiply to.
    pub elements: Vec<Datum>,
}

/// One dimension of an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dimension {
    /// How many elements: at least 1.
    pub length: i32,
    /// The subscript of the first, 1 unless said otherwise.
    pub lower: i32,
}

impl Array {
    /// A one-dimensional array that starts at 1; the empty array if there are no elements.
    #[must_use]
    pub fn one_dimensional(element: Oid, elements: Vec<Datum>) -> Self {
        let dimensions = if elements.is_empty() {
            Vec::new()
        } else {
            let length = i32::try_from(elements.len()).unwrap_or(i32::MAX);
            vec![Dimension { length, lower: 1 }]
        };
        Self { element, dimensions, elements }
    }
}

impl Datum {
    /// Whether this is NULL.
    #[must_use]
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// A text value.
    #[must_use]
    pub fn text(text: impl Into<Arc<str>>) -> Self {
        Self::Text(text.into())
    }

    /// About how many bytes the value takes in memory, what it shares with others included.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let heap = match self {
            Self::Text(text) => text.len(),
            Self::Bytea(bytes) => bytes.len(),
            Self::Jsonb(jsonb) => jsonb.as_bytes().len(),
            Self::Numeric(numeric) => numeric.heap_bytes(),
            Self::Bits(bits) => bits.bytes().len(),
            Self::Array(array) => array.elements.iter().map(Self::memory_bytes).sum(),
            Self::Record(fields) => fields.iter().map(Self::memory_bytes).sum(),
            _ => 0,
        };
        size_of::<Self>() + heap
    }
}

/// Typed access for the implementations of functions, whose arguments the analyzer has typed.
///
/// Each panics if the datum is of another kind, NULL included: that would be an error of ours in
/// resolving the call, and strict functions never see NULL.
macro_rules! accessors {
    ($($(#[$doc:meta])* $name:ident: $variant:ident => $type:ty;)*) => {
        impl Datum {
            $($(#[$doc])*
            #[must_use]
            #[track_caller]
            pub fn $name(&self) -> $type {
                match self {
                    Self::$variant(value) => (*value).into(),
                    other => panic!(concat!("the analyzer typed this argument ", stringify!($variant), ", it is {:?}"), other),
                }
            })*
        }
    };
}

accessors! {
    /// The boolean.
    as_bool: Bool => bool;
    /// The `int2`.
    as_int2: Int2 => i16;
    /// The `int4`.
    as_int4: Int4 => i32;
    /// The `int8`.
    as_int8: Int8 => i64;
    /// The `float4`.
    as_float4: Float4 => f32;
    /// The `float8`.
    as_float8: Float8 => f64;
    /// The `"char"`.
    as_char: Char => u8;
    /// The `date`.
    as_date: Date => i32;
    /// The `time`.
    as_time: Time => i64;
    /// The `timestamp`.
    as_timestamp: Timestamp => i64;
    /// The `timestamptz`.
    as_timestamptz: Timestamptz => i64;
    /// The `interval`.
    as_interval: Interval => Interval;
    /// The `uuid`.
    as_uuid: Uuid => [u8; 16];
    /// The `oid` or reg type.
    as_oid: Oid => Oid;
}

macro_rules! borrowing_accessors {
    ($($(#[$doc:meta])* $name:ident: $variant:ident => $type:ty;)*) => {
        impl Datum {
            $($(#[$doc])*
            #[must_use]
            #[track_caller]
            pub fn $name(&self) -> &$type {
                match self {
                    Self::$variant(value) => value,
                    other => panic!(concat!("the analyzer typed this argument ", stringify!($variant), ", it is {:?}"), other),
                }
            })*
        }
    };
}

borrowing_accessors! {
    /// The `numeric`.
    as_numeric: Numeric => Numeric;
    /// The text of any of the textual types.
    as_text: Text => str;
    /// The `bytea`.
    as_bytea: Bytea => [u8];
    /// The `jsonb`.
    as_jsonb: Jsonb => Jsonb;
    /// The array.
    as_array: Array => Array;
    /// The bit string.
    as_bits: Bits => Bits;
    /// The fields of a record.
    as_record: Record => [Datum];
}
