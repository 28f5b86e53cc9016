//! The suites of JavaScript, run by Node.js: node-postgres and postgres.js.

use std::fs;
use std::process::Command;

use super::{installed, passes, run, suite};

#[test]
fn the_node_suites_pass() {
    let source = suite("node");
    let folder = installed("node", &source.join("package-lock.json"), |folder| {
        for name in ["package.json", "package-lock.json"] {
            fs::copy(source.join(name), folder.join(name)).map_err(|error| error.to_string())?;
        }
        let mut npm = Command::new("npm");
        npm.args(["ci", "--omit=optional", "--no-audit", "--no-fund"]).current_dir(folder);
        run(&mut npm)
    })
    .unwrap_or_else(|error| panic!("no packages of Node.js (node, npm):\n{error}"));
    // A module finds its packages beside itself: the suite moves to them.
    for entry in fs::read_dir(&source).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "js") {
            fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
        }
    }
    passes(Command::new("node").args(["--test"]).current_dir(&folder));
}
