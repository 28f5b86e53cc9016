//! Full disks, failed syncs, scarce memory, snapshots that hold back too much.

use std::sync::Arc;
use std::time::Duration;

use aegis_storage::{Fault, FaultDisk, StorageError, TreeId, TxnOptions};
use aegis_types::SqlState;

use super::support::{Fixture, TREE, options, rows};

#[tokio::test]
async fn a_full_disk_refuses_writes_and_reads_go_on() {
    let disk = Arc::new(FaultDisk::new(1));
    let fixture = Fixture::with(options(), disk.clone());
    fixture.put(TREE, "a", "before").await;
    fixture.store.flush_now().await.unwrap();
    disk.inject(Fault::Capacity(0));
    let mut txn = fixture.begin();
    for n in 0..20_000_u32 {
        txn.put(TREE, &n.to_be_bytes(), &[b'x'; 100]).unwrap();
    }
    txn.commit().await.unwrap();
    let full = fixture.store.flush_now().await.unwrap_err();
    assert_eq!(full.code(), SqlState::DiskFull);
    let refused = fixture.begin().put(TREE, b"b", b"x").unwrap_err();
    assert_eq!(refused.code(), SqlState::DiskFull);
    assert_eq!(
        refused.to_string(),
        "could not write to file \"warm.redb\": No space left on device"
    );
    let view = fixture.store.newest_view().unwrap();
    assert_eq!(view.get(TREE, b"a").unwrap().unwrap().value.as_bytes(), b"before");
    disk.inject(Fault::Unlimited);
    while fixture.store.flush_now().await.is_err() {}
    fixture.put(TREE, "b", "after").await;
}

#[tokio::test]
async fn a_failed_sync_stops_the_node() {
    let disk = Arc::new(FaultDisk::new(1));
    let fixture = Fixture::with(options(), disk.clone());
    let (said, mut heard) = tokio::sync::mpsc::unbounded_channel();
    fixture.store.on_fatal(Box::new(move |reason| {
        said.send(reason.to_owned()).unwrap();
    }));
    fixture.put(TREE, "a", "1").await;
    disk.inject(Fault::SyncErrorAfter(0));
    let failed = fixture.store.flush_now().await.unwrap_err();
    assert_eq!(failed.code(), SqlState::IoError);
    assert!(heard.recv().await.unwrap().contains("EIO"));
    let refused = fixture.store.begin(TxnOptions::default()).unwrap_err();
    assert_eq!(refused.code(), SqlState::IoError);
}

#[tokio::test]
async fn writers_wait_for_memory_and_then_fail() {
    let mut options = options();
    options.memory.hot_bytes = 4 << 20;
    options.freeze_bytes = 1 << 20;
    let fixture = Arc::new(Fixture::with(options, Arc::new(FaultDisk::new(1))));
    let batch = |from: u32| {
        let mut txn = fixture.begin();
        for n in from..from + 1000 {
            txn.put(TREE, &n.to_be_bytes(), &[b'x'; 500]).unwrap();
        }
        txn.commit()
    };
    // While the flusher keeps up, five times the memory passes.
    for n in 0..30 {
        batch(n * 1000).await.unwrap();
        assert!(fixture.store.stats().hot_bytes < 4 << 20);
    }
    // What was promised to proposals counts, and a log that does not move gives nothing back.
    fixture.log.pause();
    let proposed: Vec<_> = (30..50).map(|n| tokio::task::spawn(batch(n * 1000))).collect();
    let waiting = fixture.log.clone();
    let mut refused = 0;
    let mut pending = Vec::new();
    for mut task in proposed {
        tokio::select! {
            biased;
            done = &mut task => {
                let error = done.unwrap().unwrap_err();
                assert_eq!(error.code(), SqlState::OutOfMemory);
                refused += 1;
            }
            () = tokio::time::sleep(Duration::from_millis(400)) => pending.push(task),
        }
    }
    assert_eq!(pending.len(), waiting.waiting());
    assert!(refused > 5 && pending.len() > 3, "{refused} refused");
    fixture.log.resume();
    for task in pending {
        task.await.unwrap().unwrap();
    }
    assert_eq!(fixture.store.stats().reserved_bytes, 0);
    // How long the flusher takes is the machine's: the memory is there once it is done.
    fixture.store.flush_now().await.unwrap();
    batch(90_000).await.unwrap();
}

#[tokio::test]
async fn rows_that_come_and_go_take_no_memory() {
    let fixture = Fixture::new();
    let delete = async |key: &str| {
        let mut txn = fixture.begin();
        txn.delete(TREE, key.as_bytes()).unwrap();
        txn.commit().await.unwrap();
    };
    // What a lower tier has stays deleted, whatever was written above it.
    fixture.put(TREE, "below", "old").await;
    fixture.store.flush_now().await.unwrap();
    fixture.put(TREE, "below", "new").await;
    delete("below").await;
    let hot_bytes = || fixture.store.stats().hot_bytes;
    let before = hot_bytes();
    for n in 0..2_000 {
        let key = format!("job {n}");
        fixture.put(TREE, &key, "to be done").await;
        delete(&key).await;
    }
    assert!(hot_bytes() < before + 1_000, "{before} {}", hot_bytes());
    assert_eq!(fixture.rows(TREE), []);
    // A reader from before sees them for as long as it is there.
    for n in 0..2_000 {
        fixture.put(TREE, &format!("job {n}"), "to be done").await;
    }
    let view = fixture.store.newest_view().unwrap();
    for n in 0..2_000 {
        delete(&format!("job {n}")).await;
    }
    assert!(hot_bytes() > before + 100_000);
    assert_eq!((rows(&view, TREE).len(), fixture.rows(TREE).len()), (2_000, 0));
    drop(view);
    // Each commit takes out as many as it has time for, and one at least.
    let mut commits = 0;
    while commits <= 2_000 && hot_bytes() >= before + 1_000 {
        commits += 1;
        fixture.put(TREE, "last", &commits.to_string()).await;
    }
    assert!(hot_bytes() < before + 1_000, "{before} {}", hot_bytes());
    assert_eq!(fixture.rows(TREE), [("last".to_owned(), commits.to_string())]);
}

#[tokio::test]
async fn a_snapshot_that_holds_back_too_much_is_given_up() {
    let mut options = options();
    options.max_pinned_bytes = 2 << 20;
    options.freeze_bytes = 256 << 10;
    let fixture = Fixture::with(options, Arc::new(FaultDisk::new(1)));
    fixture.put(TREE, "a", "1").await;
    let old = fixture.store.newest_view().unwrap();
    for round in 0..40_u32 {
        let mut txn = fixture.begin();
        for n in 0..500_u32 {
            txn.put(TREE, &n.to_be_bytes(), &[round as u8; 400]).unwrap();
        }
        txn.commit().await.unwrap();
        fixture.store.flush_now().await.unwrap();
    }
    let error = loop {
        match old.get(TREE, b"a") {
            Ok(row) => {
                assert_eq!(row.unwrap().value.as_bytes(), b"1");
                fixture.store.flush_now().await.unwrap();
            }
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StorageError::SnapshotTooOld), "{error}");
    assert_eq!(error.code().code(), "72000");
    drop(old);
    assert_eq!(fixture.rows(TreeId(77)), []);
    assert_eq!(fixture.store.stats().pinned_bytes, 0);
}

#[tokio::test]
async fn while_a_reader_pins_much_frozen_maps_go_to_runs() {
    let mut options = options();
    options.max_pinned_bytes = 1 << 20;
    options.freeze_bytes = 64 << 10;
    let fixture = Fixture::with(options, Arc::new(FaultDisk::new(1)));
    fixture.put(TREE, "a", "1").await;
    let old = fixture.store.newest_view().unwrap();
    // Without anybody who insists, the flusher turns to runs at half of the limit.
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    let mut round = 0_u32;
    while fixture.store.stats().frozen_run_bytes == 0 {
        assert!(std::time::Instant::now() < deadline, "no run was made");
        round += 1;
        let mut txn = fixture.begin();
        for n in 0..100_u32 {
            let filler = (round * 100 + n).to_be_bytes();
            txn.put(TreeId(2001), &filler, &[b'x'; 200]).unwrap();
            txn.put(TREE, &n.to_be_bytes(), &round.to_be_bytes()).unwrap();
        }
        txn.commit().await.unwrap();
        tokio::task::yield_now().await;
    }
    let view = fixture.store.newest_view().unwrap();
    let row = view.get(TREE, &5_u32.to_be_bytes()).unwrap().unwrap();
    assert_eq!(row.value.as_bytes(), round.to_be_bytes());
    assert_eq!(old.get(TREE, b"a").unwrap().unwrap().value.as_bytes(), b"1");
    drop((old, view));
    fixture.store.flush_now().await.unwrap();
    assert_eq!(fixture.store.stats().frozen_run_bytes, 0);
    assert!(fixture.runs().is_empty());
}
