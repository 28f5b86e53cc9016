//! Every field of an error that a program may go by.

use tokio_postgres::error::{DbError, ErrorPosition, Severity};

use super::{Session, Target, told};

/// Code, message, detail, hint, position.
type Told<'a> = (&'a str, &'a str, Option<&'a str>, Option<&'a str>, Option<u32>);

fn fields(error: &DbError) -> Told<'_> {
    let position = error.position().map(|position| match position {
        ErrorPosition::Original(at) => *at,
        ErrorPosition::Internal { .. } => panic!("there are no internal queries"),
    });
    (error.code().code(), error.message(), error.detail(), error.hint(), position)
}

/// Fails in both protocols alike.
async fn fails(session: &Session, query: &str, expected: Told<'_>) {
    let simple = told(session.simple_query(query).await);
    let extended = told(session.query(query, &[]).await);
    for error in [simple, extended] {
        assert_eq!(fields(&error), expected, "{query}");
        assert_eq!(error.parsed_severity(), Some(Severity::Error));
    }
}

/// A mistake in the body of a function is told where it stands in the statement around it.
#[tokio::test]
async fn mistakes_in_bodies_are_where_they_are_written() {
    let target = Target::new();
    let session = target.in_schema("rust_bodies").await;
    let missing = "column \"nocol\" does not exist";
    for (query, code, message, wrong) in [
        (
            "CREATE FUNCTION e1() RETURNS int LANGUAGE sql AS 'SELECT 1; SELEC 2'",
            "42601",
            "syntax error at or near \"SELEC\"",
            "SELEC 2",
        ),
        (
            "CREATE FUNCTION e2(é int) RETURNS int LANGUAGE sql AS $é$ SELECT\n 'ü' || nocol $é$",
            "42703",
            missing,
            "nocol",
        ),
        (
            "CREATE FUNCTION e3() RETURNS int LANGUAGE sql AS 'SELECT ''it''''s'' || nocol'",
            "42703",
            missing,
            "nocol",
        ),
    ] {
        let before = query.split(wrong).next().unwrap().chars().count();
        let position = Some(u32::try_from(before).unwrap() + 1);
        fails(&session, query, (code, message, None, None, position)).await;
    }
}

#[tokio::test]
async fn violations_name_their_objects() {
    let target = Target::new();
    let session = target.in_schema("rust_errors").await;
    session
        .run(
            "CREATE TABLE p (id int PRIMARY KEY); INSERT INTO p VALUES (1); \
             CREATE TABLE c (id int REFERENCES p, n int NOT NULL, CONSTRAINT small CHECK (n < 10)); \
             INSERT INTO c VALUES (1, 1)",
        )
        .await;
    for (query, code, table, column, constraint) in [
        ("INSERT INTO p VALUES (1)", "23505", "p", None, Some("p_pkey")),
        ("INSERT INTO c VALUES (2, 1)", "23503", "c", None, Some("c_id_fkey")),
        ("DELETE FROM p", "23503", "c", None, Some("c_id_fkey")),
        ("UPDATE c SET n = 10", "23514", "c", None, Some("small")),
        ("UPDATE c SET n = NULL", "23502", "c", Some("n"), None),
        ("INSERT INTO c (id) VALUES ($1)", "23502", "c", Some("n"), None),
    ] {
        let error = if query.contains("$1") {
            told(session.execute(query, &[&1_i32]).await)
        } else {
            told(session.execute(query, &[]).await)
        };
        assert_eq!(error.code().code(), code, "{query}");
        let named = (error.schema(), error.table(), error.column(), error.constraint());
        assert_eq!(named, (Some("rust_errors"), Some(table), column, constraint), "{query}");
    }
    let error = told(session.execute("INSERT INTO p VALUES (1)", &[]).await);
    assert_eq!(error.detail(), Some("Key (id)=(1) already exists."));
}

#[tokio::test]
async fn mistakes_are_told_in_both_protocols_alike() {
    let target = Target::new();
    let session = target.in_schema("rust_mistakes").await;
    session.run("CREATE TABLE t (name text, number int)").await;
    fails(&session, "SELEKT", ("42601", "syntax error at or near \"SELEKT\"", None, None, Some(1)))
        .await;
    fails(&session, "SELECT (", ("42601", "syntax error at end of input", None, None, Some(9)))
        .await;
    fails(
        &session,
        "SELECT 'ä', nam FROM t",
        (
            "42703",
            "column \"nam\" does not exist",
            None,
            Some("Perhaps you meant to reference the column \"t.name\"."),
            Some(13),
        ),
    )
    .await;
    fails(
        &session,
        "SELECT\n  *\nFROM nowhere",
        ("42P01", "relation \"nowhere\" does not exist", None, None, Some(17)),
    )
    .await;
    fails(
        &session,
        "SELECT lower(name, 1) FROM t",
        (
            "42883",
            "function lower(text, integer) does not exist",
            None,
            Some(
                "No function matches the given name and argument types. \
                 You might need to add explicit type casts.",
            ),
            Some(8),
        ),
    )
    .await;
    fails(&session, "SELECT 1 / 0", ("22012", "division by zero", None, None, None)).await;
    fails(
        &session,
        "SELECT 'x'::int",
        ("22P02", "invalid input syntax for type integer: \"x\"", None, None, Some(8)),
    )
    .await;
    fails(
        &session,
        "SELECT '{1'::int[]",
        (
            "22P02",
            "malformed array literal: \"{1\"",
            Some("Unexpected end of input."),
            None,
            Some(8),
        ),
    )
    .await;
    fails(
        &session,
        "INSERT INTO t VALUES (1, 2, 3)",
        ("42601", "INSERT has more expressions than target columns", None, None, Some(29)),
    )
    .await;
    fails(
        &session,
        "SELECT name FROM t GROUP BY number",
        (
            "42803",
            "column \"t.name\" must appear in the GROUP BY clause or be used in an aggregate function",
            None,
            None,
            Some(8),
        ),
    )
    .await;
    fails(
        &session,
        "ROLLBACK TO nothing",
        ("25P01", "ROLLBACK TO SAVEPOINT can only be used in transaction blocks", None, None, None),
    )
    .await;
    let parameter = told(session.query("SELECT $1::text::int", &[&"12x"]).await);
    assert_eq!(
        fields(&parameter),
        ("22P02", "invalid input syntax for type integer: \"12x\"", None, None, None)
    );
    // After all that the session is as good as new.
    assert_eq!(session.value::<i32>("SELECT 1").await, 1);
}
