//! Literal answers of a PostgreSQL 15.

use std::sync::Arc;

use crate::context::{CallContext, EvalContext, FormatSettings, NoHost};
use crate::datum::{Array, Datum, Dimension};
use crate::error::SqlResult;
use crate::functions::{aggregate::aggregate, scalar, set_returning};
use crate::jsonb::Jsonb;
use crate::oid::TypeRef;
use crate::type_oid as t;

fn with_context<T>(types: &[TypeRef], test: impl FnOnce(&CallContext<'_>) -> T) -> T {
    let eval = EvalContext {
        settings: &FormatSettings::default(),
        transaction_timestamp: 0,
        statement_timestamp: 0,
        host: &NoHost,
    };
    test(&CallContext {
        eval,
        argument_types: types,
        result_type: TypeRef::plain(t::JSON),
        collation: crate::Collation::Default,
    })
}

/// A datum's JSON or text, `NULL` for none, `CODE message` for an error.
fn show(result: SqlResult<Datum>) -> String {
    match result {
        Ok(Datum::Null) => "NULL".to_owned(),
        Ok(Datum::Text(text)) => text.to_string(),
        Ok(Datum::Jsonb(value)) => value.to_string(),
        Ok(Datum::Record(fields)) => {
            let fields: Vec<String> = fields.iter().map(|field| show(Ok(field.clone()))).collect();
            fields.join("|")
        }
        Ok(Datum::Numeric(value)) => {
            let mut out = Vec::new();
            value.write_text(&mut out);
            String::from_utf8(out).unwrap()
        }
        Ok(Datum::Bool(value)) => value.to_string(),
        Ok(Datum::Int2(value)) => value.to_string(),
        Ok(Datum::Int4(value)) => value.to_string(),
        Ok(Datum::Int8(value)) => value.to_string(),
        Ok(Datum::Float4(value)) => value.to_string(),
        Ok(Datum::Float8(value)) => value.to_string(),
        Ok(other) => format!("{other:?}"),
        Err(error) => format!("{} {}", error.code().code(), error.fields().message),
    }
}

fn call_typed(function: &str, types: &[TypeRef], arguments: &[Datum]) -> String {
    with_context(types, |context| show((scalar(function).expect(function))(context, arguments)))
}

fn call(function: &str, arguments: &[Datum]) -> String {
    call_typed(function, &[], arguments)
}

fn rows(function: &str, argument: Datum) -> String {
    with_context(&[], |context| {
        match (set_returning(function).expect(function))(context, &[argument]) {
            Ok(rows) => rows.map(show).collect::<Vec<_>>().join("\n"),
            Err(error) => show(Err(error)),
        }
    })
}

fn agg(name: &str, types: &[TypeRef], rows: &[Vec<Datum>]) -> String {
    with_context(types, |context| {
        let mut state = (aggregate(name).expect(name))(context);
        for row in rows {
            if let Err(error) = state.update(context, row) {
                return show(Err(error));
            }
        }
        show(state.finish(context))
    })
}

fn b(text: &str) -> Datum {
    Datum::Jsonb(Jsonb::parse(text).unwrap())
}

fn s(text: &str) -> Datum {
    Datum::text(text)
}

/// A `text[]` of the words; `NULL` is one.
fn words(text: &str) -> Datum {
    let word = |word| if word == "NULL" { Datum::Null } else { Datum::text(word) };
    let elements = text.split_terminator(',').map(word).collect();
    Datum::Array(Arc::new(Array::one_dimensional(t::TEXT, elements)))
}

fn matrix(element: crate::Oid, lengths: &[i32], elements: Vec<Datum>) -> Datum {
    let dimensions = lengths.iter().map(|&length| Dimension { length, lower: 1 }).collect();
    Datum::Array(Arc::new(Array { element, dimensions, elements }))
}

#[test]
fn parts_are_found_by_key_place_and_path() {
    assert_eq!(call("jsonb_object_field", &[b(r#"{"a":{"b":1}}"#), s("a")]), r#"{"b": 1}"#);
    assert_eq!(call("jsonb_object_field_text", &[b(r#"{"a":null}"#), s("a")]), "NULL");
    assert_eq!(call("jsonb_object_field", &[b("[1]"), s("a")]), "NULL");
    for (index, expected) in [(0, "1"), (-1, "x"), (-3, "NULL"), (2, "NULL"), (i32::MIN, "NULL")] {
        let arguments = [b(r#"[1,"x"]"#), Datum::Int4(index)];
        assert_eq!(call("jsonb_array_element_text", &arguments), expected);
        let arguments = [s(r#"[1,"x"]"#), Datum::Int4(index)];
        assert_eq!(call("json_array_element_text", &arguments), expected);
    }
    assert_eq!(call("jsonb_array_element", &[b("3"), Datum::Int4(-1)]), "3");
    assert_eq!(call("json_array_element", &[s("3"), Datum::Int4(0)]), "NULL");
    for (path, expected) in [("1,-1", "3"), ("1, 0", "2"), ("1,0 ", "NULL"), ("NULL", "NULL")] {
        assert_eq!(call("jsonb_extract_path", &[b("[1,[2,3]]"), words(path)]), expected);
        assert_eq!(call("json_extract_path", &[s("[1,[2,3]]"), words(path)]), expected);
    }
    assert_eq!(call("json_extract_path", &[s(r#" {"a": 1} "#), words("")]), r#"{"a": 1}"#);
    assert_eq!(call("jsonb_extract_path_text", &[b(r#""x""#), words("")]), "x");
    assert_eq!(call("json_extract_path", &[s(r#"{"a":{"b":1},"a":{"c":2}}"#), words("a,b")]), "1");
    assert_eq!(call("json_object_field", &[s(r#"{"a":1, "a" : [ 2 ] }"#), s("a")]), "[ 2 ]");
    assert_eq!(
        call("json_object_field", &[s(r#"{"a":"\u0000"}"#), s("b")]),
        "22P05 unsupported Unicode escape sequence"
    );
}

#[test]
fn kinds_and_lengths_are_told() {
    assert_eq!(call("json_typeof", &[s(" \"\\u0000\"")]), "string");
    assert_eq!(call("jsonb_typeof", &[b("-1.5")]), "number");
    assert_eq!(call("json_array_length", &[s("[1, [2,3], \"]\"]")]), "3");
    assert_eq!(
        call("json_array_length", &[s("{}")]),
        "22023 cannot get array length of a non-array"
    );
    assert_eq!(call("jsonb_array_length", &[b("3")]), "22023 cannot get array length of a scalar");
}

#[test]
fn containment_and_existence_follow_postgresql() {
    let cases = [
        (r#"{"a":1,"b":2}"#, r#"{"a":1}"#, true),
        ("[1,2,[1,3]]", "[1]", true),
        ("[1,2]", "1", true),
        ("1", "[1]", false),
        ("[1,[2]]", "[2]", false),
        ("[[1,2]]", "[[1]]", true),
        (r#"{"a":[1,2]}"#, r#"{"a":[2]}"#, true),
        ("[1,1]", "[1,1,1]", true),
        (r#"{"a":{}}"#, r#"{"a":[]}"#, false),
        ("[]", "{}", false),
        ("1", "1.0", true),
        (r#"[{"a":1}]"#, "[{}]", true),
        ("{}", "{}", true),
        (r#"["a"]"#, r#""a""#, true),
    ];
    for (whole, part, expected) in cases {
        assert_eq!(call("jsonb_contains", &[b(whole), b(part)]), expected.to_string(), "{whole}");
        assert_eq!(call("jsonb_contained", &[b(part), b(whole)]), expected.to_string());
    }
    for (whole, key, expected) in [
        (r#"["a",1]"#, "a", true),
        (r#"["a",1]"#, "1", false),
        (r#""a""#, "a", true),
        ("1", "1", false),
    ] {
        assert_eq!(call("jsonb_exists", &[b(whole), s(key)]), expected.to_string());
    }
    assert_eq!(call("jsonb_exists_any", &[b(r#"{"a":1}"#), words("x,a,NULL")]), "true");
    assert_eq!(call("jsonb_exists_any", &[b(r#"{"a":1}"#), words("")]), "false");
    assert_eq!(call("jsonb_exists_all", &[b(r#"{"a":1}"#), words("a,NULL")]), "true");
    assert_eq!(call("jsonb_exists_all", &[b(r#"{"a":1}"#), words("")]), "true");
}

#[test]
fn casts_round_and_refuse_as_postgresql_does() {
    assert_eq!(call("jsonb_int4", &[b("2.5")]), "3");
    assert_eq!(call("jsonb_int4", &[b("-2.5")]), "-3");
    assert_eq!(call("jsonb_int4", &[b("0.04")]), "0");
    assert_eq!(call("jsonb_int8", &[b("9223372036854775807.4")]), "9223372036854775807");
    assert_eq!(call("jsonb_int8", &[b("-9223372036854775808")]), "-9223372036854775808");
    assert_eq!(call("jsonb_numeric", &[b("1.50")]), "1.50");
    assert_eq!(call("jsonb_float8", &[b("1e2")]), "100");
    assert_eq!(call("jsonb_bool", &[b("true")]), "true");
    assert_eq!(call("jsonb_int2", &[b("40000")]), "22003 smallint out of range");
    assert_eq!(call("jsonb_int4", &[b("4e10")]), "22003 integer out of range");
    assert_eq!(call("jsonb_int8", &[b("4e30")]), "22003 bigint out of range");
    assert_eq!(call("jsonb_int4", &[b("\"a\"")]), "22023 cannot cast jsonb string to type integer");
    assert_eq!(call("jsonb_numeric", &[b("[]")]), "22023 cannot cast jsonb array to type numeric");
    assert_eq!(call("jsonb_bool", &[b("3")]), "22023 cannot cast jsonb numeric to type boolean");
    assert_eq!(call("jsonb_float4", &[b("true")]), "22023 cannot cast jsonb boolean to type real");
    assert_eq!(
        call("jsonb_float4", &[b("1e40")]),
        "22003 \"10000000000000000000000000000000000000000\" is out of range for type real"
    );
}

#[test]
fn documents_are_concatenated_and_deleted_from() {
    let cases = [
        ("3", "4", "[3, 4]"),
        ("3", "[4]", "[3, 4]"),
        ("[]", "{}", "[{}]"),
        (r#"{"a":1}"#, "[2]", r#"[{"a": 1}, 2]"#),
        ("[1]", r#"{"a":2}"#, r#"[1, {"a": 2}]"#),
        (r#"{"a":1}"#, r#"{"a":2,"b":3}"#, r#"{"a": 2, "b": 3}"#),
        ("3", "{}", "[3, {}]"),
    ];
    for (left, right, expected) in cases {
        assert_eq!(call("jsonb_concat", &[b(left), b(right)]), expected);
    }
    assert_eq!(call("jsonb_delete", &[b(r#"["a","b"]"#), s("a")]), r#"["b"]"#);
    assert_eq!(call("jsonb_delete", &[b("3"), s("a")]), "22023 cannot delete from scalar");
    let arguments = [b(r#"{"a":1,"b":2}"#), words("a,NULL")];
    assert_eq!(call("jsonb_delete_array", &arguments), r#"{"b": 2}"#);
    for (index, expected) in [(5, "[1, 2]"), (-1, "[1]"), (-3, "[1, 2]"), (0, "[2]")] {
        assert_eq!(call("jsonb_delete_idx", &[b("[1,2]"), Datum::Int4(index)]), expected);
    }
    assert_eq!(
        call("jsonb_delete_idx", &[b("{}"), Datum::Int4(0)]),
        "22023 cannot delete from object using integer index"
    );
    let cases = [
        ("3", "a", "22023 cannot delete path in scalar"),
        ("[1,2]", "a", "22P02 path element at position 1 is not an integer: \"a\""),
        ("[1,[2]]", "1,x", "22P02 path element at position 2 is not an integer: \"x\""),
        (r#"{"a":1}"#, "", r#"{"a": 1}"#),
        (r#"{"a":{"b":1}}"#, "a,b", r#"{"a": {}}"#),
        ("[1,2,3]", "-1", "[1, 2]"),
        ("[1,2,3]", "-5", "[1, 2, 3]"),
        (r#"{"a":1}"#, "NULL", "22004 path element at position 1 is null"),
        (r#"{"a":1}"#, "a,NULL", "22004 path element at position 2 is null"),
    ];
    for (document, path, expected) in cases {
        assert_eq!(call("jsonb_delete_path", &[b(document), words(path)]), expected);
    }
    let square = matrix(t::TEXT, &[2, 1], vec![s("a"), s("b")]);
    assert_eq!(
        call("jsonb_delete_path", &[b("{}"), square]),
        "2202E wrong number of array subscripts"
    );
}

#[test]
fn values_are_set_and_inserted_at_a_path() {
    let cases = [
        ("3", "a", true, "22023 cannot set path in scalar"),
        ("{}", "", true, "{}"),
        ("{}", "a", true, r#"{"a": 9}"#),
        ("{}", "a", false, "{}"),
        ("{}", "a,b", true, "{}"),
        ("[1,2]", "5", true, "[1, 2, 9]"),
        ("[1,2]", "-5", true, "[9, 1, 2]"),
        ("[1,2]", "-5", false, "[1, 2]"),
        ("[1,2]", "1", true, "[1, 9]"),
        (
            "[]",
            "99999999999",
            true,
            "22P02 path element at position 1 is not an integer: \"99999999999\"",
        ),
        ("[1]", "-2147483648", true, "[9, 1]"),
        (r#"{"a":3}"#, "a,b", true, r#"{"a": 3}"#),
        (r#"{"a":[{"b":1}]}"#, "a,0,b", true, r#"{"a": [{"b": 9}]}"#),
    ];
    for (document, path, create, expected) in cases {
        let arguments = [b(document), words(path), b("9"), Datum::Bool(create)];
        assert_eq!(call("jsonb_set", &arguments), expected, "{document} {path}");
    }
    let cases = [
        ("[0,1]", "1", false, "[0, 9, 1]"),
        ("[0,1]", "1", true, "[0, 1, 9]"),
        ("[0,1]", "-1", false, "[0, 9, 1]"),
        ("[0,1]", "10", false, "[0, 1, 9]"),
        ("[0,1]", "-10", false, "[9, 0, 1]"),
        (r#"{"a":[1]}"#, "a,0", false, r#"{"a": [9, 1]}"#),
        (r#"{"a":[1]}"#, "b", false, r#"{"a": [1], "b": 9}"#),
        ("[]", "-1", false, "[9]"),
        (r#"{"a":1}"#, "a", true, "22023 cannot replace existing key"),
    ];
    for (document, path, after, expected) in cases {
        let arguments = [b(document), words(path), b("9"), Datum::Bool(after)];
        assert_eq!(call("jsonb_insert", &arguments), expected, "{document} {path}");
    }
    let lax = |value: Datum, treatment: &str| {
        let arguments = [b(r#"{"a":1}"#), words("a"), value, Datum::Bool(true), s(treatment)];
        call("jsonb_set_lax", &arguments)
    };
    assert_eq!(lax(Datum::Null, "delete_key"), "{}");
    assert_eq!(lax(Datum::Null, "return_target"), r#"{"a": 1}"#);
    assert_eq!(lax(Datum::Null, "use_json_null"), r#"{"a": null}"#);
    assert_eq!(lax(Datum::Null, "raise_exception"), "22004 JSON value must not be null");
    assert_eq!(lax(b("2"), "bad"), r#"{"a": 2}"#);
}

#[test]
fn nulls_are_stripped_and_documents_indented() {
    let document = r#"{"a": null, "b" : [1, null, {"c":null}], "d":"\u00e9\n"}"#;
    assert_eq!(call("json_strip_nulls", &[s(document)]), r#"{"b":[1,null,{}],"d":"é\n"}"#);
    assert_eq!(call("jsonb_strip_nulls", &[b(document)]), r#"{"b": [1, null, {}], "d": "é\n"}"#);
    assert_eq!(call("json_strip_nulls", &[s(r#" {"a":1,"a":2}"#)]), r#"{"a":1,"a":2}"#);
    assert_eq!(
        call("jsonb_pretty", &[b(r#"{"a":[],"b":{},"c":[1,{"x":null}]}"#)]),
        "{\n    \"a\": [\n    ],\n    \"b\": {\n    },\n    \"c\": [\n        1,\n        {\n            \"x\": null\n        }\n    ]\n}"
    );
}

#[test]
fn datums_become_json_by_their_type() {
    let json = TypeRef::plain(t::JSON);
    let of = TypeRef::plain;
    let arguments = [
        s("a"),
        Datum::Null,
        Datum::Int4(1),
        Datum::Float8(2.5),
        Datum::Bool(true),
        Datum::Bool(false),
        s("x"),
        matrix(t::INT4, &[2], vec![Datum::Int4(1), Datum::Int4(2)]),
        s("j"),
        s("{\"q\":  1}"),
        s("f"),
        Datum::Float8(f64::NAN),
    ];
    let types = [
        of(t::TEXT),
        of(t::UNKNOWN),
        of(t::INT4),
        of(t::FLOAT8),
        of(t::BOOL),
        of(t::BOOL),
        of(t::TEXT),
        of(t::INT4_ARRAY),
        of(t::TEXT),
        json,
        of(t::TEXT),
        of(t::FLOAT8),
    ];
    assert_eq!(
        call_typed("json_build_object", &types, &arguments),
        r#"{"a" : null, "1" : 2.5, "true" : false, "x" : [1,2], "j" : {"q":  1}, "f" : "NaN"}"#
    );
    assert_eq!(
        call_typed("jsonb_build_object", &types, &arguments),
        r#"{"1": 2.5, "a": null, "f": "NaN", "j": {"q": 1}, "x": [1, 2], "true": false}"#
    );
    let row = Datum::record([Datum::Int4(1), s("a"), Datum::Null]);
    let arguments = [Datum::Int4(1), Datum::Null, s("x"), row.clone()];
    assert_eq!(
        call("json_build_array", &arguments),
        r#"[1, null, "x", {"f1":1,"f2":"a","f3":null}]"#
    );
    assert_eq!(
        call("jsonb_build_array", &arguments),
        r#"[1, null, "x", {"f1": 1, "f2": "a", "f3": null}]"#
    );
    assert_eq!(call("json_build_object_noargs", &[]), "{}");
    assert_eq!(
        call("row_to_json_pretty", &[row, Datum::Bool(true)]),
        "{\"f1\":1,\n \"f2\":\"a\",\n \"f3\":null}"
    );
    let square = matrix(t::INT4, &[2, 2], (1..5).map(Datum::Int4).collect());
    assert_eq!(call("array_to_json", std::slice::from_ref(&square)), "[[1,2],[3,4]]");
    assert_eq!(
        call("array_to_json_pretty", &[square.clone(), Datum::Bool(true)]),
        "[[1,2],\n [3,4]]"
    );
    assert_eq!(call("to_jsonb", &[square]), "[[1, 2], [3, 4]]");
    assert_eq!(call("to_jsonb", &[Datum::Float8(1e20)]), "100000000000000000000");
    assert_eq!(call("to_json", &[Datum::Oid(crate::Oid(1))]), "\"1\"");
    let refused = "22023 key value must be scalar, not array, composite, or json";
    assert_eq!(call("jsonb_build_object", &[words("a"), s("b")]), refused);
    assert_eq!(call("jsonb_build_object", &[b("{}"), s("b")]), refused);
    assert_eq!(
        call("json_build_object", &[s("a")]),
        "22023 argument list must have even number of elements"
    );
    assert_eq!(
        call("json_build_object", &[Datum::Null, s("a")]),
        "22023 argument 1 cannot be null"
    );
    assert_eq!(
        call("jsonb_build_object", &[Datum::Null, s("a")]),
        "22023 argument 1: key must not be null"
    );
}

#[test]
fn text_arrays_become_objects() {
    assert_eq!(call("json_object", &[words("a,1,b,NULL")]), r#"{"a" : "1", "b" : null}"#);
    assert_eq!(call("jsonb_object", &[words("a,1,a,2")]), r#"{"a": "2"}"#);
    assert_eq!(call("json_object", &[words("")]), "{}");
    assert_eq!(call("json_object", &[words("a")]), "2202E array must have even number of elements");
    assert_eq!(
        call("json_object", &[words("NULL,1")]),
        "22004 null value not allowed for object key"
    );
    let square = matrix(t::TEXT, &[2, 2], vec![s("a"), s("1"), s("b"), s("2")]);
    assert_eq!(call("json_object", &[square]), r#"{"a" : "1", "b" : "2"}"#);
    let narrow = matrix(t::TEXT, &[2, 1], vec![s("a"), s("b")]);
    assert_eq!(call("json_object", &[narrow]), "2202E array must have two columns");
    assert_eq!(call("json_object", &[words("a,b"), words("1,NULL")]), r#"{"a" : "1", "b" : null}"#);
    assert_eq!(
        call("json_object", &[words("a"), words("b,c")]),
        "2202E mismatched array dimensions"
    );
}

#[test]
fn sets_return_parts_in_order() {
    assert_eq!(rows("jsonb_array_elements", b(r#"[1,"a",null]"#)), "1\n\"a\"\nnull");
    assert_eq!(rows("jsonb_array_elements_text", b(r#"[1,"a",null]"#)), "1\na\nNULL");
    assert_eq!(rows("json_array_elements", s(r#"[ 1 , [2, "]"],{} ]"#)), "1\n[2, \"]\"]\n{}");
    assert_eq!(rows("json_each", s(r#" {"a": [1, 2] , "b":null,"a":2}"#)), "a|[1, 2]\nb|null\na|2");
    assert_eq!(rows("json_each_text", s(r#"{"b":null,"c":"x\n"}"#)), "b|NULL\nc|x\n");
    assert_eq!(rows("jsonb_each_text", b(r#"{"b":null,"c":"x\n"}"#)), "b|NULL\nc|x\n");
    assert_eq!(rows("jsonb_object_keys", b(r#"{"bb":1,"c":2}"#)), "c\nbb");
    assert_eq!(rows("json_object_keys", s(r#"{"b":1,"a":2,"b":1}"#)), "b\na\nb");
    let refusals = [
        ("jsonb_object_keys", "cannot call jsonb_object_keys on a scalar"),
        ("jsonb_array_elements_text", "cannot extract elements from a scalar"),
        ("jsonb_each_text", "cannot call jsonb_each_text on a non-object"),
    ];
    for (function, message) in refusals {
        assert_eq!(rows(function, b("3")), format!("22023 {message}"));
    }
    assert_eq!(
        rows("json_array_elements", s("{}")),
        "22023 cannot call json_array_elements on a non-array"
    );
    assert_eq!(rows("json_each", s("[]")), "22023 cannot deconstruct an array as an object");
    assert_eq!(rows("json_object_keys", s("[]")), "22023 cannot call json_object_keys on an array");
}

#[test]
fn aggregates_write_as_postgresql_spaces() {
    let one = |value: Datum| vec![value];
    let array = |values: &[i32]| {
        let elements: Vec<Datum> = values.iter().copied().map(Datum::Int4).collect();
        matrix(t::INT4, &[i32::try_from(elements.len()).unwrap()], elements)
    };
    let numbers = [one(Datum::Int4(1)), one(Datum::Null), one(Datum::Int4(3))];
    assert_eq!(agg("json_agg(anyelement)", &[], &numbers), "[1, null, 3]");
    assert_eq!(agg("jsonb_agg(anyelement)", &[], &numbers), "[1, null, 3]");
    assert_eq!(agg("jsonb_agg(anyelement)", &[], &[]), "NULL");
    let arrays = [one(array(&[1, 2])), one(Datum::Null), one(array(&[3]))];
    assert_eq!(agg("json_agg(anyelement)", &[], &arrays), "[[1,2], null, \n [3]]");
    let pairs =
        [vec![s("a"), Datum::Int4(1)], vec![s("b"), Datum::Null], vec![s("a"), Datum::Int4(2)]];
    assert_eq!(agg("json_object_agg(any,any)", &[], &pairs), r#"{ "a" : 1, "b" : null, "a" : 2 }"#);
    assert_eq!(agg("jsonb_object_agg(any,any)", &[], &pairs), r#"{"a": 2, "b": null}"#);
    let nameless = [vec![Datum::Null, Datum::Int4(1)]];
    assert_eq!(
        agg("json_object_agg(any,any)", &[], &nameless),
        "22023 field name must not be null"
    );
}
