//! The extensions that can be created, with what each brings. They are built in: creating one makes
//! their objects known in a database.

use aegis_types::Oid;

use crate::descriptor::{Function, FunctionBody, FunctionParameter};

/// An extension that can be created.
#[derive(Debug)]
pub struct KnownExtension {
    /// Its name.
    pub name: &'static str,
    /// The only version there is.
    pub version: &'static str,
    /// What it is for.
    pub comment: &'static str,
}

/// All of them, by name.
pub static EXTENSIONS: &[KnownExtension] = &[
    KnownExtension { name: "pgcrypto", version: "1.3", comment: "cryptographic functions" },
    KnownExtension {
        name: "uuid-ossp",
        version: "1.1",
        comment: "generate universally unique identifiers (UUIDs)",
    },
];

/// The extension with this name.
#[must_use]
pub fn known(name: &str) -> Option<&'static KnownExtension> {
    EXTENSIONS.iter().find(|extension| extension.name == name)
}

impl KnownExtension {
    /// The functions that it brings, without OID, database, schema and owner.
    pub fn functions(&self) -> impl Iterator<Item = Function> {
        let table = include_str!("../data/extension_functions.tsv");
        let rows = table.lines().map(|line| line.split('\t').collect::<Vec<_>>());
        rows.filter(|row| row[0] == self.name).map(|row| function(&row))
    }
}

/// extension, name, types of arguments, their names, result, symbol, volatility, strict
fn function(row: &[&str]) -> Function {
    let oid = |text: &str| Oid(text.parse().expect("the table has OIDs for types"));
    let mut names = row[3].split(',');
    let parameters = row[2].split_ascii_whitespace().map(|ty| FunctionParameter {
        name: names.next().unwrap_or_default().to_owned(),
        ty: oid(ty),
        mode: b'i',
        default: None,
    });
    Function {
        name: row[1].to_owned(),
        parameters: parameters.collect(),
        result: oid(row[4]),
        body: FunctionBody::Symbol(row[5].to_owned()),
        volatility: row[6].as_bytes()[0],
        strict: row[7] == "t",
        parallel: b's',
        cost: 1.0,
        ..Function::default()
    }
}
