//! How many of PostgreSQL's built-in functions answer, family by family: each is called once.
//!
//! Support functions are left out: input and output, handlers, selectivity, what indexes and
//! aggregates are made of. A function answers if its call gives a result or an error of its own, not
//! that it is unknown or not supported. `docs/COMPATIBILITY.md` shows no more than is true;
//! `AEGIS_WRITE_DOCS=1` writes it anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

use aegis_sqllogic::wire::Client;

use crate::server::Server;

const FUNCTIONS: &str = include_str!("../../../types/data/pg_proc.tsv");
const TYPES: &str = include_str!("../../../types/data/pg_type.tsv");
const AGGREGATES: &str = include_str!("../../../types/data/pg_aggregate.tsv");
const BEGIN: &str = "<!-- functions: written by a test -->\n";
const END: &str = "<!-- end of functions -->\n";

/// A value of each type, as text.
const SAMPLES: &[(&str, &str)] = &[
    ("bool", "true"),
    ("bytea", "\\x61"),
    ("char", "a"),
    ("name", "a"),
    ("text", "a"),
    ("varchar", "a"),
    ("bpchar", "a"),
    ("date", "2020-01-01"),
    ("time", "10:00"),
    ("timetz", "10:00+01"),
    ("timestamp", "2020-01-01"),
    ("timestamptz", "2020-01-01"),
    ("interval", "1 hour"),
    ("json", "{}"),
    ("jsonb", "{}"),
    ("jsonpath", "$"),
    ("uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    ("inet", "10.0.0.1"),
    ("cidr", "10.0.0.0/8"),
    ("macaddr", "08:00:2b:01:02:03"),
    ("macaddr8", "08:00:2b:01:02:03:04:05"),
    ("regclass", "pg_class"),
    ("regtype", "int4"),
    ("regproc", "now"),
    ("regprocedure", "now()"),
    ("regnamespace", "pg_catalog"),
    ("regrole", "postgres"),
    ("point", "(1,2)"),
    ("lseg", "[(1,2),(3,4)]"),
    ("path", "[(1,2),(3,4)]"),
    ("box", "(1,2),(3,4)"),
    ("polygon", "((1,2),(3,4),(5,0))"),
    ("line", "{1,2,3}"),
    ("circle", "<(1,2),3>"),
    ("tsvector", "a"),
    ("tsquery", "a"),
    ("xml", "<a/>"),
    ("pg_lsn", "0/1"),
    ("tid", "(0,1)"),
    ("pg_snapshot", "1:2:"),
    ("txid_snapshot", "1:2:"),
    ("aclitem", "postgres=r/postgres"),
    ("int4range", "[1,2)"),
    ("int8range", "[1,2)"),
    ("numrange", "[1,2)"),
    ("daterange", "[2020-01-01,2020-01-02)"),
    ("tsrange", "[2020-01-01,2020-01-02)"),
    ("tstzrange", "[2020-01-01,2020-01-02)"),
    ("int4multirange", "{[1,2)}"),
    ("int8multirange", "{[1,2)}"),
    ("nummultirange", "{[1,2)}"),
    ("datemultirange", "{[2020-01-01,2020-01-02)}"),
    ("tsmultirange", "{[2020-01-01,2020-01-02)}"),
    ("tstzmultirange", "{[2020-01-01,2020-01-02)}"),
];

/// Families by a type of theirs: the first that fits.
const BY_TYPE: &[(&str, &[&str])] = &[
    ("text search", &["tsvector", "tsquery", "regconfig", "regdictionary"]),
    ("geometric", &["point", "lseg", "path", "box", "polygon", "line", "circle"]),
    ("range", &["range", "anyrange", "anymultirange", "anycompatiblerange"]),
    ("xml", &["xml"]),
    ("JSON", &["json", "jsonb", "jsonpath"]),
    ("network address", &["inet", "cidr", "macaddr", "macaddr8"]),
    ("enum", &["anyenum"]),
    ("bit string", &["bit", "varbit"]),
    ("money", &["money"]),
    ("date and time", &["date", "time", "timetz", "timestamp", "timestamptz", "interval"]),
    ("array", &["anyarray", "anycompatiblearray"]),
    ("binary string", &["bytea"]),
    ("uuid", &["uuid"]),
];

struct Catalog {
    types: BTreeMap<u32, &'static str>,
    /// Functions that types and aggregates are made of.
    support: BTreeSet<u32>,
    aggregates: BTreeMap<u32, (&'static str, usize)>,
}

struct Function {
    oid: u32,
    name: &'static str,
    kind: &'static str,
    returns_set: bool,
    result: &'static str,
    arguments: Vec<&'static str>,
    has_outputs: bool,
}

fn numbers(field: &str) -> impl Iterator<Item = u32> {
    field.split_ascii_whitespace().map(|number| number.parse().unwrap())
}

fn catalog() -> Catalog {
    let (mut types, mut support) = (BTreeMap::new(), BTreeSet::new());
    for line in TYPES.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        types.insert(fields[0].parse().unwrap(), fields[1]);
        support.extend(fields[10..16].iter().map(|oid| oid.parse::<u32>().unwrap()));
    }
    let mut aggregates = BTreeMap::new();
    for line in AGGREGATES.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let direct = fields[2].parse().unwrap();
        aggregates.insert(fields[0].parse().unwrap(), (fields[1], direct));
        support.extend([3, 4].map(|at: usize| fields[at].parse::<u32>().unwrap()));
    }
    Catalog { types, support, aggregates }
}

fn functions(catalog: &Catalog) -> Vec<Function> {
    let all = FUNCTIONS.lines().map(|line| {
        let fields: Vec<&str> = line.split('\t').collect();
        let name = |oid: u32| catalog.types.get(&oid).copied().unwrap_or("?");
        Function {
            oid: fields[0].parse().unwrap(),
            name: fields[1],
            kind: fields[3],
            returns_set: fields[5] == "t",
            result: name(fields[9].parse().unwrap()),
            arguments: numbers(fields[10]).map(name).collect(),
            has_outputs: !fields[12].is_empty(),
        }
    });
    all.filter(|function| !is_support(function, catalog)).collect()
}

/// What other parts of the server call, not people.
fn is_support(function: &Function, catalog: &Catalog) -> bool {
    const TYPES: &[&str] = &["internal", "cstring", "_cstring", "trigger", "event_trigger"];
    const WORDS: &[&str] = &[
        "hash",
        "gin_",
        "gist_",
        "spg_",
        "brin_",
        "bt",
        "in_range",
        "_accum",
        "_combine",
        "_send",
        "_validator",
        "sel",
        "_support",
        "ginarray",
        "gbt",
        "binary_upgrade",
        "pg_get_wal_",
        "amvalid",
    ];
    let own = function.arguments.iter().chain([&function.result]);
    let is_index = WORDS.iter().any(|word| match *word {
        "sel" => function.name.ends_with("sel"),
        "bt" => function.name.starts_with("bt") && function.name.contains("cmp"),
        "hash" => function.name.starts_with("hash") || function.name.contains("_hash"),
        "_cmp" => function.name.ends_with("_cmp"),
        other => function.name.contains(other),
    });
    function.kind == "p"
        || catalog.support.contains(&function.oid)
        || own.clone().any(|ty| TYPES.contains(ty) || ty.ends_with("_handler"))
        || is_index
}

fn family(function: &Function) -> &'static str {
    match function.kind {
        "a" => return "aggregate",
        "w" => return "window",
        _ => {}
    }
    let name = function.name;
    if name.starts_with("pg_stat_") {
        return "statistics";
    }
    if name.starts_with("lo_") || matches!(name, "loread" | "lowrite") {
        return "large object";
    }
    let types: Vec<&str> = function
        .arguments
        .iter()
        .chain([&function.result])
        .map(|ty| ty.trim_start_matches('_'))
        .collect();
    let is_system = name.starts_with("pg_")
        || name.starts_with("has_")
        || name.starts_with("current_")
        || name.starts_with("to_reg")
        || name.starts_with("txid_")
        || name.starts_with("inet_")
        || types.iter().any(|ty| ty.starts_with("reg") || *ty == "aclitem");
    if is_system {
        return "system";
    }
    if types.iter().any(|ty| ty.ends_with("range")) {
        return "range";
    }
    for (family, of) in BY_TYPE {
        if types.iter().any(|ty| of.contains(ty)) {
            return family;
        }
    }
    let is_numeric = |ty: &&str| {
        matches!(*ty, "int2" | "int4" | "int8" | "float4" | "float8" | "numeric" | "oid")
    };
    if types.iter().any(|ty| matches!(*ty, "text" | "bpchar" | "varchar" | "name" | "char")) {
        "string"
    } else if types.iter().any(is_numeric) {
        "mathematical"
    } else {
        "other"
    }
}

fn sample(ty: &str) -> String {
    let element = ty.strip_prefix('_');
    let plain = |ty: &str| {
        let found = SAMPLES.iter().find(|(name, _)| *name == ty);
        found.map_or("1", |(_, text)| *text).to_owned()
    };
    let text = match ty {
        "any" | "anyelement" | "anynonarray" | "anycompatible" | "anycompatiblenonarray" => {
            return "1".to_owned();
        }
        "anyarray" | "anycompatiblearray" => return "ARRAY[1]".to_owned(),
        "anyrange" | "anycompatiblerange" => return "'[1,2)'::int4range".to_owned(),
        "anymultirange" | "anycompatiblemultirange" => {
            return "'{[1,2)}'::int4multirange".to_owned();
        }
        "record" => return "ROW(1)".to_owned(),
        _ => match element {
            Some(element) => format!("{{\"{}\"}}", plain(element).replace('\\', "\\\\")),
            None => plain(ty),
        },
    };
    format!("'{text}'::pg_catalog.\"{ty}\"")
}

fn call(function: &Function, catalog: &Catalog) -> String {
    let arguments: Vec<String> = function.arguments.iter().map(|ty| sample(ty)).collect();
    let name = format!("pg_catalog.\"{}\"", function.name);
    let aggregate = catalog.aggregates.get(&function.oid);
    match (function.kind, aggregate) {
        ("a", Some(("o", direct))) => format!(
            "SELECT {name}({}) WITHIN GROUP (ORDER BY {})",
            arguments[..*direct].join(", "),
            arguments[*direct..].join(", ")
        ),
        ("a", Some(("h", _))) => format!("SELECT {name}(1) WITHIN GROUP (ORDER BY 1)"),
        ("a", _) if arguments.is_empty() => format!("SELECT {name}(*)"),
        ("w", _) => format!("SELECT {name}({}) OVER ()", arguments.join(", ")),
        _ if function.result == "record" && !function.has_outputs => {
            format!("SELECT * FROM {name}({}) AS x (a int4)", arguments.join(", "))
        }
        _ if function.returns_set => {
            format!("SELECT count(*) FROM {name}({})", arguments.join(", "))
        }
        _ => format!("SELECT {name}({})", arguments.join(", ")),
    }
}

fn answers(client: &mut Client, sql: &str) -> bool {
    match client.run(sql) {
        Ok(_) => true,
        Err(error) => match error.sql_state() {
            // Not supported, no such function, no such type.
            Some("0A000" | "42883" | "42704" | "XX000") => false,
            Some(_) => true,
            None => panic!("{sql}: {error}"),
        },
    }
}

/// The table of a page: family, functions, how many answer.
fn table_of(page: &str) -> BTreeMap<String, (usize, usize)> {
    let table = page.split(BEGIN).nth(1).and_then(|rest| rest.split(END).next());
    let rows = table.unwrap_or_default().lines().filter(|line| line.starts_with("| "));
    rows.filter_map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        Some((cells[1].to_owned(), (cells[2].parse().ok()?, cells[3].parse().ok()?)))
    })
    .collect()
}

#[test]
fn as_many_functions_answer_as_the_page_says() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let mut client = server.connect();
    client.run("SET statement_timeout = '3s'").unwrap();
    let catalog = catalog();
    let mut families: BTreeMap<&str, (usize, usize, Vec<&str>)> = BTreeMap::new();
    for function in functions(&catalog) {
        // It would end the session that asks.
        if matches!(function.name, "pg_terminate_backend" | "pg_cancel_backend") {
            continue;
        }
        let found = families.entry(family(&function)).or_default();
        found.0 += 1;
        if answers(&mut client, &call(&function, &catalog)) {
            found.1 += 1;
        } else {
            found.2.push(function.name);
        }
    }
    let mut table = String::from("| family | functions | answer |\n|---|---:|---:|\n");
    let (mut all, mut answered) = (0, 0);
    for (family, (count, answering, missing)) in &families {
        writeln!(table, "| {family} | {count} | {answering} |").unwrap();
        (all, answered) = (all + count, answered + answering);
        let mut missing = missing.clone();
        missing.dedup();
        println!("{family}: {answering} of {count}; not: {}", missing.join(" "));
    }
    writeln!(table, "| all | {all} | {answered} |").unwrap();
    println!("{table}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/COMPATIBILITY.md");
    let page = std::fs::read_to_string(&path).unwrap();
    if std::env::var_os("AEGIS_WRITE_DOCS").is_some() {
        let (before, rest) = page.split_once(BEGIN).expect("the page has a place for the table");
        let (_, after) = rest.split_once(END).expect("the place has an end");
        std::fs::write(&path, format!("{before}{BEGIN}\n{table}\n{END}{after}")).unwrap();
        return;
    }
    let said = table_of(&page);
    assert!(said.contains_key("all"), "the page has a table");
    for (family, (count, answering, _)) in &families {
        let (said_count, said_answering) = said.get(*family).copied().unwrap_or_default();
        assert!(
            said_count == *count && said_answering <= *answering,
            "{family}: {answering} of {count} answer; the page says {said_answering} of \
             {said_count}. AEGIS_WRITE_DOCS=1 writes it anew:\n{table}"
        );
    }
}
