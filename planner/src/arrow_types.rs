//! PostgreSQL's types as Arrow columns, and datums in and out of them.
//!
//! | types | Arrow |
//! |---|---|
//! | bool, integers, floats, oid and the reg types | Boolean, Int16 … Int64, Float32, Float64, UInt32 |
//! | text, varchar, bpchar, name, json | Utf8View |
//! | bytea, numeric, jsonb (their stored bytes) | BinaryView |
//! | date, time, timestamp, timestamptz | Date32, Time64, Timestamp, all in µs and days since 2000 |
//! | uuid | FixedSizeBinary(16) |
//! | everything else | BinaryView of a self-describing form, [`aegis_types::self_describing`] |
//!
//! Date and time values count from 2000-01-01 as datums do, so nothing here converts an epoch.

use std::sync::Arc;

use aegis_sql::row::{decode_datum, is_oid_like};
use aegis_types::jsonb::Jsonb;
use aegis_types::numeric::Numeric;
use aegis_types::self_describing::{read_any, write_any};
use aegis_types::{Datum, Oid, SqlError, SqlResult, TypeRef, type_oid};
use arrow::array::{
    Array, ArrayRef, BinaryViewArray, BinaryViewBuilder, BooleanArray, BooleanBuilder, Date32Array,
    Date32Builder, FixedSizeBinaryArray, FixedSizeBinaryBuilder, Float32Array, Float32Builder,
    Float64Array, Float64Builder, Int16Array, Int16Builder, Int32Array, Int32Builder, Int64Array,
    Int64Builder, RecordBatch, RecordBatchOptions, StringViewArray, StringViewBuilder,
    Time64MicrosecondArray, Time64MicrosecondBuilder, TimestampMicrosecondArray,
    TimestampMicrosecondBuilder, UInt32Array, UInt32Builder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

/// How the values of a type lie in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Oid,
    Text,
    Bytea,
    Date,
    Time,
    Timestamp,
    Timestamptz,
    Uuid,
    Numeric,
    Jsonb,
    Any,
}

/// The kind of a type.
pub(crate) fn kind(oid: Oid) -> Kind {
    match oid {
        type_oid::BOOL => Kind::Bool,
        type_oid::INT2 => Kind::Int2,
        type_oid::INT4 => Kind::Int4,
        type_oid::INT8
        | type_oid::MONEY
        | type_oid::PG_LSN
        | type_oid::XID8
        | type_oid::TID
        | type_oid::MACADDR
        | type_oid::MACADDR8 => Kind::Int8,
        type_oid::FLOAT4 => Kind::Float4,
        type_oid::FLOAT8 => Kind::Float8,
        type_oid::TEXT
        | type_oid::VARCHAR
        | type_oid::BPCHAR
        | type_oid::NAME
        | type_oid::JSON
        | type_oid::JSONPATH
        | type_oid::UNKNOWN
        | type_oid::CSTRING => Kind::Text,
        type_oid::BYTEA => Kind::Bytea,
        type_oid::DATE => Kind::Date,
        type_oid::TIME => Kind::Time,
        type_oid::TIMESTAMP => Kind::Timestamp,
        type_oid::TIMESTAMPTZ => Kind::Timestamptz,
        type_oid::UUID => Kind::Uuid,
        type_oid::NUMERIC => Kind::Numeric,
        type_oid::JSONB => Kind::Jsonb,
        oid if is_oid_like(oid) => Kind::Oid,
        _ => Kind::Any,
    }
}

/// Whether Arrow orders and compares values of the type as PostgreSQL does.
pub(crate) fn has_native_order(oid: Oid) -> bool {
    oid != type_oid::BPCHAR
        && !matches!(
            kind(oid),
            Kind::Float4 | Kind::Float8 | Kind::Numeric | Kind::Jsonb | Kind::Any
        )
}

/// The Arrow type of a type's columns.
pub(crate) fn data_type(oid: Oid) -> DataType {
    match kind(oid) {
        Kind::Bool => DataType::Boolean,
        Kind::Int2 => DataType::Int16,
        Kind::Int4 => DataType::Int32,
        Kind::Int8 => DataType::Int64,
        Kind::Float4 => DataType::Float32,
        Kind::Float8 => DataType::Float64,
        Kind::Oid => DataType::UInt32,
        Kind::Text => DataType::Utf8View,
        Kind::Date => DataType::Date32,
        Kind::Time => DataType::Time64(TimeUnit::Microsecond),
        Kind::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
        Kind::Timestamptz => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        Kind::Uuid => DataType::FixedSizeBinary(16),
        Kind::Bytea | Kind::Numeric | Kind::Jsonb | Kind::Any => DataType::BinaryView,
    }
}

/// The schema of columns of these types; they have places, not names.
pub(crate) fn schema(types: &[TypeRef]) -> SchemaRef {
    let fields: Vec<Field> = types
        .iter()
        .enumerate()
        .map(|(at, ty)| Field::new(format!("c{at}"), data_type(ty.oid), true))
        .collect();
    Arc::new(Schema::new(fields))
}

/// Fills one column.
pub(crate) enum ColumnBuilder {
    Bool(BooleanBuilder),
    Int2(Int16Builder),
    Int4(Int32Builder),
    Int8(Int64Builder),
    Float4(Float32Builder),
    Float8(Float64Builder),
    Oid(UInt32Builder),
    Text(StringViewBuilder),
    Date(Date32Builder),
    Time(Time64MicrosecondBuilder),
    Timestamp(TimestampMicrosecondBuilder),
    Uuid(FixedSizeBinaryBuilder),
    Bytes { kind: Kind, ty: TypeRef, builder: BinaryViewBuilder, scratch: Vec<u8> },
}

impl ColumnBuilder {
    pub(crate) fn new(ty: TypeRef) -> Self {
        match kind(ty.oid) {
            Kind::Bool => Self::Bool(BooleanBuilder::new()),
            Kind::Int2 => Self::Int2(Int16Builder::new()),
            Kind::Int4 => Self::Int4(Int32Builder::new()),
            Kind::Int8 => Self::Int8(Int64Builder::new()),
            Kind::Float4 => Self::Float4(Float32Builder::new()),
            Kind::Float8 => Self::Float8(Float64Builder::new()),
            Kind::Oid => Self::Oid(UInt32Builder::new()),
            Kind::Text => Self::Text(StringViewBuilder::new()),
            Kind::Date => Self::Date(Date32Builder::new()),
            Kind::Time => Self::Time(Time64MicrosecondBuilder::new()),
            Kind::Timestamp | Kind::Timestamptz => Self::Timestamp(
                TimestampMicrosecondBuilder::new().with_data_type(data_type(ty.oid)),
            ),
            Kind::Uuid => Self::Uuid(FixedSizeBinaryBuilder::new(16)),
            kind => {
                Self::Bytes { kind, ty, builder: BinaryViewBuilder::new(), scratch: Vec::new() }
            }
        }
    }

    /// Appends a datum of the column's type.
    pub(crate) fn push(&mut self, datum: &Datum) -> SqlResult<()> {
        match (self, datum) {
            (Self::Bool(builder), Datum::Bool(value)) => builder.append_value(*value),
            (Self::Int2(builder), Datum::Int2(value)) => builder.append_value(*value),
            (Self::Int4(builder), Datum::Int4(value)) => builder.append_value(*value),
            (Self::Int8(builder), Datum::Int8(value)) => builder.append_value(*value),
            (Self::Float4(builder), Datum::Float4(value)) => builder.append_value(*value),
            (Self::Float8(builder), Datum::Float8(value)) => builder.append_value(*value),
            (Self::Oid(builder), Datum::Oid(value)) => builder.append_value(value.0),
            (Self::Text(builder), Datum::Text(value)) => builder.append_value(value),
            (Self::Date(builder), Datum::Date(value)) => builder.append_value(*value),
            (Self::Time(builder), Datum::Time(value)) => builder.append_value(*value),
            (Self::Timestamp(builder), Datum::Timestamp(value) | Datum::Timestamptz(value)) => {
                builder.append_value(*value)
            }
            (Self::Uuid(builder), Datum::Uuid(value)) => {
                builder.append_value(value).map_err(|error| mismatch(&error))?;
            }
            (Self::Bytes { builder, .. }, Datum::Null) => builder.append_null(),
            (Self::Bytes { kind, builder, scratch, .. }, datum) => {
                scratch.clear();
                match (*kind, datum) {
                    (Kind::Bytea, Datum::Bytea(bytes)) => scratch.extend_from_slice(bytes),
                    (Kind::Numeric, Datum::Numeric(numeric)) => numeric.encode(scratch),
                    (Kind::Jsonb, Datum::Jsonb(jsonb)) => {
                        scratch.extend_from_slice(jsonb.as_bytes());
                    }
                    (Kind::Any, datum) => write_any(datum, scratch),
                    (kind, other) => return Err(mismatch(&format!("{kind:?} is {other:?}"))),
                }
                builder.append_value(&scratch);
            }
            (builder, Datum::Null) => builder.push_null(),
            (_, other) => return Err(mismatch(&format!("{other:?}"))),
        }
        Ok(())
    }

    fn push_null(&mut self) {
        match self {
            Self::Bool(builder) => builder.append_null(),
            Self::Int2(builder) => builder.append_null(),
            Self::Int4(builder) => builder.append_null(),
            Self::Int8(builder) => builder.append_null(),
            Self::Float4(builder) => builder.append_null(),
            Self::Float8(builder) => builder.append_null(),
            Self::Oid(builder) => builder.append_null(),
            Self::Text(builder) => builder.append_null(),
            Self::Date(builder) => builder.append_null(),
            Self::Time(builder) => builder.append_null(),
            Self::Timestamp(builder) => builder.append_null(),
            Self::Uuid(builder) => builder.append_null(),
            Self::Bytes { builder, .. } => builder.append_null(),
        }
    }

    /// Appends a value in the bytes that [`aegis_sql::row`] stores.
    ///
    /// # Errors
    /// XX001 for bytes that are no value of the type.
    pub(crate) fn push_stored(&mut self, stored: Option<&[u8]>) -> SqlResult<()> {
        fn fixed<const N: usize>(bytes: &[u8]) -> SqlResult<[u8; N]> {
            bytes.try_into().map_err(|_| corrupted())
        }
        let Some(bytes) = stored else {
            self.push_null();
            return Ok(());
        };
        match self {
            Self::Bool(builder) => builder.append_value(fixed::<1>(bytes)?[0] != 0),
            Self::Int2(builder) => builder.append_value(i16::from_le_bytes(fixed(bytes)?)),
            Self::Int4(builder) => builder.append_value(i32::from_le_bytes(fixed(bytes)?)),
            Self::Int8(builder) => builder.append_value(i64::from_le_bytes(fixed(bytes)?)),
            Self::Float4(builder) => builder.append_value(f32::from_le_bytes(fixed(bytes)?)),
            Self::Float8(builder) => builder.append_value(f64::from_le_bytes(fixed(bytes)?)),
            Self::Oid(builder) => builder.append_value(u32::from_le_bytes(fixed(bytes)?)),
            Self::Text(builder) => {
                builder.append_value(std::str::from_utf8(bytes).map_err(|_| corrupted())?);
            }
            Self::Date(builder) => builder.append_value(i32::from_le_bytes(fixed(bytes)?)),
            Self::Time(builder) => builder.append_value(i64::from_le_bytes(fixed(bytes)?)),
            Self::Timestamp(builder) => builder.append_value(i64::from_le_bytes(fixed(bytes)?)),
            Self::Uuid(builder) => {
                builder.append_value(bytes).map_err(|_| corrupted())?;
            }
            Self::Bytes { kind: Kind::Any, ty, builder, scratch } => {
                scratch.clear();
                write_any(&decode_datum(*ty, bytes)?, scratch);
                builder.append_value(&scratch);
            }
            Self::Bytes { builder, .. } => builder.append_value(bytes),
        }
        Ok(())
    }

    pub(crate) fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Bool(builder) => Arc::new(builder.finish()),
            Self::Int2(builder) => Arc::new(builder.finish()),
            Self::Int4(builder) => Arc::new(builder.finish()),
            Self::Int8(builder) => Arc::new(builder.finish()),
            Self::Float4(builder) => Arc::new(builder.finish()),
            Self::Float8(builder) => Arc::new(builder.finish()),
            Self::Oid(builder) => Arc::new(builder.finish()),
            Self::Text(builder) => Arc::new(builder.finish()),
            Self::Date(builder) => Arc::new(builder.finish()),
            Self::Time(builder) => Arc::new(builder.finish()),
            Self::Timestamp(builder) => Arc::new(builder.finish()),
            Self::Uuid(builder) => Arc::new(builder.finish()),
            Self::Bytes { builder, .. } => Arc::new(builder.finish()),
        }
    }
}

/// Reads one column.
pub(crate) enum ColumnReader<'a> {
    Bool(&'a BooleanArray),
    Int2(&'a Int16Array),
    Int4(&'a Int32Array),
    Int8(&'a Int64Array),
    Float4(&'a Float32Array),
    Float8(&'a Float64Array),
    Oid(&'a UInt32Array),
    Text(&'a StringViewArray),
    Date(&'a Date32Array),
    Time(&'a Time64MicrosecondArray),
    Timestamp(&'a TimestampMicrosecondArray, bool),
    Uuid(&'a FixedSizeBinaryArray),
    Bytes(&'a BinaryViewArray, Kind),
}

impl<'a> ColumnReader<'a> {
    /// # Panics
    /// If the column is of another Arrow type: our own nodes made it.
    pub(crate) fn new(array: &'a ArrayRef, ty: TypeRef) -> Self {
        fn cast<T: 'static>(array: &ArrayRef) -> &T {
            array.as_any().downcast_ref().expect("columns are of the Arrow type of their SQL type")
        }
        match kind(ty.oid) {
            Kind::Bool => Self::Bool(cast(array)),
            Kind::Int2 => Self::Int2(cast(array)),
            Kind::Int4 => Self::Int4(cast(array)),
            Kind::Int8 => Self::Int8(cast(array)),
            Kind::Float4 => Self::Float4(cast(array)),
            Kind::Float8 => Self::Float8(cast(array)),
            Kind::Oid => Self::Oid(cast(array)),
            Kind::Text => Self::Text(cast(array)),
            Kind::Date => Self::Date(cast(array)),
            Kind::Time => Self::Time(cast(array)),
            Kind::Timestamp => Self::Timestamp(cast(array), false),
            Kind::Timestamptz => Self::Timestamp(cast(array), true),
            Kind::Uuid => Self::Uuid(cast(array)),
            kind => Self::Bytes(cast(array), kind),
        }
    }

    fn array(&self) -> &dyn Array {
        match self {
            Self::Bool(array) => *array,
            Self::Int2(array) => *array,
            Self::Int4(array) => *array,
            Self::Int8(array) => *array,
            Self::Float4(array) => *array,
            Self::Float8(array) => *array,
            Self::Oid(array) => *array,
            Self::Text(array) => *array,
            Self::Date(array) => *array,
            Self::Time(array) => *array,
            Self::Timestamp(array, _) => *array,
            Self::Uuid(array) => *array,
            Self::Bytes(array, _) => *array,
        }
    }

    /// The value in a row.
    ///
    /// # Panics
    /// On bytes that our own columns do not hold.
    pub(crate) fn get(&self, row: usize) -> Datum {
        if self.array().is_null(row) {
            return Datum::Null;
        }
        match self {
            Self::Bool(array) => Datum::Bool(array.value(row)),
            Self::Int2(array) => Datum::Int2(array.value(row)),
            Self::Int4(array) => Datum::Int4(array.value(row)),
            Self::Int8(array) => Datum::Int8(array.value(row)),
            Self::Float4(array) => Datum::Float4(array.value(row)),
            Self::Float8(array) => Datum::Float8(array.value(row)),
            Self::Oid(array) => Datum::Oid(Oid(array.value(row))),
            Self::Text(array) => Datum::text(array.value(row)),
            Self::Date(array) => Datum::Date(array.value(row)),
            Self::Time(array) => Datum::Time(array.value(row)),
            Self::Timestamp(array, false) => Datum::Timestamp(array.value(row)),
            Self::Timestamp(array, true) => Datum::Timestamptz(array.value(row)),
            Self::Uuid(array) => {
                Datum::Uuid(array.value(row).try_into().expect("the column's width is 16"))
            }
            Self::Bytes(array, kind) => {
                let bytes = array.value(row);
                match kind {
                    Kind::Bytea => Datum::Bytea(bytes.into()),
                    Kind::Numeric => Datum::Numeric(
                        Numeric::decode(bytes).expect("the column holds encoded numerics"),
                    ),
                    Kind::Jsonb => Datum::Jsonb(
                        Jsonb::from_bytes(bytes.into()).expect("the column holds encoded jsonb"),
                    ),
                    _ => read_any(&mut &*bytes).expect("the column holds what write_any wrote"),
                }
            }
        }
    }
}

/// Readers of all columns of a batch.
pub(crate) fn readers<'a>(batch: &'a RecordBatch, types: &[TypeRef]) -> Vec<ColumnReader<'a>> {
    batch.columns().iter().zip(types).map(|(array, ty)| ColumnReader::new(array, *ty)).collect()
}

/// Every row of a batch.
pub(crate) fn rows_of(batch: &RecordBatch, types: &[TypeRef]) -> Vec<Vec<Datum>> {
    let readers = readers(batch, types);
    (0..batch.num_rows())
        .map(|row| readers.iter().map(|reader| reader.get(row)).collect())
        .collect()
}

/// A batch of rows.
///
/// # Errors
/// XX000 for a datum that is not of its column's type.
pub(crate) fn batch_of(
    schema: &SchemaRef,
    types: &[TypeRef],
    rows: &[Vec<Datum>],
) -> SqlResult<RecordBatch> {
    let columns = types
        .iter()
        .enumerate()
        .map(|(at, ty)| {
            let mut builder = ColumnBuilder::new(*ty);
            for row in rows {
                builder.push(&row[at])?;
            }
            Ok(builder.finish())
        })
        .collect::<SqlResult<Vec<_>>>()?;
    new_batch(schema, columns, rows.len())
}

/// One datum as a column of so many rows.
pub(crate) fn constant(ty: TypeRef, value: &Datum, rows: usize) -> SqlResult<ArrayRef> {
    let mut builder = ColumnBuilder::new(ty);
    for _ in 0..rows {
        builder.push(value)?;
    }
    Ok(builder.finish())
}

/// A batch of finished columns.
pub(crate) fn new_batch(
    schema: &SchemaRef,
    columns: Vec<ArrayRef>,
    rows: usize,
) -> SqlResult<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options)
        .map_err(|error| mismatch(&error))
}

fn mismatch(what: &dyn std::fmt::Display) -> SqlError {
    SqlError::internal(format!("a column does not take its value: {what}"))
}

fn corrupted() -> SqlError {
    SqlError::new(aegis_types::SqlState::DataCorrupted, "a stored row does not fit its table")
}
