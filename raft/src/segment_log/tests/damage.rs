//! Damaged segments of every kind: what opens is a beginning of what was written, entry by entry,
//! and reading later damage is an error. Never a panic, never an entry that nobody wrote.

use super::*;

/// A piece of a file that is no longer what it was.
#[derive(Clone, Debug)]
enum Damage {
    Flip {
        at: prop::sample::Index,
        bit: u8,
    },
    Zero {
        from: prop::sample::Index,
        length: usize,
    },
    /// Bytes from elsewhere in the file: whole records in the wrong place.
    Copy {
        from: prop::sample::Index,
        to: prop::sample::Index,
        length: usize,
    },
    Cut {
        at: prop::sample::Index,
    },
    Noise {
        at: prop::sample::Index,
        bytes: Vec<u8>,
    },
}

fn damage() -> impl Strategy<Value = Damage> {
    let index = || any::<prop::sample::Index>();
    prop_oneof![
        4 => (index(), 0..8_u8).prop_map(|(at, bit)| Damage::Flip { at, bit }),
        2 => (index(), 1..600_usize).prop_map(|(from, length)| Damage::Zero { from, length }),
        2 => (index(), index(), 1..600_usize)
            .prop_map(|(from, to, length)| Damage::Copy { from, to, length }),
        1 => index().prop_map(|at| Damage::Cut { at }),
        2 => (index(), prop::collection::vec(any::<u8>(), 1..80))
            .prop_map(|(at, bytes)| Damage::Noise { at, bytes }),
    ]
}

impl Damage {
    fn apply(&self, file: &mut Vec<u8>) {
        if file.is_empty() {
            return;
        }
        let end = |at: usize, length: usize, file: &[u8]| (at + length).min(file.len());
        match self {
            Self::Flip { at, bit } => {
                let at = at.index(file.len());
                file[at] ^= 1 << bit;
            }
            Self::Zero { from, length } => {
                let from = from.index(file.len());
                let to = end(from, *length, file);
                file[from..to].fill(0);
            }
            Self::Copy { from, to, length } => {
                // Records stand at multiples of eight.
                let (from, to) = (from.index(file.len()) & !7, to.index(file.len()) & !7);
                let piece = file[from..end(from, *length, file)].to_vec();
                let to_end = end(to, piece.len(), file);
                file[to..to_end].copy_from_slice(&piece[..to_end - to]);
            }
            Self::Cut { at } => file.truncate(at.index(file.len())),
            Self::Noise { at, bytes } => {
                let at = at.index(file.len());
                let to = end(at, bytes.len(), file);
                file[at..to].copy_from_slice(&bytes[..to - at]);
            }
        }
    }
}

fn payload(index: u64, length: usize) -> Vec<u8> {
    (0..length).map(|at| (index as u8).wrapping_mul(31).wrapping_add(at as u8)).collect()
}

/// A log over several segments, and what each of its entries holds.
fn history(lengths: &[(usize, bool)]) -> (SimulatedDisk, Vec<Vec<u8>>) {
    let disk = SimulatedDisk::default();
    let mut log = open(&disk).unwrap();
    log.stage(Record::Vote(b"vote")).unwrap();
    let mut entries = Vec::new();
    for (at, (length, sync)) in lengths.iter().enumerate() {
        let index = at as u64 + 1;
        let bytes = payload(index, *length);
        log.stage(Record::Entry(index, &[&bytes])).unwrap();
        if *sync {
            log.sync().unwrap();
        }
        entries.push(bytes);
    }
    log.sync().unwrap();
    (disk, entries)
}

fn spoil(disk: &SimulatedDisk, wounds: &[(prop::sample::Index, Damage)]) {
    let mut names = disk.list().unwrap();
    names.retain(|name| name.ends_with(".segment"));
    names.sort();
    for (name, wound) in wounds {
        let name = &names[name.index(names.len())];
        let mut bytes = disk.bytes(name);
        wound.apply(&mut bytes);
        disk.set_bytes(name, bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_opens_after_damage_is_a_beginning_of_what_was_written(
        lengths in prop::collection::vec((0..900_usize, any::<bool>()), 1..40),
        wounds in prop::collection::vec((any::<prop::sample::Index>(), damage()), 1..4),
    ) {
        let (disk, written) = history(&lengths);
        spoil(&disk, &wounds);
        let Ok(mut log) = open(&disk) else { return Ok(()) };
        let found = all_entries(&log);
        let expected: BTreeMap<u64, Vec<u8>> =
            (1..).zip(written.iter().take(found.len()).cloned()).collect();
        prop_assert_eq!(&found, &expected);
        // What was cut does not come back once the log has gone on.
        let next = found.len() as u64 + 1;
        log.stage(Record::Entry(next, &[b"new"])).unwrap();
        log.sync().unwrap();
        drop(log);
        let found = all_entries(&open(&disk).unwrap());
        prop_assert_eq!(found.len() as u64, next);
        prop_assert_eq!(&found[&next], b"new");
    }

    #[test]
    fn an_entry_damaged_under_a_reader_is_an_error(
        lengths in prop::collection::vec((0..900_usize, any::<bool>()), 1..40),
        wounds in prop::collection::vec((any::<prop::sample::Index>(), damage()), 1..4),
    ) {
        let (disk, written) = history(&lengths);
        let log = open(&disk).unwrap();
        let reader = log.reader();
        let mut names = disk.list().unwrap();
        names.retain(|name| name.ends_with(".segment"));
        names.sort();
        for (name, wound) in &wounds {
            let name = &names[name.index(names.len())];
            let mut bytes = disk.bytes(name);
            let length = bytes.len();
            wound.apply(&mut bytes);
            bytes.resize(length, 0);
            disk.open(name).unwrap().write_at(&bytes, 0).unwrap();
        }
        for (at, bytes) in written.iter().enumerate() {
            let index = at as u64 + 1;
            if let Ok(read) = reader.read(index..index + 1, usize::MAX) {
                prop_assert_eq!(read, vec![(index, bytes.clone())]);
            }
        }
    }
}
