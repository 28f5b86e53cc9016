//! Every type: as text and binary going in, binary coming out, and printed by the simple protocol.

use std::error::Error;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::BytesMut;
use tokio_postgres::types::{Format, FromSql, IsNull, Kind, ToSql, Type};

use super::{Session, Target, sql_state, table_of_values, type_of};

/// Bytes of any type, in either format.
#[derive(Debug)]
struct Raw(Option<Vec<u8>>, bool);

impl Raw {
    fn text(text: &str) -> Self {
        Self(Some(text.as_bytes().to_vec()), true)
    }

    fn binary(bytes: &[u8]) -> Self {
        Self(Some(bytes.to_vec()), false)
    }
}

impl ToSql for Raw {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        Ok(match &self.0 {
            Some(bytes) => {
                out.extend_from_slice(bytes);
                IsNull::No
            }
            None => IsNull::Yes,
        })
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        if self.1 { Format::Text } else { Format::Binary }
    }

    tokio_postgres::types::to_sql_checked!();
}

/// Bytes of any type as they came.
struct Bytes(Vec<u8>);

impl<'a> FromSql<'a> for Bytes {
    fn from_sql(_: &Type, bytes: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(bytes.to_vec()))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Asks for a value in all ways.
async fn all_ways(session: &Session, type_name: &str, written: &str, printed: &str, binary: &[u8]) {
    let statement = session.prepare(&format!("SELECT $1::{type_name}")).await.unwrap();
    for parameter in [Raw::text(written), Raw::text(printed), Raw::binary(binary)] {
        let row = session.query_one(&statement, &[&parameter]).await;
        let row = row.unwrap_or_else(|error| panic!("{type_name} {parameter:?}: {error:?}"));
        let answer: Bytes = row.get(0);
        assert_eq!(answer.0, binary, "{type_name} {parameter:?}");
    }
    let simple = session.printed(&format!("SELECT {}::{type_name}", literal(written))).await;
    assert_eq!(simple, [printed], "{type_name} {written:?}");
}

#[tokio::test]
async fn every_value_is_the_same_in_all_ways() {
    let target = Target::new();
    let session = target.in_schema("rust_values").await;
    for line in table_of_values() {
        let type_name = &line.type_name;
        all_ways(&session, type_name, &line.written, &line.printed, &line.binary).await;
        for array in ["", "[]"] {
            let query = format!("SELECT $1::{type_name}{array}");
            let row = session.query_one(&query, &[&Raw(None, false)]).await.unwrap();
            assert!(row.get::<_, Option<Bytes>>(0).is_none(), "{type_name}{array}");
        }
    }
    let digits = "9876543210".repeat(100);
    let text = format!("-{digits}.{digits}");
    let binary: Bytes =
        session.query_one("SELECT $1::numeric", &[&Raw::text(&text)]).await.unwrap().get(0);
    all_ways(&session, "numeric", &text, &text, &binary.0).await;
}

#[tokio::test]
async fn stored_values_and_arrays_come_back() {
    let target = Target::new();
    let session = target.in_schema("rust_stored").await;
    let lines = table_of_values();
    let mut types: Vec<&str> = lines.iter().map(|line| &*line.type_name).collect();
    types.dedup();
    for (number, type_name) in types.into_iter().enumerate() {
        session
            .run(&format!("CREATE TABLE v{number} (id int, v {type_name}, a {type_name}[])"))
            .await;
        let insert = format!(
            "INSERT INTO v{number} VALUES ($1, $2::{type_name}, ARRAY[$2::{type_name}, NULL]) RETURNING v, a"
        );
        let insert = session.prepare(&insert).await.unwrap();
        let select = format!("SELECT v, a, v IS NULL, cardinality(a) FROM v{number} WHERE id = $1");
        let select = session.prepare(&select).await.unwrap();
        let of_type = lines.iter().filter(|line| line.type_name == type_name);
        for (at, line) in of_type.enumerate() {
            let id = i32::try_from(at).unwrap();
            let parameter = Raw::text(&line.printed);
            let returned = session.query_one(&insert, &[&id, &parameter]).await.unwrap();
            let stored = session.query_one(&select, &[&id]).await.unwrap();
            for row in [&returned, &stored] {
                assert_eq!(row.get::<_, Bytes>(0).0, line.binary, "{type_name} {}", line.printed);
                let Bytes(array) = row.get(1);
                let element = row.columns()[0].type_().oid();
                assert_eq!(array, array_of(element, &[Some(&line.binary), None]), "{type_name}[]");
            }
            assert_eq!((stored.get(2), stored.get(3)), (false, 2));
            let again = Raw::binary(&array_of(
                returned.columns()[0].type_().oid(),
                &[None, Some(&line.binary)],
            ));
            let query = format!("SELECT $1::{type_name}[] || v FROM v{number} WHERE id = $2");
            let row = session.query_one(&query, &[&again, &id]).await.unwrap();
            let element = returned.columns()[0].type_().oid();
            let expected = array_of(element, &[None, Some(&line.binary), Some(&line.binary)]);
            assert_eq!(row.get::<_, Bytes>(0).0, expected, "{type_name}[] || {type_name}");
        }
    }
}

/// The binary form of a one-dimensional array.
fn array_of(element: u32, values: &[Option<&Vec<u8>>]) -> Vec<u8> {
    let flags = u32::from(values.iter().any(Option::is_none));
    let count = u32::try_from(values.len()).unwrap();
    let mut bytes = Vec::new();
    for number in [1, flags, element, count, 1] {
        bytes.extend_from_slice(&number.to_be_bytes());
    }
    for value in values {
        match value {
            None => bytes.extend_from_slice(&(-1_i32).to_be_bytes()),
            Some(value) => {
                bytes.extend_from_slice(&u32::try_from(value.len()).unwrap().to_be_bytes());
                bytes.extend_from_slice(value);
            }
        }
    }
    bytes
}

/// Sends a value of Rust's own and expects it back, alone, as NULL and in an array.
async fn round_trip<T>(session: &Session, type_name: &str, values: Vec<T>)
where
    T: ToSql + for<'a> FromSql<'a> + PartialEq + std::fmt::Debug + Sync + Send + Clone,
{
    let one = session.prepare(&format!("SELECT $1::{type_name}")).await.unwrap();
    for value in &values {
        let back: T = session.query_one(&one, &[value]).await.unwrap().get(0);
        assert_eq!(&back, value, "{type_name}");
    }
    let back: Option<T> = session.query_one(&one, &[&None::<T>]).await.unwrap().get(0);
    assert_eq!(back, None, "{type_name}");
    let many = session.prepare(&format!("SELECT $1::{type_name}[]")).await.unwrap();
    let mut listed: Vec<Option<T>> = values.into_iter().map(Some).collect();
    listed.push(None);
    for list in [listed, Vec::new()] {
        let back: Vec<Option<T>> = session.query_one(&many, &[&list]).await.unwrap().get(0);
        assert_eq!(back, list, "{type_name}[]");
    }
}

#[tokio::test]
async fn values_of_rust_come_back() {
    let target = Target::new();
    let session = target.in_schema("rust_native").await;
    round_trip(&session, "bool", vec![true, false]).await;
    round_trip(&session, "\"char\"", vec![0_i8, 65]).await;
    round_trip(&session, "int2", vec![0_i16, i16::MIN, i16::MAX]).await;
    round_trip(&session, "int4", vec![0_i32, i32::MIN, i32::MAX]).await;
    round_trip(&session, "int8", vec![0_i64, i64::MIN, i64::MAX]).await;
    round_trip(&session, "oid", vec![0_u32, u32::MAX]).await;
    round_trip(&session, "float4", vec![0.1_f32, f32::MAX, f32::NEG_INFINITY]).await;
    round_trip(&session, "float8", vec![0.1_f64, f64::MAX, f64::MIN_POSITIVE, f64::INFINITY]).await;
    let texts = vec![String::new(), "a'\"\\{},ä→😀".to_owned(), "x".repeat(100_000)];
    round_trip(&session, "text", texts.clone()).await;
    round_trip(&session, "varchar", texts).await;
    round_trip(&session, "name", vec!["pg_type".to_owned()]).await;
    round_trip(&session, "bytea", vec![Vec::new(), (0..=255).collect::<Vec<u8>>()]).await;
    let moments = vec![
        UNIX_EPOCH,
        UNIX_EPOCH + Duration::from_micros(1_719_835_200_123_456),
        UNIX_EPOCH - Duration::from_secs(5_000_000_000),
    ];
    round_trip::<SystemTime>(&session, "timestamptz", moments.clone()).await;
    round_trip::<SystemTime>(&session, "timestamp", moments).await;
    let negative_zero: f64 =
        session.query_one("SELECT $1::float8", &[&-0.0_f64]).await.unwrap().get(0);
    assert!(negative_zero == 0.0 && negative_zero.is_sign_negative());
    let nan: f32 = session.query_one("SELECT $1::float4", &[&f32::NAN]).await.unwrap().get(0);
    assert!(nan.is_nan());
}

#[tokio::test]
async fn types_are_described() {
    let target = Target::new();
    let session = target.in_schema("rust_described").await;
    session.run("CREATE TABLE t (id int, name varchar(7), price numeric(8,2), tags text[])").await;
    let statement = session
        .prepare("SELECT name, price, tags, id + 1, t FROM t WHERE id = $1 AND name = ANY($2)")
        .await
        .unwrap();
    assert_eq!(statement.params(), [Type::INT4, type_of(1009)]);
    let columns = statement.columns();
    let names: Vec<&str> = columns.iter().map(tokio_postgres::Column::name).collect();
    assert_eq!(names, ["name", "price", "tags", "?column?", "t"]);
    let relation: u32 = session.value("SELECT 't'::regclass::oid").await;
    let origins: Vec<_> = columns.iter().map(|c| (c.table_oid(), c.column_id())).collect();
    let known = |column| (Some(relation), Some(column));
    assert_eq!(origins, [known(2), known(3), known(4), (None, None), (Some(relation), None)]);
    let modifiers: Vec<i32> = columns.iter().map(tokio_postgres::Column::type_modifier).collect();
    assert_eq!(modifiers, [11, (8 << 16) + 2 + 4, -1, -1, -1]);
    // tokio-postgres asks pg_type, pg_attribute and their like what a row of t is.
    let Kind::Composite(fields) = columns[4].type_().kind() else {
        panic!("{:?} is a row", columns[4].type_())
    };
    let fields: Vec<_> = fields.iter().map(|field| (field.name(), field.type_().name())).collect();
    assert_eq!(
        fields,
        [("id", "int4"), ("name", "varchar"), ("price", "numeric"), ("tags", "_text")]
    );
}

#[tokio::test]
async fn types_of_parameters_are_inferred_or_given() {
    let target = Target::new();
    let session = target.in_schema("rust_inferred").await;
    session.run("CREATE TABLE t (i int2, d date, x text, j jsonb, u uuid)").await;
    for (query, types) in [
        (
            "INSERT INTO t VALUES ($1, $2, $3, $4, $5)",
            vec!["int2", "date", "text", "jsonb", "uuid"],
        ),
        ("SELECT * FROM t WHERE i = $1 AND d BETWEEN $2 AND now()", vec!["int2", "date"]),
        ("SELECT $1 + 1, $2 || 'x', $3 AND true", vec!["int4", "text", "bool"]),
        ("SELECT * FROM t LIMIT $1 OFFSET $2", vec!["int8", "int8"]),
        (
            "SELECT coalesce(x, $1), CASE WHEN $2 THEN i ELSE $3 END FROM t",
            vec!["text", "bool", "int2"],
        ),
        ("SELECT x IN ($1, $2), i = ANY($3) FROM t", vec!["text", "text", "_int2"]),
        ("UPDATE t SET i = $2 WHERE x LIKE $1", vec!["text", "int2"]),
        ("SELECT $1", vec!["text"]),
        ("VALUES ($1, 1), ('x', $2)", vec!["text", "int4"]),
        ("SELECT j -> $1, j ->> $2 FROM t", vec!["text", "text"]),
        ("SELECT now() - $1, now() + $2", vec!["timestamptz", "interval"]),
        ("SELECT generate_series(1, $1)", vec!["int4"]),
    ] {
        let statement = session.prepare(query).await;
        let statement = statement.unwrap_or_else(|error| panic!("{query}: {error:?}"));
        let names: Vec<&str> = statement.params().iter().map(Type::name).collect();
        assert_eq!(names, types, "{query}");
    }
    let statement = session.prepare_typed("SELECT $1 + $2", &[Type::INT8]).await.unwrap();
    assert_eq!(statement.params(), [Type::INT8, Type::INT8]);
    let row = session.query_typed("SELECT $1 / 4", &[(&7.0_f64, Type::FLOAT8)]).await.unwrap();
    assert_eq!(row[0].get::<_, f64>(0), 1.75);
    assert_eq!(sql_state(session.prepare("SELECT pg_typeof($1)").await), "42P18");
    assert_eq!(sql_state(session.prepare("SELECT $1 + $2").await), "42725");
    assert_eq!(sql_state(session.prepare("INSERT INTO t (i, x) VALUES ($1, $1)").await), "42P08");
}
