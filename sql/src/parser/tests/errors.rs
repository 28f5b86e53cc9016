//! What errors come out, and where they point.

use crate::parser::{parse, parse_type_name};

#[test]
fn errors_have_postgresqls_code_words_and_position() {
    // Code, position in characters from 1 (0 for none), message: as PostgreSQL 15.18 gave them.
    for (sql, code, position, message) in [
        ("selec 1", "42601", 1, "syntax error at or near \"selec\""),
        ("select 1 +", "42601", 11, "syntax error at end of input"),
        ("select 1 +;", "42601", 11, "syntax error at or near \";\""),
        ("select 'abc", "42601", 8, "unterminated quoted string at or near \"'abc\""),
        ("select \"abc", "42601", 8, "unterminated quoted identifier at or near \"\"abc\""),
        ("select \"\"", "42601", 8, "zero-length delimited identifier at or near \"\"\"\""),
        ("select /* x ;", "42601", 8, "unterminated /* comment at or near \"/* x ;\""),
        (
            "select $a$ foo;",
            "42601",
            8,
            "unterminated dollar-quoted string at or near \"$a$ foo;\"",
        ),
        ("select $1a", "42601", 8, "trailing junk after parameter at or near \"$1a\""),
        ("select 0x1f", "42601", 8, "trailing junk after numeric literal at or near \"0x1f\""),
        ("select 1e+", "42601", 8, "trailing junk after numeric literal at or near \"1e+\""),
        ("select E'\\u00zz'", "22025", 10, "invalid Unicode escape"),
        ("select E'\\ud800x'", "42601", 16, "invalid Unicode surrogate pair at or near \"x\""),
        ("select E'\\udc00'", "42601", 10, "invalid Unicode surrogate pair at or near \"\\udc00\""),
        ("select E'\\0'", "22021", 0, "invalid byte sequence for encoding \"UTF8\": 0x00"),
        ("select E'\\xe4a'", "22021", 0, "invalid byte sequence for encoding \"UTF8\": 0xe4 0x61"),
        ("select U&'\\d800'", "42601", 16, "invalid Unicode surrogate pair"),
        ("select U&'\\+11ffff'", "42601", 11, "invalid Unicode escape value"),
        (
            "select U&'a' uescape 5",
            "42601",
            22,
            "UESCAPE must be followed by a simple string literal at or near \"5\"",
        ),
        (
            "select U&'a' uescape 'a'",
            "42601",
            22,
            "invalid Unicode escape character at or near \"'a'\"",
        ),
        ("select a < b < c", "42601", 14, "syntax error at or near \"<\""),
        ("select a like b like c", "42601", 17, "syntax error at or near \"like\""),
        ("select f(x)[1]", "42601", 12, "syntax error at or near \"[\""),
        ("select not 1 is", "42601", 16, "syntax error at end of input"),
        ("select 1::float(99)", "22023", 17, "precision for type float must be less than 54 bits"),
        ("select 1 from (select 1)", "42601", 15, "subquery in FROM must have an alias"),
        ("select 1 from (values (1))", "42601", 15, "VALUES in FROM must have an alias"),
        ("select 1 from (t)", "42601", 17, "syntax error at or near \")\""),
        ("select 1 limit 1,2", "42601", 10, "LIMIT #,# syntax is not supported"),
        ("(select 1 order by 1) order by 2", "42601", 32, "multiple ORDER BY clauses not allowed"),
        ("(select 1 limit 1) limit 2", "42601", 26, "multiple LIMIT clauses not allowed"),
        (
            "select 1 fetch first row with ties",
            "42601",
            0,
            "WITH TIES cannot be specified without ORDER BY clause",
        ),
        (
            "select rank() over (rows 1 following)",
            "42P20",
            26,
            "frame starting from following row cannot end with current row",
        ),
        (
            "select (1,2) overlaps (3,4,5)",
            "42601",
            23,
            "wrong number of parameters on right side of OVERLAPS expression",
        ),
        ("select a.*.b from a", "42601", 14, "improper use of \"*\" at or near \"from\""),
        ("select unique (select 1)", "0A000", 8, "UNIQUE predicate is not yet implemented"),
        ("create role public", "42939", 13, "role name \"public\" is reserved"),
        ("create table t (a) (b)", "42601", 20, "syntax error at or near \"(\""),
        (
            "select * from a.b.c.d",
            "42601",
            15,
            "improper qualified name (too many dotted names): a.b.c.d",
        ),
        ("select 'é', from t", "42601", 13, "syntax error at or near \"from\""),
    ] {
        let error = parse(sql).expect_err(sql);
        let fields = error.fields();
        let characters =
            fields.position.map_or(0, |bytes| sql[..bytes as usize].chars().count() + 1);
        assert_eq!(
            (fields.code.code(), characters, fields.message.as_str()),
            (code, position, message),
            "{sql}"
        );
    }
}

#[test]
fn a_lexical_error_behind_a_syntax_error_is_not_reported() {
    let error = parse("select from from 'abc").unwrap_err();
    assert_eq!(error.fields().message, "syntax error at or near \"from\"");
}

#[test]
fn a_type_names_error_gives_the_name_as_context() {
    let error = parse_type_name("int 4").unwrap_err();
    let fields = error.fields();
    assert_eq!(fields.message, "syntax error at or near \"4\"");
    assert_eq!(fields.context.as_deref(), Some("invalid type name \"int 4\""));
    assert_eq!(fields.position, None);
    for text in ["", "setof int"] {
        let error = parse_type_name(text).unwrap_err();
        assert_eq!(error.fields().message, format!("invalid type name \"{text}\""));
    }
    assert_eq!(parse_type_name("numeric(5)[]").unwrap().array_bounds, [-1]);
}
