//! The hash functions of types, with the numbers that PostgreSQL gives (its `hashfunc.c`).

use super::ScalarTable;
use crate::compare::canonical_float;
use crate::context::{CallContext, EvalContext};
use crate::datum::Datum;
use crate::error::{SqlError, SqlResult};
use crate::hash::{bytes, long, number};
use crate::io::usual_type;
use crate::network::Network;
use crate::numeric::Numeric;
use crate::oid::Oid;
use crate::user_type::{UserType, label_at};
use crate::{text, type_oid as t};

macro_rules! hashes {
    ($($short:literal $extended:literal;)*) => {
        pub(super) static SCALARS: ScalarTable = &[
            $(($short, short_hash), ($extended, extended_hash),)*
        ];
    };
}

hashes! {
    "hashint2" "hashint2extended";
    "hashint4" "hashint4extended";
    "hashint8" "hashint8extended";
    "hashoid" "hashoidextended";
    "hashchar" "hashcharextended";
    "hashname" "hashnameextended";
    "hashtext" "hashtextextended";
    "hashbpchar" "hashbpcharextended";
    "hashfloat4" "hashfloat4extended";
    "hashfloat8" "hashfloat8extended";
    "hash_numeric" "hash_numeric_extended";
    "hashoidvector" "hashoidvectorextended";
    "hash_array" "hash_array_extended";
    "hashinet" "hashinetextended";
    "time_hash" "time_hash_extended";
    "timetz_hash" "timetz_hash_extended";
    "timestamp_hash" "timestamp_hash_extended";
    "interval_hash" "interval_hash_extended";
    "uuid_hash" "uuid_hash_extended";
    "hashenum" "hashenumextended";
    "hash_record" "hash_record_extended";
}

fn argument(context: &CallContext<'_>, value: &Datum) -> Oid {
    context.argument_types.first().map_or_else(|| usual_type(value), |type_ref| type_ref.oid)
}

fn short_hash(context: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    let hashed = hash(&context.eval, argument(context, &a[0]), &a[0], None)?;
    Ok(Datum::Int4((hashed as u32).cast_signed()))
}

fn extended_hash(context: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    let seed = a[1].as_int8().cast_unsigned();
    let hashed = hash(&context.eval, argument(context, &a[0]), &a[0], Some(seed))?;
    Ok(Datum::Int8(hashed.cast_signed()))
}

/// The hash of a value that is not NULL: 32 bits without a seed, 64 with one.
fn hash(
    context: &EvalContext<'_>,
    type_oid: Oid,
    value: &Datum,
    with_seed: Option<u64>,
) -> SqlResult<u64> {
    let seed = with_seed.unwrap_or(0);
    let integer = |value: i32| number(value.cast_unsigned(), seed);
    let float = |value: f64| {
        if value == 0.0 { seed } else { bytes(&canonical_float(value).to_le_bytes(), seed) }
    };
    let full = match value {
        Datum::Bool(value) => integer(i32::from(*value)),
        Datum::Char(value) => integer(i32::from(value.cast_signed())),
        Datum::Int2(value) => integer(i32::from(*value)),
        Datum::Int4(value) | Datum::Date(value) => integer(*value),
        Datum::Int8(value)
        | Datum::Time(value)
        | Datum::Timestamp(value)
        | Datum::Timestamptz(value) => long(*value, seed),
        Datum::Timetz(time, zone) => long(*time, seed) ^ integer(*zone),
        Datum::Interval(value) => long(value.span() as i64, seed),
        Datum::Oid(value) => number(value.0, seed),
        Datum::Float4(value) => float(f64::from(*value)),
        Datum::Float8(value) => float(*value),
        Datum::Text(text) if type_oid == t::BPCHAR => {
            bytes(text::trim_blanks(text).as_bytes(), seed)
        }
        Datum::Text(text) => bytes(text.as_bytes(), seed),
        Datum::Uuid(value) => bytes(value, seed),
        Datum::Numeric(value) => numeric(value, with_seed),
        Datum::Bytea(value) => match Network::from_bytes(value) {
            Some(network) if matches!(type_oid, t::INET | t::CIDR) => {
                let mut key = vec![if network.is_v6 { 3 } else { 2 }, network.bits];
                key.extend_from_slice(&network.address[..network.size()]);
                bytes(&key, seed)
            }
            _ => bytes(value, seed),
        },
        Datum::Enum(oid, place) => {
            let shape = context.host.user_type(*oid);
            let label = match &shape {
                Some(UserType::Enum(labels)) => label_at(labels, *place).map(|label| label.oid),
                _ => None,
            };
            number(label.unwrap_or_default().0, seed)
        }
        Datum::Array(array) if type_oid == t::OIDVECTOR => {
            let key: Vec<u8> =
                array.elements.iter().flat_map(|oid| oid.as_oid().0.to_le_bytes()).collect();
            bytes(&key, seed)
        }
        Datum::Array(array) => {
            combined(context, 1, &mut array.elements.iter().map(|e| (array.element, e)), with_seed)?
        }
        Datum::Record(fields) => combined(
            context,
            0,
            &mut fields.iter().enumerate().map(|(at, f)| (fields.field_type(at).oid, f)),
            with_seed,
        )?,
        Datum::Null | Datum::Jsonb(_) | Datum::Bits(_) => {
            return Err(SqlError::unsupported(format_args!("hashing type {type_oid}")));
        }
    };
    Ok(full)
}

/// The hashes of parts, each in its turn.
fn combined(
    context: &EvalContext<'_>,
    start: u64,
    parts: &mut dyn Iterator<Item = (Oid, &Datum)>,
    with_seed: Option<u64>,
) -> SqlResult<u64> {
    let mut result = start;
    for (oid, part) in parts {
        let hashed = if part.is_null() { 0 } else { hash(context, oid, part, with_seed)? };
        // Without a seed the words are of 32 bits, and so is what is kept of them in the end.
        let hashed = if with_seed.is_some() { hashed } else { hashed & u64::from(u32::MAX) };
        result = (result << 5).wrapping_sub(result).wrapping_add(hashed);
    }
    Ok(result)
}

/// Of the digits to base 10000 without zeros at either end, and their weight.
fn numeric(value: &Numeric, with_seed: Option<u64>) -> u64 {
    let mut sent = Vec::new();
    value.binary_out(&mut sent);
    let word =
        |at: usize| sent.get(at..at + 2).map_or(0, |pair| u16::from_be_bytes([pair[0], pair[1]]));
    let (weight, sign) = (word(2).cast_signed(), word(4));
    if sign >= 0xc000 {
        return with_seed.unwrap_or(0);
    }
    let digits: Vec<u16> = (8..sent.len()).step_by(2).map(word).collect();
    let leading = digits.iter().take_while(|digit| **digit == 0).count();
    if leading == digits.len() {
        return with_seed.map_or(u64::from(u32::MAX), |seed| seed.wrapping_sub(1));
    }
    let trailing = digits.iter().rev().take_while(|digit| **digit == 0).count();
    let key: Vec<u8> =
        digits[leading..digits.len() - trailing].iter().flat_map(|d| d.to_le_bytes()).collect();
    let weight = i64::from(weight) - i64::try_from(leading).unwrap_or(0);
    let hashed = bytes(&key, with_seed.unwrap_or(0));
    hashed ^ weight.cast_unsigned()
}
