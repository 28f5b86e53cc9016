//! What diesel does besides queries: migrations, transactions, errors, COPY, notifications, pools.

use diesel::connection::SimpleConnection;
use diesel::pg::PgRowByRowLoadingMode;
use diesel::prelude::*;
use diesel::r2d2::{ConnectionManager, Pool};
use diesel::result::{DatabaseErrorKind, Error};
use diesel::sql_types::{BigInt, Integer, Text};
use diesel::{sql_query, QueryableByName};
use diesel_migrations::MigrationHarness;

use crate::diesel_queries::{MIGRATIONS, people};
use crate::support::{diesel as in_schema, join, url};

#[derive(Debug, PartialEq, QueryableByName)]
struct Number {
    #[diesel(sql_type = Integer)]
    n: i32,
}

fn numbers(connection: &mut PgConnection) -> Vec<i32> {
    let rows: Vec<Number> = sql_query("SELECT n FROM t ORDER BY n").load(connection).unwrap();
    rows.into_iter().map(|row| row.n).collect()
}

#[test]
fn migrations_run_and_are_reverted() {
    let connection = &mut in_schema("diesel_migrations");
    assert_eq!(connection.pending_migrations(MIGRATIONS).unwrap().len(), 2);
    assert_eq!(connection.run_pending_migrations(MIGRATIONS).unwrap().len(), 2);
    assert!(!connection.has_pending_migration(MIGRATIONS).unwrap());
    assert_eq!(connection.applied_migrations().unwrap().len(), 2);
    connection.revert_last_migration(MIGRATIONS).unwrap();
    assert_eq!(connection.pending_migrations(MIGRATIONS).unwrap().len(), 1);
    connection.run_pending_migrations(MIGRATIONS).unwrap();
    connection.revert_all_migrations(MIGRATIONS).unwrap();
    let left: Vec<Number> = sql_query(
        "SELECT count(*)::int AS n FROM pg_class c JOIN pg_namespace s ON s.oid = relnamespace \
         WHERE nspname = 'diesel_migrations' AND relname IN ('people', 'posts')",
    )
    .load(connection)
    .unwrap();
    assert_eq!(left, [Number { n: 0 }]);
}

#[test]
fn transactions_nest() {
    let connection = &mut in_schema("diesel_transactions");
    connection.batch_execute("CREATE TABLE t (n int PRIMARY KEY)").unwrap();
    let insert = |n: i32, connection: &mut PgConnection| {
        sql_query("INSERT INTO t VALUES ($1)").bind::<Integer, _>(n).execute(connection)
    };
    connection
        .transaction::<_, Error, _>(|connection| {
            insert(1, connection)?;
            let inner = connection.transaction::<(), Error, _>(|connection| {
                insert(2, connection)?;
                insert(2, connection)?;
                Ok(())
            });
            assert!(matches!(
                inner,
                Err(Error::DatabaseError(DatabaseErrorKind::UniqueViolation, _))
            ));
            connection.transaction(|connection| insert(3, connection))
        })
        .unwrap();
    let gone = connection.transaction::<(), Error, _>(|connection| {
        insert(4, connection)?;
        Err(Error::RollbackTransaction)
    });
    assert_eq!(gone, Err(Error::RollbackTransaction));
    assert_eq!(numbers(connection), [1, 3]);
    let refused = connection
        .build_transaction()
        .serializable()
        .read_only()
        .deferrable()
        .run(|connection| insert(5, connection));
    assert!(matches!(
        refused,
        Err(Error::DatabaseError(DatabaseErrorKind::ReadOnlyTransaction, _))
    ));
    let tested: Result<(), Error> = Ok(connection.test_transaction(|connection| {
        insert(6, connection)?;
        Ok::<_, Error>(())
    }));
    assert_eq!((tested, numbers(connection)), (Ok(()), vec![1, 3]));
}

#[test]
fn serialization_failures_have_their_kind() {
    let one = &mut in_schema("diesel_serializable");
    one.batch_execute("CREATE TABLE t (n int); INSERT INTO t VALUES (1)").unwrap();
    let other = &mut join("diesel_serializable");
    let failed = one.build_transaction().repeatable_read().run(|one| {
        assert_eq!(numbers(one), [1]);
        other.batch_execute("UPDATE t SET n = 2").unwrap();
        sql_query("UPDATE t SET n = 3").execute(one)
    });
    assert!(matches!(
        failed,
        Err(Error::DatabaseError(DatabaseErrorKind::SerializationFailure, _))
    ));
    assert_eq!(numbers(one), [2]);
}

#[test]
fn errors_have_their_parts() {
    let connection = &mut in_schema("diesel_errors");
    connection
        .batch_execute(
            "CREATE TABLE p (id int PRIMARY KEY); \
             CREATE TABLE t (n int NOT NULL CHECK (n > 0), p int REFERENCES p)",
        )
        .unwrap();
    let cases = [
        ("INSERT INTO p VALUES (1), (1)", DatabaseErrorKind::UniqueViolation, Some("p_pkey")),
        ("INSERT INTO t VALUES (1, 1)", DatabaseErrorKind::ForeignKeyViolation, Some("t_p_fkey")),
        ("INSERT INTO t VALUES (0)", DatabaseErrorKind::CheckViolation, Some("t_n_check")),
        ("INSERT INTO t VALUES (NULL)", DatabaseErrorKind::NotNullViolation, None),
        ("SELECT nothing", DatabaseErrorKind::Unknown, None),
    ];
    for (sql, kind, constraint) in cases {
        match sql_query(sql).execute(connection) {
            Err(Error::DatabaseError(found, parts)) => {
                assert_eq!(format!("{found:?}"), format!("{kind:?}"), "{sql}");
                assert_eq!(parts.constraint_name(), constraint, "{sql}");
                assert!(!parts.message().is_empty(), "{sql}");
                if sql == "SELECT nothing" {
                    assert_eq!(parts.statement_position(), Some(8));
                }
            }
            other => panic!("{sql}: {other:?}"),
        }
    }
}

#[test]
fn rows_come_one_by_one() {
    let connection = &mut in_schema("diesel_rows");
    let query = sql_query("SELECT n FROM generate_series(1, 50000) n");
    let rows = query.load_iter::<Number, PgRowByRowLoadingMode>(connection).unwrap();
    let sum: i64 = rows.map(|row| i64::from(row.unwrap().n)).sum();
    assert_eq!(sum, 1_250_025_000);
    let broken = sql_query("SELECT 1 / (n - 30000) AS n FROM generate_series(1, 50000) n");
    let rows = broken.load_iter::<Number, PgRowByRowLoadingMode>(connection).unwrap();
    assert!(rows.into_iter().any(|row| row.is_err()));
    // The session goes on.
    let one: Vec<Number> = sql_query("SELECT 1 AS n").load(connection).unwrap();
    assert_eq!(one, [Number { n: 1 }]);
}

#[test]
fn rows_are_copied_in_and_out() {
    let connection = &mut in_schema("diesel_copy");
    connection.run_pending_migrations(MIGRATIONS).unwrap();
    let copied = diesel::copy_from(people::table)
        .from_raw_data((people::id, people::name), |out| {
            out.write_all(b"10\tAnn\n11\tB\\tC\n").map_err(|e| Error::SerializationError(e.into()))
        })
        .execute(connection);
    assert_eq!(copied, Ok(2));
    #[derive(Insertable)]
    #[diesel(table_name = people, treat_none_as_default_value = false)]
    struct Copied {
        id: i32,
        name: String,
    }
    // Rows that are values go in binary.
    let rows = vec![Copied { id: 12, name: "Dora".to_owned() }];
    assert_eq!(diesel::copy_from(people::table).from_insertable(rows).execute(connection), Ok(1));
    use std::io::Read;
    let mut text = String::new();
    diesel::copy_to(people::table)
        .with_format(diesel::pg::CopyFormat::Csv)
        .with_header(true)
        .load_raw(connection)
        .map(|mut out| out.read_to_string(&mut text).map(drop).unwrap())
        .unwrap();
    let ids: Vec<&str> =
        text.lines().skip(1).map(|line| line.split(',').next().unwrap_or_default()).collect();
    assert_eq!(ids, ["10", "11", "12"]);
}

#[test]
fn notifications_are_heard() {
    let listener = &mut in_schema("diesel_notify");
    listener.batch_execute("LISTEN diesel_suite").unwrap();
    join("diesel_notify").batch_execute("NOTIFY diesel_suite, 'hello'").unwrap();
    // It comes with the answer to whatever is asked next.
    let heard = std::iter::repeat_with(|| {
        listener.batch_execute("SELECT 1").unwrap();
        listener.notifications_iter().map(|it| it.unwrap().payload).collect::<Vec<_>>()
    });
    let first = heard.take(100_000).find(|payloads| !payloads.is_empty());
    assert_eq!(first, Some(vec!["hello".to_owned()]));
}

#[test]
fn pools_share_connections_between_threads() {
    in_schema("diesel_pools").batch_execute("CREATE TABLE t (n bigint)").unwrap();
    let pool = Pool::builder()
        .max_size(3)
        .test_on_check_out(true)
        .build(ConnectionManager::<PgConnection>::new(url()))
        .unwrap();
    std::thread::scope(|scope| {
        for worker in 0..8_i64 {
            let pool = pool.clone();
            scope.spawn(move || {
                for number in 0..10 {
                    let mut connection = pool.get().unwrap();
                    // The same text again: a prepared statement of the connection.
                    sql_query("INSERT INTO diesel_pools.t VALUES ($1)")
                        .bind::<BigInt, _>(worker * 10 + number)
                        .execute(&mut connection)
                        .unwrap();
                }
            });
        }
    });
    #[derive(Debug, PartialEq, QueryableByName)]
    struct Total {
        #[diesel(sql_type = BigInt)]
        rows: i64,
        #[diesel(sql_type = Text)]
        sum: String,
    }
    let total: Total = sql_query("SELECT count(*) AS rows, sum(n)::text AS sum FROM diesel_pools.t")
        .get_result(&mut pool.get().unwrap())
        .unwrap();
    assert_eq!(total, Total { rows: 80, sum: "3160".to_owned() });
}
