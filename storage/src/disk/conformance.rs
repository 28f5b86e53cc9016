//! What every disk must do alike: the suite that the real one, the one in memory and the faulty
//! one pass.
#![cfg(test)]

use std::io::ErrorKind;
use std::path::Path;

use super::{Disk, FaultDisk, MemoryDisk, OpenMode, RealDisk};
use crate::StorageError;

fn every_disk(test: impl Fn(&dyn Disk)) {
    let dir = tempfile::tempdir().unwrap();
    test(&RealDisk::open(dir.path()).unwrap());
    test(&MemoryDisk::new());
    test(&FaultDisk::new(1));
}

#[test]
fn open_modes_say_what_must_be_there() {
    every_disk(|disk| {
        let path = Path::new("f");
        let missing = disk.open(path, OpenMode::Existing).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        disk.open(path, OpenMode::CreateNew).unwrap();
        let there = disk.open(path, OpenMode::CreateNew).unwrap_err();
        assert_eq!(there.kind(), ErrorKind::AlreadyExists);
        disk.open(path, OpenMode::Existing).unwrap();
        disk.open(path, OpenMode::OpenOrCreate).unwrap();
        disk.open(Path::new("g"), OpenMode::OpenOrCreate).unwrap();
    });
}

#[test]
fn what_was_written_is_read_and_gaps_are_zero() {
    every_disk(|disk| {
        let file = disk.open(Path::new("f"), OpenMode::CreateNew).unwrap();
        assert!(file.is_empty().unwrap());
        file.write_at(b"abc", 5).unwrap();
        assert_eq!(file.len().unwrap(), 8);
        let mut bytes = [9; 8];
        file.read_at(&mut bytes, 0).unwrap();
        assert_eq!(&bytes, b"\0\0\0\0\0abc");
        let beyond = file.read_at(&mut bytes, 1).unwrap_err();
        assert_eq!(beyond.kind(), ErrorKind::UnexpectedEof);
        file.set_len(6).unwrap();
        file.set_len(8).unwrap();
        file.read_at(&mut bytes, 0).unwrap();
        assert_eq!(&bytes, b"\0\0\0\0\0a\0\0");
        file.sync_data().unwrap();
        let again = disk.open(Path::new("f"), OpenMode::Existing).unwrap();
        assert_eq!(again.len().unwrap(), 8);
    });
}

#[test]
fn names_are_listed_renamed_and_removed() {
    every_disk(|disk| {
        disk.create_dir_all(Path::new("d")).unwrap();
        let file = disk.open(Path::new("d/b"), OpenMode::CreateNew).unwrap();
        file.write_at(b"b", 0).unwrap();
        disk.open(Path::new("d/a"), OpenMode::CreateNew).unwrap();
        assert_eq!(disk.list(Path::new("d")).unwrap(), ["a", "b"]);
        disk.rename(Path::new("d/b"), Path::new("d/a")).unwrap();
        assert_eq!(disk.list(Path::new("d")).unwrap(), ["a"]);
        let mut byte = [0];
        let renamed = disk.open(Path::new("d/a"), OpenMode::Existing).unwrap();
        renamed.read_at(&mut byte, 0).unwrap();
        assert_eq!(&byte, b"b");
        disk.remove(Path::new("d/a")).unwrap();
        renamed.read_at(&mut byte, 0).unwrap();
        let gone = disk.remove(Path::new("d/a")).unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::NotFound);
        disk.sync_dir(Path::new("d")).unwrap();
    });
}

#[test]
fn a_directory_is_opened_by_one_at_a_time_and_the_second_is_told_by_whom() {
    let dir = tempfile::tempdir().unwrap();
    let first = RealDisk::open(dir.path()).unwrap();
    assert!(first.list(Path::new("")).unwrap().is_empty(), "the lock is no file of the disk's");
    let Err(StorageError::InUse { directory, process_id }) = RealDisk::open(dir.path()) else {
        panic!("it is open already");
    };
    assert_eq!(directory, dir.path());
    assert_eq!(process_id, Some(std::process::id()));
    drop(first);
    RealDisk::open(dir.path()).unwrap();
}

#[test]
fn a_rename_survives_a_crash_whole_or_not_at_all() {
    for seed in 0..50 {
        let disk = FaultDisk::new(seed);
        disk.open(Path::new("a"), OpenMode::CreateNew).unwrap();
        disk.sync_dir(Path::new("")).unwrap();
        disk.rename(Path::new("a"), Path::new("b")).unwrap();
        disk.crash();
        assert_eq!(disk.list(Path::new("")).unwrap().len(), 1, "seed {seed}");
    }
}
