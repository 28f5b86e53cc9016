//! Literal expectations, read off a PostgreSQL 15, and properties.

use super::*;
use crate::context::{DateOrder, DateStyle, IntervalStyle, NoHost};
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
        Err(error) => {
            let hint = error.fields().hint.as_ref().map(|hint| format!(" / {hint}"));
            format!(
                "ERROR {} {}{}",
                error.code().code(),
                error.fields().message,
                hint.unwrap_or_default()
            )
        }
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
