//! Damaged run files: an error, or the rows that were written. Never a panic.

use proptest::prelude::*;

use super::*;
use crate::MemoryDisk;

/// Tree, key, value, stamp.
type Written = (u64, Vec<u8>, Option<Vec<u8>>, u64);

fn rows() -> impl Strategy<Value = Vec<Written>> {
    let bytes = |length| prop::collection::vec(any::<u8>(), 0..length);
    let value = prop::option::of(bytes(3000));
    prop::collection::btree_map((0..3_u64, bytes(12)), (value, any::<u64>()), 1..60).prop_map(
        |rows| {
            rows.into_iter()
                .map(|((tree, key), (value, stamp))| (tree, key, value, stamp))
                .collect()
        },
    )
}

fn write(disk: &Arc<dyn Disk>, rows: &[Written]) -> RunHash {
    let mut writer = RunWriter::create(disk.clone(), Path::new("runs")).unwrap();
    for (tree, key, value, stamp) in rows {
        writer.push(TreeId(*tree), key, value.as_deref(), *stamp).unwrap();
    }
    writer.publish().unwrap().hash().unwrap()
}

fn read(disk: &Arc<dyn Disk>, hash: RunHash) -> Result<Vec<Written>> {
    let run = Run::open(disk.clone(), Path::new("runs"), hash)?;
    let mut found = Vec::new();
    for at in 0..run.blocks() {
        let block = run.block(at)?;
        found.extend(block.iter().map(|(tree, key, value, stamp)| {
            (tree.0, key.to_vec(), value.map(<[u8]>::to_vec), stamp)
        }));
    }
    Ok(found)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_damaged_file_is_an_error_or_what_was_written(
        rows in rows(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
        let hash = write(&disk, &rows);
        prop_assert_eq!(&read(&disk, hash).unwrap(), &rows);
        let path = Path::new("runs").join(hash.file_name());
        let file = disk.open(&path, OpenMode::Existing).unwrap();
        let length = usize::try_from(file.len().unwrap()).unwrap();
        for (at, byte) in damage {
            file.write_at(&[byte], at.index(length) as u64).unwrap();
        }
        if let Some(cut) = cut {
            file.set_len(cut.index(length) as u64).unwrap();
        }
        if let Ok(found) = read(&disk, hash) {
            prop_assert_eq!(&found, &rows);
        }
    }

    #[test]
    fn any_bytes_are_refused_or_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        // Behind the checksums, as if whoever wrote this had computed them.
        let _ = RunBlock::decode(bytes.clone());
        let _ = decode_index(&bytes, 1 << 20);
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
        let hash = RunHash([7; 32]);
        let path = Path::new("runs").join(hash.file_name());
        let file = disk.open(&path, OpenMode::CreateNew).unwrap();
        let mut whole = HEAD.to_vec();
        whole.extend_from_slice(&bytes);
        whole.extend_from_slice(&(HEAD.len() as u64).to_le_bytes());
        whole.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        whole.extend_from_slice(&u64::MAX.to_le_bytes());
        whole.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        whole.extend_from_slice(&TRAILER_MAGIC.to_le_bytes());
        file.write_at(&whole, 0).unwrap();
        let _ = read(&disk, hash);
    }

    #[test]
    fn a_name_is_a_hash_or_nothing(name in "\\PC{0,70}", hash in any::<[u8; 32]>()) {
        let _ = RunHash::from_file_name(&name);
        let hash = RunHash(hash);
        prop_assert_eq!(RunHash::from_file_name(&hash.file_name()), Some(hash));
    }
}
