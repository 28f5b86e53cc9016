//! Sizes. Storage shares its files between relations and keeps no size for each: what is asked for
//! one relation or database is answered with 0, once it is known to exist.

use aegis_types::{Datum, SqlError, SqlResult, SqlState};

use super::{Call, HostTable};

pub(super) static FUNCTIONS: HostTable = &[
    ("pg_relation_size", relation_size),
    ("pg_table_size", relation_size),
    ("pg_indexes_size", relation_size),
    ("pg_total_relation_size", relation_size),
    ("pg_database_size", |call| match call.arg(0) {
        Datum::Text(name) if call.seen.catalog.database_named(name).is_none() => {
            Err(SqlError::new(
                SqlState::UndefinedDatabase,
                format!("database \"{name}\" does not exist"),
            ))
        }
        _ => Ok(Datum::Int8(0)),
    }),
    ("pg_tablespace_size", |_| Ok(Datum::Int8(0))),
    ("pg_tablespace_location", |_| Ok(Datum::text(""))),
    ("pg_size_pretty", |call| match call.arg(0) {
        Datum::Int8(size) => Ok(Datum::text(pretty(*size))),
        _ => Err(SqlError::unsupported("function pg_size_pretty(numeric)")),
    }),
];

fn relation_size(call: &Call<'_>) -> SqlResult<Datum> {
    let known = call.names().relation_parts(call.oid(0)).is_some();
    Ok(if known { Datum::Int8(0) } else { Datum::Null })
}

/// The name of a unit, below how many of it that unit is used, its power of two, and whether the
/// number still has a bit to be rounded away.
const UNITS: [(&str, i64, u32, bool); 6] = [
    ("bytes", 10 * 1024, 0, false),
    ("kB", 20 * 1024 - 1, 10, true),
    ("MB", 20 * 1024 - 1, 20, true),
    ("GB", 20 * 1024 - 1, 30, true),
    ("TB", 20 * 1024 - 1, 40, true),
    ("PB", 20 * 1024 - 1, 50, true),
];

fn pretty(size: i64) -> String {
    let mut size = size;
    for (at, (name, limit, power, round)) in UNITS.iter().enumerate() {
        let next = UNITS.get(at + 1);
        match next {
            Some((_, _, next_power, next_round)) if size.unsigned_abs() >= limit.unsigned_abs() => {
                let bits = next_power - power - u32::from(*next_round) + u32::from(*round);
                size /= 1_i64 << bits;
            }
            _ => {
                let shown = if *round { (size + size.signum()) / 2 } else { size };
                return format!("{shown} {name}");
            }
        }
    }
    format!("{size} bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_to_their_unit() {
        for (size, text) in [
            (0, "0 bytes"),
            (10239, "10239 bytes"),
            (10240, "10 kB"),
            (-10240, "-10 kB"),
            (10_485_247, "10239 kB"),
            (10_485_248, "10 MB"),
            (i64::MAX, "8192 PB"),
        ] {
            assert_eq!(pretty(size), text);
        }
    }
}
