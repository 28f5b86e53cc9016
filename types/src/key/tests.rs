//! Properties of keys: the order of the bytes is the order of the datums, keys of several columns
//! concatenate, and what is lossless comes back. `proptest` prints its seed when one fails.

use std::cmp::Ordering;

use proptest::prelude::*;

use super::*;
use crate::interval::Interval;
use crate::jsonb::Jsonb;
use crate::numeric::Numeric;

fn floats() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>(),
        Just(0.0),
        Just(-0.0),
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(f64::NEG_INFINITY),
    ]
}

fn short_text() -> impl Strategy<Value = Datum> {
    proptest::collection::vec(
        prop_oneof![Just('\u{1}'), Just(' '), Just('a'), Just('b'), Just('ä')],
        0..5,
    )
    .prop_map(|characters| Datum::text(characters.into_iter().collect::<String>()))
}

fn value(type_oid: Oid) -> BoxedStrategy<Datum> {
    match type_oid {
        t::BOOL => any::<bool>().prop_map(Datum::Bool).boxed(),
        t::INT2 => any::<i16>().prop_map(Datum::Int2).boxed(),
        t::INT4 => any::<i32>().prop_map(Datum::Int4).boxed(),
        t::INT8 => any::<i64>().prop_map(Datum::Int8).boxed(),
        t::FLOAT4 => floats().prop_map(|value| Datum::Float4(value as f32)).boxed(),
        t::FLOAT8 => floats().prop_map(Datum::Float8).boxed(),
        t::TEXT | t::VARCHAR | t::BPCHAR | t::NAME => short_text().boxed(),
        t::BYTEA => proptest::collection::vec(0_u8..4, 0..5)
            .prop_map(|bytes| Datum::Bytea(bytes.into()))
            .boxed(),
        t::CHAR => any::<u8>().prop_map(Datum::Char).boxed(),
        t::DATE => any::<i32>().prop_map(Datum::Date).boxed(),
        t::TIME => (0..=86_400_000_000_i64).prop_map(Datum::Time).boxed(),
        t::TIMESTAMP => any::<i64>().prop_map(Datum::Timestamp).boxed(),
        t::TIMESTAMPTZ => any::<i64>().prop_map(Datum::Timestamptz).boxed(),
        t::TIMETZ => (0..5_i64, -3..3_i32)
            .prop_map(|(hours, zone)| Datum::Timetz(hours * 3_600_000_000, zone * 3600))
            .boxed(),
        t::INTERVAL => (-3..3_i32, -90..90_i32, any::<i64>())
            .prop_map(|(months, days, microseconds)| {
                Datum::Interval(Interval { months, days, microseconds })
            })
            .boxed(),
        t::NUMERIC => prop_oneof![
            Just("NaN".to_owned()),
            Just("-Infinity".to_owned()),
            "-?[0-9]{1,9}(\\.[0-9]{1,9})?",
        ]
        .prop_map(|text| Datum::Numeric(Numeric::parse(&text).unwrap()))
        .boxed(),
        t::JSONB => proptest::sample::select(
            &[
                "null",
                "true",
                "0",
                "-1.50",
                "\"a\"",
                "\"ab\"",
                "[]",
                "[1]",
                "[1,2]",
                "[[]]",
                "{}",
                "{\"a\":1}",
                "{\"a\":2}",
                "{\"bb\":1}",
                "{\"a\":1,\"b\":[]}",
            ][..],
        )
        .prop_map(|text| Datum::Jsonb(Jsonb::parse(text).unwrap()))
        .boxed(),
        t::UUID => any::<[u8; 16]>().prop_map(Datum::Uuid).boxed(),
        t::OID | t::REGCLASS | t::REGTYPE => {
            any::<u32>().prop_map(|oid| Datum::Oid(Oid(oid))).boxed()
        }
        t::OIDVECTOR => proptest::collection::vec(any::<u32>(), 0..4)
            .prop_map(|oids| {
                let elements = oids.into_iter().map(|oid| Datum::Oid(Oid(oid))).collect();
                Datum::Array(Array::one_dimensional(t::OID, elements).into())
            })
            .boxed(),
        t::RECORD => {
            (nullable(t::INT4), nullable(t::TEXT)).prop_map(|(a, b)| Datum::record([a, b])).boxed()
        }
        array => {
            let element = element_type(array).expect("every other type here is an array");
            (proptest::collection::vec(nullable(element), 0..4), -1..2_i32)
                .prop_map(move |(elements, lower)| {
                    let mut array = Array::one_dimensional(element, elements);
                    array.dimensions.iter_mut().for_each(|dimension| dimension.lower = lower);
                    Datum::Array(array.into())
                })
                .boxed()
        }
    }
}

fn nullable(type_oid: Oid) -> BoxedStrategy<Datum> {
    prop_oneof![1 => Just(Datum::Null), 4 => value(type_oid)].boxed()
}

const TYPES: &[Oid] = &[
    t::BOOL,
    t::INT2,
    t::INT4,
    t::INT8,
    t::FLOAT4,
    t::FLOAT8,
    t::TEXT,
    t::VARCHAR,
    t::BPCHAR,
    t::NAME,
    t::BYTEA,
    t::CHAR,
    t::DATE,
    t::TIME,
    t::TIMETZ,
    t::TIMESTAMP,
    t::TIMESTAMPTZ,
    t::INTERVAL,
    t::NUMERIC,
    t::JSONB,
    t::UUID,
    t::OID,
    t::REGCLASS,
    t::REGTYPE,
    t::OIDVECTOR,
    t::RECORD,
    t::BOOL_ARRAY,
    t::INT4_ARRAY,
    t::FLOAT8_ARRAY,
    t::NUMERIC_ARRAY,
    t::TEXT_ARRAY,
    t::BPCHAR_ARRAY,
    t::BYTEA_ARRAY,
    t::TIMETZ_ARRAY,
    t::INTERVAL_ARRAY,
    t::JSONB_ARRAY,
    t::UUID_ARRAY,
];

fn two_columns() -> impl Strategy<Value = (Oid, Oid, [Datum; 2], [Datum; 2], [bool; 2])> {
    (proptest::sample::select(TYPES), proptest::sample::select(TYPES)).prop_flat_map(|(a, b)| {
        let row = || (nullable(a), nullable(b)).prop_map(|(a, b)| [a, b]);
        (Just(a), Just(b), row(), row(), any::<[bool; 2]>())
    })
}

fn key(types: [Oid; 2], row: &[Datum; 2], flags: [bool; 2]) -> Vec<u8> {
    let mut out = Vec::new();
    for (type_oid, value) in types.into_iter().zip(row) {
        encode(type_oid, value, flags[0], flags[1], &mut out).unwrap();
    }
    out
}

fn expected(type_oid: Oid, left: &Datum, right: &Datum, flags: [bool; 2]) -> Ordering {
    let [descending, nulls_first] = flags;
    match (left.is_null(), right.is_null()) {
        (true, true) => Ordering::Equal,
        (true, false) if nulls_first => Ordering::Less,
        (true, false) => Ordering::Greater,
        (false, true) if nulls_first => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => {
            let order = compare::compare(type_oid, left, right);
            if descending { order.reverse() } else { order }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn order_of_bytes_is_order_of_rows((a, b, left, right, flags) in two_columns()) {
        let order = expected(a, &left[0], &right[0], flags)
            .then_with(|| expected(b, &left[1], &right[1], flags));
        prop_assert_eq!(key([a, b], &left, flags).cmp(&key([a, b], &right, flags)), order);
    }

    #[test]
    fn lossless_columns_come_back((a, b, row, _, flags) in two_columns()) {
        let bytes = key([a, b], &row, flags);
        let mut rest = bytes.as_slice();
        for (type_oid, value) in [(a, &row[0]), (b, &row[1])] {
            if !is_lossless(type_oid) {
                break;
            }
            let decoded = decode(type_oid, flags[0], &mut rest).unwrap();
            prop_assert_eq!(format!("{decoded:?}"), format!("{value:?}"));
        }
    }

    #[test]
    fn skipping_a_column_finds_the_next((a, b, row, _, flags) in two_columns()) {
        let bytes = key([a, b], &row, flags);
        let mut rest = bytes.as_slice();
        if is_skippable(a) {
            skip(a, flags[0], &mut rest).unwrap();
            let mut alone = Vec::new();
            encode(a, &row[0], flags[0], flags[1], &mut alone).unwrap();
            prop_assert_eq!(rest, &bytes[alone.len()..]);
        }
    }

    #[test]
    fn damaged_keys_are_refused_without_a_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..40),
        type_oid in proptest::sample::select(TYPES),
        descending in any::<bool>(),
    ) {
        let _ = decode(type_oid, descending, &mut bytes.as_slice());
        let _ = skip(type_oid, descending, &mut bytes.as_slice());
    }
}
