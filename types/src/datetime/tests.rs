//! Literal expectations, read off a PostgreSQL 15, and properties.

use super::*;
use crate::context::{DateOrder, DateStyle, IntervalStyle, NoHost};
use crate::datum::Datum;
use crate::interval::{Interval, Range, interval_in, interval_out};
use crate::timezone::TimeZone;

/// `zone|DateStyle|IntervalStyle`
fn settings(text: &str) -> FormatSettings {
    let parts: Vec<&str> = text.split('|').collect();
    let (style, order) = parts[1].split_once(", ").unwrap();
    FormatSettings {
        time_zone: TimeZone::parse(parts[0]).unwrap(),
        date_style: match style {
            "ISO" => DateStyle::Iso,
            "SQL" => DateStyle::Sql,
            "Postgres" => DateStyle::Postgres,
            _ => DateStyle::German,
        },
        date_order: match order {
            "MDY" => DateOrder::Mdy,
            "DMY" => DateOrder::Dmy,
            _ => DateOrder::Ymd,
        },
        interval_style: match parts[2] {
            "postgres" => IntervalStyle::Postgres,
            "postgres_verbose" => IntervalStyle::PostgresVerbose,
            "sql_standard" => IntervalStyle::SqlStandard,
            _ => IntervalStyle::Iso8601,
        },
        ..FormatSettings::default()
    }
}

fn context(settings: &FormatSettings) -> EvalContext<'_> {
    // 2024-05-17 12:34:56.789 UTC
    let now = 769_178_096_789_000;
    EvalContext { settings, transaction_timestamp: now, statement_timestamp: now, host: &NoHost }
}

fn typmod(type_name: &str) -> i32 {
    let precision =
        type_name.split_once('(').map(|(_, rest)| rest.trim_end_matches(')').parse().unwrap());
    let Some(rest) = type_name.strip_prefix("interval") else {
        return precision.map_or(-1, i32::from);
    };
    let range = match rest.split('(').next().unwrap().trim() {
        "" if precision.is_none() => return -1,
        "" => Range::FULL,
        "year" => Range::YEAR,
        "month" => Range::MONTH,
        "day" => Range::DAY,
        "hour" => Range::HOUR,
        "minute" => Range::MINUTE,
        "second" => Range::SECOND,
        "year to month" => Range::YEAR_TO_MONTH,
        "day to hour" => Range::DAY_TO_HOUR,
        "day to minute" => Range::DAY_TO_MINUTE,
        "day to second" => Range::DAY_TO_SECOND,
        "hour to minute" => Range::HOUR_TO_MINUTE,
        "hour to second" => Range::HOUR_TO_SECOND,
        "minute to second" => Range::MINUTE_TO_SECOND,
        other => panic!("no range: {other}"),
    };
    range.typmod(precision)
}

/// What PostgreSQL prints for `text::type_name`, or `ERROR`, the SQLSTATE, the message and hint.
fn through(settings: &FormatSettings, type_name: &str, text: &str) -> String {
    let context = context(settings);
    let typmod = typmod(type_name);
    let mut out = Vec::new();
    let name = type_name.split(['(', ' ']).next().unwrap();
    let result = match name {
        "date" => date_in(text, &context).map(|value| date_out(value, settings, &mut out)),
        "time" => time_in(text, typmod, &context).map(|value| time_out(value, &mut out)),
        "timetz" => {
            timetz_in(text, typmod, &context).map(|(value, west)| timetz_out(value, west, &mut out))
        }
        "timestamp" => timestamp_in(text, typmod, &context)
            .map(|value| timestamp_out(value, settings, &mut out)),
        "timestamptz" => timestamptz_in(text, typmod, &context)
            .map(|value| timestamptz_out(value, settings, &mut out)),
        "interval" => interval_in(text, typmod, &context)
            .map(|value| interval_out(&value, settings, &mut out)),
        other => panic!("no type: {other}"),
    };
    match result {
        Ok(()) => String::from_utf8(out).unwrap(),
        Err(error) => shown(&error),
    }
}

/// Lines of `settings TAB type TAB input TAB expected`.
fn check(table: &str) {
    let mut wrong = 0;
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<&str> = line.split('\t').collect();
        let found = through(&settings(columns[0]), columns[1], columns[2]);
        if found != columns[3] {
            wrong += 1;
            eprintln!("{line}\n    found {found}");
        }
    }
    assert_eq!(wrong, 0, "of {} lines", table.lines().count());
}

#[test]
fn texts_are_read_and_printed_as_postgresql_does() {
    check(include_str!("expectations.tsv"));
}

/// The value of an argument of a function.
fn argument(type_name: &str, text: &str, context: &EvalContext<'_>) -> Datum {
    if text == "NULL" {
        return Datum::Null;
    }
    match type_name {
        "text" => Datum::text(text),
        "int4" => Datum::Int4(text.parse().unwrap()),
        "float8" => Datum::Float8(crate::float::parse_float8(text).unwrap()),
        "bool" => Datum::Bool(text == "t"),
        "date" => Datum::Date(date_in(text, context).unwrap()),
        "time" => Datum::Time(time_in(text, -1, context).unwrap()),
        "timetz" => {
            let (time, west) = timetz_in(text, -1, context).unwrap();
            Datum::Timetz(time, west)
        }
        "timestamp" => Datum::Timestamp(timestamp_in(text, -1, context).unwrap()),
        "timestamptz" => Datum::Timestamptz(timestamptz_in(text, -1, context).unwrap()),
        "interval" => Datum::Interval(interval_in(text, -1, context).unwrap()),
        other => panic!("no type: {other}"),
    }
}

fn print(datum: &Datum, settings: &FormatSettings) -> String {
    let mut out = Vec::new();
    match datum {
        Datum::Null => return "NULL".to_owned(),
        Datum::Bool(value) => return value.to_string(),
        Datum::Int4(value) => return value.to_string(),
        Datum::Text(text) => return text.to_string(),
        Datum::Float8(value) => crate::float::write_float8(*value, 1, &mut out),
        Datum::Numeric(value) => value.write_text(&mut out),
        Datum::Date(value) => date_out(*value, settings, &mut out),
        Datum::Time(value) => time_out(*value, &mut out),
        Datum::Timetz(value, west) => timetz_out(*value, *west, &mut out),
        Datum::Timestamp(value) => timestamp_out(*value, settings, &mut out),
        Datum::Timestamptz(value) => timestamptz_out(*value, settings, &mut out),
        Datum::Interval(value) => interval_out(value, settings, &mut out),
        other => panic!("no text: {other:?}"),
    }
    String::from_utf8(out).unwrap()
}

fn shown(error: &SqlError) -> String {
    let hint = error.fields().hint.as_ref().map(|hint| format!(" / {hint}"));
    let message = &error.fields().message;
    format!("ERROR {} {message}{}", error.code().code(), hint.unwrap_or_default())
}

/// What a call of a built-in function gives, found as the analyzer finds it.
fn call(settings: &FormatSettings, signature: &str, arguments: &[&str]) -> String {
    use crate::builtin::{Implementation, builtins};
    let context = context(settings);
    let (name, types) = signature.trim_end_matches(')').split_once('(').unwrap();
    let types: Vec<&str> = types.split(',').filter(|name| !name.is_empty()).collect();
    let oids: Vec<_> = types.iter().map(|name| builtins().type_named(name).unwrap().oid).collect();
    let row = builtins().functions_named(name).find(|row| row.arguments == oids).unwrap();
    let Implementation::Scalar(function) = row.implementation else {
        return "not implemented".to_owned();
    };
    let values: Vec<Datum> =
        types.iter().zip(arguments).map(|(name, text)| argument(name, text, &context)).collect();
    let call = crate::CallContext {
        eval: context,
        argument_types: &[],
        result_type: crate::TypeRef::plain(row.result),
    };
    if row.strict && values.iter().any(Datum::is_null) {
        return "NULL".to_owned();
    }
    match function(&call, &values) {
        Ok(datum) => print(&datum, settings),
        Err(error) => shown(&error),
    }
}

/// Lines of `settings TAB signature TAB arguments … TAB expected`.
fn check_calls(table: &str) {
    let mut wrong = 0;
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<&str> = line.split('\t').collect();
        let (expected, arguments) = columns[2..].split_last().unwrap();
        let found = call(&settings(columns[0]), columns[1], arguments);
        if found != *expected {
            wrong += 1;
            eprintln!("{line}\n    found {found}");
        }
    }
    assert_eq!(wrong, 0, "of {} lines", table.lines().count());
}

#[test]
fn functions_give_what_postgresql_gives() {
    check_calls(include_str!("calls.tsv"));
}
