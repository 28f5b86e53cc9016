//! What PostgreSQL 15 answers, and the laws that hold for all values.

use proptest::prelude::*;

use super::{Numeric, SumAccumulator};
use crate::context::{CallContext, EvalContext, FormatSettings, NoHost};
use crate::datum::Datum;
use crate::error::SqlResult;
use crate::functions;
use crate::oid::TypeRef;

fn number(text: &str) -> Numeric {
    text.parse().unwrap()
}

/// The text of a result; SQLSTATE and message of an error.
fn show(result: SqlResult<Datum>) -> String {
    match result {
        Ok(Datum::Numeric(value)) => value.to_string(),
        Ok(Datum::Null) => "NULL".to_owned(),
        Ok(Datum::Int2(value)) => value.to_string(),
        Ok(Datum::Int4(value)) => value.to_string(),
        Ok(Datum::Int8(value)) => value.to_string(),
        Ok(Datum::Bytea(bytes)) => {
            let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("\\x{}", digits.concat())
        }
        Ok(other) => panic!("no test expects {other:?}"),
        Err(error) => {
            let fields = error.fields();
            let detail = fields.detail.as_ref().map_or(String::new(), |text| format!(" / {text}"));
            format!("{} {}{detail}", fields.code.code(), fields.message)
        }
    }
}

fn call(key: &str, arguments: &[&str]) -> String {
    let settings = FormatSettings::default();
    let eval = EvalContext {
        settings: &settings,
        transaction_timestamp: 0,
        statement_timestamp: 0,
        host: &NoHost,
    };
    let result_type = TypeRef::plain(crate::type_oid::NUMERIC);
    let context = CallContext {
        eval,
        argument_types: &[],
        result_type,
        collation: crate::Collation::Default,
    };
    let arguments: SqlResult<Vec<Datum>> =
        arguments.iter().map(|text| Numeric::parse(text).map(Datum::Numeric)).collect();
    show(arguments.and_then(|arguments| functions::scalar(key).unwrap()(&context, &arguments)))
}

/// Function, arguments, what PostgreSQL 15.18 answers.
const ANSWERS: &[(&str, &[&str], &str)] = &[
    ("numeric_div", &["1", "3"], "0.33333333333333333333"),
    ("numeric_div", &["10", "3"], "3.3333333333333333"),
    ("numeric_div", &["2", "3"], "0.66666666666666666667"),
    ("numeric_div", &["-2", "3"], "-0.66666666666666666667"),
    ("numeric_div", &["10000", "3"], "3333.3333333333333333"),
    ("numeric_div", &["1", "10000"], "0.000100000000000000000000"),
    ("numeric_div", &["1", "99999"], "0.000010000100001000010000"),
    ("numeric_div", &["0.00", "7"], "0.00000000000000000000"),
    ("numeric_div", &["1.000000000000000000000", "3"], "0.333333333333333333333"),
    ("numeric_div", &["123456789012345678901234567890", "7"], "17636684144620811271604938270"),
    (
        "numeric_div",
        &["1e-20", "3e20"],
        "0.000000000000000000000000000000000000000033333333333333333333",
    ),
    ("numeric_add", &["9223372036854775807", "1"], "9223372036854775808"),
    ("numeric_sub", &["-9223372036854775808", "1"], "-9223372036854775809"),
    ("numeric_add", &["1.5", "2.25"], "3.75"),
    ("numeric_sub", &["0.1", "0.10"], "0.00"),
    (
        "numeric_mul",
        &["9223372036854775807", "9223372036854775807"],
        "85070591730234615847396907784232501249",
    ),
    ("numeric_mul", &["12.50", "-0.040"], "-0.50000"),
    ("numeric_mod", &["-7.5", "2"], "-1.5"),
    ("numeric_mod", &["7", "-2.5"], "2.0"),
    ("numeric_div_trunc", &["-7.5", "2"], "-3"),
    ("numeric_sub", &["inf", "inf"], "NaN"),
    ("numeric_mul", &["inf", "0"], "NaN"),
    ("numeric_div", &["5", "-inf"], "0"),
    ("numeric_div", &["inf", "0"], "22012 division by zero"),
    ("numeric_div", &["nan", "0"], "NaN"),
    ("numeric_div", &["1", "0.00"], "22012 division by zero"),
    ("numeric_mod", &["inf", "0"], "22012 division by zero"),
    ("numeric_mul", &["1e131071", "10"], "22003 value overflows numeric format"),
    ("numeric_sqrt", &["2"], "1.414213562373095"),
    ("numeric_sqrt", &["0.0001"], "0.01000000000000000"),
    ("numeric_sqrt", &["123456789"], "11111.11106055556"),
    ("numeric_sqrt", &["1e40"], "100000000000000000000"),
    ("numeric_sqrt", &["-1"], "2201F cannot take square root of a negative number"),
    ("numeric_exp", &["1"], "2.7182818284590452"),
    ("numeric_exp", &["-100"], "0.00000000000000000000000000000000000000000003720075976020836"),
    ("numeric_exp", &["0.0"], "1.0000000000000000"),
    ("numeric_exp", &["123.456"], "413294435277809344957685441227343146614594393746575438.725"),
    ("numeric_exp", &["6000"], "22003 value overflows numeric format"),
    ("numeric_exp", &["-inf"], "0"),
    ("numeric_ln", &["2"], "0.6931471805599453"),
    ("numeric_ln", &["1.00000000001"], "0.000000000009999999999950000"),
    (
        "numeric_ln",
        &["1e-100"],
        "-230.2585092994045684017991454684364207601101488628772976033327900967572609677352480235997205089598298342",
    ),
    ("numeric_ln", &["0"], "2201E cannot take logarithm of zero"),
    ("numeric_ln", &["-inf"], "2201E cannot take logarithm of a negative number"),
    ("numeric_log", &["2", "8"], "3.0000000000000000"),
    ("numeric_log", &["0.5", "3"], "-1.5849625007211562"),
    ("numeric_log", &["1", "3"], "22012 division by zero"),
    ("numeric_log", &["0", "-inf"], "2201E cannot take logarithm of a negative number"),
    ("numeric_log", &["0", "-1"], "2201E cannot take logarithm of zero"),
    ("numeric_power", &["2", "100"], "1267650600228229401496703205376.0000000000000000"),
    ("numeric_power", &["2", "-3"], "0.1250000000000000"),
    ("numeric_power", &["1e10", "0.5"], "100000.00000000000"),
    ("numeric_power", &["1.0000000000001", "123456789012345.5"], "229964.1948528424779"),
    ("numeric_power", &["0.5", "1000"], "0.0000000000000000"),
    ("numeric_power", &["-8", "3"], "-512.0000000000000000"),
    (
        "numeric_power",
        &["-8", "0.5"],
        "2201F a negative number raised to a non-integer power yields a complex result",
    ),
    ("numeric_power", &["0", "-1"], "2201F zero raised to a negative power is undefined"),
    ("numeric_power", &["nan", "0"], "1"),
    ("numeric_power", &["-inf", "3"], "-Infinity"),
    ("numeric_power", &["10", "131072"], "22003 value overflows numeric format"),
    ("numeric_gcd", &["12.5", "0.25"], "0.25"),
    ("numeric_lcm", &["12.5", "0.2"], "25.0"),
    ("numeric_ceil", &["-0.5"], "0"),
    ("numeric_floor", &["-0.5"], "-1"),
    ("numeric_sign", &["-0.00"], "0"),
    ("numeric_trim_scale", &["100.500"], "100.5"),
    ("numeric_min_scale", &["100.500"], "1"),
    ("numeric_scale", &["nan"], "NULL"),
    ("numeric_int4", &["2147483647.5"], "22003 integer out of range"),
    ("numeric_int2", &["nan"], "0A000 cannot convert NaN to smallint"),
    ("numeric_int8", &["-inf"], "0A000 cannot convert infinity to bigint"),
    ("numeric_int8", &["-9223372036854775808.4"], "-9223372036854775808"),
    ("numeric_int8", &["1e30"], "22003 bigint out of range"),
    ("numeric_send", &["-12345.678"], "\\x0003000140000003000109291a7c"),
    ("numeric_send", &["-inf"], "\\x00000000f0000020"),
    ("numeric_send", &["0.00"], "\\x0000000000000002"),
    ("numeric_uplus", &["1e-16384"], "22003 value overflows numeric format"),
    ("numeric_uplus", &["1e1000000000"], "22003 value overflows numeric format"),
    ("numeric_uplus", &["5e 5"], "500000"),
    ("numeric_uplus", &["+nan"], "22P02 invalid input syntax for type numeric: \"+nan\""),
    ("numeric_uplus", &[" -Inf "], "-Infinity"),
    ("numeric_uplus", &["."], "22P02 invalid input syntax for type numeric: \".\""),
    ("numeric_uplus", &["1_000"], "22P02 invalid input syntax for type numeric: \"1_000\""),
    ("numeric_uplus", &["5e+"], "22P02 invalid input syntax for type numeric: \"5e+\""),
    ("numeric_uplus", &[".5e-3"], "0.0005"),
    ("numeric_uplus", &["0e-5"], "0.00000"),
];

#[test]
fn functions_answer_as_postgresql_does() {
    for (key, arguments, expected) in ANSWERS {
        assert_eq!(call(key, arguments), *expected, "{key} {arguments:?}");
    }
}

/// Value, scale, rounded, truncated.
const ROUNDINGS: &[(&str, i32, &str, &str)] = &[
    ("2.5", 0, "3", "2"),
    ("-2.5", 0, "-3", "-2"),
    ("15", -1, "20", "10"),
    ("14.9", -1, "10", "10"),
    ("50", -2, "100", "0"),
    ("49.99", -2, "0", "0"),
    ("5000", -4, "10000", "0"),
    ("4999.9", -4, "0", "0"),
    ("0.00005", 4, "0.0001", "0.0000"),
    ("0.000049999", 4, "0.0000", "0.0000"),
    ("1", 5, "1.00000", "1.00000"),
    ("99999.995", 2, "100000.00", "99999.99"),
    ("123456.789", -6, "0", "0"),
    ("500000", -6, "1000000", "0"),
    ("1e20", -19, "100000000000000000000", "100000000000000000000"),
    ("0.5", -1, "0", "0"),
];

#[test]
fn rounding_is_half_away_from_zero_on_either_side_of_the_point() {
    for (value, scale, rounded, truncated) in ROUNDINGS {
        assert_eq!(number(value).round(*scale).unwrap().to_string(), *rounded, "{value} {scale}");
        assert_eq!(number(value).trunc(*scale).unwrap().to_string(), *truncated, "{value} {scale}");
    }
}

/// Value, precision and scale, the value as a column so declared holds it.
const DECLARED: &[(&str, &[i32], &str)] = &[
    ("12355", &[3, -2], "12400"),
    ("0.00123", &[2, 4], "0.0012"),
    (
        "123456",
        &[5, 2],
        "22003 numeric field overflow / A field with precision 5, scale 2 must round to an absolute value less than 10^3.",
    ),
    (
        "1",
        &[2, 3],
        "22003 numeric field overflow / A field with precision 2, scale 3 must round to an absolute value less than 10^-1.",
    ),
    (
        "inf",
        &[5, 2],
        "22003 numeric field overflow / A field with precision 5, scale 2 cannot hold an infinite value.",
    ),
    ("nan", &[5, 2], "NaN"),
    ("999.994", &[5, 2], "999.99"),
    (
        "999.995",
        &[5, 2],
        "22003 numeric field overflow / A field with precision 5, scale 2 must round to an absolute value less than 10^3.",
    ),
    (
        "99950",
        &[3, -2],
        "22003 numeric field overflow / A field with precision 3, scale -2 must round to an absolute value less than 10^5.",
    ),
    ("0.0999", &[3, 3], "0.100"),
    ("1234567890123456789.5", &[19, 0], "1234567890123456790"),
    ("9.99", &[3, 2], "9.99"),
    ("-0.5", &[1, 0], "-1"),
];

#[test]
fn declared_precision_and_scale_round_or_refuse() {
    for (value, modifier, expected) in DECLARED {
        let typmod = Numeric::typmod_in(modifier).unwrap();
        assert_eq!(Numeric::typmod_out(typmod), format!("({},{})", modifier[0], modifier[1]));
        let got = show(number(value).apply_typmod(typmod).map(Datum::Numeric));
        assert_eq!(got, *expected, "{value} {modifier:?}");
    }
}

#[test]
fn extreme_sizes_are_computed_or_refused_within_bounds() {
    let largest = number("1e131071");
    assert_eq!(largest.to_string().len(), 131_072);
    assert_eq!(number("1e-16383").to_string().len(), 16_385);
    let root = largest.sqrt().unwrap();
    assert!(root.mul(&root).unwrap() < largest);
    assert_eq!(Numeric::from(10).power(&number("100000")).unwrap(), number("1e100000"));
    assert_eq!(Numeric::ONE.power(&largest).unwrap(), Numeric::ONE);
    for exponent in ["2147483647", "-2147483648", "1e1000", "-1e131071"] {
        let power = number("1.5").power(&number(exponent));
        assert!(power.as_ref().map_or(true, Numeric::is_zero), "{exponent}");
    }
    assert_eq!(number(&"9".repeat(131_072)).add(&Numeric::ONE).unwrap_err().code().code(), "22003");
    assert_eq!(Numeric::factorial(20).unwrap().to_string(), "2432902008176640000");
    assert_eq!(Numeric::factorial(32_178).unwrap_err().code().code(), "22003");
}

#[test]
fn floats_convert_with_the_digits_they_are_sure_to_have() {
    assert_eq!(Numeric::from_f64(1e20).to_string(), "100000000000000000000");
    assert_eq!(
        Numeric::from_f64(1.234_567_890_123_456_8e-10).to_string(),
        "0.000000000123456789012346"
    );
    assert_eq!(Numeric::from_f32(1.1).to_string(), "1.1");
    assert_eq!(Numeric::from_f64(-0.0).to_string(), "0");
    assert!(Numeric::from_f64(f64::NAN).is_nan());
    assert_eq!(Numeric::from_f64(f64::NEG_INFINITY), Numeric::NEGATIVE_INFINITY);
    assert_eq!(number("0.1").to_f64().unwrap(), 0.1);
    assert_eq!(number("1e308").to_f64().unwrap(), 1e308);
    let error = number("1e309").to_f64().unwrap_err();
    assert!(error.fields().message.ends_with("\" is out of range for type double precision"));
    assert!(number("1e-400").to_f64().is_err());
    assert!(number("1e39").to_f32().is_err());
}

#[test]
fn aggregates_show_the_largest_scale_and_the_scale_of_a_quotient() {
    let mut state = SumAccumulator::with_squares();
    for value in ["1.5", "2.25", "100"] {
        state.add(&number(value));
    }
    let shown = |result: SqlResult<Option<Numeric>>| result.unwrap().unwrap().to_string();
    assert_eq!(shown(state.sum()), "103.75");
    assert_eq!(shown(state.average()), "34.5833333333333333");
    assert_eq!(shown(state.variance(true)), "3209.6458333333333333");
    assert_eq!(shown(state.standard_deviation(true)), "56.6537362698466105");
    assert_eq!(shown(state.variance(false)), "2139.7638888888888889");
    assert_eq!(shown(state.standard_deviation(false)), "46.2575819611108606");
    assert!(!state.sub(&number("2.25")), "the last value of the largest scale");
    assert!(state.sub(&number("1.5")));
    assert_eq!(shown(state.sum()), "102.25");
    state.add(&Numeric::INFINITY);
    assert_eq!(shown(state.sum()), "Infinity");
    state.add(&Numeric::NEGATIVE_INFINITY);
    assert_eq!(shown(state.sum()), "NaN");
    assert_eq!(SumAccumulator::new().sum().unwrap(), None);
}

#[test]
fn damaged_bytes_are_refused() {
    for (bytes, code) in [
        (&[0, 1, 0, 0, 0, 0, 0][..], "08P01"),
        (&[0, 1, 0, 0, 0, 0, 0, 0], "08P01"),
        (&[0, 0, 0, 0, 0x80, 0, 0, 0], "22P03"),
        (&[0, 0, 0, 0, 0, 0, 0x40, 0], "22P03"),
        (&[0, 1, 0, 0, 0, 0, 0, 0, 0x27, 0x10], "22P03"),
        (&[0, 0, 0, 0, 0, 0, 0, 0, 0], "22P03"),
    ] {
        assert_eq!(Numeric::binary_in(bytes).unwrap_err().code().code(), code, "{bytes:?}");
    }
    // The digit 5678 lies beyond the scale, and is cut.
    let bytes = [0, 2, 0, 0, 0, 0, 0, 1, 0x04, 0xD2, 0x16, 0x2E];
    assert_eq!(Numeric::binary_in(&bytes).unwrap().to_string(), "1234.5");
    assert!(Numeric::decode(&[]).is_err());
    assert!(Numeric::decode(&[0x20, 0, 0, 0, 0, 1, 0]).is_err(), "1 is Small");
}

/// Values of all sizes and scales, with many near each other and at the borders of the forms.
fn any_numeric() -> impl Strategy<Value = Numeric> {
    let finite = |pattern: &'static str| pattern.prop_map(|text: String| number(&text));
    prop_oneof![
        8 => finite("-?[0-9]{1,4}(\\.[0-9]{1,4})?"),
        4 => finite("-?[09]{1,20}(\\.[09]{1,20})?"),
        4 => finite("-?[0-9]{1,60}(\\.[0-9]{1,60})?"),
        2 => finite("-?[0-9]{1,3}e-?[0-9]{1,3}"),
        1 => prop_oneof![
            Just(Numeric::NAN),
            Just(Numeric::INFINITY),
            Just(Numeric::NEGATIVE_INFINITY),
            Just(Numeric::from(i64::MIN)),
            Just(Numeric::from(i64::MAX)),
        ],
    ]
}

fn key(value: &Numeric) -> Vec<u8> {
    let mut key = Vec::new();
    value.encode_key(&mut key);
    key
}

fn hash(value: &Numeric) -> u64 {
    use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
    BuildHasherDefault::<DefaultHasher>::default().hash_one(value)
}

proptest! {
    #[test]
    fn every_form_gives_the_value_and_its_scale_back(value in any_numeric()) {
        let text = value.to_string();
        prop_assert_eq!(number(&text).to_string(), text.clone());
        let mut wire = Vec::new();
        value.binary_out(&mut wire);
        prop_assert_eq!(Numeric::binary_in(&wire).unwrap().to_string(), text.clone());
        let mut row = Vec::new();
        value.encode(&mut row);
        prop_assert_eq!(Numeric::decode(&row).unwrap().to_string(), text);
        if let Some(scale) = value.display_scale() && let Some(coefficient) = value.to_decimal(scale) {
            let again = Numeric::from_decimal(coefficient, scale).unwrap();
            prop_assert_eq!(again.to_string(), value.to_string());
        }
    }

    #[test]
    fn keys_compare_as_values_and_equal_values_hash_alike(a in any_numeric(), b in any_numeric()) {
        prop_assert_eq!(key(&a).cmp(&key(&b)), a.cmp(&b));
        prop_assert!(a == b || !key(&b).starts_with(&key(&a)));
        if a.is_finite() {
            let wider = a.add(&number(&format!("0.{}", "0".repeat(30)))).unwrap();
            prop_assert_eq!(&wider, &a);
            prop_assert_eq!(hash(&wider), hash(&a));
            prop_assert_eq!(key(&wider), key(&a));
        }
    }

    #[test]
    fn sums_and_products_obey_algebra(a in any_numeric(), b in any_numeric(), c in any_numeric()) {
        let text = |value: SqlResult<Numeric>| value.unwrap().to_string();
        prop_assert_eq!(text(a.add(&b)), text(b.add(&a)));
        prop_assert_eq!(text(a.mul(&b)), text(b.mul(&a)));
        prop_assert_eq!(text(a.sub(&b)), text(a.add(&b.neg())));
        if a.is_finite() && b.is_finite() && c.is_finite() {
            let left = a.add(&b).unwrap().mul(&c).unwrap();
            let right = a.mul(&c).unwrap().add(&b.mul(&c).unwrap()).unwrap();
            prop_assert_eq!(left, right);
            prop_assert_eq!(a.add(&b).unwrap().sub(&b).unwrap(), a.clone());
            prop_assert_eq!(a.cmp(&b), a.sub(&b).unwrap().cmp(&Numeric::ZERO));
        }
    }

    #[test]
    fn quotients_and_roots_bound_their_operand(a in any_numeric(), b in any_numeric()) {
        prop_assume!(a.is_finite() && b.is_finite() && !b.is_zero());
        let whole = a.div_trunc(&b).unwrap();
        let rest = a.rem(&b).unwrap();
        prop_assert_eq!(whole.mul(&b).unwrap().add(&rest).unwrap(), a.clone());
        prop_assert!(rest.abs() < b.abs());
        let quotient = a.div(&b).unwrap();
        let unit = Numeric::from_decimal(1, quotient.display_scale().unwrap()).unwrap();
        let error = quotient.mul(&b).unwrap().sub(&a).unwrap().abs();
        prop_assert!(error.add(&error).unwrap() <= unit.mul(&b).unwrap().abs());
        let root = a.abs().sqrt().unwrap();
        let unit = Numeric::from_decimal(1, root.display_scale().unwrap()).unwrap();
        prop_assert!(root.sub(&unit).unwrap().max(Numeric::ZERO).power(&Numeric::from(2)).unwrap() <= a.abs());
        prop_assert!(root.add(&unit).unwrap().power(&Numeric::from(2)).unwrap() >= a.abs());
    }

    #[test]
    fn an_accumulator_agrees_with_plain_additions(
        values in proptest::collection::vec(any_numeric(), 1..20),
        split in 0..20_usize,
    ) {
        let split = split.min(values.len());
        let mut state = SumAccumulator::new();
        let mut other = SumAccumulator::new();
        values[..split].iter().for_each(|value| state.add(value));
        values[split..].iter().for_each(|value| other.add(value));
        state.merge(&other);
        let sum = values.iter().skip(1).fold(values[0].clone(), |sum, value| sum.add(value).unwrap());
        prop_assert_eq!(state.sum().unwrap().unwrap().to_string(), sum.to_string());
    }

    #[test]
    fn arbitrary_text_and_bytes_never_panic(text in ".{0,40}", bytes: Vec<u8>) {
        let _ = Numeric::parse(&text);
        if let Ok(value) = Numeric::binary_in(&bytes) {
            let _ = value.to_string();
        }
        if let Ok(value) = Numeric::decode(&bytes) {
            let mut again = Vec::new();
            value.encode(&mut again);
            prop_assert_eq!(Numeric::decode(&again).unwrap().to_string(), value.to_string());
        }
    }
}
