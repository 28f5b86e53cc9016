//! Values through sqlx, which sends and takes everything in binary: out, back, and as text.

use std::fmt::Debug;
use std::str::FromStr;

use bigdecimal::BigDecimal;
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use ipnetwork::IpNetwork;
use serde_json::{Value, json};
use sqlx::postgres::PgPool;
use sqlx::postgres::types::{PgBox, PgInterval, PgLSeg, PgMoney, PgPoint, PgRange, PgTimeTz};
use sqlx::types::Json;
use sqlx::{Column, FromRow, Row, TypeInfo};
use uuid::Uuid;

use crate::support::pool;

/// A value goes out, is read by the server as this literal is, and comes back.
async fn travels<T>(pool: &PgPool, ty: &str, literal: &str, value: T)
where
    T: Clone + Debug + PartialEq + Send + Sync + Unpin + 'static,
    T: for<'q> sqlx::Encode<'q, sqlx::Postgres> + for<'r> sqlx::Decode<'r, sqlx::Postgres>,
    T: sqlx::Type<sqlx::Postgres>,
{
    let sql = format!("SELECT $1::{ty}, {literal}::{ty}, $1::{ty}::text = {literal}::{ty}::text");
    let row = sqlx::query(&sql).bind(value.clone()).fetch_one(pool).await;
    let row = row.unwrap_or_else(|error| panic!("{ty} {literal}: {error}"));
    assert_eq!(row.get::<T, _>(0), value, "{ty} {literal}");
    assert_eq!(row.get::<T, _>(1), value, "{ty} {literal}");
    assert!(row.get::<bool, _>(2), "{ty} {literal}");
    let sql = format!("SELECT $1::{ty} IS NULL, NULL::{ty}");
    let row = sqlx::query(&sql).bind(None::<T>).fetch_one(pool).await.unwrap();
    assert!(row.get::<bool, _>(0), "{ty}");
    assert_eq!(row.get::<Option<T>, _>(1), None, "{ty}");
}

#[tokio::test(flavor = "multi_thread")]
async fn values_go_out_and_come_back() {
    let pool = &pool("sqlx_values").await;
    travels(pool, "bool", "'t'", true).await;
    travels(pool, "int2", "'-32768'", i16::MIN).await;
    travels(pool, "int4", "2147483647", i32::MAX).await;
    travels(pool, "int8", "'-9223372036854775808'", i64::MIN).await;
    travels(pool, "float4", "'-1.5e-10'", -1.5e-10_f32).await;
    travels(pool, "float8", "'Infinity'", f64::INFINITY).await;
    travels(pool, "text", "E'gr\\u00fc\\u00df dich\\n'", "grüß dich\n".to_owned()).await;
    travels(pool, "varchar(5)", "'abc'", "abc".to_owned()).await;
    travels(pool, "\"char\"", "'x'", b'x' as i8).await;
    travels(pool, "bytea", "'\\x00ff10'", vec![0_u8, 255, 16]).await;
    travels(pool, "uuid", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", {
        Uuid::from_str("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11").unwrap()
    })
    .await;
    for number in ["0", "-0.00010", "123456789012345678901234567890.5", "1e20", "99990000"] {
        let value = BigDecimal::from_str(number).unwrap();
        let sql = format!("SELECT $1::numeric, '{number}'::numeric, $1::numeric = {number}");
        let row = sqlx::query(&sql).bind(value.clone()).fetch_one(pool).await.unwrap();
        assert_eq!(row.get::<BigDecimal, _>(0), value);
        assert_eq!(row.get::<BigDecimal, _>(1), value);
        assert!(row.get::<bool, _>(2), "{number}");
    }
    travels(pool, "inet", "'10.1.2.3/8'", IpNetwork::from_str("10.1.2.3/8").unwrap()).await;
    travels(pool, "cidr", "'fe80::/64'", IpNetwork::from_str("fe80::/64").unwrap()).await;
    travels(pool, "jsonb", "'{\"a\": [1, null]}'", json!({"a": [1, null]})).await;
    // It is sent as jsonb, and cast.
    travels(pool, "json", "'[1, \"x\"]'", json!([1, "x"])).await;
    travels(pool, "money", "'-12.34'", PgMoney(-1234)).await;
    travels(pool, "point", "'(1.5,-2)'", PgPoint { x: 1.5, y: -2.0 }).await;
    travels(pool, "int4[]", "'{1,2,3}'", vec![1_i32, 2, 3]).await;
    travels(pool, "text[]", "'{a,\"b c\",\"\"}'", {
        ["a", "b c", ""].map(str::to_owned).to_vec()
    })
    .await;
    travels(pool, "int8[]", "'{1,NULL}'", vec![Some(1_i64), None]).await;
    travels(pool, "uuid[]", "'{}'", Vec::<Uuid>::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn times_go_out_and_come_back() {
    let pool = &pool("sqlx_times").await;
    let date = NaiveDate::from_ymd_opt(2024, 2, 29).unwrap();
    travels(pool, "date", "'2024-02-29'", date).await;
    travels(pool, "date", "'0001-01-01'", NaiveDate::from_ymd_opt(1, 1, 1).unwrap()).await;
    let time = NaiveTime::from_hms_micro_opt(23, 59, 58, 123_456).unwrap();
    travels(pool, "time", "'23:59:58.123456'", time).await;
    let stamp: NaiveDateTime = date.and_time(time);
    travels(pool, "timestamp", "'2024-02-29 23:59:58.123456'", stamp).await;
    let instant: DateTime<Utc> = stamp.and_utc();
    travels(pool, "timestamptz", "'2024-02-29 23:59:58.123456+00'", instant).await;
    travels(pool, "interval", "'1 year 2 days 00:00:03'", {
        PgInterval { months: 12, days: 2, microseconds: 3_000_000 }
    })
    .await;
    travels(pool, "timetz", "'12:30:00+02'", {
        PgTimeTz {
            time: NaiveTime::from_hms_opt(12, 30, 0).unwrap(),
            offset: chrono::FixedOffset::east_opt(2 * 3600).unwrap(),
        }
    })
    .await;
    travels(pool, "timestamptz[]", "'{2024-02-29 23:59:58.123456+00}'", vec![instant]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_and_shapes_go_out_and_come_back() {
    let pool = &pool("sqlx_ranges").await;
    let row = sqlx::query("SELECT '[1,5)'::int4range, '(,3]'::int8range, '[1.5,2.5]'::numrange");
    // Ranges may not be there; then the server says so, and does not answer something else.
    match row.fetch_one(pool).await {
        Ok(row) => {
            assert_eq!(row.get::<PgRange<i32>, _>(0), PgRange::from(1..5));
            assert_eq!(row.get::<PgRange<i64>, _>(1), PgRange::from(..4));
            travels(pool, "int4range", "'[1,5)'", PgRange::from(1..5)).await;
        }
        Err(error) => {
            let code = error.as_database_error().unwrap().code().unwrap();
            assert_eq!(code, "0A000");
        }
    }
    for (ty, literal) in [("lseg", "[(1,2),(3,4)]"), ("box", "(3,4),(1,2)")] {
        let sql = format!("SELECT '{literal}'::{ty}");
        match (sqlx::query(&sql).fetch_one(pool).await, ty) {
            (Ok(row), "lseg") => {
                let shape: PgLSeg = row.get(0);
                assert_eq!((shape.start_x, shape.end_y), (1.0, 4.0));
            }
            (Ok(row), _) => {
                let shape: PgBox = row.get(0);
                assert_eq!((shape.upper_right_x, shape.lower_left_y), (3.0, 2.0));
            }
            (Err(error), _) => {
                assert_eq!(error.as_database_error().unwrap().code().unwrap(), "0A000");
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, sqlx::Type)]
#[sqlx(type_name = "weather", rename_all = "lowercase")]
enum Weather {
    Sun,
    Rain,
}

#[derive(Clone, Debug, PartialEq, sqlx::Type)]
#[sqlx(type_name = "place")]
struct Place {
    name: String,
    height: Option<i32>,
}

#[derive(Debug, PartialEq, FromRow)]
struct Report {
    id: i64,
    #[sqlx(rename = "sky")]
    weather: Weather,
    place: Option<Place>,
    extra: Json<Vec<i32>>,
    #[sqlx(default)]
    absent: i32,
}

#[tokio::test(flavor = "multi_thread")]
async fn types_of_ones_own_are_found_by_name() {
    let pool = pool("sqlx_own_types").await;
    sqlx::raw_sql(
        "CREATE TYPE weather AS ENUM ('sun', 'rain'); \
         CREATE TYPE place AS (name text, height int); \
         CREATE DOMAIN positive AS int CHECK (VALUE > 0); \
         CREATE TABLE report (id bigint GENERATED BY DEFAULT AS IDENTITY, sky weather NOT NULL, \
             place place, extra jsonb NOT NULL DEFAULT '[]', seen weather[], much positive)",
    )
    .execute(&pool)
    .await
    .unwrap();
    let home = Place { name: "a (b), \"c\"".to_owned(), height: None };
    let id: i64 = sqlx::query_scalar(
        "INSERT INTO report (sky, place, extra, seen, much) VALUES ($1, $2, $3, $4, $5) RETURNING id",
    )
    .bind(Weather::Rain)
    .bind(&home)
    .bind(Json(vec![1, 2]))
    .bind(vec![Weather::Sun, Weather::Rain])
    .bind(7)
    .fetch_one(&pool)
    .await
    .unwrap();
    let report: Report =
        sqlx::query_as("SELECT id, sky, place, extra FROM report WHERE sky = $1 AND id = $2")
            .bind(Weather::Rain)
            .bind(id)
            .fetch_one(&pool)
            .await
            .unwrap();
    let extra = Json(vec![1, 2]);
    let expected = Report { id, weather: Weather::Rain, place: Some(home), extra, absent: 0 };
    assert_eq!(report, expected);
    let row = sqlx::query("SELECT seen, much, (place).name FROM report").fetch_one(&pool).await;
    let row = row.unwrap();
    assert_eq!(row.get::<Vec<Weather>, _>("seen"), [Weather::Sun, Weather::Rain]);
    assert_eq!(row.try_get_unchecked::<i32, _>("much").unwrap(), 7);
    assert_eq!(row.column(0).type_info().name(), "weather[]");
    let error = sqlx::query("INSERT INTO report (sky, much) VALUES ('sun', -1)");
    let error = error.execute(&pool).await.unwrap_err().into_database_error().unwrap();
    assert!(error.is_check_violation());
    assert_eq!(error.constraint(), Some("positive_check"));
    let unknown = sqlx::query("SELECT $1::weather").bind("hail").fetch_one(&pool).await;
    assert_eq!(unknown.unwrap_err().as_database_error().unwrap().code().unwrap(), "22P02");
}

#[tokio::test(flavor = "multi_thread")]
async fn dynamic_rows_tell_their_columns() {
    let pool = pool("sqlx_columns").await;
    let row = sqlx::query("SELECT 1 AS \"One\", 'x' AS two, NULL AS three, now() AS four");
    let row = row.fetch_one(&pool).await.unwrap();
    let columns: Vec<(&str, &str)> =
        row.columns().iter().map(|column| (column.name(), column.type_info().name())).collect();
    let expected =
        [("One", "INT4"), ("two", "TEXT"), ("three", "TEXT"), ("four", "TIMESTAMPTZ")];
    assert_eq!(columns, expected);
    assert!(row.try_get::<String, _>("One").is_err());
    assert_eq!(row.try_get::<Option<Value>, _>(7).unwrap_err().to_string(), {
        "column index out of bounds: the len is 4, but the index is 7"
    });
}
