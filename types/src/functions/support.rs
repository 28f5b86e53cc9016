//! Functions of operator classes and of the wire that SQL may call too: three-way comparisons, hashes
//! (PostgreSQL's `hashfn.c`, after Bob Jenkins's lookup3), binary forms.

use super::ScalarTable;
use crate::compare::compare;
use crate::context::CallContext;
use crate::datum::Datum;
use crate::error::SqlResult;
use crate::io;
use crate::oid::Oid;
use crate::type_oid as t;

/// How a pair compares, as -1, 0 or 1.
fn order(context: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    let ty = context.argument_types.first().map_or(t::TEXT, |ty| ty.oid);
    Ok(Datum::Int4(compare(ty, &a[0], &a[1]) as i32))
}

fn integer(value: &Datum) -> i64 {
    match value {
        Datum::Int2(value) => i64::from(*value),
        Datum::Int4(value) => i64::from(*value),
        Datum::Int8(value) | Datum::Time(value) | Datum::Timestamp(value) => *value,
        Datum::Timestamptz(value) => *value,
        _ => 0,
    }
}

fn float(value: &Datum) -> f64 {
    match value {
        Datum::Float4(value) => f64::from(*value),
        Datum::Float8(value) => *value,
        _ => 0.0,
    }
}

/// The binary form of the argument.
fn sent(context: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    let ty = context.argument_types.first().map_or(t::TEXT, |ty| ty.oid);
    let mut out = Vec::new();
    io::binary_out(ty, &a[0], &context.eval, &mut out);
    Ok(Datum::Bytea(out.into()))
}

const INITIAL: u32 = 0x9e37_79b9;

/// The three words that a hash is made in.
#[derive(Clone, Copy)]
struct Words(u32, u32, u32);

impl Words {
    fn new(length: usize) -> Self {
        let start = INITIAL.wrapping_add(length as u32).wrapping_add(3_923_095);
        Self(start, start, start)
    }

    fn seeded(length: usize, seed: u64) -> Self {
        let mut words = Self::new(length);
        if seed != 0 {
            words.0 = words.0.wrapping_add((seed >> 32) as u32);
            words.1 = words.1.wrapping_add(seed as u32);
            words.mix();
        }
        words
    }

    fn mix(&mut self) {
        let Self(mut a, mut b, mut c) = *self;
        for turned in [4, 6, 8, 16, 19, 4] {
            a = a.wrapping_sub(c) ^ c.rotate_left(turned);
            c = c.wrapping_add(b);
            (a, b, c) = (b, c, a);
        }
        *self = Self(a, b, c);
    }

    fn finish(&mut self) {
        let Self(a, b, c) = self;
        *c = (*c ^ *b).wrapping_sub(b.rotate_left(14));
        *a = (*a ^ *c).wrapping_sub(c.rotate_left(11));
        *b = (*b ^ *a).wrapping_sub(a.rotate_left(25));
        *c = (*c ^ *b).wrapping_sub(b.rotate_left(16));
        *a = (*a ^ *c).wrapping_sub(c.rotate_left(4));
        *b = (*b ^ *a).wrapping_sub(a.rotate_left(14));
        *c = (*c ^ *b).wrapping_sub(b.rotate_left(24));
    }

    fn take(&mut self, bytes: &[u8]) {
        let word = |at: usize| {
            let mut word = [0; 4];
            let from = bytes.get(at..).unwrap_or_default();
            let count = from.len().min(4);
            word[..count].copy_from_slice(&from[..count]);
            u32::from_le_bytes(word)
        };
        self.0 = self.0.wrapping_add(word(0));
        self.1 = self.1.wrapping_add(word(4));
        // The lowest byte of the last word is the length's.
        let last = word(8);
        self.2 = self.2.wrapping_add(if bytes.len() < 12 { last << 8 } else { last });
    }

    fn bytes(mut self, bytes: &[u8]) -> Self {
        let mut chunks = bytes.chunks_exact(12);
        for chunk in &mut chunks {
            self.take(chunk);
            self.mix();
        }
        self.take(chunks.remainder());
        self.finish();
        self
    }

    fn word(mut self, value: u32) -> Self {
        self.0 = self.0.wrapping_add(value);
        self.finish();
        self
    }

    fn short(&self) -> Datum {
        Datum::Int4(self.2.cast_signed())
    }

    fn long(&self) -> Datum {
        Datum::Int8((u64::from(self.1) << 32 | u64::from(self.2)).cast_signed())
    }
}

/// What of a value is hashed.
enum Hashed {
    Word(u32),
    Bytes(Vec<u8>),
    /// A zero, whose hash is the seed.
    Zero,
}

fn hashed(value: &Datum, ty: Oid) -> Hashed {
    match value {
        Datum::Int2(value) => Hashed::Word(i32::from(*value).cast_unsigned()),
        Datum::Int4(value) => Hashed::Word(value.cast_unsigned()),
        Datum::Oid(value) => Hashed::Word(value.0),
        Datum::Char(value) => Hashed::Word(i32::from(value.cast_signed()).cast_unsigned()),
        Datum::Int8(_) | Datum::Time(_) | Datum::Timestamp(_) | Datum::Timestamptz(_) => {
            // Equal to the hash of the same number in fewer bytes.
            let value = integer(value);
            let (low, high) = (value as u32, (value >> 32) as u32);
            Hashed::Word(low ^ if value >= 0 { high } else { !high })
        }
        Datum::Float4(_) | Datum::Float8(_) => {
            let value = float(value);
            if value == 0.0 {
                return Hashed::Zero;
            }
            let value = if value.is_nan() { f64::NAN } else { value };
            Hashed::Bytes(value.to_le_bytes().to_vec())
        }
        Datum::Uuid(value) => Hashed::Bytes(value.to_vec()),
        Datum::Text(text) if ty == t::BPCHAR => {
            Hashed::Bytes(text.trim_end_matches(' ').as_bytes().to_vec())
        }
        Datum::Text(text) => Hashed::Bytes(text.as_bytes().to_vec()),
        _ => Hashed::Zero,
    }
}

fn hash(context: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    let ty = context.argument_types.first().map_or(t::TEXT, |ty| ty.oid);
    Ok(match hashed(&a[0], ty) {
        Hashed::Zero => Datum::Int4(0),
        Hashed::Word(word) => Words::new(4).word(word).short(),
        Hashed::Bytes(bytes) => Words::new(bytes.len()).bytes(&bytes).short(),
    })
}

fn hash_extended(context: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    let ty = context.argument_types.first().map_or(t::TEXT, |ty| ty.oid);
    let seed = integer(&a[1]).cast_unsigned();
    Ok(match hashed(&a[0], ty) {
        Hashed::Zero => a[1].clone(),
        Hashed::Word(word) => Words::seeded(4, seed).word(word).long(),
        Hashed::Bytes(bytes) => Words::seeded(bytes.len(), seed).bytes(&bytes).long(),
    })
}

macro_rules! mixed {
    ($of:ident, $how:ident) => {
        |_, a| Ok(Datum::Int4($of(&a[0]).$how(&$of(&a[1])) as i32))
    };
}

/// Floats of two widths, NaN above all numbers.
fn mixed_floats(_: &CallContext<'_>, a: &[Datum]) -> SqlResult<Datum> {
    let wide = |value: &Datum| Datum::Float8(float(value));
    Ok(Datum::Int4(compare(t::FLOAT8, &wide(&a[0]), &wide(&a[1])) as i32))
}

pub(super) static SCALARS: ScalarTable = &[
    ("btint2cmp", order),
    ("btint4cmp", order),
    ("btint8cmp", order),
    ("btfloat4cmp", order),
    ("btfloat8cmp", order),
    ("btoidcmp", order),
    ("btarraycmp", order),
    ("btrecordcmp", order),
    ("btoidvectorcmp", order),
    ("btint48cmp", mixed!(integer, cmp)),
    ("btint84cmp", mixed!(integer, cmp)),
    ("btint24cmp", mixed!(integer, cmp)),
    ("btint42cmp", mixed!(integer, cmp)),
    ("btint28cmp", mixed!(integer, cmp)),
    ("btint82cmp", mixed!(integer, cmp)),
    ("btfloat48cmp", mixed_floats),
    ("btfloat84cmp", mixed_floats),
    ("hashint2", hash),
    ("hashint4", hash),
    ("hashint8", hash),
    ("hashoid", hash),
    ("hashchar", hash),
    ("hashfloat4", hash),
    ("hashfloat8", hash),
    ("hashname", hash),
    ("hashtext", hash),
    ("hashbpchar", hash),
    ("uuid_hash", hash),
    ("time_hash", hash),
    ("timestamp_hash", hash),
    ("hashint2extended", hash_extended),
    ("hashint4extended", hash_extended),
    ("hashint8extended", hash_extended),
    ("hashoidextended", hash_extended),
    ("hashcharextended", hash_extended),
    ("hashfloat4extended", hash_extended),
    ("hashfloat8extended", hash_extended),
    ("hashnameextended", hash_extended),
    ("hashtextextended", hash_extended),
    ("hashbpcharextended", hash_extended),
    ("uuid_hash_extended", hash_extended),
    ("time_hash_extended", hash_extended),
    ("timestamp_hash_extended", hash_extended),
    ("boolsend", sent),
    ("byteasend", sent),
    ("charsend", sent),
    ("namesend", sent),
    ("int2send", sent),
    ("int4send", sent),
    ("int8send", sent),
    ("textsend", sent),
    ("bpcharsend", sent),
    ("varcharsend", sent),
    ("oidsend", sent),
    ("xidsend", sent),
    ("cidsend", sent),
    ("float4send", sent),
    ("float8send", sent),
    ("numeric_send", sent),
    ("date_send", sent),
    ("time_send", sent),
    ("timetz_send", sent),
    ("timestamp_send", sent),
    ("timestamptz_send", sent),
    ("interval_send", sent),
    ("uuid_send", sent),
    ("json_send", sent),
    ("jsonb_send", sent),
    ("array_send", sent),
    ("inet_send", sent),
    ("cidr_send", sent),
    ("regclasssend", sent),
    ("regtypesend", sent),
    ("regprocsend", sent),
    ("regproceduresend", sent),
    ("regnamespacesend", sent),
    ("regrolesend", sent),
];
