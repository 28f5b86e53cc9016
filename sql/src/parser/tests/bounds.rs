//! That no text exhausts the stack, and none makes the parser panic.

use aegis_types::SqlState;
use proptest::prelude::*;

use crate::parser::{
    CHAIN_MAX, KEYWORDS, NESTING_MAX, NODE_CHAIN_MAX, parse, parse_expr, parse_type_name,
};

/// The stack of a worker.
const STACK_BYTES: usize = 2 * 1024 * 1024;

fn on_a_workers_stack(test: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new()
        .stack_size(STACK_BYTES)
        .spawn(test)
        .expect("a thread can be made")
        .join()
        .expect("the test holds");
}

/// Text in which something nests so often.
fn nested(open: &str, inner: &str, close: &str, levels: usize) -> String {
    let lead = if open.starts_with("(b") { "select * from " } else { "select " };
    format!("{lead}{}{inner}{}", open.repeat(levels), close.repeat(levels))
}

const NESTING: [(&str, &str, &str); 15] = [
    ("(", "1", ")"),
    ("- ", "a", ""),
    ("not ", "a", ""),
    ("f(", "1", ")"),
    ("case when ", "a", " then 1 end"),
    ("array[", "1", "]"),
    ("a[", "1", "]"),
    ("(select ", "1", ")"),
    ("exists (select ", "1", ")"),
    ("a in (", "1", ")"),
    ("1 = any (", "a", ")"),
    ("a from (select ", "1", ") x"),
    ("(b join ", "c", " on d)"),
    ("coalesce(", "1", ")"),
    ("sum(a) over (order by ", "1", ")"),
];

#[test]
fn nesting_up_to_the_bound_fits_a_workers_stack_and_beyond_is_refused() {
    on_a_workers_stack(|| {
        for (open, inner, close) in NESTING {
            // A level of nesting is at most four of the parser's, so that this much must do...
            let enough = nested(open, inner, close, NESTING_MAX as usize / 4 - 2);
            match parse(&enough) {
                Ok(statements) => drop(statements.clone()),
                Err(error) => panic!("{open}: {error}"),
            }
            // ...and this much must be refused.
            let error = parse(&nested(open, inner, close, 100_000)).expect_err(open);
            assert_eq!(error.code(), SqlState::StatementTooComplex, "{open}");
            // The deepest that is taken can be copied, compared and dropped.
            let (mut low, mut high) = (1, NESTING_MAX as usize + 1);
            while low + 1 < high {
                let middle = low.midpoint(high);
                match parse(&nested(open, inner, close, middle)) {
                    Ok(_) => low = middle,
                    Err(_) => high = middle,
                }
            }
            let deepest = parse(&nested(open, inner, close, low)).expect(open);
            assert_eq!(deepest, deepest.clone());
        }
    });
}

#[test]
fn long_chains_are_taken_up_to_the_bound_and_dropped() {
    on_a_workers_stack(|| {
        let nodes = NODE_CHAIN_MAX as usize;
        for (first, more, count) in [
            ("select 1", "+1", CHAIN_MAX as usize),
            ("select a", "::int", nodes),
            ("select a", " is null", nodes),
            ("select 1", " union all select 1", nodes),
            ("select * from a", " cross join a", nodes),
            ("select * from a", " left join a on a", nodes),
        ] {
            let taken = parse(&format!("{first}{}", more.repeat(count))).expect(first);
            assert_eq!(taken, taken.clone());
            drop(taken);
            let error = parse(&format!("{first}{}", more.repeat(count + 1))).expect_err(first);
            assert_eq!(error.code(), SqlState::StatementTooComplex, "{first}");
        }
        parse(&format!("select a{}", " and a or a".repeat(100_000))).expect("flat chains are free");
        parse(&format!("select f(1{})", ",1".repeat(100_000))).expect("lists are free");
    });
}

/// Words and signs that statements are made of, and some that break them.
fn word() -> impl Strategy<Value = String> {
    let keyword = (0..KEYWORDS.len()).prop_map(|index| KEYWORDS[index].word.to_owned());
    let sign = prop::sample::select(vec![
        "(", ")", "[", "]", ",", ";", ".", "*", "=", "<", "-", "+", "::", ":", ":=", "=>", "..",
        "'x'", "'", "\"a\"", "\"", "1", "1.5", "1e", "$1", "$$", "$a$", "a", "b", "E'\\u", "U&'\\",
        "U&\"", "uescape", "/*", "--", "\n", "é", "\u{0}", "B'1'", "||", "not", "select", "from",
    ]);
    prop_oneof![2 => keyword, 3 => sign.prop_map(str::to_owned)]
}

proptest! {
    #[test]
    fn random_words_never_panic(words in prop::collection::vec(word(), 0..40)) {
        let text = words.join(" ");
        let _ = parse(&text);
        let _ = parse_expr(&text);
        let _ = parse_type_name(&text);
        let _ = parse(&words.concat());
    }

    #[test]
    fn random_words_behind_a_leading_keyword_never_panic(
        lead in prop::sample::select(vec![
            "select", "create", "create table t (", "alter table t", "alter", "drop", "insert into t",
            "update t set", "with a as (", "copy t", "set", "grant", "create function f(", "fetch",
            "explain", "comment on", "select a from", "select sum(a) over (", "alter role r",
        ]),
        words in prop::collection::vec(word(), 0..20),
    ) {
        let _ = parse(&format!("{lead} {}", words.join(" ")));
    }

    #[test]
    fn random_text_never_panics(text in "\\PC*") {
        let _ = parse(&text);
        let _ = parse_expr(&text);
    }

    #[test]
    fn random_bytes_read_as_text_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let text = String::from_utf8_lossy(&bytes);
        let _ = parse(&text);
    }

    #[test]
    fn positions_lie_within_the_text(words in prop::collection::vec(word(), 0..20)) {
        let text = words.join(" ");
        if let Err(error) = parse(&text)
            && let Some(position) = error.fields().position
        {
            prop_assert!(text.is_char_boundary(position as usize));
        }
    }
}
