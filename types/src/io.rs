//! Text and binary forms of every type, both ways, by the type's OID.
//!
//! ```text
//!                  text_in ──►         ◄── binary_in
//! 'text' of SQL                Datum                  bytes of a Bind or a COPY
//!                ◄── text_out          binary_out ──►
//! ```
//!
//! Output goes by the datum and asks for the type only where one datum serves several (reg types,
//! `int2vector`); it appends to the caller's buffer and cannot fail. Types that only a catalog knows
//! (enums and arrays over them) are asked of the host.

use crate::bits::Bits;
use crate::builtin::builtins;
use crate::context::EvalContext;
use crate::datum::{Array, Datum, Dimension};
use crate::error::{SqlError, SqlResult};
use crate::integer::{invalid_syntax, is_space};
use crate::jsonb::Jsonb;
use crate::jsonpath::Path as JsonPath;
use crate::network::{self, Network};
use crate::numeric::Numeric;
use crate::oid::{Oid, TypeRef};
use crate::sqlstate::SqlState;
use crate::user_type::{UserType, label_at, label_named};
use crate::{
    bits, bytea, datetime, float, geometry, hardware, integer, interval, json, money, position,
    text, type_oid as t, uuid,
};

pub mod array;
pub mod record;
mod temporal;

/// The message of 22P03 where a value has bytes left over; the protocol adds which parameter.
pub const INCORRECT_BINARY_FORMAT: &str = "incorrect binary data format";

/// The element type of an array type of PostgreSQL's own.
#[must_use]
pub fn element_type(array_oid: Oid) -> Option<Oid> {
    let row = builtins().type_row(array_oid)?;
    let is_array = row.category == b'A' || array_oid == t::RECORD_ARRAY;
    (is_array && row.length == -1 && row.element.is_some()).then_some(row.element)
}

/// The array type over a type of PostgreSQL's own.
#[must_use]
pub fn array_type(element: Oid) -> Option<Oid> {
    builtins().type_row(element).map(|row| row.array).filter(|array| array.is_some())
}

fn delimiter(element: Oid) -> u8 {
    builtins().type_row(element).map_or(b',', |row| row.delimiter)
}

/// The name of a type of PostgreSQL's own for messages: `pg_type.typname`.
fn type_name(oid: Oid) -> &'static str {
    builtins().type_row(oid).map_or("???", |row| row.name)
}

/// Reads a value's text form as the type's input function does, its modifier applied as in an
/// assignment.
///
/// # Errors
/// 22P02, 22003, 22001, 22007, 22008 and whatever else the type's input raises; 0A000 for a type
/// that is not known here.
pub fn text_in(type_ref: TypeRef, text: &str, ctx: &EvalContext<'_>) -> SqlResult<Datum> {
    Ok(match type_ref.oid {
        t::BOOL => Datum::Bool(parse_bool(text)?),
        t::INT2 => Datum::Int2(integer::parse_int2(text)?),
        t::INT4 => Datum::Int4(integer::parse_int4(text)?),
        t::INT8 => Datum::Int8(integer::parse_int8(text)?),
        t::FLOAT4 => Datum::Float4(float::parse_float4(text)?),
        t::FLOAT8 => Datum::Float8(float::parse_float8(text)?),
        t::TEXT | t::UNKNOWN | t::CSTRING => Datum::text(text),
        t::VARCHAR => Datum::text(text::coerce_varchar(text, type_ref.typmod, false)?),
        t::BPCHAR => Datum::text(text::coerce_bpchar(text, type_ref.typmod, false)?),
        t::NAME => Datum::text(text::truncate_name(text)),
        t::CHAR => Datum::Char(text::parse_char(text)),
        t::BYTEA => Datum::Bytea(bytea::parse(text)?.into()),
        t::UUID => Datum::Uuid(uuid::parse(text)?),
        t::INET | t::CIDR => {
            let value = network::parse(text, type_ref.oid == t::CIDR)?;
            Datum::Bytea(value.to_bytes().into())
        }
        t::MONEY => Datum::Int8(money::parse(text)?),
        t::PG_LSN => Datum::Int8(position::to_signed(position::parse_lsn(text)?)),
        t::XID8 => Datum::Int8(position::to_signed(position::parse_xid8(text))),
        t::TID => {
            let (block, offset) = position::parse_tid(text)?;
            Datum::Int8(position::from_tid(block, offset))
        }
        t::MACADDR => Datum::Int8(hardware::parse_six(text)?),
        t::MACADDR8 => Datum::Int8(hardware::from_eight(hardware::parse_eight(text)?)),
        t::POINT => {
            let (x, y) = geometry::parse_point(text)?;
            geometry::point(x, y)
        }
        t::BIT => Datum::Bits(bits::parse(text)?.coerced_bit(type_ref.typmod, false)?.into()),
        t::VARBIT => Datum::Bits(bits::parse(text)?.coerced_varbit(type_ref.typmod, false)?.into()),
        t::OID => Datum::Oid(Oid(integer::parse_oid(text)?)),
        t::XID | t::CID => Datum::Oid(Oid(integer::parse_xid(text))),
        t::VOID => Datum::text(""),
        t::INT2VECTOR | t::OIDVECTOR => vector_in(type_ref.oid, text)?,
        t::NUMERIC => Datum::Numeric(Numeric::parse(text)?.apply_typmod(type_ref.typmod)?),
        t::DATE => Datum::Date(datetime::date_in(text, ctx)?),
        t::TIME => Datum::Time(datetime::time_in(text, type_ref.typmod, ctx)?),
        t::TIMETZ => {
            let (time, zone) = datetime::timetz_in(text, type_ref.typmod, ctx)?;
            Datum::Timetz(time, zone)
        }
        t::TIMESTAMP => Datum::Timestamp(datetime::timestamp_in(text, type_ref.typmod, ctx)?),
        t::TIMESTAMPTZ => Datum::Timestamptz(datetime::timestamptz_in(text, type_ref.typmod, ctx)?),
        t::INTERVAL => Datum::Interval(interval::interval_in(text, type_ref.typmod, ctx)?),
        t::JSON => {
            json::validate(text)?;
            Datum::text(text)
        }
        t::JSONB => Datum::Jsonb(Jsonb::parse(text)?),
        t::JSONPATH => Datum::text(JsonPath::parse(text)?.stored()),
        t::RECORD => return Err(anonymous_record()),
        t::ACLITEM => Datum::text(crate::access_item::read(text, ctx)?),
        oid if is_reg_type(oid) => Datum::Oid(ctx.host.reg_in(oid, text)?),
        oid => match element_type(oid) {
            Some(element) => {
                let element_ref = TypeRef::with_typmod(element, type_ref.typmod);
                let mut read = |text: &str| text_in(element_ref, text, ctx);
                Datum::Array(array::parse(text, element, delimiter(element), &mut read)?.into())
            }
            None => return user_text_in(type_ref, text, ctx),
        },
    })
}

/// Reads the text form of a type that users defined.
fn user_text_in(type_ref: TypeRef, text: &str, ctx: &EvalContext<'_>) -> SqlResult<Datum> {
    match ctx.host.user_type(type_ref.oid) {
        Some(UserType::Enum(labels)) => {
            let label = label_named(&labels, type_ref.oid, text, ctx.host)?;
            Ok(Datum::Enum(type_ref.oid, label.place))
        }
        Some(UserType::Array(element)) => {
            let element_ref = TypeRef::with_typmod(element, type_ref.typmod);
            let mut read = |text: &str| text_in(element_ref, text, ctx);
            Ok(Datum::Array(array::parse(text, element, delimiter(element), &mut read)?.into()))
        }
        Some(UserType::Domain(base)) => {
            let value = text_in(base, text, ctx)?;
            ctx.host.check_domain(type_ref.oid, &value, ctx)?;
            Ok(value)
        }
        None => match ctx.host.record_fields(type_ref) {
            Some(fields) => {
                let texts = record::parse(text, fields.len())?;
                let values = texts.iter().zip(fields.iter()).map(|(text, (_, field))| match text {
                    Some(text) => text_in(*field, text, ctx),
                    None => absent_field(*field, ctx),
                });
                Ok(Datum::composite(type_ref.oid, values.collect::<SqlResult<_>>()?))
            }
            None => Err(unsupported_type(type_ref.oid, "input")),
        },
    }
}

/// NULL in a field, which a domain may refuse.
fn absent_field(type_ref: TypeRef, ctx: &EvalContext<'_>) -> SqlResult<Datum> {
    if type_ref.oid.is_described_type()
        && let Some(UserType::Domain(_)) = ctx.host.user_type(type_ref.oid)
    {
        ctx.host.check_domain(type_ref.oid, &Datum::Null, ctx)?;
    }
    Ok(Datum::Null)
}

/// Reads the binary form of a type that users defined.
fn user_binary_in(type_ref: TypeRef, bytes: &[u8], ctx: &EvalContext<'_>) -> SqlResult<Datum> {
    match ctx.host.user_type(type_ref.oid) {
        Some(UserType::Enum(labels)) => {
            let text = text::from_utf8(bytes)?;
            let label = label_named(&labels, type_ref.oid, text, ctx.host)?;
            Ok(Datum::Enum(type_ref.oid, label.place))
        }
        Some(UserType::Array(element)) => {
            let element_ref = TypeRef::with_typmod(element, type_ref.typmod);
            let mut receive = |bytes: &[u8]| binary_in(element_ref, bytes, ctx);
            Ok(Datum::Array(array::receive(bytes, element, &mut receive)?.into()))
        }
        Some(UserType::Domain(base)) => {
            let value = binary_in(base, bytes, ctx)?;
            ctx.host.check_domain(type_ref.oid, &value, ctx)?;
            Ok(value)
        }
        None => match ctx.host.record_fields(type_ref) {
            Some(fields) => {
                let types: Vec<TypeRef> = fields.iter().map(|(_, field)| *field).collect();
                let shown = |oid: Oid| ctx.host.reg_out(t::REGTYPE, oid);
                let received = record::receive(bytes, &types, &shown)?;
                let values = received.into_iter().zip(&types).map(|(bytes, field)| match bytes {
                    Some(bytes) => binary_in(*field, bytes, ctx),
                    None => absent_field(*field, ctx),
                });
                Ok(Datum::composite(type_ref.oid, values.collect::<SqlResult<_>>()?))
            }
            None => Err(unsupported_type(type_ref.oid, "binary input")),
        },
    }
}

/// Appends the text of an enum's label, which is its binary form too.
fn enum_out(type_oid: Oid, place: u64, ctx: &EvalContext<'_>, out: &mut Vec<u8>) {
    let shape = ctx.host.user_type(type_oid);
    let name = match &shape {
        Some(UserType::Enum(labels)) => label_at(labels, place).map(|label| &label.name),
        _ => None,
    };
    match name {
        Some(name) => out.extend_from_slice(name.as_bytes()),
        // Nobody knows the type any more: its number says more than nothing.
        None => out.extend_from_slice(place.to_string().as_bytes()),
    }
}

fn unsupported_type(oid: Oid, what: &str) -> SqlError {
    SqlError::unsupported(format_args!("{what} of type {}", type_name(oid)))
}

fn anonymous_record() -> SqlError {
    SqlError::new(
        SqlState::FeatureNotSupported,
        "input of anonymous composite types is not implemented",
    )
}

/// Whether the type is one of those whose numbers stand for names of catalog objects.
#[must_use]
pub fn is_reg_type(oid: Oid) -> bool {
    matches!(
        oid,
        t::REGPROC
            | t::REGPROCEDURE
            | t::REGOPER
            | t::REGOPERATOR
            | t::REGCLASS
            | t::REGTYPE
            | t::REGROLE
            | t::REGNAMESPACE
            | t::REGCONFIG
            | t::REGDICTIONARY
            | t::REGCOLLATION
    )
}

/// Reads a boolean: a unique prefix of true, false, yes, no, on, off, or 1, or 0.
///
/// # Errors
/// 22P02.
pub fn parse_bool(text: &str) -> SqlResult<bool> {
    let word = text.trim_matches(|character: char| u8::try_from(character).is_ok_and(is_space));
    let prefixes = |whole: &str, least: usize| {
        word.len() >= least
            && word.len() <= whole.len()
            && whole.as_bytes()[..word.len()].eq_ignore_ascii_case(word.as_bytes())
    };
    if prefixes("true", 1) || prefixes("yes", 1) || prefixes("on", 2) || word == "1" {
        Ok(true)
    } else if prefixes("false", 1) || prefixes("no", 1) || prefixes("off", 2) || word == "0" {
        Ok(false)
    } else {
        Err(invalid_syntax("boolean", text))
    }
}

/// `int2vector` and `oidvector`: numbers between blanks, subscripts from 0. Errors show all that
/// has not been read.
fn vector_in(oid: Oid, text: &str) -> SqlResult<Datum> {
    let blank = |character: char| u8::try_from(character).is_ok_and(is_space);
    let (element, name) =
        if oid == t::INT2VECTOR { (t::INT2, "smallint") } else { (t::OID, "oid") };
    let mut elements = Vec::new();
    let mut rest = text.trim_start_matches(blank);
    while !rest.is_empty() {
        let end = if element == t::INT2 {
            rest.find(blank).unwrap_or(rest.len())
        } else {
            // No blank is needed where a digit could not go on.
            let sign = usize::from(rest.starts_with(['+', '-']));
            sign + rest[sign..].bytes().take_while(u8::is_ascii_digit).count()
        };
        let number = &rest[..end];
        let value = if element == t::INT2 {
            integer::parse_int2(number).map(Datum::Int2)
        } else {
            integer::parse_oid(number).map(|value| Datum::Oid(Oid(value)))
        };
        elements.push(value.map_err(|error| match error.code() {
            SqlState::NumericValueOutOfRange => integer::value_out_of_range(name, rest),
            _ => invalid_syntax(name, rest),
        })?);
        rest = rest[end..].trim_start_matches(blank);
    }
    Ok(Datum::Array(vector(element, elements).into()))
}

/// A one-dimensional array whose subscripts begin with 0.
fn vector(element: Oid, elements: Vec<Datum>) -> Array {
    let mut array = Array::one_dimensional(element, elements);
    for dimension in &mut array.dimensions {
        dimension.lower = 0;
    }
    array
}

/// The type by which a value is written: of a domain, the one beneath, where that matters.
fn shown_type(type_oid: Oid, value: &Datum, ctx: &EvalContext<'_>) -> Oid {
    let several = matches!(
        value,
        Datum::Bytea(_) | Datum::Oid(_) | Datum::Int8(_) | Datum::Text(_) | Datum::Array(_)
    );
    if !type_oid.is_described_type() || !several {
        return type_oid;
    }
    match ctx.host.user_type(type_oid) {
        Some(UserType::Domain(base)) => shown_type(base.oid, value, ctx),
        _ => type_oid,
    }
}

/// Appends a value's text form, as the type's output function makes it; nothing for NULL.
pub fn text_out(type_oid: Oid, value: &Datum, ctx: &EvalContext<'_>, out: &mut Vec<u8>) {
    let type_oid = shown_type(type_oid, value, ctx);
    match value {
        Datum::Null => {}
        Datum::Bool(value) => out.push(if *value { b't' } else { b'f' }),
        Datum::Int2(value) => integer::write_integer(i64::from(*value), out),
        Datum::Int4(value) => integer::write_integer(i64::from(*value), out),
        Datum::Int8(value) => long_out(type_oid, *value, out),
        Datum::Text(value) if type_oid == t::JSONPATH => {
            out.extend_from_slice(shown_path(value).as_bytes());
        }
        Datum::Text(value) => out.extend_from_slice(value.as_bytes()),
        Datum::Float4(value) => float::write_float4(*value, ctx.settings.extra_float_digits, out),
        Datum::Float8(value) => float::write_float8(*value, ctx.settings.extra_float_digits, out),
        Datum::Bytea(value) => match network_value(type_oid, value) {
            Some(network) => {
                out.extend_from_slice(network.text(type_oid == t::CIDR).as_bytes());
            }
            None => bytea::write(value, ctx.settings.bytea_output, out),
        },
        Datum::Char(value) => text::write_char(*value, out),
        Datum::Uuid(value) => uuid::write(value, out),
        Datum::Oid(value) if is_reg_type(type_oid) => {
            out.extend_from_slice(ctx.host.reg_out(type_oid, *value).as_bytes());
        }
        Datum::Oid(value) => integer::write_integer(i64::from(value.0), out),
        Datum::Array(array) if matches!(type_oid, t::INT2VECTOR | t::OIDVECTOR) => {
            for (at, element) in array.elements.iter().enumerate() {
                if at > 0 {
                    out.push(b' ');
                }
                text_out(array.element, element, ctx, out);
            }
        }
        Datum::Array(array) => {
            let mut write = |value: &Datum, out: &mut Vec<u8>| {
                text_out(array.element, value, ctx, out);
            };
            array::write(array, delimiter(array.element), &mut write, out);
        }
        Datum::Numeric(value) => value.write_text(out),
        Datum::Date(value) => datetime::date_out(*value, ctx.settings, out),
        Datum::Time(value) => datetime::time_out(*value, out),
        Datum::Timetz(time, zone) => datetime::timetz_out(*time, *zone, out),
        Datum::Timestamp(value) => datetime::timestamp_out(*value, ctx.settings, out),
        Datum::Timestamptz(value) => datetime::timestamptz_out(*value, ctx.settings, out),
        Datum::Interval(value) => interval::interval_out(value, ctx.settings, out),
        Datum::Jsonb(value) => value.write_text(out),
        Datum::Enum(oid, place) => enum_out(*oid, *place, ctx, out),
        Datum::Bits(value) => value.write(out),
        Datum::Record(_) if type_oid == t::POINT => {
            let (x, y) = geometry::coordinates(value);
            let digits = ctx.settings.extra_float_digits;
            out.push(b'(');
            float::write_float8(x, digits, out);
            out.push(b',');
            float::write_float8(y, digits, out);
            out.push(b')');
        }
        Datum::Record(fields) => {
            let described = fields.described(ctx);
            let values: Vec<&Datum> = described.iter().map(|(_, _, value)| *value).collect();
            let mut write = |at: usize, value: &Datum, out: &mut Vec<u8>| {
                let type_ref = described.get(at).map_or(TypeRef::plain(t::UNKNOWN), |f| f.1);
                text_out(type_ref.oid, value, ctx, out);
            };
            record::write(&values, &mut write, out);
        }
    }
}

/// The text form of a number of eight bytes, which several types have.
fn long_out(type_oid: Oid, value: i64, out: &mut Vec<u8>) {
    match type_oid {
        t::MONEY => money::write(value, out),
        t::PG_LSN => position::write_lsn(position::to_unsigned(value), out),
        t::XID8 => out.extend_from_slice(position::to_unsigned(value).to_string().as_bytes()),
        t::TID => {
            let (block, offset) = position::to_tid(value);
            out.extend_from_slice(format!("({block},{offset})").as_bytes());
        }
        t::MACADDR => hardware::write(&hardware::six_bytes(value), out),
        t::MACADDR8 => hardware::write(&hardware::to_eight(value).to_be_bytes(), out),
        _ => integer::write_integer(value, out),
    }
}

/// The binary form of a number of eight bytes.
fn long_send(type_oid: Oid, value: i64, out: &mut Vec<u8>) {
    match type_oid {
        t::PG_LSN | t::XID8 => {
            out.extend_from_slice(&position::to_unsigned(value).to_be_bytes());
        }
        t::TID => {
            let (block, offset) = position::to_tid(value);
            out.extend_from_slice(&block.to_be_bytes());
            out.extend_from_slice(&offset.to_be_bytes());
        }
        t::MACADDR => out.extend_from_slice(&hardware::six_bytes(value)),
        t::MACADDR8 => out.extend_from_slice(&hardware::to_eight(value).to_be_bytes()),
        _ => out.extend_from_slice(&value.to_be_bytes()),
    }
}

/// The network address that bytes of such a type are.
fn network_value(type_oid: Oid, bytes: &[u8]) -> Option<Network> {
    matches!(type_oid, t::INET | t::CIDR).then(|| Network::from_bytes(bytes)).flatten()
}

/// The type that a datum has if nothing says otherwise: for the fields of an anonymous record.
#[must_use]
pub fn usual_type(value: &Datum) -> Oid {
    match value {
        Datum::Null => t::UNKNOWN,
        Datum::Bool(_) => t::BOOL,
        Datum::Int2(_) => t::INT2,
        Datum::Int4(_) => t::INT4,
        Datum::Int8(_) => t::INT8,
        Datum::Float4(_) => t::FLOAT4,
        Datum::Float8(_) => t::FLOAT8,
        Datum::Numeric(_) => t::NUMERIC,
        Datum::Text(_) => t::TEXT,
        Datum::Bytea(_) => t::BYTEA,
        Datum::Char(_) => t::CHAR,
        Datum::Date(_) => t::DATE,
        Datum::Time(_) => t::TIME,
        Datum::Timetz(..) => t::TIMETZ,
        Datum::Timestamp(_) => t::TIMESTAMP,
        Datum::Timestamptz(_) => t::TIMESTAMPTZ,
        Datum::Interval(_) => t::INTERVAL,
        Datum::Uuid(_) => t::UUID,
        Datum::Jsonb(_) => t::JSONB,
        Datum::Oid(_) => t::OID,
        Datum::Array(array) => array_type(array.element).unwrap_or(t::UNKNOWN),
        Datum::Record(_) => t::RECORD,
        Datum::Enum(oid, _) => *oid,
        Datum::Bits(_) => t::VARBIT,
    }
}

/// The first byte of the binary form of `jsonpath`.
const JSONPATH_VERSION: u8 = 1;

/// A stored path as it is shown.
fn shown_path(stored: &str) -> String {
    JsonPath::remembered(stored).map_or_else(|_| stored.to_owned(), |path| path.shown())
}

/// Appends a value's binary form, as the type's send function makes it; nothing for NULL.
pub fn binary_out(type_oid: Oid, value: &Datum, ctx: &EvalContext<'_>, out: &mut Vec<u8>) {
    let type_oid = shown_type(type_oid, value, ctx);
    match value {
        Datum::Null => {}
        Datum::Bool(value) => out.push(u8::from(*value)),
        Datum::Int2(value) => out.extend_from_slice(&value.to_be_bytes()),
        Datum::Int4(value) | Datum::Date(value) => out.extend_from_slice(&value.to_be_bytes()),
        Datum::Int8(value) => long_send(type_oid, *value, out),
        Datum::Time(value) | Datum::Timestamp(value) | Datum::Timestamptz(value) => {
            out.extend_from_slice(&value.to_be_bytes());
        }
        Datum::Timetz(time, zone) => {
            out.extend_from_slice(&time.to_be_bytes());
            out.extend_from_slice(&zone.to_be_bytes());
        }
        Datum::Interval(value) => {
            out.extend_from_slice(&value.microseconds.to_be_bytes());
            out.extend_from_slice(&value.days.to_be_bytes());
            out.extend_from_slice(&value.months.to_be_bytes());
        }
        Datum::Float4(value) => out.extend_from_slice(&value.to_bits().to_be_bytes()),
        Datum::Float8(value) => out.extend_from_slice(&value.to_bits().to_be_bytes()),
        Datum::Text(value) if type_oid == t::JSONPATH => {
            out.push(JSONPATH_VERSION);
            out.extend_from_slice(shown_path(value).as_bytes());
        }
        Datum::Text(value) => out.extend_from_slice(value.as_bytes()),
        Datum::Bytea(value) => match network_value(type_oid, value) {
            Some(network) => out.extend_from_slice(&network.send(type_oid == t::CIDR)),
            None => out.extend_from_slice(value),
        },
        Datum::Char(value) => out.push(*value),
        Datum::Uuid(value) => out.extend_from_slice(value),
        Datum::Oid(value) => out.extend_from_slice(&value.0.to_be_bytes()),
        Datum::Array(array) => {
            let mut send =
                |value: &Datum, out: &mut Vec<u8>| binary_out(array.element, value, ctx, out);
            array::send(array, &mut send, out);
        }
        Datum::Numeric(value) => value.binary_out(out),
        Datum::Jsonb(value) => value.binary_out(out),
        Datum::Enum(oid, place) => enum_out(*oid, *place, ctx, out),
        Datum::Bits(value) => value.send(out),
        Datum::Record(_) if type_oid == t::POINT => {
            let (x, y) = geometry::coordinates(value);
            out.extend_from_slice(&x.to_bits().to_be_bytes());
            out.extend_from_slice(&y.to_bits().to_be_bytes());
        }
        Datum::Record(fields) => {
            let described = fields.described(ctx);
            let values: Vec<(Oid, &Datum)> =
                described.iter().map(|(_, type_ref, value)| (type_ref.oid, *value)).collect();
            let mut send = |oid: Oid, value: &Datum, out: &mut Vec<u8>| {
                binary_out(oid, value, ctx, out);
            };
            record::send(&values, &mut send, out);
        }
    }
}

/// Appends a field's length and bytes; -1 and nothing for NULL.
fn send_field(value: &Datum, send: &mut dyn FnMut(&Datum, &mut Vec<u8>), out: &mut Vec<u8>) {
    if value.is_null() {
        out.extend_from_slice(&(-1_i32).to_be_bytes());
        return;
    }
    let header = out.len();
    out.extend_from_slice(&[0; 4]);
    send(value, out);
    let length = i32::try_from(out.len() - header - 4).unwrap_or(i32::MAX);
    out[header..header + 4].copy_from_slice(&length.to_be_bytes());
}

/// Reads a value's binary form as the type's receive function does, all of `bytes`.
///
/// # Errors
/// 08P01 where bytes are missing, 22P03 with [`INCORRECT_BINARY_FORMAT`] where some are left over,
/// and whatever else the type raises; 0A000 for a type that is not known here.
pub fn binary_in(type_ref: TypeRef, bytes: &[u8], ctx: &EvalContext<'_>) -> SqlResult<Datum> {
    let mut reader = Reader::new(bytes);
    let value = match type_ref.oid {
        t::BOOL => Datum::Bool(reader.array::<1>()?[0] != 0),
        t::INT2 => Datum::Int2(i16::from_be_bytes(reader.array()?)),
        t::INT4 => Datum::Int4(reader.int4()?),
        t::INT8 => Datum::Int8(reader.int8()?),
        t::FLOAT4 => Datum::Float4(f32::from_bits(u32::from_be_bytes(reader.array()?))),
        t::FLOAT8 => Datum::Float8(f64::from_bits(u64::from_be_bytes(reader.array()?))),
        t::TEXT | t::UNKNOWN | t::CSTRING => Datum::text(reader.text()?),
        t::VARCHAR => Datum::text(text::coerce_varchar(reader.text()?, type_ref.typmod, false)?),
        t::BPCHAR => Datum::text(text::coerce_bpchar(reader.text()?, type_ref.typmod, false)?),
        t::NAME => {
            let text = reader.text()?;
            if text.len() > text::NAME_LENGTH_MAX {
                return Err(SqlError::new(SqlState::NameTooLong, "identifier too long").detail(
                    format!(
                        "Identifier must be less than {} characters.",
                        text::NAME_LENGTH_MAX + 1
                    ),
                ));
            }
            Datum::text(text)
        }
        t::CHAR => Datum::Char(reader.array::<1>()?[0]),
        t::BYTEA => Datum::Bytea(reader.rest().into()),
        t::UUID => Datum::Uuid(reader.array()?),
        t::INET | t::CIDR => {
            let value = Network::receive(reader.rest(), type_ref.oid == t::CIDR)?;
            Datum::Bytea(value.to_bytes().into())
        }
        t::MONEY => Datum::Int8(reader.int8()?),
        t::PG_LSN | t::XID8 | t::MACADDR8 => {
            Datum::Int8(position::to_signed(reader.int8()?.cast_unsigned()))
        }
        t::TID => {
            let block = u32::from_be_bytes(reader.array()?);
            Datum::Int8(position::from_tid(block, u16::from_be_bytes(reader.array()?)))
        }
        t::MACADDR => Datum::Int8(hardware::from_six_bytes(reader.array()?)),
        t::POINT => {
            let mut coordinate =
                || Ok::<f64, SqlError>(f64::from_bits(u64::from_be_bytes(reader.array()?)));
            geometry::point(coordinate()?, coordinate()?)
        }
        t::BIT | t::VARBIT => {
            let value = Bits::receive(reader.int4()?, reader.rest())?;
            let typmod = type_ref.typmod;
            let is_bit = type_ref.oid == t::BIT;
            let value = if is_bit {
                value.coerced_bit(typmod, false)
            } else {
                value.coerced_varbit(typmod, false)
            };
            Datum::Bits(value?.into())
        }
        t::OID | t::XID | t::CID => Datum::Oid(reader.oid()?),
        t::VOID => Datum::text(""),
        t::NUMERIC => {
            Datum::Numeric(Numeric::binary_in(reader.rest())?.apply_typmod(type_ref.typmod)?)
        }
        t::DATE | t::TIME | t::TIMETZ | t::TIMESTAMP | t::TIMESTAMPTZ | t::INTERVAL => {
            temporal::receive(type_ref, &mut reader)?
        }
        t::JSON => {
            let text = reader.text()?;
            json::validate(text)?;
            Datum::text(text)
        }
        t::JSONB => Datum::Jsonb(Jsonb::binary_in(reader.rest())?),
        t::JSONPATH => {
            let Some((version, text)) = reader.rest().split_first() else {
                let message = "no data left in message";
                return Err(SqlError::new(SqlState::ProtocolViolation, message));
            };
            if *version != JSONPATH_VERSION {
                let message = format!("unsupported jsonpath version number: {version}");
                return Err(SqlError::internal(message));
            }
            Datum::text(JsonPath::parse(text::from_utf8(text)?)?.stored())
        }
        t::RECORD => return Err(anonymous_record()),
        oid if is_reg_type(oid) => Datum::Oid(reader.oid()?),
        oid => match element_type(oid) {
            Some(element) => {
                let element_ref = TypeRef::with_typmod(element, type_ref.typmod);
                let mut receive = |bytes: &[u8]| binary_in(element_ref, bytes, ctx);
                let array = array::receive(reader.rest(), element, &mut receive)?;
                Datum::Array(check_vector(oid, array)?.into())
            }
            None => user_binary_in(type_ref, reader.rest(), ctx)?,
        },
    };
    reader.finish()?;
    Ok(value)
}

fn check_vector(oid: Oid, array: Array) -> SqlResult<Array> {
    let name = match oid {
        t::INT2VECTOR => "int2vector",
        t::OIDVECTOR => "oidvector",
        _ => return Ok(array),
    };
    let valid = match array.dimensions.as_slice() {
        [] => true,
        [Dimension { lower, .. }] => *lower == 0 && !array.elements.iter().any(Datum::is_null),
        _ => false,
    };
    if valid {
        return Ok(array);
    }
    Err(SqlError::new(SqlState::InvalidBinaryRepresentation, format!("invalid {name} data")))
}

/// Takes a message of the binary protocol apart.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    fn take(&mut self, length: usize) -> SqlResult<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or_else(|| {
            SqlError::new(SqlState::ProtocolViolation, "insufficient data left in message")
        })?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> SqlResult<[u8; N]> {
        Ok(*self.take(N)?.first_chunk().expect("as many bytes were taken"))
    }

    pub(crate) fn int4(&mut self) -> SqlResult<i32> {
        self.array().map(i32::from_be_bytes)
    }

    pub(crate) fn int8(&mut self) -> SqlResult<i64> {
        self.array().map(i64::from_be_bytes)
    }

    pub(crate) fn oid(&mut self) -> SqlResult<Oid> {
        self.array().map(|bytes| Oid(u32::from_be_bytes(bytes)))
    }

    /// A length and as many bytes; `None` for the length -1.
    pub(crate) fn field(&mut self) -> SqlResult<Option<&'a [u8]>> {
        match self.int4()? {
            -1 => Ok(None),
            length => {
                let length = usize::try_from(length).map_err(|_| {
                    SqlError::new(SqlState::ProtocolViolation, "insufficient data left in message")
                })?;
                self.take(length).map(Some)
            }
        }
    }

    pub(crate) const fn rest(&mut self) -> &'a [u8] {
        let rest = self.rest;
        self.rest = &[];
        rest
    }

    pub(crate) fn text(&mut self) -> SqlResult<&'a str> {
        text::from_utf8(self.rest())
    }

    pub(crate) fn finish(&self) -> SqlResult<()> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(SqlError::new(SqlState::InvalidBinaryRepresentation, INCORRECT_BINARY_FORMAT))
    }
}

#[cfg(test)]
mod tests;
