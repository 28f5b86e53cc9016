//! SQLite's own files, `.test`: one expected value a line, printed as the letters of its record say.
//!
//! ```text
//! query IRT rowsort label-1        I  whole numbers: booleans as 1 and 0, fractions cut off
//! SELECT a, b, c FROM t1           R  three digits behind the point
//! ----                             T  text: nothing is (empty), what cannot be printed is @
//! 6 values hashing to 5d41…        the MD5 of the values, a newline behind each
//! ```
//!
//! A file says itself which results are hashed, so `hash-threshold` changes nothing here. Whether a
//! record is for this engine is asked by the name `postgresql`.

use md5::{Digest, Md5};
use sqllogictest::{Condition, DefaultColumnType, QueryExpect, Record, SortMode, StatementExpect};

use crate::runner::Failure;
use crate::wire::{Answer, Client, ClientError};

const ENGINE: &str = "postgresql";
/// The type OID of `boolean`, which prints as `t` and `f`.
const BOOLEAN: u32 = 16;
/// How many values of a wrong result a failure shows.
const VALUES_SHOWN: usize = 12;

/// Runs records; a connection that breaks is made anew. Gives the number that passed, and the others.
pub(crate) fn run(
    connect: &dyn Fn() -> Result<Client, ClientError>,
    records: Vec<Record<DefaultColumnType>>,
) -> (usize, Vec<Failure>) {
    let (mut passed, mut failures) = (0, Vec::new());
    let mut client = None;
    let mut conditions = Vec::new();
    for record in records {
        if let Record::Condition(condition) = record {
            conditions.push(condition);
            continue;
        }
        let skipped = std::mem::take(&mut conditions).iter().any(is_skipped);
        if skipped {
            continue;
        }
        let (place, sql) = match &record {
            Record::Halt { .. } => break,
            Record::Statement { loc, sql, .. } | Record::Query { loc, sql, .. } => {
                (loc.to_string(), sql)
            }
            _ => continue,
        };
        match in_connection(&mut client, connect, sql).and_then(|answer| judge(&record, answer)) {
            Ok(()) => passed += 1,
            Err(wrong) => failures.push(Failure {
                text: format!("{place}: {}\n[SQL] {sql}\n{}", wrong.cause, wrong.text),
                cause: wrong.cause,
            }),
        }
    }
    (passed, failures)
}

fn is_skipped(condition: &Condition) -> bool {
    match condition {
        Condition::OnlyIf { label } => label != ENGINE,
        Condition::SkipIf { label } => label == ENGINE,
    }
}

/// What the server answered; an error of the connection is a failure of the record.
fn in_connection(
    client: &mut Option<Client>,
    connect: &dyn Fn() -> Result<Client, ClientError>,
    sql: &str,
) -> Result<Result<Answer, ClientError>, Failure> {
    let broken = |error: ClientError| Failure { cause: error.to_string(), text: String::new() };
    let mut connected = match client.take() {
        Some(connected) => connected,
        None => connect().map_err(broken)?,
    };
    match connected.run(sql) {
        Err(error) if error.sql_state().is_none() => Err(broken(error)),
        answer => {
            *client = Some(connected);
            Ok(answer)
        }
    }
}

fn judge(
    record: &Record<DefaultColumnType>,
    answer: Result<Answer, ClientError>,
) -> Result<(), Failure> {
    let wants_error = matches!(
        record,
        Record::Statement { expected: StatementExpect::Error(_), .. }
            | Record::Query { expected: QueryExpect::Error(_), .. }
    );
    let answer = match (answer, wants_error) {
        (Err(_), true) => return Ok(()),
        (Ok(_), true) => return Err(failure("an error was expected", String::new())),
        (Err(error), false) => return Err(failure(error.to_string(), String::new())),
        (Ok(answer), false) => answer,
    };
    let Record::Query { expected: QueryExpect::Results { types, sort_mode, results, .. }, .. } =
        record
    else {
        return Ok(());
    };
    if answer.columns.len() != types.len() {
        let text = format!("{} columns instead of {}", answer.columns.len(), types.len());
        return Err(failure("wrong number of columns", text));
    }
    let values = values(answer, types, *sort_mode);
    let got = match results.as_slice() {
        [only] if only.contains(" values hashing to ") => {
            vec![format!("{} values hashing to {}", values.len(), hash(&values))]
        }
        _ => values.clone(),
    };
    let expected = results.iter().map(|line| line.trim_end());
    if got.iter().map(|line| line.trim_end()).eq(expected) {
        return Ok(());
    }
    let shown = |values: &[String]| {
        let mut lines = values[..values.len().min(VALUES_SHOWN)].join("\n");
        if values.len() > VALUES_SHOWN {
            lines.push_str("\n…");
        }
        lines
    };
    Err(failure("wrong result", format!("expected\n{}\ngot\n{}", shown(results), shown(&values))))
}

fn failure(cause: impl Into<String>, text: String) -> Failure {
    Failure { cause: cause.into(), text }
}

/// The values of a result in the order that they are compared in.
fn values(answer: Answer, types: &[DefaultColumnType], sort: Option<SortMode>) -> Vec<String> {
    let oids: Vec<u32> = answer.columns.iter().map(|(_, oid)| *oid).collect();
    let print = |(at, value): (usize, Option<String>)| match value {
        None => "NULL".to_owned(),
        Some(text) => shown(text, oids[at], &types[at]),
    };
    let mut rows: Vec<Vec<String>> = answer
        .rows
        .into_iter()
        .map(|row| row.into_iter().enumerate().map(print).collect())
        .collect();
    if sort == Some(SortMode::RowSort) {
        rows.sort();
    }
    let mut values: Vec<String> = rows.into_iter().flatten().collect();
    if sort == Some(SortMode::ValueSort) {
        values.sort();
    }
    values
}

/// A value as its letter has it.
fn shown(text: String, oid: u32, letter: &DefaultColumnType) -> String {
    let text = match (oid, text.as_str()) {
        (BOOLEAN, "t") => "1".to_owned(),
        (BOOLEAN, "f") => "0".to_owned(),
        _ => text,
    };
    match letter {
        DefaultColumnType::Integer => whole(&text),
        DefaultColumnType::FloatingPoint => format!("{:.3}", text.parse().unwrap_or(0.0_f64)),
        DefaultColumnType::Text if text.is_empty() => "(empty)".to_owned(),
        DefaultColumnType::Text => {
            let printed = |c: char| if (' '..='~').contains(&c) { c } else { '@' };
            text.chars().map(printed).collect()
        }
        DefaultColumnType::Any => text,
    }
}

/// The digits before the point; 0 for what is no number.
fn whole(text: &str) -> String {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text),
    };
    let (front, behind) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !front.is_empty() && all_digits(front) && all_digits(behind) {
        let front = front.trim_start_matches('0');
        return if front.is_empty() { "0".to_owned() } else { format!("{sign}{front}") };
    }
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && value.trunc() != 0.0 => format!("{:.0}", value.trunc()),
        _ => "0".to_owned(),
    }
}

fn hash(values: &[String]) -> String {
    let mut md5 = Md5::new();
    for value in values {
        md5.update(value.as_bytes());
        md5.update(b"\n");
    }
    md5.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_printed_as_their_letters_say() {
        use DefaultColumnType::{FloatingPoint, Integer, Text};
        let print = |text: &str, oid, letter| shown(text.to_owned(), oid, &letter);
        assert_eq!(print("t", BOOLEAN, Integer), "1");
        assert_eq!(print("t", 25, Integer), "0");
        assert_eq!(print("-12.9", 1700, Integer), "-12");
        assert_eq!(print("-0.9", 1700, Integer), "0");
        assert_eq!(print("1e+20", 701, Integer), "100000000000000000000");
        assert_eq!(print("NaN", 701, Integer), "0");
        assert_eq!(print("2", 23, FloatingPoint), "2.000");
        assert_eq!(print("f", BOOLEAN, FloatingPoint), "0.000");
        assert_eq!(print("", 25, Text), "(empty)");
        assert_eq!(print("a\tä", 25, Text), "a@@");
    }

    #[test]
    fn rows_and_values_are_sorted_as_text_and_hashed_with_newlines() {
        let answer = || Answer {
            columns: vec![("a".to_owned(), 23), ("b".to_owned(), 23)],
            rows: [["9", "1"], ["10", "2"]]
                .map(|row| row.map(|value| Some(value.to_owned())).to_vec())
                .to_vec(),
            ..Answer::default()
        };
        let types = [DefaultColumnType::Integer, DefaultColumnType::Integer];
        assert_eq!(values(answer(), &types, None), ["9", "1", "10", "2"]);
        assert_eq!(values(answer(), &types, Some(SortMode::RowSort)), ["10", "2", "9", "1"]);
        assert_eq!(values(answer(), &types, Some(SortMode::ValueSort)), ["1", "10", "2", "9"]);
        assert_eq!(hash(&["a".to_owned()]), "60b725f10c9c85c70d97880dfe8191b3");
    }
}
