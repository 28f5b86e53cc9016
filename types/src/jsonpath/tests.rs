//! Paths as PostgreSQL 15 reads and shows them.

use super::Path;

fn shown(text: &str) -> String {
    match Path::parse(text) {
        Ok(path) => {
            let again =
                super::parse::parse_stored(&path.stored()).expect("what is stored is read again");
            assert_eq!(again.shown(), path.shown(), "{text}");
            path.shown()
        }
        Err(error) => format!("{}: {}", error.code().code(), error.fields().message),
    }
}

#[test]
fn paths_are_shown_as_postgresql_shows_them() {
    for (text, expected) in [
        ("$.a.b", "$.\"a\".\"b\""),
        ("lax $[1 to 2, 3, last - 1]", "$[1 to 2,3,last - 1]"),
        ("strict $[*].*", "strict $[*].*"),
        ("1..type()", "(1).type()"),
        ("($.x * 3).a + 1", "($.\"x\" * 3.\"a\" + 1)"),
        ("-$.a.b", "(-$.\"a\".\"b\")"),
        ("-(1).a", "(-(1).\"a\")"),
        ("- -1", "1"),
        ("($.a > 1).type()", "($.\"a\" > 1).type()"),
        ("(exists($.a)).type()", "exists ($.\"a\").type()"),
        ("!exists($.a)", "!(exists ($.\"a\"))"),
        ("(($.a == 1)) is unknown", "($.\"a\" == 1) is unknown"),
        ("1 + 2 * 3 - 4 % 5 / 6", "((1 + 2 * 3) - (4 % 5) / 6)"),
        ("$ ? (@ like_regex \"a\" flag \"siqm\")", "$?(@ like_regex \"a\" flag \"ismq\")"),
        ("$.**{2 to last}.b", "$.**{2 to last}.\"b\""),
        ("$.**{0 to last}", "$.**"),
        ("$.TRUE.type.\"q\\u0041\\x42\\u{1F600}\"", "$.\"TRUE\".\"type\".\"qAB😀\""),
        ("$.datetime(\"yyyy\").keyvalue()", "$.datetime(\"yyyy\").keyvalue()"),
        ("$\"x y\" /* no */ . /* one */ a", "$\"x y\".\"a\""),
    ] {
        assert_eq!(shown(text), expected, "{text}");
    }
}

#[test]
fn what_is_no_path_is_refused_in_postgresqls_words() {
    for (text, expected) in [
        ("", "22P02: invalid input syntax for type jsonpath: \"\""),
        ("strict", "42601: syntax error at end of jsonpath input"),
        ("$ b c", "42601: syntax error at or near \" \" of jsonpath input"),
        ("$ b.c", "42601: syntax error at end of jsonpath input"),
        ("$.a/**/", "42601: syntax error at end of jsonpath input"),
        ("$.a /* b", "42601: unexpected end of comment at end of jsonpath input"),
        ("1a", "42601: trailing junk after numeric literal at or near \"1a\" of jsonpath input"),
        (
            "1.type()",
            "42601: trailing junk after numeric literal at or near \"1.t\" of jsonpath input",
        ),
        ("1e+", "42601: invalid numeric literal at or near \"1e+\" of jsonpath input"),
        ("0xff", "42601: syntax error at end of jsonpath input"),
        ("00", "42601: trailing junk after numeric literal at or near \"00\" of jsonpath input"),
        ("$ ? (@.a)", "42601: syntax error at or near \")\" of jsonpath input"),
        ("$.a == 1 == 2", "42601: syntax error at or near \"==\" of jsonpath input"),
        ("@", "42601: @ is not allowed in root expressions"),
        ("$ ? (last > 0)", "42601: LAST is allowed only in array subscripts"),
        ("$.\"\\u00\"", "42601: invalid unicode sequence at or near \"\\u00\" of jsonpath input"),
        ("$.a\\", "42601: unexpected end after backslash at or near \"\\\" of jsonpath input"),
        (
            "$ ? (@ like_regex \"(\")",
            "2201B: invalid regular expression: parentheses () not balanced",
        ),
        ("$.**{4294967295}", "22003: value \"4294967295\" is out of range for type integer"),
    ] {
        assert_eq!(shown(text), expected, "{text}");
    }
}

#[test]
fn deep_paths_need_little_stack() {
    let deep = |text: String| shown(&text).starts_with("54001");
    let run = move || {
        for count in [400, 100_000] {
            assert_eq!(deep(format!("${}", ".a".repeat(count))), count > 400);
            assert_eq!(deep(format!("1{}", " + 1".repeat(count))), count > 400);
            assert!(!deep(format!("{}1", "-".repeat(count))));
            assert_eq!(deep(format!("{}$", "-".repeat(count))), count > 400);
        }
        assert!(!deep(format!("{}1{}", "(".repeat(150), ")".repeat(150))));
        assert!(deep(format!("{}1{}", "(".repeat(100_000), ")".repeat(100_000))));
        assert!(deep(format!("{}1", "$ ? (@ == ".repeat(100_000))));
        assert!(
            deep("a/**/".repeat(100_000)) || shown(&"a/**/".repeat(100_000)).starts_with("22P02")
        );
        let document = format!("{}1{}", "[".repeat(1000), "]".repeat(1000));
        let document = crate::jsonb::Jsonb::parse(&document).expect("arrays nest that deep");
        let variables = crate::jsonb::Jsonb::parse("{}").expect("an object");
        let settings = crate::FormatSettings::default();
        let host = crate::context::NoHost;
        let ask = |text: &str| {
            let question = super::Question {
                document: &document,
                variables: &variables,
                raises: true,
                uses_zone: false,
                eval: crate::EvalContext {
                    settings: &settings,
                    transaction_timestamp: 0,
                    statement_timestamp: 0,
                    host: &host,
                },
                ctype: crate::Ctype::Unicode,
            };
            let path = Path::parse(text).expect("a path");
            super::run(&path, &question, true).map(|found| match found {
                super::Found::Values(values) => values.len(),
                super::Found::Failed => 0,
            })
        };
        assert_eq!(ask("strict $.**"), Ok(1001));
        assert_eq!(ask("$.**{last}"), Ok(1));
        // Each value many times over.
        assert!(ask("strict $.**.**.**.**").is_err());
        assert_eq!(ask(&format!("$.**{{last}}{}", ".type()".repeat(400))), Ok(1));
    };
    let thread = std::thread::Builder::new().stack_size(1 << 20).spawn(run).expect("a thread");
    thread.join().expect("no overflow");
}
