//! A disk in memory that loses, tears and refuses writes, all of it decided by a seed.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Disk, DiskFile};

const SECTOR_BYTES: u64 = 512;

/// A small seeded generator (splitmix64), for tests only.
#[derive(Clone, Debug)]
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

#[derive(Clone, Default)]
struct FileState {
    /// What reads see.
    current: Vec<u8>,
    /// What survives a crash for certain.
    durable: Vec<u8>,
    /// Writes since the last sync, oldest first.
    unsynced: Vec<(u64, Vec<u8>)>,
}

enum NameChange {
    Link(String, usize),
    Rename(String, String),
    Remove(String),
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Link(name, file) => {
                names.insert(name.clone(), *file);
            }
            Self::Rename(from, to) => {
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
            Self::Remove(name) => {
                names.remove(name);
            }
        }
    }
}

#[derive(Default)]
struct State {
    files: Vec<FileState>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    unsynced_names: Vec<NameChange>,
    /// Writes and syncs left until one fails with EIO, and every later one with it.
    operations_until_failure: Option<u64>,
    /// Bytes that all files together may have.
    space_bytes: Option<u64>,
    /// Set when the power is cut: nothing works any more.
    dead: bool,
    sync_count: u64,
}

/// The disk. Clones are the same disk.
#[derive(Clone, Default)]
pub(crate) struct SimulatedDisk {
    state: Arc<Mutex<State>>,
}

struct SimulatedFile {
    state: Arc<Mutex<State>>,
    file: usize,
}

impl SimulatedDisk {
    /// Cuts the power: this disk answers errors from now on, and what survived is returned as a
    /// new one. Unsynced writes are each lost, kept, or torn at sector boundaries; unsynced
    /// changes of names survive up to some point.
    pub(crate) fn crash(&self, chance: &mut Chance) -> SimulatedDisk {
        let mut state = self.state.lock();
        state.dead = true;
        let mut names = state.durable_names.clone();
        let kept = chance.below(state.unsynced_names.len() as u64 + 1) as usize;
        for change in &state.unsynced_names[..kept] {
            change.apply(&mut names);
        }
        let mut files = Vec::new();
        for file in &state.files {
            let mut bytes = file.durable.clone();
            for (offset, written) in &file.unsynced {
                survive(&mut bytes, *offset, written, chance);
            }
            files.push(FileState { current: bytes.clone(), durable: bytes, unsynced: Vec::new() });
        }
        SimulatedDisk {
            state: Arc::new(Mutex::new(State {
                files,
                durable_names: names.clone(),
                names,
                ..State::default()
            })),
        }
    }

    /// Lets the `count`-th write or sync from now fail with EIO, and all after it.
    pub(crate) fn fail_after(&self, count: u64) {
        self.state.lock().operations_until_failure = Some(count);
    }

    /// Lets writes and syncs succeed again.
    pub(crate) fn heal(&self) {
        self.state.lock().operations_until_failure = None;
    }

    /// Limits the bytes of all files together; beyond it writes fail with ENOSPC.
    pub(crate) fn limit_space(&self, bytes: Option<u64>) {
        self.state.lock().space_bytes = bytes;
    }

    /// Bytes of all files that have a name.
    pub(crate) fn used_bytes(&self) -> u64 {
        self.state.lock().used_bytes()
    }

    /// How often a file was synced.
    pub(crate) fn sync_count(&self) -> u64 {
        self.state.lock().sync_count
    }

    /// A copy that shares nothing, as if the machine had been switched off in good order.
    pub(crate) fn copy(&self) -> SimulatedDisk {
        let state = self.state.lock();
        SimulatedDisk {
            state: Arc::new(Mutex::new(State {
                files: state.files.clone(),
                names: state.names.clone(),
                durable_names: state.names.clone(),
                ..State::default()
            })),
        }
    }

    /// The bytes of a file.
    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        let state = self.state.lock();
        state.files[state.names[name]].current.clone()
    }

    /// Replaces the bytes of a file, durably, creating it if it is not there.
    pub(crate) fn set_bytes(&self, name: &str, bytes: Vec<u8>) {
        let mut state = self.state.lock();
        let file = FileState { durable: bytes.clone(), current: bytes, unsynced: Vec::new() };
        let number = state.files.len();
        state.files.push(file);
        state.names.insert(name.to_owned(), number);
        state.durable_names.insert(name.to_owned(), number);
    }
}

impl State {
    fn used_bytes(&self) -> u64 {
        let length = |file: &usize| self.files[*file].current.len() as u64;
        self.names.values().map(length).sum()
    }

    fn check(&mut self) -> io::Result<()> {
        if self.dead {
            return Err(io::Error::other("the power is off"));
        }
        Ok(())
    }

    fn check_write(&mut self) -> io::Result<()> {
        self.check()?;
        match &mut self.operations_until_failure {
            Some(0) => Err(io::Error::other("simulated EIO")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn change_name(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.unsynced_names.push(change);
    }

    fn find(&self, name: &str) -> io::Result<usize> {
        let found = self.names.get(name).copied();
        found.ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// Applies an unsynced write as a crash may leave it.
fn survive(bytes: &mut Vec<u8>, offset: u64, written: &[u8], chance: &mut Chance) {
    match chance.below(3) {
        0 => {}
        1 => overwrite(bytes, offset, written),
        _ => {
            let end = offset + written.len() as u64;
            let mut at = offset;
            while at < end {
                let piece_end = ((at / SECTOR_BYTES + 1) * SECTOR_BYTES).min(end);
                if chance.one_in(2) {
                    let piece = &written[(at - offset) as usize..(piece_end - offset) as usize];
                    overwrite(bytes, at, piece);
                }
                at = piece_end;
            }
        }
    }
}

fn overwrite(bytes: &mut Vec<u8>, offset: u64, written: &[u8]) {
    let end = offset as usize + written.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[offset as usize..end].copy_from_slice(written);
}

impl Disk for SimulatedDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut state = self.state.lock();
        state.check()?;
        Ok(state.names.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state.lock();
        state.check()?;
        let file = state.files.len();
        state.files.push(FileState::default());
        state.change_name(NameChange::Link(name.to_owned(), file));
        Ok(Arc::new(SimulatedFile { state: Arc::clone(&self.state), file }))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state.lock();
        state.check()?;
        let file = state.find(name)?;
        Ok(Arc::new(SimulatedFile { state: Arc::clone(&self.state), file }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state.lock();
        state.check()?;
        state.find(from)?;
        state.change_name(NameChange::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state.lock();
        state.check()?;
        state.find(name)?;
        state.change_name(NameChange::Remove(name.to_owned()));
        Ok(())
    }

    fn sync_names(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        state.check_write()?;
        state.durable_names = state.names.clone();
        state.unsynced_names.clear();
        Ok(())
    }
}

impl DiskFile for SimulatedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.state.lock();
        state.check()?;
        let bytes = &state.files[self.file].current;
        let from = (offset as usize).min(bytes.len());
        let length = buffer.len().min(bytes.len() - from);
        buffer[..length].copy_from_slice(&bytes[from..from + length]);
        Ok(length)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        state.check_write()?;
        let end = offset + bytes.len() as u64;
        let grows = end.saturating_sub(state.files[self.file].current.len() as u64);
        if grows > 0 && state.space_bytes.is_some_and(|limit| state.used_bytes() + grows > limit) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let file = &mut state.files[self.file];
        overwrite(&mut file.current, offset, bytes);
        file.unsynced.push((offset, bytes.to_vec()));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        if let Err(error) = state.check_write() {
            // As Linux does it: the pages are clean now, still to be read, and not on the disk.
            state.files[self.file].unsynced.clear();
            return Err(error);
        }
        state.sync_count += 1;
        let file = &mut state.files[self.file];
        for (offset, written) in file.unsynced.drain(..) {
            overwrite(&mut file.durable, offset, &written);
        }
        Ok(())
    }

    fn length(&self) -> io::Result<u64> {
        let mut state = self.state.lock();
        state.check()?;
        Ok(state.files[self.file].current.len() as u64)
    }
}
