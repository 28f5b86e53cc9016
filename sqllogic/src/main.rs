//! `aegis-sqllogic run` runs `.slt` and `.test` files; `aegis-sqllogic diff` compares two servers.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use aegis_sqllogic::wire::Protocol;
use aegis_sqllogic::{diff, fuzz, runner};
use clap::{Parser, Subcommand, ValueEnum};

/// The specification as text, run over the wire.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs .slt files, and SQLite's .test files, each in a database of its own.
    Run {
        /// Where the server listens.
        #[arg(long, default_value = "127.0.0.1:5432")]
        address: String,
        /// The role to log in as.
        #[arg(long, default_value = "postgres")]
        user: String,
        /// The protocol.
        #[arg(long, value_enum, default_value = "both")]
        protocol: Protocols,
        /// How many files at a time.
        #[arg(long, default_value_t = 2)]
        jobs: usize,
        /// What is set in each file's database, such as `aegis.direct_path=off`; several by repeating.
        #[arg(long = "set", value_name = "NAME=VALUE")]
        settings: Vec<String>,
        /// Whether to count what failed by its cause instead of printing it.
        #[arg(long)]
        brief: bool,
        /// The files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Sends random statements to a PostgreSQL and to the server under test, and shows where they
    /// differ. Both get a database `fuzz`.
    Fuzz {
        /// Where PostgreSQL listens.
        #[arg(long)]
        reference: String,
        /// Where the server under test listens.
        #[arg(long, default_value = "127.0.0.1:5432")]
        address: String,
        /// The role to log in as.
        #[arg(long, default_value = "postgres")]
        user: String,
        /// What the statements come from.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// The number of the first statement.
        #[arg(long, default_value_t = 0)]
        first: u64,
        /// How many.
        #[arg(long, default_value_t = 10_000)]
        statements: u64,
    },
    /// Sends SQL files to a PostgreSQL and to the server under test, and shows where they differ.
    Diff {
        /// Where PostgreSQL listens.
        #[arg(long)]
        reference: String,
        /// Where the server under test listens.
        #[arg(long, default_value = "127.0.0.1:5432")]
        address: String,
        /// The role to log in as.
        #[arg(long, default_value = "postgres")]
        user: String,
        /// The database, on both.
        #[arg(long, default_value = "postgres")]
        database: String,
        /// The files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Protocols {
    Simple,
    Extended,
    Both,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut out = std::io::stdout().lock();
    let result = match arguments.command {
        Command::Run { address, user, protocol, jobs, settings, brief, files } => {
            run(&mut out, runner::Target { address, user, settings }, protocol, jobs, brief, &files)
        }
        Command::Diff { reference, address, user, database, files } => {
            compare(&mut out, [&reference, &address], &user, &database, &files)
        }
        Command::Fuzz { reference, address, user, seed, first, statements } => {
            fuzz(&mut out, [&reference, &address], &user, seed, first..first + statements)
        }
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // The error goes where the report went: there is no one else to tell.
            let _unwritable = writeln!(out, "{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(
    out: &mut impl Write,
    target: runner::Target,
    protocols: Protocols,
    jobs: usize,
    brief: bool,
    files: &[PathBuf],
) -> Result<bool, Box<dyn std::error::Error>> {
    let protocols: &[Protocol] = match protocols {
        Protocols::Simple => &[Protocol::Simple],
        Protocols::Extended => &[Protocol::Extended],
        Protocols::Both => &[Protocol::Simple, Protocol::Extended],
    };
    let (mut passed, mut failed) = (0, 0);
    let mut causes: BTreeMap<String, usize> = BTreeMap::new();
    for report in runner::run_all(&target, files, protocols, jobs) {
        passed += report.passed;
        failed += report.failures.len();
        let file = report.file.display();
        if brief {
            writeln!(
                out,
                "{file} ({:?}): {} passed, {} failed, {:.1} s",
                report.protocol,
                report.passed,
                report.failures.len(),
                report.elapsed.as_secs_f64()
            )?;
        }
        for failure in report.failures {
            if brief {
                *causes.entry(failure.cause).or_default() += 1;
            } else {
                writeln!(out, "{file} ({:?}): {}\n", report.protocol, failure.text)?;
            }
        }
    }
    let mut causes: Vec<(usize, String)> =
        causes.into_iter().map(|(cause, count)| (count, cause)).collect();
    causes.sort_by(|a, b| b.cmp(a));
    for (count, cause) in causes {
        writeln!(out, "{count:6} {cause}")?;
    }
    writeln!(out, "{passed} passed, {failed} failed")?;
    Ok(failed == 0)
}

fn compare(
    out: &mut impl Write,
    [reference, tested]: [&str; 2],
    user: &str,
    database: &str,
    files: &[PathBuf],
) -> Result<bool, Box<dyn std::error::Error>> {
    let (mut passed, mut failed) = (0, 0);
    for file in files {
        let mut reference = diff::connect(reference, user, database)?;
        let mut tested = diff::connect(tested, user, database)?;
        let comparison = diff::compare(file, &mut reference, &mut tested)?;
        passed += comparison.equal;
        failed += comparison.differences.len();
        for difference in &comparison.differences {
            writeln!(
                out,
                "{}\n--- reference\n{}\n--- tested\n{}\n",
                difference.statement, difference.reference, difference.tested
            )?;
        }
    }
    writeln!(out, "{passed} passed, {failed} failed")?;
    Ok(failed == 0)
}

fn fuzz(
    out: &mut impl Write,
    [reference, tested]: [&str; 2],
    user: &str,
    seed: u64,
    statements: std::ops::Range<u64>,
) -> Result<bool, Box<dyn std::error::Error>> {
    let mut reference = fuzz::Server::prepare(reference, user, "fuzz")?;
    let mut tested = fuzz::Server::prepare(tested, user, "fuzz")?;
    let mut unwritable = None;
    let report = fuzz::run(&mut reference, &mut tested, seed, statements, |found| {
        let fuzz::Difference { number, statement, reference, tested } = found;
        let written = writeln!(
            out,
            "-- {number}\n{statement};\n-- PostgreSQL: {reference}\n-- here: {tested}\n"
        );
        unwritable = unwritable.take().or(written.err());
    })?;
    if let Some(error) = unwritable {
        return Err(error.into());
    }
    for (what, times) in &report.unsupported {
        writeln!(out, "{times:6} {what}")?;
    }
    writeln!(
        out,
        "seed {seed}: {} equal, {} refused alike, {} fail or not by the order of rows, {} timed out, \
         {} different",
        report.equal,
        report.refused,
        report.unordered,
        report.timed_out,
        report.differences.len()
    )?;
    Ok(report.differences.is_empty())
}
