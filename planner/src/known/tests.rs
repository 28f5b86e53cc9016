//! The estimators, on figures that were worked out by hand or read off PostgreSQL 15's EXPLAIN.

use aegis_catalog::{CommonValues, Values};
use aegis_types::TypeRef;

use super::*;

fn near(value: f64, expected: f64) {
    assert!((value - expected).abs() < 1e-6, "{value} is not {expected}");
}

fn ints(values: impl IntoIterator<Item = i32>) -> Values {
    Values(values.into_iter().map(Datum::Int4).collect())
}

/// 1,000 rows: a tenth NULL, a half 7, a fifth 9, and 1 to 100 alike often.
fn skewed() -> Known {
    let statistics = Statistics {
        relation: Oid(1),
        column: 1,
        ty: TypeRef::plain(type_oid::INT4),
        null_fraction: 0.1,
        width: 4,
        distinct: 102.0,
        common: Some(CommonValues { values: ints([7, 9]), frequencies: vec![0.5, 0.2] }),
        histogram: Some(ints((0..=10).map(|at| 10 * at))),
        correlation: None,
    };
    Known {
        statistics: Some(Arc::new(statistics)),
        rows: 1000.0,
        is_unique: false,
        base: type_oid::INT4,
    }
}

fn plain(rows: f64) -> Known {
    Known { statistics: None, rows, is_unique: false, base: type_oid::INT4 }
}

#[test]
fn a_common_value_has_its_frequency_and_the_others_share_the_rest() {
    let known = skewed();
    near(known.equal(Some(&Datum::Int4(7))), 0.5);
    near(known.equal(Some(&Datum::Int4(50))), 0.2 / 100.0);
    near(known.equal(Some(&Datum::Null)), 0.0);
    near(known.equal(None), 0.9 / 102.0);
    near(known.compared(Comparison::NotEqual, Some(&Datum::Int4(7))).part, 0.4);
    // A value of another whole type is the same.
    near(known.equal(Some(&Datum::Int8(9))), 0.2);
    assert!(known.is_skewed() && !plain(1e6).is_skewed());
    let mut statistics = (**known.statistics.as_ref().unwrap()).clone();
    statistics.distinct = 2.0;
    statistics.common = Some(CommonValues { values: ints([1, 2]), frequencies: vec![0.98, 0.02] });
    let two = Known { statistics: Some(Arc::new(statistics)), ..known };
    assert!(two.is_skewed());
}

#[test]
fn a_key_has_one_row_a_value() {
    let known = Known { is_unique: true, ..plain(5000.0) };
    near(known.equal(None), 1.0 / 5000.0);
    near(known.distinct().0, 5000.0);
}

#[test]
fn nothing_known_is_postgresql_s_defaults() {
    near(plain(10_000.0).equal(Some(&Datum::Int4(1))), 1.0 / 200.0);
    near(plain(50.0).equal(None), 1.0 / 50.0);
    let part = plain(10.0).compared(Comparison::Less, Some(&Datum::Int4(1)));
    assert!(part.is_default);
    near(part.part, COMPARED);
}

#[test]
fn a_histogram_cuts_what_is_not_common() {
    let known = skewed();
    let below = |op, value| known.compared(op, Some(&Datum::Int4(value))).part;
    // Both common values lie below; of the others 45 %, less what is equal.
    near(below(Comparison::Less, 45), 0.7 + 0.2 * (0.45 - 0.01));
    near(below(Comparison::LessEqual, 45), 0.7 + 0.2 * 0.45);
    near(below(Comparison::Greater, 45), 0.2 * 0.55);
    near(below(Comparison::GreaterEqual, 45), 0.2 * (0.55 + 0.01));
    // Beyond the ends a little is left.
    near(below(Comparison::Greater, 1000), 0.2 * 0.001);
    near(below(Comparison::Less, -5), 0.2 * 0.001);
}

#[test]
fn pairs_of_common_values_count_one_by_one() {
    let known = skewed();
    // 0.5² + 0.2² of the common ones, and of the others 0.2² / 100.
    near(equal_pairs(&known, &known), 0.29 + 0.04 / 100.0);
    let key = Known { is_unique: true, ..plain(500.0) };
    near(equal_pairs(&known, &key), 0.9 / 500.0);
    near(equal_pairs(&plain(1e6), &plain(1e6)), 1.0 / 200.0);
}

#[test]
fn a_row_has_a_match_where_the_values_on_the_right_suffice() {
    let key = Known { is_unique: true, ..plain(500.0) };
    near(equal_any(&skewed(), &key, 500.0), 0.9);
    near(equal_any(&skewed(), &key, 51.0), 0.9 * 51.0 / 102.0);
    near(equal_any(&plain(1e6), &plain(1e6), 1e6), 0.5);
}

#[test]
fn texts_lie_where_their_first_letters_do() {
    let text = |text: &str| Datum::text(text);
    let within = |value: &str| scale::within(type_oid::TEXT, &text(value), &text("a"), &text("k"));
    assert!(within("b") < within("c") && within("f") < within("fb"));
    near(scale::within(type_oid::UUID, &Datum::Null, &Datum::Null, &Datum::Null), 0.5);
}

#[test]
fn patterns_are_judged_by_their_prefix_and_their_rest() {
    let like = Matching::named("~~").unwrap();
    let always = |_: &Datum| false;
    // A prefix in a column without a histogram, then characters that any may be.
    near(plain(1e6).matched(like, "ab%", &always).part, 0.005);
    near(plain(1e6).matched(like, "%ab%", &always).part, 0.04 * 5.0);
    near(plain(1e6).matched(like, "ab", &always).part, 0.005);
    let not = Matching::named("!~~").unwrap();
    near(plain(1e6).matched(not, "ab%", &always).part, 0.995);
    assert!(Matching::named("||").is_none());
    for hostile in ["\\", "%\\", "[", "{", "(", "^", "a{", "\\\\\\"] {
        for name in ["~~", "~~*", "~", "!~*"] {
            let part = skewed().matched(Matching::named(name).unwrap(), hostile, &always).part;
            assert!((0.0..=1.0).contains(&part), "{name} {hostile}: {part}");
        }
    }
}
