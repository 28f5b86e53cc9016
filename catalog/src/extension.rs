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
    /// Whether whoever may make objects in a database may create it; superusers alone otherwise.
    pub trusted: bool,
    /// What is run once its functions are there: `@extschema@` is its schema. The views that it makes
    /// belong to the extension.
    pub script: &'static [&'static str],
}

/// All of them, by name.
pub static EXTENSIONS: &[KnownExtension] = &[
    // The relations of engines, which bring the rest of its script themselves.
    KnownExtension {
        name: "aegis",
        version: "1.0",
        comment: "key-values and event streams in the transactions of tables",
        trusted: false,
        script: &["CREATE SCHEMA aegis", "GRANT USAGE ON SCHEMA aegis TO PUBLIC"],
    },
    KnownExtension {
        name: "aegis_stat",
        version: "1.0",
        comment: "what the server counts of itself and PostgreSQL has no view for",
        trusted: false,
        script: &[
            "CREATE VIEW @extschema@.aegis_stat_plan_cache AS \
             SELECT * FROM @extschema@.aegis_stat_plan_cache()",
            "GRANT SELECT ON @extschema@.aegis_stat_plan_cache TO PUBLIC",
        ],
    },
    KnownExtension {
        name: "pg_stat_statements",
        version: "1.10",
        comment: "track planning and execution statistics of all SQL statements executed",
        trusted: false,
        script: &[
            "CREATE VIEW @extschema@.pg_stat_statements_info AS \
             SELECT * FROM @extschema@.pg_stat_statements_info()",
            "GRANT SELECT ON @extschema@.pg_stat_statements_info TO PUBLIC",
            "CREATE VIEW @extschema@.pg_stat_statements AS \
             SELECT * FROM @extschema@.pg_stat_statements(true)",
            "GRANT SELECT ON @extschema@.pg_stat_statements TO PUBLIC",
            "REVOKE ALL ON FUNCTION @extschema@.pg_stat_statements_reset(oid, oid, bigint) \
             FROM PUBLIC",
        ],
    },
    KnownExtension {
        name: "pgcrypto",
        version: "1.3",
        comment: "cryptographic functions",
        trusted: true,
        script: &[],
    },
    KnownExtension {
        name: "uuid-ossp",
        version: "1.1",
        comment: "generate universally unique identifiers (UUIDs)",
        trusted: true,
        script: &[],
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

/// extension, name, types of parameters, their names, result, symbol, volatility, strict; and where
/// they are not the usual ones, the modes of the parameters, the defaults of all inputs, and the rows
/// of a set
fn function(row: &[&str]) -> Function {
    let oid = |text: &str| Oid(text.parse().expect("the table has OIDs for types"));
    let further = |at: usize| row.get(at).copied().unwrap_or_default();
    let mut names = row[3].split(',');
    let mut modes = further(8).bytes();
    let mut defaults = further(9).split_ascii_whitespace();
    let parameters = row[2].split_ascii_whitespace().map(|ty| FunctionParameter {
        name: names.next().unwrap_or_default().to_owned(),
        ty: oid(ty),
        mode: modes.next().unwrap_or(b'i'),
        default: defaults.next().map(str::to_owned),
    });
    let rows: f32 = further(10).parse().unwrap_or_default();
    Function {
        name: row[1].to_owned(),
        parameters: parameters.collect(),
        result: oid(row[4]),
        body: FunctionBody::Symbol(row[5].to_owned()),
        volatility: row[6].as_bytes()[0],
        strict: row[7] == "t",
        parallel: b's',
        cost: 1.0,
        rows,
        returns_set: rows > 0.0,
        ..Function::default()
    }
}
