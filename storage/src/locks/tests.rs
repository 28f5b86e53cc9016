//! Queues, upgrades, deadlocks, escalation.

use std::sync::Arc;
use std::time::Duration;

use super::*;

fn owner(id: u64) -> Owner {
    Owner {
        id: TransactionId(id),
        process_id: 100 + id as i32,
        deadlock_timeout: Duration::from_millis(20),
    }
}

fn held(table: &Arc<LockTable>, id: u64) -> HeldLocks {
    HeldLocks::new(table.clone(), owner(id), 100)
}

const WAIT: LockWait = LockWait::Wait { timeout: None };
const ROW_WAIT: RowLockWait = RowLockWait::Wait { timeout: None };
const TREE: TreeId = TreeId(9);

#[tokio::test]
async fn a_reader_waits_behind_a_waiting_writer() {
    let table = Arc::new(LockTable::new());
    let (mut a, mut b, mut c) = (held(&table, 1), held(&table, 2), held(&table, 3));
    a.lock_table(1, TableLockMode::AccessShare, WAIT).await.unwrap();
    let mut writer = Box::pin(b.lock_table(1, TableLockMode::AccessExclusive, WAIT));
    assert!(futures_poll(&mut writer).await);
    let busy = c.lock_table(1, TableLockMode::AccessShare, LockWait::NoWait).await;
    assert!(matches!(busy, Err(StorageError::TableLockNotAvailable { object_id: 1 })));
    a.lock_table(1, TableLockMode::RowShare, LockWait::NoWait).await.unwrap();
    drop(a);
    writer.await.unwrap();
    drop(b);
    c.lock_table(1, TableLockMode::AccessShare, LockWait::NoWait).await.unwrap();
}

/// Polls once; true while pending.
async fn futures_poll<F: Future + Unpin>(future: &mut F) -> bool {
    tokio::select! {
        biased;
        _ = future => false,
        () = std::future::ready(()) => true,
    }
}

#[tokio::test]
async fn giving_up_waiting_lets_the_next_in() {
    let table = Arc::new(LockTable::new());
    let (mut a, mut b, mut c) = (held(&table, 1), held(&table, 2), held(&table, 3));
    a.lock_table(1, TableLockMode::AccessShare, WAIT).await.unwrap();
    {
        let mut writer = Box::pin(b.lock_table(1, TableLockMode::AccessExclusive, WAIT));
        assert!(futures_poll(&mut writer).await);
        let busy = c.lock_table(1, TableLockMode::AccessShare, LockWait::NoWait).await;
        assert!(busy.is_err());
    }
    c.lock_table(1, TableLockMode::AccessShare, LockWait::NoWait).await.unwrap();
    drop((a, b, c));
    assert!(table.shards.iter().all(|shard| shard.lock().is_empty()));
}

#[tokio::test]
async fn who_shares_a_row_passes_who_waits_to_write_it() {
    let table = Arc::new(LockTable::new());
    let (mut a, mut b, mut c) = (held(&table, 1), held(&table, 2), held(&table, 3));
    a.lock_row(TREE, b"k", RowLockMode::ForShare, ROW_WAIT).await.unwrap();
    {
        let mut writer = Box::pin(b.lock_row(TREE, b"k", RowLockMode::ForUpdate, ROW_WAIT));
        assert!(futures_poll(&mut writer).await);
        let reports = table.report();
        let waiting: Vec<_> = reports.iter().filter(|report| report.waited.is_some()).collect();
        assert_eq!(waiting.len(), 1);
        assert_eq!(waiting[0].blockers, [(TransactionId(1), 101)]);
        assert!(c.lock_row(TREE, b"k", RowLockMode::ForShare, RowLockWait::NoWait).await.unwrap());
    }
    drop((a, b, c));
    assert!(table.shards.iter().all(|shard| shard.lock().is_empty()));
}

#[tokio::test]
async fn a_lock_timeout_has_its_own_error() {
    let table = Arc::new(LockTable::new());
    let (mut a, mut b) = (held(&table, 1), held(&table, 2));
    a.lock_table(1, TableLockMode::Exclusive, WAIT).await.unwrap();
    let timeout = Some(Duration::from_millis(5));
    let wait = LockWait::Wait { timeout };
    let late = b.lock_table(1, TableLockMode::Exclusive, wait).await;
    assert!(matches!(late, Err(StorageError::LockTimeout)));
}

#[tokio::test]
async fn one_of_two_that_wait_for_each_other_gives_up() {
    let table = Arc::new(LockTable::new());
    let (mut a, mut b) = (held(&table, 1), held(&table, 2));
    b.owner.deadlock_timeout = Duration::from_secs(60);
    let object = 5 << 32 | 16_400;
    a.lock_row(TREE, b"x", RowLockMode::ForUpdate, ROW_WAIT).await.unwrap();
    b.lock_table(object, TableLockMode::AccessExclusive, WAIT).await.unwrap();
    let waiting = tokio::task::spawn(async move {
        b.lock_row(TREE, b"x", RowLockMode::ForShare, ROW_WAIT).await.unwrap();
        b
    });
    let error = a.lock_table(object, TableLockMode::AccessShare, WAIT).await.unwrap_err();
    let StorageError::Deadlock { detail } = error else {
        panic!("{error}");
    };
    assert_eq!(
        detail,
        "Process 101 waits for AccessShareLock on relation 16400 of database 5; \
         blocked by process 102.\n\
         Process 102 waits for ShareLock on transaction 1; blocked by process 101."
    );
    drop(a);
    waiting.await.unwrap();
}

#[tokio::test]
async fn two_sharers_that_upgrade_are_a_deadlock() {
    let table = Arc::new(LockTable::new());
    let (mut a, mut b) = (held(&table, 1), held(&table, 2));
    a.lock_row(TREE, b"x", RowLockMode::ForShare, ROW_WAIT).await.unwrap();
    b.lock_row(TREE, b"x", RowLockMode::ForShare, ROW_WAIT).await.unwrap();
    b.owner.deadlock_timeout = Duration::from_secs(60);
    let mut upgrade = Box::pin(b.lock_row(TREE, b"x", RowLockMode::ForUpdate, ROW_WAIT));
    assert!(futures_poll(&mut upgrade).await);
    let error = a.lock_row(TREE, b"x", RowLockMode::ForUpdate, ROW_WAIT).await.unwrap_err();
    assert!(matches!(error, StorageError::Deadlock { .. }));
    drop(a);
    upgrade.await.unwrap();
}

#[tokio::test]
async fn a_rollback_to_a_mark_releases_what_came_later() {
    let table = Arc::new(LockTable::new());
    let (mut a, mut b) = (held(&table, 1), held(&table, 2));
    a.lock_row(TREE, b"x", RowLockMode::ForShare, ROW_WAIT).await.unwrap();
    let mark = a.mark();
    a.lock_row(TREE, b"x", RowLockMode::ForUpdate, ROW_WAIT).await.unwrap();
    a.lock_row(TREE, b"y", RowLockMode::ForUpdate, ROW_WAIT).await.unwrap();
    assert!(b.lock_row(TREE, b"x", RowLockMode::ForShare, RowLockWait::NoWait).await.is_err());
    a.rollback_to(mark);
    b.lock_row(TREE, b"x", RowLockMode::ForShare, RowLockWait::NoWait).await.unwrap();
    b.lock_row(TREE, b"y", RowLockMode::ForUpdate, RowLockWait::NoWait).await.unwrap();
    let still = b.lock_row(TREE, b"x", RowLockMode::ForUpdate, RowLockWait::NoWait).await;
    assert!(matches!(still, Err(StorageError::RowLockNotAvailable { tree: TREE })));
}

#[tokio::test]
async fn many_row_locks_become_one_of_the_tree() {
    let table = Arc::new(LockTable::new());
    let (mut a, mut b) = (held(&table, 1), held(&table, 2));
    let locks = || table.shards.iter().map(|shard| shard.lock().len()).sum::<usize>();
    b.lock_row(TREE, b"other", RowLockMode::ForUpdate, ROW_WAIT).await.unwrap();
    for n in 0..150_u32 {
        let key = n.to_be_bytes();
        a.lock_row(TREE, &key, RowLockMode::ForNoKeyUpdate, ROW_WAIT).await.unwrap();
    }
    assert_eq!(locks(), 152, "b's row forbids the escalation");
    drop(b);
    for n in 150..200_u32 {
        let key = n.to_be_bytes();
        a.lock_row(TREE, &key, RowLockMode::ForNoKeyUpdate, ROW_WAIT).await.unwrap();
    }
    assert_eq!(locks(), 1);
    let mut b = held(&table, 3);
    b.lock_row(TREE, b"x", RowLockMode::ForKeyShare, RowLockWait::NoWait).await.unwrap();
    let excluded = b.lock_row(TREE, b"x", RowLockMode::ForShare, RowLockWait::SkipLocked).await;
    assert!(!excluded.unwrap());
}

#[test]
fn one_victim_breaks_a_cycle() {
    let table = LockTable::new();
    let (x, y) = (Tag::Row(TREE, Key::from(&b"x"[..])), Tag::Row(TREE, Key::from(&b"y"[..])));
    let mode = RowLockMode::ForUpdate as Mode;
    assert!(matches!(table.ask(owner(1), &x, mode, true), Asked::Granted));
    assert!(matches!(table.ask(owner(2), &y, mode, true), Asked::Granted));
    let _queued = (table.ask(owner(1), &y, mode, true), table.ask(owner(2), &x, mode, true));
    // Both look before the one that gives up has ended its transaction.
    assert!(table.break_deadlock(owner(1), &y).is_some());
    assert!(table.break_deadlock(owner(2), &x).is_none());
}
