//! The segment log against a model, on a disk that crashes; and against damaged files.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::disk::simulated::{Chance, SimulatedDisk};

mod damage;

const SEGMENT_BYTES: u64 = 4096;

fn open(disk: &SimulatedDisk) -> Result<SegmentLog, LogError> {
    SegmentLog::open(Arc::new(disk.clone()), SEGMENT_BYTES)
}

fn all_entries(log: &SegmentLog) -> BTreeMap<u64, Vec<u8>> {
    let reader = log.reader();
    let bounds = reader.bounds();
    let read = reader.read(bounds.first..bounds.next, usize::MAX).unwrap();
    read.into_iter().collect()
}

/// What the model thinks a log says.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    marks: Marks,
    entries: BTreeMap<u64, Vec<u8>>,
}

#[derive(Clone, Debug)]
enum Step {
    Entry(u64, Vec<u8>),
    Vote(Vec<u8>),
    Committed(Vec<u8>),
    Truncate(u64),
    Purge(u64),
}

impl Model {
    fn of(log: &SegmentLog) -> Self {
        Self { marks: log.marks().clone(), entries: all_entries(log) }
    }

    fn apply(&mut self, step: &Step) {
        match step {
            Step::Entry(index, payload) => {
                self.entries.insert(*index, payload.clone());
            }
            Step::Vote(vote) => self.marks.vote = Some(vote.clone()),
            Step::Committed(mark) => self.marks.committed = Some(mark.clone()),
            Step::Truncate(from) => {
                self.entries.split_off(from);
            }
            Step::Purge(upto) => {
                self.marks.purged = Some((*upto, upto.to_le_bytes().to_vec()));
                self.entries = self.entries.split_off(&(upto + 1));
            }
        }
    }

    fn next_index(&self) -> u64 {
        let after_purged = self.marks.purged.as_ref().map_or(0, |(index, _)| index + 1);
        self.entries.last_key_value().map_or(after_purged, |(index, _)| index + 1)
    }

    fn draw_step(&self, chance: &mut Chance) -> Step {
        let bytes = |chance: &mut Chance, length: u64| {
            (0..length).map(|_| chance.next() as u8).collect::<Vec<_>>()
        };
        match chance.below(20) {
            0 => Step::Vote(bytes(chance, 17)),
            1 | 2 => Step::Committed(bytes(chance, 9)),
            3 => {
                let first = self.entries.keys().next().copied().unwrap_or(0);
                let span = self.next_index() - first.min(self.next_index()) + 2;
                Step::Truncate(first + chance.below(span))
            }
            4 | 5 => {
                let lowest = self.marks.purged.as_ref().map_or(0, |(index, _)| *index);
                let span = self.next_index().saturating_sub(lowest) + 2;
                Step::Purge(lowest + chance.below(span))
            }
            _ => {
                let length = if chance.one_in(40) { chance.below(9000) } else { chance.below(300) };
                Step::Entry(self.next_index(), bytes(chance, length))
            }
        }
    }
}

fn stage(log: &mut SegmentLog, step: &Step) -> Result<(), LogError> {
    match step {
        Step::Entry(index, payload) => {
            let half = payload.len() / 2;
            log.stage(Record::Entry(*index, &[&payload[..half], &payload[half..]]))
        }
        Step::Vote(vote) => log.stage(Record::Vote(vote)),
        Step::Committed(mark) => log.stage(Record::Committed(mark)),
        Step::Truncate(from) => log.stage(Record::Truncate(*from)),
        Step::Purge(upto) => {
            log.stage(Record::Purge(*upto, &upto.to_le_bytes()))?;
            log.sync()?;
            log.drop_purged_segments()
        }
    }
}

/// One life of a log: steps until the power is cut or the disk fails. Answers the disk that is
/// left, having checked that it holds every synced step, and no step without its predecessors.
fn live_and_crash(disk: &SimulatedDisk, model: &mut Model, chance: &mut Chance) -> SimulatedDisk {
    let mut log = open(disk).expect("a log opens after any crash");
    let found = Model::of(&log);
    assert_eq!(&found, model, "opening again finds the same");
    // Every state since the last sync; a crash may leave any of them.
    let mut possible = vec![model.clone()];
    if chance.one_in(3) {
        disk.fail_after(chance.below(60));
    }
    for _ in 0..chance.below(120) {
        let mut next = possible.last().unwrap().clone();
        let step = next.draw_step(chance);
        next.apply(&step);
        let purge = matches!(step, Step::Purge(_));
        possible.push(next);
        let result = stage(&mut log, &step).and_then(|()| match chance.below(6) {
            0 => log.sync().map(|()| true),
            1 => log.write().map(|()| false),
            _ => Ok(false),
        });
        match result {
            Ok(synced) if synced || purge => {
                possible.drain(..possible.len() - 1);
                if synced {
                    assert_eq!(&Model::of(&log), possible.last().unwrap());
                }
            }
            Ok(_) => {}
            Err(_) => {
                assert!(matches!(log.sync(), Err(LogError::Stopped)));
                break;
            }
        }
    }
    let left = disk.crash(chance);
    drop(log);
    let recovered = open(&left).expect("a log opens after any crash");
    let state = Model::of(&recovered);
    assert!(
        possible.contains(&state),
        "recovered {state:?}, which is none of {} possible states",
        possible.len()
    );
    *model = state;
    // The recovered log itself may crash at once.
    if chance.one_in(2) { left.crash(chance) } else { left }
}

#[test]
fn whatever_a_crash_leaves_is_a_prefix_that_holds_everything_synced() {
    for seed in 0..400 {
        let run = std::panic::catch_unwind(|| {
            let mut chance = Chance(seed);
            let mut disk = SimulatedDisk::default();
            let mut model = Model::default();
            for _ in 0..6 {
                disk = live_and_crash(&disk, &mut model, &mut chance);
            }
        });
        assert!(run.is_ok(), "seed {seed}");
    }
}

#[test]
fn what_a_restarted_process_finds_survives_a_power_cut_right_after() {
    for seed in 0..200 {
        let mut chance = Chance(seed);
        let disk = SimulatedDisk::default();
        let mut log = open(&disk).unwrap();
        let mut model = Model::default();
        for _ in 0..chance.below(40) {
            let step = model.draw_step(&mut chance);
            model.apply(&step);
            stage(&mut log, &step).unwrap();
            if chance.one_in(4) {
                log.sync().unwrap();
            }
        }
        if chance.one_in(2) {
            // The process is killed; the page cache keeps what it wrote.
            log.write().unwrap();
        } else {
            // The sync fails, and the page cache pretends that it did not.
            log.write().unwrap();
            disk.fail_after(0);
            let _ = log.sync();
            disk.heal();
        }
        drop(log);
        let log = open(&disk).unwrap();
        assert_eq!(Model::of(&log), model, "seed {seed}");
        drop(log);
        let log = open(&disk.crash(&mut chance)).unwrap();
        assert_eq!(Model::of(&log), model, "seed {seed}");
    }
}

/// A log of three synced batches in one segment.
fn three_batches() -> SimulatedDisk {
    let disk = SimulatedDisk::default();
    let mut log = open(&disk).unwrap();
    log.stage(Record::Vote(b"vote")).unwrap();
    for index in 1..=9_u64 {
        log.stage(Record::Entry(index, &[&[index as u8; 24]])).unwrap();
        if index % 3 == 0 {
            log.sync().unwrap();
        }
    }
    disk
}

const FIRST: &str = "0000000000000001.segment";

#[test]
fn a_damaged_record_below_a_later_durable_offset_is_an_error_that_names_the_place() {
    let disk = three_batches();
    // The vote (48 bytes) and six entries of 64 bytes are known to be durable by the third batch.
    let durable_end = 64 + 48 + 6 * 64;
    for at in 0..durable_end {
        let in_padding = (64 + 40 + 4..64 + 48).contains(&at);
        if in_padding {
            continue;
        }
        let damaged = disk.copy();
        let mut bytes = damaged.bytes(FIRST);
        bytes[at] ^= 0x10;
        damaged.set_bytes(FIRST, bytes);
        match open(&damaged).err() {
            Some(LogError::Corrupt { file, offset, .. }) => {
                assert_eq!(file, FIRST);
                let record_at = match at {
                    ..64 => 0,
                    64..112 => 64,
                    _ => 112 + (at - 112) / 64 * 64,
                };
                assert_eq!(offset, record_at as u64, "damaged at {at}");
            }
            Some(LogError::UnsupportedVersion { .. }) => assert!((8..12).contains(&at)),
            other => panic!("damaged at {at}: {other:?}"),
        }
    }
}

#[test]
fn a_damaged_last_batch_is_a_torn_tail_and_does_not_come_back() {
    let disk = three_batches();
    let damaged = disk.copy();
    let mut bytes = damaged.bytes(FIRST);
    bytes[112 + 6 * 64 + 50] ^= 1; // the payload of entry 7
    damaged.set_bytes(FIRST, bytes);
    let mut log = open(&damaged).unwrap();
    assert_eq!(log.reader().bounds().next, 7);
    // A record of the same length in its place does not revive entries 8 and 9 behind it.
    log.stage(Record::Entry(7, &[&[99; 24]])).unwrap();
    log.sync().unwrap();
    drop(log);
    let log = open(&damaged).unwrap();
    assert_eq!(log.reader().bounds().next, 8);
    assert_eq!(all_entries(&log)[&7], [99; 24]);
}

#[test]
fn a_client_that_writes_records_into_its_values_does_not_fool_recovery() {
    let disk = SimulatedDisk::default();
    let mut log = open(&disk).unwrap();
    log.stage(Record::Entry(1, &[b"x"])).unwrap();
    log.sync().unwrap();
    let mut forged = Vec::new();
    let identity = SegmentIdentity { generation: 1, stamp: 0 };
    format::encode_record(&mut forged, RecordKind::Entry, identity, 9, u64::MAX, &[b"y"]);
    log.stage(Record::Entry(2, &[&forged])).unwrap();
    log.sync().unwrap();
    drop(log);
    let mut bytes = disk.bytes(FIRST);
    bytes[64 + 48] ^= 1; // entry 2 is torn
    disk.set_bytes(FIRST, bytes);
    let log = open(&disk).unwrap();
    assert_eq!(log.reader().bounds().next, 2);
}

#[test]
fn a_missing_segment_and_a_missing_seal_are_corruption() {
    let disk = SimulatedDisk::default();
    let mut log = open(&disk).unwrap();
    for index in 1..=30_u64 {
        log.stage(Record::Entry(index, &[&[7; 500]])).unwrap();
        log.sync().unwrap();
    }
    drop(log);
    let without_second = disk.copy();
    without_second.remove("0000000000000002.segment").unwrap();
    assert!(matches!(open(&without_second).err(), Some(LogError::Corrupt { .. })));

    let unsealed = disk.copy();
    let mut bytes = unsealed.bytes(FIRST);
    let seal_at = 64 + 7 * 544;
    bytes[seal_at..].fill(0);
    unsealed.set_bytes(FIRST, bytes);
    match open(&unsealed).err() {
        Some(LogError::Corrupt { file, offset, .. }) => {
            assert_eq!((file.as_str(), offset), (FIRST, seal_at as u64));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn purged_segments_are_recycled_and_the_log_stays_small() {
    let disk = SimulatedDisk::default();
    let mut log = open(&disk).unwrap();
    for index in 1..=2000_u64 {
        log.stage(Record::Entry(index, &[&[1; 100]])).unwrap();
        log.sync().unwrap();
        if index % 50 == 0 {
            log.stage(Record::Purge(index - 10, b"mark")).unwrap();
            log.sync().unwrap();
            log.drop_purged_segments().unwrap();
        }
    }
    assert!(disk.used_bytes() <= 8 * SEGMENT_BYTES, "{}", disk.used_bytes());
    drop(log);
    let log = open(&disk).unwrap();
    assert_eq!(log.marks().purged, Some((1990, b"mark".to_vec())));
    assert_eq!(
        all_entries(&log).into_keys().collect::<Vec<_>>(),
        (1991..=2000).collect::<Vec<_>>()
    );
}

#[test]
fn a_full_disk_is_reported_as_such_and_leaves_an_intact_log() {
    let disk = SimulatedDisk::default();
    let mut log = open(&disk).unwrap();
    disk.limit_space(Some(2 * SEGMENT_BYTES));
    let mut index = 0;
    let error = loop {
        index += 1;
        let staged = log.stage(Record::Entry(index, &[&[1; 100]]));
        if let Err(error) = staged.and_then(|()| log.sync()) {
            break error;
        }
    };
    assert!(error.is_disk_full(), "{error}");
    assert!(disk.used_bytes() <= 2 * SEGMENT_BYTES);
    disk.limit_space(None);
    let log = open(&disk).unwrap();
    assert_eq!(log.reader().bounds().next, index);
}

#[test]
fn a_gap_in_the_entries_is_refused() {
    let mut log = open(&SimulatedDisk::default()).unwrap();
    log.stage(Record::Entry(5, &[])).unwrap();
    let refused = log.stage(Record::Entry(7, &[]));
    assert!(matches!(refused, Err(LogError::OutOfOrder { index: 7, expected: 6 })));
    log.stage(Record::Entry(6, &[])).unwrap();
    log.sync().unwrap();
    assert_eq!(log.reader().bounds().next, 7);
}

#[test]
fn a_long_entry_gets_a_segment_of_its_own_length() {
    let disk = SimulatedDisk::default();
    let mut log = open(&disk).unwrap();
    let long = vec![3; 100_000];
    log.stage(Record::Entry(1, &[b"a"])).unwrap();
    log.stage(Record::Entry(2, &[&long])).unwrap();
    log.stage(Record::Entry(3, &[b"c"])).unwrap();
    log.sync().unwrap();
    drop(log);
    let log = open(&disk).unwrap();
    assert_eq!(all_entries(&log)[&2], long);
    assert_eq!(log.reader().read(1..4, 50_000).unwrap().len(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn random_files_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..3000), keep_header in any::<bool>()) {
        let disk = three_batches();
        let mut file = if keep_header { disk.bytes(FIRST)[..64].to_vec() } else { Vec::new() };
        file.extend(bytes);
        if keep_header {
            file.resize(SEGMENT_BYTES as usize, 0);
        }
        disk.set_bytes(FIRST, file);
        let _ = open(&disk);
    }

    #[test]
    fn damaged_files_never_panic_and_never_invent(damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let disk = three_batches();
        let mut bytes = disk.bytes(FIRST);
        for (at, value) in damage {
            let at = at.index(800);
            bytes[at] = value;
        }
        disk.set_bytes(FIRST, bytes);
        if let Ok(log) = open(&disk) {
            for (index, payload) in all_entries(&log) {
                prop_assert_eq!(payload, vec![index as u8; 24]);
            }
        }
    }
}
