//! The differential runner: the same statements to PostgreSQL and to Aegis, and where they differ.

use std::path::Path;

use crate::script::statements;
use crate::wire::{Answer, Client, ClientError, Protocol};

/// How two servers answered one statement differently.
#[derive(Clone, Debug)]
pub struct Difference {
    /// The statement.
    pub statement: String,
    /// What the reference said.
    pub reference: String,
    /// What the server under test said.
    pub tested: String,
}

/// What a comparison found.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    /// Statements answered alike.
    pub equal: usize,
    /// Statements answered differently.
    pub differences: Vec<Difference>,
}

/// Sends every statement of a file to both, over one connection each, and compares rows (in order
/// where the statement says `ORDER BY`), column types, command tags and SQLSTATEs.
///
/// # Errors
/// What reading the file raises.
pub fn compare(
    file: &Path,
    reference: &mut Client,
    tested: &mut Client,
) -> std::io::Result<Comparison> {
    let script = std::fs::read_to_string(file)?;
    let mut comparison = Comparison::default();
    for statement in statements(&script) {
        let ordered = statement.to_ascii_lowercase().contains("order by");
        let expected = shown(reference.run(&statement), ordered);
        let got = shown(tested.run(&statement), ordered);
        if expected == got {
            comparison.equal += 1;
        } else {
            comparison.differences.push(Difference { statement, reference: expected, tested: got });
        }
    }
    Ok(comparison)
}

/// Connects to `host:port` for a comparison.
///
/// # Errors
/// What the connection raises.
pub fn connect(address: &str, user: &str, database: &str) -> Result<Client, ClientError> {
    Client::connect(address, user, database, Protocol::Simple)
}

pub(crate) fn shown(answer: Result<Answer, ClientError>, ordered: bool) -> String {
    let answer = match answer {
        Ok(answer) => answer,
        Err(ClientError::Server { code, message, .. }) => return format!("{code} {message}"),
        Err(error) => return error.to_string(),
    };
    // User objects' row types have OIDs of their own on each server.
    const FIRST_USER_OID: u32 = 16384;
    let columns: Vec<String> =
        answer
            .columns
            .iter()
            .map(|(name, oid)| {
                if *oid < FIRST_USER_OID { format!("{name}:{oid}") } else { format!("{name}:user") }
            })
            .collect();
    let mut rows: Vec<String> = answer
        .rows
        .iter()
        .map(|row| {
            let values: Vec<&str> =
                row.iter().map(|value| value.as_deref().unwrap_or("NULL")).collect();
            values.join("|")
        })
        .collect();
    if !ordered {
        rows.sort();
    }
    format!("{} [{}]\n{}", answer.tag, columns.join(", "), rows.join("\n"))
}
