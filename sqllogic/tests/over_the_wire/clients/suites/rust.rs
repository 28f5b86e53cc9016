//! The suites of Rust that are no tests of ours: sqlx and diesel, a workspace of their own.

use std::path::Path;
use std::process::Command;

use super::{installed, passes, run, suite};

/// The tests' own builds, in a folder that outlives the run.
fn cargo(target: &Path, command: &str) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.args([command, "--locked", "--quiet", "--target-dir"]).arg(target);
    // What the build around is told is not meant for it.
    for name in ["CARGO_TARGET_DIR", "CARGO_MANIFEST_DIR", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"] {
        cargo.env_remove(name);
    }
    cargo.current_dir(suite("rust"));
    cargo
}

#[test]
fn the_rust_suites_pass() {
    // Only the packages are as long in the making as to be kept apart.
    let folder = installed("rust", &suite("rust").join("Cargo.lock"), |folder| {
        run(cargo(folder, "test").args(["--no-run"]))
    })
    .unwrap_or_else(|error| panic!("no build of sqlx and diesel (libpq's headers):\n{error}"));
    passes(&mut cargo(&folder, "test"));
}
