//! Matches against what PostgreSQL 15 answered.

use super::*;

/// The whole and the groups, `-` for those that took no part; or the error.
fn found(pattern: &str, text: &str) -> String {
    let spans = compile(pattern, Flags::default()).and_then(|regex| regex.over(text)?.find(0));
    match spans {
        Err(error) => error.fields().message.clone(),
        Ok(None) => "none".to_owned(),
        Ok(Some(spans)) => {
            let parts: Vec<&str> = spans
                .iter()
                .map(|span| span.map_or("-", |(start, end)| &text[start..end]))
                .collect();
            parts.join("|")
        }
    }
}

#[test]
fn matches_are_leftmost_and_as_long_as_the_pattern_prefers() {
    for (pattern, text, expected) in [
        ("foo|foobar", "xfoobar", "foobar"),
        ("(a?)(ab)?", "ab", "ab||ab"),
        ("Y*([0-9]{1,3})", "XY1234Z", "Y123|123"),
        ("Y*?([0-9]{1,3})", "XY1234Z", "Y1|1"),
        ("a.c", "a\nc", "a\nc"),
        ("(?n)a.c", "a\nc", "none"),
        ("^b", "a\nb", "none"),
        ("(?n)^b$", "a\nb\nc", "b"),
        ("[[:<:]]b.", "ab bc", "bc"),
        ("\\mfoo\\M", "afoo foo", "foo"),
        ("\\d+\\s\\w", "a12 x", "12 x"),
        ("(?i)[a-c]+", "xAbC", "AbC"),
        ("***=a.b", "aab a.b", "a.b"),
        ("[]a]+", "x]a", "]a"),
        ("a{2,3}", "aaaa", "aaa"),
        ("x{", "x{", "x{"),
        ("ä.ö", "xäüö", "äüö"),
        ("(?x) a b # comment", "ab", "ab"),
        ("()", "a", "|"),
        ("(b)|a", "a", "a|-"),
    ] {
        assert_eq!(found(pattern, text), expected, "{pattern}");
    }
}

#[test]
fn letters_are_unicodes() {
    for (pattern, text, expected) in [
        ("(?i)École", "l'ÉCOLE", "ÉCOLE"),
        ("[[:alpha:]]+", "1 naïveté!", "naïveté"),
        ("\\w+", "é_ß2 x", "é_ß2"),
        ("[[:upper:]]", "aÉ", "É"),
        ("(?i)[[:upper:]]", "-é", "é"),
        ("(?i)[à-é]+", "xÈÉ", "ÈÉ"),
        ("\\mé\\M", "été é", "é"),
        ("\\yété\\y", "pété été", "été"),
        ("(\\y\\w+?\\y) (\\w+)\\M", "où étés", "où étés|où|étés"),
        // A combining accent is a letter of words to Unicode, and none to the C library.
        ("e\\M", "e\u{301}é e", "e"),
        ("(?i)(é)\\1", "éÉ", "éÉ|é"),
        ("\\s", "a\u{3000}b", "\u{3000}"),
    ] {
        assert_eq!(found(pattern, text), expected, "{pattern}");
    }
}

#[test]
fn bad_patterns_are_refused_in_postgresqls_words() {
    for (pattern, reason) in [
        ("(", "parentheses () not balanced"),
        (")", "parentheses () not balanced"),
        ("[a", "brackets [] not balanced"),
        ("a{2,1}", "invalid repetition count(s)"),
        ("a{256}", "invalid repetition count(s)"),
        ("*a", "quantifier operand invalid"),
        ("a**", "quantifier operand invalid"),
        ("^*", "quantifier operand invalid"),
        ("\\", "invalid escape \\ sequence"),
        ("[b-a]", "invalid character range"),
        ("[[:x:]]", "invalid character class"),
        ("\\1", "invalid backreference number"),
    ] {
        assert_eq!(found(pattern, "a"), format!("invalid regular expression: {reason}"));
    }
}
