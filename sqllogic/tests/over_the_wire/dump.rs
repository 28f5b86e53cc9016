//! `pg_dump`, `pg_restore` and `pg_dumpall` against Aegis: what is restored from a dump gives the
//! same dump again, in every form. The programs are PostgreSQL's own, of version 15 or later, as
//! `.ci/run` installs them.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::fuzz::PostgreSql;
use crate::server::Server;

/// A server, as the programs are told of it.
#[derive(Clone)]
struct Place {
    host: String,
    port: String,
}

impl Place {
    fn new(address: &str) -> Self {
        let (host, port) = address.rsplit_once(':').unwrap();
        Self { host: host.to_owned(), port: port.to_owned() }
    }

    /// Runs a program of PostgreSQL's against the server; what it prints.
    fn run(&self, program: &str, arguments: &[&str], input: &str) -> String {
        let mut child = Command::new(program)
            .args(["-h", &self.host, "-p", &self.port, "-U", "postgres"])
            .args(arguments)
            .env("PGTZ", "UTC")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{program}, of postgresql-client, is needed: {error}"));
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_owned();
        let writer = std::thread::spawn(move || {
            // A program that stops reading tells why itself.
            let _stopped = stdin.write_all(input.as_bytes());
        });
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        let [out, err] = [&output.stdout, &output.stderr].map(|it| String::from_utf8_lossy(it));
        assert!(output.status.success(), "{program} {arguments:?}: {err}");
        out.into_owned()
    }

    /// Runs statements; the first error ends it.
    fn sql(&self, database: &str, statements: &str) {
        let stop = "ON_ERROR_STOP=1";
        self.run("psql", &["-X", "-q", "-v", stop, "-d", database, "-f", "-"], statements);
    }

    fn create(&self, database: &str) {
        self.sql("postgres", &format!("CREATE DATABASE {database};"));
    }

    /// A plain dump without comments, versions and the random words of `\restrict`.
    fn dump(&self, database: &str, arguments: &[&str]) -> String {
        let text = self.run("pg_dump", &[arguments, &["-d", database]].concat(), "");
        let lines = text.lines().filter(|line| {
            !(line.is_empty() || line.starts_with("--") || line.contains("restrict "))
        });
        lines.map(|line| format!("{line}\n")).collect()
    }
}

/// The first line in which two dumps differ, with what is before it.
fn assert_same(what: &str, left: &str, right: &str) {
    let differs = left.lines().zip(right.lines()).position(|(left, right)| left != right);
    let at = differs.unwrap_or_else(|| left.lines().count().min(right.lines().count()));
    let around = |text: &str| {
        text.lines().skip(at.saturating_sub(5)).take(12).collect::<Vec<_>>().join("\n")
    };
    assert!(left == right, "{what}\n--- {}\n+++ {}", around(left), around(right));
}

fn schema_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("dump/schema.sql")
}

fn with_schema() -> (Server, tempfile::TempDir, Place) {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let place = Place::new(&server.address);
    place.create("original");
    place.sql("original", &std::fs::read_to_string(schema_file()).unwrap());
    (server, data, place)
}

#[test]
fn a_plain_dump_restores_to_the_same_dump() {
    let (_server, _data, place) = with_schema();
    let dump = place.dump("original", &[]);
    for line in ["COPY shop.customer (id, name,", "WITH NO DATA;", "SEQUENCE NAME shop."] {
        assert!(dump.contains(line), "{line} is in the dump:\n{dump}");
    }
    place.create("restored");
    place.sql("restored", &place.run("pg_dump", &["-d", "original"], ""));
    assert_same("plain", &dump, &place.dump("restored", &[]));
    place.create("inserted");
    place.sql("inserted", &place.run("pg_dump", &["--inserts", "-d", "original"], ""));
    assert_same("as INSERT", &dump, &place.dump("inserted", &[]));
}

#[test]
fn archives_and_parts_restore_to_the_same_dump() {
    let (_server, data, place) = with_schema();
    let dump = place.dump("original", &[]);
    let archive = data.path().join("archive.dump");
    let archive = archive.to_str().unwrap();
    place.run("pg_dump", &["-Fc", "-f", archive, "-d", "original"], "");
    place.create("from_archive");
    place.run("pg_restore", &["--exit-on-error", "-d", "from_archive", archive], "");
    assert_same("-Fc", &dump, &place.dump("from_archive", &[]));
    let folder = data.path().join("folder");
    let folder = folder.to_str().unwrap();
    place.run("pg_dump", &["-Fd", "-j", "2", "-f", folder, "-d", "original"], "");
    place.create("from_folder");
    place.run("pg_restore", &["--exit-on-error", "-j", "2", "-d", "from_folder", folder], "");
    assert_same("-Fd", &dump, &place.dump("from_folder", &[]));
    place.create("from_parts");
    for section in ["--section=pre-data", "--section=data", "--section=post-data"] {
        place.sql("from_parts", &place.run("pg_dump", &[section, "-d", "original"], ""));
    }
    assert_same("by sections", &dump, &place.dump("from_parts", &[]));
    let whole = place.dump("original", &["--schema-only"]);
    assert_same("schema", &whole, &place.dump("from_parts", &["--schema-only"]));
}

#[test]
fn globals_are_dumped() {
    let (_server, _data, place) = with_schema();
    place.sql(
        "original",
        "ALTER ROLE dump_reader SET search_path = shop; GRANT dump_reader TO dump_owner;",
    );
    let globals = place.run("pg_dumpall", &["--globals-only"], "");
    for line in [
        "CREATE ROLE dump_reader;",
        "ALTER ROLE dump_reader WITH NOSUPERUSER INHERIT NOCREATEROLE NOCREATEDB NOLOGIN \
         NOREPLICATION NOBYPASSRLS;",
        "ALTER ROLE dump_reader SET search_path TO 'shop';",
        "GRANT dump_reader TO dump_owner GRANTED BY postgres;",
    ] {
        assert!(globals.contains(line), "{line} is in the dump:\n{globals}");
    }
}

/// Keys of all kinds; what is dumped of them is below.
const KEYS: &str = "\
SELECT kv_create_namespace('shop', history => 3, max_bytes => 1000);
SELECT kv_alter_namespace('default', history => 2);
SELECT kv_put('a', 'text'), kv_put('b', '{\"json\": [1, null]}'::jsonb), kv_put('c', '\\x00ff'::bytea);
SELECT kv_put(E'odd\\t\\n\\\\\\x01', E'odd\\t\\n\\\\.'), kv_put('', ''), kv_put('null', '\\N');
SELECT kv_put('k', 'in shop', namespace => 'shop'), kv_put('t', 'x', ttl => '1 day');
SELECT kv_lease_grant('1 hour', 1);
SELECT kv_put('leased', 'x', lease => 1);
INSERT INTO aegis.kv (key, value, expires_at) VALUES ('expired', 'x', now());
COPY aegis.kv (key, value) FROM STDIN;
copied\tx
\\.
";

#[test]
fn keys_are_dumped_and_restored() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let place = Place::new(&server.address);
    let shown = |database: &str| {
        let what = "SELECT namespace, key, value, json, bytes, expires_at, lease FROM aegis.kv \
                    ORDER BY 1, 2; SELECT name, history, max_bytes, bytes FROM kv_namespaces(); \
                    SELECT count(*) FROM kv_leases()";
        place.run("psql", &["-XAt", "-c", what, "-d", database], "")
    };
    place.create("original");
    place.sql("original", KEYS);
    let all = shown("original");
    assert!(all.contains("copied|x") && !all.contains("expired"), "{all}");
    // Of a lease nobody is there any more.
    place.sql("original", "SELECT kv_lease_revoke(1);");
    let kept = shown("original");
    place.sql("original", "SELECT kv_lease_grant('1 hour', 1), kv_put('leased', 'x', lease => 1);");
    place.create("plain");
    place.sql("plain", &place.run("pg_dump", &["-d", "original"], ""));
    assert_same("plain", &kept, &shown("plain"));
    place.create("inserted");
    place.sql("inserted", &place.run("pg_dump", &["--inserts", "-d", "original"], ""));
    assert_same("as INSERT", &kept, &shown("inserted"));
    let folder = data.path().join("folder");
    let folder = folder.to_str().unwrap();
    place.run("pg_dump", &["-Fd", "-f", folder, "-d", "original"], "");
    place.create("from_folder");
    // Several jobs do not keep the order of an extension's rows, on PostgreSQL neither.
    place.run("pg_restore", &["--exit-on-error", "-d", "from_folder", folder], "");
    assert_same("-Fd", &kept, &shown("from_folder"));
    // Keys and rows are restored together, and go on from there.
    place.sql("plain", "SELECT kv_put('a', 'on', if_version => kv_version('a')), kv_delete('b');");
    let seen =
        place.run("psql", &["-XAt", "-c", "SELECT kv_get('a'), kv_exists('b')", "-d", "plain"], "");
    assert_eq!(seen.trim(), "on|f");
}

#[test]
fn postgresql_restores_and_dumps_the_same() {
    let (_server, data, place) = with_schema();
    let postgresql = PostgreSql::start(data.path());
    let other = Place::new(&postgresql.address);
    other.sql("postgres", "CREATE ROLE dump_reader; CREATE ROLE dump_owner;");
    other.create("restored");
    other.sql("restored", &place.run("pg_dump", &["-d", "original"], ""));
    other.create("original");
    let schema = std::fs::read_to_string(schema_file()).unwrap();
    let roles = schema.lines().filter(|line| !line.starts_with("CREATE ROLE"));
    other.sql("original", &roles.map(|line| format!("{line}\n")).collect::<String>());
    // Another major version dumps other settings.
    let version = other.run("psql", &["-XAtc", "SHOW server_version_num", "-d", "postgres"], "");
    if !version.starts_with("15") {
        println!("restored in {version}, not compared: Aegis is a PostgreSQL 15");
        return;
    }
    let dump = place.dump("original", &[]);
    assert_same("restored in PostgreSQL", &dump, &other.dump("restored", &[]));
    assert_same("made in PostgreSQL", &dump, &other.dump("original", &[]));
}
