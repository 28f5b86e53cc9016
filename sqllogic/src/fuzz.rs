//! The differential fuzzer: random statements over a fixed schema, to PostgreSQL and to the server
//! under test, in both protocols.
//!
//! ```text
//! pg_operator, pg_proc, pg_cast, pg_aggregate of the reference ──► what can be called (Callables)
//! seed ──► Generator ──► statement ──► both ──► rows, column types, tags, SQLSTATEs ──► equal?
//! ```
//!
//! Functions that the server under test refuses by name (42883, 0A000) are left out: which they are
//! is COMPATIBILITY's to say. Where a statement reads rows, SQL leaves open which of them are
//! computed before one fails: that only one of the two raises an error of the data (class 22) is
//! counted, and is no difference there.

mod callables;
mod generate;

use std::collections::BTreeMap;

use crate::diff::shown;
use crate::random::Random;
use crate::wire::{Client, ClientError, Protocol};

pub use callables::Callables;
pub use generate::Generator;

/// The tables that statements are over, with their rows.
pub const SCHEMA: &str = include_str!("fuzz/schema.sql");

/// Two statements that were answered differently.
#[derive(Clone, Debug)]
pub struct Difference {
    /// Which statement, from 0: the same for the same seed and servers.
    pub number: u64,
    /// The statement.
    pub statement: String,
    /// What the reference said.
    pub reference: String,
    /// What the server under test said.
    pub tested: String,
}

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Statements that both answered alike with rows.
    pub equal: u64,
    /// Statements that both refused with the same SQLSTATE.
    pub refused: u64,
    /// Statements of which rows and one error of the data came, depending on the order.
    pub unordered: u64,
    /// Statements that one of the two did not finish in time.
    pub timed_out: u64,
    /// Statements that the server under test says it cannot do (0A000), by what it names.
    pub unsupported: BTreeMap<String, u64>,
    /// The rest.
    pub differences: Vec<Difference>,
}

/// One of the two servers.
pub struct Server {
    simple: Client,
    extended: Client,
}

impl Server {
    /// Connects, and makes the schema in a database of its own, which `drop_database` removes.
    ///
    /// # Errors
    /// What the server raises.
    pub fn prepare(address: &str, user: &str, database: &str) -> Result<Self, ClientError> {
        let mut admin = Client::connect(address, user, "postgres", Protocol::Simple)?;
        admin.run(&format!("DROP DATABASE IF EXISTS {database}"))?;
        admin.run(&format!("CREATE DATABASE {database}"))?;
        let connect = |protocol| {
            let mut client = Client::connect(address, user, database, protocol)?;
            client.run("SET statement_timeout = '3s'")?;
            client.run("SET TimeZone = 'Europe/Berlin'")?;
            Ok::<_, ClientError>(client)
        };
        let (mut simple, extended) = (connect(Protocol::Simple)?, connect(Protocol::Extended)?);
        simple.run(SCHEMA)?;
        Ok(Self { simple, extended })
    }

    fn client(&mut self, protocol: Protocol) -> &mut Client {
        match protocol {
            Protocol::Simple => &mut self.simple,
            Protocol::Extended => &mut self.extended,
        }
    }

    /// What can be called there.
    ///
    /// # Errors
    /// What the server raises.
    pub fn callables(&mut self) -> Result<Callables, ClientError> {
        Callables::of(&mut self.simple)
    }
}

/// Sends `count` statements of a seed to both; `told` hears of each difference at once.
///
/// # Errors
/// What ends a connection.
pub fn run(
    reference: &mut Server,
    tested: &mut Server,
    seed: u64,
    statements: std::ops::Range<u64>,
    mut told: impl FnMut(&Difference),
) -> Result<Report, ClientError> {
    let mut callables = reference.callables()?;
    callables.keep_what_answers(&mut tested.simple)?;
    let mut report = Report::default();
    for number in statements {
        let mut random = Random::new(seed.wrapping_mul(1_000_003).wrapping_add(number));
        let generated = Generator::new(&callables, &mut random).statement();
        let protocol = if number % 2 == 0 { Protocol::Simple } else { Protocol::Extended };
        let [expected, got] = [&mut *reference, &mut *tested].map(|server| {
            let client = server.client(protocol);
            if !generated.changes {
                return client.run(&generated.sql);
            }
            // What changes is looked at and undone.
            client.run("BEGIN")?;
            let answer = client.run(&generated.sql);
            client.run("ROLLBACK")?;
            answer
        });
        let code = |answer: &Result<_, ClientError>| match answer {
            Ok(_) => Some(String::new()),
            Err(error) => error.sql_state().map(str::to_owned),
        };
        let (Some(one), Some(other)) = (code(&expected), code(&got)) else {
            // One of them is what ended its connection.
            expected?;
            got?;
            continue;
        };
        // 0A000 is PostgreSQL's word for a NaN that is to be an integer.
        let is_data = |code: &str| code.is_empty() || code.starts_with("22") || code == "0A000";
        if one == "57014" || other == "57014" {
            report.timed_out += 1;
        } else if one == other && !one.is_empty() {
            report.refused += 1;
        } else if let Err(ClientError::Server { code, message, .. }) = &got
            && code == "0A000"
            && message.ends_with("is not supported")
        {
            *report.unsupported.entry(message.clone()).or_default() += 1;
        } else if one != other && generated.reads_rows && is_data(&one) && is_data(&other) {
            report.unordered += 1;
        } else {
            let expected = shown(expected, generated.ordered);
            let got = shown(got, generated.ordered);
            if expected == got {
                report.equal += 1;
                continue;
            }
            let difference =
                Difference { number, statement: generated.sql, reference: expected, tested: got };
            told(&difference);
            report.differences.push(difference);
        }
    }
    Ok(report)
}
