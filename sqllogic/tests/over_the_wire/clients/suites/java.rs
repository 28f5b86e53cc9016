//! The suite of Java: pgJDBC, as Debian packs it or as `AEGIS_CLIENTS_JDBC` names it.

use std::process::Command;

use super::{passes, run, suite};

/// Where Debian's `libpostgresql-jdbc-java` puts the driver.
const DRIVER: &str = "/usr/share/java/postgresql.jar";

#[test]
#[expect(clippy::disallowed_methods, reason = "a person chooses the driver")]
fn the_jdbc_suite_passes() {
    let driver = std::env::var("AEGIS_CLIENTS_JDBC").unwrap_or_else(|_| DRIVER.to_owned());
    assert!(
        std::path::Path::new(&driver).exists(),
        "no driver at {driver}: install libpostgresql-jdbc-java, or name it in AEGIS_CLIENTS_JDBC"
    );
    let classes = tempfile::tempdir().unwrap();
    let sources = std::fs::read_dir(suite("jdbc")).unwrap().map(|entry| entry.unwrap().path());
    let mut javac = Command::new("javac");
    javac.args(["-cp", &driver, "-d"]).arg(classes.path()).args(sources);
    run(&mut javac).unwrap_or_else(|error| panic!("no classes (javac):\n{error}"));
    let path = format!("{driver}:{}", classes.path().display());
    passes(Command::new("java").args(["-cp", &path, "Suite"]));
}
