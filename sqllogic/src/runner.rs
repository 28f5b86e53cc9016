//! Runs `.slt` files, and SQLite's `.test` files: each in a database of its own, each in both
//! protocols.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sqllogictest::{DB, DBOutput, DefaultColumnType, Record, RecordOutput};

use crate::valuewise;
use crate::wire::{Answer, Client, ClientError, Protocol};

/// Where to run files.
#[derive(Clone, Debug)]
pub struct Target {
    /// `host:port`
    pub address: String,
    /// The role to log in as.
    pub user: String,
    /// What is set in the database of each file: `aegis.direct_path = off`.
    pub settings: Vec<String>,
}

/// What came of a file in one protocol.
#[derive(Clone, Debug)]
pub struct Report {
    /// The file.
    pub file: PathBuf,
    /// The protocol.
    pub protocol: Protocol,
    /// Records that gave what they must.
    pub passed: usize,
    /// Records that did not.
    pub failures: Vec<Failure>,
    /// How long it took.
    pub elapsed: Duration,
}

/// A record that did not give what it must.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What is common to failures of this kind: the server's error, or that the result is wrong.
    pub cause: String,
    /// Where it is, what was expected, and what came.
    pub text: String,
}

impl Failure {
    fn new(text: String) -> Self {
        Self { cause: text.lines().next().unwrap_or_default().to_owned(), text }
    }
}

/// Runs files in these protocols on up to `jobs` threads; reports in the order of the files.
#[must_use]
pub fn run_all(
    target: &Target,
    files: &[PathBuf],
    protocols: &[Protocol],
    jobs: usize,
) -> Vec<Report> {
    let work: Vec<(usize, &PathBuf, Protocol)> = files
        .iter()
        .flat_map(|file| protocols.iter().map(move |protocol| (file, *protocol)))
        .enumerate()
        .map(|(at, (file, protocol))| (at, file, protocol))
        .collect();
    let next = AtomicUsize::new(0);
    let reports = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                while let Some((at, file, protocol)) =
                    work.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    let database = format!("slt_{}_{at}", std::process::id());
                    let report = run_file(target, file, *protocol, &database);
                    let mut reports = reports.lock().unwrap_or_else(|held| held.into_inner());
                    reports.push((*at, report));
                }
            });
        }
    });
    let mut reports = reports.into_inner().unwrap_or_else(|held| held.into_inner());
    reports.sort_by_key(|(at, _)| *at);
    reports.into_iter().map(|(_, report)| report).collect()
}

/// Runs one file in a new database, which is dropped afterwards.
fn run_file(target: &Target, file: &Path, protocol: Protocol, database: &str) -> Report {
    let mut report = Report {
        file: file.to_owned(),
        protocol,
        passed: 0,
        failures: Vec::new(),
        elapsed: Duration::ZERO,
    };
    let start = Instant::now();
    let result = in_database(target, database, || run_records(target, file, database, &mut report));
    if let Err(error) = result {
        report.failures.push(Failure::new(error.to_string()));
    }
    report.elapsed = start.elapsed();
    report
}

fn in_database(target: &Target, database: &str, run: impl FnOnce()) -> Result<(), ClientError> {
    let mut admin = Client::connect(&target.address, &target.user, "postgres", Protocol::Simple)?;
    admin.run(&format!("CREATE DATABASE {database}"))?;
    for setting in &target.settings {
        admin.run(&format!("ALTER DATABASE {database} SET {setting}"))?;
    }
    run();
    // A session that is just closing may still be counted: ask until it is gone.
    for _ in 0..100 {
        match admin.run(&format!("DROP DATABASE {database}")) {
            Err(error) if error.sql_state() == Some("55006") => {
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            other => return other.map(drop),
        }
    }
    Ok(())
}

fn run_records(target: &Target, file: &Path, database: &str, report: &mut Report) {
    let records = match sqllogictest::parse_file::<DefaultColumnType>(file) {
        Ok(records) => records,
        Err(error) => {
            report.failures.push(Failure::new(error.to_string()));
            return;
        }
    };
    let protocol = report.protocol;
    if file.extension().is_some_and(|extension| extension == "test") {
        let connect = || Client::connect(&target.address, &target.user, database, protocol);
        (report.passed, report.failures) = valuewise::run(&connect, records);
        return;
    }
    let mut runner = sqllogictest::Runner::new(|| {
        let connection =
            Client::connect(&target.address, &target.user, database, protocol).map(Connection);
        std::future::ready(connection)
    });
    for record in records {
        if matches!(record, Record::Halt { .. }) {
            break;
        }
        match runner.run(record) {
            Ok(RecordOutput::Nothing) => {}
            Ok(_) => report.passed += 1,
            Err(error) => report.failures.push(Failure::new(error.to_string())),
        }
    }
    runner.shutdown();
}

/// A connection as the runner sees it.
struct Connection(Client);

impl DB for Connection {
    type Error = ClientError;
    type ColumnType = DefaultColumnType;

    fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, ClientError> {
        Ok(output(self.0.run(sql)?))
    }

    fn engine_name(&self) -> &'static str {
        "postgresql"
    }

    fn error_sql_state(error: &ClientError) -> Option<String> {
        error.sql_state().map(str::to_owned)
    }
}

fn output(answer: Answer) -> DBOutput<DefaultColumnType> {
    if !answer.has_rows {
        let count = answer.tag.rsplit(' ').next().and_then(|word| word.parse().ok());
        return DBOutput::StatementComplete(count.unwrap_or_default());
    }
    let rows = answer.rows.into_iter().map(|row| row.into_iter().map(shown).collect()).collect();
    DBOutput::Rows { types: vec![DefaultColumnType::Any; answer.columns.len()], rows }
}

/// A value as a file shows it.
fn shown(value: Option<String>) -> String {
    match value {
        None => "NULL".to_owned(),
        Some(text) if text.is_empty() => "(empty)".to_owned(),
        Some(text) => text,
    }
}
