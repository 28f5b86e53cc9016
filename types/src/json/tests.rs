//! What is refused, and with which words: expectations are a PostgreSQL 15's answers.

use proptest::prelude::*;

use super::{DEPTH_MAX, Json, is_number, validate};
use crate::jsonb::Jsonb;

/// `detail|context` of the refusal, after its code where that is not 22P02.
fn refusal<T: std::fmt::Debug>(result: crate::SqlResult<T>) -> String {
    let error = result.expect_err("the text is to be refused");
    let fields = error.fields();
    let code = if error.code().code() == "22P02" {
        assert_eq!(fields.message, "invalid input syntax for type json");
        String::new()
    } else {
        format!("{} ", error.code().code())
    };
    let [detail, context] = [&fields.detail, &fields.context].map(|f| f.as_deref().unwrap_or("-"));
    format!("{code}{detail}|{}", context.strip_prefix("JSON data, line ").unwrap_or(context))
}

#[test]
fn syntax_errors_say_what_postgresql_says() {
    let ended = "The input string ended unexpectedly.";
    let cases = [
        ("", format!("{ended}|1: ")),
        ("[1,", format!("{ended}|1: [1,")),
        ("{\"a\":1", format!("{ended}|1: {{\"a\":1")),
        ("nul", "Token \"nul\" is invalid.|1: nul".to_owned()),
        ("[1é2]", "Token \"1é2\" is invalid.|1: [1é2...".to_owned()),
        ("01", "Token \"01\" is invalid.|1: 01".to_owned()),
        ("1.", "Token \"1.\" is invalid.|1: 1.".to_owned()),
        ("1 2", "Expected end of input, but found \"2\".|1: 1 2".to_owned()),
        ("[,]", "Expected JSON value, but found \",\".|1: [,...".to_owned()),
        ("{1:2}", "Expected string or \"}\", but found \"1\".|1: {1...".to_owned()),
        ("{\"a\"}", "Expected \":\", but found \"}\".|1: {\"a\"}".to_owned()),
        ("{\"a\":1,}", "Expected string, but found \"}\".|1: {\"a\":1,}".to_owned()),
        ("{\"a\":1 2}", "Expected \",\" or \"}\", but found \"2\".|1: {\"a\":1 2...".to_owned()),
        ("[1\n 2]", "Expected \",\" or \"]\", but found \"2\".|2:  2...".to_owned()),
        ("\"a", "Token \"\"a\" is invalid.|1: \"a".to_owned()),
        ("\"a\nb\"", "Character with value 0x0a must be escaped.|1: \"a".to_owned()),
        ("\"\\x\"", "Escape sequence \"\\x\" is invalid.|1: \"\\x...".to_owned()),
        (
            "\"\\u00g0\"",
            "\"\\u\" must be followed by four hexadecimal digits.|1: \"\\u00g...".to_owned(),
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(refusal(validate(text)), expected, "{text}");
        assert_eq!(refusal(Jsonb::parse(text)), expected, "{text}");
    }
    let long = format!("[\"{}\", x]", "é".repeat(40));
    assert_eq!(
        refusal(validate(&long)),
        format!("Token \"x\" is invalid.|1: ...{}\", x...", "é".repeat(22))
    );
}

#[test]
fn escapes_that_are_no_character_are_refused_where_a_value_is_needed() {
    let high = "Unicode high surrogate must not follow a high surrogate.";
    let low = "Unicode low surrogate must follow a high surrogate.";
    let cases = [
        ("\"\\u0000\"", "22P05 \\u0000 cannot be converted to text.|1: \"\\u0000...".to_owned()),
        ("\"\\ud800\\ud800\"", format!("{high}|1: \"\\ud800\\ud800...")),
        ("\"\\ud800x\"", format!("{low}|1: \"\\ud800x...")),
        ("\"\\ud800\"", format!("{low}|1: \"\\ud800\"")),
        ("\"\\udc00\"", format!("{low}|1: \"\\udc00...")),
        ("\"\\ud800\t\"", "Character with value 0x09 must be escaped.|1: \"\\ud800...".to_owned()),
    ];
    for (text, expected) in cases {
        if !text.contains('\t') {
            assert!(validate(text).is_ok(), "{text}");
        }
        assert_eq!(refusal(Jsonb::parse(text)), expected, "{text}");
    }
    assert_eq!(Jsonb::parse("\"\\ud83d\\ude00\"").unwrap().to_string(), "\"😀\"");
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(validate(&nested(DEPTH_MAX)).is_ok());
    let error = validate(&nested(DEPTH_MAX + 1)).unwrap_err();
    assert_eq!(error.code().code(), "54001");
    assert!(validate(&"{\"a\":".repeat(1_000_000)).is_err());
}

#[test]
fn numbers_are_those_of_the_grammar() {
    for text in ["0", "-0", "10", "1.5", "1e5", "1E-5", "-0.0e+1"] {
        assert!(is_number(text), "{text}");
    }
    for text in ["", "-", "NaN", "Infinity", "01", ".5", "1.", "1e", "1e+", "+1", "1 ", "0x1"] {
        assert!(!is_number(text), "{text}");
    }
}

proptest! {
    #[test]
    fn hostile_text_is_an_error_at_most(text in "[\\[\\]{},:\"\\\\udD8Ee.+\\-0-9 \ntrufalsn_é\u{1}😀]{0,40}") {
        let plain = validate(&text).is_ok();
        let full = Jsonb::parse(&text).is_ok();
        prop_assert!(plain || !full);
        let view = Json::new(&text);
        if let Ok(view) = view {
            for (key, value) in view.fields() {
                prop_assert!(Json::new(value.text()).is_ok() && key.len() <= text.len());
            }
            for (at, element) in view.elements().enumerate() {
                prop_assert!(Json::new(element.text()).is_ok());
                prop_assert_eq!(view.element(i64::try_from(at).unwrap()).unwrap().text(), element.text());
            }
        }
        let _ = (Json::of_valid(&text).elements().count(), Json::of_valid(&text).fields().count());
    }
}
