//! COPY's formats: what PostgreSQL answers to hostile and odd input, and round trips.

use aegis_types::SqlError;
use proptest::prelude::*;

use super::{BinaryReader, CopyOptions, CopyReader, CopyWriter};
use crate::ast::{CopyStmt, Statement};

fn copy(sql: &str) -> Box<CopyStmt> {
    let mut statements = crate::parser::parse(sql).unwrap();
    match statements.remove(0).statement {
        Statement::Copy(copy) => copy,
        other => panic!("{other:?}"),
    }
}

fn options(options: &str, is_from: bool) -> Result<CopyOptions, SqlError> {
    let direction = if is_from { "FROM STDIN" } else { "TO STDOUT" };
    let copy = copy(&format!("COPY t {direction} WITH ({options})"));
    CopyOptions::parse(&copy.options, is_from)
}

type Rows = Vec<Vec<Option<String>>>;

/// Reads `pieces` into rows of columns `a` and `b`.
fn read(options: &CopyOptions, columns: usize, pieces: &[&[u8]]) -> Result<Rows, SqlError> {
    let names: Vec<String> =
        ["a", "b", "c"].iter().take(columns).map(|n| (*n).to_owned()).collect();
    let mut reader = CopyReader::new(options.clone(), "t", names);
    let mut rows = Rows::new();
    for piece in pieces {
        reader.feed(piece);
        take_rows(&mut reader, columns, &mut rows)?;
    }
    reader.end();
    take_rows(&mut reader, columns, &mut rows)?;
    Ok(rows)
}

fn take_rows(reader: &mut CopyReader, columns: usize, rows: &mut Rows) -> Result<(), SqlError> {
    while reader.next_row()? {
        let row: Result<Vec<_>, SqlError> =
            (0..columns).map(|at| Ok(reader.field(at)?.map(str::to_owned))).collect();
        rows.push(row?);
    }
    Ok(())
}

/// Reads the data whole and byte by byte, which must not differ; shows rows or error and context.
fn shown(with: &str, data: &[u8]) -> String {
    let options = options(with, true).unwrap();
    let whole = read(&options, 2, &[data]);
    let bytes: Vec<&[u8]> = data.chunks(1).collect();
    let by_bytes = read(&options, 2, &bytes);
    assert_eq!(whole.as_ref().ok(), by_bytes.as_ref().ok(), "{with}: {data:?}");
    assert_eq!(whole.as_ref().err().map(SqlError::code), by_bytes.err().map(|e| e.code()));
    match whole {
        Ok(rows) => rows
            .iter()
            .map(|row| row.iter().map(|v| v.as_deref().unwrap_or("NULL")).collect::<Vec<_>>())
            .map(|row| row.join("|"))
            .collect::<Vec<_>>()
            .join("/"),
        Err(error) => format!(
            "{} {} ~ {}",
            error.code().code(),
            error.fields().message,
            error.fields().context.as_deref().unwrap_or_default()
        ),
    }
}

#[test]
fn text_reads_as_postgresql_does() {
    for (data, expected) in [
        (&b"1\ta\n2\tb\r\n"[..], "22P04 literal carriage return found in data ~ COPY t, line 2"),
        (b"1\ta\r\n2\tb\n", "22P04 literal newline found in data ~ COPY t, line 2"),
        (b"1\ta\r2\tb\n", "22P04 literal newline found in data ~ COPY t, line 2"),
        (b"1\ta\r\n2\tb\r3\tc\r\n", "22P04 literal carriage return found in data ~ COPY t, line 2"),
        (b"1\ta\r2\tb\r", "1|a/2|b"),
        (b"1\n", "22P04 missing data for column \"b\" ~ COPY t, line 1: \"1\""),
        (b"1\ta\tb\n", "22P04 extra data after last expected column ~ COPY t, line 1: \"1\ta\tb\""),
        (b"1\t\\101\\x4a\\q\\xzz\\N\\N\n\\N\t\\N\n2\t\\\n3\n", "1|AJqxzzNN/NULL|NULL/2|\n3"),
        (b"1\t\\b\\f\\n\\r\\t\\v\\\\\n", "1|\x08\x0c\n\r\t\x0b\\"),
        (b"1\ta\n\\.\n2\tb\n", "1|a"),
        (b"1\ta\n\\.", "22P04 end-of-copy marker corrupt ~ COPY t, line 2"),
        (b"1\ta\n\\.x\n", "22P04 end-of-copy marker corrupt ~ COPY t, line 2"),
        (
            b"1\ta\n\\.\r\n",
            "22P04 end-of-copy marker does not match previous newline style ~ COPY t, line 2",
        ),
        (
            b"1\ta\r\n\\.\n",
            "22P04 end-of-copy marker does not match previous newline style ~ COPY t, line 2",
        ),
        (b"1\ta\r\n\\.\r\n", "1|a"),
        (b"1\ta\\.\n2\tb\n", "1|a"),
        (b"1\ta\\", "1|a"),
        (
            b"1\ta\n2\t\xff\n",
            "22021 invalid byte sequence for encoding \"UTF8\": 0xff ~ COPY t, line 2",
        ),
        (
            b"1\ta\n2\t\xe9\n33333\n",
            "22021 invalid byte sequence for encoding \"UTF8\": 0xe9 0x0a 0x33 ~ COPY t, line 2",
        ),
        (
            b"1\ta\n2\t\\xff\n",
            "22021 invalid byte sequence for encoding \"UTF8\": 0xff ~ COPY t, line 2: \"2\t\\xff\"",
        ),
        (
            b"1\ta\n2\t\\0\n",
            "22021 invalid byte sequence for encoding \"UTF8\": 0x00 ~ COPY t, line 2: \"2\t\\0\"",
        ),
        (b"1\t\\303\\251\n", "1|é"),
    ] {
        assert_eq!(shown("format text", data), expected, "{:?}", String::from_utf8_lossy(data));
    }
}

#[test]
fn csv_reads_as_postgresql_does() {
    for (with, data, expected) in [
        ("", &b"1,a\n2,b\r\n"[..], "22P04 unquoted carriage return found in data ~ COPY t, line 2"),
        ("", b"1,a\r\n2,b\n", "22P04 unquoted newline found in data ~ COPY t, line 2"),
        (
            "",
            b"1,\"a\nb\"\r\n2,b\r\n3,c\n",
            "22P04 unquoted newline found in data ~ COPY t, line 3",
        ),
        ("", b"1,\\.\n\\.\n2,x\n", "1|\\."),
        (
            "",
            b"1,a\n\\.\r\n2,x\n",
            "22P04 end-of-copy marker does not match previous newline style ~ COPY t, line 2",
        ),
        ("", b"1,a\n\\.,b\n", "1|a/\\.|b"),
        (
            "",
            b"1,\"abc\ndef\n",
            "22P04 unterminated CSV quoted field ~ COPY t, line 1: \"1,\"abc\ndef\n\"",
        ),
        ("", b"\n", "22P04 missing data for column \"b\" ~ COPY t, line 1: \"\""),
        ("", b"\"1\"x,a\"b\"c\n", "1x|abc"),
        ("", b",\"\"\n", "NULL|"),
        ("escape E'\\\\'", b"1,\"a\\\"b\\\\c\\d\"\n", "1|a\"b\\c\\d"),
        ("force_not_null (b)", b"1,\n", "1|"),
        ("force_null (b)", b"1,\"\"\n,\"\"\n", "1|NULL/NULL|NULL"),
        ("null 'NIL', force_null (b)", b"1,\"NIL\"\n2,NIL\n", "1|NULL/2|NULL"),
        ("", b"1,\"a\"b\"c\nd\"\n2,z", "1|abc\nd/2|z"),
        (
            "",
            b"1,a\n2,\"x\r\ny\"\n3\n",
            "22P04 missing data for column \"b\" ~ COPY t, line 4: \"3\"",
        ),
        (
            "",
            b"1,a\r2,\"x\ry\nz\"\r3\r",
            "22P04 missing data for column \"b\" ~ COPY t, line 4: \"3\"",
        ),
        ("header", b"what,ever\n1,2\n", "1|2"),
        ("header", b"", ""),
        ("header match", b"a,b\n1,2\n", "1|2"),
        (
            "header match",
            b"a,c\n1,2\n",
            "22P04 column name mismatch in header line field 2: got \"c\", expected \"b\" ~ \
             COPY t, line 1: \"a,c\"",
        ),
        (
            "header match",
            b",c\n1,2\n",
            "22P04 column name mismatch in header line field 1: got null value (\"\"), expected \
             \"a\" ~ COPY t, line 1: \",c\"",
        ),
        (
            "header match",
            b"a,b,c,d\n1,2\n",
            "22P04 wrong number of fields in header line: got 4, expected 2 ~ COPY t, line 1: \
             \"a,b,c,d\"",
        ),
        (
            "header match",
            b"",
            "22P04 wrong number of fields in header line: got 1, expected 2 ~ COPY t, line 1: \"\"",
        ),
    ] {
        let with =
            if with.is_empty() { "format csv".into() } else { format!("format csv, {with}") };
        assert_eq!(shown(&with, data), expected, "{with}: {:?}", String::from_utf8_lossy(data));
    }
}

#[test]
fn options_are_refused_in_postgresqls_words() {
    for (with, is_from, expected) in [
        ("format foo", true, "22023 COPY format \"foo\" not recognized"),
        ("format binary, delimiter ','", true, "42601 cannot specify DELIMITER in BINARY mode"),
        ("format binary, null 'a'", true, "42601 cannot specify NULL in BINARY mode"),
        ("format binary, header", true, "0A000 cannot specify HEADER in BINARY mode"),
        ("format binary, quote 'x'", true, "0A000 COPY quote available only in CSV mode"),
        ("delimiter 'ab'", true, "0A000 COPY delimiter must be a single one-byte character"),
        ("delimiter 'é'", true, "0A000 COPY delimiter must be a single one-byte character"),
        ("delimiter E'\\n'", true, "22023 COPY delimiter cannot be newline or carriage return"),
        ("delimiter 'a'", true, "22023 COPY delimiter cannot be \"a\""),
        (
            "null E'a\\nb'",
            true,
            "22023 COPY null representation cannot use newline or carriage return",
        ),
        ("header match", false, "0A000 cannot use \"match\" with HEADER in COPY TO"),
        ("header 2", true, "42601 header requires a Boolean value or \"match\""),
        ("quote 'a'", true, "0A000 COPY quote available only in CSV mode"),
        ("escape 'a'", true, "0A000 COPY escape available only in CSV mode"),
        ("format csv, quote 'ab'", true, "0A000 COPY quote must be a single one-byte character"),
        ("format csv, delimiter '\"'", true, "22023 COPY delimiter and quote must be different"),
        ("force_quote *", false, "0A000 COPY force quote available only in CSV mode"),
        ("format csv, force_quote *", true, "0A000 COPY force quote only available using COPY TO"),
        ("force_not_null (a)", true, "0A000 COPY force not null available only in CSV mode"),
        (
            "format csv, force_null (a)",
            false,
            "0A000 COPY force null only available using COPY FROM",
        ),
        (
            "format csv, force_null 3",
            true,
            "22023 argument to option \"force_null\" must be a list of column names",
        ),
        (
            "encoding 'foo'",
            true,
            "22023 argument to option \"encoding\" must be a valid encoding name",
        ),
        ("encoding latin1", true, "0A000 COPY in an encoding other than UTF8 is not supported"),
        ("encoding", true, "42601 encoding requires a parameter"),
        ("foo 1", true, "42601 option \"foo\" not recognized"),
        ("format csv, format text", true, "42601 conflicting or redundant options"),
        (
            "delimiter '|', null '|'",
            true,
            "0A000 COPY delimiter must not appear in the NULL specification",
        ),
        (
            "format csv, null '\"'",
            true,
            "0A000 CSV quote character must not appear in the NULL specification",
        ),
        ("freeze 3", true, "42601 freeze requires a Boolean value"),
    ] {
        let error = options(with, is_from).unwrap_err();
        assert_eq!(format!("{} {}", error.code().code(), error.fields().message), expected);
    }
    assert!(options("format csv, encoding 'UTF-8', header off, freeze", true).is_ok());
}

fn write(options: &CopyOptions, rows: &Rows, columns: usize) -> Vec<u8> {
    let names: Vec<String> =
        ["a", "b", "c"].iter().take(columns).map(|n| (*n).to_owned()).collect();
    let writer = CopyWriter::new(options.clone(), &names);
    let mut out = Vec::new();
    for row in rows {
        for (at, value) in row.iter().enumerate() {
            writer.field(at, value.as_deref().map(str::as_bytes), &mut out);
        }
        writer.end_row(&mut out);
    }
    out
}

const BOTH_WAYS: &[&str] = &[
    "format text",
    "format csv",
    "format text, delimiter '|', null ''",
    "format text, delimiter 'N', null 'x'",
    "format csv, delimiter ';', quote '''', escape E'\\\\', null 'nil'",
    "format csv, delimiter E'\\t', quote '^', escape '~'",
    // A quote that can be taken for the end marker, in PostgreSQL too: read only.
    "format csv, quote E'\\\\'",
];

fn field() -> impl Strategy<Value = Option<String>> {
    prop::option::weighted(
        0.85,
        prop::collection::vec(
            prop_oneof![
                Just("\\."),
                Just("\\"),
                Just("."),
                Just("\n"),
                Just("\r"),
                Just("\""),
                Just(","),
                Just("\t"),
                Just("N"),
                Just("x"),
                Just("nil"),
                Just("é"),
                Just("\u{1f600}"),
                Just("'"),
                Just("|"),
                Just(";"),
                Just("^"),
                Just("~"),
                Just("\u{1}"),
                Just("7"),
            ],
            0..6,
        )
        .prop_map(|parts| parts.concat()),
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        with in 0..BOTH_WAYS.len() - 1,
        columns in 1..=3usize,
        cells in prop::collection::vec(field(), 0..30),
        cuts in prop::collection::vec(1..9usize, 1..40),
    ) {
        let options_in = options(BOTH_WAYS[with], true).unwrap();
        let options_out = options(BOTH_WAYS[with], false).unwrap();
        let rows: Rows = cells.chunks_exact(columns).map(<[_]>::to_vec).collect();
        let data = write(&options_out, &rows, columns);
        let mut pieces = Vec::new();
        let mut rest = &data[..];
        for cut in cuts.iter().cycle() {
            if rest.is_empty() { break; }
            let (piece, after) = rest.split_at((*cut).min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        // Text does not escape the marker of a value that looks like NULL: nor does PostgreSQL.
        let ambiguous = BOTH_WAYS[with].starts_with("format text")
            && rows.iter().flatten().flatten().any(|value| *value == options_in.null);
        if !ambiguous {
            prop_assert_eq!(read(&options_in, columns, &pieces).unwrap(), rows);
        }
    }

    #[test]
    fn random_bytes_never_panic_and_cuts_do_not_matter(
        with in 0..BOTH_WAYS.len(),
        data in prop::collection::vec(
            prop_oneof![
                any::<u8>(),
                prop::sample::select(&b"\\.\n\r\",\tNx01'^~|;"[..]),
            ],
            0..60,
        ),
        at in 0..60usize,
    ) {
        let options = options(BOTH_WAYS[with], true).unwrap();
        let (one, other) = data.split_at(at.min(data.len()));
        let whole = read(&options, 2, &[&data]);
        let cut = read(&options, 2, &[one, other]);
        prop_assert_eq!(whole.as_ref().ok(), cut.as_ref().ok());
        prop_assert_eq!(
            whole.err().map(|error| error.fields().context.clone()),
            cut.err().map(|error| error.fields().context.clone())
        );
    }
}

type BinaryRows = Vec<Vec<Option<Vec<u8>>>>;

fn read_binary(columns: usize, pieces: &[&[u8]]) -> Result<BinaryRows, SqlError> {
    let names: Vec<String> =
        ["a", "b", "c"].iter().take(columns).map(|n| (*n).to_owned()).collect();
    let mut reader = BinaryReader::new("t", names);
    let mut rows = BinaryRows::new();
    for at in 0..=pieces.len() {
        match pieces.get(at) {
            Some(piece) => reader.feed(piece),
            None => reader.end(),
        }
        while reader.next_row()? {
            rows.push((0..columns).map(|at| reader.field(at).map(<[u8]>::to_vec)).collect());
        }
    }
    Ok(rows)
}

fn written_binary(rows: &BinaryRows) -> Vec<u8> {
    let mut out = Vec::new();
    super::write_header(&mut out);
    for row in rows {
        super::write_row(row.len(), &mut out);
        for value in row {
            let write = value.as_ref().map(|value| move |out: &mut Vec<u8>| out.extend(value));
            super::write_field(write, &mut out);
        }
    }
    super::write_end(&mut out);
    out
}

#[test]
fn binary_data_that_are_none_are_refused_in_postgresqls_words() {
    let header = &written_binary(&Vec::new())[..19];
    let with = |rest: &[u8]| [header, rest].concat();
    let mut with_oids = header.to_vec();
    with_oids[12] = 1;
    let mut critical = header.to_vec();
    critical[11] = 1;
    let cases: [(&[u8], &str); 13] = [
        (b"", "COPY file signature not recognized"),
        (b"PGCOPY\n\xff\r\n", "COPY file signature not recognized"),
        (b"garbage", "COPY file signature not recognized"),
        (&header[..13], "invalid COPY file header (missing flags)"),
        (&header[..17], "invalid COPY file header (missing length)"),
        (&with_oids, "invalid COPY file header (WITH OIDS)"),
        (&critical, "unrecognized critical flags in COPY file header"),
        (&[&header[..18], &[7]].concat(), "invalid COPY file header (wrong length)"),
        (&with(&[0, 3]), "row field count is 3, expected 2"),
        (&with(&[0, 2, 0, 0]), "unexpected EOF in COPY data"),
        (&with(&[0, 2, 0, 0, 0, 9, 1]), "unexpected EOF in COPY data"),
        (&with(&[0, 2, 255, 255, 255, 254]), "invalid field size"),
        (&with(&[255, 255, 0]), "received copy data after EOF marker"),
    ];
    for (data, message) in cases {
        let error = read_binary(2, &[data]).unwrap_err();
        assert_eq!(error.fields().message, message, "{data:?}");
        assert_eq!(error.code(), aegis_types::SqlState::BadCopyFileFormat);
    }
    assert_eq!(read_binary(2, &[&with(&[])]).unwrap(), BinaryRows::new());
}

proptest! {
    #[test]
    fn what_is_written_in_binary_is_read(
        rows in prop::collection::vec(
            prop::collection::vec(prop::option::of(prop::collection::vec(any::<u8>(), 0..9)), 2),
            0..9,
        ),
        cuts in prop::collection::vec(1..9usize, 1..40),
    ) {
        let data = written_binary(&rows);
        let mut pieces = Vec::new();
        let mut rest = &data[..];
        for cut in cuts.iter().cycle() {
            if rest.is_empty() { break; }
            let (piece, after) = rest.split_at((*cut).min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        prop_assert_eq!(read_binary(2, &pieces).unwrap(), rows);
    }

    #[test]
    fn random_binary_data_never_panic(
        at in 0..25usize,
        data in prop::collection::vec(
            prop_oneof![any::<u8>(), Just(0), Just(255), Just(1), Just(2)],
            0..40,
        ),
    ) {
        let header = written_binary(&Vec::new());
        let data = [&header[..at.min(header.len())], &data].concat();
        let _whatever = read_binary(2, &[&data]);
    }
}
