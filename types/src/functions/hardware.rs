//! `macaddr` and `macaddr8` (PostgreSQL 15, chapter 9.12).

use super::ScalarTable;
use crate::datum::Datum;
use crate::error::{SqlError, SqlResult};
use crate::hardware::{from_eight, to_eight};
use crate::sqlstate::SqlState;

macro_rules! compare {
    ($test:ident) => {
        |_, a| Ok(Datum::Bool(a[0].as_int8().cmp(&a[1].as_int8()).$test()))
    };
}

const SIX_BYTES: i64 = 0xffff_ffff_ffff;
/// The bit that says that an address was given locally.
const LOCAL_BIT: u64 = 0x02 << 56;

pub(super) static SCALARS: ScalarTable = &[
    ("macaddr_eq", compare!(is_eq)),
    ("macaddr_ne", compare!(is_ne)),
    ("macaddr_lt", compare!(is_lt)),
    ("macaddr_le", compare!(is_le)),
    ("macaddr_gt", compare!(is_gt)),
    ("macaddr_ge", compare!(is_ge)),
    ("macaddr_cmp", |_, a| Ok(Datum::Int4(a[0].as_int8().cmp(&a[1].as_int8()) as i32))),
    ("macaddr_not", |_, a| Ok(Datum::Int8(!a[0].as_int8() & SIX_BYTES))),
    ("macaddr_and", |_, a| Ok(Datum::Int8(a[0].as_int8() & a[1].as_int8()))),
    ("macaddr_or", |_, a| Ok(Datum::Int8(a[0].as_int8() | a[1].as_int8()))),
    ("macaddr_trunc", |_, a| Ok(Datum::Int8(a[0].as_int8() & 0xffff_ff00_0000))),
    ("macaddr8_eq", compare!(is_eq)),
    ("macaddr8_ne", compare!(is_ne)),
    ("macaddr8_lt", compare!(is_lt)),
    ("macaddr8_le", compare!(is_le)),
    ("macaddr8_gt", compare!(is_gt)),
    ("macaddr8_ge", compare!(is_ge)),
    ("macaddr8_cmp", |_, a| Ok(Datum::Int4(a[0].as_int8().cmp(&a[1].as_int8()) as i32))),
    ("macaddr8_not", |_, a| Ok(eight(!value(&a[0])))),
    ("macaddr8_and", |_, a| Ok(eight(value(&a[0]) & value(&a[1])))),
    ("macaddr8_or", |_, a| Ok(eight(value(&a[0]) | value(&a[1])))),
    ("macaddr8_trunc", |_, a| Ok(eight(value(&a[0]) & 0xffff_ff00_0000_0000))),
    ("macaddr8_set7bit", |_, a| Ok(eight(value(&a[0]) | LOCAL_BIT))),
    ("macaddrtomacaddr8", |_, a| {
        let six = a[0].as_int8().cast_unsigned();
        Ok(eight((six >> 24) << 40 | 0xff_fe00_0000 | six & 0xff_ffff))
    }),
    ("macaddr8tomacaddr", |_, a| to_six(value(&a[0]))),
];

const fn value(datum: &Datum) -> u64 {
    match datum {
        Datum::Int8(number) => to_eight(*number),
        _ => 0,
    }
}

const fn eight(address: u64) -> Datum {
    Datum::Int8(from_eight(address))
}

fn to_six(address: u64) -> SqlResult<Datum> {
    if address >> 24 & 0xffff != 0xfffe {
        return Err(SqlError::new(
            SqlState::NumericValueOutOfRange,
            "macaddr8 data out of range to convert to macaddr",
        )
        .hint(
            "Only addresses that have FF and FE as values in the 4th and 5th bytes from the left, \
             for example xx:xx:xx:ff:fe:xx:xx:xx, are eligible to be converted from macaddr8 to \
             macaddr.",
        ));
    }
    Ok(Datum::Int8(((address >> 40) << 24 | address & 0xff_ffff).cast_signed()))
}
