//! Every `.slt` file, in both protocols, by every way that a statement may take.

use std::path::{Path, PathBuf};

use aegis_sqllogic::runner::{Target, run_all};
use aegis_sqllogic::wire::Protocol;

use crate::server::Server;

/// Flags of a server whose sessions begin without any short way.
pub const THE_LONG_WAY: [&str; 6] = [
    "-c",
    "aegis.statement_cache=off",
    "-c",
    "aegis.direct_path=off",
    "-c",
    "plan_cache_mode=force_custom_plan",
];

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

/// Runs every file on a server whose sessions begin with these settings.
fn every_file_passes(flags: &[&str]) {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start_with(data.path(), flags);
    for setting in flags.iter().filter_map(|flag| flag.split_once('=')) {
        let shown = server.connect().run(&format!("SHOW {}", setting.0)).unwrap();
        assert_eq!(shown.rows, [[Some(setting.1.to_owned())]], "the server goes by its flags");
    }
    let mut found = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../slt"), &mut found);
    assert!(!found.is_empty(), "the specification is there");
    let (address, user) = (server.address.clone(), "postgres".to_owned());
    let target = Target { address, user, settings: Vec::new() };
    let protocols = [Protocol::Simple, Protocol::Extended];
    // Roles belong to the cluster: what makes some runs alone.
    let (alone, beside): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|file| file.parent().is_some_and(|it| it.ends_with("cluster")));
    let mut reports = run_all(&target, &beside, &protocols, 2);
    reports.extend(run_all(&target, &alone, &protocols, 1));
    let mut counted = server.connect();
    counted.run("CREATE EXTENSION aegis_stat").unwrap();
    let hits = counted.run("SELECT hits > 0 FROM aegis_stat_plan_cache").unwrap().rows;
    let remembers = if flags.contains(&"aegis.statement_cache=off") { "f" } else { "t" };
    assert_eq!(hits, [[Some(remembers.to_owned())]], "whether statements are remembered");
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

#[test]
fn every_file_passes_in_both_protocols() {
    every_file_passes(&[]);
}

/// Nothing is remembered of a statement, every plan is made for the values at hand, and all of them are
/// run in batches: the answers are the same.
#[test]
fn every_file_passes_the_long_way() {
    every_file_passes(&THE_LONG_WAY);
}

/// One plan for all values gives what a plan for each does.
#[test]
fn every_file_passes_with_plans_for_any_values() {
    every_file_passes(&["-c", "plan_cache_mode=force_generic_plan"]);
}
