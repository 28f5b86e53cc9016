//! Properties of stored rows: what is encoded comes back under every later layout, and bytes that
//! nobody wrote are an error or a value, never a panic. `proptest` prints its seed when one fails.

use aegis_catalog::{Column, RelationBody};
use aegis_types::Oid;
use aegis_types::jsonb::Jsonb;
use proptest::prelude::*;

use super::*;

/// One type of every way of being stored.
const TYPES: &[Oid] = &[
    type_oid::BOOL,
    type_oid::CHAR,
    type_oid::INT2,
    type_oid::INT4,
    type_oid::INT8,
    type_oid::FLOAT4,
    type_oid::FLOAT8,
    type_oid::NUMERIC,
    type_oid::TEXT,
    type_oid::VARCHAR,
    type_oid::BPCHAR,
    type_oid::NAME,
    type_oid::JSON,
    type_oid::BYTEA,
    type_oid::DATE,
    type_oid::TIME,
    type_oid::TIMETZ,
    type_oid::TIMESTAMP,
    type_oid::TIMESTAMPTZ,
    type_oid::INTERVAL,
    type_oid::UUID,
    type_oid::JSONB,
    type_oid::OID,
    type_oid::REGCLASS,
    type_oid::INT4_ARRAY,
    type_oid::TEXT_ARRAY,
];

fn value(oid: Oid) -> BoxedStrategy<Datum> {
    match oid {
        type_oid::BOOL => any::<bool>().prop_map(Datum::Bool).boxed(),
        type_oid::CHAR => any::<u8>().prop_map(Datum::Char).boxed(),
        type_oid::INT2 => any::<i16>().prop_map(Datum::Int2).boxed(),
        type_oid::INT4 => any::<i32>().prop_map(Datum::Int4).boxed(),
        type_oid::INT8 => any::<i64>().prop_map(Datum::Int8).boxed(),
        type_oid::FLOAT4 => any::<f32>().prop_map(Datum::Float4).boxed(),
        type_oid::FLOAT8 => any::<f64>().prop_map(Datum::Float8).boxed(),
        type_oid::NUMERIC => prop_oneof![Just("NaN".to_owned()), "-?[0-9]{1,30}(\\.[0-9]{1,30})?"]
            .prop_map(|text| Datum::Numeric(Numeric::parse(&text).unwrap()))
            .boxed(),
        type_oid::BYTEA => proptest::collection::vec(any::<u8>(), 0..20)
            .prop_map(|bytes| Datum::Bytea(bytes.into()))
            .boxed(),
        type_oid::DATE => any::<i32>().prop_map(Datum::Date).boxed(),
        type_oid::TIME => any::<i64>().prop_map(Datum::Time).boxed(),
        type_oid::TIMETZ => {
            any::<(i64, i32)>().prop_map(|(time, zone)| Datum::Timetz(time, zone)).boxed()
        }
        type_oid::TIMESTAMP => any::<i64>().prop_map(Datum::Timestamp).boxed(),
        type_oid::TIMESTAMPTZ => any::<i64>().prop_map(Datum::Timestamptz).boxed(),
        type_oid::INTERVAL => any::<(i32, i32, i64)>()
            .prop_map(|(months, days, microseconds)| {
                Datum::Interval(Interval { months, days, microseconds })
            })
            .boxed(),
        type_oid::UUID => any::<[u8; 16]>().prop_map(Datum::Uuid).boxed(),
        type_oid::JSON | type_oid::JSONB => "[a-z]{0,5}"
            .prop_flat_map(|word| (Just(word), any::<i32>()))
            .prop_map(move |(word, number)| {
                let text = format!("{{\"{word}\": [{number}, null, \"ä{word}\"]}}");
                match oid {
                    type_oid::JSON => Datum::text(text),
                    _ => Datum::Jsonb(Jsonb::parse(&text).unwrap()),
                }
            })
            .boxed(),
        type_oid::INT4_ARRAY | type_oid::TEXT_ARRAY => {
            let element = io::element_type(oid).unwrap();
            proptest::collection::vec(nullable(element), 0..4)
                .prop_map(move |elements| {
                    let array = aegis_types::datum::Array::one_dimensional(element, elements);
                    Datum::Array(array.into())
                })
                .boxed()
        }
        oid if is_oid_like(oid) => any::<u32>().prop_map(|oid| Datum::Oid(Oid(oid))).boxed(),
        _ => "\\PC{0,12}".prop_map(Datum::text).boxed(),
    }
}

fn nullable(oid: Oid) -> BoxedStrategy<Datum> {
    prop_oneof![1 => Just(Datum::Null), 4 => value(oid)].boxed()
}

/// A column, what rows without it show, and what a row with it holds.
#[derive(Clone, Debug)]
struct Drawn {
    ty: Oid,
    /// Whether it was added after the column before it.
    added_later: bool,
    dropped: bool,
    missing: Datum,
    value: Datum,
}

fn drawn() -> impl Strategy<Value = Drawn> {
    (proptest::sample::select(TYPES), any::<bool>(), 0..8).prop_flat_map(|(ty, later, dropped)| {
        (nullable(ty), nullable(ty)).prop_map(move |(missing, value)| Drawn {
            ty,
            added_later: later,
            dropped: dropped == 0,
            missing,
            value,
        })
    })
}

/// The table with the first `count` of these columns, as it was when the last of them was new.
fn table(columns: &[Drawn], count: usize, dropped: bool) -> Relation {
    let mut version = 0;
    let mut described = Vec::new();
    for (at, drawn) in columns[..count].iter().enumerate() {
        version += u16::from(drawn.added_later && at > 0);
        let mut missing = None;
        if version > 0 && !drawn.missing.is_null() {
            let mut bytes = Vec::new();
            encode_datum(drawn.ty, &drawn.missing, &mut bytes);
            missing = Some(bytes);
        }
        described.push(Column {
            number: i16::try_from(at + 1).unwrap(),
            name: format!("c{at}"),
            ty: TypeRef::plain(drawn.ty),
            not_null: false,
            default: None,
            identity: None,
            dropped: dropped && drawn.dropped,
            since_version: version,
            missing,
            ..Column::default()
        });
    }
    Relation {
        oid: Oid(1),
        database: Oid(1),
        schema: Oid(1),
        name: "t".to_owned(),
        owner: Oid(1),
        row_type: Oid(2),
        row_array_type: Oid(3),
        columns: described,
        options: Vec::new(),
        body: RelationBody::Table(TableBody {
            tree: 1,
            row_key: Vec::new(),
            row_version: version,
            indexes: Vec::new(),
            constraints: Vec::new(),
            referenced_by: Vec::new(),
            row_count: -1.0,
            ..TableBody::default()
        }),
        ..Relation::default()
    }
}

/// How many columns the table had at each of its versions.
fn counts(columns: &[Drawn]) -> Vec<usize> {
    let later = (1..columns.len()).filter(|at| columns[*at].added_later);
    later.chain([columns.len()]).collect()
}

fn encoded(columns: &[Drawn], count: usize) -> Vec<u8> {
    let layout = RowLayout::new(&table(columns, count, false));
    let row: Vec<Datum> = columns[..count].iter().map(|drawn| drawn.value.clone()).collect();
    let mut bytes = Vec::new();
    layout.encode(&row, &mut bytes).unwrap();
    bytes
}

/// Comparable also where NaN is not equal to itself.
fn printed(datum: &Datum) -> String {
    format!("{datum:?}")
}

/// Reads every column, and prints what is read.
fn read_all(layout: &RowLayout, bytes: &[u8]) {
    let settings = aegis_types::FormatSettings::default();
    for column in 0..layout.column_count() {
        if let Ok(datum) = layout.decode_column(bytes, column) {
            let mut out = Vec::new();
            let oid = layout.column_type(column).oid;
            io::text_out(oid, &datum, &storage_context(&settings), &mut out);
            io::binary_out(oid, &datum, &storage_context(&settings), &mut out);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn rows_of_every_version_are_read_under_the_newest(
        columns in proptest::collection::vec(drawn(), 1..20),
    ) {
        let newest = RowLayout::new(&table(&columns, columns.len(), true));
        for count in counts(&columns) {
            let bytes = encoded(&columns, count);
            let row = newest.decode(&bytes).unwrap();
            prop_assert_eq!(row.len(), columns.len());
            for (at, (read, drawn)) in row.iter().zip(&columns).enumerate() {
                let expected = if drawn.dropped {
                    &Datum::Null
                } else if at < count {
                    &drawn.value
                } else {
                    &drawn.missing
                };
                prop_assert_eq!(printed(read), printed(expected), "column {} of {}", at, count);
            }
        }
    }

    #[test]
    fn damaged_rows_are_refused_or_read_without_a_panic(
        columns in proptest::collection::vec(drawn(), 1..12),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in proptest::option::of(any::<prop::sample::Index>()),
        noise in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let layout = RowLayout::new(&table(&columns, columns.len(), true));
        let mut bytes = encoded(&columns, columns.len());
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        read_all(&layout, &bytes);
        read_all(&layout, &noise);
        // With a version that there is, the rest is looked at, too.
        let mut versioned = vec![0, 0];
        versioned.extend(noise);
        read_all(&layout, &versioned);
    }
}
