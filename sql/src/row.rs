//! The row codec: all columns of a table's row in one value of its tree.
//!
//! ```text
//! ┌─────────┬──────────────────┬─────────────────────┬───────────────────┬────────────────┐
//! │ version │ null bitmap      │ fixed-width columns │ ends of variable  │ variable bytes │
//! │ u16     │ a bit a column,  │ in column order,    │ columns, u32 each,│ one after the  │
//! │         │ 1 = NULL         │ zeros where NULL    │ from the first    │ other          │
//! └─────────┴──────────────────┴─────────────────────┴───────────────────┴────────────────┘
//! ```
//!
//! All numbers are little-endian. The version says which columns the row carries: those whose
//! `since_version` is not above it. A column that is younger shows its `missing` value, so
//! `ADD COLUMN … DEFAULT` rewrites nothing. Columns are decoded one by one, without the others.
//!
//! A value of a user's type says itself what it is ([`self_describing`]): no catalog is asked here.

use std::sync::Arc;

use aegis_catalog::{Relation, TableBody};
use aegis_types::interval::Interval;
use aegis_types::jsonb::Jsonb;
use aegis_types::numeric::Numeric;
use aegis_types::{
    Datum, EvalContext, Oid, SqlError, SqlResult, TypeRef, io, self_describing, type_oid,
};

/// 2000-01-01 UTC, in microseconds since 1970.
pub const EPOCH_US: i64 = aegis_types::clock::POSTGRES_EPOCH_UNIX_SECONDS * 1_000_000;

/// How the rows of one table are laid out, for every version of them.
#[derive(Clone, Debug)]
pub struct RowLayout {
    columns: Vec<ColumnLayout>,
    versions: Vec<VersionLayout>,
    /// The column after whose time a row is not there any more, less one.
    expires: Option<usize>,
}

#[derive(Clone, Debug)]
struct ColumnLayout {
    ty: TypeRef,
    width: Option<usize>,
    missing: Option<Arc<[u8]>>,
    dropped: bool,
}

/// Where the columns of one row version lie.
#[derive(Clone, Debug)]
struct VersionLayout {
    column_count: usize,
    places: Vec<Place>,
    ends_start: usize,
    variable_start: usize,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    /// Byte offset from the start of the value.
    Fixed(usize),
    /// Ordinal among the variable columns.
    Variable(usize),
}

/// Bytes of a type whose values all take as many; `None` for the others.
#[must_use]
pub fn fixed_width(oid: Oid) -> Option<usize> {
    Some(match oid {
        type_oid::BOOL | type_oid::CHAR => 1,
        type_oid::INT2 => 2,
        type_oid::INT4 | type_oid::FLOAT4 | type_oid::DATE => 4,
        type_oid::INT8
        | type_oid::MONEY
        | type_oid::PG_LSN
        | type_oid::XID8
        | type_oid::TID
        | type_oid::MACADDR
        | type_oid::MACADDR8
        | type_oid::FLOAT8
        | type_oid::TIME
        | type_oid::TIMESTAMP
        | type_oid::TIMESTAMPTZ => 8,
        type_oid::TIMETZ => 12,
        type_oid::INTERVAL | type_oid::UUID => 16,
        _ if is_oid_like(oid) => 4,
        _ => return None,
    })
}

/// Whether values of the type are [`Datum::Oid`]s.
#[must_use]
pub fn is_oid_like(oid: Oid) -> bool {
    matches!(
        oid,
        type_oid::OID
            | type_oid::XID
            | type_oid::CID
            | type_oid::REGPROC
            | type_oid::REGPROCEDURE
            | type_oid::REGOPER
            | type_oid::REGOPERATOR
            | type_oid::REGCLASS
            | type_oid::REGTYPE
            | type_oid::REGROLE
            | type_oid::REGNAMESPACE
            | type_oid::REGCONFIG
            | type_oid::REGDICTIONARY
            | type_oid::REGCOLLATION
    )
}

impl RowLayout {
    /// The layout of a table's rows.
    ///
    /// # Panics
    /// If the relation is no table: whoever reads rows has one.
    #[must_use]
    pub fn new(relation: &Relation) -> Self {
        let table: &TableBody = relation.as_table().expect("only tables have rows");
        let columns: Vec<ColumnLayout> = relation
            .columns
            .iter()
            .map(|column| ColumnLayout {
                ty: column.ty,
                width: fixed_width(column.ty.oid),
                missing: column.missing.as_deref().map(Arc::from),
                dropped: column.dropped,
            })
            .collect();
        let versions = (0..=table.row_version)
            .map(|version| {
                let column_count = relation
                    .columns
                    .iter()
                    .take_while(|column| column.since_version <= version)
                    .count();
                VersionLayout::new(&columns[..column_count])
            })
            .collect();
        let expires = table.managed.as_ref().and_then(|managed| managed.expires);
        let expires = expires.and_then(|number| usize::try_from(number - 1).ok());
        Self { columns, versions, expires }
    }

    /// How many columns the table has ever had.
    #[must_use]
    pub fn column_count(&self) -> usize {
        self.columns.len()
    }

    /// Whether rows expire.
    #[must_use]
    pub const fn expires(&self) -> bool {
        self.expires.is_some()
    }

    /// Whether a stored row is still there at a time, in microseconds since 1970: that of the view
    /// which found it.
    ///
    /// # Errors
    /// XX001 for bytes that no version of this table wrote.
    pub fn is_there(&self, value: &[u8], time_us: i64) -> SqlResult<bool> {
        let Some(expires) = self.expires else { return Ok(true) };
        Ok(match self.decode_column(value, expires)? {
            Datum::Timestamptz(until) => until > time_us - EPOCH_US,
            _ => true,
        })
    }

    /// Where a column of fixed width lies in rows of the newest version, by its number less one.
    #[must_use]
    pub fn place_of(&self, column: usize) -> Option<usize> {
        match self.versions.last()?.places.get(column)? {
            Place::Fixed(offset) => Some(*offset),
            Place::Variable(_) => None,
        }
    }

    /// The type of a column, by its number less one.
    #[must_use]
    pub fn column_type(&self, column: usize) -> TypeRef {
        self.columns[column].ty
    }

    /// Encodes a row in the newest version: a datum for every column ever added; those of dropped
    /// columns are stored as NULL.
    ///
    /// # Errors
    /// 54000 for a row of 1 GiB or more.
    pub fn encode(&self, row: &[Datum], out: &mut Vec<u8>) -> SqlResult<()> {
        let version = self.versions.len() - 1;
        let layout = &self.versions[version];
        assert_eq!(row.len(), layout.column_count, "a row has a datum for every column");
        let base = out.len();
        out.extend_from_slice(&u16::try_from(version).unwrap_or(u16::MAX).to_le_bytes());
        out.resize(base + layout.variable_start, 0);
        for (at, datum) in row.iter().enumerate() {
            let column = &self.columns[at];
            let is_null = datum.is_null() || column.dropped;
            if is_null {
                out[base + 2 + at / 8] |= 1 << (at % 8);
            }
            match layout.places[at] {
                Place::Fixed(offset) if !is_null => {
                    let width = column.width.unwrap_or_default();
                    write_fixed(datum, &mut out[base + offset..base + offset + width]);
                }
                Place::Fixed(_) => {}
                Place::Variable(ordinal) => {
                    if !is_null {
                        write_variable(column.ty.oid, datum, out);
                    }
                    let end = out.len() - base - layout.variable_start;
                    let end =
                        u32::try_from(end).ok().filter(|end| *end < 1 << 30).ok_or_else(|| {
                            SqlError::new(
                                aegis_types::SqlState::ProgramLimitExceeded,
                                "row is too big: its size exceeds the maximum of 1 GiB",
                            )
                        })?;
                    let slot = base + layout.ends_start + ordinal * 4;
                    out[slot..slot + 4].copy_from_slice(&end.to_le_bytes());
                }
            }
        }
        Ok(())
    }

    /// The stored bytes of a column (by its number less one); `None` is NULL.
    ///
    /// # Errors
    /// XX001 for bytes that no version of this table wrote.
    pub fn raw<'a>(&'a self, value: &'a [u8], column: usize) -> SqlResult<Option<&'a [u8]>> {
        let version = value.get(..2).map(|bytes| u16::from_le_bytes([bytes[0], bytes[1]]));
        let layout = version
            .and_then(|version| self.versions.get(usize::from(version)))
            .ok_or_else(corrupted)?;
        if column >= layout.column_count {
            return Ok(self.columns[column].missing.as_deref());
        }
        let bitmap = value.get(2 + column / 8).ok_or_else(corrupted)?;
        if bitmap & (1 << (column % 8)) != 0 {
            return Ok(None);
        }
        let range = match layout.places[column] {
            Place::Fixed(offset) => offset..offset + self.columns[column].width.unwrap_or_default(),
            Place::Variable(ordinal) => {
                let end = |ordinal: usize| -> SqlResult<usize> {
                    let at = layout.ends_start + ordinal * 4;
                    let bytes = value.get(at..at + 4).ok_or_else(corrupted)?;
                    let end = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
                    Ok(layout.variable_start + end as usize)
                };
                let start = if ordinal == 0 { layout.variable_start } else { end(ordinal - 1)? };
                start..end(ordinal)?
            }
        };
        value.get(range).map(Some).ok_or_else(corrupted)
    }

    /// One column (by its number less one).
    ///
    /// # Errors
    /// XX001 for bytes that no version of this table wrote.
    pub fn decode_column(&self, value: &[u8], column: usize) -> SqlResult<Datum> {
        match self.raw(value, column)? {
            Some(bytes) => decode_datum(self.columns[column].ty, bytes),
            None => Ok(Datum::Null),
        }
    }

    /// All columns ever added, in the order of their numbers; dropped ones are NULL.
    ///
    /// # Errors
    /// XX001 for bytes that no version of this table wrote.
    pub fn decode(&self, value: &[u8]) -> SqlResult<Vec<Datum>> {
        (0..self.columns.len())
            .map(|column| {
                if self.columns[column].dropped {
                    Ok(Datum::Null)
                } else {
                    self.decode_column(value, column)
                }
            })
            .collect()
    }
}

impl VersionLayout {
    fn new(columns: &[ColumnLayout]) -> Self {
        let fixed_start = 2 + columns.len().div_ceil(8);
        let mut fixed_end = fixed_start;
        let mut variable_count = 0;
        let places = columns
            .iter()
            .map(|column| match column.width {
                Some(width) => {
                    fixed_end += width;
                    Place::Fixed(fixed_end - width)
                }
                None => {
                    variable_count += 1;
                    Place::Variable(variable_count - 1)
                }
            })
            .collect();
        Self {
            column_count: columns.len(),
            places,
            ends_start: fixed_end,
            variable_start: fixed_end + variable_count * 4,
        }
    }
}

fn corrupted() -> SqlError {
    SqlError::new(aegis_types::SqlState::DataCorrupted, "a stored row does not fit its table")
}

/// Encodes one value as a row stores it: what [`decode_datum`] reads.
pub fn encode_datum(ty: Oid, datum: &Datum, out: &mut Vec<u8>) {
    match fixed_width(ty) {
        Some(width) => {
            let start = out.len();
            out.resize(start + width, 0);
            write_fixed(datum, &mut out[start..]);
        }
        None => write_variable(ty, datum, out),
    }
}

fn write_fixed(datum: &Datum, out: &mut [u8]) {
    match datum {
        Datum::Bool(value) => out.copy_from_slice(&[u8::from(*value)]),
        Datum::Char(value) => out.copy_from_slice(&[*value]),
        Datum::Int2(value) => out.copy_from_slice(&value.to_le_bytes()),
        Datum::Int4(value) | Datum::Date(value) => out.copy_from_slice(&value.to_le_bytes()),
        Datum::Int8(value)
        | Datum::Time(value)
        | Datum::Timestamp(value)
        | Datum::Timestamptz(value) => out.copy_from_slice(&value.to_le_bytes()),
        Datum::Float4(value) => out.copy_from_slice(&value.to_le_bytes()),
        Datum::Float8(value) => out.copy_from_slice(&value.to_le_bytes()),
        Datum::Oid(value) => out.copy_from_slice(&value.0.to_le_bytes()),
        Datum::Uuid(value) => out.copy_from_slice(value),
        Datum::Timetz(time, zone) => {
            out[..8].copy_from_slice(&time.to_le_bytes());
            out[8..].copy_from_slice(&zone.to_le_bytes());
        }
        Datum::Interval(interval) => {
            out[..8].copy_from_slice(&interval.microseconds.to_le_bytes());
            out[8..12].copy_from_slice(&interval.days.to_le_bytes());
            out[12..].copy_from_slice(&interval.months.to_le_bytes());
        }
        other => panic!("the analyzer typed this column fixed-width, its value is {other:?}"),
    }
}

fn write_variable(ty: Oid, datum: &Datum, out: &mut Vec<u8>) {
    if ty.is_described_type() {
        return self_describing::write_any(datum, out);
    }
    match datum {
        Datum::Text(text) => out.extend_from_slice(text.as_bytes()),
        Datum::Bytea(bytes) => out.extend_from_slice(bytes),
        Datum::Numeric(numeric) => numeric.encode(out),
        Datum::Jsonb(jsonb) => out.extend_from_slice(jsonb.as_bytes()),
        other => {
            let settings = aegis_types::FormatSettings::default();
            io::binary_out(ty, other, &storage_context(&settings), out);
        }
    }
}

/// Stored forms depend on no session: default settings, no host.
fn storage_context(settings: &aegis_types::FormatSettings) -> EvalContext<'_> {
    EvalContext {
        settings,
        transaction_timestamp: 0,
        statement_timestamp: 0,
        host: &aegis_types::context::NoHost,
    }
}

/// Reads one stored value.
///
/// # Errors
/// XX001 for bytes that [`encode_datum`] did not write for this type.
pub fn decode_datum(ty: TypeRef, bytes: &[u8]) -> SqlResult<Datum> {
    fn array<const N: usize>(bytes: &[u8]) -> SqlResult<[u8; N]> {
        bytes.try_into().map_err(|_| corrupted())
    }
    Ok(match ty.oid {
        type_oid::BOOL => Datum::Bool(array::<1>(bytes)?[0] != 0),
        type_oid::CHAR => Datum::Char(array::<1>(bytes)?[0]),
        type_oid::INT2 => Datum::Int2(i16::from_le_bytes(array(bytes)?)),
        type_oid::INT4 => Datum::Int4(i32::from_le_bytes(array(bytes)?)),
        type_oid::INT8
        | type_oid::MONEY
        | type_oid::PG_LSN
        | type_oid::XID8
        | type_oid::TID
        | type_oid::MACADDR
        | type_oid::MACADDR8 => Datum::Int8(i64::from_le_bytes(array(bytes)?)),
        type_oid::FLOAT4 => Datum::Float4(f32::from_le_bytes(array(bytes)?)),
        type_oid::FLOAT8 => Datum::Float8(f64::from_le_bytes(array(bytes)?)),
        type_oid::DATE => Datum::Date(i32::from_le_bytes(array(bytes)?)),
        type_oid::TIME => Datum::Time(i64::from_le_bytes(array(bytes)?)),
        type_oid::TIMESTAMP => Datum::Timestamp(i64::from_le_bytes(array(bytes)?)),
        type_oid::TIMESTAMPTZ => Datum::Timestamptz(i64::from_le_bytes(array(bytes)?)),
        type_oid::UUID => Datum::Uuid(array(bytes)?),
        type_oid::TIMETZ => {
            let bytes: [u8; 12] = array(bytes)?;
            Datum::Timetz(
                i64::from_le_bytes(array(&bytes[..8])?),
                i32::from_le_bytes(array(&bytes[8..])?),
            )
        }
        type_oid::INTERVAL => {
            let bytes: [u8; 16] = array(bytes)?;
            Datum::Interval(Interval {
                microseconds: i64::from_le_bytes(array(&bytes[..8])?),
                days: i32::from_le_bytes(array(&bytes[8..12])?),
                months: i32::from_le_bytes(array(&bytes[12..])?),
            })
        }
        type_oid::TEXT
        | type_oid::VARCHAR
        | type_oid::BPCHAR
        | type_oid::NAME
        | type_oid::JSON
        | type_oid::JSONPATH
        | type_oid::UNKNOWN => Datum::text(std::str::from_utf8(bytes).map_err(|_| corrupted())?),
        type_oid::BYTEA | type_oid::INET | type_oid::CIDR => Datum::Bytea(bytes.into()),
        type_oid::NUMERIC => Datum::Numeric(Numeric::decode(bytes).map_err(|_| corrupted())?),
        type_oid::JSONB => Datum::Jsonb(Jsonb::from_bytes(bytes.into()).map_err(|_| corrupted())?),
        oid if is_oid_like(oid) => Datum::Oid(Oid(u32::from_le_bytes(array(bytes)?))),
        oid if oid.is_described_type() => {
            let mut rest = bytes;
            let datum = self_describing::read_any(&mut rest).filter(|_| rest.is_empty());
            datum.ok_or_else(corrupted)?
        }
        _ => {
            let settings = aegis_types::FormatSettings::default();
            io::binary_in(ty, bytes, &storage_context(&settings)).map_err(|_| corrupted())?
        }
    })
}

#[cfg(test)]
mod tests;
