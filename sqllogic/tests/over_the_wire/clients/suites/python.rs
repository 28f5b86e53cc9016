//! Suites of Python: psycopg, asyncpg, SQLAlchemy with Alembic, Django, pgcli, and psql at a terminal.
//! They share an environment.

use std::path::Path;
use std::process::Command;

use super::{installed, passes, run, suite};

/// Installs what `requirements.txt` names: in a virtual environment, or, where `venv` is not there, in
/// a plain folder.
fn install(folder: &Path) -> Result<(), String> {
    let pip = |python: &Path, more: &[&Path]| {
        let mut pip = Command::new(python);
        pip.args(["-m", "pip", "install", "--disable-pip-version-check", "--quiet", "-r"]);
        run(pip.arg(suite("requirements.txt")).args(more))
    };
    let in_venv = run(Command::new("python3").args(["-m", "venv"]).arg(folder.join("venv")))
        .and_then(|()| pip(&folder.join("venv/bin/python"), &[]));
    in_venv.or_else(|first| {
        // What is left of the attempt must not be taken for an environment.
        let _nothing_there = std::fs::remove_dir_all(folder.join("venv"));
        pip(Path::new("python3"), &[Path::new("--target"), &folder.join("packages")])
            .map_err(|second| format!("{first}\n{second}"))
    })
}

/// Runs the `unittest` files of a folder.
fn suite_passes(name: &str) {
    let folder = installed("python", &suite("requirements.txt"), install)
        .unwrap_or_else(|error| panic!("no Python with packages (python3, its pip):\n{error}"));
    let in_venv = folder.join("venv/bin/python");
    let mut command = if in_venv.exists() {
        Command::new(in_venv)
    } else {
        let mut plain = Command::new("python3");
        plain.env("PYTHONPATH", folder.join("packages"));
        plain
    };
    passes(command.args(["-B", "-m", "unittest"]).current_dir(suite(name)));
}

#[test]
fn the_psycopg_suite_passes() {
    suite_passes("psycopg");
}

#[test]
fn the_asyncpg_suite_passes() {
    suite_passes("asyncpg");
}

#[test]
fn the_sqlalchemy_suite_passes() {
    suite_passes("sqlalchemy");
}

#[test]
fn the_django_suite_passes() {
    suite_passes("django");
}

#[test]
fn the_pgcli_suite_passes() {
    suite_passes("pgcli");
}

#[test]
fn the_psql_suite_passes() {
    suite_passes("psql");
}
