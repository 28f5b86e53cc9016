//! What PostgreSQL 15 makes of templates and series.

use crate::context::{CallContext, EvalContext, FormatSettings, NoHost};
use crate::datum::Datum;
use crate::error::SqlError;
use crate::functions;
use crate::oid::TypeRef;

fn with_context<T>(run: impl FnOnce(&CallContext<'_>) -> T) -> T {
    let settings = FormatSettings::default();
    let eval = EvalContext {
        settings: &settings,
        transaction_timestamp: 0,
        statement_timestamp: 0,
        host: &NoHost,
    };
    let result_type = TypeRef::plain(crate::type_oid::TEXT);
    run(&CallContext {
        eval,
        argument_types: &[],
        result_type,
        collation: crate::Collation::Default,
    })
}

fn show_error(error: &SqlError) -> String {
    let fields = error.fields();
    let detail = fields.detail.as_ref().map_or(String::new(), |detail| format!(" / {detail}"));
    format!("{} {}{detail}", fields.code.code(), fields.message)
}

#[test]
fn templates_lay_out_and_read_numbers() {
    // Function, value, template, what PostgreSQL 15.18 answers.
    let answers = [
        ("numeric_to_char", "-12.5", "999.99", " -12.50"),
        ("numeric_to_char", "-12.5", "FM999.99", "-12.5"),
        ("numeric_to_char", "-12.5", "S999D9", " -12.5"),
        ("numeric_to_char", "-12.5", "9990.99PR", "  <12.50>"),
        ("numeric_to_char", "-12.5", "MI999", "- 13"),
        ("numeric_to_char", "-12.5", "999SG", " 13-"),
        ("numeric_to_char", "-12.5", "L999", "  -13"),
        ("numeric_to_char", "-12.5", "RN", "###############"),
        ("numeric_to_char", "-12.5", "9.99EEEE", "-1.25e+01"),
        ("numeric_to_char", "-12.5", "99V9", "-125"),
        ("numeric_to_char", "-12.5", "\"a\\\"b\"999x", "a\"b -13x"),
        ("numeric_to_char", "0", "9.9", "  .0"),
        ("numeric_to_char", "0.05", "FM9.99", ".05"),
        ("numeric_to_char", "1234567.891", "9,999,999.99", " 1,234,567.89"),
        ("numeric_to_char", "1234", "999", " ###"),
        ("numeric_to_char", "NaN", "999", " NaN"),
        ("numeric_to_char", "Infinity", "9.9EEEE", " #.#####"),
        ("numeric_to_char", "112", "999th", " 112th"),
        ("numeric_to_char", "121", "FM999TH", "121ST"),
        ("numeric_to_char", "485", "FMRN", "CDLXXXV"),
        ("numeric_to_char", "485", "rn", "        cdlxxxv"),
        ("numeric_to_char", "1", "9.9.9", "42601 multiple decimal points"),
        (
            "numeric_to_char",
            "1",
            "S9PR",
            "42601 cannot use \"PR\" and \"S\"/\"PL\"/\"MI\"/\"SG\" together",
        ),
        ("numeric_to_char", "1", "9EEEE9", "42601 \"EEEE\" must be the last pattern used"),
        (
            "numeric_to_char",
            "1",
            "FM9EEEE",
            "42601 \"EEEE\" is incompatible with other formats / \"EEEE\" may only be used together with digit and decimal point patterns.",
        ),
        ("numeric_to_char", "9.99", "9.9EEEE", " 10.0e+00"),
        ("numeric_to_char", "7", "000.00", " 007.00"),
        ("numeric_to_char", "1", "th", "22P02 \".\" is not a number"),
        ("int4_to_char", "5", "S99.9", " +5.0"),
        ("int4_to_char", "-31", "99PR", "<31>"),
        ("int4_to_char", "31053531", "FM999999V99", "-########"),
        ("int8_to_char", "1234567890123", "9.999EEEE", " 1.235e+12"),
        ("int8_to_char", "9223372036854775807", "9V9", "22003 bigint out of range"),
        ("float8_to_char", "12345.678901234567", "99999.99999999999999999", " 12345.6789012346"),
        ("float8_to_char", "1e-300", "9.99EEEE", " 1.00e-300"),
        ("float4_to_char", "0.1", "FM0.999999999", "0.1"),
        ("float8_to_char", "nan", "999", " NaN"),
        ("numeric_to_number", "12,454.8-", "99G999D9S", "-12454.8"),
        ("numeric_to_number", "$1,234.56", "L9,999.99", "1234.56"),
        ("numeric_to_number", "<12>", "99PR", "-12"),
        ("numeric_to_number", "5-", "FMPL999", "-5"),
        ("numeric_to_number", "12", "99V9", "1.2000000000000000"),
        ("numeric_to_number", "", "999", "22P02 invalid input syntax for type numeric: \" \""),
        ("numeric_to_number", "XIV", "RN", "0A000 \"RN\" not supported for input"),
        ("numeric_to_number", "1e5", "9EEEE", "0A000 \"EEEE\" not supported for input"),
        (
            "numeric_to_number",
            "123.456",
            "9.9",
            "22003 numeric field overflow / A field with precision 1, scale 0 must round to an absolute value less than 10^1.",
        ),
    ];
    for (key, value, template, expected) in answers {
        let argument = match key {
            "numeric_to_char" => Datum::Numeric(value.parse().unwrap()),
            "int4_to_char" => Datum::Int4(value.parse().unwrap()),
            "int8_to_char" => Datum::Int8(value.parse().unwrap()),
            "float4_to_char" => Datum::Float4(value.parse().unwrap()),
            "float8_to_char" => Datum::Float8(value.parse().unwrap()),
            _ => Datum::text(value),
        };
        let arguments = [argument, Datum::text(template)];
        let got = with_context(|context| functions::scalar(key).unwrap()(context, &arguments));
        let got = match got {
            Ok(Datum::Numeric(value)) => value.to_string(),
            Ok(datum) => datum.as_text().to_owned(),
            Err(error) => show_error(&error),
        };
        assert_eq!(got, expected, "{key} {value} {template}");
    }
}

#[test]
fn long_templates_are_laid_out_within_bounds() {
    let nines = "9".repeat(100_000);
    for template in [format!("9.{nines}"), format!("9.{nines}EEEE"), nines] {
        for (key, value) in [
            ("numeric_to_char", Datum::Numeric("1.5".parse().unwrap())),
            ("float8_to_char", Datum::Float8(1.5)),
            ("int4_to_char", Datum::Int4(15)),
        ] {
            let arguments = [value, Datum::text(template.as_str())];
            let text = with_context(|context| functions::scalar(key).unwrap()(context, &arguments));
            assert!(text.unwrap().as_text().len() <= 100_010);
        }
    }
}

#[test]
fn series_step_exactly_and_refuse_what_never_ends() {
    let series = |key: &str, arguments: &[&str]| -> Result<Vec<String>, String> {
        let arguments: Vec<Datum> =
            arguments.iter().map(|text| Datum::Numeric(text.parse().unwrap())).collect();
        let rows =
            with_context(|context| functions::set_returning(key).unwrap()(context, &arguments))
                .map_err(|error| show_error(&error))?;
        Ok(rows.map(|row| row.unwrap().as_numeric().to_string()).collect())
    };
    let step = "generate_series_step_numeric";
    assert_eq!(series(step, &["1", "2", "0.50"]).unwrap(), ["1", "1.50", "2.00"]);
    assert_eq!(series(step, &["2", "1", "-1"]).unwrap(), ["2", "1"]);
    assert!(series("generate_series_numeric", &["2", "1"]).unwrap().is_empty());
    for (arguments, expected) in [
        (["1", "2", "0.0"], "22023 step size cannot equal zero"),
        (["NaN", "2", "1"], "22023 start value cannot be NaN"),
        (["1", "inf", "1"], "22023 stop value cannot be infinity"),
        (["1", "2", "-inf"], "22023 step size cannot be infinity"),
    ] {
        assert_eq!(series(step, &arguments).unwrap_err(), expected);
    }
    assert_eq!(series(step, &["1e131071", "9e131071", "9e131071"]).unwrap().len(), 1);
}
