//! Every `.slt` file, in both protocols.

use std::path::{Path, PathBuf};

use aegis_sqllogic::runner::{Target, run_all};
use aegis_sqllogic::wire::Protocol;

use crate::server::Server;

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "slt") {
            found.push(path);
        }
    }
    found.sort();
}

#[test]
fn every_file_passes_in_both_protocols() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let mut found = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../slt"), &mut found);
    assert!(!found.is_empty(), "the specification is there");
    let target = Target { address: server.address.clone(), user: "postgres".to_owned() };
    let protocols = [Protocol::Simple, Protocol::Extended];
    // Roles belong to the cluster: what makes some runs alone.
    let (alone, beside): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|file| file.parent().is_some_and(|it| it.ends_with("cluster")));
    let mut reports = run_all(&target, &beside, &protocols, 2);
    reports.extend(run_all(&target, &alone, &protocols, 1));
    let mut failures = Vec::new();
    let mut passed = 0;
    for report in reports {
        passed += report.passed;
        for failure in report.failures {
            failures.push(format!(
                "{} ({:?}): {}",
                report.file.display(),
                report.protocol,
                failure.text
            ));
        }
    }
    assert!(
        failures.is_empty(),
        "{passed} passed, {} failed:\n{}",
        failures.len(),
        failures.join("\n")
    );
}
