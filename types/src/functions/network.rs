//! Functions of `inet` and `cidr`.

use std::cmp::Ordering;

use super::ScalarTable;
use crate::datum::Datum;
use crate::error::{SqlError, SqlResult};
use crate::network::Network;
use crate::sqlstate::SqlState;

pub(super) const SCALARS: ScalarTable = &[
    ("network_eq", |_, a| Ok(Datum::Bool(order(a).is_eq()))),
    ("network_ne", |_, a| Ok(Datum::Bool(order(a).is_ne()))),
    ("network_lt", |_, a| Ok(Datum::Bool(order(a).is_lt()))),
    ("network_le", |_, a| Ok(Datum::Bool(order(a).is_le()))),
    ("network_gt", |_, a| Ok(Datum::Bool(order(a).is_gt()))),
    ("network_ge", |_, a| Ok(Datum::Bool(order(a).is_ge()))),
    ("network_cmp", |_, a| Ok(Datum::Int4(order(a) as i32))),
    ("network_larger", |_, a| Ok(a[usize::from(order(a).is_lt())].clone())),
    ("network_smaller", |_, a| Ok(a[usize::from(order(a).is_gt())].clone())),
    ("network_sub", |_, a| contains(&a[1], &a[0], true)),
    ("network_subeq", |_, a| contains(&a[1], &a[0], false)),
    ("network_sup", |_, a| contains(&a[0], &a[1], true)),
    ("network_supeq", |_, a| contains(&a[0], &a[1], false)),
    ("network_overlap", |_, a| {
        let (one, other) = (network(&a[0])?, network(&a[1])?);
        Ok(Datum::Bool(
            one.is_v6 == other.is_v6 && common(&one, &other) >= one.bits.min(other.bits),
        ))
    }),
    ("network_host", |_, a| Ok(Datum::text(network(&a[0])?.host()))),
    ("network_show", |_, a| Ok(Datum::text(network(&a[0])?.text(true)))),
    ("network_family", |_, a| Ok(Datum::Int4(if network(&a[0])?.is_v6 { 6 } else { 4 }))),
    ("network_masklen", |_, a| Ok(Datum::Int4(i32::from(network(&a[0])?.bits)))),
    ("network_network", |_, a| Ok(datum(&network(&a[0])?.network()))),
    ("inet_to_cidr", |_, a| Ok(datum(&network(&a[0])?.network()))),
    ("network_broadcast", |_, a| {
        let value = network(&a[0])?;
        Ok(datum(&value.with_number(value.number() | value.host_mask())))
    }),
    ("network_netmask", |_, a| {
        let value = network(&a[0])?;
        Ok(datum(&whole(value.with_number(!value.host_mask()))))
    }),
    ("network_hostmask", |_, a| {
        let value = network(&a[0])?;
        Ok(datum(&whole(value.with_number(value.host_mask()))))
    }),
    ("inet_set_masklen", |_, a| Ok(datum(&with_bits(&a[0], a[1].as_int4())?))),
    ("cidr_set_masklen", |_, a| Ok(datum(&with_bits(&a[0], a[1].as_int4())?.network()))),
    ("inet_abbrev", |_, a| Ok(Datum::text(network(&a[0])?.text(false)))),
    ("cidr_abbrev", |_, a| Ok(Datum::text(abbreviated(&network(&a[0])?)))),
    ("inet_same_family", |_, a| Ok(Datum::Bool(network(&a[0])?.is_v6 == network(&a[1])?.is_v6))),
    ("inet_merge", |_, a| {
        let (one, other) = (network(&a[0])?, network(&a[1])?);
        if one.is_v6 != other.is_v6 {
            return Err(invalid("cannot merge addresses from different families".to_owned()));
        }
        let bits = common(&one, &other).min(one.bits).min(other.bits);
        Ok(datum(&Network { bits, ..one }.network()))
    }),
    ("inetnot", |_, a| {
        let value = network(&a[0])?;
        Ok(datum(&value.with_number(!value.number())))
    }),
    ("inetand", |_, a| combined(a, "AND", |one, other| one & other)),
    ("inetor", |_, a| combined(a, "OR", |one, other| one | other)),
    ("inetpl", |_, a| moved(&a[0], i128::from(a[1].as_int8()))),
    ("int8pl_inet(int8,inet)", |_, a| moved(&a[1], i128::from(a[0].as_int8()))),
    ("inetmi_int8", |_, a| moved(&a[0], -i128::from(a[1].as_int8()))),
    ("inetmi", |_, a| {
        let (one, other) = (network(&a[0])?, network(&a[1])?);
        if one.is_v6 != other.is_v6 {
            return Err(invalid("cannot subtract inet values of different sizes".to_owned()));
        }
        let (one, other) = (one.number(), other.number());
        let distance = i64::try_from(one.abs_diff(other)).map_err(|_| out_of_range())?;
        Ok(Datum::Int8(if one < other { -distance } else { distance }))
    }),
];

fn network(value: &Datum) -> SqlResult<Network> {
    Network::from_bytes(value.as_bytea())
        .ok_or_else(|| SqlError::internal("a network address has damaged bytes"))
}

fn datum(value: &Network) -> Datum {
    Datum::Bytea(value.to_bytes().into())
}

fn order(args: &[Datum]) -> Ordering {
    args[0].as_bytea().cmp(args[1].as_bytea())
}

/// How many bits two addresses of one family have in common.
fn common(one: &Network, other: &Network) -> u8 {
    let differing = one.number() ^ other.number();
    let width = u32::from(one.width());
    let leading = differing.leading_zeros() - (128 - width);
    u8::try_from(leading.min(width)).unwrap_or(u8::MAX)
}

fn contains(outer: &Datum, inner: &Datum, strictly: bool) -> SqlResult<Datum> {
    let (outer, inner) = (network(outer)?, network(inner)?);
    let longer = if strictly { inner.bits > outer.bits } else { inner.bits >= outer.bits };
    let same_family = outer.is_v6 == inner.is_v6;
    Ok(Datum::Bool(same_family && longer && common(&outer, &inner) >= outer.bits))
}

fn whole(value: Network) -> Network {
    Network { bits: value.width(), ..value }
}

fn with_bits(value: &Datum, bits: i32) -> SqlResult<Network> {
    let value = network(value)?;
    let bits = if bits == -1 { i32::from(value.width()) } else { bits };
    let fitting = u8::try_from(bits).ok().filter(|bits| *bits <= value.width());
    match fitting {
        Some(bits) => Ok(Network { bits, ..value }),
        None => Err(invalid(format!("invalid mask length: {bits}"))),
    }
}

/// A network without the octets that its prefix does not reach.
fn abbreviated(value: &Network) -> String {
    if value.is_v6 {
        return value.text(true);
    }
    let octets = usize::from(value.bits.div_ceil(8)).max(1);
    let shown: Vec<String> = value.address[..octets].iter().map(u8::to_string).collect();
    format!("{}/{}", shown.join("."), value.bits)
}

fn combined(args: &[Datum], word: &str, combine: fn(u128, u128) -> u128) -> SqlResult<Datum> {
    let (one, other) = (network(&args[0])?, network(&args[1])?);
    if one.is_v6 != other.is_v6 {
        return Err(invalid(format!("cannot {word} inet values of different sizes")));
    }
    let bits = one.bits.max(other.bits);
    let number = combine(one.number(), other.number());
    Ok(datum(&Network { bits, ..one }.with_number(number)))
}

fn moved(value: &Datum, distance: i128) -> SqlResult<Datum> {
    let value = network(value)?;
    let number = value.number().checked_add_signed(distance);
    let maximum = u128::MAX >> (128 - u32::from(value.width()));
    let number = number.filter(|number| *number <= maximum).ok_or_else(out_of_range)?;
    Ok(datum(&value.with_number(number)))
}

fn out_of_range() -> SqlError {
    SqlError::new(SqlState::NumericValueOutOfRange, "result is out of range")
}

fn invalid(message: String) -> SqlError {
    SqlError::new(SqlState::InvalidParameterValue, message)
}
