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
    let now = 769_264_496_789_000;
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
        collation: crate::Collation::Default,
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

#[test]
fn words_for_days_follow_the_transaction_in_its_zone() {
    // The transaction's time is 12:34:56.789 UTC, the 18th already in Auckland.
    let settings = settings("Pacific/Auckland|ISO, MDY|postgres");
    for (type_name, text, expected) in [
        ("date", "today", "2024-05-18"),
        ("date", "yesterday", "2024-05-17"),
        ("date", "tomorrow", "2024-05-19"),
        ("timestamp", "now", "2024-05-18 00:34:56.789"),
        ("timestamptz", "now", "2024-05-18 00:34:56.789+12"),
        ("timestamp", "tomorrow 10:20", "2024-05-19 10:20:00"),
        ("timestamptz", "today allballs", "2024-05-18 12:00:00+12"),
        ("time", "now", "00:34:56.789"),
        ("timetz", "10:20", "10:20:00+12"),
    ] {
        assert_eq!(through(&settings, type_name, text), expected, "{text}");
    }
    let context = context(&settings);
    assert_eq!(print(&Datum::Date(current_date(&context)), &settings), "2024-05-18");
    assert_eq!(local_time(0, &context), local_timestamp(0, &context).unwrap() % calendar::DAY);
}

#[test]
fn series_keep_the_time_of_day_over_a_change_of_clocks() {
    let settings = settings("Europe/Paris|ISO, MDY|postgres");
    let context = context(&settings);
    let arguments = ["2001-03-24 02:30", "2001-03-27", "1 day"];
    let series = |arguments: [&str; 3]| {
        let values: Vec<Datum> = ["timestamptz", "timestamptz", "interval"]
            .iter()
            .zip(arguments)
            .map(|(name, text)| argument(name, text, &context))
            .collect();
        let call = crate::CallContext {
            eval: context,
            argument_types: &[],
            result_type: crate::TypeRef::plain(crate::type_oid::TIMESTAMPTZ),
            collation: crate::Collation::Default,
        };
        let function = crate::functions::set_returning("generate_series_timestamptz").unwrap();
        let rows: Vec<String> =
            function(&call, &values)?.map(|row| print(&row.unwrap(), &settings)).collect();
        Ok::<_, SqlError>(rows)
    };
    let days = ["2001-03-24 02:30:00+01", "2001-03-25 03:30:00+02", "2001-03-26 03:30:00+02"];
    assert_eq!(series(arguments).unwrap(), days);
    assert_eq!(series(["2001-03-24", "2001-03-25", "-1 day"]).unwrap(), [""; 0]);
    assert_eq!(
        shown(&series(["2001-03-24", "2001-03-25", "0"]).unwrap_err()),
        "ERROR 22023 step size cannot equal zero"
    );
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    /// Texts made of what dates and intervals are made of.
    fn text() -> impl Strategy<Value = String> {
        let pieces = prop_oneof![
            "[ -~]{0,4}",
            "[0-9]{1,12}",
            any::<String>(),
            prop::sample::select(vec![
                "-",
                ":",
                ".",
                "/",
                " ",
                "T",
                "Z",
                "BC",
                "am",
                "pm",
                "j",
                "jan",
                "2001-02-03",
                "04:05:06",
                "+02",
                "-08:30",
                "MSK",
                "Europe/Paris",
                "EST5EDT",
                "dst",
                "now",
                "tomorrow",
                "infinity",
                "allballs",
                "day",
                "mon",
                "year",
                "ago",
                "P",
                "1Y",
                "W",
                "5874898",
                "294277",
                "99999999999",
                "YYYY",
                "HH24",
                "TZH",
                "FM",
                "th",
                "Day",
            ])
            .prop_map(str::to_owned),
        ];
        prop::collection::vec(pieces, 0..8).prop_map(|pieces| pieces.concat())
    }

    fn any_settings() -> impl Strategy<Value = FormatSettings> {
        prop::sample::select(vec![
            "UTC|ISO, MDY|postgres",
            "Europe/Paris|ISO, DMY|iso_8601",
            "UTC|ISO, YMD|sql_standard",
            "UTC|SQL, MDY|postgres_verbose",
            "UTC|SQL, DMY|postgres",
            "UTC|Postgres, MDY|iso_8601",
            "UTC|Postgres, DMY|sql_standard",
            "UTC|German, DMY|postgres_verbose",
            "<+05:30>-05:30|German, DMY|postgres",
        ])
        .prop_map(settings)
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd(text in text(), template in text(), settings in any_settings()) {
            let context = context(&settings);
            for name in ["date", "time", "timetz", "timestamp", "timestamptz", "interval"] {
                through(&settings, name, &text);
            }
            let _ = TimeZone::parse(&text);
            let _ = template::to_date(&text, &template);
            let _ = template::to_timestamp(&text, &template, &context);
            let _ = template::timestamp_to_char(1, &template);
            let _ = template::interval_to_char(&Interval::default(), &template);
            let _ = parts::of_timestamp(&text, 1, arithmetic::Clock::Plain);
        }

        #[test]
        fn dates_and_timestamps_come_back(
            date in calendar::FIRST_DATE..calendar::END_DATE,
            timestamp in calendar::FIRST_TIMESTAMP..calendar::END_TIMESTAMP,
            time in 0..=calendar::DAY,
            west in -57_599..57_600,
            settings in any_settings(),
        ) {
            let context = context(&settings);
            let text = print(&Datum::Date(date), &settings);
            prop_assert_eq!(date_in(&text, &context).unwrap(), date, "{}", text);
            let text = print(&Datum::Timestamp(timestamp), &settings);
            prop_assert_eq!(timestamp_in(&text, -1, &context).unwrap(), timestamp, "{}", text);
            let text = print(&Datum::Timetz(time, west), &settings);
            prop_assert_eq!(timetz_in(&text, -1, &context).unwrap(), (time, west), "{}", text);
            let text = print(&Datum::Time(time), &settings);
            prop_assert_eq!(time_in(&text, -1, &context).unwrap(), time, "{}", text);
            if settings.date_style == DateStyle::Iso {
                let text = print(&Datum::Timestamptz(timestamp), &settings);
                let back = timestamptz_in(&text, -1, &context).unwrap();
                prop_assert_eq!(back, timestamp, "{}", text);
            }
        }

        #[test]
        fn intervals_come_back(
            months: i32,
            days: i32,
            microseconds in i64::MIN + 1..i64::MAX,
            settings in any_settings(),
        ) {
            let context = context(&settings);
            // The form of ISO 8601 reads through floating point: to 15 digits.
            let is_iso = settings.interval_style == IntervalStyle::Iso8601;
            let microseconds =
                if is_iso { microseconds % 1_000_000_000_000 } else { microseconds };
            let interval = Interval { months, days, microseconds };
            let text = print(&Datum::Interval(interval), &settings);
            let back = interval_in(&text, -1, &context).unwrap();
            prop_assert_eq!(
                (back.months, back.days, back.microseconds),
                (months, days, microseconds),
                "{}", text
            );
        }

        #[test]
        fn intervals_order_by_span(
            left in (any::<i32>(), any::<i32>(), any::<i64>()),
            right in (any::<i32>(), any::<i32>(), any::<i64>()),
        ) {
            let interval = |(months, days, microseconds)| Interval { months, days, microseconds };
            let (left, right) = (interval(left), interval(right));
            prop_assert_eq!(left.cmp(&right), left.span().cmp(&right.span()));
            prop_assert_eq!(left.cmp(&right), right.cmp(&left).reverse());
            if let Ok(difference) = left.sub(&right) {
                prop_assert_eq!(difference.span(), left.span() - right.span());
            }
        }

        #[test]
        fn extremes_do_not_panic(
            timestamp: i64,
            origin: i64,
            date: i32,
            months: i32,
            days: i32,
            microseconds: i64,
            factor: f64,
            settings in any_settings(),
        ) {
            let interval = Interval { months, days, microseconds };
            let valid = |timestamp: i64| {
                timestamp.clamp(calendar::FIRST_TIMESTAMP, calendar::END_TIMESTAMP - 1)
            };
            let (timestamp, origin) = (valid(timestamp), valid(origin));
            for clock in [arithmetic::Clock::Plain, arithmetic::Clock::In(&settings.time_zone)] {
                let _ = arithmetic::plus_interval(timestamp, &interval, true, clock);
                let _ = arithmetic::plus_interval(timestamp, &interval, false, clock);
                let _ = arithmetic::timestamp_age(timestamp, origin, clock);
                let _ = arithmetic::date_to_timestamp(date, clock);
                let _ = arithmetic::compare_date(date, timestamp, clock);
                for unit in ["week", "century", "hour", "julian", "epoch", "isoyear"] {
                    let _ = parts::of_timestamp(unit, timestamp, clock).map(parts::Part::numeric);
                    let _ = parts::of_interval(unit, &interval).map(parts::Part::numeric);
                    let _ = parts::trunc(unit, timestamp, clock);
                }
            }
            let _ = parts::bin(&interval, timestamp, origin);
            let _ = (interval.mul(factor), interval.div(factor), interval.neg());
            let _ = (interval.justify_hours(), interval.justify_days());
            let _ = interval.justify_interval();
            let _ = template::interval_to_char(&interval, "J IW IYYY IDDD YYYY RM CC Q W SSSS Y,YYY");
            print(&Datum::Interval(interval), &settings);
            print(&Datum::Timestamptz(timestamp), &settings);
        }
    }
}
