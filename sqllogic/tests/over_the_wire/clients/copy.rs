//! COPY in and out, as text and CSV.

use bytes::Bytes;
use futures::{SinkExt, TryStreamExt, pin_mut};

use super::{Session, Target, told};

/// Sends parts into a COPY; how many rows it says that it took.
async fn copy_in(
    session: &Session,
    statement: &str,
    parts: &[&[u8]],
) -> Result<u64, tokio_postgres::Error> {
    let sink = session.copy_in(statement).await?;
    pin_mut!(sink);
    for part in parts {
        sink.send(Bytes::copy_from_slice(part)).await?;
    }
    sink.finish().await
}

async fn copy_out(session: &Session, statement: &str) -> String {
    let stream = session.copy_out(statement).await.unwrap();
    let parts: Vec<Bytes> = stream.try_collect().await.unwrap();
    String::from_utf8(parts.concat()).unwrap()
}

#[tokio::test]
async fn what_goes_out_comes_in() {
    let target = Target::new();
    let session = target.in_schema("rust_copy").await;
    session
        .run(
            "CREATE TABLE t (i int, x text, n numeric, a text[], b bytea, d timestamptz); \
             INSERT INTO t VALUES \
             (1, E'tab\\tback\\\\slash\\nline', 1.50, '{a,NULL,\"b,\"}', '\\x00ff', '2024-01-01 00:00+00'), \
             (2, NULL, 'NaN', '{}', '', 'infinity'), (3, '', NULL, NULL, NULL, NULL), \
             (4, '\\N', -0.00, '{\"\\\"\"}', '\\x5c', '0044-03-15 BC'), (5, 'ä\"→', 1e20, '[0:0]={x}', '\\x0a', now())",
        )
        .await;
    for options in
        ["", "CSV HEADER", "(FORMAT csv, DELIMITER ';', NULL '-', QUOTE '''')", "(DELIMITER '|')"]
    {
        let out = copy_out(&session, &format!("COPY t TO STDOUT {options}")).await;
        session.run("CREATE TABLE u (LIKE t)").await;
        let parts: Vec<&[u8]> = out.as_bytes().chunks(5).collect();
        let count =
            copy_in(&session, &format!("COPY u FROM STDIN {options}"), &parts).await.unwrap();
        assert_eq!(count, 5, "{options}");
        assert_eq!(copy_out(&session, &format!("COPY u TO STDOUT {options}")).await, out);
        let same = "SELECT count(*) FROM t JOIN u USING (i) \
                    WHERE (t.x, t.n, t.a, t.b, t.d) IS NOT DISTINCT FROM (u.x, u.n, u.a, u.b, u.d)";
        assert_eq!(session.value::<i64>(same).await, 5, "{options}");
        session.run("DROP TABLE u").await;
    }
    let exact = "COPY (SELECT x, a, b FROM t WHERE i IN (1, 2, 4) ORDER BY i) TO STDOUT";
    let expected = "tab\\tback\\\\slash\\nline\t{a,NULL,\"b,\"}\t\\\\x00ff\n\
                    \\N\t{}\t\\\\x\n\
                    \\\\N\t{\"\\\\\"\"}\t\\\\x5c\n";
    assert_eq!(copy_out(&session, exact).await, expected);
}

#[tokio::test]
async fn a_failing_copy_leaves_nothing() {
    let target = Target::new();
    let mut session = target.in_schema("rust_copy_errors").await;
    session.run("CREATE TABLE t (i int PRIMARY KEY, x varchar(3))").await;
    for (data, code, context) in [
        ("1\ta\n2\tabcd\n", "22001", "COPY t, line 2, column x: \"abcd\""),
        ("1\ta\nb\tb\n", "22P02", "COPY t, line 2, column i: \"b\""),
        ("1\ta\n1\tb\n", "23505", "COPY t, line 2"),
        ("1\n", "22P04", "COPY t, line 1: \"1\""),
        ("\\N\ta\n", "23502", "COPY t, line 1: \"\\N\ta\""),
    ] {
        let error = told(copy_in(&session, "COPY t FROM STDIN", &[data.as_bytes()]).await);
        assert_eq!((error.code().code(), error.where_()), (code, Some(context)), "{data:?}");
        assert_eq!(session.value::<i64>("SELECT count(*) FROM t").await, 0);
    }
    // A sink that is dropped is a CopyFail.
    {
        let sink = session.copy_in("COPY t FROM STDIN").await.unwrap();
        pin_mut!(sink);
        sink.send(Bytes::from_static(b"1\ta\n")).await.unwrap();
    }
    assert_eq!(session.value::<i64>("SELECT count(*) FROM t").await, 0);
    // Within a transaction the failure is the block's.
    let transaction = session.transaction().await.unwrap();
    let sink = transaction.copy_in("COPY t FROM STDIN").await.unwrap();
    pin_mut!(sink);
    sink.send(Bytes::from_static(b"1\ta\n2\tb\n")).await.unwrap();
    assert_eq!(sink.finish().await.unwrap(), 2);
    let count: i64 = transaction.query_one("SELECT count(*) FROM t", &[]).await.unwrap().get(0);
    assert_eq!(count, 2);
    drop(transaction);
    assert_eq!(session.value::<i64>("SELECT count(*) FROM t").await, 0);
}

/// Lines of more than any server holds at a time, with a line break in every tenth value.
fn many_lines(count: usize, wrong: &[(usize, &str)]) -> String {
    let line = |n: usize| match wrong.iter().find(|(at, _)| *at == n) {
        Some((_, line)) => format!("{line}\n"),
        None if n.is_multiple_of(10) => format!("{n},\"{}\n{n}\"\n", "x".repeat(n % 50)),
        None => format!("{n},{}\n", "y".repeat(n % 50)),
    };
    (1..=count).map(line).collect()
}

#[tokio::test]
async fn a_large_copy_comes_in_whole_however_it_is_cut() {
    let target = Target::new();
    let session = target.in_schema("rust_copy_large").await;
    session
        .run("CREATE TABLE t (i int PRIMARY KEY, x text, s bigserial, d timestamptz DEFAULT now())")
        .await;
    let data = many_lines(30_000, &[]);
    for part in [997, 8_192, 300_000, data.len()] {
        session.run("TRUNCATE t RESTART IDENTITY").await;
        let parts: Vec<&[u8]> = data.as_bytes().chunks(part).collect();
        let statement = "COPY t (i, x) FROM STDIN (FORMAT csv) WHERE i % 3 > 0";
        assert_eq!(copy_in(&session, statement, &parts).await.unwrap(), 20_000, "{part}");
        let told = "SELECT concat_ws(' ', count(*), sum(i), sum(length(x)), count(*) FILTER \
                    (WHERE x = repeat('x', i % 50) || E'\\n' || i OR x = repeat('y', i % 50)), \
                    count(DISTINCT s), count(DISTINCT d)) FROM t";
        let expected = "20000 300000000 501262 20000 20000 1";
        assert_eq!(session.value::<String>(told).await, expected, "{part}");
    }
}

#[tokio::test]
async fn what_is_wrong_in_a_large_copy_is_told_in_its_order() {
    let target = Target::new();
    let session = target.in_schema("rust_copy_large_errors").await;
    session.run("CREATE TABLE t (i int PRIMARY KEY, x text CHECK (x <> 'no'))").await;
    // Lines that values break count too.
    let line = |n: usize| n + (n - 1) / 10;
    let cases: [(&[(usize, &str)], &str, String); 5] = [
        (&[(1, "a,b")], "22P02", "line 1, column i: \"a\"".to_owned()),
        (&[(20_000, "a,b")], "22P02", format!("line {}, column i: \"a\"", line(20_000))),
        (&[(29_999, "1")], "22P04", format!("line {}: \"1\"", line(29_999))),
        (&[(15_001, "7,no"), (15_002, "b,b")], "23514", format!("line {}: \"7,no\"", line(15_001))),
        (&[(12_345, "12,b")], "23505", format!("line {}", line(12_345))),
    ];
    for (wrong, code, context) in cases {
        let data = many_lines(30_000, wrong);
        for part in [8_192, data.len()] {
            let parts: Vec<&[u8]> = data.as_bytes().chunks(part).collect();
            let copied = copy_in(&session, "COPY t FROM STDIN (FORMAT csv)", &parts).await;
            let error = told(copied);
            let context = format!("COPY t, {context}");
            assert_eq!((error.code().code(), error.where_()), (code, Some(&*context)));
            assert_eq!(session.value::<i64>("SELECT count(*) FROM t").await, 0);
        }
    }
}

#[tokio::test]
async fn a_query_that_fails_in_the_middle_ends_its_copy() {
    let target = Target::new();
    let session = target.in_schema("rust_copy_middle").await;
    let query = "COPY (SELECT 1 / (40000 - g) FROM generate_series(1, 50000) g) TO STDOUT";
    let stream = session.copy_out(query).await.unwrap();
    let failed = stream.try_collect::<Vec<Bytes>>().await;
    assert_eq!(told(failed).code().code(), "22012");
    assert_eq!(session.value::<i32>("SELECT 1").await, 1);
}
