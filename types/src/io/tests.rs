//! Text and binary forms against literals that PostgreSQL 15 printed.

use super::*;
use crate::context::{FormatSettings, NoHost};

fn with_context<T>(run: impl FnOnce(&EvalContext<'_>) -> T) -> T {
    let settings = FormatSettings::default();
    run(&EvalContext {
        settings: &settings,
        transaction_timestamp: 0,
        statement_timestamp: 0,
        host: &NoHost,
    })
}

fn round(type_ref: TypeRef, text: &str) -> Result<String, String> {
    with_context(|ctx| {
        let value = text_in(type_ref, text, ctx).map_err(describe)?;
        let mut bytes = Vec::new();
        binary_out(type_ref.oid, &value, ctx, &mut bytes);
        let again = binary_in(type_ref, &bytes, ctx).map_err(describe)?;
        let mut out = Vec::new();
        text_out(type_ref.oid, &again, ctx, &mut out);
        Ok(String::from_utf8(out).unwrap())
    })
}

fn describe(error: SqlError) -> String {
    let fields = error.fields();
    match &fields.detail {
        Some(detail) => format!("{} {} {detail}", fields.code.code(), fields.message),
        None => format!("{} {}", fields.code.code(), fields.message),
    }
}

fn plain(oid: Oid, text: &str) -> Result<String, String> {
    round(TypeRef::plain(oid), text)
}

#[test]
fn arrays_survive_text_and_bytes() {
    for (oid, text, out) in [
        (t::INT4_ARRAY, "{}", "{}"),
        (t::INT4_ARRAY, " { 1 , NULL,3 } ", "{1,NULL,3}"),
        (t::INT4_ARRAY, "{{1,2},{3,4}}", "{{1,2},{3,4}}"),
        (t::INT4_ARRAY, "[0:2]={1,2,3}", "[0:2]={1,2,3}"),
        (t::INT4_ARRAY, "[2]={1,2}", "{1,2}"),
        (t::INT4_ARRAY, "[-1:0][5:5]={{1},{2}}", "[-1:0][5:5]={{1},{2}}"),
        (
            t::TEXT_ARRAY,
            r#"{a b,"",null,"NULL","a\"b",c\\d, "{}" ,x\ }"#,
            r#"{"a b","",NULL,"NULL","a\"b","c\\d","{}","x "}"#,
        ),
        (t::INT2VECTOR, " 1 2  3", "1 2 3"),
        (t::OIDVECTOR, "", ""),
        (t::BOOL_ARRAY, "{t,f}", "{t,f}"),
    ] {
        assert_eq!(plain(oid, text).as_deref(), Ok(out), "{text}");
    }
}

#[test]
fn malformed_arrays_are_told_apart() {
    for (text, detail) in [
        ("", "Array value must start with \"{\" or dimension information."),
        ("{1,2", "Unexpected end of input."),
        ("{1,2}x", "Junk after closing right brace."),
        ("{1,}", "Unexpected \"}\" character."),
        ("{{1},2}", "Unexpected array element."),
        ("{{1,2},{3}}", "Multidimensional arrays must have sub-arrays with matching dimensions."),
        ("{1}}", "Junk after closing right brace."),
        ("[1:2]{1,2}", "Missing \"=\" after array dimensions."),
        ("[1:2]={1}", "Specified array dimensions do not match array contents."),
        ("[]={1}", "\"[\" must introduce explicitly-specified array dimensions."),
    ] {
        assert_eq!(
            plain(t::INT4_ARRAY, text),
            Err(format!("22P02 malformed array literal: \"{text}\" {detail}"))
        );
    }
    assert_eq!(
        plain(t::INT4_ARRAY, "{{{{{{{1}}}}}}}"),
        Err("54000 number of array dimensions (7) exceeds the maximum allowed (6)".to_owned())
    );
    assert_eq!(
        plain(t::INT4_ARRAY, "[2:1]={}"),
        Err("2202E upper bound cannot be less than lower bound".to_owned())
    );
}

#[test]
fn booleans_are_read_by_unique_prefix() {
    for text in ["t", "TRUE", " tru ", "y", "on", "1"] {
        assert_eq!(plain(t::BOOL, text).as_deref(), Ok("t"));
    }
    for text in ["f", "no", "of", "0"] {
        assert_eq!(plain(t::BOOL, text).as_deref(), Ok("f"));
    }
    for text in ["", "o", "truex", "2"] {
        assert_eq!(
            plain(t::BOOL, text),
            Err(format!("22P02 invalid input syntax for type boolean: \"{text}\""))
        );
    }
}

#[test]
fn modifiers_apply_to_elements_too() {
    assert_eq!(
        round(TypeRef::with_typmod(t::BPCHAR_ARRAY, 6), "{a,bc}").as_deref(),
        Ok("{\"a \",bc}")
    );
    assert_eq!(
        round(TypeRef::with_typmod(t::VARCHAR, 6), "abc"),
        Err("22001 value too long for type character varying(2)".to_owned())
    );
}

#[test]
fn records_print_with_quotes_where_needed() {
    with_context(|ctx| {
        let value = Datum::record([
            Datum::text("a b"),
            Datum::Null,
            Datum::text(""),
            Datum::text("q\"\\"),
            Datum::Int4(1),
        ]);
        let mut out = Vec::new();
        text_out(t::RECORD, &value, ctx, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), r#"("a b",,"","q""\\",1)"#);
    });
    let fields = record::parse(r#" ("a b",,"","q""\\",1) "#, 5).unwrap();
    let fields: Vec<Option<&str>> = fields.iter().map(Option::as_deref).collect();
    assert_eq!(fields, [Some("a b"), None, Some(""), Some("q\"\\"), Some("1")]);
    for (text, detail) in [
        ("1", "Missing left parenthesis."),
        ("(1)", "Too few columns."),
        ("(1,2,3)", "Too many columns."),
        ("(1,2", "Unexpected end of input."),
        ("(1,2)x", "Junk after right parenthesis."),
    ] {
        let error = record::parse(text, 2).unwrap_err();
        assert_eq!(error.fields().detail.as_deref(), Some(detail), "{text}");
    }
}

#[test]
fn bad_binary_is_refused_without_a_panic() {
    with_context(|ctx| {
        let read = |oid, bytes: &[u8]| {
            binary_in(TypeRef::plain(oid), bytes, ctx).map_err(describe).unwrap_err()
        };
        assert_eq!(read(t::INT4, &[0; 3]), "08P01 insufficient data left in message");
        assert_eq!(read(t::INT4, &[0; 5]), "22P03 incorrect binary data format");
        assert_eq!(
            read(t::TEXT, b"\xff"),
            "22021 invalid byte sequence for encoding \"UTF8\": 0xff"
        );
        // One dimension of 2^27 - 1 elements, and none sent.
        let mut array = Vec::new();
        for word in [1, 0, 23, 134_217_727, 1] {
            array.extend_from_slice(&i32::to_be_bytes(word));
        }
        assert_eq!(read(t::INT4_ARRAY, &array), "08P01 insufficient data left in message");
        array[11] = 25;
        assert_eq!(
            read(t::INT4_ARRAY, &array),
            "42804 binary data has array element type 25 (text) instead of expected 23 (int4)"
        );
    });
}
