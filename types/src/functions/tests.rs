//! Functions against what PostgreSQL 15.18 answered.
//!
//! `tests/data/functions.tsv` holds calls drawn at random over arguments worth asking, one a line:
//! OID and name of the function, type and text of the result or `ERROR`, SQLSTATE and message, then
//! type and text of each argument.

use crate::builtin::{Implementation, builtins};
use crate::context::{CallContext, EvalContext, FormatSettings, NoHost};
use crate::io;
use crate::oid::{Oid, TypeRef};

const CALLS: &str = include_str!("../../tests/data/functions.tsv");

fn type_oid(name: &str) -> Oid {
    builtins().type_named(name).unwrap().oid
}

#[test]
fn functions_answer_as_postgresql_does() {
    let settings = FormatSettings::default();
    let eval = EvalContext {
        settings: &settings,
        transaction_timestamp: 0,
        statement_timestamp: 0,
        host: &NoHost,
    };
    let mut wrong = Vec::new();
    for line in CALLS.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [oid, _, result_type, expected, arguments @ ..] = fields.as_slice() else {
            panic!("{line}");
        };
        let arguments: Vec<(TypeRef, &str)> = arguments
            .iter()
            .map(|argument| {
                let (name, text) = argument.split_once(':').unwrap();
                (TypeRef::plain(type_oid(name)), text)
            })
            .collect();
        let types: Vec<TypeRef> = arguments.iter().map(|(type_ref, _)| *type_ref).collect();
        let values: Vec<_> = arguments
            .iter()
            .map(|(type_ref, text)| io::text_in(*type_ref, text, &eval).unwrap())
            .collect();
        let row = builtins().function(Oid(oid.parse().unwrap())).unwrap();
        let Implementation::Scalar(function) = row.implementation else {
            panic!("{line}: has no implementation");
        };
        let result_type = type_oid(result_type);
        let context = CallContext {
            eval,
            argument_types: &types,
            result_type: TypeRef::plain(result_type),
            collation: crate::Collation::Default,
        };
        let answer = match function(&context, &values) {
            Err(error) => format!("ERROR {} {}", error.code().code(), error.fields().message),
            Ok(value) => {
                let mut out = Vec::new();
                io::text_out(result_type, &value, &eval, &mut out);
                String::from_utf8(out).unwrap()
            }
        };
        if answer != *expected {
            wrong.push(format!("{line}: {answer}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
