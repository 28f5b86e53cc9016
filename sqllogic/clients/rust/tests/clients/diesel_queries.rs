//! Queries and values through diesel: its macros, its expressions, its types.

use std::str::FromStr;

use bigdecimal::BigDecimal;
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use diesel::deserialize::{self, FromSql};
use diesel::dsl::{count_star, exists, max, sql, sum};
use diesel::pg::{Pg, PgValue};
use diesel::prelude::*;
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::{
    Array, BigInt, Bool, Bytea, Date, Double, Float, Inet, Integer, Interval, Jsonb, Nullable,
    Numeric, Range, SmallInt, Text, Time, Timestamp, Timestamptz,
};
use diesel::upsert::excluded;
use diesel::{AsExpression, FromSqlRow};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
// The version that diesel knows is newer than the one of sqlx.
use ipnetwork_newer::IpNetwork;
use serde_json::json;
use uuid::Uuid;

use crate::support::diesel as in_schema;

pub(crate) const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/diesel");

#[derive(diesel::sql_types::SqlType, diesel::query_builder::QueryId)]
#[diesel(postgres_type(name = "color"))]
pub struct ColorType;

#[derive(AsExpression, Clone, Copy, Debug, FromSqlRow, PartialEq)]
#[diesel(sql_type = ColorType)]
pub(crate) enum Color {
    Red,
    Green,
}

impl ToSql<ColorType, Pg> for Color {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        use std::io::Write;
        out.write_all(if *self == Self::Red { b"red" } else { b"green" })?;
        Ok(IsNull::No)
    }
}

impl FromSql<ColorType, Pg> for Color {
    fn from_sql(bytes: PgValue<'_>) -> deserialize::Result<Self> {
        match bytes.as_bytes() {
            b"red" => Ok(Self::Red),
            b"green" => Ok(Self::Green),
            other => Err(format!("no color: {other:?}").into()),
        }
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::ColorType;

    people (id) {
        id -> Integer,
        name -> Varchar,
        favourite -> Nullable<ColorType>,
        created_at -> Timestamp,
    }
}

diesel::table! {
    posts (id) {
        id -> BigInt,
        person_id -> Integer,
        title -> Text,
        body -> Jsonb,
        tags -> Array<Text>,
        score -> Numeric,
        published -> Bool,
    }
}

diesel::joinable!(posts -> people (person_id));
diesel::allow_tables_to_appear_in_same_query!(people, posts);

#[derive(Clone, Debug, Identifiable, PartialEq, Queryable, Selectable)]
#[diesel(table_name = people)]
struct Person {
    id: i32,
    name: String,
    favourite: Option<Color>,
}

#[derive(Insertable)]
#[diesel(table_name = people)]
struct NewPerson<'a> {
    name: &'a str,
    favourite: Option<Color>,
}

#[derive(Associations, Clone, Debug, Identifiable, PartialEq, Queryable, Selectable)]
#[diesel(belongs_to(Person), table_name = posts)]
struct Post {
    id: i64,
    person_id: i32,
    title: String,
    body: serde_json::Value,
    tags: Vec<String>,
    score: BigDecimal,
}

#[derive(AsChangeset)]
#[diesel(table_name = posts)]
struct Change {
    title: Option<String>,
    published: Option<bool>,
}

/// A schema with two people; the first has two posts.
fn filled(schema: &str) -> PgConnection {
    let mut connection = in_schema(schema);
    connection.run_pending_migrations(MIGRATIONS).unwrap();
    let new = [
        NewPerson { name: "Ann", favourite: Some(Color::Green) },
        NewPerson { name: "Bob", favourite: None },
    ];
    let people: Vec<Person> = diesel::insert_into(people::table)
        .values(&new)
        .returning(Person::as_returning())
        .get_results(&mut connection)
        .unwrap();
    assert_eq!(people[0].favourite, Some(Color::Green));
    let posts: Vec<_> = [("one", "1.50"), ("two", "2.25")]
        .iter()
        .map(|(title, score)| {
            (
                posts::person_id.eq(people[0].id),
                posts::title.eq(*title),
                posts::body.eq(json!({"title": title})),
                posts::tags.eq(vec!["a", title]),
                posts::score.eq(BigDecimal::from_str(score).unwrap()),
            )
        })
        .collect();
    let inserted = diesel::insert_into(posts::table).values(&posts).execute(&mut connection);
    assert_eq!(inserted, Ok(2));
    connection
}

#[test]
fn rows_are_found_joined_and_grouped() {
    let connection = &mut filled("diesel_queries");
    let people: Vec<Person> =
        people::table.order(people::name).select(Person::as_select()).load(connection).unwrap();
    assert_eq!(people.len(), 2);
    let posts =
        Post::belonging_to(&people).select(Post::as_select()).load(connection).unwrap();
    let grouped: Vec<Vec<Post>> = posts.grouped_by(&people);
    assert_eq!((grouped[0].len(), grouped[1].len()), (2, 0));
    assert_eq!(grouped[0][0].tags, ["a", "one"]);
    assert_eq!(grouped[0][1].body, json!({"title": "two"}));
    let joined: Vec<(String, Option<String>)> = people::table
        .left_join(posts::table)
        .filter(people::name.like("%b").or(posts::title.eq_any(["one", "none"])))
        .order((people::name.asc(), posts::title.desc().nulls_last()))
        .select((people::name, posts::title.nullable()))
        .load(connection)
        .unwrap();
    let named = |name: &str, title: Option<&str>| (name.to_owned(), title.map(str::to_owned));
    assert_eq!(joined, [named("Ann", Some("one")), named("Bob", None)]);
    let totals: Vec<(i32, i64, Option<BigDecimal>)> = posts::table
        .group_by(posts::person_id)
        .select((posts::person_id, count_star(), sum(posts::score)))
        .having(count_star().gt(1))
        .load(connection)
        .unwrap();
    assert_eq!(totals, [(people[0].id, 2, Some(BigDecimal::from_str("3.75").unwrap()))]);
    let writers: i64 = people::table
        .filter(exists(posts::table.filter(posts::person_id.eq(people::id))))
        .count()
        .get_result(connection)
        .unwrap();
    assert_eq!(writers, 1);
    let last: Option<i64> = posts::table.select(max(posts::id)).first(connection).unwrap();
    assert_eq!(last, Some(2));
    let tagged: Vec<String> = posts::table
        .filter(posts::tags.contains(vec!["one"]).and(posts::body.contains(json!({"title": "one"}))))
        .select(posts::title)
        .load(connection)
        .unwrap();
    assert_eq!(tagged, ["one"]);
    let distinct: Vec<i32> = posts::table
        .distinct_on(posts::person_id)
        .order((posts::person_id, posts::id.desc()))
        .select(posts::person_id)
        .load(connection)
        .unwrap();
    assert_eq!(distinct.len(), 1);
    let none = people::table.find(-1).select(Person::as_select()).first(connection);
    assert_eq!(none.optional().unwrap(), None::<Person>);
    let locked: Vec<i32> = people::table
        .select(people::id)
        .order(people::id)
        .limit(1)
        .offset(1)
        .for_update()
        .skip_locked()
        .load(connection)
        .unwrap();
    assert_eq!(locked, [people[1].id]);
    let both: Vec<String> = people::table
        .select(people::name)
        .union_all(posts::table.select(posts::title))
        .load(connection)
        .unwrap();
    assert_eq!(both.len(), 4);
}

#[test]
fn rows_are_changed_and_replaced() {
    let connection = &mut filled("diesel_changes");
    let change = Change { title: None, published: Some(true) };
    let changed = diesel::update(posts::table.filter(posts::title.ne("two"))).set(&change);
    assert_eq!(changed.execute(connection), Ok(1));
    let titles: Vec<String> = posts::table
        .filter(posts::published)
        .select(posts::title)
        .load(connection)
        .unwrap();
    assert_eq!(titles, ["one"]);
    let upserted: (String, Option<Color>) = diesel::insert_into(people::table)
        .values(NewPerson { name: "Ann", favourite: Some(Color::Red) })
        .on_conflict(people::name)
        .do_update()
        .set(people::favourite.eq(excluded(people::favourite)))
        .returning((people::name, people::favourite))
        .get_result(connection)
        .unwrap();
    assert_eq!(upserted, ("Ann".to_owned(), Some(Color::Red)));
    let ignored = diesel::insert_into(people::table)
        .values(NewPerson { name: "Bob", favourite: None })
        .on_conflict_do_nothing()
        .execute(connection);
    assert_eq!(ignored, Ok(0));
    let raised = diesel::update(posts::table)
        .set(posts::score.eq(posts::score + BigDecimal::from(1)))
        .returning(posts::score)
        .get_results::<BigDecimal>(connection)
        .unwrap();
    assert_eq!(raised.len(), 2);
    let copied = posts::table
        .select((posts::person_id, posts::title.concat(" copied")))
        .insert_into(posts::table)
        .into_columns((posts::person_id, posts::title))
        .execute(connection);
    assert_eq!(copied, Ok(2));
    let deleted: Vec<String> = diesel::delete(posts::table.filter(posts::title.like("% copied")))
        .returning(posts::title)
        .get_results(connection)
        .unwrap();
    assert_eq!(deleted.len(), 2);
    let defaulted: i64 = diesel::insert_into(posts::table)
        .values((posts::person_id.eq(1), posts::title.eq("three")))
        .returning(posts::id)
        .get_result(connection)
        .unwrap();
    assert_eq!(defaulted, 5);
}

/// A value of a type of SQL goes out, is what this literal is, and comes back.
macro_rules! travels {
    ($connection:expr, $ty:ty, $rust:ty, $sql:literal, $value:expr) => {{
        let value: $rust = $value;
        let query = diesel::select((
            value.clone().into_sql::<$ty>(),
            sql::<$ty>($sql),
            sql::<Bool>("").bind::<$ty, _>(value.clone()).sql(concat!(" = ", $sql)),
        ));
        let found: ($rust, $rust, bool) = query.get_result($connection).unwrap_or_else(|error| panic!("{}: {error}", $sql));
        assert_eq!(found, (value.clone(), value, true), "{}", $sql);
        let none = diesel::select(None::<$rust>.into_sql::<Nullable<$ty>>());
        assert_eq!(none.get_result::<Option<$rust>>($connection), Ok(None), "{}", $sql);
    }};
}

#[test]
fn values_go_out_and_come_back() {
    let connection = &mut in_schema("diesel_values");
    travels!(connection, Bool, bool, "false", false);
    travels!(connection, SmallInt, i16, "(-32768)::int2", i16::MIN);
    travels!(connection, Integer, i32, "2147483647", i32::MAX);
    travels!(connection, BigInt, i64, "'-9223372036854775808'::int8", i64::MIN);
    travels!(connection, Float, f32, "'1.5'::float4", 1.5);
    travels!(connection, Double, f64, "'-Infinity'::float8", f64::NEG_INFINITY);
    travels!(connection, Text, String, "E'gr\\u00fc\\u00df\\n'::text", "grüß\n".to_owned());
    travels!(connection, Bytea, Vec<u8>, "'\\x00ff'::bytea", vec![0, 255]);
    travels!(connection, Numeric, BigDecimal, "-0.00012340", {
        BigDecimal::from_str("-0.00012340").unwrap()
    });
    travels!(connection, Numeric, BigDecimal, "123456789012345678901234567890", {
        BigDecimal::from_str("123456789012345678901234567890").unwrap()
    });
    let date = NaiveDate::from_ymd_opt(2024, 2, 29).unwrap();
    let time = NaiveTime::from_hms_micro_opt(1, 2, 3, 456).unwrap();
    let stamp: NaiveDateTime = date.and_time(time);
    travels!(connection, Date, NaiveDate, "'2024-02-29'::date", date);
    travels!(connection, Time, NaiveTime, "'01:02:03.000456'::time", time);
    travels!(connection, Timestamp, NaiveDateTime, "'2024-02-29 01:02:03.000456'::timestamp", stamp);
    travels!(connection, Timestamptz, DateTime<Utc>, "'2024-02-29 01:02:03.000456+00'::timestamptz", {
        stamp.and_utc()
    });
    travels!(connection, Interval, diesel::data_types::PgInterval, "'1 month 2 days 3us'::interval", {
        diesel::data_types::PgInterval::new(3, 2, 1)
    });
    travels!(connection, diesel::sql_types::Uuid, Uuid, "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid", {
        Uuid::from_str("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11").unwrap()
    });
    travels!(connection, Jsonb, serde_json::Value, "'{\"a\": [1, null]}'::jsonb", json!({"a": [1, null]}));
    travels!(connection, Inet, IpNetwork, "'10.1.2.3/8'::inet", {
        IpNetwork::from_str("10.1.2.3/8").unwrap()
    });
    travels!(connection, Array<Integer>, Vec<i32>, "'{1,2}'::int[]", vec![1, 2]);
    travels!(connection, Array<Nullable<Text>>, Vec<Option<String>>, "'{a,NULL}'::text[]", {
        vec![Some("a".to_owned()), None]
    });
    let range = sql::<Range<Integer>>("'[1,5)'::int4range");
    use std::ops::Bound::{Excluded, Included};
    match diesel::select(range).get_result::<(std::ops::Bound<i32>, _)>(connection) {
        Ok(found) => assert_eq!(found, (Included(1), Excluded(5))),
        // Ranges may not be there; then the server says so, and does not answer something else.
        Err(error) => assert!(error.to_string().contains("range"), "{error}"),
    }
}
