//! One server a data directory: a second one is refused before it touches anything.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::server::Server;

/// Every file below a directory, with its bytes.
fn contents(directory: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            contents(&path, found);
        } else {
            found.insert(path.clone(), std::fs::read(&path).unwrap());
        }
    }
}

#[test]
fn a_second_server_is_told_who_has_the_directory_and_changes_nothing() {
    let parent = tempfile::tempdir().unwrap();
    let data = parent.path().join("data");
    let by_another_name = parent.path().join("link");
    let server = Server::start(&data);
    std::os::unix::fs::symlink(&data, &by_another_name).unwrap();
    let mut client = server.connect();
    client.run("CREATE TABLE t (a int)").unwrap();
    client.run("INSERT INTO t VALUES (1)").unwrap();
    let mut before = BTreeMap::new();
    contents(&data, &mut before);
    for path in [&data, &by_another_name] {
        let (said, ended_well) = Server::refused(path);
        assert!(!ended_well);
        let expected = format!(
            "cannot open the data directory: another server (PID {}) is using \"{}\"",
            server.process_id(),
            path.display()
        );
        assert!(said.contains(&expected), "{said}");
    }
    let mut after = BTreeMap::new();
    contents(&data, &mut after);
    assert!(before == after, "whoever is refused changes nothing");
    client.run("INSERT INTO t VALUES (2)").unwrap();
    server.kill();
    // The lock goes with the process, whatever it died of.
    let server = Server::start(&data);
    assert_eq!(server.connect().run("SELECT a FROM t").unwrap().rows.len(), 2);
}
