//! The house's own rules, read off its tree: crate edges as `docs/ARCHITECTURE.md` draws them, a head
//! on every file, and no dead link in the docs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn walk(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') && name != "aegis-data" {
                walk(&path, extension, found);
            }
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
}

/// The edges that the table in ARCHITECTURE draws: crate, and what it names.
fn drawn() -> BTreeMap<String, Vec<String>> {
    let text = std::fs::read_to_string(root().join("docs/ARCHITECTURE.md")).unwrap();
    text.lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| crate"))
        .map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let names = cells[2].split(", ").filter(|name| *name != "–").map(str::to_owned);
            (cells[1].to_owned(), names.collect())
        })
        .collect()
}

#[test]
fn every_crate_edge_is_drawn() {
    let drawn = drawn();
    assert!(drawn.contains_key("storage"), "the table of crates is there");
    for (name, allowed) in &drawn {
        let manifest = std::fs::read_to_string(root().join(name).join("Cargo.toml")).unwrap();
        let dependencies = manifest
            .split("\n[dependencies]")
            .nth(1)
            .and_then(|rest| rest.split("\n[").next())
            .unwrap_or_default();
        for line in dependencies.lines() {
            if let Some(other) =
                line.strip_prefix("aegis-").and_then(|l| l.split(['.', ' ']).next())
            {
                assert!(
                    allowed.iter().any(|allowed| allowed == other),
                    "{name} depends on {other}: draw the edge in docs/ARCHITECTURE.md, or cut it"
                );
            }
        }
    }
}

#[test]
fn every_file_has_a_head() {
    let mut files = Vec::new();
    walk(&root(), "rs", &mut files);
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("//!"), "{} begins without a `//!` head", file.display());
    }
}

#[test]
fn no_link_in_the_docs_is_dead() {
    let mut files = Vec::new();
    walk(&root(), "md", &mut files);
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            let path = file.parent().unwrap().join(target);
            assert!(path.exists(), "{} links to {target}, which is not there", file.display());
        }
    }
}
