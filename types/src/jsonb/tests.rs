//! Properties of the binary form, and literal answers of a PostgreSQL 15.

use std::cmp::Ordering;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use proptest::prelude::*;

use super::{Builder, Jsonb, Value};
use crate::json::DEPTH_MAX;

fn parse(text: &str) -> Jsonb {
    Jsonb::parse(text).expect(text)
}

fn key(value: &Jsonb) -> Vec<u8> {
    let mut key = Vec::new();
    value.encode_key(&mut key);
    key
}

fn hash(value: &Jsonb) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// JSON texts with few distinct keys and values, so that they often collide.
fn documents() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("false".to_owned()),
        "\"[abé]{0,3}\"",
        "-?(0|[1-9][0-9]{0,2})(\\.[0-9]{1,3})?([eE]-?[0-9]{1,2})?",
        any::<i64>().prop_map(|number| number.to_string()),
    ];
    scalar.prop_recursive(4, 48, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4)
                .prop_map(|elements| format!("[{}]", elements.join(","))),
            prop::collection::vec(("[abc]{1,2}", inner), 0..4).prop_map(|fields| {
                let fields: Vec<String> =
                    fields.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
                format!("{{{}}}", fields.join(","))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn values_survive_text_bytes_and_the_wire(text in documents()) {
        let value = parse(&text);
        let reread = parse(&value.to_string());
        prop_assert_eq!(reread.as_bytes(), value.as_bytes());
        let stored = Jsonb::from_bytes(value.as_bytes().into()).unwrap();
        prop_assert_eq!(stored.to_string(), value.to_string());
        let mut wire = Vec::new();
        value.binary_out(&mut wire);
        let received = Jsonb::binary_in(&wire).unwrap();
        prop_assert_eq!(received.as_bytes(), value.as_bytes());
        let mut pretty = Vec::new();
        value.write_pretty(&mut pretty);
        let reread = parse(std::str::from_utf8(&pretty).unwrap());
        prop_assert_eq!(reread.as_bytes(), value.as_bytes());
    }

    #[test]
    fn keys_sort_as_values_do_and_end_where_they_end(a in documents(), b in documents()) {
        let (a, b) = (parse(&a), parse(&b));
        let order = a.cmp(&b);
        prop_assert_eq!(key(&a).cmp(&key(&b)), order);
        prop_assert_eq!(b.cmp(&a), order.reverse());
        if order == Ordering::Equal {
            prop_assert_eq!(hash(&a), hash(&b));
        } else {
            prop_assert!(!key(&a).starts_with(&key(&b)) && !key(&b).starts_with(&key(&a)));
        }
    }

    #[test]
    fn hostile_bytes_are_an_error_or_a_value(
        text in documents(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = parse(&text).as_bytes().to_vec();
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(value) = Jsonb::from_bytes(bytes.clone().into()) {
            let reread = parse(&value.to_string());
            prop_assert_eq!(reread.as_bytes(), &bytes[..]);
            prop_assert_eq!(value.cmp(&value), Ordering::Equal);
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = Jsonb::binary_in(&bytes);
        let _ = Jsonb::from_bytes([&[1, 0x20], bytes.as_slice()].concat().into());
        let _ = Jsonb::from_bytes(bytes.into());
    }
}

#[test]
fn values_print_as_postgresql_prints_them() {
    let cases = [
        (" {\"b\":1,\"aa\":2,\"a\":3,\"b\":[ ]} ", r#"{"a": 3, "b": [], "aa": 2}"#),
        ("[1, 2.50,-0,-0.00,1e2,1.50e1,1e-3]", "[1, 2.50, 0, 0.00, 100, 15.0, 0.001]"),
        (r#""\u00e9\t\u0001\/\"\\\u007f""#, "\"é\\t\\u0001/\\\"\\\\\u{7f}\""),
        ("0e200000", "0"),
        ("{}", "{}"),
    ];
    for (text, expected) in cases {
        assert_eq!(parse(text).to_string(), expected);
    }
}

#[test]
fn numbers_have_the_bounds_of_numeric() {
    assert_eq!(parse("1e131071").to_string().len(), 131_072);
    assert_eq!(parse("1e-16383").to_string().len(), 16_385);
    assert!(parse("1e131071").as_bytes().len() < 20);
    let tail = format!("0.{}10", "0".repeat(16382));
    for text in ["1e131072", "1e-16384", "0e-20000", "1e99999999999", "0.0e99999999999", &tail] {
        let error = Jsonb::parse(text).unwrap_err();
        assert_eq!(error.code().code(), "22003");
        assert_eq!(error.fields().message, "value overflows numeric format");
    }
}

#[test]
fn order_is_postgresqls() {
    let ascending = [
        "[]",
        "null",
        r#""""#,
        r#""a""#,
        r#""ab""#,
        r#""b""#,
        "-100000",
        "-10",
        "-1.5",
        "-1",
        "-0.5",
        "0",
        "0.001",
        "0.5",
        "1",
        "1.5",
        "10",
        "100",
        "100000000000000000000",
        "false",
        "true",
        "[null]",
        r#"["z"]"#,
        "[1]",
        "[true]",
        "[[]]",
        "[{}]",
        "[1, 1]",
        "[1, 2]",
        "[1, []]",
        "[[], 1]",
        "{}",
        r#"{"a": 1}"#,
        r#"{"a": 2}"#,
        r#"{"aa": 1}"#,
        r#"{"b": 1}"#,
        r#"{"a": 1, "b": 2}"#,
        r#"{"b": 1, "aa": 0}"#,
        r#"{"c": null, "aa": 1}"#,
    ];
    for (at, a) in ascending.iter().enumerate() {
        for (other_at, b) in ascending.iter().enumerate() {
            assert_eq!(parse(a).cmp(&parse(b)), at.cmp(&other_at), "{a} {b}");
            assert_eq!(key(&parse(a)).cmp(&key(&parse(b))), at.cmp(&other_at), "{a} {b}");
        }
    }
    assert_eq!(parse("[1.0]"), parse("[1.00]"));
    assert_eq!(hash(&parse("100")), hash(&parse("1e2")));
}

#[test]
fn wide_containers_are_found_by_key_and_place() {
    for count in [10, 100, 1_000, 20_000] {
        let fields: Vec<String> = (0..count).map(|at| format!("\"k{at}\":{at}")).collect();
        let object = parse(&format!("{{{}}}", fields.join(",")));
        let Value::Object(fields) = object.root().value() else { panic!("it is an object") };
        assert_eq!(fields.len(), count);
        assert!(fields.find("k").is_none() && fields.find("k99999").is_none());
        for at in [0, count / 2, count - 1] {
            let found = fields.find(&format!("k{at}")).and_then(super::Node::as_text);
            assert_eq!(found, Some(at.to_string()));
        }
        assert!(Jsonb::from_bytes(object.as_bytes().into()).is_ok());
    }
}

#[test]
fn the_deepest_value_fits_a_small_stack() {
    let depths = std::thread::Builder::new().stack_size(1 << 20).spawn(|| {
        let deep = parse(&("[".repeat(DEPTH_MAX) + &"]".repeat(DEPTH_MAX)));
        let copy = Jsonb::from_bytes(Arc::from(deep.as_bytes())).unwrap();
        assert_eq!(copy, deep);
        assert_eq!(key(&copy), key(&deep));
        assert_eq!(copy.to_string().len(), 2 * DEPTH_MAX);
        let mut pretty = Vec::new();
        copy.write_pretty(&mut pretty);
        let mut builder = Builder::new();
        builder.begin_array().unwrap();
        assert_eq!(builder.node(copy.root()).unwrap_err().code().code(), "54001");
    });
    depths.unwrap().join().unwrap();
}

#[test]
fn the_wire_form_is_versioned() {
    assert_eq!(
        Jsonb::binary_in(b"\x02{}").unwrap_err().fields().message,
        "unsupported jsonb version number 2"
    );
    assert_eq!(Jsonb::binary_in(b"").unwrap_err().code().code(), "08P01");
    assert_eq!(Jsonb::binary_in(b"\x01\"\xff\"").unwrap_err().code().code(), "22021");
}

#[test]
fn stored_bytes_of_the_first_format_still_open() {
    // {"b": [1, 2.50], "aa": null}
    let stored = b"\x01\x20\x00\x02\x02\x01\x03\x11\x12baa\x10\x00\x01\x02\x02\x0b\x04\x01\x05\x00\x00\x02\x00\x00\x00\x01\x19\x00";
    let expected = parse(r#"{"aa": null, "b": [1, 2.50]}"#);
    assert_eq!(expected.as_bytes(), stored);
    let opened = Jsonb::from_bytes(Arc::from(&stored[..])).unwrap();
    assert_eq!(opened.to_string(), r#"{"b": [1, 2.50], "aa": null}"#);
}
